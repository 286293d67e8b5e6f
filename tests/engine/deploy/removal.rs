//! Removal leaves nothing.

use snapbox::str;

use super::application;

#[test]
fn nothing_is_left_of_what_is_removed_but_volumes() {
    let shop = application(
        "
services:
  web:
    <<: *quick
    volumes: [data:/data]
    configs: [settings]
    secrets: [key]
  cart: { image: cart }
volumes:
  data: {}
configs:
  settings: { content: one }
secrets:
  key: { file: key.txt }
",
    );
    shop.put("deploy/key.txt", "Sesame");
    shop.package("Cart", "services:\n  pay: { <<: *idle }\n");
    shop.done(&["install"]);
    shop.done(&["undeploy", "Cart"]);
    assert_eq!(shop.names("service"), [shop.service("web")]);
    shop.done(&["deploy"]);
    snapbox::assert_data_eq!(
        shop.shown(&shop.done(&["uninstall"])),
        str![[r#"
exit 0
---
     Removed app-default/[..]
     Removed app-default/[..]
     Removed network app-default_[..]
     Removed network app-default_[..]
     Removed config app-default_settings_[..]
     Removed secret app-default_key_[..]
    Finished 2 stacks: 6 removed in [..]

"#]]
    );
    let volume = format!("volume {}-default_data", shop.name);
    assert_eq!(shop.objects().into_keys().collect::<Vec<_>>(), [volume]);
    let run = shop.done(&["status"]);
    assert_eq!(shop.shown(&run), "exit 0\nnothing of app-default is deployed\n---\n");
    shop.done(&["undeploy", "--volumes"]);
    assert!(shop.objects().is_empty(), "{:?}", shop.objects());
}
