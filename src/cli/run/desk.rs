//! What happens to each URL, seen from the command line: the fetcher's visitor.
//!
//! Owns the jobs under way. What an answer means is judged in [`verdict`](super::verdict), where it
//! goes is [`Output`]'s, what is said of it in the end stands in [`tell`](super::tell).

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::job::{Asked, Dest, Job, Sink, Terms};
use super::jobs::Jobs;
use super::kind::Kind;
use super::memory::Bounds as Held;
use super::output::Output;
use super::proxies::Proxies;
use super::rates::Rates;
use super::sending::{self, Sending};
use super::verdict::{self, End, Verdict};
use super::watch::Shared;
use crate::cli::date;
use crate::cli::plan::{Display, Ip, Mode, Records};
use crate::cli::progress::Above;
use crate::cli::record;
use crate::cli::results::Results;
use crate::cli::summary::Counts;
use crate::engine;
use crate::fetch::{Answer, Control, Fields, Head, Outcome, Redirect, Request, Ticket};
use crate::fetch::{Upload, Url, Visitor, Want};

/// The desk.
pub struct Desk {
    pub jobs: Jobs,
    pub output: Output,
    pub rates: Rates,
    pub sending: Sending,
    pub records: Records,
    pub results: Option<Results>,
    pub writer: record::Writer,
    pub counts: Counts,
    pub display: Display,
    pub mode: Mode,
    /// Things to say, each a line; said after the turn,
    pub said: Vec<String>,
    /// above the progress line.
    pub above: Above,
    /// curl's code of the last transfer that failed.
    pub last_exit: u8,
    /// What is under way is called off.
    pub called_off: bool,
    /// For formats: which transfer it is.
    pub transfers: u64,
    /// `-4` or `-6`: names are looked up so, and what was typed as an address is held to it too.
    pub family: Ip,
    /// `-k`: said in records.
    pub insecure: bool,
    /// Who looks on, if anybody does.
    pub watch: Option<Shared>,
    /// The network seems to be down, for so long.
    pub offline: Option<Duration>,
    /// Proxies that somebody may rely on, until it was said that they are not used.
    pub proxies: Option<Proxies>,
    /// What may be held.
    pub held: Held,
    /// Bytes of lines that are under way.
    pub lines_held: u64,
    /// The time that those have who are taken in one round, in milliseconds since 1970.
    pub round: Option<i64>,
}

impl Desk {
    /// A job to fill in.
    pub fn take(&mut self, terms: &Rc<Terms>) -> usize {
        let index = self.jobs.take(terms);
        self.jobs[index].asked.started = *self.round.get_or_insert_with(date::now_millis);
        index
    }

    /// The job's line is all there: it counts from now on.
    pub fn weigh(&mut self, index: usize) {
        let job = &mut self.jobs[index];
        self.lines_held += job.asked.weigh();
    }

    /// The job is over.
    pub fn release(&mut self, index: usize) {
        self.sending.release(index as u64);
        self.lines_held = self.lines_held.saturating_sub(self.jobs.release(index));
    }

    /// Whether another request may begin under `--limit-rate-total`, else when.
    pub fn feed_due(&self, now: Instant) -> Result<(), Option<Instant>> {
        self.rates.may_begin(self.jobs.in_flight(), now)
    }

    /// With a limit of bytes a second a body in memory is sent piece by piece as well.
    pub fn hold_back(&mut self, index: usize, request: &mut Request) {
        if !self.rates.is_free() {
            sending::in_pieces(&mut self.jobs[index].sent, request);
        }
    }

    /// Says that proxies are not used yet, with the first URL that one would have been used for.
    #[inline]
    pub fn heed_proxies(&mut self, url: &Url) {
        if self.proxies.is_some() {
            self.look_for_proxy(url);
        }
    }

    #[cold]
    fn look_for_proxy(&mut self, url: &Url) {
        let Some(name) = self.proxies.as_ref().and_then(|proxies| proxies.concerns(url)) else {
            return;
        };
        self.proxies = None;
        if !self.display.silent {
            self.said.push(format!(
                "gannet: warning: {name} is set, but gannet does not use proxies yet: it connects directly"
            ));
        }
    }

    /// A digest is wanted for the record, or to compare.
    #[inline]
    pub fn wants_digest(&self, asked: &Asked) -> bool {
        self.records.sha256 || asked.more.as_deref().is_some_and(|more| more.sha256.is_some())
    }

    /// The end of a transfer as only the command line knows it: what was received is judged, and
    /// gets its name or not.
    pub(super) fn conclude(&mut self, index: usize, end: End) -> Option<[u8; 32]> {
        let job = &mut self.jobs[index];
        let terms = job.terms()?;
        let digest = job.received.digest();
        if end == End::Whole && job.trouble.is_none() {
            verdict::on_body(job, digest);
        }
        let kept = verdict::is_kept(job, &terms, end);
        if self.mode == Mode::Transfers && matches!(job.out.dest, Dest::Stdout) {
            // Redirects that led nowhere.
            job.out.sink = Sink::Stdout;
            self.output.pour_heads(job, &terms);
        }
        if !job.spares_part() {
            self.output.void_part(job);
        }
        self.output.settle(job, kept, &terms);
        self.output.dump(job, &terms);
        if end == End::Whole && job.trouble.is_none() {
            self.output.save_etag(job, &terms);
        }
        digest
    }
}

impl Visitor for Desk {
    fn allow_addr(&mut self, address: SocketAddr) -> bool {
        match self.family {
            Ip::Any => true,
            Ip::V4 => address.is_ipv4(),
            Ip::V6 => address.is_ipv6(),
        }
    }

    fn interim(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, head: &Head<'_>) {
        let job = &mut self.jobs[ticket.tag as usize];
        let Some(terms) = job.terms() else { return };
        job.heads.keep(&terms, &self.records.headers, head);
    }

    fn repeat(&mut self, ticket: Ticket, why: engine::Kind, status: Option<u16>) -> bool {
        let job = &mut self.jobs[ticket.tag as usize];
        let Some(terms) = job.terms() else { return true };
        match (why, status) {
            (engine::Kind::AttemptTimeout, _) => terms.repeats_late,
            (engine::Kind::StatusExhausted, Some(status)) => {
                job.stands = !verdict::is_to_come_again(job, &terms, status);
                !job.stands
            }
            _ => true,
        }
    }

    fn redirect(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, redirect: &Redirect<'_>) {
        let job = &mut self.jobs[ticket.tag as usize];
        let Some(terms) = job.terms() else { return };
        job.heads.keep(&terms, &self.records.headers, redirect.head);
        job.heads.keep_etag(&terms, redirect.head);
        redirect.to.as_str().clone_into(&mut job.heads.redirect_to);
        job.sent.is_redirected(redirect.becomes_get);
    }

    fn head(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, answer: &Answer<'_>) -> Want {
        let job = &mut self.jobs[ticket.tag as usize];
        let Some(terms) = job.terms() else { return Want::NoBody };
        job.head.keep(answer.head.status, answer.decoded, answer.head.fields.iter());
        job.heads.keep_etag(&terms, answer.head);
        job.heads.keep(&terms, &self.records.headers, answer.head);
        if self.mode == Mode::Transfers {
            self.output.dump(job, &terms);
        }
        // The engine asks only where an attempt is left.
        job.stands = !verdict::is_to_come_again(job, &terms, answer.head.status);
        let verdict = verdict::on_head(job, &terms, answer);
        if verdict == Verdict::Body || !job.spares_part() {
            self.output.void_part(job);
        }
        match verdict {
            Verdict::Nothing => Want::NoBody,
            Verdict::HeadAlone if !shows_head_alone(job, &terms) => Want::NoBody,
            Verdict::Body | Verdict::HeadAlone if self.output.begin(job, &terms, answer) => {
                // A body that nobody keeps is still delivered: whether it is whole is part of the
                // record.
                if verdict == Verdict::Body { Want::Body } else { Want::NoBody }
            }
            Verdict::Body | Verdict::HeadAlone | Verdict::Off => Want::Stop,
        }
    }

    fn body(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, bytes: &[u8]) {
        let job = &mut self.jobs[ticket.tag as usize];
        job.received.note(bytes);
        if !self.output.write(job, bytes) {
            ctl.cancel(ticket);
        }
        if !self.rates.is_free()
            && self.rates.has_received(&mut job.received.pace, ticket, bytes.len() as u64)
        {
            ctl.pause(ticket);
        }
    }

    fn trailers(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, fields: Fields<'_>) {
        let job = &mut self.jobs[ticket.tag as usize];
        let Some(terms) = job.terms() else { return };
        if terms.shows_heads() || terms.dump.is_some() {
            job.heads.keep_trailers(fields);
            self.output.pour_heads(job, &terms);
        }
    }

    fn restart(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, _: engine::Kind) {
        let job = &mut self.jobs[ticket.tag as usize];
        if job.out.poured > 0 {
            // It was the last answer, and what it was stays true.
            job.fail(Kind::EofInBody, "", "the connection was lost, and what has left for standard output can't be taken back");
            ctl.cancel(ticket);
            return;
        }
        job.begin_again();
        // The head comes again, and with it the name; or an error that must not cost what is here.
        self.output.begin_again(job);
    }

    fn upload(
        &mut self,
        _: &mut Control<'_, '_>,
        ticket: Ticket,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Upload {
        let job = &mut self.jobs[ticket.tag as usize];
        let Some(room) = self.rates.room(&mut job.sent.used, ticket, room) else {
            return Upload::Pending;
        };
        match self.sending.read(&job.sent, ticket, at, out, room) {
            Ok(None) => Upload::Pending,
            Ok(Some(0)) => Upload::End,
            Ok(Some(read)) => {
                job.sent.bytes = at + read as u64;
                self.rates.has_sent(&mut job.sent.used, read as u64);
                Upload::More
            }
            Err(error) => {
                let message = format!("can't read what is to be sent: {error}");
                job.fail(Kind::ReadFailed, "", message);
                Upload::Failed
            }
        }
    }

    fn done(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>) {
        self.finished(ticket.tag as usize, outcome);
    }
}

/// Heads alone are output too, where they are shown and a file that fails gets no name.
fn shows_head_alone(job: &Job, terms: &Terms) -> bool {
    terms.shows_heads()
        && job.out.dest != Dest::Nowhere
        && (job.trouble.is_none() || matches!(job.out.dest, Dest::Stdout | Dest::Whole))
}
