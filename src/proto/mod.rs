//! HTTP/1.1 as a function of bytes: what goes out, and what came in.
//!
//! Owns: encoding of requests, response heads, message framing, the chunked coding, trailers,
//! and the verdict whether the connection may carry another exchange.
//! Never: time, sockets, jobs, retries, URLs, redirects, content codings.
//! RFC 9112 throughout, RFC 9110 for methods, fields and statuses. Every ruling stands in
//! `docs/parser.md`, and in `tests/proto_tables.rs` with rows that accept and reject.
//!
//! # How a response comes in
//!
//! One [`Response`] receives one exchange. It is handed bytes as they arrive and answers what they were:
//!
//! ```
//! use gannet::proto::{Body, Event, Exchange, Limits, Persistence, Response, Scratch};
//!
//! let limits = Limits::default();
//! let mut response = Response::new(Exchange::Ordinary);
//! let mut input: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
//! let mut content = Vec::new();
//! loop {
//!     let mut scratch = Scratch::new();
//!     let (used, event) = response.next(&limits, input, &mut scratch)?;
//!     match event {
//!         Event::Incomplete => break, // wait for more bytes, or tell `eof`
//!         Event::Interim(_) => {}
//!         Event::Head(head, body) => assert_eq!((head.status, body), (200, Body::Length(5))),
//!         Event::Body(bytes) => content.extend_from_slice(bytes),
//!         Event::Trailers(_) => {}
//!         Event::Done(persistence) => {
//!             assert_eq!(persistence, Persistence::KeepAlive);
//!             break; // what is left of `input` is surplus: the connection is not reused
//!         }
//!     }
//!     input = &input[used..];
//! }
//! assert_eq!(content, b"hello");
//! # Ok::<(), gannet::proto::Error>(())
//! ```
//!
//! # Where a message ends
//!
//! The whole danger of HTTP/1.1 lies in that question: who is talked into another answer than the
//! server takes the next response for part of this one. It is decided once, in one pure function,
//! [`framing::decide`], from the request method, the status, the version and four fields. The order
//! is RFC 9112 section 6.3:
//!
//! 1. an answer to HEAD, 1xx, 204, 304, and 2xx to CONNECT have no content, whatever the head says;
//! 2. Transfer-Encoding, which may be `chunked` and nothing else, wins over Content-Length, and
//!    the connection is not reused when both were there;
//! 3. a Content-Length that is not one number is an error, never a guess;
//! 4. one Content-Length is the length;
//! 5. neither: the content lasts until the connection closes.
//!
//! # Same bytes, same verdict
//!
//! Nothing here depends on how the bytes were cut into segments: not the events (but for where
//! content is cut), not the error, not which limit was hit. A head is judged when it is whole; only
//! its first bytes are judged at once, so that a server that speaks another protocol is told
//! apart while it waits for us.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)
)]

pub mod chunked;
pub mod error;
pub mod framing;
pub mod head;
pub mod replay;
pub mod request;
pub mod response;
mod start;
mod syntax;
mod trailers;
pub mod wire;

pub use error::Error;
pub use framing::{Body, CloseReason, Exchange, KeepAlive, Persistence, keep_alive};
pub use head::{Fields, Head, Scratch, Version};
#[cfg(feature = "fetch")]
pub(crate) use request::begin_head;
pub use request::{
    RequestBody, RequestError, RequestHead, encode_chunk_end, encode_chunk_start, encode_field,
    encode_head, encode_last_chunk, end_head, field_line, is_idempotent, is_safe, leave_out,
};
pub use response::{Event, Limits, Phase, Response};
pub(crate) use syntax::number;
