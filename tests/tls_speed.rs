//! What TLS costs beside rustls's buffered interface, in memory. Figures, no judgements: run by
//! hand with `cargo test --release --test tls_speed -- --ignored --nocapture`.
#![cfg(feature = "tls")]
#![allow(missing_docs)]

mod tls_common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gannet::tls::{Config, Options, Roots, Session};
use rustls::client::ClientConnection;
use rustls::server::{ServerConfig, ServerConnection};
use tls_common::*;

const HOST: &str = "server.example";
const ROUNDS: usize = 21;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed<R>(spent: &mut Duration, work: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = work();
    *spent += start.elapsed();
    result
}

/// The time that our side takes for one handshake.
fn ours(config: &Config, server: &Arc<ServerConfig>, resumed: bool) -> Duration {
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut spent = Duration::ZERO;
    let (mut out, mut inbox) = (Vec::with_capacity(8192), Vec::new());
    let mut session = timed(&mut spent, || {
        let mut session = Session::new(config, HOST).unwrap();
        session.start(&mut out).unwrap();
        session
    });
    loop {
        to_server(&mut server, &out).unwrap();
        out.clear();
        inbox.extend_from_slice(&from_server(&mut server));
        if inbox.is_empty() {
            break;
        }
        let done = timed(&mut spent, || session.receive(&mut inbox, &mut out, |_| true).unwrap());
        inbox.drain(..done.consumed);
    }
    assert_eq!(session.info().unwrap().resumed, resumed);
    spent
}

/// The same by rustls's buffered interface.
fn buffered(config: &Config, server: &Arc<ServerConfig>, resumed: bool) -> Duration {
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut spent = Duration::ZERO;
    let mut client = timed(&mut spent, || {
        ClientConnection::new(config.rustls().clone(), HOST.try_into().unwrap()).unwrap()
    });
    loop {
        let mut out = Vec::new();
        timed(&mut spent, || {
            while client.wants_write() {
                client.write_tls(&mut out).unwrap();
            }
        });
        to_server(&mut server, &out).unwrap();
        let inbox = from_server(&mut server);
        if inbox.is_empty() {
            break;
        }
        timed(&mut spent, || {
            let mut rest = &inbox[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
            }
        });
    }
    assert_eq!(client.handshake_kind() == Some(rustls::HandshakeKind::Resumed), resumed);
    spent
}

#[test]
#[ignore = "figures"]
fn handshakes() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    for (version, versions) in [("1.2", TLS12), ("1.3", TLS13)] {
        let server_config = Arc::new(server(&identity, versions, None));
        for (kind, sessions) in [("full", 0), ("resumed", 64)] {
            let resumed = sessions > 0;
            let config = Config::new(Options { sessions, ..trusting(root.der()) }).unwrap();
            if resumed {
                ours(&config, &server_config, false);
            }
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for _ in 0..400 {
                a.push(ours(&config, &server_config, resumed));
                b.push(buffered(&config, &server_config, resumed));
            }
            let (a, b) = (median(a), median(b));
            println!(
                "TLS {version} {kind} handshake, client: {a:?}, buffered {b:?} ({:.3})",
                a.as_secs_f64() / b.as_secs_f64()
            );
        }
    }
}

#[test]
#[ignore = "figures"]
fn bulk() {
    const SIZE: usize = 64 * 1024 * 1024;
    const READ: usize = 64 * 1024;
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    let config = Config::new(trusting(root.der())).unwrap();
    let server_config = Arc::new(server(&identity, TLS13, None));
    let rate = |time: Duration| SIZE as f64 / 1e6 / time.as_secs_f64();
    let (mut down, mut down_b, mut up, mut up_b) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let body = vec![b'x'; 1024 * 1024];
    for _ in 0..ROUNDS {
        // Down, ours: one shared buffer, a partial record carried to its front.
        let (mut client, mut server) = connected(&config, &server_config, HOST);
        server.set_buffer_limit(None);
        let (mut spent, mut total) = (Duration::ZERO, 0);
        let mut buffer = vec![0_u8; READ + 17_000];
        let mut kept = 0;
        while total < SIZE {
            server.writer().write_all(&body).unwrap();
            let wire = from_server(&mut server);
            timed(&mut spent, || {
                let mut wire = &wire[..];
                while !wire.is_empty() {
                    let length = wire.len().min(READ);
                    buffer[kept..kept + length].copy_from_slice(&wire[..length]); // the read call
                    wire = &wire[length..];
                    let full = kept + length;
                    let done = client
                        .session
                        .receive(&mut buffer[..full], &mut client.out, |plain| {
                            total += plain.len();
                            true
                        })
                        .unwrap();
                    buffer.copy_within(done.consumed..full, 0);
                    kept = full - done.consumed;
                }
            });
        }
        down.push(spent);
        // Up, ours.
        let mut spent = Duration::ZERO;
        let mut out = Vec::with_capacity(70_000);
        for _ in 0..SIZE / READ {
            timed(&mut spent, || client.session.send(&body[..READ], &mut out).unwrap());
            out.clear();
        }
        up.push(spent);
        // The same, buffered.
        let mut server = ServerConnection::new(server_config.clone()).unwrap();
        let mut client =
            ClientConnection::new(config.rustls().clone(), HOST.try_into().unwrap()).unwrap();
        for _ in 0..4 {
            let mut out = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut out).unwrap();
            }
            to_server(&mut server, &out).unwrap();
            let wire = from_server(&mut server);
            let mut rest = &wire[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        server.set_buffer_limit(None);
        let (mut spent, mut total) = (Duration::ZERO, 0);
        while total < SIZE {
            server.writer().write_all(&body).unwrap();
            let wire = from_server(&mut server);
            timed(&mut spent, || {
                let mut rest = &wire[..];
                while !rest.is_empty() {
                    client.read_tls(&mut rest).unwrap();
                    client.process_new_packets().unwrap();
                    while let Ok(length @ 1..) = client.reader().read(&mut buffer[..READ]) {
                        total += length;
                    }
                }
            });
        }
        down_b.push(spent);
        client.set_buffer_limit(None);
        let mut spent = Duration::ZERO;
        for _ in 0..SIZE / READ {
            timed(&mut spent, || {
                client.writer().write_all(&body[..READ]).unwrap();
                while client.wants_write() {
                    client.write_tls(&mut out).unwrap();
                }
            });
            out.clear();
        }
        up_b.push(spent);
    }
    let (down, down_b, up, up_b) = (median(down), median(down_b), median(up), median(up_b));
    println!(
        "TLS 1.3 AES-128-GCM: decrypts {:.0} MB/s (buffered {:.0}), encrypts {:.0} MB/s (buffered {:.0})",
        rate(down),
        rate(down_b),
        rate(up),
        rate(up_b)
    );
}

#[test]
#[ignore = "figures"]
fn requests() {
    const COUNT: u32 = 20_000;
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    let config = Config::new(trusting(root.der())).unwrap();
    let server_config = Arc::new(server(&identity, TLS13, None));
    let (mut client, mut server) = connected(&config, &server_config, HOST);
    let (mut sending, mut receiving) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..COUNT {
        client.out.clear();
        timed(&mut sending, || client.session.send(&[b'q'; 120], &mut client.out).unwrap());
        to_server(&mut server, &client.out).unwrap();
        server_reads(&mut server);
        server_writes(&mut server, &[b'a'; 850]);
        let mut wire = from_server(&mut server);
        timed(&mut receiving, || {
            client.session.receive(&mut wire, &mut client.out, |_| true).unwrap()
        });
    }
    println!(
        "a request of 120 bytes: {:?}, an answer of 850: {:?}",
        sending / COUNT,
        receiving / COUNT
    );
}

#[test]
#[ignore = "figures"]
fn start_up() {
    let mut times = Vec::new();
    for _ in 0..101 {
        let mut spent = Duration::ZERO;
        timed(&mut spent, || Config::new(Options::default()).unwrap());
        times.push(spent);
    }
    println!(
        "a configuration with Mozilla's authorities: first {:?}, median {:?}",
        times[0],
        median(times.clone())
    );
    if let Ok(bundle) = std::fs::read("/etc/ssl/certs/ca-certificates.crt") {
        let mut spent = Duration::ZERO;
        let options = Options { roots: Roots::Pem(vec![bundle]), ..Options::default() };
        let config = timed(&mut spent, || Config::new(options).unwrap());
        println!("with Debian's bundle as PEM: {spent:?}, {} passed over", config.skipped_roots());
    }
}
