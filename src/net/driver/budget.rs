//! How long a turn has worked, and whether that is enough.
//!
//! The clock is read after so many steps (a connection pumped, a request sent), and once when the
//! turn is over; where they turn out to take long (handshakes, a handler that is slow), after each
//! one. Each turn in which all were quick doubles the steps again. A half of the time is for what
//! comes before the wait (what was submitted or called off, and its handlers), the other is kept
//! for what is ready: neither who submits nor who answers can keep the other waiting.

use core::time::Duration;

use crate::base::{Instant, nanos};

/// Steps between two looks at the clock, where they are quick.
pub(super) const STRIDE: u32 = 32;
/// Quick: those between two looks take at most this part of the time that a turn has.
const PART: u64 = 8;

/// The time of one turn.
#[derive(Debug)]
pub(super) struct Budget {
    /// Nanoseconds of a turn.
    most: u64,
    /// Longer than this from one look to the next is slow.
    slow_from: u64,
    until: Instant,
    looked: Instant,
    stride: u32,
    unlooked: u32,
    slow: bool,
    spent: bool,
}

impl Budget {
    pub(super) fn new(most: Duration) -> Self {
        let (until, looked) = (Instant::ZERO, Instant::ZERO);
        let most = nanos(most);
        Self {
            most,
            slow_from: most / PART,
            until,
            looked,
            stride: STRIDE,
            unlooked: 0,
            slow: false,
            spent: false,
        }
    }

    /// A turn begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.until = now.later(self.most / 2);
        self.looked = now;
        self.unlooked = 0;
        if !core::mem::take(&mut self.slow) {
            self.stride = (self.stride * 2).min(STRIDE);
        }
        self.spent = false;
    }

    /// It has waited so many nanoseconds, until `now`: that is not its work. What came before leaves a half at least.
    pub(super) fn waited(&mut self, waited: u64, now: Instant) {
        self.until = self.until.later(waited).max(now).later(self.most.div_ceil(2));
        self.spent = false;
        self.looked = now;
        self.unlooked = 0;
    }

    /// One more step is done; whether the clock has to be looked at.
    pub(super) const fn count(&mut self) -> bool {
        self.unlooked += 1;
        self.unlooked >= self.stride
    }

    /// The clock was looked at.
    #[inline]
    pub(super) fn look(&mut self, now: Instant) {
        if now > self.looked.later(self.slow_from) {
            self.slow = true;
            self.stride = 1;
        }
        self.looked = now;
        self.unlooked = 0;
        self.spent = self.until <= now;
    }

    /// The turn is over; whether the clock has to be looked at, so that the next one is forewarned.
    pub(super) const fn has_unlooked(&self) -> bool {
        self.unlooked > 0
    }

    /// How many steps may be made before the next look.
    pub(super) const fn stride(&self) -> u32 {
        self.stride
    }

    /// Whether it is time to come to an end.
    pub(super) const fn is_spent(&self) -> bool {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Makes steps that take `each` until a turn of 10 ms is over, or `most` of them; how many that
    /// were, and how often the clock was read.
    fn turn(budget: &mut Budget, clock: &mut Instant, each: Duration, most: u32) -> (u32, u32) {
        budget.begin(*clock);
        budget.waited(0, *clock);
        let (mut steps, mut looks) = (0, 0);
        while !budget.is_spent() && steps < most {
            *clock += each;
            steps += 1;
            if budget.count() {
                looks += 1;
                budget.look(*clock);
            }
        }
        if budget.has_unlooked() {
            looks += 1;
            budget.look(*clock);
        }
        (steps, looks)
    }

    #[test]
    fn the_clock_is_read_seldom_while_all_is_quick_and_always_while_it_is_slow() {
        let (budget, clock) = (&mut Budget::new(ms(10)), &mut Instant::from_nanos(0));
        let quick = Duration::from_micros(5);
        assert_eq!(turn(budget, clock, quick, 0), (0, 0));
        assert_eq!(turn(budget, clock, quick, 31), (31, 1));
        assert_eq!(turn(budget, clock, quick, 100), (100, 4));
        assert_eq!(turn(budget, clock, quick, 10_000).0, 2_016, "10 ms of 5 µs");
        // The first ones were not foreseen; from then on each is counted.
        assert_eq!(turn(budget, clock, ms(2), 100), (32, 1));
        assert_eq!(turn(budget, clock, ms(2), 100), (5, 5));
        assert_eq!(turn(budget, clock, ms(20), 100), (1, 1), "always one");
        // And back.
        for looks in [100, 50, 25, 13, 7, 4, 4] {
            assert_eq!(turn(budget, clock, quick, 100), (100, looks));
        }
        // Few that are slow tell as much as many.
        assert_eq!(turn(budget, clock, ms(3), 2), (2, 1));
        assert_eq!(turn(budget, clock, ms(3), 100), (4, 4));
    }

    #[test]
    fn waiting_is_no_work() {
        let mut budget = Budget::new(ms(10));
        let mut now = Instant::from_nanos(7);
        budget.begin(now);
        now += ms(4);
        now += ms(1_000);
        budget.waited(nanos(ms(1_000)), now);
        now += ms(5);
        budget.look(now);
        assert!(!budget.is_spent(), "9 of 10 ms");
        now += ms(1);
        budget.look(now);
        assert!(budget.is_spent());
    }

    #[test]
    fn what_comes_before_the_wait_has_one_half_and_leaves_the_other() {
        let mut budget = Budget::new(ms(10));
        for (before, spent, then) in [(4, false, 6), (5, true, 5), (9, true, 5), (1_000, true, 5)] {
            let mut now = Instant::from_nanos(7);
            budget.begin(now);
            now += ms(before);
            budget.look(now);
            assert_eq!(budget.is_spent(), spent, "{before}");
            now += ms(70);
            budget.waited(nanos(ms(70)), now);
            assert!(!budget.is_spent());
            for (more, spent) in [(then - 1, false), (1, true)] {
                now += ms(more);
                budget.look(now);
                assert_eq!(budget.is_spent(), spent, "{before}, {more}");
            }
        }
    }

    #[test]
    fn for_ever_is_long_enough() {
        let mut budget = Budget::new(Duration::MAX);
        budget.begin(Instant::from_nanos(5));
        budget.waited(u64::MAX, Instant::from_nanos(6));
        budget.look(Instant::from_nanos(u64::MAX - 1));
        assert!(!budget.is_spent());
    }
}
