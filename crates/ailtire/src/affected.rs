//! What a change touches: the plan against another state of the source tree.
//!
//! The old tree is planned as if everything in it had been built; planning the new one with these
//! records says which images are not what they were, and why, in the words of every other plan.

use ailtire_events::{Diagnostic, EventSink};
use ailtire_fingerprint::{FORMAT, ImageInputs, Record, RecordedBase, Records};

use crate::plan::{Action, Plan, PlanOptions};
use crate::revision::RevisionTree;
use crate::{Access, Application, Error, OpenOptions};

/// What has changed since a revision.
#[derive(Debug)]
pub struct Affected {
    /// The commit that was compared with, as git names it in full.
    pub commit: String,
    /// The plan of the selected images and what they need: not fresh are those that are affected.
    pub plan: Plan,
    /// References of images that are not defined any more.
    pub removed: Vec<String>,
    /// What is odd about the old tree.
    pub diagnostics: Vec<Diagnostic>,
}

impl Affected {
    /// Indices of the definitions' images that are affected, in the order of the plan.
    pub fn images(&self) -> impl Iterator<Item = usize> + '_ {
        let images = self.plan.images.iter();
        images.filter(|image| image.action != Action::Fresh).map(|image| image.definition)
    }
}

impl Application {
    /// Which of the images of `options` a change since `revision` touches: those whose inputs, or
    /// whose bases' inputs, differ between the tree at that revision and the one that is there now.
    ///
    /// Both are read alike: `open` is what this application was opened with. Files that git does not
    /// know are part of the tree of now only.
    ///
    /// # Errors
    ///
    /// [`Error`] where the revision can't be had, or this application can't be planned. An old tree
    /// that can't be planned is none: what is wrong with it counts as changed.
    pub fn affected_since(
        &self,
        revision: &str,
        options: &PlanOptions,
        open: &OpenOptions,
        sink: &dyn EventSink,
    ) -> Result<Affected, Error> {
        let tree = RevisionTree::extract(self.root(), &open.allow_outside, revision)?;
        let records = Records::open(tree.state()).map_err(|source| Error::Io {
            action: "read",
            path: tree.state(),
            source,
        })?;
        let mut diagnostics = Vec::new();
        let mut removed = Vec::new();
        match self.at(&tree, open, sink) {
            Ok(old) => {
                old.record_all(&records, options).map_err(|source| Error::Io {
                    action: "write",
                    path: tree.state(),
                    source,
                })?;
                let is_defined = |reference: &str| {
                    let mut images = self.definitions.images.iter();
                    images.any(|image| image.reference() == reference)
                };
                let old =
                    old.definitions.images.iter().map(ailtire_manifest::ImageDefinition::reference);
                removed.extend(old.filter(|old| !is_defined(old)).map(str::to_owned));
            }
            Err(why) => diagnostics.push(unreadable(revision, &why)),
        }
        let plan = self.plan(options, &records, None).map_err(Error::Definitions)?;
        Ok(Affected { commit: tree.commit.clone(), plan, removed, diagnostics })
    }

    /// This application as it was in `tree`.
    fn at(
        &self,
        tree: &RevisionTree,
        open: &OpenOptions,
        sink: &dyn EventSink,
    ) -> Result<Self, Error> {
        let mut outside = open.allow_outside.clone();
        for path in &mut outside {
            *path = tree.path(path);
        }
        // One that was not there then can't be needed by anything that was.
        outside.retain(|path| path.is_dir());
        let options = OpenOptions {
            directory: tree.path(self.root()),
            exact: true,
            allow_outside: outside,
            access: Access::Read,
            ..open.clone()
        };
        let old = Self::open(&options, sink)?;
        old.require_sound()?;
        Ok(old)
    }

    /// Records all images as built from what is there. One that can't be planned is left out.
    fn record_all(&self, records: &Records, options: &PlanOptions) -> std::io::Result<()> {
        let images: Vec<usize> = (0..self.definitions.images.len()).collect();
        let all = |images: Vec<usize>| PlanOptions {
            images,
            forced: Vec::new(),
            platforms: options.platforms.clone(),
        };
        if let Ok(plan) = self.plan(&all(images.clone()), records, None) {
            return record(&plan, records);
        }
        for image in images {
            if let Ok(plan) = self.plan(&all(vec![image]), records, None) {
                record(&plan, records)?;
            }
        }
        Ok(())
    }
}

/// Records every image of `plan`; its fingerprint stands for the id that it would have.
fn record(plan: &Plan, records: &Records) -> std::io::Result<()> {
    for image in &plan.images {
        // What another image of the old tree needed is recorded already.
        let Some(context) = &image.context else { continue };
        let bases = image.bases.iter().map(|base| RecordedBase {
            reference: base.reference.clone(),
            image_id: base.image.map(|position| plan.images[position].fingerprint.to_string()),
        });
        let record = Record {
            format: FORMAT,
            references: image.settings.references.clone(),
            key: image.key,
            fingerprint: image.fingerprint,
            bases: bases.collect(),
            image_id: image.fingerprint.to_string(),
            built_at: 0,
        };
        let inputs = ImageInputs { context, settings: &image.settings }.record();
        records.put(record, inputs, Vec::new())?;
    }
    Ok(())
}

fn unreadable(revision: &str, why: &Error) -> Diagnostic {
    let message =
        format!("the application at `{revision}` can't be read: all images count as changed");
    let diagnostic = Diagnostic::warning("unreadable-revision", message);
    match why {
        Error::Definitions(findings) => {
            let errors = findings.iter().filter(|finding| finding.is_error());
            errors.fold(diagnostic, |it, error| it.detail(error.message.clone()))
        }
        other => diagnostic.detail(other.to_string()),
    }
}
