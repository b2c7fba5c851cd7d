//! Field lines as users write them (`-H`), and what they mean for the request.
//!
//! Owns curl's three forms (`Name: value`, `Name;`, `Name:`) and the check that nothing smuggles
//! a line break. Never decides which fields a request has by default (that is `fetcher`).
#![expect(clippy::indexing_slicing, reason = "the colon's place is one in the line")]

use core::fmt;

/// A field line that somebody asked for, or asked to leave out.
#[derive(Clone, PartialEq, Eq)]
pub enum Field {
    /// Send this line; in place of the default one, if there is one of this name.
    Set {
        /// The name, a token.
        name: Box<str>,
        /// The value, without blanks around it; perhaps empty.
        value: Box<[u8]>,
    },
    /// Send this line as it was typed, down to the blanks around its value. The same as `Set` for
    /// whoever reads it.
    AsTyped {
        /// The name.
        name: Box<str>,
        /// What stands behind the colon.
        value: Box<[u8]>,
    },
    /// Do not send the default line of this name.
    Remove {
        /// The name.
        name: Box<str>,
    },
}

impl Field {
    /// A line to send, checked.
    pub fn new(name: &str, value: &[u8]) -> Result<Self, FieldError> {
        check_name(name)?;
        let value = value.trim_ascii();
        if let Some(&bad) =
            value.iter().find(|&&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
        {
            return Err(FieldError::Value(bad));
        }
        Ok(Self::Set { name: name.into(), value: value.into() })
    }

    /// Bytes of name and value.
    pub fn weight(&self) -> usize {
        match self {
            Self::Set { name, value } | Self::AsTyped { name, value } => name.len() + value.len(),
            Self::Remove { name } => name.len(),
        }
    }

    /// Reads what stands after `-H`: `Name: value` sends it, `Name;` sends it empty, `Name:`
    /// removes the default. A line whose value stands otherwise than behind one blank is kept
    /// [`AsTyped`](Self::AsTyped).
    ///
    /// ```
    /// use gannet::fetch::Field;
    ///
    /// assert_eq!(Field::parse(b"X-One: 1")?, Field::new("X-One", b"1")?);
    /// assert_eq!(Field::parse(b"X-Empty;")?, Field::new("X-Empty", b"")?);
    /// assert!(matches!(Field::parse(b"Accept:")?, Field::Remove { .. }));
    /// # Ok::<(), gannet::fetch::FieldError>(())
    /// ```
    pub fn parse(line: &[u8]) -> Result<Self, FieldError> {
        let line = trim_line_end(line);
        let text = |name: &[u8]| {
            core::str::from_utf8(name).map(String::from).map_err(|_| FieldError::Name)
        };
        if let Some(colon) = line.iter().position(|&byte| byte == b':') {
            let name = text(&line[..colon])?;
            if line[colon + 1..].trim_ascii().is_empty() {
                check_name(&name)?;
                return Ok(Self::Remove { name: name.into() });
            }
            let typed = &line[colon + 1..];
            let field = Self::new(&name, typed)?;
            let usual = typed.strip_prefix(b" ").unwrap_or_default() == typed.trim_ascii();
            // What frames a request is written by whoever sends it.
            return Ok(if usual || FRAMING.iter().any(|ours| field.is(ours)) {
                field
            } else {
                Self::AsTyped { name: name.into(), value: typed.into() }
            });
        }
        match line.iter().position(|&byte| byte == b';') {
            Some(semicolon) if line[semicolon + 1..].is_empty() => {
                Self::new(&text(&line[..semicolon])?, b"")
            }
            _ => Err(FieldError::NoColon),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Self::Set { name, .. } | Self::AsTyped { name, .. } | Self::Remove { name } => name,
        }
    }

    /// The value without blanks around it, if the line is to be sent.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Set { value, .. } | Self::AsTyped { value, .. } => Some(value.trim_ascii()),
            Self::Remove { .. } => None,
        }
    }

    /// Whether it is about the field of this name.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// Whether its value is nobody's business: it is never shown, and never leaves the origin.
    pub fn is_secret(&self) -> bool {
        is_secret(self.name())
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { name, .. } | Self::AsTyped { name, .. } if is_secret(name) => {
                write!(f, "{name}: ***")
            }
            Self::Set { name, value } => write!(f, "{name}: {}", value.escape_ascii()),
            Self::AsTyped { name, value } => write!(f, "{name}:{}", value.escape_ascii()),
            Self::Remove { name } => write!(f, "no {name}"),
        }
    }
}

/// Fields that the encoder writes in its own way.
const FRAMING: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "expect", "range", "if-range"];

/// Whether the values of this field are secrets: credentials and sessions.
pub fn is_secret(name: &str) -> bool {
    ["authorization", "cookie", "proxy-authorization", "set-cookie", "cookie2"]
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Why a field line can't be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FieldError {
    /// Neither `Name: value` nor `Name;`.
    NoColon,
    /// The name is not a token (RFC 9110 section 5.6.2).
    Name,
    /// The value has this control character.
    Value(u8),
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoColon => {
                f.write_str("a header is written \"Name: value\" (or \"Name;\" to send it empty)")
            }
            Self::Name => {
                f.write_str("the header's name is empty or has a character that no name has")
            }
            Self::Value(byte) => {
                write!(f, "the header's value has the control character {byte:#04x}")
            }
        }
    }
}

impl core::error::Error for FieldError {}

pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn check_name(name: &str) -> Result<(), FieldError> {
    if is_token(name) { Ok(()) } else { Err(FieldError::Name) }
}

fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Field {
        Field::Set { name: name.into(), value: value.as_bytes().into() }
    }

    fn typed(name: &str, value: &str) -> Field {
        Field::AsTyped { name: name.into(), value: value.as_bytes().into() }
    }

    fn remove(name: &str) -> Field {
        Field::Remove { name: name.into() }
    }

    #[test]
    fn the_three_forms() {
        for (line, expected) in [
            ("A: b", Ok(set("A", "b"))),
            ("A:b", Ok(typed("A", "b"))),
            ("A: \t b c \t", Ok(typed("A", " \t b c \t"))),
            ("A:  b", Ok(typed("A", "  b"))),
            ("A: b ", Ok(typed("A", " b "))),
            ("HOST:a ", Ok(set("HOST", "a"))),
            ("range:bytes=0-", Ok(set("range", "bytes=0-"))),
            ("A: b\r\n", Ok(set("A", "b"))),
            ("A: b\n", Ok(set("A", "b"))),
            ("A: b:c;d", Ok(set("A", "b:c;d"))),
            ("A: \u{e4}", Ok(set("A", "\u{e4}"))),
            ("A;", Ok(set("A", ""))),
            ("A;  ", Err(FieldError::NoColon)),
            ("A:", Ok(remove("A"))),
            ("A:   ", Ok(remove("A"))),
            ("A; b", Err(FieldError::NoColon)),
            ("A", Err(FieldError::NoColon)),
            ("", Err(FieldError::NoColon)),
            (": b", Err(FieldError::Name)),
            (":", Err(FieldError::Name)),
            (";", Err(FieldError::Name)),
            ("A : b", Err(FieldError::Name)),
            (" A: b", Err(FieldError::Name)),
            ("\u{e4}: b", Err(FieldError::Name)),
            ("A: b\0c", Err(FieldError::Value(0))),
            ("A: b\rc", Err(FieldError::Value(b'\r'))),
            ("A: b\nC: d", Err(FieldError::Value(b'\n'))),
            ("A: b\u{7f}", Err(FieldError::Value(0x7f))),
            ("A\r\nB: c", Err(FieldError::Name)),
        ] {
            assert_eq!(Field::parse(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        for name in ["Authorization", "cookie", "Proxy-Authorization", "SET-COOKIE"] {
            let line = format!("{name}:hunter2");
            for field in [Field::new(name, b"hunter2"), Field::parse(line.as_bytes())] {
                let field = field.unwrap();
                assert!(!format!("{field:?}").contains("hunter2"), "{field:?}");
                assert_eq!((field.name(), field.value()), (name, Some(b"hunter2".as_slice())));
            }
        }
    }
}
