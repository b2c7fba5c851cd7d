//! What is asked for: a URL with its number, and what its line says beside it.
//!
//! Owns the difference between a URL as it was typed and as it may be shown. Never changes once the
//! line is read.

use crate::cli::entry::More;
use crate::cli::template::{Template, Values};

/// A text that has grown beyond this is given back when its URL is over.
const LONG: usize = 4 * 1024;

/// What is asked for.
#[derive(Debug, Default)]
pub struct Asked {
    pub n: u64,
    /// As it stands in the list, secrets masked.
    pub url: String,
    /// As it stands in the list, where that is not what `url` says.
    typed: String,
    pub host: String,
    pub path: String,
    pub more: Option<Box<More>>,
    /// Milliseconds since 1970.
    pub started: i64,
    /// The how manieth URL of the command line it came of.
    pub url_number: u64,
    /// Bytes of its line, as they count for what is held.
    weight: u64,
}

impl Asked {
    /// Ready for another line; the buffers stay.
    pub(super) fn clear(&mut self) {
        self.url.clear();
        self.typed.clear();
        self.host.clear();
        self.path.clear();
        self.more = None;
        self.weight = 0;
    }

    /// Sets the URL as it stands in the list, and as it may be shown.
    #[inline]
    pub fn set_url(&mut self, typed: &str, masked: &str) {
        self.url.push_str(masked);
        if typed != masked {
            self.typed.push_str(typed);
        }
    }

    /// The URL as it stands in the list.
    pub fn typed(&self) -> &str {
        if self.typed.is_empty() { &self.url } else { &self.typed }
    }

    /// What a template calls it.
    pub fn name(&self, template: &Template, content_type: &str) -> String {
        let id = self.more.as_deref().and_then(More::id_text);
        let values = Values {
            n: self.n,
            id: id.as_deref(),
            url: self.typed(),
            host: &self.host,
            path: &self.path,
            content_type,
        };
        let mut name = String::new();
        template.write(&values, &mut name);
        name
    }

    /// The line is all there: what it weighs is noted, and told.
    pub fn weigh(&mut self) -> u64 {
        let texts = self.url.len() + self.typed().len() + self.host.len() + self.path.len();
        self.weight = texts as u64 + self.more.as_deref().map_or(0, More::weight);
        self.weight
    }

    /// What it was found to weigh, if its line was ever all there.
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// Whether one of its buffers may be longer than is kept.
    pub(super) const fn is_long(&self) -> bool {
        // Taken together bit by bit, sizes are no less than the largest of them.
        let (url, typed) = (self.url.capacity(), self.typed.capacity());
        (url | typed | self.host.capacity() | self.path.capacity()) > LONG
    }

    pub(super) fn give_back(&mut self) {
        for text in [&mut self.url, &mut self.typed, &mut self.host, &mut self.path] {
            if text.capacity() > LONG {
                *text = String::new();
            }
        }
    }
}
