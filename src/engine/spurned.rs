//! A host that accepts connections and resets every one of them.
//!
//! What stands before a server that is away does so, and so does what allows so many new connections in a
//! time and counts those that it refuses, too. Each of them costs next to nothing, so that a whole list is
//! thrown at it within a second: that helps nobody, and keeps such a count from ever running out.
//!
//! Owns how long the next connection waits, once many failed in a row with no answer in between. What a
//! failure costs its request is `retry`'s, how many connections there may be is the limit's.

use core::time::Duration;

use crate::base::Instant;

/// So many in a row are no chance, nor a few URLs that a server answers so.
const MANY: u32 = 16;
/// Nanoseconds between two of them then, at first,
const FIRST: u64 = 100_000_000;
/// and at most. It doubles with every [`MANY`].
const LAST: u64 = 3_000_000_000;

/// Fresh connections that were reset or closed one after the other, with no answer in between.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spurned {
    count: u32,
    since: Instant,
    /// Nanoseconds from one to the next,
    gap: u64,
    /// which waits until then.
    until: Instant,
}

impl Spurned {
    /// One more was. A host that has served in this run is waited for as long as `patience`, and asked ever
    /// more seldom; one that never did, or not for longer than that, is asked as at first, and its requests
    /// end after their attempts.
    pub(super) fn another(&mut self, now: Instant, patience: Option<Duration>) {
        if self.count == 0 {
            self.since = now;
        }
        self.count = self.count.saturating_add(1);
        let Some(doublings) = (self.count / MANY).checked_sub(1) else { return };
        let is_waited_for = patience.is_some_and(|patience| now < self.since.after(patience));
        let doublings = if is_waited_for { doublings.min(5) } else { 0 };
        self.gap = (FIRST << doublings).min(LAST);
        self.opens(now);
    }

    /// A connection is opened: the next one waits, however many the host may have.
    pub(super) fn opens(&mut self, now: Instant) {
        self.until = now.later(self.gap);
    }

    /// An answer came.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// No new connection before this.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// When each of so many is opened, if nothing but this holds it back.
    fn opened(count: u32, patience: Option<Duration>) -> Vec<Duration> {
        let mut spurned = Spurned::default();
        let mut now = Instant::from_nanos(1);
        let begun = now;
        let times = (0..count).map(|_| {
            now = now.max(spurned.until());
            spurned.another(now, patience);
            now - begun
        });
        times.collect()
    }

    #[test]
    fn a_few_are_not_held_back_and_many_ever_more() {
        let times = opened(200, Some(Duration::from_secs(60)));
        assert_eq!(times[15], Duration::ZERO);
        assert_eq!(times[16], Duration::from_millis(100));
        assert_eq!(times[31], Duration::from_millis(1_600));
        assert_eq!(times[32], Duration::from_millis(1_800));
        assert_eq!(times[97] - times[96], Duration::from_secs(3));
        // Nobody is waited for longer than that: then what resets them are perhaps these URLs.
        assert_eq!(times[199] - times[198], Duration::from_millis(100));
    }

    #[test]
    fn who_never_served_is_not_stormed_either() {
        let times = opened(200, None);
        assert_eq!(times[15], Duration::ZERO);
        assert_eq!(times[199], Duration::from_millis(100) * 184);
    }

    #[test]
    fn an_answer_ends_it() {
        let mut spurned = Spurned::default();
        let now = Instant::from_nanos(1);
        let patience = Some(Duration::from_secs(60));
        (0..50).for_each(|_| spurned.another(now, patience));
        assert!(spurned.until() > now);
        spurned.end();
        (0..15).for_each(|_| spurned.another(now, patience));
        assert!(spurned.until() <= now);
    }
}
