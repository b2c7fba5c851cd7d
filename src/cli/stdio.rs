//! Standard output without the standard library's line buffer, and what is said on standard error.
//!
//! Owns the one way in which bytes of bodies and records reach standard output, and the mending of
//! text that comes from servers before it reaches a terminal.

#[cfg(unix)]
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::values::When;

/// Standard output. Each write is a system call; callers collect.
#[derive(Clone, Copy, Debug)]
pub struct Stdout;

/// The signal that asks to end, as [`Signals`](super::signals::Signals) notes it: a write for which
/// nobody makes room must not outlast it.
static ASKED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// From now on writes end soon once a signal is noted here.
pub fn heed(asked: Arc<AtomicUsize>) {
    let _ = ASKED.set(asked);
}

/// When the whole run is to be over: no write outlasts it by much, either.
static DEADLINE: OnceLock<Instant> = OnceLock::new();

/// From now on writes end soon after this.
pub fn heed_deadline(deadline: Instant) {
    let _ = DEADLINE.set(deadline);
}

/// Whether it is time to end, whoever reads.
#[cfg(unix)]
fn is_to_end() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed) != 0)
        || DEADLINE.get().is_some_and(|deadline| *deadline <= Instant::now())
}

/// How often a write that finds no room looks whether it is to end,
#[cfg(unix)]
const LOOK: Duration = Duration::from_millis(100);
/// and how long a reader has then for making room.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_millis(500);

/// A reader has had that time: the next writes do not give it again.
#[cfg(unix)]
static WAITED: AtomicBool = AtomicBool::new(false);

/// The same pipe, such that a write takes what there is room for and does not wait for the rest;
/// whoever shares our standard output has it as it was. `None`: it is no pipe, or this system has no
/// such files.
#[cfg(unix)]
fn pipe() -> Option<&'static File> {
    static PIPE: OnceLock<Option<File>> = OnceLock::new();
    let open = || {
        let path = Path::new("/proc/self/fd/1");
        super::wait::open_pipe(path, OpenOptions::new().write(true)).ok().flatten()
    };
    PIPE.get_or_init(open).as_ref()
}

#[cfg(unix)]
impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = io::stdout();
        let to = pipe().map_or_else(|| stdout.as_fd(), |pipe| pipe.as_fd());
        let mut since = None;
        loop {
            match rustix::io::write(to, bytes) {
                Err(rustix::io::Errno::AGAIN) => {}
                other => return other.map_err(io::Error::from),
            }
            if is_to_end()
                && (WAITED.load(Ordering::Relaxed)
                    || since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE)
            {
                WAITED.store(true, Ordering::Relaxed);
                return Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it"));
            }
            let look = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
            let _ = poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], Some(&look));
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

/// From now on the standard error is this file, or with - the standard output.
#[cfg(unix)]
pub fn stderr_to(file: &Path) -> io::Result<()> {
    if file == Path::new("-") {
        return rustix::stdio::dup2_stderr(io::stdout()).map_err(io::Error::from);
    }
    rustix::stdio::dup2_stderr(File::create(file)?).map_err(io::Error::from)
}

/// Elsewhere it is where it is.
#[cfg(not(unix))]
pub fn stderr_to(_: &Path) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Says something, if anybody can be told.
pub fn say(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

/// Whether nobody will ever read what is written to standard output: the other end of a pipe or a
/// socket is closed. Tells it before anything is written.
#[cfg(unix)]
pub fn stdout_is_gone() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
        && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Elsewhere a write tells.
#[cfg(not(unix))]
pub fn stdout_is_gone() -> bool {
    false
}

/// Whether standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether what people read is coloured: as asked, else on terminals that can, unless `NO_COLOR`
/// is set.
pub fn colours(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
            stderr_is_terminal()
                && set("NO_COLOR").is_none()
                && set("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// What a colour stands for; the text says the same without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    Good,
    Odd,
    Bad,
}

/// Text in its colour, if there are colours.
pub fn painted(on: bool, tone: Tone, text: &str) -> std::borrow::Cow<'_, str> {
    if !on {
        return text.into();
    }
    let code = match tone {
        Tone::Good => 32,
        Tone::Odd => 33,
        Tone::Bad => 31,
    };
    format!("\x1b[{code}m{text}\x1b[0m").into()
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
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Not known here.
#[cfg(not(unix))]
pub fn cpu_time() -> Duration {
    Duration::ZERO
}

/// Columns of the terminal that standard error is, if it is one.
#[cfg(unix)]
pub fn stderr_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

/// Columns of the terminal that standard error is: unknown here.
#[cfg(not(unix))]
pub fn stderr_width() -> Option<usize> {
    None
}

/// Breaks lines that are longer than `width` between words; what follows is set in as far as the
/// line, and two more. Colours take no room.
pub fn wrapped(text: &str, width: Option<usize>) -> std::borrow::Cow<'_, str> {
    let Some(width) = width.filter(|width| *width >= 40) else { return text.into() };
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let inset = line.len() - line.trim_start_matches(' ').len();
        let mut at = 0;
        for (number, word) in line.trim_start_matches(' ').split(' ').enumerate() {
            let room = columns(word.trim_end());
            if number == 0 {
                out.extend(std::iter::repeat_n(' ', inset));
                at = inset;
            } else if at + 1 + room > width {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', inset + 2));
                at = inset + 2;
            } else {
                out.push(' ');
                at += 1;
            }
            out.push_str(word);
            at += room;
        }
    }
    out.into()
}

/// How many columns a text takes: a character is one, an order of colour (`ESC [ … m`) none.
fn columns(text: &str) -> usize {
    let mut orders = false;
    text.chars()
        .filter(|&c| {
            let counts = !orders && c != '\u{1b}';
            orders = if orders { c != 'm' } else { c == '\u{1b}' };
            counts
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::{Tone, painted, safe, wrapped};

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(painted(false, Tone::Bad, "x"), "x");
        assert_eq!(painted(true, Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn terminals_get_no_orders_from_servers() {
        assert_eq!(safe("plain é text\t."), "plain é text\t.");
        assert_eq!(safe("\u{1b}[2J\r\n\u{9b}x\u{202e}"), "\\u{1b}[2J\\r\\n\\u{9b}x\\u{202e}");
    }

    #[test]
    fn lines_are_broken_between_words() {
        let text = "one two\n  a line that is longer than forty columns, \u{1b}[31mred\u{1b}[0m and set in\n";
        assert_eq!(wrapped(text, None), text);
        assert_eq!(wrapped(text, Some(200)), text);
        assert_eq!(
            wrapped(text, Some(40)),
            "one two\n  a line that is longer than forty\n    columns, \u{1b}[31mred\u{1b}[0m and set in\n"
        );
    }
}
