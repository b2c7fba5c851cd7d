//! The driver over mio; with TLS and with names where the features are on.

use gannet::engine::{Advice, Config, Ctl, Engine, Handler, JobRef, Origin, Report, Request, Resume, Scheme};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig};
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
    let (name, port) = (std::env::args().nth(1).unwrap_or_default(), std::env::args().nth(2));
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(80);
    let Ok(net) = Mio::new(64) else { return };
    let mut driver = Driver::new(Engine::new(Config::tiny()), net, DriverConfig::tiny());
    #[allow(unused_mut, reason = "TLS changes it")]
    let mut scheme = Scheme::Http;
    #[cfg(feature = "tls")]
    {
        let Ok(config) = gannet::tls::Config::new(gannet::tls::Options::tiny()) else { return };
        driver = driver.with_tls(config);
        if std::env::args().nth(3).is_some() {
            scheme = Scheme::Https;
        }
    }
    #[cfg(feature = "dns")]
    {
        let resolver = gannet::dns::Resolver::new(gannet::dns::Config::default());
        // A program that asks strangers brings better randomness; this one is only weighed.
        driver = driver.with_names(gannet::net::Names::new(resolver, || 4));
    }
    let host = driver.host(&Origin { scheme, host: &name, port });
    let mut count = Count(0);
    if driver.submit(&Request::get(host, "/")).is_ok() {
        while driver.engine().held() > 0 && driver.turn(None, &mut count).is_ok() {}
    }
}
