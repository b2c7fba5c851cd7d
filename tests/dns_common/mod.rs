//! Debian's dnsmasq on loopback, for tests of the resolver.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant as Clock};

/// The server: it knows the names of a hosts file under `.test`, and writes down what it is asked.
pub struct Dnsmasq {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Dnsmasq {
    /// `None`, and a word about it, where there is no dnsmasq.
    pub fn start(hosts: &str, options: &[&str]) -> Option<Self> {
        if Command::new("dnsmasq").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("SKIPPED: dnsmasq is not installed (Debian: dnsmasq-base)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hosts"), hosts).unwrap();
        let log = folder.path().join("log");
        let address = free_address();
        let child = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"])
            .args(["--pid-file=", "--bind-interfaces", "--listen-address=127.0.0.1"])
            .args(["--user=root", "--group=", "--log-queries", "--log-async=100", "--local=/test/"])
            .args(options)
            .arg(format!("--port={}", address.port()))
            .arg(format!("--log-facility={}", log.display()))
            .arg(format!("--addn-hosts={}", folder.path().join("hosts").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, address, log, _folder: folder };
        // It is there as soon as it takes a connection.
        let start = Clock::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "dnsmasq does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// What it was asked, and how often.
    pub fn questions(&self) -> HashMap<String, u32> {
        // What it writes down comes a moment later.
        let mut length = 0;
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = std::fs::metadata(&self.log).unwrap().len();
            if now == length {
                break;
            }
            length = now;
        }
        let mut questions = HashMap::new();
        for line in std::fs::read_to_string(&self.log).unwrap().lines() {
            if let Some((_, question)) = line.split_once(": query[") {
                let question = question.split(" from ").next().unwrap();
                *questions.entry(question.to_string()).or_insert(0) += 1;
            }
        }
        questions
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free for datagrams and for streams.
pub fn free_address() -> SocketAddr {
    free_sockets().0.local_addr().unwrap()
}

/// Two sockets at one address, below the ports that the system hands out: what other tests look up meanwhile comes from
/// thousands of those. Who needs the sockets keeps them: a process that another thread starts holds copies until it
/// runs its program, so that the port of a closed one may be taken for a moment.
pub fn free_sockets() -> (UdpSocket, TcpListener) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(131).wrapping_add(NEXT.fetch_add(1, Relaxed));
        let port = 18_000 + (number % 14_000) as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if let (Ok(datagrams), Ok(streams)) = (UdpSocket::bind(address), TcpListener::bind(address))
        {
            return (datagrams, streams);
        }
    }
}

/// Debian's unbound on loopback: every name under `.test` is 127.0.0.1, and it writes down what it is
/// asked.
pub struct Unbound {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Unbound {
    /// `None`, and a word about it, where there is no unbound.
    pub fn start() -> Option<Self> {
        let found = ["unbound", "/usr/sbin/unbound"]
            .into_iter()
            .find(|program| Command::new(program).arg("-V").stdout(Stdio::null()).status().is_ok());
        let Some(program) = found else {
            assert!(std::env::var_os("GANNET_REQUIRE_SERVERS").is_none(), "unbound is required");
            println!("SKIPPED: unbound is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (log, address) = (folder.path().join("log"), free_address());
        let conf = format!(
            "server:\n interface: 127.0.0.1@{}\n do-daemonize: no\n chroot: \"\"\n username: \"\"\n \
             pidfile: \"\"\n use-syslog: no\n logfile: \"{}\"\n log-queries: yes\n verbosity: 0\n \
             num-threads: 1\n module-config: \"iterator\"\n \
             local-zone: \"test.\" redirect\n local-data: \"test. 60 IN A 127.0.0.1\"\n\
             remote-control:\n control-enable: no\n",
            address.port(),
            log.display()
        );
        let file = folder.path().join("conf");
        std::fs::write(&file, conf).unwrap();
        let child = Command::new(program)
            .args(["-d", "-c"])
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, address, log, _folder: folder };
        let start = Clock::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "unbound does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// What it was asked, and how often.
    pub fn questions(&self) -> HashMap<String, u32> {
        let mut length = 0;
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = std::fs::metadata(&self.log).map_or(0, |meta| meta.len());
            if now == length && now > 0 {
                break;
            }
            length = now;
        }
        let mut questions = HashMap::new();
        for line in std::fs::read_to_string(&self.log).unwrap().lines() {
            // "[time] unbound[pid:0] info: 127.0.0.1 n1.test. A IN"
            if let Some((_, question)) = line.split_once("info: 127.0.0.1 ") {
                *questions.entry(question.to_string()).or_insert(0) += 1;
            }
        }
        questions
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
