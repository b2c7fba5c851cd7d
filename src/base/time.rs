//! A point in time as a number of nanoseconds.
//!
//! The engine never asks what time it is; whoever drives it says so. The zero point is the
//! driver's choice (usually when it started), so that a simulation can begin anywhere.

use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

use super::mul_div;

/// A point in time, in nanoseconds since a zero point that the driver chooses.
///
/// Arithmetic saturates: a deadline "for ever" away stays for ever away.
///
/// ```
/// use core::time::Duration;
/// use gannet::base::Instant;
///
/// let start = Instant::ZERO;
/// let later = start + Duration::from_millis(20);
/// assert_eq!(later - start, Duration::from_millis(20));
/// assert_eq!(start - later, Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The zero point.
    pub const ZERO: Self = Self(0);
    /// A point that is never reached.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the zero point.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the zero point.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The point in the middle between this one and a later one.
    pub(crate) const fn halfway(self, later: Self) -> Self {
        Self(self.0.midpoint(later.0))
    }

    /// The time that passed between `earlier` and `self`, zero if it has not come yet.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A `Duration` as nanoseconds; more than 584 years are for ever.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(duration.subsec_nanos() as u64)
}

/// A time × `times` ÷ `parts`, of which there is one at least: without overflow in between, and for ever where it does not fit.
pub(crate) fn part(time: Duration, times: u32, parts: u32) -> Duration {
    Duration::from_nanos(mul_div(nanos(time), times.into(), parts.into()))
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_round_down_and_do_not_wrap() {
        let nanos = Duration::from_nanos;
        assert_eq!(part(nanos(10), 1, 3), nanos(3));
        assert_eq!(part(nanos(u64::MAX / 2), 8, 16), nanos(u64::MAX / 4));
        assert_eq!(part(Duration::MAX, 1, 1), nanos(u64::MAX));
        let (one, other) = (Instant::from_nanos(4), Instant::from_nanos(9));
        assert_eq!(one.halfway(other), one + (other - one) / 2);
    }
}
