//! `-w`: text with variables after each transfer, as curl has them.
//!
//! Owns the grammar (`%{name}`, `%header{name}`, `%time{format}`, `%output{file}`, `\n`) and where text goes.
//! What the names hold is [`facts`]'.
#![expect(
    clippy::string_slice,
    reason = "what follows a character is cut off behind it, and what was used ends with its brace"
)]

mod facts;

use std::fmt::Write;

use super::strftime;
pub use facts::{Facts, Times};
use facts::{NAMES, Value, push_time};

/// A format, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format {
    items: Vec<Item>,
    /// Variables that nobody knows.
    pub unknown: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Item {
    Text(String),
    Variable(String),
    Header {
        name: String,
        all: Option<String>,
    },
    /// Now, in this form.
    Time(String),
    To(Target),
    OnError,
}

/// Where text goes from here on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    Stdout,
    Stderr,
    /// A file, to append to or to begin anew.
    File {
        name: String,
        append: bool,
    },
}

impl Format {
    /// Reads a format; text with mistakes stands for itself, as with curl.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut format = Self { items: Vec::new(), unknown: Vec::new() };
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            if c == '\\' {
                let escaped = match after.chars().next() {
                    Some('n') => Some("\n"),
                    Some('r') => Some("\r"),
                    Some('t') => Some("\t"),
                    _ => None,
                };
                match escaped {
                    Some(escaped) => {
                        plain.push_str(escaped);
                        rest = &after[1..];
                    }
                    // What is no escape stands as it is, both of it.
                    None => {
                        let next = after.chars().next();
                        plain.push('\\');
                        plain.extend(next);
                        rest = &after[next.map_or(0, char::len_utf8)..];
                    }
                }
            } else if c == '%' {
                let (item, used) = Self::item(after, &mut format.unknown);
                match item {
                    Some(item) => {
                        if !plain.is_empty() {
                            format.items.push(Item::Text(std::mem::take(&mut plain)));
                        }
                        format.items.push(item);
                    }
                    None if used == 0 => plain.push('%'),
                    None if after.starts_with('%') => plain.push('%'),
                    None => {}
                }
                rest = &after[used..];
            } else {
                plain.push(c);
                rest = after;
            }
        }
        if !plain.is_empty() {
            format.items.push(Item::Text(plain));
        }
        Ok(format)
    }

    /// What stands after a `%`, and how much of it was used.
    fn item(after: &str, unknown: &mut Vec<String>) -> (Option<Item>, usize) {
        if after.starts_with('%') {
            return (None, 1);
        }
        if let Some((name, _)) = after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            let used = name.len() + 2;
            let item = match name {
                "onerror" => Item::OnError,
                "stdout" => Item::To(Target::Stdout),
                "stderr" => Item::To(Target::Stderr),
                "json" | "header_json" => Item::Variable(name.to_owned()),
                name if NAMES.contains(&name) => Item::Variable(name.to_owned()),
                other => {
                    unknown.push(other.to_owned());
                    return (None, used);
                }
            };
            return (Some(item), used);
        }
        if let Some((name, _)) =
            after.strip_prefix("header{").and_then(|inside| inside.split_at_checked(end(inside)?))
        {
            let used = name.len() + 8;
            let item = match name.split_once(":all:") {
                Some((name, separator)) => {
                    let separator = [("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t"), ("\\}", "}")]
                        .iter()
                        .fold(separator.to_owned(), |text, (from, to)| text.replace(from, to));
                    Item::Header { name: name.to_owned(), all: Some(separator) }
                }
                None => Item::Header { name: name.to_owned(), all: None },
            };
            return (Some(item), used);
        }
        if let Some((form, _)) =
            after.strip_prefix("time{").and_then(|inside| inside.split_once('}'))
        {
            return (Some(Item::Time(form.to_owned())), form.len() + 6);
        }
        if let Some((name, _)) =
            after.strip_prefix("output{").and_then(|inside| inside.split_once('}'))
        {
            let used = name.len() + 8;
            let (append, name) = match name.strip_prefix(">>") {
                Some(name) => (true, name),
                None => (false, name),
            };
            return (Some(Item::To(Target::File { name: name.to_owned(), append })), used);
        }
        (None, 0)
    }

    /// Renders the facts: pieces of text and where each goes.
    pub fn render(&self, facts: &Facts<'_>) -> Vec<(Target, String)> {
        let mut pieces = vec![(Target::Stdout, String::new())];
        for item in &self.items {
            let Some((_, out)) = pieces.last_mut() else { break };
            match item {
                Item::Text(text) => out.push_str(text),
                Item::Variable(name) if name == "json" => facts.json(out),
                Item::Variable(name) if name == "header_json" => facts.header_json(out),
                Item::Variable(name) => match facts.value(name) {
                    Value::Text(text) => out.push_str(text.as_deref().unwrap_or("")),
                    Value::Number(number) => {
                        let _ = write!(out, "{number}");
                    }
                    Value::Status(status) => {
                        let _ = write!(out, "{status:03}");
                    }
                    Value::Time(time) => push_time(time, out),
                },
                Item::Time(form) => strftime::write(
                    form,
                    facts.now.as_secs().try_into().unwrap_or(i64::MAX),
                    facts.now.subsec_micros(),
                    out,
                ),
                Item::Header { name, all } => facts.header(name, all.as_deref(), out),
                Item::To(target) => pieces.push((target.clone(), String::new())),
                Item::OnError if facts.exit_code == 0 => break,
                Item::OnError => {}
            }
        }
        pieces.retain(|(target, text)| {
            !text.is_empty() || matches!(target, Target::File { append: false, .. })
        });
        pieces
    }
}

/// Where the brace is that closes a `header{`: one behind a backslash does not.
fn end(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    let before = std::iter::once(None).chain(bytes.iter().map(Some));
    bytes.iter().zip(before).position(|(byte, before)| *byte == b'}' && before != Some(&b'\\'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HEADS: &[u8] = b"HTTP/1.1 302 Found\r\nSet-Cookie: a=1\r\nLocation: /x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: b=2\r\nSet-Cookie: c=\"3\"\r\n\r\n";

    fn facts() -> Facts<'static> {
        Facts {
            url: "http://u:p@a.example:81/d/f?q=1#z",
            url_effective: "http://a.example:81/x",
            status: 200,
            http_version: "1.1",
            content_type: Some("text/plain"),
            heads: HEADS,
            header_bytes: HEADS.len() as u64,
            redirects: 1,
            body_bytes: 1000,
            times: Times { total: Duration::from_millis(1500), ..Times::default() },
            ..Facts::default()
        }
    }

    fn render(format: &str) -> String {
        Format::parse(format).unwrap().render(&facts()).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn hosts_of_ipv6_have_brackets() {
        let facts = Facts { url: "http://[::1]:81/", ..facts() };
        let pieces = Format::parse("%{url.host} %{url.port}").unwrap().render(&facts);
        assert_eq!(pieces, [(Target::Stdout, "[::1] 81".to_owned())]);
    }

    #[test]
    fn formats_are_curls() {
        let table = [
            ("%{http_code} %{response_code}\\n", "200 200\n"),
            ("%{time_total}\\t%{size_download}", "1.500000\t1000"),
            ("%{speed_download}", "666"),
            ("100%% %x \\q %{", "100% %x \\q %{"),
            ("a\\\\n \\%{http_code}", "a\\\\n \\%{http_code}"),
            ("%{no_such}|", "|"),
            ("%header{set-cookie}", "b=2"),
            ("%header{Set-Cookie:all:, }", "a=1, b=2, c=\"3\""),
            ("%header{Set-Cookie:all:{\\}}", "a=1{}b=2{}c=\"3\""),
            ("%header{nothing}.", "."),
            ("%{num_headers} %{num_redirects}", "3 1"),
            (
                "%{url.host} %{url.port} %{url.path} %{url.query} %{url.fragment} %{url.user}",
                "a.example 81 /d/f q=1 z u",
            ),
            ("%{urle.path}", "/x"),
            ("a%{onerror}b", "a"),
            ("%{http_version}%{http_connect}", "1.1000"),
            (
                "%{header_json}",
                "{\"content-type\":[\"text/plain\"],\n\"set-cookie\":[\"b=2\",\"c=\\\"3\\\"\"]\n}",
            ),
        ];
        for (format, want) in table {
            assert_eq!(render(format), want, "{format}");
        }
        assert_eq!(Format::parse("%{nope}").unwrap().unknown, ["nope"]);
    }

    #[test]
    fn what_is_not_spoken_can_be_taken_apart() {
        let facts = Facts { url: "mail://u:p@h.example:1/p?q#f", ..facts() };
        let format = "%{url.scheme} %{url.user} %{url.password} %{url.host} %{url.port} %{url.path} %{url.query} %{url.fragment}";
        let shown = Format::parse(format).unwrap().render(&facts);
        assert_eq!(shown[0].1, "mail u p h.example 1 /p q f");
        let facts = Facts { url: "no url at all", ..facts };
        assert_eq!(Format::parse("%{url.scheme}|").unwrap().render(&facts)[0].1, "|");
    }

    #[test]
    fn json_holds_every_variable() {
        let text = render("%{json}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        for name in NAMES {
            assert!(value.get(name).is_some(), "{name}");
        }
        assert_eq!(value["http_code"], 200);
        assert_eq!(value["errormsg"], serde_json::Value::Null);
        let mut sorted = NAMES.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, NAMES);
    }

    #[test]
    fn pieces_go_where_they_are_sent() {
        let format = Format::parse("a%{stderr}b%output{f}c%output{>>g}d%{stdout}e").unwrap();
        let file = |name: &str, append| Target::File { name: name.to_owned(), append };
        let want = [
            (Target::Stdout, "a"),
            (Target::Stderr, "b"),
            (file("f", false), "c"),
            (file("g", true), "d"),
            (Target::Stdout, "e"),
        ];
        let got = format.render(&facts());
        assert_eq!(got.iter().map(|(t, s)| (t.clone(), s.as_str())).collect::<Vec<_>>(), want);
    }
}
