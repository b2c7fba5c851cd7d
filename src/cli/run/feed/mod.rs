//! What to fetch next: entries of lists, or the URLs of the command line one after another.
//!
//! Owns numbering, and the turning of an entry into a job and a request. Reads no more than is
//! wanted, but for what `aside` allows. Where entries come from is `lists`' for a batch and `typed`'s
//! for the command line; what is asked of all of them is in `common`.

mod aside;
mod common;
mod lists;
mod typed;
mod upload;

use std::io;
use std::sync::Arc;

use super::desk::Desk;
use super::job::{Dest, GoOn, Job};
use super::jobs::Jobs;
use super::kind::Kind;
use super::output::OWN_NAMES;
use super::tell::Early;
use crate::cli::run::advice;
use crate::cli::sink::{FileError, Files};
use crate::engine::HostKey;
use crate::fetch::{Body, Fetcher, Profile, RangeSpec, Request, ResumeFrom, Url, UrlError};

pub use aside::{Aside, Room};
pub use common::Common;
pub use lists::BatchEntries;
pub use typed::TransferEntries;

/// What came of asking for more.
#[derive(Debug)]
pub enum Step {
    /// A job, and a request in [`Feed::request`].
    Job(usize),
    /// An entry that needs no fetching; it was dealt with.
    Dealt,
    /// Nothing yet.
    Wait,
    /// What is left waits for hosts that have enough.
    Rest,
    /// That was all.
    End,
    /// The list can't be read on.
    Fatal(String),
    /// It is not the list that the earlier run's results are of.
    Other(String),
}

/// The feed.
pub struct Feed {
    source: Entries,
    /// The request of the last [`Step::Job`], used again and again.
    pub request: Request,
    /// The last entry's number.
    pub n: u64,
    /// How much of the lists was read, and of how much, in bytes.
    pub read: Option<(u64, u64)>,
}

enum Entries {
    Batch(Box<BatchEntries>),
    Transfers(TransferEntries),
}

impl Feed {
    pub fn batch(entries: BatchEntries, read: Option<(u64, u64)>) -> Self {
        let request =
            Request { url: Url::blank(), tag: 0, profile: Arc::clone(&entries.common.profile) };
        Self { source: Entries::Batch(Box::new(entries)), request, n: 0, read }
    }

    pub fn transfers(entries: TransferEntries) -> Self {
        let profile =
            entries.commons.first().map_or_else(Arc::default, |common| Arc::clone(&common.profile));
        let request = Request { url: Url::blank(), tag: 0, profile };
        Self { source: Entries::Transfers(entries), request, n: 0, read: None }
    }

    /// Lines of lists beyond the first of each, for the groups that follow.
    pub fn further(&self) -> u64 {
        match &self.source {
            Entries::Batch(_) => 0,
            Entries::Transfers(transfers) => transfers.further,
        }
    }

    /// Has what is waited for wake the fetcher's turns.
    pub fn watch(&mut self, registry: &mio::Registry) {
        let lines = match &mut self.source {
            Entries::Batch(batch) => batch.lines.as_mut().map(|(lines, _)| lines),
            Entries::Transfers(transfers) => transfers.lines.as_mut().map(|(_, _, lines)| lines),
        };
        if let Some(lines) = lines {
            lines.watch(registry);
        }
    }

    /// A round of steps begins.
    pub fn begin_round(&mut self, room: &Room, jobs: &Jobs, fetcher: &Fetcher) {
        if let Entries::Batch(batch) = &mut self.source {
            batch.aside.begin_round(room, jobs, fetcher);
        }
    }

    /// The last [`Step::Job`] is under way.
    #[inline]
    pub fn begun(&mut self, room: &Room, jobs: &Jobs, fetcher: &Fetcher, host: HostKey) {
        if let Entries::Batch(batch) = &mut self.source {
            batch.aside.begun(room, jobs, fetcher, host, &self.request.url);
        }
    }

    /// The lists can't be read on; what was put aside still comes.
    pub fn end_lists(&mut self) {
        if let Entries::Batch(batch) = &mut self.source {
            batch.ended = true;
        }
    }

    /// Why lines can't wait in a file, if that was not said yet.
    pub fn trouble(&mut self) -> Option<io::Error> {
        match &mut self.source {
            Entries::Batch(batch) => batch.aside.trouble(),
            Entries::Transfers(_) => None,
        }
    }

    /// Lines that wait aside, if any host has enough.
    pub fn aside(&self) -> Option<&Aside> {
        match &self.source {
            Entries::Batch(batch) => Some(&batch.aside).filter(|aside| !aside.is_empty()),
            Entries::Transfers(_) => None,
        }
    }

    /// The next one.
    pub fn step(&mut self, desk: &mut Desk, room: &Room) -> Step {
        match &mut self.source {
            Entries::Batch(batch) => {
                batch.step(desk, &mut self.request, &mut self.n, &mut self.read, room)
            }
            Entries::Transfers(transfers) => transfers.step(desk, &mut self.request, &mut self.n),
        }
    }
}

fn refuse_url(desk: &mut Desk, index: usize, error: &UrlError) {
    let (message, hint) = (error.to_string(), advice::of_url(error));
    let exit = if matches!(error, UrlError::Scheme(_)) { 1 } else { 3 };
    desk.early(index, &Early { kind: error.name(), message: &message, hint: &hint, exit });
}

/// What an earlier run left of this file goes on; with `-C -` what has its final name, too.
fn go_on(
    dest: &Dest,
    job: &mut Job,
    base: &Arc<Profile>,
    own: &mut Option<Profile>,
    also_final: bool,
) {
    let Dest::File { path, .. } = dest else { return };
    let length =
        std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
    if also_final && let Some(length) = length.filter(|length| *length > 0) {
        own.get_or_insert_with(|| (**base).clone()).range = Some(RangeSpec::from_offset(length));
        job.out.go_on = GoOn::At { offset: length, typed: false, before: None };
    } else if let Some(left) = Files::leftover(path, &job.asked.url) {
        let profile = own.get_or_insert_with(|| (**base).clone());
        if profile.range.is_none() && !profile.compressed {
            profile.resume =
                Some(ResumeFrom { offset: left.offset, validator: left.validator.clone() });
            job.out.go_on = GoOn::Part(left);
        }
    }
}

/// Whether this file was there before; then nothing is asked for.
fn is_there(desk: &mut Desk, index: usize, dest: &Dest) -> bool {
    let Dest::File { path, .. } = dest else { return false };
    let there = desk.output.files.is_done(path);
    if there {
        let shown = path.display().to_string();
        desk.skipped(index, shown);
    }
    there
}

/// Whether this file is that of a URL which an earlier run has fetched; then nothing is asked for.
fn is_kept(desk: &mut Desk, index: usize, dest: &Dest) -> bool {
    let Dest::File { path, shared: true, header_name: false, .. } = dest else { return false };
    let kept = desk.output.files.is_kept(path);
    if kept {
        let message = FileError::Kept(path.clone()).to_string();
        desk.early(index, &Early::new(Kind::OutputCollision, &message, OWN_NAMES));
    }
    kept
}

/// A job and its request are complete.
fn begin(desk: &mut Desk, index: usize, dest: Dest, request: &mut Request) -> Step {
    let hash = desk.wants_digest(&desk.jobs[index].asked);
    let record_max = desk.records.body.map(|_| desk.records.body_max);
    let job = &mut desk.jobs[index];
    job.received.begin(hash, record_max);
    job.out.dest = dest;
    if let Body::Bytes(bytes) = &request.profile.body {
        job.sent.bytes = bytes.len() as u64;
    }
    request.tag = index as u64;
    desk.heed_proxies(&request.url);
    desk.hold_back(index, request);
    desk.weigh(index);
    Step::Job(index)
}
