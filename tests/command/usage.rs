//! The command line, exit codes, and where what is written goes.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use snapbox::str;

use crate::support::TestApplication;

#[test]
fn help_and_version_are_data() {
    let application = TestApplication::new(&[]);
    for arguments in [&["--help"][..], &["build", "--help"], &["--version"], &["-V"]] {
        let run = application.run(arguments);
        assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{run}");
        assert!(run.stdout.contains("ailtire-build"), "{run}");
    }
    let help = application.run(&["--help"]).stdout;
    assert!(help.contains("Exit codes:") && help.contains("Examples:"), "{help}");
}

#[test]
fn completions_exist_for_each_shell() {
    let application = TestApplication::new(&[]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = application.run(&["completions", shell]);
        assert_eq!(run.code, Some(0), "{run}");
        assert!(run.stdout.contains("keep-going"), "{shell} knows the options");
    }
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let application = TestApplication::shop();
    for arguments in [
        &["biuld"][..],
        &["build", "--job", "2"],
        &["build", "-j", "many"],
        &["build", "--dry-run", "--metadata-file", "m"],
        &["context"],
        &["context", "web", "--list", "--tar", "-"],
    ] {
        let run = application.run(arguments);
        assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{run}");
    }
    application.run(&["plan", "--env", "dev", "--env", "production"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error: there can be only one environment, not `dev` and `production`
hint: variables are written `--env KEY=VALUE`

"#]]);
    application.run(&["plan", "--env", "=x"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error: `--env` has no name before the `=`
hint: write `--env KEY=VALUE`, or `--env NAME` for an environment

"#]]);
}

#[test]
fn without_an_application_it_says_where_it_looked() {
    let application = TestApplication::new(&[("some/file", "")]);
    application.run(&["plan"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error: there is no ailtire application in `[ROOT]` or in a directory above it
hint: go to an application's directory, or name one with `--app DIR`

"#]]);
    application.run(&["plan", "--app", "nowhere"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error: cannot open `nowhere`: No such file or directory (os error 2)
hint: `--app` names the directory of an application

"#]]);
}

#[test]
fn the_application_is_found_upward_or_named() {
    let application = TestApplication::shop();
    let expected = application.run(&["plan"]);
    assert_eq!(expected.code, Some(0), "{expected}");
    let mut command = application.command(&["plan"]);
    command.current_dir(application.path("api/Shop/deploy"));
    assert_eq!(application.finish(command).stdout, expected.stdout);
    let mut command = application.command(&["--app", ".", "plan"]);
    command.current_dir(application.root());
    assert_eq!(application.finish(command).stdout, expected.stdout);
}

#[test]
fn without_an_engine_a_build_exits_with_3() {
    let application = TestApplication::shop();
    application.run(&["build"]).is(str![[r#"
exit 3
-- stdout
-- stderr
error: no Docker engine answers at `unix:///nowhere/docker.sock`: there is no such socket
hint: start the engine, or name another one with `DOCKER_HOST` or `docker context use`

"#]]);
    let mut command = application.command(&["build", "--host", "unix:///elsewhere.sock"]);
    let run = application.finish({
        command.env("DOCKER_CONTEXT", "unknown");
        command
    });
    assert_eq!(run.code, Some(3), "{run}");
    assert!(run.stderr.contains("/elsewhere.sock"), "{run}");
}

#[test]
fn colours_come_only_where_they_are_asked_for() {
    let application = TestApplication::shop();
    let colours = |arguments: &[&str], variable: Option<&str>| {
        let mut command = application.command(arguments);
        if let Some(variable) = variable {
            command.env(variable, "1");
        }
        application.finish(command).stdout.contains('\u{1b}')
    };
    assert!(!colours(&["plan"], None), "a pipe is no terminal");
    assert!(colours(&["plan", "--color", "always"], None));
    assert!(colours(&["plan"], Some("CLICOLOR_FORCE")));
    assert!(!colours(&["plan", "--color", "never"], Some("CLICOLOR_FORCE")));
    assert!(!colours(&["plan"], Some("NO_COLOR")));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let application = TestApplication::shop();
    let many: Vec<_> = (0..3000).map(|number| format!("  i{number}: {{ dir: 'base' }},")).collect();
    let many = many.join("\n");
    application.put(
        "deploy/build.js",
        &format!("module.exports = {{\n  base: {{ dir: 'base' }},\n{many}}};\n"),
    );
    let mut command = application.command(&["plan", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    drop(output);
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!((child.wait().unwrap().code(), &*error), (Some(0), ""));
}

#[test]
fn cleaning_drops_the_state_even_of_broken_definitions() {
    let application = TestApplication::shop();
    application.record_all();
    application.put("deploy/build.js", "module.exports = {");
    application.run(&["clean"]).is(str![[r#"
exit 0
-- stdout
-- stderr
     Cleaned the state: the next build looks at everything anew

"#]]);
    assert!(!application.path(".ailtire/engines").exists());
    let run = application.run(&["clean", "--images"]);
    assert_eq!(run.code, Some(3), "removing images needs an engine: {run}");
    assert_eq!(application.run(&["clean", "-q"]).to_string(), "exit 0\n-- stdout\n-- stderr\n");
}

#[test]
fn a_signal_ends_the_wait_for_another_run() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let application = TestApplication::shop();
        let state = ailtire_fingerprint::StateDirectory::of(application.root());
        let other_run = state.lock(|_| {}).unwrap();
        let mut command = application.command(&["build"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut error = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        error.read_line(&mut line).unwrap();
        assert!(line.starts_with("    Blocking waiting for another run"), "{line}");
        let kill =
            std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        error.read_to_string(&mut line).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{line}");
        assert!(line.contains("error: cancelled"), "{line}");
        drop(other_run);
    }
}

#[test]
fn state_that_cannot_be_written_exits_with_4() {
    let application = TestApplication::shop();
    application.put(".ailtire", "a file");
    let run = application.run(&["build"]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stderr.contains(".ailtire"), "{run}");
}
