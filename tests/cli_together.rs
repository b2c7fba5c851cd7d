//! The built command where others are at the same place: several runs in one folder, files that
//! were there before, and a standard error that nobody reads.

mod cli_common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cli_common::{Gannet, records, wait};

/// Answers `/LETTER/N` with N letters, one each 20 ms.
fn slow_letters() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || spell(stream));
        }
    });
    port
}

fn spell(mut stream: TcpStream) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let (letter, count) = head.split(' ').nth(1)?.strip_prefix('/')?.split_once('/')?;
    let count: usize = count.parse().ok()?;
    let said = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {count}\r\n\r\n");
    stream.write_all(said.as_bytes()).ok()?;
    for _ in 0..count {
        stream.write_all(letter.as_bytes()).ok()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(())
}

const LONGEST: Duration = Duration::from_secs(30);

fn code(child: &mut Child) -> Option<i32> {
    wait(child, LONGEST).code()
}

/// Waits until a part of `f` has its first byte.
fn begun(gannet: &Gannet, parts: usize) {
    let until = Instant::now() + LONGEST;
    let dir = gannet.path("");
    loop {
        let names = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap());
        let held = names.filter(|entry| {
            entry.file_name().to_string_lossy().ends_with(".gannet-part")
                && entry.metadata().is_ok_and(|meta| meta.len() > 0)
        });
        if held.count() >= parts {
            return;
        }
        assert!(Instant::now() < until, "no part has begun");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Each run writes a part of its own, so that what gets the name is one answer and whole.
#[test]
fn two_runs_to_one_name_do_not_mix() {
    let port = slow_letters();
    let gannet = Gannet::new();
    let fetch = |letter: &str, count: usize| {
        let url = format!("http://127.0.0.1:{port}/{letter}/{count}");
        gannet.args(["-sS", "-o", "f", &url]).spawn(Stdio::null())
    };
    let mut first = fetch("a", 30);
    begun(&gannet, 1);
    let mut second = fetch("b", 200);
    begun(&gannet, 2);
    assert_eq!(code(&mut first), Some(0));
    assert_eq!(fs::read_to_string(gannet.path("f")).unwrap(), "a".repeat(30));
    second.kill().unwrap();
    second.wait().unwrap();
    assert_eq!(fs::read_to_string(gannet.path("f")).unwrap(), "a".repeat(30));
    // What the killed one left is in nobody's way.
    let mut runs = [fetch("c", 10), fetch("d", 10), fetch("e", 10)];
    for run in &mut runs {
        assert_eq!(code(run), Some(0));
    }
    let text = fs::read_to_string(gannet.path("f")).unwrap();
    assert!(["c", "d", "e"].iter().any(|letter| text == letter.repeat(10)), "{text}");
}

/// Two runs with one results file would both do what only one should.
#[test]
fn a_results_file_belongs_to_one_run_at_a_time() {
    let port = slow_letters();
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), format!("http://127.0.0.1:{port}/a/40\n")).unwrap();
    let batch = gannet.args(["-i", "list", "--results", "r", "--no-summary"]);
    let mut first = batch.spawn(Stdio::null());
    let until = Instant::now() + LONGEST;
    while !gannet.path("r").exists() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(50));
    for more in [&[][..], &["--resume"], &["--results-overwrite"]] {
        let run = batch.args(more).run();
        assert_eq!(run.code, 2, "{more:?}: {}", run.err);
        assert!(run.err.contains("is being written by another run"), "{more:?}: {}", run.err);
    }
    assert_eq!(code(&mut first), Some(0));
    let run = batch.args(["--resume"]).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let text = fs::read_to_string(run.path("r")).unwrap();
    assert_eq!(records(&text).len(), 1, "{text}");
}

/// What can't be said is not said, and changes nothing else.
#[cfg(target_os = "linux")]
#[test]
fn a_standard_error_that_is_full_ends_nothing() {
    let port = slow_letters();
    let url = format!("http://127.0.0.1:{port}/a/1");
    let list = format!("{url}\n");
    for (args, exit) in [
        (&["http://127.0.0.1:1"][..], 7),
        (&["-v", &url], 0),
        (&["--bogus"], 2),
        (&["-i", "list", "--results", "r", "--output-dir", "o"], 0),
        (&["-i", "missing"], 2),
    ] {
        let gannet = Gannet::new();
        fs::write(gannet.path("list"), &list).unwrap();
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut child = gannet.args(args).spawn_with(Stdio::null(), full.into());
        let code = code(&mut child);
        assert_eq!(code, Some(exit), "{args:?}");
    }
}

/// A file that takes another one's place is as private as that was, and one that must not be
/// written is not replaced.
#[cfg(unix)]
#[test]
fn a_file_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let port = slow_letters();
    let url = format!("http://127.0.0.1:{port}/a/1");
    for (mode, text) in [(0o600, "a"), (0o666, "a"), (0o444, "old")] {
        let gannet = Gannet::new();
        let file = gannet.path("f");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        // Root may write everything.
        let may = fs::OpenOptions::new().write(true).open(&file).is_ok();
        let run = gannet.args(["-sS", "-o", "f", &url]).run();
        let (exit, text) = if may { (0, "a") } else { (23, text) };
        assert_eq!(run.code, exit, "{mode:o}: {}", run.err);
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "{mode:o}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, mode);
    }
}

/// A name that is as long as a file system bears has its part under a short one, and goes on from it.
#[test]
fn a_long_name_has_a_part_as_well() {
    let port = slow_letters();
    let name = "n".repeat(255);
    let gannet = Gannet::new();
    let run = gannet.args(["-sS", "-o", &name, &format!("http://127.0.0.1:{port}/a/3")]).run();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(fs::read_to_string(run.path(&name)).unwrap(), "aaa");
    assert_eq!(run.files(""), [name]);
}

#[test]
fn a_summary_that_has_no_place_is_refused_before_anything_is_fetched() {
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), "http://127.0.0.1:1/\n").unwrap();
    let run = gannet.args(["-i", "list", "--results", "r", "--summary", "nowhere/s"]).run();
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("there is no folder nowhere"), "{}", run.err);
    assert!(!run.path("r").exists());
}
