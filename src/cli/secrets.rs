//! Hides what a server's header fields must not tell a record or the terminal: names and passwords in URLs.
//!
//! Fields that are secrets as a whole are [`is_secret`](crate::fetch::is_secret)'s.

use std::borrow::Cow;

/// A field's value with `***` for the name and password of each URL in it (`Location`, `Link`,
/// `Refresh`, …).
pub fn hide(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'@', value).is_none() {
        return Cow::Borrowed(value);
    }
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>');
    let mut out = Vec::with_capacity(value.len());
    for word in value.split_inclusive(ends) {
        match userinfo(word) {
            None => out.extend_from_slice(word),
            Some((begin, end)) => {
                out.extend_from_slice(&word[..begin]);
                out.extend_from_slice(b"***");
                out.extend_from_slice(&word[end..]);
            }
        }
    }
    Cow::Owned(out)
}

/// From where to where name and password go in a word that has a URL or `//host`. Where one begins
/// and ends is read as generously as anybody reads it.
fn userinfo(word: &[u8]) -> Option<(usize, usize)> {
    let slash = |byte: u8| matches!(byte, b'/' | b'\\');
    let from =
        word.windows(2).position(|two| (two[0] == b':' || slash(two[0])) && slash(two[1]))?;
    let begin = from + 1 + word[from + 1..].iter().take_while(|&&byte| slash(byte)).count();
    let rest = &word[begin..];
    let until = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let at = rest[..until.unwrap_or(rest.len())].iter().rposition(|&byte| byte == b'@')?;
    (at > 0).then_some((begin, begin + at))
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
            ("", ""),
        ] {
            assert_eq!(String::from_utf8_lossy(&hide(value.as_bytes())), want);
        }
    }
}
