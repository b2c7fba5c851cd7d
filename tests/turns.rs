//! A turn is bounded in time as well as in events: a slow handler does not hold up whoever shares the loop, and nothing that
//! a turn left behind is lost or starved.
#![cfg(all(feature = "mio", feature = "sim", feature = "origin"))]
#![allow(missing_docs)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant as Clock};

use gannet::base::Instant;
use gannet::engine::{
    Advice, Config, Ctl, Engine, Fault, Handler, HostKey, JobRef, Kind, Origin, PerHost, Report,
    Request, Resume, Scheme,
};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig, Net, Read, Ready};
use gannet::origin::{Script, spawn};
use gannet::proto::{Body, Head};
use gannet::sim::{self, Answer, Server};

const CONNECTIONS: u16 = 64;
/// What one end takes the handler, and what a turn may take.
const EACH: Duration = Duration::from_millis(2);
const MOST: Duration = Duration::from_millis(8);
/// Steps that a turn makes before it finds out that they are slow; then as many as fit, and one too many where a quick turn
/// came before.
const UNFORESEEN: usize = 32;
const FORESEEN: usize = 5;

/// The simulated net, on a clock that somebody else can put forward.
struct Slowed {
    net: sim::Net,
    worked: Rc<Cell<Duration>>,
    /// More is let come for so long after a first thing came.
    gather: Duration,
    looks: u32,
    steps: Steps,
}

/// What was done, in order: `r`ead, `w`ritten; a `h`ead told, an `e`nd.
type Steps = Rc<RefCell<String>>;

impl Net for Slowed {
    fn now(&mut self) -> Instant {
        self.looks += 1;
        self.net.now() + self.worked.get()
    }
    fn open(&mut self, token: usize, address: SocketAddr) -> Result<(), Fault> {
        self.net.open(token, address)
    }
    fn established(&mut self, token: usize) -> Result<bool, Fault> {
        self.net.established(token)
    }
    fn read(&mut self, token: usize, buffer: &mut [u8]) -> Result<Read, Fault> {
        let read = self.net.read(token, buffer);
        if matches!(read, Ok(Read::Bytes { .. })) {
            self.steps.borrow_mut().push('r');
        }
        read
    }
    fn write(&mut self, token: usize, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        self.steps.borrow_mut().push('w');
        self.net.write(token, bytes)
    }
    fn finish(&mut self, token: usize) {
        self.net.finish(token);
    }
    fn close(&mut self, token: usize, reset: bool) {
        self.net.close(token, reset);
    }
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<bool, Fault> {
        // What came while the handler worked.
        let until = self.net.now() + self.worked.take();
        while self.net.now() < until {
            let left = until - self.net.now();
            self.net.wait(Some(left), ready)?;
        }
        let timeout = if ready.is_empty() { timeout } else { Some(Duration::ZERO) };
        let more = self.net.wait(timeout, ready)?;
        let until = self.net.now() + self.gather;
        while self.net.now() < until {
            let left = until - self.net.now();
            self.net.wait(Some(left), ready)?;
        }
        Ok(more)
    }
}

/// Takes its time at each end, in virtual or in real time, and asks again until it has asked enough.
struct Slow {
    worked: Option<Rc<Cell<Duration>>>,
    again: Option<HostKey>,
    left: usize,
    ends: Vec<(u64, Result<u16, Kind>)>,
    steps: Steps,
}

impl Handler for Slow {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        self.steps.borrow_mut().push('h');
        Advice::Deliver(Resume::Never)
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
    fn done(&mut self, ctl: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        self.steps.borrow_mut().push('e');
        match &self.worked {
            Some(worked) => worked.set(worked.get() + EACH),
            None => std::thread::sleep(EACH),
        }
        let conn = report.conn.map_or(0, |conn| conn.id);
        self.ends.push((conn, report.result.map_err(|failure| failure.kind)));
        if let Some(host) = self.again
            && self.left > 0
        {
            self.left -= 1;
            ctl.submit(&Request::get(host, "/bytes/10")).unwrap();
        }
    }
}

fn engine() -> Engine {
    Engine::new(Config {
        per_host: PerHost::Fixed(CONNECTIONS),
        attempts: 1,
        first_byte_timeout: Some(Duration::from_secs(5)),
        ..Config::default()
    })
}

fn simulated(server: Server, most_turn: Duration) -> (Driver<Slowed>, HostKey, Slow) {
    let mut net = sim::Net::new(1);
    let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
    net.serve(address, server);
    let worked = Rc::new(Cell::new(Duration::ZERO));
    let steps = Steps::default();
    let (gather, looks) = (Duration::ZERO, 0);
    let net = Slowed { net, worked: Rc::clone(&worked), gather, looks, steps: Rc::clone(&steps) };
    let config = DriverConfig { most_turn, ..DriverConfig::default() };
    let mut driver = Driver::new(engine(), net, config);
    let host = driver.host(&Origin { scheme: Scheme::Http, host: "192.0.2.1", port: 80 });
    let slow = Slow { worked: Some(worked), again: Some(host), left: 0, ends: Vec::new(), steps };
    (driver, host, slow)
}

/// Runs to the end; how many ends each turn brought that brought any.
fn turns(driver: &mut Driver<Slowed>, slow: &mut Slow) -> Vec<usize> {
    let mut turns = Vec::new();
    for _ in 0..10_000 {
        if driver.engine().held() == 0 {
            return turns;
        }
        let before = slow.ends.len();
        driver.turn(None, slow).unwrap();
        driver.engine().check(driver.now()).unwrap();
        turns.extend(Some(slow.ends.len() - before).filter(|&count| count > 0));
    }
    panic!("{} are left, {} came to an end", driver.engine().held(), slow.ends.len());
}

#[test]
fn a_slow_handler_gets_as_many_as_fit_and_none_waits_for_ever() {
    const ALL: usize = 20 * CONNECTIONS as usize;
    let served = || {
        let mut server = Server::new(|_| Answer::ok("0123456789"));
        server.latency = Duration::from_millis(5);
        server
    };
    let (mut driver, host, mut slow) = simulated(served(), MOST);
    for _ in 0..CONNECTIONS {
        driver.submit(&Request::get(host, "/")).unwrap();
    }
    slow.left = ALL - CONNECTIONS as usize;
    let counts = turns(&mut driver, &mut slow);
    assert!(driver.net().net.ledger().violations.is_empty());
    assert_eq!(slow.ends.len(), ALL);
    assert!(slow.ends.iter().all(|(_, result)| *result == Ok(200)));
    assert!(counts[0] <= UNFORESEEN, "{counts:?}");
    assert!(counts[1..].iter().all(|&count| count <= FORESEEN), "{counts:?}");
    // Each connection comes again before any other comes a third time.
    let mut last = BTreeMap::new();
    for (at, (conn, _)) in slow.ends.iter().enumerate() {
        if let Some(before) = last.insert(*conn, at) {
            assert!(at - before <= 2 * CONNECTIONS as usize, "{conn}: {before}, then {at}");
        }
    }
    assert_eq!(last.len(), CONNECTIONS as usize);

    // The same without a bound: that there was anything to bound.
    let (mut driver, host, mut slow) = simulated(served(), Duration::MAX);
    for _ in 0..CONNECTIONS {
        driver.submit(&Request::get(host, "/")).unwrap();
    }
    let most = turns(&mut driver, &mut slow).into_iter().max();
    assert!(most > Some(UNFORESEEN), "{most:?}");
}

/// Calls off what asks for a path that is never answered, a few in each turn: the first act of the turn is then all that
/// fits into it.
#[test]
fn who_calls_off_many_does_not_stop_the_others() {
    const CALLED_OFF: usize = 8;
    let mut server = Server::new(|request| {
        let silent = request.target.starts_with("/silent");
        let answer = Answer::ok("0123456789");
        if silent { answer.after(Duration::from_secs(3_600)) } else { answer }
    });
    server.latency = Duration::from_millis(5);
    let (mut driver, host, mut slow) = simulated(server, MOST);
    // Its ends are quick but those that are called off.
    let worked = slow.worked.take();
    let mut slow = OnlyCalledOff { worked: worked.unwrap(), ends: 0, called_off: 0 };
    for _ in 0..CONNECTIONS - 1 {
        driver.submit(&Request::get(host, "/")).unwrap();
    }
    let (mut turns, mut answered) = (0, Vec::new());
    while slow.ends < usize::from(CONNECTIONS) - 1 {
        for _ in 0..CALLED_OFF {
            let job = driver.submit(&Request::get(host, "/silent")).unwrap();
            driver.ctl().cancel(job);
        }
        let before = slow.ends;
        driver.turn(None, &mut slow).unwrap();
        answered.extend(Some(slow.ends - before).filter(|&count| count > 0));
        turns += 1;
        assert!(turns < 1_000, "{} of {CONNECTIONS} in so many turns", slow.ends);
    }
    assert_eq!(slow.called_off, turns * CALLED_OFF);
    assert!(answered[0] >= usize::from(CONNECTIONS) / 2, "{answered:?}");
}

/// Takes its time over what was called off, none over what was answered.
struct OnlyCalledOff {
    worked: Rc<Cell<Duration>>,
    ends: usize,
    called_off: usize,
}

impl Handler for OnlyCalledOff {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::Never)
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        if report.result == Ok(200) {
            self.ends += 1;
        } else {
            self.called_off += 1;
            self.worked.set(self.worked.get() + EACH);
        }
    }
}

#[test]
fn deadlines_that_come_together_are_told_in_several_turns() {
    let silent = Server::new(|_| Answer::ok("late").after(Duration::from_secs(3_600)));
    let (mut driver, host, mut slow) = simulated(silent, MOST);
    for _ in 0..CONNECTIONS {
        driver.submit(&Request::get(host, "/")).unwrap();
    }
    let counts = turns(&mut driver, &mut slow);
    assert_eq!(slow.ends.len(), CONNECTIONS as usize);
    assert!(slow.ends.iter().all(|(_, result)| result.is_err()), "{:?}", slow.ends);
    assert!(counts[0] <= UNFORESEEN, "{counts:?}");
    assert!(counts[1..].iter().all(|&count| count <= FORESEEN), "{counts:?}");
}

#[test]
fn a_quick_turn_reads_the_clock_three_times() {
    let mut server = Server::new(|_| Answer::ok("0123456789"));
    server.latency = Duration::from_millis(5);
    let (mut driver, host, mut slow) = simulated(server, MOST);
    slow.worked = Some(Rc::default());
    driver.net_mut().gather = Duration::from_millis(1);
    for _ in 0..8 {
        driver.submit(&Request::get(host, "/")).unwrap();
    }
    slow.left = 1_000;
    let (mut most, mut served) = (0, 0);
    while slow.ends.len() < 1_000 {
        let (looks, ends) = (driver.net().looks, slow.ends.len());
        driver.turn(None, &mut slow).unwrap();
        if ends >= 100 {
            most = most.max(driver.net().looks - looks);
            served = served.max(slow.ends.len() - ends);
        }
    }
    // When it begins, when it wakes up, when it is over; a wait for more that is ready is one further.
    assert!(served >= 4, "{served} in one turn");
    assert!(most <= 4, "{most}");
}

/// Each stage is longer than the processor's cache for instructions bears beside the others.
#[test]
fn what_is_ready_together_goes_through_each_stage_together() {
    let mut server = Server::new(|_| Answer::ok("0123456789"));
    server.latency = Duration::from_millis(5);
    let (mut driver, host, mut slow) = simulated(server, MOST);
    slow.worked = Some(Rc::default());
    driver.net_mut().gather = Duration::from_millis(1);
    for _ in 0..4 {
        driver.submit(&Request::get(host, "/")).unwrap();
    }
    slow.left = 100;
    turns(&mut driver, &mut slow);
    let steps = slow.steps.take();
    assert!(steps.contains(&"rrrrhhhheeeewwww".repeat(10)), "{steps}");
}

/// An outer loop that is told of each edge once, around a driver whose turns are short.
struct Outer {
    driver: Driver<Mio>,
    host: HostKey,
    poll: mio::Poll,
    events: mio::Events,
}

impl Outer {
    fn new(address: SocketAddr, events: usize) -> Self {
        use std::os::fd::AsRawFd as _;
        let config =
            DriverConfig { most_turn: Duration::from_millis(1), ..DriverConfig::default() };
        let mut driver = Driver::new(engine(), Mio::new(events).unwrap(), config);
        let name = address.ip().to_string();
        let host = driver.host(&Origin { scheme: Scheme::Http, host: &name, port: address.port() });
        let poll = mio::Poll::new().unwrap();
        let descriptor = driver.net().as_raw_fd();
        let mut source = mio::unix::SourceFd(&descriptor);
        poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).unwrap();
        Self { driver, host, poll, events: mio::Events::with_capacity(4) }
    }

    /// Waits as long as the driver allows, then turns; how many ends that brought.
    fn turn(&mut self, slow: &mut Slow) -> usize {
        let now = self.driver.net_mut().now();
        let timeout = self.driver.next_deadline().map(|at| at - now);
        self.poll.poll(&mut self.events, timeout).unwrap();
        let before = slow.ends.len();
        self.driver.turn(Some(Duration::ZERO), slow).unwrap();
        slow.ends.len() - before
    }
}

#[test]
fn an_outer_loop_that_is_told_once_misses_nothing() {
    const ALL: usize = 200;
    let server = spawn(Script::new()).unwrap();
    // Few events at once: more is ready than one look at the poll brings.
    let mut outer = Outer::new(server.addr(), 2);
    for _ in 0..CONNECTIONS {
        outer.driver.submit(&Request::get(outer.host, "/bytes/10")).unwrap();
    }
    let left = ALL - usize::from(CONNECTIONS);
    let (worked, ends, steps) = (None, Vec::new(), Steps::default());
    let mut slow = Slow { worked, again: Some(outer.host), left, ends, steps };
    let start = Clock::now();
    while slow.ends.len() < ALL {
        assert!(start.elapsed() < Duration::from_secs(60), "{} of {ALL}", slow.ends.len());
        let ends = outer.turn(&mut slow);
        assert!(ends <= UNFORESEEN, "{ends} in one turn");
    }
    assert!(slow.ends.iter().all(|(_, result)| *result == Ok(200)));
}

#[test]
fn what_was_ready_before_the_only_edge_is_served_without_another() {
    let server = spawn(Script::new()).unwrap();
    let mut outer = Outer::new(server.addr(), 1);
    for _ in 0..CONNECTIONS {
        outer.driver.submit(&Request::get(outer.host, "/delay/400")).unwrap();
    }
    let (worked, ends, steps) = (None, Vec::new(), Steps::default());
    let mut slow = Slow { worked, again: None, left: 0, ends, steps };
    let start = Clock::now();
    while start.elapsed() < Duration::from_millis(250) {
        let soon = Some(Duration::from_millis(10));
        outer.driver.turn(soon, &mut slow).unwrap();
    }
    // Now every answer comes, and nothing after it.
    std::thread::sleep(Duration::from_millis(600));
    let mut turns = 0;
    while slow.ends.len() < usize::from(CONNECTIONS) {
        outer.turn(&mut slow);
        turns += 1;
        assert!(turns < 1_000, "{}", slow.ends.len());
    }
    assert!(slow.ends.iter().all(|(_, result)| *result == Ok(200)), "a deadline came first");
    assert!(turns >= 30, "{turns} turns were enough: nothing was left to another");
}
