//! Parts of one version that are taken up while the server has another: no file has bytes of two.

use std::fs;
use std::process::Command;

use gannet::origin::{Action, At, Cut, How, Running, Script, When, pattern, spawn};

use super::common::{Gannet, Run, records};

const SIZE: usize = 2_000_000;
const TARGET: &str = "/range/2000000";

fn cut(at: u64) -> Action {
    Action::Cut(Cut { at: At::Body(at), how: How::Fin })
}

/// The second version, and what its server says by which to know it: nothing but this.
fn second(etag: Option<&str>) -> Vec<Action> {
    let mut actions = vec![Action::Edition(2), Action::Without("Last-Modified".to_owned())];
    actions.push(match etag {
        Some(etag) => Action::Field("ETag".into(), etag.into()),
        None => Action::Without("ETag".to_owned()),
    });
    actions
}

/// The first version is cut, then come answers with the second, then the first again.
fn server(second: &[Vec<Action>]) -> Running {
    let mut script = Script::new().rule(When::path(TARGET).attempt(1), [cut(1_000_000)]);
    for (attempt, actions) in (2..).zip(second) {
        script = script.rule(When::path(TARGET).attempt(attempt), actions.clone());
    }
    spawn(script).unwrap()
}

/// As a batch, or as one transfer.
fn commands(server: &Running) -> [Gannet; 2] {
    let url = server.url(TARGET);
    let batch = Gannet::new();
    fs::write(batch.path("list"), format!("{url}\n")).unwrap();
    let batch = batch.args(["-i", "list", "--results", "r", "-o", "f", "--resume"]);
    let transfer = Gannet::new().args(["-sS", "-o", "f", "-C", "-", &url]);
    [batch, transfer].map(|command| command.args(["--retry", "0"]))
}

fn first_run(command: &Gannet) -> Run {
    let run = command.run();
    assert_ne!(run.code, 0, "{}", run.err);
    assert_eq!(fs::metadata(run.path("f.gannet-part")).unwrap().len(), 1_000_000);
    assert!(run.path("f.gannet-part.json").exists());
    run
}

fn is_second(bytes: &[u8]) -> bool {
    let mut whole = Vec::new();
    pattern::append(pattern::seed(TARGET.as_bytes(), 2), 0, bytes.len(), &mut whole);
    whole == bytes
}

/// The part of the first version is begun anew with the second, and that is cut too: what the third
/// run goes on with is of one version, or nothing.
#[test]
fn no_file_is_of_two_versions() {
    for etag in [Some("W/\"v2\""), None, Some("\"v2\"")] {
        for length in [1_200_000, 700_000, 100_000] {
            for way in 0..2 {
                let what = format!("{etag:?}, {length}, way {way}");
                let mut answer = second(etag);
                answer.push(cut(length));
                let server = server(&[answer]);
                let command = &commands(&server)[way];
                first_run(command);
                let run = command.run();
                assert_ne!(run.code, 0, "{what}: {}", run.err);
                let part = fs::read(run.path("f.gannet-part")).unwrap();
                assert!(part.len() as u64 == length && is_second(&part), "{what}");
                let last = command.run();
                assert_eq!(last.code, 0, "{what}: {}", last.err);
                let whole = fs::read(last.path("f")).unwrap();
                assert!(whole == pattern::body(TARGET, SIZE), "{what}: a mix");
                assert!(!last.path("f.gannet-part").exists(), "{what}");
                assert!(!last.path("f.gannet-part.json").exists(), "{what}");
            }
        }
    }
}

/// The same within one run: its second attempt meets the second version.
#[test]
fn no_file_is_of_two_versions_after_an_attempt_more() {
    for etag in [Some("W/\"v2\""), None, Some("\"v2\"")] {
        let mut answer = second(etag);
        answer.push(cut(100_000));
        let server = server(&[answer]);
        let [batch, _] = commands(&server);
        let run = batch.args(["--retry", "1", "--backoff-base", "5ms"]).run();
        assert_eq!(run.code, 1, "{etag:?}: {}", run.err);
        assert!(is_second(&fs::read(run.path("f.gannet-part")).unwrap()), "{etag:?}");
        let noted = run.path("f.gannet-part.json").exists();
        assert_eq!(noted, etag.is_some_and(|etag| etag.starts_with('"')), "{etag:?}");
        assert_eq!(batch.run().code, 0, "{etag:?}");
        assert!(fs::read(run.path("f")).unwrap() == pattern::body(TARGET, SIZE), "{etag:?}: a mix");
    }
}

/// What was begun anew, and is whole: the validator of the first version goes with its part.
#[test]
fn no_validator_stays_beside_a_whole_file() {
    for etag in [Some("W/\"v2\""), None, Some("\"v2\"")] {
        for way in 0..2 {
            let server = server(&[second(etag)]);
            let command = &commands(&server)[way];
            first_run(command);
            let run = command.run();
            assert_eq!(run.code, 0, "{etag:?}: {}", run.err);
            assert!(is_second(&fs::read(run.path("f")).unwrap()));
            let left = run.files(".");
            assert!(!left.iter().any(|name| name.contains("gannet-part")), "{etag:?}: {left:?}");
        }
    }
}

/// Two lines of one URL and one name have asked for the rest of the same part; the first gets
/// another version, which is cut, before the second one's rest comes.
#[test]
fn a_part_that_another_line_began_anew_does_not_go_on() {
    let mut answer = second(None);
    answer.push(cut(1_200_000));
    let server = server(&[answer]);
    let command = Gannet::new().args(["-i", "list", "--results", "r", "-o", "{name}", "--resume"]);
    let command = command.args(["--retry", "0", "--per-host", "1"]);
    let url = server.url(TARGET);
    fs::write(command.path("list"), format!("{url}\n")).unwrap();
    assert_eq!(command.run().code, 1);
    fs::write(command.path("list"), format!("{url}\n{url}\n")).unwrap();
    let run = command.run();
    assert_eq!(run.code, 1, "{}", run.err);
    let kinds: Vec<_> = records(&fs::read_to_string(run.path("r")).unwrap())
        .iter()
        .map(|record| record["error"]["kind"].as_str().unwrap_or("ok").to_owned())
        .collect();
    assert_eq!(kinds, ["eof_in_body", "output_collision"], "{}", run.err);
    assert!(is_second(&fs::read(run.path("2000000.gannet-part")).unwrap()));
}

/// The old validator is gone before the first of its bytes is: a kill between any two system calls
/// leaves no validator beside bytes of another version.
#[test]
fn the_validator_goes_before_the_bytes() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: strace is not here");
        return;
    }
    let server = server(&[second(Some("\"v2\""))]);
    let [batch, _] = commands(&server);
    let run = first_run(&batch);
    let output = Command::new("strace")
        .args(["-f", "-y", "-o", "trace"])
        .args(["-e", "trace=unlink,unlinkat,ftruncate,write,openat,rename,renameat,renameat2"])
        .arg(env!("CARGO_BIN_EXE_gannet"))
        .args(["-i", "list", "--results", "r", "-o", "f", "--resume", "--retry", "0"])
        .current_dir(run.path("."))
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trace = fs::read_to_string(run.path("trace")).unwrap();
    let mut calls: Vec<String> = trace
        .lines()
        .filter(|line| line.contains("f.gannet-part"))
        .filter_map(|line| {
            let call = line.split_once(' ')?.1.trim_start();
            let name = call.split('(').next()?.trim_end_matches("at2").trim_end_matches("at");
            let note = if call.contains(".json") { " note" } else { "" };
            (name != "open").then(|| format!("{name}{note}"))
        })
        .collect();
    calls.dedup();
    let order =
        ["unlink note", "ftruncate", "write", "write note", "write", "rename", "unlink note"];
    assert_eq!(calls, order, "{trace}");
}
