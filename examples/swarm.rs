//! Runs the swarm of the simulator: as many seeds as you like, on all processors.
//!
//! ```sh
//! cargo run --release --features sim --example swarm -- 1000000          # seeds 0 to 999,999
//! cargo run --release --features sim --example swarm -- 1000 5000000     # from another first seed on
//! ```
//!
//! A seed that breaks a rule is printed; `SEED=n cargo test --test sim_swarm every -- --nocapture`
//! replays it alone and tells what happens, call by call.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gannet::sim::swarm;

/// What all seeds came to.
#[derive(Default)]
struct Totals {
    next: AtomicU64,
    jobs: AtomicU64,
    arrived: AtomicU64,
    requests: AtomicU64,
    reused: AtomicU64,
    faults: AtomicU64,
    hours: AtomicU64,
    failed: AtomicU64,
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(count)), first) = (numbers.next(), numbers.next().and_then(Result::ok)) else {
        eprintln!("usage: swarm COUNT [FIRST-SEED]");
        return ExitCode::from(2);
    };
    let first = first.unwrap_or(0);
    let totals = Totals::default();
    let start = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(&totals, first, count));
        }
    });
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (requests, reused) = (get(&totals.requests), get(&totals.reused));
    println!(
        "{count} seeds in {:.1?}: {} jobs, {} of them arrived, {requests} requests ({reused} on kept \
         connections), {} faults met, {} hours of virtual time, {} broke a rule",
        start.elapsed(),
        get(&totals.jobs),
        get(&totals.arrived),
        get(&totals.faults),
        get(&totals.hours) / 3_600,
        get(&totals.failed),
    );
    if get(&totals.failed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(totals: &Totals, first: u64, count: u64) {
    loop {
        let n = totals.next.fetch_add(1, Ordering::Relaxed);
        if n >= count {
            return;
        }
        match swarm::run(first + n) {
            Ok(summary) => {
                let add = |counter: &AtomicU64, n: u64| counter.fetch_add(n, Ordering::Relaxed);
                add(&totals.jobs, summary.jobs as u64);
                add(&totals.arrived, summary.arrived as u64);
                add(&totals.requests, summary.requests as u64);
                add(&totals.reused, summary.reused);
                add(&totals.faults, summary.faults);
                add(&totals.hours, summary.took.as_secs());
            }
            Err(violation) => {
                totals.failed.fetch_add(1, Ordering::Relaxed);
                println!("{violation}");
            }
        }
    }
}
