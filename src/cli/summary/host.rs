//! One host, or one address that several share, in the summary: what was found, what hurt, what
//! gannet did and what the user could do.
//!
//! Says in words and as JSON what `host_stats` of the library tells, and nothing else, but for one
//! thing: failures are those of the list's URLs.

use std::fmt::Write;

use super::full;
use crate::base::Number;
use crate::cli::json;
use crate::engine::limit::{Explanation, Finding};
use crate::engine::pace::PaceExplanation;
use crate::engine::{AddressStats, Counts, HostStats, Remedy};

/// A copy of what the engine knows of a host.
#[derive(Clone, Debug)]
pub struct Host {
    pub(super) origin: String,
    pub(super) counts: Counts,
    limit: u32,
    explanation: Explanation,
    pace: PaceExplanation,
    down: bool,
    closed: bool,
    remedy: Option<Remedy>,
    /// As what the last one failed.
    pub(super) failure: Option<String>,
}

impl Host {
    /// A copy of what the engine knows. What only a moment during the run has is left out.
    pub fn new(stats: &HostStats<'_>) -> Self {
        let HostStats {
            origin,
            counts,
            limit,
            connections: _,
            queued: _,
            explanation,
            pace,
            down,
            closed_until,
            failure,
        } = *stats;
        Self {
            origin: full(origin.scheme.name(), origin.host, origin.port),
            counts,
            limit,
            explanation,
            pace,
            down,
            closed: closed_until.is_some(),
            remedy: stats.remedy(),
            failure: failure.map(|kind| kind.name().to_owned()),
        }
    }

    /// How much it hurt.
    pub(super) fn trouble(&self) -> u64 {
        let gone = if self.down || self.closed { 1_000_000 } else { 0 };
        let counts = &self.counts;
        gone + counts.fresh_resets
            + counts.timeouts
            + counts.open_failures
            + counts.too_many
            + counts.unavailable
            + counts.failed
    }

    /// For people.
    pub(super) fn line(&self, out: &mut String) {
        let counts = &self.counts;
        let found = self.explanation.to_string();
        // Of a host that nobody reached there is no limit to tell.
        let found = match (counts.responses, &self.failure) {
            (0, _) if self.down => "down",
            (0, Some(failure)) => failure,
            _ => &found,
        };
        let _ = write!(out, "  {}: {found}", self.origin);
        if self.pace.rate_milli.is_some() && !self.closed {
            let _ = write!(out, "; {}", self.pace);
        }
        let rate = self.explanation.ledger.requests_per_second();
        if rate > 0 && is_settled(&self.explanation) {
            let _ = write!(out, "; {}", Number(rate, "request/s", "requests/s"));
        }
        let parts = [
            (counts.fresh_resets, "reset on a fresh connection", "resets on fresh connections"),
            (
                counts.open_failures,
                "connection that could not be opened",
                "connections that could not be opened",
            ),
            (counts.timeouts, "timeout", "timeouts"),
            (counts.too_many, "answer of 429", "answers of 429"),
            (counts.unavailable, "answer of 503", "answers of 503"),
            (counts.stale, "kept connection that was closed", "kept connections that were closed"),
        ];
        for (count, one, many) in parts {
            if count > 0 {
                let _ = write!(out, "; {}", Number(count, one, many));
            }
        }
        if counts.failed > 0 {
            let _ = write!(out, "; {} failed", Number(counts.failed, "URL", "URLs"));
            let last = self.failure.as_deref().filter(|failure| *failure != found);
            if let Some(failure) = last {
                let last = if counts.failed == 1 { "" } else { "last: " };
                let _ = write!(out, " ({last}{failure})");
            }
        }
        let _ = writeln!(out);
        if let Some(remedy) = self.remedy {
            let _ = writeln!(out, "    {}", words(remedy));
        }
    }

    /// The same as JSON.
    pub(super) fn json(&self, out: &mut Vec<u8>) {
        let Counts {
            requests,
            responses,
            bytes,
            connections,
            peak,
            fresh_resets,
            stale,
            idle_closes,
            open_failures,
            timeouts,
            too_many,
            unavailable,
            repeats,
            resumed,
            failed,
        } = self.counts;
        let ledger = &self.explanation.ledger;
        out.push(b'{');
        text("origin", Some(&self.origin), out);
        let rows = [
            ("requests", requests),
            ("responses", responses),
            ("bytes", bytes),
            ("requests_per_second", ledger.requests_per_second()),
            ("bytes_per_second", ledger.bytes_per_second()),
            ("connections", connections),
            ("peak", peak.into()),
            ("limit", self.limit.into()),
            ("fresh_resets", fresh_resets),
            ("stale", stale),
            ("idle_closes", idle_closes),
            ("timeouts", timeouts),
            ("open_failures", open_failures),
            ("status_429", too_many),
            ("status_503", unavailable),
            ("repeats", repeats),
            ("resumed", resumed),
            ("failed", failed),
        ];
        for (name, value) in rows {
            key(name, out);
            json::number(value, out);
        }
        text("failure", self.failure.as_deref(), out);
        for (name, value) in [("down", self.down), ("closed", self.closed)] {
            key(name, out);
            out.extend_from_slice(if value { b"true" } else { b"false" });
        }
        explained(&self.explanation, out);
        let paced = self.pace.rate_milli.map(|_| self.pace.to_string());
        text("pace", paced.as_deref(), out);
        text("remedy", self.remedy.map(Remedy::name), out);
        text("advice", self.remedy.map(words), out);
        out.push(b'}');
    }
}

/// Whether a level was found that more would not be better than.
const fn is_settled(explanation: &Explanation) -> bool {
    use Finding::{Bandwidth, Complaint, Queue, Thrash};
    matches!(
        explanation.finding,
        Complaint { .. } | Queue { .. } | Bandwidth { .. } | Thrash { .. }
    )
}

/// What the user could do, with this command's options.
const fn words(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::CheckThatItRuns => "it is down: check that it runs, then --resume",
        Remedy::ComeBackLater => "it asked to be left alone; --resume takes its URLs up later",
        Remedy::SlowDown => "it limits the rate of requests: --rate-per-host slows down for good",
        Remedy::AskForMore => {
            "gannet stays below what it bears; its owner may allow more connections"
        }
        Remedy::UseFewer => "it is slow under load: --per-host with a smaller number may help",
        Remedy::AskWhy => "it refuses connections now and then: its owner may know why",
        Remedy::AllowMore => "it would bear more: --max-per-host N, if you may",
    }
}

/// An address that several origins share.
#[derive(Clone, Copy, Debug)]
pub struct Shared(pub AddressStats);

impl Shared {
    /// Whether there is something to tell of it.
    pub(super) const fn is_found(&self) -> bool {
        is_settled(&self.0.explanation)
    }

    /// For people.
    pub(super) fn line(&self, out: &mut String) {
        let AddressStats { address, origins, explanation, .. } = self.0;
        let _ = writeln!(out, "  {address}, shared by {origins} hosts: {explanation}");
    }

    /// The same as JSON.
    pub(super) fn json(&self, out: &mut Vec<u8>) {
        let AddressStats { address, origins, limit, explanation, .. } = self.0;
        out.push(b'{');
        text("address", Some(&address.to_string()), out);
        for (name, value) in [("origins", origins), ("limit", limit)] {
            key(name, out);
            json::number(value.into(), out);
        }
        explained(&explanation, out);
        out.push(b'}');
    }
}

fn key(name: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    json::string(name.as_bytes(), out);
    out.push(b':');
}

fn text(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    key(name, out);
    match value {
        Some(value) => json::string(value.as_bytes(), out),
        None => out.extend_from_slice(b"null"),
    }
}

fn explained(explanation: &Explanation, out: &mut Vec<u8>) {
    text("finding", Some(explanation.name()), out);
    text("explanation", Some(&explanation.to_string()), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fetcher;
    use crate::engine::Kind;
    use crate::fetch::Options;
    use crate::origin::traffic::{Connections, Full, Level, Rate};
    use crate::origin::{Script, presets, spawn};

    /// One host after a list was fetched from it by the library.
    fn after(script: Script, urls: usize, path: &str, attempts: u32) -> (Fetcher, Host) {
        let server = spawn(script).unwrap();
        let mut options = Options::default();
        options.engine.attempts = attempts;
        let mut fetcher = Fetcher::new(options).unwrap();
        let mut sent = 0;
        loop {
            while sent < urls && fetcher.wants() > 0 {
                fetcher.get(&server.url(&format!("{path}?n={sent}"))).unwrap();
                sent += 1;
            }
            if fetcher.next().unwrap().is_none() {
                break;
            }
        }
        let host = Host::new(&fetcher.host_stats().next().unwrap());
        (fetcher, host)
    }

    /// What the library tells is in the JSON, and what people are told is in both.
    fn is_one_content(fetcher: &Fetcher, host: &Host) -> String {
        let stats = fetcher.host_stats().next().unwrap();
        let counts = stats.counts;
        let mut json = Vec::new();
        host.json(&mut json);
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let ledger = &stats.explanation.ledger;
        for (name, is) in [
            ("requests", counts.requests),
            ("responses", counts.responses),
            ("bytes", counts.bytes),
            ("connections", counts.connections),
            ("peak", counts.peak.into()),
            ("fresh_resets", counts.fresh_resets),
            ("stale", counts.stale),
            ("idle_closes", counts.idle_closes),
            ("open_failures", counts.open_failures),
            ("timeouts", counts.timeouts),
            ("status_429", counts.too_many),
            ("status_503", counts.unavailable),
            ("repeats", counts.repeats),
            ("resumed", counts.resumed),
            ("failed", counts.failed),
            ("limit", stats.limit.into()),
            ("requests_per_second", ledger.requests_per_second()),
            ("bytes_per_second", ledger.bytes_per_second()),
        ] {
            assert_eq!(value[name], is, "{name}: {value}");
        }
        assert_eq!(value["down"], stats.down);
        assert_eq!(value["closed"], stats.closed_until.is_some());
        assert_eq!(value["finding"], stats.explanation.name());
        assert_eq!(value["explanation"], stats.explanation.to_string());
        let paced = stats.pace.rate_milli.map(|_| stats.pace.to_string());
        assert_eq!(value["pace"].as_str(), paced.as_deref());
        assert_eq!(value["remedy"].as_str(), stats.remedy().map(Remedy::name));
        assert_eq!(value["failure"].as_str(), stats.failure.map(Kind::name));
        // Each clause of the words for people is one of the JSON's values, or a number with its unit.
        let mut text = String::new();
        host.line(&mut text);
        let (said, advice) = text.split_once('\n').unwrap();
        assert_eq!(advice.trim(), value["advice"].as_str().unwrap_or(""), "{text}");
        let said = said.split_once(&format!("{}: ", value["origin"].as_str().unwrap())).unwrap().1;
        let units = [
            ("request/s", "requests_per_second"),
            ("requests/s", "requests_per_second"),
            ("reset on a fresh connection", "fresh_resets"),
            ("resets on fresh connections", "fresh_resets"),
            ("connection that could not be opened", "open_failures"),
            ("connections that could not be opened", "open_failures"),
            ("timeout", "timeouts"),
            ("timeouts", "timeouts"),
            ("answer of 429", "status_429"),
            ("answers of 429", "status_429"),
            ("answer of 503", "status_503"),
            ("answers of 503", "status_503"),
            ("kept connection that was closed", "stale"),
            ("kept connections that were closed", "stale"),
            ("URL failed", "failed"),
            ("URLs failed", "failed"),
        ];
        for clause in said.split("; ") {
            let values = ["explanation", "pace", "failure"];
            if values.iter().any(|name| value[name] == clause) || (clause == "down" && stats.down) {
                continue;
            }
            let (number, unit) = clause.split_once(' ').unwrap_or_default();
            let (unit, last) = unit.split_once(" (").unwrap_or((unit, ""));
            let known = units.iter().find(|(words, _)| *words == unit);
            let (_, name) = known.unwrap_or_else(|| panic!("{clause:?} of {text}"));
            assert_eq!(value[name].to_string(), number, "{clause:?} of {text}");
            if !last.is_empty() {
                let last = last.trim_start_matches("last: ").trim_end_matches(')');
                assert_eq!(value["failure"], last, "{text}");
            }
        }
        text
    }

    #[test]
    fn the_library_the_json_and_the_words_have_one_content() {
        let (fetcher, host) = after(presets::hard_limit(5), 300, "/bytes/10", 5);
        let text = is_one_content(&fetcher, &host);
        assert!(text.contains("settled at") && text.contains("its owner may"), "{text}");
        let rate = Rate { per_second: 200.0, burst: 5, ..Rate::default() };
        let (fetcher, host) =
            after(Script { rate: Some(rate), ..Script::new() }, 200, "/bytes/10", 10);
        let text = is_one_content(&fetcher, &host);
        assert!(text.contains("paced at") && text.contains("--rate-per-host"), "{text}");
        let full = Full::Answer { status: 503, retry_after: Some(3600), at_once: false };
        let none = Connections { limit: Level::Fixed(0), full };
        let (fetcher, host) =
            after(Script { connections: Some(none), ..Script::new() }, 3, "/bytes/10", 1);
        let text = is_one_content(&fetcher, &host);
        assert!(text.contains("left alone") && text.contains("3 URLs failed"), "{text}");
        assert!(!text.contains("paced"), "{text}");
        let (fetcher, host) = after(Script::new(), 1, "/status/503", 1);
        let text = is_one_content(&fetcher, &host);
        assert!(text.contains("; 1 answer of 503; 1 URL failed (status_exhausted)"), "{text}");
    }

    #[test]
    fn a_host_that_is_down_says_so() {
        let mut fetcher = Fetcher::new(Options::default()).unwrap();
        let gone = spawn(Script::new()).unwrap();
        let url = gone.url("/");
        gone.stop().unwrap();
        fetcher.get(&url).unwrap();
        assert!(fetcher.next().unwrap().unwrap().result.is_err());
        let host = Host::new(&fetcher.host_stats().next().unwrap());
        let text = is_one_content(&fetcher, &host);
        assert!(text.contains(": down; ") && text.contains("check that it runs"), "{text}");
    }

    #[test]
    fn names_at_one_address_share_its_limit_in_all_three() {
        let server = spawn(presets::hard_limit(6)).unwrap();
        let mut options = Options::default();
        options.engine.attempts = 10;
        let mut fetcher = Fetcher::new(options).unwrap();
        let port = server.addr().port();
        for n in 0..200 {
            fetcher.get(&format!("http://n{}.localhost:{port}/bytes/9?n={n}", n % 20)).unwrap();
        }
        while fetcher.next().unwrap().is_some() {}
        let served = |shared: &AddressStats| shared.address.is_ipv4();
        let shared = Shared(fetcher.address_stats().find(served).unwrap());
        assert!(shared.is_found(), "{shared:?}");
        let mut text = String::new();
        shared.line(&mut text);
        let mut json = Vec::new();
        shared.json(&mut json);
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let explanation = value["explanation"].as_str().unwrap();
        assert_eq!(text, format!("  127.0.0.1, shared by 20 hosts: {explanation}\n"));
        assert_eq!((&value["address"], &value["origins"]), (&"127.0.0.1".into(), &20.into()));
        assert_eq!(value["limit"], shared.0.limit);
    }
}
