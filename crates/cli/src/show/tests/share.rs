//! What people see of a job that has more instances than its `cpus`.

use super::*;
use crate::show::resources_and_shares;

#[test]
fn a_job_that_grew_says_what_is_secondary_and_nothing_of_what_only_waits() {
    let instance = |no: u32, status: &str| InstanceRow {
        instance: no,
        status: status.into(),
        is_secondary: no == 2,
        ..InstanceRow::default()
    };
    let detail = JobDetail {
        job: JobSummary {
            cpus: 2,
            running_instances: 3,
            secondary_instances: 1,
            ..summary(12, "shot", "running")
        },
        spec: SpecView {
            cpus: 2,
            max_cpus: 5,
            ..SpecView::default()
        },
        instances: vec![
            instance(0, "running"),
            instance(1, "running"),
            instance(2, "running"),
            instance(3, "pending"),
            instance(4, "pending"),
        ],
        ..JobDetail::default()
    };
    let said = both(|look| job(look, &detail));
    assert!(
        said.contains("2 of 2 on a host, and 1 of 3 secondary"),
        "{said}"
    );
    let third = said.lines().find(|line| line.starts_with("12.2"));
    assert!(
        third.is_some_and(|line| line.ends_with("secondary")),
        "{said}"
    );
    assert!(!said.contains("12.3") && !said.contains("12.4"), "{said}");
    // One that lacks some of its own shows those.
    let mut short = detail;
    short.job.running_instances = 1;
    short.job.secondary_instances = 0;
    short.instances[1].status = "pending".into();
    short.instances[2].status = "pending".into();
    let said = both(|look| job(look, &short));
    assert!(said.contains("12.1") && !said.contains("12.3"), "{said}");
}

#[test]
fn parts_of_the_farm_stand_below_its_resources() {
    let share = |cluster: &str, weight, slots| tessera_api::types::ShareRow {
        cluster: cluster.to_owned(),
        weight,
        slots,
    };
    let mut all = tessera_api::types::Resources::default();
    let none = both(|look| resources_and_shares(look, &all));
    assert!(!none.contains("WEIGHT"), "{none}");
    all.shares = vec![share("/", 1, 0), share("/showA", 3, 24)];
    let shown = both(|look| resources_and_shares(look, &all));
    let piped = shown.lines().skip_while(|line| *line != "--- piped");
    let piped: Vec<&str> = piped.skip(3).collect();
    assert_eq!(
        piped,
        [
            "CLUSTER  WEIGHT  SLOTS",
            "/             1      0",
            "/showA        3     24",
        ]
    );
}
