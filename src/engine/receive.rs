//! What comes back on a connection, and what it means.
//!
//! The receiving half of an exchange. Owns the verdict on each head (deliver, continue, try again),
//! and what bytes or an end mean in whatever state the connection is. The framing is `proto`'s (RFC
//! 9112 sections 6 to 8), what is told of a failure `settle`'s, what becomes of the connection after
//! a whole response `reuse`'s. Bytes go through untouched.
#![expect(
    clippy::indexing_slicing,
    reason = "`key` was looked up by `get` where the event came in, and nothing before these lines drops it; an exchange's job lives until `finish`, hosts and groups as long as the engine"
)]

use alloc::boxed::Box;
use core::time::Duration;

use super::conn::{ConnKey, Delivery, Exchange, Sending, State, Window};
use super::handler::{Advice, Ctl, Handler, JobRef};
use super::host::{Host, Reach};
use super::intake::Command;
use super::job::Job;
use super::observe::What;
use super::pace::RateHint;
use super::refusal::{self, Refusal};
use super::resume::{self, Answer};
use super::retry::{self, Facts};
use super::settle::quoted;
use super::{Action, Cause, Config, Engine, Failing, Fault, Kind, Next};
use crate::base::Instant;
use crate::proto::{self, Body, Event, Head, Persistence};

/// A body that nobody wants is read to its end up to this size; beyond it a new connection is
/// cheaper.
const WORTH_READING: u64 = 64 * 1024;

/// What is told of a body whose end nobody has vouched for.
pub(crate) const NO_CLOSE_NOTIFY: &str =
    "TLS ended without close_notify, and the body has no other end";

/// What input has come to, as far as the connection and its job are concerned. What follows from that is
/// [`Engine::settle`]'s.
pub(crate) enum Outcome {
    /// All of it was taken; more is to come.
    More,
    /// The response is whole; `surplus` says that bytes follow it.
    Done { persistence: Persistence, surplus: bool },
    /// The response is not wanted any further: its connection goes, its job is settled by the
    /// delivery as if it were whole.
    Dropped,
    /// Something is wrong.
    Failed(Failing),
    /// Nobody had asked for anything on this connection; what it begins with.
    Unasked(Box<str>),
}

impl Engine {
    /// Plaintext came, in whatever pieces. The answer says whether to read on.
    pub fn received(
        &mut self,
        key: ConnKey,
        bytes: &[u8],
        now: Instant,
        handler: &mut dyn Handler,
    ) -> Next {
        let outcome = self.take(key, bytes, now, handler);
        self.settle(key, outcome, now, handler)
    }

    /// The first half of [`received`](Self::received): the parser runs over the input, and the handler gets
    /// what it finds. The second half has to follow before anything else happens on this connection;
    /// meanwhile others may have their first half.
    pub(crate) fn take(
        &mut self,
        key: ConnKey,
        bytes: &[u8],
        now: Instant,
        handler: &mut dyn Handler,
    ) -> Outcome {
        let Some(conn) = self.conns.get_mut(key) else { return Outcome::More };
        if bytes.is_empty() {
            return Outcome::More;
        }
        self.outage.heard(now);
        match &mut conn.state {
            State::Busy(exchange) if exchange.sending != Sending::Unsent => {}
            State::Busy(exchange) if conn.served == 0 => exchange.sending = Sending::Withheld,
            State::Closing { .. } => return Outcome::More,
            _ => return Outcome::Unasked(quoted(bytes)),
        }
        self.parse(key, bytes, now, handler)
    }

    /// Runs the parser over the input and hands on what it finds.
    fn parse(
        &mut self,
        key: ConnKey,
        bytes: &[u8],
        now: Instant,
        handler: &mut dyn Handler,
    ) -> Outcome {
        let Self { conns, jobs, hosts, groups, config, intake, actions, notes, pulse, .. } = self;
        let conn = &mut conns[key];
        let reused = conn.served > 0;
        let host_key = conn.host;
        let number = conn.served + 1;
        let host = &mut hosts[host_key];
        let group = &mut groups[conn.group as usize];
        let State::Busy(exchange) = &mut conn.state else { return Outcome::More };
        let job = &mut jobs[exchange.job];
        let job_ref = JobRef { key: exchange.job, tag: job.tag };
        job.wire_bytes += bytes.len() as u64;
        let at_start = exchange.first_byte.is_none();
        if at_start {
            exchange.first_byte = Some(now);
            host.unheard -= u32::from(!reused);
            if let Sending::Sent { at } = exchange.sending {
                pulse.heard(now.nanos_since(at));
                let latency = now - at;
                host.limit.first_byte(now, latency, reused, at);
                if group.origins > 1 {
                    group.limit.first_byte(now, latency, reused, at);
                }
            }
        }
        exchange.head_began.get_or_insert(now);
        exchange.last_byte = now;
        let (started, in_flight) = (exchange.started, exchange.in_flight.0);
        if exchange.greeting.has_begun() {
            return no_http(exchange.greeting.hear(bytes), bytes);
        }
        let Exchange { greeting, response, sending, delivery, window, head_began, .. } = exchange;
        let mut ctl = Ctl { intake };
        let mut rest = bytes;
        loop {
            let mut scratch = proto::Scratch::new();
            // It stays where it is: a head is a dozen words, of which few are looked at.
            let step = response.next(&config.limits, rest, &mut scratch);
            let (taken, event) = match &step {
                Ok((taken, event)) => (*taken, event),
                Err(error) => {
                    let error = *error;
                    let nothing_taken = rest.len() == bytes.len();
                    let withheld = *sending == Sending::Withheld;
                    if error == proto::Error::NotHttp
                        && at_start
                        && nothing_taken
                        && !reused
                        && !withheld
                    {
                        return no_http(greeting.hear(bytes), bytes);
                    }
                    if at_start
                        && nothing_taken
                        && !bytes.starts_with(b"H")
                        && may_cross(job, reused)
                    {
                        // No answer begins so. The one before may have been longer than it said, and
                        // its rest late: had it come before the request, that would have moved, too.
                        return wrong(Kind::ServerSpokeFirst, Some(bytes));
                    }
                    let kind =
                        if withheld { Kind::ServerSpokeFirst } else { Kind::Malformed(error) };
                    let begins = at_start && nothing_taken;
                    return wrong(kind, begins.then_some(bytes));
                }
            };
            match event {
                Event::Incomplete => return Outcome::More,
                Event::Interim(head) => {
                    *head_began = (taken < rest.len()).then_some(now);
                    handler.interim(&mut ctl, job_ref, head);
                    if let (100, Sending::Expecting { .. }) = (head.status, *sending) {
                        *sending =
                            Sending::Flushing { next: 0, any: true, ended: false, progress: now };
                        actions.push_back(Action::Transmit(key));
                    }
                }
                // Called off by what the interim answers before it led to.
                Event::Head(..) if ctl.intake.calls_off(job_ref.key) => return Outcome::Dropped,
                &Event::Head(ref head, body) => {
                    host.habits.hinted(&head.keep_alive, number);
                    if *sending == Sending::Withheld {
                        // An overload page counts as its status; anything else was no answer.
                        if head.status != 408 && head.status < 500 {
                            return wrong(Kind::ServerSpokeFirst, Some(bytes));
                        }
                    }
                    if head.status == 408 && may_cross(job, reused) {
                        return wrong(Kind::StaleReuse, None);
                    }
                    // A final answer in place of `100 Continue` leaves the request unsent: its
                    // body stays here, and the connection is not used again.
                    let here = (rest.len() - taken) as u64;
                    let before = host.reach;
                    let was_error = job.met_server_error();
                    let verdict = on_head(
                        config,
                        host,
                        job,
                        job_ref,
                        head,
                        body,
                        here,
                        (started, in_flight),
                        now,
                        &mut ctl,
                        handler,
                    );
                    if let Reach::Closed { until } = host.reach
                        && before != host.reach
                    {
                        notes.push(now, host_key, What::Asked { until });
                    }
                    match verdict {
                        Ok(chosen) => *delivery = chosen,
                        Err(outcome) => return outcome,
                    }
                    // How long the server thought says nothing about how fast it sends.
                    *window = Window { since: now, bytes: 0 };
                    if !matches!(host.reach, Reach::Closed { .. })
                        && (was_error || head.status >= 500)
                    {
                        let pause = handler
                            .retry_after(head)
                            .filter(|_| config.retry_statuses)
                            .map(|pause| pause.min(config.max_retry_after));
                        let (status, is_repeated) = (head.status, config.retry_statuses);
                        let what = Refusal { status, was_error, started, pause, is_repeated };
                        refusal::heed(host, group, what, now);
                    }
                    if head.status < 500 {
                        host.errors.served();
                    }
                    if delivery.is_settled() {
                        let short = match body {
                            Body::Length(length) => length <= WORTH_READING,
                            Body::None | Body::Chunked => true,
                            Body::UntilClose => false,
                        };
                        if !short {
                            return Outcome::Dropped;
                        }
                    }
                }
                Event::Body(content) => {
                    let length = content.len() as u64;
                    host.stats.bytes += length;
                    window.bytes += length;
                    let wanted = matches!(delivery, Delivery::Deliver | Delivery::DeliverThen(_));
                    if wanted && ctl.intake.calls_off(job_ref.key) {
                        // Nobody waits for it any more: not even the rest of this input.
                    } else if wanted {
                        if job.progress.delivered + length > job.max_body_bytes {
                            return wrong(Kind::BodyTooLarge, None);
                        }
                        job.progress.delivered += length;
                        handler.body(&mut ctl, job_ref, content);
                    } else if response.content_bytes() > WORTH_READING {
                        return Outcome::Dropped;
                    }
                }
                Event::Trailers(_) if ctl.intake.calls_off(job_ref.key) => {}
                Event::Trailers(fields) => handler.trailers(&mut ctl, job_ref, *fields),
                Event::Done(_) if job.is_off(*delivery) => return wrong(Kind::EofInBody, None),
                Event::Done(persistence) => {
                    return Outcome::Done {
                        persistence: *persistence,
                        surplus: taken < rest.len(),
                    };
                }
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// What follows from what input has come to.
    pub(crate) fn settle(
        &mut self,
        key: ConnKey,
        outcome: Outcome,
        now: Instant,
        handler: &mut dyn Handler,
    ) -> Next {
        if !self.conns.contains(key) {
            return Next::Gone;
        }
        match outcome {
            Outcome::More => {
                self.arm(key);
                let paused = self.commands_pause(key)
                    || self.conns[key].exchange().is_some_and(|exchange| exchange.paused);
                if paused { Next::Pause } else { Next::Read }
            }
            Outcome::Done { persistence, surplus } => {
                self.complete(key, persistence, surplus, now, handler);
                if self.conns.contains(key) { Next::Read } else { Next::Gone }
            }
            Outcome::Dropped => {
                self.complete_cut(key, now, handler);
                Next::Gone
            }
            Outcome::Failed(failing) => {
                self.fail_exchange(key, failing, now, handler);
                Next::Gone
            }
            Outcome::Unasked(bytes) => {
                self.unasked(key, bytes, now, handler);
                Next::Gone
            }
        }
    }

    /// A byte that nobody asked for condemns a connection.
    fn unasked(&mut self, key: ConnKey, bytes: Box<str>, now: Instant, handler: &mut dyn Handler) {
        let failing = Failing { detail: Some(bytes), ..Failing::new(Kind::ServerSpokeFirst) };
        match self.conns[key].state {
            // Data before the handshake is told complete.
            State::Securing { .. } => self.securing_failed(key, failing, true, now, handler),
            // Not told that it was established: whatever this is, no connection came of it.
            State::Opening(dial) => {
                self.racer_lost(key, dial, Fault::new(Cause::Other), now, handler);
            }
            // What is left of a former answer is no answer to this request.
            State::Busy(_)
            | State::Settling { .. }
            | State::Idle { .. }
            | State::Ready
            | State::Closing { .. } => self.fail_conn(key, failing, now, handler),
        }
    }

    /// Whether a pause of this connection's job waits to be applied: it takes effect at once for
    /// reading, so that at most one read buffer is delivered after it.
    fn commands_pause(&self, key: ConnKey) -> bool {
        let Some(exchange) = self.conns[key].exchange() else { return false };
        self.intake.has(Command::Pause(exchange.job))
    }

    /// The peer sent its end. `clean`: true over plain TCP; over TLS, whether `close_notify` came
    /// before, without which a body that the connection's end ends may have been cut.
    pub fn ended(&mut self, key: ConnKey, clean: bool, now: Instant, handler: &mut dyn Handler) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        match &mut conn.state {
            State::Busy(exchange) => match exchange.response.eof(clean) {
                Ok(Event::Done(persistence))
                    if !self.jobs[exchange.job].is_off(exchange.delivery) =>
                {
                    self.complete(key, persistence, true, now, handler);
                }
                result => {
                    let kind = match (self.loss_of(key, None), &result) {
                        // Interim answers alone are no answer.
                        (Kind::EofInHead, Err(proto::Error::NoResponse)) => Kind::EmptyReply,
                        (kind, _) => kind,
                    };
                    let mut failing = Failing::new(kind);
                    if matches!(result, Err(proto::Error::TruncatedUntilClose)) {
                        failing.detail = Some(NO_CLOSE_NOTIFY.into());
                    }
                    self.fail_exchange(key, failing, now, handler);
                }
            },
            State::Securing { .. } => {
                self.securing_failed(key, Failing::new(Kind::EofInHandshake), false, now, handler);
            }
            State::Settling { .. } => self.unsettled(key, now),
            State::Idle { .. } => self.idle_closed(key, now),
            &mut State::Opening(dial) => {
                self.racer_lost(key, dial, Fault::new(Cause::Other), now, handler);
            }
            State::Closing { .. } => self.let_go(key, now),
            State::Ready => self.drop_conn(key, false, now),
        }
    }
}

/// Whether what came may belong to something else than this request, which then moves, once.
fn may_cross(job: &Job, reused: bool) -> bool {
    retry::has_crossed(Facts {
        reused,
        repeatable: job.repeatable,
        moved: job.moved,
        replayable: job.replayable(),
        ..Facts::default()
    })
}

/// The answer does not begin as HTTP does: another protocol's greeting, or nothing known.
fn no_http(greets: Option<bool>, bytes: &[u8]) -> Outcome {
    let kind = match greets {
        None => return Outcome::More,
        Some(true) => Kind::ServerSpokeFirst,
        Some(false) => Kind::Malformed(proto::Error::NotHttp),
    };
    wrong(kind, Some(bytes))
}

/// Something is wrong; `begins` is quoted where it shows what.
#[cold]
#[inline(never)]
fn wrong(kind: Kind, begins: Option<&[u8]>) -> Outcome {
    Outcome::Failed(Failing { detail: begins.map(quoted), ..Failing::new(kind) })
}

/// Decides what becomes of a response by its head.
#[expect(clippy::too_many_arguments, reason = "the pure part of handling a head")]
fn on_head(
    config: &Config,
    host: &mut Host,
    job: &mut Job,
    job_ref: JobRef,
    head: &Head<'_>,
    body: Body,
    here: u64,
    (started, in_flight): (Instant, u32),
    now: Instant,
    ctl: &mut Ctl<'_>,
    handler: &mut dyn Handler,
) -> Result<Delivery, Outcome> {
    let status = head.status;
    let mut then = None;
    // There is no such rest: that is to be asked for as a whole, not again; nor is what is to be asked for
    // without `Expect`.
    let differs = status == 417 || (status == 416 && job.progress.offset().is_some());
    let failed = config.retry_error_statuses && status >= 400 && !differs;
    if config.retry_statuses && (retry::asks_to_come_back(status) || failed) {
        // A window that is used up asks for the same as `Retry-After`, which says it better.
        let hint = if status == 429 { handler.rate_hint(head) } else { None };
        let wait = handler.retry_after(head).or_else(|| hint.as_ref().and_then(RateHint::pause));
        if status == 429 {
            host.stats.too_many += 1;
        }
        host.stats.unavailable += u64::from(status == 503);
        let bounded = wait.map(|wait| wait.min(config.max_retry_after));
        if status == 429 {
            host.pace.too_many(now, started, bounded, hint);
        } else if let Some(pause) = bounded {
            // It is too busy, or down for a while: that is no rate. What was sent was no reason.
            host.pace.hold_until(now.after(pause));
        }
        let closes = wait.is_some_and(|wait| wait > config.max_retry_after);
        let wait = wait.unwrap_or(Duration::ZERO);
        if closes {
            host.reach = Reach::Closed { until: now.after(wait) };
            then = Some(Kind::HostClosed);
        } else if job.repeatable && job.replayable() {
            let begun = job.started.unwrap_or(now);
            // The next attempt comes so late at the earliest: this answer may be the last one.
            let wait = wait.max(config.retry_delay.unwrap_or(Duration::ZERO));
            let in_time =
                config.retry_max_time.is_none_or(|most| now.after(wait) <= begun.after(most));
            if job.failures + 1 < job.attempts_allowed
                && in_time
                && handler.repeat(job_ref, Kind::StatusExhausted, Some(status))
            {
                return Ok(Delivery::Again(status));
            }
            then = Some(Kind::StatusExhausted);
        } else {
            then = Some(Kind::StatusExhausted);
        }
    } else if status != 429 {
        host.pace.success(started, in_flight);
    }
    if job.progress.offset().is_some() {
        match resume::judge(job, head, body) {
            Answer::Continues => {
                let at = job.progress.delivered;
                host.stats.resumed += 1;
                job.resumed_at = Some(at);
                if job.progress.inherited {
                    job.progress.status = status;
                    handler.head(ctl, job_ref, head, body);
                    job.progress.inherited = false;
                    job.progress.head = true;
                }
                handler.resumed(ctl, job_ref, at);
                return Ok(Delivery::Deliver);
            }
            Answer::StartsAgain => {
                job.begin_again(job_ref.key, Kind::EofInBody, ctl, handler);
            }
            Answer::Useless => {
                // What is there can't be continued: the answer is thrown away, and the whole asked for anew.
                job.progress.validator = None;
                job.progress.head = true;
                let why = Kind::StatusExhausted;
                return if handler.repeat(job_ref, why, Some(status)) {
                    Ok(Delivery::Again(status))
                } else {
                    Err(wrong(why, None))
                };
            }
        }
    }
    if matches!(body, Body::Length(length) if length > job.max_body_bytes) {
        handler.head(ctl, job_ref, head, body);
        return Err(wrong(Kind::BodyTooLarge, None));
    }
    job.progress.head = true;
    // A verified continuation keeps the status of the head that was delivered.
    job.progress.status = status;
    let advice = handler.head(ctl, job_ref, head, body);
    resume::remember(job, head, body, advice, here);
    match (advice, then) {
        (Advice::Abort, _) => Err(wrong(Kind::Aborted, None)),
        (Advice::SkipBody, Some(kind)) => Ok(Delivery::SkipThen(kind)),
        (Advice::Deliver(_), Some(kind)) => Ok(Delivery::DeliverThen(kind)),
        (Advice::Deliver(_), None) => Ok(Delivery::Deliver),
        (Advice::SkipBody, None) => Ok(Delivery::Skip),
    }
}
