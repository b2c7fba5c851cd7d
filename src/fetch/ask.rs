//! From a profile and a station to the request that the engine sends.
//!
//! Owns the default fields and their order, what a user's field replaces, who is said to ask, and
//! what of all that stays behind after a redirect. Allocates nothing for a plain GET.
#![expect(
    clippy::indexing_slicing,
    reason = "a slot's number is that of a slot: they are never fewer; digits and the few lines are counted right here"
)]

use core::time::Duration;
use std::sync::Arc;

use super::names::Directory;
use super::redirect::goes_along;
use super::slots::{Slot, State};
use super::{Auth, Body, Error, ErrorKind, Expect, Field, Options, Profile, Request};
use crate::base::{Instant, decimal};
use crate::engine::{self, Alike, JobKey, Origin, Payload, Phase, SubmitError, Unsaid};
use crate::net::Driver;
use crate::net::mio::Mio;
use crate::proto::{self, RequestBody, RequestError, RequestHead};

const USER_AGENT: &str = concat!("gannet/", env!("CARGO_PKG_VERSION"));
/// Bodies above this are announced first (`Expect`), as curl does.
const EXPECT_FROM: u64 = 1 << 20;

/// Field lines, in place as long as there are few.
struct Lines<'a> {
    few: [(&'a str, &'a [u8]); 12],
    count: usize,
    many: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Lines<'a> {
    const fn new() -> Self {
        Self { few: [("", b""); 12], count: 0, many: Vec::new() }
    }

    fn push(&mut self, name: &'a str, value: &'a [u8]) {
        if self.many.is_empty() && self.count < self.few.len() {
            self.few[self.count] = (name, value);
            self.count += 1;
            return;
        }
        if self.many.is_empty() {
            self.many.extend_from_slice(&self.few);
        }
        self.many.push((name, value));
    }

    fn as_slice(&self) -> &[(&'a str, &'a [u8])] {
        if self.many.is_empty() { &self.few[..self.count] } else { &self.many }
    }
}

/// Hands the request of a slot, at its present station, to the engine.
pub(super) fn submit(
    driver: &mut Driver<Mio>,
    directory: &Directory,
    state: &mut State,
    index: usize,
) -> Result<JobKey, Error> {
    let host = state.host_as_before(index).unwrap_or_else(|| {
        let url = state.slots[index].url();
        let name = url.host_and_zone();
        let origin = Origin { scheme: url.scheme().of_engine(), host: &name, port: url.port() };
        driver.host(&origin)
    });
    state.introduce(driver, directory, host, index);
    let slot = &state.slots[index];
    let url = slot.url();
    let plain = is_plain(slot, &state.options);
    if plain && let Some(alike) = state.usual.of(&slot.request.profile) {
        return driver.submit_alike(alike, host, url.target(), index as u64).map_err(refused);
    }
    let profile = &*slot.request.profile;
    let options = &state.options;
    let at_home = slot.at_home();
    let trusted = options.redirects.trusted;
    let along = |field: &&Field| goes_along(field.name(), at_home, slot.body_dropped, trusted);
    let user = |name: &str| profile.fields.iter().filter(along).find(|field| field.is(name));
    let is_default = |name: &str| profile.fields.is_empty() || user(name).is_none();
    let removes = |name: &str| {
        // One that says something counts before one that takes it away, as for curl.
        let mut own = profile.fields.iter().filter(|field| field.is(name)).peekable();
        own.peek().is_some() && own.all(|field| matches!(field, Field::Remove { .. }))
    };
    let has_body = profile.body.is_some() && !slot.body_dropped;

    let authority;
    let authorization;
    let mut lines = Lines::new();
    if url.zone().is_some() && is_default("host") {
        // The zone is our own business.
        authority = url.authority();
        lines.push("Host", authority.as_bytes());
    }
    if is_default("authorization")
        && let Some(auth) = who(state, slot, profile, at_home || trusted)
    {
        authorization = auth.value();
        lines.push("Authorization", authorization.as_bytes());
    }
    if let Some(range) = &profile.range
        && is_default("range")
    {
        lines.push("Range", range.value().as_bytes());
    }
    if let Some(range) = &profile.content_range
        && !slot.body_dropped
        && is_default("content-range")
    {
        lines.push("Content-Range", range.as_bytes());
    }
    let user_agent = profile.user_agent.as_deref().unwrap_or(USER_AGENT);
    if !user_agent.is_empty() && is_default("user-agent") {
        lines.push("User-Agent", user_agent.as_bytes());
    }
    if is_default("accept") {
        lines.push("Accept", b"*/*");
    }
    if profile.compressed && is_default("accept-encoding") {
        lines.push("Accept-Encoding", super::decode::accept_encoding(&options.decode).as_bytes());
    }
    if let Some(referer) = slot.referer()
        && is_default("referer")
    {
        lines.push("Referer", referer.as_bytes());
    }
    let chunked = user("transfer-encoding").is_some_and(|field| field.value().is_some());
    let body = if has_body { payload(&profile.body, chunked) } else { Payload::None };
    // The framing has its place among the others, where curl has it.
    let length = match &body {
        Payload::None => None,
        Payload::Bytes(bytes) => Some(bytes.len() as u64),
        Payload::Stream { length, .. } => *length,
    };
    if !matches!(body, Payload::None) && length.is_none() && !chunked {
        lines.push("Transfer-Encoding", b"chunked");
    }
    for field in profile.fields.iter().filter(along) {
        // Blanks around a value are put back when the head is ready, by `Draft::respace`.
        if let Some(value) = field.value()
            && (!field.is("expect") || !slot.no_expect)
        {
            lines.push(field.name(), value);
        }
    }
    let mut digits = [0; 20];
    if let Some(length) = length
        && user("content-length").and_then(Field::value).is_none()
    {
        lines.push("Content-Length", decimal(length, &mut digits));
    }
    if has_body
        && let Some(kind) = &profile.content_type
        && is_default("content-type")
    {
        lines.push("Content-Type", kind.as_bytes());
    }

    let expects = has_body && !slot.no_expect && expects(profile, user("expect"));
    let timeout = match profile.timeout.or(driver.engine().config().attempt_timeout) {
        None => None,
        Some(limit) if slot.spent.is_zero() => Some(limit),
        // The time of one attempt goes over all its hops.
        Some(limit) => match limit.checked_sub(slot.spent).filter(|left| !left.is_zero()) {
            None => {
                let kind = ErrorKind::Engine(engine::Kind::AttemptTimeout);
                return Err(Error::new(kind, Phase::Queue));
            }
            left => left,
        },
    };
    let request = engine::Request {
        host,
        method: slot.method(),
        target: url.target(),
        fields: lines.as_slice(),
        body,
        tag: index as u64,
        options: engine::Options {
            attempt_timeout: timeout,
            first_byte_timeout: profile.first_byte_timeout,
            stall_timeout: profile.stall_timeout,
            attempts: profile.attempts,
            retry_unsafe: profile.retry_unsafe,
            at_most_once: profile.at_most_once,
            urgent: profile.urgent,
            max_body_bytes: None,
            resume_from: profile.resume.clone().map(Box::new),
            expect_continue: expects.then_some(options.expect_timeout),
            unsaid: Unsaid { host: removes("host"), no_length: removes("content-length") },
        },
    };
    let result = driver.submit(&request);
    if plain && state.usual.comes_again(&slot.request.profile) {
        state.usual = Usual::Known(Arc::clone(&slot.request.profile), driver.alike(&request));
    }
    state.slots[index].expects = expects;
    result.map_err(refused)
}

/// Why a request could never be sent, by its method, its target and the fields that whoever asks gave;
/// what follows from these together is found when it is sent.
pub(super) fn fault(request: &Request) -> Option<RequestError> {
    let profile = &request.profile;
    let mut out = Vec::new();
    let head = RequestHead {
        method: profile.method.as_deref().unwrap_or("GET"),
        target: request.url.target(),
        host: request.url.host(),
        fields: &[],
    };
    let mut fields = profile.fields.iter();
    proto::encode_head(&mut out, &head, RequestBody::None)
        .and_then(|()| {
            fields.try_for_each(|field| match field.value() {
                Some(value) => proto::encode_field(&mut out, field.name(), value),
                None => Ok(()),
            })
        })
        .err()
}

fn refused(error: SubmitError) -> Error {
    let kind = match error {
        SubmitError::Request(error) => ErrorKind::Request(error),
        SubmitError::Draining => ErrorKind::Draining,
        SubmitError::Full => ErrorKind::Full,
    };
    Error::new(kind, Phase::Queue)
}

/// What most requests look like: those of one profile, each at its first station.
#[derive(Debug)]
pub(super) enum Usual {
    Unknown,
    /// It is worth knowing when it comes again.
    Seen(Arc<Profile>),
    /// `None`: each of them is a case of its own.
    Known(Arc<Profile>, Option<Alike>),
}

impl Usual {
    fn of(&self, profile: &Arc<Profile>) -> Option<&Alike> {
        match self {
            Self::Known(known, alike) if Arc::ptr_eq(known, profile) => alike.as_ref(),
            _ => None,
        }
    }

    /// A request of this profile was submitted. Whether the one before was of it as well, and
    /// it is not known yet what they have in common.
    fn comes_again(&mut self, profile: &Arc<Profile>) -> bool {
        match self {
            Self::Known(one, _) | Self::Seen(one) if !Arc::ptr_eq(one, profile) => {}
            Self::Seen(_) => return true,
            Self::Known(..) => return false,
            Self::Unknown => {}
        }
        *self = Self::Seen(Arc::clone(profile));
        false
    }
}

/// Whether its profile alone says what the request looks like, but for host and target.
fn is_plain(slot: &Slot, options: &Options) -> bool {
    slot.trail.hops() == 0
        && slot.spent.is_zero()
        && slot.request.url.zone().is_none()
        && slot.request.url.userinfo().is_none()
        && !slot.request.profile.body.is_some()
        && options.netrc.is_none()
}

/// Who is said to ask at this station.
///
/// The options' credentials go to the first origin (or wherever the user trusts), those in a URL
/// where the URL leads, those of netrc to their own host.
fn who(state: &State, slot: &Slot, profile: &Profile, trusted: bool) -> Option<Auth> {
    if trusted && let Some(auth) = &profile.auth {
        return Some(auth.clone());
    }
    let options = &state.options;
    let url = slot.url();
    let first = slot.request.url.userinfo().filter(|_| trusted);
    let userinfo = url.userinfo().or(first);
    let netrc = |user: Option<&[u8]>| {
        options.netrc.as_ref().and_then(|netrc| netrc.lookup(url.host(), user))
    };
    match userinfo {
        // The file completes what the URL says; where it is to count, it knows better.
        Some(userinfo)
            if userinfo.password.is_none()
                || userinfo.user.is_empty()
                || options.netrc_required =>
        {
            let user = Some(&userinfo.user[..]).filter(|user| !user.is_empty());
            Some(netrc(user).unwrap_or_else(|| Auth::from(userinfo)))
        }
        Some(userinfo) => Some(Auth::from(userinfo)),
        None => netrc(None),
    }
}

fn payload(body: &Body, chunked: bool) -> Payload {
    match body {
        Body::None => Payload::None,
        Body::Bytes(_) if chunked => Payload::Stream { length: None, replayable: true },
        Body::Bytes(bytes) => Payload::Bytes(bytes.clone()),
        Body::Stream { length, replayable } => {
            Payload::Stream { length: length.filter(|_| !chunked), replayable: *replayable }
        }
    }
}

fn expects(profile: &Profile, field: Option<&Field>) -> bool {
    match (profile.expect, field) {
        (Expect::Never, _) | (Expect::Auto, Some(Field::Remove { .. })) => false,
        (Expect::Always, _) => true,
        (Expect::Auto, Some(field)) => {
            field.value().is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
        }
        (Expect::Auto, None) => match &profile.body {
            Body::None => false,
            Body::Bytes(bytes) => bytes.len() as u64 > EXPECT_FROM,
            Body::Stream { length, .. } => length.is_none_or(|length| length > EXPECT_FROM),
        },
    }
}

/// What an attempt took, from its start to its end.
pub(super) fn attempt_time(times: &engine::Times) -> Duration {
    times.dns + times.connect + times.tls + times.first_byte + times.body
}

/// The distance to a point in time, zero when it has passed.
pub(super) fn until(at: Instant, now: Instant) -> Duration {
    if at > now { at - now } else { Duration::ZERO }
}
