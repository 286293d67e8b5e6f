//! Fingerprints of images: what is hashed, what was recorded, what differs.
//!
//! # How it is decided that an image is fresh
//!
//! From an image's [`ImageInputs`] comes a **key**: one digest over everything that the image is
//! made from but other images. Each base image adds its id in the engine. A [`Record`] keeps key,
//! base ids, references and the id of the image that the engine confirmed. An image is fresh when
//!
//! 1. there is a record with the same key,
//! 2. every base has the id that it had then,
//! 3. the engine still has the recorded image under each of its references.
//!
//! The **fingerprint** is the digest of key, references, the fingerprints of bases that the
//! application builds and the ids of those that it does not. It names the inputs on any machine;
//! two clones of one commit have equal fingerprints. Freshness looks at base *ids* rather than at
//! base fingerprints, so that a base that is rebuilt to the very same image makes nothing dirty
//! (early cut-off).
//!
//! | hashed into the key | because |
//! | --- | --- |
//! | path, kind, mode of every context entry | `COPY` sees them |
//! | content of files, target of links | the same |
//! | text of the Dockerfile, with the definition's default command where that applies | it is the program |
//! | values of build arguments that the Dockerfile declares, and `BUILDKIT_…`, `SOURCE_DATE_EPOCH` | they change the result; undeclared ones do not |
//! | target stage, platforms, labels | they change the result |
//! | identifiers of build secrets | another secret is another build; its value must leave no trace |
//!
//! | deliberately not hashed | because |
//! | --- | --- |
//! | modification times, owners, inode numbers | a fresh clone has others |
//! | absolute paths, the path of the application, of the Dockerfile | they are the machine's |
//! | the values of secrets | see above |
//! | the version of this program | its [`FORMAT`] is, which changes only with the meaning of a key |
//!
//! Beside the short record, the inputs themselves are kept as JSON; they are read only to explain
//! a difference ([`compare`]), never to decide.

mod compare;
mod inputs;
mod records;
mod state;

pub use compare::compare;
pub use inputs::{
    BaseIdentity, FORMAT, ImageInputs, RecordedEntry, RecordedInputs, Settings, fingerprint,
};
pub use records::{Record, RecordedBase, Records};
pub use state::{Lock, StateDirectory, StateError};
