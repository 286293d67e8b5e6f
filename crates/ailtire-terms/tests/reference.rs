//! Image references.
#![allow(clippy::unwrap_used)] // A test may end at once.

use ailtire_terms::reference::{Reference, ReferenceError, canonical, is_tag, suggest};
use proptest::prelude::*;

#[test]
fn canonical_fills_in_what_docker_fills_in() {
    for (written, complete) in [
        ("debian", "docker.io/library/debian:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest"),
        ("index.docker.io/library/debian:latest", "docker.io/library/debian:latest"),
        ("team/web:1.0", "docker.io/team/web:1.0"),
        ("localhost/web", "localhost/web:latest"),
        ("localhost:5000/web", "localhost:5000/web:latest"),
        ("example.org/a/b/c:x", "example.org/a/b/c:x"),
        ("[::1]:5000/web", "[::1]:5000/web:latest"),
        ("a__b.c_d---e", "docker.io/library/a__b.c_d---e:latest"),
        ("index.docker.io/debian", "docker.io/library/debian:latest"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ("debian@sha256:00", "docker.io/library/debian@sha256:00"),
        ("debian:12@sha256:00", "docker.io/library/debian@sha256:00"),
        ("Team/web", "Team/web:latest"),
    ] {
        assert_eq!(canonical(written), complete, "{written}");
        assert_eq!(canonical(complete), complete);
    }
    let digest = format!("debian@sha256:{}", "0".repeat(64));
    assert_eq!(canonical(&digest), format!("docker.io/library/{digest}"));
}

#[test]
fn what_breaks_the_grammar_is_named() {
    use ReferenceError::{Digest, Domain, Empty, Identifier, Path, Tag, TooLong, UpperCase};
    for (written, error) in [
        ("", Empty),
        (":tag", Empty),
        ("example.org/", Empty),
        ("_web", Path),
        ("web_", Path),
        ("a..b", Path),
        ("a___b", Path),
        ("a._b", Path),
        ("a//b", Path),
        ("a b", Path),
        ("ä", Path),
        ("Web", UpperCase),
        ("Team/web", UpperCase),
        ("example.org/Web", UpperCase),
        ("Team!/web", Path),
        ("-x.org/web", Domain),
        ("example.org:port/web", Domain),
        ("web:", Tag),
        ("web:.x", Tag),
        ("web:a b", Tag),
        ("web@sha256:short", Digest),
        ("web@", Digest),
    ] {
        assert_eq!(Reference::parse(written), Err(error), "{written}");
    }
    assert_eq!(Reference::parse(&"a".repeat(256)), Err(TooLong));
    assert_eq!(Reference::parse(&"a".repeat(64)), Err(Identifier));
    assert!(is_tag(&"a".repeat(128)) && !is_tag(&"a".repeat(129)));
}

#[test]
fn the_familiar_form_means_the_same() {
    for (complete, familiar) in [
        ("docker.io/library/debian:12", "debian:12"),
        ("docker.io/team/web", "team/web"),
        ("docker.io/library/team/web", "library/team/web"),
        ("example.org/web", "example.org/web"),
        ("docker.io/a.b/web", "docker.io/a.b/web"),
    ] {
        assert_eq!(Reference::parse(complete).unwrap().familiar(), familiar);
    }
}

#[test]
fn suggestions_stay_near() {
    for (written, suggested) in [
        ("_cp_web", Some("cp_web")),
        ("Web", Some("web")),
        ("My Shop/Web Site:V 1", Some("my-shop/web-site:V-1")),
        ("Example.org:5000/Web", Some("Example.org:5000/web")),
        ("a___b", Some("a__b")),
        ("a._-b", Some("a_b")),
        ("team//web", Some("team/web")),
        ("web:", Some("web")),
        ("web", Some("web")),
        ("***", None),
        ("", None),
    ] {
        assert_eq!(suggest(written).as_deref(), suggested, "{written}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_suggestions_are_valid(text in "\\PC*") {
        let parsed = Reference::parse(&text);
        let suggested = suggest(&text);
        prop_assert!(parsed.is_err() || suggested.as_deref() == Some(&*text));
        if let Some(suggested) = suggested {
            prop_assert!(Reference::parse(&suggested).is_ok());
        }
    }

    #[test]
    fn canonical_and_familiar_forms_lead_back(
        text in "(([a-z]{1,5}\\.[a-z]{2}|localhost|docker.io)(:[0-9]{1,4})?/)?[a-zA-Z]{0,2}[a-z0-9._/-]{1,12}(:[A-Za-z0-9._-]{1,5})?"
    ) {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference.clone()));
            prop_assert_eq!(Reference::parse(&reference.familiar()), Ok(reference));
            let complete = canonical(&text);
            prop_assert!(Reference::parse(&complete).is_ok());
            prop_assert_eq!(canonical(&complete), complete);
        }
    }
}
