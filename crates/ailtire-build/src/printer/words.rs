//! How numbers, times and foreign text are written.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

/// `1 image`, `2 images`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A number of bytes in decimal units with one digit after the point: `999 B`, `4.1 kB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut tenths = u128::from(number) * 10 / 1000;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A duration: `0.35s`, `3.2s`, `1m 02s`, `2h 05m`.
pub(crate) fn milliseconds(duration: u64) -> String {
    let seconds = duration / 1000;
    match seconds {
        0 => format!("0.{:02}s", duration / 10),
        1..60 => format!("{seconds}.{}s", duration % 1000 / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Milliseconds from the Unix epoch to a time as engines write it (RFC 3339).
pub(crate) fn time(text: &str) -> Option<u64> {
    chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis().try_into().ok()
}

/// How long ago something was: `just now`, `3 minutes ago`, `2 days ago`.
pub(crate) fn ago(milliseconds: u64) -> String {
    let minutes = milliseconds / 60_000;
    let words = |number: u64, noun| format!("{} ago", count(number.try_into().unwrap_or(0), noun));
    match minutes {
        0 => "just now".to_owned(),
        1..60 => words(minutes, "minute"),
        60..1440 => words(minutes / 60, "hour"),
        _ => words(minutes / 1440, "day"),
    }
}

/// The first twelve digits of a digest or image id, as Docker shows them.
pub(crate) fn short_digest(digest: &str) -> &str {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.get(..12).unwrap_or(digits)
}

/// One line of foreign text that can do nothing to a terminal: control characters are spelled out.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| match c {
        '\t' => " ".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    });
    Cow::Owned(escaped.collect())
}

/// A build log as plain lines: no colours, no cursor movements, only the last state of lines that
/// were drawn over.
pub(crate) fn plain_log(log: &str) -> String {
    let mut plain = String::with_capacity(log.len());
    for line in log.lines() {
        let stripped = anstream::adapter::strip_str(line).to_string();
        let line = stripped.trim_end_matches('\r');
        let last = line.rsplit('\r').next().unwrap_or(line);
        plain.extend(last.chars().filter(|c| *c == '\t' || !c.is_control()));
        plain.push('\n');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_decimal_units() {
        let examples = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (4120, "4.1 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (12_400_000_000, "12.4 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (number, words) in examples {
            assert_eq!(bytes(number), words);
        }
    }

    #[test]
    fn durations_get_coarser_as_they_grow() {
        let examples = [
            (0, "0.00s"),
            (354, "0.35s"),
            (3_249, "3.2s"),
            (62_000, "1m 02s"),
            (7_500_000, "2h 05m"),
        ];
        for (duration, words) in examples {
            assert_eq!(milliseconds(duration), words);
        }
        assert_eq!(ago(59_999), "just now");
        assert_eq!(ago(60_000), "1 minute ago");
        assert_eq!(ago(3 * 86_400_000), "3 days ago");
    }

    #[test]
    fn foreign_text_can_do_nothing_to_a_terminal() {
        assert_eq!(printable("a b"), "a b");
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(
            plain_log("\u{1b}[31mred\u{1b}[0m\r\n10%\r50%\r100%\nbell\u{7}"),
            "red\n100%\nbell\n"
        );
    }

    #[test]
    fn digests_are_shortened_as_docker_does() {
        assert_eq!(short_digest("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_digest("0123"), "0123");
    }
}
