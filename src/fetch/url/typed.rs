//! From a URL as it is typed, or stands in a list, to its parts.
//!
//! Owns curl's guesses (no scheme, how many slashes, userinfo, zones) on top of the URL standard
//! (<https://url.spec.whatwg.org>), which the `url` crate implements. The ordinary line goes through
//! [`fast`], which gives the same answer without the general machinery.

#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what is cut was found in the text it cuts, or is a place that a `Url` keeps"
)]

use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

use super::{
    MAX_URL, Scheme, Url, UrlError, Userinfo, fast, is_localhost, percent_decode, push_encoded,
};

/// The longest zone of an IPv6 address (`IFNAMSIZ` is 16 on every system we know; some allow more).
const MAX_ZONE: usize = 64;

/// How typed text becomes a URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UrlRules {
    /// The scheme of a URL that names none (`--proto-default`); `None` guesses: `http` for
    /// loopback names and addresses, else `https`.
    pub default_scheme: Option<Scheme>,
    /// Leaves the path as it was typed, dot segments included (`--path-as-is`).
    pub path_as_is: bool,
    /// Leaves `{` and `}` in paths as they were typed (`--globoff`).
    pub braces: bool,
}

impl Url {
    /// Reads another URL into this one; after an error this one is as it was.
    pub fn set(&mut self, text: &str, rules: &UrlRules) -> Result<(), UrlError> {
        if !rules.path_as_is && fast::parse_again(text, self) {
            self.userinfo = None;
            return Ok(());
        }
        let (scheme, rest) = split_scheme(text)?;
        let known = scheme.or(rules.default_scheme);
        let guess = known.unwrap_or_else(|| guess_scheme(rest));
        if !rules.path_as_is && fast::parse(guess, rest, self) {
            self.userinfo = None;
            self.zone = None;
            return Ok(());
        }
        check_characters(text)?;
        let mut parsed = Self::by_the_standard(guess, rest, rules.path_as_is)?;
        if rules.braces && !rules.path_as_is {
            parsed.with_braces(rest);
        }
        if known.is_none() && guess == Scheme::Https && parsed.is_loopback() {
            // The address was written in a form that only the standard's parser sees through.
            parsed = Self::by_the_standard(Scheme::Http, rest, rules.path_as_is)?;
        }
        *self = parsed;
        Ok(())
    }

    pub(super) fn by_the_standard(
        scheme: Scheme,
        rest: &str,
        as_is: bool,
    ) -> Result<Self, UrlError> {
        let (authority, tail) = split_authority(rest, as_is);
        let authority = without_backslashes(authority)?;
        let (authority, zone) = take_zone(&authority)?;
        let mut whole = String::with_capacity(rest.len() + 9);
        whole.push_str(scheme.prefix());
        whole.push_str(&authority);
        if !as_is {
            whole.push_str(tail);
        }
        let parsed = url::Url::parse(&whole).map_err(UrlError::from_standard)?;
        let mut url = Self::from_standard(parsed, zone)?;
        if as_is {
            url.append_as_typed(tail);
        }
        Ok(url)
    }

    /// Takes over what the `url` crate found.
    pub(in crate::fetch) fn from_standard(
        mut parsed: url::Url,
        zone: Option<Box<str>>,
    ) -> Result<Self, UrlError> {
        let Some(scheme) = Scheme::from_name(parsed.scheme()) else {
            return Err(UrlError::Scheme(parsed.scheme().into()));
        };
        if parsed.port() == Some(0) {
            return Err(UrlError::Port);
        }
        let userinfo = (!parsed.username().is_empty() || parsed.password().is_some()).then(|| {
            Box::new(Userinfo {
                user: percent_decode(parsed.username()).into(),
                password: parsed.password().map(|password| percent_decode(password).into()),
            })
        });
        if userinfo.as_ref().is_some_and(|userinfo| userinfo.has_nul()) {
            return Err(UrlError::NotUrl("a NUL is no part of a name or password"));
        }
        if userinfo.is_some() {
            // Both can only fail for URLs without a host, which http and https always have.
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
        }
        let port = parsed.port().unwrap_or_else(|| scheme.default_port());
        let host_len = parsed.host_str().map_or(0, str::len);
        if host_len == 0 {
            return Err(UrlError::EmptyHost);
        }
        let authority = scheme.prefix().len();
        let explicit_port = parsed.port().is_some();
        let mut text = String::from(parsed);
        let mut host_end = authority + host_len;
        if let Some(zone) = &zone {
            let at = host_end - 1;
            text.insert_str(at, zone);
            text.insert_str(at, "%25");
            host_end += zone.len() + 3;
        }
        let path = if explicit_port {
            text[host_end..].find('/').map_or(text.len(), |at| host_end + at)
        } else {
            host_end
        };
        let target_end = text[path..].find('#').map_or(text.len(), |at| path + at);
        Ok(Self {
            scheme,
            authority: authority as u32,
            host_end: host_end as u32,
            port,
            path: path as u32,
            target_end: target_end as u32,
            text,
            userinfo,
            zone,
        })
    }

    /// Puts back the braces that were typed into the path, which the standard encodes.
    fn with_braces(&mut self, typed: &str) {
        let lower = typed.to_ascii_lowercase();
        if lower.contains("%7b") || lower.contains("%7d") {
            return;
        }
        let rest = self.text.split_off(self.path as usize + self.path().len());
        let path = self.text.split_off(self.path as usize);
        let before = path.len();
        let path = path.replace("%7B", "{").replace("%7D", "}");
        self.target_end -= (before - path.len()) as u32;
        self.text.push_str(&path);
        self.text.push_str(&rest);
    }

    /// Puts the path, query and fragment in place as they were typed; only what can't stand in a
    /// request line is encoded.
    fn append_as_typed(&mut self, tail: &str) {
        self.text.truncate(self.path as usize);
        if !tail.starts_with('/') {
            self.text.push('/');
        }
        let mut target_end = None;
        for character in tail.chars() {
            if character == '#' && target_end.is_none() {
                target_end = Some(self.text.len());
            }
            if character.is_ascii() {
                self.text.push(character);
            } else {
                let mut buffer = [0; 4];
                for &byte in character.encode_utf8(&mut buffer).as_bytes() {
                    push_encoded(&mut self.text, byte);
                }
            }
        }
        self.target_end = target_end.unwrap_or(self.text.len()) as u32;
    }
}

/// Separates the scheme, if one is there, and the slashes after it.
///
/// As curl does it: a scheme counts only when a slash follows its colon (else `localhost:8080`
/// would be of the scheme `localhost`), and one to three slashes are taken.
pub(super) fn split_scheme(text: &str) -> Result<(Option<Scheme>, &str), UrlError> {
    if text.is_empty() {
        return Err(UrlError::Empty);
    }
    if text.len() > MAX_URL {
        return Err(UrlError::TooLong);
    }
    let bytes = text.as_bytes();
    let length = bytes
        .iter()
        .position(|&byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')))
        .unwrap_or(bytes.len());
    let absolute = bytes[0].is_ascii_alphabetic() && bytes[length..].starts_with(b":/");
    if !absolute {
        return if bytes[0] == b'/' { Err(UrlError::EmptyHost) } else { Ok((None, text)) };
    }
    let Some(scheme) = Scheme::from_name(&text[..length]) else {
        return Err(UrlError::Scheme(text[..length].to_ascii_lowercase().into()));
    };
    let rest = &text[length + 1..];
    let slashes = rest.bytes().take_while(|&byte| byte == b'/').count();
    if slashes > 3 {
        return Err(UrlError::Slashes);
    }
    Ok((Some(scheme), &rest[slashes..]))
}

/// The scheme of a URL without one: loopback names and addresses speak `http`.
fn guess_scheme(rest: &str) -> Scheme {
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let loopback = match authority.strip_prefix('[') {
        Some(inner) => {
            let inner = inner.split([']', '%']).next().unwrap_or(inner);
            inner.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
        }
        None => {
            let host = authority.split_once(':').map_or(authority, |(host, _)| host);
            is_localhost(host)
                || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
    };
    if loopback { Scheme::Http } else { Scheme::Https }
}

pub(super) fn check_characters(text: &str) -> Result<(), UrlError> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b' ' => return Err(UrlError::Blank(at)),
            0..=0x1f | 0x7f => return Err(UrlError::Control(at)),
            _ => {}
        }
    }
    Ok(())
}

/// Where the authority ends. A backslash is a slash to the standard, but not to `--path-as-is`.
fn split_authority(rest: &str, as_is: bool) -> (&str, &str) {
    let end = rest
        .find(|character| matches!(character, '/' | '?' | '#') || (character == '\\' && !as_is))
        .unwrap_or(rest.len());
    rest.split_at(end)
}

/// A backslash that does not end the authority (`--path-as-is`) stands in the userinfo, as for curl. The
/// standard's parser, which has its own mind about that, must not see it, or it would find another host.
fn without_backslashes(authority: &str) -> Result<Cow<'_, str>, UrlError> {
    if !authority.contains('\\') {
        return Ok(Cow::Borrowed(authority));
    }
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let (userinfo, host) = authority.split_at(host);
    if host.contains('\\') {
        return Err(UrlError::Host("it has a backslash"));
    }
    Ok(Cow::Owned(format!("{}{host}", userinfo.replace('\\', "%5C"))))
}

/// Takes the zone out of `[address%25zone]` (RFC 6874) or, as curl does, `[address%zone]`.
fn take_zone(authority: &str) -> Result<(Cow<'_, str>, Option<Box<str>>), UrlError> {
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let bracketed = authority[host..].starts_with('[');
    let Some(percent) = authority[host..].find('%').map(|at| host + at).filter(|_| bracketed)
    else {
        return Ok((Cow::Borrowed(authority), None));
    };
    let Some(close) = authority[percent..].find(']').map(|at| percent + at) else {
        return Err(UrlError::Host("its bracket is not closed"));
    };
    let zone = &authority[percent + 1..close];
    let zone = zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone);
    let valid =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if zone.is_empty() || zone.len() > MAX_ZONE || !zone.bytes().all(valid) {
        return Err(UrlError::Host("the zone of its IPv6 address is not valid"));
    }
    let mut rest = String::with_capacity(authority.len());
    rest.push_str(&authority[..percent]);
    rest.push_str(&authority[close..]);
    Ok((Cow::Owned(rest), Some(zone.into())))
}
