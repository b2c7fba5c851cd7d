//! Bodies cut at every byte: the digest is right all the same, and little comes twice.

use std::fs;

use gannet::origin::{Action, At, Cut, How, Running, Script, When, pattern, spawn};

use super::common::{Gannet, records, sha256};

/// For each cut a target of its own, that is cut there at the first attempt.
fn server(kind: &str, size: usize, cuts: &[(u64, How)]) -> Running {
    let mut script = Script::new();
    for &(at, how) in cuts {
        let path = format!("/{kind}/{size}?{at}{how:?}");
        let cut = Action::Cut(Cut { at: At::Body(at), how });
        script = script.rule(When::path(&path).attempt(1), [cut]);
    }
    spawn(script).unwrap()
}

/// All cuts in one batch, spread over names so that no host's retry budget delays them. Returns
/// the bytes of all attempts, bodies and heads.
fn fetch(kind: &str, size: usize, cuts: &[(u64, How)], files: bool) -> (Running, u64) {
    let server = server(kind, size, cuts);
    let port = server.addr().port();
    let gannet = Gannet::new();
    let list: String = cuts
        .iter()
        .enumerate()
        .map(|(n, (at, how))| {
            format!("http://h{}.example:{port}/{kind}/{size}?{at}{how:?}\n", n % 97)
        })
        .collect();
    fs::write(gannet.path("list"), list).unwrap();
    let mut run = gannet
        .args(["-i", "list", "--results", "r", "--sha256", "--backoff-base", "5ms", "--summary"])
        .args(["s", "--resolve", &format!("*:{port}:127.0.0.1")]);
    if files {
        run = run.args(["-o", "d/{n}"]);
    }
    let run = run.run();
    assert_eq!(run.code, 0, "{}", run.err);
    let records = records(&fs::read_to_string(gannet.path("r")).unwrap());
    assert_eq!(records.len(), cuts.len());
    let mut wire = 0;
    for record in &records {
        let n = record["n"].as_u64().unwrap() as usize;
        let (at, how) = cuts[n - 1];
        let body = pattern::body(&format!("/{kind}/{size}?{at}{how:?}"), size);
        assert_eq!(record["sha256"], sha256(&body), "cut at {at} by {how:?}: {record}");
        assert_eq!(record["body_bytes"], size);
        if files {
            assert!(fs::read(gannet.path(&format!("d/{n}"))).unwrap() == body, "{record}");
        }
        wire += record["wire_bytes"].as_u64().unwrap();
    }
    if files {
        assert_eq!(run.files("d").len(), cuts.len(), "no parts stay");
    }
    (server, wire)
}

fn every_byte(from: usize, step: usize) {
    const SIZE: usize = 4096;
    let cuts: Vec<_> = (from..=SIZE)
        .step_by(step)
        .flat_map(|at| [(at as u64, How::Fin), (at as u64, How::Reset)])
        .collect();
    let (server, _) = fetch("range", SIZE, &cuts, from.is_multiple_of(2));
    // Heads are as long as a tenth of such a body: content is what the server sent without them.
    let heads = server.stats().requests * 420;
    let most = (cuts.len() * SIZE) as u64 * 105 / 100 + heads;
    assert!(server.stats().bytes_sent <= most, "{} of {most}", server.stats().bytes_sent);
}

fn offsets(seed: u64, count: usize) {
    const SIZE: usize = 1 << 20;
    let mut chance = fastrand::Rng::with_seed(seed);
    let cuts: Vec<_> = (0..count)
        .map(|_| {
            let how = if chance.bool() { How::Fin } else { How::Reset };
            (chance.u64(0..=SIZE as u64), how)
        })
        .collect();
    let (server, wire) = fetch("range", SIZE, &cuts, false);
    let whole = (count * SIZE) as u64;
    let sent = server.stats().bytes_sent;
    println!("seed {seed}: {count} cuts, {sent} bytes sent and {wire} received for {whole}");
    // A reset throws away what the server had written and nobody had received yet.
    assert!(wire <= whole * 105 / 100, "seed {seed}: {sent}, {wire} for {whole}");
    assert!(sent >= whole);
}

#[test]
fn a_small_body_cut_at_many_bytes() {
    every_byte(0, 16);
}

#[test]
#[ignore = "some seconds: every byte"]
fn a_small_body_cut_at_every_byte() {
    for from in 0..16 {
        every_byte(from, 16);
    }
}

#[test]
fn a_body_of_a_mebibyte_cut_at_seeded_offsets() {
    offsets(1, 60);
}

#[test]
#[ignore = "two gibibytes: two thousand offsets"]
fn a_body_of_a_mebibyte_cut_at_two_thousand_offsets() {
    for seed in 0..20 {
        offsets(100 + seed, 100);
    }
}

/// Without ranges a body starts again, and is whole all the same.
#[test]
fn without_ranges_it_starts_again() {
    for kind in ["bytes", "chunked", "close"] {
        let how = if kind == "close" { How::Reset } else { How::Fin };
        let cuts: Vec<_> = (0..40).map(|n| (n * 100, how)).collect();
        fetch(kind, 4096, &cuts, true);
    }
}
