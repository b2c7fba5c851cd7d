//! Bodies on their way into files, which get their names when they are whole.
//!
//! Owns what is written and when, and what happens to files that are there. What parts are called,
//! and what stands beside them, is [`part`](super::part)'s. Never knows requests.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::hash::fingerprint;
use super::lock;
use super::part::{
    Leftover, Note, changed_since, has_other_names, is_named, keep_mode, led_to, note_name,
    part_name, with_suffix, write_note,
};
use super::plan::Existing;
use crate::fetch::Validator;

/// A file that grows beyond this has its validator kept beside it, so that even a killed run can be continued.
const NOTE_AFTER: u64 = 256 * 1024;

/// Why a file can't be written.
#[derive(Debug)]
pub enum FileError {
    /// It is there, and is to be kept.
    Exists(PathBuf),
    /// Another URL of this run has it.
    Collision(PathBuf),
    /// The system says no.
    Io(PathBuf, io::Error),
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exists(path) => write!(f, "{} is there and is not overwritten", path.display()),
            Self::Collision(path) => {
                write!(f, "{} belongs to another URL of this run", path.display())
            }
            Self::Io(path, error) => write!(f, "can't write {}: {error}", path.display()),
        }
    }
}

/// The first moment of a run, in which stamps are not trusted.
const EARLY: Duration = Duration::from_secs(1);
/// Names for parts that are tried, while other processes write to those before.
const PARTS: u32 = 8;

/// How files are made.
#[derive(Debug)]
pub struct Files {
    /// Names that are being written now.
    busy: HashSet<u64>,
    /// What is there since then was written by this run,
    since: SystemTime,
    /// and so were these, of its first moment, whatever their stamps say: the kernel's clock for
    /// files lags by a tick, and some file systems round to seconds.
    early: HashSet<u64>,
    existing: Existing,
    create_dirs: bool,
    fsync: bool,
    /// Part files that stay: how many, and the first few.
    pub left: (u64, Vec<PathBuf>),
}

impl Files {
    /// With the user's wishes.
    pub fn new(existing: Existing, create_dirs: bool, fsync: bool) -> Self {
        Self {
            busy: HashSet::new(),
            since: SystemTime::now(),
            early: HashSet::new(),
            existing,
            create_dirs,
            fsync,
            left: (0, Vec::new()),
        }
    }

    /// Whether `--skip-existing` has nothing to do for this name.
    pub fn is_done(&self, path: &Path) -> bool {
        self.existing == Existing::Skip && fs::symlink_metadata(path).is_ok()
    }

    /// Begins a file.
    ///
    /// `shared`: other URLs of this run may come to the same name, which must be noticed.
    /// `keep`: it must not be there (`-J`).
    pub fn begin(&mut self, path: &Path, shared: bool, keep: bool) -> Result<FileSink, FileError> {
        let asked = (keep || self.existing == Existing::Keep)
            .then(|| path.to_owned())
            .filter(|_| self.existing != Existing::Clobber);
        let mut path = self.free_name(path, keep)?;
        let meta = fs::symlink_metadata(&path).ok();
        let mut there = None;
        if let Some(meta) = &meta {
            if meta.file_type().is_symlink() {
                // As everything that writes to a name does: through the link.
                path = led_to(path);
            }
            there = fs::metadata(&path).ok();
            if there.as_ref().is_some_and(|meta| !meta.is_file() && !meta.is_dir()) {
                let file = OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .map_err(|error| FileError::Io(path.clone(), error))?;
                return Ok(FileSink {
                    path,
                    file,
                    written: 0,
                    part: None,
                    key: 0,
                    note: None,
                    noted: false,
                    appended: None,
                    fresh: None,
                });
            }
            if meta.is_dir() {
                return Err(FileError::Io(path, io::Error::from(io::ErrorKind::IsADirectory)));
            }
            let key = fingerprint(path.as_os_str().as_encoded_bytes());
            if shared && (changed_since(meta, self.since) || self.early.contains(&key)) {
                return Err(FileError::Collision(path));
            }
        }
        if there.is_some() {
            may_replace(&path)?;
        }
        let key = fingerprint(path.as_os_str().as_encoded_bytes());
        if !self.busy.insert(key) {
            return Err(FileError::Collision(path));
        }
        let (part, opened) = self.own_part(&path).inspect_err(|_| {
            self.busy.remove(&key);
        })?;
        if let Some(there) = there {
            keep_mode(&there, &opened);
        }
        // A note of an earlier run is about other bytes.
        if meta.is_some() || self.fsync {
            let _ = fs::remove_file(note_name(&part));
        }
        Ok(FileSink {
            path,
            file: opened,
            written: 0,
            part: Some(part),
            key,
            note: None,
            noted: false,
            appended: None,
            fresh: asked,
        })
    }

    /// Goes on with what an earlier run left.
    pub fn go_on(&mut self, path: &Path, offset: u64) -> Result<FileSink, FileError> {
        let key = fingerprint(path.as_os_str().as_encoded_bytes());
        if !self.busy.insert(key) {
            return Err(FileError::Collision(path.to_owned()));
        }
        let part = part_name(path);
        let file = self.open(&part, |options| options.write(true)).and_then(|mut file| {
            if !lock::claim(&file) {
                let error = io::Error::other("another process is writing it");
                return Err(FileError::Io(part.clone(), error));
            }
            let moved = file.set_len(offset).and_then(|()| file.seek(SeekFrom::Start(offset)));
            moved.map(|_| file).map_err(|error| FileError::Io(part.clone(), error))
        });
        let file = file.inspect_err(|_| {
            self.busy.remove(&key);
        })?;
        Ok(FileSink {
            path: path.to_owned(),
            file,
            written: offset,
            part: Some(part),
            key,
            note: None,
            noted: true,
            appended: None,
            fresh: None,
        })
    }

    /// Goes on at the end of a file that has its final name, as curl's `-C` does, wherever what
    /// was asked for begins. `before`: how long it was before this run came to it, which only an
    /// earlier attempt knows; what that one left is taken back. A file that is not there is begun.
    pub fn append(&mut self, path: &Path, before: Option<u64>) -> Result<FileSink, FileError> {
        let failed = |error| FileError::Io(path.to_owned(), error);
        if fs::metadata(path).is_err() {
            return self.begin(path, false, false);
        }
        let mut file = self.open(path, |options| options.write(true))?;
        let meta = file.metadata().map_err(failed)?;
        let length = before.unwrap_or(meta.len());
        // A device has no end, and nothing can be taken back from it.
        if meta.is_file() {
            if length < meta.len() {
                file.set_len(length).map_err(failed)?;
            }
            file.seek(SeekFrom::Start(length)).map_err(failed)?;
        }
        Ok(FileSink {
            path: path.to_owned(),
            file,
            written: length,
            part: None,
            key: 0,
            note: None,
            noted: false,
            appended: Some(length),
            fresh: None,
        })
    }

    fn open(
        &self,
        path: &Path,
        how: impl Fn(&mut OpenOptions) -> &mut OpenOptions,
    ) -> Result<File, FileError> {
        let mut options = OpenOptions::new();
        how(&mut options);
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.create_dirs => {
                let made = path.parent().map_or(Ok(()), fs::create_dir_all);
                made.and_then(|()| options.open(path))
                    .map_err(|error| FileError::Io(path.to_owned(), error))
            }
            other => other.map_err(|error| FileError::Io(path.to_owned(), error)),
        }
    }

    /// An empty part that nobody else writes: another process that fetches to the same name has its
    /// own, and whoever is whole last gives the file its content.
    fn own_part(&self, path: &Path) -> Result<(PathBuf, File), FileError> {
        let failed = |error| FileError::Io(path.to_owned(), error);
        let usual = part_name(path);
        for further in 0..PARTS {
            let part = match further {
                // A second time: the first may have been given its final name just then.
                0 | 1 => usual.clone(),
                n => with_suffix(&usual, &format!(".{}-{n}.gannet-part", std::process::id())),
            };
            let file = self.open(&part, |options| options.write(true).create(true))?;
            if lock::claim(&file) && is_named(&file, &part) {
                if has_other_names(&file) {
                    // A run that ended between the two left the whole file with both names.
                    fs::remove_file(&part).map_err(failed)?;
                    continue;
                }
                file.set_len(0).map_err(failed)?;
                return Ok((part, file));
            }
        }
        Err(failed(io::Error::other("other processes write all parts of it")))
    }

    /// The name itself, or with `--no-clobber` the first of `NAME.1` to `NAME.100` that is free.
    fn free_name(&self, path: &Path, keep: bool) -> Result<PathBuf, FileError> {
        let taken = |path: &Path| {
            fs::symlink_metadata(path).is_ok()
                || self.busy.contains(&fingerprint(path.as_os_str().as_encoded_bytes()))
        };
        match self.existing {
            Existing::Keep if taken(path) => (1..=100)
                .map(|n| with_suffix(path, &format!(".{n}")))
                .find(|path| !taken(path))
                .ok_or_else(|| FileError::Exists(path.to_owned())),
            Existing::Default | Existing::Skip if keep && taken(path) => {
                Err(FileError::Exists(path.to_owned()))
            }
            _ => Ok(path.to_owned()),
        }
    }

    /// What an earlier run left for this name, if it can be continued.
    pub fn leftover(path: &Path, url: &str) -> Option<Leftover> {
        let part = part_name(path);
        let length = fs::metadata(&part).ok().filter(fs::Metadata::is_file)?.len();
        // One that another process writes at this moment is left alone.
        if !OpenOptions::new().write(true).open(&part).is_ok_and(|file| lock::claim(&file)) {
            return None;
        }
        let note: Note = serde_json::from_slice(&fs::read(note_name(&part)).ok()?).ok()?;
        let validator = match (note.etag, note.last_modified) {
            (Some(etag), _) => Validator::ETag(etag.into_bytes().into()),
            (None, Some(date)) => Validator::LastModified(date.into_bytes().into()),
            (None, None) => return None,
        };
        (length > 0 && note.url == url).then_some(Leftover { offset: length, validator })
    }

    /// The file is whole: it gets its name.
    pub fn finish(
        &mut self,
        mut sink: FileSink,
        modified: Option<SystemTime>,
    ) -> Result<PathBuf, FileError> {
        self.busy.remove(&sink.key);
        if self.since.elapsed().is_ok_and(|time| time <= EARLY) {
            self.early.insert(sink.key);
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| FileError::Io(path, error)
        };
        if let Some(time) = modified {
            // A date beyond what the file system holds is no reason to lose the file.
            let _ = sink.file.set_modified(time);
        }
        if self.fsync {
            sink.file.sync_all().map_err(failed(&sink.path))?;
        }
        if let Some(part) = sink.part.take() {
            sink.path = self.name(&part, sink.path, sink.fresh.as_deref())?;
            if sink.noted {
                let _ = fs::remove_file(note_name(&part));
            }
            if self.fsync
                && let Some(parent) = sink.path.parent()
            {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed(&sink.path))?;
            }
        }
        Ok(sink.path)
    }

    /// Gives a part its final name, or where one that is taken is kept the next that is free.
    fn name(
        &self,
        part: &Path,
        mut path: PathBuf,
        fresh: Option<&Path>,
    ) -> Result<PathBuf, FileError> {
        while let Some(asked) = fresh {
            // Unlike a renamed one, a further name takes the place of nothing.
            match fs::hard_link(part, &path) {
                Ok(()) => {
                    let _ = fs::remove_file(part);
                    return Ok(path);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    path = self.free_name(asked, true).inspect_err(|_| {
                        let _ = fs::remove_file(part);
                    })?;
                }
                // A file system without such names.
                Err(_) => break,
            }
        }
        fs::rename(part, &path).map_err(|error| FileError::Io(path.clone(), error))?;
        Ok(path)
    }

    /// It did not become whole. What can be continued stays; `remove`: nothing stays.
    pub fn give_up(&mut self, mut sink: FileSink, remove: bool) {
        self.busy.remove(&sink.key);
        if let Some(length) = sink.appended {
            // What was there is the user's.
            if remove {
                let _ = sink.file.set_len(length);
            }
            return;
        }
        let Some(part) = sink.part.take() else { return };
        if remove || sink.written == 0 {
            let _ = fs::remove_file(&part);
            if sink.noted {
                let _ = fs::remove_file(note_name(&part));
            }
            return;
        }
        if !sink.noted
            && let Some(note) = &sink.note
        {
            let _ = write_note(&part, note);
        }
        self.left.0 += 1;
        if self.left.1.len() < 5 {
            self.left.1.push(part);
        }
    }
}

/// A file that we may not write is not replaced by another one of its name either.
fn may_replace(path: &Path) -> Result<(), FileError> {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    match OpenOptions::new().write(true).open(path) {
        Err(error) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => {
            Err(FileError::Io(path.to_owned(), error))
        }
        _ => Ok(()),
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    file: File,
    written: u64,
    /// Its name until it is whole; `None`: written in place (a device, or continued as curl does).
    part: Option<PathBuf>,
    key: u64,
    /// How it can be continued.
    note: Option<Note>,
    noted: bool,
    /// How long it was when it went on at its end, as curl does it.
    appended: Option<u64>,
    /// The name that was asked for, where one that is taken is kept: another process may take it
    /// while this one writes.
    fresh: Option<PathBuf>,
}

impl FileSink {
    /// The name that it is going to have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long it was when it went on at its end, if it did.
    pub const fn appended(&self) -> Option<u64> {
        self.appended
    }

    /// What to keep beside it when it stays a part.
    pub fn note(&mut self, note: Option<Note>) {
        self.note = note.filter(|note| note.etag.is_some() || note.last_modified.is_some());
    }

    /// More of it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|error| FileError::Io(self.path.clone(), error))?;
        self.written += bytes.len() as u64;
        if self.written > NOTE_AFTER
            && !self.noted
            && let (Some(part), Some(note)) = (&self.part, &self.note)
        {
            self.noted = write_note(part, note).is_ok();
        }
        Ok(())
    }

    /// Feeds what is there to `hash`, before an earlier run's part goes on.
    pub fn read_back(&self, mut hash: impl FnMut(&[u8])) -> io::Result<()> {
        let (path, length) = match (&self.part, self.appended) {
            (Some(part), _) => (part, u64::MAX),
            (None, Some(length)) => (&self.path, length),
            (None, None) => return Ok(()),
        };
        let mut file = File::open(path)?.take(length);
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(()),
                read => hash(&block[..read]),
            }
        }
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
