//! The simple door: URLs in, whole responses out, bodies collected in memory and bounded.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::{
    Answer, Control, Error, Fetcher, Follow, Outcome, Profile, Request, Ticket, Url, UrlRules,
    Visitor, Want,
};
use crate::engine;

/// The largest body that [`Fetcher::get`] collects: 64 MiB.
pub const MAX_COLLECTED: u64 = 64 << 20;

/// A response, whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The ticket that [`Fetcher::get`] gave.
    pub ticket: Ticket,
    /// What was asked for.
    pub url: Url,
    /// Where redirects led.
    pub final_url: Url,
    /// The status, or why there is none that counts.
    pub result: Result<u16, Error>,
    /// The last status that came, also where the request failed afterwards.
    pub status: Option<u16>,
    /// Field lines of the answer, in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body, decoded; what there is of it when the request failed.
    pub body: Vec<u8>,
    /// Attempts made.
    pub attempts: u32,
    /// Redirects followed.
    pub redirects: u32,
    /// How long it took.
    pub times: engine::Times,
}

impl Response {
    /// The value of the first field of this name, without regard to case.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the status is from 200 to 299.
    pub fn is_success(&self) -> bool {
        matches!(self.result, Ok(200..=299))
    }
}

/// Fields and body, as far as they have come.
type Open = (Vec<(String, Vec<u8>)>, Vec<u8>);

/// What the simple door has collected.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    profile: Option<Arc<Profile>>,
    open: HashMap<Ticket, Open>,
    whole: VecDeque<Response>,
}

impl Visitor for Inbox {
    fn head(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, answer: &Answer<'_>) -> Want {
        let fields =
            answer.head.fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
        self.open.entry(ticket).or_default().0 = fields.collect();
        Want::Body
    }

    fn body(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, bytes: &[u8]) {
        self.open.entry(ticket).or_default().1.extend_from_slice(bytes);
    }

    fn restart(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, _: engine::Kind) {
        self.open.remove(&ticket);
    }

    fn done(&mut self, _: &mut Control<'_, '_>, ticket: Ticket, outcome: &Outcome<'_>) {
        let (fields, body) = self.open.remove(&ticket).unwrap_or_default();
        self.whole.push_back(Response {
            ticket,
            url: outcome.url.clone(),
            final_url: outcome.final_url.clone(),
            result: outcome.result.map_err(Clone::clone),
            status: outcome.status,
            fields,
            body,
            attempts: outcome.attempts,
            redirects: outcome.redirects,
            times: outcome.times,
        });
    }
}

impl Fetcher {
    /// Asks for a URL, as it is typed: follows redirects, decodes, and collects at most
    /// [`MAX_COLLECTED`] bytes.
    ///
    /// When the fetcher is full ([`wants`](Self::wants) is zero), requests are brought forward until
    /// there is room; what arrives meanwhile waits for [`next`](Self::next), however much it is. For a
    /// long list take what is there in between:
    ///
    /// ```no_run
    /// # let mut fetcher = gannet::Fetcher::new(gannet::fetch::Options::default())?;
    /// let mut pages = 1..=1_000_000;
    /// loop {
    ///     while fetcher.wants() > 0
    ///         && let Some(page) = pages.next()
    ///     {
    ///         fetcher.get(&format!("https://example.org/pages/{page}"))?;
    ///     }
    ///     let Some(response) = fetcher.next()? else { break };
    ///     println!("{} {}", response.url, response.body.len());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Then no more responses are collected than
    /// [`max_jobs`](crate::engine::Config::max_jobs) (4,096), each of at most [`MAX_COLLECTED`] bytes: with
    /// large bodies a smaller number bounds the memory.
    pub fn get(&mut self, url: &str) -> Result<Ticket, Error> {
        let profile = self.inbox.profile.get_or_insert_with(|| {
            Arc::new(Profile {
                follow: Follow::Standard,
                compressed: true,
                max_filesize: Some(MAX_COLLECTED),
                ..Profile::default()
            })
        });
        let profile = Arc::clone(profile);
        let url = Url::parse(url, &UrlRules::default())?;
        self.fetch(&Request { url, tag: 0, profile })
    }

    /// The same for a request of one's own, with what its profile says and nothing else:
    /// [`Profile::default`] follows no redirect, decodes nothing and bounds no body.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gannet::Fetcher;
    /// use gannet::fetch::{Field, Follow, MAX_COLLECTED, Options, Profile, Request, Url, UrlRules};
    ///
    /// let mut fetcher = Fetcher::new(Options::default())?;
    /// let profile = Profile {
    ///     fields: vec![Field::new("X-Trace", b"17")?],
    ///     timeout: Some(Duration::from_secs(2)),
    ///     follow: Follow::Standard,
    ///     max_filesize: Some(MAX_COLLECTED),
    ///     ..Profile::default()
    /// };
    /// let url = Url::parse("http://127.0.0.1:9/", &UrlRules::default())?;
    /// fetcher.fetch(&Request { url, tag: 17, profile: profile.into() })?;
    /// let response = fetcher.next()?.unwrap();
    /// let error = response.result.unwrap_err();
    /// assert_eq!((response.ticket.tag, response.status, error.name()), (17, None, "refused"));
    /// println!("{error} after {:?}", response.times.total);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch(&mut self, request: &Request) -> Result<Ticket, Error> {
        while self.wants() == 0 && !self.is_idle() {
            if self.collect().is_err() {
                break;
            }
        }
        self.submit(request)
    }

    /// The next response that is whole, in the order of arrival; `None` when all are through.
    ///
    /// Not to be mixed with [`turn`](Self::turn): what a visitor was told of, the other does not
    /// see. An `Err` is what `turn` says; no response is lost by it.
    #[expect(clippy::should_implement_trait, reason = "it may fail")]
    pub fn next(&mut self) -> io::Result<Option<Response>> {
        loop {
            if let Some(response) = self.inbox.whole.pop_front() {
                return Ok(Some(response));
            }
            if self.is_idle() {
                return Ok(None);
            }
            self.collect()?;
        }
    }

    /// All responses, as they arrive.
    ///
    /// ```no_run
    /// # let mut fetcher = gannet::Fetcher::new(gannet::fetch::Options::default())?;
    /// fetcher.get("https://example.org/")?;
    /// for response in fetcher.run() {
    ///     println!("{}", response?.text());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run(&mut self) -> impl Iterator<Item = io::Result<Response>> {
        core::iter::from_fn(|| self.next().transpose())
    }

    fn collect(&mut self) -> io::Result<()> {
        let mut inbox = core::mem::take(&mut self.inbox);
        let result = self.turn(None, &mut inbox);
        self.inbox = inbox;
        result
    }
}
