//! What a server does with connections that it is done with, learned while running.
//!
//! Owns one host's keep-alive habits: hints (`Keep-Alive: timeout=5, max=100`), the idle time at
//! which it closes, the number of requests after which it closes. The engine stays inside them,
//! so that races with a server's close become rare instead of merely survived. Never closes
//! anything itself.

use core::time::Duration;

/// A server's keep-alive habits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    /// Told by the server.
    hint: Option<Duration>,
    /// The shortest idle time after which it closed, seen twice at about the same age.
    idle_life: Option<Duration>,
    /// Seen once; a second close at about this age makes it a habit.
    idle_once: Option<Duration>,
    /// The number of requests after which it closed without saying so, seen twice.
    requests: Option<u32>,
    requests_once: Option<u32>,
}

impl Habits {
    /// The server said how long it keeps an idle connection, or how many more requests it takes.
    pub(super) fn hinted(&mut self, timeout: Option<u32>) {
        if let Some(seconds) = timeout {
            self.hint = Some(Duration::from_secs(u64::from(seconds)));
        }
    }

    /// It closed a connection that had been idle for `age` and had served `requests`.
    ///
    /// One such close may be a restart or an accident; two at about the same age are a habit.
    pub(super) fn closed_idle(&mut self, age: Duration, requests: u32) {
        if age < Duration::from_millis(50) {
            // Right after an answer: it counts requests, not time.
            self.closed_after(requests);
            return;
        }
        let alike = |one: Duration| age.abs_diff(one) <= one / 4 + Duration::from_millis(10);
        match self.idle_once {
            Some(once) if alike(once) => {
                let shorter = once.min(age);
                self.idle_life = Some(self.idle_life.map_or(shorter, |known| known.min(shorter)));
                self.idle_once = Some(shorter);
            }
            _ => self.idle_once = Some(age),
        }
    }

    /// It closed a connection right after its answer number `requests`, unannounced.
    pub(super) fn closed_after(&mut self, requests: u32) {
        if requests == 0 {
            return;
        }
        if self.requests_once == Some(requests) {
            self.requests = Some(requests);
        }
        self.requests_once = Some(requests);
    }

    /// A connection served more requests than the habit says: there is no such habit (any more).
    pub(super) fn outlived(&mut self, requests: u32) {
        if self.requests.is_some_and(|most| requests > most) {
            self.requests = None;
        }
    }

    /// How long an idle connection is kept: less than the server keeps it, by a tenth and 20 ms
    /// for the way, and by up to a second of what it announced in whole seconds.
    pub(super) fn idle_for(&self, configured: Duration) -> Duration {
        let margin = |life: Duration| (life - life / 10).saturating_sub(Duration::from_millis(20));
        let hint = self.hint.map(|hint| {
            // An announced second may have been cut short by up to a second of rounding.
            margin(hint).min(hint.saturating_sub(Duration::from_millis(500)))
        });
        let learned = self.idle_life.map(margin);
        configured.min(hint.unwrap_or(configured)).min(learned.unwrap_or(configured))
    }

    /// Whether a connection that served `requests` has come to the end of what the server gives.
    pub(super) fn is_used_up(&self, requests: u32) -> bool {
        self.requests.is_some_and(|most| requests >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn two_closes_at_about_the_same_age_are_a_habit_one_is_not() {
        let mut habits = Habits::default();
        habits.closed_idle(Duration::from_secs(5), 3);
        assert_eq!(habits.idle_for(LONG), LONG);
        habits.closed_idle(Duration::from_millis(400), 3);
        assert_eq!(habits.idle_for(LONG), LONG);
        habits.closed_idle(Duration::from_millis(405), 9);
        assert_eq!(habits.idle_for(LONG), Duration::from_millis(340));
    }

    #[test]
    fn a_hint_is_kept_with_a_margin() {
        let mut habits = Habits::default();
        habits.hinted(Some(5));
        assert!(habits.idle_for(LONG) <= Duration::from_millis(4_500));
        habits.hinted(Some(0));
        assert_eq!(habits.idle_for(LONG), Duration::ZERO);
    }

    #[test]
    fn a_number_of_requests_is_learned_and_forgotten() {
        let mut habits = Habits::default();
        habits.closed_after(50);
        assert!(!habits.is_used_up(50));
        habits.closed_idle(Duration::from_millis(1), 50);
        assert!(habits.is_used_up(50));
        assert!(!habits.is_used_up(49));
        habits.outlived(51);
        assert!(!habits.is_used_up(50));
    }
}
