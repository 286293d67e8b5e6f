//! Tables, and quantities as people read them.

use std::time::Duration;

/// Lines of a table whose columns are as wide as their widest cell; `heads` gives their names.
pub(crate) fn plain(heads: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let widths = widths(heads, rows);
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    std::iter::once(&heads).chain(rows).map(|row| join(row, &widths, "  ")).collect()
}

/// Lines of a Markdown table.
pub(crate) fn markdown(heads: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let widths = widths(heads, rows);
    let heads = heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>();
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>();
    let rows = [&heads, &rule].into_iter().chain(rows);
    rows.map(|row| format!("| {} |", join_padded(row, &widths, " | "))).collect()
}

/// `418 B`, `2.1 kB`, `200.0 MB`.
#[allow(clippy::cast_precision_loss)] // One decimal is shown.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["kB", "MB", "GB"].iter();
    let mut unit = "B";
    while value >= 1000.0 {
        let Some(larger) = units.next() else { break };
        (value, unit) = (value / 1000.0, larger);
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

/// `12 ms`, `1.38 s`.
pub(crate) fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

fn widths(heads: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let width = |column: usize, head: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(head.chars().count())
    };
    heads.iter().enumerate().map(|(column, head)| width(column, head)).collect()
}

fn join_padded(row: &[String], widths: &[usize], between: &str) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    cells.collect::<Vec<_>>().join(between)
}

fn join(row: &[String], widths: &[usize], between: &str) -> String {
    join_padded(row, widths, between).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".into(), "long cell".into()], vec!["bcd".into(), String::new()]];
        assert_eq!(plain(&["x", "y"], &rows), ["x    y", "a    long cell", "bcd"]);
        assert_eq!(
            markdown(&["x", "y"], &rows),
            [
                "| x   | y         |",
                "| --- | --------- |",
                "| a   | long cell |",
                "| bcd |           |"
            ]
        );
    }

    #[test]
    fn quantities_have_units() {
        assert_eq!(
            [bytes(0), bytes(999), bytes(2100), bytes(200_000_000)],
            ["0 B", "999 B", "2.1 kB", "200.0 MB"]
        );
        assert_eq!(time(Duration::from_millis(12)), "12 ms");
        assert_eq!(time(Duration::from_millis(1380)), "1.38 s");
    }
}
