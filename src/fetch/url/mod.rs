//! What one address means: scheme, origin and request target of a typed or listed URL.
//!
//! Owns curl's guesses (no scheme, how many slashes, userinfo, zones) on top of the URL standard
//! (<https://url.spec.whatwg.org>), which the `url` crate implements; the ordinary line of a list
//! goes through [`fast`](super::url_fast), which gives the same answer without the general
//! machinery. Never looks a name up, and never shows a secret: userinfo is kept apart from the
//! text.
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the fields of a `Url` are places in its text, in order and between characters, set wherever the text is; all others were found in the text they cut"
)]

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

use super::url_fast;

/// The longest URL that is looked at, in bytes.
pub const MAX_URL: usize = 1 << 20;
/// The longest zone of an IPv6 address (`IFNAMSIZ` is 16 on every system we know; some allow more).
const MAX_ZONE: usize = 64;

/// The two schemes that are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    /// `http`, port 80.
    Http,
    /// `https`, port 443.
    Https,
}

impl Scheme {
    /// The name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port when none is named.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The scheme of this name, without regard to case.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else if name.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else {
            None
        }
    }

    pub(super) const fn of_engine(self) -> crate::engine::Scheme {
        match self {
            Self::Http => crate::engine::Scheme::Http,
            Self::Https => crate::engine::Scheme::Https,
        }
    }

    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }
}

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

/// Name and password that stood in a URL, percent-decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Userinfo {
    /// The name, perhaps empty.
    pub user: Box<[u8]>,
    /// The password, if a colon was there.
    pub password: Option<Box<[u8]>>,
}

impl Userinfo {
    fn has_nul(&self) -> bool {
        let password = self.password.as_deref().unwrap_or_default();
        self.user.contains(&0) || password.contains(&0)
    }
}

impl fmt::Debug for Userinfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Userinfo(***)")
    }
}

/// An `http` or `https` URL, its parts found, its userinfo kept apart.
///
/// ```
/// use gannet::fetch::{Url, UrlRules};
///
/// let url = Url::parse("example.org:8080/a/../b?q=ä#top", &UrlRules::default())?;
/// assert_eq!(url.as_str(), "https://example.org:8080/b?q=%C3%A4#top");
/// assert_eq!((url.host(), url.port(), url.target()), ("example.org", 8080, "/b?q=%C3%A4"));
/// # Ok::<(), gannet::fetch::UrlError>(())
/// ```
#[derive(PartialEq, Eq)]
pub struct Url {
    /// As the standard writes it, but without userinfo, and with the zone.
    pub(super) text: String,
    pub(super) scheme: Scheme,
    /// The authority begins here: the host, with its brackets.
    pub(super) authority: u32,
    /// The host ends here, brackets and zone included.
    pub(super) host_end: u32,
    pub(super) port: u16,
    /// The path begins here.
    pub(super) path: u32,
    /// The request target ends here; a fragment follows, or nothing.
    pub(super) target_end: u32,
    userinfo: Option<Box<Userinfo>>,
    zone: Option<Box<str>>,
}

impl Url {
    /// Reads a URL as it is typed or stands in a list.
    pub fn parse(text: &str, rules: &UrlRules) -> Result<Self, UrlError> {
        let mut url = Self::blank();
        url.set(text, rules)?;
        Ok(url)
    }

    /// A URL without content, to be filled by [`Url::set`], which then reuses its memory. What it
    /// says before that is `http://localhost/`.
    pub fn blank() -> Self {
        let mut url = Self {
            text: String::new(),
            scheme: Scheme::Http,
            authority: 7,
            host_end: 16,
            port: 80,
            path: 16,
            target_end: 17,
            userinfo: None,
            zone: None,
        };
        url.text.push_str("http://localhost/");
        url
    }

    /// Reads another URL into this one; after an error this one is as it was.
    pub fn set(&mut self, text: &str, rules: &UrlRules) -> Result<(), UrlError> {
        if !rules.path_as_is && url_fast::parse_again(text, self) {
            self.userinfo = None;
            return Ok(());
        }
        let (scheme, rest) = split_scheme(text)?;
        let known = scheme.or(rules.default_scheme);
        let guess = known.unwrap_or_else(|| guess_scheme(rest));
        if !rules.path_as_is && url_fast::parse(guess, rest, self) {
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

    fn by_the_standard(scheme: Scheme, rest: &str, as_is: bool) -> Result<Self, UrlError> {
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
    pub(super) fn from_standard(
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

    /// The whole URL in the standard's form, without userinfo.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The whole URL without its fragment, as a `Referer` may show it.
    pub fn without_fragment(&self) -> &str {
        &self.text[..self.target_end as usize]
    }

    /// The fragment, without `#`.
    pub fn fragment(&self) -> Option<&str> {
        self.text.get(self.target_end as usize + 1..)
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name in its ASCII form, or an address, without brackets and zone.
    pub fn host(&self) -> &str {
        let host = &self.text[self.authority as usize..self.host_end as usize];
        match host.strip_prefix('[') {
            None => host,
            Some(inner) => {
                let inner = &inner[..inner.len() - 1];
                inner.split_once('%').map_or(inner, |(address, _)| address)
            }
        }
    }

    /// The zone of an IPv6 address (`eth0` of `[fe80::1%25eth0]`).
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Scheme and authority as text: the same for all URLs of an origin, and for no other.
    pub(super) fn origin(&self) -> &[u8] {
        &self.text.as_bytes()[..self.path as usize]
    }

    /// The host with its zone, without brackets: what a resolver needs to know.
    pub fn host_and_zone(&self) -> Cow<'_, str> {
        match &self.zone {
            None => Cow::Borrowed(self.host()),
            Some(zone) => Cow::Owned(format!("{}%{zone}", self.host())),
        }
    }

    /// The host as an address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        let host = &self.text[self.authority as usize..self.host_end as usize];
        if host.starts_with('[') {
            return self.host().parse::<Ipv6Addr>().ok().map(IpAddr::V6);
        }
        // No name ends in a digit-only label once the standard's parser is through.
        let last = host.as_bytes().last()?;
        last.is_ascii_digit().then(|| host.parse::<Ipv4Addr>().ok().map(IpAddr::V4))?
    }

    /// The port, named or not.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What a `Host` field says: the host in brackets where it needs them, the port unless it is
    /// the scheme's own, no zone.
    pub fn authority(&self) -> Cow<'_, str> {
        let text = &self.text[self.authority as usize..self.path as usize];
        if self.zone.is_none() {
            return Cow::Borrowed(text);
        }
        let port = &self.text[self.host_end as usize..self.path as usize];
        Cow::Owned(format!("[{}]{port}", self.host()))
    }

    /// The request target in origin form: path and query.
    pub fn target(&self) -> &str {
        &self.text[self.path as usize..self.target_end as usize]
    }

    /// The path, in its encoded form.
    pub fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// The query, without `?`.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// Name and password that stood in it.
    pub fn userinfo(&self) -> Option<&Userinfo> {
        self.userinfo.as_deref()
    }

    /// Puts other ones in their place, or none.
    pub fn set_userinfo(&mut self, userinfo: Option<Userinfo>) {
        self.userinfo = userinfo.map(Box::new);
    }

    /// Whether both have scheme, host and port in common (RFC 6454).
    pub fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.zone == other.zone
            && self.host() == other.host()
    }

    /// Whether it points to this machine: `localhost`, names under it (RFC 6761), 127.0.0.0/8, ::1.
    pub fn is_loopback(&self) -> bool {
        match self.address() {
            Some(IpAddr::V4(address)) => address.is_loopback(),
            Some(IpAddr::V6(address)) => address.is_loopback(),
            None => is_localhost(self.host()),
        }
    }

    /// Appends to the query, with `&` where one is there (`-G`, `--url-query`). What can't stand in
    /// a query is encoded, what is encoded already stays.
    ///
    /// ```
    /// # use gannet::fetch::Url;
    /// let mut url: Url = "http://h/x?a=1#top".parse()?;
    /// url.append_query("b=2 3");
    /// assert_eq!(url.as_str(), "http://h/x?a=1&b=2%203#top");
    /// # Ok::<(), gannet::fetch::UrlError>(())
    /// ```
    pub fn append_query(&mut self, query: &str) {
        if query.is_empty() {
            return;
        }
        let fragment = self.text.split_off(self.target_end as usize);
        match self.query() {
            None => self.text.push('?'),
            Some("") => {}
            Some(_) => self.text.push('&'),
        }
        for byte in query.bytes() {
            match byte {
                b'!' | b'$'..=b'&' | b'('..=b';' | b'=' | b'?'..=b'~' => {
                    self.text.push(byte as char);
                }
                _ => push_encoded(&mut self.text, byte),
            }
        }
        self.target_end = self.text.len() as u32;
        self.text.push_str(&fragment);
    }

    /// The form that the `url` crate resolves references against: without a zone, which it does
    /// not know.
    pub(super) fn to_standard(&self) -> Result<url::Url, UrlError> {
        let parsed = match &self.zone {
            None => url::Url::parse(&self.text),
            Some(_) => {
                let tail = &self.text[self.host_end as usize..];
                url::Url::parse(&format!("{}[{}]{tail}", self.scheme.prefix(), self.host()))
            }
        };
        parsed.map_err(UrlError::from_standard)
    }
}

impl Clone for Url {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            userinfo: self.userinfo.clone(),
            zone: self.zone.clone(),
            ..*self
        }
    }

    /// Reuses the memory that is there: the steady state of a batch allocates nothing.
    fn clone_from(&mut self, other: &Self) {
        self.text.clone_from(&other.text);
        self.userinfo.clone_from(&other.userinfo);
        self.zone.clone_from(&other.zone);
        self.scheme = other.scheme;
        self.authority = other.authority;
        self.host_end = other.host_end;
        self.port = other.port;
        self.path = other.path;
        self.target_end = other.target_end;
    }
}

impl fmt::Display for Url {
    /// Without the secrets: userinfo is shown as `***`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.userinfo {
            None => f.write_str(&self.text),
            Some(_) => {
                write!(f, "{}***@{}", self.scheme.prefix(), &self.text[self.authority as usize..])
            }
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl core::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, &UrlRules::default())
    }
}

/// Why text is not a URL that can be fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UrlError {
    /// There is nothing.
    Empty,
    /// A scheme other than `http` and `https`.
    Scheme(Box<str>),
    /// No host where one belongs.
    EmptyHost,
    /// The host is neither a name nor an address: what the standard says of it.
    Host(&'static str),
    /// A port that is no number from 1 to 65535.
    Port,
    /// A control character, at this byte.
    Control(usize),
    /// A blank, at this byte.
    Blank(usize),
    /// More than three slashes after the scheme.
    Slashes,
    /// Longer than [`MAX_URL`].
    TooLong,
    /// Not a URL for another reason.
    NotUrl(&'static str),
}

impl UrlError {
    /// The stable name in records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scheme(_) => "unknown_scheme",
            Self::EmptyHost => "url_without_host",
            Self::Host(_) => "url_bad_host",
            Self::Port => "url_bad_port",
            Self::Control(_) => "url_control_character",
            Self::Blank(_) => "url_blank",
            Self::TooLong => "url_too_long",
            Self::Empty | Self::Slashes | Self::NotUrl(_) => "url_malformed",
        }
    }

    /// What to do about it, in one sentence.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Scheme(_) => "only http:// and https:// are spoken",
            Self::Blank(_) => "write a blank in a URL as %20, one URL a line",
            Self::Control(_) => "remove the control character, or write it as %XX",
            Self::Port => "a port is a number from 1 to 65535",
            Self::TooLong => "send the data as a body (-d) instead of in the URL",
            Self::Empty | Self::Slashes | Self::NotUrl(_) | Self::EmptyHost | Self::Host(_) => {
                "a URL looks like https://example.org/path"
            }
        }
    }

    pub(super) fn from_standard(error: url::ParseError) -> Self {
        use url::ParseError as E;
        match error {
            E::EmptyHost => Self::EmptyHost,
            E::InvalidPort => Self::Port,
            E::IdnaError => Self::Host("it is not a valid international domain name"),
            E::InvalidIpv4Address => Self::Host("it looks like an IPv4 address and is none"),
            E::InvalidIpv6Address => Self::Host("it looks like an IPv6 address and is none"),
            E::InvalidDomainCharacter => {
                Self::Host("it contains a character that no host name has")
            }
            E::RelativeUrlWithoutBase | E::RelativeUrlWithCannotBeABaseBase => {
                Self::NotUrl("it names no host")
            }
            E::SetHostOnCannotBeABaseUrl => Self::NotUrl("it can't have a host"),
            E::Overflow => Self::TooLong,
            _ => Self::NotUrl("the URL standard rejects it"),
        }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the URL is empty"),
            Self::Scheme(scheme) => {
                f.write_str("the scheme \"")?;
                for character in scheme.chars().take(32) {
                    write!(f, "{}", character.escape_debug())?;
                }
                f.write_str("\" is not spoken")
            }
            Self::EmptyHost => f.write_str("the URL names no host"),
            Self::Host(why) => write!(f, "the URL's host is not valid: {why}"),
            Self::Port => f.write_str("the URL's port is not a number from 1 to 65535"),
            Self::Control(at) => write!(f, "the URL has a control character at byte {}", at + 1),
            Self::Blank(at) => write!(f, "the URL has a blank at byte {}", at + 1),
            Self::Slashes => f.write_str("the URL has more than three slashes after its scheme"),
            Self::TooLong => write!(f, "the URL is longer than {MAX_URL} bytes"),
            Self::NotUrl(why) => write!(f, "this is not a URL: {why}"),
        }
    }
}

impl core::error::Error for UrlError {}

/// Hides name and password in text that may or may not be a URL, for messages about it.
pub fn mask(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'@', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let begin = text.find("://").map_or(0, |at| at + 3);
    // A backslash may belong to a password (`--path-as-is`).
    let end = text[begin..].find(['/', '?', '#']).map_or(text.len(), |at| begin + at);
    match text[begin..end].rfind('@') {
        None => Cow::Borrowed(text),
        Some(at) => Cow::Owned(format!("{}***{}", &text[..begin], &text[begin + at..])),
    }
}

/// Separates the scheme, if one is there, and the slashes after it.
///
/// As curl does it: a scheme counts only when a slash follows its colon (else `localhost:8080`
/// would be of the scheme `localhost`), and one to three slashes are taken.
fn split_scheme(text: &str) -> Result<(Option<Scheme>, &str), UrlError> {
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

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let Some(at) = host.len().checked_sub(9) else { return false };
    host[at..].eq_ignore_ascii_case(b"localhost") && (at == 0 || host[at - 1] == b'.')
}

fn check_characters(text: &str) -> Result<(), UrlError> {
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

/// Undoes percent-encoding; what is not `%XX` stays.
pub(super) fn percent_decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((&first, rest)) = bytes.split_first() {
        bytes = rest;
        if first == b'%'
            && let [high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            out.push(high * 16 + low);
            bytes = tail;
        } else {
            out.push(first);
        }
    }
    out
}

pub(super) fn push_encoded(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(HEX[usize::from(byte >> 4)] as char);
    out.push(HEX[usize::from(byte & 15)] as char);
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
