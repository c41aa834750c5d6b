//! Logons of the real system, on Windows or under Wine.
#![cfg(windows)]

use std::io::{Read as _, Write as _};
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tessera_ticket::{Mode, Refusal};
use tessera_windows::logon::Password;
use tessera_windows::{Listener, Peer, Sid, Token, connect, logon_batch, owner_of, protect};
use tessera_winlaunch::name::{Authority, Name};
use tessera_winlaunch::os::Os as _;
use tessera_winlaunch::policy::Policy;
use tessera_winlaunch::real::Real;
use tessera_winlaunch::session::{Session, Wanted};

fn own() -> Sid {
    Token::own().unwrap().user().unwrap()
}

/// A pipe of this process with itself at both ends.
fn peer(name: &str) -> Peer {
    let name = format!(r"\\.\pipe\tessera-test-{name}-{}", std::process::id());
    let mut listener = Listener::bind(&name, "D:P(A;;GA;;;WD)").unwrap();
    let client = {
        let name = name.clone();
        std::thread::spawn(move || {
            std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(name)
                .unwrap()
        })
    };
    let connection = listener.accept().unwrap();
    let peer = Peer::of(&connection).unwrap();
    client.join().unwrap();
    peer
}

/// Wine's `LogonUserW` says yes to everybody, with a token that can't be used; Windows says no to this one. Either way nothing
/// comes of it.
#[test]
fn a_logon_that_only_says_yes_is_refused_by_the_comparison_of_sids() {
    let os = Arc::new(Real::new());
    let name = Name {
        authority: Authority::Local,
        account: "nobody-has-this-name".to_owned(),
    };
    let password = Password::new("wrong").unwrap();
    if let Ok(token) = logon_batch(".", &name.account, &password) {
        assert!(
            os.who(&token).is_err(),
            "a token of an account that does not exist"
        );
    }
    let policy = Policy::parse("modes = user\nuser_logon = s4u").unwrap();
    for account in ["nobody-has-this-name", "tessera-job1"] {
        let wanted = Wanted {
            name: Name {
                authority: Authority::Local,
                account: account.to_owned(),
            },
            mode: Mode::User,
            token: 0,
            private: PathBuf::from(r"C:\nowhere"),
            station: "tessera-test".to_owned(),
            policy: &policy,
        };
        let refused = Session::begin(&os, &peer("logon"), &wanted, &Mutex::new(()));
        assert!(refused.is_err(), "{account}");
    }
}

/// A worker that was taken over names handles as it likes: none at all, one of something else, a token of somebody else than the
/// ticket's account, one that it may only look at.
#[test]
fn w15_a_number_that_is_no_token_of_the_account_starts_nothing() {
    let os = Arc::new(Real::new());
    let policy = Policy::parse("modes = user\nuser_logon = password").unwrap();
    let own_token = Token::own().unwrap();
    let to_look_at = Token::of_process(this_process().as_handle()).unwrap();
    let file = std::fs::File::open("NUL").unwrap();
    let number = |handle: BorrowedHandle<'_>| handle.as_raw_handle().addr() as u64;
    let named = std::env::var("USERNAME").unwrap_or_else(|_| "root".to_owned());
    for (what, account, token) in [
        ("nothing", named.as_str(), 0x7fff_fff0),
        ("a number that is none", named.as_str(), u64::MAX),
        ("a file", named.as_str(), number(file.as_handle())),
        (
            "another's",
            "nobody-has-this-name",
            number(own_token.as_handle()),
        ),
        (
            "one to look at",
            named.as_str(),
            number(to_look_at.as_handle()),
        ),
        // Under Wine this is an administrator; on Windows, too, where tests are run as one.
        (
            "an administrator's",
            named.as_str(),
            number(own_token.as_handle()),
        ),
    ] {
        let wanted = Wanted {
            name: Name {
                authority: Authority::Local,
                account: account.to_owned(),
            },
            mode: Mode::User,
            token,
            private: PathBuf::from(r"C:\nowhere"),
            station: "tessera-test".to_owned(),
            policy: &policy,
        };
        let refused = Session::begin(&os, &peer("token"), &wanted, &Mutex::new(()));
        assert!(refused.is_err(), "{what}");
    }
    // What is taken is good for no more than what it was taken of.
    let taken = os.take_token(&peer("look"), number(to_look_at.as_handle()));
    assert!(
        os.strip(taken.unwrap()).is_err(),
        "it was only to be looked at"
    );
    let taken = os
        .take_token(&peer("own"), number(own_token.as_handle()))
        .unwrap();
    assert!(os.who(&taken).unwrap().is_primary);
}

fn this_process() -> OwnedHandle {
    let mut command = std::process::Command::new("cmd");
    let mut child = command.args(["/c", "exit"]).spawn().unwrap();
    let handle = child.as_handle().try_clone_to_owned().unwrap();
    child.wait().unwrap();
    handle
}

/// Clients that come and go, or speak nonsense, are not the end of a listener.
#[test]
fn a_listener_outlives_clients_that_go_before_they_are_taken() {
    let name = format!(r"\\.\pipe\tessera-test-hasty-{}", std::process::id());
    let mut listener = Listener::bind(&name, "D:P(A;;GA;;;WD)").unwrap();
    let open = |name: &str| {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).open(name)
    };
    for _ in 0..5 {
        drop(open(&name).unwrap());
        // Taken or not, as the system likes.
        let _ = listener.accept();
    }
    // One that stays is taken, whatever is left of the others.
    let client = std::thread::spawn(move || {
        let mut stream = open(&name).unwrap();
        stream.write_all(b"x").unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        answer
    });
    let mut answered = false;
    for _ in 0..20 {
        let mut said = [0];
        if let Ok(mut stream) = listener.accept()
            && stream.read_exact(&mut said).is_ok()
        {
            stream.write_all(b"y").unwrap();
            answered = true;
            break;
        }
    }
    assert!(answered);
    assert_eq!(client.join().unwrap(), *b"y");
}

#[test]
fn a_dynamic_account_that_cant_be_had_starts_nothing() {
    let os = Arc::new(Real::new());
    let policy = Policy::parse("").unwrap();
    let private = std::env::temp_dir().join(format!("tessera-private-{}", std::process::id()));
    let wanted = Wanted {
        name: Name {
            authority: Authority::Local,
            account: "tessera-job4096".to_owned(),
        },
        mode: Mode::Proxy,
        token: 0,
        private: private.clone(),
        station: "tessera-test".to_owned(),
        policy: &policy,
    };
    let refusal = Session::begin(&os, &peer("dynamic"), &wanted, &Mutex::new(())).err();
    // Who runs tests may not make accounts on Windows; under Wine the logon's token can't be looked at.
    let refusal = refusal.expect("refused").refusal;
    let is_expected = matches!(
        refusal,
        Refusal::BecomingUserFailed { .. }
            | Refusal::IdentityMismatch
            | Refusal::NoSuchAccount
            | Refusal::LogonRefused { .. }
    );
    assert!(is_expected, "{refusal:?}");
    assert!(!private.exists());
}

/// The worker's side of a pipe speaks with the system's launcher only.
#[test]
fn w15_a_pipe_of_somebody_else_is_not_spoken_to() {
    let name = format!(r"\\.\pipe\tessera-test-owner-{}", std::process::id());
    let _listener = Listener::bind(&name, "D:P(A;;GA;;;WD)").unwrap();
    let nobody: Sid = "S-1-5-21-9-9-9-9".parse().unwrap();
    let refused = connect(&name, &[nobody]).unwrap_err();
    assert_eq!(
        refused.kind(),
        std::io::ErrorKind::PermissionDenied,
        "{refused}"
    );
    let missing = connect(r"\\.\pipe\tessera-test-nobody", &[own()]).unwrap_err();
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_client_is_known_by_its_process() {
    assert_eq!(peer("client").account().unwrap(), own());
}

#[test]
fn what_is_made_has_an_owner() {
    let dir = tempfile::tempdir().unwrap();
    protect(dir.path(), &format!("D:P(A;OICI;FA;;;{})", own())).unwrap();
    let owner = owner_of(dir.path()).unwrap();
    assert!([own(), Sid::administrators()].contains(&owner), "{owner}");
}
