//! What Rust's standard library takes when it opens one socket: the rest of each size is gannet's.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

fn main() {
    let address = std::env::args().nth(1).unwrap_or_default();
    let mut buffer = [0; 64];
    let count = TcpStream::connect(address)
        .and_then(|mut stream| stream.write_all(b"GET / HTTP/1.0\r\n\r\n").map(|()| stream))
        .and_then(|mut stream| stream.read(&mut buffer));
    println!("{count:?}");
}
