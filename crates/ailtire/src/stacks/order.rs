//! Which stack waits for which.

use std::collections::BTreeSet;

use ailtire_events::{Diagnostic, Location};
use ailtire_manifest::Package;

use super::StackInstance;

/// The packages with a stack that `package` depends on, through packages that have none.
pub(crate) fn needed_packages(packages: &[Package], package: usize) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut seen = BTreeSet::from([package]);
    let mut pending = packages[package].depends.clone();
    while let Some(next) = pending.pop() {
        if !seen.insert(next) {
            continue;
        }
        if packages[next].deployment.is_some() {
            needed.insert(next);
        } else {
            pending.extend(&packages[next].depends);
        }
    }
    needed
}

/// For each stack the stacks that it depends on: of each package that its own depends on, those
/// that are nearest to it, inside it first, then in the stack that holds it, and so on.
pub(super) fn depends(stacks: &[StackInstance], packages: &[Package]) -> Vec<Vec<usize>> {
    let mut all = Vec::with_capacity(stacks.len());
    for (index, stack) in stacks.iter().enumerate() {
        let mut depends = BTreeSet::new();
        for needed in needed_packages(packages, stack.package) {
            let candidates: Vec<usize> = (0..stacks.len())
                .filter(|&other| other != index && stacks[other].package == needed)
                .collect();
            let mut scope = Some(index);
            loop {
                let near = candidates.iter().filter(|&&other| is_within(stacks, other, scope));
                let before = depends.len();
                depends.extend(near);
                if depends.len() > before || scope.is_none() {
                    break;
                }
                scope = scope.and_then(|scope| stacks[scope].parent);
            }
        }
        all.push(depends.into_iter().collect());
    }
    all
}

/// Whether `stack` is `scope` or lies in it; everything lies in no scope.
fn is_within(stacks: &[StackInstance], stack: usize, scope: Option<usize>) -> bool {
    let Some(scope) = scope else { return true };
    std::iter::successors(Some(stack), |&stack| stacks[stack].parent).any(|above| above == scope)
}

/// An error for each circle that holding and depending make together: a stack is complete when
/// those that it holds are, and starts when those that it depends on are complete.
pub(super) fn cycles(stacks: &[StackInstance], packages: &[Package]) -> Vec<Diagnostic> {
    let edges: Vec<Vec<usize>> = stacks
        .iter()
        .map(|stack| stack.stack_services.values().chain(&stack.depends).copied().collect())
        .collect();
    let mut finished = vec![false; stacks.len()];
    let mut found = Vec::new();
    for start in 0..stacks.len() {
        // The way from `start`: each stack, and how many of its edges were followed.
        let mut way: Vec<(usize, usize)> = Vec::new();
        if !finished[start] {
            way.push((start, 0));
        }
        while let Some((stack, followed)) = way.last_mut() {
            let stack = *stack;
            let Some(&next) = edges[stack].get(*followed) else {
                finished[stack] = true;
                way.pop();
                continue;
            };
            *followed += 1;
            if let Some(position) = way.iter().position(|(on_way, _)| *on_way == next) {
                let cycle: Vec<usize> = way[position..].iter().map(|(index, _)| *index).collect();
                found.push(describe(stacks, packages, &cycle));
            } else if !finished[next] {
                way.push((next, 0));
            }
        }
    }
    found
}

fn describe(stacks: &[StackInstance], packages: &[Package], cycle: &[usize]) -> Diagnostic {
    let mut names: Vec<&str> = cycle.iter().map(|&stack| stacks[stack].instance.as_str()).collect();
    names.push(names[0]);
    let message = format!("stacks wait for one another in a circle: {}", names.join(" → "));
    let mut diagnostic = Diagnostic::error("stack-cycle", message)
        .help("take the package out of `depends`, or its stack out of the other's services");
    for (position, &from) in cycle.iter().enumerate() {
        let to = cycle[(position + 1) % cycle.len()];
        let holds = stacks[from].stack_services.values().any(|&child| child == to);
        let (holder, other) = (&packages[stacks[from].package], &packages[stacks[to].package]);
        let (holder_name, other_name) = (&holder.key, &other.key);
        if holds {
            diagnostic = diagnostic
                .detail(format!("the stack of `{holder_name}` runs that of `{other_name}`"));
            continue;
        }
        diagnostic = diagnostic.detail(format!("`{holder_name}` depends on `{other_name}`"));
        if let (None, Some(index_file)) = (&diagnostic.location, &holder.index_file) {
            diagnostic = diagnostic.at(Location::file(index_file));
        }
    }
    diagnostic
}
