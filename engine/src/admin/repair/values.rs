//! The value files as a repair finds them, and what it books of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::logs::Logs;
use super::{Loss, Repair};
use crate::directory::FileKind;
use crate::env::File;
use crate::error::{Error, Result};
use crate::manifest::Edit;
use crate::table::Table;
use crate::values::format::MAGIC;
use crate::values::{
    Extents, FrameWalker, Garbage, Step, ValueFacts, ValueFile, ValueFileState, discard,
};

impl Repair<'_> {
    /// Opens the value files; tells of those that are missing or too short.
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
                let opened = self
                    .open_listed(physical, (physical == number).then_some(&facts))
                    .await?;
                place.insert(opened.map(Arc::new));
            }
            if let Some(file) = &files[&physical] {
                self.values.insert(
                    number,
                    ValueFileState {
                        number,
                        facts,
                        file: file.clone(),
                    },
                );
            }
        }
        Ok(())
    }

    /// Opens a value file that the manifest names: `facts` where it is none that was collected. None where it is missing, or
    /// its map is lost, without which nothing is found in it.
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
        let (bytes, sealed) = (
            file.bytes()?,
            facts.and_then(|facts| facts.sealed_bytes).unwrap_or(0),
        );
        if bytes < sealed {
            let loss = Loss::new(
                &path,
                bytes,
                format!("the file ends here, and had {sealed} bytes"),
            );
            self.report.losses.push(Loss {
                bytes: Some(sealed - bytes),
                ..loss
            });
        }
        Ok(Some(file))
    }

    fn open_value_file(&self, number: u64) -> Result<(ValueFile, Arc<dyn File>)> {
        let path = FileKind::Values.path(self.directory, number);
        let file = self
            .env
            .fs
            .open(&path)
            .map_err(|error| Error::io("open", &path, error))?;
        Ok((
            ValueFile::new(number, path, file.clone(), self.env.fs.clone()),
            file,
        ))
    }

    /// Opens every value file that is here. One with a map says of itself which files it holds; where several hold the same
    /// one, that is taken which was copied last, unless it does not read back.
    async fn discover_values(&mut self) -> Result<()> {
        let mut found: BTreeMap<u64, Vec<ValueFileState>> = BTreeMap::new();
        for number in self.found(FileKind::Values) {
            let (whole, file) = self.open_value_file(number)?;
            let path = whole.path().to_path_buf();
            let file = match whole.read_map().await {
                Ok(collected) => Arc::new(collected),
                Err(error) if error.is_damage() => {
                    Arc::new(ValueFile::new(number, path, file, self.env.fs.clone()))
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

    /// Books of each value file what nothing points at any more, as traced from `tables`. Only where the logs stay can there
    /// be files that are not sealed: recovery walks those from where they are settled. Where the manifest was lost, files
    /// that nothing points at go.
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
                // The tables that hold what the logs held outlive the logs, and so must what they point at.
                state.file.sync().await?;
                state.facts.sealed_bytes = Some(0);
            }
            if state.is_sealed() && !state.file.is_collected() {
                // What is left of a file that lost its end is all of it.
                state.facts.sealed_bytes = Some(state.file.bytes()?.max(MAGIC.len() as u64));
            }
            let runs = if state.is_sealed() {
                state.runs()?
            } else {
                vec![(MAGIC.len() as u64, state.facts.settled)]
            };
            let mut live = Extents::default();
            // Where entries point at overlapping frames, which cannot be, all of the file is kept.
            let dead = if live.add(frames) {
                runs.iter()
                    .flat_map(|run| live.gaps(run.0, run.1))
                    .collect()
            } else {
                vec![]
            };
            let mut booked = Extents::default();
            let _is_disjoint = booked.add(dead);
            state.facts.dead = Arc::new(booked);
            kept.insert(number, state);
        }
        if rebuilt {
            let used = |file: u64| {
                kept.values()
                    .any(|state: &ValueFileState| state.file.number == file)
            };
            let unused = self
                .found(FileKind::Values)
                .into_iter()
                .filter(|file| !used(*file));
            self.discarded.extend(
                unused
                    .map(|file| FileKind::Values.name(file))
                    .collect::<Vec<_>>(),
            );
        }
        self.values = kept;
        Ok(())
    }
}

/// Whether what a file on disk holds of a value file is one sound frame after the other.
async fn reads_back(state: &ValueFileState) -> Result<bool> {
    for (start, end) in state.runs()? {
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
