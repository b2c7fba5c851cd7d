//! Where answers go: files, standard output, `-D`, `--etag-save`, and the heads that are shown.
//!
//! Owns what is opened, written and given its name for a job, and what is said when that fails.
//! Whether an answer is wanted at all is not decided here.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::Digest;

use super::job::{Dest, Dump, GoOn, Job, Sink, Terms};
use super::kind::Kind;
use crate::cli::part::Note;
use crate::cli::plan::Existing;
use crate::cli::sink::{FileError, Files};
use crate::cli::stdio::Stdout;
use crate::cli::{date, names};
use crate::fetch::Answer;

/// What this run has open, and what has gone wrong with it.
#[derive(Debug)]
pub struct Output {
    pub files: Files,
    /// Writing on this machine failed.
    pub failed: bool,
    /// Standard output is closed: there is nobody to work for.
    pub closed: bool,
    /// Files of `-D` that were begun in this run.
    dumped: Vec<PathBuf>,
    /// `--resume`: what an earlier run wrote into a file of heads that several URLs share stays.
    pub resumes: bool,
    /// Bytes of bodies that wait in memory,
    held: u64,
    /// and how many may.
    may_hold: u64,
}

impl Output {
    pub const fn new(files: Files, may_hold: u64) -> Self {
        Self {
            files,
            failed: false,
            closed: false,
            dumped: Vec::new(),
            resumes: false,
            held: 0,
            may_hold,
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
        let (path, shared, fresh) = match &job.dest {
            Dest::Nowhere => return Ok(()),
            Dest::Stdout => {
                job.sink = Sink::Stdout;
                return Ok(());
            }
            Dest::Whole => {
                job.sink = Sink::Whole(Default::default());
                return Ok(());
            }
            Dest::Named => {
                let Some(template) = &terms.template else { return Ok(()) };
                let content_type = String::from_utf8_lossy(job.content_type().unwrap_or(b""));
                (in_dir(terms, &job.name(template, &content_type)), !template.is_unique(), false)
            }
            Dest::File { path, header_name: true, shared, fresh } if job.status < 400 => {
                let field = answer.head.fields.get("content-disposition");
                match field.and_then(names::disposition_name) {
                    Some(name) => {
                        (in_dir(terms, &name), true, terms.keep.existing != Existing::Clobber)
                    }
                    // As curl since 8.19: where a redirect led, there is a name, too.
                    None if !job.redirect_to.is_empty() => {
                        let name = names::redirect_name(&job.redirect_to);
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
            GoOn::At { offset, typed, before } => {
                job.go_on = GoOn::At { offset, typed, before };
                let sink = self.files.append(&path, before)?;
                job.go_on = GoOn::At { offset, typed, before: sink.appended() };
                if let Some(hash) = &mut job.hash {
                    sink.read_back(|bytes| hash.update(bytes))
                        .map_err(|error| FileError::Io(path.clone(), error))?;
                }
                sink
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
    #[inline]
    pub fn pour_heads(&mut self, job: &mut Job, terms: &Terms) -> bool {
        if !terms.shows_heads() {
            return true;
        }
        let raw = std::mem::take(&mut job.raw);
        let from = std::mem::replace(&mut job.shown, raw.len()).min(raw.len());
        let result = self.write(job, &raw[from..]);
        job.raw = raw;
        result
    }

    /// Bytes to where the body goes; false: that failed, and was noted.
    pub fn write(&mut self, job: &mut Job, bytes: &[u8]) -> bool {
        let failed = match &mut job.sink {
            Sink::None => None,
            Sink::Stdout => {
                job.poured += bytes.len() as u64;
                Stdout.write_all(bytes).err().map(|error| (error, true))
            }
            Sink::Whole(spool) => {
                let before = spool.held();
                let may_hold = self.held + bytes.len() as u64 <= self.may_hold;
                let result = spool.write(bytes, may_hold);
                self.held = self.held + spool.held() - before;
                result.err().map(|error| (error, false))
            }
            Sink::File(file) => match file.write(bytes) {
                Ok(()) => None,
                Err(error) => {
                    self.file_failed(job, &error);
                    return false;
                }
            },
        };
        match failed {
            None => true,
            Some((error, stdout)) => {
                self.stdout_failed(job, &error, stdout);
                false
            }
        }
    }

    /// What came is void: a part is removed, a body in memory is forgotten. A file that went on
    /// from where it ended keeps what came until there is something better, as with curl's `-C -`.
    pub fn void(&mut self, job: &mut Job) {
        match std::mem::take(&mut job.sink) {
            Sink::File(sink) => {
                let typed = matches!(job.go_on, GoOn::At { typed: true, .. });
                let stays = sink.appended().is_some() && !typed;
                self.files.give_up(*sink, !stays);
            }
            Sink::Whole(spool) => self.held -= spool.held(),
            Sink::None | Sink::Stdout => {}
        }
    }

    /// The part that waited for a head is given up after all.
    pub fn void_part(&mut self, job: &mut Job) {
        if std::mem::take(&mut job.part_waits) {
            self.void(job);
        }
    }

    /// Nobody reads standard output any more, or not before a signal ends us.
    pub fn stdout_is_gone(&mut self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::TimedOut) {
            self.failed = true;
            self.closed = true;
        }
    }

    fn stdout_failed(&mut self, job: &mut Job, error: &io::Error, stdout: bool) {
        self.failed = true;
        if stdout {
            self.stdout_is_gone(error);
        }
        let what = if stdout { "standard output" } else { "the spool file" };
        job.fail(Kind::WriteFailed, "", format!("can't write to {what}: {error}"));
    }

    fn file_failed(&mut self, job: &mut Job, error: &FileError) {
        let (kind, hint) = match error {
            FileError::Exists(_) => {
                (Kind::OutputExists, "--clobber overwrites, --no-clobber finds another name")
            }
            FileError::Collision(_) => (
                Kind::OutputCollision,
                "a template with {n} or {hash} gives each URL a name of its own",
            ),
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
        match std::mem::take(&mut job.sink) {
            Sink::None | Sink::Stdout => {}
            Sink::Whole(mut spool) => {
                self.held -= spool.held();
                if whole && let Err(error) = spool.pour() {
                    self.stdout_failed(job, &error, true);
                }
            }
            Sink::File(sink) => {
                if !whole {
                    let void =
                        job.trouble.as_ref().is_some_and(|trouble| trouble.kind == Kind::Checksum);
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
                    let distance = Duration::from_secs(seconds.unsigned_abs());
                    if seconds < 0 {
                        std::time::UNIX_EPOCH.checked_sub(distance)
                    } else {
                        std::time::UNIX_EPOCH.checked_add(distance)
                    }
                });
                match self.files.finish(*sink, modified) {
                    Ok(path) => job.output = Some(path.display().to_string()),
                    Err(error) => {
                        job.output = None;
                        self.file_failed(job, &error);
                    }
                }
            }
        }
    }

    /// `-D`: the heads that were not written yet, before the body.
    pub fn dump(&mut self, job: &mut Job, terms: &Terms) {
        let Some(dump) = &terms.dump else { return };
        let from = std::mem::replace(&mut job.dumped, job.raw.len()).min(job.raw.len());
        let heads = &job.raw[from..];
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
                let content_type = String::from_utf8_lossy(job.content_type().unwrap_or(b""));
                let path = in_dir(terms, &job.name(template, &content_type));
                // A name that several URLs come to holds the heads of all, as with transfers.
                let again = !template.is_unique() && (self.files.shares(&path) || self.resumes);
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
                job.dest = Dest::Nowhere;
                return Err(format!("can't write {}: {error}", path.display()));
            }
        }
        Ok(())
    }

    /// `--etag-save`.
    pub fn save_etag(&mut self, job: &mut Job, terms: &Terms) {
        let Some(path) = &terms.etag_save else { return };
        // Without an ETag the file is empty, or stays as it was, as curl has it.
        let mut line = std::mem::take(&mut job.last_etag);
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

/// The folder for files and a name in it.
pub fn in_dir(terms: &Terms, name: &str) -> PathBuf {
    match &terms.keep.dir {
        // As curl: beneath it, whatever the name begins with.
        Some(dir) => dir.join(name.trim_start_matches('/')),
        None => PathBuf::from(name),
    }
}
