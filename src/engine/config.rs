//! Every bound and every habit of the engine, in one place, with units.

use core::time::Duration;

use super::budget::BudgetConfig;
use super::pace::PaceConfig;
use crate::proto;

/// What an embedder decides once for an engine.
///
/// ```
/// use gannet::engine::Config;
///
/// let config = Config { max_connections: 64, ..Config::default() };
/// assert_eq!(config.attempts, 5);
/// assert!(config.check().is_ok());
/// ```
///
/// Three sets of numbers are ready-made: [`tiny`](Self::tiny) for a device that counts its
/// kilobytes, [`default`](Self::default), and [`wide`](Self::wide) for a machine that does
/// nothing else. [`check`](Self::check) refuses what cannot work, and
/// [`most_bytes`](Self::most_bytes) says what an engine holds at most.
///
/// No repeats at all: `Config::default().retry(Retry::none())`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Seeds jitter and the tables' hash. The same seed and the same inputs give the same run. Default:
    /// 0, which a `Fetcher` replaces by a random one.
    pub seed: u64,
    /// Connections in all: opening, securing, busy, idle and closing. Default: 512 (`tiny`: 4, `wide`:
    /// 4,096).
    pub max_connections: u32,
    /// Requests held at once: queued, waiting for another attempt, running. Default: 4,096 (`tiny`: 8,
    /// `wide`: 65,536).
    pub max_jobs: u32,
    /// Connections a host. Default: [`PerHost::Auto`] from 6, without a ceiling of the user's (`tiny`:
    /// two, fixed).
    pub per_host: PerHost,
    /// Attempts a request, the first one included. Default: 5 (`tiny`: 4).
    pub attempts: u32,
    /// A request that was lost with a kept connection, before any byte of an answer, goes out on
    /// another one once, free of charge. Without this it counts as an attempt that failed. Default: true.
    pub free_moves: bool,
    /// The first backoff is drawn between zero and this. Default: 250 ms.
    pub backoff_base: Duration,
    /// No backoff is drawn beyond this. Default: 30 s.
    pub backoff_cap: Duration,
    /// A `Retry-After` beyond this closes the host until then instead of being waited for; so does the
    /// end of a rate limit's window that a 429 tells in its place. Default: 120 s.
    pub max_retry_after: Duration,
    /// A fixed wait between attempts in place of the drawn one; an answer's `Retry-After` still counts.
    /// Default: none.
    pub retry_delay: Option<Duration>,
    /// No further attempt is begun this long after a request's first one. It is the only thing that lets
    /// a request end for an empty [budget](Self::budget). Default: none.
    pub retry_max_time: Option<Duration>,
    /// Statuses that ask to come back later (408, 429, 500, 502, 503, 504, 522, 524) are tried again.
    /// Default: true.
    pub retry_statuses: bool,
    /// So is every status of 400 and above (curl's `--retry-all-errors` with `-f`). Default: false.
    pub retry_error_statuses: bool,
    /// So is an attempt that used up its time. Default: false.
    pub retry_attempt_timeouts: bool,
    /// Every failure of an idempotent request but the embedder's own is worth another attempt. Default:
    /// false.
    pub retry_all_errors: bool,
    /// The user's word that non-idempotent requests may be sent twice. Default: false.
    pub retry_unsafe: bool,
    /// A host that served in this run is probed this long before its queue is given up. Default: 60 s.
    pub host_down_after: Duration,
    /// When this machine's own network is down, how long to wait for it; zero: fail at once. Default: 10
    /// minutes.
    pub offline_wait: Duration,
    /// Names, TCP and TLS together. A look-up that takes longer failed, whoever makes it
    /// (`dns_unanswered`); it is made again as requests have attempts. Default: 10 s.
    pub connect_timeout: Duration,
    /// The TLS handshake, within `connect_timeout`. Default: 10 s.
    pub tls_timeout: Duration,
    /// Without one byte of the request being taken. Default: 60 s.
    pub send_timeout: Duration,
    /// From the request written to the first byte of the answer; interim answers are none. Default: 60 s.
    pub first_byte_timeout: Option<Duration>,
    /// From a head's first byte to its end; trickling does not extend it. Default: 30 s.
    pub head_timeout: Duration,
    /// Without one byte of the body. Default: 30 s.
    pub stall_timeout: Option<Duration>,
    /// A body, of an answer or of a request, that moves more slowly than this is given up. Default: none.
    pub low_speed: Option<LowSpeed>,
    /// So is a request that waits for its answer for as long, as curl has it. Default: false.
    pub waiting_is_slow: bool,
    /// One attempt in all: from the look-up, the race or the handshake on, where a request waits for
    /// that and for nothing else, as its host has no other connection; else from the connection that
    /// takes it. The time in the queue is never part of it. Default: none.
    pub attempt_timeout: Option<Duration>,
    /// A kept connection is closed after this long without work. Default: 60 s (`tiny`: 15 s).
    pub idle_timeout: Duration,
    /// Whether connections are kept at all. Default: true. Without, each request has a fresh connection,
    /// which no server closes just as a request goes out on it: for requests that may not be sent twice,
    /// beside servers that close after each answer and do not say so.
    pub reuse: bool,
    /// How long a connection that we closed still counts while the peer's own close is awaited. Default:
    /// 1 s.
    pub closing_timeout: Duration,
    /// How long the first address gets before the next one is tried beside it (RFC 8305). Default: 250 ms.
    pub happy_eyeballs: Duration,
    /// Bounds of a response's head and framing. Default: [`Limits::DEFAULT`](proto::Limits::DEFAULT).
    pub limits: proto::Limits,
    /// Bytes of a request's body that are handed to a connection at once, and so are held while
    /// its peer takes nothing. Default: 64 KiB (`tiny`: 256 bytes, `wide`: 256 KiB).
    pub send_bytes: u32,
    /// Content bytes of one body, before decoding. Default: [`u64::MAX`], no bound.
    pub max_body_bytes: u64,
    /// Attempts to one host: how many in which time, and the time between two. What a server
    /// asks for comes on top. Default: neither.
    pub pace: PaceConfig,
    /// Attempts to all hosts together. Default: neither a rate nor a delay.
    pub overall_pace: PaceConfig,
    /// Further attempts that a host's requests earn. An empty budget delays them, and fails none; only with
    /// [`retry_max_time`](Self::retry_max_time) a request ends as
    /// [`BudgetExhausted`](super::Kind::BudgetExhausted), if its turn would come too late. Default:
    /// [`BudgetConfig::HOST`].
    pub budget: BudgetConfig,
    /// Further attempts that all requests together earn. Default: [`BudgetConfig::ALL`].
    pub overall_budget: BudgetConfig,
}

/// How often a request is tried.
///
/// ```
/// use gannet::engine::{Config, Retry};
///
/// let config = Config::default().retry(Retry::none());
/// assert_eq!((config.attempts, config.free_moves), (1, false));
/// assert_eq!(Retry::default(), Retry::attempts(5));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    pub(super) attempts: u32,
    pub(super) free_moves: bool,
}

impl Retry {
    /// Nothing is ever sent twice, not even when a kept connection turns out to be closed.
    pub const fn none() -> Self {
        Self { attempts: 1, free_moves: false }
    }

    /// So many attempts, the first one included; a request that was lost with a kept connection,
    /// before any byte of an answer, moves to another one free of charge, once.
    pub const fn attempts(attempts: u32) -> Self {
        Self { attempts, free_moves: true }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::attempts(5)
    }
}

/// How many connections one host may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PerHost {
    /// Exactly this many, and no controller.
    Fixed(u16),
    /// What the host bears, found while running.
    Auto {
        /// Never more than this; `None`, the default, is 32 on public addresses and 128 on loopback
        /// and private ones.
        ceiling: Option<u16>,
        /// Where to begin. In [`Config::default`] and [`Config::wide`]: 6.
        start: u16,
    },
}

/// A speed below which an exchange is given up, as curl's `-y` and `-Y`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LowSpeed {
    /// Bytes a second.
    pub bytes_per_second: u32,
    /// For this long.
    pub during: Duration,
}

impl Config {
    /// With requests tried as often as `retry` says.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.attempts = retry.attempts;
        self.free_moves = retry.free_moves;
        self
    }

    /// For a device that counts its kilobytes: four connections, eight requests, heads of 5 KiB
    /// (5,120 bytes). Plain HTTP to eight hosts stays within 64 KiB of heap, TLS (with
    /// `tls::Options::tiny`) within 512 KiB.
    ///
    /// An origin gets two connections, and no controller; whoever has more work waits in the
    /// embedder's own list, until [`Engine::wants`](super::Engine::wants) says that there is room.
    pub fn tiny() -> Self {
        Self {
            max_connections: 4,
            max_jobs: 8,
            attempts: 4,
            per_host: PerHost::Fixed(2),
            limits: proto::Limits {
                head_bytes: 5 * 1024,
                head_fields: 64,
                line_bytes: 5 * 1024,
                interim_answers: 8,
                interim_bytes: 12 * 1024,
                chunk_extension_bytes: 1024,
                trailer_bytes: 2 * 1024,
                trailer_fields: 16,
            },
            send_bytes: 256,
            idle_timeout: Duration::from_secs(15),
            ..Self::default()
        }
    }

    /// For a machine that does nothing else: 4,096 connections, 65,536 requests.
    pub fn wide() -> Self {
        Self {
            max_connections: 4_096,
            max_jobs: 65_536,
            per_host: PerHost::Auto { ceiling: None, start: 6 },
            send_bytes: 256 * 1024,
            ..Self::default()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            max_connections: 512,
            max_jobs: 4_096,
            per_host: PerHost::Auto { ceiling: None, start: 6 },
            attempts: 5,
            free_moves: true,
            backoff_base: Duration::from_millis(250),
            backoff_cap: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(120),
            retry_delay: None,
            retry_max_time: None,
            retry_statuses: true,
            retry_error_statuses: false,
            retry_attempt_timeouts: false,
            retry_all_errors: false,
            retry_unsafe: false,
            host_down_after: Duration::from_secs(60),
            offline_wait: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(10),
            tls_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(60),
            first_byte_timeout: Some(Duration::from_secs(60)),
            head_timeout: Duration::from_secs(30),
            stall_timeout: Some(Duration::from_secs(30)),
            low_speed: None,
            waiting_is_slow: false,
            attempt_timeout: None,
            idle_timeout: Duration::from_secs(60),
            reuse: true,
            closing_timeout: Duration::from_secs(1),
            happy_eyeballs: Duration::from_millis(250),
            limits: proto::Limits::default(),
            send_bytes: 64 * 1024,
            max_body_bytes: u64::MAX,
            pace: PaceConfig::default(),
            overall_pace: PaceConfig::default(),
            budget: BudgetConfig::HOST,
            overall_budget: BudgetConfig::ALL,
        }
    }
}
