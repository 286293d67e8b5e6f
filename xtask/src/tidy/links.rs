//! Links between the Markdown files of the repository.

use std::path::Path;

use super::Finding;

/// Finds the relative links of `content`, a Markdown file, that lead nowhere.
pub(super) fn check(root: &Path, file: &Path, content: &str) -> Vec<Finding> {
    let folder = root.join(file.parent().unwrap_or(Path::new("")));
    let leads_nowhere = |link: &&(usize, String)| !folder.join(&link.1).exists();
    let links = relative_links(content);
    let broken = links.iter().filter(leads_nowhere);
    broken
        .map(|(line, link)| {
            Finding::new(file, *line, format!("the link to `{link}` leads nowhere"))
        })
        .collect()
}

/// Relative link targets without their anchors, each with its line. Code is left out.
fn relative_links(content: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (index, line) in content.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let prose: String = line.split('`').step_by(2).collect();
            links.extend(targets(&prose).map(|target| (index + 1, target)));
        }
    }
    links
}

fn targets(prose: &str) -> impl Iterator<Item = String> {
    prose.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ', '#']).next()?;
        let elsewhere =
            target.is_empty() || target.contains("://") || target.starts_with("mailto:");
        (!elsewhere).then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_links_are_found_outside_code() {
        let content = "See [a](a.md#part) and [b](https://example.org/b) or [c](#c).\n\
            `[code](code.md)`\n```\n[block](block.md)\n```\n[`d`](d/e.md \"title\")\n";
        assert_eq!(relative_links(content), [(1, "a.md".to_owned()), (6, "d/e.md".to_owned())]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_finding() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        crate::files::write(&folder.path().join("README.md"), b"").unwrap();
        let content = "[up](../README.md)\n[gone](gone.md)\n";
        let findings = check(folder.path(), Path::new("docs/page.md"), content);
        assert_eq!(
            findings,
            [Finding::new(Path::new("docs/page.md"), 2, "the link to `gone.md` leads nowhere")]
        );
    }
}
