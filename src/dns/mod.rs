//! Names to addresses without a blocking call: a stub resolver as a state machine.
//!
//! Owns questions and answers, whom to ask, retransmission and the cache; has no socket, no clock
//! and no randomness of its own. A driver asks [`Resolver::resolve`], does what
//! [`Resolver::poll`] says after every call, hands datagrams and streams in, and calls
//! [`Resolver::tick`] at [`Resolver::deadline`].
//!
//! ```
//! use gannet::base::Instant;
//! use gannet::dns::{Action, Config, Lookup, Resolver};
//!
//! let servers = vec!["192.0.2.53:53".parse().unwrap()];
//! let mut resolver = Resolver::new(Config { servers, ..Config::default() });
//! let now = Instant::ZERO;
//! let Lookup::Pending(key) = resolver.resolve("example.com", now) else { panic!() };
//! let mut payload = Vec::new();
//! let mut random = || 4; // a real one has this from the system
//! while let Some(action) = resolver.poll(now, &mut random, &mut payload) {
//!     if let Action::Send { query, server, .. } = action {
//!         // Open a socket for `query`, connected to `server`; send `payload`.
//!         assert_eq!((server.port(), payload.len()), (53, 40));
//!         // Later: resolver.datagram(query, server, &bytes, now)
//! #       let _ = query;
//!     }
//! }
//! assert!(resolver.deadline().is_some());
//! assert_eq!(resolver.resolve("EXAMPLE.com", now), Lookup::Pending(key));
//! ```
//!
//! - **One look-up a name**, A and AAAA side by side (RFC 8305), each question on a socket of its
//!   own with an id of its own (RFC 5452). What is no answer to it is passed over.
//! - **Servers** by what they did lately: a silent one is left alone for a while, SERVFAIL and
//!   REFUSED lead to the next one, NXDOMAIN does not. Nobody is asked who was not named.
//! - **The cache** is bounded, negative answers are kept (RFC 2308), and expired ones serve for a
//!   while when no server answers (RFC 8767).
//! - **Addresses** come in the order of trying: RFC 6724, families in turn, failed ones last.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod asking;
mod cache;
#[cfg(feature = "fetch")]
mod conf;
mod config;
mod error;
mod hosts;
mod lookup;
mod name;
mod resolver;
mod seam;
mod servers;
mod sort;
mod telling;
mod wire;

pub use config::{CacheConfig, Config, Families, MAX_SERVERS, PORT, Reach};
pub use error::{DnsError, DnsErrorKind, Report, Said};
pub use hosts::hosts;
pub use lookup::{LookupKey, OpenQuery, PendingLookup, QueryKey};
pub use resolver::Resolver;
pub use seam::{Action, Answer, Lookup, SocketFailure, Source, Stats};

#[cfg(test)]
mod tests;
