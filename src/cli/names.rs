//! File names out of other people's text: never another folder, never a device, never a surprise
//! on a terminal, never too long.
//!
//! Owns what a safe name is, and which name a URL or a `Content-Disposition` suggests. Never
//! touches a file system.
#![expect(
    clippy::string_slice,
    reason = "`from` is where a part of the path begins; a dot is one byte"
)]

use std::borrow::Cow;
use std::fmt::Write as _;

use super::json;

/// Bytes of one part of a path. Leaves room for `.gannet-part` and the validator's suffix below
/// the usual limit of 255.
pub const MAX_PART: usize = 220;
/// Parts of one `{path}`; what is deeper is folded into one.
const MAX_DEPTH: usize = 32;

/// The name that curl takes when a URL suggests none.
pub const NO_NAME: &str = "curl_response";

/// Appends `text` as a piece of one part of a path: separators, controls and what Windows forbids
/// become `_`.
pub fn push_piece(text: &str, out: &mut String) {
    for c in text.chars() {
        out.push(if is_harmless(c) { c } else { '_' });
    }
}

fn is_harmless(c: char) -> bool {
    match c {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => false,
        // Controls, and what reorders or hides text.
        c if c.is_control() => false,
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffd}' => false,
        _ => true,
    }
}

/// Makes what stands in `path` from `from` on, one part without separators, safe as a whole: not
/// empty, not `.` or `..`, no device, no trailing dot or blank, not too long.
pub fn finish_part(path: &mut String, from: usize) {
    let part = &path[from..];
    if part.len() > MAX_PART {
        shorten(path, from);
    }
    let part = &path[from..];
    let kept = part.trim_end_matches(['.', ' ']).len();
    if kept < part.len() {
        let cut = part.len() - kept;
        path.truncate(from + kept);
        for _ in 0..cut {
            path.push('_');
        }
    }
    let part = &path[from..];
    if part.is_empty()
        || part.starts_with(' ')
        || part.starts_with('~')
        || part.starts_with('-')
        || is_device(part)
    {
        path.insert(from, '_');
    }
}

/// Keeps the beginning and the extension, and puts a hash of the whole between.
fn shorten(path: &mut String, from: usize) {
    let part = path[from..].to_owned();
    let extension = extension(&part).to_owned();
    let mut end = MAX_PART - extension.len() - 17;
    while !part.is_char_boundary(end) {
        end -= 1;
    }
    path.truncate(from + end);
    path.push('~');
    let hash = super::hash::sha256(part.as_bytes());
    for &byte in hash.iter().take(8) {
        push_hex(byte, path);
    }
    path.push_str(&extension);
}

/// Appends two hexadecimal digits.
pub fn push_hex(byte: u8, out: &mut String) {
    out.extend(json::hex(byte).map(char::from));
}

/// Names that mean a device on some system, with or without an extension.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end_matches(' ');
    let upper = stem.to_ascii_uppercase();
    match upper.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$" => true,
        other => {
            let numbered = other.strip_prefix("COM").or_else(|| other.strip_prefix("LPT"));
            numbered.is_some_and(|digit| {
                let mut chars = digit.chars();
                matches!(chars.next(), Some('0'..='9' | '¹' | '²' | '³')) && chars.next().is_none()
            })
        }
    }
}

/// The extension with its dot, if it looks like one; else nothing.
pub fn extension(name: &str) -> &str {
    match name.rfind('.') {
        Some(at) if at > 0 => {
            let extension = &name[at + 1..];
            let good = (1..=10).contains(&extension.len())
                && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if good { &name[at..] } else { "" }
        }
        _ => "",
    }
}

/// Appends text with its percent-encodings undone; what is no UTF-8 then becomes `_`.
pub fn push_decoded(text: &str, out: &mut String) {
    push_piece(&decoded(text), out);
}

/// The text with its percent-encodings undone.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = match (first, hex(0), hex(1), after) {
            (b'%', Some(high), Some(low), [_, _, after @ ..]) => {
                plain.push((high * 16 + low) as u8);
                after
            }
            (byte, ..) => {
                plain.push(*byte);
                after
            }
        };
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// Appends a URL's path as parts of a path, without a leading separator; a folder's name is
/// followed by `index`.
pub fn push_path(url_path: &str, out: &mut String) {
    let start = out.len();
    let segments = url_path.split('/').filter(|segment| !segment.is_empty());
    for (depth, segment) in segments.enumerate() {
        if out.len() > start {
            out.push(if depth < MAX_DEPTH { '/' } else { '_' });
        }
        let from = out.len();
        push_decoded(segment, out);
        finish_part(out, from);
    }
    if out.len() == start {
        out.push_str("index");
    } else if url_path.ends_with('/') {
        out.push_str("/index");
    }
}

/// The last segment of a URL's path, or nothing.
pub fn last_segment(url_path: &str) -> &str {
    url_path.rsplit('/').next().unwrap_or("")
}

/// The name for `-O`, as curl since 8.10 takes it: the last part of the path, with a trailing
/// slash the folder's.
pub fn remote_name(url_path: &str) -> &str {
    let trimmed = url_path.trim_end_matches(['/', '\\']);
    match trimmed.rsplit(['/', '\\']).next() {
        Some(name) if !name.is_empty() && name != "." && name != ".." => name,
        _ => NO_NAME,
    }
}

/// The name for `-O` with the letters that were typed in the URL, where it has their percent-encodings:
/// what was typed so stays so, as with curl, and so does what hides or reorders text.
pub fn as_typed<'n>(typed: &str, name: &'n str) -> Cow<'n, str> {
    let last = remote_name(typed.split(['?', '#']).next().unwrap_or(typed));
    if last.is_ascii() {
        return Cow::Borrowed(name);
    }
    let mut out = String::new();
    let mut rest = name;
    for c in last.chars() {
        let mut encoded = String::new();
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            let _ = write!(encoded, "%{byte:02X}");
        }
        if let Some(after) = rest.strip_prefix(c) {
            out.push(c);
            rest = after;
        } else if let Some(after) = rest.strip_prefix(&encoded) {
            if c.is_ascii() || !is_harmless(c) {
                out.push_str(&encoded);
            } else {
                out.push(c);
            }
            rest = after;
        } else {
            // The URL was put in order where it is named: dots, tabs.
            return Cow::Borrowed(name);
        }
    }
    if rest.is_empty() { Cow::Owned(out) } else { Cow::Borrowed(name) }
}

/// The name in a `Content-Disposition`, its last part only, made safe.
pub fn disposition_name(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let mut plain = None;
    let mut extended = None;
    for parameter in parameters(&text) {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("filename") {
            plain = plain.or_else(|| Some(unquoted(value)));
        } else if name.eq_ignore_ascii_case("filename*") {
            // RFC 8187: charset'language'value.
            let mut parts = value.splitn(3, '\'');
            if let (Some(charset), Some(_), Some(value)) =
                (parts.next(), parts.next(), parts.next())
                && charset.eq_ignore_ascii_case("utf-8")
            {
                // Separators are looked for after decoding, and before they are replaced.
                extended = Some(decoded(value).into_owned());
            }
        }
    }
    let name = plain.or(extended)?;
    let last = name.rsplit(['/', '\\']).next().unwrap_or("");
    let mut safe = String::new();
    push_piece(last, &mut safe);
    let safe = safe.trim().to_owned();
    if safe.is_empty() || safe.bytes().all(|byte| byte == b'.') {
        return None;
    }
    let mut safe = safe;
    finish_part(&mut safe, 0);
    // A hidden file is nothing that a server should place.
    if safe.starts_with('.') {
        safe.insert(0, '_');
    }
    Some(safe)
}

/// Splits at semicolons outside quotes.
fn parameters(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c| {
        let splits = c == ';' && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        splits
    })
}

fn unquoted(value: &str) -> String {
    // Some servers write single quotes; curl takes them for quotes, closed or not.
    if let Some(inside) = value.strip_prefix('\'') {
        return inside.split('\'').next().unwrap_or("").to_owned();
    }
    let Some(inside) = value.strip_prefix('"') else { return value.to_owned() };
    let mut out = String::new();
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            // A backslash before anything but quotes is somebody's Windows path.
            '\\' => match chars.clone().next() {
                Some(next @ ('"' | '\\')) => {
                    chars.next();
                    out.push(next);
                }
                _ => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

/// The name that a redirect's target suggests, safe; `None` when it ends with a slash.
pub fn redirect_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let last = path.splitn(4, '/').nth(3)?.rsplit('/').next().filter(|last| !last.is_empty())?;
    let mut safe = String::new();
    push_piece(last, &mut safe);
    finish_part(&mut safe, 0);
    Some(safe)
}

/// The usual extension, with its dot, for a content type; else nothing.
pub fn type_extension(content_type: &str) -> &'static str {
    let essence = content_type.split(';').next().unwrap_or("").trim();
    let found = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(essence));
    match found {
        Some((_, extension)) => extension,
        None if essence.len() > 5 && essence.to_ascii_lowercase().ends_with("+json") => ".json",
        None if essence.len() > 4 && essence.to_ascii_lowercase().ends_with("+xml") => ".xml",
        None => "",
    }
}

const TYPES: &[(&str, &str)] = &[
    ("text/html", ".html"),
    ("application/json", ".json"),
    ("image/jpeg", ".jpg"),
    ("image/png", ".png"),
    ("text/plain", ".txt"),
    ("application/pdf", ".pdf"),
    ("application/xml", ".xml"),
    ("text/xml", ".xml"),
    ("application/xhtml+xml", ".xhtml"),
    ("text/css", ".css"),
    ("text/javascript", ".js"),
    ("application/javascript", ".js"),
    ("text/csv", ".csv"),
    ("text/markdown", ".md"),
    ("text/calendar", ".ics"),
    ("image/gif", ".gif"),
    ("image/webp", ".webp"),
    ("image/avif", ".avif"),
    ("image/svg+xml", ".svg"),
    ("image/bmp", ".bmp"),
    ("image/tiff", ".tiff"),
    ("image/x-icon", ".ico"),
    ("image/vnd.microsoft.icon", ".ico"),
    ("image/heic", ".heic"),
    ("audio/mpeg", ".mp3"),
    ("audio/ogg", ".ogg"),
    ("audio/wav", ".wav"),
    ("audio/flac", ".flac"),
    ("audio/mp4", ".m4a"),
    ("video/mp4", ".mp4"),
    ("video/webm", ".webm"),
    ("video/quicktime", ".mov"),
    ("video/x-matroska", ".mkv"),
    ("application/zip", ".zip"),
    ("application/gzip", ".gz"),
    ("application/x-gzip", ".gz"),
    ("application/x-tar", ".tar"),
    ("application/x-bzip2", ".bz2"),
    ("application/x-xz", ".xz"),
    ("application/zstd", ".zst"),
    ("application/x-7z-compressed", ".7z"),
    ("application/vnd.rar", ".rar"),
    ("application/msword", ".doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
    ("application/vnd.ms-excel", ".xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"),
    ("application/vnd.ms-powerpoint", ".ppt"),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx"),
    ("application/epub+zip", ".epub"),
    ("application/wasm", ".wasm"),
    ("application/x-ndjson", ".ndjson"),
    ("application/jsonl", ".jsonl"),
    ("application/rss+xml", ".rss"),
    ("application/atom+xml", ".atom"),
    ("font/woff", ".woff"),
    ("font/woff2", ".woff2"),
    ("font/ttf", ".ttf"),
    ("font/otf", ".otf"),
    ("application/warc", ".warc"),
    ("application/octet-stream", ".bin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_look_like_extensions() {
        for (name, want) in [
            ("a.txt", ".txt"),
            ("a.tar.gz", ".gz"),
            (".htaccess", ""),
            ("a", ""),
            ("a.", ""),
            ("a.b c", ""),
            ("a.waytoolongforone", ""),
            ("v1.2-beta", ""),
        ] {
            assert_eq!(extension(name), want, "{name}");
        }
        assert_eq!(type_extension("text/HTML; charset=utf-8"), ".html");
        assert_eq!(type_extension("application/ld+json"), ".json");
        assert_eq!(type_extension("x/y"), "");
    }

    #[test]
    fn names_of_urls_as_curl_takes_them() {
        for (path, want) in [
            ("/a/b.txt", "b.txt"),
            ("/a/", "a"),
            ("/a//", "a"),
            ("/", NO_NAME),
            ("", NO_NAME),
            ("/a%2Fb", "a%2Fb"),
            ("/a/..", NO_NAME),
            ("/x\\y", "y"),
        ] {
            assert_eq!(remote_name(path), want, "{path}");
        }
    }

    #[test]
    fn names_as_they_were_typed() {
        for (typed, name, want) in [
            ("http://h/a/é", "%C3%A9", "é"),
            ("http://h/é?é#é", "%C3%A9", "é"),
            ("http://h/%C3%A9", "%C3%A9", "%C3%A9"),
            ("http://h/%c3%a9é", "%c3%a9%C3%A9", "%c3%a9é"),
            ("http://h/é \"日本.txt", "%C3%A9%20%22%E6%97%A5%E6%9C%AC.txt", "é%20%22日本.txt"),
            ("http://h/é/", "%C3%A9", "é"),
            ("http://h/a\u{202e}b", "a%E2%80%AEb", "a%E2%80%AEb"),
            ("http://h/a\u{85}b", "a%C2%85b", "a%C2%85b"),
            ("http://é.example", NO_NAME, NO_NAME),
            ("http://h/é/..", "x", "x"),
        ] {
            assert_eq!(as_typed(typed, name), want, "{typed}");
        }
    }

    #[test]
    fn names_that_servers_give() {
        let table: &[(&str, Option<&str>)] = &[
            ("attachment; filename=a.txt", Some("a.txt")),
            ("attachment; filename=\"a b.txt\"", Some("a b.txt")),
            ("attachment; FileName=\"a;b\\\"c.txt\"", Some("a;b_c.txt")),
            ("attachment; filename=\"/etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"..\\\\..\\\\x.exe\"", Some("x.exe")),
            ("attachment; filename=\"C:\\windows\\x\"", Some("x")),
            ("attachment; filename=\"..\"", None),
            ("attachment; filename=\"a/\"", None),
            ("attachment; filename=\"\"", None),
            ("attachment; filename=.bashrc", Some("_.bashrc")),
            ("attachment; filename=-rf", Some("_-rf")),
            ("attachment; filename=con.txt", Some("_con.txt")),
            ("attachment; filename*=UTF-8''a%20%e2%82%ac.txt", Some("a €.txt")),
            ("attachment; filename*=UTF-8''..%2f..%2fx", Some("x")),
            ("attachment; filename=a.txt; filename*=UTF-8''b.txt", Some("a.txt")),
            ("attachment", None),
            ("inline; name=x", None),
            // Forms that Julian Reschke's tc2231, Chromium and Firefox ask about.
            ("filename =abcde.pdf", Some("abcde.pdf")),
            ("x=y; filename=foo.html", Some("foo.html")),
            ("; filename=foo.html", Some("foo.html")),
            ("attachment; ;filename=foo", Some("foo")),
            ("attachment; filename=foo bar.html ;", Some("foo bar.html")),
            ("attachment; filename='foo.bar'", Some("foo.bar")),
            ("attachment; filename=\"bar", Some("bar")),
            ("attachment; filename=\"foo.html\".txt", Some("foo.html")),
            ("attachment; filename=\"foo.html\"; filename=\"bar.html\"", Some("foo.html")),
            ("attachment; filename=foo[1](2).html", Some("foo[1](2).html")),
            ("attachment; filename=\"foo-%41.html\"", Some("foo-%41.html")),
            ("attachment; filename=\"50%.html\"", Some("50%.html")),
            ("attachment; foo=\"\\\"\\\\\";filename=\"foo.html\"", Some("foo.html")),
            ("attachment; example=\"filename=example.txt\"", None),
            ("attachment; foo=foo filename=bar", None),
            ("attachment filename=foo", None),
            ("attachment; xfilename=foo.html", None),
            ("attachment; filename=", None),
            ("attachment; filename*=foo.html", None),
            ("attachment; filename*=''foo.html", None),
            ("attachment; filename*=bogus''foo.html", None),
            ("attachment; filename*0=foo; filename*1=bar", None),
            ("attachment; filename*= UTF-8'en'foo-%c3%a4.html", Some("foo-ä.html")),
            ("attachment; filename*=UTF-8''A%e4B", Some("A_B")),
            ("attachment; filename*=UTF-8''a%zz%", Some("a%zz%")),
            ("attachment; filename*=UTF-8''a%00b", Some("a_b")),
        ];
        for (value, want) in table {
            assert_eq!(disposition_name(value.as_bytes()).as_deref(), *want, "{value}");
        }
    }
}
