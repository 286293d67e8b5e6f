//! One run of `ailtire-build build`, and what it did, out of its events.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ailtire_events::{BuildFailure, Event, EventKind, Severity};

use crate::{Outcome, table};

/// What is built, with what, and where.
#[derive(Debug)]
pub(crate) struct Build {
    /// The command.
    pub(crate) program: PathBuf,
    /// The application's root.
    pub(crate) application: PathBuf,
    /// The engine, as `DOCKER_HOST` has it.
    pub(crate) host: String,
    /// `--env` arguments.
    pub(crate) variables: Vec<String>,
    /// Other arguments of `build`.
    pub(crate) arguments: Vec<String>,
}

impl Build {
    /// Builds the application.
    ///
    /// # Errors
    /// The build fails; and as [`Build::run`].
    pub(crate) fn done(&self, title: &str) -> Outcome<Pass> {
        let (pass, status) = self.run(title)?;
        if status.success() { Ok(pass) } else { Err(pass.lines().join("\n").into()) }
    }

    /// Builds the application; a build that fails gives a pass as well, with its exit status.
    ///
    /// # Errors
    /// The command can't be run, or prints what is no event.
    pub(crate) fn run(&self, title: &str) -> Outcome<(Pass, ExitStatus)> {
        let mut command = Command::new(&self.program);
        command.arg("build").arg("--app").arg(&self.application);
        command.args(["--message-format", "json", "--progress", "quiet"]);
        for variable in &self.variables {
            command.args(["--env", variable]);
        }
        command.args(&self.arguments);
        command.env("DOCKER_HOST", &self.host).stdin(Stdio::null()).stdout(Stdio::piped());
        let begin = Instant::now();
        let mut child = command.spawn()?;
        let mut pass = Pass::new(title);
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                pass.add(parse(&line?)?);
            }
        }
        let status = child.wait()?;
        pass.time = begin.elapsed();
        Ok((pass, status))
    }
}

fn parse(line: &str) -> Outcome<EventKind> {
    let event: Event = serde_json::from_str(line)
        .map_err(|error| format!("`ailtire-build` printed what is no event: {error}: {line}"))?;
    Ok(event.kind)
}

/// One run of `ailtire-build build`.
#[derive(Debug)]
pub(crate) struct Pass {
    title: String,
    images: BTreeMap<String, Image>,
    /// Images in the order in which they were spoken of.
    order: Vec<String>,
    /// Warnings and errors.
    findings: Vec<String>,
    bytes_sent: u64,
    time: Duration,
}

/// What became of one image.
#[derive(Debug, Default)]
struct Image {
    result: &'static str,
    because: Vec<String>,
    time: Option<Duration>,
    bytes_sent: Option<u64>,
}

const BUILT: &str = "built";
const FRESH: &str = "fresh";
const CACHED: &str = "cached";

impl Pass {
    fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            images: BTreeMap::new(),
            order: Vec::new(),
            findings: Vec::new(),
            bytes_sent: 0,
            time: Duration::ZERO,
        }
    }

    /// Takes one event.
    fn add(&mut self, event: EventKind) {
        match event {
            EventKind::ImageFresh { image, .. } => self.image(image).result = FRESH,
            EventKind::ImageCached { image, .. } => self.image(image).result = CACHED,
            EventKind::ImageTagged { image, .. } => self.image(image).result = "tagged",
            EventKind::ImageSkipped { image, .. } => self.image(image).result = "skipped",
            EventKind::BuildCancelled { image } => self.image(image).result = "cancelled",
            EventKind::ImageDirty { image, reasons } => {
                self.image(image).because = reasons.iter().map(ToString::to_string).collect();
            }
            EventKind::BuildFinished { image, duration, bytes_sent, .. } => {
                let image = self.image(image);
                image.result = BUILT;
                image.time = Some(Duration::from_millis(duration));
                image.bytes_sent = Some(bytes_sent);
            }
            EventKind::BuildFailed { image, failure } => {
                self.findings.push(worded_failure(&image, &failure));
                self.image(image).result = "FAILED";
            }
            EventKind::Diagnostic { diagnostic } if diagnostic.severity > Severity::Note => {
                let place = diagnostic.location.map_or(String::new(), |place| format!("{place}: "));
                self.findings.push(format!("{place}{}", diagnostic.message));
            }
            EventKind::RunFinished { summary } => self.bytes_sent = summary.bytes_sent,
            _ => {}
        }
    }

    /// How long the whole pass took, with the start of the program.
    pub(crate) fn time(&self) -> Duration {
        self.time
    }

    pub(crate) fn images(&self) -> usize {
        self.images.len()
    }

    pub(crate) fn built(&self) -> usize {
        self.count(BUILT)
    }

    pub(crate) fn fresh(&self) -> usize {
        self.count(FRESH)
    }

    /// How many a registry had.
    pub(crate) fn cached(&self) -> usize {
        self.count(CACHED)
    }

    fn count(&self, result: &str) -> usize {
        self.images.values().filter(|image| image.result == result).count()
    }

    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    /// Whether an image was built; `name` is its reference without a tag.
    pub(crate) fn has_built(&self, name: &str) -> bool {
        let same = |reference: &str| reference.split(':').next() == Some(name);
        self.images.iter().any(|(reference, image)| same(reference) && image.result == BUILT)
    }

    /// An error unless `held`; `what` is what the pass is there to show.
    pub(crate) fn expect(&self, held: bool, what: &str) -> Outcome {
        if held { Ok(()) } else { Err(format!("not as expected: `{}` {what}", self.title).into()) }
    }

    /// The report.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![String::new(), self.title.clone(), String::new()];
        let heads = ["image", "", "time", "sent", "because"];
        lines.extend(table::plain(&heads, &self.rows()).into_iter().map(|row| format!("  {row}")));
        lines.extend(self.findings.iter().map(|finding| format!("  {finding}")));
        lines.push(String::new());
        lines.push(format!(
            "  {} built, {} fresh, {} sent, {}",
            self.built(),
            self.fresh(),
            table::bytes(self.bytes_sent),
            table::time(self.time)
        ));
        lines
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for name in &self.order {
            let Some(image) = self.images.get(name) else { continue };
            let mut because = image.because.iter().cloned();
            rows.push(vec![
                name.clone(),
                image.result.to_owned(),
                image.time.map(table::time).unwrap_or_default(),
                image.bytes_sent.map(table::bytes).unwrap_or_default(),
                because.next().unwrap_or_default(),
            ]);
            let blank = String::new;
            rows.extend(because.map(|more| vec![blank(), blank(), blank(), blank(), more]));
        }
        rows
    }

    fn image(&mut self, name: String) -> &mut Image {
        if !self.images.contains_key(&name) {
            self.order.push(name.clone());
        }
        self.images.entry(name).or_default()
    }
}

fn worded_failure(image: &str, failure: &BuildFailure) -> String {
    let step = failure.step.as_ref().map_or(String::new(), |step| format!(" at {step}"));
    format!("{image} failed{step}: {}\n{}", failure.message, failure.log.trim_end())
}

#[cfg(test)]
mod tests {
    use ailtire_events::{DirtyReason, Summary};

    use super::*;

    #[test]
    fn a_pass_tells_what_was_built_and_why() {
        let mut pass = Pass::new("Pass 3");
        pass.add(EventKind::ImageDirty {
            image: "app-base:latest".into(),
            reasons: vec![DirtyReason::NeverBuilt, DirtyReason::Forced],
        });
        pass.add(EventKind::BuildFinished {
            image: "app-base:latest".into(),
            references: vec!["app-base:latest".into()],
            image_id: "sha256:1".into(),
            fingerprint: "f".into(),
            duration: 420,
            bytes_sent: 2100,
        });
        pass.add(EventKind::ImageFresh { image: "app-web:latest".into(), image_id: "i".into() });
        let summary = Summary { bytes_sent: 2100, ..Summary::default() };
        pass.add(EventKind::RunFinished { summary });
        pass.time = Duration::from_millis(500);
        assert_eq!(
            pass.lines(),
            [
                "",
                "Pass 3",
                "",
                "  image                   time    sent    because",
                "  app-base:latest  built  420 ms  2.1 kB  it was not built before",
                "                                          the command line forces it",
                "  app-web:latest   fresh",
                "",
                "  1 built, 1 fresh, 2.1 kB sent, 500 ms",
            ]
        );
        assert!(pass.has_built("app-base"));
        assert!(!pass.has_built("app-web"));
        assert!(pass.expect(false, "does it").is_err());
    }
}
