//! A stack image's design means, wherever the stack runs, what its source means there.
#![allow(clippy::unwrap_used, reason = "a test may end at once")]
#![allow(clippy::disallowed_methods, reason = "a test's own files")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ailtire::swarm::{DesiredStack, Identity, ResolvedImages, StackToConvert, convert};
use ailtire::{Application, OpenOptions};
use ailtire_compose::{
    BUNDLE_DESIGN, BundledDesign, ParentStack, Purpose, Read, StackContext, StackDesign,
};
use ailtire_events::{Diagnostic, NullSink};
use ailtire_terms::DesignSource;
use ailtire_tree::{StatIndex, Tree};
use tempfile::TempDir;

fn tree(root: &Path) -> Tree {
    Tree::open(root, StatIndex::default()).unwrap()
}

fn sound(read: Read) -> StackDesign {
    let errors: Vec<_> = read.diagnostics.iter().filter(|found| found.is_error()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    read.design.unwrap()
}

fn codes(diagnostics: &[Diagnostic]) -> Vec<&str> {
    let warnings =
        diagnostics.iter().filter(|found| found.severity != ailtire_events::Severity::Note);
    warnings.map(|found| found.code.as_ref()).collect()
}

/// What a stack comes to, without places: they are in different files.
fn converted(design: &StackDesign, context: &StackContext) -> DesiredStack {
    let (application, environment) = (&*context.application, &*context.environment);
    let (mut stack, diagnostics) = convert(&StackToConvert {
        identity: &Identity::new(application, environment),
        version: None,
        namespace: &context.instance,
        path: &context.path.join("/"),
        index: 0,
        parent: None,
        design,
        images: &ResolvedImages::new(),
    });
    assert_eq!(diagnostics, []);
    let nowhere = || ailtire_events::Location::file("");
    stack.services.iter_mut().for_each(|service| service.location = nowhere());
    let external =
        [&mut stack.external_networks, &mut stack.external_configs, &mut stack.external_secrets];
    external.into_iter().flatten().for_each(|external| external.location = None);
    stack
}

/// What goes into a stack image of a design.
fn bundled(application: &Tree, source: &DesignSource, context: &StackContext) -> BundledDesign {
    // Nothing of where it is read may be in it.
    let context = StackContext {
        instance: "nowhere".into(),
        path: vec!["nowhere".into()],
        parent: None,
        purpose: Purpose::Image,
        ..context.clone()
    };
    BundledDesign::new(&sound(ailtire_compose::read(application, source, &context)))
}

/// The design of a stack image, read by its manager in `context`.
fn unpacked(bundle: &BundledDesign, context: &StackContext) -> Read {
    let directory = TempDir::with_prefix("stack").unwrap();
    for (path, content) in &bundle.files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    std::fs::write(directory.path().join(BUNDLE_DESIGN), &bundle.text).unwrap();
    let source = DesignSource::Compose { path: BUNDLE_DESIGN.to_owned() };
    ailtire_compose::read(&tree(directory.path()), &source, context)
}

/// What a manager knows of where its stack is.
fn of_manager(context: &StackContext) -> StackContext {
    StackContext {
        application: context.application.clone(),
        environment: context.environment.clone(),
        instance: context.instance.clone(),
        path: context.path.clone(),
        parent: context.parent.clone(),
        purpose: Purpose::Management,
        ..StackContext::default()
    }
}

/// Checks the law for one stack in one place; the design as the manager has it.
fn check(application: &Tree, source: &DesignSource, context: &StackContext) -> StackDesign {
    let bundle = bundled(application, source, context);
    let context = StackContext { purpose: Purpose::Management, ..context.clone() };
    let from_source = sound(ailtire_compose::read(application, source, &context));
    let read = unpacked(&bundle, &of_manager(&context));
    assert_eq!(codes(&read.diagnostics), [""; 0], "{:#?}", read.diagnostics);
    let from_bundle = sound(read);
    assert_eq!(from_bundle.routes, from_source.routes);
    assert_eq!(from_bundle.ports, from_source.ports);
    let stack_services = |design: &StackDesign| -> Vec<String> {
        let stacks = design.services.iter().filter(|(_, service)| service.is_stack);
        stacks.map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(stack_services(&from_bundle), stack_services(&from_source));
    let (mut wanted, found) =
        (converted(&from_source, &context), converted(&from_bundle, &context));
    // A manager has no secrets, and finds them by the very names that they are made with.
    for secret in std::mem::take(&mut wanted.secrets) {
        if secret.driver.is_none() {
            assert!(found.external_secrets.iter().any(|external| external.name == secret.name));
            wanted
                .external_secrets
                .push(ailtire::swarm::External { name: secret.name, location: None });
        } else {
            wanted.secrets.push(secret);
        }
    }
    wanted.external_secrets.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(found, wanted);
    assert_eq!(context.family_network_in(&from_bundle), context.family_network_in(&from_source));
    from_bundle
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/myapp")
}

fn open(directory: PathBuf, environment: &str, name: Option<&str>) -> Application {
    let options = OpenOptions {
        directory,
        exact: true,
        deployments: true,
        environment: Some(environment.to_owned()),
        name: name.map(str::to_owned),
        ..OpenOptions::default()
    };
    Application::open(&options, &NullSink).unwrap()
}

#[test]
fn the_stacks_of_the_demo() {
    let files = tree(&fixture());
    for environment in ["default", "dev", "local"] {
        for name in
            [None, Some("other"), Some("a-name-that-is-long-enough-to-have-names-shortened")]
        {
            let application = open(fixture(), environment, name);
            let stacks = application.stacks(None).unwrap().stacks;
            assert_eq!(stacks.len(), 3);
            for stack in &stacks {
                let package = &application.definitions().packages[stack.package];
                let source = &package.deployment.as_ref().unwrap().design;
                check(&files, source, &stack.context);
            }
        }
    }
}

fn context(parent: bool) -> StackContext {
    let mut path = vec!["shop-dev".to_owned()];
    let mut instance = "shop-dev".to_owned();
    if parent {
        path.push("orders".into());
        instance.push_str("_orders-1");
    }
    StackContext {
        application: "shop".into(),
        environment: "dev".into(),
        instance,
        path,
        parent: parent.then(|| ParentStack {
            instance: "shop-dev".into(),
            family_network: "shop_shop-dev_family".into(),
        }),
        variables: BTreeMap::from([("LEVEL".into(), "in$fo".into())]),
        command_line: BTreeMap::from([("DOMAIN".into(), "example.org".into())]),
        process: BTreeMap::from([("PROCESS".into(), "p".into())]),
        stack_images: ["docker.io/library/orders:latest".to_owned()].into(),
        ..StackContext::default()
    }
}

/// Checks the law for a design in the root and in a child; both designs of managers.
fn check_text(files: &[(&str, &str)]) -> [StackDesign; 2] {
    let directory = TempDir::with_prefix("app").unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let files = tree(directory.path());
    let source = DesignSource::Compose { path: "deploy/stack.yaml".into() };
    [false, true].map(|parent| check(&files, &source, &context(parent)))
}

#[test]
fn a_compose_file_with_every_key() {
    let every_key = include_str!("../../ailtire-compose/tests/data/every-key.yaml");
    let variables = include_str!("../../ailtire-compose/tests/data/every-key.env");
    check_text(&[("deploy/stack.yaml", every_key), ("deploy/every-key.env", variables)]);
}

#[test]
fn variables_wherever_they_stand() {
    const DESIGN: &str = "\
services:
  web:
    image: ${APPNAME}-web:${TAG:-1}
    hostname: web-${AILTIRE_APPNAME}
    environment:
      - A=${AILTIRE_STACKNAME}.$DOMAIN$$5 ${LEVEL} ${PROCESS} ${FILE}
      - B=${AILTIRE_PARENT:-none}|${AILTIRE_PARENT-unset}|${AILTIRE_PARENT:+inner}
      - C=${AILTIRE_PARENTHOST:-${DOMAIN:-x}/$$/${AILTIRE_APPNAME}}
      - D=${NOWHERE:-${AILTIRE_ENV}-${AILTIRE_STACKNAME:?needed}}
      - AILTIRE_STACKNAME
      - AILTIRE_PARENT=
    labels: [\"router.${AILTIRE_STACKNAME}.rule=Host(`$DOMAIN`)\", plain]
    command: run --name ${AILTIRE_APPNAME} --family \"${AILTIRE_FAMILY_NETWORK}\"
    configs: [inline, variable, file]
    secrets: [hidden, other]
    networks: [children, siblings, own]
    volumes: ['data:/data', '/srv/${AILTIRE_STACKNAME}:/srv']
    ports: ['80:80']
  orders:
    image: orders
    networks: [own]
  more:
    image: orders
    x-ailtire-stack: true
    environment: [AILTIRE_STACKNAME=own]
networks:
  own: {name: '${AILTIRE_APPNAME}-${AILTIRE_ENV}-bus', labels: ['${AILTIRE_APPNAME}=yes']}
volumes:
  data: {name: '${AILTIRE_STACKNAME}_d'}
configs:
  inline: {content: 'server ${AILTIRE_STACKNAME} $$1'}
  variable: {environment: DOMAIN}
  file: {file: ../conf/web.conf, labels: {a: '$AILTIRE_APPNAME'}}
secrets:
  hidden: {file: ../conf/hidden}
  other: {environment: PROCESS, name: '${AILTIRE_APPNAME}-other', labels: {a: '$AILTIRE_STACKNAME'}}
x-ailtire-ports: [{target: 3000, published: 443, protocol: tcp, mode: ingress}]
";
    let [root, child] = check_text(&[
        ("deploy/stack.yaml", DESIGN),
        ("deploy/.env", "FILE=\"${AILTIRE_APPNAME} from file\"\n"),
        ("conf/web.conf", "worker $5 ${AILTIRE_APPNAME}"),
        ("conf/hidden", "a secret"),
    ]);
    let line = |design: &StackDesign, name: &str| {
        design.services["web"].environment[name].clone().unwrap_or_default()
    };
    assert_eq!(line(&root, "A"), "shop-dev.example.org$5 in$fo p shop from file");
    assert_eq!(line(&root, "B"), "none||");
    assert_eq!(line(&child, "B"), "shop-dev|shop-dev|inner");
    assert_eq!(line(&root, "C"), "example.org/$/shop");
    assert_eq!(line(&child, "C"), "admin");
    assert_eq!(line(&child, "D"), "dev-shop-dev_orders-1");
    assert!(child.services["web"].labels.contains_key("router.shop-dev_orders-1.rule"));
    assert!(root.services["orders"].networks.contains_key("family"));
}

#[test]
fn nothing_secret_goes_into_the_image() {
    const DESIGN: &str = "\
services:
  web:
    image: web
    env_file: web.env
    environment: ['URL=db://me:${DB_PASSWORD:-}@db', 'TWO=${URL_OF_DB}', GIT_TOKEN]
    secrets: [one, two]
    configs: [three]
configs:
  three: {environment: API_KEY}
secrets:
  one: {file: one}
  two: {environment: TWO_SECRET}
";
    const HIDDEN: &str = "hunter2";
    let directory = TempDir::with_prefix("app").unwrap();
    for (path, content) in [
        ("stack.yaml", DESIGN),
        ("web.env", "PLAIN=plain\nSESSION_SECRET=hunter2\n"),
        (".env", "DB_PASSWORD=hunter2\nURL_OF_DB=db://${DB_PASSWORD}@db\n"),
        ("one", HIDDEN),
    ] {
        std::fs::write(directory.path().join(path), content).unwrap();
    }
    let hidden =
        |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), HIDDEN.to_owned())).collect();
    let context = StackContext {
        command_line: hidden(&["GIT_TOKEN"]),
        process: hidden(&["TWO_SECRET", "API_KEY"]),
        purpose: Purpose::Image,
        ..context(false)
    };
    let source = DesignSource::Compose { path: "stack.yaml".into() };
    let read = ailtire_compose::read(&tree(directory.path()), &source, &context);
    let mut warnings = codes(&read.diagnostics);
    warnings.sort_unstable();
    assert_eq!(warnings, ["secret-variable"; 4], "{:#?}", read.diagnostics);
    let bundle = BundledDesign::new(&sound(read));
    assert!(!bundle.text.contains(HIDDEN), "{}", bundle.text);
    assert_eq!(bundle.files, BTreeMap::new());
    // Where the manager has the variables, everything is as in the source.
    let management = StackContext {
        process: hidden(&["GIT_TOKEN", "API_KEY", "DB_PASSWORD", "SESSION_SECRET"]),
        ..of_manager(&context)
    };
    let design = sound(unpacked(&bundle, &management));
    let environment = &design.services["web"].environment;
    let value = |name: &str| environment[name].clone().unwrap_or_default();
    assert_eq!(value("URL"), "db://me:hunter2@db");
    assert_eq!(value("TWO"), "db://hunter2@db");
    assert_eq!([value("GIT_TOKEN"), value("SESSION_SECRET")], [HIDDEN; 2]);
    assert_eq!(value("PLAIN"), "plain");
}

#[test]
fn a_secret_that_is_not_there_is_looked_for_by_its_name() {
    let directory = TempDir::with_prefix("app").unwrap();
    let design = "services: {web: {image: web, secrets: [one]}}\nsecrets: {one: {file: one}}\n";
    std::fs::write(directory.path().join("stack.yaml"), design).unwrap();
    let source = DesignSource::Compose { path: "stack.yaml".into() };
    let context = StackContext { purpose: Purpose::Image, ..context(false) };
    let read = ailtire_compose::read(&tree(directory.path()), &source, &context);
    assert_eq!(codes(&read.diagnostics), ["absent-secret"]);
    let design = sound(unpacked(&BundledDesign::new(&sound(read)), &of_manager(&context)));
    let stack = converted(&design, &context);
    assert_eq!(stack.external_secrets[0].name, "shop-dev_one");
}

#[test]
fn a_parent_knows_its_childs_family_network() {
    let definition = |networks: &str| {
        let directory = TempDir::with_prefix("app").unwrap();
        let design = format!("services: {{web: {{image: web, networks: [children]}}}}\n{networks}");
        std::fs::write(directory.path().join("stack.yaml"), design).unwrap();
        let source = DesignSource::Compose { path: "stack.yaml".into() };
        let files = tree(directory.path());
        let read = |purpose| {
            let context = StackContext { purpose, ..context(true) };
            sound(ailtire_compose::read(&files, &source, &context))
        };
        let template = ailtire_compose::family_template(&read(Purpose::Image));
        let mut parent = StackDesign::default();
        let location = ailtire_events::Location::file("");
        let mut service = ailtire_compose::Service::new("orders", location);
        service.family.clone_from(&template);
        service.is_stack = true;
        parent.services.insert("orders".into(), service);
        let parent = unpacked(&BundledDesign::new(&parent), &of_manager(&context(false)));
        let written = sound(parent).services["orders"].family.clone();
        assert_eq!(written, template);
        let mut own = read(Purpose::Management);
        let known = context(true).family_definition(written.as_ref());
        // The engine's network that the child itself makes of it is that of the parent.
        let stack = converted(&own, &context(true));
        own.networks.insert("children".into(), known.clone());
        own.networks.insert("family".into(), known);
        assert_eq!(converted(&own, &context(true)).networks, stack.networks);
        assert_eq!(converted(&own, &context(true)).external_networks, stack.external_networks);
        template
    };
    assert_eq!(definition(""), None);
    let special = definition(
        "networks: {children: {internal: true, driver: overlay, labels: {a: '$$5 $AILTIRE_APPNAME'}}}",
    );
    assert_eq!(special.unwrap().name.unwrap(), "${AILTIRE_STACKNAME}_children");
    definition("networks: {children: {name: '${AILTIRE_APPNAME}_own', attachable: true}}");
    definition("networks: {children: {external: true, name: theirs}}");
}
