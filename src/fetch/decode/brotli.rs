//! The br coding (RFC 7932), without the large windows that are no part of it.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Fault, Step};

/// The largest window of RFC 7932.
pub(super) const LARGEST_WINDOW: u64 = 1 << 24;

pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    ended: bool,
}

impl Default for Brotli {
    fn default() -> Self {
        Self { state: fresh(), ended: false }
    }
}

fn fresh() -> BrotliState<StandardAlloc, StandardAlloc, StandardAlloc> {
    BrotliState::new_strict(
        StandardAlloc::default(),
        StandardAlloc::default(),
        StandardAlloc::default(),
    )
}

impl Brotli {
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        if self.ended {
            return if input.is_empty() { Ok(Step::default()) } else { Err(Fault::Trailing) };
        }
        let (mut left, mut read) = (input.len(), 0);
        let (mut room, mut written) = (output.len(), 0);
        let mut total = 0;
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            input,
            &mut room,
            &mut written,
            output,
            &mut total,
            &mut self.state,
        );
        match result {
            // What follows is for the next step, so that what was decoded is handed on before.
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultFailure => return Err(Fault::Corrupt),
        }
        Ok(Step { read, written })
    }

    pub(super) fn at_end(&self) -> bool {
        self.ended
    }

    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }
}
