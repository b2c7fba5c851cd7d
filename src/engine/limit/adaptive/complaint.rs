//! What a complaint means: a wall, a burst of one cause, chance, or an outage.
//!
//! Owns the fall of the limit and the memory of the level at which the server complained.
#![expect(clippy::indexing_slicing, reason = "`class` is a `bool` as a number, of two")]

use core::time::Duration;

use super::super::explain::Finding;
use super::super::{Complaint, Sample};
use super::{
    Adaptive, Burst, Chance, Doubt, GIVEN, GIVEN_SHARED, GIVES_AFTER, Gift, Losses, Mode,
    NOT_PERSISTENT, PAID_MOST, PATIENCE_MOST, PROBE_EVERY_MIN, PROBE_LONGEST, PROOF, REFUTED,
    SECOND, SERVED_BETWEEN_PROBES, SHARED_FOR, UNHEARD_LEAST, Unheard, VAGUE, Wall, rounds,
};
use crate::base::{Instant, mul_div, nanos};

impl Adaptive {
    pub(in crate::engine::limit) fn refusal_costs(&mut self, pause: Duration) {
        // Nobody comes to know much in so long.
        self.pause = nanos(pause).min(3600 * SECOND);
    }

    pub(in crate::engine::limit) fn complaint(
        &mut self,
        now: Instant,
        what: Complaint,
        caused_at: Instant,
        open: u32,
    ) {
        self.ladder.forget_those_out(now);
        let open = open.max(1);
        if let Some(burst) = self.burst.as_mut().filter(|burst| caused_at <= burst.cut) {
            // One cause, one cut: but each further one says that one less survived.
            burst.count = burst.count.saturating_add(1);
            if !burst.growing {
                // The first of them is paid for by what was served before the next trial.
                let next = self.served + SERVED_BETWEEN_PROBES;
                let paid = self.paid.max(next) + SERVED_BETWEEN_PROBES;
                self.paid = paid.min(next + SERVED_BETWEEN_PROBES * PAID_MOST);
            }
            let survivors = burst.top.saturating_sub(burst.count);
            if survivors < self.level {
                self.cut(now, what, survivors);
            }
            return;
        }
        if let Some(doubt) = self.doubt.take_if(|_| matches!(self.mode, Mode::Start)) {
            // The second within a round: the first one was no chance.
            self.believed(now, doubt.what, doubt.open);
            // What was tried again since then is not of the same burst.
            if let Some(burst) = &mut self.burst {
                burst.cut = Instant::from_nanos(doubt.at.as_nanos().saturating_sub(1));
            }
            if caused_at < doubt.at {
                self.complaint(now, what, caused_at, open);
            }
            return;
        }
        // A refused connection is tried again at once, at the cost of another: only what may befall
        // any request is left in doubt.
        let any_request = !what.concerns_fresh() || self.fresh_run >= NOT_PERSISTENT;
        if matches!(self.mode, Mode::Start) && open > 1 && any_request {
            self.doubt = Some(Doubt { at: now, what, open, served: self.served });
            return;
        }
        self.believed(now, what, open);
    }

    /// What lies beyond was asked for at no request's cost: that may be done sooner again. Not where another
    /// client has a part, nor where times vary so much that what is measured between two questions would say nothing.
    pub(in crate::engine::limit) fn turned_away(
        &mut self,
        now: Instant,
        what: Complaint,
        caused_at: Instant,
        open: u32,
    ) {
        let probing = matches!(self.mode, Mode::Probe { .. });
        let (level, window) = (self.level, self.window);
        self.complaint(now, what, caused_at, open);
        let at_once = matches!(what, Complaint::FreshReset | Complaint::Refused);
        if !probing || !at_once || level != self.level || self.noise > VAGUE || now < self.shared {
            return;
        }
        let (paid, soon) =
            (self.paid.max(self.served + SERVED_BETWEEN_PROBES), rounds(self.time, 8));
        if let Mode::Hold { due, due_served } | Mode::Yield { due, due_served, .. } = &mut self.mode
        {
            *due_served = paid.min(*due_served);
            // The longer a level has stood, the less is it a matter of seconds.
            let wait = due.nanos_since(now);
            if wait < PROBE_EVERY_MIN * 2 {
                *due = now.later((wait * 5 / 8).max(soon.min(wait)));
            }
            // Nothing has come between: what was being measured goes on.
            self.window = window;
        }
    }

    /// Whether one connection more is a question that a reset may answer before anything is asked on it. Where
    /// each request has a connection of its own, all of them are alike.
    pub(in crate::engine::limit) fn asks(&self, open: u32) -> bool {
        let Mode::Probe { to, .. } = self.mode else { return false };
        let resets = self.wall.is_some_and(|wall| wall.what == Complaint::FreshReset);
        open >= to && resets && self.fresh_run < NOT_PERSISTENT
    }

    /// A first complaint while it grows: whether it was chance is known when as many were served as
    /// there are connections.
    pub(super) fn is_in_doubt(&mut self, now: Instant) -> bool {
        let Some(doubt) = self.doubt else { return false };
        if self.served - doubt.served < u64::from(self.level) || now < doubt.at.later(self.time) {
            return true;
        }
        self.doubt = None;
        let class = usize::from(doubt.what.concerns_fresh());
        let served = if doubt.what.concerns_fresh() { self.served_fresh } else { doubt.served };
        let gap = served - self.chance[class].served_at_last.min(served);
        self.chance[class].served_at_last = served;
        self.chance[class].learn(gap);
        false
    }

    fn believed(&mut self, now: Instant, what: Complaint, open: u32) {
        let class = usize::from(what.concerns_fresh());
        let served = if what.concerns_fresh() { self.served_fresh } else { self.served };
        let gap = served - self.chance[class].served_at_last;
        self.chance[class].served_at_last = served;
        let probing =
            matches!(self.mode, Mode::Probe { .. } | Mode::Up { .. }) && open > self.level;
        let growing = matches!(self.mode, Mode::Start);
        if !probing && !growing && open <= self.level {
            let (is_gift, again) = self.asks_back(now, what, gap, open);
            let proof = if what.concerns_fresh() { &mut self.proof_fresh } else { &mut self.proof };
            if *proof >= PROOF && !again {
                // It bore this level many times: one failure among many is chance. If it is
                // not, the proof is soon used up.
                *proof -= PROOF;
                self.chance[class].learn(gap);
                return;
            }
            if is_gift {
                self.was_taken(now, what, open);
                return;
            }
            self.chance[class] = Chance { served_at_last: served, ..Chance::default() };
        } else if self.chance[class].explains(gap) {
            // It fails now and then at any level: nothing that a higher one is to blame for.
            return;
        }
        let survivors = (open - 1).min(self.level);
        let survivors = if probing || growing {
            // What was borne below says nothing of this level.
            self.proof = 0;
            self.proof_fresh = 0;
            // Others may have closed meanwhile: so many were served together.
            survivors.max(self.proven.min(self.level))
        } else if open > self.level
            || (self.at_wall() && now < self.settled_at.later(rounds(self.time, 4)))
        {
            // More than the level were open still, or it was found just now, and is not quite
            // right yet.
            survivors
        } else {
            survivors.min(self.level - self.level.div_ceil(10))
        };
        self.proven = 0;
        // Of those that were open then, as many fail as do not survive: also where the level fell while
        // more were being opened.
        let top = if growing || probing { open.max(survivors + 1) } else { open };
        self.burst = Some(Burst { cut: now, top, count: 1, growing });
        let was_probe = matches!(self.mode, Mode::Probe { .. });
        self.cut(now, what, survivors);
        if was_probe && survivors == self.level {
            self.give_way(now);
        }
    }

    /// Whether what is refused here are slots that were left to another client, and whether that is so
    /// for a second time. What fails by chance, or in another way than what is beyond the limit, says
    /// nothing of them.
    fn asks_back(&mut self, now: Instant, what: Complaint, gap: u64, open: u32) -> (bool, bool) {
        let class = usize::from(what.concerns_fresh());
        let by_chance = self.chance[class].explains(gap);
        if by_chance || self.wall.is_none_or(|wall| wall.what != what) {
            return (false, false);
        }
        let of_gift = |gift: &&mut Gift| open > gift.above && now < gift.until;
        let gift = self.gift.as_mut().filter(of_gift);
        gift.map_or((false, false), |gift| (true, core::mem::replace(&mut gift.refused, true)))
    }

    /// What was left to another client is not to be had any more: it shares the limit, and this is
    /// what it leaves.
    fn was_taken(&mut self, now: Instant, what: Complaint, open: u32) {
        self.gift = None;
        self.shared = now + SHARED_FOR;
        self.burst = Some(Burst { cut: now, top: open, count: 1, growing: false });
        // Who has less than four leaves nothing: some survive.
        self.cut(now, what, open - 1);
        // To ask for it at once would be to take it back.
        if let Some(wall) = &mut self.wall {
            wall.times = wall.times.max(2);
        }
        self.hold(now);
    }

    /// A connection that had served was closed by the server. Where many are within two rounds, what
    /// is left is where growth begins again: to open as many anew at once would be to ask for as many
    /// refusals, if it bears fewer now.
    pub(in crate::engine::limit) fn lost(&mut self, now: Instant, left: u32) {
        if now > self.losses.since.later(rounds(self.time, 2)) {
            self.losses = Losses { since: now, count: 0 };
        }
        self.losses.count = self.losses.count.saturating_add(1);
        self.ladder.forget_those_out(now);
        let many = (self.level / 8).max(3);
        // None is left where it began anew: as at the first time.
        let to = if left == 0 { u32::from(self.config.start) } else { left };
        let to = to.max(u32::from(self.config.floor));
        if self.losses.count >= many {
            self.fall_to(now, to, left);
        }
    }

    /// The server is left alone for a moment: a quarter of what it bore is a question that costs little, and
    /// doubles soon.
    pub(in crate::engine::limit) fn shut(&mut self, now: Instant) {
        let to = (self.level / 4).max(u32::from(self.config.floor));
        self.fall_to(now, to, to);
    }

    /// Grows anew from fewer, of which so many are known to be borne.
    fn fall_to(&mut self, now: Instant, to: u32, known: u32) {
        if to >= self.level {
            return;
        }
        // Those that were opened in place of the first ones are of the same cause, whatever becomes of them.
        let top = to + self.level;
        self.burst = Some(Burst { cut: now, top, count: 0, growing: false });
        self.level = to;
        self.settled_at = now;
        (self.proof, self.proof_fresh) = (0, 0);
        self.begin_start(now);
        self.careful_above = known;
    }

    /// So many wait for their first answer. Of those that waited a while ago half should have it by now.
    pub(in crate::engine::limit) fn waiting(
        &mut self,
        now: Instant,
        sample: &Sample,
        unheard: u32,
        served: u32,
    ) {
        if let Mode::Probe { to, .. } = self.mode
            && self.leaves_waiting()
            && served >= to
        {
            let patience = &mut self.unheard.patience;
            *patience = patience.saturating_mul(2).min(PATIENCE_MOST.max(*patience));
            self.bears_more(now, to);
            return;
        }
        if self.unheard.left > 0 {
            self.taken_up(now, sample, unheard);
            return;
        }
        let before = &mut self.unheard;
        before.answered = before.answered.saturating_add(u32::from(!sample.reused));
        if before.waiting == 0 || unheard == 0 || unheard >= before.waiting * 2 {
            *before = Unheard { since: now, waiting: unheard, answered: 0, ..*before };
            return;
        }
        let patience = rounds(self.time, before.patience);
        if now < before.since.later(patience.max(UNHEARD_LEAST)) {
            return;
        }
        // Fewer than an eighth may be what is slow to answer.
        let many = before.waiting.min(unheard) * 8 > unheard + served;
        let none_comes = before.answered * 2 < before.waiting;
        *before = Unheard { since: now, waiting: unheard, answered: 0, ..*before };
        if many && none_comes && unheard > 1 && served > 0 && served < self.level {
            before.cut_from = Some(self.level);
            (before.served, before.left) = (served, unheard);
            // Some go on: if the others are slow and no more, it is they who tell.
            before.room = unheard.min(served.div_ceil(2));
            self.proven = 0;
            (self.proof, self.proof_fresh) = (0, 0);
            self.burst = Some(Burst { cut: now, top: served + 1, count: 1, growing: true });
            self.ledger.complaint(Complaint::ConnectTimeout);
            self.cut(now, Complaint::ConnectTimeout, served);
        }
    }

    /// Others give way to those that are left waiting. Where not one is taken up for it, they are slow, no
    /// more.
    fn taken_up(&mut self, now: Instant, sample: &Sample, unheard: u32) {
        let waits = &mut self.unheard;
        let patience = rounds(self.time, waits.patience);
        if now >= waits.since.later(patience.max(UNHEARD_LEAST) / 2)
            && let Some(level) = waits.cut_from.take()
        {
            // What comes as late as this would have come without any room.
            waits.patience = waits.patience.saturating_mul(REFUTED);
            waits.left = 0;
            self.bears_more(now, level);
        } else if !sample.reused && sample.sent_at <= waits.since {
            waits.left -= 1;
            // It was for that: another may have the same.
            waits.room = waits.room.saturating_add(1);
            waits.cut_from = None;
        }
        let waits = &mut self.unheard;
        waits.left = waits.left.min(unheard);
        if self.unheard.left == 0 {
            (self.unheard.since, self.unheard.waiting, self.unheard.answered) = (now, unheard, 0);
        }
    }

    /// Whether a connection that has served is to give way to one that is left waiting.
    pub(in crate::engine::limit) fn gives_way(&mut self) -> bool {
        let waits = &mut self.unheard;
        let gives = waits.left > 0 && waits.room > 0;
        waits.room -= u32::from(gives);
        gives
    }

    /// Whether what lies beyond the limit is left waiting: then only the first answer on one connection more
    /// says that it is borne, while all others are open still.
    pub(super) fn leaves_waiting(&self) -> bool {
        let level = self.unheard.served + 1;
        level > 1 && self.wall.is_some_and(|wall| wall.level == level)
    }

    /// What was complained about is no matter of levels.
    pub(in crate::engine::limit) fn acquit(&mut self, now: Instant, level: u32) {
        self.level = self.level.max(level.min(u32::from(self.config.ceiling)));
        self.wall = None;
        self.burst = None;
        self.gift = None;
        self.finding = Finding::Growing;
        self.settled_at = now;
        self.begin_start(now);
    }

    /// Falls to the number of connections that survived.
    pub(super) fn cut(&mut self, now: Instant, what: Complaint, survivors: u32) {
        let floor = u32::from(self.config.floor);
        self.step = 1;
        if survivors == 0 {
            // Nothing lives: that is no level but an outage. What was known is void, and what
            // comes next is a new start.
            self.wall = None;
            self.level = floor;
            self.settled_at = now;
            self.finding = Finding::Outage { what };
            self.begin_start(now);
            return;
        }
        let wall = survivors + 1;
        let growing = matches!(self.mode, Mode::Start);
        let (since, times, growing) = match self.wall {
            Some(old) if old.level.abs_diff(wall) <= 1 => (old.since, old.times, old.growing),
            _ => (now, 0, growing),
        };
        let again = u32::from(self.burst.is_some_and(|burst| burst.count == 1));
        self.wall = Some(Wall { level: wall, what, since, times: times + again, growing });
        self.finding = Finding::Complaint { level: wall, what };
        if matches!(self.mode, Mode::Start) {
            self.learn_base(now);
            // It grew to that without a sign of a crowd, or not at all.
            let grown = self.started_at * 2 <= survivors;
            self.unsure &= !grown && survivors > u32::from(self.config.start) * 4;
        }
        if survivors < self.level {
            self.settled_at = now;
        }
        self.level = survivors.max(floor);
        self.hold(now);
    }

    /// After a refused probe: leaves a few slots empty for a moment, so that a client that
    /// shares the server's limit and has less finds one. What that may cost is saved up until
    /// it is worth the way: each that leaves is missed for as long as it takes to close, open and
    /// ask anew.
    pub(super) fn give_way(&mut self, now: Instant) {
        if self.level < 4 {
            return;
        }
        let known = core::mem::replace(&mut self.gave_at, self.level);
        if known > 0 && (self.level >= known * 2 || self.level * 2 <= known) {
            self.gave_way = now + GIVES_AFTER;
            self.shared = now;
            self.highest = self.level;
        }
        self.highest = self.highest.max(self.level);
        if now < self.gave_way {
            return;
        }
        let less = (self.level / 8).max(1);
        let given = if now < self.shared { GIVEN_SHARED } else { GIVEN };
        let rested = now.nanos_since(self.gave_way);
        let saved = mul_div(rested.min(PROBE_LONGEST), self.level.into(), (given * less).into());
        // A few long moments: what is missed on the way is the same for short ones, and they are hard to find.
        let apart = mul_div(self.time, SERVED_BETWEEN_PROBES, self.level.into());
        if saved < rounds(self.time, 4) || rested < apart.max(PROBE_EVERY_MIN) {
            return;
        }
        let Mode::Hold { due, due_served } = self.mode else { return };
        self.gave_way = now;
        let (to, until) =
            (self.level - less, now.later(saved.saturating_sub(rounds(self.time, 2))));
        self.mode = Mode::Yield { to, until, due, due_served };
    }
}
