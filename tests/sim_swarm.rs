//! The swarm: thousands of worlds, each drawn by a seed.
//!
//! `GANNET_SEEDS=20000` runs more of them, `SEED=n` one alone (and prints what it drew).

use gannet::sim::swarm;

/// Seeds of a plain `cargo test`.
const SEEDS: u64 = 3_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one seed; panics are told with it.
fn run(
    seed: u64,
    world: impl Fn(u64) -> Result<swarm::Summary, swarm::Violation>,
) -> Result<swarm::Summary, String> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world(seed)));
    match result {
        Ok(result) => result.map_err(|violation| violation.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into()));
            Err(format!("seed {seed} panicked: {}", text.unwrap_or_default()))
        }
    }
}

#[test]
fn every_world_heals() {
    if let Some(seed) = number("SEED") {
        println!("{}", swarm::describe(seed, false));
        println!("{:?}", run(seed, swarm::narrate).unwrap_or_else(|what| panic!("{what}")));
        return;
    }
    let seeds = number("GANNET_SEEDS").unwrap_or(SEEDS);
    let (mut jobs, mut arrived, mut requests, mut faults, mut reused) = (0, 0, 0, 0, 0);
    let mut failed = Vec::new();
    let mut longest = (std::time::Duration::ZERO, 0);
    let mut slowest = (std::time::Duration::ZERO, 0);
    for seed in 0..seeds {
        let start = std::time::Instant::now();
        let result = run(seed, swarm::run);
        slowest = slowest.max((start.elapsed(), seed));
        match result {
            Ok(summary) => {
                jobs += summary.jobs;
                arrived += summary.arrived;
                requests += summary.requests;
                faults += summary.faults;
                reused += summary.reused;
                longest = longest.max((summary.recovered_in, seed));
            }
            Err(what) => failed.push(what),
        }
        if failed.len() >= 10 {
            break;
        }
    }
    println!(
        "{seeds} seeds: {jobs} jobs, {arrived} arrived, {requests} requests, {reused} of \
         them on kept connections, {faults} faults met; the slowest took {slowest:?}, \
         the longest recovery {longest:?}"
    );
    for what in &failed {
        println!("{what}\nagain: SEED=n cargo test --test sim_swarm\n");
    }
    assert!(failed.is_empty(), "{} worlds broke a rule; the first: {}", failed.len(), failed[0]);
}

#[test]
fn the_same_seed_leaves_the_same_trace() {
    for seed in 0..100 {
        let (one, other) = (run(seed, swarm::run), run(seed, swarm::run));
        assert_eq!(one, other, "seed {seed}");
    }
}
