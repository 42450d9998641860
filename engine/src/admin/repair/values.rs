//! Examines the value files and books their garbage.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::logs::Logs;
use super::{Loss, Repair};
use crate::directory::{FileKind, Files, NamedFile};
use crate::error::{Error, Result};
use crate::manifest::Edit;
use crate::table::Table;
use crate::values::format::MAGIC;
use crate::values::{
    Extents, FrameWalker, Garbage, Step, ValueFacts, ValueFile, ValueFileState, discard,
};

impl Repair<'_> {
    /// Opens the value files, and reports those that are missing or too short.
    pub(super) async fn open_values(&mut self, stored: Option<&Edit>) -> Result<()> {
        match stored {
            Some(edit) => self.open_listed_values(edit).await,
            None => self.discover_values().await,
        }
    }

    async fn open_listed_values(&mut self, edit: &Edit) -> Result<()> {
        let mut listed = BTreeMap::new();
        let unlawful = |what| Error::UnlawfulPlan { what };
        edit.change_values(&mut listed).map_err(unlawful)?;
        let mut files: BTreeMap<u64, Option<Arc<ValueFile>>> = BTreeMap::new();
        for (number, facts) in listed {
            let physical = facts.physical;
            if let Entry::Vacant(place) = files.entry(physical) {
                let facts = (physical == number).then_some(&facts);
                let opened = self.open_listed(physical, facts).await?;
                place.insert(opened.map(Arc::new));
            }
            if let Some(file) = &files[&physical] {
                let file = file.clone();
                let state = ValueFileState {
                    number,
                    facts,
                    file,
                };
                self.values.insert(number, state);
            }
        }
        Ok(())
    }

    /// Opens a value file that the manifest names. `facts` are given for a file that was not
    /// collected. Returns `None` if the file is missing, or if its map is lost, without which
    /// nothing in it can be found.
    async fn open_listed(
        &mut self,
        physical: u64,
        facts: Option<&ValueFacts>,
    ) -> Result<Option<ValueFile>> {
        let path = FileKind::Values.path(self.directory, physical);
        let opened = match self.open_value_file(physical) {
            Ok((file, _)) if facts.is_none() => file.read_map().await,
            opened => opened.map(|(file, _)| file),
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.is_damage() => {
                self.report.losses.push(Loss::of(&error, &path));
                let name = FileKind::Values.name(physical);
                self.discarded.extend(self.has(&name).then_some(name));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let bytes = file.bytes()?;
        let sealed = facts.and_then(|facts| facts.sealed_bytes).unwrap_or(0);
        if bytes < sealed {
            let what = format!("the file ends here, but had {sealed} bytes");
            let loss = Loss::new(&path, bytes, what);
            self.report.losses.push(Loss {
                bytes: Some(sealed - bytes),
                ..loss
            });
        }
        Ok(Some(file))
    }

    /// Opens a value file. Returns it with the handle, for opening it without its map.
    fn open_value_file(&self, number: u64) -> Result<(ValueFile, NamedFile)> {
        let path = FileKind::Values.path(self.directory, number);
        let file = Files::of(self.env).open(&path)?;
        Ok((
            ValueFile::new(number, file.clone(), self.env.fs.clone()),
            file,
        ))
    }

    /// Opens every value file found. A file with a map lists the files that it holds. If several
    /// hold the same one, the latest copy is chosen, unless it does not read back.
    async fn discover_values(&mut self) -> Result<()> {
        let mut found: BTreeMap<u64, Vec<ValueFileState>> = BTreeMap::new();
        for number in self.found(FileKind::Values) {
            let (whole, file) = self.open_value_file(number)?;
            let file = match whole.read_map().await {
                Ok(collected) => Arc::new(collected),
                Err(error) if error.is_damage() => {
                    Arc::new(ValueFile::new(number, file, self.env.fs.clone()))
                }
                Err(error) => return Err(error),
            };
            let holds = if file.is_collected() {
                file.files_held()
            } else {
                vec![number]
            };
            for number in holds {
                let facts = ValueFacts {
                    physical: file.number,
                    sealed_bytes: Some(file.bytes()?),
                    ..ValueFacts::opened(number)
                };
                found.entry(number).or_default().push(ValueFileState {
                    number,
                    facts,
                    file: file.clone(),
                });
            }
        }
        for (number, mut states) in found {
            states.sort_by_key(|state| (state.collections(), state.file.number));
            let mut chosen = states.pop().expect("one at least");
            while let Some(older) = states.pop() {
                if reads_back(&chosen).await? || !reads_back(&older).await? {
                    break;
                }
                chosen = older;
            }
            self.values.insert(number, chosen);
        }
        Ok(())
    }

    /// Books the garbage of each value file: what nothing points to any more, traced from `tables`.
    ///
    /// Files can be unsealed only if the logs stay; recovery walks those from the end of their
    /// accounted frames. If the manifest was lost, files that nothing points to are discarded.
    pub(super) async fn book_values(
        &mut self,
        tables: &BTreeMap<u64, Arc<Table>>,
        logs: &Logs,
        rebuilt: bool,
    ) -> Result<()> {
        let mut traced = Garbage::new();
        for table in tables.values() {
            table
                .verify(&mut self.context, |entry| discard(&mut traced, entry))
                .await?;
        }
        let mut kept = BTreeMap::new();
        for (number, mut state) in std::mem::take(&mut self.values) {
            let frames = traced.remove(&number).unwrap_or_default();
            if rebuilt && frames.is_empty() {
                continue;
            }
            if !state.is_sealed() && !logs.stay {
                // The tables that replace the logs outlive them, so the values they point to must
                // be durable.
                state.file.sync().await?;
                state.facts.sealed_bytes = Some(0);
            }
            if state.is_sealed() && !state.file.is_collected() {
                // A file that lost its end counts with what is left.
                state.facts.sealed_bytes = Some(state.file.bytes()?.max(MAGIC.len() as u64));
            }
            let extents = match state.is_sealed() {
                true => state.extents()?,
                false => vec![(MAGIC.len() as u64, state.facts.accounted)],
            };
            let mut live = Extents::default();
            // Overlapping frames are impossible. If entries point to some, all of the file is kept.
            let mut dead = Vec::new();
            if live.add(frames) {
                for (start, end) in extents {
                    dead.extend(live.gaps(start, end));
                }
            }
            let mut booked = Extents::default();
            let _is_disjoint = booked.add(dead);
            state.facts.dead = Arc::new(booked);
            kept.insert(number, state);
        }
        if rebuilt {
            let states = kept.values();
            let used: BTreeSet<u64> = states.map(|state| state.file.number).collect();
            for file in self.found(FileKind::Values) {
                if !used.contains(&file) {
                    self.discarded.insert(FileKind::Values.name(file));
                }
            }
        }
        self.values = kept;
        Ok(())
    }
}

/// Returns whether the frames of a value file, in its file on disk, are all sound.
async fn reads_back(state: &ValueFileState) -> Result<bool> {
    for (start, end) in state.extents()? {
        let place = state.place(start)?;
        let mut walker = FrameWalker::new(&state.file, place, place + (end - start));
        loop {
            match walker.next().await? {
                Step::Frame(..) => {}
                Step::End => break,
                Step::Unsound => return Ok(false),
            }
        }
    }
    Ok(true)
}
