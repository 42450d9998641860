//! `decisions.parquet`: the decisions of all trials of a run, a row each.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Decided, Maker, read_decisions};
use crate::agent_files::{NamedAgent, for_each_model};
use crate::files;
use crate::folders::TrialFolder;
use crate::formats::parquet::{self, DataColumn, ParquetError, Read, Values};
use crate::point;
use crate::record::Manifest;
use crate::store::{Result, RowTrial, damaged};

/// A decision with the trial that it belongs to: a row of `decisions.parquet`.
pub(in crate::store) struct DecisionRow {
    trial: Arc<RowTrial>,
    policies: Arc<Policies>,
    decided: Decided,
}

/// Who decided in a trial, as its settings say.
#[derive(Debug, Default, PartialEq)]
struct Policies {
    /// The agent, with the one that it guards.
    agent: Option<String>,
    /// The digest of the saved agent with which the trial began.
    weights: Option<String>,
    /// The self-tuner.
    tuner: Option<String>,
}

/// A column of `decisions.parquet`.
type Column = DataColumn<DecisionRow>;

const fn text(name: &'static str, read: fn(&DecisionRow) -> Option<String>) -> Column {
    Column {
        name,
        read: Read::Text(read),
    }
}

const fn count(name: &'static str, read: fn(&DecisionRow) -> Option<u64>) -> Column {
    Column {
        name,
        read: Read::Count(read),
    }
}

const fn number(name: &'static str, read: fn(&DecisionRow) -> Option<f64>) -> Column {
    Column {
        name,
        read: Read::Number(read),
    }
}

const fn flag(name: &'static str, read: fn(&DecisionRow) -> bool) -> Column {
    Column {
        name,
        read: Read::Flag(read),
    }
}

/// The columns, before those of the sweep's keys. `results/README.md` says what each holds.
pub(super) const COLUMNS: [Column; 24] = [
    text("trial", |row| Some(row.trial.id.clone())),
    text("variant", |row| Some(row.trial.variant.clone())),
    text("point", |row| Some(point::label(&row.trial.point))),
    count("seed", |row| Some(row.trial.seed)),
    text("world", |row| Some(row.trial.world.name().to_owned())),
    text("phase", |row| Some(row.decided.phase.clone())),
    count("window", |row| Some(row.decided.window)),
    count("operations", |row| row.decided.operations),
    count("at_nanos", |row| Some(row.decided.at_nanos)),
    text("maker", |row| Some(row.decided.maker.name().to_owned())),
    text("policy", |row| row.policy().clone()),
    text("weights", |row| row.weights().clone()),
    text("action", |row| row.decided.action.clone()),
    count("level", |row| row.decided.level),
    number("value", |row| row.decided.value),
    number("previous", |row| row.decided.previous),
    text("detail", |row| row.decided.detail.clone()),
    text("reason", |row| Some(row.decided.reason.clone())),
    text("outcome", |row| Some(row.decided.outcome.clone())),
    flag("refused", |row| row.decided.is_refused()),
    number("cost_before", |row| row.decided.cost_before),
    number("cost_after", |row| row.decided.cost_after),
    number("cost_ratio", |row| row.decided.cost_ratio()),
    count("effect_windows", |row| row.decided.effect_windows),
];

impl DecisionRow {
    fn policy(&self) -> &Option<String> {
        match self.decided.maker {
            Maker::Agent => &self.policies.agent,
            Maker::SelfTuner => &self.policies.tuner,
        }
    }

    fn weights(&self) -> &Option<String> {
        match self.decided.maker {
            Maker::Agent => &self.policies.weights,
            Maker::SelfTuner => &None,
        }
    }
}

/// The rows of one trial; none if nothing was decided there.
///
/// # Errors
/// [`StoreError::File`](crate::store::StoreError::File) or
/// [`StoreError::Damaged`](crate::store::StoreError::Damaged).
pub(in crate::store) fn rows_of_trial(
    folder: &TrialFolder,
    manifest: &Manifest,
) -> Result<Vec<DecisionRow>> {
    let decided = read_decisions(folder)?;
    if decided.is_empty() {
        return Ok(Vec::new());
    }
    let trial = Arc::new(RowTrial::of(manifest));
    let policies = Arc::new(Policies::read(folder)?);
    let row = |decided| DecisionRow {
        trial: trial.clone(),
        policies: policies.clone(),
        decided,
    };
    Ok(decided.into_iter().map(row).collect())
}

/// The bytes of `decisions.parquet`.
pub(in crate::store) fn decisions_parquet(
    rows: &[DecisionRow],
) -> std::result::Result<Vec<u8>, ParquetError> {
    let mut columns: Vec<(&str, Values)> = Vec::new();
    for column in &COLUMNS {
        columns.push((column.name, column.values(rows)));
    }
    // As in the gathered metrics, a key without a dot is in the column `point` only.
    let keys = rows.iter().flat_map(|row| row.trial.point.keys());
    let keys: BTreeSet<&String> = keys.filter(|key| key.contains('.')).collect();
    for key in keys {
        let value = |row: &DecisionRow| row.trial.point.get(key).cloned().map(Cow::Owned);
        columns.push((key, Values::Texts(rows.iter().map(value).collect())));
    }
    parquet::write(&columns)
}

impl Policies {
    /// Reads the settings of a trial. What they do not say is left out.
    fn read(folder: &TrialFolder) -> Result<Self> {
        let path = folder.config();
        if !path.is_file() {
            return Ok(Self::default());
        }
        let text = files::read_to_string(&path)?;
        let settings: Value = toml::from_str(&text).map_err(|error| damaged(&path, error))?;
        Ok(Self::of(&settings["engine"]))
    }

    fn of(engine: &Value) -> Self {
        let agent = &engine["compaction"]["agent"];
        let name = |spec: &Value| spec["policy"].as_str().map(str::to_owned);
        let guarded = name(&agent["agent"]);
        let outer = name(agent);
        Self {
            weights: outer.as_deref().and_then(|outer| digest(outer, agent)),
            agent: match (outer, guarded) {
                (Some(outer), Some(inner)) => Some(format!("{outer}({inner})")),
                (outer, _) => outer,
            },
            tuner: name(&engine["self_tuning"]["policy"]),
        }
    }
}

/// The digest of the saved agent in the settings of an agent.
fn digest(policy: &str, agent: &Value) -> Option<String> {
    let mut params: Map<String, Value> = agent.as_object()?.clone();
    let mut found = None;
    let mut look = |_: &str, model: &mut Value| {
        let own = model.get("digest").and_then(Value::as_str);
        let own = own.map(str::to_owned);
        let named = || NamedAgent::of(model).and_then(|named| named.digest);
        found = found.take().or_else(|| own.or_else(named));
        Ok::<(), Infallible>(())
    };
    match for_each_model(policy, &mut params, &mut look) {
        Ok(()) => found,
        Err(never) => match never {},
    }
}
