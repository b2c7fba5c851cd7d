//! What is said of a URL that is at its end: its record, its line for people, its `-w`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use super::advice;
use super::desk::Desk;
use super::job::{Dest, Job};
use super::kind::Kind;
use crate::cli::plan::RecordHeaders;
use crate::cli::record::{Body, Conn, Error, Record};
use crate::cli::stdio::{Stdout, Tone, colours, painted, safe};
use crate::cli::values::BodyForm;
use crate::cli::{date, manual, summary, writeout};
use crate::engine::{self, Try};
use crate::fetch::{ErrorKind, Outcome, RedirectError, redirect};

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

/// An answer came, whole, and asked to come back later than we do: by its status or by `Retry-After`.
fn is_exhausted(outcome: &Outcome<'_>) -> bool {
    outcome.result.is_err_and(|error| match error.kind {
        ErrorKind::Engine(engine::Kind::StatusExhausted) => true,
        // Those that were queued behind it had no answer.
        ErrorKind::Engine(engine::Kind::HostClosed) => error.phase == engine::Phase::Head,
        _ => false,
    })
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
        let exhausted = is_exhausted(outcome);
        let digest = self.conclude(index, outcome.result.is_ok(), exhausted);
        if self.batch && self.called_off && is_unbegun(outcome) {
            // No record: as the rest of the list, it is left for another run.
            self.counts.unbegun += 1;
            self.release(index);
            return;
        }
        let mut job = self.lift(index);
        job.truncated = outcome.truncated;
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
            (None, Err(error)) => {
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
            (None, Ok(_)) => None,
        };
        let exit = match (&job.trouble, outcome.result) {
            (Some(trouble), _) => trouble.kind.exit(),
            // curl shows the last answer and is content, unless -f says otherwise.
            (None, Err(_)) if exhausted && !self.batch => 0,
            (None, Err(error)) => error.exit().code(),
            (None, Ok(_)) => 0,
        };
        self.count(&job, outcome, error.as_ref().map(|error| error.kind));
        self.write_record(&job, outcome, error.as_ref(), digest);
        if !self.batch {
            if exit != 0 {
                self.ends_with(exit);
                if self.display.errors && !self.output.closed {
                    let colour = colours(self.display.color);
                    self.said.push(complaint(exit, &job.url, error.as_ref(), colour));
                }
            }
            self.transfers += 1;
            self.write_format(&job, outcome, exit, error.as_ref().map(|error| error.message));
        }
        self.put_back(index, job);
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
            if (300..400).contains(&status) && job.location().is_some() && kind.is_none() {
                counts.redirects += 1;
            }
        }
        counts.body_bytes += job.received;
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
        let Some(results) = &mut self.results else { return };
        if results.columns {
            let colour = colours(self.display.color);
            let line = columns(job, outcome.status, error, outcome.times.total, colour);
            self.said.push(line);
            return;
        }
        let headers = match &self.records.headers {
            RecordHeaders::None => None,
            RecordHeaders::All => Some(last_head(&job.heads).to_vec()),
            RecordHeaders::These(names) => Some(only(last_head(&job.heads), names)),
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
        let more = job.more.as_deref();
        let tries: &[Try] =
            if outcome.attempts > 1 || outcome.tries.len() > 1 { outcome.tries } else { &[] };
        let record = Record {
            n: job.n,
            id: more.and_then(|more| more.id.as_deref()),
            meta: more.and_then(|more| more.meta.as_deref()),
            url: &job.url,
            final_url: Some(outcome.final_url.as_str()),
            method: outcome.method,
            status: outcome.status,
            error: error.copied(),
            attempts: outcome.attempts,
            tries,
            redirects: outcome.redirects,
            body_bytes: job.received,
            wire_bytes: outcome.wire_bytes,
            content_type: job.content_type(),
            content_length: job.content_length,
            etag: job.etag(),
            last_modified: job.last_modified(),
            location: job.location(),
            output: job.output.as_deref(),
            sha256: sha256.filter(|_| self.records.sha256 && job.status != 0),
            headers: headers.as_deref(),
            body: self.records.body.map(|form| match form {
                BodyForm::Text => Body::Text(&job.body),
                BodyForm::Base64 => Body::Base64(&job.body),
            }),
            truncated: job.truncated || job.body_cut,
            unchanged: job.unchanged,
            warnings,
            started: job.started,
            times: Some(outcome.times),
            dns_stale: outcome.conn.is_some_and(|conn| conn.dns_stale),
            conn,
            resumed_at: outcome.resumed_at,
        };
        self.writer.write(&record, &mut results.buffer);
        let result = results.written();
        self.results_done(result);
    }

    /// What became of writing records.
    pub fn results_done(&mut self, result: std::io::Result<()>) {
        let Err(error) = result else { return };
        self.output.failed = true;
        // Nobody reads any more, or the disk is full: without records a batch has no sense.
        let first = !std::mem::replace(&mut self.output.closed, true);
        if first && error.kind() != std::io::ErrorKind::BrokenPipe {
            let name = self.results.as_ref().map_or("", |results| results.name.as_str());
            self.said.push(format!("gannet: can't write the results to {name}: {error}"));
        }
    }

    /// A URL that never came to the fetcher.
    pub fn early(&mut self, index: usize, early: &Early<'_>) {
        let job = self.lift(index);
        self.counts.failed(early.kind);
        let error = Error {
            kind: early.kind,
            phase: "queue",
            message: early.message,
            os: 0,
            reused: None,
            hint: early.hint,
        };
        if self.results.as_ref().is_some_and(|results| results.columns) {
            let colour = colours(self.display.color);
            self.said.push(columns(&job, None, Some(&error), Duration::ZERO, colour));
        } else if let Some(results) = &mut self.results {
            let more = job.more.as_deref();
            let record = Record {
                n: job.n,
                id: more.and_then(|more| more.id.as_deref()),
                meta: more.and_then(|more| more.meta.as_deref()),
                url: &job.url,
                method: more.and_then(|more| more.method.as_deref()).unwrap_or("GET"),
                error: Some(error),
                started: job.started,
                ..Record::default()
            };
            self.writer.write(&record, &mut results.buffer);
            let result = results.written();
            self.results_done(result);
        }
        if !self.batch {
            self.ends_with(early.exit);
            if self.display.errors {
                let colour = colours(self.display.color);
                self.said.push(complaint(early.exit, &job.url, Some(&error), colour));
            }
            self.transfers += 1;
            let facts = writeout::Facts {
                url: job.typed(),
                url_effective: job.typed(),
                url_number: job.url_number,
                transfer: self.transfers - 1,
                exit_code: early.exit,
                error: Some(early.message),
                method: "GET",
                now: date::now(),
                ..writeout::Facts::default()
            };
            self.print_format(&job, &facts);
        }
        self.put_back(index, job);
        self.release(index);
    }

    /// A URL whose file is there already.
    pub fn skipped(&mut self, index: usize, path: String) {
        let job = self.lift(index);
        self.counts.ok += 1;
        if let Some(results) = &mut self.results {
            let more = job.more.as_deref();
            let record = Record {
                n: job.n,
                id: more.and_then(|more| more.id.as_deref()),
                meta: more.and_then(|more| more.meta.as_deref()),
                url: &job.url,
                method: "GET",
                output: Some(&path),
                started: job.started,
                warnings: &["not fetched: the file is there (--skip-existing)"],
                ..Record::default()
            };
            self.writer.write(&record, &mut results.buffer);
            let result = results.written();
            self.results_done(result);
        }
        if !self.batch && self.display.errors {
            self.said.push(format!("gannet: {} is there and was not fetched again", safe(&path)));
        }
        self.put_back(index, job);
        self.release(index);
    }

    fn write_format(&mut self, job: &Job, outcome: &Outcome<'_>, exit: u8, error: Option<&str>) {
        let Some(terms) = job.terms() else { return };
        let mut local = None;
        let mut connection = None;
        let mut certificates = Vec::new();
        let mut sent = 0;
        if let Some(watch) = &self.watch {
            let mut watch = watch.borrow();
            local = outcome.conn.and_then(|conn| watch.local(conn.id));
            connection = outcome.conn.map(|conn| watch.number(conn.id).saturating_sub(1));
            certificates = outcome.conn.map(|conn| watch.certificates(conn.id)).unwrap_or_default();
            // Asked for each, so that it is of this one.
            sent = watch.sent_since();
        }
        if terms.format.is_none() {
            return;
        }
        let times = outcome.times;
        // As curl: a version of which the second number is 0 is told without it.
        let version = if last_head(&job.heads).starts_with(b"HTTP/1.0") { "1" } else { "1.1" };
        let location = job.location().and_then(|value| std::str::from_utf8(value).ok());
        let redirect = location.filter(|_| (300..400).contains(&job.status)).map(|text| {
            let to = redirect::resolve(outcome.final_url, text.as_bytes());
            to.map_or_else(|_| text.to_owned(), |to| to.as_str().to_owned())
        });
        let too_large =
            outcome.result.is_err_and(|error| matches!(error.kind, ErrorKind::FileTooLarge(_)));
        // One that was one too many.
        let too_many = matches!(
            outcome.result,
            Err(error) if matches!(error.kind, ErrorKind::Redirect(RedirectError::TooMany(_) | RedirectError::Loop(_)))
        );
        let redirect = redirect.or_else(|| too_many.then(|| job.redirect_to.clone()));
        let queue = times.queue + outcome.redirect_time;
        let lookup = queue + times.dns;
        let connected = lookup + times.connect;
        let secured = if times.tls.is_zero() { Duration::ZERO } else { connected + times.tls };
        let ready = connected + times.tls;
        let content_type = job.content_type().map(String::from_utf8_lossy);
        let remote = outcome.conn.map(|conn| conn.remote);
        // The name that it would have had is told, too.
        let wanted_name = match &job.dest {
            Dest::File { path, .. } => Some(path.display().to_string()),
            _ => None,
        };
        let facts = writeout::Facts {
            url: job.typed(),
            url_effective: outcome.final_url.as_str(),
            url_number: job.url_number,
            transfer: self.transfers - 1,
            exit_code: exit,
            error: if exit == 0 { None } else { error },
            file_name: job.output.as_deref().or(wanted_name.as_deref()),
            method: outcome.method,
            status: if job.unmet { 304 } else { outcome.status.unwrap_or(0) },
            http_version: if job.heads.is_empty() { "" } else { version },
            content_type: content_type.as_deref(),
            redirect_url: redirect.as_deref(),
            referer: outcome.referer,
            heads: &job.heads,
            header_bytes: job.raw.len() as u64,
            connects: u64::from(outcome.connects),
            connection,
            redirects: u64::from(outcome.redirects),
            retries: repeats(outcome),
            local_ip: local.map(|local| local.ip().to_string()).unwrap_or_default(),
            local_port: local.map_or(0, |local| local.port()),
            remote_ip: remote.map(|remote| remote.ip().to_string()).unwrap_or_default(),
            remote_port: remote.map_or(0, |remote| remote.port()),
            scheme: outcome.final_url.scheme().name(),
            body_bytes: match (job.decoded, too_large) {
                // What came beyond the bound was let go.
                (false, true) => job.received,
                (false, false) => outcome.content_bytes.max(job.received),
                (true, _) => outcome.content_bytes,
            },
            delivered_bytes: job.received,
            request_bytes: sent.saturating_sub(job.uploaded),
            upload_bytes: job.uploaded,
            verify_result: verify_result(outcome, self.insecure),
            certificates: &certificates,
            now: date::now(),
            times: writeout::Times {
                queue: times.queue,
                name_lookup: lookup,
                connect: connected,
                app_connect: secured,
                pre_transfer: ready,
                start_transfer: ready + times.first_byte,
                redirect: outcome.redirect_time,
                // As curl: never less than its parts. What earlier attempts took is in the time
                // before the last one, and in the total.
                total: {
                    let parts = ready + times.first_byte + times.body;
                    let one = if outcome.attempts > 1 { times.total } else { queue + times.total };
                    one.max(parts)
                },
            },
        };
        self.print_format(job, &facts);
    }

    /// `-w`, behind what there is to say of the transfer, as with curl.
    fn print_format(&mut self, job: &Job, facts: &writeout::Facts<'_>) {
        let Some(terms) = job.terms() else { return };
        let Some(format) = &terms.format else { return };
        let said = std::mem::take(&mut self.said);
        let mut result = Ok(());
        self.above.write(|| {
            for text in said {
                say_line!("{text}");
            }
            result = print_format(format, facts);
        });
        // As curl: what goes wrong here is no failure of the transfer. But nobody is left to work for.
        if let Err(error) = result {
            self.output.stdout_is_gone(&error);
            if self.output.closed {
                self.ends_with(Kind::WriteFailed.exit());
            }
        }
    }

    /// Says what has gathered, above the progress line.
    pub fn speak(&mut self, progress: &crate::cli::progress::Progress) {
        for text in self.said.drain(..) {
            progress.say(&text);
        }
    }
}

/// `-w` of one transfer. What is said of is standard output alone.
fn print_format(format: &writeout::Format, facts: &writeout::Facts<'_>) -> std::io::Result<()> {
    let mut result = Ok(());
    let mut out: Box<dyn std::io::Write> = Box::new(Stdout);
    let mut stdout = true;
    for (target, text) in format.render(facts) {
        match &target {
            writeout::Target::Stdout => (out, stdout) = (Box::new(Stdout), true),
            writeout::Target::Stderr => (out, stdout) = (Box::new(std::io::stderr()), false),
            writeout::Target::File { name, append } => {
                let opened = File::options()
                    .create(true)
                    .append(*append)
                    .write(true)
                    .truncate(!*append)
                    .open(name);
                // As curl: where that can't be, the text goes where it went before.
                if let Ok(file) = opened {
                    (out, stdout) = (Box::new(file), false);
                }
            }
        }
        let written = out.write_all(text.as_bytes());
        if stdout {
            result = result.and(written);
        }
    }
    result
}

/// `%{ssl_verify_result}` in OpenSSL's numbers, as curl's: 0 where all is well or there was no TLS, 1 for what has no
/// better number.
fn verify_result(outcome: &Outcome<'_>, insecure: bool) -> u8 {
    match outcome.result.map_err(crate::fetch::Error::name) {
        Err("tls_certificate_not_yet_valid") => 9,
        Err("tls_certificate_expired") => 10,
        Err("tls_self_signed") => 18,
        Err("tls_unknown_issuer") => 20,
        Err("tls_certificate_name" | "tls_certificate_invalid" | "tls_certificate_purpose") => 1,
        // With -k nobody looked.
        _ => u8::from(insecure && outcome.conn.is_some_and(|conn| conn.tls.is_some())),
    }
}

/// `gannet: (7) URL: what happened [kind]`, and what to do.
fn complaint(exit: u8, url: &str, error: Option<&Error<'_>>, colour: bool) -> String {
    let code = format!("({exit})");
    // One that is longer than a screen hides what is said about it.
    let shown = url.char_indices().nth(1000).map_or(url, |(end, _)| &url[..end]);
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
    &heads[start..]
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
        summary::bytes(job.received),
        summary::time(total),
        safe(&job.url)
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
