//! Whether a server answers anything but 503.
//!
//! Where it does not, fewer connections are of no use: one that is told so at once asks thousands of times
//! a second, and each time costs a URL one of its attempts. Owns the pause between two such questions, and
//! nothing else: one answer that is no 503 ends it.

use super::door;
use crate::base::Instant;

/// So many requests were refused, each of which was sent when the refusal before it was known.
const TIMES: u8 = 3;

/// Refusals one after the other, nothing served between them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Shut {
    #[default]
    Open,
    Perhaps {
        /// When the first of them was known, and when the last that was sent after the one before.
        since: Instant,
        last: Instant,
        times: u8,
    },
}

impl Shut {
    /// A request was served.
    pub(super) fn served(&mut self) {
        *self = Self::Open;
    }

    /// A 503 came to a request that was sent then: for how many nanoseconds to ask for nothing now.
    pub(super) fn refused(&mut self, now: Instant, sent_at: Instant) -> u64 {
        let Self::Perhaps { since, last, times } = self else {
            *self = Self::Perhaps { since: now, last: now, times: 1 };
            return 0;
        };
        if sent_at < *last {
            // On its way together with that one.
            return 0;
        }
        (*last, *times) = (now, times.saturating_add(1));
        if *times < TIMES { 0 } else { door::pause(now.nanos_since(*since)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_503_and_nothing_else_asks_now_and_then() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let mut shut = Shut::default();
        // Four at once, and two that were sent after that was known.
        for _ in 0..4 {
            assert_eq!(shut.refused(at(10), at(0)), 0);
        }
        assert_eq!(shut.refused(at(12), at(11)), 0);
        assert_eq!(shut.refused(at(14), at(13)), 50_500_000);
        let (mut now, mut asked) = (14, 0);
        while now < 20_000 {
            let wait = shut.refused(at(now + 1), at(now));
            assert!(wait <= 2_000_000_000, "{wait}");
            now += 1 + wait / 1_000_000;
            asked += 1;
        }
        assert!((20..=50).contains(&asked), "{asked} times in 20 s");
        shut.served();
        assert_eq!(shut.refused(at(now + 2), at(now + 1)), 0);
    }
}
