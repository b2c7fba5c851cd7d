//! What a configuration promises: that it can work, and how much memory it takes at most.
//!
//! Owns the refusals of [`Config::check`] and the formula of [`Config::most_bytes`]. The formula
//! counts capacities, not contents: a table of `n` entries that grew one by one has room for the
//! next power of two. `tests/memory.rs` holds real runs to it.

use alloc::vec::Vec;
use core::fmt;
use core::mem::size_of;
use core::net::SocketAddr;
use core::ops::{Add, Mul};
use core::time::Duration;

use super::conn::{Conn, ConnKey};
use super::dial::Dial;
use super::group::{FEW, Group};
use super::host::Host;
use super::intake::{Accepted, Command};
use super::job::Job;
use super::limit::Limit;
use super::pace::Pace;
use super::{Action, Config, PerHost, Try};
use crate::base::{Arena, Index, Instant};
use crate::proto::Scratch;

/// Why a configuration can't work. `Display` says it in a sentence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// This field is zero, and nothing could ever happen.
    Zero(&'static str),
    /// The first field must not be greater than the second.
    Above(&'static str, &'static str),
    /// This field must be at least so much.
    Least(&'static str, u64),
    /// This field must be at most so much.
    Most(&'static str, u64),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero(field) => write!(f, "`{field}` is zero: nothing could ever happen"),
            Self::Above(low, high) => write!(f, "`{low}` is greater than `{high}`"),
            Self::Least(field, least) => write!(f, "`{field}` must be at least {least}"),
            Self::Most(field, most) => write!(f, "`{field}` must be at most {most}"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// What an engine is going to be used for, as far as its memory depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Origins that are named in the engine's life: each is remembered for good. Default: 8.
    pub hosts: usize,
    /// Bytes of the longest host name. Default: 32.
    pub name_bytes: usize,
    /// Addresses that a name has at most. Default: 2.
    pub addresses: usize,
    /// Bytes of the longest request head: request line, `Host` and all fields. Default: 256.
    pub request_bytes: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self { hosts: 8, name_bytes: 32, addresses: 2, request_bytes: 256 }
    }
}

/// Room in a table that grew to `n` entries one by one.
pub(crate) const fn grown(n: usize) -> usize {
    match n {
        0 => 0,
        1..=4 => 4,
        n => match n.checked_next_power_of_two() {
            Some(n) => n,
            None => usize::MAX,
        },
    }
}

/// A sum of bytes that stops at the largest number: a load that nothing could hold is told as that,
/// and never as little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) usize);

impl Add for Bytes {
    type Output = Self;
    fn add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

impl Add<usize> for Bytes {
    type Output = Self;
    fn add(self, more: usize) -> Self {
        self + Self(more)
    }
}

impl Mul<Bytes> for usize {
    type Output = Bytes;
    fn mul(self, each: Bytes) -> Bytes {
        Bytes(self.saturating_mul(each.0))
    }
}

/// A slot of an arena, with its timer.
const fn slot<T>() -> usize {
    Arena::<T>::SLOT_BYTES + size_of::<(Instant, u32)>() + 4
}

/// Validator and coding that a body which may be continued is remembered by: at most two marks, as
/// large as a validator each.
const REMEMBERED: usize = 3 * super::resume::KEPT + size_of::<super::Marks>();

impl Config {
    /// Refuses what cannot work, and names the field. [`Engine::try_new`](super::Engine::try_new)
    /// asks this; [`Engine::new`](super::Engine::new) takes the configuration as it is, and does
    /// with it what can be done.
    pub fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let numbers = [
            ("max_connections", self.max_connections),
            ("max_jobs", self.max_jobs),
            ("attempts", self.attempts),
            ("send_bytes", self.send_bytes),
            ("limits.head_fields", u32::from(limits.head_fields)),
        ];
        if let Some((field, _)) = numbers.into_iter().find(|(_, number)| *number == 0) {
            return Err(ConfigError::Zero(field));
        }
        let times = [
            ("connect_timeout", Some(self.connect_timeout)),
            ("tls_timeout", Some(self.tls_timeout)),
            ("send_timeout", Some(self.send_timeout)),
            ("first_byte_timeout", self.first_byte_timeout),
            ("head_timeout", Some(self.head_timeout)),
            ("stall_timeout", self.stall_timeout),
            ("attempt_timeout", self.attempt_timeout),
            ("low_speed.during", self.low_speed.map(|low| low.during)),
        ];
        if let Some((field, _)) = times.into_iter().find(|(_, time)| *time == Some(Duration::ZERO))
        {
            return Err(ConfigError::Zero(field));
        }
        match self.per_host {
            PerHost::Fixed(0) => return Err(ConfigError::Zero("per_host")),
            PerHost::Auto { start: 0, .. } => return Err(ConfigError::Zero("per_host.start")),
            PerHost::Auto { ceiling: Some(0), .. } => {
                return Err(ConfigError::Zero("per_host.ceiling"));
            }
            PerHost::Auto { ceiling: Some(ceiling), start } if start > ceiling => {
                return Err(ConfigError::Above("per_host.start", "per_host.ceiling"));
            }
            PerHost::Fixed(_) | PerHost::Auto { .. } => {}
        }
        for (field, pace) in [("pace.rate", &self.pace), ("overall_pace.rate", &self.overall_pace)]
        {
            if pace.rate.is_some_and(|rate| rate.requests == 0) {
                return Err(ConfigError::Zero(field));
            }
        }
        if self.backoff_base > self.backoff_cap {
            return Err(ConfigError::Above("backoff_base", "backoff_cap"));
        }
        // A status line and one field line; servers send some 300 bytes at least.
        if limits.head_bytes < 512 {
            return Err(ConfigError::Least("limits.head_bytes", 512));
        }
        if limits.line_bytes < 128 {
            return Err(ConfigError::Least("limits.line_bytes", 128));
        }
        if usize::from(limits.head_fields) > Scratch::FIELDS {
            return Err(ConfigError::Most("limits.head_fields", Scratch::FIELDS as u64));
        }
        if usize::from(limits.trailer_fields) > Scratch::FIELDS {
            return Err(ConfigError::Most("limits.trailer_fields", Scratch::FIELDS as u64));
        }
        Ok(())
    }

    /// Bytes of heap that an engine holds at most, whatever its servers do. The bodies that were
    /// given with requests are the embedder's own, and so is what a handler keeps.
    ///
    /// ```text
    ///   max_jobs        × (a job + its encoded head + one line for each failed attempt
    ///                      + 256 bytes of validator, where a body may be continued)
    /// + hosts           × (a host + its name twice + its addresses + its limit and its address's)
    /// + max_connections × (a connection + a head in pieces)
    /// + max_jobs        × a job that was submitted from within a handler
    /// + a few queues
    /// ```
    ///
    /// What sockets and TLS take comes on top: `net::DriverConfig::most_bytes`. More than
    /// `usize` can tell is told as [`usize::MAX`].
    ///
    /// ```
    /// use gannet::engine::{Config, Load};
    ///
    /// assert!(Config::tiny().most_bytes(&Load::default()) < 64 * 1024);
    /// ```
    pub fn most_bytes(&self, load: &Load) -> usize {
        let jobs = self.max_jobs as usize;
        let conns = self.max_connections as usize;
        let failures = (self.attempts as usize).saturating_sub(1);
        let tries = if failures == 0 { 0 } else { grown(failures.saturating_add(1)) };
        // Only a body that is being received can be cut: as many as there are connections at a
        // time, but each may wait for another attempt while others run.
        let a_job = tries * Bytes(size_of::<Try>())
            + grown(load.request_bytes)
            + if failures == 0 { 0 } else { REMEMBERED };
        // An address has a search of its own where there are connections to share out.
        let search = if self.max_connections <= FEW { 0 } else { Limit::MOST_BYTES };
        let limits = search
            + match self.per_host {
                PerHost::Fixed(_) => 0,
                PerHost::Auto { .. } => Limit::MOST_BYTES,
            };
        let a_host = 2 * Bytes(load.name_bytes)
            + 8
            // With each address the ports that have served there: at least four have room.
            + load.addresses * Bytes(size_of::<SocketAddr>() + 4 * size_of::<u16>())
            + limits
            + if self.retry_statuses { Pace::most_bytes(self.max_connections) } else { 0 }
            + load.addresses.saturating_sub(1) * Bytes(size_of::<Group>() + search);
        // That of origins, and that of addresses.
        let table = 2 * Index::PLACE_BYTES;
        let held = self.limits.head_bytes.max(self.limits.trailer_bytes) as usize;
        let a_dial = load.addresses * Bytes(size_of::<SocketAddr>()) + 4 * size_of::<ConnKey>();
        let actions = (2 * Bytes(conns) + load.hosts).0;
        let commands = (Bytes(jobs) + conns).0;
        let queued = grown(actions) * Bytes(size_of::<Action>())
            + grown(commands) * Bytes(size_of::<Command>());
        // Requests from within handlers wait beside the others for the end of their input.
        let from_handlers = grown(jobs) * Bytes(size_of::<Accepted>());
        let most = grown(jobs) * Bytes(slot::<Job>() + size_of::<Vec<u8>>())
            + from_handlers
            + jobs * a_job
            + grown(load.hosts) * Bytes(slot::<Host>() + size_of::<Group>() + 2 * table)
            + load.hosts * a_host
            + grown(conns) * Bytes(slot::<Conn>() + slot::<Dial>())
            + conns * (a_dial + held)
            // One head whose folded lines are being unfolded.
            + held
            + queued;
        most.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::LowSpeed;
    use super::super::pace::{PaceConfig, Rate};
    use super::*;

    #[test]
    fn the_presets_can_work_and_grow() {
        let load = Load::default();
        let sizes = [Config::tiny(), Config::default(), Config::wide()].map(|config| {
            assert_eq!(config.check(), Ok(()));
            config.most_bytes(&load)
        });
        assert!(sizes[0] < sizes[1] && sizes[1] < sizes[2], "{sizes:?}");
        assert!(sizes[0] <= 58 * 1024, "tiny: {}", sizes[0]);
    }

    /// Each of these alone, and all at once, with the largest configuration.
    #[test]
    fn an_absurd_load_is_told_as_more_and_never_wraps() {
        let most = usize::MAX;
        let usual = Load::default();
        let config = Config {
            max_jobs: u32::MAX,
            max_connections: u32::MAX,
            attempts: u32::MAX,
            ..Config::wide()
        };
        for many in [most, most / 2 + 1, most / 2, most / 3, most / 255] {
            for load in [
                Load { hosts: many, ..usual },
                Load { name_bytes: many, ..usual },
                Load { addresses: many, ..usual },
                Load { request_bytes: many, ..usual },
                Load { hosts: many, name_bytes: many, addresses: many, request_bytes: many },
            ] {
                assert_eq!(config.most_bytes(&load), most, "{load:?}");
                assert!(Config::tiny().most_bytes(&load) >= many, "{load:?}");
            }
        }
        assert_eq!([grown(0), grown(3), grown(5), grown(most / 2 + 2)], [0, 4, 8, most]);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let good = Config::default;
        let zero = Duration::ZERO;
        let limits = crate::proto::Limits::DEFAULT;
        let rate = Some(Rate { requests: 0, per: Duration::from_secs(1) });
        let none = PaceConfig { rate, ..PaceConfig::default() };
        let table = [
            (Config { max_connections: 0, ..good() }, ConfigError::Zero("max_connections")),
            (Config { max_jobs: 0, ..good() }, ConfigError::Zero("max_jobs")),
            (Config { attempts: 0, ..good() }, ConfigError::Zero("attempts")),
            (Config { send_bytes: 0, ..good() }, ConfigError::Zero("send_bytes")),
            (Config { per_host: PerHost::Fixed(0), ..good() }, ConfigError::Zero("per_host")),
            (
                Config { per_host: PerHost::Auto { ceiling: Some(4), start: 6 }, ..good() },
                ConfigError::Above("per_host.start", "per_host.ceiling"),
            ),
            (
                Config { per_host: PerHost::Auto { ceiling: None, start: 0 }, ..good() },
                ConfigError::Zero("per_host.start"),
            ),
            (
                Config { per_host: PerHost::Auto { ceiling: Some(0), start: 1 }, ..good() },
                ConfigError::Zero("per_host.ceiling"),
            ),
            (Config { connect_timeout: zero, ..good() }, ConfigError::Zero("connect_timeout")),
            (Config { tls_timeout: zero, ..good() }, ConfigError::Zero("tls_timeout")),
            (Config { send_timeout: zero, ..good() }, ConfigError::Zero("send_timeout")),
            (
                Config { first_byte_timeout: Some(zero), ..good() },
                ConfigError::Zero("first_byte_timeout"),
            ),
            (Config { head_timeout: zero, ..good() }, ConfigError::Zero("head_timeout")),
            (Config { stall_timeout: Some(zero), ..good() }, ConfigError::Zero("stall_timeout")),
            (
                Config { attempt_timeout: Some(zero), ..good() },
                ConfigError::Zero("attempt_timeout"),
            ),
            (
                Config {
                    low_speed: Some(LowSpeed { bytes_per_second: 1, during: zero }),
                    ..good()
                },
                ConfigError::Zero("low_speed.during"),
            ),
            (Config { pace: none, ..good() }, ConfigError::Zero("pace.rate")),
            (Config { overall_pace: none, ..good() }, ConfigError::Zero("overall_pace.rate")),
            (
                Config { limits: crate::proto::Limits { head_fields: 0, ..limits }, ..good() },
                ConfigError::Zero("limits.head_fields"),
            ),
            (
                Config { limits: crate::proto::Limits { line_bytes: 127, ..limits }, ..good() },
                ConfigError::Least("limits.line_bytes", 128),
            ),
            (
                Config { limits: crate::proto::Limits { trailer_fields: 257, ..limits }, ..good() },
                ConfigError::Most("limits.trailer_fields", 256),
            ),
            (
                Config { backoff_base: Duration::from_secs(60), ..good() },
                ConfigError::Above("backoff_base", "backoff_cap"),
            ),
            (
                Config { limits: crate::proto::Limits { head_bytes: 64, ..limits }, ..good() },
                ConfigError::Least("limits.head_bytes", 512),
            ),
            (
                Config { limits: crate::proto::Limits { head_fields: 257, ..limits }, ..good() },
                ConfigError::Most("limits.head_fields", 256),
            ),
        ];
        for (config, error) in table {
            assert_eq!(config.check(), Err(error), "{error}");
        }
    }
}
