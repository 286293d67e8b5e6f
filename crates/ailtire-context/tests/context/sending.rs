//! What is sent of a build context: tar archives and the content of single files.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use crate::support::Fixture;
use ailtire_context::{BuildContext, Content, ContentError, ContentReader, ContextEntry};
use ailtire_tree::Digest;

fn archive(context: &BuildContext, fixture: &Fixture, first: &[ContextEntry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = context.write_tar(fixture.root(), first, |_| 0, &mut bytes).unwrap();
    assert_eq!(written, bytes.len() as u64);
    bytes
}

fn sample() -> Fixture {
    let deep = format!("app/{}/file", ["a-long-directory-name"; 20].join("/"));
    let fixture = Fixture::new(&[
        ("app/Dockerfile", "FROM scratch\n"),
        ("app/a/ä b", "content"),
        ("app/empty", ""),
        ("app/empty-directory/", ""),
        (&deep, "deep"),
    ]);
    fixture.link("app/link", "a//../a/./x");
    fixture.link("app/long-link", &"../far".repeat(40));
    fixture
}

/// Path, mode, link target and content of everything in an archive.
fn unpacked(archive: &[u8]) -> Vec<(String, u32, Option<String>, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 0);
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let link = entry.link_name_bytes().map(|it| String::from_utf8(it.into_owned()).unwrap());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        found.push((path, header.mode().unwrap(), link, content));
    }
    found
}

#[test]
fn the_archive_holds_the_list_and_nothing_else() {
    let fixture = sample();
    let context = fixture.assemble().unwrap();
    let expected = context.entries.iter().map(|entry| {
        let path = entry.path.to_string();
        match &entry.content {
            Content::Directory => (format!("{path}/"), entry.mode, None, Vec::new()),
            Content::Symlink { target } => (path, entry.mode, Some(target.to_string()), Vec::new()),
            Content::File { source, .. } => {
                (path, entry.mode, None, std::fs::read(fixture.root().join(&**source)).unwrap())
            }
            Content::Generated { bytes, .. } => (path, entry.mode, None, bytes.to_vec()),
        }
    });
    let archive = archive(&context, &fixture, &[]);
    assert_eq!(unpacked(&archive), expected.collect::<Vec<_>>());
}

#[test]
fn equal_contexts_make_equal_archives() {
    let (one, two) = (sample(), sample());
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5000);
    std::fs::File::open(two.root().join("app/empty")).unwrap().set_modified(later).unwrap();
    assert_eq!(
        archive(&one.assemble().unwrap(), &one, &[]),
        archive(&two.assemble().unwrap(), &two, &[]),
    );
}

#[test]
fn leading_entries_take_the_place_of_listed_ones() {
    let fixture = sample();
    let bytes: Arc<[u8]> = Arc::from(&b"FROM other\n"[..]);
    let digest = Digest::of(&bytes);
    let content = Content::Generated { bytes, digest };
    let first = ContextEntry { path: "Dockerfile".into(), mode: 0o644, content };
    let archive = archive(&fixture.assemble().unwrap(), &fixture, &[first]);
    let mut contents = BTreeMap::new();
    for (path, _, _, content) in unpacked(&archive) {
        assert!(contents.insert(path, content).is_none(), "no path comes twice");
    }
    assert_eq!(contents["Dockerfile"], b"FROM other\n");
}

#[test]
fn a_leading_file_takes_the_place_of_a_directory_and_what_it_holds() {
    let fixture = sample();
    let content = Content::Generated { bytes: Arc::from(&b""[..]), digest: Digest::of(b"") };
    let first = ContextEntry { path: "a".into(), mode: 0o644, content };
    let archive = archive(&fixture.assemble().unwrap(), &fixture, &[first]);
    let paths: Vec<_> = unpacked(&archive).into_iter().map(|(path, ..)| path).collect();
    assert!(paths.contains(&"a".to_owned()) && !paths.contains(&"a/ä b".to_owned()), "{paths:?}");
}

/// The entry of `path`, read to its end.
fn read(fixture: &Fixture, context: &BuildContext, path: &str) -> io::Result<Vec<u8>> {
    let entry = context.entries.iter().find(|entry| &*entry.path == path).unwrap();
    let mut bytes = Vec::new();
    ContentReader::open(fixture.root(), entry)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn a_file_that_changed_is_never_sent_as_if_it_had_not() {
    let fixture = Fixture::new(&[("app/Dockerfile", "FROM scratch\n"), ("app/file", "12345")]);
    let context = fixture.assemble().unwrap();
    assert_eq!(read(&fixture, &context, "file").unwrap(), b"12345");
    let problem = |fixture: &Fixture| {
        let error = read(fixture, &context, "file").unwrap_err();
        let changed = ContentError::Changed { path: "app/file".to_owned() };
        assert_eq!(ContentError::of(&error), Some(&changed));
        let error = context.write_tar(fixture.root(), &[], |_| 0, io::sink()).unwrap_err();
        assert_eq!(ContentError::of(&error), Some(&changed));
        error.to_string()
    };
    for changed in ["12346", "1234", "123456", ""] {
        fixture.write("app/file", changed);
        assert_eq!(problem(&fixture), "`app/file` changed while it was sent");
    }
    let path = fixture.root().join("app/file");
    std::fs::remove_file(&path).unwrap();
    problem(&fixture);
    fixture.link("app/file", "Dockerfile");
    problem(&fixture);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    problem(&fixture);
}

#[test]
fn an_empty_file_is_held_to_what_it_was_too() {
    let fixture = Fixture::new(&[("app/Dockerfile", "FROM scratch\n"), ("app/file", "")]);
    let context = fixture.assemble().unwrap();
    let changed = ContentError::Changed { path: "app/file".to_owned() };
    let problem = || ContentError::of(&read(&fixture, &context, "file").unwrap_err()).cloned();
    fixture.write("app/file", "more");
    assert_eq!(problem().as_ref(), Some(&changed));
    let path = fixture.root().join("app/file");
    std::fs::remove_file(&path).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(problem().as_ref(), Some(&changed), "a FIFO that nobody writes to");
}

#[test]
fn files_of_all_lengths_are_read_whole() {
    const CHUNK: usize = 128 * 1024;
    let fixture = Fixture::new(&[("app/Dockerfile", "FROM scratch\n")]);
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
        let text = "7".repeat(length);
        fixture.write("app/file", &text);
        let context = fixture.assemble().unwrap();
        assert!(read(&fixture, &context, "file").unwrap() == text.as_bytes(), "{length}");
    }
}

#[test]
fn the_last_bytes_of_changed_content_are_held_back() {
    let fixture = Fixture::new(&[("app/Dockerfile", "FROM scratch\n"), ("app/file", "12345")]);
    let context = fixture.assemble().unwrap();
    fixture.write("app/file", "12346");
    let entry = context.entries.iter().find(|entry| &*entry.path == "file").unwrap();
    let mut reader = ContentReader::open(fixture.root(), entry).unwrap();
    let mut exactly = [0; 5];
    assert!(reader.read_exact(&mut exactly).is_err(), "also to a reader that knows the size");
    fixture.write("app/file", "123456");
    let mut reader = ContentReader::open(fixture.root(), entry).unwrap();
    assert!(reader.read_exact(&mut exactly).is_err(), "also where more was appended");
}

#[test]
fn what_is_no_file_has_no_content() {
    let fixture = sample();
    let context = fixture.assemble().unwrap();
    assert_eq!(read(&fixture, &context, "a").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(read(&fixture, &context, "link").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(read(&fixture, &context, "empty").unwrap(), b"");
}
