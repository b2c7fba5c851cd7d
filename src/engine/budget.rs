//! The retry budget: a token bucket that keeps a sick server from being hammered.
//!
//! Owns tokens, earned by requests and by time, and spent by retries. An empty budget delays a
//! retry and never fails one by itself: only where [`Config::retry_max_time`] is set, and the token
//! would come later than that, the request ends (`budget_exhausted`). Each that is delayed has a token of its own, lent
//! from what time will earn, so that those that wait go one after the other and not together at the
//! next token. Of those of one host only the first has one lent: the others stand behind it, and go
//! sooner when requests earn more meanwhile. Free repeats of stale connections do not ask.
//!
//! [`Config::retry_max_time`]: super::Config::retry_max_time

use crate::base::Instant;

/// One retry, in the fixed-point numbers used here: a nanosecond earns `per_second` of them.
const TOKEN: u64 = 1_000_000_000;

/// What a budget earns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BudgetConfig {
    /// Retries that a hundred requests earn. Default 20.
    pub percent: u32,
    /// Retries that a second earns. Default 10 for a host, 100 for all together; at least 1.
    pub per_second: u32,
    /// Retries that can be saved up. Default ten seconds' worth: 100 for a host, 1,000 for all together; at
    /// least 1.
    pub most: u32,
}

impl BudgetConfig {
    /// The budget of one host.
    pub const HOST: Self = Self { percent: 20, per_second: 10, most: 100 };
    /// The budget of all hosts together.
    pub const ALL: Self = Self { percent: 20, per_second: 100, most: 1000 };
}

/// Retries that may be made.
///
/// ```
/// use core::time::Duration;
/// use gannet::base::Instant;
/// use gannet::engine::budget::{Budget, BudgetConfig};
///
/// let start = Instant::ZERO;
/// let mut budget = Budget::new(&BudgetConfig::HOST, start);
/// for _ in 0..10 {
///     assert_eq!(budget.take(start), start);
/// }
/// assert_eq!(budget.take(start), start + Duration::from_millis(100));
/// assert_eq!(budget.take(start), start + Duration::from_millis(200));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    config: BudgetConfig,
    tokens: u64,
    /// Tokens that were spent before they were earned.
    lent: u64,
    as_of: Instant,
}

impl Budget {
    /// A budget with a second's worth in it.
    pub const fn new(config: &BudgetConfig, now: Instant) -> Self {
        let per_second = if config.per_second == 0 { 1 } else { config.per_second };
        let most = if config.most == 0 { 1 } else { config.most };
        let config = BudgetConfig { percent: config.percent, per_second, most };
        let saved = if per_second < most { per_second } else { most };
        Self { config, tokens: saved as u64 * TOKEN, lent: 0, as_of: now }
    }

    /// A request was sent for the first time: it earns its part of a retry.
    pub fn earn(&mut self) {
        self.add(u64::from(self.config.percent) * (TOKEN / 100));
    }

    /// Spends a retry, and says when it may be made: now, or when the tokens lent so far are
    /// earned.
    pub fn take(&mut self, now: Instant) -> Instant {
        self.spend(TOKEN, now)
    }

    /// When a retry may be made before which so many others are, if nothing but time earns any.
    pub(super) fn behind(mut self, others: u32, now: Instant) -> Instant {
        self.spend((u64::from(others) + 1) * TOKEN, now)
    }

    fn spend(&mut self, tokens: u64, now: Instant) -> Instant {
        let per_nano = u64::from(self.config.per_second.max(1));
        self.add(now.nanos_since(self.as_of).saturating_mul(per_nano));
        self.as_of = self.as_of.max(now);
        if let Some(left) = self.tokens.checked_sub(tokens) {
            self.tokens = left;
            return now;
        }
        let missing = tokens - core::mem::take(&mut self.tokens);
        self.lent = self.lent.saturating_add(missing);
        self.as_of.later(self.lent.div_ceil(per_nano))
    }

    /// A retry that was spent is not made after all.
    pub fn give_back(&mut self) {
        self.add(TOKEN);
    }

    fn add(&mut self, tokens: u64) {
        let repaid = tokens.min(self.lent);
        self.lent -= repaid;
        let most = u64::from(self.config.most) * TOKEN;
        self.tokens = self.tokens.saturating_add(tokens - repaid).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Instant = |ms| Instant::from_nanos(ms * 1_000_000);

    /// Retries that may be made now; one more is lent.
    fn drain(budget: &mut Budget, now: Instant) -> u32 {
        let mut taken = 0;
        while budget.take(now) <= now {
            taken += 1;
        }
        budget.give_back();
        taken
    }

    #[test]
    fn a_second_earns_its_retries_and_no_more_than_can_be_saved() {
        let mut budget = Budget::new(&BudgetConfig::HOST, AT(0));
        assert_eq!(drain(&mut budget, AT(0)), 10);
        assert_eq!(drain(&mut budget, AT(1000)), 10);
        assert_eq!(drain(&mut budget, AT(1_000_000)), 100);
    }

    #[test]
    fn five_requests_earn_a_retry() {
        let mut budget = Budget::new(&BudgetConfig::HOST, AT(0));
        drain(&mut budget, AT(0));
        for _ in 0..50 {
            budget.earn();
        }
        assert_eq!(drain(&mut budget, AT(0)), 10);
    }

    #[test]
    fn those_that_wait_go_one_after_the_other() {
        let mut budget = Budget::new(&BudgetConfig::HOST, AT(5));
        drain(&mut budget, AT(5));
        let times: [Instant; 4] = core::array::from_fn(|_| budget.take(AT(5)));
        assert_eq!(times, [105, 205, 305, 405].map(AT));
        // Later ones stand behind them.
        assert_eq!(budget.take(AT(55)), AT(505));
        // What requests earn meanwhile brings the next ones nearer.
        for _ in 0..10 {
            budget.earn();
        }
        assert_eq!(budget.take(AT(55)), AT(405));
        assert_eq!(budget.take(AT(10_000)), AT(10_000));
        // A clock that steps back earns nothing and breaks nothing.
        drain(&mut budget, AT(10_000));
        assert!(budget.take(AT(3)) > AT(10_000));
    }

    #[test]
    fn each_has_a_moment_of_its_own_however_many_wait() {
        let mut budget = Budget::new(&BudgetConfig::HOST, AT(0));
        drain(&mut budget, AT(0));
        for n in 0..10_000 {
            assert_eq!(budget.behind(9, AT(0)), AT((n + 10) * 100), "{n}");
            assert_eq!(budget.take(AT(0)), AT((n + 1) * 100), "{n}");
        }
        // What requests earn repays it, and no more is saved up than can be.
        for _ in 0..51_000 {
            budget.earn();
        }
        assert_eq!(drain(&mut budget, AT(0)), 100);
        // Nothing wraps.
        for _ in 0..20 {
            budget.spend(u64::MAX / 8, AT(0));
        }
        assert!(budget.take(AT(0)) > AT(1_000_000_000));
        assert!(budget.behind(u32::MAX, AT(0)) > AT(1_000_000_000));
    }

    #[test]
    fn a_budget_of_nothing_still_trickles() {
        let nothing = BudgetConfig { percent: 0, per_second: 0, most: 0 };
        let mut budget = Budget::new(&nothing, AT(0));
        assert_eq!(budget.take(AT(0)), AT(0));
        assert_eq!(budget.take(AT(0)), AT(1000));
    }
}
