//! Why a name has no addresses, in words: which server said what for which name.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use alloc::boxed::Box;
use alloc::vec::Vec;

/// What went wrong with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DnsError {
    /// What went wrong.
    pub kind: DnsErrorKind,
    /// The name as it was asked for.
    pub name: Box<str>,
    /// What is wrong with the name, when it could not be asked.
    pub bad: Option<&'static str>,
    /// What each server said or did not say, in the order of events, 16 at most.
    pub reports: Vec<Report>,
    /// What may help.
    pub hint: Option<&'static str>,
}

/// The kinds of [`DnsError`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DnsErrorKind {
    /// It can't be asked: an empty label, too long, not ASCII, or `.onion` (RFC 7686).
    BadName,
    /// NXDOMAIN: there is no such name.
    NoSuchName,
    /// NODATA: the name is there, and has no address of a family that is wanted.
    NoAddress,
    /// The servers answered, and could not find out (SERVFAIL and the like).
    ServerFailure,
    /// The servers answered, and would not say.
    Refused,
    /// No server answered.
    Unanswered,
    /// The servers' answers were no valid messages.
    Malformed,
    /// The aliases lead in a circle, or too far.
    CnameLoop,
}

impl DnsErrorKind {
    /// A short name for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadName => "dns_bad_name",
            Self::NoSuchName => "dns_nxdomain",
            Self::NoAddress => "dns_nodata",
            Self::ServerFailure => "dns_servfail",
            Self::Refused => "dns_refused",
            Self::Unanswered => "dns_unanswered",
            Self::Malformed => "dns_malformed",
            Self::CnameLoop => "dns_cname_loop",
        }
    }

    /// Whether the same question may have an answer soon.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::ServerFailure | Self::Refused | Self::Unanswered | Self::Malformed => true,
            Self::BadName | Self::NoSuchName | Self::NoAddress | Self::CnameLoop => false,
        }
    }
}

/// What one server did with one question.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Whom we asked.
    pub server: SocketAddr,
    /// For which name: the search list and aliases make others of the one that was typed.
    pub name: Box<str>,
    /// What came of it.
    pub said: Said,
}

/// What came of asking a server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Said {
    /// NXDOMAIN.
    NoSuchName,
    /// No such record.
    NoAddress,
    /// Another response code.
    Code(u8),
    /// Nothing.
    Silence {
        /// How often the question was sent.
        sent: u16,
        /// How long an answer was waited for.
        waited: Duration,
    },
    /// The machine is there, and nobody listens at the port.
    NobodyListens,
    /// No way leads to it.
    Unreachable,
    /// The system would not send, with its error number.
    Os(i32),
    /// The system had no socket to ask it with, for as long as we would have waited for it.
    Exhausted,
    /// The answer did not fit in a datagram, and TCP failed.
    TcpFailed,
    /// Something that is no valid message.
    Malformed,
    /// A pointer to other servers, which a resolver should have followed.
    Referral,
    /// Aliases in a circle, or too many; the one where it was noticed.
    CnameLoop(Box<str>),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName => f.write_str("said NXDOMAIN"),
            Self::NoAddress => f.write_str("said that it has no address"),
            Self::Code(1) => f.write_str("said FORMERR"),
            Self::Code(2) => f.write_str("said SERVFAIL"),
            Self::Code(4) => f.write_str("said NOTIMP"),
            Self::Code(5) => f.write_str("said REFUSED"),
            Self::Code(code) => write!(f, "answered with code {code}"),
            Self::Silence { sent, waited } => {
                let times = if *sent == 1 { "time" } else { "times" };
                let (secs, tenths) = (waited.as_secs(), waited.subsec_millis() / 100);
                write!(f, "did not answer in {secs}.{tenths} s (asked {sent} {times})")
            }
            Self::NobodyListens => f.write_str("has nobody listening there"),
            Self::Unreachable => f.write_str("can't be reached"),
            Self::Os(code) => write!(f, "can't be sent to (system error {code})"),
            Self::Exhausted => f.write_str("was not asked, for this machine is out of sockets"),
            Self::TcpFailed => f.write_str("failed over TCP"),
            Self::Malformed => f.write_str("sent a malformed answer"),
            Self::Referral => f.write_str("does not resolve for us (it sent a referral)"),
            Self::CnameLoop(at) => write!(f, "sent aliases (CNAME) without end, at {at}"),
        }
    }
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.kind {
            DnsErrorKind::BadName => {
                let why = self.bad.unwrap_or("it is no name");
                return write!(f, "{name:?} can't be looked up: {why}");
            }
            DnsErrorKind::NoSuchName => write!(f, "there is no host {name}")?,
            DnsErrorKind::NoAddress => write!(f, "{name} has no address")?,
            DnsErrorKind::ServerFailure => write!(f, "no server could resolve {name}")?,
            DnsErrorKind::Refused => write!(f, "no server would resolve {name}")?,
            DnsErrorKind::Unanswered => write!(f, "no name server answered for {name}")?,
            DnsErrorKind::Malformed => write!(f, "no valid answer for {name}")?,
            DnsErrorKind::CnameLoop => write!(f, "{name} is an alias without end")?,
        }
        for (at, report) in self.reports.iter().enumerate() {
            if self.reports.iter().take(at).any(|earlier| earlier == report) {
                continue;
            }
            f.write_str(if at == 0 { ": " } else { ", " })?;
            write!(f, "{} {}", report.server, report.said)?;
            if !report.name.eq_ignore_ascii_case(name.strip_suffix('.').unwrap_or(name)) {
                write!(f, " for {}", report.name)?;
            }
        }
        if let Some(hint) = self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl core::error::Error for DnsError {}
