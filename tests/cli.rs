//! The built binary against the scripted server: batches, records, resuming, signals, bad input.

#[path = "cli_common/mod.rs"]
mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{Gannet, records};
use gannet::origin::{Action, At, Cut, How, Script, When, pattern, presets, spawn};

#[test]
fn a_batch_writes_one_record_a_url() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..300).map(|n| format!("{}\n", server.url(&format!("/bytes/100?{n}")))).collect();
    let run = Gannet::new().args(["-i", "-", "--sha256"]).stdin(&list).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let records = records(&run.out);
    assert_eq!(records.len(), 300);
    let mut numbers: Vec<u64> =
        records.iter().map(|record| record["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
    for record in &records {
        assert_eq!(
            (&record["ok"], &record["status"], &record["body_bytes"]),
            (&true.into(), &200.into(), &100.into())
        );
        assert_eq!(record["method"], "GET");
        assert_eq!(record["sha256"].as_str().unwrap().len(), 64);
        assert!(record["ms"]["total"].is_number() && record["conn"]["id"].is_number(), "{record}");
    }
    assert!(run.err.contains("300 ok, 0 failed"), "{}", run.err);
}

#[test]
fn lines_of_every_kind_are_told_apart() {
    let server = spawn(Script::new()).unwrap();
    let list = format!(
        "\u{feff}# a comment\r\n\r\n{}\r\n{{\"url\":\"{}\",\"id\":7,\"meta\":{{\"b\":1.50,\"a\":[]}}}}\nnot a url at all\nftp://x/y\nhttp://h:0/\nhttp://h:99999/\n{{\"url\":\"x\",\"nope\":1}}\n{}",
        server.url("/bytes/1"),
        server.url("/bytes/2"),
        server.url("/bytes/3"),
    );
    let run = Gannet::new().args(["-i", "-"]).stdin(&list).run();
    assert_eq!(run.code, 1);
    let mut records = records(&run.out);
    records.sort_by_key(|record| record["n"].as_u64());
    let shown: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record["ok"].as_bool().unwrap(),
                record["error"]["kind"].as_str().unwrap_or("").to_owned(),
            )
        })
        .collect();
    assert_eq!(shown.len(), 8, "{}", run.out);
    assert_eq!(shown[0], (true, String::new()));
    assert_eq!(shown[1], (true, String::new()));
    assert!(!shown[2].0, "{}", records[2]);
    assert_eq!(shown[3].1, "unknown_scheme");
    assert_eq!(shown[4].1, "url_bad_port");
    assert_eq!(shown[5].1, "url_bad_port");
    assert_eq!(shown[6].1, "bad_line");
    assert!(records[6]["error"]["message"].as_str().unwrap().contains("line 9"), "{}", records[6]);
    assert_eq!(shown[7], (true, String::new()));
    assert_eq!(records[1]["id"], 7);
    assert!(run.out.contains("\"meta\":{\"b\":1.50,\"a\":[]}"), "{}", run.out);
}

#[test]
fn json_lines_say_how_to_ask() {
    let server = spawn(Script::new()).unwrap();
    let url = server.url("/echo");
    let list = format!(
        "{{\"url\":\"{url}\",\"method\":\"PUT\",\"headers\":{{\"X-A\":\"1\",\"X-B\":[\"2\",\"3\"]}},\"body\":\"hé\"}}\n{{\"url\":\"{}\",\"etag\":\"\\\"nope\\\"\"}}\n{{\"url\":\"{}\",\"size\":5}}\n",
        server.url("/range/10"),
        server.url("/bytes/10"),
    );
    let run = Gannet::new()
        .args(["-i", "-", "--record-body", "text", "--record-headers", "etag,content-type"])
        .stdin(&list)
        .run();
    let mut records = records(&run.out);
    records.sort_by_key(|record| record["n"].as_u64());
    let echo = records[0]["body"].as_str().unwrap();
    assert!(echo.starts_with("PUT /echo HTTP/1.1\r\n"), "{echo}");
    for part in ["X-A: 1\r\n", "X-B: 2\r\n", "X-B: 3\r\n", "Content-Length: 3\r\n", "\r\n\r\nhé"] {
        assert!(echo.contains(part), "{part:?} in {echo}");
    }
    assert!(records[1]["headers"]["etag"].is_array(), "{}", records[1]);
    assert_eq!(records[2]["error"]["kind"], "checksum");
    assert_eq!(run.code, 1);
    // What has not changed is said, and is well.
    let etag = records[1]["etag"].as_str().unwrap();
    let line = serde_json::json!({"url": server.url("/range/10"), "etag": etag}).to_string();
    let run = Gannet::new().args(["-i", "-"]).stdin(&line).run();
    let again = common::records(&run.out);
    assert_eq!(
        (&again[0]["status"], &again[0]["unchanged"], &again[0]["ok"]),
        (&304.into(), &true.into(), &true.into())
    );
}

#[test]
fn files_are_named_by_templates_and_appear_whole() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (1..=20).map(|n| format!("{}\n", server.url(&format!("/bytes/{}", n * 1000)))).collect();
    let run = Gannet::new()
        .args(["-i", "-", "-o", "out/{hash:0:1}/{n:03}{type_ext}", "--results", "r.jsonl"])
        .stdin(&list)
        .run();
    assert_eq!(run.code, 0, "{}", run.err);
    let records = records(&fs::read_to_string(run.path("r.jsonl")).unwrap());
    for record in records {
        let name = record["output"].as_str().unwrap();
        let n = record["n"].as_u64().unwrap();
        assert!(name.ends_with(&format!("/{n:03}.txt")), "{name}");
        let body = fs::read(run.path(name)).unwrap();
        assert_eq!(body, pattern::body(&format!("/bytes/{}", n * 1000), n as usize * 1000));
    }
    let run = Gannet::new().args(["-i", "-", "--output-dir", "d"]).stdin(&list).run();
    assert_eq!(run.files("d").len(), 20);
    assert!(run.files("d").contains(&"00000001".to_owned()), "{:?}", run.files("d"));
}

#[test]
fn two_urls_never_share_a_file() {
    let server = spawn(Script::new()).unwrap();
    let list = format!(
        "{}\n{}\n{}\n",
        server.url("/bytes/5?a"),
        server.url("/bytes/5?b"),
        server.url("/bytes/6")
    );
    let run = Gannet::new().args(["-i", "-", "-o", "d/{name}"]).stdin(&list).run();
    assert_eq!(run.code, 1, "{}", run.err);
    let kinds: Vec<_> = records(&run.out)
        .iter()
        .map(|record| record["error"]["kind"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "output_collision").count(), 1, "{}", run.out);
    assert_eq!(run.files("d"), ["5", "6"]);
    let run = Gannet::new().args(["-i", "-", "-o", "one"]).stdin(&list).run();
    assert_eq!(run.code, 2);
    assert!(run.err.contains("template"), "{}", run.err);
}

#[test]
fn errors_are_not_stored_as_if_they_were_files() {
    let server = spawn(Script::new()).unwrap();
    let list = format!("{}\n{}\n", server.url("/status/404"), server.url("/bytes/3"));
    let run = Gannet::new().args(["-i", "-", "-o", "d/{n}"]).stdin(&list).run();
    assert_eq!((run.code, run.files("d")), (0, vec!["2".to_owned()]));
    let run = Gannet::new().args(["-i", "-", "-o", "d/{n}", "--keep-errors"]).stdin(&list).run();
    assert_eq!((run.code, run.files("d").len()), (0, 2));
    let run = Gannet::new().args(["-i", "-", "-o", "d/{n}", "-f"]).stdin(&list).run();
    assert_eq!((run.code, run.files("d")), (1, vec!["2".to_owned()]));
    assert!(run.out.contains("\"kind\":\"http_error\""));
}

#[test]
fn bodies_come_whole_to_standard_output() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..30).map(|n| format!("{}\n", server.url(&format!("/drip/200/50/5?{n}")))).collect();
    let run = Gannet::new().args(["-i", "-", "-o", "-", "--results", "r"]).stdin(&list).run_bytes();
    assert_eq!(run.0, 0);
    let bodies: Vec<&[u8]> = run.1.chunks(200).collect();
    assert_eq!(bodies.len(), 30);
    for n in 0..30 {
        let want = pattern::body(&format!("/drip/200/50/5?{n}"), 200);
        assert!(bodies.contains(&want.as_slice()), "{n}");
    }
}

#[test]
fn a_run_is_taken_up_where_it_was_left() {
    let server = spawn(Script::new().rule(
        When::prefix("/bytes/7").attempt(1),
        [Action::Cut(Cut { at: At::Body(2), how: How::Reset })],
    ))
    .unwrap();
    let list: String =
        (1..=50).map(|n| format!("{}\n", server.url(&format!("/bytes/{}", n % 10)))).collect();
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), &list).unwrap();
    let first =
        gannet.args(["-i", "list", "--results", "r", "--retry", "0", "--per-host", "2"]).run();
    assert_eq!(first.code, 1, "{}", first.err);
    assert!(first.gannet().args(["-i", "list", "--results", "r"]).run().err.contains("--resume"));
    // A torn last line is mended, what failed is fetched again, all else is left alone.
    let before = fs::read_to_string(first.path("r")).unwrap();
    let torn = &before[..before.len() - 20];
    fs::write(first.path("r"), torn).unwrap();
    let asked = server.stats().requests;
    let second = first.gannet().args(["-i", "list", "--results", "r", "--resume"]).run();
    assert_eq!(second.code, 0, "{}", second.err);
    let after = records(&fs::read_to_string(second.path("r")).unwrap());
    let mut numbers: Vec<u64> = after.iter().map(|record| record["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    assert!(after.iter().all(|record| record["ok"] == true));
    assert!(server.stats().requests - asked <= 5, "{}", server.stats().requests - asked);
    // Another list is noticed.
    fs::write(second.path("list"), list.replace("/bytes/1\n", "/bytes/2\n")).unwrap();
    let third = second.gannet().args(["-i", "list", "--results", "r", "--resume"]).run();
    assert_eq!(third.code, 2, "{}", third.err);
    assert!(third.err.contains("another list"), "{}", third.err);
}

#[test]
fn a_cut_file_goes_on_in_the_next_run() {
    let size = 600_000;
    let cut = Cut { at: At::Body(400_000), how: How::Fin };
    let server =
        spawn(Script::new().rule(When::prefix("/range/").nth(1), [Action::Cut(cut)])).unwrap();
    let url = server.url(&format!("/range/{size}"));
    let gannet = Gannet::new();
    let first = gannet.args(["-sS", "--retry", "0", "-o", "f", &url]).run();
    assert_eq!(first.code, 18, "{}", first.err);
    assert_eq!(first.files("."), ["f.gannet-part", "f.gannet-part.json"]);
    let part = fs::metadata(first.path("f.gannet-part")).unwrap().len();
    assert_eq!(part, 400_000);
    let sent = server.stats().bytes_sent;
    let second = first.gannet().args(["-sS", "-C", "-", "-o", "f", &url]).run();
    assert_eq!(second.code, 0, "{}", second.err);
    assert_eq!(second.files("."), ["f"]);
    assert_eq!(fs::read(second.path("f")).unwrap(), pattern::body(&format!("/range/{size}"), size));
    assert!(server.stats().bytes_sent - sent < 210_000, "{}", server.stats().bytes_sent - sent);
}

#[test]
fn digests_and_recorded_bodies_cover_what_an_earlier_run_left() {
    let cut = Cut { at: At::Body(300_000), how: How::Fin };
    let server =
        spawn(Script::new().rule(When::prefix("/range/").nth(1), [Action::Cut(cut)])).unwrap();
    let list = format!("{}\n", server.url("/range/500000"));
    let first = Gannet::new()
        .args(["-i", "-", "--retry", "0", "-o", "{n}", "--results", "r"])
        .stdin(&list)
        .run();
    assert_eq!(first.code, 1, "{}", first.err);
    assert!(first.err.contains("unfinished file"), "{}", first.err);
    let second = first
        .gannet()
        .args(["-i", "-", "-o", "{n}", "--results", "r", "--resume", "--sha256"])
        .args(["--record-body", "base64", "--record-body-max", "1M"])
        .stdin(&list)
        .run();
    assert_eq!(second.code, 0, "{}", second.err);
    let record = &records(&fs::read_to_string(second.path("r")).unwrap())[0];
    let body = pattern::body("/range/500000", 500_000);
    assert_eq!(record["sha256"], common::sha256(&body), "{record}");
    // So does a body that is recorded.
    let recorded = STANDARD.decode(record["body_base64"].as_str().unwrap()).unwrap();
    assert!(recorded == body, "{} bytes", recorded.len());
    assert!(record["resumed_at"].as_u64().unwrap() > 0, "{record}");
    assert_eq!(second.files("."), ["1", "r"]);
}

#[test]
fn shards_split_a_list_by_host() {
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    let list: String = (1..=40).map(|n| format!("http://h{n}.example:{port}/bytes/1\n")).collect();
    let mut seen = Vec::new();
    for shard in 1..=3 {
        let known = format!("*:{port}:127.0.0.1");
        let run = Gannet::new()
            .args(["-i", "-", "--shard", &format!("{shard}/3"), "--resolve", &known])
            .stdin(&list)
            .run();
        assert_eq!(run.code, 0, "{}", run.err);
        seen.extend(records(&run.out).iter().map(|record| record["n"].as_u64().unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=40).collect::<Vec<_>>());
}

#[test]
fn credentials_go_only_to_hosts_that_are_named() {
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    let list = format!("http://a.example:{port}/echo\nhttp://b.example:{port}/echo\n");
    let known = format!("*:{port}:127.0.0.1");
    let run = Gannet::new()
        .args([
            "-i",
            "-",
            "-u",
            "me:secret",
            "-H",
            "Cookie: c=1",
            "--auth-host",
            "a.example",
            "--record-body",
            "text",
            "--resolve",
            &known,
        ])
        .stdin(&list)
        .run();
    let mut records = records(&run.out);
    records.sort_by_key(|record| record["n"].as_u64());
    let (a, b) = (records[0]["body"].as_str().unwrap(), records[1]["body"].as_str().unwrap());
    assert!(a.contains("Authorization: Basic") && a.contains("Cookie: c=1"), "{a}");
    assert!(!b.contains("Authorization") && !b.contains("Cookie"), "{b}");
    let refused = Gannet::new().args(["-i", "-", "-u", "me:secret"]).stdin(&list).run();
    assert_eq!(refused.code, 2);
    // A URL's own user is masked in records.
    let run = Gannet::new()
        .args(["-i", "-"])
        .stdin(&server.url("/echo").replace("http://", "http://me:geheim@"))
        .run();
    assert!(!run.out.contains("geheim") && !run.err.contains("geheim"), "{}", run.out);
}

#[test]
fn lists_that_can_not_be_used() {
    for (args, want) in [
        (vec!["-i", "/no/such/list"], "can't read the list"),
        (vec!["-i", "."], "is a folder"),
        (vec!["-i", "http://a/"], "--show-headers here"),
    ] {
        let run = Gannet::new().args(args.clone()).run();
        assert_eq!(run.code, 2, "{args:?}");
        assert!(run.err.contains(want), "{}", run.err);
    }
    // Nor does it end as its own results.
    for more in [&["--results-overwrite", "--results"][..], &["--summary"]] {
        let gannet = Gannet::new();
        fs::write(gannet.path("list"), "http://127.0.0.1:1/\n").unwrap();
        let run = gannet.args(["-i", "list"]).args(more).args(["./list"]).run();
        assert_eq!(run.code, 2, "{more:?}");
        assert!(run.err.contains("would overwrite the list"), "{}", run.err);
        assert_eq!(fs::read_to_string(gannet.path("list")).unwrap(), "http://127.0.0.1:1/\n");
    }
    let run = Gannet::new().args(["-i", "-"]).stdin("http://127.0.0.1:1/\n  out=x\n").run();
    assert_eq!(run.code, 2);
    assert!(run.err.contains("aria2"), "{}", run.err);
    let run = Gannet::new().args(["-i", "-"]).stdin("").run();
    assert_eq!((run.code, run.out.as_str()), (0, ""));
    assert!(run.err.contains("empty"), "{}", run.err);
    // A line of ten megabytes, NUL bytes, bytes that are no UTF-8: named, and the rest goes on.
    let server = spawn(Script::new()).unwrap();
    let mut list = vec![b'x'; 10 << 20];
    list.extend_from_slice(b"\nhttp://a/\0\nhttp://a/\xff\n");
    list.extend_from_slice(server.url("/bytes/1").as_bytes());
    let run = Gannet::new().args(["-i", "-"]).stdin_bytes(list).run();
    assert_eq!(run.code, 1, "{}", run.err);
    let records = records(&run.out);
    assert_eq!(records.len(), 4, "{}", run.out);
    assert_eq!(records.iter().filter(|record| record["error"]["kind"] == "bad_line").count(), 3);
    assert_eq!(records.iter().filter(|record| record["ok"] == true).count(), 1);
}

#[test]
fn a_slow_list_does_not_hold_up_what_is_there() {
    let server = spawn(Script::new()).unwrap();
    let mut child = Gannet::new().args(["-i", "-", "--unbuffered", "-s"]).spawn(Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    for n in 0..3 {
        let begun = Instant::now();
        writeln!(stdin, "{}", server.url(&format!("/bytes/{n}"))).unwrap();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(line.contains("\"ok\":true"), "{line}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(120));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// A list may be a pipe with a name: it is opened once, by whichever side comes first, and a slow
/// writer holds nobody up.
#[cfg(unix)]
#[test]
fn a_list_may_come_through_a_named_pipe() {
    let server = spawn(Script::new()).unwrap();
    for writer_first in [true, false] {
        let gannet = Gannet::new();
        let pipe = gannet.path("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let args = ["-i", "pipe", "--unbuffered", "-s"];
        let early = (!writer_first).then(|| gannet.args(args).spawn(Stdio::null()));
        if early.is_some() {
            std::thread::sleep(Duration::from_millis(200));
        }
        let opening = {
            let pipe = pipe.clone();
            std::thread::spawn(move || fs::File::options().write(true).open(pipe).unwrap())
        };
        let mut child = early.unwrap_or_else(|| {
            std::thread::sleep(Duration::from_millis(200));
            gannet.args(args).spawn(Stdio::null())
        });
        let mut writer = opening.join().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        for n in 0..3 {
            writeln!(writer, "{}", server.url(&format!("/bytes/{n}"))).unwrap();
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            assert!(line.contains("\"ok\":true"), "{line}");
        }
        drop(writer);
        assert!(common::wait(&mut child, Duration::from_secs(20)).success());
    }
}

/// A name that leads to a pipe of this process has no file beside it.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_by_the_name_of_a_descriptor_is_written_to() {
    let server = spawn(Script::new()).unwrap();
    for name in ["/dev/stdout", "/proc/self/fd/1", "/dev/stderr"] {
        let run = Gannet::new().args(["-s", "-o", name, &server.url("/bytes/10")]).run();
        assert_eq!((run.code, run.out.len() + run.err.len()), (0, 10), "{name}: {}", run.err);
    }
}

/// What is sent may be a pipe with a name, and a shell's `<(…)` is one: it is read as it comes.
#[cfg(unix)]
#[test]
fn what_is_sent_may_come_through_a_named_pipe() {
    let server = spawn(Script::new()).unwrap();
    let gannet = Gannet::new();
    let pipe = gannet.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let url = server.url("/echo");
    let mut child = gannet.args(["-sS", "-T", "pipe", &url]).spawn(Stdio::null());
    let mut writer = fs::File::options().write(true).open(&pipe).unwrap();
    writer.write_all(b"one ").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    writer.write_all(b"and another").unwrap();
    drop(writer);
    assert!(common::wait(&mut child, Duration::from_secs(20)).success());
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(out.contains("one and another"), "{out}");
    let run = gannet.args(["-sS", "-C", "3", "-T", "pipe", &url]).run();
    assert_eq!(run.code, 36, "{}", run.err);
}

/// A name of any bytes is a name.
#[cfg(target_os = "linux")]
#[test]
fn a_list_and_its_results_may_have_any_name() {
    use std::os::unix::ffi::OsStrExt;
    let server = spawn(Script::new()).unwrap();
    let gannet = Gannet::new();
    let name = |bytes: &[u8]| std::ffi::OsStr::from_bytes(bytes).to_owned();
    fs::write(gannet.path("").join(name(b"l\xff")), server.url("/bytes/1")).unwrap();
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args([name(b"-i"), name(b"l\xff"), name(b"--results"), name(b"r\xff")])
        .arg("--no-summary")
        .current_dir(gannet.path(""))
        .status()
        .unwrap();
    assert!(status.success());
    let written = fs::read_to_string(gannet.path("").join(name(b"r\xff"))).unwrap();
    assert_eq!(records(&written).len(), 1);
    // Where text is needed, it is said of which word.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args([name(b"-A"), name(b"a\xff"), name(b"http://127.0.0.1:1/")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("--user-agent=a\u{fffd} is not UTF-8"), "{said}");
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    let server = spawn(presets::queue(4)).unwrap();
    let list: String =
        (0..20_000).map(|n| format!("{}\n", server.url(&format!("/bytes/10?{n}")))).collect();
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), list).unwrap();
    let mut child = gannet.args(["-i", "list", "--unbuffered", "-s"]).spawn(Stdio::null());
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for _ in 0..20 {
        line.clear();
        out.read_line(&mut line).unwrap();
    }
    drop(out);
    let begun = Instant::now();
    let status = common::wait(&mut child, Duration::from_secs(10));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(status.code(), Some(23));
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(err, "");
    // What stands beside bodies is no other.
    let server = spawn(Script::new()).unwrap();
    let code = "%{http_code}\\n";
    for words in [&["-w", code][..], &["-D", "-"], &["-Z", "-w", code]] {
        let many = server.url("/delay/100/?[1-300]");
        let nowhere = ["-o", "/dev/null", &many];
        let mut child = gannet.gannet().args(words).args(nowhere).spawn(Stdio::null());
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        drop(out);
        let status = common::wait(&mut child, Duration::from_secs(10));
        assert_eq!(status.code(), Some(23), "{words:?}");
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(err, "", "{words:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_gracefully_and_loses_no_record() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        if common::inherits_ignored(signal) {
            continue;
        }
        let server = spawn(presets::queue(2)).unwrap();
        let list: String =
            (0..2_000).map(|n| format!("{}\n", server.url(&format!("/bytes/10?{n}")))).collect();
        let gannet = Gannet::new();
        fs::write(gannet.path("list"), list).unwrap();
        let mut child = gannet.args(["-i", "list", "--results", "r"]).spawn(Stdio::null());
        let until = Instant::now() + Duration::from_secs(10);
        while server.stats().answers < 40 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let begun = Instant::now();
        common::kill(&child, signal);
        let status = common::wait(&mut child, Duration::from_secs(5));
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
        assert_eq!(status.code(), Some(code));
        let text = fs::read_to_string(gannet.path("r")).unwrap();
        assert!(text.ends_with('\n'));
        let records = records(&text);
        let ok = records.iter().filter(|record| record["ok"] == true).count();
        assert!(ok >= 30, "{ok}");
        for record in records.iter().filter(|record| record["ok"] == false) {
            assert_eq!(record["error"]["kind"], "cancelled", "{record}");
        }
        // What was called off is taken up again.
        let run =
            gannet.gannet().args(["-i", "list", "--results", "r", "--resume", "--per-host", "64"]);
        drop(run);
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_at_once() {
    let server = spawn(presets::silent()).unwrap();
    let mut child = Gannet::new().args(["-s", &server.url("/x")]).spawn(Stdio::null());
    std::thread::sleep(Duration::from_millis(700));
    let (signal, code) = if common::inherits_ignored("INT") { ("TERM", 143) } else { ("INT", 130) };
    common::kill(&child, signal);
    common::kill(&child, signal);
    let status = common::wait(&mut child, Duration::from_secs(3));
    assert_eq!(status.code(), Some(code));
}

#[test]
fn results_and_disk_that_fail() {
    let server = spawn(Script::new()).unwrap();
    let list = format!("{}\n{}\n", server.url("/bytes/1"), server.url("/bytes/2"));
    if cfg!(target_os = "linux") {
        let run = Gannet::new().args(["-i", "-", "--results", "/dev/full"]).stdin(&list).run();
        assert_eq!(run.code, 23, "{}", run.err);
        assert!(run.err.contains("can't write the results to /dev/full"), "{}", run.err);
        assert!(run.err.contains("ended early: the results can't be written"), "{}", run.err);
        let run = Gannet::new().args(["-sS", "-o", "/dev/full", &server.url("/bytes/10")]).run();
        assert_eq!(run.code, 23, "{}", run.err);
    }
    let gannet = Gannet::new();
    fs::write(gannet.path("file"), "x").unwrap();
    let run = gannet.args(["-i", "-", "-o", "file/{n}", "--results", "r"]).stdin(&list).run();
    assert_eq!(run.code, 23, "{}", run.err);
    let records = records(&fs::read_to_string(run.path("r")).unwrap());
    assert!(records.iter().all(|record| record["error"]["kind"] == "write_failed"), "{records:?}");
}

#[test]
fn the_summary_is_there_for_programs_too() {
    let server = spawn(Script::new()).unwrap();
    let list = format!(
        "{}\n{}\nhttp://127.0.0.1:1/\n",
        server.url("/redirect/1"),
        server.url("/status/404")
    );
    let run = Gannet::new()
        .args(["-i", "-", "--summary", "s.json", "--results", "r", "--retry", "0"])
        .stdin(&list)
        .run();
    assert_eq!(run.code, 1);
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(run.path("s.json")).unwrap()).unwrap();
    assert_eq!((&summary["ok"], &summary["failed"]), (&2.into(), &1.into()));
    assert_eq!(summary["statuses"]["404"], 1);
    assert_eq!(summary["unfollowed_redirects"], 1);
    assert_eq!(summary["hosts"].as_array().unwrap().len(), 2);
    for part in ["2 ok, 1 failed", "-L follows", "1 × 404"] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
}

#[test]
fn bounds_end_a_batch_and_leave_the_rest_for_resume() {
    let server = spawn(presets::queue(1)).unwrap();
    let list: String =
        (0..500).map(|n| format!("{}\n", server.url(&format!("/bytes/1?{n}")))).collect();
    let begun = Instant::now();
    let args = ["-i", "-", "--deadline", "1", "--per-host", "1", "--results", "r"];
    let run = Gannet::new().args(args).args(["--summary", "s.json"]).stdin(&list).run();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.err.contains("--deadline; the rest of the list was not begun"), "{}", run.err);
    // What was only read ahead did not fail, and has no record.
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(run.path("s.json")).unwrap()).unwrap();
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert!(count("failed") <= 1 && count("not_begun") > 0, "{summary}");
    assert_eq!(count("ok") + count("failed") + count("not_begun"), count("entries"));
    let written = records(&fs::read_to_string(run.path("r")).unwrap()).len() as u64;
    assert_eq!(written, count("ok") + count("failed"));
    // It is all there for another run.
    let args = ["-i", "-", "--results", "r", "--resume", "--per-host", "64"];
    let quick = spawn(Script::new()).unwrap();
    let to = format!("{}:127.0.0.1:{}", server.addr(), quick.addr().port());
    let run = run.gannet().args(args).args(["--connect-to", &to]).stdin(&list).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let mut done = records(&fs::read_to_string(run.path("r")).unwrap());
    done.sort_by_key(|record| record["n"].as_u64());
    let all = done.iter().zip(1..).all(|(record, n)| record["n"] == n && record["ok"] == true);
    assert!(all && done.len() == 500, "{}", done.len());
    // Nothing failed, and not everything was done.
    let run = Gannet::new().args(["-i", "-", "--deadline", "0"]).stdin(&list).run();
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    let list: String =
        (0..500).map(|n| format!("{}\n", server.url(&format!("/status/404?{n}")))).collect();
    let run = Gannet::new()
        .args(["-i", "-", "-f", "--max-failures", "5", "--per-host", "1"])
        .stdin(&list)
        .run();
    assert_eq!(run.code, 1);
    assert!(run.err.contains("--max-failures"), "{}", run.err);
    assert!(server.stats().requests < 400);
}

#[test]
fn types_and_sizes_are_chosen() {
    let server = spawn(Script::new()).unwrap();
    let list = format!("{}\n{}\n", server.url("/bytes/1000"), server.url("/inspect"));
    let run = Gannet::new()
        .args([
            "-i",
            "-",
            "--accept-type",
            "application/*",
            "--truncate",
            "10",
            "-o",
            "{n}",
            "--results",
            "r",
        ])
        .stdin(&list)
        .run();
    assert_eq!(run.code, 1, "{}", run.err);
    let mut records = records(&fs::read_to_string(run.path("r")).unwrap());
    records.sort_by_key(|record| record["n"].as_u64());
    assert_eq!(records[0]["error"]["kind"], "filtered");
    assert_eq!((&records[1]["truncated"], &records[1]["body_bytes"]), (&true.into(), &10.into()));
    assert_eq!(fs::metadata(run.path("2")).unwrap().len(), 10);
}

#[test]
fn wires_are_recorded_and_replayed() {
    let server = spawn(Script::new()).unwrap();
    let run = Gannet::new()
        .args([
            "-s",
            "-u",
            "me:geheim",
            "--record-wire",
            "w",
            &server.url("/echo"),
            &server.url("/bytes/5"),
        ])
        .run();
    assert_eq!(run.code, 0, "{}", run.err);
    let files = run.files("w");
    assert_eq!(files.len(), 1, "{files:?}");
    let file = format!("w/{}", files[0]);
    let replay = run.gannet().args(["replay", &file]).run();
    assert_eq!(replay.code, 0, "{}", replay.out);
    assert!(replay.out.contains("2 whole answers"), "{}", replay.out);
    assert!(!replay.out.contains("bWU6Z2VoZWlt"), "{}", replay.out);
    // The end is told, though the connection was kept to the last.
    assert!(replay.out.contains(" ! closed\n"), "{}", replay.out);
}

/// Groups that share a connection share its record, and those that do not have each their own.
#[test]
fn wires_of_later_groups_are_recorded_too() {
    let server = spawn(Script::new()).unwrap();
    let (one, two) = (server.url("/bytes/5"), server.url("/bytes/6"));
    let groups = |more: &[&str]| {
        let mut words = vec!["-s", "--record-wire", "w", &one, "--next", "-s"];
        words.extend(["--record-wire", "w", "-w", "%{size_request} %{local_ip}"]);
        words.extend(more);
        words.push(&two);
        Gannet::new().args(words).run()
    };
    let run = groups(&[]);
    assert_eq!((run.code, run.files("w").len()), (0, 1), "{}", run.err);
    let wire = fs::read(run.path("w/conn-000001.wire")).unwrap();
    let alone = Gannet::new().args(["-s", "-w", "%{size_request} %{local_ip}", &two]).run();
    assert_eq!(run.out.get(5..), Some(&*alone.out), "its own request alone is measured");
    assert!(alone.out.ends_with(" 127.0.0.1"), "{}", alone.out);
    let replay = run.gannet().args(["replay", "w/conn-000001.wire"]).run();
    assert!(replay.out.contains("2 whole answers"), "{}", replay.out);
    let run = groups(&["--connect-timeout", "3", "--results", "r"]);
    assert_eq!(
        (run.code, run.files("w")),
        (0, vec!["conn-000001.wire".to_owned(), "conn-000002.wire".to_owned(),]),
        "{}",
        run.err
    );
    let first = fs::read(run.path("w/conn-000001.wire")).unwrap();
    assert!(first.len() < wire.len(), "the first group's alone");
    // Records call them by the same numbers.
    let records = records(&fs::read_to_string(run.path("r")).unwrap());
    let ids: Vec<_> = records.iter().map(|record| record["conn"]["id"].as_u64()).collect();
    assert_eq!(ids, [Some(1), Some(2)]);
}

#[test]
fn verbose_shows_heads_without_secrets() {
    let server = spawn(Script::new()).unwrap();
    let run = Gannet::new().args(["-v", "-u", "me:geheim", &server.url("/bytes/5")]).run();
    for part in [
        "> GET /bytes/5 HTTP/1.1",
        "> Authorization: Basic ***",
        "< HTTP/1.1 200 OK",
        "connected to 127.0.0.1",
    ] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    assert_eq!(run.out.as_bytes(), pattern::body("/bytes/5", 5));
}

#[test]
fn verbose_tells_what_is_found_of_a_host() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..300).map(|n| format!("{}\n", server.url(&format!("/bytes/100?{n}")))).collect();
    let run = Gannet::new().args(["-i", "-", "-v", "--max-per-host", "3"]).stdin(&list).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let told: Vec<&str> = run.err.lines().filter(|line| line.starts_with("* http://")).collect();
    let port = server.url("/").replace("http://127.0.0.1:", "").replace('/', "");
    assert!(
        told.contains(&&*format!("* http://127.0.0.1:{port}: at the ceiling of 3")),
        "{told:?}"
    );
    assert!(told.len() < 20, "each change once: {told:?}");
}

#[test]
fn what_cannot_be_continued_or_read_has_a_name() {
    let server = spawn(Script::new()).unwrap();
    let url = server.url("/bytes/10");
    let run = Gannet::new().args(["-sS", "-C", "4", "-o", "f", &url]).run();
    assert_eq!(run.code, 33);
    assert!(run.err.contains("[range_refused]"), "{}", run.err);
    let run = Gannet::new().args(["-sS", "-T", "missing", &url]).run();
    assert_eq!(run.code, 26);
    assert!(run.err.contains("[read_failed]"), "{}", run.err);
    let url = url.replace("http:", "https:");
    let run = Gannet::new().env("SSL_CERT_FILE", "/nowhere").args(["-sS", &url]).run();
    assert!(run.err.contains("[tls_ca_file]"), "{}", run.err);
    assert!(run.err.contains("given as a file (--cacert)"), "{}", run.err);
    assert_eq!(run.code, 77);
}

#[test]
fn demo_shows_the_trouble_and_the_cure() {
    let run = Gannet::new().args(["demo", "hard 6, 503", "one dead"]).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let mut lines = run.out.lines().skip_while(|line| !line.contains("URLs/s"));
    // URLs; naive: failed, URLs/s; told: URLs/s; gannet: failed, URLs/s, connections, refused.
    let mut row = |name: &str| {
        let said = lines.by_ref().find(|line| line.starts_with(name)).expect("a server");
        let (_, said) = said.split_once(": ").expect("what was found");
        assert!(said.starts_with("settled at "), "{said}");
        // What the dead one of two addresses does says less than what the other one did.
        assert!(said.ends_with(if name.contains("503") { "503" } else { "was reset" }), "{said}");
        let row = lines.next().expect("figures").replace(',', "");
        row.split_whitespace()
            .map(|word| word.parse::<f64>().unwrap_or(f64::NAN))
            .collect::<Vec<f64>>()
    };
    for (name, urls) in [("hard 6, 503", 960.0), ("two addresses, one dead", 3840.0)] {
        let row = row(name);
        assert_eq!((row[0], row[4]), (urls, 0.0), "{}", run.out);
        assert!(row[1] > urls / 2.0, "the naive client fails: {}", run.out);
        assert!(row[5] > row[3] / 2.0, "{}", run.out);
    }
}

#[test]
fn demo_plays_what_no_rate_shows() {
    let run = Gannet::new().args(["demo", "two at", "3600", "killed", "150 ms"]).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let said = run.out.replace("\n ", "");
    let count = |before: &str| {
        let (_, rest) = said.split_once(before).unwrap_or_else(|| panic!("{before}: {said}"));
        let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit() && c != ',');
        digits.into_iter().next().unwrap().replace(',', "").parse::<u64>().unwrap()
    };
    for whole in [
        "0 of 3,840 failed",
        "300 of 300 of another host arrived",
        "fetched the rest: 600 of 600",
        "killed four times: 2,000 records of 2,000 URLs, 2,000 whole files",
        "met a closed connection, and 0 failed",
    ] {
        assert!(said.contains(whole), "{whole}: {said}");
    }
    assert!(count("that host was asked for") < 100, "{said}");
    // Four times what came within a second.
    assert!((1..=3_600).contains(&count("whole files,")), "{said}");
    assert!(count("asked every 150 ms,") <= 4, "{said}");
    assert!(said.contains("(fairness 0.9") || said.contains("(fairness 1."), "{said}");
}

#[test]
fn demo_knows_its_servers() {
    let run = Gannet::new().args(["demo", "thrash", "perfect"]).run();
    assert_eq!(run.code, 2);
    assert!(
        run.err.contains("no server 'perfect'") && run.err.contains("8 workers"),
        "{}",
        run.err
    );
}
