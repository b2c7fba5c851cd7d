//! Looking on: what goes over each connection, in plaintext and in order, for `-v`, `--record-wire`
//! and whoever debugs a server.
//!
//! Owns nothing and decides nothing; without a tap it costs one comparison.

use core::net::SocketAddr;

use crate::base::Instant;
use crate::engine::TlsInfo;
use crate::proto::wire::End;

/// Something that went over a connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Tapped<'a> {
    /// The connection's number, as in [`ConnInfo::id`](crate::engine::ConnInfo::id).
    pub conn: u64,
    /// When.
    pub at: Instant,
    /// What.
    pub what: What<'a>,
}

/// What went over a connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum What<'a> {
    /// It is there.
    Connected {
        /// The peer.
        remote: SocketAddr,
        /// Our end, where the system tells.
        local: Option<SocketAddr>,
    },
    /// The handshake is complete.
    Secured(TlsInfo),
    /// What the server showed in it, behind [`Secured`](Self::Secured): its own certificate first, as DER.
    Certificates(&'a [&'a [u8]]),
    /// Bytes of a request, before encryption.
    Sent(&'a [u8]),
    /// Bytes of an answer, after decryption.
    Received(&'a [u8]),
    /// It is over. Said once or twice: how the peer ended it, and that it was closed here.
    End(End),
}

/// Hears of everything that goes over connections. Must not take long.
pub type Tap = Box<dyn FnMut(&Tapped<'_>) + Send>;
