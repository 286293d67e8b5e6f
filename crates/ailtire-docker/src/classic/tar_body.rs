//! A build context as a tar stream, made while it is sent.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ailtire_context::{Content, ContextEntry};
use bytes::Bytes;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc::{Sender, UnboundedReceiver, channel, unbounded_channel};
use tokio_stream::wrappers::ReceiverStream;

use crate::BuildRequest;
use crate::content::{self, CHUNK, ContentError};

/// Chunks that wait for the connection: bounds the memory of a build.
const CHUNKS_AHEAD: usize = 16;
/// The file that says what the engine takes out of the context after reading it.
const IGNORE_FILE: &str = ".dockerignore";

/// The body of a build request.
pub(super) struct TarBody {
    stream: Option<ReceiverStream<io::Result<Bytes>>>,
    /// Bytes that were handed to the connection so far.
    pub(super) sent: Arc<AtomicU64>,
    /// What went wrong with the files.
    pub(super) trouble: UnboundedReceiver<ContentError>,
}

impl TarBody {
    /// Begins to read; waits where nobody takes what was read.
    pub(super) fn new(request: &BuildRequest) -> Self {
        let (chunks, stream) = channel(CHUNKS_AHEAD);
        let (report, trouble) = unbounded_channel();
        let sent = Arc::<AtomicU64>::default();
        let request = request.clone();
        let writer = ChannelWriter { chunks: chunks.clone(), sent: Arc::clone(&sent) };
        tokio::task::spawn_blocking(move || {
            let Err(error) = write(&request, BufWriter::with_capacity(CHUNK, writer)) else {
                return;
            };
            let known = error.get_ref().and_then(|inner| inner.downcast_ref::<ContentError>());
            if let Some(known) = known {
                // Nobody listens only where the build is over.
                let _ = report.send(known.clone());
            }
            // The request must not look complete.
            let _ = chunks.blocking_send(Err(io::Error::other("the build context broke off")));
        });
        Self { stream: Some(ReceiverStream::new(stream)), sent, trouble }
    }

    /// The body; once.
    pub(super) fn take_stream(&mut self) -> Option<ReceiverStream<io::Result<Bytes>>> {
        self.stream.take()
    }
}

/// The name of the Dockerfile in the stream, which no entry of the context has.
///
/// It depends on the text alone, so that an unchanged request stays the same request.
pub(super) fn dockerfile_name(request: &BuildRequest) -> String {
    let mut name = format!(".dockerfile.{}", &request.context.dockerfile.digest.to_string()[..20]);
    while request.context.entries.iter().any(|entry| *entry.path == *name) {
        name.push('_');
    }
    name
}

fn write(request: &BuildRequest, output: impl Write) -> io::Result<()> {
    let mut tar = Builder::new(output);
    let hidden = dockerfile_name(request);
    let mut has_ignore_file = false;
    for entry in &request.context.entries {
        if &*entry.path == IGNORE_FILE && !matches!(entry.content, Content::Directory) {
            has_ignore_file = true;
            append_ignore_file(&mut tar, &request.source_root, entry, &hidden)?;
        } else {
            append(&mut tar, &request.source_root, entry)?;
        }
    }
    let dockerfile = request.context.dockerfile.text.as_bytes();
    append_bytes(&mut tar, &hidden, dockerfile)?;
    if !has_ignore_file {
        append_bytes(&mut tar, IGNORE_FILE, format!("{IGNORE_FILE}\n{hidden}\n").as_bytes())?;
    }
    tar.into_inner()?.flush()
}

fn header(entry: &ContextEntry) -> Header {
    let mut header = Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(entry.mode);
    header.set_mtime(content::modification_time(entry).unsigned_abs() / 1_000_000_000);
    header.set_size(content::size(entry));
    header
}

fn append(tar: &mut Builder<impl Write>, root: &Path, entry: &ContextEntry) -> io::Result<()> {
    let mut header = header(entry);
    match &entry.content {
        Content::Directory => {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, &*entry.path, io::empty())
        }
        Content::Symlink { target } => {
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, &*entry.path, &**target)
        }
        Content::File { .. } | Content::Generated { .. } => {
            header.set_entry_type(EntryType::Regular);
            let reader = content::open(root, entry).map_err(io::Error::other)?;
            tar.append_data(&mut header, &*entry.path, reader)
        }
    }
}

/// The context's own ignore file, with a line that takes the Dockerfile out: the engine knows no
/// other way. The Docker command does the same.
fn append_ignore_file(
    tar: &mut Builder<impl Write>,
    root: &Path,
    entry: &ContextEntry,
    hidden: &str,
) -> io::Result<()> {
    let mut text = Vec::new();
    let mut reader = content::open(root, entry).map_err(io::Error::other)?;
    io::Read::read_to_end(&mut reader, &mut text)?;
    text.extend(format!("\n{hidden}\n").into_bytes());
    append_bytes(tar, IGNORE_FILE, &text)
}

fn append_bytes(tar: &mut Builder<impl Write>, path: &str, bytes: &[u8]) -> io::Result<()> {
    let content =
        Content::Generated { bytes: Arc::from(bytes), digest: ailtire_tree::Digest::of(bytes) };
    append(tar, Path::new(""), &ContextEntry { path: path.into(), mode: 0o644, content })
}

/// Hands what is written to the connection.
struct ChannelWriter {
    chunks: Sender<io::Result<Bytes>>,
    sent: Arc<AtomicU64>,
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = Ok(Bytes::copy_from_slice(bytes));
        self.chunks.blocking_send(chunk).map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "tar_body_tests.rs"]
mod tests;
