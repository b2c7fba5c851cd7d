//! What is known of each request between submission and its end, and what the engine's reports
//! mean for it.
//!
//! One slot a request, found by index; slots keep their memory for the next one. Owns the verdict
//! on each answer: deliver, follow, decode, refuse.

use core::mem::size_of;
use core::net::SocketAddr;
use core::ops::ControlFlow;
use core::time::Duration;
use std::sync::Arc;

use super::ask::attempt_time;
use super::decode::{self, Decoder};
use super::names::Directory;
use super::redirect::{self, Asked, Hop, Trail};
use super::visitor::{Entry, Place, Places};
use super::{
    Answer, Control, Error, ErrorKind, Field, Options, Outcome, Profile, Redirect, RedirectError,
    Request, Ticket, Url, Visitor, Want, address, date, pace,
};
use crate::engine::pace::RateHint;
use crate::engine::{
    self, Advice, ConnInfo, Ctl, Draft, Handler, HostKey, JobRef, Phase, Report, Resume, Times,
    Try, Upload,
};
use crate::net::Driver;
use crate::net::mio::Mio;
use crate::proto::{Body, Fields, Head};

/// Decoders that are kept for further bodies.
const SPARE_DECODERS: usize = 32;

/// What a slot takes, with its place.
pub(super) const SLOT_BYTES: usize = size_of::<Slot>() + size_of::<Entry>() + 8;

/// One request.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) request: Request,
    /// The present station, where redirects led elsewhere than the request.
    moved: Option<Box<Url>>,
    /// The station before. Boxed, as all that most requests never have: thousands of slots wait.
    previous: Option<Box<Url>>,
    trail: Trail,
    /// A redirect made it a GET.
    became_get: bool,
    /// A redirect made us drop the method that the user named.
    drops_named: bool,
    /// A redirect left the body behind.
    pub(super) body_dropped: bool,
    /// `Expect` was refused (417).
    pub(super) no_expect: bool,
    /// `Expect` goes out with the request.
    pub(super) expects: bool,
    /// What follows when the answer that came is over.
    then: Then,
    /// The visitor has seen a head of this station.
    shown: bool,
    /// What the visitor has is void, and it does not know yet.
    voided: Option<engine::Kind>,
    decoder: Option<Box<Decoder>>,
    /// The body is read and thrown away.
    skip: bool,
    status: Option<u16>,
    delivered: u64,
    truncated: bool,
    /// The head was all that was asked for, and its body was not waited for.
    head_alone: bool,
    /// What this layer found wrong.
    error: Option<Box<Error>>,
    /// Time that the hops of this attempt took.
    pub(super) spent: Duration,
    redirect_time: Duration,
    wire_bytes: u64,
    attempts: u32,
    /// Failed attempts of earlier hops.
    tries: Vec<Try>,
    /// The peer of the last hop.
    remote: Option<SocketAddr>,
}

/// What follows when an answer is over.
#[derive(Debug, Default)]
enum Then {
    /// It was the result.
    #[default]
    Done,
    /// The next station.
    Follow(Box<Hop>),
    /// The same again, without `Expect`.
    WithoutExpect,
}

impl Slot {
    fn new(request: &Request) -> Self {
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
            tries: Vec::new(),
            remote: None,
        }
    }

    /// Takes another request; memory is kept.
    fn reuse(&mut self, request: &Request) {
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
        self.tries.clear();
        self.remote = None;
        self.status = None;
        self.begin_station();
    }

    fn begin_station(&mut self) {
        self.then = Then::Done;
        self.shown = false;
        self.voided = None;
        self.skip = false;
        self.delivered = 0;
        self.truncated = false;
        self.head_alone = false;
        self.error = None;
    }

    fn profile(&self) -> &Profile {
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
    fn without_body(&self, body: Body) -> Advice {
        if self.profile().head && body != Body::None { Advice::Abort } else { Advice::SkipBody }
    }

    fn asked(&self) -> Asked<'_> {
        let profile = self.profile();
        Asked {
            url: self.url(),
            nature: if self.became_get { "GET" } else { profile.nature() },
            named: profile.method.as_deref().filter(|_| !self.drops_named),
            follow: profile.follow,
        }
    }

    /// The method at the present station.
    pub(super) fn method(&self) -> &str {
        self.asked().method()
    }

    /// What `Referer` says at the present station.
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
    fn follow(&mut self, hop: Hop, options: &Options) -> Result<(), RedirectError> {
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
    fn outcome<'a>(&'a self, result: Result<u16, &'a Error>, last: &Last<'a>) -> Outcome<'a> {
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
            tries: last.tries,
            times: last.times,
            conn: last.conn,
            resumed_at: last.resumed_at,
        }
    }
}

/// What the engine says of the last hop.
#[derive(Default)]
struct Last<'a> {
    attempts: u32,
    tries: &'a [Try],
    times: Times,
    conn: Option<ConnInfo>,
    wire_bytes: u64,
    content_bytes: u64,
    resumed_at: Option<u64>,
}

/// All requests, and what they share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) slots: Vec<Slot>,
    pub(super) places: Places,
    free: Vec<u32>,
    /// Slots between two hops, in order.
    pub(super) between: Vec<u32>,
    #[expect(clippy::vec_box, reason = "they come from slots in their boxes, and go back so")]
    decoders: Vec<Box<Decoder>>,
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
            hosts: Vec::new(),
        }
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
    fn leave(&mut self, slot: usize) {
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

    pub(super) fn ticket(&self, slot: usize) -> Ticket {
        Ticket {
            slot: slot as u32,
            generation: self.places.entries[slot].generation,
            tag: self.slots[slot].request.tag,
        }
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
    fn decoder(&mut self, codings: &[decode::Coding]) -> Box<Decoder> {
        match self.decoders.iter().position(|decoder| decoder.codings() == codings) {
            Some(at) => {
                let mut decoder = self.decoders.swap_remove(at);
                decoder.restart();
                decoder
            }
            None => Box::new(Decoder::new(codings, self.options.decode)),
        }
    }

    fn keep_decoder(&mut self, decoder: Box<Decoder>) {
        if self.decoders.len() < SPARE_DECODERS {
            self.decoders.push(decoder);
        }
    }
}

/// The engine's handler for one input: the state, and who looks on.
pub(super) struct Pass<'a> {
    pub(super) state: &'a mut State,
    pub(super) visitor: &'a mut dyn Visitor,
}

impl Pass<'_> {
    /// A request ended without the engine: between two hops, or before the first.
    pub(super) fn ends(&mut self, ctl: &mut Ctl<'_>, slot: usize, error: &Error) {
        let ticket = self.state.ticket(slot);
        self.state.leave(slot);
        let mut ctl = Control { ctl, places: &mut self.state.places };
        let the_slot = &self.state.slots[slot];
        let last = Last { tries: &the_slot.tries, ..Last::default() };
        self.visitor.done(&mut ctl, ticket, &the_slot.outcome(Err(error), &last));
        self.state.release(slot);
    }

    /// The codings of an answer that is to be decoded.
    fn codings(
        &self,
        slot: &Slot,
        head: &Head<'_>,
        body: Body,
    ) -> Result<Vec<decode::Coding>, Error> {
        if !slot.profile().compressed || body == Body::None {
            return Ok(Vec::new());
        }
        decode::codings(head.fields.get_all("content-encoding"), &self.state.options.decode)
            .map_err(|error| Error::new(ErrorKind::Decode(error), Phase::Head))
    }
}

impl Handler for Pass<'_> {
    fn interim(&mut self, ctl: &mut Ctl<'_>, job: JobRef, head: &Head<'_>) {
        let ticket = self.state.ticket(job.tag as usize);
        let mut ctl = Control { ctl, places: &mut self.state.places };
        self.visitor.interim(&mut ctl, ticket, head);
    }

    fn retry_after(&mut self, head: &Head<'_>) -> Option<Duration> {
        date::retry_after(head.fields.get("retry-after")?, head.fields.get("date"), date::now())
    }

    fn rate_hint(&mut self, head: &Head<'_>) -> Option<RateHint> {
        pace::rate_hint(head.fields, date::now())
    }

    fn allow(&mut self, host: HostKey, address: SocketAddr) -> bool {
        let named = self.state.hosts.get(host.index()).is_none_or(|known| known.named);
        self.state.options.addresses.permit(address.ip(), named) && self.visitor.allow_addr(address)
    }

    fn prepare(&mut self, job: JobRef, head: &mut Draft<'_>) {
        let index = job.tag as usize;
        for field in &self.state.slots[index].profile().fields {
            if let Field::AsTyped { value, .. } = field {
                head.respace(field.name(), value);
            }
        }
        let ticket = self.state.ticket(index);
        self.visitor.prepare(ticket, head);
    }

    fn repeat(&mut self, job: JobRef, why: engine::Kind, status: Option<u16>) -> bool {
        let ticket = self.state.ticket(job.tag as usize);
        self.visitor.repeat(ticket, why, status)
    }

    fn head(&mut self, ctl: &mut Ctl<'_>, job: JobRef, head: &Head<'_>, body: Body) -> Advice {
        let index = job.tag as usize;
        let ticket = self.state.ticket(index);
        let slot = &mut self.state.slots[index];
        slot.status = Some(head.status);
        slot.skip = true;
        slot.error = None;
        slot.then = Then::Done;
        if head.status == 417 && slot.expects {
            slot.then = Then::WithoutExpect;
            slot.voided = None;
            let mut ctl = Control { ctl, places: &mut self.state.places };
            self.visitor.interim(&mut ctl, ticket, head);
            return Advice::SkipBody;
        }
        let locations = head.fields.get_all("location");
        match redirect::next(&slot.asked(), &self.state.options.redirects, head.status, locations) {
            Ok(None) => {}
            Ok(Some(hop)) => {
                let slot = &self.state.slots[index];
                let told = Redirect { url: slot.url(), method: slot.method(), head, to: &hop.url };
                if self.visitor.follow(ticket, &told) {
                    let mut ctl = Control { ctl, places: &mut self.state.places };
                    self.visitor.redirect(&mut ctl, ticket, &told);
                    let slot = &mut self.state.slots[index];
                    // What the part file of an earlier run is worth, the last station will tell.
                    slot.voided = None;
                    slot.then = Then::Follow(Box::new(hop));
                    return slot.without_body(body);
                }
            }
            Err(error) => {
                slot.error = Some(Box::new(Error::new(ErrorKind::Redirect(error), Phase::Head)));
                return Advice::SkipBody;
            }
        }
        let codings = self.codings(&self.state.slots[index], head, body);
        let slot = &mut self.state.slots[index];
        match codings {
            Err(error) => {
                slot.error = Some(Box::new(error));
                return Advice::Abort;
            }
            Ok(codings) => {
                let old = slot.decoder.take();
                if let Some(old) = old {
                    self.state.keep_decoder(old);
                }
                if !codings.is_empty() {
                    let decoder = self.state.decoder(&codings);
                    self.state.slots[index].decoder = Some(decoder);
                }
            }
        }
        let slot = &mut self.state.slots[index];
        if let (Some(most), Body::Length(length)) = (slot.profile().max_filesize, body)
            && length > most
        {
            slot.error = Some(Box::new(Error::new(ErrorKind::FileTooLarge(most), Phase::Head)));
            return Advice::Abort;
        }
        let voided = slot.voided.take();
        slot.shown = true;
        let slot = &self.state.slots[index];
        let answer = Answer {
            url: slot.url(),
            method: slot.method(),
            head,
            body,
            decoded: slot.decoder.is_some(),
            redirects: slot.trail.hops(),
        };
        let mut ctl = Control { ctl, places: &mut self.state.places };
        if let Some(why) = voided {
            self.visitor.restart(&mut ctl, ticket, why);
        }
        let want = self.visitor.head(&mut ctl, ticket, &answer);
        let slot = &mut self.state.slots[index];
        match want {
            Want::Body if slot.profile().head => {
                slot.head_alone = true;
                slot.without_body(body)
            }
            Want::Body => {
                slot.skip = false;
                // Dates are read where they count: without a strong tag.
                let tagged = head.fields.get("etag").is_some_and(|tag| tag.starts_with(b"\""));
                let strong = !tagged
                    && match (head.fields.get("last-modified"), head.fields.get("date")) {
                        (Some(modified), Some(date)) => date::is_strong(modified, date),
                        _ => false,
                    };
                Advice::Deliver(if strong {
                    Resume::ByETagOrDate
                } else if slot.profile().on_trust {
                    Resume::OnTrust
                } else {
                    Resume::ByETag
                })
            }
            Want::NoBody => Advice::SkipBody,
            Want::Stop => {
                slot.error = Some(Box::new(Error::new(ErrorKind::Filtered, Phase::Head)));
                Advice::Abort
            }
        }
    }

    fn body(&mut self, ctl: &mut Ctl<'_>, job: JobRef, bytes: &[u8]) {
        let index = job.tag as usize;
        let ticket = self.state.ticket(index);
        let slot = &mut self.state.slots[index];
        if slot.skip {
            return;
        }
        let mut decoder = slot.decoder.take();
        let mut control = Control { ctl, places: &mut self.state.places };
        let visitor = &mut *self.visitor;
        let mut sink = |bytes: &[u8]| deliver(slot, visitor, &mut control, ticket, bytes);
        let flow = match &mut decoder {
            None => Ok(sink(bytes)),
            Some(decoder) => decoder.push(bytes, &mut sink),
        };
        match flow {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => slot.skip = true,
            Err(error) => {
                slot.skip = true;
                slot.error = Some(Box::new(Error::new(ErrorKind::Decode(error), Phase::Body)));
            }
        }
        if slot.skip {
            ctl.cancel(job.key);
        }
        slot.decoder = decoder;
    }

    fn trailers(&mut self, ctl: &mut Ctl<'_>, job: JobRef, fields: Fields<'_>) {
        let index = job.tag as usize;
        if self.state.slots[index].skip {
            return;
        }
        let ticket = self.state.ticket(index);
        let mut ctl = Control { ctl, places: &mut self.state.places };
        self.visitor.trailers(&mut ctl, ticket, fields);
    }

    fn restart(&mut self, ctl: &mut Ctl<'_>, job: JobRef, why: engine::Kind) {
        let index = job.tag as usize;
        let ticket = self.state.ticket(index);
        let slot = &mut self.state.slots[index];
        slot.delivered = 0;
        slot.status = None;
        slot.then = Then::Done;
        if core::mem::take(&mut slot.shown) {
            let mut ctl = Control { ctl, places: &mut self.state.places };
            self.visitor.restart(&mut ctl, ticket, why);
        } else if slot.profile().resume.is_some() {
            // Perhaps only a redirect is in between: told with the next head.
            slot.voided = Some(why);
        }
    }

    fn resumed(&mut self, ctl: &mut Ctl<'_>, job: JobRef, at: u64) {
        let ticket = self.state.ticket(job.tag as usize);
        let mut ctl = Control { ctl, places: &mut self.state.places };
        self.visitor.resumed(&mut ctl, ticket, at);
    }

    fn upload(
        &mut self,
        ctl: &mut Ctl<'_>,
        job: JobRef,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Upload {
        let index = job.tag as usize;
        if let super::Body::Bytes(bytes) = &self.state.slots[index].profile().body {
            // The user wanted it in chunks.
            let rest = bytes.get(at as usize..).unwrap_or_default();
            let piece = &rest[..rest.len().min(room)];
            out.extend_from_slice(piece);
            return if piece.len() == rest.len() { Upload::End } else { Upload::More };
        }
        let ticket = self.state.ticket(index);
        let mut ctl = Control { ctl, places: &mut self.state.places };
        self.visitor.upload(&mut ctl, ticket, at, out, room)
    }

    fn done(&mut self, ctl: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        let index = job.tag as usize;
        let ticket = self.state.ticket(index);
        let slot = &mut self.state.slots[index];
        slot.remote = report.conn.map(|conn| conn.remote).or(slot.remote);
        let moves_on = match core::mem::take(&mut slot.then) {
            Then::Done => false,
            // The head said where to; that its body was cut changes nothing.
            Then::Follow(_) | Then::WithoutExpect
                if report.result.is_err_and(|failure| failure.kind == engine::Kind::Cancelled) =>
            {
                false
            }
            Then::WithoutExpect => {
                slot.no_expect = true;
                true
            }
            Then::Follow(hop) => match slot.follow(*hop, &self.state.options) {
                Ok(()) => true,
                Err(error) => {
                    slot.error =
                        Some(Box::new(Error::new(ErrorKind::Redirect(error), Phase::Head)));
                    false
                }
            },
        };
        if moves_on {
            slot.wire_bytes += report.wire_bytes;
            slot.attempts += report.attempts;
            slot.tries.extend_from_slice(report.tries);
            // The total begins where a connection was there; to who asks, opening it took time, too.
            let attempt = attempt_time(&report.times);
            slot.redirect_time += report.times.queue + report.times.total.max(attempt);
            slot.spent += attempt;
            slot.begin_station();
            self.state.places.entries[index].place = Place::Here;
            self.state.between.push(index as u32);
            return;
        }
        let mut error = slot.error.take().map(|error| *error);
        if error.is_none() && !slot.truncated {
            error = match report.result {
                Err(failure) if slot.head_alone && failure.kind == engine::Kind::Aborted => None,
                Err(failure) => Some(Error::from(failure)),
                Ok(_) if slot.skip => None,
                Ok(_) => slot.decoder.as_mut().and_then(|decoder| {
                    let error = decoder.finish().err()?;
                    Some(Error::new(ErrorKind::Decode(error), Phase::Body))
                }),
            };
        }
        let status = slot.status.unwrap_or_default();
        let mut tries = core::mem::take(&mut slot.tries);
        if !tries.is_empty() {
            tries.extend_from_slice(report.tries);
        }
        let slot = &self.state.slots[index];
        let last = Last {
            attempts: report.attempts,
            tries: if tries.is_empty() { report.tries } else { &tries },
            times: report.times,
            conn: report.conn,
            wire_bytes: report.wire_bytes,
            content_bytes: report.body_bytes,
            resumed_at: report.resumed_at,
        };
        let result = match &error {
            None => Ok(status),
            Some(error) => Err(error),
        };
        if core::mem::replace(&mut self.state.places.entries[index].live, false) {
            self.state.places.live -= 1;
        }
        let mut ctl = Control { ctl, places: &mut self.state.places };
        self.visitor.done(&mut ctl, ticket, &slot.outcome(result, &last));
        self.state.release(index);
    }
}

/// Hands bytes on, within the bounds that the user set.
fn deliver(
    slot: &mut Slot,
    visitor: &mut dyn Visitor,
    ctl: &mut Control<'_, '_>,
    ticket: Ticket,
    mut bytes: &[u8],
) -> ControlFlow<()> {
    let length = bytes.len() as u64;
    let profile = &slot.request.profile;
    // What is allowed is delivered, in whatever pieces it came.
    let within = |most: u64| (most - slot.delivered.min(most)) as usize;
    if let Some(most) = profile.max_filesize.filter(|&most| slot.delivered + length > most) {
        bytes = bytes.get(..within(most)).unwrap_or_default();
        slot.error = Some(Box::new(Error::new(ErrorKind::FileTooLarge(most), Phase::Body)));
    } else if let Some(most) = profile.truncate.filter(|&most| slot.delivered + length > most) {
        bytes = bytes.get(..within(most)).unwrap_or_default();
        slot.truncated = true;
    }
    slot.delivered += bytes.len() as u64;
    if !bytes.is_empty() {
        visitor.body(ctl, ticket, bytes);
    }
    let ends = slot.truncated || slot.error.is_some();
    if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
