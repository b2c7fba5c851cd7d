//! Names, through the built binary and real name servers.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gannet::origin::{Script, spawn};

use super::common::{Gannet, records};
use super::dns_common::{Dnsmasq, Unbound};

/// A name server of our own: every name has one address, by how often A was asked for.
pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    asked: Arc<AtomicU64>,
}

impl NameServer {
    pub(super) fn spawn(address: impl Fn(u64) -> [u8; 4] + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let question = &buffer[..length];
                let Some(end) = question[12..].iter().position(|&byte| byte == 0) else { continue };
                let end = end + 13;
                let is_a = question[end..end + 2] == [0, 1];
                let mut answer = question[..end + 4].to_vec();
                answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
                if is_a {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
                    answer.extend(address(count.fetch_add(1, Ordering::Relaxed)));
                }
                let _ = socket.send_to(&answer, from);
            }
        });
        Self { address: own, asked }
    }
}

/// A batch over that many names; returns the processor time in ms, and the time.
fn fetch(names: usize, servers: &str) -> (f64, Duration) {
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    let gannet = Gannet::new();
    let list: String = (0..names).map(|n| format!("http://n{n}.test:{port}/bytes/1\n")).collect();
    std::fs::write(gannet.path("list"), list).unwrap();
    let begun = Instant::now();
    let run = gannet
        .args(["-i", "list", "--results", "r", "--summary", "s", "--dns-servers", servers])
        .run();
    assert_eq!(run.code, 0, "{}", run.err);
    let records = records(&std::fs::read_to_string(run.path("r")).unwrap());
    assert_eq!(records.len(), names);
    for record in &records {
        assert_eq!((&record["ok"], &record["attempts"]), (&true.into(), &1.into()), "{record}");
    }
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.path("s")).unwrap()).unwrap();
    (summary["cpu_ms"].as_f64().unwrap(), begun.elapsed())
}

const NAMES: usize = 20_000;

#[test]
fn twenty_thousand_names_from_unbound() {
    let Some(server) = Unbound::start() else { return };
    let (cpu, took) = fetch(NAMES, &server.address.to_string());
    let asked = server.questions();
    assert_eq!(asked.len(), 2 * NAMES, "a question a name and family");
    assert!(asked.values().all(|&times| times == 1), "none was asked twice");
    println!("unbound: {NAMES} names in {took:?}, {:.1} us of processor each", cpu / 20.0);
}

#[test]
fn twenty_thousand_names_from_dnsmasq() {
    let Some(server) = Dnsmasq::start("", &["--address=/test/127.0.0.1"]) else { return };
    let (cpu, took) = fetch(NAMES, &server.address.to_string());
    let asked = server.questions();
    assert_eq!(asked.len(), 2 * NAMES);
    assert!(asked.values().all(|&times| times == 1), "none was asked twice");
    println!("dnsmasq: {NAMES} names in {took:?}, {:.1} us of processor each", cpu / 20.0);
}

#[test]
fn with_one_of_two_servers_black_holed_all_arrive_and_it_is_asked_seldom() {
    let Some(server) = Unbound::start() else { return };
    let hole = UdpSocket::bind("127.0.0.1:0").unwrap();
    hole.set_nonblocking(true).unwrap();
    let servers = format!("{},{}", hole.local_addr().unwrap(), server.address);
    let (_, took) = fetch(4000, &servers);
    let mut swallowed = 0;
    while hole.recv(&mut [0; 512]).is_ok() {
        swallowed += 1;
    }
    println!("4000 names in {took:?}, {swallowed} datagrams into the hole");
    assert!((1..=300).contains(&swallowed), "{swallowed} datagrams went into the hole");
}

/// However many jobs wait for a name, it is asked for once.
#[test]
fn thousands_of_jobs_of_one_name_are_one_question() {
    let names = NameServer::spawn(|_| [127, 0, 0, 1]);
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    let gannet = Gannet::new();
    let list: String = (0..20_000).map(|n| format!("http://n.test:{port}/bytes/1?{n}\n")).collect();
    std::fs::write(gannet.path("list"), list).unwrap();
    let run = gannet
        .args(["-i", "list", "--results", "r", "--window", "100000", "--per-host", "8"])
        .args(["--dns-servers", &names.address.to_string()])
        .run();
    assert_eq!(run.code, 0, "{}", run.err);
    // All connections are opened in the first moment.
    assert_eq!(names.asked.load(Ordering::Relaxed), 1, "{}", run.err);
}
