//! `plan`, `why`, `graph` and `context`.

use snapbox::str;

use crate::support::TestApplication;

#[test]
fn a_plan_lists_images_with_reasons() {
    let application = TestApplication::shop();
    application.run(&["plan"]).is(str![[r#"
exit 0
-- stdout
build  myapp-base:latest
       because it was not built before
build  shop-web:latest
       because it was not built before
2 to build, 0 to tag, 0 fresh
-- stderr

"#]]);
    application.record_all();
    application.run(&["plan"]).is(str![[r#"
exit 0
-- stdout
fresh  myapp-base:latest
fresh  shop-web:latest
0 to build, 0 to tag, 2 fresh
-- stderr

"#]]);
    application.put("deploy/base/settings.json", "{ }\n");
    application.run(&["plan"]).is(str![[r#"
exit 0
-- stdout
build  myapp-base:latest
       because its inputs changed (what they were is not recorded any more)
build  shop-web:latest
       because its base myapp-base is dirty
2 to build, 0 to tag, 0 fresh
-- stderr

"#]]);
    application.run(&["plan", "base", "--force", "web"]).is(str![[r#"
exit 0
-- stdout
build  myapp-base:latest
       because its inputs changed (what they were is not recorded any more)
build  shop-web:latest
       because the command line forces it
       and its base myapp-base is dirty
2 to build, 0 to tag, 0 fresh
-- stderr

"#]]);
}

#[test]
fn instances_of_an_application_share_its_images() {
    let application = TestApplication::shop();
    application.record_all();
    let run = application.run(&["plan", "--name", "other"]);
    assert!(run.stdout.contains("0 to build, 0 to tag, 2 fresh"), "{run}");
}

#[test]
fn a_plan_for_programs_is_versioned() {
    let application = TestApplication::shop();
    application.record_all();
    application.put("deploy/base/settings.json", "{ }\n");
    let run = application.run(&["plan", "--format", "json", "--env", "production"]);
    assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{run}");
    let plan = run.json();
    assert_eq!(plan["version"], 1);
    assert_eq!(plan["application"], "MyApp");
    assert_eq!(plan["environment"], "production");
    let web = &plan["images"][1];
    assert_eq!(web["image"], "shop-web:latest");
    assert_eq!(web["references"], serde_json::json!(["shop-web:latest"]));
    assert_eq!(web["package"], "Shop");
    assert_eq!(web["status"], "build");
    assert_eq!(web["fingerprint"].as_str().unwrap().len(), 64);
    assert_eq!(web["bases"], serde_json::json!([{ "reference": "myapp-base", "kind": "built" }]));
    assert_eq!(
        web["reasons"],
        serde_json::json!([{
            "kind": "base-dirty",
            "reference": "myapp-base",
            "text": "its base myapp-base is dirty",
        }])
    );
    assert_eq!(web["definition"], "api/Shop/deploy/build.js:2:3");
    assert_eq!(web["dockerfile"], "api/Shop/deploy/web/Dockerfile");
    assert_eq!(web["context"], serde_json::json!({ "entries": 2, "bytes": 34 }));
}

#[test]
fn names_repository_and_version_come_from_the_command_line() {
    let application = TestApplication::shop();
    let arguments =
        ["plan", "--format", "json", "--repo", "registry.example/r", "--version", "1.2"];
    let plan = application.run(&arguments).json();
    assert_eq!(
        plan["images"][1]["references"],
        serde_json::json!([
            "registry.example/r/shop-web:latest",
            "registry.example/r/shop-web:1.2"
        ])
    );
}

#[test]
fn why_goes_from_the_root_cause_to_the_image() {
    let application = TestApplication::shop();
    application.run(&["why", "web"]).is(str![[r#"
exit 0
-- stdout
shop-web:latest has to be built
  because it was not built before
-- stderr
note: the engine was not asked: no Docker engine answers at `unix:///nowhere/docker.sock`: there is no such socket

"#]]);
    application.record_all();
    application.run(&["why", "web", "--quiet"]).is(str![[r#"
exit 0
-- stdout
shop-web:latest is fresh
  it was built just now
-- stderr

"#]]);
    application.put("deploy/base/settings.json", "{ }\n");
    application.run(&["why", "web", "--quiet"]).is(str![[r#"
exit 0
-- stdout
myapp-base:latest has to be built
  because its inputs changed (what they were is not recorded any more)
  shop-web:latest has to be built
    because its base myapp-base is dirty
-- stderr

"#]]);
    let answer = application.run(&["why", "web", "--format", "json", "-q"]).json();
    assert_eq!(answer["version"], 1);
    assert!(answer["engine"].is_null());
    assert_eq!(answer["image"], "shop-web:latest");
    assert_eq!(answer["chain"][0]["image"], "myapp-base:latest");
    assert_eq!(answer["chain"][1]["depth"], 1);
    assert_eq!(answer["last_build"]["image_id"], "sha256:id-of-shop-web");
}

#[test]
fn the_graph_has_four_forms() {
    let application = TestApplication::shop();
    application.run(&["graph"]).is(str![[r#"
exit 0
-- stdout
MyApp api
  myapp-base:latest
  Shop api/Shop
    shop-web:latest ← myapp-base:latest
-- stderr

"#]]);
    application.run(&["graph", "--format", "dot"]).is(str![[r#"
exit 0
-- stdout
digraph "MyApp" {
  rankdir = "LR";
  node [shape = "box"];
  subgraph "cluster_0" {
    label = "MyApp";
    "myapp-base:latest";
    subgraph "cluster_1" {
      label = "Shop";
      "shop-web:latest";
    }
  }
  "shop-web:latest" -> "myapp-base:latest" [label = "from"];
}
-- stderr

"#]]);
    application.run(&["graph", "--format", "mermaid"]).is(str![[r#"
exit 0
-- stdout
flowchart LR
  subgraph p0["MyApp"]
    i0["myapp-base:latest"]
    subgraph p1["Shop"]
      i1["shop-web:latest"]
    end
  end
  i1 -->|from| i0
-- stderr

"#]]);
    let graph = application.run(&["graph", "--format", "json"]).json();
    assert_eq!(graph["version"], 1);
    assert_eq!(
        graph["edges"],
        serde_json::json!([{ "from": 1, "to": 0, "kind": "from", "line": 1 }])
    );
}

#[test]
fn the_context_says_what_is_in_it_and_what_is_not() {
    let application = TestApplication::shop();
    application.run(&["context", "web"]).is(str![[r#"
exit 0
-- stdout
shop-web:latest: 2 files, 34 B
left out:
  .env          name starts with a dot, and no ignore file
  node_modules  `node_modules`, and no ignore file
-- stderr

"#]]);
    application.run(&["context", "web", "--list"]).is(str![[r#"
exit 0
-- stdout
-rw-r--r-- 25 Dockerfile
-rw-r--r--  9 server.js
-- stderr

"#]]);
    let context = application.run(&["context", "web", "--format", "json"]).json();
    assert_eq!(context["version"], 1);
    assert_eq!(context["bytes"], 34);
    assert_eq!(context["entries"][1]["source"], "api/Shop/deploy/web/server.js");
    assert_eq!(context["left_out"][0]["path"], ".env");
}

#[test]
fn a_tar_is_the_same_in_a_file_and_in_a_pipe() {
    let application = TestApplication::shop();
    let piped = application.command(&["context", "web", "--tar", "-"]).output().unwrap();
    assert!(piped.status.success());
    assert_eq!(application.run(&["context", "web", "--tar", "web.tar"]).code, Some(0));
    let bytes = std::fs::read(application.path("web.tar")).unwrap();
    assert_eq!(bytes, piped.stdout);
    let mut archive = tar::Archive::new(&*bytes);
    let paths: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(paths, ["Dockerfile", "server.js"]);
    let run = application.run(&["context", "web", "--tar", "nowhere/web.tar"]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stderr.contains("`nowhere/web.tar`"), "{run}");
}

#[test]
fn looking_leaves_nothing_behind_but_state_that_is_there_already() {
    let application = TestApplication::shop();
    for arguments in [&["plan"][..], &["why", "web"], &["graph"], &["check"], &["context", "web"]] {
        application.run(arguments);
    }
    assert!(!application.path(".ailtire").exists());
}
