//! A server's habits with its connections on real sockets: it closes after fifty requests, or
//! after 150 ms without one, with and without a hint. (In virtual time: `tests/sim_habits.rs`.)

use std::time::{Duration, Instant};

use gannet::Fetcher;
use gannet::engine::{Counts, Kind, PerHost};
use gannet::fetch::{Answer, Control, Options, Outcome, Ticket, Visitor, Want};
use gannet::origin::traffic::KeepAlive;
use gannet::origin::{Running, Script, spawn};

/// For turns in which no response is awaited.
struct Nobody;

impl Visitor for Nobody {
    fn head(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &Answer<'_>) -> Want {
        panic!("nothing was asked");
    }
    fn body(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &[u8]) {}
    fn restart(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: Kind) {}
    fn done(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &Outcome<'_>) {}
}

/// Asks `count` times, so many at once as there may be.
fn ask(fetcher: &mut Fetcher, server: &Running, count: u64) {
    let url = format!("http://{}/bytes/100", server.addr());
    let (mut asked, mut answered) = (0, 0);
    while answered < count {
        while asked < count && fetcher.wants() > 0 {
            fetcher.get(&url).unwrap();
            asked += 1;
        }
        let response = fetcher.next().unwrap().expect("one is under way");
        assert!(response.result.is_ok(), "{:?}", response.result);
        answered += 1;
    }
}

fn fetcher() -> Fetcher {
    let mut options = Options::default();
    options.engine.per_host = PerHost::Fixed(8);
    Fetcher::new(options).unwrap()
}

fn counts(fetcher: &Fetcher) -> Counts {
    fetcher.host_stats().next().expect("the server").counts
}

/// Kept connections that turned out to be closed, of the requests in between.
fn stale(before: Counts, after: Counts) -> f64 {
    (after.stale - before.stale) as f64 / (after.requests - before.requests) as f64
}

#[test]
fn after_fifty_requests() {
    for hint in [false, true] {
        let keep_alive =
            KeepAlive { max_requests: Some(50), quiet: true, hint, ..KeepAlive::default() };
        let server = spawn(Script { keep_alive, ..Script::new() }).unwrap();
        let mut fetcher = fetcher();
        ask(&mut fetcher, &server, 1_000);
        let learned = counts(&fetcher);
        ask(&mut fetcher, &server, 10_000);
        let part = stale(learned, counts(&fetcher));
        println!("hint {hint}: {} until it was learned, then {part:.5}", learned.stale);
        assert!(part < 0.001, "hint {hint}: {part}");
        // Who is told does not have to learn.
        assert!(!hint || learned.stale == 0, "{} although it was told", learned.stale);
    }
}

#[test]
fn after_a_moment_without_requests() {
    for hint in [false, true] {
        let keep_alive = KeepAlive { idle_ms: Some(150), hint, ..KeepAlive::default() };
        let server = spawn(Script { keep_alive, ..Script::new() }).unwrap();
        let mut fetcher = fetcher();
        let mut phases = |count: u64| {
            for phase in 0..count {
                ask(&mut fetcher, &server, 60);
                // About as long as it waits; what happens meanwhile is seen.
                let end = Instant::now() + Duration::from_millis(110 + phase * 7 % 80);
                while let Some(left) = end.checked_duration_since(Instant::now()) {
                    fetcher.turn(Some(left), &mut Nobody).unwrap();
                }
            }
            counts(&fetcher)
        };
        let learned = phases(6);
        let part = stale(learned, phases(40));
        println!("hint {hint}: {} until it was learned, then {part:.5}", learned.stale);
        assert!(part < 0.001, "hint {hint}: {part}");
    }
}
