//! The text that Prometheus reads (exposition format 0.0.4). Labels have closed sets of values: states, ends, and the
//! channels that the administrator has written down. No user, job or host is one, so a scrape stays small for ever.

use super::counts::{Counts, ENDS, JOB_ENDS, Times};
use super::figures::{Figures, HOST_STATES};
use std::fmt::Write as _;
use tessera_api::types::Channels;
use tessera_model::{ItemStatus, WorkStatus};

/// The media type of [`print()`].
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const MIB: u64 = 1024 * 1024;
const US_PER_SECOND: f64 = 1_000_000.0;

/// What is printed.
pub(crate) struct Known<'a> {
    /// What has happened.
    pub(crate) counts: &'a Counts,
    /// What is there now; nothing while the store can't be read.
    pub(crate) figures: Option<&'a Figures>,
    /// Who is told.
    pub(crate) channels: &'a Channels,
    /// Whether what happens can be made durable.
    pub(crate) is_well: bool,
    /// When the supervisor started, in milliseconds since 1970.
    pub(crate) started_ms: i64,
}

/// Prints all of it.
pub(crate) fn print(known: &Known<'_>) -> String {
    let mut page = Page::default();
    page.gauge("tessera_info", "The version of the supervisor.");
    page.line("tessera_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.gauge(
        "tessera_healthy",
        "Whether the supervisor can make durable what happens.",
    );
    page.line("tessera_healthy", &[], u64::from(known.is_well));
    page.gauge(
        "process_start_time_seconds",
        "When the supervisor started, in seconds since 1970.",
    );
    page.seconds("process_start_time_seconds", known.started_ms);
    if let Some(figures) = known.figures {
        page.figures(figures);
    }
    page.counts(known.counts);
    page.channels(known.channels);
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str) {
        self.head(name, "gauge", help);
    }

    fn counter(&mut self, name: &str, help: &str) {
        self.head(name, "counter", help);
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.text(name, labels, &value.to_string());
    }

    fn text(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.0.push_str(name);
        for (at, (label, said)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _infallible = write!(self.0, "{before}{label}=\"{}\"", escaped(said));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _infallible = writeln!(self.0, " {value}");
    }

    /// Prints milliseconds as seconds.
    fn seconds(&mut self, name: &str, ms: i64) {
        let (whole, rest) = (ms.div_euclid(1_000), ms.rem_euclid(1_000));
        self.text(name, &[], &format!("{whole}.{rest:03}"));
    }

    fn each<'a>(&mut self, name: &str, label: &str, values: impl Iterator<Item = (&'a str, u64)>) {
        for (said, value) in values {
            self.line(name, &[(label, said)], value);
        }
    }

    fn figures(&mut self, figures: &Figures) {
        for (name, help, value) in [
            (
                "tessera_slots",
                "Slots of the hosts that are up.",
                figures.slots,
            ),
            ("tessera_slots_used", "Slots in use.", figures.slots_used),
            (
                "tessera_memory_bytes",
                "Memory that the hosts that are up give to jobs.",
                figures.memory.saturating_mul(MIB),
            ),
            (
                "tessera_memory_used_bytes",
                "Memory that is reserved by what runs.",
                figures.memory_used.saturating_mul(MIB),
            ),
            (
                "tessera_hosts_locked",
                "Hosts that are locked.",
                figures.hosts_locked,
            ),
        ] {
            self.gauge(name, help);
            self.line(name, &[], value);
        }
        self.gauge("tessera_hosts", "Hosts by state.");
        self.each(
            "tessera_hosts",
            "state",
            HOST_STATES.into_iter().zip(figures.hosts),
        );
        self.gauge("tessera_jobs", "Jobs by state.");
        let states = WorkStatus::ALL.iter().map(|state| state.word());
        self.each("tessera_jobs", "state", states.zip(figures.jobs));
        self.gauge("tessera_items", "Items (frames) by state.");
        let states = ItemStatus::ALL.iter().map(|state| state.word());
        self.each("tessera_items", "state", states.zip(figures.items));
        let name = "tessera_job_wait_oldest_seconds";
        self.gauge(
            name,
            "How long the pending job has waited that waits longest for its first frame.",
        );
        self.seconds(
            name,
            i64::try_from(figures.oldest_wait_ms).unwrap_or(i64::MAX),
        );
    }

    fn counts(&mut self, counts: &Counts) {
        for (name, help, count) in [
            (
                "tessera_jobs_submitted_total",
                "Jobs that were submitted.",
                &counts.submitted,
            ),
            (
                "tessera_placements_total",
                "Instances that were given to a host.",
                &counts.placements,
            ),
            (
                "tessera_placements_refused_total",
                "Instances that a host refused.",
                &counts.refusals,
            ),
            (
                "tessera_hosts_lost_total",
                "Hosts that were given up for lost.",
                &counts.hosts_lost,
            ),
            (
                "tessera_store_commits_refused_total",
                "Commits that the store refused.",
                &counts.commits_refused,
            ),
        ] {
            self.counter(name, help);
            self.line(name, &[], count.get());
        }
        self.counter("tessera_jobs_ended_total", "Jobs that ended, by how.");
        let ended = JOB_ENDS
            .into_iter()
            .zip(counts.jobs_ended.iter().map(super::Count::get));
        self.each("tessera_jobs_ended_total", "state", ended);
        self.counter(
            "tessera_attempts_ended_total",
            "Attempts of items that ended, by how.",
        );
        let ended = ENDS
            .into_iter()
            .zip(counts.attempts.iter().map(super::Count::get));
        self.each("tessera_attempts_ended_total", "outcome", ended);
        self.times(
            "tessera_job_wait_seconds",
            "From a job's submission to its first frame.",
            &counts.waits,
        );
        self.times(
            "tessera_attempt_seconds",
            "How long attempts ran.",
            &counts.runs,
        );
        self.times(
            "tessera_store_commit_seconds",
            "How long the store took to make a turn durable.",
            &counts.commits,
        );
    }

    fn times(&mut self, name: &str, help: &str, times: &Times) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let counts = times.cumulative();
        for (bound, count) in times.bounds.iter().zip(&counts) {
            self.line(&bucket, &[("le", &in_seconds(*bound))], *count);
        }
        let all = counts.last().copied().unwrap_or(0);
        self.line(&bucket, &[("le", "+Inf")], all);
        self.text(&format!("{name}_sum"), &[], &in_seconds(times.sum_us()));
        self.line(&format!("{name}_count"), &[], all);
    }

    fn channels(&mut self, channels: &Channels) {
        let rows = || channels.channels.iter();
        self.counter(
            "tessera_notify_messages_total",
            "Messages that a channel took.",
        );
        self.each(
            "tessera_notify_messages_total",
            "channel",
            rows().map(|row| (row.name.as_str(), row.told)),
        );
        self.counter(
            "tessera_notify_given_up_total",
            "Messages that were given up.",
        );
        self.each(
            "tessera_notify_given_up_total",
            "channel",
            rows().map(|row| (row.name.as_str(), row.given_up)),
        );
        self.gauge("tessera_notify_waiting", "Messages that are on their way.");
        self.each(
            "tessera_notify_waiting",
            "channel",
            rows().map(|row| (row.name.as_str(), row.waiting)),
        );
        self.gauge(
            "tessera_notify_failing",
            "Whether a channel takes no messages now.",
        );
        let failing = |since: Option<i64>| u64::from(since.is_some());
        self.each(
            "tessera_notify_failing",
            "channel",
            rows().map(|row| (row.name.as_str(), failing(row.failing_since_ms))),
        );
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a microsecond in a century is not missed"
)]
fn in_seconds(us: u64) -> String {
    (us as f64 / US_PER_SECOND).to_string()
}

/// Escapes the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_api::types::ChannelRow;

    fn printed() -> String {
        let counts = Counts::default();
        counts.committed(std::time::Duration::from_millis(3));
        let channel = ChannelRow {
            name: "a \"b\" \\ c".into(),
            told: 4,
            ..ChannelRow::default()
        };
        let figures = Figures {
            slots: 12,
            memory: 2,
            oldest_wait_ms: 61_500,
            ..Figures::default()
        };
        print(&Known {
            counts: &counts,
            figures: Some(&figures),
            channels: &Channels {
                channels: vec![channel],
                ..Channels::default()
            },
            is_well: true,
            started_ms: 1_700_000_000_042,
        })
    }

    #[test]
    fn every_line_is_of_the_format_and_of_a_family_that_was_announced() {
        let text = printed();
        assert!(text.ends_with('\n'));
        let mut families = std::collections::BTreeSet::new();
        for line in text.lines() {
            if let Some(said) = line.strip_prefix("# TYPE ") {
                let (name, _kind) = said.split_once(' ').expect("a type");
                assert!(families.insert(name.to_owned()), "{name} is announced once");
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a value");
            value.parse::<f64>().expect("a number");
            let name = series.split('{').next().expect("a name");
            let is_known = families.contains(name)
                || ["_bucket", "_sum", "_count"].iter().any(|end| {
                    name.strip_suffix(end)
                        .is_some_and(|name| families.contains(name))
                });
            assert!(is_known, "{line}");
            assert!(
                name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{name}"
            );
        }
    }

    #[test]
    fn values_stand_where_a_board_looks_for_them() {
        let text = printed();
        for line in [
            "tessera_slots 12",
            "tessera_memory_bytes 2097152",
            "tessera_healthy 1",
            "tessera_job_wait_oldest_seconds 61.500",
            "process_start_time_seconds 1700000000.042",
            "tessera_items{state=\"pending\"} 0",
            "tessera_jobs{state=\"badlogin\"} 0",
            "tessera_hosts{state=\"panic\"} 0",
            "tessera_attempts_ended_total{outcome=\"out_of_memory\"} 0",
            "tessera_store_commit_seconds_bucket{le=\"0.0025\"} 0",
            "tessera_store_commit_seconds_bucket{le=\"0.005\"} 1",
            "tessera_store_commit_seconds_bucket{le=\"+Inf\"} 1",
            "tessera_store_commit_seconds_sum 0.003",
            "tessera_notify_messages_total{channel=\"a \\\"b\\\" \\\\ c\"} 4",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
