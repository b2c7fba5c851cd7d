//! The two ways to run, over one fetcher.
//!
//! | module | owns |
//! |---|---|
//! | `batch`, `transfers` | what each of the two makes ready, and how it ends |
//! | `drive` | the loop and what ends it |
//! | `setup`, `memory` | the fetcher's options, and what may be held at once |
//! | `feed` | what to fetch next |
//! | `desk`, `jobs`, `job`, `verdict`, `kind` | what happens to each URL, what its answer means, why it failed |
//! | `output`, `sending`, `rates` | where bodies go, where they come from, how fast |
//! | `tell`, `watch`, `clump`, `proxies` | what is said |
//!
//! Here is what both ways share: the setting of a run, and its end. One thread.

mod advice;
mod batch;
mod clump;
mod desk;
mod drive;
mod feed;
mod found;
mod interface;
mod job;
mod jobs;
mod kind;
mod memory;
mod output;
mod proxies;
mod rates;
mod sending;
mod setup;
mod tell;
mod transfers;
mod verdict;
mod watch;

use std::time::Instant;

use desk::Desk;
use drive::Ended;
use jobs::Jobs;
use output::{Lost, Output};
use proxies::Proxies;
use rates::Rates;
use sending::Sending;
use setup::Refusal;
use watch::Shared as Watch;

use super::exit::{BatchEnd, Exit};
use super::plan::{Display, Engine, Keep, Mode, Plan, Records, Way};
use super::progress::{Above, Progress};
use super::record::Writer;
use super::results::Results;
use super::signals::Signals;
use super::sink::Files;
use super::stdio::{self, Stdout};
use super::summary::{self, Counts, Summary};
use crate::fetch::{Fetcher, Options};

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
    let mut setting = Setting {
        display,
        records,
        warnings,
        proxies: Proxies::of(|name| std::env::var(name).ok()),
        signals,
        begun: Instant::now(),
    };
    let result = match way {
        // A batch has its own codes: what can't be begun is a matter of usage, or of writing here.
        Way::Batch(batch) => batch::run(*batch, &mut setting).map_err(|refusal| Refusal {
            exit: if refusal.exit == Exit::WRITE { Exit::WRITE } else { Exit::USAGE },
            ..refusal
        }),
        Way::Transfers(transfers) => transfers::run(transfers, &mut setting),
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
    /// Until it was said that they are not used.
    proxies: Option<Proxies>,
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
        &mut self,
        keep: &Keep,
        engine: &Engine,
        results: Option<Results>,
        held: memory::Bounds,
        mode: Mode,
    ) -> Desk {
        let files = Files::new(keep.existing, keep.create_dirs || mode == Mode::Batch, keep.fsync);
        Desk {
            jobs: Jobs::default(),
            output: Output::new(
                files,
                held.bodies,
                mode == Mode::Transfers && stdio::stdout_is_terminal(),
            ),
            rates: Rates::new(engine.limit_rate, engine.limit_rate_total),
            sending: Sending::default(),
            records: self.records.clone(),
            results,
            writer: Writer::default(),
            counts: Counts::default(),
            display: self.display,
            mode,
            said: Vec::new(),
            above: Above::default(),
            last_exit: 0,
            called_off: false,
            transfers: 0,
            family: engine.ip,
            insecure: engine.insecure,
            watch: None,
            offline: None,
            proxies: self.proxies.take(),
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
        let whole = ended.usage.is_none() && ended.why.is_none();
        let result = if whole { results.touch() } else { Ok(()) };
        let result = result.and_then(|()| results.flush());
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
        ended: ended.why.as_deref().or(desk.output.lost.map(Lost::why)),
        colour: stdio::colours(setting.display.color),
    };
    if desk.mode == Mode::Batch && setting.display.summary && desk.output.lost != Some(Lost::Reader)
    {
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
