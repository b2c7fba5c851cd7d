//! Content codings undone as the bytes come (RFC 9110 section 8.4): gzip, deflate, br, zstd.
//!
//! Owns the reading of `Content-Encoding`, the stack of decoders, and what bounds them: how many
//! codings, how many bytes, and how many bytes out of one byte in. Borrowed bytes go in, borrowed
//! bytes come out; the buffers between are kept. Never guesses a coding from the content.
#![expect(
    clippy::indexing_slicing,
    reason = "the stage before one that is not the first; and a step writes at most the buffer it was given"
)]

mod brotli;
mod deflate;
mod gzip;
#[cfg(feature = "zstd")]
mod zstd;

use core::fmt;
use core::ops::ControlFlow;

/// What one step of a stage may write.
const BUFFER: usize = 16 << 10;

/// What `Accept-Encoding` says when a compressed answer is welcome.
pub const ACCEPT_ENCODING: &str =
    if cfg!(feature = "zstd") { "deflate, gzip, br, zstd" } else { "deflate, gzip, br" };

/// What it says where some codings may take more memory than they are given.
pub(super) fn accept_encoding(limits: &DecodeLimits) -> &'static str {
    let fits = |coding: Coding| coding.most_bytes() <= limits.coding_bytes;
    #[cfg(feature = "zstd")]
    if fits(Coding::Zstd) && !fits(Coding::Brotli) {
        return "deflate, gzip, zstd";
    }
    if fits(Coding::Brotli) {
        ACCEPT_ENCODING
    } else if fits(Coding::Gzip) {
        "deflate, gzip"
    } else {
        "identity"
    }
}

/// A content coding that can be undone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Coding {
    /// RFC 1952, several members allowed.
    Gzip,
    /// RFC 1950 as the standard says, or RFC 1951 bare as many servers send it.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, windows up to 8 MiB (RFC 9659).
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Coding {
    /// The name in `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    /// Bytes of heap that a decoder of it holds at most, whatever the body is: the window that a server
    /// may ask for is most of it.
    pub const fn most_bytes(self) -> usize {
        match self {
            Self::Gzip | Self::Deflate => 64 << 10,
            // A window of 16 MiB beside the half that it grew from, and 256 trees of each kind.
            Self::Brotli => 32 << 20,
            #[cfg(feature = "zstd")]
            Self::Zstd => 9 << 20,
        }
    }

    fn from_name(name: &[u8]) -> Option<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match () {
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("deflate") => Some(Self::Deflate),
            () if is("br") => Some(Self::Brotli),
            #[cfg(feature = "zstd")]
            () if is("zstd") => Some(Self::Zstd),
            () => None,
        }
    }
}

/// What bounds decoding.
///
/// A body that has begun has a decoder of up to `codings` times [`Coding::most_bytes`], and up to 32
/// that have nothing to do are kept for the next, of up to `codings` times 64 KiB: where memory is
/// short, [`tiny`](Self::tiny) does without codings that need much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeLimits {
    /// Codings on top of each other. Default: 4 (`tiny`: 1).
    pub codings: usize,
    /// Bytes of heap that undoing one of them may take: those that may need more
    /// ([`Coding::most_bytes`]) are not asked for, and an answer that has one all the same fails. Default:
    /// [`usize::MAX`], no bound (`tiny`: 64 KiB).
    pub coding_bytes: usize,
    /// Bytes that may come out of one byte in, ... Default: 1,000.
    pub ratio: u64,
    /// ... once more than this came out. Default: 1 MiB.
    pub ratio_from: u64,
    /// Bytes that may come out of one body; more is `decoded_too_large`. It holds for all requests, and for
    /// decoded bodies alone; [`Profile::max_filesize`](super::Profile::max_filesize) is one request's own, and
    /// for bodies that need no decoding, too. Default: [`u64::MAX`], no bound.
    pub bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            codings: 4,
            coding_bytes: usize::MAX,
            ratio: 1_000,
            ratio_from: 1 << 20,
            bytes: u64::MAX,
        }
    }
}

impl DecodeLimits {
    /// For a program that counts its kilobytes: gzip or deflate, once, in 64 KiB. The other codings
    /// have windows of megabytes.
    pub fn tiny() -> Self {
        Self { codings: 1, coding_bytes: Coding::Gzip.most_bytes(), ..Self::default() }
    }
}

/// Why a body can't be decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// A coding that was not asked for and is not known.
    Unknown(Box<str>),
    /// More codings on top of each other than allowed.
    TooMany(usize),
    /// A coding that may take more memory than allowed.
    TooHeavy(Coding),
    /// The bytes are not what the coding says.
    Corrupt(Coding),
    /// The bytes end within the coding.
    Truncated(Coding),
    /// Bytes follow after the coding's end.
    Trailing(Coding),
    /// So many bytes come out of so few that it must be an attack.
    Ratio(u64),
    /// More bytes come out than allowed.
    TooLarge(u64),
}

impl DecodeError {
    /// The stable name in records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "coding_unknown",
            Self::TooMany(_) => "coding_too_many",
            Self::TooHeavy(_) => "coding_too_heavy",
            Self::Corrupt(_) => "coding_corrupt",
            Self::Truncated(_) => "coding_truncated",
            Self::Trailing(_) => "coding_trailing_bytes",
            Self::Ratio(_) => "coding_ratio",
            Self::TooLarge(_) => "decoded_too_large",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "the body has the unknown coding \"{name}\""),
            Self::TooMany(most) => {
                write!(f, "the body has more than {most} codings on top of each other")
            }
            Self::TooHeavy(coding) => {
                write!(
                    f,
                    "the body has the coding {}, which may take more memory than it is allowed",
                    coding.name()
                )
            }
            Self::Corrupt(coding) => write!(f, "the body is not valid {}", coding.name()),
            Self::Truncated(coding) => {
                write!(f, "the body ends in the middle of its {} coding", coding.name())
            }
            Self::Trailing(coding) => {
                write!(f, "bytes follow after the end of the body's {} coding", coding.name())
            }
            Self::Ratio(ratio) => write!(f, "the body grows to more than {ratio} times its size"),
            Self::TooLarge(most) => write!(f, "the decoded body is larger than {most} bytes"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// The codings of a body, in the order in which they are undone. `identity` is none.
///
/// `values` are the values of all `Content-Encoding` fields.
///
/// ```
/// use gannet::fetch::decode::{Coding, DecodeLimits, codings};
///
/// let list = codings([b"gzip, br".as_slice()].into_iter(), &DecodeLimits::default())?;
/// assert_eq!(list, [Coding::Brotli, Coding::Gzip]);
/// # Ok::<(), gannet::fetch::DecodeError>(())
/// ```
pub fn codings<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    limits: &DecodeLimits,
) -> Result<Vec<Coding>, DecodeError> {
    let mut found = Vec::new();
    for name in values.flat_map(|value| value.split(|&byte| byte == b',')) {
        let name = name.trim_ascii();
        let as_it_is = [b"identity".as_slice(), b"none"];
        if name.is_empty() || as_it_is.iter().any(|plain| name.eq_ignore_ascii_case(plain)) {
            continue;
        }
        let Some(coding) = Coding::from_name(name) else {
            let shown: String =
                name.iter().take(32).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
            return Err(DecodeError::Unknown(shown.into()));
        };
        if coding.most_bytes() > limits.coding_bytes {
            return Err(DecodeError::TooHeavy(coding));
        }
        if found.len() == limits.codings {
            return Err(DecodeError::TooMany(limits.codings));
        }
        found.push(coding);
    }
    found.reverse();
    Ok(found)
}

/// Undoes the codings of one body.
///
/// ```
/// use core::ops::ControlFlow;
/// use gannet::fetch::decode::{Coding, Decoder, DecodeLimits};
///
/// let mut decoder = Decoder::new(&[Coding::Gzip], DecodeLimits::default());
/// let mut text = Vec::new();
/// let packed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcbH\xcd\xc9\xc9\x07\0\x86\xa6\x106\x05\0\0\0";
/// for piece in packed.chunks(7) {
///     let _ = decoder.push(piece, &mut |bytes| {
///         text.extend_from_slice(bytes);
///         ControlFlow::Continue(())
///     })?;
/// }
/// decoder.finish()?;
/// assert_eq!(text, b"hello");
/// # Ok::<(), gannet::fetch::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    codings: Vec<Coding>,
    stages: Vec<Stage>,
    limits: DecodeLimits,
    /// Bytes that the first stage has taken.
    taken: u64,
    fed: bool,
}

impl Decoder {
    /// A decoder for these codings, in the order in which they are undone.
    pub fn new(codings: &[Coding], limits: DecodeLimits) -> Self {
        Self {
            codings: codings.to_vec(),
            stages: codings
                .iter()
                .enumerate()
                .map(|(index, &coding)| Stage::new(coding, index == 0))
                .collect(),
            limits,
            taken: 0,
            fed: false,
        }
    }

    /// What it undoes.
    pub fn codings(&self) -> &[Coding] {
        &self.codings
    }

    /// Ready for another body with the same codings; memory is kept.
    pub fn restart(&mut self) {
        self.taken = 0;
        self.fed = false;
        for stage in &mut self.stages {
            stage.inner.restart();
            stage.written = 0;
        }
    }

    /// Bytes came. What they decode to goes to `sink`, which may have enough.
    ///
    /// After an error or a break the decoder is to be dropped or restarted.
    pub fn push(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, DecodeError> {
        self.fed |= !bytes.is_empty();
        flow(&mut self.stages, bytes, &mut self.taken, &self.limits, sink)
    }

    /// The body is over: every coding must be, too. A body without a single byte is empty.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        if !self.fed {
            return Ok(());
        }
        for (index, stage) in self.stages.iter().enumerate() {
            // A stage behind one that gave nothing has seen nothing.
            let fed = index == 0 || self.stages[index - 1].written > 0;
            if fed && !stage.inner.at_end() {
                return Err(DecodeError::Truncated(stage.coding));
            }
        }
        Ok(())
    }
}

/// Drives bytes through the stages.
///
/// The verdict must not depend on how the bytes were cut. A decoder may hold back what it decoded before a
/// fault, and looks ahead; so wherever a second verdict is near (another coding behind this one, or a
/// limit), the body goes in one byte at a time: then every cut is the same cut.
fn flow(
    stages: &mut [Stage],
    mut bytes: &[u8],
    taken: &mut u64,
    limits: &DecodeLimits,
    sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, DecodeError> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        return Ok(if bytes.is_empty() { ControlFlow::Continue(()) } else { sink(bytes) });
    };
    let last = rest.is_empty();
    // The step before filled the buffer: there may be more, which comes before another byte goes in.
    let mut full = false;
    loop {
        let alone = stage.first && (!last || stage.may_exceed(limits, *taken));
        let piece = match (alone, full) {
            (true, true) => &[],
            (true, false) => bytes.get(..1).unwrap_or_default(),
            (false, _) => bytes,
        };
        let step = stage.inner.step(piece, &mut stage.buffer);
        let Step { read, written } = step.map_err(|fault| fault.of(stage.coding))?;
        bytes = bytes.get(read..).unwrap_or_default();
        if stage.first {
            *taken += read as u64;
        }
        stage.written += written as u64;
        if exceeds_ratio(stage.written, *taken, limits) {
            return Err(DecodeError::Ratio(limits.ratio));
        }
        if last && stage.written > limits.bytes {
            return Err(DecodeError::TooLarge(limits.bytes));
        }
        if written > 0 && flow(rest, &stage.buffer[..written], taken, limits, sink)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        full = written == stage.buffer.len();
        if bytes.is_empty() && !full {
            return Ok(ControlFlow::Continue(()));
        }
        if read == 0 && written == 0 && !piece.is_empty() {
            // Neither takes nor gives: it will never end.
            return Err(DecodeError::Corrupt(stage.coding));
        }
    }
}

fn exceeds_ratio(written: u64, taken: u64, limits: &DecodeLimits) -> bool {
    written > limits.ratio_from && written / limits.ratio.max(1) >= taken
}

struct Stage {
    coding: Coding,
    first: bool,
    inner: Inner,
    buffer: Box<[u8]>,
    written: u64,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.coding.name())
    }
}

impl Stage {
    fn new(coding: Coding, first: bool) -> Self {
        let inner = match coding {
            Coding::Gzip => Inner::Gzip(Box::default()),
            Coding::Deflate => Inner::Deflate(deflate::Deflate::default()),
            Coding::Brotli => Inner::Brotli(Box::default()),
            #[cfg(feature = "zstd")]
            Coding::Zstd => Inner::Zstd(zstd::Zstd::default()),
        };
        Self { coding, first, inner, buffer: vec![0; BUFFER].into(), written: 0 }
    }

    /// One step from here could exceed a limit, what the decoder holds back included.
    fn may_exceed(&self, limits: &DecodeLimits, taken: u64) -> bool {
        // Brotli's keeps up to a window to itself, and loses it at a fault.
        let held = if self.coding == Coding::Brotli { brotli::LARGEST_WINDOW } else { 0 };
        let most = self.written.saturating_add(self.buffer.len() as u64).saturating_add(held);
        most > limits.bytes || exceeds_ratio(most, taken, limits)
    }
}

enum Inner {
    Gzip(Box<gzip::Gzip>),
    Deflate(deflate::Deflate),
    Brotli(Box<brotli::Brotli>),
    #[cfg(feature = "zstd")]
    Zstd(zstd::Zstd),
}

impl Inner {
    /// Takes what it can and gives what it can.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        match self {
            Self::Gzip(gzip) => gzip.step(input, output),
            Self::Deflate(deflate) => deflate.step(input, output),
            Self::Brotli(brotli) => brotli.step(input, output),
            #[cfg(feature = "zstd")]
            Self::Zstd(zstd) => zstd.step(input, output),
        }
    }

    fn at_end(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.at_end(),
            Self::Deflate(deflate) => deflate.at_end(),
            Self::Brotli(brotli) => brotli.at_end(),
            #[cfg(feature = "zstd")]
            Self::Zstd(zstd) => zstd.at_end(),
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Gzip(gzip) => gzip.restart(),
            Self::Deflate(deflate) => deflate.restart(),
            Self::Brotli(brotli) => brotli.restart(),
            #[cfg(feature = "zstd")]
            Self::Zstd(zstd) => zstd.restart(),
        }
    }
}

/// What a step of a stage did.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    read: usize,
    written: usize,
}

/// What a stage found wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Corrupt,
    Trailing,
}

impl Fault {
    const fn of(self, coding: Coding) -> DecodeError {
        match self {
            Self::Corrupt => DecodeError::Corrupt(coding),
            Self::Trailing => DecodeError::Trailing(coding),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
