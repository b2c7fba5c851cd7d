//! `gannet demo`: the trouble and the cure, without a network.
//!
//! A server that bears 24 connections and resets every further one; the same 5,000 URLs fetched by
//! a client as it is usually written, and by gannet. Server and clients are processes of their
//! own, started from this very program, so that each one's CPU time is its own. Nothing is staged:
//! the server is `origin`, gannet is `gannet -i`, and the figures are the server's own counts.

mod naive;

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::exit::Exit;
use crate::origin::{self, presets};

/// Fetched by each client.
const URLS: u32 = 5_000;
/// Bytes of each answer.
const SIZE: u32 = 1_024;
/// What the server bears.
const LIMIT: usize = 24;

/// The first argument of the processes that the demo starts.
pub const SERVER: &str = "--internal-demo-server";
/// The same for the naive client; the server's address follows.
pub const NAIVE: &str = "--internal-demo-naive";

/// What a client has come to.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    connections: u64,
    resets: u64,
    failed: u64,
    wall: Duration,
    cpu: Duration,
}

/// Of the server's counters what the demo shows.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Counters {
    accepted: u64,
    turned_away: u64,
    answers: u64,
}

/// What a client says at its end.
#[derive(Debug, Deserialize)]
struct Report {
    failed: u64,
    cpu_ms: f64,
    /// gannet's own words on what it found.
    #[serde(default)]
    hosts: Vec<Host>,
}

#[derive(Debug, Deserialize)]
struct Host {
    explanation: String,
}

/// Runs the demo.
pub fn run() -> Exit {
    match demo() {
        Ok(()) => Exit::SUCCESS,
        Err(error) => {
            say_line!("gannet demo: {error:#}");
            Exit::SOME_FAILED
        }
    }
}

fn demo() -> Result<()> {
    show_line!(
        "A server on loopback bears {LIMIT} connections and resets every further one; 20 ms a request.\n\
         {URLS} URLs of {SIZE} bytes, first by a client as it is usually written (64 at once, a pool of 2,\n\
         no repeat), then by gannet, which is told nothing about the server.\n"
    );
    let (naive, _) = with_server(|server| {
        let program = std::env::current_exe().context("this program's own path")?;
        let mut command = Command::new(program);
        command.args([NAIVE, &server.address.to_string(), &URLS.to_string(), &SIZE.to_string()]);
        measure("naive client", server, command, None)
    })?;
    let (gannet, said) = with_server(|server| {
        let program = std::env::current_exe().context("this program's own path")?;
        let mut command = Command::new(program);
        // The options of the user's own config file are not part of the demo.
        command.args([
            "-q",
            "-s",
            "-i",
            "-",
            "--results",
            null_device(),
            "--results-overwrite",
            "--summary",
            "-",
            "--allow-net",
            "private",
        ]);
        let list: String =
            (0..URLS).map(|n| format!("http://{}/bytes/{SIZE}?n={n}\n", server.address)).collect();
        measure("gannet", server, command, Some(list))
    })?;
    show!("{}", table(&naive, &gannet));
    if let Some(said) = said {
        show_line!("\ngannet says: {said}");
    }
    show_line!("\nYour own list: gannet -i urls.txt --results results.jsonl");
    Ok(())
}

fn null_device() -> &'static str {
    if cfg!(windows) { "NUL" } else { "/dev/null" }
}

/// Where the server listens.
#[derive(Clone, Copy)]
struct Server {
    address: SocketAddr,
    /// The limit does not concern this one.
    admin: SocketAddr,
}

/// A child that does not outlive the demo.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn with_server<T>(work: impl FnOnce(Server) -> Result<T>) -> Result<T> {
    let program = std::env::current_exe().context("this program's own path")?;
    let server =
        Command::new(program).arg(SERVER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut server = Owned(server.context("starting the server")?);
    let mut line = String::new();
    if let Some(out) = &mut server.0.stdout {
        BufReader::new(out).read_line(&mut line).context("the server's address")?;
    }
    let addresses = line
        .trim()
        .split_once(' ')
        .and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
    let (address, admin) = addresses.with_context(|| format!("the server's address {line:?}"))?;
    work(Server { address, admin })
}

/// Runs a client, shows how it gets on, and asks server and client for the figures.
fn measure(
    name: &str,
    server: Server,
    mut command: Command,
    input: Option<String>,
) -> Result<(Outcome, Option<String>)> {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped());
    let before = counters(server.admin)?;
    let begin = Instant::now();
    let mut child = Owned(command.spawn().with_context(|| format!("starting the {name}"))?);
    let feeder = match (child.0.stdin.take(), input) {
        (Some(mut stdin), Some(text)) => {
            Some(std::thread::spawn(move || stdin.write_all(text.as_bytes())))
        }
        _ => None,
    };
    let shown = std::io::stderr().is_terminal();
    let mut after;
    loop {
        after = counters(server.admin)?;
        if shown {
            say!(
                "\r  {name}: {:>5} of {URLS} answered, {} resets, {:.1} s ",
                after.answers - before.answers,
                after.turned_away,
                begin.elapsed().as_secs_f64()
            );
        }
        if child.0.try_wait().context("waiting for the client")?.is_some() {
            break;
        }
        if begin.elapsed() > Duration::from_secs(120) {
            bail!("the {name} has not come to an end in two minutes");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let wall = begin.elapsed();
    if shown {
        say!("\r{:78}\r", "");
    }
    if let Some(feeder) = feeder {
        // A client that did not read its list will show that in its figures.
        let _ = feeder.join();
    }
    let mut text = String::new();
    if let Some(out) = &mut child.0.stdout {
        out.read_to_string(&mut text).context("the client's figures")?;
    }
    let report: Report = serde_json::from_str(&text)
        .with_context(|| format!("the figures of the {name}: {text:?}"))?;
    after = counters(server.admin)?;
    let outcome = Outcome {
        connections: after.accepted,
        resets: after.turned_away,
        failed: report.failed,
        wall,
        cpu: Duration::from_secs_f64(report.cpu_ms.max(0.0) / 1000.0),
    };
    Ok((outcome, report.hosts.into_iter().next().map(|host| host.explanation)))
}

/// The server's own counts. They come over a listener that the limit does not concern.
fn counters(admin: SocketAddr) -> Result<Counters> {
    let mut stream = TcpStream::connect(admin).context("asking the server")?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /__stats HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("the server's counts")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).with_context(|| format!("the server's counts {body:?}"))
}

/// The server's process: until its standard input ends.
pub fn server() -> Exit {
    let serve = || -> Result<()> {
        let mut script = presets::hard_limit(LIMIT);
        script.admin = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let server = origin::spawn(script)?;
        let admin = server.admin_addr().context("the address for questions")?;
        show_line!("{} {admin}", server.addr());
        std::io::stdout().flush()?;
        std::io::stdin().lock().read_to_end(&mut Vec::new())?;
        Ok(())
    };
    match serve() {
        Ok(()) => Exit::SUCCESS,
        Err(error) => {
            say_line!("gannet demo: the server: {error:#}");
            Exit::SOME_FAILED
        }
    }
}

/// The naive client's process.
pub fn naive(arguments: &[std::ffi::OsString]) -> Exit {
    let number = |at: usize| arguments.get(at)?.to_str()?.parse::<u32>().ok();
    let server = arguments.first().and_then(|text| text.to_str()?.parse::<SocketAddr>().ok());
    let (Some(server), Some(urls), Some(size)) = (server, number(1), number(2)) else {
        return Exit::USAGE;
    };
    let failed = naive::fetch(server, urls, size);
    show_line!(
        "{{\"failed\":{failed},\"cpu_ms\":{:.3}}}",
        super::stdio::cpu_time().as_secs_f64() * 1000.0
    );
    Exit::SUCCESS
}

fn table(naive: &Outcome, gannet: &Outcome) -> String {
    let mut text = format!("{:<30}{:>14}{:>14}\n", "", "naive client", "gannet");
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let rows = [
        ("URLs that failed for good", count(naive.failed), count(gannet.failed)),
        ("connections opened", count(naive.connections), count(gannet.connections)),
        ("resets met", count(naive.resets), count(gannet.resets)),
        ("time", seconds(naive.wall), seconds(gannet.wall)),
        ("CPU", seconds(naive.cpu), seconds(gannet.cpu)),
    ];
    for (name, naive, gannet) in rows {
        text.push_str(&format!("{name:<30}{naive:>14}{gannet:>14}\n"));
    }
    text
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
        assert_eq!(naive::fetch(server.addr(), 200, 100), 0);
        assert_eq!(server.stats().answers, 200);
    }
}
