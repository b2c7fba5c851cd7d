//! The pace against servers that answer 429, told apart from limits of connections.

use gannet::engine::limit::Limit;

use crate::world::{Model, RateLimit, Spread, World};
use crate::{alone, client, percent, search};

fn bucket(per_second: u64, burst: u64, retry_after: Option<u64>) -> RateLimit {
    RateLimit {
        per_second,
        burst,
        retry_after,
        window: None,
        sliding: false,
        then: None,
        closed: None,
    }
}

fn window(per_second: u64, window: u64, retry_after: Option<u64>) -> RateLimit {
    let burst = per_second * window;
    RateLimit { window: Some(window), ..bucket(per_second, burst, retry_after) }
}

fn sliding(per_second: u64, retry_after: Option<u64>) -> RateLimit {
    RateLimit { sliding: true, ..bucket(per_second, per_second, retry_after) }
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
        ("200/s, burst 20, Retry-After 1", bucket(200, 20, Some(1)), 93.0, 0.5),
        ("100/s, burst 10, Retry-After 1", bucket(100, 10, Some(1)), 92.0, 0.5),
        ("50/s, burst 50, Retry-After 1", bucket(50, 50, Some(1)), 97.0, 0.5),
        ("100/s, burst 300, Retry-After 5", bucket(100, 300, Some(5)), 92.0, 0.5),
        ("200 in 1 s", window(200, 1, None), 95.0, 0.5),
        ("1000 in 10 s", window(100, 10, None), 95.0, 0.5),
        ("1000 in 10 s, Retry-After", window(100, 10, Some(1)), 97.0, 0.5),
        ("200 in 2 s, Retry-After", window(100, 2, Some(1)), 96.0, 0.5),
        // It asks for a whole second where the window ends sooner.
        ("200 in 1 s, Retry-After 1", window(200, 1, Some(1)), 95.0, 0.5),
    ]
}

/// Vegas is poor against rate limits that are answered 429 (Netflix/concurrency-limits#72).
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

/// A second of the clock begins at any moment of the run, and what is sent at once falls into one or into
/// two of them.
#[test]
fn a_window_may_begin_at_any_moment() {
    for (per_second, least) in [(50, 92.0), (200, 89.0)] {
        let rate = Some(window(per_second, 1, Some(1)));
        let model = Model { service: 50, rate, ..Model::default() };
        let parts: Vec<f64> = (0..20)
            .map(|phase| {
                let begins = phase * 50 + 3;
                let mut world = World::new(&model, phase);
                world.add(client(search(6, phase)), begins);
                world.run(31);
                percent(world.clients[0].stats.served * 1000, per_second * (31_000 - begins))
            })
            .collect();
        let mean = parts.iter().sum::<f64>() / parts.len() as f64;
        println!("{per_second} in a second: {mean:.1} % of {parts:.0?}");
        assert!(mean >= least, "{per_second} in a second: {mean:.1} % of {parts:.0?}");
    }
}

/// nginx says 503 to what comes too often (`limit_req`), as to what is too much at once. Once the first
/// is told from the second, the rate is kept; until then a number of connections stands for it.
#[test]
fn a_rate_whose_refusals_say_503_is_told_from_a_limit_of_connections() {
    let rows = [
        // Milliseconds of service, requests a second, burst.
        (50, 50, 10),
        (50, 30, 10),
        (20, 75, 20),
        (50, 200, 20),
        (100, 25, 20),
        (200, 7, 20),
    ];
    // Where times vary much, so do the rates of a number of connections, and each is refused at times.
    let spreads = [
        // At least, and in the mean.
        (Spread::Same, 96.0, 98.0),
        (Spread::LogNormal, 70.0, 93.0),
        (Spread::Exponential, 70.0, 88.0),
        (Spread::Mixed, 40.0, 70.0),
    ];
    let seeds = [3, 4, 5];
    for (spread, least, mean) in spreads {
        let mut all = 0.0;
        for (service, per_second, burst) in rows {
            let rate = Some(bucket(per_second, burst, None));
            let model = Model { service, spread, rate, rate_says_503: true, ..Model::default() };
            for seed in seeds {
                let (stats, words) = alone(&model, client(search(4, seed)), 60, seed);
                let part = percent(stats.served, per_second * 60);
                let refused = stats.late_refused as f64 * 100.0 / stats.late_served as f64;
                println!(
                    "{spread:?}, {service} ms, {per_second}/s, burst {burst}: {part:.1} %, \
                     503 {refused:.2} %; {words}"
                );
                assert!(part >= least, "{spread:?} {per_second}/s: {part:.1} %");
                all += part;
            }
        }
        let all = all / (rows.len() * seeds.len()) as f64;
        println!("{spread:?}: {all:.1} % in the mean");
        assert!(all >= mean, "{spread:?}: {all:.1} %");
    }
}

/// Who obeys `Retry-After` cannot get all: one 429 says how much was too much until then, but not
/// what part of that was the bucket's and what flowed in meanwhile. Only a second one tells, and
/// each costs what overflows in its pause. So much, in percent of the allowed rate, can a client
/// get that knows all after two, and nothing before.
fn best_of_the_obedient(rate: &RateLimit, seconds: u64) -> f64 {
    let pause = rate.retry_after.unwrap_or(0);
    let lost = (rate.per_second * pause).saturating_sub(rate.burst);
    percent(rate.burst + rate.per_second * seconds - 2 * lost, rate.per_second * seconds)
}

#[test]
fn two_pauses_are_enough() {
    // Rate, and least part of that best in 30 s and in 8 s.
    let rows = [
        (bucket(100, 10, Some(1)), 95.0, 90.0),
        (bucket(200, 20, Some(1)), 95.0, 90.0),
        (bucket(1000, 100, Some(1)), 95.0, 90.0),
        (bucket(50, 5, Some(1)), 92.0, 85.0),
        (bucket(20, 5, Some(1)), 88.0, 78.0),
        (bucket(100, 20, Some(2)), 93.0, 85.0),
        (bucket(100, 300, Some(5)), 88.0, 95.0),
        (bucket(100, 100, Some(1)), 95.0, 86.0),
    ];
    for (rate, long, short) in rows {
        let model = Model { service: 50, rate: Some(rate), ..Model::default() };
        for start in [4, 1, 128] {
            let part = |seconds| {
                let (stats, _) = alone(&model, client(search(start, 3)), seconds, 3);
                let part = percent(stats.served, rate.per_second * seconds);
                let pauses = stats.too_many;
                (part, part * 100.0 / best_of_the_obedient(&rate, seconds), pauses)
            };
            let (thirty, eight) = (part(30), part(8));
            println!(
                "{}/s, burst {}, from {start}: {thirty:.1?} {eight:.1?}",
                rate.per_second, rate.burst
            );
            // From 128 the bucket is known at once, and nothing of the rate: it has to be climbed to.
            let less = if start == 128 { 3.0 } else { 0.0 };
            assert!(thirty.1 >= long - less && eight.1 >= short - less, "from {start}: {rate:?}");
        }
    }
}

/// What a client gets in two seconds after the server changed, and in ten from a third on (in one
/// of which it may be asking for more), in percent of what it may.
fn after(rate: RateLimit, at: usize, seconds: [usize; 3]) -> [f64; 3] {
    let model = Model { service: 50, rate: Some(rate), ..Model::default() };
    let (stats, words) = alone(&model, client(search(4, 3)), 120, 3);
    println!("{rate:?}: {words}");
    // 128 connections of 50 ms each are as fast as it gets.
    let most = |second: usize| rate.at(second as u64).min(128 * 20);
    let part = |from: usize, count: usize| {
        let served = (from..from + count).map(|second| stats.seconds[second]).sum();
        percent(served, (from..from + count).map(most).sum())
    };
    let [first, second, third] = seconds.map(|later| at + later);
    [part(first, 1), part(second, 1), part(third, 10)]
}

/// Everything is answered 429 for a while, and then nothing is: the old rate is there again within
/// seconds, not minutes (aws/aws-sdk-go-v2#3550: the quota never refills).
#[test]
fn a_server_that_healed_is_trusted_again() {
    for pause in [None, Some(1), Some(5)] {
        for (from, to) in [(10, 15), (10, 40), (1, 6)] {
            let closed = Some((from, to));
            let rate = RateLimit { closed, ..bucket(100_000, 100_000, pause) };
            let [_, soon, later] = after(rate, to as usize, [1, 8, 20]);
            println!("{pause:?} {closed:?}: {soon:.0} %, {later:.0} %");
            assert!(soon >= 90.0 && later >= 97.0, "{pause:?} {closed:?}: {soon} %, {later} %");
        }
        if pause == Some(5) {
            continue;
        }
        let closed = Some((10, 20));
        let rate = RateLimit { closed, ..bucket(100, 20, pause) };
        let [_, soon, later] = after(rate, 20, [1, 10, 40]);
        assert!(soon >= 50.0 && later >= 85.0, "limited, {pause:?}: {soon} %, {later} %");
    }
}

/// A rate that changes is followed; upwards more slowly where asking costs a pause.
#[test]
fn another_rate_is_followed() {
    for per_second in [20, 100, 400] {
        let rate = bucket(per_second, per_second / 5, None);
        let more = RateLimit { then: Some((20, per_second * 4)), ..rate };
        let [_, _, up] = after(more, 20, [5, 10, 25]);
        let less = RateLimit { then: Some((20, per_second / 4)), ..rate };
        let [_, _, down] = after(less, 20, [5, 10, 25]);
        assert!(up >= 90.0 && down >= 75.0, "{per_second}/s: {up} %, {down} %");
    }
}

/// Four times the rate after a third of half a minute, from each start: no more than a fifth of all
/// is missed meanwhile.
#[test]
fn a_rate_that_rises_is_had_within_seconds() {
    let rate = RateLimit { then: Some((10, 400)), ..bucket(100, 20, None) };
    let model = Model { service: 50, rate: Some(rate), ..Model::default() };
    for start in [6, 4, 1, 128] {
        let (stats, words) = alone(&model, client(search(start, 3)), 30, 3);
        let part = percent(stats.served, 100 * 10 + 400 * 20);
        let refused = stats.too_many_part() * 100.0;
        println!("from {start}: {part:.1} %, 429 {refused:.2} %; {words}");
        assert!(part >= 80.0 && refused < 0.5, "from {start}: {part:.1} %, 429 {refused:.2} %");
    }
}

/// A first burst of 128 says little of a small rate: what is refused meanwhile tells it within a
/// second, and is not asked again and again. Least part of the allowed rate in 30 s, and most that
/// is refused beside the first burst.
#[test]
fn a_great_crowd_finds_a_small_rate() {
    let rows = [(10, 5, 95.0, 50), (50, 5, 95.0, 90), (100, 10, 92.0, 120), (50, 50, 97.0, 90)];
    for (per_second, burst, least, most) in rows {
        for service in [20, 50, 200] {
            let rate = bucket(per_second, burst, None);
            let model = Model { service, rate: Some(rate), ..Model::default() };
            let (stats, words) = alone(&model, client(search(128, 3)), 30, 3);
            let part = percent(stats.served, per_second * 30);
            let refused = stats.too_many.saturating_sub(128 - burst);
            println!("{per_second}/s, burst {burst}, {service} ms: {part:.1} %, {refused} refused");
            assert!(part >= least, "{per_second}/s, burst {burst}: {part:.1} %; {words}");
            assert!(refused <= most, "{per_second}/s, burst {burst}: {refused} refused; {words}");
        }
    }
}

/// At a rate that is far too high not one request passes after a refusal: that looks like a closed door, and
/// must not be taken for one again and again.
#[test]
fn a_crowd_does_not_go_on_flooding() {
    for per_second in [20, 50, 100, 500] {
        for burst in [5, 10] {
            for service in [35, 70, 100, 140] {
                let rate = Some(bucket(per_second, burst, None));
                let model = Model { service, rate, ..Model::default() };
                let (stats, words) = alone(&model, client(search(128, 3)), 30, 3);
                let part = percent(stats.served, per_second * 30);
                let refused = stats.too_many_part() * 100.0;
                let name = format!("{per_second}/s, burst {burst}, {service} ms");
                println!("{name}: {part:.1} %, 429 {refused:.2} %");
                assert!(
                    part >= 75.0 && refused < 3.0,
                    "{name}: {part:.1} %, {refused:.2} %; {words}"
                );
            }
        }
    }
}

/// `Retry-After` is ignored (scrapy/scrapy#3849): here nothing is sent before it is over.
#[test]
fn a_pause_that_is_asked_for_is_made() {
    for pause in [2, 5] {
        let model =
            Model { service: 20, rate: Some(bucket(50, 20, Some(pause))), ..Model::default() };
        let at = |seconds| alone(&model, client(search(4, 3)), seconds, 3).0;
        let (first, held) = (at(1), at(pause));
        assert!(first.too_many > 0, "it was asked to pause in the first second");
        assert_eq!(held.too_many, first.too_many, "asked within the pause");
        assert_eq!(held.served, first.served, "served within the pause");
        assert!(at(pause + 2).served > held.served, "it goes on");
    }
}

/// A 429 is pacing: the limit of connections is not cut.
#[test]
fn a_429_leaves_the_limit_of_connections_alone() {
    let model = Model { service: 50, rate: Some(bucket(100, 100, None)), ..Model::default() };
    let (stats, words) = alone(&model, client(search(16, 3)), 30, 3);
    assert!(stats.trace.iter().all(|&level| level >= 16), "{words}");
}

/// So many in each second of the clock, or in any second: what such a server gives is had within seconds
/// although no bucket gives the same. Least part of it in 30 s and in 8 s, and most that is refused after the
/// first quarter of 30 s.
#[test]
fn windows_of_a_second_are_used_up() {
    for per_second in [50, 200] {
        for pause in [None, Some(1)] {
            for rate in [window(per_second, 1, pause), sliding(per_second, pause)] {
                for start in [6, 1, 128] {
                    let model = Model { service: 50, rate: Some(rate), ..Model::default() };
                    let run = |seconds| {
                        let (stats, _) = alone(&model, client(search(start, 3)), seconds, 3);
                        let part = percent(stats.served, per_second * seconds);
                        (part, stats.too_many_part() * 100.0)
                    };
                    let ((long, refused), (short, _)) = (run(30), run(8));
                    let kind = if rate.sliding { "any second" } else { "a second" };
                    println!(
                        "{per_second} in {kind}, {pause:?}, from {start}: {long:.1} %, of 8 s {short:.1} %, \
                         429 {refused:.2} %"
                    );
                    assert!(
                        long >= 96.0 && short >= 90.0 && refused < 0.5,
                        "{per_second} in {kind}, {pause:?}, from {start}: {long:.1}, {short:.1}, {refused:.2}"
                    );
                }
            }
        }
    }
}

/// A bucket that holds one request tells nothing at first but that two at once are too many: what it gives is
/// climbed to within seconds. Least part of it in 30 s.
#[test]
fn a_bucket_of_one_is_climbed_to() {
    for (per_second, least) in [(20, 65.0), (50, 65.0), (200, 45.0)] {
        let rate = Some(bucket(per_second, 1, Some(1)));
        let model = Model { service: 50, rate, ..Model::default() };
        for start in [6, 1, 128] {
            let (stats, words) = alone(&model, client(search(start, 3)), 30, 3);
            let part = percent(stats.served, per_second * 30);
            println!("{per_second}/s, burst 1, from {start}: {part:.1} %; {words}");
            assert!(part >= least, "{per_second}/s, from {start}: {part:.1} %");
        }
    }
}

/// Others have used up a bucket, or a part of it, when the run begins: what passes at first says less of what it
/// holds than it seems to, and two bursts at one rate that are alike are no window.
#[test]
fn a_bucket_may_be_empty_at_first() {
    for (start, rtt, service, spread) in [
        (6, 20_000, 80, Spread::Even),
        (1, 100, 20, Spread::Same),
        (4, 300, 50, Spread::Same),
        (6, 1000, 50, Spread::Even),
    ] {
        let mut parts = Vec::new();
        for used_up in 0..=10 {
            let rate = Some(bucket(100, 10, Some(1)));
            let model = Model { service, spread, rtt, rate, used_up, ..Model::default() };
            let served = alone(&model, client(search(start, rtt)), 30, rtt).0.served;
            parts.push(percent(served, 3000));
        }
        let least = parts.iter().copied().fold(f64::MAX, f64::min);
        println!("from {start}, {rtt} us, {service} ms: {parts:.0?}");
        assert!(least >= 40.0, "from {start}, {rtt} us, {service} ms: {parts:.0?}");
    }
}

/// Nothing passes at first, as others have used up a window or a bucket, or have left it in debt, and no answer says
/// for how long: what is refused until it opens says nothing of what it gives then.
#[test]
fn what_is_refused_at_first_tells_nothing_of_the_rate() {
    let shut = |seconds| RateLimit { closed: Some((0, seconds)), ..bucket(100_000, 1000, None) };
    let from = |start| search(start, 3);
    // What it gives in a minute, and which part of that is asked for.
    let rows = [
        ("shut for 1 s", shut(1), 0, Limit::fixed(1), 59 * 20, 95.0),
        ("shut for 5 s", shut(5), 0, Limit::fixed(1), 55 * 20, 95.0),
        ("shut for 1 s", shut(1), 0, from(6), 59 * 128 * 20, 90.0),
        ("shut for 5 s", shut(5), 0, from(6), 55 * 128 * 20, 90.0),
        ("20/s, two seconds in debt", bucket(20, 20, None), 60, from(6), 58 * 20, 90.0),
        ("20/s, two seconds in debt", bucket(20, 20, None), 60, from(1), 58 * 20, 90.0),
        ("20/s, empty", bucket(20, 5, None), 5, from(6), 60 * 20, 90.0),
        ("100 in 10 s, used up", window(10, 10, None), 100, from(6), 50 * 10, 90.0),
        ("100 in 10 s, used up", window(10, 10, None), 100, from(1), 50 * 10, 90.0),
    ];
    let mut missed = Vec::new();
    for (name, rate, used_up, limit, most, least) in rows {
        let start = limit.allowed();
        let model = Model { service: 50, rate: Some(rate), used_up, ..Model::default() };
        let (stats, _) = alone(&model, client(limit), 60, 3);
        let (part, refused) = (percent(stats.served, most), stats.too_many_part() * 100.0);
        println!("{name}, from {start}: {part:.1} %, 429 {refused:.2} %");
        if part < least {
            missed.push((name, start));
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
