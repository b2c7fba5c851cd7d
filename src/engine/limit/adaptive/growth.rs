//! Growth: one more for each answer, until something speaks against it.
//!
//! Owns the slow start of a search, and the place where it ends: a cap, or the knee beyond which
//! goodput did not follow.
#![expect(
    clippy::indexing_slicing,
    reason = "a number of a milestone is a remainder by how many there are"
)]

use core::time::Duration;

use super::super::Sample;
use super::super::explain::Finding;
use super::super::ladder::Ladder;
use super::super::meter::{Reading, UNIT, Window, units};
use super::{Adaptive, MILESTONES, Mode, NOISY};
use crate::base::{Instant, mul_div};

/// Noise as large as the mean itself.
const WHOLE: u32 = 1024;

impl Adaptive {
    pub(super) fn begin_start(&mut self, now: Instant) {
        self.mode = Mode::Start;
        self.started_at = self.level;
        self.careful_above = 0;
        self.doubt = None;
        self.ladder = Ladder::anew(now);
        self.unit_time = 0;
        self.stalled = 0;
        self.awaited = None;
        self.window = Window::new(now, now, 1, u32::MAX);
        self.milestones = [(now, self.level); MILESTONES];
    }

    pub(super) fn grow(&mut self, now: Instant, sample: &Sample) {
        let calm = self.ladder.calm();
        // A time counts as longer by such a factor only if it is whatever came meanwhile: a small body
        // takes longer than a large one by the byte, and a large one longer by the request.
        let longer = |unit: u64, spent: u64, more: u64, of: u64| {
            calm.is_some_and(|calm| unit / more > calm.0 / of && spent / more > calm.1 / of)
        };
        let mut crowded = longer(self.unit_time, self.time, 3, 2);
        let short = self.level < self.least();
        if !short && let Some((was_worth_it, high)) = self.ladder.was_worth_it(now) {
            if !was_worth_it {
                self.settle_at_knee(now);
                return;
            }
            // Slower, but worth it up to here.
            crowded &= high.concurrency16 < u64::from(self.level) * 8;
        }
        crowded &= !short;
        self.stalled = if self.queued && !short { self.stalled.saturating_add(1) } else { 0 };
        if (crowded && self.ladder.count() >= self.level * 8) || self.stalled >= self.level * 16 {
            // Chance hides whether it was worth it: trials will tell.
            self.settle_at_knee(now);
            return;
        }
        // An answer speaks for twice the level at which its request was sent, and no more:
        // a server that slows down is not given more before it is known how slow it became.
        // Beyond a level at which it once complained, what doubles is the distance from there.
        let spent = now.nanos_since(sample.sent_at);
        let unit = mul_div(spent, UNIT, units(sample.bytes, sample.whole));
        // One that took longer than the first ones did speaks for no more than was under way then,
        // and one that took far longer for nothing: what it waited for is what was added since.
        let (slower, far_slower) = (longer(unit, spent, 9, 8), longer(unit, spent, 3, 2));
        let level = self.level_at(sample.sent_at);
        // Where connections are there at once, those that were still coming when it was sent were no part of
        // what it met. Where times vary, what it met is not told by its own.
        let opens_soon = self.opening < self.time / 4;
        let alike = || self.ladder.calm_noise().is_some_and(|noise| noise <= NOISY);
        let level =
            if slower || (opens_soon && alike()) { level.min(sample.in_flight) } else { level };
        // Far away a step takes long: who began with one catches up with those who begin as usual.
        let is_far = self.started_at < 4 && (self.time / 4..u64::MAX).contains(&self.opening);
        let hurries = self.level < if is_far { 8 } else { 4 };
        let spoken_for = match level {
            // One more is a question; what doubles after that is the distance from there.
            level if level <= self.careful_above => self.careful_above + 1,
            level if self.careful_above > 0 => level * 2 - self.careful_above,
            level if hurries => level * 3 + 1,
            level => level * 2,
        };
        let most = self.cap().min(spoken_for);
        let grows = self.queued && !crowded && (short || !far_slower) && !self.is_in_doubt(now);
        if grows && self.in_flight * 2 >= self.level && self.level < most {
            // A fresh connection's first answer says that a connection and a request are borne.
            let step = 1 + u32::from(!sample.reused) + u32::from(hurries);
            self.level = (self.level + step).min(most);
            self.awaited.get_or_insert((now, self.level));
            self.stalled = 0;
            self.finding = Finding::Growing;
            self.settled_at = now;
            let last = self.milestones[self.milestone % MILESTONES].1;
            if self.level > last + last.saturating_sub(self.careful_above) / 16 {
                self.milestone = (self.milestone + 1) % MILESTONES;
                self.milestones[self.milestone] = (now, self.level);
            }
        }
        // At the cap, the answers to what was sent on the way there tell whether it was worth it.
        let half = u64::from(self.level) * 8;
        let known = |it: &Self| {
            let compared = it.ladder.compare(now);
            it.started_at * 2 <= it.level
                && compared.is_some_and(|(_, high)| high.concurrency16 >= half)
        };
        if self.level >= self.cap() && (self.ladder.count() >= self.level * 2 || known(self)) {
            self.settle_at_cap(now);
        }
    }

    /// The level when a request was sent, while growing.
    pub(super) fn level_at(&self, sent_at: Instant) -> u32 {
        (0..MILESTONES)
            .map(|back| self.milestones[(self.milestone + MILESTONES - back) % MILESTONES])
            .find(|(when, _)| *when <= sent_at)
            .unwrap_or(self.milestones[(self.milestone + 1) % MILESTONES])
            .1
    }

    pub(super) fn settle_at_cap(&mut self, now: Instant) {
        self.finding = match self.wall {
            Some(wall) => Finding::Complaint { level: wall.level, what: wall.what },
            None => Finding::Ceiling,
        };
        self.learn_base(now);
        self.settle(now);
    }

    /// Takes from the ladder how long a unit takes without a crowd.
    pub(super) fn learn_base(&mut self, now: Instant) {
        if let Some((low, high)) = self.ladder.compare(now) {
            self.noise = high.noise;
            if self.started_at * 2 <= self.level {
                self.unsure = false;
                self.lower_base(low.per_unit + mul_div(low.per_unit, low.error() * 2, UNIT));
            }
        } else if let (_, Some(high)) = self.ladder.halves(self.level) {
            self.believe(&high);
        }
    }

    /// Whether a reading of the level, beside what was seen on the way there, says that the way was
    /// worth it: by so few samples that it may be wrong, but to ask at once whether less would do
    /// costs more than it may save. The level's own times will tell.
    pub(super) fn believe(&mut self, high: &Reading) {
        if self.started_at * 2 <= self.level
            && let (Some(low), _) = self.ladder.halves(self.level)
            && high.was_worth_it(&low, 0)
        {
            self.unsure = false;
        }
    }

    pub(super) fn settle_at_knee(&mut self, now: Instant) {
        let Some(knee) = self.ladder.knee(now) else { return };
        // Where times vary, a little more: too few cost goodput, a few too many only wait.
        let room = knee.level * knee.noise.min(WHOLE) / 3072;
        let level = (knee.level + room).min(self.level).max(u32::from(self.config.floor));
        let level = level.max(self.least());
        let calm = knee.calm.wait.unwrap_or(knee.calm.mean_time);
        self.finding = if knee.best.mostly_bytes || knee.best.is_slow_by_bytes(&knee.calm, false) {
            Finding::Bandwidth { beyond: level, bytes_per_second: self.ledger.bytes_per_second() }
        } else {
            Finding::Queue {
                beyond: level,
                calm: self.ledger.min_latency.unwrap_or(Duration::from_nanos(calm)),
                crowded: Duration::from_nanos(self.wait.unwrap_or(self.time)),
            }
        };
        // The lowest level seen was the start, and more than that hardly helped: perhaps less
        // does as well.
        self.unsure = self.started_at * 3 >= level * 2 || knee.is_past;
        self.noise = knee.noise;
        self.last_was_down = true;
        let vague = knee.noise > NOISY;
        // Chance may have made it look quicker than it is.
        let error = if vague { knee.calm.error() * 2 } else { 0 };
        self.base = Some(knee.calm.per_unit + mul_div(knee.calm.per_unit, error, UNIT));
        self.vague = vague;
        self.level = level;
        self.settle(now);
        // The knee is known roughly: the first trials take big steps, one after the other.
        self.step = (level / 4).max(level * self.noise.min(WHOLE) / 2048).max(1);
        self.hold_until(now, now);
    }

    /// Stays at the level, with the first trial soon.
    pub(super) fn settle(&mut self, now: Instant) {
        self.settled_at = now;
        self.step = 1;
        self.hold(now);
    }
}
