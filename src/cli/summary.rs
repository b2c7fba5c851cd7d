//! The end of a run: what came, what failed and why, and what could be done about it.
//!
//! Owns the counting and the words, for people and as JSON. Memory does not grow with the list:
//! kinds and hosts are few, and of the hosts only the worst are kept.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::stdio::{Tone, painted, safe};
use super::{json, manual};
use crate::engine::HostStats;
use crate::fetch::Url;

/// Kinds of failure that are told apart; beyond them all count as one.
const MAX_KINDS: usize = 200;
/// Hosts whose failures are counted one by one.
const MAX_FAILING: usize = 1000;

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Entries of the list, bad lines included.
    pub entries: u64,
    pub ok: u64,
    pub failed: u64,
    /// Done by an earlier run.
    pub skipped: u64,
    /// Of another shard.
    pub elsewhere: u64,
    pub body_bytes: u64,
    pub wire_bytes: u64,
    /// Attempts beyond the first.
    pub repeats: u64,
    pub resumed: u64,
    /// Answers that were redirects and were not followed.
    pub redirects: u64,
    pub statuses: BTreeMap<u16, u64>,
    pub kinds: BTreeMap<String, u64>,
    /// Answers of 400 and more that count as fetched.
    pub error_pages: u64,
    /// Of the first hosts that failed a URL: how many, and as what the last one.
    failing: BTreeMap<String, (u64, String)>,
    /// Part files that stay, and the first few names.
    pub parts: (u64, Vec<String>),
    /// What else is to be said.
    pub notes: Vec<String>,
}

impl Counts {
    /// Counts a failure.
    pub fn failed(&mut self, kind: &str) {
        self.failed += 1;
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        } else {
            let kind = if self.kinds.len() < MAX_KINDS { kind } else { "other" };
            *self.kinds.entry(kind.to_owned()).or_default() += 1;
        }
    }

    /// Notes where a failure was.
    pub fn failed_at(&mut self, url: &Url, kind: &str) {
        let origin = full(url.scheme().name(), url.host(), url.port());
        let room = self.failing.len() < MAX_FAILING;
        let entry = match self.failing.get_mut(&origin) {
            Some(entry) => entry,
            None if room => self.failing.entry(origin).or_default(),
            None => return,
        };
        entry.0 += 1;
        if entry.1 != kind {
            kind.clone_into(&mut entry.1);
        }
    }

    /// Counts a status.
    pub fn status(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }
}

/// One host of the summary.
#[derive(Clone, Debug)]
pub struct Host {
    origin: String,
    requests: u64,
    responses: u64,
    connections: u64,
    peak: u32,
    limit: u32,
    finding: &'static str,
    explanation: String,
    fresh_resets: u64,
    stale: u64,
    timeouts: u64,
    open_failures: u64,
    too_many: u64,
    unavailable: u64,
    repeats: u64,
    resumed: u64,
    down: bool,
    closed: bool,
    failed: u64,
    /// As what the last one failed.
    failure: String,
}

impl Host {
    /// A copy of what the engine knows.
    pub fn new(stats: &HostStats<'_>) -> Self {
        let origin = &stats.origin;
        let counts = &stats.counts;
        Self {
            origin: full(origin.scheme.name(), origin.host, origin.port),
            requests: counts.requests,
            responses: counts.responses,
            connections: counts.connections,
            peak: counts.peak,
            limit: stats.limit,
            finding: stats.explanation.name(),
            explanation: stats.explanation.to_string(),
            fresh_resets: counts.fresh_resets,
            stale: counts.stale,
            timeouts: counts.timeouts,
            open_failures: counts.open_failures,
            too_many: counts.too_many,
            unavailable: counts.unavailable,
            repeats: counts.repeats,
            resumed: counts.resumed,
            down: stats.down,
            closed: stats.closed_until.is_some(),
            failed: 0,
            failure: String::new(),
        }
    }

    /// How much it hurt.
    fn trouble(&self) -> u64 {
        let gone = if self.down || self.closed { 1_000_000 } else { 0 };
        gone + self.fresh_resets
            + self.timeouts
            + self.open_failures
            + self.too_many
            + self.unavailable
            + self.failed
    }

    fn line(&self, out: &mut String) {
        // Of a host that nobody reached there is no limit to tell.
        let found = match self.responses {
            0 if self.down => "down",
            0 if !self.failure.is_empty() => &self.failure,
            _ => &self.explanation,
        };
        let _ = write!(out, "  {}: {found}", self.origin);
        let parts = [
            (self.fresh_resets, "resets on fresh connections"),
            (self.open_failures, "connections that could not be opened"),
            (self.timeouts, "timeouts"),
            (self.too_many, "answers of 429"),
            (self.unavailable, "answers of 503"),
            (self.stale, "kept connections that were closed"),
        ];
        for (count, what) in parts {
            if count > 0 {
                let _ = write!(out, "; {count} {what}");
            }
        }
        if self.failed > 0 {
            let s = if self.failed == 1 { "" } else { "s" };
            let _ = write!(out, "; {} URL{s} failed", self.failed);
            if found != self.failure {
                let _ =
                    write!(out, " ({}{})", if s.is_empty() { "" } else { "last: " }, self.failure);
            }
        }
        let _ = writeln!(out);
        let advice = if self.down {
            "it is down: check that it runs, then --resume"
        } else if self.closed {
            "it asked to be left alone; --resume takes its URLs up later"
        } else if self.too_many > 0 {
            "it limits the rate of requests: --rate-per-host slows down for good"
        } else if self.fresh_resets > 0 && self.finding == "hard_limit" {
            "gannet stays below what it bears; its owner may allow more connections"
        } else if self.timeouts > 0 {
            "it is slow under load: --per-host with a smaller number may help"
        } else if self.open_failures > 0 {
            "it refuses connections now and then: its owner may know why"
        } else {
            return;
        };
        let _ = writeln!(out, "    {advice}");
    }
}

/// An origin as it is shown.
fn full(scheme: &str, host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("{scheme}://[{host}]:{port}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

/// All that the summary is made of.
pub struct Summary<'a> {
    pub counts: &'a Counts,
    pub hosts: Vec<Host>,
    pub wall: Duration,
    pub cpu: Duration,
    /// Why it ended before its time.
    pub ended: Option<&'a str>,
    /// For people, in colours.
    pub colour: bool,
}

impl Summary<'_> {
    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let counts = self.counts;
        let seconds = self.wall.as_secs_f64().max(0.001);
        let done = counts.ok + counts.failed;
        let failed = format!("{} failed", counts.failed);
        let tone = if counts.failed > 0 { Tone::Bad } else { Tone::Good };
        let failed = painted(self.colour, tone, &failed);
        let _ = write!(out, "gannet: {} ok, {failed}", counts.ok);
        if counts.skipped > 0 {
            let _ = write!(out, ", {} done before", counts.skipped);
        }
        if counts.elsewhere > 0 {
            let _ = write!(out, ", {} of other shards", counts.elsewhere);
        }
        let _ = writeln!(
            out,
            " in {}: {:.0} URLs/s, {}",
            time(self.wall),
            done as f64 / seconds,
            bytes(counts.body_bytes)
        );
        if let Some(why) = self.ended {
            let _ = writeln!(out, "  ended early: {}", safe(why));
        }
        if counts.repeats > 0 || counts.resumed > 0 {
            let _ = writeln!(
                out,
                "  {} attempts were repeated, {} bodies continued where they were cut",
                counts.repeats, counts.resumed
            );
        }
        if !counts.kinds.is_empty() {
            let mut kinds: Vec<_> = counts.kinds.iter().collect();
            kinds.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
            let shown: Vec<String> =
                kinds.iter().take(6).map(|(name, count)| format!("{count} {name}")).collect();
            let more = kinds.len().saturating_sub(6);
            let more = if more > 0 { format!(" and {more} other kinds") } else { String::new() };
            let _ = writeln!(
                out,
                "  failures: {}{more} (gannet --help {} explains)",
                shown.join(", "),
                kinds
                    .iter()
                    .find(|(name, _)| manual::has_page(name))
                    .map_or("KIND", |(name, _)| name.as_str()),
            );
        }
        let bad: u64 = counts.statuses.range(400..).map(|(_, count)| count).sum();
        if bad > 0 {
            let shown: Vec<String> = counts
                .statuses
                .range(400..)
                .take(6)
                .map(|(status, count)| format!("{count} × {status}"))
                .collect();
            let _ = write!(out, "  statuses: {}", shown.join(", "));
            if counts.error_pages > 0 {
                let _ = write!(
                    out,
                    " ({} of {bad} count as fetched: -f makes them failures)",
                    counts.error_pages
                );
            }
            let _ = writeln!(out);
        }
        if counts.redirects * 10 > done && counts.redirects > 0 {
            let _ = match counts.redirects {
                1 => writeln!(out, "  1 answer was a redirect, not followed: -L follows it"),
                many => {
                    writeln!(out, "  {many} answers were redirects, not followed: -L follows them")
                }
            };
        }
        let mut worst: Vec<&Host> = self.hosts.iter().filter(|host| host.trouble() > 0).collect();
        worst.sort_by_key(|host| std::cmp::Reverse(host.trouble()));
        for host in worst.iter().take(3) {
            host.line(&mut out);
        }
        if worst.is_empty() && self.hosts.len() == 1 {
            self.hosts[0].line(&mut out);
        }
        if counts.parts.0 > 0 {
            let _ = writeln!(
                out,
                "  {} unfinished {} kept: {}{}",
                counts.parts.0,
                if counts.parts.0 == 1 { "file is" } else { "files are" },
                counts.parts.1.iter().map(|name| safe(name)).collect::<Vec<_>>().join(", "),
                if counts.parts.0 > counts.parts.1.len() as u64 { ", …" } else { "" },
            );
        }
        for note in &counts.notes {
            let _ = writeln!(out, "  {}", safe(note));
        }
        out
    }

    /// As JSON, on one line.
    pub fn json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let counts = self.counts;
        let number = |name: &str, value: u64, out: &mut Vec<u8>| {
            out.push(if out.is_empty() { b'{' } else { b',' });
            json::string(name.as_bytes(), out);
            out.push(b':');
            json::number(value, out);
        };
        let rows = [
            ("entries", counts.entries),
            ("ok", counts.ok),
            ("failed", counts.failed),
            ("skipped", counts.skipped),
            ("other_shards", counts.elsewhere),
            ("body_bytes", counts.body_bytes),
            ("wire_bytes", counts.wire_bytes),
            ("repeats", counts.repeats),
            ("resumed", counts.resumed),
            ("unfollowed_redirects", counts.redirects),
            ("unfinished_files", counts.parts.0),
        ];
        for (name, value) in rows {
            number(name, value, &mut out);
        }
        for (name, value) in [("wall_ms", self.wall), ("cpu_ms", self.cpu)] {
            out.push(b',');
            json::string(name.as_bytes(), &mut out);
            out.push(b':');
            json::millis(value, &mut out);
        }
        out.extend_from_slice(b",\"ended\":");
        match self.ended {
            Some(why) => json::string(why.as_bytes(), &mut out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"kinds\":{");
        for (at, (kind, count)) in counts.kinds.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b"," } else { b"" });
            json::string(kind.as_bytes(), &mut out);
            out.push(b':');
            json::number(*count, &mut out);
        }
        out.extend_from_slice(b"},\"statuses\":{");
        for (at, (status, count)) in counts.statuses.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b",\"" } else { b"\"" });
            json::number(u64::from(*status), &mut out);
            out.extend_from_slice(b"\":");
            json::number(*count, &mut out);
        }
        out.extend_from_slice(b"},\"hosts\":[");
        for (at, host) in self.hosts.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b"," } else { b"" });
            host.json(&mut out);
        }
        out.extend_from_slice(b"]}\n");
        out
    }
}

impl Host {
    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"origin\":");
        json::string(self.origin.as_bytes(), out);
        let rows = [
            ("requests", self.requests),
            ("responses", self.responses),
            ("connections", self.connections),
            ("peak", u64::from(self.peak)),
            ("limit", u64::from(self.limit)),
            ("fresh_resets", self.fresh_resets),
            ("stale", self.stale),
            ("timeouts", self.timeouts),
            ("open_failures", self.open_failures),
            ("status_429", self.too_many),
            ("status_503", self.unavailable),
            ("repeats", self.repeats),
            ("resumed", self.resumed),
            ("failed", self.failed),
        ];
        for (name, value) in rows {
            out.push(b',');
            json::string(name.as_bytes(), out);
            out.push(b':');
            json::number(value, out);
        }
        for (name, value) in [("down", self.down), ("closed", self.closed)] {
            out.push(b',');
            json::string(name.as_bytes(), out);
            out.extend_from_slice(if value { b":true" } else { b":false" });
        }
        out.extend_from_slice(b",\"finding\":");
        json::string(self.finding.as_bytes(), out);
        out.extend_from_slice(b",\"explanation\":");
        json::string(self.explanation.as_bytes(), out);
        out.push(b'}');
    }
}

/// Of many hosts the ones that a summary names.
pub fn worst<'a>(
    all: impl Iterator<Item = HostStats<'a>>,
    counts: &Counts,
    most: usize,
) -> Vec<Host> {
    let mut kept: Vec<Host> = Vec::new();
    for stats in all {
        let mut host = Host::new(&stats);
        if let Some((failed, kind)) = counts.failing.get(&host.origin) {
            host.failed = *failed;
            host.failure.clone_from(kind);
        }
        let at = kept.partition_point(|other| {
            (other.trouble(), other.requests) >= (host.trouble(), host.requests)
        });
        if at < most {
            kept.insert(at, host);
            kept.truncate(most);
        }
    }
    kept
}

/// `1.2 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if value < 10.0 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

/// `1.2 s`, `3 min 20 s`, `2 h 5 min`.
pub fn time(time: Duration) -> String {
    match time.as_secs() {
        0..100 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 100..6000 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_happened_and_what_to_do() {
        let mut counts =
            Counts { entries: 10, ok: 5, body_bytes: 1234, redirects: 3, ..Counts::default() };
        counts.failed("refused");
        counts.failed("refused");
        counts.failed("bad_line");
        counts.status(404);
        counts.parts = (1, vec!["a.gannet-part".to_owned()]);
        let host = Host {
            origin: "http://a:80".to_owned(),
            requests: 9,
            responses: 5,
            connections: 3,
            peak: 3,
            limit: 23,
            finding: "hard_limit",
            explanation: "settled at 23: the 24th connection was reset".to_owned(),
            fresh_resets: 2,
            stale: 0,
            timeouts: 0,
            open_failures: 0,
            too_many: 0,
            unavailable: 0,
            repeats: 2,
            resumed: 0,
            down: false,
            closed: false,
            failed: 2,
            failure: "refused".to_owned(),
        };
        let summary = Summary {
            counts: &counts,
            hosts: vec![host],
            wall: Duration::from_secs(2),
            cpu: Duration::ZERO,
            ended: Some("SIGINT"),
            colour: false,
        };
        let text = summary.text();
        for part in [
            "5 ok, 3 failed",
            "2 refused, 1 bad_line",
            "1 × 404",
            "-L follows",
            "settled at 23",
            "2 URLs failed (last: refused)",
            "a.gannet-part",
            "SIGINT",
            "1.2 kB",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let value: serde_json::Value = serde_json::from_slice(&summary.json()).unwrap();
        assert_eq!(value["kinds"]["refused"], 2);
        assert_eq!(value["statuses"]["404"], 1);
        assert_eq!(value["hosts"][0]["limit"], 23);
        assert_eq!(value["ended"], "SIGINT");
    }

    #[test]
    fn sizes_and_times_are_readable() {
        for (n, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_499, "999 kB"),
            (1_000_000, "1.0 MB"),
            (12_345_678, "12 MB"),
        ] {
            assert_eq!(bytes(n), want);
        }
        assert_eq!(time(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(time(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(time(Duration::from_secs(7500)), "2 h 5 min");
    }
}
