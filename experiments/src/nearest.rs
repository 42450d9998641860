//! The known name nearest to a misspelt one, for error messages.

/// Returns the three of `known` that take the fewest edits to become `name`; ties keep their order.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut ranked: Vec<_> = known.map(|other| (edits(name, other), other)).collect();
    ranked.sort_by_key(|(distance, _)| *distance);
    ranked.into_iter().take(3).map(|(_, other)| other).collect()
}

/// Returns "; nearest: `x`" for the end of a message about the unknown `name`.
pub(crate) fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known).first() {
        Some(near) => format!("; nearest: `{near}`"),
        None => String::new(),
    }
}

/// Levenshtein's distance: insertions, deletions and replacements of a character.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_as_levenshtein_did() {
        for (a, b, distance) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(edits(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_name_comes_first() {
        let known = || ["lru", "arc", "lirs"].into_iter();
        assert_eq!(nearest("lur", known()), ["lru", "lirs", "arc"]);
        assert_eq!(hint("arcs", known()), "; nearest: `arc`");
        assert_eq!(hint("arcs", std::iter::empty()), "");
    }
}
