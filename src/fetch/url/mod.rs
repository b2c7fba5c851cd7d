//! What one address means: scheme, origin and request target of a URL.
//!
//! Owns the parts of a URL and what may be shown of it. Never looks a name up, and never shows a
//! secret: userinfo is kept apart from the text. How typed text becomes a URL is in `typed`, the
//! ordinary line of a list in `fast`, why text is none in `error`.
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the fields of a `Url` are places in its text, in order and between characters, set wherever the text is; all others were found in the text they cut"
)]

mod error;
mod fast;
#[cfg(test)]
mod tests;
mod typed;

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

pub use error::UrlError;
pub use typed::UrlRules;

/// The longest URL that is looked at, in bytes.
pub const MAX_URL: usize = 1 << 20;

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

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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
        if host.as_bytes().first() != Some(&b'[') {
            return host;
        }
        let inner = &host[1..host.len() - 1];
        inner.split_once('%').map_or(inner, |(address, _)| address)
    }

    /// The zone of an IPv6 address (`eth0` of `[fe80::1%25eth0]`).
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Scheme and authority as text: the same for all URLs of an origin, and for no other.
    #[inline]
    pub(crate) fn origin(&self) -> &[u8] {
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
    #[inline]
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

    /// Where a link in a document of this URL leads, by the URL standard. On the same origin the
    /// userinfo goes with it; a fragment of this URL does not.
    ///
    /// ```
    /// # use gannet::fetch::{Url, UrlError};
    /// let page: Url = "http://h/docs/a.html?q#top".parse()?;
    /// assert_eq!(page.join("b.html#x")?.as_str(), "http://h/docs/b.html#x");
    /// assert_eq!(page.join("../img/c.png")?.as_str(), "http://h/img/c.png");
    /// assert_eq!(page.join("//other/")?.as_str(), "http://other/");
    /// assert_eq!(page.join("mailto:me@h"), Err(UrlError::Scheme("mailto".into())));
    /// # Ok::<(), UrlError>(())
    /// ```
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        if reference.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        let base = self.to_standard()?;
        let joined = base.join(&two_slashes(reference)).map_err(UrlError::from_standard)?;
        if Scheme::from_name(joined.scheme()).is_none() {
            return Err(UrlError::Scheme(joined.scheme().into()));
        }
        let zone = self.zone().filter(|_| joined.host_str() == base.host_str()).map(Into::into);
        let mut url = Self::from_standard(joined, zone)?;
        if url.userinfo().is_none() && url.same_origin(self) {
            url.userinfo.clone_from(&self.userinfo);
        }
        Ok(url)
    }

    /// A fragment for one that has none.
    pub(super) fn set_fragment(&mut self, fragment: Option<&str>) {
        if let Some(fragment) = fragment {
            self.text.push('#');
            self.text.push_str(fragment);
        }
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

/// Three slashes and more before a host mean what two do, in http and https. The standard says so (its "special
/// authority ignore slashes state"), the `url` crate finds no host behind them.
fn two_slashes(reference: &str) -> Cow<'_, str> {
    let rest = reference.trim_start_matches(['/', '\\']);
    if reference.len() - rest.len() > 2 {
        Cow::Owned(["//", rest].concat())
    } else {
        Cow::Borrowed(reference)
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

/// Hides name and password in text that may or may not be a URL, for messages about it.
pub fn mask(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'@', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    // Where neither is one, it may be that a URL stands behind something else.
    let inner = text.find("://").map(|at| at + 3);
    for begin in [Some(behind_scheme(text)), inner].into_iter().flatten() {
        if let Some(at) = userinfo_ends(&text.as_bytes()[begin..]) {
            return Cow::Owned(format!("{}***{}", &text[..begin], &text[begin + at..]));
        }
    }
    Cow::Borrowed(text)
}

/// Where the `@` is behind name and password, in what begins with a URL's authority.
pub(crate) fn userinfo_ends(text: &[u8]) -> Option<usize> {
    let last_at = |text: &[u8]| text.iter().rposition(|&byte| byte == b'@');
    // A backslash may belong to a password (`--path-as-is`).
    let end = text.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let authority = &text[..end.unwrap_or(text.len())];
    let colon = authority.iter().rposition(|&byte| byte == b':');
    let port = colon.map_or(&[][..], |at| &authority[at + 1..]);
    last_at(authority).or_else(|| {
        // No URL, for that is no port: a password with a slash in it.
        let odd = !port.ends_with(b"]") && port.iter().any(|byte| !byte.is_ascii_digit());
        if odd { last_at(text) } else { None }
    })
}

/// Where a URL's authority begins if the text is one: behind a scheme and slashes, however many.
fn behind_scheme(text: &str) -> usize {
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let name = text.bytes().take_while(|&byte| is_scheme(byte)).count();
    let slashes = text[name..]
        .strip_prefix(':')
        .map_or(0, |rest| rest.bytes().take_while(|byte| matches!(byte, b'/' | b'\\')).count());
    if slashes > 0 { name + 1 + slashes } else { 0 }
}

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let Some(at) = host.len().checked_sub(9) else { return false };
    host[at..].eq_ignore_ascii_case(b"localhost") && (at == 0 || host[at - 1] == b'.')
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
