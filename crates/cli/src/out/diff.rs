//! What differs between two texts, line by line, in bounded work and few words: for who must say that they saw it.

/// Cells of the table by which lines are matched; texts that differ in more lines are told one after the other.
const CELLS_MAX: usize = 1 << 20;

/// Answers the lines that differ: with `-` those of `before` only, with `+` those of `after` only, in their order.
#[must_use]
pub fn lines(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same..], &new[same..]);
    let ends = old.iter().rev().zip(new.iter().rev());
    let same = ends.take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - same], &new[..new.len() - same]);
    let mut told = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (a, b) in matched(old, new)
        .into_iter()
        .chain([(old.len(), new.len())])
    {
        told.extend(old[i..a].iter().map(|line| format!("- {line}")));
        told.extend(new[j..b].iter().map(|line| format!("+ {line}")));
        (i, j) = (a + 1, b + 1);
    }
    told
}

/// Answers the places of lines that stay, in order: the most that can; none where finding them would cost too much.
fn matched(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    if (old.len() + 1).saturating_mul(width) > CELLS_MAX {
        return Vec::new();
    }
    // How many lines of the rests from (i, j) on can stay.
    let mut most = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            most[i * width + j] = if old[i] == new[j] {
                most[(i + 1) * width + j + 1] + 1
            } else {
                most[(i + 1) * width + j].max(most[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut kept) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            kept.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if most[(i + 1) * width + j] >= most[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, expect: &[&str]) {
        assert_eq!(lines(before, after), expect, "{before:?} {after:?}");
    }

    #[test]
    fn only_lines_that_differ_are_told() {
        check("a\nb\n", "a\nb\n", &[]);
        check("", "a\n", &["+ a"]);
        check("a\nb\nc\n", "a\nc\n", &["- b"]);
        check(
            "a\nb\nc\nd\ne\n",
            "a\nB\nc\nd\nE\n",
            &["- b", "+ B", "- e", "+ E"],
        );
        check("a\na\n", "a\na\na\n", &["+ a"]);
        check("x\na\nb\n", "a\nb\ny\n", &["- x", "+ y"]);
    }

    #[test]
    fn what_would_cost_too_much_is_told_one_after_the_other() {
        let text = |word: &str| {
            (0..1_100)
                .map(|n| format!("{word}{n}\n"))
                .collect::<String>()
        };
        let (before, after) = (
            format!("{}same\nx\n", text("a")),
            format!("{}same\ny\n", text("b")),
        );
        let told = lines(&before, &after);
        assert_eq!(told.len(), 2 * 1_102);
        assert!(told[..1_102].iter().all(|line| line.starts_with("- ")));
    }
}
