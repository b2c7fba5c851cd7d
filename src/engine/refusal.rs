//! Answers that say "not now": which of them are about how much is asked for at once.
//!
//! A 503 says so itself. 500, 502, 504, 522 and 524 are said of a program that fails on this one URL
//! as well as of one that has no worker, no place in its queue or no connection to its database left.
//! Two things tell them apart. The same URL, asked again: where it is answered then, the failure was not
//! the URL's. That is known only after its pause, by when those that are too many have failed a thousand
//! others. So where a host that serves begins to answer most with such errors, by far sooner than with
//! anything else, they are presumed to come of too much at once: they narrow the limit as a 503 does, and if
//! it was that, they end with it. Where they do not, or where URLs fail again, that is taken back, and is
//! presumed the less easily the next time.
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
/// So many quick errors, and more than were served meanwhile, let it be presumed; four times as many each time
/// that it turned out to be wrong, up to so often.
const STRIKING: u32 = 8;
const WRONG_MOST: u32 = 4;
/// Of what is watched, so much is remembered at least; then both count half.
const WATCHED: u32 = 32;
/// So many errors before as many as are striking were served: a lower limit does not end them.
const UNENDING: u32 = 32;
/// So many served in a row are calm. And where of so many errors one was served in between, the host serves as it
/// fails, at this limit as at another.
const CALM: u32 = 16;
const MIXED: u32 = 4;

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
    /// Nothing: so many quick ones came of late.
    Watching { errors: u32, served: u32 },
    /// They come of too much at once, and the limit falls for it, from such a level: so many more came of what was
    /// sent since, and so many were served meanwhile.
    Falling { since: Instant, level: u32, errors: u32, served: u32 },
    /// They do, and the limit has fallen: so many came since it was calm, and so many were served.
    Fallen { level: u32, errors: u32, served: u32 },
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

    /// Whether such an answer is about load: one that came sooner than the host can have worked for it, or not.
    const fn are_about_load(self, is_quick: bool) -> bool {
        (is_quick && self.is_guessed())
            || (self.healed >= BELIEVED && self.healed.saturating_mul(PART) >= self.stayed)
    }

    const fn is_guessed(self) -> bool {
        !matches!(self.guess, Guess::Watching { .. })
    }

    /// The level from which the limit fell by a guess.
    const fn fell_from(self) -> u32 {
        match self.guess {
            Guess::Watching { .. } => 0,
            Guess::Falling { level, .. } | Guess::Fallen { level, .. } => level,
        }
    }

    /// The host serves.
    #[inline]
    pub(super) fn served(&mut self) {
        match &mut self.guess {
            Guess::Watching { served, .. } => {
                *served = (*served + 1).min(WATCHED << (2 * self.wrong));
            }
            Guess::Falling { level, served, .. } => {
                *served += 1;
                if *served >= STRIKING {
                    self.guess = Guess::Fallen { level: *level, errors: 0, served: 0 };
                }
            }
            Guess::Fallen { errors, served, .. } => {
                *served += 1;
                if *served >= CALM {
                    (*errors, *served) = (0, 0);
                }
            }
        }
    }

    /// Such an answer came, sooner than the host can have worked for it, to a request that was sent at `started`;
    /// so many connections are allowed.
    fn came(&mut self, started: Instant, level: u32, now: Instant) {
        let fail_again = self.fail_again();
        let falling = Guess::Falling { since: now, level, errors: 0, served: 0 };
        match &mut self.guess {
            Guess::Watching { errors, served } => {
                *errors += 1;
                let striking = *errors >= STRIKING << (2 * self.wrong) && errors > served;
                if striking && *served > 0 && !fail_again {
                    self.guess = falling;
                } else if *errors + *served >= WATCHED << (2 * self.wrong) {
                    *errors /= 2;
                    *served /= 2;
                }
            }
            Guess::Falling { since, errors, .. } => {
                *errors += u32::from(started >= *since);
                if *errors >= UNENDING {
                    self.was_wrong();
                }
            }
            Guess::Fallen { errors, served, .. } => {
                *errors += 1;
                if *errors >= STRIKING && *served * MIXED >= *errors {
                    self.was_wrong();
                } else if *errors >= STRIKING {
                    // It bears less than it did.
                    self.guess = falling;
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
        if self.fail_again() && self.is_guessed() {
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
    let is_quick = host.worth.is_sooner(what.started, now);
    let before = host.errors;
    if what.was_error {
        host.errors.learn(what.status);
    }
    let is_error = ServerErrors::are(what.status);
    if is_error && is_quick {
        host.errors.came(what.started, host.limit.allowed(), now);
    }
    let is_over = before.are_about_load(true) && !host.errors.are_about_load(true);
    if is_over && is_for_errors(host.limit.explain().finding) {
        // They fail at any level: nothing that a higher one is to blame for.
        host.limit.acquit(now, before.fell_from());
        group.limit.acquit(now, before.fell_from());
    }
    let complaint = match what.status {
        503 => (!host.pace.is_about_503()).then_some(Complaint::Overload503),
        _ if is_error && host.errors.are_about_load(is_quick) => Some(Complaint::ServerError),
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
    if !what.is_repeated {
        return;
    }
    let level = host.limit.allowed();
    match host.pace.unavailable(now, what.started, level, what.pause) {
        Blame::AtOnce | Blame::Rate { found: false } => {}
        Blame::Shut => {
            host.limit.shut(now);
            group.limit.shut(now);
        }
        Blame::Rate { found: true } => {
            host.limit.acquit(now, 0);
            group.limit.acquit(now, 0);
        }
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
        assert!(!after(2, 0).are_about_load(true));
        assert!(after(3, 0).are_about_load(true));
        assert!(after(3, 48).are_about_load(true));
        assert!(!after(3, 49).are_about_load(true));
        // URLs that never work say nothing, however many they are.
        assert!(!after(0, 100_000).are_about_load(true));
        // What was learned long ago counts for less.
        assert!(!after(400, 6_000).are_about_load(true));
        assert!(after(100_000, 400).are_about_load(true));
    }

    /// After so many were served and so many failed, all begun at once.
    fn came(served: u32, failed: u32) -> ServerErrors {
        let mut errors = ServerErrors::default();
        (0..served).for_each(|_| errors.served());
        (0..failed).for_each(|_| errors.came(at(0), 12, at(1)));
        errors
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_host_that_serves_and_then_mostly_fails_was_asked_for_too_much() {
        assert!(!came(6, 7).are_about_load(true));
        assert!(came(6, 8).are_about_load(true));
        assert!(!came(8, 8).are_about_load(true));
        assert!(came(8, 9).are_about_load(true));
        // What was served an hour ago counts as little as that of a minute ago.
        assert!(!came(100_000, 17).are_about_load(true));
        assert!(came(100_000, 33).are_about_load(true));
        // One that never served says nothing, however often it fails.
        assert!(!came(0, 100_000).are_about_load(true));
    }

    #[test]
    fn what_a_lower_limit_does_not_end_is_about_the_urls() {
        let mut errors = came(6, 8);
        // Those were under way when it fell.
        (0..1_000).for_each(|_| errors.came(at(0), 12, at(2)));
        assert!(errors.are_about_load(true));
        assert_eq!(errors.fell_from(), 12);
        let mut more = errors;
        (0..32).for_each(|_| more.came(at(2), 9, at(3)));
        assert!(!more.are_about_load(true));
        // The next time it takes more.
        more.served();
        (0..31).for_each(|_| more.came(at(4), 12, at(4)));
        assert!(!more.are_about_load(true));
        more.came(at(4), 12, at(4));
        assert!(more.are_about_load(true));
        // It ends them; those that come of a try now and then say nothing else.
        (0..8).for_each(|_| errors.served());
        for _ in 0..100 {
            (0..7).for_each(|_| errors.came(at(2), 8, at(3)));
            (0..16).for_each(|_| errors.served());
        }
        assert!(errors.are_about_load(true));
        // Nor do many without one served: it bears less than before.
        (0..8).for_each(|_| errors.came(at(3), 8, at(3)));
        assert!(errors.are_about_load(true));
        assert_eq!(errors.fell_from(), 8);
        // But where some are served all the time, the limit has nothing to do with it.
        (0..8).for_each(|_| errors.served());
        (0..2).for_each(|_| errors.served());
        (0..8).for_each(|_| errors.came(at(4), 4, at(4)));
        assert!(!errors.are_about_load(true));
    }

    #[test]
    fn urls_that_fail_again_take_it_back() {
        let mut errors = came(6, 8);
        (0..7).for_each(|_| errors.learn(500));
        assert!(errors.are_about_load(true));
        errors.learn(500);
        assert!(!errors.are_about_load(true));
        // And it is not presumed again.
        errors.served();
        (0..1_000).for_each(|_| errors.came(at(1), 12, at(1)));
        assert!(!errors.are_about_load(true));
        let mut errors = came(6, 8);
        errors.learn(200);
        (0..16).for_each(|_| errors.learn(500));
        assert!(errors.are_about_load(true));
        errors.learn(500);
        assert!(!errors.are_about_load(true));
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
