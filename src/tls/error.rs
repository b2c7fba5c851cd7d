//! What went wrong with a TLS connection: a kind with a stable name, a sentence, a hint.
//!
//! Owns the translation of rustls's errors, of alerts (RFC 8446 section 6) and of refused
//! certificates into what a person can act on, and whether trying again can help.

use core::fmt;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::certificate::{Certificate, date, printable};
use super::pins;
use super::verify::Refusal;

/// What kind of thing went wrong; [`name`](ErrorKind::name) is what records say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A certificate of the chain is past its end.
    CertificateExpired,
    /// A certificate of the chain is before its start.
    CertificateNotYetValid,
    /// The certificate is for other names.
    CertificateName,
    /// The chain ends at an authority that is not trusted, or is incomplete.
    UnknownIssuer,
    /// The certificate is signed with its own key and not trusted itself.
    SelfSigned,
    /// The certificate is not for servers.
    CertificatePurpose,
    /// The certificate is malformed, wrongly signed, or uses what is not supported.
    CertificateInvalid,
    /// The server's key is none of the pinned ones.
    PinMismatch,
    /// The server wants a certificate of ours, or refused the one it got.
    ClientCertificate,
    /// The server ended the connection with an alert.
    Alert,
    /// There is no TLS version that both sides speak.
    Version,
    /// There is no cipher suite, signature or group that both sides have.
    Incompatible,
    /// The server broke the rules of TLS.
    Protocol,
    /// The server answered in plain HTTP.
    PlainHttp,
    /// The server answered in some other protocol.
    NotTls,
    /// The handshake is larger than the bound.
    HandshakeTooLarge,
    /// The server sent too many tickets or other messages that carry no data.
    Flood,
    /// A record could not be decrypted: it was damaged or forged on its way.
    Decrypt,
    /// The connection ended in the handshake.
    HandshakeCut,
    /// The connection ended without a close_notify.
    Truncated,
    /// The keys have encrypted as much as they may.
    KeysExhausted,
    /// The session is over; nothing more can be sent or received.
    Closed,
    /// The host is neither a DNS name nor an address.
    ServerName,
    /// Something on this side: no randomness, no clock, no cryptography.
    Internal,
}

impl ErrorKind {
    /// The stable name, as in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::CertificateExpired => "tls_certificate_expired",
            Self::CertificateNotYetValid => "tls_certificate_not_yet_valid",
            Self::CertificateName => "tls_certificate_name",
            Self::UnknownIssuer => "tls_unknown_issuer",
            Self::SelfSigned => "tls_self_signed",
            Self::CertificatePurpose => "tls_certificate_purpose",
            Self::CertificateInvalid => "tls_certificate_invalid",
            Self::PinMismatch => "tls_pin_mismatch",
            Self::ClientCertificate => "tls_client_certificate",
            Self::Alert => "tls_alert",
            Self::Version => "tls_version",
            Self::Incompatible => "tls_incompatible",
            Self::Protocol => "tls_protocol",
            Self::PlainHttp => "tls_looks_like_plain_http",
            Self::NotTls => "tls_not_tls",
            Self::HandshakeTooLarge => "tls_handshake_too_large",
            Self::Flood => "tls_flood",
            Self::Decrypt => "tls_decrypt",
            Self::HandshakeCut => "tls_handshake_cut",
            Self::Truncated => "tls_truncated",
            Self::KeysExhausted => "tls_keys_exhausted",
            Self::Closed => "tls_closed",
            Self::ServerName => "tls_server_name",
            Self::Internal => "tls_internal",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// curl's exit code: 60 for the server's certificate, 90 for a pin, and for anything else 35
    /// in the handshake and 56 when it was complete.
    pub fn exit_code(self, established: bool) -> u8 {
        match self {
            kind if kind.is_certificate() => 60,
            Self::PinMismatch => 90,
            _ if established => 56,
            _ => 35,
        }
    }

    const ALL: [Self; 24] = [
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::CertificateName,
        Self::UnknownIssuer,
        Self::SelfSigned,
        Self::CertificatePurpose,
        Self::CertificateInvalid,
        Self::PinMismatch,
        Self::ClientCertificate,
        Self::Alert,
        Self::Version,
        Self::Incompatible,
        Self::Protocol,
        Self::PlainHttp,
        Self::NotTls,
        Self::HandshakeTooLarge,
        Self::Flood,
        Self::Decrypt,
        Self::HandshakeCut,
        Self::Truncated,
        Self::KeysExhausted,
        Self::Closed,
        Self::ServerName,
        Self::Internal,
    ];

    /// The server's certificate was refused.
    pub fn is_certificate(self) -> bool {
        matches!(
            self,
            Self::CertificateExpired
                | Self::CertificateNotYetValid
                | Self::CertificateName
                | Self::UnknownIssuer
                | Self::SelfSigned
                | Self::CertificatePurpose
                | Self::CertificateInvalid
        )
    }
}

/// What went wrong, told.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: &'static str,
    /// The handshake was complete before.
    established: bool,
    retryable: bool,
    chain: Vec<Certificate>,
}

impl Error {
    pub(super) fn new(
        kind: ErrorKind,
        established: bool,
        message: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        let retryable = matches!(
            kind,
            ErrorKind::Decrypt
                | ErrorKind::HandshakeCut
                | ErrorKind::Truncated
                | ErrorKind::KeysExhausted
                | ErrorKind::Closed
        );
        let message = message.into();
        Self(Box::new(Inner { kind, message, hint, established, retryable, chain: Vec::new() }))
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The kind's stable name, as in records.
    pub fn name(&self) -> &'static str {
        self.0.kind.name()
    }

    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        Some(self.0.hint).filter(|hint| !hint.is_empty())
    }

    /// Had the handshake been completed?
    pub fn established(&self) -> bool {
        self.0.established
    }

    /// Another attempt would end in the same way: the server's certificate, its alert in the
    /// handshake, or its protocol is the reason. Otherwise the connection was.
    pub fn is_final(&self) -> bool {
        !self.0.retryable
    }

    /// The refused certificate and those sent with it, the server's own first.
    pub fn chain(&self) -> &[Certificate] {
        &self.0.chain
    }

    /// curl's exit code for it.
    pub fn exit_code(&self) -> u8 {
        self.0.kind.exit_code(self.0.established)
    }

    /// What rustls says, with what was refused.
    pub(super) fn from_rustls(
        error: &rustls::Error,
        established: bool,
        refusal: Option<Refusal>,
    ) -> Self {
        use rustls::Error as E;
        let new = |kind, message: String, hint| Self::new(kind, established, message, hint);
        match error {
            E::InvalidCertificate(error) => Self::certificate(error, established, refusal),
            E::NoCertificatesPresented => {
                new(ErrorKind::CertificateInvalid, "the server sent no certificate".into(), "")
            }
            E::AlertReceived(alert) => Self::alert(*alert, established),
            E::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ) => new(
                ErrorKind::Version,
                "the server speaks no TLS version that is allowed here".into(),
                "versions below 1.2 are not supported, and others may be excluded here",
            ),
            E::PeerIncompatible(why) => new(
                ErrorKind::Incompatible,
                format!("the server has nothing in common with us: {why:?}"),
                "",
            ),
            E::DecryptError => new(
                ErrorKind::Decrypt,
                "a TLS record could not be decrypted: it was damaged on its way".into(),
                "",
            ),
            E::FailedToGetCurrentTime | E::FailedToGetRandomBytes | E::General(_) | E::Other(_) => {
                new(ErrorKind::Internal, format!("TLS failed on this side: {}", shown(error)), "")
            }
            error => new(
                ErrorKind::Protocol,
                format!("the server broke the rules of TLS: {}", shown(error)),
                "",
            ),
        }
    }

    fn alert(alert: AlertDescription, established: bool) -> Self {
        use AlertDescription as A;
        let name = alert_name(alert);
        let when = if established { "the connection" } else { "the TLS handshake" };
        // A server has no reason but our certificate for these: it checks no other.
        let ours = matches!(
            alert,
            A::NoCertificate
                | A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
                | A::AccessDenied
                | A::CertificateRequired
        );
        let (kind, hint) = match alert {
            A::CertificateRequired | A::NoCertificate => {
                (ErrorKind::ClientCertificate, "the server wants a client certificate")
            }
            _ if ours => {
                (ErrorKind::ClientCertificate, "the server refused the client certificate")
            }
            A::ProtocolVersion => (
                ErrorKind::Version,
                "the server may speak only versions below 1.2, which are not supported, \
                 or its own are excluded here",
            ),
            A::HandshakeFailure | A::InsufficientSecurity => (
                ErrorKind::Alert,
                "the server has no cipher suite in common with us, or wants a client certificate",
            ),
            A::UnrecognisedName => (
                ErrorKind::Alert,
                "the server knows no site of this name; is it the right address?",
            ),
            A::NoApplicationProtocol => {
                (ErrorKind::Alert, "the server does not speak HTTP/1.1 here")
            }
            _ => (ErrorKind::Alert, ""),
        };
        let number = u8::from(alert);
        let mut error = Self::new(
            kind,
            established,
            format!("the server ended {when} with the alert {name} ({number})"),
            hint,
        );
        // In the handshake an alert is the server's answer, but for its own trouble. Later it is
        // about this connection.
        error.0.retryable = alert == A::InternalError || (established && !ours);
        error
    }

    fn certificate(error: &CertificateError, established: bool, refusal: Option<Refusal>) -> Self {
        let (ders, unpinned) = refusal.map_or((Vec::new(), None), |r| (r.chain, r.unpinned));
        let chain: Vec<Certificate> =
            ders.iter().filter_map(|der: &CertificateDer<'_>| Certificate::read(der)).collect();
        let (kind, message, hint) = match (unpinned, error) {
            (Some(key), _) => (
                ErrorKind::PinMismatch,
                format!(
                    "the server's public key is none of the pinned ones: it has {}",
                    pins::shown(&key)
                ),
                "if the server has a new key and this is it, pin that one",
            ),
            (None, error) => describe(error, &chain),
        };
        let mut error = Self::new(kind, established, message, hint);
        error.0.chain = chain;
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

/// rustls's own words, one line and not too long.
fn shown(error: &rustls::Error) -> String {
    printable(&error.to_string(), 200)
}

const CLOCK: &str = "if this machine's clock is off, set it";
const TRUST: &str = "if you trust it, add its certificate to those that are trusted";
const CHAIN: &str =
    "the server should send the whole chain; what is missing can be added to what is trusted";
const NAME: &str = "is this the right host? reach it by its own name";

fn describe(error: &CertificateError, chain: &[Certificate]) -> (ErrorKind, String, &'static str) {
    use CertificateError as C;
    let leaf = chain.first();
    match error {
        C::ExpiredContext { time, not_after } => {
            let (which, now) = (dated(chain, |c| c.not_after, *not_after), at(*time));
            let message =
                format!("{which} expired on {}, and by our clock it is {now}", at(*not_after));
            (ErrorKind::CertificateExpired, message, CLOCK)
        }
        C::Expired => {
            (ErrorKind::CertificateExpired, "the server's certificate has expired".into(), CLOCK)
        }
        C::NotValidYetContext { time, not_before } => {
            let (which, now) = (dated(chain, |c| c.not_before, *not_before), at(*time));
            let message = format!(
                "{which} is valid only from {}, and by our clock it is {now}",
                at(*not_before)
            );
            (ErrorKind::CertificateNotYetValid, message, CLOCK)
        }
        C::NotValidYet => (
            ErrorKind::CertificateNotYetValid,
            "the server's certificate is not valid yet".into(),
            CLOCK,
        ),
        C::NotValidForNameContext { expected, .. } => {
            let names = match leaf.map(|leaf| (leaf.names_phrase(), leaf)) {
                Some((Some(names), _)) => format!("it is for {names}"),
                Some((None, leaf)) => {
                    format!("it names no host (only {}, which does not count)", leaf.subject)
                }
                None => "it is for others".into(),
            };
            let message =
                format!("the server's certificate is not for {}: {names}", expected.to_str());
            (ErrorKind::CertificateName, message, NAME)
        }
        C::NotValidForName => {
            (ErrorKind::CertificateName, "the server's certificate is for other names".into(), NAME)
        }
        C::UnknownIssuer | C::Other(_) if leaf.is_some_and(|leaf| leaf.self_issued) => {
            let subject = leaf.map_or("", |leaf| leaf.subject.as_str());
            (
                ErrorKind::SelfSigned,
                format!("the server's certificate is signed by itself ({subject})"),
                TRUST,
            )
        }
        C::UnknownIssuer => unknown_issuer(chain),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => (
            ErrorKind::CertificatePurpose,
            "the server's certificate is not one for servers".into(),
            "",
        ),
        C::BadSignature => (
            ErrorKind::CertificateInvalid,
            "a signature by the server or in its certificates is wrong, \
             or by an RSA key below 2048 bits"
                .into(),
            "",
        ),
        error => {
            let message = format!("the server's certificate cannot be accepted: {}", reason(error));
            (ErrorKind::CertificateInvalid, message, "")
        }
    }
}

/// The rarer reasons in plain words.
fn reason(error: &CertificateError) -> String {
    use CertificateError as C;
    match error {
        C::BadEncoding => "it is malformed".into(),
        C::Revoked => "it is revoked".into(),
        C::UnhandledCriticalExtension => {
            "it has a critical extension that is not known here".into()
        }
        C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed in a way that is not supported (SHA-1, say)".into()
        }
        // webpki's own errors arrive wrapped, and their text is the variant's name.
        C::Other(error) => match error.0.to_string().as_str() {
            "CaUsedAsEndEntity" => "it is that of an authority, not of a server".into(),
            "UnsupportedCertVersion" => "it is not of X.509 version 3".into(),
            "NameConstraintViolation" => "its issuer may not sign for such names".into(),
            "PathLenConstraintViolated" | "EndEntityUsedAsCa" => {
                "it is signed with a certificate that may not sign it".into()
            }
            other => printable(other, 120),
        },
        error => printable(&error.to_string(), 160),
    }
}

fn unknown_issuer(chain: &[Certificate]) -> (ErrorKind, String, &'static str) {
    let (message, hint) = match chain {
        [] => (
            "the server's certificate is signed by an authority that is not known here".into(),
            TRUST,
        ),
        [leaf] => {
            let Certificate { subject, issuer, .. } = leaf;
            let message = format!(
                "the server sent only its own certificate ({subject}), and its issuer ({issuer}) is not known here"
            );
            (message, CHAIN)
        }
        [leaf, .., last] => {
            let message = format!(
                "the certificate chain ({}) ends at an authority that is not known here ({})",
                leaf.subject, last.issuer
            );
            (message, TRUST)
        }
    };
    (ErrorKind::UnknownIssuer, message, hint)
}

/// Which certificate of the chain has this date.
fn dated(chain: &[Certificate], field: impl Fn(&Certificate) -> i64, seconds: UnixTime) -> String {
    let seconds = i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX);
    match chain.iter().position(|certificate| field(certificate) == seconds) {
        None | Some(0) => "the server's certificate".into(),
        Some(at) => {
            let subject = chain.get(at).map_or("", |certificate| certificate.subject.as_str());
            format!("a certificate of the chain ({subject})")
        }
    }
}

fn at(time: UnixTime) -> String {
    date(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).min(253_402_300_799))
}

/// `HandshakeFailure` as the RFC writes it: `handshake_failure`.
fn alert_name(alert: AlertDescription) -> String {
    let Some(camel) = alert.as_str() else { return "of an unknown kind".into() };
    let mut name = String::with_capacity(camel.len() + 4);
    let mut before_lower = false;
    for c in camel.chars() {
        if c.is_ascii_uppercase() && before_lower {
            name.push('_');
        }
        before_lower = c.is_ascii_lowercase();
        name.push(c.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for (at, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(ErrorKind::from_name(kind.name()), Some(kind));
            assert!(kind.name().starts_with("tls_"));
            assert_eq!(kind as usize, at, "none is missing");
        }
        assert_eq!(ErrorKind::Internal as usize + 1, ErrorKind::ALL.len());
        assert_eq!(ErrorKind::from_name("eof_in_body"), None);
    }

    #[test]
    fn a_server_with_nothing_in_common_is_told_from_one_of_another_version() {
        for (why, kind) in [
            (PeerIncompatible::NoKxGroupsInCommon, ErrorKind::Incompatible),
            (PeerIncompatible::Tls12NotOfferedOrEnabled, ErrorKind::Version),
        ] {
            let error = Error::from_rustls(&rustls::Error::PeerIncompatible(why), false, None);
            assert_eq!((error.kind(), error.is_final()), (kind, true), "{error}");
        }
    }

    #[test]
    fn alerts_have_the_names_of_the_rfc_and_a_verdict() {
        use AlertDescription as A;
        for (alert, name, kind, handshake_final, later_final) in [
            (A::HandshakeFailure, "handshake_failure", ErrorKind::Alert, true, false),
            (A::InternalError, "internal_error", ErrorKind::Alert, false, false),
            (A::UnknownCA, "unknown_ca", ErrorKind::ClientCertificate, true, true),
            (
                A::CertificateRequired,
                "certificate_required",
                ErrorKind::ClientCertificate,
                true,
                true,
            ),
            (A::ProtocolVersion, "protocol_version", ErrorKind::Version, true, false),
            (A::BadRecordMac, "bad_record_mac", ErrorKind::Alert, true, false),
            (A::UnknownPSKIdentity, "unknown_pskidentity", ErrorKind::Alert, true, false),
        ] {
            let number = u8::from(alert);
            for (established, expected) in [(false, handshake_final), (true, later_final)] {
                let error = Error::alert(alert, established);
                assert_eq!(error.kind(), kind);
                assert_eq!(error.is_final(), expected, "{name} {established}");
                assert_eq!(error.exit_code(), if established { 56 } else { 35 });
                assert!(error.to_string().contains(&format!("{name} ({number})")), "{error}");
            }
        }
    }
}
