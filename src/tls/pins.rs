//! Pinned public keys in curl's spelling: `sha256//BASE64;sha256//BASE64`, or a key's file.
//!
//! Owns the digest of a SubjectPublicKeyInfo (RFC 7469 section 2.4) as text and back.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::config::{ConfigError, ConfigErrorKind, default_provider, sha256};
use super::verify::digest;

const PREFIX: &str = "sha256//";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Read `sha256//BASE64`, or several of them between semicolons, any of which the server may have.
///
/// # Errors
/// When one of them is anything else. (A value without that prefix is the name of a key's file;
/// see [`pin_of_key`].)
pub fn parse_pins(text: &str) -> Result<Vec<[u8; 32]>, ConfigError> {
    let pins = text.split(';').map(|pin| pin.strip_prefix(PREFIX).and_then(decode));
    pins.collect::<Option<_>>().ok_or_else(|| {
        ConfigError::new(
            ConfigErrorKind::Pins,
            "a pinned key is sha256// and the 44 characters of a SHA-256 digest in Base64",
        )
    })
}

/// The pin of a public key that is in a file, PEM (`-----BEGIN PUBLIC KEY-----`) or DER.
///
/// # Errors
/// When there is no such key in it.
pub fn pin_of_key(file: &[u8]) -> Result<[u8; 32], ConfigError> {
    let provider: &CryptoProvider = &default_provider();
    let key = match SubjectPublicKeyInfoDer::from_pem_slice(file) {
        Ok(key) => key,
        Err(_) if file.first() == Some(&0x30) => SubjectPublicKeyInfoDer::from(file),
        Err(_) => {
            return Err(ConfigError::new(
                ConfigErrorKind::Pins,
                "no public key found: PEM with -----BEGIN PUBLIC KEY-----, or DER, is needed",
            ));
        }
    };
    Ok(digest(sha256(provider)?, &key))
}

/// A pin as curl writes it.
pub(super) fn shown(pin: &[u8; 32]) -> String {
    format!("{PREFIX}{}", encode(pin))
}

/// Base64 with padding (RFC 4648 section 4).
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte));
        let word = word << (8 * (3 - group.len()));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) as usize & 63;
            let letter = ALPHABET.get(index).filter(|_| digit <= group.len());
            text.push(letter.map_or('=', |&letter| char::from(letter)));
        }
    }
    text
}

/// A digest from its Base64, which has one form only.
fn decode(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_suffix('=').filter(|digits| digits.len() == 43)?;
    let mut pin = [0; 32];
    let (mut word, mut bits, mut at) = (0_u32, 0, 0);
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|&other| other == digit)?;
        word = word << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *pin.get_mut(at)? = (word >> bits) as u8;
            word &= (1 << bits) - 1;
            at += 1;
        }
    }
    (word == 0).then_some(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode(plain.as_bytes()), coded);
        }
        assert_eq!(encode(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn pins_are_read_as_they_are_shown() {
        let seed = 0x91_5eed;
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..1_000 {
            let mut pin = [0; 32];
            random.fill(&mut pin);
            assert_eq!(parse_pins(&shown(&pin)).unwrap(), [pin], "seed {seed:#x}");
            let two = format!("{};{}", shown(&pin), shown(&[7; 32]));
            assert_eq!(parse_pins(&two).unwrap(), [pin, [7; 32]]);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let good = "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert!(parse_pins(good).is_ok());
        for (case, text) in [
            ("empty", String::new()),
            ("no prefix", good[8..].to_owned()),
            ("another digest", good.replace("sha256", "sha1")),
            ("short", good.replace("AAEC", "AA")),
            ("long", good.replace("AAEC", "AAECAAEC")),
            ("no padding", good.trim_end_matches('=').to_owned()),
            ("URL alphabet", good.replace('A', "-")),
            ("loose bits", good.replace("Hh8=", "Hh9=")),
            ("an empty one", format!("{good};")),
            ("a space", format!(" {good}")),
        ] {
            let error = parse_pins(&text).unwrap_err();
            assert_eq!(error.kind(), ConfigErrorKind::Pins, "{case}");
        }
    }

    #[test]
    fn a_key_in_a_file_has_a_pin() {
        // Ed25519's key of RFC 8410 section 10.1.
        let pem = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).unwrap();
        assert_eq!(pin_of_key(pem).unwrap(), pin_of_key(&der).unwrap());
        assert!(pin_of_key(b"nothing of the kind").is_err());
        assert!(pin_of_key(b"").is_err());
    }
}
