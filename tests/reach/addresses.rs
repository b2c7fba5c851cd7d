//! Which address: `--resolve`, `--connect-to`, `-4`, `-6`, `--interface`, `--deny-net`,
//! `--allow-net`, happy eyeballs.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use gannet::origin::{Running, Script, spawn};
use socket2::{Domain, Socket, Type};

use super::common::{Gannet, Run, records};
use super::names::NameServer;

/// A server on 127.0.0.1 and, with the same port, 127.0.0.2.
fn server() -> Running {
    spawn(Script::new().on_loopback(2)).unwrap()
}

fn one(args: &[&str], url: &str) -> Run {
    Gannet::new().args(["-sS", "--retry", "0"]).args(args).args([url]).run()
}

/// An address that takes no connection and says nothing: its queue is full.
struct Hole {
    _listener: Socket,
    _waiting: Vec<Socket>,
}

fn hole(address: SocketAddr) -> Hole {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    let waiting = (0..4)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let hole = Hole { _listener: listener, _waiting: waiting };
    assert!(TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_err());
    hole
}

#[test]
fn a_name_is_where_the_user_says() {
    let server = server();
    let port = server.addr().port();
    let remote = ["-o", "/dev/null", "-w", "%{remote_ip} %{http_code}"];
    let url = format!("http://a.test:{port}/bytes/3");
    for (option, value, want) in [
        ("--resolve", format!("a.test:{port}:127.0.0.2"), "127.0.0.2 200"),
        ("--resolve", format!("*:{port}:127.0.0.2"), "127.0.0.2 200"),
        // Nobody is at the first: the second serves.
        ("--resolve", format!("a.test:{port}:127.0.0.9,127.0.0.2"), "127.0.0.2 200"),
        ("--connect-to", format!("a.test:{port}:127.0.0.2:{port}"), "127.0.0.2 200"),
        ("--connect-to", format!("::127.0.0.1:{port}"), "127.0.0.1 200"),
    ] {
        let run = one(&[&remote[..], &[option, &value]].concat(), &url);
        assert_eq!((run.code, run.out.as_str()), (0, want), "{option} {value}: {}", run.err);
    }
    // What is asked for does not change by it.
    let to = format!("a.test:{port}:127.0.0.2:{port}");
    let run = one(&["--connect-to", &to], &format!("http://a.test:{port}/echo"));
    assert!(run.out.contains(&format!("Host: a.test:{port}\r\n")), "{}", run.out);
}

#[test]
fn a_family_can_be_chosen() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: no IPv6 here");
        return;
    }
    // The same port at both, which the one that is free at one may not be at the other.
    let server = (0..20).find_map(|_| {
        let port = super::dns_common::free_address().port();
        let mut script = Script::new();
        script.listen =
            vec![([0, 0, 0, 0, 0, 0, 0, 1], port).into(), ([127, 0, 0, 1], port).into()];
        spawn(script).ok()
    });
    let server = server.unwrap();
    let port = server.addr().port();
    let places = format!("a.test:{port}:[::1],127.0.0.1");
    let url = format!("http://a.test:{port}/bytes/3");
    for (family, want) in [("-4", "127.0.0.1"), ("-6", "::1")] {
        let words = ["-o", "/dev/null", "-w", "%{remote_ip}", "--resolve", &places, family];
        let run = one(&words, &url);
        assert_eq!((run.code, run.out.as_str()), (0, want), "{}", run.err);
    }
}

#[test]
fn from_which_address_or_device() {
    let server = server();
    let url = server.url("/bytes/3");
    for (interface, want) in [("127.0.0.5", "127.0.0.5"), ("host!127.0.0.6", "127.0.0.6")] {
        let words = ["-o", "/dev/null", "-w", "%{local_ip}", "--interface", interface];
        let run = one(&words, &url);
        assert_eq!((run.code, run.out.as_str()), (0, want), "{}", run.err);
    }
    let run = one(&["-o", "/dev/null", "-w", "%{local_ip}", "--interface", "lo"], &url);
    assert_eq!((run.code, run.out.as_str()), (0, "127.0.0.1"), "{}", run.err);
    let run = one(&["--interface", "nosuch0"], &url);
    assert_ne!(run.code, 0);
}

/// Nine addresses, eight of which say nothing: less than three seconds.
#[test]
fn one_alive_among_eight_dead() {
    let server = server();
    let port = server.addr().port();
    let dead: Vec<_> = (11..19).map(|last| SocketAddr::from(([127, 0, 0, last], port))).collect();
    let _holes: Vec<_> = dead.iter().map(|address| hole(*address)).collect();
    let list: Vec<String> = dead.iter().map(|address| address.ip().to_string()).collect();
    let places = format!("a.test:{port}:{},127.0.0.1", list.join(","));
    let url = format!("http://a.test:{port}/bytes/3");
    let words = ["--resolve", &places, "-w", "%{remote_ip}", "-o", "/dev/null"];
    let begun = Instant::now();
    let run = one(&words, &url);
    let took = begun.elapsed();
    println!("one alive among eight dead: {took:?}");
    assert_eq!((run.code, run.out.as_str()), (0, "127.0.0.1"), "{}", run.err);
    assert!(took < Duration::from_secs(3), "{took:?}");
    // A shorter stagger is quicker still, and one connection at a time races, too.
    let begun = Instant::now();
    let run = one(&[&words[..], &["--happy-eyeballs-timeout-ms", "50"]].concat(), &url);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(begun.elapsed() < took, "{:?}, {took:?}", begun.elapsed());
    let run = Gannet::new()
        .args(["-i", "-", "--per-host", "1", "--resolve", &places])
        .stdin(&format!("{url}?1\n{url}?2\n"))
        .run();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(server.stats().accepted, 3, "the batch needed one connection");
}

fn refused(run: &Run) {
    let record = &records(&run.out)[0];
    assert_eq!(record["error"]["kind"], "address_refused", "{record}");
    assert!(record["error"]["hint"].as_str().unwrap().contains("--allow-net"), "{record}");
}

#[test]
fn networks_that_are_denied_are_not_spoken_to_by_any_way() {
    let server = server();
    let port = server.addr().port();
    let second = format!("http://127.0.0.2:{port}");
    let redirect = server.url(&format!("/redirect-to?url={second}/bytes/2"));
    let batch = |args: &[&str], url: &str| {
        Gannet::new().args(["-i", "-", "-L", "--retry", "0"]).args(args).stdin(url).run()
    };
    // Itself, by a redirect, as what IPv6 makes of it, in other spellings, by a name.
    let deny = ["--deny-net", "127.0.0.2"];
    refused(&batch(&deny, &format!("{second}/bytes/1")));
    refused(&batch(&deny, &redirect));
    for host in
        ["[::ffff:127.0.0.2]", "[64:ff9b::7f00:2]", "[::ffff:7f00:2]", "0x7f000002", "2130706434"]
    {
        refused(&batch(&deny, &format!("http://{host}:{port}/")));
    }
    let place = format!("a.test:{port}:127.0.0.2");
    let url = format!("http://a.test:{port}/bytes/1");
    refused(&batch(&[&deny[..], &["--resolve", &place]].concat(), &url));
    refused(&batch(&["--deny-net", "private"], &server.url("/bytes/1")));
    let second_accepted = || server.stats().addresses[1].accepted;
    assert_eq!(second_accepted(), 0, "the second was never connected to");
    // One address of two: the other serves.
    let both = format!("a.test:{port}:127.0.0.2,127.0.0.1");
    let run = batch(&[&deny[..], &["--resolve", &both]].concat(), &url);
    assert_eq!((run.code, second_accepted()), (0, 0), "{}", run.err);
    // What is allowed all the same, and what is not denied.
    let run = batch(&["--deny-net", "127.0.0.0/8", "--allow-net", "127.0.0.2"], &second);
    assert_eq!(run.code, 0, "{}", run.err);
    let run = batch(&["--deny-net", "10.0.0.0/8,169.254.0.0/16"], &redirect);
    assert_eq!(run.code, 0, "{}", run.err);
    // Transfers, too: curl's code for a connection that could not be had.
    assert_eq!(one(&deny, &format!("{second}/bytes/1")).code, 7);
    assert_eq!(batch(&["--deny-net", "nonsense"], &second).code, 2);
}

/// A name that moves to a denied address between two requests.
#[test]
fn a_name_that_is_bound_anew_does_not_get_around_it() {
    let server = server();
    let port = server.addr().port();
    let names = NameServer::spawn(|count| if count == 0 { [127, 0, 0, 1] } else { [127, 0, 0, 2] });
    let list: String = (1..=4).map(|n| format!("http://a.test:{port}/bytes/{n}\n")).collect();
    let run = Gannet::new()
        .args(["-i", "-", "--retry", "0", "--per-host", "1", "--no-reuse", "--delay", "4s", "-4"])
        .args(["--deny-net", "127.0.0.2", "--dns-servers", &names.address.to_string()])
        .stdin(&list)
        .run();
    assert_eq!(server.stats().addresses[1].accepted, 0);
    let records = records(&run.out);
    assert_eq!(records[0]["ok"], true, "{}", run.out);
    // As soon as it is asked for again; while what is known holds, it is not.
    for record in &records {
        let kind = &record["error"]["kind"];
        assert!(record["ok"] == true || kind == "address_refused", "{record}");
    }
}
