//! The end of a run: what came, what failed and why, and what could be done about it.
//!
//! Owns the counting and the words, for people and as JSON. Memory does not grow with the list:
//! kinds and hosts are few, and of the hosts only the worst are kept.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

mod host;

pub use host::{Host, Shared};

use super::stdio::{Tone, painted, safe};
use super::{json, manual};
use crate::base::{Number, sort_by_key};
use crate::engine::{AddressStats, HostStats};
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
    /// Read, and not begun when the run came to its end.
    pub unbegun: u64,
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

/// An origin as it is shown.
pub(super) fn full(scheme: &str, host: &str, port: u16) -> String {
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
    /// Addresses that several of them share.
    pub shared: Vec<Shared>,
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
            let _ = write!(out, "  ended early: {}", safe(why));
            out.push_str(if counts.unbegun > 0 {
                "; the rest of the list was not begun\n"
            } else {
                "\n"
            });
        }
        if counts.repeats > 0 || counts.resumed > 0 {
            let _ = writeln!(
                out,
                "  {}, {} continued where {} cut",
                Number(counts.repeats, "attempt was repeated", "attempts were repeated"),
                Number(counts.resumed, "body", "bodies"),
                if counts.resumed == 1 { "it was" } else { "they were" },
            );
        }
        if !counts.kinds.is_empty() {
            let mut kinds: Vec<_> = counts.kinds.iter().collect();
            sort_by_key(&mut kinds, |&(name, &count)| (std::cmp::Reverse(count), name.as_str()));
            let shown: Vec<String> =
                kinds.iter().take(6).map(|(name, count)| format!("{count} {name}")).collect();
            let more = kinds.len().saturating_sub(6);
            let more = match more {
                0 => String::new(),
                more => format!(" and {}", Number(more as u64, "other kind", "other kinds")),
            };
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
                let (s, them, s_too) =
                    if counts.error_pages == 1 { ("s", "it a", "") } else { ("", "them", "s") };
                let _ = write!(
                    out,
                    " ({} of {bad} count{s} as fetched: -f makes {them} failure{s_too})",
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
        sort_by_key(&mut worst, |host| std::cmp::Reverse(host.trouble()));
        for host in worst.iter().take(3) {
            host.line(&mut out);
        }
        if let ([], [only]) = (&worst[..], &self.hosts[..]) {
            only.line(&mut out);
        }
        for shared in self.shared.iter().filter(|shared| shared.is_found()).take(2) {
            shared.line(&mut out);
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
        let field = |name: &str, value: u64, out: &mut Vec<u8>| {
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
            ("not_begun", counts.unbegun),
            ("body_bytes", counts.body_bytes),
            ("wire_bytes", counts.wire_bytes),
            ("repeats", counts.repeats),
            ("resumed", counts.resumed),
            ("unfollowed_redirects", counts.redirects),
            ("unfinished_files", counts.parts.0),
        ];
        for (name, value) in rows {
            field(name, value, &mut out);
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
        out.extend_from_slice(b"],\"addresses\":[");
        for (at, shared) in self.shared.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b"," } else { b"" });
            shared.json(&mut out);
        }
        out.extend_from_slice(b"]}\n");
        out
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
            host.counts.failed = *failed;
            host.failure = Some(kind.clone());
        }
        let at = kept.partition_point(|other| {
            (other.trouble(), other.counts.requests) >= (host.trouble(), host.counts.requests)
        });
        if at < most {
            kept.insert(at, host);
            kept.truncate(most);
        }
    }
    kept
}

/// Of many addresses those that the most share.
pub fn most_shared(all: impl Iterator<Item = AddressStats>, most: usize) -> Vec<Shared> {
    let mut all: Vec<AddressStats> = all.collect();
    sort_by_key(&mut all, |shared| (std::cmp::Reverse(shared.origins), shared.address));
    all.truncate(most);
    all.into_iter().map(Shared).collect()
}

/// `1.2 MB`.
pub fn bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = "kB";
    for larger in ["MB", "GB", "TB", "PB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
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
        let summary = Summary {
            counts: &counts,
            hosts: Vec::new(),
            shared: Vec::new(),
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
            "a.gannet-part",
            "SIGINT",
            "1.2 kB",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let value: serde_json::Value = serde_json::from_slice(&summary.json()).unwrap();
        assert_eq!(value["kinds"]["refused"], 2);
        assert_eq!(value["statuses"]["404"], 1);
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
