//! What a job asks of a host in an expression.

use crate::field::FieldError;
use std::sync::Arc;
use tessera_model::requirements::{HostOperand, JobField, Operand};
use tessera_model::{HostOrder, OrderError, Requirement, RequirementError};

/// Checks what a job asks of a host; an empty text asks nothing.
pub(crate) fn requirements(given: Option<&str>) -> Result<Option<Arc<Requirement>>, FieldError> {
    let Some(text) = given.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let read = Requirement::written(text).map_err(|bad: RequirementError| {
        FieldError::new("requirements", bad.to_string()).hint(bad.hint())
    })?;
    match read.operands().iter().find_map(says_nothing) {
        Some(bad) => Err(bad),
        None => Ok(Some(Arc::new(read))),
    }
}

/// Checks by what the hosts are ordered from which one is picked; an empty text leaves that to the farm.
pub(crate) fn host_order(given: Option<&str>) -> Result<Option<Arc<HostOrder>>, FieldError> {
    let Some(text) = given.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let order = text.parse().map_err(|bad: OrderError| {
        FieldError::new("host_order", bad.to_string()).hint(
            "write [+|-]host.NAME with commas between them: +host.processors.avail,-host.memory",
        )
    })?;
    Ok(Some(Arc::new(order)))
}

/// Refuses fields that no job of this farm has, so that nothing is accepted that means nothing.
fn says_nothing(operand: &Operand) -> Option<FieldError> {
    let (Operand::Job(field) | Operand::Host(HostOperand::Duty(field))) = operand else {
        return None;
    };
    let (why, hint) = match field {
        JobField::Pid | JobField::Kind => (
            "jobs of this farm don't have it yet",
            "job.name, job.user, job.type, job.cluster, job.priority, job.id, job.pgrp, job.label and job.flags can be asked for",
        ),
        JobField::Status => (
            "it changes while a job waits and runs",
            "a job that asks for a host is always pending; leave it out",
        ),
        JobField::Name
        | JobField::Id
        | JobField::Priority
        | JobField::User
        | JobField::Pgrp
        | JobField::Label
        | JobField::Type
        | JobField::Cluster
        | JobField::Restrictions
        | JobField::Reservations
        | JobField::Requirements
        | JobField::Flags
        | JobField::Flag(_) => return None,
    };
    let message = format!("{operand} can't be asked for: {why}");
    Some(FieldError::new("requirements", message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_expression_is_refused_with_its_place() {
        let said = |text: &str| requirements(Some(text)).expect_err(text);
        let bad = said("host.name == rnd-042");
        assert_eq!(bad.field, "requirements");
        assert!(bad.message.starts_with("at character 14 ('r'): "), "{bad}");
        assert!(bad.hint.is_some_and(|hint| hint.contains("\"rnd-042\"")));
        assert_eq!(
            said("not (job.kind in host.duty.kind)").message,
            "host.duty.kind can't be asked for: jobs of this farm don't have it yet"
        );
        assert!(said("job.status == pending").message.contains("changes"));
    }

    #[test]
    fn a_text_is_not_compared_with_an_amount() {
        let bad = requirements(Some("host.memory > 64X")).expect_err("refused");
        assert_eq!(
            bad.message,
            "at character 15 ('6'): \"X\" is no unit, and host.memory is a number"
        );
    }

    #[test]
    fn a_host_order_is_read_or_refused() {
        let order = host_order(Some("host.memory, -host.cpus")).expect("good");
        let order = order.map(|it| it.to_string());
        assert_eq!(order.as_deref(), Some("+host.memory,-host.cpus"));
        assert_eq!(host_order(Some("")), Ok(None));
        for bad in ["+host.groups", "memory", "+host.memory,,"] {
            let error = host_order(Some(bad)).expect_err(bad);
            assert_eq!(error.field, "host_order");
        }
    }

    #[test]
    fn a_good_one_is_kept_and_an_empty_one_is_none() {
        for text in ["not (job.pgrp in host.duty.pgrp)", "job.label == comp"] {
            assert!(requirements(Some(text)).is_ok(), "{text}");
        }
        let good = requirements(Some("host.os = linux")).expect("good");
        assert_eq!(
            good.map(|it| it.to_string()).as_deref(),
            Some("host.os == linux")
        );
        assert_eq!(requirements(Some("  ")), Ok(None));
        assert_eq!(requirements(None), Ok(None));
    }
}
