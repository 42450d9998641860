//! Verification: reads a whole table from the device and checks everything that needs no other
//! file.
//!
//! It does not use the cache, because a copy there may be intact while the file is damaged.

use bytes::Bytes;

use super::hash_key;
use super::reader::{Meta, Table, Window};
use crate::context::ReadContext;
use crate::error::{Error, Result};
use crate::storage::{Entry, EntryKind};

/// The amounts of data that a verification found intact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableAudit {
    /// Data blocks. Each has the right checksum.
    pub blocks: u64,
    /// Entries. Each is in order, passes the filter, and is in a block that the index leads to.
    pub entries: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// The sums over a table's entries, which its properties and the manifest state, too.
#[derive(Default, PartialEq, Eq)]
struct Totals {
    entries: u64,
    deletions: u64,
    separated_bytes: u64,
    smallest: Bytes,
    largest: Bytes,
}

impl Totals {
    /// Adds the next entry.
    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.deletions += u64::from(entry.kind == EntryKind::Delete);
        if let Some(pointer) = entry.pointer() {
            self.separated_bytes += u64::from(pointer.stored_bytes);
        }
    }
}

impl Table {
    /// Verifies the table: checksums, the order of the entries, filter, index, and the counts in
    /// the manifest.
    ///
    /// Every entry is passed to `visit`, so that the caller can check pointers.
    ///
    /// # Errors
    /// [`Error::Corruption`] for the first fault, [`Error::Io`] if the file cannot be read.
    pub(crate) async fn verify(
        &self,
        context: &mut ReadContext<'_>,
        mut visit: impl FnMut(&Entry),
    ) -> Result<TableAudit> {
        let mut meta = self.read_meta(context).await?;
        if let Some(fault) = meta.model_fault.take() {
            return Err(fault);
        }
        let mut window = Window::default();
        let mut audit = TableAudit {
            bytes: self.facts().bytes,
            ..TableAudit::default()
        };
        let mut found = Totals::default();
        let mut last: Option<Entry> = None;
        for number in 0..self.block_count() {
            let at = self.span(&meta.index, number)?.start;
            let block = self
                .block_in(&meta.index, &mut window, number, context)
                .await?;
            if !block.has_right_heads() {
                return Err(self.damaged(at, "the heads are not those of the keys"));
            }
            audit.blocks += 1;
            for index in 0..block.len() {
                let entry = block
                    .entry(index)
                    .ok_or_else(|| self.damaged(at, "an entry is malformed"))?;
                if let Some(what) = self.entry_fault(&meta, number, &entry, last.as_ref(), context)
                {
                    return Err(self.damaged(at, what));
                }
                audit.entries += 1;
                found.add(&entry);
                visit(&entry);
                last = Some(entry);
            }
        }
        found.smallest = meta.properties.smallest;
        found.largest = last.map(|entry| entry.key).unwrap_or_default();
        let facts = self.facts();
        let stated = Totals {
            entries: facts.entries,
            deletions: facts.deletions,
            separated_bytes: facts.separated_bytes,
            smallest: facts.smallest.clone(),
            largest: facts.largest.clone(),
        };
        if found != stated {
            let what = "the entries are not those that the manifest describes";
            return Err(Error::corruption(self.path(), 0, what));
        }
        Ok(audit)
    }

    /// Returns the fault of an entry of block `number`; None if it has none.
    fn entry_fault(
        &self,
        meta: &Meta,
        number: usize,
        entry: &Entry,
        last: Option<&Entry>,
        context: &mut ReadContext<'_>,
    ) -> Option<&'static str> {
        context.work.comparisons += 1;
        let facts = self.facts();
        let in_order = match last {
            Some(last) => last.order(entry).is_lt(),
            None => entry.key == facts.smallest,
        };
        if !in_order {
            return Some("an entry is not after the one before it");
        }
        if !(facts.sequence_min..=facts.sequence_max).contains(&entry.sequence) {
            return Some("a sequence number is outside the table's range");
        }
        if entry.kind == EntryKind::Pointer && entry.pointer().is_none() {
            return Some("a pointer cannot be decoded");
        }
        if let Some(filter) = &meta.filter
            && !filter.may_contain(hash_key(&entry.key))
        {
            return Some("the filter denies a key of the table");
        }
        // Versions of one key may continue in the blocks after the candidates. A look-up follows
        // them.
        let span = meta
            .index
            .candidates(&entry.key, true, &mut context.work)
            .span;
        let continued = last.is_some_and(|last| last.key == entry.key);
        let is_reachable = span.contains(&number) || (continued && number >= span.end);
        if !is_reachable {
            return Some("the index does not lead to a key of the table");
        }
        None
    }
}
