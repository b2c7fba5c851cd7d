//! TLS in the simulation: rustls on both ends, every cut, close_notify and truncation.

mod tls_common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gannet::engine::{
    Advice, Config, Ctl, Engine, Failure, Handler, JobRef, Kind, Origin, PerHost, Report, Request,
    Resume, Scheme,
};
use gannet::net::tap::What;
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, Head};
use gannet::sim::swarm::{self, Tls};
use gannet::sim::{self, Answer, How, Net, Server, Weather};
use gannet::tls::{Options, Roots};
use rustls::SupportedProtocolVersion;
use rustls::server::ServerConfig;
use tls_common::{ED25519, NOW, Standing, TLS12, TLS13, authority, pem, server, signed};

const HOUR: Duration = Duration::from_secs(3600);
const TEXT: &[u8] = b"The quick brown fox jumps over the lazy dog";

#[derive(Default)]
struct Keep {
    body: Vec<u8>,
    ends: Vec<Result<u16, Failure>>,
    attempts: u32,
}

impl Handler for Keep {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        assert!(self.body.is_empty(), "a second head without a restart");
        Advice::Deliver(Resume::ByETag)
    }

    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
    }

    fn restart(&mut self, _: &mut Ctl<'_>, _: JobRef, _: Kind) {
        self.body.clear();
    }

    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        self.ends.push(report.result.map_err(Clone::clone));
        self.attempts = report.attempts;
    }
}

struct Ends {
    server: Arc<ServerConfig>,
    root: Vec<u8>,
}

impl Ends {
    /// A client that remembers nothing yet.
    fn client(&self, sessions: usize) -> gannet::tls::Config {
        let options = Options {
            roots: Roots::Pem(vec![self.root.clone()]),
            time: Some(Arc::new(Standing(NOW))),
            sessions,
            ..Options::default()
        };
        gannet::tls::Config::new(options).unwrap()
    }

    fn tls(&self) -> Tls {
        Tls { server: self.server.clone(), client: self.client(64) }
    }
}

/// A server for all names of these tests and a client that trusts it; no clock but a standing one.
fn ends(versions: &[&'static SupportedProtocolVersion]) -> Ends {
    let above = authority("the root");
    let mut names: Vec<String> = (0..40).map(|n| format!("h{n}.test")).collect();
    names.extend((0..64).map(|n| format!("192.0.2.{n}")));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let identity = signed(&above, &names, ED25519, |_| {});
    Ends { server: Arc::new(server(&identity, versions, None)), root: pem(above.der()) }
}

fn run(ends: &Ends, mut server: Server, config: Config, weather: Weather) -> (Keep, Driver<Net>) {
    server = server.tls(ends.server.clone());
    let mut net = Net::new(config.seed);
    net.weather = weather;
    net.serve("192.0.2.1:443".parse().unwrap(), server);
    net.name("h1.test", &["192.0.2.1".parse().unwrap()]);
    let engine = Engine::new(config);
    let mut driver = Driver::new(engine, net, DriverConfig::default()).with_tls(ends.client(0));
    let host = driver.host(&Origin { scheme: Scheme::Https, host: "h1.test", port: 443 });
    driver.submit(&Request::get(host, "/")).unwrap();
    let mut keep = Keep::default();
    sim::run(&mut driver, &mut keep, HOUR).unwrap();
    assert_eq!(keep.ends.len(), 1);
    assert_eq!(driver.net().ledger().violations, [""; 0]);
    (keep, driver)
}

fn config(seed: u64) -> Config {
    Config {
        seed,
        per_host: PerHost::Fixed(2),
        tls_timeout: Duration::from_secs(3),
        first_byte_timeout: Some(Duration::from_secs(3)),
        head_timeout: Duration::from_secs(3),
        stall_timeout: Some(Duration::from_secs(3)),
        ..Config::default()
    }
}

/// Cuts the server's output at every byte from the first of its handshake to the last of its answer.
fn cut_everywhere(versions: &[&'static SupportedProtocolVersion]) {
    let ends = ends(versions);
    let mut at = 0;
    let mut cuts_met = 0;
    loop {
        let mut whole = 0;
        for (n, how) in [How::Reset, How::Fin, How::Stall].into_iter().enumerate() {
            let seed = at * 3 + n as u64;
            let weather =
                if seed.is_multiple_of(2) { Weather::fair() } else { Weather::unsteady(seed) };
            let served = Server::new(|_| Answer::ok(TEXT).until_close());
            let (keep, _) = run(&ends, served.cut(at, how, 1), config(seed), weather);
            let what = format!("{how:?} at {at}");
            assert_eq!(keep.ends[0], Ok(200), "{what}");
            assert_eq!(keep.body, TEXT, "{what}");
            assert!(keep.attempts <= 2, "{what}: {} attempts", keep.attempts);
            whole += u32::from(keep.attempts == 1);
            cuts_met += u32::from(keep.attempts == 2);
        }
        // Beyond the close_notify there is nothing left to cut.
        if whole == 3 && at > 500 {
            break;
        }
        at += 1;
        assert!(at < 10_000, "the output has no end");
    }
    assert!(cuts_met > 1_000, "only {cuts_met} cuts were met");
}

#[test]
fn tls_1_3_cut_at_every_byte() {
    cut_everywhere(TLS13);
}

#[test]
fn tls_1_2_cut_at_every_byte() {
    cut_everywhere(TLS12);
}

#[test]
fn the_end_of_a_handshake_leaves_with_the_request() {
    let ends = ends(TLS13);
    let (keep, driver) = run(&ends, Server::new(|_| Answer::ok(TEXT)), config(1), Weather::fair());
    assert_eq!(keep.ends, [Ok(200)]);
    assert_eq!(driver.net().ledger().writes, 2, "the hello, and the rest");
}

#[test]
fn an_end_without_close_notify_is_no_end_of_a_body() {
    let ends = ends(TLS13);
    for (truncates, close, ok) in
        [(false, true, true), (true, true, false), (true, false, true), (false, false, true)]
    {
        let mut server = Server::new(move |_| {
            let answer = Answer::ok(TEXT);
            if close { answer.until_close() } else { answer.closing_silently() }
        });
        server.truncates = truncates;
        let (keep, _) = run(&ends, server, Config { attempts: 3, ..config(1) }, Weather::fair());
        assert_eq!(keep.ends[0].is_ok(), ok, "truncates {truncates}, until close {close}");
        if let Err(failure) = &keep.ends[0] {
            assert_eq!((failure.kind, keep.attempts), (Kind::EofInBody, 3));
        }
    }
}

/// Whatever a read holds of records: a pause is over when its answer is, and the connection is read for the
/// next one.
#[test]
fn a_pause_is_of_its_answer_alone() {
    /// Pauses at each piece, and goes on at once.
    #[derive(Default)]
    struct Hesitant {
        pieces: u32,
        bytes: usize,
        ends: Vec<Result<u16, Failure>>,
    }
    impl Handler for Hesitant {
        fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
            Advice::Deliver(Resume::Never)
        }
        fn body(&mut self, ctl: &mut Ctl<'_>, job: JobRef, bytes: &[u8]) {
            self.pieces += 1;
            self.bytes += bytes.len();
            ctl.pause(job.key);
            ctl.resume(job.key);
        }
        fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
            self.ends.push(report.result.map_err(Clone::clone));
        }
    }
    const LENGTH: usize = 50_000;
    const REQUESTS: usize = 6;
    for versions in [TLS12, TLS13] {
        let ends = ends(versions);
        let mut net = Net::new(1);
        let server = Server::new(|_| Answer::ok(vec![b'x'; LENGTH])).tls(ends.server.clone());
        net.serve("192.0.2.1:443".parse().unwrap(), server);
        net.name("h1.test", &["192.0.2.1".parse().unwrap()]);
        let engine = Engine::new(Config { per_host: PerHost::Fixed(1), attempts: 1, ..config(1) });
        let driver = Driver::new(engine, net, DriverConfig::default());
        let mut driver = driver.with_tls(ends.client(0));
        let host = driver.host(&Origin { scheme: Scheme::Https, host: "h1.test", port: 443 });
        for _ in 0..REQUESTS {
            driver.submit(&Request::get(host, "/")).unwrap();
        }
        let mut hesitant = Hesitant::default();
        sim::run(&mut driver, &mut hesitant, HOUR).unwrap();
        assert_eq!(hesitant.ends, [const { Ok(200) }; REQUESTS]);
        assert_eq!(hesitant.bytes, LENGTH * REQUESTS);
        assert!(hesitant.pieces as usize > REQUESTS, "each came in one piece");
        assert_eq!(driver.net().ledger().opened, 1);
    }
}

#[test]
fn a_stranger_on_the_port_ends_the_request_at_once() {
    let ends = ends(TLS13);
    for banner in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"HTTP/1.1 400 No\r\n\r\n"] {
        let mut net = Net::new(1);
        net.serve(
            "192.0.2.1:443".parse().unwrap(),
            Server::new(|_| Answer::new(404)).banner(banner),
        );
        net.name("h1.test", &["192.0.2.1".parse().unwrap()]);
        let driver = Driver::new(Engine::new(config(1)), net, DriverConfig::default());
        let mut driver = driver.with_tls(ends.client(0));
        let host = driver.host(&Origin { scheme: Scheme::Https, host: "h1.test", port: 443 });
        driver.submit(&Request::get(host, "/")).unwrap();
        let mut keep = Keep::default();
        sim::run(&mut driver, &mut keep, HOUR).unwrap();
        let failure = keep.ends[0].clone().unwrap_err();
        assert!(matches!(failure.kind, Kind::Tls(_) | Kind::ServerSpokeFirst), "{failure:?}");
        assert_eq!(driver.net().ledger().opened, 1, "{failure:?}");
    }
}

#[test]
fn worlds_with_tls_heal() {
    let ends = ends(TLS13);
    if let Some(seed) = std::env::var("SEED").ok().and_then(|n| n.parse().ok()) {
        println!("{}", swarm::describe(seed, true));
        println!("{:?}", swarm::narrate_with_tls(seed, &ends.tls()).unwrap());
        return;
    }
    let seeds = std::env::var("GANNET_SEEDS").ok().and_then(|n| n.parse::<u64>().ok());
    let count = seeds.unwrap_or(3_000) / 15;
    let mut arrived = 0;
    for seed in 0..count {
        match swarm::run_with_tls(seed, &ends.tls()) {
            Ok(summary) => {
                arrived += summary.arrived;
                if seed % 10 == 0 {
                    // Keys and tickets differ from run to run, lengths do not.
                    assert_eq!(swarm::run_with_tls(seed, &ends.tls()), Ok(summary), "seed {seed}");
                }
            }
            Err(violation) => {
                panic!("{violation}\nagain: SEED={seed} cargo test --test sim_tls worlds")
            }
        }
    }
    println!("{count} worlds, {arrived} arrived");
}

#[test]
fn what_comes_along_with_the_connection_is_read_as_tls() {
    // The server closes each of its first connections at once, and says so in TLS's own way; data
    // and connection are told by one edge.
    let ends = ends(TLS13);
    let mut served = Server::new(|_| Answer::ok(TEXT));
    served.idle_close = Some(Duration::ZERO);
    served.latency = Duration::from_millis(5);
    let mut net = Net::new(1);
    net.weather.gather = Duration::from_millis(20);
    let address = "192.0.2.1:443".parse().unwrap();
    net.serve(address, served.tls(ends.server.clone()));
    net.name("h1.test", &["192.0.2.1".parse().unwrap()]);
    let driver = Driver::new(Engine::new(config(1)), net, DriverConfig::default());
    let mut driver = driver.with_tls(ends.client(0));
    let host = driver.host(&Origin { scheme: Scheme::Https, host: "h1.test", port: 443 });
    driver.submit(&Request::get(host, "/")).unwrap();
    let mut keep = Keep::default();
    while keep.ends.is_empty() {
        sim::look_up(&mut driver, &mut keep);
        driver.turn(None, &mut keep).unwrap();
        if driver.net().ledger().opened == 3 {
            driver.net_mut().server_mut(address).unwrap().idle_close = None;
        }
    }
    assert_eq!(keep.ends, [Ok(200)]);
}

/// Counts what goes on while many handshakes are under way.
#[derive(Default)]
struct Progress {
    secured: u32,
    plain: usize,
}

struct Count {
    done: u32,
}

impl Handler for Count {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::Never)
    }

    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}

    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        assert!(report.result.is_ok(), "{:?}", report.result);
        self.done += 1;
    }
}

#[test]
fn many_handshakes_leave_a_share_of_each_turn_to_what_is_established() {
    const HOSTS: u8 = 40;
    const A_TURN: u32 = 3;
    let ends = ends(TLS13);
    let mut net = Net::new(1);
    let latency = Duration::from_millis(5);
    for n in 0..HOSTS {
        let mut served = Server::new(|_| Answer::ok(TEXT));
        served.latency = latency;
        let ip = std::net::IpAddr::from([192, 0, 2, n]);
        net.serve((ip, 443).into(), served.tls(ends.server.clone()));
        net.name(&format!("h{n}.test"), &[ip]);
    }
    // A long answer in plain text, whose first bytes come when the servers' handshakes do.
    let mut served = Server::new(|_| Answer::ok(vec![b'x'; 1 << 20]));
    served.latency = latency;
    let plain = std::net::IpAddr::from([192, 0, 2, 60]);
    net.serve((plain, 80).into(), served);
    net.name("plain.test", &[plain]);
    let small = DriverConfig {
        read_buffer: 4096,
        read_budget: 1,
        handshakes_a_turn: A_TURN,
        ..DriverConfig::default()
    };
    let mut driver = Driver::new(Engine::new(config(1)), net, small).with_tls(ends.client(0));
    let progress = Arc::new(Mutex::new(Progress::default()));
    let seen = Arc::clone(&progress);
    driver.set_tap(Some(Box::new(move |tapped| match tapped.what {
        What::Secured(_) => seen.lock().unwrap().secured += 1,
        What::Received(bytes) => seen.lock().unwrap().plain += bytes.len(),
        _ => {}
    })));
    let host = driver.host(&Origin { scheme: Scheme::Http, host: "plain.test", port: 80 });
    driver.submit(&Request::get(host, "/")).unwrap();
    for n in 0..HOSTS {
        let name = format!("h{n}.test");
        let host = driver.host(&Origin { scheme: Scheme::Https, host: &name, port: 443 });
        driver.submit(&Request::get(host, "/")).unwrap();
    }
    let mut count = Count { done: 0 };
    let mut full_turns = 0;
    while count.done <= u32::from(HOSTS) {
        let (secured, received) = {
            let progress = progress.lock().unwrap();
            (progress.secured, progress.plain)
        };
        sim::look_up(&mut driver, &mut count);
        driver.turn(None, &mut count).unwrap();
        let progress = progress.lock().unwrap();
        let now = progress.secured - secured;
        assert!(now <= A_TURN, "{now} handshakes in one turn");
        if now == A_TURN && received > 0 {
            full_turns += 1;
            assert!(progress.plain > received, "the answer under way got nothing of this turn");
        }
    }
    // Else they were never in each other's way.
    assert!(full_turns >= 10, "{full_turns} turns full of handshakes");
    assert_eq!(progress.lock().unwrap().secured, u32::from(HOSTS));
}
