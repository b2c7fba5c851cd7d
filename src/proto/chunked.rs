//! The chunked transfer coding, taken off byte by byte.
//!
//! Owns: sizes, extensions and line ends of chunks, up to and with the line of the last chunk.
//! Never: trailers (the module `trailers`), and leniency: every byte of the framing is matched, none is
//! skipped by count, no number parser of a library is trusted with signs.
//! RFC 9112 section 7.1.

use super::error::Error;
use super::syntax::{is_blank, is_value_byte};

/// The most hexadecimal digits of a size: as many as fit in 64 bits, zeros in front included.
const MOST_DIGITS: u8 = 16;

/// So many bytes of data pay for one byte of extensions: servers that pad their sizes to a fixed width, or
/// sign each chunk, may do so for as long as a body is.
const PAYS_FOR_ONE: u64 = 16;

/// Where the decoder is. What each state needs is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    SizeStart,
    /// After at least one digit.
    Size { value: u64, digits: u8 },
    /// After the size, in blanks: an extension or the end of the line follows.
    AfterSize { value: u64 },
    /// In an extension.
    Extension { value: u64 },
    /// In a quoted string of an extension.
    Quoted { value: u64 },
    /// After a backslash in a quoted string.
    QuotedPair { value: u64 },
    /// After the carriage return of the size's line.
    SizeLf { value: u64 },
    /// In the data.
    Data { left: u64 },
    /// After the data.
    DataCr,
    /// After the carriage return behind the data.
    DataLf,
}

/// What the decoder found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// All of the input was used and more is needed.
    Incomplete,
    /// Data.
    Data(&'a [u8]),
    /// The line of the last chunk is complete: trailers or an empty line follow.
    Last,
}

/// Decoder of one chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    extension_bytes: u32,
}

impl Default for Chunks {
    fn default() -> Self {
        Self::new()
    }
}

impl Chunks {
    /// Before the first chunk.
    pub const fn new() -> Self {
        Self { state: State::SizeStart, extension_bytes: 0 }
    }

    /// Takes a prefix of `input`; returns its length and what it led to. At most
    /// `most_extension_bytes` may stand between sizes and line ends, in the whole body, besides one for
    /// every 16 bytes of a chunk's data.
    /// Not to be called again after [`Step::Last`] or an error.
    pub fn next<'a>(
        &mut self,
        most_extension_bytes: u32,
        input: &'a [u8],
    ) -> Result<(usize, Step<'a>), Error> {
        let mut at = 0;
        loop {
            if let State::Data { left } = self.state {
                let rest = input.get(at..).unwrap_or_default();
                if rest.is_empty() {
                    return Ok((at, Step::Incomplete));
                }
                let take = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                let left = left - take as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                return Ok((at + take, Step::Data(rest.get(..take).unwrap_or_default())));
            }
            let Some(byte) = input.get(at) else { return Ok((at, Step::Incomplete)) };
            at += 1;
            if self.framing_byte(*byte, most_extension_bytes)? {
                return Ok((at, Step::Last));
            }
        }
    }

    /// One byte of framing; true after the line of the last chunk.
    fn framing_byte(&mut self, byte: u8, most_extension_bytes: u32) -> Result<bool, Error> {
        self.state = match (self.state, byte) {
            (State::SizeStart, _) => match hex(byte) {
                Some(digit) => State::Size { value: digit, digits: 1 },
                None => return Err(Error::BadChunkSize),
            },
            (
                State::Size { value, .. } | State::AfterSize { value } | State::Extension { value },
                b'\r',
            ) => State::SizeLf { value },
            (State::Size { value, digits }, _) => match hex(byte) {
                Some(_) if digits == MOST_DIGITS => return Err(Error::ChunkSizeOverflow),
                Some(digit) => State::Size { value: value << 4 | digit, digits: digits + 1 },
                None => self.after_size(value, byte, Error::BadChunkSize, most_extension_bytes)?,
            },
            (State::AfterSize { value }, _) => {
                self.after_size(value, byte, Error::BadChunkExtension, most_extension_bytes)?
            }
            (State::Extension { value }, _) => {
                self.extension_byte(byte, most_extension_bytes)?;
                if byte == b'"' { State::Quoted { value } } else { State::Extension { value } }
            }
            (State::Quoted { value }, _) => {
                self.extension_byte(byte, most_extension_bytes)?;
                match byte {
                    b'"' => State::Extension { value },
                    b'\\' => State::QuotedPair { value },
                    _ => State::Quoted { value },
                }
            }
            (State::QuotedPair { value }, _) => {
                self.extension_byte(byte, most_extension_bytes)?;
                State::Quoted { value }
            }
            (State::SizeLf { value: 0 }, b'\n') => return Ok(true),
            (State::SizeLf { value }, b'\n') => {
                if self.extension_bytes > 0 {
                    self.pay(value);
                }
                State::Data { left: value }
            }
            (State::SizeLf { .. }, _) => return Err(Error::BadChunkSizeEnd),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::SizeStart,
            (State::DataCr | State::DataLf, _) => return Err(Error::BadChunkDataEnd),
            // `next` takes data before it comes here.
            (State::Data { left }, _) => State::Data { left },
        };
        Ok(false)
    }

    /// Blanks and a semicolon may follow a size. The RFC allows blanks only before a semicolon; servers
    /// that pad their sizes to a fixed width have been seen.
    fn after_size(
        &mut self,
        value: u64,
        byte: u8,
        otherwise: Error,
        most: u32,
    ) -> Result<State, Error> {
        let next = match byte {
            b';' => State::Extension { value },
            b'\n' => return Err(Error::BadChunkSizeEnd),
            _ if is_blank(byte) => State::AfterSize { value },
            _ => return Err(otherwise),
        };
        self.extension_byte(byte, most)?;
        Ok(next)
    }

    #[cold]
    fn pay(&mut self, data: u64) {
        let paid = u32::try_from(data / PAYS_FOR_ONE).unwrap_or(u32::MAX);
        self.extension_bytes = self.extension_bytes.saturating_sub(paid);
    }

    fn extension_byte(&mut self, byte: u8, most: u32) -> Result<(), Error> {
        if byte == b'\n' {
            return Err(Error::BadChunkSizeEnd);
        }
        if !is_value_byte(byte) {
            return Err(Error::BadChunkExtension);
        }
        if self.extension_bytes >= most {
            return Err(Error::ChunkExtensionsTooLarge);
        }
        self.extension_bytes += 1;
        Ok(())
    }
}

fn hex(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'a'..=b'f' => Some(u64::from(byte - b'a') + 10),
        b'A'..=b'F' => Some(u64::from(byte - b'A') + 10),
        _ => None,
    }
}
