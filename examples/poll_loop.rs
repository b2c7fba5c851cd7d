//! In a plain `poll(2)` loop: `cargo run --example poll_loop -- 127.0.0.1:8080 1000`
//!
//! The engine is one descriptor and one deadline; that is all that a loop has to know.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use gannet::engine::{Config, Engine, Origin, Request, Scheme};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig, Net as _};

#[path = "tally/mod.rs"]
pub mod tally;
use tally::Tally;

/// Fetches so many bodies from `server`.
pub fn run(server: SocketAddr, count: u64) -> Result<Tally, Box<dyn Error>> {
    let engine = Engine::try_new(Config::default())?;
    let mut driver = Driver::new(engine, Mio::new(256)?, DriverConfig::default());
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
        let now = driver.net_mut().now();
        let timeout = driver.next_deadline().map(|at| at - now);
        wait(driver.net(), timeout)?;
        driver.turn(Some(Duration::ZERO), &mut tally)?;
    }
    Ok(tally)
}

/// One call of `poll(2)`; a real loop has more descriptors in the list.
fn wait(net: &Mio, timeout: Option<Duration>) -> Result<(), Box<dyn Error>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = timeout.map(Timespec::try_from).transpose()?;
    match poll(&mut [PollFd::new(net, PollFlags::IN)], timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: poll_loop ADDRESS:PORT COUNT");
    let (server, count) = (next()?.parse()?, next()?.parse()?);
    let tally = run(server, count)?;
    tally.lines().iter().for_each(|line| println!("{line}"));
    Ok(())
}
