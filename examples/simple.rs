//! The simple door: a handful of URLs, whole responses, in a dozen lines.
//!
//! `cargo run --example simple -- https://example.org/ https://example.com/`

use gannet::Fetcher;
use gannet::fetch::Options;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut fetcher = Fetcher::new(Options::default())?;
    for url in std::env::args().skip(1) {
        fetcher.get(&url)?;
    }
    while let Some(response) = fetcher.next()? {
        match &response.result {
            Ok(status) => {
                println!("{status} {} ({} bytes)", response.final_url, response.body.len());
            }
            Err(error) => println!("{} failed: {error}", response.url),
        }
    }
    Ok(())
}
