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

/// Returns whether a file holds the bulk of a database by its name: a table or a value file. Logs
/// and manifests are small, and appended to in small pieces.
pub fn is_table_or_values(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let kind = name.and_then(FileKind::parse).map(|(kind, _)| kind);
    matches!(kind, Some(FileKind::Table | FileKind::Values))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_value_files_are_the_bulk() {
        let bulk = |name: &str| is_table_or_values(&Path::new("/db").join(name));
        for kind in [FileKind::Table, FileKind::Values] {
            assert!(bulk(&kind.name(7)));
        }
        for kind in [FileKind::Wal, FileKind::Manifest] {
            assert!(!bulk(&kind.name(7)));
        }
        assert!(!bulk(CURRENT));
        assert!(!bulk("x.sst"));
        assert!(!is_table_or_values(Path::new("/")));
    }
}
