//! `why`: what makes an image dirty, from the file or variable down to the image.

use std::collections::HashSet;
use std::fmt::Write as _;

use ailtire::swarm::status::ServiceStatus;
use ailtire::{Action, Application, Engine, ImageStore, Plan, PlanOptions, Records};
use ailtire_events::DirtyReason;
use clap::Args;
use serde::Serialize;

use super::reasons::{WordedReason, lines_with_digests, status_of, worded};
use super::why_service::ServiceAnswer;
use super::{DATA_VERSION, DataFormat};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::style::{STRONG, styled};
use crate::printer::{Printer, Verbosity, words};
use crate::{exit, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build why web:latest            by tag
  ailtire-build why mservice1             an image by name, or a service that runs
  ailtire-build why --service web         from what its tasks run back to the file that changed
  ailtire-build why web --format json     for programs";

/// Show why an image has to be built, or why a service runs what it runs
///
/// Root causes first, then what follows from them. For a service: since which deployment, what was
/// changed then, and how its image came about.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WhyArguments {
    /// The image (its name or tag), or a service that runs
    #[arg(value_name = "NAME")]
    subject: String,

    /// Take NAME for a service, also where an image has it
    #[arg(long)]
    service: bool,

    #[command(flatten)]
    release: ReleaseArguments,

    /// Platforms that `build` would be told
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<String>,

    /// Form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: DataFormat,
}

/// Writes the chain of reasons.
///
/// # Errors
///
/// A [`Failure`] where the application can't be planned, or there is no such image.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: WhyArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let application = opening::with_stacks(global, &arguments.release, printer)?;
    let image = match opening::select_one(&application, &arguments.subject) {
        Ok(image) if !arguments.service => image,
        // What is no image may be a service that runs.
        selected => match running_service(global, &application, &arguments).await {
            Ok(service) => {
                return why_service(global, &application, &arguments, service, printer).await;
            }
            Err(error) if arguments.service => return Err(error),
            Err(_) => selected?,
        },
    };
    let (plan, records, engine) = plan(global, &application, &arguments, image, printer).await?;
    let answer = Answer::of(&plan, image, &records);
    match arguments.format {
        DataFormat::Text => printer.data(&answer.text(words::now()))?,
        DataFormat::Json => {
            let engine = engine.as_deref();
            printer.pretty_json(&Document { version: DATA_VERSION, engine, answer })?;
        }
    }
    Ok(exit::DONE)
}

/// Plans one image; the endpoint is that of an engine that answered.
async fn plan(
    global: &GlobalArguments,
    application: &Application,
    arguments: &WhyArguments,
    image: usize,
    printer: &Printer,
) -> Result<(Plan, Records, Option<String>), Failure> {
    let (endpoint, store) = engine(global, printer).await?;
    let options = PlanOptions {
        images: vec![image],
        platforms: arguments.platform.clone(),
        ..PlanOptions::default()
    };
    let (plan, records) = opening::plan(application, &options, &endpoint, store.as_ref(), printer)?;
    Ok((plan, records, store.is_some().then_some(endpoint)))
}

/// The service that runs and has the name that was asked for.
async fn running_service(
    global: &GlobalArguments,
    application: &Application,
    arguments: &WhyArguments,
) -> Result<ServiceStatus, Failure> {
    let engine = Engine::connect(&global.endpoint()).await?;
    ailtire::require_swarm(&engine, false).await?;
    super::logs::find(application, &engine, &arguments.subject).await
}

async fn why_service(
    global: &GlobalArguments,
    application: &Application,
    arguments: &WhyArguments,
    service: ServiceStatus,
    printer: &Printer,
) -> Result<u8, Failure> {
    let engine = Engine::connect(&global.endpoint()).await?;
    let service = ServiceAnswer::find(application, &engine, service).await?;
    let image = application.definitions().images_named(&service.image).next();
    let planned = match image {
        Some((image, _)) => {
            let planned = plan(global, application, arguments, image, printer).await?;
            Some((planned, image))
        }
        None => None,
    };
    let answer =
        planned.as_ref().map(|((plan, records, _), image)| Answer::of(plan, *image, records));
    match arguments.format {
        DataFormat::Text => {
            let now = words::now();
            let mut text = service.text(now);
            match &answer {
                Some(answer) => text.push_str(&answer.text(now)),
                None => text.push_str("the application does not build this image\n"),
            }
            printer.data(&text)?;
        }
        DataFormat::Json => {
            printer.pretty_json(&ServiceDocument { service, image_now: answer })?;
        }
    }
    Ok(exit::DONE)
}

#[derive(Debug, Serialize)]
struct ServiceDocument<'plan> {
    #[serde(flatten)]
    service: ServiceAnswer,
    /// How its image is in the sources and in the engine now.
    image_now: Option<Answer<'plan>>,
}

/// The endpoint, and the images of the engine there if it answers.
async fn engine(
    global: &GlobalArguments,
    printer: &Printer,
) -> Result<(String, Option<ImageStore>), Failure> {
    let options = global.endpoint();
    let endpoint = options.describe()?;
    let images = match Engine::connect(&options).await {
        Ok(engine) => engine.images().await,
        Err(error) => Err(error),
    };
    match images {
        Ok(store) => Ok((endpoint, Some(store))),
        Err(error) => {
            if printer.verbosity() > Verbosity::Quiet {
                let note = styled(STRONG, "note");
                let error = error.to_string();
                let error = words::printable(&error);
                printer.status(&format!("{note}: the engine was not asked: {error}\n"));
            }
            Ok((endpoint, None))
        }
    }
}

#[derive(Debug, Serialize)]
struct Document<'plan> {
    version: u32,
    /// The engine that was asked for its images.
    engine: Option<&'plan str>,
    #[serde(flatten)]
    answer: Answer<'plan>,
}

/// Why an image is what it is.
#[derive(Debug, Serialize)]
struct Answer<'plan> {
    image: &'plan str,
    status: &'static str,
    /// The images that are dirty, each after those that it needs; the asked one is the last.
    chain: Vec<Link<'plan>>,
    last_build: Option<LastBuild>,
}

/// A dirty image.
#[derive(Debug, Serialize)]
struct Link<'plan> {
    image: &'plan str,
    /// How many images the longest way from a root cause to this one has.
    depth: usize,
    status: &'static str,
    reasons: Vec<WordedReason<'plan>>,
    #[serde(skip)]
    plain: &'plan [DirtyReason],
}

#[derive(Debug, Serialize)]
struct LastBuild {
    /// Milliseconds since the Unix epoch.
    at: u64,
    image_id: String,
    fingerprint: String,
    reasons: Vec<DirtyReason>,
}

impl<'plan> Answer<'plan> {
    /// About the image with the index `image` in the definitions.
    fn of(plan: &'plan Plan, image: usize, records: &Records) -> Self {
        let asked = plan.images.iter().position(|planned| planned.definition == image);
        Self::find(plan, asked.unwrap_or(0), records)
    }

    fn find(plan: &'plan Plan, asked: usize, records: &Records) -> Self {
        let planned = &plan.images[asked];
        let mut wanted = HashSet::from([asked]);
        let mut chain = Vec::new();
        // Backwards through the plan each image comes after all that need it.
        for position in (0..=asked).rev().filter(|_| planned.action != Action::Fresh) {
            if wanted.contains(&position) {
                wanted.extend(causes(plan, position));
            }
        }
        let mut depths = vec![0; plan.images.len()];
        for position in (0..=asked).filter(|position| wanted.contains(position)) {
            let image = &plan.images[position];
            let below = causes(plan, position).map(|base| depths[base] + 1).max();
            depths[position] = below.unwrap_or(0);
            if image.action != Action::Fresh {
                chain.push(Link {
                    image: &image.reference,
                    depth: depths[position],
                    status: status_of(&image.action),
                    reasons: worded(image.action.reasons()),
                    plain: image.action.reasons(),
                });
            }
        }
        let last_build = planned.record.as_ref().map(|record| LastBuild {
            at: record.built_at,
            image_id: record.image_id.clone(),
            fingerprint: record.fingerprint.to_string(),
            reasons: records.explanation(record.name()).map_or_else(Vec::new, |(_, why)| why),
        });
        Self { image: &planned.reference, status: status_of(&planned.action), chain, last_build }
    }

    fn text(&self, now: u64) -> String {
        let mut text = String::new();
        for link in &self.chain {
            let indent = "  ".repeat(link.depth);
            let name = styled(STRONG, link.image);
            let what = if link.status == "tag" { "tagged" } else { "built" };
            let _ = writeln!(text, "{indent}{name} has to be {what}");
            text.push_str(&lines_with_digests(link.plain, &format!("{indent}  ")));
        }
        if !self.chain.is_empty() {
            return text;
        }
        let _ = writeln!(text, "{} is fresh", styled(STRONG, self.image));
        if let Some(last) = &self.last_build {
            let ago = words::ago(now.saturating_sub(last.at));
            let _ = writeln!(text, "  it was built {ago}");
            text.push_str(&lines_with_digests(&last.reasons, "  "));
        }
        text
    }
}

/// Positions of the bases that make the image at `position` dirty and are dirty themselves.
fn causes(plan: &Plan, position: usize) -> impl Iterator<Item = usize> + '_ {
    let image = &plan.images[position];
    let blamed = image.action.reasons().iter().filter_map(|reason| match reason {
        DirtyReason::BaseDirty { reference } | DirtyReason::BaseChanged { reference, .. } => {
            Some(reference)
        }
        _ => None,
    });
    let bases = blamed.filter_map(|reference| {
        let base = image.bases.iter().find(|base| base.reference == *reference)?;
        base.image
    });
    bases.filter(|&base| plan.images[base].action != Action::Fresh)
}
