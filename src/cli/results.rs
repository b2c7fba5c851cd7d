//! Where records go.
//!
//! Owns the results file: refused when it would be overwritten, written in blocks, flushed once a
//! second, each line whole. What an earlier run wrote there is [`earlier`](super::earlier)'s.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::earlier::Instead;
use super::plan::Records;

/// Records are held at most this long.
const HOLD: Duration = Duration::from_secs(1);
/// And at most so many bytes of them.
const BLOCK: usize = 64 * 1024;
/// How often is asked whether anybody still reads.
const LOOK: Duration = Duration::from_millis(250);

/// What records look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// JSON Lines.
    Json,
    /// Columns, for people at a terminal.
    Columns,
}

/// Where records go.
pub struct Results {
    out: Box<dyn Write>,
    /// The same file, where what is written is to reach the disk.
    synced: Option<File>,
    /// The name for messages.
    pub name: String,
    pub form: Form,
    /// Lines that are not written yet.
    pub buffer: Vec<u8>,
    since: Option<Instant>,
    each: bool,
    /// When to ask next whether anybody reads standard output; `None`: it is not written to.
    look: Option<Instant>,
    course: Course,
    /// The file whose place another one took: nobody who has it open may believe it free.
    old: Option<Box<dyn Write>>,
}

/// What a run that goes on has done to the results of the earlier one.
enum Course {
    /// Nothing yet; what takes their place as soon as there is something to write, if they change.
    Untouched(Option<Instead>),
    /// They are written to.
    Going,
    /// They are another list's, and stay as they are.
    Forsaken,
}

impl Results {
    /// Opens what `--results` names; without it a batch writes to standard output.
    ///
    /// `fsync`: records reach the disk whenever they are written.
    pub fn open(records: &Records, to_stdout: bool, fsync: bool) -> Result<Option<Self>, String> {
        let path = match &records.results {
            None if to_stdout => Path::new("-"),
            None => return Ok(None),
            Some(path) => path,
        };
        let mut synced = None;
        let look = (path == Path::new("-")).then(Instant::now);
        let (out, name): (Box<dyn Write>, String) = if path == Path::new("-") {
            (Box::new(super::stdio::Stdout), "standard output".to_owned())
        } else {
            let name = path.display().to_string();
            let anew = records.overwrite && records.resume.is_none();
            let there = std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0);
            if there && !anew && records.resume.is_none() {
                return Err(format!(
                    "{name} is there and not empty: --resume goes on with it, --results-overwrite begins it anew"
                ));
            }
            let failed = |error: io::Error| format!("can't write {name}: {error}");
            let mut options = OpenOptions::new();
            // It is emptied only once it is known that nobody else writes to it.
            options.create(true).write(true).truncate(false).append(!anew);
            let file = options.open(path).map_err(failed)?;
            refuse_if_written(&file, path)?;
            if there && anew {
                file.set_len(0).map_err(failed)?;
            }
            // A pipe or a terminal has no disk to reach.
            if fsync && file.metadata().is_ok_and(|meta| meta.is_file()) {
                synced = Some(file.try_clone().map_err(failed)?);
            }
            (Box::new(file), name)
        };
        let form = if records.results.is_none() && super::stdio::stdout_is_terminal() {
            Form::Columns
        } else {
            Form::Json
        };
        Ok(Some(Self {
            out,
            synced,
            name,
            form,
            buffer: Vec::with_capacity(BLOCK + 4096),
            since: None,
            each: records.unbuffered,
            look,
            course: Course::Going,
            old: None,
        }))
    }

    /// It goes on with what an earlier run has written.
    pub fn go_on(&mut self, instead: Option<Instead>) {
        self.course = Course::Untouched(instead);
    }

    /// The list turns out to be another one: what was not touched yet stays as it is. False: it
    /// has been written to.
    pub fn forsake(&mut self) -> bool {
        if let Course::Untouched(_) = self.course {
            self.course = Course::Forsaken;
            self.buffer.clear();
        }
        matches!(self.course, Course::Forsaken)
    }

    /// The list was the right one to its end: what was to be mended is, also with nothing to write.
    pub fn touch(&mut self) -> io::Result<()> {
        let Course::Untouched(instead) = std::mem::replace(&mut self.course, Course::Going) else {
            return Ok(());
        };
        let Some(instead) = instead else { return Ok(()) };
        let file = instead.take_place()?;
        if self.synced.is_some() {
            self.synced = Some(file.try_clone()?);
        }
        self.old = Some(std::mem::replace(&mut self.out, Box::new(file)));
        Ok(())
    }

    /// To be called after each record.
    #[inline]
    pub fn written(&mut self) -> io::Result<()> {
        if self.each || self.buffer.len() >= BLOCK {
            return self.flush();
        }
        self.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// When held records are due.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + HOLD)
    }

    /// Writes what is due. A reader that has gone is noticed also while there is nothing to write:
    /// what is under way would be fetched for nobody.
    pub fn tick(&mut self, now: Instant) -> io::Result<()> {
        if self.look.is_some_and(|look| look <= now) {
            self.look = Some(now + LOOK);
            if super::stdio::stdout_is_gone() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        if self.due().is_some_and(|due| due <= now) { self.flush() } else { Ok(()) }
    }

    /// Writes all that is held.
    pub fn flush(&mut self) -> io::Result<()> {
        self.since = None;
        if matches!(self.course, Course::Forsaken) {
            self.buffer.clear();
        }
        if !self.buffer.is_empty() {
            self.touch()?;
        }
        let result = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        let written = !self.buffer.is_empty();
        self.buffer.clear();
        match &self.synced {
            Some(file) if written => result.and_then(|()| file.sync_data()),
            _ => result,
        }
    }
}

/// Two runs that write to one file would both do what only one should: the first one locks it, as
/// long as it runs.
pub(super) fn refuse_if_written(file: &File, path: &Path) -> Result<(), String> {
    let regular = file.metadata().is_ok_and(|meta| meta.is_file());
    if regular && !super::lock::claim(file) {
        return Err(format!(
            "{} is being written by another run of gannet: wait for it, or give --results another name",
            path.display()
        ));
    }
    Ok(())
}

/// However a run ends: what was recorded is written.
impl Drop for Results {
    fn drop(&mut self) {
        if !self.buffer.is_empty() {
            let _ = self.flush();
        }
    }
}
