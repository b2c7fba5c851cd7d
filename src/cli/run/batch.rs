//! A batch: lists of URLs, records, one summary at the end.
//!
//! Owns the order in which a batch is made ready, so that what can't work is said before the first
//! request: earlier records, the summary's place, results, the fetcher. Its exit codes are a batch's
//! own (`exit`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::drive::{Bounds, drive};
use super::feed::{Aside, BatchEntries, Common, Feed};
use super::setup::{self, Refusal};
use super::watch::{Interest, Shared as Watch};
use super::{Setting, close, look_on};
use crate::base::Number;
use crate::cli::earlier::Done;
use crate::cli::entry::Entry;
use crate::cli::exit::{BatchEnd, Exit};
use crate::cli::kept::Kept;
use crate::cli::plan::{Batch, Continue, List, Mode, Where};
use crate::cli::progress::Progress;
use crate::cli::results::{Form, Results};
use crate::cli::stdio;
use crate::cli::template::Template;
use crate::cli::values::When;
use crate::fetch::Fetcher;

/// The clock that stamps files may lag by so much.
const FILE_CLOCK: Duration = Duration::from_millis(15);

/// Fetches all that the lists name.
pub fn run(batch: Batch, setting: &mut Setting) -> Result<Exit, Refusal> {
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
    let mut done = earlier(setting)?;
    check_summary(setting).map_err(usage)?;
    let bodies_on_stdout = keep.output == Where::Stdout;
    let mut results = Results::open(
        &setting.records,
        !bodies_on_stdout && setting.records.summary.as_deref() != Some("-".as_ref()),
        keep.fsync,
    )
    .map_err(usage)?;
    if let (Some(results), Some(done)) = (&mut results, &mut done) {
        results.go_on(done.instead.take());
    }
    let netrc = ask.netrc.clone();
    let files = keep.output != Where::Nowhere;
    let warnings = &mut setting.warnings;
    let mut options = setup::options(&engine, netrc.as_ref(), window, files, warnings)?;
    let held = setting.held(&engine, &mut options, window)?;
    let mut fetcher = Fetcher::new(options)?;
    if keep.output == Where::Nowhere
        && !setting.records.sha256
        && setting.records.body.is_none()
        && results.as_ref().is_some_and(|results| results.form == Form::Columns)
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
    let mut desk = setting.desk(&keep, &engine, results, held, Mode::Batch);
    desk.output.resumes = setting.records.resume.is_some();
    if let (Some(resume), Some(path)) = (&setting.records.resume, &setting.records.results) {
        desk.output.files.kept = Some(Kept::new(path, resume));
    }
    let common = Common::new(ask, keep, auth_hosts, Mode::Batch).map_err(usage)?;
    let constant = common.terms.template.as_ref().is_some_and(Template::is_constant).then_some(0);
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
            aside: Aside::default(),
            raw: Vec::new(),
            ended: false,
        },
        read,
    );
    if setting.display.verbose || engine.record_wire.is_some() {
        let watch = Watch::new(Interest { lines: setting.display.verbose, ..Interest::default() });
        look_on(&mut fetcher, &watch, &engine)?;
        desk.watch = Some(watch);
    }
    let progress = if setting.display.verbose && setting.display.progress == When::Auto {
        When::Never
    } else {
        setting.display.progress
    };
    let mut progress = Progress::new(progress, setting.display.meter, Instant::now());
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

/// What an earlier run has done, if there is one to go on with.
fn earlier(setting: &mut Setting) -> Result<Option<Done>, Refusal> {
    let (Some(resume), Some(path)) = (&setting.records.resume, &setting.records.results) else {
        return Ok(None);
    };
    let done = Done::read(path, resume).map_err(|unusable| Refusal {
        exit: if unusable.local { Exit::WRITE } else { Exit::USAGE },
        message: unusable.message,
    })?;
    if done.mended {
        setting.warnings.push("the last record was torn; it is fetched again".to_owned());
    }
    let failed = |count| {
        let one = "URL of the earlier run failed and stays so";
        Number(count, one, "URLs of the earlier run failed and stay so")
    };
    let again = Number(
        done.again,
        "URL of the earlier run is fetched again",
        "URLs of the earlier run are fetched again",
    );
    // Those that stay count as done, and nothing else would tell of them.
    let not_chosen = format!(": not of {}", resume.choice());
    for (urls, why) in [
        (again, ""),
        (failed(done.left), not_chosen.as_str()),
        (failed(done.elsewhere), ": of other shards"),
    ] {
        if urls.0 > 0 && !setting.display.silent {
            setting.warnings.push(format!("{urls}{why}"));
        }
    }
    Ok(Some(done))
}

/// Whether the summary can be written in the end: hours later would be too late to say so.
fn check_summary(setting: &Setting) -> Result<(), String> {
    if let Some(path) = setting.records.summary.as_deref().filter(|path| path.as_os_str() != "-")
        && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
        && !folder.is_dir()
    {
        return Err(format!(
            "can't write the summary to {}: there is no folder {}",
            path.display(),
            folder.display()
        ));
    }
    Ok(())
}
