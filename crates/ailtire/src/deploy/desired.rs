//! From the stacks of the definitions to what is to run.

use std::collections::BTreeMap;

use ailtire_compose::{Service, StackDesign};
use ailtire_events::{Diagnostic, Location};
use ailtire_swarm::{Desired, Identity, ResolvedImages, StackToConvert, convert};

use super::{Deployment, order};
use crate::stacks::StackInstance;

/// What is to run of the stacks of a deployment.
///
/// # Errors
///
/// What only shows in specs.
pub(super) fn desired(
    deployment: &Deployment,
    identity: &Identity,
    version: Option<&str>,
    images: &ResolvedImages,
) -> Result<Desired, Vec<Diagnostic>> {
    let (tree, selected) = (&deployment.tree, &*deployment.selected);
    let mut errors = Vec::new();
    let mut stacks = Vec::with_capacity(selected.len());
    for (index, &stack) in selected.iter().enumerate() {
        let instance = &tree.stacks[stack];
        let (converted, diagnostics) = convert(&StackToConvert {
            identity,
            version,
            namespace: &instance.instance,
            path: &instance.path.join("/"),
            index,
            parent: instance.parent.and_then(|parent| selected.iter().position(|&it| it == parent)),
            design: &design(deployment, instance),
            images,
        });
        errors.extend(diagnostics);
        stacks.push(converted);
    }
    order::across_stacks(tree, selected, &mut stacks);
    order::simplify(&mut stacks);
    if errors.is_empty() {
        let version = version.map(str::to_owned);
        let scope = deployment.scope();
        Ok(Desired { identity: identity.clone(), version, stacks, scope })
    } else {
        Err(errors)
    }
}

/// The design of a stack. Without managers, the services that other stacks take the place of are no
/// part of it: these stacks are deployed themselves.
fn design(deployment: &Deployment, instance: &StackInstance) -> StackDesign {
    let mut design = instance.design.clone();
    design.services.retain(|name, service| is_part(deployment, instance, name, service));
    design
}

fn is_part(
    deployment: &Deployment,
    instance: &StackInstance,
    name: &str,
    service: &Service,
) -> bool {
    let is_stack = service.is_stack || instance.stack_services.contains_key(name);
    deployment.is_managed || !is_stack
}

/// Every image that the services of the stacks run, and where a design has it first.
pub(super) fn images(deployment: &Deployment) -> BTreeMap<String, Location> {
    let mut images = BTreeMap::new();
    for &stack in &deployment.selected {
        let instance = &deployment.tree.stacks[stack];
        for (name, service) in &instance.design.services {
            if is_part(deployment, instance, name, service) {
                images
                    .entry(service.image.clone())
                    .or_insert_with(|| service.image_location.clone());
            }
        }
    }
    images
}
