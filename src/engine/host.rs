//! A host: an origin (scheme, name, port) with its addresses, its queues and its connections.
//!
//! Hosts are interned: a job names its host by key, and nothing is hashed a request. Whether a
//! host stands in the ring of those that can be served is the scheduler's affair; this module
//! holds what it decides by.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::Kind;
use super::budget::Budget;
use super::job::{QUEUES, Queue};
use super::limit::{Explanation, Finding, Limit};
use super::pace::{Pace, PaceExplanation};
use super::pool::Habits;
use super::refusal::ServerErrors;
use super::spurned::Spurned;
use super::worth::Worth;
use crate::base::{Instant, Key, Linked, Links, List, push_digits};

/// Names an origin that was interned.
pub type HostKey = Key<Host>;

/// Where a request goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    /// With or without TLS.
    pub scheme: Scheme,
    /// A name in lower case, or an address (IPv6 without brackets).
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

/// As in a URL, the port always named: `http://[::1]:80`.
impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

/// With or without TLS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The port that need not be named.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// As in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known of a host.
#[derive(Debug)]
pub struct Host {
    pub(super) scheme: Scheme,
    pub(super) name: Box<str>,
    pub(super) port: u16,
    pub(super) names: Names,
    /// It was counted at its addresses.
    pub(super) counted: bool,
    /// It stands in the queue of its address, which had no slot for it.
    pub(super) turned_away: bool,
    /// The address group whose room it was woken for.
    pub(super) woken_by: Option<u32>,
    pub(super) queues: [List<0>; QUEUES],
    /// Jobs that wait for their own timers, or run.
    pub(super) elsewhere: u32,
    /// Its place in the ring.
    pub(super) links: Links,
    pub(super) idle: List<0>,
    /// Races under way: each takes one slot.
    pub(super) dials: u32,
    /// Connections past their race: securing or settling, idle, busy, closing.
    pub(super) conns: u32,
    /// Those of them that are securing or settling.
    pub(super) securing: u32,
    /// Those of them that have served at least once.
    pub(super) proven: u32,
    /// Those of them that are busy.
    pub(super) busy: u32,
    /// Those of the busy ones on which not one byte ever came.
    pub(super) unheard: u32,
    pub(super) limit: Limit,
    /// The limit that whoever looks on was told last.
    pub(super) told_limit: u32,
    pub(super) pace: Pace,
    pub(super) errors: ServerErrors,
    pub(super) budget: Budget,
    /// No new connection before this: opening one failed.
    pub(super) hold_open: Instant,
    /// Nor before what follows from connections that were reset one after the other.
    pub(super) spurned: Spurned,
    /// When nothing was being opened last: attempts that began before it begin anew.
    pub(super) unopened: Instant,
    pub(super) reach: Reach,
    pub(super) habits: Habits,
    pub(super) worth: Worth,
    pub(super) stats: Counts,
    /// As what the last request failed that failed for good.
    pub(super) failure: Option<Kind>,
}

/// What is known of a host's addresses.
#[derive(Debug)]
pub(super) enum Names {
    /// Nothing, or what was known has expired.
    Unknown,
    /// The resolver was asked.
    Asking { since: Instant },
    /// Here they are.
    Known {
        addresses: Vec<SocketAddr>,
        until: Instant,
        /// The address that won the last race.
        winner: usize,
        /// What the look-up took, told with the first connection.
        took: Duration,
        stale: bool,
        /// No race has used it yet: it may wait for a slot longer than it holds.
        unused: bool,
    },
}

/// Whether a host can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Never tried, or the last try went well.
    Open,
    /// Opening connections fails.
    Failing {
        /// Since when.
        since: Instant,
        /// How often, one round of addresses counted once.
        rounds: u32,
        /// When the last failure was counted.
        last: Instant,
    },
    /// Given up: jobs end at once, but for one probe from `probe` on.
    Down { rounds: u32, probe: Instant },
    /// The host asked to be left alone until then: jobs end unsent.
    Closed { until: Instant },
}

/// What happened to a host so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Requests handed to a socket, repeats included.
    pub requests: u64,
    /// Responses that came to their end.
    pub responses: u64,
    /// Content bytes.
    pub bytes: u64,
    /// Connections that were established.
    pub connections: u64,
    /// The most connections at once, those that were closing included.
    pub peak: u32,
    /// Fresh connections that were reset or closed before an answer.
    pub fresh_resets: u64,
    /// Kept connections that turned out to be closed when a request went out.
    pub stale: u64,
    /// Idle connections that the server closed.
    pub idle_closes: u64,
    /// Connections that could not be opened.
    pub open_failures: u64,
    /// Time-outs of any phase after the connection was there.
    pub timeouts: u64,
    /// Answers of 429.
    pub too_many: u64,
    /// Answers of 503.
    pub unavailable: u64,
    /// Attempts that were made again.
    pub repeats: u64,
    /// Bodies that were continued instead of begun again.
    pub resumed: u64,
    /// Requests that failed for good, those that were called off left out.
    pub failed: u64,
}

/// A view of one host for a summary.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HostStats<'a> {
    /// The origin.
    pub origin: Origin<'a>,
    /// What happened.
    pub counts: Counts,
    /// Connections that it may have now.
    pub limit: u32,
    /// Connections that it has now.
    pub connections: u32,
    /// Jobs that wait for it.
    pub queued: u32,
    /// How the limit came about. Its `Display` is a sentence, as the command's summary has it: `settled at 24:
    /// the 25th connection was reset`.
    pub explanation: Explanation,
    /// The pause and the rate of requests that it asked for, or was found to bear. Its `Display` is a
    /// sentence, too: `paced at 99.1 requests/s, found by 429`.
    pub pace: PaceExplanation,
    /// It is given up.
    pub down: bool,
    /// It asked to be left alone until then.
    pub closed_until: Option<Instant>,
    /// As what the last request failed that failed for good.
    pub failure: Option<Kind>,
}

impl HostStats<'_> {
    /// What its user could do about it, when there is something.
    pub fn remedy(&self) -> Option<Remedy> {
        let counts = &self.counts;
        let finding = self.explanation.finding;
        Some(if self.down {
            Remedy::CheckThatItRuns
        } else if self.closed_until.is_some() {
            Remedy::ComeBackLater
        } else if counts.too_many > 0 || self.pace.rate_milli.is_some() {
            Remedy::SlowDown
        } else if matches!(finding, Finding::Complaint { .. }) {
            Remedy::AskForMore
        } else if counts.timeouts > 0 && counts.peak > 1 {
            Remedy::UseFewer
        } else if counts.open_failures > 0 {
            Remedy::AskWhy
        } else if matches!(finding, Finding::Ceiling) {
            Remedy::AllowMore
        } else {
            return None;
        })
    }
}

/// What the user of a host could do about how it is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Remedy {
    /// It is down: see whether it runs, and fetch what is left later.
    CheckThatItRuns,
    /// It asked to be left alone: fetch what is left later.
    ComeBackLater,
    /// It limits the rate of requests: a rate from the start spares both sides the search.
    SlowDown,
    /// It has a hard limit, which its owner may raise.
    AskForMore,
    /// It is slow under load: fewer connections may help.
    UseFewer,
    /// It refuses connections now and then: its owner may know why.
    AskWhy,
    /// It would bear more than it is allowed to get: raise the ceiling.
    AllowMore,
}

impl Remedy {
    /// The stable name, `snake_case`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CheckThatItRuns => "check_that_it_runs",
            Self::ComeBackLater => "come_back_later",
            Self::SlowDown => "slow_down",
            Self::AskForMore => "ask_for_more",
            Self::UseFewer => "use_fewer",
            Self::AskWhy => "ask_why",
            Self::AllowMore => "allow_more",
        }
    }
}

/// A view of one address that several origins share: they share its limit, too.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AddressStats {
    /// The address.
    pub address: IpAddr,
    /// Origins that were seen there.
    pub origins: u32,
    /// Connections that all of them together have now,
    pub connections: u32,
    /// and may have.
    pub limit: u32,
    /// How that limit came about.
    pub explanation: Explanation,
}

impl Linked for Host {
    fn links(&mut self, _: usize) -> &mut Links {
        &mut self.links
    }
    fn links_ref(&self, _: usize) -> &Links {
        &self.links
    }
}

impl Host {
    pub(super) fn new(origin: &Origin<'_>, limit: Limit, pace: Pace, budget: Budget) -> Self {
        Self {
            scheme: origin.scheme,
            name: origin.host.into(),
            port: origin.port,
            names: literal(origin),
            counted: false,
            turned_away: false,
            woken_by: None,
            queues: [const { List::new() }; QUEUES],
            elsewhere: 0,
            links: Links::default(),
            idle: List::new(),
            dials: 0,
            conns: 0,
            securing: 0,
            proven: 0,
            busy: 0,
            unheard: 0,
            told_limit: limit.allowed(),
            limit,
            pace,
            errors: ServerErrors::default(),
            budget,
            hold_open: Instant::ZERO,
            spurned: Spurned::default(),
            unopened: Instant::ZERO,
            reach: Reach::Open,
            habits: Habits::default(),
            worth: Worth::default(),
            stats: Counts::default(),
            failure: None,
        }
    }

    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { scheme: self.scheme, host: &self.name, port: self.port }
    }

    /// Whether this host ever answered in this run.
    pub(super) fn has_served(&self) -> bool {
        self.stats.responses > 0
    }

    /// Jobs that wait for a connection.
    pub(super) fn queued(&self) -> u32 {
        self.queues.iter().take(Queue::Held as usize).map(List::len).sum()
    }

    /// Whether no job waits for a connection.
    pub(super) fn has_no_queue(&self) -> bool {
        self.queues.iter().take(Queue::Held as usize).all(List::is_empty)
    }

    /// Jobs that wait, whatever for.
    #[cfg(feature = "cli")]
    pub(super) fn waiting(&self) -> u32 {
        self.queues.iter().map(List::len).sum::<u32>() + self.elsewhere - self.busy
    }

    /// Slots of its cap that are taken.
    pub(super) fn slots(&self) -> u32 {
        self.conns + self.dials
    }

    /// Whether as much of its work is under way as its limit allows. What is only being opened is none:
    /// where the limit fell meanwhile, and a firewall drops what goes beyond it, those that are there
    /// would rest until it is given up.
    pub(super) fn is_at_work(&self) -> bool {
        self.busy >= self.limit.allowed()
    }

    /// Connections that will each take a job when they are ready.
    pub(super) fn coming(&self) -> u32 {
        self.dials + self.securing
    }

    pub(super) fn stats(&self) -> HostStats<'_> {
        HostStats {
            origin: self.origin(),
            counts: self.stats,
            limit: self.limit.allowed(),
            connections: self.slots(),
            queued: self.queued(),
            explanation: self.limit.explain(),
            pace: self.pace.explain(),
            down: matches!(self.reach, Reach::Down { .. }),
            closed_until: match self.reach {
                Reach::Closed { until } => Some(until),
                _ => None,
            },
            failure: self.failure,
        }
    }
}

/// `name[:port]`, brackets around IPv6, the port left out when it is the scheme's own.
pub(super) fn authority(origin: &Origin<'_>) -> Box<str> {
    let is_v6 = matches!(origin.host.parse(), Ok(IpAddr::V6(_)));
    let [open, close] = if is_v6 { ["[", "]"] } else { [""; 2] };
    let mut out = Vec::new();
    for part in [open, origin.host, close] {
        out.extend_from_slice(part.as_bytes());
    }
    if origin.port != origin.scheme.default_port() {
        out.push(b':');
        push_digits::<10>(&mut out, origin.port.into());
    }
    super::text(out)
}

/// An address in place of a name needs no resolver.
fn literal(origin: &Origin<'_>) -> Names {
    match origin.host.parse::<IpAddr>() {
        Ok(address) => Names::Known {
            addresses: [SocketAddr::new(address, origin.port)].into(),
            until: Instant::NEVER,
            winner: 0,
            took: Duration::ZERO,
            stale: false,
            unused: true,
        },
        Err(_) => Names::Unknown,
    }
}
