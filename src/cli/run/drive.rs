//! The loop: feed the fetcher while it wants more, turn, say what happened.
//!
//! Owns the loop and what ends it: the end of the list, a signal, a deadline, too many failures, a
//! reader that has gone. Nothing here waits but the turn itself and, for a slow list, the wait for
//! standard input beside it.

use std::time::{Duration, Instant};

use super::advice;
use super::clump::{self, Clump};
use super::desk::Desk;
use super::feed::{Aside, Feed, Room, Step};
use super::found::Found;
use super::tell::Early;
use crate::cli::plan::Mode;
use crate::cli::progress::{Progress, State};
use crate::cli::results::Results;
use crate::cli::signals::Signals;
use crate::cli::stdio;
use crate::fetch::Fetcher;

/// No wait is longer: a signal that falls between the look at its flag and the wait must not stay
/// unseen.
const MOST: Duration = Duration::from_millis(250);
/// What is under way when it is called off has this long to end.
const GRACE: Duration = Duration::from_millis(900);

/// Why the loop came to its end.
#[derive(Debug, Default)]
pub struct Ended {
    pub signal: Option<i32>,
    /// Why it ended before its time.
    pub why: Option<String>,
    /// A list that can't be read on, or is another one.
    pub usage: Option<String>,
}

/// Bounds of a batch.
#[derive(Clone, Copy, Default)]
pub struct Bounds {
    pub deadline: Option<Instant>,
    pub max_failures: Option<u64>,
    /// One after another.
    pub alone: bool,
    pub fail_early: bool,
    pub window: usize,
}

/// Feeds the fetcher until all is done.
pub fn drive(
    fetcher: &mut Fetcher,
    feed: &mut Feed,
    desk: &mut Desk,
    progress: &mut Progress,
    signals: &Signals,
    bounds: Bounds,
) -> Ended {
    let mut ended = Ended::default();
    let mut feeding = true;
    let mut called_off: Option<Instant> = None;
    let mut clump = Clump::default();
    let mut found = Found::default();
    fetcher.reach_ahead();
    loop {
        let now = Instant::now();
        let end =
            if called_off.is_some() { None } else { reason_to_end(desk, &bounds, signals, now) };
        if let Some((signal, why)) = end {
            ended.signal = signal;
            ended.why = Some(why);
            feeding = false;
            called_off = Some(now);
            desk.called_off = true;
            fetcher.cancel_all();
        }
        let mut starved = false;
        desk.round = None;
        let mut begun = false;
        feed.begin_round(&room(desk, &bounds, now), &desk.jobs, fetcher);
        while feeding
            && fetcher.reaches(feed.aside().map_or(0, Aside::idle)) > 0
            && desk.jobs.in_flight() < bounds.window
            && (desk.lines_held < desk.held.lines || desk.jobs.in_flight() == 0)
            && desk.feed_due(now).is_ok()
            && !(bounds.alone && desk.jobs.in_flight() > 0)
        {
            let room = room(desk, &bounds, now);
            match feed.step(desk, &room) {
                Step::Job(index) => match fetcher.submit(&feed.request) {
                    Ok(ticket) => {
                        let host = fetcher.home_of(ticket);
                        desk.jobs.begin(index, ticket, host);
                        if let Some(host) = host {
                            feed.begun(&room, &desk.jobs, fetcher, host);
                        }
                        begun = true;
                    }
                    Err(error) => {
                        let (message, hint) = (error.to_string(), advice::of(&error));
                        let early = Early {
                            kind: error.name(),
                            message: &message,
                            hint: &hint,
                            exit: error.exit().code(),
                        };
                        desk.early(index, &early);
                    }
                },
                Step::Dealt => {
                    // Perhaps one of a million that an earlier run has done.
                    desk.round = None;
                    // A list of a million bad lines must not keep the sockets waiting.
                    if desk.output.lost.is_some() || !desk.said.is_empty() {
                        break;
                    }
                }
                Step::Wait => {
                    starved = true;
                    break;
                }
                Step::Rest => break,
                Step::End => feeding = false,
                Step::Fatal(message) => {
                    ended.usage = Some(message);
                    // What waits aside was read before.
                    feed.end_lists();
                    feeding = feed.aside().is_some();
                }
                Step::Other(message) => {
                    ended.usage = Some(message);
                    // What waits aside is of the other list, too, and was not begun.
                    feeding = false;
                    // What was begun belongs to the other list; once records of it are written, the
                    // rest of it comes, too.
                    if desk.results.as_mut().is_some_and(Results::forsake) {
                        called_off = Some(now);
                        desk.called_off = true;
                        fetcher.cancel_all();
                    }
                }
            }
            if bounds.fail_early && desk.last_exit != 0 {
                break;
            }
        }
        let aside = feed.aside();
        let is_full = fetcher.wants() == 0 || desk.jobs.in_flight() >= bounds.window;
        // A row of lines that have to wait, longer than the window.
        let row = aside.is_some_and(|aside| aside.longest() >= bounds.window as u64);
        let look_at = || clump::view(fetcher, aside);
        if desk.mode == Mode::Batch
            && let Some(warning) = clump.look(now, feeding && (is_full || row), look_at)
            && !desk.display.silent
        {
            desk.said.push(format!("gannet: warning: {}", stdio::safe(&warning)));
        }
        if let Some(error) = feed.trouble().filter(|_| !desk.display.silent) {
            let folder = std::env::temp_dir();
            desk.said.push(format!(
                "gannet: warning: no file in {} (TMPDIR) for lines of hosts that have to wait: {error}; other hosts may have to wait for them, too",
                stdio::safe(&folder.to_string_lossy())
            ));
        }
        desk.speak(progress);
        if !feeding && desk.jobs.in_flight() == 0 {
            break;
        }
        if called_off.is_some_and(|since| now.duration_since(since) > GRACE) {
            break;
        }
        let mut timeout = patience(desk, progress, &bounds, now, called_off);
        if begun && feed.aside().is_some() {
            // Once the fetcher works on them, their hosts may have more.
            timeout = Duration::ZERO;
        }
        if starved {
            feed.watch(fetcher.registry());
        }
        desk.sending.watch(fetcher.registry());
        let turned = fetcher.turn(Some(timeout), desk);
        while fetcher.next_foreign().is_some() {}
        if let Err(error) = turned
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            ended.why = Some(format!("the system's poll failed: {error}"));
            break;
        }
        after_turn(fetcher, feed, desk, progress);
        if desk.mode == Mode::Batch && desk.display.verbose {
            found.look(fetcher.host_stats());
        }
    }
    desk.counts.unbegun += feed.aside().map_or(0, Aside::lines);
    ended
}

/// The window as it is now.
fn room(desk: &Desk, bounds: &Bounds, now: Instant) -> Room {
    Room {
        now,
        places: bounds.window as u64,
        taken: desk.jobs.in_flight() as u64,
        bytes: desk.held.lines,
        held: desk.lines_held,
    }
}

fn reason_to_end(
    desk: &Desk,
    bounds: &Bounds,
    signals: &Signals,
    now: Instant,
) -> Option<(Option<i32>, String)> {
    if let Some(signal) = signals.received() {
        let name = match signal {
            2 => "SIGINT".to_owned(),
            15 => "SIGTERM".to_owned(),
            1 => "SIGHUP".to_owned(),
            other => format!("signal {other}"),
        };
        return Some((Some(signal), name));
    }
    if let Some(lost) = desk.output.lost {
        return Some((None, lost.why().to_owned()));
    }
    if bounds.deadline.is_some_and(|deadline| deadline <= now) {
        return Some((None, "--deadline".to_owned()));
    }
    if bounds.max_failures.is_some_and(|most| desk.counts.failed >= most) {
        return Some((None, "--max-failures".to_owned()));
    }
    if bounds.fail_early && desk.last_exit != 0 {
        return Some((None, "--fail-early".to_owned()));
    }
    None
}

/// How long a turn may wait.
fn patience(
    desk: &Desk,
    progress: &Progress,
    bounds: &Bounds,
    now: Instant,
    called_off: Option<Instant>,
) -> Duration {
    let paused = desk.rates.due();
    let results = desk.results.as_ref().and_then(Results::due);
    let grace = called_off.map(|since| since + GRACE);
    let feed = desk.feed_due(now).err().flatten();
    let deadline = bounds.deadline.filter(|_| called_off.is_none());
    let moments = [progress.due(), results, deadline, paused, grace, feed];
    let until = moments.into_iter().flatten().min();
    until.map_or(MOST, |until| until.saturating_duration_since(now).min(MOST))
}

fn after_turn(fetcher: &mut Fetcher, feed: &Feed, desk: &mut Desk, progress: &mut Progress) {
    let now = Instant::now();
    desk.network(fetcher.offline_for());
    if let Some(results) = &mut desk.results {
        let result = results.tick(now);
        desk.results_done(result);
    }
    while let Some(ticket) = desk.sending.ready() {
        fetcher.resume(ticket);
    }
    let Desk { rates, jobs, .. } = desk;
    rates.go_on(now, |ticket| {
        if let Some(job) = jobs.of(ticket) {
            job.received.pace.go_on();
        }
        fetcher.resume(ticket);
    });
    let counts = &desk.counts;
    progress.tick(now, || {
        let mut hosts = fetcher.host_stats();
        let limit = match (hosts.next(), hosts.next()) {
            (Some(one), None) => Some(one.limit),
            _ => None,
        };
        let alone = desk.jobs.under_way().next().filter(|_| desk.mode == Mode::Transfers);
        let arriving: u64 = desk.jobs.under_way().map(|job| job.received.bytes).sum();
        State {
            done: counts.ok + counts.failed,
            failed: counts.failed,
            in_flight: u64::from(fetcher.running()),
            bytes: counts.body_bytes + arriving,
            repeats: counts.repeats,
            // Of what was read some still waits.
            read: feed.read.map(|(read, whole)| {
                let over = counts.ok + counts.failed + counts.skipped + counts.elsewhere;
                let done = u128::from(read) * u128::from(over) * 1_000_000;
                let all = u128::from(whole.max(1)) * u128::from(counts.entries.max(1));
                u64::try_from(done / all).unwrap_or(1_000_000).min(1_000_000)
            }),
            limit,
            worst: counts
                .kinds
                .iter()
                .max_by_key(|(_, count)| **count)
                .map(|(kind, count)| (kind.as_str(), *count)),
            total: alone.and_then(|job| job.head.content_length),
        }
    });
}
