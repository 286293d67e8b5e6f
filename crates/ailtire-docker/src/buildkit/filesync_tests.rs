//! The engine's side of file sync, played by hand.

use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::test_data::{entry, file, request};

/// An engine that receives one directory.
struct Receiving {
    questions: Sender<Result<Packet, Status>>,
    answers: ReceiverStream<Result<Packet, Status>>,
    troubles: UnboundedReceiver<ContentError>,
}

fn receive(view: View) -> Receiving {
    let (questions, asked): (_, Receiver<_>) = channel(100);
    let (trouble, troubles) = unbounded_channel();
    let answers = serve(view, ReceiverStream::new(asked), trouble);
    Receiving { questions, answers, troubles }
}

impl Receiving {
    async fn next(&mut self) -> Packet {
        self.answers.next().await.unwrap().unwrap()
    }

    async fn stats(&mut self) -> Vec<Stat> {
        let mut stats = Vec::new();
        while let Some(stat) = self.next().await.stat {
            stats.push(stat);
        }
        stats
    }

    async fn ask(&self, kind: PacketType, id: u32) {
        let packet = Packet { r#type: kind.into(), id, ..Packet::default() };
        self.questions.send(Ok(packet)).await.unwrap();
    }

    /// The content of file `id`, or the error that came instead of its end.
    async fn file(&mut self, id: u32) -> Result<Vec<u8>, Status> {
        self.ask(PacketType::PacketReq, id).await;
        let mut content = Vec::new();
        loop {
            let packet = self.answers.next().await.unwrap()?;
            assert_eq!((packet.r#type(), packet.id), (PacketType::PacketData, id));
            if packet.data.is_empty() {
                return Ok(content);
            }
            content.extend(packet.data);
        }
    }
}

fn service(request: &BuildRequest) -> FileSyncService {
    FileSyncService::new(request, unbounded_channel().0)
}

fn metadata(pairs: &[(&'static str, &'static str)]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for (key, value) in pairs {
        metadata.append(*key, value.parse().unwrap());
    }
    metadata
}

fn shown(service: &FileSyncService, pairs: &[(&'static str, &'static str)]) -> Vec<String> {
    let view = service.view(&metadata(pairs)).unwrap();
    view.shown().map(|entry| entry.path.to_string()).collect()
}

#[tokio::test]
#[allow(clippy::disallowed_methods)] // Test data has no reader that could see half of it.
async fn entries_are_listed_and_files_sent_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let long = vec![b'x'; 3 * CHUNK + 1];
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::fs::write(folder.path().join("d/long"), &long).unwrap();
    std::fs::write(folder.path().join("e"), "").unwrap();
    let entries = vec![
        entry("d", 0o1755, Content::Directory),
        entry("d/link", 0o777, Content::Symlink { target: "long".into() }),
        file("d/long", &long),
        file("e", b""),
    ];
    let request = request(folder.path(), entries, "FROM scratch");
    let view = service(&request).view(&metadata(&[("dir-name", "context")])).unwrap();
    let mut engine = receive(view);
    let stats = engine.stats().await;
    let modes: Vec<_> = stats.iter().map(|stat| (stat.path.as_str(), stat.mode)).collect();
    assert_eq!(
        modes,
        [
            ("d", GO_DIRECTORY | GO_STICKY | 0o755),
            ("d/link", GO_SYMLINK | 0o777),
            ("d/long", 0o644),
            ("e", 0o644),
        ]
    );
    assert_eq!(stats[1].linkname, "long");
    assert_eq!(usize::try_from(stats[2].size).unwrap(), long.len());
    assert_eq!(engine.file(2).await.unwrap(), long);
    assert_eq!(engine.file(3).await.unwrap(), b"");
    engine.ask(PacketType::PacketFin, 0).await;
    assert_eq!(engine.next().await.r#type(), PacketType::PacketFin);
    assert!(engine.answers.next().await.is_none());
    assert!(engine.troubles.recv().await.is_none());
}

#[tokio::test]
#[allow(clippy::disallowed_methods)] // Test data has no reader that could see half of it.
async fn a_changed_file_never_comes_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(folder.path(), vec![file("f", b"before")], "FROM scratch");
    std::fs::write(folder.path().join("f"), "behind").unwrap();
    let view = service(&request).view(&metadata(&[("dir-name", "context")])).unwrap();
    let mut engine = receive(view);
    engine.stats().await;
    assert!(engine.file(0).await.is_err());
    let changed = ContentError::Changed { path: "f".to_owned() };
    assert_eq!(engine.troubles.recv().await, Some(changed));
}

#[tokio::test]
async fn a_number_that_nobody_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(folder.path(), Vec::new(), "FROM scratch");
    let view = service(&request).view(&metadata(&[("dir-name", "context")])).unwrap();
    let mut engine = receive(view);
    engine.stats().await;
    assert!(engine.file(7).await.is_err());
    assert!(engine.troubles.recv().await.is_none());
}

#[test]
fn the_dockerfile_has_a_directory_of_its_own() {
    let request = request("/".as_ref(), vec![file("a", b"")], "FROM scratch");
    let service = service(&request);
    let pairs = [("dir-name", "dockerfile"), ("followpaths", "Dockerfile.dockerignore")];
    assert_eq!(shown(&service, &pairs), ["Dockerfile"]);
    assert!(service.view(&metadata(&[("dir-name", "other")])).is_err());
}

#[test]
fn only_what_is_copied_is_listed() {
    let entries = vec![file("a", b""), file("b", b""), file("ä b", b"")];
    let request = request("/".as_ref(), entries, "FROM scratch");
    let service = service(&request);
    assert_eq!(shown(&service, &[("dir-name", "context"), ("followpaths", "b")]), ["b"]);
    let encoded =
        [("dir-name", "context"), ("followpaths", "%C3%A4+b"), ("followpaths-encoded", "1")];
    assert_eq!(shown(&service, &encoded), ["ä b"]);
    let both = [("dir-name", "context"), ("followpaths", "b"), ("include-patterns", "a")];
    assert_eq!(shown(&service, &both).len(), 3);
}

#[test]
fn ignore_rules_are_not_applied_again() {
    let entries = vec![file(".dockerignore", b"*"), file("a", b"")];
    let service = service(&request("/".as_ref(), entries, "FROM scratch"));
    let probe = [("dir-name", "context"), ("followpaths", ".dockerignore")];
    assert_eq!(shown(&service, &probe), [".dockerignore"]);
    let excluding = [("dir-name", "context"), ("exclude-patterns", "*")];
    assert_eq!(shown(&service, &excluding), [".dockerignore", "a"]);
}
