//! What stands beside a file that is not whole yet: its part, and the validator by which that goes on.
//!
//! Owns their names and what is in the note, and the questions about what is there already. Writes
//! no bodies, and decides nothing.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::hash::fingerprint;
use crate::fetch::Validator;

/// Longer names than this, and what parts and notes have behind them, are too long for file systems.
const LONG_NAME: usize = 220;

#[cfg(unix)]
pub fn changed_since(meta: &fs::Metadata, since: SystemTime) -> bool {
    use std::os::unix::fs::MetadataExt;
    let changed = SystemTime::UNIX_EPOCH
        + Duration::new(
            meta.ctime().try_into().unwrap_or(0),
            meta.ctime_nsec().try_into().unwrap_or(0),
        );
    changed >= since
}

#[cfg(not(unix))]
pub fn changed_since(meta: &fs::Metadata, since: SystemTime) -> bool {
    meta.created().is_ok_and(|created| created >= since)
}

/// Where a link leads, be anything there or not.
pub fn led_to(path: PathBuf) -> PathBuf {
    fs::canonicalize(&path).unwrap_or_else(|_| {
        let mut target = path.clone();
        // As many as the system follows; more of them are a circle, and fail when it is opened.
        for _ in 0..40 {
            let Ok(next) = fs::read_link(&target) else { return target };
            target = target.parent().unwrap_or(Path::new("")).join(next);
        }
        path
    })
}

/// Who could not read the file before can't read the one that takes its place.
#[cfg(unix)]
pub fn keep_mode(before: &fs::Metadata, file: &File) {
    use std::os::unix::fs::PermissionsExt;
    let mode = before.permissions().mode() & 0o777;
    if file.metadata().is_ok_and(|new| new.permissions().mode() & 0o777 != mode) {
        let _ = file.set_permissions(fs::Permissions::from_mode(mode));
    }
}

#[cfg(not(unix))]
pub fn keep_mode(_: &fs::Metadata, _: &File) {}

/// Whether a file has this name still.
#[cfg(unix)]
pub fn is_named(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |meta: fs::Metadata| (meta.dev(), meta.ino());
    file.metadata().map(id).ok() == fs::symlink_metadata(path).map(id).ok()
}

#[cfg(not(unix))]
pub const fn is_named(_: &File, _: &Path) -> bool {
    true
}

/// Whether a file has further names than the one.
#[cfg(unix)]
pub fn has_other_names(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|meta| meta.nlink() > 1)
}

#[cfg(not(unix))]
pub const fn has_other_names(_: &File) -> bool {
    false
}

pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

pub fn part_name(path: &Path) -> PathBuf {
    // A name as long as the system bears leaves no room for more: such a part has a short one.
    let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
    if name.len() > LONG_NAME {
        return path.with_file_name(format!("{:016x}.gannet-part", fingerprint(name)));
    }
    with_suffix(path, ".gannet-part")
}

pub fn note_name(part: &Path) -> PathBuf {
    with_suffix(part, ".json")
}

/// What can be continued.
#[derive(Debug, PartialEq, Eq)]
pub struct Leftover {
    pub offset: u64,
    pub validator: Validator,
}

/// The validator beside a part file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

pub fn write_note(part: &Path, note: &Note) -> io::Result<()> {
    let name = note_name(part);
    // Half of one, on a full disk, is worth nothing.
    fs::write(&name, serde_json::to_vec(note)?).inspect_err(|_| {
        let _ = fs::remove_file(&name);
    })
}

/// By what the part of this URL can be continued.
pub fn read_note(part: &Path, url: &str) -> Option<Validator> {
    let note: Note = serde_json::from_slice(&fs::read(note_name(part)).ok()?).ok()?;
    if note.url != url {
        return None;
    }
    match (note.etag, note.last_modified) {
        (Some(etag), _) => Some(Validator::ETag(etag.into_bytes().into())),
        (None, Some(date)) => Some(Validator::LastModified(date.into_bytes().into())),
        (None, None) => None,
    }
}

/// The note goes; whether there was one. An error: it is still there.
pub fn forget_note(part: &Path) -> io::Result<bool> {
    let name = note_name(part);
    match fs::remove_file(&name) {
        Ok(()) => Ok(true),
        // Also a name that is too long to be one.
        Err(_) if fs::symlink_metadata(&name).is_err() => Ok(false),
        Err(error) => Err(error),
    }
}
