//! What requests carry: bytes of the command line, files, pipes, standard input.
//!
//! Owns what is being read, and who waits for standard input or a pipe. How fast it may leave is
//! [`Rates`](super::rates::Rates)' to say.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

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
    /// What the hops of redirects before this one carried, which is no part of the upload any more.
    pub before: u64,
    /// For `--limit-rate`.
    pub used: Used,
}

impl Sent {
    /// Another request follows, with the same body or without one.
    pub const fn is_redirected(&mut self, without_body: bool) {
        self.before += self.bytes;
        if without_body {
            self.bytes = 0;
        }
    }
}

/// What is open, and who waits for more of it.
#[derive(Debug, Default)]
pub struct Sending {
    /// Whose file is open: uploads come one after another, mostly.
    file: Option<(u64, File)>,
    /// Pipes, by whose they are: what has been read of one is gone, so it stays open.
    pipes: Vec<(u64, Pipe)>,
    /// Those for whom standard input or a pipe had nothing.
    waiting: Vec<Ticket>,
    stdin_is_watched: bool,
}

/// A pipe with a name.
#[derive(Debug)]
struct Pipe {
    end: File,
    is_watched: bool,
}

impl Sending {
    /// The next bytes of a body from `at` on, appended to `out`; none of them: that was all.
    /// `None`: there is nothing yet.
    pub fn read(
        &mut self,
        sent: &Sent,
        ticket: Ticket,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> io::Result<Option<usize>> {
        let from = out.len();
        let most = room.min(PIECE);
        let read = match &sent.source {
            None => return Ok(Some(0)),
            Some(Upload::Bytes(bytes)) => {
                let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..));
                let rest = rest.unwrap_or_default();
                let piece = rest.get(..room).unwrap_or(rest);
                out.extend_from_slice(piece);
                return Ok(Some(piece.len()));
            }
            Some(Upload::Stdin) => {
                if !wait::stdin_ready() {
                    self.waiting.push(ticket);
                    return Ok(None);
                }
                append(out, most, wait::read_stdin)
            }
            Some(Upload::File(path)) => match self.source(ticket.tag, path)? {
                Source::File(file) => {
                    file.seek(SeekFrom::Start(sent.from + at))?;
                    append(out, most, |room| file.read(room))
                }
                Source::Pipe(pipe) => {
                    let ready = wait::is_ready(&pipe.end);
                    let read = ready.then(|| append(out, most, |room| pipe.end.read(room)));
                    match read {
                        None => {
                            self.waiting.push(ticket);
                            return Ok(None);
                        }
                        // Somebody else took it.
                        Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                            out.truncate(from);
                            self.waiting.push(ticket);
                            return Ok(None);
                        }
                        Some(read) => read,
                    }
                }
            },
        };
        out.truncate(from + *read.as_ref().unwrap_or(&0));
        read.map(Some)
    }

    /// What is open for the job of this tag, or is opened for it now.
    fn source(&mut self, tag: u64, path: &Path) -> io::Result<Source<'_>> {
        let place = match self.pipes.iter().position(|(of, _)| *of == tag) {
            None if self.file.as_ref().is_some_and(|(of, _)| *of == tag) => None,
            None => match wait::open_pipe(path, File::options().read(true))? {
                Some(end) => {
                    self.pipes.push((tag, Pipe { end, is_watched: false }));
                    Some(self.pipes.len() - 1)
                }
                None => {
                    self.file = Some((tag, File::open(path)?));
                    None
                }
            },
            place => place,
        };
        let pipe = place.and_then(|place| self.pipes.get_mut(place));
        match (pipe, &mut self.file) {
            (Some((_, pipe)), _) => Ok(Source::Pipe(pipe)),
            (None, Some((_, file))) => Ok(Source::File(file)),
            (None, None) => Err(io::Error::other("the file to send is gone")),
        }
    }

    /// The job of this tag is over.
    pub fn release(&mut self, tag: u64) {
        if self.file.as_ref().is_some_and(|(of, _)| *of == tag) {
            self.file = None;
        }
        self.pipes.retain(|(of, _)| *of != tag);
        self.waiting.retain(|ticket| ticket.tag != tag);
    }

    /// Has what is waited for wake the fetcher's turns.
    pub fn watch(&mut self, registry: &mio::Registry) {
        for ticket in &self.waiting {
            match self.pipes.iter_mut().find(|(of, _)| *of == ticket.tag) {
                Some((_, pipe)) if pipe.is_watched => {}
                Some((_, pipe)) => {
                    pipe.is_watched = true;
                    wait::watch(registry, &pipe.end);
                }
                None if self.stdin_is_watched => {}
                None => {
                    self.stdin_is_watched = true;
                    wait::watch_stdin(registry);
                }
            }
        }
    }

    /// One who waited, and for whom there is something now.
    pub fn ready(&mut self) -> Option<Ticket> {
        let is_ready = |ticket: &Ticket| {
            let pipe = self.pipes.iter().find(|(of, _)| *of == ticket.tag);
            pipe.map_or_else(wait::stdin_ready, |(_, pipe)| wait::is_ready(&pipe.end))
        };
        let place = self.waiting.iter().position(is_ready)?;
        Some(self.waiting.swap_remove(place))
    }
}

/// What a file's name leads to.
enum Source<'s> {
    File(&'s mut File),
    Pipe(&'s mut Pipe),
}

/// Makes room behind what is there, and reads into it.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let from = out.len();
    out.resize(from + room, 0);
    read(out.get_mut(from..).unwrap_or_default())
}

/// Makes a body in memory one that leaves piece by piece, as a limit of bytes a second needs it.
pub fn in_pieces(sent: &mut Sent, request: &mut Request) {
    let Body::Bytes(bytes) = &request.profile.body else { return };
    if bytes.is_empty() {
        return;
    }
    let bytes = Arc::clone(bytes);
    let mut profile = (*request.profile).clone();
    profile.body = Body::Stream { length: Some(bytes.len() as u64), replayable: true };
    request.profile = Arc::new(profile);
    sent.source = Some(Upload::Bytes(bytes));
}
