//! What the fuzz targets check, one function a target, each opening with its invariant. They stand here
//! so that `tests/corpus.rs` replays the corpora as ordinary tests and `fuzz/` stays a thin shell.
#![allow(dead_code, unreachable_pub, reason = "each of those who include this uses a part of it")]

#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "sim")]
mod driver;
#[cfg(feature = "sim")]
mod engine;
#[cfg(feature = "fetch")]
mod fetch;
pub mod model;
pub mod table;
pub mod trace;

use arbitrary::Unstructured;
#[cfg(feature = "dns")]
pub use dns::dns;
#[cfg(feature = "sim")]
pub use driver::driver;
#[cfg(feature = "sim")]
pub use engine::engine;
#[cfg(feature = "fetch")]
pub use fetch::{decode, netrc, redirect, url};
use gannet::proto::framing::{FramingFields, decide};
use gannet::proto::replay::{Step, replay as run_replay};
use gannet::proto::wire::{Record, Recorder, records};
use gannet::proto::{
    Exchange, Limits, Persistence, RequestBody, RequestHead, Version, encode_chunk_end,
    encode_chunk_start, encode_field, encode_head, encode_last_chunk, end_head, field_line,
    is_idempotent, is_safe, leave_out,
};
use trace::{Item, trace};

/// A check by the name of its target.
pub type Check = fn(&[u8]);

/// Every check.
pub const ALL: &[(&str, Check)] = &[
    ("response", response),
    ("head", head),
    ("framing", framing),
    ("chunked", chunked),
    ("request", request),
    ("replay", replay),
    #[cfg(feature = "dns")]
    ("dns", dns),
    #[cfg(feature = "fetch")]
    ("url", url),
    #[cfg(feature = "fetch")]
    ("redirect", redirect),
    #[cfg(feature = "fetch")]
    ("decode", decode),
    #[cfg(feature = "fetch")]
    ("netrc", netrc),
    #[cfg(feature = "sim")]
    ("engine", engine),
    #[cfg(feature = "sim")]
    ("driver", driver),
];

const TINY: Limits = Limits {
    head_bytes: 64,
    head_fields: 3,
    line_bytes: 28,
    interim_answers: 2,
    interim_bytes: 64,
    chunk_extension_bytes: 6,
    trailer_bytes: 16,
    trailer_fields: 2,
};

const EXCHANGES: [Exchange; 3] = [Exchange::Ordinary, Exchange::Head, Exchange::Connect];

/// Invariant: a stream of bytes has one trace, however it is cut into segments, and it is the trace of the
/// obvious model, under the default limits and under tiny ones.
///
/// Input: a byte of flags (exchange, proper close, limits), a byte that seeds the cuts, the stream.
pub fn response(data: &[u8]) {
    let [flags, seed, stream @ ..] = data else { return };
    let exchange = EXCHANGES[usize::from(flags & 3) % 3];
    let clean = flags & 4 == 0;
    let limits = if flags & 8 == 0 { Limits::DEFAULT } else { TINY };
    let whole = trace(exchange, &limits, [stream], clean);
    let single = trace(exchange, &limits, stream.chunks(1), clean);
    assert_eq!(whole, single, "byte by byte");
    let mut cuts = fastrand::Rng::with_seed(u64::from(*seed));
    let cut = trace(exchange, &limits, random_cuts(stream, &mut cuts), clean);
    assert_eq!(whole, cut, "cut at random, seed {seed}");
    model::assert_same(&model::response(exchange, &limits, stream, clean), &whole);
}

/// `stream` in pieces of random lengths, empty ones among them.
pub fn random_cuts<'a>(mut stream: &'a [u8], random: &mut fastrand::Rng) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let longest = 1 + random.usize(..40);
    while !stream.is_empty() {
        let (piece, rest) = stream.split_at(random.usize(..=longest).min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// Invariant: a head is accepted exactly if the obvious model accepts it, with the same status, reason and
/// fields, whether it comes whole or in pieces.
///
/// Input: what follows `HTTP/1.` up to and without the empty line.
pub fn head(data: &[u8]) {
    let bytes = [b"HTTP/1.", data, b"\r\n\r\n"].concat();
    let want = model::head(&bytes, 256);
    for pieces in [vec![&bytes[..]], bytes.chunks(1).collect(), bytes.chunks(7).collect()] {
        // As the answer to HEAD, so that framing plays no part.
        let got = trace(Exchange::Head, &Limits::DEFAULT, pieces, true);
        match (&want, got.items.first()) {
            (Some((model, _)), Some(Item::Head(head, _) | Item::Interim(head))) => {
                assert_eq!(model, head);
            }
            (Some((model, _)), Some(Item::Error("unasked_upgrade"))) => {
                assert_eq!(model.status, 101);
            }
            (None, Some(Item::Error(_))) => {}
            (want, got) => panic!("model {want:?}\n parser {got:?}"),
        }
    }
}

/// Invariant: framing and reuse are what the obvious model says, for every status, version, exchange and
/// every mixture of framing fields.
///
/// Input: structured, by `arbitrary`.
pub fn framing(data: &[u8]) {
    const NAMES: &[&str] = &[
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "TRANSFER-ENCODING",
        "Connection",
        "Keep-Alive",
        "Content-Lengths",
        "Transfer_Encoding",
    ];
    const WORDS: &[&str] = &[
        "0",
        "5",
        "05",
        "18446744073709551615",
        "18446744073709551616",
        "+5",
        "-1",
        "5 5",
        "chunked",
        "Chunked",
        "xchunked",
        "gzip",
        "identity",
        "close",
        "keep-alive",
        "Close",
        "closed",
        ",",
        ", ",
        " ",
        "\t",
        "\"",
        ";q=1",
        "timeout=5",
        "",
    ];
    let mut input = Unstructured::new(data);
    let mut lines: Vec<(&str, Vec<u8>)> = Vec::new();
    let draw =
        |input: &mut Unstructured<'_>, lines: &mut Vec<(&str, Vec<u8>)>| -> arbitrary::Result<_> {
            let exchange = *input.choose(&EXCHANGES)?;
            let version = *input.choose(&[Version::Http11, Version::Http10])?;
            let status =
                *input.choose(&[200, 201, 204, 205, 206, 299, 300, 304, 404, 500, 600, 999])?;
            for _ in 0..input.int_in_range(0..=5)? {
                let name = *input.choose(NAMES)?;
                let mut value = Vec::new();
                for _ in 0..input.int_in_range(1..=4)? {
                    value.extend_from_slice(input.choose(WORDS)?.as_bytes());
                }
                lines.push((name, model::trim(&value).to_vec()));
            }
            Ok((exchange, version, status))
        };
    let Ok((exchange, version, status)) = draw(&mut input, &mut lines) else { return };
    let (fields, _) = FramingFields::read(lines.iter().map(|(name, value)| (*name, &value[..])));
    let got = decide(exchange, version, status, &fields).ok();
    let want = model::framing(exchange, version, status, &lines);
    if let Some((_, Persistence::Close(reason))) = got {
        assert!(reason.to_string().contains(' '), "{reason:?} is told in words");
    }
    assert_eq!(
        got.map(|(body, then)| (body, trace::persistence(then).starts_with("keep"))),
        want,
        "{lines:?}"
    );
}

/// Invariant: chunked content comes out as the obvious model takes it apart: same content, same
/// trailers, same number of bytes used, whole or in pieces.
///
/// Input: what follows the head.
pub fn chunked(data: &[u8]) {
    let bytes = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", data].concat();
    for limits in [Limits::DEFAULT, TINY] {
        let want = model::response(Exchange::Ordinary, &limits, &bytes, true);
        for pieces in [vec![&bytes[..]], bytes.chunks(1).collect(), bytes.chunks(5).collect()] {
            model::assert_same(&want, &trace(Exchange::Ordinary, &limits, pieces, true));
        }
    }
}

/// Invariant: what the encoder accepts, another parser reads back as the same request and not a byte
/// more, with one Host and one framing; what it refuses leaves nothing behind.
///
/// Input: structured, by `arbitrary`.
pub fn request(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let _ = request_round_trip(&mut input);
}

fn request_round_trip(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let methods = ["GET", "POST", "HEAD", "PUT"];
    let method = if input.arbitrary()? { *input.choose(&methods)? } else { input.arbitrary()? };
    let target: &str = if input.arbitrary()? { "/a?b=c" } else { input.arbitrary()? };
    let host: &str = if input.arbitrary()? { "example.com:8080" } else { input.arbitrary()? };
    let mut fields: Vec<(&str, &[u8])> = Vec::new();
    for _ in 0..input.int_in_range(0..=4)? {
        let known = ["Host", "content-length", "Transfer-Encoding", "Accept", "X"];
        let name = if input.arbitrary()? { *input.choose(&known)? } else { input.arbitrary()? };
        let values: [&[u8]; 5] = [b"5", b"chunked", b"*/*", b"a", b"0"];
        let value = if input.arbitrary()? { *input.choose(&values)? } else { input.arbitrary()? };
        fields.push((name, value));
    }
    let content: &[u8] = input.arbitrary()?;
    let body = *input.choose(&[
        RequestBody::None,
        RequestBody::Length(content.len() as u64),
        RequestBody::Chunked,
    ])?;

    let mut out = b"before".to_vec();
    if let Err(error) =
        encode_head(&mut out, &RequestHead { method, target, host, fields: &fields }, body)
    {
        assert_eq!(out, b"before", "a refused request leaves nothing behind");
        assert!(error.name().contains('_') && error.to_string().contains(' '), "{error}");
        return Ok(());
    }
    encode_field(&mut out, "Range", b"bytes=0-").expect("a good field is taken");
    // A field can be found and taken out again.
    let line = field_line(&out[b"before".len()..], "RANGE").expect("it stands there");
    let mut without = out[b"before".len()..].to_vec();
    without.drain(line);
    let mut left = out[b"before".len()..].to_vec();
    leave_out(&mut left, "range");
    assert_eq!(left, without);
    assert!(is_idempotent(method) || !is_safe(method));
    end_head(&mut out);
    let head_end = out.len();
    match body {
        RequestBody::None => {}
        RequestBody::Length(_) => out.extend_from_slice(content),
        RequestBody::Chunked => {
            for piece in content.chunks(3) {
                let length =
                    std::num::NonZeroU64::new(piece.len() as u64).expect("pieces are not empty");
                encode_chunk_start(&mut out, length);
                out.extend_from_slice(piece);
                encode_chunk_end(&mut out);
            }
            encode_last_chunk(&mut out);
        }
    }
    let wire = &out[b"before".len()..];
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut lines);
    let length = parsed.parse(wire).expect("another parser accepts it").unwrap();
    assert_eq!(length, head_end - b"before".len(), "the head ends where we ended it");
    assert_eq!((parsed.method, parsed.path, parsed.version), (Some(method), Some(target), Some(1)));
    let got: Vec<(&str, &[u8])> =
        parsed.headers.iter().map(|line| (line.name, line.value)).collect();

    let is = |name: &str, want: &str| name.eq_ignore_ascii_case(want);
    let ours = |name: &str| {
        is(name, "host") || is(name, "content-length") || is(name, "transfer-encoding")
    };
    let hand_set =
        fields.iter().find(|(name, _)| is(name, "host")).map(|(_, value)| model::trim(value));
    assert_eq!(got[0], ("Host", hand_set.unwrap_or(host.as_bytes())));
    assert_eq!(got.iter().filter(|(name, _)| is(name, "host")).count(), 1);
    let others: Vec<_> =
        got.iter().filter(|(name, _)| !ours(name) && *name != "Range").copied().collect();
    let given: Vec<_> = fields
        .iter()
        .filter(|(name, _)| !ours(name) && *name != "Range")
        .map(|(name, value)| (*name, model::trim(value)))
        .collect();
    assert_eq!(others, given);
    // Framing, as a server would read it.
    let (framing, _) = FramingFields::read(got.iter().copied());
    let told = (framing.content_length, framing.transfer_encoding);
    match body {
        RequestBody::None => assert!(matches!(told, (None | Some(Ok(0)), None))),
        RequestBody::Length(length) => assert_eq!(told, (Some(Ok(length)), None)),
        RequestBody::Chunked => {
            assert_eq!(told, (None, Some(Ok(()))));
            let answer =
                [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &wire[length..]]
                    .concat();
            let read = model::response(Exchange::Ordinary, &Limits::DEFAULT, &answer, true);
            assert_eq!((read.content(), read.used), (content.to_vec(), answer.len()));
        }
    }
    Ok(())
}

/// Invariant: every file can be replayed; the outcome does not depend on how what was received was cut,
/// and recording it anew, with secrets masked, changes no verdict.
///
/// Input: a file of `--record-wire`, or the bare bytes of a server.
pub fn replay(data: &[u8]) {
    let mut shown = 0;
    let mut show = |step: &Step<'_>| shown += step.to_string().len();
    let outcome = run_replay(data, &Limits::DEFAULT, &mut show);
    if outcome.damaged {
        return;
    }
    // Each step was written out once; that takes longer than all the rest.
    let replayed = |file: &[u8]| run_replay(file, &Limits::DEFAULT, &mut |_| ());
    let all: Vec<Record<'_>> = records(data).map_while(Result::ok).collect();
    let short = 1 + data.len() / 60;
    assert_eq!(replayed(&recorded(&all, short, false)), outcome, "in pieces of {short}");
    // With one request, content can't run into a next head.
    if all.iter().filter(|record| matches!(record, Record::Sent { .. })).count() == 1 {
        assert_eq!(replayed(&recorded(&all, usize::MAX, true)), outcome, "masked");
    }
}

/// Writes records anew; without masking, line by line is what the format is.
fn recorded(all: &[Record<'_>], piece: usize, masked: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut recorder = Recorder::begin(&mut file, "anew");
    for record in all {
        match record {
            Record::Sent { micros, bytes } if masked => recorder.sent(&mut file, *micros, bytes),
            Record::Sent { micros, bytes } => plain(&mut file, '>', *micros, bytes),
            Record::Received { micros, bytes } => {
                for bytes in bytes.chunks(piece) {
                    if masked {
                        recorder.received(&mut file, *micros, bytes);
                    } else {
                        plain(&mut file, '<', *micros, bytes);
                    }
                }
            }
            Record::End { micros, end } => {
                recorder.end(&mut file, *micros, *end);
                break;
            }
        }
    }
    file
}

fn plain(file: &mut Vec<u8>, mark: char, micros: u64, bytes: &[u8]) {
    file.extend_from_slice(format!("{mark} {micros} {}\n", bytes.len()).as_bytes());
    file.extend_from_slice(bytes);
    file.push(b'\n');
}
