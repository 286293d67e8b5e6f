//! The pipelines of `docs/ci`: their own commands, run in clones of a repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use private_engine::Registry;

use crate::push::forget;
use crate::support::{Run, TestApplication, host, machine_address};

const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ci");

/// The commands of a job, in order: what follows `- run:` or `- ` in the documents' YAML, and speaks
/// of this program.
fn commands(document: &str, job: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(DOCUMENTS).join(document)).unwrap();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| line.trim() != format!("{job}:"));
    let first = lines.next().unwrap_or_else(|| panic!("{document} has no job `{job}`"));
    let body = lines.take_while(|line| {
        !line.starts_with("```") && (line.trim().is_empty() || indent(line) > indent(first))
    });
    let commands = body.filter_map(|line| {
        let line = line.trim().trim_start_matches("- ");
        Some(line.strip_prefix("run: ").unwrap_or(line))
            .filter(|line| line.contains("ailtire-build "))
    });
    commands.map(str::to_owned).collect()
}

/// A repository with a main branch, and clones of it.
struct Repository {
    application: TestApplication,
    origin: PathBuf,
    registry: Registry,
}

impl Repository {
    fn new() -> Self {
        let application = TestApplication::new(&[
            ("deploy/build.js", "module.exports = { base: { dir: 'base' }, web: { dir: 'web' } };"),
            ("deploy/base/Dockerfile", "FROM scratch\nCOPY file /base\n"),
            ("deploy/base/file", "of the base"),
            ("deploy/web/Dockerfile", "FROM scratch\nCOPY file /web\n"),
            ("deploy/web/file", "of the web"),
            (".gitignore", ".ailtire\n.docker\nclones\norigin\nimages.json\n"),
        ]);
        let origin = application.path("origin");
        let registry = Registry::start_at(machine_address(), None).unwrap();
        let repository = Self { application, origin, registry };
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository.commit();
        repository.git(&["init", "--quiet", "--bare", "origin"]);
        repository.git(&["remote", "add", "origin", repository.origin.to_str().unwrap()]);
        repository.git(&["push", "--quiet", "origin", "main"]);
        repository.git(&["fetch", "--quiet", "origin"]);
        repository
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.application.root()).args(arguments);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "t").env(format!("GIT_{role}_EMAIL"), "t@t");
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a change"]);
    }

    fn repository(&self) -> String {
        format!("{}/team", self.registry.address())
    }

    /// Runs a command as a job does: by a shell, with the variables of the pipeline.
    fn run(&self, command: &str, variables: &[(&str, &str)]) -> Run {
        let program = Path::new(env!("CARGO_BIN_EXE_ailtire-build")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", command]).current_dir(self.application.root());
        shell.env("PATH", format!("{}:{path}", program.display()));
        shell.env("DOCKER_HOST", host()).env("DOCKER_CONFIG", self.application.path(".docker"));
        shell.env("REPOSITORY", self.repository()).envs(variables.iter().copied());
        let run = Run::of(shell.output().unwrap());
        assert_eq!(run.code, Some(0), "{command}: {run}");
        run
    }

    fn job(&self, document: &str, job: &str, variables: &[(&str, &str)]) -> String {
        let commands = commands(document, job);
        assert!(!commands.is_empty(), "{document} says nothing about `{job}`");
        let runs = commands.iter().map(|command| self.run(command, variables));
        runs.flat_map(|run| [run.stdout, run.stderr]).collect()
    }

    fn forget_state(&self) {
        let _ = fs::remove_dir_all(self.application.path(".ailtire"));
        forget(&self.repository());
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        forget(&self.repository());
    }
}

fn a_pipeline(document: &str, request: &str, variables: &[(&str, &str)]) -> String {
    let repository = Repository::new();
    let said = repository.job(document, "main", variables);
    assert!(said.contains("2 built"), "{said}");
    let images = fs::read_to_string(repository.application.path("images.json")).unwrap();
    assert!(images.contains("sha256:"), "{images}");

    repository.application.put("deploy/web/file", "changed");
    repository.commit();
    repository.forget_state();
    let said = repository.job(document, request, variables);
    assert!(said.contains("1 of 2 images affected since origin/main"), "{said}");
    assert!(said.contains("1 built, 0 fresh"), "{said}");

    repository.git(&["push", "--quiet", "origin", "main"]);
    repository.forget_state();
    let said = repository.job(document, "main", variables);
    assert!(said.contains("1 built") && said.contains("1 cached"), "{said}");
    said
}

#[test]
fn the_pipeline_for_github_actions() {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary.md");
    let variables = [("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    a_pipeline("github-actions.md", "pull-request", &variables);
    let summary = fs::read_to_string(summary).unwrap();
    assert_eq!(summary.matches("### ").count(), 3, "{summary}");
    assert!(summary.contains("| image | | reason | time | sent |"), "{summary}");
}

#[test]
fn the_pipeline_for_gitlab() {
    let said = a_pipeline("gitlab.md", "merge-request", &[("GITLAB_CI", "true")]);
    assert!(said.contains("section_start:") && said.contains("| cached |"), "{said}");
}

#[test]
fn one_job_for_each_image() {
    let repository = Repository::new();
    repository.application.put("deploy/web/file", "changed");
    let output = repository.application.path(".docker/output");
    fs::create_dir_all(output.parent().unwrap()).unwrap();
    let variables = [("GITHUB_OUTPUT", output.to_str().unwrap())];
    repository.job("github-actions.md", "list", &variables);
    let matrix = fs::read_to_string(&output).unwrap();
    let matrix: serde_json::Value =
        serde_json::from_str(matrix.trim().strip_prefix("matrix=").unwrap()).unwrap();
    let entries = matrix["include"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{matrix}");
    for entry in entries {
        let variables = [("IMAGE", entry["image"].as_str().unwrap())];
        let said = repository.job("github-actions.md", "build", &variables);
        assert!(said.contains("1 built"), "{said}");
    }
}
