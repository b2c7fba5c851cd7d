//! What a server's rate limit can be, by what it accepted and what it refused.
//!
//! Owns the candidates: buckets that fill at some rate and hold some number of requests. Each
//! request that is accepted says how much a bucket of each rate must hold at least, each that is
//! refused how much it cannot hold; a rate for which nothing is left in between is out. Pauses
//! and spans in which the bucket was full come out right by themselves. A window (so many in so
//! much time) looks like a large bucket whose least rate is the right one. Integers; allocates
//! only when it is made.

use alloc::boxed::Box;
use alloc::vec;

use super::learned::geometric;
use super::{MILLI, SECOND};
use crate::base::{Instant, mul_div};

/// Rates that are held apart.
const COUNT: usize = 28;
/// One request. So fine that what is rounded off does not add up.
const ONE: u64 = 1_000_000;
/// No bucket holds more than a milliard.
const MOST: u64 = ONE << 30;
/// Less than this was taken out of a bucket that was full before.
const FULL: u64 = ONE + ONE / 32;
/// What a bucket holds at most when nothing is known: so many seconds of its rate, and some.
const PRIOR_SECONDS: u64 = 3;
const PRIOR: u64 = 16 * ONE;
/// The last requests are remembered one by one, as many as can be on their way at once, but no
/// more than these.
pub(super) const REMEMBERED: u16 = 256;
/// Bounds may cross by one in so many of what a bucket holds.
const TOLERANCE: u64 = 16;
/// So few candidates are spread anew, this often at once.
const FEW: usize = 9;
const FINER: usize = 4;

/// A bucket of one rate.
#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    /// Thousandths of a request a second.
    rate: u64,
    /// What was taken out and has not flowed back, in millionths of a request.
    spent: u64,
    /// It holds so much at least, and less than this.
    least: u64,
    most: u64,
}

impl Candidate {
    /// How far apart its bounds are, in 1/64 of a request: fewer than none where they cross.
    fn margin(&self) -> i64 {
        let fine = |amount: u64| i64::try_from(amount / (ONE / 64)).unwrap_or(i64::MAX);
        fine(self.most).saturating_sub(fine(self.least))
    }

    /// The way to the server is not always equally long: a few requests may cross.
    fn is_possible(&self) -> bool {
        self.most > 0 && self.least < self.most + self.tolerance()
    }

    fn tolerance(&self) -> u64 {
        ONE + self.most / TOLERANCE
    }

    /// What had been spent so long ago, with the last request of then, when so many were sent
    /// since.
    fn spent_before(&self, since: u64, after: u64) -> u64 {
        let spent = self.spent.saturating_add(flow(self.rate, since));
        spent.saturating_sub(after * ONE).clamp(ONE, MOST)
    }

    /// By how much it is not.
    fn excess(&self) -> u64 {
        if self.most == 0 {
            u64::MAX
        } else {
            self.least.saturating_sub(self.most + self.tolerance())
        }
    }
}

/// All of them, by rate.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    all: [Candidate; COUNT],
    as_of: Instant,
    /// When the last requests were sent, in a ring, and how many were sent.
    sent: Box<[Instant]>,
    count: usize,
}

/// What was sent before the first refusal: since when, and how many.
pub(super) type Sent = (Instant, u64);

impl Buckets {
    /// After a first refusal of a request sent at `empty_at`: what had been sent until then since
    /// several moments, and how many requests were on their way together.
    pub(super) fn new(
        empty_at: Instant,
        since: &[Sent],
        together: u64,
        (low, high): (u64, u64),
        remembered: usize,
    ) -> Self {
        let all_of = Self::grid(low, high);
        let sent = vec![empty_at; remembered.clamp(1, usize::from(REMEMBERED))].into();
        let mut new = Self { all: all_of, as_of: empty_at, sent, count: 0 };
        for it in &mut new.all {
            let spent = |(since, count): Sent| {
                (count.min(MOST / ONE) * ONE)
                    .saturating_sub(flow(it.rate, empty_at.nanos_since(since)))
            };
            let spent = since.iter().map(|&since| spent(since)).max().unwrap_or(0);
            it.spent = spent.max(together.min(MOST / ONE) * ONE).max(ONE);
            it.least = ONE;
            it.most = it.spent + ONE;
        }
        new
    }

    fn grid(low: u64, high: u64) -> [Candidate; COUNT] {
        let mut all = [Candidate::default(); COUNT];
        let last = (COUNT - 1) as u64;
        // Even steps of the logarithm, by halving: integers have no powers.
        let [first, .., highest] = &mut all;
        first.rate = low.max(1);
        highest.rate = high.max(low + last);
        spread(&mut all);
        all
    }

    /// The lowest and the highest rate that is possible.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        let possible = self.possible()?;
        Some((possible.first()?.rate, possible.last()?.rate))
    }

    /// Those that are possible, one at least. What is possible beyond a gap is there only because the way to
    /// the server blurs it.
    fn possible(&self) -> Option<&[Candidate]> {
        self.all.split(|it| !it.is_possible()).find(|run| !run.is_empty())
    }

    /// The rate, not above this one, that fits best where more than one is possible: the middle of
    /// those whose bounds are farthest apart.
    pub(super) fn best(&self, below: u64) -> Option<u64> {
        let possible = self.possible()?;
        let possible = possible.get(..possible.partition_point(|it| it.rate <= below).max(1))?;
        let widest = possible.iter().map(Candidate::margin).max()?;
        let fits = |it: &&Candidate| it.margin() + 16 >= widest;
        let low = possible.iter().find(fits)?.rate;
        let high = possible.iter().rfind(fits)?.rate;
        Some(low.midpoint(high))
    }

    /// All that was sent before the first refusal has been answered: what was not refused was
    /// accepted, so no bucket holds much less than that.
    pub(super) fn all_answered(&mut self) {
        for it in &mut self.all {
            it.least = it.least.max(it.most.saturating_sub(ONE));
        }
    }

    /// What a bucket of about this rate holds, in requests.
    pub(super) fn holds(&self, rate: u64) -> u64 {
        let at = self.all.partition_point(|it| it.rate < rate).min(COUNT - 1);
        self.all.get(at).map_or(0, |it| it.least.midpoint(it.most) / ONE)
    }

    /// A request is sent.
    pub(super) fn take(&mut self, now: Instant) {
        let passed = now.nanos_since(self.as_of);
        for it in &mut self.all {
            it.spent = it.spent.saturating_sub(flow(it.rate, passed)) + ONE;
        }
        self.as_of = self.as_of.max(now);
        let place = self.place(self.count);
        if let Some(sent) = self.sent.get_mut(place) {
            *sent = self.as_of;
        }
        self.count += 1;
    }

    /// Where in the ring that request stands.
    fn place(&self, count: usize) -> usize {
        count.checked_rem(self.sent.len()).unwrap_or(0)
    }

    /// Requests sent after one that was sent at `sent_at`, if it is remembered.
    fn sent_after(&self, sent_at: Instant) -> Option<u64> {
        let known = self.count.min(self.sent.len());
        let later = |n: usize| {
            let sent = self.sent.get(self.place(self.count - 1 - n));
            sent.is_some_and(|&at| at > sent_at)
        };
        let (mut low, mut high) = (0, known);
        while low < high {
            let middle = low.midpoint(high);
            if later(middle) { low = middle + 1 } else { high = middle }
        }
        (low < known).then_some(low as u64)
    }

    /// The request that was sent then was accepted.
    pub(super) fn accepted(&mut self, sent_at: Instant) {
        let Some(after) = self.sent_after(sent_at) else { return };
        let since = self.as_of.nanos_since(sent_at);
        for it in &mut self.all {
            let spent = it.spent_before(since, after);
            it.least = it.least.max(spent);
        }
        if let Some((first, last)) = self.few(false) {
            self.all = Self::finer(&self.all, first, last);
        }
    }

    /// The request that was sent then was refused.
    pub(super) fn refused(&mut self, sent_at: Instant) {
        let after = self.sent_after(sent_at);
        let since = self.as_of.nanos_since(sent_at);
        // Where few are left, finer ones are held against it.
        for round in 0.. {
            let before = self.all;
            for it in &mut self.all {
                if let Some(after) = after {
                    let spent = it.spent_before(since, after);
                    it.most = match spent {
                        // It was full: no bucket refuses then.
                        ..FULL => 0,
                        _ => it.most.min(spent),
                    };
                }
                it.spent = it.spent.saturating_sub(ONE);
            }
            let Some((first, last)) = self.few(true).filter(|_| round < FINER) else { break };
            self.all = Self::finer(&before, first, last);
        }
        if self.range().is_none() {
            self.forgive();
        }
    }

    /// One that was sent before, or right after, the first one that was refused, was refused too.
    pub(super) fn one_less(&mut self) {
        for it in &mut self.all {
            it.most = it.most.saturating_sub(ONE).max(ONE * 2);
            it.spent = it.spent.saturating_sub(ONE);
        }
    }

    /// None of the candidates is right: the server has changed. It holds about as much as it did.
    pub(super) fn renew(&mut self, low: u64, high: u64, holds: u64, is_empty: bool) {
        self.all = Self::grid(low, high);
        let holds = holds.clamp(1, MOST / ONE / 2);
        for it in &mut self.all {
            it.spent = if is_empty { holds * ONE } else { ONE };
            it.least = ONE;
            it.most = (PRIOR_SECONDS * it.rate * ONE / MILLI + PRIOR).max(holds * 2 * ONE);
        }
    }

    /// One that was sent right after one that was refused was refused too: nothing new, but it
    /// took nothing out.
    pub(super) fn refused_too(&mut self) {
        for it in &mut self.all {
            it.spent = it.spent.saturating_sub(ONE);
        }
    }

    /// Where finer candidates should stand when few are left. The right one may stand between two
    /// that are not.
    fn few(&self, refused: bool) -> Option<(usize, usize)> {
        let (first, count) = match self.possible() {
            Some(run) => (self.all.iter().position(Candidate::is_possible)?, run.len()),
            None if refused => {
                let nearest = self.all.iter().enumerate().min_by_key(|(_, it)| it.excess())?;
                (nearest.0, 1)
            }
            None => return None,
        };
        let (from, to) = (first.saturating_sub(1), (first + count).min(COUNT - 1));
        let (low, high) = (self.all.get(from)?.rate, self.all.get(to)?.rate);
        (count <= FEW && high - low > low / 256 + 2 * COUNT as u64).then_some((from, to))
    }

    /// Finer ones in the place of those from the first to the last.
    fn finer(old: &[Candidate; COUNT], first: usize, last: usize) -> [Candidate; COUNT] {
        let rate_of = |at: usize| old.get(at).map_or(0, |it| it.rate);
        let mut all = Self::grid(rate_of(first), rate_of(last));
        let mut at = first;
        for it in &mut all {
            while at + 1 < last && rate_of(at + 1) <= it.rate {
                at += 1;
            }
            let of =
                |get: fn(&Candidate) -> u64, is_convex| between(old, at, it.rate, get, is_convex);
            let (spent, least, most) =
                (of(|it| it.spent, true), of(|it| it.least, true), of(|it| it.most, false));
            (it.spent, it.least, it.most) = (spent, least, most);
        }
        all
    }

    /// The right one was dropped by mistake, as times vary: it is near the one that fits best.
    pub(super) fn forgive(&mut self) {
        let Some(it) = self.all.iter().min_by_key(|it| it.excess()).copied() else { return };
        if it.excess() > (it.least / 3).max(3 * ONE) {
            return;
        }
        let middle = it.least.midpoint(it.most);
        self.all = Self::grid(it.rate - it.rate / 16, it.rate + it.rate / 16);
        for new in &mut self.all {
            new.spent = it.spent;
            new.least = middle - middle / 16;
            new.most = middle + (middle / 16).max(ONE);
        }
    }
}

/// A value between the candidates `at` and the next one. What was spent and what was accepted grow
/// with the rate as the greatest of several straight lines do, what was refused as the least of
/// several: where two of them meet between both candidates, the lines of the next two on each side
/// tell it.
fn between(
    all: &[Candidate; COUNT],
    at: usize,
    rate: u64,
    get: fn(&Candidate) -> u64,
    is_convex: bool,
) -> u64 {
    let line = |at: usize| {
        let [one, two, ..] = all.get(at..)? else { return None };
        let (from, to) = (get(one), get(two));
        let run = two.rate.saturating_sub(one.rate).max(1);
        let step = mul_div(from.abs_diff(to), rate.abs_diff(one.rate), run);
        let (from, step) = (from.cast_signed(), i64::try_from(step).unwrap_or(i64::MAX));
        let rises = (to >= get(one)) == (rate >= one.rate);
        Some(if rises { from.saturating_add(step) } else { from.saturating_sub(step) })
    };
    let Some(straight) = line(at) else { return 0 };
    let left = at.checked_sub(1).and_then(line).unwrap_or(straight);
    let right = line(at + 1).unwrap_or(straight);
    let value =
        if is_convex { left.max(right).min(straight) } else { left.min(right).max(straight) };
    u64::try_from(value).unwrap_or(0).min(MOST)
}

/// Fills in the rates between the first and the last: each the geometric mean of its neighbours.
fn spread(all: &mut [Candidate]) {
    let [first, .., last] = all else { return };
    let (low, high) = (first.rate, last.rate);
    let count = all.len();
    if count < 3 {
        return;
    }
    let middle = count / 2;
    // The mean of logarithms, weighted: close enough to even for an odd number of steps.
    if let Some(it) = all.get_mut(middle) {
        it.rate = geometric(low, high).max(low + middle as u64);
    }
    if let Some(lower) = all.get_mut(..=middle) {
        spread(lower);
    }
    if let Some(upper) = all.get_mut(middle..) {
        spread(upper);
    }
}

/// What flows in at a rate in so many nanoseconds, in millionths of a request.
fn flow(rate: u64, time: u64) -> u64 {
    mul_div(rate, time, SECOND * MILLI / ONE)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    /// A server: a bucket, and a client that sends at a rate.
    struct Server {
        rate: u64,
        burst: u64,
        held: u64,
        at: Instant,
    }

    impl Server {
        fn accepts(&mut self, now: Instant) -> bool {
            self.held =
                (self.held + flow(self.rate, now.nanos_since(self.at))).min(self.burst * ONE);
            self.at = now;
            let accepts = self.held >= ONE;
            self.held -= if accepts { ONE } else { 0 };
            accepts
        }
    }

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1000)
    }

    /// A first burst, then three spans at three, two and one and a half times what the server gives,
    /// with pauses between them.
    fn learn(rate: u64, burst: u64, pause: u64) -> (Buckets, Option<(u64, u64)>) {
        let mut server = Server { rate, burst, held: burst * ONE, at: at(0) };
        let (mut micros, mut sent) = (0, 0);
        while server.accepts(at(micros)) {
            sent += 1;
            micros += 100;
        }
        let all = (at(0), sent);
        let range = (rate / 100, rate * 100);
        let mut buckets = Buckets::new(at(micros), &[all], 1, range, 64);
        for faster in [6, 4, 3] {
            micros += pause;
            let mut refused = 0;
            for _ in 0..burst * 2 + 40 {
                micros += 1_000_000_000 * 2 / (rate * faster);
                let now = at(micros);
                buckets.take(now);
                if server.accepts(now) {
                    buckets.accepted(now);
                } else {
                    buckets.refused(now);
                    refused += 1;
                }
                if refused == 2 {
                    break;
                }
            }
        }
        let range = buckets.range();
        (buckets, range)
    }

    #[test]
    fn rate_and_size_follow_from_a_few_refusals() {
        for (rate, burst, pause) in [
            (100_000, 10, 50_000),
            (100_000, 10, 1_000_000),
            (100_000, 100, 1_000_000),
            (20_000, 40, 1_000_000),
            (1_000_000, 300, 100_000),
            (5_000, 20, 5_000_000),
        ] {
            let (buckets, range) = learn(rate, burst, pause);
            let (low, high) = range.expect("one is possible");
            let name = format!("{rate} {burst} {pause}: {low} to {high}");
            assert!(low <= rate + rate / 50 && rate - rate / 50 <= high, "{name}");
            assert!(high - low <= rate / 4, "{name}");
            let holds = buckets.holds(rate);
            assert!(holds.abs_diff(burst) <= burst / 4 + 2, "{name}, holds {holds}");
        }
    }

    #[test]
    fn rates_are_in_order_however_close() {
        for (low, high) in [(1, 2), (1, 40), (7, 8), (100, 1 << 40), (1000, 1032)] {
            let rates = Buckets::grid(low, high).map(|it| it.rate);
            assert!(rates.is_sorted_by(|one, two| one < two), "{rates:?}");
        }
    }

    #[test]
    fn odd_clocks_and_floods_break_nothing() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut any = || Instant::from_nanos(rng.u64(..) >> rng.u32(0..64));
            let (one, two, three) = (any(), any(), any());
            let mut buckets = Buckets::new(
                one,
                &[(two, 1 << 40), (three, 7)],
                1 << 20,
                (1, 1 << 40),
                seed as usize,
            );
            for _ in 0..600 {
                buckets.take(any());
                buckets.accepted(any());
                buckets.refused(any());
                buckets.one_less();
            }
            buckets.renew(1, 1 << 30, 1 << 30, seed % 2 == 0);
            assert!(buckets.range().is_some());
        }
    }
}
