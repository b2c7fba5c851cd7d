//! A world of servers and clients in virtual time: events in a heap, no sockets, no clock.
//!
//! A client here does what the engine does with a limit: connections take jobs late, stay open,
//! count until the server has seen them go, and close after their answer when they are too
//! many. A server is a model with a stated service time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use gannet::base::Instant;
use gannet::engine::limit::{Complaint, Limit, Sample};
use gannet::engine::pace::Pace;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// How a number varies from request to request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spread {
    /// Always the same.
    Same,
    /// Evenly between half and one and a half of it.
    Even,
    /// Exponentially.
    Exponential,
    /// As the logarithm of a normal distribution does, of a spread of a half.
    LogNormal,
    /// One in ten takes ten times as long, the others a bit less.
    Mixed,
}

/// What a server with a hard limit does to one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// Accepts and resets.
    Reset,
    /// Refuses the connection.
    Refuse,
    /// Answers 503 at once to requests beyond so many in flight, and keeps the connection.
    Status503,
}

/// A request rate limit: a token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    pub(crate) per_second: u64,
    pub(crate) burst: u64,
    /// What it says in `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    /// A fixed window of this length instead of a bucket.
    pub(crate) window: Option<u64>,
    /// From this second on, another rate.
    pub(crate) then: Option<(u64, u64)>,
    /// Seconds in which everything is answered 429.
    pub(crate) closed: Option<(u64, u64)>,
}

impl RateLimit {
    /// Requests a second, then.
    pub(crate) fn at(&self, second: u64) -> u64 {
        self.then.filter(|(from, _)| second >= *from).map_or(self.per_second, |(_, rate)| rate)
    }
}

/// A server model.
#[derive(Clone)]
#[allow(clippy::type_complexity, reason = "a limit as a function of time, and what lies beyond")]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// Time that a worker spends on a request, in milliseconds, at least 20.
    pub(crate) service: u64,
    pub(crate) spread: Spread,
    /// Network time, there and back, in microseconds.
    pub(crate) rtt: u64,
    /// Connections (or requests, for 503) that it bears, as a function of the time in seconds.
    pub(crate) hard: Option<(fn(u64) -> u32, Beyond)>,
    /// Whether a limit that falls resets established connections too.
    pub(crate) resets_established: bool,
    pub(crate) workers: Option<fn(u64) -> u32>,
    /// Bytes a second, shared.
    pub(crate) bandwidth: Option<u64>,
    /// Mean body, in bytes, and how bodies vary.
    pub(crate) body: u64,
    pub(crate) body_spread: Spread,
    pub(crate) rate: Option<RateLimit>,
    /// Beyond so many requests in flight the service time grows with their square.
    pub(crate) thrash: Option<u32>,
    /// Requests that a connection may carry.
    pub(crate) requests_per_connection: u32,
    /// Random failures, in thousandths: fresh connections reset, requests answered 503.
    pub(crate) random_resets: u32,
    pub(crate) random_503: u32,
    /// Seconds in which every connection is refused and reset.
    pub(crate) outage: Option<(u64, u64)>,
    /// The level that is best, if it has one.
    pub(crate) best: Option<u32>,
    /// How long a run takes.
    pub(crate) seconds: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: "",
            service: 20,
            spread: Spread::Same,
            rtt: 200,
            hard: None,
            resets_established: false,
            workers: None,
            bandwidth: None,
            body: 2000,
            body_spread: Spread::Same,
            rate: None,
            thrash: None,
            requests_per_connection: u32::MAX,
            random_resets: 0,
            random_503: 0,
            outage: None,
            best: None,
            seconds: 30,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    /// SYN at the server.
    Arrive(usize),
    /// Connected, at the client.
    Opened(usize),
    /// Refused, at the client.
    Refused(usize),
    /// RST at the client, to this use of the connection.
    Reset(usize),
    /// A request at the server.
    Request(usize),
    /// A worker is done.
    Worked(usize),
    /// The link sent a chunk.
    Chunk,
    /// The first byte at the client.
    FirstByte(usize),
    /// The whole answer at the client.
    Done(usize, u16),
    /// FIN at the server.
    Fin(usize),
    /// The server's FIN at the client: the slot is free.
    Gone(usize),
    /// A client looks for work again.
    Wake(usize),
    /// The server's limit may have fallen.
    Recount,
    /// A client starts.
    Begin(usize),
    /// A client has no work for a while.
    Rest(usize, bool),
    /// Levels are written down.
    Trace,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Opening,
    Busy,
    Idle,
    Closing,
    Dead,
}

struct Conn {
    client: usize,
    host: usize,
    state: State,
    opened_at: u64,
    sent_at: u64,
    in_flight: u32,
    in_flight_address: u32,
    requests: u32,
    /// Known to the server, and counted there.
    at_server: bool,
    body: u64,
    first_byte: bool,
}

pub(crate) struct Host {
    pub(crate) limit: Limit,
    pub(crate) pace: Pace,
    pub(crate) jobs: u64,
    open: u32,
    closing: u32,
    in_flight: u32,
    idle: Vec<usize>,
    reopen_at: u64,
}

pub(crate) struct Client {
    pub(crate) hosts: Vec<Host>,
    pub(crate) address: Option<Limit>,
    open: u32,
    closing: u32,
    in_flight: u32,
    ring: VecDeque<usize>,
    /// A fixed level: waits a moment after a refusal, or it would spin.
    pub(crate) naive: bool,
    /// Whether it obeys 429.
    pub(crate) paced: bool,
    resting: bool,
    started: bool,
    next_wake: u64,
    pub(crate) stats: Stats,
}

/// What a client got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) served: u64,
    pub(crate) bytes: u64,
    /// The same after the first quarter.
    pub(crate) late_served: u64,
    pub(crate) late_refused: u64,
    pub(crate) late_429: u64,
    pub(crate) refused: u64,
    pub(crate) too_many: u64,
    late_latency: u64,
    /// Served by second.
    pub(crate) seconds: Vec<u64>,
    /// Allowed, every 50 ms.
    pub(crate) trace: Vec<u32>,
}

impl Stats {
    /// Mean latency to the first byte after the first quarter, in milliseconds.
    pub(crate) fn latency_ms(&self) -> f64 {
        self.late_latency as f64 / self.late_served.max(1) as f64 / MS as f64
    }

    /// Part of the requests after the first quarter that met a refusal.
    pub(crate) fn refused_part(&self) -> f64 {
        self.late_refused as f64 / (self.late_served + self.late_refused).max(1) as f64
    }

    /// Part of the requests after the first quarter that met a 429.
    pub(crate) fn too_many_part(&self) -> f64 {
        self.late_429 as f64 / (self.late_served + self.late_429).max(1) as f64
    }
}

impl Client {
    pub(crate) fn new(hosts: Vec<(Limit, Pace, u64)>, address: Option<Limit>) -> Self {
        let ring = (0..hosts.len()).collect();
        let hosts = hosts
            .into_iter()
            .map(|(limit, pace, jobs)| Host {
                limit,
                pace,
                jobs,
                open: 0,
                closing: 0,
                in_flight: 0,
                idle: Vec::new(),
                reopen_at: 0,
            })
            .collect();
        Self {
            hosts,
            address,
            open: 0,
            closing: 0,
            in_flight: 0,
            ring,
            naive: false,
            paced: true,
            resting: false,
            started: false,
            next_wake: 0,
            stats: Stats::default(),
        }
    }
}

pub(crate) struct World {
    model: Model,
    now: u64,
    end: u64,
    sequence: u64,
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    rng: fastrand::Rng,
    conns: Vec<Conn>,
    pub(crate) clients: Vec<Client>,
    // The server.
    connections: u32,
    working: u32,
    waiting: VecDeque<usize>,
    link: VecDeque<(usize, u64)>,
    link_busy: bool,
    tokens: f64,
    tokens_at: u64,
}

const CHUNK: u64 = 16 * 1024;

impl World {
    pub(crate) fn new(model: &Model, seed: u64) -> Self {
        Self {
            tokens: model.rate.map_or(0.0, |rate| rate.burst as f64),
            model: model.clone(),
            now: 0,
            end: 0,
            sequence: 0,
            heap: BinaryHeap::new(),
            rng: fastrand::Rng::with_seed(seed),
            conns: Vec::new(),
            clients: Vec::new(),
            connections: 0,
            working: 0,
            waiting: VecDeque::new(),
            link: VecDeque::new(),
            link_busy: false,
            tokens_at: 0,
        }
    }

    pub(crate) fn add(&mut self, client: Client, begins_ms: u64) {
        self.clients.push(client);
        self.at(begins_ms * MS, Event::Begin(self.clients.len() - 1));
    }

    /// The client has no work from one moment to the other.
    pub(crate) fn rest(&mut self, client: usize, from_ms: u64, to_ms: u64) {
        self.at(from_ms * MS, Event::Rest(client, true));
        self.at(to_ms * MS, Event::Rest(client, false));
    }

    fn at(&mut self, when: u64, event: Event) {
        self.sequence += 1;
        self.heap.push(Reverse((when, self.sequence, event)));
    }

    fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    fn instant(&self) -> Instant {
        Instant::from_nanos(self.now)
    }

    fn late(&self) -> bool {
        self.now >= self.end / 4
    }

    pub(crate) fn run(&mut self, seconds: u64) {
        self.end = seconds * SECOND;
        for client in &mut self.clients {
            client.stats.seconds = vec![0; seconds as usize + 1];
        }
        for tick in 0..seconds * 20 {
            self.at(tick * 50 * MS, Event::Trace);
            if self.model.resets_established {
                self.at(tick * 50 * MS, Event::Recount);
            }
        }
        if let Some((from, _)) = self.model.outage {
            self.at(from * SECOND, Event::Recount);
        }
        while let Some(Reverse((when, _, event))) = self.heap.pop() {
            if when >= self.end {
                break;
            }
            self.now = when;
            self.event(event);
        }
    }

    fn draw(&mut self, mean: u64, spread: Spread) -> u64 {
        match spread {
            Spread::Same => mean,
            Spread::Even => mean / 2 + self.rng.u64(0..=mean),
            Spread::Exponential => (-(1.0 - self.rng.f64()).ln() * mean as f64) as u64,
            Spread::LogNormal => {
                // Twelve even numbers make nearly a normal one.
                let normal = (0..12).map(|_| self.rng.f64()).sum::<f64>() - 6.0;
                (mean as f64 * (normal / 2.0 - 0.125).exp()) as u64
            }
            Spread::Mixed => {
                if self.rng.u32(0..10) == 0 {
                    mean * 5
                } else {
                    mean * 5 / 9
                }
            }
        }
    }

    fn outage(&self) -> bool {
        self.model.outage.is_some_and(|(from, to)| (from..to).contains(&(self.now / SECOND)))
    }

    fn hard_limit(&self) -> Option<(u32, Beyond)> {
        self.model.hard.map(|(limit, beyond)| (limit(self.now / SECOND), beyond))
    }

    // --- server ---------------------------------------------------------------------------

    fn event(&mut self, event: Event) {
        let half = self.model.rtt * 500;
        match event {
            Event::Arrive(id) => {
                let random = self.rng.u32(0..1000) < self.model.random_resets;
                let refused = match self.hard_limit() {
                    Some((limit, beyond)) if self.connections >= limit => match beyond {
                        Beyond::Refuse => Some(true),
                        Beyond::Reset => Some(false),
                        Beyond::Status503 => None,
                    },
                    _ if random => Some(false),
                    _ => None,
                };
                let refused = if self.outage() { Some(true) } else { refused };
                match refused {
                    Some(true) => self.after(half, Event::Refused(id)),
                    Some(false) => {
                        self.after(half, Event::Opened(id));
                        self.after(half + 100_000, Event::Reset(id));
                    }
                    None => {
                        self.connections += 1;
                        self.conns[id].at_server = true;
                        self.after(half, Event::Opened(id));
                    }
                }
            }
            Event::Request(id) => self.request(id),
            Event::Worked(id) => self.worked(id),
            Event::Chunk => self.chunk(),
            Event::Fin(id) => {
                self.leave(id);
                self.after(half, Event::Gone(id));
            }
            Event::Recount => {
                let limit = if self.outage() {
                    0
                } else {
                    self.hard_limit().map_or(u32::MAX, |(limit, _)| limit)
                };
                for id in (0..self.conns.len()).rev() {
                    if self.connections <= limit {
                        break;
                    }
                    if self.conns[id].at_server {
                        self.leave(id);
                        self.after(half, Event::Reset(id));
                    }
                }
            }
            Event::Opened(id) => self.opened(id),
            Event::Refused(id) => self.failed(id, Complaint::Refused),
            Event::Reset(id) => self.reset(id),
            Event::FirstByte(id) => self.first_byte(id),
            Event::Done(id, status) => self.done(id, status),
            Event::Gone(id) => self.gone(id),
            Event::Wake(client) => self.schedule(client),
            Event::Begin(client) => {
                self.clients[client].started = true;
                self.schedule(client);
            }
            Event::Rest(client, resting) => {
                self.clients[client].resting = resting;
                self.schedule(client);
            }
            Event::Trace => {
                for client in &mut self.clients {
                    if client.started {
                        let limit =
                            client.address.as_ref().unwrap_or(&client.hosts[0].limit).allowed();
                        client.stats.trace.push(limit);
                    }
                }
            }
        }
    }

    fn leave(&mut self, id: usize) {
        if std::mem::take(&mut self.conns[id].at_server) {
            self.connections -= 1;
        }
    }

    fn request(&mut self, id: usize) {
        if !self.conns[id].at_server {
            return;
        }
        let half = self.model.rtt * 500;
        let random = self.rng.u32(0..1000) < self.model.random_503;
        if let Some((limit, Beyond::Status503)) = self.hard_limit()
            && self.working + self.waiting.len() as u32 >= limit
        {
            self.after(half + MS, Event::Done(id, 503));
            return;
        }
        if random {
            self.after(half + MS, Event::Done(id, 503));
            return;
        }
        if let Some(rate) = self.model.rate {
            let second = self.now / SECOND;
            if rate.closed.is_some_and(|(from, to)| (from..to).contains(&second)) {
                self.after(half + MS, Event::Done(id, 429));
                return;
            }
            let per_second = rate.at(second);
            if let Some(window) = rate.window {
                if self.now / (window * SECOND) != self.tokens_at / (window * SECOND) {
                    self.tokens = (per_second * window) as f64;
                }
            } else {
                let earned = (self.now - self.tokens_at) as f64 * per_second as f64;
                self.tokens = (self.tokens + earned / SECOND as f64).min(rate.burst as f64);
            }
            self.tokens_at = self.now;
            if self.tokens < 1.0 {
                self.after(half + MS, Event::Done(id, 429));
                return;
            }
            self.tokens -= 1.0;
        }
        let workers = self.model.workers.map_or(u32::MAX, |workers| workers(self.now / SECOND));
        if self.working < workers {
            self.work(id);
        } else {
            self.waiting.push_back(id);
        }
    }

    fn work(&mut self, id: usize) {
        self.working += 1;
        let mut time = self.draw(self.model.service * MS, self.model.spread);
        if let Some(bears) = self.model.thrash
            && self.working > bears
        {
            let (n, bears) = (u64::from(self.working), u64::from(bears));
            time = time * n * n / (bears * bears);
        }
        self.after(time.max(1), Event::Worked(id));
    }

    fn worked(&mut self, id: usize) {
        let half = self.model.rtt * 500;
        self.working -= 1;
        let workers = self.model.workers.map_or(u32::MAX, |workers| workers(self.now / SECOND));
        while self.working < workers {
            let Some(next) = self.waiting.pop_front() else { break };
            self.work(next);
        }
        if !self.conns[id].at_server {
            return;
        }
        if self.model.bandwidth.is_some() {
            self.link.push_back((id, self.conns[id].body));
            if !self.link_busy {
                self.link_busy = true;
                self.after(0, Event::Chunk);
            }
        } else {
            self.after(half, Event::FirstByte(id));
            self.after(half, Event::Done(id, 200));
        }
    }

    fn chunk(&mut self) {
        let half = self.model.rtt * 500;
        let Some((id, left)) = self.link.pop_front() else {
            self.link_busy = false;
            return;
        };
        let bandwidth = self.model.bandwidth.unwrap_or(u64::MAX);
        let chunk = left.min(CHUNK);
        let time = chunk * SECOND / bandwidth;
        if !self.conns[id].first_byte {
            self.conns[id].first_byte = true;
            self.after(time + half, Event::FirstByte(id));
        }
        if left > chunk {
            self.link.push_back((id, left - chunk));
        } else {
            self.after(time + half, Event::Done(id, 200));
        }
        self.after(time.max(1), Event::Chunk);
    }

    // --- client ---------------------------------------------------------------------------

    fn schedule(&mut self, client: usize) {
        if !self.clients[client].started || self.clients[client].resting {
            return;
        }
        let mut wake = u64::MAX;
        // Each host of the ring once; the address limit stops all.
        for _ in 0..self.clients[client].ring.len() {
            let host = self.clients[client].ring[0];
            while self.step(client, host, &mut wake) {}
            let full = {
                let client = &self.clients[client];
                client.address.as_ref().is_some_and(|address| client.open >= address.allowed())
            };
            let it = &self.clients[client].hosts[host];
            if full && it.jobs > 0 && it.open < it.limit.allowed() {
                break;
            }
            self.clients[client].ring.rotate_left(1);
        }
        let next = self.clients[client].next_wake;
        if wake != u64::MAX && (wake < next || next <= self.now) {
            self.clients[client].next_wake = wake;
            self.at(wake, Event::Wake(client));
        }
    }

    /// Starts one request or one connection; says whether there may be more to start.
    fn step(&mut self, client: usize, host: usize, wake: &mut u64) -> bool {
        let now = self.instant();
        let it = &mut self.clients[client];
        if it.hosts[host].jobs == 0 {
            return false;
        }
        let ready = it.hosts[host].pace.ready_at(now).as_nanos();
        if ready > self.now {
            *wake = (*wake).min(ready);
            return false;
        }
        if let Some(id) = it.hosts[host].idle.pop() {
            self.send(id);
            return true;
        }
        let opening = it.hosts[host].open - it.hosts[host].in_flight;
        if it.hosts[host].open >= it.hosts[host].limit.allowed()
            || u64::from(opening) >= it.hosts[host].jobs
        {
            return false;
        }
        if it.hosts[host].reopen_at > self.now {
            *wake = (*wake).min(it.hosts[host].reopen_at);
            return false;
        }
        if it.address.as_ref().is_some_and(|address| it.open >= address.allowed()) {
            // Another host's idle connection makes room, when the server has seen it go.
            let other = (0..it.hosts.len())
                .find(|&other| it.hosts[other].jobs == 0 && !it.hosts[other].idle.is_empty());
            if let Some(other) = other {
                let id = it.hosts[other].idle.pop().unwrap();
                self.close(id);
            }
            return false;
        }
        it.hosts[host].open += 1;
        it.open += 1;
        let conn = Conn {
            client,
            host,
            state: State::Opening,
            opened_at: self.now,
            sent_at: 0,
            in_flight: 0,
            in_flight_address: 0,
            requests: 0,
            at_server: false,
            body: 0,
            first_byte: false,
        };
        self.conns.push(conn);
        let id = self.conns.len() - 1;
        self.after(self.model.rtt * 500, Event::Arrive(id));
        true
    }

    fn send(&mut self, id: usize) {
        let now = self.instant();
        let body = self.draw(self.model.body, self.model.body_spread);
        let (client, host) = (self.conns[id].client, self.conns[id].host);
        let it = &mut self.clients[client];
        it.hosts[host].jobs -= 1;
        it.hosts[host].in_flight += 1;
        it.in_flight += 1;
        it.hosts[host].pace.take(now);
        let conn = &mut self.conns[id];
        conn.state = State::Busy;
        conn.sent_at = self.now;
        conn.requests += 1;
        conn.body = body;
        conn.first_byte = false;
        conn.in_flight = it.hosts[host].in_flight;
        conn.in_flight_address = it.in_flight;
        let paced = it.hosts[host].pace.binds();
        let waiting = it.hosts.iter().any(|host| host.jobs > 0);
        let full = it.address.as_ref().is_some_and(|address| it.open >= address.allowed());
        let that = &mut it.hosts[host];
        let bound = that.open >= that.limit.allowed();
        that.limit.sent(now, that.in_flight, that.jobs > 0 && (bound || !full) && !paced);
        if let Some(address) = &mut it.address {
            address.sent(now, it.in_flight, waiting);
        }
        self.after(self.model.rtt * 500, Event::Request(id));
    }

    fn opened(&mut self, id: usize) {
        let (client, host) = (self.conns[id].client, self.conns[id].host);
        if self.conns[id].state != State::Opening {
            return;
        }
        let it = &self.clients[client];
        let ready = it.hosts[host].pace.ready_at(self.instant()).as_nanos() <= self.now;
        if it.hosts[host].jobs > 0 && ready && !it.resting {
            self.send(id);
        } else {
            self.conns[id].state = State::Idle;
            self.clients[client].hosts[host].idle.push(id);
            self.schedule(client);
        }
    }

    /// The connection came to nothing before an answer.
    fn failed(&mut self, id: usize, what: Complaint) {
        let now = self.instant();
        let (client, host) = (self.conns[id].client, self.conns[id].host);
        let caused = Instant::from_nanos(self.conns[id].opened_at);
        let late = self.late();
        let it = &mut self.clients[client];
        it.stats.refused += 1;
        it.stats.late_refused += u64::from(late);
        let open = it.hosts[host].open;
        it.hosts[host].limit.complaint(now, what, caused, open);
        if let Some(address) = &mut it.address {
            address.complaint(now, what, caused, it.open);
        }
        if it.naive {
            it.hosts[host].reopen_at = self.now + 50 * MS;
        }
        self.drop(id);
        self.schedule(client);
    }

    fn reset(&mut self, id: usize) {
        match self.conns[id].state {
            State::Dead => {}
            State::Closing => {
                self.drop(id);
                let client = self.conns[id].client;
                self.schedule(client);
            }
            // A fresh connection: a complaint. A used one: stale, no complaint.
            _ if self.conns[id].requests <= 1 && self.conns[id].state != State::Idle => {
                self.failed(id, Complaint::FreshReset);
            }
            _ => {
                let client = self.conns[id].client;
                self.drop(id);
                self.schedule(client);
            }
        }
    }

    /// Takes a connection out of all counts; a job that it carried goes back.
    fn drop(&mut self, id: usize) {
        let (client, host) = (self.conns[id].client, self.conns[id].host);
        let state = std::mem::replace(&mut self.conns[id].state, State::Dead);
        let it = &mut self.clients[client];
        match state {
            State::Dead => return,
            State::Busy => {
                it.hosts[host].in_flight -= 1;
                it.in_flight -= 1;
                it.hosts[host].jobs += 1;
            }
            State::Idle => it.hosts[host].idle.retain(|&other| other != id),
            State::Opening => {}
            State::Closing => {
                it.hosts[host].closing -= 1;
                it.closing -= 1;
            }
        }
        it.hosts[host].open -= 1;
        it.open -= 1;
    }

    fn close(&mut self, id: usize) {
        self.conns[id].state = State::Closing;
        let it = &mut self.clients[self.conns[id].client];
        it.hosts[self.conns[id].host].closing += 1;
        it.closing += 1;
        self.after(self.model.rtt * 500, Event::Fin(id));
    }

    fn gone(&mut self, id: usize) {
        let client = self.conns[id].client;
        self.drop(id);
        self.schedule(client);
    }

    fn first_byte(&mut self, id: usize) {
        let now = self.instant();
        let conn = &self.conns[id];
        if conn.state != State::Busy {
            return;
        }
        let latency = Duration::from_nanos(self.now - conn.sent_at);
        let (sent, reused) = (Instant::from_nanos(conn.sent_at), conn.requests > 1);
        let late = self.late();
        let it = &mut self.clients[self.conns[id].client];
        if late {
            it.stats.late_latency += latency.as_nanos() as u64;
        }
        it.hosts[self.conns[id].host].limit.first_byte(now, latency, reused, sent);
        if let Some(address) = &mut it.address {
            address.first_byte(now, latency, reused, sent);
        }
    }

    fn done(&mut self, id: usize, status: u16) {
        let now = self.instant();
        if self.conns[id].state != State::Busy {
            return;
        }
        let late = self.late();
        let retry_after = self.model.rate.and_then(|rate| {
            rate.retry_after.map(|seconds| match rate.window {
                Some(window) => window - self.now / SECOND % window,
                None => seconds,
            })
        });
        let conn = &self.conns[id];
        let (client, host) = (conn.client, conn.host);
        let sent_at = Instant::from_nanos(conn.sent_at);
        let mut sample = Sample {
            sent_at,
            bytes: if status == 200 { conn.body } else { 100 },
            in_flight: conn.in_flight,
            reused: conn.requests > 1,
            served: status == 200,
            whole: true,
        };
        let in_flight_address = conn.in_flight_address;
        let used_up = conn.requests >= self.model.requests_per_connection;
        let second = (self.now / SECOND) as usize;
        let it = &mut self.clients[client];
        let that = &mut it.hosts[host];
        that.in_flight -= 1;
        it.in_flight -= 1;
        match status {
            200 => {
                it.stats.served += 1;
                it.stats.bytes += sample.bytes;
                it.stats.seconds[second] += 1;
                it.stats.late_served += u64::from(late);
                that.pace.success(sent_at);
            }
            429 => {
                it.stats.too_many += 1;
                it.stats.late_429 += u64::from(late);
                that.jobs += 1;
                if it.paced {
                    let pause = retry_after.map(Duration::from_secs);
                    that.pace.too_many(now, sent_at, pause, None);
                }
            }
            _ => {
                it.stats.refused += 1;
                it.stats.late_refused += u64::from(late);
                that.jobs += 1;
                let open = that.open;
                that.limit.complaint(now, Complaint::Overload503, sent_at, open);
                if let Some(address) = &mut it.address {
                    address.complaint(now, Complaint::Overload503, sent_at, it.open);
                }
            }
        }
        that.limit.done(now, &sample);
        if let Some(address) = &mut it.address {
            sample.in_flight = in_flight_address;
            address.done(now, &sample);
        }
        let that = &mut it.hosts[host];
        let surplus = that.open - that.closing > that.limit.allowed()
            || it.address.as_ref().is_some_and(|address| it.open - it.closing > address.allowed());
        if used_up {
            self.leave(id);
            self.close(id);
        } else if surplus {
            self.close(id);
        } else {
            self.conns[id].state = State::Idle;
            that.idle.push(id);
            let mut wake = u64::MAX;
            if !it.resting {
                self.step(client, host, &mut wake);
            }
            let it = &mut self.clients[client];
            if it.resting && it.in_flight == 0 {
                for host in &mut it.hosts {
                    host.limit.idle(now);
                }
            }
        }
        self.schedule(client);
    }
}
