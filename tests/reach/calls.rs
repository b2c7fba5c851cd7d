//! What is asked of the system: one thread, no call that blocks, no file after start-up but the
//! user's. And what a batch over many hosts costs for each URL.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use gannet::origin::{Script, spawn};

use super::common::Gannet;
use super::names::NameServer;
use super::tls_common::{ECDSA, authority, pem, signed};

#[test]
fn one_thread_no_call_that_blocks_and_no_file_but_the_users() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: strace is not here");
        return;
    }
    let authority = authority("Test Root");
    let tls =
        spawn(super::tls::script(&signed(&authority, &["127.0.0.1"], ECDSA, |_| {}))).unwrap();
    let plain = spawn(Script::new()).unwrap();
    let port = plain.addr().port();
    let names = NameServer::spawn(|_| [127, 0, 0, 1]);
    let gannet = Gannet::new();
    fs::write(gannet.path("ca.pem"), pem(authority.der())).unwrap();
    let list: String = (1..=60)
        .map(|n| {
            let second = tls.url(&format!("/range/{n}"));
            format!("http://n{n}.test:{port}/bytes/{n}\n{second}\n")
        })
        .collect();
    fs::write(gannet.path("list"), list).unwrap();
    let output = Command::new("strace")
        .args(["-f", "-o", "trace", env!("CARGO_BIN_EXE_gannet"), "-i", "list", "-o", "d/{n}"])
        .args(["--results", "r", "--cacert", "ca.pem", "--dns-servers", &names.address.to_string()])
        .current_dir(gannet.path("."))
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trace = fs::read_to_string(gannet.path("trace")).unwrap();
    let calls: Vec<(&str, &str)> = trace
        .lines()
        .filter_map(|line| {
            let (thread, call) = line.split_once(' ')?;
            Some((thread, call.trim_start()))
        })
        .collect();
    let threads: BTreeSet<_> = calls.iter().map(|(thread, _)| thread).collect();
    assert_eq!(threads.len(), 1, "threads");
    for (_, call) in &calls {
        for never in ["clone(", "clone3(", "fork(", "vfork("] {
            assert!(!call.starts_with(never), "{call}");
        }
    }
    // From the first wait on, start-up is over.
    let start = calls.iter().position(|(_, call)| call.starts_with("epoll_wait")).unwrap();
    for (_, call) in &calls[start..] {
        // Files: the user's list, results and outputs, each in this folder.
        if call.starts_with("open") {
            let path = call.split('"').nth(1).unwrap_or("");
            let own = path.starts_with("d/") || ["list", "r", "d", "."].contains(&path);
            assert!(own, "a file after start-up: {call}");
        }
        if call.starts_with("socket(") {
            assert!(call.contains("SOCK_NONBLOCK"), "{call}");
        }
        // What could wait without being the poll; with a time of zero it does not.
        for blocking in
            ["nanosleep", "clock_nanosleep", "select", "pselect", "poll", "ppoll", "wait4"]
        {
            assert!(!call.starts_with(blocking) || call.contains(", 0)"), "{call}");
        }
        assert!(!call.starts_with("futex(") || !call.contains("FUTEX_WAIT"), "{call}");
    }
}

/// Instructions in all, by valgrind, of a batch over `hosts` hosts with `each` URLs.
fn instructions(hosts: usize, each: usize) -> u64 {
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    let names = NameServer::spawn(|_| [127, 0, 0, 1]);
    let gannet = Gannet::new();
    // A host's URLs are spread over the list, as a shuffled list has them.
    let list: String =
        (0..hosts * each).map(|n| format!("http://n{}.test:{port}/bytes/1\n", n % hosts)).collect();
    fs::write(gannet.path("list"), list).unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=out"])
        .arg(env!("CARGO_BIN_EXE_gannet"))
        .args(["-i", "list", "--results", "r", "--no-summary"])
        .args(["--dns-servers", &names.address.to_string()])
        .current_dir(gannet.path("."))
        .env_clear()
        .output()
        .unwrap();
    // This valgrind dies at the end, where the processor time is asked for: all is done by then.
    let done = fs::read_to_string(gannet.path("r")).unwrap().lines().count();
    assert_eq!(done, hosts * each, "{}", String::from_utf8_lossy(&output.stderr));
    let out = fs::read_to_string(gannet.path("out")).unwrap();
    let total = out.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    total.trim().parse().unwrap()
}

/// The whole way of a URL as this process sees it, at 50 hosts and at 2,000.
#[test]
#[ignore = "minutes, under valgrind"]
fn instructions_a_url_do_not_grow_with_hosts() {
    let base = instructions(1, 1);
    let few = (instructions(50, 20) - base) as f64 / (50.0 * 20.0);
    let many = (instructions(2000, 20) - base) as f64 / (2000.0 * 20.0);
    println!("{few:.0} instructions a URL at 50 hosts, {many:.0} at 2,000: {:.2}", many / few);
    assert!(many / few < 1.3);
}
