//! How far ahead of the connections to hold requests.
//!
//! A request that waits costs memory, and memory that is looked at once in four thousand answers
//! has left the processor's cache by then: a far reach makes each request dearer by a tenth. It
//! pays only where sockets would otherwise have nothing to do: where the requests that are held
//! wait for hosts that bear no more, and those further down the list are for others. A loop that
//! is at work for most of its time has enough to do. So the reach is short until the loop
//! waits although it holds all that it reaches for; and one that had to be taken up again as soon as it
//! was shortened is kept for a while. Owns that number, and bounds nothing: what is
//! submitted beyond it is taken as well. Nothing wakes the loop for it: whoever heeds it turns the
//! loop a few times a second, as the command does. Those who embed the library are told of the
//! engine's room alone (`wants`), and nothing is kept up for them.

use core::time::Duration;

use crate::base::Instant;

/// The shortest reach.
const LEAST: usize = 128;
/// Requests that are held for each that runs, at least: a turn answers one at most of each
/// connection, and the list is read after each.
const EACH: usize = 2;
/// Between two changes: the loop has to feel the one before.
const PATIENCE: Duration = Duration::from_millis(20);
/// A shorter reach that is too short shows within this time.
const SHOWS: Duration = Duration::from_millis(500);
/// So long a reach that had to be taken up again is kept at least, and at most.
const KEPT: Duration = Duration::from_secs(1);
const KEPT_MOST: Duration = Duration::from_secs(16);

/// How far, and since when there has been no lack and no change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    now: usize,
    since: Option<Instant>,
    /// When it was last made shorter.
    shorter: Option<Instant>,
    /// It is not made shorter before this, and kept for so long the next time.
    kept_until: Instant,
    kept: Duration,
}

impl Reach {
    /// A short one.
    pub(super) const fn new() -> Self {
        let (shorter, kept_until) = (None, Instant::ZERO);
        Self { now: LEAST, since: None, shorter, kept_until, kept: KEPT }
    }

    /// How many requests are to be held while so many run.
    pub(super) fn get(&self, running: u32) -> usize {
        self.now.max(running as usize * EACH)
    }

    /// The loop is about to wait. `held`: so many requests, `running` of them on connections.
    /// `pressed`: it is at work for most of its time. `most`: it can't hold more.
    pub(super) fn waits(
        &mut self,
        held: usize,
        running: u32,
        pressed: bool,
        most: usize,
        now: Instant,
    ) {
        let since = *self.since.get_or_insert(now);
        if held < self.get(running) {
            self.since = Some(now);
        } else if now - since >= PATIENCE {
            self.since = Some(now);
            if !pressed {
                self.further(now);
            } else if now >= self.kept_until {
                self.shorter = Some(now);
                self.now /= 2;
            }
            self.now = self.now.min(most).max(LEAST);
        }
    }

    /// Where a shorter reach was full of what waits for slow hosts, the rest of the list had to wait
    /// with it: that is not tried again soon.
    fn further(&mut self, now: Instant) {
        self.now *= 2;
        match self.shorter.take() {
            Some(shorter) if now - shorter < SHOWS => {
                self.kept_until = now + self.kept;
                self.kept = (self.kept * 2).min(KEPT_MOST);
            }
            Some(_) => self.kept = KEPT,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn it_reaches_further_only_while_the_loop_waits_with_full_hands() {
        let mut reach = Reach::new();
        assert_eq!(reach.get(64), 128);
        assert_eq!(reach.get(1_000), 2_000, "what runs has something behind it");
        for (ms, held, pressed, then) in [
            // However late it begins.
            (99, 128, false, 128),
            (100, 127, false, 128),
            (119, 128, false, 128),
            (120, 128, false, 256),
            (139, 256, false, 256),
            (140, 256, true, 128),
            (160, 128, true, 128),
            (180, 128, false, 256),
            (200, 256, false, 512),
            (220, 512, false, 1_000),
            (240, 1_000, false, 1_000),
            // The list's end comes near.
            (260, 900, true, 1_000),
            (279, 1_000, true, 1_000),
            // It had been too short at once: it is kept for a while.
            (280, 1_000, true, 1_000),
            (1_179, 1_000, true, 1_000),
            (1_199, 1_000, true, 500),
            // That was enough.
            (1_779, 1_000, false, 1_000),
            (1_799, 1_000, true, 500),
        ] {
            reach.waits(held, 64, pressed, 1_000, at(ms));
            assert_eq!(reach.get(64), then, "at {ms}");
        }
    }

    /// A thousand requests for a host that takes one in 4 ms, at the head of a list for hosts of which the
    /// loop serves forty in that time.
    #[test]
    fn a_slow_hosts_backlog_does_not_make_it_swing() {
        let mut reach = Reach::new();
        let (mut listed, mut slow, mut busy, mut served) = (0, 0, 0, 0);
        for ms in (0..4_000).step_by(4) {
            slow = usize::max(slow, 1) - 1;
            while listed < 1_000 && slow < reach.get(8) {
                (listed, slow) = (listed + 1, slow + 1);
            }
            let quick = reach.get(8).saturating_sub(slow).min(40);
            served += quick;
            busy = (busy + if quick > 20 { 4 } else { -4_i32 }).clamp(0, 20);
            reach.waits(reach.get(8).max(slow), 8, busy > 10, 65_536, at(ms));
        }
        assert!(served > 36_000, "{served} of 40,000");
    }
}
