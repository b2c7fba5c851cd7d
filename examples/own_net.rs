//! A `Net` of one's own: `cargo run --example own_net -- 127.0.0.1:8080 1000`
//!
//! For loops that are told, socket by socket, what to watch (libuv, glib, `poll(2)` itself): a
//! direction is watched only after a call said that it blocks, and no longer once it was told.
//! That is all that makes a level-triggered loop edge-triggered.

use std::error::Error;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant as Clock};

use gannet::base::Instant;
use gannet::engine::{Cause, Config, Engine, Fault, Origin, Request, Scheme};
use gannet::net::{Driver, DriverConfig, Net, Read, Ready};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

#[path = "tally/mod.rs"]
pub mod tally;
use tally::Tally;

/// One socket, and what its loop is to watch.
#[derive(Debug)]
struct Watched {
    token: usize,
    stream: TcpStream,
    readable: bool,
    writable: bool,
}

/// Sockets with an interest each.
#[derive(Debug)]
pub struct Interests {
    sockets: Vec<Watched>,
    start: Clock,
}

impl Interests {
    /// No sockets.
    pub fn new() -> Self {
        Self { sockets: Vec::new(), start: Clock::now() }
    }

    fn socket(&mut self, token: usize) -> Result<&mut Watched, Fault> {
        let found = self.sockets.iter_mut().find(|socket| socket.token == token);
        found.ok_or_else(|| Fault::new(Cause::Other))
    }
}

impl Default for Interests {
    fn default() -> Self {
        Self::new()
    }
}

/// What an error means to the engine.
fn fault(error: &io::Error) -> Fault {
    let cause = match error.kind() {
        ErrorKind::ConnectionRefused => Cause::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Cause::Reset,
        _ => Cause::Other,
    };
    Fault { os: error.raw_os_error().unwrap_or(0), ..Fault::new(cause) }
}

impl Net for Interests {
    fn now(&mut self) -> Instant {
        Instant::from_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn open(&mut self, token: usize, address: SocketAddr) -> Result<(), Fault> {
        let open = || -> io::Result<TcpStream> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            match socket.connect(&address.into()) {
                // 115 is EINPROGRESS on Linux: it connects, and becomes writable when it is there.
                Err(error) if error.raw_os_error() != Some(115) => return Err(error),
                _ => {}
            }
            Ok(socket.into())
        };
        let stream = open().map_err(|error| fault(&error))?;
        // Connecting ends with the socket being writable.
        self.sockets.push(Watched { token, stream, readable: false, writable: true });
        Ok(())
    }

    fn established(&mut self, token: usize) -> Result<bool, Fault> {
        let socket = self.socket(token)?;
        if let Some(error) = socket.stream.take_error().map_err(|error| fault(&error))? {
            return Err(fault(&error));
        }
        let established = socket.stream.peer_addr().is_ok();
        socket.writable |= !established;
        // From now on, whatever comes is of interest.
        socket.readable |= established;
        Ok(established)
    }

    fn read(&mut self, token: usize, buffer: &mut [u8]) -> Result<Read, Fault> {
        let socket = self.socket(token)?;
        match socket.stream.read(buffer) {
            Ok(0) => Ok(Read::End),
            Ok(count) => Ok(Read::Bytes { count, drained: false }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                socket.readable = true;
                Ok(Read::Blocked)
            }
            Err(error) => Err(fault(&error)),
        }
    }

    fn write(&mut self, token: usize, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let socket = self.socket(token)?;
        match socket.stream.write(bytes) {
            Ok(count) => {
                // A short write blocks.
                socket.writable |= count < bytes.len();
                Ok(Some(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                socket.writable = true;
                Ok(None)
            }
            Err(error) => Err(fault(&error)),
        }
    }

    fn finish(&mut self, token: usize) {
        if let Ok(socket) = self.socket(token) {
            // The peer may be gone: then its end is about to be read.
            let _ = socket.stream.shutdown(Shutdown::Write);
        }
    }

    fn close(&mut self, token: usize, _reset: bool) {
        self.sockets.retain(|socket| socket.token != token);
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<bool, Fault> {
        let mut list: Vec<PollFd<'_>> = Vec::with_capacity(self.sockets.len());
        for socket in &self.sockets {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, socket.readable);
            flags.set(PollFlags::OUT, socket.writable);
            list.push(PollFd::new(&socket.stream, flags));
        }
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        match poll(&mut list, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(fault(&error.into())),
        }
        let told: Vec<PollFlags> = list.iter().map(PollFd::revents).collect();
        for (socket, told) in self.sockets.iter_mut().zip(told) {
            let closing = told.intersects(PollFlags::HUP | PollFlags::ERR);
            let readable = closing || told.contains(PollFlags::IN);
            let writable = closing || told.contains(PollFlags::OUT);
            if readable || writable {
                // Told once: watched again when a call says that it blocks.
                socket.readable &= !readable;
                socket.writable &= !writable;
                ready.push(Ready { token: socket.token, readable, writable });
            }
        }
        Ok(false)
    }
}

/// Fetches so many bodies from `server`.
pub fn run(server: SocketAddr, count: u64) -> Result<Tally, Box<dyn Error>> {
    let engine = Engine::try_new(Config::default())?;
    let mut driver = Driver::new(engine, Interests::new(), DriverConfig::default());
    let name = server.ip().to_string();
    let host = driver.host(&Origin { scheme: Scheme::Http, host: &name, port: server.port() });
    let (mut tally, mut submitted) = (Tally::default(), 0);
    while tally.done() < count {
        // The list of URLs may be as long as it likes: the engine takes what it has room for.
        while submitted < count && driver.engine().wants() > 0 {
            let target = format!("/bytes/1000?{submitted}");
            driver.submit(&Request::get(host, &target).tag(submitted))?;
            submitted += 1;
        }
        driver.turn(Some(Duration::from_secs(1)), &mut tally)?;
    }
    Ok(tally)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: own_net ADDRESS:PORT COUNT");
    let (server, count) = (next()?.parse()?, next()?.parse()?);
    let tally = run(server, count)?;
    tally.lines().iter().for_each(|line| println!("{line}"));
    Ok(())
}
