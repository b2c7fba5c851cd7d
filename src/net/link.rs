//! A link: what the driver keeps for one connection between its socket and the engine.
//!
//! Latched readiness, bytes that the peer has not taken yet, the TLS session with the part of a
//! record that is not complete. An idle link holds no buffer.

use core::net::SocketAddr;

use crate::base::Instant;
use crate::engine::{ConnKey, Fault};
#[cfg(feature = "tls")]
use crate::tls::Session;

/// One connection's socket side.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) key: ConnKey,
    /// The connection's number, for whoever looks on.
    pub(super) serial: u64,
    /// An edge said so, and no call has said otherwise since.
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// It is in the hot list.
    pub(super) hot: bool,
    pub(super) connected: bool,
    /// Where it leads, and since when.
    pub(super) remote: SocketAddr,
    pub(super) opened: Instant,
    /// The engine has something to send.
    pub(super) transmit: bool,
    pub(super) paused: bool,
    /// Our end is to be sent when everything before it is out.
    pub(super) finishing: Finishing,
    /// A write failed; what the peer sent before is read first.
    pub(super) broken: Option<Fault>,
    /// Bytes that the peer has not taken; `unsent_at` of them are out.
    pub(super) unsent: Vec<u8>,
    pub(super) unsent_at: usize,
    /// Those bytes hold a piece of a request (not only TLS's own messages).
    pub(super) unsent_request: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

/// How far our end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Finishing {
    /// Not asked for.
    No,
    /// Behind what is unsent.
    Wanted,
    /// Out.
    Sent,
}

/// The TLS side of a link.
#[cfg(feature = "tls")]
pub(super) struct Tls {
    pub(super) session: Session,
    /// The front of a record whose rest has not come.
    pub(super) partial: Vec<u8>,
    /// The engine knows that the handshake is complete.
    pub(super) secured: bool,
    /// `close_notify` came.
    pub(super) closed: bool,
}

#[cfg(feature = "tls")]
impl core::fmt::Debug for Tls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tls").field("partial", &self.partial.len()).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) const fn new(
        key: ConnKey,
        serial: u64,
        remote: SocketAddr,
        opened: Instant,
    ) -> Self {
        Self {
            key,
            serial,
            readable: false,
            writable: false,
            hot: false,
            connected: false,
            remote,
            opened,
            transmit: false,
            paused: false,
            finishing: Finishing::No,
            broken: None,
            unsent: Vec::new(),
            unsent_at: 0,
            unsent_request: false,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Whether everything that was to be sent is out.
    pub(super) const fn is_flushed(&self) -> bool {
        self.unsent_at == self.unsent.len()
    }

    /// Whether it is established, and there may be something to read that somebody wants.
    pub(super) fn has_data(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.tls.as_ref().is_some_and(|tls| !tls.secured) {
            return false;
        }
        self.connected && self.readable && !self.paused
    }

    /// Whether the pump has anything to do.
    #[inline]
    pub(super) const fn has_work(&self) -> bool {
        if !self.connected {
            return self.writable || self.readable;
        }
        let reads = self.readable && !self.paused;
        let writes = self.writable
            && (self.transmit || !self.is_flushed() || matches!(self.finishing, Finishing::Wanted));
        reads || writes
    }
}
