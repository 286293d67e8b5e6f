//! From the parser's events to the tree: anchors, aliases, merge keys, tags.

use std::collections::HashMap;

use saphyr_parser::{Event, ScalarStyle, Span, Tag};

use super::{DEPTH_LIMIT, Refusal, SIZE_LIMIT, clamp};
use crate::document::{Entry, Node, Position, Style, Value, resolve};
use crate::findings::Findings;

/// A list or mapping that has begun.
struct Frame {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<(Node, bool)>,
    /// Mappings to merge, with the place of their `<<`.
    merges: Vec<(Position, Node)>,
}

/// What an anchor names.
struct Anchored {
    node: Node,
    size: usize,
    depth: usize,
}

/// Puts a tree together.
pub(super) struct Builder<'findings> {
    findings: &'findings mut Findings,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    documents: usize,
    root: Option<Node>,
    size: usize,
}

impl<'findings> Builder<'findings> {
    pub(super) fn new(findings: &'findings mut Findings) -> Self {
        Self {
            findings,
            frames: Vec::new(),
            anchors: HashMap::new(),
            documents: 0,
            root: None,
            size: 0,
        }
    }

    /// The root, once all events are added.
    pub(super) fn finish(self) -> Option<Node> {
        self.root
    }

    pub(super) fn add(&mut self, event: Event<'_>, span: Span) -> Result<(), Refusal> {
        let position = position(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.start_document(position),
            Event::Scalar(text, style, anchor, tag) => {
                let merges = style == ScalarStyle::Plain && text == "<<";
                let node = self.scalar(text.into_owned(), style, tag.as_deref(), position);
                self.grow(1 + node.written.len(), position)?;
                self.place(node, anchor, merges)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Node::list(Vec::new(), position), anchor, tag.as_deref(), "seq")
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Node::map(Vec::new(), position), anchor, tag.as_deref(), "map")
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, position),
        }
    }

    fn start_document(&mut self, position: Position) -> Result<(), Refusal> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(Refusal::new(
                "several-documents",
                position,
                "a compose file is one YAML document; another one begins here",
            )
            .help("leave out the `---`, or put the other document into a file of its own"));
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        tag: Option<&Tag>,
        position: Position,
    ) -> Node {
        let node = match style {
            ScalarStyle::Plain => Node::plain(text, position),
            _ => Node::text(text, position),
        };
        let Some(tag) = tag else { return node };
        if tag.handle.is_empty() && tag.suffix == "!" {
            return Node::text(node.written, position);
        }
        if !tag.is_yaml_core_schema() {
            self.unknown_tag(tag, position);
            return node;
        }
        if tag.suffix == "str" {
            return Node::text(node.written, position);
        }
        let value = resolve(&node.written);
        let value = match (tag.suffix.as_str(), value) {
            #[expect(clippy::cast_precision_loss, reason = "what the tag asks for")]
            ("float", Value::Integer(number)) => Value::Float(number as f64),
            (
                "null" | "bool" | "int" | "float",
                value @ (Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_)),
            ) if tag_of(&value) == tag.suffix => value,
            _ => {
                self.unknown_tag(tag, position);
                return node;
            }
        };
        Node { value, style: Style::Plain, ..node }
    }

    fn unknown_tag(&mut self, tag: &Tag, position: Position) {
        let written = if tag.is_yaml_core_schema() {
            format!("!!{}", tag.suffix)
        } else {
            format!("{}{}", tag.handle, tag.suffix)
        };
        let finding = self.findings.error(
            position,
            "unknown-tag",
            format!("the tag `{written}` has no meaning here"),
        );
        finding.help(match written.as_str() {
            "!reset" | "!override" => {
                "it changes what an earlier file says, and a stack has one file only: leave it out"
            }
            _ => "leave the tag out",
        });
    }

    fn begin(
        &mut self,
        node: Node,
        anchor: usize,
        tag: Option<&Tag>,
        expected: &str,
    ) -> Result<(), Refusal> {
        let position = node.position;
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == expected)
        {
            self.unknown_tag(tag, position);
        }
        self.grow(1, position)?;
        if self.frames.len() >= DEPTH_LIMIT {
            return Err(too_deep(position));
        }
        self.frames.push(Frame { node, anchor, key: None, merges: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(mut frame) = self.frames.pop() else { return Ok(()) };
        for (position, source) in std::mem::take(&mut frame.merges) {
            self.merge(&mut frame.node, position, &source)?;
        }
        self.place(frame.node, frame.anchor, false)
    }

    fn alias(&mut self, anchor: usize, position: Position) -> Result<(), Refusal> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Refusal::new(
                "recursive-alias",
                position,
                "this alias stands inside of what it names",
            ));
        };
        let (node, size, depth) = (anchored.node.clone(), anchored.size, anchored.depth);
        self.grow(size, position)?;
        if self.frames.len() + depth > DEPTH_LIMIT {
            return Err(too_deep(position));
        }
        self.place(node, 0, false)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, anchor: usize, merges: bool) -> Result<(), Refusal> {
        if anchor != 0 {
            let (size, depth) = measure(&node);
            self.grow(size, node.position)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, depth });
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root.get_or_insert(node);
            return Ok(());
        };
        if let Value::List(items) = &mut frame.node.value {
            items.push(node);
            return Ok(());
        }
        let Some((key, merges_here)) = frame.key.take() else {
            frame.key = Some((node, merges));
            return Ok(());
        };
        if merges_here {
            self.place_merge(key.position, node);
            return Ok(());
        }
        let name = match key.scalar() {
            Some(name) => name.to_owned(),
            None if key.is_null() && !key.written.is_empty() => key.written.clone(),
            None => {
                let message = format!("a key is text, not {}", key.describe());
                self.findings.error(key.position, "invalid-key", message);
                return Ok(());
            }
        };
        if let Some(first) = frame.node.entry(&name) {
            let first = first.key_position;
            self.findings
                .error(key.position, "duplicate-key", format!("the key `{name}` is here twice"))
                .related(first, "the first one");
            return Ok(());
        }
        if let Value::Map(entries) = &mut frame.node.value {
            entries.push(Entry { key: name, key_position: key.position, value: node });
        }
        Ok(())
    }

    /// Takes note of what `<<` names: a mapping, or a list of mappings, earlier ones winning.
    fn place_merge(&mut self, position: Position, node: Node) {
        let Some(frame) = self.frames.last_mut() else { return };
        if let Some((first, _)) = frame.merges.first() {
            let first = *first;
            self.findings
                .error(position, "duplicate-key", "the key `<<` is here twice")
                .related(first, "the first one")
                .help("merge several mappings with `<<: [*one, *other]`");
            return;
        }
        let sources = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        for source in sources {
            if matches!(source.value, Value::Map(_)) {
                frame.merges.push((position, source));
            } else {
                let message = format!("`<<` merges mappings, not {}", source.describe());
                self.findings.error(position, "invalid-merge", message);
                return;
            }
        }
    }

    /// Adds what `source` has and `node` does not have itself.
    fn merge(&mut self, node: &mut Node, position: Position, source: &Node) -> Result<(), Refusal> {
        let missing: Vec<Entry> = source
            .entries()
            .iter()
            .filter(|entry| node.entry(&entry.key).is_none())
            .cloned()
            .collect();
        for entry in &missing {
            self.grow(1 + entry.key.len() + measure(&entry.value).0, position)?;
        }
        if let Value::Map(entries) = &mut node.value {
            entries.extend(missing);
        }
        Ok(())
    }

    fn grow(&mut self, size: usize, position: Position) -> Result<(), Refusal> {
        self.size = self.size.saturating_add(size);
        if self.size > 2 * SIZE_LIMIT {
            return Err(Refusal::new(
                "too-large",
                position,
                "with its aliases followed this document is too large",
            )
            .help("name less with one alias"));
        }
        Ok(())
    }
}

fn tag_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Integer(_) => "int",
        Value::Float(_) => "float",
        Value::Text(_) => "str",
        Value::List(_) => "seq",
        Value::Map(_) => "map",
    }
}

fn too_deep(position: Position) -> Refusal {
    Refusal::new(
        "too-deep",
        position,
        format!("lists and mappings nest deeper than {DEPTH_LIMIT} levels here"),
    )
}

/// Size and depth of `node`.
fn measure(node: &Node) -> (usize, usize) {
    let below = |parts: &mut dyn Iterator<Item = (usize, &Node)>| {
        parts.fold((1, 1), |(size, depth), (key, node)| {
            let (node_size, node_depth) = measure(node);
            (size + key + node_size, depth.max(1 + node_depth))
        })
    };
    match &node.value {
        Value::List(items) => below(&mut items.iter().map(|item| (0, item))),
        Value::Map(entries) => {
            below(&mut entries.iter().map(|entry| (entry.key.len(), &entry.value)))
        }
        _ => (1 + node.written.len(), 0),
    }
}

fn position(span: Span) -> Position {
    // A block scalar or a list has no length within its first line.
    let single = span.start.line() == span.end.line();
    let length = if single { span.end.col().saturating_sub(span.start.col()) } else { 0 };
    Position {
        line: clamp(span.start.line().max(1)),
        column: clamp(span.start.col() + 1),
        length: clamp(length),
    }
}
