//! What a TLS connection holds, and what a request allocates: counted by an allocator.
#![cfg(feature = "tls")]
#![allow(missing_docs)]

mod tls_common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use gannet::tls::{Config, Options, Session};
use rustls::server::ServerConnection;
use tls_common::*;

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counters are plain cells of the
// calling thread that allocate nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = LIVE.try_with(|live| live.set(live.get() + layout.size().cast_signed()));
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = LIVE.try_with(|live| live.set(live.get() - layout.size().cast_signed()));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HOST: &str = "server.example";

/// The bytes that stay allocated, and the number of allocations, of what `work` does.
fn counted<R>(work: impl FnOnce() -> R) -> (R, isize, usize) {
    let before = (LIVE.get(), CALLS.get());
    let result = work();
    (result, LIVE.get() - before.0, CALLS.get() - before.1)
}

#[test]
fn an_idle_session_is_small() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    let chain: usize = identity.chain.iter().map(|certificate| certificate.len()).sum();
    let config = Config::new(Options { sessions: 0, ..trusting(root.der()) }).unwrap();
    for (name, versions) in [("1.2", TLS12), ("1.3", TLS13)] {
        let server_config = Arc::new(server(&identity, versions, None));
        let mut held = 0;
        let mut sessions = Vec::with_capacity(16);
        let mut out = Vec::with_capacity(64 * 1024);
        let mut inbox = Vec::with_capacity(64 * 1024);
        for _ in 0..16 {
            let mut server = ServerConnection::new(server_config.clone()).unwrap();
            let (mut session, live, _) = counted(|| Session::new(&config, HOST).unwrap());
            held += live;
            held += counted(|| session.start(&mut out).unwrap()).1;
            for _ in 0..3 {
                to_server(&mut server, &out).unwrap();
                out.clear();
                inbox.extend_from_slice(&from_server(&mut server));
                let (received, live, _) =
                    counted(|| session.receive(&mut inbox, &mut out, |_| true).unwrap());
                held += live;
                inbox.drain(..received.consumed);
            }
            assert!(session.established());
            sessions.push(session);
        }
        let each = held / 16 + size_of::<Session>().cast_signed();
        println!(
            "TLS {name}: {each} bytes an idle session, of which {chain} are the certificate chain"
        );
        assert!(each < 5 * 1024 + chain.cast_signed(), "{each}");
    }
}

/// rustls allocates twice a record that is sent and once a record that is received; nothing is
/// added to that.
#[test]
fn a_request_allocates_what_rustls_does() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    let config = Config::new(trusting(root.der())).unwrap();
    for versions in [TLS12, TLS13] {
        let server_config = Arc::new(server(&identity, versions, None));
        let (client, mut server) = connected(&config, &server_config, HOST);
        let (mut session, mut out) = (client.session, Vec::with_capacity(4096));
        for round in 0..20 {
            let (_, live, calls) = counted(|| session.send(&[b'q'; 200], &mut out).unwrap());
            assert!(live <= 0 && calls <= 2 || round < 2, "{round}: {live} bytes in {calls} calls");
            to_server(&mut server, &out).unwrap();
            out.clear();
            server_writes(&mut server, &[b'a'; 300]);
            let mut inbox = from_server(&mut server);
            let (received, live, calls) =
                counted(|| session.receive(&mut inbox, &mut out, |_| true).unwrap());
            assert_eq!(received.plain, 300);
            assert!(live <= 0 && calls <= 1 || round < 2, "{round}: {live} bytes in {calls} calls");
        }
    }
}
