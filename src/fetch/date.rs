//! Dates of HTTP (RFC 9110 section 5.6.7), and the waits and proofs that rest on them.
//!
//! The arithmetic is on seconds since 1970; the clock is read for the century of a year of two digits
//! alone, what time it is comes from outside otherwise. A server's dates are compared with that
//! server's own `Date`, so that a clock that is wrong on either side does no harm.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// The months, as far as dates write them out, in lower case.
pub(crate) const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// The days of the week, likewise.
pub(crate) const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Reads a date in any of the three forms; seconds since 1970.
///
/// Servers that write dates by hand get the small things wrong, which is no reason to come back
/// sooner than they asked: the day of the week is not held against the date, one digit does where two
/// should be, capitals and the blanks between don't matter, and a zone may be missing or be another
/// name of GMT. Any other zone, and a day that there is not, make it no date.
pub fn parse(value: &[u8]) -> Option<u64> {
    read(value, || civil(now() as i64 / DAY).0)
}

fn read(value: &[u8], this_year: impl FnOnce() -> i64) -> Option<u64> {
    let text = core::str::from_utf8(value).ok()?;
    let mut words = text.split([' ', '\t', ',', '-']).filter(|word| !word.is_empty()).peekable();
    words.next_if(|word| place(&DAYS, word).is_some());
    let first = words.next()?;
    let (day, month, year, time) = match place(&MONTHS, first) {
        // That of C's asctime has the year behind the time.
        Some(month) => {
            let (day, time) = (words.next()?, words.next()?);
            (day, month, words.next()?, time)
        }
        None => (first, place(&MONTHS, words.next()?)?, words.next()?, words.next()?),
    };
    let gmt = |word: &str| {
        ["gmt", "utc", "ut", "z", "+0000", "0000"]
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name))
    };
    if !words.next().is_none_or(gmt) || words.next().is_some() {
        return None;
    }
    let year = match (year.len(), number(year, 4)?) {
        (4, year) => year,
        // Not more than 50 years from now.
        (2, year) => {
            let last = this_year() + 50;
            last - (last - year).rem_euclid(100)
        }
        _ => return None,
    };
    let day = number(day, 2)?;
    let days = days(year, month, day);
    let mut time = time.split(':');
    let mut part = |most: i64| number(time.next()?, 2).filter(|number| *number <= most);
    // A minute may have a leap second.
    let (hour, minute, second) = (part(23)?, part(59)?, part(60)?);
    if time.next().is_some() || civil(days) != (year, month, day) {
        return None;
    }
    u64::try_from(days * DAY + hour * 3600 + minute * 60 + second).ok()
}

/// Which of the names, from 1, a word begins with.
fn place(names: &[&str], word: &str) -> Option<i64> {
    let begins = |name: &&str| word.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(name));
    names.iter().position(begins).map(|place| place as i64 + 1)
}

/// One digit or more, up to so many, and nothing else.
fn number(text: &str, most: usize) -> Option<i64> {
    let digits = text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
pub(crate) const fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March put the leap day last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The day of the Gregorian calendar so many days after 1970-01-01: year, month, day.
pub(crate) const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Writes a date in the preferred form.
///
/// ```
/// assert_eq!(gannet::fetch::date::format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
pub fn format(seconds: u64) -> String {
    /// 9999-12-31T23:59:59Z, after which the form has no room for the year.
    const LAST: u64 = 253_402_300_799;
    format_any(seconds.min(LAST) as i64)
}

/// The same of any year from 0 to 9999.
pub(crate) fn format_any(seconds: i64) -> String {
    let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let name = |names: &[&str], place: i64| {
        let mut name = names.get(place as usize).copied().unwrap_or_default().to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        name
    };
    let (of_week, month) = (name(&DAYS, (days + 4).rem_euclid(7)), name(&MONTHS, month - 1));
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{of_week}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
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
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            // A leap second, which the grammar names.
            ("Wed, 31 Dec 2008 23:59:60 GMT", Some(1_230_768_000)),
            // As servers write them by hand (curl's lib517, llhttp's "Proxy-Connection").
            ("Mon, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sun, 6 Nov 1994 8:49:37 GMT", Some(784_111_777)),
            ("06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sun,06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("sun, 06 nov 1994 08:49:37 gmt", Some(784_111_777)),
            ("Sun, 06-Nov-1994 08:49:37 GMT", Some(784_111_777)),
            ("Sun, 06 November 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sun, 06 Nov 1994 08:49:37 UTC", Some(784_111_777)),
            ("Thu, 31 Dec 2009 20:55:48 +0000", Some(1_262_292_948)),
            ("Sun, 06 Nov 1994 08:49:37 -0000", Some(784_111_777)),
            ("Sun, 06 Nov 1994 08:49:37", Some(784_111_777)),
            ("Sun Nov 06 08:49:37 1994 GMT", Some(784_111_777)),
            // What is none.
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 08:49:37 -0700", None),
            ("Sun, 06 Nov 1994 08:49:37 +0100", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT GMT", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Fri, 31 Feb 2020 00:00:00 GMT", None),
            ("Mon, 29 Feb 1900 00:00:00 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:60:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:61 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37:00 GMT", None),
            ("Sun, 06 Nov 1994 +8:49:37 GMT", None),
            ("Sun, 06 Nov 199 08:49:37 GMT", None),
            ("Sun, 06 Nov 19940 08:49:37 GMT", None),
            ("Sun, 06 11 1994 08:49:37 GMT", None),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("1994-11-06T08:49:37Z", None),
            ("Sun, 06 Nov 1994", None),
            ("Sun", None),
            ("0", None),
            ("-1", None),
            ("", None),
            ("soon", None),
            ("\u{e4}", None),
            ("\u{e4}\u{e4}\u{e4}, 06 Nov 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(parse(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(parse(b"Sun, 06 Nov 1994 08:49:37 \xff"), None);
        assert_eq!(parse(format(1_700_000_000).as_bytes()), Some(1_700_000_000));
        assert_eq!(format(u64::MAX), format(253_402_300_799));
    }

    /// RFC 9110: a year of two digits is the latest that is not more than 50 years away.
    #[test]
    fn two_digits_of_a_year() {
        for (year, now, expected) in [
            ("94", 2026, 1994),
            ("26", 2026, 2026),
            ("70", 2026, 2070),
            ("76", 2026, 2076),
            ("77", 2026, 1977),
            ("99", 2026, 1999),
            ("00", 2026, 2000),
            ("00", 2049, 2000),
            ("00", 2050, 2100),
            ("77", 2027, 2077),
        ] {
            let value = format!("Sunday, 06-Nov-{year} 08:49:37 GMT");
            let found = read(value.as_bytes(), || now).map(|found| civil(found as i64 / DAY).0);
            assert_eq!(found, Some(expected), "{year} in {now}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for day in (0..200_000_u64).step_by(97) {
            let seconds = day * 86_400 + day;
            assert_eq!(parse(format(seconds).as_bytes()), Some(seconds));
        }
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
