//! The engine under arbitrary events: a driver that does what the input says, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::Unstructured;
use gannet::base::Instant;
use gannet::engine::{
    Action, Advice, Cause, Config, ConnKey, Ctl, DnsFailure, Engine, Fault, Handler, HostKey,
    JobKey, JobRef, Kind, Loss, NameServers, Next, Options, Origin, Payload, PerHost, Report,
    Request, Resolved, Resume, Scheme, TlsInfo, Upload,
};
use gannet::proto::{Body, Head};

/// Invariant: whatever happens in whatever order, the end of a job is told once and nothing of it after that; the
/// engine's counts, lists and timers add up after every input; no cap is exceeded; only connections that live
/// are acted on; a POST of which a byte was taken is never begun again; a connection on which surplus bytes
/// were seen carries no further request; and when everything answers again, all comes to an end.
///
/// Input: structured, by `arbitrary`: a configuration, then operations.
pub fn engine(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(mut world) = World::draw(&mut input) else { return };
    while !input.is_empty() && world.steps < 400 {
        if world.step(&mut input).is_err() {
            break;
        }
    }
    world.heal();
}

/// What servers send: whole answers, parts of them, and what is none.
const PIECES: &[&[u8]] = &[
    OK,
    SURPLUS,
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"1\"\r\nAccept-Ranges: bytes\r\n\r\nhel",
    b"lo",
    b"HTTP/1.1 206 Partial\r\nETag: \"1\"\r\nContent-Range: bytes 3-4/5\r\nContent-Length: 2\r\n\r\nlo",
    b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 No\r\nRetry-After: 300\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 408 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Go on\r\n\r\n",
    b"HTTP/1.1 101 Other\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the close",
    b"HTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.0 404 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2",
    b"SSH-2.0-x\r\n",
    b"\x16\x03\x03",
];
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SURPLUS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n";

/// How far a connection has come, as the driver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Opening,
    Securing,
    /// May carry requests; what is known of the present one.
    Open {
        asked: bool,
        answered: bool,
    },
    /// Bytes came that belong to no answer.
    Condemned,
}

#[derive(Default)]
struct Watch {
    done: BTreeSet<u64>,
    submitted: u64,
    /// What the handler does next: pauses, cancels, refuses.
    whims: Vec<u8>,
    jobs: BTreeMap<u64, JobKey>,
}

impl Watch {
    fn lives(&mut self, job: JobRef, what: &str) {
        assert!(!self.done.contains(&job.tag), "{what} after the end of job {}", job.tag);
        self.jobs.insert(job.tag, job.key);
    }
    fn whim(&mut self) -> u8 {
        self.whims.pop().unwrap_or(0xff)
    }
}

impl Handler for Watch {
    fn interim(&mut self, _: &mut Ctl<'_>, job: JobRef, _: &Head<'_>) {
        self.lives(job, "an interim answer");
    }
    fn head(&mut self, ctl: &mut Ctl<'_>, job: JobRef, _: &Head<'_>, _: Body) -> Advice {
        self.lives(job, "a head");
        match self.whim() {
            0 => ctl.pause(job.key),
            1 => ctl.cancel(job.key),
            2 => return Advice::SkipBody,
            3 => return Advice::Abort,
            4 => return Advice::Deliver(Resume::Never),
            5 => ctl.cancel_all(),
            _ => {}
        }
        Advice::Deliver(Resume::ByETag)
    }
    fn body(&mut self, ctl: &mut Ctl<'_>, job: JobRef, bytes: &[u8]) {
        self.lives(job, "content");
        assert!(!bytes.is_empty(), "content without a byte");
        match self.whim() {
            0 => ctl.pause(job.key),
            1 => ctl.cancel(job.key),
            _ => {}
        }
    }
    fn trailers(&mut self, _: &mut Ctl<'_>, job: JobRef, _: gannet::proto::Fields<'_>) {
        self.lives(job, "trailers");
    }
    fn restart(&mut self, _: &mut Ctl<'_>, job: JobRef, _: Kind) {
        self.lives(job, "a restart");
    }
    fn resumed(&mut self, _: &mut Ctl<'_>, job: JobRef, _: u64) {
        self.lives(job, "a continuation");
    }
    fn upload(
        &mut self,
        _: &mut Ctl<'_>,
        job: JobRef,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Upload {
        self.lives(job, "an upload");
        match self.whim() {
            0 => return Upload::Pending,
            1 => return Upload::End,
            _ => {}
        }
        let bytes = room.min(STREAM.saturating_sub(at as usize)).min(3);
        out.extend(core::iter::repeat_n(b'u', bytes));
        if at as usize + bytes >= STREAM { Upload::End } else { Upload::More }
    }
    fn repeat(&mut self, job: JobRef, _: Kind, _: Option<u16>) -> bool {
        self.lives(job, "a question");
        self.whim() != 0
    }
    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, _: &Report<'_>) {
        assert!(job.tag < self.submitted, "the end of a job that nobody submitted");
        assert!(self.done.insert(job.tag), "job {} ended twice", job.tag);
        self.jobs.remove(&job.tag);
    }
}

/// Bytes of a streamed request body.
const STREAM: usize = 7;

struct World {
    engine: Engine,
    watch: Watch,
    now: Instant,
    hosts: Vec<HostKey>,
    lookups: Vec<HostKey>,
    links: Vec<(ConnKey, Link)>,
    transmits: Vec<ConnKey>,
    /// Keys that are dead: events on them must reach nobody.
    dead: Vec<ConnKey>,
    posts: BTreeSet<u64>,
    /// POSTs of which the peer took a byte.
    begun: BTreeSet<u64>,
    most: usize,
    steps: u32,
}

impl World {
    fn draw(input: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let seconds = |input: &mut Unstructured<'_>| {
            Ok(Duration::from_millis(u64::from(input.int_in_range(1..=100_u32)?) * 100))
        };
        let most = input.int_in_range(1..=6)?;
        let config = Config {
            seed: input.arbitrary::<u8>()?.into(),
            max_connections: most,
            max_jobs: input.int_in_range(1..=12)?,
            per_host: if input.ratio(1, 4)? {
                PerHost::Auto { ceiling: Some(4), start: 1 }
            } else {
                PerHost::Fixed(input.int_in_range(1..=4)?)
            },
            attempts: input.int_in_range(1..=4)?,
            connect_timeout: seconds(input)?,
            head_timeout: seconds(input)?,
            first_byte_timeout: Some(seconds(input)?),
            stall_timeout: Some(seconds(input)?),
            idle_timeout: seconds(input)?,
            attempt_timeout: if input.arbitrary()? { Some(seconds(input)?) } else { None },
            retry_statuses: input.ratio(3, 4)?,
            reuse: input.ratio(7, 8)?,
            send_bytes: 4,
            host_down_after: seconds(input)?,
            offline_wait: seconds(input)?,
            ..Config::default()
        };
        let mut engine = Engine::new(config);
        let hosts = [
            (Scheme::Http, "192.0.2.1", 80),
            (Scheme::Http, "a.test", 80),
            (Scheme::Https, "a.test", 443),
        ]
        .map(|(scheme, host, port)| engine.host(&Origin { scheme, host, port }))
        .to_vec();
        Ok(Self {
            engine,
            watch: Watch::default(),
            now: Instant::ZERO + Duration::from_secs(1),
            hosts,
            lookups: Vec::new(),
            links: Vec::new(),
            transmits: Vec::new(),
            dead: Vec::new(),
            posts: BTreeSet::new(),
            begun: BTreeSet::new(),
            most: most as usize,
            steps: 0,
        })
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        self.steps += 1;
        match input.int_in_range(0..=13_u8)? {
            0 => self.submit(input)?,
            1 => {
                if !self.lookups.is_empty() {
                    let host = self.lookups.remove(input.choose_index(self.lookups.len())?);
                    self.resolve(host, input.int_in_range(0..=5)?);
                }
            }
            // As a driver does, so that the input gets deep: the next sensible thing for a connection.
            2..=5 => {
                if let Some(at) = self.any(input)? {
                    match self.links[at] {
                        (key, Link::Opening) => self.connected(key),
                        (key, Link::Securing) => self.secured(key),
                        (key, _) if self.transmits.contains(&key) => {
                            let take = input.int_in_range(0..=6_usize)?;
                            self.transmit(key, take);
                        }
                        (key, _) => self.receive(key, input)?,
                    }
                }
            }
            6 => {
                if let Some(at) = self.any(input)? {
                    self.receive(self.links[at].0, input)?;
                }
            }
            7 => {
                if let Some(at) = self.any(input)? {
                    self.engine.ended(
                        self.links[at].0,
                        input.arbitrary()?,
                        self.now,
                        &mut self.watch,
                    );
                }
            }
            8 => {
                if let Some(at) = self.any(input)? {
                    let loss = *input.choose(&[
                        Loss::Fault(Fault::new(Cause::Reset)),
                        Loss::Fault(Fault::new(Cause::Refused)),
                        Loss::Fault(Fault::new(Cause::Unreachable)),
                        Loss::Fault(Fault::new(Cause::NetworkDown)),
                        Loss::Fault(Fault::new(Cause::TimedOut)),
                        Loss::Fault(Fault::new(Cause::Exhausted)),
                        Loss::Fault(Fault::new(Cause::Denied)),
                        Loss::Fault(Fault::new(Cause::Other)),
                        Loss::Tls { name: "tls_alert", detail: "", hint: None, is_final: true },
                        Loss::Tls { name: "tls_alert", detail: "", hint: None, is_final: false },
                    ])?;
                    self.engine.lost(self.links[at].0, loss, self.now, &mut self.watch);
                }
            }
            9 | 10 => {
                let wait = match input.int_in_range(0..=3_u8)? {
                    0 => Duration::from_millis(1),
                    1 => Duration::from_millis(u64::from(input.arbitrary::<u16>()?)),
                    _ => self.engine.next_deadline().map_or(Duration::ZERO, |at| at - self.now),
                };
                self.now += wait;
                if input.ratio(1, 16)? {
                    self.engine.slept(wait);
                }
                self.engine.tick(self.now, &mut self.watch);
            }
            11 => {
                let keys: Vec<JobKey> = self.watch.jobs.values().copied().collect();
                if !keys.is_empty() {
                    let key = *input.choose(&keys)?;
                    match input.int_in_range(0..=3_u8)? {
                        0 => self.engine.ctl().pause(key),
                        1 | 2 => self.engine.ctl().resume(key),
                        _ => self.engine.ctl().cancel(key),
                    }
                }
            }
            12 => self.watch.whims.push(input.int_in_range(0..=6)?),
            _ => self.late(input)?,
        }
        self.settle();
        Ok(())
    }

    fn any(&self, input: &mut Unstructured<'_>) -> arbitrary::Result<Option<usize>> {
        if self.links.is_empty() {
            return Ok(None);
        }
        input.choose_index(self.links.len()).map(Some)
    }

    /// An event of a connection that is gone.
    fn late(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        if self.dead.is_empty() {
            return Ok(());
        }
        let key = *input.choose(&self.dead)?;
        let mut out = Vec::new();
        match input.int_in_range(0..=5_u8)? {
            0 => self.engine.connected(key, self.now, &mut self.watch),
            1 => self.engine.ended(key, true, self.now, &mut self.watch),
            2 => {
                let next = self.engine.received(key, OK, self.now, &mut self.watch);
                assert_eq!(next, Next::Gone, "a dead connection receives");
            }
            3 => self.engine.wrote(key, 1, true, self.now),
            4 => self.engine.outgoing(key, &mut out, self.now, &mut self.watch),
            _ => {
                let loss = Loss::Fault(Fault::new(Cause::Reset));
                self.engine.lost(key, loss, self.now, &mut self.watch);
            }
        }
        assert!(out.is_empty(), "a dead connection sends");
        Ok(())
    }

    fn submit(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let tag = self.watch.submitted;
        let method = *input.choose(&["GET", "GET", "HEAD", "POST", "PUT"])?;
        let body = match input.int_in_range(0..=5_u8)? {
            0 => Payload::Bytes(b"some bytes".as_slice().into()),
            1 => Payload::Stream { length: Some(STREAM as u64), replayable: input.arbitrary()? },
            2 => Payload::Stream { length: None, replayable: input.arbitrary()? },
            _ => Payload::None,
        };
        let short = Duration::from_millis(500);
        let options = Options {
            urgent: input.ratio(1, 8)?,
            expect_continue: if input.ratio(1, 8)? { Some(short) } else { None },
            max_body_bytes: if input.ratio(1, 8)? { Some(1) } else { None },
            attempt_timeout: if input.ratio(1, 8)? { Some(short) } else { None },
            ..Options::default()
        };
        let request = Request {
            host: *input.choose(&self.hosts)?,
            method,
            target: &format!("/{tag}"),
            fields: &[],
            body,
            tag,
            options,
        };
        self.watch.submitted += 1;
        if method == "POST" {
            self.posts.insert(tag);
        }
        match self.engine.submit(&request, self.now) {
            Ok(key) => drop(self.watch.jobs.insert(tag, key)),
            Err(_) => drop(self.watch.done.insert(tag)),
        }
        Ok(())
    }

    fn resolve(&mut self, host: HostKey, how: u8) {
        let addresses = ["192.0.2.2".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let servers = if how == 1 { NameServers::Silent } else { NameServers::Answered };
        let failure = |transient| DnsFailure {
            name: "dns_servfail",
            detail: "",
            hint: None,
            transient,
            servers,
        };
        let lifetime = Duration::from_secs(2);
        let result = match how {
            0 => Err(failure(false)),
            1 => Err(failure(true)),
            2 => Ok(Resolved { addresses: &addresses[..1], lifetime, stale: true }),
            3 => Ok(Resolved { addresses: &[], lifetime, stale: false }),
            _ => Ok(Resolved { addresses: &addresses, lifetime, stale: false }),
        };
        self.engine.resolved(host, result, self.now, &mut self.watch);
    }

    fn mark(&mut self, key: ConnKey, link: Link) {
        if let Some(slot) = self.links.iter_mut().find(|(other, _)| *other == key) {
            slot.1 = link;
        }
    }

    fn link(&self, key: ConnKey) -> Option<Link> {
        self.links.iter().find(|(other, _)| *other == key).map(|(_, link)| *link)
    }

    fn connected(&mut self, key: ConnKey) {
        self.mark(key, Link::Open { asked: false, answered: false });
        self.engine.connected(key, self.now, &mut self.watch);
    }

    fn secured(&mut self, key: ConnKey) {
        self.mark(key, Link::Open { asked: false, answered: false });
        let tls = TlsInfo { version: "TLSv1.3", cipher: "none", resumed: false };
        self.engine.secured(key, tls, self.now, &mut self.watch);
    }

    /// Asks what to send; the peer takes so many bytes of it, 6 and more: all.
    fn transmit(&mut self, key: ConnKey, take: usize) {
        let mut out = Vec::new();
        self.engine.outgoing(key, &mut out, self.now, &mut self.watch);
        let begins = out.starts_with(b"POST ")
            || out.starts_with(b"GET ")
            || out.starts_with(b"HEAD ")
            || out.starts_with(b"PUT ");
        if begins {
            assert_ne!(self.link(key), Some(Link::Condemned), "reused after surplus bytes");
            self.mark(key, Link::Open { asked: false, answered: false });
            let target = out.split(|byte| *byte == b' ').nth(1).unwrap();
            let tag = std::str::from_utf8(&target[1..]).unwrap().parse().unwrap();
            assert!(!self.watch.done.contains(&tag), "a request of a job that is done");
            if self.posts.contains(&tag) {
                assert!(!self.begun.contains(&tag), "a POST is sent a second time");
                if take > 0 {
                    self.begun.insert(tag);
                }
            }
        }
        let (taken, all) = if take >= 6 { (out.len(), true) } else { (take.min(out.len()), false) };
        if all {
            self.transmits.retain(|other| *other != key);
            if let Some(Link::Open { answered, .. }) = self.link(key) {
                self.mark(key, Link::Open { asked: true, answered });
            }
        }
        self.engine.wrote(key, taken, all, self.now);
        if !all {
            // The rest lies with the driver; here it is taken at once, for the engine keeps no copy of it.
            self.transmits.retain(|other| *other != key);
            self.engine.wrote(key, out.len() - taken, true, self.now);
            if let Some(Link::Open { answered, .. }) = self.link(key) {
                self.mark(key, Link::Open { asked: true, answered });
            }
        }
    }

    fn receive(&mut self, key: ConnKey, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let bytes = if input.ratio(1, 8)? {
            let length = input.int_in_range(0..=20_usize)?.min(input.len());
            input.bytes(length)?
        } else {
            *input.choose(PIECES)?
        };
        self.received(key, bytes);
        Ok(())
    }

    fn received(&mut self, key: ConnKey, bytes: &[u8]) {
        match self.link(key) {
            // Nothing was asked: no byte of this may become an answer.
            Some(Link::Open { asked: false, .. }) if !bytes.is_empty() => {
                self.mark(key, Link::Condemned);
            }
            Some(Link::Open { asked: true, answered: false }) if bytes == SURPLUS => {
                self.mark(key, Link::Condemned);
            }
            Some(Link::Open { asked, .. }) if !bytes.is_empty() => {
                self.mark(key, Link::Open { asked, answered: true });
            }
            _ => {}
        }
        self.engine.received(key, bytes, self.now, &mut self.watch);
    }

    /// What a driver does after each input, and what holds then.
    fn settle(&mut self) {
        self.engine.poll(self.now, &mut self.watch);
        while let Some(action) = self.engine.next_action() {
            let lives = |links: &[(ConnKey, Link)], key| {
                assert!(
                    links.iter().any(|(other, _)| *other == key),
                    "{action:?} of no connection"
                );
            };
            match action {
                Action::Resolve(host) => self.lookups.push(host),
                Action::Open { conn, .. } => {
                    assert!(self.link(conn).is_none(), "{conn:?} is opened twice");
                    self.links.push((conn, Link::Opening));
                }
                Action::Secure(conn) => {
                    lives(&self.links, conn);
                    self.mark(conn, Link::Securing);
                }
                Action::Transmit(conn) => {
                    lives(&self.links, conn);
                    if !self.transmits.contains(&conn) {
                        self.transmits.push(conn);
                    }
                }
                Action::Read(conn) | Action::Finish(conn) => lives(&self.links, conn),
                Action::Close { conn, .. } => {
                    lives(&self.links, conn);
                    self.links.retain(|(other, _)| *other != conn);
                    self.transmits.retain(|other| *other != conn);
                    self.dead.push(conn);
                }
                _ => {}
            }
        }
        self.engine.check(self.now).unwrap_or_else(|what| panic!("{what}"));
        assert!(self.links.len() <= self.most, "{} connections of {}", self.links.len(), self.most);
        let held = self.watch.submitted - self.watch.done.len() as u64;
        assert_eq!(self.engine.held() as u64, held, "jobs held and jobs without an end");
    }

    /// From now on everything answers: all must come to an end.
    fn heal(&mut self) {
        self.watch.whims.clear();
        for _ in 0..5_000 {
            if self.engine.held() == 0 {
                break;
            }
            for key in self.watch.jobs.values().copied().collect::<Vec<_>>() {
                self.engine.ctl().resume(key);
            }
            self.settle();
            // Time passes when nothing else is to be done: nobody is late any more.
            let waits = self.lookups.is_empty() && self.links.is_empty();
            for host in core::mem::take(&mut self.lookups) {
                self.resolve(host, 5);
            }
            for (key, link) in self.links.clone() {
                match link {
                    Link::Opening => self.connected(key),
                    Link::Securing => self.secured(key),
                    _ if self.transmits.contains(&key) => self.transmit(key, 6),
                    Link::Open { asked: true, answered: false } => {
                        self.received(key, OK);
                        self.mark(key, Link::Open { asked: false, answered: false });
                    }
                    // In the middle of something, or nothing is asked: the server closes.
                    _ => self.engine.ended(key, true, self.now, &mut self.watch),
                }
                self.settle();
            }
            self.now += match self.engine.next_deadline() {
                _ if !waits => Duration::ZERO,
                Some(at) => (at - self.now).min(Duration::from_secs(30)),
                None => Duration::from_millis(1),
            };
            self.engine.tick(self.now, &mut self.watch);
            self.settle();
        }
        let left = || {
            let stats: Vec<_> = self.engine.host_stats().collect();
            let next = self.engine.next_deadline();
            format!("{:?}, next {next:?}\n{:?}\n{stats:#?}", self.now, self.links)
        };
        assert_eq!(self.engine.held(), 0, "jobs are left though everything answers: {}", left());
    }
}
