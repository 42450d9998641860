//! Injected faults: calls that fail or take longer, and the crash after which no call succeeds.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::env::lock;

/// Kind of calls that a fault affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Reads of files.
    Read,
    /// Appends. A failed append writes nothing.
    Write,
    /// Syncs of files and directories. As on Linux, bytes whose sync failed are given up: later
    /// syncs of the file through another handle succeed and make nothing durable.
    Sync,
    /// Renames.
    Rename,
    /// Creations of files and directories, and lock files.
    Create,
    /// Hard links, failing with [`io::ErrorKind::CrossesDevices`] like a link to another device.
    Link,
    /// Removals.
    Remove,
    /// Appends and creations, failing with [`io::ErrorKind::StorageFull`]. An append writes the
    /// first half of its data before, like a disk that becomes full.
    NoSpace,
}

/// Kind of a call to the file system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// A query of names or lengths; only a crash makes it fail.
    Ask,
    Read,
    Write,
    Sync,
    Rename,
    Create,
    Link,
    Remove,
}

impl Call {
    fn is_met_by(self, kind: FaultKind) -> bool {
        match kind {
            FaultKind::Read => self == Self::Read,
            FaultKind::Write => self == Self::Write,
            FaultKind::Sync => self == Self::Sync,
            FaultKind::Rename => self == Self::Rename,
            FaultKind::Create => self == Self::Create,
            FaultKind::Link => self == Self::Link,
            FaultKind::Remove => self == Self::Remove,
            FaultKind::NoSpace => matches!(self, Self::Write | Self::Create),
        }
    }

    /// Returns whether the call changes what a crash leaves.
    fn changes(self) -> bool {
        !matches!(self, Self::Ask | Self::Read)
    }
}

/// Effect of a fault on a call.
#[derive(Clone, Copy)]
enum Effect {
    Fail,
    /// The call takes this many nanoseconds longer.
    Delay(u64),
}

/// A fault to come.
struct Rule {
    kind: FaultKind,
    effect: Effect,
    /// Calls that still pass before it.
    passing: u64,
    times: u64,
}

/// All faults to come.
pub(super) struct Faults {
    calls: AtomicU64,
    /// The call at which the machine crashes, counted from 1; 0 means never.
    crash_at: AtomicU64,
    crashed: AtomicBool,
    /// Calls that were made to fail.
    failed: AtomicU64,
    /// Whether there may be rules. Most runs have none and skip the lock.
    armed: AtomicBool,
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    pub(super) fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            crash_at: AtomicU64::new(0),
            crashed: AtomicBool::new(false),
            failed: AtomicU64::new(0),
            armed: AtomicBool::new(false),
            rules: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn fail(&self, kind: FaultKind, nth: u64, times: u64) {
        self.add(Rule {
            kind,
            effect: Effect::Fail,
            passing: nth.saturating_sub(1),
            times,
        });
    }

    pub(super) fn delay(&self, kind: FaultKind, nth: u64, times: u64, nanos: u64) {
        self.add(Rule {
            kind,
            effect: Effect::Delay(nanos),
            passing: nth.saturating_sub(1),
            times,
        });
    }

    pub(super) fn clear(&self) {
        lock(&self.rules).clear();
        self.armed.store(false, Ordering::Relaxed);
    }

    fn add(&self, rule: Rule) {
        lock(&self.rules).push(rule);
        self.armed.store(true, Ordering::Relaxed);
    }

    pub(super) fn crash_at(&self, call: u64) {
        self.crash_at.store(call, Ordering::Relaxed);
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(super) fn crashed(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Fails after the crash.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.crashed() {
            Err(io::Error::other("the simulated machine has crashed"))
        } else {
            Ok(())
        }
    }

    /// Registers a call before it starts. Returns the nanoseconds by which it is delayed.
    pub(super) fn begin(&self, call: Call) -> io::Result<u64> {
        if call.changes() {
            let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            let crash_at = self.crash_at.load(Ordering::Relaxed);
            if crash_at > 0 && number >= crash_at {
                self.crashed.store(true, Ordering::Relaxed);
            }
        }
        self.check()?;
        if self.armed.load(Ordering::Relaxed) {
            self.meet(call)
        } else {
            Ok(0)
        }
    }

    /// Applies every rule whose turn has come with this call.
    fn meet(&self, call: Call) -> io::Result<u64> {
        let mut delay = 0u64;
        let mut failure = None;
        lock(&self.rules).retain_mut(|rule| {
            if !call.is_met_by(rule.kind) {
                return true;
            }
            if rule.passing > 0 {
                rule.passing -= 1;
                return true;
            }
            if rule.times == 0 {
                return false;
            }
            rule.times -= 1;
            match rule.effect {
                Effect::Delay(nanos) => delay = delay.saturating_add(nanos),
                Effect::Fail => failure = Some(rule.kind),
            }
            rule.times > 0
        });
        self.failed
            .fetch_add(u64::from(failure.is_some()), Ordering::Relaxed);
        match failure {
            Some(FaultKind::NoSpace) => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "injected fault: no space left on the device",
            )),
            Some(FaultKind::Link) => Err(io::Error::new(
                io::ErrorKind::CrossesDevices,
                "injected fault: the link crosses devices",
            )),
            Some(kind) => Err(io::Error::other(format!("injected fault: {kind:?} failed"))),
            None => Ok(delay),
        }
    }
}
