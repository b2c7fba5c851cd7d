//! `--shard K/N` of the built binary: every line in exactly one part, no host in two.
//!
//! The hash itself has fixed vectors, `tests/shards.txt`, which Spark's side is held to as well.
#![cfg(all(feature = "cli", feature = "origin"))]

#[path = "cli_common/mod.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Gannet, records};
use gannet::fetch::{Url, UrlRules};
use gannet::origin::{Script, spawn};

/// Every spelling of a host, bad lines, several URLs a host, hosts of very different size.
#[test]
fn every_line_is_in_exactly_one_part() {
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    let mut list = Vec::new();
    for rank in 1..=60 {
        for n in 0..120 / rank {
            let host =
                if n % 2 == 0 { format!("h{rank}.example") } else { format!("H{rank}.Example.") };
            list.push(format!("http://{host}:{port}/bytes/1?{n}"));
        }
    }
    list.push(format!("{{\"url\":\"http://h1.example:{port}/bytes/1\",\"meta\":{{\"a\":1}}}}"));
    list.push("http://not a url/".to_owned());
    list.push("ftp://h2.example/".to_owned());
    let text: String = list.iter().map(|line| format!("{line}\n")).collect();
    let known = format!("*:{port}:127.0.0.1");
    for of in [1, 2, 5, 7] {
        let mut seen = BTreeMap::new();
        let mut hosts: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        let mut elsewhere = 0;
        for part in 0..of {
            let run = Gannet::new()
                .args(["-i", "-", "--shard", &format!("{part}+1/{of}"), "--exit-zero"])
                .args(["--resolve", &known, "--summary", "summary"])
                .stdin(&text)
                .run();
            assert_eq!(run.code, 0, "{}", run.err);
            for record in records(&run.out) {
                *seen.entry(record["n"].as_u64().unwrap()).or_insert(0) += 1;
                let url = Url::parse(record["url"].as_str().unwrap(), &UrlRules::default());
                if let Ok(url) = url {
                    let host = url.host().trim_end_matches('.').to_owned();
                    hosts.entry(host).or_default().insert(part);
                }
            }
            let summary = std::fs::read_to_string(run.path("summary")).unwrap();
            let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
            assert_eq!(summary["entries"].as_u64().unwrap(), list.len() as u64);
            elsewhere += summary["other_shards"].as_u64().unwrap();
        }
        let lines: Vec<u64> = seen.keys().copied().collect();
        assert_eq!(lines, (1..=list.len() as u64).collect::<Vec<_>>(), "of {of}");
        assert!(seen.values().all(|times| *times == 1), "of {of}: {seen:?}");
        assert!(hosts.values().all(|parts| parts.len() == 1), "of {of}: {hosts:?}");
        assert_eq!(elsewhere, list.len() as u64 * u64::from(of - 1));
    }
}

/// A part is interrupted and goes on; the parts together are the list still.
#[test]
fn parts_are_resumed_each_for_itself() {
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    let text: String =
        (0..200).map(|n| format!("http://h{}.example:{port}/bytes/1?{n}\n", n % 23)).collect();
    let known = format!("*:{port}:127.0.0.1");
    let gannet = Gannet::new();
    std::fs::write(gannet.path("list"), &text).unwrap();
    for part in 1..=3 {
        let shard = format!("{part}/3");
        let name = format!("part-{part}.jsonl");
        let args =
            ["-i", "list", "--shard", &shard, "--results", &name, "--resume", "--resolve", &known];
        let first = gannet.gannet().args(args).run();
        assert_eq!(first.code, 0, "{}", first.err);
        // As a crash leaves it: the end is lost, the last line torn.
        let whole = std::fs::read_to_string(first.path(&name)).unwrap();
        std::fs::write(first.path(&name), &whole[..whole.len() / 2]).unwrap();
        let again = gannet.gannet().args(args).run();
        assert_eq!(again.code, 0, "{}", again.err);
        let after = std::fs::read_to_string(again.path(&name)).unwrap();
        let sorted = |text: &str| {
            let mut all: Vec<u64> =
                records(text).iter().map(|record| record["n"].as_u64().unwrap()).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(sorted(&after), sorted(&whole), "part {part}");
    }
}
