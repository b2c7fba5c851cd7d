//! Where a message ends, and whether the connection may carry another: one pure function.
//!
//! Owns: RFC 9112 section 6.3 (length of a message body) and section 9.3 (persistence), and the
//! reading of the four fields that they depend on.
//! Never: looks at content, and decides nothing from surplus bytes or from the request: whether it was sent
//! whole, and whether it said `Connection: close`, the engine knows.

use core::fmt;

use super::error::Error;
use super::head::{Fields, Version};
use super::syntax::{list, number, trim};
use crate::base::{is_named, is_same};

/// What the request method means for the framing of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// Any method but the two below.
    #[default]
    Ordinary,
    /// HEAD: the answer has no content.
    Head,
    /// CONNECT: a 2xx answer turns the connection into a tunnel.
    Connect,
}

impl Exchange {
    /// By the request method.
    pub fn of(method: &str) -> Self {
        match method {
            "HEAD" => Self::Head,
            "CONNECT" => Self::Connect,
            _ => Self::Ordinary,
        }
    }
}

/// How the content of a response is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// All bytes until the server closes.
    UntilClose,
}

/// Whether the connection may carry another exchange, as far as this response is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Persistence {
    /// It may.
    KeepAlive,
    /// It must be closed.
    Close(CloseReason),
}

/// Why a connection is not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The server said `Connection: close`.
    ConnectionClose,
    /// HTTP/1.0 and no `Connection: keep-alive`.
    Http10WithoutKeepAlive,
    /// The close was the end of the content.
    CloseDelimited,
    /// Transfer-Encoding and Content-Length in one head: somebody on the way may read the other one.
    TransferEncodingWithContentLength,
    /// A response without content announces content: somebody may expect it.
    ContentAnnouncedWhereNoneCanBe,
    /// The connection has become a tunnel.
    Tunnel,
}

impl CloseReason {
    /// One sentence.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::ConnectionClose => "the server said Connection: close",
            Self::Http10WithoutKeepAlive => {
                "the server speaks HTTP/1.0 and did not offer to keep the connection"
            }
            Self::CloseDelimited => "the end of the connection was the end of the content",
            Self::TransferEncodingWithContentLength => {
                "the head held both Transfer-Encoding and Content-Length"
            }
            Self::ContentAnnouncedWhereNoneCanBe => {
                "the head announced content where this response can have none"
            }
            Self::Tunnel => "the connection has become a tunnel",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain())
    }
}

/// What a `Keep-Alive` field says (RFC 2068 section 19.7.1.1; servers still send it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepAlive {
    /// Seconds for which the server keeps an idle connection.
    pub timeout: Option<u32>,
    /// Requests that the server still takes on this connection.
    pub max: Option<u32>,
}

impl KeepAlive {
    fn read(&mut self, value: &[u8]) {
        for parameter in value.split(|byte| matches!(byte, b',' | b';')) {
            let mut halves = parameter.splitn(2, |byte| *byte == b'=');
            let (Some(name), Some(value)) = (halves.next().map(trim), halves.next().map(trim))
            else {
                continue;
            };
            let Some(value) = number(value).ok().and_then(|value| u32::try_from(value).ok()) else {
                continue;
            };
            if is_same(name, b"timeout") {
                self.timeout.get_or_insert(value);
            } else if is_same(name, b"max") {
                self.max.get_or_insert(value);
            }
        }
    }
}

/// Reads the `Keep-Alive` fields; what is not a number is passed over.
pub fn keep_alive(fields: &Fields<'_>) -> KeepAlive {
    let mut read = KeepAlive::default();
    fields.get_all("keep-alive").for_each(|value| read.read(value));
    read
}

/// The fields that framing depends on, as one pass over the field lines found them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FramingFields {
    /// Content-Length: absent, one number, or why it is none.
    pub content_length: Option<Result<u64, Error>>,
    /// Transfer-Encoding: absent, `chunked`, or why it is not.
    pub transfer_encoding: Option<Result<(), Error>>,
    /// `Connection` holds `close`.
    pub close: bool,
    /// `Connection` holds `keep-alive`.
    pub keep_alive: bool,
    /// How many digits the Content-Length has: repetitions must be identical, zeros in front included.
    length_digits: usize,
}

impl FramingFields {
    /// Reads the field lines once. Names are compared by length first.
    pub fn read<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> (Self, KeepAlive) {
        let mut read = Self::default();
        let mut hints = KeepAlive::default();
        for (name, value) in fields {
            match name.len() {
                10 if is_named(name, "Connection") => read.connection(value),
                10 if is_named(name, "Keep-Alive") => hints.read(value),
                14 if is_named(name, "Content-Length") => read.content_length(value),
                17 if is_named(name, "Transfer-Encoding") => {
                    read.transfer_encoding(value);
                }
                _ => {}
            }
        }
        (read, hints)
    }

    #[inline]
    fn connection(&mut self, value: &[u8]) {
        if value == b"keep-alive" {
            self.keep_alive = true;
            return;
        }
        for option in list(value) {
            self.close |= is_same(option, b"close");
            self.keep_alive |= is_same(option, b"keep-alive");
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        if self.content_length.is_none()
            && let Ok(length) = number(value)
        {
            self.content_length = Some(Ok(length));
            self.length_digits = value.len();
            return;
        }
        for element in list(value) {
            let found = number(element).map_err(|overflow| {
                if overflow { Error::ContentLengthOverflow } else { Error::BadContentLength }
            });
            self.content_length = Some(match (self.content_length, found) {
                (None, found) | (Some(Ok(_)), found @ Err(_)) => found,
                (Some(Ok(first)), Ok(second))
                    if first != second || self.length_digits != element.len() =>
                {
                    Err(Error::ConflictingContentLength)
                }
                (Some(first), _) => first,
            });
            self.length_digits = element.len();
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) {
        let empty = Some(Err(Error::EmptyTransferEncoding));
        if self.transfer_encoding.is_none() {
            self.transfer_encoding = empty;
        }
        // RFC 9110 section 5.6.1.2: empty elements of a list are passed over.
        for coding in list(value).filter(|coding| !coding.is_empty()) {
            let found = if is_same(coding, b"chunked") {
                if self.transfer_encoding == empty { Ok(()) } else { Err(Error::RepeatedChunked) }
            } else {
                Err(Error::UnsupportedTransferCoding)
            };
            if self.transfer_encoding == empty || self.transfer_encoding == Some(Ok(())) {
                self.transfer_encoding = Some(found);
            }
        }
    }
}

/// How a final response is delimited, and whether the connection may be reused after it: RFC 9112
/// sections 6.3 and 9.3, in their order.
pub fn decide(
    exchange: Exchange,
    version: Version,
    status: u16,
    fields: &FramingFields,
) -> Result<(Body, Persistence), Error> {
    let body = length(exchange, version, status, fields)?;
    Ok((body, persistence(exchange, version, status, fields, body)))
}

fn length(
    exchange: Exchange,
    version: Version,
    status: u16,
    fields: &FramingFields,
) -> Result<Body, Error> {
    if has_no_content(exchange, status) {
        return Ok(Body::None);
    }
    match (fields.transfer_encoding, fields.content_length) {
        (Some(_), _) if version == Version::Http10 => Err(Error::TransferEncodingOnHttp10),
        (Some(Err(error)), _) => Err(error),
        (Some(Ok(())), _) => Ok(Body::Chunked),
        (None, Some(length)) => Ok(Body::Length(length?)),
        (None, None) => Ok(Body::UntilClose),
    }
}

fn has_no_content(exchange: Exchange, status: u16) -> bool {
    exchange == Exchange::Head
        || matches!(status, 100..=199 | 204 | 304)
        || is_tunnel(exchange, status)
}

fn is_tunnel(exchange: Exchange, status: u16) -> bool {
    exchange == Exchange::Connect && matches!(status, 200..=299)
}

fn persistence(
    exchange: Exchange,
    version: Version,
    status: u16,
    fields: &FramingFields,
    body: Body,
) -> Persistence {
    let both = fields.transfer_encoding.is_some() && fields.content_length.is_some();
    let announced = match status {
        204 => {
            fields.transfer_encoding.is_some()
                || !matches!(fields.content_length, None | Some(Ok(0)))
        }
        // These may say how long the content would have been, if they say it readably.
        304 => unreadable(fields),
        _ if exchange == Exchange::Head => unreadable(fields),
        _ => false,
    };
    Persistence::Close(if is_tunnel(exchange, status) {
        CloseReason::Tunnel
    } else if fields.close {
        CloseReason::ConnectionClose
    } else if both {
        CloseReason::TransferEncodingWithContentLength
    } else if body == Body::UntilClose {
        CloseReason::CloseDelimited
    } else if announced {
        CloseReason::ContentAnnouncedWhereNoneCanBe
    } else if version == Version::Http10 && !fields.keep_alive {
        CloseReason::Http10WithoutKeepAlive
    } else {
        return Persistence::KeepAlive;
    })
}

fn unreadable(fields: &FramingFields) -> bool {
    matches!(fields.content_length, Some(Err(_)))
        || matches!(fields.transfer_encoding, Some(Err(_)))
}
