//! The engine and the driver on real sockets, against `origin`.

mod common;

use std::time::Duration;

use common::Client;
use gannet::engine::pace::PaceConfig;
use gannet::engine::{Config, Kind, Origin, PerHost, Request, Scheme};
use gannet::origin::{Action, At, Cut, How, Script, When, pattern, presets, spawn};

const LIMIT: Duration = Duration::from_secs(30);

fn fixed(per_host: u16) -> Config {
    Config { per_host: PerHost::Fixed(per_host), ..Config::default() }
}

#[test]
fn many_requests_share_exactly_as_many_connections_as_allowed() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(fixed(16));
    for n in 0..2_000 {
        client.submit(server.addr(), "GET", &format!("/bytes/{}?{n}", n % 500));
    }
    client.finish(LIMIT);
    for (n, seen) in client.recorder.seen.iter().enumerate() {
        let target = format!("/bytes/{}?{n}", n % 500);
        assert!(seen.is_ok(), "{target}: {seen:?}");
        assert_eq!(seen.body, pattern::body(&target, n % 500), "{target}");
        assert_eq!(seen.attempts, 1);
    }
    assert_eq!(server.stats().accepted, 16);
}

#[test]
fn a_slow_pace_opens_no_connection_that_it_has_no_use_for() {
    let server = spawn(Script::new()).unwrap();
    let pace = PaceConfig { delay: Duration::from_secs(3), ..PaceConfig::default() };
    let mut client = Client::new(Config { pace, ..fixed(16) });
    for n in 0..20 {
        client.submit(server.addr(), "GET", &format!("/bytes/10?{n}"));
    }
    client.run_for(Duration::from_millis(500));
    assert_eq!(server.stats().requests, 1);
    assert!(server.stats().accepted <= 2, "{:?}", server.stats());
}

#[test]
fn a_body_that_is_cut_arrives_whole() {
    let flaky = presets::flaky(0.05, How::Reset);
    let server = spawn(flaky).unwrap();
    let mut client =
        Client::new(Config { backoff_base: Duration::from_millis(5), attempts: 12, ..fixed(8) });
    for n in 0..1_000 {
        client.submit(server.addr(), "GET", &format!("/bytes/300?{n}"));
    }
    client.finish(LIMIT);
    for (n, seen) in client.recorder.seen.iter().enumerate() {
        assert!(seen.is_ok(), "{n}: {seen:?}");
        assert_eq!(seen.body, pattern::body(&format!("/bytes/300?{n}"), 300), "{n}");
    }
}

#[test]
fn a_post_that_was_cut_is_reported_and_not_repeated() {
    let cut = Action::Cut(Cut { at: At::Body(10), how: How::Reset });
    let server = spawn(Script::new().rule(When::always(), [cut])).unwrap();
    let mut client = Client::new(fixed(1));
    client.submit(server.addr(), "POST", "/bytes/100");
    client.finish(LIMIT);
    let seen = &client.recorder.seen[0];
    assert_eq!(seen.kind(), Some(Kind::ResetInBody), "{seen:?}");
    assert_eq!(seen.attempts, 1);
    assert_eq!(server.stats().requests, 1);
}

#[test]
fn a_banner_ends_its_requests_after_one_connection_each() {
    let server = spawn(presets::banner()).unwrap();
    let mut client = Client::new(fixed(4));
    for _ in 0..20 {
        client.submit(server.addr(), "GET", "/");
    }
    client.finish(LIMIT);
    for seen in &client.recorder.seen {
        assert_eq!(seen.kind(), Some(Kind::ServerSpokeFirst), "{seen:?}");
        assert_eq!(seen.attempts, 1);
    }
    assert!(server.stats().accepted <= 20);
}

#[test]
fn stale_connections_cost_no_attempt() {
    let server = spawn(presets::idle_close(30)).unwrap();
    let mut client = Client::new(fixed(4));
    for round in 0..40 {
        for n in 0..4 {
            client.submit(server.addr(), "GET", &format!("/bytes/50?{round}.{n}"));
        }
        client.finish(LIMIT);
        client.run_for(Duration::from_millis(27 + round % 6));
    }
    for seen in &client.recorder.seen {
        assert!(seen.is_ok(), "{seen:?}");
        assert_eq!(seen.attempts, 1, "{seen:?}");
        assert!(seen.tries.is_empty(), "{seen:?}");
    }
}

#[test]
fn nobody_listens_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut client = Client::new(Config { backoff_base: Duration::from_millis(2), ..fixed(4) });
    for _ in 0..10 {
        client.submit(address, "GET", "/");
    }
    client.finish(LIMIT);
    let kinds: Vec<_> = client.recorder.seen.iter().map(common::Seen::kind).collect();
    assert_eq!(kinds.iter().filter(|&&kind| kind == Some(Kind::Refused)).count(), 1, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|&&kind| kind == Some(Kind::HostDown)).count(), 9, "{kinds:?}");
}

#[test]
fn a_server_that_restarts_loses_nothing() {
    let server = spawn(presets::outage(300, 1_500)).unwrap();
    let mut client = Client::new(fixed(8));
    for n in 0..4_000 {
        client.submit(server.addr(), "GET", &format!("/delay/2/100?{n}"));
    }
    client.finish(LIMIT);
    let failed: Vec<_> = client.recorder.seen.iter().filter(|seen| !seen.is_ok()).collect();
    assert!(failed.is_empty(), "{} failed, one of them: {:?}", failed.len(), failed[0]);
}

#[test]
fn hosts_that_never_answer_do_not_hold_up_one_that_does() {
    let silent = spawn(presets::silent()).unwrap();
    let server = spawn(Script::new()).unwrap();
    let config = Config {
        first_byte_timeout: Some(Duration::from_millis(300)),
        backoff_base: Duration::from_millis(5),
        ..fixed(100)
    };
    let mut client = Client::new(config);
    for _ in 0..100 {
        client.submit(silent.addr(), "GET", "/");
    }
    let quick = client.submit(server.addr(), "GET", "/bytes/10");
    let start = std::time::Instant::now();
    while client.recorder.seen.len() <= quick as usize {
        client.turn();
    }
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
    client.finish(LIMIT);
    for seen in &client.recorder.seen[..100] {
        assert_eq!(seen.kind(), Some(Kind::FirstByteTimeout), "{seen:?}");
        assert_eq!(seen.attempts, 2);
    }
}

#[test]
fn a_hard_limit_is_found() {
    let server = spawn(presets::hard_limit(10)).unwrap();
    let mut client = Client::new(Config::default());
    for n in 0..1_000 {
        client.submit(server.addr(), "GET", &format!("/bytes/100?{n}"));
    }
    client.finish(LIMIT);
    let search = server.stats().turned_away;
    for n in 1_000..4_000 {
        client.submit(server.addr(), "GET", &format!("/bytes/100?{n}"));
    }
    client.finish(LIMIT);
    for seen in &client.recorder.seen {
        assert!(seen.is_ok(), "{seen:?}");
    }
    // Known once, it costs less than half a percent of the requests to stay near it.
    let stats = server.stats();
    assert!(stats.turned_away - search < 15, "{search} in the search, then {stats:?}");
}

#[test]
fn many_names_at_one_address_take_turns_at_its_slots() {
    // Each name alone would be content with its own connection; together they have sixteen, and
    // those that are idle must not keep the others out.
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(fixed(2));
    for round in 0..3 {
        for name in 0..500 {
            client.submit_to(
                &format!("host{name}.test"),
                server.addr(),
                &format!("/bytes/9?{round}"),
            );
        }
    }
    client.finish_names(server.addr().ip(), LIMIT);
    assert!(client.recorder.seen.iter().all(common::Seen::is_ok));
    assert!(server.stats().accepted >= 500);
}

#[test]
fn hosts_with_work_do_not_close_each_others_connections() {
    let listen = (1..=40).map(|n| format!("127.0.0.{n}:0").parse().unwrap()).collect();
    let server = spawn(Script { listen, ..Script::new() }).unwrap();
    let addresses = server.addrs().to_vec();
    let mut client = Client::new(Config { max_connections: 100, ..fixed(4) });
    for n in 0..80 {
        for &address in &addresses {
            client.submit(address, "GET", &format!("/bytes/100?{n}"));
        }
        // A short look ahead: queues run empty now and then, as they do in a batch.
        while client.submitted - client.recorder.done as u64 > 300 {
            client.turn();
        }
    }
    client.finish(LIMIT);
    assert!(client.recorder.seen.iter().all(common::Seen::is_ok));
    assert!(server.stats().accepted <= 100, "{:?}", server.stats());
}

#[test]
fn a_driver_without_tls_says_so() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(fixed(1));
    let host = server.addr().ip().to_string();
    let origin = Origin { scheme: Scheme::Https, host: &host, port: server.addr().port() };
    let host = client.driver.host(&origin);
    client.driver.submit(&Request::get(host, "/")).unwrap();
    client.submitted = 1;
    client.finish(LIMIT);
    assert_eq!(client.recorder.seen[0].kind(), Some(Kind::Tls("tls_unavailable")));
}
