//! The resolver in the driver's loop, on real sockets: names of Debian's dnsmasq, requests to
//! `origin`. Where dnsmasq is missing, the tests that need it say so and pass.

mod common;
mod dns_common;

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant as Clock};

use common::{Client, Recorder};
use dns_common::{Dnsmasq, free_address, free_sockets};
use gannet::dns::{Config as DnsConfig, Resolver};
use gannet::engine::{Config, Engine, Kind, Origin, PerHost, Request, Scheme};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig, Names, system_random};
use gannet::origin::{Script, spawn};

const LIMIT: Duration = Duration::from_secs(60);

fn client(config: Config, dns: DnsConfig) -> Client {
    let names = Names::new(Resolver::new(dns), system_random().unwrap());
    let engine = Engine::new(config);
    let driver = Driver::new(engine, Mio::new(1024).unwrap(), DriverConfig::default());
    Client { driver: driver.with_names(names), recorder: Recorder::default(), submitted: 0 }
}

fn asking(server: SocketAddr) -> DnsConfig {
    DnsConfig { servers: vec![server], ..DnsConfig::default() }
}

fn once() -> Config {
    Config { per_host: PerHost::Fixed(2), attempts: 1, ..Config::default() }
}

fn get(client: &mut Client, name: &str, port: u16) {
    let host = client.driver.host(&Origin { scheme: Scheme::Http, host: name, port });
    let tag = client.submitted;
    client.submitted += 1;
    client.driver.submit(&Request::get(host, "/bytes/10").tag(tag)).unwrap();
}

#[test]
fn many_names_each_asked_for_once() {
    let mut hosts = String::new();
    for number in 0..2000 {
        writeln!(hosts, "127.0.0.1 host{number}.test").unwrap();
    }
    let Some(server) = Dnsmasq::start(&hosts, &["--local-ttl=600"]) else { return };
    let origin = spawn(Script::new()).unwrap();
    let mut client = client(once(), asking(server.address));
    for _ in 0..2 {
        for number in 0..2000 {
            get(&mut client, &format!("host{number}.test"), origin.addr().port());
        }
    }
    client.finish(LIMIT);
    assert!(client.recorder.seen.iter().all(common::Seen::is_ok));
    let questions = server.questions();
    assert_eq!(questions.len(), 4000);
    assert!(questions.values().all(|&times| times == 1));
}

#[test]
fn a_dead_family_is_no_obstacle() {
    // Nobody listens at ::1; and the second time it is not even tried first.
    let Some(server) = Dnsmasq::start("127.0.0.1 two.test\n::1 two.test\n", &[]) else { return };
    let origin = spawn(Script::new()).unwrap();
    let mut client = client(once(), asking(server.address));
    get(&mut client, "two.test", origin.addr().port());
    client.finish(LIMIT);
    assert!(client.recorder.seen[0].is_ok(), "{:?}", client.recorder.seen[0]);
}

#[test]
fn an_answer_that_needs_tcp() {
    let mut hosts = String::new();
    for last in 1..=150 {
        writeln!(hosts, "127.0.77.{last} many.test").unwrap();
    }
    let Some(server) = Dnsmasq::start(&hosts, &[]) else { return };
    let origin = spawn(Script::new()).unwrap();
    let mut client = client(once(), asking(server.address));
    get(&mut client, "many.test", origin.addr().port());
    client.finish(LIMIT);
    assert_eq!(client.driver.names().unwrap().stats().tcp, 1);
    // `origin` listens at 127.0.0.1 only: the addresses arrived, and none of them serves.
    assert_eq!(client.recorder.seen[0].kind(), Some(Kind::Refused));
}

#[test]
fn errors_name_the_server() {
    let Some(server) = Dnsmasq::start("127.0.0.1 a.test\n", &[]) else { return };
    let mut client = client(once(), asking(server.address));
    for name in ["gone.test", "gone.elsewhere", "not..a.name"] {
        get(&mut client, name, 80);
    }
    client.finish(LIMIT);
    let address = server.address;
    for (seen, (kind, detail)) in client.recorder.seen.iter().zip([
        ("dns_nxdomain", format!("there is no host gone.test: {address} said NXDOMAIN")),
        ("dns_refused", format!("no server would resolve gone.elsewhere: {address} said REFUSED")),
        ("dns_bad_name", "\"not..a.name\" can't be looked up: it has an empty label".into()),
    ]) {
        let failure = seen.result.clone().unwrap().unwrap_err();
        assert_eq!(failure.kind, Kind::Dns(kind));
        assert!(failure.to_string().contains(&detail), "{failure}");
        // It was tried for this very request.
        assert_eq!(seen.attempts, 1, "{failure}");
    }
}

#[test]
fn nobody_waits_for_names_longer_than_for_a_connection() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let connect_timeout = Duration::from_millis(1500);
    // A silence of all name servers is our own side's trouble, unless nobody wants to wait for it.
    let offline_wait = Duration::ZERO;
    let config = Config { connect_timeout, offline_wait, ..once() };
    let mut client = client(config, asking(address));
    let start = Clock::now();
    get(&mut client, "www.test", 80);
    client.finish(LIMIT);
    let took = start.elapsed();
    assert!(took >= connect_timeout && took < Duration::from_secs(4), "{took:?}");
    let failure = client.recorder.seen[0].result.clone().unwrap().unwrap_err();
    assert_eq!(failure.kind, Kind::Dns("dns_unanswered"));
    let sentence = failure.to_string();
    assert!(sentence.contains(&format!("{address} did not answer in 1.5 s")), "{sentence}");
}

#[test]
fn where_no_server_listens_the_error_comes_at_once() {
    let address = free_address();
    let mut client = client(once(), asking(address));
    let start = Clock::now();
    get(&mut client, "www.test", 80);
    client.finish(LIMIT);
    assert!(start.elapsed() < Duration::from_secs(2));
    let sentence = client.recorder.seen[0].result.clone().unwrap().unwrap_err().to_string();
    assert!(sentence.contains(&format!("{address} has nobody listening there")), "{sentence}");
}

#[test]
fn localhost_needs_no_server_nor_does_a_host_that_is_placed_or_routed_there() {
    let origin = spawn(Script::new()).unwrap();
    let port = origin.addr().port();
    let mut client = client(once(), asking(free_address()));
    for name in ["localhost", "a.localhost"] {
        get(&mut client, name, port);
    }
    let placed = client.driver.host(&Origin { scheme: Scheme::Http, host: "placed.test", port: 1 });
    // Nobody listens at the first of the two.
    let dead = SocketAddr::from(([127, 0, 0, 77], port));
    client.driver.place(placed, &[dead, origin.addr()], gannet::base::Instant::NEVER);
    get(&mut client, "placed.test", 1);
    let routed = client.driver.host(&Origin { scheme: Scheme::Http, host: "routed.test", port: 2 });
    client.driver.names_mut().unwrap().route(routed, "localhost", port);
    get(&mut client, "routed.test", 2);
    client.finish(LIMIT);
    for seen in &client.recorder.seen {
        assert!(seen.is_ok(), "{seen:?}");
    }
    assert_eq!(client.driver.names().unwrap().stats().sent, 0);
}

#[test]
fn a_server_over_tcp_that_closes_or_trickles() {
    // A datagram server that only says "cut", and a stream server that closes at once.
    let (datagrams, streams) = free_sockets();
    let address = datagrams.local_addr().unwrap();
    datagrams.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    streams.set_nonblocking(true).unwrap();
    let mut client = client(once(), asking(address));
    get(&mut client, "www.test", 80);
    let start = Clock::now();
    let mut accepted = 0;
    while client.recorder.done == 0 {
        assert!(start.elapsed() < LIMIT);
        client.driver.turn(Some(Duration::from_millis(10)), &mut client.recorder).unwrap();
        let mut buffer = [0; 512];
        if let Ok((length, from)) = datagrams.recv_from(&mut buffer) {
            // An answer, cut, without records.
            buffer[2] |= 0x82;
            buffer[11] = 0;
            let end = length - 11;
            let _ = datagrams.send_to(&buffer[..end], from);
        }
        if let Ok((stream, _)) = streams.accept() {
            accepted += 1;
            drop(stream);
        }
    }
    assert_eq!(accepted, 2, "once for each family");
    let sentence = client.recorder.seen[0].result.clone().unwrap().unwrap_err().to_string();
    assert!(sentence.contains(&format!("{address} failed over TCP")), "{sentence}");
}

/// A server on loopback that answers A with 127.0.0.77 at once, and AAAA with ::1 after `late`.
fn server_with_a_late_family(late: Duration) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        for _ in 0..2 {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            // The question without its OPT record, one answer to it.
            let mut answer = buffer[..length - 11].to_vec();
            (answer[2], answer[3], answer[7], answer[11]) = (0x81, 0x80, 1, 0);
            let is_a = answer[answer.len() - 3] == 1;
            answer.extend([0xc0, 12, 0, if is_a { 1 } else { 28 }, 0, 1, 0, 0, 0, 60]);
            if is_a {
                answer.extend([0, 4, 127, 0, 0, 77]);
            } else {
                answer.extend([0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            }
            let socket = socket.try_clone().unwrap();
            std::thread::spawn(move || {
                if !is_a {
                    std::thread::sleep(late);
                }
                socket.send_to(&answer, from).unwrap();
            });
        }
    });
    address
}

#[test]
fn the_late_family_is_used_when_the_early_one_is_dead() {
    let script = Script { listen: vec![([0, 0, 0, 0, 0, 0, 0, 1], 0).into()], ..Script::new() };
    let Ok(origin) = spawn(script) else {
        println!("SKIPPED: no IPv6 on this machine");
        return;
    };
    let server = server_with_a_late_family(Duration::from_millis(200));
    let backoff_base = Duration::from_millis(200);
    let mut client = client(Config { attempts: 6, backoff_base, ..once() }, asking(server));
    get(&mut client, "two.test", origin.addr().port());
    client.finish(LIMIT);
    let seen = &client.recorder.seen[0];
    assert!(seen.is_ok(), "{seen:?}");
    assert_eq!(seen.tries.first().map(|failed| failed.kind), Some(Kind::Refused));
    assert_eq!(client.driver.names().unwrap().stats().sent, 2);
}
