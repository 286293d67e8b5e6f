//! The family network of a stack, as the stack that holds it knows it.
//!
//! A parent makes it, since its service for the child's manager is on it; the child's design says
//! what it is. So it is written down twice, and both come out alike.

use std::collections::BTreeMap;

use crate::template;
use crate::variables::Variables;
use crate::{Ipam, IpamPool, Network, StackContext, StackDesign, symbol};

/// What a design may call the network; the first one that there is.
const KEYS: [&str; 2] = ["children", "family"];

/// The family network of a stack whose design was read with [`crate::Purpose::Image`], for
/// [`crate::Service::family`] of the service that runs the stack. None where it is nothing special.
pub fn family_template(design: &StackDesign) -> Option<Network> {
    let (key, network) = KEYS.iter().find_map(|key| Some((key, design.networks.get(*key)?)))?;
    let mut network = network.clone();
    network.location = None;
    if network.name.is_none() && !network.external {
        network.name = Some(format!("{}_{key}", symbol::variable("AILTIRE_STACKNAME")));
    }
    let template = with_texts(&network, &symbol::written);
    (template != standard(format!("${{{}}}", crate::variables::FAMILY_NETWORK))).then_some(template)
}

impl StackContext {
    /// The family network of the stack that this is the context of; `template` is
    /// [`crate::Service::family`] of the service that runs it.
    pub fn family_definition(&self, template: Option<&Network>) -> Network {
        let Some(template) = template else { return standard(self.family_network()) };
        let variables = Variables::new(self, BTreeMap::new());
        with_texts(template, &|text| template::replace(text, &|name| variables.get(name)).0)
    }
}

fn standard(name: String) -> Network {
    let driver = Some("overlay".to_owned());
    Network { name: Some(name), driver, attachable: true, ..Network::default() }
}

/// `network` with each of its texts changed.
fn with_texts(network: &Network, change: &dyn Fn(&str) -> String) -> Network {
    let maybe = |text: &Option<String>| text.as_deref().map(change);
    let pairs = |pairs: &BTreeMap<String, String>| {
        pairs.iter().map(|(key, value)| (change(key), change(value))).collect()
    };
    Network {
        name: maybe(&network.name),
        external: network.external,
        driver: maybe(&network.driver),
        driver_opts: pairs(&network.driver_opts),
        attachable: network.attachable,
        internal: network.internal,
        labels: pairs(&network.labels),
        ipam: network.ipam.as_ref().map(|ipam| Ipam {
            driver: maybe(&ipam.driver),
            config: ipam
                .config
                .iter()
                .map(|pool| IpamPool { subnet: change(&pool.subnet) })
                .collect(),
        }),
        location: None,
    }
}
