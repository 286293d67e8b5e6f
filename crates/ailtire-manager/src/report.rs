//! What a manager says of its stack: the JSON of `GET /_admin/status`.

use ailtire_gateway::Route;
use ailtire_swarm::status::ServiceStatus;
use serde::{Deserialize, Serialize};

/// The version of the REST interface and of its JSON.
pub const API_VERSION: u32 = 1;

/// A stack, as its manager sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackReport {
    /// [`API_VERSION`].
    pub api: u32,
    /// The application instance.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The stack's name.
    pub name: String,
    /// The stack's instance.
    pub instance: String,
    /// The full path, `/` between its parts.
    pub path: String,
    /// Version of the application, where it was built for a release.
    pub version: Option<String>,
    /// How the stack is.
    pub state: StackState,
    /// Why it is so, where that is worth a word.
    pub message: Option<String>,
    /// Its services by name; those that are stacks are also in `children`.
    pub services: Vec<ServiceStatus>,
    /// The gateway's table, longest prefix first.
    pub routes: Vec<RouteEntry>,
    /// The stacks inside it, by service.
    pub children: Vec<ChildReport>,
    /// The stack that it is in.
    pub parent: Option<ParentReport>,
    /// The manager itself.
    pub manager: ManagerReport,
}

/// How a stack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StackState {
    /// It is being deployed for the first time, or changed.
    Deploying,
    /// All services are as they are to be.
    Running,
    /// Some service, or some stack inside, is not as it is to be.
    Degraded,
    /// It could not be deployed: the message says why.
    Failed,
    /// It is being removed.
    Stopping,
}

/// A route of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteEntry {
    /// Names it in `/_admin/route/show?id=`.
    pub id: u64,
    /// The route.
    #[serde(flatten)]
    pub route: Route,
    /// Whether it was added at run time, and is not of the design.
    pub added: bool,
}

/// A stack inside another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildReport {
    /// The service that runs its manager.
    pub service: String,
    /// Its instance.
    pub instance: String,
    /// Where its manager is reached from the browser through this gateway, if a route leads there.
    pub link: Option<String>,
    /// When its manager announced itself last, in milliseconds since 1970.
    pub registered_at: Option<u64>,
    /// What it says of itself, where it could be asked.
    pub report: Option<Box<StackReport>>,
    /// Why it could not be asked.
    pub error: Option<String>,
}

/// The stack that a stack is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentReport {
    /// Its instance.
    pub instance: String,
    /// Whether its manager took the last announcement.
    pub is_reached: bool,
    /// Its state, as it answered.
    pub state: Option<StackState>,
}

/// A manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerReport {
    /// Its version.
    pub version: String,
    /// When it was started, in milliseconds since 1970.
    pub started_at: u64,
    /// The container that it runs in.
    pub container: String,
    /// The service that it is a task of.
    pub service: Option<String>,
}
