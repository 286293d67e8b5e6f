//! Services that somebody gave another number of tasks than their design does.

use crate::spec::{ServiceMode, ServiceSpec};
use crate::{Desired, Observed, label};

/// How many tasks a spec asks for, where that is a number.
pub fn replicas(spec: &ServiceSpec) -> Option<u64> {
    match &spec.mode {
        None => Some(1),
        Some(ServiceMode::Replicated { replicas }) => Some(replicas.unwrap_or(1)),
        Some(_) => None,
    }
}

/// Makes `spec` one of so many tasks, and remembers what its design says.
pub fn scale(spec: &mut ServiceSpec, number: u64) {
    let designed = match spec.labels.get(label::SCALE).and_then(|text| scale_of(text)) {
        Some((_, designed)) => designed,
        None => replicas(spec).unwrap_or(1),
    };
    spec.mode = Some(ServiceMode::Replicated { replicas: Some(number) });
    if number == designed {
        spec.labels.remove(label::SCALE);
    } else {
        spec.labels.insert(label::SCALE.to_owned(), format!("{number}/{designed}"));
    }
    spec.labels.insert(label::DIGEST.to_owned(), spec.digest());
}

/// The two numbers of the label: what was asked for by hand, and what the design said then.
fn scale_of(text: &str) -> Option<(u64, u64)> {
    let (number, designed) = text.split_once('/')?;
    Some((number.parse().ok()?, designed.parse().ok()?))
}

/// Keeps services at the number of tasks that somebody chose, until the design names another one.
pub fn keep_scales(desired: &mut Desired, observed: &Observed) {
    for service in desired.stacks.iter_mut().flat_map(|stack| &mut stack.services) {
        let found = observed.service(&service.spec.name);
        let label = found.and_then(|found| found.spec.labels.get(label::SCALE));
        if let Some((number, designed)) = label.and_then(|text| scale_of(text))
            && replicas(&service.spec) == Some(designed)
        {
            scale(&mut service.spec, number);
        }
    }
}
