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
use super::kept::Kept;
use super::lock;
use super::part::{
    Leftover, Note, changed_since, forget_note, has_other_names, is_named, keep_mode, led_to,
    part_name, read_note, with_suffix, write_note,
};
use super::plan::Existing;

/// A file that grows beyond this has its validator kept beside it, so that even a killed run can be continued.
const NOTE_AFTER: u64 = 256 * 1024;

/// Why a file can't be written.
#[derive(Debug)]
pub enum FileError {
    /// It is there, and is to be kept.
    Exists(PathBuf),
    /// Another URL of this run has it.
    Collision(PathBuf),
    /// A URL that an earlier run has fetched has it.
    Kept(PathBuf),
    /// The part that was to go on is no more what its rest was asked for.
    Changed(PathBuf),
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
            Self::Kept(path) => {
                write!(f, "{} belongs to a URL that an earlier run has fetched", path.display())
            }
            Self::Changed(path) => {
                write!(f, "{} was written by another, once its rest was asked for", path.display())
            }
            Self::Io(path, error) => write!(f, "can't write {}: {error}", path.display()),
        }
    }
}

/// The first moment of a run, in which stamps are not trusted.
const EARLY: Duration = Duration::from_secs(1);
/// Names for parts that are tried, while other processes write to those before.
const PARTS: u32 = 8;

/// Whose turn it is to write to a file that several URLs add to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// The first URL's of this run: what is there is an earlier run's.
    First,
    Further,
}

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
    /// `--resume`: the files of what is done.
    pub kept: Option<Kept>,
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
            kept: None,
            left: (0, Vec::new()),
        }
    }

    /// Whether `--skip-existing` has nothing to do for this name.
    pub fn is_done(&self, path: &Path) -> bool {
        self.existing == Existing::Skip && fs::symlink_metadata(path).is_ok()
    }

    /// Whether a name that several URLs may come to is that of a file which an earlier run's
    /// records tell of, so that nothing needs to be asked for.
    pub fn is_kept(&mut self, path: &Path) -> bool {
        // Where what is there stays anyway, another name is found.
        let Some(kept) = self.kept.as_mut().filter(|_| self.existing != Existing::Keep) else {
            return false;
        };
        let Ok(meta) = fs::symlink_metadata(path) else { return false };
        if meta.file_type().is_symlink() {
            return kept.holds(&led_to(path.to_owned()));
        }
        // One of this run is told of when its turn comes.
        !changed_since(&meta, self.since) && kept.holds(path)
    }

    /// Notes that this run writes to a file to which several URLs add: whose turn it is.
    pub fn note(&mut self, path: &Path) -> Turn {
        let key = fingerprint(path.as_os_str().as_encoded_bytes());
        let early = self.since.elapsed().is_ok_and(|time| time <= EARLY);
        let known = if early { !self.early.insert(key) } else { self.early.contains(&key) };
        let known = known || fs::metadata(path).is_ok_and(|meta| changed_since(&meta, self.since));
        if known { Turn::Further } else { Turn::First }
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
            there = fs::metadata(&path).ok();
            // By its own name: `/dev/stdout` leads to no name of a pipe.
            if there.as_ref().is_some_and(|meta| !meta.is_file() && !meta.is_dir()) {
                let file = OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .map_err(|error| FileError::Io(path.clone(), error))?;
                let way = if is_null(&file) { Way::Nowhere } else { Way::Device };
                return Ok(FileSink { path, file, written: 0, way });
            }
            if meta.file_type().is_symlink() {
                // As everything that writes to a name does: through the link.
                path = led_to(path);
            }
            if meta.is_dir() {
                return Err(FileError::Io(path, io::Error::from(io::ErrorKind::IsADirectory)));
            }
            let key = fingerprint(path.as_os_str().as_encoded_bytes());
            if shared && (changed_since(meta, self.since) || self.early.contains(&key)) {
                return Err(FileError::Collision(path));
            }
            if shared && self.kept.as_mut().is_some_and(|kept| kept.holds(&path)) {
                return Err(FileError::Kept(path));
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
        let way = Way::Part(Part { name: part, key, note: None, noted: false, fresh: asked });
        Ok(FileSink { path, file: opened, written: 0, way })
    }

    /// Goes on with what an earlier run left of this URL.
    pub fn go_on(
        &mut self,
        path: &Path,
        url: &str,
        left: &Leftover,
    ) -> Result<FileSink, FileError> {
        let key = fingerprint(path.as_os_str().as_encoded_bytes());
        if !self.busy.insert(key) {
            return Err(FileError::Collision(path.to_owned()));
        }
        let part = part_name(path);
        let offset = left.offset;
        let file = self.open(&part, |options| options.write(true)).and_then(|mut file| {
            if !lock::claim(&file) {
                let error = io::Error::other("another process is writing it");
                return Err(FileError::Io(part.clone(), error));
            }
            // Between the question and its answer another URL of this name, or another process, may
            // have begun the part anew with another version and have left it again.
            let failed = |error| FileError::Io(part.clone(), error);
            let length = file.metadata().map_err(failed)?.len();
            if length < offset || read_note(&part, url).as_ref() != Some(&left.validator) {
                return Err(FileError::Changed(part.clone()));
            }
            let moved = file.set_len(offset).and_then(|()| file.seek(SeekFrom::Start(offset)));
            moved.map(|_| file).map_err(failed)
        });
        let file = file.inspect_err(|_| {
            self.busy.remove(&key);
        })?;
        let way = Way::Part(Part { name: part, key, note: None, noted: true, fresh: None });
        Ok(FileSink { path: path.to_owned(), file, written: offset, way })
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
        let way = Way::Appended { before: length };
        Ok(FileSink { path: path.to_owned(), file, written: length, way })
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
                // Before the first of its bytes goes: whatever kills us in between, no validator may
                // stand beside bytes of another version, which the next run would go on with.
                let forgot = forget_note(&part).map_err(failed)?;
                if forgot && self.fsync {
                    sync_folder(&part).map_err(failed)?;
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
        let validator = read_note(&part, url)?;
        (length > 0).then_some(Leftover { offset: length, validator })
    }

    /// The file is whole: it gets its name.
    pub fn finish(
        &mut self,
        sink: FileSink,
        modified: Option<SystemTime>,
    ) -> Result<PathBuf, FileError> {
        let FileSink { path, file, way, .. } = sink;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| FileError::Io(path, error)
        };
        if let Way::Part(part) = &way {
            self.busy.remove(&part.key);
            if self.since.elapsed().is_ok_and(|time| time <= EARLY) {
                self.early.insert(part.key);
            }
        }
        if let Some(time) = modified {
            // A date beyond what the file system holds is no reason to lose the file.
            let _ = file.set_modified(time);
        }
        if self.fsync {
            match file.sync_all() {
                // Pipes and terminals have no disk.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && way.is_device() => {}
                other => other.map_err(failed(&path))?,
            }
        }
        let Way::Part(part) = way else { return Ok(path) };
        let path = self.name(&part.name, path, part.fresh.as_deref())?;
        if part.noted {
            let _ = forget_note(&part.name);
        }
        if self.fsync {
            sync_folder(&path).map_err(failed(&path))?;
        }
        Ok(path)
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
    pub fn give_up(&mut self, sink: FileSink, remove: bool) {
        let part = match sink.way {
            Way::Nowhere | Way::Device => return,
            Way::Appended { before } => {
                // What was there is the user's.
                if remove {
                    let _ = sink.file.set_len(before);
                }
                return;
            }
            Way::Part(part) => part,
        };
        self.busy.remove(&part.key);
        if remove || sink.written == 0 {
            if part.noted {
                let _ = forget_note(&part.name);
            }
            let _ = fs::remove_file(&part.name);
            return;
        }
        if !part.noted
            && let Some(note) = &part.note
        {
            let _ = write_note(&part.name, note);
        }
        self.left.0 += 1;
        if self.left.1.len() < 5 {
            self.left.1.push(part.name);
        }
    }
}

/// The names in the folder of this one, and those that are gone from it, reach the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    File::open(parent)?.sync_all()
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
    way: Way,
}

/// How a file comes to its bytes.
#[derive(Debug)]
enum Way {
    /// The null device, which would take them one system call at a time: they end here.
    Nowhere,
    /// Another device: it is written in place.
    Device,
    /// At its end, as curl does it.
    Appended {
        /// How long it was before that.
        before: u64,
    },
    /// Under another name, until it is whole.
    Part(Part),
}

impl Way {
    const fn is_device(&self) -> bool {
        matches!(self, Self::Nowhere | Self::Device)
    }
}

/// What there is to know about a part.
#[derive(Debug)]
struct Part {
    name: PathBuf,
    /// What its final name is in [`Files::busy`].
    key: u64,
    /// How it can be continued,
    note: Option<Note>,
    /// and whether that stands beside it.
    noted: bool,
    /// The name that was asked for, where one that is taken is kept: another process may take it
    /// while this one writes.
    fresh: Option<PathBuf>,
}

/// Whether nothing is kept of what is written there.
#[cfg(unix)]
fn is_null(file: &File) -> bool {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    // Block devices count by themselves.
    let device = |meta: fs::Metadata| meta.file_type().is_char_device().then(|| meta.rdev());
    let ours = file.metadata().ok().and_then(device);
    ours.is_some() && ours == fs::metadata("/dev/null").ok().and_then(device)
}

#[cfg(not(unix))]
const fn is_null(_: &File) -> bool {
    false
}

impl FileSink {
    /// The name that it is going to have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long it was when it went on at its end, if it did.
    pub const fn appended(&self) -> Option<u64> {
        match self.way {
            Way::Appended { before } => Some(before),
            Way::Nowhere | Way::Device | Way::Part(_) => None,
        }
    }

    /// What to keep beside it when it stays a part.
    pub fn note(&mut self, note: Option<Note>) {
        if let Way::Part(part) = &mut self.way {
            part.note = note.filter(|note| note.etag.is_some() || note.last_modified.is_some());
        }
    }

    /// More of it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        if !matches!(self.way, Way::Nowhere) {
            self.file.write_all(bytes).map_err(|error| FileError::Io(self.path.clone(), error))?;
        }
        self.written += bytes.len() as u64;
        if self.written > NOTE_AFTER
            && let Way::Part(Part { name, note: Some(note), noted, .. }) = &mut self.way
            && !*noted
        {
            *noted = write_note(name, note).is_ok();
        }
        Ok(())
    }

    /// Feeds what is there to `hash`, before an earlier run's part goes on.
    pub fn read_back(&self, mut hash: impl FnMut(&[u8])) -> io::Result<()> {
        let (path, length) = match &self.way {
            Way::Nowhere | Way::Device => return Ok(()),
            Way::Appended { before } => (&self.path, *before),
            Way::Part(part) => (&part.name, u64::MAX),
        };
        let mut file = File::open(path)?.take(length);
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(()),
                read => hash(block.get(..read).unwrap_or(&block)),
            }
        }
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
