//! Names that are nearly another one.

/// How many near misses are listed.
const NEAR_MISSES: usize = 3;

/// Those of `names` that are nearly `wanted`, nearest first, each once; three at the most.
pub fn nearest<'name>(wanted: &str, names: impl Iterator<Item = &'name str>) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let mut near: Vec<(f64, &str)> = names
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let likeness = strsim::jaro_winkler(&wanted, &lower);
            // Letters that changed places make a short word look like quite another one.
            let slips = strsim::damerau_levenshtein(&wanted, &lower);
            let is_near = likeness >= 0.8 || slips <= wanted.len().min(lower.len()) / 3;
            is_near.then_some((likeness, name))
        })
        .collect();
    near.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(right.1)));
    near.dedup_by(|left, right| left.1 == right.1);
    near.into_iter().take(NEAR_MISSES).map(|(_, name)| name.to_owned()).collect()
}

/// `did you mean …?`, where there is something to offer.
pub fn did_you_mean(near: &[String]) -> Option<String> {
    let quoted: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")))
}
