//! Several who share a server: two clients, and many names on one address.

use gannet::base::Instant;
use gannet::engine::limit::{Limit, LimitConfig};

use crate::world::{Beyond, Client, Model, World};
use crate::{client, pace, percent, search};

/// Jain's index of two: 1 when they have the same, 1/2 when one has all.
fn jain(a: f64, b: f64) -> f64 {
    (a + b).powi(2) / (2.0 * (a * a + b * b))
}

/// What two clients get in the last 20 of 60 s, the second of which begins later.
fn two(limit: fn(u64) -> u32, service: u64, seed: u64, later_ms: u64) -> [f64; 2] {
    let model = Model { service, hard: Some((limit, Beyond::Reset)), ..Model::default() };
    let mut world = World::new(&model, seed);
    world.add(client(search(4, seed)), 0);
    world.add(client(search(4, seed + 100)), later_ms);
    world.run(60);
    [0, 1].map(|at| world.clients[at].stats.seconds[40..60].iter().sum::<u64>() as f64)
}

#[test]
fn two_clients_share_a_hard_limit() {
    let limits: [(fn(u64) -> u32, f64); 4] =
        [(|_| 6, 6.0), (|_| 12, 12.0), (|_| 24, 24.0), (|_| 100, 100.0)];
    for (service, (limit, bears)) in [20, 50].into_iter().flat_map(|it| limits.map(|row| (it, row)))
    {
        for later in [0, 20, 1000, 10_000] {
            let mut indices = Vec::new();
            let mut sum = 0.0;
            for seed in 3..11 {
                let [a, b] = two(limit, service, seed, later);
                let full = bears * 1000.0 / service as f64 * 20.0;
                assert!(a.min(b) >= full / 40.0, "one of them starves: {a} and {b} of {full}");
                assert!(a + b >= full * 0.9, "{a} + {b} of {full}");
                indices.push(jain(a, b));
                sum += (a + b) * 100.0 / full / 8.0;
            }
            let mean = indices.iter().sum::<f64>() / indices.len() as f64;
            let row = format!("limit {bears}, {service} ms, {later} ms later: Jain {mean:.2}");
            println!("{row} of {indices:.2?}, both {sum:.1} %");
            assert!(mean >= 0.85, "{row} of {indices:?}");
        }
    }
}

/// 300 names on one address that bears 20: one controller for all of them. Also where the server closes
/// after each answer, or after few: one connection too many then is refused but once in so many as it
/// bears, which looks like chance.
#[test]
fn many_names_do_not_add_up() {
    let rows = [(20, 100), (50, 100), (50, 1000), (100, 20)];
    for requests_per_connection in [u32::MAX, 3, 1] {
        for (service, each) in rows {
            let hard = Some(((|_| 20) as fn(u64) -> u32, Beyond::Reset));
            let model = Model { service, hard, requests_per_connection, ..Model::default() };
            let run = |address: Limit, naive, seed| {
                let hosts = (0..300).map(|name| (search(4, name), pace(), each)).collect();
                let mut client = Client::new(hosts, Some(address));
                client.naive = naive;
                let mut world = World::new(&model, seed);
                world.add(client, 0);
                world.run(30);
                let client = world.clients.pop().unwrap();
                (client.stats, client.address.unwrap().explain().to_string())
            };
            let best = [16, 19, 20, 21].map(|level| run(Limit::fixed(level), true, 3).0.served);
            let best = best.into_iter().max().unwrap();
            let config = LimitConfig { ceiling: 128, ..LimitConfig::address(128) };
            for seed in 3..7 {
                let (stats, words) = run(Limit::new(&config, seed + 2, Instant::ZERO), false, seed);
                let part = percent(stats.served, best);
                let refused = stats.refused_part() * 100.0;
                let row =
                    format!("{requests_per_connection} a connection, {service} ms, {each} each");
                println!("{row}: {part:.1} %, refused {refused:.2} %; {words}");
                assert!(
                    part >= 95.0 && refused < 0.5,
                    "{row}: {part:.1} %, {refused:.2} %; {words}"
                );
            }
        }
    }
}
