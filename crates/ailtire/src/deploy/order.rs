//! What comes before what, over all stacks as one graph (format, section 8).
//!
//! Inside a stack `depends_on` says it. Between stacks there are three rules: what a stack service
//! depends on comes before everything in its stack; everything in its stack comes before what
//! depends on it; and everything in the stacks of a package comes after everything in the stacks of
//! the packages that it `depends` on.

use std::collections::BTreeMap;

use ailtire_compose::Condition;
use ailtire_swarm::{DesiredStack, Prerequisite};

use crate::stacks::StackTree;

/// Adds to every service of `stacks` what other stacks have to be before it starts. `stacks` are
/// those of `tree` at the indices `selected`, in that order.
pub(super) fn across_stacks(tree: &StackTree, selected: &[usize], stacks: &mut [DesiredStack]) {
    let position: BTreeMap<usize, usize> =
        selected.iter().enumerate().map(|(position, stack)| (*stack, position)).collect();
    let names: Vec<Vec<String>> = stacks
        .iter()
        .map(|stack| stack.services.iter().map(|service| service.name.clone()).collect())
        .collect();
    let all_of = |stack: usize, condition: Condition| {
        let below = subtree(tree, stack).filter_map(|stack| position.get(&stack).copied());
        let services = below.flat_map(|stack| names[stack].iter().map(move |name| (stack, name)));
        services.map(move |(stack, name)| Prerequisite { stack, service: name.clone(), condition })
    };
    for (index, instance) in tree.stacks.iter().enumerate() {
        for &depends in &instance.depends {
            let before: Vec<_> = all_of(depends, Condition::ServiceStarted).collect();
            if subtree(tree, index).any(|stack| stack == depends) {
                // It lies inside: only the stack's own services can come after it.
                add_to_stack(index, &position, stacks, &before);
            } else {
                add_to_subtree(tree, index, &position, stacks, &before);
            }
        }
        for (name, service) in &instance.design.services {
            for (on, dependency) in &service.depends_on {
                let before: Vec<Prerequisite> = match instance.stack_services.get(on) {
                    Some(&child) => all_of(child, dependency.condition).collect(),
                    None => prerequisite(&position, index, on, dependency.condition),
                };
                match instance.stack_services.get(name) {
                    Some(&child) => add_to_subtree(tree, child, &position, stacks, &before),
                    None if instance.stack_services.contains_key(on) => {
                        add_to_service(&position, index, name, stacks, &before);
                    }
                    // Inside one stack it is said already.
                    None => {}
                }
            }
        }
    }
}

/// The stack at `index`, and all those below it.
fn subtree(tree: &StackTree, index: usize) -> impl Iterator<Item = usize> + '_ {
    (index..tree.stacks.len()).filter(move |&stack| {
        let mut above = Some(stack);
        while let Some(current) = above {
            if current == index {
                return true;
            }
            above = tree.stacks[current].parent;
        }
        false
    })
}

fn prerequisite(
    position: &BTreeMap<usize, usize>,
    stack: usize,
    service: &str,
    condition: Condition,
) -> Vec<Prerequisite> {
    let stack = position.get(&stack).copied();
    stack
        .map(|stack| Prerequisite { stack, service: service.to_owned(), condition })
        .into_iter()
        .collect()
}

fn add_to_subtree(
    tree: &StackTree,
    index: usize,
    position: &BTreeMap<usize, usize>,
    stacks: &mut [DesiredStack],
    before: &[Prerequisite],
) {
    for stack in subtree(tree, index) {
        add_to_stack(stack, position, stacks, before);
    }
}

fn add_to_stack(
    index: usize,
    position: &BTreeMap<usize, usize>,
    stacks: &mut [DesiredStack],
    before: &[Prerequisite],
) {
    let stack = position.get(&index).map(|&stack| &mut stacks[stack]);
    for service in stack.into_iter().flat_map(|stack| &mut stack.services) {
        service.after.extend_from_slice(before);
    }
}

fn add_to_service(
    position: &BTreeMap<usize, usize>,
    stack: usize,
    name: &str,
    stacks: &mut [DesiredStack],
    before: &[Prerequisite],
) {
    let stack = position.get(&stack).map(|&stack| &mut stacks[stack]);
    let services = stack.into_iter().flat_map(|stack| &mut stack.services);
    for service in services.filter(|service| service.name == name) {
        service.after.extend_from_slice(before);
    }
}

/// Says each prerequisite once, the stricter condition of two.
pub(super) fn simplify(stacks: &mut [DesiredStack]) {
    for service in stacks.iter_mut().flat_map(|stack| &mut stack.services) {
        service.after.sort();
        let mut said: BTreeMap<(usize, String), Condition> = BTreeMap::new();
        for prerequisite in service.after.drain(..) {
            let key = (prerequisite.stack, prerequisite.service);
            let condition = said.entry(key).or_insert(prerequisite.condition);
            *condition = (*condition).max(prerequisite.condition);
        }
        service.after = said
            .into_iter()
            .map(|((stack, service), condition)| Prerequisite { stack, service, condition })
            .collect();
    }
}
