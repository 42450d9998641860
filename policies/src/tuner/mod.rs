//! Index tuning: which index does the next table get?
//!
//! A tuner is asked when a table is begun, before any of its keys is known. It sees sums over the
//! tables of one level: dead tables, whose lives are over, and live ones. Tables are trained when
//! they are built, so Bourbon's "wait before learning" becomes: expect of the next table the life
//! that the last ones had.

use serde::Serialize;

use crate::entry::in_range;
use crate::family::{Family, Registered};
use crate::index;
use crate::{PolicyError, PolicySpec};

mod adaptive;
mod cost_benefit;
mod fixed;

/// Sums over the tables that were built with one index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Observed {
    /// Tables.
    pub tables: u64,
    /// Tables served by a model.
    pub models: u64,
    /// Tables whose model was refused.
    pub refused: u64,
    /// Entries.
    pub keys: u64,
    /// Data blocks.
    pub blocks: u64,
    /// Bytes of the tables' files.
    pub table_bytes: u64,
    /// Bytes of memory of their indexes.
    pub index_bytes: u64,
    /// Nanoseconds of training and checking.
    pub training_nanos: u64,
    /// Nanoseconds that they have lived.
    pub life_nanos: u64,
    /// Look-ups that found an entry.
    pub found: u64,
    /// Look-ups that found none.
    pub absent: u64,
    /// Data blocks that the look-ups examined.
    pub probes: u64,
}

impl Observed {
    /// Adds other tables. It saturates, because counts may come from a damaged file and a statistic
    /// must not fail.
    pub fn add(&mut self, other: &Self) {
        self.tables = self.tables.saturating_add(other.tables);
        self.models = self.models.saturating_add(other.models);
        self.refused = self.refused.saturating_add(other.refused);
        self.keys = self.keys.saturating_add(other.keys);
        self.blocks = self.blocks.saturating_add(other.blocks);
        self.table_bytes = self.table_bytes.saturating_add(other.table_bytes);
        self.index_bytes = self.index_bytes.saturating_add(other.index_bytes);
        self.training_nanos = self.training_nanos.saturating_add(other.training_nanos);
        self.life_nanos = self.life_nanos.saturating_add(other.life_nanos);
        self.found = self.found.saturating_add(other.found);
        self.absent = self.absent.saturating_add(other.absent);
        self.probes = self.probes.saturating_add(other.probes);
    }

    /// Look-ups of either kind.
    pub fn lookups(&self) -> u64 {
        self.found.saturating_add(self.absent)
    }

    /// Data blocks that a look-up examined beyond the first, on average.
    fn extra_probes(&self) -> f64 {
        (ratio(self.probes, self.lookups()) - 1.0).max(0.0)
    }
}

/// `part` divided by `whole`; 0 if `whole` is 0.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The tables of a level that were built with one index.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct KindFacts {
    /// The index, as a [`PolicySpec`] prints itself.
    pub index: String,
    /// Tables that compactions have replaced.
    pub dead: Observed,
    /// Tables that are in the tree.
    pub live: Observed,
}

/// What a tuner sees.
#[derive(Clone, Copy, Debug)]
pub struct IndexFacts<'a> {
    /// The level that the table will be in.
    pub level: usize,
    /// The deepest level of the tree.
    pub deepest: usize,
    /// The configured index.
    pub configured: &'a PolicySpec,
    /// The level's tables so far, by index.
    pub kinds: &'a [KindFacts],
}

impl IndexFacts<'_> {
    /// The sum over the tables that were replaced.
    fn dead(&self) -> Observed {
        self.kinds
            .iter()
            .fold(Observed::default(), |mut sum, kind| {
                sum.add(&kind.dead);
                sum
            })
    }

    /// The sum over all tables of one index.
    fn of(&self, index: &PolicySpec) -> Observed {
        let name = index.to_string();
        let mut sum = Observed::default();
        for kind in self.kinds.iter().filter(|kind| kind.index == name) {
            sum.add(&kind.dead);
            sum.add(&kind.live);
        }
        sum
    }
}

/// Why an index was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexReason {
    /// It is the configured one.
    Configured,
    /// Too little is known of the level.
    Bootstrap,
    /// Tables of the level die before a model could pay.
    ShortLived,
    /// The look-ups expected are worth a model.
    Pays,
    /// The look-ups expected are not worth a model.
    DoesNotPay,
    /// To learn what it costs.
    Explore,
    /// It costs the least of all that were tried.
    Cheapest,
}

/// A tuner's decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IndexChoice {
    /// The index to build.
    pub index: PolicySpec,
    /// Why it was chosen.
    pub reason: IndexReason,
}

impl IndexChoice {
    fn configured(facts: &IndexFacts<'_>, reason: IndexReason) -> Self {
        Self {
            index: facts.configured.clone(),
            reason,
        }
    }
}

/// The index that trains nothing: the default of its family.
pub fn untrained() -> PolicySpec {
    index::FAMILY.default_spec()
}

/// Chooses the index of each new table. It keeps no state: the same facts give the same choice.
pub trait IndexTuner: Send + Sync {
    /// The index for the next table.
    fn choose(&self, facts: &IndexFacts<'_>) -> IndexChoice;

    /// Whether it uses more than the configured index. If not, the engine need not gather facts.
    fn is_active(&self) -> bool {
        true
    }
}

/// What look-ups cost. Prices turn counts, which are the same on every machine, into time.
#[derive(Clone, Copy, Debug)]
struct Prices {
    comparison_nanos: f64,
    model_nanos: f64,
    block_nanos: f64,
}

impl Prices {
    fn check(&self, spec: &PolicySpec) -> Result<(), PolicyError> {
        in_range(spec, "comparison_nanos", self.comparison_nanos, 0.0..)?;
        in_range(spec, "model_nanos", self.model_nanos, 0.0..)?;
        in_range(spec, "block_nanos", self.block_nanos, 0.0..)?;
        Ok(())
    }

    /// Nanoseconds in which fence pointers find a block of a table like those observed.
    fn halving(&self, observed: &Observed) -> f64 {
        self.comparison_nanos
            * ratio(observed.blocks, observed.tables)
                .max(1.0)
                .log2()
                .ceil()
    }
}

/// How a tuner is built.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn IndexTuner>, PolicyError>;

/// The index tuners.
pub static FAMILY: Family<Build> = Family {
    name: "tuner",
    question: "which index does the next table get?",
    default: "fixed",
    built_in: &[&adaptive::ENTRY, &cost_benefit::ENTRY, &fixed::ENTRY],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the tuner that `spec` names.
///
/// ```
/// use aura_policies::tuner::{self, IndexFacts, IndexReason};
/// use aura_policies::PolicySpec;
///
/// let configured = PolicySpec::named("pgm");
/// let fixed = tuner::build(&PolicySpec::named("fixed"))?;
/// let facts = IndexFacts { level: 1, deepest: 3, configured: &configured, kinds: &[] };
/// let choice = fixed.choose(&facts);
/// assert_eq!(choice.index, configured);
/// assert_eq!(choice.reason, IndexReason::Configured);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn IndexTuner>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
