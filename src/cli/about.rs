//! What gannet says about itself: version, features, libraries.
#![expect(
    clippy::indexing_slicing,
    reason = "read when this is compiled: what fails here is no program"
)]

/// The text of `--version`.
pub fn version() -> String {
    let mut features = vec!["HTTP/1.1", "TLS 1.2 and 1.3", "gzip", "deflate", "br"];
    if cfg!(feature = "zstd") {
        features.push("zstd");
    }
    features.push(if cfg!(feature = "aws-lc-rs") { "aws-lc-rs" } else { "ring" });
    if cfg!(feature = "native-roots") {
        features.push("native-roots");
    }
    format!(
        "gannet {} ({} {})\nlibraries: {}\nfeatures: {}\nprotocols: http https\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        libraries().join(" "),
        features.join(", "),
    )
}

/// Versions of what matters on the wire, out of the lock file that this was built with. Worked
/// out at compile time, so that the file itself is no part of the program.
fn libraries() -> Vec<String> {
    const LIBRARIES: [(&str, Version); 8] = [
        ("mio", locked("mio")),
        ("rustls", locked("rustls")),
        ("webpki-roots", locked("webpki-roots")),
        ("httparse", locked("httparse")),
        ("domain", locked("domain")),
        ("url", locked("url")),
        ("flate2", locked("flate2")),
        ("brotli-decompressor", locked("brotli-decompressor")),
    ];
    let text = |version: &Version| String::from_utf8_lossy(&version.0[..version.1]).into_owned();
    LIBRARIES.iter().map(|(name, version)| format!("{name}/{}", text(version))).collect()
}

/// A version's characters and how many they are.
type Version = ([u8; 24], usize);

const fn locked(name: &str) -> Version {
    let lock = include_bytes!("../../Cargo.lock");
    let name = name.as_bytes();
    let mut at = 0;
    while at < lock.len() {
        if let Some(after) = matches(lock, at, b"\nname = \"")
            && let Some(after) = matches(lock, after, name)
            && let Some(mut from) = matches(lock, after, b"\"\nversion = \"")
        {
            let mut version = ([0; 24], 0);
            while lock[from] != b'"' && version.1 < 24 {
                version.0[version.1] = lock[from];
                version.1 += 1;
                from += 1;
            }
            return version;
        }
        at += 1;
    }
    ([0; 24], 0)
}

const fn matches(text: &[u8], at: usize, what: &[u8]) -> Option<usize> {
    let mut same = 0;
    while same < what.len() {
        if at + same >= text.len() || text[at + same] != what[same] {
            return None;
        }
        same += 1;
    }
    Some(at + same)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_names_the_libraries() {
        let text = super::version();
        for name in ["gannet ", "rustls/0.23", "mio/1.", "httparse/1.", "br"] {
            assert!(text.contains(name), "{text}");
        }
    }
}
