//! The same command on curl and on gannet: what goes over the wire, to standard output, into files,
//! and the exit status. The rows stand in `tests/curl_parity.txt`, what curl did for each in
//! `tests/curl_parity.curl.txt`, so that the table also judges where no curl is installed. With a
//! curl of the recorded version installed, the record itself is checked again.
//!
//! `GANNET_PARITY=record cargo test --test curl_parity` writes the record anew,
//! `GANNET_PARITY_ROW=text` runs the rows whose name holds the text. `docs/options.md` says which
//! rows compare which option; `GANNET_PARITY=page` brings that up to date.

#[path = "cli_common/options_table.rs"]
mod options_table;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A row of the table.
#[derive(Debug, Default, Clone)]
struct Row {
    name: String,
    /// Why gannet does otherwise on purpose, or since when curl does so; then `want` is judged by.
    apart: Option<String>,
    args: String,
    files: Vec<(String, Vec<u8>)>,
    stdin: Vec<u8>,
    answers: Vec<Answer>,
    /// Neither `-sS` nor `--retry 0` is put before the arguments.
    bare: bool,
    /// What is not compared.
    ignore: Vec<String>,
    want: Vec<String>,
    /// Least and most milliseconds that gannet may take.
    time: Option<(u64, u64)>,
}

#[derive(Debug, Default, Clone)]
struct Answer {
    bytes: Vec<u8>,
    /// Sent when the head is there, before the request's body is read.
    early: bool,
    then: Then,
}

impl Answer {
    /// With the server's port, where it is named.
    fn at(&self, port: u16) -> Self {
        let mut answer = self.clone();
        while let Some(at) = answer.bytes.windows(6).position(|six| six == b"{port}") {
            answer.bytes.splice(at..at + 6, port.to_string().into_bytes());
        }
        answer
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Then {
    #[default]
    Stay,
    Close,
    Reset,
    Hang,
}

// ---------------------------------------------------------------- the table

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        at += 2;
        match bytes.get(at - 1) {
            Some(b'r') => out.push(b'\r'),
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'0') => out.push(0),
            Some(b'\\') => out.push(b'\\'),
            Some(b'x') => {
                out.push(u8::from_str_radix(&text[at..at + 2], 16).expect("two digits"));
                at += 2;
            }
            // \*1000: what stands before, so often.
            Some(b'*') => {
                let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
                let many: usize = text[at..at + digits].parse().expect("a number");
                let last = out.pop().expect("a byte before");
                out.resize(out.len() + many, last);
                at += digits;
            }
            other => panic!("unknown escape {other:?} in {text}"),
        }
    }
    out
}

fn escape(bytes: &[u8]) -> String {
    if bytes.len() > 3000 {
        let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
        });
        return format!("<{} bytes, {sum:016x}>", bytes.len());
    }
    let mut out = String::new();
    for &byte in bytes {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").unwrap(),
        }
    }
    out
}

/// `200 | Name: value | = body` with a Content-Length, or bytes after `raw`; `early`, `close`,
/// `reset`, `hang` before them.
fn answer(text: &str) -> Answer {
    let mut answer = Answer::default();
    let mut rest = text.trim_start();
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "early" => answer.early = true,
            "close" => answer.then = Then::Close,
            "reset" => answer.then = Then::Reset,
            "hang" => answer.then = Then::Hang,
            "raw" => {
                answer.bytes = unescape(after);
                return answer;
            }
            _ => break,
        }
        rest = after;
    }
    let (head, body) = match rest.split_once("| =") {
        Some((head, body)) => (head, unescape(body.strip_prefix(' ').unwrap_or(body))),
        None => (rest, Vec::new()),
    };
    let mut parts = head.split('|').map(str::trim);
    let status = parts.next().unwrap_or("");
    if status.is_empty() {
        return answer;
    }
    let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for field in parts.filter(|part| !part.is_empty()) {
        out.push_str(field);
        out.push_str("\r\n");
    }
    if !matches!(status, "204" | "304" | "100") {
        write!(out, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    out.push_str("\r\n");
    answer.bytes = out.into_bytes();
    answer.bytes.extend(body);
    answer
}

fn reason(status: &str) -> &'static str {
    match status {
        "100" => "Continue",
        "200" => "OK",
        "206" => "Partial Content",
        "301" | "302" | "303" | "307" | "308" => "Moved",
        "304" => "Not Modified",
        "404" => "Not Found",
        "416" => "Range Not Satisfiable",
        "503" => "Service Unavailable",
        _ => "Other",
    }
}

fn table() -> Vec<Row> {
    let text = std::fs::read_to_string("tests/curl_parity.txt").expect("the table");
    let mut rows: Vec<Row> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            let (name, apart) = match name.split_once(" [") {
                Some((name, why)) => (name, Some(why.trim_end_matches(']').to_owned())),
                None => (name, None),
            };
            assert!(rows.iter().all(|row| row.name != name), "two rows of the name {name}");
            rows.push(Row { name: name.to_owned(), apart, ..Row::default() });
            continue;
        }
        let row = rows.last_mut().expect("a row first");
        let (key, value) = line.trim_start().split_once(' ').unwrap_or((line.trim(), ""));
        match key {
            "$" => value.clone_into(&mut row.args),
            "file" => {
                let (name, content) = value.split_once(' ').unwrap_or((value, ""));
                row.files.push((name.to_owned(), unescape(content)));
            }
            "stdin" => row.stdin = unescape(value),
            "<" => row.answers.push(answer(value)),
            "bare" => row.bare = true,
            "ignore" => row.ignore.extend(value.split(' ').map(str::to_owned)),
            "want" => row.want.push(value.to_owned()),
            "time" => {
                let (least, most) = value.split_once(' ').expect("two numbers");
                row.time = Some((least.parse().unwrap(), most.parse().unwrap()));
            }
            _ => panic!("line {}: {line}", number + 1),
        }
    }
    rows
}

/// Words as a shell would see them: quotes, no variables.
fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => out.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}

// ---------------------------------------------------------------- the server

#[derive(Clone)]
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            seen: Arc::default(),
            stop: Arc::default(),
        };
        listener.set_nonblocking(true).unwrap();
        let filled = answers.iter().map(|answer| answer.at(server.port));
        let script: Arc<Mutex<VecDeque<Answer>>> = Arc::new(Mutex::new(filled.collect()));
        let this = server.clone();
        std::thread::spawn(move || {
            while !this.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let (this, script) = (this.clone(), Arc::clone(&script));
                        std::thread::spawn(move || {
                            let _ = this.serve(stream, &script);
                        });
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        server
    }

    /// Reads until `done` finds its end, which it gives.
    fn fill(
        &self,
        stream: &mut TcpStream,
        buffer: &mut Vec<u8>,
        done: impl Fn(&[u8]) -> Option<usize>,
    ) -> std::io::Result<usize> {
        loop {
            if let Some(end) = done(buffer) {
                return Ok(end);
            }
            let mut block = [0; 16 * 1024];
            match stream.read(&mut block) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => buffer.extend_from_slice(&block[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.stop.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn serve(
        &self,
        mut stream: TcpStream,
        script: &Mutex<VecDeque<Answer>>,
    ) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut buffer = Vec::new();
        loop {
            let head = self.fill(&mut stream, &mut buffer, |bytes| {
                // A TLS greeting is no request, and is answered as web servers do.
                let tls = (bytes.first() == Some(&0x16)).then_some(0);
                tls.or(bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4))
            })?;
            if head == 0 {
                return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            }
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let answer =
                script.lock().unwrap().pop_front().unwrap_or_else(|| answer("200 | = more"));
            let slot = {
                let mut seen = self.seen.lock().unwrap();
                seen.push(buffer[..head].to_vec());
                seen.len() - 1
            };
            if answer.early {
                stream.write_all(&answer.bytes)?;
            } else if text.contains("\r\nexpect: 100-continue") {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let end = if let Some(at) = text.find("\r\ncontent-length:") {
                let digits = text[at + 17..].split("\r\n").next().unwrap_or("").trim();
                let whole = head + digits.parse::<usize>().unwrap_or(0);
                self.fill(&mut stream, &mut buffer, |bytes| (bytes.len() >= whole).then_some(whole))
            } else if text.contains("\r\ntransfer-encoding: chunked") {
                self.fill(&mut stream, &mut buffer, |bytes| {
                    let body = &bytes[head..];
                    let last =
                        body.windows(7).position(|end| end == b"\r\n0\r\n\r\n").map(|at| at + 7);
                    last.or(body.starts_with(b"0\r\n\r\n").then_some(5)).map(|end| head + end)
                })
            } else {
                Ok(head)
            };
            let end = end.inspect_err(|_| {
                self.seen.lock().unwrap()[slot].clone_from(&buffer);
            })?;
            let rest = buffer.split_off(end);
            self.seen.lock().unwrap()[slot] = std::mem::replace(&mut buffer, rest);
            if !answer.early {
                stream.write_all(&answer.bytes)?;
            }
            match answer.then {
                Then::Stay => {}
                Then::Close => return Ok(()),
                Then::Reset => {
                    std::thread::sleep(Duration::from_millis(100));
                    let socket = socket2::Socket::from(stream);
                    socket.set_linger(Some(Duration::ZERO))?;
                    return Ok(());
                }
                Then::Hang => {
                    while !self.stop.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    return Ok(());
                }
            }
        }
    }
}

// ---------------------------------------------------------------- a run

/// What a program did, as lines.
fn run(program: &Path, row: &Row) -> (Vec<String>, Duration) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&row.answers);
    let port = server.port.to_string();
    let place = dir.path().display().to_string();
    let fill = |text: &str| {
        text.replace("{url}", &format!("http://127.0.0.1:{port}"))
            .replace("{port}", &port)
            .replace("{dir}", &place)
    };
    for (name, content) in &row.files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content = match std::str::from_utf8(content) {
            Ok(text) => fill(text).into_bytes(),
            Err(_) => content.clone(),
        };
        std::fs::write(path, content).unwrap();
    }
    let mut args = Vec::new();
    let prefix = || ["-sS", "--retry", "0"].map(str::to_owned);
    if !row.bare {
        args.extend(prefix());
    }
    for word in words(&fill(&row.args)) {
        let next = word == "--next" || word == "-:";
        args.push(word);
        if next && !row.bare {
            args.extend(prefix());
        }
    }
    let (out, err) = (dir.path().join(".out"), dir.path().join(".err"));
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(&args)
        .current_dir(dir.path())
        .env_clear()
        .env("HOME", dir.path())
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap())
        .spawn()
        .expect("the program starts");
    {
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(&row.stdin);
    }
    let exit = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().map_or("signal".to_owned(), |code| code.to_string());
        }
        if started.elapsed() > Duration::from_secs(20) {
            let _ = child.kill();
            let _ = child.wait();
            break "hangs".to_owned();
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    let took = started.elapsed();
    // The last request may still be on its way into the record.
    std::thread::sleep(Duration::from_millis(30));
    server.stop.store(true, Ordering::Relaxed);
    let clean = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        if bytes.len() > 3000 && text.contains(&port) {
            // The sum of a long request must not hold the port.
            return escape(text.replace(&format!(":{port}"), ":PORT").as_bytes());
        }
        escape(bytes).replace(&format!(":{port}"), ":PORT").replace(&place, "DIR")
    };
    let mut lines = vec![format!("exit {exit}")];
    for request in server.seen.lock().unwrap().iter() {
        let head = request.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 2);
        let mut plain: Vec<u8> = Vec::new();
        for line in request[..head].split_inclusive(|&byte| byte == b'\n') {
            if !line.starts_with(b"User-Agent: curl/") && !line.starts_with(b"User-Agent: gannet/")
            {
                plain.extend_from_slice(line);
            }
        }
        plain.extend_from_slice(&request[head..]);
        lines.push(format!("request {}", clean(&plain)));
    }
    lines.push(format!("stdout {}", clean(&std::fs::read(&out).unwrap())));
    for name in tree(dir.path()) {
        if !name.starts_with(".out") && !name.starts_with(".err") && !name.contains("gannet-part") {
            let content = std::fs::read(dir.path().join(&name)).unwrap();
            lines.push(format!("file {name} {}", clean(&content)));
        }
    }
    // What is said differs; of the codes in it only the numbers count.
    let said = String::from_utf8_lossy(&std::fs::read(&err).unwrap()).into_owned();
    let codes: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("curl: (").or(line.strip_prefix("gannet: (")))
        .filter_map(|line| line.split(')').next())
        .collect();
    lines.push(format!("codes {}", codes.join(" ")));
    if std::env::var_os("GANNET_PARITY_SAID").is_some() {
        eprintln!("--- {} {args:?}\n{said}", program.display());
    }
    lines.retain(|line| !row.ignore.iter().any(|word| line.starts_with(&format!("{word} "))));
    (lines.into_iter().map(|line| line.trim_end().to_owned()).collect(), took)
}

fn tree(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(dir.join(&folder)).unwrap().flatten() {
            let name = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                todo.push(name);
            } else {
                names.push(name.display().to_string());
            }
        }
    }
    names.sort();
    names
}

// ---------------------------------------------------------------- the judgement

const RECORD: &str = "tests/curl_parity.curl.txt";

/// What curl did, by the row's name; the version in front.
fn record() -> (String, BTreeMap<String, Vec<String>>) {
    let text = std::fs::read_to_string(RECORD).unwrap_or_default();
    let mut version = String::new();
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(text) = line.strip_prefix("# curl ") {
            text.clone_into(&mut version);
        } else if let Some(text) = line.strip_prefix("== ") {
            text.clone_into(&mut name);
            rows.insert(name.clone(), Vec::new());
        } else if !line.is_empty() && !line.starts_with('#') {
            rows.get_mut(&name).expect("a name first").push(line.to_owned());
        }
    }
    (version, rows)
}

fn curl_version() -> Option<String> {
    let output = Command::new("curl").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(' ').nth(1).map(str::to_owned)
}

/// Runs all rows, a few at once.
fn all(program: &Path, rows: &[Row]) -> Vec<(Vec<String>, Duration)> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![(Vec::new(), Duration::ZERO); rows.len()]);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = rows.get(at) else { return };
                    let result = run(program, row);
                    results.lock().unwrap()[at] = result;
                }
            });
        }
    });
    results.into_inner().unwrap()
}

fn differences(name: &str, want: &[String], got: &[String], who: &str, out: &mut String) {
    if want == got {
        return;
    }
    writeln!(out, "\n{name}").unwrap();
    for line in want.iter().filter(|line| !got.contains(line)) {
        writeln!(out, "    wanted  {line}").unwrap();
    }
    for line in got.iter().filter(|line| !want.contains(line)) {
        writeln!(out, "    {who:7} {line}").unwrap();
    }
    if want.iter().all(|line| got.contains(line)) && got.iter().all(|line| want.contains(line)) {
        writeln!(out, "    the same lines in another order or number: {got:?}").unwrap();
    }
}

#[test]
fn gannet_does_what_curl_does() {
    let mut rows = table();
    if let Ok(part) = std::env::var("GANNET_PARITY_ROW") {
        rows.retain(|row| row.name.contains(&part));
    }
    let (with_curl, apart): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| row.apart.is_none());
    for row in &apart {
        assert!(!row.want.is_empty(), "{}: what is wanted?", row.name);
    }
    let (version, mut known) = record();
    let mut faults = String::new();
    let installed = curl_version();
    let anew = std::env::var("GANNET_PARITY").is_ok_and(|what| what == "record");
    if let Some(installed) = installed
        && (anew || installed == version)
    {
        let results = all(Path::new("curl"), &with_curl);
        if anew {
            let mut text = format!(
                "# curl {installed}\n# What it did for the rows of curl_parity.txt; written by `GANNET_PARITY=record cargo test --test curl_parity`.\n"
            );
            known.clear();
            for (row, (lines, _)) in with_curl.iter().zip(&results) {
                write!(text, "\n== {}\n{}\n", row.name, lines.join("\n")).unwrap();
                known.insert(row.name.clone(), lines.clone());
            }
            if std::env::var_os("GANNET_PARITY_ROW").is_none() {
                std::fs::write(RECORD, text).unwrap();
            }
        }
        for (row, (lines, _)) in with_curl.iter().zip(&results) {
            let want = known.get(&row.name).cloned().unwrap_or_default();
            differences(
                &format!("{} (the record of curl)", row.name),
                &want,
                lines,
                "curl",
                &mut faults,
            );
        }
    }
    let gannet = PathBuf::from(env!("CARGO_BIN_EXE_gannet"));
    let rows: Vec<Row> = with_curl.into_iter().chain(apart).collect();
    for (row, (lines, took)) in rows.iter().zip(all(&gannet, &rows)) {
        let want = match &row.apart {
            None => known.get(&row.name).cloned().unwrap_or_default(),
            Some(_) => row.want.iter().map(|line| line.trim_end().to_owned()).collect(),
        };
        // Rows of their own name only what they are about.
        let got: Vec<String> = match &row.apart {
            None => lines,
            Some(_) => {
                let first = |line: &str| line.split(' ').next().unwrap_or("").to_owned();
                let about: Vec<String> = want.iter().map(|line| first(line)).collect();
                lines.into_iter().filter(|line| about.contains(&first(line))).collect()
            }
        };
        let name = match &row.apart {
            None => row.name.clone(),
            Some(why) => format!("{} [{why}]", row.name),
        };
        differences(&name, &want, &got, "gannet", &mut faults);
        if let Some((least, most)) = row.time {
            let took = took.as_millis() as u64;
            if !(least..=most).contains(&took) {
                writeln!(faults, "\n{name}\n    took {took} ms, not {least} to {most}").unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "of {} rows these differ:\n{faults}", rows.len());
    println!("{} rows", rows.len());
}

#[test]
fn the_page_of_options_tells_of_these_rows() {
    let rows = table();
    let compared: Vec<_> = rows
        .iter()
        .map(|row| (row.name.as_str(), row.apart.as_deref(), words(&row.args)))
        .collect();
    options_table::check(&compared);
}
