//! What the receiving machine said about a stream of bytes, in a form that can be compared.

use gannet::proto::{
    Body, CloseReason, Event, Exchange, Limits, Persistence, Phase, Response, Scratch, Version,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub version: Version,
    pub status: u16,
    pub reason: Vec<u8>,
    pub fields: Vec<(String, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Interim(Head),
    Head(Head, Body),
    /// Content that came in a row, joined.
    Content(Vec<u8>),
    Trailers(Vec<(String, Vec<u8>)>),
    Done(Persistence),
    Error(&'static str),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    pub items: Vec<Item>,
    /// Bytes up to the end of the message; what follows is surplus. Zero unless it is done.
    pub used: usize,
}

impl Trace {
    pub fn content(&self) -> Vec<u8> {
        let pieces = self.items.iter().filter_map(|item| match item {
            Item::Content(bytes) => Some(&bytes[..]),
            _ => None,
        });
        pieces.collect::<Vec<_>>().concat()
    }

    pub fn push_content(&mut self, bytes: &[u8]) {
        if let Some(Item::Content(all)) = self.items.last_mut() {
            all.extend_from_slice(bytes);
        } else if !bytes.is_empty() {
            self.items.push(Item::Content(bytes.to_vec()));
        }
    }
}

/// The word for a verdict on reuse.
pub fn persistence(persistence: Persistence) -> &'static str {
    match persistence {
        Persistence::KeepAlive => "keep",
        Persistence::Close(CloseReason::ConnectionClose) => "close:connection_close",
        Persistence::Close(CloseReason::Http10WithoutKeepAlive) => "close:http10",
        Persistence::Close(CloseReason::CloseDelimited) => "close:delimited",
        Persistence::Close(CloseReason::TransferEncodingWithContentLength) => "close:both",
        Persistence::Close(CloseReason::ContentAnnouncedWhereNoneCanBe) => "close:announced",
        Persistence::Close(CloseReason::Tunnel) => "close:tunnel",
        Persistence::Close(_) => "close:other",
    }
}

pub fn owned<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    fields.map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

pub fn head(head: gannet::proto::Head<'_>) -> Head {
    // The ways to ask agree with each other.
    let fields = head.fields;
    let count = fields.iter().count();
    assert_eq!((fields.len(), fields.is_empty()), (count, count == 0));
    if let Some((name, value)) = fields.iter().next() {
        assert_eq!(fields.get(&name.to_ascii_uppercase()), Some(value));
        assert_eq!(fields.get_all(name).next(), Some(value));
    }
    assert_eq!(gannet::proto::framing::keep_alive(&fields), head.keep_alive);
    Head {
        version: head.version,
        status: head.status,
        reason: head.reason.to_vec(),
        fields: owned(head.fields.iter()),
    }
}

/// Runs the machine over segments, and tells it of the end of the connection unless it was done before.
pub fn trace<'s>(
    exchange: Exchange,
    limits: &Limits,
    segments: impl IntoIterator<Item = &'s [u8]>,
    clean: bool,
) -> Trace {
    let mut response = Response::new(exchange);
    let mut trace = Trace { items: Vec::new(), used: 0 };
    let mut content = 0;
    let mut came = false;
    for segment in segments {
        let mut input = segment;
        came |= !segment.is_empty();
        loop {
            let mut scratch = Scratch::default();
            match response.next(limits, input, &mut scratch) {
                Ok((used, event)) => {
                    trace.used += used;
                    input = &input[used..];
                    match event {
                        Event::Incomplete => {
                            assert!(
                                input.is_empty(),
                                "incomplete, but {} bytes were not used",
                                input.len()
                            );
                            break;
                        }
                        Event::Interim(got) => trace.items.push(Item::Interim(head(got))),
                        Event::Head(got, body) => trace.items.push(Item::Head(head(got), body)),
                        Event::Body(bytes) => {
                            assert!(!bytes.is_empty(), "content without a byte");
                            content += bytes.len() as u64;
                            trace.push_content(bytes);
                        }
                        Event::Trailers(fields) => {
                            trace.items.push(Item::Trailers(owned(fields.iter())));
                        }
                        Event::Done(then) => {
                            trace.items.push(Item::Done(then));
                            assert_eq!(response.phase(), Phase::Done);
                            return finish(response, limits, content, trace);
                        }
                    }
                    assert_eq!(response.started(), came);
                    assert_eq!(usize::from(response.interim_answers()), interims(&trace));
                    let held = limits.head_bytes as usize + limits.trailer_bytes as usize;
                    assert!(
                        response.held_bytes() <= 4 * held + 64,
                        "holds {}",
                        response.held_bytes()
                    );
                }
                Err(error) => {
                    assert_eq!(response.phase(), Phase::Failed);
                    assert!(!error.is_truncation(), "{error} before the end");
                    assert_eq!(response.eof(clean).err(), Some(error), "the first error stays");
                    trace.items.push(Item::Error(error.name()));
                    trace.used = 0;
                    return trace;
                }
            }
        }
    }
    match response.eof(clean) {
        Ok(Event::Done(then)) => trace.items.push(Item::Done(then)),
        Ok(event) => panic!("{event:?} at the end of the connection"),
        Err(error) => {
            assert!(error.is_truncation(), "{error} at the end");
            trace.items.push(Item::Error(error.name()));
            trace.used = 0;
        }
    }
    finish(response, limits, content, trace)
}

fn interims(trace: &Trace) -> usize {
    trace.items.iter().filter(|item| matches!(item, Item::Interim(_))).count()
}

/// What holds of every machine that is done or failed.
fn finish(mut response: Response, limits: &Limits, content: u64, trace: Trace) -> Trace {
    assert_eq!(response.content_bytes(), content);
    let mut scratch = Scratch::new();
    let again = response.next(limits, b"more", &mut scratch);
    match (trace.items.last(), again) {
        (Some(Item::Done(then)), Ok((0, Event::Done(again)))) => assert_eq!(*then, again),
        (Some(Item::Error(name)), Err(again)) => assert_eq!(*name, again.name()),
        (last, again) => panic!("after {last:?}: {again:?}"),
    }
    assert_eq!(response.held_bytes(), 0, "memory is held after the end");
    trace
}
