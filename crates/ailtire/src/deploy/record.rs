//! What the history keeps of a deployment.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ailtire_docker::Engine;
use ailtire_events::{FieldChange, ObjectAction};
use ailtire_swarm::{Changes, Deed, Desired, Entry, History, Outcome, Scope};

use crate::Error;

/// Does `work`, of which the history knows from its beginning on.
pub(crate) async fn record(
    engine: &Engine,
    desired: &Desired,
    changes: &Changes,
    whose: (Deed, &str),
    work: impl Future<Output = Result<Outcome, Error>>,
) -> Result<Outcome, Error> {
    let history = History::read(engine, &desired.identity).await?;
    record_in(&history, engine, desired, changes, whose, work).await
}

/// Does `work`, of which `history` knows from its beginning on.
pub(super) async fn record_in(
    history: &History,
    engine: &Engine,
    desired: &Desired,
    changes: &Changes,
    (what, by): (Deed, &str),
    work: impl Future<Output = Result<Outcome, Error>>,
) -> Result<Outcome, Error> {
    let entry = entry_of(desired, changes, history, what, by);
    let begun = history.begin(engine, entry).await?;
    let outcome = match work.await {
        Ok(outcome) => outcome,
        // Whatever was done until then stays.
        Err(error) => {
            drop(history.leave(engine, begun).await);
            return Err(error);
        }
    };
    match &outcome.error {
        None => drop(history.finish(engine, begun).await?),
        // What went wrong is to be told, and not that the history can't be written for it.
        Some(_) if outcome.left_changes => drop(history.leave(engine, begun).await),
        Some(_) => drop(begun.withdraw(engine).await),
    }
    Ok(outcome)
}

/// What the history is to say of a deployment.
fn entry_of(
    desired: &Desired,
    changes: &Changes,
    history: &History,
    what: Deed,
    by: &str,
) -> Entry {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // What a run did that this one goes on with was done since the entry before, too.
    let unfinished = history.last().filter(|last| last.unfinished);
    let mut all = unfinished.map(|last| last.changes.clone()).unwrap_or_default();
    all.extend(reasons(changes));
    Entry {
        number: 0,
        at: at.as_millis().try_into().unwrap_or(u64::MAX),
        by: by.to_owned(),
        what,
        desired: whole(desired, history),
        changes: all,
        unfinished: true,
    }
}

/// All that runs now: what was deployed, and of the entry before the stacks that this deployment
/// left alone.
fn whole(desired: &Desired, history: &History) -> Desired {
    let mut whole = Desired { scope: Scope::default(), ..desired.clone() };
    let Some(last) = history.last() else { return whole };
    let index_of = |whole: &Desired, namespace: &str| {
        whole.stacks.iter().position(|stack| stack.namespace == namespace)
    };
    let others: Vec<_> = last
        .desired
        .stacks
        .iter()
        .filter(|stack| index_of(desired, &stack.namespace).is_none())
        .filter(|stack| !desired.covers(&stack.namespace))
        .collect();
    whole.stacks.extend(others.iter().map(|stack| (*stack).clone()));
    let begin = desired.stacks.len();
    for index in begin..whole.stacks.len() {
        let old = &last.desired.stacks;
        let mut stack = whole.stacks[index].clone();
        let moved = |old_index: usize| index_of(&whole, &old[old_index].namespace);
        stack.parent = stack.parent.and_then(moved);
        for prerequisite in stack.services.iter_mut().flat_map(|service| &mut service.after) {
            prerequisite.stack = moved(prerequisite.stack).unwrap_or(index);
        }
        whole.stacks[index] = stack;
    }
    whole
}

fn reasons(changes: &Changes) -> BTreeMap<String, Vec<FieldChange>> {
    let services = changes.services().map(|(_, service)| service);
    services
        .filter(|service| service.action != ObjectAction::Untouched)
        .map(|service| (service.full_name.clone(), service.changes.clone()))
        .collect()
}
