//! The tree of stacks as its managers are to make it.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_docker::Engine;
use ailtire_events::{EventSink, Location};
use ailtire_swarm::manager::ManagerSetup;
use ailtire_swarm::spec::NetworkSpec;
use ailtire_swarm::{
    Changes, Desired, External, Identity, ResolvedImages, RootManager, RootService, StackToConvert,
    certificate, family_network,
};
use ailtire_terms::suggests_secret;

use super::UpOptions;
use crate::build::BuiltReference;
use crate::deploy::{DeployOptions, Deployment};
use crate::stacks::StackInstance;
use crate::{Application, Error};

/// Variables of the format that set up managers, and go to the root's where they are given.
const FOR_MANAGERS: [&str; 4] =
    ["AILTIRE_ADMIN", "AILTIRE_LOG", "AILTIRE_TIMEOUT", "AILTIRE_TRUST_FORWARDED"];

/// All that is to run.
pub(super) struct Tree {
    pub(super) desired: Desired,
    /// The managers of the stacks that run in no other one, the application's own first.
    pub(super) roots: Vec<RootService>,
    /// Their family networks.
    pub(super) networks: Vec<NetworkSpec>,
}

impl Application {
    /// What managers with the token in the secret `token_secret` make of the deployment.
    pub(super) async fn tree_of_managers(
        &self,
        deployment: &Deployment,
        built: &BTreeMap<String, BuiltReference>,
        token_secret: &str,
        options: &UpOptions,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<Tree, Error> {
        let settings = DeployOptions { resolve: options.resolve, ..DeployOptions::default() };
        let nothing = BTreeSet::new();
        // Managers know images by their ids, and what they make is what is waited for.
        let built = built.iter().map(|(reference, built)| {
            (reference.clone(), BuiltReference { digest: None, ..built.clone() })
        });
        let built = built.collect();
        let images = self.images(deployment, &built, &nothing, &settings, engine, sink).await?;
        let mut desired = self.convert(deployment, &images)?;
        let stacks = &deployment.tree().stacks;
        for (index, &stack) in deployment.selected().iter().enumerate() {
            for (name, &child) in &stacks[stack].stack_services {
                let services = desired.stacks[index].services.iter_mut();
                for service in services.filter(|service| service.name == *name) {
                    setup(&stacks[child], token_secret).add_to(&mut service.spec);
                }
            }
        }
        let roots: Vec<&StackInstance> =
            deployment.tree().roots().map(|root| &stacks[root]).collect();
        let networks = roots.iter().map(|root| family_network_of(root, &desired, &images));
        Ok(Tree {
            networks: networks.collect(),
            roots: roots
                .iter()
                .map(|root| self.root_manager(root, &desired.identity, &images, token_secret))
                .collect(),
            desired,
        })
    }

    /// The service of a root's manager.
    fn root_manager(
        &self,
        stack: &StackInstance,
        identity: &Identity,
        images: &ResolvedImages,
        token_secret: &str,
    ) -> RootService {
        let (reference, location) = self.stack_image(stack);
        let unknown = ailtire_swarm::ResolvedImage { run: reference.clone(), fingerprint: None };
        let context = &stack.context;
        let mut environment = BTreeMap::from([
            ("AILTIRE_APPNAME".to_owned(), context.application.clone()),
            ("AILTIRE_ENV".to_owned(), context.environment.clone()),
        ]);
        for name in FOR_MANAGERS {
            let sources = [&context.command_line, &context.variables];
            if let Some(value) = sources.iter().find_map(|source| source.get(name)) {
                environment.insert(name.to_owned(), value.clone());
            }
        }
        // Stack images hold none of these, so that their design asks the manager for them.
        let secret = context.command_line.iter().filter(|(name, _)| suggests_secret(name));
        environment.extend(secret.map(|(name, value)| (name.clone(), value.clone())));
        RootManager {
            identity,
            setup: setup(stack, token_secret),
            image: images.get(&reference).unwrap_or(&unknown),
            reference: &reference,
            version: self.version(),
            ports: &stack.design.ports,
            certificate: certificate(&to_convert(stack, identity, images)),
            environment,
            location,
        }
        .service()
    }

    /// The reference of the image that runs a stack, and where the stack is defined.
    fn stack_image(&self, stack: &StackInstance) -> (String, Location) {
        let deployment = self.definitions.packages[stack.package].deployment.as_ref();
        let found = deployment.and_then(|deployment| {
            let reference = deployment.references.first()?.clone();
            Some((reference, deployment.location.clone()))
        });
        // Whoever has an instance has a stack.
        found.unwrap_or_else(|| (stack.instance.clone(), Location::file("deploy/deploy.js")))
    }

    /// Images of the stacks that run in no other one.
    pub(crate) fn root_images(&self, deployment: &Deployment) -> BTreeMap<String, Location> {
        let tree = deployment.tree();
        tree.roots().map(|root| self.stack_image(&tree.stacks[root])).collect()
    }
}

/// The network that a root's manager is on from its start.
fn family_network_of(
    stack: &StackInstance,
    desired: &Desired,
    images: &ResolvedImages,
) -> NetworkSpec {
    let name = ManagerSetup::network_name(&stack.family_network);
    let made = desired.stacks.iter().flat_map(|stack| &stack.networks);
    let own = made.into_iter().find(|network| network.name == name);
    own.cloned().unwrap_or_else(|| {
        family_network(&to_convert(stack, &desired.identity, images), &name, None)
    })
}

/// A root stack, as far as what its manager gets from outside depends on it.
fn to_convert<'a>(
    stack: &'a StackInstance,
    identity: &'a Identity,
    images: &'a ResolvedImages,
) -> StackToConvert<'a> {
    StackToConvert {
        identity,
        version: None,
        namespace: &stack.instance,
        // A root is nowhere else than at the top.
        path: &stack.instance,
        index: 0,
        parent: None,
        design: &stack.design,
        images,
    }
}

fn setup(stack: &StackInstance, token_secret: &str) -> ManagerSetup {
    ManagerSetup {
        instance: stack.instance.clone(),
        path: stack.path.join("/"),
        family_network: stack.family_network.clone(),
        token_secret: token_secret.to_owned(),
    }
}

/// Says that the managers use the token's secret, which none of their stacks makes.
pub(super) fn name_token(desired: &mut Desired, secret: &str) {
    for stack in &mut desired.stacks {
        stack.external_secrets.push(External { name: secret.to_owned(), location: None });
    }
}

/// The part of `desired` and `planned` that lies below a root.
pub(super) fn below(
    root: &RootService,
    desired: &Desired,
    planned: &Changes,
) -> (Desired, Changes) {
    let is_below = |path: &str| path.split('/').next() == Some(root.instance());
    let (mut desired, mut planned) = (desired.clone(), planned.clone());
    desired.stacks.retain(|stack| is_below(&stack.path));
    planned.stacks.retain(|stack| is_below(&stack.path));
    (desired, planned)
}
