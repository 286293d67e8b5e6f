//! What is to run of the manager's own stack.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_compose::StackDesign;
use ailtire_events::{Diagnostic, Location};
use ailtire_swarm::manager::ManagerSetup;
pub(crate) use ailtire_swarm::scale::{keep_scales, replicas, scale};
use ailtire_swarm::spec::NetworkSpec;
use ailtire_swarm::{
    Desired, DesiredService, DesiredStack, External, Observed, ResolvedImages, Scope,
    StackToConvert, convert, family_network,
};

use crate::place::{Child, Place};

/// What is to be known besides the design.
pub(crate) struct Setup<'a> {
    pub(crate) place: &'a Place,
    pub(crate) version: Option<&'a str>,
    pub(crate) images: &'a ResolvedImages,
    /// Name of the secret with the application's token.
    pub(crate) token_secret: &'a str,
}

impl Setup<'_> {
    /// The stack itself, then the networks that the stacks inside it begin with.
    pub(crate) fn desired(&self, design: &StackDesign) -> Result<Desired, Vec<Diagnostic>> {
        let place = self.place;
        let path = place.path_text();
        let stack = self.stack((&place.instance, &path), None, design);
        let (mut own, errors) = convert(&stack);
        if !errors.is_empty() {
            return Err(errors);
        }
        let family = place.family_network(design);
        if own.networks.iter().all(|network| network.name != family) {
            own.networks.push(self.own_family(design, &family));
        }
        let mut children = Vec::new();
        for child in place.children(design) {
            let found = own.services.iter_mut().find(|service| service.name == child.service);
            if let Some(service) = found {
                self.dress(service, &child);
                children.push(self.outline(&child, design));
            }
        }
        if !children.is_empty() {
            // The application's, not this stack's.
            let name = self.token_secret.to_owned();
            own.external_secrets.push(External { name, location: None });
        }
        let stacks = [own].into_iter().chain(children).collect();
        Ok(Desired {
            identity: place.identity.clone(),
            version: self.version.map(str::to_owned),
            stacks,
            scope: Scope::Only { stacks: BTreeSet::from([place.instance.clone()]) },
        })
    }

    fn stack<'a>(
        &'a self,
        (namespace, path): (&'a str, &'a str),
        parent: Option<usize>,
        design: &'a StackDesign,
    ) -> StackToConvert<'a> {
        StackToConvert {
            identity: &self.place.identity,
            version: self.version,
            namespace,
            path,
            index: 0,
            parent,
            design,
            images: self.images,
        }
    }

    /// The stack's own family network, which its manager is on even if no service is.
    pub(crate) fn own_family(&self, design: &StackDesign, name: &str) -> NetworkSpec {
        let definition = ["children", "family"].iter().find_map(|key| design.networks.get(*key));
        let path = self.place.path_text();
        let stack = self.stack((&self.place.instance, &path), None, design);
        family_network(&stack, name, definition)
    }

    /// Makes a service the manager of a stack.
    fn dress(&self, service: &mut DesiredService, child: &Child) {
        let setup = ManagerSetup {
            instance: child.instance.clone(),
            path: child.path.clone(),
            family_network: child.family_network.clone(),
            token_secret: self.token_secret.to_owned(),
        };
        setup.add_to(&mut service.spec);
    }

    /// Of a stack inside, only its family network: its manager can't run without it.
    fn outline(&self, child: &Child, design: &StackDesign) -> DesiredStack {
        let stack = self.stack((&child.instance, &child.path), Some(0), design);
        DesiredStack {
            namespace: child.instance.clone(),
            path: child.path.clone(),
            parent: Some(0),
            networks: vec![family_network(&stack, &child.family_network, Some(&child.family))],
            external_networks: Vec::new(),
            configs: Vec::new(),
            external_configs: Vec::new(),
            secrets: Vec::new(),
            external_secrets: Vec::new(),
            services: Vec::new(),
        }
    }
}

/// The images that a design names, and where it does first.
pub(crate) fn images(design: &StackDesign) -> BTreeMap<String, Location> {
    let mut images = BTreeMap::new();
    for service in design.services.values() {
        let location = || service.image_location.clone();
        images.entry(service.image.clone()).or_insert_with(location);
    }
    images
}

/// Of what is to run, only what is not there: whatever somebody changed by hand stays as it is.
pub(crate) fn missing(desired: &Desired, observed: &Observed) -> Option<Desired> {
    let mut missing = Desired { scope: Scope::Only { stacks: BTreeSet::new() }, ..desired.clone() };
    for stack in &mut missing.stacks {
        stack.services.retain(|service| observed.service(&service.spec.name).is_none());
        stack.networks.retain(|network| observed.network(&network.name).is_none());
        stack.configs.retain(|config| observed.config(&config.name).is_none());
        stack.secrets.retain(|secret| observed.secret(&secret.name).is_none());
    }
    let names: BTreeSet<String> =
        missing.stacks[0].services.iter().map(|service| service.name.clone()).collect();
    for service in &mut missing.stacks[0].services {
        service.after.retain(|needed| names.contains(&needed.service));
    }
    let is_empty = |stack: &DesiredStack| {
        stack.services.is_empty()
            && stack.networks.is_empty()
            && stack.configs.is_empty()
            && stack.secrets.is_empty()
    };
    (!missing.stacks.iter().all(is_empty)).then_some(missing)
}

#[cfg(test)]
mod tests;
