//! What `-w` can tell of a transfer: the names of the variables, and what each holds.
//!
//! Owns curl's names and forms. Facts are plain values; where they come from is `run`'s business.

use std::fmt::Write;
use std::time::Duration;

use crate::cli::{certs, json};
use crate::fetch::{Url, UrlRules};

/// What is known of one transfer.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    pub url: &'a str,
    pub url_effective: &'a str,
    pub url_number: u64,
    /// The how manieth transfer of this run it is, from 0 on.
    pub transfer: u64,
    pub exit_code: u8,
    pub error: Option<&'a str>,
    pub file_name: Option<&'a str>,
    pub method: &'a str,
    pub status: u16,
    pub http_version: &'a str,
    pub content_type: Option<&'a str>,
    pub redirect_url: Option<&'a str>,
    pub referer: Option<&'a str>,
    /// All heads of the transfer, the last one last, each with its status line.
    pub heads: &'a [u8],
    /// What came of them, in bytes.
    pub header_bytes: u64,
    pub connects: u64,
    pub connection: Option<u64>,
    pub redirects: u64,
    pub retries: u64,
    pub local_ip: String,
    pub local_port: u16,
    pub remote_ip: String,
    pub remote_port: u16,
    pub scheme: &'a str,
    pub body_bytes: u64,
    pub delivered_bytes: u64,
    pub request_bytes: u64,
    pub upload_bytes: u64,
    /// What became of checking the server's certificate, in OpenSSL's numbers: 0 is well.
    pub verify_result: u8,
    /// What the server showed, its own first, as DER.
    pub certificates: &'a [Vec<u8>],
    /// Since 1970.
    pub now: Duration,
    pub times: Times,
}

/// Moments since the transfer began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    pub queue: Duration,
    pub name_lookup: Duration,
    pub connect: Duration,
    pub app_connect: Duration,
    pub pre_transfer: Duration,
    pub start_transfer: Duration,
    pub redirect: Duration,
    pub total: Duration,
}

/// What a variable holds.
pub(super) enum Value<'a> {
    Text(Option<std::borrow::Cow<'a, str>>),
    Number(u64),
    Status(u16),
    Time(Duration),
}

/// All variables, in the order of their names.
pub(super) const NAMES: &[&str] = &[
    "certs",
    "conn_id",
    "content_type",
    "errormsg",
    "exitcode",
    "filename_effective",
    "ftp_entry_path",
    "http_code",
    "http_connect",
    "http_version",
    "local_ip",
    "local_port",
    "method",
    "num_certs",
    "num_connects",
    "num_headers",
    "num_redirects",
    "num_retries",
    "proxy_ssl_verify_result",
    "proxy_used",
    "redirect_url",
    "referer",
    "remote_ip",
    "remote_port",
    "response_code",
    "scheme",
    "size_delivered",
    "size_download",
    "size_header",
    "size_request",
    "size_upload",
    "speed_download",
    "speed_upload",
    "ssl_verify_result",
    "time_appconnect",
    "time_connect",
    "time_namelookup",
    "time_posttransfer",
    "time_pretransfer",
    "time_queue",
    "time_redirect",
    "time_starttransfer",
    "time_total",
    "tls_earlydata",
    "url",
    "url.fragment",
    "url.host",
    "url.options",
    "url.password",
    "url.path",
    "url.port",
    "url.query",
    "url.scheme",
    "url.user",
    "url.zoneid",
    "url_effective",
    "urle.fragment",
    "urle.host",
    "urle.options",
    "urle.password",
    "urle.path",
    "urle.port",
    "urle.query",
    "urle.scheme",
    "urle.user",
    "urle.zoneid",
    "urlnum",
    "xfer_id",
];

pub(super) fn push_time(time: Duration, out: &mut String) {
    let _ = write!(out, "{}.{:06}", time.as_secs(), time.subsec_micros());
}

fn line_value<'l>(line: &'l [u8], name: &str) -> Option<&'l [u8]> {
    let (of, value) = json::halves(line, b':')?;
    of.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
}

impl Facts<'_> {
    /// Field lines of the last head that is not interim.
    fn last_head(&self) -> &[u8] {
        let mut start = 0;
        let mut at = 0;
        let mut at_head = true;
        for line in self.heads.split_inclusive(|&byte| byte == b'\n') {
            if at_head {
                start = at;
                at_head = false;
            }
            at += line.len();
            if line.trim_ascii().is_empty() {
                at_head = true;
            }
        }
        self.heads.get(start..).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str, all: Option<&str>, out: &mut String) {
        let from = if all.is_some() { self.heads } else { self.last_head() };
        let mut first = true;
        for value in from.split(|&byte| byte == b'\n').filter_map(|line| line_value(line, name)) {
            if !first {
                let Some(separator) = all else { return };
                out.push_str(separator);
            }
            out.push_str(&String::from_utf8_lossy(value));
            first = false;
        }
    }

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.last_head().split(|&byte| byte == b'\n').skip(1).filter_map(|line| {
            let (name, value) = json::halves(line, b':')?;
            Some((name, value.trim_ascii()))
        })
    }

    pub(super) fn header_json(&self, out: &mut String) {
        let mut fields: Vec<(String, Vec<&[u8]>)> = Vec::new();
        for (name, value) in self.lines() {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            match fields.iter_mut().find(|(have, _)| *have == name) {
                Some((_, values)) => values.push(value),
                None => fields.push((name, vec![value])),
            }
        }
        let mut bytes = Vec::new();
        bytes.push(b'{');
        for (at, (name, values)) in fields.iter().enumerate() {
            bytes.extend_from_slice(if at > 0 { b",\n" } else { b"" });
            json::string(name.as_bytes(), &mut bytes);
            bytes.extend_from_slice(b":[");
            for (at, value) in values.iter().enumerate() {
                bytes.extend_from_slice(if at > 0 { b"," } else { b"" });
                json::string(value, &mut bytes);
            }
            bytes.push(b']');
        }
        bytes.extend_from_slice(b"\n}");
        out.push_str(&String::from_utf8_lossy(&bytes));
    }

    pub(super) fn json(&self, out: &mut String) {
        let mut bytes = vec![b'{'];
        // By name, which is how `NAMES` has them.
        for (name, value) in NAMES.iter().map(|name| (name, self.value(name))) {
            json::string(name.as_bytes(), &mut bytes);
            bytes.push(b':');
            let mut text = String::new();
            match value {
                Value::Text(None) => text.push_str("null"),
                Value::Text(Some(value)) => json::string(value.as_bytes(), &mut bytes),
                Value::Number(number) => {
                    let _ = write!(text, "{number}");
                }
                Value::Status(status) => {
                    let _ = write!(text, "{status}");
                }
                Value::Time(time) => push_time(time, &mut text),
            }
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b',');
        }
        bytes.extend_from_slice(b"\"gannet_version\":");
        json::string(env!("CARGO_PKG_VERSION").as_bytes(), &mut bytes);
        bytes.push(b'}');
        out.push_str(&String::from_utf8_lossy(&bytes));
    }

    pub(super) fn value(&self, name: &str) -> Value<'_> {
        let text =
            |value: &'_ str| Value::Text((!value.is_empty()).then(|| value.to_owned().into()));
        let speed = |bytes: u64| {
            let micros = self.times.total.as_micros().max(1);
            Value::Number((u128::from(bytes) * 1_000_000 / micros) as u64)
        };
        match name {
            "conn_id" => Value::Number(self.connection.unwrap_or(0)),
            "content_type" => Value::Text(self.content_type.map(Into::into)),
            "errormsg" => Value::Text(self.error.map(Into::into)),
            "exitcode" => Value::Number(u64::from(self.exit_code)),
            "filename_effective" => Value::Text(self.file_name.map(Into::into)),
            "ftp_entry_path" => Value::Text(None),
            "http_code" | "response_code" => Value::Status(self.status),
            "http_connect" => Value::Status(0),
            "http_version" => Value::Text(Some(
                if self.http_version.is_empty() { "0" } else { self.http_version }.into(),
            )),
            "local_ip" => text(&self.local_ip),
            "local_port" => Value::Number(u64::from(self.local_port)),
            "method" => text(self.method),
            "certs" => Value::Text(Some(certs::text(self.certificates).into())),
            "num_certs" => Value::Number(self.certificates.len() as u64),
            "num_connects" => Value::Number(self.connects),
            "num_headers" => Value::Number(self.lines().count() as u64),
            "num_redirects" => Value::Number(self.redirects),
            "num_retries" => Value::Number(self.retries),
            "redirect_url" => Value::Text(self.redirect_url.map(Into::into)),
            "referer" => Value::Text(self.referer.map(Into::into)),
            "remote_ip" => text(&self.remote_ip),
            "remote_port" => Value::Number(u64::from(self.remote_port)),
            "scheme" => text(self.scheme),
            "size_delivered" => Value::Number(self.delivered_bytes),
            "size_download" => Value::Number(self.body_bytes),
            "size_header" => Value::Number(self.header_bytes),
            "size_request" => Value::Number(self.request_bytes),
            "size_upload" => Value::Number(self.upload_bytes),
            "speed_download" => speed(self.body_bytes),
            "speed_upload" => speed(self.upload_bytes),
            "ssl_verify_result" => Value::Number(u64::from(self.verify_result)),
            "time_appconnect" => Value::Time(self.times.app_connect),
            "time_connect" => Value::Time(self.times.connect),
            "time_namelookup" => Value::Time(self.times.name_lookup),
            "time_posttransfer" => Value::Time(self.times.pre_transfer),
            "time_pretransfer" => Value::Time(self.times.pre_transfer),
            "time_queue" => Value::Time(self.times.queue),
            "time_redirect" => Value::Time(self.times.redirect),
            "time_starttransfer" => Value::Time(self.times.start_transfer),
            "time_total" => Value::Time(self.times.total),
            "url" => text(self.url),
            "url_effective" => text(self.url_effective),
            "urlnum" => Value::Number(self.url_number),
            "xfer_id" => Value::Number(self.transfer),
            name => match name.split_once('.') {
                Some(("url", part)) => Value::Text(url_part(self.url, part).map(Into::into)),
                Some(("urle", part)) => {
                    Value::Text(url_part(self.url_effective, part).map(Into::into))
                }
                _ => Value::Number(0),
            },
        }
    }
}

fn url_part(text: &str, part: &str) -> Option<String> {
    let Ok(url) = Url::parse(text, &UrlRules::default()) else { return foreign_part(text, part) };
    match part {
        "scheme" => Some(url.scheme().name().to_owned()),
        "host" if url.host().contains(':') => Some(format!("[{}]", url.host())),
        "host" => Some(url.host().to_owned()),
        "port" => Some(url.port().to_string()),
        "path" => Some(url.path().to_owned()),
        "query" => url.query().map(str::to_owned),
        "fragment" => url.fragment().map(str::to_owned),
        "zoneid" => url.zone().map(str::to_owned),
        "user" => url.userinfo().map(|info| String::from_utf8_lossy(&info.user).into_owned()),
        "password" => url
            .userinfo()?
            .password
            .as_ref()
            .map(|secret| String::from_utf8_lossy(secret).into_owned()),
        _ => None,
    }
}

/// The same of a URL whose scheme is not spoken: it can't be fetched, but taken apart.
fn foreign_part(text: &str, part: &str) -> Option<String> {
    let url = url::Url::parse(text).ok().filter(url::Url::has_host)?;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match part {
        "scheme" => some(url.scheme()),
        "host" => some(url.host_str()?),
        "port" => url.port().map(|port| port.to_string()),
        "path" => some(url.path()),
        "query" => url.query().map(str::to_owned),
        "fragment" => url.fragment().map(str::to_owned),
        "user" => some(url.username()),
        "password" => url.password().map(str::to_owned),
        _ => None,
    }
}
