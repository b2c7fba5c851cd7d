//! The pump: bytes from a link's socket to the engine, and from the engine to the socket.
//!
//! Reads before it writes, as often as the read budget allows; sends straight from shared buffers
//! and keeps with the link only what the peer did not take. Knows of TLS only that bytes go through
//! it on their way.

use core::net::SocketAddr;

use super::super::link::Finishing;
use super::super::tap::What;
use super::{Driver, Pumped};
use crate::engine::{ConnKey, Fault, Handler, Loss, Next, Outcome};
use crate::net::{Net, Read};
use crate::proto::wire::End;

/// What one read may bring at first.
const FIRST_BUFFER: usize = 32 * 1024;
/// What reads bring together before it is handed on: less than the fastest cache has, so that it is still
/// there, and the last one of them has as much room again.
const ENOUGH: usize = 16 * 1024;

/// What a read brought.
#[derive(Clone, Copy, Debug)]
pub(super) enum Brought {
    /// This part of the buffer; `filled`: there may be more where it came from.
    Bytes {
        from: usize,
        to: usize,
        filled: bool,
    },
    Nothing,
    End,
    Fault(Fault),
}

impl<N: Net> Driver<N> {
    /// Reads first, then writes: the peer may have answered, or gone, before we send.
    pub(super) fn pump(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        let Some(link) = self.link(key) else { return };
        if !link.connected {
            if self.connect(key, handler) == Pumped::Gone {
                return;
            }
            if self.engine.is_securing(key) {
                // What came along with the connection is TLS's: the session is on its way.
                return;
            }
        }
        self.pump_on(key, self.config.read_budget, handler);
    }

    /// The same for a link that is established, with so many reads at most.
    fn pump_on(&mut self, key: ConnKey, reads: u32, handler: &mut dyn Handler) {
        if self.pump_reads(key, reads, handler) == Pumped::Gone {
            return;
        }
        if self.flush(key, handler) == Pumped::Gone {
            return;
        }
        self.heat(key);
    }

    /// One read for each of the hot links in front, `most` of them at most, as long as they are established and
    /// have something to read: one behind the other into the shared buffer, and only then what they
    /// brought. The ways through the system and through the engine are each longer than the processor's cache for
    /// instructions, and this way they don't drive each other out of it. How many it took from the list.
    pub(super) fn pump_together(&mut self, most: usize, handler: &mut dyn Handler) -> usize {
        let mut brought = core::mem::take(&mut self.brought);
        let mut buffer = self.take_buffer();
        // Of the size that was asked for: what a held record has made the buffer larger by is no room to
        // begin in, or it would grow by as much again.
        let enough = (buffer.len().min(self.config.read_buffer) / 2).min(ENOUGH);
        let most = most.min(self.budget.stride() as usize);
        let (mut at, mut full, mut gone) = (0, false, 0);
        while at < enough
            && brought.len() + gone < most
            && let Some(&key) = self.hot.front()
        {
            match self.link(key) {
                None => gone += 1,
                Some(link) if link.has_data() => {
                    link.hot = false;
                    let what = self.read_into(key, &mut buffer, at);
                    if let Brought::Bytes { to, filled, .. } = what {
                        at = to;
                        full |= filled;
                    }
                    brought.push((key, what));
                }
                Some(_) => break,
            }
            self.hot.pop_front();
        }
        for &(key, what) in &brought {
            self.hand_on(key, what, &mut buffer, handler);
        }
        self.return_buffer(buffer, full);
        let mut outcomes = core::mem::take(&mut self.outcomes);
        for (key, outcome) in outcomes.drain(..) {
            self.settle(key, outcome, handler);
        }
        self.outcomes = outcomes;
        let taken = brought.len() + gone;
        // Whoever has more to do goes on alone.
        for (key, _) in brought.drain(..) {
            self.count();
            if self.link(key).is_some_and(|link| link.has_work()) {
                self.pump_on(key, self.config.read_budget.saturating_sub(1), handler);
            }
        }
        self.brought = brought;
        taken
    }

    /// Completes connecting, after an edge.
    fn connect(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        match self.net.established(key.pack()) {
            Ok(true) => {
                if let Some(link) = self.link(key) {
                    link.connected = true;
                    let remote = link.remote;
                    self.dialled(remote, true);
                    if self.tap.is_some() {
                        let local = self.net.local(key.pack());
                        self.tap(key, What::Connected { remote, local });
                    }
                }
                self.engine.connected(key, self.now, handler);
                Pumped::Here
            }
            Ok(false) => {
                if let Some(link) = self.link(key) {
                    link.readable = false;
                    link.writable = false;
                }
                Pumped::Gone
            }
            Err(fault) => {
                if let Some(link) = self.link(key) {
                    let remote = link.remote;
                    self.dialled(remote, false);
                }
                self.engine.lost(key, Loss::Fault(fault), self.now, handler);
                Pumped::Gone
            }
        }
    }

    /// An address did or did not connect: the resolver's order of addresses learns from it.
    #[cfg(feature = "dns")]
    pub(super) fn dialled(&mut self, remote: SocketAddr, works: bool) {
        if let Some(names) = &mut self.names {
            names.dialled(remote, works, self.now);
        }
    }

    #[cfg(not(feature = "dns"))]
    #[expect(clippy::unused_self, reason = "called as where there is a resolver")]
    pub(super) const fn dialled(&self, _: SocketAddr, _: bool) {}

    /// Reads until nothing is there, the engine wants no more, or `most` is reached.
    fn pump_reads(&mut self, key: ConnKey, most: u32, handler: &mut dyn Handler) -> Pumped {
        for _ in 0..most {
            let Some(link) = self.link(key) else { return Pumped::Gone };
            if !link.readable || link.paused {
                return Pumped::Here;
            }
            if self.read_once(key, handler) == Pumped::Gone {
                return Pumped::Gone;
            }
        }
        Pumped::Here
    }

    /// The shared buffer, small at first: short answers never touch the pages of a large one.
    #[inline]
    pub(in crate::net) fn take_buffer(&mut self) -> Vec<u8> {
        let buffer = core::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            return vec![0; self.config.read_buffer.min(FIRST_BUFFER)];
        }
        buffer
    }

    /// Puts it back; twice as large, up to its bound, where a read has filled it.
    fn return_buffer(&mut self, mut buffer: Vec<u8>, full: bool) {
        let most = self.config.read_buffer;
        if full && buffer.len() < most {
            let larger = (buffer.len() * 2).min(most);
            // Never both at once.
            drop(buffer);
            buffer = vec![0; larger];
        }
        self.buffer = buffer;
    }

    /// One read into the shared buffer, and what it brought.
    fn read_once(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        let mut buffer = self.take_buffer();
        let brought = self.read_into(key, &mut buffer, 0);
        let mut pumped = self.hand_on(key, brought, &mut buffer, handler);
        if pumped == Pumped::Here {
            pumped = self.settle_last(key, handler);
        }
        self.return_buffer(buffer, matches!(brought, Brought::Bytes { filled: true, .. }));
        pumped
    }

    /// One read into a buffer from `from` on, behind the part of a record that is held.
    fn read_into(&mut self, key: ConnKey, buffer: &mut Vec<u8>, from: usize) -> Brought {
        let held = self.unpark(key, buffer, from);
        let room = buffer.get_mut(from + held..).unwrap_or_default();
        let size = room.len();
        match self.net.read(key.pack(), room) {
            Ok(Read::Bytes { count, drained }) => {
                if let Some(link) = self.link(key) {
                    link.readable = !drained;
                }
                Brought::Bytes { from, to: from + held + count, filled: count == size }
            }
            Ok(Read::Blocked) => {
                self.park(key, buffer.get(from..from + held).unwrap_or_default());
                if let Some(link) = self.link(key) {
                    link.readable = false;
                }
                Brought::Nothing
            }
            Ok(Read::End) => Brought::End,
            Err(fault) => Brought::Fault(fault),
        }
    }

    /// Hands on what a read into this buffer brought. What bytes come to is left to be settled.
    fn hand_on(
        &mut self,
        key: ConnKey,
        brought: Brought,
        buffer: &mut [u8],
        handler: &mut dyn Handler,
    ) -> Pumped {
        match brought {
            Brought::Bytes { from, to, .. } => {
                self.deliver(key, buffer.get_mut(from..to).unwrap_or_default(), handler)
            }
            Brought::Nothing => match self.link(key) {
                None => Pumped::Gone,
                Some(link) => {
                    let broken = link.broken;
                    self.lose_broken(key, broken, handler)
                }
            },
            Brought::End => {
                self.end(key, handler);
                Pumped::Gone
            }
            Brought::Fault(fault) => {
                self.tap(key, What::End(End::Reset));
                self.engine.lost(key, Loss::Fault(fault), self.now, handler);
                Pumped::Gone
            }
        }
    }

    /// A write failed, and all that came before it has been read: the connection is lost.
    fn lose_broken(
        &mut self,
        key: ConnKey,
        broken: Option<Fault>,
        handler: &mut dyn Handler,
    ) -> Pumped {
        let Some(fault) = broken else { return Pumped::Here };
        self.engine.lost(key, Loss::Fault(fault), self.now, handler);
        Pumped::Gone
    }

    /// The peer's end, as the engine is to see it.
    fn end(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        if self.end_secured(key, handler) {
            return;
        }
        self.tap(key, What::End(End::Eof));
        self.engine.ended(key, true, self.now, handler);
    }

    /// Hands plaintext to the engine. What it comes to is left to be settled.
    pub(super) fn plaintext(
        &mut self,
        key: ConnKey,
        bytes: &[u8],
        handler: &mut dyn Handler,
    ) -> Pumped {
        if self.settle_last(key, handler) == Pumped::Gone {
            return Pumped::Gone;
        }
        self.tap(key, What::Received(bytes));
        let outcome = self.engine.take(key, bytes, self.now, handler);
        self.outcomes.push((key, outcome));
        Pumped::Here
    }

    /// Settles what this connection's input came to, if that waits.
    pub(super) fn settle_last(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        match self.outcomes.pop_if(|(waits, _)| *waits == key) {
            None => Pumped::Here,
            Some((_, outcome)) => self.settle(key, outcome, handler),
        }
    }

    /// Notes what the engine wants after input.
    fn settle(&mut self, key: ConnKey, outcome: Outcome, handler: &mut dyn Handler) -> Pumped {
        let next = self.engine.settle(key, outcome, self.now, handler);
        let Some(link) = self.link(key).filter(|_| next != Next::Gone) else { return Pumped::Gone };
        // A pause ends with its answer: the rest of that may have come in the same read, over TLS.
        link.paused = next == Next::Pause;
        Pumped::Here
    }

    /// Sends what is unsent, then what the engine has, then our end.
    pub(super) fn flush(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        loop {
            let Some(link) = self.link(key) else { return Pumped::Gone };
            if !link.writable || !link.connected || link.broken.is_some() {
                return Pumped::Here;
            }
            if !link.is_flushed() && !Self::goes_along(link) {
                if self.write_unsent(key, handler) == Pumped::Gone {
                    return Pumped::Gone;
                }
                continue;
            }
            if link.finishing == Finishing::Wanted {
                link.finishing = Finishing::Sent;
                self.net.finish(key.pack());
                return Pumped::Here;
            }
            if !core::mem::take(&mut link.transmit) {
                return Pumped::Here;
            }
            if self.transmit(key, handler) == Pumped::Gone {
                return Pumped::Gone;
            }
        }
    }

    /// Asks the engine what to send, and sends it straight from the shared buffer; only what the
    /// peer does not take is kept with the link.
    fn transmit(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        let mut plain = core::mem::take(&mut self.plain);
        plain.clear();
        self.engine.outgoing(key, &mut plain, self.now, handler);
        let pumped = if plain.is_empty() {
            Pumped::Here
        } else {
            self.tap(key, What::Sent(&plain));
            self.send(key, &plain, handler)
        };
        self.plain = plain;
        pumped
    }

    /// Writes bytes that were just made; `own` at their front are TLS's own, `request` of the rest
    /// the request's.
    pub(super) fn write_fresh(
        &mut self,
        key: ConnKey,
        bytes: &[u8],
        (own, request): (usize, usize),
        handler: &mut dyn Handler,
    ) -> Pumped {
        match self.net.write(key.pack(), bytes) {
            Ok(Some(count)) if count == bytes.len() => {
                self.engine.wrote(key, request, true, self.now);
                Pumped::Here
            }
            Ok(taken) => {
                let count = taken.unwrap_or(0);
                let of_request = count.saturating_sub(own).min(request);
                let Some(link) = self.link(key) else { return Pumped::Gone };
                // A short write blocks: an edge tells when there is room again. Some systems take
                // a short piece without blocking; the next attempt then finds out.
                link.writable = taken.is_some();
                link.unsent.clear();
                link.unsent.extend_from_slice(bytes.get(count..).unwrap_or_default());
                link.unsent_at = 0;
                link.unsent_request = true;
                if of_request > 0 {
                    self.engine.wrote(key, of_request, false, self.now);
                }
                Pumped::Here
            }
            Err(fault) => self.write_failed(key, fault, handler),
        }
    }

    fn write_unsent(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        let Some(Some(link)) = self.links.get_mut(key.index()) else { return Pumped::Gone };
        let rest = link.unsent.get(link.unsent_at..).unwrap_or_default();
        match self.net.write(key.pack(), rest) {
            Ok(Some(count)) => {
                link.unsent_at += count;
                let flushed = link.is_flushed();
                let request = link.unsent_request;
                if flushed {
                    link.unsent = Vec::new();
                    link.unsent_at = 0;
                    link.unsent_request = false;
                }
                if request {
                    self.engine.wrote(key, count, flushed, self.now);
                }
                Pumped::Here
            }
            Ok(None) => {
                link.writable = false;
                Pumped::Here
            }
            Err(fault) => self.write_failed(key, fault, handler),
        }
    }

    /// A write error is not final: the peer may have answered before it closed.
    fn write_failed(&mut self, key: ConnKey, fault: Fault, handler: &mut dyn Handler) -> Pumped {
        let Some(link) = self.link(key) else { return Pumped::Gone };
        link.broken = Some(fault);
        link.unsent = Vec::new();
        link.unsent_at = 0;
        link.readable = true;
        link.paused = false;
        loop {
            match self.link(key) {
                None => return Pumped::Gone,
                Some(link) if !link.readable => return Pumped::Here,
                Some(_) => {}
            }
            if self.read_once(key, handler) == Pumped::Gone {
                return Pumped::Gone;
            }
        }
    }
}
