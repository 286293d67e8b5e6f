//! A build context as a tar archive, the same bytes every time.

use std::io::{self, Write};
use std::path::Path;

use tar::{EntryType, Header};

use crate::assemble::is_below;
use crate::content::ContentReader;
use crate::model::{BuildContext, Content, ContextEntry};

impl BuildContext {
    /// Writes the context as a tar archive, and returns how many bytes that took.
    ///
    /// `first` are entries to put before all others, in the place of entries of the same path and
    /// of what is below them: the Dockerfile that is to be built, where the receiver looks for it
    /// in the archive. `modified` gives the modification time of an entry, in seconds since the
    /// Unix epoch. Owners are 0:0, so equal contexts and times make equal archives.
    ///
    /// # Errors
    ///
    /// Those of `out`, and those of [`ContentReader`]: the archive is then incomplete.
    pub fn write_tar(
        &self,
        root: &Path,
        first: &[ContextEntry],
        modified: impl Fn(&ContextEntry) -> u64,
        out: impl Write,
    ) -> io::Result<u64> {
        let mut archive = tar::Builder::new(Counted { out, bytes: 0 });
        let is_replaced = |entry: &ContextEntry| {
            first.iter().any(|it| entry.path == it.path || is_below(&entry.path, &it.path))
        };
        let rest = self.entries.iter().filter(|entry| !is_replaced(entry));
        for entry in first.iter().chain(rest) {
            append(&mut archive, root, entry, modified(entry))?;
        }
        let mut counted = archive.into_inner()?;
        counted.flush()?;
        Ok(counted.bytes)
    }
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    root: &Path,
    entry: &ContextEntry,
    modified: u64,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(modified);
    header.set_size(entry.size());
    match &entry.content {
        Content::Directory => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, format!("{}/", entry.path), io::empty())
        }
        Content::Symlink { target } => {
            header.set_entry_type(EntryType::Symlink);
            match header.set_link_name_literal(&**target) {
                Ok(()) => archive.append_data(&mut header, &*entry.path, io::empty()),
                // Too long for the header: this writes it into an entry of its own.
                Err(_) => archive.append_link(&mut header, &*entry.path, &**target),
            }
        }
        Content::File { .. } | Content::Generated { .. } => {
            header.set_entry_type(EntryType::Regular);
            let content = ContentReader::open(root, entry)?;
            archive.append_data(&mut header, &*entry.path, content)
        }
    }
}

/// Counts what is written through it.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.out.write(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
