//! Credentials: Basic (RFC 7617) and Bearer (RFC 6750), and where they come from.
//!
//! Owns the order of precedence (an explicit `Authorization` field, then the options, then the
//! URL, then netrc) and the encoding. Never prints a secret.
#![expect(clippy::indexing_slicing, reason = "the colon's place is one in the text")]

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Userinfo;

/// What proves who asks.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// Name and password (`-u`).
    Basic {
        /// The name.
        user: Box<[u8]>,
        /// The password.
        password: Box<[u8]>,
    },
    /// A token (`--oauth2-bearer`).
    Bearer(Box<str>),
}

impl Auth {
    /// Name and password.
    pub fn basic(user: &[u8], password: &[u8]) -> Self {
        Self::Basic { user: user.into(), password: password.into() }
    }

    /// Reads `name:password`, as `-u` takes it; without a colon the password is empty. Whether to
    /// ask for it instead is the caller's business.
    pub fn from_pair(pair: &[u8]) -> Self {
        match pair.iter().position(|&byte| byte == b':') {
            Some(colon) => Self::basic(&pair[..colon], &pair[colon + 1..]),
            None => Self::basic(pair, b""),
        }
    }

    /// A token, which must be of visible characters.
    pub fn bearer(token: &str) -> Option<Self> {
        let visible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        visible.then(|| Self::Bearer(token.into()))
    }

    /// The value of the `Authorization` field.
    pub fn value(&self) -> String {
        match self {
            Self::Basic { user, password } => {
                let pair = [user, b":".as_slice(), password].concat();
                format!("Basic {}", STANDARD.encode(pair))
            }
            Self::Bearer(token) => format!("Bearer {token}"),
        }
    }
}

impl From<&Userinfo> for Auth {
    fn from(userinfo: &Userinfo) -> Self {
        Self::basic(&userinfo.user, userinfo.password.as_deref().unwrap_or_default())
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic ***",
            Self::Bearer(_) => "Bearer ***",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (auth, value) in [
            // RFC 7617 section 2 and 2.1.
            (Auth::from_pair(b"Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            (Auth::from_pair("test:123£".as_bytes()), "Basic dGVzdDoxMjPCow=="),
            (Auth::from_pair(b"user:a:b"), "Basic dXNlcjphOmI="),
            (Auth::from_pair(b"user"), "Basic dXNlcjo="),
            (Auth::from_pair(b":secret"), "Basic OnNlY3JldA=="),
            (Auth::from_pair(b":"), "Basic Og=="),
            (Auth::from_pair(b""), "Basic Og=="),
            (Auth::bearer("mF_9.B5f-4.1JqM").unwrap(), "Bearer mF_9.B5f-4.1JqM"),
        ] {
            assert_eq!(auth.value(), value);
            assert!(!format!("{auth:?}").contains(&value[7..]));
        }
    }

    #[test]
    fn a_token_smuggles_nothing() {
        for token in ["", "a b", "a\r\nX: y", "a\0", "\u{e4}"] {
            assert_eq!(Auth::bearer(token), None, "{token:?}");
        }
    }
}
