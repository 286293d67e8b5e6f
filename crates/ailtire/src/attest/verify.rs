//! Checks an image in a registry against what is said of it, and against the source tree.

use ailtire_attest::{Envelope, PROVENANCE, Provenance, PublicKey, SPDX, Statement};
use ailtire_docker::Engine;
use ailtire_events::DirtyReason;
use ailtire_fingerprint::compare;
use ailtire_registry::{Client, ClientOptions, Descriptor, RegistryError};
use serde::Serialize;

use super::inputs::{Inputs, context_of, parameters, recorded};
use super::{ENVELOPE, IN_TOTO, PREDICATE_TYPE};
use crate::registries::{self, Place};
use crate::settings::settings_of;
use crate::{Application, Error};

/// The longest attestation that is read.
const LONGEST: u64 = 24 * 1024 * 1024;
/// How many are looked at.
const MOST: usize = 32;

/// Something that is said of an image.
#[derive(Debug, Clone, Serialize)]
pub struct Attestation {
    /// What kind of thing is said.
    pub predicate_type: String,
    /// Digest of the artifact.
    pub digest: String,
    /// Ids of the known keys that signed it.
    pub keys: Vec<String>,
    /// Why it does not count, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What checking an image came to.
#[derive(Debug, Default, Serialize)]
pub struct Verification {
    /// The reference that was checked.
    pub reference: String,
    /// Digest of the image.
    pub digest: String,
    /// What is attached to it.
    pub attestations: Vec<Attestation>,
    /// What does not hold, in words.
    pub problems: Vec<String>,
    /// How the present source tree differs from what the image was made from.
    #[serde(skip)]
    pub differences: Vec<DirtyReason>,
}

impl Verification {
    /// Whether all holds.
    pub fn holds(&self) -> bool {
        self.problems.is_empty() && self.differences.is_empty()
    }
}

impl Application {
    /// Checks what a registry has for `reference`, which is to be the image with this index in the
    /// definitions. With `keys`, only what one of them signed counts. Credentials are those that
    /// `engine` is shown; without an engine, none.
    ///
    /// # Errors
    ///
    /// [`Error`] where the registry, or the source tree, can't be read.
    pub async fn verify(
        &self,
        image: usize,
        reference: &str,
        keys: &[PublicKey],
        engine: Option<&Engine>,
    ) -> Result<Verification, Error> {
        let mut found = Verification { reference: reference.to_owned(), ..Default::default() };
        let Some(Place { registry, repository, tag }) = Place::of(reference) else {
            found.problems.push(format!("`{reference}` is no reference"));
            return Ok(found);
        };
        let client = match engine {
            Some(engine) => {
                let setup = engine.registry_setup().await?;
                registries::client([reference.to_owned()].iter(), engine, &setup, None).await
            }
            None => Client::new(ClientOptions::default(), std::collections::HashMap::new()),
        };
        let manifest = client.manifest(&registry, &repository, &tag).await.map_err(Error::Cache)?;
        let Some(manifest) = manifest else {
            found.problems.push(format!("the registry has no `{reference}`"));
            return Ok(found);
        };
        found.digest = manifest.digest;
        let listed = client.referrers(&registry, &repository, &found.digest, IN_TOTO).await;
        let mut provenance = Vec::new();
        for listed in listed.map_err(Error::Cache)?.iter().rev().filter(|it| speaks(it)).take(MOST)
        {
            let place = (&*registry, &*repository);
            let read = read(&client, place, &found.digest, listed, keys).await;
            let predicate_type =
                listed.annotations.get(PREDICATE_TYPE).cloned().unwrap_or_default();
            let mut attestation = Attestation {
                predicate_type,
                digest: listed.digest.clone(),
                keys: Vec::new(),
                refused: None,
            };
            match read.map_err(Error::Cache)? {
                Err(why) => attestation.refused = Some(why),
                Ok((statement, keys)) => {
                    attestation.keys = keys;
                    if statement.predicate_type == PROVENANCE {
                        provenance.extend(Provenance::read(&statement.predicate));
                    }
                }
            }
            found.attestations.push(attestation);
        }
        found.judge_attestations();
        self.compare_with(image, &provenance, &mut found)?;
        Ok(found)
    }

    /// Compares the present source tree with the provenance that it fits best.
    fn compare_with(
        &self,
        image: usize,
        provenance: &[Provenance],
        found: &mut Verification,
    ) -> Result<(), Error> {
        let context = context_of(self, image).map_err(Error::Definitions)?;
        let inputs = Inputs::read(&context, self.root()).map_err(|source| Error::Io {
            action: "read",
            path: self.root().to_owned(),
            source,
        })?;
        let settings = settings_of(&self.definitions, &self.definitions.images[image], &[]);
        let parameters = parameters(self, image, &context, &settings);
        let names = ["application", "package", "image"];
        let same =
            |it: &&Provenance| names.iter().all(|name| it.parameters[*name] == parameters[*name]);
        let now = Provenance {
            parameters: parameters.clone(),
            fingerprint: String::new(),
            bases: Vec::new(),
            entries: inputs.entries,
            dockerfile: inputs.dockerfile,
            version: String::new(),
        };
        let Some(now) = recorded(&now) else { return Ok(()) };
        let differences = provenance.iter().filter(same).filter_map(recorded).map(|mut then| {
            if then.platforms != now.platforms && now.platforms.is_empty() {
                // Definitions leave it to the engine.
                then.platforms.clear();
            }
            without_lines(compare(&then, &now))
        });
        match differences.min_by_key(Vec::len) {
            Some(differences) => found.differences = differences,
            None if provenance.is_empty() => found.problems.push(
                "nothing that counts says what it was made from: there is no provenance".to_owned(),
            ),
            None => found.problems.push("its provenance is that of another image".to_owned()),
        }
        Ok(())
    }
}

/// The lines of the Dockerfile are not among what provenance says.
fn without_lines(mut reasons: Vec<DirtyReason>) -> Vec<DirtyReason> {
    for reason in &mut reasons {
        if let DirtyReason::Dockerfile { line, .. } = reason {
            *line = None;
        }
    }
    reasons
}

/// Whether it is one of those that this program makes.
fn speaks(listed: &Descriptor) -> bool {
    let kind = listed.annotations.get(PREDICATE_TYPE).map(String::as_str);
    matches!(kind, Some(PROVENANCE | SPDX))
}

impl Verification {
    /// Of each kind of statement that is attached, one has to count.
    fn judge_attestations(&mut self) {
        for kind in [PROVENANCE, SPDX] {
            let mut of_kind = self.attestations.iter().filter(|it| it.predicate_type == kind);
            let Some(first) = of_kind.clone().find_map(|it| it.refused.clone()) else { continue };
            if of_kind.all(|it| it.refused.is_some()) {
                self.problems.push(format!("`{kind}` is attached but does not count: {first}"));
            }
        }
    }
}

/// One attestation and the keys that signed it, or why it does not count.
async fn read(
    client: &Client,
    (registry, repository): (&str, &str),
    subject: &str,
    listed: &Descriptor,
    keys: &[PublicKey],
) -> Result<Result<(Statement, Vec<String>), String>, RegistryError> {
    let (kind, content) =
        match client.attached(registry, repository, subject, listed, LONGEST).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Err("the registry does not have it any more".to_owned())),
            Err(error @ RegistryError::Denied { .. }) => return Err(error),
            Err(error) if error.is_registrys() => return Err(error),
            Err(error) => return Ok(Err(error.to_string())),
        };
    Ok(judge(&kind, &content, subject, listed, keys))
}

fn judge(
    kind: &str,
    content: &[u8],
    subject: &str,
    listed: &Descriptor,
    keys: &[PublicKey],
) -> Result<(Statement, Vec<String>), String> {
    let (payload, signed) = if kind == ENVELOPE {
        let envelope = Envelope::read(content).map_err(|refusal| refusal.to_string())?;
        if keys.is_empty() {
            (envelope.unverified_payload().map_err(|refusal| refusal.to_string())?, Vec::new())
        } else {
            let verified = envelope.verify(keys).map_err(|refusal| refusal.to_string())?;
            (verified.payload, verified.keys)
        }
    } else if keys.is_empty() {
        (content.to_vec(), Vec::new())
    } else {
        return Err("it is not signed".to_owned());
    };
    let statement = Statement::read(&payload).ok_or("it is no in-toto statement")?;
    if !statement.is_about(subject) {
        return Err("it speaks of another image".to_owned());
    }
    if listed.annotations.get(PREDICATE_TYPE) != Some(&statement.predicate_type) {
        return Err("it says something else than it is listed as".to_owned());
    }
    Ok((statement, signed))
}
