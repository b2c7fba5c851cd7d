//! Lists, read as streams: line by line, in bounded blocks.
//!
//! Owns the reading (a line is held, never a list) and the bound on a line. Never blocks on a pipe or
//! a terminal: when nothing is there it says so, and the batch goes on. What a line means is
//! `entry`'s.
#![expect(
    clippy::indexing_slicing,
    reason = "`start`, `searched` and `end` come in this order, and `end` within the buffer"
)]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::memchr;

use super::wait;

/// How much is read at once, and at first: a short list needs no more.
const BLOCK: usize = 64 * 1024;
const FIRST_BLOCK: usize = 4 * 1024;

/// A list that is being read.
#[derive(Debug)]
pub struct Lines {
    source: Source,
    buffer: Vec<u8>,
    /// What of the buffer is not yet used.
    start: usize,
    end: usize,
    /// How far the search for a line's end has come.
    searched: usize,
    ended: bool,
    /// Within a line that is too long.
    skipping: bool,
    first: bool,
    number: u64,
    max_line: usize,
    /// It wakes the fetcher's turns.
    watched: bool,
}

#[derive(Debug)]
enum Source {
    File(File),
    /// A pipe with a name, which whoever writes to it fills slowly.
    Pipe(File),
    Stdin,
    #[cfg(any(test, fuzzing))]
    Bytes(io::Cursor<Vec<u8>>, usize),
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line without its end, and its number.
    Line(&'a [u8], u64),
    /// A line beyond the bound; it is skipped.
    TooLong(u64),
    /// Nothing yet: standard input or a pipe is slow.
    Wait,
    /// That was all.
    End,
}

impl Lines {
    /// Opens a list.
    pub fn open(path: &Path, max_line: usize) -> io::Result<Self> {
        Ok(match wait::open_pipe(path, File::options().read(true))? {
            Some(pipe) => Self::new(Source::Pipe(pipe), max_line),
            None => Self::new(Source::File(File::open(path)?), max_line),
        })
    }

    /// Reads standard input.
    pub fn stdin(max_line: usize) -> Self {
        Self::new(Source::Stdin, max_line)
    }

    /// Reads bytes in memory, so many at once.
    #[cfg(any(test, fuzzing))]
    pub fn bytes(bytes: Vec<u8>, block: usize, max_line: usize) -> Self {
        Self::new(Source::Bytes(io::Cursor::new(bytes), block), max_line)
    }

    fn new(source: Source, max_line: usize) -> Self {
        Self {
            source,
            buffer: vec![0; FIRST_BLOCK],
            start: 0,
            end: 0,
            searched: 0,
            ended: false,
            skipping: false,
            first: true,
            number: 0,
            max_line,
            watched: false,
        }
    }

    /// Has what is waited for wake the fetcher's turns.
    pub fn watch(&mut self, registry: &mio::Registry) {
        if !std::mem::replace(&mut self.watched, true) {
            match &self.source {
                Source::Stdin => wait::watch_stdin(registry),
                Source::Pipe(pipe) => wait::watch(registry, pipe),
                Source::File(_) => {}
                #[cfg(any(test, fuzzing))]
                Source::Bytes(..) => {}
            }
        }
    }

    /// The next line, if there is one without waiting.
    pub fn next(&mut self) -> io::Result<Next<'_>> {
        loop {
            if self.first && (self.end - self.start >= 3 || self.ended) {
                self.first = false;
                if self.buffer[self.start..self.end].starts_with(b"\xef\xbb\xbf") {
                    self.start += 3;
                    self.searched = self.start;
                }
            }
            if !self.first {
                if let Some(at) = memchr(b'\n', &self.buffer[self.searched..self.end]) {
                    let (from, to) = (self.start, self.searched + at);
                    self.start = to + 1;
                    self.searched = self.start;
                    self.number += 1;
                    if std::mem::take(&mut self.skipping) || to - from > self.max_line {
                        return Ok(Next::TooLong(self.number));
                    }
                    let line = &self.buffer[from..to];
                    return Ok(Next::Line(without_return(line), self.number));
                }
                self.searched = self.end;
                if self.skipping || self.end - self.start > self.max_line {
                    self.skipping = true;
                    self.start = self.end;
                }
                if self.ended {
                    let (from, to) = (self.start, self.end);
                    let skipped = std::mem::take(&mut self.skipping);
                    self.start = self.end;
                    if !skipped && from == to {
                        return Ok(Next::End);
                    }
                    self.number += 1;
                    if skipped {
                        return Ok(Next::TooLong(self.number));
                    }
                    let line = &self.buffer[from..to];
                    return Ok(Next::Line(without_return(line), self.number));
                }
            }
            if !self.fill()? {
                return Ok(Next::Wait);
            }
        }
    }

    /// Reads another block; false: nothing is there yet.
    fn fill(&mut self) -> io::Result<bool> {
        let filled = self.end == self.buffer.len();
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() || (filled && self.buffer.len() < BLOCK) {
            // Beyond a block only for a line that is longer; the bound above limits it.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = &mut self.buffer[self.end..];
        let read = match &mut self.source {
            Source::File(file) => retry(|| file.read(room))?,
            Source::Pipe(pipe) => {
                if !wait::is_ready(pipe) {
                    return Ok(false);
                }
                match retry(|| pipe.read(room)) {
                    // Somebody else took it.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    other => other?,
                }
            }
            Source::Stdin => {
                if !wait::stdin_ready() {
                    return Ok(false);
                }
                wait::read_stdin(room)?
            }
            #[cfg(any(test, fuzzing))]
            Source::Bytes(bytes, block) => {
                let most = room.len().min(*block);
                bytes.read(&mut room[..most])?
            }
        };
        self.end += read;
        self.ended = read == 0;
        Ok(true)
    }
}

fn retry(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A line may end as Windows ends them.
#[inline]
fn without_return(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r'] => line,
        line => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], block: usize, max: usize) -> Vec<String> {
        let mut lines = Lines::bytes(text.to_vec(), block, max);
        let mut all = Vec::new();
        loop {
            match lines.next().unwrap() {
                Next::Line(line, number) => {
                    all.push(format!("{number}:{}", String::from_utf8_lossy(line)));
                }
                Next::TooLong(number) => all.push(format!("{number}!")),
                Next::Wait => unreachable!(),
                Next::End => return all,
            }
        }
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let table: &[(&[u8], &[&str])] = &[
            (b"", &[]),
            (b"a", &["1:a"]),
            (b"a\n", &["1:a"]),
            (b"a\r\nb\r\n", &["1:a", "2:b"]),
            (b"\xef\xbb\xbfa\nb", &["1:a", "2:b"]),
            (b"\n\na\n", &["1:", "2:", "3:a"]),
            (b"a\n0123456789abcdef\nb\n", &["1:a", "2!", "3:b"]),
            (b"a\n0123456789abcdef", &["1:a", "2!"]),
            (b"0123456789\n01234567890\n", &["1:0123456789", "2!"]),
        ];
        for (text, want) in table {
            for block in 1..30 {
                assert_eq!(lines(text, block, 10), *want, "{} by {block}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn a_long_line_is_never_held() {
        let mut text = vec![b'x'; 10 << 20];
        text.extend_from_slice(b"\nhttp://a/\n");
        let mut lines = Lines::bytes(text, usize::MAX, 1 << 20);
        assert_eq!(lines.next().unwrap(), Next::TooLong(1));
        assert_eq!(lines.next().unwrap(), Next::Line(b"http://a/", 2));
        assert!(lines.buffer.len() <= 4 << 20);
    }
}
