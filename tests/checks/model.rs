//! The obvious model: a response that is all there, taken apart line by line with no thought of
//! speed, segments or memory. It shares no code with the crate.

use gannet::proto::{Body, CloseReason, Exchange, Limits, Persistence, Version};

use super::trace::{Head, Item, Trace};

/// Where the model stops: it does not know which error it is, only what kind.
const ANY_ERROR: &str = "any error";
/// The input ends within a line of framing: the parser may have seen enough of it for an error, or not.
const CUT: &str = "cut";

/// Panics unless the parser said what the model says.
pub fn assert_same(model: &Trace, parser: &Trace) {
    let fail = |why: &str| panic!("{why}\n model  {model:?}\n parser {parser:?}");
    if model.items.len() != parser.items.len() {
        fail("not as many events");
    }
    for (want, got) in model.items.iter().zip(&parser.items) {
        let same = match (want, got) {
            (Item::Error(CUT), Item::Error(_)) => true,
            (Item::Error(want), Item::Error(got)) => {
                (*want == ANY_ERROR) != got.starts_with("truncated")
            }
            // The reasons of a close are more than the model knows.
            (Item::Done(want), Item::Done(got)) => {
                (*want == Persistence::KeepAlive) == (*got == Persistence::KeepAlive)
            }
            (want, got) => want == got,
        };
        if !same {
            fail("another event");
        }
    }
    if matches!(model.items.last(), Some(Item::Done(_))) && model.used != parser.used {
        fail("not as many bytes used");
    }
}

pub fn trim(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == b'\t' || (32..127).contains(byte) || *byte >= 128)
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// The lines of a head up to the empty one, and its length; none if it has no end.
fn lines(bytes: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let mut lines = Vec::new();
    let mut at = 0;
    loop {
        let length = bytes[at..].iter().position(|byte| *byte == b'\n')?;
        let line = &bytes[at..at + length];
        at += length + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() && !lines.is_empty() {
            return Some((lines, at));
        }
        lines.push(line);
    }
}

type Field = (String, Vec<u8>);

fn fields(lines: &[&[u8]]) -> Option<Vec<Field>> {
    let mut unfolded: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            let before = unfolded.pop()?;
            unfolded.push([trim_end(&before), b" ", trim(line)].concat());
        } else {
            unfolded.push(line.to_vec());
        }
    }
    let mut fields = Vec::new();
    for line in unfolded {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) || !is_text(value) {
            return None;
        }
        fields.push((String::from_utf8(name.to_vec()).unwrap(), trim(value).to_vec()));
    }
    Some(fields)
}

fn trim_end(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A head at the beginning of `bytes`, and its length.
pub fn head(bytes: &[u8], most: usize) -> Option<(Head, usize)> {
    let (lines, length) = lines(bytes)?;
    let line = lines[0];
    let version = match line.get(..9)? {
        b"HTTP/1.0 " => Version::Http10,
        b"HTTP/1.1 " => Version::Http11,
        _ => return None,
    };
    let digits = line.get(9..12)?;
    let reason = match &line[12..] {
        [] => &[][..],
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' || !is_text(reason) {
        return None;
    }
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let fields = fields(&lines[1..])?;
    if fields.len() > most {
        return None;
    }
    Some((Head { version, status, reason: reason.to_vec(), fields }, length))
}

fn all(fields: &[(impl AsRef<str>, Vec<u8>)], name: &str) -> Option<String> {
    let values: Vec<String> = fields
        .iter()
        .filter(|(field, _)| field.as_ref().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.iter().map(|byte| char::from(*byte)).collect())
        .collect();
    if values.is_empty() { None } else { Some(values.join(",")) }
}

/// Body and whether the connection is kept; none for an error.
pub fn framing(
    exchange: Exchange,
    version: Version,
    status: u16,
    fields: &[(impl AsRef<str>, Vec<u8>)],
) -> Option<(Body, bool)> {
    let element = |text: &str| text.trim_matches([' ', '\t']).to_ascii_lowercase();
    let options: Vec<String> =
        all(fields, "connection").unwrap_or_default().split(',').map(element).collect();
    let says = |option: &str| options.iter().any(|said| said == option);
    let keep = !says("close") && (version == Version::Http11 || says("keep-alive"));

    let encoding: Option<Result<(), ()>> = all(fields, "transfer-encoding").map(|value| {
        let codings: Vec<String> =
            value.split(',').map(element).filter(|coding| !coding.is_empty()).collect();
        if codings == ["chunked"] { Ok(()) } else { Err(()) }
    });
    let length: Option<Result<u64, ()>> = all(fields, "content-length").map(|value| {
        let numbers: Vec<String> = value.split(',').map(element).collect();
        let digits = numbers[0].chars().all(|digit| digit.is_ascii_digit());
        let same = numbers.iter().all(|number| *number == numbers[0]);
        if digits && same { numbers[0].parse().map_err(|_| ()) } else { Err(()) }
    });
    let keep = keep && !(encoding.is_some() && length.is_some());

    if exchange == Exchange::Connect && (200..300).contains(&status) {
        return Some((Body::None, false));
    }
    if status == 204 {
        return Some((
            Body::None,
            keep && encoding.is_none() && matches!(length, None | Some(Ok(0))),
        ));
    }
    if exchange == Exchange::Head || status == 304 {
        return Some((
            Body::None,
            keep && encoding != Some(Err(())) && !matches!(length, Some(Err(()))),
        ));
    }
    if let Some(encoding) = encoding {
        encoding.ok()?;
        return if version == Version::Http10 { None } else { Some((Body::Chunked, keep)) };
    }
    match length {
        Some(length) => Some((Body::Length(length.ok()?), keep)),
        None => Some((Body::UntilClose, false)),
    }
}

/// A whole stream, followed by the end of the connection.
pub fn response(exchange: Exchange, limits: &Limits, bytes: &[u8], clean: bool) -> Trace {
    let mut trace = Trace { items: Vec::new(), used: 0 };
    let mut rest = bytes;
    let mut interim = 0;
    let last = loop {
        // What lies beyond the limit might as well not be there.
        let most = (limits.head_bytes as usize).min(rest.len());
        let Some(length) = lines_of_ours(&rest[..most]) else {
            break Item::Error(if rest.len() >= limits.head_bytes as usize {
                ANY_ERROR
            } else {
                CUT
            });
        };
        let Some((head, _)) = head(&rest[..most], usize::from(limits.head_fields)) else {
            break Item::Error(ANY_ERROR);
        };
        let lines = head.fields.iter().map(|(name, value)| name.len() + 2 + value.len());
        if lines.chain([13 + head.reason.len()]).any(|line| line > limits.line_bytes as usize) {
            break Item::Error(ANY_ERROR);
        }
        trace.used += length;
        rest = &rest[length..];
        if head.status == 101 {
            break Item::Error(ANY_ERROR);
        }
        if head.status < 200 {
            interim += length;
            if trace.items.len() >= usize::from(limits.interim_answers)
                || interim > limits.interim_bytes as usize
            {
                break Item::Error(ANY_ERROR);
            }
            trace.items.push(Item::Interim(head));
            continue;
        }
        let Some((body, keep)) = framing(exchange, head.version, head.status, &head.fields) else {
            break Item::Error(ANY_ERROR);
        };
        trace.items.push(Item::Head(head, body));
        let done = if keep {
            Persistence::KeepAlive
        } else {
            Persistence::Close(CloseReason::ConnectionClose)
        };
        break match body {
            Body::None => Item::Done(done),
            Body::Length(length) => {
                let there = (rest.len() as u64).min(length);
                trace.push_content(&rest[..there as usize]);
                trace.used += there as usize;
                if there == length { Item::Done(done) } else { Item::Error("truncated") }
            }
            Body::UntilClose => {
                trace.push_content(rest);
                trace.used += rest.len();
                if clean { Item::Done(done) } else { Item::Error("truncated") }
            }
            Body::Chunked => match chunked(rest, limits, &mut trace) {
                Ok(()) => Item::Done(done),
                Err(error) => Item::Error(error),
            },
        };
    };
    trace.items.push(last);
    trace
}

/// The length of a head; zero if its very first bytes say that it is none, which is told before its end.
fn lines_of_ours(bytes: &[u8]) -> Option<usize> {
    if bytes.len() >= 12 && !(bytes.starts_with(b"HTTP/1.0 ") || bytes.starts_with(b"HTTP/1.1 ")) {
        return Some(0);
    }
    lines(bytes).map(|(_, length)| length)
}

/// The line up to CR LF, and what follows it.
fn strict_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).ok_or(CUT)?;
    match &bytes[end..] {
        [b'\r', b'\n', rest @ ..] => Ok((&bytes[..end], rest)),
        [b'\r'] => Err(CUT),
        _ => Err(ANY_ERROR),
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if !(1..=16).contains(&digits) || !is_text(line) {
        return None;
    }
    let mut quoted = false;
    let mut extension = trim(&line[digits..]);
    if !extension.is_empty() && extension[0] != b';' {
        return None;
    }
    while let [byte, rest @ ..] = extension {
        extension = match (byte, quoted) {
            (b'\\', true) => rest.get(1..)?,
            _ => rest,
        };
        quoted ^= *byte == b'"';
    }
    if quoted {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()
}

fn chunked(bytes: &[u8], limits: &Limits, trace: &mut Trace) -> Result<(), &'static str> {
    let mut rest = bytes;
    let mut extensions = 0;
    loop {
        let (line, after) = strict_line(rest)?;
        let size = chunk_size(line).ok_or(ANY_ERROR)?;
        extensions += line.iter().skip_while(|byte| byte.is_ascii_hexdigit()).count();
        if extensions > limits.chunk_extension_bytes as usize {
            return Err(ANY_ERROR);
        }
        rest = after;
        if size == 0 {
            break;
        }
        let there = (rest.len() as u64).min(size) as usize;
        trace.push_content(&rest[..there]);
        rest = &rest[there..];
        if (there as u64) < size {
            return Err("truncated");
        }
        rest = match rest {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Err("truncated"),
            _ => return Err(ANY_ERROR),
        };
    }
    let mut lines = Vec::new();
    loop {
        if rest.starts_with(b" ") || rest.starts_with(b"\t") {
            return Err(ANY_ERROR);
        }
        let (line, after) = strict_line(rest)?;
        rest = after;
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let all = fields(&lines).ok_or(ANY_ERROR)?;
    let length: usize = lines.iter().map(|line| line.len() + 2).sum();
    if all.len() > usize::from(limits.trailer_fields) || length > limits.trailer_bytes as usize {
        return Err(ANY_ERROR);
    }
    let forbidden = "authentication-info authorization connection content-encoding content-length content-range \
        content-type cookie host keep-alive proxy-authenticate proxy-authentication-info proxy-authorization \
        proxy-connection set-cookie te trailer transfer-encoding upgrade www-authenticate";
    let kept: Vec<Field> = all
        .into_iter()
        .filter(|(name, _)| {
            !forbidden.split_whitespace().any(|word| word.eq_ignore_ascii_case(name))
        })
        .collect();
    if !kept.is_empty() {
        trace.items.push(Item::Trailers(kept));
    }
    trace.used += bytes.len() - rest.len();
    Ok(())
}
