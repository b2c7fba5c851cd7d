//! Checks of `fetch`: URLs, redirects, content codings.

use core::ops::ControlFlow;

use arbitrary::Unstructured;

use gannet::fetch::decode::{Coding, Decoder};
use gannet::fetch::redirect::{self, Asked};
use gannet::fetch::{
    Auth, DecodeError, DecodeLimits, Follow, Netrc, RedirectRules, Url, UrlRules, mask,
};

/// Whatever is typed: no panic; what comes out can be put on the wire, means the same when it is
/// read again, and is what the `url` crate says; and no secret is shown.
pub fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for path_as_is in [false, true] {
        let rules = UrlRules { path_as_is, ..UrlRules::default() };
        let masked = mask(&text);
        assert!(masked.len() <= text.len() + 3, "{masked}");
        let Ok(url) = Url::parse(&text, &rules) else { continue };
        sound(&url);
        // What is known of the authority is not read again.
        let mut twice = url.clone();
        twice.set(&text, &rules).expect("it was valid a moment ago");
        assert_eq!(twice, url, "{text:?}");
        let again = Url::parse(url.as_str(), &rules).expect("it was valid a moment ago");
        assert_eq!(again.as_str(), url.as_str(), "{text:?}");
        assert_eq!(
            (again.host(), again.port(), again.target()),
            (url.host(), url.port(), url.target())
        );
        // As it is shown when the password is another one; what stands there anyway is no secret.
        let innocent = url.as_str().replacen("://", "://***@", 1);
        if let Some(password) = url.userinfo().and_then(|userinfo| userinfo.password.as_deref())
            && let Ok(password) = core::str::from_utf8(password)
            && password.len() > 3
            && !innocent.contains(password)
        {
            assert!(!url.to_string().contains(password) && !format!("{url:?}").contains(password));
        }
        let absolute = text.starts_with("http://") || text.starts_with("https://");
        if absolute && !path_as_is && url.userinfo().is_none() && url.zone().is_none() {
            let standard = url::Url::parse(&text).expect("what is accepted here is accepted there");
            assert!(standard.username().is_empty() && standard.password().is_none(), "{text:?}");
            assert_eq!(standard.as_str(), url.as_str(), "{text:?}");
            assert_eq!(standard.port_or_known_default(), Some(url.port()));
        }
    }
}

/// Can be put on the wire.
fn sound(url: &Url) {
    assert!(!url.host().is_empty() && url.port() != 0, "{url}");
    assert!(url.target().starts_with('/'), "{url}");
    assert!(url.target().bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
    assert!(url.authority().bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
    assert!(!url.authority().contains('@'), "{url}");
}

/// Wherever a `Location` leads: to http or https, with a target that can be put on the wire, with
/// userinfo on the same origin only; twice the same way; and as the `url` crate resolves it.
pub fn redirect(data: &[u8]) {
    let Some((&status, rest)) = data.split_first() else { return };
    let at = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let (base, location) = (&rest[..at], rest.get(at + 1..).unwrap_or_default());
    let Ok(from) = Url::parse(&String::from_utf8_lossy(base), &UrlRules::default()) else { return };
    let asked = Asked { url: &from, nature: "POST", named: None, follow: Follow::Standard };
    let status = [200, 300, 301, 302, 303, 304, 307, 308][usize::from(status) % 8];
    let next = || redirect::next(&asked, &RedirectRules::default(), status, [location].into_iter());
    let first = next();
    assert_eq!(first, next());
    let Ok(Some(hop)) = first else { return };
    assert!(!matches!(status, 200 | 304));
    sound(&hop.url);
    assert_eq!(hop.becomes_get, matches!(status, 301..=303));
    if !hop.url.same_origin(&from) {
        assert!(hop.url.userinfo().is_none(), "{from} -> {}", hop.url);
    }
    let (Ok(text), None) = (core::str::from_utf8(location.trim_ascii()), from.zone()) else {
        return;
    };
    let base = url::Url::parse(from.as_str()).expect("it was valid a moment ago");
    // That crate finds no host behind three slashes, the standard does.
    let host = text.trim_start_matches(['/', '\\']);
    let short = ["//", host].concat();
    let text = if text.len() - host.len() > 2 { &short } else { text };
    let mut standard = base.join(text).expect("what is accepted here is accepted there");
    if standard.fragment().is_none() {
        standard.set_fragment(from.fragment());
    }
    let _ = standard.set_username("");
    let _ = standard.set_password(None);
    assert_eq!(standard.as_str(), hop.url.as_str(), "{from} -> {text:?}");
}

/// However a coded body is cut: the same verdict and the same bytes, never more of them than the
/// limits allow, and no panic. The first byte chooses the codings, the second the cuts.
pub fn decode(data: &[u8]) {
    let &[choice, seed, ref body @ ..] = data else { return };
    let coding =
        |number: u8| [Coding::Gzip, Coding::Deflate, Coding::Brotli][usize::from(number % 3)];
    let mut codings = vec![coding(choice)];
    if choice & 0x80 != 0 {
        codings.push(coding(choice >> 3));
    }
    let whole = run(&codings, core::iter::once(body));
    let mut random = fastrand::Rng::with_seed(seed.into());
    let mut rest = body;
    let pieces = core::iter::from_fn(|| {
        let length = random.usize(1..=rest.len().clamp(1, 64));
        let (piece, tail) = rest.split_at_checked(length)?;
        rest = tail;
        Some(piece)
    });
    let cut = run(&codings, pieces);
    assert_eq!(whole.0, cut.0);
    if whole.0.is_ok() {
        assert!(whole.1 == cut.1, "the bytes differ");
    }
    let common = whole.1.len().min(cut.1.len());
    assert!(whole.1[..common] == cut.1[..common], "the bytes differ");
}

fn run<'a>(
    codings: &[Coding],
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Result<(), DecodeError>, Vec<u8>) {
    // A mebibyte for each bomb would be most of the work.
    let limits = DecodeLimits { ratio_from: 1 << 15, ..DecodeLimits::default() };
    let mut decoder = Decoder::new(codings, limits);
    let mut out = Vec::new();
    let mut taken = 0;
    for piece in pieces {
        taken += piece.len() as u64;
        let result = decoder.push(piece, &mut |bytes| {
            out.extend_from_slice(bytes);
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            return (Err(error), out);
        }
        assert!(out.len() as u64 <= limits.ratio_from.max(limits.ratio * (taken + 1)));
    }
    (decoder.finish(), out)
}

/// Whatever stands in a netrc file: no panic; and what is written by the rules (quoted where it must be, among
/// comments and words that nobody knows) is found again: the first entry that fits, a second login of one
/// machine being a second account.
///
/// Input: a file's text; its bytes also decide, by `arbitrary`, what is written by the rules.
pub fn netrc(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(netrc) = Netrc::parse(text)
    {
        let _ = netrc.lookup("a", None);
        let _ = netrc.lookup("", Some(data));
        assert_eq!(Netrc::parse(text), Ok(netrc), "read twice");
    }
    let _ = written_netrc(&mut Unstructured::new(data));
}

fn written_netrc(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    const HOSTS: [&str; 3] = ["a.test", "A.TEST", "b"];
    let mut text = String::new();
    // Host (none: default), login, password.
    let mut entries: Vec<(Option<&str>, &str, &str)> = Vec::new();
    for _ in 0..input.int_in_range(1..=5)? {
        let host = if input.ratio(1, 6)? { None } else { Some(*input.choose(&HOSTS)?) };
        let (login, password): (&str, &str) = (input.arbitrary()?, input.arbitrary()?);
        let again = entries.last().is_some_and(|last| last.0 == host) && input.arbitrary()?;
        match host {
            _ if again => {}
            Some(host) => text += &format!("machine {host}"),
            None => text += "default",
        }
        if input.ratio(1, 4)? {
            text += " account \"x y\" unknown";
        }
        let blank = *input.choose(&[" ", "\t", "\n", "\r\n", "\n# machine b login c\n"])?;
        for (word, value) in [("login", login), ("password", password)] {
            text += &format!("{blank}{word} {}", quoted(value));
        }
        text += "\n";
        if input.ratio(1, 6)? {
            text += "macdef init\nmachine b\nlogin macro\n\n";
        }
        entries.push((host, login, password));
    }
    let netrc = Netrc::parse(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    for host in HOSTS {
        let fits = |entry: &&(Option<&str>, &str, &str)| {
            entry.0.is_none_or(|machine| machine.eq_ignore_ascii_case(host))
        };
        let auth = |entry: &(_, &str, &str)| Auth::basic(entry.1.as_bytes(), entry.2.as_bytes());
        let want = entries.iter().find(fits).map(auth);
        assert_eq!(netrc.lookup(host, None), want, "{host} in {text:?}");
        for (_, login, _) in &entries {
            let want = entries.iter().filter(fits).find(|entry| entry.1 == *login).map(auth);
            assert_eq!(
                netrc.lookup(host, Some(login.as_bytes())),
                want,
                "{login} at {host}: {text:?}"
            );
        }
    }
    Ok(())
}

/// In quotation marks, with the escapes that are needed in them.
fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            other => out.push(other),
        }
    }
    out + "\""
}
