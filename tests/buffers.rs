//! Out of buffers: the system refuses to connect and to send for want of memory. Work waits or is repeated, nothing is lost.
#![cfg(all(feature = "mio", feature = "origin", unix))]
#![allow(missing_docs)]

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock};

use common::Recorder;
use gannet::base::Instant;
use gannet::engine::{Cause, Config, Engine, Fault, Origin, PerHost, Request, Scheme};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig, Net, Read, Ready};
use gannet::origin::{Script, spawn};

const COUNT: usize = 200;
/// ENOBUFS, as Linux counts.
const NONE_LEFT: Fault = Fault { cause: Cause::Exhausted, os: 105 };

/// Sockets of a system that has no buffers for a while, and then now and then.
struct Scarce {
    sockets: Mio,
    until: Clock,
    refused: u32,
    writes: u32,
    /// Each so manieth write is refused.
    every: u32,
}

impl Net for Scarce {
    fn now(&mut self) -> Instant {
        self.sockets.now()
    }
    fn open(&mut self, token: usize, address: SocketAddr) -> Result<(), Fault> {
        if Clock::now() < self.until {
            self.refused += 1;
            return Err(NONE_LEFT);
        }
        self.sockets.open(token, address)
    }
    fn established(&mut self, token: usize) -> Result<bool, Fault> {
        self.sockets.established(token)
    }
    fn read(&mut self, token: usize, buffer: &mut [u8]) -> Result<Read, Fault> {
        self.sockets.read(token, buffer)
    }
    fn write(&mut self, token: usize, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        self.writes += 1;
        if self.writes.is_multiple_of(self.every) {
            self.refused += 1;
            return Err(NONE_LEFT);
        }
        self.sockets.write(token, bytes)
    }
    fn finish(&mut self, token: usize) {
        self.sockets.finish(token);
    }
    fn close(&mut self, token: usize, reset: bool) {
        self.sockets.close(token, reset);
    }
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<bool, Fault> {
        self.sockets.wait(timeout, ready)
    }
}

/// Fetches from a server over such sockets: what was seen, and how often the system refused.
fn fetch(without: Duration, every: u32) -> (Recorder, u32) {
    let server = spawn(Script::new()).unwrap();
    let sockets = Mio::new(1024).unwrap();
    let net = Scarce { sockets, until: Clock::now() + without, refused: 0, writes: 0, every };
    let config = Config { per_host: PerHost::Fixed(8), ..Config::default() };
    let mut driver = Driver::new(Engine::new(config), net, DriverConfig::default());
    let address = server.addr();
    let name = address.ip().to_string();
    let host = driver.host(&Origin { scheme: Scheme::Http, host: &name, port: address.port() });
    for tag in 0..COUNT {
        driver.submit(&Request::get(host, "/bytes/100").tag(tag as u64)).unwrap();
    }
    let (mut recorder, start) = (Recorder::default(), Clock::now());
    while recorder.done < COUNT {
        assert!(start.elapsed() < Duration::from_secs(30), "stuck at {}", recorder.done);
        let now = driver.net_mut().now();
        let timeout = driver.next_deadline().map_or(Duration::from_secs(1), |at| at - now);
        driver.turn(Some(timeout), &mut recorder).unwrap();
    }
    (recorder, driver.net_mut().refused)
}

#[test]
fn work_waits_for_buffers() {
    let (recorder, refused) = fetch(Duration::from_millis(150), u32::MAX);
    // It is asked again after a pause, not without end.
    assert!((1..200).contains(&refused), "{refused}");
    for seen in &recorder.seen {
        assert!(seen.is_ok(), "{seen:?}");
        assert_eq!((seen.body.len(), seen.attempts), (100, 1), "{seen:?}");
    }
}

#[test]
fn what_could_not_be_sent_is_sent_again() {
    let (recorder, refused) = fetch(Duration::ZERO, 9);
    assert!(refused > 10, "{refused}");
    for seen in &recorder.seen {
        assert!(seen.is_ok(), "{seen:?}");
        assert_eq!(seen.body.len(), 100, "{seen:?}");
    }
}
