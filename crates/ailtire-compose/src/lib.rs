//! The design of a stack: compose files and `services.js`.
//!
//! [`read`] turns either into the same [`StackDesign`]: variables replaced, short syntaxes expanded,
//! networks and variables of the format added, every name checked. What is wrong is reported with
//! its place, all of it at once. [`to_yaml`] writes a design as a compose file that Docker's own
//! client takes.
//!
//! # Compose files
//!
//! One document of YAML 1.2, read with its core schema: `0440` is permission bits where a mode is
//! wanted, `yes` is text. Aliases and merge keys are followed within limits. A duplicate key, a
//! second document and a tag like `!reset` are errors. A value that is text keeps the text that is
//! written: `VERSION: 3.10` is `3.10`, where Docker's client has `3.1`.
//!
//! The keys are those of the [Compose specification][compose] and of file format 3, as far as Swarm
//! can run them ([deploy][deploy], [Docker's stacks][stacks]).
//!
//! # Variables
//!
//! In every value, of `services.js` as of compose files, but in no key,
//! [variables are replaced][interpolation]: `$NAME`, `${NAME}`, `${NAME:-default}`,
//! `${NAME-default}`, `${NAME:?message}`, `${NAME?message}`, `${NAME:+replacement}`,
//! `${NAME+replacement}`, each of them perhaps inside of another one, and `$$` for a dollar sign.
//! The first source that has the variable wins: the format's own (`AILTIRE_…`, `APPNAME`), `env`
//! of `deploy.js`, `--env` of the command line, the process environment, [`.env`][env] beside the
//! file. A variable without a default that nothing sets is empty, with a warning. Templates
//! (`{{.Service.Name}}`) are left to the engine.
//!
//! # `services.js`
//!
//! What it exports is rewritten in Compose's terms; keys of Compose pass through. A volume that it
//! mounts needs no declaration in `data`. A service that names no network is on the family and the
//! siblings network.
//!
//! # What every stack gets
//!
//! - The family network (`children`, `parent`, `family`) and the siblings network (`siblings`,
//!   `sibling`), where a service uses them. In a compose file these names mean what the file
//!   defines by them, if it does; a service without `networks` is on `default` there.
//! - The variables of the format's section 7 and `env` of `deploy.js`, in every service that does
//!   not set them itself.
//! - In the root stack, where no manager runs it, the stack's ports on its entry service: `frontend`, else `admin`, else the
//!   one that `/` is routed to.
//!
//! # Stack images
//!
//! What is read with [`Purpose::Image`] is the same wherever the stack runs: variables of the format
//! that differ there stay variables in what [`BundledDesign`] makes of it, even inside of defaults,
//! names and keys of labels. So do variables whose name suggests a secret. What a secret holds is
//! never in it: a digest of it is, from which the secret's name follows. Read with
//! [`Purpose::Management`], it comes to what its source comes to in the same place.
//!
//! [compose]: https://github.com/compose-spec/compose-spec/blob/main/spec.md
//! [deploy]: https://github.com/compose-spec/compose-spec/blob/main/deploy.md
//! [interpolation]: https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md
//! [env]: https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
//! [stacks]: https://docs.docker.com/reference/cli/docker/stack/deploy/

mod bundle;
mod complete;
mod context;
mod decode;
mod document;
mod dotenv;
mod emit;
mod family;
mod findings;
mod interpolate;
mod model;
mod names;
mod networks;
mod read;
mod reader;
mod service;
mod services;
mod symbol;
mod template;
mod tls;
mod variables;
mod written;
mod yaml;

pub use bundle::*;
pub use context::{ParentStack, Purpose, StackContext};
pub use family::family_template;
pub use model::*;
pub use names::{
    FILE_NAME_LIMIT, HASH_DIGITS, NETWORK_NAME_LIMIT, SERVICE_NAME_LIMIT, network_name, shorten,
};
pub use tls::{TLS_CERTIFICATE, TLS_KEY, TLS_PORT};

use ailtire_events::Diagnostic;
pub use ailtire_terms::DesignSource;
use ailtire_tree::Tree;

/// What a design came to.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// The design; absent where an error keeps it from being used.
    pub design: Option<StackDesign>,
    /// Everything that is odd or wrong about it.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the design of the stack that `context` describes.
///
/// Everything that is wrong is among the diagnostics, with its place and the text of its line.
pub fn read(tree: &Tree, source: &DesignSource, context: &StackContext) -> Read {
    read::read(tree, source, context)
}

/// Reads a compose file whose text did not come from `tree`; what it names is looked up as if it
/// were there at `path`.
pub fn read_text(tree: &Tree, path: &str, text: &str, context: &StackContext) -> Read {
    read::read_text(tree, path, text, context)
}

/// `design` as a compose file in long syntax.
///
/// Docker's client from 20.10 on takes it (`docker stack deploy -c`), with the same result: its
/// `version` is 3.9, or 3.13 where the design says what 3.9 can't (`start_interval`, `subpath`,
/// mounts of type `cluster`), which takes client 25. A `$` in a value is written `$$`. Paths of
/// configs and secrets are relative to the application root, so that is where the file belongs.
///
/// Routes and ports of the stack, and which services are stacks, are in keys that begin with
/// `x-ailtire-`; [`read`] understands them. So is `depends_on`, whose conditions Docker's client refuses.
///
/// No version of `docker stack deploy` knows configs and secrets with `content` or `environment`,
/// or `driver_opts` of a service's network. They are written in the words of today's Compose
/// specification, and comments at the top say that Docker's client refuses the file for them. What
/// a secret holds is never written.
pub fn to_yaml(design: &StackDesign) -> String {
    emit::to_yaml(design)
}
