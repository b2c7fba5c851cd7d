//! What programs that embed the engine rely on: the hooks of both doors, requests from within
//! handlers and from other threads, who looks on, and how it ends.
#![cfg(all(feature = "fetch", feature = "origin", feature = "remote"))]
#![allow(missing_docs)]

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant as Clock};

use gannet::engine::observe::{Event, What};
use gannet::engine::{
    Advice, Config, ConfigError, Ctl, Draft, Engine, Handler, HostKey, JobRef, Kind, Origin,
    Report, Request, Resolved, Resume, Retry, Scheme, SubmitError,
};
use gannet::fetch::{
    Answer, Control, ErrorKind, Fetcher, Follow, Options, Outcome, Profile, Redirect, StartError,
    Ticket, Url, UrlRules, Visitor, Want,
};
use gannet::net::mio::Mio;
use gannet::net::remote::{Order, RemoteError};
use gannet::net::{Driver, DriverConfig};
use gannet::origin::{Script, presets, spawn};
use gannet::proto::{Body, Head};

const LIMIT: Duration = Duration::from_secs(30);

/// Ends and tags, in order; submits followers.
#[derive(Default)]
struct Tally {
    ends: Vec<(u64, Result<u16, Kind>)>,
    /// Requests still to be submitted, one by each that is done.
    chain: Option<(HostKey, u64)>,
    refusals: Vec<SubmitError>,
    bytes: usize,
}

impl Handler for Tally {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::Never)
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
        self.bytes += bytes.len();
    }
    fn done(&mut self, ctl: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        self.ends.push((job.tag, report.result.map_err(|failure| failure.kind)));
        if let Some((host, left)) = &mut self.chain
            && *left > 0
        {
            *left -= 1;
            let request = Request::get(*host, "/bytes/10").tag(1_000 + *left);
            if let Err(error) = ctl.submit(&request) {
                self.refusals.push(error);
            }
        }
    }
}

fn driver(config: Config) -> Driver<Mio> {
    let engine = Engine::try_new(config).unwrap();
    Driver::new(engine, Mio::new(64).unwrap(), DriverConfig::default())
}

fn host(driver: &mut Driver<Mio>, address: SocketAddr) -> HostKey {
    let name = address.ip().to_string();
    driver.host(&Origin { scheme: Scheme::Http, host: &name, port: address.port() })
}

fn run(driver: &mut Driver<Mio>, tally: &mut Tally, ends: usize) {
    let start = Clock::now();
    while tally.ends.len() < ends {
        assert!(start.elapsed() < LIMIT, "{} of {ends}", tally.ends.len());
        driver.turn(Some(Duration::from_millis(100)), tally).unwrap();
    }
}

#[test]
fn a_handler_submits_the_next_request_in_the_place_of_the_last() {
    let server = spawn(Script::new()).unwrap();
    // Room for one: whoever is done makes it.
    let mut driver = driver(Config { max_jobs: 1, ..Config::tiny() });
    let host = host(&mut driver, server.addr());
    let mut tally = Tally { chain: Some((host, 50)), ..Tally::default() };
    driver.submit(&Request::get(host, "/bytes/10").tag(7)).unwrap();
    assert_eq!(driver.submit(&Request::get(host, "/")), Err(SubmitError::Full));
    run(&mut driver, &mut tally, 51);
    assert!(tally.refusals.is_empty(), "{:?}", tally.refusals);
    assert_eq!(tally.bytes, 510);
    assert_eq!((driver.engine().held(), driver.engine().wants()), (0, 1));
    assert_eq!(server.stats().accepted, 1);
}

#[test]
fn what_a_handler_may_not_submit_is_said_at_once() {
    let server = spawn(Script::new()).unwrap();
    struct Greedy(HostKey, Vec<Result<(), SubmitError>>, u32);
    impl Handler for Greedy {
        fn head(&mut self, ctl: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
            // Two places, one of them taken by this very request.
            self.1.push(ctl.submit(&Request::get(self.0, "no slash")));
            assert_eq!(ctl.wants(), 1);
            self.1.push(ctl.submit(&Request::get(self.0, "/bytes/1")));
            self.1.push(ctl.submit(&Request::get(self.0, "/bytes/1")));
            Advice::SkipBody
        }
        fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
        fn done(&mut self, ctl: &mut Ctl<'_>, _: JobRef, _: &Report<'_>) {
            self.2 += 1;
            ctl.cancel_all();
        }
    }
    let mut driver = driver(Config { max_jobs: 2, ..Config::tiny() });
    let host = host(&mut driver, server.addr());
    driver.submit(&Request::get(host, "/bytes/10")).unwrap();
    let mut greedy = Greedy(host, Vec::new(), 0);
    let start = Clock::now();
    while driver.engine().held() > 0 {
        assert!(start.elapsed() < LIMIT);
        driver.turn(Some(Duration::from_millis(100)), &mut greedy).unwrap();
    }
    assert!(matches!(greedy.1[0], Err(SubmitError::Request(_))), "{:?}", greedy.1);
    assert_eq!(greedy.1[1..3], [Ok(()), Err(SubmitError::Full)]);
    assert_eq!(greedy.2, 2);
}

#[test]
fn a_request_that_goes_out_once_ends_with_its_connection() {
    use std::io::{Read as _, Write as _};
    // The first connection answers once, then resets at the second request; others answer.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 1024];
            loop {
                if stream.read(&mut buffer).unwrap_or(0) == 0 {
                    break;
                }
                *counter.lock().unwrap() += 1;
                if n == 0 && *counter.lock().unwrap() == 2 {
                    break;
                }
                stream.write_all(ok).unwrap();
            }
        }
    });
    let mut driver = driver(Config::tiny());
    let host = host(&mut driver, address);
    let mut tally = Tally::default();
    driver.submit(&Request::get(host, "/a").tag(1)).unwrap();
    run(&mut driver, &mut tally, 1);
    driver.submit(&Request::get(host, "/b").tag(2).retry(Retry::none())).unwrap();
    run(&mut driver, &mut tally, 2);
    assert_eq!(tally.ends[1], (2, Err(Kind::StaleReuse)));
    assert_eq!(*asked.lock().unwrap(), 2, "never sent again");
    driver.submit(&Request::get(host, "/c").tag(3)).unwrap();
    run(&mut driver, &mut tally, 3);
    assert_eq!(tally.ends[2], (3, Ok(200)));
}

#[test]
fn other_threads_submit_cancel_and_wake() {
    let server = spawn(Script::new()).unwrap();
    let mut driver = driver(Config { max_jobs: 3, ..Config::tiny() });
    let remote = driver.remote(100).unwrap();
    let address = server.addr();
    let name = address.ip().to_string();
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            let (remote, name) = (remote.clone(), name.clone());
            std::thread::spawn(move || {
                for n in 0..25 {
                    let origin = Origin { scheme: Scheme::Http, host: &name, port: address.port() };
                    let order = Order::get(&origin, "/bytes/10").tag(thread * 100 + n);
                    remote.submit(order.field("X-From", b"afar")).unwrap();
                }
            })
        })
        .collect();
    let mut tally = Tally::default();
    run(&mut driver, &mut tally, 100);
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(tally.ends.iter().all(|(_, end)| *end == Ok(200)));
    assert_eq!(server.stats().requests, 100);

    // Bad requests are refused where they are made; too many wait for nobody.
    let origin = Origin { scheme: Scheme::Http, host: &name, port: address.port() };
    let bad = remote.submit(Order::get(&origin, "no slash"));
    assert!(matches!(bad, Err(RemoteError::Request(_))), "{bad:?}");
    for n in 0..100 {
        remote.submit(Order::get(&origin, "/delay/60000/1").tag(n)).unwrap();
    }
    assert_eq!(remote.submit(Order::get(&origin, "/")), Err(RemoteError::Full));
    // Some of them run, the others wait for room; all of them are called off, each told once.
    let mut tally = Tally::default();
    driver.turn(Some(Duration::from_millis(50)), &mut tally).unwrap();
    let waker = remote.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        waker.cancel(99).unwrap();
        waker.cancel_all().unwrap();
    });
    run(&mut driver, &mut tally, 100);
    thread.join().unwrap();
    assert!(tally.ends.iter().all(|(_, end)| *end == Err(Kind::Cancelled)));
    assert_eq!(driver.engine().held(), 0);

    // A wake ends a wait that would be long; afterwards there is nothing to do.
    let waker = remote.clone();
    let start = Clock::now();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        waker.wake().unwrap();
    });
    driver.turn(Some(LIMIT), &mut tally).unwrap();
    assert!(start.elapsed() < LIMIT / 2);
    thread.join().unwrap();
    drop(driver);
    assert_eq!(remote.submit(Order::get(&origin, "/")), Err(RemoteError::Closed));
}

/// Pauses each answer at its head, and says so.
struct Full {
    paused: mpsc::Sender<u64>,
    ends: Vec<Result<u16, Kind>>,
    bytes: usize,
}

impl Handler for Full {
    fn head(&mut self, ctl: &mut Ctl<'_>, job: JobRef, _: &Head<'_>, _: Body) -> Advice {
        ctl.pause(job.key);
        self.paused.send(job.tag).unwrap();
        Advice::Deliver(Resume::Never)
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
        self.bytes += bytes.len();
    }
    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        self.ends.push(report.result.map_err(|failure| failure.kind));
    }
}

impl Visitor for Full {
    fn head(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, _: &Answer<'_>) -> Want {
        ctl.pause(ticket);
        self.paused.send(ticket.tag).unwrap();
        Want::Body
    }
    fn body(&mut self, _: &mut Control<'_, '_>, _: Ticket, bytes: &[u8]) {
        self.bytes += bytes.len();
    }
    fn done(&mut self, _: &mut Control<'_, '_>, _: Ticket, outcome: &Outcome<'_>) {
        self.ends.push(outcome.result.map_err(|_| Kind::Cancelled));
    }
}

#[test]
fn another_thread_resumes_what_was_paused() {
    const PAUSE: Duration = Duration::from_millis(50);
    let server = spawn(Script::new()).unwrap();

    let mut driver = driver(Config::tiny());
    let host = host(&mut driver, server.addr());
    let remote = driver.remote(1).unwrap();
    let (paused, told) = mpsc::channel();
    let consumer = std::thread::spawn(move || {
        for tag in told {
            std::thread::sleep(PAUSE);
            remote.resume(tag + 100).unwrap();
            while remote.resume(tag) == Err(RemoteError::Full) {
                std::thread::yield_now();
            }
        }
    });
    let mut full = Full { paused, ends: Vec::new(), bytes: 0 };
    for tag in [7, 7, 8] {
        driver.submit(&Request::get(host, "/bytes/3000000").tag(tag)).unwrap();
    }
    let start = Clock::now();
    while driver.engine().held() > 0 && start.elapsed() < LIMIT {
        driver.turn(Some(LIMIT), &mut full).unwrap();
    }
    assert_eq!((full.ends, full.bytes), (vec![Ok(200); 3], 9_000_000));
    assert!(start.elapsed() >= PAUSE && start.elapsed() < LIMIT);
    drop(full.paused);
    consumer.join().unwrap();

    let mut fetcher = Fetcher::new(Options::tiny()).unwrap();
    let remote = fetcher.remote(4).unwrap();
    let (paused, told) = mpsc::channel();
    let consumer = std::thread::spawn(move || {
        for tag in told {
            std::thread::sleep(PAUSE);
            // The second asks for what is asked for already.
            remote.resume(tag).unwrap();
            remote.resume(tag).unwrap();
        }
    });
    let mut full = Full { paused, ends: Vec::new(), bytes: 0 };
    for tag in 0..3 {
        let url = server.url("/bytes/3000000");
        fetcher.submit(&request(&url, tag, Profile::default())).unwrap();
    }
    let start = Clock::now();
    while !fetcher.is_idle() && start.elapsed() < LIMIT {
        fetcher.turn(Some(LIMIT), &mut full).unwrap();
    }
    assert_eq!((full.ends, full.bytes), (vec![Ok(200); 3], 9_000_000));
    assert!(start.elapsed() >= PAUSE && start.elapsed() < LIMIT);
    drop(full.paused);
    consumer.join().unwrap();
}

/// What another thread has submitted is not over because no turn has taken it yet.
#[test]
fn a_fetcher_with_orders_is_not_idle() {
    let server = spawn(Script::new()).unwrap();
    let mut fetcher = Fetcher::new(Options::tiny()).unwrap();
    let remote = fetcher.remote(4).unwrap();
    assert!(fetcher.is_idle());
    remote.submit(request(&server.url("/bytes/3"), 7, Profile::default())).unwrap();
    assert!(!fetcher.is_idle());
    let response = fetcher.next().unwrap().expect("the order");
    assert_eq!((response.ticket.tag, response.body.len()), (7, 3));
    assert!(fetcher.is_idle());
    assert!(fetcher.next().unwrap().is_none());
}

#[test]
fn a_whole_response_says_how_long_it_took_and_which_status_came() {
    let server = spawn(Script::new()).unwrap();
    let mut fetcher = Fetcher::new(Options::tiny()).unwrap();
    fetcher.get(&server.url("/delay/30/10")).unwrap();
    let response = fetcher.next().unwrap().unwrap();
    assert_eq!((response.status, response.is_success()), (Some(200), true));
    let times = response.times;
    assert!(times.first_byte >= Duration::from_millis(30) && times.total >= times.first_byte);

    let once = Profile { attempts: Some(1), ..Profile::default() };
    fetcher.fetch(&request(&server.url("/status/503"), 1, once)).unwrap();
    let response = fetcher.next().unwrap().unwrap();
    assert_eq!(response.status, Some(503));
    assert_eq!(response.result.unwrap_err().name(), "status_exhausted");
}

#[test]
fn what_waits_at_a_drained_driver_is_called_off() {
    let server = spawn(Script::new()).unwrap();
    let mut driver = driver(Config::tiny());
    let remote = driver.remote(8).unwrap();
    let name = server.addr().ip().to_string();
    let origin = Origin { scheme: Scheme::Http, host: &name, port: server.addr().port() };
    let deadline = driver.now() + Duration::from_secs(60);
    driver.drain(deadline);
    remote.submit(Order::get(&origin, "/").tag(3)).unwrap();
    let mut tally = Tally::default();
    run(&mut driver, &mut tally, 1);
    assert_eq!(tally.ends, [(3, Err(Kind::Cancelled))]);
    assert_eq!(server.stats().requests, 0);
}

#[test]
fn whoever_looks_on_sees_connections_requests_repeats_and_the_pool() {
    let server = spawn(Script::new()).unwrap();
    let mut driver = driver(Config { backoff_base: Duration::from_millis(1), ..Config::tiny() });
    let host = host(&mut driver, server.addr());
    driver.watch(1_000);
    driver.submit(&Request::get(host, "/unstable/1/10").tag(5)).unwrap();
    let mut tally = Tally::default();
    run(&mut driver, &mut tally, 1);
    let mut seen = Vec::new();
    driver.observe(&mut |origin: &Origin<'_>, event: &Event| {
        assert_eq!(origin.scheme, Scheme::Http);
        seen.push((event.what, event.what.to_string()));
    });
    let lines: Vec<&str> = seen.iter().map(|(_, line)| &**line).collect();
    assert!(lines[0].starts_with("connection 1: opening to 127.0.0.1:"), "{lines:?}");
    assert_eq!(
        lines[1..],
        [
            "connection 1: established",
            "request 5: attempt 1 on fresh connection 1",
            "request 5: again after status 503",
            "connection 1: waits for work",
            "request 5: attempt 2 on kept connection 1",
            "request 5: status 200, attempts 2",
            "connection 1: waits for work",
        ]
    );
    driver.observe(&mut |_: &Origin<'_>, event: &Event| panic!("told twice: {event:?}"));

    // Whoever does not come for them misses the oldest.
    driver.watch(3);
    for tag in 0..4 {
        driver.submit(&Request::get(host, "/bytes/1").tag(tag)).unwrap();
    }
    run(&mut driver, &mut tally, 5);
    let mut seen = Vec::new();
    driver.observe(&mut |_: &Origin<'_>, event: &Event| seen.push(event.what));
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert!(matches!(seen[0], What::Missed { count } if count > 3), "{seen:?}");
}

#[test]
fn limits_are_told_when_they_change() {
    let server = spawn(presets::hard_limit(3)).unwrap();
    let mut driver = driver(Config::default());
    let host = host(&mut driver, server.addr());
    driver.watch(100_000);
    for tag in 0..300 {
        driver.submit(&Request::get(host, "/delay/5/10").tag(tag)).unwrap();
    }
    let mut tally = Tally::default();
    run(&mut driver, &mut tally, 300);
    let mut limits = Vec::new();
    driver.observe(&mut |_: &Origin<'_>, event: &Event| {
        if let What::Limit { from, to } = event.what {
            limits.push((from, to));
        }
    });
    assert!(limits.iter().any(|(from, to)| to < from), "{limits:?}");
    assert!(limits.windows(2).all(|pair| pair[0].1 == pair[1].0), "each from the last: {limits:?}");
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn the_logging_frameworks_are_told() {
    struct Keep;
    impl log::Log for Keep {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let line = format!("{} {} {}", record.level(), record.target(), record.args());
            LINES.lock().unwrap().push(line);
        }
        fn flush(&self) {}
    }
    struct Count(Arc<Mutex<u32>>);
    impl tracing::Subscriber for Count {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target() == "gannet"
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            *self.0.lock().unwrap() += 1;
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    let server = spawn(Script::new()).unwrap();
    let mut driver = driver(Config::tiny());
    let host = host(&mut driver, server.addr());
    driver.watch(100);
    let mut tally = Tally::default();
    log::set_logger(&Keep).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    driver.submit(&Request::get(host, "/bytes/1").tag(77)).unwrap();
    run(&mut driver, &mut tally, 1);
    driver.observe(&mut gannet::net::observe::Log);
    let address = server.addr();
    let expected = format!("TRACE gannet http://{address}: request 77: status 200, attempts 1");
    let lines = LINES.lock().unwrap().clone();
    assert!(lines.contains(&expected), "{lines:?}");

    let counted = Arc::new(Mutex::new(0));
    driver.submit(&Request::get(host, "/bytes/1").tag(78)).unwrap();
    run(&mut driver, &mut tally, 2);
    tracing::subscriber::with_default(Count(Arc::clone(&counted)), || {
        driver.observe(&mut gannet::net::observe::Tracing);
    });
    assert!(*counted.lock().unwrap() >= 3);
}

#[test]
fn the_descriptor_is_one_and_stays() {
    let server = spawn(Script::new()).unwrap();
    let mut driver = driver(Config::tiny());
    let fd = driver.net().as_fd().as_raw_fd();
    assert_eq!(fd, driver.net().as_raw_fd());
    let host = host(&mut driver, server.addr());
    driver.submit(&Request::get(host, "/bytes/1")).unwrap();
    run(&mut driver, &mut Tally::default(), 1);
    assert_eq!(driver.net().as_fd().as_raw_fd(), fd);
    let fetcher = Fetcher::new(Options::default()).unwrap();
    assert_eq!(fetcher.as_fd().as_raw_fd(), fetcher.as_raw_fd());
}

/// A visitor with every hook.
#[derive(Default)]
struct Hooks {
    ends: Vec<(u64, Result<u16, String>, u32)>,
    prepared: Vec<String>,
    follows: bool,
    repeats: bool,
    denied: Option<SocketAddr>,
    next: Vec<gannet::fetch::Request>,
    token: u32,
    body: Vec<u8>,
}

impl Visitor for Hooks {
    fn follow(&mut self, _: Ticket, redirect: &Redirect<'_>) -> bool {
        assert_eq!(redirect.head.status, 302);
        self.follows
    }
    fn prepare(&mut self, _: Ticket, head: &mut Draft<'_>) {
        self.token += 1;
        assert!(head.set("X-Token", self.token.to_string().as_bytes()));
        let line = head.bytes().split(|&byte| byte == b'\r').next().unwrap();
        self.prepared.push(String::from_utf8_lossy(line).into_owned());
    }
    fn repeat(&mut self, _: Ticket, _: Kind, _: Option<u16>) -> bool {
        self.repeats
    }
    fn allow_addr(&mut self, address: SocketAddr) -> bool {
        self.denied != Some(address)
    }
    fn head(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &Answer<'_>) -> Want {
        Want::Body
    }
    fn body(&mut self, _: &mut Control<'_, '_>, _: Ticket, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
    }
    fn done(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>) {
        let result = outcome.result.map_err(|error| error.name().to_owned());
        self.ends.push((ticket.tag, result, outcome.attempts));
        if let Some(next) = self.next.pop() {
            ctl.submit(&next).unwrap();
        }
    }
}

fn request(url: &str, tag: u64, profile: Profile) -> gannet::fetch::Request {
    let url = Url::parse(url, &UrlRules::default()).unwrap();
    gannet::fetch::Request { url, tag, profile: Arc::new(profile) }
}

fn finish(fetcher: &mut Fetcher, hooks: &mut Hooks) {
    let start = Clock::now();
    while !fetcher.is_idle() {
        assert!(start.elapsed() < LIMIT);
        fetcher.turn(Some(Duration::from_millis(100)), hooks).unwrap();
    }
}

fn follow() -> Profile {
    Profile { follow: Follow::Standard, ..Profile::default() }
}

#[test]
fn each_attempt_and_hop_is_prepared_and_may_be_vetoed() {
    let server = spawn(Script::new()).unwrap();
    let mut options = Options::default();
    options.engine.backoff_base = Duration::from_millis(1);
    let mut fetcher = Fetcher::new(options).unwrap();
    let mut hooks = Hooks { follows: true, repeats: true, ..Hooks::default() };
    fetcher.submit(&request(&server.url("/redirect-to?url=/unstable/1/3"), 1, follow())).unwrap();
    finish(&mut fetcher, &mut hooks);
    assert_eq!(hooks.ends, [(1, Ok(200), 3)]);
    assert_eq!(
        hooks.prepared,
        [
            "GET /redirect-to?url=/unstable/1/3 HTTP/1.1",
            "GET /unstable/1/3 HTTP/1.1",
            "GET /unstable/1/3 HTTP/1.1"
        ]
    );
    fetcher.submit(&request(&server.url("/echo"), 2, follow())).unwrap();
    finish(&mut fetcher, &mut hooks);
    let echo = String::from_utf8_lossy(&hooks.body).into_owned();
    assert!(echo.contains("X-Token: 4"), "{echo}");

    // The answer that redirects is the result; the answer that asks to come back is the end.
    let mut hooks = Hooks::default();
    fetcher.submit(&request(&server.url("/redirect/2"), 3, follow())).unwrap();
    finish(&mut fetcher, &mut hooks);
    assert_eq!(hooks.ends, [(3, Ok(302), 1)]);
    let mut hooks = Hooks::default();
    fetcher.submit(&request(&server.url("/unstable/1/9"), 4, follow())).unwrap();
    finish(&mut fetcher, &mut hooks);
    assert_eq!(hooks.ends, [(4, Err("status_exhausted".to_owned()), 1)]);
    let mut hooks = Hooks { denied: Some(server.addr()), ..Hooks::default() };
    let mut fresh = Fetcher::new(Options::default()).unwrap();
    fresh.submit(&request(&server.url("/bytes/1"), 5, follow())).unwrap();
    finish(&mut fresh, &mut hooks);
    assert_eq!(hooks.ends[0].1, Err("address_refused".to_owned()));
}

#[test]
fn a_visitor_submits_the_next_request() {
    let server = spawn(Script::new()).unwrap();
    let mut options = Options::default();
    options.engine.max_jobs = 1;
    let mut fetcher = Fetcher::new(options).unwrap();
    let next = (0..20).map(|n| request(&server.url("/bytes/10"), n, Profile::default())).collect();
    let mut hooks = Hooks { next, ..Hooks::default() };
    fetcher.submit(&request(&server.url("/bytes/10"), 99, Profile::default())).unwrap();
    assert_eq!(fetcher.wants(), 0);
    finish(&mut fetcher, &mut hooks);
    assert_eq!(hooks.ends.len(), 21);
    assert!(hooks.ends.iter().all(|(_, end, _)| *end == Ok(200)), "{:?}", hooks.ends);
    assert_eq!(fetcher.wants(), 1);
}

#[test]
fn other_threads_submit_urls() {
    let server = spawn(Script::new()).unwrap();
    let mut options = Options::default();
    options.engine.max_jobs = 2;
    let mut fetcher = Fetcher::new(options).unwrap();
    let remote = fetcher.remote(10).unwrap();
    let url = server.url("/bytes/10");
    let thread = std::thread::spawn(move || {
        for tag in 0..9 {
            remote.submit(request(&url, tag, Profile::default())).unwrap();
        }
        remote.submit(request("http://127.0.0.1/x", 9, Profile::default())).unwrap();
        remote.cancel(9).unwrap();
        remote
    });
    let mut hooks = Hooks::default();
    let start = Clock::now();
    fetcher.watch(1_000);
    while hooks.ends.len() < 10 {
        assert!(start.elapsed() < LIMIT, "{:?}", hooks.ends);
        fetcher.turn(Some(Duration::from_millis(100)), &mut hooks).unwrap();
    }
    let remote = thread.join().unwrap();
    hooks.ends.sort_by_key(|(tag, ..)| *tag);
    assert!(hooks.ends[..9].iter().all(|(_, end, _)| *end == Ok(200)), "{:?}", hooks.ends);
    assert_eq!(hooks.ends[9].1, Err("cancelled".to_owned()));
    // Whoever looks on sees the submitter's tags, whatever slots the requests had.
    let mut done = Vec::new();
    fetcher.observe(&mut |_: &Origin<'_>, event: &Event| {
        if let What::Done { job, result: Ok(200), .. } = event.what {
            done.push(job.tag);
        }
    });
    done.sort_unstable();
    assert_eq!(done, (0..9).collect::<Vec<_>>());
    drop(fetcher);
    let late = remote.submit(request("http://127.0.0.1/", 1, Profile::default()));
    assert_eq!(late, Err(RemoteError::Closed));
}

#[test]
fn somebody_elses_resolver_is_asked() {
    let server = spawn(Script::new()).unwrap();
    let mut options = Options::default();
    options.names.external = true;
    let mut fetcher = Fetcher::new(options).unwrap();
    let mut hooks = Hooks::default();
    let port = server.addr().port();
    let url = format!("http://some.where.example:{port}/bytes/5");
    fetcher.submit(&request(&url, 1, Profile::default())).unwrap();
    let start = Clock::now();
    let mut asked = Vec::new();
    while !fetcher.is_idle() {
        assert!(start.elapsed() < LIMIT);
        fetcher.turn(Some(Duration::from_millis(50)), &mut hooks).unwrap();
        while let Some((host, origin)) = fetcher.next_lookup() {
            asked.push(origin.host.to_owned());
            let addresses = [server.addr().ip()];
            let lifetime = Duration::from_secs(60);
            let found = Resolved { addresses: &addresses, lifetime, stale: false };
            fetcher.resolved(host, Ok(found), &mut hooks);
        }
    }
    assert_eq!(asked, ["some.where.example"]);
    assert_eq!(hooks.ends, [(1, Ok(200), 1)]);
}

/// Whoever looks names up for us may never answer, or never ask whether there is a name to look up: the
/// request waited for ever.
#[test]
fn somebody_elses_resolver_has_as_long_as_our_own() {
    let mut options = Options::default();
    options.names.external = true;
    options.engine.connect_timeout = Duration::from_millis(200);
    options.engine.tls_timeout = Duration::from_millis(200);
    options.engine.retry_delay = Some(Duration::from_millis(50));
    let mut fetcher = Fetcher::new(options).unwrap();
    let mut hooks = Hooks::default();
    let twice = Profile { attempts: Some(2), ..Profile::default() };
    fetcher.submit(&request("http://some.where.example/", 1, twice)).unwrap();
    let start = Clock::now();
    let mut asked = 0;
    while !fetcher.is_idle() {
        assert!(start.elapsed() < LIMIT);
        fetcher.turn(Some(Duration::from_millis(50)), &mut hooks).unwrap();
        while fetcher.next_lookup().is_some() {
            asked += 1;
        }
    }
    assert_eq!((asked, &hooks.ends[..]), (2, &[(1, Err("dns_unanswered".to_owned()), 2)][..]));
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
}

#[test]
fn a_fetcher_drains() {
    let server = spawn(Script::new()).unwrap();
    let mut fetcher = Fetcher::new(Options::default()).unwrap();
    let mut hooks = Hooks::default();
    for tag in 0..3 {
        let path = if tag == 2 { "/delay/60000/1" } else { "/bytes/1" };
        fetcher.submit(&request(&server.url(path), tag, Profile::default())).unwrap();
    }
    fetcher.drain(Duration::from_millis(300));
    assert_eq!(fetcher.wants(), 0);
    let refused = fetcher.submit(&request(&server.url("/"), 9, Profile::default())).unwrap_err();
    assert_eq!((refused.kind.clone(), refused.name()), (ErrorKind::Draining, "fetcher_draining"));
    let start = Clock::now();
    while !fetcher.is_idle() {
        fetcher.turn(None, &mut hooks).unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    hooks.ends.sort_by_key(|(tag, ..)| *tag);
    let ends: Vec<_> = hooks.ends.iter().map(|(_, end, _)| end.clone()).collect();
    assert_eq!(ends, [Ok(200), Ok(200), Err("cancelled".to_owned())]);
}

#[test]
fn an_origin_is_written_as_in_a_url() {
    let named = Origin { scheme: Scheme::Https, host: "example.org", port: 443 };
    let six = Origin { scheme: Scheme::Http, host: "::1", port: 80 };
    assert_eq!(named.to_string(), "https://example.org:443");
    assert_eq!(six.to_string(), "http://[::1]:80");
    assert_eq!(gannet::fetch::Scheme::Https.to_string(), "https");
}

#[test]
fn a_fetcher_refuses_what_cannot_work() {
    let mut options = Options::default();
    options.engine.max_connections = 0;
    let refused = Fetcher::new(options);
    assert!(
        matches!(refused, Err(StartError::Config(ConfigError::Zero("max_connections")))),
        "{refused:?}"
    );
}

/// What is made in one thread may be used in another: a loop is often built before its thread is.
#[test]
fn loops_can_be_handed_to_another_thread() {
    fn send<T: Send>() {}
    fn send_and_sync<T: Send + Sync>() {}
    send::<Engine>();
    send::<Driver<Mio>>();
    send::<Fetcher>();
    send_and_sync::<Config>();
    send_and_sync::<Options>();
    send_and_sync::<Profile>();
    send_and_sync::<Url>();
    send_and_sync::<gannet::tls::Config>();
    send_and_sync::<gannet::fetch::Error>();
    send_and_sync::<StartError>();
    send_and_sync::<gannet::engine::Failure>();
    send_and_sync::<SubmitError>();
    send_and_sync::<gannet::net::Remote>();
    send_and_sync::<gannet::fetch::Remote>();
}
