//! Networks, configs and secrets: which are made, and which are not what they are to be.

use std::collections::BTreeMap;

use ailtire_events::{Diagnostic, FieldChange, ObjectAction, ObjectKind};

use super::{ObjectChange, Orphan, Planner, StackChanges};
use crate::DesiredStack;
use crate::desired::label;
use crate::observe::{ObservedFile, ObservedNetwork, ObservedService};
use crate::spec::NetworkSpec;

/// What the engine adds to the options of a network.
const ENGINE_OPTIONS: [&str; 1] = ["com.docker.network.driver.overlay.vxlanid_list"];

impl Planner<'_> {
    pub(super) fn compare_objects(&self, stack: &DesiredStack) -> Vec<ObjectChange> {
        let of_file = |kind, name: &str, found: Option<&ObservedFile>| ObjectChange {
            kind,
            name: name.to_owned(),
            action: found.map_or(ObjectAction::Created, |_| ObjectAction::Untouched),
            changes: Vec::new(),
        };
        let networks = stack.networks.iter().map(|spec| {
            let found = self.observed.network(&spec.name);
            let changes = found.map(|network| network_changes(spec, network));
            ObjectChange {
                kind: ObjectKind::Network,
                name: spec.name.clone(),
                action: match &changes {
                    None => ObjectAction::Created,
                    Some(changes) if changes.is_empty() => ObjectAction::Untouched,
                    Some(_) => ObjectAction::Updated,
                },
                changes: changes.unwrap_or_default(),
            }
        });
        let configs = stack
            .configs
            .iter()
            .map(|spec| of_file(ObjectKind::Config, &spec.name, self.observed.config(&spec.name)));
        let secrets = stack
            .secrets
            .iter()
            .map(|spec| of_file(ObjectKind::Secret, &spec.name, self.observed.secret(&spec.name)));
        networks.chain(configs).chain(secrets).collect()
    }

    /// Networks that have to be made again take everything down that is on them: services of this
    /// deployment are made again, too; what is not of this deployment keeps it from being done.
    pub(super) fn check_networks(&mut self, stacks: &mut [StackChanges], orphans: &mut [Orphan]) {
        let changed: Vec<(String, FieldChange)> = stacks
            .iter()
            .flat_map(|stack| &stack.objects)
            .filter(|it| it.kind == ObjectKind::Network && it.action == ObjectAction::Updated)
            .filter_map(|it| Some((it.name.clone(), it.changes.first()?.clone())))
            .collect();
        for (name, why) in changed {
            let Some(network) = self.observed.network(&name) else { continue };
            let services = self.observed.services.iter();
            for service in services.filter(|service| is_on(service, network)) {
                let mut ours = stacks.iter_mut().flat_map(|stack| &mut stack.services);
                if let Some(change) = ours.find(|change| change.full_name == service.name()) {
                    change.action = ObjectAction::Updated;
                    change.recreate = true;
                    change.restarts = true;
                    change.changes.push(FieldChange {
                        field: format!("networks.{name}.{}", why.field),
                        restarts: true,
                        ..why.clone()
                    });
                } else if let Some(orphan) =
                    orphans.iter_mut().find(|orphan| orphan.id == service.id && orphan.removed)
                {
                    orphan.first = true;
                } else {
                    self.diagnostics.push(network_in_use(&name, &why, service.name()));
                }
            }
        }
    }
}

fn network_in_use(network: &str, why: &FieldChange, service: &str) -> Diagnostic {
    Diagnostic::error(
        "network-in-use",
        format!(
            "the network `{network}` has to be made again, and service `{service}`, which is not \
             of this deployment, uses it"
        ),
    )
    .detail(format!("{why}"))
    .detail("an engine can't change a network that exists".to_owned())
    .help(format!("remove `{service}` or undo the change, then deploy again"))
}

fn is_on(service: &ObservedService, network: &ObservedNetwork) -> bool {
    let mut attachments = service.spec.task_template.networks.iter();
    attachments.any(|it| it.target == network.id || it.target == network.name)
}

/// What is other about a network than it is to be. Labels do not count: they can't be changed, and
/// are no reason to take services down.
fn network_changes(spec: &NetworkSpec, network: &ObservedNetwork) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let mut compare = |field: &str, old: String, new: String| {
        if old != new {
            changes.push(FieldChange {
                field: field.to_owned(),
                old: Some(old).filter(|text| !text.is_empty()),
                new: Some(new).filter(|text| !text.is_empty()),
                restarts: true,
            });
        }
    };
    if !spec.driver.is_empty() {
        compare("driver", network.driver.clone(), spec.driver.clone());
    }
    compare("internal", network.internal.to_string(), spec.internal.to_string());
    compare("attachable", network.attachable.to_string(), spec.attachable.to_string());
    compare("driver_opts", options_text(&network.options), options_text(&spec.options));
    if let Some(ipam) = &spec.ipam {
        let driver = |name: &str| if name.is_empty() { "default" } else { name }.to_owned();
        let found = network.ipam["Driver"].as_str().unwrap_or_default();
        compare("ipam.driver", driver(found), driver(&ipam.driver));
        if !ipam.config.is_empty() {
            let pools = network.ipam["Config"].as_array().into_iter().flatten();
            let mut old: Vec<_> = pools.filter_map(|pool| pool["Subnet"].as_str()).collect();
            let mut new: Vec<_> = ipam.config.iter().map(|pool| pool.subnet.as_str()).collect();
            old.sort_unstable();
            new.sort_unstable();
            compare("ipam.config", old.join(", "), new.join(", "));
        }
    }
    changes
}

fn options_text(options: &BTreeMap<String, String>) -> String {
    let own = options.iter().filter(|(name, _)| !ENGINE_OPTIONS.contains(&name.as_str()));
    own.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// The stack that something belongs to.
pub(super) fn namespace(labels: &BTreeMap<String, String>) -> &str {
    labels.get(label::NAMESPACE).map_or("", String::as_str)
}
