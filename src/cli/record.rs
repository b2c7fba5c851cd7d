//! One record: a JSON object on a line, written by hand into a buffer that is used again.
//!
//! Owns the names and the order of the fields. What is not known is left out, but for `status`,
//! which is null then. Secrets do not come here: URLs are masked before.

use std::net::SocketAddr;
use std::time::Duration;

use super::date::Stamp;
use super::json;
use super::secrets::hide;
use crate::engine::{Times, Try};

/// What a record says.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    pub n: u64,
    /// As JSON.
    pub id: Option<&'a str>,
    /// As JSON.
    pub meta: Option<&'a str>,
    pub url: &'a str,
    pub final_url: Option<&'a str>,
    pub method: &'a str,
    pub status: Option<u16>,
    pub error: Option<Error<'a>>,
    pub attempts: u32,
    pub tries: &'a [Try],
    pub redirects: u32,
    pub body_bytes: u64,
    pub wire_bytes: u64,
    pub content_type: Option<&'a [u8]>,
    pub content_length: Option<u64>,
    pub etag: Option<&'a [u8]>,
    pub last_modified: Option<&'a [u8]>,
    pub location: Option<&'a [u8]>,
    pub output: Option<&'a str>,
    pub sha256: Option<[u8; 32]>,
    /// Field lines, each with its end, of those fields that are asked for.
    pub headers: Option<&'a [u8]>,
    pub body: Option<Body<'a>>,
    pub truncated: bool,
    pub unchanged: bool,
    pub warnings: &'a [&'a str],
    /// Milliseconds since 1970.
    pub started: i64,
    pub times: Option<Times>,
    pub dns_stale: bool,
    pub conn: Option<Conn<'a>>,
    pub resumed_at: Option<u64>,
}

/// Why there is no answer that counts.
#[derive(Clone, Copy, Debug)]
pub struct Error<'a> {
    pub kind: &'a str,
    pub phase: &'a str,
    pub message: &'a str,
    /// 0: the system had no part in it.
    pub os: i32,
    /// Whether the connection had served before; `None`: there was none.
    pub reused: Option<bool>,
    pub hint: &'a str,
}

/// The connection of the last attempt.
#[derive(Clone, Copy, Debug)]
pub struct Conn<'a> {
    pub id: u64,
    pub reused: bool,
    pub remote: Option<SocketAddr>,
    pub tls: Option<&'a str>,
}

/// The body, as asked for.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    Text(&'a [u8]),
    Base64(&'a [u8]),
}

/// Writes records.
#[derive(Debug, Default)]
pub struct Writer {
    stamp: Stamp,
    address: Option<(SocketAddr, String)>,
}

/// A field's name as it stands in a line, the comma before it included.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

#[inline]
fn key(key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
}

#[inline]
fn text(name: &str, value: &[u8], out: &mut Vec<u8>) {
    key(name, out);
    json::string(value, out);
}

/// What can hold nothing that would need an escape: tokens, addresses.
#[inline]
fn plain(name: &str, value: &str, out: &mut Vec<u8>) {
    key(name, out);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

#[inline]
fn number(name: &str, value: u64, out: &mut Vec<u8>) {
    key(name, out);
    json::number(value, out);
}

#[inline]
fn yes(name: &str, value: bool, out: &mut Vec<u8>) {
    key(name, out);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

#[inline]
fn times(name: &str, value: Duration, out: &mut Vec<u8>) {
    key(name, out);
    json::millis(value, out);
}

impl Writer {
    /// Appends a record and its line's end.
    pub fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"n\":");
        json::number(record.n, out);
        if let Some(id) = record.id {
            key(key!("id"), out);
            out.extend_from_slice(id.as_bytes());
        }
        if let Some(meta) = record.meta {
            key(key!("meta"), out);
            out.extend_from_slice(meta.as_bytes());
        }
        key(key!("url"), out);
        let from = out.len();
        json::string(record.url.as_bytes(), out);
        let to = out.len();
        if let Some(url) = record.final_url {
            key(key!("final_url"), out);
            // The same again, nearly always.
            if url == record.url {
                out.extend_from_within(from..to);
            } else {
                json::string(url.as_bytes(), out);
            }
        }
        write_verdict(record, out);
        number(key!("body_bytes"), record.body_bytes, out);
        number(key!("wire_bytes"), record.wire_bytes, out);
        if let Some(value) = record.content_type {
            text(key!("content_type"), value, out);
        }
        if let Some(value) = record.content_length {
            number(key!("content_length"), value, out);
        }
        if let Some(value) = record.etag {
            text(key!("etag"), value, out);
        }
        if let Some(value) = record.last_modified {
            text(key!("last_modified"), value, out);
        }
        if let Some(value) = record.location {
            text(key!("location"), &hide(value), out);
        }
        if let Some(output) = record.output {
            text(key!("output"), output.as_bytes(), out);
        }
        if let Some(digest) = &record.sha256 {
            key(key!("sha256"), out);
            out.push(b'"');
            for byte in digest {
                out.extend_from_slice(&json::hex(*byte));
            }
            out.push(b'"');
        }
        if let Some(lines) = record.headers {
            write_headers(lines, out);
        }
        match record.body {
            Some(Body::Text(body)) => text(key!("body"), body, out),
            Some(Body::Base64(body)) => {
                use base64::Engine;
                let encoded = base64::engine::general_purpose::STANDARD.encode(body);
                text(key!("body_base64"), encoded.as_bytes(), out);
            }
            None => {}
        }
        if record.truncated {
            yes(key!("truncated"), true, out);
        }
        if record.unchanged {
            yes(key!("unchanged"), true, out);
        }
        if !record.warnings.is_empty() {
            key(key!("warnings"), out);
            for (at, warning) in record.warnings.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                json::string(warning.as_bytes(), out);
            }
            out.push(b']');
        }
        key(key!("started"), out);
        out.push(b'"');
        self.stamp.write(record.started, out);
        out.push(b'"');
        if let Some(ms) = &record.times {
            out.extend_from_slice(b",\"ms\":{\"queue\":");
            json::millis(ms.queue, out);
            if ms.dns.is_zero() && ms.connect.is_zero() && ms.tls.is_zero() {
                // On a connection that had served.
                out.extend_from_slice(b",\"dns\":0,\"connect\":0,\"tls\":0");
            } else {
                times(key!("dns"), ms.dns, out);
                times(key!("connect"), ms.connect, out);
                times(key!("tls"), ms.tls, out);
            }
            times(key!("first_byte"), ms.first_byte, out);
            times(key!("body"), ms.body, out);
            times(key!("total"), ms.total, out);
            out.push(b'}');
        }
        if record.dns_stale {
            out.extend_from_slice(b",\"dns\":{\"stale\":true}");
        }
        if let Some(conn) = &record.conn {
            self.write_conn(conn, out);
        }
        if let Some(at) = record.resumed_at {
            number(key!("resumed_at"), at, out);
        }
        out.extend_from_slice(b"}\n");
    }

    fn write_conn(&mut self, conn: &Conn<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"conn\":{\"id\":");
        json::number(conn.id, out);
        yes(key!("reused"), conn.reused, out);
        if let Some(remote) = conn.remote {
            // The same address as a moment ago, nearly always.
            if self.address.as_ref().is_none_or(|(last, _)| *last != remote) {
                self.address = Some((remote, remote.to_string()));
            }
            if let Some((_, shown)) = &self.address {
                plain(key!("remote"), shown, out);
            }
        }
        if let Some(tls) = conn.tls {
            plain(key!("tls"), tls, out);
        }
        out.push(b'}');
    }
}

/// From the method to the redirects.
fn write_verdict(record: &Record<'_>, out: &mut Vec<u8>) {
    if record.status == Some(200)
        && record.method == "GET"
        && record.error.is_none()
        && (record.attempts, record.redirects) == (1, 0)
        && record.tries.is_empty()
    {
        // Nearly always.
        const USUAL: &[u8] =
            br#","method":"GET","ok":true,"status":200,"attempts":1,"redirects":0"#;
        out.extend_from_slice(USUAL);
        return;
    }
    text(key!("method"), record.method.as_bytes(), out);
    yes(key!("ok"), record.error.is_none(), out);
    key(key!("status"), out);
    match record.status {
        Some(status) => json::number(u64::from(status), out),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(error) = &record.error {
        write_error(error, out);
    }
    number(key!("attempts"), u64::from(record.attempts), out);
    if !record.tries.is_empty() {
        write_tries(record.tries, out);
    }
    number(key!("redirects"), u64::from(record.redirects), out);
}

fn write_error(error: &Error<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"error\":{\"kind\":");
    json::string(error.kind.as_bytes(), out);
    text(key!("phase"), error.phase.as_bytes(), out);
    text(key!("message"), error.message.as_bytes(), out);
    if error.os != 0 {
        number(key!("os_error"), u64::from(error.os.unsigned_abs()), out);
    }
    if let Some(reused) = error.reused {
        text(key!("fresh_or_reused"), if reused { b"reused" } else { b"fresh" }, out);
    }
    if !error.hint.is_empty() {
        text(key!("hint"), error.hint.as_bytes(), out);
    }
    out.push(b'}');
}

fn write_tries(tries: &[Try], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"tries\":[");
    for (at, one) in tries.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"kind\":" } else { b",{\"kind\":" });
        json::string(one.kind.name().as_bytes(), out);
        if let Some(status) = one.status {
            number(key!("status"), u64::from(status), out);
        }
        number(key!("conn"), one.conn, out);
        yes(key!("reused"), one.reused, out);
        number(key!("at_byte"), one.at_byte, out);
        times(key!("ms"), one.took, out);
        out.push(b'}');
    }
    out.push(b']');
}

/// Field lines as an object of lists, names in lower case, in the order of their first lines.
fn write_headers(lines: &[u8], out: &mut Vec<u8>) {
    let fields: Vec<(&[u8], &[u8])> = lines
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let (name, value) = json::halves(line, b':')?;
            // A status line may have a colon in its reason.
            (!name.contains(&b' ')).then(|| (name, value.trim_ascii()))
        })
        .collect();
    out.extend_from_slice(b",\"headers\":{");
    let mut first = true;
    for (at, (name, _)) in fields.iter().enumerate() {
        let (before, from_here) = fields.split_at(at);
        if before.iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        json::string(&name.to_ascii_lowercase(), out);
        out.extend_from_slice(b":[");
        let same = from_here.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        for (at, (name, value)) in same.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if crate::fetch::is_secret(&String::from_utf8_lossy(name)) {
                json::string(b"***", out);
            } else {
                json::string(&hide(value), out);
            }
        }
        out.push(b']');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_of_json() {
        let mut out = Vec::new();
        let mut writer = Writer::default();
        writer.write(
            &Record {
                n: 1,
                url: "http://a/",
                method: "GET",
                status: Some(200),
                attempts: 1,
                ..Record::default()
            },
            &mut out,
        );
        let plain = r#"{"n":1,"url":"http://a/","method":"GET","ok":true,"status":200,"attempts":1,"redirects":0,"body_bytes":0,"wire_bytes":0,"started":"1970-01-01T00:00:00.000Z"}"#;
        assert_eq!(String::from_utf8_lossy(&out).trim_end(), plain);
        out.clear();
        writer.write(
            &Record {
                n: 2,
                id: Some("\"x\""),
                meta: Some("{\"a\": 1}"),
                url: "http://a/\n\"",
                error: Some(Error {
                    kind: "refused",
                    phase: "connect",
                    message: "m",
                    os: 111,
                    reused: Some(false),
                    hint: "h",
                }),
                headers: Some(
                    b"HTTP/1.1 404 Error: 1\r\nA: 1\r\nB: 2\r\na: 3\r\nSet-Cookie: s=1\r\n",
                ),
                body: Some(Body::Base64(b"hi")),
                sha256: Some([0xab; 32]),
                warnings: &["w"],
                times: Some(Times::default()),
                conn: Some(Conn {
                    id: 7,
                    reused: true,
                    remote: "127.0.0.1:80".parse().ok(),
                    tls: Some("TLSv1.3"),
                }),
                truncated: true,
                unchanged: true,
                dns_stale: true,
                resumed_at: Some(5),
                content_type: Some(b"text/\xff"),
                ..Record::default()
            },
            &mut out,
        );
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["ok"], false);
        assert_eq!(value["status"], serde_json::Value::Null);
        assert_eq!(value["error"]["os_error"], 111);
        assert_eq!(value["headers"]["a"], serde_json::json!(["1", "3"]));
        assert_eq!(value["headers"]["set-cookie"], serde_json::json!(["***"]));
        assert_eq!(value["headers"].as_object().unwrap().len(), 3, "{}", value["headers"]);
        assert_eq!(value["body_base64"], "aGk=");
        assert_eq!(value["content_type"], "text/\u{ff}");
        assert_eq!(value["conn"]["remote"], "127.0.0.1:80");
    }
}
