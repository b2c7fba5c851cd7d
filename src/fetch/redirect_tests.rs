use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn asked(url: &Url) -> Asked<'_> {
    Asked { url, nature: "GET", named: None, follow: Follow::Location }
}

fn follow(from: &str, location: &str) -> Result<Option<Hop>, RedirectError> {
    next(&asked(&url(from)), &RedirectRules::default(), 302, [location.as_bytes()].into_iter())
}

/// Base, Location, where it leads.
#[test]
fn where_it_leads() {
    for (from, location, expected) in [
        // Absolute.
        ("http://a/b/c", "http://d/e", "http://d/e"),
        ("http://a/b/c", "https://d", "https://d/"),
        ("http://a/b/c", "HTTP://D/E", "http://d/E"),
        ("https://a/b", "http://a/b", "http://a/b"),
        ("http://a/b", "http://a:80/b", "http://a/b"),
        ("http://a/b", "http://b\u{fc}cher/", "http://xn--bcher-kva/"),
        ("http://a/b", "http:///d/e", "http://d/e"),
        ("http://a/b", "http:\\\\d\\e", "http://d/e"),
        // Scheme-relative.
        ("https://a/b/c", "//d/e", "https://d/e"),
        ("https://a/b/c", "//d:444", "https://d:444/"),
        ("https://a/b/c", "\\\\d\\e", "https://d/e"),
        // Path-absolute.
        ("http://a:81/b/c?d#e", "/f", "http://a:81/f#e"),
        ("http://a/b", "/", "http://a/"),
        ("http://a/b", "/../../c", "http://a/c"),
        ("http://a/b", "/c/./d/../e", "http://a/c/e"),
        ("http://a/b", "/c/%2e%2e/d", "http://a/d"),
        // Path-relative.
        ("http://a/b/c", "d", "http://a/b/d"),
        ("http://a/b/c", "./d", "http://a/b/d"),
        ("http://a/b/c", "../d", "http://a/d"),
        ("http://a/b/c/", "d", "http://a/b/c/d"),
        ("http://a/b/c", "..", "http://a/"),
        ("http://a/b/c", ".", "http://a/b/"),
        ("http://a", "b", "http://a/b"),
        ("http://a/b?x=/y/", "c", "http://a/c"),
        ("http://a/b", "c:d", "!scheme"),
        ("http://a/b", "./c:d", "http://a/c:d"),
        ("http://a/b", "http:c", "http://a/c"),
        ("https://a/b", "http:c", "http://c/"),
        // Query and fragment alone.
        ("http://a/b/c?d", "?e", "http://a/b/c?e"),
        ("http://a/b/c?d", "?", "http://a/b/c?"),
        ("http://a/b/c?d#e", "#f", "http://a/b/c?d#f"),
        ("http://a/b/c?d#e", "?g", "http://a/b/c?g#e"),
        ("http://a/b#e", "http://d/", "http://d/#e"),
        ("http://a/b#e", "http://d/#", "http://d/#"),
        ("http://a/b#e", "http://d/#f", "http://d/#f"),
        // Blanks and raw bytes.
        ("http://a/b", "  /c  ", "http://a/c"),
        ("http://a/b", "/c d", "http://a/c%20d"),
        ("http://a/b", "/c\td", "http://a/cd"),
        ("http://a/b", "/?q=a b", "http://a/?q=a%20b"),
        ("http://a/b", "/\u{e4}?\u{f6}", "http://a/%C3%A4?%C3%B6"),
        ("http://a/b", "/%zz", "http://a/%zz"),
        ("http://a/b", "/\"<>", "http://a/%22%3C%3E"),
        // As other clients were asked: curl's tests 40, 42, 276, 1138, 1142, 1314 and 2208, the URL standard's own.
        (
            "http://a/we/are/x",
            "../moo.html/?name=d a niel&t=/1    ",
            "http://a/we/moo.html/?name=d%20a%20niel&t=/1",
        ),
        ("http://a/we/are/x", "../m o o.html/1    ", "http://a/we/m%20o%20o.html/1"),
        (
            "http://a/want?u=http://b/1?c",
            "data/2?d=http://e/?f/3",
            "http://a/data/2?d=http://e/?f/3",
        ),
        ("http://a/w", "http:////d/e", "http://d/e"),
        ("http://a/w", "///d/e", "http://d/e"),
        ("https://a/w", "/\\//d/e", "https://d/e"),
        ("http://a/w", "//d", "http://d/"),
        ("http://a/w", "http://@d:9999/e", "http://d:9999/e"),
        ("http://a/w", "http:@d/e", "http://a/@d/e"),
        ("http://a/w", "/../../../../d", "http://a/d"),
        ("http://a/b/c/d", "../../../../../e", "http://a/e"),
        ("http://a/w", "/.%2E/%2e/d", "http://a/d"),
        ("http://a/w", "/d/..;/e", "http://a/d/..;/e"),
        ("http://a/w", "http://a\\@d/", "http://a/@d/"),
        ("http://a/w", "http://b#@d/", "http://b/#@d/"),
        ("http://a/w", "http://b?@d/", "http://b/?@d/"),
        ("http://a/w", "http://D\u{3002}E/", "http://d.e/"),
        ("http://a/w", "http://0x7f.1/", "http://127.0.0.1/"),
        ("http://a/w", "http://2130706433/", "http://127.0.0.1/"),
        ("http://a/w", "http://[0:0::1]/", "http://[::1]/"),
        ("http://a/w", "http://%64/", "http://d/"),
        ("http://a/w", "/%0d%0aX:%20y", "http://a/%0d%0aX:%20y"),
        ("http://a/w", "/d#e#f", "http://a/d#e#f"),
        ("http://a/w", "?", "http://a/w?"),
        ("http://a/w", "%2f%2fd/e", "http://a/%2f%2fd/e"),
        // Zones stay with their address.
        ("http://[fe80::1%25eth0]/a", "b", "http://[fe80::1%25eth0]/b"),
        ("http://[fe80::1%25eth0]/a", "http://[fe80::1]/b", "http://[fe80::1%25eth0]/b"),
        ("http://[fe80::1%25eth0]/a", "http://[fe80::2]/b", "http://[fe80::2]/b"),
        ("http://[fe80::1%25eth0]/a", "http://d/b", "http://d/b"),
    ] {
        match follow(from, location) {
            Ok(Some(hop)) => assert_eq!(hop.url.as_str(), expected, "{from} -> {location:?}"),
            Err(RedirectError::Scheme(_)) => {
                assert_eq!("!scheme", expected, "{from} -> {location:?}");
            }
            other => panic!("{from} -> {location:?}: {other:?}"),
        }
    }
}

#[test]
fn bytes_that_are_no_text() {
    let hop = |location: &[u8]| resolve(&url("http://a/b"), location);
    assert_eq!(hop(b"/\xe4\xf6 x").unwrap().as_str(), "http://a/%E4%F6%20x");
    assert_eq!(hop(b"/?\xff").unwrap().as_str(), "http://a/?%FF");
    assert!(matches!(hop(b"http://\xff/"), Err(RedirectError::Invalid(_))));
}

#[test]
fn what_ends_the_chain() {
    for location in ["", " ", "\t"] {
        assert_eq!(follow("http://a/", location), Ok(None), "{location:?}");
    }
    let base = url("http://a/");
    let rules = RedirectRules::default();
    assert_eq!(next(&asked(&base), &rules, 302, core::iter::empty()), Ok(None));
    let not = Asked { follow: Follow::No, ..asked(&base) };
    assert_eq!(next(&not, &rules, 302, [b"/x".as_slice()].into_iter()), Ok(None));
    for status in [200, 201, 204, 304, 305, 306, 400, 404, 500, 299] {
        assert_eq!(
            next(&asked(&base), &rules, status, [b"/x".as_slice()].into_iter()),
            Ok(None),
            "{status}"
        );
    }
    for status in [300, 301, 302, 303, 307, 308, 310, 399] {
        assert!(
            matches!(
                next(&asked(&base), &rules, status, [b"/x".as_slice()].into_iter()),
                Ok(Some(_))
            ),
            "{status}"
        );
    }
}

#[test]
fn what_is_refused() {
    for (location, expected) in [
        ("ftp://d/", RedirectError::Scheme("ftp".into())),
        ("file:///etc/passwd", RedirectError::Scheme("file".into())),
        ("javascript:alert(1)", RedirectError::Scheme("javascript".into())),
        ("data:,x", RedirectError::Scheme("data".into())),
        ("gopher://d:11211/_stats", RedirectError::Scheme("gopher".into())),
        ("http://", RedirectError::Invalid(UrlError::EmptyHost)),
        ("http://:80/", RedirectError::Invalid(UrlError::EmptyHost)),
        ("http://d:0/", RedirectError::Invalid(UrlError::Port)),
        ("http://d:99999/", RedirectError::Invalid(UrlError::Port)),
        ("//", RedirectError::Invalid(UrlError::EmptyHost)),
        ("////", RedirectError::Invalid(UrlError::EmptyHost)),
        ("ws://d/", RedirectError::Scheme("ws".into())),
        ("http+unix://d/", RedirectError::Scheme("http+unix".into())),
        ("about:blank", RedirectError::Scheme("about".into())),
        ("mailto:a@d", RedirectError::Scheme("mailto".into())),
    ] {
        assert_eq!(follow("http://a/", location), Err(expected), "{location}");
    }
    for location in [
        "http://d e/",
        "http://[::1/",
        "http://1.2.3.4.5/",
        "http://d^/",
        "http://[fe80::1%25eth0]/",
    ] {
        assert!(
            matches!(follow("http://a/", location), Err(RedirectError::Invalid(UrlError::Host(_)))),
            "{location}"
        );
    }
    let long = format!("/{}", "x".repeat(MAX_URL));
    assert_eq!(follow("http://a/", &long), Err(RedirectError::Invalid(UrlError::TooLong)));
    let only_https =
        RedirectRules { schemes: Schemes { http: false, https: true }, ..RedirectRules::default() };
    let base = url("https://a/");
    assert_eq!(
        next(&asked(&base), &only_https, 301, [b"http://a/".as_slice()].into_iter()),
        Err(RedirectError::SchemeRefused(Scheme::Http))
    );
    assert!(matches!(
        next(&asked(&base), &only_https, 301, [b"/x".as_slice()].into_iter()),
        Ok(Some(_))
    ));
}

#[test]
fn two_locations() {
    let base = url("http://a/");
    let go = |locations: &[&'static str]| {
        let locations = locations.iter().map(|location| location.as_bytes());
        next(&asked(&base), &RedirectRules::default(), 302, locations)
            .map(|hop| hop.map(|hop| hop.url.as_str().to_owned()))
    };
    assert_eq!(go(&["/x", "/x"]), Ok(Some("http://a/x".into())));
    assert_eq!(go(&["", "/x", " "]), Ok(Some("http://a/x".into())));
    assert_eq!(go(&["/x", "/y"]), Err(RedirectError::Conflict));
}

/// Status, the request's nature, the method named with `-X`, and what becomes of them with `-L`
/// and with `--follow`: the method sent next, and whether the body goes along.
#[test]
fn methods() {
    for (status, nature, named, with_l, with_follow) in [
        // RFC 9110: 301 and 302 turn POST into GET, 303 everything but HEAD, 307 and 308 nothing.
        (301, "GET", None, ("GET", true), ("GET", true)),
        (301, "HEAD", None, ("HEAD", true), ("HEAD", true)),
        (301, "POST", None, ("GET", false), ("GET", false)),
        (301, "PUT", None, ("PUT", true), ("PUT", true)),
        (302, "POST", None, ("GET", false), ("GET", false)),
        (302, "HEAD", None, ("HEAD", true), ("HEAD", true)),
        (302, "PUT", None, ("PUT", true), ("PUT", true)),
        (303, "GET", None, ("GET", true), ("GET", true)),
        (303, "HEAD", None, ("HEAD", true), ("HEAD", true)),
        (303, "POST", None, ("GET", false), ("GET", false)),
        (303, "PUT", None, ("GET", false), ("GET", false)),
        (307, "POST", None, ("POST", true), ("POST", true)),
        (307, "PUT", None, ("PUT", true), ("PUT", true)),
        (307, "HEAD", None, ("HEAD", true), ("HEAD", true)),
        (308, "POST", None, ("POST", true), ("POST", true)),
        (308, "PUT", None, ("PUT", true), ("PUT", true)),
        (300, "POST", None, ("POST", true), ("POST", true)),
        (310, "POST", None, ("POST", true), ("POST", true)),
        // -X: kept on every hop with -L, though the body is dropped as for a POST.
        (301, "GET", Some("POST"), ("POST", true), ("GET", false)),
        (301, "POST", Some("POST"), ("POST", false), ("GET", false)),
        (301, "POST", Some("PUT"), ("PUT", false), ("PUT", true)),
        (302, "POST", Some("PATCH"), ("PATCH", false), ("PATCH", true)),
        (302, "GET", Some("DELETE"), ("DELETE", true), ("DELETE", true)),
        (303, "GET", Some("DELETE"), ("DELETE", true), ("GET", false)),
        (303, "POST", Some("PUT"), ("PUT", false), ("GET", false)),
        (303, "GET", Some("HEAD"), ("HEAD", true), ("HEAD", true)),
        (303, "GET", Some("OPTIONS"), ("OPTIONS", true), ("GET", false)),
        (307, "POST", Some("PATCH"), ("PATCH", true), ("PATCH", true)),
        (308, "GET", Some("DELETE"), ("DELETE", true), ("DELETE", true)),
    ] {
        for (follow, expected) in [(Follow::Location, with_l), (Follow::Standard, with_follow)] {
            let base = url("http://a/");
            let asked = Asked { url: &base, nature, named, follow };
            let hop =
                next(&asked, &RedirectRules::default(), status, [b"/x".as_slice()].into_iter())
                    .unwrap()
                    .unwrap();
            let nature_next = if hop.becomes_get { "GET" } else { nature };
            let next = named.filter(|_| !hop.drops_named).unwrap_or(nature_next);
            assert_eq!(
                (next, !hop.becomes_get),
                expected,
                "{status} {nature} {named:?} {follow:?}"
            );
        }
    }
}

#[test]
fn post_stays_post_when_asked() {
    let base = url("http://a/");
    let post = Asked { nature: "POST", ..asked(&base) };
    let put = Asked { nature: "PUT", ..asked(&base) };
    for status in [301, 302, 303] {
        let rules = RedirectRules {
            post301: status == 301,
            post302: status == 302,
            post303: status == 303,
            ..RedirectRules::default()
        };
        for other in [301, 302, 303] {
            let hop = next(&post, &rules, other, [b"/x".as_slice()].into_iter()).unwrap().unwrap();
            assert_eq!(hop.becomes_get, other != status, "--post{status} and {other}");
        }
        let hop = next(&put, &rules, 303, [b"/x".as_slice()].into_iter()).unwrap().unwrap();
        assert!(hop.becomes_get, "PUT is no POST");
    }
}

#[test]
fn userinfo_stays_at_its_origin() {
    let has = |from: &str, location: &str| {
        resolve(&url(from), location.as_bytes())
            .unwrap()
            .userinfo()
            .map(|userinfo| String::from_utf8_lossy(&userinfo.user).into_owned())
    };
    for (from, location, expected) in [
        ("http://u:p@a/", "/x", Some("u")),
        ("http://u:p@a/", "http://a/x", Some("u")),
        ("http://u:p@a/", "http://v:q@a/x", Some("v")),
        ("http://a/", "http://v:q@a/x", Some("v")),
        ("http://u:p@a/", "http://b/x", None),
        ("http://u:p@a/", "http://v:q@b/x", None),
        ("http://u:p@a/", "https://a/x", None),
        ("http://u:p@a/", "http://a:81/x", None),
        ("http://u:p@a/", "//a/x", Some("u")),
    ] {
        assert_eq!(has(from, location).as_deref(), expected, "{from} -> {location}");
    }
}

/// Field, at the first origin, body dropped, trusted: goes along?
#[test]
fn what_goes_along() {
    for (name, at_home, body_dropped, trusted, expected) in [
        ("Accept", true, false, false, true),
        ("Accept", false, false, false, true),
        ("Authorization", true, false, false, true),
        ("Authorization", false, false, false, false),
        ("authorization", false, false, false, false),
        ("Authorization", false, false, true, true),
        ("Cookie", true, false, false, true),
        ("Cookie", false, false, false, false),
        ("Cookie", false, false, true, true),
        ("Proxy-Authorization", false, false, false, false),
        ("Proxy-Authorization", false, false, true, true),
        ("Host", true, false, false, true),
        ("Host", false, false, false, false),
        ("Host", false, false, true, false),
        ("Content-Type", true, false, false, true),
        ("Content-Type", true, true, false, false),
        ("content-encoding", true, true, false, false),
        ("Content-Language", true, true, false, false),
        ("Transfer-Encoding", true, true, false, false),
        ("Expect", true, true, false, false),
        ("X-Api-Key", false, true, false, true),
    ] {
        assert_eq!(
            goes_along(name, at_home, body_dropped, trusted),
            expected,
            "{name} {at_home} {body_dropped} {trusted}"
        );
    }
}

#[test]
fn chains_end() {
    let hop = |to: &str| Hop { url: url(to), becomes_get: false, drops_named: false };
    let rules = |max| RedirectRules { max, ..RedirectRules::default() };

    let mut trail = Trail::default();
    assert_eq!(
        trail.step(&url("http://a/"), "GET", &hop("http://b/"), &rules(Some(0))),
        Err(RedirectError::TooMany(0))
    );

    // As many as allowed, not one more.
    let mut trail = Trail::default();
    for index in 0..50 {
        let (from, to) = (format!("http://a/{index}"), format!("http://a/{}", index + 1));
        assert_eq!(trail.step(&url(&from), "GET", &hop(&to), &rules(Some(50))), Ok(()));
    }
    assert_eq!(trail.hops(), 50);
    assert_eq!(
        trail.step(&url("http://a/50"), "GET", &hop("http://a/51"), &rules(Some(50))),
        Err(RedirectError::TooMany(50))
    );

    // A circle is called one.
    let mut trail = Trail::default();
    let (a, b) = (url("http://a/"), url("http://b/#x"));
    for _ in 0..5 {
        trail.step(&a, "GET", &hop("http://b/#x"), &rules(Some(10))).unwrap();
        trail.step(&b, "GET", &hop("http://a/"), &rules(Some(10))).unwrap();
    }
    assert_eq!(
        trail.step(&a, "GET", &hop("http://b/"), &rules(Some(10))),
        Err(RedirectError::Loop(10))
    );

    // No limit of the user's is still a limit.
    let mut trail = Trail::default();
    let mut steps = 0_u32;
    while trail.step(&a, "GET", &hop("http://a/"), &rules(None)).is_ok() {
        steps += 1;
    }
    assert_eq!(steps, NO_LIMIT);

    trail.clear();
    assert_eq!(trail.hops(), 0);
}
