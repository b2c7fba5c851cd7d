//! Answers that are none: nothing is believed, nothing ends early, and the true answer still
//! arrives.

use super::super::wire::tests::Writer;
use super::world::*;
use crate::dns::*;
use alloc::vec::Vec;
use core::net::SocketAddr;

fn v4() -> Config {
    Config { families: Families::V4, ..config(1) }
}

fn bytes(react: React) -> Vec<u8> {
    match react {
        React::Say(_, bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn forgeries_are_passed_over() {
    fn forged(asked: &Asked, id: u16, name: &str, rtype: u16) -> Writer {
        let evil = [6, 6, 6, 6];
        Writer::new(id, 0x8180, [1, 2, 0, 0])
            .question(name, rtype)
            .record(name, rtype, 60, &evil)
            .record(&asked.name, A, 60, &evil)
    }
    type Forge = dyn Fn(&Asked) -> (SocketAddr, Vec<u8>);
    let table: [(&str, &Forge); 9] = [
        ("another id", &|asked| (asked.server, forged(asked, asked.id ^ 1, &asked.name, A).bytes)),
        ("another sender", &|asked| {
            (([10, 0, 0, 9], 53).into(), forged(asked, asked.id, &asked.name, A).bytes)
        }),
        ("another port", &|asked| {
            (([10, 0, 0, 1], 54).into(), forged(asked, asked.id, &asked.name, A).bytes)
        }),
        ("another name", &|asked| (asked.server, forged(asked, asked.id, "evil.example", A).bytes)),
        ("another type", &|asked| (asked.server, forged(asked, asked.id, &asked.name, AAAA).bytes)),
        ("our own question", &|asked| {
            let question = Writer::new(asked.id, 0x0100, [1, 0, 0, 0]).question(&asked.name, A);
            (asked.server, question.bytes)
        }),
        ("nothing", &|asked| (asked.server, Vec::new())),
        ("eleven bytes", &|asked| (asked.server, [0; 11].into())),
        ("noise", &|asked| (asked.server, [0x5a; 512].into())),
    ];
    for (why, forge) in table {
        let mut world = World::new(v4());
        world.pending("www.example");
        let asked = world.drain().remove(0);
        for _ in 0..10 {
            let (from, message) = forge(&asked);
            world.resolver.datagram(asked.query, from, &message, world.now);
        }
        assert!(world.drain().is_empty() && world.told.is_empty(), "{why}");
        assert_eq!(world.resolver.stats().strays, 10, "{why}");
        world.resolver.datagram(asked.query, asked.server, &bytes(asked.address(60)), world.now);
        world.drain();
        assert_eq!(shown(&world.told[0].result), "192.0.2.1", "{why}");
    }
}

#[test]
fn an_answer_after_its_time_is_nobodys() {
    let mut world = World::new(Config { attempts: 2, ..v4() });
    world.pending("www.example");
    let first = world.drain().remove(0);
    world.sleep(5 * SEC);
    let second = world.drain().remove(0);
    assert_ne!(first.query, second.query);
    world.resolver.datagram(first.query, first.server, &bytes(first.address(60)), world.now);
    assert!(world.drain().is_empty() && world.told.is_empty());
    // Nor does it answer the second question, whose id is another one.
    assert_ne!(first.id, second.id);
    world.resolver.datagram(second.query, second.server, &bytes(first.address(60)), world.now);
    assert!(world.drain().is_empty() && world.told.is_empty());
    world.resolver.datagram(second.query, second.server, &bytes(second.address(60)), world.now);
    world.drain();
    assert_eq!(world.told.len(), 1);
    // And twice is once.
    world.resolver.datagram(second.query, second.server, &bytes(second.address(60)), world.now);
    world.drain();
    assert_eq!(world.told.len(), 1);
}

#[test]
fn who_guesses_ids_drives_us_to_tcp() {
    let mut world = World::new(v4());
    let answer =
        world.ask("www.example", |asked| if asked.tcp { asked.address(60) } else { React::Silent });
    assert!(answer.is_err() && world.asked.iter().all(|asked| !asked.tcp), "silence does not");
    world.told.clear();
    world.pending("next.example");
    let asked = world.drain().remove(0);
    for guess in 0..17_u16 {
        let wrong = Asked { id: asked.id.wrapping_add(guess + 1), ..asked.clone() };
        world.resolver.datagram(asked.query, asked.server, &bytes(wrong.address(60)), world.now);
    }
    let over_tcp = world.drain().remove(0);
    assert!(over_tcp.tcp && world.told.is_empty());
    // The right guess comes too late now.
    world.resolver.datagram(asked.query, asked.server, &bytes(asked.address(60)), world.now);
    assert!(world.drain().is_empty() && world.told.is_empty());
    world.deliver(over_tcp.query, over_tcp.server, &bytes(over_tcp.address(60)));
    world.drain();
    assert_eq!(shown(&world.told.last().unwrap().result), "192.0.2.1");
}

#[test]
fn a_broken_answer_leads_to_the_next_server() {
    let broken = |asked: &Asked| say(asked.answer(0x8180, 65_535, 0));
    let mut world = World::new(Config { families: Families::V4, ..config(2) });
    let answer =
        world.ask(
            "www.example",
            |asked| {
                if asked.last() == 1 { broken(asked) } else { asked.address(60) }
            },
        );
    assert_eq!(shown(&answer), "192.0.2.1");
    assert_eq!(shown(&world.ask("next.example", broken)), "dns_malformed");
}

#[test]
fn a_stream_that_is_nonsense_fails() {
    for stream in
        [&[0, 0][..], &[0, 5, 1, 2, 3, 4, 5], &[0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    {
        let mut world = World::new(Config { always_tcp: true, ..v4() });
        world.pending("www.example");
        let asked = world.drain().remove(0);
        world.resolver.stream(asked.query, stream, world.now);
        world.drain();
        assert_eq!(shown(&world.told[0].result), "dns_malformed", "{stream:?}");
    }
    // An answer that trickles and never ends is cut off at its time.
    let mut world = World::new(Config { always_tcp: true, attempts: 1, ..v4() });
    world.pending("www.example");
    let asked = world.drain().remove(0);
    world.resolver.stream(asked.query, &[0xff, 0xff], world.now);
    for _ in 0..50 {
        world.sleep(100 * MS);
        world.resolver.stream(asked.query, &[0], world.now);
    }
    world.drain();
    assert_eq!(shown(&world.told[0].result), "dns_unanswered");
}

#[test]
fn an_answer_over_tcp_may_be_as_long_as_messages_get() {
    let mut world = World::new(Config { always_tcp: true, ..v4() });
    world.pending("www.example");
    let asked = world.drain().remove(0);
    let mut message = asked.answer(0x8180, 4000, 0);
    for number in 0..4000_u16 {
        let data = [10, 1, (number >> 8) as u8, number as u8];
        message = message.record_of(&[0xc0, 12], A, 1, 60, &data);
    }
    let mut stream = (message.bytes.len() as u16).to_be_bytes().to_vec();
    stream.extend(&message.bytes);
    for piece in stream.chunks(1460) {
        world.resolver.stream(asked.query, piece, world.now);
    }
    world.drain();
    assert_eq!(world.told[0].result.as_ref().unwrap().addresses.len(), 32);
}

#[test]
fn an_answer_for_one_name_says_nothing_about_another() {
    let mut world = World::new(v4());
    let answer = world.ask("www.example", |asked| {
        say(asked.answer(0x8180, 2, 0).a("www.example", 60, 1).a("bank.example", 60, 66))
    });
    assert_eq!(shown(&answer), "192.0.2.1");
    world.pending("bank.example");
}

#[test]
fn names_with_strange_bytes_are_shown_safely() {
    let mut world = World::new(v4());
    let error = world
        .ask("www.example", |asked| {
            let mut target = alloc::vec![5, 0x1b, b'[', b'2', b'J', b'.'];
            target.extend(bytes_of("example"));
            say(asked
                .answer(0x8180, 2, 0)
                .record(&asked.name, 5, 60, &target)
                .record_of(&target, 5, 1, 60, &target))
        })
        .unwrap_err();
    let sentence = alloc::format!("{error}");
    assert!(sentence.contains("at \\027[2j\\..example"), "{sentence}");
    assert!(!sentence.contains('\u{1b}'));
}
