//! The deterministic simulator: the real engine and the real driver on simulated sockets.
//!
//! [`Net`] implements [`crate::net::Net`] with virtual time, edge-triggered sockets whose edges
//! are exact, servers that are functions from requests to answers, and faults of every kind. One
//! seed decides everything: a run that failed is run again by its seed. Hours of virtual time take
//! milliseconds.
//!
//! It is a part of the product, for those who embed the engine: whatever a
//! [`Handler`] of yours
//! does can be tested against resets at every byte.
//!
//! ```
//! use core::time::Duration;
//! use gannet::engine::{Advice, Config, Ctl, Engine, Handler, JobRef, Kind, Origin, Report, Request,
//!     Resume, Scheme};
//! use gannet::net::{Driver, DriverConfig};
//! use gannet::proto::{Body, Head};
//! use gannet::sim::{self, Answer, How, Server};
//!
//! /// Your own handler, to be tested.
//! #[derive(Default)]
//! struct Collect {
//!     body: Vec<u8>,
//!     done: u32,
//! }
//!
//! impl Handler for Collect {
//!     fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
//!         Advice::Deliver(Resume::ByETag)
//!     }
//!     fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
//!         self.body.extend_from_slice(bytes);
//!     }
//!     fn restart(&mut self, _: &mut Ctl<'_>, _: JobRef, _: Kind) {
//!         self.body.clear(); // forget this, and the test below fails
//!     }
//!     fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
//!         assert_eq!(report.result, Ok(200));
//!         self.done += 1;
//!     }
//! }
//!
//! let page = Answer::ok("hello, world").field("ETag", "\"1\"");
//! // The first connection is reset when `at` bytes of the answer are out, for every `at`.
//! for at in 0..page.encode(false).len() as u64 {
//!     let page = page.clone();
//!     let mut net = sim::Net::new(at);
//!     let address = "192.0.2.1:80".parse().unwrap();
//!     net.serve(address, Server::new(move |_| page.clone()).cut(at, How::Reset, 1));
//!     let engine = Engine::new(Config { seed: at, ..Config::default() });
//!     let mut driver = Driver::new(engine, net, DriverConfig::default());
//!     let host = driver.host(&Origin { scheme: Scheme::Http, host: "192.0.2.1", port: 80 });
//!     driver.submit(&Request::get(host, "/")).unwrap();
//!
//!     let mut handler = Collect::default();
//!     sim::run(&mut driver, &mut handler, Duration::from_secs(60)).unwrap();
//!     assert_eq!((handler.body.as_slice(), handler.done), (&b"hello, world"[..], 1));
//! }
//! ```
//!
//! # How exact it is
//!
//! An edge is told once, and again only after a call found nothing more. Data and FIN, or data and
//! RST, may come in one edge; a RST may throw away what was not read; segments arrive between a
//! wake-up and the read that follows; a short read says that it drained the socket only while no
//! end was told. All that reaches one server keeps its order, so that the server's own count of
//! connections is a proof of the caps. [`Weather`] holds the knobs, [`swarm`] turns them by lot.

mod answer;
mod calls;
mod ledger;
mod net;
mod peer;
mod request;
mod server;
pub mod swarm;
mod weather;
mod wire;

use core::fmt;
use core::time::Duration;

use crate::engine::{DnsFailure, Handler, NameServers, Resolved};
use crate::net::Driver;

pub use answer::{Answer, How};
pub use ledger::{Asked, Ledger};
pub use net::Net;
pub use request::Request;
pub use server::{Accept, Cut, Excess, Server};
pub use weather::Weather;

/// Requests were left when the time was over.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stuck {
    /// How many.
    pub held: usize,
    /// The virtual time that was spent.
    pub after: Duration,
    /// Nothing could have happened any more: no timer, no segment under way.
    pub for_ever: bool,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.for_ever { "for ever" } else { "still" };
        write!(f, "{} requests were {how} held after {:?} of virtual time", self.held, self.after)
    }
}

impl core::error::Error for Stuck {}

/// Turns until the engine holds no request any more, for at most `limit` of virtual time. Names
/// are looked up among those of [`Net::name`].
///
/// # Errors
/// [`Stuck`] where requests are held when that time is over ([`Stuck::for_ever`] is false: a larger `limit`
/// may do), or when nothing can happen any more.
///
/// A handler that pauses makes it come back, with [`Stuck::for_ever`], when nothing else is left to
/// do: resume what waits through [`Driver::ctl`], and run on.
pub fn run(
    driver: &mut Driver<Net>,
    handler: &mut dyn Handler,
    limit: Duration,
) -> Result<(), Stuck> {
    let start = driver.net_mut().time;
    // What has been commanded since the last run may be what it was waiting for.
    driver.net_mut().ledger.stuck = false;
    loop {
        look_up(driver, handler);
        let held = driver.engine().held();
        if held == 0 {
            return Ok(());
        }
        let after = driver.net().time - start;
        let for_ever = driver.net().ledger.stuck;
        if after > limit || for_ever {
            return Err(Stuck { held, after, for_ever });
        }
        // A wait of the simulated net can't fail.
        let _ = driver.turn(None, handler);
    }
}

/// Answers all look-ups.
pub fn look_up(driver: &mut Driver<Net>, handler: &mut dyn Handler) {
    while let Some(host) = driver.next_lookup() {
        let name = driver.engine().origin(host).host.to_owned();
        let addresses = driver.net().addresses_of(&name).to_vec();
        let unknown = DnsFailure {
            name: "dns_nxdomain",
            detail: "no such name",
            hint: None,
            transient: false,
            servers: NameServers::Answered,
        };
        let lifetime = Duration::from_secs(3600);
        let result = if addresses.is_empty() {
            Err(unknown)
        } else {
            Ok(Resolved { addresses: &addresses, lifetime, stale: false })
        };
        driver.resolved(host, result, handler);
    }
}
