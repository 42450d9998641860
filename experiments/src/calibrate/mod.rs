//! What this machine's processor and disk cost, measured: a profile that simulations can run on.
//!
//! Probes (`probes.rs`) run small workloads on the real engine and count the work that they are
//! charged (`ledger.rs`); prices (`prices.rs`) explain their CPU time. The disk and the page cache
//! are measured by themselves (`device.rs`). [`crate::machine_profile`] is the file.

mod device;
mod ledger;
mod prices;
mod probes;

use std::io;
use std::path::{Path, PathBuf};

use aura_engine::env::sim::CpuCosts;

use crate::files::FileError;
use crate::progress::Progress;

pub use device::{Measured, Reads};
pub use prices::{Fit, Kept, Price, fit, predicted};
pub use probes::Probed;

/// Why a machine could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The operating system starts no thread.
    #[error("threads cannot be started: {0}")]
    Threads(io::Error),
    /// The engine failed in a probe.
    #[error("a probe failed: {0}")]
    Engine(#[from] aura_engine::Error),
    /// The device could not be written or read.
    #[error("the disk under {} cannot be measured: {source}", folder.display())]
    Device {
        /// The folder.
        folder: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A folder cannot be made or removed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// How thoroughly is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// In about a minute, for figures to be used.
    Full,
    /// In some seconds, to see that it works.
    Quick,
}

impl Effort {
    /// Measured rounds of a probe.
    fn rounds(self) -> usize {
        match self {
            Self::Full => 7,
            Self::Quick => 3,
        }
    }

    /// Operations of a round.
    fn operations(self) -> u64 {
        match self {
            Self::Full => 30_000,
            Self::Quick => 2_000,
        }
    }

    /// What the keys of a database are divided by.
    fn shrinks(self) -> u64 {
        match self {
            Self::Full => 1,
            Self::Quick => 20,
        }
    }

    /// Bytes of the file that is read.
    fn file_bytes(self) -> u64 {
        match self {
            Self::Full => 512 << 20,
            Self::Quick => 16 << 20,
        }
    }

    /// The most nanoseconds of the reads of one size and depth.
    fn read_nanos(self) -> u64 {
        match self {
            Self::Full => 1_000_000_000,
            Self::Quick => 30_000_000,
        }
    }

    /// The most reads of one thread.
    fn reads(self) -> usize {
        match self {
            Self::Full => 20_000,
            Self::Quick => 200,
        }
    }

    /// Measured syncs.
    fn syncs(self) -> usize {
        match self {
            Self::Full => 1_000,
            Self::Quick => 20,
        }
    }
}

/// What was found of a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What each probe took.
    pub probes: Vec<Probed>,
    /// The prices that explain it.
    pub fit: Fit,
    /// The disk.
    pub device: Measured,
}

/// Measures this machine's processor, and the disk under `folder`, in which files are made and
/// removed. The shipped prices are `shipped`.
///
/// # Errors
/// [`CalibrateError`] if the folder cannot be used, or the engine fails.
pub fn calibrate(
    folder: &Path,
    effort: Effort,
    shipped: &CpuCosts,
    quiet: bool,
) -> Result<Found, CalibrateError> {
    let all = probes::probes();
    let progress = Progress::new(all.len() + 1, "measurements", quiet);
    let mut measured = Vec::new();
    for probe in &all {
        progress.begin(probe.name);
        measured.push(probe.run(&folder.join("probe"), effort)?);
        progress.end(probe.name);
    }
    progress.begin("the disk");
    let device = device::measure(folder, effort)?;
    progress.end("the disk");
    progress.finish();
    Ok(Found {
        fit: fit(&measured, shipped),
        probes: measured,
        device,
    })
}
