use alloc::format;
use alloc::string::{String, ToString};

use super::*;
use crate::proto::wire::Recorder;

fn told(file: &[u8]) -> (String, Outcome) {
    let mut out = String::new();
    let outcome = replay(file, &Limits::DEFAULT, &mut |step| {
        out += &step.to_string();
        out.push('\n');
    });
    (out, outcome)
}

#[test]
fn bare_bytes_are_explained() {
    let (out, outcome) = told(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: \x1b[2J\xff\r\n\r\nhi+");
    assert_eq!(outcome.error, Some(Error::BadFieldValue));
    assert!(
            out.contains(
                "    error: bad_field_value (a field value holds a control character) at byte 46: \"X: \\x1b[2J\\xff\\r\\n\"\n"
            ),
            "{out}"
        );

    let (out, outcome) = told(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: \xff\r\n\r\nhi+");
    let wanted = "       0.000 ms > 33 bytes: \"GET / HTTP/1.1\\r\\nHost: unknown\\r\\n\\r\\n\"
    request: GET /
       0.000 ms < 47 bytes: \"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nX: \\xff\\r\\n\\r\\nhi+\"
    head: HTTP/1.1 200 \"OK\"
        Content-Length: 2
        X: \\xff
    content: 2 bytes, by Content-Length
    body: 2 bytes: \"hi\"
    done: the connection may be reused
    surplus: 1 byte that no request asked for: \"+\"
       0.000 ms ! eof
";
    assert_eq!(out, wanted);
    assert_eq!((outcome.answers, outcome.surplus, outcome.content), (1, 1, 2));
}

#[test]
fn the_fault_is_shown() {
    let ch = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (bytes, at, near) in [
        (format!("{ch}5\r\nhello\r\n+5\r\nhello"), 58, "5\r\nhello\r\n+"),
        (format!("{ch}5\nhello"), 49, "5\n"),
        (format!("{ch}0\r\nA : b\r\n\r\n"), 59, "0\r\nA : b\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nA: b\r\nC : d\r\nE: f\r\n\r\nx".into(), 30, "C : d\r\n"),
        (
            "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n".into(),
            61,
            "Content-Length: 6\r\n",
        ),
        ("HTTP/1.1 20 OK\r\nA: b\r\n\r\n".into(), 16, "HTTP/1.1 20 OK\r\n"),
        ("HTTP/1.1 100\r\n\r\nHTTP/1.1 200 OK\r\n: b\r\n\r\n".into(), 38, ": b\r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab".into(), 40, ""),
    ] {
        for piece in [usize::MAX, 1, 4] {
            let mut file = Vec::new();
            let mut recorder = Recorder::begin(&mut file, "");
            recorder.sent(&mut file, 0, b"GET / HTTP/1.1\r\n\r\n");
            for piece in bytes.as_bytes().chunks(piece) {
                recorder.received(&mut file, 1, piece);
            }
            recorder.end(&mut file, 2, End::Eof);
            let mut seen = None;
            let _ = replay(&file, &Limits::DEFAULT, &mut |step| {
                if let Step::Refused { at, near, .. } = step {
                    seen = Some((*at, near.to_vec()));
                }
            });
            let (found, shown) = seen.expect("it is refused");
            assert_eq!(found, at, "{bytes:?} in pieces of {piece}");
            // What is shown of content begins earlier, or with the piece.
            let shown = shown.escape_ascii().to_string();
            let near = near.as_bytes().escape_ascii().to_string();
            assert!(shown.ends_with(&near) || near.ends_with(&shown), "{shown}, {near}");
            assert!(shown.len() >= near.len() || piece < usize::MAX, "{shown}, {near}");
            assert_eq!(shown.is_empty(), near.is_empty(), "{near}");
        }
    }
}

#[test]
fn what_is_no_answer_is_shown_from_its_first_byte() {
    for (bytes, at) in [(&b"SSH-2.0-x\r\n"[..], 1), (b"HTTP/2 200\r\n\r\n", 6), (b"\r\nHTTP", 1)] {
        let (out, _) = told(bytes);
        let want = format!("at byte {at}: \"{}\"\n", bytes.escape_ascii());
        assert!(out.contains(&want), "{want}: {out}");
    }
}

#[test]
fn answers_are_paired_with_requests() {
    let mut file = Vec::new();
    let mut recorder = Recorder::begin(&mut file, "");
    recorder.sent(&mut file, 0, b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
    recorder.received(&mut file, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    recorder.sent(&mut file, 2, b"POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nGE");
    recorder.sent(
        &mut file,
        2,
        b"T PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /d ",
    );
    recorder.received(
        &mut file,
        3,
        b"HTTP/1.1 100\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
    );
    recorder.sent(&mut file, 4, b"HTTP/1.1\r\n\r\n");
    recorder.received(
        &mut file,
        5,
        b"HTTP/1.1 201\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200\r\n\r\nxy",
    );
    recorder.end(&mut file, 6, End::Truncated);
    let (out, outcome) = told(&file);
    assert_eq!((outcome.answers, outcome.content, outcome.surplus), (3, 3, 0), "{out}");
    assert_eq!(outcome.error, Some(Error::TruncatedUntilClose));
    for line in ["request: HEAD /a", "request: POST /b", "request: PUT /c", "request: GET /d"] {
        assert!(out.contains(line), "{out}");
    }
}

#[test]
fn requests_sent_ahead_keep_their_order() {
    let mut file = Vec::new();
    let mut recorder = Recorder::begin(&mut file, "");
    recorder.sent(&mut file, 0, b"GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n");
    let answer = b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n";
    recorder.received(&mut file, 1, &[&answer[..], b"ab", answer].concat());
    recorder.end(&mut file, 2, End::Eof);
    let (out, outcome) = told(&file);
    assert_eq!((outcome.answers, outcome.content, outcome.error), (2, 2, None), "{out}");
}
