//! Dates of HTTP (RFC 9110 section 5.6.7), and the waits and proofs that rest on them.
//!
//! The arithmetic is on seconds since 1970; what time it is comes from outside. A server's dates
//! are compared with that server's own `Date`, so that a clock that is wrong on either side does
//! no harm.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads a date in any of the three forms; seconds since 1970.
pub fn parse(value: &[u8]) -> Option<u64> {
    let value = core::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let time = httpdate::parse_http_date(value).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Writes a date in the preferred form.
///
/// ```
/// assert_eq!(gannet::fetch::date::format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
pub fn format(seconds: u64) -> String {
    /// 9999-12-31T23:59:59Z, after which the form has no room for the year.
    const LAST: u64 = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST)))
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// How long a `Retry-After` asks to wait (RFC 9110 section 10.2.3): seconds, or a date that is
/// compared with the answer's own `Date`, else with `now`.
pub fn retry_after(value: &[u8], date: Option<&[u8]>, now: u64) -> Option<Duration> {
    let text = core::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 holds ask for more than anybody waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = parse(value)?;
    let from = date.and_then(parse).unwrap_or(now);
    Some(Duration::from_secs(until.saturating_sub(from)))
}

/// Whether a `Last-Modified` proves that two answers are the same (RFC 9110 section 8.8.2.2):
/// the representation had been left alone for a minute when the answer was made.
pub fn is_strong(last_modified: &[u8], date: &[u8]) -> bool {
    match (parse(last_modified), parse(date)) {
        (Some(modified), Some(date)) => {
            modified.checked_add(60).is_some_and(|settled| settled <= date)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms() {
        for (value, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            (" Sun, 06 Nov 1994 08:49:37 GMT ", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("0", None),
            ("-1", None),
            ("", None),
            ("soon", None),
            ("\u{e4}", None),
        ] {
            assert_eq!(parse(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(parse(format(1_700_000_000).as_bytes()), Some(1_700_000_000));
        assert_eq!(format(u64::MAX), format(253_402_300_799));
    }

    #[test]
    fn waits() {
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT".as_slice();
        for (value, with_date, expected) in [
            ("0", None, Some(0)),
            ("120", None, Some(120)),
            (" 120 ", None, Some(120)),
            ("99999999999999999999999", None, Some(u64::MAX)),
            ("-1", None, None),
            ("1.5", None, None),
            ("+5", None, None),
            ("", None, None),
            // The server's clock is an hour off ours: it does not matter.
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(date), Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(date), Some(0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(date), Some(0)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(date), Some(60)),
            // No Date, or a broken one: our own clock.
            ("Sun, 06 Nov 1994 08:50:00 GMT", None, Some(13)),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some(b"today".as_slice()), Some(13)),
        ] {
            let found = retry_after(value.as_bytes(), with_date, 784_111_787);
            assert_eq!(found, expected.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_minute_of_rest() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (modified, strong) in [
            ("Sun, 06 Nov 1994 08:48:37 GMT", true),
            ("Sun, 06 Nov 1994 08:48:38 GMT", false),
            ("Sat, 05 Nov 1994 08:49:37 GMT", true),
            ("Mon, 07 Nov 1994 08:49:37 GMT", false),
            ("", false),
        ] {
            assert_eq!(is_strong(modified.as_bytes(), date.as_bytes()), strong, "{modified}");
        }
        assert!(!is_strong(date.as_bytes(), b""));
    }
}
