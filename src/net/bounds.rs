//! Bounds of the driver: of the work of one turn, and of the memory beside the engine's.

use core::mem::size_of;
use core::time::Duration;

use super::Ready;
use super::link::Link;
use crate::engine::{Bytes, Config, ConfigError, ConnKey, HostKey, Load, grown};

/// The largest TLS record with its head.
pub(super) const RECORD: usize = 16 * 1024 + 256 + 5;
/// What rustls keeps of a connection beside the certificates that it was shown; measured in
/// `tests/tls_memory.rs`.
const SESSION: usize = 6 * 1024;
/// Going to sleep and being woken takes 10 to 20 µs of CPU; a tenth of a millisecond is little for
/// a person and for a network.
const MOST_REST: Duration = Duration::from_micros(100);

/// Half of a frame at sixty a second, and many times what serving a socket takes.
const MOST_TURN: Duration = Duration::from_millis(8);

/// Bounds of the driver's own memory and of the work of one turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DriverConfig {
    /// Bytes of the one read buffer, once reads have filled smaller ones. Where TLS is used it
    /// grows by a record while the front of one is held, whatever is said here. Default: 256 KiB (`tiny`:
    /// 4 KiB).
    pub read_buffer: usize,
    /// Reads of one connection before the others have their turn. Default: 4 (`wide`: 8).
    pub read_budget: u32,
    /// Handshakes of which messages are processed in one turn; established connections go first. Default:
    /// 16 (`tiny`: 1, `wide`: 64).
    pub handshakes_a_turn: u32,
    /// Where tens of thousands of answers a second come in, a turn lets at most so much time pass before it
    /// looks for more, and an eighth of the time of an answer: one wake-up then brings several, which are
    /// handled together. Never where most of the requests under way had been answered already when it looked
    /// last, nor in a turn whose timeout is below a millisecond; zero: never. Default: 100 µs.
    pub most_rest: Duration,
    /// The time that one turn works, its wait not counted. A turn that has worked for so long leaves
    /// what else is ready or overdue to the next, which is then wanted at once, and which begins with
    /// it. A half at least is for what is ready, however long it took to end what was called off
    /// or can't be begun since the last turn. Between two looks at the clock it serves 32 connections, or a single one while they
    /// take long (a handshake, a handler that is slow): a turn overruns this by at most so much, and
    /// by the connections that it opens. Nothing is interrupted, and at least one connection is
    /// served in each turn. [`Duration::MAX`]: as long as it takes. Default: 8 ms (`wide`: 50 ms).
    pub most_turn: Duration,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            read_buffer: 256 * 1024,
            read_budget: 4,
            handshakes_a_turn: 16,
            most_rest: MOST_REST,
            most_turn: MOST_TURN,
        }
    }
}

impl DriverConfig {
    /// Goes with [`Config::tiny`]: a read buffer of 4 KiB.
    pub fn tiny() -> Self {
        Self {
            read_buffer: 4 * 1024,
            read_budget: 4,
            handshakes_a_turn: 1,
            most_rest: MOST_REST,
            most_turn: MOST_TURN,
        }
    }

    /// Goes with [`Config::wide`]: a read buffer of 256 KiB.
    pub fn wide() -> Self {
        Self {
            read_buffer: 256 * 1024,
            read_budget: 8,
            handshakes_a_turn: 64,
            most_rest: MOST_REST,
            most_turn: Duration::from_millis(50),
        }
    }

    /// Refuses what cannot work, and names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.read_buffer < 512 {
            return Err(ConfigError::Least("read_buffer", 512));
        }
        if self.read_budget == 0 {
            return Err(ConfigError::Zero("read_budget"));
        }
        if self.handshakes_a_turn == 0 {
            return Err(ConfigError::Zero("handshakes_a_turn"));
        }
        if self.most_turn.is_zero() {
            return Err(ConfigError::Zero("most_turn"));
        }
        Ok(())
    }

    /// Bytes of heap that a driver holds at most, its engine included.
    ///
    /// ```text
    ///   the engine's own (Config::most_bytes)
    /// + read_buffer + one request's head and piece of body
    /// + what 32 reads brought and came to (or one of each connection)
    /// + max_connections × (a link + a socket's slot + what its peer has not taken)
    /// with TLS:
    /// + a record more of read buffer, one encrypted request
    /// + max_connections × (a session + the certificates shown, or an unfinished message of a
    ///                      handshake, or the front of a record)
    /// ```
    ///
    /// `tls_handshake_bytes`: `tls::Options::max_handshake_bytes`, where TLS is used. Trust
    /// anchors are not counted, nor remembered sessions (`tls::Options::sessions`), nor the
    /// resolver's cache, nor what the kernel holds. More than `usize` can tell is told as
    /// [`usize::MAX`].
    ///
    /// ```
    /// use gannet::engine::{Config, Load};
    /// use gannet::net::DriverConfig;
    ///
    /// let most = |tls| DriverConfig::tiny().most_bytes(&Config::tiny(), &Load::default(), tls);
    /// assert!(most(None) <= 64 * 1024);
    /// assert!(most(Some(16 * 1024)) <= 512 * 1024);
    /// ```
    pub fn most_bytes(
        &self,
        engine: &Config,
        load: &Load,
        tls_handshake_bytes: Option<usize>,
    ) -> usize {
        let conns = engine.max_connections as usize;
        let sent = Bytes(load.request_bytes) + engine.send_bytes as usize;
        // A socket's slot in `net::mio`, with its registration.
        let a_socket = 64;
        let a_link = size_of::<Option<Link>>() + size_of::<ConnKey>() + size_of::<Ready>();
        let mut most = Bytes(engine.most_bytes(load))
            + self.read_buffer
            + grown(conns.min(super::driver::TOGETHER)) * Bytes(super::driver::A_READ)
            + grown(sent.0)
            + grown(conns) * Bytes(a_link + a_socket)
            + grown(load.hosts) * Bytes(size_of::<HostKey>())
            + conns * sent;
        if let Some(handshake) = tls_handshake_bytes {
            // A message of a handshake is held as it came, and once more by rustls.
            let unfinished = (2 * Bytes(handshake)).0.max(RECORD);
            most = most
                + RECORD
                + handshake.max(RECORD)
                + 2 * Bytes(grown(sent.0))
                + conns * (Bytes(SESSION) + unfinished);
        }
        most.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_can_work() {
        for config in [DriverConfig::tiny(), DriverConfig::default(), DriverConfig::wide()] {
            assert_eq!(config.check(), Ok(()));
        }
        let small = DriverConfig { read_buffer: 100, ..DriverConfig::default() };
        assert_eq!(small.check(), Err(ConfigError::Least("read_buffer", 512)));
        let idle = DriverConfig { read_budget: 0, ..DriverConfig::default() };
        assert_eq!(idle.check(), Err(ConfigError::Zero("read_budget")));
        let no_hands = DriverConfig { handshakes_a_turn: 0, ..DriverConfig::default() };
        assert_eq!(no_hands.check(), Err(ConfigError::Zero("handshakes_a_turn")));
        let no_time = DriverConfig { most_turn: Duration::ZERO, ..DriverConfig::default() };
        assert_eq!(no_time.check(), Err(ConfigError::Zero("most_turn")));
    }

    #[test]
    fn tiny_keeps_its_promise_by_the_formula() {
        let most = |tls| DriverConfig::tiny().most_bytes(&Config::tiny(), &Load::default(), tls);
        assert!(most(None) <= 64 * 1024, "plain: {}", most(None));
        assert!(most(Some(16 * 1024)) <= 512 * 1024, "TLS: {}", most(Some(16 * 1024)));
    }

    #[test]
    fn an_absurd_load_is_told_as_more_and_never_wraps() {
        let (driver, engine, usual) = (DriverConfig::tiny(), Config::tiny(), Load::default());
        for many in [usize::MAX, usize::MAX / 2 + 1, usize::MAX / 3] {
            let load = Load { request_bytes: many, ..usual };
            assert_eq!(driver.most_bytes(&engine, &load, Some(1)), usize::MAX);
            assert_eq!(driver.most_bytes(&engine, &usual, Some(many)), usize::MAX);
            let far = DriverConfig { read_buffer: many, ..driver };
            assert!(far.most_bytes(&engine, &usual, None) >= many);
        }
    }
}
