//! What failed, group by group.

use crate::out::{Look, Tone, text, time};
use tessera_api::types::{ErrorGroup, ErrorJob, Errors};

/// Jobs that are named of a group.
const JOBS_SHOWN_MAX: usize = 6;
/// Hosts that are named of a group.
const HOSTS_SHOWN_MAX: usize = 6;
/// Targets that the command line of a group shows.
const TARGETS_SHOWN_MAX: usize = 4;

/// Prints what failed, the largest group first.
#[must_use]
pub fn errors(look: &Look, errors: &Errors) -> String {
    if errors.groups.is_empty() && errors.left_out == 0 {
        return "nothing that you may see has failed\n".to_owned();
    }
    let mut out: String = errors.groups.iter().map(|it| group(look, it)).collect();
    if errors.left_out > 0 {
        let (looked, left) = (errors.looked_at, errors.left_out);
        out += &format!(
            "{looked} were looked at, those of the newest jobs; {left} more have failed\n"
        );
    }
    out
}

fn group(look: &Look, group: &ErrorGroup) -> String {
    let count = time::count(u64::from(group.count), "frame");
    let room = look.columns().saturating_sub(text::width(&count) + 2);
    let said = look.line(&text::safe(&group.text), room);
    let mut out = format!("{count}  {}\n", look.paint(Tone::Bad, &said));
    let mut add = |line: &str| {
        out += &format!(
            "    {}\n",
            look.line(line, look.columns().saturating_sub(4))
        );
    };
    let (job, frame) = (group.example_job, group.example_item + 1);
    if group.example != group.text {
        add(&format!("{job}#{frame}: {}", text::safe(&group.example)));
    }
    let jobs: Vec<String> = group.jobs.iter().take(JOBS_SHOWN_MAX).map(named).collect();
    add(&format!(
        "jobs: {}{}",
        jobs.join(", "),
        more(group.job_count, jobs.len())
    ));
    let hosts: Vec<_> = group
        .hosts
        .iter()
        .take(HOSTS_SHOWN_MAX)
        .map(|host| text::safe(host))
        .collect();
    if !hosts.is_empty() {
        add(&format!(
            "hosts: {}{}",
            hosts.join(", "),
            more(group.host_count, hosts.len())
        ));
    }
    if group.last_ms > 0 {
        let (first, last) = (
            time::ago(look, group.first_ms),
            time::ago(look, group.last_ms),
        );
        add(&if first == last {
            format!("failed {last}")
        } else {
            format!("failed from {first} to {last}")
        });
    }
    let targets: Vec<_> = group
        .targets
        .iter()
        .take(TARGETS_SHOWN_MAX)
        .map(|it| text::safe(it))
        .collect();
    let rest = if group.targets.len() > targets.len() {
        " …"
    } else {
        ""
    };
    add(&format!("tessera retry {}{rest}", targets.join(" ")));
    out
}

fn named(job: &ErrorJob) -> String {
    format!("{} {} ({})", job.id, text::safe(&job.name), job.count)
}

fn more(all: u32, shown: usize) -> String {
    match (all as usize).saturating_sub(shown) {
        0 => String::new(),
        left => format!(" and {left} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        Look {
            width: Some(80),
            colour: false,
            now_ms: 0,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    #[test]
    fn groups_are_shown_with_what_to_do_and_nothing_hostile() {
        let found = Errors {
            groups: vec![ErrorGroup {
                text: "no license for <n>".into(),
                example: "no license \u{1b}[31mfor 7".into(),
                example_job: 12,
                example_item: 6,
                count: 4,
                jobs: vec![ErrorJob {
                    id: 12,
                    name: "shot\u{7}".into(),
                    count: 4,
                }],
                job_count: 3,
                hosts: vec!["rnd001".into()],
                host_count: 1,
                first_ms: 0,
                last_ms: 0,
                targets: vec!["12#1-3,7".into()],
            }],
            looked_at: 4,
            left_out: 9,
        };
        let shown = errors(&look(), &found);
        for part in [
            "4 frames  no license for <n>\n",
            "12#7: no license ",
            " (4) and 2 more\n",
            "hosts: rnd001\n",
            "tessera retry 12#1-3,7\n",
            "9 more have failed\n",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
        let none = errors(&look(), &Errors::default());
        assert_eq!(none, "nothing that you may see has failed\n");
    }
}
