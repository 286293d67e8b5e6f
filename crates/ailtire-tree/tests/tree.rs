//! The tree against a real file system.

#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ailtire_tree::{Digest, EntryKind, IndexError, Resolved, StatIndex, Tree};

fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Waits until `path` is old enough for its time stamp to be trusted.
fn settle(path: &Path) {
    loop {
        let stat = fs::metadata(path).unwrap();
        let changed = UNIX_EPOCH
            + Duration::from_secs(stat.ctime().try_into().unwrap())
            + Duration::from_nanos(stat.ctime_nsec().try_into().unwrap());
        if SystemTime::now() > changed + Duration::from_millis(150) {
            return;
        }
        std::thread::yield_now();
    }
}

fn open(root: &Path, index: StatIndex) -> Tree {
    let tree = Tree::open(root, index).unwrap();
    tree.prefetch(&|name| !name.starts_with('.'));
    tree
}

fn digest(tree: &Tree, path: &str) -> Digest {
    let (directory, entry) = tree.find(path).unwrap();
    tree.digest(directory, entry).unwrap()
}

#[test]
fn listings_are_sorted_and_typed() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "b/x", "1");
    put(root.path(), "a", "2");
    put(root.path(), "b-c", "3");
    symlink("nowhere", root.path().join("link")).unwrap();
    let tree = open(root.path(), StatIndex::default());
    let listing = tree.list(tree.top()).unwrap();
    let names: Vec<_> = listing.entries.iter().map(|entry| (entry.name(), entry.kind())).collect();
    assert_eq!(
        names,
        [
            ("a", EntryKind::File),
            ("b", EntryKind::Directory),
            ("b-c", EntryKind::File),
            ("link", EntryKind::Symlink)
        ]
    );
    assert!(tree.is_file("b/x"));
    assert!(!tree.is_file("b/y"));
}

#[test]
fn names_that_are_not_utf8_are_reported_not_lost() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    let tree = open(root.path(), StatIndex::default());
    assert_eq!(tree.list(tree.top()).unwrap().unusable.len(), 1);
}

#[test]
fn unchanged_files_are_not_read_again() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..20 {
        put(root.path(), &format!("d{}/f{number}", number % 3), &number.to_string());
    }
    settle(&root.path().join("d1/f19"));
    let tree = open(root.path(), StatIndex::default());
    let first: Vec<_> = (0..20).map(|n| digest(&tree, &format!("d{}/f{n}", n % 3))).collect();
    assert_eq!(tree.work().files_read, 20);
    let index = tree.updated_index().unwrap();

    let tree = open(root.path(), StatIndex::decode(index).unwrap());
    let second: Vec<_> = (0..20).map(|n| digest(&tree, &format!("d{}/f{n}", n % 3))).collect();
    assert_eq!(tree.work().files_read, 0);
    assert_eq!(first, second);
    assert!(tree.updated_index().is_none(), "nothing was learned");
}

#[test]
fn new_content_of_the_same_size_and_time_is_seen() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "file", "old");
    let path = root.path().join("file");
    let time = SystemTime::now() - Duration::from_secs(1000);
    let set_time = |path: &Path| {
        let times = FileTimes::new().set_modified(time);
        File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    };
    set_time(&path);
    settle(&path);
    let tree = open(root.path(), StatIndex::default());
    assert_eq!(digest(&tree, "file"), Digest::of(b"old"));
    let index = tree.updated_index().unwrap();
    fs::write(&path, "new").unwrap();
    set_time(&path);
    let tree = open(root.path(), StatIndex::decode(index).unwrap());
    assert_eq!(digest(&tree, "file"), Digest::of(b"new"));
}

#[test]
fn a_file_too_young_to_trust_is_not_indexed() {
    let root = tempfile::tempdir().unwrap();
    // Each try writes and hashes at once; only on a machine that stalls between the two for longer
    // than the time a stamp needs to be trusted is the file not young any more.
    let indexed = (0..20).all(|number| {
        put(root.path(), "file", &number.to_string());
        let tree = open(root.path(), StatIndex::default());
        digest(&tree, "file");
        tree.updated_index().is_some()
    });
    assert!(!indexed);
}

#[test]
fn a_damaged_or_foreign_index_is_refused() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "file", "content");
    settle(&root.path().join("file"));
    let tree = open(root.path(), StatIndex::default());
    digest(&tree, "file");
    let mut index = tree.updated_index().unwrap();
    let last = index.len() - 1;
    index[last] ^= 1;
    assert_eq!(StatIndex::decode(index.clone()).unwrap_err(), IndexError::Damaged);
    assert_eq!(StatIndex::decode(index[..30].to_vec()).unwrap_err(), IndexError::Damaged);
    assert_eq!(StatIndex::decode(b"something else".to_vec()).unwrap_err(), IndexError::Foreign);
    assert_eq!(StatIndex::decode(Vec::new()).unwrap_err(), IndexError::Foreign);
}

#[test]
fn the_index_forgets_what_is_gone_and_keeps_what_was_not_looked_at() {
    let root = tempfile::tempdir().unwrap();
    for path in ["a/one", "a/two", "b/three", ".hidden/four"] {
        put(root.path(), path, path);
    }
    settle(&root.path().join(".hidden/four"));
    let tree = open(root.path(), StatIndex::default());
    for path in ["a/one", "a/two", "b/three", ".hidden/four"] {
        digest(&tree, path);
    }
    let index = tree.updated_index().unwrap();
    fs::remove_file(root.path().join("a/two")).unwrap();
    fs::remove_dir_all(root.path().join("b")).unwrap();
    put(root.path(), "a/new", "new");
    settle(&root.path().join("a/new"));
    let tree = open(root.path(), StatIndex::decode(index).unwrap());
    digest(&tree, "a/new");
    let index = tree.updated_index().unwrap();

    put(root.path(), "b/three", "b/three");
    let tree = open(root.path(), StatIndex::decode(index).unwrap());
    digest(&tree, "a/one");
    digest(&tree, ".hidden/four");
    assert_eq!(tree.work().files_read, 0);
    digest(&tree, "b/three");
    assert_eq!(tree.work().files_read, 1);
}

#[test]
fn links_are_followed_only_on_request_and_never_out() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    put(&root, "real/file", "x");
    put(outer.path(), "beside/file", "y");
    symlink("real", root.join("alias")).unwrap();
    symlink("../beside", root.join("out")).unwrap();
    symlink("../root/real", root.join("out-and-in")).unwrap();
    symlink(root.join("real"), root.join("absolute")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    let tree = open(&root, StatIndex::default());
    let inside = |path: &str| Resolved::Inside(path.into());
    assert_eq!(tree.resolve("alias/file").unwrap(), inside("real/file"));
    assert_eq!(tree.resolve("absolute/file").unwrap(), inside("real/file"));
    assert_eq!(tree.resolve("out-and-in/file").unwrap(), inside("real/file"));
    assert_eq!(tree.resolve("real/../alias").unwrap(), inside("real"));
    assert_eq!(tree.resolve("").unwrap(), inside(""));
    assert_eq!(tree.resolve("nothing/here").unwrap(), Resolved::Missing);
    assert_eq!(tree.resolve("real/file/deeper").unwrap(), Resolved::Missing);
    assert!(matches!(tree.resolve("out/file").unwrap(), Resolved::Outside(_)));
    assert!(tree.resolve("loop").unwrap_err().message.contains("symbolic links"));
    assert!(tree.find("alias/file").is_none(), "not followed without being asked");
}

#[test]
fn an_allowed_directory_outside_is_part_of_the_tree() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    put(&root, "file", "x");
    put(outer.path(), "beside/deep/file", "y");
    put(outer.path(), "other/file", "z");
    let tree = Tree::open_with_outside(&root, &[outer.path().join("beside")], StatIndex::default())
        .unwrap();
    assert_eq!(digest(&tree, "../beside/deep/file"), Digest::of(b"y"));
    assert!(tree.directory("../other").is_none());
    assert_eq!(tree.resolve("../beside/deep").unwrap(), Resolved::Inside("../beside/deep".into()));
}

#[test]
fn an_unreadable_file_is_an_error_that_names_it() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "directory/file", "x");
    let tree = open(root.path(), StatIndex::default());
    fs::remove_file(root.path().join("directory/file")).unwrap();
    let (directory, entry) = tree.find("directory/file").unwrap();
    let error = tree.digest(directory, entry).unwrap_err();
    assert_eq!(error.path, "directory/file");
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[test]
fn reading_gives_content_and_digest_in_one_go() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "file", "content");
    fs::set_permissions(root.path().join("file"), fs::Permissions::from_mode(0o755)).unwrap();
    let tree = open(root.path(), StatIndex::default());
    assert_eq!(tree.read("file").unwrap(), b"content");
    assert_eq!(digest(&tree, "file"), Digest::of(b"content"));
    assert_eq!(tree.work().files_read, 1);
    assert!(tree.find("file").unwrap().1.stat().is_executable());
}
