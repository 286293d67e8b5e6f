//! A service that says nothing but its image.

use std::collections::BTreeMap;

use ailtire_events::Location;

use crate::{Deploy, Service};

impl Service {
    /// A service of `image` at `location`; everything else is as the image and the engine have it.
    pub fn new(image: impl Into<String>, location: Location) -> Self {
        Self {
            image: image.into(),
            command: None,
            entrypoint: None,
            environment: BTreeMap::new(),
            working_dir: None,
            user: None,
            hostname: None,
            domainname: None,
            labels: BTreeMap::new(),
            init: None,
            tty: false,
            stdin_open: false,
            read_only: false,
            stop_signal: None,
            stop_grace_period: None,
            isolation: None,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            sysctls: BTreeMap::new(),
            ulimits: BTreeMap::new(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            extra_hosts: Vec::new(),
            healthcheck: None,
            logging: None,
            credential_spec: None,
            depends_on: BTreeMap::new(),
            networks: BTreeMap::new(),
            ports: Vec::new(),
            volumes: Vec::new(),
            configs: Vec::new(),
            secrets: Vec::new(),
            deploy: Deploy::default(),
            is_stack: false,
            family: None,
            image_location: location.clone(),
            location,
        }
    }
}
