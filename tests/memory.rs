//! What the engine and its driver hold and allocate, counted: nothing a request in the steady
//! state, so many bytes a job, a host and a connection, and never more than the formula says.
#![cfg(all(feature = "mio", feature = "tls", feature = "origin"))]
#![allow(missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use gannet::base::Instant;
use gannet::engine::{
    Advice, Config, Ctl, Engine, Handler, HostKey, JobRef, Load, Origin, Payload, PerHost, Report,
    Request, Resume, Scheme, Upload,
};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig};
use gannet::origin::{Running, Script, presets, spawn};
use gannet::proto::{Body, Head};
use gannet::tls;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// Other threads (the servers) have counters of their own.
fn count(bytes: isize, calls: usize) {
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
    let _ = CALLS.try_with(|cell| cell.set(cell.get() + calls));
}

// SAFETY: every call goes to the system's allocator unchanged; the counters are plain cells of the
// calling thread that allocate nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed(), 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.cast_signed() - layout.size().cast_signed(), 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that stay, the most that were there beyond what was there before, and the calls.
struct Counted {
    stays: isize,
    peak: isize,
    calls: usize,
}

fn counted(work: impl FnOnce()) -> Counted {
    let (live, calls) = (LIVE.get(), CALLS.get());
    PEAK.set(live);
    work();
    Counted { stays: LIVE.get() - live, peak: PEAK.get() - live, calls: CALLS.get() - calls }
}

const LIMIT: Duration = Duration::from_secs(30);

/// Counts, and keeps nothing.
#[derive(Default)]
struct Tally {
    done: u64,
    whole: u64,
    bytes: u64,
}

impl Handler for Tally {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::ByETag)
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
    }
    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        self.done += 1;
        self.whole += u64::from(report.result.is_ok());
    }
}

struct Client {
    driver: Driver<Mio>,
    tally: Tally,
}

impl Client {
    fn new(config: Config, driver: DriverConfig) -> Self {
        let engine = Engine::try_new(config).unwrap();
        let driver = Driver::new(engine, Mio::new(32).unwrap(), driver);
        Self { driver, tally: Tally::default() }
    }

    fn tiny() -> Self {
        Self::new(Config::tiny(), DriverConfig::tiny())
    }

    /// A name that is at this address for the test's time.
    fn host(&mut self, scheme: Scheme, name: &str, address: SocketAddr) -> HostKey {
        let host = self.driver.host(&Origin { scheme, host: name, port: address.port() });
        self.driver.place(host, &[address], Instant::NEVER);
        host
    }

    /// Submits as many as there is room for, until so many are done.
    fn fetch(&mut self, hosts: &[HostKey], target: &str, requests: u64) {
        let start = Clock::now();
        let (mut submitted, until) = (0, self.tally.done + requests);
        let mut hosts = hosts.iter().cycle();
        while self.tally.done < until {
            while submitted < requests && self.driver.engine().wants() > 0 {
                let host = hosts.next().unwrap();
                self.driver.submit(&Request::get(*host, target).tag(submitted)).unwrap();
                submitted += 1;
            }
            self.turn(&start);
        }
    }

    fn turn(&mut self, start: &Clock) {
        assert!(start.elapsed() < LIMIT, "{} done", self.tally.done);
        self.driver.turn(Some(Duration::from_millis(50)), &mut self.tally).unwrap();
    }
}

#[test]
fn a_request_on_a_kept_connection_allocates_nothing() {
    let server = spawn(Script::new()).unwrap();
    let auto = PerHost::Auto { ceiling: Some(8), start: 4 };
    // The search for a limit takes a note now and then, where it has not been before.
    for (name, per_host, target, notes) in [
        ("fixed, with a length", PerHost::Fixed(4), "/bytes/1000", 0),
        ("fixed, in chunks", PerHost::Fixed(4), "/chunked/1000/100", 0),
        ("found", auto, "/bytes/1000", 8),
    ] {
        let config = Config { per_host, max_jobs: 16, ..Config::default() };
        let mut client = Client::new(config, DriverConfig::default());
        let host = client.host(Scheme::Http, "server.test", server.addr());
        client.fetch(&[host], target, 2_000);
        let counted = counted(|| client.fetch(&[host], target, 1_000));
        assert_eq!(client.tally.whole, 3_000, "{name}");
        assert_eq!(client.tally.bytes, 3_000_000, "{name}");
        let calls = counted.calls;
        assert!(calls <= notes, "{name}: {calls} allocations, {} bytes stay", counted.stays);
    }
}

#[test]
fn an_engine_without_work_holds_next_to_nothing() {
    let counted = counted(|| {
        std::mem::forget(Engine::new(Config::default()));
    });
    assert_eq!(counted.stays, 0);
    let idle = self::counted(|| std::mem::forget(Client::tiny()));
    println!("an idle engine with its driver: {} bytes", idle.stays);
    assert!(idle.stays <= 4 * 1024, "{}", idle.stays);
}

#[test]
fn jobs_and_hosts_take_what_the_formula_says() {
    let config = Config { max_jobs: 1_024, ..Config::default() };
    let mut engine = Engine::new(config);
    let host = engine.host(&Origin { scheme: Scheme::Http, host: "a.example", port: 80 });
    let fields: [(&str, &[u8]); 2] = [("User-Agent", b"gannet/0.1"), ("Accept", b"*/*")];
    let jobs = counted(|| {
        for n in 0..1_024 {
            let request = Request::get(host, "/a/path/of/some/length?q=1").fields(&fields).tag(n);
            engine.submit(&request, Instant::ZERO).unwrap();
        }
    });
    let names: Vec<String> = (0..1_024).map(|n| format!("host-{n}.example")).collect();
    let hosts = counted(|| {
        for name in &names {
            engine.host(&Origin { scheme: Scheme::Http, host: name, port: 80 });
        }
    });
    println!(
        "a queued job: {} bytes, a host that was named: {}",
        jobs.stays / 1_024,
        hosts.stays / 1_024
    );
    assert!(jobs.stays / 1_024 <= 640, "{}", jobs.stays / 1_024);
    assert!(hosts.stays / 1_024 <= 2_048, "{}", hosts.stays / 1_024);
}

/// What each connection adds, idle and at work, beyond a driver that is warm.
fn connections(scheme: Scheme, server: &Running, tls: Option<tls::Config>) -> (isize, isize) {
    const CONNECTIONS: u64 = 32;
    let config = Config { per_host: PerHost::Fixed(32), max_jobs: 64, ..Config::default() };
    let mut client = Client::new(config, DriverConfig::default());
    if let Some(tls) = tls {
        client.driver = client.driver.with_tls(tls);
    }
    let host = client.host(scheme, "server.test", server.addr());
    client.fetch(&[host], "/bytes/10", 1);
    let start = Clock::now();
    let idle = counted(|| client.fetch(&[host], "/delay/300/10", CONNECTIONS));
    let opened = client.driver.engine().connections().cast_signed() - 1;
    assert!(opened >= 30, "{opened}");
    let active = counted(|| {
        for n in 0..CONNECTIONS {
            client.driver.submit(&Request::get(host, "/delay/300/10").tag(n)).unwrap();
        }
        while client.driver.engine().running() < CONNECTIONS as u32 {
            client.turn(&start);
        }
    });
    (idle.stays / opened, (idle.stays + active.stays) / opened)
}

#[test]
fn a_connection_takes_little_and_a_tls_one_what_rustls_takes() {
    let server = spawn(Script::new()).unwrap();
    let (idle, active) = connections(Scheme::Http, &server, None);
    println!("a plain connection: {idle} bytes idle, {active} at work");
    assert!(idle <= 2 * 1024 && active <= 4 * 1024, "{idle} {active}");
    let (server, options) = secured(&["server.test"]);
    let config = tls::Config::new(options).unwrap();
    let (idle, active) = connections(Scheme::Https, &server, Some(config));
    println!("a TLS connection: {idle} bytes idle, {active} at work");
    assert!(idle <= 10 * 1024 && active <= 12 * 1024, "{idle} {active}");
}

/// A server with a certificate for these names, and a client's options that trust it alone.
fn secured(names: &[&str]) -> (Running, tls::Options) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = made.cert.pem();
    let server = spawn(presets::tls(&certificate, &made.signing_key.serialize_pem())).unwrap();
    let roots = tls::Roots::Pem(vec![certificate.into_bytes()]);
    (server, tls::Options { roots, ..tls::Options::tiny() })
}

const NAMES: [&str; 8] = [
    "one.test",
    "two.test",
    "three.test",
    "four.test",
    "five.test",
    "six.test",
    "seven.test",
    "eight.test",
];

#[test]
fn tiny_fetches_from_eight_hosts_in_64_kib() {
    let server = spawn(Script::new()).unwrap();
    let peak = counted(|| {
        let mut client = Client::tiny();
        let hosts = NAMES.map(|name| client.host(Scheme::Http, name, server.addr()));
        client.fetch(&hosts, "/bytes/10000", 400);
        assert_eq!(client.tally.whole, 400);
        assert_eq!(client.tally.bytes, 4_000_000);
    })
    .peak;
    println!("tiny, plain, eight hosts: {peak} bytes at most");
    assert!(peak <= 64 * 1024, "{peak}");
}

#[test]
fn tiny_fetches_over_tls_from_eight_hosts_in_512_kib() {
    let (server, options) = secured(&NAMES);
    let config = tls::Config::new(options).unwrap();
    let peak = counted(|| {
        let mut client = Client::tiny();
        client.driver = client.driver.with_tls(config);
        let hosts = NAMES.map(|name| client.host(Scheme::Https, name, server.addr()));
        client.fetch(&hosts, "/bytes/50000", 160);
        assert_eq!(client.tally.whole, 160);
        assert_eq!(client.tally.bytes, 8_000_000);
    })
    .peak;
    println!("tiny, TLS, eight hosts: {peak} bytes at most");
    assert!(peak <= 512 * 1024, "{peak}");
}

/// A server of bytes: each connection's request is read, then it gets `piece(n)` for n = 0, 1, …
/// until there is none, or the client is gone.
fn raw(piece: fn(usize) -> Option<Vec<u8>>, pause: Duration, asks: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let mut request = [0; 4096];
                if asks && stream.read(&mut request).unwrap_or(0) == 0 {
                    return;
                }
                for n in 0.. {
                    let Some(bytes) = piece(n) else { break };
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                    std::thread::sleep(pause);
                }
                // Whoever is left hanging is let go after a while.
                std::thread::sleep(Duration::from_secs(2));
            });
        }
    });
    address
}

#[test]
fn hostile_servers_stay_within_the_formula() {
    let quick = Duration::ZERO;
    let drip = Duration::from_millis(1);
    type Piece = fn(usize) -> Option<Vec<u8>>;
    let table: [(&str, Piece, Duration); 7] = [
        (
            "a head that trickles and never ends",
            |n| {
                (n < 200).then(|| {
                    if n == 0 { b"HTTP/1.1 200 OK\r\nx: ".to_vec() } else { vec![b'a'; 101] }
                })
            },
            drip,
        ),
        (
            "many short lines",
            |_| {
                Some(
                    b"HTTP/1.1 200 OK\r\n"
                        .iter()
                        .copied()
                        .chain(b"a: b\r\n".repeat(5_000))
                        .collect(),
                )
            },
            drip,
        ),
        (
            "a head full of folded lines, in two pieces",
            |n| match n {
                0 => Some(b"HTTP/1.1 200 OK\r\nx: a\r\n".to_vec()),
                1 => {
                    Some([b" b\r\n".repeat(1_400), b"Content-Length: 9\r\n\r\n".to_vec()].concat())
                }
                _ => None,
            },
            drip,
        ),
        (
            "interim answers without end",
            |_| Some(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(20)),
            quick,
        ),
        (
            "chunk extensions without end",
            |n| {
                Some(if n == 0 {
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()
                } else {
                    b"1;a=bcdefghijklmnopqrstuvwxyz\r\nx\r\n".to_vec()
                })
            },
            quick,
        ),
        (
            "trailers without end",
            |n| {
                Some(if n == 0 {
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".to_vec()
                } else {
                    b"a: bcdefghijklmnopqrstuvwxyz\r\n".repeat(3)
                })
            },
            drip,
        ),
        (
            "a long tag, and a cut",
            |n| {
                (n == 0).then(|| {
                    [
                        &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \""[..],
                        &[b'e'; 4_000],
                        b"\"\r\n\r\nab",
                    ]
                    .concat()
                })
            },
            quick,
        ),
    ];
    let config = || Config {
        head_timeout: Duration::from_millis(300),
        stall_timeout: Some(Duration::from_millis(300)),
        backoff_base: Duration::from_millis(1),
        ..Config::tiny()
    };
    let most = DriverConfig::tiny().most_bytes(&config(), &Load::default(), None);
    for (name, piece, pause) in table {
        let address = raw(piece, pause, true);
        let peak = counted(|| {
            let mut client = Client::new(config(), DriverConfig::tiny());
            let hosts = NAMES.map(|name| client.host(Scheme::Http, name, address));
            client.fetch(&hosts, "/", 16);
            assert_eq!(client.tally.whole, 0, "{name}");
        })
        .peak
        .cast_unsigned();
        println!("{name}: {peak} of {most} bytes");
        assert!(peak <= most, "{name}: {peak} of {most}");
    }
}

/// What eight requests over TLS take at most, each to a host of its own at this address, and how
/// many of them arrive whole.
fn eight_over_tls(engine: Config, config: tls::Config, address: SocketAddr) -> (usize, u64) {
    let mut whole = 0;
    let counted = counted(|| {
        let mut client = Client::new(engine, DriverConfig::tiny());
        client.driver = client.driver.with_tls(config);
        let hosts = NAMES.map(|name| client.host(Scheme::Https, name, address));
        client.fetch(&hosts, "/", 8);
        whole = client.tally.whole;
    });
    (counted.peak.cast_unsigned(), whole)
}

#[test]
fn a_handshake_that_never_ends_stays_within_the_formula() {
    // A ServerHello of 60,000 bytes that is told in records of 1,000.
    let piece = |n| {
        let mut record = vec![22, 3, 3, 0x03, 0xe8];
        record.resize(1_005, 0);
        if n == 0 {
            record[5..9].copy_from_slice(&[2, 0, 0xea, 0x60]);
        }
        (n < 59).then_some(record)
    };
    let address = raw(piece, Duration::from_millis(1), true);
    let (_server, options) = secured(&["server.test"]);
    let handshake = options.max_handshake_bytes;
    let config = tls::Config::new(options).unwrap();
    let engine = Config { tls_timeout: Duration::from_millis(500), attempts: 1, ..Config::tiny() };
    let most = DriverConfig::tiny().most_bytes(&engine, &Load::default(), Some(handshake));
    let (peak, whole) = eight_over_tls(engine, config, address);
    assert_eq!(whole, 0);
    println!("handshakes without end: {peak} of {most} bytes");
    assert!(peak <= most && most <= 512 * 1024, "{peak} of {most}");
}

/// A TLS server of its own kind: it shakes hands, reads what is asked, and then does as told.
fn tls_server(
    certificate: (&str, &str),
    tickets: usize,
    then: fn(&mut rustls::ServerConnection, &mut TcpStream) -> std::io::Result<()>,
) -> SocketAddr {
    let chain = CertificateDer::pem_slice_iter(certificate.0.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(certificate.1.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    config.send_tls13_tickets = tickets;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            tls.set_buffer_limit(None);
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let asked = rustls::Stream::new(&mut tls, &mut stream).read(&mut [0; 4096]);
                if asked.is_ok_and(|count| count > 0) && then(&mut tls, &mut stream).is_ok() {
                    // Whoever is left hanging is let go after a while.
                    std::thread::sleep(Duration::from_secs(2));
                }
            });
        }
    });
    address
}

/// What TLS makes of these bytes of content, all that is queued before them included.
fn records(tls: &mut rustls::ServerConnection, content: &[u8]) -> Vec<u8> {
    tls.writer().write_all(content).unwrap();
    let mut out = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut out).unwrap();
    }
    out
}

const TEN_BYTES: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";

#[test]
fn hostile_tls_servers_stay_within_the_formula() {
    type Then = fn(&mut rustls::ServerConnection, &mut TcpStream) -> std::io::Result<()>;
    let table: [(&str, usize, u64, Then); 7] = [
        ("a byte a record, a byte a write", 0, 8, |tls, stream| {
            for byte in TEN_BYTES {
                for byte in records(tls, &[*byte]) {
                    stream.write_all(&[byte])?;
                }
            }
            Ok(())
        }),
        ("a full record that lacks its last byte", 0, 0, |tls, stream| {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 16300\r\n\r\n";
            let whole = records(tls, &[&head[..], &[b'x'; 16_300]].concat());
            stream.write_all(&whole[..whole.len() - 1])
        }),
        ("tickets without end", 3_000, 0, |tls, stream| stream.write_all(&records(tls, b""))),
        ("empty records without end", 0, 0, |_, stream| {
            // Of the outer type, so that they need no key; nothing may come of them.
            for _ in 0..50_000 {
                stream.write_all(&[23, 3, 3, 0, 0])?;
            }
            Ok(())
        }),
        ("key updates without end", 0, 0, |tls, stream| {
            for _ in 0..20_000 {
                tls.refresh_traffic_keys().unwrap();
                stream.write_all(&records(tls, b""))?;
            }
            Ok(())
        }),
        ("a key update after each byte, and no answer is read", 0, 0, |tls, stream| {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
            stream.write_all(&records(tls, head))?;
            for _ in 0..20_000 {
                tls.refresh_traffic_keys().unwrap();
                stream.write_all(&records(tls, b"x"))?;
            }
            Ok(())
        }),
        ("interim answers, extensions and trailers, a record each", 0, 0, |tls, stream| {
            for _ in 0..3 {
                let early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
                stream.write_all(&records(tls, early))?;
            }
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(&records(tls, head))?;
            for _ in 0..200 {
                stream.write_all(&records(tls, b"1;extension=\"of no use\"\r\nx\r\n"))?;
            }
            stream.write_all(&records(tls, b"0\r\n"))?;
            for _ in 0..20_000 {
                stream.write_all(&records(tls, b"trailer: of no use\r\n"))?;
            }
            Ok(())
        }),
    ];
    let made = rcgen::generate_simple_self_signed(NAMES.map(String::from)).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (name, tickets, whole, then) in table {
        let address = tls_server((&chain, &key), tickets, then);
        let roots = tls::Roots::Pem(vec![chain.clone().into_bytes()]);
        let options = tls::Options { roots, ..tls::Options::tiny() };
        let handshake = options.max_handshake_bytes;
        let config = tls::Config::new(options).unwrap();
        let engine = Config {
            stall_timeout: Some(Duration::from_millis(300)),
            first_byte_timeout: Some(Duration::from_millis(900)),
            attempts: 1,
            ..Config::tiny()
        };
        let most = DriverConfig::tiny().most_bytes(&engine, &Load::default(), Some(handshake));
        let (peak, arrived) = eight_over_tls(engine, config, address);
        assert_eq!(arrived, whole, "{name}");
        println!("{name}: {peak} of {most} bytes");
        assert!(peak <= most && most <= 512 * 1024, "{name}: {peak} of {most}");
    }
}

/// Sends what it is asked for, without end.
#[derive(Default)]
struct Endless {
    given: u64,
    done: bool,
}

impl Handler for Endless {
    fn upload(
        &mut self,
        _: &mut Ctl<'_>,
        _: JobRef,
        _: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Upload {
        out.resize(out.len() + room, b'u');
        self.given += room as u64;
        Upload::More
    }
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::Never)
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        assert!(report.result.is_err());
        self.done = true;
    }
}

#[test]
fn an_upload_that_is_read_slowly_waits_at_its_source() {
    let made = rcgen::generate_simple_self_signed(NAMES.map(String::from)).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let plain = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            while stream.read(&mut [0; 1000]).is_ok_and(|count| count > 0) {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        address
    };
    let secure = tls_server((&chain, &key), 0, |tls, stream| {
        let mut stream = rustls::Stream::new(tls, stream);
        while stream.read(&mut [0; 1000])? > 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    });
    for (scheme, address) in [(Scheme::Http, plain), (Scheme::Https, secure)] {
        let roots = tls::Roots::Pem(vec![chain.clone().into_bytes()]);
        let options = tls::Options { roots, ..tls::Options::tiny() };
        let handshake = Some(options.max_handshake_bytes).filter(|_| scheme == Scheme::Https);
        let config = tls::Config::new(options).unwrap();
        let engine = Config { attempts: 1, ..Config::tiny() };
        let most = DriverConfig::tiny().most_bytes(&engine, &Load::default(), handshake);
        let mut endless = Endless::default();
        let peak = counted(|| {
            let engine = Engine::try_new(engine).unwrap();
            let driver = Driver::new(engine, Mio::new(32).unwrap(), DriverConfig::tiny());
            let mut driver = driver.with_tls(config);
            let host = driver.host(&Origin { scheme, host: "one.test", port: address.port() });
            driver.place(host, &[address], Instant::NEVER);
            let body = Payload::Stream { length: None, replayable: false };
            driver.submit(&Request { method: "PUT", body, ..Request::get(host, "/") }).unwrap();
            let start = Clock::now();
            while !endless.done {
                if start.elapsed() > Duration::from_secs(1) {
                    driver.ctl().cancel_all();
                }
                driver.turn(Some(Duration::from_millis(20)), &mut endless).unwrap();
            }
        })
        .peak
        .cast_unsigned();
        println!("{scheme:?}, slow reader: {peak} of {most} bytes, {} taken", endless.given);
        assert!(endless.given > 100_000 && peak <= most, "{peak} of {most}");
    }
}
