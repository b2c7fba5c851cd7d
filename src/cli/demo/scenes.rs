//! What no rate shows: two that share a server, one that wants to be left alone, kills, habits.
//!
//! Each is played beside the clients of the table, by gannet alone, and said in a sentence. Owns what
//! is asked of whom; the figures are those of servers, records and summaries.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::super::signals::Signals;
use super::{Client, Report, count, null_device};
use crate::origin::presets::hard_limit_with;
use crate::origin::traffic::{Full, KeepAlive, Service, Time};
use crate::origin::{Action, Script, When, spawn};

/// One of them.
pub struct Scene {
    /// What it is called.
    pub name: &'static str,
    play: fn() -> Result<String>,
}

/// All of them.
pub const SCENES: &[Scene] = &[
    Scene { name: "two at one server, hard 24", play: two_at_one_server },
    Scene { name: "one URL says Retry-After: 3600", play: left_alone },
    Scene { name: "killed four times", play: killed },
    Scene { name: "closes after 150 ms without a request", play: idle },
];

impl Scene {
    /// Plays it; what came of it. That it can't be played is no matter of the others.
    pub fn play(&self) -> String {
        (self.play)().unwrap_or_else(|error| format!("can't be shown: {error:#}"))
    }
}

/// Files of a scene; they go with it, and with a signal.
struct Folder(PathBuf);

static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Ends at the first signal, without leaving anything behind.
pub fn heed_signals() {
    let Ok(signals) = Signals::install() else { return };
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(50));
            if let Some(signal) = signals.received() {
                // Those who write there got the same signal, and a moment to end.
                std::thread::sleep(Duration::from_millis(200));
                let folders = FOLDERS.lock().map(|folders| folders.clone()).unwrap_or_default();
                for folder in &folders {
                    let _ = fs::remove_dir_all(folder);
                }
                std::process::exit(128 + signal);
            }
        }
    });
}

impl Folder {
    fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |time| time.as_nanos());
        let name = format!("gannet-demo-{}-{now:x}-{next}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        if let Ok(mut folders) = FOLDERS.lock() {
            folders.push(path.clone());
        }
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A client that keeps its records here.
    fn resuming(&self, more: &[&str]) -> Result<Client> {
        let mut client = Client::new()?;
        client.command.arg("--results").arg(self.path("results")).arg("--resume").args(more);
        Ok(client)
    }

    /// Numbers of the URLs that are recorded as done, each as often as that.
    fn done(&self) -> Result<Vec<u64>> {
        #[derive(Deserialize)]
        struct Record {
            n: u64,
            ok: bool,
        }
        let text = fs::read_to_string(self.path("results"))?;
        let records = text.lines().map(serde_json::from_str::<Record>);
        records
            .filter_map(|record| record.map(|it| it.ok.then_some(it.n)).transpose())
            .map(|n| n.context("a record"))
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Takes so long for a request, and so many at once.
fn working(ms: u64, workers: usize) -> Script {
    let time = Time::FixedUs(ms * 1000);
    let service = Service { time, workers: Some(workers), ..Service::default() };
    Script { service: Some(service), ..Script::new() }
}

fn list(urls: impl Iterator<Item = String>) -> String {
    urls.map(|url| url + "\n").collect()
}

/// Runs a client that keeps no records.
fn run(more: &[&str], list: String) -> Result<Report> {
    let mut client = Client::new()?;
    client.command.args(["--results", null_device(), "--results-overwrite"]).args(more);
    client.run(list)
}

fn two_at_one_server() -> Result<String> {
    let service = Some(Service { time: Time::FixedUs(50_000), ..Service::default() });
    let server = spawn(Script { service, ..hard_limit_with(24, Full::ResetOnAccept) })?;
    // What it serves both of them in eight seconds.
    let urls = || list((0..1920).map(|n| server.url(&format!("/bytes/1000?{n}"))));
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| run(&[], urls()));
        let other = run(&[], urls());
        let one = one.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked")));
        Ok::<_, anyhow::Error>((one?, other?))
    })?;
    let rate = |it: &Report| it.ok as f64 / (it.wall_ms / 1000.0).max(0.001);
    let (one, other, failed) = (rate(&one), rate(&other), one.failed + other.failed);
    // Jain's index.
    let fair = (one + other).powi(2) / (2.0 * (one.powi(2) + other.powi(2))).max(0.001);
    Ok(format!("{one:.0} and {other:.0} URLs/s (fairness {fair:.2}), {failed} of 3,840 failed"))
}

fn left_alone() -> Result<String> {
    let folder = Folder::new()?;
    const URLS: u64 = 300;
    let closing = [Action::Status(429), Action::RetryAfter("3600".to_owned())];
    let rule = When::path("/bytes/1020").attempt(1);
    let sick = spawn(working(20, 8).rule(rule, closing))?;
    let well = spawn(working(20, 8))?;
    let urls = || {
        list(
            (1000..1000 + URLS)
                .flat_map(|n| [sick.url(&format!("/bytes/{n}")), well.url(&format!("/bytes/{n}"))]),
        )
    };
    folder.resuming(&[])?.run(urls())?;
    let done = folder.done()?;
    let of_well = done.iter().filter(|n| *n % 2 == 0).count();
    let asked = sick.stats().requests;
    // The server forbids it once: this is as if the hour was over.
    folder.resuming(&[])?.run(urls())?;
    Ok(format!(
        "that host was asked for {asked} of {URLS} URLs, {of_well} of {URLS} of another host arrived; --resume, as after that hour, \
         fetched the rest: {} of {}",
        folder.done()?.len(),
        2 * URLS
    ))
}

fn killed() -> Result<String> {
    let folder = Folder::new()?;
    const URLS: u64 = 2_000;
    let server = spawn(working(20, 16))?;
    let urls = || list((0..URLS).map(|n| server.url(&format!("/bytes/{}", 1000 + n))));
    let out = folder.path("out");
    let keeping = || -> Result<Client> {
        let mut client = folder.resuming(&["-o", "{n}", "--output-dir"])?;
        client.command.arg(&out);
        Ok(client)
    };
    for after in [500, 900, 1300, 400] {
        keeping()?.kill(urls(), Duration::from_millis(after))?;
    }
    keeping()?.run(urls())?;
    let done = folder.done()?;
    let numbers: HashSet<u64> = done.iter().copied().collect();
    let whole = (1..=URLS).filter(|n| is_long(&out.join(n.to_string()), 999 + n)).count();
    Ok(format!(
        "{} records of {} URLs, {} whole files, {} fetched twice",
        count(done.len() as u64),
        count(numbers.len() as u64),
        count(whole as u64),
        server.stats().answers.saturating_sub(URLS)
    ))
}

fn is_long(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.len() == bytes)
}

fn idle() -> Result<String> {
    let keep_alive = KeepAlive { idle_ms: Some(150), ..KeepAlive::default() };
    let server = spawn(Script { keep_alive, ..working(5, 8) })?;
    let urls = list((0..45).map(|n| server.url(&format!("/bytes/{}", 1000 + n))));
    // As often as it closes.
    let report = run(&["--rate-per-host", "20/3s"], urls)?;
    let stale: u64 = report.hosts.iter().map(|host| host.stale).sum();
    Ok(format!(
        "asked every 150 ms, {stale} of 45 requests met a closed connection, and {} failed",
        report.failed
    ))
}
