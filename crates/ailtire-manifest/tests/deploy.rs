//! What `deploy.js` says of stacks.
#![allow(clippy::unwrap_used)] // A test may end at once.

mod common;

use ailtire_manifest::{Deployment, EvaluationCache, LoadOptions, Loaded, Orchestrator};
use ailtire_terms::DesignSource;
use common::{App, assert_clean, lines, only};

const SERVICES: &str = "module.exports = { services: { web: { image: 'web' } } };";

fn options(environment: &str) -> LoadOptions {
    LoadOptions { environment: environment.to_owned(), deployments: true, ..LoadOptions::default() }
}

/// An application with this `deploy.js`, beside a design of each kind.
fn app(deploy: &str) -> App {
    App::new(&[
        ("api/index.js", "module.exports = { name: 'My Shop', shortname: 'Shop' };"),
        ("deploy/deploy.js", deploy),
        ("deploy/services.js", SERVICES),
        ("deploy/docker-compose.yaml", "services: {}\n"),
    ])
}

fn load(app: &App, options: &LoadOptions) -> Loaded {
    app.load_with(options)
}

fn stack_in(deploy: &str, environment: &str) -> Deployment {
    let loaded = load(&app(deploy), &options(environment));
    assert_clean(&loaded);
    loaded.application.packages[0].deployment.clone().unwrap()
}

/// The stack for the default environment.
fn stack(deploy: &str) -> Deployment {
    stack_in(deploy, "default")
}

fn complaints(deploy: &str, environment: &str) -> Vec<String> {
    lines(&load(&app(deploy), &options(environment)))
}

fn path(design: &DesignSource) -> &str {
    match design {
        DesignSource::Compose { path } | DesignSource::Services { path, .. } => path,
    }
}

#[test]
fn every_field_is_read() {
    let deploy = "module.exports = {\n  name: 'Team/Shop',\n  contexts: {\n    default: {},\n    \
                  dev: { type: 'swarm', tag: 'shop:dev', design: 'services.js', \
                  env: { A: 'a', B: 2, C: true } },\n    kube: { type: 'k8s' },\n  },\n};";
    let dev = stack_in(deploy, "dev");
    assert_eq!((dev.name.as_str(), dev.orchestrator), ("team/shop", Orchestrator::Swarm));
    assert_eq!(dev.references, ["team/shop:latest", "shop:dev"]);
    let DesignSource::Services { path, exported } = &dev.design else { panic!("{dev:?}") };
    assert_eq!(path, "deploy/services.js");
    assert!(exported.get("services").unwrap().get("web").unwrap().position.is_some());
    let variables: Vec<_> = dev.variables.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(variables, ["A=a", "B=2", "C=true"]);
    assert_eq!(dev.location.to_string(), "deploy/deploy.js:5:5");
    // Nothing but Swarm runs stack images.
    let kube = load(&app(deploy), &options("kube"));
    assert_eq!(only(&kube).code, "no-stack-image");
    assert_eq!(kube.application.images.len(), 0);
    let stack = kube.application.packages[0].deployment.as_ref().unwrap();
    assert_eq!(stack.orchestrator, Orchestrator::K8s);
    let loaded = load(&app(deploy), &options("default"));
    let [image] = &loaded.application.images[..] else { panic!("{:?}", loaded.application) };
    assert_eq!((image.is_stack, image.reference()), (true, "team/shop:latest"));
    assert_eq!(loaded.environments.into_iter().collect::<Vec<_>>(), ["default", "dev", "kube"]);
}

#[test]
fn nothing_is_read_unless_stacks_are_asked_for() {
    let app = app("broken(");
    let loaded = load(&app, &LoadOptions::default());
    assert_clean(&loaded);
    assert_eq!(loaded.application.packages[0].deployment, None);
    assert!(loaded.environments.is_empty());
}

#[test]
fn the_name_is_the_short_name_by_default_and_lower_case() {
    assert_eq!(stack("module.exports = { contexts: { default: {} } };").name, "shop");
    let app = App::new(&[
        ("api/index.js", "module.exports = { name: 'My Shop' };"),
        ("deploy/deploy.js", "module.exports = { contexts: { default: {} } };"),
        ("deploy/services.js", SERVICES),
    ]);
    let loaded = load(&app, &options("default"));
    assert_eq!(loaded.application.packages[0].deployment.as_ref().unwrap().name, "myshop");
}

#[test]
fn objects_are_environments_where_there_are_no_contexts() {
    let deploy = "module.exports = { name: 's', default: { design: 'services.js' }, \
                  dev: { file: 'docker-compose.yaml' } };";
    assert_eq!(path(&stack(deploy).design), "deploy/services.js");
    assert_eq!(path(&stack_in(deploy, "dev").design), "deploy/docker-compose.yaml");
    // What no environment is defined for falls back; the name is likely wrong.
    assert_eq!(
        complaints(deploy, "dve"),
        ["warning[unknown-environment] no image or stack has a context for the environment \
             `dve`"]
    );
    assert_eq!(
        complaints("module.exports = { nmae: 's', default: {} };", "default"),
        ["warning[unknown-field] `nmae` is not a known field, and is ignored @ \
          deploy/deploy.js:1:20"]
    );
}

#[test]
fn without_environments_there_is_no_stack() {
    for deploy in ["module.exports = {};", "module.exports = { contexts: {} };"] {
        let loaded = load(&app(deploy), &options("default"));
        assert_eq!(loaded.application.packages[0].deployment, None);
        assert!(lines(&loaded)[0].starts_with("warning[empty-contexts]"), "{:?}", lines(&loaded));
    }
    assert_eq!(
        complaints("module.exports = {\n  name: 's',\n  design: 'services.js',\n};", "default"),
        ["error[no-contexts] `design` stands outside of an environment @ deploy/deploy.js:3:3"]
    );
}

#[test]
fn an_environment_without_an_entry_has_no_stack() {
    let deploy = "module.exports = { contexts: { local: {} } };";
    let loaded = load(&app(deploy), &options("dev"));
    assert_eq!(loaded.application.packages[0].deployment, None);
    assert_eq!(
        lines(&loaded)[0],
        "warning[no-context] the package `MyShop` has no stack in the environment `dev` @ \
         deploy/deploy.js:1:20"
    );
    let loaded = load(&app(deploy), &options("locla"));
    let help = loaded.diagnostics[0].help.as_deref().unwrap();
    assert!(help.starts_with("did you mean `local`?"), "{help}");
}

#[test]
fn a_file_wins_over_a_design() {
    let entry =
        |fields: &str| format!("module.exports = {{ contexts: {{ default: {{ {fields} }} }} }};");
    let design = |fields: &str| path(&stack(&entry(fields)).design).to_owned();
    assert_eq!(design("file: 'docker-compose.yaml'"), "deploy/docker-compose.yaml");
    assert_eq!(
        design("file: 'docker-compose.yaml', design: 'services.js'"),
        "deploy/docker-compose.yaml"
    );
    assert_eq!(design("design: './docker-compose.yaml'"), "deploy/docker-compose.yaml");
    assert_eq!(design("design: `${__dirname}/services.js`"), "deploy/services.js");
    assert_eq!(design("type: 'swarm'"), "deploy/services.js");
    let both = "module.exports = {\n  contexts: { default: {\n    file: 'stack.yml',\n    \
                design: 'services.js',\n  } },\n};";
    let loaded = load(&app(both), &options("default"));
    assert_eq!(
        lines(&loaded),
        ["warning[missing-file] `deploy/stack.yml` does not exist, and `deploy/services.js` is \
          used instead @ deploy/deploy.js:3:5"]
    );
    let deployment = loaded.application.packages[0].deployment.as_ref().unwrap();
    assert_eq!(path(&deployment.design), "deploy/services.js");
}

#[test]
fn without_a_design_only_that_environment_is_wrong() {
    let deploy = "module.exports = { contexts: {\n  default: { design: 'services.js' },\n  \
                  dev: { file: 'dev.yaml', design: 'dev.js' },\n  test: { file: '.' },\n  \
                  out: { file: '../../x.yaml' },\n  abs: { file: '/etc/x.yaml' },\n  \
                  text: { file: 'notes.txt' },\n} };";
    assert_eq!(path(&stack(deploy).design), "deploy/services.js");
    assert_eq!(
        complaints(deploy, "dev"),
        ["error[no-design] the stack has no design: looked for `deploy/dev.yaml` and \
          `deploy/dev.js` @ deploy/deploy.js:3:10"]
    );
    assert_eq!(
        complaints(deploy, "test"),
        ["error[no-design] the stack has no design: looked for `deploy` (a directory) @ \
          deploy/deploy.js:4:11"]
    );
    assert_eq!(
        complaints(deploy, "out"),
        ["error[path-outside] `../../x.yaml` leads out of the application root @ \
          deploy/deploy.js:5:10"]
    );
    assert_eq!(
        complaints(deploy, "abs"),
        ["error[absolute-path] `/etc/x.yaml` is an absolute path @ deploy/deploy.js:6:10"]
    );
    let app = app(deploy);
    app.write("deploy/notes.txt", "");
    assert_eq!(
        lines(&load(&app, &options("text"))),
        ["error[invalid-design] `deploy/notes.txt` is neither a compose file nor a \
          `services.js` @ deploy/deploy.js:7:11"]
    );
}

#[test]
fn what_lies_beside_is_the_design_where_none_is_named() {
    let app = app("module.exports = { contexts: { default: {} } };");
    let found = |app: &App| {
        let loaded = load(app, &options("default"));
        let deployment = loaded.application.packages[0].deployment.clone();
        (deployment.map(|found| path(&found.design).to_owned()), lines(&loaded))
    };
    app.remove("deploy/services.js");
    assert_eq!(found(&app).0.unwrap(), "deploy/docker-compose.yaml");
    app.remove("deploy/docker-compose.yaml");
    app.write("deploy/docker-compose.yml", "services: {}\n");
    assert_eq!(found(&app).0.unwrap(), "deploy/docker-compose.yml");
    app.remove("deploy/docker-compose.yml");
    assert_eq!(
        found(&app),
        (
            None,
            vec![
                "error[no-design] the stack has no design: there is none of `services.js`, \
                 `docker-compose.yaml`, `docker-compose.yml` beside `deploy.js` @ \
                 deploy/deploy.js:1:32"
                    .to_owned()
            ]
        )
    );
}

#[test]
fn a_broken_design_is_reported_where_it_is_broken() {
    let app = app("module.exports = { contexts: { default: {} } };");
    app.write("deploy/services.js", "module.exports = {\n  services: missing,\n};");
    let loaded = load(&app, &options("default"));
    assert!(lines(&loaded)[0].ends_with("@ deploy/services.js:2:13"), "{:?}", lines(&loaded));
    app.write("deploy/services.js", "module.exports = ['a'];");
    assert_eq!(
        lines(&load(&app, &options("default"))),
        ["error[export-not-object] an object must be exported, not a list @ \
          deploy/services.js:1:1"]
    );
}

#[test]
fn references_are_complete() {
    let deploy = "module.exports = { name: 'shop', contexts: { default: { tag: 'Shop2' } } };";
    let with = |fix_tags| LoadOptions {
        repository: Some("registry.example/team/".into()),
        version: Some("1.2".into()),
        fix_tags,
        ..options("default")
    };
    let app = app(deploy);
    let loaded = load(&app, &with(false));
    assert!(lines(&loaded)[0].starts_with("error[invalid-tag] the tag `Shop2` is not valid: "));
    assert_eq!(
        loaded.diagnostics[0].help.as_deref(),
        Some("use `tag: 'shop2'`, or let `--fix-tags` do it")
    );
    let loaded = load(&app, &with(true));
    assert_clean(&loaded);
    assert_eq!(
        loaded.application.packages[0].deployment.as_ref().unwrap().references,
        [
            "registry.example/team/shop:latest",
            "registry.example/team/shop:1.2",
            "registry.example/team/shop2:latest"
        ]
    );
}

#[test]
fn values_that_cannot_be_used_are_errors_at_their_place() {
    let deploy = "module.exports = {\n  name: '_cp:1',\n  contexts: { default: {\n    \
                  type: 'swram',\n    tag: '_cp_dev',\n    dseign: 1,\n    env: { 'A=B': 1, \
                  L: [] },\n  } },\n};";
    let found: Vec<String> = complaints(deploy, "default")
        .into_iter()
        .map(|line| line.replace("the tag ", ""))
        .collect();
    let starts = [
        "error[invalid-stack-name] `_cp:1` cannot be the name of a stack: ",
        "warning[unknown-field] `contexts.default.dseign` is not a known field",
        "error[invalid-orchestrator] `swram` is no orchestrator @ deploy/deploy.js:4:5",
        "error[invalid-tag] `_cp_dev` is not valid: ",
        "error[wrong-type] `contexts.default.env.L` must be a string, a number or a boolean",
        "error[invalid-variable] `A=B` cannot be the name of a variable @ deploy/deploy.js:7:12",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (line, start) in found.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn two_stacks_of_one_name_are_an_error_with_both_places() {
    let deploy = "module.exports = { name: 'shop', contexts: { default: {} } };";
    let app = app(deploy);
    app.write("api/Cart/index.js", "module.exports = { name: 'Cart' };");
    app.write("api/Cart/deploy/deploy.js", deploy);
    app.write("api/Cart/deploy/services.js", SERVICES);
    let loaded = load(&app, &options("default"));
    assert_eq!(
        lines(&loaded),
        ["error[duplicate-stack] two stacks are called `shop` @ api/Cart/deploy/deploy.js:1:46"]
    );
    assert_eq!(loaded.diagnostics[0].related[0].location.to_string(), "deploy/deploy.js:1:46");
}

#[test]
fn a_stack_and_an_image_of_one_reference_are_an_error() {
    let app = app("module.exports = { name: 'shop', contexts: { default: {} } };");
    app.write("deploy/build.js", "module.exports = { web: { tag: 'shop' } };");
    app.write("deploy/Dockerfile", "FROM scratch\n");
    assert_eq!(
        lines(&load(&app, &options("default"))),
        ["error[duplicate-tag] `web` and the stack `shop` both make `shop:latest` @ \
          deploy/deploy.js:1:46"]
    );
}

#[test]
fn an_unchanged_design_is_not_evaluated_again() {
    let app = app("module.exports = { contexts: { default: {} } };");
    let cache = EvaluationCache::default();
    app.load_cached(&options("default"), &cache);
    let evaluations = cache.evaluations();
    assert_clean(&app.load_cached(&options("default"), &cache));
    assert_eq!(cache.evaluations(), evaluations);
}
