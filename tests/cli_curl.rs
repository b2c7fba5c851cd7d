//! curl's published behaviours, side by side: the same words to curl and to gannet, on the scripted
//! server; the same request, the same output, the same files, the same exit code.
//!
//! Rows that need a newer curl than the installed one say what gannet has to do instead. Without
//! curl the test says so and compares nothing.

#[path = "cli_common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use gannet::origin::{Running, Script, spawn};

/// One row: a name, the words (`URL` stands for the server), the input.
struct Row {
    name: &'static str,
    words: &'static [&'static str],
    stdin: &'static str,
}

const fn row(name: &'static str, words: &'static [&'static str]) -> Row {
    Row { name, words, stdin: "" }
}

const ROWS: &[Row] = &[
    row("a plain GET", &["URL/echo"]),
    row("a header", &["URL/echo", "-H", "X-One: 1", "-H", "x-two:2"]),
    row("a header without value", &["URL/echo", "-H", "X-Empty;"]),
    row("a default header removed", &["URL/echo", "-H", "Accept:"]),
    row("a default header replaced", &["URL/echo", "-H", "Accept: text/x"]),
    row("User-Agent removed", &["URL/echo", "-H", "User-Agent:"]),
    row("Host set", &["URL/echo", "-H", "Host: other.example"]),
    row("headers from a file", &["URL/echo", "-H", "@headers"]),
    row("-A", &["URL/echo", "-A", "me/1"]),
    row("-A empty", &["URL/echo", "-A", ""]),
    row("-e", &["URL/echo", "-e", "http://r.example/"]),
    row("-e with auto", &["URL/redirect-to?url=/echo", "-L", "-e", "http://r.example/;auto"]),
    row("-d", &["URL/echo", "-d", "a=b"]),
    row("-d twice", &["URL/echo", "-d", "a=b", "-d", "c=d"]),
    row("-d glued", &["URL/echo", "-da=b"]),
    row("-d from a file loses line ends", &["URL/echo", "-d", "@lines"]),
    row("--data-binary keeps them", &["URL/echo", "--data-binary", "@lines"]),
    row("--data-raw takes @ as it is", &["URL/echo", "--data-raw", "@lines"]),
    row(
        "--data-urlencode",
        &[
            "URL/echo",
            "--data-urlencode",
            "a=b c&d",
            "--data-urlencode",
            "=x=y",
            "--data-urlencode",
            "q@lines",
        ],
    ),
    row("-d from standard input", &["URL/echo", "-d", "@-"]),
    row("-d with a type of one's own", &["URL/echo", "-d", "x", "-H", "Content-Type: text/plain"]),
    row("-d empty", &["URL/echo", "-d", ""]),
    row("--json", &["URL/echo", "--json", "{\"a\":1}"]),
    row("-G", &["URL/echo", "-G", "-d", "a=b", "-d", "c=d"]),
    row("-G behind a query", &["URL/echo?x=y", "-G", "-d", "a=b"]),
    row("--url-query", &["URL/echo", "--url-query", "a=b c", "--url-query", "+raw=%20"]),
    row("-X", &["URL/echo", "-X", "DELETE"]),
    row("-X with data", &["URL/echo", "-X", "PATCH", "-d", "x"]),
    row("-I", &["URL/bytes/100", "-I"]),
    row("-I of an error", &["URL/status/404", "-I"]),
    row("-u", &["URL/echo", "-u", "me:pass:word"]),
    row("-u and the server agrees", &["URL/auth/basic/me/pass", "-u", "me:pass"]),
    row("a user in the URL", &["http://me:p%40ss@HOST/echo"]),
    row("--oauth2-bearer", &["URL/echo", "--oauth2-bearer", "tok"]),
    row("--netrc-file", &["URL/echo", "--netrc-file", "netrc"]),
    row("-r", &["URL/range/1000", "-r", "10-19"]),
    row("-r from", &["URL/range/100", "-r", "90-"]),
    row("-r last", &["URL/range/100", "-r", "-5"]),
    row("-r and no ranges there", &["URL/bytes/10", "-r", "0-1"]),
    row("show headers", &["URL/bytes/5", "--include"]),
    row("show headers of all hops", &["URL/redirect/2", "-L", "--include"]),
    row("no -L", &["URL/redirect/1"]),
    row("-L", &["URL/redirect/3", "-L"]),
    row(
        "-L with 301 turns POST into GET",
        &["URL/redirect-to?url=/echo&status=301", "-L", "-d", "x"],
    ),
    row(
        "-L with 302 turns POST into GET",
        &["URL/redirect-to?url=/echo&status=302", "-L", "-d", "x"],
    ),
    row(
        "-L with 303 turns POST into GET",
        &["URL/redirect-to?url=/echo&status=303", "-L", "-d", "x"],
    ),
    row("-L with 307 keeps POST", &["URL/redirect-to?url=/echo&status=307", "-L", "-d", "x"]),
    row("-L with 308 keeps POST", &["URL/redirect-to?url=/echo&status=308", "-L", "-d", "x"]),
    row("--post301", &["URL/redirect-to?url=/echo&status=301", "-L", "--post301", "-d", "x"]),
    row("--post302", &["URL/redirect-to?url=/echo&status=302", "-L", "--post302", "-d", "x"]),
    row("-X is kept on every hop", &["URL/redirect-to?url=/echo&status=302", "-L", "-X", "PUT"]),
    row("--max-redirs", &["URL/redirect/3", "-L", "--max-redirs", "2"]),
    row("--max-redirs 0", &["URL/redirect/1", "-L", "--max-redirs", "0"]),
    row("a redirect to another scheme", &["URL/redirect-to?url=file:///etc/passwd", "-L"]),
    row("--proto-redir", &["URL/redirect/1", "-L", "--proto-redir", "=https"]),
    row(
        "credentials stay at home",
        &["URL/redirect-to?url=http://localhost:PORT/echo", "-L", "-u", "a:b"],
    ),
    row(
        "--location-trusted",
        &["URL/redirect-to?url=http://localhost:PORT/echo", "--location-trusted", "-u", "a:b"],
    ),
    row("404 is no failure", &["URL/status/404"]),
    row("-f", &["URL/status/404", "-f"]),
    row("-f with a good one", &["URL/bytes/3", "-f"]),
    row("--fail-with-body", &["URL/status/404", "--fail-with-body"]),
    row("503 is shown", &["URL/status/503"]),
    row("-f 503", &["URL/status/503", "-f"]),
    row("--compressed", &["URL/gzip/1000", "--compressed"]),
    row("gzip as it is", &["URL/gzip/1000"]),
    row("chunked", &["URL/chunked/5000"]),
    row("until close", &["URL/close/5000"]),
    row("a body cut", &["URL/cut/fin/10/100"]),
    row("a chunked body", &["URL/chunked/100/7"]),
    row("an empty reply", &["URL/cut/fin/0/0"]),
    row("two URLs in order", &["URL/bytes/3", "URL/bytes/4"]),
    row("a number glob", &["URL/bytes/[1-3]"]),
    row("a list glob", &["URL/bytes/{5,7}"]),
    row("-g", &["URL/echo?{a,b}[1]", "-g"]),
    row("a bad glob", &["URL/bytes/[3-1]"]),
    row("-o", &["URL/bytes/9", "-o", "file"]),
    row("n-th -o", &["-o", "one", "URL/bytes/1", "-o", "two", "URL/bytes/2"]),
    row("-o with a glob's value", &["URL/bytes/[1-2]", "-o", "f#1.txt"]),
    row("-O", &["URL/bytes/8", "-O"]),
    row("-O for one of two", &["-O", "URL/bytes/8", "URL/bytes/9"]),
    row("--remote-name-all", &["--remote-name-all", "URL/bytes/8", "URL/bytes/9"]),
    row("--output-dir", &["--output-dir", "there", "--create-dirs", "-o", "f", "URL/bytes/3"]),
    row("--output-dir that is missing", &["--output-dir", "there", "-o", "f", "URL/bytes/3"]),
    row("--create-dirs", &["--create-dirs", "-o", "a/b/c", "URL/bytes/3"]),
    row("an empty body makes an empty file", &["URL/bytes/0", "-o", "file"]),
    row("-f makes no file", &["URL/status/404", "-f", "-o", "file"]),
    row("-D", &["URL/bytes/3", "-D", "heads"]),
    row("-D to standard output", &["URL/bytes/3", "-D", "-"]),
    row("-D of two", &["URL/bytes/3", "URL/bytes/4", "-D", "heads"]),
    row(
        "-w",
        &[
            "URL/bytes/5",
            "-w",
            "%{http_code} %{response_code} %{size_download} %{num_redirects} %{content_type} %{exitcode} %{method} %{urlnum}\\n",
        ],
    ),
    row("-w of a redirect", &["URL/redirect/1", "-o", "x", "-w", "%{redirect_url} %{http_code}"]),
    row(
        "-w of hops",
        &[
            "URL/redirect/2",
            "-L",
            "-o",
            "x",
            "-w",
            "%{url_effective} %{num_redirects} %{num_headers}",
        ],
    ),
    row("-w with a header", &["URL/range/5", "-o", "x", "-w", "%header{etag} %header{nope}."]),
    row("-w header_json", &["URL/range/5", "-o", "x", "-w", "%{header_json}"]),
    row("-w onerror", &["URL/bytes/1", "-w", "a%{onerror}b"]),
    row("-w of a file name", &["URL/bytes/1", "-o", "there", "-w", "%{filename_effective}"]),
    row("-w from a file", &["URL/bytes/1", "-w", "@format"]),
    row(
        "-w addresses",
        &["URL/bytes/1", "-w", "%{remote_ip} %{remote_port} %{local_ip} %{num_connects}"],
    ),
    row(
        "-w size of request and head",
        &["URL/bytes/1", "-A", "x", "-w", "%{size_request} %{size_header}"],
    ),
    row("-w stderr", &["URL/bytes/1", "-w", "%{stderr}x%{stdout}y"]),
    row("-T", &["URL/echo", "-T", "lines", "-H", "Expect:"]),
    row(
        "-T to a folder",
        &["URL/", "-T", "lines", "-H", "Expect:", "-w", "%{url_effective}", "-o", "x"],
    ),
    row("-T from standard input", &["URL/echo", "-T", "-", "-H", "Expect:"]),
    row("-T of a missing file", &["URL/echo", "-T", "missing"]),
    row("-z later", &["URL/range/10", "-z", "Tue, 01 Jan 2030 00:00:00 GMT"]),
    row("-z earlier", &["URL/range/10", "-z", "1 Jan 1990"]),
    row("-C beyond what is there", &["URL/range/10", "-C", "10"]),
    row("-C from", &["URL/range/10", "-C", "4"]),
    row("-C and no ranges there", &["URL/bytes/10", "-C", "4"]),
    row("-C - goes on", &["URL/range/10", "-C", "-", "-o", "begun"]),
    row("-C - and all is there", &["URL/range/5", "-C", "-", "-o", "begun"]),
    row("-C - and no ranges there", &["URL/bytes/10", "-C", "-", "-o", "begun"]),
    row("--max-filesize", &["URL/bytes/100", "--max-filesize", "10"]),
    row("-m", &["URL/delay/5000", "-m", "0.3"]),
    row("dots in paths", &["URL/a/../echo"]),
    row("--path-as-is", &["URL/a/../echo", "--path-as-is"]),
    row("a fragment is not sent", &["URL/echo#top"]),
    row("blanks in a query", &["URL/echo?a=b%20c"]),
    row("--next", &["URL/echo", "-d", "x", "--next", "URL/echo"]),
    row("-:", &["URL/echo", "-A", "one", "-:", "URL/echo", "-A", "two"]),
    row("nobody listens", &["http://127.0.0.1:1/"]),
    row(
        "--resolve",
        &["http://some.example:PORT/echo", "--resolve", "some.example:PORT:127.0.0.1"],
    ),
    row(
        "--connect-to",
        &["http://some.example/echo", "--connect-to", "some.example:80:127.0.0.1:PORT"],
    ),
    row("no URL", &["-s"]),
    row("a URL without host", &["http:///"]),
    row("a bad port", &["http://127.0.0.1:99999/"]),
    row("TLS where nobody answers", &["https://HOST/", "--connect-timeout", "1"]),
    row("-K", &["-K", "config"]),
    row("--fail-early", &["--fail-early", "-f", "URL/status/404", "URL/bytes/1"]),
    row("the last failure is the exit", &["-f", "http://127.0.0.1:1/", "URL/status/404"]),
    row("--etag-save", &["URL/range/5", "--etag-save", "etag"]),
    row("--etag-compare that fits nothing", &["URL/range/5", "--etag-compare", "lines"]),
    row("--expect100-timeout", &["URL/echo", "-d", "x", "--expect100-timeout", "1"]),
    row("-H Expect and a body", &["URL/echo", "-d", "x", "-H", "Expect: 100-continue"]),
    row("--tr-like bundle", &["-sSfL", "URL/redirect/1"]),
    row("-R", &["URL/range/5", "-R", "-o", "file"]),
    row("--remove-on-error", &["URL/cut/fin/10/100", "--remove-on-error", "-o", "file"]),
    row("--no-clobber", &["URL/bytes/3", "--no-clobber", "-o", "begun"]),
    row("--http1.1", &["URL/echo", "--http1.1"]),
    row("-4", &["URL/echo", "-4"]),
    row("--interface", &["URL/echo", "--interface", "127.0.0.1"]),
    row("-Z", &["-Z", "URL/bytes/3", "-o", "a", "URL/bytes/4", "-o", "b"]),
];

/// Where gannet differs on purpose, or writes it in another order.
const DIFFERENT: &[(&str, &str)] = &[
    // gannet writes every field with a blank after its colon.
    ("a header", "output"),
    // RFC 9110 section 8.6: a PUT without content says so.
    ("-X is kept on every hop", "output"),
    // The order of fields.
    ("-H Expect and a body", "output"),
];

struct Came {
    code: i32,
    out: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
}

fn run(program: &Path, words: &[String], stdin: &str) -> Came {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    file("lines", "one\r\ntwo\n");
    file("headers", "X-File: 1\nX-Other: 2\n");
    file("netrc", "machine 127.0.0.1 login me password secret\n");
    file("format", "%{http_code}\\n");
    file("begun", "01234");
    file(
        "config",
        &format!("# mine\nurl = {}/echo\nuser-agent \"a b\"\n-d x\n", words.last().unwrap()),
    );
    let words = &words[..words.len() - 1];
    let mut child = Command::new(program)
        .args(words)
        .current_dir(dir.path())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    use std::io::{Read, Write};
    // Most rows do not read it.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let mut out = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    let status = common::wait(&mut child, std::time::Duration::from_secs(20));
    let mut files = BTreeMap::new();
    collect(dir.path(), dir.path(), &mut files);
    Came { code: status.code().unwrap_or(-1), out: plain(&out), files }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if name != "config" {
                files.insert(name, plain(&std::fs::read(&path).unwrap()));
            }
        }
    }
}

/// Without what may differ: the name of the program, the moment, and the order of framing fields.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let mut lines: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("Date: ") {
            lines.push("Date\r\n".to_owned());
        } else if line.starts_with("User-Agent: curl/") || line.starts_with("User-Agent: gannet/") {
            lines.push("User-Agent: …\r\n".to_owned());
        } else {
            lines.push(line.to_owned());
        }
    }
    // curl writes Content-Length before Content-Type.
    for at in 1..lines.len() {
        if lines[at].starts_with("Content-Length: ") && lines[at - 1].starts_with("Content-Type: ")
        {
            lines.swap(at - 1, at);
        }
    }
    let text = lines.concat();
    match text.find("\"date\":[") {
        Some(at) => {
            let end = text[at..].find(']').map_or(text.len(), |end| at + end);
            format!("{}\"date\":[{}", &text[..at], &text[end..]).into_bytes()
        }
        None => text.into_bytes(),
    }
}

fn version() -> Option<(u32, u32)> {
    let output = Command::new("curl").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut parts = text.split_whitespace().nth(1)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn words(row: &Row, server: &Running) -> Vec<String> {
    let addr = server.addr();
    let base = format!("http://{addr}");
    row.words
        .iter()
        .map(|word| {
            word.replace("URL", &base)
                .replace("HOST", &addr.to_string())
                .replace("PORT", &addr.port().to_string())
        })
        .collect()
}

/// The first curl that behaves so; older ones are not asked.
fn since(name: &str) -> (u32, u32) {
    match name {
        "--url-query" => (7, 87),
        "--remove-on-error" | "--no-clobber" | "-w onerror" | "-w header_json" | "--json" => {
            (7, 83)
        }
        "-w with a header" => (7, 84),
        _ => (7, 50),
    }
}

#[test]
fn the_same_words_do_the_same() {
    let Some(installed) = version() else {
        eprintln!("SKIPPED: curl is not installed");
        return;
    };
    let server = spawn(Script::new()).unwrap();
    let gannet = Path::new(env!("CARGO_BIN_EXE_gannet"));
    let mut differences = Vec::new();
    let mut compared = 0;
    for row in ROWS {
        if installed < since(row.name) {
            eprintln!("not compared, this curl is too old: {}", row.name);
            continue;
        }
        let mut typed = words(row, &server);
        let base = format!("http://{}", server.addr());
        typed.push(base);
        let stdin = if row.stdin.is_empty() { "from\nstdin" } else { row.stdin };
        let mut theirs = vec!["-sS".to_owned()];
        theirs.extend(typed.iter().cloned());
        let mut ours = vec!["-sS".to_owned(), "--retry".to_owned(), "0".to_owned()];
        // Each group has options of its own.
        ours.extend(typed.iter().flat_map(|word| match word.as_str() {
            "--next" | "-:" => vec![word.clone(), "--retry".to_owned(), "0".to_owned()],
            _ => vec![word.clone()],
        }));
        let begun = std::time::Instant::now();
        let theirs = run(Path::new("curl"), &theirs, stdin);
        let between = begun.elapsed();
        let ours = run(gannet, &ours, stdin);
        if begun.elapsed().as_secs() > 2 {
            eprintln!("slow: {} {between:?} {:?}", row.name, begun.elapsed() - between);
        }
        compared += 1;
        let mut say = |what: &str, theirs: String, ours: String| {
            if !DIFFERENT.contains(&(row.name, what)) {
                differences
                    .push(format!("{}: {what}\n   curl: {theirs}\n gannet: {ours}", row.name));
            }
        };
        if theirs.code != ours.code {
            say("exit", theirs.code.to_string(), ours.code.to_string());
        }
        if theirs.out != ours.out {
            say(
                "output",
                theirs.out.escape_ascii().to_string(),
                ours.out.escape_ascii().to_string(),
            );
        }
        if theirs.files != ours.files {
            let show = |files: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>| {
                let different =
                    files.iter().filter(|(name, bytes)| other.get(*name) != Some(bytes));
                different
                    .map(|(name, bytes)| format!("{name}={}", bytes.escape_ascii()))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            say("files", show(&theirs.files, &ours.files), show(&ours.files, &theirs.files));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences in {compared} rows:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(compared >= 60);
}
