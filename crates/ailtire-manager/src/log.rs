//! What a manager writes: one JSON object a line, on standard output.
//!
//! `time` is in milliseconds since 1970, as everywhere in this program's JSON. `AILTIRE_LOG` says how
//! much: `error`, `warn`, `info` (the default) or `debug`.

use std::io::Write;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ailtire_events::{Diagnostic, EventKind, EventSink, ObjectAction, Severity};
use serde_json::{Map, Value, json};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "error" => Some(Self::Error),
            "warn" | "warning" => Some(Self::Warn),
            "info" => Some(Self::Info),
            "debug" | "trace" => Some(Self::Debug),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// The last level that is written.
fn limit() -> Level {
    static LIMIT: OnceLock<Level> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let chosen = std::env::var("AILTIRE_LOG").ok();
        chosen.and_then(|text| Level::parse(&text)).unwrap_or(Level::Info)
    })
}

/// When the program began.
static START: OnceLock<Instant> = OnceLock::new();

/// From now on time is counted.
pub(crate) fn start() {
    START.get_or_init(Instant::now);
}

/// Milliseconds since the program began.
pub(crate) fn since_start() -> u64 {
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Writes a line. `fields` is an object of more to know.
#[allow(clippy::needless_pass_by_value, reason = "made for it by `json!` everywhere")]
pub(crate) fn write(level: Level, message: &str, fields: Value) {
    if level > limit() {
        return;
    }
    let line = line(now(), level, message, &fields);
    // Nobody is left to be told where standard output is gone.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn line(time: u64, level: Level, message: &str, fields: &Value) -> Value {
    let mut line = Map::new();
    line.insert("time".to_owned(), time.into());
    line.insert("level".to_owned(), level.name().into());
    line.insert("message".to_owned(), message.into());
    for (name, value) in fields.as_object().into_iter().flatten() {
        line.entry(name).or_insert_with(|| value.clone());
    }
    Value::Object(line)
}

pub(crate) fn error(message: &str, fields: Value) {
    write(Level::Error, message, fields);
}

pub(crate) fn warn(message: &str, fields: Value) {
    write(Level::Warn, message, fields);
}

pub(crate) fn info(message: &str, fields: Value) {
    write(Level::Info, message, fields);
}

pub(crate) fn debug(message: &str, fields: Value) {
    write(Level::Debug, message, fields);
}

/// Writes what was found about a design.
pub(crate) fn diagnostic(diagnostic: &Diagnostic) {
    let level = match diagnostic.severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warn,
        Severity::Note => Level::Info,
    };
    write(level, &diagnostic.message, json!({ "diagnostic": diagnostic }));
}

/// Turns what a deployment tells into lines.
pub(crate) struct LogSink;

impl EventSink for LogSink {
    fn emit(&self, kind: EventKind) {
        if let EventKind::Diagnostic { diagnostic: found } = &kind {
            return diagnostic(found);
        }
        let level = match &kind {
            EventKind::ServiceFailed { .. } => Level::Error,
            EventKind::ServiceSkipped { .. } => Level::Warn,
            EventKind::ServiceProgress { .. }
            | EventKind::ObjectChanged { action: ObjectAction::Untouched, .. } => Level::Debug,
            _ => Level::Info,
        };
        let fields = serde_json::to_value(&kind).unwrap_or_default();
        write(level, &words(&kind), json!({ "event": fields }));
    }
}

fn words(kind: &EventKind) -> String {
    match kind {
        EventKind::ObjectChanged { kind, name, action, .. } => {
            let action = serde_json::to_value(action).unwrap_or_default();
            format!("{kind} `{name}` {}", action.as_str().unwrap_or_default())
        }
        EventKind::ServiceProgress { service, message, .. } => match message {
            Some(message) => format!("service `{service}`: {message}"),
            None => format!("service `{service}` changes"),
        },
        EventKind::ServiceConverged { service, .. } => {
            format!("service `{service}` is as it is to be")
        }
        EventKind::ServiceFailed { service, failure, .. } => {
            format!("service `{service}` failed: {}", failure.message)
        }
        EventKind::ServiceSkipped { service, .. } => format!("service `{service}` was not begun"),
        EventKind::DeploymentFinished { .. } => "deployment ended".to_owned(),
        EventKind::Pulling { reference } => format!("fetching `{reference}`"),
        _ => "deployment".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_whose_own_fields_stay() {
        let text = line(5, Level::Warn, "a\nb", &json!({"service": "web", "level": "none"}));
        let text = text.to_string();
        assert!(!text.contains('\n'));
        let read: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({"time": 5, "level": "warn", "message": "a\nb", "service": "web"});
        assert_eq!(read, expected);
    }

    #[test]
    fn levels_have_an_order() {
        assert!(Level::parse("WARN").unwrap() < Level::parse("debug").unwrap());
        assert_eq!(Level::parse("loud"), None);
    }
}
