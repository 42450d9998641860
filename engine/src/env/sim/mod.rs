//! The simulated world: files in memory behind a device model, virtual nanoseconds, one thread.
//!
//! ```text
//! task --charge, wait--> cores        executor: ready tasks in order, then the next event by time
//!   |                                 agenda:   events, tickets, fingerprint
//!   '--read, append, sync--> fs ----> device:   units, link, page cache
//!                            |- fault: the n-th call fails or is late, or crashes the machine
//!                            '- crash: what of the files would have survived
//! ```
//!
//! The same configuration, seed and program give the same events in the same order on any machine;
//! [`SimWorld::fingerprint`] shows whether two runs did. Simulated time compares policies under one
//! model; it forecasts no real device.
//!
//! Deterministic simulation of a whole database goes back to FoundationDB (Zhou et al., SIGMOD
//! 2021).

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BoxFuture, Clock, CpuWork, Env, MaybeReady, Spawn};

mod agenda;
mod cpu;
mod crash;
mod device;
mod executor;
mod fault;
mod fs;
mod profile;
mod slab;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod tests;

pub use super::work::CpuCosts;
pub use crash::{CrashMode, FsImage};
pub use fault::FaultKind;
pub use profile::{CALIBRATED, DeviceModel, DeviceProfile, Latency, profiles};

use executor::Core;
use fault::Faults;
use fs::SimFs;

/// Configuration of a simulated machine.
///
/// ```
/// use aura_engine::env::sim::{SimConfig, SimWorld};
/// use aura_engine::{Engine, EngineBuilder, Error};
///
/// let run = || {
///     let world = SimWorld::new(&SimConfig::default());
///     let done = world.block_on(async {
///         let engine = EngineBuilder::new(world.env(), "/").open().await?;
///         engine.put(b"key", b"value").await?;
///         engine.close().await
///     });
///     done.expect("no deadlock")?;
///     Ok::<_, Error>((world.now(), world.fingerprint()))
/// };
/// assert_eq!(run()?, run()?);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// The device: a profile's name, or a table with a `profile` and the numbers to override.
    pub device: DeviceProfile,
    /// Time that CPU work takes.
    pub cpu: CpuCosts,
    /// CPU cores, 1 to 65,536. A number outside is taken as the nearest of these.
    pub cores: u32,
    /// Seed of all randomness.
    pub seed: u64,
}

impl Default for SimConfig {
    /// Returns an NVMe drive and eight cores.
    fn default() -> Self {
        Self {
            device: profile::nvme(),
            cpu: CpuCosts::default(),
            cores: 8,
            seed: 0,
        }
    }
}

/// Why a simulation cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// The future waits, and no event is left that could wake it.
    #[error("deadlock: no event is left, while these tasks wait: {}", tasks.join(", "))]
    Deadlock {
        /// The tasks that have not ended, besides the future itself.
        tasks: Vec<&'static str>,
    },
    /// `block_on` was called while it runs.
    #[error("a simulated world runs one block_on at a time")]
    Reentered,
}

/// Work of a simulated machine so far. Times are virtual nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SimStats {
    /// Events that have happened.
    pub events: u64,
    /// Reads that went to the device.
    pub device_reads: u64,
    /// Bytes of those reads.
    pub device_read_bytes: u64,
    /// Pieces written back to the device.
    pub device_writes: u64,
    /// Bytes of those pieces.
    pub device_write_bytes: u64,
    /// Syncs of files and directories.
    pub device_syncs: u64,
    /// Time the device's units were busy, summed over the units.
    pub device_busy_nanos: u64,
    /// Time that requests waited for admission and for their unit.
    pub device_wait_nanos: u64,
    /// Time the cores worked, summed over the cores.
    pub cpu_nanos: u64,
    /// Time that work waited for a core.
    pub cpu_wait_nanos: u64,
}

/// A simulated machine. It runs only inside [`SimWorld::block_on`], on the calling thread.
pub struct SimWorld {
    core: Arc<Core>,
    fs: Arc<SimFs>,
    faults: Arc<Faults>,
}

impl SimWorld {
    /// Creates a machine with an empty file system, at time 0.
    pub fn new(config: &SimConfig) -> Self {
        let core = Arc::new(Core::new(config));
        let faults = Arc::new(Faults::new());
        Self {
            fs: Arc::new(SimFs::new(core.clone(), faults.clone())),
            core,
            faults,
        }
    }

    /// Creates a machine with the files that a crash of another machine left.
    ///
    /// # Errors
    /// Never for an image that [`SimWorld::crash_image`] returned.
    pub fn with_image(config: &SimConfig, image: &FsImage) -> io::Result<Self> {
        let world = Self::new(config);
        world.fs.load(image)?;
        Ok(world)
    }

    /// Returns the env to open engines with. Its futures must be polled inside
    /// [`SimWorld::block_on`].
    pub fn env(&self) -> Env {
        let machine = Arc::new(Machine(self.core.clone()));
        Env {
            fs: self.fs.clone(),
            clock: machine.clone(),
            tasks: machine,
        }
    }

    /// Runs `future` until it is ready. Tasks that have not ended continue in the next call.
    ///
    /// # Errors
    /// [`SimError::Deadlock`] if no event is left before the future is ready;
    /// [`SimError::Reentered`] if called from inside itself.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, SimError> {
        self.core.block_on(future)
    }

    /// Returns the virtual nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.core.now()
    }

    /// Returns a hash of all events so far: it is equal for two runs only if the same events
    /// happened at the same times in the same order, up to collisions.
    pub fn fingerprint(&self) -> u64 {
        self.core.state().agenda.fingerprint()
    }

    /// Returns the machine's work so far.
    pub fn stats(&self) -> SimStats {
        let state = self.core.state();
        let device = &state.device.counts;
        SimStats {
            events: state.agenda.happened(),
            device_reads: device.reads,
            device_read_bytes: device.read_bytes,
            device_writes: device.writes,
            device_write_bytes: device.write_bytes,
            device_syncs: device.syncs,
            device_busy_nanos: device.busy_nanos,
            device_wait_nanos: device.wait_nanos,
            cpu_nanos: state.cores.busy_nanos,
            cpu_wait_nanos: state.cores.wait_nanos,
        }
    }

    /// Returns how many calls so far changed what a crash leaves: creations, appends, syncs,
    /// renames, links, removals, locks.
    pub fn io_count(&self) -> u64 {
        self.faults.calls()
    }

    /// Crashes the machine at the `call`-th call that [`SimWorld::io_count`] counts (from 1). That
    /// call fails, and so do calls in progress and all later ones, reads included. 0 cancels the
    /// crash.
    pub fn crash_at(&self, call: u64) {
        self.faults.crash_at(call);
    }

    /// Returns whether the machine has crashed.
    pub fn crashed(&self) -> bool {
        self.faults.crashed()
    }

    /// Returns the files that a loss of power at this moment would leave. `seed` decides what
    /// chance decides.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use aura_engine::env::sim::{CrashMode, SimConfig, SimWorld};
    ///
    /// let path = Path::new("/log");
    /// let world = SimWorld::new(&SimConfig::default());
    /// let fs = world.env().fs;
    /// let work = async {
    ///     let file = fs.create(path)?;
    ///     fs.sync_directory(Path::new("/")).await?;
    ///     file.append(b"kept ").await?;
    ///     file.sync().await?;
    ///     file.append(b"lost").await
    /// };
    /// world.block_on(work).expect("no deadlock")?;
    /// let image = world.crash_image(CrashMode::DropUnsynced, 0)?;
    /// assert_eq!(image.read(path)?, b"kept ");
    ///
    /// // Another machine starts with these files.
    /// let next = SimWorld::with_image(&SimConfig::default(), &image)?;
    /// assert_eq!(next.env().fs.open(path)?.bytes()?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Never, unless a file took a directory's name or the reverse.
    pub fn crash_image(&self, mode: CrashMode, seed: u64) -> io::Result<FsImage> {
        self.fs.crash_image(mode, seed)
    }

    /// Makes calls of a kind fail: the `nth` from now on (1 is the next) and those after it,
    /// `times` calls in all.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use aura_engine::env::sim::{FaultKind, SimConfig, SimWorld};
    ///
    /// let world = SimWorld::new(&SimConfig::default());
    /// let file = world.env().fs.create(Path::new("/log"))?;
    /// world.fail_nth(FaultKind::Write, 2, 1);
    /// let mut failed = Vec::new();
    /// for _ in 0..3 {
    ///     let appended = world.block_on(file.append(b"data")).expect("no deadlock");
    ///     failed.push(appended.is_err());
    /// }
    /// assert_eq!(failed, [false, true, false]);
    /// assert_eq!(world.failed_calls(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fail_nth(&self, kind: FaultKind, nth: u64, times: u64) {
        self.faults.fail(kind, nth, times);
    }

    /// Returns how many calls [`SimWorld::fail_nth`] has made fail so far.
    pub fn failed_calls(&self) -> u64 {
        self.faults.failed()
    }

    /// Makes calls of a kind take `nanos` nanoseconds longer: the `nth` from now on (1 is the next)
    /// and those after it, `times` calls in all. Only reads, appends and syncs take time.
    pub fn delay_nth(&self, kind: FaultKind, nth: u64, times: u64, nanos: u64) {
        self.faults.delay(kind, nth, times, nanos);
    }

    /// Takes back every failure and delay that is still to come: their cause is mended. A crash
    /// stays.
    pub fn mend(&self) {
        self.faults.clear();
    }

    /// Inverts one bit (0 is the lowest) of a file, without a trace of the change.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file, [`io::ErrorKind::InvalidInput`] if
    /// there is no such bit.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        self.fs.flip_bit(path, offset, bit)
    }

    /// Truncates a file to `bytes`. A shorter file is left unchanged.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file.
    pub fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.fs.truncate(path, bytes)
    }
}

impl Drop for SimWorld {
    fn drop(&mut self) {
        self.core.close();
    }
}

/// The machine in its roles of clock and task starter.
struct Machine(Arc<Core>);

impl Clock for Machine {
    fn now(&self) -> u64 {
        self.0.now()
    }

    fn sleep(&self, nanos: u64) -> MaybeReady<()> {
        if nanos == 0 {
            MaybeReady::ready(())
        } else {
            MaybeReady::pending(self.0.sleep(nanos))
        }
    }

    fn charge(&self, work: &CpuWork) {
        self.0.charge(work);
    }

    fn cost_nanos(&self, work: &CpuWork) -> u64 {
        self.0.cost_nanos(work)
    }

    fn wait_for_cpu(&self) -> MaybeReady<()> {
        match self.0.wait_for_cpu() {
            Some(ticket) => MaybeReady::pending(ticket),
            None => MaybeReady::ready(()),
        }
    }
}

impl Spawn for Machine {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.0.spawn(name, task);
    }
}
