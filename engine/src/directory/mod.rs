//! A database's directory: [`names`] of its files, [`files`] with the engine's errors, [`access`]
//! by several engines, and the settings left in it.

mod access;
mod files;
mod names;

use std::path::Path;

pub(crate) use access::{ReadAccess, read_access, take_lock};
pub(crate) use files::{Files, NamedFile, Replacement};
pub(crate) use names::{
    CURRENT, FileKind, LOCK, MODELS, REPLACED, SETTINGS, SIDE, SPLIT, UNFINISHED, numbered,
    temporary,
};

use crate::config::EngineConfig;
use crate::env::Env;
use crate::error::{Error, Result};

/// Returns whether a file holds the bulk of a database by its name: a table or a value file. Logs
/// and manifests are small, and appended to in small pieces.
pub fn is_table_or_values(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let kind = name.and_then(FileKind::parse).map(|(kind, _)| kind);
    matches!(kind, Some(FileKind::Table | FileKind::Values))
}

/// What a database's directory is to its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It holds its own logs.
    Whole,
    /// It is a side of a split database: the log lies above it.
    Side,
}

/// Refuses to open a directory with these files alone if its log is not its own, or if it holds no
/// database but the sides of one.
///
/// # Errors
/// [`Error::Split`].
pub(crate) fn check_role(directory: &Path, names: &[String], role: Role) -> Result<()> {
    let refused = |what: &str| Error::Split {
        directory: directory.to_owned(),
        what: what.to_owned(),
    };
    let has = |marker: &str| names.iter().any(|name| name == marker);
    if has(SPLIT) {
        return Err(refused(
            "it holds a split database: open it with SplitBuilder",
        ));
    }
    match (role, has(SIDE)) {
        (Role::Whole, true) => Err(refused(
            "it is a side of a split database, and its log lies above it: open that with \
             SplitBuilder",
        )),
        (Role::Side, false) => Err(refused("it is no side of a split database")),
        _ => Ok(()),
    }
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
