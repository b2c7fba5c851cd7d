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
//! 1. **URLs in, answers out**: `Fetcher` (feature `fetch`), with redirects, decoding and
//!    authentication. Simply by `get` and `next`, which collect; or with a `fetch::Visitor`, in a loop of
//!    your own, on one descriptor: `submit`, `turn`, `next_timeout` (`examples/mirror.rs`).
//! 2. **Ready-made requests in a foreign loop**: `net::Driver` over `net::mio::Mio` (feature
//!    `mio`): one descriptor (`AsFd`), `next_deadline`, `turn` (`examples/mio_loop.rs`,
//!    `examples/poll_loop.rs`; tokio and calloop in `examples/loops`).
//! 3. **No I/O**: [`engine::Engine`] alone (no features, `no_std` + `alloc`): bytes, time and
//!    randomness in, bytes, actions and events out (`examples/sans_io.rs`).
//!
//! `docs/embedding.md` is the guide to all three: the loop's contract, memory, limits, repeats, hooks,
//! other threads, who looks on. `docs/c.md` is about the same from C. `gannet::sim` (feature `sim`)
//! tests your own handler against resets at every byte.
//!
//! # Features
//!
//! | feature | what it adds | has in it |
//! |---|---|---|
//! | none | `base`, `proto`, `engine`: `no_std` + `alloc` | |
//! | `std` | `net::Driver` over a `net::Net` of your own | |
//! | `mio` | `net::mio`: the system's sockets | `std` |
//! | `dns` | the resolver: `dns`, and `net::Names` with `std` | |
//! | `tls` | `tls`, by rustls with *ring*, Mozilla's authorities compiled in | `std` |
//! | `fetch` | `Fetcher`: URLs, redirects, decoding | `mio`, `tls`, `dns`, `simd` |
//! | `zstd` | that coding, through libzstd | `fetch` |
//! | `native-roots` | `tls::Roots::Native`: the system's authorities | `tls` |
//! | `aws-lc-rs` | aws-lc-rs in place of *ring* | `tls` |
//! | `simd` | heads by the widest vector instructions there are | `std` |
//! | `remote` | handles for other threads | `mio` |
//! | `log`, `tracing` | `net::observe::Log`, `net::observe::Tracing` | `std` |
//! | `sim` | the simulator, to test a handler | `std` |
//! | `origin` | a scripted server, to test a visitor; not held stable | `demo`, rustls |
//! | `cli` | the command, with its `demo`; not held stable. On by default | `fetch`, `demo`, `native-roots` |
#![cfg_attr(
    feature = "fetch",
    doc = "
```no_run
use gannet::Fetcher;
use gannet::fetch::Options;

let mut fetcher = Fetcher::new(Options::default())?;
let mut pages = 1..=100;
loop {
    // No more than it has room for: what is whole waits in memory until it is taken.
    while fetcher.wants() > 0
        && let Some(page) = pages.next()
    {
        fetcher.get(&format!(\"https://example.org/pages/{page}\"))?;
    }
    let Some(response) = fetcher.next()? else { break };
    println!(\"{} {:?} {}\", response.url, response.result, response.body.len());
}
# Ok::<(), Box<dyn std::error::Error>>(())
```
"
)]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// Nothing that comes from outside may end the process it runs in. Where bytes from the network are read (`proto`,
// `dns`, `tls`, `net`) slices and lists are not indexed either; a file of another layer that does it says why it can't fail.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

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
#[cfg(feature = "demo")]
pub mod origin;
pub mod proto;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "tls")]
pub mod tls;

#[cfg(feature = "fetch")]
pub use fetch::Fetcher;

/// The embedder's guide, compiled.
#[cfg(all(doctest, feature = "fetch", feature = "remote"))]
#[doc = include_str!("../docs/embedding.md")]
pub struct Embedding;

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "fetch"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
