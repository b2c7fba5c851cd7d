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
use super::meter::{Ladder, Reading, Sums, UNIT, Window, mul_div, units};
use super::{Complaint, LimitConfig, Sample};
use crate::base::Instant;

/// A level that has stood for a time is questioned again after this part of it.
const AGE_PART: u32 = 16;
/// The shortest time between two probes beyond a level at which the server complained.
const PROBE_EVERY_MIN: Duration = Duration::from_secs(1);
/// The shortest time between two trials that cost no request.
const TRIAL_EVERY_MIN: Duration = Duration::from_millis(400);
/// The longest.
const TRIAL_EVERY_MAX: Duration = Duration::from_secs(60);
/// Requests served between two trials that are likely to cost a request: 0.4 % at most.
const SERVED_BETWEEN_PROBES: u64 = 260;
/// A trial that takes longer decides with what it has.
const TRIAL_LONGEST: Duration = Duration::from_secs(3);
/// Successes at a level that outweigh a single complaint at it: up to 6 % are chance.
const PROOF: u32 = 16;
/// As many successes are remembered: so many complaints in a row are no chance.
const PROOF_MAX: u32 = 64;
/// Requests served before a complaint that came once is put to the test.
const SERVED_BEFORE_SECOND_PROBE: u64 = 32;
/// Of the concurrency added, so much in 1/1024 must at least turn up as goodput.
const WORTH: u64 = 307;
/// Samples of a held level are averaged over so many.
const HELD_MAX: u32 = 2048;
/// Nanoseconds a unit took, against the base, in 1/1024: too much to wait for the next trial.
const CROWDED: u64 = 1536;
/// Times that vary by more than this (standard deviation, 1/1024 of the mean) need care.
const NOISY: u32 = 80;
/// So many fresh connections in a row: this server does not keep them.
const NOT_PERSISTENT: u32 = 48;

/// As many steps of growth by a sixteenth are remembered: more than a doubling.
const MILESTONES: usize = 24;

/// The level at which the server complained.
#[derive(Clone, Copy, Debug)]
struct Wall {
    /// Connections open when it complained.
    level: u32,
    what: Complaint,
    /// When it first complained there: from then on it stands.
    since: Instant,
    /// How often it complained there, one after the other. Once may be chance.
    times: u32,
}

/// Complaints that have one cause: all that was started before the cut.
#[derive(Clone, Copy, Debug)]
struct Burst {
    cut: Instant,
    /// Connections open at the first of them.
    top: u32,
    count: u32,
}

/// Failures that come by chance, at a level that is known to be borne.
#[derive(Clone, Copy, Debug, Default)]
struct Chance {
    /// How many there were.
    seen: u32,
    /// Successes between two of them, on average.
    gap: u64,
    /// Successes until the last complaint of this kind.
    served_at_last: u64,
}

impl Chance {
    /// One more of them.
    fn learn(&mut self, gap: u64) {
        if gap >= u64::from(PROOF) {
            self.gap = if self.seen == 0 { gap } else { (self.gap * 3 + gap) / 4 };
            self.seen = self.seen.saturating_add(1);
        }
    }

    /// Whether a complaint after so many successes is one of them.
    fn explains(&self, gap: u64) -> bool {
        self.seen >= 3 && gap >= self.gap / 8
    }
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
    /// All of the windows at the level, of late.
    held: Sums,
    held_level: u32,
    /// How long the last trial took.
    trial: Duration,
    /// Nanoseconds a unit takes without a crowd.
    base: Option<u64>,
    /// Standard deviation of a response's time, in 1/1024 of the mean.
    noise: u32,
    /// Nothing was seen of lower levels: perhaps less would do as well.
    unsure: bool,
    /// The base was measured at the level itself: whether less would do is not known.
    vague: bool,
    /// The last window was far too slow; and when that may be said again.
    alarmed: bool,
    alarm_at: Instant,
    /// The level at which the growth of now began.
    started_at: u32,
    /// The level at which the server had complained before the growth of now, 0 if it had not.
    careful_above: u32,
    /// Requests in flight together, and all served, since the last cut.
    proven: u32,
    /// Connections to try more, next time.
    step: u32,
    last_was_down: bool,
    /// When the first answer came.
    first_answer: Option<Instant>,
    /// Fresh connections in a row.
    fresh_run: u32,
    /// Whether the host has more work than it may do.
    queued: bool,
    /// Requests in flight when the last was sent.
    in_flight: u32,
    /// When growth passed which level, the newest at `milestone`.
    milestones: [(Instant, u32); MILESTONES],
    milestone: usize,
    /// Successes at this level: of any request, of requests on fresh connections.
    proof: u32,
    proof_fresh: u32,
    /// Failures that have nothing to do with the level: of requests, of connections.
    chance: [Chance; 2],
    served: u64,
    served_fresh: u64,
    /// Since when the level stands.
    settled_at: Instant,
    /// First-byte latency of late, nanoseconds.
    wait: Option<u64>,
    /// Time of a response of late, nanoseconds.
    time: u64,
    /// Time of a unit of late, nanoseconds, while growing.
    unit_time: u64,
    ledger: Ledger,
}

impl Adaptive {
    pub(super) fn new(config: LimitConfig, seed: u64, now: Instant) -> Self {
        let floor = config.floor.max(1);
        let ceiling = config.ceiling.max(floor);
        let config = LimitConfig { start: config.start.clamp(floor, ceiling), floor, ceiling };
        Self {
            config,
            rng: Rng::with_seed(seed),
            level: u32::from(config.start),
            mode: Mode::Start,
            finding: Finding::Growing,
            wall: None,
            burst: None,
            ladder: Ladder::default(),
            window: Window::new(now, now, 1, u32::MAX),
            held: Sums::default(),
            held_level: 0,
            trial: Duration::ZERO,
            base: None,
            noise: 0,
            unsure: true,
            started_at: u32::from(config.start),
            careful_above: 0,
            proven: 0,
            vague: false,
            alarmed: false,
            alarm_at: now,
            step: 1,
            last_was_down: false,
            first_answer: None,
            fresh_run: 0,
            queued: false,
            in_flight: 0,
            milestones: [(now, u32::from(config.start)); MILESTONES],
            milestone: 0,
            proof: 0,
            proof_fresh: 0,
            chance: [Chance::default(); 2],
            served: 0,
            served_fresh: 0,
            settled_at: now,
            wait: None,
            time: 0,
            unit_time: 0,
            ledger: Ledger::default(),
        }
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

    pub(super) fn sent(&mut self, now: Instant, in_flight: u32, queued: bool) {
        self.queued = queued;
        self.in_flight = in_flight;
        self.window.sent(now, in_flight);
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
        self.window = Window::new(now, now, 1, u32::MAX);
        match self.mode {
            Mode::Up { .. } | Mode::Probe { .. } | Mode::Down { .. } | Mode::Yield { .. } => {
                self.hold(now);
            }
            Mode::Start | Mode::Hold { .. } => {}
        }
    }

    pub(super) fn done(&mut self, now: Instant, sample: &Sample) {
        if !sample.served {
            self.window.excuse(sample);
            return;
        }
        self.served += u64::from(sample.whole);
        self.served_fresh += u64::from(sample.whole && !sample.reused);
        self.proven = self.proven.max(sample.in_flight);
        self.fresh_run = if sample.reused { 0 } else { self.fresh_run.saturating_add(1) };
        if sample.in_flight * 4 >= self.level * 3 {
            self.proof = (self.proof + 1).min(PROOF_MAX);
            if !sample.reused {
                let most = if self.fresh_run >= NOT_PERSISTENT { PROOF_MAX } else { PROOF * 2 };
                self.proof_fresh = (self.proof_fresh + 1).min(most);
            }
        }
        let spent = nanos(now - sample.sent_at).max(1);
        self.time = if self.time == 0 { spent } else { self.time - self.time / 8 + spent / 8 };
        // A fresh connection's first answer waits for more than the server's queue.
        let counts = sample.reused || self.fresh_run >= NOT_PERSISTENT;
        match self.mode {
            Mode::Start => {
                // Those of a first burst at the cap are all alike, and tell if it was too much.
                let first = *self.first_answer.get_or_insert(now);
                if counts || (sample.sent_at < first && self.started_at >= self.cap()) {
                    let work = units(sample.bytes, sample.whole);
                    self.ladder.add(spent, work, sample.in_flight, sample.bytes);
                    let unit = mul_div(spent, UNIT, work);
                    self.unit_time = match self.unit_time {
                        0 => unit,
                        old => old - old / 8 + unit / 8,
                    };
                }
                self.grow(now, sample);
            }
            Mode::Hold { due, due_served } => {
                if !counts {
                    self.window.excuse(sample);
                } else if self.window.add(now, sample) {
                    if !self.window.is_open() {
                        let patience = Duration::from_nanos(self.time) * 16;
                        if self.window.is_complete(now, patience) {
                            self.window = self.window.reopened(now);
                        }
                    } else if self.window_is_full() {
                        self.held(now, due, due_served);
                    }
                }
            }
            Mode::Up { to, began, before } | Mode::Down { to, began, before } => {
                if counts {
                    self.window.add(now, sample);
                } else {
                    self.window.excuse(sample);
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

    /// Whether the window is full as a reading of a held level.
    fn window_is_full(&self) -> bool {
        let noisy = (u64::from(self.noise).pow(2) * 100) >> 20;
        // Where nothing is known yet, a first look will do: the trial that follows is a big one.
        let rounds = if self.unsure { self.level / 4 } else { self.level * 2 };
        u64::from(self.window.sums.count) >= noisy.clamp(32, 512).max(u64::from(rounds))
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
        self.started_at = self.level;
        self.careful_above = 0;
        self.ladder = Ladder::default();
        self.unit_time = 0;
        self.window = Window::new(now, now, 1, u32::MAX);
        self.milestones = [(now, self.level); MILESTONES];
    }

    fn grow(&mut self, now: Instant, sample: &Sample) {
        let calm = self.ladder.calm().unwrap_or(u64::MAX);
        let mut crowded = self.unit_time / 3 > calm / 2;
        if let Some((low, high)) = self.ladder.compare() {
            let ideal = mul_div(high.concurrency16, UNIT, low.concurrency16.max(1));
            let real = mul_div(high.rate, UNIT, low.rate.max(1));
            // Chance may make it look worse than it is.
            let real = real + mul_div(real, low.error() + high.error(), UNIT);
            // Less than three tenths of what was added arrived.

            if real < UNIT + ideal.saturating_sub(UNIT) * 3 / 10 {
                self.settle_at_knee(now);
                return;
            }
            // Slower, but worth it up to here.
            crowded &= high.concurrency16 < u64::from(self.level) * 8;
        }
        if crowded && self.ladder.count() >= self.level * 8 {
            // Chance hides whether it was worth it: trials will tell.
            self.settle_at_knee(now);
            return;
        }
        // An answer speaks for twice the level at which its request was sent, and no more:
        // a server that slows down is not given more before it is known how slow it became.
        // Beyond a level at which it once complained, what doubles is the distance from there.
        let spoken_for = self.level_at(sample.sent_at).max(self.careful_above + 1);
        let spoken_for = match spoken_for {
            level if self.careful_above > 0 => level * 2 - self.careful_above,
            level if level < 4 => level * 2 + 2,
            level => level * 9 / 4,
        };
        let most = self.cap().min(spoken_for);
        if self.queued && !crowded && self.in_flight * 2 >= self.level && self.level < most {
            // A fresh connection's first answer says that a connection and a request are borne.
            let step = if sample.reused { 1 } else { 2 };
            self.level = (self.level + step).min(most);
            self.finding = Finding::Growing;
            self.settled_at = now;
            let last = self.milestones[self.milestone].1;
            if self.level > last + last.saturating_sub(self.careful_above) / 16 {
                self.milestone = (self.milestone + 1) % MILESTONES;
                self.milestones[self.milestone] = (now, self.level);
            }
        }
        // At the cap, the answers to what was sent on the way there tell whether it was worth it.
        let half = u64::from(self.level) * 8;
        let known = self.ladder.compare().is_some_and(|(_, high)| high.concurrency16 >= half);
        let known = known && self.started_at * 2 <= self.level;
        if self.level >= self.cap() && (known || self.ladder.count() >= self.level * 2) {
            self.settle_at_cap(now);
        }
    }

    /// The level when a request was sent, while growing.
    fn level_at(&self, sent_at: Instant) -> u32 {
        (0..MILESTONES)
            .map(|back| self.milestones[(self.milestone + MILESTONES - back) % MILESTONES])
            .find(|(when, _)| *when <= sent_at)
            .unwrap_or(self.milestones[(self.milestone + 1) % MILESTONES])
            .1
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
            self.noise = high.noise;
            if self.started_at * 2 <= self.level {
                self.unsure = false;
                self.lower_base(low.per_unit + mul_div(low.per_unit, low.error() * 2, UNIT));
            }
        }
    }

    fn settle_at_knee(&mut self, now: Instant) {
        let Some(knee) = self.ladder.knee() else { return };
        // Where times vary, a little more: too few cost goodput, a few too many only wait.
        let room = knee.level * knee.noise.min(UNIT as u32) / 3072;
        let level = (knee.level + room).clamp(u32::from(self.config.floor), self.level);
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
        self.unsure = self.started_at >= level;
        self.noise = knee.noise;
        self.last_was_down = true;
        let vague = knee.noise > NOISY;
        self.base = (!vague).then_some(knee.calm.per_unit);
        self.vague = vague;
        self.level = level;
        self.settle(now);
        // The knee is known roughly: the first trials take big steps, one after the other.
        self.step = (level / 4).max(level * self.noise.min(UNIT as u32) / 2048).max(1);
        self.hold_until(now, now);
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
        let soon = Duration::from_nanos(self.time) * 4;
        if self.at_wall() && self.wall.is_some_and(|wall| wall.times <= 1) {
            let due_served = self.served + SERVED_BEFORE_SECOND_PROBE;
            self.hold_until(now, now + soon);
            if let Mode::Hold { due_served: after, .. } = &mut self.mode {
                *after = due_served;
            }
            return;
        }
        let (since, least) = match self.wall {
            Some(wall) if self.at_wall() => (wall.since, PROBE_EVERY_MIN),
            _ => (self.settled_at, TRIAL_EVERY_MIN),
        };
        let least = least.max(Duration::from_nanos(self.time) * 8).max(self.trial * 4);
        let wait = ((now - since) / AGE_PART).clamp(least, TRIAL_EVERY_MAX.max(least));
        // Not all hosts of a list at once, and no rhythm with another client.
        let wait = wait * self.rng.u32(896..1152) / 1024;
        self.hold_until(now, now + wait);
    }

    fn hold_until(&mut self, now: Instant, due: Instant) {
        if self.held_level != self.level {
            self.held = Sums::default();
            self.held_level = self.level;
        }
        self.mode = Mode::Hold { due, due_served: self.served + SERVED_BETWEEN_PROBES };
        self.open_window(now);
    }

    /// Measures a level that stays. Where times vary, the first to come back are the quick ones:
    /// nothing counts until all of a round are back.
    fn open_window(&mut self, now: Instant) {
        self.window = Window::new(now, now, self.level - self.level / 8, self.level);
        if self.noise > NOISY {
            self.window = self.window.close_after(self.level);
        }
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
        let floor = u32::from(self.config.floor);
        let now_crowd = crowd(&reading, self.base);
        if self.level > floor && self.unsure {
            self.try_down(now, (self.level / 2).max(floor), reading);
            return;
        }
        let alarm = now >= self.alarm_at && now_crowd > CROWDED + 2 * reading.error();
        if self.held.count >= HELD_MAX * 2 {
            self.held.halve();
        }
        let mut due = due;
        if alarm {
            // It changed just now: what was measured before would mislead.
            if !self.alarmed {
                self.held = Sums::default();
                self.last_was_down = false;
            }
            due = now;
        }
        self.alarmed = alarm;
        self.held.merge(&sums);
        if now < due {
            return;
        }
        let Some(reading) = self.held.reading() else { return };
        let crowd = crowd(&reading, self.base);
        let crowded = self.vague || crowd > UNIT + (3 * reading.error()).max(41);
        if self.level > floor && crowded && !self.last_was_down {
            let step = self.level.saturating_sub(self.least_step());
            let knee = mul_div(u64::from(self.level), UNIT * 9 / 8, crowd) as u32;
            let least = if alarm { self.level / 2 } else { self.level - self.level / 4 };
            let to = if self.vague { least } else { step.min(knee.max(least)) }.max(floor);
            if reading.count >= self.needed(to) {
                self.try_down(now, to, reading);
            }
        } else if self.at_wall() {
            if self.served >= due_served && self.level < u32::from(self.config.ceiling) {
                self.last_was_down = false;
                self.mode = Mode::Probe { to: self.level + 1, began: now };
                self.window = Window::new(now, now, 1, u32::MAX);
            }
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

    /// The smallest step whose effect can be told from chance in a short trial.
    fn least_step(&self) -> u32 {
        (self.level * self.noise / 4096).clamp(1, (self.level / 4).max(1))
    }

    /// Where the next trial with more goes.
    fn next_up(&self) -> u32 {
        let step = self.step.max(self.least_step()).min((self.level / 2).max(1));
        (self.level + step).min(self.cap())
    }

    fn try_up(&mut self, now: Instant, to: u32, before: Reading) {
        self.last_was_down = false;
        self.mode = Mode::Up { to, began: now, before };
        let least = to - (to - self.level) / 4;
        self.window = Window::new(now, now, least, to).close_after(self.needed(to));
    }

    fn try_down(&mut self, now: Instant, to: u32, before: Reading) {
        self.last_was_down = true;
        self.mode = Mode::Down { to, began: now, before };
        self.window = Window::new(now, now, to - to / 8, to).close_after(self.needed(to));
    }

    /// Samples that a trial needs so that its effect stands out from chance: a standard error
    /// of a fifth of the relative step.
    fn needed(&self, to: u32) -> u32 {
        let part = mul_div(u64::from(to.abs_diff(self.level)), UNIT, u64::from(self.level)).max(1);
        // A first impression of how much times vary is too good.
        let noise = if self.unsure { self.noise * 2 } else { self.noise };
        let ratio = mul_div(u64::from(noise), 64, part);
        let needed = ratio * ratio * 50 / 4096;
        let rounds = if part > UNIT / 5 { to / 2 } else { to * 2 };
        needed.clamp(u64::from(rounds.max(16)), u64::from(HELD_MAX)) as u32
    }

    /// Ends a trial when it has seen enough.
    fn judge(&mut self, now: Instant, to: u32, began: Instant, before: &Reading) {
        let count = self.window.sums.count;
        let late = now - began > TRIAL_LONGEST.max(Duration::from_nanos(self.time) * 12);
        let patience = Duration::from_nanos(self.time) * 8;
        if !self.window.is_complete(now, patience) && !late {
            return;
        }
        let Some(after) = self.window.sums.reading().filter(|_| count >= to.min(16) / 2) else {
            // Not enough work, or the connections did not come: no outcome.
            self.hold(now);
            return;
        };
        self.trial = now - began;
        let ideal = mul_div(u64::from(to), UNIT, u64::from(self.level));
        let real = mul_div(after.rate, UNIT, before.rate.max(1));
        if to > self.level {
            if real >= UNIT + (ideal - UNIT) * WORTH / UNIT {
                let well = real >= UNIT + (ideal - UNIT) * 4 / 5;
                self.step = if well { (self.step * 2).min(to) } else { (self.step / 2).max(1) };
                self.keep_up(now, to, after);
            } else {
                self.step = (self.step / 2).max(1);
                let less = real < UNIT - ((ideal - UNIT) * WORTH / UNIT).min(UNIT / 4);
                self.found(self.level, before, &after, less);
                self.hold(now);
                if to - self.level > self.least_step() {
                    self.hold_until(now, now);
                }
            }
        } else if real >= UNIT - (UNIT - ideal) * WORTH / UNIT {
            let less = real > UNIT + (UNIT - ideal) * WORTH / UNIT;
            self.found(to, &after, before, less);
            self.level = to;
            self.settled_at = now;
            self.lower_base(after.per_unit);
            if self.unsure && to > u32::from(self.config.floor) {
                self.try_down(now, to / 2, after);
            } else {
                self.unsure = false;
                // Still slower than it was seen to be: on the way down. Else the other way is next.
                let base = self.base.unwrap_or(after.per_unit);
                self.last_was_down = after.per_unit / 5 <= base / 4;
                self.hold_until(now, now);
            }
        } else {
            self.unsure = false;
            self.vague = false;
            if real < UNIT - (UNIT - ideal) * 2 / 3 {
                // Every connection earns its keep: this is how long a unit takes here.
                self.base = Some(after.per_unit);
            } else {
                self.lower_base(after.per_unit);
                self.alarm_at = now + TRIAL_LONGEST;
            }
            self.hold(now);
        }
    }

    fn keep_up(&mut self, now: Instant, to: u32, after: Reading) {
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
            self.careful_above = to - 1;
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
        if let Some(burst) = self.burst.as_mut().filter(|burst| caused_at <= burst.cut) {
            // One cause, one cut: but each further one says that one less survived.
            burst.count = burst.count.saturating_add(1);
            let survivors = burst.top.saturating_sub(burst.count);
            if survivors < self.level {
                self.cut(now, what, survivors);
            }
            return;
        }
        let class = usize::from(what.concerns_fresh());
        let served = if what.concerns_fresh() { self.served_fresh } else { self.served };
        let gap = served - self.chance[class].served_at_last;
        self.chance[class].served_at_last = served;
        let probing =
            matches!(self.mode, Mode::Probe { .. } | Mode::Up { .. }) && open > self.level;
        let growing = matches!(self.mode, Mode::Start);
        if !probing && !growing && open <= self.level {
            let proof = if what.concerns_fresh() { &mut self.proof_fresh } else { &mut self.proof };
            if *proof >= PROOF {
                // It bore this level many times: one failure among many is chance. If it is
                // not, the proof is soon used up.
                *proof -= PROOF;
                self.chance[class].learn(gap);
                return;
            }
            self.chance[class] = Chance { served_at_last: served, ..Chance::default() };
        } else if self.chance[class].explains(gap) {
            // It fails now and then at any level: nothing that a higher one is to blame for.
            return;
        }
        let survivors = (open - 1).min(self.level);
        let round = Duration::from_nanos(self.time);
        let survivors = if probing || growing {
            // What was borne below says nothing of this level.
            self.proof = 0;
            self.proof_fresh = 0;
            // Others may have closed meanwhile: so many were served together.
            survivors.max(self.proven.min(self.level))
        } else if self.at_wall() && now < self.settled_at + round * 4 {
            // The level was found just now, and is not quite right yet.
            survivors
        } else {
            survivors.min(self.level - self.level.div_ceil(10))
        };
        self.proven = 0;
        self.burst = Some(Burst { cut: now, top: survivors + 1, count: 1 });
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
        let (since, times) = match self.wall {
            Some(old) if old.level.abs_diff(wall) <= 1 => (old.since, old.times),
            _ => (now, 0),
        };
        let again = u32::from(self.burst.is_some_and(|burst| burst.count == 1));
        self.wall = Some(Wall { level: wall, what, since, times: times + again });
        self.finding = Finding::Complaint { level: wall, what };
        if matches!(self.mode, Mode::Start) {
            self.learn_base();
            // As few as the start or little more: no reason to try less.
            self.unsure &= survivors > u32::from(self.config.start) * 4;
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
