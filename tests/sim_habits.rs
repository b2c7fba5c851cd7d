//! A server's habits with its connections, and what the engine makes of them, in virtual time:
//! closing after so many requests, or after a time without one, told or not; and connections that
//! are many on a long way. (On real sockets: `tests/habits.rs`.)

use std::time::Duration;

use gannet::engine::{
    Advice, Config, Counts, Ctl, Engine, Handler, JobRef, Kind, Origin, PerHost, Report, Request,
    Resume, Scheme,
};
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, Head};
use gannet::sim::{self, Answer, Excess, Net, Server};

const HOUR: Duration = Duration::from_secs(3600);
const MS: fn(u64) -> Duration = Duration::from_millis;

/// Counts what came to a good end.
#[derive(Default)]
struct Count {
    ok: u64,
}

impl Handler for Count {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::ByETag)
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
    fn restart(&mut self, _: &mut Ctl<'_>, _: JobRef, _: Kind) {}
    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        assert_eq!(report.result, Ok(200));
        self.ok += 1;
    }
}

struct World {
    driver: Driver<Net>,
    count: Count,
    asked: u64,
}

impl World {
    fn new(server: Server, per_host: PerHost) -> Self {
        let mut net = Net::new(1);
        net.serve("192.0.2.1:80".parse().unwrap(), server);
        let config = Config { per_host, max_jobs: 50_000, ..Config::default() };
        let driver = Driver::new(Engine::new(config), net, DriverConfig::default());
        Self { driver, count: Count::default(), asked: 0 }
    }

    /// So many requests, all at once, to their end.
    fn ask(&mut self, count: u64) {
        let origin = Origin { scheme: Scheme::Http, host: "192.0.2.1", port: 80 };
        let host = self.driver.host(&origin);
        for _ in 0..count {
            self.driver.submit(&Request::get(host, "/")).unwrap();
        }
        self.asked += count;
        sim::run(&mut self.driver, &mut self.count, HOUR).unwrap();
        assert_eq!(self.count.ok, self.asked);
    }

    fn pause(&mut self, time: Duration) {
        let end = self.driver.now() + time;
        while self.driver.now() < end {
            let left = end - self.driver.now();
            self.driver.turn(Some(left), &mut self.count).unwrap();
        }
    }

    fn counts(&self) -> Counts {
        self.driver.engine().host_stats().next().unwrap().counts
    }
}

/// A server that closes after fifty requests, and says so in `Keep-Alive: max=…` or not.
fn fifty(hint: bool) -> Server {
    Server::new(move |request| {
        let left = 49 - request.nth;
        let answer = Answer::ok("x");
        if hint { answer.field("Keep-Alive", format!("max={left}")) } else { answer }
    })
    .requests_a_connection(50)
}

/// A server that closes connections that idle for 150 ms; it can say so in whole seconds only.
fn impatient(hint: bool) -> Server {
    Server::new(move |_| {
        let answer = Answer::ok("x");
        if hint { answer.field("Keep-Alive", "timeout=0") } else { answer }
    })
    .idle_close(MS(150))
}

/// Stale connections that requests met, in a hundred thousand.
fn stale(before: Counts, after: Counts) -> u64 {
    (after.stale - before.stale) * 100_000 / (after.requests - before.requests)
}

#[test]
fn after_fifty_requests_it_closes() {
    for hint in [false, true] {
        let mut world = World::new(fifty(hint), PerHost::Fixed(8));
        world.ask(if hint { 0 } else { 2_000 });
        let learned = if hint { Counts::default() } else { world.counts() };
        world.ask(40_000);
        let stale = stale(learned, world.counts());
        println!("hint {hint}: {:?}, then {stale} of 100,000", learned.stale);
        assert!(stale < 100, "hint {hint}: {stale} of 100,000");
        assert!(learned.stale <= 40, "hint {hint}: {} until it was learned", learned.stale);
        // Not at the price of more connections than need be.
        assert!(world.counts().connections < world.asked / 49 + 50);
    }
}

#[test]
fn after_a_moment_without_requests_it_closes() {
    for hint in [false, true] {
        let mut world = World::new(impatient(hint), PerHost::Fixed(8));
        let mut random = fastrand::Rng::with_seed(3);
        let mut phases = |world: &mut World, count: u64| {
            for _ in 0..count {
                world.ask(20);
                world.pause(MS(random.u64(100..200)));
            }
        };
        phases(&mut world, 10);
        let learned = world.counts();
        phases(&mut world, 2_000);
        let stale = stale(learned, world.counts());
        println!("hint {hint}: {} until learned, then {stale} of 100,000", learned.stale);
        assert!(stale < 100, "hint {hint}: {stale} of 100,000");
    }
}

/// It closes after 150 ms for a while, and keeps connections for ever after that.
#[test]
fn a_habit_that_the_server_gave_up_is_forgotten() {
    let mut world = World::new(impatient(false), PerHost::Fixed(4));
    for _ in 0..5 {
        world.ask(8);
        world.pause(MS(300));
    }
    let address = "192.0.2.1:80".parse().unwrap();
    world.driver.net_mut().server_mut(address).unwrap().idle_close = None;
    for _ in 0..40 {
        world.ask(8);
        world.pause(MS(300));
    }
    let before = world.counts().connections;
    for _ in 0..40 {
        world.ask(8);
        world.pause(MS(300));
    }
    assert_eq!(world.counts().connections, before, "all are kept again");
}

/// 40 ms each way, and 24 connections: that the limit falls by a few closes a few.
#[test]
fn far_away_only_those_close_that_are_too_many() {
    let mut server = Server::new(|_| Answer::ok("x")).connections(24, Excess::Reset);
    server.latency = MS(40);
    let mut world = World::new(server, PerHost::Auto { ceiling: Some(128), start: 4 });
    world.ask(9_000);
    let counts = world.counts();
    let seconds = world.driver.now().as_nanos() / 1_000_000_000;
    println!("{seconds} s, {} connections, {} resets", counts.connections, counts.fresh_resets);
    // Of 24 at 80 ms each come 300 a second.
    assert!(seconds <= 33, "{seconds} s for 9,000 requests");
    assert!(counts.connections < 150, "{} connections", counts.connections);
    assert!(counts.fresh_resets < 45, "{} resets", counts.fresh_resets);
}
