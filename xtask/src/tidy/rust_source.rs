//! Rules for Rust sources.

use std::path::Path;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 60;

/// What no source may have; written in parts, so that this file does not have it.
const BANNED: [(&str, &str); 3] = [
    (concat!("#[ig", "nore"), "a test runs or does not exist"),
    (concat!("thread::", "sleep"), "wait for the event itself, not for a guessed time"),
    (concat!("time::", "sleep("), "wait for the event itself, not for a guessed time"),
];

/// Checks the Rust source `content` of `file`.
pub(super) fn check(file: &Path, content: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = content.lines().count();
    if lines > LONGEST_FILE {
        let message = format!("{lines} lines; a file has at most {LONGEST_FILE}");
        findings.push(Finding::new(file, 1, message));
    }
    for (index, line) in content.lines().enumerate() {
        if line.contains('\t') {
            findings.push(Finding::new(file, index + 1, "a tab"));
        }
        for (banned, why) in BANNED {
            if line.contains(banned) {
                findings.push(Finding::new(file, index + 1, format!("`{banned}`: {why}")));
            }
        }
    }
    findings.extend(check_syntax(file, content));
    findings
}

fn check_syntax(file: &Path, content: &str) -> Vec<Finding> {
    let syntax = match syn::parse_file(content) {
        Ok(syntax) => syntax,
        Err(error) => {
            let line = error.span().start().line;
            return vec![Finding::new(file, line, format!("does not parse: {error}"))];
        }
    };
    let mut findings = Vec::new();
    if is_crate_root(file) && !content.starts_with("//!") {
        findings.push(Finding::new(file, 1, "a crate begins with what it is for (`//!`)"));
    }
    if !is_test_file(file) {
        let mut functions = Functions { lines: content.lines().collect(), file, findings };
        functions.visit_file(&syntax);
        findings = functions.findings;
    }
    findings
}

/// Finds functions that are too long; modules of tests may have them.
struct Functions<'a> {
    lines: Vec<&'a str>,
    file: &'a Path,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn check(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span: Span = block.span();
        // The lines between the braces' own.
        let (first, last) = (span.start().line, span.end().line.saturating_sub(1));
        let body = self.lines.get(first..last).unwrap_or_default();
        let length = body.iter().filter(|line| is_code(line)).count();
        if length > LONGEST_FUNCTION {
            let message =
                format!("`{name}` has {length} lines; a function has at most {LONGEST_FUNCTION}");
            self.findings.push(Finding::new(self.file, name.span().start().line, message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check(&item.sig.ident, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.check(&item.sig.ident, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
    }
}

fn is_for_tests(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
}

fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with("//")
}

fn is_crate_root(file: &Path) -> bool {
    file.ends_with("src/lib.rs") || file.ends_with("src/main.rs")
}

/// `tests.rs`, or anything in a `tests` folder of a crate.
fn is_test_file(file: &Path) -> bool {
    let in_tests = file.ancestors().skip(1).any(|folder| {
        folder.file_name().is_some_and(|name| name == "tests")
            && folder.parent().is_some_and(|parent| parent != Path::new(""))
    });
    in_tests || file.file_name().is_some_and(|name| name == "tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(file: &str, content: &str) -> Vec<String> {
        check(Path::new(file), content).iter().map(ToString::to_string).collect()
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines))
    }

    #[test]
    fn a_long_function_is_found_at_its_name() {
        assert!(messages("crates/a/src/b.rs", &function(60)).is_empty());
        assert_eq!(
            messages("crates/a/src/b.rs", &format!("//! Docs.\n\n{}", function(61))),
            ["crates/a/src/b.rs:3: `long` has 61 lines; a function has at most 60"]
        );
    }

    #[test]
    fn methods_and_nested_functions_count_too() {
        let method = format!("impl A {{\n{}}}\n", function(61));
        assert_eq!(messages("src/b.rs", &method).len(), 1);
        let default = format!("trait A {{\n{}}}\n", function(61));
        assert_eq!(messages("src/b.rs", &default).len(), 1);
        let module = format!("mod a {{\n{}}}\n", function(61));
        assert_eq!(messages("src/b.rs", &module).len(), 1);
    }

    #[test]
    fn comments_and_empty_lines_do_not_count() {
        let content = format!("fn f() {{\n{}    step();\n}}\n", "    // why\n\n".repeat(60));
        assert!(messages("src/b.rs", &content).is_empty());
    }

    #[test]
    fn braces_in_text_do_not_confuse() {
        let content = format!("fn f() {{\n    g(\"}}\", '{{');\n}}\n{}", function(61));
        assert_eq!(messages("src/b.rs", &content).len(), 1);
    }

    #[test]
    fn tests_may_be_long() {
        let module = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(61));
        assert!(messages("src/b.rs", &module).is_empty());
        assert!(messages("crates/a/tests/b.rs", &function(61)).is_empty());
        assert_eq!(messages("tests/engine/src/b.rs", &function(61)).len(), 1);
    }

    #[test]
    fn a_long_file_a_tab_and_banned_words_are_found() {
        assert_eq!(messages("src/b.rs", &"// line\n".repeat(601)).len(), 1);
        assert_eq!(messages("src/b.rs", "fn f() {\n\tg();\n}\n"), ["src/b.rs:2: a tab"]);
        for (banned, _) in BANNED {
            assert_eq!(messages("src/b.rs", &format!("// {banned}\n")).len(), 1, "{banned}");
        }
    }

    #[test]
    fn a_crate_says_what_it_is_for() {
        assert_eq!(messages("crates/a/src/lib.rs", "mod b;\n").len(), 1);
        assert!(messages("crates/a/src/lib.rs", "//! Does a.\nmod b;\n").is_empty());
    }

    #[test]
    fn what_does_not_parse_is_a_finding() {
        assert_eq!(messages("src/b.rs", "fn f( {\n").len(), 1);
    }
}
