//! The TLS session against rustls's server, in memory: handshakes cut anywhere, certificates good
//! and bad, resumption, closing, floods.
#![cfg(feature = "tls")]
#![allow(missing_docs)]

mod tls_common;

use std::io::Write;
use std::sync::{Arc, Mutex};

use gannet::tls::{
    Certificate, Config, ConfigErrorKind, ErrorKind, KeyLogWriter, Options, Roots, Session,
    Version, looks_like_tls,
};
use rustls::server::{ServerConfig, ServerConnection};
use tls_common::*;

const HOST: &str = "server.example";

/// A good server and the configuration that trusts it.
fn good(versions: &[&'static rustls::SupportedProtocolVersion]) -> (Config, Arc<ServerConfig>) {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    (Config::new(trusting(root.der())).unwrap(), Arc::new(server(&identity, versions, None)))
}

// ---- Handshakes -------------------------------------------------------------------------------

#[test]
fn both_versions_and_key_types_shake_hands_and_carry_data() {
    let root = authority("root");
    for (version, versions) in [("TLSv1.2", TLS12), ("TLSv1.3", TLS13)] {
        for algorithm in [ECDSA, ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let identity = signed(&root, &[HOST], algorithm, |_| {});
            let config = Config::new(trusting(root.der())).unwrap();
            let (mut client, mut server) =
                connected(&config, &Arc::new(server(&identity, versions, None)), HOST);
            let info = client.session.info().unwrap();
            assert_eq!((info.version, info.alpn, info.resumed), (version, true, false));
            assert!(
                info.cipher.starts_with("TLS_") && info.cipher.contains("AES_128_GCM"),
                "{info:?}"
            );
            assert_eq!(info.group, Some("X25519"));
            assert_eq!(client.session.peer().unwrap().names, [HOST]);

            let taken = client.session.send(b"GET / HTTP/1.1\r\n\r\n", &mut client.out).unwrap();
            assert_eq!(taken, 18);
            server_writes(&mut server, b"HTTP/1.1 204 No Content\r\n\r\n");
            converse(&mut client, &mut server, || 0).unwrap();
            assert_eq!(server_reads(&mut server), b"GET / HTTP/1.1\r\n\r\n");
            assert_eq!(client.got, b"HTTP/1.1 204 No Content\r\n\r\n");
            assert!(client.inbox.is_empty());
        }
    }
}

/// A chain long enough for its message to take several records, when those are small.
fn long_chain(
    versions: &[&'static rustls::SupportedProtocolVersion],
    record: Option<usize>,
) -> (Config, Arc<ServerConfig>) {
    let root = authority("root");
    let below = intermediate("intermediate", &root);
    let mut identity = signed(&below, &[HOST], ED25519, |_| {});
    identity.chain.push(below.der().clone());
    let mut server = server(&identity, versions, None);
    server.max_fragment_size = record;
    (Config::new(trusting(root.der())).unwrap(), Arc::new(server))
}

#[test]
fn a_handshake_cut_anywhere_is_the_same_handshake() {
    for versions in [TLS12, TLS13] {
        for record in [None, Some(64)] {
            let (config, server_config) = long_chain(versions, record);
            // Byte by byte, every fixed size up to 40, and sizes at random.
            for size in (1..40).chain([64, 69, 86, 100, 1000]) {
                let mut server = ServerConnection::new(server_config.clone()).unwrap();
                let mut client = Client::new(&config, HOST);
                server_writes(&mut server, b"early words"); // kept until the handshake is complete
                converse(&mut client, &mut server, || size).unwrap();
                assert!(client.session.established(), "{size}");
                assert_eq!(client.got, b"early words", "{size}");
                assert!(client.inbox.is_empty(), "{size}");
            }
            for seed in 0..100 {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut server = ServerConnection::new(server_config.clone()).unwrap();
                let mut client = Client::new(&config, HOST);
                server_writes(&mut server, b"early words");
                converse(&mut client, &mut server, || 1 + random.usize(..200)).unwrap();
                assert!(client.session.established(), "seed {seed}");
                assert_eq!(client.got, b"early words", "seed {seed}");
            }
        }
    }
}

#[test]
fn a_stream_cut_anywhere_is_the_same_stream() {
    let body: Vec<u8> = (0..50_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
    for versions in [TLS12, TLS13] {
        let (config, server_config) = good(versions);
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut client, mut server) = connected(&config, &server_config, HOST);
            server.set_buffer_limit(None);
            let mut rest = &body[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((1 + random.usize(..20_000)).min(rest.len()));
                server_writes(&mut server, piece);
                rest = after;
            }
            server.send_close_notify();
            let most = [1, 7, 300, 5_000, 70_000][random.usize(..5)];
            converse(&mut client, &mut server, || 1 + random.usize(..most)).unwrap();
            assert_eq!(client.got, body, "seed {seed}");
            assert!(client.peer_closed, "seed {seed}");
            assert!(client.session.end_of_input().is_none());
        }
    }
}

#[test]
fn a_reader_that_stops_gets_the_rest_later() {
    let (config, server_config) = good(TLS13);
    let (mut client, mut server) = connected(&config, &server_config, HOST);
    for piece in [&b"one "[..], b"two ", b"three"] {
        server_writes(&mut server, piece);
    }
    let mut inbox = from_server(&mut server);
    let mut got = Vec::new();
    for (expected, stopped) in [(&b"one "[..], true), (b"one two ", true), (b"one two three", true)]
    {
        let received = client
            .session
            .receive(&mut inbox, &mut client.out, |plain| {
                got.extend_from_slice(plain);
                false
            })
            .unwrap();
        assert_eq!((&got[..], received.stopped), (expected, stopped));
        inbox.drain(..received.consumed);
    }
    assert!(inbox.is_empty());
    let received = client.session.receive(&mut inbox, &mut client.out, |_| false).unwrap();
    assert!(!received.stopped);
}

#[test]
fn an_address_is_checked_and_never_sent_as_a_name() {
    let root = authority("root");
    let config = Config::new(trusting(root.der())).unwrap();
    for (host, name) in [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("[fe80::1%eth0]", "fe80::1"),
    ] {
        let identity = signed(&root, &[name], ECDSA, |_| {});
        let (client, server) = connected(&config, &Arc::new(server(&identity, TLS13, None)), host);
        assert_eq!(server.server_name(), None, "{host}");
        assert_eq!(client.session.peer().unwrap().names, [name]);
    }
    let identity = signed(&root, &["127.0.0.2"], ECDSA, |_| {});
    let error = refused(&config, server(&identity, TLS13, None), "127.0.0.1");
    assert_eq!(error.kind(), ErrorKind::CertificateName);
    assert_eq!(
        error.to_string(),
        "the server's certificate is not for 127.0.0.1: it is for 127.0.0.2"
    );
}

#[test]
fn a_name_is_sent_without_its_final_dot() {
    let root = authority("root");
    let identity = signed(&root, &["*.server.example"], ECDSA, |_| {});
    let config = Config::new(trusting(root.der())).unwrap();
    let (_, server) =
        connected(&config, &Arc::new(server(&identity, TLS13, None)), "www.server.example.");
    assert_eq!(server.server_name(), Some("www.server.example"));
}

#[test]
fn a_host_that_is_none_is_refused() {
    let (config, _) = good(TLS13);
    for host in ["", "two words", "a..b", &"x".repeat(300), "[::1"] {
        let error = Session::new(&config, host).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ServerName, "{host}");
        assert!(error.is_final());
    }
}

// ---- Certificates -----------------------------------------------------------------------------

#[test]
fn refused_certificates_are_named_and_explained() {
    let root = authority("root");
    let other = authority("Corporate Root");
    let below = intermediate("Corporate Issuing", &other);
    let early = rcgen::date_time_ymd(2020, 1, 1);
    let late = rcgen::date_time_ymd(2030, 1, 2);

    let expired = signed(&root, &[HOST], ECDSA, |p| {
        (p.not_before, p.not_after) = (early, rcgen::date_time_ymd(2024, 5, 6));
    });
    let future = signed(&root, &[HOST], ECDSA, |p| p.not_before = late);
    let wrong_name = signed(&root, &["a.example", "*.b.example", "10.0.0.1"], ECDSA, |_| {});
    let nameless = signed(&root, &[], ECDSA, |_| {});
    let alone = self_signed(&[HOST], |_| {});
    let alone_ca =
        self_signed(&[HOST], |p| p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let for_clients = signed(&root, &[HOST], ECDSA, |p| {
        p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let half = signed(&below, &[HOST], ECDSA, |_| {});
    let authority_as_leaf = signed(&root, &[HOST], ECDSA, |p| {
        p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let mut foreign = signed(&below, &[HOST], ECDSA, |_| {});
    foreign.chain.push(below.der().clone());

    let table: [(&str, &Identity, ErrorKind, &[&str]); 10] = [
        (
            "an authority as a server",
            &authority_as_leaf,
            ErrorKind::CertificateInvalid,
            &["cannot be accepted: it is that of an authority, not of a server"],
        ),
        (
            "expired",
            &expired,
            ErrorKind::CertificateExpired,
            &["expired on 2024-05-06 00:00:00 UTC", "by our clock it is 2026-11-24 09:30:00 UTC"],
        ),
        (
            "not valid yet",
            &future,
            ErrorKind::CertificateNotYetValid,
            &["valid only from 2030-01-02 00:00:00 UTC", "by our clock it is 2026-11-24"],
        ),
        (
            "wrong name",
            &wrong_name,
            ErrorKind::CertificateName,
            &["not for server.example", "it is for a.example, *.b.example, 10.0.0.1"],
        ),
        ("no name", &nameless, ErrorKind::CertificateName, &["names no host (only CN=leaf"]),
        ("self-signed", &alone, ErrorKind::SelfSigned, &["signed by itself (CN=alone)"]),
        (
            "self-signed authority",
            &alone_ca,
            ErrorKind::SelfSigned,
            &["signed by itself (CN=alone)"],
        ),
        ("for clients", &for_clients, ErrorKind::CertificatePurpose, &["not one for servers"]),
        (
            "intermediate missing",
            &half,
            ErrorKind::UnknownIssuer,
            &[
                "only its own certificate (CN=leaf)",
                "its issuer (CN=Corporate Issuing) is not known",
            ],
        ),
        (
            "unknown authority",
            &foreign,
            ErrorKind::UnknownIssuer,
            &["chain (CN=leaf) ends at an authority that is not known here (CN=Corporate Root)"],
        ),
    ];
    let config = Config::new(trusting(root.der())).unwrap();
    let insecure = Config::new(Options { insecure: true, ..trusting(root.der()) }).unwrap();
    for (case, identity, kind, words) in table {
        for versions in [TLS12, TLS13] {
            let error = refused(&config, server(identity, versions, None), HOST);
            assert_eq!(error.kind(), kind, "{case}: {error}");
            assert!(error.is_final() && !error.established(), "{case}");
            assert_eq!(error.exit_code(), 60, "{case}");
            assert_eq!(error.chain().len(), identity.chain.len(), "{case}");
            for word in words {
                assert!(error.to_string().contains(word), "{case}: {error}");
            }
            // Against a certificate that is not for servers there is nothing to try.
            let hopeless = [ErrorKind::CertificatePurpose, ErrorKind::CertificateInvalid];
            assert_eq!(error.hint().is_none(), hopeless.contains(&kind), "{case}");

            let (client, _) =
                connected(&insecure, &Arc::new(server(identity, versions, None)), HOST);
            assert!(client.session.peer().is_some(), "{case}: -k accepts it");
        }
    }
}

#[test]
fn the_server_hears_the_right_alert() {
    use rustls::AlertDescription as Alert;
    let root = authority("root");
    let unknown = signed(&authority("other"), &[HOST], ECDSA, |_| {});
    let expired = signed(&root, &[HOST], ECDSA, |p| p.not_after = rcgen::date_time_ymd(2024, 1, 1));
    let config = Config::new(trusting(root.der())).unwrap();
    for (identity, alert) in [(unknown, Alert::UnknownCA), (expired, Alert::CertificateExpired)] {
        let mut client = Client::new(&config, HOST);
        let mut server = ServerConnection::new(Arc::new(server(&identity, TLS13, None))).unwrap();
        converse(&mut client, &mut server, || 0).unwrap_err();
        let heard = to_server(&mut server, &client.out).unwrap_err();
        assert_eq!(heard, rustls::Error::AlertReceived(alert));
    }
}

#[test]
fn an_expired_intermediate_is_the_one_that_is_blamed() {
    let root = authority("root");
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = named("Old Issuing", &[]);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(2025, 1, 1);
    let below = rcgen::CertifiedIssuer::signed_by(params, key, &root).unwrap();
    let mut identity = signed(&below, &[HOST], ECDSA, |_| {});
    identity.chain.push(below.der().clone());
    let config = Config::new(trusting(root.der())).unwrap();
    let error = refused(&config, server(&identity, TLS13, None), HOST);
    assert_eq!(error.kind(), ErrorKind::CertificateExpired);
    assert!(
        error
            .to_string()
            .contains("a certificate of the chain (CN=Old Issuing) expired on 2025-01-01"),
        "{error}"
    );
}

#[test]
fn a_certificate_handed_in_is_trusted_itself() {
    // What `openssl req -x509` makes is an authority, and `--cacert` of it must do.
    for ca in [rcgen::IsCa::NoCa, rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)] {
        let identity = self_signed(&[HOST, "127.0.0.1"], |p| p.is_ca = ca);
        let config = Config::new(trusting(&identity.chain[0])).unwrap();
        for versions in [TLS12, TLS13] {
            let server_config = Arc::new(server(&identity, versions, None));
            connected(&config, &server_config, HOST);
            connected(&config, &server_config, "127.0.0.1");
        }
        let error = refused(&config, server(&identity, TLS13, None), "other.example");
        assert_eq!(error.kind(), ErrorKind::CertificateName, "{error}");
        // Its dates count too.
        let time: Arc<dyn rustls::time_provider::TimeProvider> = Arc::new(Standing(70_000_000_000));
        let late =
            Config::new(Options { time: Some(time), ..trusting(&identity.chain[0]) }).unwrap();
        let error = refused(&late, server(&identity, TLS13, None), HOST);
        assert_eq!(error.kind(), ErrorKind::CertificateExpired, "{error}");
    }
    // A leaf of some authority, handed in alone.
    let identity = signed(&authority("root"), &[HOST], ECDSA, |_| {});
    let config = Config::new(trusting(&identity.chain[0])).unwrap();
    connected(&config, &Arc::new(server(&identity, TLS13, None)), HOST);
    // Another certificate of the same name is not trusted for it.
    let error = refused(&config, server(&self_signed(&[HOST], |_| {}), TLS13, None), HOST);
    assert_eq!(error.kind(), ErrorKind::SelfSigned);
}

/// A clock that the test sets.
#[derive(Debug)]
struct Set(std::sync::atomic::AtomicU64);

impl rustls::time_provider::TimeProvider for Set {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Standing(self.0.load(std::sync::atomic::Ordering::Relaxed)).current_time()
    }
}

#[test]
fn a_chain_found_good_is_not_good_for_another_time_or_name() {
    let root = authority("root");
    let below = intermediate("below", &root);
    let mut identity = signed(&below, &[HOST, "other.example"], ECDSA, |p| {
        p.not_before = rcgen::date_time_ymd(2026, 1, 1);
        p.not_after = rcgen::date_time_ymd(2027, 1, 1);
    });
    identity.chain.push(below.der().clone());
    let clock = Arc::new(Set(NOW.into()));
    let config =
        Config::new(Options { time: Some(clock.clone()), sessions: 0, ..trusting(root.der()) });
    let config = config.unwrap();
    let server_config = server(&identity, TLS13, None);
    let (first, last) = (1_767_225_600, 1_798_761_600);
    for (time, kind) in [
        (NOW, None),
        (NOW, None),
        (last, None),
        (last + 1, Some(ErrorKind::CertificateExpired)),
        (first, None),
        (first - 1, Some(ErrorKind::CertificateNotYetValid)),
        (NOW, None),
    ] {
        clock.0.store(time, std::sync::atomic::Ordering::Relaxed);
        let mut client = Client::new(&config, HOST);
        let mut server = ServerConnection::new(Arc::new(server_config.clone())).unwrap();
        let result = converse(&mut client, &mut server, || 0);
        assert_eq!(result.err().map(|error| error.kind()), kind, "{time}");
    }
    let wrong = refused(&config, server_config.clone(), "third.example");
    assert_eq!(wrong.kind(), ErrorKind::CertificateName);
    connected(&config, &Arc::new(server_config), "other.example");

    // Nor does the chain help a server that has not its key.
    let mut thief = signed(&authority("thief"), &[HOST], ECDSA, |_| {});
    thief.chain = identity.chain.clone();
    let key = rustls::crypto::ring::sign::any_supported_type(&thief.key_der()).unwrap();
    let certified = rustls::sign::CertifiedKey::new(thief.chain.clone(), key);
    for versions in [TLS12, TLS13] {
        let mut stolen = server(&identity, versions, None);
        stolen.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified.clone()));
        let error = refused(&config, stolen, HOST);
        assert_eq!(error.kind(), ErrorKind::CertificateInvalid, "{error}");
    }
}

#[test]
fn a_certificate_that_is_damaged_reads_as_something_or_nothing() {
    let root = authority("root");
    let names: Vec<String> = (0..130).map(|n| format!("n{n}.example")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("::1");
    let der = signed(&root, &names, ED25519, |_| {}).chain[0].to_vec();
    let whole = Certificate::read(&der).unwrap();
    assert_eq!((whole.subject.as_str(), whole.issuer.as_str()), ("CN=leaf", "CN=root"));
    assert_eq!((whole.names.len(), whole.more_names, whole.self_issued), (100, 31, false));
    assert_eq!(
        whole.names_phrase().unwrap(),
        "n0.example, n1.example, n2.example, n3.example, n4.example, n5.example and 125 more"
    );
    for length in 0..der.len() {
        assert_eq!(Certificate::read(&der[..length]), None, "{length}");
    }
    let seed = 0x00c0_ffee;
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..20_000 {
        let mut damaged = der.clone();
        for _ in 0..=random.usize(..6) {
            let at = random.usize(..damaged.len().min(400));
            damaged[at] = random.u8(..);
        }
        if let Some(read) = Certificate::read(&damaged) {
            let _ = read.names_phrase();
            assert!(read.names.len() <= 100 && read.subject.len() <= 4_000, "seed {seed:#x}");
            assert!(!read.subject.contains(|c: char| c.is_control()), "seed {seed:#x}");
        }
    }
}

#[test]
fn configurations_and_sessions_can_be_sent_to_threads() {
    fn sends<T: Send>() {}
    fn shares<T: Sync>() {}
    sends::<Config>();
    shares::<Config>();
    sends::<Session>();
    sends::<gannet::tls::Error>();
}

#[test]
fn pins_are_checked_with_and_without_a_chain() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    let spki = {
        use rcgen::PublicKeyData;
        identity.key.subject_public_key_info()
    };
    let pin: [u8; 32] = sha256(&spki);
    for versions in [TLS12, TLS13] {
        for insecure in [false, true] {
            let with =
                |pins| Config::new(Options { pins, insecure, ..trusting(root.der()) }).unwrap();
            connected(
                &with(vec![[7; 32], pin]),
                &Arc::new(server(&identity, versions, None)),
                HOST,
            );
            let error = refused(&with(vec![[7; 32]]), server(&identity, versions, None), HOST);
            assert_eq!((error.kind(), error.exit_code()), (ErrorKind::PinMismatch, 90));
            assert!(error.is_final());
            assert!(error.to_string().contains("it has sha256//"), "{error}");
        }
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let suite = provider()
        .cipher_suites
        .iter()
        .find(|suite| suite.suite() == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256)
        .copied();
    let hash = suite.unwrap().tls13().unwrap().common.hash_provider.hash(bytes);
    hash.as_ref().try_into().unwrap()
}

// ---- Our own certificate ----------------------------------------------------------------------

#[test]
fn a_client_certificate_is_shown_when_asked_for() {
    let root = authority("root");
    let clients = authority("clients");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    let own = signed(&clients, &[], ECDSA, |_| {});
    let stranger = signed(&authority("strangers"), &[], ECDSA, |_| {});
    let options = |own: Option<&Identity>| Options {
        client_certificate: own.map(|own| (own.chain_pem(), own.key_pem())),
        ..trusting(root.der())
    };
    for versions in [TLS12, TLS13] {
        let server_config = Arc::new(server(&identity, versions, Some(&clients)));
        let config = Config::new(options(Some(&own))).unwrap();
        let (_, server) = connected(&config, &server_config, HOST);
        assert_eq!(server.peer_certificates().unwrap(), own.chain);

        for (config, hint) in [
            (options(None), "wants a client certificate"),
            (options(Some(&stranger)), "refused the client certificate"),
        ] {
            let config = Config::new(config).unwrap();
            let mut client = Client::new(&config, HOST);
            let mut server = ServerConnection::new(server_config.clone()).unwrap();
            let error = converse(&mut client, &mut server, || 0).unwrap_err();
            // In TLS 1.3 the server's answer comes when the client is through already.
            let expected = if versions == TLS13 { 56 } else { 35 };
            assert_eq!(error.exit_code(), expected, "{error}");
            assert!(error.is_final(), "{error}");
            if error.kind() == ErrorKind::ClientCertificate {
                assert!(error.hint().unwrap().contains(hint), "{error}");
            } else {
                assert!(error.hint().unwrap().contains("client certificate"), "{error}");
            }
        }
    }
}

#[test]
fn configurations_that_cannot_work_say_why() {
    let root = authority("root");
    let own = signed(&root, &[HOST], ECDSA, |_| {});
    let other = signed(&root, &[HOST], ECDSA, |_| {});
    let base = || trusting(root.der());
    let roots = |files: &[&[u8]]| Options {
        roots: Roots::Pem(files.iter().map(|file| file.to_vec()).collect()),
        ..Options::default()
    };
    let owned = |chain: &[u8], key: &[u8]| Options {
        client_certificate: Some((chain.to_vec(), key.to_vec())),
        ..base()
    };
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted =
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    use ConfigErrorKind::{ClientCertificate, Versions};
    for (options, kind, exit, words) in [
        (roots(&[]), ConfigErrorKind::Roots, 77, "no certificate found"),
        (roots(&[b"just text"]), ConfigErrorKind::Roots, 77, "no certificate found"),
        (roots(&[root.der()]), ConfigErrorKind::Roots, 77, "looks like DER"),
        (roots(&[broken]), ConfigErrorKind::Roots, 77, "1 could not be read"),
        (owned(b"", &own.key_pem()), ClientCertificate, 58, "no certificate found"),
        (owned(&own.chain[0], &own.key_pem()), ClientCertificate, 58, "DER or PKCS#12"),
        (owned(&own.chain_pem(), b""), ClientCertificate, 58, "no private key found"),
        (owned(&own.chain_pem(), encrypted), ClientCertificate, 58, "encrypted"),
        (owned(&own.chain_pem(), old), ClientCertificate, 58, "encrypted"),
        (owned(&own.chain_pem(), &other.key_pem()), ClientCertificate, 58, "does not belong"),
        (
            owned(
                &own.chain_pem(),
                b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            ),
            ClientCertificate,
            58,
            "cannot be used",
        ),
        (
            Options { min_version: Version::Tls13, max_version: Version::Tls12, ..base() },
            Versions,
            2,
            "above the highest",
        ),
    ] {
        let error = Config::new(options).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (kind, exit), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // Some that cannot be read beside some that can are passed over.
    let config = Config::new(roots(&[broken, &pem(root.der())])).unwrap();
    assert_eq!(config.skipped_roots(), 1);
}

#[cfg(feature = "native-roots")]
#[test]
fn the_systems_authorities_can_be_used() {
    if std::path::Path::new("/etc/ssl/certs/ca-certificates.crt").exists() {
        let config = Config::new(Options { roots: Roots::Native, ..Options::default() }).unwrap();
        assert!(config.sessions().is_some());
    }
}

#[test]
fn a_bound_that_no_handshake_fits_in_is_refused() {
    let root = authority("root");
    let refused = |bytes| {
        let options = Options { max_handshake_bytes: bytes, ..trusting(root.der()) };
        Config::new(options).err().map(|error| error.kind())
    };
    assert_eq!(refused(511), Some(ConfigErrorKind::HandshakeBytes));
    assert_eq!(refused(512), None);
}

// ---- Versions and other protocols ---------------------------------------------------------------

#[test]
fn versions_without_overlap_are_named() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    for (version, theirs) in [(Version::Tls13, TLS12), (Version::Tls12, TLS13)] {
        let options =
            Options { min_version: version, max_version: version, ..trusting(root.der()) };
        let error = refused(&Config::new(options).unwrap(), server(&identity, theirs, None), HOST);
        assert_eq!(error.kind(), ErrorKind::Version, "{error}");
        assert!(error.is_final() && error.hint().is_some());
    }
}

#[test]
fn an_old_version_in_the_server_hello_is_named() {
    // A ServerHello of TLS 1.0, as old servers send whatever they are offered.
    let mut hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x13, 0]);
    let (config, _) = good(TLS13);
    let error = Client::new(&config, HOST).feed(&hello).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Version, "{error}");
}

#[test]
fn what_is_not_tls_is_named_at_every_cut() {
    let (config, _) = good(TLS13);
    for (bytes, kind) in [
        (&b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"[..], ErrorKind::PlainHttp),
        (b"<html><head><title>400</title>", ErrorKind::PlainHttp),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", ErrorKind::NotTls),
        (b"220 mail.example ESMTP\r\n", ErrorKind::NotTls),
        (&[0; 64], ErrorKind::NotTls),
        (&[0x16, 9, 9, 0, 5, 1, 1, 1, 1, 1], ErrorKind::NotTls),
        (&[0x16, 3, 3, 0xff, 0xff, 1, 1], ErrorKind::Protocol),
        (&[0x17, 3, 3, 0, 5, 1, 1, 1, 1, 1], ErrorKind::Protocol),
    ] {
        let all = Client::new(&config, HOST).feed(bytes).unwrap_err();
        assert_eq!(all.kind(), kind, "{bytes:?}: {all}");
        assert!(all.is_final());
        assert_eq!(all.exit_code(), 35);
        let mut client = Client::new(&config, HOST);
        let error =
            bytes.iter().find_map(|byte| client.feed(&[*byte]).err()).expect("also byte by byte");
        // A page without a status line takes more bytes to know than a record's header has.
        if bytes[0] != b'<' {
            assert_eq!(error.kind(), kind, "{bytes:?}: {error}");
        }
        assert!(client.feed(b"more").is_err(), "there is no way on");
        assert!(client.session.send(b"x", &mut Vec::new()).is_err());
    }
}

#[test]
fn a_plain_request_to_a_tls_port_is_answered_in_tls() {
    let (_, server_config) = good(TLS13);
    let mut server = ServerConnection::new(server_config).unwrap();
    to_server(&mut server, b"GET / HTTP/1.1\r\n\r\n").unwrap_err();
    assert!(looks_like_tls(&from_server(&mut server)));
}

#[test]
fn garbage_never_panics() {
    let (config, server_config) = good(TLS13);
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut client = Client::new(&config, HOST);
        let mut server = ServerConnection::new(server_config.clone()).unwrap();
        to_server(&mut server, &client.out).unwrap();
        let mut flight = from_server(&mut server);
        // Random bytes under a plausible header, or a true flight with a few bytes changed.
        if random.bool() {
            flight = (0..random.usize(..600)).map(|_| random.u8(..)).collect();
            for (at, byte) in [0x16, 3, 3, 0].into_iter().enumerate() {
                if let Some(place) = flight.get_mut(at) {
                    *place = byte;
                }
            }
        } else {
            for _ in 0..=random.usize(..4) {
                let at = random.usize(..flight.len());
                flight[at] ^= 1 << random.u8(..8);
            }
        }
        let mut rest = &flight[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + random.usize(..400)).min(rest.len()));
            if client.feed(piece).is_err() {
                break;
            }
            rest = after;
        }
        client.session.close(&mut client.out);
        assert!(client.got.is_empty(), "seed {seed}");
    }
}

#[test]
fn damage_on_the_way_is_no_fault_of_the_server() {
    for versions in [TLS12, TLS13] {
        let (config, server_config) = good(versions);
        let (mut client, mut server) = connected(&config, &server_config, HOST);
        server_writes(&mut server, b"some words");
        let mut bytes = from_server(&mut server);
        *bytes.last_mut().unwrap() ^= 1;
        let error = client.feed(&bytes).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Decrypt, 56));
        assert!(!error.is_final(), "another connection may do better");
        assert!(client.got.is_empty());
        let heard = to_server(&mut server, &client.out).unwrap_err();
        assert_eq!(heard, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
    }
}

// ---- Closing ------------------------------------------------------------------------------------

#[test]
fn the_end_is_fair_only_with_close_notify() {
    for versions in [TLS12, TLS13] {
        let (config, server_config) = good(versions);
        let (mut client, mut server) = connected(&config, &server_config, HOST);
        server_writes(&mut server, b"all of it");
        server.send_close_notify();
        let bytes = from_server(&mut server);
        let mut cut = Client::new(&config, HOST);
        // At every byte before the last: not fair; at the last: fair.
        for (at, byte) in bytes.iter().enumerate() {
            let error = client.session.end_of_input().unwrap();
            assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Truncated, 56), "{at}");
            assert!(!error.is_final());
            client.feed(&[*byte]).unwrap();
        }
        assert!(client.session.end_of_input().is_none());
        assert!(client.peer_closed);
        assert_eq!(client.got, b"all of it");
        // What follows is ignored, and we may still speak.
        let received = client.feed(b"whatever").unwrap();
        assert_eq!((received.consumed, received.plain, received.peer_closed), (8, 0, true));
        client.session.send(b"last words", &mut client.out).unwrap();
        client.session.close(&mut client.out);
        to_server(&mut server, &client.out).unwrap();
        assert_eq!(server_reads(&mut server), b"last words");

        // In the handshake, an end at any byte is a cut.
        let error = cut.session.end_of_input().unwrap();
        assert_eq!(error.kind(), ErrorKind::HandshakeCut);
        let mut server = ServerConnection::new(server_config.clone()).unwrap();
        to_server(&mut server, &cut.out).unwrap();
        for byte in from_server(&mut server) {
            if cut.session.established() {
                break;
            }
            let error = cut.session.end_of_input().unwrap();
            assert_eq!((error.kind(), error.exit_code()), (ErrorKind::HandshakeCut, 35));
            assert!(!error.is_final());
            cut.feed(&[byte]).unwrap();
        }
    }
}

#[test]
fn our_close_notify_is_heard() {
    for versions in [TLS12, TLS13] {
        let (config, server_config) = good(versions);
        let (mut client, mut server) = connected(&config, &server_config, HOST);
        client.session.close(&mut client.out);
        assert!(!client.out.is_empty());
        let mut bytes = &client.out[..];
        server.read_tls(&mut bytes).unwrap();
        assert!(server.process_new_packets().unwrap().peer_has_closed());
        assert!(client.session.send(b"x", &mut Vec::new()).is_err());
        assert!(client.session.end_of_input().is_none());
        let before = client.out.len();
        client.session.close(&mut client.out);
        assert_eq!(client.out.len(), before, "said once");
        // Garbage after our goodbye is nobody's business.
        assert_eq!(client.feed(&[9; 50]).unwrap().consumed, 50);
    }
    // Nothing is said before there is a connection.
    let (config, _) = good(TLS13);
    let mut client = Client::new(&config, HOST);
    client.out.clear();
    client.session.close(&mut client.out);
    assert!(client.out.is_empty());
}

#[test]
fn nothing_can_be_sent_before_the_handshake() {
    let (config, _) = good(TLS13);
    let mut client = Client::new(&config, HOST);
    let error = client.session.send(b"early", &mut client.out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(client.session.info().is_none() && client.session.peer().is_none());
}

// ---- Resumption -----------------------------------------------------------------------------------

#[test]
fn sessions_are_resumed_and_tickets_used_once() {
    for versions in [TLS12, TLS13] {
        let (config, server_config) = good(versions);
        let store = config.sessions().unwrap();
        let (client, _) = connected(&config, &server_config, HOST);
        assert!(!client.session.info().unwrap().resumed);
        assert_eq!(store.hosts(), 1);
        let tickets = if versions == TLS13 { 2 } else { 0 };
        assert_eq!(store.tickets(), tickets, "several tickets a connection");
        for round in 0..20 {
            let (mut client, mut server) = connected(&config, &server_config, HOST);
            assert!(client.session.info().unwrap().resumed, "{round}");
            assert_eq!(client.session.peer().unwrap().names, [HOST]);
            client.session.send(b"hello", &mut client.out).unwrap();
            to_server(&mut server, &client.out).unwrap();
            assert_eq!(server_reads(&mut server), b"hello");
        }
        // Bounded, however many come.
        assert!(store.tickets() <= 128, "{}", store.tickets());
        // Another name starts afresh, and without memory everyone does.
        let off =
            Config::new(Options { sessions: 0, insecure: true, ..Options::default() }).unwrap();
        for _ in 0..2 {
            let (client, _) = connected(&off, &server_config, HOST);
            assert!(!client.session.info().unwrap().resumed);
        }
        assert!(off.sessions().is_none());
    }
}

#[test]
fn a_burst_of_reconnections_is_all_resumed() {
    let (config, server_config) = good(TLS13);
    let first: Vec<_> = (0..16).map(|_| connected(&config, &server_config, HOST)).collect();
    drop(first);
    assert_eq!(config.sessions().unwrap().tickets(), 32 - 15, "15 of 16 used one and brought two");
    let clients: Vec<_> = (0..16).map(|_| Client::new(&config, HOST)).collect();
    for mut client in clients {
        let mut server = ServerConnection::new(server_config.clone()).unwrap();
        converse(&mut client, &mut server, || 0).unwrap();
        assert!(client.session.info().unwrap().resumed);
    }
}

#[test]
fn tickets_are_bounded_in_all() {
    let root = authority("root");
    let identity = signed(&root, &["*.server.example"], ECDSA, |_| {});
    let mut server = server(&identity, TLS13, None);
    server.send_tls13_tickets = 8;
    let server = Arc::new(server);
    let config = Config::new(Options { sessions: 3, ..trusting(root.der()) }).unwrap();
    for host in ["a", "b", "c", "d", "d", "d"] {
        connected(&config, &server, &format!("{host}.server.example"));
        assert!(config.sessions().unwrap().tickets() <= 24);
        assert!(config.sessions().unwrap().hosts() <= 3);
    }
    let (client, _) = connected(&config, &server, "a.server.example");
    assert!(!client.session.info().unwrap().resumed, "the first one had to go");
    let (client, _) = connected(&config, &server, "d.server.example");
    assert!(client.session.info().unwrap().resumed);
}

// ---- What a server may make us hold or do -----------------------------------------------------------

#[test]
fn tickets_on_an_idle_connection_are_no_data() {
    let (config, server_config) = good(TLS13);
    let mut client = Client::new(&config, HOST);
    let mut server = ServerConnection::new(server_config).unwrap();
    to_server(&mut server, &client.out).unwrap();
    client.out.clear();
    client.feed(&from_server(&mut server)).unwrap();
    assert!(client.session.established());
    to_server(&mut server, &client.out).unwrap();
    let tickets = from_server(&mut server);
    assert!(!tickets.is_empty());
    let received = client.feed(&tickets).unwrap();
    assert_eq!((received.plain, received.consumed), (0, tickets.len()));
    assert!(!received.peer_closed);
}

/// Data may be sent while half a ticket is there: rustls remembers where in the buffer it is.
#[test]
fn a_ticket_cut_in_two_does_not_stop_a_request() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    let mut server = server(&identity, TLS13, None);
    server.max_fragment_size = Some(64); // the ticket takes several records
    let config = Config::new(trusting(root.der())).unwrap();
    let server_config = Arc::new(server);
    let length = {
        let mut client = Client::new(&config, HOST);
        let mut server = ServerConnection::new(server_config.clone()).unwrap();
        to_server(&mut server, &client.out).unwrap();
        client.out.clear();
        client.feed(&from_server(&mut server)).unwrap();
        to_server(&mut server, &client.out).unwrap();
        from_server(&mut server).len()
    };
    assert!(length > 200, "{length}");
    for at in 0..length {
        let config = Config::new(trusting(root.der())).unwrap();
        let mut client = Client::new(&config, HOST);
        let mut server = ServerConnection::new(server_config.clone()).unwrap();
        to_server(&mut server, &client.out).unwrap();
        client.out.clear();
        client.feed(&from_server(&mut server)).unwrap();
        to_server(&mut server, &client.out).unwrap();
        client.out.clear();
        let tickets = from_server(&mut server);
        let at = at.min(tickets.len());
        client.feed(&tickets[..at]).unwrap();
        client.session.send(b"request", &mut client.out).unwrap();
        to_server(&mut server, &client.out).unwrap();
        assert_eq!(server_reads(&mut server), b"request", "{at}");
        server_writes(&mut server, b"answer");
        client.feed(&tickets[at..]).unwrap();
        client.feed(&from_server(&mut server)).unwrap();
        assert_eq!(client.got, b"answer", "{at}");
        client.out.clear();
        client.session.close(&mut client.out);
        assert!(!client.out.is_empty());
    }
}

#[test]
fn whatever_is_cut_wherever_while_we_send_nothing_is_lost() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let versions = if random.u8(..4) == 0 { TLS12 } else { TLS13 };
        let mut server = server(&identity, versions, None);
        server.send_tls13_tickets = random.usize(..7);
        server.max_fragment_size = [None, Some(32), Some(64), Some(300)][random.usize(..4)];
        let config = Config::new(trusting(root.der())).unwrap();
        let mut client = Client::new(&config, HOST);
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        let (mut sent, mut heard, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        let mut wire: Vec<u8> = Vec::new();
        for step in 0_u32..150 {
            to_server(&mut server, &std::mem::take(&mut client.out)).unwrap();
            heard.append(&mut server_reads(&mut server));
            if !server.is_handshaking() {
                match random.u8(..8) {
                    0 if versions == TLS13 => server.refresh_traffic_keys().unwrap(),
                    1 | 2 => {
                        let piece = step.to_be_bytes().repeat(1 + random.usize(..40));
                        server_writes(&mut server, &piece);
                        expected.extend_from_slice(&piece);
                    }
                    _ => {}
                }
            }
            wire.append(&mut from_server(&mut server));
            let piece: Vec<u8> = wire.drain(..random.usize(..=wire.len().min(150))).collect();
            client.feed(&piece).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            if client.session.established() && random.bool() {
                client.session.send(&step.to_le_bytes(), &mut client.out).unwrap();
                sent.extend_from_slice(&step.to_le_bytes());
            }
        }
        server.send_close_notify();
        wire.append(&mut from_server(&mut server));
        client.feed(&wire).unwrap();
        converse(&mut client, &mut server, || 0).unwrap();
        heard.append(&mut server_reads(&mut server));
        assert!(client.got == expected, "seed {seed}");
        assert!(heard == sent, "seed {seed}");
        assert!(client.peer_closed, "seed {seed}");
    }
}

#[test]
fn input_that_does_not_come_again_is_an_error() {
    let (config, server_config) = long_chain(TLS13, Some(64));
    let mut client = Client::new(&config, HOST);
    let mut server = ServerConnection::new(server_config).unwrap();
    to_server(&mut server, &client.out).unwrap();
    client.feed(&from_server(&mut server)[..400]).unwrap();
    client.inbox.clear(); // a caller's mistake
    assert_eq!(client.feed(&[]).unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn a_flood_of_tickets_ends_the_connection() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    let mut server = server(&identity, TLS13, None);
    server.send_tls13_tickets = 2_000;
    let config = Config::new(trusting(root.der())).unwrap();
    let mut client = Client::new(&config, HOST);
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    server.set_buffer_limit(None);
    let error = converse(&mut client, &mut server, || 4_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Flood);
    assert!(error.is_final() && error.established());
    assert!(config.sessions().unwrap().tickets() <= 128);
}

/// Makes tickets of a size, which nobody can take back.
#[derive(Debug)]
struct Large(usize);

impl rustls::server::ProducesTickets for Large {
    fn enabled(&self) -> bool {
        true
    }
    fn lifetime(&self) -> u32 {
        3_600
    }
    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        Some(vec![9; self.0])
    }
    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[test]
fn large_tickets_are_bounded_by_their_bytes() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    for (size, count, kind) in
        [(4_000, 2, None), (4_000, 20, Some(ErrorKind::Flood)), (40_000, 1, Some(ErrorKind::Flood))]
    {
        let mut server = server(&identity, TLS13, None);
        (server.ticketer, server.send_tls13_tickets) = (Arc::new(Large(size)), count);
        let config = Config::new(trusting(root.der())).unwrap();
        let mut client = Client::new(&config, HOST);
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        server.set_buffer_limit(None);
        let result = converse(&mut client, &mut server, || 4_000);
        let error = result.err();
        assert_eq!(error.as_ref().map(gannet::tls::Error::kind), kind, "{size}: {error:?}");
        assert!(error.is_none_or(|error| error.established()));
    }
}

#[test]
fn many_tickets_below_the_bound_are_fine() {
    let root = authority("root");
    let identity = signed(&root, &[HOST], ECDSA, |_| {});
    let mut server = server(&identity, TLS13, None);
    server.send_tls13_tickets = 100;
    let config = Config::new(trusting(root.der())).unwrap();
    connected(&config, &Arc::new(server), HOST);
    assert_eq!(config.sessions().unwrap().tickets(), 100);
}

#[test]
fn a_handshake_larger_than_the_bound_is_refused_before_it_is_complete() {
    let root = authority("root");
    let names: Vec<String> = (0..1_500).map(|n| format!("name-{n}.server.example")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push(HOST);
    let identity = signed(&root, &names, ECDSA, |_| {});
    let size = identity.chain[0].len();
    assert!((30_000..64_000).contains(&size), "{size}");
    for versions in [TLS12, TLS13] {
        let server_config = Arc::new(server(&identity, versions, None));
        for cut in [0, 1_000, 16_000] {
            let config = Config::new(trusting(root.der())).unwrap();
            let mut client = Client::new(&config, HOST);
            let mut server = ServerConnection::new(server_config.clone()).unwrap();
            converse(&mut client, &mut server, || cut).unwrap();
            let peer = client.session.peer().unwrap();
            assert_eq!(peer.names.len() + peer.more_names, 1_501);

            let small = Options { max_handshake_bytes: 16 * 1024, ..trusting(root.der()) };
            let mut client = Client::new(&Config::new(small).unwrap(), HOST);
            let mut server = ServerConnection::new(server_config.clone()).unwrap();
            let error = converse(&mut client, &mut server, || cut).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::HandshakeTooLarge, "{cut}");
            assert!(error.is_final());
            if cut > 0 {
                assert!(client.inbox.len() <= 16 * 1024 + cut, "{}", client.inbox.len());
            }
        }
    }
}

/// Empty records, one after the other: rustls stops them, and so no bound of ours is needed.
#[test]
fn a_flood_of_empty_records_ends_the_connection() {
    let (config, _) = good(TLS13);
    let mut client = Client::new(&config, HOST);
    let mut kind = None;
    for _ in 0..100 {
        if let Err(error) = client.feed(&[0x16, 3, 3, 0, 0]) {
            kind = Some(error.kind());
            break;
        }
    }
    assert_eq!(kind, Some(ErrorKind::Protocol));
}

#[test]
fn key_updates_are_followed_and_bounded() {
    let (config, server_config) = good(TLS13);
    let (mut client, mut server) = connected(&config, &server_config, HOST);
    for round in 0..100 {
        server.refresh_traffic_keys().unwrap();
        server_writes(&mut server, b"x");
        converse(&mut client, &mut server, || 0).unwrap();
        client.session.send(b"y", &mut client.out).unwrap();
        converse(&mut client, &mut server, || 0).unwrap();
        assert_eq!(server_reads(&mut server), b"y", "{round}");
    }
    assert_eq!(client.got.len(), 100);
    let mut kind = None;
    for _ in 0..100 {
        server.refresh_traffic_keys().unwrap();
        if let Err(error) = client.feed(&from_server(&mut server)) {
            kind = Some(error.kind());
            break;
        }
    }
    assert_eq!(kind, Some(ErrorKind::Protocol));
}

// ---- Keys for those who debug -----------------------------------------------------------------------

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn secrets_are_logged_in_the_format_of_nss() {
    for (versions, labels) in [
        (TLS12, &["CLIENT_RANDOM"][..]),
        (
            TLS13,
            &[
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                "CLIENT_TRAFFIC_SECRET_0",
                "SERVER_TRAFFIC_SECRET_0",
                "EXPORTER_SECRET",
            ],
        ),
    ] {
        let root = authority("root");
        let identity = signed(&root, &[HOST], ECDSA, |_| {});
        let log = Shared::default();
        let config = Config::new(Options {
            key_log: Some(Arc::new(KeyLogWriter::new(log.clone()))),
            ..trusting(root.der())
        })
        .unwrap();
        connected(&config, &Arc::new(server(&identity, versions, None)), HOST);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let mut found: Vec<&str> = Vec::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [label, random, secret] = fields[..] else { panic!("{line}") };
            assert_eq!(random.len(), 64, "{line}");
            assert!(secret.len() >= 64 && secret.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
            found.push(label);
        }
        for label in labels {
            assert!(found.contains(label), "{label} in {found:?}");
        }
    }
}

// ---- Bulk ---------------------------------------------------------------------------------------------

#[test]
fn a_large_body_goes_both_ways_whole() {
    const SIZE: usize = 8 * 1024 * 1024;
    for versions in [TLS12, TLS13] {
        let (config, server_config) = good(versions);
        let (mut client, mut server) = connected(&config, &server_config, HOST);
        let body: Vec<u8> = (0..SIZE).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect();
        let mut there = Vec::new();
        for piece in body.chunks(100_000) {
            client.session.send(piece, &mut client.out).unwrap();
            let out = std::mem::take(&mut client.out);
            let mut rest = &out[..];
            while !rest.is_empty() {
                let (some, after) = rest.split_at(rest.len().min(16_000));
                to_server(&mut server, some).unwrap();
                there.append(&mut server_reads(&mut server));
                rest = after;
            }
        }
        assert!(there == body);
        for piece in body.chunks(50_000) {
            server_writes(&mut server, piece);
            client.feed(&from_server(&mut server)).unwrap();
        }
        assert!(client.got == body);
    }
}
