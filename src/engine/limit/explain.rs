//! What a limit can say about itself, for `-v`, the summary and `host_stats`.
//!
//! Owns the counters that every kind of limit keeps and the words. It decides nothing.
#![expect(
    clippy::indexing_slicing,
    reason = "a complaint's number is one of as many as there are complaints"
)]

use core::fmt;
use core::time::Duration;

use super::{Complaint, Sample};
use crate::base::{Instant, mul_div};

/// What a host did, counted: kept for every limit, also a fixed one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    /// Complaints by kind, in the order of [`Complaint::ALL`].
    pub complaints: [u32; 6],
    /// Responses that came to their end and count as served.
    pub served: u64,
    /// Bytes of responses.
    pub bytes: u64,
    /// The shortest time to a first byte on a reused connection (any connection, until one
    /// was reused).
    pub min_latency: Option<Duration>,
    min_is_reused: bool,
    /// The second that is being counted.
    second: Option<Second>,
    /// Goodput of late: responses and bytes a second.
    recent: Option<(u64, u64)>,
}

/// What was counted since a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Second {
    since: Instant,
    last: Instant,
    requests: u64,
    bytes: u64,
}

impl Second {
    /// Requests and bytes a second.
    fn rates(&self) -> (u64, u64) {
        let elapsed = self.last.nanos_since(self.since).max(1);
        (mul_div(self.requests, SECOND, elapsed), mul_div(self.bytes, SECOND, elapsed))
    }
}

/// Goodput is averaged over seconds.
const SECOND: u64 = 1_000_000_000;

impl Ledger {
    /// How often the server complained in this way.
    pub const fn count(&self, what: Complaint) -> u32 {
        self.complaints[what.index()]
    }

    /// Goodput of late, in responses a second; idle time does not count.
    pub fn requests_per_second(&self) -> u64 {
        self.rates().0
    }

    /// Goodput of late, in bytes a second; idle time does not count.
    pub fn bytes_per_second(&self) -> u64 {
        self.rates().1
    }

    fn rates(&self) -> (u64, u64) {
        self.recent.or_else(|| self.second.map(|second| second.rates())).unwrap_or_default()
    }

    pub(super) fn first_byte(&mut self, latency: Duration, reused: bool) {
        let better = self.min_latency.is_none_or(|least| latency < least);
        if (reused && !self.min_is_reused) || (better && reused == self.min_is_reused) {
            self.min_latency = Some(latency);
            self.min_is_reused = reused;
        }
    }

    pub(super) fn done(&mut self, now: Instant, sample: &Sample) {
        let whole = u64::from(sample.served && sample.whole);
        self.served += whole;
        self.bytes = self.bytes.saturating_add(sample.bytes);
        let now_counting = Second { since: sample.sent_at, last: now, requests: 0, bytes: 0 };
        let second = self.second.get_or_insert(now_counting);
        second.last = now;
        second.requests += whole;
        second.bytes = second.bytes.saturating_add(sample.bytes);
        if now >= second.since.later(SECOND) {
            self.close_second();
            self.second = Some(Second { since: now, last: now, requests: 0, bytes: 0 });
        }
    }

    pub(super) fn complaint(&mut self, what: Complaint) {
        let count = &mut self.complaints[what.index()];
        *count = count.saturating_add(1);
    }

    pub(super) fn idle(&mut self) {
        self.close_second();
        self.second = None;
    }

    /// Folds what was counted since the second began into the average.
    fn close_second(&mut self) {
        let Some(second) = self.second else { return };
        if second.last < second.since.later(SECOND / 16) && self.recent.is_some() {
            return;
        }
        let new = second.rates();
        self.recent = Some(match self.recent {
            None => new,
            Some(old) => (old.0.midpoint(new.0), old.1.midpoint(new.1)),
        });
    }
}

/// Why a limit is what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Finding {
    /// The user said so.
    Fixed,
    /// Nothing was found yet: it grows with every answer.
    Growing,
    /// More was never refused, and more is not asked for.
    Ceiling,
    /// The server complained when one more was open.
    Complaint {
        /// Connections that were open when it complained.
        level: u32,
        /// How it complained.
        what: Complaint,
    },
    /// Beyond a level requests only waited longer.
    Queue {
        /// The level.
        beyond: u32,
        /// Time to a first byte at that level.
        calm: Duration,
        /// Time to a first byte above it.
        crowded: Duration,
    },
    /// Beyond a level the same bytes a second were shared by more.
    Bandwidth {
        /// The level.
        beyond: u32,
        /// Body bytes weigh, so many a second.
        bytes_per_second: u64,
    },
    /// Beyond a level less was served.
    Thrash {
        /// The level.
        beyond: u32,
    },
    /// Nothing got through when the limit was last moved.
    Outage {
        /// How it complained.
        what: Complaint,
    },
}

/// The state of a limit: a copy that can be shown or looked into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// Connections that are believed to be right. A trial may allow more or fewer at the moment.
    pub allowed: u32,
    /// Why.
    pub finding: Finding,
    /// The level at which the server complained, if it is remembered.
    pub complained_at: Option<u32>,
    /// What was counted.
    pub ledger: Ledger,
}

impl Explanation {
    pub(super) const fn new(
        allowed: u32,
        finding: Finding,
        complained_at: Option<u32>,
        ledger: Ledger,
    ) -> Self {
        Self { allowed, finding, complained_at, ledger }
    }

    /// One word for tables and JSON: `fixed`, `growing`, `ceiling`, `hard_limit`, `queue`,
    /// `bandwidth`, `thrash`, `outage`.
    pub const fn name(&self) -> &'static str {
        match self.finding {
            Finding::Fixed => "fixed",
            Finding::Growing => "growing",
            Finding::Ceiling => "ceiling",
            Finding::Complaint { .. } => "hard_limit",
            Finding::Queue { .. } => "queue",
            Finding::Bandwidth { .. } => "bandwidth",
            Finding::Thrash { .. } => "thrash",
            Finding::Outage { .. } => "outage",
        }
    }
}

/// `1st`, `2nd`, `24th`.
struct Ordinal(u32);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = match (self.0 % 10, self.0 % 100) {
            (1, n) if n != 11 => "st",
            (2, n) if n != 12 => "nd",
            (3, n) if n != 13 => "rd",
            _ => "th",
        };
        write!(f, "{}{ending}", self.0)
    }
}

/// A latency in milliseconds, with a fraction below ten.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if micros < 10_000 {
            write!(f, "{}.{} ms", micros / 1000, micros % 1000 / 100)
        } else {
            write!(f, "{} ms", micros / 1000)
        }
    }
}

/// Bytes a second, in a unit that people read.
struct Rate(u64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1_000_000 {
            write!(f, "{}.{} MB/s", self.0 / 1_000_000, self.0 % 1_000_000 / 100_000)
        } else {
            write!(f, "{} kB/s", self.0 / 1000)
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.allowed;
        match self.finding {
            Finding::Fixed => write!(f, "fixed at {n}"),
            Finding::Growing => write!(f, "growing, {n} so far"),
            Finding::Ceiling => write!(f, "at the ceiling of {n}"),
            Finding::Complaint { level, what } => {
                write!(f, "settled at {n}: the {} connection was {}", Ordinal(level), what.verb())
            }
            Finding::Queue { beyond, calm, crowded } => write!(
                f,
                "settled at {n}: beyond {beyond}, requests only queued ({} became {})",
                Millis(calm),
                Millis(crowded)
            ),
            Finding::Bandwidth { beyond, bytes_per_second } => write!(
                f,
                "settled at {n}: {} are shared by all, more than {beyond} did not add to it",
                Rate(bytes_per_second)
            ),
            Finding::Thrash { beyond } => {
                write!(f, "settled at {n}: beyond {beyond} the server served less")
            }
            Finding::Outage { what } => {
                write!(f, "down to {n}: every connection was {}", what.verb())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn reasons_read_like_sentences() {
        let say = |allowed, finding| {
            Explanation::new(allowed, finding, None, Ledger::default()).to_string()
        };
        let rows = [
            (7, Finding::Fixed, "fixed at 7"),
            (14, Finding::Growing, "growing, 14 so far"),
            (32, Finding::Ceiling, "at the ceiling of 32"),
            (
                23,
                Finding::Complaint { level: 24, what: Complaint::FreshReset },
                "settled at 23: the 24th connection was reset",
            ),
            (
                20,
                Finding::Complaint { level: 21, what: Complaint::Overload503 },
                "settled at 20: the 21st connection was answered 503",
            ),
            (
                9,
                Finding::Complaint { level: 10, what: Complaint::ServerError },
                "settled at 9: the 10th connection was answered with an error",
            ),
            (
                8,
                Finding::Queue {
                    beyond: 8,
                    calm: Duration::from_micros(9_870),
                    crowded: Duration::from_millis(40),
                },
                "settled at 8: beyond 8, requests only queued (9.8 ms became 40 ms)",
            ),
            (
                5,
                Finding::Bandwidth { beyond: 5, bytes_per_second: 12_345_678 },
                "settled at 5: 12.3 MB/s are shared by all, more than 5 did not add to it",
            ),
            (16, Finding::Thrash { beyond: 16 }, "settled at 16: beyond 16 the server served less"),
            (
                1,
                Finding::Outage { what: Complaint::Refused },
                "down to 1: every connection was refused",
            ),
        ];
        for (allowed, finding, words) in rows {
            assert_eq!(say(allowed, finding), words);
        }
    }

    #[test]
    fn ordinals() {
        for (n, words) in [
            (1, "1st"),
            (2, "2nd"),
            (3, "3rd"),
            (4, "4th"),
            (11, "11th"),
            (12, "12th"),
            (112, "112th"),
            (122, "122nd"),
        ] {
            assert_eq!(Ordinal(n).to_string(), words);
        }
    }

    #[test]
    fn goodput_leaves_out_idle_time() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let mut ledger = Ledger::default();
        let mut sample = Sample {
            sent_at: at(0),
            bytes: 1000,
            in_flight: 1,
            reused: true,
            served: true,
            whole: true,
        };
        for i in 0..100 {
            sample.sent_at = at(i * 20);
            ledger.done(at(i * 20 + 20), &sample);
        }
        ledger.idle();
        sample.sent_at = at(60_000);
        ledger.done(at(60_020), &sample);
        assert_eq!(ledger.requests_per_second(), 50);
        assert_eq!(ledger.bytes_per_second(), 50_000);
        assert_eq!(ledger.served, 101);
    }
}
