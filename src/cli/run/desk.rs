//! What happens to each URL, seen from the command line: the fetcher's visitor.
//!
//! Owns the jobs under way and the verdicts that only the command line knows (`-f`, types, expected
//! digests, continued files). What comes out of it goes to sinks, records and counts.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::job::{Dest, Dump, GoOn, Job, Sink, Terms};
use super::memory::Bounds as Held;
use super::watch::Shared;
use crate::cli::plan::{Display, Existing, Fail, RecordHeaders, Records, Upload as UploadFrom};
use crate::cli::results::Results;
use crate::cli::sink::{FileError, Files, Note};
use crate::cli::stdio::Stdout;
use crate::cli::summary::Counts;
use crate::cli::{date, names, record, template};
use crate::engine;
use crate::fetch::{Answer, ContentRange, Control, Redirect, Ticket, Upload, Visitor, Want};
use crate::fetch::{Fields, Head, Version};

/// Bytes that a limited transfer may be ahead of its rate.
const BURST: u64 = 16 * 1024;

/// The desk.
pub struct Desk {
    pub jobs: Vec<Job>,
    pub free: Vec<usize>,
    pub tickets: Vec<Option<Ticket>>,
    pub files: Files,
    pub records: Records,
    pub results: Option<Results>,
    pub writer: record::Writer,
    pub counts: Counts,
    pub display: Display,
    pub batch: bool,
    /// Things to say, each with its line's end; said after the turn.
    pub said: Vec<String>,
    /// curl's code of the last transfer that failed.
    pub last_exit: u8,
    /// Writing on this machine failed.
    pub local_failed: bool,
    /// Standard output is closed: there is nobody to work for.
    pub closed: bool,
    pub limit_rate: Option<u64>,
    pub limit_total: Option<u64>,
    pub total: (Option<Instant>, u64),
    /// The same for what is sent.
    pub total_sent: (Option<Instant>, u64),
    /// Paused for their rate, and until when.
    pub paused: Vec<(Instant, Ticket)>,
    /// An upload that waits for standard input.
    pub upload_waits: Option<Ticket>,
    pub upload: Option<(usize, File)>,
    /// For formats: which transfer it is.
    pub transfers: u64,
    /// `-k`: said in records.
    pub insecure: bool,
    /// Who looks on, if anybody does.
    pub watch: Option<Shared>,
    /// Bytes of requests, as of the last transfer's end.
    pub sent_before: u64,
    /// The network seems to be down, for so long.
    pub offline: Option<Duration>,
    /// Dump files that were begun in this run.
    pub dumped: Vec<PathBuf>,
    /// What may be held.
    pub held: Held,
    /// Bytes of lines that are under way.
    pub lines_held: u64,
    /// Bytes of bodies that wait in memory.
    pub bodies_held: u64,
}

impl Desk {
    /// A job to fill in.
    pub fn take(&mut self) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.jobs.push(Job::default());
            self.tickets.push(None);
            self.jobs.len() - 1
        });
        self.jobs[index].clear();
        index
    }

    /// The job's line is all there: it counts from now on.
    pub fn weigh(&mut self, index: usize) {
        let job = &mut self.jobs[index];
        let more = job.more.as_deref().map_or(0, crate::cli::input::More::weight);
        job.weight =
            (job.url.len() + job.typed().len() + job.host.len() + job.path.len()) as u64 + more;
        self.lines_held += job.weight;
    }

    /// Jobs under way.
    pub fn in_flight(&self) -> usize {
        self.jobs.len() - self.free.len()
    }

    /// The job is over.
    pub fn release(&mut self, index: usize) {
        if self.upload.as_ref().is_some_and(|(of, _)| *of == index) {
            self.upload = None;
        }
        self.tickets[index] = None;
        // Progress counts what arrives for those under way; this one is counted elsewhere.
        self.jobs[index].terms = None;
        self.lines_held = self.lines_held.saturating_sub(self.jobs[index].weight);
        self.free.push(index);
    }

    /// Keeps a head for whoever wants it: as it came for those who are shown it, in plain lines for
    /// those who look into it.
    fn keep_lines(&mut self, index: usize, head: &Head<'_>) {
        let Some(terms) = self.jobs[index].terms.clone() else { return };
        let job = &mut self.jobs[index];
        if terms.shows_heads() || terms.dump.is_some() || terms.format.is_some() {
            job.raw.extend_from_slice(head.raw);
        }
        if terms.format.is_none() && self.records.headers == RecordHeaders::None {
            return;
        }
        let out = &mut job.heads;
        let version = if head.version == Version::Http10 { "1.0" } else { "1.1" };
        let _ = write!(out, "HTTP/{version} {:03} ", head.status);
        out.extend_from_slice(head.reason);
        out.extend_from_slice(b"\r\n");
        for (name, value) in head.fields.iter() {
            push_line(name, value, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// What to do with an answer.
    fn judge(&mut self, index: usize, answer: &Answer<'_>) -> Want {
        let status = answer.head.status;
        let Some(terms) = self.jobs[index].terms.clone() else { return Want::NoBody };
        let job = &mut self.jobs[index];
        if job.poured > 0 {
            // Something else has left for standard output, and this one is called off.
            return Want::Stop;
        }
        // Of a file that goes on, 416 may say that it was whole already.
        let beyond = status == 416 && matches!(job.go_on, GoOn::At(_));
        if status >= 400 && terms.keep.fail != Fail::No && !beyond {
            job.fail("http_error", 22, "", format!("the server answered {status}"));
            if terms.keep.fail == Fail::Quietly {
                return self.no_body(index, &terms, answer);
            }
        }
        if let Some(want) = continued(job, answer) {
            return want;
        }
        if !wanted_type(&terms, job.content_type().unwrap_or(b"")) {
            return Want::Stop;
        }
        let job = &mut self.jobs[index];
        job.unmet = status < 300 && unmet(&terms, job);
        if status == 304 || job.unmet {
            job.unchanged = true;
            return self.no_body(index, &terms, answer);
        }
        if self.batch && status >= 400 && !terms.keep.errors && !matches!(job.dest, Dest::Nowhere) {
            return Want::NoBody;
        }
        match self.open(index, &terms, answer) {
            Ok(()) => {}
            Err(error) => {
                self.file_failed(index, &error);
                return Want::Stop;
            }
        }
        if !self.pour_heads(index, &terms) {
            return Want::Stop;
        }
        // A body that nobody keeps is still delivered: whether it is whole is part of the record.
        Want::Body
    }

    /// Heads alone are output too.
    fn no_body(&mut self, index: usize, terms: &Terms, answer: &Answer<'_>) -> Want {
        if !terms.shows_heads() || self.jobs[index].dest == Dest::Nowhere {
            return Want::NoBody;
        }
        // A file that fails has no name: nothing is put into it.
        let fails = self.jobs[index].trouble.is_some();
        if fails && !matches!(self.jobs[index].dest, Dest::Stdout | Dest::Whole) {
            return Want::NoBody;
        }
        if let Err(error) = self.open(index, terms, answer) {
            self.file_failed(index, &error);
            return Want::Stop;
        }
        if self.pour_heads(index, terms) { Want::NoBody } else { Want::Stop }
    }

    /// Opens where the body goes, now that the head is known.
    fn open(&mut self, index: usize, terms: &Terms, answer: &Answer<'_>) -> Result<(), FileError> {
        let job = &mut self.jobs[index];
        let dest = std::mem::take(&mut job.dest);
        let (path, shared, fresh) = match &dest {
            Dest::Nowhere => {
                return Ok(());
            }
            Dest::Stdout => {
                job.sink = Sink::Stdout;
                job.dest = dest;
                return Ok(());
            }
            Dest::Whole => {
                job.sink = Sink::Whole(Default::default());
                job.dest = dest;
                return Ok(());
            }
            Dest::Named => {
                let Some(template) = &terms.template else { return Ok(()) };
                let content_type =
                    String::from_utf8_lossy(job.content_type().unwrap_or(b"")).into_owned();
                let id = job.more.as_deref().and_then(crate::cli::input::More::id_text);
                let values = template::Values {
                    n: job.n,
                    id: id.as_deref(),
                    url: job.typed(),
                    host: &job.host,
                    path: &job.path,
                    content_type: &content_type,
                };
                let mut name = String::new();
                template.write(&values, &mut name);
                (in_dir(terms, &name), !template.is_unique(), false)
            }
            Dest::File { path, shared, fresh, header_name } => {
                let named = header_name
                    .then(|| {
                        answer
                            .head
                            .fields
                            .get("content-disposition")
                            .and_then(names::disposition_name)
                    })
                    .flatten();
                match named {
                    Some(name) => {
                        (in_dir(terms, &name), true, terms.keep.existing != Existing::Clobber)
                    }
                    // As curl since 8.19: where a redirect led, there is a name, too.
                    None if *header_name && !job.redirect_to.is_empty() => {
                        let name = names::redirect_name(&job.redirect_to);
                        let path = name.map_or_else(|| path.clone(), |name| in_dir(terms, &name));
                        (path, true, *fresh)
                    }
                    None => (path.clone(), *shared, *fresh),
                }
            }
        };
        job.dest = dest;
        let mut sink = match std::mem::replace(&mut job.go_on, GoOn::No) {
            GoOn::No => self.files.begin(&path, shared, fresh)?,
            GoOn::Part(left) => {
                let sink = self.files.go_on(&path, left.offset)?;
                if let Some(hash) = &mut job.hash {
                    sink.read_back(|bytes| hash.update(bytes))
                        .map_err(|error| FileError::Io(path.clone(), error))?;
                }
                job.received = left.offset;
                job.go_on = GoOn::Part(left);
                sink
            }
            GoOn::At(offset) => {
                job.go_on = GoOn::At(offset);
                self.files.append(&path, offset)?
            }
        };
        if !job.decoded && job.status == 200 {
            let text = |value: Option<&[u8]>| {
                value.and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned)
            };
            sink.note(Some(Note {
                url: job.url.clone(),
                etag: text(job.etag()).filter(|etag| !etag.starts_with("W/")),
                last_modified: text(job.last_modified()),
            }));
        }
        job.output = Some(sink.path().display().to_string());
        job.sink = Sink::File(Box::new(sink));
        Ok(())
    }

    /// Writes what is not written yet of heads and trailers; false: it can't be written.
    fn pour_heads(&mut self, index: usize, terms: &Terms) -> bool {
        if !terms.shows_heads() {
            return true;
        }
        let job = &mut self.jobs[index];
        let raw = std::mem::take(&mut job.raw);
        let from = std::mem::replace(&mut job.shown, raw.len()).min(raw.len());
        let result = self.write(index, &raw[from..]);
        self.jobs[index].raw = raw;
        result
    }

    /// Bytes to where the body goes; false: that failed, and was noted.
    fn write(&mut self, index: usize, bytes: &[u8]) -> bool {
        let job = &mut self.jobs[index];
        let failed = match &mut job.sink {
            Sink::None => None,
            Sink::Stdout => {
                job.poured += bytes.len() as u64;
                Stdout.write_all(bytes).err().map(|error| (error, true))
            }
            Sink::Whole(spool) => {
                let before = spool.held();
                let may_hold = self.bodies_held + bytes.len() as u64 <= self.held.bodies;
                let result = spool.write(bytes, may_hold);
                self.bodies_held = self.bodies_held + spool.held() - before;
                result.err().map(|error| (error, false))
            }
            Sink::File(file) => match file.write(bytes) {
                Ok(()) => None,
                Err(error) => {
                    self.file_failed(index, &error);
                    return false;
                }
            },
        };
        match failed {
            None => true,
            Some((error, stdout)) => {
                self.stdout_failed(index, &error, stdout);
                false
            }
        }
    }

    fn stdout_failed(&mut self, index: usize, error: &std::io::Error, stdout: bool) {
        self.local_failed = true;
        if stdout && error.kind() == std::io::ErrorKind::BrokenPipe {
            self.closed = true;
        }
        let what = if stdout { "standard output" } else { "the spool file" };
        self.jobs[index].fail("write_failed", 23, "", format!("can't write to {what}: {error}"));
    }

    fn file_failed(&mut self, index: usize, error: &FileError) {
        let (kind, hint) = match error {
            FileError::Exists(_) => {
                ("output_exists", "--clobber overwrites, --no-clobber finds another name")
            }
            FileError::Collision(_) => (
                "output_collision",
                "a template with {n} or {hash} gives each URL a name of its own",
            ),
            FileError::Io(..) => {
                self.local_failed = true;
                ("write_failed", "make room, or choose another folder with --output-dir")
            }
        };
        self.jobs[index].fail(kind, 23, hint, error.to_string());
    }

    /// Expected size and digest of a line.
    fn check(&mut self, index: usize, digest: Option<[u8; 32]>) {
        let job = &mut self.jobs[index];
        let Some(more) = job.more.as_deref() else { return };
        if job.unchanged || job.status >= 300 {
            return;
        }
        let (size, sha256) = (more.size, more.sha256);
        if let Some(size) = size.filter(|size| *size != job.received) {
            let message = format!("the body has {} bytes, the list says {size}", job.received);
            job.fail("checksum", 23, "the file on the server is not the expected one", message);
        } else if sha256.is_some() && sha256 != digest {
            job.fail(
                "checksum",
                23,
                "the file on the server is not the expected one",
                "the body's SHA-256 is not the one in the list",
            );
        }
    }

    /// Ends the sink; a file gets its name or stays a part.
    fn settle(&mut self, index: usize, whole: bool, terms: &Terms) {
        let job = &mut self.jobs[index];
        match std::mem::take(&mut job.sink) {
            Sink::None | Sink::Stdout => {}
            Sink::Whole(mut spool) => {
                self.bodies_held -= spool.held();
                if whole && let Err(error) = spool.pour() {
                    self.stdout_failed(index, &error, true);
                }
            }
            Sink::File(sink) => {
                if !whole {
                    let void =
                        job.trouble.as_ref().is_some_and(|trouble| trouble.kind == "checksum");
                    job.output = None;
                    self.files.give_up(*sink, terms.keep.remove_on_error || void);
                    return;
                }
                let modified = if terms.keep.remote_time {
                    job.last_modified()
                        .and_then(|value| date::parse(std::str::from_utf8(value).ok()?))
                } else {
                    None
                };
                let modified = modified.and_then(|seconds| {
                    std::time::UNIX_EPOCH
                        .checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
                });
                match self.files.finish(*sink, modified) {
                    Ok(path) => self.jobs[index].output = Some(path.display().to_string()),
                    Err(error) => {
                        self.jobs[index].output = None;
                        self.file_failed(index, &error);
                    }
                }
            }
        }
    }

    /// `-D`: the heads that were not written yet, before the body.
    fn dump(&mut self, index: usize, terms: &Terms) {
        let Some(dump) = &terms.dump else { return };
        let job = &mut self.jobs[index];
        let from = std::mem::replace(&mut job.dumped, job.raw.len()).min(job.raw.len());
        let heads = &job.raw[from..];
        if heads.is_empty() && !matches!(dump, Dump::File(path) if !self.dumped.contains(path)) {
            return;
        }
        let file_name = |path: &Path| path.display().to_string();
        let result = match dump {
            Dump::Stdout => {
                Stdout.write_all(heads).map_err(|error| ("standard output".to_owned(), error))
            }
            Dump::Stderr => std::io::stderr()
                .write_all(heads)
                .map_err(|error| ("standard error".to_owned(), error)),
            Dump::File(path) => {
                let again = self.dumped.contains(path);
                let mut options = std::fs::OpenOptions::new();
                options.create(true);
                let options =
                    if again { options.append(true) } else { options.write(true).truncate(true) };
                if !again {
                    self.dumped.push(path.clone());
                }
                let written = options.open(path).and_then(|mut file| file.write_all(heads));
                written.map_err(|error| (file_name(path), error))
            }
            Dump::Template(template) => {
                let id = job.more.as_deref().and_then(crate::cli::input::More::id_text);
                let values = template::Values {
                    n: job.n,
                    id: id.as_deref(),
                    url: job.typed(),
                    host: &job.host,
                    path: &job.path,
                    content_type: "",
                };
                let mut name = String::new();
                template.write(&values, &mut name);
                let path = in_dir(terms, &name);
                let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
                made.and_then(|()| std::fs::write(&path, heads))
                    .map_err(|error| (file_name(&path), error))
            }
        };
        if let Err((name, error)) = result {
            self.local_failed = true;
            self.jobs[index].fail("write_failed", 23, "", format!("can't write {name}: {error}"));
        }
    }

    /// The verdict of a transfer's end that only the command line knows. Whether the body counts.
    pub(super) fn conclude(&mut self, index: usize, ok: bool, exhausted: bool) -> Option<[u8; 32]> {
        let terms = self.jobs[index].terms.clone()?;
        let job = &mut self.jobs[index];
        let digest = job.hash.take().map(|hash| <[u8; 32]>::from(hash.finalize()));
        if ok && job.trouble.is_none() {
            self.check(index, digest);
        }
        let job = &self.jobs[index];
        // The last answer of one that was told to come back later is an answer to look at.
        let counts = ok || (exhausted && (!self.batch || terms.keep.errors));
        let with_body = job.trouble.as_ref().is_none_or(|trouble| {
            trouble.kind == "http_error" && terms.keep.fail == Fail::WithBody
        });
        if !self.batch && matches!(self.jobs[index].dest, Dest::Stdout) {
            // Redirects that led nowhere.
            self.jobs[index].sink = Sink::Stdout;
            self.pour_heads(index, &terms);
        }
        self.settle(index, counts && with_body, &terms);
        self.dump(index, &terms);
        if ok && self.jobs[index].trouble.is_none() {
            self.save_etag(index, &terms);
        }
        digest
    }

    /// What is written beside the body is opened before anything is asked for: a folder that is
    /// missing or closed to us costs no request.
    pub fn make_ready(&mut self, index: usize, terms: &Terms) -> Result<(), String> {
        let dump = match &terms.dump {
            Some(Dump::File(path)) if !self.dumped.contains(path) => Some(path),
            _ => None,
        };
        let etag = terms.etag_save.as_ref().filter(|path| path.as_os_str() != "-");
        for path in dump.into_iter().chain(etag) {
            let folder = path.parent().filter(|_| terms.keep.create_dirs);
            let opened = folder.map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
                std::fs::OpenOptions::new().create(true).append(true).open(path).map(drop)
            });
            if let Err(error) = opened {
                self.local_failed = true;
                self.jobs[index].dest = Dest::Nowhere;
                return Err(format!("can't write {}: {error}", path.display()));
            }
        }
        Ok(())
    }

    fn save_etag(&mut self, index: usize, terms: &Terms) {
        let Some(path) = &terms.etag_save else { return };
        // Without an ETag the file is empty, or stays as it was, as curl has it.
        let mut line = std::mem::take(&mut self.jobs[index].last_etag);
        if line.is_empty() {
            return;
        }
        line.push(b'\n');
        let written = if path.as_os_str() == "-" {
            Stdout.write_all(&line)
        } else {
            std::fs::write(path, line)
        };
        if let Err(error) = written {
            self.local_failed = true;
            let message = format!("can't write {}: {error}", path.display());
            self.jobs[index].fail("write_failed", 23, "", message);
        }
    }

    /// With a limit of bytes a second a body in memory is sent piece by piece as well.
    pub fn hold_back(&mut self, index: usize, request: &mut crate::fetch::Request) {
        use crate::fetch::Body;
        if self.limit_rate.is_none() && self.limit_total.is_none() {
            return;
        }
        let Body::Bytes(bytes) = &request.profile.body else { return };
        if bytes.is_empty() {
            return;
        }
        let bytes = Arc::clone(bytes);
        let mut profile = (*request.profile).clone();
        profile.body = Body::Stream { length: Some(bytes.len() as u64), replayable: true };
        request.profile = Arc::new(profile);
        self.jobs[index].upload = Some(UploadFrom::Bytes(bytes));
    }

    /// Whether another request may begin under `--limit-rate-total`, else when. Short bodies arrive
    /// at once, however slowly they are read: what is to be held back is their requests.
    pub fn feed_due(&self, now: Instant) -> Result<(), Option<Instant>> {
        let Some(rate) = self.limit_total else { return Ok(()) };
        let most = usize::try_from(rate / BURST).unwrap_or(usize::MAX).max(2);
        if self.in_flight() >= most {
            return Err(None);
        }
        let due = [self.total, self.total_sent]
            .into_iter()
            .filter_map(|(since, bytes)| ahead(since?, bytes, rate, now))
            .max();
        due.map_or(Ok(()), |due| Err(Some(due)))
    }

    /// How much of a body may leave now; `None`: nothing yet, its time was noted.
    fn upload_room(&mut self, index: usize, ticket: Ticket, room: usize) -> Option<usize> {
        let now = Instant::now();
        let mut room = room;
        let mut until = None;
        if let Some(rate) = self.limit_rate {
            let sent = &mut self.jobs[index].sent;
            let since = *sent.since.get_or_insert(now);
            until = ahead(since, sent.bytes, rate, now);
            room = room.min(piece(rate));
        }
        if let Some(rate) = self.limit_total {
            until = until.max(ahead_in_all(&mut self.total_sent, rate, now));
            room = room.min(piece(rate));
        }
        match until {
            Some(until) => {
                self.paused.push((until, ticket));
                None
            }
            None => Some(room),
        }
    }

    fn slow_down(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, index: usize, bytes: u64) {
        let now = Instant::now();
        let mut until = None;
        if let Some(rate) = self.limit_rate {
            let pace = &mut self.jobs[index].pace;
            let since = *pace.since.get_or_insert(now);
            pace.bytes += bytes;
            until = ahead(since, pace.bytes, rate, now);
        }
        if let Some(rate) = self.limit_total {
            self.total.1 += bytes;
            until = until.max(ahead_in_all(&mut self.total, rate, now));
        }
        if let Some(until) = until
            && !self.jobs[index].pace.paused
        {
            self.jobs[index].pace.paused = true;
            ctl.pause(ticket);
            self.paused.push((until, ticket));
        }
    }
}

/// Bytes that are sent at once under a limit: an eighth of a second's worth.
fn piece(rate: u64) -> usize {
    usize::try_from(rate / 8).unwrap_or(usize::MAX).clamp(1, 64 * 1024)
}

/// The same for all transfers together.
fn ahead_in_all(total: &mut (Option<Instant>, u64), rate: u64, now: Instant) -> Option<Instant> {
    let since = *total.0.get_or_insert(now);
    let until = ahead(since, total.1, rate, now);
    if until.is_none() && now.duration_since(since) > Duration::from_secs(5) {
        // What was not used is not saved up for ever.
        *total = (Some(now), 0);
    }
    until
}

/// When bytes that came too early would have been due.
fn ahead(since: Instant, bytes: u64, rate: u64, now: Instant) -> Option<Instant> {
    let bytes = bytes.saturating_sub(BURST.min(rate / 4));
    let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
    let due =
        since + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX / 2).min(1 << 50));
    (due > now).then_some(due)
}

fn push_line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The folder for files and a name in it.
pub fn in_dir(terms: &Terms, name: &str) -> PathBuf {
    match &terms.keep.dir {
        Some(dir) => dir.join(name),
        None => PathBuf::from(name),
    }
}

/// Whether `-z` is not met, though the server sent a body.
fn unmet(terms: &Terms, job: &Job) -> bool {
    let Some(condition) = &terms.time_cond else { return false };
    let modified =
        job.last_modified().and_then(|value| date::parse(std::str::from_utf8(value).ok()?));
    match modified {
        None => false,
        Some(modified) if condition.unless => modified > condition.date,
        Some(modified) => modified <= condition.date,
    }
}

/// `--accept-type` and `--reject-type`.
fn wanted_type(terms: &Terms, content_type: &[u8]) -> bool {
    if terms.accept_types.is_empty() && terms.reject_types.is_empty() {
        return true;
    }
    let text = String::from_utf8_lossy(content_type);
    let essence = text.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let fits =
        |globs: &[String]| globs.iter().any(|glob| fits_glob(glob.as_bytes(), essence.as_bytes()));
    (terms.accept_types.is_empty() || fits(&terms.accept_types)) && !fits(&terms.reject_types)
}

/// `*` stands for any text, `?` for one character.
fn fits_glob(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g + 1, t));
                g += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((after, at)) => {
                    star = Some((after, at + 1));
                    g = after;
                    t = at + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|&byte| byte == b'*')
}

/// Whether this answer to `-C` says that the file here was whole already.
fn continued_whole(job: &Job, answer: &Answer<'_>) -> bool {
    let GoOn::At(offset) = job.go_on else { return false };
    let field = answer.head.fields.get("content-range");
    // Some servers leave the unit away.
    let range = field.and_then(|value| {
        ContentRange::parse(value)
            .or_else(|| ContentRange::parse(&[b"bytes ".as_slice(), value].concat()))
    });
    match (answer.head.status, range) {
        (416, Some(ContentRange::Unsatisfied { whole })) => whole == offset,
        // It is sent once more, and is as long as what is here: curl is content with that, too.
        (200, None) => job.content_length == Some(offset),
        _ => false,
    }
}

/// `-C` on a file that has its final name, as curl judges it.
fn continued(job: &mut Job, answer: &Answer<'_>) -> Option<Want> {
    let GoOn::At(offset) = job.go_on else { return None };
    if continued_whole(job, answer) {
        job.unchanged = true;
        return Some(Want::NoBody);
    }
    let range = answer.head.fields.get("content-range").and_then(ContentRange::parse);
    match (answer.head.status, range) {
        (206, Some(ContentRange::Part { first, .. })) if first == offset => None,
        (416, _) => {
            job.fail(
                "range_refused",
                33,
                "remove the file to start again",
                "the file here is not a beginning of the one there",
            );
            Some(Want::Stop)
        }
        (206, _) => {
            job.fail(
                "range_refused",
                33,
                "",
                "the server sent another part than the one that was asked for",
            );
            Some(Want::Stop)
        }
        (status, _) => {
            let message = if status >= 400 {
                format!("the server does not continue: it answered {status}")
            } else {
                "the server does not continue: it has no ranges for this".to_owned()
            };
            job.fail("range_refused", 33, "without -C it starts again", message);
            Some(Want::Stop)
        }
    }
}

impl Visitor for Desk {
    fn interim(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, head: &Head<'_>) {
        self.keep_lines(ticket.tag as usize, head);
    }

    fn redirect(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, redirect: &Redirect<'_>) {
        let index = ticket.tag as usize;
        self.keep_lines(index, redirect.head);
        self.jobs[index].keep_etag(redirect.head);
        redirect.to.as_str().clone_into(&mut self.jobs[index].redirect_to);
    }

    fn head(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, answer: &Answer<'_>) -> Want {
        let index = ticket.tag as usize;
        let job = &mut self.jobs[index];
        job.keep_head(answer.head.status, answer.head.fields.iter());
        job.decoded = answer.decoded;
        job.keep_etag(answer.head);
        self.keep_lines(index, answer.head);
        if let Some(terms) = self.jobs[index].terms.clone()
            && !self.batch
        {
            self.dump(index, &terms);
        }
        self.judge(index, answer)
    }

    fn body(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, bytes: &[u8]) {
        let index = ticket.tag as usize;
        let most = self.records.body.map(|_| self.records.body_max);
        let job = &mut self.jobs[index];
        job.note_body(bytes, most);
        if !self.write(index, bytes) {
            ctl.cancel(ticket);
        }
        if self.limit_rate.is_some() || self.limit_total.is_some() {
            self.slow_down(ctl, ticket, index, bytes.len() as u64);
        }
    }

    fn trailers(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, fields: Fields<'_>) {
        let index = ticket.tag as usize;
        let Some(terms) = self.jobs[index].terms.clone() else { return };
        if terms.shows_heads() || terms.dump.is_some() {
            for (name, value) in fields.iter() {
                push_line(name, value, &mut self.jobs[index].raw);
            }
            self.pour_heads(index, &terms);
        }
    }

    fn restart(&mut self, ctl: &mut Control<'_, '_>, ticket: Ticket, _: engine::Kind) {
        let index = ticket.tag as usize;
        let job = &mut self.jobs[index];
        job.go_on = GoOn::No;
        job.void_body();
        job.forget_heads();
        if job.poured > 0 {
            job.fail("eof_in_body", 18, "", "the connection was lost, and what has left for standard output can't be taken back");
            ctl.cancel(ticket);
            return;
        }
        // The head comes again, and with it the name.
        match std::mem::take(&mut job.sink) {
            Sink::File(sink) => self.files.give_up(*sink, true),
            Sink::Whole(spool) => self.bodies_held -= spool.held(),
            Sink::None | Sink::Stdout => {}
        }
    }

    fn upload(
        &mut self,
        _: &mut Control<'_, '_>,
        ticket: Ticket,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Upload {
        let index = ticket.tag as usize;
        let from = out.len();
        let Some(room) = self.upload_room(index, ticket, room) else { return Upload::Pending };
        let room_for = |out: &mut Vec<u8>| {
            out.resize(from + room.min(64 * 1024), 0);
        };
        let read = match self.jobs[index].upload.clone() {
            None => return Upload::End,
            Some(UploadFrom::Bytes(bytes)) => {
                let rest = bytes.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or(&[]);
                out.extend_from_slice(&rest[..rest.len().min(room)]);
                Ok(rest.len().min(room))
            }
            Some(UploadFrom::Stdin) => {
                if !crate::cli::wait::stdin_ready() {
                    self.upload_waits = Some(ticket);
                    return Upload::Pending;
                }
                room_for(out);
                crate::cli::wait::read_stdin(&mut out[from..])
            }
            Some(UploadFrom::File(path)) => {
                room_for(out);
                let from_here = self.jobs[index].upload_from + at;
                self.upload_file(index, &path).and_then(|file| {
                    file.seek(SeekFrom::Start(from_here))?;
                    file.read(&mut out[from..])
                })
            }
        };
        match read {
            Ok(0) => {
                out.truncate(from);
                Upload::End
            }
            Ok(read) => {
                out.truncate(from + read);
                self.jobs[index].uploaded = at + read as u64;
                self.jobs[index].sent.bytes += read as u64;
                self.total_sent.1 += read as u64;
                Upload::More
            }
            Err(error) => {
                out.truncate(from);
                self.jobs[index].fail(
                    "read_failed",
                    26,
                    "",
                    format!("can't read what is to be sent: {error}"),
                );
                Upload::End
            }
        }
    }

    fn done(
        &mut self,
        _: &mut Control<'_, '_>,
        ticket: Ticket,
        outcome: &crate::fetch::Outcome<'_>,
    ) {
        self.finished(ticket.tag as usize, outcome);
    }
}

impl Desk {
    fn upload_file(&mut self, index: usize, path: &Path) -> std::io::Result<&mut File> {
        if self.upload.as_ref().is_none_or(|(of, _)| *of != index) {
            self.upload = Some((index, File::open(path)?));
        }
        match &mut self.upload {
            Some((_, file)) => Ok(file),
            None => Err(std::io::Error::other("the file to send is gone")),
        }
    }

    /// A digest is wanted for the record, or to compare.
    pub fn hash_for(&self, job: &Job) -> Option<Box<Sha256>> {
        let expected = job.more.as_deref().is_some_and(|more| more.sha256.is_some());
        (self.records.sha256 || expected).then(Box::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_fit_globs() {
        for (glob, text, want) in [
            ("text/html", "text/html", true),
            ("text/*", "text/html", true),
            ("*/*", "a/b", true),
            ("*", "", true),
            ("text/*", "image/png", false),
            ("image/?ng", "image/png", true),
            ("*json", "application/ld+json", true),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("", "a", false),
        ] {
            assert_eq!(fits_glob(glob.as_bytes(), text.as_bytes()), want, "{glob} {text}");
        }
    }

    #[test]
    fn rates_are_kept_over_time() {
        let start = Instant::now();
        assert_eq!(ahead(start, 1000, 1_000_000, start), None);
        let due = ahead(start, 2_000_000, 1_000_000, start).unwrap();
        assert!((1_980..=2_000).contains(&due.duration_since(start).as_millis()));
        assert_eq!(ahead(start, 2_000_000, 1_000_000, start + Duration::from_secs(2)), None);
    }
}
