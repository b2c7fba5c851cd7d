//! One request on its way: what was asked, what was tried, where it waits.
//!
//! A job keeps its encoded head (without the final empty line) for all its attempts. Jobs wait in
//! intrusive lists, so that a queue costs nothing a host and moving a job allocates nothing.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::conn::{Conn, Delivery, Waits};
use super::host::Host;
use super::refusal::ServerErrors;
use super::{Ctl, Handler, JobRef, Kind, Retry, Try};
use crate::base::{Instant, Key, Linked, Links};
use crate::proto::{self, Exchange, RequestBody};

/// Names a request that was submitted.
pub type JobKey = Key<Job>;

/// A request, ready-made: the origin interned, the target in its wire form.
///
/// ```
/// use gannet::engine::{Config, Engine, Origin, Request, Scheme};
/// use gannet::base::Instant;
///
/// let mut engine = Engine::new(Config::default());
/// let host = engine.host(&Origin { scheme: Scheme::Http, host: "example.org", port: 80 });
/// let job = engine.submit(&Request::get(host, "/index.html").tag(7), Instant::ZERO)?;
/// # Ok::<(), gannet::engine::SubmitError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// The interned origin, from [`Engine::host`](super::Engine::host).
    pub host: Key<Host>,
    /// A token, usually in capitals. CONNECT is sent like any other; nobody gets at the tunnel: after a 2xx
    /// the request is done, without a body, and the connection is closed.
    pub method: &'a str,
    /// Origin-form (`/path?query`) or, for OPTIONS, `*`. Only its characters are checked: it is sent as it is.
    pub target: &'a str,
    /// Field lines. `Host` is added unless it is here; framing fields are the engine's.
    pub fields: &'a [(&'a str, &'a [u8])],
    /// The request's body.
    pub body: Payload,
    /// The submitter's own number.
    pub tag: u64,
    /// What differs from the engine's configuration.
    pub options: Options,
}

/// A request's body.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Payload {
    /// None.
    #[default]
    None,
    /// In memory; can be sent again.
    Bytes(Arc<[u8]>),
    /// Asked for piece by piece through [`Handler::upload`](super::Handler::upload).
    Stream {
        /// Its length, if known; else it is sent in chunks.
        length: Option<u64>,
        /// Whether the handler can produce it again from the start.
        replayable: bool,
    },
}

/// What one request wants otherwise than the engine's configuration says. Connections are shared:
/// how long opening one may take is the configuration's to say, for all. A request whose own time is
/// over before ends; what is being opened goes on, for the others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// One attempt in all; see [`Config::attempt_timeout`](super::Config::attempt_timeout). Zero: it fails as
    /// soon as it begins.
    pub attempt_timeout: Option<Duration>,
    /// From the request written to the first byte of the answer; [`Duration::MAX`]: as long as it
    /// takes, for an answer that is held back until there is something to tell.
    pub first_byte_timeout: Option<Duration>,
    /// Without one byte of the body; [`Duration::MAX`]: as long as it takes, for a stream of events.
    pub stall_timeout: Option<Duration>,
    /// Attempts, the first one included; zero is taken for 1.
    pub attempts: Option<u32>,
    /// The user's word that this request may be sent twice.
    pub retry_unsafe: bool,
    /// Never sent twice, whatever happens: [`Retry::none`](super::Retry::none) for this request. One that goes
    /// out on a kept connection just as the server closes that ends as
    /// [`StaleReuse`](super::Kind::StaleReuse). Beside servers that close after each answer and do not say
    /// so, send such requests by an engine with [`Config::reuse`](super::Config::reuse) off: a fresh
    /// connection has no such moment.
    pub at_most_once: bool,
    /// Goes before the host's ordinary requests.
    pub urgent: bool,
    /// Content bytes of the body, before decoding.
    pub max_body_bytes: Option<u64>,
    /// Begin in the middle: what an earlier run left.
    pub resume_from: Option<Box<ResumeFrom>>,
    /// Wait for `100 Continue` this long before the body is sent.
    pub expect_continue: Option<Duration>,
    /// What the user wants left out of the head.
    pub unsaid: Unsaid,
}

impl Options {
    pub(crate) fn set_retry(&mut self, retry: Retry) {
        self.attempts = Some(retry.attempts);
        self.at_most_once = !retry.free_moves;
    }
}

/// Lines that RFC 9112 wants in a head and a user may insist on leaving out, as with curl's
/// `-H Host:`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unsaid {
    /// `Host`.
    pub host: bool,
    /// The `Content-Length: 0` of a POST, PUT or PATCH without content.
    pub no_length: bool,
}

impl Unsaid {
    /// Takes them out of an encoded head.
    pub fn apply(self, head: &mut Vec<u8>, body: RequestBody) {
        if self.host {
            proto::leave_out(head, "host");
        }
        if self.no_length && body == RequestBody::None {
            proto::leave_out(head, "content-length");
        }
    }
}

/// Where an earlier run stopped, and by what the rest can be verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResumeFrom {
    /// Content bytes that are there.
    pub offset: u64,
    /// The strong `ETag` or the `Last-Modified` value that they came with.
    pub validator: Validator,
}

/// By what two answers are known to be of the same representation (RFC 9110 section 8.8).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Validator {
    /// A strong entity tag as it was sent, quotes included: `"5f3a-1c"` is `b"\"5f3a-1c\""` in Rust. One
    /// that begins with `W/` is weak, and proves nothing.
    ETag(Box<[u8]>),
    /// A `Last-Modified` value, as it was sent.
    LastModified(Box<[u8]>),
    /// Somebody's word: where the rest begins and how long the whole is must fit, and the server
    /// must not say itself that it is another version.
    OnTrust(Box<Marks>),
}

/// What a head says of its version, too weak to verify anything, strong enough to contradict.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// Its `ETag`, weak ones too.
    pub etag: Option<Box<[u8]>>,
    /// Its `Last-Modified`.
    pub last_modified: Option<Box<[u8]>>,
}

impl<'a> Request<'a> {
    /// A GET without anything special.
    pub fn get(host: Key<Host>, target: &'a str) -> Self {
        Self {
            host,
            method: "GET",
            target,
            fields: &[],
            body: Payload::None,
            tag: 0,
            options: Options::default(),
        }
    }

    /// With the submitter's own number.
    #[must_use]
    pub fn tag(mut self, tag: u64) -> Self {
        self.tag = tag;
        self
    }

    /// Before the ordinary requests of its host.
    #[must_use]
    pub fn urgent(mut self) -> Self {
        self.options.urgent = true;
        self
    }

    /// Tried as often as `retry` says, whatever the engine's configuration says.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options.set_retry(retry);
        self
    }

    /// With field lines.
    #[must_use]
    pub fn fields(mut self, fields: &'a [(&'a str, &'a [u8])]) -> Self {
        self.fields = fields;
        self
    }
}

/// A submitted request, in the engine's own form.
#[derive(Debug)]
pub struct Job {
    pub(super) host: Key<Host>,
    pub(super) tag: u64,
    /// The encoded head without its final empty line.
    pub(super) head: Vec<u8>,
    pub(super) payload: Payload,
    pub(super) exchange: Exchange,
    /// A GET: the only method whose body may be continued.
    pub(super) is_get: bool,
    /// May be sent again after bytes were sent: by its method, or by the user's word.
    pub(super) repeatable: bool,
    pub(super) attempts_allowed: u32,
    pub(super) waits: Waits,
    pub(super) max_body_bytes: u64,
    pub(super) expect_continue: Option<Duration>,
    /// Goes before the host's ordinary ones.
    pub(super) urgent: bool,
    /// The user's own `Range`, composed with the offset when the body is continued.
    pub(super) range: Option<ByteRange>,
    /// Where that stands in the head.
    pub(super) range_line: Option<core::ops::Range<usize>>,
    pub(super) state: JobState,
    pub(super) links: Links,
    /// The response to its first attempt is not to be read.
    pub(super) paused: bool,
    pub(super) submitted: Instant,
    /// When the first attempt began.
    pub(super) started: Option<Instant>,
    /// Attempts begun, free moves left out.
    pub(super) attempts: u32,
    /// Failed attempts that count.
    pub(super) failures: u32,
    /// It was moved from a stale connection free of charge; only once.
    pub(super) moved: bool,
    /// Its last attempt timed out before the first byte; repeated at most once for that.
    pub(super) slow_once: bool,
    pub(super) tries: Vec<Try>,
    /// What the handler has of the body.
    pub(super) progress: Progress,
    pub(super) wire_bytes: u64,
    pub(super) resumed_at: Option<u64>,
}

/// Where a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum JobState {
    /// In a queue of its host.
    Queued(Queue),
    /// Waiting for its own timer.
    Waiting,
    /// On a connection.
    Running(Key<Conn>),
}

/// The queues of a host, in the order in which a connection looks at them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Queue {
    /// Moved off a stale connection: only for a connection opened after the loss.
    Moved = 0,
    /// Another attempt: for a connection that has served before, where there is one.
    Again = 1,
    /// Before the others.
    Urgent = 2,
    /// The others.
    Ordinary = 3,
    /// Another attempt that the budget for those does not pay for yet: for no connection. The first
    /// has a timer: then the token that was lent to it is earned.
    Held = 4,
}

/// How many queues a host has.
pub(super) const QUEUES: usize = 5;

/// Those from which a fresh connection takes its first job, in its order.
pub(super) const QUEUES_OF_FRESH: [Queue; 4] =
    [Queue::Moved, Queue::Urgent, Queue::Ordinary, Queue::Again];

/// One range of bytes, as in `Range: bytes=first-last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ByteRange {
    pub(super) first: u64,
    pub(super) last: Option<u64>,
}

/// What the handler has of a body, and by what the rest can be verified.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// A final head was delivered.
    pub(super) head: bool,
    /// The status of the head that came last.
    pub(super) status: u16,
    /// Content bytes delivered.
    pub(super) delivered: u64,
    /// Content bytes delivered before the attempt that is running.
    pub(super) before: u64,
    /// Where it ends, counted from the representation's first byte, once known.
    pub(super) total: Option<u64>,
    /// The part of the representation that it is; `None`: the whole, whatever was asked for.
    pub(super) part: Option<ByteRange>,
    /// By what the rest can be verified; `None`: start again.
    pub(super) validator: Option<Validator>,
    /// `Content-Encoding` of what was delivered.
    pub(super) coding: Option<Box<[u8]>>,
    /// What is there was left by an earlier run: its head has not been seen in this one.
    pub(super) inherited: bool,
}

impl Progress {
    /// The offset from which a continuation would ask, if there is anything to continue.
    #[inline]
    pub(super) fn offset(&self) -> Option<u64> {
        let next = self.first().saturating_add(self.delivered);
        let is_whole = self.total.is_some_and(|total| next >= total);
        (self.delivered > 0 && self.validator.is_some() && !is_whole).then_some(self.delivered)
    }

    /// The position of the first byte that was delivered.
    pub(super) fn first(&self) -> u64 {
        self.part.map_or(0, |part| part.first)
    }
}

impl Linked for Job {
    fn links(&mut self, _: usize) -> &mut Links {
        &mut self.links
    }
    fn links_ref(&self, _: usize) -> &Links {
        &self.links
    }
}

impl Job {
    /// Whether an answer that ends here, and was the rest of a body, was less or more than that.
    pub(super) fn is_off(&self, delivery: Delivery) -> bool {
        let end = self.progress.first().saturating_add(self.progress.delivered);
        let is_rest = matches!(delivery, Delivery::Deliver) && self.resumed_at.is_some();
        is_rest && self.progress.total != Some(end)
    }

    /// Whether nothing stands against sending the whole request once more.
    pub(super) fn replayable(&self) -> bool {
        !matches!(self.payload, Payload::Stream { replayable: false, .. })
    }

    /// Whether the last attempt was answered with an error of the server's.
    pub(super) fn met_server_error(&self) -> bool {
        self.tries.last().and_then(|last| last.status).is_some_and(ServerErrors::are)
    }

    /// What was delivered is void: the handler is told so, and the whole is asked for again.
    pub(super) fn begin_again(
        &mut self,
        key: JobKey,
        why: Kind,
        ctl: &mut Ctl<'_>,
        handler: &mut dyn Handler,
    ) {
        self.progress = Progress::default();
        // A report of what was thrown away would be none of the body that counts.
        self.resumed_at = None;
        handler.restart(ctl, JobRef { key, tag: self.tag }, why);
    }
}

impl Payload {
    /// The framing of the request's body.
    pub(crate) fn framing(&self) -> RequestBody {
        match self {
            Self::None => RequestBody::None,
            Self::Bytes(bytes) => RequestBody::Length(bytes.len() as u64),
            Self::Stream { length: Some(length), .. } => RequestBody::Length(*length),
            Self::Stream { length: None, .. } => RequestBody::Chunked,
        }
    }
}
