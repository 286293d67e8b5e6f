//! Keys in files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ailtire::{Diagnostic, EventKind, EventSink, KeyError, PublicKey, SigningKey};

use crate::error::Failure;

const HELP: &str = "`ailtire-build key new` makes a pair of keys";

/// Reads a private key; one that others may read is a warning.
///
/// # Errors
///
/// A [`Failure`] where the file can't be read or holds no private key.
pub(crate) fn private(file: &Path, sink: &dyn EventSink) -> Result<Arc<SigningKey>, Failure> {
    let text = read(file)?;
    let key = SigningKey::read(&text).map_err(|error| wrong(file, error))?;
    if fs::metadata(file).is_ok_and(|it| it.mode() & 0o077 != 0) {
        let message = format!("others may read the private key `{}`", file.display());
        let diagnostic = Diagnostic::warning("key-readable", message);
        let diagnostic = diagnostic.help(format!("`chmod 600 {}`", file.display()));
        sink.emit(EventKind::Diagnostic { diagnostic });
    }
    Ok(Arc::new(key))
}

/// Reads a public key.
///
/// # Errors
///
/// A [`Failure`] where the file can't be read or holds no public key.
pub(crate) fn public(file: &Path) -> Result<PublicKey, Failure> {
    PublicKey::read(&read(file)?).map_err(|error| wrong(file, error))
}

/// Makes a pair of keys: the private one in `file`, the public one beside it, in the file that is
/// given back. Neither may be there.
///
/// # Errors
///
/// A [`Failure`] where the files can't be written.
pub(crate) fn make(file: &Path) -> Result<(PublicKey, PathBuf), Failure> {
    let (key, text) = SigningKey::generate()
        .map_err(|error| Failure::io("make", "a key", &io::Error::other(error)))?;
    let mut public_file = file.as_os_str().to_owned();
    public_file.push(".pub");
    let public_file = PathBuf::from(public_file);
    write_new(&public_file, &key.public().pem(), 0o644)?;
    if let Err(failure) = write_new(file, &text, 0o600) {
        // Half a pair is of no use.
        let _ = fs::remove_file(&public_file);
        return Err(failure);
    }
    Ok((key.public(), public_file))
}

fn write_new(file: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let failure = Failure::io("write", format!("`{}`", file.display()), &error);
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                failure.hint("a key is never replaced: `--out` names another file")
            }
            _ => failure,
        }
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| {
        Failure::io("read", format!("the key `{}`", file.display()), &error).hint(HELP)
    })
}

fn wrong(file: &Path, error: KeyError) -> Failure {
    Failure::usage(format!("`{}` can't be used: {error}", file.display())).hint(HELP)
}
