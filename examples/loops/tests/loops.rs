//! Each loop brings the same records: of 10,000 URLs from nginx (Debian's package), of 1,000 from the
//! scripted server; `GANNET_COUNT` asks for another number of both. The stack of smoltcp is a
//! network of its own, which nginx is not on: it has as many from the server on it, with nginx's bodies.
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::duplicate_mod,
    reason = "examples are programs, and share a module"
)]

#[path = "../../mio_loop.rs"]
mod mio_loop;
#[path = "../../own_net.rs"]
mod own_net;
#[path = "../../poll_loop.rs"]
mod poll_loop;
#[path = "../../sans_io.rs"]
mod sans_io;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gannet::origin::{Script, pattern, spawn};
use gannet_loops::{Record, calloop_loop, smoltcp_stack, tokio_loop};

fn count(usual: u64) -> u64 {
    std::env::var("GANNET_COUNT").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// What each loop must bring, by what the server says to a target.
fn records(count: u64, body: impl Fn(&str) -> Vec<u8>) -> Vec<String> {
    let record = |tag| {
        let mut record = Record { status: 200, ..Record::new(tag) };
        record.add(&body(&format!("/bytes/1000?{tag}")));
        record.to_string()
    };
    (0..count).map(record).collect()
}

const SCRIPTED: u64 = 1_000;

fn scripted() -> Vec<String> {
    records(count(SCRIPTED), |target| pattern::body(target, 1_000))
}

/// Those of a mirror: it keeps files.
fn mirrored(server: SocketAddr, count: u64) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let mirror = mio_loop::run(server, count, dir.path()).unwrap();
    assert_eq!((mirror.whole, mirror.failed.len()), (count, 0), "{:?}", mirror.failed);
    assert!(mirror.datagrams > 0, "the loop's other source was served");
    let record = |tag: u64| {
        let mut record = Record { status: 200, ..Record::new(tag) };
        record.add(&std::fs::read(dir.path().join(tag.to_string())).unwrap());
        record.to_string()
    };
    (0..count).map(record).collect()
}

/// nginx, answering each request with what was asked for; ends with this.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn start() -> Option<Self> {
        let places = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
        let Some(program) = places.into_iter().find(|place| std::fs::exists(place).unwrap()) else {
            assert!(std::env::var_os("GANNET_REQUIRE_SERVERS").is_none(), "nginx is not here");
            println!("skipped: nginx is not here");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (at, more) = (folder.path().display(), smoltcp_stack::body("").trim().to_owned());
        let text = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
             events {{ worker_connections 512; }}
             http {{
               access_log off; keepalive_requests 100000; client_body_temp_path {at}/a;
               proxy_temp_path {at}/b; fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d;
               scgi_temp_path {at}/e;
               server {{ listen {address}; location / {{ return 200 \"$request_uri\\n{more}\"; }} }}
             }}"
        );
        std::fs::write(folder.path().join("nginx.conf"), text).unwrap();
        let child = Command::new(program)
            .args(["-c", "nginx.conf", "-p"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, address, _folder: folder };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "nginx does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_loop_brings_the_same_records_from_nginx() {
    let Some(nginx) = Nginx::start() else { return };
    let (server, count) = (nginx.address, count(10_000));
    let expected = records(count, |target| smoltcp_stack::body(target).into_bytes());
    type Loop<'a> = &'a dyn Fn() -> Vec<String>;
    let table: [(&str, Loop<'_>); 7] = [
        ("mio, beside another source", &|| mirrored(server, count)),
        ("poll(2)", &|| poll_loop::run(server, count).unwrap().lines()),
        ("a net of one's own", &|| own_net::run(server, count).unwrap().lines()),
        ("blocking sockets", &|| sans_io::run(server, count).unwrap().lines()),
        ("tokio", &|| tokio_loop::run(server, count).unwrap().lines()),
        ("calloop", &|| calloop_loop::run(server, count).unwrap().lines()),
        ("smoltcp", &|| smoltcp_stack::run(count).0.lines()),
    ];
    for (name, run) in table {
        let start = Instant::now();
        let got = run();
        println!("{name}: {} records in {:?}", got.len(), start.elapsed());
        let different = got.iter().zip(&expected).find(|(got, expected)| got != expected);
        assert_eq!((different, got.len()), (None, expected.len()), "{name}");
    }
}

#[test]
fn under_tokio() {
    let server = spawn(Script::new()).unwrap();
    assert_eq!(tokio_loop::run(server.addr(), count(SCRIPTED)).unwrap().lines(), scripted());
}

#[test]
fn under_tokio_beside_other_tasks() {
    let server = spawn(Script::new()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ticks = runtime.block_on(async {
        let others = std::rc::Rc::new(std::cell::Cell::new(0_u32));
        let local = tokio::task::LocalSet::new();
        let counter = std::rc::Rc::clone(&others);
        local.spawn_local(async move {
            loop {
                tokio::task::yield_now().await;
                counter.set(counter.get() + 1);
            }
        });
        let tally =
            local.run_until(tokio_loop::fetch(server.addr(), count(SCRIPTED))).await.unwrap();
        assert_eq!(tally.lines(), scripted());
        others.get()
    });
    assert!(ticks > 10, "the other task had its turns: {ticks}");
}

#[test]
fn under_calloop() {
    let server = spawn(Script::new()).unwrap();
    assert_eq!(calloop_loop::run(server.addr(), count(SCRIPTED)).unwrap().lines(), scripted());
}

#[test]
fn on_a_bare_metal_stack() {
    let count = count(SCRIPTED);
    let (tally, answered, took) = smoltcp_stack::run(count);
    let expected = records(count, |target| smoltcp_stack::body(target).into_bytes());
    assert!(tally.lines() == expected, "after {took:?} of virtual time");
    assert_eq!(answered, count);
}
