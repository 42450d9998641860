//! A load that several trials share: the first of them loads, all begin from copies of its files.
//!
//! Two sides that store the same are compared on the same tables: what differs between two loads,
//! such as which merges had come how far, is no part of the difference. Each trial has a copy of
//! its own, synced to the disk, so that none finds files cached or changed by another.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::Databases;
use crate::config::TrialConfig;
use crate::files::{self, FileError};
use crate::plan::PlannedTrial;

/// How the names of folders with loaded databases begin.
const PREFIX: &str = "aura-loaded-";

/// The place of a loaded database that waits for its copies.
pub(super) struct SharedLoad {
    folder: PathBuf,
    /// `aura-loaded-`, the host, the layout, the seed.
    name: String,
}

impl SharedLoad {
    /// The load of a trial; `None` if the trial loads for itself.
    pub(super) fn of(config: &TrialConfig, seed: u64, databases: &Databases) -> Option<Self> {
        config.shared_load.then(|| Self {
            folder: databases.folder_of(config).to_owned(),
            name: format!("{PREFIX}{}-{}-{seed}", super::host_name(), layout(config)),
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Whether the database is there.
    pub(super) fn is_there(&self) -> bool {
        self.path().exists()
    }

    /// Keeps the closed database in `directory` for others, and removes those of other seeds, which
    /// have had their trials.
    pub(super) fn keep(&self, directory: &Path) -> Result<(), FileError> {
        self.forget()?;
        files::rename(directory, &self.path())
    }

    /// Copies the database to `directory`.
    pub(super) fn copy_to(&self, directory: &Path) -> Result<(), FileError> {
        files::remove_folder(directory)?;
        files::copy_folder(&self.path(), directory)
    }

    /// Removes the loaded databases of this host from the folder.
    fn forget(&self) -> Result<(), FileError> {
        let of_host = format!("{PREFIX}{}-", super::host_name());
        for name in files::names(&self.folder)? {
            if name.starts_with(&of_host) {
                files::remove_folder(&self.folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// Removes the loaded databases that trials of a plan shared.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn forget_loads(trials: &[PlannedTrial], databases: &Databases) -> Result<(), FileError> {
    for trial in trials {
        if let Ok(config) = trial.settings()
            && let Some(load) = SharedLoad::of(&config, trial.seed, databases)
        {
            load.forget()?;
        }
    }
    Ok(())
}

/// A digest of what decides what a load stores: the workload and the engine's settings, but for
/// those that only say what is kept in memory. Two trials of equal layouts and seeds store the
/// same.
pub fn layout(config: &TrialConfig) -> String {
    let mut engine = json!(config.engine);
    if let Some(settings) = engine.as_object_mut() {
        settings.remove("cache");
    }
    let stored: [Value; 3] = [
        json!(config.workload),
        engine,
        json!([config.target, config.settle]),
    ];
    let digest = xxh3_128(json!(stored).to_string().as_bytes());
    format!("{:016x}", digest as u64)
}
