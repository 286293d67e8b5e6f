//! Why an image is rebuilt: the one place where it is worded.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How one entry of a build context differs from the recorded one.
///
/// Digests are the hexadecimal BLAKE3 of a file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// Other content.
    Content {
        /// Digest when the image was built.
        old: String,
        /// Digest now.
        new: String,
    },
    /// Other permission bits (octal).
    Mode {
        /// Mode when the image was built.
        old: u32,
        /// Mode now.
        new: u32,
    },
    /// A symbolic link that leads elsewhere.
    LinkTarget {
        /// Target when the image was built.
        old: String,
        /// Target now.
        new: String,
    },
    /// A file became a directory, a directory a link, and so on.
    Kind {
        /// Kind when the image was built.
        old: String,
        /// Kind now.
        new: String,
    },
}

/// One typed reason why an image is not fresh.
///
/// Reasons sort by cause: what a user changed comes before what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum DirtyReason {
    /// Nothing is recorded for the image.
    NeverBuilt,
    /// The command line asked for it.
    Forced,
    /// The record was made by a program that computes fingerprints another way.
    FingerprintFormat {
        /// Version in the record.
        old: u32,
        /// Version of this program.
        new: u32,
    },
    /// Its inputs changed, and what they were is not recorded any more.
    InputsChanged,
    /// The Dockerfile changed.
    Dockerfile {
        /// Its path, relative to the application root.
        path: String,
        /// Digest when the image was built.
        old: String,
        /// Digest now.
        new: String,
        /// The first line that differs, counted from 1, where the recorded text is there.
        line: Option<u32>,
    },
    /// An entry of the build context changed.
    Entry {
        /// Path in the build context.
        path: String,
        /// Path in the source tree, relative to the application root; absent for generated files.
        source: Option<String>,
        /// What is different.
        change: Change,
    },
    /// A build argument changed.
    BuildArgument {
        /// Its name.
        name: String,
        /// Value when the image was built; a digest where the name suggests a secret.
        old: Option<String>,
        /// Value now; a digest where the name suggests a secret.
        new: Option<String>,
    },
    /// A label changed.
    Label {
        /// Its name.
        name: String,
        /// Value when the image was built.
        old: Option<String>,
        /// Value now.
        new: Option<String>,
    },
    /// Another stage of the Dockerfile is asked for.
    Target {
        /// Stage when the image was built.
        old: Option<String>,
        /// Stage now.
        new: Option<String>,
    },
    /// Other platforms are asked for.
    Platforms {
        /// Platforms when the image was built.
        old: Vec<String>,
        /// Platforms now.
        new: Vec<String>,
    },
    /// The image is to carry other references.
    References {
        /// References when the image was built.
        old: Vec<String>,
        /// References now.
        new: Vec<String>,
    },
    /// The build uses other secrets (identifiers only; values are never recorded).
    Secrets {
        /// Identifiers when the image was built.
        old: Vec<String>,
        /// Identifiers now.
        new: Vec<String>,
    },
    /// A base image that the application does not build is another one now.
    ExternalBase {
        /// The reference in the Dockerfile.
        reference: String,
        /// Image id when the image was built.
        old: Option<String>,
        /// Image id now.
        new: Option<String>,
    },
    /// A base that the application builds is dirty itself, and may come out as another image.
    BaseDirty {
        /// The base's image reference.
        reference: String,
    },
    /// A base that the application builds came out as another image.
    BaseChanged {
        /// The base's image reference.
        reference: String,
        /// Image id that this image was built on.
        old: Option<String>,
        /// Image id now.
        new: Option<String>,
    },
    /// The engine has no such image any more.
    ImageMissing {
        /// The reference that is missing.
        reference: String,
        /// Id of the image that was recorded.
        image_id: String,
    },
    /// The engine has another image under this reference.
    ImageReplaced {
        /// The reference.
        reference: String,
        /// Id of the image that was recorded.
        old: String,
        /// Id of the image that the engine has.
        new: String,
    },
}

impl DirtyReason {
    /// Whether this reason only follows from another image being dirty.
    pub fn is_cascade(&self) -> bool {
        matches!(self, Self::BaseDirty { .. } | Self::BaseChanged { .. })
    }
}

impl fmt::Display for DirtyReason {
    /// The words after "because": lower case, no full stop.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverBuilt => formatter.write_str("it was not built before"),
            Self::Forced => formatter.write_str("the command line forces it"),
            Self::FingerprintFormat { old, new } => {
                write!(formatter, "its record has format {old}, this program writes {new}")
            }
            Self::InputsChanged => {
                formatter.write_str("its inputs changed (what they were is not recorded any more)")
            }
            Self::Dockerfile { path, line: Some(line), .. } => {
                write!(formatter, "{path} changed at line {line}")
            }
            Self::Dockerfile { path, line: None, .. } => write!(formatter, "{path} changed"),
            Self::Entry { path, source, change } => {
                write_entry(formatter, source.as_deref().unwrap_or(path), change)
            }
            Self::BuildArgument { name, old, new } => {
                write_value(formatter, "build argument", name, old.as_deref(), new.as_deref())
            }
            Self::Label { name, old, new } => {
                write_value(formatter, "label", name, old.as_deref(), new.as_deref())
            }
            Self::Target { old, new } => {
                let name = |stage: &Option<String>| {
                    stage.as_ref().map_or("the last stage".to_owned(), |stage| format!("`{stage}`"))
                };
                write!(formatter, "the target changed from {} to {}", name(old), name(new))
            }
            Self::Platforms { old, new } => write_lists(formatter, "platforms", old, new),
            Self::References { old, new } => write_lists(formatter, "references", old, new),
            Self::Secrets { old, new } => write_lists(formatter, "secrets", old, new),
            Self::ExternalBase { reference, old, new }
            | Self::BaseChanged { reference, old, new } => {
                write_base(formatter, reference, old.as_deref(), new.as_deref())
            }
            Self::BaseDirty { reference } => write!(formatter, "its base {reference} is dirty"),
            Self::ImageMissing { reference, .. } => {
                write!(formatter, "the engine has no image {reference} any more")
            }
            Self::ImageReplaced { reference, old, new } => write!(
                formatter,
                "the engine has another image as {reference} ({} instead of {})",
                short_id(new),
                short_id(old)
            ),
        }
    }
}

fn write_entry(formatter: &mut fmt::Formatter<'_>, path: &str, change: &Change) -> fmt::Result {
    match change {
        Change::Added => write!(formatter, "{path} was added"),
        Change::Removed => write!(formatter, "{path} was removed"),
        Change::Content { .. } => write!(formatter, "{path} changed"),
        Change::Mode { old, new } => {
            write!(formatter, "the mode of {path} changed from {old:04o} to {new:04o}")
        }
        Change::LinkTarget { old, new } => {
            write!(formatter, "the link {path} leads to {new} instead of {old}")
        }
        Change::Kind { old, new } => write!(formatter, "{path} is a {new} and was a {old}"),
    }
}

fn write_value(
    formatter: &mut fmt::Formatter<'_>,
    what: &str,
    name: &str,
    old: Option<&str>,
    new: Option<&str>,
) -> fmt::Result {
    match (old, new) {
        (Some(old), Some(new)) => {
            write!(formatter, "{what} {name} changed from `{old}` to `{new}`")
        }
        (None, Some(new)) => write!(formatter, "{what} {name} was added (`{new}`)"),
        (_, None) => write!(formatter, "{what} {name} was removed"),
    }
}

fn write_lists(
    formatter: &mut fmt::Formatter<'_>,
    what: &str,
    old: &[String],
    new: &[String],
) -> fmt::Result {
    let join = |list: &[String]| {
        if list.is_empty() { "none".to_owned() } else { list.join(", ") }
    };
    write!(formatter, "its {what} changed from {} to {}", join(old), join(new))
}

fn write_base(
    formatter: &mut fmt::Formatter<'_>,
    reference: &str,
    old: Option<&str>,
    new: Option<&str>,
) -> fmt::Result {
    let id = |id: Option<&str>| id.map_or("unknown".to_owned(), |id| short_id(id).to_owned());
    write!(formatter, "its base {reference} changed ({} → {})", id(old), id(new))
}

/// The twelve hexadecimal digits that Docker shows of an image id.
fn short_id(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_the_source_file_and_both_values() {
        let reason = DirtyReason::Entry {
            path: "api/Shop/index.js".into(),
            source: Some("api/Shop/index.js".into()),
            change: Change::Mode { old: 0o644, new: 0o755 },
        };
        assert_eq!(reason.to_string(), "the mode of api/Shop/index.js changed from 0644 to 0755");
        let reason = DirtyReason::BuildArgument {
            name: "NODE_ENV".into(),
            old: Some("development".into()),
            new: Some("production".into()),
        };
        assert_eq!(
            reason.to_string(),
            "build argument NODE_ENV changed from `development` to `production`"
        );
    }

    #[test]
    fn reasons_survive_serialisation() {
        let reason = DirtyReason::ExternalBase {
            reference: "debian:bookworm".into(),
            old: None,
            new: Some("sha256:0123456789abcdef".into()),
        };
        let text = serde_json::to_string(&reason).unwrap();
        assert_eq!(serde_json::from_str::<DirtyReason>(&text).unwrap(), reason);
        assert_eq!(reason.to_string(), "its base debian:bookworm changed (unknown → 0123456789ab)");
    }
}
