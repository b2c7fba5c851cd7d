//! Opening a connection to a host with several addresses: a staggered race (RFC 8305).
//!
//! Owns the order of the addresses and the time of the next start; knows nothing of what becomes
//! of the winner. A race takes one slot of its host's cap whatever its size; its further sockets
//! count against the global cap only, and are closed before a byte is sent on them.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::Kind;
use super::conn::ConnKey;
use super::error::{Cause, Fault};
use super::host::Host;
use crate::base::{Instant, Key};

/// A race.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) host: Key<Host>,
    /// All addresses, the most promising first.
    addresses: Vec<SocketAddr>,
    /// How many of them were started.
    begun: usize,
    /// The sockets that are still opening.
    pub(super) racers: Vec<ConnKey>,
    pub(super) started: Instant,
    /// When the whole attempt is given up.
    pub(super) until: Instant,
    /// When the next address may start beside the ones before it.
    next_start: Instant,
    /// When the last one was started.
    last_start: Instant,
    pub(super) dns: Duration,
    pub(super) dns_stale: bool,
    /// The worst that an address answered: what is told when all have failed.
    last: Option<(SocketAddr, Fault)>,
    /// An address was left out because the embedder forbade it.
    pub(super) refused: Option<SocketAddr>,
}

impl Dial {
    /// A race over `addresses`, of which `first` (the winner of the last one) starts first.
    pub(super) fn new(
        host: Key<Host>,
        addresses: &[SocketAddr],
        first: usize,
        now: Instant,
        until: Instant,
        (dns, dns_stale): (Duration, bool),
    ) -> Self {
        let mut order = Vec::with_capacity(addresses.len());
        order.extend(addresses.get(first));
        order.extend(addresses.iter().enumerate().filter(|&(n, _)| n != first).map(|(_, a)| *a));
        Self {
            host,
            addresses: order,
            begun: 0,
            racers: Vec::new(),
            started: now,
            until,
            next_start: now,
            last_start: now,
            dns,
            dns_stale,
            last: None,
            refused: None,
        }
    }

    /// The next address, if one is left.
    pub(super) fn next(&mut self, now: Instant, stagger: Duration) -> Option<SocketAddr> {
        let address = *self.addresses.get(self.begun)?;
        self.begun += 1;
        self.next_start = now + stagger;
        self.last_start = now;
        Some(address)
    }

    /// The socket that had its share of the race's time and said nothing, oldest first.
    pub(super) fn silent(&self, now: Instant) -> Option<ConnKey> {
        (self.share_until() <= now).then(|| self.racers.first().copied())?
    }

    /// When the share of the address that was started last ends.
    fn share_until(&self) -> Instant {
        let addresses = u32::try_from(self.addresses.len()).map_or(u32::MAX, |count| count.max(1));
        self.last_start + (self.until - self.started) / addresses
    }

    /// Whether an address is left that was not started.
    pub(super) fn has_more(&self) -> bool {
        self.begun < self.addresses.len()
    }

    /// When the race wants to be woken.
    pub(super) fn deadline(&self) -> Instant {
        if self.has_more() { self.next_start.min(self.until) } else { self.until }
    }

    /// Puts off the next start: there was no room for a further socket.
    pub(super) fn postpone(&mut self, now: Instant, stagger: Duration) {
        self.next_start = (now + stagger).min(self.share_until().max(now));
    }

    /// One socket failed.
    pub(super) fn lost(&mut self, racer: ConnKey, address: SocketAddr, fault: Fault) {
        self.racers.retain(|&other| other != racer);
        // A refusal says more than an address without a route, and a reset, by one that lives, more
        // than either.
        let says = |cause| match cause {
            Cause::Reset => 2,
            Cause::Refused => 1,
            _ => 0,
        };
        if self.last.is_none_or(|(_, last)| says(last.cause) <= says(fault.cause)) {
            self.last = Some((address, fault));
        }
    }

    /// Whether what is told is that the peer accepted and reset.
    pub(super) fn was_reset(&self) -> bool {
        matches!(self.last, Some((_, Fault { cause: Cause::Reset, .. })))
    }

    /// What to tell when nothing is left: the failure, its number and the address.
    pub(super) fn verdict(&self) -> (Kind, i32, Option<SocketAddr>) {
        match (self.last, self.refused) {
            (None, Some(address)) => (Kind::AddressRefused, 0, Some(address)),
            (None, None) => (Kind::ConnectTimeout, 0, self.addresses.first().copied()),
            (Some((address, fault)), _) => {
                let kind = match fault.cause {
                    Cause::Refused => Kind::Refused,
                    Cause::Unreachable => Kind::Unreachable,
                    Cause::TimedOut => Kind::ConnectTimeout,
                    Cause::NetworkDown => Kind::NetworkDown,
                    Cause::Exhausted => Kind::OutOfSockets,
                    Cause::Reset | Cause::Denied | Cause::Other => Kind::ConnectFailed,
                };
                (kind, fault.os, Some(address))
            }
        }
    }
}
