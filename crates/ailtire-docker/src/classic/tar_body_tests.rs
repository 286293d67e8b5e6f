use super::*;
use crate::test_data::{file, request};
use std::collections::BTreeMap;
use std::path::Path;
use tokio_stream::StreamExt;

async fn bytes_of(request: &BuildRequest) -> Vec<u8> {
    let mut body = TarBody::new(request);
    let mut stream = body.take_stream().unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        all.extend(chunk.unwrap());
    }
    assert_eq!(body.sent.load(Ordering::Relaxed), all.len() as u64);
    all
}

fn files_of(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut entry, &mut text).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), text)
    };
    tar::Archive::new(bytes).entries().unwrap().map(text).collect()
}

#[tokio::test]
#[allow(clippy::disallowed_methods)] // Test data has no reader that could see half of it.
async fn equal_requests_make_equal_streams_and_hide_the_dockerfile() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".dockerignore"), "a").unwrap();
    std::fs::write(folder.path().join("b"), "content").unwrap();
    let entries = vec![file(".dockerignore", b"a"), file("b", b"content")];
    let request = request(folder.path(), entries, "FROM scratch");
    let bytes = bytes_of(&request).await;
    assert_eq!(bytes, bytes_of(&request).await);
    let hidden = dockerfile_name(&request);
    let expected = BTreeMap::from([
        (".dockerignore".to_owned(), format!("a\n{hidden}\n")),
        ("b".to_owned(), "content".to_owned()),
        (hidden, "FROM scratch".to_owned()),
    ]);
    assert_eq!(files_of(&bytes), expected);
}

#[tokio::test]
async fn without_an_ignore_file_one_is_made_that_hides_itself() {
    let request = request(Path::new("/"), Vec::new(), "FROM scratch");
    let files = files_of(&bytes_of(&request).await);
    let hidden = dockerfile_name(&request);
    assert_eq!(files[".dockerignore"], format!(".dockerignore\n{hidden}\n"));
}

#[test]
fn the_dockerfile_gives_way_to_the_context() {
    let plain = request(Path::new("/"), Vec::new(), "FROM scratch");
    let name = dockerfile_name(&plain);
    let taken = request(Path::new("/"), vec![file(&name, b"")], "FROM scratch");
    assert_eq!(dockerfile_name(&taken), format!("{name}_"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_does_not_look_complete() {
    let request = request(Path::new("/"), vec![file("no/such/file", b"x")], "FROM scratch");
    let mut body = TarBody::new(&request);
    let mut stream = body.take_stream().unwrap();
    let mut last = None;
    while let Some(chunk) = stream.next().await {
        last = Some(chunk);
    }
    assert!(last.unwrap().is_err());
    let changed = ContentError::Changed { path: "no/such/file".to_owned() };
    assert_eq!(body.trouble.recv().await, Some(changed));
}
