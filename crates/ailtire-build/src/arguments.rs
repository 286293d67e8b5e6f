//! The command line, and what it says about the application.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ailtire::{Access, EndpointOptions, OpenOptions};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};

use crate::commands::{
    affected, build, check, clean, completions, compose, context, deploy, down, graph, history,
    key, logs, manual, plan, push, release, rollback, status, token, undeploy, up, verify, why,
};
use crate::error::Failure;
use crate::exit;
use crate::manager;
use crate::printer::{Color, Verbosity};

const EXAMPLES: &str = "\
Examples:
  ailtire-build build                    bring all images up to date
  ailtire-build build MyPackage -r       those of a package and of the packages below it
  ailtire-build plan --env production    what would be built, and why, with no engine
  ailtire-build up --env dev             build it, run it, and say where it is
  ailtire-build why web:latest           which file, variable or base makes it dirty

";

/// Build the container images of an ailtire application, and only what changed
#[derive(Debug, Parser)]
#[command(name = "ailtire-build", version, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}{}", exit::HELP))]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(build::BuildArguments),
    Push(push::PushArguments),
    Plan(plan::PlanArguments),
    Why(why::WhyArguments),
    Affected(affected::AffectedArguments),
    Release(release::ReleaseCommandArguments),
    Up(Box<up::UpArguments>),
    Down(down::DownArguments),
    Token(token::TokenArguments),
    #[command(visible_alias = "install")]
    Deploy(Box<deploy::DeployArguments>),
    Status(status::StatusArguments),
    Logs(logs::LogsArguments),
    History(history::HistoryArguments),
    Rollback(rollback::RollbackArguments),
    #[command(visible_alias = "uninstall")]
    Undeploy(undeploy::UndeployArguments),
    Graph(graph::GraphArguments),
    Context(context::ContextArguments),
    Check(check::CheckArguments),
    Compose(compose::ComposeArguments),
    Clean(clean::CleanArguments),
    Verify(verify::VerifyArguments),
    Key(key::KeyArguments),
    Completions(completions::CompletionsArguments),
    #[command(hide = true)]
    Manual(manual::ManualArguments),
}

/// What every command understands, before or after its name.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArguments {
    /// Root of the application; without it, the application that the working directory lies in
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) app: Option<PathBuf>,

    /// Environment to read the definitions for, or a variable: a build argument for every image,
    /// and replaced in the designs of stacks (repeatable)
    #[arg(long, global = true, value_name = "NAME|KEY=VALUE")]
    pub(crate) env: Vec<String>,

    /// Name of this instance of the application
    #[arg(long, global = true, value_name = "NAME")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: Option<String>,

    /// Repository that goes before every image tag
    #[arg(long, global = true, value_name = "REPOSITORY")]
    pub(crate) repo: Option<String>,

    /// Replace invalid image tags by the suggested ones
    #[arg(long, global = true)]
    pub(crate) fix_tags: bool,

    /// Directory outside the application that definitions may use (repeatable)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) allow_outside: Vec<PathBuf>,

    /// Docker engine, as in `DOCKER_HOST`
    #[arg(short = 'H', long, global = true, value_name = "URL")]
    pub(crate) host: Option<String>,

    /// Docker context, as in `DOCKER_CONTEXT`
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "host")]
    pub(crate) docker_context: Option<String>,

    /// The program that stack images run, instead of the one that is built in
    #[arg(long, global = true, value_name = "FILE", env = "AILTIRE_MANAGER_FILE")]
    #[arg(hide_short_help = true)]
    pub(crate) manager: Option<PathBuf>,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,

    /// Show notes, all reasons, and the logs of steps
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,

    /// Show only what goes wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// The version of the application, for commands whose result depends on it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ReleaseArguments {
    /// Version: an extra tag of every image, and the version in each context's `package.json`
    #[arg(id = "release", long = "version", value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

impl GlobalArguments {
    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        }
    }

    /// How to open the application.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where the options contradict each other.
    pub(crate) fn open_options(
        &self,
        release: &ReleaseArguments,
        access: Access,
    ) -> Result<OpenOptions, Failure> {
        let (environment, variables) = split_environment(&self.env)?;
        Ok(OpenOptions {
            directory: self.app.clone().unwrap_or_else(|| PathBuf::from(".")),
            exact: self.app.is_some(),
            environment,
            variables,
            name: self.name.clone(),
            repository: self.repo.clone(),
            version: release.version.clone(),
            fix_tags: self.fix_tags,
            allow_outside: self.allow_outside.clone(),
            process_environment: process_environment(),
            deployments: false,
            manager: manager::program(self.manager.as_deref())?,
            access,
        })
    }

    /// Where the engine is: what the command line says, else what the environment says.
    pub(crate) fn endpoint(&self) -> EndpointOptions {
        let mut options = EndpointOptions::from_environment(&process_environment());
        if let Some(host) = &self.host {
            options.host = Some(host.clone());
        }
        if let Some(context) = &self.docker_context {
            // A host of the environment would win over a context, but the command line wins.
            options.host = None;
            options.context = Some(context.clone());
        }
        options
    }
}

/// The environment's name, if one was given, and the variables.
fn split_environment(
    values: &[String],
) -> Result<(Option<String>, BTreeMap<String, String>), Failure> {
    let mut names: Vec<&String> = Vec::new();
    let mut variables = BTreeMap::new();
    for value in values {
        match value.split_once('=') {
            Some(("", _)) => {
                return Err(Failure::usage("`--env` has no name before the `=`")
                    .hint("write `--env KEY=VALUE`, or `--env NAME` for an environment"));
            }
            Some((key, value)) => {
                variables.insert(key.to_owned(), value.to_owned());
            }
            None if value.is_empty() => {
                return Err(Failure::usage("the value of `--env` is empty")
                    .hint("write `--env KEY=VALUE`, or `--env NAME` for an environment"));
            }
            None if names.contains(&value) => {}
            None => names.push(value),
        }
    }
    if let [first, second, ..] = names[..] {
        let message = format!("there can be only one environment, not `{first}` and `{second}`");
        return Err(Failure::usage(message).hint("variables are written `--env KEY=VALUE`"));
    }
    Ok((names.first().map(|&name| name.clone()), variables))
}

/// The variables of this process whose name and value are text.
fn process_environment() -> BTreeMap<String, String> {
    let variables = std::env::vars_os();
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Who runs this program: user and host, as far as this machine says.
pub(crate) fn operator() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // Services and containers seldom set either.
    let user = user.unwrap_or_else(|_| match rustix::process::getuid().as_raw() {
        0 => "root".to_owned(),
        number => format!("user {number}"),
    });
    format!("{user}@{host}")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n"), "{} has none", command.get_name());
            assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
        }
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in ["ailtire-build --app d -q plan", "ailtire-build plan -q --app d"] {
            let global = parse(line).unwrap().global;
            assert_eq!(global.app.as_deref(), Some("d".as_ref()));
            assert_eq!(global.verbosity(), Verbosity::Quiet);
        }
        assert!(parse("ailtire-build plan -q -v").is_err());
        assert!(parse("ailtire-build plan -H tcp://h:1 --docker-context c").is_err());
    }

    #[test]
    fn version_is_the_programs_own_before_a_command_and_the_releases_after_it() {
        let error = parse("ailtire-build --version").unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayVersion);
        let error = parse("ailtire-build -V").unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayVersion);
        for command in ["build", "push", "plan", "why web", "graph", "context web", "compose"] {
            let parsed = parse(&format!("ailtire-build {command} --version 1.2"));
            assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn environment_is_one_name_and_any_number_of_variables() {
        let values = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (name, variables) =
            split_environment(&values(&["prod", "A=1", "A=2", "B=x=y", "C=", "prod"])).unwrap();
        assert_eq!(name.as_deref(), Some("prod"));
        let variables: Vec<_> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(variables, [("A", "2"), ("B", "x=y"), ("C", "")]);
        for wrong in [&["dev", "prod"][..], &["=x"], &[""]] {
            assert_eq!(split_environment(&values(wrong)).unwrap_err().code(), exit::UNUSABLE);
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let global =
            GlobalArguments { docker_context: Some("remote".into()), ..GlobalArguments::default() };
        let endpoint = global.endpoint();
        assert_eq!((endpoint.host, endpoint.context), (None, Some("remote".into())));
        let global = GlobalArguments { host: Some("unix:///x".into()), ..Default::default() };
        assert_eq!(global.endpoint().host.as_deref(), Some("unix:///x"));
    }
}
