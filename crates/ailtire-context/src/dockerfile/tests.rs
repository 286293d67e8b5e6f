use std::collections::BTreeMap;

use ailtire_manifest::Modes;
use proptest::prelude::*;

use super::*;
use crate::model::{Base, BaseKind};

fn image() -> ImageDefinition {
    ImageDefinition {
        package: 0,
        name: "app".to_owned(),
        references: vec!["app:latest".to_owned()],
        directory: "app".to_owned(),
        dockerfile: "app/Dockerfile".to_owned(),
        command: None,
        build_arguments: BTreeMap::new(),
        packages: Vec::new(),
        target: None,
        platforms: Vec::new(),
        labels: BTreeMap::new(),
        secrets: BTreeMap::new(),
        modes: Modes::Canonical,
        is_stack: false,
        location: Location::file("build.js"),
    }
}

fn with(change: impl FnOnce(&mut ImageDefinition)) -> ImageDefinition {
    let mut image = image();
    change(&mut image);
    image
}

fn read_as(image: &ImageDefinition, text: &str) -> Dockerfile {
    facts(text.to_owned(), image, &|_| None).unwrap()
}

fn references_as(image: &ImageDefinition, text: &str) -> Vec<String> {
    read_as(image, text).bases.into_iter().map(|base| base.reference).collect()
}

fn references(text: &str) -> Vec<String> {
    references_as(&image(), text)
}

fn errors(image: &ImageDefinition, text: &str) -> Vec<String> {
    let errors = facts(text.to_owned(), image, &|_| None).unwrap_err();
    let shown = |error: Diagnostic| format!("{}: {}", error.location.unwrap(), error.message);
    errors.into_iter().map(shown).collect()
}

#[test]
fn every_kind_of_reference_is_found_with_its_line() {
    let text = "\
# a comment
FROM --platform=linux/amd64 node:20 AS build
RUN --mount=type=bind,from=tools:1,target=/t --mount=type=cache,target=/c make

from busybox
COPY --from=build /a /a
COPY --chown=1:1 --from=assets:2 /b /b
ADD --from=more:3 /c /c
RUN --mount='target=/q,from=quoted:4' true
";
    let base = |reference: &str, line, kind, platform: Option<&str>| Base {
        reference: reference.to_owned(),
        line,
        kind,
        platform: platform.map(str::to_owned),
    };
    assert_eq!(
        read_as(&image(), text).bases,
        [
            base("node:20", 2, BaseKind::From, Some("linux/amd64")),
            base("tools:1", 3, BaseKind::MountFrom, None),
            base("busybox", 5, BaseKind::From, None),
            base("assets:2", 7, BaseKind::CopyFrom, None),
            base("more:3", 8, BaseKind::CopyFrom, None),
            base("quoted:4", 9, BaseKind::MountFrom, None),
        ],
    );
}

#[test]
fn stages_are_no_images_by_name_or_number_and_scratch_is_nothing() {
    let text = "\
FROM scratch AS Empty
FROM base AS first
FROM FIRST AS second
COPY --from=0 /a /a
COPY --from=empty /a /a
RUN --mount=from=first,target=/x true
FROM node AS node
COPY --from=second /a /a
COPY --from=node:20 /a /a
";
    assert_eq!(references(text), ["base", "node", "node:20"]);
}

#[test]
fn only_stages_that_the_target_needs_count() {
    let text = "\
FROM one AS a
FROM two AS b
RUN --mount=type=bind,from=a,target=/a true
FROM three AS c
COPY --from=0 / /
FROM four
COPY --from=c / /
";
    assert_eq!(references(text), ["one", "three", "four"]);
    assert_eq!(references_as(&with(|it| it.target = Some("B".to_owned())), text), ["one", "two"]);
    assert_eq!(references_as(&with(|it| it.target = Some("0".to_owned())), text), ["one"]);
    let unknown = with(|it| it.target = Some("d".to_owned()));
    assert_eq!(
        errors(&unknown, text),
        ["build.js: the Dockerfile `app/Dockerfile` has no stage `d`"],
    );
}

#[test]
fn variables_take_defaults_and_build_arguments() {
    let text = "\
ARG TAG=20 NAME=node
ARG FULL=$NAME:${TAG}
FROM $FULL AS a
ARG TAG
ENV WHICH=tools:$TAG
COPY --from=$WHICH / /
FROM ${MISSING:-alpine}:${TAG:+tag} AS b
ARG TAG=local
COPY --from=x:$TAG / /
COPY --from=a / /
FROM b
COPY --from=inherited:$TAG / /
";
    assert_eq!(
        references(text),
        ["node:20", "tools:20", "alpine:tag", "x:local", "inherited:local"],
    );
    let given = with(|it| {
        it.build_arguments.insert("TAG".to_owned(), "22".to_owned());
        it.build_arguments.insert("MISSING".to_owned(), "undeclared".to_owned());
    });
    assert_eq!(
        references_as(&given, text),
        ["node:22", "tools:22", "alpine:tag", "x:22", "inherited:22"],
    );
}

#[test]
fn an_environment_variable_wins_over_an_argument() {
    let text = "FROM a\nENV V=env\nARG V=argument\nCOPY --from=x:$V / /\nENV W old form\nCOPY --from=y:$W / /";
    assert_eq!(references(text), ["a", "x:env", "y:old form"]);
}

#[test]
fn quotes_and_escapes_as_in_docker() {
    assert_eq!(references("ARG A='1 2' B=\\$A\nFROM i:$B"), ["i:$A"]);
    assert_eq!(references("ARG A=1\nFROM \"i:$A\""), ["i:1"]);
    assert_eq!(references("ARG A=1\nFROM 'i:$A'"), ["i:$A"]);
    assert_eq!(references("ARG A=\"x\\\"y\\z\"\nFROM i:$A"), ["i:x\"y\\z"]);
    assert_eq!(references("# escape=`\nARG A=1\nFROM i:`$A"), ["i:$A"]);
}

#[test]
fn values_can_be_cut_and_replaced() {
    let text = "\
ARG V=v20.1.2
FROM a:${V#v} AS a
FROM b:${V%.*} AS b
FROM c:${V%%.*}${NONE#x} AS c
FROM d:${V//./-} AS d
FROM e:${V/v/${NONE:-w}} AS e
FROM scratch
COPY --from=a / /
COPY --from=b / /
COPY --from=c / /
COPY --from=d / /
COPY --from=e / /
";
    assert_eq!(references(text), ["a:20.1.2", "b:v20.1", "c:v20", "d:v20-1-2", "e:w20.1.2"],);
}

#[test]
fn platform_variables_are_known_for_a_single_platform_only() {
    let text = "\
FROM --platform=$BUILDPLATFORM go AS b
FROM --platform=$TARGETPLATFORM app-$TARGETARCH$TARGETVARIANT
COPY --from=b / /
";
    let bases = read_as(&image(), text).bases;
    assert_eq!(bases.len(), 1, "`app-…` can't be known");
    assert_eq!((bases[0].reference.as_str(), &bases[0].platform), ("go", &None));

    let single = with(|it| it.platforms = vec!["linux/arm/v7".to_owned()]);
    let bases = read_as(&single, text).bases;
    assert_eq!(bases[1].reference, "app-armv7");
    assert_eq!(bases[1].platform.as_deref(), Some("linux/arm/v7"));

    let given = with(|it| {
        it.build_arguments.insert("TARGETARCH".to_owned(), "mips".to_owned());
        it.build_arguments.insert("TARGETVARIANT".to_owned(), String::new());
    });
    let facts = read_as(&given, text);
    assert_eq!(facts.bases[1].reference, "app-mips");
    assert!(facts.declared_arguments.contains("TARGETARCH"));
}

#[test]
fn continuations_comments_and_heredocs_are_skipped_over() {
    let text = "\
FROM \\
  # a comment in between

  base \\
  AS one
RUN <<EOF cat <<-'TWO' && echo \\
    more
FROM not-a-base
EOF
\tCOPY --from=not-this / /
\tTWO
COPY <<\"A B\" /x
FROM neither
A B
COPY --from=real <<<x $((1 << 2)) /
RUN [\"sh\", \"-c\", \"<<EOF\"]
ONBUILD RUN <<EOF
FROM nor-this
EOF
ONBUILD COPY --from=for-children / /
FROM last
COPY --from=one / /
";
    let facts = read_as(&image(), text);
    let found: Vec<_> =
        facts.bases.iter().map(|base| (base.reference.as_str(), base.line)).collect();
    assert_eq!(found, [("base", 1), ("real", 15), ("last", 21)]);
}

#[test]
fn directives_count_only_at_the_top() {
    assert_eq!(references("# escape=`\r\nFROM a `\r\nAS b\r\n"), ["a"]);
    assert_eq!(references("# syntax=docker/dockerfile:1\n# escape=`\nFROM `\n a"), ["a"]);
    assert_eq!(references("#\n# escape=`\nFROM a \\\nAS b"), ["a"]);
    assert_eq!(
        errors(&image(), "# escape=x\nFROM a"),
        ["app/Dockerfile:1: the escape character is neither a backslash nor a backtick"],
    );
}

#[test]
fn arguments_that_can_change_the_build() {
    let declared = |image: &ImageDefinition, text: &str| -> Vec<String> {
        read_as(image, text).declared_arguments.into_iter().collect()
    };
    let text = "arg A=1\nFROM x\nARG B C=\"d e\"\nONBUILD ARG D\nRUN echo ARG E\n";
    assert_eq!(declared(&image(), text), ["A", "B", "C", "D"]);
    let given = with(|it| {
        for name in ["BUILDKIT_INLINE_CACHE", "HTTP_PROXY", "OTHER"] {
            it.build_arguments.insert(name.to_owned(), "1".to_owned());
        }
    });
    assert_eq!(declared(&given, "FROM x"), ["BUILDKIT_INLINE_CACHE"]);
    assert_eq!(declared(&given, "# syntax=docker/dockerfile:1\nFROM x"), ["BUILDKIT_INLINE_CACHE"]);
    assert_eq!(
        declared(&given, "# syntax=example.org/own\nFROM x"),
        ["BUILDKIT_INLINE_CACHE", "HTTP_PROXY", "OTHER"],
    );
}

#[test]
fn the_default_command_fills_a_gap_only() {
    let text = |target: Option<&str>, text: &str| {
        let image = with(|it| {
            it.command = Some("node a.js".to_owned());
            it.target = target.map(str::to_owned);
        });
        read_as(&image, text).text.to_string()
    };
    let cmd = "CMD [\"node\", \"a.js\"]";
    assert_eq!(text(None, "FROM a\nRUN b"), format!("FROM a\nRUN b\n{cmd}\n"));
    assert_eq!(text(None, "FROM a\nRUN b\n\n# end\n"), format!("FROM a\nRUN b\n{cmd}\n\n# end\n"));
    for own in
        ["FROM a\nCMD x\n", "FROM a\nentrypoint [\"x\"]", "FROM a AS b\nCMD x\nFROM b\nRUN y\n"]
    {
        assert_eq!(text(None, own), own);
    }
    let unrelated = "FROM a\nCMD x\nFROM b\nHEALTHCHECK CMD true\nONBUILD CMD z\n";
    assert_eq!(text(None, unrelated), format!("{unrelated}{cmd}\n"));
    assert_eq!(
        text(Some("one"), "FROM a AS one\nRUN <<E\nx\nE\n\nFROM b\nCMD x\n"),
        format!("FROM a AS one\nRUN <<E\nx\nE\n{cmd}\n\nFROM b\nCMD x\n"),
    );
    assert_eq!(
        text(None, "FROM a\nRUN b \\\n c \\\n\n"),
        format!("FROM a\nRUN b \\\n c \n{cmd}\n")
    );
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_place() {
    assert_eq!(
        errors(&image(), " \n# only a comment\n"),
        ["app/Dockerfile: the Dockerfile `app/Dockerfile` has no instruction"],
    );
    assert_eq!(
        errors(&image(), "ARG A=1\nRUN x\n"),
        ["app/Dockerfile: the Dockerfile `app/Dockerfile` has no `FROM`"],
    );
    let text = "\
ARG V
FROM ${V
FROM x
COPY --from=${} / /
FROM ${W:?needed}
FROM \"a
";
    let start = "the variables of this instruction can't be expanded:";
    assert_eq!(
        errors(&image(), text),
        [
            format!("app/Dockerfile:2: {start} a `${{` has no `}}`"),
            format!("app/Dockerfile:4: {start} `${{…}}` names no variable"),
            format!("app/Dockerfile:5: {start} `W` is not set: needed"),
            format!("app/Dockerfile:6: {start} a quote is not closed"),
        ],
    );
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    let text = format!("FROM {}x{}\n", "${A:-".repeat(100_000), "}".repeat(100_000));
    assert_eq!(errors(&image(), &text).len(), 1);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text: String) {
        let image = with(|it| it.command = Some("x".to_owned()));
        let _ = facts(text, &image, &|_| None);
    }

    #[test]
    fn no_dockerfile_like_text_makes_it_panic(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("FROM "), Just("ARG "), Just("ENV "), Just("RUN "), Just("COPY "), Just("\n"),
                Just("\\\n"), Just("\\"), Just("$"), Just("${"), Just("}"), Just(":-"), Just("\""),
                Just("'"), Just("<<"), Just("E"), Just("--from="), Just("--mount=from="), Just(" "),
                Just("#"), Just("é"), Just("\r\n"), Just("="), Just("AS "), Just("0"), Just("\t"),
            ],
            0..40,
        ),
        command in "\\PC*",
    ) {
        let image = with(|it| it.command = Some(command));
        let _ = facts(parts.concat(), &image, &|_| Some("r/own:latest".to_owned()));
    }
}

#[test]
fn an_image_of_the_application_is_named_in_full() {
    let own =
        |name: &str| (name == "own" || name == "own:1").then(|| format!("r.example/team/{name}"));
    let text = "\
ARG BASE=own
FROM --platform=linux/amd64 \\
  own\\
  AS one
FROM ${BASE} AS two
RUN --mount=type=bind,from=own,target=/a --mount=target=/b,\"from=own\" echo from=own own
COPY --from=own:1 own /own
COPY --from=one own /own
FROM another AS own
COPY --from=own own /
FROM own
";
    let whole = facts(text.to_owned(), &image(), &own).unwrap();
    assert_eq!(
        &*whole.text,
        "\
ARG BASE=own
FROM --platform=linux/amd64 \\
  r.example/team/own\\
  AS one
FROM r.example/team/own AS two
RUN --mount=type=bind,from=own,target=/a --mount=target=/b,\"from=own\" echo from=own own
COPY --from=r.example/team/own:1 own /own
COPY --from=one own /own
FROM another AS own
COPY --from=own own /
FROM own
"
    );
    // No stage has the name here.
    let text = "\
FROM scratch
RUN --mount=type=bind,from=own,target=/a --mount=target=/b,\"from=own\" echo from=own own
COPY --from=own own /own
";
    let whole = facts(text.to_owned(), &image(), &own).unwrap();
    assert_eq!(
        &*whole.text,
        "\
FROM scratch
RUN --mount=type=bind,from=r.example/team/own,target=/a \
         --mount=target=/b,\"from=r.example/team/own\" echo from=own own
COPY --from=r.example/team/own own /own
"
    );
    assert_eq!(references_as(&image(), &whole.text), ["r.example/team/own"]);
}
