//! Under tokio: the engine's one descriptor in an `AsyncFd`, beside whatever else the task awaits.
//!
//! `AsyncFd` is edge-triggered: its readiness is cleared *before* the turn, which empties the inner
//! poll. What comes after the clearing is a new edge.

use std::error::Error;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use gannet::engine::{Config, Engine, Origin, Request, Scheme};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig, Net as _};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::Tally;

/// Fetches so many bodies from `server`; run it in a runtime with I/O and time.
pub async fn fetch(server: SocketAddr, count: u64) -> Result<Tally, Box<dyn Error>> {
    let engine = Engine::try_new(Config::default())?;
    let mut driver = Driver::new(engine, Mio::new(256)?, DriverConfig::default());
    // A descriptor of its own for the same poll. tokio deprecated this constructor, since a type may
    // lie about its descriptor; an `OwnedFd` does not, so no `unsafe` is needed.
    #[allow(deprecated, reason = "sound for an OwnedFd")]
    let readable =
        AsyncFd::with_interest(driver.net().as_fd().try_clone_to_owned()?, Interest::READABLE)?;
    let name = server.ip().to_string();
    let host = driver.host(&Origin { scheme: Scheme::Http, host: &name, port: server.port() });
    let mut tally = Tally::default();
    let mut submitted = 0;
    while tally.done() < count {
        while submitted < count && driver.engine().wants() > 0 {
            let target = format!("/bytes/1000?{submitted}");
            driver.submit(&Request::get(host, &target).tag(submitted))?;
            submitted += 1;
        }
        let now = driver.net_mut().now();
        let timeout = driver.next_deadline().map_or(Duration::from_secs(3600), |at| at - now);
        if !timeout.is_zero()
            && let Ok(ready) = tokio::time::timeout(timeout, readable.readable()).await
        {
            ready?.clear_ready();
        }
        driver.turn(Some(Duration::ZERO), &mut tally)?;
        // Other tasks of this thread have their turn, too.
        tokio::task::yield_now().await;
    }
    Ok(tally)
}

/// The same in a runtime of its own.
pub fn run(server: SocketAddr, count: u64) -> Result<Tally, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fetch(server, count))
}
