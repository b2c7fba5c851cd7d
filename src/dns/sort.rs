//! The order in which addresses are tried.
//!
//! RFC 6724 section 6 as far as it can be followed without asking the system for source
//! addresses: unusable destinations last (rule 1), precedence (6), scope (8), else as the server
//! sent them (10). The longest matching prefix (9) is left out on purpose: it undoes what servers
//! do to share load. Then the families take turns, RFC 8305 section 4, and what failed lately
//! comes last.

use core::hash::BuildHasher;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use alloc::vec::Vec;

use super::config::Reach;
use crate::base::{Instant, Seeded, sort_by_key};

/// Puts `addresses` in the order of trying; each stays once.
pub(super) fn arrange(
    addresses: &mut Vec<IpAddr>,
    reach: Reach,
    failed: impl Fn(&IpAddr) -> Option<Instant>,
) {
    let mut ranked: Vec<(Rank, IpAddr)> = Vec::with_capacity(addresses.len());
    for &address in &*addresses {
        if ranked.iter().all(|(_, other)| *other != address) {
            ranked.push((Rank::of(&address, reach, failed(&address)), address));
        }
    }
    sort_by_key(&mut ranked, |(rank, _)| *rank);
    addresses.clear();
    let good = ranked.iter().take_while(|(rank, _)| !rank.last_resort()).count();
    let (good, rest) = ranked.split_at(good);
    let first_is_v4 = good.first().is_some_and(|(_, address)| address.is_ipv4());
    let of = |v4: bool| good.iter().filter(move |(_, a)| a.is_ipv4() == v4).map(|&(_, a)| a);
    let (mut ones, mut others) = (of(first_is_v4), of(!first_is_v4));
    loop {
        let (one, other) = (ones.next(), others.next());
        if one.is_none() && other.is_none() {
            break;
        }
        addresses.extend(one);
        addresses.extend(other);
    }
    addresses.extend(rest.iter().map(|&(_, address)| address));
}

/// Smaller is tried earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Those that never failed first, then those whose failure is longest ago.
    failed: Option<Instant>,
    unusable: bool,
    unlikely: u8,
    scope: u8,
}

impl Rank {
    fn of(address: &IpAddr, reach: Reach, failed: Option<Instant>) -> Self {
        let leads_out = if address.is_ipv4() { reach.v4 } else { reach.v6 };
        Self {
            failed,
            unusable: !leads_out && !address.is_loopback(),
            unlikely: u8::MAX - precedence(address),
            scope: scope(address),
        }
    }

    const fn last_resort(&self) -> bool {
        self.unusable || self.failed.is_some()
    }
}

/// RFC 6724 section 2.1, the default policy table.
fn precedence(address: &IpAddr) -> u8 {
    const MAPPED: u8 = 35;
    let address = match address {
        IpAddr::V4(_) => return MAPPED,
        IpAddr::V6(address) => address,
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => 50,
        [0, 0, 0, 0, 0, 0xffff, ..] => MAPPED,
        [0, 0, 0, 0, 0, 0, ..] | [0x3ffe, ..] => 1,
        [0x2002, ..] => 30,
        [0x2001, 0, ..] => 5,
        [first, ..] if first & 0xfe00 == 0xfc00 => 3,
        [first, ..] if first & 0xffc0 == 0xfec0 => 1,
        _ => 40,
    }
}

/// RFC 6724 section 3: the number that stands for how far an address is meant to reach.
fn scope(address: &IpAddr) -> u8 {
    const LINK: u8 = 2;
    const GLOBAL: u8 = 14;
    let link = match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => *address == Ipv6Addr::LOCALHOST || address.is_unicast_link_local(),
    };
    if link { LINK } else { GLOBAL }
}

/// Addresses that failed to connect, and when: a table of fixed size in which one address may
/// take another's place, for all that is lost with it is a hint.
#[derive(Debug)]
pub(super) struct Failed {
    hash: Seeded,
    hold_for: Duration,
    size: usize,
    table: Vec<Option<(IpAddr, Instant)>>,
}

impl Failed {
    /// Remembers up to `size` addresses; allocates with the first one.
    pub(super) const fn new(hash: Seeded, size: usize, hold_for: Duration) -> Self {
        Self { hash, hold_for, size, table: Vec::new() }
    }

    /// `address` did not connect.
    pub(super) fn mark(&mut self, address: IpAddr, now: Instant) {
        if self.table.is_empty() {
            self.table.resize(self.size, None);
        }
        if let Some(place) = self.place(address) {
            *place = Some((address, now));
        }
    }

    /// `address` did.
    pub(super) fn clear(&mut self, address: IpAddr) {
        if let Some(place) = self.place(address)
            && place.is_some_and(|(other, _)| other == address)
        {
            *place = None;
        }
    }

    /// When it failed, if that is not too long ago to matter.
    pub(super) fn since(&self, address: &IpAddr, now: Instant) -> Option<Instant> {
        let index = self.index(address)?;
        let (_, at) = self.table.get(index)?.filter(|(other, _)| other == address)?;
        (now.since(at) < self.hold_for).then_some(at)
    }

    fn place(&mut self, address: IpAddr) -> Option<&mut Option<(IpAddr, Instant)>> {
        let index = self.index(&address)?;
        self.table.get_mut(index)
    }

    fn index(&self, address: &IpAddr) -> Option<usize> {
        (self.hash.hash_one(address) as usize).checked_rem(self.table.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    const BOTH: Reach = Reach { v4: true, v6: true };

    fn arranged(addresses: &str, reach: Reach, failed: &[(&str, u64)]) -> String {
        let mut list: Vec<IpAddr> =
            addresses.split(' ').map(|address| address.parse().unwrap()).collect();
        arrange(&mut list, reach, |address| {
            let found = failed.iter().find(|(failed, _)| failed.parse() == Ok(*address));
            found.map(|&(_, at)| Instant::from_nanos(at))
        });
        let shown: Vec<_> = list.iter().map(ToString::to_string).collect();
        shown.join(" ")
    }

    #[test]
    fn order() {
        for (why, addresses, expected) in [
            ("as sent", "192.0.2.2 192.0.2.1", "192.0.2.2 192.0.2.1"),
            ("once", "192.0.2.2 192.0.2.2", "192.0.2.2"),
            ("v6 first", "192.0.2.1 2001:db8::1", "2001:db8::1 192.0.2.1"),
            (
                "families take turns",
                "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2 2001:db8::3",
                "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 2001:db8::3",
            ),
            ("6to4 after v4", "2002::1 192.0.2.1", "192.0.2.1 2002::1"),
            ("Teredo after v4", "2001::1 192.0.2.1", "192.0.2.1 2001::1"),
            ("ULA after v4", "fd00::1 192.0.2.1", "192.0.2.1 fd00::1"),
            ("ULA after v6", "fd00::1 2001:db8::1", "2001:db8::1 fd00::1"),
            ("site-local after v6", "fec0::1 2001:db8::1", "2001:db8::1 fec0::1"),
            ("6bone after v6", "3ffe::1 2001:db8::1", "2001:db8::1 3ffe::1"),
            ("compatible after v6", "::5 2001:db8::1", "2001:db8::1 ::5"),
            ("mapped after v6", "::ffff:192.0.2.1 2001:db8::1", "2001:db8::1 ::ffff:192.0.2.1"),
            ("the machine itself", "127.0.0.1 ::1", "::1 127.0.0.1"),
            ("nearer first", "192.0.2.1 169.254.0.1 127.0.0.1", "169.254.0.1 127.0.0.1 192.0.2.1"),
        ] {
            assert_eq!(arranged(addresses, BOTH, &[]), expected, "{why}");
        }
    }

    #[test]
    fn a_family_without_a_way_out_comes_last() {
        let only_v4 = Reach { v4: true, v6: false };
        assert_eq!(
            arranged("2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2 ::1", only_v4, &[]),
            "::1 192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2"
        );
    }

    #[test]
    fn failures_are_remembered_for_a_while_in_bounded_memory() {
        let hold_for = Duration::from_secs(300);
        let mut failed = Failed::new(Seeded::new(1), 64, hold_for);
        let address = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(failed.since(&address, Instant::ZERO), None);
        failed.mark(address, Instant::ZERO);
        assert_eq!(failed.since(&address, Instant::ZERO), Some(Instant::ZERO));
        assert_eq!(failed.since(&address, Instant::ZERO + hold_for), None);
        failed.clear(address);
        assert_eq!(failed.since(&address, Instant::ZERO), None);
        for number in 0..10_000_u32 {
            failed.mark(IpAddr::from(number.to_be_bytes()), Instant::ZERO);
        }
        assert_eq!(failed.table.len(), 64);
        let mut nothing = Failed::new(Seeded::new(1), 0, hold_for);
        nothing.mark(address, Instant::ZERO);
        assert_eq!(nothing.since(&address, Instant::ZERO), None);
    }

    #[test]
    fn what_failed_comes_last_and_the_longest_ago_first() {
        let failed = [("192.0.2.1", 20), ("2001:db8::1", 10), ("192.0.2.3", 30)];
        assert_eq!(
            arranged("192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1 2001:db8::2", BOTH, &failed),
            "2001:db8::2 192.0.2.2 2001:db8::1 192.0.2.1 192.0.2.3"
        );
    }
}
