//! A server of few words: the n-th request gets the n-th answer.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Says {
    bytes: Vec<u8>,
    closes: bool,
}

/// A whole answer: status and fields, then a body that is as long as is said.
pub(crate) fn says(head: &str, body: &str) -> Says {
    let lines = head.split(" | ").collect::<Vec<_>>().join("\r\n");
    let length = body.len();
    let text = format!("HTTP/1.1 {lines}\r\nContent-Length: {length}\r\n\r\n{body}");
    Says { bytes: text.into_bytes(), closes: false }
}

/// An answer that is cut: `length` bytes are promised.
pub(crate) fn cut(head: &str, length: usize, body: &str) -> Says {
    let lines = head.split(" | ").collect::<Vec<_>>().join("\r\n");
    let text = format!("HTTP/1.1 {lines}\r\nContent-Length: {length}\r\n\r\n{body}");
    Says { bytes: text.into_bytes(), closes: true }
}

/// A whole answer, as one chunk.
pub(crate) fn chunked(head: &str, body: &str) -> Says {
    let lines = head.split(" | ").collect::<Vec<_>>().join("\r\n");
    let (framing, length) = ("Transfer-Encoding: chunked", body.len());
    let text = format!("HTTP/1.1 {lines}\r\n{framing}\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
    Says { bytes: text.into_bytes(), closes: false }
}

/// An answer that ends where the connection does.
pub(crate) fn until_close(head: &str, body: &str) -> Says {
    let lines = head.split(" | ").collect::<Vec<_>>().join("\r\n");
    Says { bytes: format!("HTTP/1.1 {lines}\r\n\r\n{body}").into_bytes(), closes: true }
}

/// No answer: the connection is closed.
pub(crate) fn hangs_up() -> Says {
    Says { bytes: Vec::new(), closes: true }
}

/// The server. What it has no answer for is hung up on.
pub(crate) struct Scripted {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub(crate) fn new(answers: impl IntoIterator<Item = Says>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: Arc<Mutex<Vec<Says>>> = Arc::new(Mutex::new(
            answers.into_iter().collect::<Vec<_>>().into_iter().rev().collect(),
        ));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, heard) = (Arc::clone(&answers), Arc::clone(&heard));
                std::thread::spawn(move || serve(stream, &answers, &heard));
            }
        });
        Self { port, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The heads of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The `Range` of each request so far, empty where there was none.
    pub(crate) fn ranges(&self) -> Vec<String> {
        let range = |head: &String| {
            let line = head.lines().find_map(|line| line.strip_prefix("Range: "));
            line.unwrap_or_default().to_owned()
        };
        self.asked().iter().map(range).collect()
    }
}

fn serve(mut stream: TcpStream, answers: &Mutex<Vec<Says>>, asked: &Mutex<Vec<String>>) {
    let mut held = Vec::new();
    let mut block = [0; 4096];
    loop {
        let end = loop {
            if let Some(at) = held.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut block) {
                Ok(read @ 1..) => held.extend_from_slice(&block[..read]),
                _ => return,
            }
        };
        let head = held.drain(..end).collect::<Vec<u8>>();
        asked.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
        let says = answers.lock().unwrap().pop().unwrap_or_else(hangs_up);
        if stream.write_all(&says.bytes).is_err() || says.closes {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}
