//! A fetcher with a visitor that writes everything down.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gannet::engine::Kind;
use gannet::fetch::{
    Answer, Control, Error, Fetcher, Options, Outcome, Profile, Redirect, Request, Ticket, Upload,
    Url, UrlRules, Visitor, Want,
};
use gannet::origin::{Action, Running, Script, When, spawn};

/// What became of one request.
#[derive(Debug, Default)]
pub struct Seen {
    pub result: Option<Result<u16, Error>>,
    pub status: Option<u16>,
    pub final_url: String,
    pub method: String,
    pub redirects: u32,
    pub hops: Vec<(u16, String)>,
    pub heads: u32,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub body_bytes: u64,
    pub truncated: bool,
    pub restarts: u32,
    pub resumed: Vec<u64>,
    pub interim: Vec<u16>,
    pub attempts: u32,
    pub tries: usize,
    pub dones: u32,
}

impl Seen {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn ok(&self) -> u16 {
        match &self.result {
            Some(Ok(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    pub fn error(&self) -> &Error {
        match &self.result {
            Some(Err(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}

/// Writes everything down, by tag.
#[derive(Default)]
pub struct Recorder {
    pub seen: HashMap<u64, Seen>,
    pub done: usize,
    /// What to say to a head.
    pub want: Option<Want>,
    /// What is uploaded.
    pub upload: Vec<u8>,
    /// Pause at the first byte of the body.
    pub pauses: bool,
    pub paused: Vec<Ticket>,
    /// Cancel when a redirect is told.
    pub cancels_at_redirect: bool,
}

impl Recorder {
    fn of(&mut self, ticket: Ticket) -> &mut Seen {
        self.seen.entry(ticket.tag).or_default()
    }
}

impl Visitor for Recorder {
    fn interim(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, head: &gannet::proto::Head<'_>) {
        self.of(ticket).interim.push(head.status);
    }

    fn redirect(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, redirect: &Redirect<'_>) {
        let hop = (redirect.head.status, redirect.to.to_string());
        let seen = self.of(ticket);
        seen.hops.push(hop);
        if self.cancels_at_redirect {
            ctl.cancel(ticket);
        }
    }

    fn head(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, answer: &Answer<'_>) -> Want {
        let want = self.want.unwrap_or(Want::Body);
        let seen = self.of(ticket);
        seen.heads += 1;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        seen.fields =
            answer.head.fields.iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
        want
    }

    fn body(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, bytes: &[u8]) {
        if self.pauses && self.of(ticket).body.is_empty() {
            ctl.pause(ticket);
            self.paused.push(ticket);
        }
        self.of(ticket).body.extend_from_slice(bytes);
    }

    fn restart(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, _: Kind) {
        let seen = self.of(ticket);
        seen.body.clear();
        seen.restarts += 1;
    }

    fn resumed(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, at: u64) {
        self.of(ticket).resumed.push(at);
    }

    fn upload(
        &mut self,
        _: &mut Control<'_, '_>,
        _: Ticket,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Upload {
        let rest = &self.upload[at as usize..];
        // In small pieces, so that it is asked for again.
        let piece = &rest[..rest.len().min(room).min(1_000)];
        out.extend_from_slice(piece);
        if piece.len() == rest.len() { Upload::End } else { Upload::More }
    }

    fn done(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>) {
        self.done += 1;
        let seen = self.of(ticket);
        seen.dones += 1;
        seen.result = Some(outcome.result.map_err(Clone::clone));
        seen.status = outcome.status;
        seen.final_url = outcome.final_url.to_string();
        outcome.method.clone_into(&mut seen.method);
        seen.redirects = outcome.redirects;
        seen.body_bytes = outcome.body_bytes;
        seen.truncated = outcome.truncated;
        seen.attempts = outcome.attempts;
        seen.tries = outcome.tries.len();
    }
}

/// A fetcher and its recorder.
pub struct Client {
    pub fetcher: Fetcher,
    pub recorder: Recorder,
    submitted: usize,
}

impl Client {
    pub fn new(options: Options) -> Self {
        Self {
            fetcher: Fetcher::new(options).unwrap(),
            recorder: Recorder::default(),
            submitted: 0,
        }
    }

    pub fn submit(&mut self, url: &str, profile: &Arc<Profile>) -> u64 {
        let tag = self.submitted as u64;
        let url = Url::parse(url, &UrlRules::default()).unwrap();
        let request = Request { url, tag, profile: Arc::clone(profile) };
        self.fetcher.submit(&request).unwrap();
        self.submitted += 1;
        tag
    }

    pub fn turn(&mut self) {
        self.fetcher.turn(Some(Duration::from_millis(200)), &mut self.recorder).unwrap();
    }

    /// Turns until all is done.
    pub fn finish(&mut self) {
        let start = Instant::now();
        while self.recorder.done < self.submitted {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{} of {}",
                self.recorder.done,
                self.submitted
            );
            self.turn();
        }
        assert!(self.fetcher.is_idle());
        assert!(self.recorder.seen.values().all(|seen| seen.dones == 1));
    }

    pub fn seen(&self, tag: u64) -> &Seen {
        &self.recorder.seen[&tag]
    }
}

/// One request, from beginning to end.
pub fn fetch(url: &str, profile: Profile) -> Seen {
    fetch_with(url, profile, Options::default())
}

pub fn fetch_with(url: &str, profile: Profile, options: Options) -> Seen {
    let mut client = Client::new(options);
    let tag = client.submit(url, &Arc::new(profile));
    client.finish();
    client.recorder.seen.remove(&tag).unwrap()
}

/// A server that follows these rules, by path.
pub fn serve(rules: Vec<(&str, Vec<Action>)>) -> Running {
    let mut script = Script::new();
    for (path, then) in rules {
        script = script.rule(When::path(path), then);
    }
    spawn(script).unwrap()
}
