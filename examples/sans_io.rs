//! The engine alone, over blocking sockets in one thread: `cargo run --example sans_io -- 127.0.0.1:8080 1000`
//!
//! Uses `base`, `proto` and `engine` only (`--no-default-features`): bytes, time and randomness go
//! in; bytes, actions and events come out. On a machine without an operating system, put its own
//! TCP in the place of `TcpStream`.

use std::collections::HashMap;
use std::error::Error;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant as Clock};

use gannet::base::Instant;
use gannet::engine::{
    Action, Cause, Config, ConnKey, Engine, Fault, Loss, Origin, PerHost, Request, Scheme,
};

#[path = "tally/mod.rs"]
pub mod tally;
use tally::Tally;

/// Fetches so many bodies from `server`, over one connection at a time: reading blocks.
pub fn run(server: SocketAddr, count: u64) -> Result<Tally, Box<dyn Error>> {
    let config = Config { max_connections: 1, per_host: PerHost::Fixed(1), ..Config::tiny() };
    let mut engine = Engine::try_new(config)?;
    let mut tally = Tally::default();
    let mut streams: HashMap<ConnKey, TcpStream> = HashMap::new();
    let (mut out, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    let start = Clock::now();
    let clock = || Instant::from_nanos(u64::try_from(start.elapsed().as_nanos()).unwrap_or(0));
    // An address in place of a name: no `Action::Resolve` will come.
    let name = server.ip().to_string();
    let host = engine.host(&Origin { scheme: Scheme::Http, host: &name, port: server.port() });
    let mut submitted = 0;

    while tally.done() < count {
        while submitted < count && engine.wants() > 0 {
            let target = format!("/bytes/1000?{submitted}");
            engine.submit(&Request::get(host, &target).tag(submitted), clock())?;
            submitted += 1;
        }
        engine.poll(clock(), &mut tally);
        while let Some(action) = engine.next_action() {
            match action {
                Action::Open { conn, address } => match TcpStream::connect(address) {
                    Ok(stream) => {
                        streams.insert(conn, stream);
                        engine.connected(conn, clock(), &mut tally);
                    }
                    Err(_) => {
                        let loss = Loss::Fault(Fault::new(Cause::Refused));
                        engine.lost(conn, loss, clock(), &mut tally);
                    }
                },
                Action::Transmit(conn) => {
                    let Some(stream) = streams.get_mut(&conn) else { continue };
                    out.clear();
                    engine.outgoing(conn, &mut out, clock(), &mut tally);
                    if !out.is_empty() && stream.write_all(&out).is_ok() {
                        engine.wrote(conn, out.len(), true, clock());
                    }
                }
                Action::Finish(conn) => {
                    if let Some(stream) = streams.get(&conn) {
                        // The peer may be gone: its end is read next.
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                }
                Action::Close { conn, .. } => drop(streams.remove(&conn)),
                // Reading goes on by itself; TLS and names are not asked for here.
                _ => {}
            }
            engine.poll(clock(), &mut tally);
        }
        // All there is to do now is to wait for bytes, or for the next deadline.
        let wait = engine.next_deadline().map_or(Duration::from_secs(1), |at| at - clock());
        let wait = wait.max(Duration::from_millis(1));
        match streams.iter_mut().next() {
            None => std::thread::sleep(wait),
            Some((&conn, stream)) => {
                stream.set_read_timeout(Some(wait))?;
                match stream.read(&mut buffer) {
                    Ok(0) => engine.ended(conn, true, clock(), &mut tally),
                    Ok(count) => {
                        let bytes = buffer.get(..count).unwrap_or_default();
                        engine.received(conn, bytes, clock(), &mut tally);
                    }
                    Err(error)
                        if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(_) => {
                        let loss = Loss::Fault(Fault::new(Cause::Reset));
                        engine.lost(conn, loss, clock(), &mut tally);
                    }
                }
            }
        }
        engine.tick(clock(), &mut tally);
    }
    Ok(tally)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: sans_io ADDRESS:PORT COUNT");
    let (server, count) = (next()?.parse()?, next()?.parse()?);
    let tally = run(server, count)?;
    tally.lines().iter().for_each(|line| println!("{line}"));
    Ok(())
}
