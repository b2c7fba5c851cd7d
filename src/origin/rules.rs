//! What is answered to which request: conditions and actions.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// If this, then that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Which requests.
    pub when: When,
    /// What to do. A list that says what the answer is (`status`, `body`, `redirect`) starts from
    /// an empty 200; one with `raw` from nothing; any other from what the path asks for.
    pub then: Vec<Action>,
}

/// Which requests: those that meet every condition that is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The target is this.
    pub path: Option<String>,
    /// The target starts with this.
    pub prefix: Option<String>,
    /// The method is this.
    pub method: Option<String>,
    /// The field `Host` is this.
    pub host: Option<String>,
    /// The request has a field with this name.
    pub field: Option<String>,
    /// It came to this local address.
    pub address: Option<IpAddr>,
    /// Counting all requests to the server from 1.
    pub nth: Option<Span>,
    /// Counting the requests on its connection from 1.
    pub nth_on_connection: Option<Span>,
    /// Counting the connections that the server accepted from 1.
    pub nth_connection: Option<Span>,
    /// Counting the requests for the same target from 1.
    pub attempt: Option<Span>,
    /// Only every so many of those that meet the conditions above.
    pub every: Option<u64>,
    /// Only with this probability.
    pub probability: Option<f64>,
}

impl When {
    /// Every request.
    pub fn always() -> Self {
        Self::default()
    }

    /// Requests for exactly this target.
    pub fn path(path: &str) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }

    /// Requests for targets that start so.
    pub fn prefix(prefix: &str) -> Self {
        Self { prefix: Some(prefix.into()), ..Self::default() }
    }

    /// Of these, those with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Of these, the n-th of the server.
    #[must_use]
    pub fn nth(mut self, nth: impl Into<Span>) -> Self {
        self.nth = Some(nth.into());
        self
    }

    /// Of these, the n-th of its connection.
    #[must_use]
    pub fn nth_on_connection(mut self, nth: impl Into<Span>) -> Self {
        self.nth_on_connection = Some(nth.into());
        self
    }

    /// Of these, the n-th for its target.
    #[must_use]
    pub fn attempt(mut self, nth: impl Into<Span>) -> Self {
        self.attempt = Some(nth.into());
        self
    }

    /// Of these, every so many.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.every = Some(every);
        self
    }

    /// Of these, a random part.
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }

    /// Whether a request meets the conditions. `turn` counts those that met all but the last two.
    pub(super) fn matches(
        &self,
        asked: &Asked<'_>,
        turn: &mut u64,
        chance: &mut fastrand::Rng,
    ) -> bool {
        fn differs(wanted: Option<&String>, is: &[u8]) -> bool {
            wanted.is_some_and(|wanted| wanted.as_bytes() != is)
        }
        fn outside(span: Option<Span>, number: u64) -> bool {
            span.is_some_and(|span| !span.contains(number))
        }
        if differs(self.path.as_ref(), asked.target)
            || self
                .prefix
                .as_ref()
                .is_some_and(|prefix| !asked.target.starts_with(prefix.as_bytes()))
            || differs(self.method.as_ref(), asked.method)
            || self.host.as_ref().is_some_and(|host| (asked.field)("host") != Some(host.as_bytes()))
            || self.field.as_ref().is_some_and(|name| (asked.field)(name).is_none())
            || self.address.is_some_and(|address| address != asked.address)
            || outside(self.nth, asked.nth)
            || outside(self.nth_on_connection, asked.nth_on_connection)
            || outside(self.nth_connection, asked.nth_connection)
            || outside(self.attempt, asked.attempt)
        {
            return false;
        }
        if let Some(every) = self.every {
            *turn += 1;
            if !turn.is_multiple_of(every) {
                return false;
            }
        }
        self.probability.is_none_or(|probability| chance.f64() < probability)
    }
}

/// A request as conditions see it.
pub(super) struct Asked<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) field: &'a dyn Fn(&str) -> Option<&'a [u8]>,
    pub(super) address: IpAddr,
    pub(super) nth: u64,
    pub(super) nth_on_connection: u64,
    pub(super) nth_connection: u64,
    pub(super) attempt: u64,
}

/// How often each target was asked for; forgets all when there are too many of them.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<Box<[u8]>, u64>);

impl Attempts {
    /// Targets that are remembered.
    const MAX: usize = 1_000_000;

    /// Counts one more request for `target`, from 1.
    pub(super) fn count(&mut self, target: &[u8]) -> u64 {
        if let Some(count) = self.0.get_mut(target) {
            *count += 1;
            return *count;
        }
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        self.0.insert(target.into(), 1);
        1
    }
}

/// One number, or all from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Span {
    /// Just this one.
    One(u64),
    /// From the first to the last, both included.
    FromTo(u64, u64),
}

impl Span {
    /// Whether `number` is in it.
    pub const fn contains(self, number: u64) -> bool {
        match self {
            Self::One(one) => number == one,
            Self::FromTo(first, last) => first <= number && number <= last,
        }
    }
}

impl From<u64> for Span {
    fn from(one: u64) -> Self {
        Self::One(one)
    }
}

impl From<core::ops::RangeInclusive<u64>> for Span {
    fn from(range: core::ops::RangeInclusive<u64>) -> Self {
        Self::FromTo(*range.start(), *range.end())
    }
}

impl From<core::ops::RangeFrom<u64>> for Span {
    fn from(range: core::ops::RangeFrom<u64>) -> Self {
        Self::FromTo(range.start, u64::MAX)
    }
}

/// One thing to do with an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// This status.
    Status(u16),
    /// This reason phrase in place of the usual one.
    Reason(Bytes),
    /// This version in the status line in place of `HTTP/1.1`.
    Version(Bytes),
    /// One more header field, or another value for one that the answer has (but `Set-Cookie` and
    /// repeated ones: every `field` of this list is sent).
    Field(Bytes, Bytes),
    /// Leave out the header field with this name, also one that the server would add.
    Without(String),
    /// This content.
    Body(Body),
    /// Another edition of the content: other bytes, another `ETag` and `Last-Modified`.
    Edition(u64),
    /// These bytes instead of an answer; several are joined, with the delays between them.
    Raw(Bytes),
    /// An informational answer first.
    Interim(Interim),
    /// Wait: before the answer, or between the `raw` and `interim` ones around it.
    DelayMs(u64),
    /// Wait when so much of the answer has been sent.
    Pause(Pause),
    /// Send the answer in small pieces.
    Drip(Drip),
    /// Send the content in chunks.
    Chunked(Chunked),
    /// Say something else about the length of the content than what it is.
    Length(Length),
    /// Do not send the answer to its end.
    Cut(Cut),
    /// The field `Retry-After`: seconds or a date.
    RetryAfter(String),
    /// Go elsewhere.
    Redirect(Redirect),
    /// Say `Connection: close` and close after the answer.
    Close,
    /// Close after the answer without having said so.
    CloseQuietly,
    /// These bytes after the end of the answer, in the same write where they fit.
    Surplus(Bytes),
    /// Answer as soon as the head was read, before the request's body.
    Early,
    /// Send no `100 Continue`, also when the request expects it.
    NoContinue,
}

/// Bytes, written in JSON as a string whose characters stand for one byte each (up to U+00FF).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().copied().map(char::from).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        bytes.map(Self).map_err(|_| serde::de::Error::custom("a character above U+00FF is no byte"))
    }
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// These bytes.
    Bytes(Bytes),
    /// So many bytes of the target's own [pattern](super::pattern).
    Pattern(u64),
    /// The target's own pattern, as long as the first number in the path says.
    FromPath,
    /// The request as it was received: head and body.
    Echo,
}

/// An informational answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interim {
    /// Its status, 1xx.
    pub status: u16,
    /// Its header fields.
    #[serde(default)]
    pub fields: Vec<(Bytes, Bytes)>,
}

/// A wait in the middle of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Where.
    pub at: At,
    /// How long.
    pub ms: u64,
}

/// An answer in small pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drip {
    /// Bytes at once.
    pub bytes: u64,
    /// The time between two pieces; 0 makes each a write of its own and waits for nothing.
    pub every_ms: u64,
}

/// Content in chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chunked {
    /// The sizes of the chunks, again and again from the first; without any, 8192.
    pub sizes: Vec<u64>,
    /// What stands between every size and its line end, `;name=value`.
    pub extension: Bytes,
    /// The fields of the trailer section.
    pub trailers: Vec<(Bytes, Bytes)>,
}

/// What is said about the length of the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// This in `Content-Length`, whatever is true (also beside `chunked`).
    Exactly(Bytes),
    /// So much more (or, below 0, less) than it is.
    Plus(i64),
    /// Nothing: the content ends with the connection.
    Untold,
}

/// An end before the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// After how much of the whole answer; beyond its end: at its end. (A reset may take with it
    /// what a slow reader's system had no room for yet.)
    pub at: At,
    /// In which way.
    pub how: How,
}

/// A place in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// After so many bytes of the whole answer, with what is informational before it.
    Byte(u64),
    /// After so many bytes of what follows the head (chunk lines count).
    Body(u64),
    /// So many bytes before the end.
    BeforeEnd(u64),
    /// Anywhere before the end.
    Random,
}

/// A way to end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// With a TCP reset.
    Reset,
    /// With a regular close.
    Fin,
    /// Not at all: it stays open and silent, until the peer closes it.
    Stall,
    /// The same, and nothing more is read: a peer that sends on is stopped by its own system.
    Freeze,
}

/// A redirection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Its status, 3xx.
    pub status: u16,
    /// The value of `Location`.
    pub to: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How each action is written.
    #[test]
    fn actions_in_json() {
        let at = At::Byte(17);
        for (text, action) in [
            (r#"{"status":503}"#, Action::Status(503)),
            (r#"{"reason":"Gone \u00e9"}"#, Action::Reason(Bytes(b"Gone \xe9".to_vec()))),
            (r#"{"version":"HTTP/1.0"}"#, Action::Version("HTTP/1.0".into())),
            (r#"{"field":["X-Name","value"]}"#, Action::Field("X-Name".into(), "value".into())),
            (r#"{"without":"Date"}"#, Action::Without("Date".into())),
            (r#"{"body":{"bytes":"hello"}}"#, Action::Body(Body::Bytes("hello".into()))),
            (r#"{"body":{"pattern":1024}}"#, Action::Body(Body::Pattern(1_024))),
            (r#"{"body":"from_path"}"#, Action::Body(Body::FromPath)),
            (r#"{"body":"echo"}"#, Action::Body(Body::Echo)),
            (r#"{"edition":2}"#, Action::Edition(2)),
            (r#"{"raw":"HTTP/1.1 200\r\n\u0000"}"#, Action::Raw("HTTP/1.1 200\r\n\0".into())),
            (
                r#"{"interim":{"status":103}}"#,
                Action::Interim(Interim { status: 103, fields: vec![] }),
            ),
            (r#"{"delay_ms":50}"#, Action::DelayMs(50)),
            (r#"{"pause":{"at":{"byte":17},"ms":50}}"#, Action::Pause(Pause { at, ms: 50 })),
            (r#"{"drip":{"bytes":1,"every_ms":2}}"#, Action::Drip(Drip { bytes: 1, every_ms: 2 })),
            (
                r#"{"chunked":{"sizes":[1,2],"extension":";a","trailers":[["X","y"]]}}"#,
                Action::Chunked(Chunked {
                    sizes: vec![1, 2],
                    extension: ";a".into(),
                    trailers: vec![("X".into(), "y".into())],
                }),
            ),
            (r#"{"length":{"exactly":"+5"}}"#, Action::Length(Length::Exactly("+5".into()))),
            (r#"{"length":{"plus":-1}}"#, Action::Length(Length::Plus(-1))),
            (r#"{"length":"untold"}"#, Action::Length(Length::Untold)),
            (
                r#"{"cut":{"at":{"byte":17},"how":"reset"}}"#,
                Action::Cut(Cut { at, how: How::Reset }),
            ),
            (
                r#"{"cut":{"at":{"body":1},"how":"fin"}}"#,
                Action::Cut(Cut { at: At::Body(1), how: How::Fin }),
            ),
            (
                r#"{"cut":{"at":{"before_end":1},"how":"stall"}}"#,
                Action::Cut(Cut { at: At::BeforeEnd(1), how: How::Stall }),
            ),
            (
                r#"{"cut":{"at":"random","how":"freeze"}}"#,
                Action::Cut(Cut { at: At::Random, how: How::Freeze }),
            ),
            (r#"{"retry_after":"3"}"#, Action::RetryAfter("3".into())),
            (
                r#"{"redirect":{"status":302,"to":"/x"}}"#,
                Action::Redirect(Redirect { status: 302, to: "/x".into() }),
            ),
            (r#""close""#, Action::Close),
            (r#""close_quietly""#, Action::CloseQuietly),
            (r#"{"surplus":"more"}"#, Action::Surplus("more".into())),
            (r#""early""#, Action::Early),
            (r#""no_continue""#, Action::NoContinue),
        ] {
            assert_eq!(serde_json::from_str::<Action>(text).unwrap(), action, "{text}");
        }
    }

    #[test]
    fn spans() {
        for (text, inside, outside) in [("3", 3, 4), ("[2,5]", 5, 6), ("[2,5]", 2, 1)] {
            let span: Span = serde_json::from_str(text).unwrap();
            assert!(span.contains(inside) && !span.contains(outside), "{text}");
        }
    }
}
