//! The format's own example, whole: three stacks that talk to each other.

use private_engine::BaseImage;
use serde_json::Value;

use crate::example::{bases, myapp};
use crate::support::client;

#[test]
fn the_example_takes_orders() {
    // Two copies could not have the port at once.
    let application = myapp("{}");
    let bases = bases();
    let deploy: Vec<&str> =
        ["deploy"].into_iter().chain(bases.iter().map(String::as_str)).collect();
    application.done(&deploy);
    let network = format!("{}-default-bus", application.name);
    let post = "wget -qO- --header 'Content-Type: application/json' \
                --post-data '{\"item\": \"apple\", \"quantity\": 2}' http://mservice1:3000/orders";
    let thanked = "wget -qO- http://mservice2:3000/";
    let stock = "wget -qO- http://mserviceA:3000/stock";
    // Events take a moment.
    let script = format!(
        "{post} >&2; n=0; until {thanked} | grep -q '\"thanked\":1' || [ $n -gt 50 ]; do n=$((n+1)); \
         sleep 0.1; done; {thanked}; echo; {stock}"
    );
    let busybox = BaseImage::Busybox.reference();
    let answer = client().run(&network, busybox, &["sh", "-c", &script]).unwrap();
    assert!(answer.contains("\"thanked\":1") && answer.contains("\"apple\":98"), "{answer}");

    let tasks = || {
        ["web", "doc", "pubsub", "mypackage/mservice1", "mypackage/mservice2"]
            .map(|service| application.tasks(service))
    };
    let before = tasks();
    application.done(&deploy);
    assert_eq!(tasks(), before);
    let status = application.done(&["status", "--format", "json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["stacks"].as_array().unwrap().len(), 3);
}
