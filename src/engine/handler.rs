//! The upward seam: how an embedder sees what happens to its requests.
//!
//! Data goes up through [`Handler`], borrowed from the read buffer; commands come down through
//! [`Ctl`], which only queues them: they are applied after the input that is being handled, so
//! that no callback re-enters the engine.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::draft::Draft;
use super::intake::{Command, Intake};
use super::pace::RateHint;
use super::{Failure, HostKey, JobKey, Kind, Request, SubmitError};
use crate::proto::{self, Body, Fields, Head};

/// A request that was submitted: the engine's key and the submitter's own number for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobRef {
    /// The engine's name for it, dead after [`Handler::done`].
    pub key: JobKey,
    /// The number that was given with the request.
    pub tag: u64,
}

/// What to do with a response whose head is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Advice {
    /// Deliver the body. If it is cut, it may be continued as [`Resume`] says.
    Deliver(Resume),
    /// Read the body (when that is cheaper than a new connection) but do not deliver it.
    SkipBody,
    /// Drop the response and the connection: the request ends with [`Kind::Aborted`].
    Abort,
}

/// By what a body that was cut may be continued.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Resume {
    /// By the strong `ETag` of this head, if it has one (the engine looks); else not at all.
    #[default]
    ByETag,
    /// By the strong `ETag` if there is one, else by `Last-Modified`, which the handler found to
    /// be at least a minute older than `Date`.
    ByETagOrDate,
    /// As [`ByETag`](Self::ByETag); without such a tag by the position alone, on somebody's word that
    /// the representation does not change in between. Only of a part, or of a whole whose server
    /// says that it gives ranges of bytes.
    OnTrust,
    /// Never: start again.
    Never,
}

/// What a handler has to say when more of a streamed request body is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Upload {
    /// Bytes were appended, and there may be more: it is asked again when they are sent. At least one:
    /// where none was appended nobody asks again, not even after [`Ctl::resume`], and the attempt ends
    /// as [`Kind::SendTimeout`] when its time is over.
    More,
    /// Nothing now; [`Ctl::resume`] when there is. Where bytes were appended they are sent, and it is
    /// asked again, as after [`More`](Self::More).
    Pending,
    /// That was all (bytes may have been appended). Before a length that was announced it ends the
    /// request, as [`Kind::ReadFailed`]. Where that length is there, any answer but the next is this one.
    End,
    /// There will be no more, and that was not all: the request ends with [`Kind::ReadFailed`], and its
    /// connection without an end of the body, so that the server does not take a part for the whole.
    Failed,
}

/// Receives what happens to requests. All methods run inside an input of the engine; what they
/// want changed goes through [`Ctl`].
pub trait Handler {
    /// An interim answer (1xx) came.
    fn interim(&mut self, ctl: &mut Ctl<'_>, job: JobRef, head: &Head<'_>) {
        let _ = (ctl, job, head);
    }

    /// How long this answer asks to wait before the next request, from `Retry-After`.
    ///
    /// The default understands seconds; dates need a calendar, which `fetch` has.
    fn retry_after(&mut self, head: &Head<'_>) -> Option<Duration> {
        let seconds = match proto::number(head.fields.get("retry-after")?) {
            Ok(seconds) => seconds,
            // More digits than a u64 holds ask for more than anybody waits.
            Err(true) => u64::MAX,
            Err(false) => return None,
        };
        Some(Duration::from_secs(seconds))
    }

    /// What this answer tells of a rate limit (`RateLimit`, `X-RateLimit-*`). The default reads
    /// nothing; `fetch` does.
    fn rate_hint(&mut self, head: &Head<'_>) -> Option<RateHint> {
        let _ = head;
        None
    }

    /// A final head came whose response is going to be delivered.
    fn head(&mut self, ctl: &mut Ctl<'_>, job: JobRef, head: &Head<'_>, body: Body) -> Advice;

    /// Content came, after de-chunking, borrowed from the read buffer.
    fn body(&mut self, ctl: &mut Ctl<'_>, job: JobRef, bytes: &[u8]);

    /// Trailer fields came, those about framing, routing and authentication left out.
    fn trailers(&mut self, ctl: &mut Ctl<'_>, job: JobRef, fields: Fields<'_>) {
        let _ = (ctl, job, fields);
    }

    /// The attempt failed and another will be made from the start: what was delivered is void.
    fn restart(&mut self, ctl: &mut Ctl<'_>, job: JobRef, why: Kind) {
        let _ = (ctl, job, why);
    }

    /// The body goes on, verified, at content offset `at`; what was delivered up to there stands. Without
    /// a [`head`](Self::head), but for the first continuation of what an earlier run left
    /// ([`Options::resume_from`](super::Options::resume_from)): there `head` comes before, with the 206.
    fn resumed(&mut self, ctl: &mut Ctl<'_>, job: JobRef, at: u64) {
        let _ = (ctl, job, at);
    }

    /// More of a streamed request body is wanted: append at most `room` bytes of it, from offset
    /// `at` on, to `out`. Another attempt begins at zero again. Whoever submits such requests has to have
    /// this method: by default they fail.
    ///
    /// `room` is at most [`Config::send_bytes`](super::Config::send_bytes) and what is left of a length that
    /// was announced; zero only where that is zero. More bytes than that fail ([`Kind::ReadFailed`]).
    ///
    /// While a request waits after [`Upload::Pending`], neither
    /// [`send_timeout`](super::Config::send_timeout) nor the time until the first byte nor a lowest speed
    /// counts: it may wait for ever, and its connection with it, unless there is an
    /// [`attempt_timeout`](super::Config::attempt_timeout). Once an answer has begun, the times of that
    /// count.
    fn upload(
        &mut self,
        ctl: &mut Ctl<'_>,
        job: JobRef,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Upload {
        let _ = (ctl, job, at, out, room);
        Upload::Failed
    }

    /// An attempt is about to be sent: its head may still be changed. Asked before each attempt,
    /// so that signatures and tokens that expire are made anew.
    fn prepare(&mut self, job: JobRef, head: &mut Draft<'_>) {
        let _ = (job, head);
    }

    /// Whether a request may be sent once more, though the engine's own rules allow it: a veto.
    /// Asked when an attempt failed (`why`), and when an answer asks to come back later (`why` is
    /// [`Kind::StatusExhausted`], with its status); after `false` the request ends with what
    /// happened, and the answer is delivered as it is.
    fn repeat(&mut self, job: JobRef, why: Kind, status: Option<u16>) -> bool {
        let _ = (job, why, status);
        true
    }

    /// Whether a connection to this address may be opened for this host. Asked before every
    /// connect. A guard against private networks judges `address.ip().to_canonical()`, for an IPv4
    /// address may come as IPv6 (`::ffff:10.0.0.1`).
    fn allow(&mut self, host: HostKey, address: SocketAddr) -> bool {
        let _ = (host, address);
        true
    }

    /// The request is at its end, exactly once; its key is dead from now on.
    fn done(&mut self, ctl: &mut Ctl<'_>, job: JobRef, report: &Report<'_>);
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Report<'a> {
    /// The final status, or why there is none that counts.
    pub result: Result<u16, &'a Failure>,
    /// Attempts made, those that cost nothing left out; at least 1 once a request was sent.
    pub attempts: u32,
    /// Each attempt that failed, in order.
    pub tries: &'a [Try],
    /// How long each phase of the last attempt took.
    pub times: Times,
    /// The connection of the last attempt.
    pub conn: Option<ConnInfo>,
    /// Content bytes delivered (after de-chunking, before decoding); those that an earlier run left, of
    /// which [`Options::resume_from`](super::Options::resume_from) tells, and that stand count as well.
    pub body_bytes: u64,
    /// Bytes of the response on the wire, heads and framing included, TLS not; all attempts.
    pub wire_bytes: u64,
    /// Where the last verified continuation began, in content bytes; `None` also where its bytes were
    /// void later.
    pub resumed_at: Option<u64>,
}

/// An attempt that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Try {
    /// What ended it.
    pub kind: Kind,
    /// The status, when it was one that is worth another attempt.
    pub status: Option<u16>,
    /// The number of the connection, 0 when there was none.
    pub conn: u64,
    /// Whether that connection had served before.
    pub reused: bool,
    /// Content bytes that had arrived.
    pub at_byte: u64,
    /// How long the attempt took.
    pub took: Duration,
}

/// How long the phases of the last attempt took, but for `queue` and `total`. A phase that did not
/// happen (a kept connection has no `connect`) is zero.
///
/// `dns`, `connect` and `tls` are those of the connection, told with the first request that it takes,
/// whoever it was opened for: they lie within `queue`, before the attempt's start, and may have begun
/// before the request was submitted. Nothing of them is told of an attempt that got no connection. The
/// time in which the request was written is in none of the phases. Where there was one attempt, `queue`
/// and `total` together are the time from submission to the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Times {
    /// From submission to the last attempt's start, which is when a connection takes it: look-up,
    /// connecting and handshake that it waited for are in it, and so are earlier attempts with the pauses
    /// after them. Where no connection took the last one: to its end.
    pub queue: Duration,
    /// Looking the name up: told with the first connection that is opened after it, zero with others.
    pub dns: Duration,
    /// Opening the TCP connection: of the address that won, from the moment at which that was tried.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From the request written to the answer's first byte, be it of an interim answer. Zero where it
    /// answered before the request was out.
    pub first_byte: Duration,
    /// From the answer's first byte to its end.
    pub body: Duration,
    /// From the start of the first attempt to the end: from when a connection took it, or, where none
    /// could be had, from when that one was begun with. What opening a first connection took is not in
    /// it, what opening those of later attempts took is, and so are the pauses between. Zero where there
    /// was no attempt.
    pub total: Duration,
}

/// The connection that an attempt ran on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ConnInfo {
    /// Its number, counted from 1 in the order of opening.
    pub id: u64,
    /// Whether it had served before.
    pub reused: bool,
    /// The peer.
    pub remote: SocketAddr,
    /// Its address came from an expired look-up, because no name server answered.
    pub dns_stale: bool,
    /// What the handshake agreed on.
    pub tls: Option<TlsInfo>,
}

/// What a TLS handshake agreed on, in words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: &'static str,
    /// Whether a former session was taken up again.
    pub resumed: bool,
}

/// What a handler may ask for. Queued, and applied after the input that is being handled, in order:
/// nothing re-enters. Commands for a request that is done already do nothing.
#[derive(Debug)]
pub struct Ctl<'a> {
    pub(super) intake: &'a mut Intake,
}

impl Ctl<'_> {
    /// Takes another request: it is begun after the input that is being handled. What is wrong
    /// with it is said here. Its key comes with the first callback that concerns it; until then its
    /// [`tag`](super::Request::tag) is its name.
    ///
    /// In [`Handler::done`] the place of the request that is done is free already.
    pub fn submit(&mut self, request: &Request<'_>) -> Result<(), SubmitError> {
        self.intake.submit(request)
    }

    /// How many more requests can be submitted.
    pub fn wants(&self) -> usize {
        self.intake.room()
    }

    /// Stops reading this response. What was read with the input that is being handled is still
    /// delivered, one read buffer at most; where that is all of it, the request is done. A request that
    /// was not sent yet can be paused as well: of its answer one read buffer is delivered at most. A pause is
    /// of one response: that of another attempt ([`Handler::restart`], [`Handler::resumed`]) is read.
    ///
    /// Until [`resume`](Self::resume) of all times only
    /// [`attempt_timeout`](super::Config::attempt_timeout) goes on: `send_timeout`, `first_byte_timeout`,
    /// `head_timeout`, `stall_timeout` and `low_speed` end nothing. With `resume` the last two begin anew,
    /// the others count as if nothing had been paused. A request body goes on to be sent meanwhile, unless
    /// it waits for `100 Continue`.
    pub fn pause(&mut self, job: JobKey) {
        self.intake.command(Command::Pause(job));
    }

    /// Goes on reading, or asks for more of a streamed request body.
    pub fn resume(&mut self, job: JobKey) {
        self.intake.command(Command::Resume(job));
    }

    /// Calls a request off, be it the one that this callback is about: nothing more of it is
    /// delivered, and it ends with [`Kind::Cancelled`], even if this input brings its end as well.
    /// In its own [`Handler::done`] it is too late.
    pub fn cancel(&mut self, job: JobKey) {
        self.intake.command(Command::Cancel(job));
    }

    /// Calls everything off that was submitted so far, the request of this callback included.
    pub fn cancel_all(&mut self) {
        self.intake.command(Command::CancelAll);
    }
}

/// Whoever wants to hear of nothing, for tests.
#[cfg(test)]
pub(crate) struct Nobody;

#[cfg(test)]
impl Handler for Nobody {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::SkipBody
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Report<'_>) {}
}
