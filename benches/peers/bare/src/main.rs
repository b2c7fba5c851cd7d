//! The floor of what TLS costs: rustls on a blocking socket and nothing else, one connection after the other.
//! usage: peer-bare ADDRESS PORT PATH CONNECTIONS full|resumed CAFILE
//! Each connection: connect, handshake, one GET, the answer read to the server's close or to its length, close.
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, port, path, connections, kind, roots_file] = &arguments[..] else {
        eprintln!("usage: peer-bare ADDRESS PORT PATH CONNECTIONS full|resumed CAFILE");
        std::process::exit(2);
    };
    let address: IpAddr = address.parse().unwrap();
    let port: u16 = port.parse().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(roots_file).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    if kind == "full" {
        config.resumption = Resumption::disabled();
    }
    let config = Arc::new(config);
    let name = ServerName::IpAddress(address.into());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\nUser-Agent: bare\r\nAccept: */*\r\n\r\n");
    let mut buffer = vec![0; 1 << 18];
    for _ in 0..connections.parse::<usize>().unwrap() {
        let mut socket = TcpStream::connect((address, port)).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut session = ClientConnection::new(config.clone(), name.clone()).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        stream.write_all(request.as_bytes()).unwrap();
        let (mut head, mut left) = (Vec::new(), None);
        while left != Some(0) {
            let got = match stream.read(&mut buffer) {
                Ok(got) if got > 0 => got,
                other => panic!("cut short: {other:?}"),
            };
            left = match left {
                Some(left) => Some(left - got),
                None => {
                    head.extend_from_slice(&buffer[..got]);
                    whole_head(&head).map(|(end, length)| length + end - head.len())
                }
            };
        }
    }
}

/// Where the head ends, and how many bytes of body it promises.
fn whole_head(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..end]).unwrap().to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap().trim();
    Some((end, length.parse().unwrap()))
}
