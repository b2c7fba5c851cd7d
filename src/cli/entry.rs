//! What a line of a list says: a URL as it is, or a JSON object.
//!
//! Owns the telling apart line by line and all that a JSON line may ask for. Whatever else a line is,
//! the list goes on, and a bad line is still known by its `id`. Never reads a list (that is
//! `lines`), and never judges a URL.

use std::path::Path;

use memchr::memchr;
use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{json, names};
use crate::fetch::Field;

/// What a line says. Filled again and again, so that a plain list allocates nothing.
#[derive(Debug, Default)]
pub struct Entry {
    /// The URL, as it stands in the list.
    pub url: String,
    /// All else, of a JSON line.
    pub more: Option<Box<More>>,
}

/// What a JSON line may say besides its URL.
#[derive(Debug, Default, PartialEq)]
pub struct More {
    /// As JSON, to be copied to the record.
    pub id: Option<String>,
    /// As JSON.
    pub meta: Option<String>,
    pub method: Option<String>,
    pub headers: Vec<Field>,
    pub body: Option<Vec<u8>>,
    pub output: Option<String>,
    pub sha256: Option<[u8; 32]>,
    pub size: Option<u64>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// Seconds of one attempt.
    pub timeout: Option<f64>,
    /// Further attempts.
    pub retry: Option<u32>,
}

impl More {
    /// Bytes that it holds, as good as.
    pub fn weight(&self) -> u64 {
        let texts =
            [&self.id, &self.meta, &self.method, &self.output, &self.etag, &self.last_modified];
        let texts: usize = texts.iter().map(|text| text.as_ref().map_or(0, String::len)).sum();
        let fields: usize = self.headers.iter().map(|field| 64 + field.weight()).sum();
        // The body is held here, and once more for the request.
        let body = 2 * self.body.as_ref().map_or(0, Vec::len);
        (size_of::<Self>() + texts + fields + body) as u64
    }

    /// The `id` as text.
    pub fn id_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        let id = self.id.as_deref()?;
        Some(match serde_json::from_str::<String>(id) {
            Ok(text) => text.into(),
            Err(_) => id.into(),
        })
    }
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Blank or a comment.
    Nothing,
    /// An entry; it is in the `Entry` now.
    Entry,
    /// Nothing that can be fetched; why. The `Entry` holds the URL, `id` and `meta` if they were
    /// found.
    Bad(String),
    /// A line of aria2's lists: the whole list is refused.
    Aria2,
}

/// Reads a line into `entry`.
pub fn read(line: &[u8], entry: &mut Entry) -> Line {
    entry.url.clear();
    entry.more = None;
    let trimmed = line.trim_ascii();
    let first = match trimmed.first() {
        None | Some(b'#') => return Line::Nothing,
        Some(&first) => first,
    };
    if first == b'{' {
        return match object(trimmed, entry) {
            Ok(()) => Line::Entry,
            Err(why) => Line::Bad(why),
        };
    }
    if matches!(line.first(), Some(b' ' | b'\t')) && aria2_option(trimmed) || mirrors(trimmed) {
        return Line::Aria2;
    }
    if matches!(first, b'"' | b'\'') {
        entry.url.push_str(&String::from_utf8_lossy(trimmed));
        return Line::Bad(
            "a URL stands in a line as it is, without quotes, or in a JSON object: {\"url\": \"...\"}"
                .to_owned(),
        );
    }
    let Ok(text) = std::str::from_utf8(trimmed) else {
        entry.url.push_str(&String::from_utf8_lossy(trimmed));
        let wide = trimmed.starts_with(b"\xff\xfe") || trimmed.starts_with(b"\xfe\xff");
        let what = if wide {
            "the list is in UTF-16: convert it (iconv -f UTF-16 -t UTF-8)"
        } else {
            "the line is not UTF-8: percent-encode the URL"
        };
        return Line::Bad(what.to_owned());
    };
    entry.url.push_str(text);
    if memchr(0, trimmed).is_some() {
        return Line::Bad("the line holds a NUL byte".to_owned());
    }
    Line::Entry
}

/// `out=name` on an indented line.
fn aria2_option(line: &[u8]) -> bool {
    json::halves(line, b'=').is_some_and(|(name, _)| {
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'-')
    })
}

/// Two URLs with a tab between.
fn mirrors(line: &[u8]) -> bool {
    let is_url = |text: &[u8]| text.windows(3).any(|three| three == b"://");
    json::halves(line, b'\t').is_some_and(|(one, other)| is_url(one) && is_url(other))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object<'a> {
    url: String,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    headers: Option<Headers>,
    body: Option<String>,
    body_base64: Option<String>,
    output: Option<String>,
    meta: Option<&'a RawValue>,
    sha256: Option<String>,
    size: Option<u64>,
    etag: Option<String>,
    last_modified: Option<String>,
    timeout: Option<f64>,
    retry: Option<u32>,
}

/// What is read of a line that asks for what can't be.
#[derive(Deserialize)]
struct Owner<'a> {
    url: String,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

/// Names with a value or several, in their order.
struct Headers(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Headers;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of header names and values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                #[derive(Deserialize)]
                #[serde(untagged, expecting = "a header's value is a text, or a list of texts")]
                enum OneOrMany {
                    One(String),
                    Many(Vec<String>),
                }
                let mut fields = Vec::new();
                while let Some((name, values)) = map.next_entry::<String, OneOrMany>()? {
                    match values {
                        OneOrMany::One(value) => fields.push((name, value)),
                        OneOrMany::Many(values) => {
                            fields.extend(values.into_iter().map(|value| (name.clone(), value)));
                        }
                    }
                }
                Ok(Headers(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn object(line: &[u8], entry: &mut Entry) -> Result<(), String> {
    let mut more = More::default();
    let said = match serde_json::from_slice::<Object<'_>>(line) {
        Ok(object) => {
            entry.url.push_str(&object.url);
            let is_known = whose(object.id, object.meta, &mut more);
            is_known.and_then(|()| demands(object, &mut more))
        }
        Err(error) => {
            if let Ok(owner) = serde_json::from_slice::<Owner<'_>>(line) {
                entry.url.push_str(&owner.url);
                let _ = whose(owner.id, owner.meta, &mut more);
            }
            Err(in_plain_words(&error))
        }
    };
    if said.is_err() {
        // Whoever reads the record of a bad line must still know whose it is.
        more = More { id: more.id, meta: more.meta, ..More::default() };
    }
    let plain = more == More::default();
    entry.more = (!plain).then(|| Box::new(more));
    said
}

/// Notes whose line it is.
fn whose(id: Option<&RawValue>, meta: Option<&RawValue>, more: &mut More) -> Result<(), String> {
    more.meta = meta.map(|meta| meta.get().to_owned());
    let is_id =
        |id: &str| id.starts_with(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    let id = id.map(RawValue::get).filter(|id| *id != "null");
    more.id = id.filter(|id| is_id(id)).map(str::to_owned);
    if id.is_none_or(is_id) { Ok(()) } else { Err("id must be a string or a number".to_owned()) }
}

/// serde_json's message without the names of Rust's types.
fn in_plain_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // The column is of this line; serde_json's "line 1" would mislead.
    let text = text.split(" at line ").next().unwrap_or(&text);
    let text = text
        .replace("expected u32", "expected a whole number up to 4294967295")
        .replace("expected u64", "expected a whole number")
        .replace("expected f64", "expected a number");
    format!("{text} (column {})", error.column())
}

/// What else a line asks for.
fn demands(object: Object<'_>, more: &mut More) -> Result<(), String> {
    more.method = object.method;
    more.etag = object.etag;
    more.last_modified = object.last_modified;
    more.retry = object.retry;
    more.size = object.size;
    if let Some(method) = &more.method
        && (method.is_empty()
            || !method
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)))
    {
        return Err(format!("method {method:?} is no token"));
    }
    for (name, value) in object.headers.map(|headers| headers.0).unwrap_or_default() {
        more.headers.push(
            Field::new(&name, value.as_bytes())
                .map_err(|error| format!("headers: {name:?}: {error}"))?,
        );
    }
    more.body = match (object.body, object.body_base64) {
        (Some(_), Some(_)) => return Err("body and body_base64 exclude each other".to_owned()),
        (Some(text), None) => Some(text.into_bytes()),
        (None, Some(text)) => {
            use base64::Engine;
            let decoded = base64::engine::general_purpose::STANDARD.decode(text.trim());
            Some(decoded.map_err(|error| format!("body_base64: {error}"))?)
        }
        (None, None) => None,
    };
    if let Some(output) = object.output {
        safe_output(&output)?;
        more.output = Some(output);
    }
    if let Some(hex) = object.sha256 {
        more.sha256 =
            Some(digest(&hex).ok_or_else(|| "sha256 must be 64 hexadecimal digits".to_owned())?);
    }
    for (name, value) in [("etag", &more.etag), ("last_modified", &more.last_modified)] {
        if value
            .as_deref()
            .is_some_and(|value| value.bytes().any(|byte| byte < b' ' || byte == 0x7f))
        {
            return Err(format!("{name} holds a control character"));
        }
    }
    if let Some(timeout) = object.timeout {
        if !(timeout > 0.0 && timeout < 1e9) {
            return Err("timeout must be a number of seconds above 0".to_owned());
        }
        more.timeout = Some(timeout);
    }
    Ok(())
}

/// A line's `output` stays below the folder of the batch.
fn safe_output(output: &str) -> Result<(), String> {
    let bad_part =
        |part: &str| part.is_empty() || part == "." || part == ".." || part.len() > names::MAX_PART;
    let bad = output.chars().any(|c| c.is_control() || c == '\\')
        || output.len() > 2000
        || output.split('/').any(bad_part)
        || Path::new(output).is_absolute();
    if bad {
        Err(format!("output {output:?} is no safe name below the output folder"))
    } else {
        Ok(())
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_one_by_one() {
        let mut entry = Entry::default();
        let table: &[(&str, &str)] = &[
            ("", "nothing"),
            ("   ", "nothing"),
            ("# http://a/", "nothing"),
            ("  # x", "nothing"),
            ("http://a/", "entry"),
            ("  http://a/  ", "entry"),
            ("a.example/x?out=y", "entry"),
            ("{\"url\":\"http://a/\"}", "entry"),
            ("http://a/\thttp://b/", "aria2"),
            ("  out=file", "aria2"),
            ("\tdir=/tmp", "aria2"),
            ("http://a/\0", "NUL"),
            ("{\"url\":1}", "string"),
            ("{\"url\":\"x\"", "EOF"),
            ("{}", "url"),
            ("{\"url\":\"x\",\"nope\":1}", "nope"),
            ("{\"url\":\"x\",\"file\":\"/etc/passwd\"}", "file"),
            ("{\"url\":\"x\",\"size\":-1}", "expected a whole number"),
            ("{\"url\":\"x\",\"size\":\"1\"}", "expected a whole number"),
            ("{\"url\":\"x\",\"retry\":1.5}", "expected a whole number up to 4294967295"),
            ("{\"url\":\"x\",\"timeout\":\"1\"}", "expected a number"),
            ("{\"url\":\"x\",\"headers\":{\"a\":1}}", "a list of texts (column"),
            ("\"http://a/\"", "without quotes"),
            ("'http://a/'", "without quotes"),
            ("{\"url\":\"x\",\"headers\":{\"a\":\"b\\r\\nc: d\"}}", "headers"),
            ("{\"url\":\"x\",\"headers\":[]}", "object of header"),
            ("{\"url\":\"x\",\"method\":\"G T\"}", "token"),
            ("{\"url\":\"x\",\"body\":\"a\",\"body_base64\":\"YQ==\"}", "exclude"),
            ("{\"url\":\"x\",\"body_base64\":\"?\"}", "body_base64"),
            ("{\"url\":\"x\",\"sha256\":\"12\"}", "64 hex"),
            ("{\"url\":\"x\",\"output\":\"../x\"}", "safe name"),
            ("{\"url\":\"x\",\"output\":\"/etc/x\"}", "safe name"),
            ("{\"url\":\"x\",\"output\":\"a//b\"}", "safe name"),
            ("{\"url\":\"x\",\"output\":\"a\\u0000b\"}", "safe name"),
            ("{\"url\":\"x\",\"timeout\":0}", "timeout"),
            ("{\"url\":\"x\",\"id\":[1]}", "id"),
            ("{\"url\":\"x\",\"etag\":\"a\\nb\"}", "etag"),
            ("{\"url\":\"x\",\"url\":\"y\"}", "duplicate"),
            ("[1]", "entry"),
        ];
        for (line, want) in table {
            let got = match read(line.as_bytes(), &mut entry) {
                Line::Nothing => "nothing".to_owned(),
                Line::Entry => "entry".to_owned(),
                Line::Aria2 => "aria2".to_owned(),
                Line::Bad(why) => why,
            };
            assert!(got.contains(want), "{line}: {got}");
        }
        assert!(matches!(read(b"http://a/\xff", &mut entry), Line::Bad(_)));
    }

    #[test]
    fn a_bad_line_is_still_known_by_its_id() {
        let mut entry = Entry::default();
        for (bad, id) in [
            (r#""method":"G T""#, true),
            (r#""timeout":0"#, true),
            (r#""timeout":"1""#, true),
            (r#""unknown":1"#, true),
            (r#""id":[1]"#, false),
        ] {
            let its = if id { r#""id":7,"# } else { "" };
            let line = format!(r#"{{"url":"http://a/",{its}"meta":{{"row":[1]}},{bad}}}"#);
            assert!(matches!(read(line.as_bytes(), &mut entry), Line::Bad(_)), "{line}");
            let more = entry.more.as_deref().unwrap();
            assert_eq!(more.meta.as_deref(), Some(r#"{"row":[1]}"#), "{line}");
            assert_eq!(more.id.as_deref(), id.then_some("7"), "{line}");
            assert_eq!(
                (entry.url.as_str(), &more.method, more.timeout),
                ("http://a/", &None, None)
            );
        }
    }

    #[test]
    fn json_lines_carry_all_that_is_promised() {
        let mut entry = Entry::default();
        let line = br#"{"url":"http://a/","id":7,"method":"PUT","headers":{"A":"1","B":["2","3"]},"body_base64":"aGk=","output":"d/f","meta":{"b":1.50,"a":[]},"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","size":3,"etag":"\"x\"","last_modified":"y","timeout":1.5,"retry":2}"#;
        assert_eq!(read(line, &mut entry), Line::Entry);
        let more = entry.more.as_deref().unwrap();
        assert_eq!(more.id.as_deref(), Some("7"));
        assert_eq!(more.meta.as_deref(), Some(r#"{"b":1.50,"a":[]}"#));
        assert_eq!(more.headers.len(), 3);
        assert_eq!(more.body.as_deref(), Some(b"hi".as_slice()));
        assert_eq!((more.size, more.retry, more.timeout), (Some(3), Some(2), Some(1.5)));
        assert_eq!(more.sha256.unwrap()[0], 0xba);
        assert_eq!(read(br#"{"url":"x","id":"q\"r"}"#, &mut entry), Line::Entry);
        assert_eq!(entry.more.as_deref().unwrap().id_text().unwrap(), "q\"r");
    }
}
