//! What a certificate says about itself, for people: names, dates, issuer.
//!
//! A bounded walk over DER (RFC 5280 section 4.1) that reads a handful of fields and gives up
//! quietly on anything it does not expect. Never decides whether a certificate is trusted: rustls
//! and webpki do that on their own reading of the same bytes. Text comes from the network, so it
//! is shortened and stripped of control characters here.

use core::fmt::Write as _;
use core::net::{Ipv4Addr, Ipv6Addr};

/// How many alternative names are kept; the rest is counted.
const NAMES: usize = 100;
/// How many characters of one text field are kept.
const TEXT: usize = 100;
/// How many parts of a distinguished name are kept.
const PARTS: usize = 8;

/// A certificate's fields that people ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// Whom it was issued to, as `CN=…, O=…`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Start of validity, in seconds since 1970.
    pub not_before: i64,
    /// End of validity, in seconds since 1970.
    pub not_after: i64,
    /// The DNS names and addresses that it is for (its subjectAltName), at most 100 of them.
    pub names: Vec<String>,
    /// How many further names it has.
    pub more_names: usize,
    /// Issuer and subject are the same name.
    pub self_issued: bool,
    /// Its extended key usage, when it has one, includes servers.
    pub for_servers: bool,
}

impl Certificate {
    /// Read a DER certificate; `None` when it is not one.
    pub fn read(der: &[u8]) -> Option<Self> {
        let Body { issuer, validity, subject, mut rest } = Body::read(der)?;
        let (not_before, not_after) = dates(validity)?;
        let mut found = Self {
            subject: distinguished_name(subject),
            issuer: distinguished_name(issuer),
            not_before,
            not_after,
            names: Vec::new(),
            more_names: 0,
            self_issued: issuer == subject,
            for_servers: true,
        };
        while let Some((tag, content)) = element(&mut rest) {
            if tag == 0xa3 {
                found.extensions(content);
            }
        }
        Some(found)
    }

    fn extensions(&mut self, mut content: &[u8]) {
        let Some(mut list) = expect(&mut content, SEQUENCE) else { return };
        while let Some(mut extension) = expect(&mut list, SEQUENCE) {
            let Some(id) = expect(&mut extension, OID) else { return };
            if extension.first() == Some(&BOOLEAN) {
                element(&mut extension);
            }
            let Some(mut value) = expect(&mut extension, OCTET_STRING) else { return };
            match id {
                [0x55, 0x1d, 0x11] => {
                    self.alternative_names(expect(&mut value, SEQUENCE).unwrap_or_default());
                }
                [0x55, 0x1d, 0x25] => {
                    let mut purposes = expect(&mut value, SEQUENCE).unwrap_or_default();
                    self.for_servers = false;
                    while let Some(purpose) = expect(&mut purposes, OID) {
                        self.for_servers |= purpose == SERVER_AUTH || purpose == ANY_PURPOSE;
                    }
                }
                _ => {}
            }
        }
    }

    fn alternative_names(&mut self, mut names: &[u8]) {
        while let Some((tag, content)) = element(&mut names) {
            let name = match (tag, content) {
                (0x82, dns) => text(IA5_STRING, dns),
                (0x87, &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
                (0x87, ip) => match <[u8; 16]>::try_from(ip) {
                    Ok(ip) => Ipv6Addr::from(ip).to_string(),
                    Err(_) => continue,
                },
                _ => continue,
            };
            if self.names.len() < NAMES {
                self.names.push(name);
            } else {
                self.more_names += 1;
            }
        }
    }

    /// The names as one phrase: `a.example, b.example and 3 more`; `None` when there are none.
    pub fn names_phrase(&self) -> Option<String> {
        const SHOWN: usize = 6;
        if self.names.is_empty() {
            return None;
        }
        let shown = self.names.get(..SHOWN.min(self.names.len())).unwrap_or_default();
        let mut phrase = shown.join(", ");
        let more = self.names.len() - shown.len() + self.more_names;
        if more > 0 {
            let _ = write!(phrase, " and {more} more");
        }
        Some(phrase)
    }
}

/// The two dates of a DER certificate, in seconds since 1970.
pub(super) fn validity(der: &[u8]) -> Option<(i64, i64)> {
    dates(Body::read(der)?.validity)
}

fn dates(mut validity: &[u8]) -> Option<(i64, i64)> {
    Some((time(element(&mut validity)?)?, time(element(&mut validity)?)?))
}

/// The fields of a TBSCertificate that are looked at, still in DER; `rest` is behind the key.
struct Body<'a> {
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let mut rest = der;
        let mut certificate = expect(&mut rest, SEQUENCE)?;
        let mut rest = expect(&mut certificate, SEQUENCE)?;
        if rest.first() == Some(&0xa0) {
            element(&mut rest)?; // version
        }
        expect(&mut rest, INTEGER)?; // serial number
        expect(&mut rest, SEQUENCE)?; // signature algorithm
        let issuer = expect(&mut rest, SEQUENCE)?;
        let validity = expect(&mut rest, SEQUENCE)?;
        let subject = expect(&mut rest, SEQUENCE)?;
        expect(&mut rest, SEQUENCE)?; // public key
        Some(Self { issuer, validity, subject, rest })
    }
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 0x25, 0];

/// Take one element off the front: its tag (one byte; longer ones are in no certificate) and content.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((tag, content))
}

fn expect<'a>(input: &mut &'a [u8], wanted: u8) -> Option<&'a [u8]> {
    element(input).filter(|&(tag, _)| tag == wanted).map(|(_, content)| content)
}

fn distinguished_name(mut name: &[u8]) -> String {
    let mut parts = Vec::new();
    while let Some(mut relative) = expect(&mut name, SET) {
        while let Some(mut attribute) = expect(&mut relative, SEQUENCE) {
            let Some(id) = expect(&mut attribute, OID) else { continue };
            let Some((tag, value)) = element(&mut attribute) else { continue };
            let label = match id {
                [0x55, 4, 3] => "CN",
                [0x55, 4, 6] => "C",
                [0x55, 4, 7] => "L",
                [0x55, 4, 8] => "ST",
                [0x55, 4, 10] => "O",
                [0x55, 4, 11] => "OU",
                _ => continue,
            };
            if parts.len() < PARTS {
                parts.push(format!("{label}={}", text(tag, value)));
            }
        }
    }
    if parts.is_empty() { "(no name)".to_owned() } else { parts.join(", ") }
}

/// A text field as printable text, whatever its alphabet.
fn text(tag: u8, bytes: &[u8]) -> String {
    let wide: String;
    let decoded = match tag {
        UTF8_STRING => String::from_utf8_lossy(bytes),
        BMP_STRING => {
            let (pairs, _) = bytes.as_chunks();
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            wide = char::decode_utf16(units).map(|c| c.unwrap_or('?')).collect();
            wide.into()
        }
        // Latin-1, of which ASCII is the part that is used.
        _ => {
            wide = bytes.iter().map(|&byte| char::from(byte)).collect();
            wide.into()
        }
    };
    printable(&decoded, TEXT)
}

/// At most `limit` characters of `text`, with whatever could move a cursor replaced.
pub(super) fn printable(text: &str, limit: usize) -> String {
    let mut clean: String = text.chars().take(limit).map(safe).collect();
    if text.chars().nth(limit).is_some() {
        clean.push('…');
    }
    clean
}

/// Control characters, and those that turn the direction of writing, become `?`.
fn safe(c: char) -> char {
    let turns =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns { '?' } else { c }
}

/// A UTCTime or GeneralizedTime as DER writes them (`YYMMDDHHMMSSZ`), in seconds since 1970.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let (year, rest) = match tag {
        UTC_TIME => {
            let (digits, rest) = text.split_at_checked(2)?;
            let year = number(digits)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (digits, rest) = text.split_at_checked(4)?;
            (number(digits)?, rest)
        }
        _ => return None,
    };
    let digits = rest.strip_suffix(b"Z").filter(|digits| digits.len() == 10)?;
    let pair = |at: usize| number(digits.get(2 * at..2 * at + 2)?);
    let (month, day, hour, minute, second) = (pair(0)?, pair(1)?, pair(2)?, pair(3)?, pair(4)?);
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that start in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (from_march * 153 + 2) / 5 + day - 719_469
}

/// `2026-11-24 09:30:00 UTC`.
pub(super) fn date(seconds: i64) -> String {
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // The inverse of `days`: eras of 400 years, then the year, then the month within it.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let in_era = shifted.rem_euclid(146_097);
    let year_of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * in_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month < 3);
    format!(
        "{year:04}-{month:02}-{:02} {:02}:{:02}:{:02} UTC",
        in_year - (153 * from_march + 2) / 5 + 1,
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        for (seconds, written, utc, general) in [
            (0, "1970-01-01 00:00:00 UTC", "700101000000Z", "19700101000000Z"),
            (951_782_400, "2000-02-29 00:00:00 UTC", "000229000000Z", "20000229000000Z"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC", "240229235959Z", "20240229235959Z"),
            (1_795_512_600, "2026-11-24 09:30:00 UTC", "261124093000Z", "20261124093000Z"),
            (-1, "1969-12-31 23:59:59 UTC", "691231235959Z", "19691231235959Z"),
            (2_524_607_999, "2049-12-31 23:59:59 UTC", "491231235959Z", "20491231235959Z"),
        ] {
            assert_eq!(date(seconds), written);
            assert_eq!(time((UTC_TIME, utc.as_bytes())), Some(seconds), "{utc}");
            assert_eq!(time((GENERALIZED_TIME, general.as_bytes())), Some(seconds), "{general}");
        }
        assert_eq!(time((GENERALIZED_TIME, b"99991231235959Z")), Some(253_402_300_799));
        assert_eq!(date(253_402_300_799), "9999-12-31 23:59:59 UTC");
        for wrong in
            ["", "2401010000Z", "240101000000", "241301000000Z", "24010100000+Z", "240132000000Z"]
        {
            assert_eq!(time((UTC_TIME, wrong.as_bytes())), None, "{wrong}");
        }
    }

    #[test]
    fn text_is_made_safe() {
        assert_eq!(text(UTF8_STRING, "a\u{1b}[31m\u{202e}b".as_bytes()), "a?[31m?b");
        assert_eq!(text(UTF8_STRING, b"\xff\xfe"), "\u{fffd}\u{fffd}");
        assert_eq!(text(BMP_STRING, &[0, b'h', 0, b'i', 9]), "hi");
        assert_eq!(text(0x14, b"caf\xe9"), "café");
        assert_eq!(text(IA5_STRING, &[b'x'; 300]).chars().count(), TEXT + 1);
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x81],
            &[0x30, 0x80, 0, 0],
            &[0x30, 5, 0],
            &[0x30, 0x84, 0, 0, 0, 1, 0],
            &[0x30, 0x83, 0xff, 0xff, 0xff],
            &[0x1f, 1, 0],
        ] {
            assert_eq!(element(&mut &*bytes), None, "{bytes:?}");
            assert_eq!(Certificate::read(bytes), None);
        }
    }
}
