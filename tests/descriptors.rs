//! Out of descriptors: work waits, nothing fails. A process of its own, since the limit is of the whole process; twice it
//! takes away for itself every descriptor that is left.
#![cfg(all(feature = "fetch", feature = "origin", unix))]
#![allow(missing_docs)]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gannet::Fetcher;
use gannet::engine::{Config, PerHost};
use gannet::fetch::{
    Answer, Control, Options, Outcome, Profile, Request, Ticket, Url, UrlRules, Visitor, Want,
};
use gannet::origin::{Script, spawn};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

const COUNT: u64 = 300;
const TAKEN_FOR: Duration = Duration::from_millis(150);

#[derive(Default)]
struct Tally {
    whole: u64,
    failed: Vec<String>,
    /// What was taken away, how often, and until when.
    taken: Vec<File>,
    times: u32,
    until: Option<Instant>,
}

impl Tally {
    fn take(&mut self) {
        while let Ok(file) = File::open("/dev/null") {
            self.taken.push(file);
        }
        assert!(!self.taken.is_empty(), "none was left to be taken");
        self.times += 1;
        self.until = Some(Instant::now() + TAKEN_FOR);
    }
}

impl Visitor for Tally {
    fn head(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &Answer<'_>) -> Want {
        Want::Body
    }
    fn body(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &[u8]) {}
    fn done(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>) {
        match outcome.result {
            Ok(200) => self.whole += 1,
            other => self.failed.push(format!("{}: {other:?}", ticket.tag)),
        }
    }
}

/// Fetches from a server that closes after each answer, so that every URL needs a descriptor.
fn fetch(server: &str, foreign: bool) -> Tally {
    let engine = Config { max_connections: 64, per_host: PerHost::Fixed(64), ..Config::default() };
    let mut fetcher = Fetcher::new(Options { engine, ..Options::default() }).unwrap();
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(8));
    let descriptor = fetcher.as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE).unwrap();
    let (mut tally, mut next, start) = (Tally::default(), 0, Instant::now());
    tally.take();
    while next < COUNT || !fetcher.is_idle() {
        if tally.until.is_some_and(|until| until <= Instant::now()) {
            assert!(tally.times > 1 || tally.whole == 0, "there was no descriptor");
            tally.taken.clear();
            tally.until = None;
        }
        if tally.times < 2 && tally.whole > COUNT / 2 {
            tally.take();
        }
        while next < COUNT && fetcher.wants() > 0 {
            let url = Url::parse(&format!("{server}/close/100?{next}"), &UrlRules::default());
            let profile = Arc::new(Profile::default());
            fetcher.submit(&Request { url: url.unwrap(), tag: next, profile }).unwrap();
            next += 1;
        }
        let most = tally.until.map_or(Duration::from_secs(5), |until| {
            until.saturating_duration_since(Instant::now())
        });
        let timeout = fetcher.next_timeout().map_or(most, |timeout| timeout.min(most));
        if foreign {
            poll.poll(&mut events, Some(timeout)).unwrap();
            fetcher.turn(Some(Duration::ZERO), &mut tally).unwrap();
        } else {
            fetcher.turn(Some(timeout), &mut tally).unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "stuck at {}", tally.whole);
    }
    tally
}

/// Does its work only in a process that `work_waits_for_descriptors` began.
#[test]
fn within_few_descriptors() {
    let Ok(server) = std::env::var("GANNET_FEW_DESCRIPTORS") else { return };
    for foreign in [false, true] {
        let tally = fetch(&server, foreign);
        assert_eq!((tally.whole, &tally.failed[..]), (COUNT, &[][..]), "foreign: {foreign}");
        assert_eq!(tally.times, 2);
    }
}

#[test]
fn work_waits_for_descriptors() {
    let server = spawn(Script::new()).unwrap();
    for limit in [16, 40] {
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "ulimit -n {limit} && exec \"$0\" --exact within_few_descriptors --nocapture"
            ))
            .arg(std::env::current_exe().unwrap())
            .env("GANNET_FEW_DESCRIPTORS", server.url(""))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "with {limit} descriptors: {text}");
    }
    assert!(server.stats().requests >= 2 * 2 * COUNT);
}
