//! Many requests that differ in host, target and tag alone.
//!
//! Owns what they have in common: it is judged and encoded once, with the first of them, and copied
//! for each other one. Knows none of the rules for a request's lines: those are `intake`'s and
//! `proto`'s, which are asked. Whoever submits decides which requests are alike.

use alloc::boxed::Box;
use core::time::Duration;

use super::host::HostKey;
use super::intake::{Accepted, Intake};
use super::job::{JobKey, Payload, Request, Unsaid};
use super::{Engine, SubmitError};
use crate::base::Instant;
use crate::proto::{self, Exchange};

/// What many requests have in common: all but host, target and tag. Encoded and judged once.
#[derive(Debug)]
pub(crate) struct Alike {
    method: Box<str>,
    /// What follows Host in the head.
    lines: Box<[u8]>,
    attempt_timeout: Option<Duration>,
    max_body_bytes: u64,
    attempts: u32,
    exchange: Exchange,
    is_get: bool,
    repeatable: bool,
    urgent: bool,
    may_move: bool,
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
            || special.iter().any(|special| {
                request.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(special))
            })
        {
            return None;
        }
        let one = self.encode(request).ok()?;
        let host = proto::field_line(&one.head, "host")?;
        let alike = Alike {
            method: request.method.into(),
            lines: one.head.get(host.end..)?.into(),
            attempt_timeout: one.attempt_timeout,
            max_body_bytes: one.max_body_bytes,
            attempts: one.attempts,
            exchange: one.exchange,
            is_get: one.is_get,
            repeatable: one.repeatable,
            urgent: one.urgent,
            may_move: one.may_move,
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
            attempt_timeout: alike.attempt_timeout,
            expect_continue: None,
            max_body_bytes: alike.max_body_bytes,
            range: None,
            attempts: alike.attempts,
            exchange: alike.exchange,
            is_get: alike.is_get,
            repeatable: alike.repeatable,
            urgent: alike.urgent,
            may_move: alike.may_move,
        })
    }
}
