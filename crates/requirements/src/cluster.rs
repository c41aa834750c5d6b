//! Clusters: names like directories by which a farm is shared, and how far a job is from a host.
//!
//! A host is in one cluster; a job in one, or in several (`/a,/b`), or in one with all below it (`/a+`). A host serves the jobs of its
//! own cluster first, to the last of them, and the others by distance. Qube!'s table for a host in `/A/B/C`:
//!
//! | cluster of the job | distance |
//! |---|---|
//! | `/A/B/C`, its own | 1 |
//! | below its own | 2 |
//! | `/A/B`, or another branch of it | 3 |
//! | `/A`, or another branch of it | 4 |
//! | `/`, or another branch of it | 5 |

use crate::limits::{CLUSTER_BYTES_MAX, CLUSTER_LEVELS_MAX, CLUSTERS_BYTES_MAX, CLUSTERS_MAX};
use std::fmt;
use std::str::FromStr;

/// A cluster: `/`, `/show`, `/show/shot`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ClusterPath {
    names: Vec<String>,
}

/// Why a text names no cluster, or no clusters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// It does not begin with a slash.
    #[error("a cluster begins with /: write /{0}")]
    Relative(String),
    /// Nothing between two slashes.
    #[error("{0}: there is no name between two slashes")]
    NoName(String),
    /// A character that a name can't have.
    #[error(
        "{path}: the name of a cluster is made of letters, digits, _ - and dots, not {found:?}"
    )]
    Character {
        /// What was read.
        path: String,
        /// The character.
        found: char,
    },
    /// A star, or `/+`, where only a restriction can have one.
    #[error(
        "{0}: a job's cluster ends in a name or in NAME+; /* and /+ behind a name are for restrictions"
    )]
    Restriction(String),
    /// An empty text, or nothing between two commas.
    #[error("a cluster is missing: write / for the top one")]
    Missing,
    /// Too long or too deep.
    #[error(
        "a cluster is at most {CLUSTER_BYTES_MAX} bytes long and has at most {CLUSTER_LEVELS_MAX} names"
    )]
    TooLong,
    /// Too many.
    #[error("at most {CLUSTERS_MAX} clusters, and {CLUSTERS_BYTES_MAX} bytes")]
    TooMany,
}

impl ClusterPath {
    /// Answers how many names it has; the top has none.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.names.len()
    }

    /// Says whether it is the other one, or somewhere below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.names.starts_with(&other.names)
    }

    /// Answers it and all that it is below, the deepest first, the top last.
    pub fn and_above(&self) -> impl Iterator<Item = Self> + '_ {
        let depths = (0..=self.names.len()).rev();
        depths.map(|depth| Self {
            names: self.names.iter().take(depth).cloned().collect(),
        })
    }

    /// Counts the names that both begin with.
    fn common(&self, other: &Self) -> usize {
        let pairs = self.names.iter().zip(&other.names);
        pairs.take_while(|(one, other)| one == other).count()
    }

    /// Answers how far a job in that cluster is from a host in this one: 1 is nearest; see the table above.
    #[must_use]
    pub fn distance(&self, job: &Self) -> usize {
        if self == job {
            1
        } else {
            2 + self.depth() - self.common(job)
        }
    }
}

impl FromStr for ClusterPath {
    type Err = ClusterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ClusterError::Missing);
        }
        if text.len() > CLUSTER_BYTES_MAX {
            return Err(ClusterError::TooLong);
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(ClusterError::Relative(text.to_owned()));
        };
        // One slash at the end is what people write of directories.
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() && text.len() <= 1 {
            return Ok(Self::default());
        }
        let names: Vec<String> = rest.split('/').map(str::to_owned).collect();
        if names.len() > CLUSTER_LEVELS_MAX {
            return Err(ClusterError::TooLong);
        }
        let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        for name in &names {
            let path = || text.to_owned();
            if name.is_empty() {
                return Err(ClusterError::NoName(path()));
            }
            if let Some(found) = name.chars().find(|c| !is_of_name(*c)) {
                return Err(ClusterError::Character {
                    path: path(),
                    found,
                });
            }
        }
        Ok(Self { names })
    }
}

impl fmt::Display for ClusterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return f.write_str("/");
        }
        for name in &self.names {
            write!(f, "/{name}")?;
        }
        Ok(())
    }
}

/// The clusters of a job: `/a`, `/a,/b`, `/a+`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterChoice {
    /// One or more.
    parts: Vec<Choice>,
}

/// One cluster of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Choice {
    pub(crate) path: ClusterPath,
    /// Whether all below it are meant, too (`/a+`).
    pub(crate) is_with_below: bool,
}

impl Default for ClusterChoice {
    /// Makes that of a job which names none: the top.
    fn default() -> Self {
        let path = ClusterPath::default();
        Self {
            parts: vec![Choice {
                path,
                is_with_below: false,
            }],
        }
    }
}

impl ClusterChoice {
    /// Makes one of no cluster, which no text says: far from every host.
    #[must_use]
    pub fn nowhere() -> Self {
        Self { parts: Vec::new() }
    }

    pub(crate) fn parts(&self) -> &[Choice] {
        &self.parts
    }

    /// Answers the cluster that is named first.
    #[must_use]
    pub fn first(&self) -> Option<&ClusterPath> {
        self.parts.first().map(|it| &it.path)
    }

    /// Answers how far the job is from a host of that cluster: 1 where it belongs, else by the nearest of its clusters.
    #[must_use]
    pub fn distance(&self, host: &ClusterPath) -> usize {
        let distance = |choice: &Choice| {
            if choice.is_with_below && host.is_within(&choice.path) {
                1
            } else {
                host.distance(&choice.path)
            }
        };
        let all = self.parts.iter().map(distance);
        all.min().unwrap_or(usize::MAX)
    }
}

impl FromStr for ClusterChoice {
    type Err = ClusterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > CLUSTERS_BYTES_MAX || text.split(',').count() > CLUSTERS_MAX {
            return Err(ClusterError::TooMany);
        }
        let parts: Vec<Choice> = text.split(',').map(choice).collect::<Result<_, _>>()?;
        let all = Self { parts };
        if all.to_string().len() > CLUSTERS_BYTES_MAX {
            return Err(ClusterError::TooMany);
        }
        Ok(all)
    }
}

fn choice(text: &str) -> Result<Choice, ClusterError> {
    let text = text.trim();
    let (path, is_with_below) = match text.strip_suffix('+') {
        Some(path) => (path, true),
        None => (text, false),
    };
    let is_of_restriction =
        text.ends_with("/*") || (path.len() > 1 && path.ends_with('/') && is_with_below);
    if is_of_restriction {
        return Err(ClusterError::Restriction(shortened(text)));
    }
    Ok(Choice {
        path: path.parse()?,
        is_with_below,
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(CLUSTER_BYTES_MAX).collect()
}

impl fmt::Display for ClusterChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, part) in self.parts.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let plus = if part.is_with_below { "+" } else { "" };
            write!(f, "{comma}{}{plus}", part.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> ClusterPath {
        text.parse().expect(text)
    }

    fn choice(text: &str) -> ClusterChoice {
        text.parse().expect(text)
    }

    #[test]
    fn each_row_of_the_table_is_as_it_says() {
        let host = path("/A/B/C");
        for (distance, rows) in [
            (1, ["/A/B/C", "/A/B/C/"]),
            (2, ["/A/B/C/D", "/A/B/C/D/E"]),
            (3, ["/A/B", "/A/B/X"]),
            (4, ["/A", "/A/X"]),
            (5, ["/", "/X"]),
        ] {
            for job in rows {
                assert_eq!(host.distance(&path(job)), distance, "{job}");
            }
        }
        assert_eq!(host.distance(&path("/A/B/X/Y/Z")), 3, "no matter how deep");
        assert_eq!(
            host.distance(&path("/X/B/C")),
            5,
            "equal names elsewhere are other clusters"
        );
        assert_eq!(path("/").distance(&path("/")), 1);
        assert_eq!(path("/").distance(&path("/A/B")), 2);
    }

    #[test]
    fn a_job_of_several_clusters_is_as_near_as_its_nearest() {
        let host = path("/showA/fx");
        for (job, distance) in [
            ("/showA/fx", 1),
            ("/showA+", 1),
            ("/+", 1),
            ("/showB,/showA/fx", 1),
            ("/showB+,/showA+", 1),
            ("/showA/fx/sim+", 2),
            ("/showA,/showB", 3),
            ("/showB+", 4),
            ("/showAB+", 4),
        ] {
            assert_eq!(choice(job).distance(&host), distance, "{job}");
        }
        assert_eq!(ClusterChoice::default().distance(&host), 4);
        assert_eq!(ClusterChoice::default().to_string(), "/");
    }

    #[test]
    fn what_is_no_cluster_says_why() {
        let error = |text: &str| text.parse::<ClusterChoice>().expect_err(text).to_string();
        assert_eq!(error("show"), "a cluster begins with /: write /show");
        assert_eq!(
            error("/a//b"),
            "/a//b: there is no name between two slashes"
        );
        assert_eq!(error("//"), "//: there is no name between two slashes");
        assert_eq!(error(""), "a cluster is missing: write / for the top one");
        assert_eq!(
            error("/a,"),
            "a cluster is missing: write / for the top one"
        );
        assert_eq!(
            error("/a b"),
            "/a b: the name of a cluster is made of letters, digits, _ - and dots, not ' '"
        );
        for text in ["/a/+", "/a/*"] {
            assert!(error(text).contains("for restrictions"), "{text}");
        }
        assert!(error(&"/a".repeat(CLUSTER_LEVELS_MAX + 1)).contains("at most 16 names"));
        assert!(error(&format!("/{}", "a".repeat(CLUSTER_BYTES_MAX))).contains("255 bytes"));
        assert!(error(&vec!["/a"; CLUSTERS_MAX + 1].join(",")).contains("at most 64 clusters"));
    }

    proptest! {
        #[test]
        fn printed_clusters_read_back(text in "(/|(/[a-zé_.-]{1,3}){1,4})\\+?(,(/|(/[a-c]{1,3}){1,4})\\+?){0,3}") {
            let read = choice(&text);
            prop_assert_eq!(choice(&read.to_string()), read);
        }

        #[test]
        fn nothing_is_nearer_than_its_own(host in "(/[ab]){0,4}", job in "(/[ab]){0,4}") {
            let top = |it: String| path(if it.is_empty() { "/" } else { &it });
            let (host, job) = (top(host), top(job));
            let distance = host.distance(&job);
            prop_assert_eq!(distance == 1, host == job);
            prop_assert!((1..=2 + host.depth()).contains(&distance));
            prop_assert_eq!(distance == 2, job != host && job.is_within(&host));
        }
    }
}
