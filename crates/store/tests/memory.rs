//! The store in memory passes the suite, and fails as asked.

use tessera_store::conformance::{Fixture, Session, job};
use tessera_store::memory::{Fault, MemoryDisk};
use tessera_store::{Store, StoreError, Write};

struct Memory(MemoryDisk);

impl Fixture for Memory {
    fn open(&self) -> Box<dyn Store> {
        Box::new(self.0.open())
    }
}

tessera_store::conformance_tests!(Memory(MemoryDisk::new()));

#[test]
fn faults_come_in_their_order_and_keep_what_they_say() {
    let disk = MemoryDisk::new();
    let mut session = Session::open(&Memory(disk.clone()));
    for fault in [Fault::BeforeDurable, Fault::AfterDurable, Fault::NoSpace] {
        disk.fail_next(fault);
    }
    let mut try_job = |id| session.try_commit(vec![Write::Job(job(id))]);
    assert!(matches!(try_job(1), Err(StoreError::Backend { .. })));
    assert!(matches!(try_job(2), Err(StoreError::Backend { .. })));
    assert!(matches!(try_job(3), Err(StoreError::NoSpace { .. })));
    assert!(try_job(4).is_ok());
    assert_eq!((disk.faults_left(), disk.commits()), (0, 2));
    let kept: Vec<u64> = session.load().jobs.iter().map(|job| job.id).collect();
    assert_eq!(kept, [2, 4]);
}

#[test]
fn what_another_process_left_is_there() {
    let disk = MemoryDisk::new();
    let mut first = Session::open(&Memory(disk.clone()));
    first.commit(vec![Write::Job(job(1))]);
    let mut second = Session::open(&Memory(disk));
    assert_eq!(second.load().jobs, [job(1)]);
    assert!(matches!(
        first.try_commit(vec![]),
        Err(StoreError::StaleEpoch { .. })
    ));
}
