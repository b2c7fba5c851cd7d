//! Hashes with a fixed meaning: SHA-256, the shard of a host, the sum of a URL.
//!
//! What is here is written into records and documentation and never changes.

use sha2::{Digest, Sha256};

use super::values::Shard;

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// 64 bits of a text, for intervals and sets: FNV-1a, then mixed. Not for untrusted tables.
pub fn fingerprint(text: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for &byte in text {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// Whether a host belongs to a shard.
///
/// The key is the first eight bytes of the SHA-256 of the host in lower case (without port,
/// brackets and the dot that may end a name), big-endian; the bucket is Lamping and Veach's jump
/// consistent hash of it.
pub fn in_shard(host: &str, shard: Shard) -> bool {
    shard.of <= 1 || jump(host_key(host), shard.of) + 1 == shard.index
}

/// What of a host decides its shard.
fn host_key(host: &str) -> u64 {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let [a, b, c, d, e, f, g, h, ..] = sha256(host.as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Jump consistent hash: the bucket, from 0, of a key among `buckets`.
fn jump(mut key: u64, buckets: u32) -> u32 {
    let mut bucket = 0u64;
    let mut next = 0u64;
    while next < u64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // floor((bucket + 1) * 2^31 / ((key >> 33) + 1)), in integers.
        next = ((u128::from(bucket + 1) << 31) / u128::from((key >> 33) + 1)) as u64;
    }
    bucket as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard_of(host: &str, of: u32) -> u32 {
        jump(host_key(host), of) + 1
    }

    /// Worked out by another implementation (Python, floating point as in the paper).
    #[test]
    fn shards_are_fixed_for_ever() {
        let mut rows = 0;
        for line in include_str!("../../tests/shards.txt").lines() {
            if line.starts_with('#') {
                continue;
            }
            rows += 1;
            let columns: Vec<&str> = line.split('\t').collect();
            let (url, host) = (columns[0], columns[1]);
            let parsed = crate::fetch::Url::parse(url, &crate::fetch::UrlRules::default());
            assert_eq!(parsed.unwrap().host(), host, "{url}");
            for (of, want) in [2, 3, 8, 1000, 1_000_000].into_iter().zip(&columns[2..]) {
                let want = want.parse().unwrap();
                for spelling in [host, &host.to_ascii_uppercase(), &format!("[{host}]")] {
                    assert_eq!(shard_of(spelling, of), want, "{spelling} of {of}");
                }
                let bare = host.strip_suffix('.').unwrap_or(host);
                assert_eq!(shard_of(bare, of), shard_of(&format!("{bare}."), of), "{bare}");
                assert!(in_shard(host, Shard { index: want, of }));
                assert!(
                    of == 1_000_000
                        || (1..=of).all(|k| in_shard(host, Shard { index: k, of }) == (k == want))
                );
            }
        }
        assert!(rows >= 36, "{rows}");
    }

    /// When parts are added, a host stays or goes to a new part, and as few go as must.
    #[test]
    fn only_what_must_moves_when_parts_are_added() {
        const HOSTS: u32 = 20_000;
        for (old, new) in [(1, 2), (2, 3), (8, 9), (8, 16), (100, 101), (1000, 1500)] {
            let mut moved = 0;
            for n in 0..HOSTS {
                let host = format!("h{n}.example");
                let (before, after) = (shard_of(&host, old), shard_of(&host, new));
                assert!(
                    before == after || after > old,
                    "{host}: {before} of {old}, {after} of {new}"
                );
                moved += u32::from(before != after);
            }
            let must = f64::from(HOSTS) * f64::from(new - old) / f64::from(new);
            let off = (f64::from(moved) - must).abs();
            // Four standard deviations.
            let bound = 4.0 * (must * f64::from(old) / f64::from(new)).sqrt();
            println!("{old} parts to {new}: {moved} of {HOSTS} hosts move, {must:.0} must");
            assert!(off <= bound, "{old} to {new}: {moved} moved, {must} must");
        }
    }

    /// Sizes of sites follow a power law: host number r has about 1/r as many URLs as the first.
    /// No hash can split a host, so the largest bounds what any can reach.
    #[test]
    fn a_skewed_list_is_split_as_evenly_as_its_largest_host_allows() {
        println!("hosts  URLs     parts  largest part / mean, that of hosts, largest host / mean");
        for (hosts, urls) in [(10_000u32, 1_000_000u64), (200_000, 10_000_000)] {
            let harmonic: f64 = (1..=hosts).map(|rank| 1.0 / f64::from(rank)).sum();
            let sizes: Vec<u64> = (1..=hosts)
                .map(|rank| ((urls as f64 / harmonic / f64::from(rank)) as u64).max(1))
                .collect();
            let all: u64 = sizes.iter().sum();
            for parts in [4u32, 16, 64] {
                let mut of_urls = vec![0u64; parts as usize];
                let mut of_hosts = vec![0u64; parts as usize];
                for (rank, size) in sizes.iter().enumerate() {
                    let part = shard_of(&format!("www.site{rank}.example"), parts) as usize - 1;
                    of_urls[part] += size;
                    of_hosts[part] += 1;
                }
                let mean = all as f64 / f64::from(parts);
                let ratio = |most: u64, mean: f64| most as f64 / mean;
                let load = ratio(*of_urls.iter().max().unwrap(), mean);
                let even =
                    ratio(*of_hosts.iter().max().unwrap(), f64::from(hosts) / f64::from(parts));
                let largest = ratio(sizes[0], mean);
                println!("{hosts:<6} {all:<8} {parts:<6} {load:.2}, {even:.2}, {largest:.2}");
                // Hosts are even; URLs are as even as the largest hosts let them be.
                assert!(even < 1.3, "{hosts} hosts in {parts} parts: {even}");
                assert!(load < 1.5 + 1.3 * largest, "{hosts} in {parts}: {load} beside {largest}");
            }
        }
    }

    #[test]
    fn fingerprints_differ() {
        assert_ne!(fingerprint(b"http://a/1"), fingerprint(b"http://a/2"));
        assert_ne!(fingerprint(b""), 0);
    }
}
