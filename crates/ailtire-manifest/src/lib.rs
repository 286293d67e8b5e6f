//! The definitions of an ailtire application: packages, images and stacks.
//!
//! [`load`] finds the packages of an application, evaluates each `index.js` and `build.js` in a
//! sandbox, and reads what they export; where stacks are asked for, each `deploy.js` and the
//! `services.js` that it names as well. It never fails as a whole: what is wrong is reported as
//! diagnostics, and everything else is there.
//!
//! # The sandbox
//!
//! A definition is a `CommonJS` module that exports plain data, or a function
//! `({ env, name, repo, version }) => data`. It has `module`, `exports`, `require` (of `.js` and
//! `.json` files inside the application root, and of `path`), `process.env`, `console`,
//! `__dirname` and `__filename`, and nothing else. The application root is `/app` in there,
//! whatever it is on the machine; a `dir` or `file` that is put together from `__dirname` is
//! understood. There is no clock, no randomness and no time zone but UTC, and nothing that can be
//! waited for: a definition that makes a promise is refused.
//!
//! Time, memory and stack are limited. Each evaluation has a thread of its own. Some built-in
//! functions of the engine can't be interrupted; an evaluation that hangs in one is reported as
//! too slow, and its thread left behind until the process ends.
//!
//! # The cache
//!
//! Every file that an evaluation required, every path it tried and did not find, and every
//! variable it read are inputs of its result. [`EvaluationCache`] keeps results with digests of
//! these, and answers while none of them changed. What has read a variable whose name suggests a
//! secret is never kept, because its result may hold the value.

mod cache;
mod deployment;
mod discover;
mod fields;
mod image;
mod load;
mod locate;
mod lookup;
mod model;
mod options;
mod packages;
mod place;
mod resolve;
mod root;
mod script;

pub use cache::{CacheError, EvaluationCache};
pub use load::{Loaded, fill_excerpts, load};
pub use lookup::{LookupError, resolve_package};
pub use model::{
    Application, Deployment, ImageDefinition, Modes, Orchestrator, Package, PlacedPackage,
    SecretSource,
};
pub use options::{DEFAULT_ENVIRONMENT, Limits, LoadOptions};
pub use root::find_root;
