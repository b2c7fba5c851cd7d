//! What a 503 is about: too many requests at once, or too many in a time.
//!
//! nginx answers 503 to both (`limit_conn`, `limit_req`), unless it is told otherwise. A limit of what
//! is under way refuses whatever is beyond it, as soon as it is there. One of what comes in a time
//! keeps a bucket: who is a little too fast is served for a while before one is refused, time and
//! again, and never while slower. That is what is looked for here, and nothing less is believed:
//! failures by chance befall the slower ones as well, and slots that another client leaves for a
//! moment are gone at once the next time.
//!
//! Owns that judgement, and its end when it proves wrong. Decides nothing about rates or levels.

use alloc::boxed::Box;

use super::shut::Shut;
use super::{History, per_second};
use crate::base::Instant;

/// So many times in a row it has to look like a bucket,
const TIMES: u8 = 2;
/// and so many refusals were to be expected by chance among those that were slower, in sixteenths.
const UNLIKELY: u32 = 4 * 16;
/// What one of those times says at least, and at most.
const LEAST: u32 = 16;
const MOST: u32 = 2 * 16;

/// The judgement so far.
#[derive(Clone, Debug)]
pub(super) enum Cause {
    /// None came.
    Unheard,
    /// Not known: that of how many are at once is what is believed.
    Open(Box<Seen>),
    /// The rate. So many were served in a second before, in thousandths.
    Rate { known: u64 },
    /// This server speaks of its rate in other words, or going slower was of no use.
    NotRate,
}

/// What a refusal says.
pub(super) enum Says {
    /// As far as is known: how many are at once.
    AtOnce,
    /// The rate, which is known.
    Rate,
    /// The rate, which was not known: what was sent before, and when the first that was refused.
    Found(History, Instant),
}

/// What was seen since the last refusal.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// As many as are left to be sent at once, after it.
    level: u32,
    /// When it was known.
    since: Instant,
    /// Served of what was sent since, with clearly more under way than that (one more may have been
    /// right), and with fewer.
    above: u32,
    within: u32,
    /// The most that were under way with one that was served.
    most: u32,
    /// Requests served in a second before it, in thousandths.
    known: u64,
    /// After the refusal before, that was the level; more were served for a while. What it says if
    /// this is the level again.
    back_at: Option<(u32, u32)>,
    times: u8,
    evidence: u32,
    /// Whether 503 is all that the server says.
    shut: Shut,
    /// What was sent before the refusal, and when the first that it refused.
    pub(super) before: History,
    first: Instant,
}

impl Seen {
    const fn new(level: u32, since: Instant, before: History, first: Instant) -> Self {
        Self {
            before,
            first,
            level,
            since,
            above: 0,
            within: 0,
            most: 0,
            known: 0,
            back_at: None,
            times: 0,
            evidence: 0,
            shut: Shut::Open,
        }
    }

    /// Whether a refusal of what was sent then has a cause of its own: an empty bucket still lets a
    /// few through.
    fn is_over(&self, sent_at: Instant) -> bool {
        sent_at > self.since && self.above + self.within >= (self.level + 2).saturating_mul(4)
    }

    /// The refusal after that.
    fn next(&self, now: Instant, level: u32, before: History, first: Instant) -> Self {
        // Whoever is refused at once what is beyond a limit never gets so far.
        let twice = (self.level + 1).saturating_mul(2);
        let says = self.within.saturating_mul(16) / self.above.saturating_add(1);
        let more = (self.above >= twice || self.most + 1 >= twice) && says >= LEAST;
        let came_back = self.back_at.is_none();
        let served = u64::from(self.above) + u64::from(self.within);
        Self {
            known: per_second(served, now.nanos_since(self.since)),
            back_at: more.then_some((self.level, says.min(MOST))),
            times: if more && came_back { self.times } else { 0 },
            evidence: if more && came_back { self.evidence } else { 0 },
            shut: self.shut,
            ..Self::new(level, now, before, first)
        }
    }
}

impl Cause {
    /// A request was served that was sent then, when so many were under way with it.
    pub(super) fn served(&mut self, sent_at: Instant, in_flight: u32) {
        let Self::Open(seen) = self else { return };
        seen.shut.served();
        if sent_at > seen.since {
            let count = if in_flight > seen.level + 1 { &mut seen.above } else { &mut seen.within };
            *count = count.saturating_add(1);
            seen.most = seen.most.max(in_flight);
        }
    }

    /// A request was refused, after which so many are left to be sent at once. `history` is what was
    /// sent since the last refusal; it begins anew.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        sent_at: Instant,
        level: u32,
        history: &mut History,
    ) -> Says {
        let mut over = || core::mem::replace(history, History::new());
        let seen = match self {
            Self::Unheard => {
                *self = Self::Open(Box::new(Seen::new(level, now, over(), sent_at)));
                return Says::AtOnce;
            }
            Self::Open(seen) => seen,
            Self::Rate { .. } => return Says::Rate,
            Self::NotRate => return Says::AtOnce,
        };
        if seen.is_over(sent_at) {
            // If it is about the rate, a bucket was emptied by what was sent, and fills again.
            **seen = seen.next(now, level, over(), sent_at);
        } else {
            // The same cause as the last one: fewer are left.
            seen.level = seen.level.min(level);
            (seen.since, seen.above, seen.within, seen.most) = (now, 0, 0, 0);
        }
        if let Some((_, says)) = seen.back_at.take_if(|(back, _)| seen.level <= *back + 1) {
            seen.times = seen.times.saturating_add(1);
            seen.evidence += says;
        }
        if seen.times < TIMES || seen.evidence < UNLIKELY {
            return Says::AtOnce;
        }
        let (known, before, first) = (seen.known, seen.before, seen.first);
        *self = Self::Rate { known };
        Says::Found(before, first)
    }

    /// For how many nanoseconds to ask for nothing, after a refusal that was told of, where nothing else comes.
    pub(super) fn rests(&mut self, now: Instant, sent_at: Instant) -> u64 {
        match self {
            Self::Open(seen) => seen.shut.refused(now, sent_at),
            Self::Unheard | Self::Rate { .. } | Self::NotRate => 0,
        }
    }

    /// Whether a rate that had to be chosen, in thousandths of a request a second, says that it is not
    /// the rate after all: twice as many were served before. It is not believed again.
    pub(super) fn is_refuted_by(&mut self, rate: u64) -> bool {
        let refuted = matches!(self, Self::Rate { known } if rate < *known / 2);
        if refuted {
            *self = Self::NotRate;
        }
        refuted
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::time::Duration;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    /// Serves so many with so many under way, refuses one, after which so many are left; and so on.
    fn judge(rounds: &[(&[(u32, u32)], u32)]) -> Vec<bool> {
        let mut now = 0;
        let (mut cause, mut history) = (Cause::Unheard, History::new());
        cause.refused(at(0), at(0), 2, &mut history);
        let mut judged = Vec::new();
        for (served, level) in rounds {
            for (count, in_flight) in *served {
                for _ in 0..*count {
                    now += 10;
                    cause.served(at(now), *in_flight);
                }
            }
            now += 10;
            let says = cause.refused(at(now), at(now - 1), *level, &mut history);
            judged.push(matches!(says, Says::Found(..)));
        }
        judged
    }

    #[test]
    fn a_bucket_lets_a_while_pass_before_it_refuses_and_never_when_slower() {
        let round: (&[(u32, u32)], u32) = (&[(120, 2), (20, 3), (10, 4)], 2);
        assert_eq!(judge(&[round; 2]), [false, true]);
        // Slots that are gone at once are slots.
        let slots: (&[(u32, u32)], u32) = (&[(120, 2)], 2);
        assert_eq!(judge(&[slots; 9]), [false; 9]);
        assert_eq!(judge(&[round, slots, round, slots, round]), [false; 5]);
        // What fails at any level fails by chance.
        let chance: (&[(u32, u32)], u32) = (&[(10, 2), (40, 3)], 2);
        assert_eq!(judge(&[chance; 9]), [false; 9]);
        // A limit that rises, and falls.
        let more: (&[(u32, u32)], u32) = (&[(120, 2), (40, 8)], 8);
        assert_eq!(judge(&[round, more, round, more, round, more]), [false; 6]);
    }

    #[test]
    fn what_was_sent_before_a_refusal_was_known_says_nothing() {
        let (mut cause, mut history) = (Cause::Unheard, History::new());
        cause.refused(at(100), at(90), 8, &mut history);
        (0..100).for_each(|_| cause.served(at(90), 12));
        assert!(matches!(cause.refused(at(110), at(90), 6, &mut history), Says::AtOnce));
        let Cause::Open(seen) = cause else { panic!("{cause:?}") };
        assert_eq!((seen.level, seen.above, seen.times), (6, 0, 0));
    }

    #[test]
    fn a_rate_that_helps_nobody_is_given_up() {
        let mut cause = Cause::Rate { known: 40_000 };
        assert!(!cause.is_refuted_by(20_000));
        let mut history = History::new();
        assert!(matches!(cause.refused(at(1), at(0), 3, &mut history), Says::Rate));
        assert!(cause.is_refuted_by(19_000));
        assert!(matches!(cause.refused(at(1), at(0), 3, &mut history), Says::AtOnce));
        assert!(!cause.is_refuted_by(19_000));
    }
}
