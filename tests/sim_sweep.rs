//! Each response × each byte × reset, FIN, stall × fresh and reused connection, on the real engine
//! and driver over the simulated net.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use gannet::engine::{
    Advice, Config, Ctl, Engine, Failure, Handler, JobRef, Kind, Origin, Payload, PerHost, Report,
    Request, Resume, Scheme,
};
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, Head};
use gannet::sim::{self, Answer, How, Server, Weather};

const LIMIT: Duration = Duration::from_secs(600);
const ENDS: [How; 3] = [How::Reset, How::Fin, How::Stall];

#[derive(Default)]
struct Seen {
    body: Vec<u8>,
    status: u16,
    restarts: u32,
    done: u32,
    attempts: u32,
    result: Option<Result<u16, Failure>>,
}

#[derive(Default)]
struct Recorder {
    seen: Vec<Seen>,
}

impl Recorder {
    fn of(&mut self, job: JobRef) -> &mut Seen {
        let tag = usize::try_from(job.tag).unwrap();
        if self.seen.len() <= tag {
            self.seen.resize_with(tag + 1, Seen::default);
        }
        &mut self.seen[tag]
    }
}

impl Handler for Recorder {
    fn head(&mut self, _: &mut Ctl<'_>, job: JobRef, head: &Head<'_>, _: Body) -> Advice {
        let seen = self.of(job);
        assert_eq!(seen.done, 0, "a head after the end");
        assert!(seen.body.is_empty(), "a second head without a restart");
        seen.status = head.status;
        Advice::Deliver(Resume::ByETag)
    }

    fn body(&mut self, _: &mut Ctl<'_>, job: JobRef, bytes: &[u8]) {
        let seen = self.of(job);
        assert_eq!(seen.done, 0, "content after the end");
        seen.body.extend_from_slice(bytes);
    }

    fn restart(&mut self, _: &mut Ctl<'_>, job: JobRef, _: Kind) {
        let seen = self.of(job);
        seen.body.clear();
        seen.restarts += 1;
    }

    fn resumed(&mut self, _: &mut Ctl<'_>, job: JobRef, at: u64) {
        assert_eq!(self.of(job).body.len() as u64, at, "continued where it was cut");
    }

    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        let seen = self.of(job);
        seen.done += 1;
        assert_eq!(seen.done, 1, "the end comes once");
        seen.attempts = report.attempts;
        seen.result = Some(report.result.map_err(Clone::clone));
    }
}

struct Row {
    name: &'static str,
    method: &'static str,
    answer: Answer,
    body: &'static [u8],
}

fn rows() -> Vec<Row> {
    let text = b"The quick brown fox";
    let row = |name, method, answer, body| Row { name, method, answer, body };
    vec![
        row("length", "GET", Answer::ok(text), text),
        row("length, tagged", "GET", Answer::ok(text).field("ETag", "\"1\""), text),
        row("empty", "GET", Answer::ok(""), b""),
        row("chunked", "GET", Answer::ok(text).chunked(7), text),
        row(
            "chunked, byte by byte, tagged",
            "GET",
            Answer::ok(text).chunked(1).field("etag", "\"x\""),
            text,
        ),
        row("until close", "GET", Answer::ok(text).until_close(), text),
        row("says close", "GET", Answer::ok(text).closing(), text),
        row("closes silently", "GET", Answer::ok(text).closing_silently(), text),
        row("interim", "GET", Answer::ok(text).interim(103).interim(102), text),
        row("no content", "GET", Answer::new(204), b""),
        row("not found", "GET", Answer::new(404).body(text), text),
        row("HEAD", "HEAD", Answer::ok(text), b""),
        row("DELETE", "DELETE", Answer::ok(text), text),
        row("POST", "POST", Answer::ok(text), text),
        row("POST, chunked answer", "POST", Answer::ok(text).chunked(5), text),
        row(
            "HTTP/1.0",
            "GET",
            Answer::raw(&b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nold"[..]).closing_silently(),
            b"old",
        ),
        row(
            "bare LF",
            "GET",
            Answer::raw(&b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc"[..]),
            b"abc",
        ),
    ]
}

/// One run; what it says when something is wrong.
fn run(row: &Row, at: usize, how: How, reused: bool, seed: u64) {
    let what = format!("{}, {how:?} at {at}, reused {reused}, seed {seed}", row.name);
    let length = row.answer.encode(row.method == "HEAD").len();
    let mut net = sim::Net::new(seed);
    if seed > 0 {
        net.weather = Weather::unsteady(seed);
    }
    let address = "192.0.2.1:80".parse().unwrap();
    let answer = row.answer.clone();
    let asked = Rc::new(Cell::new(0_u32));
    let count = Rc::clone(&asked);
    net.serve(
        address,
        Server::new(move |request| {
            if request.target == "/warm" {
                return Answer::ok("warm");
            }
            count.set(count.get() + 1);
            if count.get() == 1 { answer.clone().cut(at, how) } else { answer.clone() }
        }),
    );
    let config = Config {
        seed,
        per_host: PerHost::Fixed(1),
        first_byte_timeout: Some(Duration::from_secs(5)),
        head_timeout: Duration::from_secs(5),
        stall_timeout: Some(Duration::from_secs(5)),
        ..Config::default()
    };
    let mut driver = Driver::new(Engine::new(config), net, DriverConfig::default());
    let host = driver.host(&Origin { scheme: Scheme::Http, host: "192.0.2.1", port: 80 });
    let mut recorder = Recorder::default();
    if reused {
        driver.submit(&Request::get(host, "/warm").tag(1)).unwrap();
        sim::run(&mut driver, &mut recorder, LIMIT).unwrap();
    }
    let body = if row.method == "POST" { Payload::Bytes((*b"abc").into()) } else { Payload::None };
    let request = Request { method: row.method, body, ..Request::get(host, "/x") };
    driver.submit(&request).unwrap();
    if let Err(stuck) = sim::run(&mut driver, &mut recorder, LIMIT) {
        panic!("{what}: {stuck}");
    }
    let seen = &recorder.seen[0];
    assert_eq!(seen.done, 1, "{what}");
    // Nothing was missing: the end that came after it is no fault of the answer, unless a RST
    // overtook what was not read.
    let until_close = row.answer.is_until_close() || row.name == "HTTP/1.0";
    let whole = at >= length && how != How::Reset && (!until_close || how == How::Fin);
    let ends_early = until_close && how == How::Fin && at < length && seen.attempts == 1;
    let is_post = row.method == "POST";
    match &seen.result {
        Some(Ok(status)) => {
            assert_eq!(*status, seen.status, "{what}");
            if ends_early {
                assert!(row.body.starts_with(&seen.body), "{what}");
            } else {
                assert_eq!(seen.body, row.body, "{what}");
            }
            assert!(!is_post || seen.attempts == 1, "{what}: a POST was repeated");
        }
        Some(Err(failure)) => {
            assert!(is_post && !whole, "{what}: {failure}");
        }
        None => panic!("{what}: no result"),
    }
    assert!(seen.attempts <= if whole { 1 } else { 2 }, "{what}: {} attempts", seen.attempts);
    let ledger = driver.net().ledger();
    assert_eq!(ledger.violations, [""; 0], "{what}");
    if is_post {
        let begun = ledger.asked.iter().filter(|asked| asked.first == b'P').count();
        assert_eq!(begun, 1, "{what}: POST bytes went out more than once");
    }
    // Stale reuse costs nothing.
    if reused && at == 0 && how != How::Stall && !is_post {
        assert_eq!(seen.attempts, 1, "{what}");
    }
    // Nothing is left over when everything idle has been retired.
    while let Some(next) = driver.next_deadline() {
        let wait = next - driver.now();
        driver.turn(Some(wait), &mut recorder).unwrap();
        assert!(driver.now() < gannet::base::Instant::ZERO + LIMIT * 2, "{what}: timers for ever");
    }
    assert_eq!(driver.engine().connections(), 0, "{what}");
    assert_eq!(driver.net().ledger().open, 0, "{what}");
}

#[test]
fn every_response_cut_at_every_byte() {
    let mut runs = 0;
    for row in rows() {
        let length = row.answer.encode(row.method == "HEAD").len();
        for at in 0..=length {
            for how in ENDS {
                for reused in [false, true] {
                    for seed in [0, 1 + runs] {
                        run(&row, at, how, reused, seed);
                        runs += 1;
                    }
                }
            }
        }
    }
    println!("{runs} runs");
    assert!(runs > 10_000);
}
