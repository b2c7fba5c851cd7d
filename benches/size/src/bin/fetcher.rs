//! URLs: with redirects, names, TLS and decoding.

use gannet::Fetcher;
use gannet::fetch::Options;

fn main() {
    let Ok(mut fetcher) = Fetcher::new(Options::tiny()) else { return };
    let host = std::env::args().nth(1).unwrap_or_default();
    let port = std::env::args().nth(2).unwrap_or_default();
    if fetcher.get(&format!("http://{host}:{port}/")).is_ok() {
        while let Ok(Some(response)) = fetcher.next() {
            println!("{:?} {}", response.result, response.body.len());
        }
    }
}
