//! From groups of options to a run: which way, which URLs, and which output belongs to which URL.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::options::{ask, display, engine, is_one_file, keep, records, value};
use super::{
    Ask, Batch, Command, Continue, Display, Group, Hosts, List, Meter, Mode, Plan, Portion,
    Records, Source, Target, Transfers, Upload, Usage, Way, Where, no_glob, usage,
};
use crate::cli::args::Args;
use crate::cli::exit::Exit;
use crate::cli::glob::Glob;
use crate::cli::values::When;
use crate::cli::{about, manual, template};

/// Turns the words into a command.
pub fn plan(groups: &[Vec<OsString>], warnings: Vec<String>) -> Result<Command, Usage> {
    let mut command = Args::command_for(groups);
    let mut parsed = Vec::new();
    for group in groups {
        let words = std::iter::once(OsString::from("gannet")).chain(group.iter().cloned());
        let args = Args::parse(&mut command, words)
            .map_err(|error| Usage::from(plain_error(&error, group)))?;
        if let Some(text) = printed(&args)? {
            return Ok(Command::Print(text));
        }
        parsed.push((args, group));
    }
    if parsed.iter().any(|(args, _)| !args.input.input_file.is_empty()) {
        if parsed.len() > 1 {
            return usage("--next can't be combined with -i: a batch has one group of options");
        }
        let Some((args, words)) = parsed.into_iter().next() else { return usage("no URL") };
        return batch(args, words, warnings).map(|plan| Command::Run(Box::new(plan)));
    }
    transfers(parsed, warnings).map(|plan| Command::Run(Box::new(plan)))
}

/// clap's message without its decoration.
fn plain_error(error: &clap::Error, words: &[OsString]) -> String {
    if error.kind() == ErrorKind::InvalidUtf8 {
        // It does not say which.
        let other = words.iter().filter(|word| word.to_str().is_none());
        let names: Vec<_> = other.map(|word| word.to_string_lossy().into_owned()).collect();
        return format!(
            "{} is not UTF-8: what has other bytes is read from files (-d @FILE, -H @FILE)",
            names.join(", ")
        );
    }
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let end = match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => text.find("\n\nFor more"),
        _ => text.find("\n\n"),
    };
    let text = end.and_then(|end| text.get(..end)).unwrap_or(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `--help`, `--version` and their kin.
fn printed(args: &Args) -> Result<Option<String>, Usage> {
    if let Some(category) = &args.about.help {
        return match category.as_str() {
            "" => Ok(Some(manual::short())),
            "all" => Ok(Some(manual::long())),
            other => match manual::failure(other) {
                Some(text) => Ok(Some(text)),
                None => usage(format!(
                    "there is no help on '{other}' (--help, --help all, or the name of a failure)"
                )),
            },
        };
    }
    if args.about.version {
        return Ok(Some(about::version()));
    }
    if let Some(shell) = args.about.completions {
        let mut out = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "gannet", &mut out);
        let text = String::from_utf8_lossy(&out).into_owned();
        return Ok(Some(match shell {
            // What follows a bare # is a comment there; clap_complete does not know.
            clap_complete::Shell::Fish => text.replace(" -s # ", " -s '#' "),
            _ => text,
        }));
    }
    if args.about.man {
        let out = manual::man().map_err(|error| Usage::from(error.to_string()))?;
        return Ok(Some(String::from_utf8_lossy(&out).into_owned()));
    }
    Ok(None)
}

fn transfers(
    parsed: Vec<(Args, &Vec<OsString>)>,
    mut warnings: Vec<String>,
) -> Result<Plan, Usage> {
    let mut groups = Vec::new();
    let mut shared: Option<(Display, Records, bool, bool)> = None;
    for (args, words) in parsed {
        refuse_in_transfers(&args)?;
        let (display, records) = (display(&args), records(&args)?);
        let parallel = args.pace.parallel;
        let early = args.output.fail_early;
        shared = Some(match shared.take() {
            None => (display, records, parallel, early),
            // What concerns the whole run holds for all groups, as curl's global options.
            Some((before, kept, p, e)) => (
                merge(before, display),
                if records.results.is_some() { records } else { kept },
                p || parallel,
                e || early,
            ),
        });
        let before =
            groups.iter().flat_map(|group: &Group| &group.targets).map(|target| target.number + 1);
        let targets = targets(&args, words, before.max().unwrap_or(0), &mut warnings)?;
        if targets.is_empty() {
            return usage("no URL was given (gannet URL, gannet -i LIST, gannet --help)");
        }
        let ask = ask(&args, words, Mode::Transfers, &mut warnings)?;
        if (ask.etag_save.is_some() || ask.etag_compare.is_some())
            && (targets.len() > 1 || targets.iter().any(|target| target.url.is_several()))
        {
            return usage("--etag-save and --etag-compare are for one URL: one file holds one tag");
        }
        let has_upload = targets.iter().any(|target| target.upload.is_some());
        if has_upload && ask.profile.body.is_some() {
            return usage("-T can't be combined with -d or --json: one request has one body");
        }
        if ask.profile.body.is_some() && ask.resume != Continue::No {
            return usage("-C can't be combined with -d or --json: there is no file to go on with");
        }
        if has_upload && ask.profile.head {
            return usage("-T can't be combined with -I");
        }
        let remote_all = args.output.remote_name_all;
        let keep = keep(&args, words, if remote_all { Where::Remote } else { Where::Stdout })?;
        let mut engine = engine(&args, Mode::Transfers)?;
        if let Some(earlier) = groups.last() {
            // As curl: what was said of a name is known from then on.
            let said = earlier.engine.resolve.iter().cloned();
            engine.resolve = said.chain(engine.resolve).collect();
        }
        groups.push(Group { targets, ask, keep, engine });
    }
    share_retries(&mut groups);
    let Some((display, records, parallel, fail_early)) = shared else {
        return usage("no URL was given");
    };
    if records.resume.is_some() {
        return usage("--resume needs a list (-i); -C - goes on with one file");
    }
    Ok(Plan {
        way: Way::Transfers(Transfers { groups, parallel, fail_early }),
        display,
        records,
        warnings,
    })
}

/// Groups with `--retry` and others can use one fetcher, and so one connection: what each repeats, it
/// says itself. Not where something goes up: that a repeat would be due makes another failure of an
/// upload that can't be repeated.
fn share_retries(groups: &mut [Group]) {
    let mut targets = groups.iter().flat_map(|group| &group.targets);
    if targets.all(|target| target.upload.is_none()) {
        let any = groups.iter().any(|group| group.engine.retry_timeouts);
        for group in groups {
            group.engine.retry_timeouts = any;
        }
    }
}

fn merge(one: Display, other: Display) -> Display {
    Display {
        silent: one.silent || other.silent,
        errors: if one.errors { other.errors || one.silent } else { other.silent && other.errors },
        verbose: one.verbose || other.verbose,
        summary: one.summary && other.summary,
        progress: if other.progress == When::Auto { one.progress } else { other.progress },
        meter: if one.meter == Meter::Bar { Meter::Bar } else { other.meter },
        color: if other.color == When::Auto { one.color } else { other.color },
    }
}

fn refuse_in_transfers(args: &Args) -> Result<(), Usage> {
    let only_batch = [
        (args.input.shard.is_some(), "--shard"),
        (args.input.window.is_some(), "--window"),
        (args.output.keep_errors, "--keep-errors"),
        (args.output.exit_zero, "--exit-zero"),
        (!args.request.auth_host.is_empty(), "--auth-host"),
        (args.pace.max_failures.is_some(), "--max-failures"),
        (args.time.deadline.is_some(), "--deadline"),
    ];
    for (given, name) in only_batch {
        if given {
            return usage(format!("{name} is for batches (-i LIST)"));
        }
    }
    // A transfer has a record only where one is asked for.
    without_records(args)
}

/// What concerns records, where there are none.
fn without_records(args: &Args) -> Result<(), Usage> {
    let records = &args.records;
    let of_records = [
        (records.sha256, "--sha256"),
        (!records.record_headers.is_empty(), "--record-headers"),
        (records.record_body.is_some(), "--record-body"),
        (records.unbuffered, "--unbuffered"),
    ];
    for (given, name) in of_records {
        if given && records.results.is_none() {
            return usage(format!("{name} concerns records: --results FILE says where they go"));
        }
    }
    Ok(())
}

/// Files that one glob of `-T` may name.
const MOST_UPLOADS: u64 = 10_000;

/// Pairs the n-th output and the n-th upload with the n-th URL. `before`: so many stand in earlier
/// groups.
fn targets(
    args: &Args,
    words: &[OsString],
    before: u64,
    warnings: &mut Vec<String>,
) -> Result<Vec<Target>, Usage> {
    let mut outputs = Vec::new();
    let mut urls = Vec::new();
    for word in words {
        if let Some(name) = value(word, "output") {
            if name.is_empty() {
                return usage("-o needs a name");
            }
            outputs.push(if name == "-" { Where::Stdout } else { Where::Name(name.to_owned()) });
        } else if word == "--remote-name" {
            outputs.push(Where::Remote);
        } else if word == "--out-null" {
            outputs.push(Where::Nowhere);
        } else if let Some(url) = value(word, "url") {
            urls.push(url);
        }
    }
    // The lines of a list count like URLs of the command line.
    let list = urls.last().is_some_and(|url| url.starts_with('@'));
    if outputs.len() > urls.len() && !list {
        warnings.push("there are more -o, -O or --out-null than URLs".to_owned());
    }
    let rest = if args.output.remote_name_all { Where::Remote } else { Where::Stdout };
    let mut targets = Vec::new();
    for (at, &url) in urls.iter().enumerate() {
        if url.is_empty() {
            return usage("a URL is expected, and there is an empty word (an empty variable?)");
        }
        let (number, is_first) = (before + at as u64, true);
        let source = match url.strip_prefix('@') {
            Some("-") => Source::Stdin,
            Some(file) => Source::File(PathBuf::from(file)),
            None if args.input.globoff => Source::Glob(Glob::literal(url)),
            None => Source::Glob(Glob::parse(url).map_err(no_glob)?),
        };
        let upload = args.request.upload_file.get(at).filter(|file| !file.is_empty());
        let output = match source {
            Source::Glob(_) => outputs.get(at).unwrap_or(&rest).clone(),
            Source::File(_) | Source::Stdin => outputs.get(at).cloned().unwrap_or(Where::Remote),
        };
        let is_list = !matches!(source, Source::Glob(_));
        let mut more = VecDeque::new();
        if is_list && at + 1 == urls.len() {
            more.extend(outputs.iter().skip(at + 1).cloned());
            if args.request.upload_file.len() > at + 1 {
                return usage("several -T with --url @FILE: name the URLs one by one");
            }
        }
        match upload.map(String::as_str) {
            None => {
                targets.push(Target { url: source, number, output, upload: None, more, is_first });
            }
            Some("-" | ".") => {
                let upload = Some(Upload::Stdin);
                targets.push(Target { url: source, number, output, upload, more, is_first });
            }
            Some(files) => {
                let files = if args.input.globoff {
                    Glob::literal(files)
                } else {
                    Glob::parse(files).map_err(no_glob)?
                };
                if is_list && files.count() > 1 {
                    return usage("several -T with --url @FILE: name the URLs one by one");
                }
                if files.count() > MOST_UPLOADS {
                    return usage(format!("-T names more than {MOST_UPLOADS} files at once"));
                }
                for which in 0..files.count() {
                    let mut file = String::new();
                    files.write(which, &mut file);
                    let upload = Some(Upload::File(PathBuf::from(file)));
                    let output = match &output {
                        Where::Name(name) => Where::Name(files.named(which, name)),
                        other => other.clone(),
                    };
                    let more = more.clone();
                    targets.push(Target {
                        url: source.clone(),
                        number,
                        output,
                        upload,
                        more,
                        is_first,
                    });
                }
            }
        }
    }
    for target in &targets {
        refers_to_sets(args, &target.url, &target.output)?;
    }
    Ok(targets)
}

/// What `-o` names as `#<name>` is a set of its URL, as curl has it.
fn refers_to_sets(args: &Args, source: &Source, output: &Where) -> Result<(), Usage> {
    if !args.input.globoff
        && let (Source::Glob(glob), Where::Name(name)) = (source, output)
        && let Some(missing) = glob.missing(name)
    {
        let text =
            format!("-o {name} refers to a set <{missing}>, and the URL has none of that name");
        return Err(Usage { text, exit: Exit::curl(43) });
    }
    Ok(())
}

fn batch(args: Args, words: &[OsString], mut warnings: Vec<String>) -> Result<Plan, Usage> {
    let refused = [
        (!args.request.upload_file.is_empty(), "-T"),
        (args.request.etag_save.is_some(), "--etag-save"),
        (args.request.etag_compare.is_some(), "--etag-compare"),
        (args.output.show_headers, "--show-headers"),
        (args.output.fail_early, "--fail-early"),
        (!args.output.out_null.is_empty(), "--out-null"),
        (args.pace.parallel, "-Z"),
    ];
    for (given, name) in refused {
        if given && name != "-Z" {
            return usage(format!("{name} is for transfers; it can't be combined with -i"));
        }
    }
    if args.output.write_out.is_some() {
        return usage("-w is for transfers; with -i the records tell it: --results FILE");
    }
    let mut lists = Vec::new();
    // By the words because of the order; the names themselves may be of any bytes.
    let mut files = args.input.input_file.iter();
    for word in words {
        if let Some(url) = value(word, "url") {
            match url.strip_prefix('@') {
                Some("-") => lists.push(List::Stdin),
                Some(file) => lists.push(List::File(PathBuf::from(file))),
                None if args.input.globoff => lists.push(List::Url(Glob::literal(url))),
                None => lists.push(List::Url(Glob::parse(url).map_err(no_glob)?)),
            }
        } else if word.as_encoded_bytes().starts_with(b"--input-file=")
            && let Some(path) = files.next()
        {
            lists.push(list_of(path)?);
        }
    }
    if lists.iter().filter(|list| **list == List::Stdin).count() > 1 {
        return usage("standard input can be read as a list only once");
    }
    let ask = ask(&args, words, Mode::Batch, &mut warnings)?;
    if matches!(ask.resume, Continue::At(_)) {
        return usage("-C with an offset is for transfers; with -i use -C - or --resume");
    }
    let auth_hosts = auth_hosts(&args, &ask)?;
    let mut records = records(&args)?;
    if let Some(resume) = &mut records.resume {
        resume.portion = args.input.shard.map(|shard| Portion { shard, rules: ask.rules });
    }
    refuse_over_lists(&lists, &records)?;
    let output = batch_output(&args)?;
    let to_stdout = output == Where::Stdout;
    if to_stdout && records.results.as_deref().is_some_and(|path| path.as_os_str() == "-") {
        return usage("-o - and --results - both want standard output: give --results a file");
    }
    if to_stdout {
        without_records(&args)?;
    }
    let records_to_stdout =
        records.results.as_deref().map_or(!to_stdout, |path| path.as_os_str() == "-");
    if records_to_stdout && args.output.dump_header.as_deref() == Some("-") {
        return usage("-D - and the records both want standard output: give --results a file");
    }
    if let (Where::Name(name), Some(results)) = (&output, &records.results)
        && is_one_file(Path::new(name), results)
    {
        return usage("-o and --results name one file: give each its own");
    }
    if args.bounds.max_line.is_some_and(|bytes| bytes < 64) {
        return usage("--max-line is at least 64: no list has shorter URLs only");
    }
    let keep = keep(&args, words, output)?;
    let engine = engine(&args, Mode::Batch)?;
    let batch = Batch {
        lists,
        ask,
        keep,
        engine,
        window: args.input.window.unwrap_or(4096),
        shard: args.input.shard,
        auth_hosts,
        deadline: args.time.deadline,
        max_failures: args.pace.max_failures,
        exit_zero: args.output.exit_zero,
        max_line: args.bounds.max_line.unwrap_or(1 << 20).clamp(64, 1 << 30) as usize,
    };
    Ok(Plan { way: Way::Batch(Box::new(batch)), display: display(&args), records, warnings })
}

/// What is written must not take the place of a list that is read.
fn refuse_over_lists(lists: &[List], records: &Records) -> Result<(), Usage> {
    let place = |path: &Path| std::fs::canonicalize(path).ok().filter(|path| path.is_file());
    for (written, option) in [(&records.results, "--results"), (&records.summary, "--summary")] {
        let Some(written) = written.as_deref().and_then(place) else { continue };
        for list in lists {
            if let List::File(path) = list
                && place(path).as_ref() == Some(&written)
            {
                return usage(format!("{option} would overwrite the list {}", path.display()));
            }
        }
    }
    Ok(())
}

/// What `-i` names.
fn list_of(path: &Path) -> Result<List, Usage> {
    if path.as_os_str() == "-" {
        return Ok(List::Stdin);
    }
    let shown = path.display();
    if path.to_str().is_some_and(|name| name.contains("://")) && !path.exists() {
        return usage(format!(
            "-i names a list, and '{shown}' looks like a URL: curl's -i is --show-headers here"
        ));
    }
    if path.is_dir() {
        return usage(format!("the list {shown} is a folder"));
    }
    // A pipe is opened once, where it is read: whoever writes to it must not see it closed.
    let readable = std::fs::metadata(path)
        .and_then(|meta| if meta.is_file() { std::fs::File::open(path).map(drop) } else { Ok(()) });
    if let Err(error) = readable {
        return usage(format!("can't read the list {shown}: {error}"));
    }
    Ok(List::File(path.to_owned()))
}

/// Where a batch's bodies go.
fn batch_output(args: &Args) -> Result<Where, Usage> {
    let mut templates = args.output.output.iter();
    let remote = !args.output.remote_name.is_empty() || args.output.remote_name_all;
    Ok(match (templates.next(), templates.next()) {
        (Some(_), Some(_)) => {
            return usage("a batch takes one -o: a template such as {host}/{n:08}{ext}");
        }
        (Some(_), None) if remote => return usage("-o and -O can't be combined in a batch"),
        (Some(template), None) => match template.as_str() {
            "" => return usage("-o needs a name"),
            "-" => Where::Stdout,
            template => {
                template::Template::parse(template)?;
                Where::Name(template.to_owned())
            }
        },
        (None, _) if remote => Where::Remote,
        (None, _) if args.output.remote_header_name => return usage("-J goes with -O"),
        (None, _) if args.output.output_dir.is_some() => Where::Name("{n:08}{ext}".to_owned()),
        (None, _) => Where::Nowhere,
    })
}

fn auth_hosts(args: &Args, ask: &Ask) -> Result<Hosts, Usage> {
    let secret_header =
        ask.profile.fields.iter().any(|field| field.value().is_some() && field.is_secret());
    if args.request.auth_host.is_empty() {
        if ask.profile.auth.is_some() || secret_header {
            return usage(
                "-u, --oauth2-bearer and -H of Authorization or Cookie need --auth-host HOST,… (or all) in a batch: say which hosts they are meant for",
            );
        }
        return Ok(Hosts::These(Vec::new()));
    }
    let mut hosts = Vec::new();
    for host in &args.request.auth_host {
        // With a port or a scheme it would fit nothing, and the secret would be missed in silence.
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let is_address = bare.parse::<std::net::IpAddr>().is_ok();
        if bare.is_empty() || !is_address && bare.contains([':', '/', '@', '[', ']', ' ', '*']) {
            return usage(format!(
                "--auth-host takes hosts as URLs name them, without scheme and port, and '{host}' is none"
            ));
        }
        if host == "all" {
            return Ok(Hosts::All);
        }
        hosts.push(bare.to_ascii_lowercase());
    }
    Ok(Hosts::These(hosts))
}
