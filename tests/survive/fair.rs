//! Two gannet processes against one hard limit share it.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gannet::origin::{presets, spawn};

use super::common::{Gannet, kill, wait};

/// Completed requests of both processes in a window of time, by their records.
fn share(run: Duration, window: Duration) -> (f64, [u64; 2]) {
    let server = spawn(presets::hard_limit(24)).unwrap();
    let gannets = [Gannet::new(), Gannet::new()];
    let mut children = Vec::new();
    for (number, gannet) in gannets.iter().enumerate() {
        let list: String = (0..400_000)
            .map(|n| format!("{}\n", server.url(&format!("/bytes/64?{number}.{n}"))))
            .collect();
        fs::write(gannet.path("list"), list).unwrap();
    }
    for gannet in &gannets {
        children.push(
            gannet.args(["-i", "list", "--results", "r", "--no-summary"]).spawn(Stdio::null()),
        );
        // Not at the same moment: the second meets a server that is taken.
        std::thread::sleep(Duration::from_secs(1));
    }
    let count = || gannets.each_ref().map(|gannet| lines(&gannet.path("r")));
    let begun = Instant::now();
    std::thread::sleep(run.saturating_sub(window));
    let before = count();
    std::thread::sleep(run.saturating_sub(begun.elapsed()));
    let after = count();
    for child in &mut children {
        kill(child, "TERM");
        wait(child, Duration::from_secs(20));
    }
    let done = [after[0] - before[0], after[1] - before[1]];
    let [a, b] = done.map(|count| count as f64);
    let jain = (a + b).powi(2) / (2.0 * (a * a + b * b));
    println!("Jain {jain:.3}: {done:?} requests in {window:?} of {run:?}; {:?}", server.stats());
    (jain, done)
}

fn lines(path: &std::path::Path) -> u64 {
    fs::read(path).map_or(0, |text| text.iter().filter(|&&byte| byte == b'\n').count() as u64)
}

#[test]
#[ignore = "a minute: two processes, one limit"]
fn two_processes_share_a_hard_limit() {
    let (jain, done) = share(Duration::from_secs(60), Duration::from_secs(20));
    assert!(jain >= 0.8 && done.iter().all(|&count| count > 0), "{jain}: {done:?}");
}
