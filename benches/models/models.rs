//! The servers of issue 6, each with its service time, so that goodput at its limit is nearly
//! twice that at half of it.

use std::net::SocketAddr;

use gannet::origin::traffic::{Connections, Full, Level, Rate, Service, Thrash, Time};
use gannet::origin::{Script, presets};

/// A server, and how it is asked.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// What a request takes at the server, in milliseconds.
    pub(crate) service_ms: u64,
    /// There and back, in milliseconds.
    pub(crate) distance_ms: u64,
    /// Its true limit, where it has one.
    limit: Option<u32>,
    /// One script, or one for each of several hosts.
    pub(crate) scripts: fn() -> Vec<Script>,
    /// Bytes of an answer.
    bytes: u32,
    /// 300 names share its address.
    pub(crate) many_names: bool,
    /// Its name has two addresses, of which the first is dead.
    dead_first: bool,
    /// Whether more at once only waits longer.
    pub(crate) queues: bool,
    /// Whether it is also asked from other starts than the usual one.
    pub(crate) starts: bool,
}

const PLAIN: Model = Model {
    name: "",
    service_ms: 50,
    distance_ms: 0,
    limit: None,
    scripts: Vec::new,
    bytes: 1000,
    many_names: false,
    dead_first: false,
    queues: false,
    starts: true,
};

/// All of them.
pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "hard 6, reset",
        limit: Some(6),
        scripts: || hard(6, Full::ResetOnAccept),
        ..PLAIN
    },
    Model { name: "hard 6, refused", limit: Some(6), scripts: || hard(6, Full::Refuse), ..PLAIN },
    Model {
        name: "hard 6, 503",
        limit: Some(6),
        scripts: || hard(6, presets::UNAVAILABLE),
        ..PLAIN
    },
    Model {
        name: "hard 24, reset",
        limit: Some(24),
        scripts: || hard(24, Full::ResetOnAccept),
        ..PLAIN
    },
    Model {
        name: "hard 24, refused",
        limit: Some(24),
        scripts: || hard(24, Full::Refuse),
        ..PLAIN
    },
    Model {
        name: "hard 24, 503",
        limit: Some(24),
        scripts: || hard(24, presets::UNAVAILABLE),
        ..PLAIN
    },
    Model {
        name: "hard 24, 503 by request",
        limit: Some(24),
        scripts: || vec![workers(24, Some(0))],
        ..PLAIN
    },
    Model {
        name: "hard 100, reset",
        limit: Some(100),
        scripts: || hard(100, Full::ResetOnAccept),
        ..PLAIN
    },
    Model {
        name: "hard 100, refused",
        limit: Some(100),
        scripts: || hard(100, Full::Refuse),
        ..PLAIN
    },
    Model {
        name: "hard 100, 503",
        limit: Some(100),
        scripts: || hard(100, presets::UNAVAILABLE),
        ..PLAIN
    },
    Model {
        name: "8 workers",
        limit: Some(8),
        scripts: || vec![workers(8, None)],
        queues: true,
        ..PLAIN
    },
    Model {
        name: "8 workers, exponential times",
        limit: Some(8),
        scripts: || {
            vec![Script {
                service: Some(Service {
                    time: Time::ExponentialUs(50_000),
                    workers: Some(8),
                    ..Service::default()
                }),
                ..Script::new()
            }]
        },
        ..PLAIN
    },
    Model {
        name: "bandwidth 16 MB/s",
        service_ms: 20,
        limit: Some(9),
        scripts: || vec![Script { bandwidth: Some(16_000_000), ..of(20) }],
        bytes: 40_000,
        ..PLAIN
    },
    Model {
        name: "rate 100/s, burst 10",
        limit: Some(5),
        scripts: || rate(100.0, 10, false),
        ..PLAIN
    },
    Model {
        name: "rate 100/s, burst 100",
        limit: Some(5),
        scripts: || rate(100.0, 100, false),
        ..PLAIN
    },
    Model {
        name: "rate 100/s, burst 10, Retry-After",
        limit: Some(5),
        scripts: || rate(100.0, 10, true),
        ..PLAIN
    },
    Model {
        name: "rate 100/s, burst 100, Retry-After",
        limit: Some(5),
        scripts: || rate(100.0, 100, true),
        ..PLAIN
    },
    Model {
        name: "thrash beyond 16",
        limit: Some(16),
        scripts: || {
            let thrash = Some(Thrash { beyond: 16, power: 2 });
            vec![Script { service: Some(Service { thrash, ..time(50) }), ..Script::new() }]
        },
        ..PLAIN
    },
    Model {
        name: "8, 32, 8",
        limit: Some(32),
        scripts: || {
            let limit = Level::Steps(vec![(0, 8), (10_000, 32), (20_000, 8)]);
            vec![Script {
                connections: Some(Connections { limit, full: Full::ResetOnAccept }),
                ..of(50)
            }]
        },
        ..PLAIN
    },
    Model {
        name: "80 ms away",
        service_ms: 20,
        distance_ms: 80,
        scripts: || vec![of(20)],
        ..PLAIN
    },
    Model {
        name: "300 names, one address bears 20",
        limit: Some(20),
        scripts: || hard(20, Full::ResetOnAccept),
        many_names: true,
        starts: false,
        ..PLAIN
    },
    Model {
        name: "two addresses, one dead",
        limit: Some(24),
        scripts: || hard(24, Full::ResetOnAccept),
        dead_first: true,
        starts: false,
        ..PLAIN
    },
    Model {
        name: "two hosts, 6 refused and 24 503",
        scripts: || [hard(6, Full::Refuse), hard(24, presets::UNAVAILABLE)].concat(),
        limit: Some(24),
        starts: false,
        ..PLAIN
    },
];

fn time(ms: u64) -> Service {
    Service { time: Time::FixedUs(ms * 1000), ..Service::default() }
}

fn of(ms: u64) -> Script {
    Script { service: Some(time(ms)), ..Script::new() }
}

fn hard(connections: usize, full: Full) -> Vec<Script> {
    let limit = Level::Fixed(connections);
    vec![Script { connections: Some(Connections { limit, full }), ..of(50) }]
}

fn workers(workers: usize, queue: Option<usize>) -> Script {
    let service = Service { workers: Some(workers), queue, ..time(50) };
    Script { service: Some(service), ..Script::new() }
}

fn rate(per_second: f64, burst: u32, retry_after: bool) -> Vec<Script> {
    vec![Script {
        rate: Some(Rate { per_second, burst, retry_after, ..Rate::default() }),
        ..of(50)
    }]
}

impl Model {
    /// The fixed levels to compare with.
    pub(crate) fn levels(&self, full: bool) -> Vec<u32> {
        let mut levels = match (full, self.limit) {
            (true, _) => vec![1, 2, 4, 8, 16, 32, 64, 128],
            (false, Some(limit)) => vec![limit * 2],
            (false, None) => vec![64, 128],
        };
        if let Some(limit) = self.limit {
            levels.extend([limit / 2, limit]);
            if full {
                levels.extend([limit - 1, limit + 1]);
            }
        }
        levels.sort_unstable();
        levels.dedup();
        levels
    }

    /// What is asked for, in turn.
    pub(crate) fn urls(&self, addresses: &[SocketAddr]) -> Vec<String> {
        let path = format!("bytes/{}", self.bytes);
        if self.many_names {
            let port = addresses[0].port();
            return (0..300).map(|n| format!("http://n{n}.test:{port}/{path}")).collect();
        }
        if self.dead_first {
            return vec![format!("http://two.test:{}/{path}", addresses[0].port())];
        }
        addresses.iter().map(|address| format!("http://{address}/{path}")).collect()
    }

    /// Options of the command that only say where names are.
    pub(crate) fn options(&self, addresses: &[SocketAddr]) -> Vec<String> {
        let port = addresses[0].port();
        let known = match (self.many_names, self.dead_first) {
            (true, _) => format!("*:{port}:127.0.0.1"),
            // Nothing listens there.
            (_, true) => format!("two.test:{port}:127.0.0.9,127.0.0.1"),
            _ => return Vec::new(),
        };
        vec!["--resolve".into(), known]
    }
}
