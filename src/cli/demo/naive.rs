//! A client as it is usually written: 64 workers, a pool that keeps two connections a host, no
//! repeat.
//!
//! What Go's `http.Transport` does by default (`MaxIdleConnsPerHost` is 2) when a program starts
//! 64 goroutines. It reads answers properly and tries all addresses of a name; all that it lacks is
//! what this program is about.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Requests at once.
const WORKERS: usize = 64;
/// Connections that are kept, of each host.
const POOL: usize = 2;

/// Fetches these URLs, names being at `addresses`, until then; says how many were answered well, and
/// how many failed.
pub fn fetch(urls: &[String], addresses: &[SocketAddr], until: Instant) -> (u32, u32) {
    let next = AtomicUsize::new(0);
    let (ok, failed) = (AtomicU32::new(0), AtomicU32::new(0));
    let client = Client { addresses, until, pool: Mutex::default() };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(url) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let is_well = client.get(url).is_ok_and(|status| status < 400);
                    // Nothing failed for which there was no time.
                    if Instant::now() >= until {
                        break;
                    }
                    let count = if is_well { &ok } else { &failed };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    (ok.into_inner(), failed.into_inner())
}

/// What the workers share.
struct Client<'a> {
    addresses: &'a [SocketAddr],
    until: Instant,
    /// Connections that wait, by host.
    pool: Mutex<HashMap<String, Vec<BufReader<TcpStream>>>>,
}

impl Client<'_> {
    fn get(&self, url: &str) -> io::Result<u16> {
        let (host, path) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .ok_or(io::ErrorKind::InvalidInput)?;
        let kept = self.pool()?.get_mut(host).and_then(Vec::pop);
        let mut connection = match kept {
            Some(connection) => connection,
            None => BufReader::new(self.connect(host)?),
        };
        connection.get_ref().set_read_timeout(Some(self.left()))?;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        connection.get_mut().write_all(request.as_bytes())?;
        let (status, is_kept) = answer(&mut connection)?;
        let mut pool = self.pool()?;
        let kept = pool.entry(host.to_owned()).or_default();
        if is_kept && kept.len() < POOL {
            kept.push(connection);
        }
        Ok(status)
    }

    fn pool(&self) -> io::Result<MutexGuard<'_, HashMap<String, Vec<BufReader<TcpStream>>>>> {
        self.pool.lock().map_err(|_| io::Error::other("a worker panicked"))
    }

    /// No wait is longer than this.
    fn left(&self) -> Duration {
        let left = self.until.saturating_duration_since(Instant::now());
        left.max(Duration::from_millis(1))
    }

    fn connect(&self, host: &str) -> io::Result<TcpStream> {
        let typed = host.parse::<SocketAddr>();
        let addresses = typed.as_ref().map_or(self.addresses, std::slice::from_ref);
        let mut connected = Err(io::ErrorKind::AddrNotAvailable.into());
        for address in addresses {
            connected = TcpStream::connect_timeout(address, self.left());
            if connected.is_ok() {
                break;
            }
        }
        let stream = connected?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Reads an answer to its end: its status, and whether the connection can be kept.
fn answer(connection: &mut BufReader<TcpStream>) -> io::Result<(u16, bool)> {
    let mut line = String::new();
    let mut status = None;
    let mut length = 0;
    let mut is_kept = true;
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let field = line.trim_end().to_ascii_lowercase();
        if field.is_empty() {
            break;
        }
        if status.is_none() {
            status = field.split(' ').nth(1).and_then(|word| word.parse().ok());
        }
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        is_kept &= field != "connection: close";
    }
    let body = io::copy(&mut Read::by_ref(connection).take(length), &mut io::sink())?;
    if body < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, is_kept))
}
