//! Who a desktop runs jobs of.

use tessera_ticket::{Refusal, Ticket};

use super::{StartError, StartRequest};

/// Makes the error of a start that was refused.
pub(super) fn refused(refusal: &Refusal, text: String) -> StartError {
    StartError::Refused {
        code: refusal.code().to_owned(),
        text,
        hint: refusal.hint().to_owned(),
    }
}

/// Reads the ticket, and refuses jobs that are not the user's own: whatever the farm decides, nobody else's run as the person
/// at this desktop.
pub(super) fn ticket_of_owner(req: &StartRequest, user: &str) -> Result<Ticket, StartError> {
    let launch = req.key;
    let ticket = Ticket::decode(&req.ticket).map_err(|error| {
        let reason = error.to_string();
        let text = format!("the ticket of launch {launch} can't be read: {reason}");
        refused(&Refusal::TicketMalformed { reason }, text)
    })?;
    if ticket.principal == user && (ticket.account.is_empty() || ticket.account == user) {
        return Ok(ticket);
    }
    let text = format!(
        "launch {launch} is of {}, and this desktop runs jobs of {user} only",
        ticket.principal
    );
    Err(refused(&Refusal::AccountNotAllowed, text))
}
