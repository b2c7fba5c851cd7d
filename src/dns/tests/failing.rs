//! Servers that fail, lie silent or lose things: who is asked instead, and what is told when.

use super::world::*;
use crate::dns::*;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

fn v4(count: u8) -> Config {
    Config { families: Families::V4, ..config(count) }
}

#[test]
fn the_resolution_delay() {
    // The delays of A and AAAA, and what is told when: "addresses" at so many milliseconds.
    let never = 1_000_000;
    for (a, aaaa, expected) in [
        (10, 10, vec![(BOTH, 10, false)]),
        (10, 50, vec![(BOTH, 50, false)]),
        (50, 10, vec![(BOTH, 50, false)]),
        (10, 100, vec![("192.0.2.1", 60, true), (BOTH, 100, false)]),
        (100, 10, vec![("2001:db8::1", 60, true), (BOTH, 100, false)]),
        // Two attempts of five seconds.
        (10, never, vec![("192.0.2.1", 60, true), ("192.0.2.1", 10_000, false)]),
    ] {
        let mut world = World::new(config(1));
        world.pending("www.example");
        let start = world.now;
        world.run_until(start + 30 * SEC, |asked| {
            let delay = if asked.rtype == A { a } else { aaaa };
            if delay == never { React::Silent } else { asked.address(60).after(delay * MS) }
        });
        let told: Vec<_> = world
            .told
            .iter()
            .map(|told| {
                let at = told.at.since(start).as_millis();
                (shown(&told.result), at, told.more)
            })
            .collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(what, at, more)| (what.to_string(), at, more)).collect();
        assert_eq!(told, expected, "A after {a} ms, AAAA after {aaaa} ms");
        assert!(world.open.is_empty());
    }
}

#[test]
fn a_late_family_makes_room_for_those_who_wait() {
    let mut world = World::new(Config { max_in_flight: 10, ..config(1) });
    let start = world.now;
    for number in 0..100 {
        world.pending(&format!("host{number}.example"));
    }
    world.run(|asked| if asked.rtype == A { asked.address(60) } else { React::Silent });
    assert!(world.told.iter().all(|told| shown(&told.result) == "192.0.2.1"));
    // Ten rounds with ten seconds each it would be else.
    let took = world.now.since(start);
    assert!(took < 45 * SEC, "{took:?}");
}

#[test]
fn a_family_that_nobody_tells_about_is_done_without_for_a_minute() {
    let mut world = World::new(config(1));
    let server = |asked: &Asked| if asked.rtype == A { asked.address(600) } else { React::Silent };
    world.ask("www.example", server).unwrap();
    assert_eq!(shown(&world.ready("www.example")), "192.0.2.1");
    world.sleep(61 * SEC);
    world.pending("www.example");
}

#[test]
fn while_one_family_is_awaited_the_other_serves() {
    let mut world = World::new(config(1));
    world.pending("www.example");
    let start = world.now;
    world.run_until(start + 70 * MS, |asked| {
        if asked.rtype == A { asked.address(60) } else { React::Silent }
    });
    assert_eq!(shown(&world.ready("www.example")), "192.0.2.1");
}

#[test]
fn servfail_and_refused_lead_to_the_next_server() {
    for code in [2, 4, 5, 9] {
        let mut world = World::new(v4(3));
        let server = |asked: &Asked| match asked.last() {
            3 => asked.address(60),
            _ => asked.code(code),
        };
        assert_eq!(shown(&world.ask("www.example", server)), "192.0.2.1", "code {code}");
        let asked: Vec<_> = world.asked.iter().filter(|asked| asked.edns).collect();
        assert_eq!(asked.len(), 3, "code {code}");
    }
}

#[test]
fn nxdomain_does_not() {
    let mut world = World::new(v4(3));
    assert_eq!(shown(&world.ask("www.example", |asked| asked.nx(60))), "dns_nxdomain");
    assert_eq!(world.questions(), ["1:www.example/A"]);
}

#[test]
fn when_all_fail_the_error_says_who_said_what() {
    for (codes, expected) in [
        (
            [2, 5],
            "no server could resolve www.example: 10.0.0.1:53 said SERVFAIL, \
             10.0.0.2:53 said REFUSED",
        ),
        (
            [5, 5],
            "no server would resolve www.example: 10.0.0.1:53 said REFUSED, \
             10.0.0.2:53 said REFUSED",
        ),
        (
            [9, 2],
            "no server could resolve www.example: 10.0.0.1:53 answered with code 9, \
             10.0.0.2:53 said SERVFAIL",
        ),
    ] {
        let mut world = World::new(v4(2));
        let error = world
            .ask("www.example", |asked| asked.code(codes[usize::from(asked.last() - 1)]))
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.kind.is_transient());
        // Who answered is not asked again, however many attempts there are.
        assert_eq!(world.asked.len(), 2);
    }
}

#[test]
fn beside_another_server_nobody_waits_for_a_silent_one_until_the_end() {
    let mut world = World::new(v4(2));
    let start = world.now;
    let server = |asked: &Asked| if asked.last() == 1 { React::Silent } else { asked.address(60) };
    assert_eq!(shown(&world.ask("www.example", server)), "192.0.2.1");
    // A first wait of 600 ms, a second one half as long again.
    assert_eq!(world.now.since(start), 1510 * MS);
    // Where there is no other, its time is resolv.conf's.
    let mut world = World::new(Config { attempts: 1, ..v4(2) });
    let error = world.ask("www.example", |_| React::Silent).unwrap_err();
    assert_eq!(error.kind, DnsErrorKind::Unanswered);
    assert_eq!(
        error.to_string(),
        "no name server answered for www.example: 10.0.0.1:53 did not answer in 1.5 s \
         (asked 2 times), 10.0.0.2:53 did not answer in 5.0 s (asked 5 times) \
         (is the network up? other name servers may answer)"
    );
}

#[test]
fn a_single_silent_server_is_asked_as_resolv_conf_says() {
    let mut world = World::new(Config { attempts: 3, timeout: 2 * SEC, ..v4(1) });
    let start = world.now;
    let error = world.ask("www.example", |_| React::Silent).unwrap_err();
    assert_eq!(world.now.since(start), 6 * SEC);
    assert_eq!(error.kind, DnsErrorKind::Unanswered);
    assert_eq!(
        error.to_string(),
        "no name server answered for www.example: 10.0.0.1:53 did not answer in 2.0 s \
         (asked 3 times) (is the network up? other name servers may answer)"
    );
    // Three sockets with three ids; what is sent again within each is the same question.
    let fresh: Vec<_> = world.asked.iter().filter(|asked| !asked.again).collect();
    assert_eq!(fresh.len(), 3);
    assert_eq!(world.asked.len(), 9);
    for asked in &world.asked {
        let first = fresh.iter().find(|first| first.query == asked.query).unwrap();
        assert_eq!(asked.id, first.id);
    }
}

#[test]
fn nobody_is_asked_who_was_not_named() {
    let mut world = World::new(Config { families: Families::V4, ..Config::default() });
    let error =
        world.ask("www.example", |_| React::Fail(SocketFailure::NobodyListens)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no name server answered for www.example: 127.0.0.1:53 has nobody listening there \
         (no name server is configured, so 127.0.0.1 was asked: name one, or \
         say where the host is)"
    );
    assert!(world.asked.iter().all(|asked| asked.server.to_string() == "127.0.0.1:53"));
}

#[test]
fn with_one_of_two_servers_silent_all_arrive_and_it_is_asked_seldom() {
    let mut world = World::new(config(2));
    let start = world.now;
    for number in 0..5000 {
        world.pending(&format!("host{number}.example"));
    }
    let server = |asked: &Asked| if asked.last() == 1 { React::Silent } else { asked.address(60) };
    world.run(server);
    assert_eq!(world.told.len(), 5000);
    assert!(world.told.iter().all(|told| shown(&told.result) == BOTH));
    let questions =
        |world: &World| world.asked.iter().filter(|a| a.last() == 1 && !a.again).count();
    assert!(questions(&world) <= 128 + 2, "{}", questions(&world));
    assert!(world.now.since(start) < 5 * SEC, "{:?}", world.now.since(start));
    // Later: a question now and then finds out whether it is back.
    let before = questions(&world);
    for number in 0..600 {
        world.sleep(SEC);
        let key = world.pending(&format!("later{number}.example"));
        world.run(server);
        assert!(world.told.iter().any(|told| told.lookup == key && told.result.is_ok()));
    }
    assert!(questions(&world) - before <= 20, "{}", questions(&world) - before);
}

#[test]
fn a_server_that_is_back_serves_again() {
    let mut world = World::new(v4(2));
    let mut number = 0;
    let mut next = |world: &mut World, back: bool| {
        number += 1;
        world.asked.clear();
        world
            .ask(&format!("host{number}.example"), |asked| {
                if asked.last() == 1 && !back { React::Silent } else { asked.address(60) }
            })
            .unwrap();
        world.asked[0].last()
    };
    assert_eq!(next(&mut world, false), 1);
    assert_eq!(next(&mut world, false), 2);
    world.sleep(3 * SEC);
    assert_eq!(next(&mut world, true), 1, "the one that finds out");
    assert_eq!(next(&mut world, true), 1);
}

#[test]
fn with_a_fifth_of_all_datagrams_lost_all_arrive() {
    for seed in 0..4 {
        let mut world = World::new(config(1));
        let mut random = fastrand::Rng::with_seed(seed);
        for number in 0..2500 {
            world.pending(&format!("host{number}.example"));
        }
        world.run(|asked| {
            let lost = random.u8(..5) == 0 || random.u8(..5) == 0;
            if lost { React::Silent } else { asked.address(60) }
        });
        let failed = world.told.iter().filter(|told| told.result.is_err()).count();
        assert_eq!(failed, 0, "seed {seed}");
    }
}

#[test]
fn what_does_not_fit_in_a_datagram_comes_over_tcp() {
    let mut world = World::new(v4(2));
    let server = |asked: &Asked| {
        if asked.tcp { asked.address(60) } else { say(asked.answer(0x8380, 0, 0)) }
    };
    assert_eq!(shown(&world.ask("www.example", server)), "192.0.2.1");
    assert_eq!(world.questions(), ["1:www.example/A", "1:www.example/A+tcp"]);
    assert_ne!(world.asked[0].query, world.asked[1].query);
}

#[test]
fn when_tcp_fails_the_next_server_is_asked() {
    for failure in [SocketFailure::NobodyListens, SocketFailure::Closed, SocketFailure::Os(110)] {
        let mut world = World::new(v4(2));
        let server = |asked: &Asked| match (asked.last(), asked.tcp) {
            (1, false) => say(asked.answer(0x8380, 0, 0)),
            (1, true) => React::Fail(failure),
            _ => asked.address(60),
        };
        assert_eq!(shown(&world.ask("www.example", server)), "192.0.2.1", "{failure:?}");
    }
    let mut world = World::new(v4(1));
    let server = |asked: &Asked| {
        if asked.tcp { React::Silent } else { say(asked.answer(0x8380, 0, 0)) }
    };
    assert_eq!(shown(&world.ask("www.example", server)), "dns_unanswered");
}

#[test]
fn all_over_tcp_when_so_configured() {
    let mut world = World::new(Config { always_tcp: true, ..v4(1) });
    assert_eq!(shown(&world.ask("www.example", |asked| asked.address(60))), "192.0.2.1");
    assert_eq!(world.questions(), ["1:www.example/A+tcp"]);
}

#[test]
fn a_server_that_does_not_know_edns_is_asked_without() {
    for code in [1, 4] {
        let mut world = World::new(v4(1));
        let server = |asked: &Asked| if asked.edns { asked.code(code) } else { asked.address(60) };
        assert_eq!(shown(&world.ask("www.example", server)), "192.0.2.1");
        assert_eq!(shown(&world.ask("next.example", server)), "192.0.2.1");
        let edns: Vec<_> = world.asked.iter().map(|asked| asked.edns).collect();
        assert_eq!(edns, [true, false, false], "and remembered");
    }
    let mut world = World::new(v4(1));
    assert_eq!(shown(&world.ask("www.example", |asked| asked.code(1))), "dns_servfail");
    assert_eq!(world.asked.len(), 2);
    let mut world = World::new(Config { edns_size: 0, ..v4(1) });
    world.ask("www.example", |asked| asked.address(60)).unwrap();
    assert!(!world.asked[0].edns);
}

#[test]
fn stale_answers_serve_while_the_servers_fail() {
    let mut world = World::new(v4(1));
    world.ask("www.example", |asked| asked.address(60)).unwrap();
    world.sleep(100 * SEC);
    world.told.clear();
    let start = world.now;
    world.pending("www.example");
    world.run(|_| React::Silent);
    let told: Vec<_> = world
        .told
        .iter()
        .map(|told| (shown(&told.result), told.at.since(start).as_millis(), told.more))
        .collect();
    let stale = "192.0.2.1 stale".to_string();
    assert_eq!(told, [(stale.clone(), 1800, true), (stale.clone(), 10_000, false)]);
    // For a while nobody is asked again.
    world.sleep(29 * SEC);
    assert_eq!(shown(&world.ready("www.example")), stale);
    world.sleep(2 * SEC);
    assert_eq!(shown(&world.ask("www.example", |asked| asked.code(2))), stale);
    world.sleep(31 * SEC);
    assert_eq!(shown(&world.ask("www.example", |asked| asked.address(60))), "192.0.2.1");
    assert_eq!(world.resolver.stats().stale, 4);
    // Not for ever.
    world.sleep(3700 * SEC);
    assert_eq!(shown(&world.ask("www.example", |asked| asked.code(2))), "dns_servfail");
}

#[test]
fn a_slow_new_answer_takes_the_place_of_the_stale_one() {
    let mut world = World::new(v4(1));
    world.ask("www.example", |asked| asked.address(60)).unwrap();
    world.sleep(100 * SEC);
    world.told.clear();
    world.pending("www.example");
    world.run(|asked| if asked.again { React::Silent } else { asked.address(60).after(3 * SEC) });
    let told: Vec<_> = world.told.iter().map(|told| (shown(&told.result), told.more)).collect();
    assert_eq!(told, [("192.0.2.1 stale".to_string(), true), ("192.0.2.1".to_string(), false)]);
}

#[test]
fn nothing_stale_when_the_server_says_that_the_name_is_gone() {
    let mut world = World::new(v4(1));
    world.ask("www.example", |asked| asked.address(60)).unwrap();
    world.sleep(100 * SEC);
    assert_eq!(shown(&world.ask("www.example", |asked| asked.nx(60))), "dns_nxdomain");
    world.sleep(100 * SEC);
    assert_eq!(shown(&world.ask("www.example", |asked| asked.code(2))), "dns_servfail");
}

#[test]
fn nothing_stale_when_so_configured() {
    let cache = CacheConfig { stale_for: Duration::ZERO, ..CacheConfig::default() };
    let mut world = World::new(Config { cache, ..v4(1) });
    world.ask("www.example", |asked| asked.address(60)).unwrap();
    world.sleep(100 * SEC);
    assert_eq!(shown(&world.ask("www.example", |_| React::Silent)), "dns_unanswered");
}

#[test]
fn out_of_sockets_is_our_own_trouble() {
    let mut world = World::new(v4(1));
    let mut refusals = 5;
    let start = world.now;
    let answer = world.ask("www.example", |asked| {
        if refusals > 0 {
            refusals -= 1;
            return React::Fail(SocketFailure::Exhausted);
        }
        asked.address(60)
    });
    assert_eq!(shown(&answer), "192.0.2.1");
    assert_eq!(world.now.since(start), 260 * MS, "five pauses, and the answer");
}

#[test]
fn out_of_sockets_for_too_long_is_an_error() {
    let mut world = World::new(v4(1));
    let start = world.now;
    let error = world.ask("www.example", |_| React::Fail(SocketFailure::Exhausted)).unwrap_err();
    assert_eq!(error.kind, DnsErrorKind::Unanswered);
    assert!(error.to_string().contains("out of sockets"), "{error}");
    assert_eq!(world.now.since(start), 5 * SEC);
}

#[test]
fn who_cannot_wait_is_told_how_far_it_is() {
    let mut world = World::new(v4(2));
    let key = world.pending("www.example");
    world.run_until(world.now + 3 * SEC, |_| React::Silent);
    let error = world.resolver.unfinished(key, world.now).unwrap();
    assert_eq!(
        error.to_string(),
        "no name server answered for www.example: 10.0.0.1:53 did not answer in 1.5 s \
         (asked 2 times), 10.0.0.2:53 did not answer in 1.5 s (asked 3 times) \
         (is the network up? other name servers may answer)"
    );
    world.run(|asked| asked.address(60));
    assert_eq!(world.resolver.unfinished(key, world.now), None);
}

#[test]
fn a_server_that_cannot_be_reached_costs_no_time() {
    for failure in [SocketFailure::NobodyListens, SocketFailure::Unreachable, SocketFailure::Os(13)]
    {
        let mut world = World::new(v4(2));
        let start = world.now;
        let server = |asked: &Asked| {
            if asked.last() == 1 { React::Fail(failure) } else { asked.address(60) }
        };
        assert_eq!(shown(&world.ask("www.example", server)), "192.0.2.1");
        assert_eq!(world.now.since(start), 10 * MS);
        world.asked.clear();
        world.ask("next.example", server).unwrap();
        assert_eq!(world.questions(), ["2:next.example/A"]);
        world.resolver.invalidate("next.example");
        let error = world.ask("next.example", |_| React::Fail(failure)).unwrap_err();
        assert_eq!(error.kind, DnsErrorKind::Unanswered);
        assert!(error.kind.is_transient());
    }
}

#[test]
fn a_server_that_keeps_refusing_is_asked_seldom() {
    let mut world = World::new(v4(2));
    for number in 0..500 {
        let answer = world.ask(&format!("host{number}.example"), |asked| {
            if asked.last() == 1 { asked.code(5) } else { asked.address(60) }
        });
        assert_eq!(shown(&answer), "192.0.2.1");
    }
    let refusals = world.asked.iter().filter(|asked| asked.last() == 1).count();
    assert!(refusals <= 6, "{refusals}");
}

#[test]
fn what_is_cancelled_is_closed_and_told_nobody() {
    let mut world = World::new(config(1));
    for number in 0..1000 {
        let key = world.pending(&format!("host{number}.example"));
        world.drain();
        world.resolver.cancel(key);
        world.drain();
        assert!(world.open.is_empty());
    }
    assert_eq!(world.resolver.pending(), 0);
    assert!(world.told.is_empty());
    assert_eq!(world.resolver.deadline(), None);
    // Those that wait for room too.
    let keys: Vec<_> =
        (0..1000).map(|number| world.pending(&format!("host{number}.example"))).collect();
    world.drain();
    for key in keys {
        world.resolver.cancel(key);
    }
    assert!(world.resolver.waiting.len() <= 64);
    world.drain();
    assert!(world.open.is_empty());
}

#[test]
fn a_stop_of_the_process_is_no_silence_of_the_server() {
    let mut world = World::new(v4(1));
    world.pending("www.example");
    let asked = world.drain().remove(0);
    world.now += 20 * SEC;
    world.resolver.shift(20 * SEC);
    world.resolver.tick(world.now);
    let React::Say(_, bytes) = asked.address(60) else { panic!() };
    world.deliver(asked.query, asked.server, &bytes);
    world.drain();
    assert_eq!(shown(&world.told[0].result), "192.0.2.1");
}
