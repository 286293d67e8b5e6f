//! `graph`: packages, images, and what needs what.

use ailtire::BaseKind;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{DATA_VERSION, graph_formats};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::Printer;
use crate::{exit, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build graph                                     a tree for reading
  ailtire-build graph --format dot | dot -Tsvg > images.svg
  ailtire-build graph --format mermaid                    for Markdown";

/// Show packages, images and their edges
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GraphArguments {
    /// Form of the graph
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: GraphFormat,

    #[command(flatten)]
    release: ReleaseArguments,
}

/// The form of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// An indented tree
    Text,
    /// For Graphviz
    Dot,
    /// For Mermaid
    Mermaid,
    /// For programs: stable, with a version
    Json,
}

/// What is drawn.
#[derive(Debug, Serialize)]
pub(super) struct Graph {
    version: u32,
    pub(super) application: String,
    pub(super) environment: String,
    /// Parents before children.
    pub(super) packages: Vec<Package>,
    pub(super) images: Vec<Image>,
    pub(super) edges: Vec<Edge>,
}

#[derive(Debug, Serialize)]
pub(super) struct Package {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) short_name: Option<String>,
    pub(super) directory: String,
    /// Index of the package that holds it.
    pub(super) parent: Option<usize>,
    /// Indices of the packages that must be deployed before it.
    pub(super) depends: Vec<usize>,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "`image` is what events and plans call it, too")]
pub(super) struct Image {
    /// Its first reference.
    pub(super) image: String,
    pub(super) references: Vec<String>,
    pub(super) name: String,
    /// Index of its package.
    pub(super) package: usize,
    pub(super) definition: String,
    pub(super) dockerfile: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Edge {
    /// Index of the image that needs the other one.
    pub(super) from: usize,
    /// Index of the image that is needed.
    pub(super) to: usize,
    /// How it is named in the Dockerfile.
    pub(super) kind: &'static str,
    /// Line of the Dockerfile, counted from 1.
    pub(super) line: u32,
}

/// Writes the graph.
///
/// # Errors
///
/// A [`Failure`] where definitions or Dockerfiles can't be used.
pub(crate) fn run(
    global: &GlobalArguments,
    arguments: &GraphArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let application = opening::with_stacks(global, &arguments.release, printer)?;
    let graph = application.graph();
    let unreadable: Vec<_> =
        graph.dockerfiles.iter().filter_map(|dockerfile| dockerfile.as_ref().err()).collect();
    if !unreadable.is_empty() {
        let findings = unreadable.into_iter().flatten().cloned().collect();
        return Err(ailtire::Error::Definitions(findings).into());
    }
    let drawn = drawn(application.definitions(), &graph);
    match arguments.format {
        GraphFormat::Text => printer.data(&graph_formats::text(&drawn))?,
        GraphFormat::Dot => printer.data(&graph_formats::dot(&drawn))?,
        GraphFormat::Mermaid => printer.data(&graph_formats::mermaid(&drawn))?,
        GraphFormat::Json => printer.pretty_json(&drawn)?,
    }
    application.save()?;
    Ok(exit::DONE)
}

fn drawn(definitions: &ailtire::Definitions, graph: &ailtire::ImageGraph) -> Graph {
    let packages = definitions.packages.iter().map(|package| Package {
        key: package.key.clone(),
        name: package.name.clone(),
        short_name: package.short_name.clone(),
        directory: package.directory.clone(),
        parent: package.parent,
        depends: package.depends.clone(),
    });
    let images = definitions.images.iter().map(|image| Image {
        image: image.reference().to_owned(),
        references: image.references.clone(),
        name: image.name.clone(),
        package: image.package,
        definition: image.location.to_string(),
        dockerfile: image.dockerfile.clone(),
    });
    let edges = graph.edges.iter().map(|edge| Edge {
        from: edge.from,
        to: edge.to,
        kind: match edge.kind {
            BaseKind::From => "from",
            BaseKind::CopyFrom => "copy-from",
            BaseKind::MountFrom => "mount-from",
            BaseKind::Service => "service",
        },
        line: edge.line,
    });
    Graph {
        version: DATA_VERSION,
        application: definitions.name.clone(),
        environment: definitions.environment.clone(),
        packages: packages.collect(),
        images: images.collect(),
        edges: edges.collect(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn package(key: &str, directory: &str, parent: Option<usize>) -> Package {
        Package {
            key: key.into(),
            name: key.into(),
            short_name: None,
            directory: directory.into(),
            parent,
            depends: Vec::new(),
        }
    }

    fn image(reference: &str, package: usize) -> Image {
        Image {
            image: reference.into(),
            references: vec![reference.into()],
            name: reference.into(),
            package,
            definition: "deploy/build.js:1:1".into(),
            dockerfile: "deploy/Dockerfile".into(),
        }
    }

    /// Three packages, one inside another, with names that need escaping.
    pub(crate) fn sample() -> Graph {
        let edge = |from, to, kind, line| Edge { from, to, kind, line };
        Graph {
            version: DATA_VERSION,
            application: "my\"app".into(),
            environment: "default".into(),
            packages: vec![
                package("my\"app", "", None),
                package("Shop#1", "api/Shop", Some(0)),
                package("Cart", "api/Shop/Cart", Some(1)),
                package("Empty", "api/Empty", Some(0)),
            ],
            images: vec![
                image("my-base:latest", 0),
                image("my-web:latest", 1),
                image("my-cart:latest", 2),
            ],
            edges: vec![
                edge(1, 0, "from", 1),
                edge(2, 0, "from", 1),
                edge(2, 1, "copy-from", 3),
                edge(2, 1, "copy-from", 4),
            ],
        }
    }
}
