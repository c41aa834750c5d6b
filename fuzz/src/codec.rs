//! Binary layouts: what launcher, shepherds, workers and supervisor say to each other.

use tessera_api::frames::{Decoder, LogPiece};
use tessera_pam::{FRAME_MAX, No};
use tessera_rules::account;
use tessera_ticket::launcher::{Reply, Request};
use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::shepherd::{Chain, Command, Event};
use tessera_ticket::{
    CommandError, Digest, ExitRecord, IndexRecord, KernelLimits, LaunchKey, Mode, Nonces, PathMap,
    Refusal, SigningKey, Template, Ticket, TicketError,
};
use tessera_wire::convert;

/// The kinds of limits that the kernel has, the most that adds to a niceness, and the most groups that the chain takes.
const LIMITS: u8 = 16;
const NICE_MAX: u8 = 39;
const GROUPS_MAX: usize = 1_024;

/// Items of a template that are looked at.
const ITEMS: u32 = 4;

/// A ticket that is read has exactly one way to be written, and counts for nothing without its signature.
pub fn ticket(bytes: &[u8]) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let unsigned = Ticket::verify(bytes, &[0; 64], &[key.verifying_key()]);
    assert!(matches!(unsigned, Err(TicketError::Signature)));
    let Ok(ticket) = Ticket::decode(bytes) else {
        return;
    };
    assert_eq!(ticket.encode(), bytes);
    for range in &ticket.items {
        assert!(ticket.allows(range.first));
    }
    let signature = Ticket::sign(bytes, &key);
    assert_eq!(
        Ticket::verify(bytes, &signature, &[key.verifying_key()]),
        Ok(ticket)
    );
}

/// A template that is read is a good one, has exactly one way to be written, and its items can be made.
pub fn template(bytes: &[u8]) {
    let Ok(template) = Template::decode(bytes) else {
        return;
    };
    assert_eq!(template.check(), Ok(()));
    assert_eq!(template.encode(), bytes);
    assert_eq!(template.digest(), Template::digest_of(bytes));
    let last = template.items().map_or(0, |n| n.saturating_sub(1));
    let last = u32::try_from(last).unwrap_or(u32::MAX);
    for index in (0..ITEMS).chain([last, u32::MAX]) {
        let argv = template.argv_of(index, &PathMap::default());
        if template.items().is_some_and(|n| u64::from(index) < n) {
            assert!(template.item(index).is_some() && argv != Err(CommandError::NoItem));
        }
    }
}

/// A table of paths: its bytes, or its lines up to an empty one and an argument behind that. What is read has exactly one way
/// to be written, and an argument in which nothing matches stays as it is.
pub fn paths(bytes: &[u8]) {
    if let Ok(map) = PathMap::decode(bytes) {
        assert_eq!(map.encode(), bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    let (lines, argument) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut pairs = Vec::new();
    for line in lines.lines() {
        if let Ok((from, to)) = PathMap::parse_line(line) {
            let again = PathMap::parse_line(&format!("{from} => {to}"));
            assert_eq!(again.as_ref(), Ok(&(from.clone(), to.clone())));
            pairs.push((from, to));
        }
    }
    let Ok(map) = PathMap::new(pairs) else {
        return;
    };
    assert_eq!(PathMap::decode(&map.encode()).as_ref(), Ok(&map));
    let converted = map.convert_argument(argument, true);
    let _ = (
        map.convert_argument(argument, false),
        map.convert_path(argument),
    );
    if map.is_empty() && !argument.contains("QB_CONVERT_PATH(") {
        assert_eq!(converted, argument);
    }
}

/// What is read is written so that it reads the same.
macro_rules! reads_back {
    ($bytes:expr, $($kind:ty),*) => { $(
        if let Ok(read) = <$kind>::decode($bytes) {
            assert_eq!(<$kind>::decode(&read.encode()), Ok(read));
        }
    )* };
}

/// Frames on the launcher's socket, and what the child says that asks the user directory.
pub fn launcher(bytes: &[u8]) {
    reads_back!(bytes, Request, Reply, Ask, Answer);
    if let Ok(found) = account::decode(bytes) {
        assert_eq!(
            account::decode(&account::encode(Ok(Some(found.clone())))),
            Ok(found)
        );
    }
}

/// What the holder of a PAM session says of it, which root reads: within its bounds, in one line, and as it would be written.
pub fn session(bytes: &[u8]) {
    let Some(said) = tessera_pam::decode(bytes) else {
        return;
    };
    match &said {
        Ok(session) => {
            assert!(session.nice <= NICE_MAX && session.groups.len() <= GROUPS_MAX);
            let good = |it: &tessera_pam::Limit| it.resource < LIMITS && it.soft <= it.hard;
            assert!(session.limits.iter().all(good));
        }
        Err(No::Account(words) | No::Session(words)) => {
            assert!(!words.contains(char::is_control));
        }
    }
    let again = tessera_pam::encode(&said);
    assert!(again.len() <= bytes.len().min(FRAME_MAX));
    assert_eq!(tessera_pam::decode(&again), Some(said));
}

/// Frames on a shepherd's socket, the words between it and its starter, and the records in the spool.
pub fn shepherd(bytes: &[u8]) {
    reads_back!(bytes, Command, Event, Chain, IndexRecord);
}

/// The record of an attempt's end. Its checksum is put right, or nothing but broken ones would be tried.
pub fn exit_record(bytes: &[u8]) {
    reads_back!(bytes, ExitRecord);
    const BODY: usize = tessera_ticket::EXIT_RECORD_LEN - 8;
    let mut whole = bytes.to_vec();
    whole.resize(BODY, 0);
    let sum = whole.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    whole.extend_from_slice(&sum.to_le_bytes());
    reads_back!(&whole, ExitRecord);
}

/// The memory of tickets: a file of any bytes, and then what six bytes each tell it to do. What counted once never counts again,
/// also for a launcher that begins with the records as they came or with a file written anew.
pub fn nonces(bytes: &[u8]) {
    let _ = Nonces::read(bytes, bytes.len() / 2);
    let (mut nonces, mut file, mut wall_ms) = (Nonces::default(), Vec::new(), 1_000);
    let (mut tickets, mut taken) = (Vec::new(), Vec::new());
    for step in bytes.chunks_exact(6) {
        let ticket = small_ticket(step, wall_ms);
        match step[0] % 3 {
            0 if nonces.check(&ticket).is_ok() => {
                nonces.add(&ticket);
                assert!(nonces.check(&ticket).is_err());
                taken.push(ticket.clone());
            }
            0 => {}
            1 => {
                assert_eq!(nonces.bar(ticket.key, wall_ms), Ok(()));
                assert!(nonces.check(&ticket).is_err());
            }
            _ => {
                wall_ms += u64::from(step[5]) * 1_000;
                nonces.prune(wall_ms);
            }
        }
        file.extend_from_slice(nonces.pending());
        nonces.on_written();
        tickets.push(ticket);
    }
    let anew = Nonces::read(&nonces.whole(), 0).expect("it is whole");
    for ticket in &tickets {
        assert_eq!(anew.check(ticket), nonces.check(ticket));
    }
    let records = Nonces::read(&file, 0).expect("they are whole");
    for ticket in &taken {
        let replayed = Err(Refusal::TicketReplayed);
        assert_eq!(records.check(ticket), replayed);
        assert!(nonces.check(ticket).is_err());
    }
}

fn small_ticket(step: &[u8], wall_ms: u64) -> Ticket {
    Ticket {
        farm: [0; 16],
        host: [0; 16],
        key: LaunchKey {
            job: u64::from(step[2] % 4),
            instance: u32::from(step[3] % 2),
            launch: u32::from(step[4]),
        },
        principal: String::new(),
        proven: String::new(),
        mode: Mode::User,
        account: "mia".into(),
        items: Vec::new(),
        template: Digest([0; 32]),
        not_before_ms: 0,
        expires_ms: wall_ms + u64::from(step[5]) * 1_000,
        nonce: [step[1]; 16],
        limits: KernelLimits::default(),
    }
}

/// Messages between supervisor and worker; the first byte picks which.
pub fn wire(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    match which % 4 {
        0 => {
            if let Ok(read) = convert::decode_from_worker(bytes) {
                let again =
                    convert::decode_from_worker(&convert::encode_from_worker(&read.messages));
                assert_eq!(again.ok().map(|it| it.messages), Some(read.messages));
            }
        }
        1 => {
            if let Ok(read) = convert::decode_to_worker(bytes) {
                let again = convert::decode_to_worker(&convert::encode_to_worker(&read.messages));
                assert_eq!(again.ok().map(|it| it.messages), Some(read.messages));
            }
        }
        2 => {
            if let Ok(read) = convert::decode_chunk(bytes) {
                let again = convert::decode_chunk(&convert::encode_chunk(read.clone()));
                assert_eq!(again.ok(), Some(read));
            }
        }
        _ => {
            if let Ok(read) = convert::decode_ack(bytes) {
                let again = convert::decode_ack(&convert::encode_ack(read));
                assert_eq!(again.ok(), Some(read));
            }
        }
    }
}

/// The framed log of the API reads the same however it is cut.
pub fn log_frames(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(pieces(&[bytes]), pieces(&[first, second]));
}

fn pieces(cuts: &[&[u8]]) -> (Vec<LogPiece>, bool) {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for cut in cuts {
        decoder.push(cut);
        loop {
            match decoder.next_piece() {
                Ok(Some(piece)) => found.push(piece),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
    }
    (found, true)
}
