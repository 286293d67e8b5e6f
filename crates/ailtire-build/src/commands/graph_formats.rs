//! Graphs as text, for Graphviz and for Mermaid.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::graph::Graph;
use crate::printer::style::{FAINT, STRONG, styled};
use crate::printer::words::printable;

impl Graph {
    fn children(&self, parent: Option<usize>) -> impl Iterator<Item = usize> + '_ {
        let packages = self.packages.iter().enumerate();
        packages.filter(move |(_, package)| package.parent == parent).map(|(index, _)| index)
    }

    fn images_of(&self, package: usize) -> impl Iterator<Item = usize> + '_ {
        let images = self.images.iter().enumerate();
        images.filter(move |(_, image)| image.package == package).map(|(index, _)| index)
    }

    /// Edges without repetitions: one Dockerfile may name an image several times.
    fn distinct_edges(&self) -> BTreeSet<(usize, usize, &'static str)> {
        self.edges.iter().map(|edge| (edge.from, edge.to, edge.kind)).collect()
    }
}

/// A tree of packages with their images, and what each image needs.
pub(super) fn text(graph: &Graph) -> String {
    let mut out = String::new();
    let needs = graph.edges.iter().map(|edge| (edge.from, edge.to)).collect();
    for package in graph.children(None) {
        package_as_text(graph, &needs, package, 0, &mut out);
    }
    out
}

/// `needs` are pairs: an image, and one that it needs.
fn package_as_text(
    graph: &Graph,
    needs: &BTreeSet<(usize, usize)>,
    index: usize,
    depth: usize,
    out: &mut String,
) {
    let indent = "  ".repeat(depth);
    let package = &graph.packages[index];
    let directory = if package.directory.is_empty() { "." } else { &package.directory };
    let (name, directory) = (styled(STRONG, &package.key), styled(FAINT, directory));
    let _ = writeln!(out, "{indent}{name} {directory}");
    for image in graph.images_of(index) {
        let needed = needs.range((image, 0)..(image + 1, 0));
        let needed: Vec<_> = needed.map(|&(_, to)| &*graph.images[to].image).collect();
        let arrow = if needed.is_empty() { "" } else { " ← " };
        let _ =
            writeln!(out, "{indent}  {}{arrow}{}", graph.images[image].image, needed.join(", "));
    }
    for child in graph.children(Some(index)) {
        package_as_text(graph, needs, child, depth + 1, out);
    }
}

/// A directed graph in Graphviz' language; packages are clusters.
pub(super) fn dot(graph: &Graph) -> String {
    let mut out = format!("digraph {} {{\n", dot_quoted(&graph.application));
    out.push_str("  rankdir = \"LR\";\n  node [shape = \"box\"];\n");
    for package in graph.children(None) {
        package_as_dot(graph, package, 1, &mut out);
    }
    for (from, to, kind) in graph.distinct_edges() {
        let (from, to) = (&graph.images[from].image, &graph.images[to].image);
        let (from, to) = (dot_quoted(from), dot_quoted(to));
        let _ = writeln!(out, "  {from} -> {to} [label = \"{kind}\"];");
    }
    out.push_str("}\n");
    out
}

fn package_as_dot(graph: &Graph, index: usize, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let label = dot_quoted(&graph.packages[index].key);
    let _ = writeln!(out, "{indent}subgraph \"cluster_{index}\" {{");
    let _ = writeln!(out, "{indent}  label = {label};");
    for image in graph.images_of(index) {
        let _ = writeln!(out, "{indent}  {};", dot_quoted(&graph.images[image].image));
    }
    for child in graph.children(Some(index)) {
        package_as_dot(graph, child, depth + 1, out);
    }
    let _ = writeln!(out, "{indent}}}");
}

/// A string of Graphviz' language; a backslash would begin one of its escapes.
fn dot_quoted(text: &str) -> String {
    format!("\"{}\"", printable(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// A flow chart in Mermaid's language; packages are subgraphs.
pub(super) fn mermaid(graph: &Graph) -> String {
    let mut out = "flowchart LR\n".to_owned();
    for package in graph.children(None) {
        package_as_mermaid(graph, package, 1, &mut out);
    }
    for (from, to, kind) in graph.distinct_edges() {
        let _ = writeln!(out, "  i{from} -->|{kind}| i{to}");
    }
    out
}

fn package_as_mermaid(graph: &Graph, index: usize, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let label = mermaid_quoted(&graph.packages[index].key);
    let _ = writeln!(out, "{indent}subgraph p{index}[{label}]");
    for image in graph.images_of(index) {
        let label = mermaid_quoted(&graph.images[image].image);
        let _ = writeln!(out, "{indent}  i{image}[{label}]");
    }
    for child in graph.children(Some(index)) {
        package_as_mermaid(graph, child, depth + 1, out);
    }
    let _ = writeln!(out, "{indent}end");
}

/// A label of Mermaid's language, which knows HTML-like entities and no backslash.
fn mermaid_quoted(text: &str) -> String {
    let escaped = printable(text)
        .replace('#', "#35;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use snapbox::{assert_data_eq, str};

    use super::super::graph::tests::sample;
    use super::*;

    #[test]
    fn text_is_a_tree_with_needs() {
        assert_data_eq!(
            anstream::adapter::strip_str(&text(&sample())).to_string(),
            str![[r#"
my"app .
  my-base:latest
  Shop#1 api/Shop
    my-web:latest ← my-base:latest
    Cart api/Shop/Cart
      my-cart:latest ← my-base:latest, my-web:latest
  Empty api/Empty

"#]]
        );
    }

    #[test]
    fn dot_has_clusters_and_escapes_quotes() {
        // Compared as it is: a snapshot takes backslashes for those of Windows paths.
        assert_eq!(
            dot(&sample()),
            r#"digraph "my\"app" {
  rankdir = "LR";
  node [shape = "box"];
  subgraph "cluster_0" {
    label = "my\"app";
    "my-base:latest";
    subgraph "cluster_1" {
      label = "Shop#1";
      "my-web:latest";
      subgraph "cluster_2" {
        label = "Cart";
        "my-cart:latest";
      }
    }
    subgraph "cluster_3" {
      label = "Empty";
    }
  }
  "my-web:latest" -> "my-base:latest" [label = "from"];
  "my-cart:latest" -> "my-base:latest" [label = "from"];
  "my-cart:latest" -> "my-web:latest" [label = "copy-from"];
}
"#
        );
    }

    #[test]
    fn mermaid_has_subgraphs_and_entities() {
        assert_data_eq!(
            mermaid(&sample()),
            str![[r##"
flowchart LR
  subgraph p0["my#quot;app"]
    i0["my-base:latest"]
    subgraph p1["Shop#35;1"]
      i1["my-web:latest"]
      subgraph p2["Cart"]
        i2["my-cart:latest"]
      end
    end
    subgraph p3["Empty"]
    end
  end
  i1 -->|from| i0
  i2 -->|from| i0
  i2 -->|copy-from| i1

"##]]
        );
    }

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(dot_quoted("a\n\u{1b}b"), r#""a\\n\\u{1b}b""#);
        assert_eq!(mermaid_quoted("a\n<\u{1b}>"), r#""a\n#lt;\u{1b}#gt;""#);
    }

    #[test]
    fn json_names_everything() {
        let value = serde_json::to_value(sample()).unwrap();
        assert_eq!(value["version"], 1);
        assert_eq!(value["packages"][2]["parent"], 1);
        assert_eq!(value["edges"][2]["kind"], "copy-from");
        assert_eq!(value["edges"].as_array().unwrap().len(), 4);
    }
}
