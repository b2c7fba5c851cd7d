//! SIGKILL at random moments, then `--resume`: every URL is recorded as done exactly once, every
//! file is whole, and little is fetched twice.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use gannet::origin::traffic::{Service, Time};
use gannet::origin::{Action, Drip, Running, Script, When, pattern, spawn};

use super::common::{Gannet, records, sha256, wait};

/// Records are on the disk this long after the answer: flushed once a second, and some slack for a
/// machine that does other things too.
const HELD: Duration = Duration::from_millis(1600);
const PER_HOST: usize = 4;

fn size(n: usize) -> usize {
    if n.is_multiple_of(60) { 500_000 + n } else { 1_000 + 37 * n }
}

/// Twenty milliseconds of work for each request; the long bodies drip, so that kills hit them.
fn server() -> Running {
    let drip = Drip { bytes: 50_000, every_ms: 20 };
    let mut script = Script::new().rule(When::prefix("/range/500"), [Action::Drip(drip)]);
    script.service = Some(Service { time: Time::FixedUs(20_000), ..Service::default() });
    script.count_requests = true;
    spawn(script).unwrap()
}

/// What there is to see of one run that was killed.
struct Killed {
    /// Answers that the server had finished a while before: those must be recorded.
    settled: u64,
}

/// Lets it run until `at`, then kills it.
fn kill_at(child: &mut Child, server: &Running, at: Duration) -> Option<Killed> {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < at {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        seen.push((Instant::now(), server.stats().answers));
        std::thread::sleep(Duration::from_millis(3));
    }
    let now = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    let settled = seen.iter().rev().find(|(when, _)| now - *when >= HELD);
    Some(Killed { settled: settled.map_or(0, |(_, answers)| *answers) })
}

/// One list, killed `kills` times, then brought to its end.
fn scenario(seed: u64, urls: usize, kills: usize) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let server = server();
    let gannet = Gannet::new();
    let paths: Vec<String> = (1..=urls).map(|n| format!("/range/{}", size(n))).collect();
    let list: String = paths.iter().map(|path| format!("{}\n", server.url(path))).collect();
    fs::write(gannet.path("list"), list).unwrap();
    // Names that only one URL can have, and names that several could.
    let output: &[&str] =
        if chance.bool() { &["-o", "d/{n}"] } else { &["-O", "--output-dir", "d"] };
    let command = gannet
        .args(["-i", "list", "--results", "r", "--resume", "--sha256", "--per-host", "4"])
        .args(output);
    let whole = urls as u64 * 20 / PER_HOST as u64;
    let mut lost = 0;
    let mut left = kills;
    let code = loop {
        let mut child = command.spawn(Stdio::null());
        if left == 0 {
            break wait(&mut child, Duration::from_secs(60)).code();
        }
        left -= 1;
        let before = server.stats().answers;
        let recorded_before = fs::read_to_string(gannet.path("r")).map_or(0, |r| lines(&r));
        let at = Duration::from_millis(chance.u64(0..whole + whole / 4));
        let Some(killed) = kill_at(&mut child, &server, at) else {
            break child.wait().unwrap().code();
        };
        let text = fs::read_to_string(gannet.path("r")).unwrap_or_default();
        let recorded = lines(&text);
        let answered = server.stats().answers - before;
        lost += answered.saturating_sub(recorded - recorded_before.min(recorded));
        let settled = killed.settled.saturating_sub(before);
        assert!(
            recorded - recorded_before.min(recorded) + PER_HOST as u64 >= settled,
            "seed {seed}: {settled} were answered {HELD:?} before the kill, {recorded} are recorded"
        );
    };
    assert_eq!(code, Some(0), "seed {seed}");
    let text = fs::read_to_string(gannet.path("r")).unwrap();
    let records = records(&text);
    assert_eq!(records.len(), urls, "seed {seed}");
    let mut numbers = BTreeSet::new();
    for record in &records {
        let n = record["n"].as_u64().unwrap() as usize;
        assert!(numbers.insert(n), "seed {seed}: {n} twice");
        let path = &paths[n - 1];
        let body = pattern::body(path, size(n));
        assert_eq!(record["url"].as_str().unwrap(), server.url(path), "seed {seed}");
        assert_eq!((&record["ok"], &record["status"]), (&true.into(), &expected(record)));
        assert_eq!(record["body_bytes"], size(n), "seed {seed}: {record}");
        assert_eq!(record["sha256"], sha256(&body), "seed {seed}: {record}");
        let file = fs::read(gannet.path(record["output"].as_str().unwrap())).unwrap();
        assert!(file == body, "seed {seed}: the file of {n} is another");
    }
    let names = fs::read_dir(gannet.path("d")).unwrap().count();
    assert_eq!(names, urls, "seed {seed}: no part files, nothing else");
    // Twice at most: what was under way at a kill, and what was not recorded yet.
    let asked: u64 = paths.iter().map(|path| server.count(&format!("GET {path}"))).sum();
    let bound = urls as u64 + lost + (kills * PER_HOST) as u64;
    assert!(asked <= bound, "seed {seed}: {asked} requests for {urls} URLs, at most {bound}");
}

/// 200, or 206 where a part went on.
fn expected(record: &serde_json::Value) -> serde_json::Value {
    if record["resumed_at"].as_u64().unwrap_or(0) > 0 { 206.into() } else { 200.into() }
}

fn lines(text: &str) -> u64 {
    text.bytes().filter(|&byte| byte == b'\n').count() as u64
}

#[test]
fn killed_at_any_moment_every_url_is_done_once() {
    for seed in 0..6 {
        scenario(seed, 200, 1 + seed as usize % 3);
    }
}

#[test]
#[ignore = "minutes: 200 kills; the gate runs a few"]
fn killed_at_two_hundred_moments() {
    for seed in 1000..1200 {
        scenario(seed, 400, 1);
        if seed % 20 == 19 {
            println!("{} kills survived", seed - 999);
        }
    }
}

/// A long file killed at nine tenths costs the last tenth.
#[test]
fn a_long_file_killed_near_its_end_costs_the_rest() {
    const SIZE: u64 = 100_000_000;
    let mut script = Script::new();
    // The first answer stops for good at nine tenths, as far as this test waits.
    script.bandwidth = None;
    let server = spawn(script.rule(
        When::prefix("/range/").attempt(1),
        [Action::Pause(gannet::origin::Pause {
            at: gannet::origin::At::Body(SIZE * 9 / 10),
            ms: 60_000,
        })],
    ))
    .unwrap();
    let url = server.url(&format!("/range/{SIZE}"));
    for batch in [true, false] {
        let gannet = Gannet::new();
        fs::write(gannet.path("list"), format!("{url}?{batch}\n")).unwrap();
        let target = format!("{url}?{batch}");
        let command = if batch {
            gannet.args(["-i", "list", "-o", "f{n}", "--results", "r", "--resume"])
        } else {
            gannet.args(["-sS", "-C", "-", "-o", "f1", &target])
        };
        let mut child = command.spawn(Stdio::null());
        let part = gannet.path("f1.gannet-part");
        let until = Instant::now() + Duration::from_secs(60);
        while fs::metadata(&part).map_or(0, |meta| meta.len()) < SIZE * 9 / 10 {
            assert!(Instant::now() < until, "nine tenths did not come");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let before = server.stats().bytes_sent;
        let run = command.run();
        assert_eq!(run.code, 0, "{}", run.err);
        let sent = server.stats().bytes_sent - before;
        assert!(sent <= SIZE / 10 + 10_000, "{sent} bytes for the last tenth");
        let body = pattern::body(&format!("/range/{SIZE}?{batch}"), SIZE as usize);
        assert!(fs::read(gannet.path("f1")).unwrap() == body);
        assert!(!part.exists() && !gannet.path("f1.gannet-part.json").exists());
    }
}
