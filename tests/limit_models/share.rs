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
    for (limit, bears) in [((|_| 6) as fn(u64) -> u32, 6.0), (|_| 24, 24.0), (|_| 100, 100.0)] {
        for later in [0, 20, 1000, 5000] {
            let mut indices = Vec::new();
            for seed in 3..7 {
                let [a, b] = two(limit, 20, seed, later);
                let fair = bears * 50.0 * 20.0 / 2.0;
                assert!(a.min(b) >= fair / 20.0, "one of them starves: {a} and {b} of {fair}");
                assert!(a + b >= fair * 2.0 * 0.9, "{a} + {b} of {}", fair * 2.0);
                indices.push(jain(a, b));
            }
            let mean = indices.iter().sum::<f64>() / indices.len() as f64;
            println!("limit {bears}, {later} ms later: Jain {mean:.2} of {indices:.2?}");
            assert!(mean >= 0.8, "limit {bears}, {later} ms later: Jain {mean:.2} of {indices:?}");
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
