//! Image references in their canonical form.

/// Docker Hub's name in references.
const DEFAULT_DOMAIN: &str = "docker.io";

/// `docker.io/library/debian:latest` for `debian`: with domain, path and tag or digest.
///
/// Where a reference has both, the digest counts, as with Docker.
pub(crate) fn canonical(reference: &str) -> String {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let (name, tag) = split_tag(name);
    let (domain, path) = split_domain(name);
    let path = if domain == DEFAULT_DOMAIN && !path.contains('/') {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    match digest {
        Some(digest) => format!("{domain}/{path}@{digest}"),
        None => format!("{domain}/{path}:{}", tag.unwrap_or("latest")),
    }
}

/// The registry of a reference.
pub(crate) fn domain(reference: &str) -> &str {
    split_domain(reference).0
}

/// Name and tag of a reference without digest.
pub(crate) fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        // A slash behind the colon: it was the port of a registry.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    }
}

fn split_domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", path)) => (DEFAULT_DOMAIN, path),
        Some((first, path))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(char::is_uppercase) =>
        {
            (first, path)
        }
        _ => (DEFAULT_DOMAIN, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_mean_the_same_have_one_form() {
        for (reference, expected) in [
            ("debian", "docker.io/library/debian:latest"),
            ("debian:12", "docker.io/library/debian:12"),
            ("docker.io/library/debian:latest", "docker.io/library/debian:latest"),
            ("index.docker.io/debian", "docker.io/library/debian:latest"),
            ("me/app", "docker.io/me/app:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("host:5000/app", "host:5000/app:latest"),
            ("host:5000/a/b:1", "host:5000/a/b:1"),
            ("debian@sha256:00", "docker.io/library/debian@sha256:00"),
            ("debian:12@sha256:00", "docker.io/library/debian@sha256:00"),
        ] {
            assert_eq!(canonical(reference), expected, "{reference}");
            assert_eq!(canonical(expected), expected);
        }
    }
}
