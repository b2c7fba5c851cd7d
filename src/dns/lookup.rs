//! One name on its way to addresses: what is asked for it, what was found, what was told.

use core::net::IpAddr;
use core::time::Duration;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::config::Family;
use super::error::{DnsErrorKind, Report};
use super::name::WireName;
use super::servers::Set;
use crate::base::{Instant, Key};

/// Names a look-up that is under way.
pub type LookupKey = Key<PendingLookup>;
/// Names a question that was sent, and its socket.
pub type QueryKey = Key<OpenQuery>;

/// Reports of one look-up that are kept.
const MAX_REPORTS: usize = 16;

/// A name whose addresses are being asked for, however many wait for them.
#[derive(Debug)]
pub struct PendingLookup {
    /// As it was asked for, in lower case.
    pub(super) typed: Box<str>,
    /// Which name of the search list is being tried.
    pub(super) candidate: usize,
    /// That name.
    pub(super) name: Box<[u8]>,
    pub(super) sides: [Side; 2],
    pub(super) told: Told,
    /// The server that sent the last answer.
    pub(super) server: Option<u8>,
    /// The worst that happened to the names before this one.
    pub(super) worst: Option<DnsErrorKind>,
    pub(super) reports: Vec<Report>,
}

impl Default for PendingLookup {
    /// Of nothing, in place of one that is being judged.
    fn default() -> Self {
        Self::of(Box::default())
    }
}

/// What the caller knows already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Nothing,
    /// One family's addresses; the other's may still come.
    OneFamily,
    /// Addresses past their time; new ones may still come.
    Stale,
}

/// One family of a look-up.
#[derive(Debug)]
pub(super) enum Side {
    Unwanted,
    /// To be asked as soon as there is room.
    Waiting(Ask),
    /// Asked.
    Open(QueryKey, Ask),
    Done(Found),
}

/// Whom a side asked, and where it stands.
#[derive(Debug, Default)]
pub(super) struct Ask {
    /// Servers that were silent in this round.
    pub(super) silent: Set,
    /// Servers that need not be asked again: they answered, or can't be reached.
    pub(super) done: Set,
    pub(super) round: u8,
    /// The one to ask next, and whether over TCP, when that is settled.
    pub(super) next: Option<(u8, bool)>,
    /// The name at the end of the aliases so far, and how many there were.
    pub(super) alias: Option<Box<Alias>>,
    pub(super) worst: Option<DnsErrorKind>,
    /// How often the system had no socket for it.
    pub(super) exhausted: u16,
}

/// Where aliases led.
#[derive(Debug)]
pub(super) struct Alias {
    pub(super) target: WireName,
    pub(super) hops: u8,
    pub(super) ttl: u32,
}

/// What became of a side.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Addresses(Box<[IpAddr]>, Instant),
    Negative { nx: bool, server: u8 },
    Failed(DnsErrorKind),
}

/// A question that was sent and not answered yet.
#[derive(Debug)]
pub struct OpenQuery {
    pub(super) lookup: LookupKey,
    pub(super) family: Family,
    pub(super) server: u8,
    pub(super) id: u16,
    pub(super) edns: bool,
    /// It finds out whether a server that was silent is back.
    pub(super) probe: bool,
    pub(super) sent: Instant,
    pub(super) until: Instant,
    pub(super) channel: Channel,
}

/// How a question travels.
#[derive(Debug)]
pub(super) enum Channel {
    /// In datagrams: sent so often, the next after this wait; and those that were no answer.
    Udp { sent: u16, wait: Duration, strays: u16 },
    /// In a stream: what came of the answer so far, its length first.
    Tcp { received: Vec<u8> },
}

impl PendingLookup {
    /// Nothing is known and nothing asked yet.
    pub(super) fn of(typed: Box<str>) -> Self {
        Self {
            typed,
            candidate: 0,
            name: Box::default(),
            sides: [Side::Unwanted, Side::Unwanted],
            told: Told::Nothing,
            server: None,
            worst: None,
            reports: Vec::new(),
        }
    }

    /// What was found so far.
    pub(super) fn addresses(&self) -> Option<(Vec<IpAddr>, Instant)> {
        let mut expires = Instant::NEVER;
        let mut addresses = Vec::new();
        for side in &self.sides {
            if let Side::Done(Found::Addresses(list, until)) = side {
                addresses.extend(list.iter());
                expires = expires.min(*until);
            }
        }
        (!addresses.is_empty()).then_some((addresses, expires))
    }

    /// Whether an answer is still outstanding.
    pub(super) fn is_open(&self) -> bool {
        self.sides.iter().any(|side| matches!(side, Side::Waiting(_) | Side::Open(..)))
    }

    /// What went wrong with this name: the worst of both families.
    pub(super) fn trouble(&self) -> DnsErrorKind {
        let kinds = self.sides.iter().filter_map(|side| match side {
            Side::Done(Found::Failed(kind)) => Some(*kind),
            Side::Done(Found::Negative { nx: true, .. }) => Some(DnsErrorKind::NoSuchName),
            Side::Done(_) => Some(DnsErrorKind::NoAddress),
            _ => None,
        });
        kinds.max_by_key(|kind| gravity(*kind)).unwrap_or(DnsErrorKind::NoAddress)
    }

    pub(super) fn side(&mut self, family: Family) -> &mut Side {
        let [v4, v6] = &mut self.sides;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        if self.reports.len() < MAX_REPORTS && !self.reports.contains(&report) {
            self.reports.push(report);
        }
    }
}

impl Side {
    /// Takes the state of asking out; the side must get another state next.
    pub(super) fn take_ask(&mut self) -> Option<Ask> {
        match core::mem::replace(self, Self::Unwanted) {
            Self::Waiting(ask) | Self::Open(_, ask) => Some(ask),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// Which of two troubles is the one to tell: what may pass by itself before what is certain, for
/// certain is nothing then; and who spoke before who was silent.
pub(super) const fn gravity(kind: DnsErrorKind) -> u8 {
    match kind {
        DnsErrorKind::BadName => 0,
        DnsErrorKind::NoSuchName => 1,
        DnsErrorKind::NoAddress => 2,
        DnsErrorKind::CnameLoop => 3,
        DnsErrorKind::Unanswered => 4,
        DnsErrorKind::Malformed => 5,
        DnsErrorKind::Refused => 6,
        DnsErrorKind::ServerFailure => 7,
    }
}

/// The graver of two troubles.
pub(super) fn graver(one: Option<DnsErrorKind>, other: DnsErrorKind) -> DnsErrorKind {
    one.filter(|one| gravity(*one) > gravity(other)).unwrap_or(other)
}
