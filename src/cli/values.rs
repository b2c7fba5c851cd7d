//! The small languages of option values: seconds, sizes, rates, ranges, networks, shards.
//!
//! Owns their grammar and its errors; never knows which option they belong to.

use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::fetch::Network;

/// Seconds, with a fraction as curl allows it (`2.5`).
pub fn seconds(text: &str) -> Result<Duration, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(format!("'{text}' is no number of seconds"));
    }
    let seconds: u64 = match whole {
        "" => 0,
        whole => whole.parse().map_err(|_| format!("'{text}' seconds is too long"))?,
    };
    // A hundred years, which every clock can add.
    if seconds > 3_155_760_000 {
        return Err(format!("'{text}' seconds is too long"));
    }
    let mut nanos = 0;
    let mut unit = 100_000_000;
    for byte in fraction.bytes().take(9) {
        nanos += u32::from(byte - b'0') * unit;
        unit /= 10;
    }
    Ok(Duration::new(seconds, nanos))
}

/// A duration with an optional unit, for gannet's own options: `90`, `1.5`, `250ms`, `10s`, `5m`, `2h`, `1d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let base = seconds(number)
        .map_err(|_| format!("'{text}' is no duration (as in 90, 250ms, 10s, 5m, 2h)"))?;
    let scaled = match unit {
        "" | "s" => Some(base),
        "ms" => Some(base / 1000),
        "m" => base.checked_mul(60),
        "h" => base.checked_mul(3600),
        "d" => base.checked_mul(86_400),
        _ => return Err(format!("'{unit}' is no unit of time (ms, s, m, h, d)")),
    };
    scaled
        .filter(|duration| duration.as_secs() <= 3_155_760_000)
        .ok_or_else(|| format!("'{text}' is too long"))
}

/// Bytes, with curl's suffixes of 1024 (`k`, `M`, `G`, `T`, `P`) and an optional fraction.
pub fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("'{text}' is no number of bytes (as in 1000, 64k, 1.5M, 2G)");
    let shift = match text.bytes().last() {
        Some(b'k' | b'K') => 10,
        Some(b'm' | b'M') => 20,
        Some(b'g' | b'G') => 30,
        Some(b't' | b'T') => 40,
        Some(b'p' | b'P') => 50,
        Some(b'b' | b'B' | b'0'..=b'9') => 0,
        _ => return Err(bad()),
    };
    let number = text.strip_suffix(|c: char| c.is_ascii_alphabetic()).unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty()
        || !whole.bytes().all(|byte| byte.is_ascii_digit())
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
        || (number.contains('.') && (fraction.is_empty() || shift == 0))
    {
        return Err(bad());
    }
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let whole = whole.checked_mul(1 << shift).ok_or_else(bad)?;
    let mut part = 0u64;
    let mut unit = 1u64 << shift;
    for byte in fraction.bytes().take(12) {
        // Truncated digit by digit, which errs by less than a byte a digit.
        part += u64::from(byte - b'0') * unit / 10;
        unit /= 10;
    }
    whole.checked_add(part).ok_or_else(bad)
}

/// So many in each period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub period: Duration,
}

/// curl's `--rate`: `N/UNIT` with `s`, `m`, `h` or `d`, a number before the unit (`3/15s`); a bare
/// number counts an hour.
pub fn rate(text: &str) -> Result<Rate, String> {
    let bad =
        || format!("'{text}' is no rate (as in 10/s, 3/15s, 120/m; a bare number counts an hour)");
    let (count, period) = text.split_once('/').unwrap_or((text, "h"));
    let count: u32 = count.parse().map_err(|_| bad())?;
    if count == 0 {
        return Err(bad());
    }
    let split = period.len().saturating_sub(1);
    let (many, unit) = period.split_at_checked(split).ok_or_else(bad)?;
    let many: u64 = if many.is_empty() { 1 } else { many.parse().map_err(|_| bad())? };
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    let seconds =
        many.checked_mul(unit).filter(|&s| s > 0 && s <= 3_155_760_000).ok_or_else(bad)?;
    Ok(Rate { count, period: Duration::from_secs(seconds) })
}

/// Further attempts that requests and time earn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// For a hundred requests.
    pub percent: u32,
    /// A second.
    pub per_second: u32,
}

/// `20%+10`: so many for a hundred requests, and so many a second.
pub fn budget(text: &str) -> Result<Budget, String> {
    let bad =
        || format!("'{text}' is no budget (as in 20%+10: a fifth of the requests and 10 a second)");
    let (percent, per_second) = text.split_once("%+").ok_or_else(bad)?;
    let number = |text: &str| {
        Some(text)
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse::<u32>().ok())
    };
    let percent = number(percent).filter(|percent| *percent <= 10_000).ok_or_else(bad)?;
    let per_second =
        number(per_second).filter(|many| (1..=100_000).contains(many)).ok_or_else(bad)?;
    Ok(Budget { percent, per_second })
}

/// Which part of the hosts is ours: part `index` (from 1) of `of`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shard {
    /// From 1.
    pub index: u32,
    /// How many parts there are.
    pub of: u32,
}

/// `K/N` with 1 ≤ K ≤ N; `I+1/N` for those who count from 0 and can't add.
pub fn shard(text: &str) -> Result<Shard, String> {
    let bad = || format!("'{text}' is no shard (as in 1/8 or 0+1/8: the first of eight)");
    let (index, of) = text.split_once('/').ok_or_else(bad)?;
    let (index, more) = index.strip_suffix("+1").map_or((index, 0), |index| (index, 1));
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    let index = number(index).and_then(|index| index.checked_add(more)).ok_or_else(bad)?;
    let of = number(of).ok_or_else(bad)?;
    if index == 0 || index > of { Err(bad()) } else { Ok(Shard { index, of }) }
}

/// Networks in CIDR form, bare addresses, and `private`, separated by commas.
pub fn nets(text: &str) -> Result<Vec<Network>, String> {
    let mut found = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if item == "private" {
            found.extend(PRIVATE.iter().filter_map(|net| Network::parse(net)));
            continue;
        }
        found.push(Network::parse(item).ok_or_else(|| {
            format!("'{item}' is no network (as in 10.0.0.0/8, fd00::/8, 192.0.2.7, private)")
        })?);
    }
    if found.is_empty() { Err(format!("'{text}' names no network")) } else { Ok(found) }
}

/// What `private` stands for: loopback, link-local, RFC 1918, ULA, CGNAT and the unspecified address.
const PRIVATE: &[&str] = &[
    "127.0.0.0/8",
    "169.254.0.0/16",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "0.0.0.0/8",
    "::1",
    "::",
    "fe80::/10",
    "fc00::/7",
];

/// An enum of words, each with what the help says of it.
macro_rules! words {
    ($(#[doc = $about:literal] $name:ident { $(#[doc = $help:literal] $variant:ident = $word:literal,)+ })+) => {$(
        #[doc = $about]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {
            $(#[doc = $help] $variant,)+
        }

        impl ValueEnum for $name {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                let (word, help) = match self {
                    $(Self::$variant => ($word, $help),)+
                };
                Some(PossibleValue::new(word).help(help.trim().trim_end_matches('.')))
            }
        }
    )+};
}

words! {
    /// By what records are told apart when a run is resumed.
    ResumeKey {
        /// The line's number.
        N = "n",
        /// The line's `id`.
        Id = "id",
        /// The URL.
        Url = "url",
    }
    /// How bodies stand in records.
    BodyForm {
        /// As text; bytes that are no UTF-8 replaced.
        Text = "text",
        /// In base64.
        Base64 = "base64",
    }
    /// What happens when our own network is down.
    Offline {
        /// Wait, at most ten minutes.
        Wait = "wait",
        /// Fail at once.
        Fail = "fail",
    }
    /// When to do something on a terminal.
    When {
        /// On terminals.
        Auto = "auto",
        /// Always.
        Always = "always",
        /// Never.
        Never = "never",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction() {
        let table = [
            ("0", Some(0)),
            ("10", Some(10_000)),
            ("2.5", Some(2_500)),
            (".5", Some(500)),
            ("1.", Some(1_000)),
            ("", None),
            (".", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1s", None),
            ("99999999999999999999", None),
        ];
        for (text, millis) in table {
            assert_eq!(seconds(text).ok().map(|d| d.as_millis()), millis, "{text}");
        }
        assert_eq!(seconds("0.000000001").unwrap(), Duration::from_nanos(1));
    }

    #[test]
    fn durations_may_have_a_unit() {
        let table = [
            ("90", Some(90_000)),
            ("250ms", Some(250)),
            ("1.5m", Some(90_000)),
            ("2h", Some(7_200_000)),
            ("3w", None),
            ("ms", None),
        ];
        for (text, millis) in table {
            assert_eq!(duration(text).ok().map(|d| d.as_millis()), millis, "{text}");
        }
    }

    #[test]
    fn sizes_have_curls_suffixes() {
        let table = [
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("1k", Some(1024)),
            ("64K", Some(65_536)),
            ("1.5M", Some(1_572_864)),
            ("2G", Some(2 << 30)),
            ("1T", Some(1 << 40)),
            ("16P", Some(16 << 50)),
            ("7b", Some(7)),
            ("1.5", None),
            ("-1", None),
            ("+1", None),
            ("k", None),
            ("1kk", None),
            ("1 k", None),
            ("99999999P", None),
            ("", None),
        ];
        for (text, bytes) in table {
            assert_eq!(size(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn rates_are_curls() {
        let table = [
            ("2/s", Some((2, 1))),
            ("3/15s", Some((3, 15))),
            ("120/m", Some((120, 60))),
            ("5/2h", Some((5, 7200))),
            ("1/d", Some((1, 86_400))),
            ("10", Some((10, 3600))),
            ("0/s", None),
            ("1/0s", None),
            ("1/", None),
            ("/s", None),
            ("1/w", None),
            ("1/é", None),
        ];
        for (text, want) in table {
            assert_eq!(rate(text).ok().map(|r| (r.count, r.period.as_secs())), want, "{text}");
        }
    }

    #[test]
    fn budgets_have_a_share_and_a_rate() {
        assert_eq!(budget("20%+10"), Ok(Budget { percent: 20, per_second: 10 }));
        assert_eq!(budget("0%+1"), Ok(Budget { percent: 0, per_second: 1 }));
        for bad in ["", "20", "20%", "%+1", "20%+0", "-1%+1", "1%++1", "99999%+1", "1%+999999"] {
            assert!(budget(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shards_and_networks() {
        assert_eq!(shard("2/8"), Ok(Shard { index: 2, of: 8 }));
        assert_eq!(shard("0+1/8"), Ok(Shard { index: 1, of: 8 }));
        assert_eq!(shard("7+1/8"), shard("8/8"));
        for bad in [
            "0/8",
            "9/8",
            "1",
            "1/0",
            "a/b",
            "/",
            "8+1/8",
            "+1/8",
            "1+1+1/8",
            "1+2/8",
            "+1+1/8",
            "1/+8",
            "4294967295+1/8",
        ] {
            assert!(shard(bad).is_err(), "{bad}");
        }
        assert_eq!(nets("10.0.0.0/8, ::1").unwrap().len(), 2);
        assert_eq!(nets("private").unwrap().len(), PRIVATE.len());
        for bad in ["10.0.0.0/33", "x", "", "::/129", "1.2.3"] {
            assert!(nets(bad).is_err(), "{bad}");
        }
    }
}
