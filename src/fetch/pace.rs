//! What servers say about their rate limits, in the many ways in which they say it.
//!
//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers, old and new form),
//! `RateLimit-*`, `X-RateLimit-*`, `X-Rate-Limit-*`. Only reads; what follows is the engine's.

use core::time::Duration;

use super::date;
use crate::engine::pace::RateHint;
use crate::proto::Fields;

/// Numbers of seconds above this are a time of day, not a distance.
const EPOCH: u64 = 1_000_000_000;

/// What the fields of an answer say, if anything. A time of day is compared with the answer's own
/// `Date`, else with `now` (seconds since 1970).
pub fn rate_hint(fields: Fields<'_>, now: u64) -> Option<RateHint> {
    let mut hint = RateHint::default();
    let now = || fields.get("date").and_then(date::parse).unwrap_or(now);
    let text = |name: &str| fields.get(name).and_then(|value| core::str::from_utf8(value).ok());
    // These are lists: what is on several lines is one.
    let list = |name: &str| {
        let lines = fields.get_all(name).filter_map(|value| core::str::from_utf8(value).ok());
        lines.collect::<Vec<_>>().join(",")
    };
    read_policy(&list("ratelimit-policy"), &mut hint);
    let limits = list("ratelimit");
    hint.limit = parameter(&limits, "limit").map(narrow).or(hint.limit);
    read_state(&limits, &mut hint);
    for prefix in ["ratelimit", "x-ratelimit", "x-rate-limit"] {
        let field = |what: &str| text(&format!("{prefix}-{what}"));
        if let Some(limit) = field("limit") {
            // `100, 100;w=60`: the first number is the limit in force, policies follow.
            hint.limit = hint.limit.or(leading(limit).map(narrow));
            hint.window = hint.window.or(parameter(limit, "w").map(Duration::from_secs));
        }
        // Both of one family: what is left of one limit has nothing to do with the end of another.
        if (hint.remaining, hint.reset) == (None, None) {
            hint.remaining = field("remaining").and_then(leading).map(narrow);
            let after = || field("reset-after").and_then(distance);
            hint.reset = field("reset").and_then(|reset| until(reset, &now)).or_else(after);
        }
    }
    (hint != RateHint::default()).then_some(hint)
}

/// `limit=100, remaining=50, reset=5`, or of a list of `"name";r=50;t=30` the one with the least
/// left: what is left and when it ends belong together.
fn read_state(limits: &str, hint: &mut RateHint) {
    let state = |text: &str| {
        let remaining = parameter(text, "remaining").or_else(|| parameter(text, "r"));
        let reset = parameter(text, "reset").or_else(|| parameter(text, "t"));
        (remaining.map(narrow), reset.map(Duration::from_secs))
    };
    let listed = limits.split(',').map(state).filter(|(remaining, _)| remaining.is_some());
    // Of those with as little left the one that ends last.
    let least = listed.min_by_key(|&(remaining, reset)| (remaining, core::cmp::Reverse(reset)));
    (hint.remaining, hint.reset) = match least {
        Some((remaining, Some(reset))) => (remaining, Some(reset)),
        // The older form has the two set apart by a comma.
        _ if !limits.contains(';') => state(limits),
        Some(least) => least,
        None => state(limits),
    };
}

/// `100;w=60` or `"name";q=100;w=60`, the first policy of a list.
fn read_policy(policy: &str, hint: &mut RateHint) {
    let first = policy.split(',').next().unwrap_or(policy);
    hint.limit = leading(first).or_else(|| parameter(first, "q")).map(narrow);
    hint.window = parameter(first, "w").map(Duration::from_secs);
}

/// The number of `name=number` among parameters that are set apart by `;` or `,`.
fn parameter(text: &str, name: &str) -> Option<u64> {
    text.split([';', ',']).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| leading(value))?
    })
}

/// A distance in seconds, which may have a fraction.
fn distance(text: &str) -> Option<Duration> {
    text.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// The number at the beginning; a fraction is cut off.
fn leading(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([' ', '\t', '"']);
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// A distance in seconds, or a time of day.
fn until(text: &str, now: &dyn Fn() -> u64) -> Option<Duration> {
    if let Some(at) = date::parse(text.as_bytes()) {
        return Some(Duration::from_secs(at.saturating_sub(now())));
    }
    let mut seconds = leading(text)?;
    if seconds > EPOCH * 1_000 {
        // In milliseconds, as some have it.
        seconds /= 1_000;
    }
    let distance = if seconds > EPOCH { seconds.saturating_sub(now()) } else { seconds };
    Some(Duration::from_secs(distance))
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Event, Exchange, Limits, Response, Scratch};

    /// limit, remaining, reset, window.
    type Told = (Option<u32>, Option<u32>, Option<u64>, Option<u64>);

    fn told(lines: &str) -> Option<Told> {
        let head = format!("HTTP/1.1 429 x\r\n{lines}\r\n\r\n");
        let mut scratch = Scratch::new();
        let mut response = Response::new(Exchange::Ordinary);
        let Ok((_, Event::Head(head, _))) =
            response.next(&Limits::default(), head.as_bytes(), &mut scratch)
        else {
            panic!("{lines}")
        };
        let hint = rate_hint(head.fields, 1_700_000_000)?;
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        Some((hint.limit, hint.remaining, seconds(hint.reset), seconds(hint.window)))
    }

    #[test]
    fn the_many_ways() {
        for (lines, expected) in [
            ("A: b", None),
            (
                "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 30",
                Some((Some(60), Some(0), Some(30), None)),
            ),
            // GitHub: a time of day; others in milliseconds; others as a date.
            ("X-RateLimit-Reset: 1700000042", Some((None, None, Some(42), None))),
            ("X-RateLimit-Reset: 1700000042000", Some((None, None, Some(42), None))),
            (
                "X-RateLimit-Reset: Tue, 14 Nov 2023 22:13:50 GMT",
                Some((None, None, Some(30), None)),
            ),
            ("X-RateLimit-Reset: 1600000000", Some((None, None, Some(0), None))),
            // The server's clock is two hours off ours.
            (
                "Date: Tue, 14 Nov 2023 20:13:20 GMT\r\nX-RateLimit-Reset: 1699992842",
                Some((None, None, Some(42), None)),
            ),
            (
                "X-RateLimit-Reset: 9223372036854775807",
                Some((None, None, Some(9_223_370_336_854_775), None)),
            ),
            (
                "x-rate-limit-limit: 15\r\nx-rate-limit-remaining: 3",
                Some((Some(15), Some(3), None, None)),
            ),
            (
                "RateLimit-Limit: 100, 100;w=60\r\nRateLimit-Reset: 7.5",
                Some((Some(100), None, Some(7), Some(60))),
            ),
            (
                "RateLimit: limit=100, remaining=50, reset=5",
                Some((Some(100), Some(50), Some(5), None)),
            ),
            (
                "RateLimit-Policy: 100;w=10\r\nRateLimit: limit=100, remaining=5, reset=5",
                Some((Some(100), Some(5), Some(5), Some(10))),
            ),
            (
                "RateLimit-Policy: \"default\";q=100;w=10\r\nRateLimit: \"default\";r=50;t=30",
                Some((Some(100), Some(50), Some(30), Some(10))),
            ),
            // Two limits: what is left of one, and the end of the same.
            (
                "RateLimit: \"burst\";r=0, \"daily\";r=900;t=80000",
                Some((None, Some(0), None, None)),
            ),
            (
                "RateLimit: \"daily\";r=900;t=80000, \"burst\";r=0;t=2",
                Some((None, Some(0), Some(2), None)),
            ),
            (
                "RateLimit: \"burst\";r=0;t=2, \"daily\";r=0;t=80000",
                Some((None, Some(0), Some(80_000), None)),
            ),
            (
                "RateLimit-Remaining: 0\r\nX-RateLimit-Remaining: 900\r\nX-RateLimit-Reset: 80000",
                Some((None, Some(0), None, None)),
            ),
            (
                "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 9\r\nX-Rate-Limit-Reset: 80000",
                Some((None, Some(0), Some(9), None)),
            ),
            (
                "RateLimit-Policy: \"burst\";q=100;w=60,\"daily\";q=1000;w=86400",
                Some((Some(100), None, None, Some(60))),
            ),
            // The same on two lines.
            (
                "RateLimit: \"burst\";r=5;t=1\r\nRateLimit: \"daily\";r=0;t=2",
                Some((None, Some(0), Some(2), None)),
            ),
            (
                "RateLimit-Policy: \"burst\";q=100;w=60\r\nRateLimit-Policy: \"daily\";q=1000;w=86400",
                Some((Some(100), None, None, Some(60))),
            ),
            // Discord: how far off it is, beside when it is or alone.
            (
                "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset-After: 2.5",
                Some((None, Some(0), Some(2), None)),
            ),
            (
                "X-RateLimit-Reset: 1700000042.5\r\nX-RateLimit-Reset-After: 41.5",
                Some((None, None, Some(42), None)),
            ),
            ("X-RateLimit-Reset-After: -1", None),
            ("X-RateLimit-Limit: unlimited", None),
            ("X-RateLimit-Limit: -1", None),
            ("X-RateLimit-Limit: 99999999999", Some((Some(u32::MAX), None, None, None))),
        ] {
            assert_eq!(told(lines), expected, "{lines}");
        }
    }
}
