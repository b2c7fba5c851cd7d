//! A client as it is usually written: 64 workers, a pool that keeps two connections, no repeat.
//!
//! What Go's `http.Transport` does by default (`MaxIdleConnsPerHost` is 2) when a program starts
//! 64 goroutines. It reads answers properly; all that it lacks is what this program is about.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Requests at once.
const WORKERS: usize = 64;
/// Connections that are kept.
const POOL: usize = 2;

/// Fetches so many URLs and says how many failed.
pub fn fetch(server: SocketAddr, urls: u32, size: u32) -> u32 {
    let next = AtomicU32::new(0);
    let failed = AtomicU32::new(0);
    let pool = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= urls {
                        break;
                    }
                    if get(server, &format!("/bytes/{size}?n={n}"), &pool).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner()
}

type Pool = Mutex<Vec<BufReader<TcpStream>>>;

fn get(server: SocketAddr, target: &str, pool: &Pool) -> io::Result<()> {
    let kept = pool.lock().map_err(|_| io::Error::other("a worker panicked"))?.pop();
    let mut connection = match kept {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            BufReader::new(stream)
        }
    };
    let request = format!("GET {target} HTTP/1.1\r\nHost: {server}\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    let mut length = 0;
    let mut keep = true;
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let field = line.trim_end().to_ascii_lowercase();
        if field.is_empty() {
            break;
        }
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        keep &= field != "connection: close";
    }
    io::copy(&mut Read::by_ref(&mut connection).take(length), &mut io::sink())?;
    if let Ok(mut pool) = pool.lock()
        && keep
        && pool.len() < POOL
    {
        pool.push(connection);
    }
    Ok(())
}
