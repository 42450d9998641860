//! What the registry of models says, as rows: one a table, and one for the tables of a level that share an index.

use aura_engine::{IndexRegistry, IndexReport, IndexUse, TableLookups, TableModel};
use aura_policies::tuner::Observed;
use serde_json::Value;

use crate::compare::digits;
use crate::plot::{LevelBar, LevelPanel};
use crate::rows::{Cell, Rows};

/// The name of the index that others are held against, in figures.
pub const PLAIN_FENCE: &str = "plain fence pointers (would take)";

/// A number, where there is one.
fn number(value: Option<f64>) -> Cell {
    value.map_or_else(absent, |value| {
        Cell::new(Value::from(value), digits(value, 3))
    })
}

fn count(value: Option<u64>) -> Cell {
    value.map_or_else(absent, Cell::from)
}

fn absent() -> Cell {
    Cell::new(Value::Null, String::new())
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    ratio(part, whole).map(|ratio| ratio * 100.0)
}

/// Whole probes are kept in thousandths.
fn thousandths(value: u64) -> f64 {
    value as f64 / 1e3
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

fn serves(used: IndexUse) -> &'static str {
    match used {
        IndexUse::Fence => "fence",
        IndexUse::Model => "model",
    }
}

const TABLE_COLUMNS: [&str; 19] = [
    "level",
    "table",
    "index",
    "used",
    "keys",
    "blocks",
    "index_bytes",
    "percent_of_fence",
    "segments",
    "error_max",
    "error_mean",
    "error_p99",
    "error_in",
    "training_ms",
    "lookups_found",
    "lookups_absent",
    "probes_per_lookup",
    "life_s",
    "refused",
];

/// One row a table, the newest data first.
pub fn tables(registry: &IndexRegistry) -> Rows<{ TABLE_COLUMNS.len() }> {
    let mut rows = Rows::new(TABLE_COLUMNS);
    for TableModel {
        level,
        table,
        index,
        lookups,
    } in &registry.tables
    {
        let model = (index.used == IndexUse::Model).then_some(index);
        let TableLookups {
            found,
            absent: missed,
            probes,
            life_nanos,
        } = *lookups;
        let unit = model.map(|model| if model.by_block { "blocks" } else { "entries" });
        rows.push([
            (*level as u64).into(),
            (*table).into(),
            index.parameters.as_str().into(),
            serves(index.used).into(),
            index.keys.into(),
            index.blocks.into(),
            index.memory_bytes.into(),
            number(percent(index.memory_bytes, index.fence_bytes)),
            count(model.map(|model| model.segments)),
            count(model.map(|model| u64::from(model.error_max))),
            number(model.map(|model| thousandths(model.error_mean_milli))),
            count(model.map(|model| u64::from(model.error_p99))),
            unit.map_or_else(absent, Cell::from),
            number(Some(millis(index.training_nanos))),
            found.into(),
            missed.into(),
            number(ratio(probes, found + missed)),
            number(Some(life_nanos as f64 / 1e9)),
            index.refused.as_deref().map_or_else(absent, Cell::from),
        ]);
    }
    rows
}

const LEVEL_COLUMNS: [&str; 17] = [
    "level",
    "index",
    "tables",
    "models",
    "refused",
    "keys",
    "index_bytes",
    "bytes_per_key",
    "percent_of_fence",
    "training_ms",
    "lookups_found",
    "lookups_absent",
    "probes_per_lookup",
    "gone_tables",
    "gone_training_ms",
    "gone_lookups",
    "gone_mean_life_s",
];

/// One row for the tables of a level that were built under one index: those that live, and those that compactions have
/// replaced.
pub fn levels(registry: &IndexRegistry) -> Rows<{ LEVEL_COLUMNS.len() }> {
    let mut rows = Rows::new(LEVEL_COLUMNS);
    for it in &registry.levels {
        let Observed {
            tables,
            models,
            refused,
            keys,
            index_bytes,
            training_nanos,
            found,
            absent,
            probes,
            ..
        } = it.kind.live;
        let gone = &it.kind.dead;
        rows.push([
            (it.level as u64).into(),
            it.kind.index.as_str().into(),
            tables.into(),
            models.into(),
            refused.into(),
            keys.into(),
            index_bytes.into(),
            number(ratio(index_bytes, keys)),
            number(percent(
                index_bytes,
                sum(registry, it.level, &it.kind.index, |index| {
                    index.fence_bytes
                }),
            )),
            number(Some(millis(training_nanos))),
            found.into(),
            absent.into(),
            number(ratio(probes, found + absent)),
            gone.tables.into(),
            number(Some(millis(gone.training_nanos))),
            gone.lookups().into(),
            number(ratio(gone.life_nanos, gone.tables).map(|nanos| nanos / 1e9)),
        ]);
    }
    rows
}

/// The tables of a level under one index.
fn of<'a>(
    registry: &'a IndexRegistry,
    level: usize,
    index: &'a str,
) -> impl Iterator<Item = &'a IndexReport> {
    let tables = registry
        .tables
        .iter()
        .filter(move |table| table.level == level);
    tables
        .map(|table| &table.index)
        .filter(move |report| report.parameters == index)
}

fn sum(
    registry: &IndexRegistry,
    level: usize,
    index: &str,
    part: impl Fn(&IndexReport) -> u64,
) -> u64 {
    of(registry, level, index).map(part).sum()
}

/// What is drawn: memory beside that of fence pointers, blocks a look-up, and the largest error, level by level. A panel
/// without a value is left out.
pub fn panels(registry: &IndexRegistry) -> Vec<LevelPanel> {
    let mut memory = LevelPanel::new("index memory (bytes per key)", None);
    let mut probes = LevelPanel::new("data blocks examined a look-up", Some(1.0));
    let mut errors = LevelPanel::new("largest error of models (entries)", None);
    for it in registry.levels.iter().filter(|it| it.kind.live.tables > 0) {
        let (live, index) = (&it.kind.live, it.kind.index.as_str());
        let bar = |index: &str, value: f64| LevelBar {
            level: it.level,
            index: index.to_owned(),
            value,
        };
        memory
            .bars
            .extend(ratio(live.index_bytes, live.keys).map(|bytes| bar(index, bytes)));
        probes
            .bars
            .extend(ratio(live.probes, live.lookups()).map(|blocks| bar(index, blocks)));
        let models = of(registry, it.level, index)
            .filter(|index| index.used == IndexUse::Model && !index.by_block);
        errors.bars.extend(
            models
                .map(|model| model.error_max)
                .max()
                .map(|error| bar(index, f64::from(error))),
        );
    }
    let mut levels: Vec<usize> = registry.tables.iter().map(|table| table.level).collect();
    levels.dedup();
    for level in levels {
        let tables = || {
            registry
                .tables
                .iter()
                .filter(|table| table.level == level)
                .map(|table| &table.index)
        };
        let (bytes, keys) = (
            tables().map(|index| index.fence_bytes).sum(),
            tables().map(|index| index.keys).sum(),
        );
        let bar = |value| LevelBar {
            level,
            index: PLAIN_FENCE.to_owned(),
            value,
        };
        memory.bars.extend(ratio(bytes, keys).map(bar));
    }
    [memory, probes, errors]
        .into_iter()
        .filter(|panel| !panel.bars.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use aura_engine::{LevelIndexes, Refusal};
    use aura_policies::tuner::KindFacts;

    use super::*;
    use crate::rows::Format;

    /// Two tables on level 1: one that a model serves, one whose model was refused.
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
            ..Observed::default()
        };
        let live = Observed {
            found: 60,
            absent: 20,
            probes: 100,
            ..live
        };
        let dead = Observed {
            tables: 4,
            life_nanos: 2_000_000_000,
            ..Observed::default()
        };
        let levels = vec![LevelIndexes {
            level: 1,
            kind: KindFacts {
                index: "pgm(epsilon=8)".to_owned(),
                dead,
                live,
            },
        }];
        IndexRegistry {
            version: 1,
            levels,
            tables: vec![table(7, model), table(6, refused)],
        }
    }

    #[test]
    fn rows_say_what_the_registry_says() {
        let text = tables(&registry()).text(Format::Csv);
        let rows: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            rows[0],
            "1,7,pgm(epsilon=8),model,1000,0,200,25,3,9,2.5,8,entries,1.5,30,10,1.25,2,"
        );
        assert_eq!(
            rows[1],
            "1,6,pgm(epsilon=8),fence,1000,0,600,75,,,,,,0,30,10,1.25,2,too-large: 900 of 800 bytes"
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
            panels(registry)
                .iter()
                .map(|panel| panel.bars.iter().map(|bar| bar.value).collect())
                .collect()
        };
        assert_eq!(values(&registry()), [vec![0.4, 0.8], vec![1.25], vec![9.0]]);
        let mut unread = registry();
        (
            unread.levels[0].kind.live.probes,
            unread.levels[0].kind.live.found,
        ) = (0, 0);
        unread.levels[0].kind.live.absent = 0;
        unread.tables.remove(0);
        assert_eq!(
            values(&unread),
            [vec![0.4, 0.8]],
            "neither look-ups nor models"
        );
        assert!(values(&IndexRegistry::default()).is_empty());
    }
}
