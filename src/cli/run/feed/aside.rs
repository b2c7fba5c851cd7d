//! Lines of hosts that have enough of them under way: they wait aside, so that the window has places
//! for others.
//!
//! Owns the rule for it. A host has enough when as many wait for it as are left of the window's first
//! half, however slow, paused or sick it is; the second half is for those that come later: of each as
//! many as it works on, or a few. Further lines are read and put aside as long as that leads to lines
//! for others; a list of one host is not read for nothing. Where the lines lie is the backlog's affair,
//! and how many wait is the fetcher's word, once a round.

use std::io;
use std::time::{Duration, Instant};

use crate::cli::backlog::{Backlog, Queue};
use crate::engine::HostKey;
use crate::fetch::{Fetcher, Ticket, Url};

/// Hosts that have enough at once; more of them wait in the window.
const MOST: usize = 256;
/// After so many lines in a row that led to nothing the reading rests, longer each time.
const IN_VAIN: u32 = 4096;
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(8);

/// The window as it is before a step.
#[derive(Clone, Copy)]
pub struct Room {
    pub now: Instant,
    /// Places for jobs, and those that are taken.
    pub places: u64,
    pub taken: u64,
    /// Bytes of lines that may be held, and that are.
    pub bytes: u64,
    pub held: u64,
}

impl Room {
    /// More than three quarters are free: nobody has too much of it.
    const fn is_wide(&self) -> bool {
        self.taken * 4 < self.places && self.held * 4 < self.bytes
    }

    /// So many that wait for a host are enough, while it works on `busy`.
    fn enough(&self, busy: u64) -> u64 {
        // Lines that are long take more than a place.
        let long = u128::from(self.held) * u128::from(self.places) / u128::from(self.bytes.max(1));
        let left = (self.places / 2).saturating_sub(self.taken.max(long as u64));
        // All that have a few fit into three quarters of the other half, and what is on connections into the rest.
        let few = self.places / 2 * 3 / 4 / MOST as u64;
        left.max(few).max(busy).max(1)
    }
}

/// Who has enough, and what waits for them.
#[derive(Default)]
pub struct Aside {
    backlog: Backlog,
    shelves: Vec<Shelf>,
    /// Requests of this round for other hosts, which the fetcher does not count yet.
    fresh: Vec<(HostKey, u64)>,
    /// Lines in a row that were put aside.
    in_vain: u32,
    rest: Option<(Instant, Duration)>,
}

/// A host that has enough.
struct Shelf {
    host: HostKey,
    origin: Vec<u8>,
    /// Requests that wait for it, and those that it works on.
    waiting: u64,
    busy: u64,
    queue: Queue,
}

impl Shelf {
    fn is_full(&self, room: &Room) -> bool {
        self.waiting >= room.enough(self.busy)
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

    /// A round begins: how many wait is known anew. Who has clearly less than enough has no shelf any more.
    pub fn begin_round(&mut self, room: &Room, fetcher: &Fetcher) {
        self.fresh.clear();
        if self.shelves.is_empty() {
            return;
        }
        self.shelves.retain_mut(|shelf| {
            (shelf.waiting, shelf.busy) = fetcher.waiting(shelf.host);
            shelf.queue.len() > 0 || shelf.waiting * 2 >= room.enough(shelf.busy)
        });
        if self.shelves.is_empty() {
            (self.in_vain, self.rest) = (0, None);
        }
    }

    /// A request is under way: perhaps its host has enough with it.
    #[inline]
    pub fn begun(&mut self, room: &Room, fetcher: &Fetcher, ticket: Ticket, url: &Url) {
        if !room.is_wide() || !self.is_empty() {
            self.count(room, fetcher, ticket, url);
        }
    }

    #[cold]
    fn count(&mut self, room: &Room, fetcher: &Fetcher, ticket: Ticket, url: &Url) {
        let Some(host) = fetcher.home_of(ticket) else { return };
        if let Some(shelf) = self.shelves.iter_mut().find(|shelf| shelf.host == host) {
            shelf.waiting += 1;
            return;
        }
        let fresh = if let Some(known) = self.fresh.iter_mut().rev().find(|it| it.0 == host) {
            known.1 += 1;
            known.1
        } else {
            self.fresh.push((host, 1));
            1
        };
        let (waiting, busy) = fetcher.waiting(host);
        let (waiting, queue) = (waiting + fresh, Queue::default());
        if waiting >= room.enough(busy) && self.shelves.len() < MOST {
            let origin = url.origin().to_vec();
            self.shelves.push(Shelf { host, origin, waiting, busy, queue });
        }
    }

    /// The next line that waits for a host which has room for it; its number.
    pub fn next(&mut self, room: &Room, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let fits = |shelf: &Shelf| shelf.queue.len() > 0 && !shelf.is_full(room);
        let Some(at) = self.shelves.iter().position(fits) else { return Ok(None) };
        // Each in its turn.
        let shelf = self.shelves.remove(at);
        self.shelves.push(shelf);
        let Some(shelf) = self.shelves.last_mut() else { return Ok(None) };
        self.backlog.take(&mut shelf.queue, line)
    }

    /// Whether the list is better left alone for now: what would come has to wait, and that was in vain for long.
    pub fn rests(&mut self, room: &Room) -> bool {
        if self.in_vain >= IN_VAIN {
            let last = self.rest.map_or(Duration::ZERO, |(_, rest)| rest);
            let rest = (last * 2).clamp(REST, LONGEST_REST);
            (self.rest, self.in_vain) = (Some((room.now + rest, rest)), 0);
        }
        self.rest.is_some_and(|(until, _)| until > room.now)
            && self.is_open()
            && self.shelves.iter().any(|shelf| shelf.is_full(room))
    }

    /// Puts a line aside, if its host has enough.
    pub fn puts(&mut self, room: &Room, url: &Url, number: u64, line: &[u8]) -> bool {
        let origin = url.origin();
        let Some(shelf) = self.shelves.iter_mut().find(|shelf| shelf.origin == origin) else {
            (self.in_vain, self.rest) = (0, None);
            return false;
        };
        let waits = shelf.queue.len() > 0 || shelf.is_full(room);
        if !waits || !self.backlog.is_open() {
            return false;
        }
        self.backlog.put(&mut shelf.queue, number, line);
        self.in_vain += 1;
        true
    }
}
