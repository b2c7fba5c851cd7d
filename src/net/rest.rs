//! Whether to rest a moment before the next wait.
//!
//! A server on the same machine or next door answers every ten microseconds, and whoever sleeps
//! until the next answer is woken for each: going to sleep and being woken costs more than the
//! answer. A rest that is short beside the time of an answer lets several come, and costs neither
//! side a wake-up. Owns the running mean of the time between two events. Rests only where at least
//! [`WORTH`] of them come meanwhile, which takes tens of thousands a second: nobody far away is kept
//! waiting.

use core::time::Duration;

/// Events that have to be expected in a rest.
const WORTH: u32 = 2;
/// Whoever wants to be back sooner than this does not rest.
const SOON: Duration = Duration::from_millis(1);

/// The running mean.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    /// Nanoseconds from one event to the next; zero while nothing is known.
    gap: u32,
}

impl Rest {
    /// So many events were ready, so long after those before them.
    pub(super) fn came(&mut self, events: usize, after: Duration) {
        let Ok(events) = u32::try_from(events) else { return };
        let Some(gap) = after.checked_div(events) else { return };
        let gap = u32::try_from(gap.as_nanos()).unwrap_or(u32::MAX).clamp(1, 10_000_000);
        self.gap = if self.gap == 0 { gap } else { (self.gap * 15 + gap) / 16 };
    }

    /// How long to rest before a wait of `timeout`: at most `most`, and no longer than `short`.
    pub(super) fn before(
        &self,
        timeout: Option<Duration>,
        short: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let rest = short.min(most);
        let worth = Duration::from_nanos(u64::from(self.gap)) * WORTH;
        let unhurried = timeout.is_none_or(|timeout| timeout >= SOON);
        (unhurried && self.gap > 0 && rest >= worth).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn it_rests_where_many_answers_come_soon() {
        for (gap, short, timeout, rest) in [
            (10, us(90), None, Some(us(90))),
            (10, us(900), Some(us(1_000)), Some(us(100))),
            (10, us(90), Some(us(999)), None),
            // Few in flight: an answer takes as long as three others.
            (10, us(4), None, None),
            // A thousand a second, as from far away.
            (1_000, us(2_000), None, None),
        ] {
            let mut one = Rest::default();
            assert_eq!(one.before(timeout, short, us(100)), None, "nothing is known");
            for _ in 0..100 {
                one.came(4, us(gap * 4));
            }
            assert_eq!(one.before(timeout, short, us(100)), rest, "{gap} {short:?}");
            assert_eq!(one.before(timeout, short, Duration::ZERO), None, "turned off");
        }
    }

    #[test]
    fn nothing_and_everything_at_once_are_no_trouble() {
        let mut one = Rest::default();
        one.came(0, us(5));
        assert_eq!(one.before(None, us(100), us(100)), None);
        one.came(usize::MAX, us(5));
        one.came(5, Duration::ZERO);
        one.came(1, Duration::MAX);
        assert_eq!(one.before(None, us(100), us(100)), None);
    }
}
