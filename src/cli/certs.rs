//! `%{certs}` of `-w`: the certificates that a server showed, in curl's form.
//!
//! Owns the text: what a person looks for in a certificate, then the certificate itself as PEM. What it says is read
//! by [`tls`](crate::tls); whether it is trusted is not asked here.

use std::fmt::Write;
use std::net::IpAddr;

use base64::Engine;

use super::date;
use crate::tls::Certificate;

/// Whether a format (`-w`) may ask for certificates; they are kept only then.
pub fn are_asked_for(format: &str) -> bool {
    ["certs}", "{json}"].iter().any(|word| format.contains(word))
}

/// The chain, its first certificate first.
pub fn text(chain: &[Vec<u8>]) -> String {
    let mut out = String::new();
    for der in chain {
        if let Some(read) = Certificate::read(der) {
            let _ = writeln!(out, "Subject:{}\nIssuer:{}", read.subject, read.issuer);
            for (at, name) in read.names.iter().enumerate() {
                let before = if at == 0 { "X509v3 Subject Alternative Name:" } else { ", " };
                let kind = if name.parse::<IpAddr>().is_ok() { "IP Address" } else { "DNS" };
                let _ = write!(out, "{before}{kind}:{name}");
            }
            if !read.names.is_empty() {
                out.push('\n');
            }
            let (start, end) = (moment(read.not_before), moment(read.not_after));
            let _ = writeln!(out, "Start date:{start}\nExpire date:{end}");
        }
        out.push_str("-----BEGIN CERTIFICATE-----\n");
        let base64 = base64::engine::general_purpose::STANDARD.encode(der);
        for line in base64.as_bytes().chunks(64) {
            out.push_str(std::str::from_utf8(line).unwrap_or_default());
            out.push('\n');
        }
        out.push_str("-----END CERTIFICATE-----\n");
    }
    out
}

/// `Nov  6 08:49:37 1994 GMT`, as OpenSSL writes it.
fn moment(seconds: i64) -> String {
    let http = date::http(seconds);
    let parts: Vec<&str> = http.split(' ').collect();
    match parts[..] {
        [_, day, month, year, time, zone] => {
            format!("{month} {:>2} {time} {year} {zone}", day.trim_start_matches('0'))
        }
        _ => http,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_told_in_lines() {
        assert_eq!(moment(784_111_777), "Nov  6 08:49:37 1994 GMT");
        // What can't be read is shown all the same.
        let unread = text(&[vec![0; 60]]);
        assert!(unread.starts_with("-----BEGIN CERTIFICATE-----\nAAAA"), "{unread}");
        assert_eq!(unread.lines().nth(1).map(str::len), Some(64));
        assert!(unread.ends_with("\nAAAAAAAAAAAAAAAA\n-----END CERTIFICATE-----\n"), "{unread}");
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn they_are_kept_where_they_are_asked_for() {
        for (format, want) in
            [("%{http_code}", false), ("%{certs}", true), ("%{num_certs}", true), ("%{json}", true)]
        {
            assert_eq!(are_asked_for(format), want, "{format}");
        }
    }
}
