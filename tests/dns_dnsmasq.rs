//! The resolver over real sockets against a real server: Debian's dnsmasq on loopback.
//!
//! The loop at the end of this file is all that a driver must do. Without dnsmasq on this machine
//! the tests say so and pass.
#![cfg(feature = "dns")]

mod dns_common;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant as Clock};

use dns_common::Dnsmasq;
use gannet::base::Instant;
use gannet::dns::{
    Action, Answer, Config, DnsError, Lookup, LookupKey, QueryKey, Resolver, SocketFailure, Source,
};

/// Names of each kind in the server's list.
const BOTH: u32 = 8000;
const ONLY_V4: u32 = 6000;
const ONLY_V6: u32 = 4000;
const NONE: u32 = 2000;

fn v4(number: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 + number).to_be_bytes())
}

fn v6(number: u32) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, (number >> 16) as u16, number as u16).into()
}

/// The names with what is right for each, in the order of trying.
fn names() -> Vec<(String, Vec<IpAddr>)> {
    let both = (0..BOTH).map(|n| (format!("both{n}.test"), vec![v6(n), v4(n)]));
    let only_v4 = (0..ONLY_V4).map(|n| (format!("four{n}.test"), vec![v4(n)]));
    let only_v6 = (0..ONLY_V6).map(|n| (format!("six{n}.test"), vec![v6(n)]));
    let none = (0..NONE).map(|n| (format!("none{n}.test"), vec![]));
    both.chain(only_v4).chain(only_v6).chain(none).collect()
}

#[test]
fn twenty_thousand_names_two_questions_each() {
    let Some(server) = start() else { return };
    let names = names();
    let mut loop_ = Loop::new(Config { servers: vec![server.address], ..Config::default() });
    let found = loop_.resolve_all(&names);
    check(&names, &found);
    assert_eq!(found.len(), 20_000);
    let asked = server.questions();
    assert_eq!(asked.len(), 40_000, "questions that the server saw");
    let stats = loop_.resolver.stats();
    assert_eq!((stats.sent, stats.tcp), (40_000, 0));
    // None is asked twice, but where the machine lets answers wait for too long.
    assert!(stats.again <= loop_.late, "{} again, {} late", stats.again, loop_.late);
    let twice: u64 = asked.values().map(|&times| u64::from(times - 1)).sum();
    assert!(twice <= stats.again, "{twice} of {}", stats.again);
    assert!(loop_.most_open <= 128);
    println!("{} names in {:?}", found.len(), loop_.start.elapsed());
}

#[test]
fn a_name_with_more_addresses_than_a_datagram_holds() {
    let Some(server) = start() else { return };
    let mut loop_ = Loop::new(Config {
        servers: vec![server.address],
        max_addresses: 1000,
        ..Config::default()
    });
    let found = loop_.resolve_all(&[("many.test".into(), vec![])]);
    let answer = found["many.test"].as_ref().unwrap();
    assert_eq!(answer.addresses.len(), 150);
    assert_eq!(answer.source, Source::Server(server.address));
    assert_eq!(loop_.resolver.stats().tcp, 1);
}

#[test]
fn aliases_and_errors() {
    let Some(server) = start() else { return };
    let mut loop_ = Loop::new(Config { servers: vec![server.address], ..Config::default() });
    let list = ["alias.test", "alias2.test", "none0.test", "refused.elsewhere"];
    let found = loop_.resolve_all(&list.map(|name| (name.to_string(), vec![])));
    assert_eq!(found["alias.test"].as_ref().unwrap().addresses, [v6(7), v4(7)]);
    assert_eq!(found["alias2.test"].as_ref().unwrap().addresses, [v6(7), v4(7)]);
    let sentence = |name: &str| found[name].as_ref().unwrap_err().to_string();
    let address = server.address;
    assert_eq!(
        sentence("none0.test"),
        format!("there is no host none0.test: {address} said NXDOMAIN")
    );
    assert_eq!(
        sentence("refused.elsewhere"),
        format!("no server would resolve refused.elsewhere: {address} said REFUSED")
    );
}

#[test]
fn with_one_of_two_servers_black_holed_all_arrive_and_it_is_asked_seldom() {
    let Some(server) = start() else { return };
    let hole = UdpSocket::bind("127.0.0.1:0").unwrap();
    hole.set_nonblocking(true).unwrap();
    let servers = vec![hole.local_addr().unwrap(), server.address];
    let mut loop_ = Loop::new(Config { servers, ..Config::default() });
    let names = names();
    let found = loop_.resolve_all(&names);
    check(&names, &found);
    let mut swallowed = 0;
    while hole.recv(&mut [0; 512]).is_ok() {
        swallowed += 1;
    }
    // The first burst, each question twice, and then a question now and then.
    assert!((1..=300).contains(&swallowed), "{swallowed} datagrams went into the hole");
    assert!(loop_.start.elapsed() < Duration::from_secs(60));
}

#[test]
fn with_a_fifth_of_all_datagrams_lost_all_arrive() {
    let Some(server) = start() else { return };
    let relay = LossyRelay::start(server.address, 5);
    let names: Vec<_> = names().into_iter().step_by(10).collect();
    let mut loop_ = Loop::new(Config { servers: vec![relay.address], ..Config::default() });
    let found = loop_.resolve_all(&names);
    for (name, expected) in &names {
        match &found[name] {
            // Where both families are asked for, one may have to do.
            Ok(answer) => assert!(answer.addresses.iter().all(|found| expected.contains(found))),
            Err(error) => assert!(expected.is_empty(), "{error}"),
        }
    }
    let stats = loop_.resolver.stats();
    assert!(relay.lost.load(Ordering::Relaxed) > 100 && stats.again > 100, "{stats:?}");
}

/// The server with all names, and one with many addresses.
fn start() -> Option<Dnsmasq> {
    let mut hosts = String::new();
    for (name, addresses) in names() {
        for address in addresses {
            writeln!(hosts, "{address} {name}").unwrap();
        }
    }
    for last in 1..=150 {
        writeln!(hosts, "10.200.0.{last} many.test").unwrap();
    }
    Dnsmasq::start(&hosts, &["--cname=alias.test,both7.test", "--cname=alias2.test,alias.test"])
}

fn check(names: &[(String, Vec<IpAddr>)], found: &Found) {
    assert_eq!(found.len(), names.len());
    for (name, expected) in names {
        match &found[name] {
            Ok(answer) => assert_eq!(&answer.addresses, expected, "{name}"),
            Err(error) => {
                assert_eq!(error.kind.as_str(), "dns_nxdomain", "{error}");
                assert!(expected.is_empty(), "{error}");
            }
        }
    }
}

/// Between the resolver and the server; loses one of so many datagrams in each direction.
struct LossyRelay {
    address: SocketAddr,
    lost: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl LossyRelay {
    fn start(server: SocketAddr, one_of: u32) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").unwrap();
        back.connect(server).unwrap();
        let address = front.local_addr().unwrap();
        for socket in [&front, &back] {
            socket.set_nonblocking(true).unwrap();
        }
        let (lost, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stopped) = (lost.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(11);
            let mut clients: HashMap<Vec<u8>, SocketAddr> = HashMap::new();
            let mut buffer = [0; 4096];
            let mut drops = || {
                let drops = random.u32(..one_of) == 0;
                counter.fetch_add(u64::from(drops), Ordering::Relaxed);
                drops
            };
            // A question is told from others by its id, name and type.
            let key = |message: &[u8]| {
                let name = message[12..].iter().position(|&byte| byte == 0).unwrap_or(0);
                [&message[..2], &message[12..12 + name + 3]].concat()
            };
            while !stopped.load(Ordering::Relaxed) {
                let mut idle = true;
                while let Ok((length, client)) = front.recv_from(&mut buffer) {
                    idle = false;
                    let message = &buffer[..length];
                    if !drops() {
                        clients.insert(key(message), client);
                        let _ = back.send(message);
                    }
                }
                while let Ok(length) = back.recv(&mut buffer) {
                    idle = false;
                    let message = &buffer[..length];
                    if let Some(client) = clients.get(&key(message))
                        && !drops()
                    {
                        let _ = front.send_to(message, client);
                    }
                }
                if idle {
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
        });
        Self { address, lost, stop, thread: Some(thread) }
    }
}

impl Drop for LossyRelay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

type Found = HashMap<String, Result<Answer, Box<DnsError>>>;

/// A driver in its plainest form.
struct Loop {
    resolver: Resolver,
    start: Clock,
    sockets: HashMap<QueryKey, (Socket, SocketAddr)>,
    sent: HashMap<QueryKey, Instant>,
    /// Datagrams that were answered later than the resolver waits at least.
    late: u64,
    most_open: usize,
    random: fastrand::Rng,
}

impl Loop {
    fn new(config: Config) -> Self {
        Self {
            resolver: Resolver::new(config),
            start: Clock::now(),
            sockets: HashMap::new(),
            sent: HashMap::new(),
            late: 0,
            most_open: 0,
            // A test is no place that strangers reach.
            random: fastrand::Rng::with_seed(3),
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// Resolves all names, a few hundred at a time.
    fn resolve_all(&mut self, names: &[(String, Vec<IpAddr>)]) -> Found {
        let mut found = Found::new();
        let mut waiting: HashMap<LookupKey, String> = HashMap::new();
        let mut left = names.iter().map(|(name, _)| name);
        let mut payload = Vec::new();
        while found.len() < names.len() {
            assert!(self.start.elapsed() < Duration::from_secs(240), "{} found", found.len());
            while waiting.len() < 300
                && let Some(name) = left.next()
            {
                match self.resolver.resolve(name, self.now()) {
                    Lookup::Pending(key) => {
                        waiting.insert(key, name.clone());
                    }
                    Lookup::Ready(ready) => {
                        found.insert(name.clone(), ready);
                    }
                }
            }
            self.turn(&mut payload, &mut waiting, &mut found);
        }
        found
    }

    fn turn(
        &mut self,
        payload: &mut Vec<u8>,
        waiting: &mut HashMap<LookupKey, String>,
        found: &mut Found,
    ) {
        let random = &mut self.random;
        let now = Instant::ZERO + self.start.elapsed();
        while let Some(action) = self.resolver.poll(now, &mut || random.u64(..), payload) {
            match action {
                Action::Send { query, server, again } => {
                    if !again {
                        self.sent.insert(query, now);
                    }
                    let (socket, _) = self.sockets.entry(query).or_insert_with(|| {
                        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                        socket.set_nonblocking(true).unwrap();
                        socket.connect(server).unwrap();
                        (Socket::Udp(socket), server)
                    });
                    if let Socket::Udp(socket) = socket {
                        let _ = socket.send(payload);
                    }
                }
                Action::Connect { query, server } => {
                    let mut stream = TcpStream::connect(server).unwrap();
                    stream.write_all(payload).unwrap();
                    stream.set_nonblocking(true).unwrap();
                    self.sockets.insert(query, (Socket::Tcp(stream), server));
                }
                Action::Close { query } => {
                    self.sockets.remove(&query);
                }
                Action::Resolved { lookup, result, more } => {
                    if !more && let Some(name) = waiting.remove(&lookup) {
                        found.insert(name, result);
                    }
                }
            }
        }
        self.most_open = self.most_open.max(self.sockets.len());
        if !self.receive() {
            std::thread::sleep(Duration::from_micros(200));
        }
        self.resolver.tick(self.now());
    }

    /// Whether anything came.
    fn receive(&mut self) -> bool {
        let now = self.now();
        let mut buffer = [0; 4096];
        let mut any = false;
        for (&query, (socket, server)) in &mut self.sockets {
            let received = match socket {
                Socket::Udp(socket) => socket.recv(&mut buffer),
                Socket::Tcp(stream) => stream.read(&mut buffer),
            };
            match (received, socket) {
                (Ok(length), Socket::Udp(_)) => {
                    let sent = self.sent.get(&query);
                    let waited = sent.map_or(Duration::ZERO, |sent| now.since(*sent));
                    self.late += u64::from(waited >= Duration::from_millis(250));
                    self.resolver.datagram(query, *server, &buffer[..length], now);
                }
                (Ok(0), Socket::Tcp(_)) => {
                    self.resolver.socket_failed(query, SocketFailure::Closed, now);
                }
                (Ok(length), Socket::Tcp(_)) => self.resolver.stream(query, &buffer[..length], now),
                (Err(error), _) if error.kind() == ErrorKind::WouldBlock => continue,
                (Err(error), _) => {
                    let code = error.raw_os_error().unwrap_or(0);
                    self.resolver.socket_failed(query, SocketFailure::Os(code), now);
                }
            }
            any = true;
        }
        any
    }
}
