//! The program that stack images run.

use std::path::Path;

use ailtire::ManagerProgram;

use crate::error::Failure;

include!(concat!(env!("OUT_DIR"), "/manager.rs"));

/// The program in `file`, else the one that this program carries, if it does. An empty file is no
/// program, so that nobody builds images that can't start; an empty name is none.
///
/// # Errors
///
/// A [`Failure`] where the file can't be read.
pub(crate) fn program(file: Option<&Path>) -> Result<Option<ManagerProgram>, Failure> {
    let named = file.filter(|file| !file.as_os_str().is_empty());
    let Some(file) = named else { return Ok(EMBEDDED.map(ManagerProgram::from)) };
    let bytes = std::fs::read(file).map_err(|error| Failure::io("read", file.display(), &error))?;
    Ok((!bytes.is_empty()).then(|| ManagerProgram::from(bytes)))
}
