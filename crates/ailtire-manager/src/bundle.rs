//! What the stack image holds: the stack's design and the images that it pins.

use std::fmt;
use std::path::Path;

use ailtire_compose::{
    BUNDLE_DESIGN, BUNDLE_FILE, BUNDLE_FORMAT, BUNDLE_IMAGES, Bundle, BundledImages, Read,
    StackContext, read_text,
};
use ailtire_tree::{StatIndex, Tree};
use ring::digest::{Context, SHA256};
use serde::de::DeserializeOwned;

/// The content of a stack image.
pub(crate) struct Content {
    pub(crate) bundle: Bundle,
    pub(crate) images: BundledImages,
    /// Text of the design.
    pub(crate) design: String,
    /// Tells this content from that of another stack image.
    pub(crate) digest: String,
    tree: Tree,
}

/// Why there is no stack to manage.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub(crate) struct ContentError {
    what: String,
    why: String,
}

impl Content {
    /// Reads what is in `directory`.
    pub(crate) fn load(directory: &Path) -> Result<Self, ContentError> {
        let fail = |name: &str, why: &dyn fmt::Display| ContentError {
            what: format!("the stack can't be read from {}", directory.join(name).display()),
            why: why.to_string(),
        };
        let tree = Tree::open(directory, StatIndex::default());
        let tree = tree.map_err(|error| fail("", &error))?;
        let read = |name: &str| {
            std::fs::read_to_string(directory.join(name)).map_err(|error| fail(name, &error))
        };
        let (bundle_text, design) = (read(BUNDLE_FILE)?, read(BUNDLE_DESIGN)?);
        // A stack that runs no image of the application pins none.
        let images_text = read(BUNDLE_IMAGES).unwrap_or_else(|_| "{}".to_owned());
        let bundle: Bundle = parse(&bundle_text).map_err(|error| fail(BUNDLE_FILE, &error))?;
        if bundle.format > BUNDLE_FORMAT {
            let why = format!(
                "its format is {}, and this manager knows formats up to {BUNDLE_FORMAT}; build the \
                 stack image with the program that this manager came with",
                bundle.format
            );
            return Err(fail(BUNDLE_FILE, &why));
        }
        let images = parse(&images_text).map_err(|error| fail(BUNDLE_IMAGES, &error))?;
        let digest = digest([&bundle_text, &design, &images_text]);
        Ok(Self { bundle, images, design, digest, tree })
    }

    /// Reads a design: the stack image's own one, or another text in its place.
    pub(crate) fn read(&self, text: &str, context: &StackContext) -> Read {
        read_text(&self.tree, BUNDLE_DESIGN, text, context)
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

/// A digest of texts, in hexadecimal; short enough for a label and long enough to tell them apart.
pub(crate) fn digest<'text>(texts: impl IntoIterator<Item = &'text String>) -> String {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_le_bytes());
        context.update(text.as_bytes());
    }
    let digest = context.finish();
    let bytes = digest.as_ref().iter().take(16);
    bytes.fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "a test's own files")]
    fn write(directory: &Path, name: &str, text: &str) {
        std::fs::write(directory.join(name), text).unwrap();
    }

    fn directory(format: u32) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let bundle = Bundle {
            format,
            name: "shop".to_owned(),
            package: "Shop".to_owned(),
            application: "shop".to_owned(),
            environment: "dev".to_owned(),
            version: None,
        };
        write(directory.path(), BUNDLE_FILE, &serde_json::to_string(&bundle).unwrap());
        write(directory.path(), BUNDLE_DESIGN, "services: {web: {image: web}}\n");
        directory
    }

    #[test]
    fn the_digest_tells_contents_apart() {
        let directory = directory(BUNDLE_FORMAT);
        let one = Content::load(directory.path()).unwrap();
        assert!(one.images.is_empty());
        let design = one.read(&one.design, &StackContext::default()).design.unwrap();
        assert_eq!(design.services["web"].image, "web");
        assert_eq!(Content::load(directory.path()).unwrap().digest, one.digest);
        write(directory.path(), BUNDLE_DESIGN, "services: {web: {image: other}}\n");
        assert_ne!(Content::load(directory.path()).unwrap().digest, one.digest);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let newer = directory(BUNDLE_FORMAT + 1);
        let error = Content::load(newer.path()).err().unwrap().to_string();
        assert!(error.contains("stack.json: its format is"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error = Content::load(empty.path()).err().unwrap().to_string();
        assert!(error.contains("stack.json: No such file"), "{error}");
    }
}
