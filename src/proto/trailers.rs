//! The lines after the last chunk.
//!
//! Owns: collecting them, strictly by CR LF and without folding, within bounds; the list of
//! fields that a trailer must not hold, which are dropped.
//! Never: merges them into the head.
//! RFC 9112 section 7.1.2, RFC 9110 section 6.5.

use alloc::vec::Vec;

use super::error::Error;
use super::syntax::is_blank;
use crate::base::is_same;

/// The lines are parsed by the rules for heads: behind a status line of ours.
pub(super) const STATUS_LINE: &[u8] = b"HTTP/1.1 200\r\n";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scan {
    #[default]
    LineStart,
    InLine,
    /// After a carriage return that ends a field line.
    Cr,
    /// After a carriage return that begins a line: the end.
    EmptyLineCr,
}

/// Collects the trailer section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trailers {
    scan: Scan,
}

/// How far the section has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Incomplete,
    /// The empty line was seen; `held` has the lines, behind [`STATUS_LINE`], if there are any.
    Complete,
}

impl Trailers {
    /// Takes a prefix of `input` into `held`, field lines of at most `most` bytes in all.
    pub(super) fn collect(
        &mut self,
        most: u32,
        input: &[u8],
        held: &mut Vec<u8>,
    ) -> Result<(usize, Progress), Error> {
        for (at, byte) in input.iter().enumerate() {
            self.scan = match (self.scan, *byte) {
                (Scan::LineStart, b'\r') => Scan::EmptyLineCr,
                (Scan::InLine, b'\r') => Scan::Cr,
                (Scan::LineStart | Scan::InLine, b'\n') => return Err(Error::BadTrailerEnd),
                (Scan::LineStart, byte) if is_blank(byte) => return Err(Error::FoldedTrailer),
                (Scan::LineStart | Scan::InLine, _) => Scan::InLine,
                (Scan::Cr, b'\n') => Scan::LineStart,
                (Scan::EmptyLineCr, b'\n') => {
                    if !held.is_empty() {
                        held.extend_from_slice(b"\r\n");
                    }
                    return Ok((at + 1, Progress::Complete));
                }
                (Scan::Cr | Scan::EmptyLineCr, _) => return Err(Error::BareCr),
            };
            if self.scan != Scan::EmptyLineCr {
                if held.is_empty() {
                    held.extend_from_slice(STATUS_LINE);
                }
                if held.len() - STATUS_LINE.len() >= most as usize {
                    return Err(Error::TrailersTooLarge);
                }
                held.push(*byte);
            }
        }
        Ok((input.len(), Progress::Incomplete))
    }
}

/// Moves the lines that a trailer may hold to the front, in order, and returns them.
pub(super) fn retain_allowed<'h, 'b>(
    lines: &'h mut [httparse::Header<'b>],
) -> &'h [httparse::Header<'b>] {
    let mut kept = 0;
    for at in 0..lines.len() {
        let Some(line) = lines.get(at).copied() else { break };
        if !is_forbidden(line.name)
            && let Some(slot) = lines.get_mut(kept)
        {
            *slot = line;
            kept += 1;
        }
    }
    lines.get(..kept).unwrap_or_default()
}

/// Fields that say where the message ends, where it goes, who may see it or how its content is to
/// be read: too late in a trailer, and dangerous there.
fn is_forbidden(name: &str) -> bool {
    const FORBIDDEN: &[&str] = &[
        "authentication-info",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    ];
    FORBIDDEN.iter().any(|forbidden| is_same(forbidden, name))
}
