//! What a user means by one URL: parsing, redirects, credentials, decoding.
//!
//! The engine moves requests; this layer knows what they are for. What is decided here is a
//! function of values and is tested as a table; only the [`Fetcher`] has sockets, through the
//! driver. Nothing here opens a file of the user's or speaks to a terminal.
//!
//! | module | owns |
//! |---|---|
//! | `url` | typed text → scheme, origin, target |
//! | `header`, `request`, `options` | what is asked for |
//! | `auth`, `netrc` | who asks |
//! | `range`, [`date`], `pace` | parts; dates, waits and proofs by date; rate limits |
//! | [`form`] | bodies and queries out of `-d`, `--data-urlencode`, `--json` |
//! | [`redirect`] | where an answer sends us, and what goes along |
//! | [`decode`] | content codings undone, with bounds |
//! | `names` | where hosts are, as the user and the system say |
//! | `address` | which addresses may be spoken to |
//! | `ask` | profile and station → the engine's request |
//! | `slots` | one request on its way, and what each report means for it |
//! | `fetcher`, `visitor` | the turn, and who is told |
//! | `simple` | whole responses, collected |
//! | `error`, `exit` | what went wrong, what to do, curl's exit codes |
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod address;
mod ask;
mod auth;
pub mod date;
pub mod decode;
mod error;
mod exit;
mod fetcher;
pub mod form;
mod header;
mod names;
mod netrc;
mod options;
mod pace;
mod pass;
mod range;
pub mod redirect;
mod request;
mod simple;
mod slots;
mod url;
mod visitor;

pub use crate::engine::{ResumeFrom, Upload, Validator};
/// A handle for other threads; see [`Fetcher::remote`].
#[cfg(feature = "remote")]
pub type Remote = crate::net::Remote<Request>;
pub use crate::proto::{Fields, Head, Version};
pub use address::{AddressRules, Network, is_private};
pub use auth::Auth;
pub use decode::{DecodeError, DecodeLimits, Decoder};
#[cfg(feature = "cli")]
pub(crate) use error::is_rule;
pub use error::{Error, Kind as ErrorKind};
pub use exit::CurlCode;
pub use fetcher::Fetcher;
pub use header::{Field, FieldError, is_secret};
pub use names::{KnownHost, NameOptions, Route};
pub use netrc::{MAX_NETRC, Netrc, NetrcError};
pub use options::{Options, StartError};
pub use pace::rate_hint;
pub use range::{ContentRange, RangeError, RangeSpec, Span};
pub use redirect::{RedirectError, RedirectRules, Schemes};
pub use request::{Body, Expect, Follow, Profile, Request};
pub use simple::{MAX_COLLECTED, Response};
#[cfg(feature = "cli")]
pub(crate) use url::userinfo_ends;
pub use url::{MAX_URL, Scheme, Url, UrlError, UrlRules, Userinfo, mask};
pub use visitor::{Answer, Control, Outcome, Redirect, Ticket, Visitor, Want};
