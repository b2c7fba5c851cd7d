//! Lines of hosts that have enough of them under way: they wait aside, so that the window has places
//! for others.
//!
//! Owns the rule for it. A host that is slow, paused or sick may not fill the window: those that wait
//! for it may be three times as many as there are places free, so that some are free whatever happens
//! (the dynamic threshold of switches whose ports share their memory). Further lines are read and put
//! aside as long as that leads to lines for others; a list of one host is not read for nothing. Where
//! the lines lie is the backlog's affair, and how many wait is the fetcher's word.

use std::io;
use std::time::{Duration, Instant};

use crate::cli::backlog::{Backlog, Queue};
use crate::engine::HostKey;
use crate::fetch::{Fetcher, Ticket, Url};

/// Those that wait for one host may be so many times as many as the places that are free.
const SHARE: u64 = 3;
/// A host that has enough for so long is one that others shall not wait for.
const PATIENCE: Duration = Duration::from_millis(500);
/// Unless it got so many more meanwhile, or a window full of them: it is quick.
const QUICK: u64 = 1024;
/// Hosts that have enough at once; more of them wait in the window.
const MOST: usize = 32;
/// After so many lines in a row that led to nothing the reading rests, longer each time.
const IN_VAIN: u32 = 4096;
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(8);

/// The window as it is now.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    pub now: Instant,
    pub fetcher: &'a Fetcher,
    /// Places for jobs, and those that are taken.
    pub places: u64,
    pub taken: u64,
    /// Bytes of lines that may be held, and that are.
    pub bytes: u64,
    pub held: u64,
}

impl Room<'_> {
    /// Places that are free; lines that are long take more than one.
    fn free(&self) -> u64 {
        let free = self.places.saturating_sub(self.taken);
        let bytes = self.bytes.saturating_sub(self.held);
        free.min(
            (u128::from(self.places) * u128::from(bytes) / u128::from(self.bytes.max(1))) as u64,
        )
    }

    /// More than half is free: nobody has too much of it.
    const fn is_wide(&self) -> bool {
        self.taken * 2 < self.places && self.held * 2 < self.bytes
    }
}

/// Who has enough, and what waits for them.
#[derive(Default)]
pub struct Aside {
    backlog: Backlog,
    shelves: Vec<Shelf>,
    /// Lines in a row that were put aside.
    in_vain: u32,
    rest: Option<(Instant, Duration)>,
}

/// A host that has enough.
struct Shelf {
    host: HostKey,
    origin: Vec<u8>,
    since: Instant,
    /// Lines that it got since then, and that the fetcher does not count yet.
    got: u64,
    fresh: u64,
    queue: Queue,
}

impl Shelf {
    fn waiting(&self, room: &Room<'_>) -> u64 {
        u64::from(room.fetcher.waiting(self.host)) + self.fresh
    }

    /// Whether so many times as many wait for it as there are places free, or more.
    fn has(&self, times: u64, room: &Room<'_>) -> bool {
        let waiting = self.waiting(room);
        waiting > 0 && waiting >= times * room.free()
    }

    fn is_full(&self, room: &Room<'_>) -> bool {
        self.has(SHARE, room)
    }

    fn takes(&mut self) {
        self.got += 1;
        self.fresh += 1;
    }

    /// Whether it has had enough for long.
    fn is_slow(&self, room: &Room<'_>) -> bool {
        self.queue.len() > 0 || room.now.duration_since(self.since) >= PATIENCE
    }
}

impl Aside {
    /// Whether no host has enough: nothing is aside then.
    pub const fn is_empty(&self) -> bool {
        self.shelves.is_empty()
    }

    /// Whether lines wait.
    pub fn holds(&self) -> bool {
        self.shelves.iter().any(|shelf| shelf.queue.len() > 0)
    }

    /// Whether lines that have to wait can.
    pub fn is_open(&self) -> bool {
        self.backlog.is_open()
    }

    /// A round begins: the fetcher counts what it got.
    pub fn begin_round(&mut self, room: &Room<'_>) {
        if self.shelves.is_empty() {
            return;
        }
        for shelf in &mut self.shelves {
            shelf.fresh = 0;
            if room.now.duration_since(shelf.since) >= PATIENCE
                && shelf.got >= QUICK.max(room.places)
            {
                (shelf.since, shelf.got) = (room.now, 0);
            }
        }
        // Who has clearly less has no shelf any more.
        self.shelves.retain(|shelf| shelf.queue.len() > 0 || shelf.has(SHARE - 1, room));
        if self.shelves.is_empty() {
            (self.in_vain, self.rest) = (0, None);
        }
    }

    /// A request is under way: perhaps its host has enough with it.
    #[inline]
    pub fn begun(&mut self, room: &Room<'_>, ticket: Ticket, url: &Url) {
        if !room.is_wide() {
            self.count(room, ticket, url);
        }
    }

    #[cold]
    fn count(&mut self, room: &Room<'_>, ticket: Ticket, url: &Url) {
        let Some(host) = room.fetcher.home_of(ticket) else { return };
        if let Some(shelf) = self.shelves.iter_mut().find(|shelf| shelf.host == host) {
            shelf.takes();
            return;
        }
        let shelf = Shelf {
            host,
            origin: Vec::new(),
            since: room.now,
            got: 0,
            fresh: 1,
            queue: Queue::default(),
        };
        if shelf.is_full(room) && self.shelves.len() < MOST {
            self.shelves.push(Shelf { origin: url.origin().to_vec(), ..shelf });
        }
    }

    /// The next line that waits for a host which has room for it; its number.
    pub fn next(&mut self, room: &Room<'_>, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let fits = |shelf: &Shelf| shelf.queue.len() > 0 && !shelf.is_full(room);
        let Some(at) = self.shelves.iter().position(fits) else { return Ok(None) };
        // Each in its turn.
        if let Some(turned) = self.shelves.get_mut(at..) {
            turned.rotate_left(1);
        }
        let Some(shelf) = self.shelves.last_mut() else { return Ok(None) };
        self.backlog.take(&mut shelf.queue, line)
    }

    /// Whether the list is better left alone for now: what would come can be neither taken nor put
    /// aside, or was in vain for long.
    pub fn rests(&mut self, room: &Room<'_>) -> bool {
        if !self.is_open() {
            return false;
        }
        if self.shelves.iter().any(|shelf| shelf.is_full(room) && !shelf.is_slow(room)) {
            return true;
        }
        if self.in_vain >= IN_VAIN {
            let last = self.rest.map_or(Duration::ZERO, |(_, rest)| rest);
            let rest = (last * 2).clamp(REST, LONGEST_REST);
            self.rest = Some((room.now + rest, rest));
            self.in_vain = 0;
        }
        self.rest.is_some_and(|(until, _)| until > room.now)
    }

    /// Puts a line aside, if its host has enough.
    pub fn puts(&mut self, room: &Room<'_>, url: &Url, number: u64, line: &[u8]) -> bool {
        let origin = url.origin();
        let Some(shelf) = self.shelves.iter_mut().find(|shelf| shelf.origin == origin) else {
            (self.in_vain, self.rest) = (0, None);
            return false;
        };
        let waits = shelf.queue.len() > 0 || (shelf.is_full(room) && shelf.is_slow(room));
        if !waits || !self.backlog.is_open() {
            return false;
        }
        self.backlog.put(&mut shelf.queue, number, line);
        self.in_vain += 1;
        true
    }
}
