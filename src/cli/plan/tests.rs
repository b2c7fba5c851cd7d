use std::ffi::OsString;

use super::*;
use crate::cli::args::Args;
use crate::cli::lexer;
use crate::fetch::{Body, Follow};

fn typed(line: &[&str]) -> Result<Plan, String> {
    let words: Vec<OsString> = line.iter().map(OsString::from).collect();
    let words = lexer::lex(&words, None).map_err(|usage| usage.text)?;
    match plan(&words.groups, words.warnings).map_err(|usage| usage.text)? {
        Command::Run(plan) => Ok(*plan),
        Command::Print(text) => Err(text),
    }
}

fn transfers(line: &[&str]) -> Vec<Group> {
    match typed(line).unwrap().way {
        Way::Transfers(transfers) => transfers.groups,
        Way::Batch(_) => panic!("a batch: {line:?}"),
    }
}

fn batch(line: &[&str]) -> Batch {
    match typed(line).unwrap().way {
        Way::Batch(batch) => *batch,
        Way::Transfers(_) => panic!("transfers: {line:?}"),
    }
}

#[test]
fn the_nth_output_belongs_to_the_nth_url() {
    let name = |text: &str| Where::Name(text.to_owned());
    let table: &[(&[&str], &[Where])] = &[
        (&["a"], &[Where::Stdout]),
        (&["a", "b", "-o", "x"], &[name("x"), Where::Stdout]),
        (&["-o", "x", "-O", "a", "b", "c"], &[name("x"), Where::Remote, Where::Stdout]),
        (&["a", "-o", "x", "b", "-o", "y"], &[name("x"), name("y")]),
        (&["-o", "-", "-o", "y", "a", "b"], &[Where::Stdout, name("y")]),
        (&["--remote-name-all", "-o", "x", "a", "b"], &[name("x"), Where::Remote]),
        (&["--url", "@list"], &[Where::Remote]),
    ];
    for (line, want) in table {
        let group = &transfers(line)[0];
        let outputs: Vec<_> = group.targets.iter().map(|target| target.output.clone()).collect();
        assert_eq!(outputs, *want, "{line:?}");
    }
}

#[test]
fn groups_have_options_of_their_own() {
    let groups = transfers(&["-L", "-d", "x", "a", "--next", "-I", "b"]);
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0].ask.profile.follow, Follow::Location);
    assert!(groups[0].ask.profile.body.is_some() && !groups[0].ask.profile.head);
    assert_eq!(groups[1].ask.profile.follow, Follow::No);
    assert!(groups[1].ask.profile.head && !groups[1].ask.profile.body.is_some());
}

#[test]
fn data_goes_into_the_body_or_the_query() {
    let ask = |line: &[&str]| transfers(line).remove(0).ask;
    let post = ask(&["-d", "a=b", "--data-urlencode", "c=d e", "x"]);
    assert_eq!(post.profile.body, Body::Bytes(b"a=b&c=d+e".as_slice().into()));
    assert_eq!(post.profile.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    let json = ask(&["--json", "{}", "x"]);
    let names: Vec<_> = json.profile.fields.iter().map(crate::fetch::Field::name).collect();
    assert_eq!(names, ["Content-Type", "Accept"]);
    let get = ask(&["-G", "-d", "a=b", "--url-query", "c=d", "x"]);
    assert_eq!(get.query.as_deref(), Some("c=d&a=b"));
    assert_eq!(get.profile.body, Body::None);
}

#[test]
fn a_batch_knows_where_bodies_go() {
    let table: &[(&[&str], Where)] = &[
        (&["-i", "-"], Where::Nowhere),
        (&["-i", "-", "-o", "{n}"], Where::Name("{n}".to_owned())),
        (&["-i", "-", "-o", "-"], Where::Stdout),
        (&["-i", "-", "-O"], Where::Remote),
        (&["-i", "-", "--output-dir", "d"], Where::Name("{n:08}{ext}".to_owned())),
    ];
    for (line, want) in table {
        assert_eq!(batch(line).keep.output, *want, "{line:?}");
    }
    let with_url = batch(&["http://a/[1-2]", "-i", "-"]);
    assert_eq!(with_url.lists.len(), 2);
    assert_eq!(with_url.lists[1], List::Stdin);
}

#[test]
fn the_two_ways_have_defaults_of_their_own() {
    let one = &transfers(&["a"])[0].engine;
    let many = &batch(&["-i", "-"]).engine;
    assert_eq!((one.first_byte_timeout, one.low_speed, one.offline_wait), (None, None, false));
    assert_eq!(many.low_speed, Some((100, 60)));
    assert!(many.offline_wait && many.first_byte_timeout.is_some());
    assert_eq!((one.attempts, many.attempts), (5, 5));
    assert_eq!(transfers(&["-y", "3", "a"])[0].engine.low_speed, Some((1, 3)));
    assert_eq!(transfers(&["-Y", "9", "a"])[0].engine.low_speed, Some((9, 30)));
    assert_eq!(transfers(&["--retry", "0", "a"])[0].engine.attempts, 1);
}

#[test]
fn schemes_are_allowed_as_curl_writes_it() {
    let proto = |text: &str| {
        typed(&["--proto", text, "a"]).map(|plan| match plan.way {
            Way::Transfers(transfers) => transfers.groups[0].engine.proto,
            Way::Batch(batch) => batch.engine.proto,
        })
    };
    let table = [
        ("=https", Some((false, true))),
        ("-http", Some((false, true))),
        ("http", Some((true, true))),
        ("-all,http", Some((true, false))),
        ("=ftp", None),
        ("=http,ftp", Some((true, false))),
    ];
    for (text, want) in table {
        assert_eq!(proto(text).ok().map(|p| (p.http, p.https)), want, "{text}");
    }
}

#[test]
fn what_contradicts_itself_is_said() {
    let table: &[(&[&str], &str)] = &[
        (&[], "no URL"),
        (&["-s"], "no URL"),
        (&["-i", "http://a/"], "--show-headers here"),
        (&["-i", "/no/such/list"], "can't read the list"),
        (&["-i", "/"], "is a folder"),
        (&["-i", "-", "-i", "-"], "only once"),
        (&["-i", "-", "-o", "a", "-o", "b"], "one -o"),
        (&["-i", "-", "-o", "{x}"], "no variable"),
        (&["-i", "-", "-o", "-", "--results", "-"], "both want standard output"),
        (&["-i", "-", "-u", "a:b"], "--auth-host"),
        (&["-i", "-", "-H", "Cookie: a=b"], "--auth-host"),
        (&["-i", "-", "-T", "f"], "-T is for transfers"),
        (&["-i", "-", "-C", "5"], "-C with an offset"),
        (&["a", "--next", "-i", "-"], "--next"),
        (&["-I", "-d", "x", "a"], "-I can't"),
        (&["-T", "f", "-d", "x", "a"], "one body"),
        (&["-C", "1", "-r", "0-", "a"], "-C can't"),
        (&["-r", "x", "a"], "no range"),
        (&["-X", "GE T", "a"], "no method"),
        (&["--per-host", "0", "a"], "--per-host"),
        (&["--per-host", "4", "--max-per-host", "8", "a"], "--max-per-host"),
        (&["--shard", "1/2", "a"], "for batches"),
        (&["--exit-zero", "a"], "for batches"),
        (&["--resume", "a"], "--results"),
        (&["--results", "r", "--resume", "a"], "needs a list"),
        (&["-i", "-", "--results", "-", "--resume"], "can't be read again"),
        (&["-i", "-", "--results", "r", "--resume", "--resume-status", "6x"], "no status"),
        (&["a{", "b"], "unmatched brace"),
        (&["--window", "x", "-i", "-"], "invalid value 'x'"),
        (&["-m", "x", "a"], "no number of seconds"),
        (&["--key", "k", "a"], "--cert"),
    ];
    for (line, want) in table {
        let error = typed(line).map(|_| ()).expect_err(&format!("{line:?}"));
        assert!(error.contains(want), "{line:?}: {error}");
        assert!(!error.contains("\n\n"), "{error:?}");
    }
}

#[test]
fn help_is_short_or_whole() {
    let short = typed(&["--help"]).map(|_| ()).unwrap_err();
    let all = typed(&["--help", "all"]).map(|_| ()).unwrap_err();
    assert!(short.contains("--input-file") && !short.contains("--post301"), "{short}");
    assert!(all.contains("--post301") && all.contains("TLS and network"), "{all}");
    assert!(typed(&["--help", "tls"]).map(|_| ()).unwrap_err().contains("no help on"));
    assert!(typed(&["--man"]).map(|_| ()).unwrap_err().contains(".TH"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            typed(&["--completions", shell]).map(|_| ()).unwrap_err().contains("results-overwrite"),
            "{shell}"
        );
    }
}

#[test]
fn declarations_are_sound() {
    Args::command().debug_assert();
}
