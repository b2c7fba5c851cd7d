//! Mirrors URLs inside a mio loop that was there before, within a megabyte:
//! `cargo run --example mirror -- DIR < urls.txt`
//!
//! Each body goes to `DIR/N`, N being the line's number from 0. Redirects are followed, failures
//! are told, and a body is under its own name only when it is whole.

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gannet::Fetcher;
use gannet::engine::{Kind, Load};
use gannet::fetch::{
    Answer, Control, Follow, Options, Outcome, Profile, Request, Ticket, Url, UrlRules, Visitor,
    Want,
};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

const FETCHER: Token = Token(0);

/// What became of the list.
#[derive(Debug, Default)]
pub struct Mirror {
    dir: PathBuf,
    /// Files that are being written: never more than there are connections.
    open: HashMap<u64, File>,
    /// Bodies that are whole.
    pub whole: u64,
    /// What failed, each with a sentence.
    pub failed: Vec<String>,
}

impl Mirror {
    fn part(&self, tag: u64) -> PathBuf {
        self.dir.join(format!("{tag}.part"))
    }
}

impl Visitor for Mirror {
    fn head(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, answer: &Answer<'_>) -> Want {
        if answer.head.status != 200 {
            return Want::NoBody;
        }
        match File::create(self.part(ticket.tag)) {
            Ok(file) => {
                self.open.insert(ticket.tag, file);
                Want::Body
            }
            Err(_) => {
                // No disk, no mirror.
                ctl.cancel_all();
                Want::Stop
            }
        }
    }

    fn body(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, bytes: &[u8]) {
        let written = self.open.get_mut(&ticket.tag).map(|file| file.write_all(bytes));
        if matches!(written, Some(Err(_))) {
            ctl.cancel(ticket);
        }
    }

    fn restart(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, _: Kind) {
        // What was delivered is void: the next head makes the file anew.
        self.open.remove(&ticket.tag);
    }

    fn done(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>) {
        let file = self.open.remove(&ticket.tag);
        let part = self.part(ticket.tag);
        match (outcome.result, file) {
            (Ok(200), Some(_)) => {
                match fs::rename(part, self.dir.join(ticket.tag.to_string())) {
                    Ok(()) => self.whole += 1,
                    Err(error) => self.failed.push(format!("{}: {error}", outcome.url)),
                }
                return;
            }
            (Ok(status), _) => self.failed.push(format!("{}: status {status}", outcome.url)),
            (Err(error), _) => self.failed.push(format!("{}: {error}", outcome.url)),
        }
        // There may be none.
        let _ = fs::remove_file(part);
    }
}

/// Options that keep a fetcher within a megabyte, trust anchors and caches included.
pub fn options() -> Options {
    let mut options = Options::tiny();
    options.engine.max_connections = 8;
    options.engine.max_jobs = 16;
    options
}

/// Mirrors `urls` into `dir`.
pub fn run(
    options: Options,
    urls: impl IntoIterator<Item = String>,
    dir: &Path,
) -> Result<Mirror, Box<dyn Error>> {
    assert!(options.most_bytes(&Load { hosts: 32, ..Load::default() }) < 1024 * 1024);
    let mut fetcher = Fetcher::new(options)?;
    let mut mirror = Mirror { dir: dir.to_owned(), ..Mirror::default() };
    // One profile for all: a request costs its URL.
    let profile = Arc::new(Profile { follow: Follow::Standard, ..Profile::default() });
    let mut urls = urls.into_iter().enumerate();
    let mut more = true;

    // The loop that was there before; its own sources have tokens of their own.
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    let fd = fetcher.as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), FETCHER, Interest::READABLE)?;
    while more || !fetcher.is_idle() {
        // The list may be as long as it likes: the fetcher takes what it has room for.
        while more && fetcher.wants() > 0 {
            let Some((line, text)) = urls.next() else {
                more = false;
                break;
            };
            let request = Url::parse(&text, &UrlRules::default()).map(|url| Request {
                url,
                tag: line as u64,
                profile: Arc::clone(&profile),
            });
            let submitted = match request {
                Ok(request) => fetcher.submit(&request).map(drop),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = submitted {
                mirror.failed.push(format!("{text}: {error}"));
            }
        }
        poll.poll(&mut events, fetcher.next_timeout())?;
        // … the loop's other sources are served here …
        // Whatever woke us: a turn without anything to do costs one system call.
        fetcher.turn(Some(Duration::ZERO), &mut mirror)?;
    }
    Ok(mirror)
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: mirror DIR < urls.txt")?;
    let urls = std::io::stdin().lines().map_while(Result::ok);
    let mirror = run(options(), urls, Path::new(&dir))?;
    for line in &mirror.failed {
        eprintln!("{line}");
    }
    println!("{} whole, {} failed", mirror.whole, mirror.failed.len());
    Ok(())
}
