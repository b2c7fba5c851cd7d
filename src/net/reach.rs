//! How far ahead of the connections to hold requests.
//!
//! A request that waits costs memory, and memory that is looked at once in four thousand answers
//! has left the processor's cache by then: a far reach makes each request dearer by a tenth. It
//! pays only where sockets would otherwise have nothing to do: where the requests that are held
//! wait for hosts that bear no more, and those further down the list are for others. A loop that
//! is at work for most of its time has enough to do. So the reach is short until the loop
//! waits although it holds all that it reaches for. Owns that number, and bounds nothing: what is
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

/// How far, and since when there has been no lack and no change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    now: usize,
    since: Option<Instant>,
}

impl Reach {
    /// A short one.
    pub(super) const fn new() -> Self {
        Self { now: LEAST, since: None }
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
            self.now = if pressed { self.now / 2 } else { self.now * 2 };
            self.now = self.now.min(most).max(LEAST);
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
            (280, 1_000, true, 500),
        ] {
            reach.waits(held, 64, pressed, 1_000, at(ms));
            assert_eq!(reach.get(64), then, "at {ms}");
        }
    }
}
