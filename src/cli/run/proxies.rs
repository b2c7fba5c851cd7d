//! Proxies that the environment names. They are for a later version: who relies on one should know.
//!
//! Owns curl's rules of which variable counts for a URL. Never connects to anything.

use std::net::IpAddr;

use crate::fetch::{Network, Scheme, Url};

/// What the environment says of proxies.
#[derive(Debug)]
pub struct Proxies {
    /// The name of the variable that counts for each scheme.
    http: Option<&'static str>,
    https: Option<&'static str>,
    /// What `no_proxy` holds.
    except: String,
}

impl Proxies {
    /// Of the environment, if it names any.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let first = |names: &[&'static str]| names.iter().copied().find(|name| set(name).is_some());
        let all = first(&["all_proxy", "ALL_PROXY"]);
        // HTTP_PROXY is what a request's field makes of it where this is run by a server (CGI).
        let http = first(&["http_proxy"]).or(all);
        let https = first(&["https_proxy", "HTTPS_PROXY"]).or(all);
        let except = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default();
        (http.is_some() || https.is_some()).then_some(Self { http, https, except })
    }

    /// The variable that would have this URL fetched by way of a proxy.
    pub fn concerns(&self, url: &Url) -> Option<&'static str> {
        let name = match url.scheme() {
            Scheme::Http => self.http,
            Scheme::Https => self.https,
        };
        name.filter(|_| !is_excepted(url.host(), &self.except))
    }
}

/// Whether a host is among those that `no_proxy` names: `*`, domains with all below them, addresses
/// and networks, parted by commas or blanks.
fn is_excepted(host: &str, except: &str) -> bool {
    if except.trim() == "*" {
        return true;
    }
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let mut items = except.split([',', ' ', '\t']).filter(|item| !item.is_empty());
    items.any(|item| match address {
        Some(address) => Network::parse(item).is_some_and(|network| network.contains(address)),
        None => {
            let domain = item.trim_start_matches('.').trim_end_matches('.');
            let host = host.trim_end_matches('.');
            let cut = host.len().checked_sub(domain.len()).and_then(|at| host.split_at_checked(at));
            cut.is_some_and(|(before, end)| {
                !domain.is_empty()
                    && end.eq_ignore_ascii_case(domain)
                    && (before.is_empty() || before.ends_with('.'))
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::UrlRules;

    fn concerns(variables: &[(&str, &str)], url: &str) -> Option<&'static str> {
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Proxies::of(value)?.concerns(&Url::parse(url, &UrlRules::default()).unwrap())
    }

    #[test]
    fn a_variable_counts_for_its_scheme() {
        let http = [("http_proxy", "p:1")];
        assert_eq!(concerns(&http, "http://a.example/"), Some("http_proxy"));
        assert_eq!(concerns(&http, "https://a.example/"), None);
        assert_eq!(concerns(&[("HTTP_PROXY", "p:1")], "http://a.example/"), None);
        let all = [("ALL_PROXY", "p:1"), ("https_proxy", "")];
        assert_eq!(concerns(&all, "https://a.example/"), Some("ALL_PROXY"));
        assert_eq!(concerns(&[("http_proxy", "")], "http://a.example/"), None);
    }

    #[test]
    fn what_is_excepted_goes_directly() {
        for (except, host, directly) in [
            ("*", "a.example", true),
            ("a.example", "a.example", true),
            ("A.Example.", "b.a.example", true),
            (".a.example", "a.example", true),
            ("a.example", "ba.example", false),
            ("x,example y", "a.example", true),
            ("b.example", "a.example", false),
            (".", "a.example", false),
            ("127.0.0.0/8", "127.1.2.3", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("::1", "[::1]", true),
            ("1", "127.0.0.1", false),
            ("", "a.example", false),
        ] {
            let variables = [("http_proxy", "p:1"), ("no_proxy", except)];
            let concerned = concerns(&variables, &format!("http://{host}/"));
            assert_eq!(concerned.is_none(), directly, "{except} {host}");
        }
    }
}
