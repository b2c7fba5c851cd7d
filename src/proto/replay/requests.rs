//! What was sent, followed just far enough to know which kinds of answers are to come.
//!
//! Owns the boundaries of requests (RFC 9112 sections 2.1, 6 and 7.1). Never judges a request: what is
//! none is no longer followed.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Step;
use crate::proto::Scratch;
use crate::proto::chunked::{self, Chunks};
use crate::proto::framing::{Exchange, FramingFields};
use crate::proto::head::Scan;
use crate::proto::trailers::{Progress, Trailers};

/// Follows what was sent just far enough to know which kinds of answers are to come.
#[derive(Default)]
pub(super) struct Requests {
    state: Sending,
    pub(super) exchanges: VecDeque<Exchange>,
}

#[derive(Default)]
enum Sending {
    #[default]
    Start,
    Head(Scan, Vec<u8>),
    Length(u64),
    Chunked(Chunks),
    Trailers(Trailers, Vec<u8>),
    /// Not a request: no longer followed.
    Lost,
}

impl Requests {
    pub(super) fn sent(&mut self, mut bytes: &[u8], tell: &mut dyn FnMut(&Step<'_>)) {
        while !bytes.is_empty() {
            let used = match &mut self.state {
                Sending::Start => {
                    self.state = Sending::Head(Scan::default(), Vec::new());
                    0
                }
                Sending::Head(scan, held) => {
                    let end = scan.find_end(bytes);
                    let used = end.unwrap_or(bytes.len());
                    held.extend_from_slice(bytes.get(..used).unwrap_or_default());
                    if end.is_some() {
                        self.state = request(held, &mut self.exchanges, tell);
                    }
                    used
                }
                Sending::Length(left) => {
                    let used = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= used as u64;
                    if *left == 0 {
                        self.state = Sending::Start;
                    }
                    used
                }
                Sending::Chunked(chunks) => match chunks.next(u32::MAX, bytes) {
                    Ok((used, chunked::Step::Last)) => {
                        self.state = Sending::Trailers(Trailers::default(), Vec::new());
                        used
                    }
                    Ok((used, _)) => used,
                    Err(_) => return self.state = Sending::Lost,
                },
                Sending::Trailers(trailers, held) => {
                    match trailers.collect(u32::MAX, bytes, held) {
                        Ok((used, Progress::Complete)) => {
                            self.state = Sending::Start;
                            used
                        }
                        Ok((used, Progress::Incomplete)) => used,
                        Err(_) => return self.state = Sending::Lost,
                    }
                }
                Sending::Lost => return,
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }
}

/// A whole request head; returns what follows it.
fn request(
    head: &[u8],
    exchanges: &mut VecDeque<Exchange>,
    tell: &mut dyn FnMut(&Step<'_>),
) -> Sending {
    let mut lines = [httparse::EMPTY_HEADER; Scratch::FIELDS];
    let mut parsed = httparse::Request::new(&mut lines);
    let whole = matches!(parsed.parse(head), Ok(httparse::Status::Complete(_)));
    let (true, Some(method), Some(target)) = (whole, parsed.method, parsed.path) else {
        tell(&Step::NotARequest);
        exchanges.push_back(Exchange::Ordinary);
        return Sending::Lost;
    };
    tell(&Step::Request { method, target });
    exchanges.push_back(Exchange::of(method));
    let (framing, _) =
        FramingFields::read(parsed.headers.iter().map(|line| (line.name, line.value)));
    match (framing.transfer_encoding, framing.content_length) {
        (Some(Ok(())), _) => Sending::Chunked(Chunks::new()),
        (None, Some(Ok(length))) if length > 0 => Sending::Length(length),
        (None, None | Some(Ok(_))) => Sending::Start,
        _ => Sending::Lost,
    }
}
