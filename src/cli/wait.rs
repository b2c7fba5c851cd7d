//! Standard input and pipes beside the fetcher, without a thread and without changing how anybody
//! else sees that descriptor: they are read only when something is there, and wake the fetcher's poll.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
mod system {
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::{File, OpenOptions, Path, io};

    /// Opens a pipe by its name, such that nothing waits for the other end, nor for it to be there;
    /// `None`: it is something else.
    pub(in crate::cli) fn open_pipe(
        path: &Path,
        options: &mut OpenOptions,
    ) -> io::Result<Option<File>> {
        if !std::fs::metadata(path)?.file_type().is_fifo() {
            return Ok(None);
        }
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        options.custom_flags(flags).open(path).map(Some)
    }

    /// Whether a read would not wait.
    pub(in crate::cli) fn is_ready(from: &impl AsFd) -> bool {
        let mut fds = [PollFd::new(from, PollFlags::IN)];
        match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(ready) => ready > 0,
            // What can't be asked is read.
            Err(_) => true,
        }
    }

    /// Has it wake the fetcher's turns. A file can't be watched, and need not be.
    pub(in crate::cli) fn watch(registry: &mio::Registry, from: &impl AsRawFd) {
        let _ = registry.register(
            &mut mio::unix::SourceFd(&from.as_raw_fd()),
            mio::Token(crate::net::mio::FOREIGN),
            mio::Interest::READABLE,
        );
    }

    /// Whether a read from standard input would not wait.
    pub(in crate::cli) fn stdin_ready() -> bool {
        is_ready(&io::stdin())
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

    /// Has standard input wake the fetcher's turns.
    pub(in crate::cli) fn watch_stdin(registry: &mio::Registry) {
        watch(registry, &io::stdin());
    }
}

#[cfg(unix)]
pub(super) use system::{is_ready, open_pipe, read_stdin, stdin_ready, watch, watch_stdin};

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

    pub(in crate::cli) fn open_pipe(_: &Path, _: &mut OpenOptions) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub(in crate::cli) fn is_ready(_: &File) -> bool {
        true
    }

    pub(in crate::cli) fn watch(_: &mio::Registry, _: &File) {}
}

#[cfg(not(unix))]
pub(super) use system::{is_ready, open_pipe, read_stdin, stdin_ready, watch, watch_stdin};
