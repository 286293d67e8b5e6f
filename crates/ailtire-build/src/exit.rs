//! What the exit code of the command says.

/// Everything that was asked for is done.
pub(crate) const DONE: u8 = 0;

/// At least one image could not be built, pushed or removed; a service does not run, or is still there.
pub(crate) const FAILED: u8 = 1;

/// The command line or the definitions can't be used.
pub(crate) const UNUSABLE: u8 = 2;

/// The Docker engine can't be used, or does not manage a swarm.
pub(crate) const ENGINE: u8 = 3;

/// The state directory, or another file, can't be read or written.
pub(crate) const IO: u8 = 4;

/// Cancelled by Ctrl-C: 128 and the number of the signal, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Cancelled by SIGTERM.
pub(crate) const TERMINATED: u8 = 143;

/// The codes above, for the help text.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done
    1  an image could not be built, pushed or removed, or a service does not run
    2  the command line or the definitions can't be used
    3  the Docker engine, or its swarm, can't be used
    4  the state directory or another file can't be read or written
  130  cancelled by Ctrl-C
  143  cancelled by SIGTERM";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code() {
        for code in [DONE, FAILED, UNUSABLE, ENGINE, IO, INTERRUPTED, TERMINATED] {
            let line = format!("\n{code:>5}  ");
            assert!(HELP.contains(&line), "{code} is not in the help");
        }
    }
}
