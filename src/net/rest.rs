//! Whether to rest a moment before the next wait.
//!
//! A server on the same machine or next door answers every ten microseconds. Whoever sleeps until
//! the next answer is woken for each, and going to sleep and being woken costs more than the
//! answer; whoever does not sleep finds two or three at a time, and has been through the whole loop for
//! them. A rest that is short beside the time of an answer lets several come, which are then handled
//! together, and costs neither side a wake-up. Owns the running mean of the time between two
//! events. Rests only where at least [`WORTH`] of them come meanwhile, which takes tens of thousands a
//! second: nobody far away is kept waiting. And only where the loop waits for the server rather than the
//! server for the loop: where most of what is under way was found ready at once, it is behind.

use core::time::Duration;

/// Events that have to be expected in a rest.
const WORTH: u64 = 2;
/// Whoever wants to be back sooner than this does not rest.
const SOON: Duration = Duration::from_millis(1);

/// The running mean.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    /// Nanoseconds from one event to the next; zero while nothing is known.
    gap: u32,
    /// So many were ready last.
    last: u32,
}

impl Rest {
    /// So many events were ready, so many nanoseconds after those before them.
    pub(super) fn came(&mut self, events: usize, after: u64) {
        let Ok(events) = u32::try_from(events) else { return };
        self.last = events;
        let Some(gap) = after.checked_div(events.into()) else { return };
        let gap = u32::try_from(gap).unwrap_or(u32::MAX).clamp(1, 10_000_000);
        self.gap = if self.gap == 0 { gap } else { (self.gap * 15 + gap) / 16 };
    }

    /// How long to rest before a wait of `timeout` while so many requests are under way: at most `most`,
    /// and no longer than `short`.
    pub(super) fn before(
        &self,
        timeout: Option<Duration>,
        running: u32,
        short: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let rest = short.min(most);
        let worth = Duration::from_nanos(u64::from(self.gap) * WORTH);
        let unhurried = timeout.is_none_or(|timeout| timeout >= SOON);
        let behind = self.last > running / 2;
        (unhurried && !behind && self.gap > 0 && rest >= worth).then_some(rest)
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
            assert_eq!(one.before(timeout, 64, short, us(100)), None, "nothing is known");
            for _ in 0..100 {
                one.came(4, gap * 4_000);
            }
            assert_eq!(one.before(timeout, 64, short, us(100)), rest, "{gap} {short:?}");
            assert_eq!(one.before(timeout, 64, short, Duration::ZERO), None, "turned off");
        }
    }

    #[test]
    fn who_is_behind_does_not_rest() {
        let mut one = Rest::default();
        for (events, rests) in [(8, true), (32, true), (33, false), (64, false), (2, true)] {
            one.came(events, 10_000 * events as u64);
            assert_eq!(one.before(None, 64, us(90), us(100)).is_some(), rests, "{events}");
        }
    }

    #[test]
    fn nothing_and_everything_at_once_are_no_trouble() {
        let mut one = Rest::default();
        one.came(0, 5_000);
        assert_eq!(one.before(None, 64, us(100), us(100)), None);
        one.came(usize::MAX, 5_000);
        one.came(5, 0);
        one.came(1, u64::MAX);
        assert_eq!(one.before(None, 64, us(100), us(100)), None);
    }
}
