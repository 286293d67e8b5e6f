//! Engines that go away in the middle, and engines that are no managers of a swarm.

use std::path::{Path, PathBuf};

use private_engine::{BaseImage, Launch, PrivateEngine, base_image};

use super::{Running, SLOW, application, healthy, idle};
use crate::support::{Run, TestApplication};

/// Where base images are kept.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../base-images")
}

fn start(folder: &Path) -> PrivateEngine {
    let engine = Launch::new(folder).keep_data().start().unwrap();
    base_image(&engine.client(), BaseImage::Busybox, &cache()).unwrap();
    engine
}

fn run(application: &TestApplication, engine: &PrivateEngine, arguments: &[&str]) -> Run {
    Run::of(application.command_with(engine.host(), arguments).output().unwrap())
}

#[test]
fn an_engine_in_no_swarm_can_be_made_one() {
    let application = application(&idle("1"));
    let folder = crate::directory::Directory::new();
    let engine = start(&folder.path("engine"));
    for command in ["deploy", "status", "history", "rollback", "undeploy"] {
        let refused = run(&application, &engine, &[command]);
        assert_eq!(refused.code, Some(3), "{command}: {refused}");
        assert!(refused.stderr.contains("--init-swarm"), "{command}: {refused}");
    }
    let deployed = run(&application, &engine, &["deploy", "--init-swarm"]);
    assert_eq!(deployed.code, Some(0), "{deployed}");
    engine.stop().unwrap();
}

#[test]
fn after_a_crash_of_the_engine_the_same_command_goes_on() {
    let application = application(SLOW);
    let folder = crate::directory::Directory::new();
    let engine = start(&folder.path("engine"));
    engine.client().init_swarm().unwrap();
    let mut running = Running::deploy(&application, engine.host(), &[]);
    running.until_slow_starts();
    engine.kill().unwrap();
    let crashed = running.end();
    assert_eq!(crashed.code, Some(3), "{crashed}");
    assert!(crashed.stderr.contains("run the same command again"), "{crashed}");
    let engine = start(&folder.path("engine"));
    application.put("deploy/compose.yaml", &healthy());
    let arguments = ["deploy", "--message-format", "json"];
    let deployed = run(&application, &engine, &arguments);
    assert_eq!(deployed.code, Some(0), "{deployed}");
    let summary = &deployed.events("deployment-finished")[0]["summary"];
    assert_eq!(summary["untouched"], 1, "{deployed}");
    assert_eq!(summary["updated"], 1, "{deployed}");
    engine.stop().unwrap();
}
