//! Versions ([Semantic Versioning](https://semver.org)).

use semver::{BuildMetadata, Prerelease, Version};

use crate::Error;

/// The next version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bump {
    /// `1.2.3` → `2.0.0`.
    Major,
    /// `1.2.3` → `1.3.0`.
    Minor,
    /// `1.2.3` → `1.2.4`; `1.2.3-rc.1` → `1.2.3`.
    Patch,
    /// This one.
    To(String),
}

impl Bump {
    /// The version after `old`.
    ///
    /// # Errors
    ///
    /// [`Error::Repository`] where one of them is no version, or the new one is not the later one.
    pub(super) fn after(&self, old: &str) -> Result<String, Error> {
        let old = parse(old)?;
        let mut new =
            Version { pre: Prerelease::EMPTY, build: BuildMetadata::EMPTY, ..old.clone() };
        match self {
            Self::Major => (new.major, new.minor, new.patch) = (old.major + 1, 0, 0),
            Self::Minor => (new.minor, new.patch) = (old.minor + 1, 0),
            Self::Patch if old.pre.is_empty() => new.patch += 1,
            Self::Patch => {}
            Self::To(version) => new = parse(version)?,
        }
        if !new.build.is_empty() {
            return Err(unusable(
                format!("`{new}` can't be the tag of an image"),
                "leave out what follows the `+`",
            ));
        }
        if new <= old {
            let message = format!("`{new}` is not later than `{old}`, the version in package.json");
            return Err(unusable(message, "choose a later one with `--to`"));
        }
        Ok(new.to_string())
    }
}

fn parse(version: &str) -> Result<Version, Error> {
    Version::parse(version).map_err(|error| {
        let message = format!("`{version}` is no version: {error}");
        unusable(message, "write three numbers, like `1.4.0`")
    })
}

fn unusable(message: String, help: &str) -> Error {
    Error::Repository { message, help: help.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_raised() {
        for (bump, old, new) in [
            (Bump::Major, "1.2.3", "2.0.0"),
            (Bump::Minor, "1.2.3", "1.3.0"),
            (Bump::Patch, "1.2.3", "1.2.4"),
            (Bump::Patch, "1.2.3-rc.1", "1.2.3"),
            (Bump::To("2.0.0-rc.1".into()), "1.2.3", "2.0.0-rc.1"),
        ] {
            assert_eq!(bump.after(old).unwrap(), new);
        }
        for (bump, old) in [
            (Bump::To("1.2.3".into()), "1.2.3"),
            (Bump::To("1.2".into()), "1.1.0"),
            (Bump::To("1.3.0+x".into()), "1.2.3"),
            (Bump::Patch, "latest"),
        ] {
            assert!(bump.after(old).is_err());
        }
    }
}
