//! What the tests of engine and driver share: a handler that keeps everything, and a small client.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::time::{Duration, Instant as Clock};

use gannet::engine::{
    Advice, Config, Ctl, Engine, Failure, Handler, JobRef, Kind, Origin, Report, Request, Resolved,
    Resume, Scheme, Try,
};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, Head};

/// What became of one request.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub status: Option<u16>,
    pub body: Vec<u8>,
    pub restarts: u32,
    pub resumed: Vec<u64>,
    pub result: Option<Result<u16, Failure>>,
    pub attempts: u32,
    pub tries: Vec<Try>,
    pub reused: bool,
    pub conn: u64,
    pub done: u32,
}

impl Seen {
    pub fn kind(&self) -> Option<Kind> {
        self.result.as_ref()?.as_ref().err().map(|failure| failure.kind)
    }

    pub fn is_ok(&self) -> bool {
        matches!(self.result, Some(Ok(_)))
    }
}

/// Keeps everything, by tag.
#[derive(Debug, Default)]
pub struct Recorder {
    pub seen: Vec<Seen>,
    pub done: usize,
}

impl Recorder {
    fn of(&mut self, job: JobRef) -> &mut Seen {
        let index = usize::try_from(job.tag).unwrap();
        if self.seen.len() <= index {
            self.seen.resize_with(index + 1, Seen::default);
        }
        &mut self.seen[index]
    }
}

impl Handler for Recorder {
    fn head(&mut self, _: &mut Ctl<'_>, job: JobRef, head: &Head<'_>, _: Body) -> Advice {
        let seen = self.of(job);
        assert_eq!(seen.done, 0, "a head after the end");
        seen.status = Some(head.status);
        Advice::Deliver(Resume::ByETag)
    }

    fn body(&mut self, _: &mut Ctl<'_>, job: JobRef, bytes: &[u8]) {
        let seen = self.of(job);
        assert_eq!(seen.done, 0, "content after the end");
        seen.body.extend_from_slice(bytes);
    }

    fn restart(&mut self, _: &mut Ctl<'_>, job: JobRef, _: Kind) {
        let seen = self.of(job);
        seen.body.clear();
        seen.restarts += 1;
    }

    fn resumed(&mut self, _: &mut Ctl<'_>, job: JobRef, at: u64) {
        let seen = self.of(job);
        assert_eq!(seen.body.len() as u64, at, "continued where it was cut");
        seen.resumed.push(at);
    }

    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        self.done += 1;
        let seen = self.of(job);
        seen.done += 1;
        assert_eq!(seen.done, 1, "the end comes once");
        seen.result = Some(report.result.map_err(Clone::clone));
        seen.attempts = report.attempts;
        seen.tries = report.tries.to_vec();
        seen.reused = report.conn.is_some_and(|conn| conn.reused);
        seen.conn = report.conn.map_or(0, |conn| conn.id);
    }
}

/// A driver on real sockets with a recorder.
pub struct Client {
    pub driver: Driver<Mio>,
    pub recorder: Recorder,
    pub submitted: u64,
}

impl Client {
    pub fn new(config: Config) -> Self {
        let net = Mio::new(1024).unwrap();
        let driver = Driver::new(Engine::new(config), net, DriverConfig::default());
        Self { driver, recorder: Recorder::default(), submitted: 0 }
    }

    /// Submits a request for `http://address/target`; returns its tag.
    pub fn submit(&mut self, address: std::net::SocketAddr, method: &str, target: &str) -> u64 {
        let host = address.ip().to_string();
        let origin = Origin { scheme: Scheme::Http, host: &host, port: address.port() };
        let host = self.driver.host(&origin);
        let tag = self.submitted;
        self.submitted += 1;
        let request = Request { method, ..Request::get(host, target).tag(tag) };
        self.driver.submit(&request).unwrap();
        tag
    }

    /// Submits a GET for `http://name:port/target`.
    pub fn submit_to(&mut self, name: &str, address: std::net::SocketAddr, target: &str) {
        let origin = Origin { scheme: Scheme::Http, host: name, port: address.port() };
        let host = self.driver.host(&origin);
        let request = Request::get(host, target).tag(self.submitted);
        self.submitted += 1;
        self.driver.submit(&request).unwrap();
    }

    /// Turns until everything is done, and says of every name that it is at `address`.
    pub fn finish_names(&mut self, address: std::net::IpAddr, limit: Duration) {
        let start = Clock::now();
        let found = Resolved { addresses: &[address], lifetime: limit, stale: false };
        while (self.recorder.done as u64) < self.submitted {
            assert!(start.elapsed() < limit, "{} of {} done", self.recorder.done, self.submitted);
            self.turn();
            while let Some(host) = self.driver.next_lookup() {
                self.driver.resolved(host, Ok(found), &mut self.recorder);
            }
        }
    }

    /// Turns until everything is done; panics after `limit`.
    pub fn finish(&mut self, limit: Duration) {
        let start = Clock::now();
        while (self.recorder.done as u64) < self.submitted {
            assert!(start.elapsed() < limit, "{} of {} done", self.recorder.done, self.submitted);
            self.turn();
        }
    }

    pub fn turn(&mut self) {
        self.driver.turn(Some(Duration::from_millis(100)), &mut self.recorder).unwrap();
    }

    /// Turns for a while.
    pub fn run_for(&mut self, time: Duration) {
        let start = Clock::now();
        while start.elapsed() < time {
            let left = time.saturating_sub(start.elapsed());
            self.driver.turn(Some(left), &mut self.recorder).unwrap();
        }
    }
}
