//! Ends: how an attempt that failed is judged, and how a job leaves the engine.
//!
//! One door for each: `fail_conn` for a connection that is lost in whatever state, `again` for a
//! job that is tried once more, `finish` for a job's end, which reports to the handler exactly
//! once.
#![expect(
    clippy::indexing_slicing,
    reason = "hosts and groups live as long as the engine; `key` was looked up by `get` where the event came in, and a job lives until `finish`, which is the last thing that is done with it"
)]

use alloc::boxed::Box;
use core::time::Duration;

use super::conn::{ConnKey, Delivery, Sending, Setup, State, Window};
use super::job::{JobKey, JobState, Queue};
use super::limit::Complaint;
use super::observe::What;
use super::retry::{self, Facts, Verdict};
use super::{
    Action, Cause, ConnInfo, Ctl, Engine, Failing, Failure, Fault, Handler, JobRef, Kind, Phase,
    Report, Times, Try, text,
};
use crate::base::Instant;

/// A verified continuation that came this much further is not counted as a failed attempt.
const FREE_PROGRESS: u64 = 64 * 1024;

/// How a connection was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Loss<'a> {
    /// The system said so.
    Fault(Fault),
    /// TLS said so.
    Tls {
        /// The session's name for it.
        name: &'static str,
        /// One sentence.
        detail: &'a str,
        /// What to do about it.
        hint: Option<&'a str>,
        /// Another attempt would end the same way.
        is_final: bool,
    },
}

/// What a report says of the last attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    conn: Option<ConnInfo>,
    setup: Setup,
    started: Instant,
    sent: Option<Instant>,
    first_byte: Option<Instant>,
}

impl Attempt {
    /// No connection was there.
    #[inline(never)]
    pub(super) const fn none(now: Instant) -> Self {
        Self {
            conn: None,
            setup: Setup {
                dns: Duration::ZERO,
                dns_stale: false,
                connect: Duration::ZERO,
                tls: Duration::ZERO,
            },
            started: now,
            sent: None,
            first_byte: None,
        }
    }
}

impl Engine {
    /// A connection was lost.
    pub fn lost(&mut self, key: ConnKey, loss: Loss<'_>, now: Instant, handler: &mut dyn Handler) {
        let Some(conn) = self.conns.get(key) else { return };
        match loss {
            Loss::Fault(fault) => match conn.state {
                State::Opening(dial) => self.racer_lost(key, dial, fault, now, handler),
                State::Idle { .. } => self.idle_closed(key, now),
                State::Securing { .. }
                | State::Busy(_)
                | State::Settling { .. }
                | State::Ready
                | State::Closing { .. } => {
                    let kind = match conn.state {
                        State::Securing { .. } => Kind::ResetInHandshake,
                        _ => self.loss_of(key, Some(fault.cause)),
                    };
                    let failing = Failing { os: fault.os, ..Failing::new(kind) };
                    self.fail_conn(key, failing, now, handler);
                }
            },
            Loss::Tls { name, detail, hint, is_final } => {
                let mut failing = Failing {
                    detail: Some(detail.into()),
                    hint: hint.map(Box::from),
                    ..Failing::new(Kind::Tls(name))
                };
                match conn.state {
                    State::Securing { .. } => {
                        self.securing_failed(key, failing, is_final, now, handler);
                    }
                    State::Busy(_) => {
                        if !is_final {
                            // The connection broke, not the protocol: judged as any other loss.
                            failing.kind = self.loss_of(key, Some(Cause::Reset));
                        }
                        self.fail_exchange(key, failing, now, handler);
                    }
                    State::Opening(dial) => {
                        self.racer_lost(key, dial, Fault::new(Cause::Other), now, handler);
                    }
                    _ => self.drop_conn(key, true, now),
                }
            }
        }
    }

    /// The kind that the loss of a busy connection is.
    pub(super) fn loss_of(&self, key: ConnKey, cause: Option<Cause>) -> Kind {
        let conn = &self.conns[key];
        let Some(exchange) = conn.exchange() else { return Kind::ResetBeforeResponse };
        if matches!(exchange.sending, Sending::Withheld) {
            return Kind::ServerSpokeFirst;
        }
        if exchange.greeting.has_begun() {
            return Kind::Malformed(crate::proto::Error::NotHttp);
        }
        let answered = exchange.first_byte.is_some();
        let in_body = exchange.delivery != Delivery::Undecided;
        retry::loss(cause, conn.served > 0, answered, in_body)
    }

    /// A kept connection was closed by its server: learn when it does that.
    pub(super) fn idle_closed(&mut self, key: ConnKey, now: Instant) {
        let conn = &self.conns[key];
        let host_key = conn.host;
        if let State::Idle { since, .. } = conn.state {
            let host = &mut self.hosts[host_key];
            host.stats.idle_closes += 1;
            host.habits.closed_idle(since, now, conn.served);
        }
        self.drop_conn(key, true, now);
        let host = &mut self.hosts[host_key];
        if !host.has_no_queue() {
            host.limit.lost(now, host.proven);
            self.note_limit(host_key, now);
        }
    }

    /// The deadline of a connection's state has passed, or something else is wrong with it.
    pub(super) fn fail_conn(
        &mut self,
        key: ConnKey,
        failing: Failing,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        match self.conns[key].state {
            State::Securing { .. } => self.securing_failed(key, failing, false, now, handler),
            State::Busy(_) => self.fail_exchange(key, failing, now, handler),
            State::Settling { .. } => self.unsettled(key, now),
            State::Opening(_) | State::Ready | State::Idle { .. } | State::Closing { .. } => {
                self.drop_conn(key, true, now);
            }
        }
    }

    /// An exchange failed: its connection goes, its job is judged.
    pub(super) fn fail_exchange(
        &mut self,
        key: ConnKey,
        failing: Failing,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let conn = &self.conns[key];
        let Some(exchange) = conn.exchange() else { return };
        if exchange.delivery.is_settled() && failing.kind != Kind::AttemptTimeout {
            // The head told all that counts; that the rest was cut changes nothing.
            self.complete_cut(key, now, handler);
            return;
        }
        let job_key = exchange.job;
        // Bytes that are no answer to it say nothing of what became of it; `take` asked whether it may
        // be sent twice.
        let facts_sent = exchange.sending.any() && failing.kind != Kind::ServerSpokeFirst;
        // A 408 on a kept connection is no answer to what crossed it.
        let answered = exchange.first_byte.is_some() && failing.kind != Kind::StaleReuse;
        let phase = exchange.phase(answered);
        let (delivery, rested) = (exchange.delivery, exchange.rested);
        let answers = self.hosts[conn.host].stats.responses;
        let overtaken = failing.kind == Kind::FirstByteTimeout && exchange.is_overtaken(answers);
        let attempt = self.attempt_of(key, now);
        let (host_key, served, opened, started) =
            (conn.host, conn.served, conn.opened, exchange.started);
        let group = conn.group;
        self.drop_conn(key, true, now);
        let host = &mut self.hosts[host_key];
        host.elsewhere -= 1;
        let complaint = match failing.kind {
            Kind::StaleReuse => {
                host.stats.stale += 1;
                host.habits.closed_idle(rested, started, served);
                host.limit.lost(now, host.proven);
                None
            }
            Kind::ResetBeforeResponse | Kind::EmptyReply => {
                host.stats.fresh_resets += 1;
                let patience = host.has_served().then_some(self.config.host_down_after);
                host.spurned.another(now, patience);
                Some(Complaint::FreshReset)
            }
            Kind::SendTimeout
            | Kind::FirstByteTimeout
            | Kind::HeadTimeout
            | Kind::Stalled
            | Kind::TooSlow
            | Kind::AttemptTimeout => {
                host.stats.timeouts += 1;
                // Nobody has accepted it, as far as can be told: it was one too many.
                overtaken.then_some(Complaint::ConnectTimeout)
            }
            _ => None,
        };
        if let Some(complaint) = complaint {
            let open = host.slots() + 1;
            host.limit.complaint(now, complaint, opened, open);
            let group = &mut self.groups[group as usize];
            let open = group.conns + 1;
            group.limit.complaint(now, complaint, opened, open);
        }
        self.note_limit(host_key, now);
        let job = &mut self.jobs[job_key];
        let facts = Facts {
            reused: served > 0,
            repeatable: job.repeatable,
            sent: facts_sent,
            answered,
            moved: job.moved,
            replayable: job.replayable(),
            last: job.failures + 1 >= job.attempts_allowed,
            slow_once: job.slow_once,
            overtaken,
            all_errors: self.config.retry_all_errors,
            late_ones: self.config.retry_attempt_timeouts,
        };
        let tag = job.tag;
        let (mut kind, mut status) = (failing.kind, None);
        let verdict = match delivery {
            // The status was known; that its body was cut changes nothing.
            Delivery::Again(known) => {
                (kind, status) = (Kind::StatusExhausted, Some(known));
                Verdict::Again
            }
            // What was delivered was complete enough to be judged before: a last attempt.
            Delivery::DeliverThen(_) | Delivery::SkipThen(_) => Verdict::Final(failing.kind),
            _ => match retry::verdict(failing.kind, facts) {
                Verdict::Free
                    if !handler.repeat(JobRef { key: job_key, tag }, failing.kind, None) =>
                {
                    Verdict::Final(failing.kind)
                }
                verdict => verdict,
            },
        };
        let job = &mut self.jobs[job_key];
        match verdict {
            Verdict::Free => {
                job.moved = true;
                job.attempts -= 1;
                self.job_timers.cancel(job_key.index());
                let job = JobRef { key: job_key, tag };
                self.notes.push(now, host_key, What::Moved { job });
                // What nobody accepted goes to one that has served; what was stale, to a newer one.
                self.enqueue(job_key, if overtaken { Queue::Again } else { Queue::Moved });
            }
            Verdict::Again => {
                job.slow_once |= kind == Kind::FirstByteTimeout;
                self.again(job_key, kind, status, failing, phase, &attempt, now, handler);
            }
            Verdict::Final(kind) => {
                self.push_try(job_key, failing.kind, None, &attempt, started, now);
                let failure = failing.into_failure(kind, phase, Some(served > 0));
                self.finish(job_key, Err(failure), &attempt, now, handler);
            }
        }
    }

    pub(super) fn push_try(
        &mut self,
        key: JobKey,
        kind: Kind,
        status: Option<u16>,
        attempt: &Attempt,
        started: Instant,
        now: Instant,
    ) {
        let job = &mut self.jobs[key];
        job.tries.push(Try {
            kind,
            status,
            conn: attempt.conn.map_or(0, |conn| conn.id),
            reused: attempt.conn.is_some_and(|conn| conn.reused),
            at_byte: job.progress.delivered,
            took: now - started,
        });
    }

    /// Whether `--retry-max-time` forbids an attempt at `at`.
    pub(super) fn out_of_time(&self, key: JobKey, at: Instant) -> bool {
        let started = self.jobs[key].started.unwrap_or(at);
        self.config.retry_max_time.is_some_and(|most| at > started.after(most))
    }

    /// Tries a job once more after a backoff, or ends it when its attempts are used up.
    #[expect(clippy::too_many_arguments, reason = "the facts of one failed attempt")]
    pub(super) fn again(
        &mut self,
        key: JobKey,
        kind: Kind,
        status: Option<u16>,
        failing: Failing,
        phase: Phase,
        attempt: &Attempt,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        self.push_try(key, kind, status, attempt, attempt.started, now);
        let job = &mut self.jobs[key];
        let host_key = job.host;
        let gained = job.progress.delivered.saturating_sub(job.progress.before);
        let continued = job.progress.offset().is_some();
        if !(continued && job.progress.before > 0 && gained >= FREE_PROGRESS) {
            job.failures += 1;
        }
        let mut due = now.later(retry::backoff(
            &self.config,
            job.failures.saturating_sub(1),
            &mut self.random,
        ));
        if let (Some(most), None) = (self.config.retry_max_time, self.config.retry_delay) {
            // A wait that is drawn by lot is not what makes it too late.
            due = due.min(job.started.unwrap_or(now).after(most)).max(now);
        }
        let job_ref = JobRef { key, tag: job.tag };
        // Whether an answer's status is worth another attempt was asked when its head came.
        let vetoed = job.failures < job.attempts_allowed
            && status.is_none()
            && !handler.repeat(job_ref, kind, None);
        let job = &self.jobs[key];
        if vetoed || job.failures >= job.attempts_allowed || self.out_of_time(key, due) {
            let reused = attempt.conn.map(|conn| conn.reused);
            let failure = failing.into_failure(kind, phase, reused);
            self.finish(key, Err(failure), attempt, now, handler);
            return;
        }
        let host = &mut self.hosts[host_key];
        host.stats.repeats += 1;
        // An empty budget delays; only `--retry-max-time` makes it fatal. Those that wait come first.
        let others = host.elsewhere - host.busy + host.queues[Queue::Held as usize].len();
        let paid = host.budget.behind(others, now).max(self.overall_budget.behind(others, now));
        let at = due.max(paid);
        if self.out_of_time(key, at) {
            let reused = attempt.conn.map(|conn| conn.reused);
            let failure = Failure { reused, ..Failure::new(Kind::BudgetExhausted, phase) };
            self.finish(key, Err(failure), attempt, now, handler);
            return;
        }
        let job = &mut self.jobs[key];
        if !continued && job.progress.head {
            job.begin_again(key, kind, &mut Ctl { intake: &mut self.intake }, handler);
        }
        self.jobs[key].state = JobState::Waiting;
        self.hosts[host_key].elsewhere += 1;
        self.notes.push(now, host_key, What::Again { job: job_ref, why: kind, status, at });
        self.job_timers.set(key.index(), due);
    }

    /// What a report says of the exchange on this connection.
    #[inline]
    pub(super) fn attempt_of(&self, key: ConnKey, now: Instant) -> Attempt {
        let conn = &self.conns[key];
        let Some(exchange) = conn.exchange() else { return Attempt::none(now) };
        Attempt {
            conn: Some(conn.info()),
            setup: if conn.served == 0 { conn.setup } else { Setup::default() },
            started: exchange.started,
            sent: match exchange.sending {
                Sending::Sent { at } => Some(at),
                _ => None,
            },
            first_byte: exchange.first_byte,
        }
    }

    /// The job is at its end: it leaves the engine, and its handler is told, exactly once.
    pub(super) fn finish(
        &mut self,
        key: JobKey,
        mut result: Result<u16, Failure>,
        attempt: &Attempt,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let Some(job) = self.jobs.remove(key) else { return };
        // Called off by a callback of this very input, which brought its end as well.
        if self.intake.calls_off(key) {
            let phase = if attempt.first_byte.is_some() { Phase::Body } else { Phase::FirstByte };
            let reused = attempt.conn.map(|conn| conn.reused);
            result = Err(Failure { reused, ..Failure::new(Kind::Cancelled, phase) });
        }
        // Whoever is told that this one is done may submit another in its place.
        self.intake.left();
        self.job_timers.cancel(key.index());
        let first = attempt.first_byte;
        let times = Times {
            queue: attempt.started - job.submitted,
            dns: attempt.setup.dns,
            connect: attempt.setup.connect,
            tls: attempt.setup.tls,
            first_byte: match (first, attempt.sent) {
                (Some(first), Some(sent)) => first - sent,
                _ => Duration::ZERO,
            },
            body: first.map_or(Duration::ZERO, |first| now - first),
            total: now - job.started.unwrap_or(now),
        };
        let result = result.as_ref().copied();
        let told = result.map_err(|failure| failure.kind);
        if let Err(kind) = told
            && !matches!(kind, Kind::Cancelled | Kind::Aborted)
        {
            let host = &mut self.hosts[job.host];
            host.stats.failed += 1;
            host.failure = Some(kind);
        }
        let (job_ref, attempts) = (JobRef { key, tag: job.tag }, job.attempts);
        self.notes.push(now, job.host, What::Done { job: job_ref, result: told, attempts });
        let report = Report {
            result,
            attempts: job.attempts,
            tries: &job.tries,
            times,
            conn: attempt.conn,
            body_bytes: job.progress.delivered,
            wire_bytes: job.wire_bytes,
            resumed_at: job.resumed_at,
        };
        handler.done(&mut Ctl { intake: &mut self.intake }, JobRef { key, tag: job.tag }, &report);
        self.intake.keep(job.head);
    }

    /// Calls one job off, wherever it is.
    pub fn cancel(&mut self, key: JobKey, now: Instant, handler: &mut dyn Handler) {
        let Some(job) = self.jobs.get(key) else { return };
        let host = job.host;
        let mut attempt = Attempt::none(now);
        let mut phase = Phase::Queue;
        match job.state {
            JobState::Queued(_) => {
                if let Some((opening, _)) = self.opening_of(&self.hosts[host]) {
                    phase = opening;
                }
                self.dequeue(key);
            }
            JobState::Waiting => self.hosts[host].elsewhere -= 1,
            JobState::Running(conn) => {
                attempt = self.attempt_of(conn, now);
                if let Some(exchange) = self.conns[conn].exchange() {
                    phase = exchange.phase(attempt.first_byte.is_some());
                }
                self.drop_conn(conn, true, now);
                self.hosts[host].elsewhere -= 1;
            }
        }
        let reused = attempt.conn.map(|conn| conn.reused);
        let failure = Failure { reused, ..Failure::new(Kind::Cancelled, phase) };
        self.finish(key, Err(failure), &attempt, now, handler);
    }

    /// Calls everything off.
    pub fn cancel_all(&mut self, now: Instant, handler: &mut dyn Handler) {
        for index in 0..self.jobs.slots() {
            if let Some(key) = self.jobs.at(index) {
                self.cancel(key, now, handler);
            }
        }
    }

    /// Stops reading a job's response, or will once it is sent; or goes on reading it, or sending its body.
    /// A pause belongs to one response: it says nothing of that of another attempt.
    pub(super) fn pause(&mut self, key: JobKey, pauses: bool, now: Instant) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.paused = pauses && job.attempts == 0;
        let JobState::Running(conn) = job.state else { return };
        let Some(exchange) = self.conns[conn].exchange_mut() else { return };
        let paused = core::mem::replace(&mut exchange.paused, pauses);
        if pauses {
            return;
        }
        if paused {
            exchange.last_byte = now;
            exchange.window = Window { since: now, bytes: 0 };
            self.actions.push_back(Action::Read(conn));
        }
        if let Sending::Starved { next } = exchange.sending {
            // That it had nothing to send was ours.
            exchange.window = Window { since: now, bytes: 0 };
            exchange.sending = Sending::Flushing { next, any: true, ended: false, progress: now };
            self.actions.push_back(Action::Transmit(conn));
        }
        self.arm(conn);
    }
}

/// Bytes that a stranger sent, made fit to be quoted.
pub(super) fn quoted(bytes: &[u8]) -> Box<str> {
    let mut out = b"it began with \"".to_vec();
    // Its first line: what follows may be nobody's business, cookies for one.
    for &byte in bytes.iter().take(40).take_while(|byte| **byte != b'\n') {
        for shown in core::ascii::escape_default(byte) {
            out.push(shown);
        }
    }
    out.push(b'"');
    text(out)
}
