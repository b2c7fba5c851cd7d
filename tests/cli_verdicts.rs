//! The rulings on responses, asked of the built command: the rows of `tests/proto/*.txt` are served on a real
//! socket, and the record must say what the row says: status, content and the error's name. Whether the
//! connection was kept is seen by the server.

#[expect(unreachable_pub, dead_code, reason = "others include it too")]
#[path = "checks/table.rs"]
mod table;

mod cli_common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use cli_common::{Gannet, records};
use gannet::origin::{Action, When, presets, spawn};
use gannet::proto::{Exchange, Limits};
use table::{Row, Token, rows};

/// What a row wants to stand in its record.
struct Want {
    status: Option<u16>,
    content: Vec<u8>,
    error: Option<String>,
    keeps: bool,
    /// Bytes follow that belong to no answer.
    surplus: bool,
}

fn want(row: &Row) -> Want {
    let mut want =
        Want { status: None, content: Vec::new(), error: None, keeps: false, surplus: false };
    for token in &row.expected {
        match token {
            Token::Word(word) => {
                if let Ok(status) = word.parse() {
                    want.status = Some(status);
                } else if let Some(name) = word.strip_prefix("error:") {
                    want.error = Some(name.to_owned());
                } else if word == "keep" {
                    want.keeps = true;
                }
            }
            Token::Text(bytes) => want.content.extend_from_slice(bytes),
            Token::Named(name, _) => want.surplus |= name == "surplus",
        }
    }
    want
}

/// The names that the engine gives to the ends of a connection.
fn in_records(name: &str) -> &str {
    match name {
        "no_response" => "empty_reply",
        "truncated_head" => "eof_in_head",
        "truncated_body" | "truncated_chunked" | "truncated_until_close" => "eof_in_body",
        other => other,
    }
}

/// What the server saw: for each row, the number of the connection that asked for it first. Where a kept
/// one brings what is no answer, it is asked for on another one as well.
type Asked = Arc<Mutex<Vec<Option<usize>>>>;

/// Serves row N at /N, in pieces of so many bytes (0: whole), and ends the connection behind a row that wants it.
fn serve(rows: Arc<Vec<Row>>, piece: usize) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let asked: Asked = Arc::new(Mutex::new(vec![None; rows.len()]));
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (rows, seen) = (Arc::clone(&rows), Arc::clone(&seen));
            std::thread::spawn(move || {
                drop(serve_one(&stream.unwrap(), number, &rows, &seen, piece));
            });
        }
    });
    (origin, asked)
}

fn serve_one(
    mut stream: &TcpStream,
    connection: usize,
    rows: &[Row],
    seen: &Asked,
    piece: usize,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let number: usize = text.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        seen.lock().unwrap()[number].get_or_insert(connection);
        let row = &rows[number];
        let want = want(row);
        // Surplus bytes that come later than the next question could not be told from its answer.
        let piece = if piece == 0 || want.surplus { usize::MAX } else { piece };
        for part in row.bytes.chunks(piece) {
            stream.write_all(part)?;
        }
        let ends = row
            .expected
            .iter()
            .any(|token| matches!(token, Token::Word(word) if word == "until-close"));
        if ends || want.error.is_some() {
            stream.shutdown(Shutdown::Write)?;
        }
    }
}

/// Compares one record with its row.
fn compare(row: &Row, record: &serde_json::Value) -> Result<(), String> {
    let want = want(row);
    let kind = record["error"]["kind"].as_str();
    // A status that asks to come back is an answer like any other to the parser.
    let kind = kind.filter(|kind| !matches!(*kind, "status_exhausted" | "host_closed"));
    // A banner of a protocol whose servers speak first is told apart from bytes of no known kind.
    let kind = kind.map(|kind| if kind == "server_spoke_first" { "not_http" } else { kind });
    let name = want.error.as_deref().map(in_records);
    if kind != name {
        return Err(format!("error {kind:?}, not {name:?}"));
    }
    if want.error.is_none() && record["status"].as_u64() != want.status.map(u64::from) {
        return Err(format!("status {}, not {:?}", record["status"], want.status));
    }
    let content = record["body_base64"].as_str().unwrap_or_default();
    let content = base64::engine::general_purpose::STANDARD.decode(content).unwrap();
    if content != want.content {
        return Err(format!(
            "content {:?}, not {:?}",
            content.escape_ascii().to_string(),
            want.content.escape_ascii().to_string()
        ));
    }
    if record["body_bytes"].as_u64() != Some(want.content.len() as u64) {
        return Err(format!("{} bytes, not {}", record["body_bytes"], want.content.len()));
    }
    Ok(())
}

/// The rows that a batch can ask for.
fn plain_rows() -> Vec<Row> {
    let mut rows = rows();
    rows.retain(|row| {
        row.exchange != Exchange::Connect && row.clean && row.limits == Limits::DEFAULT
    });
    rows
}

fn line(row: &Row, url: &str) -> String {
    let method = if row.exchange == Exchange::Head { "HEAD" } else { "GET" };
    format!("{{\"url\":\"{url}\",\"method\":\"{method}\"}}\n")
}

#[test]
fn the_command_says_what_the_tables_say() {
    let rows = Arc::new(plain_rows());
    assert!(rows.len() > 750, "{} rows", rows.len());
    for piece in [0, 1] {
        let (origin, asked) = serve(Arc::clone(&rows), piece);
        let list: String =
            rows.iter().enumerate().map(|(at, row)| line(row, &format!("{origin}/{at}"))).collect();
        let run = Gannet::new()
            .args(["-q", "-i", "-", "--per-host", "1", "--retry", "0", "--record-body", "base64"])
            .args(["--no-summary", "--results", "r"])
            .stdin(&list)
            .run();
        let text = std::fs::read_to_string(run.path("r")).unwrap();
        let records = records(&text);
        assert_eq!(records.len(), rows.len(), "{}", run.err);
        let mut failures = Vec::new();
        for record in &records {
            let row = &rows[record["n"].as_u64().unwrap() as usize - 1];
            if let Err(why) = compare(row, record) {
                failures.push(format!("{} {}\n    {why}\n    {record}", row.place, row.title));
            }
        }
        let asked = asked.lock().unwrap();
        for (at, pair) in asked.windows(2).enumerate() {
            let want = want(&rows[at]);
            let kept = pair[0] == pair[1];
            if kept != (want.keeps && !want.surplus) {
                failures.push(format!("{} {}\n    kept: {kept}", rows[at].place, rows[at].title));
            }
        }
        assert!(
            failures.is_empty(),
            "{} of {} rows, in pieces of {piece}:\n{}",
            failures.len(),
            rows.len(),
            failures.join("\n")
        );
    }
}

#[test]
fn the_command_says_what_the_tables_say_of_bounds() {
    let mut rows = rows();
    rows.retain(|row| row.exchange == Exchange::Ordinary && row.limits != Limits::DEFAULT);
    // No fields at all, more than there is room for, heads of less than 512 bytes and lines of less than 128
    // are usage errors.
    rows.retain(|row| {
        let Limits { head_bytes, line_bytes, head_fields, trailer_fields, .. } = row.limits;
        head_bytes >= 512
            && line_bytes >= 128
            && (1..=256).contains(&head_fields)
            && trailer_fields > 0
    });
    assert!(rows.len() > 30, "{} rows", rows.len());
    let rows = Arc::new(rows);
    let (origin, _) = serve(Arc::clone(&rows), 0);
    for (at, row) in rows.iter().enumerate() {
        let limits = &row.limits;
        let options = [
            ("--max-head-size", limits.head_bytes, Limits::DEFAULT.head_bytes),
            ("--max-head-fields", limits.head_fields.into(), 256),
            ("--max-interim", limits.interim_answers.into(), 32),
            ("--max-interim-size", limits.interim_bytes, Limits::DEFAULT.interim_bytes),
            (
                "--max-chunk-extensions",
                limits.chunk_extension_bytes,
                Limits::DEFAULT.chunk_extension_bytes,
            ),
            ("--max-trailer-size", limits.trailer_bytes, Limits::DEFAULT.trailer_bytes),
            ("--max-trailer-fields", limits.trailer_fields.into(), 128),
        ];
        let mut args = vec!["--max-head-line".to_owned(), limits.line_bytes.to_string()];
        for (option, value, default) in options {
            if value != default {
                args.extend([option.to_owned(), value.to_string()]);
            }
        }
        let run = Gannet::new()
            .args(["-q", "-i", "-", "--retry", "0", "--record-body", "base64", "--no-summary"])
            .args(&args)
            .stdin(&line(row, &format!("{origin}/{at}")))
            .run();
        let records = records(&run.out);
        assert_eq!(records.len(), 1, "{args:?}: {}", run.err);
        if let Err(why) = compare(row, &records[0]) {
            panic!("{} {}\n    {args:?}: {why}\n    {}", row.place, row.title, records[0]);
        }
    }
}

/// One row for each error's name: `gannet replay` of the bytes ends as a transfer of them.
#[test]
fn a_replay_ends_as_the_transfer_did() {
    let mut names = BTreeSet::new();
    let mut rows = plain_rows();
    rows.retain(|row| {
        row.exchange == Exchange::Ordinary
            && want(row).error.is_some_and(|error| names.insert(error))
    });
    assert!(rows.len() > 35, "{} rows", rows.len());
    let rows = Arc::new(rows);
    let (origin, _) = serve(Arc::clone(&rows), 0);
    let mut codes = BTreeSet::new();
    for (at, row) in rows.iter().enumerate() {
        let error = want(row).error.unwrap_or_default();
        let fetched =
            Gannet::new().args(["-q", "-s", "--retry", "0", &format!("{origin}/{at}")]).run();
        std::fs::write(fetched.path("case"), &row.bytes).unwrap();
        let replayed = fetched.gannet().args(["replay", "case"]).run();
        assert_ne!(fetched.code, 0, "{error}");
        assert_eq!(replayed.code, fetched.code, "{error}: {}", replayed.out);
        assert!(replayed.out.ends_with(&format!(" ({error})\n")), "{error}: {}", replayed.out);
        codes.insert(fetched.code);
    }
    assert_eq!(codes, BTreeSet::from([1, 8, 18, 52, 56, 61, 100]));
}

#[test]
fn a_damaged_record_is_no_success() {
    let run = Gannet::new();
    for (file, code) in [
        ("gannet-wire 1\n", 0),
        ("gannet-wire 1\n> 0 5\nGET", 2),
        ("gannet-wire 1\n? 0 5\n", 2),
        ("gannet-wire 1\n> 0 18\nGET / HTTP/1.1\r\n\r\n\n< 9 14\nHTTP/1.1 204\r\n\n", 0),
        (
            "gannet-wire 1\n> 0 18\nGET / HTTP/1.1\r\n\r\n\n< 9 14\nHTTP/1.1 204\r\n\n! 12 closed\n",
            0,
        ),
        ("gannet-wire 1\n> 0 18\nGET / HTTP/1.1\r\n\r\n\n< 9 14\nHTTP/1.1 204\r\n\n! 12 eof\n", 18),
        ("HTTP/1.1 204\r\n\r\n", 0),
        ("", 52),
    ] {
        std::fs::write(run.path("case"), file).unwrap();
        let replayed = run.args(["replay", "case"]).run();
        assert_eq!(replayed.code, code, "{file:?}: {}", replayed.out);
    }
}

/// Over TLS, where an end without `close_notify` may be anybody's doing.
#[test]
fn the_command_says_what_the_tables_say_of_tls_that_is_cut() {
    let mut rows = rows();
    rows.retain(|row| {
        row.exchange != Exchange::Connect && row.limits == Limits::DEFAULT && !row.bytes.is_empty()
    });
    // All that are cut, and as many that are closed properly: those of truncation and framing.
    rows.retain(|row| !row.clean || row.place.starts_with("8_"));
    assert!(rows.len() > 40, "{} rows", rows.len());
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    for clean in [true, false] {
        let mut script = presets::tls(&made.cert.pem(), &made.signing_key.serialize_pem());
        script.tls.as_mut().unwrap().close_notify = clean;
        for (at, row) in rows.iter().enumerate() {
            let answer = [Action::Raw(row.bytes.clone().into()), Action::Close];
            script = script.rule(When::path(&format!("/{at}")), answer);
        }
        let server = spawn(script).unwrap();
        let list: String = rows
            .iter()
            .enumerate()
            .map(|(at, row)| line(row, &server.url(&format!("/{at}"))))
            .collect();
        let run = Gannet::new()
            .args(["-q", "-k", "-i", "-", "--per-host", "2", "--retry", "0"])
            .args(["--record-body", "base64", "--no-summary", "--results", "r"])
            .stdin(&list)
            .run();
        let text = std::fs::read_to_string(run.path("r")).unwrap();
        let mut compared = 0;
        for record in &records(&text) {
            let row = &rows[record["n"].as_u64().unwrap() as usize - 1];
            if row.clean == clean {
                compared += 1;
                if let Err(why) = compare(row, record) {
                    panic!("{} {}\n    {why}\n    {record}", row.place, row.title);
                }
            }
        }
        assert!(compared >= if clean { 30 } else { 8 }, "{compared} rows: {}", run.err);
    }
}
