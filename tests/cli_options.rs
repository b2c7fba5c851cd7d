//! Options of the built binary that need time, a second run or a server of their own to show that
//! they work. What curl has too is compared with curl in `curl_parity.rs`.

#[path = "cli_common/mod.rs"]
mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use common::{Gannet, records};
use gannet::origin::{Action, At, Cut, How, Script, When, pattern, presets, spawn};
use socket2::{Domain, Socket, Type};

/// How long a run took.
fn timed(gannet: &Gannet) -> (common::Run, Duration) {
    let begun = Instant::now();
    let run = gannet.run();
    (run, begun.elapsed())
}

fn at_least(what: &str, took: Duration, least: u64) {
    assert!(took >= Duration::from_millis(least), "{what}: {took:?} is below {least} ms");
    // Generous: the machine may be busy.
    assert!(took < Duration::from_millis(least + 15_000), "{what}: {took:?}");
}

#[test]
fn rates_and_delays_space_requests_out() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..7).map(|n| format!("{}\n", server.url(&format!("/bytes/1?{n}")))).collect();
    for (option, value, least) in
        [("--rate", "10/s", 500), ("--rate-per-host", "10/s", 500), ("--delay", "100ms", 550)]
    {
        let (run, took) = timed(&Gannet::new().args(["-i", "-", option, value]).stdin(&list));
        assert_eq!(run.code, 0, "{}", run.err);
        assert_eq!(records(&run.out).len(), 7);
        at_least(option, took, least);
    }
    // Transfers too, one after another.
    let urls: Vec<String> = (0..4).map(|n| server.url(&format!("/bytes/1?t{n}"))).collect();
    let (run, took) = timed(&Gannet::new().args(["-s", "--rate", "5/s"]).args(&urls));
    assert_eq!(run.code, 0);
    at_least("--rate of transfers", took, 550);
}

#[test]
fn failed_urls_are_no_failure_where_that_is_wanted() {
    let server = spawn(Script::new()).unwrap();
    let list = format!("{}\nhttp://a b/\n{}\n", server.url("/bytes/1"), server.url("/status/404"));
    let run = |options: &[&str], list: &str| {
        Gannet::new().args(["-i", "-"]).args(options).stdin(list).run()
    };
    let failed = run(&["-f"], &list);
    let zero = run(&["-f", "--exit-zero"], &list);
    assert_eq!((failed.code, zero.code), (1, 0), "{}", zero.err);
    assert_eq!(records(&failed.out).len(), records(&zero.out).len());
    assert!(zero.err.contains("2 failed"), "{}", zero.err);
    // All else has its own status still.
    assert_eq!(run(&["-f", "--exit-zero", "--shard", "9/8"], &list).code, 2);
    assert_eq!(run(&["--exit-zero", "--results", "no/such/folder"], &list).code, 2);
    let slow = format!("{}\n{}\n", server.url("/status/404"), server.url("/delay/60000"));
    assert_eq!(run(&["-f", "--exit-zero", "--deadline", "1s"], &slow).code, 1);
}

#[test]
fn speeds_are_limited_in_both_directions() {
    let server = spawn(Script::new()).unwrap();
    let get = Gannet::new().args(["-s", "--limit-rate", "40k", &server.url("/bytes/80000")]);
    let (run, took) = timed(&get);
    assert_eq!((run.code, run.out.len()), (0, 80_000));
    at_least("a download", took, 1_200);

    // All of it is there before the first read, which must not bring it all at once.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).unwrap();
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n".to_vec();
        answer.resize(answer.len() + 60_000, b'x');
        stream.write_all(&answer).unwrap();
        let _ = stream.read(&mut head);
    });
    // In a later group too, where the first one knew no rate.
    let first = ["-s", "-o", "first", &server.url("/bytes/1"), "--next"];
    let (run, took) = timed(&Gannet::new().args(first).args(["-s", "--limit-rate", "40k", &url]));
    assert_eq!((run.code, run.out.len()), (0, 60_000));
    at_least("what is there at once", took, 950);
    peer.join().unwrap();

    let gannet = Gannet::new();
    fs::write(gannet.path("up"), vec![b'x'; 80_000]).unwrap();
    for (what, args) in
        [("-T", vec!["-T", "up"]), ("-d", vec!["--data-binary", "@up"]), ("-T -", vec!["-T", "-"])]
    {
        let run = gannet
            .gannet()
            .args(["-s", "--limit-rate", "40k", "-H", "Expect:", "-o", "echo"])
            .args(&args)
            .args([&server.url("/echo")])
            .stdin_bytes(vec![b'x'; 80_000]);
        let (run, took) = timed(&run);
        assert_eq!(run.code, 0, "{what}: {}", run.err);
        let echo = fs::read(run.path("echo")).unwrap();
        assert!(echo.iter().filter(|byte| **byte == b'x').count() >= 80_000, "{what}");
        at_least(what, took, 1_200);
    }

    let list: String =
        (0..8).map(|n| format!("{}\n", server.url(&format!("/bytes/20000?{n}")))).collect();
    let all = Gannet::new().args(["-i", "-", "--limit-rate-total", "40k"]).stdin(&list);
    let (run, took) = timed(&all);
    assert_eq!(run.code, 0, "{}", run.err);
    at_least("all downloads", took, 1_200);
    let list: String = (0..4)
        .map(|n| {
            format!(
                "{{\"url\":\"{}\",\"body\":\"{}\"}}\n",
                server.url(&format!("/echo?{n}")),
                "y".repeat(20_000)
            )
        })
        .collect();
    let all = Gannet::new().args(["-i", "-", "--limit-rate-total", "40k"]).stdin(&list);
    let (run, took) = timed(&all);
    assert_eq!(run.code, 0, "{}", run.err);
    at_least("all uploads", took, 1_200);
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    for (idle, connections) in [("200ms", 2), ("60", 1)] {
        let server = spawn(Script::new()).unwrap();
        let mut child = Gannet::new()
            .args(["-i", "-", "-s", "--unbuffered", "--idle-timeout", idle])
            .spawn(Stdio::piped());
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", server.url("/bytes/1")).unwrap();
        std::thread::sleep(Duration::from_millis(1_200));
        writeln!(stdin, "{}", server.url("/bytes/2")).unwrap();
        drop(stdin);
        assert!(common::wait(&mut child, Duration::from_secs(10)).success());
        assert_eq!(server.stats().accepted, connections, "--idle-timeout {idle}");
    }
    // And --no-reuse keeps none at all.
    let server = spawn(Script::new()).unwrap();
    let urls: Vec<String> = (0..3).map(|n| server.url(&format!("/bytes/{n}"))).collect();
    assert_eq!(Gannet::new().args(["-s", "--no-reuse"]).args(&urls).run().code, 0);
    assert_eq!(server.stats().accepted, 3);
}

#[test]
fn attempts_are_counted_and_spaced() {
    let server = spawn(Script::new()).unwrap();
    let tries = |args: &[&str], path: &str| {
        let line = server.url(path);
        let gannet = Gannet::new().args(["-i", "-", "--no-summary"]).args(args).stdin(&line);
        let (run, took) = timed(&gannet);
        let record = records(&run.out).remove(0);
        (run.code, record["attempts"].as_u64().unwrap(), record["status"].as_u64(), took)
    };
    let (code, attempts, status, _) =
        tries(&["--backoff-cap", "10ms", "--backoff-base", "1ms"], "/unstable/3/5?a");
    assert_eq!((code, attempts, status), (0, 4, Some(200)));
    let (code, attempts, status, _) =
        tries(&["--retry", "2", "--backoff-base", "1ms"], "/unstable/9/5?b");
    assert_eq!((code, attempts, status), (1, 3, Some(503)));
    let (code, attempts, ..) = tries(&["--retry", "0"], "/unstable/9/5?c");
    assert_eq!((code, attempts), (1, 1));
    let (_, attempts, _, took) =
        tries(&["--retry", "2", "--retry-delay", "0.4"], "/unstable/9/5?d");
    assert_eq!(attempts, 3);
    at_least("--retry-delay", took, 800);
    let (_, attempts, _, took) = tries(
        &["--retry", "50", "--retry-delay", "0.3", "--retry-max-time", "1"],
        "/unstable/99/5?e",
    );
    assert!((3..=5).contains(&attempts), "{attempts}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    // 404 is final, unless -f and --retry-all-errors say otherwise.
    assert_eq!(tries(&["-f"], "/status/404?f").1, 1);
    let all = ["-f", "--retry-all-errors", "--retry", "2", "--retry-delay", "0.01"];
    assert_eq!(tries(&all, "/status/404?g").1, 3);
    assert_eq!(tries(&["--retry-connrefused", "--retry", "1"], "/bytes/1").1, 1);
}

#[test]
fn a_post_is_sent_twice_only_on_the_users_word() {
    let cut = || Action::Cut(Cut { at: At::Byte(1), how: How::Reset });
    for (args, code, asked) in [(vec![], 56, 1), (vec!["--retry-unsafe"], 0, 2)] {
        let server = spawn(Script::new().rule(When::path("/bytes/3").nth(1), [cut()])).unwrap();
        let run = Gannet::new()
            .args(["-sS", "-d", "x", "-o", "f", "--backoff-base", "1ms"])
            .args(&args)
            .args([&server.url("/bytes/3")])
            .run();
        assert_eq!(run.code, code, "{args:?}: {}", run.err);
        assert_eq!(server.stats().requests, asked, "{args:?}");
    }
}

#[test]
fn a_budget_holds_repeats_back() {
    let server = spawn(Script::new()).unwrap();
    let list: String =
        (0..8).map(|n| format!("{}\n", server.url(&format!("/unstable/1/{n}?")))).collect();
    for option in ["--retry-budget", "--retry-budget-total"] {
        let list = list.replace('?', &format!("?{option}"));
        let gannet =
            Gannet::new().args(["-i", "-", "--backoff-base", "1ms", option, "0%+1"]).stdin(&list);
        let (run, took) = timed(&gannet);
        assert_eq!(run.code, 0, "{}", run.err);
        // One was saved up; the others wait for the next one that a second earns.
        at_least(option, took, 700);
    }
}

#[test]
fn a_host_that_asks_for_long_is_closed() {
    let server = spawn(
        Script::new()
            .rule(When::path("/busy"), [Action::Status(503), Action::RetryAfter("30".into())]),
    )
    .unwrap();
    let list = format!("{}\n{}\n", server.url("/busy"), server.url("/bytes/1"));
    let gannet = Gannet::new()
        .args(["-i", "-", "--per-host", "1", "--max-retry-after", "2s", "--results", "r"])
        .stdin(&list);
    let (run, took) = timed(&gannet);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let text = fs::read_to_string(run.path("r")).unwrap();
    assert!(text.contains("host_closed"), "{text}");
    assert_eq!(server.stats().requests, 1);
    assert!(run.err.contains("--resume"), "{}", run.err);
}

#[test]
fn a_host_that_served_is_waited_for_so_long() {
    let server = spawn(Script::new()).unwrap();
    let mut child = Gannet::new()
        .args([
            "-i",
            "-",
            "--unbuffered",
            "--no-summary",
            "--host-down-after",
            "1s",
            "--retry",
            "1",
        ])
        .spawn(Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", server.url("/bytes/1")).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    server.go_down();
    server.reset_all();
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    writeln!(stdin, "{}", server.url("/bytes/2")).unwrap();
    drop(stdin);
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let status = common::wait(&mut child, Duration::from_secs(30));
    assert_eq!(status.code(), Some(1), "{out}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let kinds: Vec<_> = records(&out).iter().map(|r| r["error"]["kind"].clone()).collect();
    assert!(kinds[1] == "host_down" || kinds[1] == "refused", "{kinds:?}");
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let server = spawn(Script::new()).unwrap();
    let list = format!("{}\n{}\n", server.url("/bytes/3"), server.url("/bytes/4"));
    let args = ["-i", "-", "-o", "d/{n}", "--skip-existing"];
    let first = Gannet::new().args(args).stdin(&list).run();
    assert_eq!((first.code, first.files("d").len()), (0, 2), "{}", first.err);
    let asked = server.stats().requests;
    fs::remove_file(first.path("d/2")).unwrap();
    let second = first.gannet().args(args).stdin(&list).run();
    assert_eq!((second.code, second.files("d").len()), (0, 2));
    assert_eq!(server.stats().requests, asked + 1);
    assert!(second.out.contains("--skip-existing"), "{}", second.out);
    // A transfer too.
    let run =
        first.gannet().args(["-sS", "--skip-existing", "-o", "d/1", &server.url("/bytes/9")]).run();
    assert_eq!(run.code, 0);
    assert_eq!(fs::metadata(run.path("d/1")).unwrap().len(), 3);
}

#[test]
fn the_servers_names_are_taken_in_a_batch_too() {
    let disposition = |name: &str| {
        Action::Field(
            "Content-Disposition".into(),
            format!("attachment; filename={name}").as_str().into(),
        )
    };
    let server = spawn(
        Script::new()
            .rule(When::path("/bytes/1"), [disposition("\"../one.txt\"")])
            .rule(When::path("/bytes/2"), [disposition("two.txt")])
            .rule(When::path("/bytes/3"), [disposition("two.txt")]),
    )
    .unwrap();
    let list: String =
        (1..=4).map(|n| format!("{}\n", server.url(&format!("/bytes/{n}")))).collect();
    let run = Gannet::new()
        .args(["-i", "-", "-OJ", "--output-dir", "d", "--per-host", "1", "--results", "r"])
        .stdin(&list)
        .run();
    assert_eq!(run.code, 1, "{}", run.err);
    assert_eq!(run.files("d"), ["4", "one.txt", "two.txt"]);
    let text = fs::read_to_string(run.path("r")).unwrap();
    assert!(text.contains("output_collision") || text.contains("output_exists"), "{text}");
}

#[test]
fn files_reach_the_disk_before_they_count() {
    let server = spawn(Script::new()).unwrap();
    let run = Gannet::new().args(["-sS", "--fsync", "-o", "f", &server.url("/bytes/9")]).run();
    assert_eq!((run.code, run.files(".")), (0, vec!["f".to_owned()]));
    let url = server.url("/bytes/9");
    let traced = Command::new("strace")
        .args(["-f", "-e", "trace=fsync,rename,renameat,renameat2", "-o", "trace"])
        .args([env!("CARGO_BIN_EXE_gannet"), "-sS", "--fsync", "-o", "g", &url])
        .current_dir(run.path("."))
        .status();
    match traced {
        Ok(status) if status.success() => {
            let trace = fs::read_to_string(run.path("trace")).unwrap();
            let at = |what: &str| trace.lines().position(|line| line.contains(what)).unwrap();
            assert!(at("fsync(") < at("rename"), "the file before it is renamed:\n{trace}");
            assert_eq!(trace.matches("fsync(").count(), 2, "and its folder after:\n{trace}");
        }
        _ => eprintln!("SKIPPED in part: strace can't be used here"),
    }
}

#[test]
fn memory_stays_within_what_is_allowed() {
    let run = Gannet::new().args(["--max-memory", "1M", "http://127.0.0.1:1/"]).run();
    assert_eq!(run.code, 2);
    assert!(run.err.contains("at least"), "{}", run.err);
    if !cfg!(target_os = "linux") {
        return;
    }
    // Bodies that wait for a slow one in front of standard output, and lines of 100 kB.
    let server = spawn(Script::new()).unwrap();
    let gannet = Gannet::new();
    let line = |n: usize| {
        let filler = "m".repeat(100_000);
        format!(
            "{{\"url\":\"{}\",\"meta\":\"{filler}\"}}\n",
            server.url(&format!("/drip/900000/90000/60?{n}"))
        )
    };
    fs::write(gannet.path("list"), (0..300).map(line).collect::<String>()).unwrap();
    let mut child = gannet
        .args(["-i", "list", "-o", "-", "--results", "r", "--no-summary", "--per-host", "64"])
        .args(["--max-memory", "48M"])
        .env("TMPDIR", gannet.path(".").to_str().unwrap())
        .spawn(Stdio::null());
    let pid = child.id();
    let mut out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()).unwrap());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(common::peak_kib(pid));
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(reader.join().unwrap(), 300 * 900_000, "{err}");
    assert!(err.contains("--max-memory allows"), "{err}");
    assert!((1..48 * 1024).contains(&peak), "{peak} KiB");
}

#[test]
fn a_clumped_list_is_noticed() {
    let slow = spawn(Script::new()).unwrap();
    let other = spawn(Script::new()).unwrap();
    let mut list: String =
        (0..22).map(|n| format!("{}\n", slow.url(&format!("/delay/600/1?{n}")))).collect();
    list.push_str(&other.url("/bytes/1"));
    let args = ["-i", "-", "--per-host", "1", "--window", "8", "--no-summary"];
    let run = Gannet::new().args(args).stdin(&list).run();
    assert_eq!(run.code, 0);
    assert!(run.err.contains("clumped by host"), "{}", run.err);
    // Of one host alone nothing is said.
    let alone = list.lines().take(12).collect::<Vec<_>>().join("\n");
    let run = Gannet::new().args(args).stdin(&alone).run();
    assert_eq!((run.code, run.err.as_str()), (0, ""));
}

#[cfg(unix)]
#[test]
fn a_password_that_is_missing_is_asked_for() {
    let server = spawn(Script::new()).unwrap();
    let url = server.url("/echo");
    let run = |program: &str, args: &[&str], stdin: &str| {
        // Without a terminal, even where the test runs in one.
        let mut child = Command::new("setsid")
            .args(["-w", program, "-s"])
            .args(args)
            .arg(&url)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let field =
            text(out.stdout).lines().find(|l| l.starts_with("Authorization")).map(str::to_owned);
        Some((field, text(out.stderr), out.status.code()))
    };
    for (args, stdin) in [
        (vec!["-u", "me"], "geheim\n"),
        (vec!["-u", "me"], ""),
        (vec!["-u", "me:given"], "geheim\n"),
    ] {
        let Some(ours) = run(env!("CARGO_BIN_EXE_gannet"), &args, stdin) else {
            eprintln!("SKIPPED: setsid is not installed");
            return;
        };
        assert_eq!(ours.2, Some(0), "{}", ours.1);
        assert_eq!(ours.1.contains("Enter host password for user 'me':"), args[1] == "me");
        if let Some(theirs) = run("curl", &args, stdin).filter(|theirs| theirs.2 == Some(0)) {
            assert_eq!(ours.0, theirs.0, "{args:?}");
            assert_eq!(ours.1.trim_end(), theirs.1.trim_end());
        }
    }
}

#[test]
fn certificates_are_judged_by_the_systems_store() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let server = spawn(presets::tls(&certificate, &made.signing_key.serialize_pem())).unwrap();
    let url = format!("https://localhost:{}/bytes/3", server.addr().port());
    let gannet = Gannet::new();
    fs::write(gannet.path("ca.pem"), &certificate).unwrap();
    let ca = gannet.path("ca.pem").display().to_string();
    let base =
        gannet.args(["-sS", "--resolve", &format!("localhost:{}:127.0.0.1", server.addr().port())]);
    let untrusted = base.args([&url]).run();
    assert_eq!(untrusted.code, 60, "{}", untrusted.err);
    assert!(untrusted.err.contains("gannet --help tls_"), "{}", untrusted.err);
    for trusting in [
        base.args(["--cacert", "ca.pem", &url]),
        base.args([&url]).env("SSL_CERT_FILE", &ca),
        base.args([&url]).env("CURL_CA_BUNDLE", &ca),
        base.args(["--ca-native", &url]).env("SSL_CERT_FILE", &ca),
        base.args(["-k", &url]),
        base.args(["--cacert", "ca.pem", "--tlsv1.3", &url]),
        base.args(["--cacert", "ca.pem", "--tlsv1.2", "--tls-max", "1.2", &url]),
    ] {
        let run = trusting.run();
        assert_eq!((run.code, run.out.len()), (0, 3), "{}", run.err);
    }
    // The result of the check, as curl tells it: OpenSSL's numbers, and 1 where nobody looked.
    let name = format!("other:{}:127.0.0.1", server.addr().port());
    let other = url.replace("localhost", "other");
    for (words, want) in [
        (vec!["--cacert", "ca.pem", &url], "0"),
        (vec![&url], "18"),
        (vec!["--cacert", "ca.pem", "--resolve", &name, &other], "1"),
        (vec!["-k", &url], "1"),
        (vec!["-k", "http://127.0.0.1:1/"], "0"),
    ] {
        let run = base.args(["-o", "x", "-w", "%{ssl_verify_result}"]).args(&words).run();
        assert_eq!(run.out, want, "{words:?} {}", run.err);
    }
    let missing = base.args(["--cacert", "missing.pem", &url]).run();
    assert_eq!(missing.code, 77, "{}", missing.err);
    let pinned =
        base.args(["-k", "--pinnedpubkey", &format!("sha256//{}=", "A".repeat(43)), &url]).run();
    assert_eq!(pinned.code, 90, "{}", pinned.err);
    // The key itself in a file, as curl takes it.
    let other = rcgen::KeyPair::generate().unwrap();
    let pem = made.signing_key.public_key_pem();
    let inside: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(inside).unwrap();
    fs::write(gannet.path("key.pem"), pem).unwrap();
    fs::write(gannet.path("key.der"), der).unwrap();
    fs::write(gannet.path("other.pem"), other.public_key_pem()).unwrap();
    for (file, want) in
        [("key.pem", 0), ("key.der", 0), ("other.pem", 90), ("ca.pem", 90), ("none", 90)]
    {
        let run = base.args(["-k", "--pinnedpubkey", file, &url]).run();
        assert_eq!((run.code, run.out.len()), (want, if want == 0 { 3 } else { 0 }), "{}", run.err);
    }
}

#[test]
fn certificates_can_be_looked_at() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let server = spawn(presets::tls(&certificate, &made.signing_key.serialize_pem())).unwrap();
    let url = format!("https://localhost:{}/bytes/3", server.addr().port());
    let plain = spawn(Script::new()).unwrap();
    let run = Gannet::new()
        .args(["-sSk", "-o", "one", "-o", "two", "-o", "three"])
        .args(["--resolve", &format!("localhost:{}:127.0.0.1", server.addr().port())])
        .args(["-w", "%{num_certs} %{num_connects}\n%{certs}", &url, &url, &plain.url("/bytes/1")])
        .run();
    assert_eq!(run.code, 0, "{}", run.err);
    let pem = certificate.replace('\r', "");
    let pem = pem.trim_end();
    // A connection that is used again tells of its handshake, too.
    let parts: Vec<&str> = run.out.split(pem).collect();
    assert_eq!(parts.len(), 3, "{}", run.out);
    assert!(parts[0].starts_with("1 1\nSubject:"), "{}", run.out);
    assert!(parts[0].contains("\nX509v3 Subject Alternative Name:DNS:localhost\n"), "{}", run.out);
    assert!(parts[0].contains("\nStart date:") && parts[0].contains("\nExpire date:"));
    assert!(parts[1].starts_with("\n1 0\nSubject:"), "{}", run.out);
    assert_eq!(parts[2], "\n0 1\n");
}

/// Option, the answer that goes beyond it, the name of the failure, its exit status.
#[test]
fn each_bound_has_its_option_and_its_name() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let long = |n: usize| "x".repeat(n);
    let gzip2 = "Content-Encoding: gzip, gzip, gzip\r\nContent-Length: 3\r\n\r\nabc";
    let rows: Vec<(&[&str], String, &str)> = vec![
        (
            &["--max-head-size", "1k"],
            format!("{ok}A: {}\r\nContent-Length: 0\r\n\r\n", long(2000)),
            "head_too_large",
        ),
        (
            &["--max-head-line", "1k"],
            format!("{ok}A: {}\r\nContent-Length: 0\r\n\r\n", long(2000)),
            "line_too_long",
        ),
        (
            &["--max-head-fields", "4"],
            format!("{ok}{}Content-Length: 0\r\n\r\n", "A: b\r\n".repeat(5)),
            "too_many_fields",
        ),
        (
            &["--max-interim", "2"],
            format!("{}{ok}Content-Length: 0\r\n\r\n", "HTTP/1.1 103 Early\r\n\r\n".repeat(3)),
            "too_many_interim",
        ),
        (
            &["--max-interim-size", "1k"],
            format!(
                "{}{ok}Content-Length: 0\r\n\r\n",
                format!("HTTP/1.1 103 Early\r\nA: {}\r\n\r\n", long(600)).repeat(2)
            ),
            "interim_too_large",
        ),
        (
            &["--max-chunk-extensions", "100"],
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n3;{}\r\nabc\r\n0\r\n\r\n", long(200)),
            "chunk_extensions_too_large",
        ),
        (
            &["--max-trailer-size", "100"],
            format!(
                "{ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: {}\r\n\r\n",
                long(200)
            ),
            "trailers_too_large",
        ),
        (
            &["--max-trailer-fields", "2"],
            format!(
                "{ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{}\r\n",
                "A: b\r\n".repeat(3)
            ),
            "too_many_trailers",
        ),
        (&["--compressed", "--max-codings", "2"], format!("{ok}{gzip2}"), "coding_too_many"),
        (
            &["-L", "--max-redirs", "0"],
            "HTTP/1.1 302 F\r\nLocation: /bytes/1\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "too_many_redirects",
        ),
        (&["--max-filesize", "2"], format!("{ok}Content-Length: 3\r\n\r\nabc"), "file_too_large"),
    ];
    let mut script = Script::new();
    for (at, (_, answer, _)) in rows.iter().enumerate() {
        script =
            script.rule(When::path(&format!("/bound/{at}")), [Action::Raw(answer.as_str().into())]);
    }
    let server = spawn(script).unwrap();
    for (at, (args, _, name)) in rows.iter().enumerate() {
        let url = server.url(&format!("/bound/{at}"));
        let run = Gannet::new().args(["-sS", "-m", "20"]).args(*args).args([&url]).run();
        assert_ne!(run.code, 0, "{args:?}");
        assert!(run.err.contains(&format!("[{name}]")), "{args:?}: {}", run.err);
    }
    // Two megabytes out of two thousand bytes.
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coder.write_all(&vec![0; 2 << 20]).unwrap();
    let coded = coder.finish().unwrap();
    let mut answer =
        format!("{ok}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", coded.len())
            .into_bytes();
    answer.extend(coded);
    let server =
        spawn(Script::new().rule(When::path("/bomb"), [Action::Raw(answer.into())])).unwrap();
    let run = Gannet::new()
        .args(["-sS", "--compressed", "--max-decode-ratio", "10", "-o", "f", &server.url("/bomb")])
        .run();
    assert_eq!(run.code, 61, "{}", run.err);
    assert!(run.err.contains("[coding_ratio]"), "{}", run.err);
    let run = Gannet::new()
        .args(["-i", "-", "--max-line", "100"])
        .stdin(&format!("http://a/{}\n", long(200)))
        .run();
    assert!(run.out.contains("bad_line") && run.out.contains("--max-line"), "{}", run.out);
}

#[test]
fn bodies_stand_in_records_when_asked() {
    let server = spawn(Script::new()).unwrap();
    let run = Gannet::new()
        .args([
            "-i",
            "-",
            "--record-body",
            "base64",
            "--record-body-max",
            "4",
            "--record-headers",
            "all",
        ])
        .stdin(&server.url("/bytes/6"))
        .run();
    let record = &records(&run.out)[0];
    assert_eq!(record["body_base64"].as_str().unwrap().len(), 8);
    assert_eq!((&record["truncated"], &record["body_bytes"]), (&true.into(), &6.into()));
    assert!(
        record["headers"]["content-length"].is_array()
            || record["headers"]["Content-Length"].is_array(),
        "{record}"
    );
}

#[test]
fn networks_are_denied_at_every_connect() {
    let server = spawn(Script::new()).unwrap();
    let run = |args: &[&str], url: &str| Gannet::new().args(["-sS"]).args(args).args([url]).run();
    let url = server.url("/bytes/3");
    assert_eq!(run(&["--deny-net", "private"], &url).code, 7);
    assert_eq!(run(&["--deny-net", "10.0.0.0/8,::1"], &url).code, 0);
    assert_eq!(run(&["--deny-net", "private", "--allow-net", "127.0.0.1"], &url).code, 0);
    // A name that resolves there, and a redirect that leads there.
    let port = server.addr().port();
    let named = format!("http://innocent.example:{port}/bytes/3");
    let known = format!("innocent.example:{port}:127.0.0.1");
    let denied = run(&["--deny-net", "127.0.0.0/8", "--resolve", &known], &named);
    assert_eq!(denied.code, 7);
    assert!(denied.err.contains("[address_refused]"), "{}", denied.err);
    let other = spawn(Script::new()).unwrap();
    let hop = format!("{}?url=http://127.0.0.2:{port}/bytes/3", other.url("/redirect-to"));
    assert_eq!(run(&["-L", "--deny-net", "127.0.0.2"], &hop).code, 7);
}

#[test]
fn slow_answers_are_given_up_by_their_own_option() {
    let server = spawn(Script::new()).unwrap();
    let hang = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = hang.local_addr().unwrap().port();
    let folder = Gannet::new();
    let big = folder.path("big");
    fs::write(&big, vec![b'x'; 20_000_000]).unwrap();
    let big = big.to_str().unwrap();
    for (args, url, kind) in [
        (vec!["--first-byte-timeout", "0.3"], server.url("/delay/3000"), "first_byte_timeout"),
        (vec!["-m", "0.3"], server.url("/delay/3000"), "attempt_timeout"),
        (vec!["-y", "1", "-Y", "1000"], server.url("/drip/1000/10/100"), "too_slow"),
        // As curl: also while nothing is answered, and while nothing is taken.
        (vec!["-y", "1", "-Y", "1000"], format!("http://127.0.0.1:{port}/"), "too_slow"),
        (vec!["-y", "1", "-Y", "1000", "-T", big], format!("http://127.0.0.1:{port}/"), "too_slow"),
        (vec!["--tls-timeout", "0.3", "-k"], format!("https://127.0.0.1:{port}/"), "tls_timeout"),
        (vec!["--connect-timeout", "0.3", "-k"], format!("https://127.0.0.1:{port}/"), "timeout"),
    ] {
        let (run, took) =
            timed(&Gannet::new().args(["-sS", "--retry", "0"]).args(&args).args([&url]));
        assert_eq!(run.code, 28, "{args:?}: {}", run.err);
        assert!(run.err.contains(kind), "{args:?}: {}", run.err);
        assert!(took < Duration::from_secs(8), "{args:?}: {took:?}");
    }
}

/// As for curl, an attempt begins before there is a connection: with the look-up of the name, with the
/// race, with the handshake. It ended after 50 s there,
/// whatever `-m` said.
#[test]
fn the_time_of_an_attempt_covers_the_way_to_its_connection() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let servers = silent.local_addr().unwrap().to_string();
    let hang = TcpListener::bind("127.0.0.1:0").unwrap();
    let secure = format!("https://127.0.0.1:{}/", hang.local_addr().unwrap().port());
    // One that accepts nobody any more: what else comes is dropped without a word.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let moment = Duration::from_millis(200);
    let fill: Vec<_> =
        (0..8).map(|_| std::net::TcpStream::connect_timeout(&address, moment)).collect();
    assert!(fill.iter().any(Result::is_err));
    let full = format!("http://{address}/");
    let curl = Command::new("curl").arg("--version").output().is_ok();
    for (args, url, by_curl) in [
        (vec!["--dns-servers", &*servers], "http://nowhere.example/", false),
        (vec!["-k"], &*secure, true),
        (vec![], &*full, true),
    ] {
        let (run, took) = timed(&Gannet::new().args(["-sS", "-m", "0.5"]).args(&args).args([url]));
        assert_eq!(run.code, 28, "{url}: {}", run.err);
        assert!(run.err.contains("[attempt_timeout]"), "{url}: {}", run.err);
        at_least(url, took, 500);
        assert!(took < Duration::from_secs(5), "{url}: {took:?}");
        if by_curl && curl {
            let mut run = Command::new("curl");
            let status =
                run.args(["-q", "-sS", "-m", "0.5"]).args(&args).arg(url).status().unwrap();
            assert_eq!(status.code(), Some(28), "{url}");
        }
        // A list: one after the other where one thing is awaited, and what is late is told as such.
        let list = format!("{url}1\n{url}2\n");
        let batch = ["-s", "-m", "0.5", "--retry", "0", "--offline", "fail", "-i", "-"];
        let (run, took) = timed(&Gannet::new().args(batch).args(&args).stdin(&list));
        let kinds =
            records(&run.out).iter().map(|it| it["error"]["kind"].clone()).collect::<Vec<_>>();
        assert_eq!(kinds, ["attempt_timeout", "attempt_timeout"], "{}{}", run.out, run.err);
        assert!(took < Duration::from_secs(5), "{url}: {took:?}");
    }
}

/// `-y` and `-Y` are about the server: what comes to us late is not its slowness.
#[test]
fn a_slow_source_is_not_a_slow_server() {
    let server = spawn(Script::new()).unwrap();
    let url = server.url("/bytes/3");
    let mut child = Gannet::new()
        .args(["-sS", "--retry", "0", "-y", "1", "-Y", "1000", "-T", "-", &url])
        .spawn(Stdio::piped());
    std::thread::sleep(Duration::from_millis(2500));
    child.stdin.take().unwrap().write_all(b"late").unwrap();
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!((out.status.code(), out.stdout.len()), (Some(0), 3), "{said}");
}

#[test]
fn connections_are_as_many_as_allowed() {
    for (args, most) in [
        (vec!["--per-host", "3"], 3),
        (vec!["--parallel-max-host", "3"], 3),
        (vec!["--max-per-host", "3"], 3),
        (vec!["--parallel-max", "3", "--per-host", "20"], 3),
    ] {
        let server = spawn(Script::new()).unwrap();
        let list: String =
            (0..40).map(|n| format!("{}\n", server.url(&format!("/delay/20/1?{n}")))).collect();
        let mut args = args;
        args.extend(["-i", "-", "-s"]);
        let run = Gannet::new().args(&args).stdin(&list).run();
        assert_eq!(run.code, 0, "{args:?}: {}", run.err);
        let peak = server.stats().peak;
        assert!(peak <= most, "{args:?}: {peak}");
        if args[0] != "--max-per-host" {
            assert_eq!(peak, most, "{args:?}");
        }
    }
}

#[test]
fn a_later_run_goes_on_by_kind_status_and_key() {
    let server = spawn(Script::new()).unwrap();
    let list =
        format!("{}\nhttp://127.0.0.1:1/\n{}\n", server.url("/status/404"), server.url("/bytes/1"));
    let gannet = Gannet::new();
    fs::write(gannet.path("list"), &list).unwrap();
    let args = ["-i", "list", "--results", "r", "--retry", "0", "--offline", "fail"];
    assert_eq!(gannet.args(args).run().code, 1);
    let again = |extra: &[&str]| {
        let before = server.stats().requests;
        let run = gannet.gannet().args(args).args(["--resume"]).args(extra).run();
        assert!(run.code <= 1, "{}", run.err);
        assert_eq!(records(&fs::read_to_string(run.path("r")).unwrap()).len(), 3);
        server.stats().requests - before
    };
    assert_eq!(again(&[]), 0, "the refused one alone, which never gets to the server");
    assert_eq!(again(&["--resume-status", "4xx"]), 1);
    assert_eq!(again(&["--resume-kinds", "stalled"]), 0);
    assert_eq!(again(&["--resume-key", "url"]), 0);
    // Another order of the lines: by their URLs they are known all the same.
    let mut lines: Vec<&str> = list.lines().collect();
    lines.reverse();
    fs::write(gannet.path("list"), lines.join("\n")).unwrap();
    assert_eq!(again(&["--resume-key", "url"]), 0);
}

#[test]
fn what_is_planned_for_later_is_a_usage_error() {
    for option in [
        "-b",
        "--cookie",
        "-c",
        "--cookie-jar",
        "-F",
        "--form",
        "-x",
        "--proxy",
        "--noproxy",
        "-U",
        "--unix-socket",
        "--warc",
        "--since",
        "--interleave",
        "--mirrors",
        "--robots",
        "--socks5",
    ] {
        let run = Gannet::new().args([option, "x", "http://127.0.0.1:1/"]).run();
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{option}");
        assert!(run.err.contains("later version"), "{option}: {}", run.err);
    }
    let run = Gannet::new().args(["tune", "http://127.0.0.1:1/"]).run();
    assert_eq!(run.code, 2);
}

#[test]
fn help_is_there_in_all_forms() {
    for (args, part) in [
        (vec!["--help"], "Usage:"),
        (vec!["-h"], "--input-file"),
        (vec!["--help", "all"], "Example: gannet -I example.org"),
        (vec!["--help", "refused"], "Nobody listens there"),
        (vec!["--version"], "rustls/"),
        (vec!["-V"], "features:"),
        (vec!["--man"], ".SH \"EXIT STATUS\""),
        (vec!["--completions", "bash"], "complete -F"),
        (vec!["--completions", "zsh"], "#compdef gannet"),
        (vec!["--completions", "fish"], "complete -c gannet"),
    ] {
        let run = Gannet::new().args(&args).run();
        assert_eq!(run.code, 0, "{args:?}: {}", run.err);
        assert!(run.out.contains(part), "{args:?}: {part}");
    }
    assert_eq!(Gannet::new().args(["--help", "nonsense"]).run().code, 2);
}

#[test]
fn an_answer_that_was_cut_goes_on_in_the_same_run() {
    let size = 300_000;
    let cut = Cut { at: At::Body(200_000), how: How::Reset };
    let server =
        spawn(Script::new().rule(When::prefix("/range/").nth(1), [Action::Cut(cut)])).unwrap();
    let url = server.url(&format!("/range/{size}"));
    let run = Gannet::new().args(["-sS", "--backoff-base", "1ms", "-o", "f", &url]).run();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(fs::read(run.path("f")).unwrap(), pattern::body(&format!("/range/{size}"), size));
    assert_eq!(run.files("."), ["f"]);
}

#[test]
fn the_rest_of_the_options_does_what_it_says() {
    let disposition =
        Action::Field("Content-Disposition".into(), "attachment; filename=theirs".into());
    let server = spawn(Script::new().rule(When::path("/bytes/7"), [disposition])).unwrap();
    let url = server.url("/bytes/7");
    // -J never overwrites, unless --clobber says so.
    let gannet = Gannet::new();
    fs::write(gannet.path("theirs"), "old").unwrap();
    assert_eq!(gannet.args(["-sOJ", &url]).run().code, 23);
    assert_eq!(gannet.gannet().args(["-s", "-O", "-J", "--clobber", &url]).run().code, 0);
    assert_eq!(fs::metadata(gannet.path("theirs")).unwrap().len(), 7);
    // Types that are not wanted end after their head.
    let run = Gannet::new().args(["-i", "-", "--reject-type", "text/*,image/*"]).stdin(&url).run();
    assert!(run.out.contains("\"filtered\""), "{}", run.out);
    // The default config file is read, unless -q or --disable comes first.
    fs::write(gannet.path("conf"), "output = from-config\n").unwrap();
    let conf = gannet.path("conf").display().to_string();
    let with = |words: &[&str]| {
        let _ = fs::remove_file(gannet.path("from-config"));
        let run = gannet.gannet().args(words).args(["-s", &url]).env("GANNET_CONFIG", &conf).run();
        (run.out.len(), gannet.path("from-config").exists())
    };
    assert_eq!(with(&[]), (0, true));
    assert_eq!(with(&["-q"]), (7, false));
    assert_eq!(with(&["--disable"]), (7, false));
    // A key that can't be read, and one without its certificate.
    fs::write(gannet.path("me.pem"), "no certificate").unwrap();
    let run = gannet
        .gannet()
        .args(["-sS", "--cert", "me.pem", "--key", "missing", "https://127.0.0.1:1/"])
        .run();
    assert_eq!(run.code, 58, "{}", run.err);
    assert_eq!(gannet.gannet().args(["--key", "me.pem", &url]).run().code, 2);
    // Families: a name with both addresses, and nobody at the first.
    let port = server.addr().port();
    let known = format!("both.example:{port}:[::1],127.0.0.1");
    let named = format!("http://both.example:{port}/bytes/3");
    let run = Gannet::new()
        .args(["-sS", "--resolve", &known, "--happy-eyeballs-timeout-ms", "50", &named])
        .run();
    assert_eq!((run.code, run.out.len()), (0, 3), "{}", run.err);
    let run = Gannet::new().args(["-sS", "--retry", "0", "-6", "http://127.0.0.1:1/"]).run();
    assert_ne!(run.code, 0);
    // Name servers that are silent: the name is not found, in bounded time.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let servers = silent.local_addr().unwrap().to_string();
    let (run, took) = timed(
        &Gannet::new()
            .args(["-sS", "--retry", "0", "--offline", "fail", "--connect-timeout", "2"])
            .args(["--dns-servers", &servers, "http://nowhere.example/"]),
    );
    assert!([6, 28].contains(&run.code), "{} {}", run.code, run.err);
    assert!(took < Duration::from_secs(15), "{took:?}");
    silent.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(silent.recv(&mut [0; 512]).unwrap() > 12, "it was asked");
    assert_eq!(Gannet::new().args(["--dns-servers", "x", &url]).run().code, 2);
    // Progress is for terminals; asked for, it goes to standard error, and never to the output.
    let list = format!("{}\n", server.url("/delay/1500/1"));
    for (args, code) in [
        (vec!["--progress", "always"], 0),
        (vec!["--progress", "auto"], 0),
        (vec!["--progress", "never"], 0),
        (vec!["--no-progress-meter", "--color", "never"], 0),
        (vec!["--progress", "sometimes"], 2),
        (vec!["--color", "sometimes"], 2),
    ] {
        let run = Gannet::new().args(["-i", "-", "--no-summary"]).args(&args).stdin(&list).run();
        assert_eq!(run.code, code, "{args:?}: {}", run.err);
        assert!(code != 0 || records(&run.out).len() == 1, "{args:?}");
        let progress = run.err.lines().filter(|line| line.contains("1 in flight")).count();
        assert_eq!(progress, usize::from(args.contains(&"always")), "{args:?}: {}", run.err);
    }
}

#[test]
fn colours_are_for_those_who_want_them() {
    let server = spawn(Script::new()).unwrap();
    let list = format!("{}\nnot a url\n", server.url("/bytes/1"));
    let run = |args: &[&str]| Gannet::new().args(["-i", "-"]).args(args).stdin(&list).run();
    assert!(run(&["--color", "always"]).err.contains("\u{1b}[31m1 failed\u{1b}[0m"));
    for plain in [run(&[]), run(&["--color", "never"]), run(&["--color", "auto"])] {
        assert!(plain.err.contains("1 failed") && !plain.err.contains('\u{1b}'), "{}", plain.err);
    }
    let run =
        Gannet::new().args(["--color", "always", "http://127.0.0.1:1/", "--retry", "0"]).run();
    assert!(run.err.contains("\u{1b}[31m(7)\u{1b}[0m"), "{}", run.err);
}

#[test]
fn the_table_of_options_is_whole() {
    let table = fs::read_to_string("docs/options.md").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let page = Gannet::new().args(["--man"]).run().out.replace("\\-", "-");
    let mut names = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("\\fB-")) {
        let long = line.split("--").nth(1).unwrap().split(['\\', ',', ' ']).next().unwrap();
        names.push(format!("--{long}"));
    }
    assert!(names.len() > 140, "{}", names.len());
    for name in &names {
        let ends = [format!("`{name}`"), format!(", {name}`")];
        let row = rows.iter().find(|row| ends.iter().any(|end| row.contains(end.as_str())));
        let row = row.unwrap_or_else(|| panic!("docs/options.md has no row for {name}"));
        // The test that it names is there.
        for test in row.split(['|', ';']).filter_map(|part| part.trim().split_once("::")) {
            let (file, function) = test;
            let Ok(text) = fs::read_to_string(format!("tests/{file}.rs")) else { continue };
            assert!(text.contains(&format!("fn {function}(")), "{name}: {file}::{function}");
        }
    }
    assert_eq!(rows.len(), names.len());
}

#[test]
fn times_of_write_out_add_up() {
    let server = spawn(Script::new()).unwrap();
    let format = "%{time_queue} %{time_redirect} %{time_namelookup} %{time_connect} \
                  %{time_pretransfer} %{time_starttransfer} %{time_total}\\n";
    for path in ["/bytes/100000", "/delay/80", "/redirect/2"] {
        let run =
            Gannet::new().args(["-sL", "-o", "/dev/null", "-w", format, &server.url(path)]).run();
        assert_eq!(run.code, 0, "{}", run.err);
        let times: Vec<f64> = run.out.split_whitespace().map(|t| t.parse().unwrap()).collect();
        assert!(times[1..].is_sorted(), "{path}: {format}: {}", run.out);
        assert!(times[0] <= times[2] && times[6] > 0.0, "{path}: {}", run.out);
        assert_eq!(times[1] > 0.0, path.starts_with("/redirect"), "{path}: {}", run.out);
        if path == "/delay/80" {
            assert!((0.08..10.0).contains(&times[5]), "{path}: {}", run.out);
        }
    }
}

#[test]
fn a_batch_that_cant_be_begun_ends_with_the_code_for_usage() {
    for option in [
        ["--cacert", "missing"],
        ["--cert", "missing"],
        ["--netrc-file", "missing"],
        ["--interface", "192.0.2.1"],
        ["--resolve", "x"],
        ["--connect-to", "x"],
        ["--dns-servers", "x"],
    ] {
        let list = "http://127.0.0.1:1/\n";
        let run = Gannet::new().args(["-i", "-", "--results", "-"]).args(option).stdin(list).run();
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{option:?}: {}", run.err);
        assert!(run.err.contains(option[1]), "{option:?}: {}", run.err);
    }
}

/// A proxy that is not used is named once, and only where curl would use it.
#[test]
fn a_proxy_is_named_where_one_would_be_used() {
    let server = spawn(Script::new()).unwrap();
    let url = server.url("/bytes/1");
    for (variables, times) in [
        (&[("http_proxy", "http://p.example")][..], 1),
        (&[("all_proxy", "http://p.example")], 1),
        (&[("https_proxy", "http://p.example")], 0),
        (&[("http_proxy", "http://p.example"), ("no_proxy", "a.example,127.0.0.0/8")], 0),
    ] {
        let mut gannet = Gannet::new();
        for (name, value) in variables {
            gannet = gannet.env(name, value);
        }
        let run = gannet.args(["-o", "a", &url, "-o", "b", &url, "--next", "-o", "c", &url]).run();
        assert_eq!(run.code, 0, "{}", run.err);
        assert_eq!(
            run.err.matches("does not use proxies").count(),
            times,
            "{variables:?} {}",
            run.err
        );
    }
}
