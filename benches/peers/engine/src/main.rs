//! The engine without the command: no list, no records, nothing kept. What the floor program leaves
//! out is here (heads parsed, phases timed, limits and retries), what the command adds is not.
//! usage: peer-engine ADDRESS PORT PATH REQUESTS CONNECTIONS

use std::error::Error;

use gannet::engine::{
    Advice, Config, Ctl, Engine, Handler, JobRef, Origin, PerHost, Report, Request, Resume, Scheme,
};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, Head};

#[derive(Default)]
struct Count {
    whole: u64,
    failed: u64,
    bytes: u64,
}

impl Handler for Count {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::ByETag)
    }

    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
    }

    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        match report.result {
            Ok(200) => self.whole += 1,
            _ => self.failed += 1,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, port, path, requests, connections] = &words[..] else {
        return Err("usage: peer-engine ADDRESS PORT PATH REQUESTS CONNECTIONS".into());
    };
    let (requests, connections): (u64, u16) = (requests.parse()?, connections.parse()?);
    let config = Config {
        max_connections: u32::from(connections),
        per_host: PerHost::Fixed(connections),
        ..Config::default()
    };
    let mut driver = Driver::new(Engine::try_new(config)?, Mio::new(256)?, DriverConfig::default());
    let origin = Origin { scheme: Scheme::Http, host: address, port: port.parse()? };
    let host = driver.host(&origin);
    let mut count = Count::default();
    let mut submitted = 0;
    while count.whole + count.failed < requests {
        // One behind each that runs is enough.
        while submitted < requests && driver.engine().held() < usize::from(connections) * 2 {
            driver.submit(&Request::get(host, path).tag(submitted))?;
            submitted += 1;
        }
        driver.turn(None, &mut count)?;
    }
    if count.failed > 0 {
        return Err(format!("{} failed", count.failed).into());
    }
    println!("{} whole, {} bytes", count.whole, count.bytes);
    Ok(())
}
