//! `gannet demo`: the trouble and the cure, without a network.
//!
//! Servers of known character, each of which bears something else, and for each a list of as many
//! URLs as it can serve in some seconds: fetched by a client as it is usually written, by gannet
//! that is told the right number of connections, and by gannet that is told nothing. Clients are
//! processes of their own, started from this very program, so that each one's CPU time is its own.
//! Nothing is staged: the servers are `origin`, gannet is `gannet -i`, and each client says its own
//! figures, but for the connections, which the servers count.

mod naive;
mod scenes;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;

use scenes::{SCENES, Scene};

use super::exit::Exit;
use super::stdio;
use crate::base::sort_by_key;
use crate::origin::models::{MODELS, Model, Served};

/// A list is what its server can serve in so many seconds.
const SECONDS: u32 = 8;
/// The naive client stops then: some servers it brings to a crawl.
const NAIVE_SECONDS: u64 = 8;
/// gannet ends by itself, and then at the latest.
const GANNET_SECONDS: u64 = 20;
/// Where a server has no limit of its own: what gannet has at most on loopback.
const CEILING: u32 = 128;

/// The first argument of the naive client's process; its seconds and the servers' addresses follow.
pub const NAIVE: &str = "--internal-demo-naive";

/// Who fetches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Naive,
    /// gannet with a fixed number of connections.
    Told,
    Gannet,
}

/// What a client has come to.
#[derive(Clone, Debug, Default)]
struct Outcome {
    urls: u64,
    ok: u64,
    /// For good. What the naive client did not reach in its time counts as neither.
    failed: u64,
    connections: u64,
    refusals: u64,
    wall: Duration,
    cpu: Duration,
    /// gannet's own words on what it found.
    said: Vec<String>,
}

/// What a client says at its end: of gannet's summary what the demo shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    ok: u64,
    failed: u64,
    wall_ms: f64,
    cpu_ms: f64,
    hosts: Vec<Host>,
    /// Of the addresses that several of them share.
    addresses: Vec<Host>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Host {
    origin: String,
    explanation: String,
    pace: Option<String>,
    fresh_resets: u64,
    open_failures: u64,
    status_429: u64,
    status_503: u64,
    stale: u64,
}

impl Outcome {
    fn per_second(&self) -> f64 {
        self.ok as f64 / self.wall.as_secs_f64().max(0.001)
    }

    /// Of all requests those that met a refusal, in percent.
    fn refused(&self) -> f64 {
        self.refusals as f64 * 100.0 / (self.ok + self.refusals).max(1) as f64
    }
}

/// Runs the demo, of all that it shows or of the servers with these words in their names.
pub fn run(words: &[std::ffi::OsString]) -> Result<Exit, String> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let names = || MODELS.iter().map(|it| it.name).chain(SCENES.iter().map(|it| it.name));
    let is_unknown = |word: &&Cow<'_, str>| !names().any(|name| name.contains(&***word));
    if let Some(word) = words.iter().find(is_unknown) {
        let names: Vec<&str> = names().collect();
        return Err(format!("the demo has no server '{word}'; it has: {}", names.join("; ")));
    }
    let is_asked_for = |name: &str, shown| {
        if words.is_empty() { shown } else { words.iter().any(|word| name.contains(&**word)) }
    };
    let models = MODELS.iter().filter(|it| is_asked_for(it.name, it.shown)).collect::<Vec<_>>();
    let scenes = SCENES.iter().filter(|it| is_asked_for(it.name, true)).collect::<Vec<_>>();
    Ok(match demo(&models, &scenes) {
        Ok(()) => Exit::SUCCESS,
        Err(error) => {
            say_line!("gannet demo: {error:#}");
            Exit::SOME_FAILED
        }
    })
}

fn demo(models: &[&Model], scenes: &[&Scene]) -> Result<()> {
    // The servers' sockets are this process's.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    scenes::heed_signals();
    if models.is_empty() {
        show!("{}", stdio::wrapped(&play(scenes).join(""), width()));
        return Ok(());
    }
    let s = if models.len() == 1 { "" } else { "s" };
    show!(
        "{}",
        stdio::wrapped(
            &format!(
                "{} server{s} on loopback, each asked for as many URLs as it can serve in {SECONDS} s: by a client as it is \
                 usually written (64 at once, a pool of 2 a host, no repeat), by gannet that is told the right number of \
                 connections, and by gannet that is told nothing. This takes some {} s, {} s at most.\n\n",
                models.len(),
                NAIVE_SECONDS + u64::from(SECONDS) + 3,
                NAIVE_SECONDS + GANNET_SECONDS + 2,
            ),
            width()
        )
    );
    let naive: Vec<_> = models.iter().map(|model| (*model, Who::Naive)).collect();
    let naive = wave("naive client", &naive)?;
    let gannet: Vec<_> =
        models.iter().flat_map(|model| [(*model, Who::Told), (*model, Who::Gannet)]).collect();
    let (gannet, played) = std::thread::scope(|scope| {
        let playing = scope.spawn(|| Ok(play(scenes)));
        (wave("gannet", &gannet), joined(playing))
    });
    let (gannet, played) = (gannet?, played?);
    show_line!("{}", HEAD.join("\n"));
    for ((model, naive), both) in models.iter().zip(&naive).zip(gannet.chunks_exact(2)) {
        if let [told, gannet] = both {
            show!("{}", rows(model, naive, told, gannet));
        }
    }
    if !played.is_empty() {
        show!("\nAnd by gannet alone:\n{}", stdio::wrapped(&played.join(""), width()));
    }
    let auto: Vec<_> = gannet.into_iter().skip(1).step_by(2).collect();
    show!("\n{}", stdio::wrapped(&totals(&naive, &auto), width()));
    Ok(())
}

/// Columns of the terminal: the table is for standard output, which is the same one or none.
fn width() -> Option<usize> {
    if std::io::stdout().is_terminal() { stdio::stderr_width() } else { Some(100) }
}

/// Runs clients side by side, each against a server of its own, and shows how they get on.
fn wave(name: &str, clients: &[(&Model, Who)]) -> Result<Vec<Outcome>> {
    let mut servers = Vec::new();
    for (model, _) in clients {
        servers.push(model.serve().with_context(|| format!("the server '{}'", model.name))?);
    }
    let urls: u64 = clients.iter().map(|(model, _)| u64::from(urls(model))).sum();
    let running = AtomicU64::new(clients.len() as u64);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let running = &running;
        let clients: Vec<_> = clients
            .iter()
            .zip(&servers)
            .map(|((model, who), server)| {
                scope.spawn(move || {
                    let outcome = client(model, *who, server);
                    running.fetch_sub(1, Ordering::Release);
                    outcome
                })
            })
            .collect();
        let shown = std::io::stderr().is_terminal();
        while shown && running.load(Ordering::Acquire) > 0 {
            let answers: u64 = servers.iter().map(Served::answers).sum();
            say!(
                "\r  {name}: {} answers for {} URLs, {:.0} s ",
                count(answers),
                count(urls),
                begin.elapsed().as_secs_f64()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        if shown {
            say!("\r{:70}\r", "");
        }
        clients.into_iter().map(joined).collect()
    })
}

/// Plays scenes side by side: a line of each.
fn play(scenes: &[&Scene]) -> Vec<String> {
    std::thread::scope(|scope| {
        let playing: Vec<_> = scenes.iter().map(|scene| scope.spawn(|| Ok(scene.play()))).collect();
        let said = |(scene, played): (&&Scene, _)| {
            let said = joined(played).unwrap_or_else(|error| error.to_string());
            format!("{}: {said}\n", scene.name)
        };
        scenes.iter().zip(playing).map(said).collect()
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread of the demo panicked")))
}

/// A client's process.
struct Client {
    command: Command,
}

impl Client {
    /// gannet, which is told nothing but what the demo is.
    fn new() -> Result<Self> {
        let mut client = Self::bare()?;
        // The options of the user's own config file are not part of the demo.
        client.command.args(["-q", "-s", "-i", "-", "--summary", "-", "--allow-net", "private"]);
        client.command.args(["--deadline", &GANNET_SECONDS.to_string()]);
        Ok(client)
    }

    fn bare() -> Result<Self> {
        let program = std::env::current_exe().context("this program's own path")?;
        Ok(Self { command: Command::new(program) })
    }

    /// Runs it to its end; its figures.
    fn run(mut self, list: String) -> Result<Report> {
        let mut child = self.begin()?;
        let output = std::thread::scope(|scope| {
            let stdin = child.stdin.take();
            // A client that does not read its list will show that in its figures.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(list.as_bytes())));
            child.wait_with_output()
        })?;
        let text = || String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_slice(&output.stdout).with_context(text)
    }

    /// Kills it after so long.
    fn kill(mut self, list: String, after: Duration) -> Result<()> {
        let mut child = self.begin()?;
        std::thread::scope(|scope| {
            let stdin = child.stdin.take();
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(list.as_bytes())));
            std::thread::sleep(after);
            child.kill()?;
            child.wait()?;
            Ok(())
        })
    }

    fn begin(&mut self) -> Result<Child> {
        let command = self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(command.spawn()?)
    }
}

/// How many a server is asked for.
const fn urls(model: &Model) -> u32 {
    model.per_second * SECONDS
}

/// One client's run.
fn client(model: &Model, who: Who, server: &Served) -> Result<Outcome> {
    let name = || format!("the client of '{}'", model.name);
    let addresses = server.addresses();
    let level = model.limit.unwrap_or(CEILING);
    let client = if who == Who::Naive {
        let mut client = Client::bare()?;
        client.command.args([NAIVE, &NAIVE_SECONDS.to_string()]);
        client.command.args(model.found_at(&addresses).iter().map(SocketAddr::to_string));
        client
    } else {
        let mut client = Client::new()?;
        client.command.args(["--results", null_device(), "--results-overwrite"]);
        client.command.args(model.options(&addresses, (who == Who::Told).then_some(level)));
        client
    };
    let asked = model.urls(&addresses);
    let list: String = (0..urls(model))
        .zip(asked.iter().cycle())
        .map(|(n, url)| format!("{url}?n={n}\n"))
        .collect();
    let report = client.run(list).with_context(name)?;
    let mut hosts = report.hosts;
    let refusals = hosts
        .iter()
        .map(|host| host.fresh_resets + host.open_failures + host.status_429 + host.status_503)
        .sum();
    sort_by_key(&mut hosts, |host| asked.iter().position(|url| url.starts_with(&host.origin)));
    // Names that share an address share what was found.
    let found = if hosts.len() > model.hosts() { report.addresses } else { hosts };
    Ok(Outcome {
        urls: urls(model).into(),
        ok: report.ok,
        failed: report.failed,
        connections: server.accepted(),
        refusals,
        wall: millis(report.wall_ms),
        cpu: millis(report.cpu_ms),
        said: found.into_iter().map(|host| host.pace.unwrap_or(host.explanation)).collect(),
    })
}

fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64(ms.max(0.0) / 1000.0)
}

const fn null_device() -> &'static str {
    if cfg!(windows) { "NUL" } else { "/dev/null" }
}

/// The naive client's process.
pub fn naive(arguments: &[std::ffi::OsString]) -> Exit {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    let seconds = words.next().and_then(|word| word.parse().ok());
    let addresses: Vec<SocketAddr> = words.filter_map(|word| word.parse().ok()).collect();
    let (Some(seconds), false) = (seconds, addresses.is_empty()) else {
        return Exit::USAGE;
    };
    let begin = Instant::now();
    let list: Vec<String> = std::io::stdin().lines().map_while(std::io::Result::ok).collect();
    let (ok, failed) = naive::fetch(&list, &addresses, begin + Duration::from_secs(seconds));
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    show_line!(
        "{{\"ok\":{ok},\"failed\":{failed},\"wall_ms\":{:.3},\"cpu_ms\":{:.3}}}",
        millis(begin.elapsed()),
        millis(stdio::cpu_time())
    );
    Exit::SUCCESS
}

/// What the columns are.
const HEAD: [&str; 2] = [
    "              naive client       told                  gannet",
    "    URLs     failed  URLs/s    URLs/s    failed   URLs/s  connections  refused",
];

/// What came of one server.
fn rows(model: &Model, naive: &Outcome, told: &Outcome, gannet: &Outcome) -> String {
    let said = format!("{}: {}\n", model.name, gannet.said.join("; "));
    let mut text = stdio::wrapped(&said, width()).into_owned();
    // What is left of a list that failed is soon done.
    let rate = if naive.failed * 10 < naive.urls {
        format!("{:.0}", naive.per_second())
    } else {
        "-".to_owned()
    };
    let _ = writeln!(
        text,
        "{:>8} {:>10} {rate:>7} {:>9.0} {:>9} {:>8.0} {:>12} {:>6.1} %",
        count(gannet.urls),
        count(naive.failed),
        told.per_second(),
        count(gannet.failed),
        gannet.per_second(),
        count(gannet.connections),
        gannet.refused(),
    );
    text
}

/// All lists together, and what to do next.
fn totals(naive: &[Outcome], gannet: &[Outcome]) -> String {
    let sum = |all: &[Outcome], of: fn(&Outcome) -> u64| count(all.iter().map(of).sum());
    let cpu = |all: &[Outcome]| all.iter().map(|one| one.cpu).sum::<Duration>().as_secs_f64();
    format!(
        "Of {} URLs {} failed for good with the naive client, which used {:.1} s of CPU, and {} with gannet, \
         which used {:.1} s.\n\
         Told: gannet with the best --per-host N. Refused: requests that met a reset, a refusal, a 429 or a 503, the \
         search included.\n\
         Your own list: gannet -i urls.txt --results results.jsonl\n",
        sum(gannet, |one| one.urls),
        sum(naive, |one| one.failed),
        cpu(naive),
        sum(gannet, |one| one.failed),
        cpu(gannet),
    )
}

/// A number with commas between the thousands.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin;

    #[test]
    fn numbers_are_readable() {
        for (number, want) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (27_095, "27,095"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(number), want);
        }
    }

    #[test]
    fn the_naive_client_fetches_what_a_patient_server_gives() {
        let server = origin::spawn(origin::Script::new()).unwrap();
        let list: Vec<String> = (0..200)
            .map(|n| format!("http://{}/{}", server.addr(), ["bytes/100", "status/503"][n % 2]))
            .collect();
        let until = Instant::now() + Duration::from_secs(30);
        assert_eq!(naive::fetch(&list, &[server.addr()], until), (100, 100));
        assert_eq!(server.stats().answers, 200);
        assert_eq!(naive::fetch(&list, &[server.addr()], Instant::now()), (0, 0), "no time");
    }

    #[test]
    fn a_table_fits_80_columns() {
        let most = Outcome {
            urls: 16_000,
            ok: 2_000,
            failed: 16_000,
            connections: 16_000,
            refusals: 15_999,
            wall: Duration::from_secs(1),
            cpu: Duration::ZERO,
            said: vec!["settled".to_owned()],
        };
        let text = rows(&MODELS[0], &most, &most, &most);
        let row = text.lines().last().unwrap();
        assert_eq!(row.len(), HEAD[1].len(), "{}\n{row}", HEAD[1]);
        assert!(HEAD.iter().all(|line| line.len() < 80));
    }
}
