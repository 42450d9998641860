//! Examines each table: it is sound, or is written again from what is sound of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use aura_policies::facts::TableFacts;

use super::write::TableSink;
use super::{Loss, Repair};
use crate::directory::{FileKind, Files};
use crate::error::{Error, Result};
use crate::manifest::AddedTable;
use crate::storage::{Entry, Key, Sequence};
use crate::table::{Salvage, Table};

impl Repair<'_> {
    /// Returns a listed table, or the tables that replace it.
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
            let what = "the file holds another sound table; the one that belongs here is lost";
            let loss = lost_table(&path, &listed.facts, what);
            self.report.losses.push(loss);
            return Ok(Vec::new());
        }
        self.report.tables_salvaged += 1;
        self.salvage(&path, known.then_some(&*listed.facts)).await
    }

    /// Opens a table and checks all of it. Returns it with its entries that point to values.
    async fn open_sound(
        &mut self,
        listed: &AddedTable,
        known: bool,
    ) -> Result<(Arc<Table>, Vec<Entry>)> {
        let fs = self.env.fs.clone();
        let id = listed.facts.id;
        let path = FileKind::Table.path(self.directory, id);
        let table = if known {
            let file = Files::of(self.env).open(&path)?;
            Table::open(fs, file, listed.facts.clone(), &mut self.context).await?
        } else {
            Table::discover(fs, &path, id, &mut self.context).await?
        };
        let mut values = Vec::new();
        let check = table.verify(&mut self.context, |entry| {
            if entry.pointer().is_some() {
                values.push(detached(entry));
            }
        });
        check.await?;
        Ok((Arc::new(table), values))
    }

    /// Returns whether the file of a listed table holds a sound table other than the listed one.
    async fn is_another_table(&mut self, listed: &AddedTable) -> Result<bool> {
        let id = listed.facts.id;
        let path = FileKind::Table.path(self.directory, id);
        match Table::discover(self.env.fs.clone(), &path, id, &mut self.context).await {
            Ok(table) => Ok(**table.facts() != *listed.facts),
            Err(error) if error.is_damage() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the entries of `values` whose values are lost, by value file.
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

    /// Drops the entries whose values are lost, and reports them.
    pub(super) async fn without_lost_values(
        &mut self,
        holder: &Path,
        entries: Vec<Entry>,
    ) -> Result<Vec<Entry>> {
        let lost = self.lost_values(&entries).await?;
        let name = holder.file_name().unwrap_or_default().to_string_lossy();
        let mut dropped: BTreeSet<(Key, Sequence)> = BTreeSet::new();
        for (file, entries) in lost {
            let path = match self.values.get(&file) {
                Some(state) => state.file.path().to_owned(),
                None => FileKind::Values.path(self.directory, file),
            };
            let mut offset = u64::MAX;
            let mut bytes = 0;
            for pointer in entries.iter().filter_map(|entry| entry.pointer()) {
                offset = offset.min(pointer.offset);
                bytes += u64::from(pointer.stored_bytes);
            }
            let loss = Loss {
                bytes: Some(bytes),
                entries: Some(entries.len() as u64),
                ..Loss::new(&path, offset, format!("values that {name} points to"))
            };
            let keys = || entries.iter().map(|entry| &entry.key);
            self.report_lost_values(loss.keys(keys().min(), keys().max()));
            for entry in entries {
                dropped.insert((entry.key.clone(), entry.sequence));
            }
        }
        let mut kept = entries;
        kept.retain(|entry| !dropped.contains(&(entry.key.clone(), entry.sequence)));
        Ok(kept)
    }

    /// Reports lost values. Losses of one table in one file are merged; its blocks come in the
    /// order of their keys.
    fn report_lost_values(&mut self, loss: Loss) {
        let mut losses = self.report.losses.iter_mut();
        let known = losses.find(|known| known.file == loss.file && known.what == loss.what);
        let Some(known) = known else {
            return self.report.losses.push(loss);
        };
        let sum = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
        known.offset = known.offset.min(loss.offset);
        known.bytes = sum(known.bytes, loss.bytes);
        known.entries = sum(known.entries, loss.entries);
        known.last = loss.last;
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
        // Entries accounted for: read back, or reported as lost.
        let mut accounted = 0;
        for place in &salvage.places {
            let entries = salvage.entries(place, &mut self.context).await?;
            let follows = |entries: &Vec<Entry>| {
                let last = last.as_ref();
                let in_order = last.is_none_or(|last| last.order(&entries[0]).is_lt());
                in_order && facts.is_none_or(|facts| belong_to(entries, facts))
            };
            let Some(entries) = entries.filter(follows) else {
                let loss = Loss::new(path, place.span.start, "a data block does not read back");
                let bytes = Some(place.span.end - place.span.start);
                accounted += place.entries.unwrap_or(0);
                lost.push(Loss {
                    bytes,
                    entries: place.entries,
                    ..loss
                });
                continue;
            };
            let before = last_key(last.as_ref(), facts);
            for loss in lost.drain(..) {
                let loss = loss.keys(before, Some(&entries[0].key));
                self.report.losses.push(loss);
            }
            last = entries.last().map(detached);
            accounted += entries.len() as u64;
            let kept = self.without_lost_values(path, entries).await?;
            self.report.entries_kept += kept.len() as u64;
            if !self.report.dry_run {
                for entry in &kept {
                    sink.add(self, entry.into()).await?;
                }
            }
        }
        let missing = facts.map(|facts| facts.entries.saturating_sub(accounted));
        if let Some(unknown) = &salvage.unknown
            && missing != Some(0)
        {
            let what = "neither the index nor a data block from here on reads back";
            let loss = Loss::new(path, unknown.start, what);
            lost.push(Loss {
                bytes: Some(unknown.end - unknown.start),
                entries: missing,
                ..loss
            });
        }
        let before = last_key(last.as_ref(), facts);
        let after = facts.map(|it| &it.largest);
        for loss in lost {
            self.report.losses.push(loss.keys(before, after));
        }
        sink.finish(self).await
    }
}

/// Returns the key behind which a loss lies: that of the last sound entry, or the table's first.
fn last_key<'a>(last: Option<&'a Entry>, facts: Option<&'a TableFacts>) -> Option<&'a Key> {
    let last = last.map(|entry| &entry.key);
    last.or(facts.map(|facts| &facts.smallest))
}

/// Returns whether entries can belong to the table that `facts` describe. Others come from another
/// table, whose bytes got into its file.
fn belong_to(entries: &[Entry], facts: &TableFacts) -> bool {
    let sequences = facts.sequence_min..=facts.sequence_max;
    entries.iter().all(|entry| {
        (&facts.smallest..=&facts.largest).contains(&&entry.key)
            && sequences.contains(&entry.sequence)
    })
}

/// Returns the loss of a whole table.
fn lost_table(path: &Path, facts: &TableFacts, what: &str) -> Loss {
    let loss = Loss {
        entries: Some(facts.entries),
        bytes: Some(facts.bytes),
        ..Loss::new(path, 0, what)
    };
    loss.keys(Some(&facts.smallest), Some(&facts.largest))
}

/// Returns a copy of the entry in memory of its own, so that its block can be dropped.
fn detached(entry: &Entry) -> Entry {
    let copy = Key::copy_from_slice;
    Entry {
        key: copy(&entry.key),
        value: copy(&entry.value),
        ..*entry
    }
}
