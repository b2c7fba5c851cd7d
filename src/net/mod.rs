//! The readiness and TLS pump, generic over the operating system.
//!
//! [`Driver`] owns the read buffer, the links between the engine's connections and sockets, and
//! the order of a turn; it makes no system call. [`Net`] is the handful of calls that it needs;
//! [`mio::Mio`] makes them on real sockets, the simulator on simulated ones, an embedder on
//! whatever loop is there.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod bounds;
#[cfg(feature = "dns")]
mod doubts;
mod driver;
mod link;
#[cfg(feature = "mio")]
pub mod mio;
#[cfg(feature = "dns")]
mod names;
pub mod observe;
#[cfg(feature = "cli")]
mod reach;
#[cfg(feature = "remote")]
pub mod remote;
mod rest;
pub mod tap;

use core::net::SocketAddr;
use core::time::Duration;

use crate::base::Instant;
use crate::engine::{Cause, Fault};

pub use bounds::DriverConfig;
pub use driver::Driver;
#[cfg(feature = "dns")]
pub use names::Names;
#[cfg(feature = "fetch")]
pub use names::system_random;
#[cfg(feature = "remote")]
pub use remote::Remote;

/// Tokens with this bit name sockets of the resolver: they have slots of their own.
pub const RESOLVER: usize = 1 << (usize::BITS - 2);

/// What became of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// Bytes came. `drained`: nothing more is there now, and an edge will tell when there is.
    Bytes {
        /// How many, at least one.
        count: usize,
        /// Reading again would only say [`Read::Blocked`].
        drained: bool,
    },
    /// Nothing is there now; an edge will tell when there is.
    Blocked,
    /// The peer sent its end.
    End,
}

/// What became ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// The token that the socket was opened with.
    pub token: usize,
    /// Bytes, an end or an error can be read.
    pub readable: bool,
    /// Bytes can be written, or connecting came to an end.
    pub writable: bool,
}

/// The operating system, as far as the driver needs it. Sockets are named by tokens that the
/// driver chooses; readiness is edge-triggered: it is told once, and again only after a call
/// said [`Read::Blocked`], [`Read::Bytes`] with `drained`, or `None` for a write.
pub trait Net {
    /// The time. Never goes backwards.
    fn now(&mut self) -> Instant;

    /// Our end of a connection, where it is known.
    fn local(&mut self, token: usize) -> Option<SocketAddr> {
        let _ = token;
        None
    }

    /// Begins to connect. Both directions are watched from now on, and never registered again.
    fn open(&mut self, token: usize, address: SocketAddr) -> Result<(), Fault>;

    /// Opens a socket for datagrams to and from `peer` alone, from a port that strangers can't
    /// foresee; [`write`](Self::write) sends one, [`read`](Self::read) takes one, and is never
    /// drained before it is blocked. Only a driver with a resolver needs this.
    fn open_datagrams(&mut self, token: usize, peer: SocketAddr) -> Result<(), Fault> {
        let _ = (token, peer);
        Err(Fault::new(Cause::Other))
    }

    /// After a first edge: whether the connection is established; `false` is not yet.
    fn established(&mut self, token: usize) -> Result<bool, Fault>;

    /// Reads into `buffer`.
    fn read(&mut self, token: usize, buffer: &mut [u8]) -> Result<Read, Fault>;

    /// Writes; `None` when nothing can be taken now.
    fn write(&mut self, token: usize, bytes: &[u8]) -> Result<Option<usize>, Fault>;

    /// Sends our end; reading goes on.
    fn finish(&mut self, token: usize);

    /// Closes; with `reset`, without waiting for anything. The token may be used again.
    fn close(&mut self, token: usize, reset: bool);

    /// Waits until something is ready, or for `timeout`; appends what is ready. Returns whether
    /// more may be ready than was appended.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<bool, Fault>;

    /// The same, but it may let `rest` pass first, so that more becomes ready meanwhile: one wake-up for many
    /// answers in place of one for each. A net that has no use for that waits at once.
    fn wait_rested(
        &mut self,
        rest: Duration,
        timeout: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> Result<bool, Fault> {
        let _ = rest;
        self.wait(timeout, ready)
    }
}
