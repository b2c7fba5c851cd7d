//! The built binary where things go wrong: lists and folders that can't be used, names that try to
//! get out, signals, readers that are slow or leave.

#[path = "cli_common/mod.rs"]
mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Gannet, records};
use gannet::origin::{Action, Script, When, pattern, presets, spawn};

// ---------------------------------------------------------------- bad input (issue 4)

struct Bad {
    what: &'static str,
    args: &'static [&'static str],
    list: &'static str,
    exit: i32,
    /// What standard error or the records must say.
    says: &'static [&'static str],
    /// URLs that arrive all the same.
    ok: usize,
}

/// SERVER stands for a good server; `-s -i -` and the list on standard input, unless `args` name one.
const BAD: &[Bad] = &[
    Bad {
        what: "a list that is not there",
        args: &["-i", "missing"],
        list: "",
        exit: 2,
        says: &["can't read the list missing", "No such file"],
        ok: 0,
    },
    Bad {
        what: "a list that is a folder",
        args: &["-i", "folder"],
        list: "",
        exit: 2,
        says: &["the list folder is a folder"],
        ok: 0,
    },
    Bad {
        what: "a URL in place of a list",
        args: &["-i", "http://a/"],
        list: "",
        exit: 2,
        says: &["--show-headers here"],
        ok: 0,
    },
    Bad {
        what: "an empty list",
        args: &["-i", "-"],
        list: "",
        exit: 0,
        says: &["the list is empty"],
        ok: 0,
    },
    Bad {
        what: "a list of blanks and comments",
        args: &["-i", "-"],
        list: "\n  \n# http://a/\n",
        exit: 0,
        says: &["the list is empty"],
        ok: 0,
    },
    Bad {
        what: "a line that is no URL",
        args: &["-i", "-"],
        list: "SERVER/bytes/1\nnot a url\nSERVER/bytes/2\n",
        exit: 1,
        says: &["not a url", "\"n\":2"],
        ok: 2,
    },
    Bad {
        what: "a JSON line that is broken",
        args: &["-i", "-"],
        list: "{\"url\":\nSERVER/bytes/2\n",
        exit: 1,
        says: &["bad_line", "line 1"],
        ok: 1,
    },
    Bad {
        what: "a JSON line with an unknown key",
        args: &["-i", "-"],
        list: "SERVER/bytes/2\n{\"url\":\"SERVER/\",\"file\":\"/etc/passwd\"}\n",
        exit: 1,
        says: &["bad_line", "line 2", "unknown field `file`"],
        ok: 1,
    },
    Bad {
        what: "a JSON line of the wrong type",
        args: &["-i", "-"],
        list: "{\"url\":\"SERVER/\",\"size\":\"big\"}\nSERVER/bytes/2\n",
        exit: 1,
        says: &["bad_line", "invalid type"],
        ok: 1,
    },
    Bad {
        what: "an unknown scheme",
        args: &["-i", "-"],
        list: "ftp://a/b\nSERVER/bytes/1\n",
        exit: 1,
        says: &["unknown_scheme", "ftp"],
        ok: 1,
    },
    Bad {
        what: "port 0",
        args: &["-i", "-"],
        list: "http://127.0.0.1:0/\nSERVER/bytes/1\n",
        exit: 1,
        says: &["url_bad_port"],
        ok: 1,
    },
    Bad {
        what: "port 99999",
        args: &["-i", "-"],
        list: "http://127.0.0.1:99999/\nSERVER/bytes/1\n",
        exit: 1,
        says: &["url_bad_port"],
        ok: 1,
    },
    Bad {
        what: "two URLs for one file",
        args: &["-i", "-", "-o", "d/{name}"],
        list: "SERVER/bytes/1?a\nSERVER/bytes/1?b\nSERVER/bytes/2\n",
        exit: 1,
        says: &["output_collision", "{n} or {hash}"],
        ok: 2,
    },
    Bad {
        what: "one name for a whole list",
        args: &["-i", "-", "-o", "one"],
        list: "SERVER/bytes/1\nSERVER/bytes/2\n",
        exit: 2,
        says: &["use a template"],
        ok: 1,
    },
    Bad {
        what: "a template with an unknown variable",
        args: &["-i", "-", "-o", "{nope}"],
        list: "",
        exit: 2,
        says: &["nope"],
        ok: 0,
    },
    Bad {
        what: "a full disk for one file",
        args: &["-i", "-", "-o", "full/{n}"],
        list: "SERVER/bytes/1\nSERVER/bytes/70000\nSERVER/bytes/3\n",
        exit: 23,
        says: &["write_failed", "No space left"],
        ok: 2,
    },
    Bad {
        what: "a full disk for the records",
        args: &["-i", "-", "--results", "/dev/full"],
        list: "SERVER/bytes/1\n",
        exit: 23,
        says: &["can't write the results to /dev/full"],
        ok: 0,
    },
    Bad {
        what: "a folder that can't be made",
        args: &["-i", "-", "-o", "file/{n}"],
        list: "SERVER/bytes/1\n",
        exit: 23,
        says: &["write_failed"],
        ok: 0,
    },
    Bad {
        what: "a folder that takes no files",
        args: &["-i", "-", "-o", "/proc/{n}x"],
        list: "SERVER/bytes/1\n",
        exit: 23,
        says: &["write_failed", "/proc/1x"],
        ok: 0,
    },
    Bad {
        what: "results that are there",
        args: &["-i", "-", "--results", "file"],
        list: "SERVER/bytes/1\n",
        exit: 2,
        says: &["--resume", "--results-overwrite"],
        ok: 0,
    },
    Bad {
        what: "credentials without hosts",
        args: &["-i", "-", "-u", "a:b"],
        list: "SERVER/bytes/1\n",
        exit: 2,
        says: &["--auth-host"],
        ok: 0,
    },
    Bad {
        what: "a list of aria2",
        args: &["-i", "-"],
        list: "SERVER/bytes/1\n  out=x\n",
        exit: 2,
        says: &["aria2"],
        ok: 1,
    },
    Bad {
        what: "an upload for a list",
        args: &["-i", "-", "-T", "file"],
        list: "",
        exit: 2,
        says: &["-T is for transfers"],
        ok: 0,
    },
];

#[test]
fn bad_input_is_named_and_the_rest_goes_on() {
    let server = spawn(Script::new()).unwrap();
    for row in BAD {
        let gannet = Gannet::new();
        fs::create_dir(gannet.path("folder")).unwrap();
        fs::create_dir(gannet.path("full")).unwrap();
        fs::write(gannet.path("file"), "x").unwrap();
        if cfg!(target_os = "linux") {
            std::os::unix::fs::symlink("/dev/full", gannet.path("full/2")).unwrap();
        } else if row.what.contains("full") || row.what.contains("takes no files") {
            continue;
        }
        let list = row.list.replace("SERVER", &server.url(""));
        let run = gannet.args(row.args).stdin(&list).run();
        let said = format!("{}\n{}", run.err, run.out);
        assert_eq!(run.code, row.exit, "{}: {said}", row.what);
        for part in row.says {
            assert!(said.contains(part), "{}: {part:?} is not in\n{said}", row.what);
        }
        let ok = run.out.lines().filter(|line| line.contains("\"ok\":true")).count();
        assert_eq!(ok, row.ok, "{}: {said}", row.what);
        assert!(!said.contains("panicked"), "{}: {said}", row.what);
    }
}

#[test]
fn a_certificate_that_does_not_fit_fails_its_own_urls_alone() {
    let made = rcgen::generate_simple_self_signed(["other.example".to_owned()]).unwrap();
    let tls = spawn(presets::tls(&made.cert.pem(), &made.signing_key.serialize_pem())).unwrap();
    let plain = spawn(Script::new()).unwrap();
    let list = format!("https://127.0.0.1:{}/\n{}\n", tls.addr().port(), plain.url("/bytes/1"));
    let run = Gannet::new().args(["-i", "-"]).stdin(&list).run();
    assert_eq!(run.code, 1, "{}", run.err);
    let mut records = records(&run.out);
    records.sort_by_key(|record| record["n"].as_u64());
    assert!(records[0]["error"]["kind"].as_str().unwrap().starts_with("tls_"), "{}", records[0]);
    assert_eq!(records[0]["attempts"], 1, "{}", records[0]);
    assert_eq!(records[1]["ok"], true);
}

#[cfg(target_os = "linux")]
#[test]
fn a_small_disk_that_fills_up_loses_nothing_that_was_whole() {
    let gannet = Gannet::new();
    fs::create_dir(gannet.path("disk")).unwrap();
    let disk = gannet.path("disk");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(&disk)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    }
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..12).map(|n| format!("{}\n", server.url(&format!("/bytes/50000?{n}")))).collect();
    let run = gannet
        .args(["-i", "-", "-o", "disk/{n}", "--results", "r", "--per-host", "1"])
        .stdin(&list)
        .run();
    let names = run.files("disk");
    let whole: Vec<_> =
        names.iter().filter(|name| !name.contains("gannet-part")).cloned().collect();
    let sizes: Vec<u64> =
        whole.iter().map(|name| fs::metadata(disk.join(name)).unwrap().len()).collect();
    let _ = std::process::Command::new("umount").arg(&disk).status();
    assert_eq!(run.code, 23, "{}", run.err);
    assert!(sizes.iter().all(|size| *size == 50_000), "{names:?} {sizes:?}");
    let records = records(&fs::read_to_string(run.path("r")).unwrap());
    assert_eq!(records.len(), 12);
    let ok = records.iter().filter(|record| record["ok"] == true).count();
    assert_eq!(ok, whole.len());
    assert!((1..12).contains(&ok), "{ok}");
}

/// What is taken out of earlier results needs room for those that stay: where there is none, they
/// are as they were.
#[cfg(target_os = "linux")]
#[test]
fn earlier_results_on_a_full_disk_stay_as_they_were() {
    let gannet = Gannet::new();
    let disk = gannet.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&disk)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    }
    let line = |n: u32, ok: bool| {
        let error = if ok { "null" } else { "{\"kind\":\"refused\"}" };
        format!(
            "{{\"n\":{n},\"url\":\"http://127.0.0.1:1/{n}\",\"ok\":{ok},\"status\":null,\"error\":{error}}}\n"
        )
    };
    let earlier: String = (1..=500).map(|n| line(n, n > 1)).collect();
    fs::write(disk.join("r"), &earlier).unwrap();
    let list: String = (1..=500).map(|n| format!("http://127.0.0.1:1/{n}\n")).collect();
    let run = gannet.args(["-i", "-", "--results", "disk/r", "--resume"]).stdin(&list).run();
    let (names, after) = (run.files("disk"), fs::read_to_string(disk.join("r")).unwrap());
    let _ = std::process::Command::new("umount").arg(&disk).status();
    assert_eq!(run.code, 23, "{}", run.err);
    assert!(run.err.contains("can't rewrite disk/r: No space left"), "{}", run.err);
    assert_eq!(names, ["r"]);
    assert_eq!(after, earlier);
}

/// Each connection may write a file: both must fit.
#[cfg(target_os = "linux")]
#[test]
fn with_few_descriptors_it_takes_longer_and_nothing_fails() {
    // Slowly, so that files are open for a while.
    let server = spawn(presets::bandwidth(200_000)).unwrap();
    let list: String =
        (0..40).map(|n| format!("{}\n", server.url(&format!("/bytes/4000?{n}")))).collect();
    for most in ["16", "24"] {
        let gannet = Gannet::new();
        fs::write(gannet.path("list"), &list).unwrap();
        let limit = format!("ulimit -n {most} && exec \"$@\"");
        let output = std::process::Command::new("sh")
            .args(["-c", &limit, "sh", env!("CARGO_BIN_EXE_gannet"), "-i", "list"])
            .args(["--results", "r", "--output-dir", "o"])
            .current_dir(gannet.path(""))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{most}: {said}");
        assert_eq!(fs::read_dir(gannet.path("o")).unwrap().count(), 40, "{said}");
    }
}

// ---------------------------------------------------------------- names that try to get out

/// Tried as the path of a URL, as its last part, as an id, as a line's output, and as the name in a
/// Content-Disposition: more than two hundred in all.
const TRICKS: &[&str] = &[
    "..",
    "../x",
    "../../x",
    "../../../../../../../../etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "/../x",
    "./x",
    "a/../../x",
    "a/./b",
    "a//b",
    "..\\x",
    "..\\..\\windows\\x",
    "\\\\server\\share\\x",
    "C:\\x",
    "C:x",
    "c:/x",
    "x:y",
    "%2e%2e",
    "%2e%2e/x",
    "%2e%2e%2fx",
    "..%2fx",
    "..%5cx",
    "%2fetc%2fpasswd",
    "%252e%252e%252fx",
    "%c0%ae%c0%ae/x",
    "%00",
    "x%00.txt",
    "x%0a.txt",
    "x%0d%0ay",
    "%1b[2Jx",
    "%7f",
    "%ff%fe",
    "%e2%80%ae.txt",
    "%e2%80%8fx",
    "%ef%bb%bfx",
    "CON",
    "con.txt",
    "NUL",
    "nul.tar.gz",
    "AUX.",
    "PRN ",
    "COM1",
    "com9.x",
    "LPT1",
    "COM¹",
    "CONIN$",
    "CLOCK$",
    ".",
    "...",
    "....",
    ". ",
    " .",
    "x.",
    "x ",
    " x",
    "~",
    "~root",
    "~/x",
    "-rf",
    "--help",
    "-",
    ".bashrc",
    ".ssh/authorized_keys",
    "$HOME",
    "$(id)",
    "`id`",
    "x;id",
    "x|id",
    "x&id",
    "x>y",
    "x<y",
    "x*y",
    "x?y",
    "x\"y",
    "x'y",
    "x%20y",
    "x.gannet-part",
    "x.gannet-part.json",
    "a:stream",
    "x::$DATA",
    "\u{202e}txt.exe",
    "e\u{301}",
    "\u{200b}",
    "日本語",
];

fn below(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        assert!(!kind.is_symlink());
        if kind.is_dir() {
            below(root, &entry.path(), found);
        } else {
            let path = entry.path();
            found.push(path.strip_prefix(root).unwrap().to_str().expect("UTF-8").to_owned());
        }
    }
}

/// Runs a list with its files in `a/b/c/d` and gives the names there; nothing may be elsewhere.
fn stays_inside(what: &str, args: &[&str], list: &str) -> Vec<String> {
    let gannet = Gannet::new();
    fs::create_dir_all(gannet.path("a/b/c/d")).unwrap();
    let run = gannet
        .args(["-i", "-", "-s", "--output-dir", "a/b/c/d", "--results", "results", "--retry", "0"])
        .args(args)
        .stdin(list)
        .run();
    assert!(run.code == 0 || run.code == 1, "{what}: {} {}", run.code, run.err);
    let (mut all, mut inside) = (Vec::new(), Vec::new());
    below(&run.path("."), &run.path("."), &mut all);
    below(&run.path("a/b/c/d"), &run.path("a/b/c/d"), &mut inside);
    assert_eq!(all.len(), inside.len() + 1, "{what}: something got out: {all:?}");
    for name in &inside {
        for part in name.split('/') {
            assert!(part.len() <= 255 && !part.ends_with(['.', ' ']), "{what}: {name:?}");
            assert!(!part.starts_with(['-', '~', ' ']), "{what}: {name:?}");
            let harmful = |c: char| {
                c.is_control()
                    || "\\:*?\"<>|".contains(c)
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
            };
            assert!(!part.contains(harmful), "{what}: {name:?}");
            let stem = part.split('.').next().unwrap().trim_end().to_ascii_uppercase();
            for device in
                ["CON", "NUL", "AUX", "PRN", "COM1", "COM9", "LPT1", "COM¹", "CONIN$", "CLOCK$"]
            {
                assert_ne!(stem, device, "{what}: {name:?}");
            }
        }
    }
    let records = records(&fs::read_to_string(run.path("results")).unwrap());
    assert_eq!(records.len(), list.lines().count(), "{what}: a record for each");
    inside
}

#[test]
fn no_name_gets_out_of_the_folder() {
    let server = spawn(Script::new().rule(When::prefix("/"), [Action::Status(200)])).unwrap();
    let json = |fields: serde_json::Value| format!("{fields}\n");
    let tried = 5 * TRICKS.len();
    assert!(tried >= 200, "{tried}");

    // As the path, as the last part, as a query that is no part of a name.
    let paths: String = TRICKS
        .iter()
        .map(|trick| json(serde_json::json!({"url": server.url(&format!("/{trick}"))})))
        .collect();
    let found = stays_inside("{path}", &["-o", "{n}/{host}/{path}"], &paths);
    assert!(found.len() > TRICKS.len() * 9 / 10, "{}", found.len());
    let found = stays_inside("{name}", &["-o", "{n}/{name}{ext}"], &paths);
    assert!(found.len() > TRICKS.len() * 9 / 10, "{}", found.len());
    let found = stays_inside("-O", &["-O"], &paths);
    assert!(found.len() > TRICKS.len() / 3, "{}", found.len());

    let ids: String = TRICKS
        .iter()
        .map(|trick| json(serde_json::json!({"url": server.url("/x"), "id": trick})))
        .collect();
    let found = stays_inside("{id}", &["-o", "{n}/{id}"], &ids);
    assert_eq!(found.len(), TRICKS.len());

    // A line's own name is taken as it is, or the line is refused.
    let gannet = Gannet::new();
    fs::create_dir_all(gannet.path("a/b/c/d")).unwrap();
    let outputs: String = TRICKS
        .iter()
        .map(|trick| json(serde_json::json!({"url": server.url("/x"), "output": trick})))
        .collect();
    let run = gannet
        .args(["-i", "-", "-s", "--output-dir", "a/b/c/d", "--results", "results"])
        .stdin(&outputs)
        .run();
    let (mut all, mut inside) = (Vec::new(), Vec::new());
    below(&run.path("."), &run.path("."), &mut all);
    below(&run.path("a/b/c/d"), &run.path("a/b/c/d"), &mut inside);
    assert_eq!(all.len(), inside.len() + 1, "output: something got out: {all:?}");

    let mut script = Script::new();
    let mut list = String::new();
    for (at, trick) in TRICKS.iter().enumerate() {
        let escaped = trick.replace('\\', "\\\\").replace('"', "\\\"");
        let value = if trick.contains('%') {
            format!("attachment; filename*=UTF-8''{trick}")
        } else {
            format!("attachment; filename=\"{escaped}\"")
        };
        script = script.rule(
            When::path(&format!("/d/{at}")),
            [
                Action::Status(200),
                Action::Field("Content-Disposition".into(), value.as_str().into()),
            ],
        );
        list.push_str(&format!("/d/{at}\n"));
    }
    let server = spawn(script).unwrap();
    let list: String = list.lines().map(|path| format!("{}\n", server.url(path))).collect();
    let found = stays_inside("-OJ", &["-OJ"], &list);
    assert!(found.len() > TRICKS.len() / 3, "{}", found.len());
    assert!(!found.iter().any(|name| name.contains('/') || name.starts_with('.')), "{found:?}");
}

#[test]
fn hostile_lines_never_stop_the_list() {
    let server = spawn(Script::new()).unwrap();
    let good = server.url("/bytes/1");
    let mut list: Vec<u8> = Vec::new();
    let mut lines = 0u64;
    let mut push = |line: &[u8]| {
        list.extend_from_slice(line);
        list.push(b'\n');
        list.extend_from_slice(good.as_bytes());
        list.push(b'\n');
        lines += 2;
    };
    for trick in TRICKS {
        push(format!("http://127.0.0.1:1:{trick}").as_bytes());
    }
    for text in [
        "http://",
        "http:///x",
        "http://[::1",
        "http://[x]/",
        "http://a b/",
        "http://%00/",
        "http://a%/",
        "http://a..b/",
        "http://.",
        "http://-/",
        "http://1.2.3.4.5:x/",
        "http://256.256.256.256/",
        "http://0x/",
        "http://a:-1/",
        "http://a:65536/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:,x",
        "gopher://x/",
        "://",
        ":",
        "[",
        "{",
        "{}",
        "{\"url\":null}",
        "{\"url\":[]}",
        "{\"url\":\"\"}",
        "{\"url\":\"http://a/\",\"headers\":{\"A\\n\":\"b\"}}",
        "{\"url\":\"http://a/\",\"method\":\"\"}",
        "{\"url\":\"http://a/\",\"timeout\":-1}",
        "{\"url\":\"http://a/\",\"timeout\":1e999}",
        "{\"url\":\"http://a/\",\"retry\":-1}",
        "{\"url\":\"http://a/\",\"sha256\":\"zz\"}",
        "{\"url\":\"http://a/\",\"body\":1}",
        "{\"url\":\"http://a/\",\"url\":\"http://b/\"}",
        "{\"url\":\"http://a/\"} trailing",
        "[\"http://a/\"]x",
    ] {
        push(text.as_bytes());
    }
    push("{".repeat(100_000).as_bytes());
    push("[".repeat(100_000).as_bytes());
    push(b"\x00");
    push(b"http://a/\x00b");
    push(b"\xff\xfe\xfd");
    push("{\"url\":\"http://a/\",\"meta\":".repeat(300).as_bytes());
    let run = Gannet::new()
        .args(["-i", "-", "-s", "--retry", "0", "--offline", "fail", "--resolve", "*:80:127.0.0.9"])
        .stdin_bytes(list)
        .run();
    assert_eq!(run.code, 1, "{}", run.err);
    let records = records(&run.out);
    assert_eq!(records.len() as u64, lines);
    let ok = records.iter().filter(|record| record["ok"] == true).count() as u64;
    assert_eq!(ok, lines / 2);
}

// ---------------------------------------------------------------- a filter among others

/// `GANNET_LINES=1000000` for the long run.
fn many() -> usize {
    std::env::var("GANNET_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000)
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_list_takes_no_more_memory_than_a_short_one() {
    use std::io::Write;
    let server = spawn(Script::new()).unwrap();
    let mut child = Gannet::new().args(["-i", "-", "--results", "-", "-s"]).spawn(Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    let url = server.url("/bytes/10?");
    let lines = many();
    let writer = std::thread::spawn(move || {
        let mut block = String::new();
        for n in 0..lines {
            block.push_str(&format!("{{\"url\":\"{url}{n}\",\"id\":{n}}}\n"));
            if block.len() > 60_000 || n + 1 == lines {
                stdin.write_all(block.as_bytes()).unwrap();
                block.clear();
            }
        }
    });
    let pid = child.id();
    let mut peak = 0;
    let mut ok = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        ok += usize::from(line.unwrap().contains("\"ok\":true"));
        if ok % 1000 == 999 {
            peak = peak.max(common::peak_kib(pid));
        }
    }
    writer.join().unwrap();
    assert!(common::wait(&mut child, Duration::from_secs(30)).success());
    assert_eq!(ok, lines);
    assert!((1..32 * 1024).contains(&peak), "{peak} KiB");
    eprintln!("{lines} lines: {peak} KiB");
}

#[test]
fn a_slow_reader_holds_the_sockets_back() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..60_000).map(|n| format!("{}\n", server.url(&format!("/bytes/10?{n}")))).collect();
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), list).unwrap();
    let mut child = gannet.args(["-i", "list", "-s"]).spawn(Stdio::null());
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    // What fits into the pipe and the buffers is fetched, then nothing more.
    let settled = |server: &gannet::origin::Running| {
        let until = Instant::now() + Duration::from_secs(20);
        let mut last = (server.stats().answers, Instant::now());
        while last.1.elapsed() < Duration::from_secs(1) {
            assert!(Instant::now() < until, "it does not come to rest");
            std::thread::sleep(Duration::from_millis(50));
            let answers = server.stats().answers;
            if answers != last.0 {
                last = (answers, Instant::now());
            }
        }
        last.0
    };
    let answers = settled(&server);
    assert!(answers < 10_000, "{answers} answers while nobody read");
    // And it goes on when somebody reads, none lost.
    let rest = out.lines().map(Result::unwrap).filter(|line| line.contains("\"ok\":true")).count();
    assert_eq!(rest + 1, 60_000);
    assert!(common::wait(&mut child, Duration::from_secs(30)).success());
}

#[test]
fn a_reader_that_leaves_after_a_thousand_lines_ends_it_within_a_second() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..200_000).map(|n| format!("{}\n", server.url(&format!("/bytes/10?{n}")))).collect();
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), list).unwrap();
    let mut child = gannet.args(["-i", "list"]).spawn(Stdio::null());
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for _ in 0..1000 {
        line.clear();
        out.read_line(&mut line).unwrap();
    }
    drop(out);
    ends_within_a_second(&mut child);
}

/// Its reader has gone just now: it ends with curl's code for that, and without noise.
#[cfg(unix)]
fn ends_within_a_second(child: &mut std::process::Child) {
    let begun = Instant::now();
    let status = common::wait(child, Duration::from_secs(10));
    let took = begun.elapsed();
    assert_eq!(status.code(), Some(23));
    assert!(took < Duration::from_secs(1), "{took:?}");
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(!err.contains("panicked") && !err.to_lowercase().contains("broken pipe"), "{err}");
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_while_nothing_is_written_ends_it_within_a_second() {
    let server = spawn(Script::new()).unwrap();
    let gannet = Gannet::new();
    let list: String =
        (0..10).map(|n| format!("{}\n", server.url(&format!("/delay/60000?{n}")))).collect();
    fs::write(gannet.path("list"), list).unwrap();
    let mut child = gannet.args(["-i", "list"]).spawn(Stdio::null());
    std::thread::sleep(Duration::from_millis(700));
    assert!(child.try_wait().unwrap().is_none());
    drop(child.stdout.take());
    ends_within_a_second(&mut child);
}

// ---------------------------------------------------------------- signals

#[cfg(unix)]
#[test]
fn signals_leave_no_half_file_under_a_final_name() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        if common::inherits_ignored(signal) {
            continue;
        }
        let server = spawn(Script::new()).unwrap();
        let list: String = (0..60)
            .map(|n| format!("{}\n", server.url(&format!("/drip/40000/4000/{}?{n}", 20 + n * 10))))
            .collect();
        let gannet = Gannet::new();
        fs::write(gannet.path("list"), list).unwrap();
        let mut child = gannet
            .args(["-i", "list", "-o", "d/{n}", "--results", "r", "--per-host", "20"])
            .spawn(Stdio::null());
        std::thread::sleep(Duration::from_millis(1_200));
        let begun = Instant::now();
        common::kill(&child, signal);
        let status = common::wait(&mut child, Duration::from_secs(5));
        assert_eq!(status.code(), Some(code), "{signal}");
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
        let text = fs::read_to_string(gannet.path("r")).unwrap();
        let records = records(&text);
        let mut whole = 0;
        for entry in fs::read_dir(gannet.path("d")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if !name.contains("gannet-part") {
                whole += 1;
                assert_eq!(fs::metadata(&path).unwrap().len(), 40_000, "{signal}: {name}");
                let n: u64 = name.parse().unwrap();
                assert!(
                    records.iter().any(|record| record["n"] == n && record["ok"] == true),
                    "{name}"
                );
            }
        }
        assert!(whole > 0, "{signal}");
        let ok = records.iter().filter(|record| record["ok"] == true).count();
        assert_eq!(ok, whole, "{signal}");
        assert!(records.iter().any(|record| record["error"]["kind"] == "cancelled"), "{signal}");
    }
}

/// Whoever does not read can't keep it from ending.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_it_while_nobody_reads() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        if common::inherits_ignored(signal) {
            continue;
        }
        let server = spawn(Script::new()).unwrap();
        let url = server.url("/bytes/100000000");
        let list: String =
            (0..3_000).map(|n| format!("{}\n", server.url(&format!("/bytes/100?{n}")))).collect();
        for args in [&["-sS", &url][..], &["-i", "list"], &["-i", "list", "-o", "-"]] {
            let gannet = Gannet::new();
            fs::write(gannet.path("list"), &list).unwrap();
            let mut child = gannet.args(args).spawn(Stdio::null());
            std::thread::sleep(Duration::from_millis(500));
            let begun = Instant::now();
            common::kill(&child, signal);
            let status = common::wait(&mut child, Duration::from_secs(10));
            assert!(begun.elapsed() < Duration::from_secs(4), "{args:?}: {:?}", begun.elapsed());
            assert_eq!(status.code(), Some(code), "{signal} {args:?}");
        }
    }
}

/// Nor can it hold a batch beyond its time, and what is lost for it is said by the code.
#[cfg(target_os = "linux")]
#[test]
fn a_deadline_ends_it_while_nobody_reads() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..3_000).map(|n| format!("{}\n", server.url(&format!("/bytes/100?{n}")))).collect();
    for args in [&["-i", "list", "--deadline", "1"][..], &["-i", "list", "--deadline", "1", "-o-"]]
    {
        let gannet = Gannet::new();
        fs::write(gannet.path("list"), &list).unwrap();
        let mut child = gannet.args(args).spawn(Stdio::null());
        let status = common::wait(&mut child, Duration::from_secs(20));
        assert_eq!(status.code(), Some(23), "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn nohup_keeps_it_running() {
    let server = spawn(Script::new()).unwrap();
    let url = server.url("/delay/1500/3");
    let mut child = std::process::Command::new("nohup")
        .args([env!("CARGO_BIN_EXE_gannet"), "-s", &url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(600));
    common::kill(&child, "HUP");
    assert_eq!(common::wait(&mut child, Duration::from_secs(10)).code(), Some(0));
    let mut out = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    assert_eq!(out, pattern::body("/delay/1500/3", 3));
}

#[cfg(unix)]
#[test]
fn a_stop_and_a_wake_up_fire_no_timeouts() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..3).map(|n| format!("{}\n", server.url(&format!("/delay/6500/1?{n}")))).collect();
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), list).unwrap();
    let mut child = gannet
        .args(["-i", "list", "-s", "--first-byte-timeout", "4", "--retry", "0"])
        .spawn(Stdio::null());
    std::thread::sleep(Duration::from_millis(700));
    // What Ctrl-Z sends does the same, but not where nobody could wake it: in an orphaned process
    // group, as under some CI systems, the system drops it.
    common::kill(&child, "STOP");
    std::thread::sleep(Duration::from_millis(4_300));
    common::kill(&child, "CONT");
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(common::wait(&mut child, Duration::from_secs(10)).code(), Some(0), "{out}");
    assert!(records(&out).iter().all(|record| record["attempts"] == 1), "{out}");
}
