//! Writes the manifest.

use std::path::Path;

use super::edit::{AddedTable, Edit};
use super::{Version, format};
use crate::directory::{CURRENT, FileKind, Files, NamedFile, Replacement};
use crate::env::Env;
use crate::error::Result;

/// Bytes of edits below which a manifest is never replaced by a new one.
const ROLL_BYTES_MIN: u64 = 1 << 10;
/// A manifest is replaced once its edits have this many times the bytes of the whole state.
const ROLL_FACTOR: u64 = 2;

/// An open manifest. Edits are appended and synced one by one. A new manifest is begun when the
/// edits have grown large compared with the state that they lead to.
pub(crate) struct Manifest {
    number: u64,
    file: NamedFile,
    /// Bytes of its first record, which is the whole state at its beginning.
    state_bytes: u64,
    /// Bytes of its other records.
    edit_bytes: u64,
    /// The latest values of the fields that are numbers.
    base: Edit,
}

impl Manifest {
    /// Begins manifest `number` with the whole of `version` and `base`, and makes `CURRENT` name
    /// it.
    ///
    /// Until `CURRENT` is renamed, a crash leaves the old manifest in force.
    pub(crate) async fn begin(
        env: &Env,
        directory: &Path,
        number: u64,
        version: &Version,
        base: Edit,
    ) -> Result<Self> {
        let written = Self::write(env, directory, number, version, base).await?;
        written.take_effect().await
    }

    /// Writes manifest `number` with the whole of `version` and `base`, durably. The old manifest
    /// stays in force.
    pub(crate) async fn write<'a>(
        env: &'a Env,
        directory: &'a Path,
        number: u64,
        version: &Version,
        base: Edit,
    ) -> Result<WrittenManifest<'a>> {
        let path = FileKind::Manifest.path(directory, number);
        let files = Files::of(env);
        let file = files.create(&path)?;
        let mut content = format::header();
        content.extend_from_slice(&format::encode(&snapshot(version, base.clone()), number));
        let manifest = Self {
            number,
            file,
            state_bytes: content.len() as u64,
            edit_bytes: 0,
            base,
        };
        manifest.append_synced(&content).await?;

        let content = format::encode_current(&FileKind::Manifest.name(number));
        let current = files
            .write_replacement(directory, CURRENT, content.as_bytes())
            .await?;
        current.sync().await?;
        // The manifest's own entry must be durable before the name that leads to it.
        files.sync_directory(directory).await?;
        Ok(WrittenManifest {
            manifest,
            current,
            files,
            directory,
        })
    }

    /// The manifest of an engine that only reads: no file is opened, and every edit fails.
    pub(crate) fn read_only(path: &Path) -> Self {
        Self {
            number: 0,
            file: NamedFile::unopened(path),
            state_bytes: 0,
            edit_bytes: 0,
            base: Edit::default(),
        }
    }

    /// Makes an edit durable. Returns its bytes.
    pub(crate) async fn append(&mut self, edit: &Edit) -> Result<u64> {
        let record = format::encode(edit, self.number);
        self.append_synced(&record).await?;
        self.base.wal_min = edit.wal_min.or(self.base.wal_min);
        self.base.next_number = edit.next_number.or(self.base.next_number);
        self.base.sequence = edit.sequence.or(self.base.sequence);
        let durable = &mut self.base.logs_durable;
        durable.retain(|part| edit.logs_durable.iter().all(|other| other.log != part.log));
        durable.extend_from_slice(&edit.logs_durable);
        durable.retain(|part| Some(part.log) >= self.base.wal_min);
        self.edit_bytes += record.len() as u64;
        Ok(record.len() as u64)
    }

    /// Returns whether a new manifest should be begun.
    pub(crate) fn is_long(&self) -> bool {
        self.edit_bytes >= ROLL_BYTES_MIN.max(ROLL_FACTOR * self.state_bytes)
    }

    /// Begins a new manifest with the whole of `version` and replaces this one. `number` must be
    /// the next file number. Returns the bytes of the new one.
    pub(crate) async fn roll(
        &mut self,
        env: &Env,
        directory: &Path,
        number: u64,
        version: &Version,
    ) -> Result<u64> {
        let base = Edit {
            next_number: Some(number + 1),
            ..self.base.clone()
        };
        let new = Self::begin(env, directory, number, version, base).await?;
        let old = std::mem::replace(self, new);
        // If it cannot be removed now, the next opening of the directory removes it.
        let _ = env.fs.remove(old.file.path());
        Ok(self.state_bytes)
    }

    async fn append_synced(&self, bytes: &[u8]) -> Result<()> {
        self.file.append(bytes).await?;
        self.file.sync().await
    }
}

/// A manifest that is durable, and not yet in force.
pub(crate) struct WrittenManifest<'a> {
    manifest: Manifest,
    current: Replacement<'a>,
    files: Files<'a>,
    directory: &'a Path,
}

impl WrittenManifest<'_> {
    /// Makes `CURRENT` name the manifest. If that fails, a crash leaves either manifest in force.
    pub(crate) async fn take_effect(self) -> Result<Manifest> {
        self.current.put_in_place()?;
        self.files.sync_directory(self.directory).await?;
        Ok(self.manifest)
    }
}

/// Returns the edit that creates `version`, added to `base`.
pub(crate) fn snapshot(version: &Version, mut base: Edit) -> Edit {
    for (level, state) in version.levels.iter().enumerate() {
        // A run that does not exist yet becomes the newest of its level, so the oldest goes first.
        for run in state.runs.iter().rev() {
            for table in &run.tables {
                base.added.push(AddedTable {
                    level,
                    run: run.id,
                    facts: table.facts().clone(),
                });
            }
        }
        if let Some(runs) = state.runs_max {
            base.runs_max.push((level, runs));
        }
    }
    for (number, state) in &version.value_files {
        base.add_value_file(*number, &state.facts);
    }
    base.ranges_added = version.ranges.tombstones();
    let swept = version.swept.iter();
    base.table_swept = swept.map(|(table, to)| (*table, *to)).collect();
    base
}
