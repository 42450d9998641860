//! The executor: one thread, virtual nanoseconds.
//!
//! Ready tasks run in the order in which they became ready. If no task is ready, time jumps to the
//! next event. [`Core::charge`] adds up the running task's CPU time; [`Core::wait_for_cpu`] spends
//! it on a core. If nothing else would happen in the meantime, that moves the clock in place: no
//! event, no allocation, no task switch.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use super::agenda::{Agenda, What};
use super::cpu::{Cores, Prices};
use super::device::Device;
use super::fs::Body;
use super::slab::Slab;
use super::{SimConfig, SimError};
use crate::env::{BoxFuture, CpuWork, lock};

const PICOS: u64 = 1000;

/// Number of the future that `block_on` runs; no slab grows that far.
const MAIN: u32 = u32::MAX;

/// Numbers of the tasks that are ready, oldest first.
#[derive(Default)]
struct Ready {
    queue: Mutex<VecDeque<u32>>,
    length: AtomicUsize,
}

impl Ready {
    fn push(&self, task: u32) {
        let mut queue = lock(&self.queue);
        queue.push_back(task);
        self.length.store(queue.len(), Ordering::Relaxed);
    }

    fn pop(&self) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let mut queue = lock(&self.queue);
        let task = queue.pop_front();
        self.length.store(queue.len(), Ordering::Relaxed);
        task
    }

    fn is_empty(&self) -> bool {
        self.length.load(Ordering::Relaxed) == 0
    }
}

/// Makes a task ready, at most once until it runs.
struct Alarm {
    task: u32,
    rung: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::Relaxed) {
            self.ready.push(self.task);
        }
    }
}

/// What is needed to run a task. It is taken out while the task runs.
struct Runner {
    alarm: Arc<Alarm>,
    waker: Waker,
    account: Account,
}

impl Runner {
    fn new(task: u32, ready: &Arc<Ready>) -> Self {
        let alarm = Arc::new(Alarm {
            task,
            rung: AtomicBool::new(false),
            ready: ready.clone(),
        });
        Self {
            waker: alarm.clone().into(),
            alarm,
            account: Account::default(),
        }
    }
}

/// CPU time of a task.
#[derive(Clone, Copy, Default)]
struct Account {
    /// Picoseconds charged but not yet given to a core.
    charged: u64,
    /// When the core that works for the task will have finished.
    busy_until: u64,
}

struct Task {
    name: &'static str,
    running: Option<(BoxFuture<'static, ()>, Runner)>,
}

/// All mutable state, except what is read at every operation.
pub(super) struct State {
    pub(super) agenda: Agenda,
    pub(super) device: Device,
    pub(super) cores: Cores,
    tasks: Slab<Task>,
    /// Whether the world is gone, so that nothing will run any more.
    closed: bool,
}

impl State {
    /// Registers bytes appended to `body`. Returns the ticket that the append has to wait for, if
    /// any.
    pub(super) fn append(&mut self, now: u64, body: &Arc<Body>) -> Option<u32> {
        self.device.append(&mut self.agenda, now, body);
        self.device.throttle(&mut self.agenda)
    }
}

/// The simulated machine.
pub(super) struct Core {
    now: AtomicU64,
    /// Account of the running task.
    charged: AtomicU64,
    busy_until: AtomicU64,
    prices: Prices,
    /// Whether the device takes no time.
    instant: bool,
    /// Whether a read takes no time.
    reads_at_once: bool,
    ready: Arc<Ready>,
    running: AtomicBool,
    state: Mutex<State>,
}

impl Core {
    pub(super) fn new(config: &SimConfig) -> Self {
        let device = Device::new(&config.device.model, config.seed);
        let (instant, reads_at_once) = (device.is_instant(), device.reads_at_once());
        let state = State {
            agenda: Agenda::default(),
            device,
            cores: Cores::new(config.cores),
            tasks: Slab::default(),
            closed: false,
        };
        Self {
            now: AtomicU64::new(0),
            charged: AtomicU64::new(0),
            busy_until: AtomicU64::new(0),
            prices: Prices::new(&config.cpu),
            instant,
            reads_at_once,
            ready: Arc::default(),
            running: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Returns whether the device takes no time.
    pub(super) fn is_instant(&self) -> bool {
        self.instant
    }

    /// Returns whether a read of the device takes no time, as one from memory.
    pub(super) fn reads_at_once(&self) -> bool {
        self.reads_at_once
    }

    /// Adds to the running task's account. A plain load and store suffice on one thread.
    pub(super) fn charge(&self, work: &CpuWork) {
        let charged = self.charged.load(Ordering::Relaxed);
        let charged = charged.saturating_add(self.prices.picos(work));
        self.charged.store(charged, Ordering::Relaxed);
    }

    /// Returns the nanoseconds that `work` takes.
    pub(super) fn cost_nanos(&self, work: &CpuWork) -> u64 {
        self.prices.picos(work) / PICOS
    }

    /// Gives the charged work to a core. Returns a ticket to wait for, or `None` if the clock has
    /// moved past the work already.
    pub(super) fn wait_for_cpu(self: &Arc<Self>) -> Option<Ticket> {
        let charged = self.charged.load(Ordering::Relaxed);
        let start = self.now().max(self.busy_until.load(Ordering::Relaxed));
        if charged < PICOS && start == self.now() {
            return None;
        }
        self.charged.store(charged % PICOS, Ordering::Relaxed);
        let mut state = self.state();
        let end = match charged / PICOS {
            0 => start,
            nanos => state.cores.run(start, nanos),
        };
        if self.ready.is_empty() && state.agenda.next_time().is_none_or(|next| end < next) {
            state.agenda.happen(end);
            self.now.store(end, Ordering::Relaxed);
            return None;
        }
        self.busy_until.store(end, Ordering::Relaxed);
        let number = state.agenda.timer(end);
        drop(state);
        Some(self.ticket(number))
    }

    pub(super) fn sleep(self: &Arc<Self>, nanos: u64) -> Ticket {
        let number = self.state().agenda.timer(self.now().saturating_add(nanos));
        self.ticket(number)
    }

    /// Wraps a ticket in a future.
    pub(super) fn ticket(self: &Arc<Self>, number: u32) -> Ticket {
        Ticket {
            core: self.clone(),
            number,
            out: true,
        }
    }

    /// Starts a request at the device. `start` returns the ticket that it completes.
    pub(super) fn request(
        self: &Arc<Self>,
        start: impl FnOnce(&mut Device, &mut Agenda, u64) -> u32,
    ) -> Ticket {
        let mut state = self.state();
        let State { agenda, device, .. } = &mut *state;
        let number = start(device, agenda, self.now());
        drop(state);
        self.ticket(number)
    }

    pub(super) fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        let mut state = self.state();
        if state.closed {
            // The future may own something that calls this machine, so it is dropped after the
            // lock.
            drop(state);
            return drop(future);
        }
        let number = state.tasks.insert(Task {
            name,
            running: None,
        });
        let runner = Runner::new(number, &self.ready);
        let alarm = runner.alarm.clone();
        if let Some(task) = state.tasks.get_mut(number) {
            task.running = Some((future, runner));
        }
        drop(state);
        alarm.wake_by_ref();
    }

    /// Runs tasks and events until `future` is ready.
    pub(super) fn block_on<F: Future>(&self, future: F) -> Result<F::Output, SimError> {
        let _entered = Entered::new(&self.running)?;
        let mut future = pin!(future);
        let mut main = Runner::new(MAIN, &self.ready);
        let mut woken = Vec::new();
        main.waker.wake_by_ref();
        loop {
            while let Some(number) = self.ready.pop() {
                if number != MAIN {
                    self.run_task(number);
                } else if let Poll::Ready(output) = self.poll(future.as_mut(), &mut main) {
                    return Ok(output);
                }
            }
            if !self.next_event(&mut woken) {
                return Err(SimError::Deadlock {
                    tasks: self.task_names(),
                });
            }
        }
    }

    fn poll<F: Future + ?Sized>(
        &self,
        future: Pin<&mut F>,
        runner: &mut Runner,
    ) -> Poll<F::Output> {
        runner.alarm.rung.store(false, Ordering::Relaxed);
        self.charged
            .store(runner.account.charged, Ordering::Relaxed);
        self.busy_until
            .store(runner.account.busy_until, Ordering::Relaxed);
        let poll = future.poll(&mut Context::from_waker(&runner.waker));
        runner.account.charged = self.charged.load(Ordering::Relaxed);
        runner.account.busy_until = self.busy_until.load(Ordering::Relaxed);
        poll
    }

    fn run_task(&self, number: u32) {
        let mut state = self.state();
        let task = state.tasks.get_mut(number);
        let taken = task.and_then(|task| task.running.take());
        drop(state);
        // A finished task may have been woken once more.
        let Some((mut future, mut runner)) = taken else {
            return;
        };
        let finished = self.poll(future.as_mut(), &mut runner).is_ready();
        if finished {
            self.state().tasks.remove(number);
        } else if let Some(task) = self.state().tasks.get_mut(number) {
            task.running = Some((future, runner));
        }
    }

    /// Advances time to the next event and carries it out. Returns false if there is no event.
    fn next_event(&self, woken: &mut Vec<Waker>) -> bool {
        let mut state = self.state();
        let State { agenda, device, .. } = &mut *state;
        let Some((time, what)) = agenda.next() else {
            return false;
        };
        self.now.store(time, Ordering::Relaxed);
        match what {
            What::Ticket(number) => agenda.complete(number),
            What::Device(stage) => device.advance(agenda, time, stage),
        }
        std::mem::swap(&mut agenda.woken, woken);
        drop(state);
        for waker in woken.drain(..) {
            waker.wake();
        }
        true
    }

    fn task_names(&self) -> Vec<&'static str> {
        self.state().tasks.iter().map(|task| task.name).collect()
    }

    /// Drops all tasks. They hold this machine, and it holds them.
    pub(super) fn close(&self) {
        let tasks = {
            let mut state = self.state();
            state.closed = true;
            state.tasks.drain()
        };
        drop(tasks);
    }
}

/// Guard that allows one `block_on` at a time.
struct Entered<'a>(&'a AtomicBool);

impl<'a> Entered<'a> {
    fn new(running: &'a AtomicBool) -> Result<Self, SimError> {
        if running.swap(true, Ordering::Acquire) {
            Err(SimError::Reentered)
        } else {
            Ok(Self(running))
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A future that is ready once its event has happened.
pub(super) struct Ticket {
    core: Arc<Core>,
    number: u32,
    /// Whether the ticket is still in use: it was not yet seen to be completed.
    out: bool,
}

impl Future for Ticket {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.out {
            let mut state = self.core.state();
            if !state.agenda.poll_ticket(self.number, context.waker()) {
                return Poll::Pending;
            }
        }
        self.out = false;
        Poll::Ready(())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.out {
            self.core.state().agenda.abandon_ticket(self.number);
        }
    }
}
