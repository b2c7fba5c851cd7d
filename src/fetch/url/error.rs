//! Why text is not a URL that can be fetched.
//!
//! Owns the names in records, a sentence on what is wrong and one on what to do.

use core::fmt;

use super::MAX_URL;

/// Why text is not a URL that can be fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UrlError {
    /// There is nothing.
    Empty,
    /// A scheme other than `http` and `https`.
    Scheme(Box<str>),
    /// No host where one belongs.
    EmptyHost,
    /// The host is neither a name nor an address: what the standard says of it.
    Host(&'static str),
    /// A port that is no number from 1 to 65535.
    Port,
    /// A control character, at this byte.
    Control(usize),
    /// A blank, at this byte.
    Blank(usize),
    /// More than three slashes after the scheme.
    Slashes,
    /// Longer than [`MAX_URL`].
    TooLong,
    /// Not a URL for another reason.
    NotUrl(&'static str),
}

impl UrlError {
    /// The stable name in records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scheme(_) => "unknown_scheme",
            Self::EmptyHost => "url_without_host",
            Self::Host(_) => "url_bad_host",
            Self::Port => "url_bad_port",
            Self::Control(_) => "url_control_character",
            Self::Blank(_) => "url_blank",
            Self::TooLong => "url_too_long",
            Self::Empty | Self::Slashes | Self::NotUrl(_) => "url_malformed",
        }
    }

    /// What to do about it, in one sentence.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Scheme(_) => "only http:// and https:// are spoken",
            Self::Blank(_) => "write a blank in a URL as %20, one URL a line",
            Self::Control(_) => "remove the control character, or write it as %XX",
            Self::Port => "a port is a number from 1 to 65535",
            Self::TooLong => "send the data as a body instead of in the URL",
            Self::Empty | Self::Slashes | Self::NotUrl(_) | Self::EmptyHost | Self::Host(_) => {
                "a URL looks like https://example.org/path"
            }
        }
    }

    pub(in crate::fetch) fn from_standard(error: url::ParseError) -> Self {
        use url::ParseError as E;
        match error {
            E::EmptyHost => Self::EmptyHost,
            E::InvalidPort => Self::Port,
            E::IdnaError => Self::Host("it is not a valid international domain name"),
            E::InvalidIpv4Address => Self::Host("it looks like an IPv4 address and is none"),
            E::InvalidIpv6Address => Self::Host("it looks like an IPv6 address and is none"),
            E::InvalidDomainCharacter => {
                Self::Host("it contains a character that no host name has")
            }
            E::RelativeUrlWithoutBase | E::RelativeUrlWithCannotBeABaseBase => {
                Self::NotUrl("it names no host")
            }
            E::SetHostOnCannotBeABaseUrl => Self::NotUrl("it can't have a host"),
            E::Overflow => Self::TooLong,
            _ => Self::NotUrl("the URL standard rejects it"),
        }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the URL is empty"),
            Self::Scheme(scheme) => {
                f.write_str("the scheme \"")?;
                for character in scheme.chars().take(32) {
                    write!(f, "{}", character.escape_debug())?;
                }
                f.write_str("\" is not spoken")
            }
            Self::EmptyHost => f.write_str("the URL names no host"),
            Self::Host(why) => write!(f, "the URL's host is not valid: {why}"),
            Self::Port => f.write_str("the URL's port is not a number from 1 to 65535"),
            Self::Control(at) => write!(f, "the URL has a control character at byte {}", at + 1),
            Self::Blank(at) => write!(f, "the URL has a blank at byte {}", at + 1),
            Self::Slashes => f.write_str("the URL has more than three slashes after its scheme"),
            Self::TooLong => write!(f, "the URL is longer than {MAX_URL} bytes"),
            Self::NotUrl(why) => write!(f, "this is not a URL: {why}"),
        }
    }
}

impl core::error::Error for UrlError {}
