//! Comparisons that may not be made: what differs between two sides beside the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::named_enum;
use crate::point::Point;
use crate::record::World;

named_enum! {
    /// A part of a trial's settings in which the two sides of a comparison may differ on purpose.
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema
    )]
    pub enum Part {
        /// What is done to the database.
        Workload = "workload",
        /// Where trials run.
        World = "world",
    }
}

/// The settings of a variant at a sweep point, as far as they decide what it may be compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// The variant's name.
    pub variant: String,
    /// The sweep point.
    pub point: Point,
    /// Which of several runs it is from.
    pub run: usize,
    /// The settings of its trials, but for the engine's: dotted key to value.
    pub settings: Arc<Point>,
}

/// Why variants may not be compared with the baseline, by variant and point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals(BTreeMap<Place, String>);

/// A variant at a sweep point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    variant: String,
    point: Point,
}

impl Refusals {
    /// Finds the sides that differ from the baseline in more than the engine, but for the `allowed`
    /// parts.
    pub fn between(sides: &[Side], baseline: &str, allowed: &[Part]) -> Self {
        let mut baselines: BTreeMap<&Point, &Side> = BTreeMap::new();
        for side in sides.iter().filter(|side| side.variant == baseline) {
            baselines.entry(&side.point).or_insert(side);
        }
        let mut refusals = BTreeMap::new();
        for side in sides {
            let Some(other) = baselines.get(&side.point) else {
                continue;
            };
            if let Some(reason) = reason(other, side, allowed) {
                let place = Place {
                    variant: side.variant.clone(),
                    point: side.point.clone(),
                };
                refusals.insert(place, reason);
            }
        }
        Self(refusals)
    }

    /// Why the variant has no verdict at the point.
    pub(super) fn of(&self, variant: &str, point: &Point) -> Option<&String> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&Place {
            variant: variant.to_owned(),
            point: point.clone(),
        })
    }
}

fn reason(baseline: &Side, side: &Side, allowed: &[Part]) -> Option<String> {
    let is_real = |side: &Side| {
        side.settings
            .get("world.kind")
            .is_some_and(|kind| kind == REAL)
    };
    let real = is_real(baseline) && is_real(side);
    if real && baseline.run != side.run {
        return Some("real runs that were not interleaved: they met other disturbances".to_owned());
    }
    for (part, words) in [
        (Part::Workload, "another workload"),
        (Part::World, "another world"),
    ] {
        let difference = difference(baseline, side, part, real);
        if let Some(difference) = difference.filter(|_| !allowed.contains(&part)) {
            return Some(format!("{words}: {difference}"));
        }
    }
    let differs = side.settings.get(SETTLE) != baseline.settings.get(SETTLE);
    differs.then(|| "only one of them settles after the load".to_owned())
}

const REAL: &str = World::Real.name();
const SETTLE: &str = "settle";

/// The first setting of a part that differs, with both values.
fn difference(baseline: &Side, side: &Side, part: Part, real: bool) -> Option<String> {
    let section = format!("{}.", part.name());
    let keys: BTreeSet<&String> = baseline
        .settings
        .keys()
        .chain(side.settings.keys())
        .collect();
    let decides = |key: &&&String| {
        // Two disks of a machine may be compared, and a real world uses no model of one.
        let modelled = key.starts_with("world.device") || key.starts_with("world.cpu");
        key.starts_with(&section) && **key != "world.directory" && !(real && modelled)
    };
    let value = |side: &Side, key: &String| match side.settings.get(key) {
        Some(value) => value.clone(),
        None => "unset".to_owned(),
    };
    let key = keys
        .iter()
        .filter(decides)
        .find(|key| side.settings.get(**key) != baseline.settings.get(**key))?;
    Some(format!(
        "{key} is {} against {}",
        value(side, key),
        value(baseline, key)
    ))
}
