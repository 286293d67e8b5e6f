//! A build context as a tar stream, made while it is sent.

use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ailtire_context::{Content, ContentError, ContentReader, ContextEntry};
use ailtire_tree::Digest;
use bytes::Bytes;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, channel, unbounded_channel};
use tokio_stream::wrappers::ReceiverStream;

use crate::BuildRequest;
use crate::content::{CHUNK, modification_time};

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
            if let Some(known) = ContentError::of(&error) {
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

fn write(request: &BuildRequest, output: impl Write) -> io::Result<u64> {
    let hidden = dockerfile_name(request);
    let first = [
        generated(&hidden, request.context.dockerfile.text.as_bytes()),
        generated(IGNORE_FILE, &ignore_file(request, &hidden)?),
    ];
    let seconds = |entry: &ContextEntry| modification_time(entry).unsigned_abs() / 1_000_000_000;
    request.context.write_tar(&request.source_root, &first, seconds, output)
}

/// The context's own ignore file, with a line that takes the Dockerfile out: the engine knows no
/// other way. The Docker command does the same.
fn ignore_file(request: &BuildRequest, hidden: &str) -> io::Result<Vec<u8>> {
    let own = request.context.entries.iter().find(|entry| &*entry.path == IGNORE_FILE);
    let mut text = Vec::new();
    match own.map(|entry| (entry, &entry.content)) {
        None | Some((_, Content::Directory)) => text.extend_from_slice(IGNORE_FILE.as_bytes()),
        // What a link leads to may lie outside the context.
        Some((_, Content::Symlink { .. })) => {}
        Some((entry, Content::File { .. } | Content::Generated { .. })) => {
            ContentReader::open(&request.source_root, entry)?.read_to_end(&mut text)?;
        }
    }
    text.extend_from_slice(format!("\n{hidden}\n").as_bytes());
    Ok(text)
}

fn generated(path: &str, bytes: &[u8]) -> ContextEntry {
    let content = Content::Generated { bytes: Arc::from(bytes), digest: Digest::of(bytes) };
    ContextEntry { path: path.into(), mode: 0o644, content }
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
