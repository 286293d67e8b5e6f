//! What comes before what, over all stacks as one graph (format, section 8).
//!
//! Inside a stack `depends_on` says it. Between stacks there are three rules: what a stack service
//! depends on comes before everything in its stack; everything in its stack comes before what
//! depends on it; and everything in the stacks of a package comes after everything in the stacks of
//! the packages that it `depends` on.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_compose::Condition;
use ailtire_events::{Diagnostic, Location};
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
            add_to_subtree(tree, index, &position, stacks, &before);
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
    stack.map(|stack| Prerequisite { stack, service: service.to_owned(), condition }).into_iter().collect()
}

fn add_to_subtree(
    tree: &StackTree,
    index: usize,
    position: &BTreeMap<usize, usize>,
    stacks: &mut [DesiredStack],
    before: &[Prerequisite],
) {
    for stack in subtree(tree, index).filter_map(|stack| position.get(&stack)) {
        for service in &mut stacks[*stack].services {
            service.after.extend_from_slice(before);
        }
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

/// A service that has to come before itself, as an error that prints the way round.
pub(super) fn cycle(stacks: &[DesiredStack]) -> Option<Diagnostic> {
    let nodes: Vec<(usize, usize)> = stacks
        .iter()
        .enumerate()
        .flat_map(|(stack, it)| (0..it.services.len()).map(move |service| (stack, service)))
        .collect();
    let mut done = BTreeSet::new();
    for &node in &nodes {
        let mut path = Vec::new();
        if let Some(round) = visit(stacks, node, &mut path, &mut done) {
            let name = |&(stack, service): &(usize, usize)| {
                format!("{}/{}", stacks[stack].path, stacks[stack].services[service].name)
            };
            let names: Vec<String> = round.iter().map(name).collect();
            let (stack, service) = round[0];
            let location: Location = stacks[stack].services[service].location.clone();
            let message = format!("services wait for each other: {}", names.join(" → "));
            return Some(
                Diagnostic::error("deployment-cycle", message).at(location).help(
                    "take out one of the `depends_on` or `depends` that lead from one to the next",
                ),
            );
        }
    }
    None
}

type Node = (usize, usize);

/// Depth first; the nodes of a cycle, the first one again at its end.
fn visit(
    stacks: &[DesiredStack],
    node: Node,
    path: &mut Vec<Node>,
    done: &mut BTreeSet<Node>,
) -> Option<Vec<Node>> {
    if let Some(begin) = path.iter().position(|on_path| *on_path == node) {
        let mut round = path[begin..].to_vec();
        round.push(node);
        return Some(round);
    }
    if done.contains(&node) {
        return None;
    }
    path.push(node);
    let after = &stacks[node.0].services[node.1].after;
    for prerequisite in after {
        let services = &stacks[prerequisite.stack].services;
        let next = services.iter().position(|service| service.name == prerequisite.service);
        if let Some(next) = next
            && let Some(round) = visit(stacks, (prerequisite.stack, next), path, done)
        {
            return Some(round);
        }
    }
    path.pop();
    done.insert(node);
    None
}
