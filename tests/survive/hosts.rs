//! Hosts that ask to be left alone, that answer with trouble, that come back: what they cost the
//! others, and what stands in the records.

use std::fs;
use std::time::{Duration, Instant};

use gannet::origin::presets::hard_limit_with;
use gannet::origin::traffic::{Arrival, Full, KeepAlive, Service, Time, Welcome};
use gannet::origin::{Action, At, Cut, How, Script, Span, When, pattern, spawn};
use serde_json::Value;

use super::common::{Gannet, Run, records};

/// Retry-After: 3600 closes the host: no further request goes there, all others arrive, and a
/// later run fetches what was left.
#[test]
fn a_host_that_wants_to_be_left_alone_is() {
    let closing = [Action::Status(429), Action::RetryAfter("3600".to_owned())];
    let mut script = Script::new().rule(When::path("/bytes/17").attempt(1), closing);
    script.latency_ms = 20;
    let sick = spawn(script).unwrap();
    let well = spawn(Script::new()).unwrap();
    let gannet = Gannet::new();
    let list: String = (1..=100)
        .map(|n| format!("{}\n{}\n", sick.url(&format!("/bytes/{n}")), well.url("/bytes/5")))
        .collect();
    fs::write(gannet.path("list"), list).unwrap();
    let command =
        gannet.args(["-i", "list", "--results", "r", "--per-host", "1", "--summary", "s"]);
    let begun = Instant::now();
    let run = command.run();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(run.code, 1, "{}", run.err);
    let asked = sick.stats().requests;
    assert!((1..=20).contains(&asked), "{asked} requests");
    let first = records(&fs::read_to_string(run.path("r")).unwrap());
    assert_eq!(first.len(), 200);
    let kind = |record: &Value| record["error"]["kind"].as_str().map(str::to_owned);
    let closed = first.iter().filter(|one| kind(one).as_deref() == Some("host_closed")).count();
    let well_done = first.iter().filter(|one| one["n"].as_u64().unwrap() % 2 == 0);
    assert_eq!(well_done.filter(|one| one["ok"] == true).count(), 100);
    assert_eq!(closed as u64, 100 - (asked - 1), "{}", run.err);
    for record in first.iter().filter(|one| kind(one).as_deref() == Some("host_closed")) {
        let hint = record["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("--resume"), "{record}");
    }
    assert!(run.err.contains("it asked to be left alone"), "{}", run.err);
    let summary: Value = serde_json::from_slice(&fs::read(run.path("s")).unwrap()).unwrap();
    assert_eq!(summary["kinds"]["host_closed"], closed);
    // The host is well again.
    let again = run.gannet().args(["-i", "list", "--results", "r", "--resume"]).run();
    assert_eq!(again.code, 0, "{}", again.err);
    let all = records(&fs::read_to_string(run.path("r")).unwrap());
    assert_eq!(all.iter().filter(|record| record["ok"] == true).count(), 200);
    assert_eq!(sick.stats().requests - asked, closed as u64);
}

/// What was found of the only host, and how many URLs arrived.
fn found(script: Script, list: impl Fn(u32) -> String, count: u32) -> (Value, usize) {
    let server = spawn(script).unwrap();
    let gannet = Gannet::new();
    let list: String = (1..=count).map(|n| format!("{}\n", server.url(&list(n)))).collect();
    fs::write(gannet.path("list"), list).unwrap();
    let run = gannet.args(["-i", "list", "--results", "r", "--summary", "s"]).run();
    let all = records(&fs::read_to_string(run.path("r")).unwrap());
    assert_eq!(all.len(), count as usize, "{}", run.err);
    let summary: Value = serde_json::from_slice(&fs::read(run.path("s")).unwrap()).unwrap();
    (summary["hosts"][0].clone(), all.iter().filter(|one| one["ok"] == true).count())
}

/// A program that has no worker or no place in its queue left says 500 or 502 as often as 503 (mod_qos,
/// a gateway whose backend accepts no more). The same URL is answered a moment later: that is a limit.
#[test]
fn errors_that_come_of_too_much_at_once_are_a_limit() {
    for status in [500, 502, 504] {
        let full = Full::Answer { status, retry_after: None, at_once: false };
        let (host, ok) = found(hard_limit_with(8, full), |n| format!("/bytes/{n}"), 1_500);
        assert_eq!(ok, 1_500, "{status}: {host}");
        assert_eq!(host["finding"], "hard_limit", "{status}: {host}");
        let limit = host["limit"].as_u64().unwrap();
        assert!((5..=10).contains(&limit), "{status}: {host}");
        let repeats = host["repeats"].as_u64().unwrap();
        // Not one for each of the many that fail while eight serve.
        assert!(repeats < 100, "{status}: {host}");
    }
}

/// A gateway keeps its connections and says 502 to every request beyond those that it has a place for. Nearly
/// each URL of the list had met that, before the first was asked for again.
#[test]
fn errors_on_kept_connections_are_a_limit_at_once() {
    let service = Service {
        time: Time::FixedUs(20_000),
        workers: Some(8),
        queue: Some(0),
        full: Some(502),
        ..Service::default()
    };
    let script = Script { service: Some(service), ..Script::new() };
    let (host, ok) = found(script, |n| format!("/bytes/{n}"), 1_500);
    assert_eq!(ok, 1_500, "{host}");
    assert_eq!(host["finding"], "hard_limit", "{host}");
    assert!(host["repeats"].as_u64().unwrap() < 100, "{host}");
}

/// A connection that nobody accepted (a firewall that drops without a word, a full listen queue) does not
/// hold its URL up for the whole time-out while others are answered all along.
#[test]
fn what_waits_on_a_connection_that_nobody_accepted_moves_on() {
    let silent = |nth| Arrival {
        nth: Some(Span::One(nth)),
        probability: None,
        then: Welcome::End(How::Stall),
    };
    let script = Script { latency_ms: 20, arrivals: vec![silent(3), silent(6)], ..Script::new() };
    let begun = Instant::now();
    let (host, ok) = found(script, |n| format!("/bytes/{n}"), 400);
    assert_eq!(ok, 400, "{host}");
    assert_eq!(host["timeouts"], 2, "{host}");
    assert!(host["repeats"].is_null() || host["repeats"] == 0, "{host}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

/// What resets every connection is not thrown a whole list at within a second: neither a server that is
/// away behind something that accepts for it, nor one that counts new connections, is helped by that.
#[test]
fn a_host_that_resets_every_connection_is_asked_ever_more_seldom() {
    let reset =
        |nth: Span| Arrival { nth: Some(nth), probability: None, then: Welcome::End(How::Reset) };
    let keep_alive = KeepAlive { max_requests: Some(1), ..KeepAlive::default() };
    let script = Script { keep_alive, arrivals: vec![reset((31..).into())], ..Script::new() };
    let server = spawn(script).unwrap();
    let gannet = Gannet::new();
    let list: String =
        (1..=2_000).map(|n| format!("{}\n", server.url(&format!("/bytes/{n}")))).collect();
    fs::write(gannet.path("list"), list).unwrap();
    let run = gannet.args(["-i", "list", "--results", "r", "--deadline", "4"]).run();
    let asked = server.stats().accepted;
    assert!((40..=120).contains(&asked), "{asked} connections: {}", run.err);
}

/// URLs that never work are no reason to ask for less at once.
#[test]
fn errors_of_single_urls_are_no_limit() {
    let script = Script { latency_ms: 20, ..Script::new() }
        .rule(When::prefix("/sick/"), [Action::Status(500)]);
    let list = |n| if n % 20 == 0 { format!("/sick/{n}") } else { format!("/bytes/{n}") };
    let (host, ok) = found(script, list, 600);
    assert_eq!(ok, 570, "{host}");
    assert_ne!(host["finding"], "hard_limit", "{host}");
    assert!(host["limit"].as_u64().unwrap() >= 16, "{host}");
}

/// A retry that sleeps wakes by its own timer, though nothing else is under way.
#[test]
fn sleeping_retries_wake_alone() {
    for (then, least) in [
        (vec![Action::Status(503)], 0),
        (vec![Action::Status(503), Action::RetryAfter("2".to_owned())], 2),
        (vec![Action::Cut(Cut { at: At::Byte(0), how: How::Reset })], 0),
    ] {
        let server = spawn(Script::new().rule(When::always().attempt(1), then)).unwrap();
        for batch in [true, false] {
            let url = server.url(&format!("/bytes/9?{batch}"));
            let begun = Instant::now();
            let gannet = Gannet::new();
            let run = if batch {
                gannet.args(["-i", "-", "--retry", "2"]).stdin(&url).run()
            } else {
                gannet.args(["-sS", "--retry", "2", &url]).run()
            };
            assert_eq!(run.code, 0, "{}", run.err);
            let took = begun.elapsed();
            let range = Duration::from_secs(least)..Duration::from_secs(least + 6);
            assert!(range.contains(&took), "{took:?} for {least} s");
        }
    }
}

/// What each attempt met stands in the record, so that nobody has to guess.
#[test]
fn every_attempt_is_in_the_record() {
    let server = spawn(
        Script::new()
            .rule(
                When::always().attempt(1),
                [Action::Cut(Cut { at: At::Byte(0), how: How::Reset })],
            )
            .rule(When::always().attempt(2), [Action::Status(503)])
            .rule(When::always().attempt(3), [Action::Cut(Cut { at: At::Byte(9), how: How::Fin })])
            .rule(
                When::always().attempt(4),
                [Action::Cut(Cut { at: At::Body(50_000), how: How::Fin })],
            ),
    )
    .unwrap();
    let run = Gannet::new()
        .args(["-i", "-", "--backoff-base", "10ms"])
        .stdin(&server.url("/range/100000"))
        .run();
    assert_eq!(run.code, 0, "{}", run.err);
    let record = &records(&run.out)[0];
    assert_eq!((&record["attempts"], &record["resumed_at"]), (&5.into(), &50_000.into()));
    let tries = record["tries"].as_array().unwrap();
    let kinds: Vec<_> = tries.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    let want = ["reset_before_response", "status_exhausted", "eof_in_head", "eof_in_body"];
    assert_eq!(kinds, want, "{record}");
    assert_eq!(tries[1]["status"], 503);
    assert_eq!(tries[3]["at_byte"], 50_000);
    let conns: Vec<_> = tries.iter().map(|one| one["conn"].as_u64().unwrap()).collect();
    assert!(conns.windows(2).all(|two| two[0] <= two[1]) && conns[0] > 0, "{record}");
    assert!(tries.iter().all(|one| one["reused"].is_boolean() && one["ms"].is_number()));
    // What is no rest of the body is told by its status, not as one more cut.
    let cut = Action::Cut(Cut { at: At::Body(50_000), how: How::Fin });
    for status in [416, 206] {
        // A 206 without `Content-Range`.
        let refusal = [Action::Status(status), Action::Without("Content-Range".into())];
        let server = spawn(
            Script::new()
                .rule(When::always().attempt(1), [cut.clone()])
                .rule(When::always().attempt(2), refusal),
        )
        .unwrap();
        let run = Gannet::new()
            .args(["-i", "-", "--backoff-base", "10ms"])
            .stdin(&server.url("/range/100000"))
            .run();
        let record = &records(&run.out)[0];
        let tries = record["tries"].as_array().unwrap();
        let said: Vec<_> =
            tries.iter().map(|one| (one["kind"].as_str().unwrap(), &one["status"])).collect();
        let want = [("eof_in_body", &Value::Null), ("status_exhausted", &status.into())];
        assert_eq!((run.code, &said[..]), (0, &want[..]), "{record}");
        assert_eq!((&record["attempts"], &record["status"]), (&3.into(), &200.into()), "{record}");
    }
    // Another host's trouble is its own: when attempts run out, all are told.
    let run = Gannet::new()
        .args(["-i", "-", "--retry", "2", "--backoff-base", "10ms"])
        .stdin(&spawn(Script::new()).unwrap().url("/status/502"))
        .run();
    let record = &records(&run.out)[0];
    assert_eq!(record["error"]["kind"], "status_exhausted");
    assert_eq!((&record["attempts"], record["tries"].as_array().unwrap().len()), (&3.into(), 3));
}

/// A host that is down ends its own queue; the others do not notice.
#[test]
fn a_dead_host_ends_its_queue_and_no_other() {
    let well = spawn(Script::new()).unwrap();
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let list: String = (0..100)
        .map(|n| format!("http://{dead}/{n}\n{}\n", well.url(&format!("/bytes/{n}"))))
        .collect();
    // Several times: it once hung about every fifth time, when the limit of the address had shrunk
    // below the connections that were open, and the dead host waited for room behind idle ones.
    for _ in 0..12 {
        let run = dead_host(&list);
        assert!(run.err.contains("it is down"), "{}", run.err);
    }
}

fn dead_host(list: &str) -> Run {
    let begun = Instant::now();
    let run =
        Gannet::new().args(["-i", "-", "--retry", "2", "--backoff-base", "20ms"]).stdin(list).run();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}: {}", begun.elapsed(), run.err);
    assert_eq!(run.code, 1);
    let records = records(&run.out);
    let of = |kind: &str| records.iter().filter(|one| one["error"]["kind"] == kind).count();
    assert_eq!(records.iter().filter(|one| one["ok"] == true).count(), 100, "{}", run.err);
    assert_eq!((of("refused"), of("host_down")), (1, 99), "{}", run.err);
    run
}

/// A server that restarts within a minute loses nothing.
#[test]
fn a_server_that_restarts_loses_nothing() {
    let mut script = Script::new();
    script.latency_ms = 10;
    script.outages = vec![gannet::origin::traffic::Outage { at_ms: 400, for_ms: 3000 }];
    let server = spawn(script).unwrap();
    let list: String =
        (0..400).map(|n| format!("{}\n", server.url(&format!("/bytes/{n}")))).collect();
    let run = Gannet::new().args(["-i", "-", "--per-host", "4"]).stdin(&list).run();
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("400 ok, 0 failed"), "{}", run.err);
}

/// What was delivered before is never mixed with another version of it.
#[test]
fn versions_are_never_mixed() {
    let cut = Action::Cut(Cut { at: At::Body(60_000), how: How::Fin });
    let server = spawn(
        Script::new()
            .rule(When::always().attempt(1), [cut])
            .rule(When::always().attempt(2..), [Action::Edition(2)]),
    )
    .unwrap();
    let url = server.url("/range/100000");
    let gannet = Gannet::new();
    let run = gannet.args(["-sS", "-o", "f", &url]).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let body = fs::read(run.path("f")).unwrap();
    assert_eq!(body.len(), 100_000);
    assert!(body[..1000] != pattern::body("/range/100000", 100_000)[..1000], "it is the second");
    // To a pipe it can't be taken back: partial, and said.
    let server = spawn(
        Script::new()
            .rule(
                When::always().attempt(1),
                [Action::Cut(Cut { at: At::Body(60_000), how: How::Fin })],
            )
            .rule(When::always().attempt(2..), [Action::Edition(2)]),
    )
    .unwrap();
    let run = Gannet::new().args(["-sS", &server.url("/range/100000")]).run_bytes();
    assert_eq!(run.0, 18, "{}", String::from_utf8_lossy(&run.2));
    let whole = pattern::body("/range/100000", 100_000);
    assert!(run.1 == whole[..run.1.len().min(100_000)], "{} bytes of the first", run.1.len());
}
