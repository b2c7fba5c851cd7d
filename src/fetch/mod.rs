//! What a user means by one URL: parsing, redirects, credentials, decoding.
//!
//! The engine moves requests; this layer knows what they are for. What is decided here is a
//! function of values and is tested as a table. Nothing here opens a file or speaks to a terminal.
//!
//! | module | owns |
//! |---|---|
//! | `url`, `url_fast` | typed text → scheme, origin, target |
//! | `header`, `request` | what is asked for |
//! | `auth`, `netrc` | who asks |
//! | `range`, [`date`] | parts of a representation; dates, waits and proofs by date |
//! | [`form`] | bodies and queries out of `-d`, `--data-urlencode`, `--json` |
//! | [`redirect`] | where an answer sends us, and what goes along |
//! | [`decode`] | content codings undone, with bounds |
//! | `exit` | curl's exit codes |

mod auth;
pub mod date;
pub mod decode;
mod exit;
pub mod form;
mod header;
mod netrc;
mod range;
pub mod redirect;
mod request;
mod url;
mod url_fast;

pub use auth::Auth;
pub use decode::{DecodeError, DecodeLimits, Decoder};
pub use exit::CurlCode;
pub use header::{Field, FieldError, is_secret};
pub use netrc::{MAX_NETRC, Netrc, NetrcError};
pub use range::{ContentRange, RangeError, RangeSpec, Span};
pub use redirect::{RedirectError, RedirectRules, Schemes};
pub use request::{Body, Expect, Follow, Profile, Request, ResumeFrom, Validator};
pub use url::{MAX_URL, Scheme, Url, UrlError, UrlRules, Userinfo, mask};
