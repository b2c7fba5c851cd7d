//! The manual: help texts of `options` with an example for each option, and what belongs to no option.
//!
//! Owns `--help`, `--help all`, `--help KIND` and the manual page, all from the same source. Never
//! declares an option; a test holds the examples to the options that exist, and each example to
//! the grammar.

use std::fmt::Write;

use super::args::Args;
use crate::fetch;

/// The pages on failures, part of the program so that a message can point to them by name.
const ERRORS: &str = include_str!("../../docs/errors.md");

/// An example for each option, by its long name.
const EXAMPLES: &[(&str, &str)] = &[
    ("input-file", "gannet -i urls.txt --results results.jsonl"),
    ("url", "gannet --url example.org --url @urls.txt"),
    ("globoff", "gannet -g 'example.org/?q={a}[1]'"),
    ("window", "gannet -i urls.txt --window 20000"),
    ("shard", "gannet -i urls.txt --shard 2/8 --results part2.jsonl"),
    ("output", "gannet -i urls.txt -o '{hash:0:2}/{hash}{type_ext}'"),
    ("remote-name", "gannet -O example.org/a.tar.gz -O example.org/b.tar.gz"),
    ("out-null", "gannet --out-null -w '%{http_code}\\n' example.org"),
    ("remote-name-all", "gannet --remote-name-all 'example.org/[1-9].png'"),
    ("remote-header-name", "gannet -OJ 'example.org/download?id=7'"),
    ("output-dir", "gannet -i urls.txt --output-dir pages"),
    ("create-dirs", "gannet --create-dirs -o a/b/page.html example.org"),
    ("clobber", "gannet --clobber -OJ example.org/latest"),
    ("no-clobber", "gannet --no-clobber -O example.org/report.pdf"),
    ("skip-existing", "gannet -i urls.txt -o 'out/{n}{ext}' --skip-existing"),
    ("keep-errors", "gannet -i urls.txt -o 'out/{n}' --keep-errors"),
    ("remote-time", "gannet -R -O example.org/a.tar.gz"),
    ("dump-header", "gannet -D heads.txt -o page.html example.org"),
    ("show-headers", "gannet --show-headers example.org"),
    ("fail", "gannet -f -o page.html example.org/page"),
    ("fail-with-body", "gannet --fail-with-body example.org/api"),
    ("fail-early", "gannet --fail-early -f example.org/1 example.org/2"),
    ("exit-zero", "gannet -i urls.txt --results results.jsonl --resume --exit-zero"),
    ("remove-on-error", "gannet --remove-on-error -O example.org/a.tar.gz"),
    ("max-filesize", "gannet --max-filesize 10M -O example.org/a.tar.gz"),
    ("truncate", "gannet -i urls.txt --output-dir heads --truncate 4k"),
    (
        "accept-type",
        "gannet -i urls.txt --output-dir pages --accept-type 'text/*,application/json'",
    ),
    ("reject-type", "gannet -i urls.txt --output-dir pages --reject-type 'video/*'"),
    ("continue-at", "gannet -C - -O example.org/big.iso"),
    ("fsync", "gannet -i urls.txt --output-dir pages --fsync"),
    ("write-out", "gannet -so /dev/null -w '%{http_code} %{time_total}\\n' example.org"),
    ("results", "gannet -i urls.txt --results results.jsonl"),
    ("results-overwrite", "gannet -i urls.txt --results results.jsonl --results-overwrite"),
    ("summary", "gannet -i urls.txt --results results.jsonl --summary summary.json"),
    ("resume", "gannet -i urls.txt --results results.jsonl --resume"),
    (
        "resume-kinds",
        "gannet -i urls.txt --results results.jsonl --resume --resume-kinds refused,connect_timeout",
    ),
    (
        "resume-status",
        "gannet -i urls.txt --results results.jsonl --resume --resume-status 5xx,429",
    ),
    ("resume-key", "gannet -i urls.txt --results results.jsonl --resume --resume-key url"),
    ("record-headers", "gannet -i urls.txt --record-headers server,cache-control"),
    ("record-body", "gannet -i urls.txt --record-body base64 --results bodies.jsonl"),
    ("record-body-max", "gannet -i urls.txt --record-body text --record-body-max 64k"),
    ("sha256", "gannet -i urls.txt --sha256 --results sums.jsonl"),
    ("unbuffered", "gannet -i - --unbuffered"),
    ("request", "gannet -X DELETE example.org/thing/7"),
    ("header", "gannet -H 'Accept: application/json' example.org"),
    ("user-agent", "gannet -A 'my-crawler/1.0 (+https://example.org/bot)' -i urls.txt"),
    ("referer", "gannet -L -e 'https://example.org/;auto' example.org/page"),
    ("data", "gannet -d name=value -d @more.txt example.org/form"),
    ("data-raw", "gannet --data-raw '@not-a-file' example.org/form"),
    ("data-binary", "gannet --data-binary @more.txt example.org/upload"),
    ("data-urlencode", "gannet --data-urlencode 'q=tea & cake' example.org/search"),
    ("json", "gannet --json '{\"drink\":\"tea\"}' example.org/order"),
    ("upload-file", "gannet -T photo.jpg example.org/photos/"),
    ("get", "gannet -G -d q=tea -d page=2 example.org/search"),
    ("url-query", "gannet --url-query 'q=tea & cake' example.org/search"),
    ("head", "gannet -I example.org"),
    ("range", "gannet -r 0-99 example.org/file"),
    ("path-as-is", "gannet --path-as-is example.org/a/../b"),
    ("http1.1", "gannet --http1.1 example.org"),
    ("next", "gannet -d a=b example.org/form --next -I example.org"),
    ("user", "gannet -u name:password example.org/private"),
    ("basic", "gannet --basic -u name:password example.org/private"),
    ("oauth2-bearer", "gannet --oauth2-bearer TOKEN example.org/api"),
    ("auth-host", "gannet -i urls.txt -u name:password --auth-host example.org,www.example.org"),
    ("netrc", "gannet -n example.org/private"),
    ("netrc-file", "gannet --netrc-file secrets example.org/private"),
    ("netrc-optional", "gannet --netrc-optional example.org/private"),
    ("location", "gannet -L example.org"),
    ("follow", "gannet --follow -X POST -d a=b example.org/form"),
    ("max-redirs", "gannet -L --max-redirs 3 example.org"),
    ("proto", "gannet --proto =https example.org"),
    ("proto-redir", "gannet -L --proto-redir =https example.org"),
    ("proto-default", "gannet --proto-default http example.org"),
    ("location-trusted", "gannet --location-trusted -u name:password example.org/moved"),
    ("post301", "gannet -L --post301 -d a=b example.org/form"),
    ("post302", "gannet -L --post302 -d a=b example.org/form"),
    ("post303", "gannet -L --post303 -d a=b example.org/form"),
    ("compressed", "gannet --compressed -o page.html example.org"),
    ("time-cond", "gannet -z page.html -o page.html example.org"),
    ("etag-save", "gannet --etag-save tag.txt -O example.org/feed.xml"),
    ("etag-compare", "gannet --etag-compare tag.txt --etag-save tag.txt -O example.org/feed.xml"),
    ("config", "gannet -K options.txt"),
    ("variable", "gannet --variable 'q=tea & cake' --expand-url 'example.org/search?q={{q:url}}'"),
    ("disable", "gannet -q example.org"),
    ("expect100-timeout", "gannet --expect100-timeout 3 -T big.iso example.org/upload"),
    ("per-host", "gannet -i urls.txt --per-host 8"),
    ("max-per-host", "gannet -i urls.txt --max-per-host 64"),
    ("parallel", "gannet -Z --remote-name-all 'example.org/[1-9].png'"),
    (
        "parallel-immediate",
        "gannet -Z --parallel-immediate --remote-name-all 'example.org/[1-9].png'",
    ),
    ("parallel-max", "gannet -i urls.txt --parallel-max 2000"),
    ("rate", "gannet -i urls.txt --rate 100/s"),
    ("rate-per-host", "gannet -i urls.txt --rate-per-host 2/s"),
    ("limit-rate", "gannet --limit-rate 500k -O example.org/big.iso"),
    ("limit-rate-total", "gannet -i urls.txt --output-dir files --limit-rate-total 10M"),
    ("delay", "gannet -i urls.txt --per-host 1 --delay 2s"),
    ("no-reuse", "gannet -i urls.txt --no-reuse"),
    ("idle-timeout", "gannet -i urls.txt --idle-timeout 4s"),
    ("max-memory", "gannet -i urls.txt --results results.jsonl --max-memory 64M"),
    ("max-failures", "gannet -i urls.txt --max-failures 100"),
    ("retry", "gannet --retry 10 -O example.org/big.iso"),
    ("retry-delay", "gannet --retry 3 --retry-delay 5 example.org"),
    ("retry-max-time", "gannet --retry 20 --retry-max-time 600 example.org"),
    ("max-retry-after", "gannet -i urls.txt --max-retry-after 10m"),
    ("host-down-after", "gannet -i urls.txt --host-down-after 5m"),
    ("retry-all-errors", "gannet --retry 3 --retry-all-errors -f example.org/flaky"),
    ("retry-connrefused", "gannet --retry-connrefused example.org"),
    ("retry-unsafe", "gannet --retry-unsafe -d a=b example.org/idempotent"),
    ("offline", "gannet -i urls.txt --offline fail"),
    ("backoff-base", "gannet -i urls.txt --backoff-base 1s"),
    ("backoff-cap", "gannet -i urls.txt --backoff-cap 5m"),
    ("retry-budget", "gannet -i urls.txt --retry-budget 5%+1"),
    ("retry-budget-total", "gannet -i urls.txt --retry-budget-total 10%+20"),
    ("connect-timeout", "gannet --connect-timeout 3 example.org"),
    ("tls-timeout", "gannet --tls-timeout 3 example.org"),
    ("first-byte-timeout", "gannet -i urls.txt --first-byte-timeout 300"),
    ("speed-time", "gannet -y 20 -Y 1000 -O example.org/big.iso"),
    ("speed-limit", "gannet -y 20 -Y 1000 -O example.org/big.iso"),
    ("max-time", "gannet -m 30 example.org"),
    ("deadline", "gannet -i urls.txt --results results.jsonl --deadline 50m"),
    ("keepalive-time", "gannet --keepalive-time 20 example.org/slow"),
    ("no-keepalive", "gannet --no-keepalive example.org"),
    ("cacert", "gannet --cacert our-ca.pem https://intranet.example/"),
    ("ca-native", "gannet --ca-native https://intranet.example/"),
    ("insecure", "gannet -k https://127.0.0.1:8443/"),
    ("cert", "gannet --cert me.pem --key me.key https://intranet.example/"),
    ("key", "gannet --cert me.pem --key me.key https://intranet.example/"),
    ("tlsv1", "gannet -1 https://example.org/"),
    ("tlsv1.0", "gannet --tlsv1.0 https://example.org/"),
    ("tlsv1.1", "gannet --tlsv1.1 https://example.org/"),
    ("tlsv1.2", "gannet --tlsv1.2 https://example.org/"),
    ("tlsv1.3", "gannet --tlsv1.3 https://example.org/"),
    ("tls-max", "gannet --tls-max 1.2 https://example.org/"),
    (
        "pinnedpubkey",
        "gannet --pinnedpubkey sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= https://example.org/",
    ),
    ("ipv4", "gannet -4 example.org"),
    ("ipv6", "gannet -6 example.org"),
    ("resolve", "gannet --resolve example.org:443:127.0.0.1 https://example.org/"),
    ("connect-to", "gannet --connect-to example.org:443:new.example.org:8443 https://example.org/"),
    ("dns-servers", "gannet --dns-servers 192.0.2.53,[2001:db8::53]:5353 example.org"),
    ("interface", "gannet --interface 192.0.2.7 example.org"),
    ("happy-eyeballs-timeout-ms", "gannet --happy-eyeballs-timeout-ms 100 example.org"),
    ("deny-net", "gannet -i urls.txt -L --deny-net private"),
    ("allow-net", "gannet -i urls.txt -L --deny-net private --allow-net 10.1.0.0/16"),
    ("tcp-nodelay", "gannet --tcp-nodelay example.org"),
    ("max-head-size", "gannet --max-head-size 1M example.org"),
    ("max-head-line", "gannet --max-head-line 8k example.org"),
    ("max-head-fields", "gannet --max-head-fields 100 example.org"),
    ("max-interim", "gannet --max-interim 4 example.org"),
    ("max-interim-size", "gannet --max-interim-size 16k example.org"),
    ("max-chunk-extensions", "gannet --max-chunk-extensions 64k example.org"),
    ("max-trailer-size", "gannet --max-trailer-size 64k example.org"),
    ("max-trailer-fields", "gannet --max-trailer-fields 16 example.org"),
    ("max-codings", "gannet --compressed --max-codings 2 example.org"),
    ("max-decode-ratio", "gannet --compressed --max-decode-ratio 100 example.org"),
    ("max-line", "gannet -i jobs.jsonl --max-line 16M"),
    ("silent", "gannet -s -O example.org/a.tar.gz"),
    ("show-error", "gannet -sS -O example.org/a.tar.gz"),
    ("verbose", "gannet -v -o /dev/null example.org"),
    ("no-summary", "gannet -i urls.txt --no-summary"),
    ("progress", "gannet -i urls.txt --results results.jsonl --progress always"),
    ("progress-bar", "gannet -# -O example.org/big.iso"),
    ("no-progress-meter", "gannet --no-progress-meter -O example.org/a.tar.gz"),
    ("no-buffer", "gannet -N example.org/events"),
    ("stderr", "gannet -v --stderr log.txt -o page.html example.org"),
    ("color", "gannet -i urls.txt --color never"),
    ("record-wire", "gannet --record-wire wires -o /dev/null example.org"),
    ("help", "gannet --help all"),
    ("version", "gannet --version"),
    ("completions", "gannet --completions bash"),
    ("man", "gannet --man"),
];

const DIFFERENCES: &str = "\
An option of curl's name has curl's meaning, but for these: -i is the input list (curl's -i is --show-headers here); -Z and -i share one \
adaptive pool; a URL without a scheme is https (http for loopback; see --proto-default); --retry is 4 and --retry-connrefused always on; \
an unfinished file never has the final name (it is NAME.gannet-part until it is whole); with several URLs the exit status is that of the \
last failure, not of the last URL; the body of an answer that is going to be fetched again is not written. An option of curl's that is not there is \
refused with the reason and what does its work here.";

const EXIT_STATUS: &str = "\
Transfers: curl's codes: 0; 1 unsupported; 2 usage; 3 malformed URL; 6 name not resolved; 7 not connected; 8 malformed answer; 18 partial file; \
22 a status of 400 or more with -f; 23 write error; 26 read error; 27 out of memory; 28 timeout; 33 range refused; 35 TLS; 36 resume; \
42 a body that --accept-type or --reject-type did not want; 43 an option that contradicts another; 45 --interface; 47 too many redirects; 49 --resolve or --connect-to; 52 empty reply; 55, 56 send or receive failed; 58 own certificate; 60 the server's certificate; 61 bad encoding; \
63 too large; 77 CA file; 90 pin; 100 more header fields than --max-head-fields. With several URLs it is that of the last one that failed.

A batch: 0 all ok, 1 some URLs failed or it ended before its list, 2 usage (a list or another file that can't be read included), 23 local output failed, 130 or 143 on a signal. When several \
hold: signal, 23, 2, 1.";

const RECORDS: &str = "\
A batch writes one JSON object a URL and line: n, id, meta, url, final_url, method, ok, status, error{kind, phase, message, os_error, \
fresh_or_reused, hint}, attempts, tries[{kind, status, conn, reused, at_byte, ms}], redirects, body_bytes, wire_bytes, content_type, content_length, etag, last_modified, location, output, \
sha256, headers, body, body_base64, truncated, unchanged, warnings, started, ms{queue, dns, connect, tls, first_byte, body, total}, dns, conn{id, \
reused, remote, tls}, resumed_at. What is empty is left out. ok means a complete answer that is not to be tried again: a 404 without -f is ok. attempts is 0 where the \
failure of another URL of the host told enough. \
Secrets never stand in a record.";

const FILES: &str = "\
NAME.gannet-part, NAME.gannet-part.json: a file that is not whole yet, and the validator by which --resume or -C - continues it. \
While another run writes that part, this one has NAME.gannet-part.PID-N.gannet-part; a NAME of more than 220 bytes has a part under a short name.

gannet/config in the user's configuration folder ($XDG_CONFIG_HOME, else ~/.config): options that are read before all others; -q leaves it unread.

~/.netrc: names and passwords for -n.";

const ENVIRONMENT: &str = "\
GANNET_CONFIG: the config file to read instead. NO_COLOR: no colours. CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR: trust anchors, as for curl. \
SSLKEYLOGFILE: secrets of TLS for debugging. TMPDIR: where long bodies wait for standard output. http_proxy and its kin are not used yet; a warning says so.";

/// The options with their examples.
fn command() -> clap::Command {
    Args::command().mut_args(|arg| {
        let text = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string);
        let example = arg.get_long().and_then(example);
        match (text, example) {
            (Some(text), Some(example)) => {
                arg.long_help(kept(&format!("{text}\n\nExample: {example}")))
            }
            _ => arg,
        }
    })
}

/// clap takes `{n}` in a text for a line break; ours means the number of an entry.
fn kept(text: &str) -> String {
    text.replace("{n}", &format!("{{{BROKEN}n}}"))
}

/// What is rendered, as it was meant.
fn mended(text: &str) -> String {
    text.replace(BROKEN, "")
}

/// Stands in `{n}` while clap has it.
const BROKEN: char = '\u{2}';

/// A command that shows the option at work.
fn example(option: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(name, _)| *name == option).map(|(_, example)| *example)
}

/// `--help`.
pub fn short() -> String {
    Args::command().render_help().to_string()
}

/// `--help all`.
pub fn long() -> String {
    let after = format!(
        "Exit status. {EXIT_STATUS}\n\nDifferences from curl. {DIFFERENCES}\n\nFailures: gannet --help KIND explains the kinds that people meet most often."
    );
    mended(&command().after_long_help(kept(&after)).render_long_help().to_string())
}

/// The manual page.
pub fn man() -> std::io::Result<Vec<u8>> {
    // The page shows what the short help hides.
    let command =
        command().mut_args(|arg| arg.hide_short_help(false)).after_long_help("").after_help("");
    let man = clap_mangen::Man::new(command);
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    out.extend_from_slice(b".SH DESCRIPTION\n");
    roff(
        "Without -i, gannet transfers URLs as curl does: one after another, bodies to standard output or into files. With -i it fetches a list, at \
the pace that each server bears, and writes a record a URL. gannet demo shows, without a network, what it makes of servers that each bear something else, beside a client as it is usually written \
(gannet demo rate thrash: only those with such a word in their names); gannet replay FILE runs \
bytes that --record-wire kept through the parser.",
        &mut out,
    );
    man.render_options_section(&mut out)?;
    for (title, text) in [
        ("RECORDS", RECORDS),
        ("FILES", FILES),
        ("ENVIRONMENT", ENVIRONMENT),
        ("EXIT STATUS", EXIT_STATUS),
        ("DIFFERENCES FROM CURL", DIFFERENCES),
        (
            "SEE ALSO",
            "curl(1), wget(1), aria2c(1). gannet --help KIND explains a failure by the name in its message.",
        ),
    ] {
        out.extend_from_slice(format!(".SH \"{title}\"\n").as_bytes());
        roff(text, &mut out);
    }
    out.retain(|&byte| char::from(byte) != BROKEN);
    Ok(out)
}

/// Paragraphs of text as a manual page has them.
fn roff(text: &str, out: &mut Vec<u8>) {
    for paragraph in text.split("\n\n") {
        let mut line = String::from(".PP\n");
        for c in paragraph.chars() {
            match c {
                '\\' => line.push_str("\\e"),
                '-' => line.push_str("\\-"),
                '\'' => line.push_str("\\(aq"),
                other => line.push(other),
            }
        }
        let _ = writeln!(line);
        out.extend_from_slice(line.as_bytes());
    }
}

/// What docs/errors.md says of a kind of failure: its section, or the row that lists it.
pub fn failure(kind: &str) -> Option<String> {
    if let Some(section) = section(kind) {
        return Some(section.to_owned());
    }
    let name = format!("`{kind}`");
    let row = ERRORS.lines().find(|line| line.starts_with("| ") && line.contains(&name))?;
    let group = row.split('|').nth(1)?.trim();
    Some(format!(
        "{kind} is one of the failures that concern {group}. The message and the hint beside it say what happened and what to do; \
docs/errors.md lists all names.\n"
    ))
}

/// Whether a record can have this kind: all of them stand in that list, or are the parser's rules.
pub fn is_kind(kind: &str) -> bool {
    let list = ERRORS.split_once("## All names").map_or("", |(_, list)| list);
    let is_name = !kind.is_empty() && kind.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
    is_name && list.contains(&format!("`{kind}`")) || fetch::is_rule(kind)
}

/// Whether there is a page on this kind.
pub fn has_page(kind: &str) -> bool {
    section(kind).is_some()
}

fn section(kind: &str) -> Option<&'static str> {
    let mut rest = ERRORS;
    while let Some((_, after)) = rest.split_once("\n## ") {
        rest = after;
        let (title, _) = rest.split_once('\n')?;
        if title.split(", ").any(|name| name == kind) {
            let end = rest.find("\n## ").map_or(rest.len(), |end| end + 1);
            return rest.get(..end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use super::*;
    use crate::cli::{lexer, plan};

    #[test]
    fn every_option_has_one_example_that_uses_it() {
        let names: BTreeSet<String> = Args::command()
            .get_arguments()
            .filter_map(|arg| arg.get_long().map(str::to_owned))
            .collect();
        let shown: BTreeSet<String> = EXAMPLES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(shown, names);
        assert_eq!(EXAMPLES.len(), shown.len());
        let command = Args::command();
        for (name, example) in EXAMPLES {
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name)).unwrap();
            let long = format!("--{name}");
            let used = words(example).iter().any(|word| {
                *word == long
                    || arg.get_short().is_some_and(|short| {
                        word.starts_with('-') && !word.starts_with("--") && word.contains(short)
                    })
            });
            assert!(used, "{name}: {example}");
        }
    }

    /// Words as a shell would see them.
    fn words(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        let mut word: Option<String> = None;
        let mut quoted = false;
        for c in text.chars() {
            match c {
                '\'' => {
                    quoted = !quoted;
                    word.get_or_insert_default();
                }
                ' ' if !quoted => out.extend(word.take()),
                c => word.get_or_insert_default().push(c),
            }
        }
        out.extend(word);
        out
    }

    #[test]
    fn examples_are_understood() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let files = [
            ("urls.txt", file("urls.txt", "http://127.0.0.1/\n")),
            ("jobs.jsonl", file("jobs.jsonl", "")),
            ("more.txt", file("more.txt", "x")),
            ("options.txt", file("options.txt", "url = example.org\n")),
        ];
        for (name, example) in EXAMPLES {
            let mut line = (*example).to_owned();
            for (short, path) in &files {
                line = line.replace(short, path);
            }
            let typed: Vec<OsString> = words(&line).into_iter().skip(1).map(Into::into).collect();
            let lexed = lexer::lex(&typed, None).unwrap_or_else(|e| panic!("{name}: {}", e.text));
            assert!(lexed.warnings.is_empty(), "{name}: {:?}", lexed.warnings);
            match plan::plan(&lexed.groups, Vec::new()) {
                Ok(plan::Command::Run(plan)) => {
                    let said: Vec<_> =
                        plan.warnings.iter().filter(|text| !text.starts_with("-z:")).collect();
                    assert!(said.is_empty(), "{name}: {said:?}");
                }
                Ok(plan::Command::Print(_)) => {}
                Err(error) => panic!("{name}: {}", error.text),
            }
        }
    }

    #[test]
    fn placeholders_stand_as_they_are_typed() {
        let man = String::from_utf8(man().unwrap()).unwrap();
        for text in [long(), man] {
            assert!(text.contains("{n} its number") && !text.contains(BROKEN), "{text}");
        }
        assert!(long().contains("{n}{ext}"));
    }

    #[test]
    fn the_manual_page_says_something_of_every_option() {
        let page = String::from_utf8(man().unwrap()).unwrap();
        for (at, _) in page.match_indices("\n.TP\n") {
            let entry = &page[at + 5..];
            let text = entry.lines().nth(1).unwrap();
            assert!(text.len() > 8, "{}", entry.lines().next().unwrap());
        }
        for title in
            ["RECORDS", "FILES", "ENVIRONMENT", "\"EXIT STATUS\"", "\"DIFFERENCES FROM CURL\""]
        {
            assert!(page.contains(title), "{title}");
        }
        assert!(page.contains("Example: gannet \\-I example.org"));
        let all = long();
        for (name, example) in EXAMPLES {
            assert!(all.contains(&format!("--{name}")), "{name}");
            let beginning: String = example.split(' ').take(2).collect::<Vec<_>>().join(" ");
            assert!(all.contains(&format!("Example: {beginning}")), "{name}");
        }
    }

    #[test]
    fn failures_have_their_pages() {
        assert!(failure("refused").unwrap().contains("Nobody listens"));
        assert!(failure("empty_reply").unwrap().contains("fresh connection"));
        assert!(failure("redirect_loop").unwrap().contains("redirects"));
        assert_eq!(failure("nonsense"), None);
        let pages = ERRORS.matches("\n## ").count() - 1;
        assert!(pages >= 10, "{pages} pages");
    }
}
