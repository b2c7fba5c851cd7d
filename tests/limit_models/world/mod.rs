//! A world of servers and clients in virtual time: events in a heap, no sockets, no clock.
//!
//! `model` says what a server is like, `server` does it, `client` is who asks. A client here does
//! what the engine does with a limit: connections take jobs late, stay open, count until the server
//! has seen them go, and close after their answer when they are too many.

mod client;
mod model;
mod server;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use gannet::base::Instant;
use gannet::engine::limit::{Complaint, Limit};
use gannet::engine::pace::Pace;

pub(crate) use model::{Beyond, Model, RateLimit, Spread};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

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
    /// What shares a server that thrashes comes further.
    Tick,
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
    /// It has had an answer; a worker is its own.
    answered: bool,
    /// It was seen whether it stays.
    settled: bool,
    has_worker: bool,
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
    /// Connections that wait for their first answer, and that have had one.
    unheard: u32,
    served_on: u32,
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
    /// Connections that were refused with no request on them.
    pub(crate) late_turned_away: u64,
    pub(crate) late_429: u64,
    /// Both, from the start.
    pub(crate) refused: u64,
    pub(crate) too_many: u64,
    late_latency: u64,
    /// The longest that anything waited for its answer, in nanoseconds.
    longest: u64,
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

    /// The longest that anything waited for its answer, be it there or not, in seconds.
    pub(crate) fn longest_seconds(&self) -> f64 {
        self.longest as f64 / SECOND as f64
    }

    /// Part of the requests after the first quarter that met a refusal.
    pub(crate) fn refused_part(&self) -> f64 {
        self.late_refused as f64 / (self.late_served + self.late_refused).max(1) as f64
    }

    /// Connections that were refused with no request on them, as a part of the requests after the first quarter.
    pub(crate) fn turned_away_part(&self) -> f64 {
        self.late_turned_away as f64 / (self.late_served + self.late_refused).max(1) as f64
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
                unheard: 0,
                served_on: 0,
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
    /// What is under way where all share, and how much work is left of each.
    under_way: Vec<(usize, u64)>,
    link: VecDeque<(usize, u64)>,
    link_busy: bool,
    /// Connections that have a worker of their own.
    holders: u32,
    /// When the requests of the last second were accepted.
    accepted: VecDeque<u64>,
    tokens: f64,
    tokens_at: u64,
}

const CHUNK: u64 = 16 * 1024;
const TICK: u64 = MS;

impl World {
    pub(crate) fn new(model: &Model, seed: u64) -> Self {
        Self {
            tokens: model.rate.map_or(0.0, |rate| rate.burst as f64 - model.used_up as f64),
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
            under_way: Vec::new(),
            link: VecDeque::new(),
            link_busy: false,
            holders: 0,
            accepted: VecDeque::new(),
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
        for conn in self.conns.iter().filter(|conn| conn.state == State::Busy) {
            let stats = &mut self.clients[conn.client].stats;
            stats.longest = stats.longest.max(self.end - conn.sent_at);
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

    fn event(&mut self, event: Event) {
        let half = self.model.rtt * 500;
        match event {
            Event::Arrive(id) => self.arrive(id),
            Event::Request(id) => self.request(id),
            Event::Worked(id) => self.worked(id),
            Event::Tick => self.tick(),
            Event::Chunk => self.chunk(),
            Event::Fin(id) => {
                self.leave(id);
                self.after(half, Event::Gone(id));
            }
            Event::Recount => self.recount(),
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
}
