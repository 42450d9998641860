//! Laws of compaction layouts and the plans that follow from them.

use std::collections::BTreeSet;
use std::sync::Arc;

use aura_policies::PolicySpec;
use aura_policies::facts::{Plan, Reason, TableFacts, TableReads};
use aura_policies::layout::{self, Layout, plan_everything};
use aura_policies::picker::{self, Asks, Candidates, Picker, Waiting, report_move};

use crate::SplitMix64;
use crate::tree::Tree;

const FLUSH_BYTES: u64 = 100;
const LEVEL0_RUNS: u32 = 4;

/// A tree whose level 1 holds ten merged level 0s.
fn tree() -> Tree {
    Tree::new(10 * u64::from(LEVEL0_RUNS) * FLUSH_BYTES, LEVEL0_RUNS)
}

fn flexible(ratio: u32, runs: &[u32]) -> PolicySpec {
    PolicySpec::named("flexible")
        .with("ratio", ratio)
        .with("runs", runs.to_vec())
}

fn fluid(ratio: u32, k: u32, z: u32) -> PolicySpec {
    let spec = PolicySpec::named("fluid").with("ratio", ratio);
    spec.with("k", k).with("z", z)
}

/// Every layout with its defaults, and some that are neither leveled nor tiered.
fn layouts() -> Vec<PolicySpec> {
    let registered = layout::FAMILY.names().into_iter().map(PolicySpec::named);
    let mixed = [
        flexible(4, &[4, 2, 1]),
        flexible(3, &[1, 3]),
        flexible(2, &[2, 1, 2]),
        flexible(10, &[5]),
        PolicySpec::named("leveled").with("ratio", 2),
        PolicySpec::named("tiered").with("ratio", 3),
        fluid(4, 3, 2),
        PolicySpec::named("lazy-leveled").with("ratio", 3),
        PolicySpec::named("dynamic")
            .with("ratio", 3)
            .with("levels", 4),
        PolicySpec::named("universal").with("runs", 2),
        PolicySpec::named("universal").with("merge_width_max", 3),
    ];
    registered.chain(mixed).collect()
}

fn pickers() -> impl Iterator<Item = PolicySpec> {
    picker::FAMILY.names().into_iter().map(PolicySpec::named)
}

/// A layout and a picker that work on one tree.
struct Compactor {
    layout: Box<dyn Layout>,
    picker: Box<dyn Picker>,
    /// What is tested, with the seed that repeats it.
    context: String,
}

impl Compactor {
    fn new(layout: &PolicySpec, picker: &PolicySpec, seed: u64) -> Self {
        Self {
            layout: layout::build(layout).expect("the layout builds"),
            picker: picker::build(picker).expect("the picker builds"),
            context: format!("{layout}, {picker}, seed {seed}"),
        }
    }

    fn of_layout(layout: &PolicySpec, seed: u64) -> Self {
        Self::new(layout, &picker::FAMILY.default_spec(), seed)
    }

    fn plan(&self, tree: &Tree) -> Option<Plan> {
        let plan = self.layout.plan(&tree.shape, &*self.picker);
        let again = self.layout.plan(&tree.shape, &*self.picker);
        assert_eq!(plan, again, "{}: asking changes nothing", self.context);
        plan
    }

    fn carry_out(&mut self, tree: &mut Tree, plan: &Plan) {
        report_move(&mut *self.picker, &tree.shape, plan);
        tree.apply(plan);
    }

    /// Carries out plans until no plan is due; `each` sees every plan before it is carried out.
    fn drain(&mut self, tree: &mut Tree, mut each: impl FnMut(&Tree, &Plan)) {
        let context = self.context.clone();
        // Each table can move down every level once, and each level can be merged in place once
        // before the next move.
        let plans_max = 100 + 4 * tree.tables().len() * (tree.shape.levels.len() + 4);
        for _ in 0..plans_max {
            let debt = self.layout.debt_bytes(&tree.shape, &*self.picker);
            let Some(plan) = self.plan(tree) else {
                assert_eq!(debt, 0, "{context}: a tree in shape owes nothing");
                return;
            };
            assert!(debt > 0, "{context}: {plan} is due but no bytes are");
            if let Err(broken) = tree.check(&plan) {
                panic!("{context}: {broken}: {plan} in\n{}", tree.shape);
            }
            each(tree, &plan);
            let bytes = tree.bytes();
            self.carry_out(tree, &plan);
            assert_eq!(tree.bytes(), bytes, "{context}");
        }
        panic!(
            "{context}: still not in shape after {plans_max} plans:\n{}",
            tree.shape
        );
    }

    /// Fails unless `tree`, in which nothing is due, keeps the limits.
    fn assert_in_shape(&self, tree: &Tree) {
        let context = &self.context;
        let deepest = tree.shape.deepest();
        for (level, facts) in tree.shape.levels.iter().enumerate() {
            let runs = facts.runs.len() as u32;
            if level == 0 {
                assert!(runs < LEVEL0_RUNS, "{context}: {runs} runs in level 0");
                continue;
            }
            let runs_max = facts
                .runs_max
                .unwrap_or_else(|| self.layout.runs_max(level, deepest))
                .clamp(1, self.layout.ratio());
            let bytes = facts.bytes();
            let capacity = self.layout.capacity_bytes(&tree.shape, level);
            assert!(
                runs <= runs_max,
                "{context}: {runs} runs in level {level}, at most {runs_max} allowed"
            );
            assert!(
                bytes < capacity || (runs_max == 1 && bytes == capacity),
                "{context}: level {level} is full"
            );
        }
    }
}

#[test]
fn plans_are_lawful_and_end() {
    for spec in layouts() {
        for picker in pickers() {
            let is_default = picker == picker::FAMILY.default_spec();
            for seed in 0..if is_default { 3 } else { 1 } {
                let mut compactor = Compactor::new(&spec, &picker, seed);
                let mut tree = tree();
                let mut random = SplitMix64(seed);
                for _ in 0..400 {
                    let bytes = 1 + random.below(3 * FLUSH_BYTES);
                    tree.flush(&mut random, bytes);
                    compactor.drain(&mut tree, |_, _| {});
                    compactor.assert_in_shape(&tree);
                }
                let deepest = tree.shape.deepest();
                let has_capacity = compactor.layout.capacity_bytes(&tree.shape, 1) < u64::MAX;
                assert!(
                    deepest >= 2 || !has_capacity,
                    "{}: the tree stayed shallow",
                    compactor.context
                );
            }
        }
    }
}

#[test]
fn plans_stay_lawful_when_an_agent_changes_the_limits() {
    for spec in layouts() {
        for seed in 0..5 {
            let mut compactor = Compactor::of_layout(&spec, seed);
            let mut tree = tree();
            let mut random = SplitMix64(seed);
            for _ in 0..400 {
                let bytes = 1 + random.below(2 * FLUSH_BYTES);
                tree.flush(&mut random, bytes);
                if random.below(10) == 0 {
                    let level = random.below(tree.shape.levels.len() as u64) as usize;
                    // Limits out of range, too: they are cut to 1 to T.
                    let limit = random.below(2 * u64::from(compactor.layout.ratio()));
                    tree.shape.levels[level].runs_max = Some(limit as u32);
                }
                compactor.drain(&mut tree, |_, _| {});
                compactor.assert_in_shape(&tree);
            }
        }
    }
}

#[test]
fn no_plan_names_a_busy_table() {
    let mut beside = 0;
    for spec in layouts() {
        for seed in 0..5 {
            let mut compactor = Compactor::of_layout(&spec, seed);
            let mut tree = tree();
            let mut random = SplitMix64(seed);
            for _ in 0..1000 {
                tree.flush(&mut random, FLUSH_BYTES);
                // A running compaction: what is planned beside it must leave its inputs alone.
                let running = compactor.plan(&tree);
                let inputs = running.iter().flat_map(|plan| &plan.inputs);
                for table in inputs.flat_map(|input| &input.tables) {
                    tree.shape.busy.insert(*table);
                }
                for table in tree.tables() {
                    if random.below(20) == 0 {
                        tree.shape.busy.insert(table.id);
                    }
                }
                if let Some(plan) = compactor.plan(&tree) {
                    let context = &compactor.context;
                    assert_eq!(tree.check(&plan), Ok(()), "{context}: {plan}");
                    beside += 1;
                }
                tree.shape.busy.clear();
                // Too few compactions to keep up, so that more than one level is due.
                if let Some(plan) = running.filter(|_| random.below(3) == 0) {
                    compactor.carry_out(&mut tree, &plan);
                }
            }
        }
    }
    assert!(
        beside > 1000,
        "only {beside} plans were found beside a running one"
    );
}

fn lethe(deadline: u64) -> PolicySpec {
    PolicySpec::named("lethe").with("deadline", deadline)
}

/// The age of the oldest tombstone of `tree`, in writes.
fn oldest_tombstone(tree: &Tree) -> u64 {
    let now = tree.shape.newest_sequence();
    let tables = tree.tables();
    let written = tables
        .iter()
        .filter_map(|table| tree.shape.oldest_deletion(table));
    written.map(|written| now - written).max().unwrap_or(0)
}

#[test]
fn no_tombstone_outlives_its_deadline() {
    const DEADLINE: u64 = 20_000;
    let mut oldest_without = 0;
    for spec in layouts() {
        for seed in 0..3 {
            for picker in [lethe(DEADLINE), lethe(u64::MAX)] {
                let has_deadline = picker == lethe(DEADLINE);
                let mut compactor = Compactor::new(&spec, &picker, seed);
                let mut tree = tree();
                let mut random = SplitMix64(seed);
                let mut late = 0;
                for _ in 0..600 {
                    let bytes = 1 + random.below(2 * FLUSH_BYTES);
                    let deletions = random.below(2) * random.below(bytes);
                    tree.flush_deleting(&mut random, bytes, deletions);
                    compactor.drain(&mut tree, |_, plan| {
                        late += u32::from(plan.reason == Reason::Deadline);
                    });
                    compactor.assert_in_shape(&tree);
                    let oldest = oldest_tombstone(&tree);
                    if has_deadline {
                        assert!(oldest <= DEADLINE, "{}: {oldest}", compactor.context);
                    } else {
                        oldest_without = oldest_without.max(oldest);
                    }
                }
                assert!(has_deadline || late == 0, "{}: {late}", compactor.context);
            }
        }
    }
    assert!(oldest_without > DEADLINE, "only {oldest_without}");
}

/// A tombstone that a snapshot needs is not rewritten again and again, and goes when it may.
#[test]
fn a_snapshot_holds_a_deadline_up() {
    for spec in layouts() {
        let mut compactor = Compactor::new(&spec, &lethe(1), 1);
        let mut tree = tree();
        let mut random = SplitMix64(1);
        tree.flush(&mut random, FLUSH_BYTES);
        tree.shape.oldest_snapshot = Some(FLUSH_BYTES);
        for _ in 0..20 {
            tree.flush_deleting(&mut random, FLUSH_BYTES, 10);
            compactor.drain(&mut tree, |_, _| {});
        }
        assert!(oldest_tombstone(&tree) > 1, "{spec}");
        tree.shape.oldest_snapshot = None;
        compactor.drain(&mut tree, |_, _| {});
        assert!(oldest_tombstone(&tree) <= 1, "{spec}");
    }
}

/// Look-ups in vain for each byte at which the picker below sends a table on.
const READS_PER_BYTE: f64 = 2.0;

fn read_triggered(reads_per_byte: f64) -> PolicySpec {
    PolicySpec::named("read-triggered").with("reads_per_byte", reads_per_byte)
}

/// Has some tables of `tree` asked in vain, up to three times a byte.
fn ask_in_vain(tree: &mut Tree, random: &mut SplitMix64) {
    for table in tree.tables() {
        let reads = TableReads {
            misses: random.below(2) * random.below(3 * table.bytes + 1),
            ..TableReads::default()
        };
        tree.shape.reads.insert(table.id, reads);
    }
}

/// A table that reads have paid for, and that overlaps an older one.
fn paid_for(tree: &Tree) -> Option<u64> {
    let mut older: Vec<Arc<TableFacts>> = Vec::new();
    for level in tree.shape.levels.iter().rev() {
        for run in level.runs.iter().rev() {
            let paid = |table: &&Arc<TableFacts>| {
                let reads = tree.shape.reads.get(&table.id);
                let misses = reads.map_or(0, |it| it.misses) as f64;
                misses >= READS_PER_BYTE * table.bytes as f64
                    && misses > 0.0
                    && older.iter().any(|it| it.overlaps(table))
            };
            if let Some(table) = run.tables.iter().find(paid) {
                return Some(table.id);
            }
            older.extend(run.tables.iter().cloned());
        }
    }
    None
}

#[test]
fn what_reads_have_paid_for_moves_on_until_nothing_older_overlaps_it() {
    for spec in layouts() {
        let mut moved = 0;
        for (per_byte, seed) in [(READS_PER_BYTE, 1), (READS_PER_BYTE, 2), (4.0, 1)] {
            let mut compactor = Compactor::new(&spec, &read_triggered(per_byte), seed);
            let mut tree = tree();
            let mut random = SplitMix64(seed);
            for _ in 0..300 {
                let bytes = 1 + random.below(2 * FLUSH_BYTES);
                tree.flush(&mut random, bytes);
                ask_in_vain(&mut tree, &mut random);
                let mut late = 0;
                compactor.drain(&mut tree, |_, plan| {
                    late += u32::from(plan.reason == Reason::Deadline);
                });
                compactor.assert_in_shape(&tree);
                let context = &compactor.context;
                if per_byte == READS_PER_BYTE {
                    assert_eq!(paid_for(&tree), None, "{context}:\n{}", tree.shape);
                    moved += late;
                } else {
                    assert_eq!(late, 0, "{context}: nobody asks so often");
                }
            }
        }
        assert!(moved > 100, "{spec}: only {moved} plans for reads");
    }
}

/// Says of every table that it must move on.
struct Eager;

impl Picker for Eager {
    fn pick(&self, _candidates: &Candidates<'_>) -> usize {
        0
    }

    fn asks(&self) -> Asks {
        Asks::Misses
    }

    fn is_overdue(&self, _waiting: &Waiting<'_>) -> bool {
        true
    }
}

#[test]
fn planning_ends_whatever_a_picker_calls_overdue() {
    for spec in layouts() {
        let mut compactor = Compactor::of_layout(&spec, 1);
        compactor.picker = Box::new(Eager);
        let mut tree = tree();
        let mut random = SplitMix64(1);
        for _ in 0..100 {
            tree.flush(&mut random, FLUSH_BYTES);
            ask_in_vain(&mut tree, &mut random);
            compactor.drain(&mut tree, |_, _| {});
        }
    }
}

#[test]
fn full_levels_come_before_what_reads_have_paid_for() {
    for spec in layouts() {
        let compactor = Compactor::new(&spec, &read_triggered(READS_PER_BYTE), 1);
        let mut tree = tree();
        let mut random = SplitMix64(1);
        for _ in 0..LEVEL0_RUNS {
            tree.flush(&mut random, FLUSH_BYTES);
        }
        for table in tree.tables() {
            let reads = TableReads {
                misses: 10 * table.bytes,
                ..TableReads::default()
            };
            tree.shape.reads.insert(table.id, reads);
        }
        let plan = compactor.plan(&tree).expect("level 0 is full");
        assert_ne!(plan.reason, Reason::Deadline, "{spec}: {plan}");
    }
}

/// How the tables of levels below level 0 moved.
#[derive(Debug, Default)]
struct Moves {
    /// Moves of a part of a level.
    partial: u32,
    /// Moves of a whole level.
    whole: u32,
    /// The most runs that level 1 held.
    runs_most: usize,
}

impl Moves {
    fn under(layout: &PolicySpec) -> Self {
        let mut compactor = Compactor::of_layout(layout, 1);
        let mut tree = tree();
        let mut random = SplitMix64(1);
        let mut moves = Self::default();
        for _ in 0..1000 {
            tree.flush(&mut random, FLUSH_BYTES);
            compactor.drain(&mut tree, |tree, plan| moves.count(tree, plan));
        }
        moves
    }

    fn count(&mut self, tree: &Tree, plan: &Plan) {
        let from = plan.inputs[0].level;
        let inputs = plan.inputs.iter().filter(|input| input.level == from);
        let moved: usize = inputs.map(|input| input.tables.len()).sum();
        let runs = tree.shape.levels[from].runs.iter();
        let held: usize = runs.map(|run| run.tables.len()).sum();
        if from > 0 && moved < held {
            self.partial += 1;
            assert_eq!(plan.picked, Some(plan.inputs[0].tables[0]), "{plan}");
        } else if from > 0 {
            self.whole += 1;
        }
        let level1 = tree.shape.levels.get(1);
        self.runs_most = self
            .runs_most
            .max(level1.map_or(0, |level| level.runs.len()));
    }
}

#[test]
fn one_run_a_level_moves_single_tables_and_several_move_whole_levels() {
    let leveled = Moves::under(&PolicySpec::named("leveled"));
    assert!(leveled.partial > 100, "{leveled:?}");
    assert!(leveled.whole == 0 && leveled.runs_most == 1, "{leveled:?}");
    let tiered = Moves::under(&PolicySpec::named("tiered"));
    assert!(tiered.whole > 10, "{tiered:?}");
    assert!(tiered.partial == 0 && tiered.runs_most == 10, "{tiered:?}");
    // With half as many runs, each takes twice the data: the level still fills in ten arrivals.
    let flexible = Moves::under(&flexible(10, &[5]));
    assert!(flexible.whole > 10, "{flexible:?}");
    assert!(
        flexible.partial == 0 && flexible.runs_most == 5,
        "{flexible:?}"
    );
}

#[test]
fn flexible_and_fluid_span_from_leveled_to_tiered() {
    for ratio in [2, 4, 10] {
        let pairs = [
            ("leveled", flexible(ratio, &[1])),
            ("tiered", flexible(ratio, &[ratio])),
            ("leveled", fluid(ratio, 1, 1)),
            ("tiered", fluid(ratio, ratio, ratio)),
            ("lazy-leveled", fluid(ratio, ratio, 1)),
        ];
        for (name, span) in pairs {
            let seed = u64::from(ratio);
            let spec = PolicySpec::named(name).with("ratio", ratio);
            let end = layout::build(&spec).expect("the layout builds");
            let span = Compactor::of_layout(&span, seed);
            let mut compactor = Compactor::of_layout(&spec, seed);
            let mut tree = tree();
            let mut random = SplitMix64(seed);
            for _ in 0..500 {
                let bytes = 1 + random.below(2 * FLUSH_BYTES);
                tree.flush(&mut random, bytes);
                compactor.drain(&mut tree, |tree, plan| {
                    assert_eq!(span.plan(tree).as_ref(), Some(plan));
                    let debt = span.layout.debt_bytes(&tree.shape, &*span.picker);
                    assert_eq!(debt, end.debt_bytes(&tree.shape, &*span.picker));
                });
                assert_eq!(span.plan(&tree), None);
            }
        }
    }
}

#[test]
fn everything_merges_into_one_run_once() {
    for spec in layouts() {
        let mut compactor = Compactor::of_layout(&spec, 3);
        let mut tree = tree();
        let mut random = SplitMix64(3);
        assert_eq!(plan_everything(&tree.shape), None);
        for flushes in [1, 50, 300] {
            for _ in 0..flushes {
                tree.flush(&mut random, FLUSH_BYTES);
                compactor.drain(&mut tree, |_, _| {});
            }
            let plan = plan_everything(&tree.shape).expect("there is something to merge");
            assert_eq!(tree.check(&plan), Ok(()), "{spec}");
            let inputs = plan.inputs.iter().flat_map(|input| &input.tables);
            let named: BTreeSet<u64> = inputs.copied().collect();
            assert_eq!(named.len(), tree.tables().len(), "{spec}");
            assert_eq!(plan.level, tree.shape.deepest().max(1), "{spec}");
            assert_eq!(plan.reason, Reason::Manual, "{spec}");
            tree.apply(&plan);
            assert_eq!(plan_everything(&tree.shape), None, "{spec}");
        }
    }
}
