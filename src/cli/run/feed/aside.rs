//! Lines of hosts that have enough of them under way: they wait aside, so that the window has places
//! for others.
//!
//! Owns the rule for it. A host has enough when as many of its lines wait as are left of the window's
//! first half, however slow, paused or sick it is; the second half is for those that come later: of each as
//! many as it works on or may begin, or a few. A line is that of its own URL's host, wherever that
//! redirects to. Further lines are read and put aside as long as that leads to lines for others; a list
//! of one host is not read for nothing. Where the lines lie is the backlog's affair.

use std::io;
use std::time::{Duration, Instant};

use crate::cli::backlog::{Backlog, Queue};
use crate::cli::run::jobs::Jobs;
use crate::engine::HostKey;
use crate::fetch::{Fetcher, Url};

/// Hosts that have enough at once; more of them wait in the window.
const MOST: usize = 256;
/// After so many lines in a row that led to nothing the reading rests, longer each time.
const IN_VAIN: u64 = 4096;
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

    /// So many jobs are enough for a host.
    fn enough(&self, work: Work, shelves: usize) -> u64 {
        // Lines that are long take more than a place.
        let long = u128::from(self.held) * u128::from(self.places) / u128::from(self.bytes.max(1));
        let left = (self.places / 2).saturating_sub(self.taken.max(long as u64));
        let few = self.places / 2 * 3 / 4 / MOST as u64;
        let begins = work.allowed.saturating_sub(work.busy);
        let begins = begins.min(self.places / 2 / (shelves as u64 + 1));
        work.busy + left.max(few).max(work.busy).max(1) + begins
    }
}

/// What a host does, once a round: so many requests are on its connections, of which it may have as many.
#[derive(Clone, Copy)]
struct Work {
    busy: u64,
    allowed: u64,
}

impl Work {
    fn of(host: HostKey, fetcher: &Fetcher) -> Self {
        let (busy, allowed) = fetcher.work_of(host);
        Self { busy: busy.into(), allowed: allowed.into() }
    }
}

/// Who has enough, and what waits for them.
#[derive(Default)]
pub struct Aside {
    backlog: Backlog,
    shelves: Vec<Shelf>,
    /// Jobs that only wait for these.
    idle: u64,
    /// Lines in a row that were put aside, and the most in a row so far.
    in_vain: u64,
    longest: u64,
    rest: Option<(Instant, Duration)>,
}

/// A host that has enough.
struct Shelf {
    host: HostKey,
    origin: Vec<u8>,
    work: Work,
    queue: Queue,
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

    /// How many lines wait.
    pub fn lines(&self) -> u64 {
        self.shelves.iter().map(|shelf| shelf.queue.len()).sum()
    }

    /// Whether lines wait for this host.
    pub fn holds_for(&self, host: HostKey) -> bool {
        self.shelves.iter().any(|shelf| shelf.host == host && shelf.queue.len() > 0)
    }

    /// How many requests only wait for hosts that have enough.
    pub const fn idle(&self) -> usize {
        self.idle as usize
    }

    /// The most lines in a row that had to wait.
    pub const fn longest(&self) -> u64 {
        self.longest
    }

    /// Why lines can't wait in a file, if that was not said yet.
    pub fn trouble(&mut self) -> Option<io::Error> {
        self.backlog.trouble()
    }

    /// A round begins: what hosts do is known anew. Who has clearly less than enough has no shelf any more.
    pub fn begin_round(&mut self, room: &Room, jobs: &Jobs, fetcher: &Fetcher) {
        if self.shelves.is_empty() {
            return;
        }
        let before = self.shelves.len();
        self.idle = 0;
        self.shelves.retain_mut(|shelf| {
            shelf.work = Work::of(shelf.host, fetcher);
            let jobs = jobs.of_host(shelf.host);
            let stays = shelf.queue.len() > 0 || jobs * 2 >= room.enough(shelf.work, before);
            self.idle += if stays { jobs.saturating_sub(shelf.work.busy) } else { 0 };
            stays
        });
        if self.shelves.len() < before {
            // That one has room for what comes.
            self.go_on();
        }
    }

    /// A request of this host is under way: perhaps it has enough with it.
    #[inline]
    pub fn begun(&mut self, room: &Room, jobs: &Jobs, fetcher: &Fetcher, host: HostKey, url: &Url) {
        if !room.is_wide() || !self.is_empty() {
            self.count(room, jobs, fetcher, host, url);
        }
    }

    #[cold]
    fn count(&mut self, room: &Room, jobs: &Jobs, fetcher: &Fetcher, host: HostKey, url: &Url) {
        if self.shelves.iter().any(|shelf| shelf.host == host) {
            self.idle += 1;
        } else if self.shelves.len() < MOST {
            let (work, jobs) = (Work::of(host, fetcher), jobs.of_host(host));
            if jobs >= room.enough(work, self.shelves.len()) {
                self.idle += jobs.saturating_sub(work.busy);
                let (origin, queue) = (url.origin().to_vec(), Queue::default());
                self.shelves.push(Shelf { host, origin, work, queue });
            }
        }
    }

    fn is_full(&self, shelf: &Shelf, room: &Room, jobs: &Jobs) -> bool {
        jobs.of_host(shelf.host) >= room.enough(shelf.work, self.shelves.len())
    }

    /// The next line that waits for a host which has room for it; its number.
    pub fn next(
        &mut self,
        room: &Room,
        jobs: &Jobs,
        line: &mut Vec<u8>,
    ) -> io::Result<Option<u64>> {
        let fits = |shelf: &Shelf| shelf.queue.len() > 0 && !self.is_full(shelf, room, jobs);
        let Some(at) = self.shelves.iter().position(fits) else { return Ok(None) };
        // Each in its turn.
        let mut shelf = self.shelves.remove(at);
        let number = self.backlog.take(&mut shelf.queue, line);
        self.shelves.push(shelf);
        number
    }

    /// Whether the list is better left alone for now: what would come has to wait, and can't, or that was in vain
    /// for long.
    pub fn rests(&mut self, room: &Room, jobs: &Jobs) -> bool {
        if !self.backlog.is_open() {
            return self.holds();
        }
        if self.in_vain >= IN_VAIN {
            let last = self.rest.map_or(Duration::ZERO, |(_, rest)| rest);
            let rest = (last * 2).clamp(REST, LONGEST_REST);
            (self.rest, self.in_vain) = (Some((room.now + rest, rest)), 0);
        }
        let waits = |shelf: &Shelf| shelf.queue.len() > 0 || self.is_full(shelf, room, jobs);
        self.rest.is_some_and(|(until, _)| until > room.now) && self.shelves.iter().all(waits)
    }

    /// Puts a line aside, if its host has enough.
    pub fn puts(&mut self, room: &Room, jobs: &Jobs, url: &Url, number: u64, line: &[u8]) -> bool {
        let is_its = |shelf: &&Shelf| shelf.origin == url.origin();
        let waits = |shelf: &Shelf| shelf.queue.len() > 0 || self.is_full(shelf, room, jobs);
        if !self.shelves.iter().find(is_its).is_some_and(waits) {
            self.go_on();
            return false;
        }
        let Some(shelf) = self.shelves.iter_mut().find(|shelf| is_its(&&**shelf)) else {
            return false;
        };
        self.backlog.put(&mut shelf.queue, number, line);
        self.in_vain += 1;
        self.longest = self.longest.max(self.in_vain);
        true
    }

    /// What comes is of use.
    fn go_on(&mut self) {
        (self.in_vain, self.rest) = (0, None);
    }
}
