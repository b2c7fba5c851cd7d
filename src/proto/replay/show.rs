//! Steps of a replay, written for people.
//!
//! Owns the words and the bounds on what is shown. All that came over the wire is escaped: safe for
//! terminals.

use core::fmt;

use super::Step;
use crate::base::Number;
use crate::proto::framing::{Body, KeepAlive, Persistence};
use crate::proto::head::{Fields, Head, Version};
use crate::proto::response::Event;

/// So many bytes of a segment are shown.
pub(super) const SHOWN: usize = 60;

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { micros, bytes } => segment(f, *micros, '>', bytes),
            Self::Received { micros, bytes } => segment(f, *micros, '<', bytes),
            Self::End { micros, end } => {
                time(f, *micros)?;
                write!(f, "! {}", end.word())
            }
            Self::Request { method, target } => {
                write!(f, "    request: {method} {}", target.escape_default())
            }
            Self::NotARequest => {
                f.write_str("    not a request; answers are read as those to a GET")
            }
            Self::Event(event) => write_event(f, event),
            Self::Surplus(bytes) => {
                write!(f, "    surplus: {} that no request asked for: ", count(bytes))?;
                quoted(f, bytes)
            }
            Self::Refused { error, at, near } => {
                write!(f, "    error: {} ({error}) at byte {at}", error.name())?;
                if near.is_empty() {
                    return Ok(());
                }
                f.write_str(": ")?;
                quoted(f, near)
            }
            Self::Unfinished => f.write_str("    unfinished: the record ends within the answer"),
            Self::Damaged(damaged) => write!(f, "    {damaged}"),
        }
    }
}

fn time(f: &mut fmt::Formatter<'_>, micros: u64) -> fmt::Result {
    write!(f, "{:>8}.{:03} ms ", micros / 1000, micros % 1000)
}

fn segment(f: &mut fmt::Formatter<'_>, micros: u64, mark: char, bytes: &[u8]) -> fmt::Result {
    time(f, micros)?;
    write!(f, "{mark} {}: ", count(bytes))?;
    quoted(f, bytes)
}

const fn count(bytes: &[u8]) -> Number {
    Number(bytes.len() as u64, "byte", "bytes")
}

fn quoted(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let more = if shown.len() < bytes.len() { "..." } else { "" };
    write!(f, "\"{}\"{more}", shown.escape_ascii())
}

fn write_event(f: &mut fmt::Formatter<'_>, event: &Event<'_>) -> fmt::Result {
    match event {
        Event::Incomplete => f.write_str("    incomplete"),
        Event::Interim(head) => {
            f.write_str("    interim ")?;
            write_head(f, head)
        }
        Event::Head(head, body) => {
            f.write_str("    ")?;
            write_head(f, head)?;
            f.write_str("\n    content: ")?;
            match body {
                Body::None => f.write_str("none"),
                Body::Length(length) => {
                    write!(f, "{}, by Content-Length", Number(*length, "byte", "bytes"))
                }
                Body::Chunked => f.write_str("chunked"),
                Body::UntilClose => f.write_str("until the connection closes"),
            }
        }
        Event::Body(bytes) => {
            write!(f, "    body: {}: ", count(bytes))?;
            quoted(f, bytes)
        }
        Event::Trailers(fields) => {
            f.write_str("    trailers:")?;
            write_fields(f, *fields)
        }
        Event::Done(Persistence::KeepAlive) => {
            f.write_str("    done: the connection may be reused")
        }
        Event::Done(Persistence::Close(reason)) => write!(f, "    done: not reused, {reason}"),
    }
}

fn write_head(f: &mut fmt::Formatter<'_>, head: &Head<'_>) -> fmt::Result {
    let version = if head.version == Version::Http10 { "1.0" } else { "1.1" };
    write!(f, "head: HTTP/{version} {} \"{}\"", head.status, head.reason.escape_ascii())?;
    write_fields(f, head.fields)?;
    let KeepAlive { timeout, max } = head.keep_alive;
    if let Some(timeout) = timeout {
        write!(f, "\n    idle connections are kept for {timeout} s")?;
    }
    if let Some(max) = max {
        let more = Number(max.into(), "more request", "more requests");
        write!(f, "\n    this connection takes {more}")?;
    }
    Ok(())
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: Fields<'_>) -> fmt::Result {
    fields
        .iter()
        .try_for_each(|(name, value)| write!(f, "\n        {name}: {}", value.escape_ascii()))
}
