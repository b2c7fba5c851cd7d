//! What the adaptive limit makes of servers that nobody described to it, on real sockets.
//!
//! ```sh
//! cargo bench --bench models                  # quick: 8 s a run, a few levels beside it; some minutes
//! cargo bench --bench models -- --full        # 30 s and 8 s, every level; hours
//! cargo bench --bench models -- queue thrash  # only models whose names contain one of these
//! cargo bench --bench models -- --jobs 1      # one run at a time (default 3): for a busy machine
//! ```
//!
//! The server is the scripted one, as a process of its own; the client is the built `gannet`,
//! told nothing (and, for fixed levels, `--per-host N`). From other starts than the usual one the
//! library is driven by a process of this bench, as the command has no option for that. Distance is
//! the relay of `origin`: every byte takes half of it each way.
//!
//! For each model: goodput beside the best fixed level, the part of requests that met a refusal
//! after the first quarter of the run, and how much longer than the service time a first byte took. Of the
//! library also how many connections were turned away with no request on them, beside as many requests.

mod client;
mod serve;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client::{Got, Who};
use gannet::origin::models::{MODELS, Model};

/// How much is run.
#[derive(Clone, Copy)]
struct Extent {
    full: bool,
    jobs: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--serve") => return serve::child(&arguments[1]),
        Some("--client") => return client::child(&arguments[1..]),
        _ => {}
    }
    let mut extent = Extent { full: false, jobs: 3 };
    let mut wanted = Vec::new();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            // From cargo.
            "--bench" => {}
            "--full" => extent.full = true,
            "--jobs" => match rest.next().and_then(|number| number.parse().ok()) {
                Some(jobs) => extent.jobs = jobs,
                None => return usage(),
            },
            name if !name.starts_with('-') => wanted.push(name.to_owned()),
            _ => return usage(),
        }
    }
    let chosen = |model: &&Model| {
        let is_named = |part: &String| model.name.contains(part.as_str());
        model.levels && (wanted.is_empty() || wanted.iter().any(is_named))
    };
    let models: Vec<&Model> = MODELS.iter().filter(chosen).collect();
    println!(
        "goodput in % of the best fixed level; refused: % of requests after the first quarter; added: ms to \
         the first byte beyond the service time"
    );
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..extent.jobs.clamp(1, 8) {
            scope.spawn(|| {
                while let Some(model) = models.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (text, misses) = table(model, extent);
                    print!("{text}");
                    if let Ok(mut all) = missed.lock() {
                        all.extend(misses);
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap_or_default();
    if missed.is_empty() {
        println!("\nall goals met");
    } else {
        println!("\ngoals missed: {}", missed.join("; "));
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: cargo bench --bench models -- [--full] [--jobs N] [NAME...]");
    ExitCode::from(2)
}

/// The fixed levels to compare with.
fn levels(model: &Model, full: bool) -> Vec<u32> {
    let mut levels = match (full, model.limit) {
        (true, _) => vec![1, 2, 4, 8, 16, 32, 64, 128],
        (false, Some(limit)) => vec![limit * 2],
        (false, None) => vec![64, 128],
    };
    if let Some(limit) = model.limit {
        levels.extend([limit / 2, limit]);
        if full {
            levels.extend([limit - 1, limit + 1]);
        }
    }
    levels.sort_unstable();
    levels.dedup();
    levels
}

/// All runs of one model, and what was not as it should be.
fn table(model: &Model, extent: Extent) -> (String, Vec<String>) {
    let spans: &[u64] = if extent.full { &[30, 8] } else { &[8] };
    let mut text = format!("\n{} ({} ms)\n", model.name, model.service_ms);
    let mut missed = Vec::new();
    for &seconds in spans {
        let run = |who| client::run(model, who, Duration::from_secs(seconds));
        let fixed: Vec<(u32, Got)> = levels(model, extent.full)
            .into_iter()
            .map(|level| (level, run(Who::Fixed(level))))
            .collect();
        let best = fixed.iter().map(|(_, got)| got.ok).max().unwrap_or(0).max(1);
        let sweep: Vec<String> = fixed
            .iter()
            .map(|(level, got)| format!("{level}: {:.0}", got.ok as f64 / seconds as f64))
            .collect();
        text += &format!("  {seconds:2} s, fixed, a second   {}\n", sweep.join("  "));
        for who in [Who::Usual, Who::From(1), Who::From(128)] {
            if !model.starts && who != Who::Usual {
                continue;
            }
            let got = run(who);
            let part = got.ok as f64 * 100.0 / best as f64;
            let refused =
                got.late_refused as f64 * 100.0 / (got.late_ok + got.late_refused).max(1) as f64;
            let added = got.first_byte_ms() - model.service_ms as f64 - model.distance_ms as f64;
            let turned_away = got.late_turned_away.map_or_else(String::new, |count| {
                format!("  turned away {:5.2} %", count as f64 * 100.0 / got.late_ok.max(1) as f64)
            });
            let late = if added.is_nan() { "-".to_owned() } else { format!("{added:.1}") };
            text += &format!(
                "  {seconds:2} s, {:<10} {part:6.1} %  refused {refused:5.2} %  added {late:>6} ms{turned_away}  {}\n",
                who.name(),
                got.said
            );
            let least = if seconds >= 30 { 95.0 } else { 90.0 };
            let crowd = model.queues && added > model.service_ms as f64 * 1.5;
            if part < least || (seconds >= 30 && refused >= 0.5) || crowd {
                missed.push(format!("{} {} of {seconds} s: {part:.1} %", model.name, who.name()));
            }
        }
    }
    (text, missed)
}
