//! Which image needs which.

use std::collections::HashMap;

use ailtire_context::{BaseKind, Dockerfile};
use ailtire_events::{Diagnostic, Location};
use ailtire_manifest::{Application as Definitions, ImageDefinition};
use ailtire_terms::reference::canonical;
use rayon::prelude::*;

use crate::Application;
use crate::stacks::ImageNames;

/// One image needs another that the application builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Index of the image that needs the other one.
    pub from: usize,
    /// Index of the image that is needed.
    pub to: usize,
    /// Line of the Dockerfile of `from` that names it.
    pub line: u32,
    /// How it is named there.
    pub kind: BaseKind,
}

/// The images of an application and what they need; indices are those of the definitions' images.
#[derive(Debug)]
pub struct ImageGraph {
    /// The Dockerfile of each image, or what is wrong with it.
    pub dockerfiles: Vec<Result<Dockerfile, Vec<Diagnostic>>>,
    /// All edges, by `from`, then in the order of the Dockerfile.
    pub edges: Vec<Edge>,
    builders: HashMap<String, usize>,
}

impl ImageGraph {
    /// Reads the Dockerfiles and connects the images.
    pub(crate) fn of(application: &Application) -> Self {
        let images = &application.definitions.images;
        let tree = &application.tree;
        let stacks = application.stack_images();
        let names = ImageNames::new(&application.definitions, &application.load_options);
        let dockerfile = |(index, image): (usize, &ImageDefinition)| match stacks.get(&index) {
            None => ailtire_context::dockerfile(tree, image, &|name| names.in_full(name, image)),
            Some(Ok(stack)) => Ok(stack.dockerfile.clone()),
            Some(Err(diagnostics)) => Err(diagnostics.clone()),
        };
        let dockerfiles: Vec<_> = images.par_iter().enumerate().map(dockerfile).collect();
        let builders = builders(&application.definitions);
        let mut edges = Vec::new();
        for (from, dockerfile) in dockerfiles.iter().enumerate() {
            for base in dockerfile.iter().flat_map(|dockerfile| &dockerfile.bases) {
                if let Some(&to) = builders.get(&canonical(&base.reference)) {
                    edges.push(Edge { from, to, line: base.line, kind: base.kind });
                }
            }
        }
        Self { dockerfiles, edges, builders }
    }

    /// Index of the image that carries `reference`, however it is written.
    pub fn builder(&self, reference: &str) -> Option<usize> {
        self.builders.get(&canonical(reference)).copied()
    }

    /// Indices of the images that image `from` needs directly.
    pub fn needed_by(&self, from: usize) -> impl Iterator<Item = usize> + '_ {
        let start = self.edges.partition_point(|edge| edge.from < from);
        self.edges[start..].iter().take_while(move |edge| edge.from == from).map(|edge| edge.to)
    }

    /// `images` and all that they need, each after what it needs.
    ///
    /// # Errors
    ///
    /// A diagnostic for each cycle that is met.
    pub fn in_order(
        &self,
        images: &[usize],
        definitions: &Definitions,
    ) -> Result<Vec<usize>, Vec<Diagnostic>> {
        let mut search = Search {
            graph: self,
            marks: vec![Mark::New; self.dockerfiles.len()],
            path: Vec::new(),
            order: Vec::new(),
            cycles: Vec::new(),
        };
        for &image in images {
            search.visit(image);
        }
        if search.cycles.is_empty() {
            return Ok(search.order);
        }
        Err(search.cycles.iter().map(|cycle| self.describe_cycle(cycle, definitions)).collect())
    }

    fn describe_cycle(&self, cycle: &[usize], definitions: &Definitions) -> Diagnostic {
        let name = |image: usize| definitions.images[image].reference();
        let mut names: Vec<_> = cycle.iter().map(|&image| name(image)).collect();
        names.push(name(cycle[0]));
        let message = format!("images need one another in a circle: {}", names.join(" → "));
        let mut diagnostic = Diagnostic::error("image-cycle", message)
            .help("take one of these references out of its Dockerfile, or out of its stack");
        for (position, &from) in cycle.iter().enumerate() {
            let to = cycle[(position + 1) % cycle.len()];
            let edge = self.edges.iter().find(|edge| edge.from == from && edge.to == to);
            let (Some(edge), Ok(dockerfile)) = (edge, &self.dockerfiles[from]) else { continue };
            let location = if edge.kind == BaseKind::Service {
                Location { line: Some(edge.line), ..Location::file(&*dockerfile.source) }
            } else {
                Location::in_text(&*dockerfile.source, &dockerfile.text, edge.line, None)
            };
            let words = format!("`{}` needs `{}` here", name(from), name(to));
            diagnostic = if position == 0 {
                diagnostic.at(location)
            } else {
                diagnostic.related(location, words)
            };
        }
        diagnostic
    }
}

/// Which image carries which reference.
fn builders(definitions: &Definitions) -> HashMap<String, usize> {
    let mut builders = HashMap::new();
    for (index, image) in definitions.images.iter().enumerate() {
        for reference in &image.references {
            builders.insert(canonical(reference), index);
        }
    }
    builders
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    OnPath,
    Done,
}

/// A depth-first search on a stack of its own: chains of images may be longer than ours.
struct Search<'graph> {
    graph: &'graph ImageGraph,
    marks: Vec<Mark>,
    path: Vec<usize>,
    order: Vec<usize>,
    cycles: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn visit(&mut self, start: usize) {
        // Each frame: an image, and those of its needs that were not looked at yet.
        let mut frames: Vec<(usize, Vec<usize>)> = Vec::new();
        self.enter(start, &mut frames);
        while let Some((image, pending)) = frames.last_mut() {
            let image = *image;
            if let Some(next) = pending.pop() {
                self.enter(next, &mut frames);
            } else {
                self.marks[image] = Mark::Done;
                self.order.push(image);
                self.path.pop();
                frames.pop();
            }
        }
    }

    fn enter(&mut self, image: usize, frames: &mut Vec<(usize, Vec<usize>)>) {
        match self.marks[image] {
            Mark::Done => {}
            Mark::OnPath => {
                let start = self.path.iter().position(|&on_path| on_path == image).unwrap_or(0);
                self.cycles.push(self.path[start..].to_vec());
            }
            Mark::New => {
                self.marks[image] = Mark::OnPath;
                self.path.push(image);
                let mut needed: Vec<_> = self.graph.needed_by(image).collect();
                needed.reverse();
                frames.push((image, needed));
            }
        }
    }
}

impl Application {
    /// The images of the application and what they need.
    pub fn graph(&self) -> ImageGraph {
        ImageGraph::of(self)
    }
}
