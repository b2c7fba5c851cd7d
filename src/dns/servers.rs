//! Which server is asked next, by what each did lately.
//!
//! Owns the order, the patience with each server (RFC 6298's estimate of its answering time) and
//! the memory of silence: a server that was silent is left alone for 2, 4, 8 … 60 seconds, then
//! tried with one question. What it answered does not matter here, only that it did: but for one
//! that keeps refusing.

use core::net::SocketAddr;
use core::time::Duration;

use alloc::vec::Vec;

use super::config::MAX_SERVERS;
use crate::base::Instant;

/// A set of servers, by their numbers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Set(u32);

impl Set {
    pub(super) const fn with(self, server: u8) -> Self {
        Self(self.0 | 1 << (server as u32 % u32::BITS))
    }

    pub(super) const fn has(self, server: u8) -> bool {
        self.0 & (1 << (server as u32 % u32::BITS)) != 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The first wait before a datagram is repeated, while nothing is known.
const FIRST_WAIT: Duration = Duration::from_millis(600);
/// No shorter wait, however quick the server was: names that it must look up take longer.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);
/// A server that was silent to everybody for this long is passed over where there is another.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest time that a silent server is left alone.
const LONGEST_PENALTY: Duration = Duration::from_secs(60);
/// So many refusals in a row are no accident.
const MANY_REFUSALS: u8 = 3;

#[derive(Clone, Debug)]
struct Server {
    address: SocketAddr,
    /// Answering time and its deviation, in microseconds, once there is one.
    usual: Option<(u32, u32)>,
    heard: Option<Instant>,
    /// When it was first sent something after it was last heard.
    waiting_since: Option<Instant>,
    /// Silences, or bouts of refusals, in a row.
    failures: u8,
    refusals: u8,
    left_alone_until: Instant,
    /// A question is under way to see whether it is back.
    probed: bool,
    edns: bool,
}

/// The servers and what they did.
#[derive(Debug)]
pub(super) struct Servers {
    list: Vec<Server>,
    rotate: bool,
    turn: usize,
}

impl Servers {
    pub(super) fn new(addresses: &[SocketAddr], rotate: bool) -> Self {
        let list = addresses.iter().take(MAX_SERVERS).map(|&address| Server {
            address,
            usual: None,
            heard: None,
            waiting_since: None,
            failures: 0,
            refusals: 0,
            left_alone_until: Instant::ZERO,
            probed: false,
            edns: true,
        });
        Self { list: list.collect(), rotate, turn: 0 }
    }

    pub(super) fn address(&self, server: u8) -> Option<SocketAddr> {
        self.list.get(usize::from(server)).map(|server| server.address)
    }

    /// Where the next question starts in the list.
    pub(super) fn take_turn(&mut self) {
        if self.rotate && !self.list.is_empty() {
            self.turn = (self.turn + 1) % self.list.len();
        }
    }

    /// The server to ask that is not in `but`; and whether the question finds out if it is back.
    pub(super) fn pick(&self, but: Set, now: Instant) -> Option<(u8, bool)> {
        let count = self.list.len();
        let order = (0..count).map(|step| (self.turn + step) % count).map(|at| at as u8);
        let left = order
            .filter(|&server| !but.has(server))
            .filter_map(|server| Some((server, self.list.get(usize::from(server))?)));
        let good = left.clone().find(|(_, server)| {
            server.failures == 0 || (now >= server.left_alone_until && !server.probed)
        });
        let found = good.or_else(|| left.min_by_key(|(_, server)| server.left_alone_until));
        found.map(|(number, server)| (number, server.failures > 0))
    }

    /// Whether there is a server in good standing that is not in `but`.
    pub(super) fn has_better(&self, but: Set) -> bool {
        (0..).zip(&self.list).any(|(number, server)| !but.has(number) && server.failures == 0)
    }

    /// Whether a question had better go to another server now than wait for this one.
    pub(super) fn had_better_move(&self, server: u8, tried: Set, now: Instant) -> bool {
        let silent = self.get(server).and_then(|server| server.waiting_since);
        silent.is_some_and(|since| now.since(since) >= PATIENCE)
            && self.has_better(tried.with(server))
    }

    /// Something was sent to it; how long to wait before sending that again.
    pub(super) fn sent(&mut self, server: u8, probe: bool, now: Instant) -> Duration {
        let Some(server) = self.get_mut(server) else { return FIRST_WAIT };
        server.waiting_since.get_or_insert(now);
        server.probed |= probe;
        let Some((usual, deviation)) = server.usual else { return FIRST_WAIT };
        let wait = u64::from(usual) + 4 * u64::from(deviation);
        Duration::from_micros(wait).max(SHORTEST_WAIT)
    }

    /// It answered, `took` after it was asked (when that is certain).
    pub(super) fn heard(&mut self, server: u8, took: Option<Duration>, now: Instant) {
        let Some(server) = self.get_mut(server) else { return };
        server.heard = Some(now);
        server.waiting_since = None;
        server.probed = false;
        if server.refusals < MANY_REFUSALS {
            server.failures = 0;
        }
        if let Some(took) = took {
            let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            server.usual = Some(match server.usual {
                None => (took, took / 2),
                Some((usual, deviation)) => (
                    usual - usual / 8 + took / 8,
                    deviation - deviation / 4 + usual.abs_diff(took) / 4,
                ),
            });
        }
    }

    /// It did what a resolver is for.
    pub(super) fn served(&mut self, server: u8) {
        if let Some(server) = self.get_mut(server) {
            server.refusals = 0;
            server.failures = 0;
        }
    }

    /// It refused to; when it does so again and again, others are asked first.
    pub(super) fn refused(&mut self, server: u8, now: Instant) {
        let Some(server) = self.get_mut(server) else { return };
        server.refusals = server.refusals.saturating_add(1);
        if server.refusals >= MANY_REFUSALS {
            server.punish(now);
        }
    }

    /// It did not answer what was sent to it at `sent`; `broken`: nor will it answer others.
    pub(super) fn silent(&mut self, server: u8, sent: Instant, broken: bool, now: Instant) {
        let Some(server) = self.get_mut(server) else { return };
        if !broken && server.heard.is_some_and(|heard| heard > sent) {
            // It answered others meanwhile: our datagram was lost.
            return;
        }
        server.punish(now);
    }

    /// The question that was to find out is over, one way or another.
    pub(super) fn probe_over(&mut self, server: u8) {
        if let Some(server) = self.get_mut(server) {
            server.probed = false;
        }
    }

    pub(super) fn edns(&self, server: u8) -> bool {
        self.get(server).is_some_and(|server| server.edns)
    }

    /// It does not understand EDNS; whether that is news.
    pub(super) fn no_edns(&mut self, server: u8) -> bool {
        self.get_mut(server).is_some_and(|server| core::mem::replace(&mut server.edns, false))
    }

    fn get(&self, server: u8) -> Option<&Server> {
        self.list.get(usize::from(server))
    }

    fn get_mut(&mut self, server: u8) -> Option<&mut Server> {
        self.list.get_mut(usize::from(server))
    }
}

impl Server {
    fn punish(&mut self, now: Instant) {
        // Many questions run out together: that is one silence.
        if self.failures > 0 && now < self.left_alone_until {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let penalty = Duration::from_secs(1 << self.failures.min(6));
        self.left_alone_until = now + penalty.min(LONGEST_PENALTY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: u8, rotate: bool) -> Servers {
        let addresses: Vec<SocketAddr> =
            (1..=count).map(|last| ([192, 0, 2, last], 53).into()).collect();
        Servers::new(&addresses, rotate)
    }

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn the_first_serves_until_it_is_silent() {
        let mut servers = servers(3, false);
        let none = Set::default();
        assert_eq!(servers.pick(none, at(0)), Some((0, false)));
        servers.silent(0, at(0), false, at(5));
        assert_eq!(servers.pick(none, at(5)), Some((1, false)));
        assert_eq!(servers.pick(none.with(1), at(5)), Some((2, false)));
        // Nobody else is left: better a silent one than none.
        assert_eq!(servers.pick(none.with(1).with(2), at(5)), Some((0, true)));
        assert_eq!(servers.pick(none.with(1).with(2).with(0), at(5)), None);
        // After two seconds one question finds out, the others stay where they are.
        assert_eq!(servers.pick(none, at(7)), Some((0, true)));
        servers.sent(0, true, at(7));
        assert_eq!(servers.pick(none, at(7)), Some((1, false)));
        servers.probe_over(0);
        servers.silent(0, at(7), false, at(12));
        assert_eq!(servers.pick(none, at(15)), Some((1, false)));
        assert_eq!(servers.pick(none, at(16)), Some((0, true)));
        servers.heard(0, None, at(16));
        assert_eq!(servers.pick(none, at(16)), Some((0, false)));
    }

    #[test]
    fn many_silences_at_once_are_one() {
        let mut servers = servers(2, false);
        for _ in 0..100 {
            servers.silent(0, at(0), false, at(5));
        }
        assert_eq!(servers.pick(Set::default(), at(7)), Some((0, true)));
    }

    #[test]
    fn a_silent_server_is_left_alone_for_a_minute_at_most() {
        let mut servers = servers(2, false);
        let mut now = at(0);
        for secs in [2, 4, 8, 16, 32, 60, 60, 60] {
            servers.silent(0, now, false, now);
            assert_eq!(servers.pick(Set::default(), now), Some((1, false)));
            now += Duration::from_secs(secs);
            assert_eq!(servers.pick(Set::default(), now), Some((0, true)), "after {secs} s");
        }
    }

    #[test]
    fn a_lost_datagram_is_no_silence() {
        let mut servers = servers(2, false);
        servers.heard(0, None, at(3));
        servers.silent(0, at(2), false, at(7));
        assert_eq!(servers.pick(Set::default(), at(7)), Some((0, false)));
        servers.silent(0, at(2), true, at(7));
        assert_eq!(servers.pick(Set::default(), at(7)), Some((1, false)));
    }

    #[test]
    fn who_keeps_refusing_is_asked_later() {
        let mut servers = servers(2, false);
        for _ in 0..2 {
            servers.heard(0, None, at(1));
            servers.refused(0, at(1));
        }
        assert_eq!(servers.pick(Set::default(), at(1)), Some((0, false)));
        servers.heard(0, None, at(1));
        servers.refused(0, at(1));
        assert_eq!(servers.pick(Set::default(), at(1)), Some((1, false)));
        // Being heard again is not enough, serving is.
        servers.heard(0, None, at(9));
        assert_eq!(servers.pick(Set::default(), at(9)), Some((0, true)));
        servers.served(0);
        assert_eq!(servers.pick(Set::default(), at(9)), Some((0, false)));
    }

    #[test]
    fn the_servers_take_turns() {
        let mut servers = servers(3, true);
        let picked: Vec<_> = (0..4)
            .map(|_| {
                servers.take_turn();
                servers.pick(Set::default(), at(0)).unwrap().0
            })
            .collect();
        assert_eq!(picked, [1, 2, 0, 1]);
    }

    #[test]
    fn patience_follows_the_answering_time() {
        let mut servers = servers(1, false);
        assert_eq!(servers.sent(0, false, at(0)), FIRST_WAIT);
        for _ in 0..50 {
            servers.heard(0, Some(Duration::from_millis(1)), at(0));
        }
        assert_eq!(servers.sent(0, false, at(0)), SHORTEST_WAIT);
        for _ in 0..50 {
            servers.heard(0, Some(Duration::from_millis(400)), at(0));
        }
        let wait = servers.sent(0, false, at(0));
        assert!((390..500).contains(&wait.as_millis()), "{wait:?}");
    }
}
