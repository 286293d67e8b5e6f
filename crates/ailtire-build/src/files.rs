//! Files that the command line asks for.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::Failure;

/// Writes the file at `path` as a whole: what was there stays until all of it is written. What is
/// no regular file, such as a pipe or `/dev/stdout`, is written to instead of being replaced.
///
/// # Errors
///
/// A [`Failure`] where it can't be written, or `write` fails.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let written = || {
        if is_open_elsewhere(path) {
            // What a shell redirected may hold something already.
            let mut out = BufWriter::new(OpenOptions::new().append(true).open(path)?);
            write(&mut out)?;
            return out.flush();
        }
        // A link stays: it is its target that was meant.
        let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        std::fs::metadata(folder)?;
        let file = tempfile::Builder::new()
            .prefix(".ailtire-build-")
            // What others may do with it is up to the umask, as with any file.
            .permissions(std::fs::Permissions::from_mode(0o666))
            .tempfile_in(folder)
            // The name of a temporary file is of no use in a message.
            .map_err(|error| io::Error::from(error.kind()))?;
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.persist(path)?;
        Ok(())
    };
    written().map_err(|error: io::Error| {
        Failure::io("write", format_args!("`{}`", path.display()), &error)
    })
}

/// Adds `bytes` to the end of the file at `path`, which is made where it is not there.
///
/// # Errors
///
/// A [`Failure`] where it can't be written.
pub(crate) fn append(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = || OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes);
    written().map_err(|error| Failure::io("write", format_args!("`{}`", path.display()), &error))
}

/// Whether somebody else has what is at `path` open and waits for what is written to it.
fn is_open_elsewhere(path: &Path) -> bool {
    let is_special = |found: std::fs::Metadata| !found.is_file() && !found.is_dir();
    std::fs::metadata(path).is_ok_and(is_special)
        || ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        replace(&path, |out| out.write_all(b"one")).unwrap();
        let failed = replace(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("no"))
        });
        assert_eq!(failed.unwrap_err().code(), exit::IO);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
        let nowhere = folder.path().join("nowhere/out");
        assert!(replace(&nowhere, |_| Ok(())).is_err());
    }
}
