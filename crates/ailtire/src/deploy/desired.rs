//! From the stacks of the definitions to what is to run.

use std::collections::BTreeMap;

use ailtire_compose::{Service, StackDesign};
use ailtire_events::{Diagnostic, Location};
use ailtire_swarm::{Desired, Identity, ResolvedImages, Scope, StackToConvert, convert};

use super::order;
use crate::stacks::{StackInstance, StackTree};

/// What is to run of the stacks `selected`, in that order.
///
/// # Errors
///
/// What only shows in specs.
pub(super) fn desired(
    tree: &StackTree,
    selected: &[usize],
    identity: &Identity,
    (version, scope): (Option<&str>, Scope),
    images: &ResolvedImages,
) -> Result<Desired, Vec<Diagnostic>> {
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
            design: &own_services(instance),
            images,
        });
        errors.extend(diagnostics);
        stacks.push(converted);
    }
    order::across_stacks(tree, selected, &mut stacks);
    order::simplify(&mut stacks);
    if errors.is_empty() {
        let version = version.map(str::to_owned);
        Ok(Desired { identity: identity.clone(), version, stacks, scope })
    } else {
        Err(errors)
    }
}

/// The design without the services that other stacks take the place of: these stacks are deployed
/// themselves.
fn own_services(instance: &StackInstance) -> StackDesign {
    let mut design = instance.design.clone();
    design.services.retain(|name, service| is_own(instance, name, service));
    design
}

fn is_own(instance: &StackInstance, name: &str, service: &Service) -> bool {
    !service.is_stack && !instance.stack_services.contains_key(name)
}

/// Every image that the services of the stacks run, and where a design has it first.
pub(super) fn images(tree: &StackTree, selected: &[usize]) -> BTreeMap<String, Location> {
    let mut images = BTreeMap::new();
    for &stack in selected {
        let instance = &tree.stacks[stack];
        for (name, service) in &instance.design.services {
            if is_own(instance, name, service) {
                images
                    .entry(service.image.clone())
                    .or_insert_with(|| service.image_location.clone());
            }
        }
    }
    images
}
