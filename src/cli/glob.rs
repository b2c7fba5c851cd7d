//! curl's globs in URLs: `{a,b}`, `[1-100]`, `[001-100:10]`, `[a-z:2]`, named as `{<name>a,b}`.
//!
//! Owns the grammar, the order (the rightmost turns fastest) and `#1` in file names. Nothing is
//! expanded in memory: a glob of a billion URLs is a few dozen bytes. Grammar and bounds follow
//! curl's manual of globbing.
#![expect(
    clippy::string_slice,
    reason = "cut at brackets, digits and `#`, which are one byte each, where they were found"
)]

/// A pattern: pieces of text and what varies between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glob {
    pieces: Vec<Piece>,
    count: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Vary { name: String, values: Values },
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Values {
    Set(Vec<String>),
    Letters { first: u8, step: u8, count: u64 },
    Numbers { first: u64, step: u64, width: usize, count: u64 },
}

impl Values {
    fn count(&self) -> u64 {
        match self {
            Self::Set(items) => items.len() as u64,
            Self::Letters { count, .. } | Self::Numbers { count, .. } => *count,
        }
    }

    fn write(&self, index: u64, out: &mut String) {
        use std::fmt::Write;
        match self {
            Self::Set(items) => out.push_str(items.get(index as usize).map_or("", String::as_str)),
            Self::Letters { first, step, .. } => {
                out.push(char::from(first.wrapping_add(step.wrapping_mul(index as u8))));
            }
            Self::Numbers { first, step, width, .. } => {
                let _ = write!(out, "{:0width$}", first + step * index, width = *width);
            }
        }
    }
}

/// Sets in one URL.
const MAX_SETS: usize = 254;
/// Digits of a number with zeros before it: no file system has longer names, and formatting pads no
/// further than to 65,535.
const MAX_WIDTH: usize = 255;
/// Elements of one set, as curl.
const MAX_ELEMENTS: usize = 100_000;

impl Glob {
    /// A URL that is taken as it is.
    pub fn literal(url: &str) -> Self {
        Self { pieces: vec![Piece::Text(url.to_owned())], count: 1 }
    }

    /// Reads a pattern.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let mut parser = Parser { pattern, at: 0 };
        parser.glob()
    }

    /// How many URLs it stands for.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The URL of this number, from 0, appended to `out`.
    pub fn write(&self, number: u64, out: &mut String) {
        let mut below = self.count;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Vary { values, .. } => {
                    below /= values.count().max(1);
                    values.write((number / below.max(1)) % values.count().max(1), out);
                }
            }
        }
    }

    /// A file name in which `#1` (or `#<name>`) stands for the value of the first (the named) set.
    pub fn name(&self, number: u64, template: &str) -> String {
        self.fill(number, template, true)
    }

    /// The same for names alone: `#1` is another glob's.
    pub fn named(&self, number: u64, template: &str) -> String {
        self.fill(number, template, false)
    }

    /// A name that a file name refers to (`#<name>`) and that no set has.
    pub fn missing<'t>(&self, template: &'t str) -> Option<&'t str> {
        let named = template.split("#<").skip(1).filter_map(|after| Some(after.split_once('>')?.0));
        named
            .filter(|name| (1..=64).contains(&name.len()))
            .find(|name| self.varying().all(|(have, ..)| have != *name))
    }

    fn fill(&self, number: u64, template: &str, by_number: bool) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('#') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let named = after.strip_prefix('<').and_then(|named| named.split_once('>'));
            let (found, skip) = if digits > 0 && by_number {
                let index: usize = after[..digits].parse().unwrap_or(0);
                (self.varying().nth(index.wrapping_sub(1)), digits)
            } else if let Some((name, _)) = named {
                (
                    self.varying().find(|(have, ..)| !have.is_empty() && *have == name),
                    name.len() + 2,
                )
            } else {
                (None, 0)
            };
            match found {
                Some((_, values, below)) => {
                    values.write((number / below.max(1)) % values.count().max(1), &mut out);
                    rest = &after[skip..];
                }
                None => {
                    out.push('#');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn varying(&self) -> impl Iterator<Item = (&str, &Values, u64)> {
        let mut below = self.count;
        self.pieces.iter().filter_map(move |piece| match piece {
            Piece::Text(_) => None,
            Piece::Vary { name, values } => {
                below /= values.count().max(1);
                Some((name.as_str(), values, below))
            }
        })
    }
}

struct Parser<'a> {
    pattern: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.pattern.get(self.at..).unwrap_or("")
    }

    fn bad(&self, what: &str) -> String {
        let column = self.pattern.get(..self.at).map_or(0, |before| before.chars().count()) + 1;
        format!(
            "{what} in the URL '{}', at position {column} (-g takes {{}} and [] as they are)",
            crate::fetch::mask(self.pattern)
        )
    }

    fn glob(&mut self) -> Result<Glob, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut count = 1u64;
        let mut sets = 0;
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else { break };
            match c {
                '[' if literal_bracket(rest) > 0 => {
                    let skip = literal_bracket(rest);
                    text.push_str(&rest[..skip]);
                    self.at += skip;
                }
                '{' | '[' => {
                    self.at += 1;
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    let name = self.name();
                    let is_taken = |piece: &Piece| matches!(piece, Piece::Vary { name: have, .. } if *have == name);
                    if !name.is_empty() && pieces.iter().any(is_taken) {
                        return Err(self.bad(&format!("a second <{name}>")));
                    }
                    let values = if c == '{' { self.set()? } else { self.range()? };
                    sets += 1;
                    if sets > MAX_SETS {
                        return Err(self.bad("too many sets"));
                    }
                    count = count
                        .checked_mul(values.count())
                        .filter(|&count| count < i64::MAX as u64)
                        .ok_or_else(|| self.bad("too many URLs"))?;
                    pieces.push(Piece::Vary { name, values });
                }
                '}' | ']' => return Err(self.bad("unmatched close brace or bracket")),
                '\\' if rest[1..].starts_with(['{', '}', '[', ']']) => {
                    text.push_str(&rest[1..2]);
                    self.at += 2;
                }
                other => {
                    text.push(other);
                    self.at += other.len_utf8();
                }
            }
        }
        if !text.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Glob { pieces, count })
    }

    /// `<name>` right after the bracket.
    fn name(&mut self) -> String {
        match self.rest().strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            Some((name, _)) if (1..=64).contains(&name.len()) => {
                let name = name.to_owned();
                self.at += name.len() + 2;
                name
            }
            _ => String::new(),
        }
    }

    fn set(&mut self) -> Result<Values, String> {
        let mut items = Vec::new();
        let mut item = String::new();
        let start = self.at;
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(self.bad("unmatched brace"));
            };
            match c {
                '{' | '[' => return Err(self.bad("nested brace")),
                ']' => return Err(self.bad("unexpected close bracket")),
                '}' if self.at == start => return Err(self.bad("empty string within braces")),
                '}' | ',' => {
                    if items.len() >= MAX_ELEMENTS {
                        return Err(self.bad("too many elements within braces"));
                    }
                    items.push(std::mem::take(&mut item));
                    self.at += 1;
                    if c == '}' {
                        return Ok(Values::Set(items));
                    }
                }
                '\\' if self.rest().len() > 1 => {
                    self.at += 1;
                    if let Some(escaped) = self.rest().chars().next() {
                        item.push(escaped);
                        self.at += escaped.len_utf8();
                    }
                }
                other => {
                    item.push(other);
                    self.at += other.len_utf8();
                }
            }
        }
    }

    fn range(&mut self) -> Result<Values, String> {
        let Some(end) = self.rest().find(']') else { return Err(self.bad("bad range")) };
        let body = self.rest()[..end].to_owned();
        let (range, step) = match body.split_once(':') {
            Some((range, step)) => (range, number(step)),
            None => (body.as_str(), Some(1)),
        };
        let step = step.filter(|&step| step > 0).ok_or_else(|| self.bad("bad range"))?;
        let (first, last) = range.split_once('-').ok_or_else(|| self.bad("bad range"))?;
        let letter = |text: &str| match text.as_bytes() {
            [byte] if byte.is_ascii_alphabetic() => Some(*byte),
            _ => None,
        };
        let values = if let (Some(first), Some(last)) = (letter(first), letter(last)) {
            let count = span(u64::from(first), u64::from(last), step)
                .filter(|_| last.saturating_sub(first) <= b'z' - b'a');
            let count = count.ok_or_else(|| self.bad("bad range"))?;
            Values::Letters { first, step: step as u8, count }
        } else {
            let width = if first.starts_with('0') { first.len() } else { 0 };
            if width > MAX_WIDTH {
                return Err(self.bad("too many zeros"));
            }
            let first = number(first).ok_or_else(|| self.bad("bad range"))?;
            let last = number(last.trim_start_matches([' ', '\t']))
                .ok_or_else(|| self.bad("bad range"))?;
            let count = span(first, last, step).ok_or_else(|| self.bad("bad range"))?;
            Values::Numbers { first, step, width, count }
        };
        self.at += end + 1;
        Ok(values)
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok().filter(|&n| n <= i64::MAX as u64) } else { None }
}

fn span(first: u64, last: u64, step: u64) -> Option<u64> {
    match last.checked_sub(first)? {
        0 => (step == 1).then_some(1),
        distance => (step <= distance).then_some(distance / step + 1),
    }
}

/// How much of the text is an IPv6 literal in brackets, or `[]`.
fn literal_bracket(text: &str) -> usize {
    if text.starts_with("[]") {
        return 2;
    }
    let Some(end) = text.find(']') else { return 0 };
    let inside = &text[1..end];
    let address = inside.split_once('%').map_or(inside, |(address, _)| address);
    if address.parse::<std::net::Ipv6Addr>().is_ok() { end + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str) -> Vec<String> {
        let glob = Glob::parse(pattern).unwrap();
        (0..glob.count())
            .map(|number| {
                let mut url = String::new();
                glob.write(number, &mut url);
                url
            })
            .collect()
    }

    #[test]
    fn globs_are_curls() {
        let table: &[(&str, &[&str])] = &[
            ("http://a/", &["http://a/"]),
            ("http://a/{b,c}", &["http://a/b", "http://a/c"]),
            ("http://a/{b,}", &["http://a/b", "http://a/"]),
            ("http://a/[1-3]", &["http://a/1", "http://a/2", "http://a/3"]),
            ("http://a/[08-10]", &["http://a/08", "http://a/09", "http://a/10"]),
            ("http://a/[1-10:4]", &["http://a/1", "http://a/5", "http://a/9"]),
            ("http://a/[a-e:2]", &["http://a/a", "http://a/c", "http://a/e"]),
            ("{x,y}[1-2]", &["x1", "x2", "y1", "y2"]),
            ("http://[::1]:80/[1-2]", &["http://[::1]:80/1", "http://[::1]:80/2"]),
            ("http://[fe80::1%25eth0]/", &["http://[fe80::1%25eth0]/"]),
            ("http://a/?x[]=1", &["http://a/?x[]=1"]),
            ("http://a/\\{b\\}\\[c\\]", &["http://a/{b}[c]"]),
            ("http://a/{<n>b,c}", &["http://a/b", "http://a/c"]),
            ("http://a/{b\\,c,d}", &["http://a/b,c", "http://a/d"]),
            ("", &[""]),
        ];
        for (pattern, want) in table {
            assert_eq!(all(pattern), *want, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_glob_is_said_with_its_place() {
        for bad in [
            "a{",
            "a}",
            "a]",
            "a[",
            "{}",
            "{a{b}}",
            "{a]}",
            "[1]",
            "[2-1]",
            "[a-1]",
            "[a-]",
            "[1-2:0]",
            "[1-2:5]",
            "[-1-2]",
            "[é-z]",
            "[1-99999999999999999999]",
            "[0-9223372036854775807][0-9]",
            "[A-z]",
            "{<n>a,b}[<n>1-2]",
        ] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
        assert!(Glob::parse("ab{c").unwrap_err().contains("position 5"));
        // Wider than what is padded.
        let zeros = "0".repeat(70_000);
        assert!(Glob::parse(&format!("a[{zeros}-1]")).unwrap_err().contains("zeros"));
        assert!(Glob::parse(&format!("a[{}-1]", &zeros[..255])).is_ok());
    }

    #[test]
    fn names_refer_to_sets() {
        let glob = Glob::parse("http://a/{one,two}/[01-03]/{<k>x,y}").unwrap();
        assert_eq!(glob.count(), 12);
        assert_eq!(glob.name(0, "#1-#2"), "one-01");
        assert_eq!(glob.name(11, "#1_#2.#3"), "two_03.y");
        assert_eq!(glob.name(11, "#<k>#4#<no>#"), "y#4#<no>#");
        assert_eq!(glob.missing("#<k>#<no>#<other>"), Some("no"));
        assert_eq!(glob.missing("#<k>#1#9#<>"), None);
    }
}
