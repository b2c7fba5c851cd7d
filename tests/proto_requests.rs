//! The rulings on requests as a table: nothing that a user or an embedder passes in can smuggle a line.

use std::num::NonZeroU64;

use gannet::proto::{
    RequestBody, RequestError, RequestHead, encode_chunk_end, encode_chunk_start, encode_field,
    encode_head, encode_last_chunk, end_head, is_idempotent, is_safe,
};

type Fields = &'static [(&'static str, &'static [u8])];
const NONE: Fields = &[];
const NO_BODY: RequestBody = RequestBody::None;

struct Row {
    /// What, and in brackets the source.
    title: &'static str,
    method: &'static str,
    target: &'static str,
    host: &'static str,
    fields: Fields,
    body: RequestBody,
    expected: Result<&'static str, RequestError>,
}

macro_rules! rows {
    ($($title:literal: $method:literal $target:literal $host:literal $fields:expr, $body:expr => $expected:expr;)*) => {
        &[$(Row {
            title: $title, method: $method, target: $target, host: $host, fields: $fields, body: $body,
            expected: $expected,
        }),*]
    };
}

#[rustfmt::skip]
const ROWS: &[Row] = rows! {
    // The start line and Host.
    "a GET [RFC 9112 section 3]":
        "GET" "/" "example.com" NONE, NO_BODY => Ok("GET / HTTP/1.1\r\nHost: example.com\r\n");
    "a query [RFC 9112 section 3.2.1]":
        "GET" "/a?b=c&d=%20" "a" NONE, NO_BODY => Ok("GET /a?b=c&d=%20 HTTP/1.1\r\nHost: a\r\n");
    "every visible character may stand in a target [RFC 9112 section 3.2; the user encodes the rest]":
        "GET" "/!\"#$%&'()*+,-.:;<=>?@[]^_`{|}~" "a" NONE, NO_BODY
        => Ok("GET /!\"#$%&'()*+,-.:;<=>?@[]^_`{|}~ HTTP/1.1\r\nHost: a\r\n");
    "asterisk-form [RFC 9112 section 3.2.4]":
        "OPTIONS" "*" "a" NONE, NO_BODY => Ok("OPTIONS * HTTP/1.1\r\nHost: a\r\n");
    "authority-form [RFC 9112 section 3.2.3]":
        "CONNECT" "a:443" "a:443" NONE, NO_BODY => Ok("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n");
    "absolute-form [RFC 9112 section 3.2.2]":
        "GET" "http://a/b" "a" NONE, NO_BODY => Ok("GET http://a/b HTTP/1.1\r\nHost: a\r\n");
    "a port and an IPv6 literal in Host [RFC 9110 section 7.2]":
        "GET" "/" "[::1]:8080" NONE, NO_BODY => Ok("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n");
    "an empty Host, when the target has no authority [RFC 9112 section 3.2]":
        "GET" "/" "" NONE, NO_BODY => Ok("GET / HTTP/1.1\r\nHost:\r\n");
    "fields in their order, Host first [RFC 9110 section 7.2: send Host first]":
        "GET" "/" "a" &[("B", b"2"), ("A", b"1"), ("B", b"3")], NO_BODY
        => Ok("GET / HTTP/1.1\r\nHost: a\r\nB: 2\r\nA: 1\r\nB: 3\r\n");
    "a Host set by hand takes the place of ours, and comes first [curl -H Host:]":
        "GET" "/" "a" &[("A", b"1"), ("Host", b"b")], NO_BODY
        => Ok("GET / HTTP/1.1\r\nHost: b\r\nA: 1\r\n");
    "a Host in other letters [RFC 9110 section 5.1]":
        "GET" "/" "a" &[("hOST", b"b")], NO_BODY => Ok("GET / HTTP/1.1\r\nHost: b\r\n");
    "of several the first counts [RFC 9112 section 3.2: one Host]":
        "GET" "/" "a" &[("Host", b"b"), ("Host", b"c")], NO_BODY
        => Ok("GET / HTTP/1.1\r\nHost: b\r\n");
    "blanks around a Host set by hand are none of it [RFC 9110 section 5.5]":
        "GET" "/" "a" &[("Host", b" b\t")], NO_BODY => Ok("GET / HTTP/1.1\r\nHost: b\r\n");
    "a Host set by hand may be empty [curl -H 'Host;']":
        "GET" "/" "a" &[("Host", b"")], NO_BODY => Ok("GET / HTTP/1.1\r\nHost:\r\n");
    "a bad Host of ours does no harm when one is set by hand [ruling]":
        "GET" "/" "a b" &[("Host", b"c")], NO_BODY => Ok("GET / HTTP/1.1\r\nHost: c\r\n");

    // Methods.
    "a method of one's own [RFC 9110 section 9.1]":
        "PROPFIND" "/" "a" NONE, NO_BODY => Ok("PROPFIND / HTTP/1.1\r\nHost: a\r\n");
    "case matters [RFC 9110 section 9.1]":
        "get" "/" "a" NONE, NO_BODY => Ok("get / HTTP/1.1\r\nHost: a\r\n");
    "every character of a token [RFC 9110 section 5.6.2]":
        "!#$%&'*+-.^_`|~aZ09" "/" "a" NONE, NO_BODY
        => Ok("!#$%&'*+-.^_`|~aZ09 / HTTP/1.1\r\nHost: a\r\n");
    "no method [RFC 9110 section 9.1]": "" "/" "a" NONE, NO_BODY => Err(RequestError::BadMethod);
    "a blank in the method [ruling: nothing can smuggle a blank]":
        "GET /x" "/" "a" NONE, NO_BODY => Err(RequestError::BadMethod);
    "CR LF in the method [ruling: nothing can smuggle CR, LF]":
        "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" "/" "a" NONE, NO_BODY => Err(RequestError::BadMethod);
    "LF in the method [ruling]": "GET\n" "/" "a" NONE, NO_BODY => Err(RequestError::BadMethod);
    "NUL in the method [ruling]": "GE\0T" "/" "a" NONE, NO_BODY => Err(RequestError::BadMethod);
    "HTAB in the method [ruling]": "GET\t" "/" "a" NONE, NO_BODY => Err(RequestError::BadMethod);
    "a colon in the method [RFC 9110 section 5.6.2]":
        "GET:" "/" "a" NONE, NO_BODY => Err(RequestError::BadMethod);
    "a letter beyond ASCII in the method [RFC 9110 section 5.6.2]":
        "GËT" "/" "a" NONE, NO_BODY => Err(RequestError::BadMethod);

    // Targets.
    "no target [RFC 9112 section 3.2]": "GET" "" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "a blank in the target [ruling: nothing can smuggle a blank]":
        "GET" "/a b" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "a version in the target [ruling]":
        "GET" "/ HTTP/1.0" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "a blank at the end of the target [ruling]":
        "GET" "/ " "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "HTAB in the target [ruling]": "GET" "/\t" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "CR LF in the target [ruling; CVE-2019-9740 of Python]":
        "GET" "/\r\nX: y" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "CR in the target [ruling]": "GET" "/\r" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "LF in the target [ruling]": "GET" "/\n" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "NUL in the target [ruling]": "GET" "/\0" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "DEL in the target [ruling]": "GET" "/\x7f" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "VT in the target [ruling]": "GET" "/\x0b" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "UTF-8 in the target: the caller encodes it [RFC 3986 section 2.5]":
        "GET" "/ü" "a" NONE, NO_BODY => Err(RequestError::BadTarget);
    "characters that fold to CR LF in narrow encodings [Node.js, CVE-2018-12116]":
        "GET" "/\u{010d}\u{010a}" "a" NONE, NO_BODY => Err(RequestError::BadTarget);

    // Host.
    "a blank in Host [ruling: nothing can smuggle a blank]":
        "GET" "/" "a b" NONE, NO_BODY => Err(RequestError::BadHost);
    "CR LF in Host [ruling]": "GET" "/" "a\r\nX: y" NONE, NO_BODY => Err(RequestError::BadHost);
    "CR in Host [ruling]": "GET" "/" "a\r" NONE, NO_BODY => Err(RequestError::BadHost);
    "LF in Host [ruling]": "GET" "/" "a\n" NONE, NO_BODY => Err(RequestError::BadHost);
    "NUL in Host [ruling]": "GET" "/" "a\0" NONE, NO_BODY => Err(RequestError::BadHost);
    "HTAB in Host [ruling]": "GET" "/" "a\tb" NONE, NO_BODY => Err(RequestError::BadHost);
    "DEL in Host [ruling]": "GET" "/" "a\x7f" NONE, NO_BODY => Err(RequestError::BadHost);
    "a blank in a Host set by hand [ruling]":
        "GET" "/" "a" &[("Host", b"b c")], NO_BODY => Err(RequestError::BadHost);
    "CR LF in a Host set by hand [ruling]":
        "GET" "/" "a" &[("Host", b"b\r\nX: y")], NO_BODY => Err(RequestError::BadHost);

    // Field names and values.
    "an empty value [RFC 9110 section 5.5]":
        "GET" "/" "a" &[("A", b"")], NO_BODY => Ok("GET / HTTP/1.1\r\nHost: a\r\nA:\r\n");
    "blanks and HTAB in a value [RFC 9110 section 5.5]":
        "GET" "/" "a" &[("A", b" b\t c ")], NO_BODY
        => Ok("GET / HTTP/1.1\r\nHost: a\r\nA:  b\t c \r\n");
    "UTF-8 in a value [RFC 9110 section 5.5, obs-text]":
        "GET" "/" "a" &[("A", "ü".as_bytes())], NO_BODY
        => Ok("GET / HTTP/1.1\r\nHost: a\r\nA: ü\r\n");
    "a colon in a value [RFC 9110 section 5.5]":
        "GET" "/" "a" &[("A", b"b: c")], NO_BODY => Ok("GET / HTTP/1.1\r\nHost: a\r\nA: b: c\r\n");
    "CR LF in a value [ruling]":
        "GET" "/" "a" &[("A", b"b\r\nX: y")], NO_BODY => Err(RequestError::BadFieldValue);
    "a fold in a value [RFC 9112 section 5.2: not to be sent]":
        "GET" "/" "a" &[("A", b"b\r\n c")], NO_BODY => Err(RequestError::BadFieldValue);
    "CR in a value [ruling]":
        "GET" "/" "a" &[("A", b"b\rc")], NO_BODY => Err(RequestError::BadFieldValue);
    "LF in a value [ruling]":
        "GET" "/" "a" &[("A", b"b\nX: y")], NO_BODY => Err(RequestError::BadFieldValue);
    "LF at the end of a value [ruling]":
        "GET" "/" "a" &[("A", b"b\n")], NO_BODY => Err(RequestError::BadFieldValue);
    "NUL in a value [ruling]":
        "GET" "/" "a" &[("A", b"b\0")], NO_BODY => Err(RequestError::BadFieldValue);
    "ESC in a value [ruling]":
        "GET" "/" "a" &[("A", b"\x1b[2J")], NO_BODY => Err(RequestError::BadFieldValue);
    "DEL in a value [ruling]":
        "GET" "/" "a" &[("A", b"\x7f")], NO_BODY => Err(RequestError::BadFieldValue);
    "FF in a value [ruling]":
        "GET" "/" "a" &[("A", b"b\x0c")], NO_BODY => Err(RequestError::BadFieldValue);
    "an empty name [RFC 9110 section 5.1]":
        "GET" "/" "a" &[("", b"b")], NO_BODY => Err(RequestError::BadFieldName);
    "a colon in a name [RFC 9110 section 5.1]":
        "GET" "/" "a" &[("A:", b"b")], NO_BODY => Err(RequestError::BadFieldName);
    "a blank in a name [RFC 9110 section 5.1]":
        "GET" "/" "a" &[("A B", b"c")], NO_BODY => Err(RequestError::BadFieldName);
    "a blank behind a name [RFC 9112 section 5.1]":
        "GET" "/" "a" &[("A ", b"b")], NO_BODY => Err(RequestError::BadFieldName);
    "a blank before a name: a fold [RFC 9112 section 5.2]":
        "GET" "/" "a" &[(" A", b"b")], NO_BODY => Err(RequestError::BadFieldName);
    "CR LF in a name [ruling]":
        "GET" "/" "a" &[("A: b\r\nC", b"d")], NO_BODY => Err(RequestError::BadFieldName);
    "NUL in a name [ruling]":
        "GET" "/" "a" &[("A\0", b"b")], NO_BODY => Err(RequestError::BadFieldName);
    "a name beyond ASCII [RFC 9110 section 5.1]":
        "GET" "/" "a" &[("Ä", b"b")], NO_BODY => Err(RequestError::BadFieldName);
    "the second field is the bad one [ruling: nothing is written]":
        "GET" "/" "a" &[("A", b"b"), ("C", b"\n")], NO_BODY => Err(RequestError::BadFieldValue);
    "a Host with a blank behind its name is no Host [RFC 9112 section 5.1]":
        "GET" "/" "a" &[("Host ", b"b")], NO_BODY => Err(RequestError::BadFieldName);

    // Framing.
    "POST without content says so [RFC 9110 section 8.6]":
        "POST" "/" "a" NONE, NO_BODY => Ok("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n");
    "PUT without content [RFC 9110 section 8.6]":
        "PUT" "/" "a" NONE, NO_BODY => Ok("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n");
    "PATCH without content [RFC 9110 section 8.6]":
        "PATCH" "/" "a" NONE, NO_BODY => Ok("PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n");
    "DELETE without content says nothing [RFC 9110 section 8.6]":
        "DELETE" "/" "a" NONE, NO_BODY => Ok("DELETE / HTTP/1.1\r\nHost: a\r\n");
    "post in small letters is another method [RFC 9110 section 9.1]":
        "post" "/" "a" NONE, NO_BODY => Ok("post / HTTP/1.1\r\nHost: a\r\n");
    "content [RFC 9112 section 6.2]":
        "POST" "/" "a" &[("A", b"b")], RequestBody::Length(12345)
        => Ok("POST / HTTP/1.1\r\nHost: a\r\nA: b\r\nContent-Length: 12345\r\n");
    "content of no bytes [RFC 9110 section 8.6]":
        "POST" "/" "a" NONE, RequestBody::Length(0)
        => Ok("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n");
    "the largest length [RFC 9110 section 8.6]":
        "POST" "/" "a" NONE, RequestBody::Length(u64::MAX)
        => Ok("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n");
    "GET with content [RFC 9110 section 9.3.1]":
        "GET" "/" "a" NONE, RequestBody::Length(5)
        => Ok("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n");
    "chunked [RFC 9112 section 6.1]":
        "POST" "/" "a" NONE, RequestBody::Chunked
        => Ok("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n");
    "a length passed in that is right is written once [ruling]":
        "POST" "/" "a" &[("content-length", b"5"), ("A", b"b")], RequestBody::Length(5)
        => Ok("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nA: b\r\n");
    "twice the right length [ruling]":
        "POST" "/" "a" &[("Content-Length", b"5"), ("Content-Length", b"5")], RequestBody::Length(5)
        => Ok("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n");
    "a length of zero passed in with GET is written [ruling]":
        "GET" "/" "a" &[("Content-Length", b"0")], NO_BODY
        => Ok("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n");
    "a wrong length [ruling: refused]":
        "POST" "/" "a" &[("Content-Length", b"6")], RequestBody::Length(5)
        => Err(RequestError::ContradictingContentLength);
    "a right length and a wrong one [ruling: refused]":
        "POST" "/" "a" &[("Content-Length", b"5"), ("content-length", b"6")], RequestBody::Length(5)
        => Err(RequestError::ContradictingContentLength);
    "a length without content [ruling: refused]":
        "GET" "/" "a" &[("Content-Length", b"5")], NO_BODY
        => Err(RequestError::ContradictingContentLength);
    "a length that is none [ruling: refused]":
        "POST" "/" "a" &[("Content-Length", b"+5")], RequestBody::Length(5)
        => Err(RequestError::ContradictingContentLength);
    "a list of lengths [ruling: refused]":
        "POST" "/" "a" &[("Content-Length", b"5, 5")], RequestBody::Length(5)
        => Err(RequestError::ContradictingContentLength);
    "an empty length [ruling: refused]":
        "POST" "/" "a" &[("Content-Length", b"")], NO_BODY
        => Err(RequestError::ContradictingContentLength);
    "a length with chunked [RFC 9112 section 6.2: not both]":
        "POST" "/" "a" &[("Content-Length", b"5")], RequestBody::Chunked
        => Err(RequestError::ContradictingContentLength);
    "chunked passed in and meant [ruling]":
        "POST" "/" "a" &[("transfer-encoding", b"Chunked")], RequestBody::Chunked
        => Ok("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n");
    "chunked passed in with a length [RFC 9112 section 6.2: not both]":
        "POST" "/" "a" &[("Transfer-Encoding", b"chunked")], RequestBody::Length(5)
        => Err(RequestError::ContradictingTransferEncoding);
    "chunked passed in without content [ruling: refused]":
        "GET" "/" "a" &[("Transfer-Encoding", b"chunked")], NO_BODY
        => Err(RequestError::ContradictingTransferEncoding);
    "another coding passed in [ruling: refused]":
        "POST" "/" "a" &[("Transfer-Encoding", b"gzip, chunked")], RequestBody::Chunked
        => Err(RequestError::ContradictingTransferEncoding);
    "identity passed in [ruling: refused]":
        "POST" "/" "a" &[("Transfer-Encoding", b"identity")], RequestBody::Length(5)
        => Err(RequestError::ContradictingTransferEncoding);
    "both passed in [Kettle, HTTP Desync Attacks (2019)]":
        "POST" "/" "a" &[("Content-Length", b"5"), ("Transfer-Encoding", b"chunked")], RequestBody::Length(5)
        => Err(RequestError::ContradictingTransferEncoding);
    "a name that hides Transfer-Encoding by a blank [Kettle, HTTP Desync Attacks (2019)]":
        "POST" "/" "a" &[("Transfer-Encoding ", b"chunked")], RequestBody::Length(5)
        => Err(RequestError::BadFieldName);
};

#[test]
fn every_row_is_encoded_or_refused() {
    for row in ROWS {
        assert!(row.title.ends_with(']'), "{}: no source", row.title);
        let head = RequestHead {
            method: row.method,
            target: row.target,
            host: row.host,
            fields: row.fields,
        };
        let mut out = b"kept".to_vec();
        let result = encode_head(&mut out, &head, row.body);
        let written = std::str::from_utf8(&out[4..]).expect("these rows are UTF-8");
        assert_eq!(result.map(|()| written), row.expected, "{}", row.title);
        assert!(out.starts_with(b"kept"));
        if result.is_err() {
            assert_eq!(out, b"kept", "{}: something was written", row.title);
        }
    }
}

#[test]
fn an_attempt_adds_fields_and_ends_the_head() {
    let mut out = Vec::new();
    let head = RequestHead { method: "GET", target: "/", host: "a", fields: NONE };
    encode_head(&mut out, &head, NO_BODY).unwrap();
    encode_field(&mut out, "Range", b"bytes=5-").unwrap();
    let before = out.clone();
    assert_eq!(encode_field(&mut out, "If-Range", b"\"a\r\n\""), Err(RequestError::BadFieldValue));
    assert_eq!(encode_field(&mut out, "If Range", b"a"), Err(RequestError::BadFieldName));
    assert_eq!(out, before);
    end_head(&mut out);
    assert_eq!(out, b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=5-\r\n\r\n");
}

#[test]
fn chunks_are_written_as_they_come() {
    let mut out = Vec::new();
    for (length, line) in [
        (1, "1\r\n"),
        (15, "f\r\n"),
        (16, "10\r\n"),
        (255, "ff\r\n"),
        (u64::MAX, "ffffffffffffffff\r\n"),
    ] {
        out.clear();
        encode_chunk_start(&mut out, NonZeroU64::new(length).unwrap());
        assert_eq!(out, line.as_bytes());
    }
    out.clear();
    encode_chunk_end(&mut out);
    encode_last_chunk(&mut out);
    assert_eq!(out, b"\r\n0\r\n\r\n");
}

#[test]
fn methods_have_the_properties_of_rfc_9110_section_9_2() {
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        assert!(is_safe(method) && is_idempotent(method), "{method}");
    }
    for method in ["PUT", "DELETE"] {
        assert!(!is_safe(method) && is_idempotent(method), "{method}");
    }
    for method in ["POST", "PATCH", "CONNECT", "get", "PROPPATCH", ""] {
        assert!(!is_safe(method) && !is_idempotent(method), "{method}");
    }
}

#[test]
fn every_refusal_has_a_name_and_a_sentence() {
    for error in [
        RequestError::BadMethod,
        RequestError::BadTarget,
        RequestError::BadHost,
        RequestError::BadFieldName,
        RequestError::BadFieldValue,
        RequestError::ContradictingContentLength,
        RequestError::ContradictingTransferEncoding,
    ] {
        assert!(error.name().bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()));
        assert!(error.to_string().contains(' '));
        assert!(ROWS.iter().any(|row| row.expected == Err(error)), "no row for {error}");
    }
}
