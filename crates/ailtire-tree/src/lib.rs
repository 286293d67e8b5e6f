//! One walk of a source tree, and content digests that are computed at most once.
//!
//! A [`Tree`] is a snapshot of the directories below an application root. Directories are listed
//! on first use and kept, so that every later stage (package discovery, build contexts,
//! fingerprints) looks at the same listing and none reads the disk again. [`Tree::prefetch`]
//! lists everything that is sure to be needed, in parallel.
//!
//! Digests of file contents come from the [`StatIndex`] of the run before where a file's size,
//! times and inode are what they were, and from reading the file otherwise. The index may only
//! save work: without it every result is the same. A file that changed so shortly before it was
//! read that a later change could carry the same time stamp is not put into the index (git calls
//! such files "racily clean"), so the next run reads it again.
//!
//! Paths are UTF-8, relative to the root, with `/` between their parts; the root itself is `""`.

mod digest;
mod index;
mod listing;
mod path;
mod tree;

pub use digest::Digest;
pub use index::{IndexError, StatIndex};
pub use listing::{Directory, Entry, EntryKind, Listing, Stat};
pub use path::{Escape, file_name, join, parent};
pub use tree::{ReadError, Resolved, Tree, Work};
