//! Names as DNS carries them: labels with their lengths, in lower case.
//!
//! Owns the way from what a URL says to the names that are asked (the search list of
//! resolv.conf(5)), and back to something that can be shown. RFC 1035 section 3.1, RFC 4343.

use core::fmt;

use alloc::boxed::Box;
use alloc::string::{String, ToString};

/// An absolute name in wire format, lower case, the root label included; on the stack, so that a
/// look-up in the cache allocates nothing.
#[derive(Clone, Copy)]
pub(super) struct WireName {
    len: u8,
    bytes: [u8; 255],
}

impl WireName {
    /// The root.
    const ROOT: Self = Self { len: 1, bytes: [0; 255] };

    /// The absolute name that `text` spells, with or without the dot at its end; says what is
    /// wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err("it is empty");
        }
        let mut name = Self { len: 0, bytes: [0; 255] };
        for label in text.split('.') {
            if label.is_empty() {
                return Err("it has an empty label");
            }
            name.push(label.as_bytes())?;
        }
        name.push(&[])?;
        Ok(name)
    }

    /// The name made of `labels` and the root; `None` when it is too long to be one.
    pub(super) fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut name = Self { len: 0, bytes: [0; 255] };
        for label in labels.filter(|label| !label.is_empty()) {
            name.push_any(label).ok()?;
        }
        name.push_any(&[]).ok()?;
        Some(name)
    }

    /// The name that was kept as bytes by [`as_bytes`](Self::as_bytes).
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut name = Self::ROOT;
        if let Some(place) = name.bytes.get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
            name.len = bytes.len() as u8;
        }
        name
    }

    /// This name with `suffix` in place of the root; `None` when that is too long.
    pub(super) fn under(&self, suffix: &Self) -> Option<Self> {
        Self::from_labels(self.labels().chain(suffix.labels()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// The labels, without the root.
    pub(super) fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        core::iter::from_fn(move || {
            let (&len, after) = rest.split_first()?;
            let label = after.get(..usize::from(len)).filter(|label| !label.is_empty())?;
            rest = after.get(usize::from(len)..)?;
            Some(label)
        })
    }

    /// Whether these labels spell this name, whatever their case.
    pub(super) fn is<'a>(&self, labels: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut ours = self.labels();
        for label in labels.filter(|label| !label.is_empty()) {
            if !ours.next().is_some_and(|our| our.eq_ignore_ascii_case(label)) {
                return false;
            }
        }
        ours.next().is_none()
    }

    fn push(&mut self, label: &[u8]) -> Result<(), &'static str> {
        if label.iter().any(|byte| !byte.is_ascii()) {
            return Err("it is not ASCII (internationalised names are asked in their xn-- form)");
        }
        if label.iter().any(|byte| !byte.is_ascii_graphic() || b"\\%".contains(byte)) {
            return Err("it has a byte that no host name has");
        }
        self.push_any(label)
    }

    fn push_any(&mut self, label: &[u8]) -> Result<(), &'static str> {
        if label.len() > 63 {
            return Err("a label of it is longer than 63 bytes");
        }
        let start = usize::from(self.len);
        let Some(place) = self.bytes.get_mut(start..=start + label.len()) else {
            return Err("it is longer than 253 bytes");
        };
        if let Some((len, bytes)) = place.split_first_mut() {
            *len = label.len() as u8;
            bytes.copy_from_slice(label);
            bytes.make_ascii_lowercase();
        }
        self.len = (start + 1 + label.len()) as u8;
        Ok(())
    }
}

/// As people write it: dots between labels, none at the end, other bytes as `\DDD`.
impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, label) in self.labels().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                    b'!'..=b'~' => write!(f, "{}", char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The names that are asked for one that was typed, in their order.
#[derive(Clone, Debug)]
pub(super) struct Search {
    suffixes: Box<[WireName]>,
    ndots: usize,
}

impl Search {
    /// Suffixes that are no names are left out: resolv.conf is not ours to judge.
    pub(super) fn new(suffixes: &[String], ndots: u8) -> Self {
        let suffixes = suffixes.iter().filter_map(|suffix| WireName::parse(suffix).ok()).collect();
        Self { suffixes, ndots: usize::from(ndots) }
    }

    /// The first name to ask for `typed`, counted from `from`, and its number.
    ///
    /// As resolv.conf(5): a dot at the end means "as it is", `ndots` dots or more "as it is
    /// first", fewer "as it is last".
    pub(super) fn candidate(&self, typed: &str, from: usize) -> Option<(usize, WireName)> {
        let absolute = WireName::parse(typed).ok()?;
        if typed.ends_with('.') {
            return (from == 0).then_some((0, absolute));
        }
        let dots = typed.bytes().filter(|&byte| byte == b'.').count();
        let as_it_is = if dots >= self.ndots { 0 } else { self.suffixes.len() };
        (from..=self.suffixes.len()).find_map(|number| {
            if number == as_it_is {
                return Some((number, absolute));
            }
            let suffix = if number < as_it_is { number } else { number - 1 };
            Some((number, absolute.under(self.suffixes.get(suffix)?)?))
        })
    }
}

/// `name` in lower case without the dot at its end: how tables of names are keyed.
pub(super) fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_string().to_ascii_lowercase()
}

/// Whether `name` is `suffix` or below it, whatever the case.
pub(super) fn is_under(name: &str, suffix: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
    let Some(start) = name.len().checked_sub(suffix.len()) else { return false };
    let (before, end) = name.split_at(start);
    end.eq_ignore_ascii_case(suffix.as_bytes()) && before.last().is_none_or(|&byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn asked(typed: &str, search: &[&str], ndots: u8) -> Vec<String> {
        let suffixes: Vec<String> = search.iter().map(ToString::to_string).collect();
        let search = Search::new(&suffixes, ndots);
        let mut names = vec![];
        let mut from = 0;
        while let Some((number, name)) = search.candidate(typed, from) {
            names.push(name.to_string());
            from = number + 1;
        }
        names
    }

    #[test]
    fn the_search_list() {
        let none: [&str; 0] = [];
        for (typed, search, ndots, expected) in [
            ("www", &none[..], 1, vec!["www"]),
            ("www", &["a.b", "c"], 1, vec!["www.a.b", "www.c", "www"]),
            ("www.x", &["a.b", "c"], 1, vec!["www.x", "www.x.a.b", "www.x.c"]),
            ("www.x", &["a.b"], 2, vec!["www.x.a.b", "www.x"]),
            ("www.x.y", &["a.b"], 2, vec!["www.x.y", "www.x.y.a.b"]),
            ("www", &["a.b"], 0, vec!["www", "www.a.b"]),
            ("www.", &["a.b"], 1, vec!["www"]),
            ("WWW", &["A.b."], 1, vec!["www.a.b", "www"]),
            ("www", &["not..a.name", "c"], 1, vec!["www.c", "www"]),
        ] {
            assert_eq!(asked(typed, search, ndots), expected, "{typed} in {search:?}");
        }
    }

    #[test]
    fn a_suffix_that_makes_the_name_too_long_is_passed_over() {
        let typed = "a".repeat(63);
        let long = [&*"b".repeat(63), &*"c".repeat(63), &*"d".repeat(63)].join(".");
        assert_eq!(asked(&typed, &[&long, "c"], 1).len(), 2);
    }

    #[test]
    fn what_is_no_name() {
        let long = "a.".repeat(127) + "b";
        let label = "a".repeat(64);
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "a b",
            "a\nb",
            "fe80::1%eth0",
            "b\u{fc}cher.example",
            &label,
            &long,
        ] {
            assert!(WireName::parse(text).is_err(), "{text:?}");
        }
        let longest = "a.".repeat(126) + "b";
        assert_eq!(longest.len(), 253);
        for text in ["a", "a.", "_dmarc.a-b.example", "xn--bcher-kva.example", &longest] {
            let name = WireName::parse(text).unwrap();
            assert_eq!(name.to_string(), text.strip_suffix('.').unwrap_or(text));
        }
    }

    #[test]
    fn below_a_name() {
        assert!(is_under("localhost", "localhost"));
        assert!(is_under("A.LocalHost.", "localhost"));
        assert!(!is_under("notlocalhost", "localhost"));
        assert!(!is_under("localhost.example", "localhost"));
        assert!(!is_under("host", "localhost"));
    }
}
