//! What is said of a URL that is at its end: its record and its line for people, and `-w` behind them
//! ([`format`]).
//!
//! Owns the order in which that is said. Never decides whether the URL was fetched well.

mod format;

use std::fmt::Write as _;
use std::time::Duration;

use super::advice;
use super::desk::Desk;
use super::job::{Job, News};
use super::kind::Kind;
use super::output::Lost;
use super::verdict::End;
use crate::cli::plan::{Mode, RecordHeaders};
use crate::cli::record::{Body, Conn, Error, Record};
use crate::cli::results::Form;
use crate::cli::stdio::{Tone, colours, painted, safe};
use crate::cli::values::BodyForm;
use crate::cli::{date, manual, summary, writeout};
use crate::engine::{self, Try};
use crate::fetch::{ErrorKind, Outcome};

/// An end without an outcome of the fetcher: a bad line, a URL that can't be begun.
pub struct Early<'a> {
    pub kind: &'a str,
    pub message: &'a str,
    pub hint: &'a str,
    pub exit: u8,
}

impl<'a> Early<'a> {
    /// One that the command gives by itself.
    pub const fn new(kind: Kind, message: &'a str, hint: &'a str) -> Self {
        Self { kind: kind.name(), message, hint, exit: kind.exit() }
    }
}

/// How it ended for the fetcher: an answer that came whole may have asked to come back later than we do,
/// by its status or by `Retry-After`.
fn end_of(job: &Job, outcome: &Outcome<'_>) -> End {
    let Err(error) = outcome.result else { return End::Whole };
    match error.kind {
        _ if is_exhausted(error) && job.stands => End::Whole,
        // Of one that was thrown away, as it is no rest of a body, there is nothing to look at.
        _ if is_exhausted(error) && job.head.status < 400 => End::Failed,
        _ if is_exhausted(error) => End::Exhausted,
        // Those that were queued behind it had no answer.
        ErrorKind::Engine(engine::Kind::HostClosed) if error.phase == engine::Phase::Head => {
            End::Exhausted
        }
        _ => End::Failed,
    }
}

/// Its last answer asked to come back later, or was none that is of use.
const fn is_exhausted(error: &crate::fetch::Error) -> bool {
    matches!(error.kind, ErrorKind::Engine(engine::Kind::StatusExhausted))
}

/// A URL that was only read ahead when the run came to its end: nothing was asked for.
fn is_unbegun(outcome: &Outcome<'_>) -> bool {
    outcome.attempts == 0 && outcome.result.is_err_and(crate::fetch::Error::is_cancelled)
}

/// Attempts beyond the one that each hop takes.
fn repeats(outcome: &Outcome<'_>) -> u64 {
    u64::from(outcome.attempts.saturating_sub(1 + outcome.redirects))
}

impl Desk {
    /// Says when this machine's network seems to go, and when it is back.
    pub fn network(&mut self, offline: Option<Duration>) {
        let before = std::mem::replace(&mut self.offline, offline);
        if before.is_some() == offline.is_some() || self.display.silent {
            return;
        }
        self.said.push(match before {
            None => "gannet: this machine's network or its name servers seem to be down: waiting \
                 until they are back, nothing is counted as failed for it (--offline fail does not wait)"
                .to_owned(),
            Some(time) => format!("gannet: the network is back after {}", summary::time(time)),
        });
    }

    /// A job is at its end.
    pub fn finished(&mut self, index: usize, outcome: &Outcome<'_>) {
        let end = end_of(&self.jobs[index], outcome);
        let digest = self.conclude(index, end);
        if self.mode == Mode::Batch && self.called_off && is_unbegun(outcome) {
            // No record: as the rest of the list, it is left for another run.
            self.counts.unbegun += 1;
            self.release(index);
            return;
        }
        let job = self.jobs.lift(index);
        let (message, hint);
        let error = match (&job.trouble, outcome.result) {
            (Some(trouble), _) => Some(Error {
                kind: trouble.kind.name(),
                phase: "body",
                message: &trouble.message,
                os: 0,
                reused: None,
                hint: trouble.hint,
            }),
            (None, Err(error)) if end != End::Whole => {
                (message, hint) = (error.to_string(), advice::of(error));
                Some(Error {
                    kind: error.name(),
                    phase: error.phase.name(),
                    message: &message,
                    os: error.os,
                    reused: error.reused,
                    hint: &hint,
                })
            }
            (None, _) => None,
        };
        let exit = match (&job.trouble, outcome.result) {
            (Some(trouble), _) => trouble.kind.exit(),
            // curl shows the last answer and is content, unless -f says otherwise.
            (None, Err(_)) if end == End::Exhausted && self.mode == Mode::Transfers => 0,
            // The last there was is a body that was cut.
            (None, Err(error)) if end == End::Failed && is_exhausted(error) => {
                Kind::EofInBody.exit()
            }
            (None, Err(error)) if end != End::Whole => error.exit().code(),
            (None, _) => 0,
        };
        self.count(&job, outcome, error.as_ref().map(|error| error.kind));
        self.write_record(&job, outcome, error.as_ref(), digest);
        if self.mode == Mode::Transfers {
            if exit != 0 {
                self.ends_with(exit);
                if self.display.errors && self.output.lost.is_none() {
                    let colour = colours(self.display.color);
                    self.said.push(complaint(exit, &job.asked.url, error.as_ref(), colour));
                }
            }
            self.transfers += 1;
            self.write_format(&job, outcome, exit, error.as_ref().map(|error| error.message));
        }
        self.jobs.put_back(index, job);
        self.release(index);
    }

    /// A transfer failed. What failed, not what was called off for it, is how it ends.
    const fn ends_with(&mut self, exit: u8) {
        if !self.called_off || self.last_exit == 0 {
            self.last_exit = exit;
        }
    }

    fn count(&mut self, job: &Job, outcome: &Outcome<'_>, kind: Option<&str>) {
        let counts = &mut self.counts;
        match kind {
            None => counts.ok += 1,
            Some(kind) => {
                counts.failed(kind);
                counts.failed_at(outcome.final_url, kind);
            }
        }
        if let Some(status) = outcome.status {
            counts.status(status);
            counts.error_pages += u64::from(status >= 400 && kind.is_none());
            if (300..400).contains(&status) && job.head.location().is_some() && kind.is_none() {
                counts.redirects += 1;
            }
        }
        counts.body_bytes += job.received.bytes;
        counts.wire_bytes += outcome.wire_bytes;
        counts.repeats += repeats(outcome);
        counts.resumed += u64::from(outcome.resumed_at.is_some());
    }

    fn write_record(
        &mut self,
        job: &Job,
        outcome: &Outcome<'_>,
        error: Option<&Error<'_>>,
        sha256: Option<[u8; 32]>,
    ) {
        let Some(results) = &self.results else { return };
        if results.form == Form::Columns {
            self.say_columns(job, outcome.status, error, outcome.times.total);
            return;
        }
        let headers = match &self.records.headers {
            RecordHeaders::None => None,
            RecordHeaders::All => Some(last_head(&job.heads.lines).to_vec()),
            RecordHeaders::These(names) => Some(only(last_head(&job.heads.lines), names)),
        };
        let tls;
        let conn = match &outcome.conn {
            None => None,
            Some(conn) => {
                tls = conn.tls;
                Some(Conn {
                    id: self.watch.as_ref().map_or(conn.id, |watch| watch.borrow().number(conn.id)),
                    reused: conn.reused,
                    remote: Some(conn.remote),
                    tls: tls.as_ref().map(|tls| tls.version),
                })
            }
        };
        let warnings: &[&str] = match (self.insecure, outcome.final_url.scheme()) {
            (true, crate::fetch::Scheme::Https) => {
                &["the server's certificate was not checked (-k)"]
            }
            _ => &[],
        };
        let tries: &[Try] =
            if outcome.attempts > 1 || outcome.tries.len() > 1 { outcome.tries } else { &[] };
        let record = Record {
            final_url: Some(outcome.final_url.as_str()),
            method: outcome.method,
            status: outcome.status,
            error: error.copied(),
            attempts: outcome.attempts,
            tries,
            redirects: outcome.redirects,
            body_bytes: job.received.bytes,
            wire_bytes: outcome.wire_bytes,
            content_type: job.head.content_type(),
            content_length: job.head.content_length,
            etag: job.head.etag(),
            last_modified: job.head.last_modified(),
            location: job.head.location(),
            output: job.out.output.as_deref(),
            sha256: sha256.filter(|_| self.records.sha256 && job.head.status != 0),
            headers: headers.as_deref(),
            body: self.records.body.map(|form| match form {
                BodyForm::Text => Body::Text(&job.received.recorded),
                BodyForm::Base64 => Body::Base64(&job.received.recorded),
            }),
            truncated: outcome.truncated || job.received.is_cut,
            unchanged: job.news != News::New,
            warnings,
            times: Some(outcome.times),
            dns_stale: outcome.conn.is_some_and(|conn| conn.dns_stale),
            conn,
            resumed_at: outcome.resumed_at,
            ..record_of(job)
        };
        self.write_down(&record);
    }

    fn say_columns(
        &mut self,
        job: &Job,
        status: Option<u16>,
        error: Option<&Error<'_>>,
        total: Duration,
    ) {
        let colour = colours(self.display.color);
        self.said.push(columns(job, status, error, total, colour));
    }

    fn write_down(&mut self, record: &Record<'_>) {
        let Some(results) = &mut self.results else { return };
        self.writer.write(record, &mut results.buffer);
        let result = results.written();
        self.results_done(result);
    }

    /// What became of writing records.
    pub fn results_done(&mut self, result: std::io::Result<()>) {
        let Err(error) = result else { return };
        self.output.failed = true;
        // Nobody reads any more, or the disk is full: without records a batch has no sense.
        if self.output.lost.is_some() {
            return;
        }
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            self.output.lost = Some(Lost::Reader);
            return;
        }
        self.output.lost = Some(Lost::Records);
        let name = self.results.as_ref().map_or("", |results| results.name.as_str());
        self.said.push(format!("gannet: can't write the results to {name}: {error}"));
    }

    /// A URL that never came to the fetcher.
    pub fn early(&mut self, index: usize, early: &Early<'_>) {
        let job = self.jobs.lift(index);
        self.counts.failed(early.kind);
        let error = Error {
            kind: early.kind,
            phase: "queue",
            message: early.message,
            os: 0,
            reused: None,
            hint: early.hint,
        };
        match self.results.as_ref().map(|results| results.form) {
            None => {}
            Some(Form::Columns) => self.say_columns(&job, None, Some(&error), Duration::ZERO),
            Some(Form::Json) => {
                let method = job.asked.more.as_deref().and_then(|more| more.method.as_deref());
                let method = method.unwrap_or("GET");
                let record = Record { method, error: Some(error), ..record_of(&job) };
                self.write_down(&record);
            }
        }
        if self.mode == Mode::Transfers {
            self.ends_with(early.exit);
            if self.display.errors {
                let colour = colours(self.display.color);
                self.said.push(complaint(early.exit, &job.asked.url, Some(&error), colour));
            }
            self.transfers += 1;
            let facts = writeout::Facts {
                url: job.asked.typed(),
                url_effective: job.asked.typed(),
                url_number: job.asked.url_number,
                transfer: self.transfers - 1,
                exit_code: early.exit,
                error: Some(early.message),
                method: "GET",
                now: date::now(),
                ..writeout::Facts::default()
            };
            self.print_format(&job, &facts);
        }
        self.jobs.put_back(index, job);
        self.release(index);
    }

    /// A URL whose file is there already.
    pub fn skipped(&mut self, index: usize, path: String) {
        let job = self.jobs.lift(index);
        self.counts.ok += 1;
        match self.results.as_ref().map(|results| results.form) {
            None => {}
            Some(Form::Columns) => self.say_columns(&job, None, None, Duration::ZERO),
            Some(Form::Json) => {
                let warnings = &["not fetched: the file is there (--skip-existing)"];
                let output = Some(path.as_str());
                self.write_down(&Record { method: "GET", output, warnings, ..record_of(&job) });
            }
        }
        if self.mode == Mode::Transfers && self.display.errors {
            self.said.push(format!("gannet: {} is there and was not fetched again", safe(&path)));
        }
        self.jobs.put_back(index, job);
        self.release(index);
    }

    /// Says what has gathered, above the progress line.
    pub fn speak(&mut self, progress: &crate::cli::progress::Progress) {
        for text in self.said.drain(..) {
            progress.say(&text);
        }
    }
}

/// What a record says of a URL before anything is known of its answer.
fn record_of(job: &Job) -> Record<'_> {
    let more = job.asked.more.as_deref();
    Record {
        n: job.asked.n,
        id: more.and_then(|more| more.id.as_deref()),
        meta: more.and_then(|more| more.meta.as_deref()),
        url: &job.asked.url,
        started: job.asked.started,
        ..Record::default()
    }
}

/// `gannet: (7) URL: what happened [kind]`, and what to do.
fn complaint(exit: u8, url: &str, error: Option<&Error<'_>>, colour: bool) -> String {
    let code = format!("({exit})");
    // One that is longer than a screen hides what is said about it.
    let end = url.char_indices().nth(1000).map(|(end, _)| end);
    let shown = end.and_then(|end| url.get(..end)).unwrap_or(url);
    let dots = if shown.len() < url.len() { "..." } else { "" };
    let mut text = format!("gannet: {} {}{dots}", painted(colour, Tone::Bad, &code), safe(shown));
    if let Some(error) = error {
        let _ = write!(text, ": {} [{}]", safe(error.message), error.kind);
        if !error.hint.is_empty() {
            let _ = write!(text, "\n        {}", error.hint);
        }
        if manual::has_page(error.kind) {
            let before = if error.hint.is_empty() { "\n        " } else { " (" };
            let after = if error.hint.is_empty() { "" } else { ")" };
            let _ = write!(text, "{before}more: gannet --help {}{after}", error.kind);
        }
    }
    text
}

/// The last head of several, without its status line.
fn last_head(heads: &[u8]) -> &[u8] {
    let body = heads.strip_suffix(b"\r\n\r\n").unwrap_or(heads);
    let start = body.windows(4).rposition(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    heads.get(start..).unwrap_or_default()
}

fn only(head: &[u8], names: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let name = line.split(|&byte| byte == b':').next().unwrap_or(b"");
        if names.iter().any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name)) {
            out.extend_from_slice(line);
        }
    }
    out
}

/// A record for people, where records go to a terminal.
fn columns(
    job: &Job,
    status: Option<u16>,
    error: Option<&Error<'_>>,
    total: Duration,
    colour: bool,
) -> String {
    let mut text = String::new();
    match (status, error) {
        (Some(status), _) => {
            let tone = match status {
                _ if error.is_some() => Tone::Bad,
                400.. => Tone::Bad,
                300.. => Tone::Odd,
                _ => Tone::Good,
            };
            text.push_str(&painted(colour, tone, &format!("{status:>3}")));
        }
        (None, _) => text.push_str("  -"),
    }
    let _ = write!(
        text,
        " {:>8} {:>8}  {}",
        summary::bytes(job.received.bytes),
        summary::time(total),
        safe(&job.asked.url)
    );
    if let Some(error) = error {
        let kind = format!("[{}]", error.kind);
        let _ = write!(text, "  {}", painted(colour, Tone::Bad, &kind));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_head_counts() {
        let heads = b"HTTP/1.1 302 Found\r\nA: 1\r\n\r\nHTTP/1.1 200 OK\r\nB: 2\r\nC: 3\r\n\r\n";
        assert_eq!(last_head(heads), b"HTTP/1.1 200 OK\r\nB: 2\r\nC: 3\r\n\r\n");
        assert_eq!(last_head(b""), b"");
        assert_eq!(only(last_head(heads), &["c".to_owned()]), b"C: 3\r\n");
    }
}
