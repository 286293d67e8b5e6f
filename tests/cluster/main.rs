//! The command on a swarm of three nodes with registries between them.
//!
//! The nodes are made once, and one application goes through its life on them: each step goes on
//! from what the one before left. When a step fails, the nodes are stopped with all that runs there.

#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "../directory.rs"]
mod directory;
#[allow(dead_code, reason = "tests with one node need more of it")]
#[path = "../engine/managers/http.rs"]
mod http;
mod images;
mod managers;
mod nodes;
mod registries;
mod support;

use support::Lab;

/// A part of the life of the application.
type Step = fn(&mut Lab);

#[test]
fn an_application_lives_on_three_nodes() {
    let mut lab = Lab::start();
    let steps: [(&str, Step); 14] = [
        ("an image that nodes can't get", images::what_nodes_can_not_get_is_refused),
        ("managers", managers::the_gateway_reaches_services_on_other_nodes),
        ("deployed everywhere", images::every_node_runs_the_image_of_the_registry),
        ("deployed again", images::deploying_again_changes_nothing),
        ("one instance removed", nodes::removal_leaves_nothing_on_any_node),
        ("looked at", nodes::status_and_logs_name_nodes_and_tasks),
        ("a worker", nodes::a_worker_is_no_place_to_deploy),
        ("an older image", images::an_older_image_in_the_registry_is_refused),
        ("a drained node", nodes::a_drained_node_is_not_waited_for),
        ("no suitable node", nodes::services_without_a_node_are_told_apart),
        ("a registry with a password", registries::nodes_get_credentials_only_when_told_so),
        ("how often registries are asked", registries::registries_are_asked_as_often_as_wanted),
        ("a registry that is gone", registries::what_runs_stays_without_its_registry),
        ("a node that is gone", nodes::tasks_of_a_dead_node_move_and_all_goes_on_without_it),
    ];
    for (what, step) in steps {
        let begin = std::time::Instant::now();
        step(&mut lab);
        eprintln!("{what}: {:?}", begin.elapsed());
    }
    lab.stop();
}
