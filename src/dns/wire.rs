//! Questions as bytes, and what bytes say about a question.
//!
//! Owns the judgement whether a message is the answer to our question (RFC 5452 section 9) and
//! the way along its aliases to addresses; never believes a record that is not on that way. The
//! names and records are parsed by the `domain` crate. RFC 1035 section 4, RFC 2181, RFC 2308
//! section 2, RFC 6891.

use core::net::IpAddr;

use alloc::vec::Vec;

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message::RecordSection;
use domain::base::name::{Label, ParsedName};
use domain::base::record::ParsedRecord;
use domain::base::{Message, Ttl};
use domain::rdata::{A, Aaaa, Cname, Soa};

use super::config::Family;
use super::name::WireName;

/// Records of one answer that are looked at; further ones are passed over.
const MAX_RECORDS: usize = 512;

/// A question, as far as it shows in the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) id: u16,
    pub(super) name: &'a WireName,
    pub(super) family: Family,
}

/// How much of an answer is followed and kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) chain: u8,
    pub(super) addresses: usize,
}

/// What a message says about a question.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It is not about our question: nobody's answer, a forgery, or late.
    Stray,
    /// It is the beginning of the answer; the whole is to be had over TCP.
    Truncated,
    /// It breaks off, or contradicts itself.
    Malformed,
    /// The server would not or could not answer: a response code.
    Code(u8),
    /// The server is no resolver: it names others to be asked.
    Referral,
    /// These addresses, for so many seconds.
    Addresses { addresses: Vec<IpAddr>, ttl: u32 },
    /// No such name (`nx`) or no such record, for so many seconds, if it says.
    Negative { nx: bool, ttl: Option<u32> },
    /// An alias whose end is not in the message: that name is to be asked, `hops` links away.
    Chase { target: WireName, hops: u8, ttl: u32 },
    /// Aliases in a circle, or too many: the name where that was noticed.
    Loop(WireName),
}

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;
const RECURSION_DESIRED: u8 = 1;

/// Writes a question into `payload`; `edns`: how long an answer may be; `stream`: for TCP, with
/// the length before it.
pub(super) fn compose(
    payload: &mut Vec<u8>,
    question: Question<'_>,
    edns: Option<u16>,
    stream: bool,
) {
    let name = question.name.as_bytes();
    payload.clear();
    if stream {
        let length = HEADER + name.len() + 4 + if edns.is_some() { 11 } else { 0 };
        payload.extend((length as u16).to_be_bytes());
    }
    payload.extend(question.id.to_be_bytes());
    payload.extend([RECURSION_DESIRED, 0]);
    payload.extend([0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())]);
    payload.extend(name);
    let kind = match question.family {
        Family::V4 => TYPE_A,
        Family::V6 => TYPE_AAAA,
    };
    payload.extend(kind.to_be_bytes());
    payload.extend(CLASS_IN.to_be_bytes());
    if let Some(size) = edns {
        // The root as owner, the size in place of a class, no extended code, no options.
        payload.push(0);
        payload.extend(TYPE_OPT.to_be_bytes());
        payload.extend(size.to_be_bytes());
        payload.extend([0; 6]);
    }
}

/// What `bytes` say about `question`, of which `hops` links were already followed.
pub(super) fn read(bytes: &[u8], question: Question<'_>, hops: u8, limits: Limits) -> Verdict {
    let Ok(message) = Message::from_slice(bytes) else { return Verdict::Stray };
    let (header, counts) = (message.header(), message.header_counts());
    if !header.qr() || header.id() != question.id || header.opcode() != Opcode::QUERY {
        return Verdict::Stray;
    }
    let rcode = header.rcode();
    let mut questions = message.question();
    match (counts.qdcount(), questions.next()) {
        (1, Some(Ok(asked))) => {
            let rtype = match question.family {
                Family::V4 => Rtype::A,
                Family::V6 => Rtype::AAAA,
            };
            let ours = asked.qtype() == rtype
                && asked.qclass() == Class::IN
                && is(asked.qname(), question.name);
            if !ours {
                return Verdict::Stray;
            }
        }
        // A server that did not understand the question need not repeat it.
        (0, _) if says_no(rcode) => return Verdict::Code(rcode.to_int()),
        _ => return Verdict::Stray,
    }
    if header.tc() {
        return Verdict::Truncated;
    }
    let extended = message.opt().map_or(0, |opt| opt.rcode(header).to_int() >> 4);
    if extended != 0 {
        // BADVERS and its kin: EDNS was not to the server's liking.
        return Verdict::Code(Rcode::FORMERR.to_int());
    }
    if rcode != Rcode::NOERROR && rcode != Rcode::NXDOMAIN {
        return Verdict::Code(rcode.to_int());
    }
    let Ok(answers) = questions.answer() else { return Verdict::Malformed };
    let Some(found) = Found::collect(answers, question.family) else { return Verdict::Malformed };
    let resolver = header.ra() || header.aa();
    found.follow(question.name, rcode == Rcode::NXDOMAIN, resolver, hops, limits)
}

/// The codes with which a server turns a question down as a whole.
fn says_no(rcode: Rcode) -> bool {
    [Rcode::FORMERR, Rcode::SERVFAIL, Rcode::NOTIMP, Rcode::REFUSED].contains(&rcode)
}

fn is(name: &ParsedName<&[u8]>, ours: &WireName) -> bool {
    ours.is(name.iter().map(Label::as_slice))
}

/// Seconds; what has the highest bit set counts as nothing (RFC 2181 section 8).
fn seconds(ttl: Ttl) -> u32 {
    let ttl = ttl.as_secs();
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

struct Alias<'a> {
    owner: ParsedName<&'a [u8]>,
    target: ParsedName<&'a [u8]>,
    ttl: u32,
    used: bool,
}

/// The records of a message that can matter.
struct Found<'a> {
    addresses: Vec<(ParsedName<&'a [u8]>, IpAddr, u32)>,
    aliases: Vec<Alias<'a>>,
    /// How long "there is none" may be kept, from the authority's SOA.
    negative: Option<u32>,
    /// There are name servers in the authority section.
    authorities: bool,
}

impl<'a> Found<'a> {
    /// Goes through the whole message once; `None` when it breaks off or is no message.
    fn collect(answers: RecordSection<'a, [u8]>, family: Family) -> Option<Self> {
        let mut found =
            Self { addresses: Vec::new(), aliases: Vec::new(), negative: None, authorities: false };
        for record in answers {
            found.answer(record.ok()?, family)?;
        }
        let authorities = answers.next_section().ok()??;
        for record in authorities {
            found.authority(record.ok()?)?;
        }
        let additional = authorities.next_section().ok()??;
        for record in additional {
            record.ok()?;
        }
        Some(found)
    }

    fn answer(&mut self, record: ParsedRecord<'a, [u8]>, family: Family) -> Option<()> {
        if record.class() != Class::IN || self.addresses.len() + self.aliases.len() >= MAX_RECORDS {
            return Some(());
        }
        let (owner, ttl) = (record.owner().deref_octets(), seconds(record.ttl()));
        let address = match (record.rtype(), family) {
            (Rtype::A, Family::V4) => {
                let record = record.into_record::<A>().ok()??;
                Some(IpAddr::V4(record.data().addr()))
            }
            (Rtype::AAAA, Family::V6) => {
                let record = record.into_record::<Aaaa>().ok()??;
                Some(IpAddr::V6(record.data().addr()))
            }
            (Rtype::CNAME, _) => {
                let record = record.into_record::<Cname<ParsedName<&[u8]>>>().ok()??;
                let target = record.into_data().into_cname();
                self.aliases.push(Alias { owner, target, ttl, used: false });
                None
            }
            _ => None,
        };
        self.addresses.extend(address.map(|address| (owner, address, ttl)));
        Some(())
    }

    fn authority(&mut self, record: ParsedRecord<'a, [u8]>) -> Option<()> {
        match record.rtype() {
            Rtype::SOA if record.class() == Class::IN => {
                let ttl = seconds(record.ttl());
                let soa = record.into_record::<Soa<ParsedName<&[u8]>>>().ok()??;
                self.negative = Some(ttl.min(seconds(soa.data().minimum())));
            }
            Rtype::NS => self.authorities = true,
            _ => {}
        }
        Some(())
    }

    /// From `name` along the aliases to addresses, or to where there are none.
    fn follow(
        mut self,
        name: &WireName,
        nx: bool,
        resolver: bool,
        mut hops: u8,
        limits: Limits,
    ) -> Verdict {
        let mut target = *name;
        let mut ttl = u32::MAX;
        let mut moved = false;
        loop {
            let mut addresses = Vec::new();
            for (_, address, for_secs) in
                self.addresses.iter().filter(|(owner, ..)| is(owner, &target))
            {
                if addresses.len() < limits.addresses && !addresses.contains(address) {
                    addresses.push(*address);
                    ttl = ttl.min(*for_secs);
                }
            }
            if !addresses.is_empty() && !nx {
                return Verdict::Addresses { addresses, ttl };
            }
            let Some(alias) = self.aliases.iter_mut().find(|alias| is(&alias.owner, &target))
            else {
                break;
            };
            let Some(next) = WireName::from_labels(alias.target.iter().map(Label::as_slice)) else {
                return Verdict::Malformed;
            };
            if alias.used || hops >= limits.chain {
                return Verdict::Loop(target);
            }
            alias.used = true;
            moved = true;
            hops += 1;
            ttl = ttl.min(alias.ttl);
            target = next;
        }
        if nx || self.negative.is_some() {
            return Verdict::Negative { nx, ttl: self.negative };
        }
        if moved {
            return Verdict::Chase { target, hops, ttl };
        }
        if self.authorities && !resolver {
            return Verdict::Referral;
        }
        Verdict::Negative { nx: false, ttl: None }
    }
}

#[cfg(test)]
pub(super) mod tests;
