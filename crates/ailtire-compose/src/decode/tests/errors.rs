//! What is wrong with a design, where, and what to do about it.
//!
//! Each file in `data` has snippets between lines of `---`; below each stands what is found, as
//! `SNAPSHOTS=overwrite cargo test` writes it.

use super::{Application, Outcome, read, with_web};

const SEPARATOR: &str = "\n>>>\n";

/// Reads every snippet of `data` and gives the text with what is found now.
fn again(data: &str, read: impl Fn(&str) -> Outcome) -> String {
    let mut text = String::new();
    for case in data.split("---\n").filter(|case| !case.trim().is_empty()) {
        let (snippet, _) = case.split_once(SEPARATOR).unwrap_or((case.trim_end(), ""));
        let outcome = read(snippet);
        let found = outcome.findings();
        let has_errors = outcome.diagnostics.iter().any(ailtire_events::Diagnostic::is_error);
        assert_eq!(outcome.design.is_none(), has_errors, "{snippet}\n{found}");
        text.extend(["---\n", snippet, SEPARATOR, &found]);
    }
    text
}

/// Snippets are lines of the service `web`, from line 4.
#[test]
fn services() {
    let data = include_str!("data/service-errors.txt");
    let top = "networks: {front: }\nvolumes: {data: }\nconfigs: {site: {content: x}}\n";
    let found = again(data, |snippet| read(&format!("{}{top}", with_web(snippet))));
    snapbox::assert_data_eq!(found, snapbox::file!["data/service-errors.txt"].raw());
}

/// Snippets are whole designs.
#[test]
fn designs() {
    let data = include_str!("data/design-errors.txt");
    let large = vec![b'x'; 600 * 1024];
    let files: &[(&str, &[u8])] = &[
        ("deploy/empty", b""),
        ("deploy/large", &large),
        ("deploy/bad.env", b"GOOD=1\nnot a name=hidden\n=x\n"),
        ("deploy/binary.env", b"\xff\xfe"),
    ];
    let variables = &[("PASSWORD", "hunter2"), ("NOTHING", "")];
    let application = Application { files, variables };
    let found = again(data, |snippet| application.read(snippet));
    assert!(!found.contains("hunter2"));
    snapbox::assert_data_eq!(found, snapbox::file!["data/design-errors.txt"].raw());
}

#[test]
fn secrets_are_in_no_diagnostic_and_no_debug_output() {
    let application = Application {
        files: &[("deploy/key.pem", b"hunter2")],
        variables: &[("PASSWORD", "hunter2")],
    };
    let outcome = application.read(
        "services: {web: {image: web, secrets: [a, b]}}\n\
         secrets: {a: {file: key.pem}, b: {environment: PASSWORD}}\n",
    );
    let design = outcome.design();
    assert_eq!(design.secrets["a"].data.as_deref(), Some(b"hunter2".as_slice()));
    assert_eq!(design.secrets["b"].data.as_deref(), Some(b"hunter2".as_slice()));
    let debug = format!("{design:?} {:?}", outcome.diagnostics);
    assert!(!debug.contains("hunter2") && !debug.contains("104, 117"), "{debug}");
}
