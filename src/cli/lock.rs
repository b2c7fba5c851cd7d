//! Which process writes a file.
//!
//! Owns the advisory lock on files that gannet writes for longer than a moment: results and parts.
//! It ends with the file, also where the process is killed. Where the system or the file system
//! knows no such locks, everybody has them.

use std::fs::File;

/// Claims a file for this process; false: another one has it.
#[cfg(unix)]
pub fn claim(file: &File) -> bool {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;
    flock(file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
}

/// Claims a file for this process.
#[cfg(not(unix))]
pub const fn claim(_: &File) -> bool {
    true
}
