//! Where a commit that syncs waits for the device: in the writer's own thread, or in another.
//!
//! Two changes of thread cost as much as the sync of a fast device. A writer that is alone saves
//! them by waiting where it is. If there are others, they must be able to join the next group
//! meanwhile; some of them may be futures of the same thread, which only another thread's wait lets
//! run. So a writer who waits in place gives them a chance now and then.

use std::sync::atomic::{AtomicU32, Ordering};

/// Commits in another thread after one that showed that waiting in place does not pay.
const ELSEWHERE: u32 = 64;

/// Commits in place after which one in another thread shows whether there are other writers.
const IN_PLACE: u32 = 256;

/// The longest commit in place, in nanoseconds: with a slower device a change of thread costs
/// little, and the caller's thread is kept from its other work.
const NANOS_MAX: u64 = 4_000_000;

/// What recent commits showed. Its numbers only guide, so races on them do no harm.
pub(super) struct Solitude {
    /// Commits that still go to another thread.
    elsewhere: AtomicU32,
    /// Commits in place since the last one in another thread.
    in_place: AtomicU32,
}

impl Solitude {
    /// Nothing is known: the first commits go to another thread.
    pub(super) fn new() -> Self {
        Self {
            elsewhere: AtomicU32::new(1),
            in_place: AtomicU32::new(0),
        }
    }

    /// Decides whether the next commit waits in the writer's thread.
    pub(super) fn lets_wait_here(&self) -> bool {
        let elsewhere = self.elsewhere.load(Ordering::Relaxed);
        let in_place = self.in_place.load(Ordering::Relaxed);
        if elsewhere > 0 {
            self.elsewhere.store(elsewhere - 1, Ordering::Relaxed);
            return false;
        }
        let is_turn = in_place < IN_PLACE;
        let next = if is_turn { in_place + 1 } else { 0 };
        self.in_place.store(next, Ordering::Relaxed);
        is_turn
    }

    /// Notes a commit that took this long, and whether nobody else waited then.
    pub(super) fn note(&self, is_alone: bool, nanos: u64) {
        if !is_alone || nanos > NANOS_MAX {
            self.elsewhere.store(ELSEWHERE, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `count` commits wait in place.
    fn in_place(solitude: &Solitude, count: u32) -> usize {
        (0..count).filter(|_| solitude.lets_wait_here()).count()
    }

    #[test]
    fn a_lone_writer_waits_in_place_and_looks_up_now_and_then() {
        let solitude = Solitude::new();
        assert!(!solitude.lets_wait_here());
        assert_eq!(in_place(&solitude, 257), 256);
        assert_eq!(in_place(&solitude, 257), 256);
    }

    #[test]
    fn others_and_slow_devices_send_commits_elsewhere_for_a_while() {
        for (is_alone, nanos) in [(false, 0), (true, NANOS_MAX + 1)] {
            let solitude = Solitude::new();
            in_place(&solitude, 10);
            solitude.note(is_alone, nanos);
            assert_eq!(in_place(&solitude, ELSEWHERE), 0);
            solitude.note(true, NANOS_MAX);
            assert!(solitude.lets_wait_here());
        }
    }
}
