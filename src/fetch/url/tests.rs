use proptest::prelude::*;

use super::typed::{check_characters, split_scheme};
use super::*;

fn parse(text: &str) -> Result<Url, UrlError> {
    Url::parse(text, &UrlRules::default())
}

/// What is typed, what comes out.
#[test]
fn accepted() {
    for (text, expected) in [
        // The ordinary.
        ("http://example.org", "http://example.org/"),
        ("https://example.org/a/b?c=d", "https://example.org/a/b?c=d"),
        ("HTTP://EXAMPLE.org/A", "http://example.org/A"),
        ("hTTps://e/", "https://e/"),
        ("http://example.org?q", "http://example.org/?q"),
        ("http://example.org#f", "http://example.org/#f"),
        ("http://example.org/a?b#c?d", "http://example.org/a?b#c?d"),
        ("http://example.org./", "http://example.org./"),
        // Ports.
        ("http://example.org:80/", "http://example.org/"),
        ("https://example.org:443/", "https://example.org/"),
        ("https://example.org:80/", "https://example.org:80/"),
        ("http://example.org:/", "http://example.org/"),
        ("http://example.org:00080/", "http://example.org/"),
        ("http://example.org:65535", "http://example.org:65535/"),
        // No scheme: https, but http for this machine.
        ("example.org", "https://example.org/"),
        ("example.org:80", "https://example.org:80/"),
        ("example.org:443/x", "https://example.org/x"),
        ("localhost:8080/x", "http://localhost:8080/x"),
        ("LocalHost", "http://localhost/"),
        ("localhost.", "http://localhost./"),
        ("a.localhost", "http://a.localhost/"),
        ("notlocalhost", "https://notlocalhost/"),
        ("127.0.0.1:81", "http://127.0.0.1:81/"),
        ("127.9.9.9", "http://127.9.9.9/"),
        ("127.1", "http://127.0.0.1/"),
        ("0x7f.1", "http://127.0.0.1/"),
        ("128.0.0.1", "https://128.0.0.1/"),
        ("[::1]:80/", "http://[::1]/"),
        ("[::2]", "https://[::2]/"),
        ("user:pw@localhost/x", "http://localhost/x"),
        ("example.org/http://other/", "https://example.org/http://other/"),
        ("example.org?u=http://other/", "https://example.org/?u=http://other/"),
        ("ftp.example.org", "https://ftp.example.org/"),
        // Slashes, one to three.
        ("http:/example.org/x", "http://example.org/x"),
        ("http:///example.org/x", "http://example.org/x"),
        ("http://example.org//x", "http://example.org//x"),
        ("http://example.org\\x\\y", "http://example.org/x/y"),
        // Names.
        ("https://b\u{fc}cher.example/", "https://xn--bcher-kva.example/"),
        ("https://B\u{dc}CHER.example/", "https://xn--bcher-kva.example/"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://\u{65e5}\u{672c}\u{8a9e}.jp", "https://xn--wgv71a119e.jp/"),
        ("https://a_b.example/", "https://a_b.example/"),
        ("https://ex%61mple.org/", "https://example.org/"),
        ("http://\u{ff11}27.0.0.1/", "http://127.0.0.1/"),
        // Addresses.
        ("http://192.168.0.1/", "http://192.168.0.1/"),
        ("http://192.168.1", "http://192.168.0.1/"),
        ("http://0300.1/", "http://192.0.0.1/"),
        ("http://[2001:DB8:0:0::1]:8080/", "http://[2001:db8::1]:8080/"),
        ("http://[::ffff:1.2.3.4]/", "http://[::ffff:102:304]/"),
        ("http://[fe80::1%25eth0]/x", "http://[fe80::1%25eth0]/x"),
        ("http://[fe80::1%eth0]:81/x", "http://[fe80::1%25eth0]:81/x"),
        ("http://[fe80::1%25]/", "http://[fe80::1%2525]/"),
        // Paths.
        ("http://h/a/./b/../c", "http://h/a/c"),
        ("http://h/..", "http://h/"),
        ("http://h/a/%2e%2E/b", "http://h/b"),
        ("http://h/.well-known/x", "http://h/.well-known/x"),
        ("http://h/...", "http://h/..."),
        ("http://h/a..b/c.", "http://h/a..b/c."),
        ("http://h/%zz%", "http://h/%zz%"),
        ("http://h/\u{e4}?\u{f6}#\u{fc}", "http://h/%C3%A4?%C3%B6#%C3%BC"),
        ("http://h/\"<>`{}", "http://h/%22%3C%3E%60%7B%7D"),
        ("http://h/?'\"<>", "http://h/?%27%22%3C%3E"),
        ("http://h/a;b=c,d!$&'()*+:@[]|^~", "http://h/a;b=c,d!$&'()*+:@[]|^~"),
        ("http://h/?a=../..&b=/./", "http://h/?a=../..&b=/./"),
    ] {
        let url = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(url.as_str(), expected, "{text:?}");
        // What came out means the same when it is read again.
        assert_eq!(parse(expected).as_ref().map(Url::as_str), Ok(expected), "{text:?} again");
    }
}

#[test]
fn refused() {
    for (text, expected) in [
        ("", UrlError::Empty),
        ("ftp://example.org/", UrlError::Scheme("ftp".into())),
        ("FILE:///etc/passwd", UrlError::Scheme("file".into())),
        ("file:/etc/passwd", UrlError::Scheme("file".into())),
        ("h2c+x://e", UrlError::Scheme("h2c+x".into())),
        ("http://", UrlError::EmptyHost),
        ("http:///", UrlError::EmptyHost),
        ("http://?q", UrlError::EmptyHost),
        ("http://:80/", UrlError::EmptyHost),
        ("http://user@/", UrlError::EmptyHost),
        ("//example.org/", UrlError::EmptyHost),
        ("/path", UrlError::EmptyHost),
        ("http:////example.org", UrlError::Slashes),
        ("http://example.org:0/", UrlError::Port),
        ("http://example.org:65536/", UrlError::Port),
        ("http://example.org:99999/", UrlError::Port),
        ("http://example.org:1x/", UrlError::Port),
        ("http://example.org:-1/", UrlError::Port),
        ("example.org:port", UrlError::Port),
        ("http://a b/", UrlError::Blank(8)),
        ("http://a/b c", UrlError::Blank(10)),
        (" http://a/", UrlError::Blank(0)),
        ("http://a/ ", UrlError::Blank(9)),
        ("http://a/\r\nX: y", UrlError::Control(9)),
        ("http://a/\0", UrlError::Control(9)),
        ("ht\ttp://a/", UrlError::Control(2)),
        ("http://a/\u{7f}", UrlError::Control(9)),
    ] {
        assert_eq!(parse(text), Err(expected), "{text:?}");
    }
    for text in [
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://1.2.3.09/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[:::]/",
        "http://[1.2.3.4]/",
        "http://[fe80::1%25a b]/",
        "http://[fe80::1%25a%2f]/",
        "http://[fe80::1%25",
        "http://ex<ample/",
        "http://ex%00ample/",
        "http://ex%2fample/",
        "http://xn--\u{e4}/",
        "http://\u{ad}/",
        "http://a^b/",
        "http://a|b/",
    ] {
        let error = parse(text).expect_err(text);
        assert!(
            matches!(
                error,
                UrlError::Host(_) | UrlError::EmptyHost | UrlError::Port | UrlError::Blank(_)
            ),
            "{text:?}: {error:?}"
        );
    }
    assert_eq!(parse(&format!("http://a/{}", "b".repeat(MAX_URL))), Err(UrlError::TooLong));
}

#[test]
fn parts() {
    let url = parse("https://user:p%40ss@Example.org:8443/a/b?c#d").unwrap();
    assert_eq!(url.scheme(), Scheme::Https);
    assert_eq!(
        (url.host(), url.port(), url.authority().as_ref()),
        ("example.org", 8443, "example.org:8443")
    );
    assert_eq!(
        (url.target(), url.path(), url.query(), url.fragment()),
        ("/a/b?c", "/a/b", Some("c"), Some("d"))
    );
    assert_eq!(url.without_fragment(), "https://example.org:8443/a/b?c");
    let userinfo = url.userinfo().unwrap();
    assert_eq!(
        (&*userinfo.user, userinfo.password.as_deref()),
        (b"user".as_slice(), Some(b"p@ss".as_slice()))
    );
    assert_eq!(url.to_string(), "https://***@example.org:8443/a/b?c#d");
    assert!(!format!("{url:?} {userinfo:?}").contains("p@ss"));

    let url = parse("http://[fe80::1%25eth0]:81/x").unwrap();
    assert_eq!((url.host(), url.zone(), url.port()), ("fe80::1", Some("eth0"), 81));
    assert_eq!(url.authority(), "[fe80::1]:81");
    assert_eq!(url.address(), "fe80::1".parse().ok());
    assert_eq!(url.to_standard().unwrap().as_str(), "http://[fe80::1]:81/x");

    let url = parse("http://[::1]").unwrap();
    assert_eq!((url.host(), url.authority().as_ref(), url.target()), ("::1", "[::1]", "/"));
    assert_eq!((url.query(), url.fragment()), (None, None));
    assert_eq!(
        parse("http://h/?#").map(|url| (url.query() == Some(""), url.fragment() == Some(""))),
        Ok((true, true))
    );
}

#[test]
fn names_and_passwords_are_decoded() {
    for (text, user, password) in [
        ("http://u@h/", "u", None),
        ("http://u:@h/", "u", Some("")),
        ("http://:p@h/", "", Some("p")),
        ("http://u:p:q@h/", "u", Some("p:q")),
        ("http://u%3a:p%2F@h/", "u:", Some("p/")),
        ("http://a@b@h/", "a@b", None),
        ("http://%zz:%@h/", "%zz", Some("%")),
        ("http://\u{e4}:p@h/", "\u{e4}", Some("p")),
    ] {
        let url = parse(text).expect(text);
        let userinfo = url.userinfo().expect(text);
        assert_eq!(&*userinfo.user, user.as_bytes(), "{text}");
        // The standard does not keep an empty password apart from none.
        let found = userinfo.password.as_deref().unwrap_or_default();
        assert_eq!(found, password.unwrap_or_default().as_bytes(), "{text}");
    }
    assert_eq!(parse("http://@h/").unwrap().userinfo(), None);
    assert_eq!(parse("http://:@h/").unwrap().userinfo(), None);
}

#[test]
fn a_default_scheme_holds_for_all() {
    let http = UrlRules { default_scheme: Some(Scheme::Http), ..UrlRules::default() };
    let https = UrlRules { default_scheme: Some(Scheme::Https), ..UrlRules::default() };
    assert_eq!(Url::parse("example.org", &http).unwrap().as_str(), "http://example.org/");
    assert_eq!(Url::parse("localhost", &https).unwrap().as_str(), "https://localhost/");
    assert_eq!(Url::parse("127.1", &https).unwrap().as_str(), "https://127.0.0.1/");
    assert_eq!(Url::parse("https://e", &http).unwrap().as_str(), "https://e/");
}

#[test]
fn path_as_is() {
    let rules = UrlRules { path_as_is: true, ..UrlRules::default() };
    for (text, target) in [
        ("http://h", "/"),
        ("http://h/a/../b", "/a/../b"),
        ("http://h/../../etc/passwd", "/../../etc/passwd"),
        ("http://h/./%2e%2e/x?y#z", "/./%2e%2e/x?y"),
        ("http://h?q=/../", "/?q=/../"),
        ("http://h/{a}\\b", "/{a}\\b"),
        ("http://h/\u{e4}", "/%C3%A4"),
        ("http://u:p@h:81/..", "/.."),
    ] {
        let url = Url::parse(text, &rules).expect(text);
        assert_eq!(url.target(), target, "{text}");
    }
    // A backslash before the path is part of the userinfo, as for curl, and never ends the host.
    let url = Url::parse("http://evil:1\\@h:81/x", &rules).unwrap();
    assert_eq!((url.host(), url.port(), url.target()), ("h", 81, "/x"));
    assert_eq!(&*url.userinfo().unwrap().user, b"evil");
    assert_eq!(url.userinfo().unwrap().password.as_deref(), Some(&b"1\\"[..]));
    assert_eq!(parse("http://evil:1\\@h:81/x").unwrap().host(), "evil");
    for text in ["http://h\\x/", "http://h:1\\/", "http://a@h\\b/", "http://[f::1%h\\]/"] {
        assert!(matches!(Url::parse(text, &rules), Err(UrlError::Host(_))), "{text}");
    }
    assert_eq!(Url::parse("http://h/a b", &rules), Err(UrlError::Blank(10)));
    assert_eq!(Url::parse("http://h/x?y#z", &rules).unwrap().fragment(), Some("z"));
}

#[test]
fn the_same_origin() {
    for (one, other, same) in [
        ("http://h/a", "http://h:80/b", true),
        ("http://h/", "https://h/", false),
        ("http://h:81/", "http://h/", false),
        ("http://H/", "http://h/", true),
        ("http://a.h/", "http://h/", false),
        ("http://h./", "http://h/", false),
        ("http://[::1]/", "http://[0::1]/", true),
        ("http://[fe80::1%25a]/", "http://[fe80::1%25b]/", false),
        ("http://u:p@h/", "http://h/", true),
    ] {
        let (one, other) = (parse(one).unwrap(), parse(other).unwrap());
        assert_eq!(one.same_origin(&other), same, "{one} {other}");
        assert_eq!(other.same_origin(&one), same, "{other} {one}");
    }
}

#[test]
fn a_failed_set_changes_nothing() {
    let mut url = parse("http://u:p@h/x").unwrap();
    let before = url.clone();
    for text in ["", "http://:1", "ftp://x", "http://a:0/", "http://h/\n"] {
        assert!(url.set(text, &UrlRules::default()).is_err());
        assert_eq!(url, before);
    }
    url.set("http://g/", &UrlRules::default()).unwrap();
    assert_eq!((url.as_str(), url.userinfo()), ("http://g/", None));
    assert_eq!(Url::blank(), parse("http://localhost/").unwrap());
}

#[test]
fn queries_grow() {
    for (text, query, expected) in [
        ("http://h", "a=b", "http://h/?a=b"),
        ("http://h/x?", "a=b", "http://h/x?a=b"),
        ("http://h/x?y", "a=b", "http://h/x?y&a=b"),
        ("http://h/x?y#z", "a=b", "http://h/x?y&a=b#z"),
        ("http://h/x#z", "", "http://h/x#z"),
        ("http://h/", "a b#\"'<>\r\n\u{e4}%20", "http://h/?a%20b%23%22%27%3C%3E%0D%0A%C3%A4%20"),
        ("http://h/", "a={}[]|\\^`~?/", "http://h/?a={}[]|\\^`~?/"),
    ] {
        let mut url = parse(text).unwrap();
        url.append_query(query);
        assert_eq!(url.as_str(), expected);
        assert_eq!(parse(expected), Ok(url), "{expected}");
    }
}

#[test]
fn masked() {
    for (text, expected) in [
        ("http://u:p@h/", "http://***@h/"),
        ("http://a@b@h/x@y", "http://***@h/x@y"),
        ("u:p@h", "***@h"),
        ("http://h/x@y", "http://h/x@y"),
        ("http://h?x@y", "http://h?x@y"),
        ("ftp://u:p@", "ftp://***@"),
        ("plain", "plain"),
        ("GET http://u:p@h/", "GET http://***@h/"),
        ("http:/u:p@h/", "http:/***@h/"),
        ("http:///u:p@h/", "http:///***@h/"),
        ("http:\\\\u:p@h\\", "http:\\\\***@h\\"),
        ("u:p@h/?to=http://a/", "***@h/?to=http://a/"),
        ("h/?to=http://a/", "h/?to=http://a/"),
        ("http://u:p/q@h/", "http://***@h/"),
        ("http://h:80/x@y", "http://h:80/x@y"),
        ("http://h:/x@y", "http://h:/x@y"),
        ("http://[::1]/x@y", "http://[::1]/x@y"),
    ] {
        assert_eq!(mask(text), expected);
    }
}

/// The general road, whatever the text.
fn slow(text: &str) -> Result<Url, UrlError> {
    let (scheme, rest) = split_scheme(text)?;
    check_characters(text)?;
    Url::by_the_standard(scheme.unwrap_or(Scheme::Https), rest, false)
}

/// Whatever the fast road accepts, the `url` crate accepts too, and says the same.
fn check_fast(text: &str) {
    let Ok((Some(scheme), rest)) = split_scheme(text) else { return };
    let mut fast = Url::blank();
    if fast::parse(scheme, rest, &mut fast) {
        assert_eq!(Ok(fast.clone()), slow(text), "{text:?}");
        assert_eq!(fast.as_str(), url::Url::parse(text).unwrap().as_str(), "{text:?}");
    } else {
        assert_eq!(fast, Url::blank(), "{text:?} left something behind");
    }
    // After another of the same origin, with credentials or a zone, and after a stranger.
    for before in ["http://h/", "https://h:99/x?y", "http://user:word@h/", "http://[fe80::1%25lo]/"]
    {
        let mut again: Url = before.parse().unwrap();
        if let Ok(mut same) = slow(text) {
            assert!(!fast::parse_again(text, &mut again) || again.host() == same.host());
            same.text.truncate(same.path as usize);
            same.text.push_str("/before");
            again = same;
        }
        let held = again.clone();
        if fast::parse_again(text, &mut again) {
            let mut fresh = slow(text).unwrap();
            fresh.userinfo.clone_from(&held.userinfo);
            assert_eq!(again, fresh, "{text:?} after {held:?}");
        } else {
            assert_eq!(again, held, "{text:?} left something behind");
        }
    }
}

/// What stands before the path is looked at once, as long as it stays the same.
#[test]
fn the_same_authority_is_not_read_again() {
    let rules = UrlRules::default();
    let mut url = Url::blank();
    for (text, again) in [
        ("http://user:word@h/a", false),
        ("http://h/b", true),
        ("http://h/b/../c", false),
        ("http://h@other/", false),
        ("http://h", false),
        ("http://h/?q", true),
        ("http://h:8080/", false),
        ("http://h:8080/x#y", false),
        ("http://h:80/", false),
        ("https://h/", false),
        ("https://h/%41", true),
        ("http://[fe80::1%25lo]/", false),
        ("http://[fe80::1%25lo]/x", false),
    ] {
        assert_eq!(fast::parse_again(text, &mut url.clone()), again, "{text} after {url}");
        url.set(text, &rules).unwrap();
        assert_eq!(url, Url::parse(text, &rules).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fast_is_what_the_standard_says(
        text in "https?://[a-zA-Z0-9._x-]{0,12}(:[0-9]{0,6})?(/[a-zA-Z0-9./%2eE;:@&=+$,!'()*~|^{}\\[\\]\"<>`\\\\_-]{0,24})?(\\?[ -~]{0,16})?(#[a-z]{0,3})?"
    ) {
        check_fast(&text);
    }

    #[test]
    fn fast_survives_anything(text in "(https?:/{0,4})?\\PC{0,40}") {
        check_fast(&text);
        let _ = parse(&text);
        let _ = mask(&text);
    }

    #[test]
    fn hosts_that_look_like_addresses(text in "http://[0-9a-fx]{1,4}(\\.[0-9a-fx]{0,4}){0,4}(:[0-9]{1,5})?/") {
        check_fast(&text);
    }

    #[test]
    fn dots(text in "http://h(/|\\.|%2e|%2E|a|\\?|%){0,12}") {
        check_fast(&text);
    }
}

#[test]
fn the_ordinary_takes_the_fast_road() {
    for text in [
        "http://127.0.0.1:8080/1k.bin",
        "https://www.Example.org/a/b/c.html?x=1&y=2",
        "http://localhost",
        "https://example.org/.well-known/security.txt",
        "https://example.org/search?q=%C3%A4+b",
    ] {
        let (scheme, rest) = split_scheme(text).unwrap();
        assert!(fast::parse(scheme.unwrap(), rest, &mut Url::blank()), "{text}");
    }
}
