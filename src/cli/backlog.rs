//! Lines that wait in queues of their own, few of them in memory.
//!
//! Owns the storing: of each queue the first and the last bytes are in memory, what is between them is
//! in blocks of one unlinked file that all queues share. Whose lines wait, and for what, is decided
//! elsewhere. What the file can't take stays in memory, as far as that is bounded.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::spool::unlinked;

/// What is written and read at once.
const BLOCK: usize = 4 * 1024;
/// Of the file: 256 MiB.
const MOST_BLOCKS: u32 = 64 * 1024;
/// A file that had so many is given back once nothing is in it.
const MANY_BLOCKS: u32 = 256;
/// Bytes of all queues in memory, beyond which no further line is taken: 4 MiB.
const MOST_HELD: usize = 4 << 20;

/// The file behind all queues.
#[derive(Debug, Default)]
pub struct Backlog {
    file: Option<File>,
    /// Blocks of the file that were read again.
    free: Vec<u32>,
    /// Blocks that the file has.
    blocks: u32,
    /// Bytes in memory.
    held: usize,
    trouble: Trouble,
}

/// Why the file could not be written, the first time.
#[derive(Debug, Default)]
enum Trouble {
    #[default]
    None,
    New(io::Error),
    Told,
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
    pub const fn is_open(&self) -> bool {
        self.held < MOST_HELD
    }

    /// Why lines can't be written, the first time.
    pub fn trouble(&mut self) -> Option<io::Error> {
        match std::mem::replace(&mut self.trouble, Trouble::Told) {
            Trouble::New(error) => Some(error),
            before => {
                self.trouble = before;
                None
            }
        }
    }

    /// Puts a line behind the others of its queue.
    pub fn put(&mut self, queue: &mut Queue, number: u64, line: &[u8]) {
        queue.tail.extend_from_slice(&number.to_le_bytes());
        queue.tail.extend_from_slice(&(line.len() as u64).to_le_bytes());
        queue.tail.extend_from_slice(line);
        queue.len += 1;
        self.held += 16 + line.len();
        let mut written = 0;
        for block in queue.tail.chunks_exact(BLOCK) {
            let Some(number) = self.write(block) else { break };
            queue.blocks.push_back(number);
            written += BLOCK;
        }
        self.held -= written;
        queue.tail.drain(..written);
        give_back(&mut queue.tail);
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
        self.held -= 16 + length;
        if length > BLOCK {
            queue.head.drain(..queue.at);
            queue.at = 0;
            give_back(&mut queue.head);
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
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.blocks < MOST_BLOCKS => self.blocks,
            None => return None,
        };
        if let Err(error) = self.place(number).and_then(|file| file.write_all(bytes)) {
            if number < self.blocks {
                self.free.push(number);
            }
            if matches!(self.trouble, Trouble::None) {
                self.trouble = Trouble::New(error);
            }
            return None;
        }
        self.blocks = self.blocks.max(number + 1);
        Some(number)
    }

    /// Reads a block, which is free from then on.
    fn read(&mut self, number: u32, out: &mut Vec<u8>) -> io::Result<()> {
        let from = out.len();
        out.resize(from + BLOCK, 0);
        let room = out.get_mut(from..).unwrap_or_default();
        self.place(number)?.read_exact(room)?;
        self.held += BLOCK;
        self.free.push(number);
        if self.free.len() == self.blocks as usize && self.blocks >= MANY_BLOCKS {
            (self.file, self.free, self.blocks) = (None, Vec::new(), 0);
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

/// What a long line has grown is not kept.
fn give_back(bytes: &mut Vec<u8>) {
    if bytes.capacity() > 2 * BLOCK {
        bytes.shrink_to(BLOCK);
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
            assert_eq!(
                (backlog.held, backlog.free.len()),
                (0, backlog.blocks as usize),
                "seed {seed}"
            );
            for (queue, _) in &queues {
                assert!(
                    queue.head.capacity().max(queue.tail.capacity()) <= 4 * BLOCK,
                    "seed {seed}"
                );
            }
        }
    }

    #[test]
    fn what_can_not_be_written_stays_in_memory_until_that_is_full() {
        let mut backlog = Backlog { blocks: MOST_BLOCKS, ..Backlog::default() };
        let (mut queue, mut line) = (Queue::default(), Vec::new());
        let mut put = 0;
        while backlog.is_open() {
            backlog.put(&mut queue, put, &[7; 1000]);
            put += 1;
        }
        assert_eq!(put as usize, MOST_HELD.div_ceil(1016));
        for number in 0..put {
            assert_eq!(backlog.take(&mut queue, &mut line).unwrap(), Some(number));
            assert_eq!(line, [7; 1000]);
        }
        assert_eq!(backlog.take(&mut queue, &mut line).unwrap(), None);
        assert!(backlog.is_open() && backlog.held == 0);
    }
}
