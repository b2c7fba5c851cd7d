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
/// The key is the first eight bytes of the SHA-256 of the host in lower case (without port and
/// brackets), big-endian; the bucket is Lamping and Veach's jump consistent hash of it.
pub fn in_shard(host: &str, shard: Shard) -> bool {
    if shard.of <= 1 {
        return true;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let [a, b, c, d, e, f, g, h, ..] = sha256(host.as_bytes());
    jump(u64::from_be_bytes([a, b, c, d, e, f, g, h]), shard.of) + 1 == shard.index
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

    /// Worked out by another implementation (Python, floating point as in the paper).
    #[test]
    fn shards_are_fixed_for_ever() {
        let shard_of = |host: &str, of: u32| {
            (1..=of).find(|&index| in_shard(host, Shard { index, of })).unwrap()
        };
        let table = [
            ("example.org", [2, 2, 2, 381]),
            ("www.example.com", [2, 3, 7, 335]),
            ("localhost", [2, 3, 3, 707]),
            ("127.0.0.1", [2, 3, 3, 90]),
            ("::1", [2, 2, 2, 781]),
            ("xn--bcher-kva.example", [1, 1, 6, 170]),
        ];
        for (host, want) in table {
            let got = [2, 3, 8, 1000].map(|of| shard_of(host, of));
            assert_eq!(got, want, "{host}");
            assert_eq!(shard_of(&host.to_ascii_uppercase(), 8), want[2]);
            assert_eq!(shard_of(&format!("[{host}]"), 8), want[2]);
        }
    }

    #[test]
    fn shards_are_even_and_move_little() {
        let mut counts = [0u32; 10];
        let mut moved = 0;
        for n in 0..10_000u32 {
            let key = u64::from_be_bytes(sha256(&n.to_be_bytes())[..8].try_into().unwrap());
            counts[jump(key, 10) as usize] += 1;
            moved += u32::from(jump(key, 10) != jump(key, 11));
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
        assert!((700..1120).contains(&moved), "{moved}");
    }

    #[test]
    fn fingerprints_differ() {
        assert_ne!(fingerprint(b"http://a/1"), fingerprint(b"http://a/2"));
        assert_ne!(fingerprint(b""), 0);
    }
}
