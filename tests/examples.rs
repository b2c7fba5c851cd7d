//! The examples of `docs/embedding.md`, run against the scripted server: each door leads to the
//! same bytes.
#![cfg(feature = "cli")]
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::duplicate_mod,
    reason = "examples are programs, and share a module"
)]

#[path = "../examples/mio_loop.rs"]
mod mio_loop;
#[path = "../examples/own_net.rs"]
mod own_net;
#[path = "../examples/poll_loop.rs"]
mod poll_loop;
#[path = "../examples/sans_io.rs"]
mod sans_io;
#[path = "../examples/simple.rs"]
mod simple;

use gannet::origin::{Script, pattern, spawn};

const COUNT: u64 = 1_000;

/// What each must bring. (`examples/loops/tests` has the same from nginx, and more loops.)
fn records() -> Vec<String> {
    let record = |tag| {
        let mut record = poll_loop::tally::Record::new(tag);
        record.status = 200;
        record.add(&pattern::body(&format!("/bytes/1000?{tag}"), 1_000));
        record.to_string()
    };
    (0..COUNT).map(record).collect()
}

#[test]
fn the_simple_door() {
    let server = spawn(Script::new()).unwrap();
    let urls = (0..100).map(|n| server.url(&format!("/redirect-to?url=/bytes/{n}")));
    let mut lines = simple::run(urls.chain(["http://127.0.0.1:1/".to_owned()])).unwrap();
    lines.sort();
    assert_eq!(lines.len(), 101);
    assert!(lines[0].starts_with("200 http://127.0.0.1:"), "{}", lines[0]);
    assert!(lines[99].contains("/bytes/"), "{}", lines[99]);
    assert!(lines[100].starts_with("http://127.0.0.1:1/ failed: "), "{}", lines[100]);
}

#[test]
fn a_mirror_in_a_foreign_mio_loop() {
    let server = spawn(Script::new()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mirror = mio_loop::run(server.addr(), COUNT, dir.path()).unwrap();
    assert_eq!((mirror.whole, mirror.failed.len()), (COUNT, 0), "{:?}", mirror.failed);
    assert!(mirror.datagrams > 0, "the loop's other source was served");
    for n in 0..COUNT {
        let body = std::fs::read(dir.path().join(n.to_string())).unwrap();
        assert_eq!(body, pattern::body(&format!("/bytes/1000?{n}"), 1000), "{n}");
    }
}

#[test]
fn in_a_plain_poll_loop() {
    let server = spawn(Script::new()).unwrap();
    let tally = poll_loop::run(server.addr(), COUNT).unwrap();
    assert_eq!(tally.lines(), records());
}

#[test]
fn the_engine_alone_over_blocking_sockets() {
    let server = spawn(Script::new()).unwrap();
    let tally = sans_io::run(server.addr(), COUNT).unwrap();
    assert_eq!(tally.lines(), records());
    assert_eq!(server.stats().accepted, 1, "one connection served them all");
}

#[test]
fn on_a_net_of_ones_own() {
    let server = spawn(Script::new()).unwrap();
    let tally = own_net::run(server.addr(), COUNT).unwrap();
    assert_eq!(tally.lines(), records());
}
