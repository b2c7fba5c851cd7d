//! A server on a thread of its own, and what other threads may do with it.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use mio::Waker;

use super::script::Script;
use super::server::Server;
use super::stats::{Counters, Stats};

/// How long a command may take before whoever gave it goes on without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a running server is told; each says when it is done.
#[derive(Debug)]
pub(super) enum Command {
    Down(Sender<()>),
    Up(Sender<()>),
    ResetAll(Sender<()>),
}

/// What the server and its handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stats: Stats,
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    is_tls: bool,
    is_stopping: AtomicBool,
    waker: Waker,
    commands: Sender<Command>,
}

impl Shared {
    pub(super) fn new(
        addresses: &[SocketAddr],
        admin: Option<SocketAddr>,
        is_tls: bool,
        waker: Waker,
    ) -> (Self, Receiver<Command>) {
        let (commands, received) = channel();
        let shared = Self {
            stats: Stats::new(addresses),
            addresses: addresses.to_vec(),
            admin,
            is_tls,
            is_stopping: AtomicBool::new(false),
            waker,
            commands,
        };
        (shared, received)
    }
}

/// Looks at a server and steers it, from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The addresses that it listens on, in the script's order.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.shared.addresses
    }

    /// The first of them.
    pub fn addr(&self) -> SocketAddr {
        self.shared.addresses[0]
    }

    /// The address that only answers `/__stats`, if the script wants one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.shared.admin
    }

    /// A URL on the first address; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.shared.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.addr())
    }

    /// What it has counted.
    pub fn stats(&self) -> Counters {
        self.shared.stats.counters()
    }

    /// How often this was asked for, as `GET /bytes/10`; the script has to ask for such counting.
    pub fn count(&self, request: &str) -> u64 {
        self.shared.stats.of_kind(request)
    }

    /// Makes it return from [`Server::run`].
    pub fn stop(&self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.shared.is_stopping.load(Ordering::Acquire)
    }

    /// Stops listening and resets all connections, as if the process were killed; done on return.
    pub fn go_down(&self) {
        self.tell(Command::Down);
    }

    /// Listens again on the same addresses; done on return.
    pub fn come_up(&self) {
        self.tell(Command::Up);
    }

    /// Resets all connections; done on return.
    pub fn reset_all(&self) {
        self.tell(Command::ResetAll);
    }

    fn tell(&self, command: impl FnOnce(Sender<()>) -> Command) {
        let (done, is_done) = channel();
        if self.shared.commands.send(command(done)).is_ok() {
            self.wake();
            // An error means that the server has stopped: then nothing listens either.
            let _ = is_done.recv_timeout(PATIENCE);
        }
    }

    fn wake(&self) {
        // Fails only when the server is gone.
        let _ = self.shared.waker.wake();
    }
}

/// A server on a thread of its own, which ends when this is dropped.
///
/// ```
/// use std::io::{Read, Write};
///
/// use gannet::origin::{Script, spawn};
///
/// let server = spawn(Script::new())?;
/// let mut client = std::net::TcpStream::connect(server.addr())?;
/// client.write_all(b"GET /bytes/10 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
/// assert_eq!(server.stats().requests, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl core::ops::Deref for Running {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Running {
    /// Stops it, and waits until its sockets are closed.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.handle.stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the server panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `stop` is there for those who want to know.
        let _ = self.end();
    }
}

/// Binds a server and runs it on a thread of its own.
pub fn spawn(script: Script) -> io::Result<Running> {
    let mut server = Server::bind(script)?;
    let handle = server.handle();
    let thread = std::thread::Builder::new().name("origin".into()).spawn(move || server.run())?;
    Ok(Running { handle, thread: Some(thread) })
}
