//! The settled level, and the trials that question it.
//!
//! Owns when a trial comes, how long it takes and what its outcome means. The goodput of a trial
//! is compared with the goodput just before, over so many samples that chance has little part
//! in it; only what helped is kept.

use core::time::Duration;

use super::super::Sample;
use super::super::explain::Finding;
use super::super::meter::{Reading, Sums, UNIT, Window};
use super::{
    AGE_PART, APART, APART_AT_WALL, Adaptive, CROWDED, FIRM, HELD_MAX, LEAP, MANY, Mode, NOISY,
    PAUSES_APART, PROBE_EVERY_MIN, PROBE_LONGEST, SERVED_BEFORE_SECOND_PROBE,
    SERVED_BETWEEN_PROBES, SERVES_LESS, SHARED_FOR, TRIAL_EVERY_MAX, TRIAL_EVERY_MIN,
    TRIAL_LONGEST, TRIALS, WORTH, Wall, rounds,
};
use crate::base::{Instant, mul_div};

impl Adaptive {
    /// Holds the level until the next trial is due.
    pub(super) fn hold(&mut self, now: Instant) {
        let soon = rounds(self.time, 4);
        let costly = match self.wall {
            Some(wall) if wall.what.is_an_answer() => rounds(self.pause, PAUSES_APART),
            _ => 0,
        };
        if self.at_wall() && costly == 0 && self.wall.is_some_and(|wall| wall.times <= 1) {
            let due_served = self.served + SERVED_BEFORE_SECOND_PROBE;
            self.hold_until(now, now.later(soon));
            if let Mode::Hold { due_served: after, .. } = &mut self.mode {
                *after = due_served;
            }
            return;
        }
        let (since, least) = match self.wall {
            Some(wall) if self.at_wall() => (wall.since, PROBE_EVERY_MIN.max(costly)),
            _ => (self.settled_at, TRIAL_EVERY_MIN),
        };
        let least = least.max(rounds(self.time, 8));
        let wait = (now.nanos_since(since) / AGE_PART).min(TRIAL_EVERY_MAX).max(least);
        // Not all hosts of a list at once, and no rhythm with another client.
        let wait = mul_div(wait, self.rng.u32(896..1152).into(), 1024);
        self.hold_until(now, now.later(wait));
        // A probe that was refused has nothing to do with trials, and does not put them off.
        let rest = now.later(wait.max(rounds(self.trial, APART)));
        self.trial_after = if self.at_wall() { self.rested_at } else { rest };
    }

    pub(super) fn hold_until(&mut self, now: Instant, due: Instant) {
        if self.held_level != self.level {
            self.held = Sums::default();
            self.held_level = self.level;
        }
        self.held_at = now;
        self.trial_after = due;
        let due_served = self.paid.max(self.served + SERVED_BETWEEN_PROBES);
        self.mode = Mode::Hold { due, due_served };
        self.open_window(now);
    }

    /// Measures a level that stays. Where times vary, the first to come back are the quick ones:
    /// nothing counts until all of a round are back.
    pub(super) fn open_window(&mut self, now: Instant) {
        self.window = Window::new(now, now, self.level - self.level / 8, self.level);
        if self.noise > NOISY {
            self.window = self.window.close_after(self.level);
        }
    }

    /// Whether one more is what the server complained about.
    pub(super) fn at_wall(&self) -> bool {
        self.wall.is_some_and(|wall| wall.level <= self.level + 1)
    }

    pub(super) fn lower_base(&mut self, per_unit: u64) {
        self.base = Some(match self.base {
            Some(base) if per_unit >= base => base,
            // A little lower may be chance.
            Some(base) if per_unit > base / 4 * 3 => base - (base - per_unit) / 4,
            _ => per_unit,
        });
    }

    /// A window of the held level is full.
    pub(super) fn held(&mut self, now: Instant, due: Instant, due_served: u64) {
        let sums = core::mem::take(&mut self.window.sums);
        let Some(reading) = sums.reading() else { return };
        self.noise =
            if self.noise == 0 { reading.noise } else { (self.noise * 3 + reading.noise) / 4 };
        // Lower, and not by chance.
        let per_unit = reading.per_unit + mul_div(reading.per_unit, reading.error() * 2, UNIT);
        self.lower_base(per_unit);
        if !self.queued {
            self.held = Sums::default();
            return;
        }
        let crowd = |reading: &Reading, base: Option<u64>| {
            mul_div(reading.per_unit, UNIT, base.unwrap_or(reading.per_unit))
        };
        let floor = self.least();
        // What the last few took varies: it takes many for that, and a level far below.
        if self.level * 2 < floor && self.held.count >= MANY {
            self.begin_start(now);
            return;
        }
        let now_crowd = crowd(&reading, self.base);
        if self.unsure {
            self.believe(&reading);
        }
        if self.level > floor && self.unsure {
            self.try_down(now, (self.level / 2).max(floor), reading);
            return;
        }
        // What is only guessed is no reason for alarm.
        let alarm =
            !self.vague && now >= self.alarm_at && now_crowd > CROWDED + 2 * reading.error();
        if self.held.count >= HELD_MAX * 2 {
            self.held.halve();
        }
        let mut due = due;
        if alarm && !self.alarmed {
            // It changed just now, in the middle of this window perhaps: what was measured until
            // now would mislead.
            self.held = Sums::default();
            self.last_was_down = false;
            self.alarmed = true;
            return;
        }
        self.alarmed = alarm;
        if alarm {
            due = now;
        }
        self.held.merge(&sums);
        if now < due {
            return;
        }
        let Some(reading) = self.held.reading() else { return };
        let crowd = crowd(&reading, self.base);
        // What was seen least of many times is a little less than what is usual.
        let chance = (3 * reading.error()).max(41 + u64::from(self.noise) / 16);
        let crowded = self.vague || crowd > UNIT + chance;
        let doubled = crowd > 2 * UNIT + 2 * chance;
        if self.vague && doubled {
            self.last_was_down = false;
        }
        let rested = alarm || now >= self.trial_after;
        let wants_less = self.level > floor && crowded && !self.last_was_down && rested;
        if wants_less {
            let step = self.level.saturating_sub(self.least_step());
            let knee = mul_div(u64::from(self.level), UNIT * 9 / 8, crowd);
            let knee = u32::try_from(knee).unwrap_or(u32::MAX);
            let least = if alarm || doubled { self.level / 2 } else { self.level - self.level / 4 };
            let to = if self.vague { least } else { step.min(knee.max(least)) }.max(floor);
            // At a wall less serves less, if it did not grow past a knee on the way there. Where times
            // vary, to know takes long, and is asked for when long enough was served before.
            let takes =
                mul_div(rounds(self.time, APART_AT_WALL), self.needed(to).into(), to.max(1).into());
            let since = now.nanos_since(self.first_answer.unwrap_or(now));
            let hurried = alarm || doubled || self.vague || !self.at_wall();
            if reading.count >= self.needed(to) && (hurried || takes <= since) {
                self.try_down(now, to, reading);
                return;
            }
        }
        if self.at_wall() {
            // A small share is asked about for the sake of the one who has it, not of the rest.
            let patience = if self.level < 4 { PROBE_LONGEST / 4 } else { PROBE_LONGEST };
            let served = self.served >= due_served || now > self.held_at.later(patience);
            if served {
                self.ask(now);
            }
        } else if wants_less || !rested {
            // What was measured will do soon.
        } else if self.level < self.cap() {
            let to = self.next_up();
            if reading.count >= self.needed(to) {
                self.try_up(now, to, reading);
            }
        } else {
            self.last_was_down = false;
            self.hold(now);
        }
    }

    /// Asks for one more than the server is known to bear.
    pub(super) fn ask(&mut self, now: Instant) {
        if self.level < u32::from(self.config.ceiling) {
            self.last_was_down = false;
            self.mode = Mode::Probe { to: self.level + 1, began: now };
        }
    }

    /// Whether that may cost no more than a connection: then it need not wait until a reading is complete.
    pub(super) fn asks_by_connection(&self) -> bool {
        let firm = |wall: Wall| wall.times > 1 && wall.what.concerns_fresh();
        self.at_wall() && self.wall.is_some_and(firm)
    }

    /// The smallest step whose effect can be told from chance in a short trial.
    pub(super) fn least_step(&self) -> u32 {
        (self.level * self.noise / 4096).clamp(1, (self.level / 4).max(1))
    }

    /// Where the next trial with more goes.
    pub(super) fn next_up(&self) -> u32 {
        // The first trials after a rough guess: so big that a second shows their effect.
        let big = if self.vague { self.level * self.noise / 2048 } else { 0 };
        let step = self.step.max(self.least_step()).max(big).min((self.level / 2).max(1));
        (self.level + step).min(self.cap())
    }

    pub(super) fn try_up(&mut self, now: Instant, to: u32, before: Reading) {
        self.last_was_down = false;
        self.mode = Mode::Up { to, began: now, before };
        let least = to - (to - self.level) / 4;
        self.window = Window::new(now, now, least, to).close_after(self.needed(to));
    }

    pub(super) fn try_down(&mut self, now: Instant, to: u32, before: Reading) {
        self.last_was_down = true;
        self.mode = Mode::Down { to, began: now, before };
        self.window = Window::new(now, now, to - to / 8, to).close_after(self.needed(to));
    }

    /// Samples that a trial needs so that its effect stands out from chance: a standard error
    /// of a fifth of the relative step.
    #[expect(clippy::cast_possible_truncation, reason = "`HELD_MAX` at most")]
    pub(super) fn needed(&self, to: u32) -> u32 {
        let part = mul_div(u64::from(to.abs_diff(self.level)), UNIT, u64::from(self.level)).max(1);
        // A first impression of how much times vary is too good.
        let noise = if self.unsure { self.noise * 2 } else { self.noise };
        let ratio = mul_div(u64::from(noise), 64, part);
        let needed = ratio * ratio * 50 / 4096;
        let rounds = if part > UNIT / 5 { to / 2 } else { to * 2 };
        needed.max(rounds.max(16).into()).min(HELD_MAX.into()) as u32
    }

    /// Ends a trial when it has seen enough.
    pub(super) fn judge(&mut self, now: Instant, to: u32, began: Instant, before: &Reading) {
        let count = self.window.sums.count;
        let late = now > began.later(TRIAL_LONGEST.max(rounds(self.time, 12)));
        let patience = rounds(self.time, 8);
        if !self.window.is_complete(now, patience) && !late && !self.is_hopeless(to, before) {
            return;
        }
        let Some(after) = self.window.sums.reading().filter(|_| count >= to.min(16) / 2) else {
            // Not enough work, or the connections did not come: no outcome.
            self.hold(now);
            return;
        };
        self.trial = now.nanos_since(began);
        self.rested_at = now.later(rounds(self.trial, APART_AT_WALL));
        let ideal = mul_div(u64::from(to), UNIT, u64::from(self.level));
        let real = if to > self.level {
            after.gain(before)
        } else {
            mul_div(UNIT, UNIT, before.gain(&after).max(1))
        };
        if to > self.level {
            self.weigh(real, ideal);
            if real >= UNIT + (ideal - UNIT) * WORTH / UNIT {
                let well = real >= UNIT + (ideal - UNIT) * 4 / 5;
                self.step = if well { (self.step * 2).min(to) } else { (self.step / 2).max(1) };
                self.keep_up(now, to, after);
            } else {
                self.step = (self.step / 2).max(1);
                self.found(self.level, before, &after);
                self.hold(now);
                if to - self.level > self.least_step() {
                    self.hold_until(now, now);
                }
            }
        } else if real >= UNIT - (UNIT - ideal) * WORTH / UNIT {
            self.found(to, &after, before);
            let from = core::mem::replace(&mut self.level, to);
            self.settled_at = now;
            self.lower_base(after.per_unit);
            if self.unsure && to > self.least() {
                self.try_down(now, (to / 2).max(self.least()), after);
            } else {
                self.unsure = false;
                // What one trial said of so much is asked again, the other way.
                self.step = self.step.max((from - to) / 2);
                // Still slower than it was seen to be: on the way down. Else the other way is next.
                let base = self.base.unwrap_or(after.per_unit);
                self.last_was_down = after.per_unit / 5 <= base / 4;
                self.hold_until(now, now);
            }
        } else {
            let first = core::mem::take(&mut self.unsure);
            self.vague = false;
            if real < UNIT - (UNIT - ideal) * 2 / 3 {
                // Every connection earns its keep: this is how long a unit takes here.
                self.base = Some(after.per_unit);
            } else {
                self.base = self.base.map(|base| base.min(after.per_unit));
                self.alarm_at = now.later(rounds(self.trial, 4));
            }
            self.hold(now);
            if first {
                // Nothing was known of less, and nothing is of more: that is asked at once, and by a step
                // as large as what less has cost.
                self.step = (self.level - to).max(1);
                self.hold_until(now, now);
            }
        }
    }

    /// How much less the server serves of more, as trials say one with another: as much less as was added,
    /// where each takes its time from all others. One says little: what is due to chance is a part of that.
    fn weigh(&mut self, real: u64, ideal: u64) {
        let part = mul_div(real.abs_diff(UNIT), UNIT, (ideal - UNIT).max(1)).min(UNIT) as i32;
        let worse = if real < UNIT { part } else { -part };
        self.trials = (self.trials + 1).clamp(1, TRIALS);
        self.worse += (worse - self.worse) / (self.trials + 1);
    }

    /// Whether requests take so much longer than before that a queue cannot be all: the server
    /// thrashes, or has just changed, and to know by how much can wait.
    fn is_hopeless(&self, to: u32, before: &Reading) -> bool {
        let sums = &self.window.sums;
        let expected = mul_div(before.per_unit, u64::from(to), u64::from(self.level));
        to > self.level
            && sums.count >= to.max(16)
            && sums.reading().is_some_and(|now| {
                now.per_unit > expected + mul_div(expected, UNIT / 4 + 2 * now.error(), UNIT)
            })
    }

    pub(super) fn keep_up(&mut self, now: Instant, to: u32, after: Reading) {
        self.level = to;
        self.settled_at = now;
        self.finding = Finding::Growing;
        if to >= self.cap() {
            self.settle_at_cap(now);
        } else {
            self.try_up(now, self.next_up(), after);
        }
    }

    /// Words for why `calm` is better than `crowded`.
    pub(super) fn found(&mut self, beyond: u32, calm: &Reading, crowded: &Reading) {
        if self.at_wall() {
            return;
        }
        let before = matches!(self.finding, Finding::Bandwidth { .. });
        self.finding = if self.worse > SERVES_LESS {
            Finding::Thrash { beyond }
        } else if crowded.is_slow_by_bytes(calm, before) {
            Finding::Bandwidth { beyond, bytes_per_second: self.ledger.bytes_per_second() }
        } else if let Finding::Queue { calm, crowded, .. } = self.finding {
            Finding::Queue { beyond, calm, crowded }
        } else {
            Finding::Queue {
                beyond,
                calm: Duration::from_nanos(calm.wait.unwrap_or(calm.mean_time)),
                crowded: Duration::from_nanos(crowded.wait.unwrap_or(crowded.mean_time)),
            }
        };
    }

    /// Whether the one connection more was borne.
    pub(super) fn probed(&mut self, now: Instant, sample: &Sample, to: u32, began: Instant) {
        let together = sample.in_flight >= to && sample.sent_at >= began;
        let lives = !sample.reused || sample.sent_at > began.later(rounds(self.time, 3));
        let waits = self.leaves_waiting();
        if together && lives && !waits {
            self.bears_more(now, to);
        } else if now > began.later(TRIAL_LONGEST.max(rounds(self.time, 12))) {
            if let Some(wall) = self.wall.as_mut().filter(|_| waits) {
                wall.times += 1;
            }
            self.hold(now);
        }
    }

    /// The server bears more than it did, or what came once was chance. How much more is asked as in the
    /// beginning.
    pub(super) fn bears_more(&mut self, now: Instant, to: u32) {
        let wall = self.wall.take();
        let was_chance = wall.is_some_and(|wall| wall.times <= 1 && wall.growing);
        if wall.is_some_and(|wall| wall.times > 1) && to > self.highest {
            // Or another client has left this one, and is to find as much. A level that is only had
            // again says nothing.
            self.shared = now + SHARED_FOR;
        }
        self.burst = None;
        self.level = to;
        self.settled_at = now;
        self.finding = Finding::Growing;
        let careful_above = self.careful_above;
        self.begin_start(now);
        // A level that has stood for long seldom rises by one: that is the server's doing. A few are asked for
        // at once then, so many as may be refused where it did. A 503 may be about the rate, of which a
        // level says little.
        let firm = wall.is_some_and(|wall| wall.times >= FIRM && wall.what.concerns_fresh());
        self.careful_above = match (was_chance, firm) {
            // As it was before that.
            (true, _) => careful_above.min(to - 1),
            (false, true) => to.saturating_sub(LEAP),
            (false, false) => to - 1,
        };
        if self.level >= self.cap() {
            self.settle_at_cap(now);
        }
    }
}
