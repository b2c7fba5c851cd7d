//! Answers that say "not now": which of them are about how much is asked for at once.
//!
//! A 503 says so itself. 500, 502, 504, 522 and 524 are said of a program that fails on this one URL
//! as well as of one that has no worker, no place in its queue or no connection to its database left.
//! Two things tell them apart. The same URL, asked again: where it is answered then, the failure was not
//! the URL's. And the connection: where fresh ones fail with their first request and those that have
//! served do not, it is not the URLs, for these are dealt out to both alike. Once either was seen
//! a few times, such an answer is taken for the complaint that a 503 is; and no longer, when those that
//! fail again, or on a connection that has served, by far outnumber the others.
//!
//! Owns that judgement, and what the limits and the pace are told of such an answer. Whether the request
//! is made again is `retry`'s.

use core::time::Duration;

use super::group::Group;
use super::host::Host;
use super::limit::{Complaint, Finding};
use super::pace::Blame;
use crate::base::Instant;

/// So many requests were answered when they were made again, before that is believed.
const BELIEVED: u32 = 3;
/// And of those that were made again one in so many at least: who is asked for far too much has an answer
/// for few of them, too. Of the failures themselves, at most one in so many on a connection that has served.
const PART: u32 = 16;
/// So many fresh connections failed with their first request while others served.
const TURNED_AWAY: u32 = 8;
/// Each answer lets two of those count, and so many may be saved up: fewer than weigh as much as one failure
/// on a kept connection, so that a run of bad URLs in a list, with a server that closes after each, says
/// nothing.
const CREDIT: u32 = PART - 1;
/// So many are remembered; then both count half.
const REMEMBERED: u32 = 512;

/// Where such answers came, and what became of requests that were made again after them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerErrors {
    /// They were answered.
    healed: u32,
    /// They met the like again.
    stayed: u32,
    /// Failures of a fresh connection's first request while the host served others.
    turned_away: u32,
    /// Failures on connections that had served.
    kept: u32,
    /// So many more may count as turned away until the host serves again.
    credit: u32,
}

impl ServerErrors {
    /// Whether a status is one of those that may be about the URL.
    pub(super) const fn are(status: u16) -> bool {
        matches!(status, 500 | 502 | 504 | 522 | 524)
    }

    const fn are_about_load(self) -> bool {
        (self.healed >= BELIEVED && self.healed.saturating_mul(PART) >= self.stayed)
            || (self.turned_away >= TURNED_AWAY
                && self.kept.saturating_mul(PART) <= self.turned_away
                && self.stayed <= self.turned_away.saturating_add(self.healed.saturating_mul(PART)))
    }

    /// The host serves.
    #[inline]
    pub(super) fn served(&mut self) {
        self.credit = (self.credit + 2).min(CREDIT);
    }

    /// Such an answer came, on a connection that had served before or not.
    fn came(&mut self, reused: bool) {
        if reused {
            self.kept += 1;
        } else if let Some(left) = self.credit.checked_sub(1) {
            self.credit = left;
            self.turned_away += 1;
        }
        if self.kept + self.turned_away >= REMEMBERED {
            self.kept /= 2;
            self.turned_away /= 2;
        }
    }

    fn learn(&mut self, status: u16) {
        match status {
            // Those are about something else.
            408 | 429 | 503 => {}
            status if Self::are(status) => self.stayed += 1,
            _ => self.healed += 1,
        }
        if self.healed + self.stayed >= REMEMBERED {
            self.healed /= 2;
            self.stayed /= 2;
        }
    }
}

/// An answer to a request that was sent at `started`.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The last attempt for it ended in one of [`ServerErrors`].
    pub(super) was_error: bool,
    /// Its connection had served before.
    pub(super) reused: bool,
    pub(super) started: Instant,
    /// What it asks to be left alone for.
    pub(super) pause: Option<Duration>,
    /// Whether such answers are tried again at all.
    pub(super) is_repeated: bool,
}

/// Tells the limits and the pace what an answer says of them, if it does.
pub(super) fn heed(host: &mut Host, group: &mut Group, what: Refusal, now: Instant) {
    let before = host.errors.are_about_load();
    if what.was_error {
        host.errors.learn(what.status);
    }
    if ServerErrors::are(what.status) {
        host.errors.came(what.reused);
    }
    if before && !host.errors.are_about_load() && is_for_errors(host.limit.explain().finding) {
        // They fail at any level: nothing that a higher one is to blame for.
        host.limit.acquit(now);
        group.limit.acquit(now);
    }
    let complaint = match what.status {
        503 => (!host.pace.is_about_503()).then_some(Complaint::Overload503),
        status if ServerErrors::are(status) && host.errors.are_about_load() => {
            Some(Complaint::ServerError)
        }
        _ => None,
    };
    if let Some(complaint) = complaint {
        host.limit.refusal_costs(what.pause.unwrap_or_default());
        host.limit.complaint(now, complaint, what.started, host.slots());
        // What holds this host by a pause costs the others at its address nothing, and is their matter
        // no more.
        if what.pause.is_none() {
            group.limit.complaint(now, complaint, what.started, group.conns);
        }
    }
    if what.status == 503 {
        pace(host, group, what, now);
    }
}

/// A 503 may be about the rate.
fn pace(host: &mut Host, group: &mut Group, what: Refusal, now: Instant) {
    let level = host.limit.allowed();
    if what.is_repeated
        && host.pace.unavailable(now, what.started, level, what.pause)
            == (Blame::Rate { found: true })
    {
        host.limit.acquit(now);
        group.limit.acquit(now);
    }
}

fn is_for_errors(finding: Finding) -> bool {
    matches!(
        finding,
        Finding::Complaint { what: Complaint::ServerError, .. }
            | Finding::Outage { what: Complaint::ServerError }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(healed: u32, stayed: u32) -> ServerErrors {
        let mut errors = ServerErrors::default();
        (0..healed).for_each(|_| errors.learn(200));
        (0..stayed).for_each(|_| errors.learn(500));
        errors
    }

    #[test]
    fn what_is_answered_the_next_time_was_not_the_urls_fault() {
        assert!(!after(2, 0).are_about_load());
        assert!(after(3, 0).are_about_load());
        assert!(after(3, 48).are_about_load());
        assert!(!after(3, 49).are_about_load());
        // URLs that never work say nothing, however many they are.
        assert!(!after(0, 100_000).are_about_load());
        // What was learned long ago counts for less.
        assert!(!after(400, 6_000).are_about_load());
        assert!(after(100_000, 400).are_about_load());
    }

    /// How often one came on a fresh connection while the host served, and how often on a kept one.
    fn came(turned_away: u32, kept: u32) -> ServerErrors {
        let mut errors = ServerErrors::default();
        for _ in 0..turned_away {
            errors.served();
            errors.came(false);
        }
        (0..kept).for_each(|_| errors.came(true));
        errors
    }

    #[test]
    fn fresh_connections_that_alone_fail_were_too_many() {
        assert!(!came(7, 0).are_about_load());
        assert!(came(8, 0).are_about_load());
        // URLs that fail do so on kept connections, too.
        assert!(!came(8, 1).are_about_load());
        assert!(came(32, 2).are_about_load());
        assert!(!came(300, 30).are_about_load());
        // And when they are asked for again.
        let mut errors = came(8, 0);
        (0..9).for_each(|_| errors.learn(500));
        assert!(!errors.are_about_load());
        errors.learn(200);
        assert!(errors.are_about_load());
    }

    #[test]
    fn a_run_of_bad_urls_says_nothing() {
        // At the head of the list.
        let mut errors = ServerErrors::default();
        (0..1_000).for_each(|_| errors.came(false));
        assert!(!errors.are_about_load());
        // In its middle, with a server that closes after each.
        (0..1_000).for_each(|_| errors.served());
        errors.came(true);
        (0..1_000).for_each(|_| errors.came(false));
        assert!(!errors.are_about_load());
    }

    #[test]
    fn other_refusals_say_nothing_of_it() {
        let mut errors = ServerErrors::default();
        for status in [408, 429, 503] {
            errors.learn(status);
        }
        assert_eq!((errors.healed, errors.stayed), (0, 0));
        // That it is not there is an answer.
        errors.learn(404);
        assert_eq!((errors.healed, errors.stayed), (1, 0));
    }
}
