//! The pace against servers that answer 429, told apart from limits of connections.

use crate::world::{Model, RateLimit};
use crate::{alone, client, percent, search};

fn bucket(per_second: u64, burst: u64, retry_after: Option<u64>) -> RateLimit {
    RateLimit { per_second, burst, retry_after, window: None }
}

fn window(per_second: u64, window: u64, retry_after: Option<u64>) -> RateLimit {
    RateLimit { per_second, burst: per_second * window, retry_after, window: Some(window) }
}

/// Server, least part of the allowed rate in 60 s, most part of 429 after the first quarter.
fn rows() -> Vec<(&'static str, RateLimit, f64, f64)> {
    vec![
        ("200/s, burst 20", bucket(200, 20, None), 97.0, 0.5),
        ("200/s, burst 200", bucket(200, 200, None), 97.0, 0.5),
        ("1000/s, burst 100", bucket(1000, 100, None), 97.0, 0.5),
        ("20/s, burst 5", bucket(20, 5, None), 97.0, 0.5),
        ("200/s, burst 200, Retry-After 1", bucket(200, 200, Some(1)), 97.0, 0.5),
        ("20/s, burst 20, Retry-After 1", bucket(20, 20, Some(1)), 97.0, 0.5),
        // Each 429 costs a second in which its small bucket overflows, and three it takes.
        ("200/s, burst 20, Retry-After 1", bucket(200, 20, Some(1)), 90.0, 0.5),
        ("200 in 1 s", window(200, 1, None), 95.0, 0.5),
        ("1000 in 10 s", window(100, 10, None), 95.0, 0.5),
        ("1000 in 10 s, Retry-After", window(100, 10, Some(1)), 95.0, 0.5),
        // It asks for a whole second where the window ends sooner.
        ("200 in 1 s, Retry-After 1", window(200, 1, Some(1)), 90.0, 0.5),
    ]
}

#[test]
fn the_allowed_rate_is_found_and_kept() {
    for (name, rate, least, most) in rows() {
        let model = Model { service: 50, rate: Some(rate), ..Model::default() };
        for seed in [3, 4] {
            let (stats, words) = alone(&model, client(search(4, seed)), 60, seed);
            let part = percent(stats.served, rate.per_second * 60);
            let refused = stats.too_many_part() * 100.0;
            println!("{name}: {part:.1} %, 429 {refused:.2} %; {words}");
            assert!(part >= least, "{name}: {part:.1} %");
            assert!(refused < most, "{name}: 429 {refused:.2} %");
        }
    }
}

/// A 429 is pacing: the limit of connections is not cut.
#[test]
fn a_429_leaves_the_limit_of_connections_alone() {
    let model = Model { service: 50, rate: Some(bucket(100, 100, None)), ..Model::default() };
    let (stats, words) = alone(&model, client(search(16, 3)), 30, 3);
    assert!(stats.trace.iter().all(|&level| level >= 16), "{words}");
}
