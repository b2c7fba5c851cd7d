//! What paths ask for when no rule says otherwise, in the manner of httpbin.
//!
//! The list that users see is in [`super`]'s documentation and at `/`.

use super::answer::{Ask, Draft};
use super::codec;
use super::outgoing::Content;
use super::pattern;
use super::request::number;
use super::rules::{At, Chunked, Drip, How};

/// Lengths in paths above this are refused.
const MAX_LEN: u64 = 1 << 40;
/// The same, where the content is laid out chunk by chunk or in memory.
const MAX_HELD: u64 = 64 << 20;
/// The first edition of everything was changed last at this time: 14 November 2023.
const FIRST_CHANGED: u64 = 1_700_000_000;

const INDEX: &str = "\
/bytes/N               N bytes, the same for the same target
/range/N               the same with ETag, Last-Modified and ranges
/chunked/N[/SIZE]      in chunks
/close/N               without a length: the end of the connection ends it
/gzip/N  /deflate/N    coded
/drip/N/STEP/MS        STEP bytes every MS milliseconds
/delay/MS[/N]          after MS milliseconds
/cut/HOW/K/N           N bytes of content, cut after K: reset, fin, stall, freeze
/unstable/K/N          503 for the first K requests, then N bytes
/status/S              that status
/redirect/N[/S]        N redirects with status S
/redirect-to?url=U[&status=S]
/auth/basic/USER/PASS  /auth/bearer/TOKEN
/cookies/set/NAME/VALUE
/echo                  the request as it was received
/inspect               the same as JSON
/__stats               what the server counted, as JSON
";

/// Whether the answer to `target` shows the request's content.
pub(super) fn shows_content(target: &[u8]) -> bool {
    matches!(path(target), b"/echo" | b"/inspect")
}

/// The first segment of the path that is a number.
pub(super) fn first_number(target: &[u8]) -> Option<u64> {
    path(target).split(|&byte| byte == b'/').find_map(number).filter(|&it| it <= MAX_LEN)
}

/// The answer that the path asks for.
pub(super) fn draft(ask: &Ask<'_>) -> Draft {
    by_path(ask).unwrap_or_else(|| Draft::of_status(404))
}

fn path(target: &[u8]) -> &[u8] {
    target.split(|&byte| byte == b'?').next().unwrap_or_default()
}

/// `None`: there is no such path, or a number in it is none or too large.
fn by_path(ask: &Ask<'_>) -> Option<Draft> {
    let target = ask.target();
    let path = path(target);
    let query = target.get(path.len() + 1..).unwrap_or_default();
    let mut segments = path.strip_prefix(b"/")?.split(|&byte| byte == b'/');
    let kind = segments.next()?;
    let mut next = || segments.next().unwrap_or_default();
    let plain =
        |len: u64| typed(Draft::new(200, Content::Pattern { seed: ask.seed(), from: 0, len }));
    let len = |text: &[u8], max: u64| number(text).filter(|&len| len <= max);
    let optional =
        |text: &[u8], usual: u64| if text.is_empty() { Some(usual) } else { number(text) };
    Some(match kind {
        b"" => typed(Draft::new(200, Content::text(INDEX))),
        b"bytes" => plain(len(next(), MAX_LEN)?),
        b"range" => ranged(ask, len(next(), MAX_LEN)?),
        b"chunked" => {
            let len = len(next(), MAX_HELD)?;
            let size = optional(next(), 8_192)?.max(1);
            if ask.head.current {
                plain(len).chunked(Chunked { sizes: vec![size], ..Chunked::default() })
            } else {
                // The older version knows no chunks.
                plain(len).untold()
            }
        }
        b"close" => plain(len(next(), MAX_LEN)?).untold(),
        b"gzip" | b"deflate" => {
            let mut content = Vec::new();
            pattern::append(ask.seed(), 0, len(next(), MAX_HELD)? as usize, &mut content);
            let code = if kind == b"gzip" { codec::gzip } else { codec::deflate };
            typed(Draft::new(200, Content::Bytes(code(&content))))
                .field(&b"Content-Encoding"[..], kind.to_vec())
        }
        b"drip" => {
            let len = len(next(), MAX_LEN)?;
            let bytes = number(next())?.max(1);
            plain(len).drip(Drip { bytes, every_ms: number(next())? })
        }
        b"delay" => {
            let ms = number(next())?;
            let text = next();
            let len = if text.is_empty() { 0 } else { len(text, MAX_LEN)? };
            plain(len).pause(At::Byte(0), ms)
        }
        b"cut" => {
            let how = match next() {
                b"reset" => How::Reset,
                b"fin" => How::Fin,
                b"stall" => How::Stall,
                b"freeze" => How::Freeze,
                _ => return None,
            };
            let at = At::Body(number(next())?);
            plain(len(next(), MAX_LEN)?).cut(at, how)
        }
        b"unstable" => {
            let failures = number(next())?;
            if ask.attempt <= failures {
                Draft::of_status(503)
            } else {
                plain(len(next(), MAX_LEN)?)
            }
        }
        b"status" => {
            let status = number(next()).filter(|status| (200..=999).contains(status))?;
            typed(Draft::of_status(status as u16))
        }
        b"redirect" => {
            let left = number(next())?;
            let status = optional(next(), 302).filter(|status| (300..=399).contains(status))?;
            if left == 0 {
                typed(Draft::new(200, Content::text("arrived\n")))
            } else {
                let to = if status == 302 { String::new() } else { format!("/{status}") };
                Draft::of_status(status as u16)
                    .text_field("Location", format!("/redirect/{}{to}", left - 1))
            }
        }
        b"redirect-to" => {
            let value = |name: &[u8]| {
                let mut pairs = query.split(|&byte| byte == b'&');
                pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
            };
            let status = optional(value(b"status").unwrap_or_default(), 302)
                .filter(|status| (300..=399).contains(status))?;
            let mut to = codec::percent_decode(value(b"url")?);
            to.retain(|byte| !byte.is_ascii_control());
            Draft::of_status(status as u16).field(&b"Location"[..], to)
        }
        b"auth" => {
            let (wanted, challenge) = match next() {
                b"basic" => {
                    let mut pair = codec::percent_decode(next());
                    pair.push(b':');
                    pair.extend(codec::percent_decode(next()));
                    (format!("Basic {}", codec::base64(&pair)), "Basic realm=\"origin\"")
                }
                b"bearer" => (format!("Bearer {}", String::from_utf8_lossy(next())), "Bearer"),
                _ => return None,
            };
            if ask.field("authorization") == Some(wanted.as_bytes()) {
                typed(Draft::new(200, Content::text("welcome\n")))
            } else {
                Draft::of_status(401).field(&b"WWW-Authenticate"[..], challenge.as_bytes())
            }
        }
        b"cookies" if next() == b"set" => {
            let mut cookie = next().to_vec();
            cookie.push(b'=');
            cookie.extend_from_slice(next());
            cookie.extend_from_slice(b"; Path=/");
            typed(Draft::new(200, Content::text("set\n"))).field(&b"Set-Cookie"[..], cookie)
        }
        b"echo" => typed(Draft::new(200, Content::Bytes(ask.echo()))),
        b"inspect" => inspect(ask),
        _ => return None,
    })
}

fn typed(draft: Draft) -> Draft {
    draft.field(&b"Content-Type"[..], &b"text/plain"[..])
}

fn inspect(ask: &Ask<'_>) -> Draft {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields: Vec<_> =
        ask.head.fields(ask.bytes).map(|(name, value)| (text(name), text(value))).collect();
    let seen = serde_json::json!({
        "method": text(ask.head.method(ask.bytes)),
        "target": text(ask.target()),
        "version": if ask.head.current { "HTTP/1.1" } else { "HTTP/1.0" },
        "fields": fields,
        "body": text(ask.content),
    });
    Draft::new(200, Content::Bytes(seen.to_string().into_bytes()))
        .field(&b"Content-Type"[..], &b"application/json"[..])
}

/// Content with validators, which can be asked for in parts (RFC 9110 sections 13 and 14).
fn ranged(ask: &Ask<'_>, len: u64) -> Draft {
    let etag = format!("\"{:016x}\"", ask.seed());
    let changed = codec::http_date(FIRST_CHANGED + ask.edition.min(1_000_000) * 3_600);
    let with_validators = |draft: Draft| {
        draft
            .text_field("ETag", etag.clone())
            .text_field("Last-Modified", changed.clone())
            .field(&b"Accept-Ranges"[..], &b"bytes"[..])
    };
    let part = |from: u64, len: u64| Content::Pattern { seed: ask.seed(), from, len };
    let unchanged = match (ask.field("if-none-match"), ask.field("if-modified-since")) {
        (Some(tags), _) => tags.split(|&byte| byte == b',').any(|tag| {
            let tag = tag.trim_ascii();
            tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes()
        }),
        (None, Some(date)) => date == changed.as_bytes(),
        (None, None) => false,
    };
    if unchanged {
        return with_validators(Draft::new(304, Content::EMPTY));
    }
    let fits = ask
        .field("if-range")
        .is_none_or(|validator| validator == etag.as_bytes() || validator == changed.as_bytes());
    let wanted = ask.field("range").filter(|_| fits).and_then(|value| asked_range(value, len));
    match wanted {
        None => with_validators(typed(Draft::new(200, part(0, len)))),
        Some(Part::Outside) => with_validators(Draft::of_status(416))
            .text_field("Content-Range", format!("bytes */{len}")),
        Some(Part::FromTo(first, last)) => {
            with_validators(typed(Draft::new(206, part(first, last - first + 1))))
                .text_field("Content-Range", format!("bytes {first}-{last}/{len}"))
        }
    }
}

/// What a `Range` field asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// From the first to the last byte.
    FromTo(u64, u64),
    /// Nothing that is there.
    Outside,
}

/// The one range of a `Range` field; `None`: not a single range of bytes, which may be ignored.
fn asked_range(value: &[u8], len: u64) -> Option<Part> {
    let set = value.strip_prefix(b"bytes=")?.trim_ascii();
    let dash = memchr::memchr(b'-', set)?;
    let (first, last) = (&set[..dash], &set[dash + 1..]);
    if first.is_empty() {
        let count = number(last)?.min(len);
        return Some(if count > 0 { Part::FromTo(len - count, len - 1) } else { Part::Outside });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(if first < len { Part::FromTo(first, last.min(len - 1)) } else { Part::Outside })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (value, wanted) in [
            ("bytes=0-0", Some(Part::FromTo(0, 0))),
            ("bytes=5-", Some(Part::FromTo(5, 9))),
            ("bytes=5-100", Some(Part::FromTo(5, 9))),
            ("bytes=-3", Some(Part::FromTo(7, 9))),
            ("bytes=-30", Some(Part::FromTo(0, 9))),
            ("bytes=10-", Some(Part::Outside)),
            ("bytes=-0", Some(Part::Outside)),
            ("bytes=5-4", None),
            ("bytes=1-2,4-5", None),
            ("lines=1-2", None),
            ("bytes=", None),
        ] {
            assert_eq!(asked_range(value.as_bytes(), 10), wanted, "{value}");
        }
    }
}
