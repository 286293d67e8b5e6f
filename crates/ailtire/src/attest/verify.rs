//! Checks an image in a registry against what is said of it, and against the source tree.

use std::collections::BTreeSet;

use ailtire_attest::{Envelope, Material, PROVENANCE, Provenance, PublicKey, SPDX, Statement};
use ailtire_docker::Engine;
use ailtire_events::DirtyReason;
use ailtire_fingerprint::compare;
use ailtire_registry::{Client, ClientOptions, Descriptor, RegistryError};
use serde::Serialize;

use super::inputs::{Inputs, context_of, parameters, recorded};
use super::{ENVELOPE, IN_TOTO, PREDICATE_TYPE};
use crate::cache::statement;
use crate::platforms::{Index, Platform};
use crate::registries::{self, Place};
use crate::settings::settings_of;
use crate::{Application, Error};

/// The longest configuration of an image that is read.
const CONFIGURATION: u64 = 4 * 1024 * 1024;
/// The longest attestation that is read.
const LONGEST: u64 = 24 * 1024 * 1024;
/// How many are looked at.
const MOST: usize = 32;

/// Which image is checked, and what it has to be.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Index of the image in the definitions.
    pub image: usize,
    /// The reference under which a registry has it.
    pub reference: String,
    /// With any of these, only what one of them signed counts.
    pub keys: Vec<PublicKey>,
    /// Which one of an image for several platforms; what one for a single platform has to be for.
    pub platform: Option<String>,
}

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
    /// Checks what a registry has. Credentials are those that `engine` is shown; without an engine,
    /// none.
    ///
    /// # Errors
    ///
    /// [`Error`] where the registry, or the source tree, can't be read.
    pub async fn verify(
        &self,
        options: &VerifyOptions,
        engine: Option<&Engine>,
    ) -> Result<Verification, Error> {
        let reference = &*options.reference;
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
        let place = (&*registry, &*repository);
        let chosen = chosen(&client, place, &tag, options.platform.as_deref()).await;
        let platforms = match chosen.map_err(Error::Cache)? {
            Ok(Chosen { digest, platforms }) => {
                found.digest = digest;
                platforms
            }
            Err(problem) => {
                found.problems.push(format!("`{reference}` {problem}"));
                return Ok(found);
            }
        };
        let listed = client.referrers(&registry, &repository, &found.digest, IN_TOTO).await;
        let mut provenance = Vec::new();
        for listed in listed.map_err(Error::Cache)?.iter().rev().filter(|it| speaks(it)).take(MOST)
        {
            let read = read(&client, place, &found.digest, listed, &options.keys).await;
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
        self.compare_with(options, &provenance, &mut found)?;
        if provenance.is_empty() && !platforms.is_empty() {
            let platforms = platforms.join("`, `");
            found
                .problems
                .push(format!("it is for `{platforms}`: `--platform` checks one of them"));
        }
        Ok(found)
    }

    /// Compares the present source tree with the provenance that it fits best.
    fn compare_with(
        &self,
        options: &VerifyOptions,
        provenance: &[Provenance],
        found: &mut Verification,
    ) -> Result<(), Error> {
        let image = options.image;
        let context = context_of(self, image).map_err(Error::Definitions)?;
        let inputs = Inputs::read(&context, self.root()).map_err(|source| Error::Io {
            action: "read",
            path: self.root().to_owned(),
            source,
        })?;
        let platforms: Vec<_> = options.platform.clone().into_iter().collect();
        let settings = settings_of(&self.definitions, &self.definitions.images[image], &platforms);
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
        let on: BTreeSet<&str> =
            context.dockerfile.bases.iter().map(|base| &*base.reference).collect();
        let compared = provenance.iter().filter(same).filter_map(|provenance| {
            let mut then = recorded(provenance)?;
            if now.platforms.is_empty() || then.platforms.is_empty() && !platforms.is_empty() {
                // Definitions leave it to the engine. What it is for was looked at.
                then.platforms.clone_from(&now.platforms);
            }
            Some((without_lines(compare(&then, &now)), other_bases(&provenance.bases, &on)))
        });
        match compared.min_by_key(|(differences, bases)| differences.len() + bases.len()) {
            Some((differences, bases)) => {
                found.differences = differences;
                found.problems.extend(bases);
            }
            None if provenance.is_empty() => found.problems.push(
                "nothing that counts says what it was made from: there is no provenance".to_owned(),
            ),
            None => found.problems.push("its provenance is that of another image".to_owned()),
        }
        Ok(())
    }
}

/// The manifest to check.
struct Chosen {
    digest: String,
    /// What it is for, where that is more than one image.
    platforms: Vec<String>,
}

/// The manifest that `tag` means, or what is wrong with it, in words.
async fn chosen(
    client: &Client,
    (registry, repository): (&str, &str),
    tag: &str,
    platform: Option<&str>,
) -> Result<Result<Chosen, String>, RegistryError> {
    let Some(manifest) = client.manifest(registry, repository, tag).await? else {
        return Ok(Err("is not in the registry".to_owned()));
    };
    let one = |digest: String| Chosen { digest, platforms: Vec::new() };
    let index = Index::read(&manifest);
    let platforms = index.as_ref().map(Index::platforms).unwrap_or_default();
    let Some(platform) = platform else {
        return Ok(Ok(Chosen { platforms, ..one(manifest.digest) }));
    };
    if let Some(index) = index {
        let digest = index.digest_for(platform).map(str::to_owned);
        let other = || format!("is not for `{platform}`, but for `{}`", platforms.join("`, `"));
        return Ok(digest.map(one).ok_or_else(other));
    }
    let configuration = match statement::image_id(&manifest) {
        Some(id) => client.blob(registry, repository, &id, CONFIGURATION).await?,
        None => None,
    };
    let own = configuration.and_then(|text| serde_json::from_slice::<Platform>(&text).ok());
    Ok(match own {
        Some(own) if own.is(platform) => Ok(one(manifest.digest)),
        Some(own) => Err(format!("is not for `{platform}`, but for `{own}`")),
        None => Err("does not say what platform it is for".to_owned()),
    })
}

/// How the images that one was built on differ from those that its Dockerfile names now, in words.
fn other_bases(then: &[Material], now: &BTreeSet<&str>) -> Vec<String> {
    let then: BTreeSet<&str> = then.iter().map(|base| &*base.reference).collect();
    let gone = then
        .difference(now)
        .map(|base| format!("it was built on `{base}`, which the Dockerfile does not name now"));
    let new = now
        .difference(&then)
        .map(|base| format!("the Dockerfile names `{base}` now, which it was not built on"));
    gone.chain(new).collect()
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
