//! Where answers go: files, standard output, `-D`, `--etag-save`, and the heads that are shown.
//!
//! Owns what is opened, written and given its name for a job, and what is said when that fails.
//! Whether an answer is wanted at all is not decided here.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::Digest;

use super::job::{Dest, Dump, GoOn, Job, Outlet, Sink, Terms};
use super::kind::Kind;
use crate::cli::part::Note;
use crate::cli::plan::Existing;
use crate::cli::sink::{FileError, FileSink, Files, Turn};
use crate::cli::stdio::Stdout;
use crate::cli::{date, names};
use crate::fetch::Answer;

/// What a run can't do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// Nobody reads standard output any more: there is nobody to work for, nor to tell.
    Reader,
    /// Records can't be written.
    Records,
}

impl Lost {
    /// Why a run ends early.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Reader => "the output is closed",
            Self::Records => "the results can't be written; make room and go on with --resume",
        }
    }
}

/// What this run has open, and what has gone wrong with it.
#[derive(Debug)]
pub struct Output {
    pub files: Files,
    /// Writing on this machine failed.
    pub failed: bool,
    /// Why the run has no sense any more.
    pub lost: Option<Lost>,
    /// Files of `-D` that were begun in this run.
    dumped: Vec<PathBuf>,
    /// `--resume`: what an earlier run wrote into a file of heads that several URLs share stays.
    pub resumes: bool,
    /// Bytes of bodies that wait in memory,
    held: u64,
    /// and how many may.
    may_hold: u64,
    /// Bodies that nobody sent elsewhere are seen by a person.
    to_terminal: bool,
}

/// Among so many first bytes of a body a NUL tells that it is no text, as for curl.
const LOOKED_AT: u64 = 2000;

/// What to do where two URLs come to one name.
pub const OWN_NAMES: &str = "a template with {n} or {hash} gives each URL a name of its own";

/// What can't be written to, and why.
enum Unwritten {
    Stdout(io::Error),
    Spool(io::Error),
    File(FileError),
}

impl Output {
    pub const fn new(files: Files, may_hold: u64, to_terminal: bool) -> Self {
        Self {
            files,
            failed: false,
            lost: None,
            dumped: Vec::new(),
            resumes: false,
            held: 0,
            may_hold,
            to_terminal,
        }
    }

    /// Opens where the answer goes and writes what is shown of its heads; false: that failed, and
    /// was noted.
    pub fn begin(&mut self, job: &mut Job, terms: &Terms, answer: &Answer<'_>) -> bool {
        if let Err(error) = self.open(job, terms, answer) {
            self.file_failed(job, &error);
            return false;
        }
        self.pour_heads(job, terms)
    }

    /// Opens where the body goes, now that the head is known.
    fn open(&mut self, job: &mut Job, terms: &Terms, answer: &Answer<'_>) -> Result<(), FileError> {
        let (path, shared, fresh) = match &job.out.dest {
            Dest::Nowhere => return Ok(()),
            Dest::Stdout => {
                job.out.sink = Sink::Stdout;
                return Ok(());
            }
            Dest::Whole => {
                job.out.sink = Sink::Whole(Default::default());
                return Ok(());
            }
            Dest::Named => {
                let Some(template) = &terms.template else { return Ok(()) };
                (in_dir(terms, &job.name(template)), !template.is_unique(), false)
            }
            Dest::File { path, header_name: true, shared, fresh } if job.head.status < 400 => {
                let field = answer.head.fields.get("content-disposition");
                match field.and_then(names::disposition_name) {
                    Some(name) => {
                        (in_dir(terms, &name), true, terms.keep.existing != Existing::Clobber)
                    }
                    // As curl since 8.19: where a redirect led, there is a name, too.
                    None if !job.heads.redirect_to.is_empty() => {
                        let name = names::redirect_name(&job.heads.redirect_to);
                        let path = name.map_or_else(|| path.clone(), |name| in_dir(terms, &name));
                        (path, true, *fresh)
                    }
                    // Without a name of the server's, -J means nothing.
                    None => (path.clone(), *shared, false),
                }
            }
            Dest::File { path, shared, fresh, header_name } => {
                (path.clone(), *shared, *fresh && !header_name)
            }
        };
        let mut sink = match std::mem::replace(&mut job.out.go_on, GoOn::No) {
            GoOn::No => self.files.begin(&path, shared, fresh)?,
            GoOn::Part(left) => {
                let sink = self.files.go_on(&path, &job.asked.url, &left)?;
                job.received
                    .take_up(left.offset, |note| sink.read_back(note))
                    .map_err(|error| FileError::Io(path.clone(), error))?;
                job.out.go_on = GoOn::Part(left);
                sink
            }
            GoOn::At { offset, typed, before } => {
                job.out.go_on = GoOn::At { offset, typed, before };
                let sink = self.files.append(&path, before)?;
                job.out.go_on = GoOn::At { offset, typed, before: sink.appended() };
                if let Some(hash) = job.received.hash() {
                    sink.read_back(|bytes| hash.update(bytes))
                        .map_err(|error| FileError::Io(path.clone(), error))?;
                }
                sink
            }
        };
        if !job.head.decoded && job.head.status == 200 {
            let text = |value: Option<&[u8]>| {
                value.and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned)
            };
            sink.note(Some(Note {
                url: job.asked.url.clone(),
                etag: text(job.head.etag()).filter(|etag| !etag.starts_with("W/")),
                last_modified: text(job.head.last_modified()),
            }));
        }
        job.out.output = Some(sink.path().display().to_string());
        job.out.sink = Sink::File(Box::new(sink));
        Ok(())
    }

    /// Writes what is not written yet of heads and trailers; false: it can't be written.
    #[inline]
    pub fn pour_heads(&mut self, job: &mut Job, terms: &Terms) -> bool {
        if !terms.shows_heads() {
            return true;
        }
        let Job { heads, out, .. } = job;
        let result = self.put(out, heads.unshown());
        self.has_put(job, result)
    }

    /// Bytes to where the body goes; false: that failed, and was noted.
    pub fn write(&mut self, job: &mut Job, bytes: &[u8]) -> bool {
        if self.to_terminal && garbles(job, bytes) {
            let message = "this is no text, and would garble the terminal: it is not shown";
            job.fail(Kind::WriteFailed, "-o FILE keeps it, -o - shows it all the same", message);
            return false;
        }
        let result = self.put(&mut job.out, bytes);
        self.has_put(job, result)
    }

    fn put(&mut self, out: &mut Outlet, bytes: &[u8]) -> Result<(), Unwritten> {
        match &mut out.sink {
            Sink::None | Sink::Waiting(_) => Ok(()),
            Sink::Stdout => {
                out.poured += bytes.len() as u64;
                Stdout.write_all(bytes).map_err(Unwritten::Stdout)
            }
            Sink::Whole(spool) => {
                let before = spool.held();
                let may_hold = self.held + bytes.len() as u64 <= self.may_hold;
                let result = spool.write(bytes, may_hold);
                self.held = self.held + spool.held() - before;
                result.map_err(Unwritten::Spool)
            }
            Sink::File(file) => file.write(bytes).map_err(Unwritten::File),
        }
    }

    #[inline]
    fn has_put(&mut self, job: &mut Job, result: Result<(), Unwritten>) -> bool {
        match result {
            Ok(()) => true,
            Err(unwritten) => {
                self.note(job, &unwritten);
                false
            }
        }
    }

    /// What came so far counts no more, and comes again; a part waits for the head of that.
    pub fn begin_again(&mut self, job: &mut Job) {
        let sink = job.out.begin_again();
        self.void(sink, &job.out.go_on);
    }

    /// What came is void: a part is removed, a body in memory is forgotten. A file that went on
    /// from where it ended keeps what came until there is something better, as with curl's `-C -`.
    fn void(&mut self, sink: Sink, go_on: &GoOn) {
        match sink {
            Sink::File(sink) | Sink::Waiting(Some(sink)) => {
                let typed = matches!(go_on, GoOn::At { typed: true, .. });
                let stays = sink.appended().is_some() && !typed;
                self.files.give_up(*sink, !stays);
            }
            Sink::Whole(spool) => self.held -= spool.held(),
            Sink::None | Sink::Stdout | Sink::Waiting(None) => {}
        }
    }

    /// The part that waited for a head is given up after all.
    pub fn void_part(&mut self, job: &mut Job) {
        if job.out.part_waits() {
            let sink = std::mem::take(&mut job.out.sink);
            self.void(sink, &job.out.go_on);
        }
    }

    /// Nobody reads standard output any more, or not before a signal ends us.
    pub fn stdout_is_gone(&mut self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::TimedOut) {
            self.failed = true;
            self.lost.get_or_insert(Lost::Reader);
        }
    }

    /// Notes why something can't be written, for the run and for the job.
    fn note(&mut self, job: &mut Job, unwritten: &Unwritten) {
        let (error, what) = match unwritten {
            Unwritten::File(error) => return self.file_failed(job, error),
            Unwritten::Stdout(error) => {
                self.stdout_is_gone(error);
                (error, "standard output")
            }
            Unwritten::Spool(error) => (error, "the spool file"),
        };
        self.failed = true;
        job.fail(Kind::WriteFailed, "", format!("can't write to {what}: {error}"));
    }

    fn file_failed(&mut self, job: &mut Job, error: &FileError) {
        let (kind, hint) = match error {
            FileError::Exists(_) => {
                (Kind::OutputExists, "--clobber overwrites, --no-clobber finds another name")
            }
            FileError::Collision(_) | FileError::Kept(_) | FileError::Changed(_) => {
                (Kind::OutputCollision, OWN_NAMES)
            }
            FileError::Io(_, error) => {
                self.failed = true;
                let hint = match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                        "is the folder there? --create-dirs makes what is missing"
                    }
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        "make room, or choose another folder with --output-dir"
                    }
                    _ => "-o and --output-dir choose another place",
                };
                (Kind::WriteFailed, hint)
            }
        };
        job.fail(kind, hint, error.to_string());
    }

    /// Ends the sink; a file gets its name or stays a part.
    pub fn settle(&mut self, job: &mut Job, whole: bool, terms: &Terms) {
        match std::mem::take(&mut job.out.sink) {
            Sink::None | Sink::Stdout | Sink::Waiting(None) => {}
            Sink::Whole(mut spool) => {
                self.held -= spool.held();
                if whole && let Err(error) = spool.pour() {
                    self.note(job, &Unwritten::Stdout(error));
                }
            }
            // A part that waits still was spared by an error: nothing came for it.
            Sink::Waiting(Some(sink)) => self.give_up(job, *sink, terms),
            Sink::File(sink) if !whole => self.give_up(job, *sink, terms),
            Sink::File(sink) => {
                let modified = if terms.keep.remote_time {
                    job.head
                        .last_modified()
                        .and_then(|value| date::parse(std::str::from_utf8(value).ok()?))
                } else {
                    None
                };
                let modified = modified.and_then(|seconds| {
                    let distance = Duration::from_secs(seconds.unsigned_abs());
                    if seconds < 0 {
                        std::time::UNIX_EPOCH.checked_sub(distance)
                    } else {
                        std::time::UNIX_EPOCH.checked_add(distance)
                    }
                });
                match self.files.finish(*sink, modified) {
                    Ok(path) => job.out.output = Some(path.display().to_string()),
                    Err(error) => {
                        job.out.output = None;
                        self.file_failed(job, &error);
                    }
                }
            }
        }
    }

    /// A file that did not become whole: it stays a part, unless that is worth nothing.
    fn give_up(&mut self, job: &mut Job, sink: FileSink, terms: &Terms) {
        let void = job.trouble.as_ref().is_some_and(|trouble| trouble.kind == Kind::Checksum);
        job.out.output = None;
        self.files.give_up(sink, terms.keep.remove_on_error || void);
    }

    /// `-D`: the heads that were not written yet, before the body.
    pub fn dump(&mut self, job: &mut Job, terms: &Terms) {
        let Some(dump) = &terms.dump else { return };
        let Job { asked, head, heads, .. } = job;
        let heads = heads.undumped();
        if heads.is_empty() && !matches!(dump, Dump::File(path) if !self.dumped.contains(path)) {
            return;
        }
        let file_name = |path: &Path| path.display().to_string();
        let result = match dump {
            Dump::Stdout => Stdout.write_all(heads).map_err(|error| {
                self.stdout_is_gone(&error);
                ("standard output".to_owned(), error)
            }),
            Dump::Stderr => {
                io::stderr().write_all(heads).map_err(|error| ("standard error".to_owned(), error))
            }
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
                let path = in_dir(terms, &asked.name(template, &head.media_type()));
                // A name that several URLs come to holds the heads of all, as with transfers.
                let again = !template.is_unique()
                    && (self.files.note(&path) == Turn::Further || self.resumes);
                let mut options = std::fs::OpenOptions::new();
                options.create(true).append(again).write(true).truncate(!again);
                let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
                made.and_then(|()| options.open(&path))
                    .and_then(|mut file| file.write_all(heads))
                    .map_err(|error| (file_name(&path), error))
            }
        };
        if let Err((name, error)) = result {
            self.failed = true;
            job.fail(Kind::WriteFailed, "", format!("can't write {name}: {error}"));
        }
    }

    /// What is written beside the body is opened before anything is asked for: a folder that is
    /// missing or closed to us costs no request.
    pub fn make_ready(&mut self, job: &mut Job, terms: &Terms) -> Result<(), String> {
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
                self.failed = true;
                job.out.dest = Dest::Nowhere;
                return Err(format!("can't write {}: {error}", path.display()));
            }
        }
        Ok(())
    }

    /// `--etag-save`.
    pub fn save_etag(&mut self, job: &mut Job, terms: &Terms) {
        let Some(path) = &terms.etag_save else { return };
        // Without an ETag the file is empty, or stays as it was, as curl has it.
        let mut line = job.heads.take_etag();
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
            self.failed = true;
            let message = format!("can't write {}: {error}", path.display());
            job.fail(Kind::WriteFailed, "", message);
        }
    }
}

/// Whether these bytes, which were just received, are none for a terminal.
fn garbles(job: &Job, bytes: &[u8]) -> bool {
    job.received.bytes - (bytes.len() as u64) < LOOKED_AT
        && matches!(job.out.sink, Sink::Stdout | Sink::Whole(_))
        && bytes.contains(&0)
        && job.terms().is_some_and(|terms| !terms.keep.raw_to_terminal)
}

/// The folder for files and a name in it.
pub fn in_dir(terms: &Terms, name: &str) -> PathBuf {
    match &terms.keep.dir {
        // As curl: beneath it, whatever the name begins with.
        Some(dir) => dir.join(name.trim_start_matches('/')),
        None => PathBuf::from(name),
    }
}
