//! The misbehaving server seen from plain sockets: every action, every limit, every counter.
#![cfg(feature = "origin")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use gannet::origin::traffic::{
    Arrival, Chaos, Connections, Full, KeepAlive, Level, Outage, Rate, RateFields, Service, Share,
    Thrash, Time, Tls, TlsVersion, Welcome,
};
use gannet::origin::{
    Action, At, Body, Bytes, Chunked, Cut, Drip, How, Interim, Length, Pause, Redirect, Relay,
    Running, Script, When, pattern, presets, spawn,
};

/// Nothing here waits longer than this for a byte.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client that knows just enough HTTP.
struct Client {
    socket: TcpStream,
    held: Vec<u8>,
}

#[derive(Debug)]
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (is, value) = line.split_once(": ")?;
            is.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, held: Vec::new() }
    }

    fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).unwrap();
    }

    fn ask(&mut self, method: &str, target: &str, fields: &str) {
        self.send(&format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16_384];
        let count = self.socket.read(&mut buffer)?;
        self.held.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// Everything up to the end of the connection, and how that came.
    fn rest(&mut self) -> (Vec<u8>, io::Result<usize>) {
        loop {
            match self.more() {
                Ok(count) if count > 0 => {}
                end => return (std::mem::take(&mut self.held), end),
            }
        }
    }

    fn line(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.held.windows(end.len()).position(|window| window == end) {
                return Ok(self.held.drain(..at + end.len()).collect());
            }
            if self.more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.held.len() < count {
            if self.more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.held.drain(..count).collect())
    }

    fn try_answer(&mut self, to_head: bool) -> io::Result<Answer> {
        let head = String::from_utf8(self.line(b"\r\n\r\n")?).unwrap();
        let mut answer = Answer { head, body: Vec::new() };
        let status = answer.status();
        if to_head || status < 200 || status == 204 || status == 304 {
            return Ok(answer);
        }
        if answer.field("Transfer-Encoding").is_some() {
            loop {
                let line = String::from_utf8(self.line(b"\r\n")?).unwrap();
                let size = line.trim_end().split(';').next().unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                if size == 0 {
                    while self.line(b"\r\n")? != b"\r\n" {}
                    return Ok(answer);
                }
                answer.body.extend(self.bytes(size)?);
                assert_eq!(self.bytes(2)?, b"\r\n");
            }
        }
        answer.body = match answer.field("Content-Length") {
            Some(length) => self.bytes(length.parse().unwrap())?,
            None => self.rest().0,
        };
        Ok(answer)
    }

    fn answer(&mut self) -> Answer {
        self.try_answer(false).unwrap()
    }

    fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, "");
        self.answer()
    }

    /// Whether the connection ends without another byte, and how.
    fn end(&mut self) -> io::Result<usize> {
        let (rest, end) = self.rest();
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
        end
    }

    fn is_silent_for(&mut self, ms: u64) -> bool {
        self.socket.set_read_timeout(Some(Duration::from_millis(ms))).unwrap();
        let result = self.more();
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        result.is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        })
    }
}

#[track_caller]
fn is_reset(end: &io::Result<usize>) {
    let kind = end.as_ref().map_err(io::Error::kind);
    assert_eq!(kind, Err(io::ErrorKind::ConnectionReset), "a true reset");
}

#[track_caller]
fn is_closed(end: &io::Result<usize>) {
    assert_eq!(*end.as_ref().unwrap(), 0);
}

/// Waits until it is so, but not for ever.
#[track_caller]
fn eventually(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never came true");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What is timed never takes less than this. That it takes no more than so many milliseconds has
/// to show in one of a few tries: the machine may be busy with other things.
#[track_caller]
fn takes(least: u64, most: u64, mut run: impl FnMut() -> Duration) {
    let mut seen = Vec::new();
    for _ in 0..10 {
        let took = run();
        assert!(took >= Duration::from_millis(least), "{took:?} is less than {least} ms");
        if took <= Duration::from_millis(most) {
            return;
        }
        seen.push(took);
    }
    panic!("never within {most} ms: {seen:?}");
}

fn serve(then: impl Into<Vec<Action>>) -> Running {
    spawn(Script::new().rule(When::always(), then)).unwrap()
}

fn one(server: &Running, target: &str) -> Answer {
    Client::new(server.addr()).get(target)
}

// What paths ask for.

#[test]
fn bytes_are_those_of_the_target() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    for target in
        ["/bytes/0", "/bytes/1", "/bytes/1024", "/bytes/1024?again", "/bytes/300000", "/bytes/7/x"]
    {
        let answer = client.get(target);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.body, pattern::body(target, answer.body.len()), "{target}");
    }
    assert_eq!(server.stats().accepted, 1, "all on one connection");
    assert_eq!(server.stats().requests, 6);
    assert_eq!(server.stats().answers, 6);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    let all: Vec<_> =
        (0..200).map(|n| format!("GET /bytes/{n} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    client.send(&all.concat());
    for n in 0..200 {
        assert_eq!(client.answer().body, pattern::body(&format!("/bytes/{n}"), n));
    }
}

#[test]
fn head_has_no_body() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    for target in ["/bytes/10", "/chunked/10"] {
        client.ask("HEAD", target, "");
        assert_eq!(client.try_answer(true).unwrap().status(), 200);
    }
    assert_eq!(client.get("/status/204").status(), 204);
    assert_eq!(client.get("/bytes/3").body.len(), 3);
}

#[test]
fn every_path_of_the_list() {
    let server = spawn(Script::new()).unwrap();
    for (target, status, len) in [
        ("/chunked/20000", 200, 20_000),
        ("/chunked/10/3", 200, 10),
        ("/close/5000", 200, 5_000),
        ("/range/99", 200, 99),
        ("/delay/1/7", 200, 7),
        ("/drip/100/50/1", 200, 100),
        ("/status/418", 418, 17),
        ("/redirect/0", 200, 8),
        ("/bytes/x", 404, 14),
        ("/bytes/99999999999999", 404, 14),
        ("/nowhere", 404, 14),
    ] {
        let answer = one(&server, target);
        assert_eq!((answer.status(), answer.body.len()), (status, len), "{target}");
    }
    assert!(one(&server, "/").text().contains("/bytes/N"));
    assert_eq!(one(&server, "/redirect/3").field("Location"), Some("/redirect/2"));
    assert_eq!(one(&server, "/redirect/3/307").field("Location"), Some("/redirect/2/307"));
    let to = one(&server, "/redirect-to?url=http%3A%2F%2Fh%2Fp&status=308");
    assert_eq!((to.status(), to.field("Location")), (308, Some("http://h/p")));
    assert_eq!(one(&server, "/cookies/set/a/b").field("Set-Cookie"), Some("a=b; Path=/"));
    let statuses: Vec<_> = (0..3).map(|_| one(&server, "/unstable/2/5").status()).collect();
    assert_eq!(statuses, [503, 503, 200]);
}

#[test]
fn ranges_are_exact() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    let whole = client.get("/range/1000");
    let etag = whole.field("ETag").unwrap().to_owned();
    let changed = whole.field("Last-Modified").unwrap().to_owned();
    assert_eq!(whole.field("Accept-Ranges"), Some("bytes"));
    for (fields, status, part, range) in [
        ("Range: bytes=10-19\r\n".to_owned(), 206, 10..20, Some("bytes 10-19/1000")),
        ("Range: bytes=990-\r\n".to_owned(), 206, 990..1000, Some("bytes 990-999/1000")),
        ("Range: bytes=-5\r\n".to_owned(), 206, 995..1000, Some("bytes 995-999/1000")),
        (format!("Range: bytes=1-1\r\nIf-Range: {etag}\r\n"), 206, 1..2, Some("bytes 1-1/1000")),
        (format!("Range: bytes=1-1\r\nIf-Range: {changed}\r\n"), 206, 1..2, Some("bytes 1-1/1000")),
        ("Range: bytes=1-1\r\nIf-Range: \"other\"\r\n".to_owned(), 200, 0..1000, None),
    ] {
        client.ask("GET", "/range/1000", &fields);
        let answer = client.answer();
        assert_eq!((answer.status(), answer.field("Content-Range")), (status, range), "{fields}");
        assert_eq!(answer.body, whole.body[part], "{fields}");
    }
    client.ask("GET", "/range/1000", "Range: bytes=1000-\r\n");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.field("Content-Range")), (416, Some("bytes */1000")));
    client.ask("GET", "/range/1000", &format!("If-None-Match: {etag}\r\n"));
    assert_eq!(client.answer().status(), 304);
}

#[test]
fn requests_are_echoed_as_they_came() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    let head = "PUT /echo?x HTTP/1.1\r\nhOsT: a\r\nX-Odd:  two  \r\nContent-Length: 5\r\n\r\n";
    client.send(head);
    client.send("hello");
    assert_eq!(client.answer().text(), format!("{head}hello"));
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(&format!("{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
    assert_eq!(client.answer().text(), format!("{head}abcde"));
    client.ask("POST", "/inspect", "Content-Length: 2\r\n");
    client.send("hi");
    let seen: serde_json::Value = serde_json::from_slice(&client.answer().body).unwrap();
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["fields"][0], serde_json::json!(["Host", "test"]));
    assert_eq!(seen["body"], "hi");
    // An absolute target, as through a proxy.
    assert_eq!(client.get("http://elsewhere/bytes/4").body, pattern::body("/bytes/4", 4));
}

#[test]
fn passwords() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    let answer = client.get("/auth/basic/Aladdin/open%20sesame");
    assert_eq!(
        (answer.status(), answer.field("WWW-Authenticate")),
        (401, Some("Basic realm=\"origin\""))
    );
    client.ask(
        "GET",
        "/auth/basic/Aladdin/open%20sesame",
        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n",
    );
    assert_eq!(client.answer().status(), 200);
    client.ask("GET", "/auth/bearer/abc", "Authorization: Bearer abc\r\n");
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn continue_is_said_when_it_is_awaited() {
    let server = spawn(Script::new().rule(When::path("/no"), [Action::NoContinue])).unwrap();
    let mut client = Client::new(server.addr());
    client.ask("POST", "/echo", "Content-Length: 2\r\nExpect: 100-continue\r\n");
    assert_eq!(client.answer().status(), 100);
    client.send("hi");
    assert!(client.answer().text().ends_with("\r\n\r\nhi"));
    client.ask("POST", "/no", "Content-Length: 2\r\nExpect: 100-continue\r\n");
    assert!(client.is_silent_for(50));
    client.send("hi");
    assert_eq!(client.answer().status(), 404);
}

#[test]
fn bad_requests_are_refused_and_closed() {
    let server = spawn(Script::new()).unwrap();
    for text in [
        "GET / HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut client = Client::new(server.addr());
        client.send(text);
        assert_eq!(client.answer().status(), 400);
        is_closed(&client.end());
    }
    assert_eq!(server.stats().bad_requests, 3);
}

#[test]
fn the_older_version_closes_unless_asked_not_to() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    client.send("GET /bytes/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.answer().field("Connection"), Some("keep-alive"));
    client.send("GET /bytes/1 HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().field("Connection"), Some("close"));
    is_closed(&client.end());
}

// Rules.

#[test]
fn rules_pick_their_requests() {
    let status = |status| [Action::Status(status)];
    let server = spawn(
        Script::new()
            .rule(When::path("/a"), status(201))
            .rule(When::prefix("/a/").method("DELETE"), status(202))
            .rule(When::prefix("/every/").every(3), status(203))
            .rule(When::prefix("/third").attempt(3), status(205))
            .rule(When::prefix("/conn").nth_on_connection(2..), status(206))
            .rule(When { host: Some("other".into()), ..When::default() }, status(207))
            .rule(When { field: Some("x-this".into()), ..When::default() }, status(208))
            .rule(When { nth_connection: Some(9.into()), ..When::default() }, status(209))
            .rule(When::prefix("/half").with_probability(0.5), status(210)),
    )
    .unwrap();
    let mut client = Client::new(server.addr());
    let all = |client: &mut Client, target: &str, times| -> Vec<u16> {
        (0..times).map(|_| client.get(target).status()).collect()
    };
    assert_eq!(all(&mut client, "/a", 1), [201]);
    client.ask("DELETE", "/a/b", "");
    assert_eq!(client.answer().status(), 202);
    assert_eq!(all(&mut client, "/every/x", 6), [404, 404, 203, 404, 404, 203]);
    assert_eq!(all(&mut client, "/third", 4), [404, 404, 205, 404]);
    assert_eq!(all(&mut Client::new(server.addr()), "/conn", 3), [404, 206, 206]);
    client.send("GET / HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(client.answer().status(), 207);
    client.ask("GET", "/", "X-THIS: 1\r\n");
    assert_eq!(client.answer().status(), 208);
    let halves = all(&mut client, "/half", 200).iter().filter(|&&status| status == 210).count();
    assert!((70..130).contains(&halves), "{halves}");
}

#[test]
fn chance_repeats_with_its_seed() {
    let run = |seed| -> Vec<u16> {
        let script = Script { seed, ..Script::new() };
        let server =
            spawn(script.rule(When::always().with_probability(0.5), [Action::Status(500)]))
                .unwrap();
        let mut client = Client::new(server.addr());
        (0..64).map(|_| client.get("/bytes/1").status()).collect()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn heads_say_what_the_script_says() {
    let server = serve([
        Action::Version("HTTP/1.0".into()),
        Action::Status(299),
        Action::Reason(Bytes(vec![b'f', 0xe9])),
        Action::Field("Server".into(), "mine".into()),
        Action::Field("Set-Cookie".into(), "a=1".into()),
        Action::Field("Set-Cookie".into(), "b=2".into()),
        Action::Without("date".into()),
        Action::RetryAfter("7".into()),
        Action::Body(Body::Bytes("hello".into())),
    ]);
    let mut client = Client::new(server.addr());
    client.ask("GET", "/", "Connection: close\r\n");
    let (bytes, _) = client.rest();
    assert_eq!(
        bytes,
        b"HTTP/1.0 299 f\xe9\r\nServer: mine\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nRetry-After: 7\r\n\
          Content-Length: 5\r\nConnection: close\r\n\r\nhello"
    );
}

#[test]
fn contents() {
    let server = spawn(
        Script::new()
            .rule(When::path("/pattern"), [Action::Body(Body::Pattern(100))])
            .rule(When::prefix("/any/50/"), [Action::Body(Body::FromPath)])
            .rule(When::path("/echoed"), [Action::Body(Body::Echo), Action::Status(201)])
            .rule(When::prefix("/range/").attempt(2..), [Action::Edition(1)]),
    )
    .unwrap();
    let mut client = Client::new(server.addr());
    assert_eq!(client.get("/pattern").body, pattern::body("/pattern", 100));
    assert_eq!(client.get("/any/50/x").body, pattern::body("/any/50/x", 50));
    client.ask("POST", "/echoed", "Content-Length: 3\r\n");
    client.send("abc");
    assert!(client.answer().text().ends_with("abc"));
    let (first, second) = (client.get("/range/64"), client.get("/range/64"));
    assert_ne!(first.body, second.body);
    assert_ne!(first.field("ETag"), second.field("ETag"));
    assert_ne!(first.field("Last-Modified"), second.field("Last-Modified"));
}

#[test]
fn raw_bytes_and_waits_between_them() {
    let server = serve([
        Action::Raw("HTTP/1.1 200 O".into()),
        Action::DelayMs(40),
        Action::Raw("K\r\nContent-Length: 2\r\n\r\nhi".into()),
    ]);
    let mut client = Client::new(server.addr());
    // The first part comes at once, the second later.
    takes(0, 30, || {
        let start = Instant::now();
        client.ask("GET", "/", "");
        assert_eq!(client.bytes(14).unwrap(), b"HTTP/1.1 200 O");
        let first = start.elapsed();
        assert_eq!(client.line(b"hi").unwrap(), b"K\r\nContent-Length: 2\r\n\r\nhi");
        assert!(start.elapsed() >= Duration::from_millis(40));
        assert_eq!(client.held, b"");
        first
    });
}

#[test]
fn informational_answers_come_first() {
    let server = serve([
        Action::Interim(Interim { status: 103, fields: vec![("Link".into(), "</a>".into())] }),
        Action::DelayMs(30),
        Action::Interim(Interim { status: 102, fields: vec![] }),
    ]);
    let mut client = Client::new(server.addr());
    client.ask("GET", "/bytes/3", "");
    let start = Instant::now();
    let first = client.answer();
    assert_eq!((first.status(), first.field("Link")), (103, Some("</a>")));
    assert_eq!(client.answer().status(), 102);
    assert!(start.elapsed() >= Duration::from_millis(25));
    assert_eq!(client.answer().body, pattern::body("/bytes/3", 3));
}

#[test]
fn delays_pauses_and_drips_take_their_time() {
    for (then, least) in [
        (vec![Action::DelayMs(60)], 60),
        (vec![Action::Pause(Pause { at: At::Body(5), ms: 60 })], 60),
        (vec![Action::Drip(Drip { bytes: 40, every_ms: 15 })], 45),
    ] {
        let server = serve(then);
        takes(least, least + 40, || {
            let start = Instant::now();
            let answer = one(&server, "/bytes/10");
            assert_eq!(answer.body, pattern::body("/bytes/10", 10));
            start.elapsed()
        });
    }
}

#[test]
fn chunks_extensions_and_trailers() {
    let chunked = Chunked {
        sizes: vec![1, 3],
        extension: ";a=\"b\"".into(),
        trailers: vec![("X-Sum".into(), "1".into())],
    };
    let server = serve([Action::Body(Body::Bytes("abcdef".into())), Action::Chunked(chunked)]);
    let mut client = Client::new(server.addr());
    client.ask("GET", "/", "Connection: close\r\n");
    let (bytes, _) = client.rest();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Transfer-Encoding: chunked"));
    assert_eq!(
        body,
        "1;a=\"b\"\r\na\r\n3;a=\"b\"\r\nbcd\r\n1;a=\"b\"\r\ne\r\n1;a=\"b\"\r\nf\r\n0;a=\"b\"\r\nX-Sum: 1\r\n\r\n"
    );
}

#[test]
fn lengths_can_lie() {
    for (length, said) in [
        (Length::Plus(3), Some("8")),
        (Length::Plus(-2), Some("3")),
        (Length::Exactly("+5, 7".into()), Some("+5, 7")),
        (Length::Untold, None),
    ] {
        let server = serve([
            Action::Body(Body::Bytes("hello".into())),
            Action::Length(length),
            Action::CloseQuietly,
        ]);
        let mut client = Client::new(server.addr());
        client.ask("GET", "/", "");
        let answer = client.try_answer(true).unwrap();
        assert_eq!(answer.field("Content-Length"), said);
        let (body, end) = client.rest();
        assert_eq!(body, b"hello");
        is_closed(&end);
    }
}

#[test]
fn closing_and_surplus() {
    let server = serve([Action::Surplus("more".into()), Action::CloseQuietly]);
    let mut client = Client::new(server.addr());
    let answer = client.get("/bytes/2");
    assert_eq!(answer.field("Connection"), None);
    assert_eq!(client.rest().0, b"more");
    let server = serve([Action::Close]);
    let mut client = Client::new(server.addr());
    assert_eq!(client.get("/bytes/2").field("Connection"), Some("close"));
    is_closed(&client.end());
}

#[test]
fn redirects() {
    let server = serve([Action::Redirect(Redirect { status: 303, to: "//h/\t".into() })]);
    let answer = one(&server, "/");
    assert_eq!((answer.status(), answer.field("Location")), (303, Some("//h/\t")));
}

#[test]
fn an_early_answer_does_not_wait_for_the_request() {
    let server = serve([Action::Early, Action::Status(413)]);
    let mut client = Client::new(server.addr());
    client.ask("POST", "/", "Content-Length: 10\r\n");
    assert_eq!(client.answer().status(), 413);
    // Not what a method could begin with, in case it is taken for one.
    client.send("()[]{}<>@,");
    assert_eq!(client.get("/").status(), 413, "the rest was read away");
    // And without reading the rest.
    let server = serve([Action::Early, Action::Status(413), Action::Close]);
    let mut client = Client::new(server.addr());
    client.ask("POST", "/", "Content-Length: 10\r\n");
    assert_eq!(client.answer().status(), 413);
    is_closed(&client.end());
}

#[test]
fn every_cut_at_every_byte() {
    let whole = {
        let server = serve([Action::Without("Date".into())]);
        let mut client = Client::new(server.addr());
        client.ask("GET", "/chunked/30/7", "");
        client.try_answer(false).unwrap();
        drop(client);
        let mut client = Client::new(server.addr());
        client.ask("GET", "/chunked/30/7", "Connection: close\r\n");
        let text = String::from_utf8(client.rest().0).unwrap();
        text.replace("Connection: close\r\n", "")
    };
    for how in [How::Reset, How::Fin, How::Stall] {
        for at in 0..=whole.len() {
            let cut = Cut { at: At::Byte(at as u64), how };
            let server = serve([Action::Without("Date".into()), Action::Cut(cut)]);
            let mut client = Client::new(server.addr());
            client.ask("GET", "/chunked/30/7", "");
            if how == How::Stall {
                assert_eq!(client.bytes(at).unwrap(), whole.as_bytes()[..at]);
                if at % 29 == 0 {
                    assert!(client.is_silent_for(20));
                }
                client.socket.shutdown(Shutdown::Both).unwrap();
                eventually(|| server.stats().open == 0);
            } else {
                let (bytes, end) = client.rest();
                assert_eq!(bytes, whole.as_bytes()[..at], "{how:?} at {at}");
                if how == How::Reset { is_reset(&end) } else { is_closed(&end) }
            }
            let stats = server.stats();
            assert_eq!((stats.cut, stats.answers), (1, 0));
            assert_eq!(stats.resets, u64::from(how == How::Reset));
        }
    }
}

#[test]
fn cuts_by_path() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    client.ask("GET", "/cut/reset/10/100", "");
    let (bytes, end) = client.rest();
    is_reset(&end);
    assert!(bytes.ends_with(&pattern::body("/cut/reset/10/100", 100)[..10]));
}

#[test]
fn a_large_body_survives_a_slow_reader() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    client.ask("GET", "/bytes/20000000", "");
    std::thread::sleep(Duration::from_millis(50));
    // Others are served meanwhile.
    assert_eq!(one(&server, "/bytes/1").status(), 200);
    assert_eq!(client.answer().body, pattern::body("/bytes/20000000", 20_000_000));
}

#[test]
fn a_frozen_server_stops_its_client() {
    let server = serve([Action::Early, Action::Cut(Cut { at: At::Byte(0), how: How::Freeze })]);
    let mut client = Client::new(server.addr());
    client.ask("PUT", "/", "Content-Length: 1000000000\r\n");
    client.socket.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
    let piece = vec![0; 1 << 20];
    let mut sent = 0;
    let error = loop {
        match client.socket.write(&piece) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
    assert!(sent < 100_000_000, "{sent}");
    // One that only stalls takes everything.
    let server = serve([Action::Early, Action::Cut(Cut { at: At::Byte(0), how: How::Stall })]);
    let mut client = Client::new(server.addr());
    client.ask("PUT", "/", "Content-Length: 1000000000\r\n");
    for _ in 0..100 {
        client.socket.write_all(&piece).unwrap();
    }
    assert!(client.is_silent_for(20));
}

// Arrivals.

#[test]
fn a_banner_comes_unasked() {
    let banner = |then| presets::arriving(Welcome::Banner { bytes: "SSH-2.0-x\r\n".into(), then });
    let mut server = spawn(banner(Some(How::Fin))).unwrap();
    let mut client = Client::new(server.addr());
    assert_eq!(client.line(b"\r\n").unwrap(), b"SSH-2.0-x\r\n");
    is_closed(&client.end());
    server = spawn(banner(Some(How::Stall))).unwrap();
    let mut client = Client::new(server.addr());
    client.ask("GET", "/", "");
    assert_eq!(client.line(b"\r\n").unwrap(), b"SSH-2.0-x\r\n");
    assert!(client.is_silent_for(30));
    server = spawn(banner(None)).unwrap();
    let mut client = Client::new(server.addr());
    assert_eq!(client.line(b"\r\n").unwrap(), b"SSH-2.0-x\r\n");
    assert_eq!(client.get("/bytes/1").status(), 200);
    assert_eq!(server.stats().answers, 1);
}

#[test]
fn arrivals_can_end_at_once() {
    let arrival = |nth, then| Arrival { nth: Some(nth), probability: None, then };
    let script = Script {
        arrivals: vec![
            arrival(1.into(), Welcome::End(How::Reset)),
            arrival(2.into(), Welcome::End(How::Fin)),
            arrival(3.into(), Welcome::End(How::Stall)),
            arrival(4.into(), Welcome::CutWire { at: 5, how: How::Reset }),
        ],
        ..Script::new()
    };
    let server = spawn(script).unwrap();
    let next = || Client::new(server.addr());
    is_reset(&next().end());
    is_closed(&next().end());
    let mut third = next();
    third.ask("GET", "/", "");
    assert!(third.is_silent_for(30));
    let mut fourth = next();
    fourth.ask("GET", "/", "");
    let (bytes, end) = fourth.rest();
    assert_eq!(bytes, b"HTTP/");
    is_reset(&end);
    assert_eq!(next().get("/bytes/1").status(), 200);
    drop(third);
    eventually(|| server.stats().open == 0);
    assert_eq!((server.stats().accepted, server.stats().resets), (5, 2));
}

// Limits.

fn limited(limit: usize, full: Full) -> Running {
    let connections = Connections { limit: Level::Fixed(limit), full };
    spawn(Script { connections: Some(connections), ..Script::new() }).unwrap()
}

/// As many clients as fit, each of them served.
fn fill(server: &Running, count: usize) -> Vec<Client> {
    (0..count)
        .map(|_| {
            let mut client = Client::new(server.addr());
            assert_eq!(client.get("/bytes/1").status(), 200);
            client
        })
        .collect()
}

#[test]
fn above_the_limit_connections_are_reset() {
    let server = limited(3, Full::ResetOnAccept);
    let mut clients = fill(&server, 3);
    for _ in 0..5 {
        is_reset(&Client::new(server.addr()).end());
    }
    assert_eq!(clients[0].get("/bytes/1").status(), 200, "those within are served");
    clients.pop();
    eventually(|| server.stats().open == 2);
    fill(&server, 1);
    let stats = server.stats();
    assert_eq!((stats.accepted, stats.turned_away, stats.resets, stats.peak), (9, 5, 5, 4));
}

#[test]
fn or_reset_with_their_first_request() {
    let server = limited(1, Full::ResetOnRequest);
    let _clients = fill(&server, 1);
    let mut client = Client::new(server.addr());
    assert!(client.is_silent_for(30));
    client.ask("GET", "/", "");
    is_reset(&client.end());
}

#[test]
fn or_refused() {
    let server = limited(2, Full::Refuse);
    let mut clients = fill(&server, 2);
    for _ in 0..3 {
        let error = TcpStream::connect(server.addr()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
    clients.pop();
    eventually(|| TcpStream::connect(server.addr()).is_ok());
    assert!(server.stats().listener_closed >= 1);
    assert_eq!(server.stats().turned_away, 0);
}

#[test]
fn or_answered_and_closed() {
    for at_once in [false, true] {
        let server = limited(1, Full::Answer { status: 503, retry_after: Some(2), at_once });
        let _clients = fill(&server, 1);
        let mut client = Client::new(server.addr());
        if !at_once {
            client.ask("GET", "/bytes/1", "");
        }
        let answer = client.answer();
        assert_eq!((answer.status(), answer.field("Retry-After")), (503, Some("2")));
        assert_eq!(answer.field("Connection"), Some("close"));
        is_closed(&client.end());
    }
}

#[test]
fn or_left_waiting() {
    let server = limited(1, Full::Wait);
    let mut clients = fill(&server, 1);
    let mut client = Client::new(server.addr());
    client.ask("GET", "/bytes/1", "");
    assert!(client.is_silent_for(50));
    clients.pop();
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn the_limit_moves() {
    let script = presets::jump_at(&[(0, 2), (400, 6), (1_200, 2)]);
    let server = spawn(script).unwrap();
    let start = Instant::now();
    let mut clients = fill(&server, 2);
    is_reset(&Client::new(server.addr()).end());
    std::thread::sleep(Duration::from_millis(440).saturating_sub(start.elapsed()));
    clients.extend(fill(&server, 4));
    is_reset(&Client::new(server.addr()).end());
    eventually(|| server.stats().open == 2);
    for client in clients.split_off(2) {
        is_reset(&{ client }.end());
    }
    for client in &mut clients {
        assert_eq!(client.get("/bytes/1").status(), 200);
    }
}

#[test]
fn limits_are_shared_or_each_addresses_own() {
    for (share, second) in [(Share::Address, true), (Share::Server, false)] {
        let script = Script {
            connections: Some(Connections { limit: Level::Fixed(1), full: Full::ResetOnAccept }),
            share,
            ..Script::new()
        };
        let server = spawn(script.on_loopback(2)).unwrap();
        let [one, other] = server.addrs() else { panic!("two addresses") };
        assert_eq!(one.port(), other.port());
        assert_eq!(one.ip().to_string(), "127.0.0.1");
        assert_eq!(other.ip().to_string(), "127.0.0.2");
        let mut first = Client::new(*one);
        first.get("/bytes/1");
        let mut client = Client::new(*other);
        if second {
            assert_eq!(client.get("/bytes/1").status(), 200);
            let addresses = server.stats().addresses;
            assert_eq!((addresses[0].open, addresses[1].open), (1, 1));
            assert_eq!((addresses[0].peak, addresses[1].address), (1, *other));
        } else {
            is_reset(&client.end());
        }
    }
}

#[test]
fn both_families_at_once() {
    let script = Script {
        listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        ..Script::new()
    };
    let Ok(server) = spawn(script) else {
        println!("skipped: no IPv6 here");
        return;
    };
    assert_eq!(server.addrs()[0].port(), server.addrs()[1].port());
    for &address in server.addrs() {
        assert_eq!(Client::new(address).get("/bytes/1").status(), 200);
    }
}

#[test]
fn idle_connections_are_closed() {
    let server = spawn(presets::idle_close(200)).unwrap();
    let mut client = Client::new(server.addr());
    for _ in 0..3 {
        client.get("/bytes/1");
        assert!(client.is_silent_for(30));
    }
    is_closed(&client.end());
    assert_eq!(server.stats().idle_closed, 1);
    // A request that never becomes whole does not keep it open.
    let mut client = Client::new(server.addr());
    client.send("GET / HT");
    is_closed(&client.end());
    // A request on its way when the server has closed meets a reset.
    let mut client = Client::new(server.addr());
    client.get("/bytes/1");
    eventually(|| server.stats().idle_closed == 3);
    client.ask("GET", "/bytes/1", "");
    let (_, end) = client.rest();
    assert!(end.is_ok_and(|count| count == 0));
    assert!(client.socket.write_all(b"x").and_then(|()| client.socket.write_all(b"x")).is_err());
}

#[test]
fn connections_serve_so_many_requests() {
    for quiet in [true, false] {
        let keep_alive =
            KeepAlive { max_requests: Some(3), quiet, hint: true, idle_ms: Some(5_900) };
        let server = spawn(Script { keep_alive, ..Script::new() }).unwrap();
        let mut client = Client::new(server.addr());
        assert_eq!(client.get("/bytes/1").field("Keep-Alive"), Some("timeout=5, max=2"));
        assert_eq!(client.get("/bytes/1").field("Keep-Alive"), Some("timeout=5, max=1"));
        let last = client.get("/bytes/1");
        assert_eq!(last.field("Connection"), (!quiet).then_some("close"));
        assert_eq!(last.field("Keep-Alive"), None);
        is_closed(&client.end());
    }
}

#[test]
fn work_takes_its_time() {
    for (time, times, least, most) in [
        (Time::FixedUs(30_000), 5, 150, 180),
        (Time::UniformUs(30_000, 31_000), 5, 150, 185),
        // Fractions of a millisecond too.
        (Time::FixedUs(300), 100, 30, 90),
    ] {
        let service = Service { time, ..Service::default() };
        let server = spawn(Script { service: Some(service), ..Script::new() }).unwrap();
        let mut client = Client::new(server.addr());
        takes(least, most, || {
            let start = Instant::now();
            for _ in 0..times {
                client.get("/bytes/1");
            }
            start.elapsed()
        });
    }
}

/// All ask at once; how long until all are answered.
fn rush(server: &Running, count: usize) -> (Duration, Vec<Answer>) {
    let mut clients: Vec<_> = (0..count).map(|_| Client::new(server.addr())).collect();
    eventually(|| server.stats().open >= count as u64);
    let start = Instant::now();
    for client in &mut clients {
        client.ask("GET", "/bytes/1", "");
    }
    let answers = clients.iter_mut().map(Client::answer).collect();
    (start.elapsed(), answers)
}

#[test]
fn workers_queues_and_thrashing() {
    let service = |workers, queue, thrash| {
        let service = Service { time: Time::FixedUs(30_000), workers, queue, thrash, full: None };
        spawn(Script { service: Some(service), ..Script::new() }).unwrap()
    };
    // All at once; three rounds; the last four times as long.
    takes(30, 60, || rush(&service(None, None, None), 12).0);
    takes(90, 130, || rush(&service(Some(4), None, None), 12).0);
    let thrash = Some(Thrash { beyond: 3, power: 2 });
    takes(120, 170, || rush(&service(None, None, thrash), 6).0);
    let server = service(Some(4), Some(2), None);
    let (_, answers) = rush(&server, 12);
    let refused = answers.iter().filter(|answer| answer.status() == 503).count();
    assert_eq!((refused, server.stats().queue_full), (6, 6));
}

/// Up to the limit twice the concurrency is twice the goodput, beyond it that ends.
#[test]
fn presets_have_their_character() {
    for (name, script, clients, least, most) in [
        ("half of a hard limit", presets::hard_limit(24), 12, 20, 30),
        ("all of it", presets::hard_limit(24), 24, 20, 30),
        ("half of the workers", presets::queue(8), 4, 20, 30),
        ("all of them", presets::queue(8), 8, 20, 30),
        ("twice as many", presets::queue(8), 16, 40, 55),
        ("not thrashing yet", presets::thrash(16), 16, 20, 30),
        ("thrashing", presets::thrash(16), 32, 80, 110),
    ] {
        let server = spawn(script).unwrap();
        println!("{name}");
        takes(least, most, || {
            let took = rush(&server, clients).0;
            eventually(|| server.stats().open == 0);
            took
        });
    }
}

#[test]
fn a_worker_is_free_again_when_its_client_is_gone() {
    let service = Service { time: Time::FixedUs(20_000), workers: Some(1), ..Service::default() };
    let server = spawn(Script { service: Some(service), ..Script::new() }).unwrap();
    for _ in 0..3 {
        let mut client = Client::new(server.addr());
        client.ask("GET", "/bytes/1", "");
        eventually(|| server.stats().open == 1);
        socket2::SockRef::from(&client.socket).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        eventually(|| server.stats().open == 0);
    }
    assert_eq!(one(&server, "/bytes/1").status(), 200);
}

#[test]
fn bandwidth_is_shared() {
    let server = spawn(Script { bandwidth: Some(1_000_000), ..Script::new() }).unwrap();
    let mut clients: Vec<_> = (0..4).map(|_| Client::new(server.addr())).collect();
    takes(180, 250, || {
        let start = Instant::now();
        for client in &mut clients {
            client.ask("GET", "/bytes/50000", "");
        }
        let mut ends = Vec::new();
        for client in &mut clients {
            assert_eq!(client.answer().body, pattern::body("/bytes/50000", 50_000));
            ends.push(start.elapsed());
        }
        assert!(ends[0] > Duration::from_millis(140), "evenly: {ends:?}");
        ends[3]
    });
}

#[test]
fn rates_are_limited() {
    let rate = |retry_after, fields| {
        let rate = Rate { per_second: 20.0, burst: 2, retry_after, fields, ..Rate::default() };
        spawn(Script { rate: Some(rate), ..Script::new() }).unwrap()
    };
    let server = rate(true, RateFields::X);
    let mut client = Client::new(server.addr());
    let first = client.get("/bytes/1");
    assert_eq!((first.status(), first.field("X-RateLimit-Remaining")), (200, Some("1")));
    assert_eq!(first.field("X-RateLimit-Limit"), Some("2"));
    client.get("/bytes/1");
    let third = client.get("/bytes/1");
    assert_eq!((third.status(), third.field("Retry-After")), (429, Some("1")));
    assert_eq!(third.field("X-RateLimit-Reset"), Some("1"));
    assert_eq!(server.stats().rate_limited, 1);
    let mut good = 0;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        good += u32::from(client.get("/bytes/1").status() == 200);
        std::thread::sleep(Duration::from_millis(2));
    }
    let least = if start.elapsed() < Duration::from_millis(550) { 8 } else { 1 };
    assert!((least..=12).contains(&good), "20 a second: {good}");
    let answer = one(&rate(false, RateFields::Draft), "/bytes/1");
    assert_eq!(answer.field("RateLimit"), Some("\"default\";r=1;t=1"));
    assert_eq!(answer.field("RateLimit-Policy"), Some("\"default\";q=2;w=1"));
    let answer = one(&rate(false, RateFields::Plain), "/bytes/1");
    assert_eq!(answer.field("RateLimit-Remaining"), Some("1"));
    let server = rate(false, RateFields::None);
    let mut client = Client::new(server.addr());
    let silent =
        (0..5).map(|_| client.get("/bytes/1")).find(|answer| answer.status() == 429).unwrap();
    assert_eq!((silent.field("Retry-After"), silent.field("RateLimit-Limit")), (None, None));
}

#[test]
fn chaos_strikes_as_often_as_it_should() {
    let chaos = Some(Chaos { probability: 0.2, how: How::Reset });
    let server = spawn(Script { chaos, seed: 3, ..Script::new() }).unwrap();
    let mut whole = 0;
    let mut client = Client::new(server.addr());
    for _ in 0..500 {
        client.ask("GET", "/bytes/200", "");
        if client.try_answer(false).is_ok() {
            whole += 1;
        } else {
            client = Client::new(server.addr());
        }
    }
    assert!((360..440).contains(&whole), "{whole}");
    assert_eq!(server.stats().resets, 500 - whole);
}

#[test]
fn answers_from_far_away_come_late() {
    let server = spawn(presets::distance(30)).unwrap();
    // Late, all of them, but at the same time.
    takes(30, 80, || rush(&server, 20).0);
}

// Distance.

#[test]
fn a_relay_delivers_everything_later() {
    let server = spawn(Script::new()).unwrap();
    let far = Relay::spawn(server.addr(), Duration::from_millis(20)).unwrap();
    // The first answer after the handshake's round trip and its own, others after their own.
    takes(80, 130, || {
        let start = Instant::now();
        assert_eq!(Client::new(far.addr()).get("/bytes/1").status(), 200);
        start.elapsed()
    });
    let mut client = Client::new(far.addr());
    client.get("/bytes/1");
    takes(40, 70, || {
        let start = Instant::now();
        client.get("/bytes/1");
        start.elapsed()
    });
    assert_eq!(client.get("/bytes/20000000").body, pattern::body("/bytes/20000000", 20_000_000));
    client.ask("GET", "/cut/reset/10/100", "");
    let (bytes, end) = client.rest();
    assert!(bytes.ends_with(&pattern::body("/cut/reset/10/100", 100)[..10]));
    is_reset(&end);
    let mut client = Client::new(far.addr());
    client.ask("GET", "/close/10", "");
    let (bytes, end) = client.rest();
    assert!(bytes.ends_with(&pattern::body("/close/10", 10)));
    is_closed(&end);
    drop(client);
    eventually(|| server.stats().open == 0);
    server.go_down();
    is_reset(&Client::new(far.addr()).end());
}

#[test]
fn a_relay_passes_on_that_nobody_reads() {
    let server = spawn(Script::new()).unwrap();
    let far = Relay::spawn(server.addr(), Duration::from_millis(1)).unwrap();
    let mut client = Client::new(far.addr());
    client.ask("GET", "/bytes/1000000000", "");
    let mut sent = 0;
    eventually(|| {
        std::thread::sleep(Duration::from_millis(100));
        std::mem::replace(&mut sent, server.stats().bytes_sent) == server.stats().bytes_sent
    });
    assert!((1..100_000_000).contains(&sent), "{sent}");
}

// Up, down, counted.

#[test]
fn a_server_goes_down_and_comes_up_again() {
    let server = spawn(Script::new()).unwrap();
    let mut client = Client::new(server.addr());
    client.get("/bytes/1");
    server.go_down();
    is_reset(&client.end());
    let error = TcpStream::connect(server.addr()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    server.come_up();
    let mut client = Client::new(server.addr());
    client.get("/bytes/1");
    server.reset_all();
    is_reset(&client.end());
    assert_eq!(one(&server, "/bytes/1").status(), 200);
    // And another server takes over its port.
    let address = server.addr();
    server.stop().unwrap();
    assert!(TcpStream::connect(address).is_err());
    let server = spawn(Script { listen: vec![address], ..Script::new() }).unwrap();
    assert_eq!(one(&server, "/bytes/1").status(), 200);
}

#[test]
fn outages_follow_their_schedule() {
    let outages = vec![Outage { at_ms: 60, for_ms: 120 }];
    let server = spawn(Script { outages, ..Script::new() }).unwrap();
    let start = Instant::now();
    let mut client = Client::new(server.addr());
    client.get("/bytes/1");
    is_reset(&client.end());
    assert!(TcpStream::connect(server.addr()).is_err());
    eventually(|| TcpStream::connect(server.addr()).is_ok());
    assert!(start.elapsed() >= Duration::from_millis(175), "{:?}", start.elapsed());
}

#[test]
fn counters_can_be_fetched() {
    let script = Script {
        admin: Some(([127, 0, 0, 1], 0).into()),
        count_requests: true,
        connections: Some(Connections { limit: Level::Fixed(1), full: Full::ResetOnAccept }),
        ..Script::new()
    };
    let server = spawn(script).unwrap();
    let mut client = Client::new(server.addr());
    client.get("/bytes/1");
    client.get("/bytes/1");
    client.ask("POST", "/echo", "");
    client.answer();
    let here = client.get("/__stats");
    let there = Client::new(server.admin_addr().unwrap()).get("/__stats");
    for answer in [here, there] {
        let stats: gannet::origin::Counters = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((stats.accepted, stats.open, stats.peak), (1, 1, 1));
        assert_eq!((stats.requests, stats.answers, stats.turned_away), (3, 3, 0));
        assert_eq!(stats.by_request["GET /bytes/1"], 2);
    }
    assert_eq!(server.count("POST /echo"), 1);
    assert_eq!(server.count("POST /other"), 0);
    assert_eq!(Client::new(server.admin_addr().unwrap()).get("/bytes/1").status(), 404);
}

// TLS.

struct Certified {
    tls: Tls,
    client: std::sync::Arc<rustls::ClientConfig>,
}

fn certified() -> Certified {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = Tls {
        certificates: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        ..Tls::default()
    };
    Certified { tls, client: std::sync::Arc::new(client) }
}

type TlsClient = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

fn tls_client(server: &Running, config: &std::sync::Arc<rustls::ClientConfig>) -> TlsClient {
    let socket = TcpStream::connect(server.addr()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = "localhost".try_into().unwrap();
    let session = rustls::ClientConnection::new(config.clone(), name).unwrap();
    rustls::StreamOwned::new(session, socket)
}

/// Asks, and reads to the end of the connection.
fn tls_get(client: &mut TlsClient, target: &str) -> (Vec<u8>, io::Result<usize>) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut bytes = Vec::new();
    let end = client.write_all(request.as_bytes()).and_then(|()| client.read_to_end(&mut bytes));
    (bytes, end)
}

#[test]
fn tls_serves_the_same_bytes() {
    let Certified { tls, client } = certified();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let tls = Tls { versions: vec![version], ..tls.clone() };
        let server = spawn(Script { tls: Some(tls), ..Script::new() }).unwrap();
        assert!(server.url("/").starts_with("https://"));
        for len in [0, 1_000, 1_000_000] {
            let target = format!("/bytes/{len}");
            let (bytes, end) = tls_get(&mut tls_client(&server, &client), &target);
            assert!(end.is_ok(), "close_notify came: {end:?}");
            assert!(bytes.ends_with(&pattern::body(&target, len)));
        }
        let stats = server.stats();
        assert_eq!(stats.tls_full + stats.tls_resumed, 3);
        assert!(stats.tls_resumed >= 1, "{stats:?}");
        assert_eq!(stats.answers, 3);
    }
}

#[test]
fn tls_without_manners() {
    let Certified { tls, client } = certified();
    let tls = Tls { resumption: false, close_notify: false, ..tls };
    let server = spawn(Script { tls: Some(tls), ..Script::new() }).unwrap();
    for _ in 0..2 {
        let (bytes, end) = tls_get(&mut tls_client(&server, &client), "/bytes/10");
        assert!(bytes.ends_with(&pattern::body("/bytes/10", 10)));
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
    assert_eq!(server.stats().tls_full, 2, "nothing is resumed");
}

#[test]
fn tls_is_cut_anywhere() {
    let Certified { tls, client } = certified();
    for how in [How::Reset, How::Fin] {
        for at in [0, 1, 5, 100, 500, 900, 1_400] {
            let script = Script {
                tls: Some(tls.clone()),
                ..presets::arriving(Welcome::CutWire { at, how })
            };
            let server = spawn(script).unwrap();
            let (_, end) = tls_get(&mut tls_client(&server, &client), "/bytes/100000");
            let kind = end.unwrap_err().kind();
            if how == How::Reset {
                assert_eq!(kind, io::ErrorKind::ConnectionReset, "at {at}");
            } else {
                assert_eq!(kind, io::ErrorKind::UnexpectedEof, "at {at}");
            }
            eventually(|| server.stats().open == 0);
            assert_eq!((server.stats().cut, server.stats().answers), (1, 0));
        }
    }
    // A cut by the rules counts what the client reads.
    let cut = Action::Cut(Cut { at: At::Body(70), how: How::Reset });
    let script = Script { tls: Some(tls), ..Script::new() }.rule(When::always(), [cut]);
    let server = spawn(script).unwrap();
    let (bytes, end) = tls_get(&mut tls_client(&server, &client), "/bytes/100");
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(bytes.ends_with(&pattern::body("/bytes/100", 70)));
}

#[test]
fn tls_refuses_what_is_no_tls() {
    let Certified { tls, .. } = certified();
    let server = spawn(Script { tls: Some(tls.clone()), ..Script::new() }).unwrap();
    let mut client = Client::new(server.addr());
    client.ask("GET", "/", "");
    let (bytes, _) = client.rest();
    assert_eq!(bytes.first(), Some(&21), "an alert");
    eventually(|| server.stats().open == 0);
    assert_eq!(server.stats().tls_failed, 1);
    let bad = Tls { key: "nonsense".into(), ..tls };
    assert_eq!(
        spawn(Script { tls: Some(bad), ..Script::new() }).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
}

// Curl, where it is.

fn curl(arguments: &[&str]) -> Option<(String, Option<i32>)> {
    let run = std::process::Command::new("curl").args(["-s", "-m", "5"]).args(arguments).output();
    let Ok(output) = run else {
        println!("skipped: no curl here");
        return None;
    };
    Some((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code()))
}

#[test]
fn curl_agrees() {
    let server = spawn(Script::new()).unwrap();
    let plain = |len: usize, target: &str| String::from_utf8(pattern::body(target, len)).unwrap();
    for (arguments, target, body, code) in [
        (&[][..], "/bytes/1000", plain(1_000, "/bytes/1000"), 0),
        (&[], "/chunked/9000/100", plain(9_000, "/chunked/9000/100"), 0),
        (&[], "/close/77", plain(77, "/close/77"), 0),
        (&["--compressed"], "/gzip/70000", plain(70_000, "/gzip/70000"), 0),
        (&["--compressed"], "/deflate/70000", plain(70_000, "/deflate/70000"), 0),
        (&["-r", "5-9"], "/range/50", plain(50, "/range/50")[5..10].to_owned(), 0),
        (&["-L"], "/redirect/5", "arrived\n".to_owned(), 0),
        (&["-u", "a:b c"], "/auth/basic/a/b%20c", "welcome\n".to_owned(), 0),
        (&["-f"], "/status/404", String::new(), 22),
        (&[], "/cut/fin/10/100", plain(100, "/cut/fin/10/100")[..10].to_owned(), 18),
        (&[], "/cut/reset/0/100", String::new(), 56),
    ] {
        let url = server.url(target);
        let all: Vec<_> = arguments.iter().copied().chain([url.as_str()]).collect();
        let Some(answer) = curl(&all) else { return };
        assert_eq!(answer, (body, Some(code)), "{target}");
    }
}
