//! What there is to managers besides what they deploy: their token, their removal, and waiting for
//! what they do.

use std::collections::BTreeSet;

use std::collections::BTreeMap;
use std::time::Duration;

use ailtire_events::{EventKind, ObjectAction, ObjectKind};
use ailtire_swarm::spec::{FileTarget, NetworkSpec, SecretReference};
use ailtire_swarm::token::{self, Token};
use ailtire_swarm::{
    ApplyError, FollowOptions, Followed, ObservedService, Outcome, PlanOptions, RemoveOptions,
    ResolvedImage, RootManager, RootService, ServiceEnd, follow, label, manager, observe,
    observe_all, plan, remove,
};
use serde_json::Value;

use crate::support::{Lab, image};

/// What runs in place of a manager.
const RUNS: &str = "sleep 1000";

/// A root's manager that does nothing.
fn root(lab: &Lab) -> RootService {
    let setup = manager::ManagerSetup {
        instance: lab.namespace().to_owned(),
        path: lab.namespace().to_owned(),
        family_network: format!("{}_family", lab.namespace()),
        token_secret: token::secret_name(&lab.desired.identity.root),
    };
    let image = ResolvedImage { run: image(), fingerprint: None };
    RootManager {
        identity: &lab.desired.identity,
        setup,
        reference: &image.run,
        image: &image,
        version: None,
        ports: &[],
        certificate: None,
        environment: BTreeMap::new(),
        location: ailtire_events::Location::file("deploy/deploy.js"),
    }
    .service()
}

/// Makes what a root's manager needs, and then its service; its id.
async fn start_root(lab: &mut Lab, root: &RootService, command: &str) -> String {
    let token = Token::random().unwrap();
    let secret = token::create(&lab.engine, &lab.desired.identity, &token).await.unwrap();
    let network = NetworkSpec {
        name: format!("{}_family", lab.namespace()),
        driver: "overlay".to_owned(),
        labels: lab.labels(),
        ..NetworkSpec::default()
    };
    lab.engine.post("/networks/create").body(&network).done().await.unwrap();
    let external = ailtire_swarm::External { name: secret, location: None };
    lab.desired.stacks[0].external_secrets.push(external);
    let observed = observe(&lab.engine, &lab.desired()).await.unwrap();
    let id = root.apply(&lab.engine, &observed, None).await.unwrap();
    // The image of these tests has no manager: something else runs in its place.
    let path = format!("/services/{id}");
    let service: Value = lab.engine.get(&*path).json().await.unwrap();
    let mut spec = service["Spec"].clone();
    spec["TaskTemplate"]["ContainerSpec"]["Args"] =
        serde_json::json!(["/bin/busybox", "sh", "-c", command]);
    spec["TaskTemplate"]["ContainerSpec"]["StopSignal"] = "SIGKILL".into();
    let update = lab.engine.post(format!("{path}/update"));
    let update = update.query("version", &service["Version"]["Index"]);
    update.body(&spec).done().await.unwrap();
    id
}

/// Gives managers a new token; what became of them.
async fn rotated(lab: &Lab, token: &Token) -> Outcome {
    let identity = &lab.desired.identity;
    let wait = lab.options.wait;
    token::rotate(&lab.engine, identity, token, wait, &*lab.events, &lab.cancel).await.unwrap()
}

/// Secrets of the tasks of a service that did not end.
async fn secrets_of_tasks(lab: &Lab, id: &str) -> Vec<String> {
    let tasks: Vec<Value> = lab.engine.get("/tasks").filter("service", id).json().await.unwrap();
    let has_ended = |task: &&Value| {
        let state = task["Status"]["State"].as_str().unwrap();
        ["complete", "failed", "shutdown", "rejected", "remove", "orphaned"].contains(&state)
    };
    let going = tasks.iter().filter(|task| !has_ended(task));
    let secret = "/Spec/ContainerSpec/Secrets/0/SecretName";
    going.map(|task| task.pointer(secret).unwrap().as_str().unwrap().to_owned()).collect()
}

async fn secrets(lab: &Lab) -> Vec<String> {
    let found: Vec<Value> = lab.engine.get("/secrets").json().await.unwrap();
    let names = found.iter().map(|secret| secret["Spec"]["Name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with(lab.namespace())).collect()
}

/// Takes everything away, and expects that nothing is left.
async fn remove_all(lab: &Lab) {
    let options = RemoveOptions {
        namespaces: BTreeSet::default(),
        volumes: false,
        timeout: Duration::from_mins(1),
        keep: BTreeSet::default(),
    };
    let identity = &lab.desired.identity;
    lab.events.clear();
    let removed = remove(&lab.engine, identity, None, &options, &*lab.events, &lab.cancel).await;
    assert_eq!(removed.unwrap().failures, Vec::<String>::new());
    assert_eq!((lab.left().await, secrets(lab).await), (vec![], vec![]));
    let observed = observe_all(&lab.engine).await.unwrap();
    assert!(observed.service(lab.namespace()).is_none());
}

#[tokio::test]
async fn managers_go_first_and_the_token_last() {
    let mut lab = Lab::new("managers").await;
    lab.add("web", "sleep 1000");
    let child = lab.add("child", "sleep 1000");
    child.spec.labels.insert(label::MANAGER.to_owned(), "inner".to_owned());
    lab.deployed().await;
    let root = root(&lab);
    start_root(&mut lab, &root, RUNS).await;
    remove_all(&lab).await;
    let removed = lab.events.events().into_iter().filter_map(|event| match event {
        EventKind::ObjectChanged { kind, name, action: ObjectAction::Removed, .. } => {
            Some((kind, name))
        }
        _ => None,
    });
    let removed: Vec<(ObjectKind, String)> = removed.collect();
    let place = |name: &str| removed.iter().position(|(_, it)| it == name).unwrap();
    assert!(place("child") < place("web") && place(lab.namespace()) < place("web"), "{removed:?}");
    assert_eq!(removed.last().unwrap().0, ObjectKind::Secret, "{removed:?}");
}

#[tokio::test]
async fn a_new_token_replaces_managers_alone() {
    let mut lab = Lab::new("token").await;
    lab.add("web", "sleep 1000");
    lab.deployed().await;
    let root = root(&lab);
    let id = start_root(&mut lab, &root, RUNS).await;
    let first = token::secret_name(&lab.desired.identity.root);
    assert_eq!(secrets(&lab).await, std::slice::from_ref(&first));
    let web = lab.tasks("web").await;

    let identity = lab.desired.identity.clone();
    let chosen = Token::chosen("a token of my own choice".replace(' ', "-").as_str()).unwrap();
    let outcome = rotated(&lab, &chosen).await;
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!((outcome.summary.stacks, outcome.summary.updated), (1, 1));
    let second = token::find(&lab.engine, &identity).await.unwrap().unwrap();
    assert_ne!(second, first);
    assert_eq!(secrets_of_tasks(&lab, &id).await, std::slice::from_ref(&second));
    assert_eq!(secrets(&lab).await, std::slice::from_ref(&second));
    let service: ObservedService = lab.engine.get(format!("/services/{id}")).json().await.unwrap();
    let held = &service.spec.task_template.container_spec.secrets;
    let file = FileTarget {
        name: "ailtire-token".to_owned(),
        uid: "0".to_owned(),
        gid: "0".to_owned(),
        mode: 0o400,
    };
    let expected = SecretReference {
        secret_name: second,
        file: Some(file),
        secret_id: held[0].secret_id.clone(),
    };
    assert_eq!(held.as_slice(), [expected]);
    assert_eq!(lab.tasks("web").await, web);
    remove_all(&lab).await;
}

#[tokio::test]
async fn a_manager_that_does_not_run_with_its_new_token_is_told() {
    let mut lab = Lab::new("tokenless").await;
    let root = root(&lab);
    start_root(&mut lab, &root, "echo no use; exit 3").await;
    let outcome = rotated(&lab, &Token::random().unwrap()).await;
    assert!(matches!(outcome.error, Some(ApplyError::Failed { .. })), "{:?}", outcome.error);
    assert_eq!((outcome.summary.failed, outcome.summary.updated), (1, 0));
    let failure = lab.events.events().into_iter().find_map(|event| match event {
        EventKind::ServiceFailed { failure, .. } => Some(failure),
        _ => None,
    });
    let failure = failure.unwrap();
    assert_eq!((failure.exit_code, failure.log), (Some(3), vec!["no use".to_owned()]));

    lab.cancel.cancel();
    let outcome = rotated(&lab, &Token::random().unwrap()).await;
    assert!(matches!(outcome.error, Some(ApplyError::Cancelled)), "{:?}", outcome.error);
    assert_eq!(outcome.summary.interrupted, 1);
    lab.cancel = tokio_util::sync::CancellationToken::new();
    remove_all(&lab).await;
}

/// Waits for what somebody else deploys, be it at the same time.
async fn followed(lab: &Lab, root: &RootService, id: &str) -> Outcome {
    let desired = lab.desired();
    let before = observe(&lab.engine, &desired).await.unwrap();
    let planned = plan(&desired, &before, &PlanOptions::default()).unwrap();
    let followed =
        Followed { desired: &desired, planned: &planned, before: &before, root, root_id: id };
    lab.events.clear();
    let mut wait = lab.options.wait;
    wait.timeout = Duration::from_secs(20);
    let deploying = async {
        // Not before all that is looked at was looked at once.
        lab.events
            .wait_for(|event| matches!(event, EventKind::ObjectChanged { name, .. } if *name == lab.namespace()))
            .await;
        lab.deploy().await
    };
    let following =
        follow(&lab.engine, &followed, FollowOptions { wait }, &*lab.events, &lab.cancel);
    let (outcome, _) = tokio::join!(following, deploying);
    outcome
}

#[tokio::test]
async fn what_managers_do_is_waited_for() {
    let mut lab = Lab::new("follow").await;
    let root = root(&lab);
    let id = start_root(&mut lab, &root, RUNS).await;
    lab.add("web", "sleep 1000");
    lab.add("late", "sleep 1000").after = vec![crate::support::after("web")];
    let outcome = followed(&lab, &root, &id).await;
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let action = |outcome: &Outcome, service: &str| {
        let found = outcome.services.iter().find(|it| it.service == service).unwrap();
        assert!(matches!(found.end, ServiceEnd::Converged { .. }), "{found:?}");
        found.action
    };
    assert_eq!(action(&outcome, "late"), ObjectAction::Created);
    action(&outcome, lab.namespace());

    let container = &mut lab.service("web").spec.task_template.container_spec;
    container.env = vec!["CHANGED=yes".to_owned()];
    let outcome = followed(&lab, &root, &id).await;
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(action(&outcome, "web"), ObjectAction::Updated);
    assert_eq!(action(&outcome, "late"), ObjectAction::Untouched);
    remove_all(&lab).await;
}

#[tokio::test]
async fn a_service_that_fails_ends_the_waiting() {
    let mut lab = Lab::new("unfollowed").await;
    let root = root(&lab);
    let id = start_root(&mut lab, &root, RUNS).await;
    lab.add("web", "echo no use; exit 3");
    crate::support::stop(&mut lab);
    let outcome = followed(&lab, &root, &id).await;
    assert!(matches!(outcome.error, Some(ApplyError::Failed { .. })), "{:?}", outcome.error);
    remove_all(&lab).await;
}
