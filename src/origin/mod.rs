//! A scripted HTTP/1.1 server that can misbehave at any byte.
//!
//! The demo, the tests and the benches all use this one server. It shares no code with the engine
//! but the ground floor, so that neither can hide the other's mistakes; it is strict about what it
//! receives, exact in what it sends, and quick enough (one read and one write a request) not to be
//! what is measured. One thread, no lock, chance from one seed.
//!
//! A [`Script`] is plain data, in Rust or JSON. Without any rule paths ask for what they name:
//!
//! | path | answer |
//! |---|---|
//! | `/bytes/N` | N bytes of the target's own [pattern]: the query and further segments tell targets apart |
//! | `/range/N` | the same with a strong `ETag`, `Last-Modified`, `Range`, `If-Range`, 206, 304, 416 |
//! | `/chunked/N`, `/chunked/N/SIZE` | the same in chunks |
//! | `/close/N` | the same without a length: the end of the connection ends it |
//! | `/gzip/N`, `/deflate/N` | the same, coded |
//! | `/drip/N/STEP/MS` | the same, STEP bytes (of head and body) every MS milliseconds |
//! | `/delay/MS`, `/delay/MS/N` | after MS milliseconds |
//! | `/cut/HOW/K/N` | N bytes of content, cut after K of them: `reset`, `fin`, `stall` or `freeze` |
//! | `/unstable/K/N` | 503 for the first K requests for this target, then N bytes |
//! | `/status/S` | that status |
//! | `/redirect/N`, `/redirect/N/S` | N redirects, with status S |
//! | `/redirect-to?url=U`, `&status=S` | there |
//! | `/auth/basic/USER/PASS`, `/auth/bearer/TOKEN` | 401 without them |
//! | `/cookies/set/NAME/VALUE` | `Set-Cookie` |
//! | `/echo` | the request as it was received: request line, fields, content (without its coding) |
//! | `/inspect` | the same as JSON |
//! | `/__stats` | [`Counters`] as JSON |
//!
//! ```
//! use gannet::origin::{Action, At, Cut, How, Script, When, presets, spawn};
//!
//! // The second request for anything is reset in the middle of its body.
//! let cut = Action::Cut(Cut { at: At::Body(100), how: How::Reset });
//! let server = spawn(Script::new().rule(When::always().attempt(2), [cut]))?;
//! println!("{}", server.url("/bytes/1000"));
//!
//! // 24 connections are served, the 25th is reset.
//! let limited = spawn(presets::hard_limit(24))?;
//! assert_eq!(limited.stats().turned_away, 0);
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod builtin;
mod codec;
mod conn;
mod listen;
pub mod models;
mod outgoing;
pub mod pattern;
pub mod presets;
mod relay;
mod request;
mod rules;
mod running;
mod script;
mod server;
#[cfg(feature = "origin")]
mod session;
#[cfg(not(feature = "origin"))]
#[path = "sessionless.rs"]
mod session;
mod site;
mod stats;
mod stream;
pub mod traffic;
mod world;

pub use relay::Relay;
pub use rules::{
    Action, At, Body, Bytes, Chunked, Cut, Drip, How, Interim, Length, Pause, Redirect, Rule, Span,
    When,
};
pub use running::{Handle, Running, spawn};
pub use script::Script;
pub use server::Server;
pub use stats::{AddressCounters, Counters};
