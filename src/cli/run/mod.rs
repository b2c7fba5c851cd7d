//! The two ways to run, over one fetcher: feed it while it wants more, turn, say what happened.
//!
//! Owns the loop and what ends it: the end of the list, a signal, a deadline, too many failures, a
//! reader that has gone. One thread; nothing here waits but the turn itself and, for a slow list,
//! the wait for standard input beside it.

mod clump;
mod desk;
mod feed;
mod job;
mod memory;
mod output;
mod rates;
mod sending;
mod setup;
mod tell;
mod verdict;
mod watch;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use desk::Desk;
use feed::{BatchEntries, Common, Feed, Step, TransferEntries};
use output::Output;
use rates::Rates;
use sending::Sending;
use setup::Refusal;
use tell::Early;
use watch::Shared as Watch;

use super::exit::{BatchEnd, Exit};
use super::input::Entry;
use super::plan::{
    Batch, Continue, Display, Engine, Group, Hosts, Keep, List, Plan, Records, Transfers, Way,
    Where,
};
use super::progress::{Above, Progress, State};
use super::record::Writer;
use super::results::{Done, Results};
use super::signals::Signals;
use super::sink::Files;
use super::stdio::{self, Stdout};
use super::summary::{self, Counts, Summary};
use super::values::When;
use crate::base::Number;
use crate::fetch::{Fetcher, Options};

/// No wait is longer: a signal that falls between the look at its flag and the wait must not stay
/// unseen.
const MOST: Duration = Duration::from_millis(250);
/// What is under way when it is called off has this long to end.
const GRACE: Duration = Duration::from_millis(900);
/// The clock that stamps files may lag by so much.
const FILE_CLOCK: Duration = Duration::from_millis(15);
/// Hosts of the JSON summary.
const MOST_HOSTS: usize = 1000;

/// Carries out a plan.
pub fn run(plan: Plan) -> Exit {
    let Plan { way, display, records, warnings } = plan;
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            say_line!("gannet: signals can't be handled: {error}");
            return Exit::USAGE;
        }
    };
    let mut setting = Setting { display, records, warnings, signals, begun: Instant::now() };
    proxy_warning(&mut setting.warnings);
    let result = match way {
        // A batch has its own codes: what can't be begun is a matter of usage, or of writing here.
        Way::Batch(batch) => self::batch(*batch, &mut setting).map_err(|refusal| Refusal {
            exit: if refusal.exit == Exit::WRITE { Exit::WRITE } else { Exit::USAGE },
            ..refusal
        }),
        Way::Transfers(transfers) => self::transfers(transfers, &mut setting),
    };
    result.unwrap_or_else(|refusal| {
        setting.warn();
        if setting.display.errors {
            let message = stdio::safe(&refusal.message);
            if refusal.exit == Exit::USAGE {
                say_line!("gannet: {message}");
            } else {
                say_line!("gannet: ({}) {message}", refusal.exit.code());
            }
        }
        refusal.exit
    })
}

/// What holds for the whole run.
struct Setting {
    display: Display,
    records: Records,
    warnings: Vec<String>,
    signals: Signals,
    begun: Instant,
}

impl Setting {
    /// Says the warnings that have gathered.
    fn warn(&mut self) {
        let word = stdio::painted(stdio::colours(self.display.color), stdio::Tone::Odd, "warning:");
        for warning in self.warnings.drain(..) {
            if !self.display.silent {
                say_line!("gannet: {word} {}", stdio::safe(&warning));
            }
        }
    }

    fn desk(
        &self,
        keep: &Keep,
        engine: &Engine,
        results: Option<Results>,
        held: memory::Bounds,
        batch: bool,
    ) -> Desk {
        let files = Files::new(keep.existing, keep.create_dirs || batch, keep.fsync);
        Desk {
            jobs: Vec::new(),
            blank: None,
            free: Vec::new(),
            tickets: Vec::new(),
            output: Output::new(files, held.bodies),
            rates: Rates::new(engine.limit_rate, engine.limit_rate_total),
            sending: Sending::default(),
            records: self.records.clone(),
            results,
            writer: Writer::default(),
            counts: Counts::default(),
            display: self.display,
            batch,
            said: Vec::new(),
            above: Above::default(),
            last_exit: 0,
            called_off: false,
            transfers: 0,
            insecure: engine.insecure,
            watch: None,
            offline: None,
            held,
            lines_held: 0,
            round: None,
        }
    }

    /// What may be held, `--max-memory` worked into the fetcher's options.
    fn held(
        &mut self,
        engine: &Engine,
        options: &mut Options,
        window: u32,
    ) -> Result<memory::Bounds, Refusal> {
        let Some(memory) = engine.max_memory else { return Ok(memory::Bounds::usual(window)) };
        let record_body = self.records.body.map(|_| self.records.body_max);
        let held = memory::fit(memory, options, window, record_body, &mut self.warnings).map_err(
            |least| Refusal {
                exit: Exit::USAGE,
                message: format!(
                    "--max-memory {memory} is too little for this: it takes at least {}M",
                    least >> 20
                ),
            },
        )?;
        options.engine.max_jobs = held.window;
        Ok(held)
    }
}

/// Proxies are for a later version; who relies on one should know.
fn proxy_warning(warnings: &mut Vec<String>) {
    let names = ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    if let Some(name) =
        names.iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    {
        warnings.push(format!(
            "{name} is set, but gannet does not use proxies yet: it connects directly"
        ));
    }
}

/// Lets somebody look on at the connections of a new fetcher.
fn look_on(fetcher: &mut Fetcher, watch: &Watch, engine: &Engine) -> Result<(), Refusal> {
    if let Some(folder) = &engine.record_wire {
        std::fs::create_dir_all(folder).map_err(|error| Refusal {
            exit: Exit::WRITE,
            message: format!("can't make the folder {}: {error}", folder.display()),
        })?;
    }
    fetcher.set_tap(Some(watch.tap(engine.record_wire.clone())));
    Ok(())
}

/// Why the loop came to its end.
#[derive(Debug, Default)]
struct Ended {
    signal: Option<i32>,
    /// Why it ended before its time.
    why: Option<String>,
    /// A list that can't be read on, or is another one.
    usage: Option<String>,
}

/// Bounds of a batch.
#[derive(Clone, Copy, Default)]
struct Bounds {
    deadline: Option<Instant>,
    max_failures: Option<u64>,
    /// One after another.
    alone: bool,
    fail_early: bool,
    window: usize,
}

/// Feeds the fetcher until all is done.
fn drive(
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
    let mut watched = false;
    let mut clump = clump::Clump::default();
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
        while feeding
            && fetcher.reaches() > 0
            && desk.in_flight() < bounds.window
            && (desk.lines_held < desk.held.lines || desk.in_flight() == 0)
            && desk.feed_due(now).is_ok()
            && !(bounds.alone && desk.in_flight() > 0)
        {
            match feed.step(desk) {
                Step::Job(index) => match fetcher.submit(&feed.request) {
                    Ok(ticket) => desk.tickets[index] = Some(ticket),
                    Err(error) => {
                        let message = error.to_string();
                        let early = Early {
                            kind: error.name(),
                            message: &message,
                            hint: error.hint().unwrap_or(""),
                            exit: error.exit().code(),
                        };
                        desk.early(index, &early);
                    }
                },
                Step::Dealt => {
                    // Perhaps one of a million that an earlier run has done.
                    desk.round = None;
                    // A list of a million bad lines must not keep the sockets waiting.
                    if desk.output.closed || !desk.said.is_empty() {
                        break;
                    }
                }
                Step::Wait => {
                    starved = true;
                    break;
                }
                Step::End => feeding = false,
                Step::Fatal(message) => {
                    ended.usage = Some(message);
                    feeding = false;
                }
            }
            if bounds.fail_early && desk.last_exit != 0 {
                break;
            }
        }
        let full = feeding && (fetcher.wants() == 0 || desk.in_flight() >= bounds.window);
        if desk.batch
            && let Some(warning) = clump.look(now, full, || clump::fullest(fetcher.host_stats()))
            && !desk.display.silent
        {
            desk.said.push(format!("gannet: warning: {}", stdio::safe(&warning)));
        }
        desk.speak(progress);
        if !feeding && desk.in_flight() == 0 {
            break;
        }
        if called_off.is_some_and(|since| now.duration_since(since) > GRACE) {
            break;
        }
        let timeout = patience(desk, progress, &bounds, now, called_off);
        if starved {
            feed.watch(fetcher.registry());
        }
        if !watched && desk.sending.waits() {
            watched = true;
            super::wait::watch_stdin(fetcher.registry());
        }
        let turned = fetcher.turn(Some(timeout), desk);
        while fetcher.next_foreign().is_some() {}
        if let Err(error) = turned
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            ended.why = Some(format!("the system's poll failed: {error}"));
            break;
        }
        after_turn(fetcher, feed, desk, progress);
    }
    ended
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
    if desk.output.closed {
        return Some((None, "the output is closed".to_owned()));
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
    if let Some(ticket) = desk.sending.ready() {
        fetcher.resume(ticket);
    }
    let Desk { rates, jobs, tickets, .. } = desk;
    rates.go_on(now, |ticket| {
        let index = ticket.tag as usize;
        if tickets.get(index).copied().flatten() == Some(ticket) {
            jobs[index].pace.paused = false;
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
        let alone = desk.jobs.iter().find(|job| job.is_taken()).filter(|_| !desk.batch);
        let arriving: u64 =
            desk.jobs.iter().filter(|job| job.is_taken()).map(|job| job.received).sum();
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
            total: alone.and_then(|job| job.content_length),
        }
    });
}

fn batch(batch: Batch, setting: &mut Setting) -> Result<Exit, Refusal> {
    let Batch {
        lists,
        ask,
        keep,
        engine,
        window,
        shard,
        auth_hosts,
        deadline,
        max_failures,
        exit_zero,
        max_line,
    } = batch;
    let usage = |message: String| Refusal { exit: Exit::USAGE, message };
    let done = match (&setting.records.resume, &setting.records.results) {
        (Some(resume), Some(path)) => {
            Some(Done::read(path, resume).map_err(|unusable| Refusal {
                exit: if unusable.local { Exit::WRITE } else { Exit::USAGE },
                message: unusable.message,
            })?)
        }
        _ => None,
    };
    if let Some(done) = &done {
        if done.mended {
            setting.warnings.push("the last record was torn; it is mended".to_owned());
        }
        if done.again > 0 && !setting.display.silent {
            let urls = Number(
                done.again,
                "URL of the earlier run is fetched again",
                "URLs of the earlier run are fetched again",
            );
            setting.warnings.push(urls.to_string());
        }
    }
    // Hours later would be too late.
    if let Some(path) = setting.records.summary.as_deref().filter(|path| path.as_os_str() != "-")
        && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
        && !folder.is_dir()
    {
        return Err(usage(format!(
            "can't write the summary to {}: there is no folder {}",
            path.display(),
            folder.display()
        )));
    }
    let bodies_on_stdout = keep.output == Where::Stdout;
    let results = Results::open(
        &setting.records,
        !bodies_on_stdout && setting.records.summary.as_deref() != Some("-".as_ref()),
        keep.fsync,
    )
    .map_err(usage)?;
    let netrc = ask.netrc.clone();
    let files = keep.output != Where::Nowhere;
    let warnings = &mut setting.warnings;
    let mut options = setup::options(&engine, netrc.as_ref(), window, files, warnings)?;
    let held = setting.held(&engine, &mut options, window)?;
    let mut fetcher = Fetcher::new(options)?;
    if keep.output == Where::Nowhere
        && !setting.records.sha256
        && setting.records.body.is_none()
        && results.as_ref().is_some_and(|results| results.columns)
    {
        setting
            .warnings
            .push("bodies are not kept (-o TEMPLATE or --output-dir keeps them)".to_owned());
    }
    setting.warn();
    let read = sizes(&lists);
    if setting.records.resume.is_some() {
        // A file of a run that was killed a moment ago must not pass for one of this run.
        std::thread::sleep(FILE_CLOCK);
    }
    let go_on = setting.records.resume.is_some() || ask.resume == Continue::Auto;
    let mut desk = setting.desk(&keep, &engine, results, held, true);
    let common = Common::new(ask, keep, auth_hosts, true).map_err(usage)?;
    let constant = common
        .terms
        .template
        .as_ref()
        .is_some_and(super::template::Template::is_constant)
        .then_some(0);
    let mut feed = Feed::batch(
        BatchEntries {
            common,
            lists: lists.into_iter().collect::<VecDeque<List>>(),
            lines: None,
            glob: None,
            entry: Entry::default(),
            shard,
            done,
            max_line,
            go_on,
            constant,
        },
        read,
    );
    if setting.display.verbose || engine.record_wire.is_some() {
        let watch = Watch::new(setting.display.verbose);
        look_on(&mut fetcher, &watch, &engine)?;
        desk.watch = Some(watch);
    }
    let progress = if setting.display.verbose && setting.display.progress == When::Auto {
        When::Never
    } else {
        setting.display.progress
    };
    let mut progress = Progress::new(progress, Instant::now());
    let deadline = deadline.map(|time| setting.begun + time);
    deadline.into_iter().for_each(stdio::heed_deadline);
    let bounds =
        Bounds { deadline, max_failures, window: held.window as usize, ..Bounds::default() };
    let ended = drive(&mut fetcher, &mut feed, &mut desk, &mut progress, &setting.signals, bounds);
    let end = BatchEnd {
        signal: ended.signal,
        usage: ended.usage.is_some(),
        failed: if exit_zero { 0 } else { desk.counts.failed },
        // What was not done is no failure of a URL, nor is it what was asked for.
        early: ended.why.is_some(),
        local_failed: false,
    };
    Ok(close(setting, &mut desk, &fetcher, progress, &ended, end))
}

/// Flushes, sums up, and says how it ends.
fn close(
    setting: &mut Setting,
    desk: &mut Desk,
    fetcher: &Fetcher,
    mut progress: Progress,
    ended: &Ended,
    mut end: BatchEnd,
) -> Exit {
    if let Some(results) = &mut desk.results {
        let result = results.flush();
        desk.results_done(result);
    }
    if let Some(message) = desk.watch.as_ref().and_then(|watch| watch.borrow().failed.take()) {
        desk.output.failed = true;
        desk.said.push(format!("gannet: {message}"));
    }
    desk.speak(&progress);
    progress.clear();
    if let Some(message) = &ended.usage
        && setting.display.errors
    {
        say_line!("gannet: {}", stdio::safe(message));
    }
    desk.counts.parts = (
        desk.output.files.left.0,
        desk.output.files.left.1.iter().map(|path| path.display().to_string()).collect(),
    );
    if desk.counts.entries == 0 && ended.usage.is_none() && ended.why.is_none() {
        desk.counts.notes.push("the list is empty".to_owned());
    }
    let summary = Summary {
        counts: &desk.counts,
        hosts: summary::worst(fetcher.host_stats(), &desk.counts, MOST_HOSTS),
        shared: summary::most_shared(fetcher.address_stats(), MOST_HOSTS),
        wall: setting.begun.elapsed(),
        cpu: stdio::cpu_time(),
        ended: ended.why.as_deref(),
        colour: stdio::colours(setting.display.color),
    };
    if desk.batch && setting.display.summary && !desk.output.closed {
        say!("{}", stdio::wrapped(&summary.text(), stdio::stderr_width()));
    }
    if let Some(path) = &setting.records.summary {
        use std::io::Write;
        let json = summary.json();
        let written = if path.as_os_str() == "-" {
            Stdout.write_all(&json)
        } else {
            std::fs::write(path, &json)
        };
        if let Err(error) = written {
            desk.output.failed = true;
            if setting.display.errors {
                say_line!("gannet: can't write the summary to {}: {error}", path.display());
            }
        }
    }
    end.local_failed = desk.output.failed;
    end.exit()
}

/// Bytes of all lists, if they are files.
fn sizes(lists: &[List]) -> Option<(u64, u64)> {
    let mut whole = 0;
    for list in lists {
        match list {
            List::File(path) => {
                let meta = std::fs::metadata(path).ok()?;
                if !meta.is_file() {
                    return None;
                }
                whole += meta.len();
            }
            List::Stdin | List::Url(_) => return None,
        }
    }
    Some((0, whole))
}

fn transfers(transfers: Transfers, setting: &mut Setting) -> Result<Exit, Refusal> {
    let Transfers { groups, parallel, fail_early } = transfers;
    let usage = |message: String| Refusal { exit: Exit::USAGE, message };
    let fsync = groups.iter().any(|group| group.keep.fsync);
    let mut results = Results::open(&setting.records, false, fsync).map_err(usage)?;
    let mut exit = 0;
    let mut counts = Counts::default();
    let mut number = 0;
    let mut further = 0;
    let mut transfers_done = 0;
    let mut signal = None;
    let mut last: Option<(Engine, Fetcher, memory::Bounds)> = None;
    // One for all groups: a later one may use the connections of those before it, and no two
    // connections of a run have the same number.
    let watched = groups
        .iter()
        .any(|group| group.engine.record_wire.is_some() || group.keep.write_out.is_some())
        || (groups.len() > 1 && results.is_some());
    let watch = (watched || setting.display.verbose).then(|| Watch::new(setting.display.verbose));
    let mut groups = groups.into_iter().peekable();
    while let Some(group) = groups.next() {
        // Groups that connect in the same way share connections, and with -Z their time.
        let Group { targets, mut ask, keep, engine } = group;
        ask.profile.attempts = Some(engine.attempts);
        let (mut fetcher, held) = match last.take() {
            Some((earlier, mut fetcher, held)) if earlier.connects_like(&engine) => {
                // What there is to warn of was said for the first of them.
                let said = &mut Vec::new();
                fetcher.set_rules(&setup::options(&engine, ask.netrc.as_ref(), 4096, true, said)?);
                (fetcher, held)
            }
            _ => {
                let warnings = &mut setting.warnings;
                let mut options =
                    setup::options(&engine, ask.netrc.as_ref(), 4096, true, warnings)?;
                let held = setting.held(&engine, &mut options, 4096)?;
                let mut fetcher = Fetcher::new(options)?;
                if let Some(watch) = &watch {
                    look_on(&mut fetcher, watch, &engine)?;
                }
                (fetcher, held)
            }
        };
        setting.warn();
        let mut desk = setting.desk(&keep, &engine, results.take(), held, false);
        desk.counts = counts;
        desk.transfers = transfers_done;
        desk.last_exit = exit;
        desk.watch.clone_from(&watch);
        let netrc = ask.netrc.clone();
        let first = Common::new(ask, keep, Hosts::All, false).map_err(usage)?;
        for unknown in first.terms.format.iter().flat_map(|format| &format.unknown) {
            setting.warnings.push(format!("unknown variable in -w: '{unknown}'"));
        }
        let mut commons = vec![Rc::new(first)];
        // A line among the bodies on a terminal helps nobody.
        let quiet = setting.display.verbose
            || setting.display.progress == When::Auto
                && stdio::stdout_is_terminal()
                && targets.iter().any(|target| target.output == Where::Stdout);
        let mut all: VecDeque<_> = targets.into_iter().map(|target| (0, target)).collect();
        while parallel
            && let Some(next) =
                groups.next_if(|next| next.engine == engine && next.ask.netrc == netrc)
        {
            let at = commons.len();
            let mut next = next;
            next.ask.profile.attempts = Some(next.engine.attempts);
            all.extend(next.targets.into_iter().map(|target| (at, target)));
            commons
                .push(Rc::new(Common::new(next.ask, next.keep, Hosts::All, false).map_err(usage)?));
        }
        setting.warn();
        let entries =
            TransferEntries { commons, targets: all, glob: None, lines: None, parallel, further };
        let mut feed = Feed::transfers(entries);
        feed.n = number;
        let mut progress = Progress::new(
            if quiet { When::Never } else { setting.display.progress },
            Instant::now(),
        );
        desk.above = progress.above();
        let bounds = Bounds {
            alone: !parallel,
            fail_early,
            window: held.window as usize,
            ..Bounds::default()
        };
        let ended =
            drive(&mut fetcher, &mut feed, &mut desk, &mut progress, &setting.signals, bounds);
        progress.clear();
        if let Some(message) = &ended.usage {
            desk.last_exit = 26;
            if setting.display.errors {
                say_line!("gannet: {}", stdio::safe(message));
            }
        }
        number = feed.n;
        further = feed.further();
        exit = desk.last_exit;
        signal = ended.signal;
        let stop = ended.why.is_some();
        if groups.peek().is_none() || stop {
            desk.last_exit = exit;
            let end = BatchEnd::default();
            let closed = close(setting, &mut desk, &fetcher, progress, &ended, end);
            if closed != Exit::SUCCESS && exit == 0 {
                exit = closed.code();
            }
            break;
        }
        counts = std::mem::take(&mut desk.counts);
        transfers_done = desk.transfers;
        results = desk.results.take();
        last = Some((engine, fetcher, held));
    }
    Ok(match signal {
        Some(number) => Exit::signal(number),
        None => Exit::curl(exit),
    })
}
