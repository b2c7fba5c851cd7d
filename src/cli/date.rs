//! Calendar dates: those that people type (`-z`) or servers write in their own way, and those in
//! records; all in UTC unless a zone is named. HTTP's own dates, and the arithmetic between days and
//! seconds, are those of `fetch::date`.
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what is cut is ASCII, and was measured right before; the stamp has its form"
)]

use std::time::{SystemTime, UNIX_EPOCH};

/// A date as HTTP writes it.
pub(super) use crate::fetch::date::format_any as http;
use crate::fetch::date::{DAYS, MONTHS};
pub(super) use crate::fetch::date::{civil, days};

/// Seconds since 1970 of a date as HTTP, RFC 2822, ISO 8601 or a calendar writes it:
/// `Sun, 06 Nov 1994 08:49:37 GMT`, `12 Sep 2004 15:05:58 -0700`, `2004-09-12 15:05`, `20040912`,
/// `Sep 12 2004`.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let mut date = Parts::default();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let byte = bytes[at];
        if byte.is_ascii_alphabetic() {
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            date.word(&rest[..end])?;
            at += end;
        } else if byte.is_ascii_digit() || (matches!(byte, b'+' | b'-') && date.time.is_some()) {
            let end = 1 + rest[1..]
                .find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))
                .unwrap_or(rest.len() - 1);
            // A day with dashes on both sides belongs together: 2004-09-12.
            let dashed = date.day.is_none() && rest.len() >= 10 && iso(&rest.as_bytes()[..10]);
            let end = if dashed { 10 } else { end };
            date.number(&rest[..end])?;
            at += end;
        } else if byte.is_ascii() {
            at += 1;
        } else {
            return None;
        }
    }
    date.seconds()
}

fn iso(text: &[u8]) -> bool {
    text.iter()
        .enumerate()
        .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
}

#[derive(Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    time: Option<i64>,
    zone: i64,
}

impl Parts {
    fn word(&mut self, word: &str) -> Option<()> {
        let low = word.to_ascii_lowercase();
        let short = low.get(..3).unwrap_or("");
        if let Some(month) = MONTHS.iter().position(|name| *name == short) {
            self.month = Some(month as i64 + 1);
            return Some(());
        }
        if DAYS.contains(&short) {
            return Some(());
        }
        self.zone = match low.as_str() {
            "gmt" | "utc" | "ut" | "z" => 0,
            "t" => return Some(()),
            "est" => -5 * 3600,
            "edt" => -4 * 3600,
            "cst" => -6 * 3600,
            "cdt" => -5 * 3600,
            "mst" => -7 * 3600,
            "mdt" => -6 * 3600,
            "pst" => -8 * 3600,
            "pdt" => -7 * 3600,
            "cet" => 3600,
            "cest" | "eet" => 7200,
            _ => return None,
        };
        Some(())
    }

    fn number(&mut self, text: &str) -> Option<()> {
        let digits = text.trim_start_matches(['+', '-']);
        if text.len() == 10 && iso(text.as_bytes()) {
            self.year = text[..4].parse().ok();
            self.month = text[5..7].parse().ok();
            self.day = text[8..].parse().ok();
        } else if text.starts_with(['+', '-']) && self.time.is_some() {
            let plain: String = digits.chars().filter(char::is_ascii_digit).collect();
            if plain.len() != 4 {
                // `12-Sep-2004 10:00-2004` would be a year; zones have four digits.
                return None;
            }
            let minutes = plain[..2].parse::<i64>().ok()? * 60 + plain[2..].parse::<i64>().ok()?;
            self.zone = if text.starts_with('-') { -minutes * 60 } else { minutes * 60 };
        } else if digits.contains(':') {
            let mut parts =
                digits.split('.').next()?.split(':').map(|part| part.parse::<i64>().ok());
            let hour = parts.next()??;
            let minute = parts.next()??;
            let second = match parts.next() {
                Some(second) => second?,
                None => 0,
            };
            if hour > 23 || minute > 59 || second > 60 || parts.next().is_some() {
                return None;
            }
            self.time = Some(hour * 3600 + minute * 60 + second);
        } else if digits.len() == 8 {
            self.year = digits[..4].parse().ok();
            self.month = digits[4..6].parse().ok();
            self.day = digits[6..].parse().ok();
        } else if self.day.is_none() && digits.len() <= 2 {
            self.day = digits.parse().ok();
        } else if self.year.is_none() && digits.len() <= 4 {
            let year: i64 = digits.parse().ok()?;
            self.year = Some(match year {
                0..70 if digits.len() == 2 => year + 2000,
                70..100 if digits.len() == 2 => year + 1900,
                year => year,
            });
        } else {
            return None;
        }
        Some(())
    }

    fn seconds(&self) -> Option<i64> {
        let (year, month, day) = (self.year?, self.month?, self.day?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1583..=9999).contains(&year)
        {
            return None;
        }
        Some(days(year, month, day) * 86_400 + self.time.unwrap_or(0) - self.zone)
    }
}

/// Now, since 1970.
pub fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Now, in milliseconds since 1970.
pub fn now_millis() -> i64 {
    now().as_millis() as i64
}

/// Writes RFC 3339 with milliseconds, and remembers the second, which many share.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    second: i64,
    text: [u8; 24],
}

impl Default for Stamp {
    fn default() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00.000Z" }
    }
}

impl Stamp {
    /// Appends `2026-11-24T10:00:00.123Z`.
    pub fn write(&mut self, millis: i64, out: &mut Vec<u8>) {
        let second = millis.div_euclid(1000);
        if second != self.second {
            self.turn_to(second);
        }
        digits(&mut self.text[20..23], millis.rem_euclid(1000) as u64);
        out.extend_from_slice(&self.text);
    }

    fn turn_to(&mut self, second: i64) {
        self.second = second;
        let (year, month, of_month) = civil(second.div_euclid(86_400));
        let of_day = second.rem_euclid(86_400) as u64;
        digits(&mut self.text[..4], year as u64);
        digits(&mut self.text[5..7], month as u64);
        digits(&mut self.text[8..10], of_month as u64);
        digits(&mut self.text[11..13], of_day / 3600);
        digits(&mut self.text[14..16], of_day / 60 % 60);
        digits(&mut self.text[17..19], of_day % 60);
    }
}

fn digits(out: &mut [u8], mut number: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_people_type() {
        let table = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("06 Nov 1994 08:49:37", Some(784_111_777)),
            ("1994-11-06T08:49:37Z", Some(784_111_777)),
            ("1994-11-06 08:49", Some(784_111_740)),
            ("19941106", Some(784_080_000)),
            ("Nov 6 1994", Some(784_080_000)),
            ("12 Sep 2004 15:05:58 -0700", Some(1_095_026_758)),
            ("12 Sep 2004 15:05:58 PST", Some(1_095_030_358)),
            ("1 Jan 1970", Some(0)),
            ("29 Feb 2024", Some(1_709_164_800)),
            ("", None),
            ("tomorrow", None),
            ("file.txt", None),
            ("32 Jan 2024", None),
            ("1 Jan 2024 25:00", None),
            ("99999999999", None),
            ("é", None),
        ];
        for (text, want) in table {
            assert_eq!(parse(text), want, "{text}");
        }
    }

    #[test]
    fn dates_of_http() {
        for (seconds, want) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (-315_619_200, "Fri, 01 Jan 1960 00:00:00 GMT"),
        ] {
            assert_eq!(http(seconds), want);
        }
    }

    #[test]
    fn days_and_dates_agree_for_centuries() {
        for day in (-100_000..200_000).step_by(17) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
        let mut out = Vec::new();
        let mut stamp = Stamp::default();
        stamp.write(784_111_777_042, &mut out);
        stamp.write(0, &mut out);
        assert_eq!(out, b"1994-11-06T08:49:37.042Z1970-01-01T00:00:00.000Z");
    }
}
