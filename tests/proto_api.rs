//! What the machine says of itself between events, and the small readers around it.

use gannet::proto::wire::{End, Recorder};
use gannet::proto::{
    CloseReason, Error, Event, Exchange, KeepAlive, Limits, Persistence, Phase, Response, Scratch,
    keep_alive,
};

fn head_of(fields: &str, check: impl FnOnce(&gannet::proto::Head<'_>)) {
    let bytes = format!("HTTP/1.1 204 x\r\n{fields}\r\n");
    let mut response = Response::new(Exchange::Ordinary);
    let mut scratch = Scratch::new();
    match response.next(&Limits::default(), bytes.as_bytes(), &mut scratch) {
        Ok((_, Event::Head(head, _))) => check(&head),
        other => panic!("{other:?}"),
    }
}

#[test]
fn keep_alive_hints_are_read_where_they_make_sense() {
    let rows: &[(&str, Option<u32>, Option<u32>)] = &[
        ("", None, None),
        ("Keep-Alive: timeout=5, max=100\r\n", Some(5), Some(100)),
        ("keep-alive: TIMEOUT=5\r\n", Some(5), None),
        ("Keep-Alive: max=7\r\n", None, Some(7)),
        ("Keep-Alive: timeout = 5 ,max =\t7\r\n", Some(5), Some(7)),
        ("Keep-Alive: timeout=5; max=7\r\n", Some(5), Some(7)),
        ("Keep-Alive: timeout=5\r\nKeep-Alive: max=7\r\n", Some(5), Some(7)),
        // The first one counts.
        ("Keep-Alive: timeout=5, timeout=9\r\n", Some(5), None),
        ("Keep-Alive: timeout=0\r\n", Some(0), None),
        ("Keep-Alive: timeout=4294967295\r\n", Some(u32::MAX), None),
        // What is no number is passed over.
        ("Keep-Alive: timeout=4294967296\r\n", None, None),
        ("Keep-Alive: timeout=99999999999999999999999\r\n", None, None),
        ("Keep-Alive: timeout=-1, max=+5\r\n", None, None),
        ("Keep-Alive: timeout=5s\r\n", None, None),
        ("Keep-Alive: timeout=\"5\"\r\n", None, None),
        ("Keep-Alive: timeout, max\r\n", None, None),
        ("Keep-Alive: timeout=, =5\r\n", None, None),
        ("Keep-Alive: x, timeout=x, timeout=5\r\n", Some(5), None),
        ("Keep-Alive: timeouts=5\r\n", None, None),
        ("Keep-Alives: timeout=5\r\n", None, None),
        ("Connection: timeout=5\r\n", None, None),
    ];
    for (fields, timeout, max) in rows {
        head_of(fields, |head| {
            let want = KeepAlive { timeout: *timeout, max: *max };
            assert_eq!(head.keep_alive, want, "{fields:?}");
            assert_eq!(keep_alive(&head.fields), want, "{fields:?}");
        });
    }
}

#[test]
fn fields_are_found_by_name_without_regard_to_case() {
    head_of("A: 1\r\nb: 2\r\na: 3\r\nAB: 4\r\n", |head| {
        let fields = head.fields;
        assert_eq!((fields.len(), fields.is_empty()), (4, false));
        assert_eq!(fields.get("a"), Some(&b"1"[..]));
        assert_eq!(fields.get("B"), Some(&b"2"[..]));
        assert_eq!(fields.get("c"), None);
        assert_eq!(fields.get_all("A").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(fields.get_all("").count(), 0);
        let names: Vec<&str> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["A", "b", "a", "AB"]);
        assert!(format!("{head:?}").contains("AB"));
    });
    head_of("", |head| assert!(head.fields.is_empty() && head.fields.is_empty()));
}

#[test]
fn phases_follow_the_bytes() {
    let limits = Limits::default();
    let mut response = Response::new(Exchange::Ordinary);
    let mut feed = |bytes: &[u8], phase: Phase, started: bool, content: u64, interim: u16| {
        let mut input = bytes;
        loop {
            let mut scratch = Scratch::default();
            match response.next(&limits, input, &mut scratch) {
                Ok((_, Event::Incomplete | Event::Done(_))) => break,
                Ok((used, _)) => input = &input[used..],
                Err(error) => panic!("{error}"),
            }
        }
        let got = (
            response.phase(),
            response.started(),
            response.content_bytes(),
            response.interim_answers(),
        );
        assert_eq!(got, (phase, started, content, interim), "{}", bytes.escape_ascii());
        response.held_bytes()
    };
    assert_eq!(feed(b"", Phase::AwaitingHead, false, 0, 0), 0);
    assert!(feed(b"H", Phase::InHead, true, 0, 0) > 0);
    feed(b"TTP/1.1 100\r\n\r", Phase::InHead, true, 0, 0);
    feed(b"\n", Phase::AwaitingHead, true, 0, 1);
    feed(b"HTTP/1.1 200\r\n", Phase::InHead, true, 0, 1);
    assert_eq!(feed(b"Content-Length: 3\r\n\r\n", Phase::InBody, true, 0, 1), 0);
    assert_eq!(feed(b"ab", Phase::InBody, true, 2, 1), 0);
    assert_eq!(feed(b"c", Phase::Done, true, 3, 1), 0);
    assert_eq!(feed(b"surplus", Phase::Done, true, 3, 1), 0);
}

#[test]
fn the_end_of_the_connection_can_be_told_at_any_time() {
    let limits = Limits::default();
    let mut response = Response::new(Exchange::Ordinary);
    let mut scratch = Scratch::new();
    assert!(matches!(
        response.next(&limits, b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", &mut scratch),
        Ok((35, Event::Head(..)))
    ));
    // Without having asked for the end first, and twice.
    for clean in [false, true] {
        assert!(matches!(response.eof(clean), Ok(Event::Done(Persistence::KeepAlive))));
    }

    let mut response = Response::new(Exchange::Ordinary);
    assert!(matches!(response.eof(true), Err(Error::NoResponse)));
    assert!(matches!(response.eof(true), Err(Error::NoResponse)));
    let mut scratch = Scratch::new();
    assert!(matches!(
        response.next(&limits, b"HTTP/1.1 204\r\n\r\n", &mut scratch),
        Err(Error::NoResponse)
    ));

    // The first error stays.
    let mut response = Response::new(Exchange::Ordinary);
    let mut scratch = Scratch::new();
    assert!(matches!(response.next(&limits, b"SSH", &mut scratch), Err(Error::NotHttp)));
    assert!(matches!(response.eof(true), Err(Error::NotHttp)));
    assert_eq!((response.phase(), response.started()), (Phase::Failed, true));
}

#[test]
fn a_head_whole_in_the_input_takes_no_memory() {
    let mut response = Response::new(Exchange::Ordinary);
    let mut scratch = Scratch::new();
    let bytes = b"HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 1\r\n\r\na";
    assert!(response.next(&Limits::default(), bytes, &mut scratch).is_ok());
    assert_eq!(response.held_bytes(), 0);
}

#[test]
fn errors_have_stable_names_and_one_sentence() {
    let mut names = Vec::new();
    for error in Error::ALL {
        let (name, sentence) = (error.name(), error.to_string());
        assert!(
            name.bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
        );
        assert!(sentence.contains(' ') && !sentence.ends_with('.'), "{sentence}");
        assert_eq!(
            error.is_truncation(),
            name.starts_with("truncated") || name == "no_response",
            "{name}"
        );
        names.push(name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Error::ALL.len());
}

#[test]
fn every_reason_to_close_can_be_explained() {
    let mut sentences: Vec<String> = [
        CloseReason::ConnectionClose,
        CloseReason::Http10WithoutKeepAlive,
        CloseReason::CloseDelimited,
        CloseReason::TransferEncodingWithContentLength,
        CloseReason::ContentAnnouncedWhereNoneCanBe,
        CloseReason::Tunnel,
    ]
    .map(|reason| reason.to_string())
    .to_vec();
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), 6);
}

#[test]
fn exchanges_are_known_by_their_method() {
    assert_eq!(Exchange::of("HEAD"), Exchange::Head);
    assert_eq!(Exchange::of("CONNECT"), Exchange::Connect);
    for method in ["GET", "head", "Connect", ""] {
        assert_eq!(Exchange::of(method), Exchange::Ordinary);
    }
}

#[test]
fn a_new_exchange_is_recorded_with_a_fresh_mask() {
    let record = |fresh: bool| {
        let mut file = Vec::new();
        let mut recorder = Recorder::begin(&mut file, "a");
        recorder.received(&mut file, 0, b"HTTP/1.1 200\r\nContent-Length: 9\r\n\r\nCookie: a");
        if fresh {
            recorder.next_exchange();
        }
        recorder.received(&mut file, 1, b"HTTP/1.1 204\r\n\r\n");
        recorder.end(&mut file, 2, End::Closed);
        String::from_utf8(file).unwrap()
    };
    assert!(record(true).contains("\nHTTP/1.1 204"));
    // The other way, the rest of the line counts as the secret's.
    assert!(record(false).contains("\n******** ***"));
}
