//! Who a desktop runs jobs of.

use std::path::PathBuf;

use tessera_model::Consent;
use tessera_ticket::{Refusal, Ticket};

use super::{StartError, StartRequest};
use crate::config::Config;

/// The person at a desktop and whom that lets in, as is written in the worker's configuration.
///
/// It is read anew for every start: what the person took back a moment ago counts, whatever the farm knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The name of the user, whose own jobs always run.
    pub user: String,
    /// The file that says who else's do.
    pub config: PathBuf,
}

impl Owner {
    /// Answers whom the person lets in; nobody else when the file is not there, or can't be understood.
    pub(crate) fn consent(&self) -> Consent {
        match Config::read_if_there(&self.config) {
            Ok(config) => config.unwrap_or_default().consent(),
            Err(_) => Consent::default(),
        }
    }
}

/// Makes the error of a start that was refused.
pub(super) fn refused(refusal: &Refusal, text: String) -> StartError {
    StartError::Refused {
        code: refusal.code().to_owned(),
        text,
        hint: refusal.hint().to_owned(),
    }
}

/// Reads the ticket, and refuses jobs of people whom the owner did not let in: whatever the farm decides, nobody else's run
/// as the person at this desktop. The account must be that person's, or nobody's.
pub(super) fn ticket_of_owner(req: &StartRequest, owner: &Owner) -> Result<Ticket, StartError> {
    let launch = req.key;
    let user = &owner.user;
    let ticket = Ticket::decode(&req.ticket).map_err(|error| {
        let reason = error.to_string();
        let text = format!("the ticket of launch {launch} can't be read: {reason}");
        refused(&Refusal::TicketMalformed { reason }, text)
    })?;
    if !ticket.account.is_empty() && ticket.account != *user {
        let text = format!(
            "launch {launch} is to run as {}, and this desktop runs jobs as {user} only",
            ticket.account
        );
        return Err(refused(&Refusal::AccountNotAllowed, text));
    }
    let consent = owner.consent();
    if consent.admits(user, &ticket.principal) {
        return Ok(ticket);
    }
    let text = format!(
        "launch {launch} is of {}, and {user} allows {consent} on this desktop",
        ticket.principal
    );
    Err(refused(&Refusal::SubmitterNotAllowed, text))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tessera_model::msg::LaunchKey;
    use tessera_model::{InstanceNo, JobId, LaunchNo};
    use tessera_ticket::{Digest, ItemRange, Mode};

    use super::*;

    fn request(principal: &str, account: &str) -> StartRequest {
        let key = tessera_ticket::LaunchKey {
            job: 7,
            instance: 0,
            launch: 1,
        };
        let ticket = Ticket {
            farm: [1; 16],
            host: [2; 16],
            key,
            principal: principal.to_owned(),
            proven: "peer".to_owned(),
            mode: Mode::Desktop,
            account: account.to_owned(),
            items: vec![ItemRange { first: 0, last: 0 }],
            template: Digest([0; 32]),
            limits: tessera_ticket::KernelLimits::default(),
            not_before_ms: 0,
            expires_ms: 1,
            nonce: [3; 16],
        };
        StartRequest {
            key: LaunchKey {
                job: JobId(7),
                instance: InstanceNo(0),
                launch: LaunchNo(1),
            },
            ticket: ticket.encode(),
            signature: [0; 64],
            template: Vec::new(),
            dir: PathBuf::new(),
        }
    }

    fn code(owner: &Owner, principal: &str, account: &str) -> Option<String> {
        match ticket_of_owner(&request(principal, account), owner) {
            Ok(ticket) => {
                assert_eq!(ticket.principal, principal);
                None
            }
            Err(StartError::Refused { code, .. }) => Some(code),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn write(path: &Path, text: &str) {
        std::fs::write(path, text).expect("writes");
    }

    #[test]
    fn whom_the_owner_did_not_let_in_is_refused_whatever_the_ticket_says() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let owner = Owner {
            user: "anna".to_owned(),
            config: dir.path().join("worker.toml"),
        };
        let stranger = Some("submitter_not_allowed".to_owned());
        // Without a file, and with one that says nothing of it.
        assert_eq!(code(&owner, "anna", "anna"), None);
        assert_eq!(code(&owner, "bob", "anna"), stranger);
        write(&owner.config, "worker_cpus = 1\n");
        assert_eq!(code(&owner, "bob", ""), stranger);
        write(&owner.config, "desktop_allowed_submitters = [\"bob\"]\n");
        assert_eq!(code(&owner, "bob", "anna"), None);
        assert_eq!(code(&owner, "eve", "anna"), stranger);
        // As another account than the desktop's nothing runs, whoever asks.
        let foreign = Some("account_not_allowed".to_owned());
        assert_eq!(code(&owner, "bob", "bob"), foreign);
        assert_eq!(code(&owner, "anna", "root"), foreign);
        // What was taken back counts for the next start; so does a file that can't be understood.
        write(&owner.config, "desktop_allowed_submitters = []\n");
        assert_eq!(code(&owner, "bob", "anna"), stranger);
        write(&owner.config, "desktop_allowed_submitters = [\"bob\"\n");
        assert_eq!(code(&owner, "bob", "anna"), stranger);
        assert_eq!(code(&owner, "anna", "anna"), None);
        write(&owner.config, "desktop_allowed_submitters = \"*\"\n");
        assert_eq!(code(&owner, "eve", "anna"), None);
    }
}
