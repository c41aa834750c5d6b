//! Jobs that wait for each other, drawn.

use crate::out::{Look, Tone, text};
use std::collections::{BTreeMap, BTreeSet};
use tessera_api::types::{Deps, DepsEdge, DepsJob};

/// Deeper ones are drawn at this depth.
const DEPTH_MAX: usize = 24;

/// Draws what waits for what: what comes first above what waits for it, each job once with all it waits for.
#[must_use]
pub fn deps(look: &Look, graph: &Deps) -> String {
    let drawing = Drawing::of(graph);
    let mut out = String::new();
    let mut drawn = BTreeSet::new();
    let roots = graph.jobs.iter().filter(|job| drawing.is_root(job.id));
    // Those of a circle, which a cut graph may seem to have, come last.
    let rest = graph.jobs.iter();
    for job in roots.chain(rest) {
        if !drawn.contains(&job.id) {
            drawing.draw(look, job.id, &mut Vec::new(), &mut drawn, &mut out);
        }
    }
    if graph.edges.is_empty() {
        out += &look.paint(
            Tone::Dim,
            "it waits for nothing, and nothing waits for it\n",
        );
    }
    if graph.is_cut {
        out += &look.paint(Tone::Dim, "there are more than can be shown\n");
    }
    out
}

struct Drawing<'a> {
    graph: &'a Deps,
    jobs: BTreeMap<u64, &'a DepsJob>,
    /// Who waits for a job.
    below: BTreeMap<u64, BTreeSet<u64>>,
    /// What a job waits for.
    above: BTreeMap<u64, Vec<&'a DepsEdge>>,
}

impl<'a> Drawing<'a> {
    fn of(graph: &'a Deps) -> Self {
        let jobs: BTreeMap<u64, &DepsJob> = graph.jobs.iter().map(|job| (job.id, job)).collect();
        let mut below: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        let mut above: BTreeMap<u64, Vec<&DepsEdge>> = BTreeMap::new();
        for edge in &graph.edges {
            above.entry(edge.job).or_default().push(edge);
            if let Some(on) = edge.on.filter(|on| jobs.contains_key(on)) {
                below.entry(on).or_default().insert(edge.job);
            }
        }
        Self {
            graph,
            jobs,
            below,
            above,
        }
    }

    /// Says whether nothing that is there comes before it.
    fn is_root(&self, id: u64) -> bool {
        let edges = self.above.get(&id).into_iter().flatten();
        let mut on = edges.filter_map(|edge| edge.on);
        !on.any(|on| self.jobs.contains_key(&on))
    }

    /// Draws a job and who waits for it; `path` says of each level whether more follow there.
    fn draw(
        &self,
        look: &Look,
        id: u64,
        path: &mut Vec<bool>,
        drawn: &mut BTreeSet<u64>,
        out: &mut String,
    ) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let above = self.above.get(&id).into_iter().flatten();
        let mut on = above.filter_map(|edge| edge.on);
        // Under the last of what it waits for it is drawn with what follows; one without a line above must be drawn here.
        let is_early = on.any(|on| self.jobs.contains_key(&on) && !drawn.contains(&on));
        let is_early = is_early && !path.is_empty();
        let is_new = !is_early && drawn.insert(id);
        *out += &branches(path);
        *out += &match (is_early, is_new) {
            (true, _) => self.line(look, job, Some(" (below)")),
            (_, false) => self.line(look, job, Some(" (above)")),
            (_, true) => self.line(look, job, None),
        };
        out.push('\n');
        let below = self.below.get(&id).filter(|_| is_new);
        let below: Vec<u64> = below.into_iter().flatten().copied().collect();
        for (place, child) in below.iter().enumerate() {
            let is_deep = path.len() >= DEPTH_MAX;
            if !is_deep {
                path.push(place + 1 < below.len());
            }
            self.draw(look, *child, path, drawn, out);
            if !is_deep {
                path.pop();
            }
        }
    }

    fn line(&self, look: &Look, job: &DepsJob, elsewhere: Option<&str>) -> String {
        let state = state(job);
        let mark = if job.id == self.graph.job {
            Tone::Bold
        } else {
            Tone::Plain
        };
        let mut line = format!(
            "{} {} {}",
            look.paint(mark, &job.id.to_string()),
            look.line(&job.name, 40),
            look.paint(Tone::of_state(state), state)
        );
        if let Some(elsewhere) = elsewhere {
            line += &look.paint(Tone::Dim, elsewhere);
            return line;
        }
        let edges = self.above.get(&job.id).into_iter().flatten();
        let after: Vec<String> = edges.map(|edge| thing(look, edge)).collect();
        if !after.is_empty() {
            line += &format!(" after {}", after.join(", "));
        }
        line
    }
}

fn state(job: &DepsJob) -> &str {
    if job.is_stranded {
        "stranded"
    } else {
        &job.status
    }
}

/// Prints one thing that is waited for and how it is.
fn thing(look: &Look, edge: &DepsEdge) -> String {
    let (tone, mark) = match edge.state.as_deref() {
        Some("met") => (Tone::Good, " ✓"),
        Some("open") => (Tone::Plain, " …"),
        Some("vain") => (Tone::Bad, " ✗"),
        _ => (Tone::Dim, ""),
    };
    look.paint(tone, &format!("{}{mark}", text::safe(&edge.after)))
}

fn branches(path: &[bool]) -> String {
    let Some((last, before)) = path.split_last() else {
        return String::new();
    };
    let mut out: String = before
        .iter()
        .map(|more| if *more { "│  " } else { "   " })
        .collect();
    out += if *last { "├─ " } else { "└─ " };
    out
}

/// Prints what waits for what for Graphviz.
#[must_use]
pub fn deps_dot(graph: &Deps) -> String {
    let mut out = "digraph deps {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for job in &graph.jobs {
        let label = format!("{} {}\n{}", job.id, job.name, state(job));
        let style = if job.id == graph.job {
            ", style=bold"
        } else {
            ""
        };
        out += &format!("  \"{}\" [label=\"{}\"{style}];\n", job.id, quoted(&label));
    }
    let jobs: BTreeSet<u64> = graph.jobs.iter().map(|job| job.id).collect();
    for edge in &graph.edges {
        let from = match edge.on {
            Some(on) if jobs.contains(&on) => on.to_string(),
            Some(on) => format!("{on} (removed)"),
            None => quoted(&edge.after),
        };
        let style = match edge.state.as_deref() {
            Some("open") => "style=dashed",
            Some("vain") => "style=dashed, color=red",
            _ => "style=solid",
        };
        let label = quoted(&edge.after);
        out += &format!(
            "  \"{from}\" -> \"{}\" [label=\"{label}\", {style}];\n",
            edge.job
        );
    }
    out + "}\n"
}

/// Answers a text as it stands between quotes in DOT; nothing in a name can end them.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out += "\\n",
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Deps {
        let job = |id, name: &str, status: &str| DepsJob {
            id,
            name: name.into(),
            user: "mia".into(),
            status: status.into(),
            is_stranded: id == 16,
        };
        let edge = |job, on, after: &str, state: &str| DepsEdge {
            job,
            on,
            after: after.into(),
            state: Some(state.into()),
        };
        Deps {
            job: 15,
            jobs: vec![
                job(12, "render", "running"),
                job(13, "sim \"a\"\\", "complete"),
                job(15, "comp", "blocked"),
                job(16, "tidy", "blocked"),
                job(17, "movie", "blocked"),
            ],
            edges: vec![
                edge(15, Some(12), "12:frames", "open"),
                edge(15, Some(13), "13", "met"),
                edge(16, Some(13), "13:failed", "vain"),
                edge(17, Some(15), "15", "open"),
                edge(17, None, "late", "open"),
                edge(17, Some(7), "7", "met"),
            ],
            is_cut: false,
        }
    }

    #[test]
    fn what_comes_first_stands_above_what_waits_for_it() {
        let look = Look {
            width: Some(80),
            colour: false,
            now_ms: 0,
            zone: jiff::tz::TimeZone::UTC,
        };
        insta::assert_snapshot!(deps(&look, &graph()), @r#"
        12 render running
        └─ 15 comp blocked (below)
        13 sim "a"\ complete
        ├─ 15 comp blocked after 12:frames …, 13 ✓
        │  └─ 17 movie blocked after 15 …, late …, 7 ✓
        └─ 16 tidy stranded after 13:failed ✗
        "#);
    }

    #[test]
    fn no_name_ends_its_quotes() {
        insta::assert_snapshot!(deps_dot(&graph()), @r#"
        digraph deps {
          rankdir=LR;
          node [shape=box];
          "12" [label="12 render\nrunning"];
          "13" [label="13 sim \"a\"\\\ncomplete"];
          "15" [label="15 comp\nblocked", style=bold];
          "16" [label="16 tidy\nstranded"];
          "17" [label="17 movie\nblocked"];
          "12" -> "15" [label="12:frames", style=dashed];
          "13" -> "15" [label="13", style=solid];
          "13" -> "16" [label="13:failed", style=dashed, color=red];
          "15" -> "17" [label="15", style=dashed];
          "late" -> "17" [label="late", style=dashed];
          "7 (removed)" -> "17" [label="7", style=solid];
        }
        "#);
    }
}
