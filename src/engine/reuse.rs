//! A connection between two requests: it takes the next job, rests, gives way, or closes (RFC 9112
//! sections 9.3 and 9.6).
//!
//! Owns whether a connection is used again after a whole response, which job of its host it takes
//! then, the lists of idle ones, and the counts that change when a connection enters or leaves a
//! state. Never opens one: that is the scheduler's; one that is lost is judged in `settle`.
#![expect(
    clippy::cast_possible_truncation,
    reason = "connections are counted in `u32` since `max_connections` is one"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "hosts and groups live as long as the engine; a queue's number is an enum's; connections and jobs come from the lists of those that are there, or were looked up by `get` by the caller, before anything is dropped"
)]

use core::time::Duration;

use super::conn::{
    ConnKey, Delivery, Exchange, Greeting, Leaves, Overtaking, Sending, State, Window,
};
use super::host::HostKey;
use super::job::{JobKey, JobState, QUEUES_OF_FRESH, Queue};
use super::limit::Sample;
use super::observe::What;
use super::{Action, Engine, Failing, Failure, Handler, JobRef, Kind, Phase};
use crate::base::Instant;
use crate::proto::{self, Persistence};

/// A request that must not be sent twice goes only on a connection that idled less than this.
const SURELY_ALIVE: Duration = Duration::from_secs(1);
/// How long a connection is kept without work while others of its host wait for their first answer.
const WHILE_OTHERS_WAIT: Duration = Duration::from_secs(1);
/// A server sends its end before it takes the connection out of its count, and may be interrupted there.
const FORGETS: Duration = Duration::from_millis(2);
/// Responses after which a connection gives way to hosts that have none.
const FAIR_TURN: u32 = 64;

impl Engine {
    /// A response is whole: its job is settled, its connection used again or closed.
    pub(super) fn complete(
        &mut self,
        key: ConnKey,
        persistence: Persistence,
        surplus: bool,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let attempt = self.attempt_of(key, now);
        let conn = &mut self.conns[key];
        let reused = conn.served > 0;
        let State::Busy(exchange) = &conn.state else { return };
        let (job_key, delivery) = (exchange.job, exchange.delivery);
        let (started, in_flight) = (exchange.started, exchange.in_flight);
        let sent_at = match exchange.sending {
            Sending::Sent { at } => Some(at),
            _ => None,
        };
        let content = exchange.response.content_bytes();
        conn.served += 1;
        conn.state = State::Ready;
        let served = conn.served;
        let host_key = conn.host;
        let host = &mut self.hosts[host_key];
        host.busy -= 1;
        self.busy -= 1;
        host.elsewhere -= 1;
        host.proven += u32::from(served == 1);
        host.stats.responses += 1;
        host.spurned.end();
        host.habits.outlived(served);
        if !delivery.is_refused() {
            host.worth.served(sent_at.unwrap_or(started), now);
        }
        let mut sample = Sample {
            sent_at: sent_at.unwrap_or(started),
            bytes: content,
            in_flight: in_flight.0,
            reused,
            served: !delivery.is_refused(),
            whole: true,
        };
        host.limit.done(now, &sample);
        host.limit.waiting(now, &sample, host.unheard, host.proven);
        let group = &mut self.groups[conn.group as usize];
        group.busy -= 1;
        let port = conn.remote.port();
        if served == 1 && !group.served_at.contains(&port) {
            group.served_at.push(port);
        }
        if group.origins > 1 {
            sample.in_flight = in_flight.1;
            group.limit.done(now, &sample);
        }
        self.note_limit(host_key, now);
        let keeps = matches!(persistence, Persistence::KeepAlive)
            && sent_at.is_some()
            && !surplus
            && self.config.reuse;
        if !keeps {
            self.close_after(key, surplus, now);
        }
        let status = self.jobs[job_key].progress.status;
        match delivery {
            Delivery::Again(status) => {
                let failing = Failing::new(Kind::StatusExhausted);
                let kind = Kind::StatusExhausted;
                self.again(
                    job_key,
                    kind,
                    Some(status),
                    failing,
                    Phase::Head,
                    &attempt,
                    now,
                    handler,
                );
            }
            Delivery::DeliverThen(kind) | Delivery::SkipThen(kind) => {
                self.push_try(job_key, kind, Some(status), &attempt, started, now);
                let reused = Some(reused);
                let failure = Failure { reused, ..Failure::new(kind, Phase::Head) };
                self.finish(job_key, Err(failure), &attempt, now, handler);
            }
            Delivery::Deliver | Delivery::Skip | Delivery::Undecided => {
                self.finish(job_key, Ok(status), &attempt, now, handler);
            }
        }
        if keeps {
            self.ready(key, now, handler);
        }
    }

    /// A response is settled although its end has not come: its connection is of no use any more.
    pub(super) fn complete_cut(&mut self, key: ConnKey, now: Instant, handler: &mut dyn Handler) {
        let persistence = Persistence::Close(proto::CloseReason::ConnectionClose);
        self.complete(key, persistence, true, now, handler);
    }

    /// Closes a connection whose response is whole.
    fn close_after(&mut self, key: ConnKey, surplus: bool, now: Instant) {
        if surplus {
            self.drop_conn(key, true, now);
        } else {
            self.close_politely(key, Leaves::Nothing, now);
        }
    }

    /// A connection is ready: it takes a job, gives way, or waits for one.
    pub(super) fn ready(&mut self, key: ConnKey, now: Instant, handler: &mut dyn Handler) {
        let conn = &self.conns[key];
        let (host_key, served) = (conn.host, conn.served);
        let habits = &mut self.hosts[host_key].habits;
        let used_up = habits.is_used_up(served) && !habits.take_question();
        let used_up = served > 0 && (!self.config.reuse || used_up);
        let host = &self.hosts[host_key];
        // One that has just come is too many where the limit fell meanwhile: to let it rest would be to hold
        // what the others wait for, if the server has a worker for each connection.
        let too_many = if served > 0 {
            self.is_surplus(key)
        } else {
            host.busy + host.idle.len() + host.coming() + 1 > host.limit.keeps()
        };
        // A job that only a newer connection may take must not wait for ever.
        let moved_waits = served > 0
            && !host.queues[Queue::Moved as usize].is_empty()
            && host.coming() == 0
            && host.slots() >= host.limit.allowed();
        let unfair = served > 0 && self.starving && self.unfair(host_key, served);
        if used_up || too_many || moved_waits || unfair || self.gives_way(key) {
            self.close_politely(key, Leaves::Room, now);
            self.ring_host(host_key);
            return;
        }
        if !self.hosts[host_key].is_at_work()
            && !self.turned_away(host_key, now, handler)
            && !self.waits(host_key, now)
            && let Some(job) = self.next_job(key, now)
        {
            self.start(key, job, now);
            // The limit may have grown with the answer that was just completed.
            if self.may_do_more(host_key) {
                self.ring_host(host_key);
            }
            return;
        }
        self.rest(key, now);
        self.ring_host(host_key);
    }

    /// The job that this ready connection takes, out of its queue.
    pub(super) fn next_job(&mut self, key: ConnKey, now: Instant) -> Option<JobKey> {
        let conn = &self.conns[key];
        let idle_since = match conn.state {
            State::Idle { since, .. } => Some(since),
            _ => None,
        };
        let host = &self.hosts[conn.host];
        let fresh = conn.served == 0;
        let order: &[Queue] = match fresh {
            true => &QUEUES_OF_FRESH,
            // Who asks whether a server accepts anything again is not always the same.
            false if host.pace.is_shut() => &[Queue::Urgent, Queue::Ordinary, Queue::Again],
            false => &[Queue::Again, Queue::Urgent, Queue::Ordinary],
        };
        for &queue in order {
            let Some(job) = host.queues[queue as usize].front(&self.jobs) else { continue };
            let wanted = &self.jobs[job];
            // The last attempt is kept for a connection that has proven itself, where one is.
            let last = wanted.failures + 1 >= wanted.attempts_allowed && wanted.failures > 0;
            if fresh && queue == Queue::Again && last && host.proven > 0 {
                continue;
            }
            // What can't be sent twice goes on a connection that is surely alive.
            let stale = idle_since.is_some_and(|since| now >= since + SURELY_ALIVE);
            if stale && !wanted.repeatable {
                continue;
            }
            self.dequeue(job);
            return Some(job);
        }
        None
    }

    /// Puts a job on a connection.
    pub(super) fn start(&mut self, key: ConnKey, job: JobKey, now: Instant) {
        self.leave_idle(key);
        let below_cap = (self.conns.len() as u32) < self.cap;
        let conn = &mut self.conns[key];
        let host_key = conn.host;
        let host = &mut self.hosts[host_key];
        let rested = match conn.state {
            State::Idle { since, .. } => since,
            _ => now,
        };
        host.habits.outlived_rest(rested, now);
        if host.busy == 0 {
            if rested < now {
                host.worth.begins(now);
            } else {
                host.worth.asks(now);
            }
        }
        host.busy += 1;
        host.unheard += u32::from(conn.served == 0);
        self.busy += 1;
        host.elsewhere += 1;
        host.pace.take(now);
        self.overall_pace.take(now);
        if self.jobs[job].attempts == 0 {
            host.budget.earn();
            self.overall_budget.earn();
        }
        host.stats.requests += 1;
        // Whether more work waits that nothing but the limit of its host, or of its address,
        // holds back: no pace, and not the cap of all.
        let group = &mut self.groups[conn.group as usize];
        group.busy += 1;
        let shared = group.origins > 1;
        let group_full = shared && group.conns >= group.limit.allowed();
        let paced = host.pace.binds() || self.overall_pace.binds();
        let waits = !host.has_no_queue() && !paced && below_cap;
        let host_full = host.slots() >= host.limit.allowed();
        host.limit.sent(now, host.busy, waits && (host_full || !group_full));
        if shared {
            let others = !group.waiting.is_empty() && !self.overall_pace.binds();
            group.limit.sent(now, group.busy, waits || others);
        }
        let in_flight = (host.busy, group.busy);
        let (number, reused) = (conn.serial, conn.served > 0);
        let overtaking = (!reused).then_some(Overtaking { before: host.stats.responses, looks: 0 });
        let record = &mut self.jobs[job];
        record.state = JobState::Running(key);
        record.started.get_or_insert(now);
        record.attempts += 1;
        record.progress.before = record.progress.delivered;
        conn.state = State::Busy(Exchange {
            job,
            started: now,
            rested,
            sending: Sending::Unsent,
            response: proto::Response::new(record.exchange),
            delivery: Delivery::Undecided,
            first_byte: None,
            head_began: None,
            last_byte: now,
            window: Window { since: now, bytes: 0 },
            paused: core::mem::take(&mut record.paused),
            in_flight,
            greeting: Greeting::default(),
            overtaking,
        });
        let (tag, attempt) = (record.tag, record.attempts);
        let job = JobRef { key: job, tag };
        self.notes.push(now, host_key, What::Sent { job, conn: number, attempt, reused });
        self.actions.push_back(Action::Transmit(key));
        self.arm(key);
    }

    /// Puts a connection among the idle ones, to wait for work.
    fn rest(&mut self, key: ConnKey, now: Instant) {
        let conn = &mut self.conns[key];
        let host = &mut self.hosts[conn.host];
        let long = host.habits.idle_for(self.config.idle_timeout);
        // It may be what the server waits for, if that serves as many connections as it has workers.
        let in_the_way = host.unheard > 0 && (host.has_no_queue() || host.is_at_work());
        let until = now.after(if in_the_way { long.min(WHILE_OTHERS_WAIT) } else { long });
        conn.state = State::Idle { since: now, until };
        // The one that was used last is taken first: the others grow old and are retired.
        host.idle.push_front(&mut self.conns, key);
        self.idle.push_back(&mut self.conns, key);
        let group = self.conns[key].group as usize;
        self.groups[group].idle.push_back(&mut self.conns, key);
        if host.busy == 0 && host.has_no_queue() {
            host.limit.idle(now);
        }
        let conn = &self.conns[key];
        self.notes.push(now, conn.host, What::Idle { conn: conn.serial });
        self.arm(key);
        // What its host has queued, if anything, has to wait, and that of others at its address may not.
        self.give_way(group, now);
    }

    /// Takes a connection out of the lists of idle ones, if it is there.
    pub(super) fn leave_idle(&mut self, key: ConnKey) {
        if let State::Idle { .. } = self.conns[key].state {
            let host = self.conns[key].host;
            self.hosts[host].idle.remove(&mut self.conns, key);
            self.idle.remove(&mut self.conns, key);
            let group = self.conns[key].group as usize;
            self.groups[group].idle.remove(&mut self.conns, key);
        }
    }

    /// Closes an idle connection that is not wanted any more.
    pub(super) fn retire(&mut self, key: ConnKey, now: Instant) {
        self.leave_idle(key);
        let conn = &self.conns[key];
        self.notes.push(now, conn.host, What::Retired { conn: conn.serial });
        self.close_politely(key, Leaves::Room, now);
    }

    /// Sends our end and waits for the peer's, counted in the caps until it is there.
    pub(super) fn close_politely(&mut self, key: ConnKey, leaves: Leaves, now: Instant) {
        let until = now.after(self.config.closing_timeout);
        let conn = &mut self.conns[key];
        conn.state = State::Closing { until, leaves };
        self.closing += 1;
        self.groups[conn.group as usize].closing += 1;
        self.actions.push_back(Action::Finish(key));
        self.arm(key);
    }

    /// The peer's end came to one that is closing. Where others wait for its place at an address that
    /// turns away what is too much, the server may count it for a moment longer.
    pub(super) fn let_go(&mut self, key: ConnKey, now: Instant) {
        let conn = &mut self.conns[key];
        let group = &self.groups[conn.group as usize];
        match &mut conn.state {
            State::Closing { until, leaves: Leaves::Room }
                if !group.waiting.is_empty() && group.limit.is_bounded() =>
            {
                *until = (*until).min(now + FORGETS);
                self.arm(key);
            }
            _ => self.drop_conn(key, false, now),
        }
    }

    /// The connection is gone from the engine; its slot and its host's are free.
    pub(super) fn drop_conn(&mut self, key: ConnKey, reset: bool, now: Instant) {
        self.leave_idle(key);
        let Some(conn) = self.conns.remove(key) else { return };
        self.conn_timers.cancel(key.index());
        let gone = What::Closed { conn: conn.serial, served: conn.served };
        self.notes.push(now, conn.host, gone);
        self.actions.push_back(Action::Close { conn: key, reset });
        let host = &mut self.hosts[conn.host];
        let group = &mut self.groups[conn.group as usize];
        match conn.state {
            State::Opening(_) => {}
            State::Securing { .. } | State::Settling { .. } => {
                host.conns -= 1;
                host.securing -= 1;
                self.securing -= 1;
            }
            State::Closing { .. } => {
                host.conns -= 1;
                self.closing -= 1;
                group.closing -= 1;
            }
            State::Busy(exchange) => {
                host.conns -= 1;
                host.busy -= 1;
                host.unheard -= u32::from(conn.served == 0 && exchange.first_byte.is_none());
                self.busy -= 1;
                group.busy -= 1;
            }
            State::Idle { .. } | State::Ready => host.conns -= 1,
        }
        if conn.served > 0 {
            host.proven -= 1;
        }
        if host.busy == 0 && host.has_no_queue() {
            host.limit.idle(now);
        }
        self.groups[conn.group as usize].conns -= 1;
        self.wake_waiting(conn.group);
        // The limit may have shrunk below what was open: then one that left made no room yet.
        self.give_way(conn.group as usize, now);
        self.ring_host(conn.host);
    }

    /// Whether there are more connections than the limit of its host, or of its address, lets stay
    /// or work. Those that are closing are none of them: on a long way, where closing takes time, all
    /// would be closed for the sake of one. Nor are those that are being opened: what has served is worth
    /// more, and a firewall that drops what is too many may never let another one in.
    fn is_surplus(&self, key: ConnKey) -> bool {
        let conn = &self.conns[key];
        let host = &self.hosts[conn.host];
        let stay = host.busy + host.idle.len() + 1;
        let group = &self.groups[conn.group as usize];
        stay > host.limit.keeps() || (group.origins > 1 && group.busy >= group.limit.allowed())
    }

    /// Whether a host takes more than its share while others have nothing.
    fn unfair(&self, host: HostKey, served: u32) -> bool {
        let share = (self.cap / self.ring.len().max(1)).max(1);
        self.hosts[host].conns > share || served.is_multiple_of(FAIR_TURN)
    }

    /// Whether a connection should make room: for those of its host that the server has not taken up, or
    /// for other hosts at its address, as it has had its turn. One that has no work may once it rests.
    fn gives_way(&mut self, key: ConnKey) -> bool {
        let conn = &self.conns[key];
        if conn.served == 0 {
            return false;
        }
        let host = &mut self.hosts[conn.host];
        let wanted = !self.groups[conn.group as usize].waiting.is_empty();
        host.limit.gives_way() || (wanted && conn.served.is_multiple_of(FAIR_TURN))
    }

    /// Whether more of its work could be under way than is.
    fn may_do_more(&self, key: HostKey) -> bool {
        let host = &self.hosts[key];
        let idle = !host.idle.is_empty() && !host.is_at_work();
        idle || (host.slots() < host.limit.allowed() && host.coming() < host.queued())
    }
}
