//! From the fetcher's visitor to C's callbacks.

use core::ffi::c_void;
use core::mem::size_of;
use core::net::SocketAddr;
use std::io::Write as _;

use engine::engine::{Draft, Kind};
use engine::fetch::{Answer, Control, Outcome, Redirect, Ticket, Upload, Visitor, Want};
use engine::proto::{Body, Fields};

use crate::border::{describe, str_of};
use crate::types::*;

/// Memory of callbacks that serves again: the steady state allocates nothing.
#[derive(Default)]
pub(crate) struct Scratch {
    fields: Vec<gannet_field>,
    text: Vec<u8>,
}

/// C's callbacks, as a visitor.
pub(crate) struct Calls<'a> {
    pub(crate) calls: gannet_callbacks,
    pub(crate) scratch: &'a mut Scratch,
}

/// The ctl of one callback.
fn ctl(control: &mut Control<'_, '_>) -> gannet_ctl {
    gannet_ctl { control: core::ptr::from_mut(control).cast::<c_void>() }
}

impl Calls<'_> {
    fn collect(&mut self, fields: Fields<'_>) {
        self.scratch.fields.clear();
        let lines = fields.iter();
        self.scratch.fields.extend(lines.map(|(name, value)| gannet_field {
            name: str_of(name.as_bytes()),
            value: str_of(value),
        }));
    }
}

impl Visitor for Calls<'_> {
    fn follow(&mut self, ticket: Ticket, redirect: &Redirect<'_>) -> bool {
        let Some(call) = self.calls.redirect else { return true };
        self.collect(redirect.head.fields);
        let head = gannet_head {
            size: size_of::<gannet_head>(),
            status: redirect.head.status.into(),
            redirects: 0,
            url: str_of(redirect.url.as_str().as_bytes()),
            location: str_of(redirect.to.as_str().as_bytes()),
            fields: self.scratch.fields.as_ptr(),
            fields_len: self.scratch.fields.len(),
            length: u64::MAX,
        };
        call(self.calls.user, ticket.id(), ticket.tag, &head) != 0
    }

    fn prepare(&mut self, ticket: Ticket, head: &mut Draft<'_>) {
        let Some(call) = self.calls.prepare else { return };
        let mut draft = gannet_draft { draft: core::ptr::from_mut(head).cast::<c_void>() };
        call(self.calls.user, ticket.id(), ticket.tag, &mut draft);
    }

    fn repeat(&mut self, ticket: Ticket, why: Kind, status: Option<u16>) -> bool {
        let Some(call) = self.calls.repeat else { return true };
        let why = str_of(why.name().as_bytes());
        call(self.calls.user, ticket.id(), ticket.tag, why, status.unwrap_or(0).into()) != 0
    }

    fn allow_addr(&mut self, address: SocketAddr) -> bool {
        let Some(call) = self.calls.allow else { return true };
        self.scratch.text.clear();
        // Writing to a Vec can't fail.
        let _ = write!(self.scratch.text, "{address}");
        call(self.calls.user, str_of(&self.scratch.text)) != 0
    }

    fn head(&mut self, control: &mut Control<'_, '_>, ticket: Ticket, answer: &Answer<'_>) -> Want {
        let Some(call) = self.calls.head else { return Want::Body };
        self.collect(answer.head.fields);
        let head = gannet_head {
            size: size_of::<gannet_head>(),
            status: answer.head.status.into(),
            redirects: answer.redirects,
            url: str_of(answer.url.as_str().as_bytes()),
            location: str_of(b""),
            fields: self.scratch.fields.as_ptr(),
            fields_len: self.scratch.fields.len(),
            length: match answer.body {
                Body::None => 0,
                Body::Length(length) => length,
                Body::Chunked | Body::UntilClose => u64::MAX,
            },
        };
        let said = call(self.calls.user, &mut ctl(control), ticket.id(), ticket.tag, &head);
        match said {
            GANNET_SKIP_BODY => Want::NoBody,
            GANNET_GO_ON => Want::Body,
            GANNET_PAUSE => {
                control.pause(ticket);
                Want::Body
            }
            // GANNET_STOP, and whatever else nobody has defined.
            _ => Want::Stop,
        }
    }

    fn body(&mut self, control: &mut Control<'_, '_>, ticket: Ticket, bytes: &[u8]) {
        if let Some(call) = self.calls.body {
            let (data, len) = (bytes.as_ptr(), bytes.len());
            call(self.calls.user, &mut ctl(control), ticket.id(), ticket.tag, data, len);
        }
    }

    fn restart(&mut self, control: &mut Control<'_, '_>, ticket: Ticket, _: Kind) {
        if let Some(call) = self.calls.restart {
            call(self.calls.user, &mut ctl(control), ticket.id(), ticket.tag);
        }
    }

    fn upload(
        &mut self,
        control: &mut Control<'_, '_>,
        ticket: Ticket,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Upload {
        let Some(call) = self.calls.upload else { return Upload::Failed };
        let from = out.len();
        out.resize(from + room, 0);
        let place = out[from..].as_mut_ptr();
        let said =
            call(self.calls.user, &mut ctl(control), ticket.id(), ticket.tag, at, place, room);
        let count = usize::try_from(said).unwrap_or(0).min(room);
        out.truncate(from + count);
        match said {
            0 => Upload::End,
            GANNET_UPLOAD_PENDING => Upload::Pending,
            1.. => Upload::More,
            _ => {
                control.cancel(ticket);
                Upload::Pending
            }
        }
    }

    fn done(&mut self, control: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>) {
        let Some(call) = self.calls.done else { return };
        let error = outcome.result.err();
        let text = error.map(describe).unwrap_or_default();
        let micros =
            |time: core::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let result = gannet_result {
            size: size_of::<gannet_result>(),
            ok: error.is_none().into(),
            status: outcome.status.unwrap_or(0).into(),
            error: str_of(error.map_or("", |error| error.name()).as_bytes()),
            text: str_of(text.as_bytes()),
            curl_code: error.map_or(0, |error| error.exit().code().into()),
            attempts: outcome.attempts,
            redirects: outcome.redirects,
            reused: outcome.conn.is_some_and(|conn| conn.reused).into(),
            url: str_of(outcome.final_url.as_str().as_bytes()),
            body_bytes: outcome.body_bytes,
            wire_bytes: outcome.wire_bytes,
            total_us: micros(outcome.redirect_time + outcome.times.total),
            first_byte_us: micros(outcome.times.first_byte),
        };
        call(self.calls.user, &mut ctl(control), ticket.id(), ticket.tag, &result);
    }
}
