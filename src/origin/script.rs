//! The whole script: where to listen, what to answer, what to bear, as plain data.
//!
//! Everything can be written as JSON; unknown names are errors. Rules are in `rules`, what holds
//! for the whole server, its limits and habits, is in [`traffic`](super::traffic).

use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::rules::{Action, Rule, When};
use super::traffic::{
    Arrival, Chaos, Connections, Full, KeepAlive, Outage, Rate, Service, Share, Tls,
};

/// What a server does, from the addresses that it listens on to the byte at which it cuts.
///
/// The empty script is a well-behaved server on a free port of 127.0.0.1. Paths ask for what they
/// name (see [`origin`](super)); rules change that.
///
/// ```
/// use gannet::origin::Script;
///
/// let script: Script = serde_json::from_str(
///     r#"{
///         "connections": {"limit": 24, "full": "reset_on_accept"},
///         "rules": [{
///             "when": {"prefix": "/bytes/", "every": 50},
///             "then": [{"cut": {"at": {"body": 100}, "how": "reset"}}]
///         }]
///     }"#,
/// )?;
/// assert!(script.check().is_ok());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Where to listen: by default a free port of 127.0.0.1. All addresses with port 0 get the
    /// same port.
    pub listen: Vec<SocketAddr>,
    /// One more address that only answers `/__stats`, outside of every limit and count.
    pub admin: Option<SocketAddr>,
    /// Where chance starts from.
    pub seed: u64,
    /// Whether limits, workers, bandwidth and rate are of the server or of each address.
    pub share: Share,
    /// The first rule that matches a request decides; without one the path does.
    pub rules: Vec<Rule>,
    /// What happens to connections before any request; the first that matches decides.
    pub arrivals: Vec<Arrival>,
    /// How many connections the server bears.
    pub connections: Option<Connections>,
    /// How long and how often a connection can be used.
    pub keep_alive: KeepAlive,
    /// How long the work for a request takes, and how much of it can be done at once.
    pub service: Option<Service>,
    /// Added before every answer without occupying a worker, as distance would.
    pub latency_ms: u64,
    /// Bytes a second, shared evenly by all answers.
    pub bandwidth: Option<u64>,
    /// Requests a second.
    pub rate: Option<Rate>,
    /// Answers cut at random.
    pub chaos: Option<Chaos>,
    /// Times at which the server is down: nothing listens, and what was open is reset.
    pub outages: Vec<Outage>,
    /// Speak TLS.
    pub tls: Option<Tls>,
    /// Count every `METHOD target` for itself.
    pub count_requests: bool,
}

impl Script {
    /// A well-behaved server on a free port of 127.0.0.1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens on 127.0.0.1 to 127.0.0.`addresses`, all with the same free port.
    #[must_use]
    pub fn on_loopback(mut self, addresses: u8) -> Self {
        self.listen = (1..=addresses).map(|last| ([127, 0, 0, last], 0).into()).collect();
        self
    }

    /// Adds a rule after those that are there.
    #[must_use]
    pub fn rule(mut self, when: When, then: impl Into<Vec<Action>>) -> Self {
        self.rules.push(Rule { when, then: then.into() });
        self
    }

    /// Whether the script means something: what is wrong with it otherwise.
    pub fn check(&self) -> io::Result<()> {
        let wrong = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        let is_chance = |chance: f64| (0.0..=1.0).contains(&chance);
        let mut chances = self
            .rules
            .iter()
            .filter_map(|rule| rule.when.probability)
            .chain(self.arrivals.iter().filter_map(|arrival| arrival.probability));
        if !chances.all(is_chance)
            || self.chaos.as_ref().is_some_and(|it| !is_chance(it.probability))
        {
            return wrong("a probability is from 0 to 1");
        }
        if self.rules.iter().any(|rule| rule.when.every == Some(0)) {
            return wrong("`every` is at least 1");
        }
        if self.bandwidth == Some(0) {
            return wrong("a bandwidth of 0 sends nothing");
        }
        if self.rate.as_ref().is_some_and(|rate| rate.per_second.is_nan() || rate.per_second <= 0.0)
        {
            return wrong("a rate is above 0");
        }
        if self.service.as_ref().is_some_and(|service| service.workers == Some(0)) {
            return wrong("a server without workers never answers");
        }
        for rule in &self.rules {
            for action in &rule.then {
                match action {
                    Action::Drip(drip) if drip.bytes == 0 => {
                        return wrong("a drip of 0 bytes never ends");
                    }
                    Action::Chunked(chunked) if chunked.sizes.contains(&0) => {
                        return wrong("a chunk of 0 bytes is the last one");
                    }
                    Action::Status(status) if !(100..=999).contains(status) => {
                        return wrong("a status has three digits");
                    }
                    _ => {}
                }
            }
        }
        if let Some(Connections { limit, full, .. }) = &self.connections {
            limit.check()?;
            if let Full::Answer { status, .. } = full
                && !(100..=999).contains(status)
            {
                return wrong("a status has three digits");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{At, Bytes, Chunked, Cut, How, Length};
    use super::*;

    #[test]
    fn a_script_survives_json() {
        let script = Script::new().on_loopback(2).rule(
            When::prefix("/a")
                .method("GET")
                .nth(3)
                .nth_on_connection(1..=2)
                .attempt(2..)
                .every(5)
                .with_probability(0.5),
            [
                Action::Status(200),
                Action::Field("Name".into(), Bytes(vec![0, 128, 255])),
                Action::Chunked(Chunked { sizes: vec![1], ..Chunked::default() }),
                Action::Length(Length::Plus(-3)),
                Action::Cut(Cut { at: At::Random, how: How::Stall }),
                Action::CloseQuietly,
            ],
        );
        let text = serde_json::to_string(&script).unwrap();
        assert_eq!(serde_json::from_str::<Script>(&text).unwrap(), script, "{text}");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            r#"{"rulez": []}"#,
            r#"{"rules": [{"then": ["explode"]}]}"#,
            r#"{"rules": [{"then": [{"raw": "\u20ac"}]}]}"#,
        ] {
            assert!(serde_json::from_str::<Script>(text).is_err(), "{text}");
        }
        for text in [
            r#"{"rules": [{"when": {"every": 0}}]}"#,
            r#"{"rules": [{"when": {"probability": 1.5}}]}"#,
            r#"{"rules": [{"then": [{"status": 42}]}]}"#,
            r#"{"rules": [{"then": [{"drip": {"bytes": 0, "every_ms": 1}}]}]}"#,
            r#"{"rules": [{"then": [{"chunked": {"sizes": [0]}}]}]}"#,
            r#"{"bandwidth": 0}"#,
            r#"{"rate": {"per_second": 0}}"#,
            r#"{"service": {"workers": 0}}"#,
            r#"{"connections": {"limit": [[0, 8], [10, 4], [5, 2]]}}"#,
        ] {
            let script: Script = serde_json::from_str(text).unwrap();
            assert!(script.check().is_err(), "{text}");
        }
    }
}
