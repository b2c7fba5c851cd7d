//! The closed taxonomy of failure: what went wrong, in which phase, on what kind of connection.
//!
//! Owns the names that appear in records and in `docs/errors.md`; never decides what follows from
//! a failure (that is `retry`).

use alloc::boxed::Box;
use core::fmt;

use crate::proto;

/// What the operating system, or whoever plays it, said of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The class that decisions are made by.
    pub cause: Cause,
    /// The system's own number, for the record; 0 when there is none.
    pub os: i32,
}

impl Fault {
    /// A fault without a system's number.
    pub const fn new(cause: Cause) -> Self {
        Self { cause, os: 0 }
    }
}

/// Classes of faults of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The peer reset the connection (ECONNRESET, ECONNABORTED), or it was gone when we wrote (EPIPE).
    Reset,
    /// Nobody listens there (ECONNREFUSED).
    Refused,
    /// The host can't be reached (EHOSTUNREACH and its kin).
    Unreachable,
    /// Our own network is down or has no route (ENETUNREACH, ENETDOWN, EADDRNOTAVAIL on an address we were told to use).
    NetworkDown,
    /// The system gave up waiting (ETIMEDOUT).
    TimedOut,
    /// We are out of descriptors, ports or buffers (EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL).
    Exhausted,
    /// A rule on this machine forbids it (EACCES, EPERM).
    Denied,
    /// Anything else; the number tells.
    Other,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause {
            Cause::Reset => "the connection was reset",
            Cause::Refused => "the connection was refused",
            Cause::Unreachable => "the host can't be reached",
            Cause::NetworkDown => "this machine's network is down",
            Cause::TimedOut => "the system gave up waiting",
            Cause::Exhausted => "this machine is out of descriptors, ports or buffers",
            Cause::Denied => "a rule on this machine forbids it",
            Cause::Other => "the system refused",
        })?;
        if self.os == 0 { Ok(()) } else { write!(f, " (system error {})", self.os) }
    }
}

impl core::error::Error for Fault {}

/// How far an attempt had come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for its turn.
    Queue,
    /// Looking the name up.
    Dns,
    /// Opening the TCP connection.
    Connect,
    /// Shaking hands.
    Tls,
    /// Writing the request.
    Send,
    /// The request is out, no byte has come back.
    FirstByte,
    /// In the response's head.
    Head,
    /// In the response's body.
    Body,
}

impl Phase {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::FirstByte => "first_byte",
            Self::Head => "head",
            Self::Body => "body",
        }
    }
}

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// A kept connection was closed or reset before any byte of the answer.
    StaleReuse,
    /// A fresh connection was reset before any byte of the answer.
    ResetBeforeResponse,
    /// A fresh connection was closed before any byte of the answer.
    EmptyReply,
    /// The connection was reset within the head.
    ResetInHead,
    /// The connection was reset within the body.
    ResetInBody,
    /// The connection was closed within the head.
    EofInHead,
    /// The connection was closed within the body: what arrived is a part.
    EofInBody,
    /// Nobody listens at any address of the host.
    Refused,
    /// No address of the host can be reached.
    Unreachable,
    /// No address of the host accepted in time.
    ConnectTimeout,
    /// Opening a socket failed for another reason; the system's number tells.
    ConnectFailed,
    /// Our own network is down.
    NetworkDown,
    /// We are out of descriptors, ports or buffers.
    OutOfSockets,
    /// The name could not be looked up: the resolver's name for it.
    Dns(&'static str),
    /// TLS failed: the session's name for it.
    Tls(&'static str),
    /// The connection was reset within the handshake.
    ResetInHandshake,
    /// The connection was closed within the handshake.
    EofInHandshake,
    /// The handshake took too long.
    TlsTimeout,
    /// The peer did not take the request in time.
    SendTimeout,
    /// The answer did not begin in time.
    FirstByteTimeout,
    /// The head was not complete in time.
    HeadTimeout,
    /// No byte of the body came for too long.
    Stalled,
    /// A body, or the wait for it, was slower than allowed.
    TooSlow,
    /// The attempt's own time (`-m`) was used up.
    AttemptTimeout,
    /// The answer broke a rule of HTTP/1.1, named by the parser.
    Malformed(proto::Error),
    /// The peer spoke before it was asked.
    ServerSpokeFirst,
    /// A status that is worth another attempt, and no attempts are left. Of an attempt that is followed by
    /// another: also a 206 or 416 that is not the rest that was asked for.
    StatusExhausted,
    /// The host answers at no address; its queue was emptied.
    HostDown,
    /// The host asked to be left alone for longer than we wait.
    HostClosed,
    /// The address is one that we were told not to speak to.
    AddressRefused,
    /// The budget for further attempts is empty, and pays for none before
    /// [`Config::retry_max_time`](super::Config::retry_max_time). Without that time an empty budget only
    /// delays.
    BudgetExhausted,
    /// The request's body can't be sent a second time.
    BodyNotReplayable,
    /// The request's body ended before the length that was announced for it, or its source failed.
    ReadFailed,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The embedder or the user called it off.
    Cancelled,
    /// The embedder did not want this answer.
    Aborted,
}

impl Kind {
    /// The stable name in records, `snake_case`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StaleReuse => "stale_reuse",
            Self::ResetBeforeResponse => "reset_before_response",
            Self::EmptyReply => "empty_reply",
            Self::ResetInHead => "reset_in_head",
            Self::ResetInBody => "reset_in_body",
            Self::EofInHead => "eof_in_head",
            Self::EofInBody => "eof_in_body",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectFailed => "connect_failed",
            Self::NetworkDown => "network_down",
            Self::OutOfSockets => "out_of_sockets",
            Self::Dns(name) | Self::Tls(name) => name,
            Self::ResetInHandshake => "reset_in_handshake",
            Self::EofInHandshake => "eof_in_handshake",
            Self::TlsTimeout => "tls_timeout",
            Self::SendTimeout => "send_timeout",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::Stalled => "stalled",
            Self::TooSlow => "too_slow",
            Self::AttemptTimeout => "attempt_timeout",
            Self::Malformed(error) => error.name(),
            Self::ServerSpokeFirst => "server_spoke_first",
            Self::StatusExhausted => "status_exhausted",
            Self::HostDown => "host_down",
            Self::HostClosed => "host_closed",
            Self::AddressRefused => "address_refused",
            Self::BudgetExhausted => "budget_exhausted",
            Self::BodyNotReplayable => "body_not_replayable",
            Self::ReadFailed => "read_failed",
            Self::BodyTooLarge => "body_too_large",
            Self::Cancelled => "cancelled",
            Self::Aborted => "aborted",
        }
    }

    /// One sentence: what happened.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::StaleReuse => {
                "the server closed a kept connection just as the request went out on it"
            }
            Self::ResetBeforeResponse => "the server reset a fresh connection before it answered",
            Self::EmptyReply => "the server closed the connection without an answer",
            Self::ResetInHead => "the connection was reset within the answer's head",
            Self::ResetInBody => "the connection was reset within the answer's body",
            Self::EofInHead => "the server closed the connection within the answer's head",
            Self::EofInBody => "the server closed the connection before the body was complete",
            Self::Refused => "nobody listens there: connection refused",
            Self::Unreachable => "the host can't be reached",
            Self::ConnectTimeout => "no connection within the time allowed",
            Self::ConnectFailed => "the connection could not be opened",
            Self::NetworkDown => "this machine's own network is down",
            Self::OutOfSockets => "this machine is out of sockets, ports or buffers",
            Self::Dns(_) => "the name could not be looked up",
            Self::Tls(_) => "TLS failed",
            Self::ResetInHandshake => "the connection was reset within the TLS handshake",
            Self::EofInHandshake => "the server closed the connection within the TLS handshake",
            Self::TlsTimeout => "the TLS handshake took too long",
            Self::SendTimeout => "the server did not take the request in time",
            Self::FirstByteTimeout => "the answer did not begin in time",
            Self::HeadTimeout => "the answer's head was not complete in time",
            Self::Stalled => "no byte of the body came for too long",
            Self::TooSlow => "it went more slowly than allowed",
            Self::AttemptTimeout => "the time allowed for one attempt was used up",
            Self::Malformed(_) => "the answer is not valid HTTP/1.1",
            Self::ServerSpokeFirst => {
                "the server spoke before it was asked: this is no HTTP server"
            }
            Self::StatusExhausted => {
                "the server's status asks to come back later, and no further attempt is allowed"
            }
            Self::HostDown => "the host is down: none of its addresses accepts a connection",
            Self::HostClosed => "the host asked to be left alone for longer than is waited for",
            Self::AddressRefused => "the address is one that must not be spoken to",
            Self::BudgetExhausted => "the budget for further attempts is used up",
            Self::BodyNotReplayable => "the request's body can't be sent a second time",
            Self::ReadFailed => "what was to be sent ended before its end",
            Self::BodyTooLarge => "the body is larger than allowed",
            Self::Cancelled => "called off",
            Self::Aborted => "not wanted after the head was seen",
        }
    }
}

impl Kind {
    /// Whether its sentence says what connection it was.
    pub(crate) const fn tells_connection(self) -> bool {
        matches!(self, Self::StaleReuse | Self::ResetBeforeResponse)
    }
}

/// A failure with all that a person needs to understand it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// What went wrong first, where `kind` says why it was not tried again.
    pub cause: Option<Kind>,
    /// How far the attempt had come.
    pub phase: Phase,
    /// Whether the connection had served before; `None` when there was none.
    pub reused: Option<bool>,
    /// The operating system's error number, 0 when it had no part in it.
    pub os: i32,
    /// More words: which certificate, which server said what, the first bytes that came.
    pub detail: Option<Box<str>>,
    /// What to do about it, where whoever found it knows better than the kind alone tells.
    pub hint: Option<Box<str>>,
}

impl Failure {
    /// A failure before any connection was there.
    pub const fn new(kind: Kind, phase: Phase) -> Self {
        Self { kind, cause: None, phase, reused: None, os: 0, detail: None, hint: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.sentence())?;
        if let Kind::Malformed(error) = self.kind {
            write!(f, ": {error}")?;
        }
        if let Some(cause) = self.cause {
            write!(f, ": {}", cause.sentence())?;
        }
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        match self.reused {
            _ if self.cause.unwrap_or(self.kind).tells_connection() => Ok(()),
            Some(true) => f.write_str(" (on a kept connection)"),
            Some(false) => f.write_str(" (on a fresh connection)"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Failure {}
