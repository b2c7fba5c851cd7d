//! **gannet** is an event-driven, low-level HTTP/1.1 fetch engine: one thread, one event loop, bounded memory, no
//! async runtime. It finds the concurrency that a host bears, keeps its connection pool aligned with it, repeats
//! exactly what is safe to repeat, continues what was cut, and loses nothing.
//!
//! # Layers
//!
//! Arrows point downward only (`tests/layers.rs` sees to it).
//!
//! ```text
//!   cli      files, terminal, options                 origin  a scripted server that can
//!    │                                                        misbehave (demo, tests, benches)
//!   fetch    what a user means by one URL
//!    │
//!   net      readiness and TLS pump ── dns, tls       sim     `net::Net` with faults and
//!    │       (only `net::mio` makes system calls)             virtual time
//!   engine   jobs, hosts, connections, deadlines, pool, retry, adaptive limit
//!    │
//!   proto    HTTP/1.1 as bytes: requests, heads, framing, chunks
//!    │
//!   base     time as a number, keys, lists, timers, hashes
//! ```
//!
//! `proto` is a function of bytes. `engine` is a function of (inputs, time, seed). `net::Driver` is generic over the
//! operating system. So the same code runs on real sockets, in the deterministic simulation, under the fuzzer and in
//! somebody else's event loop. `base`, `proto`, `engine` and `dns` are `no_std` + `alloc`.
//!
//! # Which door
//!
//! - `Fetcher` (feature `fetch`): URLs in, results out; redirects, decoding, authentication.
//! - `net::Driver` over `net::mio::Mio` (feature `mio`): ready-made requests on one
//!   descriptor inside a loop of your own.
//! - [`engine::Engine`] alone (no features): bytes, time and randomness in, bytes and actions out.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod base;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "dns")]
pub mod dns;
pub mod engine;
#[cfg(feature = "fetch")]
pub mod fetch;
#[cfg(feature = "std")]
pub mod net;
#[cfg(feature = "origin")]
pub mod origin;
pub mod proto;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "tls")]
pub mod tls;

#[cfg(feature = "fetch")]
pub use fetch::Fetcher;

/// The embedder's guide, compiled.
#[cfg(all(doctest, feature = "mio"))]
#[doc = include_str!("../docs/embedding.md")]
pub struct Embedding;

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "fetch"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
