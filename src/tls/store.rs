//! Sessions to resume, bounded in hosts and in tickets.
//!
//! Owns TLS 1.3 tickets (each used once, newest first), one TLS 1.2 session a host, and the key
//! exchange group that a host preferred. The host that was used longest ago goes first; rustls's
//! own cache drops the host that was *added* first and keeps eight tickets, which is too few for
//! a burst of reconnections to one host. Every ticket carries the server's certificate chain
//! (some 2 to 4 KB), so it is tickets that are counted. RFC 8446 section 4.6.1 and appendix C.4.

use core::fmt;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use slab::Slab;

/// The most tickets kept for one host: a burst of that many reconnections is all resumed. As many as
/// one host has connections at most by default; with 32, of 10,000 handshakes 128 at once 59 in 100 were.
const TICKETS_PER_HOST: usize = 128;
/// Tickets in all, a host that may be remembered.
const TICKETS_PER_SLOT: usize = 8;
/// The end of the list.
const NONE: usize = usize::MAX;

/// A bounded store of sessions to resume. One is shared by all connections of a
/// [`Config`](super::Config).
pub struct SessionStore {
    hosts: Mutex<Hosts>,
}

impl SessionStore {
    /// Remember up to `hosts` hosts and eight times as many TLS 1.3 tickets, at most 128 a host.
    /// Nothing is allocated in advance.
    pub fn new(hosts: usize) -> Self {
        Self {
            hosts: Mutex::new(Hosts {
                index: HashMap::new(),
                slots: Slab::new(),
                newest: NONE,
                oldest: NONE,
                tickets: 0,
                host_limit: hosts,
                ticket_limit: hosts.saturating_mul(TICKETS_PER_SLOT),
            }),
        }
    }

    /// How many hosts are remembered.
    pub fn hosts(&self) -> usize {
        self.lock().slots.len()
    }

    /// How many TLS 1.3 tickets are held.
    pub fn tickets(&self) -> usize {
        self.lock().tickets
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        // A panic elsewhere cannot leave the list half linked: nothing here calls out.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionStore") // what it holds is secret
    }
}

struct Hosts {
    index: HashMap<ServerName<'static>, usize>,
    slots: Slab<Host>,
    newest: usize,
    oldest: usize,
    tickets: usize,
    host_limit: usize,
    ticket_limit: usize,
}

struct Host {
    name: ServerName<'static>,
    newer: usize,
    older: usize,
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    /// Oldest first.
    tls13: Vec<Tls13ClientSessionValue>,
}

impl Hosts {
    /// The host, moved to the front.
    fn find(&mut self, name: &ServerName<'_>) -> Option<&mut Host> {
        let key = *self.index.get(name)?;
        self.unlink(key);
        self.link(key);
        self.slots.get_mut(key)
    }

    /// The host at the front, made if it is new; the oldest one leaves when there are too many.
    fn find_or_insert(&mut self, name: &ServerName<'static>) -> Option<&mut Host> {
        if self.host_limit == 0 {
            return None;
        }
        if !self.index.contains_key(name) {
            if self.slots.len() >= self.host_limit {
                self.evict(self.oldest);
            }
            let host = Host {
                name: name.clone(),
                newer: NONE,
                older: NONE,
                group: None,
                tls12: None,
                tls13: Vec::new(),
            };
            let key = self.slots.insert(host);
            self.index.insert(name.clone(), key);
            self.link(key);
        }
        self.find(name)
    }

    fn evict(&mut self, key: usize) {
        self.unlink(key);
        if let Some(host) = self.slots.try_remove(key) {
            self.tickets -= host.tls13.len();
            self.index.remove(&host.name);
        }
    }

    fn unlink(&mut self, key: usize) {
        let Some(&Host { newer, older, .. }) = self.slots.get(key) else { return };
        match self.slots.get_mut(newer) {
            Some(host) => host.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older) {
            Some(host) => host.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link(&mut self, key: usize) {
        let second = self.newest;
        if let Some(host) = self.slots.get_mut(key) {
            (host.newer, host.older) = (NONE, second);
        }
        match self.slots.get_mut(second) {
            Some(host) => host.newer = key,
            None => self.oldest = key,
        }
        self.newest = key;
    }

    fn insert_ticket(&mut self, name: &ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let Some(host) = self.find_or_insert(name) else { return };
        let full = host.tls13.len() >= TICKETS_PER_HOST;
        if full {
            host.tls13.remove(0);
        }
        host.tls13.push(ticket);
        self.tickets += usize::from(!full);
        if self.tickets > self.ticket_limit {
            self.drop_oldest_ticket();
        }
    }

    fn drop_oldest_ticket(&mut self) {
        let mut key = self.oldest;
        while let Some(host) = self.slots.get_mut(key) {
            if !host.tls13.is_empty() {
                host.tls13.remove(0);
                self.tickets -= 1;
                return;
            }
            key = host.newer;
        }
    }
}

impl ClientSessionStore for SessionStore {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        if let Some(host) = self.lock().find_or_insert(&name) {
            host.group = Some(group);
        }
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock().find(name)?.group
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        if let Some(host) = self.lock().find_or_insert(&name) {
            host.tls12 = Some(session);
        }
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().find(name)?.tls12.clone()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(host) = self.lock().find(name) {
            host.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.lock().insert_ticket(&name, ticket);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut hosts = self.lock();
        let ticket = hosts.find(name)?.tls13.pop()?;
        hosts.tickets -= 1;
        Some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> ServerName<'static> {
        ServerName::try_from(format!("host{number}.example")).unwrap()
    }

    #[test]
    fn the_host_used_longest_ago_goes_first() {
        let store = SessionStore::new(3);
        for number in 0..3 {
            store.set_kx_hint(name(number), NamedGroup::X25519);
        }
        assert_eq!(store.kx_hint(&name(0)), Some(NamedGroup::X25519));
        store.set_kx_hint(name(3), NamedGroup::secp256r1);
        assert_eq!(store.hosts(), 3);
        assert_eq!(store.kx_hint(&name(1)), None, "1 was used longest ago");
        for number in [0, 2, 3] {
            assert!(store.kx_hint(&name(number)).is_some(), "{number}");
        }
    }

    #[test]
    fn a_store_of_none_remembers_none() {
        let store = SessionStore::new(0);
        store.set_kx_hint(name(0), NamedGroup::X25519);
        assert_eq!(store.kx_hint(&name(0)), None);
        assert_eq!(store.hosts(), 0);
    }

    /// The linked list against a plain vector, most recently used first.
    #[test]
    fn the_list_is_the_one_a_vector_would_be() {
        let seed = 0x5eed_0001;
        let mut random = fastrand::Rng::with_seed(seed);
        let store = SessionStore::new(5);
        let mut model: Vec<usize> = Vec::new();
        for step in 0..20_000 {
            let number = random.usize(..12);
            let known = model.iter().position(|&other| other == number);
            if random.bool() {
                store.set_kx_hint(name(number), NamedGroup::X25519);
                match known {
                    Some(at) => drop(model.remove(at)),
                    None => model.truncate(4),
                }
                model.insert(0, number);
            } else {
                let hint = store.kx_hint(&name(number));
                assert_eq!(hint.is_some(), known.is_some(), "seed {seed:#x}, step {step}");
                if let Some(at) = known {
                    model.remove(at);
                    model.insert(0, number);
                }
            }
            assert_eq!(store.hosts(), model.len(), "seed {seed:#x}, step {step}");
        }
    }
}
