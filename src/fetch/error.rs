//! Why a URL failed: what the engine says and what this layer adds, in one closed list.
//!
//! Owns the names in records, one sentence on what happened, one on what to do, and curl's exit
//! code for each.

use core::fmt;

use super::{CurlCode, DecodeError, RedirectError, Scheme, UrlError};
use crate::engine::{self, Failure, Phase};
use crate::proto::{self, RequestError};

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// Not a URL that can be fetched.
    Url(UrlError),
    /// A scheme that the user does not allow (`--proto`).
    SchemeRefused(Scheme),
    /// The request can't be put on the wire.
    Request(RequestError),
    /// More requests than the fetcher holds; see [`Fetcher::wants`](super::Fetcher::wants).
    Full,
    /// The fetcher is being drained: it takes nothing any more; see
    /// [`Fetcher::drain`](super::Fetcher::drain).
    Draining,
    /// A redirect was not followed.
    Redirect(RedirectError),
    /// The body can't be decoded.
    Decode(DecodeError),
    /// The head was seen and the body not wanted.
    Filtered,
    /// The body is larger than the user allows.
    FileTooLarge(u64),
    /// What the engine says.
    Engine(engine::Kind),
}

impl Kind {
    /// The stable name in records, `snake_case`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Url(error) => error.name(),
            Self::SchemeRefused(_) => "scheme_refused",
            Self::Request(error) => error.name(),
            Self::Full => "fetcher_full",
            Self::Draining => "fetcher_draining",
            Self::Redirect(error) => error.name(),
            Self::Decode(error) => error.name(),
            Self::Filtered => "filtered",
            Self::FileTooLarge(_) => "file_too_large",
            Self::Engine(kind) => kind.name(),
        }
    }

    /// How curl would leave.
    pub fn exit(&self) -> CurlCode {
        match self {
            Self::Url(UrlError::Scheme(_)) | Self::SchemeRefused(_) => {
                CurlCode::UnsupportedProtocol
            }
            Self::Url(_) | Self::Request(RequestError::BadTarget | RequestError::BadHost) => {
                CurlCode::UrlMalformed
            }
            Self::Request(_) => CurlCode::BadFunctionArgument,
            Self::Full => CurlCode::OutOfMemory,
            Self::Draining => CurlCode::AbortedByCallback,
            Self::Redirect(error) => error.exit(),
            Self::Decode(DecodeError::TooLarge(_)) | Self::FileTooLarge(_) => {
                CurlCode::FilesizeExceeded
            }
            Self::Decode(_) => CurlCode::BadContentEncoding,
            Self::Filtered => CurlCode::AbortedByCallback,
            Self::Engine(kind) => engine_exit(*kind),
        }
    }

    /// What to do about it, in one sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Url(error) => Some(error.hint()),
            Self::SchemeRefused(_) => {
                Some("it would have to be among the schemes that may be used")
            }
            Self::Redirect(error) => Some(error.hint()),
            Self::Decode(DecodeError::Unknown(_) | DecodeError::TooHeavy(_)) => {
                Some("where compression is not asked for, the body is kept as it comes")
            }
            Self::Decode(DecodeError::Ratio(_)) => {
                Some("where compression is not asked for, the body is kept as it comes, and small")
            }
            Self::Decode(_) => Some(
                "try without asking for compression; if that helps, the server compresses wrongly",
            ),
            Self::FileTooLarge(_) => Some("a larger body can be allowed"),
            Self::Request(_) | Self::Full | Self::Draining | Self::Filtered => None,
            Self::Engine(kind) => engine_hint(*kind),
        }
    }
}

/// Why a URL failed, with all that a person needs to understand it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What went wrong.
    pub kind: Kind,
    /// How far it had come.
    pub phase: Phase,
    /// Whether the connection had served before; `None` when there was none.
    pub reused: Option<bool>,
    /// The operating system's error number, 0 when it had no part in it.
    pub os: i32,
    /// What failed first, where the kind is that it was given up.
    pub cause: Option<engine::Kind>,
    /// More words: which certificate, which server said what.
    pub detail: Option<Box<str>>,
    /// What to do about it, where whoever found it knew better than the kind alone tells.
    pub advice: Option<Box<str>>,
}

impl Error {
    /// An error of this layer, in this phase.
    pub const fn new(kind: Kind, phase: Phase) -> Self {
        Self { kind, phase, reused: None, os: 0, cause: None, detail: None, advice: None }
    }

    /// The stable name in records.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// How curl would leave.
    pub fn exit(&self) -> CurlCode {
        // As curl 8: without a status line it is another protocol, but not behind an answer of
        // this one (interim answers carry no quoted first bytes).
        let behind = self.reused == Some(true) || self.detail.is_none();
        if behind && let Kind::Engine(engine::Kind::Malformed(proto::Error::NotHttp)) = self.kind {
            return CurlCode::WeirdServerReply;
        }
        self.kind.exit()
    }

    /// What to do about it, in one sentence.
    pub fn hint(&self) -> Option<&str> {
        self.advice.as_deref().or(self.kind.hint())
    }

    /// Whether the request was called off by whoever asked.
    pub fn is_cancelled(&self) -> bool {
        self.kind == Kind::Engine(engine::Kind::Cancelled)
    }
}

/// What to do about a body whose end nobody has vouched for.
const ONLY_THE_SERVER: &str =
    "it may be whole: only the server can tell, by a Content-Length or by close_notify";

impl From<&Failure> for Error {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: Kind::Engine(failure.kind),
            phase: failure.phase,
            reused: failure.reused,
            os: failure.os,
            cause: failure.cause,
            detail: failure.detail.clone(),
            advice: failure.hint.clone().or_else(|| {
                let unclosed = failure.detail.as_deref() == Some(engine::NO_CLOSE_NOTIFY);
                unclosed.then(|| ONLY_THE_SERVER.into())
            }),
        }
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::new(Kind::Url(error), Phase::Queue)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Url(error) => error.fmt(f)?,
            Kind::SchemeRefused(scheme) => {
                write!(f, "the scheme {} is not allowed", scheme.name())?;
            }
            Kind::Request(error) => error.fmt(f)?,
            Kind::Full => f.write_str("the fetcher holds as many requests as it was allowed")?,
            Kind::Draining => {
                f.write_str("the fetcher is being drained and takes no more requests")?;
            }
            Kind::Redirect(error) => error.fmt(f)?,
            Kind::Decode(error) => error.fmt(f)?,
            Kind::Filtered => f.write_str("not wanted after the head was seen")?,
            Kind::FileTooLarge(most) => write!(f, "the body is larger than {most} bytes")?,
            Kind::Engine(engine::Kind::Malformed(error)) if is_bound(*error) => {
                write!(f, "the answer is larger than allowed: {error}")?;
            }
            Kind::Engine(kind) => {
                f.write_str(kind.sentence())?;
                match kind {
                    engine::Kind::Malformed(error) => write!(f, ": {error}")?,
                    engine::Kind::ConnectFailed if self.os != 0 => {
                        write!(f, ": {}", std::io::Error::from_raw_os_error(self.os))?;
                    }
                    _ => {}
                }
            }
        }
        if let Some(cause) = self.cause {
            write!(f, ": {}", cause.sentence())?;
        }
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        match self.reused {
            Some(_) if self.tells_connection() => Ok(()),
            Some(true) => f.write_str(" (on a kept connection)"),
            Some(false) if self.is_about_connection() => f.write_str(" (on a fresh connection)"),
            _ => Ok(()),
        }
    }
}

impl Error {
    /// Whether its sentence says what connection it was.
    fn tells_connection(&self) -> bool {
        let said = |kind: engine::Kind| kind.tells_connection();
        match (self.cause, &self.kind) {
            (Some(cause), _) => said(cause),
            (None, Kind::Engine(kind)) => said(*kind),
            _ => false,
        }
    }

    /// Whether it makes a difference that the connection was a fresh one.
    const fn is_about_connection(&self) -> bool {
        use engine::Kind as E;
        matches!(
            self.kind,
            Kind::Engine(
                E::EmptyReply | E::ResetInHead | E::ResetInBody | E::EofInHead | E::EofInBody
            )
        )
    }
}

impl core::error::Error for Error {}

fn engine_exit(kind: engine::Kind) -> CurlCode {
    use engine::Kind as E;
    match kind {
        E::EmptyReply => CurlCode::GotNothing,
        E::StaleReuse | E::ResetBeforeResponse | E::ResetInHead | E::ResetInBody => {
            CurlCode::RecvError
        }
        E::EofInHead | E::EofInBody => CurlCode::PartialFile,
        E::Refused
        | E::Unreachable
        | E::ConnectFailed
        | E::NetworkDown
        | E::OutOfSockets
        | E::HostDown
        | E::AddressRefused => CurlCode::CouldntConnect,
        E::ConnectTimeout
        | E::TlsTimeout
        | E::SendTimeout
        | E::FirstByteTimeout
        | E::HeadTimeout
        | E::Stalled
        | E::TooSlow
        | E::AttemptTimeout
        | E::BudgetExhausted => CurlCode::OperationTimedout,
        E::Dns(_) => CurlCode::CouldntResolveHost,
        E::Tls(name) => tls_exit(name),
        E::ResetInHandshake | E::EofInHandshake => CurlCode::SslConnectError,
        E::Malformed(error) => malformed_exit(error),
        E::ServerSpokeFirst => CurlCode::UnsupportedProtocol,
        E::StatusExhausted | E::HostClosed => CurlCode::HttpReturnedError,
        E::BodyNotReplayable => CurlCode::SendFailRewind,
        E::ReadFailed => CurlCode::ReadError,
        E::BodyTooLarge => CurlCode::FilesizeExceeded,
        // Cancelled, aborted, and whatever an engine adds that nobody has given a number yet.
        _ => CurlCode::AbortedByCallback,
    }
}

/// By the session's names for its errors.
fn tls_exit(name: &str) -> CurlCode {
    match name {
        "tls_certificate_expired"
        | "tls_certificate_not_yet_valid"
        | "tls_certificate_name"
        | "tls_unknown_issuer"
        | "tls_self_signed"
        | "tls_certificate_purpose"
        | "tls_certificate_invalid" => CurlCode::PeerFailedVerification,
        "tls_pin_mismatch" => CurlCode::SslPinnedpubkeynotmatch,
        "tls_client_certificate" | "tls_own_certificate" => CurlCode::SslCertproblem,
        "tls_ca_file" => CurlCode::SslCacertBadfile,
        "tls_truncated" | "tls_decrypt" | "tls_flood" | "tls_keys_exhausted" | "tls_closed" => {
            CurlCode::RecvError
        }
        _ => CurlCode::SslConnectError,
    }
}

/// Whether a broken answer can be called so: by the rule that it breaks.
#[cfg(feature = "cli")]
pub(crate) fn is_rule(name: &str) -> bool {
    proto::Error::ALL.iter().any(|rule| rule.name() == name)
}

/// Whether it breaks one of our bounds rather than a rule of the protocol.
const fn is_bound(error: proto::Error) -> bool {
    use proto::Error as P;
    matches!(
        error,
        P::HeadTooLarge
            | P::TooManyFields
            | P::LineTooLong
            | P::TooManyInterim
            | P::InterimTooLarge
            | P::ChunkExtensionsTooLarge
            | P::TrailersTooLarge
            | P::TooManyTrailers
    )
}

fn malformed_exit(error: proto::Error) -> CurlCode {
    use proto::Error as P;
    match error {
        // curl calls whatever does not begin with a status line HTTP/0.9, and does not allow it; nor
        // versions and status codes that it does not know.
        P::LooksLikeHttp09
        | P::LooksLikeHttp2
        | P::LooksLikeTls
        | P::LooksLikeIcy
        | P::LeadingBlank
        | P::LeadingEmptyLine
        | P::NotHttp
        | P::UnsupportedVersion
        | P::BadStatusLine
        | P::BadStatusCode => CurlCode::UnsupportedProtocol,
        // It takes transfer codings for codings.
        P::UnsupportedTransferCoding | P::RepeatedChunked | P::EmptyTransferEncoding => {
            CurlCode::BadContentEncoding
        }
        P::LineTooLong | P::TooManyFields => CurlCode::TooLarge,
        P::HeadTooLarge | P::TooManyInterim | P::InterimTooLarge => CurlCode::RecvError,
        P::BadChunkSize
        | P::ChunkSizeOverflow
        | P::BadChunkExtension
        | P::ChunkExtensionsTooLarge
        | P::BadChunkSizeEnd
        | P::BadChunkDataEnd => CurlCode::RecvError,
        P::NoResponse => CurlCode::GotNothing,
        error if error.is_truncation() => CurlCode::PartialFile,
        _ => CurlCode::WeirdServerReply,
    }
}

fn engine_hint(kind: engine::Kind) -> Option<&'static str> {
    use engine::Kind as E;
    Some(match kind {
        E::StaleReuse => {
            "the server closes kept connections early; an idle time-out below its own avoids the race"
        }
        E::ResetBeforeResponse | E::EmptyReply => {
            "the server may have too many connections (fewer at once may help), have crashed, or speak another protocol at this port"
        }
        E::ResetInHead | E::EofInHead => "another attempt may help",
        E::ResetInBody | E::EofInBody => {
            "what had arrived is a part; more attempts may bring the rest"
        }
        E::Refused => "check host and port; is the server running?",
        E::Unreachable => "check the address and the route to it; one family alone may do",
        E::ConnectTimeout => {
            "a firewall may drop the packets; or it takes more time than it was given"
        }
        E::ConnectFailed => "the system's error number tells why",
        E::NetworkDown => "check this machine's network; it can be waited for",
        E::OutOfSockets => "fewer connections, or a higher limit of open files",
        E::Dns(_) => {
            "check the name's spelling; other name servers may know it, or say where the host is"
        }
        E::Tls(name) => return tls_hint(name),
        E::ResetInHandshake | E::EofInHandshake => {
            "the server may not speak TLS on this port, or has too many connections"
        }
        E::TlsTimeout => "it may take more time than it was given",
        E::SendTimeout => "the server does not read; try a smaller body or another time",
        E::FirstByteTimeout => "it may take more time than it was given",
        E::HeadTimeout | E::Stalled => {
            "the server or the way to it is stuck; another attempt may help"
        }
        E::TooSlow => "a lower speed can be allowed",
        E::AttemptTimeout => "an attempt can be given more time",
        E::Malformed(proto::Error::LooksLikeTls) => "use https:// for this port",
        E::Malformed(proto::Error::HeadTooLarge | proto::Error::LineTooLong) => {
            "larger heads and longer lines can be allowed"
        }
        E::Malformed(proto::Error::TooManyFields) => {
            "256 can be allowed at most; what sends more wants nobody to read it"
        }
        E::Malformed(_) => "the bytes that came show where they break the rules",
        E::ServerSpokeFirst => "this port belongs to another protocol",
        E::StatusExhausted => "try later, or slower, or more often",
        E::HostDown => "try again when the host is back",
        E::HostClosed => "try again after the time that the host named, or wait for longer",
        E::AddressRefused => {
            "the family that was chosen, a list of networks or a redirect into a private one forbade it"
        }
        E::BudgetExhausted => {
            "too many attempts failed; try again later, or allow more time for them"
        }
        E::BodyNotReplayable => "send the body from a file instead of a pipe",
        E::ReadFailed => "a file that is being written can't be sent yet; a pipe needs no length",
        E::BodyTooLarge => "a larger body can be allowed",
        _ => return None,
    })
}

fn tls_hint(name: &str) -> Option<&'static str> {
    Some(match name {
        "tls_certificate_expired" | "tls_certificate_not_yet_valid" => {
            "the server's certificate has to be renewed, unless this machine's clock is off"
        }
        "tls_certificate_name" => "the certificate is for another name; use that one",
        "tls_unknown_issuer" | "tls_self_signed" => {
            "if you trust it, add the issuer's certificate to those that are trusted"
        }
        "tls_ca_file" => "the certificates to be trusted can be given as a file",
        "tls_looks_like_plain_http" => "use http:// for this port",
        "tls_pin_mismatch" => {
            "the server's key is not the pinned one: either it was renewed, or this is somebody else"
        }
        "tls_version" | "tls_incompatible" => {
            "the server wants a version or a cipher suite that is not allowed here"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Kind as E;

    fn engine(kind: E) -> Kind {
        Kind::Engine(kind)
    }

    /// Kind, name in records, curl's exit code.
    #[test]
    fn names_and_codes() {
        for (kind, name, code) in [
            (Kind::Url(UrlError::EmptyHost), "url_without_host", 3),
            (Kind::Url(UrlError::Port), "url_bad_port", 3),
            (Kind::Url(UrlError::Scheme("ftp".into())), "unknown_scheme", 1),
            (Kind::SchemeRefused(Scheme::Http), "scheme_refused", 1),
            (Kind::Request(RequestError::BadTarget), "bad_target", 3),
            (Kind::Request(RequestError::BadMethod), "bad_method", 43),
            (Kind::Redirect(RedirectError::TooMany(50)), "too_many_redirects", 47),
            (Kind::Redirect(RedirectError::Loop(50)), "redirect_loop", 47),
            (Kind::Redirect(RedirectError::Scheme("ftp".into())), "redirect_scheme", 1),
            (Kind::Redirect(RedirectError::BodyNotReplayable), "body_not_replayable", 65),
            (Kind::Decode(DecodeError::Ratio(1_000)), "coding_ratio", 61),
            (Kind::Decode(DecodeError::TooLarge(1)), "decoded_too_large", 63),
            (Kind::FileTooLarge(1), "file_too_large", 63),
            (Kind::Filtered, "filtered", 42),
            (engine(E::Dns("dns_nxdomain")), "dns_nxdomain", 6),
            (engine(E::Refused), "refused", 7),
            (engine(E::HostDown), "host_down", 7),
            (engine(E::AddressRefused), "address_refused", 7),
            (engine(E::ConnectTimeout), "connect_timeout", 28),
            (engine(E::Stalled), "stalled", 28),
            (engine(E::AttemptTimeout), "attempt_timeout", 28),
            (engine(E::EofInBody), "eof_in_body", 18),
            (engine(E::ResetInBody), "reset_in_body", 56),
            (engine(E::EmptyReply), "empty_reply", 52),
            (engine(E::ResetBeforeResponse), "reset_before_response", 56),
            (engine(E::ResetInHandshake), "reset_in_handshake", 35),
            (engine(E::Tls("tls_self_signed")), "tls_self_signed", 60),
            (engine(E::Tls("tls_pin_mismatch")), "tls_pin_mismatch", 90),
            (engine(E::Tls("tls_alert")), "tls_alert", 35),
            (engine(E::EofInHead), "eof_in_head", 18),
            (engine(E::Malformed(proto::Error::BadStatusLine)), "bad_status_line", 1),
            (engine(E::Malformed(proto::Error::BadStatusCode)), "bad_status_code", 1),
            (engine(E::Malformed(proto::Error::LeadingBlank)), "leading_blank", 1),
            (engine(E::Malformed(proto::Error::LooksLikeTls)), "looks_like_tls", 1),
            (engine(E::Malformed(proto::Error::BadFieldName)), "bad_field_name", 8),
            (engine(E::Malformed(proto::Error::BadContentLength)), "bad_content_length", 8),
            (engine(E::Malformed(proto::Error::HeadTooLarge)), "head_too_large", 56),
            (
                engine(E::Malformed(proto::Error::UnsupportedTransferCoding)),
                "unsupported_transfer_coding",
                61,
            ),
            (engine(E::Malformed(proto::Error::BadChunkSize)), "bad_chunk_size", 56),
            (engine(E::Malformed(proto::Error::NotHttp)), "not_http", 1),
            (engine(E::ServerSpokeFirst), "server_spoke_first", 1),
            (engine(E::StatusExhausted), "status_exhausted", 22),
            (engine(E::BodyTooLarge), "body_too_large", 63),
            (engine(E::ReadFailed), "read_failed", 26),
            (engine(E::Cancelled), "cancelled", 42),
        ] {
            assert_eq!((kind.name(), kind.exit().code()), (name, code), "{kind:?}");
        }
    }

    #[test]
    fn what_is_advised_is_told_apart() {
        let mut failure = Failure::new(E::Tls("tls_unknown_issuer"), Phase::Tls);
        failure.detail = Some("nobody vouches for it; nobody".into());
        failure.hint = Some("add who does".into());
        let error = Error::from(&failure);
        assert_eq!(error.to_string(), "TLS failed: nobody vouches for it; nobody");
        assert_eq!(error.hint(), Some("add who does"));
        failure.hint = None;
        assert_eq!(Error::from(&failure).hint(), tls_hint("tls_unknown_issuer"));
    }

    #[test]
    fn sentences() {
        let error = Error {
            reused: Some(false),
            detail: Some("after 12 bytes".into()),
            ..Error::new(engine(E::ResetInBody), Phase::Body)
        };
        let expected = "the connection was reset within the answer's body: after 12 bytes (on a fresh connection)";
        assert_eq!(error.to_string(), expected);
        // What its own words say of the connection is said once.
        for (kind, reused) in [(E::ResetBeforeResponse, false), (E::StaleReuse, true)] {
            let error =
                Error { reused: Some(reused), ..Error::new(engine(kind), Phase::FirstByte) };
            assert_eq!(error.to_string(), kind.sentence());
            let failure = Failure { reused: Some(reused), ..Failure::new(kind, Phase::FirstByte) };
            assert_eq!(failure.to_string(), kind.sentence());
            // Nor where it is the cause of another.
            let kind = E::BudgetExhausted;
            let failure = Failure { kind, cause: Some(failure.kind), ..failure };
            assert_eq!(Error::from(&failure).to_string(), failure.to_string());
            assert!(!failure.to_string().contains("connection)"), "{failure}");
        }
        let error = Error::new(engine(E::Malformed(proto::Error::BareCr)), Phase::Head);
        assert_eq!(
            error.to_string(),
            "the answer is not valid HTTP/1.1: a carriage return stands alone"
        );
        let error = Error::new(engine(E::Malformed(proto::Error::HeadTooLarge)), Phase::Head);
        assert_eq!(
            error.to_string(),
            "the answer is larger than allowed: the head is larger than the limit"
        );
    }
}
