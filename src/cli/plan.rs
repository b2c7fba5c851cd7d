//! What it means: the options of `args` turned into decisions, defaults filled in, contradictions
//! named. From here on nothing knows how it was typed.
//!
//! Owns the difference between the two ways to run, and which output belongs to which URL. Reads
//! the small files that make up a request (`-d @FILE`, `-H @FILE`, `-w @FILE`).

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::args::Args;
use super::data::{self, Header};
use super::glob::Glob;
use super::values::{BodyForm, Net, Offline, Rate, ResumeKey, Shard, When};

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Fetch.
    Run(Box<Plan>),
    /// Print this and end well.
    Print(String),
}

/// A whole run.
#[derive(Debug)]
pub struct Plan {
    /// Transfers or a batch.
    pub way: Way,
    /// What a person sees.
    pub display: Display,
    /// Records, if any.
    pub records: Records,
    /// Things to say before it begins.
    pub warnings: Vec<String>,
}

/// The two ways to run.
#[derive(Debug)]
pub enum Way {
    /// As curl: the groups one after another.
    Transfers(Transfers),
    /// A list.
    Batch(Box<Batch>),
}

/// URLs named on the command line.
#[derive(Debug)]
pub struct Transfers {
    /// Between `--next`.
    pub groups: Vec<Group>,
    /// All at once.
    pub parallel: bool,
    /// Stop at the first failure.
    pub fail_early: bool,
}

/// One group of transfers.
#[derive(Debug)]
pub struct Group {
    /// In order.
    pub targets: Vec<Target>,
    /// What is asked.
    pub ask: Ask,
    /// Where it goes.
    pub keep: Keep,
    /// What the fetcher is made with.
    pub engine: Engine,
}

/// A batch.
#[derive(Debug)]
pub struct Batch {
    /// In order.
    pub lists: Vec<List>,
    /// What is asked of each.
    pub ask: Ask,
    /// Where bodies go.
    pub keep: Keep,
    /// What the fetcher is made with.
    pub engine: Engine,
    /// Jobs read ahead.
    pub window: u32,
    /// Only these hosts.
    pub shard: Option<Shard>,
    /// Hosts that may get the credentials of the command line; `None`: there are none.
    pub auth_hosts: Hosts,
    /// When the whole batch ends.
    pub deadline: Option<Duration>,
    /// After so many failures too.
    pub max_failures: Option<u64>,
    /// Bytes of a line.
    pub max_line: usize,
}

/// A list to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum List {
    /// URLs of the command line.
    Url(Glob),
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// Some hosts, or all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hosts {
    /// Every host.
    All,
    /// These, in lower case.
    These(Vec<String>),
}

/// One URL (or glob) of a transfer and what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// What to fetch.
    pub url: Source,
    /// Where its body goes.
    pub output: Where,
    /// What is sent with it.
    pub upload: Option<Upload>,
}

/// Where a URL comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The command line.
    Glob(Glob),
    /// `@FILE`: a URL a line.
    File(PathBuf),
    /// `@-`.
    Stdin,
}

/// Where a body goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Where {
    /// Standard output.
    Stdout,
    /// This name, or a template in a batch.
    Name(String),
    /// The name in the URL (and, with `-J`, in the answer).
    Remote,
    /// Nowhere.
    Nowhere,
}

/// A body that is sent from a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Upload {
    /// This file.
    File(PathBuf),
    /// Standard input, in chunks.
    Stdin,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// `-X`.
    pub method: Option<String>,
    /// `-I`.
    pub head: bool,
    /// Of `-H`, with what `-d` and `--json` add.
    pub headers: Vec<Header>,
    /// `-A`; empty: none is sent.
    pub user_agent: Option<String>,
    /// `-e`.
    pub referer: Option<String>,
    /// `-e ;auto`.
    pub auto_referer: bool,
    /// Of `-d`.
    pub body: Option<Arc<[u8]>>,
    /// Added to the query.
    pub query: Option<String>,
    /// `-r`, without `bytes=`.
    pub range: Option<String>,
    /// Leave dot segments.
    pub path_as_is: bool,
    /// Credentials of the command line.
    pub auth: Option<Auth>,
    /// `.netrc`.
    pub netrc: Option<Netrc>,
    /// Redirects.
    pub follow: Follow,
    /// Most of them.
    pub max_redirs: Option<u32>,
    /// Ask for compressed answers.
    pub compressed: bool,
    /// `-z`.
    pub time_cond: Option<TimeCond>,
    /// `--etag-save`.
    pub etag_save: Option<PathBuf>,
    /// `--etag-compare`.
    pub etag_compare: Option<PathBuf>,
    /// `-C`.
    pub resume: Continue,
    /// `--max-filesize`.
    pub max_filesize: Option<u64>,
    /// `--truncate`.
    pub truncate: Option<u64>,
    /// `--accept-type`, in lower case.
    pub accept_types: Vec<String>,
    /// `--reject-type`, in lower case.
    pub reject_types: Vec<String>,
}

/// Credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Auth {
    /// `user:password`.
    Basic(String),
    /// A token.
    Bearer(String),
}

/// Where names and passwords of hosts are found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Netrc {
    /// The file; `None`: `~/.netrc`.
    pub file: Option<PathBuf>,
    /// It may be missing, and the URL's own user goes first.
    pub optional: bool,
}

/// Which redirects are followed, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follow {
    /// None.
    No,
    /// `-L`.
    Location,
    /// `--follow`.
    Standard,
}

/// `-z`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeCond {
    /// Only if *not* modified since.
    pub unless: bool,
    /// The date, as it is sent.
    pub date: String,
}

/// `-C`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Continue {
    /// From the start.
    No,
    /// From where the file ends.
    Auto,
    /// From here.
    At(u64),
}

/// Where bodies and what else was received go.
#[derive(Clone, Debug)]
pub struct Keep {
    /// For a batch: where bodies go.
    pub output: Where,
    /// The folder for files.
    pub dir: Option<PathBuf>,
    /// Make missing folders.
    pub create_dirs: bool,
    /// The server's own name.
    pub header_name: bool,
    /// What happens to files that are there.
    pub existing: Existing,
    /// Bodies of answers with status 400 and above too.
    pub errors: bool,
    /// The server's time on the file.
    pub remote_time: bool,
    /// `-D`.
    pub dump_header: Option<String>,
    /// Heads before bodies.
    pub show_headers: bool,
    /// `-f`.
    pub fail: Fail,
    /// Remove files of failed transfers.
    pub remove_on_error: bool,
    /// On the disk before it counts.
    pub fsync: bool,
    /// `-w`.
    pub write_out: Option<String>,
}

/// What happens when the file is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// Overwritten; with `-J` kept.
    Default,
    /// Overwritten.
    Clobber,
    /// Another name is found.
    Keep,
    /// The URL is not fetched.
    Skip,
}

/// What a status of 400 or more means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fail {
    /// An answer like any other.
    No,
    /// A failure, its body not written.
    Quietly,
    /// A failure, its body written.
    WithBody,
}

/// What the fetcher is made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Engine {
    /// Whether this is a batch, with a batch's defaults.
    pub batch: bool,
    pub per_host: PerHost,
    pub max_per_host: Option<u16>,
    pub max_connections: Option<u32>,
    pub rate: Option<Rate>,
    pub rate_per_host: Option<Rate>,
    pub limit_rate: Option<u64>,
    pub limit_rate_total: Option<u64>,
    pub delay: Duration,
    pub reuse: bool,
    pub idle_timeout: Option<Duration>,
    pub attempts: u32,
    pub retry_delay: Option<Duration>,
    pub retry_max_time: Option<Duration>,
    pub max_retry_after: Option<Duration>,
    pub host_down_after: Option<Duration>,
    pub retry_all_errors: bool,
    pub retry_unsafe: bool,
    pub offline_wait: bool,
    pub backoff_base: Option<Duration>,
    pub backoff_cap: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub tls_timeout: Option<Duration>,
    pub first_byte_timeout: Option<Duration>,
    pub stall_timeout: Option<Duration>,
    /// Bytes a second, for so many seconds.
    pub low_speed: Option<(u32, u32)>,
    pub max_time: Option<Duration>,
    pub expect_timeout: Option<Duration>,
    pub keepalive: Option<Duration>,
    pub cacert: Option<PathBuf>,
    pub ca_native: bool,
    pub insecure: bool,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub tls_min_1_3: bool,
    pub tls_max_1_2: bool,
    pub pins: Option<String>,
    pub ip: Ip,
    pub resolve: Vec<String>,
    pub connect_to: Vec<String>,
    pub dns_servers: Vec<String>,
    pub interface: Option<String>,
    pub happy_eyeballs: Option<Duration>,
    pub deny: Vec<Net>,
    pub allow: Vec<Net>,
    pub proto: Protos,
    pub proto_redir: Protos,
    pub proto_default: Option<String>,
    pub location_trusted: bool,
    pub post301: bool,
    pub post302: bool,
    pub post303: bool,
    pub limits: Limits,
    pub record_wire: Option<PathBuf>,
}

/// Bounds that were named.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    pub head_size: Option<u64>,
    pub head_fields: Option<u16>,
    pub interim: Option<u16>,
    pub chunk_extensions: Option<u64>,
    pub trailer_size: Option<u64>,
    pub decode_ratio: Option<u32>,
}

/// Connections a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PerHost {
    /// Found out.
    Auto,
    /// Exactly.
    Fixed(u16),
}

/// Families of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ip {
    Any,
    V4,
    V6,
}

/// Schemes that may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protos {
    pub http: bool,
    pub https: bool,
}

/// What a person sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Display {
    /// Neither progress nor messages.
    pub silent: bool,
    /// Error messages.
    pub errors: bool,
    pub verbose: bool,
    pub summary: bool,
    pub progress: When,
    pub color: When,
}

/// What is said about each URL, and what was said before.
#[derive(Clone, Debug)]
pub struct Records {
    pub results: Option<PathBuf>,
    pub overwrite: bool,
    pub summary: Option<PathBuf>,
    pub resume: Option<Resume>,
    pub headers: RecordHeaders,
    pub body: Option<BodyForm>,
    pub body_max: u64,
    pub sha256: bool,
    pub unbuffered: bool,
}

/// Header fields in records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordHeaders {
    None,
    All,
    /// In lower case.
    These(Vec<String>),
}

/// How an earlier run is taken up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resume {
    pub key: ResumeKey,
    /// Kinds to fetch again; empty: all.
    pub kinds: Vec<String>,
    /// Statuses to fetch again.
    pub statuses: Vec<StatusClass>,
}

/// `404` or `5xx`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusClass {
    pub low: u16,
    pub high: u16,
}

/// Why the command line can't be used.
#[derive(Debug)]
pub struct Usage(pub String);

impl From<String> for Usage {
    fn from(text: String) -> Self {
        Self(text)
    }
}

fn usage<T>(text: impl Into<String>) -> Result<T, Usage> {
    Err(Usage(text.into()))
}

/// Turns the words into a command.
pub fn plan(groups: &[Vec<OsString>], warnings: Vec<String>) -> Result<Command, Usage> {
    let mut parsed = Vec::new();
    for group in groups {
        let words = std::iter::once(OsString::from("gannet")).chain(group.iter().cloned());
        let args = Args::try_parse_from(words).map_err(|error| Usage(plain_error(&error)))?;
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
fn plain_error(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let end = match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => text.find("\n\nFor more"),
        _ => text.find("\n\n"),
    };
    text[..end.unwrap_or(text.len())].trim().to_owned()
}

/// `--help`, `--version` and their kin.
fn printed(args: &Args) -> Result<Option<String>, Usage> {
    let mut command = Args::command();
    if let Some(category) = &args.about.help {
        return match category.as_str() {
            "" => Ok(Some(command.render_help().to_string())),
            "all" => Ok(Some(command.render_long_help().to_string())),
            other => usage(format!("there is no help on '{other}' (--help, or --help all)")),
        };
    }
    if args.about.version {
        return Ok(Some(super::about::version()));
    }
    if let Some(shell) = args.about.completions {
        let mut out = Vec::new();
        clap_complete::generate(shell, &mut command, "gannet", &mut out);
        return Ok(Some(String::from_utf8_lossy(&out).into_owned()));
    }
    if args.about.man {
        let mut out = Vec::new();
        clap_mangen::Man::new(command).render(&mut out).map_err(|error| Usage(error.to_string()))?;
        return Ok(Some(String::from_utf8_lossy(&out).into_owned()));
    }
    Ok(None)
}

/// The value of a word, if it is this option.
fn value<'a>(word: &'a OsString, option: &str) -> Option<&'a str> {
    word.to_str()?.strip_prefix("--")?.strip_prefix(option)?.strip_prefix('=')
}

fn transfers(parsed: Vec<(Args, &Vec<OsString>)>, mut warnings: Vec<String>) -> Result<Plan, Usage> {
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
            Some((before, kept, p, e)) => (merge(before, display), if records.results.is_some() { records } else { kept }, p || parallel, e || early),
        });
        let targets = targets(&args, words, &mut warnings)?;
        if targets.is_empty() {
            return usage("no URL was given (gannet URL, gannet -i LIST, gannet --help)");
        }
        let ask = ask(&args, words, false, &mut warnings)?;
        let has_upload = targets.iter().any(|target| target.upload.is_some());
        if has_upload && ask.body.is_some() {
            return usage("-T can't be combined with -d or --json: one request has one body");
        }
        if has_upload && ask.head {
            return usage("-T can't be combined with -I");
        }
        let remote_all = args.output.remote_name_all;
        let keep = keep(&args, if remote_all { Where::Remote } else { Where::Stdout })?;
        groups.push(Group { targets, ask, keep, engine: engine(&args, false)? });
    }
    let Some((display, records, parallel, fail_early)) = shared else { return usage("no URL was given") };
    if records.resume.is_some() {
        return usage("--resume needs a list (-i); -C - goes on with one file");
    }
    Ok(Plan { way: Way::Transfers(Transfers { groups, parallel, fail_early }), display, records, warnings })
}

fn merge(one: Display, other: Display) -> Display {
    Display {
        silent: one.silent || other.silent,
        errors: (one.errors && other.errors) || (one.silent && one.errors) || (other.silent && other.errors),
        verbose: one.verbose || other.verbose,
        summary: one.summary && other.summary,
        progress: if other.progress == When::Auto { one.progress } else { other.progress },
        color: if other.color == When::Auto { one.color } else { other.color },
    }
}

fn refuse_in_transfers(args: &Args) -> Result<(), Usage> {
    let only_batch = [
        (args.input.shard.is_some(), "--shard"),
        (args.input.window.is_some(), "--window"),
        (args.output.keep_errors, "--keep-errors"),
        (!args.request.auth_host.is_empty(), "--auth-host"),
        (args.pace.max_failures.is_some(), "--max-failures"),
        (args.time.deadline.is_some(), "--deadline"),
    ];
    for (given, name) in only_batch {
        if given {
            return usage(format!("{name} is for batches (-i LIST)"));
        }
    }
    Ok(())
}

/// Pairs the n-th output and the n-th upload with the n-th URL.
fn targets(args: &Args, words: &[OsString], warnings: &mut Vec<String>) -> Result<Vec<Target>, Usage> {
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
        } else if let Some(url) = value(word, "url") {
            urls.push(url);
        }
    }
    if outputs.len() > urls.len() {
        warnings.push("there are more -o or -O than URLs".to_owned());
    }
    let rest = if args.output.remote_name_all { Where::Remote } else { Where::Stdout };
    let mut targets = Vec::new();
    for (at, url) in urls.into_iter().enumerate() {
        let source = match url.strip_prefix('@') {
            Some("-") => Source::Stdin,
            Some(file) => Source::File(PathBuf::from(file)),
            None if args.input.globoff => Source::Glob(Glob::literal(url)),
            None => Source::Glob(Glob::parse(url)?),
        };
        let output = match source {
            Source::Glob(_) => outputs.get(at).unwrap_or(&rest).clone(),
            Source::File(_) | Source::Stdin => Where::Remote,
        };
        let upload = args.request.upload_file.get(at).filter(|file| !file.is_empty()).map(|file| match file.as_str() {
            "-" | "." => Upload::Stdin,
            file => Upload::File(PathBuf::from(file)),
        });
        targets.push(Target { url: source, output, upload });
    }
    Ok(targets)
}

fn batch(args: Args, words: &[OsString], mut warnings: Vec<String>) -> Result<Plan, Usage> {
    let refused = [
        (!args.request.upload_file.is_empty(), "-T"),
        (args.request.etag_save.is_some(), "--etag-save"),
        (args.request.etag_compare.is_some(), "--etag-compare"),
        (args.output.show_headers, "--show-headers"),
        (args.output.fail_early, "--fail-early"),
        (args.pace.parallel, "-Z"),
    ];
    for (given, name) in refused {
        if given && name != "-Z" {
            return usage(format!("{name} is for transfers; it can't be combined with -i"));
        }
    }
    let mut lists = Vec::new();
    for word in words {
        if let Some(url) = value(word, "url") {
            match url.strip_prefix('@') {
                Some("-") => lists.push(List::Stdin),
                Some(file) => lists.push(List::File(PathBuf::from(file))),
                None if args.input.globoff => lists.push(List::Url(Glob::literal(url))),
                None => lists.push(List::Url(Glob::parse(url)?)),
            }
        } else if let Some(file) = value(word, "input-file") {
            if file == "-" {
                lists.push(List::Stdin);
                continue;
            }
            let path = PathBuf::from(file);
            if file.contains("://") && !path.exists() {
                return usage(format!("-i names a list, and '{file}' looks like a URL: curl's -i is --show-headers here"));
            }
            if path.is_dir() {
                return usage(format!("the list {file} is a folder"));
            }
            if let Err(error) = std::fs::File::open(&path) {
                return usage(format!("can't read the list {file}: {error}"));
            }
            lists.push(List::File(path));
        }
    }
    if lists.iter().filter(|list| **list == List::Stdin).count() > 1 {
        return usage("standard input can be read as a list only once");
    }
    let ask = ask(&args, words, true, &mut warnings)?;
    if matches!(ask.resume, Continue::At(_)) {
        return usage("-C with an offset is for transfers; with -i use -C - or --resume");
    }
    let auth_hosts = auth_hosts(&args, &ask)?;
    let records = records(&args)?;
    let output = batch_output(&args)?;
    let to_stdout = output == Where::Stdout;
    if to_stdout && records.results.as_deref().is_some_and(|path| path.as_os_str() == "-") {
        return usage("-o - and --results - both want standard output: give --results a file");
    }
    let keep = keep(&args, output)?;
    let engine = engine(&args, true)?;
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
        max_line: args.bounds.max_line.unwrap_or(1 << 20).clamp(64, 1 << 30) as usize,
    };
    Ok(Plan { way: Way::Batch(Box::new(batch)), display: display(&args), records, warnings })
}

/// Where a batch's bodies go.
fn batch_output(args: &Args) -> Result<Where, Usage> {
    let mut templates = args.output.output.iter();
    let remote = !args.output.remote_name.is_empty() || args.output.remote_name_all;
    Ok(match (templates.next(), templates.next()) {
        (Some(_), Some(_)) => return usage("a batch takes one -o: a template such as {host}/{n:08}{ext}"),
        (Some(_), None) if remote => return usage("-o and -O can't be combined in a batch"),
        (Some(template), None) => match template.as_str() {
            "" => return usage("-o needs a name"),
            "-" => Where::Stdout,
            template => {
                super::template::Template::parse(template)?;
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
    let secret_header = ask.headers.iter().any(|header| {
        matches!(header, Header::Set(..))
            && ["authorization", "cookie", "proxy-authorization"].iter().any(|name| header.name().eq_ignore_ascii_case(name))
    });
    if args.request.auth_host.is_empty() {
        if ask.auth.is_some() || secret_header {
            return usage("-u, --oauth2-bearer and -H of Authorization or Cookie need --auth-host HOST,… (or all) in a batch: say which hosts they are meant for");
        }
        return Ok(Hosts::These(Vec::new()));
    }
    if args.request.auth_host.iter().any(|host| host == "all") {
        return Ok(Hosts::All);
    }
    Ok(Hosts::These(args.request.auth_host.iter().map(|host| host.to_ascii_lowercase()).collect()))
}

fn ask(args: &Args, words: &[OsString], batch: bool, warnings: &mut Vec<String>) -> Result<Ask, Usage> {
    let request = &args.request;
    let mut pieces = Vec::new();
    for word in words {
        let kinds = [
            ("data", data::Kind::Plain),
            ("data-ascii", data::Kind::Plain),
            ("data-raw", data::Kind::Raw),
            ("data-binary", data::Kind::Binary),
            ("data-urlencode", data::Kind::Encoded),
            ("json", data::Kind::Json),
        ];
        if let Some((kind, text)) = kinds.iter().find_map(|(name, kind)| value(word, name).map(|text| (*kind, text))) {
            pieces.push((kind, text.to_owned()));
        }
    }
    let composed = data::compose(&pieces)?;
    let mut headers = data::headers(&request.header)?;
    let has = |headers: &[Header], name: &str| headers.iter().any(|header| header.name().eq_ignore_ascii_case(name));
    let mut query = Vec::new();
    for text in &request.url_query {
        data::query(text, &mut query)?;
    }
    let mut body = None;
    match composed {
        Some(data) if request.get => {
            if !query.is_empty() && !data.is_empty() {
                query.push(b'&');
            }
            query.extend_from_slice(&data);
        }
        Some(data) => {
            if request.head {
                return usage("-I can't be combined with -d or --json: a HEAD request has no body (with -G they go into the query)");
            }
            let json = !request.json.is_empty();
            if !has(&headers, "content-type") {
                let form: &[u8] = if json { b"application/json" } else { b"application/x-www-form-urlencoded" };
                headers.push(Header::Set("Content-Type".to_owned(), form.to_vec()));
            }
            if json && !has(&headers, "accept") {
                headers.push(Header::Set("Accept".to_owned(), b"application/json".to_vec()));
            }
            body = Some(Arc::from(data));
        }
        None => {}
    }
    let query = (!query.is_empty())
        .then(|| String::from_utf8(query).map_err(|_| Usage("the query is not UTF-8: use --data-urlencode".to_owned())))
        .transpose()?;
    if let Some(method) = &request.request {
        let token = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !token {
            return usage(format!("{method:?} is no method"));
        }
        if method.eq_ignore_ascii_case("head") && !request.head && !batch {
            warnings.push("-X HEAD waits for a body that never comes on some servers: -I is meant for it".to_owned());
        }
    }
    let resume = match args.output.continue_at.as_deref() {
        None => Continue::No,
        Some("-") => Continue::Auto,
        Some(offset) => match offset.parse::<u64>() {
            Ok(0) => Continue::No,
            Ok(offset) => Continue::At(offset),
            Err(_) => return usage(format!("'{offset}' is no offset for -C (a number, or -)")),
        },
    };
    if resume != Continue::No && request.range.is_some() {
        return usage("-C can't be combined with -r");
    }
    if resume != Continue::No && args.output.remove_on_error {
        return usage("-C can't be combined with --remove-on-error");
    }
    let range = request.range.as_deref().map(|range| range_of(range, warnings)).transpose()?;
    let (referer, auto_referer) = match request.referer.as_deref() {
        None => (None, false),
        Some(text) => match text.strip_suffix(";auto") {
            Some(text) => ((!text.is_empty()).then(|| text.to_owned()), true),
            None => (Some(text.to_owned()), false),
        },
    };
    let auth = match (&request.oauth2_bearer, &request.user) {
        (Some(token), _) => Some(Auth::Bearer(token.clone())),
        (None, Some(user)) => Some(Auth::Basic(with_password(user)?)),
        (None, None) => None,
    };
    let netrc = (request.netrc || request.netrc_optional || request.netrc_file.is_some()).then(|| Netrc {
        file: request.netrc_file.clone(),
        optional: request.netrc_optional && !request.netrc,
    });
    Ok(Ask {
        method: request.request.clone(),
        head: request.head,
        headers,
        user_agent: request.user_agent.clone(),
        referer,
        auto_referer,
        body,
        query,
        range,
        path_as_is: request.path_as_is,
        auth,
        netrc,
        follow: match (request.follow, request.location || request.location_trusted) {
            (true, _) => Follow::Standard,
            (false, true) => Follow::Location,
            (false, false) => Follow::No,
        },
        max_redirs: match request.max_redirs {
            None => Some(50),
            Some(-1) => None,
            Some(many) => Some(u32::try_from(many).unwrap_or(u32::MAX)),
        },
        compressed: request.compressed,
        time_cond: request.time_cond.as_deref().and_then(|text| time_cond(text, warnings)),
        etag_save: request.etag_save.clone(),
        etag_compare: request.etag_compare.clone(),
        resume,
        max_filesize: args.output.max_filesize.filter(|&size| size > 0),
        truncate: args.output.truncate,
        accept_types: args.output.accept_type.iter().map(|glob| glob.trim().to_ascii_lowercase()).collect(),
        reject_types: args.output.reject_type.iter().map(|glob| glob.trim().to_ascii_lowercase()).collect(),
    })
}

/// A user without a password: it is asked for on a terminal by curl; here it must be given.
fn with_password(user: &str) -> Result<String, Usage> {
    if user.contains(':') {
        Ok(user.to_owned())
    } else {
        usage("-u needs USER:PASSWORD (an empty password: 'USER:')")
    }
}

/// curl's check of `-r`, and its mending of a lone number.
fn range_of(range: &str, warnings: &mut Vec<String>) -> Result<String, Usage> {
    let good = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b',' | b' ');
    if range.is_empty() || !range.bytes().all(good) || !range.bytes().any(|byte| byte.is_ascii_digit()) {
        return usage(format!("'{range}' is no range (as in 0-499, 500-, -500)"));
    }
    if range.contains('-') {
        return Ok(range.to_owned());
    }
    warnings.push(format!("a range needs a dash: -r {range}- is meant"));
    Ok(format!("{range}-"))
}

/// `-z`: a date, or a file whose time counts; `-` before it turns it round.
fn time_cond(text: &str, warnings: &mut Vec<String>) -> Option<TimeCond> {
    let (unless, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix(['+', '=']).unwrap_or(text)),
    };
    let date = super::date::parse(text).map(super::date::http).or_else(|| {
        let time = std::fs::metadata(text).ok()?.modified().ok()?;
        let seconds = time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        Some(super::date::http(i64::try_from(seconds).ok()?))
    });
    if date.is_none() {
        warnings.push(format!("-z: '{text}' is neither a date nor a file; there is no condition"));
    }
    date.map(|date| TimeCond { unless, date })
}

fn keep(args: &Args, output: Where) -> Result<Keep, Usage> {
    let out = &args.output;
    let write_out = match out.write_out.as_deref() {
        Some(text) => Some(match text.strip_prefix('@') {
            Some(file) => String::from_utf8(data::read(file)?)
                .map_err(|_| Usage(format!("the format in {file} is not UTF-8")))?,
            None => text.to_owned(),
        }),
        None => None,
    };
    if let Some(format) = &write_out {
        super::writeout::Format::parse(format)?;
    }
    Ok(Keep {
        output,
        dir: out.output_dir.clone(),
        create_dirs: out.create_dirs,
        header_name: out.remote_header_name,
        existing: match (out.skip_existing, out.no_clobber, out.clobber) {
            (true, ..) => Existing::Skip,
            (false, true, _) => Existing::Keep,
            (false, false, true) => Existing::Clobber,
            (false, false, false) => Existing::Default,
        },
        errors: out.keep_errors,
        remote_time: out.remote_time,
        dump_header: out.dump_header.clone(),
        show_headers: out.show_headers,
        fail: match (out.fail, out.fail_with_body) {
            (_, true) => Fail::WithBody,
            (true, false) => Fail::Quietly,
            (false, false) => Fail::No,
        },
        remove_on_error: out.remove_on_error,
        fsync: out.fsync,
        write_out,
    })
}

fn engine(args: &Args, batch: bool) -> Result<Engine, Usage> {
    let (pace, retry, time, net) = (&args.pace, &args.retry, &args.time, &args.network);
    let per_host = match pace.per_host.as_deref() {
        None | Some("auto") => PerHost::Auto,
        Some(number) => match number.parse::<u16>() {
            Ok(number @ 1..) => PerHost::Fixed(number),
            _ => return usage(format!("'{number}' is no number of connections for --per-host (1 to 65535, or auto)")),
        },
    };
    if matches!(per_host, PerHost::Fixed(_)) && pace.max_per_host.is_some() {
        return usage("--max-per-host is the ceiling of --per-host auto; with a fixed --per-host it has no meaning");
    }
    let low_speed = match (time.speed_limit, time.speed_time) {
        (None, None) if batch => Some((100, 60)),
        (None, None) => None,
        (Some(0), _) => None,
        (speed, seconds) => Some((speed.unwrap_or(1), seconds.unwrap_or(30))),
    };
    if net.key.is_some() && net.cert.is_none() {
        return usage("--key belongs to --cert");
    }
    if net.tlsv1_3 && net.tls_max.as_deref() == Some("1.2") {
        return usage("--tlsv1.3 and --tls-max 1.2 leave no version of TLS");
    }
    let first_byte = time.first_byte_timeout.or(batch.then_some(Duration::from_secs(60)));
    Ok(Engine {
        batch,
        per_host,
        max_per_host: pace.max_per_host,
        max_connections: pace.parallel_max,
        rate: pace.rate,
        rate_per_host: pace.rate_per_host,
        limit_rate: pace.limit_rate.filter(|&rate| rate > 0),
        limit_rate_total: pace.limit_rate_total.filter(|&rate| rate > 0),
        delay: pace.delay.unwrap_or(Duration::ZERO),
        reuse: !pace.no_reuse,
        idle_timeout: pace.idle_timeout,
        attempts: retry.retry.unwrap_or(4).saturating_add(1),
        retry_delay: retry.retry_delay.filter(|delay| !delay.is_zero()),
        retry_max_time: retry.retry_max_time.filter(|time| !time.is_zero()),
        max_retry_after: retry.max_retry_after,
        host_down_after: retry.host_down_after,
        retry_all_errors: retry.retry_all_errors,
        retry_unsafe: retry.retry_unsafe,
        offline_wait: retry.offline.map_or(batch, |offline| offline == Offline::Wait),
        backoff_base: retry.backoff_base,
        backoff_cap: retry.backoff_cap,
        connect_timeout: time.connect_timeout.filter(|time| !time.is_zero()),
        tls_timeout: time.tls_timeout.filter(|time| !time.is_zero()),
        first_byte_timeout: first_byte.filter(|time| !time.is_zero()),
        stall_timeout: batch.then_some(Duration::from_secs(30)),
        low_speed,
        max_time: time.max_time.filter(|time| !time.is_zero()),
        expect_timeout: args.request.expect100_timeout,
        keepalive: (!time.no_keepalive).then(|| time.keepalive_time.unwrap_or(Duration::from_secs(60))),
        cacert: net.cacert.clone(),
        #[cfg(feature = "native-roots")]
        ca_native: net.ca_native,
        #[cfg(not(feature = "native-roots"))]
        ca_native: false,
        insecure: net.insecure,
        cert: net.cert.clone(),
        key: net.key.clone(),
        tls_min_1_3: net.tlsv1_3,
        tls_max_1_2: net.tls_max.as_deref() == Some("1.2"),
        pins: net.pinnedpubkey.clone(),
        ip: match (net.ipv4, net.ipv6) {
            (true, _) => Ip::V4,
            (_, true) => Ip::V6,
            (false, false) => Ip::Any,
        },
        resolve: net.resolve.clone(),
        connect_to: net.connect_to.clone(),
        dns_servers: net.dns_servers.clone(),
        interface: net.interface.clone(),
        happy_eyeballs: net.happy_eyeballs_timeout_ms.map(|ms| Duration::from_millis(u64::from(ms))),
        deny: net.deny_net.iter().flat_map(|nets| nets.0.iter().copied()).collect(),
        allow: net.allow_net.iter().flat_map(|nets| nets.0.iter().copied()).collect(),
        proto: args.request.proto.as_deref().map_or(Ok(Protos::BOTH), Protos::parse)?,
        proto_redir: args.request.proto_redir.as_deref().map_or(Ok(Protos::BOTH), Protos::parse)?,
        proto_default: match args.request.proto_default.as_deref() {
            Some(scheme) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => {
                Some(scheme.to_ascii_lowercase())
            }
            Some(other) => return usage(format!("--proto-default: gannet does not speak '{other}' (http or https)")),
            None => None,
        },
        location_trusted: args.request.location_trusted,
        post301: args.request.post301,
        post302: args.request.post302,
        post303: args.request.post303,
        limits: Limits {
            head_size: args.bounds.max_head_size,
            head_fields: args.bounds.max_head_fields,
            interim: args.bounds.max_interim,
            chunk_extensions: args.bounds.max_chunk_extensions,
            trailer_size: args.bounds.max_trailer_size,
            decode_ratio: args.bounds.max_decode_ratio,
        },
        record_wire: args.display.record_wire.clone(),
    })
}

impl Protos {
    /// http and https.
    pub const BOTH: Self = Self { http: true, https: true };

    /// curl's grammar: `+` adds, `-` removes, `=` sets; other protocols are none of ours.
    fn parse(text: &str) -> Result<Self, Usage> {
        let mut set = Self::BOTH;
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (action, name) = match item.split_at_checked(1) {
                Some((action @ ("+" | "-" | "="), name)) => (action, name),
                _ => ("+", item),
            };
            if action == "=" {
                set = Self { http: false, https: false };
            }
            let on = action != "-";
            match name.to_ascii_lowercase().as_str() {
                "http" => set.http = on,
                "https" => set.https = on,
                "all" => set = Self { http: on, https: on },
                _ => {}
            }
        }
        if set.http || set.https { Ok(set) } else { usage(format!("'{text}' leaves neither http nor https")) }
    }
}

fn display(args: &Args) -> Display {
    let display = &args.display;
    Display {
        silent: display.silent,
        errors: !display.silent || display.show_error,
        verbose: display.verbose,
        summary: !display.no_summary && !display.silent,
        progress: if display.no_progress_meter || display.silent {
            When::Never
        } else {
            display.progress.unwrap_or_default()
        },
        color: display.color.unwrap_or_default(),
    }
}

fn records(args: &Args) -> Result<Records, Usage> {
    let records = &args.records;
    let resume = if records.resume {
        if records.results.as_deref().is_some_and(|path| path.as_os_str() == "-") {
            return usage("--resume needs --results FILE: standard output can't be read again");
        }
        let statuses = records.resume_status.iter().map(|text| StatusClass::parse(text)).collect::<Result<_, _>>()?;
        Some(Resume { key: records.resume_key.unwrap_or(ResumeKey::N), kinds: records.resume_kinds.clone(), statuses })
    } else {
        None
    };
    if records.results_overwrite && records.results.is_none() {
        return usage("--results-overwrite belongs to --results FILE");
    }
    Ok(Records {
        results: records.results.clone(),
        overwrite: records.results_overwrite,
        summary: records.summary.clone(),
        resume,
        headers: if records.record_headers.is_empty() {
            RecordHeaders::None
        } else if records.record_headers.iter().any(|name| name == "all") {
            RecordHeaders::All
        } else {
            RecordHeaders::These(records.record_headers.iter().map(|name| name.trim().to_ascii_lowercase()).collect())
        },
        body: records.record_body,
        body_max: records.record_body_max.unwrap_or(1 << 20),
        sha256: records.sha256,
        unbuffered: records.unbuffered,
    })
}

impl StatusClass {
    fn parse(text: &str) -> Result<Self, Usage> {
        let text = text.trim().to_ascii_lowercase();
        let bad = || Usage(format!("'{text}' is no status (as in 404 or 5xx)"));
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class)).ok_or_else(bad)?;
            return Ok(Self { low: class * 100, high: class * 100 + 99 });
        }
        let status: u16 = text.parse().ok().filter(|status| (100..=999).contains(status)).ok_or_else(bad)?;
        Ok(Self { low: status, high: status })
    }

    /// Whether a status is one of these.
    pub fn holds(self, status: u16) -> bool {
        (self.low..=self.high).contains(&status)
    }
}
