//! Waiting for standard input beside the fetcher, without a thread and without changing how
//! anybody else sees that descriptor.

use std::io;
use std::time::Duration;

#[cfg(unix)]
mod system {
    use std::os::fd::{AsFd, BorrowedFd};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

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

    /// Waits until standard input or the fetcher has something, a signal comes, or time is up.
    pub(in crate::cli) fn stdin_or(fetcher: BorrowedFd<'_>, timeout: Duration) {
        let stdin = io::stdin();
        let mut fds =
            [PollFd::new(&stdin, PollFlags::IN), PollFd::from_borrowed_fd(fetcher, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: timeout.as_secs().min(3600) as i64,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // An interruption is as good as time: the caller looks at everything again.
        let _ = poll(&mut fds, Some(&timeout));
    }
}

#[cfg(unix)]
pub(super) use system::{read_stdin, stdin_or, stdin_ready};

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
}

#[cfg(not(unix))]
pub(super) use system::{read_stdin, stdin_ready};
