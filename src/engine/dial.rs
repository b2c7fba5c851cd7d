//! Opening a connection to a host with several addresses: a staggered race (RFC 8305).
//!
//! Owns the order of the addresses, the time of the next start, and the sockets of a race. What
//! becomes of the winner, and what a lost race means for its host, is `opening`'s. A race takes one
//! slot of its host's cap whatever its size; its further sockets count against the global cap only,
//! and are closed before a byte is sent on them.
#![expect(
    clippy::cast_possible_truncation,
    reason = "connections are counted in `u32` since `max_connections` is one"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "hosts and groups live as long as the engine; a race is there until it is won or lost, and so are its sockets"
)]

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::conn::{Conn, ConnKey, Setup, State};
use super::error::{Cause, Fault};
use super::host::{Host, HostKey, Names};
use super::observe::What;
use super::{Action, Engine, Handler, Kind};
use crate::base::{Instant, Key, Links};

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
        let mut order = addresses.to_vec();
        for place in (0..first).rev() {
            if let Some([one, next]) = order.get_mut(place..place + 2) {
                core::mem::swap(one, next);
            }
        }
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
        self.next_start = now.after(stagger);
        self.last_start = now;
        Some(address)
    }

    /// The socket that had its share of the race's time and said nothing, oldest first.
    pub(super) fn silent(&self, now: Instant) -> Option<ConnKey> {
        (self.share_until() <= now).then(|| self.racers.first().copied())?
    }

    /// When the share of the address that was started last ends.
    fn share_until(&self) -> Instant {
        let addresses = (self.addresses.len() as u64).max(1);
        self.last_start.later(self.until.nanos_since(self.started) / addresses)
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
        self.next_start = now.after(stagger).min(self.share_until().max(now));
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

impl Engine {
    /// Begins a race for a connection of a host whose addresses are known.
    pub(super) fn dial(&mut self, key: HostKey, now: Instant, handler: &mut dyn Handler) {
        let until = now.after(self.config.connect_timeout);
        let host = &mut self.hosts[key];
        if host.busy + host.coming() == 0 {
            host.worth.begins(now);
        }
        let Names::Known { addresses, winner, took, stale, unused, .. } = &mut host.names else {
            return;
        };
        *unused = false;
        let dns = (core::mem::take(took), *stale);
        let dial = Dial::new(key, addresses, *winner, now, until, dns);
        host.dials += 1;
        host.spurned.opens(now);
        host.stats.peak = host.stats.peak.max(host.slots());
        let dial = self.dials.insert(dial);
        self.race_on(dial, now, handler);
    }

    /// Starts the next address of a race, if one is left and there is room.
    pub(super) fn race_on(&mut self, key: Key<Dial>, now: Instant, handler: &mut dyn Handler) {
        let stagger = self.config.happy_eyeballs;
        loop {
            let dial = &mut self.dials[key];
            if !dial.racers.is_empty() && dial.has_more() && self.conns.len() as u32 >= self.cap {
                // Only the first socket of a race has a claim to a slot: when it stays silent, the
                // next address gets it, so that each has its share of the time.
                let Some(silent) = dial.silent(now) else {
                    dial.postpone(now, stagger);
                    break;
                };
                let remote = self.conns[silent].remote;
                dial.lost(silent, remote, Fault::new(Cause::TimedOut));
                self.drop_conn(silent, true, now);
                continue;
            }
            let Some(address) = dial.next(now, stagger) else {
                if dial.racers.is_empty() {
                    self.dial_failed(key, now, handler);
                    return;
                }
                break;
            };
            let host = dial.host;
            if !handler.allow(host, address) {
                dial.refused = Some(address);
                continue;
            }
            self.begin(key, address, now);
            break;
        }
        self.dial_timers.set(key.index(), self.dials[key].deadline());
    }

    /// One socket more in a race.
    fn begin(&mut self, key: Key<Dial>, address: SocketAddr, now: Instant) {
        let group = self.group_of(address);
        let dial = &mut self.dials[key];
        self.serial += 1;
        let conn = self.conns.insert(Conn {
            host: dial.host,
            serial: self.serial,
            remote: address,
            group,
            opened: now,
            served: 0,
            tls: None,
            setup: Setup { dns: dial.dns, dns_stale: dial.dns_stale, ..Setup::default() },
            state: State::Opening(key),
            in_host: Links::default(),
            in_all: Links::default(),
            in_group: Links::default(),
        });
        dial.racers.push(conn);
        let host = dial.host;
        self.notes.push(now, host, What::Opening { conn: self.serial, address });
        self.groups[group as usize].conns += 1;
        self.actions.push_back(Action::Open { conn, address });
    }

    /// A race wants to be woken: its time is up, or the next address may start.
    pub(super) fn dial_due(&mut self, key: Key<Dial>, now: Instant, handler: &mut dyn Handler) {
        if self.dials[key].until > now {
            self.race_on(key, now, handler);
        } else {
            self.dial_failed(key, now, handler);
        }
    }

    /// A socket of a race failed: the next address at once, or the end of the race.
    pub(super) fn racer_lost(
        &mut self,
        key: ConnKey,
        dial_key: Key<Dial>,
        fault: Fault,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let remote = self.conns[key].remote;
        self.drop_conn(key, true, now);
        let Some(dial) = self.dials.get_mut(dial_key) else { return };
        dial.lost(key, remote, fault);
        let ours = fault.cause == Cause::Exhausted;
        if dial.has_more() && !ours {
            self.race_on(dial_key, now, handler);
        } else if dial.racers.is_empty() {
            self.dial_failed(dial_key, now, handler);
        }
    }
}
