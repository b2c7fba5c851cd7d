//! The job of `benches/peers/multi.c` in Rust. usage: list CONCURRENCY [CAFILE] < urls > records

use std::sync::Arc;

use gannet::Fetcher;
use gannet::engine::PerHost;
use gannet::fetch::{Answer, Control, Options, Outcome, Profile, Request, Ticket, Url, UrlRules, Visitor, Want};
use gannet::tls::Roots;

struct Records;

impl Visitor for Records {
    fn head(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &Answer<'_>) -> Want {
        Want::Body
    }
    fn body(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &[u8]) {}
    fn done(&mut self, _: &mut Control<'_, '_>, _: Ticket, outcome: &Outcome<'_>) {
        let code = outcome.result.err().map_or(0, |error| error.exit().code());
        println!("{} {} {} {code}", outcome.url, outcome.status.unwrap_or(0), outcome.body_bytes);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let together = std::env::args().nth(1).map_or(Ok(64), |text| text.parse())?;
    let mut options = Options::default();
    options.engine.per_host = PerHost::Fixed(together);
    options.engine.max_jobs = 2 * u32::from(together);
    if let Some(path) = std::env::args().nth(2) {
        options.tls.roots = Roots::Pem(vec![std::fs::read(path)?]);
    }
    let mut fetcher = Fetcher::new(options)?;
    let profile = Arc::new(Profile::default());
    let mut urls = std::io::stdin().lines().peekable();
    while urls.peek().is_some() || !fetcher.is_idle() {
        while fetcher.wants() > 0 && let Some(url) = urls.next() {
            let url = Url::parse(&url?, &UrlRules::default())?;
            fetcher.submit(&Request { url, tag: 0, profile: Arc::clone(&profile) })?;
        }
        fetcher.turn(None, &mut Records)?;
    }
    Ok(())
}
