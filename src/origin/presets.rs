//! Servers of known character, for the demo, for tests and for benches.
//!
//! Every one that limits something also says how long its work takes, so that doubling the
//! concurrency below the limit nearly doubles the goodput.

use super::rules::How;
use super::script::Script;
use super::traffic::{
    Arrival, Chaos, Connections, Full, KeepAlive, Level, Rate, Service, Thrash, Time, Tls, Welcome,
};

/// What a request takes in all presets with work: 20 ms.
pub const SERVICE_US: u64 = 20_000;

/// Names of the presets that need nothing but their name.
pub const NAMES: [&str; 19] = [
    "plain",
    "hard-limit",
    "hard-limit-on-request",
    "hard-limit-refuse",
    "hard-limit-503",
    "hard-limit-wait",
    "queue",
    "bandwidth",
    "rate-limit",
    "rate-limit-silent",
    "thrash",
    "jump",
    "distance",
    "flaky",
    "idle-close",
    "max-requests",
    "banner",
    "silent",
    "outage",
];

/// A preset by its name, with the usual numbers.
pub fn by_name(name: &str) -> Option<Script> {
    Some(match name {
        "plain" => Script::new(),
        "hard-limit" => hard_limit(24),
        "hard-limit-on-request" => hard_limit_with(24, Full::ResetOnRequest),
        "hard-limit-refuse" => hard_limit_with(24, Full::Refuse),
        "hard-limit-503" => hard_limit_with(24, UNAVAILABLE),
        "hard-limit-wait" => hard_limit_with(24, Full::Wait),
        "queue" => queue(8),
        "bandwidth" => bandwidth(4_000_000),
        "rate-limit" => rate_limit(100.0, true),
        "rate-limit-silent" => rate_limit(100.0, false),
        "thrash" => thrash(16),
        "jump" => jump(),
        "distance" => distance(80),
        "flaky" => flaky(0.02, How::Reset),
        "idle-close" => idle_close(150),
        "max-requests" => max_requests(50),
        "banner" => banner(),
        "silent" => silent(),
        "outage" => outage(2_000, 3_000),
        _ => return None,
    })
}

/// What a server says that has no room: 503, and no more.
pub const UNAVAILABLE: Full = Full::Answer { status: 503, retry_after: None, at_once: false };

/// Bears so many connections and resets every further one; 20 ms a request.
pub fn hard_limit(connections: usize) -> Script {
    hard_limit_with(connections, Full::ResetOnAccept)
}

/// The same with another way to turn away.
pub fn hard_limit_with(connections: usize, full: Full) -> Script {
    Script {
        connections: Some(Connections { limit: Level::Fixed(connections), full }),
        service: Some(Service { time: Time::FixedUs(SERVICE_US), ..Service::default() }),
        ..Script::new()
    }
}

/// So many workers with 20 ms a request and an unlimited queue.
pub fn queue(workers: usize) -> Script {
    let service =
        Service { time: Time::FixedUs(SERVICE_US), workers: Some(workers), ..Service::default() };
    Script { service: Some(service), ..Script::new() }
}

/// So many bytes a second for all together; 20 ms a request.
pub fn bandwidth(bytes_per_second: u64) -> Script {
    let service = Service { time: Time::FixedUs(SERVICE_US), ..Service::default() };
    Script { bandwidth: Some(bytes_per_second), service: Some(service), ..Script::new() }
}

/// So many requests a second, 429 above it; 20 ms a request.
pub fn rate_limit(per_second: f64, retry_after: bool) -> Script {
    let burst = (per_second / 10.0).ceil().max(1.0) as u32;
    Script {
        rate: Some(Rate { per_second, burst, retry_after, ..Rate::default() }),
        service: Some(Service { time: Time::FixedUs(SERVICE_US), ..Service::default() }),
        ..Script::new()
    }
}

/// 20 ms a request, and beyond so many at once the more the more there are.
pub fn thrash(beyond: usize) -> Script {
    let service = Service {
        time: Time::FixedUs(SERVICE_US),
        thrash: Some(Thrash { beyond, power: 2 }),
        ..Service::default()
    };
    Script { service: Some(service), ..Script::new() }
}

/// A limit of 8 connections that becomes 32 after 10 s and 8 again after 20 s.
pub fn jump() -> Script {
    jump_at(&[(0, 8), (10_000, 32), (20_000, 8)])
}

/// A limit that changes at these milliseconds after the first connection.
pub fn jump_at(steps: &[(u64, usize)]) -> Script {
    let mut script = hard_limit(0);
    script.connections =
        Some(Connections { limit: Level::Steps(steps.to_vec()), full: Full::ResetOnAccept });
    script
}

/// No limit, but every answer comes so many milliseconds late, as from far away.
pub fn distance(ms: u64) -> Script {
    Script { latency_ms: ms, ..Script::new() }
}

/// Ends this part of its answers at a random byte.
pub fn flaky(probability: f64, how: How) -> Script {
    Script { chaos: Some(Chaos { probability, how }), ..Script::new() }
}

/// Closes connections that idled so many milliseconds.
pub fn idle_close(ms: u64) -> Script {
    Script { keep_alive: KeepAlive { idle_ms: Some(ms), ..KeepAlive::default() }, ..Script::new() }
}

/// Closes connections after so many requests, without a word before.
pub fn max_requests(requests: u64) -> Script {
    let keep_alive =
        KeepAlive { max_requests: Some(requests), quiet: true, ..KeepAlive::default() };
    Script { keep_alive, ..Script::new() }
}

/// Speaks first, and not HTTP: an SSH server.
pub fn banner() -> Script {
    let bytes = "SSH-2.0-OpenSSH_9.9p1\r\n".into();
    arriving(Welcome::Banner { bytes, then: Some(How::Stall) })
}

/// Accepts, and never says anything.
pub fn silent() -> Script {
    arriving(Welcome::End(How::Stall))
}

/// Does this to every connection.
pub fn arriving(then: Welcome) -> Script {
    Script { arrivals: vec![Arrival { nth: None, probability: None, then }], ..Script::new() }
}

/// Is down from so many milliseconds after the first connection on, for so many.
pub fn outage(at_ms: u64, for_ms: u64) -> Script {
    Script { outages: vec![super::traffic::Outage { at_ms, for_ms }], ..Script::new() }
}

/// Speaks TLS, by a certificate and its key as PEM.
pub fn tls(certificates: &str, key: &str) -> Script {
    let tls = Tls { certificates: certificates.into(), key: key.into(), ..Tls::default() };
    Script { tls: Some(tls), ..Script::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_sound_script() {
        for name in NAMES {
            assert!(by_name(name).unwrap().check().is_ok(), "{name}");
        }
        assert!(by_name("perfect").is_none());
    }
}
