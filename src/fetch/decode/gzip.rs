//! The gzip format (RFC 1952): members one after another, each with its header and its check.
//!
//! The header is read byte by byte and nothing of it is kept; name, comment and extra field may be
//! of any length.

use flate2::{Crc, Decompress};

use super::deflate::inflate;
use super::{Fault, Step};

const HCRC: u8 = 0x02;
const EXTRA: u8 = 0x04;
const NAME: u8 = 0x08;
const COMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;

pub(super) struct Gzip {
    state: State,
    inflate: Decompress,
    /// Over what the member holds.
    content: Crc,
    /// Over the member's header.
    header: Crc,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a member, the first or another one.
    Between,
    /// Within the ten fixed bytes.
    Fixed { at: u8, flags: u8 },
    /// Within the two bytes that tell the extra field's length.
    ExtraLength { low: Option<u8>, flags: u8 },
    /// Within the extra field.
    Extra { left: u16, flags: u8 },
    /// Within the name, which ends with a zero.
    Name { flags: u8 },
    /// Within the comment, which ends with a zero.
    Comment { flags: u8 },
    /// Within the header's check.
    HeaderCheck { low: Option<u8> },
    /// Within the compressed bytes.
    Content,
    /// Within the eight bytes of check and length.
    Trailer { at: u8, value: u64 },
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            state: State::Between,
            inflate: Decompress::new(false),
            content: Crc::new(),
            header: Crc::new(),
        }
    }
}

impl Gzip {
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let mut read = 0;
        loop {
            if self.state == State::Content {
                let rest = input.get(read..).unwrap_or_default();
                let (step, ended) = inflate(&mut self.inflate, rest, output)?;
                self.content.update(output.get(..step.written).unwrap_or_default());
                if ended {
                    self.state = State::Trailer { at: 0, value: 0 };
                }
                return Ok(Step { read: read + step.read, written: step.written });
            }
            let Some(&byte) = input.get(read) else { return Ok(Step { read, written: 0 }) };
            self.byte(byte)?;
            read += 1;
        }
    }

    /// One byte outside the compressed ones.
    fn byte(&mut self, byte: u8) -> Result<(), Fault> {
        let in_header = !matches!(self.state, State::Trailer { .. } | State::HeaderCheck { .. });
        if self.state == State::Between {
            self.header.reset();
        }
        if in_header {
            self.header.update(&[byte]);
        }
        self.state = match self.state {
            State::Between if byte == 0x1f => State::Fixed { at: 1, flags: 0 },
            // Before the first member nothing has been read: then this is no gzip at all.
            State::Between if self.inflate.total_in() == 0 => return Err(Fault::Corrupt),
            State::Between => return Err(Fault::Trailing),
            State::Fixed { at: 1, .. } if byte != 0x8b => return Err(Fault::Corrupt),
            State::Fixed { at: 2, .. } if byte != 8 => return Err(Fault::Corrupt),
            State::Fixed { at: 3, .. } if byte & RESERVED != 0 => return Err(Fault::Corrupt),
            State::Fixed { at: 3, .. } => State::Fixed { at: 4, flags: byte },
            State::Fixed { at: 9, flags } => self.after(flags, EXTRA),
            State::Fixed { at, flags } => State::Fixed { at: at + 1, flags },
            State::ExtraLength { low: None, flags } => {
                State::ExtraLength { low: Some(byte), flags }
            }
            State::ExtraLength { low: Some(low), flags } => match u16::from_le_bytes([low, byte]) {
                0 => self.after(flags, NAME),
                left => State::Extra { left, flags },
            },
            State::Extra { left: 1, flags } => self.after(flags, NAME),
            State::Extra { left, flags } => State::Extra { left: left - 1, flags },
            State::Name { flags } if byte == 0 => self.after(flags, COMMENT),
            State::Comment { flags } if byte == 0 => self.after(flags, HCRC),
            State::Name { .. } | State::Comment { .. } | State::Content => self.state,
            State::HeaderCheck { low: None } => State::HeaderCheck { low: Some(byte) },
            State::HeaderCheck { low: Some(low) } => {
                if self.header.sum() as u16 != u16::from_le_bytes([low, byte]) {
                    return Err(Fault::Corrupt);
                }
                self.begin()
            }
            State::Trailer { at, value } => {
                let value = value | u64::from(byte) << (8 * at);
                if at < 7 {
                    State::Trailer { at: at + 1, value }
                } else if value as u32 == self.content.sum()
                    && (value >> 32) as u32 == self.content.amount()
                {
                    State::Between
                } else {
                    return Err(Fault::Corrupt);
                }
            }
        };
        Ok(())
    }

    /// The part of the header that comes next, `first` being the earliest that may.
    fn after(&mut self, flags: u8, first: u8) -> State {
        if first <= EXTRA && flags & EXTRA != 0 && first == EXTRA {
            return State::ExtraLength { low: None, flags };
        }
        if matches!(first, EXTRA | NAME) && flags & NAME != 0 {
            return State::Name { flags };
        }
        if matches!(first, EXTRA | NAME | COMMENT) && flags & COMMENT != 0 {
            return State::Comment { flags };
        }
        if flags & HCRC != 0 {
            return State::HeaderCheck { low: None };
        }
        self.begin()
    }

    fn begin(&mut self) -> State {
        self.inflate.reset(false);
        self.content.reset();
        State::Content
    }

    pub(super) fn at_end(&self) -> bool {
        self.state == State::Between
    }

    pub(super) fn restart(&mut self) {
        self.inflate.reset(false);
        self.state = State::Between;
    }
}
