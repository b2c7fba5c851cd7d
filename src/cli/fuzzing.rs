//! What is read from files of the user's, checked on any bytes: for `fuzz/`, and replayed by the tests below.
//!
//! Each function opens with the invariant that it tests. Not a part of any build but those two.

use std::io::Write as _;

use serde_json::Value;

use super::earlier::Done;
use super::entry::{self, Entry};
use super::glob::Glob;
use super::lexer::config_line;
use super::lines::{Lines, Next};
use super::plan::{Portion, Resume, StatusClass};
use super::template::{Template, Values};
use super::values::{ResumeKey, Shard};
use crate::fetch::{Field, UrlRules};

/// The keys of a JSON line, as the manual lists them.
const KEYS: &[&str] = &[
    "url",
    "id",
    "method",
    "headers",
    "body",
    "body_base64",
    "output",
    "meta",
    "sha256",
    "size",
    "etag",
    "last_modified",
    "timeout",
    "retry",
];

/// Invariant: a list comes apart into the lines of the obvious model, however the blocks of its file fall; a line reads
/// the same into a fresh entry and into one that held another; what is taken for JSON is JSON with known keys only,
/// and no field of it can smuggle a line into a request.
///
/// Input: a byte of the block's size, a byte of the longest line, the list.
pub fn lines(data: &[u8]) {
    let [block, most, text @ ..] = data else { return };
    let most = 4 + usize::from(*most);
    let want = model(text, most);
    for block in [1, 1 + usize::from(*block), 1 << 16] {
        let mut lines = Lines::bytes(text.to_vec(), block, most);
        let mut got = Vec::new();
        loop {
            match lines.next().expect("bytes in memory can be read") {
                Next::Line(line, number) => got.push((number, Some(line.to_vec()))),
                Next::TooLong(number) => got.push((number, None)),
                Next::Wait => panic!("bytes in memory are never slow"),
                Next::End => break,
            }
        }
        assert_eq!(got, want, "in blocks of {block}, lines of at most {most}");
    }
    let mut entry = Entry::default();
    for line in want.iter().filter_map(|(_, line)| line.as_ref()) {
        let mut fresh = Entry::default();
        let what = entry::read(line, &mut entry);
        assert_eq!(what, entry::read(line, &mut fresh));
        assert_eq!((&entry.url, &entry.more), (&fresh.url, &fresh.more), "the entry before shows");
        let trimmed = line.trim_ascii();
        match what {
            entry::Line::Nothing => assert!(trimmed.is_empty() || trimmed[0] == b'#'),
            entry::Line::Entry if trimmed[0] == b'{' => json(trimmed, &entry),
            entry::Line::Entry => {
                assert_eq!(entry.url.as_bytes(), trimmed);
                assert!(entry.more.is_none() && !entry.url.contains('\0'));
            }
            entry::Line::Bad(why) => assert!(!why.is_empty()),
            entry::Line::Aria2 => {}
        }
    }
}

/// A list that is all there, taken apart.
fn model(text: &[u8], most: usize) -> Vec<(u64, Option<Vec<u8>>)> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut pieces: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    if pieces.last().is_some_and(|last| last.is_empty()) {
        pieces.pop();
    }
    let line = |piece: &[u8]| {
        let whole = piece.strip_suffix(b"\r").unwrap_or(piece);
        (piece.len() <= most).then(|| whole.to_vec())
    };
    (1..).zip(pieces.into_iter().map(line)).collect()
}

fn json(line: &[u8], entry: &Entry) {
    let value: Value = serde_json::from_slice(line).expect("what is taken for JSON is JSON");
    let object = value.as_object().expect("a line is an object");
    assert!(object.keys().all(|key| KEYS.contains(&key.as_str())), "an unknown key was taken");
    assert_eq!(object["url"], entry.url.as_str());
    let more = entry.more.as_deref();
    for field in more.iter().flat_map(|more| &more.headers) {
        if let Field::Set { name, value } = field {
            crate::proto::encode_field(&mut Vec::new(), name, value)
                .expect("a field that was taken can be sent");
        }
    }
    for (key, copied) in [
        ("id", more.and_then(|more| more.id.as_ref())),
        ("meta", more.and_then(|more| more.meta.as_ref())),
    ] {
        let copied = copied.map(|text| serde_json::from_str::<Value>(text).expect("JSON again"));
        let given = object.get(key).filter(|value| !value.is_null() || key == "meta");
        if let (Some(copied), Some(given)) = (&copied, given) {
            assert_eq!(copied, given, "{key}");
        }
        assert!(given.is_some() || copied.is_none_or(|value| value.is_null()), "{key} is made up");
    }
}

/// Invariant: results of an earlier run, torn or doubled as they may be, are mended once and for good, and not before they are written to: what stays are
/// whole lines of the old file in their order, as many as count as done; reading it again changes nothing.
///
/// Input: a byte that says what is to be fetched again, and whether by a part of the list, the file.
pub fn resume(data: &[u8]) {
    let [flags, text @ ..] = data else { return };
    let resume = Resume {
        key: [ResumeKey::N, ResumeKey::Url, ResumeKey::Id][usize::from(flags & 3) % 3],
        kinds: if flags & 4 == 0 { Vec::new() } else { vec!["refused".to_owned()] },
        statuses: if flags & 8 == 0 {
            Vec::new()
        } else {
            vec![StatusClass { low: 500, high: 599 }]
        },
        portion: (flags & 16 != 0)
            .then(|| Portion { shard: Shard { index: 1, of: 2 }, rules: UrlRules::default() }),
    };
    let folder = std::env::temp_dir().join(format!("gannet-resume-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the file");
    let path = folder.join(format!("{:?}", std::thread::current().id()));
    let mut file = std::fs::File::create(&path).expect("a file can be made");
    file.write_all(text).expect("a file can be written");
    drop(file);
    let first = Done::read(&path, &resume);
    let as_it_was = std::fs::read(&path).expect("the file is there");
    assert_eq!(
        as_it_was, text,
        "a file that was refused, or not written to yet, is left as it was"
    );
    let Ok(mut first) = first else { return };
    if let Some(instead) = first.instead.take() {
        instead.take_place().expect("a file can be renamed");
    }
    let mended = std::fs::read(&path).expect("the file is there");
    assert!(mended.is_empty() || mended.ends_with(b"\n"), "the last line is torn");
    let kept: Vec<&[u8]> = mended.split_inclusive(|byte| *byte == b'\n').collect();
    let mut old = text.split(|byte| *byte == b'\n');
    for line in &kept {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        assert!(old.any(|one| one == line), "a line that was not there, or out of order");
    }
    assert_eq!(first.count, kept.len() as u64);
    let second = Done::read(&path, &resume).expect("what was mended can be read");
    assert_eq!((second.count, second.again, second.mended), (first.count, 0, false));
    assert!(second.instead.is_none(), "mended twice");
    assert_eq!(std::fs::read(&path).expect("the file is there"), mended, "written without need");
}

/// Invariant: a line of a config file is read or refused, never more; option and value, written by the rules
/// (in quotation marks, with escapes), are read again as they are; a pattern of URLs and a template that
/// are accepted can be written out at every number, to the bound.
///
/// Input: text.
pub fn config(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    for line in text.lines() {
        let Ok(Some(entry)) = config_line(line) else { continue };
        assert!(!entry.option.is_empty() && !entry.option.contains([' ', '\t', '\r']));
        let value = entry.value.as_deref().unwrap_or_default();
        let written = format!("{} {}", entry.option, quoted(value));
        let again = config_line(&written).expect("it was a line a moment ago");
        let again = again.map(|again| (again.option, again.value.unwrap_or_default()));
        // An option may begin as a comment does when something stood before it.
        if !entry.option.starts_with('#') {
            assert_eq!(again, Some((entry.option, value.to_owned())), "{line:?} as {written:?}");
        }
    }
    if let Ok(glob) = Glob::parse(text) {
        let count = glob.count();
        assert!(count > 0, "a pattern of nothing");
        let written = |number: u64| {
            let mut out = String::new();
            glob.write(number, &mut out);
            let name = glob.name(number, "#1-#2-#x");
            assert!(name.len() <= 2 * (out.len() + text.len()) + 8, "{name}");
            out
        };
        let (first, last) = (written(0), written(count - 1));
        assert!(first.len() + last.len() <= 4 * text.len() + 80);
        let _ = written(count / 2);
    }
    if let Ok(template) = Template::parse(text) {
        let mut out = String::new();
        let values = Values {
            n: 7,
            id: Some(text),
            url: "http://h.test/a/../b%2f..?q",
            host: "h.test",
            path: "/a/../b%2f..",
            content_type: text,
        };
        template.write(&values, &mut out);
        let mut again = String::new();
        template.write(&values, &mut again);
        assert_eq!(out, again);
        assert!(!out.contains('\0') || text.contains('\0'));
        if template.is_constant() {
            let other = Values { n: 8, id: None, ..values };
            again.clear();
            template.write(&other, &mut again);
            assert_eq!(out, again, "a template without variables writes one name");
        }
    }
}

/// A value in quotation marks.
fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_corpus_file_passes_its_check() {
        type Check = fn(&[u8]);
        let all: [(&str, Check); 3] =
            [("lines", super::lines), ("resume", super::resume), ("config", super::config)];
        for (name, check) in all {
            let folder =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let mut files = 0;
            for file in std::fs::read_dir(folder).expect("each target has a corpus") {
                let path = file.expect("the corpus can be listed").path();
                println!("{}", path.display());
                check(&std::fs::read(&path).expect("the file can be read"));
                files += 1;
            }
            assert!(files >= 5, "the corpus of {name} has {files} files");
        }
    }
}
