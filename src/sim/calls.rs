//! The system calls of the simulated operating system, as the driver makes them.
//!
//! Owns what each call returns in which state of a socket, and the rules that a driver must keep:
//! whatever no correct one does (a read before the connection is established, a write of nothing)
//! is a violation. Each call takes a little time, so that segments may arrive between a wake-up and
//! a read.

use core::net::SocketAddr;
use core::time::Duration;

use super::ledger::Asked;
use super::net::{Event, Net};
use super::request::Found;
use super::wire::{Connect, End, Up, Wire};
use crate::base::Instant;
use crate::engine::{Cause, Fault};
use crate::net::{self, Read, Ready};

/// What a system call costs.
const CALL: Duration = Duration::from_nanos(300);

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

impl Net {
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

    /// One of the open sockets, by lot.
    fn any_socket(&mut self) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.random.usize(0..self.slots.len());
        self.slots[slot]
    }
}
