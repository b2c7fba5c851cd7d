//! The whole driver in the simulator: a server says what the input says, and the next request must not mind.

use std::net::SocketAddr;
use std::time::Duration;

use gannet::engine::{
    Advice, Config, Ctl, Engine, Handler, JobRef, Origin, PerHost, Report, Request, Resume, Scheme,
};
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, CloseReason, Exchange, Fields, Head, Limits, Persistence};
use gannet::sim::{self, Answer, Net, Server, Weather};

use super::model;
use super::trace::{self, Item, Trace};

/// Invariant: through sockets that split, merge and delay as they like, a handler is told what the obvious model makes
/// of the server's bytes, and an error exactly where the model finds one; the request after it gets its own
/// answer, whole and alone, whatever stood behind the first one; and the connection is kept exactly if the model would.
///
/// Input: a byte of flags (method, does the server close, weather), a byte of seed, the server's bytes.
pub fn driver(data: &[u8]) {
    let [flags, seed, stream @ ..] = data else { return };
    let to_head = flags & 1 != 0;
    let closes = flags & 2 != 0;
    let rough = flags & 4 != 0;
    let exchange = if to_head { Exchange::Head } else { Exchange::Ordinary };
    let mut stream = stream.to_vec();
    let mut want = model::response(exchange, &Limits::DEFAULT, &stream, true);
    let whole = matches!(want.items.last(), Some(Item::Done(_)));
    if rough && whole {
        // What follows later than the next request can't be told from its answer: there must be none.
        stream.truncate(want.used);
        want = model::response(exchange, &Limits::DEFAULT, &stream, true);
    }
    let surplus = whole && want.used < stream.len();

    let seed = u64::from(*seed);
    let mut net = Net::new(seed);
    if rough {
        net.weather = Weather::unsteady(seed);
    }
    let address: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    let bytes = stream.clone();
    let server = Server::new(move |request| match request.target.as_str() {
        "/first" if closes => Answer::raw(bytes.clone()).closing_silently(),
        "/first" => Answer::raw(bytes.clone()),
        _ => Answer::ok("second"),
    });
    net.serve(address, server);
    let config = Config {
        seed,
        attempts: 1,
        per_host: PerHost::Fixed(1),
        retry_statuses: false,
        ..Config::default()
    };
    let mut driver = Driver::new(
        Engine::new(config),
        net,
        DriverConfig { read_buffer: 2_048, ..DriverConfig::default() },
    );
    let host = driver.host(&Origin { scheme: Scheme::Http, host: "192.0.2.1", port: 80 });
    let method = if to_head { "HEAD" } else { "GET" };
    let first = Request { method, ..Request::get(host, "/first") };
    driver.submit(&first).expect("there is room");
    driver.submit(&Request::get(host, "/second").tag(1)).expect("there is room");
    let mut seen = Seen::default();
    sim::run(&mut driver, &mut seen, Duration::from_secs(3_600)).expect("all comes to an end");
    driver.engine().check(driver.now()).unwrap_or_else(|what| panic!("{what}"));
    assert!(driver.net().ledger().violations.is_empty(), "{:?}", driver.net().ledger().violations);

    let [mut first, second] = seen.traces;
    let second: Vec<_> = second.items.iter().skip(1).collect();
    assert_eq!(
        second,
        [&Item::Content(b"second".to_vec()), &Item::Done(Persistence::KeepAlive)],
        "the second request gets its own answer"
    );
    let opened = driver.net().ledger().opened;
    let keeps = matches!(want.items.last(), Some(Item::Done(Persistence::KeepAlive))) && !surplus;
    if !closes {
        assert_eq!(opened, if keeps { 1 } else { 2 }, "connections; the model {want:?}");
    }
    // Neither is told to a handler: how many bytes it was, and whether the connection may be kept.
    first.used = want.used;
    if let (Some(Item::Done(then)), Some(Item::Done(model))) =
        (first.items.last_mut(), want.items.last())
    {
        *then = *model;
    }
    if closes || whole && !until_close(&want) {
        model::assert_same(&want, &first);
    } else {
        // The rest never comes: what is there is delivered, and then it is an error.
        assert!(matches!(first.items.last(), Some(Item::Error(_))), "{first:?}");
        let known = first.items.len() - 1;
        assert!(first.items[..known] == want.items[..known], "{want:?}\n{first:?}");
    }
}

fn until_close(trace: &Trace) -> bool {
    trace.items.iter().any(|item| matches!(item, Item::Head(_, Body::UntilClose)))
}

#[derive(Default)]
struct Seen {
    traces: [Trace; 2],
}

impl Seen {
    fn of(&mut self, job: JobRef) -> &mut Trace {
        let trace = &mut self.traces[job.tag as usize];
        let over = matches!(trace.items.last(), Some(Item::Done(_) | Item::Error(_)));
        assert!(!over, "told more after the end");
        trace
    }
}

impl Handler for Seen {
    fn interim(&mut self, _: &mut Ctl<'_>, job: JobRef, head: &Head<'_>) {
        self.of(job).items.push(Item::Interim(trace::head(*head)));
    }
    fn head(&mut self, _: &mut Ctl<'_>, job: JobRef, head: &Head<'_>, body: Body) -> Advice {
        self.of(job).items.push(Item::Head(trace::head(*head), body));
        Advice::Deliver(Resume::Never)
    }
    fn body(&mut self, _: &mut Ctl<'_>, job: JobRef, bytes: &[u8]) {
        self.of(job).push_content(bytes);
    }
    fn trailers(&mut self, _: &mut Ctl<'_>, job: JobRef, fields: Fields<'_>) {
        self.of(job).items.push(Item::Trailers(trace::owned(fields.iter())));
    }
    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        let last = match report.result {
            Ok(_) if job.tag == 1 => Item::Done(Persistence::KeepAlive),
            Ok(_) => Item::Done(Persistence::Close(CloseReason::ConnectionClose)),
            Err(failure) if failure.kind.name().starts_with("eof_") => Item::Error("truncated"),
            Err(failure) => Item::Error(failure.kind.name()),
        };
        self.of(job).items.push(last);
    }
}
