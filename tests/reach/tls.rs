//! TLS through the built binary: what is trusted, and what is said when it is not.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gannet::origin::traffic::TlsVersion;
use gannet::origin::{Running, Script, presets, spawn};
use rcgen::CertificateParams;

use super::common::{Gannet, Run, records};
use super::tls_common::{Authority, ECDSA, Identity, authority, pem, self_signed, signed};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

pub(super) fn script(identity: &Identity) -> Script {
    presets::tls(&text(identity.chain_pem()), &text(identity.key_pem()))
}

/// A server for `names` whose authority is in the folder's `ca.pem`.
struct Place {
    gannet: Gannet,
    server: Running,
    identity: Identity,
    authority: Authority,
}

fn place(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Place {
    let authority = authority("Test Root");
    let identity = signed(&authority, names, ECDSA, change);
    let gannet = Gannet::new();
    fs::write(gannet.path("ca.pem"), pem(authority.der())).unwrap();
    let server = spawn(script(&identity)).unwrap();
    Place { gannet, server, identity, authority }
}

impl Place {
    fn run(&self, args: &[&str], url: &str) -> Run {
        self.gannet.args(["-sS", "--retry", "0"]).args(args).args([url]).run()
    }

    /// The record of a batch of one.
    fn record(&self, args: &[&str], url: &str) -> serde_json::Value {
        let run = self.gannet.args(["-i", "-", "--retry", "0"]).args(args).stdin(url).run();
        records(&run.out).remove(0)
    }
}

#[test]
fn authorities_come_from_where_curl_takes_them() {
    let place = place(&["localhost", "127.0.0.1"], |_| {});
    let url = place.server.url("/bytes/3");
    assert_eq!(place.run(&[], &url).code, 60, "nobody vouches for it");
    assert_eq!(place.run(&["--cacert", "ca.pem"], &url).code, 0);
    assert_eq!(place.run(&["--cacert", "nosuch.pem"], &url).code, 77);
    assert_eq!(place.run(&["-k"], &url).code, 0);
    let folder = place.gannet.path("folder");
    fs::create_dir(&folder).unwrap();
    fs::copy(place.gannet.path("ca.pem"), folder.join("one.pem")).unwrap();
    let (file, folder) = (place.gannet.path("ca.pem"), folder.to_str().unwrap().to_owned());
    let file = file.to_str().unwrap();
    for (name, value) in
        [("CURL_CA_BUNDLE", file), ("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder.as_str())]
    {
        let run = place.gannet.clone().env(name, value).args(["-sS", &url]).run();
        assert_eq!(run.code, 0, "{name}: {}", run.err);
    }
    // It replaces: what the environment names does not count beside --cacert.
    fs::write(place.gannet.path("other.pem"), pem(authority("Other").der())).unwrap();
    let environment = place.gannet.clone().env("SSL_CERT_FILE", file);
    let run = environment.args(["-sS", "--cacert", "other.pem", &url]).run();
    assert_eq!(run.code, 60, "{}", run.err);
    // What the environment names is read when TLS needs it, and then it must be good.
    fs::write(place.gannet.path("garbage.pem"), "no certificate").unwrap();
    let garbage = place.gannet.path("garbage.pem").display().to_string();
    let run = place.gannet.clone().env("SSL_CERT_FILE", &garbage).args(["-sS", &url]).run();
    assert_eq!(run.code, 77, "{}", run.err);
    let plain = spawn(Script::new()).unwrap();
    for (url, code) in [(&url, 77), (&plain.url("/bytes/3"), 0)] {
        let run = place.gannet.clone().env("CURL_CA_BUNDLE", "nosuch.pem").args(["-sS", url]).run();
        assert_eq!(run.code, code, "{}", run.err);
        assert_eq!(run.err.contains("nosuch.pem"), code > 0, "{}", run.err);
    }
    // By name and by address; and that nothing was checked is said.
    let name = url.replace("127.0.0.1", "localhost");
    assert_eq!(place.run(&["--cacert", "ca.pem"], &name).code, 0);
    let record = place.record(&["-k"], &url);
    assert!(record["warnings"][0].as_str().unwrap().contains("-k"), "{record}");
}

/// Kind, message and hint.
fn said(record: &serde_json::Value) -> (String, String, String) {
    let of = |name: &str| record["error"][name].as_str().unwrap_or("").to_owned();
    (of("kind"), of("message"), of("hint"))
}

#[test]
fn errors_say_what_is_wrong_in_one_sentence_and_what_to_do() {
    let trust = ["--cacert", "ca.pem"];
    // Another name: the certificate's own are listed.
    let wrong = place(&["one.example", "two.example"], |_| {});
    let url = wrong.server.url("/");
    let record = wrong.record(&trust, &url);
    let (kind, message, hint) = said(&record);
    assert_eq!(kind, "tls_certificate_name");
    // There was a connection, and a new one.
    assert_eq!(record["error"]["fresh_or_reused"], "fresh", "{record}");
    assert!(message.contains("one.example") && message.contains("two.example"), "{message}");
    assert!(message.contains("127.0.0.1") && hint.contains("--resolve"), "{message} {hint}");
    // Expired: its date and ours.
    let old = place(&["127.0.0.1"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    });
    let (kind, message, hint) = said(&old.record(&trust, &old.server.url("/")));
    assert_eq!(kind, "tls_certificate_expired");
    assert!(message.contains("2021-02-03") && message.matches("20").count() >= 2, "{message}");
    assert!(hint.contains("clock"), "{hint}");
    let young = place(&["127.0.0.1"], |params| {
        params.not_before = rcgen::date_time_ymd(2098, 1, 1);
        params.not_after = rcgen::date_time_ymd(2099, 1, 1);
    });
    let (kind, message, _) = said(&young.record(&trust, &young.server.url("/")));
    assert_eq!(kind, "tls_certificate_not_yet_valid");
    assert!(message.contains("2098-01-01"), "{message}");
    // Nobody vouches for it; signed by itself.
    let (kind, message, hint) = said(&wrong.record(&[], &url));
    assert_eq!(kind, "tls_unknown_issuer");
    assert!(message.contains("Test Root") && hint.contains("--cacert"), "{message} {hint}");
    let alone = self_signed(&["127.0.0.1"], |_| {});
    let server = spawn(script(&alone)).unwrap();
    let (kind, message, hint) = said(&wrong.record(&[], &server.url("/")));
    assert_eq!(kind, "tls_self_signed");
    assert!(message.contains("alone") && hint.contains("--cacert"), "{message} {hint}");
    // Plain HTTP where TLS is expected, and the other way round.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = format!("https://{}/", plain.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = plain.accept().unwrap();
        // As nginx and others do.
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let (kind, _, hint) = said(&wrong.record(&[], &tls));
    assert_eq!(kind, "tls_looks_like_plain_http");
    assert!(hint.contains("http://"), "{hint}");
    let (kind, message, hint) = said(&wrong.record(&[], &url.replace("https:", "http:")));
    assert!(hint.contains("https://"), "{kind} {message} {hint}");
}

#[test]
fn versions_are_bounded() {
    let place = place(&["127.0.0.1"], |_| {});
    let version = |server: &Running, args: &[&str]| {
        let args = [&["--cacert", "ca.pem"], args].concat();
        let record = place.record(&args, &server.url("/bytes/1"));
        match record["error"]["kind"].as_str() {
            Some(kind) => kind.to_owned(),
            None => record["conn"]["tls"].as_str().unwrap().to_owned(),
        }
    };
    assert_eq!(version(&place.server, &[]), "TLSv1.3");
    assert_eq!(version(&place.server, &["--tls-max", "1.2"]), "TLSv1.2");
    assert_eq!(version(&place.server, &["--tlsv1.3"]), "TLSv1.3");
    assert_eq!(version(&place.server, &["--tlsv1.2"]), "TLSv1.3", "at least");
    let mut old = script(&place.identity);
    old.tls.as_mut().unwrap().versions = vec![TlsVersion::Tls12];
    let old = spawn(old).unwrap();
    assert_eq!(version(&old, &[]), "TLSv1.2");
    assert_eq!(version(&old, &["--tlsv1.3"]), "tls_version");
    let run = place.run(&["--tls-max", "1.7"], &place.server.url("/"));
    assert_eq!(run.code, 2, "{}", run.err);
}

#[test]
fn a_key_can_be_pinned() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let place = place(&["127.0.0.1"], |_| {});
    let key = rcgen::PublicKeyData::subject_public_key_info(&place.identity.key);
    let pin = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(key));
    let pin = format!("sha256//{pin}");
    let url = place.server.url("/bytes/1");
    let run = |pin: &str| place.run(&["--cacert", "ca.pem", "--pinnedpubkey", pin], &url).code;
    assert_eq!(run(&pin), 0);
    let other = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(run(other), 90);
    assert_eq!(run(&format!("{other};{pin}")), 0);
    assert_eq!(place.run(&["-k", "--pinnedpubkey", other], &url).code, 90, "with -k, too");
}

#[test]
fn sessions_are_resumed_and_keys_are_written_down_when_asked() {
    let place = place(&["127.0.0.1"], |_| {});
    let keys = place.gannet.path("keys");
    let list: String =
        (0..40).map(|n| format!("{}\n", place.server.url(&format!("/bytes/{n}")))).collect();
    let run = place
        .gannet
        .clone()
        .env("SSLKEYLOGFILE", keys.to_str().unwrap())
        .args(["-i", "-", "--cacert", "ca.pem", "--no-reuse", "--per-host", "1"])
        .stdin(&list)
        .run();
    assert_eq!(run.code, 0, "{}", run.err);
    let stats = place.server.stats();
    assert_eq!((stats.tls_full, stats.tls_resumed), (1, 39), "{stats:?}");
    let keys = fs::read_to_string(keys).unwrap();
    assert!(keys.contains("CLIENT_TRAFFIC_SECRET_0 "), "{keys}");
    // Without the variable nothing is written.
    let other = Gannet::new();
    fs::write(other.path("ca.pem"), pem(place.authority.der())).unwrap();
    let run = other.args(["-sS", "--cacert", "ca.pem", &place.server.url("/bytes/1")]).run();
    assert_eq!((run.code, run.files(".")), (0, vec!["ca.pem".to_owned()]));
}

/// 10,000 connections, at least 95 of 100 resumed.
#[test]
#[ignore = "takes half a minute"]
fn ten_thousand_handshakes_are_resumed() {
    let place = place(&["127.0.0.1"], |_| {});
    let list: String =
        (0..10_000).map(|n| format!("{}\n", place.server.url(&format!("/bytes/{n}")))).collect();
    fs::write(place.gannet.path("list"), list).unwrap();
    let begun = Instant::now();
    let words = ["-i", "list", "--results", "r", "--cacert", "ca.pem", "--no-reuse"];
    let run = place.gannet.args(words).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let stats = place.server.stats();
    println!("{} resumed, {} full in {:?}", stats.tls_resumed, stats.tls_full, begun.elapsed());
    assert!(stats.tls_resumed >= 9_500, "{stats:?}");
}

struct OpenSsl(Child);

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_client_certificate_is_shown_to_openssl() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: openssl is not here");
        return;
    }
    let place = place(&["127.0.0.1"], |_| {});
    let client = signed(&place.authority, &["me"], ECDSA, |_| {});
    let write = |name: &str, bytes: Vec<u8>| fs::write(place.gannet.path(name), bytes).unwrap();
    write("s.crt", place.identity.chain_pem());
    write("s.key", place.identity.key_pem());
    write("c.crt", client.chain_pem());
    write("c.key", client.key_pem());
    write("both.pem", [client.chain_pem(), client.key_pem()].concat());
    let folder = place.gannet.path(".");
    let openssl = |words: &[&str]| {
        let output = Command::new("openssl").args(words).current_dir(&folder).output();
        assert!(output.unwrap().status.success(), "{words:?}");
    };
    openssl(&["pkcs8", "-topk8", "-in", "c.key", "-out", "locked.key", "-passout", "pass:x"]);
    openssl(&["ec", "-in", "c.key", "-out", "sec1.key"]);
    let port = super::dns_common::free_address().port();
    let child = Command::new("openssl")
        .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-www", "-quiet"])
        .args(["-cert", "s.crt", "-key", "s.key", "-CAfile", "ca.pem", "-Verify", "1"])
        .args(["-verify_return_error"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = OpenSsl(child);
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "openssl does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let url = format!("https://127.0.0.1:{port}/");
    let code = |args: &[&str]| {
        let run = place.run(&[&["--cacert", "ca.pem", "-o", "out"], args].concat(), &url);
        (run.code, run.err)
    };
    for args in [
        &["--cert", "c.crt", "--key", "c.key"][..],
        &["--cert", "c.crt", "--key", "sec1.key"],
        &["--cert", "both.pem"],
        &["--cert", "c.crt", "--key", "c.key", "--tls-max", "1.2"],
    ] {
        let (code, err) = code(args);
        assert_eq!(code, 0, "{args:?}: {err}");
    }
    let (none, err) = code(&[]);
    assert_ne!(none, 0, "{err}");
    let (locked, err) = code(&["--cert", "c.crt", "--key", "locked.key"]);
    assert_eq!(locked, 58, "{err}");
    assert!(err.contains("encrypted"), "{err}");
    assert_eq!(code(&["--cert", "nosuch.crt"]).0, 58);
}
