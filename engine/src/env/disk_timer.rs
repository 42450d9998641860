//! A timer for moments that should be met within microseconds: the arrivals of an open loop.
//!
//! A system's timer wakes a thread some 50 to 150 microseconds late, and tokio's counts
//! milliseconds. So a thread of this timer sleeps until a little before the moment and then wakes
//! the task, which spins for the rest. A task that spins lets others of its thread run from time to
//! time. The price is at most [`EARLY`] of a core for each wait.

#![expect(
    clippy::disallowed_methods,
    reason = "the timer of the real world reads its clock and owns a thread"
)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::lock;

/// How long before its moment a task is woken: longer than a thread's waking is late.
const EARLY: Duration = Duration::from_micros(200);

/// The longest time that a task spins without letting others run.
const BURST: Duration = Duration::from_micros(50);

/// A timer. Its thread is started by the first wait that is long enough, and ends with it.
#[derive(Default)]
pub(super) struct Timer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    alarms: BTreeMap<Alarm, Waker>,
    /// Alarms numbered so far.
    numbered: u64,
    thread: Thread,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Thread {
    #[default]
    NotStarted,
    Runs,
    /// It could not be started, or the timer is gone: tasks spin all the time.
    Gone,
}

/// When a task is woken. The number distinguishes alarms of one moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Alarm {
    at: Instant,
    number: u64,
}

/// What a task does that has some time left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Go,
    /// It spins for so long.
    Spin(Duration),
    /// It is woken after so long.
    Sleep(Duration),
}

impl Step {
    fn of(left: Duration) -> Self {
        if left.is_zero() {
            Self::Go
        } else if left <= EARLY {
            Self::Spin(left.min(BURST))
        } else {
            Self::Sleep(left - EARLY)
        }
    }
}

impl Timer {
    /// Returns a future that is ready at `at`, and hardly later.
    pub(super) fn wait_until(&self, at: Instant) -> impl Future<Output = ()> + Send + 'static {
        Wait {
            at,
            shared: self.0.clone(),
            alarm: None,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut waiting = lock(&self.0.waiting);
        waiting.thread = Thread::Gone;
        let alarms = std::mem::take(&mut waiting.alarms);
        drop(waiting);
        self.0.changed.notify_one();
        alarms.into_values().for_each(Waker::wake);
    }
}

impl Shared {
    /// Has `waker` called at `at`, in place of what `alarm` had. Returns false if no thread does
    /// that.
    fn set(self: &Arc<Self>, alarm: &mut Option<Alarm>, at: Instant, waker: Waker) -> bool {
        let mut waiting = lock(&self.waiting);
        if waiting.thread == Thread::NotStarted {
            let shared = self.clone();
            let name = thread::Builder::new().name("timer".to_owned());
            let started = name.spawn(move || shared.run());
            waiting.thread = match started {
                Ok(_) => Thread::Runs,
                Err(_) => Thread::Gone,
            };
        }
        if waiting.thread == Thread::Gone {
            return false;
        }
        let number = waiting.numbered;
        let alarm = alarm.get_or_insert(Alarm { at, number });
        waiting.numbered += 1;
        waiting.alarms.insert(*alarm, waker);
        if waiting.alarms.first_key_value().map(|(first, _)| first) == Some(alarm) {
            self.changed.notify_one();
        }
        true
    }

    /// Wakes tasks until the timer is gone.
    fn run(&self) {
        wake_on_time();
        let mut waiting = lock(&self.waiting);
        while waiting.thread != Thread::Gone {
            let left = waiting
                .alarms
                .first_key_value()
                .map(|(alarm, _)| alarm.at.saturating_duration_since(Instant::now()));
            waiting = match left {
                Some(Duration::ZERO) => {
                    let first = waiting.alarms.pop_first();
                    drop(waiting);
                    if let Some((_, waker)) = first {
                        waker.wake();
                    }
                    lock(&self.waiting)
                }
                Some(left) => {
                    let waited = self.changed.wait_timeout(waiting, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(waiting);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

/// Asks the system to wake this thread as soon as its time has come. By default Linux may be 50
/// microseconds late, to wake several threads at once.
fn wake_on_time() {
    #[cfg(target_os = "linux")]
    {
        let nanosecond = std::num::NonZeroU64::new(1);
        // If it refuses, tasks are woken somewhat later.
        let _ = rustix::thread::set_current_timer_slack(nanosecond);
    }
}

struct Wait {
    at: Instant,
    shared: Arc<Shared>,
    /// Set while the thread is to wake the task.
    alarm: Option<Alarm>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let left = self.at.saturating_duration_since(now);
        let burst = match Step::of(left) {
            Step::Go => return Poll::Ready(()),
            Step::Spin(burst) => burst,
            Step::Sleep(nap) => {
                let this = &mut *self;
                let waker = context.waker().clone();
                if this.shared.set(&mut this.alarm, now + nap, waker) {
                    return Poll::Pending;
                }
                BURST
            }
        };
        let end = now + burst;
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        if end >= self.at {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm {
            lock(&self.shared.waiting).alarms.remove(&alarm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::disk::DiskWorld;

    const MICROSECOND: Duration = Duration::from_micros(1);

    #[test]
    fn a_long_wait_sleeps_and_its_end_is_spun() {
        assert_eq!(Step::of(Duration::ZERO), Step::Go);
        assert_eq!(Step::of(MICROSECOND), Step::Spin(MICROSECOND));
        assert_eq!(Step::of(EARLY), Step::Spin(BURST));
        let longer = EARLY + MICROSECOND;
        assert_eq!(Step::of(longer), Step::Sleep(MICROSECOND));
    }

    #[test]
    fn waits_of_any_order_end_and_never_early() {
        let timer = Timer::default();
        let world = DiskWorld::new(2).unwrap();
        let start = Instant::now();
        let moments = [3_000, 0, 40, 1_000, 1_000, 260, 2_000];
        let waits = moments.map(|micros| {
            let at = start + micros * MICROSECOND;
            let wait = timer.wait_until(at);
            let (tx, rx) = tokio::sync::oneshot::channel();
            let task = async move {
                wait.await;
                let _ = tx.send(Instant::now() >= at);
            };
            world.env().tasks.spawn("wait", Box::pin(task));
            rx
        });
        for wait in waits {
            assert_eq!(world.block_on(wait), Ok(true));
        }
        assert!(lock(&timer.0.waiting).alarms.is_empty());
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_no_alarm() {
        let timer = Timer::default();
        let far = Instant::now() + Duration::from_secs(1000);
        let mut wait = Box::pin(timer.wait_until(far));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(wait.as_mut().poll(&mut context).is_pending());
            assert_eq!(lock(&timer.0.waiting).alarms.len(), 1);
        }
        drop(wait);
        assert!(lock(&timer.0.waiting).alarms.is_empty());
    }

    #[test]
    fn a_wait_outlives_its_timer() {
        let timer = Timer::default();
        let world = DiskWorld::new(1).unwrap();
        let at = Instant::now() + 1_000 * MICROSECOND;
        let wait = timer.wait_until(at);
        drop(timer);
        world.block_on(wait);
        assert!(Instant::now() >= at);
    }
}
