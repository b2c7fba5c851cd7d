//! Whatever is passed to the command, in whatever place: it never becomes a line of a request that nobody wrote, nor a
//! second request. It is refused with a name, or it stands on the wire in a form that is harmless.

mod cli_common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use cli_common::{Gannet, records};

/// Takes everything for requests without content; keeps what came on each connection.
fn listen() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            while !bytes.ends_with(b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(length @ 1..) => bytes.extend_from_slice(&piece[..length]),
                    _ => break,
                }
            }
            all.lock().unwrap().push(String::from_utf8_lossy(&bytes).into_owned());
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            drop(stream.write_all(answer));
        }
    });
    (origin, seen)
}

/// One request a connection, one Host in it, no line that nobody wrote.
fn sound(head: &str) {
    assert!(head.ends_with("\r\n\r\n") && head.matches("\r\n\r\n").count() == 1, "{head:?}");
    assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{head:?}");
    let mut lines = head.split("\r\n");
    let words: Vec<_> = lines.next().unwrap().split(' ').collect();
    assert!(words.len() == 3 && words[2] == "HTTP/1.1", "{head:?}");
    let lines: Vec<_> = lines.map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.iter().filter(|line| line.starts_with("host:")).count(), 1, "{head:?}");
    assert!(!lines.iter().any(|line| line.starts_with("x-smuggled")), "{head:?}");
}

/// Where it is refused: with this status, and nothing is sent.
#[test]
fn what_would_smuggle_is_refused() {
    let (origin, seen) = listen();
    let files = Gannet::new();
    let broken = format!("user-agent = \"a\\r\\nX-Smuggled: 1\"\nurl = \"{origin}/\"\n");
    std::fs::write(files.path("config"), broken).unwrap();
    for bad in ["a\r\nX-Smuggled: 1", "a\nX-Smuggled: 1", "a\rX-Smuggled: 1", "a\u{7f}", "a\u{1}"] {
        for (option, form, code) in [
            ("-X", "{}", 2),
            ("-H", "A: {}", 2),
            ("-H", "{}: a", 2),
            ("-H", "{};", 2),
            ("-H", "Host: {}", 2),
            ("-H", "Content-Length: {}", 2),
            ("-A", "{}", 43),
            ("-e", "{}", 43),
            ("-r", "0-5{}", 2),
            ("--oauth2-bearer", "{}", 2),
            ("--url", "{origin}/{}", 3),
            ("--url", "{origin}/?{}", 3),
            ("--url", "http://{}/", 3),
            ("--url", "http://{}@127.0.0.1/", 3),
        ] {
            let value = form.replace("{origin}", &origin).replace("{}", bad);
            let run = files.args(["-q", "-sS", "--retry", "0", option, &value, &origin]).run();
            assert_eq!(run.code, code, "{option} {value:?}: {}", run.err);
            assert_eq!(
                run.err.contains("[url_control_character]"),
                option == "--url",
                "{}",
                run.err
            );
        }
    }
    for (args, code) in [
        (vec!["-X", "GET /x"], 2),
        (vec!["-X", ""], 2),
        (vec!["-H", "A B: c"], 2),
        (vec!["-H", "A : b"], 2),
        (vec!["-H", "A\t: b"], 2),
        (vec!["-H", ": b"], 2),
        (vec!["-H", "Host: a b"], 3),
        (vec!["-H", "Content-Length: 5"], 43),
        (vec!["-H", "Transfer-Encoding: chunked"], 43),
        (vec!["-d", "abc", "-H", "Content-Length: 4"], 43),
        (vec!["-d", "abc", "-H", "Transfer-Encoding: gzip, chunked"], 43),
        (vec!["-d", "abc", "-H", "Content-Length: 3", "-H", "Transfer-Encoding: chunked"], 43),
    ] {
        let run = files.args(["-q", "-sS", "--retry", "0"]).args(&args).args([&origin]).run();
        assert_eq!(run.code, code, "{args:?}: {}", run.err);
    }
    assert_eq!(files.args(["-K", "config", "-sS"]).run().code, 43);
    let seen = seen.lock().unwrap();
    // Those of the good URL beside a bad one.
    assert_eq!(seen.len(), 20, "{seen:?}");
    seen.iter().for_each(|head| sound(head));
}

/// Where it has a harmless form: encoded, or cut off, as curl does.
#[test]
fn what_can_be_encoded_is_encoded() {
    let (origin, seen) = listen();
    let files = Gannet::new();
    std::fs::write(files.path("etag"), "\"a\r\nX-Smuggled: 1\"\n").unwrap();
    let netrc = "machine 127.0.0.1 login \"a\\r\\nX-Smuggled: 1\" password \"b\\n\"\n";
    std::fs::write(files.path("netrc"), netrc).unwrap();
    std::fs::write(files.path("lines"), "A: b\r\nX-Fine: 1\r\n\r\n").unwrap();
    let bad = "a\r\nX-Smuggled: 1";
    let rows: [(&[&str], &str, &str); 9] = [
        (&["-u", "a\r\nX-Smuggled: 1:b"], "/u", "authorization: basic yq0kwc1tbxvnz2xlzdogmtpi"),
        (&["-n", "--netrc-file", "netrc"], "/n", "authorization: basic "),
        (&["--etag-compare", "etag"], "/e", "if-none-match: \"a\r\n"),
        (&["--url-query", bad], "/q", "get /q?a%0d%0ax-smuggled%3a+1 "),
        (&["-G", "-d", bad], "/g", "get /g?a%0d%0ax-smuggled:%201 "),
        (&["-G", "--data-urlencode", bad], "/d", "get /d?a%0d%0ax-smuggled%3a+1 "),
        (&["-H", "@lines"], "/h", "a: b\r\nx-fine: 1\r\n"),
        (&[], "/%0d%0aX-Smuggled:%201%00", "get /%0d%0ax-smuggled:%201%00 "),
        (&[], "/\u{010d}\u{010a}", "get /%c4%8d%c4%8a "),
    ];
    for (args, path, _) in rows {
        let run = files.args(["-q", "-sS", "--retry", "0"]).args(args);
        let run = run.args([format!("{origin}{path}")]).run();
        assert_eq!(run.code, 0, "{args:?} {path}: {}", run.err);
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), rows.len());
    for (head, (args, path, part)) in seen.iter().zip(rows) {
        sound(head);
        assert!(head.to_ascii_lowercase().contains(part), "{args:?} {path}: {head:?}");
    }
}

/// A list may come from strangers.
#[test]
fn no_line_of_a_list_smuggles_anything() {
    let (origin, seen) = listen();
    let bad = r"a\r\nX-Smuggled: 1";
    let rows = [
        (format!(r#""url":"{origin}/","method":"GET /x HTTP/1.1\r\nX-Smuggled: 1""#), "bad_line"),
        (format!(r#""url":"{origin}/","method":"G T""#), "bad_line"),
        (format!(r#""url":"{origin}/","method":"""#), "bad_line"),
        (format!(r#""url":"{origin}/","headers":{{"{bad}":"b"}}"#), "bad_line"),
        (format!(r#""url":"{origin}/","headers":{{"A":"{bad}"}}"#), "bad_line"),
        (format!(r#""url":"{origin}/","headers":{{"A":["b","{bad}"]}}"#), "bad_line"),
        (format!(r#""url":"{origin}/","headers":{{"A":"\u0000"}}"#), "bad_line"),
        (format!(r#""url":"{origin}/","headers":{{"A ":"b"}}"#), "bad_line"),
        (format!(r#""url":"{origin}/","headers":{{"Host":"a b"}}"#), "bad_host"),
        (
            format!(r#""url":"{origin}/","headers":{{"Content-Length":"5"}}"#),
            "contradicting_content_length",
        ),
        (
            format!(r#""url":"{origin}/","headers":{{"Transfer-Encoding":"chunked"}}"#),
            "contradicting_transfer_encoding",
        ),
        (format!(r#""url":"{origin}/","etag":"\"{bad}\"""#), "bad_line"),
        (format!(r#""url":"{origin}/","last_modified":"{bad}""#), "bad_line"),
        (format!(r#""url":"{origin}/{bad}""#), "url_control_character"),
        (format!(r#""url":"{origin}/a b""#), "url_blank"),
        (format!(r#""url":"http://{bad}/""#), "url_control_character"),
    ];
    let list: String = rows.iter().map(|(fields, _)| format!("{{{fields}}}\n")).collect();
    let run = Gannet::new()
        .args(["-q", "-i", "-", "--retry", "0", "--no-summary", "--auth-host", "all"])
        .stdin(&list)
        .run();
    let mut records = records(&run.out);
    records.sort_by_key(|record| record["n"].as_u64());
    assert_eq!(records.len(), rows.len(), "{}", run.err);
    for ((fields, name), record) in rows.iter().zip(&records) {
        assert_eq!(record["error"]["kind"], *name, "{fields}: {record}");
        assert_eq!(record["attempts"], 0, "{fields}");
    }
    assert!(seen.lock().unwrap().is_empty());
}
