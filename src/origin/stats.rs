//! What the server counts while it runs.
//!
//! One thread writes, any number read. The numbers of one [`Counters`] are each right, but need
//! not be of the very same moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Different requests that are counted one by one, at most; further ones only count in all.
const MAX_KINDS: usize = 1_000_000;

/// One number that only grows, or goes up and down.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(super) fn up(&self) {
        self.add(1);
    }

    fn down(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    fn raise(&self, to: u64) {
        self.0.fetch_max(to, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Connections, in all or of one address.
#[derive(Debug, Default)]
struct Sockets {
    accepted: Count,
    open: Count,
    peak: Count,
}

impl Sockets {
    fn opened(&self) {
        self.accepted.up();
        self.open.up();
        self.peak.raise(self.open.get());
    }
}

/// The numbers as the server changes them.
#[derive(Debug, Default)]
pub(super) struct Stats {
    all: Sockets,
    addresses: Vec<(Option<SocketAddr>, Sockets)>,
    pub(super) requests: Count,
    pub(super) answers: Count,
    pub(super) resets: Count,
    pub(super) turned_away: Count,
    pub(super) listener_closed: Count,
    pub(super) rate_limited: Count,
    pub(super) queue_full: Count,
    pub(super) bad_requests: Count,
    pub(super) idle_closed: Count,
    pub(super) cut: Count,
    pub(super) bytes_sent: Count,
    pub(super) tls_full: Count,
    pub(super) tls_resumed: Count,
    pub(super) tls_failed: Count,
    kinds: Mutex<BTreeMap<String, u64>>,
}

impl Stats {
    pub(super) fn new(addresses: &[SocketAddr]) -> Self {
        let addresses = addresses.iter().map(|&at| (Some(at), Sockets::default())).collect();
        Self { addresses, ..Self::default() }
    }

    pub(super) fn opened(&self, address: usize) {
        self.all.opened();
        if let Some((_, sockets)) = self.addresses.get(address) {
            sockets.opened();
        }
    }

    pub(super) fn closed(&self, address: usize) {
        self.all.open.down();
        if let Some((_, sockets)) = self.addresses.get(address) {
            sockets.open.down();
        }
    }

    /// Counts `METHOD target`.
    pub(super) fn kind(&self, method: &[u8], target: &[u8]) {
        let name =
            format!("{} {}", String::from_utf8_lossy(method), String::from_utf8_lossy(target));
        let mut kinds = self.kinds();
        if kinds.len() < MAX_KINDS || kinds.contains_key(&name) {
            *kinds.entry(name).or_default() += 1;
        }
    }

    pub(super) fn of_kind(&self, kind: &str) -> u64 {
        self.kinds().get(kind).copied().unwrap_or(0)
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        // A map of numbers cannot be left half changed.
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            accepted: self.all.accepted.get(),
            open: self.all.open.get(),
            peak: self.all.peak.get(),
            requests: self.requests.get(),
            answers: self.answers.get(),
            resets: self.resets.get(),
            turned_away: self.turned_away.get(),
            listener_closed: self.listener_closed.get(),
            rate_limited: self.rate_limited.get(),
            queue_full: self.queue_full.get(),
            bad_requests: self.bad_requests.get(),
            idle_closed: self.idle_closed.get(),
            cut: self.cut.get(),
            bytes_sent: self.bytes_sent.get(),
            tls_full: self.tls_full.get(),
            tls_resumed: self.tls_resumed.get(),
            tls_failed: self.tls_failed.get(),
            addresses: self
                .addresses
                .iter()
                .filter_map(|(address, sockets)| {
                    Some(AddressCounters {
                        address: (*address)?,
                        accepted: sockets.accepted.get(),
                        open: sockets.open.get(),
                        peak: sockets.peak.get(),
                    })
                })
                .collect(),
            by_request: self.kinds().clone(),
        }
    }
}

/// What a server has counted since it started; at `/__stats` as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Connections that were accepted, with those that were turned away at once.
    pub accepted: u64,
    /// Connections that are open now.
    pub open: u64,
    /// The most connections that were open at one time.
    pub peak: u64,
    /// Requests whose head arrived whole (but those for `/__stats`).
    pub requests: u64,
    /// Answers that were sent to their end, or are about to be.
    pub answers: u64,
    /// Connections that the server reset, for whatever reason.
    pub resets: u64,
    /// Connections above the limit: reset, or answered and closed.
    pub turned_away: u64,
    /// How often the listeners were closed because the server was full.
    pub listener_closed: u64,
    /// Requests above the rate.
    pub rate_limited: u64,
    /// Requests for which the queue had no room.
    pub queue_full: u64,
    /// Requests that were no proper HTTP.
    pub bad_requests: u64,
    /// Connections closed because they idled too long.
    pub idle_closed: u64,
    /// Answers cut short by a rule or by chance.
    pub cut: u64,
    /// Bytes of answers, as they were before encryption.
    pub bytes_sent: u64,
    /// Full TLS handshakes.
    pub tls_full: u64,
    /// Resumed TLS handshakes.
    pub tls_resumed: u64,
    /// TLS handshakes that failed, and connections with broken records.
    pub tls_failed: u64,
    /// The same of each address that is listened on.
    pub addresses: Vec<AddressCounters>,
    /// Requests by `METHOD target`, when the script asks for it.
    pub by_request: BTreeMap<String, u64>,
}

/// Connections of one local address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressCounters {
    /// The address that clients connect to.
    pub address: SocketAddr,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that are open now.
    pub open: u64,
    /// The most connections that were open at one time.
    pub peak: u64,
}
