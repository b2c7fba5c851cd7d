//! What users reported of the retry quotas of the AWS clients (FIELD section 3), each as a test of
//! the whole engine in virtual time.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use gannet::base::Instant;
use gannet::engine::{
    Advice, Config, Ctl, Engine, Handler, JobRef, Kind, Origin, PerHost, Report, Request, Scheme,
};
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, Head};
use gannet::sim::{self, Answer, Excess, Net, Server};

const HOUR: Duration = Duration::from_secs(3600);
const SICK: &str = "192.0.2.1";
const OTHER: &str = "192.0.2.2";

/// How each job ended, by its tag: the jobs of the other host have tags from 1,000 on.
#[derive(Default)]
struct Ends(Vec<(u64, Result<u16, Kind>)>);

impl Ends {
    fn of_other(&self) -> usize {
        self.0.iter().filter(|end| end.0 >= 1000).count()
    }
}

impl Handler for Ends {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::SkipBody
    }

    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}

    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        self.0.push((job.tag, report.result.map_err(|failure| failure.kind)));
    }
}

/// Answers everything 502.
fn sick() -> Server {
    Server::new(|_| Answer::new(502))
}

/// Answers each target 502 once, and then as it should, as long as it is `moody`.
fn moody(is_moody: &Rc<Cell<bool>>) -> Server {
    let (mut seen, is_moody) = (HashSet::new(), Rc::clone(is_moody));
    Server::new(move |request| {
        let first = seen.insert(request.target.clone());
        Answer::new(if first && is_moody.get() { 502 } else { 200 })
    })
}

fn driver(config: Config, servers: Vec<(&str, Server)>) -> Driver<Net> {
    let mut net = Net::new(1);
    for (host, server) in servers {
        net.serve(format!("{host}:80").parse().unwrap(), server);
    }
    let config = Config { per_host: PerHost::Fixed(8), max_jobs: 50_000, ..config };
    Driver::new(Engine::new(config), net, DriverConfig::default())
}

fn submit(driver: &mut Driver<Net>, host: &str, tags: std::ops::Range<u64>) {
    let host = driver.host(&Origin { scheme: Scheme::Http, host, port: 80 });
    for tag in tags {
        driver.submit(&Request::get(host, &format!("/{tag}")).tag(tag)).unwrap();
    }
}

fn since_start(driver: &Driver<Net>) -> Duration {
    driver.now() - Instant::ZERO
}

/// The quota was silently not there: every request was tried as often as it could be
/// (awslabs/aws-sdk-rust#1234). Nobody asks for a budget here either, and it holds.
#[test]
fn the_budget_is_there_without_being_asked_for() {
    let config = Config { attempts: 8, ..Config::default() };
    let mut driver = driver(config, vec![(SICK, sick())]);
    submit(&mut driver, SICK, 0..100);
    let mut ends = Ends::default();
    sim::run(&mut driver, &mut ends, HOUR).unwrap();
    assert!(ends.0.iter().all(|end| end.1 == Err(Kind::StatusExhausted)));
    // Seven repeats of each of a hundred, at ten a second, and thirty that were earned before.
    let repeats = driver.net().ledger().asked.len() as u64 - 100;
    assert_eq!(repeats, 700);
    let took = since_start(&driver);
    assert!(took >= Duration::from_secs((700 - 30) / 10), "700 repeats in {took:?}");
    assert!(took < Duration::from_secs(90), "{took:?}");
}

/// However many wait, in each second of all there are no more than the budget of a host, or that of
/// all together, pays for.
#[test]
fn the_budget_holds_however_many_wait() {
    let names: Vec<_> = (1..=20).map(|n| format!("192.0.2.{n}")).collect();
    for (hosts, urls, a_second) in [(1, 2_000, 10), (1, 50_000, 10), (20, 500, 100)] {
        let names = names.iter().take(hosts);
        let servers = names.clone().map(|name| (&name[..], sick())).collect();
        let mut driver = driver(Config { attempts: 8, ..Config::default() }, servers);
        for (name, tag) in names.zip((0..).step_by(urls)) {
            submit(&mut driver, name, tag..tag + urls as u64);
        }
        let mut ends = Ends::default();
        while since_start(&driver) < Duration::from_secs(30) {
            driver.turn(None, &mut ends).unwrap();
        }
        let mut seen = HashSet::new();
        // In each second, how many were asked for once, and how many again.
        let mut seconds = [(0_usize, 0_usize); 31];
        for asked in &driver.net().ledger().asked {
            let (first, again) = &mut seconds[(asked.at - Instant::ZERO).as_secs() as usize];
            *if seen.insert(&asked.target) { first } else { again } += 1;
        }
        let (mut asked, mut repeated) = (0, 0);
        for (second, (first, again)) in (1..).zip(&seconds[..30]) {
            (asked, repeated) = (asked + first, repeated + again);
            // A second's worth is there from the start.
            assert!(repeated <= asked / 5 + a_second * (second + 1), "{second}: {seconds:?}");
            let late = *first == 0;
            assert!(!late || again.abs_diff(a_second) <= 1, "{second}: {seconds:?}");
        }
        assert_eq!((asked, seconds[29].0), (hosts * urls, 0), "{seconds:?}");
    }
}

/// Whether a window that others have used up has ended is asked by one URL after the other: none of them
/// uses its attempts up on it, be it a minute.
#[test]
fn who_asks_at_a_closed_door_takes_turns() {
    for refused in [20, 60] {
        let left = Rc::new(Cell::new(refused));
        let server = Server::new(move |_| {
            let shut = left.get() > 0;
            left.set(left.get() - i32::from(shut));
            Answer::new(if shut { 429 } else { 200 })
        });
        let mut driver = driver(Config::default(), vec![(OTHER, server)]);
        submit(&mut driver, OTHER, 0..100);
        let mut ends = Ends::default();
        sim::run(&mut driver, &mut ends, HOUR).unwrap();
        assert!(ends.0.iter().all(|end| end.1 == Ok(200)), "{refused}: {:?}", ends.0);
        let took = since_start(&driver);
        assert!(took < Duration::from_secs(2 * refused as u64 + 5), "{refused}: {took:?}");
    }
}

/// What waits goes sooner when the server has recovered and others are served: it is not held to what
/// time alone earns.
#[test]
fn what_is_served_pays_for_those_that_wait() {
    let is_moody = Rc::new(Cell::new(true));
    let mut driver = driver(Config::default(), vec![(OTHER, moody(&is_moody))]);
    let mut ends = Ends::default();
    submit(&mut driver, OTHER, 1000..2000);
    while driver.net().ledger().asked.len() < 1000 {
        driver.turn(None, &mut ends).unwrap();
    }
    is_moody.set(false);
    for some in 0..50 {
        submit(&mut driver, OTHER, 2000 + some * 100..2100 + some * 100);
        let until = since_start(&driver) + Duration::from_millis(500);
        while since_start(&driver) < until {
            driver.turn(Some(Duration::from_millis(50)), &mut ends).unwrap();
        }
    }
    sim::run(&mut driver, &mut ends, HOUR).unwrap();
    assert!(ends.0.iter().all(|end| end.1 == Ok(200)));
    // A thousand repeats: ten a second alone would pay for them in eighty.
    let took = since_start(&driver);
    assert!(took < Duration::from_secs(30), "{took:?}");
}

/// One quota for unrelated services: where one of them is sick, the others have no retries left
/// (hashicorp/aws-sdk-go-base#915).
#[test]
fn a_sick_host_leaves_the_others_their_budget() {
    let others_take = |with_sick: bool| {
        let moody = moody(&Rc::new(Cell::new(true)));
        let config = Config { attempts: 8, ..Config::default() };
        let mut driver = driver(config, vec![(SICK, sick()), (OTHER, moody)]);
        if with_sick {
            submit(&mut driver, SICK, 0..300);
        }
        submit(&mut driver, OTHER, 1000..1040);
        let mut ends = Ends::default();
        while ends.of_other() < 40 {
            driver.turn(None, &mut ends).unwrap();
            assert!(since_start(&driver) < HOUR);
        }
        assert!(ends.0.iter().all(|end| end.0 < 1000 || end.1 == Ok(200)));
        since_start(&driver)
    };
    let (alone, beside) = (others_take(false), others_take(true));
    assert!(beside < alone + alone / 4, "{alone:?} alone, {beside:?} beside a sick host");
}

/// Who must know soon cannot but wait for the quota (boto/botocore#3179): with a time of its own, a
/// URL whose next attempt would come too late ends at once, and says why.
#[test]
fn who_has_no_time_is_not_kept_waiting() {
    let limit = Duration::from_secs(2);
    let config = Config { attempts: 8, retry_max_time: Some(limit), ..Config::default() };
    let mut driver = driver(config, vec![(SICK, sick())]);
    submit(&mut driver, SICK, 0..300);
    let mut ends = Ends::default();
    sim::run(&mut driver, &mut ends, HOUR).unwrap();
    assert_eq!(ends.0.len(), 300);
    let exhausted = ends.0.iter().filter(|end| end.1 == Err(Kind::BudgetExhausted)).count();
    assert!(exhausted > 200, "{exhausted} of 300");
    let took = since_start(&driver);
    assert!(took < limit * 2, "{took:?}");
}

/// A quota that was used up once stays so until the process ends (aws/aws-sdk-go-v2#3550): here
/// what is served fills it again.
#[test]
fn success_fills_the_budget_again() {
    let is_moody = Rc::new(Cell::new(false));
    let config = Config { attempts: 3, ..Config::default() };
    let mut driver = driver(config, vec![(SICK, sick()), (OTHER, moody(&is_moody))]);
    let mut ends = Ends::default();
    is_moody.set(true);
    submit(&mut driver, OTHER, 1000..1100);
    sim::run(&mut driver, &mut ends, HOUR).unwrap();
    let drained = since_start(&driver);
    assert!(drained > Duration::from_secs(5), "a hundred repeats in {drained:?}");
    is_moody.set(false);
    submit(&mut driver, OTHER, 2000..2500);
    sim::run(&mut driver, &mut ends, HOUR).unwrap();
    let healed = since_start(&driver);
    is_moody.set(true);
    submit(&mut driver, OTHER, 3000..3100);
    sim::run(&mut driver, &mut ends, HOUR).unwrap();
    let again = since_start(&driver) - healed;
    assert!(ends.0.iter().all(|end| end.1 == Ok(200)));
    assert!(again < drained / 2, "{drained:?}, and after five hundred good ones {again:?}");
}

/// Whoever resets what it has accepted is there, and busy with others: its other URLs are not given
/// up for it, as they are where nobody listens.
#[test]
fn a_host_that_resets_all_it_accepts_is_not_down() {
    for (excess, downs) in [(Excess::Reset, 0), (Excess::Refuse, 9)] {
        let config = Config { attempts: 2, ..Config::default() };
        let full = Server::new(|_| Answer::new(200)).connections(0, excess);
        let mut driver = driver(config, vec![(SICK, full)]);
        submit(&mut driver, SICK, 0..10);
        let mut ends = Ends::default();
        sim::run(&mut driver, &mut ends, HOUR).unwrap();
        let kinds: Vec<_> = ends.0.iter().map(|end| end.1).collect();
        let down = kinds.iter().filter(|kind| **kind == Err(Kind::HostDown)).count();
        assert_eq!((down, kinds.len()), (downs, 10), "{excess:?}: {kinds:?}");
    }
}
