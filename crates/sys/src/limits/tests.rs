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
        let local = format!("low 0\nhigh 0\nmax 0\noom 0\noom_kill {killed}\noom_group_kill 0\n");
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
