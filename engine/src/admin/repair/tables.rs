//! Each table as a repair finds it: sound, or to be written again from what is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use aura_policies::facts::TableFacts;

use super::write::TableSink;
use super::{Loss, Repair};
use crate::directory::FileKind;
use crate::error::{Error, Result};
use crate::manifest::AddedTable;
use crate::storage::{Entry, Key, Sequence};
use crate::table::{Salvage, Table};

impl Repair<'_> {
    /// A listed table, or what it is replaced by.
    pub(super) async fn examine(
        &mut self,
        listed: &AddedTable,
        known: bool,
    ) -> Result<Vec<Arc<Table>>> {
        let id = listed.facts.id;
        let path = FileKind::Table.path(self.directory, id);
        match self.open_sound(listed, known).await {
            Ok((table, values)) => {
                if self.lost_values(&values).await?.is_empty() {
                    self.report.tables_sound += 1;
                    self.report.entries_kept += table.facts().entries;
                    return Ok(vec![table]);
                }
            }
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                let loss = lost_table(&path, &listed.facts, "the table is missing");
                self.report.losses.push(loss);
                return Ok(Vec::new());
            }
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
        self.discarded.insert(FileKind::Table.name(id));
        if known && self.is_another_table(listed).await? {
            let what = "the file holds another table, whole; the one that belongs here is lost";
            self.report
                .losses
                .push(lost_table(&path, &listed.facts, what));
            return Ok(Vec::new());
        }
        self.report.tables_salvaged += 1;
        self.salvage(&path, known.then_some(&*listed.facts)).await
    }

    /// Opens a table and checks all of it; with what its entries point at.
    async fn open_sound(
        &mut self,
        listed: &AddedTable,
        known: bool,
    ) -> Result<(Arc<Table>, Vec<Entry>)> {
        let (fs, id) = (self.env.fs.clone(), listed.facts.id);
        let path = FileKind::Table.path(self.directory, id);
        let table = if known {
            let file = fs
                .open(&path)
                .map_err(|error| Error::io("open", &path, error))?;
            Table::open(fs, file, path, listed.facts.clone(), &mut self.context).await?
        } else {
            Table::discover(fs, path, id, &mut self.context).await?
        };
        let mut values = Vec::new();
        table
            .verify(&mut self.context, |entry| {
                values.extend(entry.pointer().map(|_| detached(entry)))
            })
            .await?;
        Ok((Arc::new(table), values))
    }

    /// Whether the file of a listed table is a sound one that the manifest does not mean here.
    async fn is_another_table(&mut self, listed: &AddedTable) -> Result<bool> {
        let id = listed.facts.id;
        let path = FileKind::Table.path(self.directory, id);
        match Table::discover(self.env.fs.clone(), path, id, &mut self.context).await {
            Ok(table) => Ok(**table.facts() != *listed.facts),
            Err(error) if error.is_damage() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The entries of `values` whose values are not there, by value file.
    async fn lost_values<'e>(
        &mut self,
        values: &'e [Entry],
    ) -> Result<BTreeMap<u64, Vec<&'e Entry>>> {
        let mut lost: BTreeMap<u64, Vec<&Entry>> = BTreeMap::new();
        for entry in values {
            let Some(pointer) = entry.pointer() else {
                continue;
            };
            let sound = match self.values.get(&pointer.file) {
                Some(state) => match state.get(&entry.key, &pointer, &mut self.context).await {
                    Ok(_) => true,
                    Err(error) if error.is_damage() => false,
                    Err(error) => return Err(error),
                },
                None => false,
            };
            if !sound {
                lost.entry(pointer.file).or_default().push(entry);
            }
        }
        Ok(lost)
    }

    /// Drops the entries whose values are lost, and tells of them.
    pub(super) async fn without_lost_values(
        &mut self,
        holder: &Path,
        entries: Vec<Entry>,
    ) -> Result<Vec<Entry>> {
        let lost = self.lost_values(&entries).await?;
        let name = holder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut dropped: BTreeSet<(Key, Sequence)> = BTreeSet::new();
        for (file, entries) in lost {
            let path = match self.values.get(&file) {
                Some(state) => state.file.path().to_owned(),
                None => FileKind::Values.path(self.directory, file),
            };
            let pointers: Vec<_> = entries.iter().filter_map(|entry| entry.pointer()).collect();
            let offset = pointers
                .iter()
                .map(|pointer| pointer.offset)
                .min()
                .unwrap_or(0);
            let loss = Loss::new(&path, offset, format!("values that {name} points at"));
            let bytes = pointers
                .iter()
                .map(|pointer| u64::from(pointer.stored_bytes))
                .sum();
            let loss = Loss {
                bytes: Some(bytes),
                entries: Some(entries.len() as u64),
                ..loss
            };
            let keys = || entries.iter().map(|entry| &entry.key);
            self.tell_lost_values(loss.keys(keys().min(), keys().max()));
            dropped.extend(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.sequence)),
            );
        }
        Ok(entries
            .into_iter()
            .filter(|entry| !dropped.contains(&(entry.key.clone(), entry.sequence)))
            .collect())
    }

    /// Tells of lost values. What one table has lost in one file is told as one: its blocks come in the order of their keys.
    fn tell_lost_values(&mut self, loss: Loss) {
        let told = self
            .report
            .losses
            .iter_mut()
            .find(|told| (&told.file, &told.what) == (&loss.file, &loss.what));
        let Some(told) = told else {
            return self.report.losses.push(loss);
        };
        let sum = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
        told.offset = told.offset.min(loss.offset);
        (told.bytes, told.entries) = (sum(told.bytes, loss.bytes), sum(told.entries, loss.entries));
        told.last = loss.last;
    }

    /// Writes a damaged table again from what is sound of it.
    async fn salvage(
        &mut self,
        path: &Path,
        facts: Option<&TableFacts>,
    ) -> Result<Vec<Arc<Table>>> {
        let salvage = Salvage::open(&*self.env.fs, path, &mut self.context).await?;
        let mut sink = TableSink::new(usize::from(facts.is_none()));
        let mut last: Option<Entry> = None;
        // Damage since the last sound block.
        let mut lost: Vec<Loss> = Vec::new();
        let mut told = 0;
        for place in &salvage.places {
            let entries = salvage.entries(place, &mut self.context).await?;
            let follows = |entries: &Vec<Entry>| {
                let in_order = last
                    .as_ref()
                    .is_none_or(|last| last.order(&entries[0]).is_lt());
                in_order && facts.is_none_or(|facts| belong_to(entries, facts))
            };
            let Some(entries) = entries.filter(follows) else {
                let loss = Loss::new(path, place.span.start, "a data block does not read back");
                let bytes = Some(place.span.end - place.span.start);
                told += place.entries.unwrap_or(0);
                lost.push(Loss {
                    bytes,
                    entries: place.entries,
                    ..loss
                });
                continue;
            };
            let before = last
                .as_ref()
                .map(|it| &it.key)
                .or(facts.map(|it| &it.smallest));
            self.report.losses.extend(
                lost.drain(..)
                    .map(|loss| loss.keys(before, Some(&entries[0].key))),
            );
            (last, told) = (entries.last().map(detached), told + entries.len() as u64);
            let kept = self.without_lost_values(path, entries).await?;
            self.report.entries_kept += kept.len() as u64;
            if !self.report.dry_run {
                for entry in &kept {
                    sink.add(self, entry).await?;
                }
            }
        }
        let missing = facts.map(|facts| facts.entries.saturating_sub(told));
        if let Some(unknown) = &salvage.unknown
            && missing != Some(0)
        {
            let loss = Loss::new(
                path,
                unknown.start,
                "neither the index nor a data block from here on reads back",
            );
            lost.push(Loss {
                bytes: Some(unknown.end - unknown.start),
                entries: missing,
                ..loss
            });
        }
        let before = last
            .as_ref()
            .map(|it| &it.key)
            .or(facts.map(|it| &it.smallest));
        let after = facts.map(|it| &it.largest);
        self.report
            .losses
            .extend(lost.into_iter().map(|loss| loss.keys(before, after)));
        sink.finish(self).await
    }
}

/// Whether entries can be of the table that `facts` describe: others are of another table, whose
/// bytes came into its file.
fn belong_to(entries: &[Entry], facts: &TableFacts) -> bool {
    let sequences = facts.sequence_min..=facts.sequence_max;
    entries.iter().all(|entry| {
        (&facts.smallest..=&facts.largest).contains(&&entry.key)
            && sequences.contains(&entry.sequence)
    })
}

/// The loss of a whole table.
fn lost_table(path: &Path, facts: &TableFacts, what: &str) -> Loss {
    let loss = Loss {
        entries: Some(facts.entries),
        bytes: Some(facts.bytes),
        ..Loss::new(path, 0, what)
    };
    loss.keys(Some(&facts.smallest), Some(&facts.largest))
}

/// The entry in memory of its own, not its block's.
fn detached(entry: &Entry) -> Entry {
    let copy = Key::copy_from_slice;
    Entry {
        key: copy(&entry.key),
        value: copy(&entry.value),
        ..*entry
    }
}
