//! Groups: all connections to one address, whatever name they were opened under.
//!
//! Owns an address's own limit, which bites where several origins share it (five thousand names on
//! one server are not five thousand servers), the line of hosts that wait for room there, and what
//! an address says of the limit to begin with: that of one's own machines is higher. Never learns a
//! name or an address itself, and never moves a host's own limit afterwards.
#![expect(
    clippy::cast_possible_truncation,
    reason = "groups are fewer than hosts, whose keys have as many bits; so few connections as are asked about fit in 16 bits"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "hosts and groups live as long as the engine; the connections come from a list of idle ones"
)]

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::{IpAddr, SocketAddr};
use core::ops::{Index, IndexMut};

use super::host::{HostKey, Names};
use super::limit::{Limit, LimitConfig};
use super::{Engine, PerHost};
use crate::base::{Instant, List, dead};

/// With so few connections in all, nothing is searched for the limit of an address: it is all of
/// them.
pub(super) const FEW: u32 = 4;

/// Connections to one address, whatever name they were opened under.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) address: IpAddr,
    pub(super) limit: Limit,
    pub(super) conns: u32,
    /// Those of them that are busy.
    pub(super) busy: u32,
    /// And those that are closing.
    pub(super) closing: u32,
    /// Origins that were seen at this address: the limit bites only where there are several.
    pub(super) origins: u32,
    /// Ports that have answered in this run, under whatever name: what they refuse from then on is one
    /// connection too many.
    pub(super) served_at: Vec<u16>,
    /// Hosts that were turned away, each at most once.
    pub(super) waiting: VecDeque<HostKey>,
    /// Its idle connections, the longest idle first: they give way to those who wait.
    pub(super) idle: List<2>,
}

/// All of them: a group lives as long as the engine, so its number is good for ever.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    /// All of them, in the order of their numbers.
    pub(super) fn iter(&self) -> core::slice::Iter<'_, Group> {
        self.0.iter()
    }

    /// One more; its number.
    fn add(&mut self, group: Group) -> u32 {
        self.0.push(group);
        self.0.len() as u32 - 1
    }
}

impl Index<usize> for Groups {
    type Output = Group;
    #[inline]
    fn index(&self, number: usize) -> &Group {
        self.0.get(number).unwrap_or_else(|| dead())
    }
}

impl IndexMut<usize> for Groups {
    #[inline]
    fn index_mut(&mut self, number: usize) -> &mut Group {
        self.0.get_mut(number).unwrap_or_else(|| dead())
    }
}

impl Engine {
    /// Counts an origin once at each of its addresses, and chooses its limit by them.
    pub(super) fn count_origin(&mut self, key: HostKey) {
        let host = &mut self.hosts[key];
        let Names::Known { addresses, .. } = &host.names else { return };
        if core::mem::replace(&mut host.counted, true) {
            return;
        }
        let addresses = addresses.clone();
        for &address in &addresses {
            let group = self.group_of(address);
            self.groups[group as usize].origins += 1;
        }
        if let (PerHost::Auto { start, .. }, Some(&first)) =
            (self.config.per_host, addresses.first())
        {
            let ceiling = self.ceiling(first);
            let start = start.min(ceiling).max(1);
            let config = LimitConfig { start, ..LimitConfig::origin(ceiling) };
            self.hosts[key].limit = Limit::new(&config, self.random.u64(..), Instant::ZERO);
            self.hosts[key].told_limit = self.hosts[key].limit.allowed();
        }
    }

    /// The group of an address.
    pub(super) fn group_of(&mut self, address: SocketAddr) -> u32 {
        let hash = self.hasher.hash_one(address.ip());
        let groups = &self.groups;
        let known = |group| (groups[group as usize].address == address.ip()).then_some(group);
        if let Some(group) = self.group_index.find(hash, known) {
            return group;
        }
        let ceiling = self.ceiling(address);
        let config = match self.config.per_host {
            PerHost::Fixed(n) => {
                LimitConfig { floor: n.max(1), ..LimitConfig::address(ceiling.max(n)) }
            }
            PerHost::Auto { .. } => LimitConfig::address(ceiling),
        };
        let config =
            LimitConfig { start: config.start.max(config.floor).min(config.ceiling), ..config };
        let limit = if self.config.max_connections <= FEW {
            Limit::fixed(self.config.max_connections as u16)
        } else {
            Limit::new(&config, self.random.u64(..), Instant::ZERO)
        };
        let group = self.groups.add(Group {
            address: address.ip(),
            limit,
            conns: 0,
            busy: 0,
            closing: 0,
            origins: 0,
            served_at: Vec::new(),
            waiting: VecDeque::new(),
            idle: List::new(),
        });
        self.group_index.insert(hash, group);
        group
    }

    /// The ceiling for an address: what the user named, or what is polite there.
    pub(super) fn ceiling(&self, address: SocketAddr) -> u16 {
        match self.config.per_host {
            PerHost::Auto { ceiling: Some(ceiling), .. } => ceiling.max(1),
            _ if is_private(address) => LimitConfig::CEILING_PRIVATE,
            _ => LimitConfig::CEILING_PUBLIC,
        }
    }

    pub(super) fn turned_away_by_group(
        &mut self,
        host: HostKey,
        address: SocketAddr,
        now: Instant,
    ) -> bool {
        let number = self.group_of(address) as usize;
        let group = &mut self.groups[number];
        if group.origins < 2 || group.conns < group.limit.allowed() {
            return false;
        }
        let it = &mut self.hosts[host];
        // One that is coming asks for more when it is there: a pace may let through no more till then.
        if it.coming() == 0 && !core::mem::replace(&mut it.turned_away, true) {
            group.waiting.push_back(host);
            self.give_way(number, now);
        }
        true
    }

    /// A connection that nobody uses now must not keep those out who wait for room at its address: while
    /// fewer are closing than are waited for, an idle one is closed. It is the one whose host, which may
    /// have a rate to keep, has its turn last, and of several the longest idle: one that is closed
    /// shortly before its turn is opened again, at the cost of the next one.
    pub(super) fn give_way(&mut self, number: usize, now: Instant) {
        let group = &self.groups[number];
        if group.closing as usize >= group.waiting.len() {
            return;
        }
        let mut next = group.idle.front(&self.conns);
        let mut last = None;
        while let Some(conn) = next {
            next = group.idle.after(&self.conns, conn);
            let idle = &self.conns[conn];
            let owner = &self.hosts[idle.host];
            let mut turn = Instant::NEVER;
            if !owner.has_no_queue() {
                turn = owner.pace.ready_at(now);
                // One that is new has to be tried, and in this very round as many are taken as there are
                // jobs, unless these want no idle one.
                let is_taken = turn <= now
                    && !owner.turned_away
                    && owner.idle.len() <= owner.queued()
                    && List::<0>::holds(&self.hosts, idle.host);
                if idle.served == 0 || is_taken {
                    continue;
                }
            }
            if last.is_none_or(|(latest, _)| turn > latest) {
                last = Some((turn, conn));
            }
        }
        if let Some((_, conn)) = last {
            self.retire(conn, now);
        }
    }

    /// Wakes as many of those who wait for a slot at this address as there is room for.
    pub(super) fn wake_waiting(&mut self, group: u32) {
        let place = group as usize;
        let mut room = self.groups[place].limit.allowed().saturating_sub(self.groups[place].conns);
        while room > 0
            && let Some(waiting) = self.groups[place].waiting.pop_front()
        {
            let host = &mut self.hosts[waiting];
            host.turned_away = false;
            if !host.has_no_queue() {
                room -= 1;
                host.woken_by = Some(group);
                self.ring_host(waiting);
            }
        }
    }
}

/// Loopback, link-local, private and shared addresses: the user's own machines.
fn is_private(address: SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
