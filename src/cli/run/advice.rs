//! What to do about a failure, in the command's own words.
//!
//! Owns which options belong to which failure: the library tells any program what could be done,
//! this adds how it is typed here.

use crate::engine::Kind as E;
use crate::fetch::{self, DecodeError, ErrorKind, RedirectError, UrlError};

/// The library's hint, and the options that do what it says; empty where there is nothing to do.
pub(super) fn of(error: &fetch::Error) -> String {
    with(error.hint().unwrap_or_default(), options(&error.kind))
}

/// The same of an address that is none.
pub(super) fn of_url(error: &UrlError) -> String {
    with(error.hint(), url_options(error))
}

fn with(hint: &str, options: &str) -> String {
    match (hint, options) {
        ("", _) | (_, "") => hint.to_owned(),
        _ => format!("{hint} ({options})"),
    }
}

const fn url_options(error: &UrlError) -> &'static str {
    match error {
        UrlError::TooLong => "-d",
        _ => "",
    }
}

fn options(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Url(error) => url_options(error),
        ErrorKind::SchemeRefused(_) => "--proto",
        ErrorKind::Redirect(RedirectError::SchemeRefused(_)) => "--proto-redir",
        ErrorKind::Redirect(RedirectError::TooMany(_)) => "--max-redirs",
        ErrorKind::Redirect(RedirectError::Loop(_)) => "-v shows it",
        ErrorKind::Redirect(RedirectError::IntoPrivateNetwork) => "--allow-net private",
        ErrorKind::Decode(DecodeError::TooLarge(_)) => "",
        ErrorKind::Decode(_) => "leave out --compressed",
        ErrorKind::FileTooLarge(_) => "--max-filesize",
        ErrorKind::Engine(kind) => engine_options(*kind),
        _ => "",
    }
}

fn engine_options(kind: E) -> &'static str {
    match kind {
        E::StaleReuse => "--idle-timeout",
        E::ResetBeforeResponse | E::EmptyReply => "--max-per-host",
        E::ResetInHead | E::EofInHead | E::HeadTimeout | E::Stalled => "--retry",
        E::ResetInBody | E::EofInBody => "--retry; -C - continues a file",
        E::Unreachable => "-4, -6",
        E::ConnectTimeout => "--connect-timeout",
        E::NetworkDown => "--offline wait",
        E::OutOfSockets => "--parallel-max, ulimit -n",
        E::Dns(_) => "--dns-servers, --resolve",
        E::Tls(name) => tls_options(name),
        E::TlsTimeout => "--connect-timeout, --tls-timeout",
        E::FirstByteTimeout => "--first-byte-timeout",
        E::TooSlow => "-y, -Y",
        E::AttemptTimeout => "-m",
        E::Malformed(error) => malformed_options(error.name()),
        E::StatusExhausted => "--rate-per-host, --retry",
        E::HostDown => "--resume",
        E::HostClosed => "--resume, --max-retry-after",
        E::AddressRefused => "-4, -6, --deny-net, --allow-net",
        E::BudgetExhausted => "--retry-max-time",
        E::BodyTooLarge => "--max-filesize",
        _ => "",
    }
}

/// By the parser's names for its errors.
fn malformed_options(name: &str) -> &'static str {
    match name {
        "looks_like_tls" => "",
        "head_too_large" | "line_too_long" => "--max-head-size, --max-head-line",
        "too_many_fields" => "--max-head-fields",
        _ => "--record-wire, then gannet replay",
    }
}

/// By the session's names for its errors.
fn tls_options(name: &str) -> &'static str {
    match name {
        "tls_certificate_expired" | "tls_certificate_not_yet_valid" => "-k goes without the check",
        "tls_certificate_name" => "--resolve, --connect-to",
        "tls_unknown_issuer" | "tls_self_signed" => "--cacert; -k goes without the check",
        "tls_ca_file" => "--cacert",
        "tls_pin_mismatch" => "--pinnedpubkey",
        "tls_client_certificate" => "--cert, --key",
        "tls_version" | "tls_incompatible" => "--tlsv1.2, --tlsv1.3, --tls-max",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Phase;

    #[test]
    fn a_hint_names_the_options_and_no_hint_names_none() {
        let say = |kind| of(&fetch::Error::new(kind, Phase::Queue));
        let rows = [
            (ErrorKind::Engine(E::Refused), "check host and port; is the server running?"),
            (ErrorKind::Engine(E::AttemptTimeout), "an attempt can be given more time (-m)"),
            (ErrorKind::Redirect(RedirectError::TooMany(50)), "more can be allowed (--max-redirs)"),
            (ErrorKind::Engine(E::Cancelled), ""),
            (ErrorKind::Filtered, ""),
        ];
        for (kind, words) in rows {
            assert_eq!(say(kind), words);
        }
        assert!(of_url(&UrlError::TooLong).ends_with("(-d)"));
    }
}
