//! The fetcher on real sockets, against `origin`.
#![cfg(feature = "fetch")]

mod fetch_common;

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fetch_common::{Client, fetch, fetch_with, serve};
use gannet::Fetcher;
use gannet::engine::Kind;
use gannet::fetch::{
    AddressRules, Answer, Auth, Body, Control, DecodeError, ErrorKind, Expect, Field, Follow,
    KnownHost, Netrc, Network, Options, Outcome, Profile, RangeSpec, RedirectError, Request,
    ResumeFrom, Route, Scheme, Schemes, Ticket, Url, UrlRules, Validator, Visitor, Want,
};

use gannet::origin::{
    Action, At, Body as Content, Chunked, Cut, How, Interim, Redirect, Script, When, pattern, spawn,
};

fn follow() -> Profile {
    Profile { follow: Follow::Location, ..Profile::default() }
}

fn field(line: &str) -> Field {
    Field::parse(line.as_bytes()).unwrap()
}

fn redirect(status: u16, to: &str) -> Action {
    Action::Redirect(Redirect { status, to: to.into() })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bytes(bytes: &[u8]) -> Action {
    Action::Body(Content::Bytes(bytes.into()))
}

fn coded(coding: &str, content: &[u8]) -> Vec<Action> {
    vec![bytes(content), Action::Field("Content-Encoding".into(), coding.into())]
}

fn quick() -> Options {
    let mut options = Options::default();
    options.engine.backoff_base = Duration::from_millis(2);
    options
}

// ---------------------------------------------------------------- the plain road

#[test]
fn what_a_plain_get_says() {
    let server = spawn(Script::new()).unwrap();
    let seen = fetch(&server.url("/echo"), Profile::default());
    assert_eq!(seen.ok(), 200);
    let expected = format!(
        "GET /echo HTTP/1.1\r\nHost: {}\r\nUser-Agent: gannet/{}\r\nAccept: */*\r\n\r\n",
        server.addr(),
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(seen.text(), expected);
    assert_eq!((seen.body_bytes, seen.attempts, seen.redirects), (expected.len() as u64, 1, 0));
}

#[test]
fn fields_replace_and_remove_defaults() {
    let server = spawn(Script::new()).unwrap();
    let profile = Profile {
        fields: [
            "X-One: 1",
            "X-Empty;",
            "Accept:",
            "user-agent: me",
            "Host: first",
            "Host: second",
            "X-One: 2",
        ]
        .map(field)
        .into(),
        referer: Some("http://from/".into()),
        compressed: true,
        ..Profile::default()
    };
    let text = fetch(&server.url("/echo"), profile).text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[1], "Host: first");
    for line in ["X-One: 1", "X-One: 2", "X-Empty: ", "user-agent: me", "Referer: http://from/"] {
        assert!(lines.iter().any(|found| found.trim_end() == line.trim_end()), "{line}: {text}");
    }
    assert!(text.contains("Accept-Encoding: deflate, gzip, br"), "{text}");
    assert!(
        !text.contains("Accept: ") && !text.contains("gannet") && !text.contains("second"),
        "{text}"
    );
}

#[test]
fn methods_and_bodies() {
    let server = spawn(Script::new()).unwrap();
    let body = || Body::Bytes(b"a=b".as_slice().into());
    let form = || Some("application/x-www-form-urlencoded".into());
    for (profile, first, contains) in [
        (
            Profile { body: body(), content_type: form(), ..Profile::default() },
            "POST /echo",
            "\r\n\r\na=b",
        ),
        (
            Profile { body: body(), content_type: form(), ..Profile::default() },
            "POST /echo",
            "Content-Type: application/x-www",
        ),
        (
            Profile { body: body(), upload: true, ..Profile::default() },
            "PUT /echo",
            "Content-Length: 3",
        ),
        (
            Profile { body: body(), method: Some("PATCH".into()), ..Profile::default() },
            "PATCH /echo",
            "a=b",
        ),
        (
            Profile { body: Body::Bytes(b"".as_slice().into()), ..Profile::default() },
            "POST /echo",
            "Content-Length: 0",
        ),
        (Profile { method: Some("DELETE".into()), ..Profile::default() }, "DELETE /echo", "Accept"),
        (
            Profile {
                body: body(),
                content_type: form(),
                fields: vec![field("content-type: text/x")],
                ..Profile::default()
            },
            "POST /echo",
            "content-type: text/x",
        ),
        (
            Profile {
                body: body(),
                fields: vec![field("Transfer-Encoding: chunked")],
                ..Profile::default()
            },
            "POST /echo",
            "Transfer-Encoding: chunked",
        ),
    ] {
        let seen = fetch(&server.url("/echo"), profile);
        let text = seen.text();
        assert!(text.starts_with(first) && text.contains(contains), "{text}");
        assert_eq!(
            text.matches("Transfer-Encoding").count() + text.matches("Content-Length").count(),
            usize::from(!first.starts_with("DELETE"))
        );
    }
    let seen = fetch(&server.url("/bytes/10"), Profile { head: true, ..Profile::default() });
    assert_eq!((seen.ok(), seen.body.len(), seen.method.as_str()), (200, 0, "HEAD"));
    assert!(seen.fields.contains(&("Content-Length".into(), "10".into())));
}

#[test]
fn a_thousand_urls_on_few_connections() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(Options::default());
    let profile = Arc::new(Profile::default());
    for n in 0..1_000 {
        client.submit(&server.url(&format!("/bytes/{n}?{n}")), &profile);
    }
    client.finish();
    for n in 0..1_000 {
        let seen = client.seen(n);
        assert_eq!((seen.ok(), seen.body.len() as u64), (200, n));
        assert_eq!(seen.body, pattern::body(&format!("/bytes/{n}?{n}"), n as usize));
    }
}

/// Those of one profile are encoded by what the first of them was: it must not show.
#[test]
fn the_tenth_request_says_what_a_first_one_would() {
    let server = spawn(Script::new()).unwrap();
    let plain = Profile::default;
    let with = |line: &str| Profile { fields: vec![field(line)], ..plain() };
    let named = |method: &str| Profile { method: Some(method.into()), ..plain() };
    let body = || Body::Bytes(b"a=b".as_slice().into());
    let profiles = [
        plain(),
        with("X-One: 1"),
        with("Host: other"),
        with("Host:"),
        with("Range: bytes=2-"),
        with("Expect: 100-continue"),
        with("Content-Length: 0"),
        with("X-Blank:  two "),
        Profile { range: RangeSpec::parse("2-40").ok(), ..plain() },
        Profile {
            auth: Some(Auth::basic(b"u", b"p")),
            referer: Some("http://r/".into()),
            ..plain()
        },
        Profile { compressed: true, user_agent: Some("me".into()), ..plain() },
        Profile { user_agent: Some("".into()), ..named("OPTIONS") },
        named("POST"),
        Profile { fields: vec![field("Content-Length:")], ..named("PUT") },
        Profile { body: body(), ..plain() },
    ];
    let url = |n: usize| match n % 4 {
        // The user of one URL is not that of the next.
        3 => server.url("/echo?3").replace("//", "//user:secret@"),
        n => server.url(&format!("/echo?{n}")),
    };
    let mut client = Client::new(Options::default());
    let mut expected = Vec::new();
    for profile in profiles {
        let shared = Arc::new(profile.clone());
        for n in 0..10 {
            client.submit(&url(n), &shared);
            expected.push(fetch(&url(n), profile.clone()).text());
        }
        // Another one between them.
        for n in 0..4 {
            let one = if n % 2 == 0 { &shared } else { &Arc::new(plain()) };
            client.submit(&url(n), one);
            expected.push(fetch(&url(n), (**one).clone()).text());
        }
    }
    client.finish();
    for (tag, expected) in (0..).zip(&expected) {
        let seen = client.seen(tag);
        assert!(!expected.is_empty());
        assert_eq!(seen.text(), *expected, "request {tag}");
    }

    // Users that come with a file, and go with it.
    let mut options = Options::default();
    let shared = Arc::new(plain());
    for (tag, known) in [false, false, false, true, false, true].into_iter().enumerate() {
        let text = "machine 127.0.0.1 login n password q";
        options.netrc = known.then(|| Arc::new(Netrc::parse(text).unwrap()));
        client.fetcher.set_rules(&options);
        for n in 0..3 {
            let at = client.submit(&url(n), &shared);
            client.finish();
            let told = client.seen(at).text().contains("Authorization: Basic");
            assert_eq!(told, known, "{tag}.{n}");
        }
    }
}

// ---------------------------------------------------------------- redirects

#[test]
fn a_chain_is_followed_and_told() {
    let server = spawn(Script::new()).unwrap();
    let seen = fetch(&server.url("/redirect/3"), follow());
    assert_eq!((seen.ok(), seen.redirects, seen.hops.len(), seen.heads), (200, 3, 3, 1));
    let seen = fetch(&server.url("/redirect/3"), Profile::default());
    assert_eq!((seen.ok(), seen.redirects, seen.heads), (302, 0, 1));
}

#[test]
fn where_redirects_lead() {
    let server = serve(vec![
        ("/a/blank", vec![redirect(302, "  ")]),
        ("/a/rel", vec![redirect(302, "../echo?x y#z")]),
        ("/a/frag", vec![redirect(301, "/echo")]),
        ("/a/ftp", vec![redirect(302, "ftp://h/")]),
        ("/a/bad", vec![redirect(302, "http://")]),
        ("/a/304", vec![redirect(304, "/echo")]),
        (
            "/a/two",
            vec![
                Action::Status(302),
                Action::Field("Location".into(), "/b".into()),
                Action::Field("Location".into(), "/c".into()),
            ],
        ),
    ]);
    let seen = fetch(&server.url("/a/blank"), follow());
    assert_eq!((seen.ok(), seen.heads, seen.redirects), (302, 1, 0));
    let seen = fetch(&server.url("/a/rel"), follow());
    assert!(seen.text().starts_with("GET /echo?x%20y HTTP/1.1\r\n"), "{}", seen.text());
    assert_eq!(seen.final_url, server.url("/echo?x%20y#z"));
    let seen = fetch(&server.url("/a/frag#top"), follow());
    assert_eq!(seen.final_url, server.url("/echo#top"));
    let seen = fetch(&server.url("/a/ftp"), follow());
    assert_eq!(seen.error().kind, ErrorKind::Redirect(RedirectError::Scheme("ftp".into())));
    assert_eq!((seen.status, seen.heads, seen.error().exit().code()), (Some(302), 0, 1));
    let seen = fetch(&server.url("/a/bad"), follow());
    assert_eq!((seen.error().name(), seen.error().exit().code()), ("redirect_invalid", 3));
    assert_eq!(fetch(&server.url("/a/304"), follow()).ok(), 304);
    assert_eq!(fetch(&server.url("/a/two"), follow()).error().name(), "redirect_conflict");
}

#[test]
fn limits_and_loops() {
    let server = serve(vec![("/a", vec![redirect(302, "/b")]), ("/b", vec![redirect(302, "/a")])]);
    let seen = fetch(&server.url("/a"), follow());
    assert_eq!(seen.error().kind, ErrorKind::Redirect(RedirectError::Loop(50)));
    assert_eq!((seen.redirects, seen.hops.len(), seen.error().exit().code()), (50, 51, 47));
    assert_eq!(server.stats().requests, 51);

    let server = spawn(Script::new()).unwrap();
    let mut options = Options::default();
    options.redirects.max = Some(3);
    assert_eq!(fetch_with(&server.url("/redirect/3"), follow(), options.clone()).ok(), 200);
    let seen = fetch_with(&server.url("/redirect/4"), follow(), options.clone());
    assert_eq!(seen.error().kind, ErrorKind::Redirect(RedirectError::TooMany(3)));
    options.redirects.max = Some(0);
    let seen = fetch_with(&server.url("/redirect/1"), follow(), options);
    assert_eq!(seen.error().kind, ErrorKind::Redirect(RedirectError::TooMany(0)));
}

#[test]
fn methods_change_as_they_should() {
    let server = serve(
        [301, 302, 303, 307, 308]
            .map(|status| {
                (
                    ["/301", "/302", "/303", "/307", "/308"]
                        [[301, 302, 303, 307, 308].iter().position(|&s| s == status).unwrap()],
                    vec![redirect(status, "/echo")],
                )
            })
            .into(),
    );
    let post = |follow| Profile {
        body: Body::Bytes(b"x=1".as_slice().into()),
        content_type: Some("text/plain".into()),
        fields: vec![field("Content-Language: en"), field("X-Kept: 1")],
        follow,
        ..Profile::default()
    };
    for (path, keeps) in
        [("/301", false), ("/302", false), ("/303", false), ("/307", true), ("/308", true)]
    {
        let text = fetch(&server.url(path), post(Follow::Location)).text();
        assert_eq!(text.starts_with("POST /echo"), keeps, "{path} {text}");
        assert_eq!(text.ends_with("x=1"), keeps, "{path}");
        assert_eq!(text.contains("Content-Type: text/plain"), keeps, "{path}");
        assert_eq!(text.contains("Content-Language"), keeps, "{path}");
        assert_eq!(text.contains("Content-Length"), keeps, "{path}");
        assert!(text.contains("X-Kept: 1"));
    }
    // -X stays with -L, and goes by the standard with --follow.
    let named = |follow| Profile { method: Some("POST".into()), ..post(follow) };
    let text = fetch(&server.url("/302"), named(Follow::Location)).text();
    assert!(text.starts_with("POST /echo") && !text.ends_with("x=1"), "{text}");
    let text = fetch(&server.url("/302"), named(Follow::Standard)).text();
    assert!(text.starts_with("GET /echo"), "{text}");
    let mut options = Options::default();
    options.redirects.post302 = true;
    let text = fetch_with(&server.url("/302"), post(Follow::Location), options).text();
    assert!(text.starts_with("POST /echo") && text.ends_with("x=1"), "{text}");
}

#[test]
fn secrets_stay_at_home() {
    let other = spawn(Script::new()).unwrap();
    let home = serve(vec![
        ("/away", vec![redirect(302, &other.url("/echo"))]),
        ("/near", vec![redirect(302, "/echo")]),
        ("/as", vec![redirect(302, &other.url("/echo").replace("http://", "http://thief:x@"))]),
    ]);
    let secret = || Profile {
        fields: vec![
            field("Authorization: s3cret"),
            field("Cookie: s3cret"),
            field("Host: home.example"),
            field("X-Plain: 1"),
        ],
        ..follow()
    };
    let text = fetch(&home.url("/near"), secret()).text();
    assert_eq!(text.matches("s3cret").count(), 2, "{text}");
    assert!(text.contains("Host: home.example"));
    let text = fetch(&home.url("/away"), secret()).text();
    assert!(!text.contains("s3cret") && text.contains("X-Plain: 1"), "{text}");
    assert!(text.contains(&format!("Host: {}", other.addr())), "{text}");
    let mut options = Options::default();
    options.redirects.trusted = true;
    let text = fetch_with(&home.url("/away"), secret(), options.clone()).text();
    assert_eq!(text.matches("s3cret").count(), 2, "{text}");

    let user = || Profile { auth: Some(Auth::basic(b"u", b"p")), ..follow() };
    assert!(fetch(&home.url("/near"), user()).text().contains("Authorization: Basic dTpw"));
    assert!(!fetch(&home.url("/away"), user()).text().contains("Authorization"));
    assert!(
        fetch_with(&home.url("/away"), user(), options)
            .text()
            .contains("Authorization: Basic dTpw")
    );
    let in_url = |path: &str| home.url(path).replace("http://", "http://u:p@");
    assert!(fetch(&in_url("/near"), follow()).text().contains("Authorization: Basic dTpw"));
    assert!(!fetch(&in_url("/away"), follow()).text().contains("Authorization"));
    assert!(!fetch(&home.url("/as"), follow()).text().contains("Authorization"));
}

#[test]
fn the_way_back_home() {
    // From home to another origin and back: what belongs to home is sent there again.
    let home = spawn(Script::new()).unwrap();
    let back = serve(vec![("/back", vec![redirect(302, &home.url("/echo"))])]);
    let start = format!("{}?url={}", home.url("/redirect-to"), back.url("/back"));
    let profile = Profile { auth: Some(Auth::basic(b"u", b"p")), ..follow() };
    let seen = fetch(&start, profile);
    assert_eq!(seen.redirects, 2);
    assert!(seen.text().contains("Authorization: Basic dTpw"), "{}", seen.text());
}

#[test]
fn one_body_that_cannot_be_sent_twice() {
    let server = serve(vec![("/a", vec![redirect(307, "/echo")])]);
    for (replayable, ok) in [(true, true), (false, false)] {
        let mut client = Client::new(Options::default());
        client.recorder.upload = vec![b'x'; 5_000];
        let body = Body::Stream { length: Some(5_000), replayable };
        let tag = client.submit(&server.url("/a"), &Arc::new(Profile { body, ..follow() }));
        client.finish();
        let seen = client.seen(tag);
        if ok {
            assert!(seen.text().ends_with(&"x".repeat(5_000)), "{}", seen.text().len());
        } else {
            assert_eq!(seen.error().kind, ErrorKind::Redirect(RedirectError::BodyNotReplayable));
        }
    }
}

#[test]
fn referers() {
    let server = serve(vec![("/a", vec![redirect(302, "/echo")])]);
    let profile = Profile { auto_referer: true, ..follow() };
    let text = fetch(&server.url("/a#x").replace("http://", "http://u:p@"), profile).text();
    assert!(text.contains(&format!("Referer: {}\r\n", server.url("/a"))), "{text}");
}

// ---------------------------------------------------------------- who asks

#[test]
fn credentials_in_their_order() {
    let server = spawn(Script::new()).unwrap();
    let host = server.addr().ip();
    let netrc = |required| {
        let mut options = Options::default();
        let text = format!("machine {host} login n password q");
        options.netrc = Some(Arc::new(Netrc::parse(&text).unwrap()));
        options.netrc_required = required;
        options
    };
    let url = server.url("/echo");
    let with_user = url.replace("http://", "http://u:p@");
    let only_user = url.replace("http://", "http://n@");
    let other_password = url.replace("http://", "http://n:p@");
    let auth =
        |user: &str| format!("Authorization: {}\r\n", Auth::from_pair(user.as_bytes()).value());
    let option = || Profile { auth: Some(Auth::basic(b"o", b"o")), ..Profile::default() };
    let bearer = || Profile { auth: Auth::bearer("tok"), ..Profile::default() };
    let own = || Profile { fields: vec![field("Authorization: own")], ..option() };
    let none = || Profile { fields: vec![field("Authorization:")], ..option() };
    for (url, profile, options, expected) in vec![
        (&url, Profile::default(), Options::default(), String::new()),
        (&with_user, Profile::default(), Options::default(), auth("u:p")),
        (&with_user, option(), Options::default(), auth("o:o")),
        (&url, option(), netrc(false), auth("o:o")),
        (&url, own(), netrc(false), "Authorization: own\r\n".into()),
        (&url, none(), Options::default(), String::new()),
        (&url, bearer(), Options::default(), "Authorization: Bearer tok\r\n".into()),
        (&url, Profile::default(), netrc(false), auth("n:q")),
        (&with_user, Profile::default(), netrc(false), auth("u:p")),
        (&with_user, Profile::default(), netrc(true), auth("u:p")),
        (&other_password, Profile::default(), netrc(false), auth("n:p")),
        (&other_password, Profile::default(), netrc(true), auth("n:q")),
        (&only_user, Profile::default(), netrc(false), auth("n:q")),
        (&only_user, Profile::default(), Options::default(), auth("n:")),
    ] {
        let text = fetch_with(url, profile, options).text();
        let found: String =
            text.split_inclusive("\r\n").filter(|line| line.starts_with("Authorization")).collect();
        assert_eq!(found, expected, "{url}");
    }
    // One URL's credentials do not stick to the connection.
    let mut client = Client::new(Options::default());
    let profile = Arc::new(Profile::default());
    for url in [&with_user, &url, &only_user, &url] {
        client.submit(url, &profile);
    }
    client.finish();
    let counts: Vec<_> =
        (0..4).map(|tag| client.seen(tag).text().matches("Authorization").count()).collect();
    assert_eq!(counts, [1, 0, 1, 0]);
}

// ---------------------------------------------------------------- decoding

#[test]
fn answers_are_decoded_when_asked_for() {
    let server = spawn(Script::new()).unwrap();
    let compressed = || Profile { compressed: true, ..Profile::default() };
    for path in ["/gzip/100000", "/deflate/100000"] {
        let plain = fetch(&server.url(path), Profile::default());
        let decoded = fetch(&server.url(path), compressed());
        assert_eq!(decoded.body, pattern::body(path, 100_000), "{path}");
        assert_eq!(decoded.body_bytes, 100_000);
        assert_ne!(plain.body, decoded.body);
    }
    let seen = fetch(&server.url("/gzip/1000"), Profile { head: true, ..compressed() });
    assert_eq!((seen.ok(), seen.body.len()), (200, 0));
}

#[test]
fn broken_codings_are_named() {
    let packed = gzip(b"hello, hello");
    let server = serve(vec![
        ("/ok", coded("gzip", &packed)),
        ("/twice", coded("gzip, gzip", &gzip(&packed))),
        ("/identity", coded("identity", b"hello, hello")),
        ("/cut", coded("gzip", &packed[..packed.len() - 3])),
        ("/more", coded("gzip", &[&packed[..], b"x"].concat())),
        ("/not", coded("gzip", b"hello, hello")),
        ("/unknown", coded("sdch", b"hello, hello")),
        ("/five", coded("gzip,gzip,gzip,gzip,gzip", b"x")),
        ("/bomb", coded("gzip", &gzip(&vec![0; 8 << 20]))),
        ("/empty", coded("gzip", b"")),
    ]);
    let compressed = || Profile { compressed: true, ..Profile::default() };
    for (path, expected) in [
        ("/ok", "hello, hello"),
        ("/twice", "hello, hello"),
        ("/identity", "hello, hello"),
        ("/empty", ""),
    ] {
        let seen = fetch(&server.url(path), compressed());
        assert_eq!((seen.ok(), seen.text().as_str()), (200, expected), "{path}");
    }
    for (path, name) in [
        ("/cut", "coding_truncated"),
        ("/more", "coding_trailing_bytes"),
        ("/not", "coding_corrupt"),
        ("/unknown", "coding_unknown"),
        ("/five", "coding_too_many"),
        ("/bomb", "coding_ratio"),
    ] {
        let seen = fetch(&server.url(path), compressed());
        assert_eq!((seen.error().name(), seen.error().exit().code()), (name, 61), "{path}");
        assert_eq!((seen.status, seen.attempts), (Some(200), 1), "{path}");
        // Not asked for, not touched.
        assert_eq!(fetch(&server.url(path), Profile::default()).ok(), 200, "{path}");
    }
    let mut options = Options::default();
    options.decode.bytes = 11;
    let seen = fetch_with(&server.url("/ok"), compressed(), options);
    assert_eq!(seen.error().kind, ErrorKind::Decode(DecodeError::TooLarge(11)));
}

#[test]
fn a_decoder_goes_on_after_a_resume() {
    // The second half of a compressed body comes from another connection.
    let content: Vec<u8> = (0_u32..200_000).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let packed = gzip(&content);
    let half = packed.len() / 2;
    let rest = format!("bytes {half}-{}/{}", packed.len() - 1, packed.len());
    let tag = || Action::Field("ETag".into(), "\"v1\"".into());
    let coding = || Action::Field("Content-Encoding".into(), "gzip".into());
    let script = Script::new()
        .rule(
            When::path("/x").attempt(1),
            vec![
                bytes(&packed),
                tag(),
                coding(),
                Action::Cut(Cut { at: At::Body(half as u64), how: How::Reset }),
            ],
        )
        .rule(
            When::path("/x").attempt(2),
            vec![
                Action::Status(206),
                bytes(&packed[half..]),
                tag(),
                coding(),
                Action::Field("Content-Range".into(), rest.as_str().into()),
            ],
        );
    let server = spawn(script).unwrap();
    let seen =
        fetch_with(&server.url("/x"), Profile { compressed: true, ..Profile::default() }, quick());
    assert!(seen.body == content, "{:?}, {} bytes", seen.result, seen.body.len());
    assert_eq!(
        (seen.resumed.as_slice(), seen.restarts, seen.attempts),
        ([half as u64].as_slice(), 0, 2)
    );
}

// ---------------------------------------------------------------- trouble

#[test]
fn a_cut_body_starts_again_or_goes_on() {
    let cut = |at| Action::Cut(Cut { at: At::Body(at), how: How::Reset });
    let script = Script::new()
        .rule(When::prefix("/bytes/").attempt(1), [cut(1_000)])
        .rule(When::prefix("/range/").attempt(1), [cut(1_000)]);
    let server = spawn(script).unwrap();
    let seen = fetch_with(&server.url("/bytes/5000"), Profile::default(), quick());
    assert_eq!((seen.ok(), seen.restarts, seen.attempts, seen.tries), (200, 1, 2, 1));
    assert_eq!(seen.body, pattern::body("/bytes/5000", 5_000));
    let seen = fetch_with(&server.url("/range/5000"), Profile::default(), quick());
    assert_eq!((seen.ok(), seen.restarts, seen.resumed.as_slice()), (200, 0, [1_000].as_slice()));
    assert_eq!(seen.body, pattern::body("/range/5000", 5_000));
}

#[test]
fn what_an_earlier_run_left_is_continued() {
    let server = serve(vec![("/moved", vec![redirect(302, "/range/5000")])]);
    let first = fetch(&server.url("/range/5000"), Profile::default());
    let tag = first.fields.iter().find(|(name, _)| name == "ETag").unwrap().1.clone();
    let resume = |tag: &str| Profile {
        resume: Some(ResumeFrom {
            offset: 3_000,
            validator: Validator::ETag(tag.as_bytes().into()),
        }),
        ..follow()
    };
    for path in ["/range/5000", "/moved"] {
        let seen = fetch(&server.url(path), resume(&tag));
        assert_eq!(
            (seen.ok(), seen.restarts, seen.resumed.as_slice()),
            (206, 0, [3_000].as_slice()),
            "{path}"
        );
        assert_eq!(seen.body, first.body[3_000..], "{path}");
        // Another version: what is there is void, and the visitor is told before it gets more.
        let seen = fetch(&server.url(path), resume("\"other\""));
        assert_eq!((seen.ok(), seen.restarts, seen.resumed.len()), (200, 1, 0), "{path}");
        assert_eq!(seen.body, first.body, "{path}");
    }
}

#[test]
fn a_status_is_tried_again_and_then_delivered_as_a_failure() {
    let server = spawn(Script::new()).unwrap();
    let seen = fetch_with(&server.url("/unstable/2/100"), Profile::default(), quick());
    assert_eq!((seen.ok(), seen.attempts, seen.heads), (200, 3, 1));
    let seen = fetch_with(
        &server.url("/status/503"),
        Profile { attempts: Some(2), ..Profile::default() },
        quick(),
    );
    assert_eq!(
        (seen.error().name(), seen.status, seen.attempts),
        ("status_exhausted", Some(503), 2)
    );
    assert_eq!(fetch(&server.url("/status/404"), Profile::default()).ok(), 404);
}

#[test]
fn the_body_of_a_redirect_is_not_needed() {
    let server = serve(vec![(
        "/a",
        vec![
            redirect(302, "/bytes/10"),
            Action::Length(gannet::origin::Length::Plus(1_000)),
            Action::Cut(Cut { at: At::Body(0), how: How::Reset }),
        ],
    )]);
    let seen = fetch_with(&server.url("/a"), Profile { attempts: Some(1), ..follow() }, quick());
    assert_eq!((seen.ok(), seen.redirects), (200, 1));
}

#[test]
fn nobody_listens() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seen = fetch_with(
        &format!("http://{address}/"),
        Profile { attempts: Some(2), ..Profile::default() },
        quick(),
    );
    assert_eq!((seen.error().name(), seen.error().exit().code()), ("refused", 7));
    assert!(seen.error().hint().is_some());
}

#[test]
fn sizes_are_bounded() {
    let server = spawn(Script::new()).unwrap();
    let most = |bytes| Profile { max_filesize: Some(bytes), ..Profile::default() };
    for path in ["/bytes/1000", "/chunked/1000"] {
        assert_eq!(fetch(&server.url(path), most(1_000)).ok(), 200);
        let seen = fetch(&server.url(path), most(999));
        assert_eq!(
            (seen.error().kind.clone(), seen.error().exit().code()),
            (ErrorKind::FileTooLarge(999), 63)
        );
        assert_eq!(seen.attempts, 1);
    }
    let seen = fetch(&server.url("/gzip/1000"), Profile { compressed: true, ..most(999) });
    assert_eq!(seen.error().name(), "file_too_large");

    let first = |bytes| Profile { truncate: Some(bytes), ..Profile::default() };
    for path in ["/bytes/1000", "/chunked/1000", "/bytes/5000000"] {
        let seen = fetch(&server.url(path), first(10));
        assert_eq!((seen.ok(), seen.body.len(), seen.truncated), (200, 10, true), "{path}");
    }
    let seen = fetch(&server.url("/bytes/10"), first(10));
    assert_eq!((seen.ok(), seen.body.len(), seen.truncated), (200, 10, false));
}

#[test]
fn what_was_cut_on_purpose_is_not_asked_for_again() {
    // The end of the connection is read together with the bytes that were too many.
    let cut = |mut answer: Vec<Action>| {
        answer.push(Action::Without("ETag".into()));
        answer.push(Action::Without("Last-Modified".into()));
        answer.push(Action::Cut(Cut { at: At::Body(500), how: How::Fin }));
        answer
    };
    let server = serve(vec![
        ("/cut", cut(vec![bytes(&[b'x'; 1000])])),
        ("/no-gzip", cut(coded("gzip", &[b'x'; 1000]))),
        ("/chunked", cut(vec![bytes(&[b'x'; 1000]), Action::Chunked(Chunked::default())])),
    ]);
    for _ in 0..10 {
        let first = Profile { truncate: Some(10), ..Profile::default() };
        let seen = fetch(&server.url("/cut"), first);
        assert_eq!((seen.ok(), seen.body.len(), seen.truncated), (200, 10, true));
        assert_eq!((seen.attempts, seen.restarts), (1, 0));
        let most = Profile { max_filesize: Some(10), ..Profile::default() };
        let seen = fetch(&server.url("/chunked"), most);
        assert_eq!((seen.error().name(), seen.body.len()), ("file_too_large", 10));
        let coded = Profile { compressed: true, ..Profile::default() };
        let seen = fetch(&server.url("/no-gzip"), coded);
        assert_eq!((seen.error().name(), seen.attempts), ("coding_corrupt", 1));
        assert_eq!(seen.status, Some(200));
    }
}

#[test]
fn unwanted_bodies() {
    let server = spawn(Script::new()).unwrap();
    for (want, result) in [(Want::NoBody, Ok(200)), (Want::Stop, Err("filtered"))] {
        let mut client = Client::new(Options::default());
        client.recorder.want = Some(want);
        let profile = Arc::new(Profile::default());
        let tags = ["/bytes/1000", "/bytes/5000000"]
            .map(|path| client.submit(&server.url(path), &profile));
        client.finish();
        for tag in tags {
            let seen = client.seen(tag);
            let found = seen
                .result
                .as_ref()
                .unwrap()
                .as_ref()
                .map(|status| *status)
                .map_err(gannet::fetch::Error::name);
            assert_eq!((found, seen.body.len(), seen.attempts), (result, 0, 1));
        }
    }
}

#[test]
fn ranges() {
    let server = spawn(Script::new()).unwrap();
    let range =
        |text| Profile { range: Some(RangeSpec::parse(text).unwrap()), ..Profile::default() };
    let whole = pattern::body("/range/1000", 1_000);
    for (text, from, to) in [("0-9", 0, 10), ("990-", 990, 1_000), ("-5", 995, 1_000)] {
        let seen = fetch(&server.url("/range/1000"), range(text));
        assert_eq!((seen.ok(), seen.body.as_slice()), (206, &whole[from..to]), "{text}");
    }
    assert_eq!(fetch(&server.url("/range/1000"), range("2000-")).ok(), 416);
}

// ---------------------------------------------------------------- uploads

#[test]
fn streamed_bodies() {
    let server = spawn(Script::new()).unwrap();
    for length in [Some(250_000), None] {
        for expect in [Expect::Never, Expect::Always] {
            let mut client = Client::new(Options::default());
            client.recorder.upload = (0..250_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
            let body = Body::Stream { length, replayable: true };
            let profile = Profile { body, upload: true, expect, ..Profile::default() };
            let tag = client.submit(&server.url("/echo"), &Arc::new(profile));
            client.finish();
            let seen = client.seen(tag);
            assert!(
                seen.body.ends_with(&client.recorder.upload),
                "{length:?} {expect:?} {:?}",
                seen.result
            );
            assert_eq!(seen.text().contains("Expect: 100-continue"), expect == Expect::Always);
            assert_eq!(seen.interim, if expect == Expect::Always { vec![100] } else { vec![] });
        }
    }
}

#[test]
fn an_expectation_that_fails_is_dropped() {
    let script = Script::new().rule(
        When { field: Some("Expect".into()), ..When::always() },
        [Action::Status(417), Action::Early, Action::NoContinue],
    );
    let server = spawn(script).unwrap();
    let profile = Profile {
        body: Body::Bytes(b"data".as_slice().into()),
        expect: Expect::Always,
        ..Profile::default()
    };
    let seen = fetch(&server.url("/echo"), profile);
    assert_eq!((seen.ok(), seen.redirects, seen.heads), (200, 0, 1));
    assert!(
        seen.text().ends_with("\r\n\r\ndata") && !seen.text().contains("Expect"),
        "{}",
        seen.text()
    );
}

#[test]
fn an_early_answer_to_an_upload_is_read() {
    let script = Script::new().rule(
        When::path("/no"),
        [Action::Status(413), bytes(b"too large"), Action::Early, Action::NoContinue],
    );
    let server = spawn(script).unwrap();
    for expect in [Expect::Always, Expect::Never] {
        let body = Body::Bytes(vec![b'x'; 3 << 20].into());
        let seen = fetch(&server.url("/no"), Profile { body, expect, ..Profile::default() });
        assert_eq!((seen.ok(), seen.text().as_str()), (413, "too large"), "{expect:?}");
    }
}

#[test]
fn interim_answers_are_told() {
    let hint =
        || Action::Interim(Interim { status: 103, fields: vec![("Link".into(), "</x>".into())] });
    let server = serve(vec![("/x", vec![hint(), hint(), bytes(b"x")])]);
    let seen = fetch(&server.url("/x"), Profile::default());
    assert_eq!((seen.ok(), seen.interim), (200, vec![103, 103]));
}

// ---------------------------------------------------------------- commands

#[test]
fn a_pause_holds_and_a_resume_goes_on() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(Options::default());
    client.recorder.pauses = true;
    let tag = client.submit(&server.url("/bytes/20000000"), &Arc::new(Profile::default()));
    let start = Instant::now();
    while client.recorder.paused.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10));
        client.turn();
    }
    let held = client.seen(tag).body.len();
    for _ in 0..3 {
        client.turn();
    }
    assert_eq!(client.seen(tag).body.len(), held);
    assert!(held <= 2 * Options::default().driver.read_buffer, "{held}");
    let ticket = client.recorder.paused[0];
    client.fetcher.resume(ticket);
    client.finish();
    assert_eq!(client.seen(tag).body.len(), 20_000_000);
}

/// An address to be used that this machine does not have is no want of ports: nothing is waited for without end, and
/// the host is not blamed.
#[test]
fn an_own_address_that_is_not_there_is_told() {
    let server = spawn(Script::new()).unwrap();
    let mut options = Options::default();
    options.sockets.bind = Some("203.0.113.7:0".parse().unwrap());
    options.engine.offline_wait = Duration::ZERO;
    options.engine.attempts = 2;
    let mut client = Client::new(options);
    let tag = client.submit(&server.url("/"), &Arc::new(Profile::default()));
    let begun = Instant::now();
    client.finish();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let error = client.seen(tag).result.clone().unwrap().unwrap_err();
    assert_eq!(error.name(), "network_down", "{error:?}");
    let stats = client.fetcher.host_stats().next().unwrap();
    assert_eq!((stats.counts.open_failures, stats.remedy()), (0, None));
}

/// An address that the user forbade is no failure of its host's.
#[test]
fn what_the_user_forbids_is_no_blame() {
    let mut options = Options::default();
    options.addresses.deny = vec![Network::parse("127.0.0.0/8").unwrap()];
    let mut client = Client::new(options);
    let tag = client.submit("http://127.0.0.1:9/", &Arc::new(Profile::default()));
    client.finish();
    let error = client.seen(tag).result.clone().unwrap().unwrap_err();
    assert_eq!(error.name(), "address_refused", "{error:?}");
    let stats = client.fetcher.host_stats().next().unwrap();
    assert_eq!((stats.counts.open_failures, stats.remedy()), (0, None));
}

/// What a visitor has submitted before it calls everything off has not begun yet, and never begins.
#[test]
fn cancelled_before_it_began() {
    /// Submits twice when the first one is done, and calls everything off in between.
    struct Undecided(Request, Vec<(u64, bool)>);
    impl Visitor for Undecided {
        fn head(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &Answer<'_>) -> Want {
            Want::Body
        }
        fn body(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &[u8]) {}
        fn done(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>) {
            self.1
                .push((ticket.tag, outcome.result.is_err_and(gannet::fetch::Error::is_cancelled)));
            if ticket.tag == 0 {
                ctl.submit(&Request { tag: 1, ..self.0.clone() }).unwrap();
                ctl.submit(&Request { tag: 2, ..self.0.clone() }).unwrap();
                ctl.cancel_all();
                ctl.submit(&Request { tag: 3, ..self.0.clone() }).unwrap();
            }
        }
    }
    let server = spawn(Script::new()).unwrap();
    let mut fetcher = Fetcher::new(quick()).unwrap();
    let url = Url::parse(&server.url("/bytes/10"), &UrlRules::default()).unwrap();
    let request = Request { url, tag: 0, profile: Arc::default() };
    fetcher.submit(&request).unwrap();
    let mut undecided = Undecided(request, Vec::new());
    while !fetcher.is_idle() {
        fetcher.turn(Some(Duration::from_secs(1)), &mut undecided).unwrap();
    }
    assert_eq!(undecided.1, [(0, false), (1, true), (2, true), (3, false)]);
}

#[test]
fn cancelled() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(Options::default());
    let profile = Arc::new(Profile::default());
    for _ in 0..5 {
        client.submit(&server.url("/delay/60000"), &profile);
    }
    for _ in 0..3 {
        client.turn();
    }
    client.fetcher.cancel_all();
    client.finish();
    for tag in 0..5 {
        let error = client.seen(tag).error();
        assert!(error.is_cancelled() && error.exit().code() == 42);
    }
    // Between two hops as well.
    client.recorder.cancels_at_redirect = true;
    let tag = client.submit(&server.url("/redirect/3"), &Arc::new(follow()));
    client.finish();
    assert!(client.seen(tag).error().is_cancelled());
    assert_eq!(client.seen(tag).hops.len(), 1);
}

#[test]
fn one_attempt_has_one_time_for_all_its_hops() {
    let server = serve(vec![
        ("/delay/250/1", vec![Action::DelayMs(250), redirect(302, "/delay/250/2")]),
        ("/delay/250/2", vec![Action::DelayMs(250), redirect(302, "/delay/250/3")]),
        ("/delay/250/3", vec![Action::DelayMs(250), redirect(302, "/delay/250/4")]),
    ]);
    let profile =
        Profile { timeout: Some(Duration::from_millis(600)), attempts: Some(1), ..follow() };
    let start = Instant::now();
    let seen = fetch(&server.url("/delay/250/1"), profile);
    assert_eq!((seen.error().name(), seen.error().exit().code()), ("attempt_timeout", 28));
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
    assert_eq!(seen.redirects, 2);
}

// ---------------------------------------------------------------- where to

#[test]
fn schemes_that_are_not_allowed() {
    let server = spawn(Script::new()).unwrap();
    let only_https = Schemes { http: false, https: true };
    let mut fetcher = Fetcher::new(Options { schemes: only_https, ..Options::default() }).unwrap();
    let url = Url::parse(&server.url("/"), &UrlRules::default()).unwrap();
    let request = Request { url, tag: 0, profile: Arc::default() };
    let error = fetcher.submit(&request).unwrap_err();
    assert_eq!(
        (error.kind.clone(), error.exit().code()),
        (ErrorKind::SchemeRefused(Scheme::Http), 1)
    );
    assert!(fetcher.is_idle());
    let mut options = Options::default();
    options.redirects.schemes = only_https;
    let seen = fetch_with(&server.url("/redirect/1"), follow(), options);
    assert_eq!(seen.error().kind, ErrorKind::Redirect(RedirectError::SchemeRefused(Scheme::Http)));
}

#[test]
fn hosts_that_the_user_placed() {
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    let mut options = Options::default();
    options.names.known =
        vec![KnownHost::parse(&format!("example.test:{port}:127.0.0.1")).unwrap()];
    let seen = fetch_with(&format!("http://example.test:{port}/echo"), Profile::default(), options);
    assert!(seen.text().contains(&format!("Host: example.test:{port}\r\n")), "{:?}", seen.result);

    for route in [
        format!("::127.0.0.1:{port}"),
        format!("a.test:80:127.0.0.1:{port}"),
        format!("a.test::localhost:{port}"),
    ] {
        let mut options = Options::default();
        options.names.routes = vec![Route::parse(&route).unwrap()];
        let seen = fetch_with("http://a.test/echo", Profile::default(), options);
        assert!(seen.text().contains("Host: a.test\r\n"), "{route}: {:?}", seen.result);
    }
    // An address is sent elsewhere as well.
    let mut options = Options::default();
    options.names.routes = vec![Route::parse(&format!("192.0.2.1:80:127.0.0.1:{port}")).unwrap()];
    let seen = fetch_with("http://192.0.2.1/echo", Profile::default(), options);
    assert!(seen.text().contains("Host: 192.0.2.1\r\n"), "{:?}", seen.result);
}

#[test]
fn localhost_needs_no_server() {
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    for name in ["localhost", "a.localhost", "LOCALHOST"] {
        let seen = fetch(&format!("http://{name}:{port}/bytes/5"), Profile::default());
        assert_eq!(seen.ok(), 200, "{name}");
    }
}

#[test]
fn addresses_that_are_denied() {
    let server = spawn(Script::new()).unwrap();
    let port = server.addr().port();
    let net = |text: &str| Network::parse(text).unwrap();
    let rules = |deny: &[&str], allow: &[&str]| {
        let list = |texts: &[&str]| texts.iter().map(|text| net(text)).collect();
        let addresses =
            AddressRules { deny: list(deny), allow: list(allow), guard_redirects: false };
        Options { addresses, ..quick() }
    };
    let url = server.url("/bytes/5");
    let name = format!("http://localhost:{port}/bytes/5");
    let mapped = format!("http://[::ffff:127.0.0.1]:{port}/bytes/5");
    for (url, options, ok) in [
        (&url, rules(&["127.0.0.0/8"], &[]), false),
        (&name, rules(&["127.0.0.0/8", "::1"], &[]), false),
        (&mapped, rules(&["127.0.0.0/8"], &[]), false),
        (&url, rules(&["127.0.0.0/8"], &["127.0.0.1"]), true),
        (&url, rules(&["10.0.0.0/8"], &[]), true),
    ] {
        let seen = fetch_with(url, Profile::default(), options);
        if ok {
            assert_eq!(seen.ok(), 200, "{url}");
        } else {
            assert_eq!(seen.error().kind, ErrorKind::Engine(Kind::AddressRefused), "{url}");
            assert_eq!(seen.error().exit().code(), 7);
        }
    }
    assert_eq!(server.stats().accepted, 2);
}

// ---------------------------------------------------------------- the simple door

#[test]
fn the_simple_door() {
    let server = spawn(Script::new()).unwrap();
    let mut fetcher = Fetcher::new(Options::default()).unwrap();
    let mut expected = std::collections::HashMap::new();
    for n in 0..50_u64 {
        let path = format!("/gzip/{}?{n}", n * 100);
        let ticket = fetcher.get(&server.url(&path)).unwrap();
        expected.insert(ticket, pattern::body(&path, n as usize * 100));
    }
    let ticket = fetcher.get(&server.url("/redirect/2")).unwrap();
    let mut redirected = None;
    while let Some(response) = fetcher.next().unwrap() {
        assert!(response.is_success(), "{:?}", response.result);
        if response.ticket == ticket {
            redirected = Some(response);
            continue;
        }
        assert_eq!(response.field("content-encoding"), Some(b"gzip".as_slice()));
        assert_eq!(Some(response.body), expected.remove(&response.ticket));
    }
    assert!(expected.is_empty());
    let redirected = redirected.unwrap();
    assert_eq!((redirected.redirects, redirected.url.target()), (2, "/redirect/2"));
    assert_ne!(redirected.final_url, redirected.url);
    assert_eq!(fetcher.get("ftp://x/").unwrap_err().name(), "unknown_scheme");
    assert!(fetcher.run().next().is_none());
}

#[test]
fn more_than_the_fetcher_holds() {
    let server = spawn(Script::new()).unwrap();
    let mut options = Options::default();
    options.engine.max_jobs = 10;
    let mut fetcher = Fetcher::new(options).unwrap();
    for n in 0..200 {
        fetcher.get(&server.url(&format!("/redirect-to?url=/bytes/{n}"))).unwrap();
        assert!(fetcher.in_flight() <= 10);
    }
    let whole: Result<Vec<_>, _> = fetcher.run().collect();
    let whole = whole.unwrap();
    assert_eq!(whole.len(), 200);
    assert!(whole.iter().all(|response| response.is_success() && response.redirects == 1));
    let profile = Arc::new(Profile::default());
    let url = Url::parse(&server.url("/bytes/1"), &UrlRules::default()).unwrap();
    let request = Request { url, tag: 0, profile };
    for _ in 0..10 {
        fetcher.submit(&request).unwrap();
    }
    assert_eq!(fetcher.submit(&request).unwrap_err().kind, ErrorKind::Full);
}
