//! From designs to specs, without an engine.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod designs;
mod digests;
mod file_names;
mod findings;
mod specs;

use ailtire_compose::{Service, StackDesign};
use ailtire_events::Diagnostic;
use ailtire_swarm::spec::ServiceSpec;
use ailtire_swarm::{DesiredStack, Identity, ResolvedImages, StackToConvert, convert};

fn identity() -> Identity {
    Identity { application: "shop".into(), environment: "dev".into(), root: "shop-dev".into() }
}

fn convert_in(
    namespace: &str,
    design: &StackDesign,
    images: &ResolvedImages,
    version: Option<&str>,
) -> (DesiredStack, Vec<Diagnostic>) {
    convert(&StackToConvert {
        identity: &identity(),
        version,
        namespace,
        path: namespace,
        index: 3,
        parent: None,
        design,
        images,
    })
}

/// The stack that a design without faults comes to.
fn stack(design: &StackDesign) -> DesiredStack {
    let (stack, diagnostics) = convert_in("shop-dev", design, &ResolvedImages::new(), None);
    assert_eq!(diagnostics, []);
    stack
}

fn design_of(service: Service) -> StackDesign {
    StackDesign { services: designs::map([("web", service)]), ..StackDesign::default() }
}

/// The spec of the only service of a stack.
fn spec(design: &StackDesign) -> ServiceSpec {
    let [service] = stack(design).services.try_into().unwrap();
    service.spec
}
