//! Names of a batch's files: `{host}/{n:08}{ext}` and what it becomes.
//!
//! Owns the grammar and the rendering. Text of the template itself is the user's word and stays as
//! it is (`../x/` included); what comes out of URLs and answers goes through `names`.

use std::fmt::Write;

use super::{hash, names};

/// A template, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    parts: Vec<Part>,
}

/// What stands between two slashes.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    /// As the user wrote it.
    Fixed(String),
    Pieces(Vec<Piece>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Value { variable: Variable, width: usize, slice: Option<(usize, Option<usize>)> },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Variable {
    N,
    Id,
    Host,
    Path,
    Name,
    Ext,
    TypeExt,
    Hash,
}

/// What a name is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// The entry's number.
    pub n: u64,
    /// Its `id`, or its number again.
    pub id: Option<&'a str>,
    /// The URL as it stands in the list.
    pub url: &'a str,
    /// Its host, with the port unless it is the scheme's.
    pub host: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Of the answer.
    pub content_type: &'a str,
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut pieces = Vec::new();
        let mut fixed = String::new();
        let mut rest = text;
        let end_part = |fixed: &mut String, pieces: &mut Vec<Piece>, parts: &mut Vec<Part>| {
            if pieces.is_empty() {
                parts.push(Part::Fixed(std::mem::take(fixed)));
            } else {
                if !fixed.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(fixed)));
                }
                parts.push(Part::Pieces(std::mem::take(pieces)));
            }
        };
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            if c == '/' {
                end_part(&mut fixed, &mut pieces, &mut parts);
                rest = chars.as_str();
            } else if let Some(after) = rest.strip_prefix("{{") {
                fixed.push('{');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let Some((inside, after)) = after.split_once('}') else {
                    return Err(format!(
                        "the template '{text}' has a {{ without its }} ({{{{ is a brace)"
                    ));
                };
                if !fixed.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut fixed)));
                }
                pieces.push(variable(inside)?);
                rest = after;
            } else {
                fixed.push(c);
                rest = chars.as_str();
            }
            chars = rest.chars();
        }
        end_part(&mut fixed, &mut pieces, &mut parts);
        if let Some(Part::Fixed(last)) = parts.last()
            && (last.is_empty() || last == "." || last == "..")
        {
            return Err(format!("the template '{text}' names a folder, not a file"));
        }
        Ok(Self { parts })
    }

    fn variables(&self) -> impl Iterator<Item = (Variable, bool)> {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Fixed(_) => &[][..],
                Part::Pieces(pieces) => pieces.as_slice(),
            })
            .filter_map(|piece| match piece {
                Piece::Text(_) => None,
                Piece::Value { variable, slice, .. } => Some((*variable, slice.is_none())),
            })
    }

    /// Whether all URLs get the same name.
    pub fn is_constant(&self) -> bool {
        self.variables().next().is_none()
    }

    /// Whether two entries can't get the same name, so that nobody needs to look.
    pub fn is_unique(&self) -> bool {
        self.variables().any(|(variable, whole)| variable == Variable::N && whole)
    }

    /// Whether the name is only known with the answer's head.
    pub fn needs_head(&self) -> bool {
        self.variables().any(|(variable, _)| variable == Variable::TypeExt)
    }

    /// Appends the name.
    pub fn write(&self, values: &Values<'_>, out: &mut String) {
        let mut scratch = String::new();
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                out.push('/');
            }
            match part {
                Part::Fixed(text) => out.push_str(text),
                Part::Pieces(pieces) => {
                    let mut from = out.len();
                    for piece in pieces {
                        match piece {
                            Piece::Text(text) => out.push_str(text),
                            Piece::Value { variable: Variable::Path, slice: None, .. } => {
                                // The only value that brings separators of its own.
                                scratch.clear();
                                names::push_path(values.path, &mut scratch);
                                for (at, part) in scratch.split('/').enumerate() {
                                    if at > 0 {
                                        names::finish_part(out, from);
                                        out.push('/');
                                        from = out.len();
                                    }
                                    out.push_str(part);
                                }
                            }
                            Piece::Value { variable, width, slice: None } => {
                                variable.write(values, *width, out);
                            }
                            Piece::Value { variable, width, slice: Some((first, last)) } => {
                                scratch.clear();
                                variable.write(values, *width, &mut scratch);
                                let last = last.unwrap_or(usize::MAX);
                                out.extend(
                                    scratch
                                        .chars()
                                        .take(last)
                                        .skip(*first)
                                        .map(|c| if c == '/' { '_' } else { c }),
                                );
                            }
                        }
                    }
                    names::finish_part(out, from);
                }
            }
        }
    }
}

/// What stands between braces.
fn variable(text: &str) -> Result<Piece, String> {
    let (name, form) = text.split_once(':').map_or((text, None), |(name, form)| (name, Some(form)));
    let variable = match name {
        "n" => Variable::N,
        "id" => Variable::Id,
        "host" => Variable::Host,
        "path" => Variable::Path,
        "name" => Variable::Name,
        "ext" => Variable::Ext,
        "type_ext" => Variable::TypeExt,
        "hash" => Variable::Hash,
        _ => {
            return Err(format!(
                "{{{text}}} is no variable of a template (n, id, host, path, name, ext, type_ext, hash; {{{{ is a brace)"
            ));
        }
    };
    let bad = || format!("{{{text}}} is not understood (as in {{n:08}} or {{hash:0:2}})");
    let mut piece = (0, None);
    if let Some(form) = form {
        match form.split_once(':') {
            None => {
                let width = form.strip_prefix('0').and_then(|width| width.parse().ok());
                piece.0 = width
                    .filter(|width| (1..=20).contains(width) && variable == Variable::N)
                    .ok_or_else(bad)?;
            }
            Some((first, last)) => {
                let index = |text: &str| text.parse::<usize>().map_err(|_| bad());
                let first = if first.is_empty() { 0 } else { index(first)? };
                let last = if last.is_empty() { None } else { Some(index(last)?) };
                if last.is_some_and(|last| last <= first) {
                    return Err(bad());
                }
                piece.1 = Some((first, last));
            }
        }
    }
    Ok(Piece::Value { variable, width: piece.0, slice: piece.1 })
}

impl Variable {
    fn write(self, values: &Values<'_>, width: usize, out: &mut String) {
        match self {
            Self::N => {
                let _ = write!(out, "{:0width$}", values.n);
            }
            Self::Id => match values.id {
                Some(id) => names::push_piece(id, out),
                None => {
                    let _ = write!(out, "{}", values.n);
                }
            },
            Self::Host => names::push_piece(values.host, out),
            Self::Path => names::push_path(values.path, out),
            Self::Name => match names::last_segment(values.path) {
                "" => out.push_str("index"),
                name => names::push_decoded(name, out),
            },
            Self::Ext => out.push_str(names::extension(names::last_segment(values.path))),
            Self::TypeExt => out.push_str(names::type_extension(values.content_type)),
            Self::Hash => {
                for byte in hash::sha256(values.url.as_bytes()) {
                    names::push_hex(byte, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, values: &Values<'_>) -> String {
        let mut out = String::new();
        Template::parse(template).unwrap().write(values, &mut out);
        out
    }

    const PLAIN: Values<'_> = Values {
        n: 42,
        id: Some("a7"),
        url: "http://example.org:81/x/y%20z.tar.gz?q",
        host: "example.org:81",
        path: "/x/y%20z.tar.gz",
        content_type: "text/html; charset=utf-8",
    };

    #[test]
    fn templates_become_names() {
        let table = [
            ("{n}", "42"),
            ("{n:08}{ext}", "00000042.gz"),
            ("{id}", "a7"),
            ("{host}/{n}", "example.org_81/42"),
            ("{path}", "x/y z.tar.gz"),
            ("d/{host}/{path}.bak", "d/example.org_81/x/y z.tar.gz.bak"),
            ("{name}", "y z.tar.gz"),
            ("{n}{type_ext}", "42.html"),
            ("{hash:0:2}/{hash:2:4}/{n}", "7d/e7/42"),
            ("{host:0:3}", "exa"),
            ("{{n}}{n}", "{n}}42"),
            ("/abs/{n}", "/abs/42"),
            ("../{n}", "../42"),
            ("out", "out"),
        ];
        for (template, want) in table {
            if template.contains("hash") {
                assert_eq!(render(template, &PLAIN).len(), want.len());
            } else {
                assert_eq!(render(template, &PLAIN), want, "{template}");
            }
        }
        assert_eq!(
            render("{hash}", &Values { url: "abc", ..PLAIN }),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(render("{id}", &Values { id: None, ..PLAIN }), "42");
        assert_eq!(render("{path}", &Values { path: "/", ..PLAIN }), "index");
        assert_eq!(render("{path}", &Values { path: "/a/", ..PLAIN }), "a/index");
        assert_eq!(render("{name}", &Values { path: "/a/", ..PLAIN }), "index");
    }

    #[test]
    fn templates_that_mean_nothing_are_refused() {
        for bad in [
            "{",
            "{n",
            "{x}",
            "{}",
            "{n:8}",
            "{n:0}",
            "{n:099}",
            "{hash:2:1}",
            "{hash:a:b}",
            "{hash:08}",
            "a/",
            "..",
            "",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
        assert!(Template::parse("x").unwrap().is_constant());
        assert!(Template::parse("{n}").unwrap().is_unique());
        assert!(!Template::parse("{n:0:1}").unwrap().is_unique());
        assert!(!Template::parse("{name}").unwrap().is_unique());
        assert!(Template::parse("{n}{type_ext}").unwrap().needs_head());
    }

    /// Names and ids that try to leave the folder, to mean a device, or to trick whoever reads them.
    #[test]
    fn two_hundred_tricks_stay_in_the_folder() {
        let mut tricks: Vec<String> = Vec::new();
        for dots in [".", "..", "...", "....", ". .", ".. ", " ..", "..\u{200b}"] {
            for (before, after) in [
                ("", ""),
                ("/", ""),
                ("", "/"),
                ("/", "/etc/passwd"),
                ("a/", "/b"),
                ("\\", "\\x"),
                ("./", ""),
                ("//", "//"),
            ] {
                tricks.push(format!("{before}{dots}{after}"));
            }
        }
        for encoded in [
            "%2e",
            "%2E%2e",
            "%2f",
            "%5c",
            "%00",
            "%0a",
            "%0d%0a",
            "%252e%252e%252f",
            "%c0%ae%c0%ae",
            "%ff",
            "%e2%80%ae",
            "%1b[31m",
            "%7f",
            "%e2%80%8b",
            "%ef%bb%bf",
            "%u002e",
            "%%32%65",
            "%",
            "%09",
        ] {
            for (before, after) in [("", ""), ("/", ""), ("..", "etc/passwd"), ("x", "y")] {
                tricks.push(format!("{before}{encoded}{after}"));
            }
        }
        for device in [
            "con",
            "CON",
            "nul",
            "NUL.txt",
            "aux",
            "prn.tar.gz",
            "com1",
            "LPT9",
            "COM¹",
            "conin$",
            "clock$",
            "nul ",
            "nul.",
        ] {
            tricks.push(device.to_owned());
            tricks.push(format!("/{device}/x"));
        }
        for text in [
            "C:\\x",
            "C:x",
            "\\\\host\\share",
            "//host/share",
            "file::$DATA",
            "a:b",
            "~",
            "~root/x",
            "-rf",
            "--help",
            "$HOME",
            "`id`",
            "a\nb",
            "a\rb",
            "a\0b",
            "\u{1b}[2J",
            "\u{202e}txt.exe",
            "\u{feff}x",
            "a ",
            "a.",
            " a",
            "|id",
            "a*b?",
            "<x>",
            "\"q\"",
            "/",
            "//",
            "///",
            "",
            "CON/../x",
            ".git/config",
            ".ssh/authorized_keys",
            "x.gannet-part",
        ] {
            tricks.push(text.to_owned());
        }
        tricks.push("a".repeat(5000));
        tricks.push("é".repeat(500));
        tricks.push(format!("{}.html", "b".repeat(400)));
        tricks.push("/a".repeat(3000));
        tricks.push("a/".repeat(300));
        assert!(tricks.len() >= 200, "{}", tricks.len());
        for trick in &tricks {
            let values = Values {
                id: Some(trick),
                host: trick,
                path: trick,
                url: trick,
                content_type: trick,
                n: 1,
            };
            for template in [
                "{id}",
                "{host}",
                "{path}",
                "{name}",
                "d/{path}/f",
                "{host}/{path}",
                "{id}{id}",
                "{path}{id}",
                ".{id}",
                "{id:0:3}",
                "{path:0:9}/{name}",
            ] {
                let name = render(template, &values);
                assert!(!name.starts_with('/'), "{trick:?} {template} {name:?}");
                let parts: Vec<&str> = name.split('/').collect();
                assert!(parts.len() <= 80, "{trick:?} {template}");
                for part in parts {
                    let label = format!("{trick:?} as {template} gave {name:?}");
                    assert!(!part.is_empty() && part != "." && part != "..", "{label}");
                    assert!(part.len() <= names::MAX_PART + 1, "{label}");
                    assert!(!part.ends_with([' ', '.']) && !part.starts_with(' '), "{label}");
                    assert!(
                        !part
                            .chars()
                            .any(|c| c.is_control()
                                || "\\:*?\"<>|\u{202e}\u{200b}\u{feff}".contains(c)),
                        "{label}"
                    );
                    let stem = part.split('.').next().unwrap().to_ascii_uppercase();
                    assert!(
                        !["CON", "NUL", "AUX", "PRN", "COM1", "LPT9"].contains(&stem.as_str()),
                        "{label}"
                    );
                }
            }
        }
    }
}
