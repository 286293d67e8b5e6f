//! Designs on disk, read, printed, and read again.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests write their own input")]

use std::collections::BTreeMap;
use std::path::Path;

use ailtire_compose::{ParentStack, Read, StackContext, StackDesign, read, to_yaml};
use ailtire_manifest::{EvaluationCache, LoadOptions, load};
use ailtire_terms::DesignSource;
use ailtire_tree::{StatIndex, Tree};

fn context(parent: bool) -> StackContext {
    let parent = parent.then(|| ParentStack {
        instance: "myapp-dev".into(),
        family_network: "myapp_myapp-dev_family".into(),
    });
    let child = parent.is_some().then(|| "mypackage".to_owned());
    StackContext {
        application: "myapp".into(),
        environment: "dev".into(),
        instance: if child.is_some() { "myapp-dev_mypackage-1" } else { "myapp-dev" }.into(),
        path: std::iter::once("myapp-dev".to_owned()).chain(child).collect(),
        parent,
        variables: BTreeMap::from([("LEVEL".to_owned(), "in$fo".to_owned())]),
        ..StackContext::default()
    }
}

fn tree(root: &Path) -> Tree {
    Tree::open(root, StatIndex::default()).unwrap()
}

/// Reads a compose file with the other files of its directory.
fn compose(text: impl AsRef<[u8]>, files: &[(&str, &str)], context: &StackContext) -> Read {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("api/deploy");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("docker-compose.yaml"), text).unwrap();
    for (name, content) in files {
        std::fs::write(directory.join(name), content).unwrap();
    }
    let source = DesignSource::Compose { path: "api/deploy/docker-compose.yaml".into() };
    read(&tree(root.path()), &source, context)
}

fn lines(read: &Read) -> Vec<String> {
    read.diagnostics
        .iter()
        .map(|diagnostic| {
            let place = diagnostic.location.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{place} {}: {}", diagnostic.code, diagnostic.message)
        })
        .collect()
}

fn good(read: Read) -> StackDesign {
    assert_eq!(lines(&read), [""; 0]);
    read.design.unwrap()
}

/// What is printed, read again as a compose file at the root, prints the same.
fn assert_stable(design: &StackDesign, context: &StackContext) {
    let printed = to_yaml(design);
    let again = good(compose(&printed, &[], context));
    assert_eq!(to_yaml(&again), printed);
}

/// What Docker's reference describes, as existing applications write it.
const EXISTING: &str = "\
version: \"3.7\"
services:
  mypackage:
    image: ${REPOSITORY-}myapp-mypackage:${TAG:-latest}
    stop_grace_period: 1m
    stop_signal: SIGINT
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock
    deploy:
      replicas: ${REPLICAS}
    environment:
      - AILTIRE_STACKNAME={{.Service.Name}}-{{.Task.Slot}}
      - AILTIRE_PARENT=${AILTIRE_STACKNAME}
      - AILTIRE_APPNAME=${APPNAME}
      - PRICE=5$$
    networks:
      - children
  web:
    image: web
    networks: [sibling, family]
networks:
  children:
    driver: overlay
    attachable: true
    name: ${AILTIRE_APPNAME}_myapp_family
  sibling:
    driver: overlay
";

#[test]
fn an_existing_compose_file() {
    let files = [(".env", "# of this machine\nexport REPLICAS=2\nTAG='1.$0'\n")];
    let mut context = context(false);
    context.process.insert("TAG".into(), "1.10".into());
    let design = good(compose(EXISTING, &files, &context));
    let package = &design.services["mypackage"];
    assert_eq!(package.image, "myapp-mypackage:1.10");
    assert_eq!(package.deploy.replicas, Some(2));
    let variable = |name: &str| package.environment[name].as_deref().unwrap();
    assert_eq!(variable("AILTIRE_STACKNAME"), "{{.Service.Name}}-{{.Task.Slot}}");
    assert_eq!(variable("AILTIRE_PARENT"), "myapp-dev");
    assert_eq!(variable("AILTIRE_SERVICENAME"), "mypackage");
    assert_eq!(variable("PRICE"), "5$");
    assert_eq!(variable("LEVEL"), "in$fo");
    assert_eq!(design.networks["children"].name.as_deref(), Some("myapp_myapp_family"));
    let names: Vec<&String> = design.networks.keys().collect();
    assert_eq!(names, ["children", "family", "sibling"]);
    assert_eq!(design.networks["family"].name.as_deref(), Some("myapp_myapp-dev_family"));
    assert_stable(&design, &context);
}

const SERVICES: &str = "module.exports = {
  services: {
    frontend: { image: 'gateway', networks: ['siblings', 'children'] },
    web: {
      image: 'web:${TAG:-1}',
      interface: { web: { path: '/app', port: 8080 }, '/web/socket.io': {} },
      policies: { scaling: { min: 2 }, timeout: { requestTimeout: 90500 }, circuit: { open: 1 } },
      environment: { PORT: 8080, PRICE: '5$$', EMPTY: '' },
      volumes: { data: { target: '/data' }, here: { source: './content', target: '/content' } },
      healthcheck: { test: 'curl -f http://localhost', interval: '10s' },
    },
    orders: {
      type: 'stack',
      image: 'orders',
      volumes: { docker: { source: '/var/run/docker.sock', target: '/var/run/docker.sock' } },
      interface: { '/orders': { path: '/', port: 3000, protocol: 'http' } },
      environment: {},
    },
  },
  policies: { retry: { maxRetries: 2 } },
  interface: { ports: { 80: 3000, 443: { target: 3000, mode: 'host' } } },
  data: { data: {} },
  networks: {},
};
";

/// Reads a `services.js` of an application of its own.
fn services(text: &str, context: &StackContext) -> Read {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("shop/deploy");
    std::fs::create_dir_all(&directory).unwrap();
    let deploy =
        "module.exports = { name: 'shop', contexts: { default: { design: './services.js' } } };";
    std::fs::write(directory.join("deploy.js"), deploy).unwrap();
    std::fs::write(directory.join("services.js"), text).unwrap();
    let tree = tree(&root.path().join("shop"));
    let options = LoadOptions { deployments: true, ..LoadOptions::default() };
    let loaded = load(&tree, &options, &EvaluationCache::default());
    let deployment = loaded.application.packages[0].deployment.as_ref();
    let deployment = deployment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let mut read = read(&tree, &deployment.design, context);
    // The one path that is another one each time.
    for service in read.design.iter_mut().flat_map(|design| design.services.values_mut()) {
        for mount in service.volumes.iter_mut().filter(|mount| mount.kind == "bind") {
            let here = tree.root().to_str().unwrap();
            mount.source = mount.source.take().map(|source| source.replace(here, "/shop"));
        }
    }
    read
}

fn assert_services(context: &StackContext, expected: snapbox::Data) {
    let read = services(SERVICES, context);
    assert_eq!(
        lines(&read),
        ["deploy/services.js:7:87 policy-not-applied: the policy \
             `services.web.policies.circuit.open` is not applied"]
    );
    let design = read.design.unwrap();
    assert!(design.services["orders"].is_stack);
    assert_eq!(design.services["web"].location.line, Some(4));
    snapbox::assert_data_eq!(to_yaml(&design), expected.raw());
    assert_stable(&design, context);
}

#[test]
fn services_js_of_the_root() {
    assert_services(&context(false), snapbox::file!["data/root.yaml"]);
}

#[test]
fn services_js_of_a_child() {
    assert_services(&context(true), snapbox::file!["data/child.yaml"]);
}

#[test]
fn what_is_wrong_with_a_services_js() {
    let text = "module.exports = {
  services: {
    web: { image: 'web', comand: 'x', environment: { A: '$1' } },
    worker: { type: 'stak', image: 'Worker', volumes: { here: 7 } },
  },
  serivces: {},
};
";
    let file = "deploy/services.js";
    assert_eq!(
        lines(&services(text, &context(false))),
        [
            format!("{file}:3:54 interpolation-syntax: this `$` begins no variable"),
            format!("{file}:4:15 unknown-service-type: there is no type of service `stak`"),
            format!(
                "{file}:4:57 invalid-type: `here` must be an object with `source` and `target`, \
                 not a number"
            ),
            format!("{file}:6:3 unknown-key: there is no top-level key `serivces`"),
            format!(
                "{file}:4:29 invalid-reference: `Worker` is no valid image reference: a \
                 repository name must be lower case"
            ),
        ]
    );
}

#[test]
fn everything_that_is_wrong_at_once() {
    let text = "\
services:
  web:
    image: ${IMAGE:?choose one}
    enviroment: {A: $1}
    command: echo ${HOME
    ports: ['80:80']
    ports: ['81:81']
  other:
    image: ${NOTHING}x
";
    let files = [(".env", "A=1\n2 3=4\n")];
    let read = compose(text, &files, &context(false));
    assert!(read.design.is_none());
    let file = "api/deploy/docker-compose.yaml";
    assert_eq!(
        lines(&read),
        [
            "api/deploy/.env:2:1 invalid-env-file: `2 3` is no name of a variable".to_owned(),
            format!("{file}:7:5 duplicate-key: the key `ports` is here twice"),
            format!("{file}:3:12 required-variable: the variable `IMAGE` is required: choose one"),
            format!("{file}:4:21 interpolation-syntax: this `$` begins no variable"),
            format!("{file}:5:19 interpolation-syntax: `${{HOME` is not the syntax of a variable"),
            format!(
                "{file}:9:12 unset-variable: the variable `NOTHING` is not set; it counts as empty"
            ),
        ]
    );
    let excerpt =
        |index: usize| read.diagnostics[index].location.as_ref().unwrap().excerpt.clone().unwrap();
    assert_eq!((excerpt(0), excerpt(3)), ("2 3=4".into(), "    enviroment: {A: $1}".into()));
}

#[test]
fn files_that_are_no_text() {
    let read = compose(b"services:\n  a: \xff\n", &[], &context(false));
    assert_eq!(
        lines(&read),
        [
            "api/deploy/docker-compose.yaml:2 not-utf-8: `api/deploy/docker-compose.yaml` is not UTF-8"
        ]
    );
    let root = tempfile::tempdir().unwrap();
    let source = DesignSource::Compose { path: "gone.yaml".into() };
    let read = ailtire_compose::read(&tree(root.path()), &source, &context(false));
    assert_eq!(
        lines(&read),
        ["gone.yaml unreadable-file: `gone.yaml` can't be read: no such file"]
    );
    assert!(read.design.is_none());
}

#[test]
fn a_plain_compose_file_gains_variables_only() {
    let text = "services:\n  web:\n    image: nginx\n";
    let design = good(compose(text, &[], &context(false)));
    assert!(design.networks.is_empty());
    assert_eq!(design.services["web"].networks.keys().collect::<Vec<_>>(), ["default"]);
    assert_stable(&design, &context(false));
}
