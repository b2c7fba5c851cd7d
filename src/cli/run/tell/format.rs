//! `-w`: what is known of a transfer that is over, and where its text goes.
//!
//! Owns how the fetcher's facts become those that curl has names for. The grammar and the names are
//! [`writeout`]'s.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use super::{last_head, repeats};
use crate::cli::run::desk::Desk;
use crate::cli::run::job::{Dest, Job, News};
use crate::cli::run::kind::Kind;
use crate::cli::stdio::Stdout;
use crate::cli::{date, writeout};
use crate::fetch::{ErrorKind, Outcome, RedirectError, redirect};

impl Desk {
    pub(super) fn write_format(
        &mut self,
        job: &Job,
        outcome: &Outcome<'_>,
        exit: u8,
        error: Option<&str>,
    ) {
        let Some(terms) = job.terms() else { return };
        let seen = self.seen(outcome);
        if terms.format.is_none() {
            return;
        }
        // As curl: a version of which the second number is 0 is told without it.
        let version =
            if last_head(&job.heads.lines).starts_with(b"HTTP/1.0") { "1" } else { "1.1" };
        let redirect = redirect_url(job, outcome);
        let too_large =
            outcome.result.is_err_and(|error| matches!(error.kind, ErrorKind::FileTooLarge(_)));
        let content_type = job.head.content_type().map(String::from_utf8_lossy);
        let remote = outcome.conn.map(|conn| conn.remote);
        // A body that is at hand counts as sent from the start, also where nobody takes it.
        let uploaded = if remote.is_some() { job.sent.bytes.min(seen.sent) } else { 0 };
        // The name that it would have had is told, too.
        let wanted_name = match &job.out.dest {
            Dest::File { path, .. } => Some(path.display().to_string()),
            _ => None,
        };
        let facts = writeout::Facts {
            url: job.asked.typed(),
            url_effective: outcome.final_url.as_str(),
            url_number: job.asked.url_number,
            transfer: self.transfers - 1,
            exit_code: exit,
            error: if exit == 0 { None } else { error },
            file_name: job.out.output.as_deref().or(wanted_name.as_deref()),
            method: outcome.method,
            status: if job.news == News::Unmet { 304 } else { outcome.status.unwrap_or(0) },
            http_version: if job.heads.lines.is_empty() { "" } else { version },
            content_type: content_type.as_deref(),
            redirect_url: redirect.as_deref(),
            referer: outcome.referer,
            heads: &job.heads.lines,
            header_bytes: job.heads.bytes(),
            connects: u64::from(outcome.connects),
            connection: seen.connection,
            redirects: u64::from(outcome.redirects),
            retries: repeats(outcome),
            local_ip: seen.local.map(|local| local.ip().to_string()).unwrap_or_default(),
            local_port: seen.local.map_or(0, |local| local.port()),
            remote_ip: remote.map(|remote| remote.ip().to_string()).unwrap_or_default(),
            remote_port: remote.map_or(0, |remote| remote.port()),
            scheme: outcome.final_url.scheme().name(),
            body_bytes: match (job.head.decoded, too_large) {
                // What came beyond the bound was let go.
                (false, true) => job.received.bytes,
                (false, false) => outcome.content_bytes.max(job.received.bytes),
                (true, _) => outcome.content_bytes,
            },
            delivered_bytes: job.received.bytes,
            request_bytes: seen.sent.saturating_sub(job.sent.before + uploaded),
            upload_bytes: uploaded,
            verify_result: verify_result(outcome, self.insecure),
            certificates: &seen.certificates,
            now: date::now(),
            times: times(outcome),
        };
        self.print_format(job, &facts);
    }

    /// What the onlooker has seen since it was asked last: each transfer asks, so that it is of this one.
    fn seen(&self, outcome: &Outcome<'_>) -> Seen {
        let Some(watch) = &self.watch else { return Seen::default() };
        let mut watch = watch.borrow();
        let conn = outcome.conn.map(|conn| conn.id);
        Seen {
            local: conn.and_then(|conn| watch.local(conn)),
            connection: conn.map(|conn| watch.number(conn).saturating_sub(1)),
            certificates: conn.map(|conn| watch.certificates(conn)).unwrap_or_default(),
            sent: watch.sent_since(),
        }
    }

    /// `-w`, behind what there is to say of the transfer, as with curl.
    pub(super) fn print_format(&mut self, job: &Job, facts: &writeout::Facts<'_>) {
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
            if self.output.lost.is_some() {
                self.ends_with(Kind::WriteFailed.exit());
            }
        }
    }
}

/// What only the socket knows of a transfer.
#[derive(Default)]
struct Seen {
    local: Option<SocketAddr>,
    connection: Option<u64>,
    certificates: Vec<Vec<u8>>,
    /// Bytes of requests.
    sent: u64,
}

/// Where the answer sends on to, or where the redirect that was one too many did.
fn redirect_url(job: &Job, outcome: &Outcome<'_>) -> Option<String> {
    // An empty one leads nowhere.
    let location = job.head.location().filter(|location| {
        (300..400).contains(&job.head.status) && !location.trim_ascii().is_empty()
    });
    if let Some(text) = location.and_then(|value| std::str::from_utf8(value).ok()) {
        let to = redirect::resolve(outcome.final_url, text.as_bytes());
        return Some(to.map_or_else(|_| text.to_owned(), |to| to.as_str().to_owned()));
    }
    let too_many = outcome.result.is_err_and(|error| {
        matches!(
            error.kind,
            ErrorKind::Redirect(RedirectError::TooMany(_) | RedirectError::Loop(_))
        )
    });
    too_many.then(|| job.heads.redirect_to.clone())
}

/// Moments since the transfer began, where the fetcher has the length of each part.
fn times(outcome: &Outcome<'_>) -> writeout::Times {
    let times = outcome.times;
    let queue = times.queue + outcome.redirect_time;
    let lookup = queue + times.dns;
    let connected = lookup + times.connect;
    let ready = connected + times.tls;
    // As curl: the total is never less than its parts. What earlier attempts took is in the time
    // before the last one, and in the total.
    let parts = ready + times.first_byte + times.body;
    let one = if outcome.attempts > 1 { times.total } else { queue + times.total };
    writeout::Times {
        queue: times.queue,
        name_lookup: lookup,
        connect: connected,
        app_connect: if times.tls.is_zero() { Duration::ZERO } else { ready },
        pre_transfer: ready,
        start_transfer: ready + times.first_byte,
        redirect: outcome.redirect_time,
        total: one.max(parts),
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
