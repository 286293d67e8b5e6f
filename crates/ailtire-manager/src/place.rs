//! Which stack this manager has, and where it stands in the application.

use std::collections::BTreeMap;

use ailtire_compose::{
    Bundle, Network, ParentStack, Purpose, Service, StackContext, StackDesign, network_name,
};
use ailtire_swarm::Identity;
use ailtire_swarm::manager::child_instance;
use ailtire_swarm::token;

use crate::settings::Settings;
use crate::whoami::Own;

/// A stack, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) identity: Identity,
    /// The stack's instance.
    pub(crate) instance: String,
    /// The root's instance, then the names of the services that lead here.
    pub(crate) path: Vec<String>,
    pub(crate) parent: Option<ParentStack>,
    /// What this process is in the engine.
    pub(crate) own: Own,
}

/// A stack inside of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    /// The service that runs its manager.
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) path: String,
    /// Name of its family network.
    pub(crate) family_network: String,
    /// That network.
    pub(crate) family: Network,
}

impl Place {
    /// Where the stack of `bundle` stands.
    pub(crate) fn find(settings: &Settings, bundle: &Bundle, own: Own) -> Self {
        let environment =
            settings.environment.clone().unwrap_or_else(|| bundle.environment.clone());
        let instance = own.instance(settings).unwrap_or_else(|| {
            let application = settings.application.as_ref().unwrap_or(&bundle.application);
            Identity::new(application, &environment).root
        });
        let application = settings.application.clone().unwrap_or_else(|| instance.clone());
        let parent = settings.parent.as_ref().map(|parent| ParentStack {
            instance: parent.instance.clone(),
            family_network: parent.network.clone(),
        });
        Self {
            identity: Identity::new(&application, &environment),
            path: settings.path.clone().unwrap_or_else(|| vec![instance.clone()]),
            instance,
            parent,
            own,
        }
    }

    /// What designs of the stack are read for.
    pub(crate) fn context(
        &self,
        settings: &Settings,
        variables: BTreeMap<String, String>,
    ) -> StackContext {
        StackContext {
            application: self.identity.application.clone(),
            environment: self.identity.environment.clone(),
            instance: self.instance.clone(),
            path: self.path.clone(),
            parent: self.parent.clone(),
            command_line: variables,
            process: settings.variables.clone(),
            purpose: Purpose::Management,
            ..StackContext::default()
        }
    }

    /// The full path as text.
    pub(crate) fn path_text(&self) -> String {
        self.path.join("/")
    }

    /// Name of the stack's family network.
    pub(crate) fn family_network(&self, design: &StackDesign) -> String {
        let context = StackContext {
            application: self.identity.application.clone(),
            instance: self.instance.clone(),
            path: self.path.clone(),
            ..StackContext::default()
        };
        context.family_network_in(design)
    }

    /// Name of the secret with the application's token.
    pub(crate) fn token_secret(&self) -> String {
        token::secret_name(&self.identity.root)
    }

    /// The stack that `service` of this one runs.
    pub(crate) fn child(&self, name: &str, service: &Service) -> Child {
        let instance = child_instance(&self.instance, name);
        let mut path = self.path.clone();
        path.push(name.to_owned());
        let context = self.child_context(&instance, &path);
        let family = context.family_definition(service.family.as_ref());
        let family_network = network_name(&instance, "family", Some(&family));
        Child { service: name.to_owned(), instance, path: path.join("/"), family_network, family }
    }

    /// What the stack's own manager reads its design for, as far as its family network depends on it.
    fn child_context(&self, instance: &str, path: &[String]) -> StackContext {
        StackContext {
            application: self.identity.application.clone(),
            environment: self.identity.environment.clone(),
            instance: instance.to_owned(),
            path: path.to_vec(),
            parent: Some(ParentStack { instance: self.instance.clone(), ..ParentStack::default() }),
            ..StackContext::default()
        }
    }

    /// The stacks inside this one.
    pub(crate) fn children(&self, design: &StackDesign) -> Vec<Child> {
        let stacks = design.services.iter().filter(|(_, service)| service.is_stack);
        stacks.map(|(name, service)| self.child(name, service)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        Bundle {
            format: 1,
            name: "shop".to_owned(),
            package: "Shop".to_owned(),
            application: "shop".to_owned(),
            environment: "dev".to_owned(),
            version: None,
        }
    }

    fn place(variables: &[(&str, &str)]) -> Place {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let settings = Settings::from_variables(variables.collect());
        Place::find(&settings, &bundle(), Own::default())
    }

    #[test]
    fn without_a_word_it_is_the_root_of_its_bundle() {
        let place = place(&[]);
        assert_eq!(place.instance, "shop-dev");
        assert_eq!(place.path_text(), "shop-dev");
        // Only who names the application is part of one.
        assert_eq!(place.identity.application, "shop-dev");
    }

    #[test]
    fn a_child_is_named_by_its_parent_s_service() {
        let place = place(&[
            ("AILTIRE_APPNAME", "shop"),
            ("AILTIRE_ENV", "test"),
            ("AILTIRE_STACKNAME", "shop-test_orders-1"),
            ("AILTIRE_STACKPATH", "shop-test/orders"),
            ("AILTIRE_PARENT", "shop-test"),
        ]);
        assert_eq!(place.identity, Identity::new("shop", "test"));
        assert_eq!(place.token_secret(), "shop-test.token");
        let service = Service::new("image", ailtire_events::Location::file("compose.yaml"));
        let child = place.child("mail", &service);
        assert_eq!(child.instance, "shop-test_orders-1_mail-1");
        assert_eq!(child.path, "shop-test/orders/mail");
        assert_eq!(child.family_network, "shop_shop-test_orders_mail_family");
    }
}
