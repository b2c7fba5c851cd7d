//! What comes of what a callback asks for, through both doors: the engine's (`Handler`, `Ctl`) and the
//! fetcher's (`Visitor`, `Control`). `capi/examples/border.c` tries the same from C.
//!
//! Nothing re-enters: a command waits until the input is handled. Whoever calls a request off sees no
//! more of it, even where the rest of the answer came with the same bytes.
#![cfg(all(feature = "fetch", feature = "origin"))]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant as Clock};

use gannet::Fetcher;
use gannet::base::Instant;
use gannet::engine::{
    Action, Advice, Cause, Config, ConnKey, Ctl, Engine, Fault, Handler, JobKey, JobRef, Kind,
    Loss, Next, Origin, Payload, Report, Request, Resume, Scheme, Upload,
};
use gannet::fetch::{
    Answer, Control, Follow, Options, Outcome, Profile, Redirect, Ticket, Url, UrlRules, Visitor,
    Want,
};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, Fields, Head};

const LIMIT: Duration = Duration::from_secs(20);

/// An answer with everything in it: an interim one before, two pieces, a trailer.
const WHOLE: &[u8] = b"HTTP/1.1 103 Early Hints\r\n\r\n\
    HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
    3\r\nabc\r\n3\r\ndef\r\n0\r\nX-Sum: 7\r\n\r\n";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Cancel,
    CancelAll,
    Pause,
    PauseAndResume,
}

/// Notes each callback, and acts once, in the one of this name.
struct Acts {
    at: &'static str,
    act: Act,
    advice: Advice,
    seen: Vec<String>,
    /// Submitted when a request is done.
    next: Option<Request<'static>>,
}

impl Acts {
    fn new(at: &'static str, act: Act) -> Self {
        let advice = Advice::Deliver(Resume::Never);
        Self { at, act, advice, seen: Vec::new(), next: None }
    }

    fn note(&mut self, ctl: &mut Ctl<'_>, key: JobKey, what: &'static str) {
        self.seen.push(what.to_owned());
        if self.at != what {
            return;
        }
        self.at = "";
        match self.act {
            Act::Cancel => ctl.cancel(key),
            Act::CancelAll => ctl.cancel_all(),
            Act::Pause => ctl.pause(key),
            Act::PauseAndResume => {
                ctl.pause(key);
                ctl.resume(key);
            }
        }
    }
}

impl Handler for Acts {
    fn interim(&mut self, ctl: &mut Ctl<'_>, job: JobRef, _: &Head<'_>) {
        self.note(ctl, job.key, "interim");
    }
    fn head(&mut self, ctl: &mut Ctl<'_>, job: JobRef, _: &Head<'_>, _: Body) -> Advice {
        self.note(ctl, job.key, "head");
        self.advice
    }
    fn body(&mut self, ctl: &mut Ctl<'_>, job: JobRef, _: &[u8]) {
        self.note(ctl, job.key, "body");
    }
    fn trailers(&mut self, ctl: &mut Ctl<'_>, job: JobRef, _: Fields<'_>) {
        self.note(ctl, job.key, "trailers");
    }
    fn restart(&mut self, ctl: &mut Ctl<'_>, job: JobRef, _: Kind) {
        self.note(ctl, job.key, "restart");
    }
    fn upload(
        &mut self,
        ctl: &mut Ctl<'_>,
        job: JobRef,
        _: u64,
        out: &mut Vec<u8>,
        _: usize,
    ) -> Upload {
        self.note(ctl, job.key, "upload");
        out.extend_from_slice(b"x");
        Upload::More
    }
    fn done(&mut self, ctl: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        self.note(ctl, job.key, "done");
        self.seen.push(match report.result {
            Ok(status) => status.to_string(),
            Err(failure) => failure.kind.name().to_owned(),
        });
        if let Some(next) = self.next.take() {
            ctl.submit(&next).unwrap();
        }
    }
}

const NOW: Instant = Instant::ZERO;

fn get(engine: &mut Engine) -> Request<'static> {
    Request::get(engine.host(&Origin { scheme: Scheme::Http, host: "192.0.2.1", port: 80 }), "/")
}

/// Carries out what an engine wants, its sockets being perfect; the connection that asked last.
fn carry_out(engine: &mut Engine, acts: &mut Acts) -> Option<ConnKey> {
    let mut asked = None;
    engine.poll(NOW, acts);
    while let Some(action) = engine.next_action() {
        match action {
            Action::Open { conn, .. } => engine.connected(conn, NOW, acts),
            Action::Transmit(conn) => {
                let mut out = Vec::new();
                engine.outgoing(conn, &mut out, NOW, acts);
                if !out.is_empty() {
                    engine.wrote(conn, out.len(), true, NOW);
                }
                asked = Some(conn);
            }
            _ => {}
        }
        engine.poll(NOW, acts);
    }
    asked
}

/// An engine whose request is out, on this connection.
fn asked(acts: &mut Acts) -> (Engine, ConnKey, JobKey) {
    let mut engine = Engine::try_new(Config::tiny()).unwrap();
    let request = get(&mut engine);
    let job = engine.submit(&request, NOW).unwrap();
    let conn = carry_out(&mut engine, acts).unwrap();
    (engine, conn, job)
}

#[test]
fn who_calls_the_request_of_its_callback_off_sees_no_more_of_it() {
    let all = ["interim", "head", "body", "body", "trailers"];
    for (at, callbacks) in [("interim", 1), ("head", 2), ("body", 3), ("trailers", 5)] {
        for act in [Act::Cancel, Act::CancelAll] {
            for advice in [Advice::Deliver(Resume::Never), Advice::SkipBody] {
                let mut acts = Acts { advice, ..Acts::new(at, act) };
                let (mut engine, conn, _) = asked(&mut acts);
                engine.received(conn, WHOLE, NOW, &mut acts);
                carry_out(&mut engine, &mut acts);
                // Where the body is skipped, nobody is asked about it.
                let skips = advice == Advice::SkipBody;
                if skips && at == "body" {
                    assert_eq!(acts.seen, ["interim", "head", "trailers", "done", "200"]);
                    continue;
                }
                let mut expected = all[..callbacks].to_vec();
                expected.retain(|what| !skips || *what != "body");
                expected.extend(["done", "cancelled"]);
                assert_eq!(acts.seen, expected, "{at} {act:?}");
                assert_eq!(engine.held(), 0);
                engine.check(NOW).unwrap();
            }
        }
    }
    // When it is done, it is too late, and harms nobody.
    for act in [Act::Cancel, Act::CancelAll] {
        let mut acts = Acts::new("done", act);
        let (mut engine, conn, _) = asked(&mut acts);
        engine.received(conn, WHOLE, NOW, &mut acts);
        carry_out(&mut engine, &mut acts);
        assert_eq!(acts.seen[acts.seen.len() - 2..], ["done", "200"], "{act:?}");
        assert_eq!(engine.held(), 0);
    }
}

#[test]
fn a_request_between_attempts_and_one_that_sends_are_called_off_as_well() {
    let mut acts = Acts::new("restart", Act::Cancel);
    let (mut engine, conn, _) = asked(&mut acts);
    engine.received(conn, &WHOLE[..WHOLE.len() - 10], NOW, &mut acts);
    engine.lost(conn, Loss::Fault(Fault::new(Cause::Reset)), NOW, &mut acts);
    carry_out(&mut engine, &mut acts);
    assert_eq!(acts.seen[acts.seen.len() - 3..], ["restart", "done", "cancelled"]);
    assert_eq!(engine.held(), 0);

    let mut acts = Acts::new("upload", Act::Cancel);
    let mut engine = Engine::try_new(Config::tiny()).unwrap();
    let body = Payload::Stream { length: None, replayable: true };
    let request = Request { method: "PUT", body, ..get(&mut engine) };
    engine.submit(&request, NOW).unwrap();
    carry_out(&mut engine, &mut acts);
    assert_eq!(acts.seen[acts.seen.len() - 3..], ["upload", "done", "cancelled"]);
    assert_eq!(engine.held(), 0);
}

#[test]
fn a_pause_holds_from_the_next_read_on() {
    // What came with the same bytes is delivered, be it the end.
    let mut acts = Acts::new("head", Act::Pause);
    let (mut engine, conn, _) = asked(&mut acts);
    engine.received(conn, WHOLE, NOW, &mut acts);
    carry_out(&mut engine, &mut acts);
    assert_eq!(acts.seen.last().unwrap(), "200");

    for (act, goes_on) in [(Act::Pause, false), (Act::PauseAndResume, true)] {
        let mut acts = Acts::new("head", act);
        let (mut engine, conn, job) = asked(&mut acts);
        let (first, rest) = WHOLE.split_at(WHOLE.len() - 20);
        assert_eq!(engine.received(conn, first, NOW, &mut acts), Next::Pause);
        engine.poll(NOW, &mut acts);
        let read = |engine: &mut Engine| engine.next_action() == Some(Action::Read(conn));
        assert_eq!(read(&mut engine), goes_on, "{act:?}");
        let mut now = NOW;
        if !goes_on {
            // However late: a pause is nobody's failure.
            now += Duration::from_secs(3_600);
            engine.tick(now, &mut acts);
            assert_eq!(acts.seen, ["interim", "head", "body"]);
            engine.ctl().resume(job);
            engine.poll(now, &mut acts);
            assert!(read(&mut engine));
        }
        engine.received(conn, rest, now, &mut acts);
        assert_eq!(acts.seen.last().unwrap(), "200");
    }
}

#[test]
fn a_pause_waits_for_its_request() {
    let mut acts = Acts::new("", Act::Pause);
    let mut engine = Engine::try_new(Config::tiny()).unwrap();
    let request = get(&mut engine);
    let job = engine.submit(&request, NOW).unwrap();
    // Before it is sent: what one read buffer brings is delivered.
    engine.ctl().pause(job);
    let conn = carry_out(&mut engine, &mut acts).unwrap();
    let (first, rest) = WHOLE.split_at(WHOLE.len() - 20);
    assert_eq!(engine.received(conn, first, NOW, &mut acts), Next::Pause);
    // It is of that response: another attempt's is read, also where it was paused in between.
    engine.lost(conn, Loss::Fault(Fault::new(Cause::Reset)), NOW, &mut acts);
    engine.ctl().pause(job);
    engine.poll(NOW, &mut acts);
    let now = engine.next_deadline().unwrap();
    engine.tick(now, &mut acts);
    let conn = carry_out(&mut engine, &mut acts).unwrap();
    assert_eq!(engine.received(conn, first, now, &mut acts), Next::Read);
    engine.received(conn, rest, now, &mut acts);
    assert_eq!(acts.seen.last().unwrap(), "200");
}

#[test]
fn a_dead_key_names_nobody() {
    // The next request has the place of the one before, and is not called off in its stead.
    let mut acts = Acts::new("done", Act::Cancel);
    let (mut engine, conn, _) = asked(&mut acts);
    acts.next = Some(get(&mut engine));
    engine.received(conn, WHOLE, NOW, &mut acts);
    let conn = carry_out(&mut engine, &mut acts).unwrap();
    engine.received(conn, WHOLE, NOW, &mut acts);
    assert_eq!(acts.seen.iter().filter(|what| *what == "200").count(), 2, "{:?}", acts.seen);
    assert_eq!(engine.held(), 0);
}

/// A server that answers everybody the same, with one write; what becomes of its last connection.
fn serve(answer: Vec<u8>) -> (SocketAddr, mpsc::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, ends) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(64) {
            let (mut stream, told, answer): (TcpStream, _, _) =
                (stream.unwrap(), told.clone(), answer.clone());
            std::thread::spawn(move || {
                let mut requests = 0;
                let mut buffer = [0; 4096];
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                while matches!(stream.read(&mut buffer), Ok(1..)) {
                    requests += 1;
                    if stream.write_all(&answer).is_err() {
                        break;
                    }
                }
                let _ = told.send(requests);
            });
        }
    });
    (address, ends)
}

/// The same from above.
struct Looks {
    at: &'static str,
    cancels_all: bool,
    seen: Vec<&'static str>,
    ends: Vec<Result<u16, String>>,
}

impl Looks {
    fn new(at: &'static str, cancels_all: bool) -> Self {
        Self { at, cancels_all, seen: Vec::new(), ends: Vec::new() }
    }

    fn note(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, what: &'static str) {
        self.seen.push(what);
        if self.at == what {
            self.at = "";
            if self.cancels_all { ctl.cancel_all() } else { ctl.cancel(ticket) }
        }
    }
}

impl Visitor for Looks {
    fn interim(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, _: &Head<'_>) {
        self.note(ctl, ticket, "interim");
    }
    fn redirect(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, _: &Redirect<'_>) {
        self.note(ctl, ticket, "redirect");
    }
    fn head(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, _: &Answer<'_>) -> Want {
        self.note(ctl, ticket, "head");
        Want::Body
    }
    fn body(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, _: &[u8]) {
        self.note(ctl, ticket, "body");
    }
    fn trailers(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, _: Fields<'_>) {
        self.note(ctl, ticket, "trailers");
    }
    fn done(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>) {
        self.note(ctl, ticket, "done");
        self.ends.push(outcome.result.map_err(|error| error.name().to_owned()));
    }
}

fn fetch(url: &str, profile: Profile, looks: &mut Looks) {
    let mut fetcher = Fetcher::new(Options::tiny()).unwrap();
    let url = Url::parse(url, &UrlRules::default()).unwrap();
    fetcher.submit(&gannet::fetch::Request { url, tag: 1, profile: profile.into() }).unwrap();
    let start = Clock::now();
    while !fetcher.is_idle() {
        assert!(start.elapsed() < LIMIT);
        fetcher.turn(Some(Duration::from_millis(100)), looks).unwrap();
    }
}

#[test]
fn a_visitor_that_calls_its_request_off_sees_no_more_of_it() {
    let (address, _) = serve(WHOLE.to_vec());
    for (at, callbacks) in [("interim", 1), ("head", 2), ("body", 3), ("trailers", 5)] {
        for cancels_all in [false, true] {
            let mut looks = Looks::new(at, cancels_all);
            fetch(&format!("http://{address}/"), Profile::default(), &mut looks);
            assert_eq!(looks.ends, [Err("cancelled".to_owned())], "{at}");
            let mut expected =
                ["interim", "head", "body", "body", "trailers"][..callbacks].to_vec();
            expected.push("done");
            assert_eq!(looks.seen, expected, "{at}");
        }
    }
    let mut looks = Looks::new("done", true);
    fetch(&format!("http://{address}/"), Profile::default(), &mut looks);
    assert_eq!(looks.ends, [Ok(200)]);

    // No hop follows.
    let (address, _) =
        serve(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".to_vec());
    let profile = Profile { follow: Follow::Standard, ..Profile::default() };
    let mut looks = Looks::new("redirect", false);
    fetch(&format!("http://{address}/"), profile, &mut looks);
    assert_eq!(looks.seen, ["redirect", "done"]);
    assert_eq!(looks.ends, [Err("cancelled".to_owned())]);
}

/// Few bytes decode to many pieces: whoever has enough of them gets no more, nor who pauses the end.
#[test]
fn what_is_called_off_is_decoded_no_further() {
    let server = gannet::origin::spawn(gannet::origin::Script::new()).unwrap();
    let profile = || Profile { compressed: true, ..Profile::default() };
    let mut looks = Looks::new("", false);
    fetch(&server.url("/gzip/300000"), profile(), &mut looks);
    assert!(looks.seen.iter().filter(|what| **what == "body").count() > 1, "{:?}", looks.seen);
    let mut looks = Looks::new("body", false);
    fetch(&server.url("/gzip/300000"), profile(), &mut looks);
    assert_eq!(looks.seen, ["head", "body", "done"]);
    assert_eq!(looks.ends, [Err("cancelled".to_owned())]);
}

/// Whoever is dropped closes its sockets at once, and tells nobody anything any more.
#[test]
fn a_loop_that_is_dropped_closes_and_is_silent() {
    let (address, ends) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec());
    let mut acts = Acts::new("", Act::Cancel);
    let engine = Engine::try_new(Config::tiny()).unwrap();
    let mut driver = Driver::new(engine, Mio::new(16).unwrap(), DriverConfig::tiny());
    let host = address.ip().to_string();
    let host = driver.host(&Origin { scheme: Scheme::Http, host: &host, port: address.port() });
    driver.submit(&Request::get(host, "/")).unwrap();
    while !acts.seen.iter().any(|what| what == "body") {
        driver.turn(Some(LIMIT), &mut acts).unwrap();
    }
    drop(driver);
    assert_eq!(ends.recv_timeout(LIMIT), Ok(1));
    assert_eq!(acts.seen, ["head", "body"]);
}

/// A panic of a callback goes through the driver to whoever called `turn`; what is left can be dropped.
#[test]
fn a_panic_of_a_handler_reaches_its_loop() {
    struct Panics;
    impl Handler for Panics {
        fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
            panic!("on purpose");
        }
        fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
        fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Report<'_>) {}
    }
    let (address, ends) = serve(WHOLE.to_vec());
    let engine = Engine::try_new(Config::tiny()).unwrap();
    let mut driver = Driver::new(engine, Mio::new(16).unwrap(), DriverConfig::tiny());
    let host = address.ip().to_string();
    let host = driver.host(&Origin { scheme: Scheme::Http, host: &host, port: address.port() });
    driver.submit(&Request::get(host, "/")).unwrap();
    let start = Clock::now();
    let mut turn = || driver.turn(Some(Duration::from_millis(100)), &mut Panics);
    let caught = loop {
        assert!(start.elapsed() < LIMIT);
        match catch_unwind(AssertUnwindSafe(&mut turn)) {
            Ok(turned) => turned.unwrap(),
            Err(panic) => break panic,
        }
    };
    assert_eq!(caught.downcast_ref(), Some(&"on purpose"));
    drop(driver);
    assert_eq!(ends.recv_timeout(LIMIT), Ok(1));
}
