//! The retry budget: a token bucket that keeps a sick server from being hammered.
//!
//! Owns tokens, earned by requests and by time, and spent by retries. An empty budget delays a
//! retry; it never fails one (CLI.md, bounds). Free repeats of stale connections do not ask.

use core::time::Duration;

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
    /// Retries that can be saved up. Default ten seconds' worth.
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
/// while budget.take(start).is_ok() {}
/// assert_eq!(budget.take(start), Err(start + Duration::from_millis(100)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    config: BudgetConfig,
    tokens: u64,
    as_of: Instant,
}

impl Budget {
    /// A budget with a second's worth in it.
    pub const fn new(config: &BudgetConfig, now: Instant) -> Self {
        let per_second = if config.per_second == 0 { 1 } else { config.per_second };
        let most = if config.most == 0 { 1 } else { config.most };
        let config = BudgetConfig { percent: config.percent, per_second, most };
        let saved = if per_second < most { per_second } else { most };
        Self { config, tokens: saved as u64 * TOKEN, as_of: now }
    }

    /// A request was sent for the first time: it earns its part of a retry.
    pub fn earn(&mut self) {
        self.add(u64::from(self.config.percent) * (TOKEN / 100));
    }

    /// Spends a retry, or says when there will be one.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let per_nano = u64::from(self.config.per_second);
        let nanos = u64::try_from((now - self.as_of).as_nanos()).unwrap_or(u64::MAX);
        self.add(nanos.saturating_mul(per_nano));
        self.as_of = self.as_of.max(now);
        if let Some(left) = self.tokens.checked_sub(TOKEN) {
            self.tokens = left;
            return Ok(());
        }
        let missing = TOKEN - self.tokens;
        Err(self.as_of + Duration::from_nanos(missing.div_ceil(per_nano)))
    }

    fn add(&mut self, tokens: u64) {
        let most = u64::from(self.config.most) * TOKEN;
        self.tokens = self.tokens.saturating_add(tokens).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Instant = |ms| Instant::from_nanos(ms * 1_000_000);

    fn drain(budget: &mut Budget, now: Instant) -> u32 {
        let mut taken = 0;
        while budget.take(now).is_ok() {
            taken += 1;
        }
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
    fn an_empty_budget_says_when_and_keeps_its_word() {
        let mut budget = Budget::new(&BudgetConfig::ALL, AT(5));
        drain(&mut budget, AT(5));
        let when = budget.take(AT(5)).unwrap_err();
        assert_eq!(when, AT(15));
        assert_eq!(budget.take(AT(14)).unwrap_err(), when);
        assert_eq!(budget.take(when), Ok(()));
        // A clock that stands still or steps back earns nothing and breaks nothing.
        assert!(budget.take(AT(3)).is_err());
    }

    #[test]
    fn a_budget_of_nothing_still_trickles() {
        let nothing = BudgetConfig { percent: 0, per_second: 0, most: 0 };
        let mut budget = Budget::new(&nothing, AT(0));
        assert_eq!(drain(&mut budget, AT(0)), 1);
        assert_eq!(budget.take(AT(0)), Err(AT(1000)));
    }
}
