//! Measuring goodput without being fooled by when a window begins and ends.
//!
//! Owns sums over samples. Goodput is not counted in a time window (answers come in bursts of
//! as many as there are connections, so the count depends on where the window cuts them) but
//! by Little's law: requests in flight ÷ time that each took. Work is counted in *units*: a
//! response is one unit, and so is every 256 KiB of body, so that a few large bodies do not
//! pass for many small ones and a mix of both has one scale. Integers throughout.

use super::Sample;
use crate::base::{Instant, mul_div, root};

/// One unit of work, in the fixed-point numbers used here.
pub(super) const UNIT: u64 = 1024;
/// Body bytes that weigh 1/1024 of a unit: a unit is 256 KiB.
const BYTES_PER_UNIT_PART: u64 = 256;

/// The work of a sample in 1/1024 units.
pub(super) fn units(bytes: u64, whole: bool) -> u64 {
    let head = if whole { UNIT } else { 0 };
    (head + (bytes / BYTES_PER_UNIT_PART).min(1 << 32)).max(1)
}

/// Bodies of so many bytes may be what takes time.
const SOME_BYTES: u64 = 8 << 10;

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
    pub(super) spent: u64,
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
    pub(super) fn noise(&self) -> u32 {
        let count = u64::from(self.count);
        let variance = self.squares / count.saturating_sub(1).max(1);
        let mean = (self.spent >> 10) / count.max(1);
        let noise = (root(variance) * 1024).checked_div(mean.max(1)).unwrap_or(0);
        noise.min(NOISE_MAX) as u32
    }

    /// Whether bytes weigh more than requests.
    pub(super) const fn is_mostly_bytes(&self) -> bool {
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
            body: self.bytes / u64::from(self.count.max(1)),
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
    /// Mean bytes of a response.
    pub(super) body: u64,
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

    /// Whether it is bytes that take longer here than at a calmer level, as was found `before` or not: answers
    /// are mostly bytes and begin about as soon, or there are some bytes, and what they take longer is more than
    /// twice what they begin later.
    pub(super) fn is_slow_by_bytes(&self, calm: &Self, before: bool) -> bool {
        let (Some(soon), Some(late)) = (calm.wait, self.wait) else { return calm.mostly_bytes };
        let longer = self.mean_time.saturating_sub(calm.mean_time);
        let later = late.saturating_sub(soon);
        let clearly = later * 2 < longer && longer > calm.mean_time / 32;
        let as_soon = calm.mostly_bytes && later <= soon / 16;
        as_soon
            || (before && later <= soon / 8 && later < longer)
            || (clearly && calm.body >= SOME_BYTES)
    }

    /// The standard error of its mean time, in 1/1024.
    pub(super) fn error(&self) -> u64 {
        u64::from(self.noise) / root(self.count.into()).max(1)
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
            let spent = now.nanos_since(sample.sent_at).max(1);
            let work = units(sample.bytes, sample.whole);
            self.sums.add(spent, work, sample.in_flight, sample.bytes);
        }
        belongs
    }

    /// Whether all that shall be measured is back, or has been waited for long enough.
    pub(super) fn is_complete(&self, now: Instant, patience: u64) -> bool {
        self.sent >= self.wanted
            && (self.sums.count >= self.sent || now >= self.closed.later(patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
