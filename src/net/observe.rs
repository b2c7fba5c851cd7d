//! Looking on, from a logging framework: adapters for `log` and `tracing`, each behind the feature
//! of its name.
//!
//! Owns the choice of a level for each event, and nothing else. The events are the engine's
//! ([`Observer`]); the library itself logs nothing.

pub use crate::engine::observe::{Event, Observer, What};

/// How much an event matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Level {
    /// One for each request and connection.
    Trace,
    /// Changes of a limit.
    Debug,
    /// Another attempt follows.
    Info,
    /// Something was given up, or missed.
    Warn,
}

/// How much an event matters.
pub const fn level(what: &What) -> Level {
    match what {
        What::Down | What::Asked { .. } | What::Missed { .. } => Level::Warn,
        What::Again { .. } | What::Done { result: Err(_), .. } => Level::Info,
        What::Limit { .. } | What::Moved { .. } => Level::Debug,
        _ => Level::Trace,
    }
}

/// Writes events to the `log` crate, with the target `gannet`.
///
/// ```
/// # use gannet::engine::{Config, Engine};
/// let mut engine = Engine::new(Config::default());
/// engine.watch(1_024);
/// // … after each turn:
/// engine.observe(&mut gannet::net::observe::Log);
/// ```
#[cfg(feature = "log")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

#[cfg(feature = "log")]
impl Observer for Log {
    fn event(&mut self, origin: &crate::engine::Origin<'_>, event: &Event) {
        let level = match level(&event.what) {
            Level::Trace => log::Level::Trace,
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
        };
        log::log!(target: "gannet", level, "{origin}: {}", event.what);
    }
}

/// Writes events to the `tracing` crate, with the target `gannet` and the fields `scheme`, `host`
/// and `port`.
///
/// ```
/// # use gannet::engine::{Config, Engine};
/// let mut engine = Engine::new(Config::default());
/// engine.watch(1_024);
/// // … after each turn:
/// engine.observe(&mut gannet::net::observe::Tracing);
/// ```
#[cfg(feature = "tracing")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

#[cfg(feature = "tracing")]
impl Observer for Tracing {
    fn event(&mut self, origin: &crate::engine::Origin<'_>, event: &Event) {
        let (scheme, host, port) = (origin.scheme.name(), origin.host, origin.port);
        let what = &event.what;
        match level(what) {
            Level::Trace => tracing::trace!(target: "gannet", scheme, host, port, "{what}"),
            Level::Debug => tracing::debug!(target: "gannet", scheme, host, port, "{what}"),
            Level::Info => tracing::info!(target: "gannet", scheme, host, port, "{what}"),
            Level::Warn => tracing::warn!(target: "gannet", scheme, host, port, "{what}"),
        }
    }
}
