//! How parts of a design are written in a compose file.

use std::time::Duration;

use serde::Serializer;

#[expect(clippy::ref_option, reason = "serde's signature")]
pub(crate) fn optional_duration<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.serialize_str(&duration_text(*duration)),
        None => serializer.serialize_none(),
    }
}

/// Docker's own schema wants text there.
#[expect(clippy::ref_option, reason = "serde's signature")]
pub(crate) fn optional_text<S: Serializer>(
    number: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => serializer.collect_str(number),
        None => serializer.serialize_none(),
    }
}

/// `duration` as Compose writes it: `1m30s`, `1h`, `500ms`, `1s500ms`; nothing is lost.
fn duration_text(duration: Duration) -> String {
    let nanoseconds = u64::from(duration.subsec_nanos());
    let parts = [
        (duration.as_secs() / 3600, "h"),
        (duration.as_secs() / 60 % 60, "m"),
        (duration.as_secs() % 60, "s"),
        (nanoseconds / 1_000_000, "ms"),
        (nanoseconds / 1_000 % 1_000, "us"),
        (nanoseconds % 1_000, "ns"),
    ];
    let mut text = String::new();
    for (amount, unit) in parts.into_iter().filter(|(amount, _)| *amount > 0) {
        text.push_str(&amount.to_string());
        text.push_str(unit);
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_compose_has_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h"),
            (500_000_000, "500ms"),
            (1_500_000_000, "1s500ms"),
            (1_001, "1us1ns"),
        ] {
            assert_eq!(duration_text(Duration::from_nanos(nanoseconds)), text);
        }
    }
}
