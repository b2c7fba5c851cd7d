//! What a simulated server sends for one request, and how it may go wrong on the way.
//!
//! Owns the encoding of a response and the list of steps (bytes, waits, ends) that it becomes.
//! Lies are allowed: [`Answer::raw`] sends any bytes at all.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::VecDeque;

/// How a connection ends, or does not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum How {
    /// With a RST.
    Reset,
    /// With a FIN.
    Fin,
    /// Nothing more is sent, and the connection stays.
    Stall,
}

/// How the content of an answer is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Framing {
    Length,
    Chunked(usize),
    UntilClose,
    Raw,
}

/// One response.
///
/// ```
/// use gannet::sim::Answer;
///
/// let answer = Answer::ok("hello").field("ETag", "\"1\"");
/// let bytes = answer.encode(false);
/// assert!(bytes.ends_with(b"ETag: \"1\"\r\nContent-Length: 5\r\n\r\nhello"));
/// ```
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    framing: Framing,
    interim: Vec<u16>,
    surplus: Vec<u8>,
    delay: Duration,
    drip: Option<(usize, Duration)>,
    cut: Option<(usize, How)>,
    closes: bool,
    says_close: bool,
    useless: bool,
}

/// What a server does, one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Bytes(Vec<u8>),
    Wait(Duration),
    /// A whole answer is out; its status, if it is one that counts.
    Whole(Option<u16>),
    End(How),
    /// The answer is over; the connection may carry another.
    Done,
}

impl Answer {
    /// An answer without content.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: Vec::new(),
            framing: Framing::Length,
            interim: Vec::new(),
            surplus: Vec::new(),
            delay: Duration::ZERO,
            drip: None,
            cut: None,
            closes: false,
            says_close: false,
            useless: false,
        }
    }

    /// 200 with this content.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).body(body)
    }

    /// These bytes and nothing else, whatever they mean.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { framing: Framing::Raw, ..Self::new(200).body(bytes) }
    }

    /// With this content.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With this field line.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// In chunks of at most `size` bytes.
    #[must_use]
    pub fn chunked(mut self, size: usize) -> Self {
        self.framing = Framing::Chunked(size.max(1));
        self
    }

    /// Delimited by the end of the connection.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self.closes = true;
        self
    }

    /// With an interim answer (1xx) before it.
    #[must_use]
    pub fn interim(mut self, status: u16) -> Self {
        self.interim.push(status);
        self
    }

    /// With bytes behind it that belong to nothing.
    #[must_use]
    pub fn surplus(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.surplus = bytes.into();
        self
    }

    /// After this time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// A few bytes at a time.
    #[must_use]
    pub fn drip(mut self, bytes: usize, every: Duration) -> Self {
        self.drip = Some((bytes.max(1), every));
        self
    }

    /// Cut when `at` bytes of it are out.
    #[must_use]
    pub fn cut(mut self, at: usize, how: How) -> Self {
        self.cut = Some((at, how));
        self
    }

    /// The connection is closed after it, and it says so.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.closes = true;
        self.says_close = true;
        self
    }

    /// The connection is closed after it, and nothing tells so before.
    #[must_use]
    pub fn closing_silently(mut self) -> Self {
        self.closes = true;
        self
    }

    /// A lie: whoever gets the whole of it may ask again.
    #[must_use]
    pub fn useless(mut self) -> Self {
        self.useless = true;
        self
    }

    /// Whether its end is the end of the connection.
    pub fn is_until_close(&self) -> bool {
        self.framing == Framing::UntilClose
    }

    /// The bytes on the wire, all of them.
    pub fn encode(&self, to_head: bool) -> Vec<u8> {
        if self.framing == Framing::Raw {
            return self.body.clone();
        }
        let mut head = String::new();
        // Writing to a String can't fail.
        for status in &self.interim {
            let _ = write!(head, "HTTP/1.1 {status} Wait\r\nX-Interim: yes\r\n\r\n");
        }
        let _ = write!(head, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let contentless = self.status < 200 || matches!(self.status, 204 | 304);
        match self.framing {
            Framing::Length if !contentless => {
                let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
            }
            Framing::Chunked(_) if !contentless => head.push_str("Transfer-Encoding: chunked\r\n"),
            _ => {}
        }
        if self.says_close {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if to_head || contentless {
            return bytes;
        }
        match self.framing {
            Framing::Chunked(size) => {
                for chunk in self.body.chunks(size) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            _ => bytes.extend_from_slice(&self.body),
        }
        bytes
    }

    /// What the server does to give it.
    pub(super) fn steps(&self, to_head: bool, steps: &mut VecDeque<Step>) {
        if !self.delay.is_zero() {
            steps.push_back(Step::Wait(self.delay));
        }
        let mut bytes = self.encode(to_head);
        let cut = self.cut.filter(|&(at, _)| at <= bytes.len());
        // An answer to HEAD is whole with its head.
        let ends_itself = self.framing != Framing::UntilClose || to_head;
        let whole = ends_itself && cut.is_none_or(|(at, _)| at == bytes.len());
        if let Some((at, _)) = cut {
            bytes.truncate(at);
        }
        match self.drip {
            Some((size, every)) => {
                for piece in bytes.chunks(size) {
                    steps.push_back(Step::Bytes(piece.to_vec()));
                    steps.push_back(Step::Wait(every));
                }
                if !bytes.is_empty() {
                    steps.pop_back();
                }
            }
            None if bytes.is_empty() => {}
            None => steps.push_back(Step::Bytes(bytes)),
        }
        if whole {
            let counts = !self.useless && cut.is_none() && self.framing != Framing::UntilClose;
            steps.push_back(Step::Whole(counts.then_some(self.status)));
        }
        if let Some((_, how)) = cut {
            steps.push_back(Step::End(how));
            return;
        }
        if !self.surplus.is_empty() {
            steps.push_back(Step::Bytes(self.surplus.clone()));
        }
        steps.push_back(if self.closes { Step::End(How::Fin) } else { Step::Done });
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        100..200 => "Wait",
        200..300 => "OK",
        300..400 => "Elsewhere",
        400..500 => "Your fault",
        _ => "Our fault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_ends_the_steps() {
        let mut steps = VecDeque::new();
        Answer::ok("abc").cut(4, How::Reset).steps(false, &mut steps);
        assert_eq!(steps, [Step::Bytes(b"HTTP".to_vec()), Step::End(How::Reset)]);
    }

    #[test]
    fn an_answer_to_head_has_no_content() {
        let answer = Answer::ok("abc");
        assert!(answer.encode(true).ends_with(b"Content-Length: 3\r\n\r\n"));
        assert!(
            answer.chunked(2).encode(false).ends_with(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
        );
    }
}
