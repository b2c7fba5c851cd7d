//! What requests carry: bytes of the command line, files, standard input.
//!
//! Owns the file that is being read and who waits for standard input. How fast it may leave is
//! [`Rates`](super::rates::Rates)' to say.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::job::Job;
use super::rates::Used;
use crate::cli::plan::Upload;
use crate::cli::wait;
use crate::fetch::{Body, Request, Ticket};

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// What a request carries, and how much of it has left.
#[derive(Debug, Default)]
pub struct Sent {
    /// Where it comes from, if not ready-made with the request.
    pub source: Option<Upload>,
    /// Where in the file it begins.
    pub from: u64,
    pub bytes: u64,
    /// For `--limit-rate`.
    pub used: Used,
}

/// What is open.
#[derive(Debug, Default)]
pub struct Sending {
    /// Whose file is open: uploads come one after another, mostly.
    file: Option<(u64, File)>,
    /// Waits for standard input.
    waits: Option<Ticket>,
}

impl Sending {
    /// The next bytes of a body from `at` on, appended to `out`; none of them: that was all.
    /// `None`: standard input has nothing yet.
    pub fn read(
        &mut self,
        sent: &Sent,
        ticket: Ticket,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> io::Result<Option<usize>> {
        let from = out.len();
        let read = match &sent.source {
            None => return Ok(Some(0)),
            Some(Upload::Bytes(bytes)) => {
                let rest = bytes.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or(&[]);
                let piece = &rest[..rest.len().min(room)];
                out.extend_from_slice(piece);
                return Ok(Some(piece.len()));
            }
            Some(Upload::Stdin) => {
                if !wait::stdin_ready() {
                    self.waits = Some(ticket);
                    return Ok(None);
                }
                out.resize(from + room.min(PIECE), 0);
                wait::read_stdin(&mut out[from..])
            }
            Some(Upload::File(path)) => {
                out.resize(from + room.min(PIECE), 0);
                self.file(ticket, path).and_then(|file| {
                    file.seek(SeekFrom::Start(sent.from + at))?;
                    file.read(&mut out[from..])
                })
            }
        };
        out.truncate(from + *read.as_ref().unwrap_or(&0));
        read.map(Some)
    }

    fn file(&mut self, ticket: Ticket, path: &Path) -> io::Result<&mut File> {
        if self.file.as_ref().is_none_or(|(of, _)| *of != ticket.tag) {
            self.file = Some((ticket.tag, File::open(path)?));
        }
        match &mut self.file {
            Some((_, file)) => Ok(file),
            None => Err(io::Error::other("the file to send is gone")),
        }
    }

    /// The job of this tag is over.
    pub fn release(&mut self, tag: u64) {
        if self.file.as_ref().is_some_and(|(of, _)| *of == tag) {
            self.file = None;
        }
    }

    /// Somebody waits for standard input.
    pub const fn waits(&self) -> bool {
        self.waits.is_some()
    }

    /// Who waited for standard input, when there is some.
    pub fn ready(&mut self) -> Option<Ticket> {
        if self.waits.is_some() && wait::stdin_ready() { self.waits.take() } else { None }
    }
}

/// Makes a body in memory one that leaves piece by piece, as a limit of bytes a second needs it.
pub fn in_pieces(job: &mut Job, request: &mut Request) {
    let Body::Bytes(bytes) = &request.profile.body else { return };
    if bytes.is_empty() {
        return;
    }
    let bytes = Arc::clone(bytes);
    let mut profile = (*request.profile).clone();
    profile.body = Body::Stream { length: Some(bytes.len() as u64), replayable: true };
    request.profile = Arc::new(profile);
    job.sent.source = Some(Upload::Bytes(bytes));
}
