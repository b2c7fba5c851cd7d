//! Whether a further connection of a host is worth its opening.
//!
//! Owns what openings and answers of this host took lately; not those that ask to come back later. A connection that is begun now is
//! ready when its opening is through; those that are at work go on serving meanwhile. It is worth
//! its handshake only if the queue outlasts that. Twenty small files behind one TLS handshake are
//! fetched on one connection; twenty that take a second each, on as many as the limit allows.

use core::time::Duration;

use crate::base::{Instant, nanos};

/// What takes less than this part of an answer's time is no work of the server's.
const SOONER: u64 = 4;

/// What openings and answers take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Worth {
    /// Microseconds from the first packet to the end of the handshake; zero while none is known.
    opening: u32,
    /// Microseconds from a request to the end of its answer; zero while none is known.
    serving: u32,
    /// The last answer's end, or when the first request after a pause was sent: so long at least
    /// the next answer takes.
    since: Instant,
    /// When it was last begun with, after nothing was under way.
    begun: Instant,
}

impl Worth {
    /// A connection is ready.
    pub(super) fn opened(&mut self, took: Duration) {
        self.opening = smoothed(self.opening, nanos(took));
    }

    /// An answer is complete, to what was sent then.
    pub(super) fn served(&mut self, sent_at: Instant, now: Instant) {
        self.serving = smoothed(self.serving, now.nanos_since(sent_at));
        self.since = now;
    }

    /// Whether something that was asked for then came by far sooner than answers do.
    pub(super) fn is_sooner(&self, started: Instant, now: Instant) -> bool {
        now.nanos_since(started) < u64::from(self.serving) * 1_000 / SOONER
    }

    /// The first request is sent on a connection that is fresh.
    pub(super) fn asks(&mut self, now: Instant) {
        self.since = now;
    }

    /// A request was sent, or a connection begun, while no other was under way.
    pub(super) fn begins(&mut self, now: Instant) {
        self.since = now;
        self.begun = now;
    }

    /// When a further connection may become worth its opening, with so many `queued` jobs that no
    /// connection is coming for, and so many `busy` connections: `None` if it is now. `crowded`:
    /// many other hosts have connections coming. Each further one makes all of them late, and what
    /// is measured meanwhile says little; but hosts that are dead make a crowd that never ends, so
    /// that only whoever has just begun waits for it. `pressed`: this loop is busy nearly all the
    /// time, with what there is. A further connection would wait for it like the others, and cost
    /// it a handshake, also one whose first is not ready yet; after a while each host gets its share.
    pub(super) fn later(
        &self,
        queued: u32,
        busy: u32,
        crowded: bool,
        pressed: bool,
        now: Instant,
    ) -> Option<Instant> {
        let crowd_ends = self.begun + CROWDED;
        if crowded && now < crowd_ends {
            return Some(crowd_ends);
        }
        let pressure_ends = self.begun + PRESSED;
        if pressed && now < pressure_ends {
            return Some((now + LOOK_AGAIN).min(pressure_ends));
        }
        // The busy ones may all have begun just now: the queue lasts so many rounds of theirs.
        let rounds = u64::from(queued.div_ceil(busy.max(1)).max(1));
        let least = u64::from(self.opening) / rounds;
        let after = self.since.later((least + 1) * 1_000);
        (self.opening > 0 && u64::from(self.serving) <= least && now < after).then_some(after)
    }
}

/// So long a host that begins makes do with one connection in a crowd.
const CROWDED: Duration = Duration::from_millis(250);
/// So long it makes do with what it has while the loop is pressed,
const PRESSED: Duration = Duration::from_secs(1);
/// and so soon the pressure is felt again where no answer gives reason to.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[expect(clippy::cast_possible_truncation, reason = "a mean of two that fit")]
fn smoothed(old: u32, nanos: u64) -> u32 {
    let new = u32::try_from(nanos / 1_000).unwrap_or(u32::MAX);
    if old == 0 { new } else { ((u64::from(old) * 7 + u64::from(new)) / 8) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn host(opening: u64, serving: u64) -> Worth {
        let mut worth = Worth::default();
        worth.opened(Duration::from_millis(opening));
        worth.served(Instant::ZERO, at(serving));
        worth.since = at(0);
        worth
    }

    #[test]
    fn the_queue_has_to_outlast_the_opening() {
        for (opening, serving, queued, busy, worth) in [
            // A near host over TLS: twenty small files are through before the handshake is.
            (60, 2, 19, 1, false),
            (60, 2, 40, 1, true),
            // A far one: three round trips of opening, one of service.
            (300, 100, 3, 1, false),
            (300, 100, 4, 1, true),
            (300, 100, 40, 8, true),
            (300, 100, 20, 8, false),
            // Thirty of a second each that have just begun, and one too many for them.
            (30, 300, 1, 31, true),
            // Slow answers.
            (300, 1000, 1, 1, true),
            // A thousand small files on the same machine.
            (1, 1, 1000, 63, true),
        ] {
            let later = host(opening, serving).later(queued, busy, false, false, at(0));
            assert_eq!(later.is_none(), worth, "{opening} {serving} {queued} {busy}");
        }
    }

    #[test]
    fn nothing_is_held_back_before_anything_is_known() {
        assert_eq!(Worth::default().later(1, 5, false, false, at(1)), None);
        // Unless many others come.
        let mut worth = Worth::default();
        worth.begins(at(1));
        assert_eq!(worth.later(9, 0, true, false, at(1)), Some(at(251)));
        assert_eq!(worth.later(9, 0, true, false, at(251)), None);
    }

    #[test]
    fn the_first_answer_is_given_its_time() {
        let mut worth = Worth::default();
        worth.begins(at(0));
        worth.opened(Duration::from_millis(60));
        worth.asks(at(60));
        assert!(worth.later(20, 1, false, false, at(60)).is_some());
        assert_eq!(worth.later(20, 1, false, false, at(64)), None);
    }

    #[test]
    fn a_loop_that_is_busy_all_the_time_opens_no_more_for_a_while() {
        let mut worth = host(1, 1);
        assert_eq!(worth.later(1000, 1, false, true, at(0)), Some(at(50)));
        assert_eq!(worth.later(1000, 1, false, false, at(0)), None);
        assert_eq!(worth.later(1000, 1, false, true, at(1000)), None);
        worth.begins(at(500));
        assert_eq!(worth.later(1000, 1, false, true, at(1480)), Some(at(1500)));
        // Its first connection is not there yet: it may be the loop that makes it late.
        assert_eq!(Worth::default().later(9, 0, false, true, at(1)), Some(at(51)));
    }

    #[test]
    fn an_answer_that_does_not_come_makes_it_worth_it() {
        let worth = host(60, 2);
        let again = worth.later(3, 1, false, false, at(1)).unwrap();
        assert!(again > at(20) && again < at(21));
        assert_eq!(worth.later(3, 1, false, false, again), None);
    }
}
