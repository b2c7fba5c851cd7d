//! The engine on a wire that answers at once: what scheduling costs, and nothing else.

use std::time::Duration;

use gannet::base::Instant;
use gannet::engine::{
    Action, Advice, Config, ConnKey, Ctl, Engine, Handler, HostKey, JobRef, Origin, PerHost,
    Report, Request, Resume, Scheme,
};
use gannet::proto::{Body, Head};

/// What nginx says of a file of one KiB, with a body.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n\
    Content-Type: application/octet-stream\r\nContent-Length: 64\r\nLast-Modified: Tue, 24 Nov 2026 09:45:00 GMT\r\n\
    Connection: keep-alive\r\nETag: \"67430a1c-40\"\r\nAccept-Ranges: bytes\r\n\r\n\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[derive(Default)]
struct Tally {
    whole: u64,
    failed: u64,
}

impl Handler for Tally {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::ByETag)
    }

    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}

    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        self.whole += u64::from(report.result.is_ok());
        self.failed += u64::from(report.result.is_err());
    }
}

/// An engine with so many hosts, and requests for each.
pub struct World {
    engine: Engine,
    hosts: Vec<HostKey>,
    total: usize,
    now: Instant,
}

impl World {
    /// `each` requests for each of so many hosts: 200 hosts in turn, then the next 200. (All in
    /// turn, ten thousand hosts would share 512 connections, and each request would cost one.)
    pub fn new(hosts: u32, each: usize) -> Self {
        let config = Config {
            per_host: PerHost::Fixed(4),
            max_connections: 512,
            max_jobs: 4096,
            ..Config::default()
        };
        let mut engine = Engine::new(config);
        let hosts: Vec<_> = (0..hosts)
            .map(|n| {
                let [_, a, b, c] = n.to_be_bytes();
                let host = format!("127.{a}.{b}.{c}");
                engine.host(&Origin { scheme: Scheme::Http, host: &host, port: 80 })
            })
            .collect();
        let total = hosts.len() * each;
        Self { engine, hosts, total, now: Instant::from_nanos(1_000_000_000) }
    }

    /// Fetches all of it; every one must arrive.
    pub fn run(mut self) -> u64 {
        let mut tally = Tally::default();
        let mut out = Vec::new();
        let mut answers: Vec<ConnKey> = Vec::new();
        let mut submitted = 0;
        while tally.whole < self.total as u64 {
            while submitted < self.total && self.engine.wants() > 0 {
                let block = 200.min(self.hosts.len());
                let turn = block * (self.total / self.hosts.len());
                let host = self.hosts[submitted / turn * block + submitted % block];
                let request = Request::get(host, "/some/page.html?n=1").tag(submitted as u64);
                self.engine.submit(&request, self.now).unwrap();
                submitted += 1;
            }
            self.engine.poll(self.now, &mut tally);
            while let Some(action) = self.engine.next_action() {
                match action {
                    Action::Open { conn, .. } => {
                        self.engine.connected(conn, self.now, &mut tally);
                    }
                    Action::Transmit(conn) => {
                        out.clear();
                        self.engine.outgoing(conn, &mut out, self.now, &mut tally);
                        self.engine.wrote(conn, out.len(), true, self.now);
                        answers.push(conn);
                    }
                    _ => {}
                }
            }
            self.now = self.now + Duration::from_micros(100);
            for conn in answers.drain(..) {
                self.engine.received(conn, ANSWER, self.now, &mut tally);
            }
            self.engine.tick(self.now, &mut tally);
            assert_eq!(tally.failed, 0);
        }
        tally.whole
    }
}
