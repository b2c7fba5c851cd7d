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
/// A shorter reach that lets no fewer run shows so for this long; and far fewer that run for this long are no
/// chance.
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
    /// How many ran when the last trial was over, and since when far fewer do.
    ran: u32,
    dipped: Option<Instant>,
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
    /// `began` is the reach before any trial: after one further in vain it is what is tried.
    Shorter {
        began: usize,
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
            ran: 0,
            dipped: None,
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
            (self.since, self.dipped) = (Some(now), None);
            return;
        }
        let patient = now - since >= PATIENCE;
        let dips = self.dips(running, now) && work != Work::Heavy && self.now < most;
        match self.trial {
            Trial::Shorter { began, from, running: before, fewer, ends } => {
                let fewer_now = running < before - before / 8 || work == Work::Light;
                // What is held beyond the reach hides what it lacks. To wait until that has gone
                // is worth it for a busy loop, and where reaching so far had been no use.
                let hidden = held > wanted + wanted / 8;
                let waits = hidden && (work == Work::Heavy || self.now == began);
                let ends = if waits { now + LONGEST } else { ends };
                if (patient && fewer && fewer_now) || now >= ends {
                    self.now = if fewer_now || hidden { from } else { self.now };
                    self.conclude(self.now != began, running, now);
                } else {
                    self.since = if fewer == fewer_now { self.since } else { Some(now) };
                    let fewer = fewer_now;
                    self.trial = Trial::Shorter { began, from, running: before, fewer, ends };
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
                    self.shorten(worth, from, running, now);
                }
            }
            Trial::None if work == Work::Light => self.double(most, now),
            Trial::None if now < self.next_trial && !dips => {}
            Trial::None => {
                let no_further = work == Work::Heavy || self.now >= most;
                self.shorter_next &= !dips;
                self.try_other(running, no_further, most, now);
            }
        }
    }

    /// Far fewer run than when a trial was last over: what it has shown is no longer so.
    fn dips(&mut self, running: u32, now: Instant) -> bool {
        let dips = running < self.ran - self.ran / 4;
        self.dipped = if dips { self.dipped.or(Some(now)) } else { None };
        self.dipped.is_some_and(|dipped| now - dipped >= LONGEST)
    }

    /// Begins the next trial, if there is one to make.
    fn try_other(&mut self, running: u32, no_further: bool, most: usize, now: Instant) {
        let from = self.now;
        if from > LEAST && (self.shorter_next || no_further) {
            self.shorten(LEAST, from, running, now);
        } else if !no_further {
            self.trial = Trial::Further { from, worth: from, running };
            self.double(most, now);
        }
    }

    /// Tries whether no fewer run with this reach.
    fn shorten(&mut self, to: usize, began: usize, running: u32, now: Instant) {
        let (from, ends) = (self.now, now + LONGEST);
        self.trial = Trial::Shorter { began, from, running, fewer: false, ends };
        self.now = to;
        self.since = Some(now);
    }

    fn double(&mut self, most: usize, now: Instant) {
        self.now = (self.now * 2).min(most).max(LEAST);
        self.since = Some(now);
    }

    /// A trial is over. One that changed nothing is not made again soon.
    fn conclude(&mut self, changed: bool, running: u32, now: Instant) {
        let valid = if changed { VALID } else { self.valid };
        self.trial = Trial::None;
        (self.ran, self.dipped) = (running, None);
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

    /// What was served in a minute of a list whose hosts are said by `host`: each bears so many requests at
    /// once, of so many milliseconds. A request is 50 us of work.
    fn minute(host: fn(u32) -> u32, bears: fn(u32) -> (f64, f64), fixed: Option<usize>) -> f64 {
        let mut reach = Reach::new();
        let mut queues = std::collections::BTreeMap::<u32, f64>::new();
        let (mut listed, mut held, mut running, mut busy, mut served) = (0, 0, 0, 0.3, 0.0);
        for ms in (0..60_000).step_by(4) {
            let wanted = fixed.unwrap_or_else(|| reach.get(running));
            while held < wanted {
                *queues.entry(host(listed)).or_default() += 1.0;
                (listed, held) = (listed + 1, held + 1);
            }
            running =
                queues.iter().map(|(host, queue)| queue.min(bears(*host).0)).sum::<f64>() as u32;
            let work = match busy {
                0.5.. => Work::Heavy,
                0.1.. => Work::Middle,
                _ => Work::Light,
            };
            reach.waits(held, running, work, 16_384, Instant::ZERO + Duration::from_millis(ms));
            let mut ended = 0.0;
            for (host, queue) in &mut queues {
                let (most, time) = bears(*host);
                let part = (queue.min(most) * 4.0 / time).min(*queue);
                *queue -= part;
                ended += part;
            }
            queues.retain(|_, queue| *queue > 1e-6);
            busy += (ended / 80.0 - busy) * 0.2;
            served += ended;
            held = queues.values().sum::<f64>().ceil() as usize;
        }
        served
    }

    #[test]
    fn the_rest_of_the_list_does_not_wait_for_hosts_at_its_head() {
        let same: fn(u32) -> (f64, f64) = |_| (30.0, 100.0);
        let slow: fn(u32) -> (f64, f64) = |host| if host == 0 { (6.0, 500.0) } else { (6.0, 20.0) };
        let rows: [(&str, fn(u32) -> u32, _); 4] = [
            ("500 for each host", |at| at / 500, same),
            ("2,000 for each host", |at| at / 2_000, same),
            ("one in 50 for a slow host", |at| if at % 50 == 0 { 0 } else { 1 + at % 20 }, slow),
            ("1,000 for a slow host", |at| if at < 1_000 { 0 } else { 1 + at % 20 }, slow),
        ];
        for (name, host, bears) in rows {
            let far = minute(host, bears, Some(16_384));
            let part = minute(host, bears, None) * 100.0 / far;
            println!("{name}: {part:.1} % of what a far reach brings");
            assert!(part > 90.0, "{name}: {part:.1} %");
        }
    }
}
