//! The question for a password that `-u` did not give.
//!
//! Owns the way to the terminal and the echo that is off meanwhile. Where there is no terminal the
//! first line of standard input is the answer, as curl has it. Never keeps what was typed.

use std::io;

/// Asks for the password of a user.
#[cfg(unix)]
pub fn password(user: &str) -> io::Result<Vec<u8>> {
    use std::os::fd::AsFd;

    let question = format!("Enter host password for user '{}':", super::stdio::safe(user));
    match std::fs::File::open("/dev/tty") {
        Ok(terminal) => ask(&question, terminal.as_fd()),
        Err(_) => ask(&question, io::stdin().as_fd()),
    }
}

#[cfg(unix)]
fn ask(question: &str, from: std::os::fd::BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let before = tcgetattr(from).ok();
    if let Some(mut quiet) = before.clone() {
        quiet.local_modes -= LocalModes::ECHO;
        tcsetattr(from, OptionalActions::Flush, &quiet)?;
    }
    say!("{question}");
    let answer = line(|byte| match rustix::io::read(from, byte) {
        Err(rustix::io::Errno::INTR) => Ok(None),
        other => other.map(Some).map_err(io::Error::from),
    });
    if let Some(before) = before {
        say!("\n");
        tcsetattr(from, OptionalActions::Now, &before)?;
    }
    answer
}

/// Elsewhere it is read from standard input, and seen.
#[cfg(not(unix))]
pub fn password(user: &str) -> io::Result<Vec<u8>> {
    use std::io::Read;

    say!("Enter host password for user '{}':", super::stdio::safe(user));
    line(|byte| io::stdin().lock().read(byte).map(Some))
}

/// Byte by byte: what follows the line belongs to whoever reads standard input next.
fn line(mut read: impl FnMut(&mut [u8]) -> io::Result<Option<usize>>) -> io::Result<Vec<u8>> {
    /// Longer than any password; shorter than what a mistyped pipe might hold.
    const LONGEST: usize = 2048;
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match read(&mut byte)? {
            None => {}
            Some(0) => break,
            Some(_) if byte[0] == b'\n' => break,
            Some(_) if line.len() == LONGEST => {
                return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
            }
            Some(_) => line.push(byte[0]),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for (text, want) in [
            ("geheim\nrest", "geheim"),
            ("geheim", "geheim"),
            ("", ""),
            ("\n", ""),
            ("a b\r\n", "a b"),
        ] {
            let mut bytes = text.as_bytes();
            let got = line(|byte| bytes.read(byte).map(Some)).unwrap();
            assert_eq!(got, want.as_bytes(), "{text:?}");
        }
        let mut endless = io::repeat(b'x');
        assert!(line(|byte| endless.read(byte).map(Some)).is_err());
    }
}
