//! The `.netrc` file, with curl's grammar: who asks at which host.
//!
//! Owns the text's meaning. Never opens the file, never shows a password.
#![expect(
    clippy::string_slice,
    reason = "what is left is the end of the text, as long as it says it is; the other places were found in it"
)]

use core::fmt;

use super::Auth;

/// The longest file that is read, in bytes.
pub const MAX_NETRC: usize = 128 << 10;

/// Names and passwords by host.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    /// `None`: `default`, which fits every host.
    machine: Option<Box<str>>,
    login: Option<Box<str>>,
    password: Option<Box<str>>,
}

impl Netrc {
    /// Reads a file's text: `machine`, `default`, `login`, `password`, `account`, `macdef`,
    /// comments, quoted values; the words in any case.
    ///
    /// ```
    /// use gannet::fetch::{Auth, Netrc};
    ///
    /// let netrc = Netrc::parse("machine example.org login me password \"a b\"")?;
    /// assert_eq!(netrc.lookup("Example.org", None), Some(Auth::basic(b"me", b"a b")));
    /// # Ok::<(), gannet::fetch::NetrcError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, NetrcError> {
        if text.len() > MAX_NETRC {
            return Err(NetrcError::TooLong);
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut tokens = Tokens { rest: text, line: 1, at_start: true };
        while let Some(token) = tokens.next()? {
            let line = tokens.line;
            let mut value = || tokens.next()?.ok_or(NetrcError::NoValue(line));
            match &*token.to_ascii_lowercase() {
                "machine" => {
                    entries.push(Entry { machine: Some(value()?), login: None, password: None });
                }
                "default" => entries.push(Entry { machine: None, login: None, password: None }),
                "login" => {
                    let login = value()?;
                    // A second login under one machine is a second account there.
                    if let Some(last) = entries.last_mut() {
                        if last.login.is_some() {
                            let machine = last.machine.clone();
                            entries.push(Entry { machine, login: Some(login), password: None });
                        } else {
                            last.login = Some(login);
                        }
                    }
                }
                "password" => {
                    let password = value()?;
                    if let Some(last) = entries.last_mut() {
                        last.password = Some(password);
                    }
                }
                "account" => {
                    value()?;
                }
                "macdef" => tokens.skip_macro(),
                // What is not known is passed over, as curl does.
                _ => {}
            }
        }
        Ok(Self { entries })
    }

    /// Who asks at this host, optionally under this name: the first entry that fits and says
    /// something.
    pub fn lookup(&self, host: &str, user: Option<&[u8]>) -> Option<Auth> {
        self.entries
            .iter()
            .filter(|entry| {
                entry.machine.as_deref().is_none_or(|machine| machine.eq_ignore_ascii_case(host))
            })
            .find_map(|entry| {
                let login = match (user, &entry.login) {
                    (None, Some(login)) => login.as_bytes(),
                    // Who asks for a password wants no entry without one.
                    (Some(user), Some(login))
                        if login.as_bytes() == user && entry.password.is_some() =>
                    {
                        user
                    }
                    // An entry without a name holds the password of whoever asks.
                    (user, None) if entry.password.is_some() => user.unwrap_or(b""),
                    _ => return None,
                };
                let password = entry.password.as_deref().unwrap_or_default();
                Some(Auth::basic(login, password.as_bytes()))
            })
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netrc({} entries)", self.entries.len())
    }
}

/// Why a netrc file can't be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NetrcError {
    /// A quoted value has no end; it begins in this line.
    Quote(usize),
    /// A word such as `machine` has no value; it stands in this line.
    NoValue(usize),
    /// Longer than [`MAX_NETRC`].
    TooLong,
}

impl fmt::Display for NetrcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quote(line) => write!(f, "netrc, line {line}: a quotation mark is not closed"),
            Self::NoValue(line) => write!(f, "netrc, line {line}: a word has no value"),
            Self::TooLong => write!(f, "netrc: longer than {MAX_NETRC} bytes"),
        }
    }
}

impl core::error::Error for NetrcError {}

struct Tokens<'a> {
    rest: &'a str,
    line: usize,
    /// No word has come in this line.
    at_start: bool,
}

impl Tokens<'_> {
    fn next(&mut self) -> Result<Option<Box<str>>, NetrcError> {
        loop {
            let trimmed = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let ends = self.rest[..self.rest.len() - trimmed.len()].matches('\n').count();
            self.line += ends;
            self.at_start |= ends > 0;
            self.rest = trimmed;
            // Behind a word it may be a password.
            if !(self.at_start && self.rest.starts_with('#')) {
                break;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        }
        self.at_start = false;
        if self.rest.is_empty() {
            return Ok(None);
        }
        if let Some(inner) = self.rest.strip_prefix('"') {
            return self.quoted(inner.len()).map(Some);
        }
        let end = self.rest.find([' ', '\t', '\r', '\n']).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Some(token.into()))
    }

    /// A value in quotation marks; backslashes escape, and a line's end is part of nothing.
    fn quoted(&mut self, inner: usize) -> Result<Box<str>, NetrcError> {
        let mut token = String::new();
        let mut characters = self.rest[self.rest.len() - inner..].chars();
        loop {
            match characters.next() {
                None | Some('\n') => return Err(NetrcError::Quote(self.line)),
                Some('"') => break,
                Some('\\') => match characters.next() {
                    None => return Err(NetrcError::Quote(self.line)),
                    Some('n') => token.push('\n'),
                    Some('r') => token.push('\r'),
                    Some('t') => token.push('\t'),
                    Some(other) => token.push(other),
                },
                Some(other) => token.push(other),
            }
        }
        let left = characters.as_str().len();
        self.rest = &self.rest[self.rest.len() - left..];
        Ok(token.into())
    }

    /// A macro lasts until an empty line.
    fn skip_macro(&mut self) {
        while let Some(end) = self.rest.find('\n') {
            self.rest = &self.rest[end + 1..];
            self.line += 1;
            if self.rest.starts_with('\n') || self.rest.starts_with("\r\n") {
                return;
            }
        }
        self.rest = "";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file, the host, the name asked for, who comes out.
    #[test]
    fn lookups() {
        let several = "machine a login u password p\nmachine b\n\tlogin v\n\tpassword q\ndefault login d password r\n";
        for (text, host, user, expected) in [
            (several, "a", None, Some("u:p")),
            (several, "A", None, Some("u:p")),
            (several, "b", None, Some("v:q")),
            (several, "c", None, Some("d:r")),
            (several, "a", Some("u"), Some("u:p")),
            (several, "a", Some("d"), Some("d:r")),
            (several, "a", Some("x"), None),
            ("", "a", None, None),
            ("machine a", "a", None, None),
            ("machine a login u", "a", None, Some("u:")),
            ("machine a password p", "a", None, Some(":p")),
            ("# one\nmachine a login u password #p\n # two\n", "a", None, Some("u:#p")),
            ("machine a password p", "a", Some("u"), Some("u:p")),
            ("machine a password p login u", "a", None, Some("u:p")),
            ("machine a login u password p", "b", None, None),
            ("machine a login u password p", "a.b", None, None),
            // Several accounts at one host.
            (
                "machine a login u password p machine a login v password q",
                "a",
                Some("v"),
                Some("v:q"),
            ),
            ("machine a login u password p login v password q", "a", Some("v"), Some("v:q")),
            ("machine a login u password p login v password q", "a", None, Some("u:p")),
            // Comments, quotes, macros, other words.
            (
                "# machine a login x\nmachine a login u password p # that's it",
                "a",
                None,
                Some("u:p"),
            ),
            ("machine a login u password p#q", "a", None, Some("u:p#q")),
            (
                "machine a login \"u v\" password \"p \\\"q\\\" \\\\ \\n\"",
                "a",
                None,
                Some("u v:p \"q\" \\ \n"),
            ),
            ("machine a login \"\" password p", "a", None, Some(":p")),
            ("MACHINE a Login u PASSWORD P", "a", None, Some("u:P")),
            (
                "macdef init\nmachine a login x password y\n\nmachine a login u password p",
                "a",
                None,
                Some("u:p"),
            ),
            (
                "macdef init\r\nmachine a login x\r\n\r\nmachine a login u password p",
                "a",
                None,
                Some("u:p"),
            ),
            ("macdef init\nmachine a login x password y", "a", None, None),
            ("machine a account acc login u password p", "a", None, Some("u:p")),
            ("protocol https machine a login u password p", "a", None, Some("u:p")),
            ("machine a\r\nlogin u\r\npassword p\r\n", "a", None, Some("u:p")),
            // The words are values where a value belongs.
            (
                "machine login login password password machine",
                "login",
                None,
                Some("password:machine"),
            ),
            ("login early machine a login u password p", "a", None, Some("u:p")),
            ("machine a login \u{fc} password \u{e4}", "a", None, Some("\u{fc}:\u{e4}")),
        ] {
            let netrc = Netrc::parse(text).expect(text);
            let found = netrc.lookup(host, user.map(str::as_bytes));
            assert_eq!(
                found,
                expected.map(|pair| Auth::from_pair(pair.as_bytes())),
                "{text:?} {host} {user:?}"
            );
        }
    }

    #[test]
    fn what_is_broken_is_said() {
        for (text, expected) in [
            ("machine a login \"u", NetrcError::Quote(1)),
            ("machine a\nlogin \"u\n\" password p", NetrcError::Quote(2)),
            ("machine a\n\nlogin \"u\\", NetrcError::Quote(3)),
            ("machine", NetrcError::NoValue(1)),
            ("machine a\nlogin", NetrcError::NoValue(2)),
            ("machine a login u password", NetrcError::NoValue(1)),
        ] {
            assert_eq!(Netrc::parse(text), Err(expected), "{text:?}");
        }
        assert_eq!(Netrc::parse(&" ".repeat(MAX_NETRC + 1)), Err(NetrcError::TooLong));
        assert!(Netrc::parse(&" ".repeat(MAX_NETRC)).unwrap().is_empty());
    }
}
