//! What one request or one host meets must not stop the others: the whole engine, with its search for
//! the limit, in virtual time.

use std::time::Duration;

use gannet::base::Instant;
use gannet::engine::pace::{PaceConfig, Rate};
use gannet::engine::{
    Advice, Config, Ctl, Engine, Handler, JobRef, Origin, PerHost, Report, Request, Scheme,
};
use gannet::net::{Driver, DriverConfig};
use gannet::proto::{Body, Head};
use gannet::sim::{self, Answer, Excess, How, Net, Server};

const HOUR: Duration = Duration::from_secs(3600);
const HOST: &str = "192.0.2.1";
const QUICK: Duration = Duration::from_millis(50);

/// When each job was served, by its tag.
#[derive(Default)]
struct Served {
    now: Instant,
    at: Vec<(u64, Instant)>,
}

impl Served {
    /// When the last of the quick ones was.
    fn quick_until(&self) -> Duration {
        self.at.iter().filter(|it| it.0 >= 10).map(|it| it.1 - Instant::ZERO).max().unwrap()
    }
}

impl Handler for Served {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::SkipBody
    }

    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}

    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        if report.result.is_ok() {
            self.at.push((job.tag, self.now));
        }
    }
}

fn driver(ceiling: u16, servers: Vec<(u16, Server)>) -> Driver<Net> {
    let mut net = Net::new(1);
    for (port, server) in servers {
        net.serve(format!("{HOST}:{port}").parse().unwrap(), server.latency(Duration::ZERO));
    }
    let per_host = PerHost::Auto { ceiling: Some(ceiling), start: 6 };
    let config = Config { per_host, max_jobs: 10_000, ..Config::default() };
    Driver::new(Engine::new(config), net, DriverConfig::default())
}

/// Runs until nothing is left, or nobody is served for an hour.
fn run(driver: &mut Driver<Net>) -> Served {
    let mut served = Served::default();
    while driver.engine().held() > 0 && driver.now() < Instant::ZERO + HOUR {
        sim::look_up(driver, &mut served);
        driver.turn(None, &mut served).unwrap();
        served.now = driver.now();
    }
    served
}

/// Three that take a quarter of a minute each among fifteen hundred quick ones, on eight connections:
/// be it that nothing comes for so long, or that it comes slowly.
#[test]
fn a_few_slow_answers_do_not_stop_the_quick_ones() {
    let silent = || Answer::ok("late").after(Duration::from_secs(15));
    let slow = || Answer::ok(vec![b'x'; 150]).drip(1, Duration::from_millis(100));
    for (what, late) in [("silent", &silent as &dyn Fn() -> Answer), ("slow", &slow)] {
        for slow_ones in [2, 3, 5, 7] {
            let answers: Vec<_> = (0..slow_ones).map(|_| late()).collect();
            let mut answers = answers.into_iter();
            let server = Server::new(move |request| match request.target.as_str() {
                "/slow" => answers.next().unwrap_or_else(|| Answer::ok("late")),
                _ => Answer::ok("quick").after(QUICK),
            });
            let mut driver = driver(8, vec![(80, server)]);
            let host = driver.host(&Origin { scheme: Scheme::Http, host: HOST, port: 80 });
            for tag in 10..1510 {
                if (11..11 + slow_ones).contains(&tag) {
                    let slow = Request::get(host, "/slow").tag(tag - 10);
                    driver.submit(&slow).unwrap();
                }
                driver.submit(&Request::get(host, &format!("/{tag}")).tag(tag)).unwrap();
            }
            let served = run(&mut driver);
            assert_eq!(served.at.len() as u64, 1500 + slow_ones, "{what}");
            let took = served.quick_until();
            // All that are free all the time, or all eight when the slow ones are through.
            let free = QUICK * 1500 / (8 - slow_ones as u32);
            let best = free.min(Duration::from_secs(15) + QUICK * 1500 / 8);
            println!("{slow_ones} {what}: {took:?}, {best:?} at best");
            assert!(took < best + best / 4, "{slow_ones} {what}: {took:?}, {best:?} at best");
        }
    }
}

/// A host that asks for a pause, again and again, beside another at its address.
#[test]
fn a_host_that_asks_for_a_pause_leaves_its_neighbours_alone() {
    for pause in ["1", "2", "60"] {
        let sick = Server::new(move |_| Answer::new(503).field("Retry-After", pause));
        let well = Server::new(|_| Answer::ok("quick").after(QUICK));
        let mut driver = driver(32, vec![(80, well), (81, sick)]);
        let [well, sick] =
            [80, 81].map(|port| driver.host(&Origin { scheme: Scheme::Http, host: HOST, port }));
        for tag in 10..4010 {
            if tag % 100 == 10 {
                driver.submit(&Request::get(sick, "/sick").tag(0)).unwrap();
            }
            driver.submit(&Request::get(well, &format!("/{tag}")).tag(tag)).unwrap();
        }
        let served = run(&mut driver);
        assert_eq!(served.at.len(), 4000);
        let took = served.quick_until();
        println!("pause of {pause}: {took:?}");
        // 32 at once, once that is found.
        assert!(took < QUICK * 4000 / 32 * 3 / 2, "{took:?}");
    }
}

/// Hosts that accept connections and say nothing, so many that six for each were more than there may be
/// in all, and, a while later, a few that are well. Be the silent ones known at once, or one after the other.
#[test]
fn silent_hosts_leave_room_for_others() {
    for at_once in [true, false] {
        let mut net = Net::new(1);
        let address = |host: u16| format!("192.0.{}.{}", host / 250, host % 250 + 1);
        for host in 0..205 {
            let server = Server::new(move |_| match host {
                0..200 => Answer::ok("late").after(HOUR),
                _ => Answer::ok("quick").after(QUICK),
            });
            net.serve(format!("{}:80", address(host)).parse().unwrap(), server);
        }
        let config = Config { max_jobs: 10_000, ..Config::default() };
        let most = config.max_connections as usize;
        let mut driver = Driver::new(Engine::new(config), net, DriverConfig::default());
        let mut served = Served::default();
        let turn_until = |driver: &mut Driver<Net>, served: &mut Served, until| {
            while driver.now() - Instant::ZERO < until && driver.engine().held() > 0 {
                driver.turn(Some(QUICK), served).unwrap();
                served.now = driver.now();
            }
        };
        for host in 0..200 {
            let key = driver.host(&Origin { scheme: Scheme::Http, host: &address(host), port: 80 });
            for n in 0..10 {
                driver.submit(&Request::get(key, "/late").tag(n)).unwrap();
            }
            if !at_once {
                let until = Duration::from_millis(10) * u32::from(host);
                turn_until(&mut driver, &mut served, until);
            }
        }
        turn_until(&mut driver, &mut served, Duration::from_secs(5));
        let open = driver.engine().connections();
        assert!((200..most - 50).contains(&open), "{open} for silent hosts, of {most}");
        for host in 200..205 {
            let key = driver.host(&Origin { scheme: Scheme::Http, host: &address(host), port: 80 });
            for tag in 10..110 {
                driver.submit(&Request::get(key, "/quick").tag(tag)).unwrap();
            }
        }
        turn_until(&mut driver, &mut served, Duration::from_secs(7));
        assert_eq!(served.at.len(), 500, "at once: {at_once}");
    }
}

/// A server that accepts connections and ends each one, and a list that is long: be it before it reads
/// anything or then, whatever the requests are allowed, and however many connections are.
#[test]
fn who_ends_every_connection_is_not_stormed() {
    let ending = |how| Server::new(move |_| Answer::ok("never").cut(0, how));
    let servers: [(&str, &dyn Fn() -> Server); 3] = [
        ("resets what it accepts", &|| ending(How::Fin).connections(0, Excess::Reset)),
        ("resets what it reads", &|| ending(How::Reset)),
        ("closes what it reads", &|| ending(How::Fin)),
    ];
    for (what, make) in servers {
        for per_host in [PerHost::Auto { ceiling: Some(32), start: 6 }, PerHost::Fixed(8)] {
            let mut net = Net::new(1);
            let address = format!("{HOST}:80").parse().unwrap();
            net.serve(address, make());
            let config = Config { per_host, max_jobs: 10_000, ..Config::default() };
            let mut driver = Driver::new(Engine::new(config), net, DriverConfig::default());
            let host = driver.host(&Origin { scheme: Scheme::Http, host: HOST, port: 80 });
            for tag in 0..3000 {
                driver.submit(&Request::get(host, "/").tag(tag)).unwrap();
            }
            let mut served = Served::default();
            let mut before = 0;
            for second in 1..10 {
                let until = Instant::ZERO + Duration::from_secs(second);
                while driver.now() < until {
                    driver.turn(Some(until - driver.now()), &mut served).unwrap();
                }
                let server = driver.net().server(address).unwrap();
                let all = server.accepted() + server.turned_away();
                let most = if second == 1 { 16 + 8 + 10 } else { 11 };
                assert!(all - before <= most, "{what}, {per_host:?}: {all} after {second} s");
                println!("{what}, {per_host:?}: {}", all - before);
                before = all;
            }
            assert!(before > 16, "{what}, {per_host:?}: {before} are few");
        }
    }
}

/// More origins at one address than it may have connections, each with a rate: those that wait for their
/// next turn make room for those that have not had their first, and not for more than that.
#[test]
fn who_waits_for_its_turn_leaves_the_address_to_others() {
    for origins in [17, 20, 40] {
        let servers = (0..origins).map(|port| (port, Server::new(|_| Answer::ok("quick"))));
        let mut driver = driver(32, servers.collect());
        let rate = Some(Rate { requests: 1, per: Duration::from_secs(1) });
        let pace = PaceConfig { rate, ..PaceConfig::default() };
        let config = Config { pace, ..driver.engine().config().clone() };
        let net = std::mem::replace(driver.net_mut(), Net::new(1));
        let mut driver = Driver::new(Engine::new(config), net, DriverConfig::default());
        for n in 0..5 {
            for port in 0..origins {
                let host = driver.host(&Origin { scheme: Scheme::Http, host: HOST, port });
                let tag = 10 + u64::from(port) + n * 100;
                driver.submit(&Request::get(host, "/").tag(tag)).unwrap();
            }
        }
        let served = run(&mut driver);
        assert_eq!(served.at.len(), 5 * usize::from(origins));
        let at = |n| served.at.iter().filter(move |it| it.0 / 100 == n).map(|it| it.1);
        let firsts = at(0).max().unwrap() - Instant::ZERO;
        assert!(firsts < Duration::from_millis(500), "{origins}: {firsts:?}");
        let took = served.quick_until();
        assert!(took < Duration::from_millis(4_500), "{origins}: {took:?}");
        let opened: u64 = driver.net_mut().servers_mut().map(|server| server.accepted()).sum();
        println!("{origins}: {firsts:?}, {took:?}, {opened} connections");
        // Those that are too many twice a round, of the others none but the first.
        let surplus = u64::from(origins - 16);
        assert!(opened <= 16 + surplus * 10, "{origins}: {opened} connections");
    }
}
