//! Removal leaves nothing.

use snapbox::str;

use super::application;

#[test]
fn nothing_is_left_of_what_is_removed_but_volumes() {
    let shop = application(
        "
services:
  web:
    <<: *idle
    configs: [settings]
    secrets: [key]
  cart: { image: cart }
configs:
  settings: { content: one }
secrets:
  key: { file: key.txt }
",
    );
    shop.put("deploy/key.txt", "Sesame");
    let cart = "services:\n  pay: { <<: *quick, volumes: [data:/data] }\nvolumes:\n  data: {}\n";
    shop.package("Cart", cart);
    shop.done(&["install"]);
    shop.done(&["undeploy", "Cart"]);
    assert_eq!(shop.names("service"), [shop.service("web")]);
    let volume = format!("{}-default_cart-1_data", shop.name);
    assert_eq!(shop.names("volume"), [volume]);
    shop.done(&["deploy"]);
    snapbox::assert_data_eq!(
        shop.shown(&shop.done(&["uninstall", "--volumes"])),
        str![[r#"
exit 0
---
     Removed app-default/[..]
     Removed app-default/[..]
     Removed network app-default_[..]
     Removed network app-default_[..]
     Removed config app-default_settings_[..]
     Removed secret app-default_key_[..]
     Removed volume app-default_cart-1_data
    Finished 2 stacks: 7 removed in [..]

"#]]
    );
    assert!(shop.objects().is_empty(), "{:?}", shop.objects());
    let run = shop.done(&["status"]);
    assert_eq!(shop.shown(&run), "exit 0\nnothing of app-default is deployed\n---\n");
}
