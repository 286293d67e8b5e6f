//! Every diagnostic of an application, for every environment.

use ailtire_events::Diagnostic;
use rayon::prelude::*;

use crate::Application;
use crate::findings::Findings;

/// Code of the finding that an image or a stack has no context for the environment.
const NO_CONTEXT: &str = "no-context";

/// Looks at everything that can be looked at without an engine, for the chosen environment and
/// every other one that a definition names; each finding once, errors first. Stacks are looked at
/// where the application was opened with them ([`crate::OpenOptions::deployments`]).
pub fn check(application: &Application) -> Vec<Diagnostic> {
    let mut found = Findings::default();
    found.extend(told_by(application));
    found.extend(look_at(application));
    let chosen = application.definitions.environment.clone();
    for environment in application.environments() {
        if *environment != chosen {
            let other = application.in_environment(environment);
            found.extend(told_by(&other));
            found.extend(look_at(&other));
        }
    }
    found.list.sort_by_key(|diagnostic| std::cmp::Reverse(diagnostic.severity));
    found.list
}

/// What reading the definitions of one environment found. That an image or a stack is not made for
/// an environment is a mistake only where somebody chose that environment.
fn told_by(application: &Application) -> impl Iterator<Item = Diagnostic> + '_ {
    let chosen = application.environment_is_chosen;
    let told = application.diagnostics().iter();
    told.filter(move |diagnostic| chosen || diagnostic.code != NO_CONTEXT).cloned()
}

/// What Dockerfiles, contexts, edges and stacks of one environment come to.
fn look_at(application: &Application) -> Vec<Diagnostic> {
    let definitions = &application.definitions;
    let graph = application.graph();
    let all: Vec<_> = (0..definitions.images.len()).collect();
    let mut found: Vec<_> = all
        .par_iter()
        .flat_map_iter(|&image| {
            let dockerfile = match &graph.dockerfiles[image] {
                Ok(dockerfile) => dockerfile.clone(),
                Err(diagnostics) => return diagnostics.clone(),
            };
            let definition = &definitions.images[image];
            if definition.is_stack {
                return application.stack_context(image).map_or_else(|it| it, |it| it.diagnostics);
            }
            let tree = &application.tree;
            match ailtire_context::assemble_with(tree, definitions, definition, dockerfile) {
                Ok(context) => context.diagnostics,
                Err(diagnostics) => diagnostics,
            }
        })
        .collect();
    found.extend(graph.in_order(&all, definitions).err().into_iter().flatten());
    found.extend(application.check_stacks());
    found
}
