//! The search for the rate of a server that answers 429 without telling its rate.
//!
//! Owns what is known of it. The search rests on one fact: a server that answers 429 has just run
//! out, so what it accepted between two 429s, divided by the time between them, is what it
//! gives, or less where it would have given more. Two kinds are told apart: a *bucket* that fills
//! all the time, and a *window* that stays used up until its end, which is then waited for by
//! asking now and then. While there is no complaint the rate goes up: by halves towards what drew
//! the last 429, or in small steps where each 429 costs a pause; then by a percent now and then,
//! after ever longer times. A step that draws a 429 is taken back.

use core::time::Duration;

use super::{MILLI, SECOND, mul_div, nanos};
use crate::base::Instant;

/// The slowest rate of the search: one request in ten seconds.
pub(super) const SLOWEST: u64 = MILLI / 10;
/// The fastest that is told apart from no pace at all.
pub(super) const FASTEST: u64 = 100_000 * MILLI;
/// Accepted requests that make a measured rate worth something.
const ENOUGH: u64 = 12;
/// What was measured longer ago than this counts for less.
const MEMORY: Duration = Duration::from_secs(20);
/// A pause that makes a step too far costly.
const COSTLY: Duration = Duration::from_millis(200);
/// Steps up: from below, and from a rate that is nearly right; in 1/1024.
const CLIMB: u64 = 48;
/// The time between two steps from below.
const CLIMB_EVERY: Duration = Duration::from_millis(300);
/// The longest time between two careful steps, unless a pause is so costly.
const SLOWLY: Duration = Duration::from_secs(60);
const CAREFUL: u64 = 8;
/// The first step up from a rate that was measured once.
const FIRST: u64 = 32;
/// The least time between two questions whether a window has ended.
const BLOCKED_GAP: u64 = 50_000_000;
/// Requests between two careful steps up: each may cost one 429.
const CAREFUL_REQUESTS: u64 = 250;

/// What is known of the server's rate limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learned {
    /// Requests go out at this rate.
    pub(super) rate: u64,
    /// A rate that drew a 429.
    high: u64,
    /// Whether the server told the rate.
    pub(super) told: bool,
    /// The 429 from which on is measured (when its request was sent), and what was accepted
    /// of that which was sent later.
    empty_at: Instant,
    accepted: u64,
    /// What was in flight at the first 429: how many passed, and how many did not.
    passed: u64,
    pub(super) refused: u64,
    /// Since when requests flow at this rate, and what was accepted of those.
    pub(super) flow_at: Instant,
    flowed: u64,
    /// When the last request was sent that was accepted.
    answered_at: Instant,
    /// When the rate was last raised or lowered, and the paced requests since.
    pub(super) changed_at: Instant,
    pub(super) paced: u64,
    /// The size of the next step up, in 1/1024.
    step: u64,
    /// The rate before the last careful step, which did not draw a 429 for long; and how many
    /// such steps did, one after the other.
    steady: Option<u64>,
    failed: u32,
    /// The last 429, and the pause that it asked for: the price of a step too far.
    complained_at: Instant,
    pub(super) pause: Duration,
    /// Since when nothing was accepted: the server counts in windows, and this one is used up.
    blocked: Option<Instant>,
    windows: bool,
    /// How long a window seems to be.
    window: Duration,
    /// The rate is back at what was steady, whatever the measurement says.
    reverted: bool,
    /// When requests last began to be accepted, and how many were since.
    pub(super) cycle_at: Instant,
    pub(super) cycle: u64,
}

impl Learned {
    /// The first 429, after requests had gone out at `rate`.
    pub(super) fn new(
        now: Instant,
        sent_at: Instant,
        resume: Instant,
        rate: u64,
        told: Option<u64>,
    ) -> Self {
        let rate = rate.clamp(SLOWEST, FASTEST);
        Self {
            rate: told.unwrap_or((rate / 2).max(SLOWEST)),
            high: told.unwrap_or(rate),
            told: told.is_some(),
            empty_at: sent_at,
            accepted: 0,
            passed: 0,
            refused: 1,
            flow_at: resume,
            flowed: 0,
            answered_at: sent_at,
            changed_at: now,
            paced: 0,
            step: CLIMB,
            steady: None,
            failed: 0,
            complained_at: now,
            pause: resume - now,
            blocked: None,
            windows: false,
            window: Duration::ZERO,
            reverted: false,
            cycle_at: sent_at,
            cycle: 0,
        }
    }

    /// Nanoseconds from one request to the next.
    pub(super) fn gap(&self, now: Instant) -> u64 {
        match self.blocked {
            Some(since) => nanos(now - since) / 8 + BLOCKED_GAP,
            None => MILLI * SECOND / self.rate.max(1),
        }
    }

    /// Whether a step too far costs a pause, not just an answer.
    fn is_costly(&self) -> bool {
        self.pause >= COSTLY
    }

    pub(super) fn success(&mut self, sent_at: Instant) {
        self.accepted += u64::from(sent_at > self.empty_at);
        self.passed += u64::from(sent_at <= self.changed_at);
        self.flowed += u64::from(sent_at >= self.flow_at);
        self.cycle += 1;
        self.answered_at = self.answered_at.max(sent_at);
        if let Some(since) = self.blocked
            && sent_at > since
        {
            // A new window: the last one gave so many from its beginning until now.
            self.blocked = None;
            let cycle = nanos(sent_at - self.cycle_at).max(1);
            let waited = nanos(sent_at - since);
            let one = mul_div(MILLI, SECOND, waited.max(BLOCKED_GAP));
            let gave = mul_div((self.cycle - 1) * MILLI, SECOND, cycle).max(one);
            if self.reverted {
                // Only the last step was too much.
            } else if waited.saturating_mul(4) >= cycle - waited.min(cycle) {
                // It was used up long before its end: this is all it has.
                self.rate = gave - gave / 64;
                self.high = self.rate;
                self.window = Duration::from_nanos(cycle);
                self.step = if self.failed == 0 { FIRST } else { CAREFUL };
            } else {
                self.high = self.rate - self.rate / 64;
                self.rate = between(gave.min(self.high), self.high);
            }
            self.rate = self.rate.clamp(SLOWEST, FASTEST);
            self.reverted = false;
            self.complained_at = sent_at;
            (self.cycle_at, self.cycle) = (sent_at, 1);
            (self.flow_at, self.flowed) = (sent_at, 1);
            self.changed(sent_at);
        }
    }

    /// A 429 to a request that was sent at this rate.
    pub(super) fn complained(
        &mut self,
        now: Instant,
        sent_at: Instant,
        resume: Instant,
        told: Option<u64>,
    ) {
        let pause = resume - now;
        let before = self.rate;
        let climbing = self.step == CLIMB;
        // A step too far that costs a pause is followed by ever smaller ones.
        self.step = if pause >= COSTLY { (self.step / 2).clamp(1, CAREFUL) } else { CAREFUL };
        if let Some(told) = told {
            self.rate = told.min(before - before / 64);
            self.high = self.rate;
            self.told = true;
        } else if let Some(steady) = self.steady.take() {
            self.rate = steady;
            self.high = steady;
            self.reverted = true;
            self.failed = (self.failed + 1).min(6);
        }
        if (self.flowed == 0 || self.windows) && pause < COSTLY && told.is_none() {
            // Not one since the rate fell, or a window that is known to be used up. Ask now and
            // then, until one passes.
            let since = if self.windows { sent_at } else { self.complained_at };
            self.blocked.get_or_insert(since);
            self.windows = true;
            return;
        }
        self.pause = pause;
        if told.is_none() && !self.reverted {
            self.measure(sent_at, before, climbing);
        }
        self.reverted = false;
        self.rate = self.rate.clamp(SLOWEST, FASTEST);
        self.high = self.high.max(self.rate);
        if now - self.empty_at > MEMORY {
            self.empty_at = sent_at;
            self.accepted = 0;
        }
        self.flow_at = resume;
        self.flowed = 0;
        self.complained_at = now;
        (self.cycle_at, self.cycle) = (resume, 0);
        self.changed(now);
    }

    /// Takes the rate from what was accepted until this 429.
    fn measure(&mut self, sent_at: Instant, before: u64, climbing: bool) {
        if self.accepted < ENOUGH {
            self.high = before;
            self.rate = before * 7 / 10;
            return;
        }
        // From empty to empty: what the server gave, or less where it would have given more.
        // Answers to the last requests are still on the way: count until the last that is here.
        let until = sent_at.min(self.answered_at);
        let whole = mul_div(self.accepted * MILLI, SECOND, nanos(until - self.empty_at).max(1));
        // While requests flowed: what it gave and what it had saved up.
        let flowing = mul_div(self.flowed * MILLI, SECOND, nanos(until - self.flow_at).max(1));
        self.high = if self.flowed >= ENOUGH { flowing.min(before) } else { before };
        let low = whole.min(self.high);
        if self.high - low <= self.high / 16 {
            self.rate = low - low / 100;
        } else if self.is_costly() {
            // What it had saved up hid for a moment that this was too much: the longer it
            // lasted, the less was it too much.
            let lasted = sent_at - self.flow_at;
            self.high = before - before / 32;
            self.rate = match lasted.as_secs() {
                _ if lasted < self.pause / 2 => between(low, self.high),
                _ if climbing => before - before / 8,
                0 | 1 => before - before / 8,
                2..5 => before - before / 16,
                _ => before - before / 32,
            };
        } else {
            self.rate = between(low, self.high);
        }
        self.rate = self.rate.min(before - before / 64);
    }

    /// Goes faster when the server did not mind for long enough.
    pub(super) fn raise(&mut self, now: Instant) {
        if now < self.flow_at || self.blocked.is_some() {
            return;
        }
        let quiet = now - self.changed_at.max(self.flow_at);
        if self.rate + self.rate / 32 < self.high {
            if self.is_costly() {
                self.climb(now, quiet);
            } else if self.paced >= 16 && quiet >= Duration::from_millis(250) {
                // Well below what drew a 429: half of the way, after a moment.
                self.rate = self.rate.midpoint(self.high);
                self.changed(now);
            }
            return;
        }
        let window = self.window + self.window / 4;
        let least = Duration::from_secs(1 << self.failed).max(self.pause * 20).max(window);
        let wait = ((now - self.complained_at) / 16).clamp(least, SLOWLY.max(least));
        let enough = CAREFUL_REQUESTS.min(self.rate / MILLI * 4).max(16);
        if self.paced >= enough && quiet >= wait {
            if self.step > CAREFUL * 4 {
                // Several in a row were fine: it gives more than it did.
                self.failed = 0;
            }
            self.steady = Some(self.rate);
            self.rate = (self.rate + (self.rate * self.step / 1024).max(1)).min(FASTEST);
            self.step = (self.step * 2).min(256);
            self.high = self.high.max(self.rate);
            self.changed(now);
        }
    }

    /// In small steps from below, where a step too far costs a pause: it must happen only once.
    fn climb(&mut self, now: Instant, quiet: Duration) {
        if self.refused > 0 {
            // What was in flight when the rate fell: so many of so many passed.
            let all = self.passed + self.refused;
            if all >= 8 {
                let passed = mul_div(self.high, self.passed, all);
                self.rate = (passed - passed / 16).clamp(self.high / 8, self.high).max(SLOWEST);
            }
            self.refused = 0;
            self.changed(now);
        } else if self.paced >= 12 && quiet >= CLIMB_EVERY * (CLIMB / self.step) as u32 {
            self.rate += (self.rate * self.step / 1024).max(1);
            self.changed(now);
        }
    }

    fn changed(&mut self, now: Instant) {
        self.changed_at = now;
        self.paced = 0;
    }
}

/// The geometric mean.
fn between(low: u64, high: u64) -> u64 {
    (u128::from(low) * u128::from(high)).isqrt() as u64
}
