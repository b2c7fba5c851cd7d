//! The swarm: a seed draws a world, the oracle watches it, then everything heals and must arrive.
//!
//! A world is a random subset of faults with wild weights, caps (connections a host and in all),
//! hosts with their quirks, jobs, and a handler that pauses, cancels and submits in between. The
//! oracle is always on:
//!
//! - the end of a job comes once, its bytes are the server's (of one version), a failure has a
//!   reason in this world, what was had in full is not asked for again;
//! - a POST of which a byte was sent is never sent again;
//! - no cap is ever exceeded, as the servers and the kernel count;
//! - the engine's counts, lists and timers add up after every turn;
//! - no turn spins, nothing waits for ever, nothing is left over;
//! - the same seed leaves the same trace.

mod oracle;
mod plan;
mod run;
mod watch;
mod world;

use core::fmt;
use core::time::Duration;

use plan::Plan;
use run::Swarm;

/// What a run came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// A hash of every call of the net with its result.
    pub hash: u64,
    /// Jobs.
    pub jobs: usize,
    /// Jobs that arrived.
    pub arrived: usize,
    /// Turns of the driver.
    pub turns: u64,
    /// Requests on the wire.
    pub requests: usize,
    /// Those of them that went out on a connection that had carried another one before.
    pub reused: u64,
    /// Connections opened.
    pub connections: u64,
    /// Faults that the client met.
    pub faults: u64,
    /// The virtual time that it took.
    pub took: Duration,
    /// The virtual time from the healing of the world to the end of the last job.
    pub recovered_in: Duration,
}

/// A rule was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// Of this seed.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

impl core::error::Error for Violation {}

/// Keys and certificates for the hosts that speak TLS; a test brings them.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
pub struct Tls {
    /// For the servers.
    pub server: std::sync::Arc<rustls::ServerConfig>,
    /// For the driver.
    pub client: crate::tls::Config,
}

/// A world without TLS.
pub fn run(seed: u64) -> Result<Summary, Violation> {
    let plan = Plan::draw(seed, false);
    let swarm = Swarm::new(plan, seed);
    swarm.run().map_err(|what| Violation { seed, what })
}

/// The same, told call by call on standard error.
pub fn narrate(seed: u64) -> Result<Summary, Violation> {
    let mut swarm = Swarm::new(Plan::draw(seed, false), seed);
    swarm.driver.net_mut().narrate(true);
    swarm.run().map_err(|what| Violation { seed, what })
}

/// A world in which half of the hosts speak TLS.
#[cfg(feature = "tls")]
pub fn run_with_tls(seed: u64, tls: &Tls) -> Result<Summary, Violation> {
    let plan = Plan::draw(seed, true);
    let mut swarm = Swarm::new(plan, seed);
    swarm.secure(tls);
    swarm.run().map_err(|what| Violation { seed, what })
}

/// The same, told call by call on standard error.
#[cfg(feature = "tls")]
pub fn narrate_with_tls(seed: u64, tls: &Tls) -> Result<Summary, Violation> {
    let mut swarm = Swarm::new(Plan::draw(seed, true), seed);
    swarm.secure(tls);
    swarm.driver.net_mut().narrate(true);
    swarm.run().map_err(|what| Violation { seed, what })
}

/// All that a seed draws, for a person to read.
pub fn describe(seed: u64, with_tls: bool) -> String {
    format!("{:#?}", Plan::draw(seed, with_tls))
}
