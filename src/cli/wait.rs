//! Standard input beside the fetcher, without a thread and without changing how anybody else sees
//! that descriptor: it is read only when something is there, and it wakes the fetcher's poll.

use std::io;

#[cfg(unix)]
mod system {
    use std::os::fd::{AsFd, AsRawFd};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::io;

    /// Whether a read from standard input would not wait.
    pub(in crate::cli) fn stdin_ready() -> bool {
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(ready) => ready > 0,
            // What can't be asked is read.
            Err(_) => true,
        }
    }

    /// One read, past the buffer of the standard library.
    pub(in crate::cli) fn read_stdin(buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(io::stdin().as_fd(), &mut *buffer) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map_err(io::Error::from),
            }
        }
    }

    /// Has standard input wake the fetcher's turns. A file can't be watched, and need not be.
    pub(in crate::cli) fn watch_stdin(registry: &mio::Registry) {
        let _ = registry.register(
            &mut mio::unix::SourceFd(&io::stdin().as_raw_fd()),
            mio::Token(crate::net::mio::FOREIGN),
            mio::Interest::READABLE,
        );
    }
}

#[cfg(unix)]
pub(super) use system::{read_stdin, stdin_ready, watch_stdin};

/// Elsewhere standard input is read when it is wanted, and the batch waits for it.
#[cfg(not(unix))]
mod system {
    use std::io::Read;

    use super::*;

    pub(in crate::cli) fn stdin_ready() -> bool {
        true
    }

    pub(in crate::cli) fn read_stdin(buffer: &mut [u8]) -> io::Result<usize> {
        io::stdin().lock().read(buffer)
    }

    pub(in crate::cli) fn watch_stdin(_: &mio::Registry) {}
}

#[cfg(not(unix))]
pub(super) use system::{read_stdin, stdin_ready, watch_stdin};
