//! The tree of an application's stacks.
#![allow(clippy::unwrap_used, reason = "a test may end at once")]
#![allow(clippy::disallowed_methods, reason = "a test's own files")]

use std::collections::BTreeMap;
use std::path::Path;

use ailtire::{Application, Diagnostic, OpenOptions, StackInstance, StackTree, check, swarm};
use ailtire_events::NullSink;
use tempfile::TempDir;

/// An application in a directory of its own.
struct App {
    directory: TempDir,
}

impl App {
    fn new() -> Self {
        Self { directory: TempDir::with_prefix("app").unwrap() }
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A package at `directory`, `Shop` where that is `api`, whose stack has these services; it
    /// has no stack where there are none.
    fn package(&self, directory: &str, depends: &str, services: &str) {
        let name = directory.rsplit('/').next().unwrap().replace("api", "Shop");
        let index = format!("module.exports = {{ name: '{name}', depends: [{depends}] }};");
        self.put(&format!("{directory}/index.js"), &index);
        if !services.is_empty() {
            let dev = format!("dev: {{ tag: 'team/{}:dev' }}", name.to_lowercase());
            let deploy = format!("module.exports = {{ contexts: {{ default: {{}}, {dev} }} }};");
            self.put(&format!("{directory}/deploy/deploy.js"), &deploy);
            let design = format!("module.exports = {{ services: {{\n{services}\n}} }};");
            self.put(&format!("{directory}/deploy/services.js"), &design);
        }
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            directory: self.directory.path().to_owned(),
            exact: true,
            deployments: true,
            ..OpenOptions::default()
        }
    }

    fn open(&self) -> Application {
        open(&self.options())
    }

    /// The stacks that are deployed without naming any.
    fn tree(&self) -> StackTree {
        self.open().stacks(None).unwrap_or_else(|found| panic!("{:#?}", lines(&found)))
    }

    /// The findings that keep the stacks from being deployed.
    fn errors(&self) -> Vec<String> {
        lines(&self.open().stacks(None).unwrap_err())
    }
}

fn open(options: &OpenOptions) -> Application {
    let application = Application::open(options, &NullSink).unwrap();
    assert_eq!(lines(application.diagnostics()), [""; 0]);
    application
}

fn lines(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .map(|found| {
            let place = found.location.as_ref().map(|place| format!(" @ {place}"));
            format!("[{}] {}{}", found.code, found.message, place.unwrap_or_default())
        })
        .collect()
}

fn instances(tree: &StackTree) -> Vec<&str> {
    tree.stacks.iter().map(|stack| stack.instance.as_str()).collect()
}

fn images(stack: &StackInstance) -> BTreeMap<&str, &str> {
    let services = stack.design.services.iter();
    services.map(|(name, service)| (name.as_str(), service.image.as_str())).collect()
}

/// The instances that `stack` waits for.
fn depends(tree: &StackTree, stack: usize) -> Vec<&str> {
    let depends = tree.stacks[stack].depends.iter();
    depends.map(|&other| tree.stacks[other].instance.as_str()).collect()
}

#[test]
fn stacks_run_in_one_another() {
    let app = App::new();
    app.package("api", "", "web: { image: 'nginx' },\ncart: { type: 'stack', image: 'Cart' },");
    app.package("api/Cart", "", "pay: { image: 'pay' },");
    app.package("api/Cart/Pay", "", "db: { image: 'redis' },");
    let tree = app.tree();
    let expected = ["Shop-default", "Shop-default_cart-1", "Shop-default_cart-1_pay-1"];
    assert_eq!(instances(&tree), expected);
    let [shop, cart, pay] = &tree.stacks[..] else { panic!("{tree:#?}") };
    assert_eq!((shop.parent, cart.parent, pay.parent), (None, Some(0), Some(1)));
    assert_eq!(pay.path, ["Shop-default", "cart", "pay"]);
    assert_eq!(pay.service.as_deref(), Some("pay"));
    assert_eq!(pay.family_network, "Shop_Shop-default_cart_pay_family");
    let parent = pay.context.parent.as_ref().unwrap();
    assert_eq!(parent.instance, "Shop-default_cart-1");
    assert_eq!(parent.family_network, cart.family_network);
    assert_eq!(shop.stack_services, BTreeMap::from([("cart".to_owned(), 1)]));
    assert_eq!(cart.stack_services, BTreeMap::from([("pay".to_owned(), 2)]));
    assert_eq!(images(shop), BTreeMap::from([("cart", "cart:latest"), ("web", "nginx")]));
    assert_eq!(images(cart), BTreeMap::from([("pay", "pay:latest")]));
    assert_eq!(lines(&tree.diagnostics), [""; 0]);
}

#[test]
fn long_family_networks_are_named_as_they_are_made() {
    let app = App::new();
    let service = "orders-".repeat(7) + "x";
    app.package("api", "", &format!("'{service}': {{ type: 'stack', image: 'Cart' }},"));
    app.package("api/Cart", "", "pay: { type: 'stack', image: 'Pay' },");
    app.package("api/Cart/Pay", "", "db: { image: 'redis' },");
    let tree = app.tree();
    let [_, cart, pay] = &tree.stacks[..] else { panic!("{tree:#?}") };
    let application = app.open();
    let (made, _) = swarm::convert(&swarm::StackToConvert {
        identity: &application.identity(),
        version: None,
        namespace: &cart.instance,
        path: &cart.path.join("/"),
        index: 1,
        parent: Some(0),
        design: &cart.design,
        images: &swarm::ResolvedImages::new(),
    });
    let names: Vec<&str> = made.networks.iter().map(|network| network.name.as_str()).collect();
    assert!(names.contains(&cart.family_network.as_str()), "{names:?}");
    let told = pay.context.parent.as_ref().map(|parent| &parent.family_network);
    assert_eq!(told, Some(&cart.family_network));
    let variable = &cart.design.services["pay"].environment["AILTIRE_PARENT_NETWORK"];
    assert_eq!(variable.as_deref(), Some(cart.family_network.as_str()));
}

#[test]
fn a_stack_service_is_found_by_any_form_of_its_reference() {
    let forms = [
        "cart",
        "cart:latest",
        "docker.io/library/cart",
        "team/cart:dev",
        "r.example/t/cart",
        "r.example/t/team/cart:dev",
    ];
    for image in forms {
        let app = App::new();
        app.package("api", "", &format!("cart: {{ image: '{image}' }},"));
        app.package("api/Cart", "", "pay: { image: 'nginx' },");
        let options = OpenOptions {
            environment: Some("dev".to_owned()),
            repository: Some("r.example/t".to_owned()),
            name: Some("mine".to_owned()),
            ..app.options()
        };
        let tree = open(&options).stacks(None).unwrap();
        assert_eq!(instances(&tree), ["mine-dev", "mine-dev_cart-1"], "{image}");
        let full = if image.ends_with("dev") {
            "r.example/t/team/cart:dev"
        } else {
            "r.example/t/cart:latest"
        };
        assert_eq!(images(&tree.stacks[0])["cart"], full, "{image}");
    }
}

#[test]
fn images_of_the_application_get_their_full_reference() {
    let app = App::new();
    app.package(
        "api",
        "",
        "web: { image: 'shop-web' },\ndb: { image: 'redis' },\nold: { image: 'shop-web:1' },",
    );
    app.put("api/deploy/build.js", "module.exports = { web: {} };");
    app.put("api/deploy/Dockerfile", "FROM scratch\n");
    let options = OpenOptions { repository: Some("r.example/t".to_owned()), ..app.options() };
    let tree = open(&options).stacks(None).unwrap();
    let expected = [("db", "redis"), ("old", "shop-web:1"), ("web", "r.example/t/shop-web:latest")];
    assert_eq!(images(&tree.stacks[0]), BTreeMap::from(expected));
}

#[test]
fn a_stack_service_of_a_compose_file_has_the_variables_of_a_manager() {
    let app = App::new();
    app.package("api", "", "");
    app.package("api/Cart", "", "web: { image: 'nginx' },");
    app.put("api/deploy/deploy.js", "module.exports = { contexts: { default: {} } };");
    let design = "services:\n  cart:\n    image: cart\n  web:\n    image: nginx\n";
    app.put("api/deploy/docker-compose.yaml", design);
    let tree = app.tree();
    let parents = tree.stacks[0].design.services.values().map(|service| {
        let parent = service.environment.get("AILTIRE_PARENT").cloned().flatten();
        (service.is_stack, parent.unwrap_or_default())
    });
    let expected = [(true, "Shop-default".to_owned()), (false, String::new())];
    assert_eq!(parents.collect::<Vec<_>>(), expected);
}

#[test]
fn invalid_references_are_fixed_in_images_stacks_and_services_alike() {
    let app = App::new();
    app.package("api", "", "web: { image: '_cp_web' },\ncart: { image: 'r.example/t/_cart' },");
    app.put("api/deploy/build.js", "module.exports = { web: { tag: '_cp_web' } };");
    app.put("api/deploy/Dockerfile", "FROM scratch\n");
    app.package("api/Cart", "", "pay: { image: 'nginx' },");
    app.put(
        "api/Cart/deploy/deploy.js",
        "module.exports = { name: '_cart', contexts: { default: {} } };",
    );
    let options =
        OpenOptions { fix_tags: true, repository: Some("r.example/t".to_owned()), ..app.options() };
    let tree = open(&options).stacks(None).unwrap();
    assert_eq!(instances(&tree), ["Shop-default", "Shop-default_cart-1"]);
    let expected = [("cart", "r.example/t/cart:latest"), ("web", "r.example/t/cp_web:latest")];
    assert_eq!(images(&tree.stacks[0]), BTreeMap::from(expected));
}

#[test]
fn a_service_that_names_no_stack_is_an_error_with_a_suggestion() {
    let app = App::new();
    app.package(
        "api",
        "",
        "a: { type: 'stack', image: 'crat' },\nb: { type: 'stack', image: 'Pay' },",
    );
    app.package("api/Cart", "", "pay: { image: 'nginx' },");
    app.package("api/Pay", "", "");
    let found = app.open().stacks(None).unwrap_err();
    let errors: Vec<_> = found.iter().filter(|found| found.is_error()).cloned().collect();
    assert_eq!(
        lines(&errors),
        [
            "[unknown-stack] no package has a stack called `crat` @ api/deploy/services.js:2:21",
            "[unknown-stack] the package `Pay` has no stack in the environment `default` @ \
             api/deploy/services.js:3:21"
        ]
    );
    assert_eq!(errors[0].help.as_deref(), Some("did you mean `cart`?"));
    let location = errors[0].location.as_ref().unwrap();
    assert!(location.excerpt.as_ref().unwrap().contains("crat"), "{location:?}");
}

#[test]
fn a_stack_that_runs_in_itself_is_an_error_that_prints_the_way() {
    let app = App::new();
    app.package("api", "", "cart: { image: 'cart' },\nself: { image: 'shop' },");
    app.package("api/Cart", "", "pay: { image: 'pay' },");
    app.package("api/Pay", "", "cart: { image: 'cart' },");
    let found = app.errors();
    assert_eq!(
        found,
        [
            "[stack-in-itself] a stack runs in itself: Shop → Shop @ api/deploy/services.js:3:9",
            "[stack-in-itself] a stack runs in itself: Cart → Pay → Cart @ \
             api/Pay/deploy/services.js:2:9"
        ]
    );
}

#[test]
fn a_compose_file_may_have_a_family_network_of_its_own() {
    let app = App::new();
    app.package("api", "", "cart: { image: 'cart' },");
    app.package("api/Cart", "", "web: { image: 'nginx' },");
    let design = "services:\n  cart:\n    image: cart\n    networks: [children]\nnetworks:\n  \
                  children:\n    driver: overlay\n";
    app.put("api/deploy/local.yaml", design);
    let named = format!("{design}    name: ${{AILTIRE_APPNAME}}_family\n");
    app.put("api/deploy/named.yaml", &named);
    app.put(
        "api/deploy/deploy.js",
        "module.exports = { contexts: { default: { file: 'local.yaml' }, named: { file: \
         'named.yaml' } } };",
    );
    let parent_network = |tree: &StackTree| {
        tree.stacks[1].context.parent.as_ref().map(|parent| parent.family_network.clone())
    };
    assert_eq!(parent_network(&app.tree()).unwrap(), "Shop-default_children");
    let named = app.open().in_environment("named").stacks(None).unwrap();
    assert_eq!(parent_network(&named).unwrap(), "Shop_family");
    let told = &named.stacks[0].design.services["cart"].environment["AILTIRE_PARENT_NETWORK"];
    assert_eq!(told.as_deref(), Some("Shop_family"));
}

#[test]
fn replicas_of_a_stack_are_one_or_none() {
    let app = App::new();
    app.package(
        "api",
        "",
        "cart: { image: 'cart', deploy: { replicas: 2 } },\n\
         pay: { image: 'pay', deploy: { replicas: 0 } },",
    );
    app.package("api/Cart", "", "web: { image: 'nginx' },");
    app.package("api/Pay", "", "web: { image: 'nginx' },");
    let tree = app.tree();
    assert_eq!(instances(&tree), ["Shop-default", "Shop-default_cart-1"]);
    let found = lines(&tree.diagnostics);
    let is_told = found.iter().any(|line| line.starts_with("[replicated-stack] `cart` asks for 2"));
    assert!(is_told, "{found:?}");
}

#[test]
fn what_a_package_depends_on_comes_first() {
    let app = App::new();
    app.package("api", "", "cart: { image: 'cart' },\nmail: { image: 'mail' },");
    // `Pay` runs in it; `Queue` has no stack, but depends on one that runs nowhere else.
    app.package("api/Cart", "'Pay', 'Mail', 'Queue'", "pay: { image: 'pay' },");
    app.package("api/Pay", "", "web: { image: 'nginx' },");
    app.package("api/Mail", "", "web: { image: 'nginx' },");
    app.package("api/Queue", "'Store'", "");
    app.package("api/Store", "", "db: { image: 'redis' },");
    let tree = app.tree();
    let expected = [
        "Shop-default",
        "Shop-default_cart-1",
        "Shop-default_cart-1_pay-1",
        "Shop-default_mail-1",
        "Shop-default_store",
    ];
    assert_eq!(instances(&tree), expected);
    assert_eq!(depends(&tree, 0), [""; 0]);
    assert_eq!(depends(&tree, 1), expected[2..]);
    assert_eq!(tree.roots().collect::<Vec<_>>(), [0, 4]);
    assert_eq!(lines(&tree.diagnostics), [""; 0]);
}

#[test]
fn the_nearest_instance_is_the_one_that_is_waited_for() {
    let app = App::new();
    app.package("api", "", "one: { image: 'cart' },\ntwo: { image: 'cart' },");
    app.package("api/Cart", "", "pay: { image: 'pay' },\nweb: { image: 'web' },");
    app.package("api/Pay", "'Web'", "web: { image: 'nginx' },");
    app.package("api/Web", "", "web: { image: 'nginx' },");
    let tree = app.tree();
    let way = ["two".to_owned(), "pay".to_owned()];
    let pay = tree.stacks.iter().position(|stack| stack.path.ends_with(&way));
    assert_eq!(depends(&tree, pay.unwrap()), ["Shop-default_two-1_web-1"]);
}

#[test]
fn stacks_that_wait_for_one_another_are_an_error() {
    let app = App::new();
    app.package("api", "", "cart: { image: 'cart' },");
    app.package("api/Cart", "'Shop'", "web: { image: 'nginx' },");
    let found = app.open().stacks(None).unwrap_err();
    assert_eq!(
        lines(&found),
        ["[stack-cycle] stacks wait for one another in a circle: Shop-default → \
             Shop-default_cart-1 → Shop-default @ api/Cart/index.js"]
    );
    assert_eq!(
        found[0].details,
        ["the stack of `Shop` runs that of `Cart`", "`Cart` depends on `Shop`"]
    );
}

#[test]
fn a_stack_that_nobody_runs_is_deployed_only_by_name() {
    let app = App::new();
    app.package("api", "", "web: { image: 'nginx' },");
    app.package("api/Cart", "", "pay: { image: 'pay' },");
    app.package("api/Pay", "", "web: { image: 'nginx' },");
    let application = app.open();
    let tree = application.stacks(None).unwrap();
    assert_eq!(instances(&tree), ["Shop-default"]);
    assert_eq!(lines(&tree.diagnostics).len(), 2, "{:#?}", lines(&tree.diagnostics));
    let cart = application.select_package("cart", Path::new("/")).unwrap();
    let tree = application.stacks(Some(cart)).unwrap();
    assert_eq!(instances(&tree), ["Shop-default_cart", "Shop-default_cart_pay-1"]);
    assert_eq!(lines(&tree.diagnostics), [""; 0]);
}

#[test]
fn without_a_stack_of_the_top_package_all_others_are_roots() {
    let app = App::new();
    app.package("api", "", "");
    app.package("api/Cart", "'Mail'", "web: { image: 'nginx' },");
    app.package("api/Mail", "", "cart: { image: 'redis' },\npay: { image: 'pay' },");
    app.package("api/Pay", "", "web: { image: 'nginx' },");
    let tree = app.tree();
    let expected = ["Shop-default_cart", "Shop-default_mail", "Shop-default_mail_pay-1"];
    assert_eq!(instances(&tree), expected);
    assert_eq!(depends(&tree, 0), ["Shop-default_mail"]);
    app.package("api/Pay", "", "mail: { image: 'mail' },");
    assert!(app.errors()[0].starts_with("[stack-in-itself]"), "{:?}", app.errors());
}

#[test]
fn no_stack_at_all_is_an_error() {
    let app = App::new();
    app.package("api", "", "");
    assert_eq!(app.errors(), ["[no-stack] no package has a stack in the environment `default`"]);
    let found = app.open().stacks(Some(0)).unwrap_err();
    assert_eq!(
        lines(&found),
        ["[no-stack] the package `Shop` has no stack in the environment `default`"]
    );
    assert_eq!(lines(&check(&app.open())), [""; 0], "an application need not have any");
}

#[test]
fn a_name_that_the_engine_refuses_is_an_error() {
    let app = App::new();
    app.package("api", "", "web: { image: 'nginx' },");
    let options = OpenOptions { name: Some("my shop".to_owned()), ..app.options() };
    let found = open(&options).stacks(None).unwrap_err();
    assert_eq!(
        lines(&found)[0],
        "[invalid-instance] `my shop-default` cannot be the name of a stack"
    );
}

#[test]
fn stacks_that_multiply_end_somewhere() {
    let app = App::new();
    let names = ["api", "api/A", "api/B", "api/C", "api/D", "api/E", "api/F", "api/G"];
    for (index, directory) in names.iter().enumerate() {
        let next = names.get(index + 1).map(|next| next.rsplit('/').next().unwrap());
        let services = next.map_or("s0: { image: 'nginx' },".to_owned(), |next| {
            let next = next.to_lowercase();
            let service = |number| format!("s{number}: {{ image: '{next}' }},");
            (0..4).map(service).collect::<Vec<_>>().concat()
        });
        app.package(directory, "", &services);
    }
    let found = app.errors();
    assert_eq!(found, ["[too-many-stacks] there are more than 1000 stacks in one another"]);
}

#[test]
fn check_looks_at_the_stacks_of_every_environment() {
    let app = App::new();
    app.package("api", "", "web: { image: 'nginx' },");
    app.package("api/Cart", "", "web: { type: 'stack', image: 'shpo' },");
    app.put(
        "api/deploy/deploy.js",
        "module.exports = { contexts: { default: {}, dev: { file: 'dev.yaml' } } };",
    );
    app.put("api/deploy/dev.yaml", "services:\n  web:\n    imgae: nginx\n");
    let found = lines(&check(&app.open()));
    assert!(found.iter().any(|line| line.starts_with("[unknown-stack]")), "{found:#?}");
    assert!(found.iter().any(|line| line.contains("@ api/deploy/dev.yaml:3")), "{found:#?}");
}
