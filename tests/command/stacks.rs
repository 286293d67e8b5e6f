//! `compose`, and what `check` says of stacks.

use std::fs;

use snapbox::str;

use crate::support::TestApplication;

/// A shop with a stack in it, and a stack that nobody runs.
fn shop() -> TestApplication {
    TestApplication::new(&[
        ("api/index.js", "module.exports = { name: 'Shop' };\n"),
        ("deploy/build.js", "module.exports = {\n  web: { tag: 'shop-web' },\n};\n"),
        ("deploy/Dockerfile", "FROM scratch\n"),
        (
            "deploy/deploy.js",
            "module.exports = {\n  contexts: {\n    default: { design: 'services.js' },\n    \
             dev: { file: 'dev.yaml', env: { LEVEL: 'debug' } },\n  },\n};\n",
        ),
        (
            "deploy/services.js",
            "module.exports = {\n  services: {\n    web: { image: 'shop-web' },\n    \
             cart: { type: 'stack', image: 'cart' },\n  },\n};\n",
        ),
        (
            "deploy/dev.yaml",
            "services:\n  web:\n    image: shop-web\n    environment:\n      \
             - LEVEL=${LEVEL}\n      - PORT=${PORT:-80}\n  cart:\n    image: cart:latest\n",
        ),
        ("api/Cart/index.js", "module.exports = { name: 'Cart' };\n"),
        ("api/Cart/deploy/deploy.js", "module.exports = { contexts: { default: {} } };\n"),
        (
            "api/Cart/deploy/services.js",
            "module.exports = { services: { pay: { image: 'nginx' } } };\n",
        ),
    ])
}

#[test]
fn a_design_is_printed_with_everything_in_it() {
    shop().run(&["compose", "--env", "dev", "--env", "PORT=8080", "--repo", "r.example/t"]).is(
        str![[r#"
exit 0
-- stdout
version: "3.9"
services:
  cart:
    image: r.example/t/cart:latest
    environment:
      AILTIRE_APPNAME: Shop
      AILTIRE_ENV: dev
      AILTIRE_PARENT: Shop-dev
      AILTIRE_PARENTHOST: admin
      AILTIRE_PARENT_NETWORK: Shop_Shop-dev_family
      AILTIRE_SERVICENAME: cart
      AILTIRE_STACKNAME: "{{.Service.Name}}-{{.Task.Slot}}"
      LEVEL: debug
    networks:
      family: {}
      siblings: {}
    x-ailtire-stack: true
  web:
    image: r.example/t/shop-web:latest
    environment:
      AILTIRE_APPNAME: Shop
      AILTIRE_ENV: dev
      AILTIRE_PARENT: ""
      AILTIRE_PARENTHOST: ""
      AILTIRE_PARENT_NETWORK: ""
      AILTIRE_SERVICENAME: web
      AILTIRE_STACKNAME: Shop-dev
      LEVEL: debug
      PORT: "8080"
    networks:
      default: {}
networks:
  family:
    name: Shop_Shop-dev_family
    driver: overlay
    attachable: true
  siblings:
    driver: overlay
-- stderr

"#]],
    );
}

#[test]
fn a_package_is_shown_as_it_runs_in_the_application() {
    let shop = shop();
    let run = shop.run(&["compose", "cart"]);
    assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{run}");
    assert!(run.stdout.contains("AILTIRE_STACKNAME: Shop-default_cart-1\n"), "{run}");
    // Where nobody runs it, it is a root.
    shop.put("deploy/services.js", "module.exports = { services: { web: { image: 'w' } } };\n");
    let run = shop.run(&["compose", "api/Cart", "-q"]);
    assert!(run.stdout.contains("AILTIRE_STACKNAME: Shop-default_cart\n"), "{run}");
    let to_file = shop.run(&["compose", "api/Cart", "-o", "out.yaml"]);
    assert_eq!((to_file.code, &*to_file.stdout), (Some(0), ""), "{to_file}");
    assert_eq!(fs::read_to_string(shop.path("out.yaml")).unwrap(), run.stdout);
}

#[test]
fn what_has_no_stack_has_no_design() {
    let shop = shop();
    shop.put("api/Plain/index.js", "module.exports = { name: 'Plain' };\n");
    shop.run(&["compose", "Plain"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error[no-stack]: the package `Plain` has no stack in the environment `default`
 |
 = help: a package has a stack where its `deploy/deploy.js` has an entry for the environment, or `default`

error: 1 error in the definitions

"#]]);
    shop.run(&["compose", "Crat"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error[nothing-selected]: there is no package `Crat`
 |
 = help: did you mean `Cart`?


"#]]);
}

#[test]
fn several_roots_have_to_be_told_apart() {
    let shop = shop();
    fs::remove_file(shop.path("deploy/deploy.js")).unwrap();
    shop.put("api/Mail/index.js", "module.exports = { name: 'Mail' };\n");
    let deploy = "module.exports = { contexts: { default: { design: '../../Cart/deploy/services.js' } } };\n";
    shop.put("api/Mail/deploy/deploy.js", deploy);
    shop.run(&["compose"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error: the top package has no stack, and others have several
hint: name one of `Cart`, `Mail`

"#]]);
}

#[test]
fn check_looks_at_the_stacks_of_all_environments() {
    let shop = shop();
    shop.run(&["check"]).is(str![[r#"
exit 0
-- stdout
-- stderr
          ok 2 packages, 3 images: 0 errors, 0 warnings

"#]]);
    shop.put("api/Mail/index.js", "module.exports = { name: 'Mail' };\n");
    shop.put("api/Mail/deploy/deploy.js", "module.exports = {\n  default: {},\n};\n");
    shop.put(
        "api/Mail/deploy/services.js",
        "module.exports = {\n  services: { m: { image: 'm' } },\n};\n",
    );
    shop.put(
        "api/Cart/deploy/services.js",
        "module.exports = {\n  services: {\n    self: { image: 'cart' },\n    \
         lost: { type: 'stack', image: 'mial' },\n  },\n};\n",
    );
    shop.put("deploy/dev.yaml", "services:\n  web:\n    imgae: shop-web\n");
    shop.run(&["check"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error[unknown-stack]: no package has a stack called `mial`
 --> api/Cart/deploy/services.js:4:28
  |
4 |     lost: { type: 'stack', image: 'mial' },
  |                            ^^^^^
  |
  = help: did you mean `mail`?

error[stack-in-itself]: a stack runs in itself: Cart → Cart
 --> api/Cart/deploy/services.js:3:13
  |
3 |     self: { image: 'cart' },
  |             ^^^^^
  |
  = help: take the service out: a stack's own manager is no service of it

error[unknown-key]: `services.web` has no key `imgae`
 --> deploy/dev.yaml:3:5
  |
3 |     imgae: shop-web
  |     ^^^^^
  |
  = help: did you mean `image`?

error[no-image]: `services.web` has no `image`
 --> deploy/dev.yaml:2:3
  |
2 |   web:
  |   ^^^
  |
  = help: add `image: name:tag`

      failed 3 packages, 4 images: 4 errors, 0 warnings

"#]]);
}
