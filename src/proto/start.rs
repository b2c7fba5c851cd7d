//! The first bytes of an answer, judged as they come, before there is a head to parse.
//!
//! Owns: telling HTTP/1 from everything else at the first byte that differs. The judgement
//! depends on the bytes up to that one alone, so it is the same however they were cut.

use super::error::Error;

/// As many bytes as a judgement may need.
pub(super) const LONGEST: usize = 12;

const OURS: &[u8] = b"HTTP/1.";
/// The client preface of HTTP/2 (RFC 9113 section 3.4), sent back by servers that mirror.
const PREFACE: &[u8] = b"PRI * HTTP/2";
const ICY: &[u8] = b"ICY ";

/// Judges the beginning of an answer; fine as long as it may become a status line of HTTP/1.0 or
/// HTTP/1.1. `start` is all that has come, or its first [`LONGEST`] bytes.
#[inline]
pub(super) fn judge(start: &[u8]) -> Result<(), Error> {
    if let Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ']) =
        start.first_chunk::<9>()
    {
        return Ok(());
    }
    judge_slowly(start)
}

#[cold]
fn judge_slowly(start: &[u8]) -> Result<(), Error> {
    let Some(first) = start.first() else { return Ok(()) };
    match first {
        b'H' => {}
        // The types of TLS records (RFC 8446 section 5.1): change_cipher_spec, alert, handshake.
        0x14..=0x16 => return Err(Error::LooksLikeTls),
        // A frame of HTTP/2: its length begins with a zero for all but absurdly long ones.
        0 => return Err(Error::LooksLikeHttp2),
        b'<' => return Err(Error::LooksLikeHttp09),
        b'\r' | b'\n' => return Err(Error::LeadingEmptyLine),
        b' ' | b'\t' => return Err(Error::LeadingBlank),
        b'P' => return foreign(start, PREFACE, Error::LooksLikeHttp2),
        b'I' => return foreign(start, ICY, Error::LooksLikeIcy),
        _ => return Err(Error::NotHttp),
    }
    let same = start.iter().zip(OURS).take_while(|(byte, want)| byte == want).count();
    let Some(byte) = start.get(same) else { return Ok(()) };
    match same {
        // After "HTTP/" and "HTTP/1": another version, if it is a version at all.
        5 if byte.is_ascii_digit() => Err(Error::UnsupportedVersion),
        6 if byte.is_ascii_digit() || *byte == b' ' => Err(Error::UnsupportedVersion),
        7 => match (byte, start.get(8)) {
            (b'0' | b'1', None | Some(b' ')) => Ok(()),
            (b'0' | b'1', Some(next)) if next.is_ascii_digit() || *next == b'.' => {
                Err(Error::UnsupportedVersion)
            }
            (b'0' | b'1', Some(_)) => Err(Error::BadStatusLine),
            (byte, _) if byte.is_ascii_digit() => Err(Error::UnsupportedVersion),
            _ => Err(Error::NotHttp),
        },
        _ => Err(Error::NotHttp),
    }
}

/// Something known that is not HTTP/1: named when it is whole, `NotHttp` at the first byte that
/// differs from it.
fn foreign(start: &[u8], whole: &[u8], named: Error) -> Result<(), Error> {
    let same = start.iter().zip(whole).take_while(|(byte, want)| byte == want).count();
    if same == whole.len() {
        Err(named)
    } else if same < start.len() {
        Err(Error::NotHttp)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_are_judged_alike_however_many_there_are() {
        let rows: &[(&[u8], Result<(), Error>)] = &[
            (b"HTTP/1.1 200", Ok(())),
            (b"HTTP/1.0 200", Ok(())),
            (b"HTTP/1.2 200", Err(Error::UnsupportedVersion)),
            (b"HTTP/1.10 20", Err(Error::UnsupportedVersion)),
            (b"HTTP/1.1.1 2", Err(Error::UnsupportedVersion)),
            (b"HTTP/1 200 O", Err(Error::UnsupportedVersion)),
            (b"HTTP/2 200\r\n", Err(Error::UnsupportedVersion)),
            (b"HTTP/0.9 200", Err(Error::UnsupportedVersion)),
            (b"HTTP/1.1\t200", Err(Error::BadStatusLine)),
            (b"HTTP/1.1\r\n\r\n", Err(Error::BadStatusLine)),
            (b"HTTP/1.x 200", Err(Error::NotHttp)),
            (b"HTTP/+1.1 20", Err(Error::NotHttp)),
            (b"HTTP 200 OK\r", Err(Error::NotHttp)),
            (b"http/1.1 200", Err(Error::NotHttp)),
            (b"SSH-2.0-Open", Err(Error::NotHttp)),
            (b"220 ready\r\n", Err(Error::NotHttp)),
            (b"ICY 200 OK\r\n", Err(Error::LooksLikeIcy)),
            (b"ICX 200 OK\r\n", Err(Error::NotHttp)),
            (b"PRI * HTTP/2", Err(Error::LooksLikeHttp2)),
            (b"POST / HTTP/", Err(Error::NotHttp)),
            (b"\0\0\x12\x04\0\0\0\0\0\0\0\0", Err(Error::LooksLikeHttp2)),
            (b"\x15\x03\x03\0\x02\x02\x16", Err(Error::LooksLikeTls)),
            (b"<!DOCTYPE ht", Err(Error::LooksLikeHttp09)),
            (b"\r\nHTTP/1.1 ", Err(Error::LeadingEmptyLine)),
            (b"\nHTTP/1.1 2", Err(Error::LeadingEmptyLine)),
            (b" HTTP/1.1 2", Err(Error::LeadingBlank)),
        ];
        for (bytes, want) in rows {
            assert_eq!(judge(bytes), *want, "{bytes:?}");
            // Once judged, more bytes change nothing; before that, all is open.
            let first = (0..=bytes.len())
                .map(|n| judge(&bytes[..n]))
                .find(Result::is_err)
                .unwrap_or(Ok(()));
            assert_eq!(first, *want, "{bytes:?}");
            assert!(bytes.len() <= LONGEST);
        }
    }
}
