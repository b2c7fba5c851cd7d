//! Debian's dnsmasq on loopback, for tests of the resolver.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
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
    loop {
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = datagrams.local_addr().unwrap();
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
