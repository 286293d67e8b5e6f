//! What comes before what inside one stack, where packages depend on each other.
//!
//! A stack's manager knows its own services only, and one that runs another stack stands for all
//! that is in it: it is healthy once all of that is. So a package's `depends` becomes an order of the
//! services, in the one stack where the way to the package and the way to what it depends on part.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_compose::{Condition, Dependency, Service};
use ailtire_events::Diagnostic;
use ailtire_manifest::Package;

use super::Draft;
use crate::stacks::needed_packages;

/// Adds to the services of each draft what has to be there before them.
pub(super) fn add_dependencies(packages: &[Package], drafts: &mut BTreeMap<usize, Draft>) {
    let children: BTreeMap<usize, BTreeSet<usize>> = drafts
        .iter()
        .map(|(package, draft)| (*package, draft.children.values().copied().collect()))
        .collect();
    let holds: BTreeMap<usize, BTreeSet<usize>> =
        drafts.keys().map(|&package| (package, within(package, &children))).collect();
    let outside: BTreeMap<usize, BTreeSet<usize>> = drafts
        .keys()
        .map(|&package| (package, needed_outside(package, packages, &holds)))
        .collect();
    for draft in drafts.values_mut() {
        let own = needed_packages(packages, draft.package);
        let holds_one = |child: &usize, needed: &BTreeSet<usize>| {
            holds.get(child).is_some_and(|held| !held.is_disjoint(needed))
        };
        let mut orders = Vec::new();
        for name in draft.design.services.keys() {
            let needed = match draft.children.get(name) {
                Some(child) => outside.get(child),
                None => Some(&own),
            };
            let Some(needed) = needed else { continue };
            let before = draft.children.iter();
            let before = before.filter(|(other, child)| *other != name && holds_one(child, needed));
            orders.extend(before.map(|(other, _)| (name.clone(), other.clone())));
        }
        for (name, before) in orders {
            if let Some(service) = draft.design.services.get_mut(&name) {
                add(service, before);
            }
        }
        draft.diagnostics.extend(circle(draft));
    }
}

fn add(service: &mut Service, before: String) {
    let location = service.location.clone();
    let condition = Condition::ServiceStarted;
    let dependency = Dependency { condition, required: true, location };
    service.depends_on.entry(before).or_insert(dependency);
}

/// The package itself, and all whose stacks run in its own.
fn within(package: usize, children: &BTreeMap<usize, BTreeSet<usize>>) -> BTreeSet<usize> {
    let mut held = BTreeSet::new();
    let mut pending = vec![package];
    while let Some(next) = pending.pop() {
        if held.insert(next) {
            pending.extend(children.get(&next).into_iter().flatten());
        }
    }
    held
}

/// The packages that something in the stack of `package` depends on and that are not in it.
fn needed_outside(
    package: usize,
    packages: &[Package],
    holds: &BTreeMap<usize, BTreeSet<usize>>,
) -> BTreeSet<usize> {
    let Some(held) = holds.get(&package) else { return BTreeSet::new() };
    let needed = held.iter().flat_map(|&inner| needed_packages(packages, inner));
    needed.filter(|needed| !held.contains(needed)).collect()
}

/// The error where services wait for one another.
fn circle(draft: &Draft) -> Option<Diagnostic> {
    let services = &draft.design.services;
    let mut left: BTreeSet<&String> = services.keys().collect();
    loop {
        let free: Vec<&String> = left
            .iter()
            .copied()
            .filter(|name| services[*name].depends_on.keys().all(|before| !left.contains(before)))
            .collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            left.remove(name);
        }
    }
    let first = *left.first()?;
    // Every service that is left waits for one that is left.
    let mut way = vec![first];
    while let Some(next) =
        way.last().and_then(|last| services[*last].depends_on.keys().find(|it| left.contains(it)))
    {
        if let Some(start) = way.iter().position(|name| *name == next) {
            way.drain(..start);
            way.push(next);
            break;
        }
        way.push(next);
    }
    let names: Vec<&str> = way.iter().map(|name| name.as_str()).collect();
    let message = format!("services wait for one another in a circle: {}", names.join(" → "));
    Some(
        Diagnostic::error("stack-cycle", message).at(services[first].location.clone()).help(
            "look at `depends_on`, and at the `depends` of the packages whose stacks they run",
        ),
    )
}
