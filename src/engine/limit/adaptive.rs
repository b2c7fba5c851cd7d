//! The search: growth, trial steps, and what a complaint means.
//!
//! Owns the decisions of one adaptive limit. Every step beyond what is known is a trial: the
//! goodput at the new level is measured and compared with the goodput just before, and only
//! what helped is kept. Latency says when a trial is worth its price, never what its outcome
//! is: jobs of different size, a small sample or a slow dependency can raise latency, but they
//! can't make goodput stand still when concurrency goes down.
//!
//! The price of knowing is bounded. A level that has stood for a time t is questioned again
//! after t/16 (within bounds), so what is lost when the server changes its mind is a small part
//! of what was gained while it did not; and the one request that each trial beyond a hard limit
//! costs comes after hundreds that were served.

use core::time::Duration;

use fastrand::Rng;

use super::explain::{Explanation, Finding, Ledger};
use super::meter::{Ladder, Reading, UNIT, Window, mul_div, units};
use super::{Complaint, LimitConfig, Sample};
use crate::base::Instant;

/// A level that has stood for a time is questioned again after this part of it.
const AGE_PART: u32 = 16;
/// The shortest time between two trials of a settled level.
const TRIAL_EVERY_MIN: Duration = Duration::from_secs(1);
/// The longest.
const TRIAL_EVERY_MAX: Duration = Duration::from_secs(60);
/// Requests served between two trials that are likely to cost a request: 1/3 % at most.
const SERVED_BETWEEN_PROBES: u64 = 300;
/// A trial that takes longer decides with what it has.
const TRIAL_LONGEST: Duration = Duration::from_secs(2);
/// Successes at a level that outweigh a single complaint at it.
const PROOF: u32 = 16;
/// As many successes are remembered.
const PROOF_MAX: u32 = 4096;
/// Of the concurrency added, a quarter at least must turn up as goodput.
const WORTH: u64 = 4;
/// Nanoseconds a unit took, against the base, in 1/1024: too much to wait for the next trial.
const CROWDED: u64 = 1536;
/// So many fresh connections in a row: this server does not keep them.
const NOT_PERSISTENT: u32 = 48;

/// The level at which the server complained.
#[derive(Clone, Copy, Debug)]
struct Wall {
    /// Connections open when it complained.
    level: u32,
    what: Complaint,
    /// When it first complained there: from then on it stands.
    since: Instant,
}

/// Complaints that have one cause: all that was started before the cut.
#[derive(Clone, Copy, Debug)]
struct Burst {
    cut: Instant,
    /// Connections open at the first of them.
    top: u32,
    count: u32,
}

/// What is going on.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// One more for each answer, until something speaks against it.
    Start,
    /// At the level. The next trial comes when due and when so many were served.
    Hold { due: Instant, due_served: u64 },
    /// A trial with more; `before` is the goodput at the level just before.
    Up { to: u32, began: Instant, before: Reading },
    /// A trial with one connection more than the server bore when last asked.
    Probe { to: u32, began: Instant },
    /// A trial with less.
    Down { to: u32, began: Instant, before: Reading },
    /// A few connections less for a moment after a probe that was refused: if another client
    /// shares the server's limit, it finds them.
    Yield { to: u32, until: Instant },
}

/// The state of a search.
#[derive(Debug)]
pub struct Adaptive {
    config: LimitConfig,
    rng: Rng,
    /// Connections that are believed to be right.
    level: u32,
    mode: Mode,
    finding: Finding,
    wall: Option<Wall>,
    burst: Option<Burst>,
    ladder: Ladder,
    window: Window,
    /// Nanoseconds a unit takes without a crowd.
    base: Option<u64>,
    /// Mean distance of a response's time from the usual, 1/1024.
    noise: u32,
    /// Nothing was seen of lower levels: perhaps less would do as well.
    unsure: bool,
    /// Connections to try more, next time.
    step: u32,
    last_was_down: bool,
    /// Fresh connections in a row.
    fresh_run: u32,
    /// Whether the host has more work than it may do.
    queued: bool,
    /// Successes at this level: of any request, of requests on fresh connections.
    proof: u32,
    proof_fresh: u32,
    served: u64,
    /// Since when the level stands.
    settled_at: Instant,
    /// First-byte latency of late, nanoseconds.
    wait: Option<u64>,
    /// Time of a response of late, nanoseconds.
    time: u64,
    ledger: Ledger,
}

impl Adaptive {
    pub(super) fn new(config: LimitConfig, seed: u64, now: Instant) -> Self {
        let floor = config.floor.max(1);
        let ceiling = config.ceiling.max(floor);
        let config = LimitConfig { start: config.start.clamp(floor, ceiling), floor, ceiling };
        let mut adaptive = Self {
            config,
            rng: Rng::with_seed(seed),
            level: u32::from(config.start),
            mode: Mode::Start,
            finding: Finding::Growing,
            wall: None,
            burst: None,
            ladder: Ladder::default(),
            window: Window::new(now),
            base: None,
            noise: 0,
            unsure: true,
            step: 1,
            last_was_down: false,
            fresh_run: 0,
            queued: false,
            proof: 0,
            proof_fresh: 0,
            served: 0,
            settled_at: now,
            wait: None,
            time: 0,
            ledger: Ledger::default(),
        };
        if adaptive.level >= adaptive.cap() {
            adaptive.settle_at_cap(now);
        }
        adaptive
    }

    pub(super) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    pub(super) fn allowed(&self) -> u32 {
        match self.mode {
            Mode::Start | Mode::Hold { .. } => self.level,
            Mode::Up { to, .. }
            | Mode::Probe { to, .. }
            | Mode::Down { to, .. }
            | Mode::Yield { to, .. } => to,
        }
    }

    pub(super) fn explain(&self) -> Explanation {
        Explanation::new(
            self.allowed(),
            self.finding,
            self.wall.map(|wall| wall.level),
            self.ledger,
        )
    }

    pub(super) fn sent(&mut self, _now: Instant, _in_flight: u32, queued: bool) {
        self.queued = queued;
    }

    pub(super) fn first_byte(
        &mut self,
        _now: Instant,
        latency: Duration,
        reused: bool,
        sent_at: Instant,
    ) {
        if !reused {
            return;
        }
        let nanos = nanos(latency);
        self.wait = Some(self.wait.map_or(nanos, |old| old - old / 8 + nanos / 8));
        if sent_at >= self.window.began {
            self.window.sums.wait(nanos);
        }
    }

    pub(super) fn idle(&mut self, now: Instant) {
        self.queued = false;
        self.window = Window::new(now);
        match self.mode {
            Mode::Up { .. } | Mode::Probe { .. } | Mode::Down { .. } | Mode::Yield { .. } => {
                self.hold(now);
            }
            Mode::Start | Mode::Hold { .. } => {}
        }
    }

    pub(super) fn done(&mut self, now: Instant, sample: &Sample) {
        if !sample.served {
            return;
        }
        self.served += u64::from(sample.whole);
        self.fresh_run = if sample.reused { 0 } else { self.fresh_run.saturating_add(1) };
        if sample.in_flight + 1 >= self.level {
            self.proof = (self.proof + 1).min(PROOF_MAX);
            if !sample.reused {
                self.proof_fresh = (self.proof_fresh + 1).min(PROOF_MAX);
            }
        }
        let spent = nanos(now - sample.sent_at).max(1);
        self.time = if self.time == 0 { spent } else { self.time - self.time / 8 + spent / 8 };
        // A fresh connection's first answer waits for more than the server's queue.
        let counts = sample.reused || self.fresh_run >= NOT_PERSISTENT;
        match self.mode {
            Mode::Start => {
                if counts {
                    let work = units(sample.bytes, sample.whole);
                    self.ladder.add(spent, work, sample.in_flight, sample.bytes);
                }
                self.grow(now, sample);
            }
            Mode::Hold { due, due_served } => {
                if counts && self.measured(sample, self.level - self.level / 8, self.level, spent) {
                    self.held(now, due, due_served);
                }
            }
            Mode::Up { to, began, before } => {
                let least = to - (to - self.level) / 4;
                if counts {
                    self.measured(sample, least, to, spent);
                }
                self.judge(now, to, began, &before);
            }
            Mode::Down { to, began, before } => {
                if counts {
                    self.measured(sample, to - to / 8, to, spent);
                }
                self.judge(now, to, began, &before);
            }
            Mode::Probe { to, began } => self.probed(now, sample, to, began),
            Mode::Yield { until, .. } => {
                if now >= until {
                    self.hold(now);
                }
            }
        }
    }

    /// Counts a sample for the window if it was sent at the level that is being measured;
    /// says whether the window is full as a reading of a held level.
    fn measured(&mut self, sample: &Sample, least: u32, most: u32, spent: u64) -> bool {
        if sample.sent_at < self.window.began || !(least..=most).contains(&sample.in_flight) {
            return false;
        }
        let work = units(sample.bytes, sample.whole);
        let usual = if self.noise > 0 || self.base.is_some() { self.base } else { None };
        self.window.sums.add(spent, work, sample.in_flight, sample.bytes, usual);
        let noisy = (u64::from(self.noise).pow(2) * 150) >> 20;
        u64::from(self.window.sums.count) >= noisy.clamp(16, 512).max(u64::from(self.level) * 2)
    }

    /// The level that growth may not pass.
    fn cap(&self) -> u32 {
        let ceiling = u32::from(self.config.ceiling);
        let wall = self.wall.map_or(ceiling, |wall| wall.level.saturating_sub(1));
        ceiling.min(wall).max(u32::from(self.config.floor))
    }

    // --- growth ---------------------------------------------------------------------------

    fn begin_start(&mut self, now: Instant) {
        self.mode = Mode::Start;
        self.ladder = Ladder::default();
        self.window = Window::new(now);
        self.proof = 0;
        self.proof_fresh = 0;
    }

    fn grow(&mut self, now: Instant, sample: &Sample) {
        if let Some((low, high)) = self.ladder.compare() {
            let ideal = mul_div(high.concurrency16, UNIT, low.concurrency16.max(1));
            let real = mul_div(high.rate, UNIT, low.rate.max(1));
            // Less than three tenths of what was added arrived.
            if real < UNIT + (ideal.saturating_sub(UNIT)) * 3 / 10 {
                self.settle_at_knee(now);
                return;
            }
        }
        if self.queued && sample.in_flight * 2 >= self.level && self.level < self.cap() {
            self.level += 1;
            self.finding = Finding::Growing;
            self.settled_at = now;
        }
        if self.level >= self.cap() {
            self.settle_at_cap(now);
        }
    }

    fn settle_at_cap(&mut self, now: Instant) {
        self.finding = match self.wall {
            Some(wall) => Finding::Complaint { level: wall.level, what: wall.what },
            None => Finding::Ceiling,
        };
        self.learn_base();
        self.settle(now);
    }

    /// Takes from the ladder how long a unit takes without a crowd.
    fn learn_base(&mut self) {
        if let Some((low, high)) = self.ladder.compare() {
            self.unsure = false;
            self.noise = high.noise;
            self.lower_base(low.per_unit);
        }
    }

    fn settle_at_knee(&mut self, now: Instant) {
        let Some(knee) = self.ladder.knee() else { return };
        let level = knee.level.clamp(u32::from(self.config.floor), self.level);
        let calm = knee.calm.wait.unwrap_or(knee.calm.mean_time);
        self.finding = if knee.best.mostly_bytes {
            Finding::Bandwidth { beyond: level, bytes_per_second: self.ledger.bytes_per_second() }
        } else {
            Finding::Queue {
                beyond: level,
                calm: self.ledger.min_latency.unwrap_or(Duration::from_nanos(calm)),
                crowded: Duration::from_nanos(self.wait.unwrap_or(self.time)),
            }
        };
        // The lowest level seen was the start, and more than that never helped: perhaps less
        // does as well.
        self.unsure = knee.calm.concurrency16 + 16 >= u64::from(level) * 16;
        self.noise = knee.calm.noise;
        self.base = Some(knee.calm.per_unit);
        self.level = level;
        self.settle(now);
    }

    /// Stays at the level, with the first trial soon.
    fn settle(&mut self, now: Instant) {
        self.settled_at = now;
        self.step = 1;
        self.hold(now);
    }

    // --- the settled level ----------------------------------------------------------------

    /// Holds the level until the next trial is due.
    fn hold(&mut self, now: Instant) {
        let since = self.wall.map_or(self.settled_at, |wall| wall.since.min(now));
        let since = if self.at_wall() { since } else { self.settled_at };
        let least = TRIAL_EVERY_MIN.max(Duration::from_nanos(self.time) * 8);
        let wait = ((now - since) / AGE_PART).clamp(least, TRIAL_EVERY_MAX.max(least));
        // Not all hosts of a list at once, and no rhythm with another client.
        let wait = wait * self.rng.u32(896..1152) / 1024;
        self.hold_until(now, now + wait);
    }

    fn hold_until(&mut self, now: Instant, due: Instant) {
        self.mode = Mode::Hold { due, due_served: self.served + SERVED_BETWEEN_PROBES };
        self.window = Window::new(now);
    }

    /// Whether one more is what the server complained about.
    fn at_wall(&self) -> bool {
        self.wall.is_some_and(|wall| wall.level <= self.level + 1)
    }

    fn lower_base(&mut self, per_unit: u64) {
        self.base = Some(match self.base {
            Some(base) if per_unit >= base => base,
            // A little lower may be chance.
            Some(base) if per_unit > base / 4 * 3 => base - (base - per_unit) / 4,
            _ => per_unit,
        });
    }

    /// A window of the held level is full.
    fn held(&mut self, now: Instant, due: Instant, due_served: u64) {
        let Some(reading) = self.window.sums.reading() else { return };
        self.window = Window::new(now);
        self.noise =
            if self.noise == 0 { reading.noise } else { (self.noise * 3 + reading.noise) / 4 };
        self.lower_base(reading.per_unit);
        if !self.queued {
            return;
        }
        let crowd = mul_div(reading.per_unit, UNIT, self.base.unwrap_or(reading.per_unit));
        let error = u64::from(self.noise) * 5 / 4 / u64::from(reading.count.isqrt().max(1));
        let floor = u32::from(self.config.floor);
        if self.level > floor && (crowd > CROWDED + 2 * error || self.unsure) {
            let knee = mul_div(u64::from(self.level), UNIT * 9 / 8, crowd) as u32;
            let to = if self.unsure { self.level / 2 } else { knee.max(self.level / 2) };
            self.try_down(now, to.clamp(floor, self.level - 1), reading);
            return;
        }
        if now < due {
            return;
        }
        let crowded = crowd > UNIT + (3 * error).max(41);
        if self.level > floor && crowded && !self.last_was_down {
            let to = self.level.saturating_sub(self.least_step()).max(floor);
            self.try_down(now, to, reading);
        } else if self.at_wall() {
            if self.served >= due_served && self.level < u32::from(self.config.ceiling) {
                self.last_was_down = false;
                self.mode = Mode::Probe { to: self.level + 1, began: now };
                self.window = Window::new(now);
            }
        } else if self.level < self.cap() {
            self.try_up(now, reading);
        } else {
            self.last_was_down = false;
            self.hold(now);
        }
    }

    /// The smallest step whose effect can be told from chance in a short trial.
    fn least_step(&self) -> u32 {
        (self.level * self.noise / 3072).clamp(1, (self.level / 4).max(1))
    }

    fn try_up(&mut self, now: Instant, before: Reading) {
        self.last_was_down = false;
        let step = self.step.max(self.least_step()).min((self.level / 2).max(1));
        self.mode = Mode::Up { to: (self.level + step).min(self.cap()), began: now, before };
        self.window = Window::new(now);
    }

    fn try_down(&mut self, now: Instant, to: u32, before: Reading) {
        self.last_was_down = true;
        self.mode = Mode::Down { to, began: now, before };
        self.window = Window::new(now);
    }

    /// Samples that a trial needs so that its effect stands out from chance: a standard error
    /// of a quarter of the relative step.
    fn needed(&self, to: u32) -> u32 {
        let part = mul_div(u64::from(to.abs_diff(self.level)), UNIT, u64::from(self.level)).max(1);
        let ratio = mul_div(u64::from(self.noise), 64, part);
        let needed = ratio * ratio * 48 / 4096;
        needed.clamp(u64::from(to * 2).max(16), 2048) as u32
    }

    /// Ends a trial when it has seen enough.
    fn judge(&mut self, now: Instant, to: u32, began: Instant, before: &Reading) {
        let count = self.window.sums.count;
        let late = now - began > TRIAL_LONGEST.max(Duration::from_nanos(self.time) * 12);
        if count < self.needed(to) && !late {
            return;
        }
        let Some(after) = self.window.sums.reading().filter(|_| count >= to.min(16)) else {
            // Not enough work, or the connections did not come: no outcome.
            self.hold(now);
            return;
        };
        let ideal = mul_div(u64::from(to), UNIT, u64::from(self.level));
        let real = mul_div(after.rate, UNIT, before.rate.max(1));
        if to > self.level {
            if real >= UNIT + (ideal - UNIT) / WORTH {
                self.keep_up(now, to, after);
            } else {
                self.step = 1;
                let less = real < UNIT - ((ideal - UNIT) / WORTH).min(UNIT / 4);
                self.found(self.level, before, &after, less);
                self.hold(now);
            }
        } else if real >= UNIT - (UNIT - ideal) / WORTH {
            let less = real > UNIT + (UNIT - ideal) / WORTH;
            self.found(to, &after, before, less);
            self.level = to;
            self.settled_at = now;
            self.lower_base(after.per_unit);
            if self.unsure && to > u32::from(self.config.floor) {
                self.try_down(now, to / 2, after);
            } else {
                self.unsure = false;
                self.last_was_down = false;
                self.hold_until(now, now);
            }
        } else {
            // Every connection earns its keep: this is how long a unit takes here.
            self.unsure = false;
            self.base = Some(after.per_unit);
            self.hold(now);
        }
    }

    fn keep_up(&mut self, now: Instant, to: u32, after: Reading) {
        self.level = to;
        self.settled_at = now;
        self.proof = 0;
        self.proof_fresh = 0;
        self.step = (self.step * 2).min(to);
        self.finding = Finding::Growing;
        if to >= self.cap() {
            self.settle_at_cap(now);
        } else {
            self.try_up(now, after);
        }
    }

    /// Words for why `calm` is better than `crowded`.
    fn found(&mut self, beyond: u32, calm: &Reading, crowded: &Reading, less: bool) {
        if self.at_wall() {
            return;
        }
        let waited = match (calm.wait, crowded.wait) {
            (Some(calm), Some(crowded)) => crowded > calm + calm / 16,
            _ => !calm.mostly_bytes,
        };
        self.finding = if less {
            Finding::Thrash { beyond }
        } else if calm.mostly_bytes && !waited {
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
    fn probed(&mut self, now: Instant, sample: &Sample, to: u32, began: Instant) {
        let round = Duration::from_nanos(self.time);
        let together = sample.in_flight >= to && sample.sent_at >= began;
        if together && (!sample.reused || sample.sent_at > began + round * 3) {
            // The server bears more than it did. How much more is asked as in the beginning.
            self.wall = None;
            self.burst = None;
            self.level = to;
            self.settled_at = now;
            self.finding = Finding::Growing;
            self.begin_start(now);
            if self.level >= self.cap() {
                self.settle_at_cap(now);
            }
        } else if now - began > TRIAL_LONGEST.max(round * 12) {
            self.hold(now);
        }
    }

    // --- complaints -----------------------------------------------------------------------

    pub(super) fn complaint(
        &mut self,
        now: Instant,
        what: Complaint,
        caused_at: Instant,
        open: u32,
    ) {
        let open = open.max(1);
        if let Some(burst) = self.burst.as_mut().filter(|burst| caused_at < burst.cut) {
            // One cause, one cut: but each further one says that one less survived.
            burst.count = burst.count.saturating_add(1);
            let survivors = burst.top.saturating_sub(burst.count);
            if survivors < self.level {
                self.cut(now, what, survivors);
            }
            return;
        }
        let probing =
            matches!(self.mode, Mode::Probe { .. } | Mode::Up { .. }) && open > self.level;
        let growing = matches!(self.mode, Mode::Start);
        if !probing && !growing && open <= self.level {
            let proof = if what.concerns_fresh() { &mut self.proof_fresh } else { &mut self.proof };
            if *proof >= PROOF {
                // It bore this level many times: one failure among many is chance. If it is
                // not, the proof is soon used up.
                *proof /= 4;
                return;
            }
        }
        self.burst = Some(Burst { cut: now, top: open, count: 1 });
        let survivors = (open - 1).min(self.level);
        let survivors = if probing || growing {
            survivors
        } else {
            survivors.min(self.level - self.level.div_ceil(10))
        };
        let was_probe = matches!(self.mode, Mode::Probe { .. });
        self.cut(now, what, survivors);
        if was_probe && survivors == self.level {
            self.give_way(now);
        }
    }

    /// Falls to the number of connections that survived.
    fn cut(&mut self, now: Instant, what: Complaint, survivors: u32) {
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
        let since = match self.wall {
            Some(old) if old.level.abs_diff(wall) <= 1 => old.since,
            _ => now,
        };
        self.wall = Some(Wall { level: wall, what, since });
        self.finding = Finding::Complaint { level: wall, what };
        if matches!(self.mode, Mode::Start) {
            self.learn_base();
        }
        if survivors < self.level {
            self.settled_at = now;
        }
        self.level = survivors.max(floor);
        self.hold(now);
    }

    /// After a refused probe: leaves a few slots empty for a moment, so that a client that
    /// shares the server's limit and has less finds one. Costs 1/64 of the goodput at most.
    fn give_way(&mut self, now: Instant) {
        let Mode::Hold { due, .. } = self.mode else { return };
        if self.level < 4 {
            return;
        }
        let less = (self.level / 8).max(1);
        let pause = (due - now) * self.level / (64 * less);
        self.mode = Mode::Yield { to: self.level - less, until: now + pause };
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
