//! Bodies that a client can verify without having been told them.
//!
//! Every target (path and query, as it stands in the request line) has a body of its own: a stream
//! of printable bytes that can be computed from any position on. A client that got the bytes of
//! another URL, of another edition, or at a wrong offset finds out.

/// Bytes of one block of the stream.
const BLOCK: u64 = 8;

/// The number from which the body of `target` grows; `edition` is 0 until the script changes it.
///
/// ```
/// use gannet::origin::pattern;
///
/// assert_ne!(pattern::seed(b"/bytes/10", 0), pattern::seed(b"/bytes/10?again", 0));
/// assert_ne!(pattern::seed(b"/bytes/10", 0), pattern::seed(b"/bytes/10", 1));
/// ```
pub fn seed(target: &[u8], edition: u64) -> u64 {
    // FNV-1a: short, and good enough to tell targets apart after the final mixing.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in target {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash ^ mix(edition))
}

/// Appends `len` bytes of the stream of `seed`, from position `from` on.
pub fn append(seed: u64, from: u64, len: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + len, 0);
    fill(seed, from, &mut out[start..]);
}

/// Writes the stream of `seed` from position `from` on over all of `out`.
pub fn fill(seed: u64, from: u64, mut out: &mut [u8]) {
    let mut number = from / BLOCK;
    let skip = (from % BLOCK) as usize;
    if skip > 0 {
        let now = (BLOCK as usize - skip).min(out.len());
        let (first, rest) = out.split_at_mut(now);
        first.copy_from_slice(&block(seed, number)[skip..skip + now]);
        out = rest;
        number += 1;
    }
    let mut blocks = out.chunks_exact_mut(BLOCK as usize);
    for chunk in &mut blocks {
        chunk.copy_from_slice(&block(seed, number));
        number += 1;
    }
    let last = blocks.into_remainder();
    let len = last.len();
    last.copy_from_slice(&block(seed, number)[..len]);
}

/// The whole body of `target` in its first edition, if it has `len` bytes.
///
/// ```
/// use gannet::origin::pattern;
///
/// let body = pattern::body("/bytes/100", 100);
/// let mut tail = Vec::new();
/// pattern::append(pattern::seed(b"/bytes/100", 0), 93, 7, &mut tail);
/// assert_eq!(body[93..], tail);
/// ```
pub fn body(target: &str, len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    append(seed(target.as_bytes(), 0), 0, len, &mut out);
    out
}

/// One block: eight bytes from `0` to `o`, so that a body can be looked at on a terminal.
fn block(seed: u64, number: u64) -> [u8; 8] {
    let bits = mix(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    ((bits & 0x3f3f_3f3f_3f3f_3f3f) + 0x3030_3030_3030_3030).to_le_bytes()
}

/// Spreads every bit over all others (the finaliser of SplitMix64).
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_equals_that_part_of_the_whole() {
        let whole = body("/bytes/64", 64);
        assert!(whole.iter().all(u8::is_ascii_graphic));
        for from in 0..64 {
            for to in from..=64 {
                let mut piece = Vec::new();
                append(seed(b"/bytes/64", 0), from as u64, to - from, &mut piece);
                assert_eq!(piece, whole[from..to], "{from}..{to}");
            }
        }
    }
}
