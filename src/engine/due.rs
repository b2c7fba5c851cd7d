//! Deadlines: which is next, and what happens when it has passed.
//!
//! Owns the order in which things that are overdue have their turn. What a deadline means for a
//! connection, a race or a queue is theirs.
#![expect(
    clippy::indexing_slicing,
    reason = "a timer belongs to a connection, dial or job that is there: whoever drops one cancels its timer, and a dead place is left at `at`; a connection's host, and its job while it has an exchange, outlive it"
)]

use core::time::Duration;

use super::conn::{self, ConnKey, Overdue, Overtaking, State};
use super::error::Kind;
use super::handler::Handler;
use super::host::Names;
use super::job::{JobKey, JobState, Queue};
use super::settle::Attempt;
use super::{Action, Engine, Failing, Failure, Phase};
use crate::base::{Instant, nanos};

/// What has deadlines.
#[derive(Clone, Copy, Debug)]
enum Timed {
    Job,
    Host,
    Dial,
    Conn,
}

/// In the order of their turns.
const TURNS: [Timed; 4] = [Timed::Job, Timed::Host, Timed::Dial, Timed::Conn];

impl Engine {
    /// When [`tick`](Self::tick) wants to be called at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        let mut least = self.draining.filter(|_| !self.jobs.is_empty());
        for timers in [&self.job_timers, &self.host_timers, &self.conn_timers, &self.dial_timers] {
            if let Some(at) = timers.next() {
                least = Some(least.map_or(at, |least| least.min(at)));
            }
        }
        least
    }

    /// Time has passed: whatever is overdue happens.
    pub fn tick(&mut self, now: Instant, handler: &mut dyn Handler) {
        self.tick_some(now, u32::MAX, handler);
    }

    /// The same, but at most so many deadlines; how many there were.
    pub(crate) fn tick_some(&mut self, now: Instant, most: u32, handler: &mut dyn Handler) -> u32 {
        let mut left = most;
        if self.draining.is_some_and(|deadline| deadline <= now) {
            self.cancel_all(now, handler);
        }
        // The kinds one after the other; the next call goes on with the one after that at which
        // this one ran out.
        for _ in TURNS {
            let Some(&timed) = TURNS.get(self.ticked) else { break };
            while left > 0 && self.tick_one(timed, now, handler) {
                left -= 1;
            }
            self.ticked = (self.ticked + 1) % TURNS.len();
            if left == 0 {
                return most;
            }
        }
        self.ticked = 0;
        most - left
    }

    /// Does one thing of a kind that is overdue, if there is one.
    fn tick_one(&mut self, timed: Timed, now: Instant, handler: &mut dyn Handler) -> bool {
        let timers = match timed {
            Timed::Job => &mut self.job_timers,
            Timed::Host => &mut self.host_timers,
            Timed::Dial => &mut self.dial_timers,
            Timed::Conn => &mut self.conn_timers,
        };
        let Some(index) = timers.pop_due(now) else { return false };
        match timed {
            Timed::Job => {
                if let Some(job) = self.jobs.at(index) {
                    self.job_due(job, now, handler);
                }
            }
            Timed::Host => {
                if let Some(host) = self.hosts.at(index) {
                    self.host_due(host, now, handler);
                }
            }
            Timed::Dial => {
                if let Some(dial) = self.dials.at(index) {
                    self.dial_due(dial, now, handler);
                }
            }
            Timed::Conn => {
                if let Some(conn) = self.conns.at(index) {
                    self.conn_due(conn, now, handler);
                }
            }
        }
        true
    }

    /// A repeat's backoff is over: it stands behind those of its host for which the budgets do not pay
    /// yet. Or it is the first of those, and what was lent to it is earned: it goes, and as many others
    /// as can be paid for. Or an attempt's time is over that began before its connection.
    fn job_due(&mut self, due: JobKey, now: Instant, handler: &mut dyn Handler) {
        let job = &self.jobs[due];
        let key = job.host;
        let mut paid = match job.state {
            JobState::Queued(Queue::Held) => true,
            JobState::Waiting => {
                self.hosts[key].elsewhere -= 1;
                self.enqueue(due, Queue::Held);
                false
            }
            JobState::Queued(_) | JobState::Running(_) => {
                self.early_due(due, now, handler);
                return;
            }
        };
        while let Some(first) = self.hosts[key].queues[Queue::Held as usize].front(&self.jobs) {
            if !core::mem::take(&mut paid) {
                if self.job_timers.get(first.index()).is_some() {
                    return;
                }
                let at = self.hosts[key].budget.take(now).max(self.overall_budget.take(now));
                if self.out_of_time(first, at) {
                    self.hosts[key].budget.give_back();
                    self.overall_budget.give_back();
                    self.dequeue(first);
                    let failure = Failure::new(Kind::BudgetExhausted, Phase::Queue);
                    self.finish(first, Err(failure), &Attempt::none(now), now, handler);
                    continue;
                }
                if at > now {
                    self.job_timers.set(first.index(), at);
                    return;
                }
            }
            self.dequeue(first);
            self.enqueue(first, Queue::Again);
        }
    }

    /// The process slept for `gap` (a laptop's lid, SIGSTOP): phases get that time back, so that
    /// not all of them end at once.
    pub fn slept(&mut self, gap: Duration) {
        self.job_timers.shift(gap);
        self.conn_timers.shift(gap);
        self.dial_timers.shift(gap);
        let gap = nanos(gap);
        for host in self.hosts.values_mut() {
            if let Names::Asking { since } = &mut host.names {
                *since = since.later(gap);
            }
        }
        for dial in self.dials.values_mut() {
            dial.until = dial.until.later(gap);
        }
        for conn in self.conns.values_mut() {
            match &mut conn.state {
                State::Opening(_) | State::Ready => {}
                State::Securing { until, .. }
                | State::Settling { until }
                | State::Idle { until, .. }
                | State::Closing { until, .. } => *until = until.later(gap),
                State::Busy(exchange) => exchange.shift(gap),
            }
        }
    }

    /// A connection's armed deadline passed: it may have moved in the meantime.
    fn conn_due(&mut self, key: ConnKey, now: Instant, handler: &mut dyn Handler) {
        let Some((at, overdue)) = self.deadline_of(key) else { return };
        if at > now {
            self.conn_timers.set(key.index(), at);
            return;
        }
        match overdue {
            Overdue::Gone => self.drop_conn(key, true, now),
            Overdue::Settles => self.settled(key, now, handler),
            Overdue::Retires => {
                let conn = &self.conns[key];
                if let State::Idle { since, .. } = conn.state {
                    self.hosts[conn.host].habits.outlived_rest(since, now);
                }
                self.retire(key, now);
            }
            Overdue::Continues => {
                if let Some(exchange) = self.conns[key].exchange_mut() {
                    exchange.sending =
                        conn::Sending::Flushing { next: 0, any: true, ended: false, progress: now };
                }
                self.actions.push_back(Action::Transmit(key));
                self.arm(key);
            }
            Overdue::Enough => self.complete_cut(key, now, handler),
            Overdue::Unheard => self.unheard(key, now, handler),
            Overdue::Fails(Kind::TooSlow) => {
                let config = &self.config;
                let fast = self.conns[key]
                    .exchange_mut()
                    .is_some_and(|exchange| exchange.fast_enough(config, now));
                if fast {
                    self.arm(key);
                } else {
                    self.fail_conn(key, Failing::new(Kind::TooSlow), now, handler);
                }
            }
            Overdue::Fails(kind) => self.fail_conn(key, Failing::new(kind), now, handler),
        }
    }

    /// A fresh connection has said nothing for a while. Where others were answered over and over
    /// meanwhile, its request goes to one of those, if it may be sent twice; once, and free of charge.
    fn unheard(&mut self, key: ConnKey, now: Instant, handler: &mut dyn Handler) {
        let conn = &mut self.conns[key];
        let answers = self.hosts[conn.host].stats.responses;
        let Some(exchange) = conn.exchange_mut() else { return };
        let job = &self.jobs[exchange.job];
        let may_move = job.repeatable && job.replayable() && !job.moved;
        if may_move && exchange.is_overtaken(answers) {
            self.fail_exchange(key, Failing::new(Kind::FirstByteTimeout), now, handler);
            return;
        }
        // The list may be at its end, and it is known later that this was left out.
        exchange.overtaking = exchange
            .overtaking
            .filter(|_| may_move)
            .map(|it| Overtaking { looks: it.looks + 1, ..it });
        self.arm(key);
    }

    pub(super) fn deadline_of(&self, key: ConnKey) -> Option<(Instant, Overdue)> {
        let conn = &self.conns[key];
        let waits = conn.exchange().map(|exchange| self.jobs[exchange.job].waits);
        conn.deadline(&self.config, waits)
    }

    /// Arms the deadline of a connection's state. An entry that is armed earlier stays: when it
    /// fires, the true deadline is looked at, so that a state which is left in time costs no
    /// heap operation.
    #[inline]
    pub(super) fn arm(&mut self, key: ConnKey) {
        let Some((at, _)) = self.deadline_of(key) else { return };
        if self.conn_timers.get(key.index()).is_none_or(|armed| armed > at) {
            self.conn_timers.set(key.index(), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::handler::Nobody;
    use super::*;

    #[test]
    fn when_all_are_overdue_each_kind_has_its_turn() {
        let mut engine = Engine::new(Config::default());
        let (now, each) = (Instant::from_nanos(10), 100);
        for thing in 0..each {
            for timers in [
                &mut engine.job_timers,
                &mut engine.host_timers,
                &mut engine.dial_timers,
                &mut engine.conn_timers,
            ] {
                timers.set(thing, now);
            }
        }
        let left = |engine: &Engine| {
            [&engine.job_timers, &engine.host_timers, &engine.dial_timers, &engine.conn_timers]
                .map(crate::base::Timers::len)
        };
        for round in 1..=3 {
            for _ in 0..4 {
                assert_eq!(engine.tick_some(now, 7, &mut Nobody), 7);
            }
            assert_eq!(left(&engine), [each - 7 * round; 4]);
        }
        // Where there is time for all of them, nothing is left.
        assert_eq!(engine.tick_some(now, u32::MAX, &mut Nobody), 4 * 79);
        assert_eq!(left(&engine), [0; 4]);
        // One kind that never comes to an end leaves the others their turn.
        engine.conn_timers.set(0, now);
        let mut calls = 0;
        while !engine.conn_timers.is_empty() {
            (0..32).for_each(|thing| engine.job_timers.set(thing, now));
            engine.tick_some(now, 32, &mut Nobody);
            calls += 1;
            assert!(calls <= 4);
        }
    }
}
