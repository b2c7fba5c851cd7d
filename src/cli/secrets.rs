//! Hides what a server's header fields must not tell a record or the terminal: names and passwords in URLs.
//!
//! Fields that are secrets as a whole are [`is_secret`](crate::fetch::is_secret)'s.
#![expect(
    clippy::indexing_slicing,
    reason = "`authority` and `userinfo_ends` tell places in what they are given"
)]

use std::borrow::Cow;

use crate::fetch::userinfo_ends;

/// A field's value with `***` for the name and password of each URL in it (`Location`, `Link`,
/// `Refresh`, …).
pub fn hide(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'@', value).is_none() {
        return Cow::Borrowed(value);
    }
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>');
    let mut out = Vec::with_capacity(value.len());
    for word in value.split_inclusive(ends) {
        let (mut rest, mut first) = (word, true);
        // Behind the last `@` there is nothing to look for; so a word is read about once.
        let left = word.iter().rev().position(|&byte| byte == b'@').unwrap_or(word.len());
        while rest.len() > left
            && let Some(begin) = authority(rest, first)
        {
            out.extend_from_slice(&rest[..begin]);
            rest = &rest[begin..];
            if let Some(at) = userinfo_ends(rest).filter(|&at| at > 0) {
                out.extend_from_slice(b"***");
                rest = &rest[at..];
            }
            first = false;
        }
        out.extend_from_slice(rest);
    }
    Cow::Owned(out)
}

/// Where the next authority begins, read as generously as anybody reads it: behind a scheme and slashes, behind
/// `http:` also without them, and once a word behind two slashes without a scheme.
fn authority(word: &[u8], first: bool) -> Option<usize> {
    let slashes =
        |from: usize| word[from..].iter().take_while(|&&byte| matches!(byte, b'/' | b'\\')).count();
    (0..word.len()).find_map(|at| {
        if word[at] == b':' {
            let begin = at + 1 + slashes(at + 1);
            let name = word[..at].rsplit(|byte| !byte.is_ascii_alphanumeric()).next()?;
            let http =
                ["http", "https"].iter().any(|one| name.eq_ignore_ascii_case(one.as_bytes()));
            (begin > at + 1 || http).then_some(begin)
        } else {
            (first && slashes(at) > 1).then(|| at + slashes(at))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_of_urls_are_hidden() {
        for (value, want) in [
            ("http://u:p@h/a@b", "http://***@h/a@b"),
            ("//u@h", "//***@h"),
            ("\\\\u:p@h\\x", "\\\\***@h\\x"),
            ("http:/u:p@h/", "http:/***@h/"),
            ("HTTPS:////a@b@h?x@y", "HTTPS:////***@h?x@y"),
            ("0; url=http://u:p@h/", "0; url=http://***@h/"),
            ("<http://u:p@h/>; rel=a, <ftp://v@h>", "<http://***@h/>; rel=a, <ftp://***@h>"),
            ("/a@b", "/a@b"),
            ("a@b", "a@b"),
            ("mailto:a@b", "mailto:a@b"),
            ("https://h/npm//a@1/", "https://h/npm//a@1/"),
            ("https://h//@scope/x", "https://h//@scope/x"),
            ("//@h", "//@h"),
            ("http:u:p@h/", "http:***@h/"),
            ("HTTPS:u:p@h", "HTTPS:***@h"),
            ("http://h/?to=http://u:p@i/", "http://h/?to=http://***@i/"),
            ("http://u:p@h/?to=//i/", "http://***@h/?to=//i/"),
            ("http://u:p/q@h/", "http://***@h/"),
            ("http://h:80/a@b", "http://h:80/a@b"),
            (":::://a", ":::://a"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8_lossy(&hide(value.as_bytes())), want);
        }
    }

    /// Were each of them read from every place in it on, this would take minutes.
    #[test]
    fn long_values_are_read_once() {
        for piece in ["@:/a:b/", ":/a/", "//", ":/@", "http:", "a:b@"] {
            let value = format!("@{}@", piece.repeat(262_144 / piece.len()));
            assert!(hide(value.as_bytes()).len() <= 3 * value.len());
            assert!(hide(&value.as_bytes()[..value.len() - 1]).len() <= 3 * value.len());
        }
    }
}
