//! Where a redirect leads and what may go along (RFC 9110 sections 10.2.2 and 15.4).
//!
//! Owns the reading of `Location`, the change of methods, the schemes that may be followed, the
//! count of hops and the rule by which secrets stay behind. Pure: an answer's status and fields
//! in, a verdict out. Never sends anything.

use core::fmt;
use core::hash::{Hash, Hasher};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;

use super::url::push_encoded;
use super::{CurlCode, Follow, MAX_URL, Scheme, Url, UrlError, is_secret};
use crate::base::Number;

/// Hops when the user asked for no limit: nothing here runs for ever.
const NO_LIMIT: u32 = 10_000;
/// How many former stations are remembered, to tell a loop from a long chain.
const REMEMBERED: usize = 64;

/// A set of schemes (`--proto`, `--proto-redir`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schemes {
    /// `http` is in it.
    pub http: bool,
    /// `https` is in it.
    pub https: bool,
}

impl Schemes {
    /// Both.
    pub const ALL: Self = Self { http: true, https: true };

    /// Whether this one is in it.
    pub const fn contains(self, scheme: Scheme) -> bool {
        match scheme {
            Scheme::Http => self.http,
            Scheme::Https => self.https,
        }
    }
}

/// What the user decided about redirects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RedirectRules {
    /// How many in a row; `None` is no limit of the user's (`--max-redirs -1`). Default: 50.
    pub max: Option<u32>,
    /// Where they may lead. Default: both schemes.
    pub schemes: Schemes,
    /// Secrets go along to other origins (`--location-trusted`). Default: false.
    pub trusted: bool,
    /// POST stays POST after 301. Default: false.
    pub post301: bool,
    /// POST stays POST after 302. Default: false.
    pub post302: bool,
    /// POST stays POST after 303. Default: false.
    pub post303: bool,
}

impl Default for RedirectRules {
    fn default() -> Self {
        Self {
            max: Some(50),
            schemes: Schemes::ALL,
            trusted: false,
            post301: false,
            post302: false,
            post303: false,
        }
    }
}

/// The request that was answered, as far as a redirect cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked<'a> {
    /// Where it went.
    pub url: &'a Url,
    /// The method that the request has by its nature: HEAD, PUT or POST by its body, else GET;
    /// or, once a redirect made it so, GET.
    pub nature: &'a str,
    /// The method that the user named in its place.
    pub named: Option<&'a str>,
    /// How redirects are followed.
    pub follow: Follow,
}

impl<'a> Asked<'a> {
    /// The method that was sent.
    pub const fn method(&self) -> &'a str {
        match self.named {
            Some(named) => named,
            None => self.nature,
        }
    }
}

/// The next station.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hop {
    /// Where to.
    pub url: Url,
    /// The request becomes a GET by nature: its body, and the fields that describe it, stay here.
    pub becomes_get: bool,
    /// The method that the user named is dropped as well.
    pub drops_named: bool,
}

/// Decides whether an answer sends us on, and where to.
///
/// `None`: the answer is the result: not a redirect, not to be followed, or without a `Location`
/// that says anything.
pub fn next<'f>(
    asked: &Asked<'_>,
    rules: &RedirectRules,
    status: u16,
    locations: impl Iterator<Item = &'f [u8]>,
) -> Result<Option<Hop>, RedirectError> {
    if asked.follow == Follow::No || !is_redirect(status) {
        return Ok(None);
    }
    let Some(location) = the_location(locations)? else { return Ok(None) };
    let url = resolve(asked.url, location)?;
    if !rules.schemes.contains(url.scheme()) {
        return Err(RedirectError::SchemeRefused(url.scheme()));
    }
    let by_the_book = asked.follow == Follow::Standard;
    let method = if by_the_book { asked.method() } else { asked.nature };
    let becomes_get = becomes_get(status, method, rules);
    Ok(Some(Hop { url, becomes_get, drops_named: becomes_get && by_the_book }))
}

/// Whether a status points elsewhere. 304 points to what the client has, 305 and 306 were about
/// proxies; unknown ones mean the same as 300 (RFC 9110 section 15).
pub const fn is_redirect(status: u16) -> bool {
    matches!(status, 300..=303 | 307..=399)
}

fn becomes_get(status: u16, method: &str, rules: &RedirectRules) -> bool {
    match (status, method) {
        (301, "POST") => !rules.post301,
        (302, "POST") => !rules.post302,
        (303, "POST") => !rules.post303,
        (303, method) => !matches!(method, "GET" | "HEAD"),
        _ => false,
    }
}

/// The one `Location` that says something. Two that differ are an attempt to confuse somebody.
fn the_location<'f>(
    locations: impl Iterator<Item = &'f [u8]>,
) -> Result<Option<&'f [u8]>, RedirectError> {
    let mut found: Option<&[u8]> = None;
    for location in locations {
        let location = location.trim_ascii();
        match found {
            _ if location.is_empty() => {}
            None => found = Some(location),
            Some(first) if first == location => {}
            Some(_) => return Err(RedirectError::Conflict),
        }
    }
    Ok(found)
}

/// Resolves a `Location` against the URL that answered, by the URL standard.
///
/// A fragment is inherited unless there is a new one (RFC 9110 section 10.2.2); userinfo counts on
/// the same origin only, and is inherited there.
pub fn resolve(from: &Url, location: &[u8]) -> Result<Url, RedirectError> {
    if location.len() > MAX_URL {
        return Err(RedirectError::Invalid(UrlError::TooLong));
    }
    let mut url = from.join(&as_text(location)).map_err(|error| match error {
        UrlError::Scheme(scheme) => RedirectError::Scheme(scheme),
        error => RedirectError::Invalid(error),
    })?;
    if url.fragment().is_none() {
        url.set_fragment(from.fragment());
    }
    if !url.same_origin(from) {
        url.set_userinfo(None);
    }
    Ok(url)
}

/// Text out of a field's bytes; what is not UTF-8 is kept as percent-encoded bytes.
fn as_text(location: &[u8]) -> Cow<'_, str> {
    match core::str::from_utf8(location) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(location.len() + 16);
            for &byte in location {
                if byte.is_ascii() {
                    text.push(byte as char);
                } else {
                    push_encoded(&mut text, byte);
                }
            }
            Cow::Owned(text)
        }
    }
}

/// Whether a field that the user set goes along on this hop.
///
/// Secrets go to the first origin, others only if the user trusts every redirect; a hand-set
/// `Host` names the first origin and nobody else; what describes a body goes where the body goes.
pub fn goes_along(name: &str, at_home: bool, body_dropped: bool, trusted: bool) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if !at_home && (is("host") || (!trusted && is_secret(name))) {
        return false;
    }
    let about_body = || {
        is("content-type")
            || is("content-length")
            || is("content-encoding")
            || is("content-language")
            || is("content-location")
            || is("content-digest")
            || is("digest")
            || is("last-modified")
            || is("transfer-encoding")
            || is("expect")
    };
    !(body_dropped && about_body())
}

/// The stations that a request has passed.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    hops: u32,
    seen: VecDeque<u64>,
}

impl Trail {
    /// How many redirects were followed.
    pub const fn hops(&self) -> u32 {
        self.hops
    }

    /// Starts anew, keeping its memory.
    pub fn clear(&mut self) {
        self.hops = 0;
        self.seen.clear();
    }

    /// One more hop from `from`, asked with `method`, to `hop`; or why not.
    pub fn step(
        &mut self,
        from: &Url,
        method: &str,
        hop: &Hop,
        rules: &RedirectRules,
    ) -> Result<(), RedirectError> {
        self.remember(station(from, method));
        let next_method = if hop.becomes_get { "GET" } else { method };
        if self.hops >= rules.max.unwrap_or(NO_LIMIT) {
            let been_there = self.seen.contains(&station(&hop.url, next_method));
            return Err(if been_there {
                RedirectError::Loop(self.hops)
            } else {
                RedirectError::TooMany(self.hops)
            });
        }
        self.hops += 1;
        Ok(())
    }

    fn remember(&mut self, station: u64) {
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(station);
    }
}

fn station(url: &Url, method: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (method, url.without_fragment()).hash(&mut hasher);
    hasher.finish()
}

/// Why a redirect was not followed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RedirectError {
    /// Two `Location` fields that differ.
    Conflict,
    /// Not a URL.
    Invalid(UrlError),
    /// To a scheme that is not spoken.
    Scheme(Box<str>),
    /// To a scheme that the user does not allow (`--proto-redir`).
    SchemeRefused(Scheme),
    /// The limit was reached, after this many.
    TooMany(u32),
    /// The limit was reached in a circle, after this many.
    Loop(u32),
    /// The body would have to be sent again and can't.
    BodyNotReplayable,
    /// From a public host to an address of the private network.
    IntoPrivateNetwork,
}

impl RedirectError {
    /// The stable name in records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Conflict => "redirect_conflict",
            Self::Invalid(_) => "redirect_invalid",
            Self::Scheme(_) | Self::SchemeRefused(_) => "redirect_scheme",
            Self::TooMany(_) => "too_many_redirects",
            Self::Loop(_) => "redirect_loop",
            Self::BodyNotReplayable => "body_not_replayable",
            Self::IntoPrivateNetwork => "address_refused",
        }
    }

    /// How curl would leave.
    pub const fn exit(&self) -> CurlCode {
        match self {
            Self::Conflict => CurlCode::WeirdServerReply,
            Self::Invalid(_) => CurlCode::UrlMalformed,
            Self::Scheme(_) | Self::SchemeRefused(_) => CurlCode::UnsupportedProtocol,
            Self::TooMany(_) | Self::Loop(_) => CurlCode::TooManyRedirects,
            Self::BodyNotReplayable => CurlCode::SendFailRewind,
            Self::IntoPrivateNetwork => CurlCode::CouldntConnect,
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Conflict | Self::Invalid(_) => {
                "this is the server's mistake; fetch the address it meant directly"
            }
            Self::Scheme(_) => "only http:// and https:// are spoken",
            Self::SchemeRefused(_) => {
                "it would have to be among the schemes that redirects may lead to"
            }
            Self::TooMany(_) => "more can be allowed",
            Self::Loop(_) => "such a circle often waits for a cookie or a login",
            Self::BodyNotReplayable => "send the body from a file instead of a pipe",
            Self::IntoPrivateNetwork => {
                "private networks can be allowed, if this redirect is meant"
            }
        }
    }
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("the redirect names two different places"),
            Self::Invalid(error) => write!(f, "the redirect leads nowhere: {error}"),
            Self::Scheme(scheme) => {
                write!(f, "the redirect leads to the scheme \"{scheme}\", which is not spoken")
            }
            Self::SchemeRefused(scheme) => {
                write!(f, "the redirect leads to {}, which is not allowed", scheme.name())
            }
            Self::TooMany(hops) => {
                let hops = Number((*hops).into(), "redirect", "redirects");
                write!(f, "more than {hops} in a row")
            }
            Self::Loop(hops) => write!(f, "the redirects go in a circle (stopped after {hops})"),
            Self::BodyNotReplayable => {
                f.write_str("the redirect wants the body again, which can't be sent twice")
            }
            Self::IntoPrivateNetwork => {
                f.write_str("the redirect leads from a public host into a private network")
            }
        }
    }
}

impl core::error::Error for RedirectError {}

#[cfg(test)]
#[path = "redirect_tests.rs"]
mod tests;
