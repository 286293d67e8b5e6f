//! Carrying a release out.

use ailtire_docker::Engine;
use ailtire_events::{EventKind, EventSink, ReleaseStep};
use ailtire_terms::reference::split_tag;
use tokio_util::sync::CancellationToken;

use super::{ReleaseOptions, ReleasePlan};
use crate::{Access, Application, BuildOptions, Error, OpenOptions, Outcome, PlanOptions, push};

/// How a release ended.
#[derive(Debug)]
pub struct Released {
    /// What was planned.
    pub plan: ReleasePlan,
    /// What became of the images. Where it has failures, or was cancelled, nothing was released,
    /// and the files are as they were.
    pub outcome: Outcome,
    /// Whether everything was done.
    pub is_complete: bool,
}

/// What a release is carried out with.
pub struct ReleaseRun<'run> {
    /// How the application is opened; its version is that of the release.
    pub open: &'run OpenOptions,
    /// How its images are built.
    pub build: BuildOptions,
    /// The engine that builds and pushes.
    pub engine: &'run Engine,
    /// Takes what happens.
    pub sink: &'run dyn EventSink,
    /// Ends the release.
    pub cancel: &'run CancellationToken,
}

/// Releases the application: raises the version, writes the changelog, builds all images, commits
/// and tags, pushes the images, then commit and tag.
///
/// # Errors
///
/// [`Error::HalfReleased`] where images are public and the rest could not follow. With any other
/// error nothing was released, and the files are as they were.
pub async fn release(options: &ReleaseOptions, run: ReleaseRun<'_>) -> Result<Released, Error> {
    let application = Application::open(run.open, run.sink)?;
    let plan = ReleasePlan::new(application.root(), options)?;
    drop(application);
    run.require_new(&plan, options).await?;
    plan.write()?;
    let files = plan.files().map(|path| path.display().to_string()).collect();
    run.tell(ReleaseStep::Versioned { old: plan.old.clone(), new: plan.new.clone(), files });
    let built = run.build(&plan, options).await;
    let (application, images, outcome) = match built {
        Ok(built) => built,
        Err(error) => {
            plan.restore()?;
            return Err(error);
        }
    };
    let failed = outcome.summary.failed + outcome.summary.skipped > 0;
    if failed || outcome.cancelled || run.cancel.is_cancelled() {
        plan.restore()?;
        return Ok(Released { plan, outcome, is_complete: false });
    }
    if let Err(error) = plan.commit() {
        plan.restore()?;
        return Err(error);
    }
    run.tell(ReleaseStep::Committed { tag: plan.tag.clone() });
    let outcome = if options.push_images {
        run.push(&plan, &application, images, outcome).await?
    } else {
        outcome
    };
    if let Err(error) = plan.push() {
        let message = format!("version {} is not in the remote repository: {error}", plan.new);
        return Err(half(&plan, message, options.push_images));
    }
    if let Some(remote) = plan.remote.clone() {
        run.tell(ReleaseStep::Pushed { remote, tag: plan.tag.clone() });
    }
    Ok(Released { plan, outcome, is_complete: true })
}

impl ReleaseRun<'_> {
    fn tell(&self, step: ReleaseStep) {
        self.sink.emit(EventKind::Release { step });
    }

    /// The application as it is released: all of its images, those of its stacks among them.
    fn open(&self, plan: &ReleasePlan, access: Access) -> Result<Application, Error> {
        let version = Some(plan.new.clone());
        let open = OpenOptions { version, access, deployments: true, ..self.open.clone() };
        Application::open(&open, self.sink)
    }

    /// Refuses a version that a registry has already: others may run it.
    async fn require_new(&self, plan: &ReleasePlan, options: &ReleaseOptions) -> Result<(), Error> {
        if !options.push_images {
            return Ok(());
        }
        let application = self.open(plan, self.open.access)?;
        let images: Vec<usize> = (0..application.definitions().images.len()).collect();
        application.require_registries(&PlanOptions { images, ..self.build.plan.clone() })?;
        let images = application.definitions().images.iter();
        let is_new = |reference: &&String| split_tag(reference).1 == Some(&*plan.new);
        let new = images.flat_map(|image| image.references.iter().filter(is_new).cloned());
        let present = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(()),
            present = push::present(self.engine, new.collect(), self.sink) => present,
        };
        let present = present.map_err(|error| Error::Repository {
            message: format!("whether a registry has version {} can't be told: {error}", plan.new),
            help: format!("{}, or keep the images here with `--no-push`", error.help()),
        })?;
        let Some(first) = present.first() else { return Ok(()) };
        let more = if present.len() == 1 {
            String::new()
        } else {
            format!(", and so do {} others", present.len() - 1)
        };
        Err(Error::Repository {
            message: format!("`{first}` exists in the registry already{more}"),
            help: "choose another version with `--to`, or raise a higher number".to_owned(),
        })
    }

    async fn build(
        &self,
        plan: &ReleasePlan,
        options: &ReleaseOptions,
    ) -> Result<(Application, Vec<usize>, Outcome), Error> {
        let application = self.open(plan, Access::Write)?;
        application.require_sound()?;
        let images: Vec<usize> = (0..application.definitions().images.len()).collect();
        let wanted = PlanOptions { images: images.clone(), ..self.build.plan.clone() };
        if options.push_images {
            application.require_registries(&wanted)?;
        }
        let build =
            BuildOptions { plan: wanted, push: false, dry_run: false, ..self.build.clone() };
        let outcome = application.build(&build, self.engine, self.sink, self.cancel).await?;
        Ok((application, images, outcome))
    }

    async fn push(
        &self,
        plan: &ReleasePlan,
        application: &Application,
        images: Vec<usize>,
        built: Outcome,
    ) -> Result<Outcome, Error> {
        let wanted = PlanOptions { images, ..self.build.plan.clone() };
        let pushed = application.push(&wanted, self.engine, self.sink, self.cancel).await;
        let problem = match &pushed {
            Ok(pushed) if pushed.cancelled => "the run was cancelled".to_owned(),
            Ok(pushed) => match pushed.summary.push_failed {
                0 => String::new(),
                1 => "one image could not be pushed".to_owned(),
                images => format!("{images} images could not be pushed"),
            },
            Err(error) => error.to_string(),
        };
        if !problem.is_empty() {
            let message = format!("version {} is not wholly in the registry: {problem}", plan.new);
            return Err(half(plan, message, true));
        }
        let mut outcome = built;
        if let Ok(pushed) = pushed {
            outcome.digests = pushed.digests;
            outcome.summary.pushed = pushed.summary.pushed;
        }
        Ok(outcome)
    }
}

/// What to do where part of a release is public.
fn half(plan: &ReleasePlan, message: String, images: bool) -> Error {
    let mut on: Vec<String> = Vec::new();
    if images {
        on.push(format!("`ailtire-build push --version {}` with the same options", plan.new));
    }
    on.extend(plan.push_command().map(|command| format!("`{command}`")));
    let help = format!(
        "to go on: {}; to go back: `{}`, and delete `{}` where images have it in the registry",
        on.join(", then "),
        plan.undo_command(),
        plan.new
    );
    Error::HalfReleased { message, help }
}
