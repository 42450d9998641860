//! A database's directory: [`names`] of its files, [`files`] with the engine's errors, [`access`]
//! by several engines, and the settings left in it.

mod access;
mod files;
mod names;

use std::path::Path;

pub(crate) use access::{ReadAccess, read_access, take_lock};
pub(crate) use files::{Files, NamedFile, Replacement};
pub(crate) use names::{
    CURRENT, FileKind, LOCK, MODELS, REPLACED, SETTINGS, UNFINISHED, numbered, temporary,
};

use crate::config::EngineConfig;
use crate::env::Env;
use crate::error::Result;

/// Writes the settings into the directory, for people and tools; the engine does not read them.
pub(crate) async fn write_settings(
    env: &Env,
    directory: &Path,
    config: &EngineConfig,
) -> Result<()> {
    let settings = serde_json::to_vec_pretty(config).expect("settings are plain data");
    let files = Files::of(env);
    let replacement = files
        .write_replacement(directory, SETTINGS, &settings)
        .await?;
    replacement.sync().await?;
    replacement.put_in_place()?;
    files.sync_directory(directory).await
}
