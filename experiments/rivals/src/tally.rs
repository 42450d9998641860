//! What users did, counted alike for every engine that does not say it itself.
//!
//! Counters lie in stripes of a cache line, and each thread has one of them, so that counting costs
//! nanoseconds and threads do not meet.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aura_engine::Counts;

const STRIPES: usize = 16;

/// What is counted. The order is that of the counters in a stripe.
#[derive(Clone, Copy)]
enum What {
    Gets,
    GetsFound,
    Puts,
    Deletes,
    Scans,
    ScanRows,
    BytesWritten,
    BytesRead,
}

const COUNTERS: usize = What::BytesRead as usize + 1;

#[derive(Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; COUNTERS]);

/// Counts operations of users.
#[derive(Default)]
pub(crate) struct Tally {
    stripes: [Stripe; STRIPES],
}

/// The stripe of this thread; threads take them in turn.
fn stripe_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    }
    MINE.with(|stripe| *stripe)
}

impl Tally {
    fn add(&self, counts: &[(What, usize)]) {
        let Stripe(mine) = &self.stripes[stripe_of_thread()];
        for (what, count) in counts {
            mine[*what as usize].fetch_add(*count as u64, Ordering::Relaxed);
        }
    }

    /// A point read that found a value of that many bytes, or nothing.
    pub(crate) fn get(&self, found: Option<usize>) {
        match found {
            Some(bytes) => self.add(&[
                (What::Gets, 1),
                (What::GetsFound, 1),
                (What::BytesRead, bytes),
            ]),
            None => self.add(&[(What::Gets, 1)]),
        }
    }

    /// A put of a key and a value of that many bytes together.
    pub(crate) fn put(&self, bytes: usize) {
        self.add(&[(What::Puts, 1), (What::BytesWritten, bytes)]);
    }

    /// A delete of a key of that many bytes.
    pub(crate) fn delete(&self, bytes: usize) {
        self.add(&[(What::Deletes, 1), (What::BytesWritten, bytes)]);
    }

    /// Writes what was counted into `counts`.
    pub(crate) fn fill(&self, counts: &mut Counts) {
        let sums: [u64; COUNTERS] = array::from_fn(|at| {
            let of_stripes = self.stripes.iter();
            of_stripes
                .map(|Stripe(it)| it[at].load(Ordering::Relaxed))
                .sum()
        });
        let sum = |what: What| sums[what as usize];
        counts.gets = sum(What::Gets);
        counts.gets_found = sum(What::GetsFound);
        counts.puts = sum(What::Puts);
        counts.deletes = sum(What::Deletes);
        counts.scans = sum(What::Scans);
        counts.scan_rows = sum(What::ScanRows);
        counts.user_write_bytes = sum(What::BytesWritten);
        counts.user_read_bytes = sum(What::BytesRead);
    }
}

/// Counts a scan and its rows, when it ends.
pub(crate) struct ScanTally {
    tally: Arc<Tally>,
    rows: usize,
    bytes: usize,
}

impl ScanTally {
    pub(crate) fn new(tally: &Arc<Tally>) -> Self {
        Self {
            tally: tally.clone(),
            rows: 0,
            bytes: 0,
        }
    }

    /// A row with a value of that many bytes.
    pub(crate) fn row(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
    }
}

impl Drop for ScanTally {
    fn drop(&mut self) {
        self.tally.add(&[
            (What::Scans, 1),
            (What::ScanRows, self.rows),
            (What::BytesRead, self.bytes),
        ]);
    }
}
