//! hyper 1 + hyper-util on one thread. usage: peer-hyper CONCURRENCY [CAFILE] < urls > records
use std::cell::RefCell;
use std::io::{BufRead, BufWriter, Write};
use std::rc::Rc;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

fn main() {
    let mut args = std::env::args().skip(1);
    let concurrency: usize = args.next().map_or(64, |n| n.parse().unwrap());
    let mut roots = rustls::RootCertStore::empty();
    if let Some(file) = args.next() {
        let mut pem = std::io::BufReader::new(std::fs::File::open(file).unwrap());
        for certificate in rustls_pemfile::certs(&mut pem) {
            roots.add(certificate.unwrap()).unwrap();
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let urls = Rc::new(RefCell::new(std::io::stdin().lock().lines()));
        let out = Rc::new(RefCell::new(BufWriter::new(std::io::stdout())));
        let mut tasks = Vec::new();
        for _ in 0..concurrency {
            let (client, urls, out) = (client.clone(), urls.clone(), out.clone());
            tasks.push(tokio::task::spawn_local(async move {
                loop {
                    let Some(Ok(url)) = urls.borrow_mut().next() else { break };
                    let record = match client.get(url.parse().unwrap()).await {
                        Ok(response) => {
                            let status = response.status();
                            let mut body = response.into_body();
                            let mut bytes = 0;
                            while let Some(Ok(frame)) = body.frame().await {
                                bytes += frame.data_ref().map_or(0, Bytes::len);
                            }
                            format!("{url} {} {bytes}\n", status.as_u16())
                        }
                        Err(error) => format!("{url} error {error:?}\n"),
                    };
                    out.borrow_mut().write_all(record.as_bytes()).unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        out.borrow_mut().flush().unwrap();
    });
}
