//! What the engine's reports mean for the requests that they are about.
//!
//! Owns the verdict on each answer: deliver, follow, decode, refuse. What is known of a request
//! stands in its slot; what the user makes of an answer is the visitor's.
#![expect(
    clippy::indexing_slicing,
    reason = "the engine gives back the tag of a request that a slot made: its number, and slots are never fewer"
)]

use core::net::SocketAddr;
use core::ops::ControlFlow;
use core::time::Duration;

use super::ask::attempt_time;
use super::slots::{Last, Slot, State, Then, fresh};
use super::visitor::Place;
use super::{
    Answer, Control, Error, ErrorKind, Field, Redirect, Ticket, Visitor, Want, date, decode, pace,
    redirect,
};
use crate::engine::pace::RateHint;
use crate::engine::{
    self, Advice, Ctl, Draft, Handler, HostKey, JobRef, Phase, Report, Resume, Upload,
};
use crate::proto::{Body, Fields, Head};

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
        let named = self.state.is_named(host);
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
        let index = job.tag as usize;
        let slot = &self.state.slots[index];
        if slot.skip && (slot.truncated || slot.error.is_some()) {
            // It was called off, and the engine has not heard of it yet: what came is the outcome.
            return false;
        }
        self.visitor.repeat(self.state.ticket(index), why, status)
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
                let told = Redirect {
                    url: slot.url(),
                    method: slot.method(),
                    head,
                    to: &hop.url,
                    becomes_get: hop.becomes_get,
                };
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
                let mut ctl = Control { ctl, places: &mut self.state.places };
                self.visitor.interim(&mut ctl, ticket, head);
                return Advice::SkipBody;
            }
        }
        let codings = self.codings(&self.state.slots[index], head, body);
        let slot = &mut self.state.slots[index];
        match codings {
            Err(error) => {
                slot.error = Some(Box::new(error));
                let mut ctl = Control { ctl, places: &mut self.state.places };
                self.visitor.interim(&mut ctl, ticket, head);
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
            let mut ctl = Control { ctl, places: &mut self.state.places };
            self.visitor.interim(&mut ctl, ticket, head);
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
                // A 200 of a part, as some servers give it: where in the whole it stands is not verified.
                let odd = head.status == 200
                    && slot.profile().range.is_some()
                    && head.fields.get("content-range").is_some();
                Advice::Deliver(if odd {
                    Resume::Never
                } else if strong {
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
        let flow = match &mut decoder {
            None => Ok(deliver(slot, visitor, &mut control, ticket, bytes)),
            // Few bytes may decode to many pieces: whoever calls it off sees no more of them.
            Some(decoder) => decoder.push(bytes, &mut |bytes: &[u8]| {
                let flow = deliver(slot, visitor, &mut control, ticket, bytes);
                let doomed = control.places.entries[index].doomed;
                if doomed { ControlFlow::Break(()) } else { flow }
            }),
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
        slot.then = Then::Done;
        if core::mem::take(&mut slot.shown) {
            let mut ctl = Control { ctl, places: &mut self.state.places };
            self.visitor.restart(&mut ctl, ticket, why);
            // Called off: what came is the outcome.
            if self.state.places.entries[index].doomed {
                return;
            }
        } else if slot.profile().resume.is_some() {
            // Perhaps only a redirect is in between: told with the next head.
            slot.voided = Some(why);
        }
        let slot = &mut self.state.slots[index];
        slot.delivered = 0;
        slot.status = None;
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
            slot.connects += fresh(report.conn.as_ref());
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
#[inline]
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
#[path = "pass_tests.rs"]
mod tests;
