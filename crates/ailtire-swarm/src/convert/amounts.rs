//! Times, sizes and processors as the engine counts them.

use std::time::Duration;

/// Digits of a billionth.
const DIGITS: usize = 9;

/// Nanoseconds; what is too long for the engine (292 years) is as long as it can be.
pub(super) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Bytes; what is too much for the engine is as much as it can be.
pub(super) fn bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Billionths of a processor from a decimal number; absent where it is none, or finer than that.
pub(super) fn nano_cpus(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty() && !text.contains('0'))
        || !digits(whole)
        || !digits(fraction)
        || fraction.len() > DIGITS
    {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    format!("{whole}{fraction:0<DIGITS$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_in_billionths() {
        for (text, expected) in [
            ("0.5", Some(500_000_000)),
            ("0.50", Some(500_000_000)),
            (".25", Some(250_000_000)),
            ("2", Some(2_000_000_000)),
            ("2.", Some(2_000_000_000)),
            ("0", Some(0)),
            ("0.000000001", Some(1)),
            ("0.0000000001", None),
            ("", None),
            (".", None),
            ("-1", None),
            ("one", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(nano_cpus(text), expected, "{text}");
        }
    }
}
