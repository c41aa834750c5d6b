//! Becoming somebody, with each step made to fail.

use std::cell::RefCell;
use std::io;

use tessera_ticket::Step;

use tessera_keeper::Failed;

use crate::order::Order;
use crate::user::{Ids, become_user};

/// A process that is made up: root, at first.
#[derive(Debug)]
struct Fake {
    /// The call that fails.
    fails: &'static str,
    /// The call that says that it was done, and was not.
    lies: &'static str,
    log: RefCell<Vec<String>>,
    uid: RefCell<(u32, u32)>,
    gid: RefCell<(u32, u32)>,
    groups: Vec<u32>,
    goes_back: bool,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            fails: "",
            lies: "",
            log: RefCell::default(),
            uid: RefCell::new((0, 0)),
            gid: RefCell::new((0, 0)),
            groups: vec![20, 12, 61],
            goes_back: false,
        }
    }
}

impl Fake {
    fn step(&self, name: &str) -> io::Result<bool> {
        self.log.borrow_mut().push(name.to_owned());
        if self.fails == name {
            return Err(io::Error::from_raw_os_error(13));
        }
        Ok(self.lies != name)
    }
}

impl Ids for Fake {
    fn init_groups(&self, name: &str, gid: u32) -> io::Result<()> {
        assert_eq!((name, gid), ("mia", 20));
        self.step("initgroups").map(drop)
    }
    fn set_gid(&self, gid: u32) -> io::Result<()> {
        if self.step("setgid")? {
            *self.gid.borrow_mut() = (gid, gid);
        }
        Ok(())
    }
    fn set_uid(&self, uid: u32) -> io::Result<()> {
        if self.step("setuid")? {
            *self.uid.borrow_mut() = (uid, uid);
        } else {
            // Only the effective one, as for who is not root.
            *self.uid.borrow_mut() = (0, uid);
        }
        Ok(())
    }
    fn uids(&self) -> (u32, u32) {
        *self.uid.borrow()
    }
    fn gids(&self) -> (u32, u32) {
        *self.gid.borrow()
    }
    fn groups(&self) -> io::Result<Vec<u32>> {
        self.step("getgroups")?;
        Ok(self.groups.clone())
    }
    fn can_go_back(&self) -> bool {
        self.log.borrow_mut().push("back".to_owned());
        self.goes_back
    }
    fn enter(&self, directory: &str) -> io::Result<()> {
        assert_eq!(directory, "/Users/mia");
        self.step("chdir").map(drop)
    }
}

fn order() -> Order {
    Order {
        name: "mia".into(),
        uid: 501,
        gid: 20,
        directory: "/Users/mia".into(),
        argv: vec!["true".into()],
        env: Vec::new(),
    }
}

fn failed(fake: &Fake) -> (Step, i32, String) {
    let Failed { step, errno } = become_user(fake, &order()).expect_err("fails");
    let last = fake.log.borrow().last().cloned().unwrap_or_default();
    (step, errno, last)
}

#[test]
fn x03_the_order_is_groups_gid_uid_proof_directory() {
    let fake = Fake::default();
    become_user(&fake, &order()).expect("becomes");
    let order = [
        "initgroups",
        "setgid",
        "setuid",
        "getgroups",
        "back",
        "chdir",
    ];
    assert_eq!(*fake.log.borrow(), order);
}

#[test]
fn x03_each_step_that_fails_is_the_last() {
    for (fails, step) in [
        ("initgroups", Step::SetGroups),
        ("setgid", Step::SetGid),
        ("setuid", Step::SetUid),
        ("getgroups", Step::ReadBack),
        ("chdir", Step::Directory),
    ] {
        let fake = Fake {
            fails,
            ..Fake::default()
        };
        assert_eq!(failed(&fake), (step, 13, fails.to_owned()));
    }
}

#[test]
fn x03_what_was_not_done_is_seen_and_a_way_back_is_found() {
    for lies in ["setgid", "setuid"] {
        let fake = Fake {
            lies,
            ..Fake::default()
        };
        assert_eq!(failed(&fake), (Step::ReadBack, 1, "getgroups".to_owned()));
    }
    let fake = Fake {
        groups: vec![20, 0],
        ..Fake::default()
    };
    assert_eq!(failed(&fake), (Step::ReadBack, 1, "getgroups".to_owned()));
    let fake = Fake {
        goes_back: true,
        ..Fake::default()
    };
    assert_eq!(failed(&fake), (Step::NoWayBack, 1, "back".to_owned()));
}

#[test]
fn x03_root_is_refused_before_anything_is_done() {
    for (uid, gid) in [(0, 20), (501, 0)] {
        let fake = Fake::default();
        let root = Order {
            uid,
            gid,
            ..order()
        };
        let failed = become_user(&fake, &root).expect_err("refused");
        assert_eq!(failed.step, Step::SetUid);
        assert!(fake.log.borrow().is_empty());
    }
}
