//! Many requests that differ in host, target and tag alone.
//!
//! Owns what they have in common: it is judged and encoded once, with the first of them, and copied
//! for each other one. Knows none of the rules for a request's lines: those are `intake`'s and
//! `proto`'s, which are asked. Whoever submits decides which requests are alike.

use alloc::boxed::Box;

use super::host::HostKey;
use super::intake::{Accepted, Intake, Terms};
use super::job::{JobKey, Payload, Request, Unsaid};
use super::{Engine, SubmitError};
use crate::base::{Instant, is_same};
use crate::proto;

/// What many requests have in common: all but host, target and tag. Encoded and judged once.
#[derive(Debug)]
pub(crate) struct Alike {
    method: Box<str>,
    /// What follows Host in the head.
    lines: Box<[u8]>,
    terms: Terms,
}

impl Engine {
    /// What many requests like this one have in common, if they can be made of it.
    pub(crate) fn alike(&mut self, request: &Request<'_>) -> Option<Alike> {
        self.intake.kind_of(request)
    }

    /// As [`submit`](Self::submit), of what is known already.
    pub(crate) fn submit_alike(
        &mut self,
        alike: &Alike,
        host: HostKey,
        target: &str,
        tag: u64,
        now: Instant,
    ) -> Result<JobKey, SubmitError> {
        let accepted = self.intake.accept_alike(alike, host, target, tag)?;
        Ok(self.admit(accepted, now))
    }
}

impl Intake {
    /// What this request has in common with others of its kind. `None`: each is a case of its own.
    fn kind_of(&mut self, request: &Request<'_>) -> Option<Alike> {
        let options = &request.options;
        let special = ["host", "range", "expect"];
        if !matches!(request.body, Payload::None)
            || options.resume_from.is_some()
            || options.expect_continue.is_some()
            || options.unsaid != Unsaid::default()
            || special
                .iter()
                .any(|special| request.fields.iter().any(|(name, _)| is_same(name, special)))
        {
            return None;
        }
        let one = self.encode(request).ok()?;
        let host = proto::field_line(&one.head, "host")?;
        let alike = Alike {
            method: request.method.into(),
            lines: one.head.get(host.end..)?.into(),
            terms: one.terms,
        };
        self.keep(one.head);
        Some(alike)
    }

    /// Takes a further request of its kind.
    fn accept_alike(
        &mut self,
        alike: &Alike,
        host: HostKey,
        target: &str,
        tag: u64,
    ) -> Result<Accepted, SubmitError> {
        self.check_room()?;
        let mut head = self.spare.pop().unwrap_or_default();
        let authority = self.authorities.get(host.index()).map_or("", |authority| authority);
        if let Err(error) =
            proto::begin_head(&mut head, &alike.method, target, authority.as_bytes())
        {
            self.keep(head);
            return Err(error.into());
        }
        head.extend_from_slice(&alike.lines);
        self.room -= 1;
        Ok(Accepted {
            host,
            tag,
            head,
            payload: Payload::None,
            resume_from: None,
            expect_continue: None,
            range: None,
            terms: alike.terms,
        })
    }
}
