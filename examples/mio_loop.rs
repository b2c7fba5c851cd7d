//! A mirror inside somebody else's mio loop: `cargo run --example mio_loop -- 127.0.0.1:8080 1000 DIR`
//!
//! Fetches `/bytes/1000?0`, `?1`, … and keeps each body in a file. The loop has a source of its own
//! beside the engine's one descriptor: a socket that gets a datagram now and then. Nothing here
//! blocks but the loop's own wait, and the engine's memory is bounded before it starts.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gannet::engine::{
    Advice, Config, Ctl, Engine, Handler, JobRef, Kind, Load, Origin, Report, Request, Resume,
    Scheme,
};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig, Net as _};
use gannet::proto::{Body, Head};
use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

const ENGINE: Token = Token(0);
const OTHER: Token = Token(1);

/// Keeps bodies in files, named by the request's tag.
#[derive(Debug, Default)]
pub struct Mirror {
    dir: PathBuf,
    /// Files that are being written: never more than there are connections.
    open: HashMap<u64, File>,
    /// Bodies that are whole.
    pub whole: u64,
    /// Requests that failed, each with a sentence.
    pub failed: Vec<String>,
    /// Datagrams that came to the loop's other source meanwhile.
    pub datagrams: u64,
}

impl Handler for Mirror {
    fn head(&mut self, ctl: &mut Ctl<'_>, job: JobRef, head: &Head<'_>, _: Body) -> Advice {
        if head.status != 200 {
            return Advice::SkipBody;
        }
        match File::create(self.dir.join(job.tag.to_string())) {
            Ok(file) => {
                self.open.insert(job.tag, file);
                // A body that is cut is continued, if the server gave it a strong ETag.
                Advice::Deliver(Resume::ByETag)
            }
            Err(_) => {
                ctl.cancel_all();
                Advice::Abort
            }
        }
    }

    fn body(&mut self, ctl: &mut Ctl<'_>, job: JobRef, bytes: &[u8]) {
        let written = self.open.get_mut(&job.tag).map(|file| file.write_all(bytes));
        if matches!(written, Some(Err(_))) {
            ctl.cancel(job.key);
        }
    }

    fn restart(&mut self, _: &mut Ctl<'_>, job: JobRef, _: Kind) {
        // What was delivered is void: the next head makes the file anew.
        self.open.remove(&job.tag);
    }

    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        self.open.remove(&job.tag);
        match report.result {
            Ok(200) => self.whole += 1,
            Ok(status) => self.failed.push(format!("{}: status {status}", job.tag)),
            Err(failure) => self.failed.push(format!("{}: {failure}", job.tag)),
        }
    }
}

/// Fetches so many bodies from `server` into `dir`.
pub fn run(server: SocketAddr, count: u64, dir: &Path) -> Result<Mirror, Box<dyn Error>> {
    // A megabyte at most, whatever the server does: known before anything is opened.
    let config = Config { max_connections: 16, ..Config::tiny() };
    let bounds = DriverConfig { read_buffer: 32 * 1024, ..DriverConfig::tiny() };
    assert!(bounds.most_bytes(&config, &Load::default(), None) < 1024 * 1024);
    let mut driver = Driver::new(Engine::try_new(config)?, Mio::new(64)?, bounds);
    let name = server.ip().to_string();
    let host = driver.host(&Origin { scheme: Scheme::Http, host: &name, port: server.port() });
    let mut mirror = Mirror { dir: dir.to_owned(), ..Mirror::default() };

    // The loop that was there before, with a source of its own.
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    let mut other = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    poll.registry().register(&mut other, OTHER, Interest::READABLE)?;
    let fd = driver.net().as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), ENGINE, Interest::READABLE)?;
    let other_address = other.local_addr()?;
    other.send_to(b"tick", other_address)?;

    let mut submitted = 0;
    while mirror.whole + (mirror.failed.len() as u64) < count {
        // The list of URLs may be as long as it likes: the engine takes what it has room for.
        while submitted < count && driver.engine().wants() > 0 {
            let target = format!("/bytes/1000?{submitted}");
            driver.submit(&Request::get(host, &target).tag(submitted))?;
            submitted += 1;
        }
        let now = driver.net_mut().now();
        let timeout = driver.next_deadline().map(|at| at - now);
        poll.poll(&mut events, timeout)?;
        for event in &events {
            if event.token() == OTHER {
                let mut buffer = [0; 64];
                while other.recv(&mut buffer).is_ok() {
                    mirror.datagrams += 1;
                }
            }
        }
        // Whatever woke us: a turn without anything to do costs one system call.
        driver.turn(Some(Duration::ZERO), &mut mirror)?;
    }
    Ok(mirror)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: mio_loop ADDRESS:PORT COUNT DIR");
    let (server, count, dir) = (next()?.parse()?, next()?.parse()?, next()?);
    let mirror = run(server, count, Path::new(&dir))?;
    println!("{} whole, {} failed", mirror.whole, mirror.failed.len());
    Ok(())
}
