//! The world of one trial, simulated or real.

use std::path::{Path, PathBuf};

use aura_engine::env::Env;
use aura_engine::env::disk::{self, DiskWorld};
use aura_engine::env::sim::{SimConfig, SimStats, SimWorld};
use aura_engine::is_table_or_values;

use super::{TrialError, host};
use crate::config::TrialConfig;
use crate::files::{self, FileError};
use crate::record::{FileIo, ProcessUse, World};

/// The directory of the database in a simulated world.
const SIMULATED_DIRECTORY: &str = "db";

/// Where real trials make their databases, and whether these are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Databases {
    /// The folder, unless the config names one.
    pub folder: PathBuf,
    /// Keep the database of a finished trial.
    pub keep: bool,
}

impl Databases {
    /// The directory of a trial's database.
    pub fn directory(&self, trial: &str, config: &TrialConfig) -> PathBuf {
        self.folder_of(config).join(format!("aura-{trial}"))
    }

    /// The folder of the databases of a config's trials.
    pub(super) fn folder_of<'a>(&'a self, config: &'a TrialConfig) -> &'a Path {
        config.world.directory.as_deref().unwrap_or(&self.folder)
    }
}

/// A world with room for one database.
pub(super) enum Machine {
    Simulated(SimWorld),
    Real {
        world: DiskWorld,
        directory: PathBuf,
    },
}

impl Machine {
    /// Makes the world that a config describes. `directory` is used in the real world only.
    pub(super) fn new(
        config: &TrialConfig,
        seed: u64,
        directory: PathBuf,
    ) -> Result<Self, TrialError> {
        let world = &config.world;
        match world.kind {
            World::Simulated => Ok(Self::Simulated(SimWorld::new(&SimConfig {
                device: world.device.clone(),
                cpu: world.cpu,
                cores: world.cores,
                seed,
            }))),
            World::Real => {
                files::remove_folder(&directory)?;
                files::create_folder(&directory)?;
                let is_direct = match world.io {
                    Some(FileIo::Direct) => {
                        host::check_direct_io(&directory)?;
                        is_table_or_values
                    }
                    Some(FileIo::PageCache) | None => |_: &Path| false,
                };
                let world = DiskWorld::with_direct_io(world.cores as usize, is_direct)
                    .map_err(TrialError::Threads)?;
                Ok(Self::Real { world, directory })
            }
        }
    }

    pub(super) fn is_real(&self) -> bool {
        matches!(self, Self::Real { .. })
    }

    pub(super) fn env(&self) -> Env {
        match self {
            Self::Simulated(world) => world.env(),
            Self::Real { world, .. } => world.env(),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        match self {
            Self::Simulated(_) => Path::new(SIMULATED_DIRECTORY),
            Self::Real { directory, .. } => directory,
        }
    }

    pub(super) fn block_on<T>(
        &self,
        future: impl Future<Output = Result<T, TrialError>>,
    ) -> Result<T, TrialError> {
        match self {
            Self::Simulated(world) => world.block_on(future)?,
            Self::Real { world, .. } => world.block_on(future),
        }
    }

    /// Counters of the simulated device and CPU; `None` in the real world.
    pub(super) fn stats(&self) -> Option<SimStats> {
        match self {
            Self::Simulated(world) => Some(world.stats()),
            Self::Real { .. } => None,
        }
    }

    /// What this process has used so far; `None` in a simulation.
    pub(super) fn process_use(&self) -> Option<ProcessUse> {
        match self {
            Self::Simulated(_) => None,
            Self::Real { .. } => host::process_use(),
        }
    }

    /// Drops what the system's page cache holds of the database's files. A simulation has no page
    /// cache.
    pub(super) fn drop_page_cache(&self) -> Result<(), TrialError> {
        match self {
            Self::Simulated(_) => Ok(()),
            Self::Real { directory, .. } => {
                disk::drop_page_cache(directory).map_err(|source| TrialError::PageCache {
                    directory: directory.clone(),
                    source,
                })
            }
        }
    }

    /// The fingerprint of all simulated events; `None` in the real world.
    pub(super) fn fingerprint(&self) -> Option<u64> {
        match self {
            Self::Simulated(world) => Some(world.fingerprint()),
            Self::Real { .. } => None,
        }
    }

    /// Removes the database.
    pub(super) fn clean_up(self) -> Result<(), FileError> {
        match self {
            Self::Simulated(_) => Ok(()),
            Self::Real { world, directory } => {
                drop(world);
                files::remove_folder(&directory)
            }
        }
    }
}
