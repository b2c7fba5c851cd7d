//! What goes over connections, for a person (`-v`), for `gannet replay` (`--record-wire`) and for
//! the variables of `-w` that only the socket knows.
//!
//! Owns curl's habit of `*`, `>`, `<`; secrets are masked in both forms.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::Instant;
use crate::cli::secrets::hide;
use crate::cli::stdio::safe;
use crate::fetch::is_secret;
use crate::net::tap::{Tap, Tapped, What};
use crate::proto::wire::{End, Recorder};

/// A line of a head that is longer is shown in part.
const LONGEST: usize = 16 * 1024;

/// Shared between the fetcher, which feeds it, and the desk, which reads it. Both are of one
/// thread, but a fetcher can be handed to another.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Watch>>);

impl Shared {
    /// An onlooker.
    pub fn new(interest: Interest) -> Self {
        let mut watch = Watch::default();
        watch.interest = interest;
        Self(Arc::new(Mutex::new(watch)))
    }

    /// What to give to a new fetcher, whose wires are recorded in `folder`. Those of an earlier one
    /// keep their files and numbers.
    pub fn tap(&self, folder: Option<PathBuf>) -> Tap {
        let mut watch = self.borrow();
        watch.folder = folder;
        watch.before = watch.highest;
        let theirs = self.clone();
        Box::new(move |event| theirs.borrow().hear(event))
    }

    /// The onlooker, to oneself. What it knows is good even if whoever held it panicked.
    pub fn borrow(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is looked for, beside what is counted always.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interest {
    /// What a person reads (`-v`).
    pub lines: bool,
    /// Certificates are kept, as long as their connection lasts.
    pub certificates: bool,
}

/// The onlooker.
#[derive(Default)]
pub struct Watch {
    interest: Interest,
    folder: Option<PathBuf>,
    /// By their number in this run: those of a fetcher follow those of the one before it.
    conns: HashMap<u64, Conn>,
    /// The highest number so far,
    highest: u64,
    /// and what it was before the fetcher that is at work.
    before: u64,
    /// Bytes of requests, of all connections,
    pub sent: u64,
    /// and how many somebody has asked for.
    told: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// The first thing that went wrong with recording.
    pub failed: Option<String>,
    buffer: Vec<u8>,
}

/// One connection.
#[derive(Default)]
struct Conn {
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    begun: Option<Instant>,
    /// When something happened last, in microseconds.
    last: u64,
    /// Something came since the last request began.
    answered: bool,
    out: Half,
    back: Half,
    certificates: Vec<Vec<u8>>,
    record: Option<(Recorder, File)>,
}

/// One direction: within a head or within a body.
#[derive(Default)]
struct Half {
    in_body: bool,
    line: Vec<u8>,
    first: bool,
    interim: bool,
    bytes: u64,
}

impl Watch {
    /// What a connection of the fetcher that is at work is called in this run.
    pub const fn number(&self, conn: u64) -> u64 {
        self.before + conn
    }

    /// Our end of a connection of the fetcher that is at work.
    pub fn local(&self, conn: u64) -> Option<SocketAddr> {
        self.conns.get(&self.number(conn))?.local
    }

    /// What the server of a connection showed, as DER.
    pub fn certificates(&self, conn: u64) -> Vec<Vec<u8>> {
        let conn = self.conns.get(&self.number(conn));
        conn.map(|conn| conn.certificates.clone()).unwrap_or_default()
    }

    /// Bytes of requests since it was asked last.
    pub fn sent_since(&mut self) -> u64 {
        self.sent - std::mem::replace(&mut self.told, self.sent)
    }

    fn hear(&mut self, event: &Tapped<'_>) {
        let folder = self.folder.as_deref();
        let number = self.number(event.conn);
        self.highest = self.highest.max(number);
        let conn = self.conns.entry(number).or_default();
        let begun = *conn.begun.get_or_insert(event.at);
        let micros = (event.at - begun).as_micros() as u64;
        conn.last = micros;
        match event.what {
            What::Connected { remote, local } => {
                self.opened += 1;
                conn.local = local;
                conn.remote = Some(remote);
                if self.interest.lines {
                    say_line!("* #{number} connected to {remote}");
                }
                if let Some(folder) = folder {
                    self.buffer.clear();
                    let recorder = Recorder::begin(&mut self.buffer, &remote.to_string());
                    let path = folder.join(format!("conn-{number:06}.wire"));
                    match File::create(&path) {
                        Ok(file) => conn.record = Some((recorder, file)),
                        Err(error) => {
                            self.failed
                                .get_or_insert(format!("can't write {}: {error}", path.display()));
                        }
                    }
                }
            }
            What::Secured(tls) => {
                if self.interest.lines {
                    let again = if tls.resumed { ", resumed" } else { "" };
                    say_line!("* #{number} {} with {}{again}", tls.version, tls.cipher);
                }
            }
            What::Certificates(chain) => {
                if self.interest.certificates {
                    conn.certificates = chain.iter().map(|der| der.to_vec()).collect();
                }
            }
            What::Sent(bytes) => {
                self.sent += bytes.len() as u64;
                if conn.answered || conn.out.bytes == 0 {
                    conn.answered = false;
                    conn.out = Half { first: true, ..Half::default() };
                    conn.back = Half { first: true, ..Half::default() };
                    if let Some((recorder, _)) = &mut conn.record {
                        recorder.next_exchange();
                    }
                }
                conn.out.bytes += bytes.len() as u64;
                if self.interest.lines {
                    conn.out.show('>', bytes);
                }
                if let Some((recorder, _)) = &mut conn.record {
                    recorder.sent(&mut self.buffer, micros, bytes);
                }
            }
            What::Received(bytes) => {
                conn.answered = true;
                if self.interest.lines {
                    conn.back.show('<', bytes);
                }
                if let Some((recorder, _)) = &mut conn.record {
                    recorder.received(&mut self.buffer, micros, bytes);
                }
            }
            What::End(how) => {
                if self.interest.lines && conn.remote.is_some() {
                    say_line!("* #{number} {}", ending(how));
                }
                if let Some(mut conn) = self.conns.remove(&number)
                    && let Some((recorder, mut file)) = conn.record.take()
                {
                    recorder.end(&mut self.buffer, micros, how);
                    let result = file.write_all(&self.buffer);
                    note(&mut self.failed, result);
                }
                self.buffer.clear();
                return;
            }
        }
        if let Some((_, file)) = &mut conn.record {
            let result = file.write_all(&self.buffer);
            note(&mut self.failed, result);
        }
        self.buffer.clear();
    }
}

/// What is still open when the run is over is closed by us.
impl Drop for Watch {
    fn drop(&mut self) {
        for conn in self.conns.values_mut() {
            if let Some((recorder, mut file)) = conn.record.take() {
                self.buffer.clear();
                recorder.end(&mut self.buffer, conn.last, End::Closed);
                // Nobody is left to be told; the record is whole without its last line.
                let _ = file.write_all(&self.buffer);
            }
        }
    }
}

fn note(failed: &mut Option<String>, result: std::io::Result<()>) {
    if let Err(error) = result {
        failed.get_or_insert(format!("can't record the wire: {error}"));
    }
}

fn ending(how: End) -> &'static str {
    match how {
        End::Eof => "closed by the server",
        End::Truncated => "cut off by the server",
        End::Reset => "reset",
        End::Closed => "closed",
    }
}

impl Half {
    fn show(&mut self, mark: char, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.in_body {
            let end = rest.iter().position(|&byte| byte == b'\n');
            let (piece, after) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
            rest = after;
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if end.is_some() {
                self.head_line(mark);
            }
        }
        if !rest.is_empty() {
            say_line!("{} [{} bytes data]", if mark == '>' { '}' } else { '{' }, rest.len());
        }
    }

    fn head_line(&mut self, mark: char) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii_end();
        if std::mem::take(&mut self.first) {
            self.interim = line.get(9) == Some(&b'1');
        }
        say_line!("{mark} {}", safe(&masked(&String::from_utf8_lossy(line))));
        if line.is_empty() {
            // After an interim answer another head follows.
            self.in_body = !std::mem::take(&mut self.interim);
            self.first = true;
        }
    }
}

/// A field line without its secret.
fn masked(line: &str) -> String {
    match line.split_once(':') {
        Some((name, value)) if is_secret(name) => {
            // The scheme tells what kind of secret it is, and is none itself.
            let scheme = value.trim().split_once(' ').map_or("", |(scheme, _)| scheme);
            let scheme =
                if name.to_ascii_lowercase().ends_with("authorization") { scheme } else { "" };
            format!("{name}: {scheme}{}***", if scheme.is_empty() { "" } else { " " })
        }
        // No request line: their targets have colons, too.
        Some((name, value)) if !name.contains(' ') => {
            format!("{name}:{}", String::from_utf8_lossy(&hide(value.as_bytes())))
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (line, want) in [
            ("Authorization: Basic YTpi", "Authorization: Basic ***"),
            ("cookie: a=b; c=d", "cookie: ***"),
            ("Set-Cookie: a=b", "Set-Cookie: ***"),
            ("Accept: */*", "Accept: */*"),
            ("Location: http://u:p@h/", "Location: http://***@h/"),
            ("GET //a@b:1 HTTP/1.1", "GET //a@b:1 HTTP/1.1"),
            ("GET / HTTP/1.1", "GET / HTTP/1.1"),
        ] {
            assert_eq!(masked(line), want);
        }
    }

    #[test]
    fn wires_are_recorded_by_connection() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Shared::new(Interest { certificates: true, ..Interest::default() });
        let mut tap = watch.tap(Some(dir.path().to_owned()));
        let remote: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let mut say = |what| tap(&Tapped { conn: 1, at: Instant::ZERO, what });
        say(What::Connected { remote, local: Some(remote) });
        say(What::Sent(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\n\r\n"));
        say(What::Received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"));
        say(What::Certificates(&[b"der"]));
        assert_eq!(watch.borrow().local(1), Some(remote));
        assert_eq!(watch.borrow().certificates(1), [b"der"]);
        say(What::End(End::Eof));
        let counts = |watch: &Watch| (watch.sent, watch.opened);
        assert_eq!(counts(&watch.borrow()), (54, 1));
        let file = std::fs::read(dir.path().join("conn-000001.wire")).unwrap();
        assert!(!file.windows(4).any(|four| four == b"YTpi"));
        let outcome =
            crate::proto::replay::replay(&file, &crate::proto::Limits::default(), &mut |_| {});
        assert_eq!((outcome.answers, outcome.content, outcome.error), (1, 2, None));
    }
}
