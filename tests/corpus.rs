//! Every file of the fuzz corpora, replayed as an ordinary test. `fuzz/README.md` says where they come from.

mod checks;

use std::fs;
use std::path::Path;

#[test]
fn every_corpus_file_passes_its_check() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, check) in checks::ALL {
        let mut files = 0;
        for file in fs::read_dir(corpora.join(name)).expect("each target has a corpus") {
            let path = file.expect("the corpus can be listed").path();
            let data = fs::read(&path).expect("the file can be read");
            println!("{}", path.display());
            check(&data);
            files += 1;
        }
        assert!(files >= 5, "the corpus of {name} has {files} files");
    }
}

/// So many inputs a check without a fuzzer: mutations of the corpus by a seeded generator.
#[test]
fn mutations_of_the_corpus_pass_too() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, check) in checks::ALL {
        let mut files: Vec<_> = fs::read_dir(corpora.join(name))
            .expect("each target has a corpus")
            .map(|file| file.expect("the corpus can be listed").path())
            .collect();
        files.sort();
        let seeds: Vec<Vec<u8>> =
            files.iter().map(|path| fs::read(path).expect("the file can be read")).collect();
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut data = seeds[random.usize(..seeds.len())].clone();
            for _ in 0..random.usize(1..4) {
                mutate(&mut data, &mut random, &seeds);
            }
            println!("{name}, seed {seed}: {}", data.escape_ascii());
            check(&data);
        }
    }
}

fn mutate(data: &mut Vec<u8>, random: &mut fastrand::Rng, seeds: &[Vec<u8>]) {
    const WORDS: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"0",
        b"5",
        b"+",
        b";",
        b"\"",
        b"\\",
        b"\r\n\r\n",
        b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"\r\n ",
        b"ffffffffffffffff",
        b"\xff",
    ];
    let at = random.usize(..=data.len());
    match random.u8(..6) {
        0 => data.truncate(at),
        1 if at < data.len() => data[at] = random.u8(..),
        2 if at < data.len() => drop(data.remove(at)),
        3 => {
            let other = &seeds[random.usize(..seeds.len())];
            let from = random.usize(..=other.len());
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
        _ => drop(data.splice(at..at, WORDS[random.usize(..WORDS.len())].iter().copied())),
    }
}
