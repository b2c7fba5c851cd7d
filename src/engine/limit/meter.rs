//! Measuring goodput without being fooled by when a window begins and ends.
//!
//! Owns sums over samples. Goodput is not counted in a time window (answers come in bursts of
//! as many as there are connections, so the count depends on where the window cuts them) but
//! by Little's law: requests in flight ÷ time that each took. Work is counted in *units*: a
//! response is one unit, and so is every 256 KiB of body, so that a few large bodies do not
//! pass for many small ones and a mix of both has one scale. Integers throughout.
#![expect(
    clippy::indexing_slicing,
    reason = "the steps were made long enough right before, or the number is a position among them"
)]

use alloc::vec::Vec;
use core::time::Duration;

use super::Sample;
use crate::base::{Instant, mul_div, nanos};

/// One unit of work, in the fixed-point numbers used here.
pub(super) const UNIT: u64 = 1024;
/// Body bytes that weigh 1/1024 of a unit: a unit is 256 KiB.
const BYTES_PER_UNIT_PART: u64 = 256;

/// The work of a sample in 1/1024 units.
pub(super) fn units(bytes: u64, whole: bool) -> u64 {
    let head = if whole { UNIT } else { 0 };
    (head + (bytes / BYTES_PER_UNIT_PART).min(1 << 32)).max(1)
}

/// Times that vary more than this (in 1/1024 of their mean) are taken to vary as much.
const NOISE_MAX: u64 = 4096;

/// Sums over the samples of one level.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// Samples.
    pub(super) count: u32,
    /// Work done, in 1/1024 units.
    units: u64,
    /// Nanoseconds from request to end of response, added up.
    spent: u64,
    /// Squared distance of each from what was usual (in 1024 ns, an hour at most), added up.
    squares: u64,
    /// Requests in flight when each was sent, added up.
    in_flight: u64,
    /// Bytes.
    bytes: u64,
    /// First-byte latencies, in nanoseconds, and how many.
    waited: u64,
    waits: u32,
}

impl Sums {
    /// Adds a response that took `spent` nanoseconds for `units` of work.
    pub(super) fn add(&mut self, spent: u64, units: u64, in_flight: u32, bytes: u64) {
        self.count = self.count.saturating_add(1);
        self.units = self.units.saturating_add(units);
        self.spent = self.spent.saturating_add(spent);
        self.in_flight = self.in_flight.saturating_add(u64::from(in_flight));
        self.bytes = self.bytes.saturating_add(bytes);
        let usual = self.per_unit().unwrap_or(0);
        let expected = mul_div(usual, units, UNIT);
        let distance = (spent.abs_diff(expected) >> 10).min(u64::from(u32::MAX));
        self.squares = self.squares.saturating_add(distance * distance);
    }

    /// Adds a first-byte latency.
    pub(super) fn wait(&mut self, nanos: u64) {
        self.waited = self.waited.saturating_add(nanos);
        self.waits = self.waits.saturating_add(1);
    }

    /// Adds all of another.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.units = self.units.saturating_add(other.units);
        self.spent = self.spent.saturating_add(other.spent);
        self.squares = self.squares.saturating_add(other.squares);
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.waited = self.waited.saturating_add(other.waited);
        self.waits = self.waits.saturating_add(other.waits);
    }

    /// Makes room for new samples: the old ones count half.
    pub(super) fn halve(&mut self) {
        self.count /= 2;
        self.units /= 2;
        self.spent /= 2;
        self.squares /= 2;
        self.in_flight /= 2;
        self.bytes /= 2;
        self.waited /= 2;
        self.waits /= 2;
    }

    /// Nanoseconds a unit of work took.
    pub(super) fn per_unit(&self) -> Option<u64> {
        (self.units > 0).then(|| mul_div(self.spent, UNIT, self.units).max(1))
    }

    /// Standard deviation of the times, in 1/1024 of their mean.
    fn noise(&self) -> u32 {
        let count = u64::from(self.count);
        let variance = self.squares / count.saturating_sub(1).max(1);
        let mean = (self.spent >> 10) / count.max(1);
        let noise = (variance.isqrt() * 1024).checked_div(mean.max(1)).unwrap_or(0);
        noise.min(NOISE_MAX) as u32
    }

    /// Whether bytes weigh more than requests.
    const fn is_mostly_bytes(&self) -> bool {
        self.bytes / BYTES_PER_UNIT_PART > self.units / 2
    }

    /// The mean of requests in flight, in 1/16.
    pub(super) fn concurrency16(&self) -> u64 {
        (self.in_flight * 16).checked_div(u64::from(self.count)).unwrap_or(0)
    }

    /// What this says about its level; nothing without samples.
    pub(super) fn reading(&self) -> Option<Reading> {
        let per_unit = self.per_unit()?;
        let rate = mul_div(self.concurrency16(), 1_000_000_000 * 64, per_unit);
        Some(Reading {
            rate,
            per_unit,
            concurrency16: self.concurrency16(),
            noise: self.noise(),
            wait: self.waited.checked_div(u64::from(self.waits)),
            mean_time: self.spent / u64::from(self.count.max(1)),
            mostly_bytes: self.is_mostly_bytes(),
            count: self.count,
        })
    }
}

/// What a level was seen to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Goodput: 1/1024 units a second.
    pub(super) rate: u64,
    /// Nanoseconds a unit took.
    pub(super) per_unit: u64,
    /// Mean of requests in flight, in 1/16.
    pub(super) concurrency16: u64,
    /// Standard deviation of the times, in 1/1024 of their mean.
    pub(super) noise: u32,
    /// Mean first-byte latency on reused connections, nanoseconds.
    pub(super) wait: Option<u64>,
    /// Mean time of a response, nanoseconds.
    pub(super) mean_time: u64,
    /// Whether bytes weigh more than requests here.
    pub(super) mostly_bytes: bool,
    /// Samples behind it.
    pub(super) count: u32,
}

impl Reading {
    /// How much more this is than the other, in 1/1024: by the work or by the requests, whichever
    /// is more. Where bodies are of very different size, a few large ones make the one misleading,
    /// and where they limit what is served, neither grows.
    pub(super) fn gain(&self, over: &Self) -> u64 {
        let work = mul_div(self.rate, UNIT, over.rate.max(1));
        let requests = |it: &Self| mul_div(it.concurrency16, 1 << 40, it.mean_time.max(1));
        work.max(mul_div(requests(self), UNIT, requests(over).max(1)))
    }

    /// Whether at least three tenths of the concurrency that was added arrived as goodput, give or
    /// take an error of so much, in 1/1024.
    pub(super) fn was_worth_it(&self, low: &Self, error: u64) -> bool {
        let ideal = mul_div(self.concurrency16, UNIT, low.concurrency16.max(1));
        let real = self.gain(low);
        real + mul_div(real, error, UNIT) >= UNIT + ideal.saturating_sub(UNIT) * 3 / 10
    }

    /// The standard error of its mean time, in 1/1024.
    pub(super) fn error(&self) -> u64 {
        u64::from(self.noise) / u64::from(self.count).isqrt().max(1)
    }
}

/// The requests that were sent at one level since a moment.
///
/// For a trial it closes after so many were sent and waits for all of them to come back: those
/// that come back first are the quick ones, and an average of them would flatter the level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Only what was sent from here on counts.
    pub(super) began: Instant,
    /// Only what came back from here on counts.
    pub(super) counts_from: Instant,
    /// The level: from the least to the most requests in flight at sending.
    least: u32,
    most: u32,
    /// How many were sent at the level, and how many shall be.
    pub(super) sent: u32,
    wanted: u32,
    /// What was sent later does not count.
    closed: Instant,
    /// The sums.
    pub(super) sums: Sums,
}

impl Window {
    pub(super) fn new(began: Instant, counts_from: Instant, least: u32, most: u32) -> Self {
        Self {
            began,
            counts_from,
            least,
            most,
            sent: 0,
            wanted: u32::MAX,
            closed: Instant::NEVER,
            sums: Sums::default(),
        }
    }

    /// Closes after so many were sent.
    pub(super) fn close_after(mut self, wanted: u32) -> Self {
        self.wanted = wanted;
        self
    }

    /// The same level, all that was sent since it began, counted from now on: what was sent
    /// first is back, the slow ones too, so that from here quick and slow come as they are.
    pub(super) fn reopened(&self, now: Instant) -> Self {
        Self::new(self.began, now, self.least, self.most)
    }

    /// Whether it never closes.
    pub(super) fn is_open(&self) -> bool {
        self.wanted == u32::MAX
    }

    /// A request is sent.
    pub(super) fn sent(&mut self, now: Instant, in_flight: u32) {
        if self.sent < self.wanted && (self.least..=self.most).contains(&in_flight) {
            self.sent += 1;
            if self.sent == self.wanted {
                self.closed = now;
            }
        }
    }

    fn owns(&self, sample: &Sample) -> bool {
        sample.sent_at >= self.began
            && sample.sent_at <= self.closed
            && (self.least..=self.most).contains(&sample.in_flight)
    }

    /// A response that is no measure of anything: it is not waited for.
    pub(super) fn excuse(&mut self, sample: &Sample) {
        if self.owns(sample) {
            self.sent = self.sent.saturating_sub(1);
            self.wanted = if self.closed == Instant::NEVER { self.wanted } else { self.sent };
        }
    }

    /// Counts a response, if it belongs here.
    pub(super) fn add(&mut self, now: Instant, sample: &Sample) -> bool {
        let belongs = now >= self.counts_from && self.owns(sample);
        if belongs {
            let spent = nanos(now - sample.sent_at).max(1);
            let work = units(sample.bytes, sample.whole);
            self.sums.add(spent, work, sample.in_flight, sample.bytes);
        }
        belongs
    }

    /// Whether all that shall be measured is back, or has been waited for long enough.
    pub(super) fn is_complete(&self, now: Instant, patience: Duration) -> bool {
        self.sent >= self.wanted && (self.sums.count >= self.sent || now >= self.closed + patience)
    }
}

/// Steps of the ladder: two for each doubling of requests in flight.
const STEPS: usize = 24;

/// Sums by requests in flight, while growth is too fast for one window a level.
///
/// The first to come back are the quick ones: where times vary, what is still out says as much.
#[derive(Clone, Debug, Default)]
pub(super) struct Ladder {
    /// As many as growth has reached: most hosts stay on the first few.
    steps: Vec<Step>,
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
        Self { steps: Vec::new(), since: now, out: 0 }
    }

    fn step(&mut self, in_flight: u32) -> &mut Step {
        let step = step(in_flight);
        if step >= self.steps.len() {
            self.steps.reserve_exact(step + 1 - self.steps.len());
            self.steps.resize(step + 1, Step::default());
        }
        &mut self.steps[step]
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

    /// Compares the highest level that has enough samples with one of half its size or less.
    pub(super) fn compare(&self, now: Instant) -> Option<(Reading, Reading)> {
        let high = self.steps.iter().rposition(|step| step.sums.count >= 4)?;
        let noise = self.noise(STEPS).unwrap_or(0);
        // The top step may be thin while growth goes on: the next below will do as well.
        let enough = |at: usize, least: u32| {
            let sums = self.steps.get(at)?.with_those_out(now, noise);
            let reading = sums.reading()?;
            // A standard error of a sixth at most.
            (sums.count >= least && reading.error() <= UNIT / 6).then_some(reading)
        };
        let high = [high, high.saturating_sub(1)].into_iter().find_map(|at| {
            let least = (self.steps[at].sums.concurrency16() / 64).clamp(8, 64) as u32;
            enough(at, least)
        })?;
        // The nearest levels of half the size, and lower ones until they are enough.
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
        let low = low.reading().filter(|reading| reading.count >= 4)?;
        Some((low, high))
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

    /// What a unit and what a response took at the lowest levels.
    pub(super) fn calm(&self) -> Option<(u64, u64)> {
        let sums = self.lowest(6)?;
        Some((sums.per_unit()?, sums.spent / u64::from(sums.count.max(1))))
    }

    /// How much the times at the lowest levels vary, in 1/1024 of their mean.
    pub(super) fn calm_noise(&self) -> Option<u32> {
        self.lowest(6).map(|sums| sums.noise())
    }

    /// Neighbouring steps, from the lowest on, as many together as have so many samples.
    fn groups(&self, least: u32, now: Instant) -> impl Iterator<Item = Reading> {
        let mut group = Sums::default();
        let noise = self.noise(STEPS).unwrap_or(0);
        self.steps.iter().filter_map(move |step| {
            group.merge(&step.with_those_out(now, noise));
            let is_enough = group.count >= least;
            if is_enough { core::mem::take(&mut group).reading() } else { None }
        })
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
        let best = self.groups(8, now).max_by_key(|reading| reading.rate)?;
        let calm = self.lowest(6)?.reading()?;
        // The time at the lowest levels, of enough samples that chance has little part in it.
        let low = self.lowest(16).and_then(|sums| sums.reading()).unwrap_or(calm);
        let low = if calm.error() <= UNIT / 16 { calm } else { low };
        let level = (mul_div(best.rate, low.per_unit, 1_000_000_000) + UNIT - 64) / UNIT;
        let level = level.min(best.concurrency16.div_ceil(16));
        let below = step((best.concurrency16 / 16) as u32);
        let noise = self.noise(below).unwrap_or(best.noise);
        Some(Knee { level: level.clamp(1, 1 << 15) as u32, calm, best, noise })
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

    #[test]
    fn a_large_body_is_much_work_and_a_small_one_is_a_request() {
        assert_eq!(units(0, true), UNIT);
        assert_eq!(units(100, true), UNIT);
        assert_eq!(units(1 << 20, true), 5 * UNIT);
        assert_eq!(units(1 << 20, false), 4 * UNIT);
        assert_eq!(units(0, false), 1);
    }

    #[test]
    fn goodput_is_requests_in_flight_over_time_each() {
        let mut sums = Sums::default();
        for _ in 0..10 {
            sums.add(20_000_000, UNIT, 8, 100);
        }
        let reading = sums.reading().unwrap();
        assert_eq!(reading.rate / UNIT, 400);
        assert_eq!(reading.noise, 0);
        assert_eq!(Sums::default().reading().map(|r| r.rate), None);
    }
}
