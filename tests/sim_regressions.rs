//! Defects that the swarm found, each by the smallest world that shows it.

use std::time::Duration;

use gannet::engine::{
    Advice, Config, Ctl, Engine, Failure, Handler, JobRef, Kind, Origin, PerHost, Report, Request,
    Resume, Scheme,
};
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, Head};
use gannet::sim::{self, Accept, Answer, How, Net, Server};

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Keep {
    skip: bool,
    body: Vec<u8>,
    ends: Vec<(u64, Result<u16, Failure>, u64)>,
}

impl Handler for Keep {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        if self.skip { Advice::SkipBody } else { Advice::Deliver(Resume::ByETag) }
    }

    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
    }

    fn restart(&mut self, _: &mut Ctl<'_>, _: JobRef, _: Kind) {
        self.body.clear();
    }

    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        self.ends.push((job.tag, report.result.map_err(Clone::clone), report.body_bytes));
    }
}

fn driver(config: Config, net: Net) -> Driver<Net> {
    Driver::new(Engine::new(config), net, DriverConfig::default())
}

fn submit(driver: &mut Driver<Net>, host: &str, port: u16, target: &str, tag: u64) {
    let host = driver.host(&Origin { scheme: Scheme::Http, host, port });
    driver.submit(&Request::get(host, target).tag(tag)).unwrap();
}

fn one(net: Net, config: Config, keep: &mut Keep) -> Driver<Net> {
    let mut driver = driver(config, net);
    submit(&mut driver, "192.0.2.1", 80, "/", 0);
    sim::run(&mut driver, keep, HOUR).unwrap();
    driver
}

fn net(server: Server) -> Net {
    let mut net = Net::new(1);
    net.serve("192.0.2.1:80".parse().unwrap(), server);
    net
}

#[test]
fn a_continued_body_keeps_the_status_that_was_delivered() {
    let mut keep = Keep::default();
    let server = Server::new(|request| match request.field("range") {
        None => Answer::ok("0123456789").field("ETag", "\"1\"").cut(55, How::Reset),
        Some("bytes=5-") => Answer::new(206)
            .body("56789")
            .field("ETag", "\"1\"")
            .field("Content-Range", "bytes 5-9/10"),
        Some(range) => panic!("asked for {range}"),
    });
    one(net(server), Config::default(), &mut keep);
    assert_eq!(keep.ends, [(0, Ok(200), 10)]);
    assert_eq!(keep.body, b"0123456789");
}

#[test]
fn a_report_counts_what_was_delivered_and_no_more() {
    let mut keep = Keep::default();
    let config = Config { max_body_bytes: 9, ..Config::default() };
    one(net(Server::new(|_| Answer::ok("0123456789").chunked(4))), config, &mut keep);
    let (_, result, bytes) = &keep.ends[0];
    assert_eq!(result.as_ref().unwrap_err().kind, Kind::BodyTooLarge);
    assert_eq!(*bytes, keep.body.len() as u64);
}

#[test]
fn a_body_that_nobody_wants_is_not_delivered_when_attempts_are_used_up() {
    let mut keep = Keep { skip: true, ..Keep::default() };
    let config = Config { attempts: 1, ..Config::default() };
    one(net(Server::new(|_| Answer::new(503).body("sorry"))), config, &mut keep);
    assert_eq!(keep.ends[0].1.as_ref().unwrap_err().kind, Kind::StatusExhausted);
    assert_eq!(keep.body, b"");
}

#[test]
fn a_banner_is_told_however_it_is_cut() {
    for (banner, kind) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "server_spoke_first"),
        ("220 mail.test ESMTP\r\n", "server_spoke_first"),
        ("SSL is spoken elsewhere\r\n", "not_http"),
        ("* nothing known\r\n", "not_http"),
    ] {
        for size in [1, 2, 3, 4, 100] {
            // It comes when the request is out, as from a server that is slow to speak.
            let drip = Answer::raw(banner).drip(size, Duration::from_millis(5));
            let mut keep = Keep::default();
            let server = Server::new(move |_| drip.clone());
            one(net(server), Config::default(), &mut keep);
            let failure = keep.ends[0].1.clone().unwrap_err();
            assert_eq!(failure.kind.name(), kind, "{banner:?} by {size}: {failure}");
        }
        // What can't become HTTP any more is no cut answer.
        let mut keep = Keep::default();
        let server = Server::new(move |_| Answer::raw(&banner.as_bytes()[..1]).closing_silently());
        one(net(server), Config::default(), &mut keep);
        assert_eq!(keep.ends[0].1.clone().unwrap_err().kind.name(), "not_http", "{banner:?}");
    }
}

#[test]
fn the_next_address_has_its_share_of_the_time_even_without_a_second_slot() {
    let mut keep = Keep::default();
    let mut net = Net::new(1);
    let dead = ["198.51.100.1:80", "198.51.100.2:80"];
    for dead in dead {
        let mut server = Server::new(|_| Answer::new(404));
        server.accept = Accept::BlackHole;
        net.serve(dead.parse().unwrap(), server);
    }
    net.serve("192.0.2.1:80".parse().unwrap(), Server::new(|_| Answer::ok("here")));
    let addresses = ["198.51.100.1", "198.51.100.2", "192.0.2.1"].map(|a| a.parse().unwrap());
    net.name("three.test", &addresses);
    let mut driver = driver(Config { max_connections: 1, attempts: 1, ..Config::default() }, net);
    submit(&mut driver, "three.test", 80, "/", 0);
    sim::run(&mut driver, &mut keep, HOUR).unwrap();
    assert_eq!(keep.ends, [(0, Ok(200), 4)]);
    assert_eq!(driver.net().ledger().peak, 1);
}

#[test]
fn a_slot_at_an_address_that_is_not_taken_goes_to_the_next_host() {
    // Many names at one address that bears one connection; one of them waits for its own backoff.
    let mut keep = Keep::default();
    let mut net = Net::new(1);
    for port in 80..90 {
        let address = std::net::SocketAddr::new("192.0.2.1".parse().unwrap(), port);
        let server = Server::new(move |_| {
            let answer = Answer::ok("x");
            if port % 2 == 0 { answer.cut(0, How::Reset) } else { answer.closing_silently() }
        });
        net.serve(address, server);
    }
    let config = Config {
        per_host: PerHost::Auto { ceiling: Some(1), start: 1 },
        attempts: 3,
        ..Config::default()
    };
    let mut driver = driver(config, net);
    for tag in 0..60 {
        submit(&mut driver, "192.0.2.1", 80 + (tag % 10) as u16, "/", tag);
    }
    while driver.engine().held() > 0 {
        driver.turn(None, &mut keep).unwrap();
        driver.engine().check(driver.now()).unwrap();
        assert!(!driver.net().ledger().stuck);
    }
    assert_eq!(keep.ends.len(), 60);
}
