//! `healthcheck`.

use std::time::Duration;

use super::fields::{Field, Fields};
use crate::model::Healthcheck;

/// The shortest time that the engine takes, where it is not 0.
const SHORTEST: Duration = Duration::from_millis(1);

const KEYS: &[&str] =
    &["disable", "test", "interval", "timeout", "start_period", "start_interval", "retries"];

pub(super) fn decode(service: &Fields<'_>) -> Option<Healthcheck> {
    let fields = service.fields("healthcheck", KEYS)?;
    let given = fields.get("test");
    let mut check = Healthcheck {
        test: given.map(test).unwrap_or_default(),
        interval: fields.get("interval").and_then(time),
        timeout: fields.get("timeout").and_then(time),
        start_period: fields.get("start_period").and_then(time),
        start_interval: fields.get("start_interval").and_then(time),
        retries: fields.unsigned("retries"),
    };
    if fields.flag("disable") {
        if let Some(test) = given.filter(|_| check.test.first().is_some_and(|word| word != "NONE"))
        {
            let message = format!("`{}` is given, and the check disabled", test.name());
            test.decoder
                .findings()
                .error(test.key_position(), "disabled-test", message)
                .help("keep one of `test` and `disable`");
        }
        check = Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() };
    }
    Some(check)
}

/// A command for the shell, or a list that begins with what runs it.
fn test(field: Field<'_>) -> Vec<String> {
    if field.node.scalar().is_some() {
        return field
            .filled_text()
            .into_iter()
            .flat_map(|text| ["CMD-SHELL".to_owned(), text])
            .collect();
    }
    let words = field.texts();
    let (first, count) = (words.first().map(String::as_str), words.len());
    let is_valid = match first {
        None => true,
        Some("NONE") => count == 1,
        Some("CMD") => count > 1,
        Some("CMD-SHELL") => count == 2,
        Some(_) => false,
    };
    if !is_valid {
        let message = format!("`{}` is no test that the engine can run", field.name());
        let help = "write `[\"CMD\", \"program\", …]`, `[\"CMD-SHELL\", \"command\"]`, `[\"NONE\"]`, \
                    or the command as a string";
        field.error("invalid-test", message, help);
    }
    words
}

fn time(field: Field<'_>) -> Option<Duration> {
    let time = field.duration()?;
    if !time.is_zero() && time < SHORTEST {
        field.invalid("invalid-duration", "a time that the engine takes", "use at least `1ms`");
    }
    Some(time)
}
