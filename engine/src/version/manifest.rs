//! The manifest being written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::edit::{AddedTable, Edit};
use super::{FileKind, Version, format};
use crate::env::{Env, File};
use crate::error::{Error, Result};

/// The file that names the manifest.
pub(crate) const CURRENT: &str = "CURRENT";

/// An open manifest: edits are appended and synced one by one.
pub(crate) struct Manifest {
    file: Arc<dyn File>,
    path: PathBuf,
}

impl Manifest {
    /// Begins manifest `number` with the whole of `version` and `base`, and makes `CURRENT` name it.
    ///
    /// Until `CURRENT` is renamed into place, a crash leaves the old manifest in force.
    pub(crate) async fn begin(env: &Env, directory: &Path, number: u64, version: &Version, base: Edit) -> Result<Self> {
        let path = FileKind::Manifest.path(directory, number);
        let file = env.fs.create(&path).map_err(|error| Error::io("create", &path, error))?;
        let manifest = Self { file, path };
        let mut content = format::header();
        content.extend_from_slice(&format::encode(&snapshot(version, base)));
        manifest.append_synced(&content).await?;

        let temporary = directory.join("CURRENT.new");
        let current = directory.join(CURRENT);
        let file = env.fs.create(&temporary).map_err(|error| Error::io("create", &temporary, error))?;
        let content = format::encode_current(&FileKind::Manifest.name(number));
        file.append(content.as_bytes()).await.map_err(|error| Error::io("append to", &temporary, error))?;
        file.sync().await.map_err(|error| Error::io("sync", &temporary, error))?;
        // The manifest's own entry must be durable before the name that leads to it.
        env.fs.sync_directory(directory).await.map_err(|error| Error::io("sync", directory, error))?;
        env.fs.rename(&temporary, &current).map_err(|error| Error::io("rename", &temporary, error))?;
        env.fs.sync_directory(directory).await.map_err(|error| Error::io("sync", directory, error))?;
        Ok(manifest)
    }

    /// Makes an edit durable; its bytes.
    pub(crate) async fn append(&self, edit: &Edit) -> Result<u64> {
        let record = format::encode(edit);
        self.append_synced(&record).await?;
        Ok(record.len() as u64)
    }

    async fn append_synced(&self, bytes: &[u8]) -> Result<()> {
        self.file.append(bytes).await.map_err(|error| Error::io("append to", &self.path, error))?;
        self.file.sync().await.map_err(|error| Error::io("sync", &self.path, error))
    }
}

/// The edit that makes `version` out of nothing, added to `base`.
fn snapshot(version: &Version, mut base: Edit) -> Edit {
    for (level, state) in version.levels.iter().enumerate() {
        // A run that is not there yet becomes the newest of its level: so the oldest goes first.
        for run in state.runs.iter().rev() {
            let table = |facts: &Arc<_>| AddedTable { level, run: run.id, facts: Arc::clone(facts) };
            base.added.extend(run.tables.iter().map(|it| table(it.facts())));
        }
        base.runs_max.extend(state.runs_max.map(|runs| (level, runs)));
    }
    for (number, state) in &version.value_files {
        base.values_opened.push(*number);
        base.values_sealed.extend(state.sealed_bytes.map(|bytes| (*number, bytes)));
        if state.garbage_bytes > 0 {
            base.values_garbage.push((*number, state.garbage_bytes));
        }
    }
    base.ranges_added = version.ranges.tombstones();
    base.table_swept = version.swept.iter().map(|(table, sequence)| (*table, *sequence)).collect();
    base
}
