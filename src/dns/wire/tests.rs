//! Messages as tables: what is believed, what is not, and what each is called.

use super::*;
use alloc::format;
use alloc::string::String;
use alloc::vec;

/// Writes messages by hand, wrong ones too.
#[derive(Clone)]
pub(in crate::dns) struct Writer {
    pub(in crate::dns) bytes: Vec<u8>,
}

pub(in crate::dns) const TYPE_CNAME: u16 = 5;
pub(in crate::dns) const TYPE_SOA: u16 = 6;
const TYPE_NS: u16 = 2;

pub(in crate::dns) fn wire(name: &str) -> Vec<u8> {
    WireName::parse(name).unwrap().as_bytes().to_vec()
}

impl Writer {
    /// A header with `flags` (0x8180: an answer of a resolver) and these counts.
    pub(in crate::dns) fn new(id: u16, flags: u16, counts: [u16; 4]) -> Self {
        let mut bytes = vec![];
        for word in [id, flags].into_iter().chain(counts) {
            bytes.extend(word.to_be_bytes());
        }
        Self { bytes }
    }

    pub(in crate::dns) fn question(mut self, name: &str, rtype: u16) -> Self {
        self.bytes.extend(wire(name));
        self.bytes.extend(rtype.to_be_bytes());
        self.bytes.extend(1_u16.to_be_bytes());
        self
    }

    pub(in crate::dns) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    pub(in crate::dns) fn record(self, owner: &str, rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.record_of(&wire(owner), rtype, 1, ttl, data)
    }

    pub(in crate::dns) fn record_of(
        mut self,
        owner: &[u8],
        rtype: u16,
        class: u16,
        ttl: u32,
        data: &[u8],
    ) -> Self {
        self.bytes.extend(owner);
        self.bytes.extend(rtype.to_be_bytes());
        self.bytes.extend(class.to_be_bytes());
        self.bytes.extend(ttl.to_be_bytes());
        self.bytes.extend((data.len() as u16).to_be_bytes());
        self.bytes.extend(data);
        self
    }

    pub(in crate::dns) fn a(self, owner: &str, ttl: u32, last: u8) -> Self {
        self.record(owner, TYPE_A, ttl, &[192, 0, 2, last])
    }

    pub(in crate::dns) fn cname(self, owner: &str, target: &str) -> Self {
        self.record(owner, TYPE_CNAME, 60, &wire(target))
    }

    pub(in crate::dns) fn soa(self, ttl: u32, minimum: u32) -> Self {
        let mut data = wire("ns.example");
        data.extend(wire("host.example"));
        for number in [1, 2, 3, 4, minimum] {
            data.extend(number.to_be_bytes());
        }
        self.record("example", TYPE_SOA, ttl, &data)
    }
}

const ID: u16 = 0x1234;
const OK: u16 = 0x8180;
const NX: u16 = 0x8183;
const LIMITS: Limits = Limits { chain: 16, addresses: 32 };

/// What these bytes say about the address of `www.example`, in a word.
fn said(bytes: &[u8]) -> String {
    let name = WireName::parse("www.example").unwrap();
    let question = Question { id: ID, name: &name, family: Family::V4 };
    match read(bytes, question, 0, LIMITS) {
        Verdict::Stray => "stray".into(),
        Verdict::Truncated => "truncated".into(),
        Verdict::Malformed => "malformed".into(),
        Verdict::Code(code) => format!("code {code}"),
        Verdict::Referral => "referral".into(),
        Verdict::Addresses { addresses, ttl } => format!("{addresses:?} {ttl}"),
        Verdict::Negative { nx, ttl } => format!("{} {ttl:?}", if nx { "nx" } else { "none" }),
        Verdict::Chase { target, hops, ttl } => format!("chase {target} {hops} {ttl}"),
        Verdict::Loop(at) => format!("loop {at}"),
    }
}

/// The usual beginning: our question, and so many answers and authorities.
fn answer(flags: u16, answers: u16, authorities: u16) -> Writer {
    Writer::new(ID, flags, [1, answers, authorities, 0]).question("www.example", TYPE_A)
}

#[test]
fn what_is_believed() {
    let mapped = wire("www.example");
    for (why, message, expected) in [
        ("an address", answer(OK, 1, 0).a("www.example", 300, 1), "[192.0.2.1] 300"),
        (
            "the shortest time of all",
            answer(OK, 2, 0).a("www.example", 300, 1).a("www.example", 20, 2),
            "[192.0.2.1, 192.0.2.2] 20",
        ),
        ("another case", answer(OK, 1, 0).a("WWW.Example", 9, 1), "[192.0.2.1] 9"),
        (
            "the same address twice",
            answer(OK, 2, 0).a("www.example", 9, 1).a("www.example", 9, 1),
            "[192.0.2.1] 9",
        ),
        (
            "an alias",
            answer(OK, 2, 0).cname("www.example", "a.example").a("a.example", 300, 1),
            "[192.0.2.1] 60",
        ),
        (
            "aliases in disorder",
            answer(OK, 3, 0)
                .a("b.example", 300, 1)
                .cname("a.example", "b.example")
                .cname("www.example", "a.example"),
            "[192.0.2.1] 60",
        ),
        (
            "an alias whose end is missing is asked for",
            answer(OK, 1, 0).cname("www.example", "a.example"),
            "chase a.example 1 60",
        ),
        (
            "an alias to a name without address",
            answer(OK, 1, 1).cname("www.example", "a.example").soa(30, 40),
            "none Some(30)",
        ),
        (
            "an alias to a name that is not there",
            answer(NX, 1, 1).cname("www.example", "a.example").soa(50, 40),
            "nx Some(40)",
        ),
        ("no such name", answer(NX, 0, 1).soa(50, 40), "nx Some(40)"),
        ("no such name, without a word how long", answer(NX, 0, 0), "nx None"),
        ("no such record", answer(OK, 0, 1).soa(10, 40), "none Some(10)"),
        ("nothing at all", answer(OK, 0, 0), "none None"),
        ("a code", answer(0x8182, 0, 0), "code 2"),
        ("a code without the question", Writer::new(ID, 0x8185, [0; 4]), "code 5"),
        ("not understood", Writer::new(ID, 0x8181, [0; 4]), "code 1"),
        ("cut", answer(0x8380, 0, 0), "truncated"),
        (
            "servers to be asked, from one that does not resolve",
            answer(0x8000, 0, 1).record("example", TYPE_NS, 60, &wire("ns.example")),
            "referral",
        ),
        (
            "servers beside a resolver's answer",
            answer(OK, 0, 1).record("example", TYPE_NS, 60, &wire("ns.example")),
            "none None",
        ),
        (
            "EDNS not understood",
            Writer::new(ID, OK, [1, 0, 0, 1]).question("www.example", TYPE_A).record_of(
                &[0],
                TYPE_OPT,
                1232,
                0x0100_0000,
                &[],
            ),
            "code 1",
        ),
        (
            "a time beyond the sign bit",
            answer(OK, 1, 0).a("www.example", 1 << 31, 1),
            "[192.0.2.1] 0",
        ),
        ("extra data", answer(OK, 1, 0).a("www.example", 9, 1).raw(b"extra"), "[192.0.2.1] 9"),
        (
            "a type nobody knows",
            answer(OK, 2, 0).record("www.example", 65_280, 9, b"?").a("www.example", 9, 1),
            "[192.0.2.1] 9",
        ),
        (
            "compressed names",
            answer(OK, 1, 0).record_of(&[0xc0, 12], TYPE_A, 1, 9, &[192, 0, 2, 1]),
            "[192.0.2.1] 9",
        ),
    ] {
        assert_eq!(said(&message.bytes), expected, "{why}");
    }
    assert_eq!(mapped.len(), 13);
}

#[test]
fn what_is_not() {
    let good = answer(OK, 1, 0).a("www.example", 300, 1);
    assert_eq!(said(&good.bytes), "[192.0.2.1] 300");
    let with = |change: fn(&mut Vec<u8>)| {
        let mut message = good.clone();
        change(&mut message.bytes);
        message
    };
    for (why, message, expected) in [
        ("another id", with(|bytes| bytes[1] ^= 1), "stray"),
        ("a question, no answer", with(|bytes| bytes[2] = 1), "stray"),
        ("another operation", with(|bytes| bytes[2] |= 0x20), "stray"),
        ("another name", with(|bytes| bytes[13] = b'x'), "stray"),
        ("another type", with(|bytes| bytes[26] = 28), "stray"),
        ("another class in the question", with(|bytes| bytes[28] = 3), "stray"),
        ("no question", Writer::new(ID, OK, [0, 1, 0, 0]).a("www.example", 9, 1), "stray"),
        ("no question, no such name", Writer::new(ID, NX, [0; 4]), "stray"),
        (
            "two questions",
            Writer::new(ID, OK, [2, 0, 0, 0])
                .question("www.example", TYPE_A)
                .question("www.example", TYPE_A),
            "stray",
        ),
        ("another owner", answer(OK, 1, 0).a("evil.example", 9, 1), "none None"),
        ("the parent's address", answer(OK, 1, 0).a("example", 9, 1), "none None"),
        (
            "an address beside an alias",
            answer(OK, 2, 0).cname("www.example", "a.example").a("b.example", 9, 1),
            "chase a.example 1 60",
        ),
        (
            "an address in the additional section",
            Writer::new(ID, OK, [1, 0, 0, 1]).question("www.example", TYPE_A).a(
                "www.example",
                9,
                1,
            ),
            "none None",
        ),
        (
            "another class",
            answer(OK, 1, 0).record_of(&wire("www.example"), TYPE_A, 3, 9, &[192, 0, 2, 1]),
            "none None",
        ),
        (
            "an address of the other family",
            answer(OK, 1, 0).record("www.example", TYPE_AAAA, 9, &[0x20; 16]),
            "none None",
        ),
        (
            "an address of three bytes",
            answer(OK, 1, 0).record("www.example", TYPE_A, 9, &[1, 2, 3]),
            "malformed",
        ),
        (
            "an address of five bytes",
            answer(OK, 1, 0).record("www.example", TYPE_A, 9, &[1, 2, 3, 4, 5]),
            "malformed",
        ),
        ("no such name, and yet an address", answer(NX, 1, 0).a("www.example", 9, 1), "nx None"),
        (
            "an alias to itself",
            answer(OK, 1, 0).cname("www.example", "www.example"),
            "loop www.example",
        ),
        (
            "aliases in a circle",
            answer(OK, 3, 0)
                .cname("www.example", "a.example")
                .cname("a.example", "b.example")
                .cname("b.example", "a.example"),
            "loop a.example",
        ),
        ("a record promised and not there", answer(OK, 2, 0).a("www.example", 9, 1), "malformed"),
        (
            "65,535 records promised",
            Writer::new(ID, OK, [1, 65_535, 65_535, 65_535]).question("www.example", TYPE_A),
            "malformed",
        ),
        (
            "a name that points to itself",
            answer(OK, 1, 0).record_of(&[0xc0, 29], TYPE_A, 1, 9, &[192, 0, 2, 1]),
            "malformed",
        ),
        (
            "a name that points ahead",
            answer(OK, 1, 0).record_of(&[0xc0, 40], TYPE_A, 1, 9, &[192, 0, 2, 1]),
            "malformed",
        ),
        (
            "an alias to a name that points to itself",
            answer(OK, 1, 0).record("www.example", TYPE_CNAME, 9, &[0xc0, 52]),
            "malformed",
        ),
        (
            "a label of a kind that was never defined",
            answer(OK, 1, 0).record_of(&[0x80, 0], TYPE_A, 1, 9, &[192, 0, 2, 1]),
            "malformed",
        ),
        (
            "the question's name points to itself",
            Writer::new(ID, OK, [1, 0, 0, 0]).raw(&[0xc0, 12, 0, 1, 0, 1]),
            "stray",
        ),
        (
            "the question's name is endless",
            Writer::new(ID, OK, [1, 0, 0, 0]).raw(&[1; 400]),
            "stray",
        ),
    ] {
        assert_eq!(said(&message.bytes), expected, "{why}");
    }
}

#[test]
fn cut_at_every_length_nothing_is_believed() {
    let whole = Writer::new(ID, OK, [1, 2, 1, 1])
        .question("www.example", TYPE_A)
        .cname("www.example", "a.example")
        .a("a.example", 300, 1)
        .soa(1, 1)
        .record_of(&[0], TYPE_OPT, 1232, 0, &[]);
    assert_eq!(said(&whole.bytes), "[192.0.2.1] 60");
    for length in 0..whole.bytes.len() {
        let said = said(&whole.bytes[..length]);
        assert!(said == "stray" || said == "malformed", "{length} bytes: {said}");
        // With the question there, it is our answer that is broken: not to be waited out.
        assert_eq!(said == "malformed", length >= 29, "{length} bytes");
    }
}

#[test]
fn every_byte_wrong_in_every_way() {
    let whole = answer(OK, 2, 1)
        .cname("www.example", "a.example")
        .record_of(&[0xc0, 12], TYPE_A, 1, 9, &[192, 0, 2, 1])
        .soa(1, 1);
    for at in 0..whole.bytes.len() {
        for value in 0..=255 {
            let mut bytes = whole.bytes.clone();
            bytes[at] = value;
            let said = said(&bytes);
            if at < 2 && bytes != whole.bytes {
                assert_eq!(said, "stray");
            }
        }
    }
}

#[test]
fn a_flood_of_records_is_bounded() {
    let mut message = answer(OK, 4000, 0);
    for number in 0..4000_u16 {
        let data = [10, 0, (number >> 8) as u8, number as u8];
        message = message.record_of(&[0xc0, 12], TYPE_A, 1, 9, &data);
    }
    assert_eq!(said(&message.bytes).matches("10.0").count(), 32);
}

#[test]
fn a_chain_is_followed_so_far_and_no_further() {
    let chain = |links: u16| {
        let mut message = answer(OK, links + 1, 0).cname("www.example", "n1.example");
        for link in 1..links {
            message = message.cname(&format!("n{link}.example"), &format!("n{}.example", link + 1));
        }
        said(&message.a(&format!("n{links}.example"), 300, 1).bytes)
    };
    assert_eq!(chain(16), "[192.0.2.1] 60");
    assert_eq!(chain(17), "loop n16.example");
}

#[test]
fn questions_are_read_as_they_were_written() {
    let name = WireName::parse("www.example").unwrap();
    let mut payload = vec![];
    for (family, rtype) in [(Family::V4, Rtype::A), (Family::V6, Rtype::AAAA)] {
        for edns in [None, Some(1232)] {
            let question = Question { id: ID, name: &name, family };
            compose(&mut payload, question, edns, true);
            let (length, datagram) = payload.split_at(2);
            assert_eq!(length, (datagram.len() as u16).to_be_bytes());
            let message = Message::from_slice(datagram).unwrap();
            assert!(message.header().rd() && !message.header().qr());
            assert_eq!(message.header().id(), ID);
            let asked = message.sole_question().unwrap();
            assert!(is(asked.qname(), &name));
            assert_eq!((asked.qtype(), asked.qclass()), (rtype, Class::IN));
            assert_eq!(message.opt().map(|opt| opt.udp_payload_size()), edns);
            assert_eq!(message.iter().count(), usize::from(edns.is_some()));
            let datagram = datagram.to_vec();
            compose(&mut payload, question, edns, false);
            assert_eq!(payload, datagram);
        }
    }
}
