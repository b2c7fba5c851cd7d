//! A firewall that drops what is one connection too many, without a word. It takes a network namespace
//! and iptables, and says so where they are missing.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use gannet::origin::traffic::{Service, Time};
use gannet::origin::{Script, spawn};

use super::common::{Gannet, records};

/// Connections beyond ten are never answered.
const RULE: &str = "-m connlimit --connlimit-above 10 --connlimit-mask 32 -j DROP";
const INSIDE: &str = "GANNET_TEST_FIREWALL";

/// Ten connections serve at once; those that are still being opened beyond them, for ten seconds, do not
/// keep them from it.
#[test]
#[ignore = "run by the next one, in a namespace"]
fn inside() {
    assert!(std::env::var_os(INSIDE).is_some(), "only in a namespace of its own");
    let service = Service { time: Time::FixedUs(30_000), ..Service::default() };
    let server = spawn(Script { service: Some(service), ..Script::new() }).unwrap();
    let port = server.addr().port();
    let output = Command::new("sh")
        .args(["-ec", &format!("iptables -A INPUT -p tcp --syn --dport {port} {RULE}")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let gannet = Gannet::new();
    let list: String =
        (0..900).map(|n| format!("{}\n", server.url(&format!("/bytes/{n}")))).collect();
    fs::write(gannet.path("list"), list).unwrap();
    let begun = Instant::now();
    let run = gannet.args(["-i", "list", "--results", "r", "--connect-timeout", "30"]).run();
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}: {}", begun.elapsed(), run.err);
    assert_eq!(run.code, 0, "{}", run.err);
    let all = records(&fs::read_to_string(run.path("r")).unwrap());
    assert_eq!(all.iter().filter(|record| record["ok"] == true).count(), 900);
}

#[test]
fn what_a_firewall_drops_does_not_hold_up_what_it_lets_in() {
    let inside = |line: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-ec", &format!("ip link set lo up; {line}")]);
        command
    };
    let possible = inside(&format!("iptables -A INPUT -p tcp --syn --dport 1 {RULE}")).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        println!("skipped: it takes root, unshare, ip, and iptables with connlimit");
        return;
    }
    let output = inside("exec \"$0\" --exact firewall::inside --ignored --nocapture")
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
}
