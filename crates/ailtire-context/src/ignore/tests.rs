use proptest::prelude::*;

use super::*;

impl IgnorePatterns {
    /// Whether `path` is left out, by itself or because a directory above it is.
    fn matches(&self, path: &str) -> bool {
        let mut above = Matched::default();
        for (slash, _) in path.match_indices('/') {
            above = self.below(&path[..slash], &above).1;
        }
        self.decide(path, &above).is_some()
    }
}

fn patterns(text: &str) -> IgnorePatterns {
    IgnorePatterns::parse(text).unwrap()
}

/// Whether `pattern` by itself matches `path` (or a directory above it).
fn matches(pattern: &str, path: &str) -> bool {
    patterns(pattern).matches(path)
}

#[test]
fn dockers_documented_examples() {
    // `*/temp*`: one level below the root.
    assert!(matches("*/temp*", "somedir/temporary.txt"));
    assert!(matches("*/temp*", "somedir/temp"));
    assert!(!matches("*/temp*", "temporary.txt"));
    // `*/*/temp*`: two levels below.
    assert!(matches("*/*/temp*", "somedir/subdir/temporary.txt"));
    assert!(!matches("*/*/temp*", "somedir/temporary.txt"));
    // `temp?`: in the root, one character more.
    assert!(matches("temp?", "tempa"));
    assert!(matches("temp?", "tempb/inside"));
    assert!(!matches("temp?", "temp"));
    assert!(!matches("temp?", "a/tempa"));
    // `**/*.go`: anywhere, the root included.
    assert!(matches("**/*.go", "main.go"));
    assert!(matches("**/*.go", "a/b/c/main.go"));
    // `/foo/bar` and `foo/bar` are the same.
    assert!(matches("/foo/bar", "foo/bar"));
    assert!(matches("foo/bar/", "foo/bar/x"));
}

#[test]
fn dockers_documented_exceptions() {
    let all_but_readme = patterns("*.md\n!README.md");
    assert!(all_but_readme.matches("CHANGES.md"));
    assert!(!all_but_readme.matches("README.md"));

    let ordered = patterns("*.md\n!README*.md\nREADME-secret.md");
    assert!(!ordered.matches("README.md"));
    assert!(ordered.matches("README-secret.md"));

    let useless = patterns("*.md\nREADME-secret.md\n!README*.md");
    assert!(!useless.matches("README-secret.md"), "the last pattern that matches decides");
}

#[test]
fn one_pattern_against_one_path() {
    let cases = [
        ("**", "file", true),
        ("**", "dir/file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("dir/**", "dir", false),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir", "mydir", false),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**file", "dir/myfile", true),
        ("**.txt", "dir/a.txt", true),
        ("**/file*", "dir/dir/file.txt", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        ("**/**/*.txt", "file.txt", true),
        ("**/**/*.txt2", "dir/file.txt", false),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt**", "a/file.txt", true),
        ("a**b", "ab", true),
        ("a**b", "a/x/b", true),
        ("a**b", "axb", false),
        ("abc**", "abcdef/ghi", true),
        ("***", "file", true),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        ("a[^b-d]e", "ace", false),
        ("[a-ζ]*", "α", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("abc?def", "abc/def", false),
        ("a?b", "a☺b", true),
        ("a???b", "a☺b", false),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("a\\\\", "a\\", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("[\\]a]", "]", true),
        ("[x\\-]", "-", true),
        ("[\\-x]", "a", false),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("a*b", "a/b", false),
        ("./a//b/../c", "a/c", true),
        (".", "a", false),
        ("/", "a", false),
        ("..", "a", false),
        ("a/../..", "a", false),
        ("/../a", "a", true),
        ("  spaced  ", "spaced", true),
        ("in side", "in side", true),
    ];
    for (pattern, path, expected) in cases {
        assert_eq!(matches(pattern, path), expected, "`{pattern}` against `{path}`");
    }
}

#[test]
fn comments_are_only_in_the_first_column_and_errors_name_their_line() {
    let text = "\u{feff}# comment\r\n #kept\r\n\r\n! spaced/exception \r\n";
    let parsed = patterns(text);
    let shown: Vec<_> =
        parsed.patterns.iter().map(|it| (it.line(), it.to_string(), it.exception)).collect();
    assert_eq!(shown, [(2, "#kept".to_owned(), false), (4, "! spaced/exception".to_owned(), true)],);
    assert!(parsed.matches("#kept"));

    for pattern in
        ["[", "[^", "[^bc", "a[", "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[b-a]", "!"]
    {
        let errors = IgnorePatterns::parse(&format!("ok\n{pattern}\n")).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].line, errors[0].pattern.as_str()), (2, pattern));
    }
}

#[test]
fn exceptions_may_return_only_where_they_could_match() {
    let exceptions = patterns("*\n!docs/*/README.md\n!a/b\n!lib**\n");
    for directory in ["docs", "docs/x", "a", "lib", "lib/deep", "libs/x"] {
        assert!(exceptions.may_return_below(directory), "{directory}");
    }
    for directory in ["doc", "docs/x/README.md", "docs/x/y", "a/b", "a/c", "b"] {
        assert!(!exceptions.may_return_below(directory), "{directory}");
    }
    assert!(patterns("!**/x").may_return_below("anything/at/all"));
    assert!(!patterns("**/x").may_return_below("anything"));
}

/// The same semantics, written another way: by recursion over pattern and path, slowly.
mod reference {
    fn class(pattern: &[char]) -> (bool, Vec<(char, char)>, &[char]) {
        let (negated, mut rest) = match pattern {
            ['^', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let mut ranges = Vec::new();
        loop {
            match rest {
                [']', tail @ ..] => return (negated, ranges, tail),
                [low, '-', high, tail @ ..] => {
                    ranges.push((*low, *high));
                    rest = tail;
                }
                [one, tail @ ..] => {
                    ranges.push((*one, *one));
                    rest = tail;
                }
                [] => unreachable!("only valid classes are generated"),
            }
        }
    }

    pub(super) fn one(pattern: &[char], path: &[char]) -> bool {
        match (pattern, path) {
            (['*', '*', '/'] | ['*', '*'], _) | ([], []) => true,
            (['*', '*', '/', rest @ ..] | ['*', '*', rest @ ..], _) => {
                let after_slash = path.iter().enumerate().filter(|(_, it)| **it == '/');
                one(rest, path) || after_slash.into_iter().any(|(at, _)| one(rest, &path[at + 1..]))
            }
            (['*', rest @ ..], _) => {
                one(rest, path)
                    || matches!(path, [first, tail @ ..] if *first != '/' && one(pattern, tail))
            }
            (['?', rest @ ..], [first, tail @ ..]) => *first != '/' && one(rest, tail),
            (['[', inside @ ..], [first, tail @ ..]) => {
                let (negated, ranges, rest) = class(inside);
                let found = ranges.iter().any(|(low, high)| low <= first && first <= high);
                found != negated && one(rest, tail)
            }
            ([expected, rest @ ..], [first, tail @ ..]) => expected == first && one(rest, tail),
            _ => false,
        }
    }

    /// `patterns` with their exception marks; what a pattern matched above is handed down.
    pub(super) fn left_out(patterns: &[(bool, String)], path: &str) -> bool {
        let mut inherited = vec![false; patterns.len()];
        let mut out = false;
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let path: Vec<char> = path[..end].chars().collect();
            out = false;
            for ((exception, pattern), inherited) in patterns.iter().zip(&mut inherited) {
                let plain_end = pattern
                    .strip_prefix("**")
                    .filter(|end| !end.contains(['*', '?', '[', ']']) && !end.starts_with('/'));
                let pattern: Vec<char> = pattern.chars().collect();
                *inherited = *inherited
                    || *exception == out
                        && match plain_end {
                            Some(end) => path.iter().collect::<String>().ends_with(end),
                            None => one(&pattern, &path),
                        };
                if *inherited {
                    out = !*exception;
                }
            }
        }
        out
    }
}

fn pattern_part() -> impl Strategy<Value = String> {
    proptest::string::string_regex(r"([ab.]|\*|\*\*|\?|\[\^?[ab](-b)?\]){1,4}").unwrap()
}

fn pattern() -> impl Strategy<Value = (bool, String)> {
    let parts = proptest::collection::vec(pattern_part(), 1..4);
    let cleaned = parts.prop_map(|parts| parts.join("/"));
    let usable =
        |text: &String| clean(text) == *text && !text.contains("[b-") && !text.contains("[^b-");
    (any::<bool>(), cleaned.prop_filter("changed by cleaning, or not valid", usable))
}

fn text_of(list: &[(bool, String)]) -> String {
    let mark = |exception| if exception { "!" } else { "" };
    let lines = list.iter().flat_map(|(exception, pattern)| [mark(*exception), pattern, "\n"]);
    lines.collect()
}

fn path() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[ab.]{1,3}(/[ab.]{1,3}){0,3}").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn equals_the_reference(
        list in proptest::collection::vec(pattern(), 1..5),
        paths in proptest::collection::vec(path(), 1..8),
    ) {
        let compiled = patterns(&text_of(&list));
        for path in paths {
            prop_assert_eq!(compiled.matches(&path), reference::left_out(&list, &path), "{}", path);
        }
    }

    #[test]
    fn what_stays_is_never_below_a_directory_not_worth_entering(
        list in proptest::collection::vec(pattern(), 1..5),
        path in path(),
    ) {
        let compiled = patterns(&text_of(&list));
        for (slash, _) in path.match_indices('/') {
            let directory = &path[..slash];
            if compiled.matches(directory) && !compiled.may_return_below(directory) {
                prop_assert!(compiled.matches(&path));
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text: String, path: String) {
        if let Ok(patterns) = IgnorePatterns::parse(&text) {
            patterns.matches(&path);
            patterns.may_return_below(&path);
        }
    }
}
