//! The upward seam: how whoever submits requests sees what happens to them.
//!
//! Plain borrowed values go up; what a visitor wants changed goes through [`Control`], which only
//! queues it.

use core::net::SocketAddr;
use core::time::Duration;

use super::{Error, ErrorKind, Request, Url};
use crate::engine::{self, ConnInfo, Ctl, Draft, JobKey, Phase, Times, Try, Upload};
use crate::proto::{Body, Fields, Head};

/// Names a request that was submitted, for as long as it lasts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket {
    pub(super) slot: u32,
    pub(super) generation: u32,
    /// The submitter's own number.
    pub tag: u64,
}

impl Ticket {
    /// One number for it, never zero; no two requests that are under way have the same.
    pub const fn id(self) -> u64 {
        ((self.generation as u64) << 32) | (self.slot as u64 + 1)
    }

    /// The ticket of that [`id`](Self::id), its tag left out: good for commands. One that is dead,
    /// or never was, names nothing.
    pub const fn from_id(id: u64) -> Self {
        let slot = (id as u32).wrapping_sub(1);
        Self { slot, generation: (id >> 32) as u32, tag: 0 }
    }
}

/// What to do with an answer whose head is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Want {
    /// Deliver the body.
    Body,
    /// The body is of no interest; the request ends well.
    NoBody,
    /// This is not what was wanted: the request ends as
    /// [`Filtered`](super::ErrorKind::Filtered).
    Stop,
}

/// An answer's head, the final one of its request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Answer<'a> {
    /// Where it came from, after redirects.
    pub url: &'a Url,
    /// The method that it answers.
    pub method: &'a str,
    /// Status and fields.
    pub head: &'a Head<'a>,
    /// How its body is delimited.
    pub body: Body,
    /// Whether the body is decoded before it is delivered.
    pub decoded: bool,
    /// Redirects before it.
    pub redirects: u32,
}

/// A redirect that is about to be followed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Redirect<'a> {
    /// Where it came from.
    pub url: &'a Url,
    /// The method that it answers.
    pub method: &'a str,
    /// Status and fields.
    pub head: &'a Head<'a>,
    /// Where it leads.
    pub to: &'a Url,
    /// From now on it is a GET: what the request carried stays behind.
    pub becomes_get: bool,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Outcome<'a> {
    /// The final status, or why the request failed.
    pub result: Result<u16, &'a Error>,
    /// The last status that came, also where the request failed afterwards.
    pub status: Option<u16>,
    /// What was asked for.
    pub url: &'a Url,
    /// Where that led.
    pub final_url: &'a Url,
    /// What the last hop's `Referer` said, as far as the options gave one.
    pub referer: Option<&'a str>,
    /// The method of the last hop.
    pub method: &'a str,
    /// Redirects that were followed.
    pub redirects: u32,
    /// How long the hops before the last one took.
    pub redirect_time: Duration,
    /// Bytes of the body that were delivered in this run, after decoding.
    pub body_bytes: u64,
    /// Bytes of the body before decoding, without framing: what came in this run, over all attempts that
    /// stand, and what an earlier run left ([`Profile::resume`](super::Profile::resume)) where that stands.
    pub content_bytes: u64,
    /// Bytes on the wire, heads and framing included, TLS not; all hops and attempts.
    pub wire_bytes: u64,
    /// The body was cut off where [`Profile::truncate`](super::Profile::truncate) said.
    pub truncated: bool,
    /// Attempts made, over all hops.
    pub attempts: u32,
    /// Connections that were opened for it: one for each hop whose last attempt had a fresh one.
    pub connects: u32,
    /// Attempts that failed, over all hops.
    pub tries: &'a [Try],
    /// How long the last attempt's phases took, of the last hop.
    pub times: Times,
    /// The connection of the last attempt.
    pub conn: Option<ConnInfo>,
    /// Where the last verified continuation began, in bytes before decoding.
    pub resumed_at: Option<u64>,
}

/// Receives what happens to requests.
pub trait Visitor {
    /// An answer that is not the result came: an interim one (1xx), a 417, after which the request
    /// is made again without `Expect`, or one with which it fails: a redirect that can't be followed,
    /// a body that is too large or has a coding that is unknown.
    fn interim(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, head: &Head<'_>) {
        let _ = (ctl, ticket, head);
    }

    /// Whether a redirect that may be followed is followed: a veto. After `false` the answer that
    /// redirects is the result.
    fn follow(&mut self, ticket: Ticket, redirect: &Redirect<'_>) -> bool {
        let _ = (ticket, redirect);
        true
    }

    /// An attempt is about to be sent: its head may still be changed. Asked before each attempt at
    /// each hop, so that signatures and tokens that expire are made anew. [`Draft::bytes`] shows
    /// what is asked for; [`Draft::attempt`] begins with 1 again at each hop.
    fn prepare(&mut self, ticket: Ticket, head: &mut Draft<'_>) {
        let _ = (ticket, head);
    }

    /// Whether a request may be sent once more, though the rules allow it: a veto. `why` is what
    /// ended the attempt; [`StatusExhausted`](engine::Kind::StatusExhausted) with the status, when
    /// the answer asks to come back later.
    fn repeat(&mut self, ticket: Ticket, why: engine::Kind, status: Option<u16>) -> bool {
        let _ = (ticket, why, status);
        true
    }

    /// Whether a connection to this address may be opened. Asked before every connect, also of
    /// addresses that [`Options::addresses`](super::Options::addresses) allow. A guard against
    /// private networks judges `address.ip().to_canonical()`, for an IPv4 address may come as IPv6
    /// (`::ffff:10.0.0.1`).
    fn allow_addr(&mut self, address: SocketAddr) -> bool {
        let _ = address;
        true
    }

    /// A redirect came, and is followed.
    fn redirect(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, redirect: &Redirect<'_>) {
        let _ = (ctl, ticket, redirect);
    }

    /// The answer's head came. It comes again after [`restart`](Self::restart). Where the rest of what an
    /// earlier run left comes ([`Profile::resume`](super::Profile::resume)) it is that of the 206, and
    /// [`resumed`](Self::resumed) follows; later continuations have none.
    fn head(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, answer: &Answer<'_>) -> Want;

    /// Bytes of the body came, decoded where that was asked for.
    fn body(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, bytes: &[u8]);

    /// Trailer fields came.
    fn trailers(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, fields: Fields<'_>) {
        let _ = (ctl, ticket, fields);
    }

    /// What was delivered, in this run or in the one that [`Profile::resume`](super::Profile::resume)
    /// tells of, is void: the body comes from the start, after another [`head`](Self::head), if the request
    /// does not fail before.
    fn restart(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, why: engine::Kind) {
        let _ = (ctl, ticket, why);
    }

    /// The body goes on, verified, from offset `at` (in bytes before decoding).
    fn resumed(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, at: u64) {
        let _ = (ctl, ticket, at);
    }

    /// More of a streamed request body is wanted: append at most `room` bytes of it, from offset
    /// `at` on, to `out`; more than those fail. Another attempt, and a redirect that keeps the body, begin at
    /// zero again. Whoever submits such requests has to have this method: by default they fail.
    ///
    /// As in [`Handler::upload`](engine::Handler::upload): [`Upload::More`] wants at least one byte, else the
    /// attempt ends as `send_timeout`; a request that waits after [`Upload::Pending`] does so for ever,
    /// unless [`Profile::timeout`](super::Profile::timeout) ends it.
    fn upload(
        &mut self,
        ctl: &mut Control<'_, '_>,
        ticket: Ticket,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Upload {
        let _ = (ctl, ticket, at, out, room);
        Upload::Failed
    }

    /// The request is at its end, exactly once; its ticket is dead from now on.
    fn done(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>);
}

/// Where a slot's request is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// There is none, or it is between two hops.
    Here,
    /// With the engine, under this key.
    Engine(JobKey),
}

/// What [`Control`] needs to know of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Tickets of another one are dead.
    pub(super) generation: u32,
    pub(super) place: Place,
    /// There is a request.
    pub(super) live: bool,
    /// It was called off: should a hop end before the engine hears of it, no other follows.
    pub(super) doomed: bool,
}

/// Which request is where, by slot, and what visitors have submitted.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) entries: Vec<Entry>,
    /// Requests that begin after the turn, and whether they were called off before.
    pub(super) queued: Vec<(Request, bool)>,
    /// How many requests there may be, and how many there are.
    pub(super) most: usize,
    pub(super) live: usize,
    /// Nothing is taken any more.
    pub(super) closed: bool,
}

impl Places {
    /// How many more requests are taken.
    pub(super) fn room(&self) -> usize {
        if self.closed {
            return 0;
        }
        self.most.saturating_sub(self.live + self.queued.len())
    }

    /// Why there is no room.
    pub(super) const fn refusal(&self) -> ErrorKind {
        if self.closed { ErrorKind::Draining } else { ErrorKind::Full }
    }

    fn get(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        self.entries
            .get_mut(ticket.slot as usize)
            .filter(|entry| entry.generation == ticket.generation)
    }

    fn job(&mut self, ticket: Ticket) -> Option<JobKey> {
        match self.get(ticket)?.place {
            Place::Engine(job) => Some(job),
            Place::Here => None,
        }
    }
}

/// What may be asked for, from within a visitor or from outside. Queued, and applied after what is
/// being handled.
#[derive(Debug)]
pub struct Control<'a, 'e> {
    pub(super) ctl: &'a mut Ctl<'e>,
    pub(super) places: &'a mut Places,
}

impl Control<'_, '_> {
    /// Takes another request, which begins after what is being handled. In `done` the place of the request
    /// that is done is free already.
    ///
    /// # Errors
    /// [`ErrorKind::Full`](super::ErrorKind::Full) and [`ErrorKind::Draining`](super::ErrorKind::Draining) only;
    /// whatever else is wrong with it is told by [`Visitor::done`].
    pub fn submit(&mut self, request: &Request) -> Result<(), Error> {
        if self.places.room() == 0 {
            return Err(Error::new(self.places.refusal(), Phase::Queue));
        }
        self.places.queued.push((request.clone(), false));
        Ok(())
    }

    /// How many more requests are taken.
    pub fn wants(&self) -> usize {
        self.places.room()
    }

    /// Stops reading this answer. What was read with the input that is being handled is still
    /// delivered: what one read buffer decodes to, at most; where that is all, the request is done.
    ///
    /// Until [`resume`](Self::resume) only [`Profile::timeout`](super::Profile::timeout) goes on; no other
    /// time ends the request ([`Ctl::pause`] says which).
    pub fn pause(&mut self, ticket: Ticket) {
        if let Some(job) = self.places.job(ticket) {
            self.ctl.pause(job);
        }
    }

    /// Goes on reading, or asks for more of a streamed request body.
    pub fn resume(&mut self, ticket: Ticket) {
        if let Some(job) = self.places.job(ticket) {
            self.ctl.resume(job);
        }
    }

    /// Calls a request off, be it the one that this callback is about: nothing more of it is
    /// delivered, and it ends as cancelled, even if this input brings its end as well. In its own
    /// [`Visitor::done`] it is too late.
    pub fn cancel(&mut self, ticket: Ticket) {
        if let Some(entry) = self.places.get(ticket) {
            entry.doomed = true;
            if let Place::Engine(job) = entry.place {
                self.ctl.cancel(job);
            }
        }
    }

    /// Calls everything off that was submitted so far, the request of this callback included.
    pub fn cancel_all(&mut self) {
        self.ctl.cancel_all();
        for entry in &mut self.places.entries {
            entry.doomed = true;
        }
        for (_, called_off) in &mut self.places.queued {
            *called_off = true;
        }
    }
}
