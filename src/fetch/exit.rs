//! curl's exit codes, those of them that an HTTP fetch can end with.
//!
//! One type, so that a number stands in one place only.

use core::fmt;

/// How curl would leave.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum CurlCode {
    /// All went well.
    Ok = 0,
    /// A protocol that is not spoken or not allowed.
    UnsupportedProtocol = 1,
    /// The URL is malformed.
    UrlMalformed = 3,
    /// The host's name could not be looked up.
    CouldntResolveHost = 6,
    /// No connection.
    CouldntConnect = 7,
    /// The answer is not HTTP.
    WeirdServerReply = 8,
    /// The body ended early.
    PartialFile = 18,
    /// A status of 400 or more, with `-f`.
    HttpReturnedError = 22,
    /// What came could not be written.
    WriteError = 23,
    /// What was to be sent could not be read.
    ReadError = 26,
    /// Out of memory.
    OutOfMemory = 27,
    /// Out of time.
    OperationTimedout = 28,
    /// The server gave no part, or another one.
    RangeError = 33,
    /// The TLS handshake failed.
    SslConnectError = 35,
    /// What was there could not be continued.
    BadDownloadResume = 36,
    /// Stopped by the one who asked.
    AbortedByCallback = 42,
    /// An option makes no sense.
    BadFunctionArgument = 43,
    /// Too many redirects.
    TooManyRedirects = 47,
    /// The server closed without an answer.
    GotNothing = 52,
    /// The request could not be sent.
    SendError = 55,
    /// The connection was lost.
    RecvError = 56,
    /// Our own certificate can't be used.
    SslCertproblem = 58,
    /// The server's certificate is not trusted.
    PeerFailedVerification = 60,
    /// The body's coding is unknown or broken.
    BadContentEncoding = 61,
    /// The body is larger than allowed.
    FilesizeExceeded = 63,
    /// The body to send can't be rewound.
    SendFailRewind = 65,
    /// The file of trusted certificates can't be used.
    SslCacertBadfile = 77,
    /// The server's key is not the pinned one.
    SslPinnedpubkeynotmatch = 90,
    /// Something is larger than what is held.
    TooLarge = 100,
}

impl CurlCode {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<CurlCode> for u8 {
    fn from(code: CurlCode) -> Self {
        code.code()
    }
}

impl fmt::Display for CurlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())
    }
}
