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
//! That search is in `learned`; whether a 503 is about the rate at all, in `cause`, and whether it is all that
//! the server says, in `shut`. RFC 6585
//! section 4 (429), RFC 9110 section 10.2.3 (Retry-After), the HTTPAPI draft of RateLimit fields.
//! Integers only; no clock; no allocation but for what the first refusals begin.

mod bucket;
mod cause;
mod door;
mod learned;
mod shut;

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use crate::base::{Instant, mul_div, nanos};
use bucket::{Buckets, REMEMBERED};
use cause::{Cause, Says, Seen};
use learned::{FASTEST, FEW, Learned, SLOWEST, per_second};

/// Rates are in thousandths of a request a second, times in nanoseconds.
const MILLI: u64 = 1000;
const SECOND: u64 = 1_000_000_000;
/// What opening a connection may take, where the pace is what counts.
const OPENING: u64 = 5 * SECOND;
/// The rate of requests is seen in this time.
const RECENT: u64 = SECOND / 10;
/// Requests are counted in spans of this length, and so many of those are remembered.
const SPAN: u64 = SECOND / 40;
const SPANS: usize = 6;

/// So many requests in so much time, evenly spaced: five a second are one each 200 ms. There is no burst,
/// and what was not used is not saved up; one that comes late (by a sixteenth of the space, 2 ms at least
/// and 10 at most) does not delay the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Requests, at least 1; [`Config::check`](super::Config::check) refuses zero.
    pub requests: u32,
    /// The time in which they may be sent. Zero: as if there were no rate.
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
    /// How long a window that is used up lasts: as a `Retry-After`.
    pub fn pause(&self) -> Option<Duration> {
        self.reset.filter(|_| self.remaining == Some(0))
    }

    /// The rate it tells, in thousandths of a request a second, with a little room.
    fn rate(&self) -> Option<u64> {
        let window = nanos(self.window?);
        let limit = u64::from(self.limit?);
        let rate = mul_div(limit * MILLI, SECOND, window.max(1));
        Some((rate - rate / 64).clamp(SLOWEST, FASTEST))
    }
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
#[derive(Clone, Debug)]
pub struct Pace {
    /// The user's gap between requests, how late one may be and the next still be on time,
    /// and when the next is due.
    gap: u64,
    slack: u64,
    next: Instant,
    delay: u64,
    after_delay: Instant,
    /// The server's pause.
    held_until: Instant,
    learned: Option<Box<Learned>>,
    /// What a 503 is about.
    cause: Cause,
    /// When the next is due by the server's rate.
    due: Instant,
    binds: bool,
    /// Requests that are remembered while a rate is learned.
    remembered: u16,
    history: History,
    too_many: u64,
}

/// What was sent, to know how fast it went before a refusal.
#[derive(Clone, Copy, Debug)]
struct History {
    /// Requests sent of late: since when, how many, in several spans, the newest first.
    spans: [(Instant, u32); SPANS],
    began: Instant,
    sent: u64,
    accepted: u64,
}

impl History {
    const fn new() -> Self {
        Self { spans: [(Instant::ZERO, 0); SPANS], began: Instant::ZERO, sent: 0, accepted: 0 }
    }

    fn take(&mut self, now: Instant) {
        if self.sent == 0 {
            self.began = now;
            self.spans = [(now, 0); SPANS];
        }
        if now >= self.spans[0].0.later(SPAN) {
            self.spans.rotate_right(1);
            self.spans[0] = (now, 0);
        }
        self.spans[0].1 = self.spans[0].1.saturating_add(1);
        self.sent += 1;
    }

    /// What is learned from the first refusal, of a request sent at `sent_at`.
    fn learned(
        &self,
        now: Instant,
        sent_at: Instant,
        resume: Instant,
        told: Option<u64>,
        remembered: u16,
    ) -> Box<Learned> {
        let sent = self.sent.saturating_sub(1);
        let mut since = [(self.began, sent); 1 + SPANS];
        let mut late = 0;
        for (to, span) in since[1..].iter_mut().zip(self.spans) {
            late += u64::from(span.1);
            *to = (span.0, late.saturating_sub(1));
        }
        let together = sent.saturating_sub(self.accepted);
        let remembered = usize::from(remembered);
        Box::new(Learned::new(now, sent_at, resume, told, &since, together, remembered))
    }
}

impl Pace {
    /// Bytes of heap that it holds at most, when so many requests can be on their way at once:
    /// those of what is learned from 429.
    pub fn most_bytes(in_flight: u32) -> usize {
        let remembered = in_flight.min(u32::from(REMEMBERED)) as usize;
        let buckets = size_of::<Buckets>() + remembered * size_of::<Instant>();
        // Once a rate is learned, what a 503 is about is no question any more.
        size_of::<Learned>().max(size_of::<Seen>()) + if remembered > FEW { buckets } else { 0 }
    }

    /// So many requests at most are on their way at once: more need not be remembered.
    #[must_use]
    pub fn in_flight_at_most(mut self, most: u32) -> Self {
        self.remembered = u16::try_from(most).map_or(REMEMBERED, |most| most.clamp(1, REMEMBERED));
        self
    }

    /// The pace that the user asked for; the server's is learned.
    pub fn new(config: &PaceConfig) -> Self {
        let gap = config.rate.map_or(0, Rate::gap);
        Self {
            gap,
            slack: slack(gap),
            next: Instant::ZERO,
            delay: nanos(config.delay),
            after_delay: Instant::ZERO,
            held_until: Instant::ZERO,
            learned: None,
            cause: Cause::Unheard,
            due: Instant::ZERO,
            binds: false,
            remembered: REMEMBERED,
            history: History::new(),
            too_many: 0,
        }
    }

    /// When the next request may be sent: `now` or later.
    pub fn ready_at(&self, now: Instant) -> Instant {
        let due = if self.learned.is_some() { self.due } else { now };
        now.max(self.next).max(self.after_delay).max(self.held_until).max(due)
    }

    /// How many requests it lets through while a connection is opened, one at least.
    pub fn soon(&self, now: Instant) -> u32 {
        let learned = self.learned.as_ref().map_or(0, |learned| learned.gap(now));
        let gap = self.gap.max(self.delay).max(learned);
        OPENING
            .checked_div(gap)
            .map_or(u32::MAX, |more| u32::try_from(more + 1).unwrap_or(u32::MAX))
    }

    /// Whether the last request was sent no earlier than it was because of this pace: then more
    /// connections would not have helped.
    pub fn binds(&self) -> bool {
        self.binds
    }

    /// Whether a 503 is known to be about the rate.
    pub fn is_about_503(&self) -> bool {
        matches!(self.cause, Cause::Rate { .. })
    }

    /// Whether the server accepts nothing, as far as is known: it is only asked for that.
    pub fn is_shut(&self) -> bool {
        self.learned.as_ref().is_some_and(|learned| learned.door.is_shut())
    }

    /// Whether anything but the user's own wish holds requests back.
    pub fn is_learned(&self) -> bool {
        self.learned.is_some()
    }

    /// A request (any attempt) is sent.
    pub fn take(&mut self, now: Instant) {
        let due = self.ready_at(Instant::ZERO);
        let gap = self.learned.as_ref().map_or(0, |learned| learned.gap(now)).max(self.gap);
        self.binds = due > Instant::ZERO && now <= due.later(slack(gap));
        self.after_delay = if self.delay == 0 { self.after_delay } else { now.later(self.delay) };
        if self.gap > 0 {
            self.next = advance(self.next, now, self.gap, self.slack);
        }
        self.history.take(now);
        if let Some(learned) = &mut self.learned {
            learned.take(now);
            let gap = learned.gap(now);
            // A request that came when it was due was held back: the rate is what binds. One that
            // came little later would soon be: else this rate and a limit of connections that
            // is as low would wait for each other.
            if now <= self.due.later(slack(gap) + gap / 2) {
                learned.paced += 1;
            }
            self.due = advance(self.due, now, gap, slack(gap));
            learned.raise(now);
        }
    }

    /// An answer that is no 429 came to a request that was sent at `sent_at`, when `in_flight`
    /// requests were on their way, itself included.
    pub fn success(&mut self, sent_at: Instant, in_flight: u32) {
        self.cause.served(sent_at, in_flight);
        if self.learned.is_some() {
            self.passed(sent_at);
        }
        self.history.accepted += 1;
    }

    #[inline(never)]
    fn passed(&mut self, sent_at: Instant) {
        let Some(learned) = &mut self.learned else { return };
        if self.history.accepted > 0 || !learned.door.opens(sent_at) {
            learned.success(sent_at);
            return;
        }
        // Others had used it up, or it was shut: what it refused until now tells nothing of what it gives.
        self.learned = None;
        self.history.sent = 0;
        self.history.take(sent_at);
    }

    /// A 429, or another answer that is about the rate, came to a request sent at `sent_at`. `pause`: what
    /// it asks for, by `Retry-After` or by a window that is used up.
    pub fn too_many(
        &mut self,
        now: Instant,
        sent_at: Instant,
        pause: Option<Duration>,
        hint: Option<RateHint>,
    ) {
        let told = hint.and_then(|hint| hint.rate());
        let held = self.held_until;
        let resume = self.refused(now, pause);
        match &mut self.learned {
            None => {
                let mut history = self.history;
                if let Cause::Open(seen) = &self.cause {
                    // It says 429 of its rate: a 503 is about something else. This one may be of what
                    // was sent before that.
                    if history.sent == 0 || sent_at < history.began {
                        history = seen.before;
                    }
                    self.cause = Cause::NotRate;
                }
                // One of those that were refused before it opened is none.
                if sent_at >= history.began {
                    self.learn(&history, now, sent_at, resume, told);
                }
            }
            // Or in a pause: that one had been given to a connection before the pause was known.
            Some(learned)
                if sent_at < learned.changed_at || (learned.is_costly() && sent_at < held) =>
            {
                learned.complained_late(now, resume);
            }
            Some(learned) => {
                learned.complained(now, sent_at, resume, told);
                self.due = now.later(learned.gap(now));
            }
        }
        self.due = self.due.max(resume);
    }

    /// Too many: until when that holds the host.
    fn refused(&mut self, now: Instant, pause: Option<Duration>) -> Instant {
        self.too_many += 1;
        self.held_until = self.held_until.max(now.after(pause.unwrap_or_default()));
        self.held_until
    }

    /// Begins with a rate by what was sent before the first refusal, of a request sent at `sent_at`.
    fn learn(
        &mut self,
        history: &History,
        now: Instant,
        sent_at: Instant,
        resume: Instant,
        told: Option<u64>,
    ) {
        self.learned = Some(history.learned(now, sent_at, resume, told, self.remembered));
    }

    /// A 503 came to a request sent at `sent_at`, which asks for a pause or not. The [`limit`](super::limit) has
    /// heard of it, unless the rate is known to be what it is about, and allows `level` connections
    /// now. If it is about the rate, it was taken like a 429.
    pub fn unavailable(
        &mut self,
        now: Instant,
        sent_at: Instant,
        level: u32,
        pause: Option<Duration>,
    ) -> Blame {
        if self.learned.is_some() && !self.is_about_503() {
            return Blame::AtOnce;
        }
        let found = match self.cause.refused(now, sent_at, level, &mut self.history) {
            Says::AtOnce => {
                let rest = self.cause.rests(now, sent_at);
                self.hold_until(now.later(rest));
                return if rest > 0 { Blame::Shut } else { Blame::AtOnce };
            }
            Says::Rate => {
                self.too_many(now, sent_at, pause, None);
                false
            }
            Says::Found(history, first) => {
                let resume = self.refused(now, pause);
                self.learn(&history, now, first, resume, None);
                self.due = self.due.max(resume);
                true
            }
        };
        let rate = self.learned.as_ref().map_or(u64::MAX, |learned| learned.rate);
        if self.cause.is_refuted_by(rate) {
            self.learned = None;
            return Blame::AtOnce;
        }
        Blame::Rate { found }
    }

    /// A pause without a rate: `Retry-After` of a 503 or of a redirect.
    pub fn hold_until(&mut self, until: Instant) {
        self.held_until = self.held_until.max(until);
    }

    /// What is known, for people.
    pub fn explain(&self) -> PaceExplanation {
        PaceExplanation {
            rate_milli: self.learned.as_ref().map(|learned| learned.rate),
            told: self.learned.as_ref().is_some_and(|learned| learned.told),
            by: if self.is_about_503() { 503 } else { 429 },
            held_until: self.held_until,
            too_many: self.too_many,
        }
    }
}

/// What a 503 is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// How many requests are on their way at once, as far as is known.
    AtOnce,
    /// The same, and nothing else comes: the host rests for a moment. How many it bears is to be found anew.
    Shut,
    /// How many come in a time. If that was not known before, what the limit made of such answers is
    /// void.
    Rate {
        /// It was not known before.
        found: bool,
    },
}

/// The state of a pace: a copy that can be shown or looked into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PaceExplanation {
    /// The rate that the server was found to bear, in thousandths of a request a second.
    pub rate_milli: Option<u64>,
    /// Whether the server told it.
    pub told: bool,
    /// The status by which it was found, if it was not told: 429 or 503.
    pub by: u16,
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
                write!(f, "paced at {}.{} requests/s, ", rate / MILLI, rate % MILLI / 100)?;
                if self.told {
                    f.write_str("told by the server")
                } else {
                    write!(f, "found by {}", self.by)
                }
            }
        }
    }
}

/// How late a request may be and the next still be on time: timers wake a little late, and that
/// must not add up; but a pause is never made good by a burst.
#[inline(never)]
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
#[inline(never)]
fn advance(due: Instant, now: Instant, gap: u64, slack: u64) -> Instant {
    let earliest = Instant::from_nanos(now.as_nanos().saturating_sub(slack));
    due.max(earliest).later(gap)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    const AT: fn(u64) -> Instant = |ms| Instant::from_nanos(ms * 1_000_000);
    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Sends as soon as it may, `late` after each due time, and gives the times in milliseconds.
    fn sends(pace: &mut Pace, count: usize, late: Duration) -> Vec<u64> {
        let mut now = Instant::ZERO;
        (0..count)
            .map(|_| {
                let due = pace.ready_at(now);
                now = if due > now { due + late } else { now };
                pace.take(now);
                now.as_nanos() / 1_000_000
            })
            .collect()
    }

    fn rate(requests: u32, per: Duration) -> Pace {
        Pace::new(&PaceConfig { rate: Some(Rate { requests, per }), delay: Duration::ZERO })
    }

    /// Where nothing is known of it any more, nothing speaks against a rate.
    #[test]
    fn a_rate_that_was_dropped_is_not_refuted() {
        let mut pace = Pace::new(&PaceConfig::default());
        pace.cause = Cause::Rate { known: 40_000 };
        for refused in [10, 200, 300] {
            pace.take(AT(refused - 10));
            pace.too_many(AT(refused), AT(refused - 10), None, None);
        }
        pace.take(AT(400));
        pace.take(AT(500));
        pace.success(AT(500), 2);
        assert_eq!(pace.unavailable(AT(600), AT(400), 4, None), Blame::Rate { found: false });
        assert!(pace.is_about_503());
    }

    #[test]
    fn the_users_rate_spreads_requests_evenly() {
        let rows: [(u32, u64, &[u64]); 4] = [
            (2, 1000, &[0, 500, 1000, 1500]),
            (3, 15_000, &[0, 5000, 10_000, 15_000]),
            (1, 3_600_000, &[0, 3_600_000, 7_200_000]),
            (10, 1000, &[0, 100, 200, 300]),
        ];
        for (requests, per, times) in rows {
            assert_eq!(sends(&mut rate(requests, MS(per)), times.len(), Duration::ZERO), times);
        }
    }

    #[test]
    fn a_timer_that_wakes_late_does_not_slow_the_rate() {
        for (requests, late_us) in [(10, 1000), (100, 1000), (1000, 1000), (20_000, 1000)] {
            let mut pace = rate(requests, Duration::from_secs(1));
            let times = sends(&mut pace, requests as usize + 1, Duration::from_micros(late_us));
            let last = *times.last().unwrap();
            assert!((995..=1010).contains(&last), "{requests}/s: {last} ms");
        }
    }

    #[test]
    fn a_pause_is_not_made_good_by_a_burst() {
        let mut pace = rate(10, Duration::from_secs(1));
        pace.take(AT(0));
        pace.take(AT(5000));
        assert!(pace.ready_at(AT(5000)) >= AT(5090));
        pace.take(AT(5100));
        assert!(pace.ready_at(AT(5100)) >= AT(5190));
    }

    #[test]
    fn the_delay_is_a_gap_whatever_the_rate() {
        let config = PaceConfig {
            rate: Some(Rate { requests: 100, per: Duration::from_secs(1) }),
            delay: MS(300),
        };
        assert_eq!(sends(&mut Pace::new(&config), 4, Duration::ZERO), [0, 300, 600, 900]);
        let late = sends(&mut Pace::new(&config), 3, MS(7));
        assert_eq!(late, [0, 307, 614], "no gap is ever shorter");
    }

    #[test]
    fn without_wishes_and_complaints_nothing_waits() {
        let mut pace = Pace::new(&PaceConfig::default());
        assert_eq!(sends(&mut pace, 3, Duration::ZERO), [0, 0, 0]);
        assert!(!pace.is_learned());
        assert_eq!(pace.explain().to_string(), "no request rate found");
    }

    #[test]
    fn a_retry_after_holds_and_the_longest_counts() {
        let mut pace = Pace::new(&PaceConfig::default());
        pace.take(AT(0));
        pace.too_many(AT(10), AT(0), Some(Duration::from_secs(3)), None);
        pace.too_many(AT(11), AT(0), Some(Duration::from_secs(1)), None);
        assert_eq!(pace.ready_at(AT(20)), AT(3010));
        pace.hold_until(AT(2000));
        assert_eq!(pace.ready_at(AT(20)), AT(3010));
        assert_eq!(pace.explain().too_many, 2);
    }

    #[test]
    fn what_was_sent_just_after_a_refusal_is_of_the_same_cause() {
        let rate_after = |late: &[u64]| {
            let mut pace = Pace::new(&PaceConfig::default());
            for ms in 0..24 {
                pace.take(AT(ms * 4));
                if ms < 20 {
                    pace.success(AT(ms * 4), 4);
                }
            }
            // A connection that was coming has its request after the pause is known.
            for sent in [&[80, 84], late].concat() {
                pace.too_many(AT(102), AT(sent), Some(MS(1000)), None);
            }
            for ms in (1102..2000).step_by(25) {
                pace.take(AT(ms));
                pace.success(AT(ms), 4);
            }
            pace.learned.expect("a rate").rate
        };
        let alone = rate_after(&[88, 92]);
        assert_eq!(rate_after(&[88, 103]), alone);
        assert_eq!(rate_after(&[103, 104]), alone);
    }

    #[test]
    fn a_rate_that_is_told_is_taken() {
        let mut pace = Pace::new(&PaceConfig::default());
        for ms in 0..50 {
            pace.take(AT(ms));
        }
        let hint = RateHint {
            limit: Some(600),
            remaining: Some(0),
            reset: Some(Duration::from_secs(7)),
            window: Some(Duration::from_secs(60)),
        };
        pace.too_many(AT(60), AT(50), hint.pause(), Some(hint));
        assert_eq!(pace.ready_at(AT(60)), AT(7060), "the window is used up");
        assert_eq!(pace.explain().to_string(), "paced at 9.8 requests/s, told by the server");
        pace.take(AT(7060));
        assert!(pace.ready_at(AT(7060)) > AT(7155));
    }

    #[test]
    fn no_flood_of_429_and_no_odd_clock_breaks_it() {
        let mut rng = fastrand::Rng::with_seed(5);
        for seed in 0..200 {
            rng.seed(seed);
            let mut pace = Pace::new(&PaceConfig { rate: None, delay: Duration::ZERO });
            let mut now = Instant::ZERO;
            for _ in 0..300 {
                now += Duration::from_micros(rng.u64(0..50_000));
                let sent = Instant::from_nanos(rng.u64(0..=now.as_nanos() * 2));
                match rng.u8(0..4) {
                    0 if pace.ready_at(now) > now => {}
                    0 => pace.take(now),
                    1 => pace.success(sent, 1),
                    2 => pace.too_many(now, sent, None, None),
                    _ => pace.too_many(now, sent, Some(MS(rng.u64(0..500))), None),
                }
                let wait = pace.ready_at(now) - now;
                assert!(wait <= Duration::from_secs(11), "seed {seed}: waits {wait:?}");
            }
        }
    }
}
