//! The server's process: a model's servers, until its standard input ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};

use gannet::origin::models::{MODELS, Model};

/// A server that does not outlive this.
pub(crate) struct Server {
    child: Child,
    /// Where clients connect: an address for each host.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts the server of a model.
    pub(crate) fn start(model: &Model) -> Self {
        let program = std::env::current_exe().expect("this program's own path");
        let mut child = Command::new(program)
            .args(["--serve", model.name])
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
pub(crate) fn child(name: &str) -> ExitCode {
    let model = MODELS.iter().find(|model| model.name == name).expect("a model's name");
    let served = model.serve().expect("a free port");
    for address in served.addresses() {
        print!("{address} ");
    }
    println!();
    std::io::stdout().flush().expect("someone listens");
    std::io::stdin().lock().read_to_end(&mut Vec::new()).expect("standard input ends");
    ExitCode::SUCCESS
}
