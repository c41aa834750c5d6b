//! Restrictions: `/a || /b/* || /c/+`, the clusters in which a job may run, or whose jobs a host takes.
//!
//! `/a` is that cluster alone, `/a/*` those one level below it, `/a/+` all below it.

use crate::cluster::{Choice, ClusterChoice, ClusterError, ClusterPath};
use crate::limits::{CLUSTERS_BYTES_MAX, CLUSTERS_MAX};
use std::fmt;
use std::str::FromStr;

/// Which clusters are let in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Restriction {
    /// One or more.
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    Itself(ClusterPath),
    OneBelow(ClusterPath),
    AllBelow(ClusterPath),
}

/// Why a text is no restriction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestrictionError {
    /// A part that names no cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Joined in another way.
    #[error("{0}: clusters of a restriction are joined by || or the word or")]
    Joined(String),
    /// `/a+`, which is for the cluster of a job.
    #[error("{0}+: in a restriction write {0} || {0}/+ for a cluster and all below it")]
    Plus(String),
    /// Too many.
    #[error("at most {CLUSTERS_MAX} clusters, and {CLUSTERS_BYTES_MAX} bytes")]
    TooMany,
}

impl Restriction {
    /// Says whether a cluster is among them.
    #[must_use]
    pub fn admits(&self, cluster: &ClusterPath) -> bool {
        self.patterns.iter().any(|pattern| pattern.admits(cluster))
    }

    /// Says whether one of a job's clusters is among them; `/a+` is each cluster from `/a` down.
    #[must_use]
    pub fn admits_choice(&self, job: &ClusterChoice) -> bool {
        let meets = |choice: &Choice| {
            self.patterns.iter().any(|pattern| {
                pattern.admits(&choice.path)
                    || (choice.is_with_below && pattern.reaches_below(&choice.path))
            })
        };
        job.parts().iter().any(meets)
    }
}

impl Pattern {
    fn admits(&self, cluster: &ClusterPath) -> bool {
        match self {
            Self::Itself(path) => cluster == path,
            Self::OneBelow(path) => cluster.is_within(path) && cluster.depth() == path.depth() + 1,
            Self::AllBelow(path) => cluster.is_within(path) && cluster != path,
        }
    }

    /// Says whether a cluster somewhere below that one is among them.
    fn reaches_below(&self, top: &ClusterPath) -> bool {
        match self {
            Self::Itself(path) => path.is_within(top),
            Self::OneBelow(path) => path.is_within(top),
            Self::AllBelow(path) => path.is_within(top) || top.is_within(path),
        }
    }
}

impl FromStr for Restriction {
    type Err = RestrictionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > CLUSTERS_BYTES_MAX {
            return Err(RestrictionError::TooMany);
        }
        let mut patterns = Vec::new();
        for part in text.split("||").flat_map(split_at_or) {
            if patterns.len() == CLUSTERS_MAX {
                return Err(RestrictionError::TooMany);
            }
            patterns.push(part.trim().parse()?);
        }
        let restriction = Self { patterns };
        if restriction.to_string().len() > CLUSTERS_BYTES_MAX {
            return Err(RestrictionError::TooMany);
        }
        Ok(restriction)
    }
}

/// Cuts a text at the word `or`.
fn split_at_or(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for word in text.split_whitespace() {
        match parts.last_mut() {
            Some(last) if !word.eq_ignore_ascii_case("or") => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(word);
            }
            _ => parts.push(String::new()),
        }
    }
    parts
}

impl FromStr for Pattern {
    type Err = RestrictionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let below = |path: &str| if path.is_empty() { "/" } else { path }.parse();
        if let Some(path) = text.strip_suffix("/*") {
            return Ok(Self::OneBelow(below(path)?));
        }
        if let Some(path) = text.strip_suffix("/+") {
            return Ok(Self::AllBelow(below(path)?));
        }
        let short = || text.chars().take(SHOWN_MAX).collect::<String>();
        if text.contains([',', '|', ';', '&']) {
            return Err(RestrictionError::Joined(short()));
        }
        if let Some(path) = text.strip_suffix('+') {
            return Err(RestrictionError::Plus(
                path.chars().take(SHOWN_MAX).collect(),
            ));
        }
        Ok(Self::Itself(text.parse()?))
    }
}

/// Characters of a wrong part that an error repeats.
const SHOWN_MAX: usize = 80;

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, end) = match self {
            Self::Itself(path) => (path, ""),
            Self::OneBelow(path) => (path, "/*"),
            Self::AllBelow(path) => (path, "/+"),
        };
        match (path.depth(), end) {
            (0, "/*" | "/+") => f.write_str(end),
            _ => write!(f, "{path}{end}"),
        }
    }
}

impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, pattern) in self.patterns.iter().enumerate() {
            write!(f, "{}{pattern}", if n > 0 { " || " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn restriction(text: &str) -> Restriction {
        text.parse().expect(text)
    }

    #[test]
    fn stars_reach_one_level_and_pluses_all() {
        for (text, inside, outside) in [
            ("/a", &["/a"][..], &["/", "/a/b", "/ab"][..]),
            ("/a/*", &["/a/b"], &["/a", "/a/b/c", "/b/c"]),
            ("/a/+", &["/a/b", "/a/b/c"], &["/a", "/ab", "/"]),
            ("/*", &["/a"], &["/", "/a/b"]),
            ("/+", &["/a", "/a/b"], &["/"]),
            ("/a || /b/+", &["/a", "/b/c"], &["/b", "/a/c"]),
            ("/a or /b OR /c||/d", &["/a", "/b", "/c", "/d"], &["/e"]),
        ] {
            let all = restriction(text);
            for path in inside {
                assert!(
                    all.admits(&path.parse().expect(path)),
                    "{text} admits {path}"
                );
            }
            for path in outside {
                assert!(
                    !all.admits(&path.parse().expect(path)),
                    "{text} keeps {path} out"
                );
            }
        }
    }

    #[test]
    fn a_job_of_several_clusters_needs_one_inside() {
        for (text, job, is_in) in [
            ("/a", "/a,/b", true),
            ("/a", "/b", false),
            ("/a/x", "/a", false),
            ("/a/x", "/a+", true),
            ("/a/x", "/+", true),
            ("/a/*", "/a+", true),
            ("/a/*", "/a/x/y+", false),
            ("/a/*", "/a/x+", true),
            ("/a/+", "/a/x/y+", true),
            ("/a/+", "/+", true),
            ("/a/+", "/b+", false),
            ("/a", "/a/x+", false),
        ] {
            let choice: ClusterChoice = job.parse().expect(job);
            assert_eq!(
                restriction(text).admits_choice(&choice),
                is_in,
                "{text} and {job}"
            );
        }
    }

    #[test]
    fn what_is_no_restriction_says_why() {
        let error = |text: &str| text.parse::<Restriction>().expect_err(text).to_string();
        assert_eq!(
            error("/a, /b"),
            "/a, /b: clusters of a restriction are joined by || or the word or"
        );
        assert_eq!(
            error("/a+"),
            "/a+: in a restriction write /a || /a/+ for a cluster and all below it"
        );
        assert_eq!(error("a || /b"), "a cluster begins with /: write /a");
        assert_eq!(
            error("/a ||"),
            "a cluster is missing: write / for the top one"
        );
        assert_eq!(
            error("/a or or /b"),
            "a cluster is missing: write / for the top one"
        );
        assert!(error("/a/*/b").contains("not '*'"));
        assert!(error(&vec!["/a"; CLUSTERS_MAX + 1].join("||")).contains("at most 64 clusters"));
        assert!(error(&" ".repeat(CLUSTERS_BYTES_MAX + 1)).contains("bytes"));
    }

    proptest! {
        #[test]
        fn printed_restrictions_read_back(
            text in "(/|(/[a-c]{1,2}){0,3}(/[a-c]|/\\*|/\\+))(( or |\\|\\|)(/|(/[a-c]{1,2}){0,3}(/[a-c]|/\\*|/\\+))){0,3}"
        ) {
            let read = restriction(&text);
            prop_assert_eq!(restriction(&read.to_string()), read);
        }

        #[test]
        fn a_job_is_in_exactly_where_one_of_its_clusters_is(
            pattern in "(/[ab]){0,2}(/[ab]|/\\*|/\\+)",
            top in "(/[ab]){1,2}",
        ) {
            // Three levels below the top hold one of every kind that could be among them.
            let mut below: Vec<String> = vec![top.clone()];
            for _ in 0..3 {
                let more: Vec<String> = below.iter().flat_map(|it| [format!("{it}/a"), format!("{it}/b")]).collect();
                below.extend(more);
            }
            let all = restriction(&pattern);
            let one_by_one = below.iter().any(|it| all.admits(&it.parse().expect("a path")));
            let choice: ClusterChoice = format!("{top}+").parse().expect("clusters");
            prop_assert_eq!(all.admits_choice(&choice), one_by_one);
        }
    }
}
