//! What one request may want otherwise than the rest, and what its embedder is asked on the way: priority,
//! limits of its own, and the hooks before each attempt, each repeat and each connection. On the
//! engine alone, which is a function of its inputs.

use std::time::Duration;

use gannet::base::Instant;
use gannet::engine::{
    Action, Advice, Cause, Config, ConnKey, Ctl, DnsFailure, Draft, Engine, Fault, Handler,
    HostKey, JobRef, Kind, Loss, Options, Origin, Payload, PerHost, Report, Request, Resolved,
    Resume, Retry, Scheme, Upload,
};
use gannet::proto::{Body, Head};

const SECOND: Duration = Duration::from_secs(1);
const SMALL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Notes what it is asked, and how requests end.
#[derive(Default)]
struct Asked {
    ends: Vec<(u64, Result<u16, Kind>, u32)>,
    prepared: Vec<u64>,
    repeats: Vec<(Kind, Option<u16>)>,
    vetoes: bool,
    connects: Vec<String>,
    denied: &'static str,
}

impl Handler for Asked {
    fn prepare(&mut self, job: JobRef, head: &mut Draft<'_>) {
        self.prepared.push(job.tag);
        assert!(head.set("X-Attempt", self.prepared.len().to_string().as_bytes()));
    }
    fn repeat(&mut self, _: JobRef, why: Kind, status: Option<u16>) -> bool {
        self.repeats.push((why, status));
        !self.vetoes
    }
    fn allow(&mut self, _: HostKey, address: std::net::SocketAddr) -> bool {
        self.connects.push(address.ip().to_string());
        self.connects.last().is_none_or(|address| address != self.denied)
    }
    fn upload(
        &mut self,
        _: &mut Ctl<'_>,
        _: JobRef,
        at: u64,
        out: &mut Vec<u8>,
        _: usize,
    ) -> Upload {
        out.extend_from_slice(&b"abc"[at as usize..]);
        Upload::End
    }
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::Never)
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        let result = report.result.map_err(|failure| failure.kind);
        self.ends.push((job.tag, result, report.attempts));
    }
}

/// An engine, its sockets being perfect, and what it sent last.
struct World {
    engine: Engine,
    now: Instant,
    asked: Asked,
    conn: Option<ConnKey>,
    sent: String,
    opened: Vec<String>,
    addresses: &'static [&'static str],
}

impl World {
    fn new(config: Config) -> Self {
        let engine = Engine::try_new(config).unwrap();
        let (asked, opened) = (Asked::default(), Vec::new());
        let (now, conn, sent) = (Instant::ZERO, None, String::new());
        Self { engine, now, asked, conn, sent, opened, addresses: &["192.0.2.1"] }
    }

    fn submit(&mut self, tag: u64, options: Options) {
        self.submit_as("GET", Payload::None, tag, options);
    }

    fn submit_as(&mut self, method: &'static str, body: Payload, tag: u64, options: Options) {
        let origin = Origin { scheme: Scheme::Http, host: "name.example", port: 80 };
        let host = self.engine.host(&origin);
        let request = Request { method, body, tag, options, ..Request::get(host, "/") };
        self.engine.submit(&request, self.now).unwrap();
    }

    /// Carries out what is wanted, until nothing is.
    fn carry_out(&mut self) {
        let Self { engine, now, asked, conn: last, sent, opened, addresses } = self;
        let now = *now;
        engine.poll(now, asked);
        while let Some(action) = engine.next_action() {
            match action {
                Action::Resolve(host) => {
                    let found: Vec<_> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
                    let result: Result<_, DnsFailure<'_>> = Ok(Resolved::new(&found, 60 * SECOND));
                    engine.resolved(host, result, now, asked);
                }
                Action::Open { conn, address } => {
                    opened.push(address.ip().to_string());
                    engine.connected(conn, now, asked);
                }
                Action::Transmit(conn) => {
                    let mut out = Vec::new();
                    engine.outgoing(conn, &mut out, now, asked);
                    if !out.is_empty() {
                        engine.wrote(conn, out.len(), true, now);
                        *sent = String::from_utf8(out).unwrap();
                        *last = Some(conn);
                    }
                }
                _ => {}
            }
            engine.poll(now, asked);
        }
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.engine.received(self.conn.unwrap(), bytes, self.now, &mut self.asked);
        self.carry_out();
    }

    fn reset(&mut self) {
        let loss = Loss::Fault(Fault::new(Cause::Reset));
        self.engine.lost(self.conn.unwrap(), loss, self.now, &mut self.asked);
        self.carry_out();
    }

    /// Time passes, from deadline to deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.carry_out();
            match self.engine.next_deadline() {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
            self.engine.tick(self.now, &mut self.asked);
        }
        self.now = end;
    }

    fn end(&self) -> Result<u16, Kind> {
        assert_eq!(self.asked.ends.len(), 1, "{:?}", self.asked.ends);
        self.asked.ends[0].1
    }
}

#[test]
fn the_urgent_go_before_the_ordinary_of_their_host() {
    let mut world = World::new(Config { per_host: PerHost::Fixed(1), ..Config::default() });
    for tag in 0..4 {
        world.submit(tag, Options::default());
    }
    world.carry_out();
    for tag in [10, 11] {
        world.submit(tag, Options { urgent: true, ..Options::default() });
    }
    for _ in 0..6 {
        world.answer(SMALL);
    }
    // What is on its way stays there; within each kind, first come, first served.
    let order: Vec<u64> = world.asked.ends.iter().map(|(tag, ..)| *tag).collect();
    assert_eq!(order, [0, 10, 11, 1, 2, 3]);
}

/// Each limit of a request, wider and narrower than the configuration's.
#[test]
fn limits_of_a_request_go_before_the_configurations() {
    let quick = || Config { backoff_base: Duration::from_millis(1), ..Config::default() };

    // Attempts.
    for (all, own, made) in [(4, None, 4), (4, Some(1), 1), (1, Some(3), 3)] {
        let mut world = World::new(Config { attempts: all, ..quick() });
        world.submit(1, Options { attempts: own, ..Options::default() });
        while world.asked.ends.is_empty() {
            world.pass(SECOND);
            if world.asked.ends.is_empty() {
                world.reset();
            }
        }
        assert_eq!(world.asked.ends, [(1, Err(Kind::ResetBeforeResponse), made)], "{all} {own:?}");
    }

    // Times: none in the configuration, a shorter one, a longer one, none at all.
    type Own = fn(Option<Duration>) -> Options;
    type All = fn(Option<Duration>) -> Config;
    let attempt: (All, Own) = (
        |time| Config {
            attempts: 1,
            attempt_timeout: time,
            first_byte_timeout: None,
            ..Config::default()
        },
        |time| Options { attempt_timeout: time, ..Options::default() },
    );
    let first_byte: (All, Own) = (
        |time| Config { attempts: 1, first_byte_timeout: time, ..Config::default() },
        |time| Options { first_byte_timeout: time, ..Options::default() },
    );
    let stall: (All, Own) = (
        |time| Config { attempts: 1, stall_timeout: time, ..Config::default() },
        |time| Options { stall_timeout: time, ..Options::default() },
    );
    for ((config, options), begun, kind) in [
        (attempt, &b""[..], Kind::AttemptTimeout),
        (first_byte, b"", Kind::FirstByteTimeout),
        (stall, &SMALL[..SMALL.len() - 1], Kind::Stalled),
    ] {
        for (all, own, waits) in [
            (None, Some(2 * SECOND), 2),
            (Some(9 * SECOND), Some(2 * SECOND), 2),
            (Some(2 * SECOND), Some(9 * SECOND), 9),
            (Some(2 * SECOND), None, 2),
            (Some(2 * SECOND), Some(Duration::MAX), 100),
        ] {
            let mut world = World::new(config(all));
            world.submit(1, options(own));
            world.carry_out();
            world.answer(begun);
            let name = format!("{} {all:?} {own:?}", kind.name());
            world.pass(waits * SECOND - Duration::from_millis(1));
            assert!(world.asked.ends.is_empty(), "{name}: {:?}", world.asked.ends);
            if waits < 100 {
                world.pass(Duration::from_millis(1));
                assert_eq!(world.end(), Err(kind), "{name}");
            }
        }
    }

    // Bytes of a body.
    for (all, own, end) in [
        (4, None, Err(Kind::BodyTooLarge)),
        (4, Some(5), Ok(200)),
        (9, Some(4), Err(Kind::BodyTooLarge)),
    ] {
        let mut world = World::new(Config { max_body_bytes: all, ..Config::default() });
        world.submit(1, Options { max_body_bytes: own, ..Options::default() });
        world.carry_out();
        world.answer(SMALL);
        assert_eq!(world.end(), end, "{all} {own:?}");
    }

    // Whether it may be sent twice.
    let stream = || Payload::Stream { length: Some(3), replayable: true };
    for (all, own, once, attempts) in [
        (false, false, false, 1),
        (false, true, false, 2),
        (true, false, false, 2),
        (true, true, true, 1),
    ] {
        let mut world = World::new(Config { attempts: 2, retry_unsafe: all, ..quick() });
        let options = Options { retry_unsafe: own, at_most_once: once, ..Options::default() };
        world.submit_as("POST", stream(), 1, options);
        while world.asked.ends.is_empty() {
            world.pass(SECOND);
            if world.asked.ends.is_empty() {
                world.reset();
            }
        }
        assert_eq!(world.asked.ends[0].2, attempts, "{all} {own} {once}");
    }

    // How long `100 Continue` is waited for.
    let mut world = World::new(Config::default());
    let options = Options { expect_continue: Some(3 * SECOND), ..Options::default() };
    world.submit_as("PUT", stream(), 1, options);
    world.carry_out();
    assert!(world.sent.contains("Expect: 100-continue") && !world.sent.contains("abc"));
    world.pass(2 * SECOND);
    assert!(!world.sent.contains("abc"));
    world.pass(SECOND);
    assert!(world.sent.contains("abc"), "{}", world.sent);
}

#[test]
fn each_attempt_is_prepared_and_each_repeat_may_be_vetoed() {
    const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let config = || Config { backoff_base: Duration::from_millis(1), ..Config::default() };
    let mut world = World::new(config());
    world.submit(7, Options::default());
    world.pass(SECOND);
    assert!(world.sent.contains("X-Attempt: 1\r\n"));
    world.reset();
    world.pass(SECOND);
    assert!(world.sent.contains("X-Attempt: 2\r\n") && !world.sent.contains("X-Attempt: 1"));
    world.answer(BUSY);
    world.pass(SECOND);
    assert!(world.sent.contains("X-Attempt: 3\r\n"));
    world.answer(SMALL);
    assert_eq!(world.asked.ends, [(7, Ok(200), 3)]);
    assert_eq!(world.asked.prepared, [7, 7, 7]);
    let repeats = [(Kind::ResetBeforeResponse, None), (Kind::StatusExhausted, Some(503))];
    assert_eq!(world.asked.repeats, repeats);

    // A kept connection that turns out to be closed costs no attempt, and is prepared anew all the same.
    world.submit(8, Options::default());
    world.carry_out();
    world.reset();
    world.pass(SECOND);
    assert_eq!(world.asked.prepared, [7, 7, 7, 8, 8]);
    world.answer(SMALL);
    assert_eq!(world.asked.ends[1], (8, Ok(200), 1));

    for answer in [None, Some(BUSY)] {
        let mut world = World::new(config());
        world.asked.vetoes = true;
        world.submit(7, Options::default());
        world.carry_out();
        match answer {
            None => world.reset(),
            Some(answer) => world.answer(answer),
        }
        let kind = answer.map_or(Kind::ResetBeforeResponse, |_| Kind::StatusExhausted);
        assert_eq!(world.asked.ends, [(7, Err(kind), 1)]);
    }

    // None at all, not even that of a kept connection.
    let mut world = World::new(config().retry(Retry::none()));
    world.submit(1, Options::default());
    world.carry_out();
    world.answer(SMALL);
    world.submit(2, Options::default());
    world.carry_out();
    world.reset();
    world.pass(60 * SECOND);
    assert_eq!(world.asked.ends, [(1, Ok(200), 1), (2, Err(Kind::StaleReuse), 1)]);
    assert!(world.asked.repeats.is_empty());
}

#[test]
fn every_connect_is_asked_for() {
    let config = || Config {
        per_host: PerHost::Fixed(1),
        backoff_base: Duration::from_millis(1),
        ..Config::default()
    };
    // Of a name's addresses, those that are refused are passed over; asked again for each connection.
    let mut world = World::new(config());
    world.addresses = &["10.0.0.1", "192.0.2.1"];
    world.asked.denied = "10.0.0.1";
    world.submit(1, Options::default());
    world.pass(SECOND);
    world.reset();
    world.pass(SECOND);
    world.answer(SMALL);
    assert_eq!(world.asked.ends, [(1, Ok(200), 2)]);
    assert_eq!(world.opened, ["192.0.2.1", "192.0.2.1"]);
    let asked = |world: &World, address: &str| {
        world.asked.connects.iter().filter(|asked| *asked == address).count()
    };
    assert!(asked(&world, "192.0.2.1") >= 2, "{:?}", world.asked.connects);

    // What changes its mind is heard: the kept connection serves on, and no other is opened.
    world.asked.denied = "192.0.2.1";
    world.submit(2, Options::default());
    world.carry_out();
    world.answer(SMALL);
    world.submit(3, Options::default());
    world.carry_out();
    world.reset();
    world.pass(SECOND);
    assert_eq!(world.asked.ends[1].1, Ok(200));
    assert_eq!(world.opened.len(), 3, "10.0.0.1 is allowed now: {:?}", world.opened);

    // With none left it is over, and nothing was opened.
    let mut world = World::new(config());
    world.asked.denied = "192.0.2.1";
    world.submit(1, Options::default());
    world.pass(SECOND);
    assert_eq!((world.end(), world.opened.len()), (Err(Kind::AddressRefused), 0));
}
