//! What comes in from outside: requests, and commands to those that are under way.
//!
//! Owns the encoding of requests, the room for more of them, and the queue of what handlers asked
//! for through their [`Ctl`](super::Ctl): applied by the next [`Engine::poll`], in order, so that
//! no callback re-enters the engine. Knows nothing of what becomes of a request.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::conn::{Wait, Waits};
use super::host::HostKey;
use super::job::{ByteRange, Job, JobKey, JobState, Payload, Progress, Queue, Request, ResumeFrom};
use super::{Config, Engine, SubmitError, resume};
use crate::base::{Instant, Links, is_same};
use crate::proto::{self, Exchange, RequestBody, RequestHead};

/// Buffers of heads that are kept for further requests.
const SPARE: usize = 1_024;

/// What a handler asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    Pause(JobKey),
    Resume(JobKey),
    Cancel(JobKey),
    CancelAll,
    /// The request in front of [`Intake::taken`].
    Submit,
}

/// Requests on their way in, and commands.
#[derive(Debug)]
pub(super) struct Intake {
    commands: Vec<Command>,
    /// Whether something is called off by them.
    calls_off: bool,
    /// Requests that a handler submitted: each has its [`Command::Submit`].
    taken: VecDeque<Accepted>,
    /// Requests that may still be taken.
    pub(super) room: usize,
    /// Jobs that have left the engine.
    gone: u64,
    /// Nothing is taken any more.
    closed: bool,
    /// What `Host` says, by the host's index.
    pub(super) authorities: Vec<Box<str>>,
    /// Buffers of jobs that are gone.
    pub(super) spare: Vec<Vec<u8>>,
    defaults: Defaults,
}

/// A request that was taken and not begun: what a job is made of, in less room.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) host: HostKey,
    pub(super) tag: u64,
    pub(super) head: Vec<u8>,
    pub(super) payload: Payload,
    pub(super) resume_from: Option<Box<ResumeFrom>>,
    pub(super) expect_continue: Option<Duration>,
    /// Where a range that may be composed stands in the head.
    pub(super) range: Option<(ByteRange, u32, u32)>,
    pub(super) terms: Terms,
}

/// What method, options and configuration come to: the same for all requests of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    waits: Waits,
    max_body_bytes: u64,
    attempts: u32,
    exchange: Exchange,
    is_get: bool,
    repeatable: bool,
    urgent: bool,
    may_move: bool,
}

impl Accepted {
    fn into_job(self, now: Instant) -> Job {
        let terms = self.terms;
        let range = self.range.map(|(range, ..)| range);
        let mut progress = Progress::default();
        if let Some(from) = self.resume_from {
            progress.delivered = from.offset;
            progress.validator = Some(from.validator);
            progress.part = range;
            progress.inherited = true;
        }
        Job {
            host: self.host,
            tag: self.tag,
            head: self.head,
            payload: self.payload,
            exchange: terms.exchange,
            is_get: terms.is_get,
            repeatable: terms.repeatable,
            attempts_allowed: terms.attempts,
            waits: terms.waits,
            max_body_bytes: terms.max_body_bytes,
            expect_continue: self.expect_continue,
            urgent: terms.urgent,
            range,
            range_line: self.range.map(|(_, from, to)| from as usize..to as usize),
            state: JobState::Waiting,
            links: Links::default(),
            paused: false,
            submitted: now,
            started: None,
            attempts: 0,
            failures: 0,
            // Who may not move has moved already.
            moved: !terms.may_move,
            slow_once: false,
            tries: Vec::new(),
            progress,
            wire_bytes: 0,
            resumed_at: None,
        }
    }
}

/// What the configuration says of each request.
#[derive(Clone, Copy, Debug)]
struct Defaults {
    attempts: u32,
    waits: Waits,
    max_body_bytes: u64,
    retry_unsafe: bool,
    free_moves: bool,
}

impl Intake {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            commands: Vec::new(),
            calls_off: false,
            taken: VecDeque::new(),
            room: config.max_jobs as usize,
            gone: 0,
            closed: false,
            authorities: Vec::new(),
            spare: Vec::new(),
            defaults: Defaults {
                attempts: config.attempts,
                waits: Waits {
                    attempt: Wait::new(config.attempt_timeout),
                    first_byte: Wait::new(config.first_byte_timeout),
                    stall: Wait::new(config.stall_timeout),
                },
                max_body_bytes: config.max_body_bytes,
                retry_unsafe: config.retry_unsafe,
                free_moves: config.free_moves,
            },
        }
    }

    /// A host got its key.
    pub(super) fn name_host(&mut self, host: HostKey, authority: Box<str>) {
        // Hosts are never removed: their indices are dense.
        debug_assert_eq!(host.index(), self.authorities.len());
        self.authorities.push(authority);
    }

    pub(super) const fn room(&self) -> usize {
        if self.closed { 0 } else { self.room }
    }

    pub(super) fn waiting(&self) -> usize {
        self.taken.len()
    }

    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn command(&mut self, command: Command) {
        self.calls_off |= matches!(command, Command::Cancel(_) | Command::CancelAll);
        self.commands.push(command);
    }

    pub(super) fn has(&self, command: Command) -> bool {
        self.commands.contains(&command)
    }

    /// Whether a job that is under way is going to be called off.
    #[inline]
    pub(super) fn calls_off(&self, job: JobKey) -> bool {
        self.calls_off && (self.has(Command::Cancel(job)) || self.has(Command::CancelAll))
    }

    /// A request from within a handler: encoded now, begun by the next poll.
    pub(super) fn submit(&mut self, request: &Request<'_>) -> Result<(), SubmitError> {
        let accepted = self.accept(request)?;
        self.taken.push_back(accepted);
        self.commands.push(Command::Submit);
        Ok(())
    }

    pub(super) const fn check_room(&self) -> Result<(), SubmitError> {
        if self.closed {
            Err(SubmitError::Draining)
        } else if self.room == 0 {
            Err(SubmitError::Full)
        } else {
            Ok(())
        }
    }

    /// Takes a request, if there is room and it can be sent.
    fn accept(&mut self, request: &Request<'_>) -> Result<Accepted, SubmitError> {
        self.check_room()?;
        let accepted = self.encode(request)?;
        self.room -= 1;
        Ok(accepted)
    }

    /// A job has left the engine: there is room for another one, and a buffer.
    pub(super) fn left(&mut self) {
        self.room += 1;
        self.gone += 1;
    }

    /// How many jobs have left the engine.
    pub(super) const fn gone(&self) -> u64 {
        self.gone
    }

    /// Keeps the buffer of a head for a further request.
    #[inline]
    pub(super) fn keep(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// The engine's own form of a request.
    pub(super) fn encode(&mut self, request: &Request<'_>) -> Result<Accepted, SubmitError> {
        let options = &request.options;
        let range_field = request.fields.iter().find(|(name, _)| is_same(name, "range"));
        // A range that can be composed with an offset gives way to the composed one.
        let range = range_field.and_then(|(_, value)| resume::single_range(value));
        let defaults = self.defaults;
        let own = |own: Option<Duration>, all| own.map_or(all, |time| Wait::new(Some(time)));
        let once = options.at_most_once;
        let attempts = if once { 1 } else { options.attempts.unwrap_or(defaults.attempts).max(1) };
        let body = request.body.framing();
        let has_body = !matches!(body, RequestBody::None | RequestBody::Length(0));
        let mut accepted = Accepted {
            host: request.host,
            tag: request.tag,
            head: self.spare.pop().unwrap_or_default(),
            payload: request.body.clone(),
            resume_from: options.resume_from.clone(),
            // Without a body there is nothing to wait for (RFC 9110 section 10.1.1 forbids to say so).
            expect_continue: options.expect_continue.filter(|_| has_body),
            range: None,
            terms: Terms {
                waits: Waits {
                    attempt: own(options.attempt_timeout, defaults.waits.attempt),
                    first_byte: own(options.first_byte_timeout, defaults.waits.first_byte),
                    stall: own(options.stall_timeout, defaults.waits.stall),
                },
                max_body_bytes: options.max_body_bytes.unwrap_or(defaults.max_body_bytes),
                attempts,
                exchange: Exchange::of(request.method),
                is_get: request.method == "GET" && (range_field.is_none() || range.is_some()),
                repeatable: proto::is_idempotent(request.method)
                    || options.retry_unsafe
                    || defaults.retry_unsafe,
                urgent: options.urgent,
                may_move: defaults.free_moves && !once,
            },
        };
        let out = &mut accepted.head;
        let head = RequestHead {
            method: request.method,
            target: request.target,
            host: self.authorities.get(request.host.index()).map_or("", |authority| authority),
            fields: request.fields,
        };
        let encoded = proto::encode_head(out, &head, body).and_then(|()| {
            options.unsaid.apply(out, body);
            if accepted.expect_continue.is_some() && proto::field_line(out, "expect").is_none() {
                proto::encode_field(out, "Expect", b"100-continue")
            } else {
                Ok(())
            }
        });
        match encoded {
            Ok(()) => {
                accepted.range = range.and_then(|range| {
                    let line = proto::field_line(&accepted.head, "range")?;
                    let end = u32::try_from(line.end).ok()?;
                    Some((range, u32::try_from(line.start).ok()?, end))
                });
                Ok(accepted)
            }
            Err(error) => {
                self.keep(accepted.head);
                Err(error.into())
            }
        }
    }
}

impl Engine {
    /// Takes a request. Its host's queue holds it until a connection is ready.
    ///
    /// # Panics
    /// Where the host is another engine's.
    pub fn submit(&mut self, request: &Request<'_>, now: Instant) -> Result<JobKey, SubmitError> {
        let accepted = self.intake.accept(request)?;
        Ok(self.admit(accepted, now))
    }

    /// Takes a request that was called off before it came here, and ends it at once: whoever
    /// submitted it is told as usual. `None`: there is no room for it now, or it can't be sent.
    #[cfg(feature = "remote")]
    pub(crate) fn submit_called_off(
        &mut self,
        request: &Request<'_>,
        now: Instant,
        handler: &mut dyn super::Handler,
    ) -> Option<()> {
        if self.intake.room == 0 {
            return None;
        }
        let accepted = self.intake.encode(request).ok()?;
        self.intake.room -= 1;
        let key = self.admit(accepted, now);
        self.cancel(key, now, handler);
        Some(())
    }

    /// Whether there is a place for a request, though it may be one that is called off at once.
    #[cfg(feature = "remote")]
    pub(crate) const fn has_room(&self) -> bool {
        self.intake.room > 0
    }

    /// Calls off all requests with this tag. Looks at each request that is held.
    pub fn cancel_tag(&mut self, tag: u64, now: Instant, handler: &mut dyn super::Handler) {
        for key in self.tagged(tag) {
            self.cancel(key, now, handler);
        }
    }

    /// Goes on with all requests with this tag, at the next [`poll`](Self::poll). Looks at each
    /// request that is held.
    #[cfg(feature = "remote")]
    pub(crate) fn resume_tag(&mut self, tag: u64) {
        for key in self.tagged(tag) {
            self.intake.command(Command::Resume(key));
        }
    }

    fn tagged(&self, tag: u64) -> Vec<JobKey> {
        self.jobs.iter().filter(|(_, job)| job.tag == tag).map(|(key, _)| key).collect()
    }

    pub(super) fn admit(&mut self, accepted: Accepted, now: Instant) -> JobKey {
        let job = accepted.into_job(now);
        let queue = if job.urgent { Queue::Urgent } else { Queue::Ordinary };
        let key = self.jobs.insert(job);
        self.enqueue(key, queue);
        key
    }

    /// Applies what handlers asked for and gives work to connections. Call it after each input.
    pub fn poll(&mut self, now: Instant, handler: &mut dyn super::Handler) {
        while !self.intake.commands.is_empty() {
            let mut commands = core::mem::take(&mut self.intake.commands);
            self.intake.calls_off = false;
            for command in commands.drain(..) {
                match command {
                    Command::Pause(job) => self.pause(job, true, now),
                    Command::Resume(job) => self.pause(job, false, now),
                    Command::Cancel(job) => self.cancel(job, now, handler),
                    Command::CancelAll => self.cancel_all(now, handler),
                    Command::Submit => {
                        if let Some(accepted) = self.intake.taken.pop_front() {
                            self.admit(accepted, now);
                        }
                    }
                }
            }
            if self.intake.commands.is_empty() {
                // Keep the buffer: the steady state allocates nothing.
                self.intake.commands = commands;
            }
        }
        self.schedule(now, handler);
    }
}
