//! What is known about names, for as long as it holds, and the least used forgotten.
//!
//! Owns the times: the floor and the ceiling of each answer, negative ones by RFC 2308, expired
//! ones that may still serve by RFC 8767. A look-up, a new answer and an eviction each touch a
//! few entries, however many there are.

use core::hash::BuildHasher;
use core::net::IpAddr;
use core::time::Duration;

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashTable;
use slab::Slab;

use super::config::{CacheConfig, Family};
use super::name::WireName;
use crate::base::{Instant, Seeded};

/// No entry: the end of the list.
const NONE: u32 = u32::MAX;

/// What a server said about one family of one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fact {
    /// Its addresses.
    Addresses(Box<[IpAddr]>),
    /// There is no such name (`nx`), or none of its addresses is of this family.
    Negative { nx: bool },
}

impl Fact {
    pub(super) const fn has_addresses(&self) -> bool {
        matches!(self, Self::Addresses(_))
    }
}

/// A fact, who said it, and for how long it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) fact: Fact,
    pub(super) server: u8,
    pub(super) expires: Instant,
    /// When its server wanted it to end, which may be earlier.
    pub(super) meant: Instant,
}

#[derive(Debug)]
struct Entry {
    name: Box<[u8]>,
    families: [Option<Known>; 2],
    /// Until then expired addresses serve without the servers being asked again.
    unasked_until: Instant,
    newer: u32,
    older: u32,
}

/// Names and what is known about them.
#[derive(Debug)]
pub(super) struct Cache {
    config: CacheConfig,
    hash: Seeded,
    places: HashTable<u32>,
    entries: Slab<Entry>,
    newest: u32,
    oldest: u32,
    evicted: u64,
}

impl Cache {
    pub(super) fn new(config: CacheConfig, hash: Seeded) -> Self {
        Self {
            config,
            hash,
            places: HashTable::new(),
            entries: Slab::new(),
            newest: NONE,
            oldest: NONE,
            evicted: 0,
        }
    }

    /// What is known about both families of `name`, expired or not; it counts as a use.
    pub(super) fn look_up(&mut self, name: &WireName) -> Option<&[Option<Known>; 2]> {
        let index = self.find(name)?;
        self.unlink(index);
        self.link_newest(index);
        Some(&self.entries.get(index as usize)?.families)
    }

    /// The expired addresses of `name` that may still serve, if there are any.
    pub(super) fn stale(&self, name: &WireName, now: Instant) -> Option<Vec<IpAddr>> {
        let entry = self.entries.get(self.find(name)? as usize)?;
        let mut addresses = Vec::new();
        for known in entry.families.iter().flatten() {
            if now < known.expires + self.config.stale_for
                && let Fact::Addresses(list) = &known.fact
            {
                addresses.extend(list.iter());
            }
        }
        (!addresses.is_empty()).then_some(addresses)
    }

    /// Whether the servers are to be left alone about `name` for now, for they just failed.
    pub(super) fn is_unasked(&self, name: &WireName, now: Instant) -> bool {
        let entry = self.find(name).and_then(|index| self.entries.get(index as usize));
        entry.is_some_and(|entry| now < entry.unasked_until)
    }

    /// The servers failed: what is here serves for a while without asking.
    pub(super) fn leave_unasked(&mut self, name: &WireName, now: Instant) {
        let until = now + self.config.stale_recheck;
        if let Some(index) = self.find(name)
            && let Some(entry) = self.entries.get_mut(index as usize)
        {
            entry.unasked_until = until;
        }
    }

    /// What is to be kept of a fact that came with this time to live.
    pub(super) fn known(&self, fact: Fact, ttl: Option<u32>, server: u8, now: Instant) -> Known {
        let ceiling = match fact {
            Fact::Addresses(_) => self.config.max_ttl,
            Fact::Negative { .. } => self.config.negative_max.min(self.config.max_ttl),
        };
        // Without a word how long, "there is none" is kept for the shortest time only.
        let ttl = Duration::from_secs(ttl.unwrap_or(0).into()).min(ceiling);
        let expires = now + ttl.max(self.config.min_ttl).min(ceiling);
        Known { fact, server, expires, meant: now + ttl }
    }

    /// Keeps what was learnt.
    pub(super) fn store(&mut self, name: &WireName, family: Family, known: Known) {
        if self.config.entries == 0 {
            return;
        }
        let index = match self.find(name) {
            Some(index) => index,
            None => self.insert(name),
        };
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        entry.unasked_until = Instant::ZERO;
        if let Some(place) = entry.families.get_mut(family.index()) {
            *place = Some(known);
        }
    }

    /// Forgets `name`.
    pub(super) fn forget(&mut self, name: &WireName) {
        if let Some(index) = self.find(name) {
            self.remove(index);
        }
    }

    /// How many names are kept, and how many had to go for others.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.entries.len(), self.evicted)
    }

    fn find(&self, name: &WireName) -> Option<u32> {
        let name = name.as_bytes();
        let same = |index: &u32| {
            self.entries.get(*index as usize).is_some_and(|entry| &*entry.name == name)
        };
        self.places.find(self.hash.hash_one(name), same).copied()
    }

    fn insert(&mut self, name: &WireName) -> u32 {
        while self.entries.len() >= self.config.entries && self.oldest != NONE {
            self.remove(self.oldest);
            self.evicted += 1;
        }
        let index = self.entries.insert(Entry {
            name: name.as_bytes().into(),
            families: [None, None],
            unasked_until: Instant::ZERO,
            newer: NONE,
            older: NONE,
        }) as u32;
        let (hash, entries) = (self.hash, &self.entries);
        let rehash = |index: &u32| {
            entries.get(*index as usize).map_or(0, |entry| hash.hash_one(&*entry.name))
        };
        self.places.insert_unique(hash.hash_one(name.as_bytes()), index, rehash);
        self.link_newest(index);
        index
    }

    fn remove(&mut self, index: u32) {
        self.unlink(index);
        let Some(entry) = self.entries.try_remove(index as usize) else { return };
        let hash = self.hash.hash_one(&*entry.name);
        if let Ok(place) = self.places.find_entry(hash, |other| *other == index) {
            place.remove();
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(entry) = self.entries.get(index as usize) else { return };
        let (newer, older) = (entry.newer, entry.older);
        match self.entries.get_mut(newer as usize) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match self.entries.get_mut(older as usize) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, index: u32) {
        let older = self.newest;
        if let Some(entry) = self.entries.get_mut(index as usize) {
            (entry.newer, entry.older) = (NONE, older);
        }
        match self.entries.get_mut(older as usize) {
            Some(entry) => entry.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;
    use alloc::format;

    fn name(number: usize) -> WireName {
        WireName::parse(&format!("host{number}.example")).unwrap()
    }

    fn known(number: usize) -> Known {
        let fact = Fact::Addresses([IpAddr::from((number as u32).to_be_bytes())].into());
        Known { fact, server: 0, expires: Instant::NEVER, meant: Instant::NEVER }
    }

    fn cache(entries: usize) -> Cache {
        Cache::new(CacheConfig { entries, ..CacheConfig::default() }, Seeded::new(1))
    }

    #[test]
    fn forgets_what_was_not_used_for_longest() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut cache = cache(8);
            let mut model: VecDeque<usize> = VecDeque::new();
            for _ in 0..400 {
                let number = random.usize(..20);
                let here = model.iter().position(|&other| other == number);
                match random.u8(..4) {
                    0 => {
                        cache.forget(&name(number));
                        here.map(|at| model.remove(at));
                    }
                    1 => {
                        cache.store(&name(number), Family::V4, known(number));
                        if here.is_none() {
                            model.truncate(7);
                            model.push_front(number);
                        }
                    }
                    _ => {
                        let found = cache.look_up(&name(number)).map(|[v4, _]| v4.clone());
                        let expected = here.map(|_| Some(known(number)));
                        assert_eq!(found, expected, "seed {seed}");
                        if let Some(at) = here {
                            model.remove(at);
                            model.push_front(number);
                        }
                    }
                }
                assert_eq!(cache.size().0, model.len(), "seed {seed}");
                assert_eq!(cache.places.len(), model.len(), "seed {seed}");
            }
        }
    }

    #[test]
    fn times_have_a_floor_and_a_ceiling() {
        let cache = cache(1);
        let there = Fact::Addresses([].into());
        let none = Fact::Negative { nx: true };
        for (fact, ttl, secs, meant) in [
            (&there, Some(0), 30, 0),
            (&there, Some(60), 60, 60),
            (&there, Some(10_000_000), 86_400, 86_400),
            (&none, None, 30, 0),
            (&none, Some(60), 60, 60),
            (&none, Some(86_400), 300, 300),
        ] {
            let known = cache.known(fact.clone(), ttl, 0, Instant::ZERO);
            let secs_of = |at: Instant| (at - Instant::ZERO).as_secs();
            assert_eq!((secs_of(known.expires), secs_of(known.meant)), (secs, meant), "{fact:?}");
        }
    }

    #[test]
    fn nothing_is_kept_where_nothing_may_be() {
        let mut cache = cache(0);
        cache.store(&name(1), Family::V4, known(1));
        assert_eq!(cache.look_up(&name(1)), None);
        assert_eq!(cache.size(), (0, 0));
    }

    #[test]
    fn an_entry_is_as_small_as_the_documentation_says() {
        // Beside it: the name and the addresses, about 32 bytes each, and 6 for its place.
        assert!(size_of::<Entry>() <= 144, "{}", size_of::<Entry>());
    }
}
