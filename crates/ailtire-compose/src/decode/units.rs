//! Durations, byte sizes and amounts of processors, as Docker's own client reads them.

use std::time::Duration;

/// The longest duration that the engine can hold: what fits 63 bits of nanoseconds.
const LONGEST: u128 = i64::MAX as u128;

/// Digits of a fraction that can matter; an hour has 3.6e12 nanoseconds.
const FRACTION_DIGITS: usize = 15;

/// A duration of numbers with units: `90s`, `1m30s`, `1.5h`, `0`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|letter: char| letter == '.' || letter.is_ascii_digit());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let unit = unit_nanoseconds(unit)?;
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?.checked_add(part(fraction, unit))?;
        rest = after;
    }
    let total = u64::try_from(total).ok().filter(|total| u128::from(*total) <= LONGEST)?;
    Some(Duration::from_nanos(total))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn unit_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// The digits behind the point of a number of units, in nanoseconds.
fn part(digits: &str, unit: u128) -> u128 {
    let digits = &digits[..digits.len().min(FRACTION_DIGITS)];
    let scale = digits.bytes().fold(1, |scale: u128, _| scale * 10);
    digits.parse::<u128>().unwrap_or(0) * unit / scale
}

/// A number of bytes: `512`, `64M`, `1.5gb`, `2 GiB`; units are powers of 1024.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let end = text.rfind(|letter: char| letter.is_ascii_digit() || letter == '.')?;
    let (number, suffix) = text.split_at(end + 1);
    let suffix = suffix.strip_prefix(' ').unwrap_or(suffix).to_ascii_lowercase();
    let mut letters = suffix.chars();
    let power = match letters.next() {
        None | Some('b') => 0,
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    let fits = match letters.as_str() {
        "" => true,
        "b" | "ib" => power > 0,
        _ => false,
    };
    if !fits {
        return None;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let unit = 1_u128 << (10 * power);
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let total = whole.checked_mul(unit)?.checked_add(part(fraction, unit))?;
    u64::try_from(total).ok().filter(|total| i64::try_from(*total).is_ok())
}

/// An amount of processors (`0.50`) in thousand-millionths, the engine's unit.
pub(super) fn nano_processors(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let is_digits = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if text.is_empty() || text == "." || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    if fraction.len() > 9 {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let padded = format!("{fraction:0<9}");
    whole
        .checked_mul(1_000_000_000)?
        .checked_add(padded.parse().ok()?)
        .filter(|total| i64::try_from(*total).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_client_reads_them() {
        for (text, milliseconds) in [
            ("0", 0),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("+250ms", 250),
            ("1h0m0.001s", 3_600_001),
            ("5000us", 5),
            ("5000µs", 5),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "1.s.", "-1s", "1d", "1 s", "1s ", "2562048h", "1e3s", "+", "."]
        {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(duration("9223372036854775807ns"), Some(Duration::from_nanos(u64::MAX >> 1)));
        assert_eq!(duration("9223372036854775808ns"), None);
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, wanted) in [
            ("0", 0),
            ("512", 512),
            ("512b", 512),
            ("50M", 50 << 20),
            ("1.5gb", 3 << 29),
            ("2 GiB", 2 << 30),
            ("1kib", 1024),
            (".5k", 512),
            ("1.k", 1024),
            ("3T", 3 << 40),
        ] {
            assert_eq!(bytes(text), Some(wanted), "{text}");
        }
        for text in ["", "M", "-1", "1  k", "1x", "1kbb", "1bb", "1,5g", "k1", "9999999P", "1.2.3"]
        {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn processors_have_nine_digits_behind_the_point() {
        assert_eq!(nano_processors("0.50"), Some(500_000_000));
        assert_eq!(nano_processors("2"), Some(2_000_000_000));
        assert_eq!(nano_processors(".25"), Some(250_000_000));
        assert_eq!(nano_processors("0.0010000000000"), Some(1_000_000));
        for text in ["", ".", "-1", "0.0000000001", "1/2", "half", "1e3", "99999999999999"] {
            assert_eq!(nano_processors(text), None, "{text}");
        }
    }
}
