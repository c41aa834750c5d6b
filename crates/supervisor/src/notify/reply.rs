//! What a mail server's refusal means: whether it is about whom the mail is for, the mail, or the farm. Pure.
//!
//! Servers say it by a code of three digits, and better ones by an enhanced code at the begin of their text (RFC 3463): `5.1.1` is
//! a mailbox that is not there, `5.7.1` that we may not.

use super::channel::Fault;

/// What the server was told when it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Whom the mail is from: the same for every mail.
    Sender,
    /// Whom it is for.
    Addressee,
    /// That it comes, and the mail itself.
    Content,
}

/// Judges a refusal. With `is_to_owner` each mail is for one user, and who can't be written to must not hold up others.
pub(crate) fn fault(stage: Stage, code: u16, text: &str, is_to_owner: bool) -> Fault {
    let is_for_good = code >= 500;
    match stage {
        Stage::Sender => Fault::Later,
        Stage::Addressee if is_to_owner && is_for_good && is_no_mailbox(code, text) => {
            Fault::Addressee
        }
        Stage::Addressee if is_to_owner => Fault::Message,
        Stage::Addressee if is_for_good && is_of_sender(text) => Fault::Later,
        Stage::Addressee | Stage::Content if is_for_good => Fault::Message,
        Stage::Addressee | Stage::Content => Fault::Later,
    }
}

/// Says whether a refusal for good is about the mailbox, by its enhanced code, else by its code.
fn is_no_mailbox(code: u16, text: &str) -> bool {
    match enhanced(text) {
        // 5.1.7 and 5.1.8 are about the sender's address, 5.2.3 about the mail's length.
        Some((1, detail)) => !matches!(detail, 7 | 8),
        Some((2, detail)) => detail != 3,
        Some(_) => false,
        None => matches!(code, 550..=553),
    }
}

fn is_of_sender(text: &str) -> bool {
    matches!(enhanced(text), Some((1, 7 | 8)))
}

/// Reads subject and detail of the enhanced code that a text begins with.
fn enhanced(text: &str) -> Option<(u16, u16)> {
    let word = text.split_whitespace().next()?;
    let mut numbers = word.split('.');
    let mut number = |digits: usize| {
        let part = numbers.next()?;
        let is_one = (1..=digits).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| is_one)
    };
    let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
    (matches!(class, 4 | 5) && numbers.next().is_none()).then_some((subject, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_an_owner_are_told_apart() {
        for (code, text, expected) in [
            (550, "5.1.1 no such user", Fault::Addressee),
            (550, "5.1.10 null MX", Fault::Addressee),
            (550, "5.2.1 mailbox disabled", Fault::Addressee),
            (552, "5.2.2 mailbox full", Fault::Addressee),
            (550, "no such user", Fault::Addressee),
            (551, "user not local", Fault::Addressee),
            (553, "mailbox name not allowed", Fault::Addressee),
            (550, "5.7.1 relaying denied", Fault::Message),
            (554, "5.7.1 access denied", Fault::Message),
            (554, "transaction failed", Fault::Message),
            (550, "5.1.8 sender's domain not found", Fault::Message),
            (552, "5.2.3 too long", Fault::Message),
            (530, "5.7.0 authenticate first", Fault::Message),
            (503, "bad sequence", Fault::Message),
            // Greylisted, or full for now: others don't wait for it.
            (450, "4.2.0 greylisted", Fault::Message),
        ] {
            assert_eq!(
                fault(Stage::Addressee, code, text, true),
                expected,
                "{code} {text}"
            );
        }
    }

    #[test]
    fn what_all_mail_would_meet_holds_the_channel_up() {
        for is_to_owner in [false, true] {
            for code in [421, 451, 530, 550, 553] {
                let judged = fault(Stage::Sender, code, "5.1.1 who?", is_to_owner);
                assert_eq!(judged, Fault::Later, "{code}");
            }
            let judged = |code| fault(Stage::Content, code, "", is_to_owner);
            assert_eq!((judged(452), judged(554)), (Fault::Later, Fault::Message));
        }
        for (code, text, expected) in [
            (550, "5.1.1 no such user", Fault::Message),
            (550, "5.7.1 relaying denied", Fault::Message),
            (550, "5.1.8 sender's domain not found", Fault::Later),
            (450, "4.2.0 greylisted", Fault::Later),
        ] {
            let judged = fault(Stage::Addressee, code, text, false);
            assert_eq!(judged, expected, "{code} {text}");
        }
    }

    #[test]
    fn only_enhanced_codes_are_read_as_such() {
        for (text, expected) in [
            ("5.1.1 no such user", Some((1, 1))),
            ("4.7.25\tno name", Some((7, 25))),
            ("", None),
            ("5.1 x", None),
            ("5.1.1.1 x", None),
            ("2.1.1 x", None),
            ("10.1.1 x", None),
            ("5.1.1x y", None),
            ("5.1.1000 x", None),
            ("5.+1.1 x", None),
            ("no 5.1.1", None),
        ] {
            assert_eq!(enhanced(text), expected, "{text:?}");
        }
    }
}
