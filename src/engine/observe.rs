//! Looking on: what happens to connections, requests, repeats, limits and the pool.
//!
//! Owns the events and the bounded queue that they wait in until somebody takes them. Decides
//! nothing, and costs one comparison an event where nobody looks on. An [`Observer`] is called
//! with static dispatch, after a turn; the bytes themselves go by in `net::tap`.
#![expect(
    clippy::indexing_slicing,
    reason = "a host's key is never dead: hosts live as long as the engine"
)]

use alloc::collections::VecDeque;
use core::fmt;
use core::net::SocketAddr;

use super::{Engine, HostKey, JobRef, Kind, Origin, TlsInfo};
use crate::base::{Instant, Number};

/// Something that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Instant,
    /// The host that it concerns.
    pub host: HostKey,
    /// What.
    pub what: What,
}

/// What happened. Connections go by their number, as in [`ConnInfo::id`](super::ConnInfo::id).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum What {
    /// Connection: it is being opened.
    Opening {
        /// The connection.
        conn: u64,
        /// Where to.
        address: SocketAddr,
    },
    /// Connection: TCP is established.
    Connected {
        /// The connection.
        conn: u64,
    },
    /// Connection: the handshake is complete.
    Secured {
        /// The connection.
        conn: u64,
        /// What was agreed on.
        tls: TlsInfo,
    },
    /// Connection: it is gone.
    Closed {
        /// The connection.
        conn: u64,
        /// Responses that it brought.
        served: u32,
    },
    /// Request: it goes out.
    Sent {
        /// The request.
        job: JobRef,
        /// On this connection.
        conn: u64,
        /// Which attempt it is, counted from 1.
        attempt: u32,
        /// Whether the connection had served before.
        reused: bool,
    },
    /// Request: it is at its end.
    Done {
        /// The request.
        job: JobRef,
        /// The final status, or why there is none that counts.
        result: Result<u16, Kind>,
        /// Attempts made.
        attempts: u32,
    },
    /// Repeat: it was lost with a kept connection and goes out on another, free of charge.
    Moved {
        /// The request.
        job: JobRef,
    },
    /// Repeat: the attempt failed, and another one follows.
    Again {
        /// The request.
        job: JobRef,
        /// Why.
        why: Kind,
        /// The status, when it was one that is worth another attempt.
        status: Option<u16>,
        /// When.
        at: Instant,
    },
    /// Limit: the host may have so many connections from now on.
    Limit {
        /// Before.
        from: u32,
        /// Now.
        to: u32,
    },
    /// Limit: no address of the host accepts a connection; its queue was given up.
    Down,
    /// Limit: the host asked to be left alone until then.
    Asked {
        /// Until when.
        until: Instant,
    },
    /// Pool: the connection waits for work.
    Idle {
        /// The connection.
        conn: u64,
    },
    /// Pool: an idle connection is closed, for its age, for its host's limit or for another host.
    Retired {
        /// The connection.
        conn: u64,
    },
    /// Nobody took events for too long: so many older ones were forgotten.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Looks on. Called for each event that waits, in order, by [`Engine::observe`].
///
/// ```
/// use gannet::engine::Origin;
/// use gannet::engine::observe::{Event, Observer, What};
///
/// #[derive(Default)]
/// struct Repeats(u64);
/// impl Observer for Repeats {
///     fn event(&mut self, _: &Origin<'_>, event: &Event) {
///         self.0 += u64::from(matches!(event.what, What::Again { .. }));
///     }
/// }
/// ```
pub trait Observer {
    /// Something happened, at this host.
    fn event(&mut self, origin: &Origin<'_>, event: &Event);
}

impl<F: FnMut(&Origin<'_>, &Event)> Observer for F {
    fn event(&mut self, origin: &Origin<'_>, event: &Event) {
        self(origin, event);
    }
}

/// Events that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Notes {
    queue: VecDeque<Event>,
    most: usize,
    missed: u64,
    /// Those that came since their tags were looked at.
    fresh: usize,
}

impl Notes {
    #[inline]
    pub(super) fn push(&mut self, at: Instant, host: HostKey, what: What) {
        if self.most == 0 {
            return;
        }
        if self.queue.len() >= self.most {
            self.queue.pop_front();
            self.missed += 1;
        }
        self.queue.push_back(Event { at, host, what });
        self.fresh = (self.fresh + 1).min(self.queue.len());
    }

    const fn wanted(&self) -> bool {
        self.most > 0
    }
}

impl Engine {
    /// Keeps events from now on, at most so many of them (the oldest are forgotten first) until
    /// [`observe`](Self::observe) takes them; zero: none any more.
    pub fn watch(&mut self, most: usize) {
        self.notes = Notes { most, ..Notes::default() };
    }

    /// Hands all events that wait to `observer`.
    pub fn observe<O: Observer + ?Sized>(&mut self, observer: &mut O) {
        let missed = core::mem::take(&mut self.notes.missed);
        if let (Some(first), true) = (self.notes.queue.front(), missed > 0) {
            let event = Event { what: What::Missed { count: missed }, ..*first };
            observer.event(&self.hosts[event.host].origin(), &event);
        }
        self.notes.fresh = 0;
        while let Some(event) = self.notes.queue.pop_front() {
            observer.event(&self.hosts[event.host].origin(), &event);
        }
    }

    /// Puts the submitter's tags in place of those that a layer above has given.
    #[cfg(feature = "fetch")]
    pub(crate) fn retag(&mut self, tag: impl Fn(u64) -> u64) {
        let fresh = core::mem::take(&mut self.notes.fresh);
        for event in self.notes.queue.iter_mut().rev().take(fresh) {
            match &mut event.what {
                What::Sent { job, .. }
                | What::Done { job, .. }
                | What::Moved { job }
                | What::Again { job, .. } => job.tag = tag(job.tag),
                _ => {}
            }
        }
    }

    /// Notes that a host's limit has changed, if it has.
    pub(super) fn note_limit(&mut self, key: HostKey, now: Instant) {
        if !self.notes.wanted() {
            return;
        }
        let host = &mut self.hosts[key];
        let to = host.limit.allowed();
        let from = core::mem::replace(&mut host.told_limit, to);
        if from != to {
            self.notes.push(now, key, What::Limit { from, to });
        }
    }
}

/// In a few words, for a line of a log.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening { conn, address } => write!(f, "connection {conn}: opening to {address}"),
            Self::Connected { conn } => write!(f, "connection {conn}: established"),
            Self::Secured { conn, tls } => {
                let resumed = if tls.resumed { ", resumed" } else { "" };
                write!(f, "connection {conn}: {} with {}{resumed}", tls.version, tls.cipher)
            }
            Self::Closed { conn, served } => {
                let served = Number((*served).into(), "response", "responses");
                write!(f, "connection {conn}: closed after {served}")
            }
            Self::Sent { job, conn, attempt, reused } => {
                let state = if *reused { "kept" } else { "fresh" };
                write!(f, "request {}: attempt {attempt} on {state} connection {conn}", job.tag)
            }
            Self::Done { job, result: Ok(status), attempts } => {
                write!(f, "request {}: status {status}, attempts {attempts}", job.tag)
            }
            Self::Done { job, result: Err(kind), attempts } => {
                write!(f, "request {}: {}, attempts {attempts}", job.tag, kind.name())
            }
            Self::Moved { job } => write!(f, "request {}: moves off a closed connection", job.tag),
            Self::Again { job, why, status: None, .. } => {
                write!(f, "request {}: again after {}", job.tag, why.name())
            }
            Self::Again { job, status: Some(status), .. } => {
                write!(f, "request {}: again after status {status}", job.tag)
            }
            Self::Limit { from, to } => write!(f, "limit {from} becomes {to}"),
            Self::Down => f.write_str("down: no address accepts a connection"),
            Self::Asked { .. } => f.write_str("asked to be left alone for a while"),
            Self::Idle { conn } => write!(f, "connection {conn}: waits for work"),
            Self::Retired { conn } => write!(f, "connection {conn}: not wanted any more"),
            Self::Missed { count } => {
                Number(*count, "event was missed", "events were missed").fmt(f)
            }
        }
    }
}
