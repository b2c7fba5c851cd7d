//! The pump: bytes from a link's socket to the engine, and from the engine to the socket.
//!
//! Reads before it writes, as often as the read budget allows; sends straight from shared buffers
//! and keeps with the link only what the peer did not take. Knows of TLS only that bytes go through
//! it on their way.

use core::net::SocketAddr;

use super::super::link::Finishing;
use super::super::tap::What;
use super::{Driver, Pumped};
use crate::engine::{ConnKey, Fault, Handler, Loss, Next};
use crate::net::{Net, Read};
use crate::proto::wire::End;

/// What one read may bring at first.
const FIRST_BUFFER: usize = 16 * 1024;

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
        if self.pump_reads(key, handler) == Pumped::Gone {
            return;
        }
        if self.flush(key, handler) == Pumped::Gone {
            return;
        }
        self.heat(key);
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

    /// Reads until nothing is there, the engine wants no more, or the budget is spent.
    fn pump_reads(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        for _ in 0..self.config.read_budget {
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

    /// One read into the shared buffer, behind the part of a record that is held.
    fn read_once(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        let mut buffer = self.take_buffer();
        let held = self.unpark(key, &mut buffer);
        let room = buffer.get_mut(held..).unwrap_or_default();
        let size = room.len();
        let mut full = false;
        let pumped = match self.net.read(key.pack(), room) {
            Ok(Read::Bytes { count, drained }) => {
                full = count == size;
                if let Some(link) = self.link(key) {
                    link.readable = !drained;
                }
                let filled = buffer.get_mut(..held + count).unwrap_or_default();
                self.deliver(key, filled, handler)
            }
            Ok(Read::Blocked) => {
                self.park(key, buffer.get(..held).unwrap_or_default());
                match self.link(key) {
                    None => Pumped::Gone,
                    Some(link) => {
                        link.readable = false;
                        let broken = link.broken;
                        self.lose_broken(key, broken, handler)
                    }
                }
            }
            Ok(Read::End) => {
                self.end(key, handler);
                Pumped::Gone
            }
            Err(fault) => {
                self.tap(key, What::End(End::Reset));
                self.engine.lost(key, Loss::Fault(fault), self.now, handler);
                Pumped::Gone
            }
        };
        self.return_buffer(buffer, full);
        pumped
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

    /// Hands plaintext to the engine, and notes what it wants.
    pub(super) fn plaintext(
        &mut self,
        key: ConnKey,
        bytes: &[u8],
        handler: &mut dyn Handler,
    ) -> Pumped {
        self.tap(key, What::Received(bytes));
        match self.engine.received(key, bytes, self.now, handler) {
            Next::Read => Pumped::Here,
            Next::Pause => {
                if let Some(link) = self.link(key) {
                    link.paused = true;
                }
                Pumped::Here
            }
            Next::Gone => Pumped::Gone,
        }
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
