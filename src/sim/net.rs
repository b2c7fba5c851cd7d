//! The simulated operating system: virtual time, sockets with exact edges, and the servers behind
//! them.
//!
//! Everything follows from one seed and from what the driver does. Time stands still but in
//! [`wait`](crate::net::Net::wait) (and creeps with each call, so that segments may arrive between
//! a wake-up and a read).

use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::ledger::{Asked, Ledger};
use super::request::Found;
use super::server::Server;
use super::weather::Weather;
use super::wire::{Connect, Down, End, Up, Wire};
use crate::base::Instant;
use crate::engine::{Cause, Fault};
use crate::net::{self, Read, Ready};

/// What a system call costs.
const CALL: Duration = Duration::from_nanos(300);

/// The simulated operating system with its network. See the [module](super).
pub struct Net {
    pub(super) time: Instant,
    sequence: u64,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    pub(super) random: fastrand::Rng,
    pub(super) wires: Vec<Option<Box<Wire>>>,
    /// Connections by the slot of their token.
    slots: Vec<Option<u32>>,
    pub(super) servers: Vec<Server>,
    by_address: BTreeMap<SocketAddr, usize>,
    names: BTreeMap<String, Vec<IpAddr>>,
    ready: VecDeque<u32>,
    /// What the network and the kernel do.
    pub weather: Weather,
    pub(super) ledger: Ledger,
    narrates: bool,
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
    fn push_up(&mut self, id: u32, piece: Up) {
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
    fn sweep(&mut self, id: u32) {
        let Some(wire) = self.wire(id) else { return };
        let peer_gone = wire.peer.as_ref().is_none_or(|peer| peer.closed);
        if wire.token.is_none() && peer_gone && wire.up.is_empty() && wire.down.is_empty() {
            self.wires[id as usize] = None;
        }
    }

    fn call(&mut self, operation: u8, token: usize) {
        self.time += CALL;
        self.run_due();
        self.trace(operation, token as u64);
        self.trace(operation, self.time.as_nanos());
    }

    fn trace(&mut self, operation: u8, what: u64) {
        self.ledger.note(operation, what);
    }

    fn find(&self, token: usize) -> Option<u32> {
        let id = (*self.slots.get(token & (u32::MAX as usize))?)?;
        let wire = self.wires[id as usize].as_deref()?;
        (wire.token == Some(token)).then_some(id)
    }

    /// A listener on the wire: what was asked, as the client's kernel took it.
    pub(super) fn listen(&mut self, id: u32, bytes: &[u8]) {
        let now = self.time;
        let is_tls = self.is_tls(id);
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let ledger = &mut self.ledger;
        wire.tap.feed(bytes);
        while let Some(found) = wire.tap.next(now) {
            if let (true, Found::Head(request)) = (self.narrates, &found) {
                let fields = &request.fields;
                eprintln!("{id}: asks {} {} {fields:?}", request.method, request.target);
            }
            match found {
                Found::Begun => {
                    // In TLS, tickets and alerts are such bytes too.
                    if !is_tls && wire.read > wire.whole {
                        let surplus = wire.read - wire.whole;
                        ledger.violation(format!(
                            "a request begins on connection {id}, on which {surplus} bytes were read that belong to no answer"
                        ));
                    }
                    wire.asked = Some(ledger.asked.len());
                    let first = bytes.first().copied().unwrap_or(0);
                    ledger.asked.push(Asked::new(id, first, now));
                }
                Found::Head(request) => {
                    if let Some(asked) = wire.asked.and_then(|asked| ledger.asked.get_mut(asked)) {
                        asked.method = request.method;
                        asked.target = request.target;
                    }
                }
                Found::Whole(_) => {}
                Found::Broken(why) => ledger.violation(format!("connection {id}: {why}")),
            }
        }
    }

    fn next_event(&self) -> Option<Instant> {
        self.events.peek().map(|Reverse((at, ..))| *at)
    }

    /// One of the open sockets, by lot.
    fn any_socket(&mut self) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.random.usize(0..self.slots.len());
        self.slots[slot]
    }
}

impl net::Net for Net {
    fn now(&mut self) -> Instant {
        self.time
    }

    fn open(&mut self, token: usize, address: SocketAddr) -> Result<(), Fault> {
        self.call(1, token);
        self.ledger.moved += 1;
        if self.weather.network_down {
            return Err(Fault { cause: Cause::NetworkDown, os: 101 });
        }
        let full = self.weather.descriptors.is_some_and(|most| self.ledger.open >= most);
        if full || self.chance(self.weather.exhausted) {
            self.ledger.faults += 1;
            return Err(Fault { cause: Cause::Exhausted, os: 24 });
        }
        let Some(&server) = self.by_address.get(&address) else {
            self.ledger.faults += 1;
            return Err(Fault { cause: Cause::Unreachable, os: 113 });
        };
        let slot = token & (u32::MAX as usize);
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        let id = self.wires.len() as u32;
        if self.slots[slot].replace(id).is_some() {
            self.ledger.violation(format!("token {token:x} was opened twice"));
        }
        self.wires.push(Some(Box::new(Wire::new(server, token, id))));
        self.tale(|| format!("{id}: open {address}"));
        self.ledger.opened += 1;
        self.ledger.open += 1;
        self.ledger.peak = self.ledger.peak.max(self.ledger.open);
        self.push_up(id, Up::Syn);
        Ok(())
    }

    fn established(&mut self, token: usize) -> Result<bool, Fault> {
        self.call(2, token);
        let Some(id) = self.find(token) else { return Err(Fault::new(Cause::Other)) };
        let Some(wire) = self.wire(id) else { return Err(Fault::new(Cause::Other)) };
        let connect = wire.connect;
        match connect {
            Connect::UnderWay => {
                wire.write_armed = true;
                wire.read_armed = true;
                Ok(false)
            }
            Connect::Failed(fault) => {
                self.ledger.moved += 1;
                self.ledger.faults += 1;
                Err(fault)
            }
            Connect::Established if wire.end == Some(End::Rst) => {
                // The pending error of the socket is told here, once.
                wire.end = Some(End::RstTold);
                self.ledger.moved += 1;
                self.ledger.faults += 1;
                Err(Fault { cause: Cause::Reset, os: 104 })
            }
            Connect::Established => {
                self.ledger.moved += 1;
                Ok(true)
            }
        }
    }

    fn read(&mut self, token: usize, buffer: &mut [u8]) -> Result<Read, Fault> {
        self.call(3, token);
        let Some(id) = self.find(token) else { return Err(Fault::new(Cause::Other)) };
        let partial = self.chance(self.weather.partial_reads);
        let part = self.random.usize(1..=buffer.len().max(1));
        let tells_drained = self.weather.tells_drained;
        let Some(wire) = self.wires[id as usize].as_deref_mut() else {
            return Err(Fault::new(Cause::Other));
        };
        if wire.connect != Connect::Established {
            self.ledger.violation(format!("read on connection {id} before it was established"));
            return Err(Fault::new(Cause::Other));
        }
        if buffer.is_empty() {
            self.ledger.violation(format!("read on connection {id} into nothing"));
            return Err(Fault::new(Cause::Other));
        }
        if wire.inbox.is_empty() {
            return match wire.end {
                None => {
                    wire.read_armed = true;
                    Ok(Read::Blocked)
                }
                Some(End::Fin | End::RstTold) => {
                    self.ledger.moved += 1;
                    self.tale(|| format!("{id}: read the end"));
                    Ok(Read::End)
                }
                Some(End::Rst) => {
                    wire.end = Some(End::RstTold);
                    self.ledger.moved += 1;
                    self.ledger.faults += 1;
                    self.tale(|| format!("{id}: read a reset"));
                    Err(Fault { cause: Cause::Reset, os: 104 })
                }
            };
        }
        let room = if partial { part } else { buffer.len() };
        let count = wire.inbox.len().min(room);
        for (slot, byte) in buffer.iter_mut().zip(wire.inbox.drain(..count)) {
            *slot = byte;
        }
        wire.read += count as u64;
        while let Some(&(at, status)) = wire.marks.front() {
            if at > wire.read {
                break;
            }
            wire.marks.pop_front();
            wire.whole = at;
            if let Some(asked) = wire.asked.and_then(|asked| self.ledger.asked.get_mut(asked)) {
                asked.whole = status.or(asked.whole);
            }
        }
        let short = count < buffer.len() && wire.inbox.is_empty();
        let drained = tells_drained && short && !wire.end_told && wire.end.is_none();
        if drained {
            wire.read_armed = true;
        }
        self.ledger.moved += 1;
        self.trace(30, count as u64);
        self.tale(|| format!("{id}: read {count}, drained {drained}"));
        if !self.wires[id as usize].as_ref().is_none_or(|wire| wire.down.is_empty()) {
            // There is room again for what waited for it.
            self.at(self.time, Event::Down(id));
        }
        Ok(Read::Bytes { count, drained })
    }

    fn write(&mut self, token: usize, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        self.call(4, token);
        let Some(id) = self.find(token) else { return Err(Fault::new(Cause::Other)) };
        let partial = self.chance(self.weather.partial_writes);
        let part = self.random.usize(1..=bytes.len().max(1));
        let buffer = self.weather.send_buffer;
        let Some(wire) = self.wires[id as usize].as_deref_mut() else {
            return Err(Fault::new(Cause::Other));
        };
        if wire.connect != Connect::Established || wire.finished {
            self.ledger.violation(format!("write on connection {id} in no state for it"));
            return Err(Fault::new(Cause::Other));
        }
        if bytes.is_empty() {
            self.ledger.violation(format!("write of nothing on connection {id}"));
        }
        if let Some(End::Rst | End::RstTold) = wire.end {
            self.ledger.moved += 1;
            self.ledger.faults += 1;
            return Err(Fault { cause: Cause::Reset, os: 32 });
        }
        let space = buffer.saturating_sub(wire.up_bytes);
        if space == 0 {
            wire.write_armed = true;
            return Ok(None);
        }
        let count = bytes.len().min(space).min(if partial { part } else { usize::MAX });
        wire.up_bytes += count;
        self.ledger.writes += 1;
        let taken = bytes[..count].to_vec();
        if !self.is_tls(id) {
            self.listen(id, &taken);
        }
        self.push_up(id, Up::Bytes(taken));
        self.ledger.moved += 1;
        self.trace(40, count as u64);
        self.tale(|| format!("{id}: wrote {count} of {}", bytes.len()));
        Ok(Some(count))
    }

    fn finish(&mut self, token: usize) {
        self.call(5, token);
        self.ledger.moved += 1;
        let Some(id) = self.find(token) else { return };
        let Some(wire) = self.wire(id) else { return };
        if !core::mem::replace(&mut wire.finished, true) {
            self.push_up(id, Up::Fin);
        }
    }

    fn close(&mut self, token: usize, reset: bool) {
        self.call(6, token);
        self.ledger.moved += 1;
        let Some(id) = self.find(token) else { return };
        let Some(wire) = self.wire(id) else { return };
        wire.token = None;
        let finished = wire.finished;
        self.tale(|| format!("{id}: close, reset {reset}"));
        self.slots[token & (u32::MAX as usize)] = None;
        self.ledger.open -= 1;
        if reset {
            self.push_up(id, Up::Rst);
        } else if !finished {
            self.push_up(id, Up::Fin);
        }
        self.sweep(id);
    }

    fn wait_rested(
        &mut self,
        rest: Duration,
        timeout: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> Result<bool, Fault> {
        let more = self.wait(Some(Duration::ZERO), ready)?;
        if more || !ready.is_empty() {
            return Ok(more);
        }
        self.time += rest;
        self.wait(timeout, ready)
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<bool, Fault> {
        self.call(7, 0);
        self.ledger.waits += 1;
        let until = timeout.map_or(Instant::NEVER, |timeout| self.time + timeout);
        if self.chance(self.weather.interrupts) {
            self.ledger.moved += 1;
            return Ok(false);
        }
        if self.chance(self.weather.spurious)
            && let Some(id) = self.any_socket()
            && let Some(wire) = self.wires[id as usize].as_deref()
            && let Some(token) = wire.token
        {
            self.ledger.moved += 1;
            ready.push(Ready { token, readable: true, writable: true });
        }
        while self.ready.is_empty() && ready.is_empty() {
            match self.next_event() {
                Some(at) if at <= until => {
                    self.time = self.time.max(at);
                    self.run_due();
                }
                _ => {
                    if until == Instant::NEVER {
                        self.ledger.stuck = true;
                    } else if until > self.time {
                        self.time = until;
                        self.ledger.moved += 1;
                    }
                    break;
                }
            }
        }
        if !self.weather.gather.is_zero() {
            let late = self.up_to(self.weather.gather);
            self.time += late;
        }
        if self.chance(self.weather.sleeps) {
            let late = self.up_to(self.weather.sleep_most);
            self.time += late;
            self.ledger.faults += 1;
        }
        self.run_due();
        let batch = self.weather.batch.max(1);
        while ready.len() < batch
            && let Some(id) = self.ready.pop_front()
        {
            let all = self.chance(self.weather.full_mask);
            let send_buffer = self.weather.send_buffer;
            let Some(wire) = self.wire(id) else { continue };
            wire.queued = false;
            let mut readable = core::mem::take(&mut wire.readable);
            let mut writable = core::mem::take(&mut wire.writable);
            let Some(token) = wire.token else { continue };
            let established = wire.connect == Connect::Established;
            if all && established {
                // As epoll does: an edge in one direction tells the state of both.
                readable |= !wire.inbox.is_empty() || wire.end.is_some();
                writable |= wire.up_bytes < send_buffer;
            }
            wire.end_told |= wire.end.is_some();
            self.tale(|| format!("{id}: ready to read {readable}, to write {writable}"));
            self.trace(70, token as u64);
            self.trace(71, u64::from(readable) * 2 + u64::from(writable));
            self.ledger.moved += 1;
            ready.push(Ready { token, readable, writable });
        }
        Ok(!self.ready.is_empty())
    }
}
