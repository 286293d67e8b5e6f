//! What a run does, one value after the other.

use serde::{Deserialize, Serialize};

use crate::deployment::{
    DeploymentSummary, FieldChange, ObjectAction, ObjectKind, ServiceFailure, ServiceState,
    TaskCounts,
};
use crate::{Diagnostic, DirtyReason};

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// Milliseconds since the run began.
    pub elapsed: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Which output of a build step a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How far a build step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It runs.
    Started,
    /// It ended well.
    Completed,
    /// It did not have to run.
    Cached,
    /// It failed.
    Failed,
}

/// Why the build of an image failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BuildFailure {
    /// What the engine said, or what went wrong before it could say anything.
    pub message: String,
    /// The Dockerfile, relative to the application root.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dockerfile: Option<String>,
    /// The line of the Dockerfile whose step failed, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// The name of the failed step, as the engine gives it (`[2/3] RUN npm ci`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<String>,
    /// The exit code of the failed command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i32>,
    /// The whole log of the failed step.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub log: String,
    /// Where the image is defined (`api/Shop/deploy/build.js:3:5`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub definition: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

/// Why an image could not be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PushFailure {
    /// What the engine or the registry said.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

/// The counts at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Images that needed nothing.
    pub fresh: usize,
    /// Images that were built.
    pub built: usize,
    /// Images that only got their references.
    pub tagged: usize,
    /// Images that were not built because a registry has them, made from the same inputs.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub cached: usize,
    /// Images whose build failed.
    pub failed: usize,
    /// Images that were not tried because one that they need failed, or the run stopped before.
    pub skipped: usize,
    /// Images whose build was cancelled.
    pub cancelled: usize,
    /// Bytes of build context, Dockerfiles and protocol that were sent to the engine for builds.
    pub bytes_sent: u64,
    /// Images that were pushed to a registry that did not have them yet.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub pushed: usize,
    /// Images that could not be pushed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub push_failed: usize,
    /// Bytes of layers that were pushed, as the engine counts them: before compression.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub bytes_pushed: u64,
    /// Milliseconds that the run took.
    pub duration: u64,
    /// Whether nothing was done: `skipped` are then the images that would be brought up to date.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub dry_run: bool,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// What a release did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ReleaseStep {
    /// It wrote the new version.
    Versioned {
        /// The version before.
        old: String,
        /// The version that is released.
        new: String,
        /// The files, from the root of the repository.
        files: Vec<String>,
    },
    /// It made a commit and a tag.
    Committed {
        /// The tag.
        tag: String,
    },
    /// Commit and tag are public.
    Pushed {
        /// Where they went.
        remote: String,
        /// The tag.
        tag: String,
    },
}

/// What happened. `image` is always an image's first reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum EventKind {
    /// Another run in this application has the lock; this one waits for it.
    WaitingForLock {
        /// What the other run said of itself (process id, command).
        holder: String,
    },
    /// Something about the definitions or the state.
    Diagnostic {
        /// The finding.
        diagnostic: Diagnostic,
    },
    /// The images that the run looks at, after planning.
    PlanReady {
        /// Images in the selection, with what they need.
        images: usize,
        /// Those that have to be built, as far as is known before building.
        dirty: usize,
    },
    /// An image needs nothing.
    ImageFresh {
        /// The image.
        image: String,
        /// Its id in the engine.
        image_id: String,
    },
    /// An image has to be built, and why.
    ImageDirty {
        /// The image.
        image: String,
        /// All reasons, root causes first.
        reasons: Vec<DirtyReason>,
    },
    /// An image had only to be given its references.
    ImageTagged {
        /// The image.
        image: String,
        /// Its references.
        references: Vec<String>,
    },
    /// An image need not be built: a registry has it, made from the same inputs.
    ImageCached {
        /// The image.
        image: String,
        /// All its references.
        references: Vec<String>,
        /// Fingerprint of its inputs.
        fingerprint: String,
        /// The digest that the registry has for it.
        digest: String,
        /// Whether the engine has fetched it, too.
        loaded: bool,
    },
    /// A base image is fetched by the engine.
    Pulling {
        /// The reference.
        reference: String,
    },
    /// A build began.
    BuildStarted {
        /// The image.
        image: String,
    },
    /// A step of a build began or ended.
    BuildStep {
        /// The image.
        image: String,
        /// The step, as the engine names it.
        step: String,
        /// How far it is.
        state: StepState,
    },
    /// Output of a build step.
    BuildLog {
        /// The image.
        image: String,
        /// The step, as the engine names it.
        step: String,
        /// Where it was written.
        stream: LogStream,
        /// The text; may be part of a line.
        text: String,
    },
    /// More of the build context was sent.
    BytesSent {
        /// The image.
        image: String,
        /// Bytes sent for this build so far.
        bytes: u64,
    },
    /// A build ended well.
    BuildFinished {
        /// The image.
        image: String,
        /// All its references.
        references: Vec<String>,
        /// Its id in the engine.
        image_id: String,
        /// Fingerprint of its inputs.
        fingerprint: String,
        /// Milliseconds that the build took.
        duration: u64,
        /// Bytes that were sent for it.
        bytes_sent: u64,
    },
    /// A build failed.
    BuildFailed {
        /// The image.
        image: String,
        /// Why.
        failure: BuildFailure,
    },
    /// An image was not tried.
    ImageSkipped {
        /// The image.
        image: String,
        /// The image that it needs and that failed; absent where the run stopped before it.
        because: Option<String>,
    },
    /// A build was cancelled.
    BuildCancelled {
        /// The image.
        image: String,
    },
    /// An image is pushed.
    Pushing {
        /// The image.
        image: String,
        /// The reference under which it is pushed.
        reference: String,
    },
    /// More of an image was pushed.
    PushProgress {
        /// The image.
        image: String,
        /// The reference under which it is pushed.
        reference: String,
        /// Bytes of layers that were pushed for this reference so far, before compression.
        bytes: u64,
    },
    /// A registry has an image.
    ImagePushed {
        /// The image.
        image: String,
        /// The reference under which the registry has it.
        reference: String,
        /// The digest that the registry has for it.
        digest: String,
        /// Bytes of layers that were pushed, before compression.
        bytes_sent: u64,
        /// Whether the registry had this very image under this reference, so that nothing was sent.
        skipped: bool,
    },
    /// An image could not be pushed.
    PushFailed {
        /// The image.
        image: String,
        /// The reference under which it was to be pushed.
        reference: String,
        /// Why.
        failure: PushFailure,
    },
    /// A deployment of the same application runs elsewhere; this one waits for it.
    WaitingForDeployment {
        /// What the other one said of itself (host, process id, command).
        holder: String,
    },
    /// Something of the engine was made, changed or removed, or needed nothing.
    ObjectChanged {
        /// The stack it belongs to.
        stack: String,
        /// What it is.
        kind: ObjectKind,
        /// Its name: the short one for services, the engine's for all others.
        name: String,
        /// What became of it.
        action: ObjectAction,
        /// What was other than it is to be; empty unless it was updated.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        changes: Vec<FieldChange>,
    },
    /// A service came nearer to what it is to be, or fell back.
    ServiceProgress {
        /// The stack.
        stack: String,
        /// The service's short name.
        service: String,
        /// How far it is.
        state: ServiceState,
        /// Its tasks.
        tasks: TaskCounts,
        /// More about it (`no suitable node`, the error of a task that is tried again).
        #[serde(skip_serializing_if = "Option::is_none", default)]
        message: Option<String>,
    },
    /// A service is what it is to be.
    ServiceConverged {
        /// The stack.
        stack: String,
        /// The service's short name.
        service: String,
        /// How it ended up.
        state: ServiceState,
        /// Its tasks.
        tasks: TaskCounts,
        /// Milliseconds since it was changed.
        duration: u64,
    },
    /// A service does not become what it is to be.
    ServiceFailed {
        /// The stack.
        stack: String,
        /// The service's short name.
        service: String,
        /// Why.
        failure: ServiceFailure,
    },
    /// A service was not tried.
    ServiceSkipped {
        /// The stack.
        stack: String,
        /// The service's short name.
        service: String,
        /// The service that it needs and that failed; absent where the run stopped before it.
        because: Option<String>,
    },
    /// Everything that was changed goes back to what it was.
    RollbackStarted {
        /// Why.
        because: String,
    },
    /// Everything that was changed is what it was.
    RollbackFinished {
        /// Objects that went back.
        restored: usize,
        /// What could not be brought back, in words.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        failures: Vec<String>,
    },
    /// A deployment, or a removal, ended.
    DeploymentFinished {
        /// What became of the services.
        summary: DeploymentSummary,
    },
    /// A release came further.
    Release {
        /// What was done.
        step: ReleaseStep,
    },
    /// The run ended.
    RunFinished {
        /// What became of the images.
        summary: Summary,
    },
}

/// Takes the events of a run.
pub trait EventSink: Send + Sync {
    /// Takes one event; called from any thread.
    fn emit(&self, kind: EventKind);
}

/// Drops every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSink;

impl EventSink for NullSink {
    fn emit(&self, _kind: EventKind) {}
}
