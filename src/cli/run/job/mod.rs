//! One URL on its way, as the command line sees it. Jobs are used again, so that a plain line of a
//! list costs no allocation once their buffers have grown.
//!
//! A job is its parts, each of which owns one idea: what is asked for ([`asked`]), on which terms
//! ([`terms`]), what is kept of heads ([`heads`]), what has come of the body ([`received`]), where that
//! goes ([`outlet`]). Here is what becomes of them together: a job begins, begins again, and is over.

mod asked;
mod heads;
mod outlet;
mod received;
mod terms;

use std::rc::Rc;

use super::kind::Kind;
use super::sending::Sent;
use crate::cli::template::Template;
pub use asked::Asked;
pub use heads::{Heads, LastHead};
pub use outlet::{Dest, GoOn, Outlet, Sink};
pub use received::Received;
pub use terms::{Dump, Terms};

/// A buffer that has grown beyond this is given back when its URL is over.
const LARGE: usize = 64 * 1024;

/// Our own reason why a URL failed.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub kind: Kind,
    pub message: String,
    pub hint: &'static str,
}

/// Whether a URL is under way in a place of the desk, and on which terms.
#[derive(Debug, Default)]
pub enum Place {
    /// None is: what is left there are buffers.
    #[default]
    Free,
    Taken(Rc<Terms>),
}

/// What the answer is to the one who has something already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum News {
    /// What was asked for.
    #[default]
    New,
    /// The server says that nothing has changed, or that all of it is here.
    Unchanged,
    /// So says its date, which `-z` does not want, though it sent a body.
    Unmet,
}

/// A URL.
#[derive(Debug, Default)]
pub struct Job {
    pub place: Place,
    pub asked: Asked,
    pub sent: Sent,
    pub head: LastHead,
    pub heads: Heads,
    pub received: Received,
    pub out: Outlet,
    pub news: News,
    /// The answer is not asked for again, though the rules would have it: it counts as it is.
    pub stands: bool,
    /// Boxed, as what most URLs of a list never have: thousands of jobs wait.
    pub trouble: Option<Box<Trouble>>,
}

impl Job {
    /// What was asked of it, while it is under way.
    pub fn terms(&self) -> Option<Rc<Terms>> {
        match &self.place {
            Place::Free => None,
            Place::Taken(terms) => Some(Rc::clone(terms)),
        }
    }

    /// It is under way.
    pub const fn is_taken(&self) -> bool {
        matches!(self.place, Place::Taken(_))
    }

    /// What a template calls it, by what is known of it by now.
    pub fn name(&self, template: &Template) -> String {
        self.asked.name(template, &self.head.media_type())
    }

    /// Ready for another URL; the buffers stay.
    pub fn clear(&mut self) {
        self.place = Place::Free;
        self.asked.clear();
        self.sent = Sent::default();
        self.head.forget();
        self.heads.forget();
        self.received.clear();
        self.out = Outlet::default();
        self.news = News::New;
        self.stands = false;
        self.trouble = None;
    }

    /// It is over: one long line, body or head must not be held until another URL comes.
    pub fn trim(&mut self) {
        let Self { head, heads, received, .. } = self;
        // Taken together bit by bit, sizes are no less than the largest of them.
        let buffers = head.capacity() | heads.capacity() | received.recorded.capacity();
        if self.asked.is_long() || buffers > LARGE {
            self.give_back();
        }
    }

    #[cold]
    fn give_back(&mut self) {
        self.asked.give_back();
        let [lines, raw] = self.heads.buffers();
        for buffer in [self.head.buffer(), lines, raw, &mut self.received.recorded] {
            if buffer.capacity() > LARGE {
                *buffer = Vec::new();
            }
        }
    }

    /// Nothing that came so far counts: neither what was received, nor its heads, nor what was
    /// judged of it. What is asked, and what left for good, stays.
    pub fn begin_again(&mut self) {
        self.received.void();
        self.head.forget();
        self.heads.forget();
        self.news = News::New;
        self.stands = false;
        self.trouble = None;
    }

    /// An answer that is none to what was asked takes nothing away.
    pub fn spares_part(&self) -> bool {
        self.out.part_waits()
            && self
                .trouble
                .as_ref()
                .is_some_and(|trouble| matches!(trouble.kind, Kind::HttpError | Kind::RangeRefused))
    }

    /// The first trouble counts.
    pub fn fail(&mut self, kind: Kind, hint: &'static str, message: impl Into<String>) {
        if self.trouble.is_none() {
            self.trouble = Some(Box::new(Trouble { kind, message: message.into(), hint }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_buffers_go_when_the_url_is_over() {
        let mut job = Job::default();
        job.received.recorded.resize(1 << 20, 0);
        job.asked.url.push_str(&"x".repeat(10_000));
        job.trim();
        assert_eq!((job.received.recorded.capacity(), job.asked.url.capacity()), (0, 0));
        job.received.recorded.resize(1_000, 0);
        job.trim();
        assert!(job.received.recorded.capacity() > 0, "short ones are used again");
    }
}
