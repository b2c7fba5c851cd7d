//! The simulated operating system: virtual time, the events in it, and the network between sockets
//! and the servers behind them.
//!
//! Owns the clock, the order of events and the way of segments. Everything follows from one seed and
//! from what the driver does; time stands still but in [`wait`](crate::net::Net::wait), and creeps
//! with each call. What the calls return is in `calls`, the state of one socket in `wire`.

use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::ledger::Ledger;
use super::server::Server;
use super::weather::Weather;
use super::wire::{Down, Up, Wire};
use crate::base::Instant;

/// The simulated operating system with its network. See the [module](super).
pub struct Net {
    pub(super) time: Instant,
    sequence: u64,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    pub(super) random: fastrand::Rng,
    pub(super) wires: Vec<Option<Box<Wire>>>,
    /// Connections by the slot of their token.
    pub(super) slots: Vec<Option<u32>>,
    pub(super) servers: Vec<Server>,
    pub(super) by_address: BTreeMap<SocketAddr, usize>,
    names: BTreeMap<String, Vec<IpAddr>>,
    pub(super) ready: VecDeque<u32>,
    /// What the network and the kernel do.
    pub weather: Weather,
    pub(super) ledger: Ledger,
    pub(super) narrates: bool,
}

/// What happens at a point in time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Event {
    /// Something reaches the server.
    Up(u32),
    /// Something reaches the client.
    Down(u32),
    /// A server's wait is over.
    Step(u32, u32),
    /// A server's patience with an idle connection is over.
    Idle(u32, u32),
}

impl core::fmt::Debug for Net {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Net")
            .field("time", &self.time)
            .field("connections", &self.ledger.open)
            .finish_non_exhaustive()
    }
}

impl Net {
    /// A network without servers.
    pub fn new(seed: u64) -> Self {
        Self {
            time: Instant::ZERO,
            sequence: 0,
            events: BinaryHeap::new(),
            random: fastrand::Rng::with_seed(seed),
            wires: Vec::new(),
            slots: Vec::new(),
            servers: Vec::new(),
            by_address: BTreeMap::new(),
            names: BTreeMap::new(),
            ready: VecDeque::new(),
            weather: Weather::fair(),
            ledger: Ledger::default(),
            narrates: false,
        }
    }

    /// Tells on standard error what is going on, call by call.
    pub fn narrate(&mut self, yes: bool) {
        self.narrates = yes;
    }

    pub(super) fn tale(&self, what: impl FnOnce() -> String) {
        if self.narrates {
            eprintln!("{:>14} {}", self.time.as_nanos(), what());
        }
    }

    /// Puts a server at an address, in place of any that was there.
    pub fn serve(&mut self, address: SocketAddr, server: Server) {
        self.by_address.insert(address, self.servers.len());
        self.servers.push(server);
    }

    /// Lets a name stand for these addresses; [`run`](super::run) looks them up.
    pub fn name(&mut self, name: &str, addresses: &[IpAddr]) {
        self.names.insert(name.to_owned(), addresses.to_vec());
    }

    pub(super) fn addresses_of(&self, name: &str) -> &[IpAddr] {
        self.names.get(name).map_or(&[], Vec::as_slice)
    }

    /// The server at an address.
    pub fn server(&self, address: SocketAddr) -> Option<&Server> {
        self.by_address.get(&address).map(|&server| &self.servers[server])
    }

    /// The server at an address, to be changed while it runs.
    pub fn server_mut(&mut self, address: SocketAddr) -> Option<&mut Server> {
        self.by_address.get(&address).map(|&server| &mut self.servers[server])
    }

    /// All servers, in the order in which they were put there.
    pub fn servers_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        self.servers.iter_mut()
    }

    /// What happened so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Lets every server close the connections that it holds (a restart): those that are idle with
    /// a FIN, those on which it was answering with a RST.
    pub fn restart_servers(&mut self) {
        for id in 0..self.wires.len() as u32 {
            let answering =
                self.peer(id).is_some_and(|peer| peer.stalled || !peer.steps.is_empty());
            self.end_of(id, if answering { super::How::Reset } else { super::How::Fin });
        }
        self.run_due();
    }

    /// Lets servers that were deaf look at what has arrived meanwhile.
    pub fn stir(&mut self) {
        for id in 0..self.wires.len() as u32 {
            if self.wire(id).is_some() {
                self.at(self.time, Event::Up(id));
            }
        }
    }

    pub(super) fn wire(&mut self, id: u32) -> Option<&mut Wire> {
        self.wires.get_mut(id as usize)?.as_deref_mut()
    }

    pub(super) fn at(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    pub(super) fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.random.u32(0..1000) < permille
    }

    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.random.u64(0..=nanos))
    }

    /// Sends a segment to the server.
    pub(super) fn push_up(&mut self, id: u32, piece: Up) {
        let jitter = self.up_to(self.weather.jitter);
        let now = self.time;
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let server = &mut self.servers[wire.server];
        // All that goes to one server stays in order: it never counts more connections than the
        // client had at one time.
        let at = (now + server.latency + jitter).max(server.last_arrival);
        server.last_arrival = at;
        wire.up.push_back((at, piece));
        self.at(at, Event::Up(id));
    }

    /// Sends a segment to the client.
    pub(super) fn push_down(&mut self, id: u32, piece: Down) {
        let jitter = self.up_to(self.weather.jitter);
        let now = self.time;
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let latency = self.servers[wire.server].latency;
        let at = match piece {
            // A mark on the byte before it.
            Down::Whole(_) => wire.down_last,
            _ => (now + latency + jitter).max(wire.down_last),
        };
        wire.down_last = at;
        wire.down.push_back((at, piece));
        self.at(at, Event::Down(id));
    }

    pub(super) fn next_event(&self) -> Option<Instant> {
        self.events.peek().map(|Reverse((at, ..))| *at)
    }

    /// Handles all that is due.
    pub(super) fn run_due(&mut self) {
        while let Some(Reverse((at, _, event))) = self.events.peek().copied() {
            if at > self.time {
                break;
            }
            self.events.pop();
            self.ledger.moved += 1;
            match event {
                Event::Up(id) => self.arrive_up(id),
                Event::Down(id) => self.arrive_down(id),
                Event::Step(id, generation) => self.step_due(id, generation),
                Event::Idle(id, generation) => self.idle_due(id, generation),
            }
        }
    }

    fn arrive_down(&mut self, id: u32) {
        let (now, window) = (self.time, self.weather.window);
        let Some(wire) = self.wire(id) else { return };
        let refused = wire.arrive(now, window);
        self.tell(id);
        if refused {
            self.push_up(id, Up::Rst);
        }
    }

    /// Queues the edges of a connection, if there are any.
    fn tell(&mut self, id: u32) {
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        if (wire.readable || wire.writable) && !wire.queued {
            wire.queued = true;
            self.ready.push_back(id);
        }
    }

    fn arrive_up(&mut self, id: u32) {
        loop {
            let now = self.time;
            let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
            if wire.up.front().is_none_or(|(at, _)| *at > now) {
                break;
            }
            if self.servers[wire.server].deaf && matches!(wire.up.front(), Some((_, Up::Bytes(_))))
            {
                // Only a RST does not wait until it is read.
                let is_rst = |(at, piece): &(Instant, Up)| *at <= now && matches!(piece, Up::Rst);
                if wire.up.iter().any(is_rst) {
                    wire.up.clear();
                    self.peer_gone(id);
                }
                break;
            }
            let Some((_, piece)) = wire.up.pop_front() else { break };
            if let Up::Bytes(bytes) = &piece {
                wire.up_bytes -= bytes.len();
                wire.edge(false, true);
                self.tell(id);
            }
            match piece {
                Up::Syn => self.syn(id),
                Up::Bytes(bytes) => self.peer_input(id, &bytes),
                Up::Fin => self.peer_fin(id),
                Up::Rst => self.peer_gone(id),
            }
        }
        self.sweep(id);
    }

    /// Forgets a connection of which nobody knows any more.
    pub(super) fn sweep(&mut self, id: u32) {
        let Some(wire) = self.wire(id) else { return };
        let peer_gone = wire.peer.as_ref().is_none_or(|peer| peer.closed);
        if wire.token.is_none() && peer_gone && wire.up.is_empty() && wire.down.is_empty() {
            self.wires[id as usize] = None;
        }
    }
}
