//! The zstd coding (RFC 8878), with windows of at most 8 MiB (RFC 9659).

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use super::{Fault, Step};

/// The largest window that a server may ask for: two to this power.
const WINDOW_LOG: u32 = 23;

#[derive(Default)]
pub(super) struct Zstd {
    /// Made with the first byte.
    decoder: Option<Decoder<'static>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Before the first frame.
    #[default]
    Start,
    Within,
    /// After a frame, and so far into the magic number of another one.
    Between {
        at: u8,
        skippable: bool,
    },
}

impl Zstd {
    pub(super) fn step(&mut self, mut input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        if input.is_empty() && self.state != State::Within {
            return Ok(Step::default());
        }
        let mut next = State::Within;
        if let State::Between { at, skippable } = self.state {
            // Whatever follows a frame must be a frame, and is told apart byte by byte, so that
            // the verdict does not depend on how the bytes were cut.
            let byte = input[0];
            let skippable = if at == 0 { byte & 0xf0 == 0x50 } else { skippable };
            let expected = match (at, skippable) {
                (0, true) => byte,
                (0, false) => 0x28,
                (1, true) => 0x2a,
                (1, false) => 0xb5,
                (2, true) => 0x4d,
                (2, false) => 0x2f,
                (_, true) => 0x18,
                (_, false) => 0xfd,
            };
            if byte != expected {
                return Err(Fault::Trailing);
            }
            if at < 3 {
                next = State::Between { at: at + 1, skippable };
            }
            input = &input[..1];
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => {
                let mut decoder = Decoder::new().map_err(|_| Fault::Corrupt)?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
                    .map_err(|_| Fault::Corrupt)?;
                none.insert(decoder)
            }
        };
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(output);
        let left = decoder.run(&mut from, &mut to).map_err(|_| Fault::Corrupt)?;
        let (read, written) = (from.pos(), to.pos());
        self.state = if left == 0 { State::Between { at: 0, skippable: false } } else { next };
        Ok(Step { read, written })
    }

    pub(super) fn at_end(&self) -> bool {
        matches!(self.state, State::Between { at: 0, .. })
    }

    pub(super) fn restart(&mut self) {
        self.state = State::Start;
        self.decoder = None;
    }
}
