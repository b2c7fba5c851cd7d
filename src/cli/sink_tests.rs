//! What happens to files.

use super::*;
use crate::fetch::Validator;

fn files(existing: Existing) -> (tempfile::TempDir, Files) {
    (tempfile::tempdir().unwrap(), Files::new(existing, true, false))
}

#[test]
fn a_file_of_a_moment_ago_is_no_collision_and_one_of_this_run_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "old").unwrap();
    let mut files = Files::new(Existing::Clobber, false, false);
    let sink = files.begin(&path, true, false).expect("of the time before the run");
    files.finish(sink, None).unwrap();
    let again = files.begin(&path, true, false);
    assert!(matches!(again, Err(FileError::Collision(_))), "a name twice in one run");
}

fn list(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_gets_its_name_when_it_is_whole() {
    let (dir, mut files) = files(Existing::Default);
    let path = dir.path().join("a/b");
    let mut sink = files.begin(&path, false, false).unwrap();
    sink.write(b"hel").unwrap();
    assert_eq!(list(&dir.path().join("a")), ["b.gannet-part"]);
    sink.write(b"lo").unwrap();
    files.finish(sink, None).unwrap();
    assert_eq!(list(&dir.path().join("a")), ["b"]);
    assert_eq!(fs::read(&path).unwrap(), b"hello");
}

#[test]
fn what_was_cut_can_go_on() {
    let (dir, mut files) = files(Existing::Default);
    let path = dir.path().join("b");
    let note = Note { url: "u".to_owned(), etag: Some("\"x\"".to_owned()), last_modified: None };
    let mut sink = files.begin(&path, false, false).unwrap();
    sink.note(Some(note.clone()));
    sink.write(b"hel").unwrap();
    files.give_up(sink, false);
    assert_eq!(list(dir.path()), ["b.gannet-part", "b.gannet-part.json"]);
    assert_eq!(files.left.0, 1);
    assert_eq!(Files::leftover(&path, "other"), None);
    let left = Files::leftover(&path, "u").unwrap();
    assert_eq!(
        left,
        Leftover { offset: 3, validator: Validator::ETag(b"\"x\"".as_slice().into()) }
    );
    let mut sink = files.go_on(&path, "u", &left).unwrap();
    let mut seen = Vec::new();
    sink.read_back(|bytes| seen.extend_from_slice(bytes)).unwrap();
    assert_eq!(seen, b"hel");
    sink.write(b"lo").unwrap();
    files.finish(sink, None).unwrap();
    assert_eq!(list(dir.path()), ["b"]);
    assert_eq!(fs::read(&path).unwrap(), b"hello");
    // Long ones are noted while they grow.
    let mut sink = files.begin(&path, false, false).unwrap();
    sink.note(Some(note));
    sink.write(&vec![0; NOTE_AFTER as usize + 1]).unwrap();
    assert_eq!(list(dir.path()), ["b", "b.gannet-part", "b.gannet-part.json"]);
    files.give_up(sink, true);
    assert_eq!(list(dir.path()), ["b"]);
}

/// A batch with `-C -` and a digest that did not fit once removed the file of the user.
#[test]
fn what_was_there_is_never_removed() {
    let (dir, mut files) = files(Existing::Default);
    let path = dir.path().join("b");
    fs::write(&path, b"hel").unwrap();
    let mut sink = files.append(&path, None).unwrap();
    let mut seen = Vec::new();
    sink.write(b"xx").unwrap();
    sink.read_back(|bytes| seen.extend_from_slice(bytes)).unwrap();
    assert_eq!(seen, b"hel", "what came since is not read back");
    files.give_up(sink, true);
    assert_eq!(fs::read(&path).unwrap(), b"hel");
}

#[test]
fn names_that_are_taken() {
    let (dir, mut default) = files(Existing::Default);
    let path = dir.path().join("b");
    fs::write(&path, b"old").unwrap();
    std::thread::sleep(Duration::from_millis(40));
    let mut later = Files::new(Existing::Default, false, false);
    // Of an earlier run: overwritten. Of this run: a collision.
    let sink = later.begin(&path, true, false).unwrap();
    assert!(matches!(later.begin(&path, true, false), Err(FileError::Collision(_))));
    later.finish(sink, None).unwrap();
    assert!(matches!(later.begin(&path, true, false), Err(FileError::Collision(_))));
    assert!(matches!(default.begin(&path, false, true), Err(FileError::Exists(_))));
    let mut keep = Files::new(Existing::Keep, false, false);
    let one = keep.begin(&path, false, false).unwrap();
    let two = keep.begin(&path, false, false).unwrap();
    keep.finish(one, None).unwrap();
    keep.finish(two, None).unwrap();
    assert_eq!(list(dir.path()), ["b", "b.1", "b.2"]);
    assert!(Files::new(Existing::Skip, false, false).is_done(&path));
    assert!(matches!(default.begin(dir.path(), false, false), Err(FileError::Io(..))));
    let no_dirs =
        Files::new(Existing::Default, false, false).begin(&dir.path().join("x/y"), false, false);
    assert!(matches!(no_dirs, Err(FileError::Io(..))));
}

/// Another process came to the same name while this one wrote.
#[test]
fn a_name_that_was_taken_meanwhile_is_not_overwritten() {
    for existing in [Existing::Keep, Existing::Default] {
        let (dir, mut files) = files(existing);
        let path = dir.path().join("b");
        let mut sink = files.begin(&path, false, true).unwrap();
        sink.write(b"ours").unwrap();
        fs::write(&path, b"theirs").unwrap();
        let result = files.finish(sink, None);
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        if existing == Existing::Keep {
            assert_eq!(result.unwrap(), dir.path().join("b.1"));
            assert_eq!(fs::read(dir.path().join("b.1")).unwrap(), b"ours");
            assert_eq!(list(dir.path()), ["b", "b.1"]);
        } else {
            assert!(matches!(result, Err(FileError::Exists(_))));
            assert_eq!(list(dir.path()), ["b"]);
        }
    }
}

#[cfg(unix)]
#[test]
fn devices_and_links_are_written_through() {
    let (dir, mut files) = files(Existing::Default);
    files.fsync = true;
    let mut null = files.begin(Path::new("/dev/null"), true, false).unwrap();
    null.write(b"x").unwrap();
    files.finish(null, None).unwrap();
    if cfg!(target_os = "linux") {
        let mut full = files.begin(Path::new("/dev/full"), true, false).unwrap();
        assert!(full.write(b"x").is_err(), "only the null device is not written to");
        files.give_up(full, true);
    }
    let target = dir.path().join("target");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("further", &link).unwrap();
    std::os::unix::fs::symlink("target", dir.path().join("further")).unwrap();
    let mut sink = files.begin(&link, false, false).unwrap();
    sink.write(b"old").unwrap();
    files.finish(sink, None).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"old", "where there was nothing yet");
    let mut sink = files.begin(&link, false, false).unwrap();
    sink.write(b"new").unwrap();
    files.finish(sink, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1000))).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
    assert_eq!(fs::read(&target).unwrap(), b"new");
    assert_eq!(
        fs::metadata(&target).unwrap().modified().unwrap(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1000)
    );
}

#[cfg(unix)]
#[test]
fn a_part_that_is_a_whole_file_too_is_not_written() {
    let (dir, mut files) = files(Existing::Keep);
    let kept = dir.path().join("kept");
    fs::write(&kept, b"whole").unwrap();
    // What a kill between link and unlink leaves, once the file was moved.
    fs::hard_link(&kept, dir.path().join("b.gannet-part")).unwrap();
    let mut sink = files.begin(&dir.path().join("b"), false, false).unwrap();
    sink.write(b"new").unwrap();
    files.finish(sink, None).unwrap();
    assert_eq!(fs::read(&kept).unwrap(), b"whole");
    assert_eq!(fs::read(dir.path().join("b")).unwrap(), b"new");
}
