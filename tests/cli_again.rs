//! What goes on where it was cut, and what begins again, through the built command: whose word is
//! taken for it, and that nothing of an answer that is void is left in files and records.

mod cli_common;
#[path = "cli_common/scripted.rs"]
mod scripted;

use std::fs;
use std::time::Instant;

use cli_common::{Gannet, Run, records, sha256};
use scripted::{Says, Scripted, chunked, cut, hangs_up, says, until_close};

const WHOLE: &str = "0123456789";
/// Ten bytes are promised, five come, and nothing verifies what the other five would be.
const GIVES_RANGES: &str = "200 OK | Accept-Ranges: bytes";

/// A batch of one URL with `-C -`, its body in the file `f`.
fn batch(server: &Scripted, more: &[&str]) -> Run {
    batch_in(&Gannet::new(), server, more)
}

/// The same where something may be already.
fn batch_in(gannet: &Gannet, server: &Scripted, more: &[&str]) -> Run {
    let mut words = vec!["-s", "-i", "-", "--results", "-", "-C", "-", "--retry", "2"];
    words.extend(["--retry-delay", "0.01", "-o", "f"]);
    words.extend(more);
    gannet.args(words).stdin(&server.url("/")).run()
}

fn rest(fields: &str, body: &str) -> Says {
    says(&format!("206 Partial Content | Content-Range: bytes 5-9/10{fields}"), body)
}

/// A download that was cut, and an error where its rest should be: the user's options decide what it means, and what
/// had come is there for the next run.
#[test]
fn an_error_takes_no_part_away() {
    let whole = "200 OK | ETag: \"a\"";
    let to_go = || says("206 Partial Content | Content-Range: bytes 5-9/10 | ETag: \"a\"", "56789");
    for (more, exit) in [(&["-f"][..], 22), (&["-C", "-"][..], 33)] {
        // Within a run, and in the next one.
        for within in [true, false] {
            let server = Scripted::new([
                cut(whole, 10, "01234"),
                says("403 Forbidden", "your link is out of date"),
                to_go(),
            ]);
            let url = server.url("/");
            let base = ["-sS", "--retry-delay", "0.01", "-o", "f"];
            let mut run = Gannet::new()
                .args(base)
                .args(["--retry", if within { "1" } else { "0" }])
                .args(more)
                .args([&url])
                .run();
            if !within {
                assert_eq!(run.code, 18, "{}", run.err);
                let go_on = if more == ["-f"] { &["-f", "-C", "-"][..] } else { more };
                run = run.gannet().args(base).args(go_on).args(["--retry", "1", &url]).run();
            }
            assert_eq!(run.code, exit, "{more:?} {within}: {}", run.err);
            assert_eq!(
                run.files("."),
                ["f.gannet-part", "f.gannet-part.json"],
                "{more:?} {within}"
            );
            assert_eq!(fs::read(run.path("f.gannet-part")).unwrap(), b"01234", "{more:?} {within}");
            let last = run.gannet().args(base).args(["-C", "-", &url]).run();
            assert_eq!(last.code, 0, "{}", last.err);
            assert_eq!(last.files("."), ["f"]);
            assert_eq!(fs::read(last.path("f")).unwrap(), WHOLE.as_bytes());
            assert_eq!(server.ranges(), ["", "bytes=5-", "bytes=5-"], "{more:?} {within}");
        }
    }
    // Without a word of the user's an answer is an answer, as with curl's --retry.
    let server = Scripted::new([cut(whole, 10, "01234"), says("403 Forbidden", "no")]);
    let run = Gannet::new()
        .args(["-sS", "--retry", "1", "--retry-delay", "0.01", "-o", "f", &server.url("/")])
        .run();
    assert_eq!((run.code, run.files(".")), (0, vec!["f".to_owned()]), "{}", run.err);
    assert_eq!(fs::read(run.path("f")).unwrap(), b"no");
}

/// `-C -` trusts a server that gives ranges, but not against what that server says itself.
#[test]
fn trust_ends_where_the_server_contradicts_it() {
    for (before, after, goes_on) in [
        ("", "", true),
        (" | ETag: W/\"1\"", " | ETag: W/\"1\"", true),
        (" | ETag: W/\"1\"", "", true),
        ("", " | ETag: W/\"2\"", true),
        (" | ETag: W/\"1\"", " | ETag: W/\"2\"", false),
        (" | ETag: W/\"1\"", " | ETag: \"1\"", false),
        (
            " | Last-Modified: Sun, 29 Nov 2026 10:00:00 GMT",
            " | Last-Modified: Sun, 29 Nov 2026 10:00:00 GMT",
            true,
        ),
        (
            " | Last-Modified: Sun, 29 Nov 2026 10:00:00 GMT",
            " | Last-Modified: Sun, 29 Nov 2026 10:00:01 GMT",
            false,
        ),
        (
            " | ETag: W/\"1\" | Last-Modified: Sun, 29 Nov 2026 10:00:00 GMT",
            " | ETag: W/\"1\" | Last-Modified: Sun, 29 Nov 2026 10:00:01 GMT",
            false,
        ),
    ] {
        let server = Scripted::new([
            cut(&format!("{GIVES_RANGES}{before}"), 10, "01234"),
            rest(after, if goes_on { "56789" } else { "abcde" }),
            says("200 OK", WHOLE),
        ]);
        let run = batch(&server, &[]);
        assert_eq!(run.code, 0, "{before} {after}: {}", run.err);
        assert_eq!(fs::read_to_string(run.path("f")).unwrap(), WHOLE, "{before} {after}");
        let asked = server.ranges();
        let want: &[&str] = if goes_on { &["", "bytes=5-"] } else { &["", "bytes=5-", ""] };
        assert_eq!(asked, want, "{before} {after}");
        let record = &records(&run.out)[0];
        assert_eq!(record["resumed_at"].as_u64(), goes_on.then_some(5), "{record}");
    }
}

/// What has left for standard output can't be looked at again: it goes on by what is verified.
#[test]
fn standard_output_does_not_go_on_upon_trust() {
    let script = || Scripted::new([cut(GIVES_RANGES, 10, "01234"), rest("", "56789")]);
    let server = script();
    let run = Gannet::new().args(["-s", "-C", "-", "--retry", "1", &server.url("/")]).run();
    assert_eq!((run.code, run.out.as_str()), (18, "01234"), "{}", run.err);
    assert_eq!(server.ranges(), [""]);
    // What was said of it stays true.
    let server = script();
    let format = "%{stderr}%{http_code} %{size_download} %header{accept-ranges}";
    let run = Gannet::new()
        .args(["-s", "-w", format, "--retry", "1", "--results", "r", &server.url("/")])
        .run();
    assert_eq!((run.code, run.err.as_str()), (18, "200 5 bytes"), "{}", run.out);
    let record = &records(&fs::read_to_string(run.path("r")).unwrap())[0];
    assert_eq!((&record["status"], &record["body_bytes"]), (&200.into(), &5.into()), "{record}");
    // A batch holds it back until it is whole: it is asked for again.
    let server = Scripted::new([cut(GIVES_RANGES, 10, "abcde"), says("200 OK", WHOLE)]);
    let run = Gannet::new()
        .args(["-s", "-i", "-", "-C", "-", "--retry", "1", "--retry-delay", "0.01", "-o", "-"])
        .stdin(&server.url("/"))
        .run();
    assert_eq!((run.code, run.out.as_str()), (0, WHOLE), "{}", run.err);
    assert_eq!(server.ranges(), ["", ""]);
}

/// The verdict on an answer that is void is void as well.
#[test]
fn a_repeat_is_judged_by_its_own_answer() {
    let server = Scripted::new([cut("404 Not Found", 10, "01234"), says("200 OK", WHOLE)]);
    let run = Gannet::new()
        .args(["-s", "--fail-with-body", "--retry", "1", "--retry-delay", "0.01", "-o", "f"])
        .args(["--results", "r", &server.url("/")])
        .run();
    let record = &records(&fs::read_to_string(run.path("r")).unwrap())[0];
    assert_eq!(run.code, 0, "{} {record}", run.err);
    assert_eq!(fs::read_to_string(run.path("f")).unwrap(), WHOLE);
    assert_eq!((&record["ok"], &record["attempts"]), (&true.into(), &2.into()));
}

/// What a record says of an answer, it says of one that counts.
#[test]
fn nothing_of_a_void_answer_stands_in_a_record() {
    let head = "200 OK | Content-Type: text/x | ETag: W/\"1\" | Location: /x \
                | Last-Modified: Sun, 29 Nov 2026 10:00:00 GMT";
    let server = Scripted::new([cut(head, 10, "01234"), hangs_up()]);
    let run = Gannet::new()
        .args(["-s", "-i", "-", "--results", "-", "--retry", "1", "--retry-delay", "0.01"])
        .args(["-o", "f", "--record-body", "text", "--record-headers", "all", "--sha256"])
        .stdin(&server.url("/"))
        .run();
    assert_eq!(run.code, 1, "{}", run.err);
    let record = &records(&run.out)[0];
    assert_eq!((&record["ok"], &record["attempts"]), (&false.into(), &2.into()), "{record}");
    assert_eq!(record["body_bytes"].as_u64().unwrap_or(0), 0, "{record}");
    for name in [
        "status",
        "content_type",
        "etag",
        "last_modified",
        "location",
        "content_length",
        "output",
        "sha256",
    ] {
        assert!(record[name].is_null(), "{name}: {record}");
    }
    assert!(run.files(".").is_empty(), "{:?}", run.files("."));
}

/// What goes on and then begins again after all was not continued.
#[test]
fn a_body_that_came_anew_was_not_continued() {
    let server = Scripted::new([
        cut("200 OK | ETag: \"1\"", 10, "01234"),
        cut("206 Partial Content | Content-Range: bytes 5-9/10 | ETag: \"1\"", 5, "56"),
        says("200 OK | ETag: \"2\"", "abcdefghij"),
    ]);
    let run = batch(&server, &[]);
    let record = &records(&run.out)[0];
    assert_eq!((run.code, &record["attempts"]), (0, &3.into()), "{record}");
    assert_eq!(server.ranges(), ["", "bytes=5-", "bytes=7-"]);
    assert_eq!(fs::read_to_string(run.path("f")).unwrap(), "abcdefghij");
    assert!(record["resumed_at"].is_null(), "{record}");
}

/// A rest whose framing does not tell its length is counted: after less it goes on once more, and more
/// begins again.
#[test]
fn a_rest_of_another_length_than_its_head_says_is_not_believed() {
    const PART: &str = "206 Partial Content | Content-Range: bytes 5-9/10 | ETag: \"1\"";
    let last = || says("206 Partial Content | Content-Range: bytes 7-9/10 | ETag: \"1\"", "789");
    let whole = || says("200 OK | ETag: \"1\"", WHOLE);
    let rows = [
        ("whole", chunked(PART, "56789"), whole(), vec!["bytes=5-"], Some(5)),
        ("short", chunked(PART, "56"), last(), vec!["bytes=5-", "bytes=7-"], Some(7)),
        ("long", chunked(PART, "56789!"), whole(), vec!["bytes=5-", ""], None),
        ("short, closed", until_close(PART, "56"), last(), vec!["bytes=5-", "bytes=7-"], Some(7)),
        ("long, closed", until_close(PART, "56789!"), whole(), vec!["bytes=5-", ""], None),
    ];
    for (name, part, then, asked, resumed) in rows {
        let first = cut("200 OK | ETag: \"1\"", 10, "01234");
        let server = Scripted::new([first.clone(), part.clone(), then.clone()]);
        let run = batch(&server, &[]);
        let record = &records(&run.out)[0];
        assert_eq!(run.code, 0, "{name}: {record}");
        assert_eq!(server.ranges(), [&[""], &asked[..]].concat(), "{name}");
        assert_eq!(fs::read_to_string(run.path("f")).unwrap(), WHOLE, "{name}");
        assert_eq!(record["resumed_at"].as_u64(), resumed, "{name}: {record}");
        // The same in the next run.
        let server = Scripted::new([first, part, then]);
        let run = batch(&server, &["--retry", "0"]);
        assert_eq!((run.code, run.files(".").contains(&"f".to_owned())), (1, false), "{name}");
        let run = batch_in(&run.gannet(), &server, &[]);
        assert_eq!(run.code, 0, "{name}: {}", run.out);
        assert_eq!(fs::read_to_string(run.path("f")).unwrap(), WHOLE, "{name}");
    }
}

/// That there is no such rest is asked once, also where every error is to be repeated.
#[test]
fn a_416_begins_again_whatever_is_repeated() {
    for more in [&["--retry-all-errors"][..], &["-f", "--retry-all-errors"], &[]] {
        let server = Scripted::new([
            cut("200 OK | ETag: \"1\"", 10, "01234"),
            says("416 Range Not Satisfiable | Content-Range: bytes */10", ""),
            says("200 OK | ETag: \"2\"", WHOLE),
        ]);
        let run = batch(&server, more);
        assert_eq!((run.code, server.ranges()), (0, ["", "bytes=5-", ""].map(String::from).into()));
        assert_eq!(fs::read_to_string(run.path("f")).unwrap(), WHOLE);
    }
}

/// What stands is a success, also where no attempt is left that could have been asked about.
#[test]
fn what_is_there_already_is_a_success_at_the_last_attempt() {
    for retry in ["0", "2"] {
        let server = Scripted::new([says("416 Nothing | Content-Range: bytes */10", "")]);
        let gannet = Gannet::new();
        fs::write(gannet.path("f"), WHOLE).unwrap();
        let run = gannet
            .args(["-sS", "-C", "-", "-o", "f", "--retry-all-errors", "--retry", retry])
            .args(["--results", "r", &server.url("/")])
            .run();
        let record = &records(&fs::read_to_string(run.path("r")).unwrap())[0];
        assert_eq!((run.code, &record["ok"]), (0, &true.into()), "{record}");
    }
}

/// The attempts before the last one are counted once.
#[test]
fn the_time_of_all_attempts_is_told_once() {
    let server = Scripted::new([says("503 Busy", "busy"), says("200 OK", WHOLE)]);
    let begun = Instant::now();
    let run = Gannet::new()
        .args(["-s", "--retry", "1", "--retry-delay", "0.5", "-o", "f", "-w", "%{time_total}"])
        .args([server.url("/")])
        .run();
    let most = begun.elapsed().as_secs_f64();
    let total: f64 = run.out.parse().unwrap();
    assert_eq!(run.code, 0, "{}", run.err);
    assert!((0.5..=most).contains(&total), "{total} of {most}");
}

/// A group that can't be begun costs no record of those before it.
#[test]
fn records_are_written_when_a_later_group_is_refused() {
    let server = Scripted::new([says("200 OK", WHOLE)]);
    let run = Gannet::new()
        .args(["-s", "--results", "r", &server.url("/"), "--next", "--cacert", "missing"])
        .args(["https://127.0.0.1:1/"])
        .run();
    assert_eq!((run.code, run.out.as_str()), (77, WHOLE), "{}", run.err);
    let written = records(&fs::read_to_string(run.path("r")).unwrap());
    assert_eq!(written.len(), 1, "{written:?}");
    assert_eq!(written[0]["ok"], true);
}

/// Size and digest of a list are those of the whole file, also where only its end was fetched.
#[test]
fn what_goes_on_is_compared_as_a_whole() {
    let run = |size: usize, digest: &str, end: &str| {
        let server = Scripted::new([rest("", end)]);
        let line = serde_json::json!({
            "url": server.url("/"), "output": "f", "size": size, "sha256": digest,
        });
        let gannet = Gannet::new();
        fs::write(gannet.path("f"), "01234").unwrap();
        let run = gannet
            .args(["-s", "-i", "-", "--results", "-", "-C", "-", "--retry", "0"])
            .stdin(&line.to_string())
            .run();
        assert_eq!(server.ranges(), ["bytes=5-"]);
        (run.code, fs::read_to_string(run.path("f")).unwrap(), records(&run.out).remove(0))
    };
    let digest = sha256(WHOLE.as_bytes());
    let (code, file, record) = run(10, &digest, "56789");
    assert_eq!((code, file.as_str()), (0, WHOLE), "{record}");
    for (size, digest, end) in
        [(10, digest.as_str(), "5678x"), (11, &digest, "56789"), (10, &sha256(b"56789"), "56789")]
    {
        let (code, file, record) = run(size, digest, end);
        assert_eq!((code, file.as_str()), (1, "01234"), "{record}");
        assert_eq!(record["error"]["kind"], "checksum", "{record}");
    }
}

/// `-C N` goes on at the file's end, however long it is, and takes back only what itself has brought.
#[test]
fn what_is_appended_is_taken_back_and_nothing_else() {
    for old in ["ab", "abcdefghij"] {
        let server = Scripted::new([
            cut("206 Partial Content | Content-Range: bytes 5-9/10", 5, "567"),
            rest("", "56789"),
        ]);
        let gannet = Gannet::new();
        fs::write(gannet.path("f"), old).unwrap();
        let run = gannet
            .args(["-s", "-C", "5", "--retry", "1", "--retry-delay", "0.01", "-o", "f"])
            .args([server.url("/")])
            .run();
        assert_eq!(run.code, 0, "{}", run.err);
        assert_eq!(fs::read_to_string(run.path("f")).unwrap(), format!("{old}56789"));
        assert_eq!(server.ranges(), ["bytes=5-", "bytes=5-"]);
        // Also where nothing better comes, as curl has it: the next run asks from there again.
        let server = Scripted::new([
            cut("206 Partial Content | Content-Range: bytes 5-9/10", 5, "567"),
            says("200 OK", WHOLE),
        ]);
        let run = run
            .gannet()
            .args(["-s", "-C", "5", "--retry", "1", "--retry-delay", "0.01", "-o", "f"])
            .args([server.url("/")])
            .run();
        assert_eq!(run.code, 33, "{}", run.err);
        assert_eq!(fs::read_to_string(run.path("f")).unwrap(), format!("{old}56789"));
    }
}

/// A server that says 408 on a kept connection has not seen what was sent meanwhile (RFC 9110
/// section 15.5.9): that is no answer, and costs neither an attempt nor a pause.
#[test]
fn a_408_on_a_kept_connection_is_no_answer() {
    let tired = || cut("408 Request Timeout | Connection: close", 0, "");
    let server = Scripted::new([says("200 OK", "a"), tired(), says("200 OK", "b")]);
    let list = format!("{}\n{}\n", server.url("/1"), server.url("/2"));
    let begun = Instant::now();
    let run = Gannet::new()
        .args(["-s", "-i", "-", "--results", "-", "--per-host", "1", "--retry-delay", "20"])
        .stdin(&list)
        .run();
    let records = records(&run.out);
    assert_eq!((run.code, records.len()), (0, 2), "{}", run.out);
    assert_eq!((&records[1]["status"], &records[1]["attempts"]), (&200.into(), &1.into()));
    assert!(begun.elapsed().as_secs() < 10, "it waited");
    // On a fresh connection it is one.
    let server = Scripted::new([tired()]);
    let run =
        Gannet::new().args(["-s", "-w", "%{http_code}", &server.url("/"), "--retry", "0"]).run();
    assert_eq!(run.out, "408");
}

/// Files are older than 1970, too, and servers write dates in their own way.
#[test]
fn dates_before_1970_are_dates() {
    let server =
        Scripted::new([says("200 OK | Last-Modified: Wed, 09 Oct 1940 16:45:49 +0100", "x")]);
    let run = Gannet::new().args(["-sS", "-R", "-o", "f", &server.url("/")]).run();
    assert_eq!(run.code, 0, "{}", run.err);
    let modified = fs::metadata(run.path("f")).unwrap().modified().unwrap();
    let before = std::time::UNIX_EPOCH.duration_since(modified).unwrap();
    assert_eq!(before.as_secs(), 922_349_651);
}
