//! How soon answers come, and how much of its time this loop is at work.
//!
//! Owns two running means that the driver feeds: one says for how long it may rest without being
//! missed, the other whether a further connection could make anything faster. Decides nothing
//! itself, and reads no clock.

use core::time::Duration;

use crate::base::nanos;

/// A single answer counts for at most this much: a few slow ones among many quick ones must not
/// make the loop rest for longer than the quick ones bear.
const MOST: u32 = 4_000;
/// Nanoseconds over which work and waiting are weighed against each other.
const MEMORY: u64 = 20_000_000;
/// Less than this says nothing yet.
const ENOUGH: u64 = 2_000_000;
/// A short time is this part of that of an answer: a rest in vain makes answers later by no more.
const PART: u32 = 8;

/// So many times as long a light load waits as it works.
#[cfg(feature = "cli")]
const LIGHT: u64 = 9;

/// How much of its time a loop is at work.
#[cfg(feature = "cli")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    /// Less than a tenth.
    Light,
    Middle,
    /// More than half.
    Heavy,
}

/// The means.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulse {
    /// Microseconds from a request to the first byte of its answer; zero while none has come.
    answer: u32,
    /// Nanoseconds.
    working: u64,
    waiting: u64,
}

impl Pulse {
    /// An answer has begun, so many nanoseconds after its request.
    pub(super) fn heard(&mut self, after: u64) {
        let new = u32::try_from(after / 1_000).unwrap_or(MOST).clamp(1, MOST);
        self.answer = if self.answer == 0 { new } else { (self.answer * 15 + new) / 16 };
    }

    /// The loop has worked, then waited. What came before the first answer is start-up.
    pub(super) fn beat(&mut self, working: Duration, waiting: Duration) {
        if self.answer == 0 {
            return;
        }
        self.working = self.working.saturating_add(nanos(working));
        self.waiting = self.waiting.saturating_add(nanos(waiting));
        if self.all() > MEMORY {
            self.working /= 2;
            self.waiting /= 2;
        }
    }

    /// Work and waiting.
    const fn all(&self) -> u64 {
        self.working.saturating_add(self.waiting)
    }

    /// A time that is short beside the time of an answer.
    pub(super) fn short_time(&self) -> Duration {
        Duration::from_micros(u64::from(self.answer / PART))
    }

    /// How much of its time the loop is at work. Before it is known, it is neither light nor heavy.
    #[cfg(feature = "cli")]
    pub(super) fn work(&self) -> Work {
        if self.all() < ENOUGH {
            Work::Middle
        } else if self.is_pressed() {
            Work::Heavy
        } else if self.working.saturating_mul(LIGHT) < self.waiting {
            Work::Light
        } else {
            Work::Middle
        }
    }

    /// The loop is at work for more than half of its time: what else is asked for waits for it as
    /// much as for servers.
    pub(super) fn is_pressed(&self) -> bool {
        self.works_for(2)
    }

    /// The loop is at work for more than this part of its time.
    pub(super) fn works_for(&self, part: u32) -> bool {
        self.all() >= ENOUGH && self.waiting < self.working.saturating_mul(u64::from(part) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_rest_is_short_beside_the_quick_answers() {
        let mut pulse = Pulse::default();
        assert_eq!(pulse.short_time(), Duration::ZERO);
        pulse.heard(800_000_000);
        assert_eq!(pulse.short_time(), Duration::from_micros(500));
        for n in 0..1_000 {
            // One in a hundred takes ten seconds.
            pulse.heard(if n % 100 == 0 { 10_000_000_000 } else { 50_000 });
        }
        assert!(pulse.short_time() < Duration::from_micros(20), "{pulse:?}");
    }

    #[test]
    fn pressed_is_who_hardly_waits() {
        let mut pulse = Pulse::default();
        pulse.beat(ms(100), ms(0));
        pulse.heard(1_000_000);
        assert!(!pulse.is_pressed(), "start-up does not count");
        pulse.beat(ms(1), ms(0));
        assert!(!pulse.is_pressed(), "that is little");
        pulse.beat(ms(4), ms(4));
        assert!(pulse.is_pressed());
        pulse.beat(ms(0), ms(10));
        assert!(!pulse.is_pressed());
        assert!(pulse.works_for(4));
        for _ in 0..10 {
            pulse.beat(ms(9), ms(1));
        }
        assert!(pulse.is_pressed(), "what was long ago counts less and less");
    }
}
