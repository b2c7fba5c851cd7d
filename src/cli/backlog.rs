//! Lines that wait in queues of their own, few of them in memory.
//!
//! Owns the storing: of each queue the first and the last bytes are in memory, what is between them is
//! in blocks of one unlinked file that all queues share. Whose lines wait, and for what, is decided
//! elsewhere. When the file can't be written, what was put in is still here, and no more is taken.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::spool::unlinked;

/// What is written and read at once. Each queue holds two of them at most, and a line.
const BLOCK: usize = 4 * 1024;
/// Of the file: 256 MiB.
const MOST_BLOCKS: u32 = 64 * 1024;

/// The file behind all queues.
#[derive(Debug, Default)]
pub struct Backlog {
    file: Option<File>,
    /// Blocks of the file that were read again.
    free: Vec<u32>,
    /// Blocks that the file has.
    blocks: u32,
    /// It could not be written.
    broken: bool,
}

/// Lines with a number each; the first to come is the first to go.
#[derive(Debug, Default)]
pub struct Queue {
    head: Vec<u8>,
    /// Where the next line begins in it.
    at: usize,
    blocks: VecDeque<u32>,
    tail: Vec<u8>,
    len: u64,
}

impl Queue {
    pub const fn len(&self) -> u64 {
        self.len
    }
}

impl Backlog {
    /// Whether another line may be put in.
    pub fn is_open(&self) -> bool {
        !self.broken && (self.blocks < MOST_BLOCKS || !self.free.is_empty())
    }

    /// Puts a line behind the others of its queue.
    pub fn put(&mut self, queue: &mut Queue, number: u64, line: &[u8]) {
        queue.tail.extend_from_slice(&number.to_le_bytes());
        queue.tail.extend_from_slice(&(line.len() as u64).to_le_bytes());
        queue.tail.extend_from_slice(line);
        queue.len += 1;
        let mut whole = queue.tail.chunks_exact(BLOCK);
        let mut written = 0;
        for block in &mut whole {
            let Some(number) = self.write(block) else { break };
            queue.blocks.push_back(number);
            written += BLOCK;
        }
        queue.tail.drain(..written);
    }

    /// Takes the first line of a queue; its number.
    pub fn take(&mut self, queue: &mut Queue, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
        line.clear();
        if queue.len == 0 {
            return Ok(None);
        }
        let number = u64::from_le_bytes(self.word(queue)?);
        let length = u64::from_le_bytes(self.word(queue)?) as usize;
        line.extend_from_slice(self.bytes(queue, length)?);
        queue.len -= 1;
        if queue.len == 0 {
            // A long line has grown them.
            *queue = Queue::default();
        }
        Ok(Some(number))
    }

    fn word(&mut self, queue: &mut Queue) -> io::Result<[u8; 8]> {
        self.bytes(queue, 8)?.try_into().map_err(|_| io::ErrorKind::UnexpectedEof.into())
    }

    /// The next bytes of a queue.
    fn bytes<'a>(&mut self, queue: &'a mut Queue, length: usize) -> io::Result<&'a [u8]> {
        while queue.head.len() - queue.at < length {
            queue.head.drain(..queue.at);
            queue.at = 0;
            match queue.blocks.pop_front() {
                Some(block) => self.read(block, &mut queue.head)?,
                None if queue.tail.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => queue.head.append(&mut queue.tail),
            }
        }
        let from = queue.at;
        queue.at += length;
        queue.head.get(from..queue.at).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Writes a block; its number, if it could be written.
    fn write(&mut self, bytes: &[u8]) -> Option<u32> {
        if !self.is_open() {
            return None;
        }
        let number = self.free.pop().unwrap_or(self.blocks);
        let written = self.place(number).and_then(|file| file.write_all(bytes));
        self.broken = written.is_err();
        self.blocks = self.blocks.max(number + 1);
        written.ok().map(|()| number)
    }

    /// Reads a block, which is free from then on.
    fn read(&mut self, number: u32, out: &mut Vec<u8>) -> io::Result<()> {
        let from = out.len();
        out.resize(from + BLOCK, 0);
        let room = out.get_mut(from..).unwrap_or_default();
        self.place(number)?.read_exact(room)?;
        self.free.push(number);
        if self.free.len() == self.blocks as usize {
            // Nothing is in it any more: the room is given back.
            *self = Self { broken: self.broken, ..Self::default() };
        }
        Ok(())
    }

    /// The file, at the beginning of a block.
    fn place(&mut self, number: u32) -> io::Result<&mut File> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(unlinked()?),
        };
        file.seek(SeekFrom::Start(u64::from(number) * BLOCK as u64))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_as_they_went_in() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut backlog = Backlog::default();
            let mut queues: Vec<(Queue, VecDeque<(u64, Vec<u8>)>)> =
                (0..3).map(|_| Default::default()).collect();
            let (mut number, mut line) = (0, Vec::new());
            let put_more = [0.7, 0.3][(seed % 2) as usize];
            for step in 0..4000 {
                let (queue, want) = &mut queues[random.usize(..3)];
                // What was put in comes out again in the end.
                if step < 3000 && random.f64() < put_more {
                    number += 1;
                    let most = [10, 100, 3 * BLOCK][random.usize(..3)];
                    let length = random.usize(..most);
                    let text = (0..length).map(|_| random.u8(..)).collect::<Vec<_>>();
                    backlog.put(queue, number, &text);
                    want.push_back((number, text));
                } else {
                    let got = backlog.take(queue, &mut line).unwrap();
                    let got = got.map(|number| (number, line.clone()));
                    assert_eq!(got, want.pop_front(), "seed {seed}");
                }
                assert_eq!(queue.len(), want.len() as u64);
            }
            for (queue, want) in &mut queues {
                while let Some(number) = backlog.take(queue, &mut line).unwrap() {
                    assert_eq!((number, line.clone()), want.pop_front().unwrap(), "seed {seed}");
                }
                assert!(want.is_empty());
            }
            assert!(backlog.file.is_none() && backlog.is_open(), "seed {seed}");
        }
    }

    #[test]
    fn what_can_not_be_written_is_still_there() {
        let mut backlog = Backlog { blocks: MOST_BLOCKS, ..Backlog::default() };
        let (mut queue, mut line) = (Queue::default(), Vec::new());
        assert!(!backlog.is_open());
        for number in 0..100 {
            backlog.put(&mut queue, number, &[7; 1000]);
        }
        for number in 0..100 {
            assert_eq!(backlog.take(&mut queue, &mut line).unwrap(), Some(number));
            assert_eq!(line, [7; 1000]);
        }
        assert_eq!(backlog.take(&mut queue, &mut line).unwrap(), None);
    }
}
