//! The registry of a database's indexes as rows: one per table, and one for the tables of a level
//! that share an index.

use std::collections::BTreeSet;

use aura_engine::{IndexRegistry, IndexReport, IndexUse, LevelIndexes, TableModel};

use crate::formats::{Cell, Column, Table, column};
use crate::plot::{LevelBar, LevelPanel};

/// The name of the index that others are compared with in figures.
pub const PLAIN_FENCE: &str = "plain fence pointers (would take)";

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    ratio(part, whole).map(|ratio| ratio * 100.0)
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

fn seconds(nanos: f64) -> f64 {
    nanos / 1e9
}

/// The table's model; `None` if fence pointers serve.
fn model_of(table: &TableModel) -> Option<&IndexReport> {
    (table.index.used == IndexUse::Model).then_some(&table.index)
}

/// The columns of tables.
fn table_columns() -> [Column<TableModel>; 19] {
    [
        column("level", |it| (it.level as u64).into()),
        column("table", |it| it.table.into()),
        column("index", |it| it.index.parameters.as_str().into()),
        column("used", |it| match it.index.used {
            IndexUse::Fence => "fence".into(),
            IndexUse::Model => "model".into(),
        }),
        column("keys", |it| it.index.keys.into()),
        column("blocks", |it| it.index.blocks.into()),
        column("index_bytes", |it| it.index.memory_bytes.into()),
        column("percent_of_fence", |it| {
            Cell::number(percent(it.index.memory_bytes, it.index.fence_bytes))
        }),
        column("segments", |it| {
            model_of(it).map(|model| model.segments).into()
        }),
        column("error_max", |it| {
            model_of(it).map(|model| model.error_max).into()
        }),
        column("error_mean", |it| {
            Cell::number(model_of(it).map(|model| model.error_mean_milli as f64 / 1e3))
        }),
        column("error_p99", |it| {
            model_of(it).map(|model| model.error_p99).into()
        }),
        column("error_in", |it| {
            let unit = |by_block| if by_block { "blocks" } else { "entries" };
            model_of(it).map(|model| unit(model.by_block)).into()
        }),
        column("training_ms", |it| {
            Cell::number(millis(it.index.training_nanos))
        }),
        column("lookups_found", |it| it.lookups.found.into()),
        column("lookups_absent", |it| it.lookups.absent.into()),
        column("probes_per_lookup", |it| {
            let lookups = it.lookups.found + it.lookups.absent;
            Cell::number(ratio(it.lookups.probes, lookups))
        }),
        column("life_s", |it| {
            Cell::number(seconds(it.lookups.life_nanos as f64))
        }),
        column("refused", |it| it.index.refused.clone().into()),
    ]
}

/// Lays out one row per table, the newest data first.
pub fn tables(registry: &IndexRegistry) -> Table {
    Table::of(&table_columns(), &registry.tables)
}

/// The tables of a level that were built under one index.
struct LevelRow<'a> {
    level: &'a LevelIndexes,
    /// What fence pointers would take for those that are in use.
    fence_bytes: u64,
}

/// The columns of levels. Tables that compactions have replaced are `gone`.
fn level_columns<'a>() -> [Column<LevelRow<'a>>; 17] {
    [
        column("level", |it| (it.level.level as u64).into()),
        column("index", |it| it.level.kind.index.as_str().into()),
        column("tables", |it| it.level.kind.live.tables.into()),
        column("models", |it| it.level.kind.live.models.into()),
        column("refused", |it| it.level.kind.live.refused.into()),
        column("keys", |it| it.level.kind.live.keys.into()),
        column("index_bytes", |it| it.level.kind.live.index_bytes.into()),
        column("bytes_per_key", |it| {
            let live = &it.level.kind.live;
            Cell::number(ratio(live.index_bytes, live.keys))
        }),
        column("percent_of_fence", |it| {
            Cell::number(percent(it.level.kind.live.index_bytes, it.fence_bytes))
        }),
        column("training_ms", |it| {
            Cell::number(millis(it.level.kind.live.training_nanos))
        }),
        column("lookups_found", |it| it.level.kind.live.found.into()),
        column("lookups_absent", |it| it.level.kind.live.absent.into()),
        column("probes_per_lookup", |it| {
            let live = &it.level.kind.live;
            Cell::number(ratio(live.probes, live.found + live.absent))
        }),
        column("gone_tables", |it| it.level.kind.dead.tables.into()),
        column("gone_training_ms", |it| {
            Cell::number(millis(it.level.kind.dead.training_nanos))
        }),
        column("gone_lookups", |it| it.level.kind.dead.lookups().into()),
        column("gone_mean_life_s", |it| {
            let gone = &it.level.kind.dead;
            Cell::number(ratio(gone.life_nanos, gone.tables).map(seconds))
        }),
    ]
}

/// Lays out one row for the tables of a level that were built under one index: those in use, and
/// those that compactions have replaced.
pub fn levels(registry: &IndexRegistry) -> Table {
    let row = |level| LevelRow {
        level,
        fence_bytes: of_level(registry, level)
            .map(|index| index.fence_bytes)
            .sum(),
    };
    let rows: Vec<LevelRow> = registry.levels.iter().map(row).collect();
    Table::of(&level_columns(), &rows)
}

/// The tables of a level under one index.
fn of_level<'a>(
    registry: &'a IndexRegistry,
    level: &'a LevelIndexes,
) -> impl Iterator<Item = &'a IndexReport> {
    let tables = registry.tables.iter();
    tables
        .filter(|table| table.level == level.level)
        .map(|table| &table.index)
        .filter(|index| index.parameters == level.kind.index)
}

/// Lists what is drawn, level by level: memory beside that of fence pointers, blocks per look-up,
/// and the largest error. A panel without a value is left out.
pub fn panels(registry: &IndexRegistry) -> Vec<LevelPanel> {
    let mut memory = LevelPanel::new("index memory (bytes per key)", None);
    let mut probes = LevelPanel::new("data blocks examined a look-up", Some(1.0));
    let mut errors = LevelPanel::new("largest error of models (entries)", None);
    for level in &registry.levels {
        let live = &level.kind.live;
        if live.tables == 0 {
            continue;
        }
        let bar = |value: f64| LevelBar {
            level: level.level,
            index: level.kind.index.clone(),
            value,
        };
        memory
            .bars
            .extend(ratio(live.index_bytes, live.keys).map(bar));
        probes
            .bars
            .extend(ratio(live.probes, live.lookups()).map(bar));
        let models = of_level(registry, level)
            .filter(|index| index.used == IndexUse::Model && !index.by_block);
        let error = models.map(|model| model.error_max).max();
        errors.bars.extend(error.map(|error| bar(f64::from(error))));
    }
    memory.bars.extend(fence_bars(registry));
    let mut panels = vec![memory, probes, errors];
    panels.retain(|panel| !panel.bars.is_empty());
    panels
}

/// What fence pointers would take, level by level.
fn fence_bars(registry: &IndexRegistry) -> Vec<LevelBar> {
    let levels: BTreeSet<usize> = registry.tables.iter().map(|table| table.level).collect();
    let mut bars = Vec::new();
    for level in levels {
        let mut bytes = 0;
        let mut keys = 0;
        for table in registry.tables.iter().filter(|table| table.level == level) {
            bytes += table.index.fence_bytes;
            keys += table.index.keys;
        }
        bars.extend(ratio(bytes, keys).map(|value| LevelBar {
            level,
            index: PLAIN_FENCE.to_owned(),
            value,
        }));
    }
    bars
}

#[cfg(test)]
mod tests {
    use aura_engine::{Refusal, TableLookups};
    use aura_policies::tuner::{KindFacts, Observed};

    use super::*;
    use crate::formats::Format;

    /// Two tables on level 1: one served by a model, one whose model was refused.
    fn registry() -> IndexRegistry {
        let table = |number: u64, index: IndexReport| TableModel {
            level: 1,
            table: number,
            index: IndexReport {
                parameters: "pgm(epsilon=8)".to_owned(),
                keys: 1000,
                fence_bytes: 800,
                ..index
            },
            lookups: TableLookups {
                found: 30,
                absent: 10,
                probes: 50,
                life_nanos: 2_000_000_000,
            },
        };
        let model = IndexReport {
            used: IndexUse::Model,
            memory_bytes: 200,
            segments: 3,
            error_max: 9,
            error_p99: 8,
            error_mean_milli: 2500,
            training_nanos: 1_500_000,
            ..IndexReport::default()
        };
        let refused = IndexReport {
            memory_bytes: 600,
            refusal: Some(Refusal::TooLarge),
            refused: Some("too-large: 900 of 800 bytes".to_owned()),
            ..IndexReport::default()
        };
        let live = Observed {
            tables: 2,
            models: 1,
            refused: 1,
            keys: 2000,
            index_bytes: 800,
            found: 60,
            absent: 20,
            probes: 100,
            ..Observed::default()
        };
        let dead = Observed {
            tables: 4,
            life_nanos: 2_000_000_000,
            ..Observed::default()
        };
        IndexRegistry {
            version: 1,
            levels: vec![LevelIndexes {
                level: 1,
                kind: KindFacts {
                    index: "pgm(epsilon=8)".to_owned(),
                    dead,
                    live,
                },
            }],
            tables: vec![table(7, model), table(6, refused)],
        }
    }

    #[test]
    fn rows_say_what_the_registry_says() {
        let text = tables(&registry()).text(Format::Csv);
        let rows: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            rows,
            [
                "1,7,pgm(epsilon=8),model,1000,0,200,25,3,9,2.5,8,entries,1.5,30,10,1.25,2,",
                "1,6,pgm(epsilon=8),fence,1000,0,600,75,,,,,,0,30,10,1.25,2,\
                 too-large: 900 of 800 bytes",
            ]
        );
        let text = levels(&registry()).text(Format::Csv);
        assert_eq!(
            text.lines().nth(1),
            Some("1,pgm(epsilon=8),2,1,1,2000,800,0.4,50,0,60,20,1.25,4,0,0,0.5")
        );
    }

    #[test]
    fn figures_show_levels_and_leave_out_what_has_no_value() {
        let values = |registry: &IndexRegistry| -> Vec<Vec<f64>> {
            let values = |panel: &LevelPanel| panel.bars.iter().map(|bar| bar.value).collect();
            panels(registry).iter().map(values).collect()
        };
        assert_eq!(values(&registry()), [vec![0.4, 0.8], vec![1.25], vec![9.0]]);
        let mut unread = registry();
        let live = &mut unread.levels[0].kind.live;
        live.probes = 0;
        live.found = 0;
        live.absent = 0;
        unread.tables.remove(0);
        assert_eq!(
            values(&unread),
            [vec![0.4, 0.8]],
            "neither look-ups nor models"
        );
        assert!(values(&IndexRegistry::default()).is_empty());
    }
}
