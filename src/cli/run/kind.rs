//! The kinds of failure that the command gives by itself, beside those of the fetcher.
//!
//! Owns their names in records, which `docs/errors.md` explains, and curl's exit code for each.
//! Never decides that something failed.

/// Why a URL failed, as the command sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A line of a list says nothing that can be fetched.
    BadLine,
    /// The body is not what its line says it is.
    Checksum,
    /// The connection was lost behind bytes that can't be taken back (the engine's name).
    EofInBody,
    /// Longer than `--max-filesize` (the fetcher's name).
    FileTooLarge,
    /// `-f`: a status of 400 or more.
    HttpError,
    /// Another URL of this run has that file.
    OutputCollision,
    /// The file was there, and is not to be overwritten.
    OutputExists,
    /// `-C`: the server does not go on where we are.
    RangeRefused,
    /// What was to be sent can't be read.
    ReadFailed,
    /// What came can't be written.
    WriteFailed,
}

impl Kind {
    /// The stable name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadLine => "bad_line",
            Self::Checksum => "checksum",
            Self::EofInBody => "eof_in_body",
            Self::FileTooLarge => "file_too_large",
            Self::HttpError => "http_error",
            Self::OutputCollision => "output_collision",
            Self::OutputExists => "output_exists",
            Self::RangeRefused => "range_refused",
            Self::ReadFailed => "read_failed",
            Self::WriteFailed => "write_failed",
        }
    }

    /// curl's code.
    pub const fn exit(self) -> u8 {
        match self {
            Self::BadLine => 2,
            Self::EofInBody => 18,
            Self::HttpError => 22,
            Self::Checksum | Self::OutputCollision | Self::OutputExists | Self::WriteFailed => 23,
            Self::ReadFailed => 26,
            Self::RangeRefused => 33,
            Self::FileTooLarge => 63,
        }
    }
}
