//! `-T`: what goes up, and where to.
//!
//! Owns the length that is announced, the range of an upload that is continued (`-C`), and the
//! file's name behind a URL that names a folder. Never reads the file: that is `sending`'s.

use std::sync::Arc;

use crate::cli::plan::Upload;
use crate::fetch::{Body, Profile, Url, UrlRules};

/// The body of `-T`, and the file's name after a URL that ends with a slash.
pub(super) fn prepare_upload(
    upload: &Upload,
    profile: &mut Profile,
    url: &mut Url,
    typed: &str,
    rules: &UrlRules,
    from: Option<u64>,
) -> Result<(), (u8, String)> {
    profile.upload = true;
    match upload {
        Upload::Bytes(bytes) => profile.body = Body::Bytes(Arc::clone(bytes)),
        Upload::Stdin => {
            // curl leaves the first bytes out and says a range that means nothing.
            if from.is_some_and(|from| from > 0) {
                let message = "-C goes on with a file: nobody knows how long standard input is";
                return Err((36, message.to_owned()));
            }
            // Who says the length and wants no chunks has counted.
            let of = |name: &str| profile.fields.iter().find(|field| field.is(name));
            let no_chunks = of("transfer-encoding").is_some_and(|field| field.value().is_none());
            let length = of("content-length")
                .and_then(|field| std::str::from_utf8(field.value()?).ok()?.parse().ok())
                .filter(|_| no_chunks);
            profile.body = Body::Stream { length, replayable: false };
        }
        Upload::File(path) => {
            let meta = std::fs::metadata(path)
                .map_err(|error| (26, format!("can't read {}: {error}", path.display())))?;
            if meta.is_dir() {
                return Err((26, format!("{} is a folder", path.display())));
            }
            let mut length = meta.is_file().then_some(meta.len());
            if length.is_none() && from.is_some_and(|from| from > 0) {
                let message = "-C goes on with a file: nobody knows how long a pipe is";
                return Err((36, message.to_owned()));
            }
            // An empty file is sent as one that is not continued: a range can't be empty.
            if let (Some(from), Some(whole)) =
                (from.filter(|from| *from > 0 || length != Some(0)), length)
            {
                let rest = whole.checked_sub(from).filter(|rest| *rest > 0).ok_or_else(|| {
                    // As curl: the one is done, the other can't be begun there.
                    let exit = if whole > 0 { 18 } else { 26 };
                    (exit, format!("{} has no bytes from {from} on", path.display()))
                })?;
                length = Some(rest);
                profile.content_range = Some(format!("bytes {from}-{}/{whole}", whole - 1).into());
            }
            profile.body = Body::Stream { length, replayable: length.is_some() };
            if url.path().ends_with('/') && url.query().is_none() {
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                let mut encoded = Vec::new();
                crate::fetch::form::urlencode(name.as_bytes(), &mut encoded);
                let encoded = String::from_utf8_lossy(&encoded).replace('+', "%20");
                let mut text = typed.split('#').next().unwrap_or(typed).to_owned();
                if !text.ends_with('/') {
                    text.push('/');
                }
                text.push_str(&encoded);
                url.set(&text, rules).map_err(|error| (3, error.to_string()))?;
            }
        }
    }
    Ok(())
}
