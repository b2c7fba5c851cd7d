//! Records and their resuming: kinds, statuses, keys, other lists, torn lines, the disk.

use std::fs;

use gannet::origin::{Action, At, Cut, How, Running, Script, When, pattern, spawn};

use super::common::{Gannet, Run, records};

/// `/bytes/N`: 1 is 404, 2 is 500 at first, 3 is cut at first, all others are well.
fn server() -> Running {
    let cut = Action::Cut(Cut { at: At::Body(1), how: How::Fin });
    let mut script = Script::new()
        .rule(When::path("/bytes/1").attempt(1), [Action::Status(404)])
        .rule(When::path("/bytes/2").attempt(1), [Action::Status(500)])
        .rule(When::path("/bytes/3").attempt(1), [cut]);
    script.count_requests = true;
    spawn(script).unwrap()
}

fn list(server: &Running) -> String {
    (1..=6).map(|n| format!("{}\n", server.url(&format!("/bytes/{n}")))).collect()
}

fn first(server: &Running) -> Run {
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), list(server)).unwrap();
    let run = gannet.args(["-i", "list", "--results", "r", "--retry", "0"]).run();
    assert_eq!(run.code, 1, "{}", run.err);
    run
}

fn again(run: &Run, more: &[&str]) -> Run {
    run.gannet().args(["-i", "list", "--results", "r", "--resume"]).args(more).run()
}

/// By number: whether it is ok, and its status or kind.
fn came(run: &Run) -> Vec<String> {
    let mut records = records(&fs::read_to_string(run.path("r")).unwrap());
    records.sort_by_key(|record| record["n"].as_u64());
    let numbers: Vec<_> = records.iter().map(|record| record["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=6).collect::<Vec<_>>(), "each once");
    records
        .iter()
        .map(|record| match record["error"]["kind"].as_str() {
            Some(kind) => kind.to_owned(),
            None => record["status"].to_string(),
        })
        .collect()
}

#[test]
fn what_is_fetched_again_can_be_chosen() {
    let whole = ["404", "status_exhausted", "eof_in_body", "200", "200", "200"];
    for (more, after) in [
        (&[][..], ["404", "200", "200", "200", "200", "200"]),
        (
            &["--resume-kinds", "eof_in_body"],
            ["404", "status_exhausted", "200", "200", "200", "200"],
        ),
        (
            &["--resume-kinds", "eof_in_body,status_exhausted"],
            ["404", "200", "200", "200", "200", "200"],
        ),
        (
            &["--resume-status", "404"],
            ["200", "status_exhausted", "eof_in_body", "200", "200", "200"],
        ),
        (&["--resume-status", "5xx"], ["404", "200", "eof_in_body", "200", "200", "200"]),
        (&["--resume-kinds", "eof_in_body", "--resume-status", "4xx,500"], ["200"; 6]),
    ] {
        let server = server();
        let run = first(&server);
        assert_eq!(came(&run), whole);
        let next = again(&run, more);
        assert_eq!(came(&next), after, "{more:?}: {}", next.err);
    }
    let server = server();
    let run = first(&server);
    assert_eq!(again(&run, &["--resume-status", "6xy"]).code, 2);
}

#[test]
fn a_list_in_another_order_is_known_by_url_or_id() {
    let server = server();
    let gannet = Gannet::new();
    let line = |n: u64| {
        format!("{{\"url\":\"{}\",\"id\":\"i{n}\"}}\n", server.url(&format!("/bytes/{}", n + 10)))
    };
    let whole: String = (1..=20).map(line).collect();
    fs::write(gannet.path("list"), &whole).unwrap();
    let command = gannet.args(["-i", "list", "--results", "r", "--resume"]);
    let run = command.run();
    assert_eq!(run.code, 0, "{}", run.err);
    let asked = server.stats().requests;
    // Backwards, with two new ones and one old one missing.
    let other: String = (2..=22).rev().map(line).collect();
    fs::write(gannet.path("list"), &other).unwrap();
    let refused = command.run();
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("another list"), "{}", refused.err);
    assert_eq!(records(&fs::read_to_string(gannet.path("r")).unwrap()).len(), 20);
    for (key, most) in [("url", 2), ("id", 0)] {
        let run = command.args(["--resume-key", key]).run();
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(server.stats().requests - asked <= 2, "{key}");
        assert_eq!(records(&fs::read_to_string(gannet.path("r")).unwrap()).len(), 22);
        let _ = most;
    }
    assert_eq!(server.stats().requests - asked, 2, "only the new ones");
    // A list that is shorter than what is done is another one, too.
    let shorter = Gannet::new();
    fs::write(shorter.path("list"), list(&server)).unwrap();
    shorter.args(["-i", "list", "--results", "r"]).run();
    let short: String = list(&server).lines().take(3).map(|line| format!("{line}\n")).collect();
    fs::write(shorter.path("list"), short).unwrap();
    let run = shorter.args(["-i", "list", "--results", "r", "--resume"]).run();
    assert_eq!(run.code, 2, "{}", run.err);
}

#[test]
fn a_torn_line_is_mended_wherever_it_was_cut() {
    let server = spawn(Script::new()).unwrap();
    let gannet = Gannet::new();
    let list: String =
        (1..=4).map(|n| format!("{}\n", server.url(&format!("/bytes/{n}")))).collect();
    fs::write(gannet.path("list"), list).unwrap();
    let command = gannet.args(["-i", "list", "--results", "r", "--resume"]);
    assert_eq!(command.run().code, 0);
    let text = fs::read(gannet.path("r")).unwrap();
    let last = text[..text.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for at in (last..text.len()).step_by(23) {
        fs::write(gannet.path("r"), &text[..at]).unwrap();
        let run = command.run();
        assert_eq!(run.code, 0, "cut at {at}: {}", run.err);
        let mut numbers: Vec<_> = records(&fs::read_to_string(gannet.path("r")).unwrap())
            .iter()
            .map(|record| record["n"].as_u64().unwrap())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4], "cut at {at}");
    }
    // A file that is none of ours is left as it is.
    fs::write(gannet.path("r"), "dear diary\nsecond line\n").unwrap();
    let run = command.run();
    assert_eq!(run.code, 2, "{}", run.err);
    assert_eq!(fs::read_to_string(gannet.path("r")).unwrap(), "dear diary\nsecond line\n");
}

/// `--fsync`: the file's bytes, its name, and the record reach the disk in this order.
#[test]
fn fsync_comes_before_the_name_and_the_record_after_it() {
    if !std::process::Command::new("strace").arg("-V").output().is_ok_and(|o| o.status.success()) {
        println!("skipped: strace is not here");
        return;
    }
    let server = spawn(Script::new()).unwrap();
    let gannet = Gannet::new();
    let line = format!("{}\n", server.url("/range/300000"));
    fs::write(gannet.path("list"), line).unwrap();
    let output = std::process::Command::new("strace")
        .args(["-f", "-o", "trace", "-e", "trace=write,fsync,fdatasync,rename,renameat,renameat2"])
        .arg(env!("CARGO_BIN_EXE_gannet"))
        .args(["-i", "list", "-o", "d/{n}", "--results", "r", "--fsync"])
        .current_dir(gannet.path("."))
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trace = fs::read_to_string(gannet.path("trace")).unwrap();
    let calls: Vec<&str> = trace
        .lines()
        .filter_map(|line| {
            let call = line.split_once(' ')?.1.trim_start();
            let interesting = call.starts_with("fsync")
                || call.starts_with("fdatasync")
                || call.starts_with("rename")
                || call.starts_with("write") && call.contains("\\\"n\\\":");
            interesting.then(|| call.split('(').next().unwrap_or(""))
        })
        .collect();
    // The body, its name, the folder, then the record, and the record's own way to the disk.
    assert_eq!(calls, ["fsync", "rename", "fsync", "write", "fdatasync"], "{trace}");
    assert!(fs::read(gannet.path("d/1")).unwrap() == pattern::body("/range/300000", 300_000));
}
