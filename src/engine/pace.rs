//! When the next request to a host may be sent: what the user asked for, and what the server did.
//!
//! Owns the rate of requests (not of connections: that is [`limit`](super::limit)) to one host,
//! or to all with `--rate`. Three things hold a request back, each on its own:
//!
//! * the user's rate: N in a period, spread evenly, every attempt counted;
//! * the user's delay between two requests;
//! * the server's: a pause it asked for (`Retry-After`, an exhausted `RateLimit`), and a rate.
//!   When it tells its rate (RateLimit fields: limit and window), that rate; when not, a search.
//!
//! The search rests on one fact: a server that answers 429 has just run out, so what it accepted
//! between two 429s, divided by the time between them, is what it gives. While it does not
//! complain, the rate goes up, first by halves towards what drew the last 429, then by a percent
//! now and then. RFC 6585 section 4 (429), RFC 9110 section 10.2.3 (Retry-After), the HTTPAPI
//! draft of RateLimit fields. Integers only; no clock; no allocation.

use core::fmt;
use core::time::Duration;

use crate::base::Instant;

const SECOND: u64 = 1_000_000_000;
/// Rates are in thousandths of a request a second.
const MILLI: u64 = 1000;
/// The slowest rate of the search: one request in ten seconds.
const SLOWEST: u64 = MILLI / 10;
/// The fastest that is told apart from no pace at all.
const FASTEST: u64 = 100_000 * MILLI;
/// Accepted requests that make a measured rate worth something.
const ENOUGH: u64 = 12;
/// What was measured longer ago than this counts for less.
const MEMORY: Duration = Duration::from_secs(20);
/// Requests between two careful steps up: each may cost one 429.
const CAREFUL_REQUESTS: u64 = 250;

/// So many requests in so much time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Requests, at least 1.
    pub requests: u32,
    /// The time in which they may be sent.
    pub per: Duration,
}

impl Rate {
    /// The time from one request to the next.
    fn gap(self) -> u64 {
        nanos(self.per).div_ceil(u64::from(self.requests.max(1)))
    }
}

/// What the user asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PaceConfig {
    /// `--rate`, `--rate-per-host`: at most so many requests. None by default.
    pub rate: Option<Rate>,
    /// `--delay`: at least this between two requests. Zero by default.
    pub delay: Duration,
}

/// What a server says about its rate limit: `RateLimit`, `RateLimit-Policy`, `X-RateLimit-*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RateHint {
    /// Requests in a window.
    pub limit: Option<u32>,
    /// Requests left in this window.
    pub remaining: Option<u32>,
    /// Time until the window ends.
    pub reset: Option<Duration>,
    /// Length of a window.
    pub window: Option<Duration>,
}

impl RateHint {
    /// The rate it tells, in thousandths of a request a second, with a little room.
    fn rate(&self) -> Option<u64> {
        let window = nanos(self.window?);
        let limit = u64::from(self.limit?);
        let rate = mul_div(limit * MILLI, SECOND, window.max(1));
        Some((rate - rate / 64).clamp(SLOWEST, FASTEST))
    }
}

/// What is known of the server's rate limit.
#[derive(Clone, Copy, Debug)]
struct Learned {
    /// Requests go out at this rate.
    rate: u64,
    /// A rate that drew a 429.
    high: u64,
    /// Whether the server told the rate.
    told: bool,
    /// The 429 from which on is measured; when its request was sent, what was accepted since.
    empty_at: Instant,
    accepted: u64,
    /// Since when requests flow at this rate, what was accepted of those, when the last was sent.
    flow_at: Instant,
    flowed: u64,
    /// When the rate was last raised or lowered, and the paced requests since.
    changed_at: Instant,
    paced: u64,
    /// The size of the next careful step up, in 1/1024.
    step: u64,
    /// The last 429.
    complained_at: Instant,
}

/// The pace of the requests to one host (or to all).
///
/// ```
/// use core::time::Duration;
/// use gannet::base::Instant;
/// use gannet::engine::pace::{Pace, PaceConfig, Rate};
///
/// let rate = Some(Rate { requests: 3, per: Duration::from_secs(15) });
/// let mut pace = Pace::new(&PaceConfig { rate, ..PaceConfig::default() });
/// let now = Instant::ZERO;
/// assert_eq!(pace.ready_at(now), now);
/// pace.take(now);
/// assert_eq!(pace.ready_at(now), now + Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The user's gap between requests, how late one may be and the next still be on time,
    /// and when the next is due.
    gap: u64,
    slack: u64,
    next: Instant,
    delay: Duration,
    after_delay: Instant,
    /// The server's pause.
    held_until: Instant,
    learned: Option<Learned>,
    /// When the next is due by the server's rate.
    due: Instant,
    /// The last requests that were sent, to know how fast they went: the rate before a 429.
    recent: [Instant; 16],
    sent: u64,
    too_many: u64,
}

impl Pace {
    /// The pace that the user asked for; the server's is learned.
    pub fn new(config: &PaceConfig) -> Self {
        let gap = config.rate.map_or(0, Rate::gap);
        Self {
            gap,
            slack: slack(gap),
            next: Instant::ZERO,
            delay: config.delay,
            after_delay: Instant::ZERO,
            held_until: Instant::ZERO,
            learned: None,
            due: Instant::ZERO,
            recent: [Instant::ZERO; 16],
            sent: 0,
            too_many: 0,
        }
    }

    /// When the next request may be sent: `now` or later.
    pub fn ready_at(&self, now: Instant) -> Instant {
        let due = if self.learned.is_some() { self.due } else { now };
        now.max(self.next).max(self.after_delay).max(self.held_until).max(due)
    }

    /// Whether anything but the user's own wish holds requests back now: then the limit of
    /// connections is not what binds.
    pub fn is_learned(&self) -> bool {
        self.learned.is_some()
    }

    /// A request (any attempt) is sent.
    pub fn take(&mut self, now: Instant) {
        self.after_delay = if self.delay.is_zero() { self.after_delay } else { now + self.delay };
        self.next = advance(self.next, now, self.gap, self.slack);
        self.recent[(self.sent % 16) as usize] = now;
        self.sent += 1;
        if let Some(learned) = &mut self.learned {
            let gap = 1_000_000_000_000 / learned.rate;
            // A request that came when it was due was held back: the rate is what binds.
            if now <= self.due + Duration::from_nanos(slack(gap)) {
                learned.paced += 1;
            }
            self.due = advance(self.due, now, gap, slack(gap));
            learned.raise(now);
        }
    }

    /// An answer that is no 429 came to a request that was sent at `sent_at`.
    pub fn success(&mut self, sent_at: Instant) {
        if let Some(learned) = &mut self.learned {
            learned.accepted += u64::from(sent_at > learned.empty_at);
            learned.flowed += u64::from(sent_at >= learned.flow_at);
        }
    }

    /// A 429, or another answer with `Retry-After`, came to a request sent at `sent_at`.
    pub fn too_many(
        &mut self,
        now: Instant,
        sent_at: Instant,
        retry_after: Option<Duration>,
        hint: Option<RateHint>,
    ) {
        self.too_many += 1;
        if let Some(pause) = retry_after {
            self.held_until = self.held_until.max(now + pause);
        }
        if let Some(hint) = hint {
            self.hint(now, &hint);
        }
        let told = hint.and_then(|hint| hint.rate());
        let resume = self.held_until.max(now);
        match &mut self.learned {
            None => {
                let rate = (self.recent_rate(now) / 2).clamp(SLOWEST, FASTEST);
                self.learned = Some(Learned::new(now, sent_at, resume, rate, told));
            }
            Some(learned) if sent_at < learned.changed_at && sent_at < learned.flow_at => {
                // Sent before the last change: it says nothing about this rate.
                learned.flow_at = learned.flow_at.max(resume);
            }
            Some(learned) => learned.complained(now, sent_at, resume, told),
        }
        self.due = self.due.max(resume);
    }

    /// A server tells of its limit with any answer: an exhausted window holds the host.
    pub fn hint(&mut self, now: Instant, hint: &RateHint) {
        if let (Some(0), Some(reset)) = (hint.remaining, hint.reset) {
            self.held_until = self.held_until.max(now + reset);
        }
    }

    /// A pause without a rate: `Retry-After` of a 503 or of a redirect.
    pub fn hold_until(&mut self, until: Instant) {
        self.held_until = self.held_until.max(until);
    }

    /// What is known, for people.
    pub fn explain(&self) -> PaceExplanation {
        PaceExplanation {
            rate_milli: self.learned.map(|learned| learned.rate),
            told: self.learned.is_some_and(|learned| learned.told),
            held_until: self.held_until,
            too_many: self.too_many,
        }
    }

    /// How fast the last requests went out.
    fn recent_rate(&self, now: Instant) -> u64 {
        let count = self.sent.min(16);
        let oldest = if self.sent < 16 { 0 } else { (self.sent % 16) as usize };
        let elapsed = nanos(now - self.recent[oldest]).max(1);
        mul_div(count * MILLI, SECOND, elapsed).clamp(SLOWEST, FASTEST)
    }
}

impl Learned {
    fn new(now: Instant, sent_at: Instant, resume: Instant, rate: u64, told: Option<u64>) -> Self {
        Self {
            rate: told.unwrap_or(rate),
            high: told.unwrap_or(rate * 2),
            told: told.is_some(),
            empty_at: sent_at,
            accepted: 0,
            flow_at: resume,
            flowed: 0,
            changed_at: now,
            paced: 0,
            step: 8,
            complained_at: now,
        }
    }

    /// A 429 to a request that was sent at this rate.
    fn complained(&mut self, now: Instant, sent_at: Instant, resume: Instant, told: Option<u64>) {
        let before = self.rate;
        // From empty to empty: what the server gave. A pause in which its bucket overflowed
        // makes this too low, never too high.
        let whole = mul_div(self.accepted * MILLI, SECOND, nanos(sent_at - self.empty_at).max(1));
        // While requests flowed: what it gave and what it had saved up. Never too low.
        let flowing = mul_div(self.flowed * MILLI, SECOND, nanos(sent_at - self.flow_at).max(1));
        if self.accepted >= ENOUGH {
            self.high = if self.flowed >= ENOUGH { flowing.min(before) } else { before };
            let low = whole.min(self.high);
            self.rate = if self.high - low <= self.high / 16 {
                low - low / 100
            } else {
                (u128::from(low) * u128::from(self.high)).isqrt() as u64
            };
            self.rate = self.rate.min(before - before / 64);
        } else {
            self.high = before;
            self.rate = before * 7 / 10;
        }
        if let Some(told) = told {
            self.rate = told.min(before - before / 64);
            self.high = told;
            self.told = true;
        }
        self.rate = self.rate.clamp(SLOWEST, FASTEST);
        self.high = self.high.max(self.rate);
        if now - self.empty_at > MEMORY {
            self.empty_at = sent_at;
            self.accepted = 0;
        }
        self.flow_at = resume;
        self.flowed = 0;
        self.changed_at = now;
        self.complained_at = now;
        self.paced = 0;
        self.step = 8;
    }

    /// Goes faster when the server did not mind for long enough.
    fn raise(&mut self, now: Instant) {
        let quiet = now - self.changed_at.max(self.flow_at);
        if now < self.flow_at {
            return;
        }
        if self.rate + self.rate / 32 < self.high {
            // Well below what drew a 429: half of the way, after a moment.
            if self.paced >= 16 && quiet >= Duration::from_millis(250) {
                self.rate = self.rate.midpoint(self.high);
                self.changed(now);
            }
        } else {
            let age = (now - self.complained_at) / 16;
            let wait = age.clamp(Duration::from_secs(1), Duration::from_secs(60));
            if self.paced >= CAREFUL_REQUESTS.min(self.rate / MILLI * 4).max(16) && quiet >= wait {
                self.rate = (self.rate + (self.rate * self.step / 1024).max(1)).min(FASTEST);
                self.step = (self.step * 2).min(256);
                self.high = self.high.max(self.rate);
                self.changed(now);
            }
        }
    }

    fn changed(&mut self, now: Instant) {
        self.changed_at = now;
        self.paced = 0;
    }
}

/// The state of a pace: a copy that can be shown or looked into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaceExplanation {
    /// The rate that the server was found to bear, in thousandths of a request a second.
    pub rate_milli: Option<u64>,
    /// Whether the server told it.
    pub told: bool,
    /// The end of the pause that the server asked for; in the past when there is none.
    pub held_until: Instant,
    /// How often the server said "too many requests".
    pub too_many: u64,
}

impl fmt::Display for PaceExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rate_milli {
            None => f.write_str("no request rate found"),
            Some(rate) => {
                let by = if self.told { "told by the server" } else { "found by 429" };
                write!(f, "paced at {}.{} requests/s, {by}", rate / MILLI, rate % MILLI / 100)
            }
        }
    }
}

/// How late a request may be and the next still be on time: timers wake a little late, and that
/// must not add up; but a pause is never made good by a burst.
const fn slack(gap: u64) -> u64 {
    let part = gap / 16;
    if part > 10_000_000 {
        10_000_000
    } else if part < 2_000_000 {
        if gap == 0 { 0 } else { 2_000_000 }
    } else {
        part
    }
}

/// The next due time after a request at `now`.
fn advance(due: Instant, now: Instant, gap: u64, slack: u64) -> Instant {
    if gap == 0 {
        return due;
    }
    let earliest = Instant::from_nanos(now.as_nanos().saturating_sub(slack));
    due.max(earliest) + Duration::from_nanos(gap)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// `a·b/c` without overflow on the way, saturating; 0 when `c` is 0.
fn mul_div(a: u64, b: u64, c: u64) -> u64 {
    if c == 0 {
        return 0;
    }
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c)).unwrap_or(u64::MAX)
}
