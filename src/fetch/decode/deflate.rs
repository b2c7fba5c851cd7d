//! The deflate coding, in the form of the standard (zlib, RFC 1950) or bare (RFC 1951).
//!
//! The first two bytes tell which: a zlib header is a multiple of 31 and names method 8.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Fault, Step};

pub(super) struct Deflate {
    state: State,
    inflate: Decompress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not even two bytes have come; perhaps one.
    Start(Option<u8>),
    Within,
    End,
}

impl Default for Deflate {
    fn default() -> Self {
        Self { state: State::Start(None), inflate: Decompress::new(true) }
    }
}

impl Deflate {
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        match self.state {
            State::Start(held) => {
                let (first, second) = match (held, input) {
                    (Some(first), [second, ..]) => (first, *second),
                    (None, [first, second, ..]) => (*first, *second),
                    (None, [first]) => {
                        self.state = State::Start(Some(*first));
                        return Ok(Step { read: 1, written: 0 });
                    }
                    (_, []) => return Ok(Step::default()),
                };
                self.inflate.reset(is_zlib(first, second));
                self.state = State::Within;
                if held.is_some() {
                    // A header's first byte: nothing can come out of it yet.
                    inflate(&mut self.inflate, &[first], output)?;
                }
                self.within(input, output)
            }
            State::Within => self.within(input, output),
            State::End if input.is_empty() => Ok(Step::default()),
            State::End => Err(Fault::Trailing),
        }
    }

    fn within(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let (step, ended) = inflate(&mut self.inflate, input, output)?;
        if ended {
            // What follows is for the next step, so that what was decoded is handed on before.
            self.state = State::End;
        }
        Ok(step)
    }

    pub(super) fn at_end(&self) -> bool {
        self.state == State::End
    }

    pub(super) fn restart(&mut self) {
        self.state = State::Start(None);
    }
}

fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8
        && first >> 4 <= 7
        && (u16::from(first) * 256 + u16::from(second)).is_multiple_of(31)
}

/// One step of the decompressor, and whether its stream is over.
pub(super) fn inflate(
    inflate: &mut Decompress,
    input: &[u8],
    output: &mut [u8],
) -> Result<(Step, bool), Fault> {
    let (read, written) = (inflate.total_in(), inflate.total_out());
    let status =
        inflate.decompress(input, output, FlushDecompress::None).map_err(|_| Fault::Corrupt)?;
    let step = Step {
        read: (inflate.total_in() - read) as usize,
        written: (inflate.total_out() - written) as usize,
    };
    Ok((step, status == Status::StreamEnd))
}
