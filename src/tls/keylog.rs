//! SSLKEYLOGFILE lines, written to whatever the caller opened. Reads no environment.

use core::fmt;
use std::io::Write;
use std::sync::Mutex;

/// Writes secrets in the NSS key log format (`LABEL client_random secret`), a line a secret, so
/// that a capture of the connection can be read. Whoever reads this output reads the traffic.
///
/// A write that fails is dropped: a full disk must not break the transfer that is being watched.
pub struct KeyLogWriter<W> {
    writer: Mutex<W>,
}

impl<W: Write + Send> KeyLogWriter<W> {
    /// Log to `writer`; each line is one write, followed by a flush.
    pub fn new(writer: W) -> Self {
        Self { writer: Mutex::new(writer) }
    }
}

impl<W> fmt::Debug for KeyLogWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLogWriter")
    }
}

impl<W: Write + Send> rustls::KeyLog for KeyLogWriter<W> {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line =
            String::with_capacity(label.len() + 2 * (client_random.len() + secret.len()) + 3);
        line.push_str(label);
        for part in [client_random, secret] {
            line.push(' ');
            for byte in part {
                for digit in [byte >> 4, byte & 15] {
                    line.extend(char::from_digit(u32::from(digit), 16));
                }
            }
        }
        line.push('\n');
        if let Ok(mut writer) = self.writer.lock() {
            let _ = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
        }
    }
}
