//! What each level did while growth passes it: too fast for a window a level.
//!
//! Owns sums by requests in flight, in steps, and what they say together: whether more was worth it, and
//! where it stopped to be. Where times vary, those that are first to come back are the quick ones; what is
//! still out counts too. Integers throughout.

use alloc::vec::Vec;

use super::Sample;
use super::meter::{Reading, Sums, UNIT};
use crate::base::{Instant, dead, mul_div};

/// Steps of the ladder: two for each doubling of requests in flight, and one for all from 1,536 on.
const STEPS: usize = 22;

/// So many answers are the first ones.
const FIRST: u32 = 6;

/// Sums by requests in flight, while growth is too fast for one window a level.
///
/// The first to come back are the quick ones: where times vary, what is still out says as much.
#[derive(Clone, Debug, Default)]
pub(super) struct Ladder {
    /// As many as growth has reached: most hosts stay on the first few.
    steps: Vec<Step>,
    /// The first answers, those on fresh connections too: what these took beside the work is no less than
    /// what later ones take.
    first: Sums,
    /// What was sent before is not waited for; so many that were sent since are not back.
    since: Instant,
    out: u32,
}

/// What was sent with about so many in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    sums: Sums,
    /// What is not back, and the times when it was sent, added up.
    out: u32,
    sent_at: u64,
}

impl Step {
    /// With what is still out, which counts the more the more times vary: those that are all alike come
    /// back when they come back, but of those that vary most, what one has waited is as good as served.
    fn with_those_out(&self, now: Instant, noise: u32) -> Sums {
        let mut sums = self.sums;
        if sums.is_mostly_bytes() {
            // A large body that is still coming is no slow answer.
            return sums;
        }
        let waited = u64::from(self.out).wrapping_mul(now.as_nanos()).wrapping_sub(self.sent_at);
        // A clock that steps back makes no one wait.
        let waited = waited.cast_signed().max(0).cast_unsigned();
        let weight = u64::from(noise.min(1024)).pow(2) >> 10;
        sums.spent = sums.spent.saturating_add(mul_div(waited, weight, UNIT));
        sums
    }
}

/// The step of the ladder that `in_flight` belongs to: 1, 2, 3, 4–5, 6–7, 8–11, 12–15, 16–23 …
fn step(in_flight: u32) -> usize {
    let n = in_flight.max(1);
    let log = n.ilog2();
    let half = if log == 0 { 0 } else { (n >> (log - 1)) & 1 };
    ((log * 2 + half) as usize).min(STEPS - 1)
}

impl Ladder {
    /// Bytes of all steps.
    pub(super) const MOST_BYTES: usize = STEPS * size_of::<Step>();

    /// Nothing is known, and nothing that is under way will be.
    pub(super) fn anew(now: Instant) -> Self {
        Self { since: now, ..Self::default() }
    }

    fn step(&mut self, in_flight: u32) -> &mut Step {
        let step = step(in_flight);
        if step >= self.steps.len() {
            self.steps.reserve_exact(step + 1 - self.steps.len());
            self.steps.resize(step + 1, Step::default());
        }
        // Made long enough right before.
        self.steps.get_mut(step).unwrap_or_else(|| dead())
    }

    /// A request is sent.
    pub(super) fn sent(&mut self, now: Instant, in_flight: u32) {
        if self.out >= in_flight.max(1) {
            // One of them came to nothing, and nobody said so.
            self.forget_those_out(now);
        }
        self.out += 1;
        let step = self.step(in_flight);
        step.out += 1;
        step.sent_at = step.sent_at.wrapping_add(now.as_nanos());
    }

    /// It is back, however it went.
    pub(super) fn back(&mut self, sent_at: Instant, in_flight: u32) {
        if sent_at < self.since {
            return;
        }
        let step = self.step(in_flight);
        if step.out > 0 {
            step.out -= 1;
            step.sent_at = match step.out {
                0 => 0,
                _ => step.sent_at.wrapping_sub(sent_at.as_nanos()),
            };
            self.out -= 1;
        }
    }

    /// Something is lost, and perhaps does not come back: what is out says nothing any more.
    pub(super) fn forget_those_out(&mut self, now: Instant) {
        (self.since, self.out) = (now, 0);
        for step in &mut self.steps {
            (step.out, step.sent_at) = (0, 0);
        }
    }

    fn sums(&self) -> impl DoubleEndedIterator<Item = &Sums> {
        self.steps.iter().map(|step| &step.sums)
    }

    /// An answer, be it on a fresh connection. With the last of the first ones, what those have waited that
    /// were sent with them and are still out.
    pub(super) fn heard(&mut self, now: Instant, spent: u64, units: u64, sample: &Sample) {
        if self.first.count >= FIRST {
            return;
        }
        self.first.add(spent, units, sample.in_flight, sample.bytes);
        if self.first.count == FIRST {
            let all = self.steps.iter().fold((0, 0_u64), |(out, sent_at), step| {
                (out + step.out, sent_at.wrapping_add(step.sent_at))
            });
            let first = Step { sums: self.first, out: all.0, sent_at: all.1 };
            self.first = first.with_those_out(now, self.first.noise());
        }
    }

    /// Adds a sample, as [`Sums::add`].
    pub(super) fn add(&mut self, spent: u64, units: u64, in_flight: u32, bytes: u64) {
        self.step(in_flight).sums.add(spent, units, in_flight, bytes);
    }

    /// Samples of all steps.
    pub(super) fn count(&self) -> u32 {
        self.sums().map(|sums| sums.count).sum()
    }

    /// How much times vary at one level: the middle of the steps up to one.
    #[expect(clippy::cast_possible_truncation, reason = "the mean of numbers that fit")]
    fn noise(&self, below: usize) -> Option<u32> {
        let (count, sum) =
            self.sums().take(below + 1).filter(|sums| sums.count >= 3).fold((0, 0), |all, sums| {
                let count = u64::from(sums.count);
                (all.0 + count, all.1 + count * u64::from(sums.noise()))
            });
        sum.checked_div(count).map(|noise| noise as u32)
    }

    /// Whether the highest level that has enough samples was worth it, beside one of half its size or less and
    /// beside the first answers, give or take chance; and that level.
    pub(super) fn was_worth_it(&self, now: Instant) -> Option<(bool, Reading)> {
        let high = self.high(now)?;
        let low = self.low(now, &high).map(|low| (low, low.error()));
        // Where times vary, what comes instead is to be known from more than a few.
        let known = |noise: u64| {
            u64::from(self.count()) * 8 >= mul_div(high.concurrency16, noise.pow(2), 1 << 20)
        };
        let first = self.at_first().filter(|(it, _)| {
            it.concurrency16 * 2 <= high.concurrency16 + 8 && known(u64::from(it.noise))
        });
        if low.is_none() && first.is_none() {
            return None;
        }
        let is_worth = |(low, error): (Reading, u64)| high.was_worth_it(&low, error + high.error());
        Some(([low, first].into_iter().flatten().all(is_worth), high))
    }

    /// The highest level that has enough samples.
    fn high(&self, now: Instant) -> Option<Reading> {
        let high = self.steps.iter().rposition(|step| step.sums.count >= 4)?;
        let noise = self.noise(STEPS).unwrap_or(0);
        // The top step may be thin while growth goes on: the next below will do as well.
        let enough = |at: usize, least: u32| {
            let sums = self.steps.get(at)?.with_those_out(now, noise);
            let reading = sums.reading()?;
            // A standard error of a sixth at most.
            (sums.count >= least && reading.error() <= UNIT / 6).then_some(reading)
        };
        [high, high.saturating_sub(1)].into_iter().find_map(|at| {
            let sums = &self.steps.get(at)?.sums;
            enough(at, (sums.concurrency16() / 64).clamp(8, 64) as u32)
        })
    }

    /// The nearest levels of half the size, and lower ones until they are enough.
    fn low(&self, now: Instant, high: &Reading) -> Option<Reading> {
        let noise = self.noise(STEPS).unwrap_or(0);
        let mut low = Sums::default();
        for step in self.steps.iter().rev() {
            let sums = &step.with_those_out(now, noise);
            let level = sums.concurrency16();
            if level > 0 && level * 2 <= high.concurrency16 + 8 {
                if low.count >= 4 && low.reading().is_some_and(|low| low.error() <= UNIT / 6) {
                    break;
                }
                low.merge(sums);
            }
        }
        low.reading().filter(|reading| reading.count >= 4)
    }

    /// Compares the highest level that has enough samples with one of half its size or less.
    pub(super) fn compare(&self, now: Instant) -> Option<(Reading, Reading)> {
        let high = self.high(now)?;
        Some((self.low(now, &high)?, high))
    }

    /// All up to half of a level, and all above, however few they are.
    pub(super) fn halves(&self, level: u32) -> (Option<Reading>, Option<Reading>) {
        let (mut low, mut high) = (Sums::default(), Sums::default());
        for sums in self.sums() {
            let is_low = sums.concurrency16() <= u64::from(level) * 8;
            (if is_low { &mut low } else { &mut high }).merge(sums);
        }
        (low.reading(), high.reading())
    }

    /// What the first answers say, and four times the error of that, or as much again: so few are often quick by
    /// chance, and where they are alike they know nothing of how much times vary.
    fn at_first(&self) -> Option<(Reading, u64)> {
        let mut first = self.first.reading().filter(|first| first.count == FIRST)?;
        first.noise = first.noise.max(self.noise(STEPS).unwrap_or(0));
        let error = (first.error() * 4).max(UNIT);
        Some((first, error))
    }

    /// What a unit and what a response took at the lowest levels, or at first, if that was less and not by
    /// chance.
    pub(super) fn calm(&self) -> Option<(u64, u64)> {
        let first = self.at_first().map(|(first, error)| {
            let longer = |time: u64| time + mul_div(time, error, UNIT);
            (longer(first.per_unit), longer(first.mean_time))
        });
        let low = self
            .lowest(6)
            .and_then(|sums| Some((sums.per_unit()?, sums.spent / u64::from(sums.count.max(1)))));
        match (first, low) {
            (Some(first), Some(low)) if first.0 >= low.0 || first.1 >= low.1 => Some(low),
            (first, low) => first.or(low),
        }
    }

    /// How much the times at the lowest levels vary, in 1/1024 of their mean.
    pub(super) fn calm_noise(&self) -> Option<u32> {
        self.lowest(6).map(|sums| sums.noise())
    }

    /// The best goodput of neighbouring steps, from the lowest on, of which as many count together as have so many
    /// samples; the last of several that are as good.
    fn best(&self, least: u32, now: Instant) -> Option<Reading> {
        let (mut group, mut best) = (Sums::default(), None::<Reading>);
        let noise = self.noise(STEPS).unwrap_or(0);
        for step in &self.steps {
            group.merge(&step.with_those_out(now, noise));
            if group.count >= least {
                let reading = core::mem::take(&mut group).reading();
                if let Some(reading) = reading.filter(|it| best.is_none_or(|b| it.rate >= b.rate)) {
                    best = Some(reading);
                }
            }
        }
        best
    }

    /// The sums of the lowest steps that have so many samples together.
    fn lowest(&self, least: u32) -> Option<Sums> {
        let mut low = Sums::default();
        for sums in self.sums() {
            if low.count < least {
                low.merge(sums);
            }
        }
        (low.count >= least).then_some(low)
    }

    /// The knee by Little's law: the best goodput times the time a unit takes without a crowd. No
    /// more than where that goodput was seen: what was asked for beyond it did not help.
    #[expect(clippy::cast_possible_truncation, reason = "the mean of numbers that fit")]
    pub(super) fn knee(&self, now: Instant) -> Option<Knee> {
        let mut best = self.best(8, now)?;
        let mut calm = self.lowest(6)?.reading()?;
        // The time at the lowest levels, of enough samples that chance has little part in it.
        let low = self.lowest(16).and_then(|sums| sums.reading()).unwrap_or(calm);
        let mut low = if calm.error() <= UNIT / 16 { calm } else { low };
        let (mut beyond, mut is_past) = (0, false);
        // More was served at first, and not by chance: it grew beyond what helps at once.
        if let Some((first, error)) = self.at_first()
            && first.rate > best.rate + mul_div(best.rate, error, 2 * UNIT)
        {
            (best, calm) = (first, first);
            (beyond, is_past) = (mul_div(first.concurrency16, error, UNIT), true);
            low.per_unit = low.per_unit.min(first.per_unit + mul_div(first.per_unit, error, UNIT));
        }
        let level = (mul_div(best.rate, low.per_unit, 1_000_000_000) + UNIT - 64) / UNIT;
        let level = level.min((best.concurrency16 + beyond).div_ceil(16));
        let below = step((best.concurrency16 / 16) as u32);
        let noise = self.noise(below).unwrap_or(best.noise);
        Some(Knee { level: level.clamp(1, 1 << 15) as u32, calm, best, noise, is_past })
    }
}

/// Where more concurrency stops to help.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knee {
    /// Connections.
    pub(super) level: u32,
    /// The lowest level seen.
    pub(super) calm: Reading,
    /// The level of the best goodput seen.
    pub(super) best: Reading,
    /// Standard deviation of the times at a level, in 1/1024 of their mean.
    pub(super) noise: u32,
    /// More was served at first than at any level since.
    pub(super) is_past: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_has_two_steps_for_each_doubling() {
        let of = |n| step(n);
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16].map(of),
            [0, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8]
        );
        assert_eq!(step(0), 0);
        assert_eq!(step(u32::MAX), STEPS - 1);
    }

    #[test]
    fn what_is_out_counts_where_times_vary_until_it_is_lost() {
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let mut ladder = Ladder::anew(at(0));
        for in_flight in 1..=4 {
            ladder.sent(at(0), in_flight);
        }
        for millis in [10_u64, 30] {
            ladder.back(at(0), 4);
            ladder.add(millis * 1_000_000, UNIT, 4, 0);
        }
        // Of step 4 one was out; the second that is back belongs to none of it.
        assert_eq!((ladder.out, ladder.steps[step(4)].out), (3, 0));
        let spent = |ladder: &Ladder, noise| {
            ladder.steps.iter().map(|it| it.with_those_out(at(100), noise).spent).sum::<u64>()
        };
        assert_eq!(spent(&ladder, 0), 40_000_000);
        assert_eq!(spent(&ladder, 1024), 340_000_000);
        // Nothing else is under way now, so those were lost.
        ladder.sent(at(60), 1);
        assert_eq!(spent(&ladder, 1024), 80_000_000);
    }
}
