//! `verify`: an image in a registry against what is said of it, and against the source tree.

use std::fmt::Write as _;
use std::path::PathBuf;

use ailtire::{Application, Engine, Verification, VerifyOptions};
use clap::Args;
use serde::Serialize;

use super::reasons::{WordedReason, worded};
use super::{DATA_VERSION, DataFormat};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::Printer;
use crate::printer::words::printable;
use crate::{exit, keys, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build verify registry.example/team/shop-web:1.4.0 --key team.key.pub
  ailtire-build verify web --repo registry.example/team --format json

What `build --attest provenance` attached is compared with the present source tree: check out the
commit, and give the options that the image was built with.";

/// Check an image in a registry against what is attached to it, and against the source tree
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArguments {
    /// The image: a reference, or its name here
    image: String,

    /// What is attached counts only if this public key signed it (repeatable)
    #[arg(long, value_name = "PUBKEY")]
    key: Vec<PathBuf>,

    /// Which one of an image for several platforms (`linux/arm64`)
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,

    #[command(flatten)]
    release: ReleaseArguments,

    /// Form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: DataFormat,
}

#[derive(Serialize)]
struct Document<'found> {
    version: u32,
    holds: bool,
    #[serde(flatten)]
    found: &'found Verification,
    differences: Vec<WordedReason<'found>>,
}

/// Checks.
///
/// # Errors
///
/// A [`Failure`] where there is no such image, or the registry can't be asked.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: &VerifyArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let keys: Result<Vec<_>, _> = arguments.key.iter().map(|file| keys::public(file)).collect();
    let keys = keys?;
    let application = opening::open(global, &arguments.release, printer)?;
    let (image, reference) = chosen(&application, &arguments.image)?;
    // Only for its credentials, and for registries that it may reach without TLS.
    let engine = Engine::connect(&global.endpoint()).await.ok();
    let options = VerifyOptions { image, reference, keys, platform: arguments.platform.clone() };
    let found = application.verify(&options, engine.as_ref()).await?;
    if arguments.format == DataFormat::Json {
        printer.pretty_json(&Document {
            version: DATA_VERSION,
            holds: found.holds(),
            found: &found,
            differences: worded(&found.differences),
        })?;
    } else {
        printer.data(&text(&found))?;
    }
    Ok(if found.holds() { exit::DONE } else { exit::FAILED })
}

/// The image that `named` is to be, and the reference to look for.
fn chosen(application: &Application, named: &str) -> Result<(usize, String), Failure> {
    let bare = |reference: &str| {
        let reference = reference.split_once('@').map_or(reference, |(name, _)| name);
        let at = reference.rfind(':').filter(|&at| !reference[at..].contains('/'));
        at.map_or(reference, |at| &reference[..at]).to_owned()
    };
    let images = &application.definitions().images;
    let wanted = bare(named);
    let found = images.iter().position(|it| it.references.iter().any(|it| bare(it) == wanted));
    if let Some(image) = found {
        return Ok((image, named.to_owned()));
    }
    let image = opening::select_one(application, named)?;
    Ok((image, images[image].reference().to_owned()))
}

fn text(found: &Verification) -> String {
    let mut text = format!("{} {}\n", printable(&found.reference), found.digest);
    for it in &found.attestations {
        let state = match (&it.refused, &it.keys[..]) {
            (Some(why), _) => format!("refused: {why}"),
            (None, [key, ..]) => format!("signed by {key}"),
            (None, []) => "not checked by any key".to_owned(),
        };
        let _ = writeln!(text, "  {}: {}", printable(&it.predicate_type), printable(&state));
    }
    for problem in &found.problems {
        let _ = writeln!(text, "  problem: {}", printable(problem));
    }
    for difference in &found.differences {
        let _ = writeln!(text, "  differs: {}", printable(&difference.to_string()));
    }
    text.push_str(if found.holds() { "all holds\n" } else { "does not hold\n" });
    text
}
