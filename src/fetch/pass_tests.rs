//! What loopback can't show: the guard against redirects from public hosts into private networks.

use std::sync::Arc;

use super::*;
use crate::engine::{Config, ConnInfo, Engine, Failure, Times};
use crate::fetch::{
    AddressRules, Fetcher, Follow, Options, Outcome, Profile, RedirectError, Request, Url, UrlRules,
};
use crate::proto::{Event, Exchange, Limits, Response, Scratch};

#[derive(Default)]
struct Last {
    error: Option<Error>,
    redirects: Vec<String>,
}

impl Visitor for Last {
    fn redirect(&mut self, _: &mut Control<'_, '_>, _: Ticket, redirect: &Redirect<'_>) {
        self.redirects.push(redirect.to.to_string());
    }

    fn head(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &Answer<'_>) -> Want {
        Want::Body
    }

    fn body(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &[u8]) {}

    fn done(&mut self, _: &mut Control<'_, '_>, _: Ticket, outcome: &Outcome<'_>) {
        self.error = outcome.result.err().cloned();
    }
}

/// Submits `url`, answers it from `remote` with a redirect to `to`, and says what became of it:
/// the error, or else whether a connection to `address` would be allowed for the next hop.
fn led(url: &str, remote: &str, to: &str, address: &str, guard: bool) -> Result<bool, Error> {
    let addresses = AddressRules { guard_redirects: guard, ..AddressRules::default() };
    let mut fetcher = Fetcher::new(Options { addresses, ..Options::default() }).unwrap();
    let profile = Arc::new(Profile { follow: Follow::Location, ..Profile::default() });
    let request = Request { url: Url::parse(url, &UrlRules::default()).unwrap(), tag: 0, profile };
    fetcher.submit(&request).unwrap();
    let Place::Engine(key) = fetcher.state.places.entries[0].place else { panic!() };
    let job = JobRef { key, tag: 0 };
    let mut visitor = Last::default();
    // Commands to an engine that nobody runs.
    let mut idle = Engine::new(Config::default());
    let mut ctl = idle.ctl();
    let mut pass = Pass { state: &mut fetcher.state, visitor: &mut visitor };

    let text = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let mut scratch = Scratch::new();
    let mut response = Response::new(Exchange::Ordinary);
    let (_, event) = response.next(&Limits::default(), text.as_bytes(), &mut scratch).unwrap();
    let Event::Head(head, body) = event else { panic!() };
    assert_eq!(pass.head(&mut ctl, job, &head, body), Advice::SkipBody);
    let conn = ConnInfo {
        id: 1,
        reused: false,
        remote: remote.parse().unwrap(),
        dns_stale: false,
        tls: None,
    };
    let none: Result<u16, &Failure> = Ok(302);
    let report = Report {
        result: none,
        attempts: 1,
        tries: &[],
        times: Times::default(),
        conn: Some(conn),
        body_bytes: 0,
        wire_bytes: 0,
        resumed_at: None,
    };
    pass.done(&mut ctl, job, &report);
    assert_eq!(visitor.redirects, [Url::parse(to, &UrlRules::default()).unwrap().to_string()]);
    if let Some(error) = visitor.error {
        return Err(error);
    }
    assert_eq!(fetcher.state.between, [0]);
    fetcher.start(0).unwrap();
    let origin = engine::Origin {
        scheme: engine::Scheme::Http,
        host: fetcher.state.slots[0].url().host(),
        port: 80,
    };
    let host = fetcher.driver.host(&origin);
    let mut visitor = Last::default();
    let mut pass = Pass { state: &mut fetcher.state, visitor: &mut visitor };
    Ok(pass.allow(host, address.parse().unwrap()))
}

#[test]
fn redirects_from_public_hosts_do_not_lead_into_private_networks() {
    let public = "93.184.216.34:80";
    let refused = Err(RedirectError::IntoPrivateNetwork);
    let led = |url: &str, remote: &str, to: &str, address: &str, guard: bool| {
        led(url, remote, to, address, guard).map_err(|error| match error.kind {
            ErrorKind::Redirect(error) => error,
            other => panic!("{other:?}"),
        })
    };
    for (url, remote, to, address, guard, expected) in [
        // An address is seen at once.
        (
            "http://a.test/",
            public,
            "http://169.254.169.254/",
            "169.254.169.254:80",
            true,
            refused.clone(),
        ),
        ("http://a.test/", public, "http://[::1]/", "[::1]:80", true, refused.clone()),
        ("http://a.test/", public, "http://[::ffff:10.0.0.1]/", "10.0.0.1:80", true, refused),
        (
            "http://a.test/",
            public,
            "http://169.254.169.254/",
            "169.254.169.254:80",
            false,
            Ok(true),
        ),
        ("http://a.test/", public, "http://8.8.8.8/", "8.8.8.8:80", true, Ok(true)),
        // A name is found out when it is connected to.
        ("http://a.test/", public, "http://inner.test/", "10.0.0.1:80", true, Ok(false)),
        ("http://a.test/", public, "http://inner.test/", "10.0.0.1:80", false, Ok(true)),
        ("http://a.test/", public, "http://inner.test/", "9.9.9.9:80", true, Ok(true)),
        // From private to private is how intranets work.
        ("http://a.test/", "10.0.0.9:80", "http://inner.test/", "10.0.0.1:80", true, Ok(true)),
        ("http://a.test/", "127.0.0.1:80", "http://10.0.0.1/", "10.0.0.1:80", true, Ok(true)),
        // The user named this host.
        ("http://a.test/", public, "http://a.test/x", "10.0.0.1:80", true, Ok(true)),
    ] {
        assert_eq!(
            led(url, remote, to, address, guard),
            expected,
            "{url} at {remote} -> {to} at {address}"
        );
    }
}
