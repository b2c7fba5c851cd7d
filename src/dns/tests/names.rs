//! Names to addresses when all is well: who is asked what, how often, and what is kept.

use super::world::*;
use crate::dns::*;
use alloc::string::ToString;
use alloc::vec;
use core::net::IpAddr;

#[test]
fn both_families_side_by_side_and_once() {
    let mut world = World::new(config(2));
    let key = world.pending("www.example");
    for _ in 0..1000 {
        assert_eq!(world.pending("WWW.example"), key);
    }
    world.run(|asked| asked.address(60));
    assert_eq!(world.questions(), ["1:www.example/A", "1:www.example/AAAA"]);
    assert!(world.asked[0].edns && world.asked[0].id != world.asked[1].id);
    assert_eq!(world.told.len(), 1);
    let answer = world.told[0].result.clone().unwrap();
    assert_eq!(shown(&Ok(answer.clone())), BOTH);
    assert_eq!(answer.source, Source::Server(servers(1)[0]));
    assert_eq!(answer.expires, world.now + 60 * SEC);
    assert_eq!(world.ready("www.example").unwrap().source, Source::Cache);
    assert_eq!(world.asked.len(), 2);
}

#[test]
fn answers_are_kept_for_their_time() {
    for (ttl, kept_for) in [(0, 30), (60, 60), (10_000_000, 86_400)] {
        let mut world = World::new(config(1));
        world.ask("www.example", |asked| asked.address(ttl)).unwrap();
        let start = world.now;
        world.now = start + (kept_for - 1) * SEC + 999 * MS;
        assert_eq!(shown(&world.ready("www.example")), BOTH);
        world.now = start + kept_for * SEC;
        world.pending("www.example");
    }
}

#[test]
fn the_floor_does_not_hold_a_name_that_has_moved() {
    let mut world = World::new(config(1));
    let answer = world.ask("www.example", |asked| asked.address(5)).unwrap();
    world.sleep(10 * SEC);
    assert_eq!(shown(&world.ready("www.example")), BOTH);
    world.resolver.address_failed(answer.addresses[0], world.now);
    assert_eq!(shown(&world.ready("www.example")), "192.0.2.1 2001:db8::1");
    world.resolver.address_failed(answer.addresses[1], world.now);
    world.ask("www.example", |asked| asked.address(5)).unwrap();
    // Within its own time it is not asked for again, whatever failed.
    world.sleep(4 * SEC);
    assert_eq!(shown(&world.ready("www.example")), BOTH);
}

#[test]
fn each_family_has_its_own_time() {
    let mut world = World::new(config(1));
    let server = |asked: &Asked| if asked.rtype == A { asked.address(600) } else { asked.none(60) };
    assert_eq!(shown(&world.ask("www.example", server)), "192.0.2.1");
    world.sleep(100 * SEC);
    assert_eq!(shown(&world.ask("www.example", server)), "192.0.2.1");
    assert_eq!(world.questions()[2..], ["1:www.example/AAAA"]);
}

#[test]
fn that_there_is_none_is_kept_too() {
    let mut world = World::new(config(1));
    assert_eq!(shown(&world.ask("no.example", |asked| asked.nx(60))), "dns_nxdomain");
    assert_eq!(shown(&world.ready("no.example")), "dns_nxdomain");
    world.sleep(61 * SEC);
    assert_eq!(shown(&world.ask("no.example", |asked| asked.none(86_400))), "dns_nodata");
    world.sleep(299 * SEC);
    assert_eq!(shown(&world.ready("no.example")), "dns_nodata");
    world.sleep(2 * SEC);
    world.pending("no.example");
}

#[test]
fn names_that_no_server_is_asked_for() {
    let hosts = hosts("10.1.1.1 db.internal DB\n10.1.1.2 db\nfd00::1 db\n10.9.9.9 localhost\n");
    for (families, name, expected, source) in [
        (Families::Both, "192.0.2.9", "192.0.2.9", Source::Literal),
        (Families::V4, "2001:db8::9", "2001:db8::9", Source::Literal),
        (Families::Both, "localhost", "::1 127.0.0.1", Source::Localhost),
        (Families::Both, "LocalHost.", "::1 127.0.0.1", Source::Localhost),
        (Families::V4, "a.b.localhost", "127.0.0.1", Source::Localhost),
        (Families::V6, "a.localhost.", "::1", Source::Localhost),
        (Families::Both, "db.internal", "10.1.1.1", Source::Hosts),
        (Families::Both, "Db.", "10.1.1.1 fd00::1 10.1.1.2", Source::Hosts),
        (Families::V6, "db", "fd00::1", Source::Hosts),
    ] {
        let mut world = World::new(Config { families, hosts: hosts.clone(), ..config(1) });
        let answer = world.ready(name);
        assert_eq!(shown(&answer), expected, "{name}");
        assert_eq!(answer.unwrap().source, source, "{name}");
        assert!(world.drain().is_empty());
    }
    // Of the family that is wanted the hosts file has none: the servers may.
    let mut world = World::new(Config { families: Families::V6, hosts, ..config(1) });
    world.pending("db.internal");
}

#[test]
fn what_is_no_name_is_not_asked() {
    let mut world = World::new(config(1));
    for name in ["", ".", "a..b", "b\u{fc}cher.example", "a b", "x.onion", "256.256.256.256.onion."]
    {
        assert_eq!(shown(&world.ready(name)), "dns_bad_name", "{name:?}");
    }
    assert!(world.drain().is_empty());
}

#[test]
fn only_the_families_that_are_wanted() {
    for (families, question, address) in [
        (Families::V4, "1:www.example/A", "192.0.2.1"),
        (Families::V6, "1:www.example/AAAA", "2001:db8::1"),
    ] {
        let mut world = World::new(Config { families, ..config(1) });
        assert_eq!(shown(&world.ask("www.example", |asked| asked.address(60))), address);
        assert_eq!(world.questions(), [question]);
        assert_eq!(shown(&world.ready("www.example")), address);
    }
}

#[test]
fn the_search_list_is_gone_through_while_there_is_no_such_name() {
    let search = vec!["a.example".to_string(), "b.example".to_string()];
    let mut world = World::new(Config { search, families: Families::V4, ..config(1) });
    let server = |asked: &Asked| match asked.name.as_str() {
        "www.b.example" => asked.address(60),
        "empty.a.example" => asked.none(60),
        "sick.a.example" => asked.code(2),
        _ => asked.nx(60),
    };
    assert_eq!(shown(&world.ask("www", server)), "192.0.2.1");
    assert_eq!(world.questions(), ["1:www.a.example/A", "1:www.b.example/A"]);
    assert_eq!(shown(&world.ready("www")), "192.0.2.1");
    assert_eq!(shown(&world.ready("www.b.example")), "192.0.2.1");
    world.asked.clear();
    assert_eq!(shown(&world.ask("empty", server)), "dns_nodata");
    assert_eq!(shown(&world.ask("sick", server)), "dns_servfail");
    world.asked.clear();
    let error = world.ask("gone", server).unwrap_err();
    assert_eq!(world.questions(), ["1:gone.a.example/A", "1:gone.b.example/A", "1:gone/A"]);
    assert_eq!(
        error.to_string(),
        "there is no host gone: 10.0.0.1:53 said NXDOMAIN for gone.a.example, \
         10.0.0.1:53 said NXDOMAIN for gone.b.example, 10.0.0.1:53 said NXDOMAIN"
    );
    world.asked.clear();
    assert_eq!(shown(&world.ask("www.", server)), "dns_nxdomain");
    assert_eq!(world.questions(), ["1:www/A"]);
}

#[test]
fn aliases_are_followed_out_of_the_message() {
    let mut world = World::new(Config { families: Families::V4, ..config(1) });
    let server = |asked: &Asked| match asked.name.as_str() {
        "www.example" => asked.alias("a.example"),
        "a.example" => asked.alias("b.example"),
        _ => asked.address(600),
    };
    let answer = world.ask("www.example", server).unwrap();
    assert_eq!(world.questions(), ["1:www.example/A", "1:a.example/A", "1:b.example/A"]);
    assert_eq!(answer.expires, world.now + 60 * SEC, "the shortest time on the way");
    assert_eq!(shown(&world.ready("www.example")), "192.0.2.1");
}

#[test]
fn aliases_without_end_are_named() {
    let mut world = World::new(Config { families: Families::V4, ..config(2) });
    let circle = |asked: &Asked| match asked.name.as_str() {
        "www.example" => asked.alias("a.example"),
        _ => asked.alias("www.example"),
    };
    let error = world.ask("www.example", circle).unwrap_err();
    assert_eq!(error.kind, DnsErrorKind::CnameLoop);
    assert_eq!(
        error.to_string(),
        "www.example is an alias without end: 10.0.0.1:53 sent aliases (CNAME) without end, \
         at www.example for a.example"
    );
    let mut links = 0;
    let endless = |asked: &Asked| {
        links += 1;
        asked.alias(&alloc::format!("n{links}.example"))
    };
    assert_eq!(shown(&world.ask("long.example", endless)), "dns_cname_loop");
    assert_eq!(links, 16);
    assert_eq!(
        shown(&world.ask("self.example", |asked| asked.alias("self.example"))),
        "dns_cname_loop"
    );
}

#[test]
fn the_cache_is_bounded() {
    let cache = CacheConfig { entries: 10, ..CacheConfig::default() };
    let mut world = World::new(Config { cache, ..config(1) });
    for number in 0..50 {
        world.ask(&alloc::format!("host{number}.example"), |asked| asked.address(60)).unwrap();
        // Used all the time, it stays.
        assert_eq!(shown(&world.ready("host0.example")), BOTH);
    }
    let stats = world.resolver.stats();
    assert_eq!((stats.cached, stats.evicted), (10, 40));
    world.pending("host1.example");
    let cache = CacheConfig { entries: 0, ..CacheConfig::default() };
    let mut world = World::new(Config { cache, ..config(1) });
    for _ in 0..2 {
        assert_eq!(shown(&world.ask("www.example", |asked| asked.address(60))), BOTH);
    }
    assert_eq!(world.asked.len(), 4);
}

#[test]
fn what_is_invalid_is_asked_for_again() {
    let mut world = World::new(config(1));
    world.ask("www.example", |asked| asked.address(60)).unwrap();
    world.resolver.invalidate("WWW.example");
    world.pending("www.example");
}

#[test]
fn an_address_that_failed_goes_to_the_back() {
    let mut world = World::new(config(1));
    world.ask("www.example", |asked| asked.address(60_000)).unwrap();
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    world.resolver.address_failed(v6, world.now);
    assert_eq!(shown(&world.ready("www.example")), "192.0.2.1 2001:db8::1");
    world.resolver.address_works(v6);
    assert_eq!(shown(&world.ready("www.example")), BOTH);
    world.resolver.address_failed(v6, world.now);
    world.sleep(300 * SEC);
    assert_eq!(shown(&world.ready("www.example")), BOTH);
}

#[test]
fn twenty_thousand_names_are_forty_thousand_questions() {
    let mut world = World::new(config(1));
    for number in 0..20_000 {
        world.pending(&alloc::format!("host{number}.example"));
    }
    world.run(|asked| asked.address(60));
    assert_eq!(world.asked.len(), 40_000);
    assert_eq!(world.told.len(), 20_000);
    assert!(world.told.iter().all(|told| shown(&told.result) == BOTH));
    assert_eq!(world.most_open, 128, "and never more than are allowed at once");
    assert_eq!(world.resolver.stats().sent, 40_000);
    assert_eq!(world.resolver.stats().again, 0);
}

#[test]
fn the_servers_take_turns_when_asked_to() {
    let mut world = World::new(Config { rotate: true, families: Families::V4, ..config(3) });
    for number in 0..300 {
        world.ask(&alloc::format!("host{number}.example"), |asked| asked.address(60)).unwrap();
    }
    for last in 1..=3 {
        assert_eq!(world.asked.iter().filter(|asked| asked.last() == last).count(), 100);
    }
}
