//! What the kernel keeps an instance to, and what it counts: memory, processes and threads, a part of the processors.
//!
//! Two kinds of trees. In version 2 it is the instance's own group that limits (`memory.max`, `memory.swap.max`, `pids.max`,
//! `cpu.weight`) and each attempt's leaf that counts (`memory.peak`, `memory.events.local`); these files stay root's, so a job
//! that took over its shepherd can't raise them. Where an older system has a controller in a tree of version 1, the instance
//! gets a group there, too, which limits and counts for all its items together. Chain and items count together, so what the
//! chain needs is added. All of it works on open directories: a folder with the same file names is a tree for tests.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use tessera_ticket::{KernelLimits, LaunchKey};

use crate::{Errno, Sys, file};

/// What shepherd and starter may need beside the items, bytes: several times what they were measured to have.
pub const CHAIN_MEMORY: u64 = 16 << 20;
/// Processes of the chain.
const CHAIN_PIDS: u32 = 8;
/// The most bytes of a file of the kernel's that are read.
const FILE_MAX: usize = 4_096;
/// Version 1 says that nothing is limited by a number near 2^63.
const UNLIMITED: u64 = 1 << 62;
/// Shares of a weight of 100 in version 1.
const SHARES_OF_WEIGHT: u64 = 1_024;

/// A controller that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// Of memory.
    Memory,
    /// Of processes and threads.
    Pids,
    /// Of the processors' time.
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    /// Returns the kernel's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

/// Where the farm's instances are limited on this host.
#[derive(Debug, Default)]
pub struct Trees {
    /// Controllers that instances' own groups have.
    two: Vec<Controller>,
    /// The farm's directory in the trees of version 1 that have one.
    one: Vec<(Controller, OwnedFd)>,
}

impl Trees {
    /// Finds what there is and turns it on for the groups below the farm's.
    pub fn find(groups: Option<BorrowedFd<'_>>, farm_name: &CStr) -> Self {
        let two = groups.map(turn_on).unwrap_or_default();
        let mounts = file::read_path(c"/proc/self/mountinfo", 1 << 20).unwrap_or_default();
        let mounts = String::from_utf8_lossy(&mounts).into_owned();
        // Without a tree of version 2 there is nothing that holds an instance together, and its groups would stay.
        let wanted = Controller::ALL.into_iter().filter(|it| !two.contains(it));
        let one = wanted.filter(|_| groups.is_some()).filter_map(|it| {
            let mount = mounts.lines().find_map(|line| mount_point(line, it))?;
            farm_dir(&mount, farm_name).ok().map(|dir| (it, dir))
        });
        Self {
            one: one.collect(),
            two,
        }
    }

    /// Says what instances can be kept to.
    pub fn words(&self) -> Vec<String> {
        let has = |it: &Controller| self.two.contains(it) || self.one.iter().any(|(o, _)| o == it);
        let all = Controller::ALL.into_iter().filter(has);
        all.map(|it| it.word().to_owned()).collect()
    }

    /// Limits an instance whose group was just made; answers the groups that its chain has to enter beside that one, that of
    /// the memory first. The shepherd's account may set back what that one counts.
    pub fn make(
        &self,
        key: LaunchKey,
        group: Option<BorrowedFd<'_>>,
        limits: &KernelLimits,
        shepherd: (u32, u32),
    ) -> Sys<Groups> {
        if self.lacks(limits) {
            // The supervisor was told otherwise: what was promised to the others is not risked.
            return Err(Errno(libc::ENODEV));
        }
        if let Some(group) = group.filter(|_| !self.two.is_empty()) {
            limit_two(group, &self.two, limits)?;
        }
        let name = file::c_string(&key.to_string())?;
        let mut groups = Groups::default();
        // Nobody looks how many processes there are where they are not limited.
        let is_needed = |it: &Controller| *it != Controller::Pids || limits.pids > 0;
        for (controller, farm) in self.one.iter().filter(|(it, _)| is_needed(it)) {
            let dir = make_group(farm.as_fd(), &name)?;
            limit_one(dir.as_fd(), *controller, limits)?;
            if *controller == Controller::Memory {
                let (uid, gid) = shepherd;
                file::chown_at(dir.as_fd(), c"memory.max_usage_in_bytes", uid, gid)?;
                groups.memory = Some(file::open_dir(farm.as_fd(), &name)?);
            }
            groups.all.push(dir);
        }
        Ok(groups)
    }

    /// Says whether a limit is asked for that can't be kept here.
    fn lacks(&self, limits: &KernelLimits) -> bool {
        let asked = [
            (Controller::Memory, limits.memory > 0),
            (Controller::Pids, limits.pids > 0),
        ];
        let has = |it| self.two.contains(&it) || self.one.iter().any(|(one, _)| *one == it);
        asked.into_iter().any(|(it, is_asked)| is_asked && !has(it))
    }

    /// Removes what an instance has beside its own group; says whether it is gone. Nothing is alive in it.
    pub fn destroy(&self, key: LaunchKey) -> Sys<bool> {
        let name = file::c_string(&key.to_string())?;
        let mut is_gone = true;
        for (_, farm) in &self.one {
            match file::remove_dir(farm.as_fd(), &name) {
                Ok(()) | Err(Errno(libc::ENOENT)) => {}
                Err(_) => is_gone = false,
            }
        }
        Ok(is_gone)
    }

    /// Removes groups in which nothing is, as a launcher leaves that ended between two steps.
    pub fn sweep(&self, is_live: impl Fn(LaunchKey) -> bool) {
        for (_, farm) in &self.one {
            for name in file::names(farm.as_fd(), 65_536).unwrap_or_default() {
                let Ok(key) = name.parse::<LaunchKey>() else {
                    continue;
                };
                if !is_live(key) {
                    let _ =
                        file::c_string(&name).and_then(|it| file::remove_dir(farm.as_fd(), &it));
                }
            }
        }
    }
}

/// Says what instances could be kept to here, and changes nothing.
pub fn available(groups: Option<BorrowedFd<'_>>) -> Vec<&'static str> {
    let Some(groups) = groups else {
        return Vec::new();
    };
    let two = listed(groups, c"cgroup.controllers");
    let mounts = file::read_path(c"/proc/self/mountinfo", 1 << 20).unwrap_or_default();
    let mounts = String::from_utf8_lossy(&mounts).into_owned();
    let is_there = |it: &Controller| {
        two.contains(it) || mounts.lines().any(|line| mount_point(line, *it).is_some())
    };
    let all = Controller::ALL.into_iter().filter(is_there);
    all.map(Controller::word).collect()
}

/// Removes the farm's own groups in trees of version 1, if nothing is in them.
pub fn remove_farm_dirs(farm_name: &CStr) {
    let mounts = file::read_path(c"/proc/self/mountinfo", 1 << 20).unwrap_or_default();
    let mounts = String::from_utf8_lossy(&mounts).into_owned();
    for controller in Controller::ALL {
        let mount = mounts
            .lines()
            .find_map(|line| mount_point(line, controller));
        let open = |mount: String| {
            let mount = file::c_string(&mount).ok()?;
            file::open(&mount, libc::O_RDONLY | libc::O_DIRECTORY).ok()
        };
        if let Some(dir) = mount.and_then(open) {
            let _ = file::remove_dir(dir.as_fd(), farm_name);
        }
    }
}

/// The groups of version 1 of an instance.
#[derive(Debug, Default)]
pub struct Groups {
    all: Vec<OwnedFd>,
    /// That of the memory once more, to read what it counts.
    pub memory: Option<OwnedFd>,
}

impl Groups {
    /// Returns the descriptors, which must stay open until the chain is in.
    pub fn fds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.all.iter().chain(&self.memory)
    }

    /// Moves this process into all of them; what it starts is in them, too.
    pub fn enter(&self) -> Sys<()> {
        self.all
            .iter()
            .try_for_each(|dir| file::write_at(dir.as_fd(), c"cgroup.procs", b"0"))
    }
}

/// Takes the mount point from a line of mountinfo, if it is that of a version 1 tree with this controller.
fn mount_point(line: &str, controller: Controller) -> Option<String> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    if after.next() != Some("cgroup") {
        return None;
    }
    let options = after.nth(1)?;
    let has = options.split(',').any(|option| option == controller.word());
    let mount = before.split(' ').nth(4).filter(|_| has)?;
    Some(mount.replace("\\040", " "))
}

/// Opens the farm's directory in a tree of version 1, made if need be.
fn farm_dir(mount: &str, name: &CStr) -> Sys<OwnedFd> {
    let mount = file::c_string(mount)?;
    let mount = file::open(&mount, libc::O_RDONLY | libc::O_DIRECTORY)?;
    make_group(mount.as_fd(), name)
}

/// Makes a directory that everybody may look into, whatever the mask of the launcher: the shepherd reads what it counts.
fn make_group(dir: BorrowedFd<'_>, name: &CStr) -> Sys<OwnedFd> {
    match file::make_dir(dir, name, 0o755) {
        Ok(()) | Err(Errno(libc::EEXIST)) => {}
        Err(errno) => return Err(errno),
    }
    let made = file::open_dir(dir, name)?;
    file::chmod(&made, 0o755)?;
    Ok(made)
}

/// Turns the controllers on for the groups below one of version 2, as far as it has them, and says which are.
fn turn_on(farm: BorrowedFd<'_>) -> Vec<Controller> {
    if let Ok(base) = file::open_dir(farm, c"..") {
        enable(base.as_fd());
    }
    enable(farm);
    listed(farm, c"cgroup.subtree_control")
}

/// Asks for each controller that a group has and does not give on yet. A group that can't give it on (because processes are
/// in it, as in a service's own) refuses, which [`listed`] finds.
fn enable(dir: BorrowedFd<'_>) {
    let given = listed(dir, c"cgroup.subtree_control");
    for controller in listed(dir, c"cgroup.controllers") {
        if !given.contains(&controller) {
            let text = format!("+{}", controller.word());
            let _ = file::write_at(dir, c"cgroup.subtree_control", text.as_bytes());
        }
    }
}

/// Reads a list of controllers.
fn listed(dir: BorrowedFd<'_>, name: &CStr) -> Vec<Controller> {
    let text = file::read_at(dir, name, FILE_MAX).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut all = Controller::ALL.to_vec();
    all.retain(|it| words.contains(&it.word()));
    all
}

/// Writes the limits of an instance into its group of version 2 and has the leaves below count.
fn limit_two(group: BorrowedFd<'_>, has: &[Controller], limits: &KernelLimits) -> Sys<()> {
    if has.contains(&Controller::Memory) && limits.memory > 0 {
        let bytes = limits.memory.saturating_add(CHAIN_MEMORY);
        put(group, c"memory.max", bytes)?;
        // What is swapped out would not count. Kernels without swap accounting have no such file.
        may_lack(put(group, c"memory.swap.max", 0))?;
    }
    if has.contains(&Controller::Pids) && limits.pids > 0 {
        put(
            group,
            c"pids.max",
            limits.pids.saturating_add(CHAIN_PIDS).into(),
        )?;
    }
    if has.contains(&Controller::Cpu) && limits.cpu_weight > 0 {
        put(group, c"cpu.weight", limits.cpu_weight.into())?;
    }
    if has.contains(&Controller::Memory) {
        file::write_at(group, c"cgroup.subtree_control", b"+memory")?;
    }
    Ok(())
}

/// Writes the limits of an instance into its group of version 1 for one controller.
fn limit_one(group: BorrowedFd<'_>, controller: Controller, limits: &KernelLimits) -> Sys<()> {
    match controller {
        Controller::Memory if limits.memory > 0 => {
            let bytes = limits.memory.saturating_add(CHAIN_MEMORY);
            put(group, c"memory.limit_in_bytes", bytes)?;
            may_lack(put(group, c"memory.memsw.limit_in_bytes", bytes))
        }
        Controller::Pids if limits.pids > 0 => put(
            group,
            c"pids.max",
            limits.pids.saturating_add(CHAIN_PIDS).into(),
        ),
        Controller::Cpu if limits.cpu_weight > 0 => {
            let shares = u64::from(limits.cpu_weight) * SHARES_OF_WEIGHT / 100;
            put(group, c"cpu.shares", shares.max(2))
        }
        Controller::Memory | Controller::Pids | Controller::Cpu => Ok(()),
    }
}

fn put(group: BorrowedFd<'_>, name: &CStr, value: u64) -> Sys<()> {
    file::write_at(group, name, value.to_string().as_bytes())
}

fn may_lack(result: Sys<()>) -> Sys<()> {
    match result {
        Err(Errno(libc::ENOENT)) => Ok(()),
        other => other,
    }
}

/// What was counted of the memory of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUse {
    /// The most that it had, bytes; nothing where no group counts it.
    pub peak: Option<u64>,
    /// Somebody of it was ended for want of memory: the limit that it was over, bytes, or 0 when its host had none left.
    pub out_of: Option<u64>,
}

/// Makes all of a leaf of version 2 end together when it is out of memory: half a renderer is of no use.
pub fn end_together(leaf: BorrowedFd<'_>) {
    let _ = file::write_at(leaf, c"memory.oom.group", b"1");
}

/// Says whether a leaf of version 2 counts memory; then each attempt needs a fresh one, since what it counts can't be set back.
pub fn counts_memory(leaf: BorrowedFd<'_>) -> bool {
    file::stat_at(leaf, c"memory.events.local").is_ok()
}

/// Reads what a leaf of version 2 counted for its one attempt.
pub fn of_leaf(leaf: BorrowedFd<'_>, instance: BorrowedFd<'_>) -> MemoryUse {
    let killed = value(leaf, c"memory.events.local", "oom_kill").unwrap_or(0);
    // Over the limit of the instance, or for want of memory on the host.
    let is_limit = value(instance, c"memory.events", "oom").is_some_and(|n| n > 0);
    let limit = number(instance, c"memory.max").filter(|_| is_limit);
    MemoryUse {
        peak: number(leaf, c"memory.peak"),
        out_of: (killed > 0).then(|| reserved(limit)),
    }
}

/// What a group of version 1 has counted before, for attempts that follow each other in it.
#[derive(Debug, Default)]
pub struct Counted {
    kills: u64,
}

impl Counted {
    /// Reads what the group counted since this was last asked. The peak is set back then: of an attempt that began before its
    /// predecessor was over the beginning counts for that one.
    pub fn take(&mut self, group: BorrowedFd<'_>) -> MemoryUse {
        let kills = value(group, c"memory.oom_control", "oom_kill").unwrap_or(0);
        let peak = number(group, c"memory.max_usage_in_bytes");
        let _ = file::write_at(group, c"memory.max_usage_in_bytes", b"0");
        let is_over = kills > self.kills;
        self.kills = kills;
        let limit = number(group, c"memory.limit_in_bytes").filter(|it| *it < UNLIMITED);
        MemoryUse {
            peak,
            out_of: is_over.then(|| reserved(limit)),
        }
    }
}

/// Answers what was reserved of a limit: without what was added for the chain.
fn reserved(limit: Option<u64>) -> u64 {
    limit.map_or(0, |limit| limit.saturating_sub(CHAIN_MEMORY).max(1))
}

/// Reads a file that has one number; `max` is none.
fn number(group: BorrowedFd<'_>, name: &CStr) -> Option<u64> {
    let text = file::read_at(group, name, FILE_MAX).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

/// Reads a value from a file with a key and a number in each line.
fn value(group: BorrowedFd<'_>, name: &CStr, key: &str) -> Option<u64> {
    let text = file::read_at(group, name, FILE_MAX).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    //! Decisions on folders that have the names of the kernel's files; what a kernel does with them is for `tests/memory.rs`.

    use super::*;

    /// A folder that is removed again.
    struct Fake(std::path::PathBuf);

    impl Fake {
        fn new(files: &[(&str, &str)]) -> Self {
            let mut unique = [0; 8];
            file::random(&mut unique).unwrap();
            let name = format!("limits-{:x}", u64::from_le_bytes(unique));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            for (name, text) in files {
                std::fs::write(path.join(name), text).unwrap();
            }
            Self(path)
        }

        fn open(&self) -> OwnedFd {
            let path = file::c_string(self.0.to_str().unwrap()).unwrap();
            file::open(&path, libc::O_RDONLY | libc::O_DIRECTORY).unwrap()
        }

        fn text(&self, name: &str) -> String {
            std::fs::read_to_string(self.0.join(name)).unwrap()
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const LIMITS: KernelLimits = KernelLimits {
        memory: 1 << 30,
        pids: 100,
        cpu_weight: 250,
    };

    fn two() -> Fake {
        let names = [
            "memory.max",
            "memory.swap.max",
            "pids.max",
            "cpu.weight",
            "cgroup.subtree_control",
        ];
        Fake::new(&names.map(|name| (name, "")))
    }

    #[test]
    fn an_instance_is_limited_by_its_own_group() {
        let group = two();
        limit_two(group.open().as_fd(), &Controller::ALL, &LIMITS).unwrap();
        assert_eq!(
            group.text("memory.max"),
            ((1_u64 << 30) + CHAIN_MEMORY).to_string()
        );
        assert_eq!(group.text("memory.swap.max"), "0");
        assert_eq!(group.text("pids.max"), "108");
        assert_eq!(group.text("cpu.weight"), "250");
        assert_eq!(group.text("cgroup.subtree_control"), "+memory");
    }

    #[test]
    fn only_controllers_that_are_there_are_asked_and_only_limits_that_are_set() {
        let group = two();
        limit_two(group.open().as_fd(), &[Controller::Pids], &LIMITS).unwrap();
        let texts = ["memory.max", "cpu.weight", "cgroup.subtree_control"].map(|it| group.text(it));
        assert_eq!(texts, ["", "", ""]);
        assert_eq!(group.text("pids.max"), "108");
        let group = two();
        limit_two(
            group.open().as_fd(),
            &Controller::ALL,
            &KernelLimits::default(),
        )
        .unwrap();
        let texts = ["memory.max", "memory.swap.max", "pids.max", "cpu.weight"];
        assert_eq!(texts.map(|it| group.text(it)), ["", "", "", ""]);
        // Where one is asked for and can't be set nothing is started.
        let lacking = Fake::new(&[("cgroup.subtree_control", "")]);
        let result = limit_two(lacking.open().as_fd(), &Controller::ALL, &LIMITS);
        assert_eq!(result, Err(Errno(libc::ENOENT)));
    }

    #[test]
    fn swap_that_is_not_accounted_for_is_no_reason_to_refuse() {
        let files = [("memory.max", ""), ("cgroup.subtree_control", "")];
        let group = Fake::new(&files);
        limit_two(group.open().as_fd(), &[Controller::Memory], &LIMITS).unwrap();
        let group = Fake::new(&[("memory.limit_in_bytes", "")]);
        limit_one(group.open().as_fd(), Controller::Memory, &LIMITS).unwrap();
        let bytes = (1_u64 << 30) + CHAIN_MEMORY;
        assert_eq!(group.text("memory.limit_in_bytes"), bytes.to_string());
    }

    #[test]
    fn older_trees_have_other_names() {
        let group = Fake::new(&[("pids.max", ""), ("cpu.shares", "")]);
        limit_one(group.open().as_fd(), Controller::Pids, &LIMITS).unwrap();
        limit_one(group.open().as_fd(), Controller::Cpu, &LIMITS).unwrap();
        assert_eq!(
            (group.text("pids.max"), group.text("cpu.shares")),
            ("108".into(), "2560".into())
        );
    }

    #[test]
    fn the_end_for_want_of_memory_is_told_with_the_limit_or_without() {
        let instance = |oom: &str, max: &str| {
            Fake::new(&[
                (
                    "memory.events",
                    &format!("low 0\nmax 9\noom {oom}\noom_kill 3\n"),
                ),
                ("memory.max", max),
            ])
        };
        let leaf = |killed: &str| {
            let local =
                format!("low 0\nhigh 0\nmax 0\noom 0\noom_kill {killed}\noom_group_kill 0\n");
            Fake::new(&[("memory.events.local", &local), ("memory.peak", "4096\n")])
        };
        let limited = ((1_u64 << 30) + CHAIN_MEMORY).to_string();
        for (killed, oom, max, out_of) in [
            ("0", "0", "max\n", None),
            ("0", "2", &limited, None),
            ("2", "1", &limited, Some(1 << 30)),
            // The host as a whole had none left.
            ("1", "0", &limited, Some(0)),
            ("1", "0", "max\n", Some(0)),
        ] {
            let (leaf, instance) = (leaf(killed), instance(oom, max));
            assert!(counts_memory(leaf.open().as_fd()));
            let used = of_leaf(leaf.open().as_fd(), instance.open().as_fd());
            let expected = MemoryUse {
                peak: Some(4_096),
                out_of,
            };
            assert_eq!(used, expected, "{killed} {oom} {max}");
        }
        let empty = Fake::new(&[]);
        assert!(!counts_memory(empty.open().as_fd()));
        assert_eq!(
            of_leaf(empty.open().as_fd(), empty.open().as_fd()),
            MemoryUse::default()
        );
    }

    #[test]
    fn a_group_that_is_used_again_counts_for_each_anew() {
        let group = Fake::new(&[
            (
                "memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            ),
            ("memory.max_usage_in_bytes", "900\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        let mut counted = Counted::default();
        let first = counted.take(group.open().as_fd());
        let expected = MemoryUse {
            peak: Some(900),
            out_of: Some(0),
        };
        assert_eq!(first, expected);
        assert!(
            group.text("memory.max_usage_in_bytes").starts_with('0'),
            "not set back"
        );
        let second = counted.take(group.open().as_fd());
        assert_eq!(second.out_of, None, "told twice");
        std::fs::write(group.0.join("memory.oom_control"), "oom_kill 2\n").unwrap();
        let limit = ((5_u64 << 20) + CHAIN_MEMORY).to_string();
        std::fs::write(group.0.join("memory.limit_in_bytes"), limit).unwrap();
        assert_eq!(counted.take(group.open().as_fd()).out_of, Some(5 << 20));
    }

    #[test]
    fn what_a_group_has_is_asked_for_once() {
        let dir = Fake::new(&[
            ("cgroup.controllers", "cpuset cpu io memory pids\n"),
            ("cgroup.subtree_control", "cpu memory pids\n"),
        ]);
        enable(dir.open().as_fd());
        assert_eq!(
            dir.text("cgroup.subtree_control"),
            "cpu memory pids\n",
            "nothing was missing"
        );
        assert_eq!(
            listed(dir.open().as_fd(), c"cgroup.subtree_control"),
            Controller::ALL
        );
        let dir = Fake::new(&[
            ("cgroup.controllers", "io pids\n"),
            ("cgroup.subtree_control", ""),
        ]);
        enable(dir.open().as_fd());
        assert_eq!(dir.text("cgroup.subtree_control"), "+pids");
    }

    #[test]
    fn trees_of_version_1_are_found_by_their_controller() {
        let line = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
        assert_eq!(
            mount_point(line, Controller::Memory),
            Some("/sys/fs/cgroup/memory".into())
        );
        assert_eq!(mount_point(line, Controller::Pids), None);
        let line = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct";
        assert_eq!(
            mount_point(line, Controller::Cpu),
            Some("/sys/fs/cgroup/cpu,cpuacct".into())
        );
        let line = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,memory";
        assert_eq!(mount_point(line, Controller::Memory), None);
    }
}
