//! The search for the rate of a server that answers 429 without telling its rate.
//!
//! Owns the rate at which requests go out: within what is [possible](super::bucket), nearer to
//! the lower end the more a step too far costs (a 429 with `Retry-After` costs a pause), and
//! slowly enough that what is too fast shows before it is far too fast. A rate that stands is
//! stepped up from now and then, after ever longer times; steps that nobody minds grow, one that
//! draws a 429 is taken back.
//!
//! Where nothing is accepted, whatever the rate, a window is used up or a door is closed: the
//! server is asked now and then, and what was known of its rate stays.

use alloc::boxed::Box;
use core::time::Duration;

use super::bucket::{Buckets, Sent};
use super::{MILLI, SECOND, mul_div, nanos};
use crate::base::Instant;

/// The slowest rate of the search: one request in ten seconds.
pub(super) const SLOWEST: u64 = MILLI / 10;
/// The fastest that is told apart from no pace at all.
pub(super) const FASTEST: u64 = 100_000 * MILLI;
/// With so few requests on their way at once, a 429 just takes a quarter of the rate.
pub(super) const FEW: usize = 4;
/// A pause that makes a step too far costly.
const COSTLY: Duration = Duration::from_millis(200);
/// A rise of a quarter: no sooner after the one before, and after so many requests.
const CLIMB_EVERY: Duration = Duration::from_millis(100);
const CLIMB_REQUESTS: u64 = 2;
/// The longest time between two careful steps, unless a pause is so costly.
const SLOWLY: Duration = Duration::from_secs(60);
/// The first careful step, in 1/1024, and the largest.
const CAREFUL: u64 = 8;
const BOLDEST: u64 = 256;
/// The time between two careful steps that nobody minds.
const BOLDLY: Duration = Duration::from_millis(500);
/// The least and the longest time between two questions whether a window has ended.
const BLOCKED_GAP: u64 = 50_000_000;
const BLOCKED_GAP_MOST: u64 = 2 * SECOND;
/// Requests between two careful steps up: each may cost one 429.
const CAREFUL_REQUESTS: u64 = 250;
/// Rates that differ by less than such a part need not be told apart.
const VAGUE: u64 = 24;
/// The time between two steps while they are to be, in pauses, and the requests.
const EXPLORE_PAUSES: u32 = 4;
const EXPLORE_REQUESTS: u64 = 8;
/// How long a rate is kept that may be the measure of a closed door instead of a window.
const UNCONFIRMED: Duration = Duration::from_secs(3);
/// What a 429 with a pause may cost: its pause in so many, and ever less.
const PAUSES_APART: u32 = 25;

/// What is known of the server's rate limit.
#[derive(Clone, Debug)]
pub(super) struct Learned {
    /// Requests go out at this rate.
    pub(super) rate: u64,
    /// Whether the server told the rate.
    pub(super) told: bool,
    /// What it can be; not where there are too few connections to be worth the memory.
    buckets: Option<Box<Buckets>>,
    /// Since when requests flow, and how many.
    pub(super) flow_at: Instant,
    flowing: u64,
    /// How many 429s there were: each makes the next rate more careful.
    complaints: u32,
    /// The rate at which the last of them came.
    fine: u64,
    /// When the rate was last raised or lowered, and the paced requests since.
    pub(super) changed_at: Instant,
    pub(super) paced: u64,
    /// The size of the next careful step up, in 1/1024, and whether one was made.
    step: u64,
    stepped: bool,
    /// How many such climbs came to nothing, one after the other.
    failed: u32,
    /// The last 429, and the pause that it asked for: the price of a step too far.
    complained_at: Instant,
    pub(super) pause: Duration,
    /// Since when nothing was accepted, and how many were refused since.
    blocked: Option<Instant>,
    asked: u32,
    /// When requests last began to be accepted, and how many were sent since but refused.
    cycle_at: Instant,
    cycle: u64,
    /// The server counts in windows: how many requests a second they give.
    window: Option<Window>,
    /// How long the last one seemed to be.
    length: Duration,
}

/// What was accepted between the beginnings of two windows, or of two openings of a door.
#[derive(Clone, Copy, Debug)]
struct Window {
    rate: u64,
    /// Two of them were alike.
    confirmed: bool,
}

impl Learned {
    /// The first 429. `all` and `late` say what had been sent, of which `together` are still on
    /// their way.
    pub(super) fn new(
        now: Instant,
        sent_at: Instant,
        resume: Instant,
        told: Option<u64>,
        (all, late): (Sent, Sent),
        together: u64,
        remembered: usize,
    ) -> Self {
        let pause = resume - now;
        let rate = |count: u64, time: Duration| {
            mul_div(count * MILLI, SECOND, nanos(time).max(10_000_000)).clamp(SLOWEST, FASTEST)
        };
        let fastest = rate(late.1, sent_at - late.0).max(rate(all.1, sent_at - all.0));
        let slowest = rate(all.1, resume - all.0);
        let range = (slowest / 256, fastest.saturating_mul(8));
        let buckets = (remembered > FEW)
            .then(|| Box::new(Buckets::new(sent_at, all, late, together, range, remembered)));
        // A window whose end the pause names gives `slowest`; a small bucket far more.
        let first = if pause >= COSTLY { between(slowest, fastest) } else { fastest / 2 };
        Self {
            rate: told.unwrap_or(first).clamp(SLOWEST, FASTEST),
            told: told.is_some(),
            buckets,
            flow_at: resume,
            flowing: 0,
            complaints: 1,
            fine: fastest.min(FASTEST),
            changed_at: now,
            paced: 0,
            step: CAREFUL,
            stepped: false,
            failed: 0,
            complained_at: now,
            pause,
            blocked: None,
            asked: 0,
            cycle_at: all.0,
            cycle: all.1,
            window: None,
            length: Duration::ZERO,
        }
    }

    /// Nanoseconds from one request to the next.
    pub(super) fn gap(&self, now: Instant) -> u64 {
        match self.blocked {
            Some(since) => {
                BLOCKED_GAP + (nanos(now - since) / 8).min(BLOCKED_GAP_MOST - BLOCKED_GAP)
            }
            None => MILLI * SECOND / self.rate.max(1),
        }
    }

    /// A request is sent.
    pub(super) fn take(&mut self, now: Instant) {
        if let Some(buckets) = &mut self.buckets {
            buckets.take(now);
        }
        self.cycle += 1;
        self.flowing += u64::from(now >= self.flow_at);
    }

    /// Whether a step too far costs a pause, not just an answer.
    fn is_costly(&self) -> bool {
        self.pause >= COSTLY
    }

    pub(super) fn success(&mut self, sent_at: Instant) {
        if sent_at < self.flow_at {
            return;
        }
        if let Some(buckets) = &mut self.buckets {
            buckets.accepted(sent_at);
        }
        if let Some(since) = self.blocked
            && sent_at > since
        {
            self.opened(since, sent_at);
        }
        if let Some(buckets) = &mut self.buckets
            && buckets.range().is_none()
        {
            // More was accepted than any of them allows: it gives more than it did.
            let holds = buckets.holds(self.rate);
            let least = self.rate - self.rate / 16;
            buckets.renew(least, self.rate.saturating_mul(16), holds, false);
            self.failed = 0;
            self.complaints = 1;
        }
    }

    /// A request passed after none did: a new window, or a door that was closed.
    fn opened(&mut self, since: Instant, sent_at: Instant) {
        self.blocked = None;
        let asked = core::mem::take(&mut self.asked);
        let length = sent_at - self.cycle_at;
        let rate = mul_div(self.cycle.saturating_sub(1) * MILLI, SECOND, nanos(length).max(1));
        let waited = sent_at - since;
        // A bucket would have let some pass meanwhile.
        let missed = mul_div(rate, nanos(waited), SECOND * MILLI);
        if self.is_costly() {
            // Who asks for a pause and accepts nothing after it was shut: what it refused then
            // tells nothing about its rate.
            let least = self.fine - self.fine / 4;
            if let Some(buckets) = &mut self.buckets {
                let holds = buckets.holds(self.fine);
                buckets.renew(least, self.fine.saturating_mul(4), holds, false);
            }
            self.rate = least.max(SLOWEST);
            self.complaints = 1;
        }
        let is_window = asked >= 3 && missed >= 3 && waited * 16 >= length;
        if is_window && !self.is_costly() && rate >= SLOWEST {
            // It was used up long before its end: this is all it has.
            let before = core::mem::replace(&mut self.length, length);
            let confirmed = before.abs_diff(length) <= length / 4;
            let rate = rate - rate / 64;
            self.window = Some(Window { rate, confirmed });
            self.rate = rate;
            // Or the door was closed for a while: then it gives far more.
            self.step = if confirmed { CAREFUL } else { BOLDEST };
            self.complained_at = sent_at;
        }
        (self.cycle_at, self.cycle) = (sent_at, 1);
        (self.flow_at, self.flowing) = (sent_at, 1);
        self.changed(sent_at);
    }

    /// A 429 to a request that was sent before the rate was last changed: it says nothing about
    /// this one.
    pub(super) fn complained_late(&mut self, now: Instant, resume: Instant) {
        if let Some(buckets) = &mut self.buckets {
            buckets.one_less();
        }
        self.cycle = self.cycle.saturating_sub(1);
        self.flow_at = self.flow_at.max(resume);
        self.pause = self.pause.max(resume - now);
    }

    /// A 429 to a request that was sent at this rate.
    pub(super) fn complained(
        &mut self,
        now: Instant,
        sent_at: Instant,
        resume: Instant,
        told: Option<u64>,
    ) {
        let costly = resume - now >= COSTLY;
        let before = self.rate;
        let pace = if self.blocked.is_some() { 0 } else { before };
        if let Some(buckets) = &mut self.buckets {
            buckets.refused(sent_at);
        }
        self.cycle = self.cycle.saturating_sub(1);
        let rest = core::mem::replace(&mut self.pause, resume - now);
        let began = core::mem::replace(&mut self.flow_at, resume);
        let after = mul_div(pace, nanos(now - sent_at), SECOND * MILLI);
        let passed = self.flowing.saturating_sub(1 + after);
        self.flowing = 0;
        if let Some(told) = told {
            self.rate = told.min(before - before / 64);
            self.told = true;
            self.changed(now);
            return;
        }
        if passed == 0 {
            // Not one: a used up window, or a closed door.
            self.blocked.get_or_insert(sent_at);
            self.asked += 1;
            self.changed(now);
            return;
        }
        self.complained_at = now;
        self.complaints += 1;
        self.fine = before;
        self.step = if costly { (self.step / 2).clamp(2, CAREFUL) } else { CAREFUL };
        if core::mem::take(&mut self.stepped) {
            self.failed = (self.failed + 1).min(6);
        }
        if let Some(buckets) = &mut self.buckets
            && buckets.range().is_none()
        {
            // It gives less than it did.
            let holds = buckets.holds(before);
            let time = nanos(resume - began).max(1);
            let gave = mul_div(passed * MILLI, SECOND, time).min(before);
            buckets.renew(gave - gave / 8, before, holds, true);
        }
        let wanted = if self.buckets.is_some() { self.wanted() } else { before - before / 4 };
        self.rate = wanted.min(before - before / 64).max(SLOWEST);
        if costly && rest >= COSTLY {
            // It gave as much as this, the pause included, in which it may have given more.
            let time = nanos(sent_at - began + rest).max(1);
            let gave = mul_div(passed * MILLI, SECOND, time);
            self.rate = self.rate.max(gave - gave / 64).min(before);
        }
        self.changed(now);
    }

    /// Whether what is possible is far apart.
    fn is_vague(&self) -> bool {
        let far_apart = |(low, high)| high - low > low / VAGUE;
        let vague = |buckets: &Buckets| buckets.range().is_none_or(far_apart);
        self.window.is_none() && self.buckets.as_deref().is_some_and(vague)
    }

    /// The rate to try, by what is possible.
    fn wanted(&self) -> u64 {
        if let Some(window) = self.window {
            return window.rate;
        }
        let range = self.buckets.as_ref().and_then(|buckets| buckets.range());
        let Some((low, high)) = range else { return self.rate };
        if high - low <= low / VAGUE {
            return low - low / 128;
        }
        let complaints = self.complaints;
        let halvings = if self.is_costly() { complaints + 1 } else { complaints.div_ceil(2) };
        // Never far below what was fine: the lowest that is possible may be far from true.
        let least = high / if self.is_costly() { 4 } else { 2 };
        (0..halvings.min(8)).fold(high, |rate, _| between(low, rate)).max(least)
    }

    /// Goes faster when the server did not mind for long enough.
    pub(super) fn raise(&mut self, now: Instant) {
        if now < self.flow_at || self.blocked.is_some() || self.told {
            return;
        }
        let quiet = now - self.changed_at.max(self.flow_at);
        let wanted = self.wanted();
        if !self.stepped && wanted > self.rate {
            if self.paced >= CLIMB_REQUESTS && quiet >= CLIMB_EVERY {
                self.rate = (self.rate + self.rate / 4 + 1).min(wanted);
                self.changed(now);
            }
            return;
        }
        if !self.stepped && self.is_vague() {
            let wait = BOLDLY.max(self.pause * EXPLORE_PAUSES);
            if self.paced >= EXPLORE_REQUESTS && quiet >= wait {
                self.complaints = (self.complaints - 1).max(1);
                // At one, the range itself has to be what is too low.
                self.rate = (self.rate + self.rate / 16).max(self.wanted());
                self.changed(now);
            }
            return;
        }
        // In a window, what is too fast shows only at its end.
        let shows_late = self.window.is_some_and(|window| window.confirmed);
        let (enough, wait) = if self.stepped && self.step > CAREFUL * 2 && !shows_late {
            (16, BOLDLY)
        } else {
            let least = Duration::from_secs(1 << self.failed);
            let least = least.max(self.pause * (PAUSES_APART << self.failed));
            let least = match self.window {
                Some(window) if window.confirmed => least.max(self.length + self.length / 4),
                Some(_) => least.max(UNCONFIRMED),
                None => least,
            };
            let wait = ((now - self.complained_at) / 16).clamp(least, SLOWLY.max(least));
            (CAREFUL_REQUESTS.min(self.rate / MILLI * 4).max(16), wait)
        };
        if self.paced >= enough && quiet >= wait {
            self.stepped = true;
            self.rate = (self.rate + (self.rate * self.step / 1024).max(1)).min(FASTEST);
            self.step = (self.step * 2).min(BOLDEST);
            if self.window.is_some_and(|window| self.rate > window.rate * 2) {
                // It was a door.
                self.window = None;
            }
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
