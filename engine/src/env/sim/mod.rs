//! The simulated world: files in memory behind a device model, virtual nanoseconds, one thread, all from a seed.
//!
//! ```text
//! task --charge, settle--> cores      executor: ready tasks in order, then the next event by (time, sequence)
//!   |                                 agenda:   events, tickets, fingerprint
//!   '--read, append, sync--> fs ----> device:   units, link, page cache
//!                            |- fault: n-th call fails or is late, crash at the n-th call
//!                            '- crash: what of it would have survived
//! ```
//!
//! The same configuration, seed and program give the same events in the same order on any machine, which
//! [`SimWorld::fingerprint`] tells. Simulated time compares policies under one model; it forecasts no device.

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

pub use cpu::CpuCosts;
pub use crash::{CrashMode, FsImage};
pub use fault::FaultKind;
pub use profile::{DeviceModel, DeviceProfile, Latency, profiles};

use executor::Core;
use fault::Faults;
use fs::SimFs;

/// What a simulated machine is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// The device: a profile's name, or a table with a `profile` and what to override.
    pub device: DeviceProfile,
    /// What CPU work costs.
    pub cpu: CpuCosts,
    /// CPU cores, 1 to 65,536; numbers beyond are taken as the nearest.
    pub cores: u32,
    /// Where all chance comes from.
    pub seed: u64,
}

impl Default for SimConfig {
    /// An NVMe drive and eight cores.
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
    /// The future waits, and nothing is left to happen.
    #[error("deadlock: nothing is left to happen, while these tasks wait: {}", tasks.join(", "))]
    Deadlock {
        /// The tasks that were spawned and have not ended, beside the future itself.
        tasks: Vec<&'static str>,
    },
    /// `block_on` was called while it runs.
    #[error("a simulated world runs one block_on at a time")]
    Reentered,
}

/// What a simulated machine has done. Times are virtual nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SimStats {
    /// Events that have happened.
    pub events: u64,
    /// Reads that went to the device.
    pub device_reads: u64,
    /// Bytes of them.
    pub device_read_bytes: u64,
    /// Pieces written back.
    pub device_writes: u64,
    /// Bytes of them.
    pub device_write_bytes: u64,
    /// Syncs of files and directories.
    pub device_syncs: u64,
    /// Time the device's units were busy, summed over the units.
    pub device_busy_nanos: u64,
    /// Time requests waited for admission and for their unit.
    pub device_wait_nanos: u64,
    /// Time the cores worked, summed over the cores.
    pub cpu_nanos: u64,
    /// Time work waited for a core.
    pub cpu_wait_nanos: u64,
}

/// A simulated machine. It runs only inside [`SimWorld::block_on`], on the calling thread.
pub struct SimWorld {
    core: Arc<Core>,
    fs: Arc<SimFs>,
    faults: Arc<Faults>,
}

impl SimWorld {
    /// A machine with an empty file system, at time 0.
    pub fn new(config: &SimConfig) -> Self {
        let core = Arc::new(Core::new(config));
        let faults = Arc::new(Faults::new());
        Self {
            fs: Arc::new(SimFs::new(core.clone(), faults.clone())),
            core,
            faults,
        }
    }

    /// A machine that starts with what a crash left of another.
    ///
    /// # Errors
    /// None for an image that [`SimWorld::crash_image`] made.
    pub fn with_image(config: &SimConfig, image: &FsImage) -> io::Result<Self> {
        let world = Self::new(config);
        world.fs.load(image)?;
        Ok(world)
    }

    /// What the engine is given. Its futures are to be polled inside [`SimWorld::block_on`] only.
    pub fn env(&self) -> Env {
        let machine = Arc::new(Machine(self.core.clone()));
        Env {
            fs: self.fs.clone(),
            clock: machine.clone(),
            tasks: machine,
        }
    }

    /// Runs `future` until it is ready. Tasks that have not ended by then go on in the next call.
    ///
    /// # Errors
    /// [`SimError::Deadlock`] if nothing is left to happen before that; [`SimError::Reentered`] from inside itself.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, SimError> {
        self.core.block_on(future)
    }

    /// Virtual nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.core.now()
    }

    /// A number that two runs share only if the same events happened at the same times in the same order.
    pub fn fingerprint(&self) -> u64 {
        self.core.state().agenda.fingerprint()
    }

    /// What the machine has done so far.
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

    /// Calls so far that changed what a crash leaves: creations, appends, syncs, renames, links, removals, locks.
    pub fn io_count(&self) -> u64 {
        self.faults.calls()
    }

    /// Crashes the machine at the `call`-th call that [`SimWorld::io_count`] counts (from 1): it, what is under way and
    /// every call after fail, reads too. 0 takes it back.
    pub fn crash_at(&self, call: u64) {
        self.faults.crash_at(call);
    }

    /// Whether the machine has crashed.
    pub fn crashed(&self) -> bool {
        self.faults.crashed()
    }

    /// The files that a loss of power at this moment would leave, with chance drawn from `seed`.
    ///
    /// # Errors
    /// None while files and directories do not change into one another.
    pub fn crash_image(&self, mode: CrashMode, seed: u64) -> io::Result<FsImage> {
        self.fs.crash_image(mode, seed)
    }

    /// Lets the `nth` call of a kind from now on (1 is the next) and those after it fail, `times` in all.
    pub fn fail_nth(&self, kind: FaultKind, nth: u64, times: u64) {
        self.faults.fail(kind, nth, times);
    }

    /// Calls so far that [`SimWorld::fail_nth`] has made to fail.
    pub fn failed_calls(&self) -> u64 {
        self.faults.failed()
    }

    /// Lets the `nth` call of a kind from now on (1 is the next) and those after it take `nanos` longer, `times` in
    /// all. Only reads, appends and syncs take time.
    pub fn delay_nth(&self, kind: FaultKind, nth: u64, times: u64, nanos: u64) {
        self.faults.delay(kind, nth, times, nanos);
    }

    /// Inverts one bit (0 is the lowest) of a file at rest.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] without the file, [`io::ErrorKind::InvalidInput`] without the bit.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        self.fs.flip_bit(path, offset, bit)
    }

    /// Cuts a file at rest to `bytes`; a shorter one stays as it is.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] without the file.
    pub fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.fs.truncate(path, bytes)
    }
}

impl Drop for SimWorld {
    fn drop(&mut self) {
        self.core.close();
    }
}

/// The machine as clock and task starter.
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

    fn settle(&self) -> MaybeReady<()> {
        self.0
            .settle()
            .map_or_else(|| MaybeReady::ready(()), MaybeReady::pending)
    }
}

impl Spawn for Machine {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.0.spawn(name, task);
    }
}
