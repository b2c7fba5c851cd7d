//! Servers that nobody described to the client, for the demo and the bench of the limit.
//!
//! Each with its service time, so that goodput at its limit is nearly twice that at half of it; with
//! what is asked of it, and under which names. Owns no figures of clients: those are measured.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use super::presets;
use super::rules::How;
use super::traffic::{Chaos, Connections, Full, KeepAlive, Level, Rate, Service, Thrash, Time};
use super::{Relay, Running, Script, spawn};

/// A server, and how it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// What it is called in tables.
    pub name: &'static str,
    /// What a request takes at the server, in milliseconds.
    pub service_ms: u64,
    /// There and back, in milliseconds.
    pub distance_ms: u64,
    /// The connections at which it serves best, where there is such a number.
    pub limit: Option<u32>,
    /// Requests a second that it can serve.
    pub per_second: u32,
    /// One script, or one for each of several hosts.
    scripts: fn() -> Vec<Script>,
    /// Bytes of an answer.
    bytes: u32,
    /// 300 names share its address.
    many_names: bool,
    /// Its name has two addresses, of which the first is dead.
    dead_first: bool,
    /// Whether more at once only waits longer.
    pub queues: bool,
    /// Whether a client that starts from another level than the usual one gets there, too.
    pub starts: bool,
    /// Whether fixed levels are what to compare with.
    pub levels: bool,
    /// Whether the demo shows it without being asked for it.
    pub shown: bool,
}

const PLAIN: Model = Model {
    name: "",
    service_ms: 50,
    distance_ms: 0,
    limit: None,
    per_second: 0,
    scripts: Vec::new,
    bytes: 1000,
    many_names: false,
    dead_first: false,
    queues: false,
    starts: true,
    levels: true,
    shown: false,
};

/// All of them.
pub const MODELS: &[Model] = &[
    hard("hard 6, reset", 6, || bearing(6, Full::ResetOnAccept)),
    hard("hard 6, refused", 6, || bearing(6, Full::Refuse)),
    hard("hard 6, 503", 6, || bearing(6, presets::UNAVAILABLE)),
    Model { shown: true, ..hard("hard 24, reset", 24, || bearing(24, Full::ResetOnAccept)) },
    Model { shown: true, ..hard("hard 24, refused", 24, || bearing(24, Full::Refuse)) },
    Model { shown: true, ..hard("hard 24, 503", 24, || bearing(24, presets::UNAVAILABLE)) },
    hard("hard 24, 503 by request", 24, || vec![workers(24, Some(0))]),
    hard("hard 100, reset", 100, || bearing(100, Full::ResetOnAccept)),
    hard("hard 100, refused", 100, || bearing(100, Full::Refuse)),
    hard("hard 100, 503", 100, || bearing(100, presets::UNAVAILABLE)),
    Model { queues: true, shown: true, ..hard("8 workers", 8, || vec![workers(8, None)]) },
    Model {
        queues: true,
        ..hard("8 workers, exponential times", 8, || {
            let time = Time::ExponentialUs(50_000);
            let service = Service { time, workers: Some(8), ..Service::default() };
            vec![Script { service: Some(service), ..Script::new() }]
        })
    },
    Model {
        name: "bandwidth 16 MB/s",
        service_ms: 20,
        limit: Some(9),
        per_second: 400,
        scripts: || vec![Script { bandwidth: Some(16_000_000), ..of(20) }],
        bytes: 40_000,
        shown: true,
        ..PLAIN
    },
    Model { shown: true, ..rate("rate 100/s, burst 10", || rated(10, false)) },
    rate("rate 100/s, burst 100", || rated(100, false)),
    Model { shown: true, ..rate("rate 100/s, burst 10, Retry-After", || rated(10, true)) },
    rate("rate 100/s, burst 100, Retry-After", || rated(100, true)),
    Model {
        shown: true,
        ..hard("thrash beyond 16", 16, || {
            let thrash = Some(Thrash { beyond: 16, power: 2 });
            vec![Script { service: Some(Service { thrash, ..time(50) }), ..Script::new() }]
        })
    },
    Model {
        per_second: 320,
        ..hard("8, 32, 8, reset", 32, || stepping(10_000, Full::ResetOnAccept))
    },
    Model { per_second: 320, ..hard("8, 32, 8, refused", 32, || stepping(10_000, Full::Refuse)) },
    Model {
        per_second: 320,
        ..hard("8, 32, 8, 503", 32, || stepping(10_000, presets::UNAVAILABLE))
    },
    Model {
        per_second: 340,
        levels: false,
        shown: true,
        ..hard("8, 32, 8 within 6 s", 32, || stepping(3_000, Full::ResetOnAccept))
    },
    Model {
        name: "80 ms away",
        service_ms: 20,
        distance_ms: 80,
        per_second: 1_280,
        scripts: || vec![of(20)],
        shown: true,
        ..PLAIN
    },
    Model {
        many_names: true,
        starts: false,
        shown: true,
        ..hard("300 names, one address bears 20", 20, || bearing(20, Full::ResetOnAccept))
    },
    Model {
        dead_first: true,
        starts: false,
        shown: true,
        ..hard("two addresses, one dead", 24, || bearing(24, Full::ResetOnAccept))
    },
    Model {
        // Half of the list is for the smaller one.
        per_second: 240,
        starts: false,
        shown: true,
        ..hard("two hosts, 6 refused and 24 503", 24, || {
            [bearing(6, Full::Refuse), bearing(24, presets::UNAVAILABLE)].concat()
        })
    },
    Model {
        levels: false,
        shown: true,
        ..hard("closes after 50 requests", 16, || {
            let keep_alive =
                KeepAlive { max_requests: Some(50), quiet: true, ..KeepAlive::default() };
            vec![Script { keep_alive, ..workers(16, None) }]
        })
    },
    Model {
        levels: false,
        shown: true,
        ..hard("cuts 2 % of its answers", 16, || {
            let chaos = Some(Chaos { probability: 0.02, how: How::Reset });
            vec![Script { chaos, ..workers(16, None) }]
        })
    },
];

/// So many at once, 50 ms a request.
const fn hard(name: &'static str, limit: u32, scripts: fn() -> Vec<Script>) -> Model {
    Model { name, limit: Some(limit), per_second: limit * 20, scripts, ..PLAIN }
}

/// 100 requests a second, 50 ms each.
const fn rate(name: &'static str, scripts: fn() -> Vec<Script>) -> Model {
    Model { name, limit: Some(5), per_second: 100, scripts, ..PLAIN }
}

fn time(ms: u64) -> Service {
    Service { time: Time::FixedUs(ms * 1000), ..Service::default() }
}

fn of(ms: u64) -> Script {
    Script { service: Some(time(ms)), ..Script::new() }
}

fn bearing(connections: usize, full: Full) -> Vec<Script> {
    let limit = Level::Fixed(connections);
    vec![Script { connections: Some(Connections { limit, full }), ..of(50) }]
}

fn stepping(ms: u64, full: Full) -> Vec<Script> {
    let limit = Level::Steps(vec![(0, 8), (ms, 32), (2 * ms, 8)]);
    vec![Script { connections: Some(Connections { limit, full }), ..of(50) }]
}

fn workers(workers: usize, queue: Option<usize>) -> Script {
    let service = Service { workers: Some(workers), queue, ..time(50) };
    Script { service: Some(service), ..Script::new() }
}

fn rated(burst: u32, retry_after: bool) -> Vec<Script> {
    let rate = Some(Rate { per_second: 100.0, burst, retry_after, ..Rate::default() });
    vec![Script { rate, ..of(50) }]
}

/// A model's servers while they run, each on a thread of its own.
#[derive(Debug)]
pub struct Served {
    servers: Vec<Running>,
    relays: Vec<Relay>,
}

impl Served {
    /// Where clients connect: an address for each host.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let near = self.servers.iter().map(|server| server.addr());
        let far: Vec<SocketAddr> = self.relays.iter().map(Relay::addr).collect();
        if far.is_empty() { near.collect() } else { far }
    }

    /// Connections that were accepted, those turned away included.
    pub fn accepted(&self) -> u64 {
        self.servers.iter().map(|server| server.stats().accepted).sum()
    }

    /// Answers that were sent.
    pub fn answers(&self) -> u64 {
        self.servers.iter().map(|server| server.stats().answers).sum()
    }
}

impl Model {
    /// Starts its servers, and lines of distance before them.
    pub fn serve(&self) -> io::Result<Served> {
        let servers = (self.scripts)().into_iter().map(spawn).collect::<io::Result<Vec<_>>>()?;
        let mut relays = Vec::new();
        if self.distance_ms > 0 {
            let one_way = Duration::from_millis(self.distance_ms / 2);
            for server in &servers {
                relays.push(Relay::spawn(server.addr(), one_way)?);
            }
        }
        Ok(Served { servers, relays })
    }

    /// How many hosts it is.
    pub fn hosts(&self) -> usize {
        (self.scripts)().len()
    }

    /// What is asked for, in turn; each time with another query.
    pub fn urls(&self, addresses: &[SocketAddr]) -> Vec<String> {
        let path = format!("bytes/{}", self.bytes);
        let Some(first) = addresses.first() else { return Vec::new() };
        if self.many_names {
            return (0..300).map(|n| format!("http://n{n}.test:{}/{path}", first.port())).collect();
        }
        if self.dead_first {
            return vec![format!("http://two.test:{}/{path}", first.port())];
        }
        addresses.iter().map(|address| format!("http://{address}/{path}")).collect()
    }

    /// Where its names are: all of them at these addresses, in this order.
    pub fn found_at(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        // Nothing listens at the first one of two.
        let dead = |first: &SocketAddr| SocketAddr::from(([127, 0, 0, 9], first.port()));
        let dead = addresses.first().filter(|_| self.dead_first).map(dead);
        dead.into_iter().chain(addresses.iter().copied()).collect()
    }

    /// gannet's options: where names are, and how many connections when it is told.
    pub fn options(&self, addresses: &[SocketAddr], level: Option<u32>) -> Vec<String> {
        let mut options = Vec::new();
        let found = self.found_at(addresses);
        if let (Some(first), true) = (found.first(), self.many_names || self.dead_first) {
            let name = if self.many_names { "*" } else { "two.test" };
            let known: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
            let known = format!("{name}:{}:{}", first.port(), known.join(","));
            options.extend(["--resolve".to_owned(), known]);
        }
        if let Some(level) = level {
            options.extend(["--per-host".to_owned(), level.to_string()]);
            if self.many_names {
                options.extend(["--parallel-max".to_owned(), level.to_string()]);
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_a_sound_script_with_a_name_of_its_own() {
        for (at, model) in MODELS.iter().enumerate() {
            for script in (model.scripts)() {
                assert!(script.check().is_ok(), "{}", model.name);
            }
            assert!(model.per_second > 0, "{}", model.name);
            assert!(MODELS[..at].iter().all(|other| other.name != model.name), "{}", model.name);
        }
    }

    #[test]
    fn a_dead_address_comes_first_and_300_names_are_at_one() {
        let at = [SocketAddr::from(([127, 0, 0, 1], 80))];
        let model = |name| MODELS.iter().find(|model| model.name.contains(name)).unwrap();
        assert_eq!(
            model("one dead").options(&at, None),
            ["--resolve", "two.test:80:127.0.0.9,127.0.0.1"]
        );
        let names = model("300 names");
        assert_eq!(names.urls(&at).len(), 300);
        assert_eq!(
            names.options(&at, Some(20)),
            ["--resolve", "*:80:127.0.0.1", "--per-host", "20", "--parallel-max", "20"]
        );
        assert_eq!(model("8 workers").options(&at, Some(8)), ["--per-host", "8"]);
    }
}
