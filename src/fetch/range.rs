//! Parts of a representation (RFC 9110 section 14): `-r`, `Content-Range`, and both together.
//!
//! Pure arithmetic on offsets with checked additions; never touches a body.

use core::fmt;

/// Why a range can't be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeError;

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range is written FIRST-LAST, FIRST-, -COUNT, or several of them with commas")
    }
}

impl core::error::Error for RangeError {}

/// One part that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Span {
    /// From this byte to that one, both included.
    Closed(u64, u64),
    /// From this byte to the end.
    From(u64),
    /// The last so many bytes.
    Last(u64),
}

/// What is asked for (`-r`): one part or several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeSpec {
    text: Box<str>,
    single: Option<Span>,
}

impl RangeSpec {
    /// Reads what stands after `-r`; a bare number means from there to the end, as curl has it.
    ///
    /// ```
    /// use gannet::fetch::{RangeSpec, Span};
    ///
    /// assert_eq!(RangeSpec::parse("0-499")?.single(), Some(Span::Closed(0, 499)));
    /// assert_eq!(RangeSpec::parse("0-0,-1")?.value(), "bytes=0-0,-1");
    /// # Ok::<(), gannet::fetch::RangeError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        let mut value = String::from("bytes=");
        let mut single = None;
        for (index, part) in text.split(',').enumerate() {
            let part = part.trim_matches([' ', '\t']);
            let span = Span::parse(part)?;
            if index > 0 {
                value.push(',');
            }
            value.push_str(&span.to_string());
            single = (index == 0).then_some(span);
        }
        Ok(Self { text: value.into(), single })
    }

    /// From this byte to the end.
    pub fn from_offset(offset: u64) -> Self {
        Self { text: format!("bytes={offset}-").into(), single: Some(Span::From(offset)) }
    }

    /// The value of the `Range` field.
    pub fn value(&self) -> &str {
        &self.text
    }

    /// The part, if it is only one.
    pub const fn single(&self) -> Option<Span> {
        self.single
    }
}

impl Span {
    fn parse(text: &str) -> Result<Self, RangeError> {
        match text.split_once('-') {
            None => Ok(Self::From(number(text)?)),
            Some((first, "")) => Ok(Self::From(number(first)?)),
            Some(("", count)) => Ok(Self::Last(number(count)?)),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last { Err(RangeError) } else { Ok(Self::Closed(first, last)) }
            }
        }
    }

    /// The rest of this part when `have` bytes of it are there, if more can be asked for without
    /// knowing how long the whole is. `None` for the last so many bytes (where they begin only an
    /// answer tells), and when nothing is left.
    pub fn after(self, have: u64) -> Option<Self> {
        match self {
            Self::Closed(first, last) => {
                let first = first.checked_add(have)?;
                (first <= last).then_some(Self::Closed(first, last))
            }
            Self::From(first) => Some(Self::From(first.checked_add(have)?)),
            Self::Last(_) => None,
        }
    }

    /// Whether an answer's part is what was asked for. The end may come earlier than asked: the
    /// representation may be shorter.
    pub fn fits(self, answer: &ContentRange) -> bool {
        let ContentRange::Part { first, last, whole } = *answer else { return false };
        match self {
            Self::From(asked) => first == asked,
            Self::Closed(asked, end) => first == asked && last <= end,
            Self::Last(count) => whole.is_none_or(|whole| whole.saturating_sub(count) == first),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(first, last) => write!(f, "{first}-{last}"),
            Self::From(first) => write!(f, "{first}-"),
            Self::Last(count) => write!(f, "-{count}"),
        }
    }
}

/// What a `Content-Range` field says (RFC 9110 section 14.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContentRange {
    /// The body holds these bytes.
    Part {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// The length of the whole, if the server knows it.
        whole: Option<u64>,
    },
    /// No part could be given (416); the whole has this length.
    Unsatisfied {
        /// The length of the whole.
        whole: u64,
    },
}

impl ContentRange {
    /// Reads the value; `None` when it is not in bytes or makes no sense.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = core::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
        let (unit, rest) = value.split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (part, whole) = rest.trim_start_matches(' ').split_once('/')?;
        if part == "*" {
            return Some(Self::Unsatisfied { whole: number(whole).ok()? });
        }
        let (first, last) = part.split_once('-')?;
        let (first, last) = (number(first).ok()?, number(last).ok()?);
        let whole = if whole == "*" { None } else { Some(number(whole).ok()?) };
        let sound = first <= last && whole.is_none_or(|whole| last < whole);
        sound.then_some(Self::Part { first, last, whole })
    }
}

/// Digits only: no sign, no blank.
fn number(text: &str) -> Result<u64, RangeError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RangeError);
    }
    text.parse().map_err(|_| RangeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_for() {
        for (text, value, single) in [
            ("0-499", "bytes=0-499", Some(Span::Closed(0, 499))),
            ("500", "bytes=500-", Some(Span::From(500))),
            ("500-", "bytes=500-", Some(Span::From(500))),
            ("-500", "bytes=-500", Some(Span::Last(500))),
            ("0-0", "bytes=0-0", Some(Span::Closed(0, 0))),
            ("0-0,-1", "bytes=0-0,-1", None),
            ("0-10, 20-30 ,40-", "bytes=0-10,20-30,40-", None),
            ("18446744073709551615-", "bytes=18446744073709551615-", Some(Span::From(u64::MAX))),
        ] {
            let range = RangeSpec::parse(text).expect(text);
            assert_eq!((range.value(), range.single()), (value, single), "{text}");
        }
        for text in [
            "",
            "-",
            "a",
            "1-a",
            "+1-",
            "1--2",
            "5-4",
            "0x1-",
            " ",
            "1-2,",
            ",1-2",
            "18446744073709551616-",
            "1-2\r\nX: y",
        ] {
            assert_eq!(RangeSpec::parse(text), Err(RangeError), "{text:?}");
        }
        assert_eq!(RangeSpec::from_offset(7).value(), RangeSpec::parse("7-").unwrap().value());
    }

    #[test]
    fn the_rest_of_a_part() {
        for (span, have, rest) in [
            (Span::Closed(10, 19), 0, Some(Span::Closed(10, 19))),
            (Span::Closed(10, 19), 4, Some(Span::Closed(14, 19))),
            (Span::Closed(10, 19), 9, Some(Span::Closed(19, 19))),
            (Span::Closed(10, 19), 10, None),
            (Span::Closed(10, u64::MAX), u64::MAX, None),
            (Span::From(10), 5, Some(Span::From(15))),
            (Span::From(10), u64::MAX, None),
            (Span::Last(10), 5, None),
        ] {
            assert_eq!(span.after(have), rest, "{span} after {have}");
        }
    }

    #[test]
    fn answered() {
        let part = |first, last, whole| Some(ContentRange::Part { first, last, whole });
        for (value, expected) in [
            ("bytes 0-499/1234", part(0, 499, Some(1234))),
            ("Bytes 0-499/1234", part(0, 499, Some(1234))),
            ("bytes 500-1233/*", part(500, 1233, None)),
            (" bytes 0-0/1 ", part(0, 0, Some(1))),
            ("bytes */1234", Some(ContentRange::Unsatisfied { whole: 1234 })),
            ("bytes */0", Some(ContentRange::Unsatisfied { whole: 0 })),
            ("bytes */*", None),
            ("bytes 5-4/10", None),
            ("bytes 0-10/10", None),
            ("bytes 0-9/10/11", None),
            ("bytes=0-9/10", None),
            ("bytes 0-/10", None),
            ("bytes -9/10", None),
            ("bytes 0 - 9/10", None),
            ("bytes +0-9/10", None),
            ("items 0-9/10", None),
            ("bytes", None),
            ("", None),
            ("bytes 0-99999999999999999999/*", None),
        ] {
            assert_eq!(ContentRange::parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn an_answer_fits_its_question() {
        let part = |first, last, whole| ContentRange::Part { first, last, whole };
        for (span, answer, fits) in [
            (Span::From(10), part(10, 19, Some(20)), true),
            (Span::From(10), part(9, 19, Some(20)), false),
            (Span::Closed(10, 14), part(10, 14, Some(20)), true),
            (Span::Closed(10, 99), part(10, 19, Some(20)), true),
            (Span::Closed(10, 14), part(10, 15, Some(20)), false),
            (Span::Last(5), part(15, 19, Some(20)), true),
            (Span::Last(50), part(0, 19, Some(20)), true),
            (Span::Last(5), part(14, 19, Some(20)), false),
            (Span::From(10), ContentRange::Unsatisfied { whole: 10 }, false),
        ] {
            assert_eq!(span.fits(&answer), fits, "{span} {answer:?}");
        }
    }
}
