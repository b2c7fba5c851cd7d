//! The TLS session against OpenSSL's and nginx's servers on loopback. A server that is not
//! installed is skipped, by name (`GANNET_REQUIRE_SERVERS=1`: it must be there).
#![cfg(feature = "tls")]
#![allow(missing_docs)]

mod tls_common;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gannet::tls::{Config, Error, ErrorKind, Info, Options, Roots, Session};
use tempfile::TempDir;
use tls_common::*;

const HOST: &str = "server.example";
const GET: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
const TIMEOUT: Duration = Duration::from_secs(10);

/// A server process, ended with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a server's program is: not in every user's PATH.
fn place(program: &str) -> PathBuf {
    let mut places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]
        .map(|folder| Path::new(folder).join(program))
        .into_iter();
    places.find(|path| path.exists()).unwrap_or_else(|| program.into())
}

fn installed(program: &str) -> bool {
    let found = place(program).exists();
    if !found {
        // The gate installs the servers, and sets this so that nothing is skipped there.
        assert!(std::env::var_os("GANNET_REQUIRE_SERVERS").is_none(), "{program} is required");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Wait until something listens.
fn up(port: u16, child: &mut Child) {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the server has ended");
        assert!(start.elapsed() < TIMEOUT, "the server does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn openssl(folder: &Path, key: &str, more: &[&str]) -> Server {
    let port = free_port();
    let mut child = Command::new("openssl")
        .args(["s_server", "-accept", &format!("127.0.0.1:{port}")])
        .args([
            "-cert",
            &format!("{key}.crt"),
            "-key",
            &format!("{key}.key"),
            "-cert_chain",
            "below.crt",
        ])
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    up(port, &mut child);
    Server { child, port }
}

/// A root, an intermediate authority and a leaf of each kind of key, made by OpenSSL.
fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("ca.ext"), "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
        .unwrap();
    std::fs::write(at("leaf.ext"), format!("subjectAltName=DNS:{HOST},IP:127.0.0.1\n")).unwrap();
    let new_key = |name: &str, kind: &[&str]| {
        let file = at(&format!("{name}.key"));
        run("openssl", &[&["genpkey", "-out", &file], kind].concat());
    };
    new_key("root", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-key",
            &at("root.key"),
            "-subj",
            "/CN=Test Root",
            "-days",
            "30",
            "-out",
            &at("root.crt"),
        ],
    );
    let sign = |name: &str, subject: &str, by: &str, extensions: &str| {
        let request = at(&format!("{name}.csr"));
        run(
            "openssl",
            &[
                "req",
                "-new",
                "-key",
                &at(&format!("{name}.key")),
                "-subj",
                subject,
                "-out",
                &request,
            ],
        );
        run(
            "openssl",
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                &at(&format!("{by}.crt")),
                "-CAkey",
                &at(&format!("{by}.key")),
                "-CAcreateserial",
                "-days",
                "30",
                "-extfile",
                &at(extensions),
                "-out",
                &at(&format!("{name}.crt")),
            ],
        );
    };
    new_key("below", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    sign("below", "/CN=Test Issuing", "root", "ca.ext");
    for (name, kind) in [
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
        ("ec", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("ed", &["-algorithm", "ED25519"]),
        ("own", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ] {
        new_key(name, kind);
        sign(name, &format!("/CN={name}"), "below", "leaf.ext");
    }
    folder
}

fn options(folder: &Path) -> Options {
    let root = std::fs::read(folder.join("root.crt")).unwrap();
    Options { roots: Roots::Pem(vec![root]), ..Options::default() }
}

fn trusting_folder(folder: &Path) -> Config {
    Config::new(options(folder)).unwrap()
}

/// What an exchange over a socket came to.
#[derive(Debug)]
struct Exchange {
    answer: Vec<u8>,
    info: Option<Info>,
    fair_end: bool,
}

/// One connection: the handshake, `request`, everything until the end or until `enough`.
fn exchange(
    config: &Config,
    port: u16,
    request: &[u8],
    enough: impl Fn(&[u8]) -> bool,
) -> Result<Exchange, Error> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut client = Client::new(config, HOST);
    let mut asked = false;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if !asked && client.session.established() {
            client.session.send(request, &mut client.out).unwrap();
            asked = true;
        }
        if !client.out.is_empty() {
            let _ = socket.write_all(&client.out); // a refusal is read below
            client.out.clear();
        }
        let info = client.session.info();
        if client.peer_closed || enough(&client.got) {
            client.session.close(&mut client.out);
            let _ = socket.write_all(&client.out);
            return Ok(Exchange { answer: client.got, info, fair_end: client.peer_closed });
        }
        match socket.read(&mut buffer) {
            Ok(0) | Err(_) => match client.session.end_of_input() {
                Some(error) if client.got.is_empty() => return Err(error),
                end => return Ok(Exchange { answer: client.got, info, fair_end: end.is_none() }),
            },
            Ok(length) => {
                let result = client.feed(&buffer[..length]);
                if let Err(error) = result {
                    let _ = socket.write_all(&client.out);
                    return Err(error);
                }
            }
        }
    }
}

fn never(_: &[u8]) -> bool {
    false
}

#[test]
fn openssl_speaks_both_versions_with_every_key() {
    if !installed("openssl") {
        return;
    }
    let folder = certificates();
    let config = trusting_folder(folder.path());
    for key in ["rsa", "ec", "ed"] {
        for (version, flag) in [("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")] {
            for fragments in [&[][..], &["-max_send_frag", "512"]] {
                let server = openssl(folder.path(), key, &[&["-www", flag], fragments].concat());
                let got = exchange(&config, server.port, GET, never).unwrap();
                assert_eq!(got.info.unwrap().version, version, "{key}");
                assert!(got.answer.starts_with(b"HTTP/1.0 200"), "{key} {version}");
                assert!(got.fair_end, "{key} {version}");
            }
        }
    }
}

#[test]
fn openssl_resumes_our_sessions() {
    if !installed("openssl") {
        return;
    }
    let folder = certificates();
    for flags in
        [&["-tls1_2"][..], &["-tls1_2", "-no_ticket"], &["-tls1_3"], &["-tls1_3", "-no_ticket"]]
    {
        let config = trusting_folder(folder.path());
        let server = openssl(folder.path(), "ec", &[&["-www"], flags].concat());
        let resumed: Vec<bool> = (0..20)
            .map(|_| exchange(&config, server.port, GET, never).unwrap().info.unwrap().resumed)
            .collect();
        assert!(
            !resumed[0] && resumed[1..].iter().all(|&resumed| resumed),
            "{flags:?}: {resumed:?}"
        );
    }
}

#[test]
fn openssl_asks_for_our_certificate() {
    if !installed("openssl") {
        return;
    }
    let folder = certificates();
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let key = read("own.key");
    let old_style = folder.path().join("own.pkcs1");
    run(
        "openssl",
        &[
            "rsa",
            "-in",
            folder.path().join("own.key").to_str().unwrap(),
            "-traditional",
            "-out",
            old_style.to_str().unwrap(),
        ],
    );
    let chain = [read("own.crt"), read("below.crt")].concat();
    for (flag, exit) in [("-tls1_2", 35), ("-tls1_3", 56)] {
        let server = openssl(
            folder.path(),
            "ec",
            &["-www", flag, "-Verify", "3", "-verify_return_error", "-CAfile", "root.crt"],
        );
        for key in [&key, &read("own.pkcs1")] {
            let own = Options {
                client_certificate: Some((chain.clone(), key.clone())),
                ..options(folder.path())
            };
            let got = exchange(&Config::new(own).unwrap(), server.port, GET, never).unwrap();
            assert!(got.answer.starts_with(b"HTTP/1.0 200"), "{flag}");
        }
        let error = exchange(&trusting_folder(folder.path()), server.port, GET, never).unwrap_err();
        assert!(error.is_final(), "{error}");
        assert_eq!(error.exit_code(), exit, "{error}");
        assert!(error.hint().unwrap().contains("client certificate"), "{error}");
    }
}

#[test]
fn openssl_updates_its_keys_amid_the_stream() {
    if !installed("openssl") {
        return;
    }
    let folder = certificates();
    let config = trusting_folder(folder.path());
    let mut server = openssl(folder.path(), "ec", &["-tls1_3"]);
    // A line that is a letter is a command: K asks for our update too, k does not.
    let mut stdin = server.child.stdin.take().unwrap();
    let typist = std::thread::spawn(move || {
        for line in ["K\n", "one\n", "k\n", "two\n", "K\n", "three\n"] {
            std::thread::sleep(Duration::from_millis(100));
            let _ = stdin.write_all(line.as_bytes());
        }
        stdin
    });
    let got = exchange(&config, server.port, b"hello\n", |got| got.ends_with(b"three\n")).unwrap();
    drop(typist.join());
    assert!(
        got.answer.ends_with(b"one\ntwo\nthree\n"),
        "{:?}",
        String::from_utf8_lossy(&got.answer)
    );
}

/// Old devices have certificates of version 1, which webpki does not read: `-k` does without.
#[test]
fn a_certificate_of_version_1_is_accepted_without_a_check_only() {
    if !installed("openssl") {
        return;
    }
    let folder = certificates();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    run(
        "openssl",
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            &at("old.key"),
        ],
    );
    run(
        "openssl",
        &["req", "-new", "-key", &at("old.key"), "-subj", "/CN=old", "-out", &at("old.csr")],
    );
    // Without extensions OpenSSL 3.0 writes version 1, later ones version 3: both will do here.
    run(
        "openssl",
        &[
            "x509",
            "-req",
            "-in",
            &at("old.csr"),
            "-signkey",
            &at("old.key"),
            "-days",
            "30",
            "-out",
            &at("old.crt"),
        ],
    );
    for flag in ["-tls1_2", "-tls1_3"] {
        let server = openssl(folder.path(), "old", &["-www", flag]);
        let error = exchange(&trusting_folder(folder.path()), server.port, GET, never).unwrap_err();
        assert_eq!(error.exit_code(), 60, "{error}");
        let insecure = Options { insecure: true, ..Options::default() };
        let got = exchange(&Config::new(insecure).unwrap(), server.port, GET, never).unwrap();
        assert!(got.answer.starts_with(b"HTTP/1.0 200"), "{flag}");
        // A pin cannot be checked on a key that cannot be read.
        let pinned = Options { insecure: true, pins: vec![[7; 32]], ..Options::default() };
        assert!(
            exchange(&Config::new(pinned).unwrap(), server.port, GET, never)
                .unwrap_err()
                .is_final()
        );
    }
}

#[test]
fn openssl_refuses_what_we_cannot_speak() {
    if !installed("openssl") {
        return;
    }
    let folder = certificates();
    let config = trusting_folder(folder.path());
    for (flags, kind) in [
        (&["-tls1_2", "-cipher", "AES128-SHA"][..], ErrorKind::Alert),
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ErrorKind::Version),
    ] {
        let server = openssl(folder.path(), "rsa", &[&["-www"], flags].concat());
        let error = exchange(&config, server.port, GET, never).unwrap_err();
        assert_eq!(error.kind(), kind, "{flags:?}: {error}");
        assert!(error.is_final() && error.hint().is_some(), "{error}");
    }
}

fn nginx(folder: &Path, more: &str) -> (Server, u16) {
    let (tls, plain) = (free_port(), free_port());
    let mut text = String::new();
    write!(
        text,
        "daemon off; master_process off; worker_processes 1; pid {0}/pid; error_log {0}/error.log;
         events {{ worker_connections 512; }}
         http {{
           access_log off; keepalive_requests 100000; client_body_temp_path {0}/a; proxy_temp_path {0}/b;
           fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;
           ssl_session_cache shared:s:1m;
           server {{ listen 127.0.0.1:{plain}; root {0}/www; }}
           server {{ listen 127.0.0.1:{tls} ssl; root {0}/www;
             ssl_certificate {0}/ec.chain; ssl_certificate_key {0}/ec.key; {more} }}
         }}",
        folder.display()
    )
    .unwrap();
    std::fs::write(folder.join("nginx.conf"), text).unwrap();
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    std::fs::write(folder.join("ec.chain"), [read("ec.crt"), read("below.crt")].concat()).unwrap();
    std::fs::create_dir_all(folder.join("www")).unwrap();
    let body: Vec<u8> = (0..16_u32 << 20).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect();
    std::fs::write(folder.join("www/big"), body).unwrap();
    std::fs::write(folder.join("www/index.html"), "hello from nginx\n").unwrap();
    let mut child = Command::new(place("nginx"))
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .arg("-p")
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    up(tls, &mut child);
    (Server { child, port: tls }, plain)
}

#[test]
fn nginx_serves_large_files_and_resumes() {
    if !installed("openssl") || !installed("nginx") {
        return;
    }
    let folder = certificates();
    for (versions, version) in
        [("ssl_protocols TLSv1.2;", "TLSv1.2"), ("ssl_protocols TLSv1.3;", "TLSv1.3")]
    {
        let config = trusting_folder(folder.path());
        let (server, plain) = nginx(folder.path(), versions);
        let request = b"GET /big HTTP/1.1\r\nHost: server.example\r\nConnection: close\r\n\r\n";
        let got = exchange(&config, server.port, request, never).unwrap();
        let head = got.answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let body = std::fs::read(folder.path().join("www/big")).unwrap();
        assert!(got.answer[head..] == body, "{version}");
        assert!(got.fair_end, "{version}");
        let info = got.info.unwrap();
        assert_eq!((info.version, info.alpn, info.resumed), (version, true, false));
        for _ in 0..100 {
            let got = exchange(&config, server.port, GET, never).unwrap();
            assert!(got.answer.ends_with(b"hello from nginx\n"));
            assert!(got.info.unwrap().resumed, "{version}");
        }
        let error = exchange(&config, plain, GET, never).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PlainHttp, "{error}");
        assert!(error.is_final() && error.hint().unwrap().contains("http://"));
    }
}

#[test]
fn nginx_asks_for_our_certificate_in_http() {
    if !installed("openssl") || !installed("nginx") {
        return;
    }
    let folder = certificates();
    let clients = format!(
        "ssl_verify_client on; ssl_verify_depth 3; ssl_client_certificate {}/root.crt;",
        folder.path().display()
    );
    let (server, _) = nginx(folder.path(), &clients);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let chain = [read("own.crt"), read("below.crt")].concat();
    let own =
        Options { client_certificate: Some((chain, read("own.key"))), ..options(folder.path()) };
    let got = exchange(&Config::new(own).unwrap(), server.port, GET, never).unwrap();
    assert!(got.answer.starts_with(b"HTTP/1.1 200"));
    let got = exchange(&trusting_folder(folder.path()), server.port, GET, never).unwrap();
    assert!(got.answer.starts_with(b"HTTP/1.1 400"), "nginx says it in HTTP");
}

/// The goal of issue 5: against a server that resumes, 95 % of 10,000 handshakes are resumed.
#[test]
#[ignore = "takes half a minute"]
fn nginx_resumes_ten_thousand() {
    if !installed("openssl") || !installed("nginx") {
        return;
    }
    let folder = certificates();
    let config = trusting_folder(folder.path());
    let (server, _) = nginx(folder.path(), "");
    let start = Instant::now();
    let resumed = (0..10_000)
        .filter(|_| exchange(&config, server.port, GET, never).unwrap().info.unwrap().resumed)
        .count();
    println!("{resumed} of 10,000 resumed in {:?}", start.elapsed());
    assert!(resumed >= 9_500);
    assert!(config.sessions().unwrap().tickets() <= 128);
    let _ = Session::new(&config, HOST).unwrap();
}
