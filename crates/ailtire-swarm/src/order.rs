//! The services of all stacks as one graph.

use std::collections::BTreeMap;

use ailtire_compose::Condition;
use ailtire_events::Diagnostic;

use crate::{Desired, DesiredService, DesiredStack};

/// Every service of a deployment, and what each waits for. A service is its index in `nodes`.
#[derive(Debug, Clone)]
pub(crate) struct Graph<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    /// What each service waits for.
    pub(crate) needs: Vec<Vec<usize>>,
    /// Whether somebody waits for its tasks to end well.
    pub(crate) must_complete: Vec<bool>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    /// Index of its stack, and its own one in that stack.
    pub(crate) place: (usize, usize),
    pub(crate) stack: &'a DesiredStack,
    pub(crate) service: &'a DesiredService,
}

impl Node<'_> {
    /// `stack/service`, as users read it.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.stack.path, self.service.name)
    }
}

impl<'a> Graph<'a> {
    pub(crate) fn new(desired: &'a Desired) -> Self {
        let mut nodes = Vec::new();
        let mut index = BTreeMap::new();
        for (at, stack) in desired.stacks.iter().enumerate() {
            for (number, service) in stack.services.iter().enumerate() {
                index.insert((at, service.name.as_str()), nodes.len());
                nodes.push(Node { place: (at, number), stack, service });
            }
        }
        let mut must_complete = vec![false; nodes.len()];
        let mut needs = Vec::new();
        for node in &nodes {
            let mut needed = Vec::new();
            for prerequisite in &node.service.after {
                let key = (prerequisite.stack, prerequisite.service.as_str());
                let Some(&other) = index.get(&key) else { continue };
                needed.push(other);
                must_complete[other] |=
                    prerequisite.condition == Condition::ServiceCompletedSuccessfully;
            }
            needed.sort_unstable();
            needed.dedup();
            needs.push(needed);
        }
        Self { nodes, needs, must_complete }
    }

    /// Whether some service waits for this one.
    pub(crate) fn is_needed(&self, node: usize) -> bool {
        self.needs.iter().any(|needs| needs.contains(&node))
    }

    /// Makes `later` wait for `earlier`.
    pub(crate) fn add(&mut self, later: usize, earlier: usize) {
        if later != earlier && !self.needs[later].contains(&earlier) {
            self.needs[later].push(earlier);
        }
    }

    /// Services in an order in which each comes after all that it waits for; or those of a cycle.
    pub(crate) fn sorted(&self) -> Result<Vec<usize>, Vec<usize>> {
        let mut sorted = Vec::new();
        let mut marks = vec![Mark::New; self.nodes.len()];
        for node in 0..self.nodes.len() {
            self.visit(node, &mut marks, &mut sorted, &mut Vec::new())?;
        }
        Ok(sorted)
    }

    fn visit(
        &self,
        node: usize,
        marks: &mut [Mark],
        sorted: &mut Vec<usize>,
        path: &mut Vec<usize>,
    ) -> Result<(), Vec<usize>> {
        path.push(node);
        match marks[node] {
            Mark::Done => {}
            Mark::Open => {
                let begin = path.iter().position(|it| *it == node).unwrap_or_default();
                return Err(path.split_off(begin));
            }
            Mark::New => {
                marks[node] = Mark::Open;
                for &needed in &self.needs[node] {
                    self.visit(needed, marks, sorted, path)?;
                }
                marks[node] = Mark::Done;
                sorted.push(node);
            }
        }
        path.pop();
        Ok(())
    }

    /// The error for services that wait for one another.
    pub(crate) fn cycle(&self, cycle: &[usize]) -> Diagnostic {
        let name = |node: &usize| {
            let Node { stack, service, .. } = self.nodes[*node];
            format!("{}/{}", stack.path, service.name)
        };
        let names: Vec<_> = cycle.iter().map(name).collect();
        let mut diagnostic = Diagnostic::error(
            "dependency-cycle",
            format!("services wait for one another: {}", names.join(" → ")),
        )
        .help("remove one of the dependencies");
        for (number, node) in cycle.iter().skip(1).enumerate() {
            let location = self.nodes[*node].service.location.clone();
            diagnostic = if number == 0 {
                diagnostic.at(location)
            } else {
                diagnostic.related(location, format!("then `{}`", name(node)))
            };
        }
        diagnostic
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Done,
}
