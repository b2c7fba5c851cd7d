//! What passes between the resolver and whoever drives it: plain values.

use core::net::{IpAddr, SocketAddr};

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::error::DnsError;
use super::lookup::{LookupKey, QueryKey};
use crate::base::Instant;

/// What a name leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// Where to connect, in the order of trying; never empty.
    pub addresses: Vec<IpAddr>,
    /// Until then the answer holds.
    pub expires: Instant,
    /// The answer is past its time, and serves because no server gives a new one (RFC 8767).
    pub stale: bool,
    /// Where it is from.
    pub source: Source,
}

/// Where an [`Answer`] is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Source {
    /// The name was an address.
    Literal,
    /// `localhost` is this machine, whatever anybody says (RFC 6761).
    Localhost,
    /// The hosts file.
    Hosts,
    /// An earlier answer.
    Cache,
    /// This server.
    Server(SocketAddr),
}

/// What [`Resolver::resolve`](super::Resolver::resolve) has to say at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// The answer.
    Ready(Result<Answer, Box<DnsError>>),
    /// [`Action::Resolved`] will bring it, under this key.
    Pending(LookupKey),
}

/// What the driver is to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send the payload in a datagram.
    Send {
        /// The question. It has a socket of its own, with a random port.
        query: QueryKey,
        /// Where to.
        server: SocketAddr,
        /// Once more, on the socket that the question has already. Else open it, connected to
        /// the server.
        again: bool,
    },
    /// Connect over TCP and send the payload; what comes goes to [`Resolver::stream`](super::Resolver::stream).
    Connect {
        /// The question, new too.
        query: QueryKey,
        /// Where to.
        server: SocketAddr,
    },
    /// The question's socket is not needed any more. Whatever it still holds is of no interest.
    Close {
        /// The question.
        query: QueryKey,
    },
    /// A look-up has a result.
    Resolved {
        /// Which.
        lookup: LookupKey,
        /// It.
        result: Result<Answer, Box<DnsError>>,
        /// The look-up goes on, and one more result will come with this key: this one has the
        /// addresses of one family, or stale ones. The last result has all that was found.
        more: bool,
    },
}

/// Why a socket was of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SocketFailure {
    /// Refused: the machine is there, and nobody listens.
    NobodyListens,
    /// No route, the network is down.
    Unreachable,
    /// We are out of sockets, ports or buffers: our own trouble, tried again a little later.
    Exhausted,
    /// The stream ended.
    Closed,
    /// Another error of the system, with its number.
    Os(i32),
}

/// What a resolver has done so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Calls of [`Resolver::resolve`](super::Resolver::resolve).
    pub asked: u64,
    /// Of these, answered without a question to a server.
    pub ready: u64,
    /// Questions sent, each on a socket of its own.
    pub sent: u64,
    /// Datagrams sent again.
    pub again: u64,
    /// Questions asked over TCP.
    pub tcp: u64,
    /// Datagrams that were no answer to a question of ours.
    pub strays: u64,
    /// Times that a server was silent until we gave up waiting.
    pub silences: u64,
    /// Answers past their time that served all the same.
    pub stale: u64,
    /// Names in the cache.
    pub cached: usize,
    /// Names that had to leave it for others.
    pub evicted: u64,
}
