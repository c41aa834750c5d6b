//! Where a job may run: expressions, host orders, clusters, restrictions.

use tessera_requirements::{
    ClusterChoice, ClusterPath, Fact, Facts, HostOrder, Operand, Requirement, Restriction,
};

/// A host that says something of half of what it is asked.
struct Host;

impl Facts for Host {
    fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
        let sum: u64 = operand.to_string().bytes().map(u64::from).sum();
        match sum % 6 {
            0 => Some(Fact::from(sum)),
            1 => Some(Fact::from("rnd042")),
            2 => Some(Fact::list(["gpu", "5", ""])),
            _ => None,
        }
    }
}

/// What is read prints so that it reads back and means the same; an error points into the text; what holds needs no explanation.
pub fn requirements(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Requirement::parse(text) {
        Ok(read) => {
            let again = Requirement::parse(&read.to_string());
            assert_eq!(again.as_ref(), Ok(&read), "{read}");
            assert_eq!(read.holds(&Host), read.explain(&Host).is_none());
            let _said = read.explain(&Host).map(|why| why.to_string());
            let depends = read.depends();
            assert_eq!(
                depends.job || depends.host || depends.host_now,
                !read.operands().is_empty()
            );
        }
        Err(bad) => {
            assert_eq!(text.chars().nth(bad.place), bad.found, "{bad}");
            assert_eq!(bad.pointed(text).lines().count(), 2);
        }
    }
    macro_rules! reads_back {
        ($($kind:ty)*) => { $(
            if let Ok(read) = text.parse::<$kind>() {
                assert_eq!(read.to_string().parse::<$kind>(), Ok(read));
            }
        )* };
    }
    reads_back!(HostOrder ClusterPath ClusterChoice Restriction);
    if let (Ok(restriction), Ok(path)) = (text.parse::<Restriction>(), text.parse::<ClusterPath>())
    {
        assert!(
            restriction.admits(&path),
            "a cluster is among those that it names"
        );
    }
}
