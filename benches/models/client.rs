//! The clients: the built `gannet` with or without a fixed level, and the library from any start.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use gannet::Fetcher;
use gannet::engine::PerHost;
use gannet::fetch::Options;
use gannet::origin::models::Model;

use crate::serve::Server;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The command as it is.
    Usual,
    /// The command with so many connections a host.
    Fixed(u32),
    /// The library, from so many.
    From(u16),
}

impl Who {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Usual => "usual".into(),
            Self::Fixed(level) => format!("fixed {level}"),
            Self::From(start) => format!("from {start}"),
        }
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Got {
    pub(crate) ok: u64,
    /// After the first quarter.
    pub(crate) late_ok: u64,
    pub(crate) late_refused: u64,
    /// Connections that were refused with no request on them, as the library counts them.
    pub(crate) late_turned_away: Option<u64>,
    first_byte: f64,
    /// What it says of its first host.
    pub(crate) said: String,
}

impl Got {
    /// Mean time to the first byte, after the first quarter.
    pub(crate) fn first_byte_ms(&self) -> f64 {
        self.first_byte / self.late_ok.max(1) as f64
    }
}

/// One run against a server of its own.
pub(crate) fn run(model: &Model, who: Who, time: Duration) -> Got {
    let server = Server::start(model);
    let urls = model.urls(&server.addresses);
    match who {
        Who::From(start) => library(&urls, start, time),
        Who::Usual => command(model, &server, &urls, None, time),
        Who::Fixed(level) => command(model, &server, &urls, Some(level), time),
    }
}

/// Kinds of failure that a server's "too much" shows as.
const REFUSALS: [&str; 8] = [
    "\"reset_before_response\"",
    "\"empty_reply\"",
    "\"refused\"",
    "\"connect_timeout\"",
    "\"connect_failed\"",
    "\"reset_in_handshake\"",
    "\"status_exhausted\"",
    "\"host_down\"",
];

fn command(
    model: &Model,
    server: &Server,
    urls: &[String],
    level: Option<u32>,
    time: Duration,
) -> Got {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
    command.args([
        "-q",
        "-s",
        "-i",
        "-",
        "--results",
        "-",
        "--unbuffered",
        "--allow-net",
        "private",
    ]);
    command.args(["--deadline", &time.as_secs().to_string()]);
    command.args(model.options(&server.addresses, level));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("gannet starts");
    let begin = Instant::now();
    let mut list = child.stdin.take().expect("a pipe");
    let out = child.stdout.take().expect("a pipe");
    let mut summary = child.stderr.take().expect("a pipe");
    let mut got = Got::default();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut block = String::new();
            for n in 0.. {
                block.clear();
                for url in urls {
                    block += &format!("{url}?n={n}\n");
                }
                // Until the run is over and nobody reads on.
                if list.write_all(block.as_bytes()).is_err() {
                    break;
                }
            }
        });
        let words = scope.spawn(move || {
            let mut text = String::new();
            let _ = summary.read_to_string(&mut text);
            text
        });
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let is_late = begin.elapsed() * 4 >= time;
            if line.contains("\"ok\":true") {
                got.ok += 1;
                if is_late {
                    got.late_ok += 1;
                    got.first_byte += number_after(&line, "\"first_byte\":");
                }
            }
            if is_late && line.contains("\"tries\":") {
                let refusals =
                    REFUSALS.iter().map(|kind| line.matches(kind).count() as u64).sum::<u64>();
                got.late_refused += refusals;
            }
        }
        let words = words.join().unwrap_or_default();
        let host = words.lines().find(|line| line.contains("http://"));
        host.unwrap_or_default().trim().clone_into(&mut got.said);
    });
    let _ = child.wait();
    got
}

fn number_after(line: &str, name: &str) -> f64 {
    let Some(at) = line.find(name) else { return 0.0 };
    let rest = &line[at + name.len()..];
    let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().unwrap_or(0.0)
}

fn library(urls: &[String], start: u16, time: Duration) -> Got {
    let program = std::env::current_exe().expect("this program's own path");
    let output = Command::new(program)
        .arg("--client")
        .arg(start.to_string())
        .arg(time.as_millis().to_string())
        .args(urls)
        .output()
        .expect("the client's process runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut fields = text.trim_end().splitn(5, ' ');
    let mut number = || fields.next().and_then(|one| one.parse().ok()).unwrap_or(0);
    let (ok, late_ok, late_refused, turned_away) = (number(), number(), number(), number());
    let said = fields.next().unwrap_or_default().into();
    // Times to the first byte are in the records of the command only.
    let late_turned_away = Some(turned_away);
    Got { ok, late_ok, late_refused, late_turned_away, first_byte: f64::NAN, said }
}

/// The library's process.
pub(crate) fn child(arguments: &[String]) -> ExitCode {
    let start: u16 = arguments[0].parse().expect("a number");
    let time = Duration::from_millis(arguments[1].parse().expect("milliseconds"));
    let urls = &arguments[2..];
    let mut options = Options::default();
    options.engine.per_host = PerHost::Auto { ceiling: None, start };
    let mut fetcher = Fetcher::new(options).expect("a fetcher");
    let begin = Instant::now();
    let (mut ok, mut late_ok, mut late_refused, mut before, mut n) = (0_u64, 0_u64, 0_u64, None, 0);
    let refused = |fetcher: &Fetcher| {
        fetcher
            .host_stats()
            .map(|host| {
                let counts = host.counts;
                counts.fresh_resets + counts.open_failures + counts.unavailable + counts.too_many
            })
            .sum::<u64>()
    };
    while begin.elapsed() < time {
        while fetcher.wants() > 0 && fetcher.in_flight() < 1024 {
            let url = format!("{}?n={n}", urls[n % urls.len()]);
            if fetcher.get(&url).is_err() {
                break;
            }
            n += 1;
        }
        let Ok(Some(response)) = fetcher.next() else { break };
        let served = response.result.is_ok();
        ok += u64::from(served);
        if begin.elapsed() * 4 >= time {
            late_ok += u64::from(served);
            late_refused += u64::from(response.attempts) - u64::from(served);
            before.get_or_insert_with(|| refused(&fetcher));
        }
    }
    // A URL that was refused early may have come late.
    let all_late = refused(&fetcher) - before.unwrap_or(0);
    let late_refused = late_refused.min(all_late);
    let turned_away = all_late - late_refused;
    let said = fetcher.host_stats().next();
    let said = said.map(|host| format!("{}; {}", host.explanation, host.pace));
    println!("{ok} {late_ok} {late_refused} {turned_away} {}", said.unwrap_or_default());
    ExitCode::SUCCESS
}
