//! The exit status, one type for both ways to run.
//!
//! Owns what number means what; never prints. Transfers end with curl's codes, a batch with its
//! own few, and a signal with 128 plus its number, as a shell would say it.

use std::process::ExitCode;

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit(u8);

impl Exit {
    /// All went well.
    pub const SUCCESS: Self = Self(0);
    /// A batch in which some URLs failed, or that ended before its list did.
    pub const SOME_FAILED: Self = Self(1);
    /// The command line, or a list named on it, can't be used.
    pub const USAGE: Self = Self(2);
    /// Writing on this machine failed: a full disk, a folder without permission.
    pub const WRITE: Self = Self(23);
    /// Reading on this machine failed.
    pub const READ: Self = Self(26);

    /// One of curl's codes, for transfers.
    pub const fn curl(code: u8) -> Self {
        Self(code)
    }

    /// Ended by a signal.
    pub const fn signal(number: i32) -> Self {
        Self(128u8.wrapping_add(number as u8))
    }

    /// The number.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// What a batch has met by its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatchEnd {
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Output on this machine failed: disk full, no permission.
    pub local_failed: bool,
    /// A list could not be read to its end, or is not the one that is being resumed.
    pub usage: bool,
    /// URLs failed.
    pub failed: u64,
    /// It ended before its list did.
    pub early: bool,
}

impl BatchEnd {
    /// When several hold: signal, 23, 2, 1.
    pub const fn exit(self) -> Exit {
        match self {
            Self { signal: Some(number), .. } => Exit::signal(number),
            Self { local_failed: true, .. } => Exit::WRITE,
            Self { usage: true, .. } => Exit::USAGE,
            Self { failed: 1.., .. } | Self { early: true, .. } => Exit::SOME_FAILED,
            Self { .. } => Exit::SUCCESS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_with_the_gravest_of_its_troubles() {
        let table = [
            (BatchEnd::default(), 0),
            (BatchEnd { failed: 3, ..BatchEnd::default() }, 1),
            (BatchEnd { early: true, ..BatchEnd::default() }, 1),
            (BatchEnd { failed: 3, usage: true, early: true, ..BatchEnd::default() }, 2),
            (BatchEnd { failed: 3, usage: true, local_failed: true, ..BatchEnd::default() }, 23),
            (
                BatchEnd {
                    failed: 3,
                    usage: true,
                    local_failed: true,
                    signal: Some(2),
                    ..BatchEnd::default()
                },
                130,
            ),
            (BatchEnd { signal: Some(15), ..BatchEnd::default() }, 143),
        ];
        for (end, code) in table {
            assert_eq!(end.exit().code(), code, "{end:?}");
        }
    }

    #[test]
    fn transfers_speak_curls_codes() {
        for code in [0, 1, 3, 6, 7, 8, 18, 22, 23, 26, 28, 33, 35, 36, 47, 52, 55, 56, 60, 63, 90] {
            assert_eq!(Exit::curl(code).code(), code);
        }
        assert_eq!(Exit::signal(2).code(), 130);
        assert_eq!(Exit::signal(15).code(), 143);
    }
}
