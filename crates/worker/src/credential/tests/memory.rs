//! What is left of a password in the memory of a worker that used it.

use super::{FARM, id, mia, seal_for};
use crate::credential::{
    Account, Accounts, FileSecrets, LoggedOn, LogonFailed, Secret, Settings, Vault,
};
use crate::os;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tessera_model::credential::{AccountKind, Verdict};
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_wire::convert::{decode_to_worker, encode_to_worker};

const FOLDER: &str = "TESSERA_TEST_VAULT";
const MARK: &str = "TESSERA_TEST_MARK";

/// Takes any password, and keeps nothing of it.
struct Anybody;

impl Accounts for Anybody {
    fn sid_of(&self, _: Account<'_>) -> Result<String, LogonFailed> {
        Ok("S-1-5-21-7".into())
    }

    fn log_on(&self, _: Account<'_>, password: &Secret) -> Result<LoggedOn, LogonFailed> {
        assert!(password.with_text(|text| text.starts_with("cAnArY")));
        Ok(LoggedOn {
            sid: "S-1-5-21-7".into(),
            token: Arc::new(()),
        })
    }
}

fn vault(dir: &Path) -> Vault {
    tessera_wire::install_crypto_provider();
    let secrets = Box::new(FileSecrets::open(dir).expect("opens"));
    Vault::open(dir, Settings::default(), secrets, Box::new(Anybody)).expect("opens")
}

#[test]
fn c09_nothing_of_a_password_is_left_in_memory() {
    if let Some(dir) = std::env::var_os(FOLDER) {
        return use_it(Path::new(&dir));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let key = vault(dir.path()).keys(FARM, os::wall()).expect("keys").keys[0];
    let canary = format!("cAnArY-{}-{}", std::process::id(), os::wall().0);
    let order = ToWorker::Credential {
        credential: Box::new(seal_for(key, &canary, 1, 1)),
        is_check: true,
    };
    std::fs::write(dir.path().join("order"), encode_to_worker(&[order])).expect("writes");
    let name = "credential::tests::memory::c09_nothing_of_a_password_is_left_in_memory";
    let mark = canary.replace("cAnArY", "mArK");
    let mut child = Command::new(std::env::current_exe().expect("a test"))
        .args([name, "--exact", "--nocapture"])
        .env(FOLDER, dir.path())
        .env(MARK, &mark)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Open to the end: the other process says how its test went.
    let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
    let is_ready = said.any(|line| line.is_ok_and(|line| line.contains("it was used")));
    assert!(is_ready, "the other process failed");
    let seen = [&mark, &canary].map(|text| is_in_memory(child.id(), text.as_bytes()));
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"\n")
        .expect("taken");
    assert!(child.wait().expect("ends").success());
    drop(said);
    assert_eq!(
        seen,
        [true, false],
        "the search finds what is there, and the password is not"
    );
}

/// The other process: a worker that checks a password and starts something with it.
fn use_it(dir: &Path) {
    let vault = vault(dir);
    vault.keys(FARM, os::wall()).expect("keys");
    let bytes = std::fs::read(dir.join("order")).expect("reads");
    let order = decode_to_worker(&bytes)
        .expect("an order")
        .messages
        .remove(0);
    let said = vault.take(order);
    assert!(
        matches!(&said[..], [FromWorker::CredentialChecked(it)] if it.verdict == Verdict::Valid && it.id == id()),
        "{said:?}"
    );
    vault.token(AccountKind::User, &mia()).expect("a token");
    println!("it was used");
    let _closed = std::io::stdin().read(&mut [0; 1]);
}

/// Looks through all that a process can write to.
fn is_in_memory(process: u32, text: &[u8]) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("readable");
    let memory = File::open(format!("/proc/{process}/mem")).expect("a child's can be read");
    let mut buffer = vec![0; 1 << 20];
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'));
        let (from, to) = range.expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("a number");
        let (mut at, to) = (number(from), number(to));
        while at < to {
            let want = usize::try_from((to - at).min(1 << 20)).expect("small");
            let Ok(count) = memory.read_at(&mut buffer[..want], at) else {
                break;
            };
            if has(&buffer[..count], text) {
                return true;
            }
            // What lies across the border of two parts is seen with the second.
            let overlap = text.len().min(count) as u64;
            let next = at + count as u64;
            at = if next < to { next - overlap } else { to };
            if count == 0 {
                break;
            }
        }
    }
    false
}

fn has(bytes: &[u8], text: &[u8]) -> bool {
    let starts = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == text[0]);
    starts
        .map(|(at, _)| at)
        .any(|at| bytes[at..].starts_with(text))
}
