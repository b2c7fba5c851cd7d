//! Whose trouble a failed look-up is: the name's, or that of the name servers.
//!
//! Owns the evidence. A server that is cut off from the others says SERVFAIL or REFUSED to everything, or
//! nothing at all: when a name fails so, the one that was answered last is asked for once more. And as that
//! one may be remembered upstream, a run of names of different zones tells as much: their servers do not
//! fail all at once. That the engine waits then is its own rule (`engine/outage`).

use core::time::Duration;
use std::collections::HashSet;

use crate::base::Instant;
use crate::dns::{Answer, DnsError, DnsErrorKind, Lookup, LookupKey, Report, Resolver, Said};
use crate::engine::{HostKey, NameServers};

/// How long an answer to the question whether the servers are there is waited for.
const CHECK: Duration = Duration::from_secs(3);
/// So many zones that fail for the first time, and none that is answered in between, are no chance.
const ZONES: usize = 16;

/// What speaks against the name servers.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// The name that was answered last; empty: none ever was, which is a mistake rather than an outage.
    answered: Box<str>,
    /// The question whether the servers are there, and until when an answer is waited for.
    check: Option<(LookupKey, Instant)>,
    /// Failures that wait for it.
    waiting: Vec<(HostKey, Box<DnsError>)>,
    /// Hosts whose names have failed before: that they do again says nothing.
    failed: HashSet<HostKey>,
    /// Zones of names that failed for the first time since one was answered, [`ZONES`] at most.
    zones: Vec<Box<str>>,
}

impl Doubts {
    /// A server had addresses for this name.
    pub(super) fn answered(&mut self, name: &str) {
        if *self.answered != *name {
            self.answered = name.into();
        }
        self.zones.clear();
    }

    /// A look-up failed: whether that can't be judged yet. [`Self::settled`] hands it out again then.
    pub(super) fn failed(
        &mut self,
        resolver: &mut Resolver,
        host: HostKey,
        error: &DnsError,
        now: Instant,
    ) -> bool {
        if !is_doubtful(error) || self.answered.is_empty() {
            if !error.kind.is_transient() {
                self.zones.clear();
            }
            return false;
        }
        if self.failed.insert(host) && self.zones.len() < ZONES {
            let zone = zone(&error.name);
            if !self.zones.iter().any(|known| known.eq_ignore_ascii_case(zone)) {
                self.zones.push(zone.into());
            }
        }
        if self.check.is_none() {
            resolver.invalidate(&self.answered);
            match resolver.resolve(&self.answered, now) {
                Lookup::Pending(lookup) => self.check = Some((lookup, now + CHECK)),
                Lookup::Ready(_) => return false,
            }
        }
        self.waiting.push((host, Box::new(error.clone())));
        true
    }

    /// Whether this look-up is the question whether the servers are there.
    pub(super) fn asked(&self, lookup: LookupKey) -> bool {
        self.check.is_some_and(|(check, _)| check == lookup)
    }

    /// When it is no longer waited for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.check.map(|(_, until)| until)
    }

    pub(super) fn shift(&mut self, gap: Duration) {
        if let Some((_, until)) = &mut self.check {
            *until += gap;
        }
    }

    /// The question was answered, or not in time: what waited for that, and whose trouble it is.
    pub(super) fn settled(
        &mut self,
        result: Option<&Result<Answer, Box<DnsError>>>,
    ) -> impl Iterator<Item = (HostKey, Box<DnsError>, NameServers)> + use<> {
        self.check = None;
        let there = match result {
            Some(Ok(answer)) => !answer.stale,
            Some(Err(error)) => !is_doubtful(error),
            None => false,
        };
        let servers = if there && self.zones.len() < ZONES {
            NameServers::Answered
        } else {
            NameServers::Silent
        };
        let waited = core::mem::take(&mut self.waiting);
        waited.into_iter().map(move |(host, error)| (host, error, servers))
    }
}

/// Whether it may be the servers' trouble rather than the name's.
fn is_doubtful(error: &DnsError) -> bool {
    match error.kind {
        DnsErrorKind::Unanswered => !error.reports.iter().all(is_absent),
        DnsErrorKind::ServerFailure | DnsErrorKind::Refused => true,
        _ => false,
    }
}

/// What a failure says of the servers, where nothing else is known.
pub(super) fn servers(error: &DnsError) -> NameServers {
    match error.kind {
        DnsErrorKind::Unanswered if error.reports.iter().all(is_absent) => NameServers::Absent,
        DnsErrorKind::Unanswered => NameServers::Silent,
        _ => NameServers::Answered,
    }
}

/// Nobody listens at that server's port: it is not there, rather than silent.
fn is_absent(report: &Report) -> bool {
    report.said == Said::NobodyListens
}

/// What is likely to have servers of its own: the last two labels of a name. Where that is one zone too
/// many or too few, it takes others to be sure.
fn zone(name: &str) -> &str {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    dots.nth(1).map_or(name, |at| name.get(at + 1..).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_the_last_two_labels() {
        let cases = [
            ("www.example.org", "example.org"),
            ("a.b.example.org.", "example.org"),
            ("example.org", "example.org"),
            ("host", "host"),
            ("", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(zone(name), expected, "{name}");
        }
    }
}
