//! What a server does with connections that it is done with, learned while running.
//!
//! Owns one host's keep-alive habits: hints (`Keep-Alive: timeout=5, max=100`), the idle time at
//! which it closes, the number of requests after which it closes. The engine stays inside them,
//! so that races with a server's close become rare instead of merely survived. What was learned is
//! questioned now and then by a connection that is kept for longer: a habit that the server gave
//! up, or never had, would else bind for ever. Never closes anything itself.

use core::time::Duration;

use crate::base::Instant;
use crate::proto::KeepAlive;

/// A close this soon after an answer counts requests, not time.
const AT_ONCE: Duration = Duration::from_millis(50);
/// One idle connection in so many questions the idle time that was learned: seen closing, it costs
/// nothing.
const RESTS: u32 = 32;
/// One request in so many may be lost to the question whether the number of requests still holds.
const RESPONSES: u32 = 4096;

/// A server's keep-alive habits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    /// Seconds that the server told.
    hint: Option<u32>,
    /// With which answer of a connection it told how many it takes on one in all, and how many.
    hinted_most: Option<(u32, u32)>,
    /// The idle time after which it closes, in milliseconds.
    idle_life: Option<u32>,
    /// After how many it closed once, and when that was; a second close at about this age makes it
    /// a habit.
    idle_once: Option<(u32, Instant)>,
    /// The number of requests after which it closed without saying so, seen twice.
    requests: Option<u32>,
    requests_once: Option<u32>,
    /// Connections that were put to rest, and responses that came, since the habit was questioned.
    rests: u32,
    responses: u32,
}

impl Habits {
    /// The server said how long it keeps an idle connection, or how many more requests it takes
    /// on this one, with its answer of this number there.
    pub(super) fn hinted(&mut self, hint: &KeepAlive, number: u32) {
        self.hint = hint.timeout.or(self.hint);
        let Some(left) = hint.max else { return };
        let most = number.saturating_add(left);
        // Some say the same with each answer: that is no count. Two that agree are.
        let agrees = |(other, said)| other != number && said == most;
        if left == 0 || self.hinted_most.is_some_and(agrees) {
            self.requests = Some(most);
        }
        self.hinted_most = Some((number, most));
    }

    /// It closed a connection that had been idle since then and had served `requests`.
    ///
    /// One such close may be a restart or an accident, also when many connections met it together;
    /// of two that had one after the other about the same age, it is a habit.
    pub(super) fn closed_idle(&mut self, since: Instant, now: Instant, requests: u32) {
        if now < since + AT_ONCE {
            self.closed_after(requests);
            return;
        }
        let age = u32::try_from(now.nanos_since(since) / 1_000_000).unwrap_or(u32::MAX);
        let alike = |one: u32| age.abs_diff(one) <= one / 4 + 10;
        match self.idle_once {
            Some((once, _)) if !alike(once) => self.idle_once = Some((age, now)),
            // It was idle already when the other closed: that is the same occasion.
            Some((_, when)) if since < when => {}
            Some((once, _)) => {
                self.idle_life = Some(once.min(age));
                self.idle_once = Some((once.min(age), now));
            }
            None => self.idle_once = Some((age, now)),
        }
    }

    /// It closed a connection right after its answer number `requests`, unannounced.
    fn closed_after(&mut self, requests: u32) {
        if requests == 0 {
            return;
        }
        if self.requests_once == Some(requests) {
            self.requests = Some(requests);
        }
        self.requests_once = Some(requests);
    }

    /// A connection was there after it had been idle since then.
    pub(super) fn outlived_rest(&mut self, since: Instant, now: Instant) {
        let longest = |life| since.later(u64::from(life) * 1_250_000);
        if self.idle_life.is_some_and(|life| now > longest(life)) {
            self.idle_life = None;
            self.idle_once = None;
        }
    }

    /// A connection served so many requests: when these are more than the habit says, there is no
    /// such habit (any more).
    pub(super) fn outlived(&mut self, requests: u32) {
        self.responses = self.responses.saturating_add(1);
        if self.requests.is_some_and(|most| requests > most) {
            self.requests = None;
            self.requests_once = None;
        }
    }

    /// How long a connection that comes to rest is kept: less than the server keeps it, by a tenth
    /// and 20 ms for the way, and by up to a second of what it announced in whole seconds.
    pub(super) fn idle_for(&mut self, configured: Duration) -> Duration {
        // In milliseconds.
        let margin = |life: u64| (life - life / 10).saturating_sub(20);
        let hint = self.hint.map(|seconds| {
            let hint = u64::from(seconds) * 1000;
            // An announced second may have been cut short by up to a second of rounding.
            margin(hint).min(hint.saturating_sub(500))
        });
        let learned = self.idle_life.map(|life| {
            let life = u64::from(life);
            self.rests += 1;
            if self.rests < RESTS {
                return margin(life);
            }
            self.rests = 0;
            life + life / 2
        });
        let least = hint.unwrap_or(u64::MAX).min(learned.unwrap_or(u64::MAX));
        configured.min(Duration::from_millis(least))
    }

    /// Whether a connection that served `requests` has come to the end of what the server gives.
    pub(super) fn is_used_up(&self, requests: u32) -> bool {
        self.requests.is_some_and(|most| requests >= most)
    }

    /// Whether such a connection shall go on all the same, to question the habit: once in so many
    /// responses.
    pub(super) fn take_question(&mut self) -> bool {
        let due = self.responses >= RESPONSES;
        if due {
            self.responses = 0;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const AT: fn(u64) -> Instant = |ms| Instant::from_nanos(ms * 1_000_000);
    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Closes after 400 ms, seen twice.
    fn learned() -> Habits {
        let mut habits = Habits::default();
        habits.closed_idle(AT(6000), AT(6400), 3);
        habits.closed_idle(AT(7000), AT(7405), 9);
        habits
    }

    #[test]
    fn two_closes_at_about_the_same_age_are_a_habit_one_is_not() {
        let mut habits = Habits::default();
        habits.closed_idle(AT(0), AT(5000), 3);
        assert_eq!(habits.idle_for(LONG), LONG);
        habits.closed_idle(AT(6000), AT(6400), 3);
        assert_eq!(habits.idle_for(LONG), LONG);
        assert_eq!(learned().idle_for(LONG), MS(340));
    }

    /// A restart, or an outage of a moment, ends all that are idle together.
    #[test]
    fn one_occasion_is_no_habit_however_many_met_it() {
        let mut habits = Habits::default();
        for after in 0..24 {
            habits.closed_idle(AT(0), AT(2000 + after), 3);
        }
        assert_eq!(habits.idle_for(LONG), LONG);
    }

    #[test]
    fn an_idle_time_is_questioned_and_forgotten() {
        let mut habits = learned();
        let kept: [Duration; RESTS as usize] = core::array::from_fn(|_| habits.idle_for(LONG));
        assert!(kept[..31].iter().all(|&kept| kept == MS(340)), "{kept:?}");
        assert_eq!(kept[31], MS(600));
        // It is closed at the same age again.
        habits.closed_idle(AT(60_000), AT(60_410), 3);
        assert_eq!(habits.idle_for(LONG), MS(340));
        // It is still there.
        habits.outlived_rest(AT(0), AT(390));
        assert_eq!(habits.idle_for(LONG), MS(340));
        habits.outlived_rest(AT(0), AT(600));
        assert_eq!(habits.idle_for(LONG), LONG);
        // A server that became more patient: what is seen twice counts.
        let mut habits = learned();
        habits.closed_idle(AT(60_000), AT(61_000), 3);
        habits.closed_idle(AT(70_000), AT(71_000), 3);
        assert_eq!(habits.idle_for(LONG), MS(880));
    }

    #[test]
    fn a_hint_is_kept_with_a_margin() {
        let mut habits = Habits::default();
        let hint = |timeout, max| KeepAlive { timeout, max };
        habits.hinted(&hint(Some(5), Some(99)), 1);
        assert!(habits.idle_for(LONG) <= MS(4_500));
        habits.hinted(&hint(Some(0), None), 2);
        assert_eq!(habits.idle_for(LONG), Duration::ZERO);
        assert!(!habits.is_used_up(50));
        habits.hinted(&hint(None, Some(0)), 50);
        assert!(habits.is_used_up(50));
        assert!(!habits.is_used_up(49));
    }

    #[test]
    fn a_count_of_requests_is_told_by_two_hints_that_agree() {
        let told = |hints: &[(u32, u32)]| {
            let mut habits = Habits::default();
            for &(number, left) in hints {
                habits.hinted(&KeepAlive { timeout: None, max: Some(left) }, number);
            }
            habits.requests
        };
        assert_eq!(told(&[(1, 49)]), None);
        assert_eq!(told(&[(1, 49), (2, 48)]), Some(50));
        // The first answers of two connections are no count, nor is the same with each.
        assert_eq!(told(&[(1, 49), (1, 49)]), None);
        assert_eq!(told(&[(1, 100), (2, 100), (3, 100)]), None);
        assert_eq!(told(&[(7, u32::MAX), (8, u32::MAX)]), Some(u32::MAX));
    }

    #[test]
    fn a_number_of_requests_is_learned_and_forgotten() {
        let mut habits = Habits::default();
        habits.closed_idle(AT(0), AT(0), 50);
        assert!(!habits.is_used_up(50));
        habits.closed_idle(AT(9), AT(10), 50);
        assert!(habits.is_used_up(50));
        assert!(!habits.is_used_up(49));
        habits.outlived(51);
        assert!(!habits.is_used_up(50));
    }

    #[test]
    fn a_number_of_requests_is_questioned() {
        let mut habits = Habits::default();
        habits.closed_after(50);
        habits.closed_after(50);
        let mut questions = 0;
        for n in 0..RESPONSES * 4 {
            habits.outlived(n % 50 + 1);
            questions += u32::from(n % 50 == 49 && habits.is_used_up(50) && habits.take_question());
        }
        assert_eq!(questions, 3);
    }
}
