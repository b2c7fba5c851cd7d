//! All of curl's options: each is there, or refused with a reason; and what those do that came late,
//! where it can't be seen in a row of `curl_parity.txt`.

#[path = "cli_common/mod.rs"]
mod common;
#[path = "cli_common/scripted.rs"]
mod scripted;

use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::Gannet;
use gannet::origin::{Script, spawn};
use scripted::{Scripted, says};

/// Names of `tests/curl_options.txt`, with their letters.
fn of_curl() -> Vec<(String, Option<char>)> {
    let text = fs::read_to_string("tests/curl_options.txt").unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parts = |line: &str| {
        let (name, letter) = line.split_once(' ').unwrap_or((line, ""));
        (name.to_owned(), letter.chars().next())
    };
    lines.map(parts).collect()
}

/// The names and letters that the manual lists, other names of the same included.
fn of_gannet() -> Vec<String> {
    let page = Gannet::new().args(["--man"]).run().out.replace("\\-", "-");
    let mut names = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("\\fB-")) {
        let plain = line.replace("\\fB", "").replace("\\fR", "");
        let words = plain.split([' ', ',', '[', '=']).filter(|word| word.starts_with('-'));
        names.extend(words.map(str::to_owned));
    }
    names
}

#[test]
fn each_option_of_curls_is_there_or_has_a_reason() {
    let curls = of_curl();
    assert!(curls.len() > 270, "{}", curls.len());
    let ours = of_gannet();
    let docs = fs::read_to_string("docs/options.md").unwrap();
    let (_, docs) = docs.split_once("## Options of curl's that are not there").unwrap();
    let (docs, _) = docs.split_once("\n## ").unwrap();
    let docs = &docs[docs.find("\n| ").unwrap()..];
    let mut refused = 0;
    for (name, letter) in &curls {
        let long = format!("--{name}");
        // The manual does not list other names of an option.
        let other = ["include", "data-ascii", "parallel-max-host"].contains(&name.as_str());
        if ours.contains(&long) || other {
            assert!(
                !docs.contains(&format!("`{long}`")),
                "{long} is there, docs/options.md denies it"
            );
            let short = letter.map(|letter| format!("-{letter}"));
            assert!(short.as_ref().is_none_or(|short| ours.contains(short)), "{long}: {short:?}");
            continue;
        }
        refused += 1;
        let row = docs.lines().find(|row| row.contains(&format!("`{long}`")));
        let row = row.unwrap_or_else(|| panic!("{long} is neither there nor in docs/options.md"));
        let said = |option: &str| {
            let run = Gannet::new().args([option, "x", "http://127.0.0.1:1/"]).run();
            assert_eq!((run.code, run.out.as_str()), (2, ""), "{option}: {}", run.err);
            run.err
        };
        let err = said(&long);
        let start = format!("gannet: gannet does not have curl's {long}: ");
        let why = err.strip_prefix(&start).unwrap_or_else(|| panic!("{long}: {err}"));
        let why = why.lines().next().unwrap();
        assert!(
            row.contains(&why.replace('|', "\\|")),
            "{long}: docs/options.md does not say {why}"
        );
        if let Some(letter) = letter {
            assert_eq!(said(&format!("-{letter}")), err);
            assert_eq!(said(&format!("-s{letter}")), err);
            assert!(row.contains(&format!("`-{letter}`, `{long}`")), "-{letter}: {row}");
        }
    }
    assert!(refused > 150, "{refused}");
    // What takes a flag back that is not there is no more known, and no less.
    let err = Gannet::new().args(["--no-sessionid", "http://127.0.0.1:1/"]).run().err;
    assert!(err.contains("rustls"), "{err}");
    let err = Gannet::new().args(["--no-such-thing", "http://127.0.0.1:1/"]).run().err;
    assert!(err.contains("is unknown"), "{err}");
}

#[test]
fn what_is_said_goes_where_stderr_says() {
    let server = spawn(Script::new()).unwrap();
    let missing = server.url("/status/404");
    let gannet = Gannet::new();
    let run = gannet.args(["-f", "--stderr", "said", &missing]).run();
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (22, "", ""));
    let said = fs::read_to_string(gannet.path("said")).unwrap();
    assert!(said.starts_with("gannet: (22) "), "{said}");
    // The file is begun anew; the last one that is named counts; what plan refuses is said there.
    let run = gannet.gannet().args(["--stderr", "other", "--stderr", "said", "-I", "-d", "x"]);
    let run = run.args([&missing]).run();
    assert_eq!((run.code, run.err.as_str()), (2, ""));
    let said = fs::read_to_string(gannet.path("said")).unwrap();
    assert!(said.starts_with("gannet: -I can't be combined with -d"), "{said}");
    assert!(!gannet.path("other").exists());
    let run = gannet.gannet().args(["-f", "--stderr", "-", &missing]).run();
    assert!(run.out.starts_with("gannet: (22) ") && run.err.is_empty(), "{} {}", run.out, run.err);
    // A batch: the summary.
    let run = gannet.gannet().args(["-i", "-", "--stderr", "said"]).stdin(&missing).run();
    assert_eq!((run.code, run.out.lines().count(), run.err.as_str()), (0, 1, ""));
    let said = fs::read_to_string(gannet.path("said")).unwrap();
    assert!(said.contains("1 ok"), "{said}");
    let run = gannet.gannet().args(["--stderr", "no/such/folder", &missing]).run();
    assert_eq!((run.code, run.out.as_str()), (23, ""));
    assert!(run.err.contains("--stderr: can't write to no/such/folder"), "{}", run.err);
    let stats = server.stats();
    assert_eq!(stats.requests, 3, "what can't be carried out asks nobody");
}

#[test]
fn a_bar_is_shown_where_the_length_is_known() {
    let server = spawn(Script::new()).unwrap();
    // A tenth of a second between pieces of 200 bytes: lines of a log come every second.
    let known = server.url("/drip/4000/200/110");
    for (bar, wanted) in [(true, true), (false, false)] {
        let args = ["--progress", "always", "-o", "out", known.as_str()];
        let run = Gannet::new().args(bar.then_some("-#")).args(args).run();
        assert_eq!(run.code, 0, "{}", run.err);
        let is_bar = |line: &str| line.len() == 79 && line.starts_with('#') && line.ends_with('%');
        assert_eq!(run.err.lines().any(is_bar), wanted, "{}", run.err);
        assert_eq!(run.err.contains("in flight"), !wanted, "{}", run.err);
    }
    // Without a terminal nothing is shown unless that is asked for.
    let run = Gannet::new().args(["-#", "-o", "out", &server.url("/bytes/9")]).run();
    assert_eq!((run.code, run.err.as_str()), (0, ""));
}

#[test]
fn bodies_come_out_as_they_come_in() {
    let server = spawn(Script::new()).unwrap();
    // The head and some bytes, and more every second.
    let url = server.url("/drip/1000/400/1000");
    let mut child = Gannet::new().args(["-s", "-N", &url]).spawn(Stdio::null());
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0]).unwrap();
    let first = Instant::now();
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 999);
    assert!(first.elapsed() > Duration::from_millis(700), "{:?}", first.elapsed());
    assert!(common::wait(&mut child, Duration::from_secs(20)).success());
}

#[cfg(unix)]
#[test]
fn what_is_no_text_does_not_garble_a_terminal() {
    let server = Scripted::new(std::iter::repeat_n(says("200 OK", "ab\0cd\n"), 6));
    let url = server.url("/");
    let gannet = Gannet::new().args(["-q", &url]);
    for more in [&[] as &[&str], &["-Z"]] {
        let run = gannet.args(more).run_on_terminal();
        assert_eq!((run.code, run.out.as_str()), (23, ""), "{}", run.err);
        assert!(run.err.contains("(23)") && run.err.contains("-o - shows it"), "{}", run.err);
    }
    // The head is text.
    let run = gannet.args(["--include"]).run_on_terminal();
    assert_eq!(run.code, 23, "{}", run.err);
    assert!(run.out.ends_with("\r\n\r\n") || run.out.ends_with("\n\r\r\n"), "{:?}", run.out);
    // Who says so has it.
    let run = gannet.args(["-o", "-"]).run_on_terminal();
    assert_eq!((run.code, run.out.as_str()), (0, "ab\0cd\r\n"), "{}", run.err);
    assert_eq!(gannet.args(["-o", "file"]).run_on_terminal().code, 0);
    assert_eq!(gannet.run().code, 0, "what is no terminal takes all");
}

#[test]
fn a_list_has_no_use_for_a_body_that_goes_nowhere() {
    let run = Gannet::new().args(["-i", "-", "--out-null"]).stdin("http://127.0.0.1:1/").run();
    assert_eq!(run.code, 2);
    assert!(run.err.contains("--out-null is for transfers"), "{}", run.err);
}

#[cfg(unix)]
#[test]
fn what_is_no_utf8_is_taken_as_it_is_or_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let server = spawn(Script::new()).unwrap();
    let gannet = Gannet::new();
    let log = OsStr::from_bytes(b"x\xff.log");
    let run =
        gannet.args(["-v", "--stderr"]).args([log]).args(["-o", "y", &server.url("/a")]).run();
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
    assert!(fs::read(run.path(".").join(log)).is_ok_and(|log| log.starts_with(b"*")));
    let value = OsStr::from_bytes(b"a=\xe9");
    let run = Gannet::new().args(["--variable"]).args([value]).args(["http://127.0.0.1:1/"]).run();
    assert_eq!(run.code, 2);
    assert!(run.err.contains("--variable: its value is not UTF-8"), "{}", run.err);
}

#[test]
fn variables_are_said_wrong_with_a_reason() {
    let url = "http://127.0.0.1:1/";
    for (args, code, want) in [
        (["--variable", "a b=c", url], 2, "'a b' is none"),
        (["--variable", "a", url], 2, "has to follow"),
        (["--variable", "a[3-1]=b", url], 2, "[FIRST-LAST]"),
        (["--variable", "%NOT_SET", url], 2, "the environment has no NOT_SET"),
        (["--variable", "a@missing", url], 26, "can't read missing"),
        (["--expand-url", "{{a:b64x}}", url], 2, "'b64x' is no function"),
        (["--expand-silent", "x", url], 2, "--silent has no value that could be expanded"),
        (["--expand-nothing-of-the-kind", "x", url], 2, "is unknown"),
        (["--no-expand-url", "x", url], 2, "is unknown"),
    ] {
        let run = Gannet::new().args(args).run();
        assert_eq!((run.code, run.out.as_str()), (code, ""), "{args:?}: {}", run.err);
        assert!(run.err.contains(want), "{args:?}: {}", run.err);
    }
    // What is odd is said, and done as by curl; what a variable holds is not said.
    let server = spawn(Script::new()).unwrap();
    let echo = server.url("/echo");
    let data = "{{none}}x{{no name}}{{open";
    let run = Gannet::new().args(["--expand-data", data, "-sS", &echo]).run();
    assert!(
        run.out.ends_with("x{{no name}}{{open") && run.err.is_empty(),
        "{} {}",
        run.out,
        run.err
    );
    let run = Gannet::new().args(["--expand-data", data, &echo]).run();
    for part in ["no variable none", "--expand-data: what stands between", "not closed"] {
        assert!(run.err.contains(part), "{}", run.err);
    }
    // What is typed may be a secret as well.
    assert!(!run.err.contains("no name}}") && !run.err.contains("open"), "{}", run.err);
    let run =
        Gannet::new().args(["--variable", "a=secret", "--expand-proto", "={{a}}", &echo]).run();
    assert_eq!(run.code, 2);
}

#[test]
fn completions_can_be_read_by_their_shells() {
    for (shell, check) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish")] {
        let gannet = Gannet::new();
        let text = gannet.args(["--completions", shell]).run().out;
        fs::write(gannet.path("completions"), &text).unwrap();
        // fish says of `complete` without its values only when it runs.
        let args: &[&str] = if shell == "fish" { &[] } else { &["-n"] };
        let output = std::process::Command::new(check)
            .args(args)
            .arg(gannet.path("completions"))
            .env("HOME", gannet.path("."))
            .output();
        let Ok(output) = output else {
            eprintln!("SKIPPED: {shell} is not installed");
            continue;
        };
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && err.is_empty(), "{shell}: {err}");
        assert!(text.contains("progress-bar"), "{shell}");
    }
}
