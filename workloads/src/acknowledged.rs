//! The counter of inserted keys that the clients of a trial share.
//!
//! A key may be requested only when its insert, and every insert before it, has been acknowledged.
//! Otherwise "the latest keys" would contain holes, and reads would miss through no fault of the
//! engine.
//!
//! Source: YCSB `AcknowledgedCounterGenerator`. It has a window of 2^20 unacknowledged numbers and
//! throws when a slow insert lets the window overrun (YCSB#409). Here it is a set, which cannot
//! overrun.
//! Cost: `end` is one atomic load; `acknowledge` takes one uncontended lock, and O(log gaps) out of
//! order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Hands out key numbers, and publishes the end of the contiguous prefix that is acknowledged.
///
/// It is deterministic when one thread drives all clients, and safe to share between threads.
///
/// ```
/// use aura_workloads::Acknowledged;
///
/// let acknowledged = Acknowledged::new(100);
/// let first = acknowledged.take();
/// let second = acknowledged.take();
/// acknowledged.acknowledge(second);
/// assert_eq!(acknowledged.end(), 100, "the first insert is still under way");
/// acknowledged.acknowledge(first);
/// assert_eq!(acknowledged.end(), 102);
/// ```
#[derive(Debug)]
pub struct Acknowledged {
    next: AtomicU64,
    end: AtomicU64,
    /// Every number below this one was handed out as the oldest.
    oldest: AtomicU64,
    /// Acknowledged numbers above a gap.
    ahead: Mutex<BTreeSet<u64>>,
}

impl Acknowledged {
    /// The counter of a database that holds the keys `0..records`.
    pub fn new(records: u64) -> Self {
        Self {
            next: AtomicU64::new(records),
            end: AtomicU64::new(records),
            oldest: AtomicU64::new(0),
            ahead: Mutex::new(BTreeSet::new()),
        }
    }

    /// Every number below this one is in the database.
    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// The number of the next key to insert; each number is handed out once.
    pub fn take(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The oldest number in the database that was not handed out so yet; if none is left, the last
    /// that was. There must be a number in the database.
    pub fn take_oldest(&self) -> u64 {
        let end = self.end();
        let following = |oldest| (oldest < end).then_some(oldest + 1);
        let taken = self
            .oldest
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, following);
        taken.unwrap_or_else(|oldest| oldest.saturating_sub(1))
    }

    /// Records that the insert of `number` is over. A client that gives up an insert must
    /// acknowledge it too, as in YCSB: otherwise it would hold back all later numbers. Numbers
    /// below [`Self::end`], such as those of the load phase, change nothing.
    pub fn acknowledge(&self, number: u64) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let mut end = self.end.load(Ordering::Acquire);
        if number > end {
            ahead.insert(number);
            return;
        }
        if number < end {
            return;
        }
        end += 1;
        while ahead.remove(&end) {
            end += 1;
        }
        self.end.store(end, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn never_exposes_a_gap() {
        for seed in 0..50 {
            let mut generator = Seed(seed).generator();
            let start = generator.below(10);
            let counter = Acknowledged::new(start);
            let mut open = Vec::new();
            let mut done = BTreeSet::new();
            for _ in 0..2000 {
                if open.is_empty() || generator.below(2) == 0 {
                    open.push(counter.take());
                } else {
                    let number = open.swap_remove(generator.below(open.len() as u64) as usize);
                    counter.acknowledge(number);
                    done.insert(number);
                }
                let model = (start..).find(|number| !done.contains(number));
                assert_eq!(Some(counter.end()), model, "seed {seed}");
            }
        }
    }

    #[test]
    fn the_oldest_is_handed_out_once_and_when_none_is_left_the_last_again() {
        let counter = Acknowledged::new(2);
        assert_eq!([(); 3].map(|()| counter.take_oldest()), [0, 1, 1]);
        let inserted = counter.take();
        assert_eq!(counter.take_oldest(), 1, "the insert is under way");
        counter.acknowledge(inserted);
        assert_eq!([(); 2].map(|()| counter.take_oldest()), [2, 2]);
    }

    #[test]
    fn old_and_repeated_numbers_change_nothing() {
        let counter = Acknowledged::new(5);
        counter.acknowledge(0);
        assert_eq!((counter.end(), counter.take()), (5, 5));
        counter.acknowledge(5);
        counter.acknowledge(5);
        assert_eq!((counter.end(), counter.take()), (6, 6));
    }
}
