//! Requests: the bytes that go out.
//!
//! Owns: start line, Host, the fields that frame the content, and the refusal of everything that could smuggle
//! a line into a request.
//! Never: invents fields beyond Host, Content-Length and Transfer-Encoding.
//! RFC 9112 sections 3, 6 and 7.1; RFC 9110 sections 5.5, 7.2, 8.6 and 9.2.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU64;
use core::ops::Range;

use super::syntax::{is_graphic, is_host, is_token, is_value, number, trim};
use crate::base::{is_named, is_same, push_digits};

/// A request without its content.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method, a token; case matters.
    pub method: &'a str,
    /// The request target as it goes on the wire: visible ASCII only, percent-encode the rest.
    pub target: &'a str,
    /// The value of Host, unless `fields` hold one (the first counts).
    pub host: &'a str,
    /// The other field lines, in order.
    pub fields: &'a [(&'a str, &'a [u8])],
}

/// How the content of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// The chunked coding: [`encode_chunk_start`] and its companions.
    Chunked,
}

/// Why a request was refused. Nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestError {
    /// The method is not a token.
    BadMethod,
    /// The target is empty, or holds a blank, a control character or a byte beyond ASCII.
    BadTarget,
    /// The value of Host holds a blank or a control character.
    BadHost,
    /// A field name is not a token.
    BadFieldName,
    /// A field value holds a control character.
    BadFieldValue,
    /// A Content-Length was passed in that the content contradicts.
    ContradictingContentLength,
    /// A Transfer-Encoding was passed in that the content contradicts.
    ContradictingTransferEncoding,
}

impl RequestError {
    /// The stable name, for records and scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadMethod => "bad_method",
            Self::BadTarget => "bad_target",
            Self::BadHost => "bad_host",
            Self::BadFieldName => "bad_request_field_name",
            Self::BadFieldValue => "bad_request_field_value",
            Self::ContradictingContentLength => "contradicting_content_length",
            Self::ContradictingTransferEncoding => "contradicting_transfer_encoding",
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadMethod => "the request method is not a token",
            Self::BadTarget => {
                "the request target is empty or holds a blank, a control character or a byte beyond ASCII"
            }
            Self::BadHost => "the value of Host holds a blank or a control character",
            Self::BadFieldName => "the name of a request field is not a token",
            Self::BadFieldValue => "the value of a request field holds a control character",
            Self::ContradictingContentLength => "a Content-Length was given that the request's content contradicts",
            Self::ContradictingTransferEncoding => {
                "a Transfer-Encoding was given that the request's content contradicts"
            }
        })
    }
}

impl core::error::Error for RequestError {}

/// Appends start line and field lines: Host first, the given ones in their order, then
/// Content-Length or Transfer-Encoding as `body` wants, unless that was among the given ones: then it
/// stands there. POST, PUT and PATCH without content say
/// `Content-Length: 0`. The empty line is not written, so that an attempt can add fields of its own:
/// [`encode_field`], then [`end_head`]. After an error `out` is as it was before.
pub fn encode_head(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    body: RequestBody,
) -> Result<(), RequestError> {
    let before = out.len();
    let result = append_head(out, head, body);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

/// What the lines of an ordinary request take beside its target and Host.
const USUAL_FIELDS: usize = 80;

fn append_head(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    body: RequestBody,
) -> Result<(), RequestError> {
    let mut host = None;
    for (name, value) in head.fields {
        match name.len() {
            4 if host.is_none() && is_named(name, "Host") => host = Some(trim(value)),
            14 if is_named(name, "Content-Length") => {
                check_content_length(value, body)?;
            }
            17 if is_named(name, "Transfer-Encoding") => {
                check_transfer_encoding(value, body)?;
            }
            _ => {}
        }
    }
    begin_head(out, head.method, head.target, host.unwrap_or(head.host.as_bytes()))?;
    let mut framed = false;
    for (name, value) in head.fields {
        if !is_ours(name) {
            encode_field(out, name, value)?;
        } else if !framed && !is_named(name, "Host") {
            framed = true;
            framing(out, body);
        }
    }
    if !framed && (body != RequestBody::None || expects_content(head.method)) {
        framing(out, body);
    }
    Ok(())
}

/// Appends the start line and Host. After an error `out` is as it was before.
pub(crate) fn begin_head(
    out: &mut Vec<u8>,
    method: &str,
    target: &str,
    host: &[u8],
) -> Result<(), RequestError> {
    if !is_token(method.as_bytes()) {
        return Err(RequestError::BadMethod);
    }
    if target.is_empty() || !is_graphic(target.as_bytes()) {
        return Err(RequestError::BadTarget);
    }
    if !is_host(host) {
        return Err(RequestError::BadHost);
    }
    out.reserve(method.len() + target.len() + host.len() + USUAL_FIELDS);
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    line(out, "Host", host);
    Ok(())
}

fn framing(out: &mut Vec<u8>, body: RequestBody) {
    match body {
        RequestBody::Length(length) => content_length(out, length),
        RequestBody::None => content_length(out, 0),
        RequestBody::Chunked => line(out, "Transfer-Encoding", b"chunked"),
    }
}

/// Where the first field line of this name lies in an encoded head, its line end included.
pub fn field_line(head: &[u8], name: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for text in head.split_inclusive(|&byte| byte == b'\n') {
        let end = start + text.len();
        let named = text.get(..name.len()).is_some_and(|begin| is_same(begin, name));
        // The start line is none: no field name holds a blank.
        if start > 0 && named && text.get(name.len()) == Some(&b':') {
            return Some(start..end);
        }
        start = end;
    }
    None
}

/// Takes the first field line of this name out of an encoded head: for users who insist on a request
/// without Host, or on a POST that says nothing of its length.
pub fn leave_out(head: &mut Vec<u8>, name: &str) {
    if let Some(line) = field_line(head, name) {
        head.drain(line);
    }
}

/// Methods whose requests say that they have no content (RFC 9110 section 8.6).
fn expects_content(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}

/// Written by [`encode_head`] itself.
fn is_ours(name: &str) -> bool {
    match name.len() {
        4 => is_named(name, "Host"),
        14 => is_named(name, "Content-Length"),
        17 => is_named(name, "Transfer-Encoding"),
        _ => false,
    }
}

fn check_content_length(value: &[u8], body: RequestBody) -> Result<(), RequestError> {
    let length = match body {
        RequestBody::None => 0,
        RequestBody::Length(length) => length,
        RequestBody::Chunked => return Err(RequestError::ContradictingContentLength),
    };
    if number(trim(value)) == Ok(length) {
        Ok(())
    } else {
        Err(RequestError::ContradictingContentLength)
    }
}

fn check_transfer_encoding(value: &[u8], body: RequestBody) -> Result<(), RequestError> {
    if body == RequestBody::Chunked && is_same(trim(value), b"chunked") {
        Ok(())
    } else {
        Err(RequestError::ContradictingTransferEncoding)
    }
}

fn content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    push_digits::<10>(out, length);
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    if !value.is_empty() {
        out.push(b' ');
        out.extend_from_slice(value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends one field line. The value may be empty; it may hold blanks and obs-text, but no
/// other control than HTAB. After an error `out` is as it was before.
pub fn encode_field(out: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), RequestError> {
    if !is_token(name.as_bytes()) {
        return Err(RequestError::BadFieldName);
    }
    if !is_value(value) {
        return Err(RequestError::BadFieldValue);
    }
    line(out, name, value);
    Ok(())
}

/// Appends the empty line that ends a head.
pub fn end_head(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the line before a chunk of `length` bytes. A length of zero would end the content, so there is none.
pub fn encode_chunk_start(out: &mut Vec<u8>, length: NonZeroU64) {
    push_digits::<16>(out, length.get());
    out.extend_from_slice(b"\r\n");
}

/// Appends what follows the data of a chunk.
pub fn encode_chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk, without trailers: the end of chunked content.
pub fn encode_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// RFC 9110 section 9.2.1: a request of this method asks for no change. Methods that are not known are not safe.
pub fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

/// RFC 9110 section 9.2.2: several such requests have the effect of one, so they may be repeated.
pub fn is_idempotent(method: &str) -> bool {
    is_safe(method) || matches!(method, "PUT" | "DELETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_head_are_found_and_left_out() {
        let whole = b"GET /host: HTTP/1.1\r\nHost: a\r\nX-Host: b\r\nRANGE: bytes=0-\r\n";
        for (name, line) in [
            ("host", Some("Host: a\r\n")),
            ("x-host", Some("X-Host: b\r\n")),
            ("Range", Some("RANGE: bytes=0-\r\n")),
            ("get /host", None),
            ("hos", None),
            ("", None),
        ] {
            let found = field_line(whole, name).map(|line| whole.get(line).unwrap());
            assert_eq!(found, line.map(str::as_bytes), "{name}");
        }
        let mut head = whole.to_vec();
        leave_out(&mut head, "HOST");
        leave_out(&mut head, "none");
        assert_eq!(head, b"GET /host: HTTP/1.1\r\nX-Host: b\r\nRANGE: bytes=0-\r\n");
    }
}
