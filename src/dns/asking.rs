//! Questions out, answers in: whom to ask, how patiently, and what an answer leads to.
//!
//! resolv.conf(5) for timeouts and attempts, RFC 5452 for what is an answer, RFC 7766 for TCP,
//! RFC 6891 section 6.2.2 for servers that do not know EDNS.

use core::time::Duration;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::cache::Fact;
use super::config::Family;
use super::error::{DnsErrorKind, Report, Said};
use super::lookup::{
    Alias, Ask, Channel, Found, LookupKey, OpenQuery, QueryKey, Side, Told, graver,
};
use super::name::WireName;
use super::resolver::{EXHAUSTED_PAUSE, Resolver};
use super::seam::Action;
use super::servers::Set;
use super::wire::{Limits, Question, Verdict, compose, read};
use crate::base::Instant;

/// When one family is there and others wait for room, the other's question must end after this.
const LATE_FAMILY: Duration = Duration::from_secs(1);

impl Resolver {
    pub(super) fn send(
        &mut self,
        lookup: LookupKey,
        family: Family,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
        payload: &mut Vec<u8>,
    ) -> Option<Action> {
        let state = self.lookups.get_mut(lookup)?;
        let name = WireName::from_bytes(&state.name);
        let side = state.side(family);
        if !matches!(side, Side::Waiting(_)) {
            return None;
        }
        let mut ask = side.take_ask()?;
        let (server, over_tcp, probe) = if let Some((server, over_tcp)) = ask.next.take() {
            (server, over_tcp, false)
        } else {
            self.servers.take_turn();
            // There is always one left: who has none left does not wait.
            let (server, probe) = self.servers.pick(ask.silent.and(ask.done), now)?;
            (server, self.config.always_tcp, probe)
        };
        let address = self.servers.address(server)?;
        let wait = self.servers.sent(server, probe, now);
        let until = now + self.config.timeout;
        let edns = self.config.edns_size > 0 && self.servers.edns(server);
        let id = random() as u16;
        let channel = if over_tcp {
            Channel::Tcp { received: Vec::new() }
        } else {
            Channel::Udp { sent: 1, wait, strays: 0 }
        };
        let asked = ask.alias.as_ref().map_or(name, |alias| alias.target);
        let question = Question { id, name: &asked, family };
        compose(payload, question, edns.then_some(self.config.edns_size), over_tcp);
        let query = self.queries.insert(OpenQuery {
            lookup,
            family,
            server,
            id,
            edns,
            probe,
            sent: now,
            until,
            channel,
        });
        *side = Side::Open(query, ask);
        let first = if over_tcp { until } else { until.min(now + wait) };
        self.query_timers.set(query.index(), first);
        self.stats.sent += 1;
        Some(if over_tcp {
            self.stats.tcp += 1;
            Action::Connect { query, server: address }
        } else {
            Action::Send { query, server: address, again: false }
        })
    }

    pub(super) fn send_again(&mut self, query: QueryKey, payload: &mut Vec<u8>) -> Option<Action> {
        let open = self.queries.get(query)?;
        let server = self.servers.address(open.server)?;
        let name = self.asked(open)?;
        let question = Question { id: open.id, name: &name, family: open.family };
        compose(payload, question, open.edns.then_some(self.config.edns_size), false);
        self.stats.again += 1;
        Some(Action::Send { query, server, again: true })
    }

    /// The name that a question has in it.
    pub(super) fn asked(&self, open: &OpenQuery) -> Option<WireName> {
        let state = self.lookups.get(open.lookup)?;
        match state.sides.get(open.family.index()) {
            Some(Side::Open(_, Ask { alias: Some(alias), .. })) => Some(alias.target),
            _ => Some(WireName::from_bytes(&state.name)),
        }
    }

    /// A question's time is up: for this datagram, or for this server.
    pub(super) fn overdue(&mut self, query: QueryKey, now: Instant) {
        let Some(open) = self.queries.get(query) else { return };
        let moves = self.lookups.get(open.lookup).is_none_or(|state| {
            let late = state.told == Told::OneFamily && now.since(open.sent) >= LATE_FAMILY;
            match state.sides.get(open.family.index()) {
                _ if late && !self.waiting.is_empty() => true,
                Some(Side::Open(_, ask)) => {
                    self.servers.had_better_move(open.server, ask.silent.and(ask.done), now)
                }
                _ => true,
            }
        });
        let Some(open) = self.queries.get_mut(query) else { return };
        match &mut open.channel {
            Channel::Udp { sent, wait, .. } if now < open.until && !moves => {
                *sent = sent.saturating_add(1);
                *wait += *wait / 2;
                self.query_timers.set(query.index(), open.until.min(now + *wait));
                self.again.push_back(query);
            }
            channel => {
                let sent = if let Channel::Udp { sent, .. } = channel { *sent } else { 1 };
                let said = Said::Silence { sent, waited: now.since(open.sent) };
                self.stats.silences += 1;
                self.move_on(query, said, now);
            }
        }
    }

    pub(super) fn read(&self, open: &OpenQuery, bytes: &[u8]) -> Verdict {
        let Some(name) = self.asked(open) else { return Verdict::Stray };
        let hops = self.lookups.get(open.lookup).map_or(0, |state| {
            match state.sides.get(open.family.index()) {
                Some(Side::Open(_, Ask { alias: Some(alias), .. })) => alias.hops,
                _ => 0,
            }
        });
        let limits = Limits { chain: self.config.max_chain, addresses: self.config.max_addresses };
        read(bytes, Question { id: open.id, name: &name, family: open.family }, hops, limits)
    }

    pub(super) fn judge(
        &mut self,
        query: QueryKey,
        verdict: Verdict,
        took: Option<Duration>,
        now: Instant,
    ) {
        let Some(open) = self.queries.get_mut(query) else { return };
        let (server, edns) = (open.server, open.edns);
        if let Verdict::Stray = verdict {
            self.stats.strays += 1;
            if let Channel::Udp { strays, .. } = &mut open.channel {
                *strays = strays.saturating_add(1);
                if *strays > self.config.max_strays {
                    self.ask_again(query, Some((server, true)));
                }
            }
            return;
        }
        self.servers.heard(server, took, now);
        match verdict {
            Verdict::Stray => {}
            Verdict::Truncated => self.ask_again(query, Some((server, true))),
            Verdict::Malformed => self.move_on(query, Said::Malformed, now),
            Verdict::Code(1 | 4) if edns => {
                self.servers.no_edns(server);
                let over_tcp = matches!(open.channel, Channel::Tcp { .. });
                self.ask_again(query, Some((server, over_tcp)));
            }
            Verdict::Code(code) => {
                if matches!(code, 4 | 5) {
                    self.servers.refused(server, now);
                }
                self.move_on(query, Said::Code(code), now);
            }
            Verdict::Referral => {
                self.servers.refused(server, now);
                self.move_on(query, Said::Referral, now);
            }
            Verdict::Addresses { addresses, ttl } => {
                self.found(query, Fact::Addresses(addresses.into()), Some(ttl), now);
            }
            Verdict::Negative { nx, ttl } => self.found(query, Fact::Negative { nx }, ttl, now),
            Verdict::Chase { target, hops, ttl } => self.chase(query, target, hops, ttl, now),
            Verdict::Loop(at) => {
                let said = Said::CnameLoop(alloc::format!("{at}").into());
                self.give_up(query, DnsErrorKind::CnameLoop, said, now);
            }
        }
    }

    /// The same question again: to this server, or to any.
    pub(super) fn ask_again(&mut self, query: QueryKey, next: Option<(u8, bool)>) {
        let Some(open) = self.close(query) else { return };
        let Some(state) = self.lookups.get_mut(open.lookup) else { return };
        let side = state.side(open.family);
        if let Some(ask) = side.take_ask() {
            *side = Side::Waiting(Ask { next, ..ask });
            self.waiting.push_front((open.lookup, open.family));
        }
    }

    /// The system has no socket for a question: it waits, but not for longer than for a server.
    pub(super) fn wait_for_a_socket(&mut self, query: QueryKey) -> bool {
        let Some(open) = self.queries.get(query) else { return true };
        let next = (open.server, matches!(open.channel, Channel::Tcp { .. }));
        let (lookup, family) = (open.lookup, open.family);
        let Some(state) = self.lookups.get_mut(lookup) else { return true };
        let Side::Open(_, ask) = state.side(family) else { return true };
        ask.exhausted = ask.exhausted.saturating_add(1);
        if EXHAUSTED_PAUSE * u32::from(ask.exhausted) > self.config.timeout {
            return false;
        }
        self.ask_again(query, Some(next));
        true
    }

    /// The aliases lead out of the message: their end is asked for.
    pub(super) fn chase(
        &mut self,
        query: QueryKey,
        target: WireName,
        hops: u8,
        ttl: u32,
        now: Instant,
    ) {
        let Some(open) = self.queries.get(query) else { return };
        let (lookup, family, server) = (open.lookup, open.family, open.server);
        let Some(state) = self.lookups.get_mut(lookup) else { return };
        let back = *state.name == *target.as_bytes();
        if back || hops >= self.config.max_chain {
            let said = Said::CnameLoop(alloc::format!("{target}").into());
            self.give_up(query, DnsErrorKind::CnameLoop, said, now);
            return;
        }
        self.servers.served(server);
        let side = state.side(family);
        if let Some(ask) = side.take_ask() {
            let ttl = ask.alias.map_or(ttl, |alias| alias.ttl.min(ttl));
            let alias = Some(Box::new(Alias { target, hops, ttl }));
            *side = Side::Open(query, Ask { alias, ..Ask::default() });
            self.ask_again(query, None);
        }
    }

    /// A server said something that counts.
    pub(super) fn found(&mut self, query: QueryKey, fact: Fact, ttl: Option<u32>, now: Instant) {
        let Some(open) = self.close(query) else { return };
        let server = open.server;
        self.servers.served(server);
        let Some(state) = self.lookups.get_mut(open.lookup) else { return };
        let name = WireName::from_bytes(&state.name);
        state.server = Some(server);
        let side = state.side(open.family);
        let before = side.take_ask().and_then(|ask| ask.alias).map(|alias| alias.ttl);
        let ttl = ttl.map(|ttl| before.map_or(ttl, |before| before.min(ttl)));
        let known = self.cache.known(fact, ttl, server, now);
        *side = Side::Done(match &known.fact {
            Fact::Addresses(list) => Found::Addresses(list.clone(), known.expires),
            Fact::Negative { nx } => Found::Negative { nx: *nx, server },
        });
        self.cache.store(&name, open.family, known);
        self.settle(open.lookup, now);
    }

    /// This server is of no use to this question: the next one, or another round, or the end.
    pub(super) fn move_on(&mut self, query: QueryKey, said: Said, now: Instant) {
        let Some(open) = self.close(query) else { return };
        let server = open.server;
        let silence = matches!(said, Said::Silence { .. });
        let kind = match &said {
            Said::Silence { .. } => {
                self.servers.silent(server, open.sent, false, now);
                DnsErrorKind::Unanswered
            }
            Said::Exhausted => DnsErrorKind::Unanswered,
            Said::NobodyListens | Said::Unreachable | Said::Os(_) => {
                self.servers.silent(server, open.sent, true, now);
                DnsErrorKind::Unanswered
            }
            Said::Code(5) | Said::Referral => DnsErrorKind::Refused,
            Said::Malformed => DnsErrorKind::Malformed,
            _ => DnsErrorKind::ServerFailure,
        };
        self.report(&open, said);
        let attempts = self.config.attempts.max(1);
        let Some(state) = self.lookups.get_mut(open.lookup) else { return };
        let late = state.told == Told::OneFamily && !self.waiting.is_empty();
        let side = state.side(open.family);
        let Some(mut ask) = side.take_ask() else { return };
        ask.worst = Some(graver(ask.worst, kind));
        if silence {
            ask.silent = ask.silent.with(server);
        } else {
            ask.done = ask.done.with(server);
        }
        let mut left = self.servers.pick(ask.silent.and(ask.done), now).is_some();
        if !left && ask.round + 1 < attempts {
            ask.round += 1;
            ask.silent = Set::default();
            left = self.servers.pick(ask.done, now).is_some();
        }
        // A late family that others wait behind may still ask a server in good standing.
        if left && (!late || self.servers.has_better(ask.silent.and(ask.done))) {
            *side = Side::Waiting(ask);
            self.waiting.push_front((open.lookup, open.family));
        } else {
            *side = Side::Done(Found::Failed(ask.worst.unwrap_or(kind)));
            self.settle(open.lookup, now);
        }
    }

    /// No other server will make this better.
    pub(super) fn give_up(
        &mut self,
        query: QueryKey,
        kind: DnsErrorKind,
        said: Said,
        now: Instant,
    ) {
        let Some(open) = self.close(query) else { return };
        self.report(&open, said);
        let Some(state) = self.lookups.get_mut(open.lookup) else { return };
        *state.side(open.family) = Side::Done(Found::Failed(kind));
        self.settle(open.lookup, now);
    }

    pub(super) fn report(&mut self, open: &OpenQuery, said: Said) {
        let (Some(name), Some(server)) = (self.asked(open), self.servers.address(open.server))
        else {
            return;
        };
        if let Some(state) = self.lookups.get_mut(open.lookup) {
            state.report(Report { server, name: alloc::format!("{name}").into(), said });
        }
    }

    /// The end of a question, for whatever reason.
    pub(super) fn close(&mut self, query: QueryKey) -> Option<OpenQuery> {
        let open = self.queries.remove(query)?;
        self.query_timers.cancel(query.index());
        if open.probe {
            self.servers.probe_over(open.server);
        }
        self.out.push_back(Action::Close { query });
        Some(open)
    }
}
