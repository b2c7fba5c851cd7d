//! Lists in which one host can't go on, and what that costs the others: nothing, however few URLs
//! are read ahead.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gannet::origin::traffic::{Arrival, Welcome};
use gannet::origin::{Action, How, Running, Script, Span, When, spawn};

use super::common::{Gannet, records};

const SICK: u64 = 1_500;
const WELL: u64 = 1_000;

fn silent() -> Script {
    let nth = Some(Span::from(1..));
    let arrivals = vec![Arrival { nth, probability: None, then: Welcome::End(How::Stall) }];
    Script { arrivals, ..Script::new() }
}

fn failing(actions: Vec<Action>) -> Script {
    Script::new().rule(When::prefix("/"), actions)
}

/// A list in which the lines of `sick` come before or between those of the other, and how many of the
/// other's were done when the run was stopped.
fn done(sick: &Running, alternating: bool, more: &[&str]) -> (u64, String) {
    let line = |n: u64| format!("{}\n", sick.url(&format!("/bytes/{n}")));
    done_with(line, alternating, more, "/tmp")
}

fn done_with(
    sick_line: impl Fn(u64) -> String,
    alternating: bool,
    more: &[&str],
    tmpdir: &str,
) -> (u64, String) {
    // Not at the same address: those who share one share its limit, too.
    let listen = vec!["127.0.0.2:0".parse().unwrap()];
    let well = spawn(Script { listen, ..Script::new() }).unwrap();
    // Some stand in JSON, with a name of their own.
    let well_line = |n: u64| match n % 3 {
        0 => format!("{{\"url\":\"{}\",\"id\":{n}}}\n", well.url("/bytes/9")),
        _ => format!("{}\n", well.url(&format!("/bytes/{n}"))),
    };
    let mut lines: Vec<(u64, String)> =
        (0..SICK).map(|n| (if alternating { 2 * n } else { n }, sick_line(n))).collect();
    lines.extend((0..WELL).map(|n| (if alternating { 2 * n + 1 } else { SICK + n }, well_line(n))));
    lines.sort();
    let list: String = lines.into_iter().map(|(_, line)| line).collect();
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), &list).unwrap();
    let args = ["-i", "list", "--results", "r", "--window", "100", "--deadline", "8"];
    let run = gannet.args(args).args(more.iter().copied()).env("TMPDIR", tmpdir).run();
    let list: Vec<&str> = list.lines().collect();
    let mut done = 0;
    for record in records(&fs::read_to_string(run.path("r")).unwrap()) {
        let url = record["url"].as_str().unwrap();
        // Each has the number of its line, whenever it came.
        assert!(list[record["n"].as_u64().unwrap() as usize - 1].contains(url), "{record}");
        done += u64::from(url.starts_with(&well.url("/")) && record["ok"] == true);
    }
    (done, run.err)
}

/// However many URLs of a host that serves nothing are read ahead, others go on.
#[test]
fn a_sick_host_does_not_hold_the_list() {
    let table = [
        ("answers 500", failing(vec![Action::Status(500)])),
        ("asks for time", failing(vec![Action::Status(429), Action::RetryAfter("20".to_owned())])),
        ("is silent", silent()),
    ];
    std::thread::scope(|scope| {
        for (what, script) in &table {
            for alternating in [false, true] {
                scope.spawn(move || {
                    let sick = spawn(script.clone()).unwrap();
                    let (done, err) = done(&sick, alternating, &[]);
                    assert_eq!(done, WELL, "{what}, alternating: {alternating}: {err}");
                    let says = err.contains("its further lines wait aside");
                    assert!(says || alternating, "{what}: {err}");
                });
            }
        }
    });
}

/// Nor does one to which others lead, or whose lines are long; and if there can be no file, memory takes some.
#[test]
fn nor_do_redirects_and_long_lines() {
    let sick = spawn(silent()).unwrap();
    let leads = spawn(Script::new()).unwrap();
    let redirect = |n: u64| {
        let to = sick.url(&format!("/bytes/{n}"));
        format!("{}\n", leads.url(&format!("/redirect-to?url={to}")))
    };
    let (of_redirects, err) = done_with(redirect, true, &["-L"], "/tmp");
    assert_eq!(of_redirects, WELL, "{err}");
    let long = |n: u64| {
        let body = "x".repeat(100_000);
        format!(
            "{{\"url\":\"{}\",\"method\":\"POST\",\"body\":\"{body}\"}}\n",
            sick.url(&format!("/{n}"))
        )
    };
    let (of_long, err) = done_with(long, true, &["--window", "4096"], "/tmp");
    assert_eq!(of_long, WELL, "{err}");
    let short = |n: u64| format!("{}\n", sick.url(&format!("/bytes/{n}")));
    let (without_file, err) = done_with(short, false, &[], "/nowhere");
    assert_eq!(without_file, WELL, "{err}");
    assert!(err.contains("no file in /nowhere (TMPDIR)"), "{err}");
}

/// Nor do many, each of which has fewer URLs than are read ahead, though all of theirs come first.
#[test]
fn many_sick_hosts_do_not_hold_the_list() {
    let listen = (1..=40).map(|host| format!("127.0.3.{host}:0").parse().unwrap()).collect();
    let sick = spawn(Script { listen, ..silent() }).unwrap();
    let listen = vec!["127.0.2.1:0".parse().unwrap()];
    let well = spawn(Script { listen, ..Script::new() }).unwrap();
    let mut list = String::new();
    for address in sick.addrs() {
        list.extend((0..100).map(|n| format!("http://{address}/bytes/{n}\n")));
    }
    list.extend((0..WELL).map(|n| format!("{}\n", well.url(&format!("/bytes/{n}")))));
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), &list).unwrap();
    let args = ["-i", "list", "--results", "r", "--window", "1000", "--deadline", "8"];
    let run = gannet.args(args).run();
    let records = records(&fs::read_to_string(run.path("r")).unwrap());
    let done = records.iter().filter(|record| record["ok"] == true).count() as u64;
    assert_eq!(done, WELL, "{}", run.err);
}

/// The same of one that serves, but slowly: and its own URLs come in the order of the list.
#[test]
fn a_slow_host_does_not_hold_the_list() {
    let sick = spawn(Script { latency_ms: 300, ..Script::new() }).unwrap();
    let (done, err) = done(&sick, true, &["--max-per-host", "4"]);
    assert_eq!(done, WELL, "{err}");
    let asked = sick.stats().requests;
    assert!((60..=120).contains(&asked), "{asked}");
}

/// A list of one host is not read to its end for nothing.
#[test]
fn a_list_of_one_host_is_read_as_far_as_the_window_reaches() {
    let sick = spawn(silent()).unwrap();
    let gannet = Gannet::new();
    let mut child = gannet
        .args(["-i", "-", "--window", "50", "--deadline", "5", "--results", "r"])
        .spawn_with(Stdio::piped(), Stdio::null());
    let mut list = child.stdin.take().unwrap();
    let line = format!("{}\n", sick.url("/bytes/1"));
    let begun = Instant::now();
    // Until it is gone.
    let mut read = 0;
    while list.write_all(line.as_bytes()).is_ok() {
        read += 1;
        assert!(begun.elapsed() < Duration::from_secs(60), "{read}");
    }
    child.wait().unwrap();
    // Three looks at what comes, of 4,096 lines, and what pipe and buffers hold.
    assert!((50..=25_000).contains(&read), "{read}");
}
