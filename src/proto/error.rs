//! What can be wrong with a response: one small value a ruling, each with a stable name.
//!
//! Owns: the names (they stand in records and in scripts that read them) and one sentence each.
//! Never: quotes what the server sent; who holds the bytes does that.

use core::fmt;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $sentence:literal;)*) => {
        /// Why a response was refused. After an error nothing more is read from the connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Error { $($(#[$doc])* #[doc = $sentence] $variant,)* }

        impl Error {
            /// Every error there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, for records and scripts.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

errors! {
    // The first bytes.
    LooksLikeTls = "looks_like_tls", "the answer looks like TLS: this port wants https";
    LooksLikeHttp2 = "looks_like_http2", "the answer looks like HTTP/2, which was not asked for";
    LooksLikeHttp09 = "looks_like_http09", "the answer starts with markup and without a head, as HTTP/0.9 did";
    LooksLikeIcy = "looks_like_icy", "the answer is ICY (SHOUTcast), not HTTP";
    LeadingBlank = "leading_blank", "a blank stands before the status line";
    LeadingEmptyLine = "leading_empty_line", "an empty line stands before the status line";
    NotHttp = "not_http", "the answer does not begin as HTTP does";
    UnsupportedVersion = "unsupported_version", "the status line names a version other than HTTP/1.0 and HTTP/1.1";

    // The status line.
    BadStatusLine = "bad_status_line", "the status line is malformed";
    BadStatusCode = "bad_status_code", "the status code is not three digits from 100 to 999";
    BadReason = "bad_reason", "the reason phrase holds a control character";

    // Field lines, of heads and of trailers.
    BlankBeforeFirstField = "blank_before_first_field", "the first field line begins with a blank";
    EmptyFieldName = "empty_field_name", "a field line has an empty name";
    BlankBeforeColon = "blank_before_colon", "a blank stands between a field name and its colon";
    BadFieldName = "bad_field_name", "a field name holds a character that names must not hold";
    MissingColon = "missing_colon", "a field line has no colon";
    BadFieldValue = "bad_field_value", "a field value holds a control character";
    NulInHead = "nul_in_head", "the head holds a NUL";
    BareCr = "bare_cr", "a carriage return stands alone";
    BadHead = "bad_head", "the head is malformed";

    // Bounds of heads.
    HeadTooLarge = "head_too_large", "the head is larger than the limit";
    TooManyFields = "too_many_fields", "the head has more fields than the limit";
    LineTooLong = "line_too_long", "a line of the head is longer than the limit";
    TooManyInterim = "too_many_interim", "more interim (1xx) answers than the limit";
    InterimTooLarge = "interim_too_large", "the interim (1xx) answers are larger than the limit";
    UnaskedUpgrade = "unasked_upgrade", "the server switches protocols (101) though nobody asked";

    // Framing.
    BadContentLength = "bad_content_length", "Content-Length is not a number";
    ContentLengthOverflow = "content_length_overflow", "Content-Length does not fit in 64 bits";
    ConflictingContentLength = "conflicting_content_length", "several Content-Length values that differ";
    UnsupportedTransferCoding = "unsupported_transfer_coding", "Transfer-Encoding names something other than chunked";
    RepeatedChunked = "repeated_chunked", "Transfer-Encoding names chunked more than once";
    EmptyTransferEncoding = "empty_transfer_encoding", "Transfer-Encoding names nothing";
    TransferEncodingOnHttp10 = "transfer_encoding_on_http10", "Transfer-Encoding in an HTTP/1.0 response";

    // The chunked coding.
    BadChunkSize = "bad_chunk_size", "a chunk size is not a hexadecimal number";
    ChunkSizeOverflow = "chunk_size_overflow", "a chunk size has more than 16 digits";
    BadChunkExtension = "bad_chunk_extension", "a chunk extension is malformed";
    ChunkExtensionsTooLarge = "chunk_extensions_too_large", "the chunk extensions are larger than the limit";
    BadChunkSizeEnd = "bad_chunk_size_end", "the line of a chunk size does not end in CR LF";
    BadChunkDataEnd = "bad_chunk_data_end", "CR LF is missing after the data of a chunk";

    // Trailers.
    BadTrailerEnd = "bad_trailer_end", "a line of the trailers does not end in CR LF";
    FoldedTrailer = "folded_trailer", "a line of the trailers begins with a blank";
    TrailersTooLarge = "trailers_too_large", "the trailers are larger than the limit";
    TooManyTrailers = "too_many_trailers", "more trailer fields than the limit";

    // The end of the connection.
    NoResponse = "no_response", "the connection closed before a byte of the final answer";
    TruncatedHead = "truncated_head", "the connection closed within the head";
    TruncatedBody = "truncated_body", "the connection closed before all of Content-Length had arrived";
    TruncatedChunked = "truncated_chunked", "the connection closed before the last chunk";
    TruncatedUntilClose = "truncated_until_close",
        "the connection was cut without a proper close, which alone marks the end of this body";
}

impl Error {
    /// The response was well-formed as far as it went, but the connection ended within it.
    pub const fn is_truncation(self) -> bool {
        matches!(
            self,
            Self::NoResponse
                | Self::TruncatedHead
                | Self::TruncatedBody
                | Self::TruncatedChunked
                | Self::TruncatedUntilClose
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl core::error::Error for Error {}
