//! What is known of each request between submission and its end.
//!
//! One slot a request, found by index; slots keep their memory for the next one. Owns where a
//! request stands on its way over redirects, and its outcome; what an answer means for it is
//! judged in [`pass`](super::pass).
#![expect(
    clippy::indexing_slicing,
    reason = "a slot's number is that of a slot, a host's key that of one introduced before: neither are ever fewer"
)]

use core::mem::size_of;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use super::ask::Usual;
use super::decode::{self, Decoder};
use super::names::Directory;
use super::redirect::{Asked, Hop, Trail};
use super::visitor::{Entry, Place, Places};
use super::{Error, Options, Outcome, Profile, RedirectError, Request, Ticket, Url, address};
use crate::engine::{self, Advice, ConnInfo, HostKey, Times, Try};
use crate::net::Driver;
use crate::net::mio::Mio;
use crate::proto::Body;

/// Decoders that are kept for further bodies.
const SPARE_DECODERS: usize = 32;

/// What a slot takes, with its place.
pub(super) const SLOT_BYTES: usize = size_of::<Slot>() + size_of::<Entry>() + 8;

/// One request.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) request: Request,
    /// The present station, where redirects led elsewhere than the request.
    pub(super) moved: Option<Box<Url>>,
    /// The station before. Boxed, as all that most requests never have: thousands of slots wait.
    pub(super) previous: Option<Box<Url>>,
    pub(super) trail: Trail,
    /// A redirect made it a GET.
    pub(super) became_get: bool,
    /// A redirect made us drop the method that the user named.
    pub(super) drops_named: bool,
    /// A redirect left the body behind.
    pub(super) body_dropped: bool,
    /// `Expect` was refused (417).
    pub(super) no_expect: bool,
    /// `Expect` goes out with the request.
    pub(super) expects: bool,
    /// What follows when the answer that came is over.
    pub(super) then: Then,
    /// The visitor has seen a head of this station.
    pub(super) shown: bool,
    /// What the visitor has is void, and it does not know yet.
    pub(super) voided: Option<engine::Kind>,
    pub(super) decoder: Option<Box<Decoder>>,
    /// The body is read and thrown away.
    pub(super) skip: bool,
    pub(super) status: Option<u16>,
    pub(super) delivered: u64,
    pub(super) truncated: bool,
    /// The head was all that was asked for, and its body was not waited for.
    pub(super) head_alone: bool,
    /// What this layer found wrong.
    pub(super) error: Option<Box<Error>>,
    /// Time that the hops of this attempt took.
    pub(super) spent: Duration,
    pub(super) redirect_time: Duration,
    pub(super) wire_bytes: u64,
    pub(super) attempts: u32,
    /// Connections that were opened for earlier hops.
    pub(super) connects: u32,
    /// Failed attempts of earlier hops.
    pub(super) tries: Vec<Try>,
    /// The peer of the last hop.
    pub(super) remote: Option<SocketAddr>,
    /// The engine's key for the origin of the request's own URL, once it was asked.
    pub(super) home: Option<HostKey>,
}

/// What follows when an answer is over.
#[derive(Debug, Default)]
pub(super) enum Then {
    /// It was the result.
    #[default]
    Done,
    /// The next station.
    Follow(Box<Hop>),
    /// The same again, without `Expect`.
    WithoutExpect,
}

impl Slot {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            request: request.clone(),
            moved: None,
            previous: None,
            trail: Trail::default(),
            became_get: false,
            drops_named: false,
            body_dropped: false,
            no_expect: false,
            expects: false,
            then: Then::Done,
            shown: false,
            voided: None,
            decoder: None,
            skip: false,
            status: None,
            delivered: 0,
            truncated: false,
            head_alone: false,
            error: None,
            spent: Duration::ZERO,
            redirect_time: Duration::ZERO,
            wire_bytes: 0,
            attempts: 0,
            connects: 0,
            tries: Vec::new(),
            remote: None,
            home: None,
        }
    }

    /// Takes another request; memory is kept.
    pub(super) fn reuse(&mut self, request: &Request) {
        self.request.url.clone_from(&request.url);
        self.request.tag = request.tag;
        // Nearly all share one: its counter is left alone then.
        if !Arc::ptr_eq(&self.request.profile, &request.profile) {
            self.request.profile = Arc::clone(&request.profile);
        }
        self.moved = None;
        self.previous = None;
        self.trail.clear();
        self.became_get = false;
        self.drops_named = false;
        self.body_dropped = false;
        self.no_expect = false;
        self.expects = false;
        self.redirect_time = Duration::ZERO;
        self.spent = Duration::ZERO;
        self.wire_bytes = 0;
        self.attempts = 0;
        self.connects = 0;
        self.tries.clear();
        self.remote = None;
        self.home = None;
        self.status = None;
        self.begin_station();
    }

    #[inline]
    pub(super) fn begin_station(&mut self) {
        self.then = Then::Done;
        self.shown = false;
        self.voided = None;
        self.skip = false;
        self.delivered = 0;
        self.truncated = false;
        self.head_alone = false;
        self.error = None;
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.request.profile
    }

    /// The present station.
    pub(super) fn url(&self) -> &Url {
        self.moved.as_deref().unwrap_or(&self.request.url)
    }

    /// Whether the present station is of the first one's origin.
    pub(super) fn at_home(&self) -> bool {
        self.trail.hops() == 0 || self.url().same_origin(&self.request.url)
    }

    /// What to do with a body that nobody wants. Where only the head was asked for, by a method
    /// that has bodies in its answers (`-I -X POST`), one may be announced that never comes.
    pub(super) fn without_body(&self, body: Body) -> Advice {
        if self.profile().head && body != Body::None { Advice::Abort } else { Advice::SkipBody }
    }

    #[inline]
    pub(super) fn asked(&self) -> Asked<'_> {
        let profile = self.profile();
        Asked {
            url: self.url(),
            nature: if self.became_get { "GET" } else { profile.nature() },
            named: profile.method.as_deref().filter(|_| !self.drops_named),
            follow: profile.follow,
        }
    }

    /// The method at the present station.
    #[inline]
    pub(super) fn method(&self) -> &str {
        self.asked().method()
    }

    /// What `Referer` says at the present station.
    #[inline]
    pub(super) fn referer(&self) -> Option<&str> {
        let profile = self.profile();
        match &self.previous {
            // A secure page is not told to an insecure one (RFC 9110 section 10.1.3).
            Some(previous) if profile.auto_referer => {
                let told = previous.scheme() == self.url().scheme()
                    || previous.scheme() == super::Scheme::Http;
                told.then(|| previous.without_fragment())
            }
            _ => profile.referer.as_deref(),
        }
    }

    /// Moves on to the next station, or says why not.
    pub(super) fn follow(&mut self, hop: Hop, options: &Options) -> Result<(), RedirectError> {
        let method = self.method().to_owned();
        let mut trail = core::mem::take(&mut self.trail);
        let step = trail.step(self.url(), &method, &hop, &options.redirects);
        self.trail = trail;
        step?;
        if let (Some(from), Some(to)) = (self.remote, hop.url.address())
            && options.addresses.guard_redirects
            && !address::is_private(from.ip())
            && !options.addresses.permit(to, false)
        {
            return Err(RedirectError::IntoPrivateNetwork);
        }
        self.became_get |= hop.becomes_get;
        self.drops_named |= hop.drops_named;
        self.body_dropped |= hop.becomes_get;
        let replayable =
            !matches!(self.profile().body, super::Body::Stream { replayable: false, .. });
        if !self.body_dropped && !replayable {
            return Err(RedirectError::BodyNotReplayable);
        }
        let from = self.moved.replace(Box::new(hop.url));
        self.previous = Some(from.unwrap_or_else(|| Box::new(self.request.url.clone())));
        Ok(())
    }

    /// The outcome, put together from what the last hop's report says and what is known here.
    pub(super) fn outcome<'a>(
        &'a self,
        result: Result<u16, &'a Error>,
        last: &Last<'a>,
    ) -> Outcome<'a> {
        Outcome {
            result,
            status: self.status,
            url: &self.request.url,
            final_url: self.url(),
            referer: self.referer(),
            method: self.method(),
            redirects: self.trail.hops(),
            redirect_time: self.redirect_time,
            body_bytes: self.delivered,
            content_bytes: last.content_bytes,
            wire_bytes: self.wire_bytes + last.wire_bytes,
            truncated: self.truncated,
            attempts: self.attempts + last.attempts,
            connects: self.connects + fresh(last.conn.as_ref()),
            tries: last.tries,
            times: last.times,
            conn: last.conn,
            resumed_at: last.resumed_at,
        }
    }
}

/// How many connections were opened for a hop, as far as its last attempt tells.
pub(super) fn fresh(conn: Option<&ConnInfo>) -> u32 {
    conn.map_or(0, |conn| u32::from(!conn.reused))
}

/// What the engine says of the last hop.
#[derive(Default)]
pub(super) struct Last<'a> {
    pub(super) attempts: u32,
    pub(super) tries: &'a [Try],
    pub(super) times: Times,
    pub(super) conn: Option<ConnInfo>,
    pub(super) wire_bytes: u64,
    pub(super) content_bytes: u64,
    pub(super) resumed_at: Option<u64>,
}

/// All requests, and what they share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) slots: Vec<Slot>,
    pub(super) places: Places,
    pub(super) free: Vec<u32>,
    /// Slots between two hops, in order.
    pub(super) between: Vec<u32>,
    #[expect(clippy::vec_box, reason = "they come from slots in their boxes, and go back so")]
    pub(super) decoders: Vec<Box<Decoder>>,
    /// What most requests look like.
    pub(super) usual: Usual,
    /// The slot that was submitted last.
    last: usize,
    /// By the host's index: whether it was introduced, and whether the user named it.
    hosts: Vec<Known>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    introduced: bool,
    named: bool,
}

impl State {
    pub(super) const fn new(options: Options) -> Self {
        let most = options.engine.max_jobs as usize;
        Self {
            options,
            slots: Vec::new(),
            places: Places {
                entries: Vec::new(),
                queued: Vec::new(),
                most,
                live: 0,
                closed: false,
            },
            free: Vec::new(),
            between: Vec::new(),
            decoders: Vec::new(),
            usual: Usual::Unknown,
            last: 0,
            hosts: Vec::new(),
        }
    }

    /// Whether the user named this host, or its like.
    pub(super) fn is_named(&self, host: HostKey) -> bool {
        self.hosts.get(host.index()).is_none_or(|known| known.named)
    }

    /// How many requests there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A slot for a request.
    pub(super) fn take(&mut self, request: &Request) -> Ticket {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize].reuse(request);
                slot
            }
            None => {
                self.slots.push(Slot::new(request));
                self.places.entries.push(Entry {
                    generation: 0,
                    place: Place::Here,
                    live: false,
                    doomed: false,
                });
                (self.slots.len() - 1) as u32
            }
        };
        let entry = &mut self.places.entries[slot as usize];
        entry.doomed = false;
        entry.live = true;
        self.places.live += 1;
        Ticket { slot, generation: entry.generation, tag: request.tag }
    }

    /// A slot is free again; tickets to it are dead.
    pub(super) fn release(&mut self, slot: usize) {
        if let Some(decoder) = self.slots[slot].decoder.take() {
            self.keep_decoder(decoder);
        }
        let entry = &mut self.places.entries[slot];
        entry.generation = entry.generation.wrapping_add(1);
        entry.place = Place::Here;
        if core::mem::replace(&mut entry.live, false) {
            self.places.live -= 1;
        }
        self.free.push(slot as u32);
    }

    /// A request's visitor is about to be told that it is done: another one may take its place.
    pub(super) fn leave(&mut self, slot: usize) {
        if core::mem::replace(&mut self.places.entries[slot].live, false) {
            self.places.live -= 1;
        }
    }

    /// Tickets of all requests with this tag; `None`: of all.
    #[cfg(feature = "remote")]
    pub(super) fn tickets_of(&self, tag: Option<u64>) -> Vec<Ticket> {
        let live = self.places.entries.iter().enumerate().filter(|(_, entry)| entry.live);
        let tickets = live.map(|(slot, _)| self.ticket(slot));
        tickets.filter(|ticket| tag.is_none_or(|tag| tag == ticket.tag)).collect()
    }

    #[inline]
    pub(super) fn ticket(&self, slot: usize) -> Ticket {
        Ticket {
            slot: slot as u32,
            generation: self.places.entries[slot].generation,
            tag: self.slots[slot].request.tag,
        }
    }

    /// The host of this slot, if it is that of the slot before: nearly always, in most lists.
    pub(super) fn host_as_before(&self, slot: usize) -> Option<HostKey> {
        let before = &self.slots[self.last];
        let same = before.request.url.origin() == self.slots[slot].url().origin();
        before.home.filter(|_| same)
    }

    /// A host is about to be asked: the first time, whoever knows where it is says so.
    pub(super) fn introduce(
        &mut self,
        driver: &mut Driver<Mio>,
        directory: &Directory,
        host: HostKey,
        slot: usize,
    ) {
        if host.index() >= self.hosts.len() {
            self.hosts.resize_with(host.index() + 1, Known::default);
        }
        if self.slots[slot].trail.hops() == 0 {
            self.slots[slot].home = Some(host);
            self.last = slot;
        }
        let slot = &self.slots[slot];
        let known = &mut self.hosts[host.index()];
        // A private host may redirect to its like.
        let from_private = slot.remote.is_none_or(|remote| address::is_private(remote.ip()));
        known.named |= slot.trail.hops() == 0 || from_private;
        if !core::mem::replace(&mut known.introduced, true) {
            directory.introduce(driver, host);
        }
    }

    #[expect(clippy::unnecessary_box_returns, reason = "one that is kept has its box already")]
    pub(super) fn decoder(&mut self, codings: &[decode::Coding]) -> Box<Decoder> {
        match self.decoders.iter().position(|decoder| decoder.codings() == codings) {
            Some(at) => self.decoders.swap_remove(at),
            None => Box::new(Decoder::new(codings, self.options.decode)),
        }
    }

    pub(super) fn keep_decoder(&mut self, mut decoder: Box<Decoder>) {
        if self.decoders.len() < SPARE_DECODERS {
            // Now, not when it is used again: some give back a window of megabytes.
            decoder.restart();
            self.decoders.push(decoder);
        }
    }
}
