//! What a manager is told: the variables of its process and its command line.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ailtire_compose::{TLS_CERTIFICATE, TLS_KEY};
use ailtire_docker::EndpointOptions;
use ailtire_swarm::manager::{DOCKER_SOCKET, MANAGER_ALIAS, MANAGER_PORT, TOKEN_FILE};

/// How long a service may take to run and be healthy where nothing else is said.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Where a stack image has its stack.
const BUNDLE: &str = "/stack";

/// What a manager is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The application instance.
    pub(crate) application: Option<String>,
    /// The environment.
    pub(crate) environment: Option<String>,
    /// The stack's instance.
    pub(crate) instance: Option<String>,
    /// The stack's full path.
    pub(crate) path: Option<Vec<String>>,
    /// The short name of the service that this manager is.
    pub(crate) service: Option<String>,
    /// The stack that holds this one.
    pub(crate) parent: Option<ParentSettings>,
    /// Whether the REST interface and the page are there at all.
    pub(crate) has_admin: bool,
    /// Whether the stack is removed when the manager is told to stop.
    pub(crate) removes_on_stop: bool,
    /// How long a service may take to run and be healthy.
    pub(crate) timeout: Duration,
    /// The directory with the stack's design.
    pub(crate) bundle: PathBuf,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The file with the application's token.
    pub(crate) token_file: PathBuf,
    /// The files with the certificate and its key.
    pub(crate) tls: [PathBuf; 2],
    /// Where the engine is.
    pub(crate) engine: EndpointOptions,
    /// Whether what requests say of those before us (`X-Forwarded-For` and the like) is believed.
    pub(crate) trusts_forwarded: bool,
    /// All variables, for what the design left to them.
    pub(crate) variables: BTreeMap<String, String>,
}

/// The stack that holds this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParentSettings {
    /// Its instance.
    pub(crate) instance: String,
    /// Where its manager is.
    pub(crate) host: String,
    /// The family network that it has.
    pub(crate) network: String,
}

impl Settings {
    /// What the variables of a process say. An empty one counts as absent.
    pub(crate) fn from_variables(variables: BTreeMap<String, String>) -> Self {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let is_on = |name: &str| get(name).is_some_and(|value| value != "0" && value != "off");
        let file = |name: &str, default: &str| get(name).map_or(default.into(), PathBuf::from);
        let mut engine = EndpointOptions::from_environment(&variables);
        if engine.host.is_none() && engine.context.is_none() {
            engine.host = Some(format!("unix://{DOCKER_SOCKET}"));
        }
        let parent = get("AILTIRE_PARENT").map(|instance| ParentSettings {
            instance,
            host: get("AILTIRE_PARENTHOST").unwrap_or_else(|| MANAGER_ALIAS.to_owned()),
            network: get("AILTIRE_PARENT_NETWORK").unwrap_or_default(),
        });
        let seconds = get("AILTIRE_TIMEOUT").and_then(|text| text.parse().ok());
        Self {
            application: get("AILTIRE_APPNAME"),
            environment: get("AILTIRE_ENV"),
            instance: get("AILTIRE_STACKNAME"),
            path: get("AILTIRE_STACKPATH").map(|path| path.split('/').map(str::to_owned).collect()),
            service: get("AILTIRE_SERVICENAME"),
            // Behind another manager it is that one's word; strangers could claim anything.
            trusts_forwarded: parent.is_some() || is_on("AILTIRE_TRUST_FORWARDED"),
            parent,
            has_admin: get("AILTIRE_ADMIN").is_none_or(|value| value != "off"),
            removes_on_stop: is_on("AILTIRE_REMOVE_ON_STOP"),
            timeout: seconds.map_or(TIMEOUT, Duration::from_secs),
            bundle: BUNDLE.into(),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, MANAGER_PORT)),
            token_file: file("AILTIRE_TOKEN_FILE", TOKEN_FILE),
            tls: [
                file("AILTIRE_TLS_CERTIFICATE_FILE", &format!("/run/secrets/{TLS_CERTIFICATE}")),
                file("AILTIRE_TLS_KEY_FILE", &format!("/run/secrets/{TLS_KEY}")),
            ],
            engine,
            variables,
        }
    }

    /// Takes `arguments` of the command line in: `--stack DIRECTORY` and `--listen ADDRESS`.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(crate) fn with_arguments(
        mut self,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut value = || {
                let value = value.clone().or_else(|| arguments.next());
                value.ok_or_else(|| format!("`{name}` wants a value"))
            };
            match name.as_str() {
                "--stack" => self.bundle = value()?.into(),
                "--listen" => {
                    let text = value()?;
                    let wrong = |_| format!("`{text}` is no address with a port");
                    self.listen = text.parse().map_err(wrong)?;
                }
                _ => return Err(format!("`{name}` is no argument of this program")),
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::from_variables(variables.collect())
    }

    #[test]
    fn a_root_without_any_variable() {
        let settings = settings(&[("AILTIRE_PARENT", ""), ("AILTIRE_STACKNAME", "")]);
        assert_eq!((settings.parent, settings.instance), (None, None));
        assert!(settings.has_admin && !settings.removes_on_stop);
        assert_eq!(settings.listen.port(), MANAGER_PORT);
        assert_eq!(settings.engine.host.as_deref(), Some("unix:///var/run/docker.sock"));
    }

    #[test]
    fn a_child_knows_its_parent() {
        let settings = settings(&[
            ("AILTIRE_PARENT", "shop-dev"),
            ("AILTIRE_PARENT_NETWORK", "shop_family"),
            ("AILTIRE_STACKPATH", "shop-dev/orders"),
            ("AILTIRE_ADMIN", "off"),
        ]);
        let parent = settings.parent.unwrap();
        assert_eq!((&*parent.host, &*parent.network), ("admin", "shop_family"));
        assert_eq!(settings.path.unwrap(), ["shop-dev", "orders"]);
        assert!(!settings.has_admin);
    }

    #[test]
    fn arguments_win() {
        let with = |arguments: &[&str]| {
            settings(&[]).with_arguments(arguments.iter().map(|it| (*it).to_owned()))
        };
        let settings = with(&["--stack", "here", "--listen=127.0.0.1:0"]).unwrap();
        assert_eq!(settings.bundle, PathBuf::from("here"));
        assert_eq!(settings.listen.to_string(), "127.0.0.1:0");
        assert_eq!(with(&["--listen", "3000"]).unwrap_err(), "`3000` is no address with a port");
        assert_eq!(with(&["--stack"]).unwrap_err(), "`--stack` wants a value");
        assert_eq!(with(&["now"]).unwrap_err(), "`now` is no argument of this program");
    }
}
