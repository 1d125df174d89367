use super::*;
use std::sync::Arc;

/// Open as long as there is more than one reference.
struct Fake {
    number: RawFd,
    _reference: Arc<()>,
}

fn fake(number: RawFd, reference: &Arc<()>) -> Fake {
    Fake {
        number,
        _reference: reference.clone(),
    }
}

impl Descriptor for Fake {
    fn number(&self) -> RawFd {
        self.number
    }

    fn wake(&self) {}

    fn closing_list() -> &'static ClosingList<Fake> {
        static CLOSING: ClosingList<Fake> = ClosingList::new();
        &CLOSING
    }
}

#[test]
fn a_descriptor_that_is_closed_in_use_takes_no_memory() {
    let list = ClosingList::<OwnedFd>::new();
    assert!(list.reserve());
    assert!(list.entries.lock().capacity() >= ClosingList::<OwnedFd>::ROOM);
}

#[test]
fn calls_of_both_locks_keep_a_descriptor_open_that_was_handed_over() {
    for calls_there in [0, 1] {
        let (here, there) = (FdLock::new(), FdLock::new());
        let references = Arc::new(());
        let mut owner = here.install(fake(7, &references), Flags::NONE);
        let mut guards = vec![here.acquire::<Fake>(), here.acquire()];
        let fd = here.hand_over(&mut owner, fake(8, &Arc::default()), Flags::NONE);
        let handed_over = there.install(fd, Flags::NONE);
        guards.extend((0..calls_there).map(|_| there.acquire()));
        assert!(there.close(handed_over).is_none());
        while guards.pop().is_some() {
            let is_open = Arc::strong_count(&references) > 1;
            assert_eq!(is_open, !guards.is_empty());
        }
        assert!(here.close(owner).is_some());
    }
}
