//! No option is taken and then ignored: where one means nothing it is refused by its name, and
//! where it means something, that shows. What curl has too is compared in `curl_parity.rs`.

mod cli_common;

use std::fs;

use cli_common::{Gannet, records};
use gannet::origin::{Script, spawn};

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
    for wrong in ["127.0.0.1:80", "http://127.0.0.1", "127.0.0.1/x", "[::1]:80", ""] {
        let run = run(wrong);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{wrong}: {}", run.err);
        assert!(run.err.contains("--auth-host"), "{wrong}: {}", run.err);
    }
    assert_eq!(run("[::1]").code, 0);
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
    let line = said(&["--max-head-line", "100"], "/bytes/1");
    assert!(line.contains("--max-head-line"), "{line}");
    // A kind that is mistyped would go unseen.
    let gannet = Gannet::new();
    let list = "http://127.0.0.1:1/\n";
    let words = ["-i", "-", "--retry", "0", "--offline", "fail", "--results", "r"];
    assert_eq!(gannet.args(words).stdin(list).run().code, 1);
    let again = |kind: &str| {
        let words = [words.as_slice(), &["--resume", "--resume-kinds", kind]].concat();
        gannet.gannet().args(words).stdin(list).run().err
    };
    let said = "1 URL of the earlier run failed, none with --resume-kinds refussed";
    assert!(again("refussed").contains(said), "{}", again("refussed"));
    assert!(!again("refused").contains("none with"));
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
