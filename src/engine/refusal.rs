//! Answers that say "not now": which of them are about how much is asked for at once.
//!
//! A 503 says so itself. 500, 502, 504, 522 and 524 are said of a program that fails on this one URL
//! as well as of one that has no worker, no place in its queue or no connection to its database left.
//! Two things tell them apart. The same URL, asked again: where it is answered then, the failure was not
//! the URL's. That is known only after its pause, by when those that are too many have failed a thousand
//! others. So where a host that serves begins to answer most with such errors, they are presumed to come of too
//! much at once: they narrow the limit as a 503 does, and if it was that, they end with it. Where they do not,
//! or where URLs fail again, that is taken back, and is presumed the less easily the next time.
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
/// for few of them, too.
const PART: u32 = 16;
/// So many are remembered; then both count half.
const REMEMBERED: u32 = 512;
/// So many errors, and more than were served meanwhile, let it be presumed; twice as many each time that it
/// turned out to be wrong, up to so often.
const STRIKING: u32 = 8;
const WRONG_MOST: u32 = 6;
/// Of what is watched, so much is remembered at least; then both count half.
const WATCHED: u32 = 32;
/// So many errors with none served in between that were not under way before: a lower limit does not end them.
const UNENDING: u32 = 32;
/// So many served in a row end a run of errors.
const CALM: u32 = 16;

/// What is known of such answers of a host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerErrors {
    /// Requests that were answered when they were made again.
    healed: u32,
    /// And those that met the like again.
    stayed: u32,
    /// How often they were presumed to be about load and were not.
    wrong: u32,
    guess: Guess,
}

/// What the answers themselves let guess, before any was asked for again.
#[derive(Clone, Copy, Debug)]
enum Guess {
    /// Nothing: so many came of late.
    Watching { errors: u32, served: u32 },
    /// They come of too much at once. So many came since the limit fell for it, and so many were served since
    /// the last of them.
    Load { since: Instant, errors: u32, served: u32 },
}

impl Default for Guess {
    fn default() -> Self {
        Self::Watching { errors: 0, served: 0 }
    }
}

impl ServerErrors {
    /// Whether a status is one of those that may be about the URL.
    pub(super) const fn are(status: u16) -> bool {
        matches!(status, 500 | 502 | 504 | 522 | 524)
    }

    const fn are_about_load(self) -> bool {
        matches!(self.guess, Guess::Load { .. })
            || (self.healed >= BELIEVED && self.healed.saturating_mul(PART) >= self.stayed)
    }

    /// The host serves.
    #[inline]
    pub(super) fn served(&mut self) {
        match &mut self.guess {
            Guess::Watching { served, .. } => *served = (*served + 1).min(WATCHED),
            Guess::Load { errors, served, .. } => {
                *served += 1;
                if *served >= CALM {
                    (*errors, *served) = (0, 0);
                }
            }
        }
    }

    /// Such an answer came, to a request that was sent at `started`.
    fn came(&mut self, started: Instant, now: Instant) {
        let fail_again = self.fail_again();
        match &mut self.guess {
            Guess::Watching { errors, served } => {
                *errors += 1;
                let striking = *errors >= STRIKING << self.wrong && errors > served;
                if striking && *served > 0 && !fail_again {
                    self.guess = Guess::Load { since: now, errors: 0, served: 0 };
                } else if *errors + *served >= WATCHED << self.wrong {
                    *errors /= 2;
                    *served /= 2;
                }
            }
            Guess::Load { since, errors, served } => {
                *errors += u32::from(started >= *since);
                *served = 0;
                if *errors >= UNENDING {
                    self.was_wrong();
                }
            }
        }
    }

    /// What became of a request that was made again.
    fn learn(&mut self, status: u16) {
        match status {
            // Those are about something else.
            408 | 429 | 503 => {}
            status if Self::are(status) => self.stayed += 1,
            _ => self.healed += 1,
        }
        if self.fail_again() && matches!(self.guess, Guess::Load { .. }) {
            self.was_wrong();
        }
        if self.healed + self.stayed >= REMEMBERED {
            self.healed /= 2;
            self.stayed /= 2;
        }
    }

    /// Whether URLs that failed are known to fail again.
    const fn fail_again(self) -> bool {
        self.stayed >= STRIKING && self.healed.saturating_mul(PART) < self.stayed
    }

    fn was_wrong(&mut self) {
        self.guess = Guess::default();
        self.wrong = (self.wrong + 1).min(WRONG_MOST);
    }
}

/// An answer to a request that was sent at `started`.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The last attempt for it ended in one of [`ServerErrors`].
    pub(super) was_error: bool,
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
        host.errors.came(what.started, now);
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

    /// After so many were served and so many failed, all begun at once.
    fn came(served: u32, failed: u32) -> ServerErrors {
        let mut errors = ServerErrors::default();
        (0..served).for_each(|_| errors.served());
        (0..failed).for_each(|_| errors.came(at(0), at(1)));
        errors
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_host_that_serves_and_then_mostly_fails_was_asked_for_too_much() {
        assert!(!came(6, 7).are_about_load());
        assert!(came(6, 8).are_about_load());
        assert!(!came(8, 8).are_about_load());
        assert!(came(8, 9).are_about_load());
        // What was served an hour ago counts as little as that of a minute ago.
        assert!(!came(100_000, 17).are_about_load());
        assert!(came(100_000, 33).are_about_load());
        // One that never served says nothing, however often it fails.
        assert!(!came(0, 100_000).are_about_load());
    }

    #[test]
    fn what_a_lower_limit_does_not_end_is_about_the_urls() {
        let mut errors = came(6, 8);
        // Those were under way when it fell.
        (0..1_000).for_each(|_| errors.came(at(0), at(2)));
        assert!(errors.are_about_load());
        for _ in 0..100 {
            (0..31).for_each(|_| errors.came(at(2), at(3)));
            (0..16).for_each(|_| errors.served());
        }
        assert!(errors.are_about_load());
        (0..32).for_each(|_| errors.came(at(2), at(3)));
        assert!(!errors.are_about_load());
        // The next time it takes more.
        errors.served();
        (0..15).for_each(|_| errors.came(at(4), at(4)));
        assert!(!errors.are_about_load());
        errors.came(at(4), at(4));
        assert!(errors.are_about_load());
    }

    #[test]
    fn urls_that_fail_again_take_it_back() {
        let mut errors = came(6, 8);
        (0..7).for_each(|_| errors.learn(500));
        assert!(errors.are_about_load());
        errors.learn(500);
        assert!(!errors.are_about_load());
        // And it is not presumed again.
        errors.served();
        (0..1_000).for_each(|_| errors.came(at(1), at(1)));
        assert!(!errors.are_about_load());
        let mut errors = came(6, 8);
        errors.learn(200);
        (0..16).for_each(|_| errors.learn(500));
        assert!(errors.are_about_load());
        errors.learn(500);
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
