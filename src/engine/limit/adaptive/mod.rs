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

mod complaint;
mod growth;
mod trial;

use core::time::Duration;

use fastrand::Rng;

use super::explain::{Explanation, Finding, Ledger};
use super::ladder::Ladder;
use super::meter::{Reading, Sums, UNIT, Window, units};
use super::{Complaint, LimitConfig, Sample};
use crate::base::{Instant, mul_div, nanos};

/// Times are in nanoseconds where they are reckoned with.
const SECOND: u64 = 1_000_000_000;
/// A level that has stood for a time is questioned again after this part of it.
const AGE_PART: u64 = 16;
/// The shortest time between two probes beyond a level at which the server complained.
const PROBE_EVERY_MIN: u64 = SECOND;
/// The shortest time between two trials that cost no request.
const TRIAL_EVERY_MIN: u64 = SECOND * 2 / 5;
/// The longest.
const TRIAL_EVERY_MAX: u64 = 60 * SECOND;
/// Between two trials, so many times as long as the last one took; and at a level beyond which the
/// server complained, where one with less only costs, unless the level is beyond a knee.
const APART: u32 = 4;
const APART_AT_WALL: u32 = 12;
/// Requests served between two trials that are likely to cost a request, or a connection that
/// is refused: less than half a percent.
const SERVED_BETWEEN_PROBES: u64 = 220;
/// A trial that takes longer decides with what it has.
const TRIAL_LONGEST: u64 = 3 * SECOND;
/// Successes at a level that outweigh a single complaint at it: up to 6 % are chance.
const PROOF: u32 = 16;
/// As many successes are remembered: so many complaints in a row are no chance.
const PROOF_MAX: u32 = 64;
/// More than so many refusals are not made good.
const PAID_MOST: u64 = 6;
/// For the first answer of a connection it waits so long at least, before that is no chance.
const UNHEARD_LEAST: u64 = SECOND / 2;
/// And so many times as long as others take, or at most, where that was too short.
const PATIENCE: u32 = 16;
const PATIENCE_MOST: u32 = 128;
/// So many times as long they are waited for once it was seen that they wait for no other.
const REFUTED: u32 = 16;
/// Where so many are not served in this time, it is enough.
const PROBE_LONGEST: u64 = 12 * SECOND;
/// Of the goodput, one part in so many at most is left to another client, should there be one.
const GIVEN: u32 = 48;
/// The same while there is one: what was left was taken. That is not lost, and what is not taken is
/// at most 6 % for both; with the part above, who came second had a fifth for a minute.
const GIVEN_SHARED: u32 = 16;
/// It is believed to be there for so long after it took something: it finds few of the moments in
/// which there is room, as it asks every three seconds where it has little.
const SHARED_FOR: Duration = Duration::from_secs(20);
/// A limit that has just doubled or halved is the server's doing, not another client's: for so long nothing
/// is left to others.
const GIVES_AFTER: Duration = Duration::from_secs(10);
/// Where a probe may cost a pause that the server asks for, between two of them so many pauses: a part
/// of the goodput that is like that which other probes cost at worst.
const PAUSES_APART: u32 = 40;
/// A level beyond which it complained so many times, one after the other, is no accident.
const FIRM: u32 = 6;
/// What is asked for beyond it at first, when it is gone.
const LEAP: u32 = 8;
/// Requests served before a complaint that came once is put to the test.
const SERVED_BEFORE_SECOND_PROBE: u64 = 32;
/// Of so many samples the mean hardly varies.
const MANY: u32 = 256;
/// Of the concurrency added, so much in 1/1024 must at least turn up as goodput.
const WORTH: u64 = 307;
/// Where so much in 1/1024 of what is added is lost besides, it is no queue,
const SERVES_LESS: i32 = 410;
/// on average of so many trials.
const TRIALS: i32 = 4;
/// Samples of a held level are averaged over so many.
const HELD_MAX: u32 = 2048;
/// Nanoseconds a unit took, against the base, in 1/1024: too much to wait for the next trial.
const CROWDED: u64 = 1536;
/// Times that vary by more than this (standard deviation, 1/1024 of the mean) need care.
const NOISY: u32 = 80;
/// Times that vary nearly as much as their mean: it takes long to see what one connection is worth.
const VAGUE: u32 = 768;
/// So many fresh connections in a row: this server does not keep them.
const NOT_PERSISTENT: u32 = 48;

/// A queue that makes answers no longer than this harms nobody: it cannot be told from the work of
/// this machine itself, and keeps both sides awake.
const SHORT: Duration = Duration::from_millis(2);
/// More connections than this are never opened for its sake.
const SHORT_MOST: u64 = 64;

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
    /// Whether it was met on the way up, where nothing had been borne before.
    growing: bool,
}

/// Complaints that have one cause: all that was started before the cut.
#[derive(Clone, Copy, Debug)]
struct Burst {
    cut: Instant,
    /// Connections open at the first of them.
    top: u32,
    count: u32,
    /// Whether they came while it grew.
    growing: bool,
}

/// Connections that had served and were closed by the server, shortly one after the other.
#[derive(Clone, Copy, Debug)]
struct Losses {
    since: Instant,
    count: u32,
}

/// Connections that wait for their first answer.
#[derive(Clone, Copy, Debug)]
struct Unheard {
    /// Since when their answers are counted, how many waited then, and how many came.
    since: Instant,
    waiting: u32,
    answered: u32,
    /// So many times as long as usual they are waited for: more, where that was too short once.
    patience: u32,
    /// How many were served when it was found the last time that the others are left waiting.
    served: u32,
    /// Those that still wait of the ones that were found to. They do not count.
    left: u32,
    /// So many connections that serve may still give way to them.
    room: u32,
    /// The level before that, until one of them is taken up.
    cut_from: Option<u32>,
}

/// A first complaint while it grows: one in a round may be chance.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    at: Instant,
    what: Complaint,
    /// Connections open then, and what had been served.
    open: u32,
    served: u64,
}

/// Slots that were left to another client and are asked for again.
#[derive(Clone, Copy, Debug)]
struct Gift {
    /// The level without them.
    above: u32,
    /// When they were asked for. Once as many were served together, nobody had taken them.
    since: Instant,
    /// Refusals until then say that they were taken,
    until: Instant,
    /// if there was one already.
    refused: bool,
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
    Yield { to: u32, until: Instant, due: Instant, due_served: u64 },
}

/// The state of a search.
#[derive(Debug)]
pub(super) struct Adaptive {
    config: LimitConfig,
    rng: Rng,
    /// Connections that are believed to be right.
    level: u32,
    mode: Mode,
    finding: Finding,
    wall: Option<Wall>,
    /// What a 503 costs beside a request: a pause that the server asks for.
    pause: u64,
    burst: Option<Burst>,
    doubt: Option<Doubt>,
    losses: Losses,
    unheard: Unheard,
    ladder: Ladder,
    window: Window,
    /// All of the windows at the level, of late.
    held: Sums,
    held_level: u32,
    /// Since when the level is held without a trial.
    held_at: Instant,
    /// How long the last trial took, when the next may begin at a wall,
    /// and when it may now.
    trial: u64,
    rested_at: Instant,
    trial_after: Instant,
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
    /// How much less trials with more said that the server serves of it, in 1/1024 of what was added, and
    /// how many they were.
    worse: i32,
    trials: i32,
    /// Connections to try more, next time.
    step: u32,
    last_was_down: bool,
    /// When it last left a few slots to others, or will do so again; and the level at which it was last
    /// to do so, 0 if it never was.
    gave_way: Instant,
    gave_at: u32,
    gift: Option<Gift>,
    /// The highest level beyond which it complained, since the limit doubled or halved.
    highest: u32,
    /// Until when another client is believed to share the limit.
    shared: Instant,
    /// When the first answer came.
    first_answer: Option<Instant>,
    /// Fresh connections in a row.
    fresh_run: u32,
    /// Whether the host has more work than it may do.
    queued: bool,
    /// A level that growth has set, and when, until so many requests are in flight; and how long that took
    /// the last time: what opening a connection takes.
    awaited: Option<(Instant, u32)>,
    opening: u64,
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
    /// How many are to be served before the next trial that may cost a request: as many for each that was
    /// refused together with another, so that all that is refused stays a small part.
    paid: u64,
    /// Since when the level stands.
    settled_at: Instant,
    /// First-byte latency of late, nanoseconds.
    wait: Option<u64>,
    /// Time of a response of late, nanoseconds.
    time: u64,
    /// Time of a unit of late, nanoseconds, while growing.
    unit_time: u64,
    /// Answers since it last grew, while there was more to do.
    stalled: u32,
    ledger: Ledger,
}

/// The nanoseconds of so many rounds, of which one takes so many.
fn rounds(time: u64, count: u32) -> u64 {
    time.saturating_mul(count.into())
}

impl Adaptive {
    pub(in crate::engine::limit) fn new(config: LimitConfig, seed: u64, now: Instant) -> Self {
        Self {
            config,
            rng: Rng::with_seed(seed),
            level: u32::from(config.start),
            mode: Mode::Start,
            finding: Finding::Growing,
            wall: None,
            pause: 0,
            burst: None,
            doubt: None,
            losses: Losses { since: now, count: 0 },
            unheard: Unheard {
                since: now,
                waiting: 0,
                answered: 0,
                patience: PATIENCE,
                served: 0,
                left: 0,
                room: 0,
                cut_from: None,
            },
            ladder: Ladder::default(),
            window: Window::new(now, now, 1, u32::MAX),
            held: Sums::default(),
            held_level: 0,
            held_at: now,
            trial: 0,
            rested_at: now,
            trial_after: now,
            base: None,
            noise: 0,
            unsure: true,
            started_at: u32::from(config.start),
            careful_above: 0,
            proven: 0,
            vague: false,
            alarmed: false,
            alarm_at: now,
            worse: 0,
            trials: 0,
            step: 1,
            last_was_down: false,
            gave_way: now,
            gave_at: 0,
            gift: None,
            highest: 0,
            shared: now,
            first_answer: None,
            fresh_run: 0,
            queued: false,
            awaited: None,
            opening: u64::MAX,
            in_flight: 0,
            milestones: [(now, u32::from(config.start)); MILESTONES],
            milestone: 0,
            proof: 0,
            proof_fresh: 0,
            chance: [Chance::default(); 2],
            served: 0,
            served_fresh: 0,
            paid: 0,
            settled_at: now,
            wait: None,
            time: 0,
            unit_time: 0,
            stalled: 0,
            ledger: Ledger::default(),
        }
    }

    pub(in crate::engine::limit) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    pub(in crate::engine::limit) fn allowed(&self) -> u32 {
        let level = match self.mode {
            Mode::Start | Mode::Hold { .. } => self.level,
            Mode::Up { to, .. }
            | Mode::Probe { to, .. }
            | Mode::Down { to, .. }
            | Mode::Yield { to, .. } => to,
        };
        // What the server has not taken up costs it nothing.
        (level + self.unheard.left).min(u32::from(self.config.ceiling))
    }

    /// Connections that may stay open. Where the server has never complained of their number,
    /// those beyond a level that was only tried, or left again, rest instead of being closed and
    /// opened anew with the next trial.
    pub(in crate::engine::limit) fn keeps(&self) -> u32 {
        let allowed = self.allowed();
        if self.wall.is_some() {
            return match self.mode {
                Mode::Down { .. } => allowed.max(self.level + self.unheard.left),
                _ => allowed,
            };
        }
        allowed.max(self.level).saturating_mul(2).min(u32::from(self.config.ceiling)).max(allowed)
    }

    pub(in crate::engine::limit) const fn is_bounded(&self) -> bool {
        self.wall.is_some()
    }

    pub(in crate::engine::limit) fn explain(&self) -> Explanation {
        // What is believed to be right: that a trial asks for one more, or leaves some, just now is no news.
        Explanation::new(self.level, self.finding, self.wall.map(|wall| wall.level), self.ledger)
    }

    pub(in crate::engine::limit) fn sent(&mut self, now: Instant, in_flight: u32, queued: bool) {
        self.queued = queued;
        self.in_flight = in_flight;
        if let Some((since, _)) = self.awaited.take_if(|(_, level)| in_flight >= *level) {
            self.opening = now.nanos_since(since);
        }
        self.window.sent(now, in_flight);
        if matches!(self.mode, Mode::Start) {
            self.ladder.sent(now, in_flight);
        }
    }

    pub(in crate::engine::limit) fn first_byte(
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

    pub(in crate::engine::limit) fn idle(&mut self, now: Instant) {
        self.queued = false;
        self.window = Window::new(now, now, 1, u32::MAX);
        match self.mode {
            Mode::Up { .. } | Mode::Probe { .. } | Mode::Down { .. } | Mode::Yield { .. } => {
                self.hold(now);
            }
            Mode::Start | Mode::Hold { .. } => {}
        }
    }

    pub(in crate::engine::limit) fn done(&mut self, now: Instant, sample: &Sample) {
        if matches!(self.mode, Mode::Start) && sample.whole {
            self.ladder.back(sample.sent_at, sample.in_flight);
        }
        if !sample.served {
            self.window.excuse(sample);
            return;
        }
        self.served += u64::from(sample.whole);
        self.served_fresh += u64::from(sample.whole && !sample.reused);
        self.proven = self.proven.max(sample.in_flight);
        let level = self.level;
        self.gift.take_if(|gift| sample.sent_at > gift.since && sample.in_flight >= level);
        self.fresh_run = if sample.reused { 0 } else { self.fresh_run.saturating_add(1) };
        if sample.in_flight * 4 >= self.level * 3 {
            self.proof = (self.proof + 1).min(PROOF_MAX);
            if !sample.reused {
                let most = if self.fresh_run >= NOT_PERSISTENT { PROOF_MAX } else { PROOF * 2 };
                self.proof_fresh = (self.proof_fresh + 1).min(most);
            }
        }
        let spent = now.nanos_since(sample.sent_at).max(1);
        self.time = if self.time == 0 { spent } else { self.time - self.time / 8 + spent / 8 };
        // A fresh connection's first answer waits for more than the server's queue.
        let counts = sample.reused || self.fresh_run >= NOT_PERSISTENT;
        match self.mode {
            Mode::Start => {
                // Those of a first burst at the cap are all alike, and tell if it was too much.
                let first = *self.first_answer.get_or_insert(now);
                let work = units(sample.bytes, sample.whole);
                self.ladder.heard(now, spent, work, sample);
                if counts || (sample.sent_at < first && self.started_at >= self.cap()) {
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
                let belongs = counts && self.window.add(now, sample);
                if !counts {
                    self.window.excuse(sample);
                }
                if !self.window.is_open() {
                    // Whatever comes may end this: the last of those that are waited for may be lost.
                    let patience = rounds(self.time, 16);
                    if self.window.is_complete(now, patience) {
                        self.window = self.window.reopened(now);
                    }
                } else if belongs && self.window_is_full() {
                    self.held(now, due, due_served);
                } else if now >= due.max(self.shared)
                    && self.served >= due_served
                    && self.queued
                    && self.asks_by_connection()
                {
                    self.ask(now);
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
            Mode::Yield { to, until, due, due_served } => {
                if now >= until {
                    let long = rounds(self.time, 8).max(TRIAL_EVERY_MIN);
                    self.gift = Some(Gift {
                        above: to,
                        since: now,
                        until: now.later(long),
                        refused: false,
                    });
                    // The time until the next probe is that since the last.
                    self.hold_until(now, due);
                    self.mode = Mode::Hold { due, due_served };
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

    /// The lowest level that is worth a thought: that at which an answer takes a time that nobody
    /// minds. Below it, what was measured says as much of this machine as of the server; a few
    /// connections more keep both sides from going to sleep after each answer.
    fn least(&self) -> u32 {
        let floor = u32::from(self.config.floor);
        if self.wall.is_some() || self.time == 0 {
            return floor;
        }
        // Of many answers at this level, where there are: what the last few took varies.
        let (level, time) = match self.held.reading().filter(|held| held.count >= MANY) {
            Some(held) if self.held_level == self.level => (self.level, held.mean_time),
            _ => (self.in_flight, self.time),
        };
        let least = mul_div(u64::from(level), nanos(SHORT), time).min(SHORT_MOST);
        (least as u32).min(self.cap()).max(floor)
    }

    /// The level that growth may not pass.
    fn cap(&self) -> u32 {
        let ceiling = u32::from(self.config.ceiling);
        let wall = self.wall.map_or(ceiling, |wall| wall.level.saturating_sub(1));
        ceiling.min(wall).max(u32::from(self.config.floor))
    }
}
