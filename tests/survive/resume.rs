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

/// The files that records name, by number: each has its own URL's body.
fn kept(run: &Run) -> Vec<(u64, String)> {
    let mut kept: Vec<_> = records(&fs::read_to_string(run.path("r")).unwrap())
        .iter()
        .filter(|record| record["ok"] == true)
        .map(|record| {
            let url = record["url"].as_str().unwrap();
            let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
            let length = path.rsplit('/').next().unwrap().parse().unwrap();
            let file = record["output"].as_str().unwrap();
            let whole = pattern::body(&path, length);
            assert!(fs::read(run.path(file)).unwrap() == whole, "{file} is not {url}");
            (record["n"].as_u64().unwrap(), path)
        })
        .collect();
    kept.sort();
    kept
}

fn numbered(paths: &[(u64, &str)]) -> Vec<(u64, String)> {
    paths.iter().map(|(n, path)| (*n, (*path).to_owned())).collect()
}

/// By URL or id: no number and no file of what is done is given again.
#[test]
fn a_list_that_grew_at_its_top_takes_nobodys_number() {
    for key in ["url", "id"] {
        let server = spawn(Script::new()).unwrap();
        let gannet = Gannet::new();
        let list = |lengths: &[u64]| {
            let line = |n: &u64| {
                let url = server.url(&format!("/bytes/{n}"));
                format!("{{\"url\":\"{url}\",\"id\":\"i{n}\"}}\n")
            };
            fs::write(gannet.path("list"), lengths.iter().map(line).collect::<String>()).unwrap();
        };
        let command = gannet.args(["-i", "list", "--results", "r", "-o", "out/{n}", "--resume"]);
        let command = command.args(["--resume-key", key]);
        list(&[11, 12, 13]);
        assert_eq!(command.run().code, 0);
        list(&[20, 21, 11, 12, 13, 22]);
        let mut after = numbered(&[(1, "/bytes/11"), (2, "/bytes/12"), (3, "/bytes/13")]);
        after.extend(numbered(&[(4, "/bytes/20"), (5, "/bytes/21"), (6, "/bytes/22")]));
        // The third time there is nothing to do.
        for asked in [6, 6] {
            let run = command.run();
            assert_eq!(run.code, 0, "{}", run.err);
            assert_eq!(kept(&run), after, "{key}");
            assert_eq!(run.files("out"), ["1", "2", "3", "4", "5", "6"]);
            assert_eq!(server.stats().requests, asked);
        }
        // A run that was killed before it recorded all gives the rest the same numbers again.
        let text = fs::read_to_string(gannet.path("r")).unwrap();
        for lost in ["/bytes/20", "/bytes/21", "/bytes/22"] {
            let part: String =
                text.lines().filter(|l| !l.contains(lost)).map(|l| format!("{l}\n")).collect();
            fs::write(gannet.path("r"), part).unwrap();
            let run = command.run();
            assert_eq!(run.code, 0, "{}", run.err);
            assert_eq!(kept(&run), after, "{key}: {lost}");
            assert_eq!(run.files("out").len(), 6);
        }
    }
}

/// The same list, taken up by URL after a kill: all have the numbers of an undisturbed run.
#[test]
fn by_url_an_unchanged_list_keeps_its_numbers() {
    let server = server();
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), list(&server)).unwrap();
    let command = gannet.args(["-i", "list", "--results", "r", "-o", "out/{n}", "--retry", "0"]);
    assert_eq!(command.run().code, 1);
    let text = fs::read_to_string(gannet.path("r")).unwrap();
    let recorded = |line: &&str| {
        ["/bytes/2\"", "/bytes/4\"", "/bytes/5\""].iter().any(|url| line.contains(url))
    };
    let part: String = text.lines().filter(recorded).map(|line| format!("{line}\n")).collect();
    fs::write(gannet.path("r"), part).unwrap();
    let run = command.args(["--resume", "--resume-key", "url"]).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let wanted: Vec<_> = (1..=6).map(|n| (n, format!("/bytes/{n}"))).collect();
    assert_eq!(kept(&run), wanted);
}

/// What an earlier run has fetched is a file of its URL, also for the runs that go on with it.
#[test]
fn a_file_of_an_earlier_run_is_no_other_urls() {
    let server = spawn(Script::new()).unwrap();
    let (one, other) = (server.url("/bytes/10"), server.url("/range/10"));
    let gannet = Gannet::new();
    let command = gannet.args(["-i", "list", "--results", "r", "-o", "out/{name}", "--resume"]);
    let says = |run: &Run| {
        assert_eq!(run.code, 1, "{}", run.err);
        let records = records(&fs::read_to_string(run.path("r")).unwrap());
        let failed: Vec<_> = records.iter().filter(|record| record["ok"] != true).collect();
        assert_eq!((records.len(), failed.len()), (2, 1), "{records:?}");
        assert_eq!(failed[0]["error"]["kind"], "output_collision");
        assert_eq!(failed[0]["attempts"], 0, "nothing is asked for what has no place");
        kept(run)
    };
    fs::write(gannet.path("list"), format!("{one}\n")).unwrap();
    assert_eq!(command.run().code, 0);
    // By number: the list is longer.
    fs::write(gannet.path("list"), format!("{one}\n{other}\n")).unwrap();
    assert_eq!(says(&command.run()), numbered(&[(1, "/bytes/10")]));
    // By URL: it stands before, and what failed is tried again.
    fs::write(gannet.path("list"), format!("{other}\n{one}\n")).unwrap();
    let by_url = command.args(["--resume-key", "url"]);
    assert_eq!(says(&by_url.run()), numbered(&[(1, "/bytes/10")]));
    // A name that only the answer tells.
    let named = gannet.args(["-i", "list", "--results", "r", "-o", "out/{name}{type_ext}"]);
    let run = named.args(["--results", "s"]).run();
    assert_eq!(run.code, 1, "{}", run.err);
    let before = fs::read_to_string(run.path("s")).unwrap();
    let again = gannet.args(["-i", "list", "--results", "s", "-o", "./out//{name}{type_ext}"]);
    let run = again.args(["--resume"]).run();
    assert_eq!(run.code, 1, "{}", run.err);
    let good = |text: &str| records(text).into_iter().find(|record| record["ok"] == true).unwrap();
    let after = fs::read_to_string(run.path("s")).unwrap();
    assert_eq!((records(&after).len(), good(&after)), (2, good(&before)));
    // A file without a record is of a run that was killed: its URL has it again.
    fs::write(gannet.path("r"), "").unwrap();
    fs::write(gannet.path("list"), format!("{other}\n")).unwrap();
    let run = command.run();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(kept(&run), numbered(&[(1, "/range/10")]));
}

/// With another list the run stops, and the results are what they were, failures included.
#[test]
fn another_list_leaves_the_results_as_they_were() {
    let server = server();
    let run = first(&server);
    let before = fs::read(run.path("r")).unwrap();
    let old: Vec<String> = list(&server).lines().map(str::to_owned).collect();
    let new = server.url("/bytes/7");
    // What is fetched before the difference is found takes a while.
    let slow = server.url("/delay/600/7");
    for (what, lines) in [
        ("one more at the top", [&[new.clone()][..], &old].concat()),
        ("shorter", old[..3].to_vec()),
        ("shorter by the last", old[..5].to_vec()),
        ("other ones for two that failed", {
            let mut lines = old.clone();
            lines[1].clone_from(&slow);
            lines[2].clone_from(&new);
            lines[4] = new.clone();
            lines
        }),
        ("others", vec![new.clone(); 6]),
    ] {
        fs::write(run.path("list"), lines.join("\n")).unwrap();
        let again = again(&run, &["-o", "out/{n}"]);
        assert_eq!(again.code, 2, "{what}: {}", again.err);
        assert!(again.err.contains("another list"), "{what}: {}", again.err);
        if what.starts_with("shorter") {
            let beyond = format!("the results hold entry {}, and", lines.len() + 1);
            assert!(again.err.contains(&beyond), "{what}: {}", again.err);
        }
        assert_eq!(fs::read(run.path("r")).unwrap(), before, "{what}");
        assert!(!run.path("r.gannet-new").exists(), "{what}");
    }
    // With the right one it goes on.
    fs::write(run.path("list"), old.join("\n")).unwrap();
    assert_eq!(again(&run, &[]).code, 0);
    assert!(!run.path("r.gannet-new").exists());
    assert_eq!(came(&run)[1..3], ["200", "200"]);
    // What a run left there that was killed at once goes, also where there is nothing to mend.
    fs::write(run.path("r.gannet-new"), "half").unwrap();
    assert_eq!(again(&run, &[]).code, 0);
    assert!(!run.path("r.gannet-new").exists());
}

/// Choices that can choose nothing are mistakes; failures that were not chosen are told of.
#[test]
fn failures_that_stay_are_told_of() {
    let server = server();
    let run = first(&server);
    let before = fs::read(run.path("r")).unwrap();
    for (option, value, says) in [
        ("--resume-kinds", "refussed", "docs/errors.md"),
        ("--resume-kinds", "refused,-f", "docs/errors.md"),
        ("--resume-kinds", "", "docs/errors.md"),
        ("--resume-status", "0xx", "is no status"),
        ("--resume-status", "100", "is no status"),
        ("--resume-status", "1xx", "is no status"),
        ("--resume-status", "1000", "is no status"),
    ] {
        let run = again(&run, &[option, value]);
        assert_eq!(run.code, 2, "{option} {value}: {}", run.err);
        assert!(run.err.contains(says), "{option} {value}: {}", run.err);
    }
    assert_eq!(fs::read(run.path("r")).unwrap(), before);
    for (more, says) in [
        (
            &["--resume-kinds", "refused, looks_like_icy"][..],
            "2 URLs of the earlier run failed and stay so: not of --resume-kinds refused,looks_like_icy",
        ),
        (
            &["--resume-status", "9xx,404"],
            "2 URLs of the earlier run failed and stay so: not of --resume-status 9xx,404",
        ),
        (
            &["--resume-status", "500", "--resume-kinds", "refused"],
            "1 URL of the earlier run failed and stays so: not of --resume-kinds refused or --resume-status 500",
        ),
    ] {
        let run = again(&run, more);
        assert!(run.err.contains(says), "{more:?}: {}", run.err);
    }
    // Then all is fetched, and there is nothing to tell.
    let run = again(&run, &["--resume-kinds", "eof_in_body"]);
    assert!(!run.err.contains("stays so"), "{}", run.err);
}

/// Results of the whole list that are taken up part by part: each part fetches its own failures
/// again, and leaves the others' records as they are.
#[test]
fn a_part_leaves_the_failures_of_others_alone() {
    for key in ["n", "url", "id"] {
        let script = Script::new().rule(When::prefix("/delay").attempt(1), [Action::Status(500)]);
        let server = spawn(script).unwrap();
        let port = server.addr().port();
        let gannet = Gannet::new();
        let mut list: Vec<String> = (0..60)
            .map(|n| {
                let path = if n % 3 == 0 { "delay/1/1" } else { "bytes/1" };
                format!("http://user:word@h{}.example:{port}/{path}?{n}", n % 10)
            })
            .collect();
        // What can't be fetched, with a host and without one.
        list.extend((0..10).map(|n| format!("{{\"url\":\"http://b{n}.example/\",\"x\":1}}")));
        list.extend(["http://not a url/", "{\"url\":\"\",\"x\":1}"].map(str::to_owned));
        fs::write(gannet.path("list"), list.join("\n")).unwrap();
        let known = format!("*:{port}:127.0.0.1");
        let command = gannet.args(["-i", "list", "--results", "r", "--retry", "0"]);
        let command = command.args(["--resolve", &known, "--exit-zero"]);
        assert_eq!(command.run().code, 0);
        let lines = |run: &Run| -> Vec<String> {
            let text = fs::read_to_string(run.path("r")).unwrap();
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort_by_key(|line| records(line)[0]["n"].as_u64());
            assert_eq!(lines.len(), list.len(), "each once");
            lines
        };
        let failed = |lines: &[String]| {
            let bad = |line: &&String| records(line)[0]["ok"] == false;
            lines.iter().filter(bad).cloned().collect::<Vec<_>>()
        };
        let mut before = lines(&command.args(["--resume", "--resume-kinds", "refused"]).run());
        assert_eq!(failed(&before).len(), 32);
        let mut other = 0;
        for part in 1..=3 {
            let shard = format!("{part}/3");
            let more = ["--resume", "--resume-key", key, "--shard", &shard];
            let run = command.args(more).run();
            assert_eq!(run.code, 0, "{}", run.err);
            let after = lines(&run);
            let again = before.iter().zip(&after).filter(|(one, other)| one != other).count();
            let stay = failed(&before).len() - again;
            other += again;
            assert!(again > 0 && stay > 0, "{again} and {stay}: such hosts are in all parts");
            for says in [
                format!("{again} URLs of the earlier run are fetched again"),
                format!("{stay} URLs of the earlier run failed and stay so: of other shards"),
            ] {
                assert!(run.err.contains(&says), "{says}: {}", run.err);
            }
            before = after;
        }
        assert_eq!(other, 32, "each failure was of one part");
        assert_eq!(failed(&before).len(), 12, "what can't be fetched");
    }
}

/// Failures of other parts are no failures of this one.
#[test]
fn failures_of_others_do_not_count_for_the_exit_status() {
    let server =
        spawn(Script::new().rule(When::prefix("/bytes/2"), [Action::Status(500)])).unwrap();
    let port = server.addr().port();
    let gannet = Gannet::new();
    let list: String =
        (0..9).map(|n| format!("http://h{n}.example:{port}/bytes/{}\n", n % 3)).collect();
    fs::write(gannet.path("list"), list).unwrap();
    let known = format!("*:{port}:127.0.0.1");
    let command = gannet.args(["-i", "list", "--results", "r", "--retry", "0"]);
    let command = command.args(["--resolve", &known]);
    assert_eq!(command.run().code, 1);
    let mut came = 0;
    for part in 1..=9 {
        let before = fs::read_to_string(gannet.path("r")).unwrap();
        let run = command.args(["--resume", "--shard", &format!("{part}/9")]).run();
        let after = fs::read_to_string(gannet.path("r")).unwrap();
        assert_eq!(after.lines().count(), 9, "{part}: {}", run.err);
        let again = after.lines().filter(|line| !before.contains(line)).count();
        assert_eq!(run.code, i32::from(again > 0), "{part}: {}", run.err);
        came += again;
    }
    assert_eq!(came, 3, "each by one part");
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
