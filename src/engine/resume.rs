//! Going on in the middle of a body (RFC 9110 sections 13.1.5, 14 and 15.3.7).
//!
//! Owns what is asked (`Range`, `If-Range`) and whether the answer is the rest of what is there.
//! Pure: looks at heads, never at sockets. A body is continued only by a verified single-part
//! 206; anything else starts again.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::job::{ByteRange, Job, Marks, Validator};
use super::{Advice, Resume};
use crate::base::{is_same, push_digits};
use crate::proto::{self, Body, Fields, Head};

/// Bytes of a validator, or of a coding, that are kept with a request: a longer one is not used.
pub(super) const KEPT: usize = 128;

/// `Content-Range: bytes first-last/total` (RFC 9110 section 14.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContentRange {
    /// The first byte's position.
    pub first: u64,
    /// The last byte's position.
    pub last: u64,
    /// The complete length, if the server knows it.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads a field value; `None` when it is not a satisfied range of bytes that makes sense.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = halves(value.trim_ascii(), b' ')?;
        if !is_same(unit, "bytes") {
            return None;
        }
        let (range, total) = halves(rest.trim_ascii(), b'/')?;
        let (first, last) = halves(range, b'-')?;
        let (first, last) = (digits(first)?, digits(last)?);
        let total = if total == b"*" { None } else { Some(digits(total)?) };
        // The bytes up to a last one at the end of all numbers can't be counted.
        let fits = first <= last && last < total.unwrap_or(u64::MAX);
        fits.then_some(Self { first, last, total })
    }
}

/// Digits and nothing else.
fn digits(text: &[u8]) -> Option<u64> {
    proto::number(text).ok()
}

/// What is before the first such byte, and what is behind it.
fn halves(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, behind) = text.split_at_checked(text.iter().position(|byte| *byte == at)?)?;
    Some((before, behind.get(1..)?))
}

/// Reads a `Range` value of a single range with a first position; others are never continued.
pub(super) fn single_range(value: &[u8]) -> Option<ByteRange> {
    let range = value.trim_ascii().strip_prefix(b"bytes=")?;
    let (first, last) = halves(range, b'-')?;
    let first = digits(first.trim_ascii())?;
    let last = last.trim_ascii();
    let last = if last.is_empty() { None } else { Some(digits(last)?) };
    Some(ByteRange { first, last })
}

/// Appends the head of an attempt: as it was made, or asking for the rest only.
pub(super) fn ask(job: &Job, out: &mut Vec<u8>) {
    let Some(offset) = job.progress.offset() else {
        out.extend_from_slice(&job.head);
        return;
    };
    let own = job.range_line.clone().unwrap_or(job.head.len()..job.head.len());
    out.extend_from_slice(job.head.get(..own.start).unwrap_or(&job.head));
    out.extend_from_slice(job.head.get(own.end..).unwrap_or_default());
    // Who asked for a part may have been given the whole: the rest is that of what came.
    let part = job.progress.part;
    let first = part.map_or(0, |part| part.first).saturating_add(offset);
    let last = part.and_then(|part| part.last);
    let mut value = b"bytes=".to_vec();
    push_digits::<10>(&mut value, first);
    value.push(b'-');
    if let Some(last) = last {
        push_digits::<10>(&mut value, last);
    }
    let _ = proto::encode_field(out, "Range", &value);
    if let Some(Validator::ETag(value) | Validator::LastModified(value)) = &job.progress.validator {
        // The value came in a head that the parser accepted: it is a valid field value.
        let _ = proto::encode_field(out, "If-Range", value);
    }
}

/// What an answer to a request for the rest is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// The rest, verified.
    Continues,
    /// Another answer to the question as a whole: what was delivered is void.
    StartsAgain,
    /// No answer that can be used: ask again for the whole.
    Useless,
}

/// Judges the answer to a request for the rest.
pub(super) fn judge(job: &mut Job, head: &Head<'_>, body: Body) -> Answer {
    match head.status {
        206 => {
            if continues(job, head, body) {
                Answer::Continues
            } else {
                Answer::Useless
            }
        }
        // The rest can't be had in this form (a shorter representation, a server that
        // changed its mind).
        416 => Answer::Useless,
        _ => Answer::StartsAgain,
    }
}

fn continues(job: &mut Job, head: &Head<'_>, body: Body) -> bool {
    let progress = &mut job.progress;
    let Some(range) = head.fields.get("content-range").and_then(ContentRange::parse) else {
        return false;
    };
    if range.first != progress.first().saturating_add(progress.delivered) {
        return false;
    }
    // Several parts in one body are longer than what they hold, if they name a range at all.
    let length = range.last - range.first + 1;
    let body_fits = match body {
        Body::Length(bytes) => bytes == length,
        // Counted when it ends.
        Body::Chunked | Body::UntilClose => true,
        Body::None => false,
    };
    // To the end, or to the end of what the user asked for: less would leave a hole unseen.
    let to_the_end = match (progress.part.and_then(|part| part.last), range.total) {
        (Some(last), Some(total)) => range.last == last.min(total - 1),
        (Some(last), None) => range.last == last,
        (None, Some(total)) => range.last == total - 1,
        (None, None) => true,
    };
    let total_fits = progress.total.is_none_or(|total| total == range.last + 1);
    let same_version = match &progress.validator {
        Some(Validator::ETag(tag)) => head.fields.get("etag") == Some(tag),
        Some(Validator::LastModified(date)) => {
            head.fields.get("last-modified").is_none_or(|value| value == &**date)
        }
        Some(Validator::OnTrust(marks)) => !contradicted(marks, head.fields),
        None => false,
    };
    let same_coding =
        progress.inherited || head.fields.get("content-encoding") == progress.coding.as_deref();
    let fits = body_fits && to_the_end && total_fits && same_version && same_coding;
    if fits {
        progress.total = Some(range.last + 1);
    }
    fits
}

/// Whether a head says that it is of another version than the one that left these marks.
fn contradicted(marks: &Marks, fields: Fields<'_>) -> bool {
    let differs = |mark: &Option<Box<[u8]>>, name| match (mark, fields.get(name)) {
        (Some(mark), Some(now)) => **mark != *now,
        _ => false,
    };
    differs(&marks.etag, "etag") || differs(&marks.last_modified, "last-modified")
}

/// Remembers, from a head that is delivered, by what its body could be continued; `here` bytes
/// came behind it.
pub(super) fn remember(job: &mut Job, head: &Head<'_>, body: Body, advice: Advice, here: u64) {
    // A body that is whole in the same input can't be cut any more: nothing is kept for it.
    if matches!(body, Body::None) || matches!(body, Body::Length(length) if length <= here) {
        job.progress.validator = None;
        return;
    }
    let verified_part = job.range.filter(|_| head.status == 206).and_then(|wanted| {
        let given = head.fields.get("content-range").and_then(ContentRange::parse)?;
        (given.first == wanted.first).then_some((wanted, given))
    });
    job.progress.part = verified_part.map(|(wanted, _)| wanted);
    job.progress.validator = match advice {
        Advice::Deliver(how) if job.is_get && (head.status == 200 || verified_part.is_some()) => {
            validator(head.fields, how, verified_part.is_some())
        }
        _ => None,
    };
    job.progress.total = match (verified_part, body) {
        (Some((_, given)), _) => Some(given.last + 1),
        (None, Body::Length(bytes)) => Some(bytes),
        (None, _) => None,
    };
    job.progress.coding = match (&job.progress.validator, head.fields.get("content-encoding")) {
        (Some(_), Some(coding)) if coding.len() > KEPT => {
            job.progress.validator = None;
            None
        }
        (Some(_), coding) => coding.map(Box::from),
        (None, _) => None,
    };
}

/// The validator of a head, if its server gives ranges at all; `part`: it gave one.
fn validator(fields: Fields<'_>, how: Resume, part: bool) -> Option<Validator> {
    if how == Resume::Never || fields.get("accept-ranges") == Some(b"none") {
        return None;
    }
    let etag = fields.get("etag").filter(|tag| is_strong(tag));
    let short = |value: &&[u8]| value.len() <= KEPT;
    match (etag, how) {
        (Some(tag), _) => short(&tag).then(|| Validator::ETag(tag.into())),
        (None, Resume::ByETagOrDate) => {
            let date = fields.get("last-modified").filter(short);
            date.map(|date| Validator::LastModified(date.into()))
        }
        (None, Resume::OnTrust) => {
            let gives = part || fields.get("accept-ranges") == Some(b"bytes");
            gives.then(|| {
                let kept = |name| fields.get(name).filter(short).map(Box::from);
                let (etag, last_modified) = (kept("etag"), kept("last-modified"));
                Validator::OnTrust(Box::new(Marks { etag, last_modified }))
            })
        }
        (None, _) => None,
    }
}

/// A strong entity tag: quoted, without `W/` (RFC 9110 section 8.8.3).
pub(super) fn is_strong(tag: &[u8]) -> bool {
    tag.len() >= 2 && tag.first() == Some(&b'"') && tag.last() == Some(&b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range_rows() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        let most = u64::MAX;
        let rows: [(&str, Option<ContentRange>); 17] = [
            ("bytes 0-9/10", range(0, 9, Some(10))),
            ("bytes 5-9/*", range(5, 9, None)),
            ("BYTES 5-5/6", range(5, 5, Some(6))),
            ("bytes 0-18446744073709551614/*", range(0, most - 1, None)),
            ("bytes 0-18446744073709551614/18446744073709551615", range(0, most - 1, Some(most))),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes 18446744073709551615-18446744073709551615/*", None),
            ("bytes 5-4/10", None),
            ("bytes 0-10/10", None),
            ("bytes */10", None),
            ("bytes=0-9/10", None),
            ("items 0-9/10", None),
            ("bytes +0-9/10", None),
            ("bytes 0-9/-1", None),
            ("bytes 0-9", None),
            ("bytes 0-99999999999999999999/*", None),
            ("", None),
        ];
        for (value, wanted) in rows {
            assert_eq!(ContentRange::parse(value.as_bytes()), wanted, "{value:?}");
        }
    }

    #[test]
    fn only_a_single_range_with_a_first_position_is_composed() {
        let rows = [
            ("bytes=0-", Some((0, None))),
            ("bytes=5-9", Some((5, Some(9)))),
            ("bytes=-5", None),
            ("bytes=0-1,3-4", None),
            ("lines=1-2", None),
        ];
        for (value, wanted) in rows {
            let got = single_range(value.as_bytes()).map(|range| (range.first, range.last));
            assert_eq!(got, wanted, "{value}");
        }
    }

    #[test]
    fn strong_tags() {
        for (tag, strong) in
            [("\"a\"", true), ("\"\"", true), ("W/\"a\"", false), ("a", false), ("\"", false)]
        {
            assert_eq!(is_strong(tag.as_bytes()), strong, "{tag}");
        }
    }
}
