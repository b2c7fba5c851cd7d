//! Servers that change: halved, doubled, gone for a while; and lists that pause.

use crate::models::jump;
use crate::world::{Beyond, Client, Model, Spread, World};
use crate::{alone, client, pace, search};

fn halved(second: u64) -> u32 {
    if second < 20 { 16 } else { 8 }
}

fn doubled(second: u64) -> u32 {
    if second < 20 { 8 } else { 16 }
}

/// The limit, every 50 ms from a second to another.
fn levels(trace: &[u32], from: u64, to: u64) -> &[u32] {
    &trace[from as usize * 20..to as usize * 20]
}

#[test]
fn a_halving_is_followed_within_two_seconds() {
    let base = Model { service: 50, ..Model::default() };
    let rows = [
        Model {
            name: "hard, reset",
            hard: Some((halved, Beyond::Reset)),
            resets_established: true,
            ..base.clone()
        },
        Model { name: "hard, 503", hard: Some((halved, Beyond::Status503)), ..base.clone() },
        Model { name: "workers", workers: Some(halved), ..base.clone() },
        Model { name: "workers, times vary", workers: Some(halved), spread: Spread::Even, ..base },
    ];
    for model in rows {
        for start in [4, 1, 128] {
            let (stats, words) = alone(&model, client(search(start, 3)), 40, 3);
            let before = levels(&stats.trace, 19, 20).iter().max().unwrap();
            let after = levels(&stats.trace, 22, 40).iter().max().unwrap();
            println!("{} from {start}: {before}, then {after}; {words}", model.name);
            assert!((14..=20).contains(before), "{}: {before} before", model.name);
            assert!((8..=12).contains(after), "{}: {after} two seconds later", model.name);
            assert!(stats.seconds[39] >= 140, "{}: {} a second", model.name, stats.seconds[39]);
        }
    }
}

/// A limit that has stood for long and rises by one: hardly more is refused than is asked for at once.
#[test]
fn a_rise_by_one_is_no_flood() {
    let hard: fn(u64) -> u32 = |second| if second < 90 { 100 } else { 101 };
    for beyond in [Beyond::Reset, Beyond::Refuse] {
        let model = Model { service: 50, hard: Some((hard, beyond)), ..Model::default() };
        for seed in 0..4 {
            let refused = |seconds| alone(&model, client(search(4, seed)), seconds, seed).0.refused;
            let (before, after) = (refused(90), refused(100));
            println!("{beyond:?}: {} refused in ten seconds", after - before);
            assert!(after - before <= 24, "{beyond:?}: {} refused", after - before);
        }
    }
}

#[test]
fn what_the_server_bears_more_is_found() {
    let base = Model { service: 20, ..Model::default() };
    let rows = [
        Model { name: "hard", hard: Some((doubled, Beyond::Refuse)), ..base.clone() },
        Model { name: "workers", workers: Some(doubled), ..base },
    ];
    for model in rows {
        let (stats, words) = alone(&model, client(search(4, 3)), 40, 3);
        let per_second = stats.seconds[30..39].iter().sum::<u64>() / 9;
        println!("{}: {per_second} a second; {words}", model.name);
        assert!(per_second >= 740, "{}: {per_second} of 800 a second", model.name);
    }
}

#[test]
fn after_an_outage_it_is_as_fast_as_before() {
    for service in [20, 100] {
        let model = Model { service, outage: Some((10, 15)), ..Model::default() };
        for start in [4, 128] {
            let (stats, words) = alone(&model, client(search(start, 3)), 25, 3);
            let (before, after) = (stats.seconds[9], stats.seconds[17]);
            println!("{service} ms from {start}: {before}, after the outage {after}; {words}");
            assert!(after * 10 >= before * 9, "{after} a second, {before} before");
        }
    }
    let model = Model {
        service: 50,
        outage: Some((10, 15)),
        hard: Some((|_| 24, Beyond::Reset)),
        ..Model::default()
    };
    let (stats, words) = alone(&model, client(search(4, 3)), 30, 3);
    assert!(stats.seconds[20] >= 430, "{} of 480 a second; {words}", stats.seconds[20]);
}

#[test]
fn idle_phases_change_nothing() {
    let base = Model { service: 50, ..Model::default() };
    let rows = [
        (Model { name: "hard", hard: Some((|_| 24, Beyond::Reset)), ..base.clone() }, 480),
        (Model { name: "workers", workers: Some(|_| 8), ..base.clone() }, 160),
        (Model { name: "anything", ..base }, 2560),
    ];
    for (model, full) in rows {
        let mut world = World::new(&model, 3);
        world.add(client(search(4, 3)), 0);
        for second in (6..38).step_by(4) {
            world.rest(0, second * 1000, second * 1000 + 2000);
        }
        world.run(40);
        let stats = &world.clients[0].stats;
        let busy = [8, 16, 24, 32, 36].map(|second: usize| stats.seconds[second + 1]);
        println!("{}: {busy:?} of {full}", model.name);
        for served in busy {
            assert!(served * 100 >= full * 93, "{}: {served} of {full}", model.name);
        }
        assert!(stats.refused_part() < 0.01);
    }
}

/// A list that runs dry, drop by drop, does not look like a server that is slow.
#[test]
fn too_little_work_is_no_reason() {
    let model = Model { service: 50, ..Model::default() };
    let mut world = World::new(&model, 3);
    world.add(Client::new(vec![(search(4, 3), pace(), 3)], None), 0);
    world.add(Client::new(vec![(search(64, 3), pace(), 64 * 20)], None), 0);
    world.run(10);
    assert_eq!(world.clients[0].hosts[0].limit.allowed(), 4, "three jobs need no growth");
    assert_eq!(world.clients[1].stats.served, 64 * 20);
    assert!(world.clients[1].hosts[0].limit.allowed() >= 64);
}

/// While it stands at 8 for an hour, the server is asked ever more seldom.
#[test]
fn a_level_that_stands_is_seldom_questioned() {
    let model = Model { service: 50, hard: Some((|_| 8, Beyond::Reset)), ..Model::default() };
    let (stats, _) = alone(&model, client(search(4, 3)), 1200, 3);
    let per_minute = (stats.late_refused + stats.late_turned_away) as f64 / 15.0;
    println!("{per_minute:.1} refused a minute, after the first five");
    assert!(per_minute <= 4.0, "{per_minute:.1} a minute");
}

#[test]
fn the_jump_is_followed_both_ways() {
    for beyond in [Beyond::Reset, Beyond::Refuse] {
        let model = Model {
            service: 20,
            hard: Some((jump, beyond)),
            resets_established: true,
            ..Model::default()
        };
        let (stats, words) = alone(&model, client(search(4, 3)), 60, 3);
        let top = levels(&stats.trace, 23, 40).iter().max().unwrap();
        let low = levels(&stats.trace, 42, 60).iter().max().unwrap();
        assert!((30..=33).contains(top), "{top}; {words}");
        assert!((7..=10).contains(low), "{low}; {words}");
    }
}

/// A limit that falls from 32 to 8 resets what is above it: those connections are not opened anew all at
/// once, to be refused.
#[test]
fn what_was_lost_is_not_opened_anew_at_once() {
    for service in [20, 50, 200] {
        let base = Model { service, resets_established: true, ..Model::default() };
        let model = Model { hard: Some((jump, Beyond::Reset)), ..base };
        for seed in 0..4 {
            let refused = |seconds| alone(&model, client(search(4, seed)), seconds, seed).0.refused;
            let (before, after) = (refused(40), refused(42));
            println!("{service} ms: {} refused in two seconds", after - before);
            assert!(after - before <= 8, "{service} ms: {} refused", after - before);
        }
    }
}

/// Where a limit that has stood for long is gone, what lies beyond is the server's doing, and asked for by
/// doubling: two rounds from 9 to 32, not five.
#[test]
fn what_has_stood_for_long_and_is_gone_is_left_behind_at_once() {
    for beyond in [Beyond::Reset, Beyond::Refuse] {
        let hard = Some((jump as fn(u64) -> u32, beyond));
        let model = Model { service: 50, hard, resets_established: true, ..Model::default() };
        for seed in 0..4 {
            let (stats, words) = alone(&model, client(search(6, seed)), 30, seed);
            let at = |level| stats.trace[400..].iter().position(|it| *it >= level);
            let (Some(begins), Some(ends)) = (at(10), at(30)) else { panic!("{words}") };
            println!("{beyond:?}: {} ms from 10 to 30", (ends - begins) * 50);
            assert!(ends - begins <= 2, "{beyond:?}: {} ms; {words}", (ends - begins) * 50);
        }
    }
}

/// A server that answers everything with 503 for five seconds is asked now and then, not thousands of times,
/// each of which would cost a URL an attempt; and is as fast as before when it is well again.
#[test]
fn a_server_that_says_503_to_all_is_left_in_peace() {
    let hard: fn(u64) -> u32 = |second| if (5..10).contains(&second) { 0 } else { 12 };
    for service in [20, 100] {
        let model = Model { service, hard: Some((hard, Beyond::Status503)), ..Model::default() };
        let refused = |seconds| alone(&model, client(search(6, 3)), seconds, 3).0.refused;
        let asked = refused(10) - refused(5);
        let (stats, words) = alone(&model, client(search(6, 3)), 20, 3);
        let (before, after) = (stats.seconds[4], stats.seconds[13]);
        println!("{service} ms: asked {asked} times; {before} a second, then {after}; {words}");
        assert!(asked <= 60, "{service} ms: asked {asked} times");
        assert!(after * 100 >= before * 90, "{service} ms: {before}, then {after}; {words}");
    }
}
