//! From the design of a stack to the engine's specs.
//!
//! What comes out is what Docker's own client makes of the same compose file, field by field, but
//! for three things. The service (never its tasks) has more labels. The names of configs and secrets
//! end in a hash of what they hold. And lists whose order means nothing are sorted: the engine
//! compares them in order, and would restart every task for a line that was moved.

mod amounts;
mod container;
mod files;
mod mounts;
mod networks;
mod service;

use std::collections::BTreeMap;

use ailtire_compose::{Network, StackDesign};
use ailtire_events::{Diagnostic, Location};

pub use files::certificate;

use crate::spec::NetworkSpec;
use crate::{DesiredService, DesiredStack, Identity, Prerequisite, ResolvedImages, label};

/// A stack, and what has to be known to make specs of it.
#[derive(Debug, Clone, Copy)]
pub struct StackToConvert<'a> {
    /// Whose deployment it is.
    pub identity: &'a Identity,
    /// Version of the application, where there is one.
    pub version: Option<&'a str>,
    /// The instance: the beginning of every name, and the value of [`label::NAMESPACE`].
    pub namespace: &'a str,
    /// The full path, `/` between its parts.
    pub path: &'a str,
    /// Its index in [`crate::Desired::stacks`].
    pub index: usize,
    /// Index of the stack that holds it.
    pub parent: Option<usize>,
    /// What it is to be.
    pub design: &'a StackDesign,
    /// What its services are to run. An image that is not in it runs as the design names it.
    pub images: &'a ResolvedImages,
}

/// Makes the specs of a stack.
///
/// What a reader of designs has checked is not said twice: the diagnostics, each of which is an
/// error, are about what only shows here, and about designs that nobody has checked. What they are
/// about is missing in the stack.
pub fn convert(stack: &StackToConvert<'_>) -> (DesiredStack, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let networks = networks::convert(stack, &mut diagnostics);
    let configs = files::configs(stack, &mut diagnostics);
    let secrets = files::secrets(stack, &mut diagnostics);
    let names = Names { configs: &configs.names, secrets: &secrets.names };
    let services = stack
        .design
        .services
        .iter()
        .map(|(name, service)| DesiredService {
            name: name.clone(),
            spec: service::convert(stack, names, name, service, &mut diagnostics),
            after: prerequisites(stack, service),
            image: service.image.clone(),
            fingerprint: fingerprint(stack, &service.image).map(str::to_owned),
            location: service.location.clone(),
        })
        .collect();
    let desired = DesiredStack {
        namespace: stack.namespace.to_owned(),
        path: stack.path.to_owned(),
        parent: stack.parent,
        networks: networks.made,
        external_networks: networks.external,
        configs: configs.made,
        external_configs: configs.external,
        secrets: secrets.made,
        external_secrets: secrets.external,
        services,
    };
    (desired, diagnostics)
}

/// The family network of a stack, whether or not a service of it is on it: `definition` is how a
/// design has it, the format's own one where it says nothing.
///
/// [`convert`] makes the very same of a stack whose services use it.
pub fn family_network(
    stack: &StackToConvert<'_>,
    name: &str,
    definition: Option<&Network>,
) -> NetworkSpec {
    let overlay = Network { attachable: true, ..Network::default() };
    networks::spec(stack, name.to_owned(), definition.unwrap_or(&overlay))
}

/// Names in the engine by the keys that services use.
#[derive(Debug, Clone, Copy)]
struct Names<'a> {
    configs: &'a BTreeMap<String, String>,
    secrets: &'a BTreeMap<String, String>,
}

impl StackToConvert<'_> {
    /// The name in the engine of what the design calls `name`.
    fn scope(&self, name: &str) -> String {
        format!("{}_{name}", self.namespace)
    }

    /// `labels` of the design and the stack's own, as Docker's client has them.
    fn labels(&self, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = labels.clone();
        labels.insert(label::NAMESPACE.to_owned(), self.namespace.to_owned());
        labels
    }

    /// [`StackToConvert::labels`], and what this program finds its things by.
    fn own_labels(&self, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = self.labels(labels);
        labels.extend(self.identity.labels());
        labels.insert(label::STACK_PATH.to_owned(), self.path.to_owned());
        labels
    }
}

fn fingerprint<'a>(stack: &StackToConvert<'a>, image: &str) -> Option<&'a str> {
    stack.images.get(image)?.fingerprint.as_deref()
}

/// The services of this stack that come before `service` (format, section 8). One that is not there
/// and need not be there is not waited for.
fn prerequisites(
    stack: &StackToConvert<'_>,
    service: &ailtire_compose::Service,
) -> Vec<Prerequisite> {
    let there = |name: &String| stack.design.services.contains_key(name);
    service
        .depends_on
        .iter()
        .filter(|(name, _)| there(name))
        .map(|(name, dependency)| Prerequisite {
            stack: stack.index,
            service: name.clone(),
            condition: dependency.condition,
        })
        .collect()
}

/// A service uses something that its stack does not have.
fn undefined(kind: &str, name: &str, service: &str, location: &Location) -> Diagnostic {
    Diagnostic::error(
        "undefined-reference",
        format!("service `{service}` uses {kind} `{name}`, which the stack does not define"),
    )
    .at(location.clone())
    .help(format!("define `{name}` under `{kind}s`, or correct the name"))
}
