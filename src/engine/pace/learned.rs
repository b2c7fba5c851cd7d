//! The search for the rate of a server that answers 429 without telling its rate.
//!
//! Owns the rate at which requests go out: within what is [possible](super::bucket), and slowly
//! enough that what is too fast shows before it is far too fast. A rate that stands is stepped up
//! from now and then, after ever longer times; steps that nobody minds grow, one that draws a 429
//! is taken back.
//!
//! Where a 429 costs a pause (`Retry-After`), the first one tells how much was too much, but not
//! what of that was saved up. From a low guess the rate climbs until the second one, without loss,
//! as more than the rate drains what was saved up; both together tell rate and size. Then it stays
//! there for many pauses' time. A server that twice gives just as much, however fast it was asked,
//! counts in windows, whose length the longest pause tells.
//!
//! Where nothing is accepted, whatever the rate, that is a matter of [windows and closed
//! doors](super::door), and what was known of the rate stays.

use alloc::boxed::Box;

use super::bucket::{Buckets, Sent};
use super::door::{Door, Window};
use super::{MILLI, RECENT, SECOND, SPANS};
use crate::base::{Instant, mul_div, root};

/// The slowest rate of the search: one request in ten seconds.
pub(super) const SLOWEST: u64 = MILLI / 10;
/// The fastest that is told apart from no pace at all.
pub(super) const FASTEST: u64 = 100_000 * MILLI;
/// Whatever was accepted before the first 429 (nothing, where others had used it up), it may give as much.
const MAY_GIVE: u64 = 1000 * MILLI;
/// With so few requests on their way at once, a 429 just takes a quarter of the rate.
pub(super) const FEW: usize = 4;
/// A pause that makes a step too far costly.
const COSTLY: u64 = SECOND / 5;
/// A rise of a quarter: no sooner after the one before, and after so many requests.
const CLIMB_EVERY: u64 = SECOND / 10;
const CLIMB_REQUESTS: u64 = 2;
/// The longest time between two careful steps, unless a pause is so costly.
const SLOWLY: u64 = 60 * SECOND;
/// The first careful step, in 1/1024, and the largest.
const CAREFUL: u64 = 8;
const BOLDEST: u64 = 256;
/// The time between two careful steps that nobody minds.
const BOLDLY: u64 = SECOND / 2;
/// The same once the first of them was fine, where no window hides what is too fast until its end.
const BOLDLY_ON: u64 = SECOND * 3 / 10;
/// Most windows are of a second. One that seems to be longer than this may be none: a door that was closed.
pub(super) const WINDOW: u64 = SECOND * 3 / 2;
/// Requests between two careful steps up: each may cost one 429.
const CAREFUL_REQUESTS: u64 = 250;
/// Rates that differ by less than such a part need not be told apart.
const VAGUE: u64 = 24;
/// The requests between two steps while they are to be.
const EXPLORE_REQUESTS: u64 = 8;
/// The first step, in 1/1024, of a rise that may cost a pause: one more or less costs the same.
const FIRST_STEP: u64 = 32;
/// What a 429 with a pause may cost: its pause in so many, and ever less.
const PAUSES_APART: u64 = 40;

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
    /// When the run of requests began that flows, or that the pause of now ended.
    began: Instant,
    /// What ended it, until the pause is over and all that it left behind is answered.
    ended: Option<Ended>,
    /// The least that passed in a run, at which rate, and the longest pause asked for.
    least_passed: u64,
    least_at: u64,
    longest: u64,
    /// It gives so many in a window and then none, as was seen twice.
    counts_windows: bool,
    /// How many 429s there were: each makes the next rate more careful.
    complaints: u32,
    /// The rate before it was last raised.
    stood: u64,
    /// The rate at which the last of them came.
    fine: u64,
    /// The highest that was possible then, and whether the last one told anything new of it.
    ceiling: u64,
    narrows: bool,
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
    pub(super) pause: u64,
    /// Whether anything is accepted at all.
    pub(super) door: Door,
}

/// What a pause ended.
#[derive(Clone, Copy, Debug)]
enum Ended {
    /// All that was sent before anything was known.
    First,
    /// A run at this rate that began after such a pause: when the first refused request was sent.
    Run { at: Instant, before: u64, rest: u64 },
}

impl Learned {
    /// The first 429. `sent` says what had been sent since several moments, the first of them the
    /// beginning, of which `together` are still on their way.
    pub(super) fn new(
        now: Instant,
        sent_at: Instant,
        resume: Instant,
        told: Option<u64>,
        sent: &[Sent; 1 + SPANS],
        together: u64,
        remembered: usize,
    ) -> Self {
        let pause = resume.nanos_since(now);
        let all = sent[0];
        let mut door = Door::new(all.0, all.1);
        if all.1 == 0 && pause < COSTLY && told.is_none() {
            // The very first is refused.
            door.shut(sent_at);
        }
        let fastest = |&(since, count): &Sent| per_second(count, sent_at.nanos_since(since));
        // What a few milliseconds brought is no rate.
        let long = |since: &&Sent| sent_at >= since.0.later(RECENT) || since.0 == all.0;
        let fastest = sent.iter().filter(long).map(fastest).max().unwrap_or(FASTEST);
        let slowest = per_second(all.1, resume.nanos_since(all.0));
        // Who sent a hundred at once knows nothing of how slow it may be.
        let range = ((slowest / 256).min(MILLI), fastest.saturating_mul(8).max(MAY_GIVE));
        let buckets = (remembered > FEW)
            .then(|| Box::new(Buckets::new(sent_at, sent, together, range, remembered)));
        Self {
            rate: told.unwrap_or(fastest / 2).clamp(SLOWEST, FASTEST),
            told: told.is_some(),
            buckets,
            flow_at: resume,
            flowing: 0,
            began: all.0,
            ended: (pause >= COSTLY).then_some(Ended::First),
            least_passed: u64::MAX,
            least_at: FASTEST,
            longest: pause,
            counts_windows: false,
            complaints: 1,
            stood: SLOWEST,
            fine: fastest.min(FASTEST),
            ceiling: 0,
            narrows: true,
            changed_at: now,
            paced: 0,
            step: CAREFUL,
            stepped: false,
            failed: 0,
            complained_at: now,
            pause,
            door,
        }
    }

    /// Nanoseconds from one request to the next.
    pub(super) fn gap(&self, now: Instant) -> u64 {
        self.door.gap(now).unwrap_or(MILLI * SECOND / self.rate.max(1))
    }

    /// A request is sent.
    pub(super) fn take(&mut self, now: Instant) {
        if let Some(buckets) = &mut self.buckets {
            buckets.take(now);
        }
        self.door.take();
        if now >= self.flow_at {
            if let Some(ended) = self.ended.take() {
                self.resumed(now, ended);
            }
            self.flowing += 1;
        }
    }

    /// The pause is over, and all that was on its way when it began is answered: what the run
    /// before it tells is known now.
    fn resumed(&mut self, now: Instant, ended: Ended) {
        let passed = core::mem::take(&mut self.flowing);
        let began = core::mem::replace(&mut self.began, now);
        if self.told {
            return;
        }
        match ended {
            Ended::First => {
                if let Some(buckets) = &mut self.buckets {
                    buckets.all_answered();
                }
                let (since, accepted) = self.door.accepted();
                self.least_passed = accepted;
                let slowest = per_second(accepted, self.flow_at.nanos_since(since));
                let fastest = per_second(accepted, self.complained_at.nanos_since(since));
                // A window whose end the pause names gives `slowest`; a small bucket far more.
                self.rate = fastest.min(slowest * 4);
            }
            Ended::Run { at, before, rest } => {
                let ran = at.nanos_since(began);
                let gave = |time: u64| mul_div(passed * MILLI, SECOND, time.max(1));
                // As much as this, the pause included, in which it may have given more.
                let least = gave(ran.saturating_add(rest));
                // A run may begin in one window and end in the next: the least is what one has.
                let all = self.least_passed.saturating_mul(MILLI);
                let longest = self.longest.max(1);
                let window = mul_div(all, SECOND, longest);
                let is_long = ran / 2 >= longest;
                if is_long && gave(ran) > window.saturating_add(window / 16) {
                    self.least_passed = u64::MAX;
                }
                let alike = passed > 8 && passed.abs_diff(self.least_passed) <= 1 + passed / 128;
                let used_up = alike && ran.saturating_mul(2) < rest;
                // At one rate a bucket gives as much each time, too.
                let is_window = self.counts_windows || self.least_at.abs_diff(before) > before / 8;
                if passed < self.least_passed {
                    (self.least_passed, self.least_at) = (passed, before);
                }
                let may_be = |range: (u64, u64)| (range.0..=range.1.min(before)).contains(&window);
                let possible = self.buckets.as_ref().and_then(|buckets| buckets.range());
                self.rate = if used_up && is_window {
                    // As many as once before, whatever time they took: all that a window has.
                    self.counts_windows = true;
                    gave(longest)
                } else if used_up {
                    // Another rate will tell them apart.
                    before - before / 4
                } else if passed > self.least_passed && ran < rest && possible.is_some_and(may_be) {
                    // What began before a window's end and went on in the next looks like that, too.
                    window
                } else if self.counts_windows {
                    self.stood.min(before - before / 16).max(least)
                } else {
                    self.fitting(before, gave(now.nanos_since(began))).max(least)
                };
                // A window that is used up to the last request refuses one that comes a little early.
                let room = match self.counts_windows {
                    true => 64,
                    false if self.complaints > 2 => 128,
                    false => 1024,
                };
                self.rate -= self.rate / room;
                self.rate = self.rate.min(before - before / 64);
            }
        }
        self.rate = self.rate.clamp(SLOWEST, FASTEST);
        self.changed(now);
    }

    /// The rate that fits what was accepted and refused, where a step too far is costly.
    fn fitting(&mut self, before: u64, gave: u64) -> u64 {
        let Some(buckets) = &mut self.buckets else { return before - before / 4 };
        let Some((low, high)) = buckets.range() else {
            // It gives less than it did, or it is no bucket.
            let holds = buckets.holds(before);
            let gave = gave.min(before);
            buckets.renew(gave - gave / 8, before, holds, true);
            return self.stood;
        };
        let high = high.min(before);
        if high > low * 2 {
            // It came too soon to tell anything.
            self.complaints = 1;
            return geometric(low, high);
        }
        buckets.best(high).unwrap_or(low)
    }

    /// Whether a step too far costs a pause, not just an answer.
    pub(super) fn is_costly(&self) -> bool {
        self.pause >= COSTLY
    }

    pub(super) fn success(&mut self, sent_at: Instant) {
        if sent_at < self.began {
            return;
        }
        if let Some(buckets) = &mut self.buckets {
            buckets.accepted(sent_at);
        }
        let was_shut = self.door.is_shut();
        let window = self.door.opened(sent_at, !self.is_costly());
        if was_shut && !self.door.is_shut() {
            self.opened(sent_at, window);
        }
        if let Some(buckets) = &mut self.buckets
            && self.pause >= COSTLY
            && buckets.range().is_none()
        {
            buckets.forgive();
        }
        if let Some(buckets) = &mut self.buckets
            && buckets.range().is_none()
        {
            // More was accepted than any of them allows: it gives more than it did.
            let holds = buckets.holds(self.rate);
            let least = self.rate - self.rate / 16;
            buckets.renew(least, self.rate.saturating_mul(16), holds, false);
            self.failed = 0;
            if self.pause < COSTLY {
                self.complaints = 1;
            }
        }
    }

    /// A request passed after none did: a new window, or a door that was closed.
    fn opened(&mut self, sent_at: Instant, window: Option<Window>) {
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
        if let Some(window) = window {
            self.rate = window.rate;
            // Or the door was closed for a while: then it gives far more.
            self.step = match window.confirmed {
                true => CAREFUL,
                false if self.door.length() > WINDOW => BOLDEST,
                false => BOLDEST / 2,
            };
            self.complained_at = sent_at;
        }
        if !self.is_costly() && self.door.window().is_none() {
            // What was refused meanwhile tells how much is too much, and what was accepted until then.
            let possible = self.buckets.as_ref().and_then(|buckets| buckets.range());
            let high = possible.map_or(FASTEST, |(_, high)| high);
            let most = self.door.most().unwrap_or(FASTEST);
            self.rate = self.rate.min(high).min(most).max(SLOWEST);
        }
        (self.flow_at, self.flowing) = (sent_at, 1);
        self.changed(sent_at);
    }

    /// A 429 to a request that was sent before the rate was last changed: it says nothing about
    /// this one.
    pub(super) fn complained_late(&mut self, now: Instant, resume: Instant) {
        match &mut self.buckets {
            Some(buckets) if matches!(self.ended, Some(Ended::Run { .. })) => buckets.refused_too(),
            Some(buckets) => buckets.one_less(),
            None => {}
        }
        self.flowing = self.flowing.saturating_sub(1);
        let pause = resume.nanos_since(now);
        self.longest = self.longest.max(pause);
        self.door.refused();
        self.flow_at = self.flow_at.max(resume);
        self.pause = self.pause.max(pause);
    }

    /// A 429 to a request that was sent at this rate.
    pub(super) fn complained(
        &mut self,
        now: Instant,
        sent_at: Instant,
        resume: Instant,
        told: Option<u64>,
    ) {
        let pause = resume.nanos_since(now);
        let costly = pause >= COSTLY;
        let before = self.rate;
        let pace = if self.door.is_shut() { 0 } else { before };
        if let Some(buckets) = &mut self.buckets {
            buckets.refused(sent_at);
        }
        self.door.refused();
        let rest = core::mem::replace(&mut self.pause, pause);
        self.longest = self.longest.max(pause);
        let began = core::mem::replace(&mut self.flow_at, resume);
        let after = mul_div(pace, now.nanos_since(sent_at), SECOND * MILLI);
        let passed = self.flowing.saturating_sub(1 + after);
        self.flowing = self.flowing.saturating_sub(1);
        if told.is_some() || passed == 0 || !costly {
            self.flowing = 0;
            self.began = resume;
        }
        if let Some(told) = told {
            self.rate = told.min(before - before / 64);
            self.told = true;
            self.changed(now);
            return;
        }
        if passed == 0 {
            // Not one: a used up window, or a closed door.
            self.door.shut(sent_at);
            self.changed(now);
            return;
        }
        self.complained_at = now;
        self.complaints += 1;
        self.fine = before;
        self.step = if costly { (self.step / 2).clamp(2, CAREFUL) } else { CAREFUL };
        self.door.does_not_give(before);
        if core::mem::take(&mut self.stepped) {
            self.failed = (self.failed + 1).min(6);
        }
        if costly {
            // What it tells is known when all is answered.
            self.ended = Some(Ended::Run { at: sent_at, before, rest });
            self.changed(now);
            return;
        }
        if let Some(buckets) = &mut self.buckets
            && buckets.range().is_none()
        {
            // It gives less than it did.
            let holds = buckets.holds(before);
            let gave =
                mul_div(passed * MILLI, SECOND, resume.nanos_since(began).max(1)).min(before);
            buckets.renew(gave - gave / 8, before, holds, true);
        }
        // A small bucket counts in so few that its rate is never known better than to a part of it.
        let ceiling =
            self.buckets.as_ref().and_then(|buckets| buckets.range()).map_or(0, |it| it.1);
        let before_that = core::mem::replace(&mut self.ceiling, ceiling);
        self.narrows = ceiling.abs_diff(before_that) > ceiling / 64;
        let wanted = if self.buckets.is_some() { self.wanted() } else { before - before / 4 };
        self.rate = wanted.min(before - before / 64).max(SLOWEST);
        self.changed(now);
    }

    /// Whether what is possible is far apart.
    fn is_vague(&self) -> bool {
        let far_apart = |range| !self.is_near(range);
        let vague = |buckets: &Buckets| buckets.range().is_none_or(far_apart);
        self.door.window().is_none() && self.buckets.as_deref().is_some_and(vague)
    }

    /// Whether these need not be told apart, or nothing tells them apart.
    fn is_near(&self, (low, high): (u64, u64)) -> bool {
        high - low <= low / if self.narrows { VAGUE } else { VAGUE / 6 }
    }

    /// The rate to try, by what is possible, where a step too far costs no more than an answer.
    fn wanted(&self) -> u64 {
        if let Some(window) = self.door.window() {
            return window.rate;
        }
        let range = self.buckets.as_ref().and_then(|buckets| buckets.range());
        let Some((low, high)) = range else { return self.rate };
        if self.is_near((low, high)) {
            let likely =
                self.buckets.as_ref().and_then(|buckets| buckets.best(high)).unwrap_or(low);
            let low = if self.narrows { low } else { likely.max(low) };
            return low - low / 128;
        }
        let complaints = self.complaints;
        let halvings = complaints.div_ceil(2);
        // Never far below what was fine: the lowest that is possible may be far from true.
        let least = high / 2;
        (0..halvings.min(8)).fold(high, |rate, _| geometric(low, rate)).max(least)
    }

    /// Goes faster when the server did not mind for long enough.
    pub(super) fn raise(&mut self, now: Instant) {
        if now < self.flow_at || self.door.is_shut() || self.told {
            return;
        }
        let quiet = now.nanos_since(self.changed_at.max(self.flow_at));
        if self.is_costly() && self.complaints == 1 && self.door.window().is_none() {
            // One 429 says little: the next one tells the rest, and until then nothing is lost.
            if self.paced >= CLIMB_REQUESTS && quiet >= CLIMB_EVERY {
                self.stood = self.rate;
                // By as much a second, also where two requests take longer than that.
                let spans = (quiet / CLIMB_EVERY).clamp(1, 5);
                self.rate = (self.rate + self.rate * spans / 10 + 1).min(FASTEST);
                self.changed(now);
            }
            return;
        }
        if self.is_costly() && !self.stepped {
            self.explore(now, quiet);
            return;
        }
        let wanted = self.wanted();
        if !self.stepped && wanted > self.rate {
            if self.paced >= CLIMB_REQUESTS && quiet >= CLIMB_EVERY {
                self.rate = (self.rate + self.rate / 4 + 1).min(wanted);
                self.changed(now);
            }
            return;
        }
        if !self.stepped && self.is_vague() {
            if self.paced >= EXPLORE_REQUESTS && quiet >= BOLDLY {
                self.complaints = (self.complaints - 1).max(1);
                // At one, the range itself has to be what is too low.
                self.rate = (self.rate + self.rate / 16).max(self.wanted()).min(FASTEST);
                self.changed(now);
            }
            return;
        }
        // In a window, what is too fast shows only at its end.
        let shows_late = self.door.window().is_some_and(|window| window.confirmed);
        let (enough, wait) = if self.stepped && self.step > CAREFUL && !shows_late {
            match self.door.window() {
                None => (16, BOLDLY_ON),
                // It may as well have been a door that was closed for so long.
                Some(_) if self.door.length() > WINDOW => (16, BOLDLY),
                Some(_) => (16, BOLDLY.max(self.door.length())),
            }
        } else {
            let least = SECOND << self.failed;
            let least = least.max(self.pause.saturating_mul(PAUSES_APART << self.failed));
            let least = least.max(self.door.keeps());
            let wait = (now.nanos_since(self.complained_at) / 16).min(SLOWLY).max(least);
            (CAREFUL_REQUESTS.min(self.rate / MILLI * 8).max(32), wait)
        };
        if self.paced >= enough && quiet >= wait {
            if quiet >= self.door.length() {
                self.door.gives(self.rate);
            }
            self.step_up(now);
            if self.door.window().is_some_and(|window| self.rate > window.rate * 2) {
                // It was shut for a while.
                self.door.forget_window();
            }
        }
    }

    /// Steps up when that has become worth the pause that it may cost: the less a bucket fills
    /// meanwhile, the later.
    fn explore(&mut self, now: Instant, quiet: u64) {
        let known = self.buckets.as_ref().filter(|_| !self.counts_windows);
        let holds = known.map_or(0, |buckets| buckets.holds(self.rate));
        let pauses = self.pause / SECOND * self.rate / MILLI;
        let lost = 8 - mul_div(8, holds.min(pauses), pauses.max(1)).min(7);
        let wait = mul_div(self.pause, (PAUSES_APART << self.failed) * lost, 8);
        if self.paced >= EXPLORE_REQUESTS && quiet >= wait {
            self.step = FIRST_STEP;
            self.step_up(now);
        }
    }

    fn step_up(&mut self, now: Instant) {
        self.stepped = true;
        if now.nanos_since(self.changed_at) >= self.longest {
            self.stood = self.rate;
        }
        self.rate = (self.rate + (self.rate * self.step / 1024).max(1)).min(FASTEST);
        self.step = (self.step * 2).min(BOLDEST);
        self.changed(now);
    }

    fn changed(&mut self, now: Instant) {
        self.changed_at = now;
        self.paced = 0;
    }
}

/// So many in so many nanoseconds, in thousandths a second.
pub(super) fn per_second(count: u64, time: u64) -> u64 {
    mul_div(count * MILLI, SECOND, time.max(10_000_000)).clamp(SLOWEST, FASTEST)
}

/// The geometric mean of two rates, whose product fits.
pub(super) fn geometric(low: u64, high: u64) -> u64 {
    root(low.saturating_mul(high))
}
