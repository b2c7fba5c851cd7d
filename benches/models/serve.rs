//! The server's process: one scripted server for each script, and lines of distance before them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use gannet::origin::{self, Relay, Script};

use crate::models::Model;

/// A server that does not outlive this.
pub(crate) struct Server {
    child: Child,
    /// Where clients connect: an address for each script.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts the server of a model.
    pub(crate) fn start(model: &Model) -> Self {
        let program = std::env::current_exe().expect("this program's own path");
        let mut command = Command::new(program);
        command.arg("--serve").arg(model.distance_ms.to_string());
        for script in (model.scripts)() {
            command.arg(serde_json::to_string(&script).expect("a script is JSON"));
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server's process starts");
        let mut line = String::new();
        if let Some(out) = &mut child.stdout {
            BufReader::new(out).read_line(&mut line).expect("the server says its addresses");
        }
        let addresses =
            line.split_whitespace().map(|one| one.parse().expect("an address")).collect();
        Self { child, addresses }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until standard input ends.
pub(crate) fn child(arguments: &[String]) -> ExitCode {
    let distance: u64 = arguments[0].parse().expect("milliseconds");
    let scripts: Vec<Script> =
        arguments[1..].iter().map(|text| serde_json::from_str(text).expect("a script")).collect();
    let servers: Vec<_> =
        scripts.into_iter().map(|script| origin::spawn(script).expect("a free port")).collect();
    let relays: Vec<Relay> = servers
        .iter()
        .filter(|_| distance > 0)
        .map(|server| {
            Relay::spawn(server.addr(), Duration::from_millis(distance / 2)).expect("a free port")
        })
        .collect();
    for (number, server) in servers.iter().enumerate() {
        let address = relays.get(number).map_or(server.addr(), Relay::addr);
        print!("{address} ");
    }
    println!();
    std::io::stdout().flush().expect("someone listens");
    std::io::stdin().lock().read_to_end(&mut Vec::new()).expect("standard input ends");
    ExitCode::SUCCESS
}
