//! The engine alone, over one blocking socket after the other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use gannet::base::Instant;
use gannet::engine::{
    Action, Advice, Cause, Config, ConnKey, Ctl, Engine, Fault, Handler, JobRef, Loss, Origin, Report, Request, Resume, Scheme,
};
use gannet::proto::{Body, Head};

struct Count(u64);

impl Handler for Count {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::Never)
    }
    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        println!("{:?} {}", report.result, self.0);
    }
}

fn main() {
    let (host, port) = (std::env::args().nth(1).unwrap_or_default(), std::env::args().nth(2));
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(80);
    let start = std::time::Instant::now();
    let now = || Instant::from_nanos(start.elapsed().as_nanos() as u64);
    let mut engine = Engine::new(Config { max_connections: 1, ..Config::tiny() });
    let host = engine.host(&Origin { scheme: Scheme::Http, host: &host, port });
    let _ = engine.submit(&Request::get(host, "/"), now());
    let (mut count, mut streams, mut out) = (Count(0), Vec::<(ConnKey, TcpStream)>::new(), Vec::new());
    let mut buffer = [0; 4096];
    while engine.held() > 0 {
        engine.poll(now(), &mut count);
        while let Some(action) = engine.next_action() {
            match action {
                Action::Open { conn, address } => match TcpStream::connect(address) {
                    Ok(stream) => {
                        streams.push((conn, stream));
                        engine.connected(conn, now(), &mut count);
                    }
                    Err(_) => engine.lost(conn, Loss::Fault(Fault::new(Cause::Refused)), now(), &mut count),
                },
                Action::Transmit(conn) => {
                    out.clear();
                    engine.outgoing(conn, &mut out, now(), &mut count);
                    if let Some((_, stream)) = streams.iter_mut().find(|(key, _)| *key == conn)
                        && stream.write_all(&out).is_ok()
                    {
                        engine.wrote(conn, out.len(), true, now());
                    }
                }
                Action::Close { conn, .. } => streams.retain(|(key, _)| *key != conn),
                _ => {}
            }
        }
        if let Some((conn, stream)) = streams.first_mut() {
            let conn = *conn;
            match stream.read(&mut buffer) {
                Ok(0) => engine.ended(conn, true, now(), &mut count),
                Ok(read) => drop(engine.received(conn, &buffer[..read], now(), &mut count)),
                Err(_) => engine.lost(conn, Loss::Fault(Fault::new(Cause::Reset)), now(), &mut count),
            }
        }
        engine.tick(now(), &mut count);
    }
}
