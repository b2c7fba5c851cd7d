//! No option is taken and then ignored: where one means nothing it is refused by its name, and
//! where it means something, that shows. What curl has too is compared in `curl_parity.rs`.

mod cli_common;

use std::fs;
use std::io::Read;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cli_common::{Gannet, records};
use gannet::origin::{Action, Script, When, presets, spawn};
use socket2::{Domain, Socket, Type};

#[test]
fn a_family_holds_for_addresses_that_were_typed_too() {
    let server = spawn(Script::new()).unwrap();
    let url = server.url("/bytes/3");
    let port = server.addr().port();
    let run = |args: &[&str], url: &str| {
        Gannet::new().args(["-sS", "--retry", "0"]).args(args).args([url]).run()
    };
    assert_eq!(run(&["-4"], &url).code, 0);
    let other = run(&["-6"], &url);
    assert_eq!((other.code, other.out.as_str()), (7, ""), "{}", other.err);
    assert!(other.err.contains("-6"), "{}", other.err);
    // Where a redirect leads and where a route leads, too.
    let hop = format!("/redirect-to?url=http://127.0.0.1:{port}/bytes/3");
    let v6 = std::net::TcpListener::bind("[::1]:0");
    if let Ok(listener) = v6 {
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(run(&["-4"], &format!("http://[::1]:{port}/")).code, 7);
    }
    assert_eq!(run(&["-4", "-L"], &server.url(&hop)).code, 0);
    let to = format!("::127.0.0.1:{port}");
    assert_eq!(run(&["-6", "--connect-to", &to], "http://[::1]:1/bytes/3").code, 7);
    assert_eq!(run(&["-4", "--connect-to", &to], "http://[::1]:1/bytes/3").code, 0);
    assert_eq!(server.stats().requests, 4, "what was refused was never asked for");
}

#[test]
fn what_goes_into_records_asks_for_a_place_for_them() {
    for option in [
        vec!["--sha256"],
        vec!["--record-headers", "all"],
        vec!["--record-body", "text"],
        vec!["--unbuffered"],
    ] {
        let run = Gannet::new().args(&option).args(["http://127.0.0.1:1/"]).run();
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{option:?}: {}", run.err);
        assert!(
            run.err.contains(option[0]) && run.err.contains("--results"),
            "{option:?}: {}",
            run.err
        );
    }
    let run = Gannet::new().args(["-i", "-", "--record-body-max", "5"]).stdin("").run();
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("--record-body "), "{}", run.err);
    // Records tell more than a format, and both would want standard output.
    let run = Gannet::new().args(["-i", "-", "-w", "%{http_code}"]).stdin("").run();
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("-w") && run.err.contains("--results"), "{}", run.err);
}

#[test]
fn what_has_no_id_is_known_again_by_its_url() {
    let server = spawn(Script::new()).unwrap();
    let gannet = Gannet::new();
    let list = format!(
        "{}\n{{\"url\":\"{}\",\"id\":\"one\"}}\n{{\"url\":\"{}\",\"id\":7}}\n{}\n",
        server.url("/bytes/1"),
        server.url("/bytes/2"),
        server.url("/bytes/3"),
        server.url("/bytes/4")
    );
    let go = |list: &str| {
        let before = server.stats().requests;
        let run = gannet
            .gannet()
            .args(["-i", "-", "--results", "r", "--resume", "--resume-key", "id"])
            .stdin(list)
            .run();
        assert_eq!(run.code, 0, "{}", run.err);
        let records = records(&fs::read_to_string(run.path("r")).unwrap());
        (server.stats().requests - before, records.len())
    };
    assert_eq!(go(&list), (4, 4));
    assert_eq!(go(&list), (0, 4), "all are done, and none is there twice");
    let more = format!("{}\n{list}", server.url("/bytes/5"));
    assert_eq!(go(&more), (1, 5));
}

#[test]
fn connections_of_all_hops_are_counted() {
    let server = spawn(Script::new()).unwrap();
    let count = |path: &str, more: &[&str]| {
        let before = server.stats().accepted;
        let run = Gannet::new()
            .args(["-sL", "-o", "/dev/null", "-w", "%{num_connects} "])
            .args(more)
            .args([&server.url(path)])
            .run();
        assert_eq!(run.code, 0, "{}", run.err);
        (run.out, server.stats().accepted - before)
    };
    assert_eq!(count("/bytes/1", &[]), ("1 ".to_owned(), 1));
    assert_eq!(count("/redirect/3", &[]), ("1 ".to_owned(), 1), "hops share a connection");
    assert_eq!(count("/redirect/3", &["--no-reuse"]), ("4 ".to_owned(), 4));
    let two = server.url("/redirect/1");
    assert_eq!(count("/redirect/1", &["-o", "/dev/null", &two]), ("1 0 ".to_owned(), 1));
}

#[test]
fn hosts_for_secrets_are_hosts() {
    let server = spawn(Script::new()).unwrap();
    let run = |host: &str| {
        Gannet::new()
            .args(["-i", "-", "--record-body", "text", "-u", "name:word", "--auth-host", host])
            .stdin(&server.url("/echo"))
            .run()
    };
    assert!(run("127.0.0.1").out.contains("Basic "));
    assert!(!run("127.0.0.2").out.contains("Basic "));
    for wrong in ["127.0.0.1:80", "http://127.0.0.1", "127.0.0.1/x", "[::1]:80", "", "*"] {
        let run = run(wrong);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{wrong}: {}", run.err);
        assert!(run.err.contains("--auth-host"), "{wrong}: {}", run.err);
    }
    assert_eq!(run("[::1]").code, 0);
}

#[test]
fn passwords_in_what_servers_send_are_hidden() {
    let server = spawn(Script::new().rule(
        When::path("/to"),
        vec![
            Action::Status(302),
            Action::Field("Location".into(), "http://name:word@127.0.0.1:1/x".into()),
            Action::Field("Link".into(), "<http://name:word@h/>; rel=next".into()),
        ],
    ))
    .unwrap();
    let run = Gannet::new()
        .args(["-i", "-", "-v", "--record-headers", "all"])
        .stdin(&server.url("/to"))
        .run();
    let record = &records(&run.out)[0];
    assert_eq!(record["location"], "http://***@127.0.0.1:1/x");
    assert_eq!(record["headers"]["link"][0], "<http://***@h/>; rel=next");
    assert!(run.err.contains("< Location: http://***@127.0.0.1:1/x"), "{}", run.err);
    for url in ["http:/name:word@127.0.0.1:1/", "http://name:word/@h/", "http://name:word@[h/"] {
        for words in [["-i", "-"], ["--results", "-"]] {
            let run = Gannet::new().args(["--retry", "0"]).args(words);
            let run = if words[0] == "-i" { run.stdin(url) } else { run.args([url]) }.run();
            assert_ne!(run.code, 0, "{url}");
            let all = format!("{}{}", run.out, run.err);
            assert!(all.contains("***@") && !all.contains("word"), "{url}: {all}");
        }
    }
}

#[test]
fn heads_of_a_batch_have_names_of_their_own() {
    let html = vec![Action::Field("Content-Type".into(), "text/html".into())];
    let server = spawn(Script::new().rule(When::path("/p/b.txt"), html)).unwrap();
    let first_two = format!("{}\n{}", server.url("/bytes/1"), server.url("/p/b.txt"));
    let all = format!("{first_two}\n{}", server.url("/bytes/2"));
    let gannet = Gannet::new();
    let run = |list: &str, words: &[&str]| {
        let run = gannet.args(["-i", "-", "--results", "r"]).args(words).stdin(list).run();
        assert_eq!(run.code, 0, "{words:?}: {}", run.err);
    };
    let heads = |name: &str| {
        let text = fs::read_to_string(gannet.path(name)).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).count()
    };
    run(&first_two, &["-D", "{host}/{name}{type_ext}"]);
    let host = server.addr().to_string().replace(':', "_");
    assert_eq!(heads(&format!("{host}/b.txt.html")), 1);
    // One for all, as with transfers; another run begins it anew, one that goes on does not.
    for (list, again, want) in [
        (&first_two, "--results-overwrite", 2),
        (&first_two, "--results-overwrite", 2),
        (&all, "--resume", 3),
    ] {
        run(list, &[again, "-D", "heads"]);
        assert_eq!(heads("heads"), want, "{again}");
    }
}

#[test]
fn two_things_are_not_written_to_one_file() {
    let server = spawn(Script::new()).unwrap();
    let run = |words: &[&str]| {
        let run = Gannet::new().args(["-i", "-", "--results"]).args(words);
        run.stdin(&server.url("/bytes/1")).run()
    };
    for words in [["x", "--summary", "x"], ["x", "-o", "x"]] {
        let run = run(&words);
        assert_eq!((run.code, run.files(".").len()), (2, 0), "{words:?}: {}", run.err);
        assert!(run.err.contains("name one file"), "{}", run.err);
    }
    for words in [["/dev/null", "--summary", "/dev/null"], ["-", "--summary", "-"]] {
        assert_eq!(run(&words).code, 0, "{words:?}");
    }
    // Nor heads among records; and without records there is nothing to put into them.
    assert_eq!(run(&["-", "-D", "-"]).code, 2);
    for words in [["-D", "-"], ["-o-", "--sha256"], ["-o-", "--record-body=text"]] {
        let list = server.url("/bytes/1");
        let run = Gannet::new().args(["-i", "-"]).args(words).stdin(&list).run();
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{words:?}");
        assert!(run.err.contains("--results"), "{}", run.err);
        let run = run.gannet().args(["-i", "-", "--results", "r"]).args(words).stdin(&list).run();
        assert_eq!(run.code, 0, "{words:?}: {}", run.err);
    }
}

#[test]
fn messages_name_what_can_be_done() {
    let server = spawn(Script::new()).unwrap();
    let said = |args: &[&str], path: &str| {
        let run = Gannet::new().args(["--retry", "0"]).args(args).args([server.url(path)]).run();
        assert_ne!(run.code, 0, "{args:?}");
        run.err
    };
    let folder = said(&["-o", "no/such/folder"], "/bytes/1");
    assert!(folder.contains("--create-dirs") && !folder.contains("make room"), "{folder}");
    let full = said(&["-o", "/dev/full"], "/bytes/1");
    assert!(full.contains("make room"), "{full}");
    let order = said(&["--backoff-base", "40s"], "/bytes/1");
    assert!(order.contains("--backoff-base") && order.contains("--backoff-cap"), "{order}");
    let wide = Gannet::new().args(["-i", "-"]).stdin_bytes(b"\xff\xfeh\0t\0t\0p\0\n\0".to_vec());
    assert!(wide.run().out.contains("iconv"), "a list in UTF-16");
    let line = said(&["--max-head-line", "100"], "/bytes/1");
    assert!(line.contains("--max-head-line"), "{line}");
    // What is left as it is would go unseen.
    let gannet = Gannet::new();
    let list = "http://127.0.0.1:1/\n";
    let words = ["-i", "-", "--retry", "0", "--offline", "fail", "--results", "r"];
    assert_eq!(gannet.args(words).stdin(list).run().code, 1);
    let again = |kind: &str| {
        let words = [words.as_slice(), &["--resume", "--resume-kinds", kind]].concat();
        gannet.gannet().args(words).stdin(list).run().err
    };
    let said = "1 URL of the earlier run failed and stays so: not of --resume-kinds stalled";
    assert!(again("stalled").contains(said), "{}", again("stalled"));
    assert!(!again("refused").contains("stays so"));
    let line = Gannet::new().args(["-i", "-", "--max-line", "10"]).stdin("").run();
    assert_eq!(line.code, 2, "{}", line.err);
}

#[test]
fn times_that_nobody_can_keep_cost_no_transfer() {
    let server = spawn(Script::new()).unwrap();
    for words in [
        ["--keepalive-time", "0"],
        ["--keepalive-time", "100000"],
        ["--keepalive-time", "0.2"],
        ["-y", "0"],
        ["-Y", "0"],
    ] {
        let run = Gannet::new().args(["-sS"]).args(words).args([server.url("/bytes/3")]).run();
        assert_eq!((run.code, run.out.len()), (0, 3), "{words:?}: {}", run.err);
    }
}

#[test]
fn a_redirect_is_no_repeat() {
    let server = spawn(Script::new()).unwrap();
    let urls = format!("{}\n{}\n", server.url("/redirect/3"), server.url("/unstable/1/9"));
    let run = Gannet::new().args(["-L", "-i", "-", "--backoff-base", "1ms"]).stdin(&urls).run();
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("1 attempt was repeated"), "{}", run.err);
    let words = ["-sL", "-o", "/dev/null", "-w", "%{num_retries} %{num_redirects}"];
    let run = Gannet::new().args(words).args([server.url("/redirect/3")]).run();
    assert_eq!(run.out, "0 3");
}

#[test]
fn a_failure_with_its_body_has_it_in_a_batch_too() {
    let server = spawn(Script::new()).unwrap();
    let list = format!("{}\n", server.url("/status/404"));
    for (option, kept) in
        [("--fail-with-body", true), ("-f", false), ("--keep-errors", true), ("--sha256", false)]
    {
        let run = Gannet::new().args(["-i", "-", "-o", "o/{n}", option]).stdin(&list).run();
        assert_eq!(run.code, i32::from(option.contains('f')), "{option}: {}", run.err);
        assert_eq!(run.path("o/1").exists(), kept, "{option}: {}", run.out);
    }
}

/// Where a connection never comes about: the queue of the listener is full.
fn hanging() -> (Vec<Socket>, u16) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.7:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.as_socket().unwrap().port();
    let mut held = vec![listener];
    for _ in 0..4 {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address);
        held.push(socket);
    }
    (held, port)
}

#[test]
fn the_next_address_is_tried_after_the_time_that_was_named() {
    let (_held, port) = hanging();
    let server = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let peer = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = server.accept().unwrap();
            let _ = Read::read(&mut stream, &mut [0; 4096]).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            stream.write_all(answer).unwrap();
        }
    });
    let known = format!("two.example:{port}:127.0.0.7,127.0.0.1");
    let url = format!("http://two.example:{port}/");
    let mut took = Vec::new();
    for time in ["20", "1500"] {
        let begun = Instant::now();
        let run = Gannet::new()
            .args(["-sS", "--resolve", &known, "--happy-eyeballs-timeout-ms", time, &url])
            .run();
        assert_eq!((run.code, run.out.as_str()), (0, "ok"), "{}", run.err);
        took.push(begun.elapsed());
    }
    assert!(took[0] < took[1] && took[1] >= Duration::from_millis(1500), "{took:?}");
    peer.join().unwrap();
}

#[test]
fn a_record_is_there_at_once_or_within_a_second() {
    let server = spawn(Script::new()).unwrap();
    let visible = |more: &[&str]| {
        let gannet = Gannet::new().args(["-i", "-", "-s", "--results", "r"]).args(more);
        let mut child = gannet.spawn(Stdio::piped());
        let mut stdin = child.stdin.take().unwrap();
        let begun = Instant::now();
        writeln!(stdin, "{}", server.url("/bytes/1")).unwrap();
        let size = || fs::metadata(gannet.path("r")).map_or(0, |meta| meta.len());
        while size() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = begun.elapsed();
        drop(stdin);
        assert!(child.wait().unwrap().success());
        took
    };
    let gathered = visible(&[]);
    assert!(gathered > Duration::from_millis(700), "{gathered:?}");
    // The quickest of some: the machine may be busy.
    let at_once = (0..10).map(|_| visible(&["--unbuffered"])).min().unwrap();
    assert!(at_once < Duration::from_millis(600), "{at_once:?}");
}

/// Linux tells of each connection which timer it runs, and how long still.
#[cfg(target_os = "linux")]
#[test]
fn probes_are_sent_when_they_were_asked_for() {
    let server = spawn(Script::new()).unwrap();
    let url = server.url("/delay/1500");
    let timer = |words: &[&str]| {
        let mut child = Gannet::new().args(["-sS"]).args(words).args([&url]).spawn(Stdio::null());
        let there = format!(":{:04X}", server.addr().port());
        let begun = Instant::now();
        let found = loop {
            let table = fs::read_to_string("/proc/net/tcp").unwrap();
            let ours = table.lines().find_map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                // To the server, established, nothing unacknowledged.
                let is_ours = fields.get(2)?.ends_with(&there) && fields.get(3) == Some(&"01");
                let (kind, rest) = fields.get(5)?.split_once(':')?;
                let hundredths = u64::from_str_radix(rest, 16).ok()?;
                (is_ours && kind != "01").then(|| (kind == "02").then_some(hundredths / 100))
            });
            if let Some(timer) = ours {
                break timer;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{table}");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(child.wait().unwrap().success());
        found
    };
    let within = |timer: Option<u64>, least, most| {
        timer.is_some_and(|seconds| (least..=most).contains(&seconds))
    };
    assert!(within(timer(&[]), 50, 60));
    assert!(within(timer(&["--keepalive-time", "500"]), 490, 500));
    assert!(within(timer(&["--keepalive-time", "0"]), 50, 60));
    assert_eq!(timer(&["--no-keepalive"]), None);
}

/// Whoever cuts a connection can end a body that has no other end; that is said as what it is.
#[test]
fn a_body_that_tls_did_not_end_says_so() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    for (clean, head) in [(false, ""), (true, ""), (false, "Content-Length: 3\r\n")] {
        let mut script = presets::tls(&made.cert.pem(), &made.signing_key.serialize_pem());
        script.tls.as_mut().unwrap().close_notify = clean;
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\nabc").into_bytes();
        let answer = [Action::Raw(bytes.into()), Action::Close];
        let server = spawn(script.rule(When::path("/"), answer)).unwrap();
        let run = Gannet::new().args(["-sSk", "--retry", "0", &server.url("/")]).run();
        let cut = !clean && head.is_empty();
        assert_eq!((run.code, run.out.as_str()), (if cut { 18 } else { 0 }, "abc"), "{}", run.err);
        assert_eq!(run.err.contains("close_notify"), cut, "{}", run.err);
    }
}

#[test]
fn the_systems_authorities_count_when_they_are_asked_for() {
    let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (ours, other) = (made("127.0.0.1"), made("other.example"));
    let script = presets::tls(&ours.cert.pem(), &ours.signing_key.serialize_pem());
    let server = spawn(script).unwrap();
    let gannet = Gannet::new();
    fs::write(gannet.path("system.pem"), ours.cert.pem()).unwrap();
    fs::write(gannet.path("other.pem"), other.cert.pem()).unwrap();
    let run = |words: &[&str]| {
        gannet
            .gannet()
            .args(["-sS", "--retry", "0"])
            .args(words)
            .args([server.url("/bytes/3")])
            .env("CURL_CA_BUNDLE", &gannet.path("other.pem").display().to_string())
            .env("SSL_CERT_FILE", &gannet.path("system.pem").display().to_string())
            .run()
    };
    assert_eq!(run(&[]).code, 60, "curl's variable goes before");
    assert_eq!(run(&["--ca-native"]).out.len(), 3);
    assert_eq!(run(&["--cacert", "system.pem"]).out.len(), 3);
    // Both at once would leave one of them unheard.
    let both = run(&["--ca-native", "--cacert", "other.pem"]);
    assert_eq!((both.code, both.out.as_str()), (2, ""), "{}", both.err);
}

/// What can't be read to its end is not sent as if it were whole.
#[test]
fn a_source_that_fails_ends_no_body() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut seen = Vec::new();
        let _ = stream.read_to_end(&mut seen);
        String::from_utf8(seen).unwrap()
    });
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args(["-sS", "--retry", "0", "-T", "-", &url])
        .stdin(fs::File::open("/").unwrap())
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(26), "{}", String::from_utf8_lossy(&run.stderr));
    let seen = server.join().unwrap();
    assert!(!seen.ends_with("0\r\n\r\n"), "{seen}");
}
