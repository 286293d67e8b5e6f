//! The stacks of an application: which one runs in which, and what each is made of.

mod images;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use ailtire_compose::{ParentStack, Purpose, StackContext, StackDesign};
use ailtire_events::{Diagnostic, Location};
use ailtire_manifest::{Deployment, Package, fill_excerpts};

use crate::Application;
use crate::findings::Findings;
pub(crate) use images::{ImageNames, Meaning};
pub(crate) use order::needed_packages;

/// How many stacks there may be: services that run stacks that run stacks multiply.
const LIMIT: usize = 1000;

/// One instance of a stack.
#[derive(Debug, Clone)]
pub struct StackInstance {
    /// `<name>-<environment>` for the application's own stack,
    /// `<name>-<environment>_<stack name>` for another root, `<parent>_<service>-1` for a child. It
    /// may be too long for a name in the engine.
    pub instance: String,
    /// The root's instance, then the names of the services that lead here.
    pub path: Vec<String>,
    /// Index of the package whose stack it is.
    pub package: usize,
    /// Index of the stack that it runs in.
    pub parent: Option<usize>,
    /// The service of the parent that is its manager.
    pub service: Option<String>,
    /// What its design was read for.
    pub context: StackContext,
    /// What it is made of. Images that the application builds have their full reference, and so
    /// have stack images.
    pub design: StackDesign,
    /// The network that its manager and its services share, as the engine knows it; it may be too
    /// long for a name there.
    pub family_network: String,
    /// Services that run other stacks: index of the stack by name. A service with no replicas runs
    /// none.
    pub stack_services: BTreeMap<String, usize>,
    /// Indices of the stacks that have to be complete before its own services start: those of
    /// packages that its package depends on. One of them may run in this very stack.
    pub depends: Vec<usize>,
}

/// All stacks that are deployed together.
#[derive(Debug, Clone, Default)]
pub struct StackTree {
    /// Each stack after the one that it runs in. The first one is a root.
    pub stacks: Vec<StackInstance>,
    /// Notes and warnings about the designs.
    pub diagnostics: Vec<Diagnostic>,
}

impl StackTree {
    /// Index of the first instance of the stack of `package`.
    pub fn of_package(&self, package: usize) -> Option<usize> {
        self.stacks.iter().position(|stack| stack.package == package)
    }

    /// Indices of the stacks that run in no other one.
    pub fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.stacks.len()).filter(|&stack| self.stacks[stack].parent.is_none())
    }
}

impl Application {
    /// The stacks that are deployed together.
    ///
    /// Without `root`, or with the top package, that is the top package's stack and everything
    /// that runs in it, and the stacks of packages that these depend on; other stacks are left out
    /// with a warning. Where the top package has no stack, every stack that runs in no other one is
    /// a root. Any other package's stack is a root of its own, with what runs in it.
    ///
    /// The application has to be opened with [`crate::OpenOptions::deployments`].
    ///
    /// # Errors
    ///
    /// Everything that was found, where a design can't be used, a stack runs in itself, stacks wait
    /// for one another, or there is no stack.
    pub fn stacks(&self, root: Option<usize>) -> Result<StackTree, Vec<Diagnostic>> {
        self.stacks_for(root, Purpose::Deployment)
    }

    /// [`Application::stacks`], whose designs are read for `purpose`.
    pub(crate) fn stacks_for(
        &self,
        root: Option<usize>,
        purpose: Purpose,
    ) -> Result<StackTree, Vec<Diagnostic>> {
        let mut growth = Growth { purpose, ..Growth::new(self) };
        match root.filter(|&package| self.definitions.packages[package].parent.is_some()) {
            Some(package) => growth.grow(package),
            None => growth.grow_application(),
        }
        if growth.stacks.is_empty() {
            growth.findings.extend([self.no_stack(root)]);
        }
        let tree = growth.finish();
        if tree.diagnostics.iter().any(Diagnostic::is_error) {
            return Err(tree.diagnostics);
        }
        Ok(tree)
    }

    /// What is odd or wrong about any stack of the chosen environment.
    pub(crate) fn check_stacks(&self) -> Vec<Diagnostic> {
        let mut growth = Growth::new(self);
        growth.grow_application();
        let left = growth.left_out();
        for package in growth.tops(&left) {
            growth.grow(package);
        }
        growth.finish().diagnostics
    }

    fn no_stack(&self, root: Option<usize>) -> Diagnostic {
        let definitions = &self.definitions;
        let environment = &definitions.environment;
        let help = "a package has a stack where its `deploy/deploy.js` has an entry for the \
                    environment, or `default`";
        let who = match root {
            Some(package) => format!("the package `{}` has no", definitions.packages[package].key),
            None => "no package has a".to_owned(),
        };
        let message = format!("{who} stack in the environment `{environment}`");
        Diagnostic::error("no-stack", message).help(help)
    }
}

/// A stack that is still to be read.
struct Pending {
    package: usize,
    /// The stack that it runs in, and the service there.
    place: Option<(usize, String)>,
}

/// A tree while it grows.
struct Growth<'application> {
    application: &'application Application,
    names: ImageNames<'application>,
    stacks: Vec<StackInstance>,
    findings: Findings,
    /// What designs are read for.
    purpose: Purpose,
}

impl<'application> Growth<'application> {
    fn new(application: &'application Application) -> Self {
        let names = ImageNames::new(&application.definitions, &application.load_options);
        let (stacks, findings) = (Vec::new(), Findings::default());
        Self { application, names, stacks, findings, purpose: Purpose::default() }
    }

    fn packages(&self) -> &'application [Package] {
        &self.application.definitions.packages
    }

    /// Packages with a stack, and that stack.
    fn deployments(&self) -> impl Iterator<Item = (usize, &'application Deployment)> {
        let packages = self.packages().iter().enumerate();
        packages.filter_map(|(index, package)| Some((index, package.deployment.as_ref()?)))
    }

    /// Packages with a stack that is not in the tree.
    fn left_out(&self) -> Vec<usize> {
        let in_tree: BTreeSet<usize> = self.stacks.iter().map(|stack| stack.package).collect();
        let all = self.deployments().map(|(package, _)| package);
        all.filter(|package| !in_tree.contains(package)).collect()
    }

    /// What is deployed where no package is named.
    fn grow_application(&mut self) {
        let top = self.packages().iter().position(|package| package.parent.is_none());
        let top = top.filter(|&top| self.packages()[top].deployment.is_some());
        let Some(top) = top else {
            for package in self.tops(&self.left_out()) {
                self.grow(package);
            }
            return;
        };
        self.grow(top);
        // What a broken design would run is not known.
        if self.findings.list.iter().any(Diagnostic::is_error) {
            return;
        }
        // A package that others depend on is deployed with them, wherever it is.
        while let Some(package) = self.missing_dependency() {
            self.grow(package);
        }
        for package in self.left_out() {
            let Some(deployment) = &self.packages()[package].deployment else { continue };
            self.findings.extend([unreferenced(&self.packages()[package], deployment)]);
        }
    }

    /// A package with a stack that a package in the tree depends on, and that is not in the tree.
    fn missing_dependency(&self) -> Option<usize> {
        let left: BTreeSet<usize> = self.left_out().into_iter().collect();
        let mut needed = self
            .stacks
            .iter()
            .flat_map(|stack| order::needed_packages(self.packages(), stack.package));
        needed.find(|package| left.contains(package))
    }

    /// Those of `packages` whose stacks run in none of the others', so that all are reached.
    fn tops(&self, packages: &[usize]) -> Vec<usize> {
        let inner: BTreeMap<usize, BTreeSet<usize>> =
            packages.iter().map(|&package| (package, self.inner_packages(package))).collect();
        let is_inner = |package: usize| {
            inner.iter().any(|(&holder, held)| holder != package && held.contains(&package))
        };
        let mut tops: Vec<usize> =
            packages.iter().copied().filter(|&package| !is_inner(package)).collect();
        let mut reached = BTreeSet::new();
        let mut pending = tops.clone();
        loop {
            while let Some(package) = pending.pop() {
                if reached.insert(package) {
                    pending.extend(inner.get(&package).into_iter().flatten());
                }
            }
            // What is left runs in itself, which its growth reports.
            let Some(&left) = packages.iter().find(|package| !reached.contains(package)) else {
                return tops;
            };
            tops.push(left);
            pending.push(left);
        }
    }

    /// The packages whose stacks run directly in that of `package`.
    fn inner_packages(&self, package: usize) -> BTreeSet<usize> {
        let mut alone = Growth::new(self.application);
        alone.add(&Pending { package, place: None });
        alone.link(0).into_iter().map(|pending| pending.package).collect()
    }

    /// Adds the stack of `package` as a root, and all that runs in it.
    fn grow(&mut self, package: usize) {
        let mut pending = vec![Pending { package, place: None }];
        while let Some(next) = pending.pop() {
            if self.stacks.len() >= LIMIT {
                let message = format!("there are more than {LIMIT} stacks in one another");
                self.findings.extend([Diagnostic::error("too-many-stacks", message).help(
                    "each service that runs a stack makes an instance of all that it holds",
                )]);
                return;
            }
            if let Some(index) = self.add(&next) {
                pending.extend(self.link(index).into_iter().rev());
            }
        }
    }

    /// Reads a stack; its index.
    fn add(&mut self, pending: &Pending) -> Option<usize> {
        let package = pending.package;
        let deployment = self.packages()[package].deployment.as_ref()?;
        let (instance, path) = self.names_of(deployment, pending);
        let parent = pending.place.as_ref().map(|(parent, _)| &self.stacks[*parent]);
        let options = &self.application.load_options;
        let context = StackContext {
            application: self.application.definitions.instance.clone(),
            environment: self.application.definitions.environment.clone(),
            instance: instance.clone(),
            path: path.clone(),
            parent: parent.map(|parent| ParentStack {
                instance: parent.instance.clone(),
                family_network: parent.family_network.clone(),
            }),
            variables: deployment.variables.clone(),
            command_line: options.variables.clone(),
            process: options.process_environment.clone(),
            stack_images: self.names.of_stacks(),
            fix_tags: options.fix_tags,
            purpose: self.purpose,
        };
        let read = ailtire_compose::read(&self.application.tree, &deployment.design, &context);
        self.findings.extend(read.diagnostics);
        // Where it can't be used, an error says so; what else there is to say does not wait.
        let design = read.design.unwrap_or_default();
        let index = self.stacks.len();
        if let Some((parent, service)) = &pending.place {
            self.stacks[*parent].stack_services.insert(service.clone(), index);
        }
        self.stacks.push(StackInstance {
            instance,
            path,
            package,
            parent: pending.place.as_ref().map(|(parent, _)| *parent),
            service: pending.place.as_ref().map(|(_, service)| service.clone()),
            family_network: context.family_network_in(&design),
            context,
            design,
            stack_services: BTreeMap::new(),
            depends: Vec::new(),
        });
        Some(index)
    }

    /// The instance and the path of a stack.
    fn names_of(&mut self, deployment: &Deployment, pending: &Pending) -> (String, Vec<String>) {
        if let Some((parent, service)) = &pending.place {
            let parent = &self.stacks[*parent];
            let mut path = parent.path.clone();
            path.push(service.clone());
            return (format!("{}_{service}-1", parent.instance), path);
        }
        let root = self.application.identity().root;
        self.findings.extend(invalid_root(&root));
        let is_top = self.packages()[pending.package].parent.is_none();
        let own = deployment.name.replace('/', "-");
        let instance = if is_top { root } else { format!("{root}_{own}") };
        (instance.clone(), vec![instance])
    }

    /// Says what the images of a stack mean; the stacks that run in it.
    fn link(&mut self, index: usize) -> Vec<Pending> {
        let mut inner = Vec::new();
        let mut found = Vec::new();
        let mut services = std::mem::take(&mut self.stacks[index].design.services);
        for (name, service) in &mut services {
            let location = service.image_location.clone();
            match self.names.meaning(&service.image, service.is_stack) {
                Meaning::Built(reference) => service.image = reference,
                Meaning::Foreign if service.is_stack => {
                    found.push(self.names.unknown_stack(&service.image).at(location));
                }
                Meaning::Foreign => {}
                Meaning::Stack(package, reference) => {
                    service.image = reference;
                    let replicas = service.deploy.replicas.unwrap_or(1);
                    if let Some(cycle) = self.cycle(index, package) {
                        found.push(cycle.at(location));
                    } else if replicas > 0 {
                        inner.push(Pending { package, place: Some((index, name.clone())) });
                    }
                    if replicas > 1 {
                        found.push(replicated(name, replicas, service.location.clone()));
                    }
                }
            }
        }
        self.stacks[index].design.services = services;
        self.findings.extend(found);
        inner
    }

    /// The error where the stack of `package` would run in itself.
    fn cycle(&self, index: usize, package: usize) -> Option<Diagnostic> {
        let above = std::iter::successors(Some(index), |&index| self.stacks[index].parent);
        let mut way: Vec<usize> = above.collect();
        way.reverse();
        let start = way.iter().position(|&index| self.stacks[index].package == package)?;
        let keys = way[start..].iter().map(|&index| self.stacks[index].package).chain([package]);
        let names: Vec<&str> = keys.map(|package| self.packages()[package].key.as_str()).collect();
        let message = format!("a stack runs in itself: {}", names.join(" → "));
        Some(
            Diagnostic::error("stack-in-itself", message)
                .help("take the service out: a stack's own manager is no service of it"),
        )
    }

    fn finish(mut self) -> StackTree {
        let depends = order::depends(&self.stacks, self.packages());
        for (stack, depends) in self.stacks.iter_mut().zip(depends) {
            stack.depends = depends;
        }
        self.findings.extend(order::cycles(&self.stacks, self.packages()));
        let mut diagnostics = self.findings.list;
        fill_excerpts(&self.application.tree, &mut diagnostics);
        StackTree { stacks: self.stacks, diagnostics }
    }
}

fn unreferenced(package: &Package, deployment: &Deployment) -> Diagnostic {
    let name = &deployment.name;
    let message = format!(
        "the stack `{name}` of the package `{}` is not part of the application's, and is deployed \
         only by name",
        package.key
    );
    Diagnostic::warning("unreferenced-stack", message).at(deployment.location.clone()).help(format!(
        "run it in another stack with a service `{{ type: 'stack', image: '{name}' }}`, or name \
         the package in the `depends` of another one"
    ))
}

pub(crate) fn replicated(service: &str, replicas: u64, location: Location) -> Diagnostic {
    let message = format!("`{service}` asks for {replicas} replicas of a stack, and gets one");
    Diagnostic::warning("replicated-stack", message)
        .at(location)
        .help("a stack has one instance for each service; give its own services more replicas")
}

/// The error for a name that the engine would refuse in all names that start with it.
fn invalid_root(root: &str) -> Option<Diagnostic> {
    let is_valid = root.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && root.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (!is_valid).then(|| {
        let message = format!("`{root}` cannot be the name of a stack");
        Diagnostic::error("invalid-instance", message)
            .help("`--name` and `--env` are made of letters, digits, `-`, `_` and `.`")
    })
}

/// The names in backticks.
fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
