//! What a login shell said is kept for a while: for the same user, account and policy, and what can be done to it by the user's own
//! processes.

mod common;

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;

use common::{User, World, can_run, shell, wait_until};
use tessera_ticket::Mode;

/// A user with a home, whose login shell counts how often it was asked.
struct Home {
    user: User,
    dir: PathBuf,
}

const COUNTS: &str = "echo >> $HOME/asked; export SHOW=$(grep -c ^ $HOME/asked)-$(id -u)\n";

impl Home {
    fn new(world: &World, stem: &str) -> Self {
        let user = User::new(stem, &[]);
        let dir = world.dir.join(stem);
        fs::create_dir(&dir).unwrap();
        chown(&dir, Some(user.uid), Some(user.gid)).unwrap();
        user.change(&["-d", dir.to_str().unwrap()]);
        let home = Self { user, dir };
        home.set_profile(COUNTS);
        home
    }

    fn set_profile(&self, text: &str) {
        let path = self.dir.join(".profile");
        fs::write(&path, text).unwrap();
        chown(&path, Some(self.user.uid), Some(self.user.gid)).unwrap();
    }

    /// Runs a job and returns what it sees, or the refusal's code.
    fn shown(&self, world: &World) -> Result<String, String> {
        let what = shell("echo $SHOW");
        let ticket = world.ticket(&self.user.name, Mode::User, &what);
        let started = world.start_ticket(&ticket, &what);
        let instance = started.map_err(|(code, _)| code)?;
        instance.run(0);
        instance.close();
        Ok(instance.out(0).trim().to_owned())
    }

    fn shows(&self, world: &World, asked: u32) {
        let wanted = format!("{asked}-{}", self.user.uid);
        assert_eq!(self.shown(world), Ok(wanted));
    }
}

const POLICY: &str = "login_environment = yes\nlogin_environment_cache_seconds = 600";

#[test]
fn l29_what_a_login_shell_said_is_kept_for_the_same_user_only() {
    if !can_run() {
        return;
    }
    let world = World::new(POLICY);
    let (mia, eve) = (Home::new(&world, "tsl"), Home::new(&world, "tse"));
    mia.shows(&world, 1);
    mia.shows(&world, 1);
    eve.shows(&world, 1);
    // Another policy may mean another environment, also where it is the same text in a new file.
    world.set_policy(POLICY);
    mia.shows(&world, 2);
    mia.shows(&world, 2);
    eve.shows(&world, 2);
    // Another account does, too, once the launcher has heard of it.
    mia.user.change(&["-s", "/bin/bash"]);
    let wanted = format!("3-{}", mia.user.uid);
    wait_until("the account's new shell is asked", || {
        mia.shown(&world).as_ref() == Ok(&wanted)
    });
    eve.shows(&world, 2);
    // Not kept at all.
    world.set_policy("login_environment = yes\nlogin_environment_cache_seconds = 0");
    eve.shows(&world, 3);
    eve.shows(&world, 4);
    world.assert_nothing_left();
}

#[test]
fn l29_what_is_kept_ends_and_a_shell_that_failed_is_asked_again() {
    if !can_run() {
        return;
    }
    let world = World::new("login_environment = yes\nlogin_environment_cache_seconds = 1");
    let mia = Home::new(&world, "tsl");
    mia.shows(&world, 1);
    let wanted = format!("2-{}", mia.user.uid);
    wait_until("what was kept is over", || {
        mia.shown(&world).as_ref() == Ok(&wanted)
    });
    world.set_policy(POLICY);
    mia.set_profile("exit 3");
    assert_eq!(mia.shown(&world), Err("login_environment_failed".into()));
    mia.set_profile(COUNTS);
    mia.shows(&world, 3);
    world.assert_nothing_left();
}

#[test]
fn l29_a_user_can_spoil_what_is_kept_for_that_user_and_only_once() {
    if !can_run() {
        return;
    }
    let world = World::new(POLICY);
    let (mia, eve) = (Home::new(&world, "tsl"), Home::new(&world, "tse"));
    eve.shows(&world, 1);
    // The login shell writes into the memory file that the starter, of the same user, was given.
    let spoil = "
if [ ! -e $HOME/spoiled ]; then
    while [ ! -e $HOME/spoiled ]; do
        for p in $(cat /proc/$PPID/task/$PPID/children); do
            case $(readlink /proc/$p/fd/8) in
                *memfd:environment*) head -c 5000 /dev/zero | tr '\\0' x > /proc/$p/fd/8 && touch $HOME/spoiled ;;
            esac
        done
    done
fi
";
    mia.set_profile(&format!("{spoil}{COUNTS}"));
    mia.shows(&world, 1);
    assert!(
        mia.dir.join("spoiled").exists(),
        "the attack was carried out"
    );
    assert_eq!(mia.shown(&world), Err("login_environment_failed".into()));
    mia.shows(&world, 2);
    eve.shows(&world, 1);
    world.assert_nothing_left();
}
