//! Evaluates definitions, and answers from the cache what was evaluated before.

mod engine;
mod failure;
mod trace;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ailtire_events::{Diagnostic, Location};
use ailtire_tree::{Digest, Tree};
use serde::Serialize;

pub(crate) use engine::VIRTUAL_ROOT;
pub(crate) use trace::Input;

use crate::cache::{EvaluationCache, Outcome, Record};
use crate::locate::annotate;
use crate::options::{Limits, LoadOptions};
use ailtire_terms::Node;
use ailtire_terms::suggests_secret;
use engine::{Job, Ran, Request};
use failure::{Failure, FailureKind, console_note};
use trace::{Module, Trace};
use worker::Workers;

/// How long the interrupt may take to reach an evaluation that is over its time, before it is
/// left behind.
const GRACE: Duration = Duration::from_millis(750);

/// What all evaluations of one load have in common.
pub(crate) struct Evaluator<'load> {
    tree: &'load Tree,
    cache: &'load EvaluationCache,
    limits: Limits,
    environment: Arc<BTreeMap<String, String>>,
    parameters: Arc<str>,
    parameters_digest: Digest,
    workers: Workers,
}

/// What definitions that export a function are called with.
#[derive(Serialize)]
struct Parameters<'options> {
    env: &'options str,
    name: Option<&'options str>,
    repo: Option<&'options str>,
    version: Option<&'options str>,
}

impl<'load> Evaluator<'load> {
    pub(crate) fn new(
        tree: &'load Tree,
        options: &'load LoadOptions,
        cache: &'load EvaluationCache,
    ) -> Self {
        let mut environment = options.process_environment.clone();
        environment.extend(options.variables.clone());
        let parameters = Parameters {
            env: &options.environment,
            name: options.name.as_deref(),
            repo: options.repository.as_deref(),
            version: options.version.as_deref(),
        };
        // Plain strings cannot fail to become JSON.
        let parameters = serde_json::to_string(&parameters).unwrap_or_else(|_| "{}".to_owned());
        Self {
            tree,
            cache,
            limits: options.limits,
            environment: Arc::new(environment),
            parameters_digest: Digest::of(parameters.as_bytes()),
            parameters: parameters.into(),
            workers: Workers::default(),
        }
    }

    /// What the module at `path` exports, from the cache where nothing it depends on changed.
    pub(crate) fn evaluate(&self, path: &str) -> Outcome {
        if let Some(outcome) = self.cache.find(path, |record| self.holds(record)) {
            return outcome;
        }
        self.cache.count_evaluation();
        let mut trace = Trace::new(self.tree);
        let (outcome, variables, called, is_certain) = match trace.main(path) {
            Ok(main) => self.evaluate_module(path, main, &mut trace),
            Err(message) => (unreadable(path, message), Vec::new(), false, true),
        };
        // Its result may hold the value, which belongs in no file.
        let saw_secret = variables
            .iter()
            .any(|name| suggests_secret(name) && self.environment.contains_key(name));
        if is_certain && !trace.uncertain && !saw_secret {
            let record = Record {
                inputs: trace.inputs,
                variables: variables
                    .into_iter()
                    .map(|name| {
                        let value = self.digest_of_variable(&name);
                        (name, value)
                    })
                    .collect(),
                parameters: called.then_some(self.parameters_digest),
                outcome,
            };
            self.cache.learn(path, &record);
            return record.outcome;
        }
        outcome
    }

    /// Whether everything that `record` depends on is as it was.
    fn holds(&self, record: &Record) -> bool {
        record.parameters.is_none_or(|digest| digest == self.parameters_digest)
            && record.variables.iter().all(|(name, value)| self.digest_of_variable(name) == *value)
            && record.inputs.iter().all(|input| input.holds(self.tree))
    }

    fn digest_of_variable(&self, name: &str) -> Option<Digest> {
        self.environment.get(name).map(|value| Digest::of(value.as_bytes()))
    }

    fn evaluate_module(
        &self,
        path: &str,
        (real, text): Module,
        trace: &mut Trace<'_>,
    ) -> (Outcome, Vec<String>, bool, bool) {
        let ran = self.run(&real, &text, trace);
        let modules = &trace.modules;
        let text_of = |path: &str| {
            modules.iter().find(|(module, _)| module == path).map(|(_, text)| text.clone())
        };
        let mut diagnostics: Vec<Diagnostic> =
            ran.console.iter().map(|line| console_note(line, path, &text_of)).collect();
        let mut failure = ran.failure;
        let mut node = match ran.exported.as_deref().map(Node::from_json) {
            None => None,
            Some(Ok(node)) => Some(node),
            Some(Err(error)) => {
                failure = Some(export_failure(&error));
                None
            }
        };
        if let Some(node) = &mut node {
            annotate(node, &text);
        }
        let is_certain = failure.as_ref().is_none_or(Failure::is_certain);
        let failed = failure.is_some();
        diagnostics.extend(failure.map(|failure| failure.diagnostic(&real, self.limits, &text_of)));
        let file = (real != path).then_some(real);
        let outcome = Outcome { node, file, failed, dropped: ran.dropped, diagnostics };
        (outcome, ran.variables, ran.called, is_certain)
    }

    /// Runs the sandbox and answers its questions.
    fn run(&self, path: &str, text: &str, trace: &mut Trace<'_>) -> Ran {
        let (requests, questions) = channel();
        let job = Job {
            path: path.to_owned(),
            text: text.to_owned(),
            environment: Arc::clone(&self.environment),
            parameters: Arc::clone(&self.parameters),
            limits: self.limits,
            requests,
        };
        let worker = match self.workers.take() {
            Ok(worker) => worker,
            Err(error) => return failed(Failure::new(FailureKind::Engine, error.to_string())),
        };
        worker.run(job);
        match self.serve(&questions, trace) {
            Ok(ran) => {
                self.workers.give_back(worker);
                ran
            }
            // The thread is stuck or gone: another one takes its place.
            Err(failure) => failed(failure),
        }
    }

    fn serve(&self, questions: &Receiver<Request>, trace: &mut Trace<'_>) -> Result<Ran, Failure> {
        let deadline = Instant::now() + self.limits.time + GRACE;
        loop {
            match questions.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Request::Load { base, specifier, reply }) => {
                    // It was given up where it does not wait for the answer.
                    let _ = reply.send(trace.load(&base, &specifier));
                }
                Ok(Request::Done(ran)) => return Ok(*ran),
                Err(RecvTimeoutError::Timeout) => return Err(FailureKind::Time.into()),
                Err(RecvTimeoutError::Disconnected) => {
                    let message = "it ended without a result".to_owned();
                    return Err(Failure::new(FailureKind::Engine, message));
                }
            }
        }
    }
}

fn failed(failure: Failure) -> Ran {
    Ran { failure: Some(failure), ..Ran::default() }
}

fn unreadable(path: &str, message: String) -> Outcome {
    let diagnostic = Diagnostic::error("definition-unreadable", message).at(Location::file(path));
    Outcome { failed: true, diagnostics: vec![diagnostic], ..Outcome::default() }
}

/// JSON that the engine wrote and we can't read: nested too deeply, or not Unicode.
fn export_failure(error: &serde_json::Error) -> Failure {
    let message = error.to_string();
    if message.starts_with("recursion limit") {
        FailureKind::ExportDepth.into()
    } else {
        Failure::new(FailureKind::Export, message)
    }
}
