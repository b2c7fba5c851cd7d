//! How far ahead of the connections to hold requests.
//!
//! A request that waits costs memory, and memory that is looked at once in four thousand answers
//! has left the processor's cache by then: a far reach makes each request dearer by a tenth. It
//! pays only where sockets would otherwise have nothing to do: where the requests that are held
//! wait for hosts that bear no more, and those further down the list are for others. A loop that
//! hardly works has the time, so it reaches as far as it can. One that works for most of its time has
//! enough to do. In between it is tried now and then, further as well as shorter, and what runs
//! then says whether it was worth it. Owns that number, and bounds nothing: what is
//! submitted beyond it is taken as well. Nothing wakes the loop for it: whoever heeds it turns the
//! loop a few times a second, as the command does. Those who embed the library are told of the
//! engine's room alone (`wants`), and nothing is kept up for them.

use core::time::Duration;

use crate::base::Instant;
use crate::engine::Work;

/// The shortest reach.
const LEAST: usize = 128;
/// Requests that are held for each that runs, at least: a turn answers one at most of each
/// connection, and the list is read after each.
const EACH: usize = 2;
/// Between two changes: the loop has to feel the one before.
const PATIENCE: Duration = Duration::from_millis(20);
/// A trial ends after this, whatever else happens.
const LONGEST: Duration = Duration::from_millis(500);
/// What a trial has shown counts for so long at first, and at most when it shows the same again.
const VALID: Duration = Duration::from_secs(1);
const VALID_MOST: Duration = Duration::from_secs(16);

/// How far, and what is being tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    now: usize,
    /// Since when nothing has changed and nothing was lacking.
    since: Option<Instant>,
    trial: Trial,
    /// There is no trial before this, and none for so long after the next one that changes nothing.
    next_trial: Instant,
    valid: Duration,
    /// Where both are possible, each in its turn.
    shorter_next: bool,
}

#[derive(Clone, Copy, Debug)]
enum Trial {
    None,
    /// Step by step: `worth` is the furthest reach that let more run, `running` how many. Begun at
    /// `from`.
    Further {
        from: usize,
        worth: usize,
        running: u32,
    },
    /// From this reach, with so many running before; whether fewer ran when it was last looked at.
    Shorter {
        from: usize,
        running: u32,
        fewer: bool,
        ends: Instant,
    },
}

impl Reach {
    /// A short one.
    pub(super) const fn new() -> Self {
        Self {
            now: LEAST,
            since: None,
            trial: Trial::None,
            next_trial: Instant::ZERO,
            valid: VALID,
            shorter_next: false,
        }
    }

    /// How many requests are to be held while so many run.
    pub(super) fn get(&self, running: u32) -> usize {
        self.now.max(running as usize * EACH)
    }

    /// The loop is about to wait. `held`: so many requests, `running` of them on connections.
    /// `most`: it can't hold more.
    pub(super) fn waits(
        &mut self,
        held: usize,
        running: u32,
        work: Work,
        most: usize,
        now: Instant,
    ) {
        let since = *self.since.get_or_insert(now);
        let wanted = self.get(running);
        if held < wanted {
            // A list that is at its end says nothing.
            self.since = Some(now);
            return;
        }
        let patient = now - since >= PATIENCE;
        match self.trial {
            Trial::Shorter { from, running: before, fewer, ends } => {
                let fewer_now = running < before - before / 8;
                // What is held beyond the reach has to go first.
                let settled = patient && fewer == fewer_now && (fewer || held < wanted * 2);
                if settled || now >= ends {
                    self.now = if fewer_now { from } else { self.now };
                    self.conclude(!fewer_now, now);
                } else if fewer != fewer_now {
                    self.trial = Trial::Shorter { from, running: before, fewer: fewer_now, ends };
                    self.since = Some(now);
                }
            }
            _ if !patient => {}
            Trial::Further { from, worth, running: before } => {
                let more = running > before + before / 8;
                let (worth, running) = if more { (self.now, running) } else { (worth, before) };
                if self.now < most && work != Work::Heavy {
                    self.trial = Trial::Further { from, worth, running };
                    self.double(most, now);
                } else {
                    self.now = worth;
                    self.conclude(worth > from, now);
                }
            }
            Trial::None if work == Work::Light => self.double(most, now),
            Trial::None if now < self.next_trial => {}
            Trial::None => {
                let no_further = work == Work::Heavy || self.now >= most;
                self.try_other(running, no_further, most, now);
            }
        }
    }

    /// Begins the next trial, if there is one to make.
    fn try_other(&mut self, running: u32, no_further: bool, most: usize, now: Instant) {
        let from = self.now;
        if from > LEAST && (self.shorter_next || no_further) {
            self.trial = Trial::Shorter { from, running, fewer: false, ends: now + LONGEST };
            self.now = LEAST;
            self.since = Some(now);
        } else if !no_further {
            self.trial = Trial::Further { from, worth: from, running };
            self.double(most, now);
        }
    }

    fn double(&mut self, most: usize, now: Instant) {
        self.now = (self.now * 2).min(most).max(LEAST);
        self.since = Some(now);
    }

    /// A trial is over. One that changed nothing is not made again soon.
    fn conclude(&mut self, changed: bool, now: Instant) {
        let valid = if changed { VALID } else { self.valid };
        self.trial = Trial::None;
        self.next_trial = now + valid;
        self.valid = (valid * 2).min(VALID_MOST);
        self.shorter_next = !self.shorter_next;
        self.since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 4_096;

    /// Turns for so long, and how far it reaches then.
    fn turns(
        reach: &mut Reach,
        from: u64,
        ms: u64,
        work: Work,
        runs: impl Fn(usize) -> u32,
    ) -> usize {
        for at in (from..from + ms).step_by(2) {
            let now = Instant::ZERO + Duration::from_millis(at);
            // Who reaches further has more to choose from; what is held is what is reached for.
            let running = runs(reach.get(0));
            reach.waits(reach.get(running), running, work, MOST, now);
        }
        reach.get(0)
    }

    #[test]
    fn a_loop_that_hardly_works_reaches_as_far_as_it_can() {
        let mut reach = Reach::new();
        assert_eq!(turns(&mut reach, 0, 100, Work::Light, |_| 6), 2_048);
        assert_eq!(turns(&mut reach, 100, 40, Work::Light, |_| 6), 4_096);
        assert_eq!(reach.get(3_000), 6_000, "what runs has something behind it");
    }

    #[test]
    fn a_loop_that_works_for_most_of_its_time_reaches_no_further() {
        let mut reach = Reach::new();
        assert_eq!(turns(&mut reach, 0, 60_000, Work::Heavy, |_| 6), 128);
    }

    /// One host: whatever is held, as many run.
    #[test]
    fn what_is_no_use_is_tried_more_and_more_seldom() {
        let mut reach = Reach::new();
        let mut far = 0;
        for at in (0..60_000).step_by(2) {
            far += u64::from(turns(&mut reach, at, 2, Work::Middle, |_| 64) > 128);
        }
        assert!((100..600).contains(&far), "{far} of 30,000 turns");
    }

    /// The other hosts are a thousand further down.
    #[test]
    fn what_lets_more_run_is_kept() {
        let mut reach = Reach::new();
        let runs = |reach: usize| if reach > 1_000 { 64 } else { 6 };
        turns(&mut reach, 0, 500, Work::Middle, runs);
        let mut far = 0;
        for at in (500..60_000).step_by(2) {
            far += u64::from(turns(&mut reach, at, 2, Work::Middle, runs) > 1_000);
        }
        assert!(far > 29_000, "{far} of 29,750 turns");
        // It is over with them.
        assert_eq!(turns(&mut reach, 60_000, 40_000, Work::Middle, |_| 6), 128);
    }

    #[test]
    fn what_was_taken_up_for_nothing_is_laid_down() {
        let mut reach = Reach::new();
        turns(&mut reach, 0, 200, Work::Light, |_| 64);
        assert_eq!(reach.get(0), MOST);
        assert_eq!(turns(&mut reach, 200, 300, Work::Heavy, |_| 64), 128);
    }

    #[test]
    fn the_end_of_a_list_says_nothing() {
        let mut reach = Reach::new();
        for at in 0..1_000 {
            reach.waits(127, 6, Work::Light, MOST, Instant::ZERO + Duration::from_millis(at));
        }
        assert_eq!(reach.get(6), 128);
    }

    /// A thousand requests for a host that takes one in 4 ms, at the head of a list for hosts of which the
    /// loop serves forty in that time.
    #[test]
    fn a_slow_hosts_backlog_does_not_make_it_swing() {
        let mut reach = Reach::new();
        let (mut listed, mut slow, mut busy, mut served) = (0, 0, 0, 0);
        for ms in (0..4_000).step_by(4) {
            slow = usize::max(slow, 1) - 1;
            while listed < 1_000 && slow < reach.get(8) {
                (listed, slow) = (listed + 1, slow + 1);
            }
            let quick = reach.get(8).saturating_sub(slow).min(40);
            served += quick;
            busy = (busy + if quick > 20 { 4 } else { -4_i32 }).clamp(0, 20);
            let work = if busy > 10 { Work::Heavy } else { Work::Middle };
            let (held, running) = (reach.get(8).max(slow + quick), 1 + quick as u32);
            reach.waits(held, running, work, 65_536, Instant::ZERO + Duration::from_millis(ms));
        }
        assert!(served > 34_000, "{served} of 40,000");
    }
}
