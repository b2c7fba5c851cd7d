//! What is told when: from the cache, after both families answered, after the resolution delay
//! (RFC 8305 section 3), stale while the servers fail (RFC 8767), or the error.

use core::hash::BuildHasher;
use core::net::IpAddr;
use core::time::Duration;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::cache::{Fact, Known};
use super::config::Family;
use super::error::{DnsError, DnsErrorKind, Report, Said};
use super::lookup::{Ask, Found, LookupKey, PendingLookup, Side, Told, graver};
use super::name::WireName;
use super::resolver::Resolver;
use super::seam::{Action, Answer, Source};
use super::sort::arrange;
use crate::base::Instant;

/// A family that could not be found out about is not asked for again for so long.
const FAMILY_RECHECK: Duration = Duration::from_secs(60);

const NO_SERVER: &str = "no name server is configured, so 127.0.0.1 was asked: name one, or \
    say where the host is";
const ALL_SILENT: &str = "is the network up? other name servers may answer";

impl Resolver {
    /// The look-up of what was typed, if it is under way.
    pub(super) fn find(&self, typed: &str) -> Option<LookupKey> {
        let same =
            |key: &LookupKey| self.lookups.get(*key).is_some_and(|state| *state.typed == *typed);
        self.names.find(self.hash.hash_one(typed), same).copied()
    }

    /// Answers from the cache, or starts to ask.
    pub(super) fn begin(
        &mut self,
        typed: &str,
        now: Instant,
    ) -> Result<Result<Answer, Box<DnsError>>, LookupKey> {
        let mut state = PendingLookup::of(typed.into());
        if let Some(ready) = self.advance(&mut state, 0, now) {
            return Ok(ready);
        }
        let key = self.lookups.insert(state);
        let (hash, lookups) = (self.hash, &self.lookups);
        let rehash =
            |key: &LookupKey| lookups.get(*key).map_or(0, |state| hash.hash_one(&*state.typed));
        self.names.insert_unique(hash.hash_one(typed), key, rehash);
        self.enqueue(key, now);
        Err(key)
    }

    /// Goes on with the next name of the search list, counted from `from`: what the cache knows
    /// is taken from there. Either that is the end, or `state` has something to ask.
    pub(super) fn advance(
        &mut self,
        state: &mut PendingLookup,
        from: usize,
        now: Instant,
    ) -> Option<Result<Answer, Box<DnsError>>> {
        let mut from = from;
        while let Some((number, name)) = self.search.candidate(&state.typed, from) {
            from = number + 1;
            state.candidate = number;
            state.name = name.as_bytes().into();
            let failed = &self.failed;
            let known = self.cache.look_up(&name);
            // The floor is for names that hardly move: this one seems to have moved.
            let moved = known.is_some_and(|known| {
                let all_failed = known.iter().flatten().all(|known| match &known.fact {
                    Fact::Addresses(list) => list.iter().all(|ip| failed.since(ip, now).is_some()),
                    Fact::Negative { .. } => true,
                });
                all_failed && known.iter().flatten().any(|known| known.fact.has_addresses())
            });
            for family in Family::BOTH {
                let fresh = known.and_then(|known| known.get(family.index())?.as_ref());
                let fresh =
                    fresh.filter(|known| now < if moved { known.meant } else { known.expires });
                *state.side(family) = if !family.wanted(self.config.families) {
                    Side::Unwanted
                } else if let Some(Known { fact, server, expires, .. }) = fresh {
                    Side::Done(match fact {
                        Fact::Addresses(list) => Found::Addresses(list.clone(), *expires),
                        Fact::Negative { nx } => Found::Negative { nx: *nx, server: *server },
                    })
                } else {
                    Side::Waiting(Ask::default())
                };
            }
            if state.is_open() {
                // The servers failed a moment ago: what is known serves without asking them.
                if self.cache.is_unasked(&name, now)
                    && let Some(answer) = self.stale_answer(&name, now)
                {
                    self.stats.stale += 1;
                    return Some(Ok(answer));
                }
                return None;
            }
            if let Some((addresses, expires)) = state.addresses() {
                return Some(Ok(self.answer(addresses, expires, Source::Cache, now)));
            }
            self.note_negatives(state);
            state.worst = Some(graver(state.worst, state.trouble()));
        }
        Some(self.failure(state))
    }

    /// The sides of a look-up that have something to ask go into the queue.
    pub(super) fn enqueue(&mut self, key: LookupKey, now: Instant) {
        let Some(state) = self.lookups.get(key) else { return };
        for family in Family::BOTH {
            if state.sides.get(family.index()).is_some_and(|s| matches!(s, Side::Waiting(_))) {
                self.waiting.push_back((key, family));
            }
        }
        // The cache may have one family already; else there may be something past its time.
        if state.told != Told::Nothing {
            self.lookup_timers.cancel(key.index());
        } else if state.addresses().is_some() {
            self.lookup_timers.set(key.index(), now + self.config.resolution_delay);
        } else if self.cache.stale(&WireName::from_bytes(&state.name), now).is_some() {
            self.lookup_timers.set(key.index(), now + self.config.cache.stale_after);
        } else {
            self.lookup_timers.cancel(key.index());
        }
    }

    /// A side of the look-up is done: is there something to tell?
    pub(super) fn settle(&mut self, key: LookupKey, now: Instant) {
        let Some(state) = self.lookups.get(key) else { return };
        if state.is_open() {
            if state.told == Told::Nothing && state.addresses().is_some() {
                let soon = now + self.config.resolution_delay;
                let at = self.lookup_timers.get(key.index()).map_or(soon, |at| at.min(soon));
                self.lookup_timers.set(key.index(), at);
            }
            return;
        }
        // Taken out while it is judged, and put back when it goes on.
        let Some(place) = self.lookups.get_mut(key) else { return };
        let mut state = core::mem::take(place);
        let result = self.conclude(&mut state, now);
        if let Some(place) = self.lookups.get_mut(key) {
            *place = state;
        }
        match result {
            Some(result) => {
                self.end(key);
                self.resolved(key, result, false);
            }
            None => self.enqueue(key, now),
        }
    }

    /// Both families are done: the result, unless there is another name to try.
    fn conclude(
        &mut self,
        state: &mut PendingLookup,
        now: Instant,
    ) -> Option<Result<Answer, Box<DnsError>>> {
        let name = WireName::from_bytes(&state.name);
        if let Some((addresses, expires)) = state.addresses() {
            self.do_without(state, expires, now);
            let source = state.server.and_then(|server| self.servers.address(server));
            let source = source.map_or(Source::Cache, Source::Server);
            return Some(Ok(self.answer(addresses, expires, source, now)));
        }
        let kind = state.trouble();
        if kind.is_transient()
            && let Some(answer) = self.stale_answer(&name, now)
        {
            self.cache.leave_unasked(&name, now);
            return Some(Ok(answer));
        }
        self.note_negatives(state);
        state.worst = Some(graver(state.worst, kind));
        if kind == DnsErrorKind::Unanswered {
            return Some(self.failure(state));
        }
        let next = state.candidate + 1;
        self.advance(state, next, now)
    }

    /// The resolution delay is over, or the patience before stale data.
    pub(super) fn tell_early(&mut self, key: LookupKey, now: Instant) {
        let Some(state) = self.lookups.get_mut(key) else { return };
        if let Some((addresses, expires)) = state.addresses() {
            state.told = Told::OneFamily;
            let mut open = false;
            for side in &mut state.sides {
                match side {
                    Side::Open(..) => open = true,
                    Side::Waiting(_) => {
                        *side = Side::Done(Found::Failed(DnsErrorKind::Unanswered));
                    }
                    Side::Unwanted | Side::Done(_) => {}
                }
            }
            if open {
                let server = state.server;
                let source = server.and_then(|server| self.servers.address(server));
                let source = source.map_or(Source::Cache, Source::Server);
                let answer = self.answer(addresses, expires, source, now);
                self.resolved(key, Ok(answer), true);
            } else {
                self.settle(key, now);
            }
            return;
        }
        let name = WireName::from_bytes(&state.name);
        let Some(answer) = self.stale_answer(&name, now) else { return };
        if let Some(state) = self.lookups.get_mut(key) {
            state.told = Told::Stale;
        }
        self.cache.leave_unasked(&name, now);
        self.resolved(key, Ok(answer), true);
    }

    fn resolved(&mut self, lookup: LookupKey, result: Result<Answer, Box<DnsError>>, more: bool) {
        if result.as_ref().is_ok_and(|answer| answer.stale) {
            self.stats.stale += 1;
        }
        self.out.push_back(Action::Resolved { lookup, result, more });
    }

    /// The look-up is over: its key names nothing any more.
    pub(super) fn end(&mut self, key: LookupKey) {
        let Some(state) = self.lookups.remove(key) else { return };
        self.lookup_timers.cancel(key.index());
        let hash = self.hash.hash_one(&*state.typed);
        if let Ok(place) = self.names.find_entry(hash, |other| *other == key) {
            place.remove();
        }
    }

    /// One family's addresses are there and the other's could not be had: for a while it counts
    /// as having none, else every use of the name would wait for it again.
    fn do_without(&mut self, state: &PendingLookup, expires: Instant, now: Instant) {
        let name = WireName::from_bytes(&state.name);
        let expires = expires.min(now + FAMILY_RECHECK);
        for (family, side) in Family::BOTH.into_iter().zip(&state.sides) {
            if let Side::Done(Found::Failed(_)) = side {
                let fact = Fact::Negative { nx: false };
                let server = state.server.unwrap_or(0);
                let known = Known { fact, server, expires, meant: expires };
                self.cache.store(&name, family, known);
            }
        }
    }

    /// What servers said about the name that was just tried goes into the report.
    fn note_negatives(&self, state: &mut PendingLookup) {
        let name = WireName::from_bytes(&state.name);
        for family in Family::BOTH {
            let Side::Done(Found::Negative { nx, server }) = *state.side(family) else { continue };
            let Some(server) = self.servers.address(server) else { continue };
            let said = if nx { Said::NoSuchName } else { Said::NoAddress };
            state.report(Report { server, name: alloc::format!("{name}").into(), said });
        }
    }

    fn failure(&self, state: &mut PendingLookup) -> Result<Answer, Box<DnsError>> {
        let kind = state.worst.unwrap_or(DnsErrorKind::NoAddress);
        let hint = self.hint(kind);
        let reports = core::mem::take(&mut state.reports);
        Err(Box::new(DnsError { kind, name: state.typed.clone(), bad: None, reports, hint }))
    }

    pub(super) fn hint(&self, kind: DnsErrorKind) -> Option<&'static str> {
        match kind {
            DnsErrorKind::NoSuchName | DnsErrorKind::NoAddress | DnsErrorKind::CnameLoop => None,
            _ if self.no_server_given => Some(NO_SERVER),
            DnsErrorKind::Unanswered => Some(ALL_SILENT),
            _ => None,
        }
    }

    pub(super) fn answer(
        &self,
        mut addresses: Vec<IpAddr>,
        expires: Instant,
        source: Source,
        now: Instant,
    ) -> Answer {
        arrange(&mut addresses, self.config.reach, |address| self.failed.since(address, now));
        Answer { addresses, expires, stale: false, source }
    }

    /// What the cache has for `name` past its time.
    pub(super) fn stale_answer(&self, name: &WireName, now: Instant) -> Option<Answer> {
        let addresses = self.cache.stale(name, now)?;
        let expires = now + self.config.cache.stale_recheck;
        Some(Answer { stale: true, ..self.answer(addresses, expires, Source::Cache, now) })
    }
}
