//! A point in time as a number of nanoseconds.
//!
//! The engine never asks what time it is; whoever drives it says so. The zero point is the
//! driver's choice (usually when it started), so that a simulation can begin anywhere.

use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

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

    /// Nanoseconds that passed since `earlier`, none if it has not come yet. A `Duration` is seconds and the rest, which each
    /// time is a division.
    #[inline]
    pub(crate) const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The point so many nanoseconds later.
    #[inline]
    pub(crate) const fn later(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// The point so much later, where that is seldom reckoned: a call takes less room than the sum.
    #[inline(never)]
    pub(crate) const fn after(self, time: Duration) -> Self {
        self.later(nanos(time))
    }

    /// The time that passed between `earlier` and `self`, zero if it has not come yet.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }
}

/// A `Duration` as nanoseconds; more than 584 years are for ever.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(duration.subsec_nanos() as u64)
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.later(nanos(duration))
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
    fn nanoseconds_reckon_as_durations_do() {
        let times = [0, 4, 9, 1_000_000_007, u64::MAX - 1, u64::MAX];
        for (one, other) in times.into_iter().flat_map(|one| times.map(|other| (one, other))) {
            let (at, to) = (Instant::from_nanos(one), Instant::from_nanos(other));
            assert_eq!(at.nanos_since(to), nanos(at - to));
            assert_eq!(at.later(other), at + Duration::from_nanos(other));
            assert_eq!(at.halfway(to), Instant::from_nanos(one.midpoint(other)));
        }
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }
}
