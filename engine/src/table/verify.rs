//! Reads a whole table from the device and checks all that can be checked without other files.

use super::hash_key;
use super::reader::{Meta, Table, Window};
use crate::context::ReadContext;
use crate::error::{Error, Result};
use crate::storage::{Entry, EntryKind};

/// What a check of a table found in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableAudit {
    /// Data blocks, each with the right checksum.
    pub blocks: u64,
    /// Entries, each in order, let through by the filter, and where the index says.
    pub entries: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Table {
    /// Checks every checksum, the order of the entries, that filter and index find each, and that the counts are those
    /// of the properties and of the manifest. Every entry is shown to `visit`, so that the caller can trace pointers.
    ///
    /// # Errors
    /// [`Error::Corruption`] for the first thing wrong, [`Error::Io`] where the file cannot be read.
    pub(crate) async fn verify(
        &self,
        context: &mut ReadContext<'_>,
        mut visit: impl FnMut(&Entry),
    ) -> Result<TableAudit> {
        let mut meta = self.read_meta(context).await?;
        meta.model_fault.take().map_or(Ok(()), Err)?;
        let mut window = Window::default();
        let mut audit = TableAudit {
            bytes: self.facts().bytes,
            ..TableAudit::default()
        };
        let (mut deletions, mut separated_bytes) = (0, 0);
        let mut last: Option<Entry> = None;
        for number in 0..self.block_count() {
            let at = self.span(&meta.index, number)?.start;
            let block = self
                .block_in(&meta.index, &mut window, number, context)
                .await?;
            audit.blocks += 1;
            for index in 0..block.len() {
                let entry = block
                    .entry(index)
                    .ok_or_else(|| self.damaged(at, "an entry is malformed"))?;
                let wrong = self.entry_fault(&meta, number, &entry, last.as_ref(), context);
                wrong.map_or(Ok(()), |what| Err(self.damaged(at, what)))?;
                audit.entries += 1;
                deletions += u64::from(entry.kind == EntryKind::Delete);
                separated_bytes += entry
                    .pointer()
                    .map_or(0, |pointer| u64::from(pointer.stored_bytes));
                visit(&entry);
                last = Some(entry);
            }
        }
        let facts = self.facts();
        let first_and_last = (
            &meta.properties.smallest,
            last.map(|entry| entry.key).unwrap_or_default(),
        );
        let found = (audit.entries, deletions, separated_bytes, first_and_last);
        let stated = (
            facts.entries,
            facts.deletions,
            facts.separated_bytes,
            (&facts.smallest, facts.largest.clone()),
        );
        if found != stated {
            return Err(Error::corruption(
                self.path(),
                0,
                "the entries are not those that the manifest describes",
            ));
        }
        Ok(audit)
    }

    /// What is wrong with an entry of block `number`, if anything is.
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
            return Some("a pointer does not read back");
        }
        if meta
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.may_contain(hash_key(&entry.key)))
        {
            return Some("the filter denies a key of the table");
        }
        // Versions of one key may go on in the next blocks, where a look-up follows them.
        let span = meta
            .index
            .candidates(&entry.key, true, &mut context.work)
            .span;
        let continued = last.is_some_and(|last| last.key == entry.key);
        if !(span.contains(&number) || continued && number >= span.end) {
            return Some("the index does not lead to a key of the table");
        }
        None
    }
}
