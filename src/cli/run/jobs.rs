//! The places of the desk: which are taken, which are free, and what is lifted out for a moment.
//!
//! Owns the jobs, the fetcher's name for each, and how many there are of each host. Never knows what
//! happens to them.
#![expect(
    clippy::indexing_slicing,
    reason = "a place is never taken away: who has a number got it from `take`, by way of the request's tag"
)]

use std::ops::{Index, IndexMut};
use std::rc::Rc;

use super::job::{Job, Place, Terms};
use crate::engine::HostKey;
use crate::fetch::Ticket;

/// All places.
#[derive(Default)]
pub struct Jobs {
    #[expect(clippy::vec_box, reason = "jobs are lifted out and put back, and they are large")]
    places: Vec<Box<Job>>,
    /// Of those that the fetcher has, with the host of their own URL.
    begun: Vec<Option<(Ticket, Option<HostKey>)>>,
    /// How many there are of each host, by its index.
    of_host: Vec<u64>,
    free: Vec<usize>,
    /// Stands where a job is lifted out.
    blank: Option<Box<Job>>,
}

impl Jobs {
    /// The number of a job to fill in.
    pub fn take(&mut self, terms: &Rc<Terms>) -> usize {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(Box::default());
            self.begun.push(None);
            self.places.len() - 1
        });
        let job = &mut self[number];
        job.clear();
        job.place = Place::Taken(Rc::clone(terms));
        number
    }

    /// The fetcher has it.
    #[inline]
    pub fn begin(&mut self, number: usize, ticket: Ticket, host: Option<HostKey>) {
        self.begun[number] = Some((ticket, host));
        if let Some(host) = host.map(HostKey::index) {
            if host >= self.of_host.len() {
                self.of_host.resize(host + 1, 0);
            }
            self.of_host[host] += 1;
        }
    }

    /// How many are under way whose own URL is this host's.
    pub fn of_host(&self, host: HostKey) -> u64 {
        self.of_host.get(host.index()).copied().unwrap_or(0)
    }

    /// The job of a ticket, if it is that one's still.
    pub fn of(&mut self, ticket: Ticket) -> Option<&mut Job> {
        let number = ticket.tag as usize;
        let is_its = self.begun.get(number).copied().flatten().is_some_and(|it| it.0 == ticket);
        if is_its { Some(&mut self[number]) } else { None }
    }

    /// Lifts a job out, so that it can be looked at beside everything else; [`put_back`](Self::put_back)
    /// puts it back.
    pub fn lift(&mut self, number: usize) -> Box<Job> {
        let blank = self.blank.take().unwrap_or_default();
        std::mem::replace(&mut self.places[number], blank)
    }

    /// The job is where it was.
    #[inline]
    pub fn put_back(&mut self, number: usize, job: Box<Job>) {
        self.blank = Some(std::mem::replace(&mut self.places[number], job));
    }

    /// The job is over; what its line weighed.
    pub fn release(&mut self, number: usize) -> u64 {
        if let Some((_, Some(host))) = self.begun[number].take() {
            self.of_host[host.index()] -= 1;
        }
        self.free.push(number);
        let job = &mut self[number];
        // Progress counts what arrives for those under way; this one is counted elsewhere.
        job.place = Place::Free;
        job.trim();
        job.asked.weight()
    }

    /// How many are under way.
    pub fn in_flight(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Those under way.
    pub fn under_way(&self) -> impl Iterator<Item = &Job> {
        self.places.iter().map(|job| &**job).filter(|job| job.is_taken())
    }
}

impl Index<usize> for Jobs {
    type Output = Job;
    #[inline]
    fn index(&self, number: usize) -> &Job {
        &self.places[number]
    }
}

impl IndexMut<usize> for Jobs {
    #[inline]
    fn index_mut(&mut self, number: usize) -> &mut Job {
        &mut self.places[number]
    }
}
