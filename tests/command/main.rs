//! Tests of the command that need no engine: what it prints, where, and its exit code.

#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]
#![allow(clippy::needless_raw_string_hashes, reason = "snapbox writes them so")]

mod affected;
#[path = "../directory.rs"]
mod directory;
mod faults;
mod findings;
mod looking;
mod stacks;
mod support;
mod usage;
