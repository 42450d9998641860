//! A table being written by a flush or a compaction.

use std::sync::Arc;

use aura_policies::facts::{TableFacts, TableId};
use aura_policies::filter::{FilterFacts, LevelLoad};
use aura_policies::warming::{Asks, Warming};

use super::index_choice::index_for;
use super::new_files::NewFile;
use super::warm::{NewTable, warm};
use crate::cache::Inputs;
use crate::context::LEVELS_COUNTED;
use crate::directory::{FileKind, Files, NamedFile};
use crate::env::CpuWork;
use crate::error::Result;
use crate::index::{IndexReport, IndexUse, Refusal};
use crate::limiter::Priority;
use crate::metrics::add;
use crate::state::{Core, Tree};
use crate::storage::EntryRef;
use crate::table::{Built, Table, TableBuilder, TableOptions};

/// Where tables go, and for which kind of job they are written.
#[derive(Clone)]
pub(super) struct TableTarget {
    /// The level. Tables of level 0 are flushed; compactions never write there: a plan that would
    /// is refused.
    pub(super) level: usize,
    /// The deepest level of the tree.
    pub(super) deepest: usize,
    /// What enters the cache.
    pub(super) warming: Arc<dyn Warming>,
    /// Who asks for the I/O.
    pub(super) priority: Priority,
}

/// A table being written. It is removed when this is dropped before it is finished.
pub(super) struct TableWriter<'a> {
    core: &'a Core,
    id: TableId,
    target: TableTarget,
    builder: TableBuilder,
    file: NamedFile,
    unfinished: NewFile,
    /// Bytes that the I/O limit has granted.
    granted: u64,
}

impl<'a> TableWriter<'a> {
    /// Begins a table.
    pub(super) fn begin(core: &'a Core, tree: &Tree, target: TableTarget) -> Result<Self> {
        let id = tree.new_number();
        let path = FileKind::Table.path(core.directory(), id);
        let file = Files::of(core.env()).create(&path)?;
        let unfinished = NewFile::new(&core.env().fs, &path);
        let config = core.config();
        let table = config.table.at(target.level);
        let policies = core.policies();
        let (filter, filter_name) = match policies.own_filter(target.level) {
            Some(own) => (&own.policy, &own.spec.policy),
            None => (&policies.tables(target.level).filter, &table.filter.policy),
        };
        let options = TableOptions {
            block_bytes: table.block.as_u64() as usize,
            compression: table.compression,
            filter: filter.clone(),
            filter_name: filter_name.clone(),
            index: index_for(core, tree, target.level, target.deepest)?,
            facts: FilterFacts {
                level: target.level,
                deepest: target.deepest,
                levels: level_loads(core, tree),
            },
            keeps_cuts: target.warming.asks() != Asks::Nothing,
        };
        let builder = TableBuilder::new(file.clone(), Arc::new(options));
        Ok(Self {
            core,
            id,
            target,
            builder,
            file,
            unfinished,
            granted: 0,
        })
    }

    /// Adds the next entry in internal order. `inputs` are the blocks that a compaction has read.
    pub(super) async fn add(
        &mut self,
        entry: EntryRef<'_>,
        inputs: &mut Option<Inputs>,
        work: &mut CpuWork,
    ) -> Result<()> {
        self.builder.add(entry, work).await?;
        let appended = self.builder.appended_bytes();
        if appended > self.granted {
            let bytes = appended - self.granted;
            self.core.limit_io(self.target.priority, bytes).await;
            self.granted = appended;
        }
        let blocks = self.builder.take_cuts();
        let warming = &*self.target.warming;
        warm(self.core.cache(), warming, &self.table(), blocks, inputs);
        Ok(())
    }

    fn table(&self) -> NewTable {
        NewTable {
            id: self.id,
            level: self.target.level,
        }
    }

    /// Bytes written so far, about.
    pub(super) fn bytes(&self) -> u64 {
        self.builder.file_bytes()
    }

    /// Ends the table, makes it durable and opens it.
    pub(super) async fn finish(
        self,
        inputs: &mut Option<Inputs>,
        work: &mut CpuWork,
    ) -> Result<Arc<Table>> {
        let core = self.core;
        let table = self.table();
        let built: Built = self.builder.finish(work).await?;
        let bytes = built.bytes - self.granted;
        core.limit_io(self.target.priority, bytes).await;
        let warming = &*self.target.warming;
        warm(core.cache(), warming, &table, built.cuts, inputs);
        self.file.sync().await?;
        self.file.file().finish();
        count_index(core, &built.index);
        let facts = Arc::new(TableFacts {
            id: table.id,
            bytes: built.bytes,
            entries: built.entries,
            deletions: built.deletions,
            separated_bytes: built.separated_bytes,
            smallest: built.smallest,
            largest: built.largest,
            sequence_min: built.sequence_min,
            sequence_max: built.sequence_max,
        });
        let mut context = core.context();
        let fs = core.env().fs.clone();
        let table = Table::open(fs, self.file, facts, &mut context).await?;
        if let Some(sequence) = built.oldest_deletion {
            table.set_oldest_deletion(sequence);
        }
        context.charge();
        self.unfinished.keep();
        Ok(Arc::new(table))
    }
}

/// What filter policies see of the tree as it is now. O(tables).
fn level_loads(core: &Core, tree: &Tree) -> Vec<LevelLoad> {
    let fruitless = core.counters().counts().level_fruitless;
    let levels = &tree.load().version.levels;
    let loads = levels.iter().zip(0..).map(|(level, number)| {
        let tables = level.runs.iter().flat_map(|run| &run.tables);
        LevelLoad {
            entries: tables.map(|table| table.facts().entries).sum(),
            runs: level.runs.len() as u64,
            fruitless: fruitless[usize::min(number, LEVELS_COUNTED - 1)],
        }
    });
    loads.collect()
}

/// Counts what training the index of a new table took, and why there is no model.
fn count_index(core: &Core, index: &IndexReport) {
    let mine = core.counters().mine();
    if index.used == IndexUse::Model || index.refusal.is_some() {
        add(&mine.index_trained_keys, index.keys);
        add(&mine.index_training_nanos, index.training_nanos);
    }
    if let Some(reason) = index.refusal {
        add(&mine.index_refused, 1);
        let counter = match reason {
            Refusal::Declined => &mine.index_declined,
            Refusal::Wrong | Refusal::Unreadable => &mine.index_wrong,
            Refusal::TooLarge => &mine.index_too_large,
            Refusal::TooWide => &mine.index_too_wide,
        };
        add(counter, 1);
    }
}
