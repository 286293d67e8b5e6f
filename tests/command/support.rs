//! An application in a temporary directory, and the real command without any engine.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use ailtire::{Access, Application, OpenOptions, PlanOptions, Record};
use snapbox::IntoData;

use crate::directory::Directory;

/// Where no engine is.
pub(crate) const HOST: &str = "unix:///nowhere/docker.sock";

/// An application in a directory of its own.
pub(crate) struct TestApplication {
    directory: Directory,
}

impl TestApplication {
    /// An application with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let application = Self { directory: Directory::new() };
        for (path, content) in files {
            application.put(path, content);
        }
        application
    }

    /// A shop: a base image, and a web image on it in a package of its own.
    pub(crate) fn shop() -> Self {
        Self::new(&[
            ("api/index.js", "module.exports = { name: 'My App' };\n"),
            ("deploy/build.js", "module.exports = {\n  base: { dir: 'base' },\n};\n"),
            ("deploy/base/Dockerfile", "FROM scratch\nCOPY . /\n"),
            ("deploy/base/settings.json", "{}\n"),
            ("api/Shop/index.js", "module.exports = { name: 'Shop', shortname: 'sShop' };\n"),
            (
                "api/Shop/deploy/build.js",
                "module.exports = {\n  web: { dir: 'web', tag: 'shop-web' },\n};\n",
            ),
            ("api/Shop/deploy/web/Dockerfile", "FROM myapp-base\nCOPY . /\n"),
            ("api/Shop/deploy/web/server.js", "serve();\n"),
            ("api/Shop/deploy/web/.env", "TOKEN=1\n"),
            ("api/Shop/deploy/web/node_modules/a/index.js", "\n"),
        ])
    }

    /// The command, ready to run in the application, where no engine answers.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(HOST, arguments)
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.finish(self.command(arguments))
    }

    /// Runs `command` to its end.
    pub(crate) fn finish(&self, mut command: Command) -> Run {
        Run::of(command.output().unwrap(), self.root())
    }

    /// Records every image as built from what is there now, as if an engine had confirmed it.
    pub(crate) fn record_all(&self) {
        let options = OpenOptions {
            directory: self.root().to_owned(),
            access: Access::Write,
            ..OpenOptions::default()
        };
        let application = Application::open(&options, &ailtire_events::NullSink).unwrap();
        let records = application.state().records(HOST).unwrap();
        let images = (0..application.definitions().images.len()).collect();
        let options = PlanOptions { images, ..PlanOptions::default() };
        let plan = application.plan(&options, &records, None).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() * 1000;
        let id = |reference: &str| format!("sha256:id-of-{}", reference.replace(":latest", ""));
        for image in &plan.images {
            let bases = image.bases.iter().map(|base| {
                serde_json::json!({ "reference": base.reference, "image_id": id(&base.reference) })
            });
            let record = serde_json::json!({
                "format": 1,
                "references": image.settings.references,
                "key": image.key,
                "fingerprint": image.fingerprint,
                "bases": bases.collect::<Vec<_>>(),
                "image_id": id(&image.reference),
                "built_at": now,
            });
            records.update(serde_json::from_value::<Record>(record).unwrap()).unwrap();
        }
    }
}

impl std::ops::Deref for TestApplication {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

/// What a run of the command came to; the application's directory is written as `[ROOT]`.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    fn of(output: Output, root: &Path) -> Self {
        let root = fs::canonicalize(root).unwrap();
        let text =
            |bytes| String::from_utf8(bytes).unwrap().replace(root.to_str().unwrap(), "[ROOT]");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Compares code, standard output and standard error with a snapshot.
    #[track_caller]
    pub(crate) fn is(&self, expected: impl IntoData) {
        snapbox::assert_data_eq!(self.to_string(), expected);
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or("by a signal".to_owned(), |code| code.to_string());
        write!(formatter, "exit {code}\n-- stdout\n{}-- stderr\n{}", self.stdout, self.stderr)
    }
}
