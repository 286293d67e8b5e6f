//! What a person reads of pushed images.

use ailtire_events::{Diagnostic, PushFailure};

use super::diagnostics;
use super::style::{BAD, GOOD, status};
use super::words::bytes;

/// A registry has the image.
pub(super) fn pushed(reference: &str, sent: u64, skipped: bool) -> String {
    if skipped {
        return status("Present", GOOD, &format!("{reference} in the registry"));
    }
    status("Pushed", GOOD, &format!("{reference}, {} sent", bytes(sent)))
}

/// The image could not be pushed.
pub(super) fn failed(reference: &str, failure: &PushFailure) -> String {
    let message = format!("`{reference}` could not be pushed: {}", failure.message.trim());
    let mut diagnostic = Diagnostic::error("push-failed", message);
    if let Some(help) = &failure.help {
        diagnostic = diagnostic.help(help);
    }
    status("Failed", BAD, reference) + &diagnostics::render(&diagnostic)
}

#[cfg(test)]
mod tests {
    use snapbox::{assert_data_eq, str};

    use super::*;

    #[test]
    fn what_is_there_is_told_from_what_was_sent_and_what_failed() {
        let failure = PushFailure {
            message: "the registry `r.example` could not do what it was asked for: EOF".into(),
            help: Some("run the same command again".into()),
        };
        let text = [
            pushed("r.example/web:latest", 0, true),
            pushed("r.example/api:latest", 4120, false),
            failed("r.example/doc:latest", &failure),
        ];
        assert_data_eq!(
            anstream::adapter::strip_str(&text.concat()).to_string(),
            str![[r#"
     Present r.example/web:latest in the registry
      Pushed r.example/api:latest, 4.1 kB sent
      Failed r.example/doc:latest
error[push-failed]: `r.example/doc:latest` could not be pushed: the registry `r.example` could not do what it was asked for: EOF
 |
 = help: run the same command again


"#]]
        );
    }
}
