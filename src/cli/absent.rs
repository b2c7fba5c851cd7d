//! Options that gannet does not have: curl's, and names that are reserved.
//!
//! Owns why each is not there and what does its work here, so that whoever brings a command line of
//! curl's along is told more than that a word is unknown. Never accepts one. A test holds this to
//! the list of all of curl's options.

use super::args::Args;

/// Names of curl's, in groups of one reason. A letter and a colon stand before the
/// name that it is short for.
const CURLS: &[(&str, &str)] = &[
    (
        "x:proxy U:proxy-user noproxy preproxy p:proxytunnel socks4 socks4a socks5 socks5-hostname socks5-basic socks5-gssapi socks5-gssapi-nec socks5-gssapi-service proxy1.0 proxy-anyauth proxy-basic proxy-ca-native proxy-cacert proxy-capath proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile proxy-digest proxy-header proxy-http2 proxy-http3 proxy-insecure proxy-key proxy-key-type proxy-negotiate proxy-ntlm proxy-pass proxy-pinnedpubkey proxy-service-name proxy-ssl-allow-beast proxy-ssl-auto-client-cert proxy-tls13-ciphers proxy-tlsauthtype proxy-tlspassword proxy-tlsuser proxy-tlsv1 suppress-connect-headers haproxy-clientip haproxy-protocol",
        "proxies are planned for a later version, it connects directly (--connect-to leads to another host or port)",
    ),
    (
        "b:cookie c:cookie-jar j:junk-session-cookies",
        "cookies are planned for a later version (-H 'Cookie: NAME=VALUE' sends one)",
    ),
    (
        "F:form form-string form-escape",
        "multipart forms are planned for a later version (--data-binary @FILE with -H 'Content-Type: multipart/form-data; boundary=B' sends one that is made already)",
    ),
    ("unix-socket abstract-unix-socket", "sockets that are files are planned for a later version"),
    (
        "digest anyauth ntlm ntlm-wb negotiate krb delegation service-name aws-sigv4 httpsig-algo httpsig-headers httpsig-key httpsig-keyid",
        "it knows Basic (-u) and bearer tokens (--oauth2-bearer), and sends them without being asked; -H 'Authorization: ...' sends what another program has worked out",
    ),
    (
        "http2 http2-prior-knowledge http3 http3-only alt-svc no-alpn no-npn",
        "it speaks HTTP/1.1 and nothing else, and says so in ALPN: leave it away",
    ),
    (
        "0:http1.0",
        "it speaks HTTP/1.1, and reads answers of HTTP/1.0 as well: leave it away (-H 'Connection: close' has the connection closed after the answer)",
    ),
    (
        "http0.9",
        "an answer without a head can't be told from rubbish, and ends with exit status 1 or 8",
    ),
    (
        "raw tr-encoding ignore-content-length",
        "where an answer ends is not left to options, and the chunks of HTTP/1.1 are no part of a body; a body is decoded only with --compressed, and --record-wire DIR keeps the bytes as they came",
    ),
    (
        "trace trace-ascii trace-config trace-ids trace-time libcurl",
        "-v says what is sent and received, --record-wire DIR keeps all bytes, --results FILE the times of each part",
    ),
    (
        "doh-url doh-insecure doh-cert-status dns-interface dns-ipv4-addr dns-ipv6-addr",
        "names are asked for by UDP and TCP from this machine's own address (--dns-servers says from whom, --resolve what is known already)",
    ),
    (
        "ciphers tls13-ciphers curves sigalgs 2:sslv2 3:sslv3 engine false-start ssl-allow-beast egd-file random-file tls-earlydata ech tlsauthtype tlsuser tlspassword ssl-sessions no-sessionid",
        "TLS is 1.2 or 1.3 by rustls, with its own choice of ciphers and curves (--tlsv1.3, --tls-max)",
    ),
    (
        "cert-status crlfile ssl-no-revoke ssl-revoke-best-effort",
        "whether a certificate was revoked is not looked up; names, times and signatures are checked (--pinnedpubkey asks for one key)",
    ),
    ("capath", "--cacert takes a folder, too, and trusts nothing else then"),
    (
        "cert-type key-type pass ssl-auto-client-cert",
        "--cert and --key are files in PEM, the key without a password (openssl pkey takes it off)",
    ),
    (
        "dump-ca-embed",
        "the authorities that are built in are those of Mozilla, of webpki-roots (--version)",
    ),
    (
        "local-port ip-tos vlan-priority tcp-fastopen mptcp keepalive-cnt",
        "of a socket only its address (--interface) and its probes (--keepalive-time) can be chosen",
    ),
    ("request-target", "what is asked for is what the URL says (--path-as-is leaves dots in it)"),
    (
        "a:append l:list-only Q:quote P:ftp-port ftp-account ftp-alternative-to-user ftp-create-dirs ftp-method ftp-pasv ftp-pret ftp-skip-pasv-ip ftp-ssl-ccc ftp-ssl-ccc-mode ftp-ssl-control disable-epsv disable-eprt B:use-ascii crlf create-file-mode ssl ssl-reqd mail-auth mail-from mail-rcpt mail-rcpt-allowfails sasl-authzid sasl-ir login-options upload-flags t:telnet-option tftp-blksize tftp-no-options hostpubmd5 hostpubsha256 pubkey knownhosts compressed-ssh",
        "it concerns FTP, SSH, mail or another protocol, and gannet speaks HTTP and HTTPS",
    ),
    (
        "disallow-username-in-url",
        "a name and a password in a URL are used, and masked wherever they are shown",
    ),
    ("ipfs-gateway", "gannet speaks HTTP and HTTPS: name the gateway in the URL"),
    ("hsts", "it keeps nothing of one run for the next: write https:// where it is meant"),
    ("metalink", "one URL is one place (curl has given it up, too)"),
    ("xattr", "what is known of a file stands in its record (--results FILE)"),
    ("M:manual", "gannet --man | man -l - shows the manual, --help all the options"),
    ("styled-output", "heads are shown as they came (--color is for what gannet says itself)"),
];

/// Names that are reserved.
const LATER: &[&str] = &["warc", "since", "interleave", "mirrors", "robots"];

/// Why there is no option of this name, if that is known.
pub fn long(name: &str) -> Option<String> {
    if LATER.contains(&name) {
        return Some(format!(
            "--{name} is planned for a later version of gannet and does not exist yet"
        ));
    }
    let plain = name.strip_prefix("expand-").unwrap_or(name);
    if Args::option(plain).is_some() {
        return Some(format!("--{name}: --{plain} has no value that could be expanded"));
    }
    let positive = plain.strip_prefix("no-").unwrap_or(plain);
    find(|_, known| known == plain || known == positive)
}

/// The same for a letter.
pub fn short(letter: char) -> Option<String> {
    find(|known, _| known.starts_with(letter))
}

fn find(is_it: impl Fn(&str, &str) -> bool) -> Option<String> {
    CURLS.iter().find_map(|(names, why)| {
        let mut names = names.split(' ').map(|name| name.split_once(':').unwrap_or(("", name)));
        let (_, name) = names.find(|(letter, name)| is_it(letter, name))?;
        Some(format!("gannet does not have curl's --{name}: {why}"))
    })
}
