//! What may have been meant.

/// Letters that may differ between a word and what was meant by it.
const NEAR: usize = 3;

/// Answers the known word that is nearest to `word`, if one is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = NEAR.min(word.chars().count() / 2).max(1);
    let near = known.into_iter().map(|it| (distance(word, it), it)).min()?;
    (near.0 <= bound).then_some(near.1)
}

/// Counts the letters to insert, drop or replace that make one word into the other.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = corner + usize::from(letter != *other);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_guessed() {
        let known = ["memory", "processors", "os"];
        assert_eq!(nearest("memroy", known), Some("memory"));
        assert_eq!(nearest("processor", known), Some("processors"));
        assert_eq!(nearest("so", known), None);
        assert_eq!(nearest("o", known), Some("os"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
