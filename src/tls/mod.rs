//! The client side of TLS as a state machine over bytes: rustls 0.23 behind one small session type.
//!
//! Owns what a TLS client needs to know (trust, pins, its own certificate, resumption) in a
//! [`Config`], and one connection's progress in a [`Session`]. Never opens a socket, a file or a
//! clock of its own, never reads the environment and never touches a process-wide provider:
//! ciphertext comes in, ciphertext and plaintext go out, everything else is handed in.
//!
//! What lives where: `session` is the only file that drives a rustls connection (its `unbuffered`
//! interface is gone in 0.24, so that change stays there), `config` builds the rustls
//! configuration, `verify` decides whether a certificate is accepted, `certificate` reads names
//! and dates out of one for error messages, `verified` remembers chains that were found good, `error` names what went wrong, `store` remembers
//! sessions, `pins` reads pinned keys, `keylog` writes SSLKEYLOGFILE lines.
//!
//! RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2), RFC 6066 section 3 (SNI), RFC 7301 (ALPN).
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod certificate;
mod config;
mod error;
mod keylog;
mod pins;
mod session;
mod store;
mod verified;
mod verify;

pub use certificate::Certificate;
pub use config::{Config, ConfigError, ConfigErrorKind, Options, Roots, Version};
pub use error::{Error, ErrorKind};
pub use keylog::KeyLogWriter;
pub use pins::{parse_pins, pin_of_key};
pub use session::{Info, Received, Session};
pub use store::SessionStore;

/// Does this look like a server that speaks plain HTTP? For what arrives where a TLS record was
/// expected: a status line, or the bare page that old servers send.
pub fn looks_like_http(bytes: &[u8]) -> bool {
    let starts = |prefix: &[u8]| {
        bytes.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    bytes.starts_with(b"HTTP/") || starts(b"<html") || starts(b"<!doctype html")
}

/// Does this look like a TLS record? For what arrives on a plain connection where a status line
/// was expected: a server that speaks TLS answers a plain request with an alert.
pub fn looks_like_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 3, 0..=4, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_told_from_tls() {
        for (bytes, http, tls) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], true, false),
            (b"<!DOCTYPE HTML PUBLIC", true, false),
            (b"<html><head>", true, false),
            (b"HTTP", false, false),
            (b"", false, false),
            (b"SSH-2.0-OpenSSH_9.2\r\n", false, false),
            (&[0x15, 3, 1, 0, 2, 2, 40], false, true),
            (&[0x16, 3, 3, 0, 90], false, true),
            (&[0x15, 3], false, false),
            (&[0x15, 9, 9], false, false),
        ] {
            assert_eq!(looks_like_http(bytes), http, "{bytes:?}");
            assert_eq!(looks_like_tls(bytes), tls, "{bytes:?}");
        }
    }
}
