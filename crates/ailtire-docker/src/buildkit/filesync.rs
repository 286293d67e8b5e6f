//! File sync: the engine gets the list of a context's entries, and asks for what it lacks.
//!
//! An engine also asks for `.dockerignore`, and then names what the rules in it exclude. A context
//! holds only what was not excluded, and rules of one directory must not hit what others put into
//! it. So the file is shown like any other, and what it says to exclude is shown too.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use ailtire_context::{BuildContext, Content, ContentError, ContentReader, ContextEntry};
use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSync;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::selection::select;
use crate::BuildRequest;
use crate::content::{CHUNK, modification_time};

/// What the Dockerfile is called where the engine reads it.
pub(super) const DOCKERFILE_NAME: &str = "Dockerfile";
/// Packets that wait for the connection: bounds the memory of a build.
const PACKETS_AHEAD: usize = 16;

// Go's file mode bits, which the protocol uses.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_STICKY: u32 = 1 << 20;

/// Serves the files of one build.
pub(super) struct FileSyncService {
    context: Arc<BuildContext>,
    dockerfile: Arc<[ContextEntry]>,
    root: PathBuf,
    trouble: UnboundedSender<ContentError>,
}

impl FileSyncService {
    pub(super) fn new(request: &BuildRequest, trouble: UnboundedSender<ContentError>) -> Self {
        let text = &request.context.dockerfile.text;
        let dockerfile = ContextEntry {
            path: DOCKERFILE_NAME.into(),
            mode: 0o644,
            content: Content::Generated {
                bytes: Arc::from(text.as_bytes()),
                digest: request.context.dockerfile.digest,
            },
        };
        Self {
            context: Arc::clone(&request.context),
            dockerfile: Arc::new([dockerfile]),
            root: request.source_root.clone(),
            trouble,
        }
    }

    /// What a request is to be shown.
    fn view(&self, metadata: &MetadataMap) -> Result<View, Status> {
        let directory = values(metadata, "dir-name");
        let entries = match directory.as_deref().and_then(<[String]>::first).map(String::as_str) {
            Some("dockerfile") => Entries::Dockerfile(Arc::clone(&self.dockerfile)),
            Some("context") => Entries::Context(Arc::clone(&self.context)),
            _ => return Err(Status::not_found("the build has no such directory")),
        };
        let paths = values(metadata, "followpaths").unwrap_or_default();
        let selected = match &entries {
            Entries::Context(context) => {
                // Patterns of both kinds together are nothing that engines send for a context.
                let plain = values(metadata, "include-patterns").is_none_or(|list| list.is_empty());
                select(&context.entries, if plain { &paths } else { &[] })
            }
            Entries::Dockerfile(entries) => (0..entries.len()).collect(),
        };
        Ok(View { entries, selected, root: self.root.clone() })
    }
}

/// The values of a key; `None` where there are none, or they can't be read: show everything then.
fn values(metadata: &MetadataMap, key: &str) -> Option<Vec<String>> {
    let encoded = metadata.contains_key(format!("{key}-encoded"));
    let found: Option<Vec<String>> = metadata
        .get_all(key)
        .iter()
        .map(|value| {
            let text = value.to_str().ok()?;
            if encoded { decode_query(text) } else { Some(text.to_owned()) }
        })
        .collect();
    found.filter(|list| !list.is_empty())
}

/// The reverse of Go's `url.QueryEscape`.
fn decode_query(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[tonic::async_trait]
impl FileSync for FileSyncService {
    type DiffCopyStream = ReceiverStream<Result<Packet, Status>>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let view = self.view(request.metadata())?;
        Ok(Response::new(serve(view, request.into_inner(), self.trouble.clone())))
    }

    type TarStreamStream = tokio_stream::Empty<Result<Packet, Status>>;

    async fn tar_stream(
        &self,
        _request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("tar stream"))
    }
}

/// Entries, and those of them that are shown.
struct View {
    entries: Entries,
    selected: Vec<usize>,
    root: PathBuf,
}

enum Entries {
    Context(Arc<BuildContext>),
    Dockerfile(Arc<[ContextEntry]>),
}

impl View {
    fn shown(&self) -> impl Iterator<Item = &ContextEntry> {
        self.selected.iter().filter_map(|index| self.all().get(*index))
    }

    /// The entry that the engine knows by this number.
    fn numbered(&self, id: u32) -> Option<&ContextEntry> {
        self.all().get(*self.selected.get(id as usize)?)
    }

    fn all(&self) -> &[ContextEntry] {
        match &self.entries {
            Entries::Context(context) => &context.entries,
            Entries::Dockerfile(entries) => entries,
        }
    }
}

/// What the engine asks.
enum Asked {
    File(u32),
    Finished,
}

/// Answers one transfer: reads on a thread of its own, since files are read with system calls.
fn serve(
    view: View,
    questions: impl Stream<Item = Result<Packet, Status>> + Send + Unpin + 'static,
    trouble: UnboundedSender<ContentError>,
) -> ReceiverStream<Result<Packet, Status>> {
    let (answers, stream) = channel(PACKETS_AHEAD);
    // Holds numbers only, at most one for each entry.
    let (asking, asked) = unbounded_channel();
    tokio::spawn(listen(questions, asking));
    tokio::task::spawn_blocking(move || {
        // Nobody listens only where the build is over.
        match answer(&view, asked, &answers) {
            Ok(()) | Err(Stop::Deaf) => {}
            Err(Stop::NoFile) => {
                let unknown = Status::invalid_argument("there is no file with this number");
                let _ = answers.blocking_send(Err(unknown));
            }
            Err(Stop::Content(error)) => {
                // The engine must not take what it has for the whole file.
                let changed = Status::aborted("a file changed while it was sent");
                let _ = answers.blocking_send(Err(changed));
                let _ = trouble.send(error);
            }
        }
    });
    ReceiverStream::new(stream)
}

/// Takes the engine's questions until it has no more.
async fn listen(
    mut questions: impl Stream<Item = Result<Packet, Status>> + Unpin,
    asking: UnboundedSender<Asked>,
) {
    while let Some(Ok(packet)) = questions.next().await {
        let asked = match packet.r#type() {
            PacketType::PacketReq => Asked::File(packet.id),
            PacketType::PacketFin => Asked::Finished,
            _ => return,
        };
        if asking.send(asked).is_err() {
            return;
        }
    }
}

/// Why a transfer ended early.
enum Stop {
    /// Nobody listens any more.
    Deaf,
    /// The engine asked for what is not there or has no content.
    NoFile,
    Content(ContentError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match ContentError::of(&error) {
            Some(known) => Self::Content(known.clone()),
            None => Self::NoFile,
        }
    }
}

fn answer(
    view: &View,
    mut asked: UnboundedReceiver<Asked>,
    answers: &Sender<Result<Packet, Status>>,
) -> Result<(), Stop> {
    let send = |packet| answers.blocking_send(Ok(packet)).map_err(|_| Stop::Deaf);
    for entry in view.shown() {
        send(packet(PacketType::PacketStat, |packet| packet.stat = Some(stat(entry))))?;
    }
    send(packet(PacketType::PacketStat, |_| ()))?;
    while let Some(question) = asked.blocking_recv() {
        let Asked::File(id) = question else {
            return send(packet(PacketType::PacketFin, |_| ()));
        };
        let entry = view.numbered(id).ok_or(Stop::NoFile)?;
        let mut reader = ContentReader::open(&view.root, entry)?;
        let mut remaining = entry.size();
        loop {
            // The last chunk is empty, which says that the file is complete: the reader comes to
            // its end only where the file was what it should be.
            let data = chunk(&mut reader, remaining)?;
            remaining = remaining.saturating_sub(data.len() as u64);
            let is_last = data.is_empty();
            send(packet(PacketType::PacketData, |packet| {
                packet.id = id;
                packet.data = data;
            }))?;
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

/// Up to [`CHUNK`] bytes of a file of which `remaining` are to come; empty at the end.
fn chunk(reader: &mut ContentReader, remaining: u64) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(usize::try_from(remaining).unwrap_or(CHUNK).min(CHUNK));
    reader.take(CHUNK as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

fn packet(kind: PacketType, fill: impl FnOnce(&mut Packet)) -> Packet {
    let mut packet = Packet { r#type: kind.into(), ..Packet::default() };
    fill(&mut packet);
    packet
}

fn stat(entry: &ContextEntry) -> Stat {
    let (kind, link) = match &entry.content {
        Content::Directory => (GO_DIRECTORY, ""),
        Content::Symlink { target } => (GO_SYMLINK, &**target),
        Content::File { .. } | Content::Generated { .. } => (0, ""),
    };
    // A link's size is the length of its target, as systems have it.
    let size = entry.size() + link.len() as u64;
    Stat {
        path: entry.path.to_string(),
        mode: kind | go_permissions(entry.mode),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        mod_time: modification_time(entry),
        linkname: link.to_owned(),
        ..Stat::default()
    }
}

fn go_permissions(mode: u32) -> u32 {
    let bit = |unix: u32, go: u32| if mode & unix == 0 { 0 } else { go };
    (mode & 0o777) | bit(0o4000, GO_SETUID) | bit(0o2000, GO_SETGID) | bit(0o1000, GO_STICKY)
}

#[cfg(test)]
#[path = "filesync_tests.rs"]
mod tests;
