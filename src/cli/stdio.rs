//! Standard output without the standard library's line buffer, and what is said on standard error.
//!
//! Owns the one way in which bytes of bodies and records reach standard output, and the mending of
//! text that comes from servers before it reaches a terminal.

use std::io::{self, IsTerminal, Write};

/// Standard output. Each write is a system call; callers collect.
#[derive(Clone, Copy, Debug)]
pub struct Stdout;

#[cfg(unix)]
impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(io::stdout(), bytes) {
                // Somebody else made the descriptor non-blocking; that is no reason to lose bytes.
                Err(rustix::io::Errno::AGAIN) => {
                    let stdout = io::stdout();
                    let mut fds =
                        [rustix::event::PollFd::new(&stdout, rustix::event::PollFlags::OUT)];
                    let _ = rustix::event::poll(&mut fds, None);
                }
                other => return other.map_err(io::Error::from),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(not(unix))]
impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Text from elsewhere, made safe for a terminal: controls and what reorders or hides text become
/// visible.
pub fn safe(text: &str) -> std::borrow::Cow<'_, str> {
    let harmful = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(harmful) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.into()
}

/// The CPU time that this process has used, in user and system mode.
#[cfg(unix)]
pub fn cpu_time() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    std::time::Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Not known here.
#[cfg(not(unix))]
pub fn cpu_time() -> std::time::Duration {
    std::time::Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn terminals_get_no_orders_from_servers() {
        assert_eq!(safe("plain é text\t."), "plain é text\t.");
        assert_eq!(safe("\u{1b}[2J\r\n\u{9b}x\u{202e}"), "\\u{1b}[2J\\r\\n\\u{9b}x\\u{202e}");
    }
}
