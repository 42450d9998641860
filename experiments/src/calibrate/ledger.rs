//! The real clock, with the CPU work that is charged to it added up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aura_engine::env::{Clock, CpuWork, Env, MaybeReady};
use rustix::time::{ClockId, clock_gettime};

/// A clock that passes everything on and keeps the books.
pub(super) struct Ledger {
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
}

/// What was charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Book {
    /// The work.
    pub(super) work: CpuWork,
    /// How often something was charged.
    pub(super) charges: u64,
}

impl Ledger {
    /// Keeps the books of `env`. Returns them with the world that charges to them.
    pub(super) fn of(env: Env) -> (Arc<Self>, Env) {
        let ledger = Arc::new(Self {
            clock: env.clock.clone(),
            book: Mutex::default(),
        });
        let clock = ledger.clone();
        (ledger, Env { clock, ..env })
    }

    /// What was charged since the last call.
    pub(super) fn take(&self) -> Book {
        std::mem::take(&mut *self.book())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for Ledger {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn sleep(&self, nanos: u64) -> MaybeReady<()> {
        self.clock.sleep(nanos)
    }

    fn sleep_until(&self, at: u64) -> MaybeReady<()> {
        self.clock.sleep_until(at)
    }

    fn charge(&self, work: &CpuWork) {
        let mut book = self.book();
        book.work.add(work);
        book.charges += 1;
        drop(book);
        self.clock.charge(work);
    }

    fn cost_nanos(&self, work: &CpuWork) -> u64 {
        self.clock.cost_nanos(work)
    }

    fn wait_for_cpu(&self) -> MaybeReady<()> {
        self.clock.wait_for_cpu()
    }
}

/// Nanoseconds of CPU that all threads of this process have taken. What else runs on the machine
/// is not in it.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is this machine's time, not a world's"
)]
pub(super) fn cpu_nanos() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 * 1e9 + spent.tv_nsec as f64
}

/// Charges from which the cost of one is computed.
const CHARGES: u32 = 200_000;

/// Nanoseconds of CPU that keeping the book takes for each charge: no engine pays for it.
pub(super) fn charge_nanos(env: &Env) -> f64 {
    let (ledger, env) = Ledger::of(env.clone());
    let begun = cpu_nanos();
    for _ in 0..CHARGES {
        env.clock.charge(&CpuWork::default());
    }
    let spent = cpu_nanos() - begun;
    ledger.take();
    spent / f64::from(CHARGES)
}
