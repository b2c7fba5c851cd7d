//! The simple door: a handful of URLs, whole responses, in a dozen lines.
//!
//! `cargo run --example simple -- https://example.org/ https://example.com/`

use gannet::Fetcher;
use gannet::fetch::Options;

/// Fetches them all; a line for each, in the order in which they end.
pub fn run(urls: impl Iterator<Item = String>) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut fetcher = Fetcher::new(Options::default())?;
    for url in urls {
        fetcher.get(&url)?;
    }
    let mut lines = Vec::new();
    for response in fetcher.run() {
        let response = response?;
        lines.push(match &response.result {
            Ok(status) => {
                format!("{status} {} ({} bytes)", response.final_url, response.body.len())
            }
            Err(error) => format!("{} failed: {error}", response.url),
        });
    }
    Ok(lines)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in run(std::env::args().skip(1))? {
        println!("{line}");
    }
    Ok(())
}
