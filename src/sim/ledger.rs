//! What happened in a simulation: counts, requests as a listener on the wire saw them, broken
//! rules, and a hash of everything that the driver did and saw.

use crate::base::Instant;

/// One request, as the client's kernel took it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Asked {
    /// The method; empty until the whole head was taken.
    pub method: String,
    /// The target; empty until the whole head was taken.
    pub target: String,
    /// The first byte, which tells most methods apart.
    pub first: u8,
    /// The number of the connection.
    pub connection: u32,
    /// When its first byte was taken.
    pub at: Instant,
    /// The status, when the client has read an answer to its last byte.
    pub whole: Option<u16>,
}

impl Asked {
    pub(super) fn new(connection: u32, first: u8, at: Instant) -> Self {
        Self { method: String::new(), target: String::new(), first, connection, at, whole: None }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Ledger {
    /// Sockets opened.
    pub opened: u64,
    /// Sockets open now.
    pub open: u32,
    /// The most of them at once.
    pub peak: u32,
    /// Requests, in the order of their first bytes.
    pub asked: Vec<Asked>,
    /// Faults that the client met.
    pub faults: u64,
    /// Writes of which something was taken.
    pub writes: u64,
    /// Waits.
    pub waits: u64,
    /// Things that went on: calls that moved something, segments that arrived.
    pub moved: u64,
    /// A wait without end in which nothing could ever happen.
    pub stuck: bool,
    /// Rules of the net or of HTTP that the client broke.
    pub violations: Vec<String>,
    /// A hash of all calls with their results.
    pub hash: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            opened: 0,
            open: 0,
            peak: 0,
            asked: Vec::new(),
            faults: 0,
            writes: 0,
            waits: 0,
            moved: 0,
            stuck: false,
            violations: Vec::new(),
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }
}

impl Ledger {
    pub(super) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    pub(super) fn note(&mut self, operation: u8, what: u64) {
        self.hash = (self.hash ^ u64::from(operation)).wrapping_mul(0x0000_0100_0000_01b3);
        self.hash = (self.hash ^ what).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
    }
}
