//! The network taken away in the middle: a link that goes down, at our end and at the other one,
//! and name servers that fall silent. No URL fails for it, and no attempt is counted.

use std::collections::HashSet;
use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gannet::origin::traffic::{Service, Time};
use gannet::origin::{Running, Script, spawn};

use super::common::{Gannet, records, wait};

/// How long it is away: less than the issue's 20 s, which the ignored tests take.
const SHORT: Duration = Duration::from_secs(7);
const LONG: Duration = Duration::from_secs(20);

/// A name server that knows every name at one address, and can fall silent. None for `hole*` is ever
/// answered, and those of `lame.test` are refused.
struct NameServer {
    socket: UdpSocket,
    silent: Arc<AtomicBool>,
    /// Questions so far.
    asked: Arc<AtomicU64>,
}

/// What it does while it is not well.
#[derive(Clone, Copy)]
enum Trouble {
    Silent,
    /// Another response code than 0, for all names.
    Says(u8),
    /// The same, but for what it was asked before.
    SaysOfNew(u8),
}

impl NameServer {
    fn spawn(bind: &str, address: [u8; 4]) -> Self {
        Self::with(Trouble::Silent, bind, address)
    }

    fn with(trouble: Trouble, bind: &str, address: [u8; 4]) -> Self {
        let socket = UdpSocket::bind(bind).unwrap();
        let (silent, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (own, quiet, count) = (socket.try_clone().unwrap(), silent.clone(), asked.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            let mut known = HashSet::new();
            while let Ok((length, from)) = own.recv_from(&mut buffer) {
                count.fetch_add(1, Ordering::Relaxed);
                let name = buffer[12..length.max(12)].to_ascii_lowercase();
                let is_lame = name.windows(10).any(|labels| labels == b"\x04lame\x04test");
                let code = match trouble {
                    _ if name.starts_with(b"\x04hole") || length < 17 => continue,
                    _ if is_lame => 5,
                    _ if !quiet.load(Ordering::Relaxed) => 0,
                    Trouble::Silent => continue,
                    Trouble::SaysOfNew(_) if known.contains(&name) => 0,
                    Trouble::Says(code) | Trouble::SaysOfNew(code) => code,
                };
                let answer = if code == 0 {
                    answer(&buffer[..length], address)
                } else {
                    refusal(&buffer[..length], code)
                };
                if code == 0 {
                    known.insert(name);
                }
                let _ = own.send_to(&answer, from);
            }
        });
        Self { socket, silent, asked }
    }
}

/// An answer that says no more than a code.
fn refusal(question: &[u8], code: u8) -> Vec<u8> {
    let mut answer = answer(question, [0; 4]);
    let end = question[12..].iter().position(|&byte| byte == 0).map_or(12, |at| at + 13);
    answer.truncate(end + 4);
    answer[3] |= code;
    answer[7] = 0;
    answer
}

/// An answer to a question for A; none to other questions.
fn answer(question: &[u8], address: [u8; 4]) -> Vec<u8> {
    let end = question[12..].iter().position(|&byte| byte == 0).map_or(12, |at| at + 13);
    let is_a = question[end..end + 2] == [0, 1];
    let mut answer = question[..end + 4].to_vec();
    // An answer without additional records, with a time to live of one second.
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend(address);
    }
    answer
}

/// Thirty milliseconds of work for each request.
fn server(bind: &str) -> Running {
    let mut script = Script::new();
    script.listen = vec![bind.parse().unwrap()];
    script.service = Some(Service { time: Time::FixedUs(30_000), ..Service::default() });
    spawn(script).unwrap()
}

/// Many hosts, some of them met first when the network is away.
fn list(port: u16, urls: usize) -> String {
    (0..urls).map(|n| format!("http://h{}.test:{port}/bytes/{}\n", n / 10, 100 + n)).collect()
}

fn check(gannet: &Gannet, child: &mut Child, urls: usize, away: Duration) -> String {
    let status = wait(child, Duration::from_secs(90));
    let mut err = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut err).unwrap();
    assert_eq!(status.code(), Some(0), "{err}");
    let records = records(&fs::read_to_string(gannet.path("r")).unwrap());
    assert_eq!(records.len(), urls);
    for record in &records {
        assert_eq!((&record["ok"], &record["attempts"]), (&true.into(), &1.into()), "{record}");
    }
    println!("away for {away:?}: {err}");
    err
}

fn command(gannet: &Gannet, names: &NameServer) -> Gannet {
    let servers = names.socket.local_addr().unwrap().to_string();
    gannet
        .args(["-i", "list", "--results", "r", "--per-host", "2", "--window", "60"])
        .args(["--dns-servers", &servers])
}

fn batch(gannet: &Gannet, server: &Running, names: &NameServer) -> Child {
    fs::write(gannet.path("list"), list(server.addr().port(), 1500)).unwrap();
    command(gannet, names).spawn(Stdio::null())
}

fn name_servers_fall_silent(away: Duration) {
    let server = server("127.0.0.1:0");
    let names = NameServer::spawn("127.0.0.1:0", [127, 0, 0, 1]);
    let gannet = Gannet::new();
    let mut child = batch(&gannet, &server, &names);
    await_requests(&server, 200);
    names.silent.store(true, Ordering::Relaxed);
    let asked = names.asked.load(Ordering::Relaxed);
    std::thread::sleep(away);
    let during = names.asked.load(Ordering::Relaxed) - asked;
    names.silent.store(false, Ordering::Relaxed);
    let err = check(&gannet, &mut child, 1500, away);
    assert!(err.contains("seem to be down") && err.contains("the network is back"), "{err}");
    // Each of the names of as many URLs as are read ahead for two records, less than once a second.
    assert!(during < 200 + 2 * 60 * away.as_secs(), "{during} questions to a silent server");
}

fn await_requests(server: &Running, count: u64) {
    let until = Instant::now() + Duration::from_secs(30);
    while server.stats().answers < count {
        assert!(Instant::now() < until, "{:?}", server.stats());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn silent_name_servers_fail_no_url() {
    name_servers_fall_silent(Duration::from_secs(13));
}

#[test]
#[ignore = "half a minute"]
fn name_servers_silent_for_twenty_seconds_fail_no_url() {
    name_servers_fall_silent(LONG);
}

/// What a forwarder says whose way to the others is cut.
#[test]
fn name_servers_that_refuse_everything_fail_no_url() {
    for code in [2, 5] {
        let server = server("127.0.0.1:0");
        let names = NameServer::with(Trouble::Says(code), "127.0.0.1:0", [127, 0, 0, 1]);
        let gannet = Gannet::new();
        let mut child = batch(&gannet, &server, &names);
        await_requests(&server, 200);
        names.silent.store(true, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(5));
        names.silent.store(false, Ordering::Relaxed);
        let err = check(&gannet, &mut child, 1500, Duration::from_secs(5));
        assert!(err.contains("seem to be down") && err.contains("the network is back"), "{err}");
    }
}

/// It remembers those that it was asked for before: that one more is answered is no sign of health.
#[test]
fn name_servers_that_refuse_what_is_new_fail_no_url() {
    let server = server("127.0.0.1:0");
    let names = NameServer::with(Trouble::SaysOfNew(2), "127.0.0.1:0", [127, 0, 0, 1]);
    let gannet = Gannet::new();
    // Each host once.
    let port = server.addr().port();
    let list: String = (0..600).map(|n| format!("http://h{n}.test:{port}/bytes/9\n")).collect();
    fs::write(gannet.path("list"), list).unwrap();
    let mut child = command(&gannet, &names).spawn(Stdio::null());
    await_requests(&server, 200);
    names.silent.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(8));
    names.silent.store(false, Ordering::Relaxed);
    let status = wait(&mut child, Duration::from_secs(90));
    let records = records(&fs::read_to_string(gannet.path("r")).unwrap());
    assert_eq!((status.code(), records.len()), (Some(0), 600));
    let counted: u64 = records.iter().map(|it| it["attempts"].as_u64().unwrap() - 1).sum();
    assert!(counted <= 32, "{counted} attempts were counted");
}

/// A zone whose servers fail is that zone's trouble, while others are answered; and that only such names
/// are left at the end, to be asked for again, is no outage either.
#[test]
fn a_lame_zone_is_no_outage() {
    let server = server("127.0.0.1:0");
    let port = server.addr().port();
    let names = NameServer::spawn("127.0.0.1:0", [127, 0, 0, 1]);
    let servers = names.socket.local_addr().unwrap().to_string();
    let list: String = (0..200)
        .map(|n| {
            let zone = if n % 5 == 0 { ".test" } else { ".lame.test" };
            format!("http://h{n}{zone}:{port}/bytes/1\n")
        })
        .collect();
    let begun = Instant::now();
    let run = Gannet::new()
        .args(["-i", "-", "--retry", "2", "--dns-servers", &servers])
        .stdin(&list)
        .run();
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let records = records(&run.out);
    let kinds = |kind: &str| records.iter().filter(|it| it["error"]["kind"] == kind).count();
    assert_eq!((records.len(), kinds("dns_refused")), (200, 160));
    assert!(!run.err.contains("seem to be down"), "{}", run.err);
}

/// A name that no server answers for is that name's trouble, while they answer for others.
#[test]
fn a_name_without_an_answer_is_no_outage() {
    let server = server("127.0.0.1:0");
    let port = server.addr().port();
    let names = NameServer::spawn("127.0.0.1:0", [127, 0, 0, 1]);
    let servers = names.socket.local_addr().unwrap().to_string();
    let begun = Instant::now();
    let run = Gannet::new()
        .args(["-i", "-", "--retry", "1", "--connect-timeout", "2", "--dns-servers", &servers])
        .stdin(&format!("http://h.test:{port}/bytes/1\nhttp://hole.test:{port}/bytes/2\n"))
        .run();
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let records = records(&run.out);
    assert_eq!(records[0]["ok"], true);
    assert_eq!(records[1]["error"]["kind"], "dns_unanswered", "{}", records[1]);
    assert_eq!(records[1]["attempts"], 2);
    assert!(!run.err.contains("seem to be down"), "{}", run.err);
}

/// `--offline fail`: as any other failure, and named.
#[test]
fn who_does_not_want_to_wait_is_told_at_once() {
    let names = NameServer::spawn("127.0.0.1:0", [127, 0, 0, 1]);
    names.silent.store(true, Ordering::Relaxed);
    let servers = names.socket.local_addr().unwrap().to_string();
    let run = Gannet::new()
        .args(["-i", "-", "--offline", "fail", "--retry", "0", "--connect-timeout", "1"])
        .args(["--dns-servers", &servers])
        .stdin("http://a.test/\n")
        .run();
    assert_eq!(run.code, 1, "{}", run.err);
    let record = &records(&run.out)[0];
    assert_eq!(record["error"]["kind"], "dns_unanswered", "{record}");
    let message = record["error"]["message"].as_str().unwrap();
    assert!(message.contains(&servers) && message.contains("a.test"), "{message}");
    assert!(record["error"]["hint"].as_str().unwrap().contains("--dns-servers"), "{record}");
}

/// `--offline wait`: a transfer waits too, and no attempt is counted for it.
#[test]
fn a_transfer_waits_when_it_is_told_to() {
    let server = server("127.0.0.1:0");
    let url = format!("http://a.test:{}/bytes/3", server.addr().port());
    let names = NameServer::spawn("127.0.0.1:0", [127, 0, 0, 1]);
    names.silent.store(true, Ordering::Relaxed);
    let silent = Arc::clone(&names.silent);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(6));
        silent.store(false, Ordering::Relaxed);
    });
    let begun = Instant::now();
    let run = Gannet::new()
        .args(["--offline", "wait", "--retry", "0", "--connect-timeout", "2", "--dns-servers"])
        .args([names.socket.local_addr().unwrap().to_string().as_str(), &url])
        .run();
    assert_eq!((run.code, run.out.len()), (0, 3), "{}", run.err);
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(run.err.contains("waiting") && run.err.contains("the network is back"), "{}", run.err);
}

// A namespace of its own for the whole test, and in it a second one for gannet: a pair of virtual
// links between them is the network. Needs root; nothing outside of the namespaces is touched.

const INSIDE: &str = "GANNET_TEST_NAMESPACE";

/// Runs one of the tests below in a namespace; false: this machine does not allow that.
fn in_namespace(test: &str, away: Duration) -> bool {
    let possible = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && ip link add name gan0 type veth peer name gan1",
        ])
        .output()
        .is_ok_and(|output| output.status.success());
    if !possible {
        println!("{test}: skipped, it takes root and the programs unshare, ip and nsenter");
        return false;
    }
    let output = Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(INSIDE, away.as_millis().to_string())
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
    true
}

fn sh(line: &str) {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A process that keeps the second namespace alive, with the link between both.
struct Far(Child);

impl Far {
    fn new() -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sleep", "300"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let far = Self(child);
        sh(&format!(
            "ip link set lo up; ip link add name gan0 type veth peer name gan1; \
             ip link set gan1 netns {}; ip address add 10.77.0.1/24 dev gan0; ip link set gan0 up",
            far.0.id()
        ));
        far.sh("ip link set lo up; ip address add 10.77.0.2/24 dev gan1; ip link set gan1 up");
        far
    }

    fn enter(&self) -> [String; 4] {
        ["nsenter".into(), "-t".into(), self.0.id().to_string(), "-n".into()]
    }

    fn sh(&self, line: &str) {
        sh(&format!("{} sh -ec '{line}'", self.enter().join(" ")));
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// gannet at the far end, this process at the near one; `down` and `up` are the two commands.
fn link_goes_down(away: Duration, near: bool) {
    let far = Far::new();
    let server = server("10.77.0.1:0");
    let names = NameServer::spawn("10.77.0.1:0", [10, 77, 0, 1]);
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), list(server.addr().port(), 1500)).unwrap();
    let servers = names.socket.local_addr().unwrap().to_string();
    let [program, words @ ..] = far.enter();
    let mut child = Command::new(program)
        .args(words)
        .arg(env!("CARGO_BIN_EXE_gannet"))
        .args(["-i", "list", "--results", "r", "--per-host", "2", "--window", "60"])
        .args(["--dns-servers", &servers, "--allow-net", "private"])
        .current_dir(gannet.path("."))
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    await_requests(&server, 200);
    let link = |state: &str| {
        if near {
            sh(&format!("ip link set gan0 {state}"));
        } else {
            far.sh(&format!("ip link set gan1 {state}"));
        }
    };
    link("down");
    std::thread::sleep(away);
    link("up");
    check(&gannet, &mut child, 1500, away);
}

fn away() -> Duration {
    let inside = std::env::var(INSIDE).expect("run by another test, in a namespace");
    Duration::from_millis(inside.parse().unwrap())
}

#[test]
#[ignore = "run by others, in a namespace"]
fn inside_our_link() {
    link_goes_down(away(), false);
}

#[test]
#[ignore = "run by others, in a namespace"]
fn inside_their_link() {
    link_goes_down(away(), true);
}

#[test]
fn our_link_down_fails_no_url() {
    in_namespace("network::inside_our_link", SHORT);
}

#[test]
fn their_link_down_fails_no_url() {
    in_namespace("network::inside_their_link", Duration::from_secs(12));
}

#[test]
#[ignore = "a minute"]
fn links_down_for_twenty_seconds_fail_no_url() {
    for test in ["network::inside_our_link", "network::inside_their_link"] {
        in_namespace(test, LONG);
    }
}
