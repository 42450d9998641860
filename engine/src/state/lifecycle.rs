//! Whether the engine takes calls, and what closing it waits for.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::Signals;
use crate::error::{Error, Result};
use crate::sync::lock;

/// The guard of a lock on a directory.
type DirectoryGuard = Box<dyn Send + Sync>;

/// From opening to closing, with what may go wrong between.
pub(crate) struct Lifecycle {
    /// Whether nothing is ever written.
    read_only: bool,
    signals: Signals,
    /// The engine is being closed.
    closing: AtomicBool,
    /// How closing ended, once it has.
    closed: watch::Sender<Option<Result<()>>>,
    /// The failure after which no write is taken.
    poison: Mutex<Option<Arc<Error>>>,
    /// Whether `poison` is set: what the write path looks at.
    poisoned: AtomicBool,
    /// Tasks alive that closing waits for. None begins once `closing` is set, which is looked at
    /// under this lock.
    tasks: Mutex<usize>,
    /// Held until the engine is closed: no other opens the directory.
    directory_lock: Mutex<Option<DirectoryGuard>>,
}

impl Lifecycle {
    /// An engine that holds `directory_lock`, and writes unless it is `read_only`.
    pub(crate) fn new(read_only: bool, directory_lock: Option<DirectoryGuard>) -> Self {
        Self {
            read_only,
            signals: Signals::default(),
            closing: AtomicBool::new(false),
            closed: watch::Sender::new(None),
            poison: Mutex::new(None),
            poisoned: AtomicBool::new(false),
            tasks: Mutex::new(0),
            directory_lock: Mutex::new(directory_lock),
        }
    }

    /// How the parts wake each other.
    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Whether nothing is ever written.
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether the engine is being closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Takes no calls from now on. Returns whether an earlier call has asked for that already.
    pub(crate) fn begin_closing(&self) -> bool {
        self.closing.swap(true, Ordering::AcqRel)
    }

    /// Takes no write from now on; the first failure is the cause that writers learn.
    pub(crate) fn set_poison(&self, cause: &Error) {
        let mut poison = lock(&self.poison);
        poison.get_or_insert_with(|| Arc::new(cause.clone()));
        self.poisoned.store(true, Ordering::Release);
        drop(poison);
        self.signals.progressed();
    }

    /// Takes writes again: what the failure left is needed no more.
    pub(crate) fn clear_poison(&self) {
        let mut poison = lock(&self.poison);
        *poison = None;
        self.poisoned.store(false, Ordering::Release);
        drop(poison);
        self.signals.progressed();
    }

    /// Waits until writes are taken, after a failure.
    ///
    /// # Errors
    /// [`Error::Closed`] once the engine is being closed.
    pub(crate) async fn wait_until_sound(&self) -> Result<()> {
        let sound = || self.check_open().map(|()| self.check_sound().is_ok());
        self.signals.wait_until(sound).await
    }

    /// Waits until the engine is being closed.
    pub(crate) async fn wait_until_closing(&self) {
        let closing = || Ok::<bool, Infallible>(self.is_closing());
        let Ok(()) = self.signals.wait_until(closing).await;
    }

    /// Refuses writes after a failure or a close, and if the engine only reads.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.check_not_read_only()?;
        self.check_sound()?;
        self.check_open()
    }

    /// The failure after which no write is taken, if there is one.
    pub(crate) fn failure(&self) -> Option<Arc<Error>> {
        lock(&self.poison).clone()
    }

    /// Refuses changes after a failure.
    pub(crate) fn check_sound(&self) -> Result<()> {
        if self.poisoned.load(Ordering::Acquire) {
            // It is set before the flag, and may have been cleared since.
            if let Some(cause) = self.failure() {
                return Err(Error::Poisoned { cause });
            }
        }
        Ok(())
    }

    /// Refuses changes if the engine only reads.
    pub(crate) fn check_not_read_only(&self) -> Result<()> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        Ok(())
    }

    /// Refuses calls after a close.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closing() {
            return Err(Error::Closed);
        }
        Ok(())
    }

    /// Counts a task that begins.
    ///
    /// # Errors
    /// [`Error::Closed`]: closing may have seen the last task end already.
    pub(super) fn begin_task(&self) -> Result<()> {
        let mut tasks = lock(&self.tasks);
        self.check_open()?;
        *tasks += 1;
        Ok(())
    }

    /// Counts a task that ended.
    pub(super) fn end_task(&self) {
        *lock(&self.tasks) -= 1;
        self.signals.progressed();
    }

    /// Waits until every task has ended.
    pub(crate) async fn wait_for_tasks(&self) {
        let all_ended = || Ok::<bool, Infallible>(*lock(&self.tasks) == 0);
        let Ok(()) = self.signals.wait_until(all_ended).await;
    }

    /// Releases the directory.
    pub(crate) fn release_directory(&self) {
        lock(&self.directory_lock).take();
    }

    /// Notes how closing ended, unless that is known already.
    fn set_closed(&self, ended: Result<()>) {
        self.closed.send_if_modified(|closed| {
            let is_first = closed.is_none();
            if is_first {
                *closed = Some(ended);
            }
            is_first
        });
    }

    /// Waits until closing has ended. Returns how.
    pub(crate) async fn wait_until_closed(&self) -> Result<()> {
        let mut closed = self.closed.subscribe();
        let lost = || Error::Interrupted { work: "closing" };
        let ended = closed.wait_for(Option::is_some).await;
        let ended = ended.map_err(|_| lost())?;
        ended.clone().unwrap_or_else(|| Err(lost()))
    }
}

/// Poisons the engine if work ends early that must not: when the runtime that runs its task ends
/// while the engine lives on.
pub(crate) struct Uncut<'a> {
    lifecycle: &'a Lifecycle,
    work: &'static str,
    ended: bool,
}

impl<'a> Uncut<'a> {
    /// Work that begins now.
    pub(crate) fn new(lifecycle: &'a Lifecycle, work: &'static str) -> Self {
        Self {
            lifecycle,
            work,
            ended: false,
        }
    }

    /// Notes that the work has come to its end.
    pub(crate) fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for Uncut<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.lifecycle
                .set_poison(&Error::Interrupted { work: self.work });
        }
    }
}

/// Closing that goes on. Who waits for it learns of its end even if its task does not come to it.
pub(crate) struct Closing(Arc<Lifecycle>);

impl Closing {
    /// Closing that begins now.
    pub(crate) fn new(lifecycle: &Arc<Lifecycle>) -> Self {
        Self(lifecycle.clone())
    }

    /// Notes how it has ended.
    pub(crate) fn ended(self, ended: Result<()>) {
        self.0.set_closed(ended);
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let lost = Err(Error::Interrupted { work: "closing" });
        self.0.set_closed(lost);
    }
}
