//! What holds for the whole server: how much it bears, and its habits with connections.

use std::io;

use serde::{Deserialize, Serialize};

use super::rules::{Bytes, How, Span};

/// Whose limits they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// All addresses share one.
    #[default]
    Server,
    /// Each address has its own.
    Address,
}

/// How many connections are borne.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// So many.
    pub limit: Level,
    /// What happens to further ones.
    #[serde(default)]
    pub full: Full,
}

/// A number that may change with time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Level {
    /// Always the same.
    Fixed(usize),
    /// From so many milliseconds after the first connection on, this much. When the level falls,
    /// the newest connections above it are reset as soon as they have no request.
    Steps(Vec<(u64, usize)>),
}

impl Level {
    /// The level at a time.
    pub(super) fn at(&self, ms: u64) -> usize {
        match self {
            Self::Fixed(level) => *level,
            Self::Steps(steps) => steps
                .iter()
                .take_while(|step| step.0 <= ms)
                .last()
                .or(steps.first())
                .map_or(usize::MAX, |step| step.1),
        }
    }

    /// When, after this time, it changes next.
    pub(super) fn next_change(&self, ms: u64) -> Option<u64> {
        match self {
            Self::Fixed(_) => None,
            Self::Steps(steps) => steps.iter().map(|step| step.0).find(|&at| at > ms),
        }
    }

    pub(super) fn check(&self) -> io::Result<()> {
        match self {
            Self::Steps(steps) if steps.is_empty() || !steps.is_sorted_by_key(|step| step.0) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "steps follow one another in time"))
            }
            _ => Ok(()),
        }
    }
}

/// What happens to connections above the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Full {
    /// They are accepted and reset at once.
    #[default]
    ResetOnAccept,
    /// They are accepted, and reset with their first request.
    ResetOnRequest,
    /// Nothing listens while the server is full.
    Refuse,
    /// They are answered so and closed.
    Answer {
        /// With this status, usually 503.
        status: u16,
        /// And this `Retry-After`.
        #[serde(default)]
        retry_after: Option<u32>,
        /// Before they asked anything.
        #[serde(default)]
        at_once: bool,
    },
    /// They wait in the listener's queue, established and unserved, until there is room.
    Wait,
}

/// How long and how often a connection can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepAlive {
    /// Requests a connection; then it is closed.
    pub max_requests: Option<u64>,
    /// Closes without `Connection: close` in the last answer.
    pub quiet: bool,
    /// Closes after so much time without a whole request.
    pub idle_ms: Option<u64>,
    /// Tells clients in `Keep-Alive: timeout=…, max=…` (whole seconds, rounded down).
    pub hint: bool,
}

/// The work for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// How long it takes.
    pub time: Time,
    /// How many requests are worked on at once; without a number, all.
    pub workers: Option<usize>,
    /// How many requests may wait for a worker; without a number, all.
    pub queue: Option<usize>,
    /// With what status others are answered at once; without one, 503.
    pub full: Option<u16>,
    /// How it gets slower with too much at once.
    pub thrash: Option<Thrash>,
}

/// A time in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Time {
    /// Always the same.
    FixedUs(u64),
    /// Any from the first to the last.
    UniformUs(u64, u64),
    /// Exponentially distributed with this mean.
    ExponentialUs(u64),
}

impl Default for Time {
    fn default() -> Self {
        Self::FixedUs(0)
    }
}

impl Time {
    /// One sample, in nanoseconds.
    pub(super) fn sample(self, chance: &mut fastrand::Rng) -> u64 {
        match self {
            Self::FixedUs(us) => us.saturating_mul(1_000),
            Self::UniformUs(from, to) => {
                let (from, to) = (from.saturating_mul(1_000), to.saturating_mul(1_000));
                chance.u64(from..=to.max(from))
            }
            Self::ExponentialUs(mean) => (mean as f64 * 1_000.0 * exponential(chance)) as u64,
        }
    }
}

/// An exponential variate of mean 1, by comparisons alone (von Neumann, 1951): a logarithm would make
/// each start of the program load the library of mathematics.
fn exponential(chance: &mut fastrand::Rng) -> f64 {
    let mut whole = 0.0;
    loop {
        let first = chance.f64();
        let (mut falling, mut last) = (1, first);
        loop {
            let next = chance.f64();
            if next >= last {
                break;
            }
            (falling, last) = (falling + 1, next);
        }
        // A run that falls an odd number of times has the density of the fraction.
        if falling % 2 == 1 {
            return whole + first;
        }
        whole += 1.0;
    }
}

/// Beyond so many requests at once, each takes `(requests / beyond) ^ power` as long as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thrash {
    /// So many are borne well.
    pub beyond: usize,
    /// With 1 the goodput stays, with 2 it falls as fast as the number grows.
    pub power: u32,
}

impl Thrash {
    /// The factor, in thousandths, when so many are at work.
    pub(super) fn slowdown(self, at_work: usize) -> u64 {
        if at_work <= self.beyond {
            return 1_000;
        }
        let over = at_work as f64 / self.beyond.max(1) as f64;
        (over.powi(self.power.min(8).cast_signed()) * 1_000.0) as u64
    }
}

/// Requests a second, as a token bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// So many.
    pub per_second: f64,
    /// And so many at once after a pause.
    pub burst: u32,
    /// The status of what is above it.
    pub status: u16,
    /// Whether that answer says in `Retry-After` when there is room again.
    pub retry_after: bool,
    /// Which fields tell every client where it stands.
    pub fields: RateFields,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_second: 100.0,
            burst: 10,
            status: 429,
            retry_after: false,
            fields: RateFields::None,
        }
    }
}

/// How a server tells about its rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateFields {
    /// Not at all.
    #[default]
    None,
    /// `X-RateLimit-Limit`, `-Remaining`, `-Reset` (seconds from now).
    X,
    /// `RateLimit-Limit`, `-Remaining`, `-Reset`, as the earlier drafts.
    Plain,
    /// `RateLimit-Policy` and `RateLimit`, as the later drafts.
    Draft,
}

/// Answers cut at a random byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chaos {
    /// This part of all answers.
    pub probability: f64,
    /// In this way.
    pub how: How,
}

/// A time at which the server is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// Milliseconds after the first connection.
    pub at_ms: u64,
    /// Milliseconds until it listens again.
    pub for_ms: u64,
}

impl Outage {
    pub(super) const fn end_ms(self) -> u64 {
        self.at_ms.saturating_add(self.for_ms)
    }
}

/// What happens to a connection before any request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrival {
    /// Counting the connections from 1; without it all.
    #[serde(default)]
    pub nth: Option<Span>,
    /// Only with this probability.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What.
    pub then: Welcome,
}

impl Arrival {
    pub(super) fn matches(&self, nth: u64, chance: &mut fastrand::Rng) -> bool {
        self.nth.is_none_or(|span| span.contains(nth))
            && self.probability.is_none_or(|probability| chance.f64() < probability)
    }
}

/// What a server does as soon as it accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Welcome {
    /// It speaks first, as an SSH server.
    Banner {
        /// These bytes.
        bytes: Bytes,
        /// And ends so; without it, it goes on as a server of HTTP.
        #[serde(default)]
        then: Option<How>,
    },
    /// It ends the connection, or stays silent for ever.
    End(How),
    /// It ends the connection after so many bytes on the wire; with TLS that may be in the
    /// middle of the handshake.
    CutWire {
        /// Bytes.
        at: u64,
        /// In which way.
        how: How,
    },
}

/// TLS, by a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those up to its root, as PEM.
    pub certificates: String,
    /// The private key, as PEM.
    pub key: String,
    /// Which versions are spoken.
    pub versions: Vec<TlsVersion>,
    /// Whether sessions can be resumed.
    pub resumption: bool,
    /// Whether a regular close says `close_notify` before.
    pub close_notify: bool,
    /// The protocols offered by ALPN.
    pub alpn: Vec<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificates: String::new(),
            key: String::new(),
            versions: vec![TlsVersion::Tls12, TlsVersion::Tls13],
            resumption: true,
            close_notify: true,
            alpn: vec!["http/1.1".into()],
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_step() {
        let level = Level::Steps(vec![(0, 8), (100, 32), (200, 8)]);
        for (ms, is, next) in
            [(0, 8, Some(100)), (99, 8, Some(100)), (100, 32, Some(200)), (500, 8, None)]
        {
            assert_eq!((level.at(ms), level.next_change(ms)), (is, next), "{ms}");
        }
    }

    #[test]
    fn thrashing_costs_goodput() {
        let thrash = Thrash { beyond: 16, power: 2 };
        assert_eq!(thrash.slowdown(16), 1_000);
        assert_eq!(thrash.slowdown(32), 4_000);
    }

    #[test]
    fn exponential_times_have_their_mean() {
        let mut chance = fastrand::Rng::with_seed(1);
        let times: Vec<_> =
            (0..20_000).map(|_| Time::ExponentialUs(100).sample(&mut chance)).collect();
        let mean = times.iter().sum::<u64>() / 20_000;
        assert!((98_000..102_000).contains(&mean), "{mean}");
        // Beyond twice the mean are e^-2 of them: 2,707.
        let long = times.iter().filter(|time| **time > 200_000).count();
        assert!((2_550..2_860).contains(&long), "{long}");
    }
}
