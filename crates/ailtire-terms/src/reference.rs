//! Image references, as the distribution project's grammar has them.
//!
//! `[domain/]path[:tag][@digest]`: the path's components are lower case, separated inside by one
//! dot, one or two underscores, or any number of dashes. The familiar form that people write
//! (`debian`) leaves out what Docker fills in (`docker.io/library/debian:latest`); [`canonical`]
//! fills it in, so that references that are written differently can be compared.

use std::borrow::Cow;
use std::fmt;

/// Docker's own registry: what a reference without a domain means.
const DEFAULT_DOMAIN: &str = "docker.io";
/// The older name of the same registry.
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
/// Where Docker's registry keeps names of one component.
const OFFICIAL_PREFIX: &str = "library/";
/// The tag of a reference that gives neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
/// How long domain and path together may be.
const NAME_LIMIT: usize = 255;
/// How long a tag may be.
const TAG_LIMIT: usize = 128;

/// A valid image reference, with its domain filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The registry's host, with its port if it has one.
    pub domain: String,
    /// The repository in that registry.
    pub path: String,
    /// The tag, where one is given.
    pub tag: Option<String>,
    /// The digest, `algorithm:hexadecimal`, where one is given.
    pub digest: Option<String>,
}

/// Why a text is no image reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// The path holds an upper-case letter.
    #[error("a repository name must be lower case")]
    UpperCase,
    /// The path breaks the grammar.
    #[error(
        "a repository name is made of lower-case letters and digits, with single `.`, one or two \
         `_`, or `-` between them, and `/` between its parts"
    )]
    Path,
    /// The domain breaks the grammar.
    #[error("what stands before the first `/` is no host name")]
    Domain,
    /// The tag breaks the grammar.
    #[error(
        "a tag is made of letters, digits, `_`, `.` and `-`, does not start with `.` or `-`, and \
         has at most 128 characters"
    )]
    Tag,
    /// The digest breaks the grammar.
    #[error("a digest is an algorithm, a colon and at least 32 hexadecimal digits")]
    Digest,
    /// Too long.
    #[error("a repository name has at most 255 characters")]
    TooLong,
    /// 64 hexadecimal digits alone.
    #[error("64 hexadecimal digits are an image id, not a name")]
    Identifier,
}

impl Reference {
    /// Reads a reference, in familiar form or complete.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`] where `text` does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ReferenceError::Identifier);
        }
        let Parts { domain, path, tag, digest } = Parts::of(text);
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(ReferenceError::Digest);
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag);
        }
        if domain != DEFAULT_DOMAIN && !looks_like_domain(domain) {
            // Only newer engines read `Team/web` as a host and its repository.
            check_path(&format!("{domain}/{path}"))?;
        }
        if !is_domain(domain) {
            return Err(ReferenceError::Domain);
        }
        check_path(path)?;
        let path = complete_path(domain, path);
        if domain.len() + 1 + path.len() > NAME_LIMIT {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self {
            domain: domain.to_owned(),
            path: path.into_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// The shortest form that means the same: without Docker's own registry.
    pub fn familiar(&self) -> String {
        let mut text = String::new();
        if self.domain == DEFAULT_DOMAIN {
            text.push_str(self.path.strip_prefix(OFFICIAL_PREFIX).unwrap_or(&self.path));
            // `docker.io/library/a/b` would become another repository without its prefix.
            if text.contains('/') {
                text.clone_from(&self.path);
            }
            // And so would a path whose first part looks like a host.
            if split_domain(&text).0 != DEFAULT_DOMAIN {
                text.insert_str(0, "docker.io/");
            }
        } else {
            text.push_str(&self.domain);
            text.push('/');
            text.push_str(&self.path);
        }
        self.push_suffix(&mut text);
        text
    }

    fn push_suffix(&self, text: &mut String) {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest);
        }
    }
}

impl fmt::Display for Reference {
    /// The complete form.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut suffix = String::new();
        self.push_suffix(&mut suffix);
        write!(formatter, "{}/{}{suffix}", self.domain, self.path)
    }
}

/// The one form of all references that name the same image: with domain, `library/`, and tag or
/// digest (`docker.io/library/debian:latest` for `debian`). Where a reference has both, the digest
/// counts, as with Docker.
///
/// What is no valid reference gets a form in the same way; [`Reference::parse`] tells which it is.
pub fn canonical(text: &str) -> String {
    let Parts { domain, path, tag, digest } = Parts::of(text);
    let path = complete_path(domain, path);
    match digest {
        Some(digest) => format!("{domain}/{path}@{digest}"),
        None => format!("{domain}/{path}:{}", tag.unwrap_or(DEFAULT_TAG)),
    }
}

/// The host of the registry that a reference names.
pub fn registry(text: &str) -> &str {
    Parts::of(text).domain
}

/// Whether `tag` may stand behind the colon of a reference.
pub fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = tag.bytes();
    tag.len() <= TAG_LIMIT
        && bytes.next().is_some_and(is_word)
        && bytes.all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// The valid reference that is nearest to `text`, where there is one: `_cp_web` gives `cp_web`,
/// upper case becomes lower case. A valid `text` gives itself.
pub fn suggest(text: &str) -> Option<String> {
    if Reference::parse(text).is_ok() {
        return Some(text.to_owned());
    }
    let text = text.trim();
    let (name, tag) = split_tag(text.split('@').next().unwrap_or(text));
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) && is_domain(first) => (Some(first), rest),
        _ => (None, name),
    };
    let parts: Vec<String> =
        path.split('/').map(suggest_component).filter(|part| !part.is_empty()).collect();
    let mut suggestion = domain.map_or(String::new(), |domain| format!("{domain}/"));
    suggestion.push_str(&parts.join("/"));
    if let Some(tag) = tag.map(suggest_tag).filter(|tag| !tag.is_empty()) {
        suggestion.push(':');
        suggestion.push_str(&tag);
    }
    Reference::parse(&suggestion).is_ok().then_some(suggestion)
}

/// The valid tag that is nearest to `text`; empty where nothing of it is left.
pub fn suggest_tag(text: &str) -> String {
    let replaced: String = text
        .trim()
        .chars()
        .map(|letter| {
            let fits = letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
            if fits { letter } else { '-' }
        })
        .collect();
    let start = replaced.trim_start_matches(['.', '-']);
    start.chars().take(TAG_LIMIT).collect()
}

/// Lower case, with every run of what is not a letter or digit made a valid separator.
fn suggest_component(text: &str) -> String {
    let mut result = String::new();
    let mut separator = String::new();
    for letter in text.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_alphanumeric() {
            if !result.is_empty() {
                result.push_str(valid_separator(&separator));
            }
            separator.clear();
            result.push(letter);
        } else {
            separator.push(letter);
        }
    }
    result
}

fn valid_separator(text: &str) -> &str {
    let all = |wanted: char| text.chars().all(|letter| letter == wanted);
    if text.is_empty() || matches!(text, "." | "_" | "__") || all('-') {
        text
    } else if all('_') {
        "__"
    } else if all('.') {
        "."
    } else if text.contains('_') {
        "_"
    } else {
        "-"
    }
}

/// The parts of a text that may be a reference, not checked.
struct Parts<'text> {
    domain: &'text str,
    path: &'text str,
    tag: Option<&'text str>,
    digest: Option<&'text str>,
}

impl<'text> Parts<'text> {
    fn of(text: &'text str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        let (domain, path) = split_domain(name);
        Self { domain, path, tag, digest }
    }
}

/// Splits `name:tag`; a colon before a slash belongs to a port.
pub fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// Splits `domain/path`, as Docker decides what is a domain.
fn split_domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((LEGACY_DEFAULT_DOMAIN, path)) => (DEFAULT_DOMAIN, path),
        Some((first, path)) if looks_like_domain(first) || first.contains(char::is_uppercase) => {
            (first, path)
        }
        _ => (DEFAULT_DOMAIN, name),
    }
}

fn looks_like_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

/// The path in full: Docker's registry keeps names of one component below `library/`.
fn complete_path<'path>(domain: &str, path: &'path str) -> Cow<'path, str> {
    if domain == DEFAULT_DOMAIN && !path.contains('/') {
        format!("{OFFICIAL_PREFIX}{path}").into()
    } else {
        path.into()
    }
}

fn is_domain(domain: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = domain.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        let is_address = !address.is_empty()
            && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
        return is_address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = match domain.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    };
    port.is_none_or(is_port)
        && host.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hexadecimal)) = digest.split_once(':') else { return false };
    let is_algorithm = algorithm.split(['+', '.', '-', '_']).all(|part| {
        part.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    is_algorithm
        && hexadecimal.len() >= 32
        && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn check_path(path: &str) -> Result<(), ReferenceError> {
    if path.is_empty() {
        return Err(ReferenceError::Empty);
    }
    if path.split('/').all(is_component) {
        return Ok(());
    }
    let lower = path.to_ascii_lowercase();
    let only_case = lower.split('/').all(is_component);
    Err(if only_case { ReferenceError::UpperCase } else { ReferenceError::Path })
}

fn is_component(component: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let ends_well = component.starts_with(is_word) && component.ends_with(is_word);
    ends_well
        && component.split(is_word).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        })
}
