//! What is asked for: one URL, and the terms that many URLs share.
//!
//! Plain values, so that a batch of a million lines shares one [`Profile`] and a request costs
//! its URL.

use core::time::Duration;
use std::sync::Arc;

use super::{Auth, Field, RangeSpec, Url};
use crate::engine::ResumeFrom;

/// One transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// The submitter's own number; comes back with everything that concerns this request.
    pub tag: u64,
    /// How.
    pub profile: Arc<Profile>,
}

impl Request {
    /// A GET with all defaults; its tag is 0.
    ///
    /// ```
    /// use gannet::fetch::{Follow, Profile, Request, Url};
    ///
    /// let profile = Profile { follow: Follow::Standard, ..Profile::default() };
    /// let url: Url = "https://example.org/".parse()?;
    /// let request = Request::new(url).tag(7).profile(profile);
    /// assert_eq!((request.tag, request.profile.follow), (7, Follow::Standard));
    /// # Ok::<(), gannet::fetch::UrlError>(())
    /// ```
    pub fn new(url: Url) -> Self {
        Self { url, tag: 0, profile: Arc::default() }
    }

    /// With the submitter's own number.
    #[must_use]
    pub fn tag(mut self, tag: u64) -> Self {
        self.tag = tag;
        self
    }

    /// Asked as `profile` says: one of its own, or an `Arc` that many requests share.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<Arc<Profile>>) -> Self {
        self.profile = profile.into();
        self
    }
}

#[cfg(feature = "remote")]
impl crate::net::Remote<Request> {
    /// Takes a request, and wakes the loop. What is wrong with it is told by
    /// [`Visitor::done`](super::Visitor::done).
    pub fn submit(&self, request: Request) -> Result<(), crate::net::remote::RemoteError> {
        let tag = request.tag;
        self.push(request, tag)
    }
}

/// How to ask: shared by all requests for which it holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Profile {
    /// The method (`-X`), a token. `None`: GET, or HEAD with `head`, POST with a body, PUT with
    /// `upload`. CONNECT is sent like any other, and nobody gets at the tunnel.
    pub method: Option<Box<str>>,
    /// Ask for the head alone (`-I`).
    pub head: bool,
    /// The body is what the URL shall hold from now on: PUT in place of POST (`-T`).
    pub upload: bool,
    /// Field lines to send, or defaults to leave out (`-H`).
    pub fields: Vec<Field>,
    /// What stands in `User-Agent`; `None` is `gannet/VERSION`, empty leaves it out (`-A`).
    pub user_agent: Option<Box<str>>,
    /// What stands in `Referer` (`-e`).
    pub referer: Option<Box<str>>,
    /// After a redirect `Referer` is the URL that redirected (`-e ";auto"`).
    pub auto_referer: bool,
    /// The body.
    pub body: Body,
    /// The body's `Content-Type`, unless `fields` has one.
    pub content_type: Option<Box<str>>,
    /// Whether `Expect: 100-continue` goes before a body.
    pub expect: Expect,
    /// Whether redirects are followed.
    pub follow: Follow,
    /// Who asks (`-u`, `--oauth2-bearer`). Goes to the first origin only, unless
    /// [`RedirectRules::trusted`](super::RedirectRules::trusted).
    pub auth: Option<Auth>,
    /// Ask for a compressed answer and decode it (`--compressed`).
    pub compressed: bool,
    /// Which part of the whole the body is: `Content-Range`, for servers that take uploads in parts.
    pub content_range: Option<Box<str>>,
    /// Ask for a part (`-r`).
    pub range: Option<RangeSpec>,
    /// One attempt with its redirects (`-m`), look-ups, connecting and TLS included; never the time in
    /// the queue. `None` is the engine's time (none, by default); zero fails as soon as it begins.
    pub timeout: Option<Duration>,
    /// From the request written to the first byte of its answer; `None` is the engine's time,
    /// [`Duration::MAX`] as long as it takes, for an answer that is held back until there is
    /// something to tell.
    pub first_byte_timeout: Option<Duration>,
    /// Without one byte of the body; `None` is the engine's time, [`Duration::MAX`] as long as it
    /// takes, for a stream of events.
    pub stall_timeout: Option<Duration>,
    /// Attempts, the first one included, at each hop; `None` is the engine's number, zero is taken for 1.
    pub attempts: Option<u32>,
    /// The user's word that this request may be sent twice.
    pub retry_unsafe: bool,
    /// Never sent twice, whatever happens. (A 417 took nothing: the request is made again, without
    /// `Expect`.) Beside servers that close after each answer and do not say so, send such requests with
    /// [`Config::reuse`](crate::engine::Config::reuse) off: on a kept connection they may end as
    /// `stale_reuse`.
    pub at_most_once: bool,
    /// Goes before the host's ordinary requests.
    pub urgent: bool,
    /// A body larger than this, as it comes or as delivered, is an error (`--max-filesize`). `None`: no
    /// bound but [`DecodeLimits::bytes`](super::DecodeLimits::bytes).
    pub max_filesize: Option<u64>,
    /// Only the first so many bytes of the body are wanted; that is a success (`--truncate`).
    pub truncate: Option<u64>,
    /// Begin in the middle: what an earlier run left. The answer must prove that it continues it,
    /// else [`Visitor::restart`](super::Visitor::restart) comes first. In order:
    ///
    /// - the rest: [`head`](super::Visitor::head) with 206, then [`resumed`](super::Visitor::resumed) and the
    ///   rest of the body; the result is `Ok(206)`;
    /// - another version: `restart`, then `head` with 200 and the whole;
    /// - an error in its place: `restart`, then `head` with that status, so what is there is given up in
    ///   `head`, not before;
    /// - 416, or a 206 that does not fit: that attempt has failed, and the whole is asked for; `restart`
    ///   (with [`StatusExhausted`](crate::engine::Kind::StatusExhausted)), then `head` with 200. Where there
    ///   is no other attempt the request ends as `status_exhausted`, without either. What is whole already
    ///   is answered with 416, and fetched again.
    ///
    /// The guide has an example. An offset of zero asks for the whole. The offset counts bytes before
    /// decoding: not to be used with [`compressed`](Self::compressed), since no decoder begins in the middle.
    pub resume: Option<ResumeFrom>,
    /// A body that is cut goes on where it was cut even if nothing shows that it is still the same
    /// one: the user's word (`-C -`). Without it such a body begins again.
    pub on_trust: bool,
}

/// A request's body.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Body {
    /// None.
    #[default]
    None,
    /// In memory; can be sent again.
    Bytes(Arc<[u8]>),
    /// Asked for piece by piece through [`Visitor::upload`](super::Visitor::upload). Where responses are
    /// collected ([`Fetcher::fetch`](crate::Fetcher::fetch)) nobody can be asked: such a request fails.
    Stream {
        /// Its length, if known; else it is sent in chunks.
        length: Option<u64>,
        /// Whether the visitor can produce it again from the start.
        replayable: bool,
    },
}

impl Profile {
    /// The method that the request has by its nature.
    pub(super) const fn nature(&self) -> &'static str {
        if self.head {
            "HEAD"
        } else if self.upload {
            "PUT"
        } else if self.body.is_some() {
            "POST"
        } else {
            "GET"
        }
    }
}

impl Body {
    /// Whether a body is sent, be it an empty one.
    pub const fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// Whether the server is asked before a body is sent (RFC 9110 section 10.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Expect {
    /// As curl: for bodies above 1 MiB and those of unknown length; an `Expect` field in the
    /// profile turns it on, its removal off.
    #[default]
    Auto,
    /// Never.
    Never,
    /// With every body.
    Always,
}

/// Whether and how redirects are followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Follow {
    /// Not at all: a 3xx is the answer.
    #[default]
    No,
    /// As curl's `-L`: a method named by [`Profile::method`] is kept on every hop.
    Location,
    /// As curl's `--follow`: a named method changes where RFC 9110 changes it.
    Standard,
}
