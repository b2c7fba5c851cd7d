//! What an answer is meant to be: drafted by the path and the rules, then laid out as bytes with
//! places to wait, to cut and to end.

use core::time::Duration;
use std::borrow::Cow;
use std::io::Write as _;

use crate::base::sort_by_key;

use super::outgoing::{Content, Finish, Outgoing};
use super::pattern;
use super::request::Head;
use super::rules::{Action, At, Body, Chunked, Drip, How, Length};
use crate::base::decimal;

/// A request that is being answered.
pub(super) struct Ask<'a> {
    pub(super) head: &'a Head,
    /// The bytes that the head was read from.
    pub(super) bytes: &'a [u8],
    /// The request's content, if the answer needs it.
    pub(super) content: &'a [u8],
    /// Which edition of the target's content is served.
    pub(super) edition: u64,
    /// How often this target was asked for.
    pub(super) attempt: u64,
}

impl<'a> Ask<'a> {
    pub(super) fn target(&self) -> &'a [u8] {
        self.head.target(self.bytes)
    }

    pub(super) fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.head.field(self.bytes, name)
    }

    /// From which number the target's pattern grows.
    pub(super) fn seed(&self) -> u64 {
        pattern::seed(self.target(), self.edition)
    }

    /// The request as it was received, the content without its coding.
    pub(super) fn echo(&self) -> Vec<u8> {
        let mut all = self.bytes.get(..self.head.len).unwrap_or_default().to_vec();
        all.extend_from_slice(self.content);
        all
    }
}

type Text = Cow<'static, [u8]>;

/// What an answer is meant to be.
#[derive(Debug)]
pub(super) struct Draft {
    /// What comes before the answer proper: raw bytes and informational answers.
    lead: Vec<u8>,
    /// Whether there is an answer proper.
    proper: bool,
    version: Option<Vec<u8>>,
    status: u16,
    reason: Option<Vec<u8>>,
    fields: Vec<(Text, Text)>,
    /// Fields from rules; they replace those of the same name.
    own_fields: Vec<(Text, Text)>,
    without: Vec<String>,
    content: Content,
    chunked: Option<Chunked>,
    length: Option<Length>,
    pauses: Vec<(At, u64)>,
    drip: Option<Drip>,
    cut: Option<(At, How)>,
    pub(super) close: bool,
    pub(super) close_quietly: bool,
    surplus: Vec<u8>,
}

impl Draft {
    pub(super) fn new(status: u16, content: Content) -> Self {
        Self {
            lead: Vec::new(),
            proper: true,
            version: None,
            status,
            reason: None,
            fields: Vec::new(),
            own_fields: Vec::new(),
            without: Vec::new(),
            content,
            chunked: None,
            length: None,
            pauses: Vec::new(),
            drip: None,
            cut: None,
            close: false,
            close_quietly: false,
            surplus: Vec::new(),
        }
    }

    /// A status with its reason as content.
    pub(super) fn of_status(status: u16) -> Self {
        let content = if is_bare(status) {
            Content::EMPTY
        } else {
            Content::text(&format!("{status} {}\n", reason(status)))
        };
        Self::new(status, content)
    }

    pub(super) fn field(mut self, name: impl Into<Text>, value: impl Into<Text>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub(super) fn text_field(self, name: &'static str, value: String) -> Self {
        self.field(name.as_bytes(), value.into_bytes())
    }

    pub(super) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    pub(super) fn chunked(mut self, chunked: Chunked) -> Self {
        self.chunked = Some(chunked);
        self
    }

    pub(super) fn untold(mut self) -> Self {
        self.length = Some(Length::Untold);
        self
    }

    pub(super) fn pause(mut self, at: At, ms: u64) -> Self {
        self.pauses.push((at, ms));
        self
    }

    pub(super) fn drip(mut self, drip: Drip) -> Self {
        self.drip = Some(drip);
        self
    }

    pub(super) fn cut(mut self, at: At, how: How) -> Self {
        self.cut = Some((at, how));
        self
    }

    /// Draws up an answer by a rule; `usual` is what the path asks for.
    pub(super) fn by_rule(
        actions: &[Action],
        ask: &Ask<'_>,
        usual: impl FnOnce(&Ask<'_>) -> Self,
    ) -> Self {
        let says = |action: &Action| {
            matches!(action, Action::Status(_) | Action::Body(_) | Action::Redirect(_))
        };
        let mut draft = if actions.iter().any(says) {
            Self::new(200, Content::EMPTY)
        } else if actions.iter().any(|action| matches!(action, Action::Raw(_))) {
            Self { proper: false, ..Self::new(200, Content::EMPTY) }
        } else {
            usual(ask)
        };
        for action in actions {
            draft.apply(action, ask);
        }
        draft
    }

    fn apply(&mut self, action: &Action, ask: &Ask<'_>) {
        match action {
            Action::Status(status) => self.status = *status,
            Action::Reason(reason) => self.reason = Some(reason.0.clone()),
            Action::Version(version) => self.version = Some(version.0.clone()),
            Action::Field(name, value) => {
                self.own_fields.push((name.0.clone().into(), value.0.clone().into()));
            }
            Action::Without(name) => self.without.push(name.clone()),
            Action::Body(body) => {
                self.content = match body {
                    Body::Bytes(bytes) => Content::Bytes(bytes.0.clone()),
                    Body::Pattern(len) => Content::Pattern { seed: ask.seed(), from: 0, len: *len },
                    Body::FromPath => Content::Pattern {
                        seed: ask.seed(),
                        from: 0,
                        len: super::builtin::first_number(ask.target()).unwrap_or(0),
                    },
                    Body::Echo => Content::Bytes(ask.echo()),
                }
            }
            Action::Raw(bytes) => self.lead.extend_from_slice(&bytes.0),
            Action::Interim(interim) => {
                let lead = &mut self.lead;
                let _ = write!(lead, "HTTP/1.1 {} {}\r\n", interim.status, reason(interim.status));
                for (name, value) in &interim.fields {
                    push_field(lead, &name.0, &value.0);
                }
                lead.extend_from_slice(b"\r\n");
            }
            Action::DelayMs(ms) => self.pauses.push((At::Byte(self.lead.len() as u64), *ms)),
            Action::Pause(pause) => self.pauses.push((pause.at, pause.ms)),
            Action::Drip(drip) => self.drip = Some(drip.clone()),
            Action::Chunked(chunked) => self.chunked = Some(chunked.clone()),
            Action::Length(length) => self.length = Some(length.clone()),
            Action::Cut(cut) => self.cut = Some((cut.at, cut.how)),
            Action::RetryAfter(value) => self
                .own_fields
                .push((b"Retry-After".as_slice().into(), value.clone().into_bytes().into())),
            Action::Redirect(redirect) => {
                self.status = redirect.status;
                self.own_fields.push((b"Location".as_slice().into(), redirect.to.0.clone().into()));
            }
            Action::Close => self.close = true,
            Action::CloseQuietly => self.close_quietly = true,
            Action::Surplus(bytes) => self.surplus.extend_from_slice(&bytes.0),
            // Decided before the answer is drafted.
            Action::Edition(_) | Action::Early | Action::NoContinue => {}
        }
    }

    /// Cuts it at random, whatever the rule wanted.
    pub(super) fn cut_at_random(&mut self, how: How) {
        self.cut = Some((At::Random, how));
    }

    /// Lays the answer out as bytes. `head` is that of the request, if there was one.
    pub(super) fn lay_out(
        self,
        head: Option<(&Head, &[u8])>,
        habits: &Habits<'_>,
        chance: &mut fastrand::Rng,
    ) -> Outgoing {
        let mut text = Vec::with_capacity(256);
        let mut parts = Vec::new();
        text.extend_from_slice(&self.lead);
        let mut body_from = text.len() as u64;
        let untold = matches!(self.length, Some(Length::Untold));
        let keep = head.is_none_or(|(head, _)| head.keep) && !self.close && !untold;
        if self.proper {
            self.write_head(&mut text, head, keep, habits);
            body_from = text.len() as u64;
            let wordless = is_bare(self.status)
                || head.is_some_and(|(head, bytes)| head.method(bytes) == b"HEAD");
            if !wordless {
                self.write_body(&mut text, &mut parts);
            }
        }
        text.extend_from_slice(&self.surplus);
        parts.push(Content::Bytes(text));
        let total: u64 = parts.iter().map(Content::len).sum();
        let mut place = |at: At| {
            let place = match at {
                At::Byte(byte) => byte,
                At::Body(byte) => body_from.saturating_add(byte),
                At::BeforeEnd(byte) => total.saturating_sub(byte),
                At::Random => chance.u64(..total.max(1)),
            };
            place.min(total)
        };
        let mut pauses: Vec<_> =
            self.pauses.iter().map(|&(at, ms)| (place(at), Duration::from_millis(ms))).collect();
        sort_by_key(&mut pauses, |pause| pause.0);
        if !habits.latency.is_zero() {
            pauses.insert(0, (0, habits.latency));
        }
        let (end, finish) = match self.cut {
            Some((at, how)) => (place(at), Finish::Cut(how)),
            None if !keep || self.close_quietly || !self.proper && self.close => {
                (total, Finish::Close)
            }
            None => (total, Finish::Keep),
        };
        Outgoing::new(parts, end, pauses, self.drip, finish)
    }

    fn write_head(
        &self,
        out: &mut Vec<u8>,
        head: Option<(&Head, &[u8])>,
        keep: bool,
        habits: &Habits<'_>,
    ) {
        out.extend_from_slice(self.version.as_deref().unwrap_or(b"HTTP/1.1"));
        let _ = write!(out, " {:03} ", self.status);
        out.extend_from_slice(self.reason.as_deref().unwrap_or(reason(self.status).as_bytes()));
        out.extend_from_slice(b"\r\n");
        let put = |out: &mut Vec<u8>, name: &[u8], value: &[u8]| {
            let is_own = self.own_fields.iter().any(|own| own.0.eq_ignore_ascii_case(name));
            if !is_own && !self.is_without(name) {
                push_field(out, name, value);
            }
        };
        put(out, b"Server", b"gannet-origin");
        put(out, b"Date", habits.date.as_bytes());
        for (name, value) in &self.fields {
            put(out, name, value);
        }
        for (name, value) in habits.fields {
            put(out, name.as_bytes(), value.as_bytes());
        }
        for (name, value) in &self.own_fields {
            if !self.is_without(name) {
                push_field(out, name, value);
            }
        }
        let may_have_length = !is_bare(self.status);
        if self.chunked.is_some() && may_have_length {
            put(out, b"Transfer-Encoding", b"chunked");
        }
        match &self.length {
            Some(Length::Exactly(text)) => put(out, b"Content-Length", &text.0),
            Some(Length::Untold) => {}
            _ if self.chunked.is_some() || !may_have_length => {}
            length => {
                let more = if let Some(Length::Plus(more)) = length { *more } else { 0 };
                let mut digits = [0; 20];
                let told = self.content.len().saturating_add_signed(more);
                put(out, b"Content-Length", decimal(told, &mut digits));
            }
        }
        if !keep {
            put(out, b"Connection", b"close");
        } else if head.is_some_and(|(head, _)| !head.current) {
            put(out, b"Connection", b"keep-alive");
        }
        if keep && let Some(hint) = habits.hint {
            put(out, b"Keep-Alive", hint.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }

    fn is_without(&self, name: &[u8]) -> bool {
        self.without.iter().any(|not| not.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Appends the body; `text` holds what comes before it and is left with what comes last.
    fn write_body(&self, text: &mut Vec<u8>, parts: &mut Vec<Content>) {
        let len = self.content.len();
        let Some(chunked) = &self.chunked else {
            match &self.content {
                Content::Bytes(bytes) => text.extend_from_slice(bytes),
                Content::Pattern { .. } => {
                    parts.push(Content::Bytes(core::mem::take(text)));
                    parts.push(self.content.clone());
                }
            }
            return;
        };
        let usual = [8_192];
        let sizes = if chunked.sizes.is_empty() { &usual[..] } else { &chunked.sizes };
        let mut from = 0;
        for &size in sizes.iter().cycle() {
            let size = size.min(len - from);
            let _ = write!(text, "{size:x}");
            text.extend_from_slice(&chunked.extension.0);
            text.extend_from_slice(b"\r\n");
            if size == 0 {
                break;
            }
            if size < 1_024 {
                self.content.append(from, size as usize, text);
            } else {
                parts.push(Content::Bytes(core::mem::take(text)));
                parts.push(self.content.part(from, size));
            }
            text.extend_from_slice(b"\r\n");
            from += size;
        }
        for (name, value) in &chunked.trailers {
            push_field(text, &name.0, &value.0);
        }
        text.extend_from_slice(b"\r\n");
    }
}

/// What the server adds to every answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habits<'a> {
    pub(super) date: &'a str,
    /// The value of `Keep-Alive`.
    pub(super) hint: Option<&'a str>,
    pub(super) fields: &'a [(&'static str, String)],
    pub(super) latency: Duration,
}

/// Whether an answer with this status never has content.
pub(super) const fn is_bare(status: u16) -> bool {
    status < 200 || status == 204 || status == 304
}

fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The usual reason phrase.
pub(super) const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        425 => "Too Early",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unnamed",
    }
}

#[cfg(test)]
mod tests {
    use super::super::outgoing::Next;
    use super::*;

    fn all(mut outgoing: Outgoing, room: u64) -> (Vec<u8>, Vec<(usize, Duration)>) {
        let (mut out, mut waits) = (Vec::new(), Vec::new());
        loop {
            match outgoing.next(room, &mut out) {
                Next::Send => {}
                Next::Wait(time) => waits.push((out.len(), time)),
                Next::Done => return (out, waits),
            }
        }
    }

    fn lay_out(draft: Draft) -> Outgoing {
        draft.lay_out(
            None,
            &Habits { date: "now", ..Habits::default() },
            &mut fastrand::Rng::with_seed(1),
        )
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_room() {
        let draft = || {
            let content = Content::Pattern { seed: 7, from: 3, len: 5_000 };
            Draft::new(200, content)
                .chunked(Chunked { sizes: vec![1, 2_000], ..Chunked::default() })
        };
        let (whole, _) = all(lay_out(draft()), u64::MAX);
        for room in [1, 2, 7, 1_000] {
            assert_eq!(all(lay_out(draft()), room).0, whole, "{room}");
        }
        assert!(whole.ends_with(b"\r\n0\r\n\r\n"));
    }

    #[test]
    fn pauses_and_drips_stand_where_they_were_put() {
        let ms = Duration::from_millis;
        let draft = Draft::new(200, Content::text("0123456789"))
            .pause(At::Body(4), 30)
            .pause(At::Byte(0), 10);
        let (bytes, waits) = all(lay_out(draft), u64::MAX);
        assert_eq!(waits, [(0, ms(10)), (bytes.len() - 6, ms(30))]);
        let draft = Draft::new(200, Content::EMPTY).drip(Drip { bytes: 30, every_ms: 1 });
        let (bytes, waits) = all(lay_out(draft), u64::MAX);
        assert_eq!(waits.len(), (bytes.len() - 1) / 30);
        assert!(waits.iter().enumerate().all(|(n, wait)| *wait == ((n + 1) * 30, ms(1))));
    }

    #[test]
    fn a_cut_is_exact() {
        let whole = all(lay_out(Draft::new(200, Content::text("0123456789"))), u64::MAX).0;
        for (at, left) in [
            (At::Byte(0), 0),
            (At::Byte(17), 17),
            (At::Body(3), whole.len() - 7),
            (At::BeforeEnd(1), whole.len() - 1),
            (At::Byte(1_000), whole.len()),
        ] {
            let outgoing =
                lay_out(Draft::new(200, Content::text("0123456789")).cut(at, How::Reset));
            assert_eq!(outgoing.finish, Finish::Cut(How::Reset));
            assert_eq!(all(outgoing, u64::MAX).0, whole[..left], "{at:?}");
        }
    }
}
