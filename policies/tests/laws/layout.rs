//! Laws of compaction layouts and the plans that follow from them.

use std::collections::BTreeSet;

use aura_policies::facts::{Plan, Reason};
use aura_policies::layout::{self, Layout, plan_everything};
use aura_policies::{PolicySpec, picker};

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

/// Every layout with its defaults, and some that are neither leveled nor tiered.
fn layouts() -> Vec<PolicySpec> {
    let registered = layout::FAMILY
        .entries
        .iter()
        .map(|entry| PolicySpec::named(entry.name));
    let mixed = [
        flexible(4, &[4, 2, 1]),
        flexible(3, &[1, 3]),
        flexible(2, &[2, 1, 2]),
        flexible(10, &[5]),
        PolicySpec::named("leveled").with("ratio", 2),
        PolicySpec::named("tiered").with("ratio", 3),
    ];
    registered.chain(mixed).collect()
}

fn pickers() -> impl Iterator<Item = PolicySpec> {
    picker::FAMILY
        .entries
        .iter()
        .map(|entry| PolicySpec::named(entry.name))
}

/// Carries out plans until there is none; `each` sees every plan before it is carried out.
fn settle(
    tree: &mut Tree,
    layout: &dyn Layout,
    picker: &mut dyn picker::Picker,
    context: &str,
    mut each: impl FnMut(&Tree, &Plan),
) {
    // Each table can move down every level once, and each level can be merged in place once before the next move.
    let steps_max = 100 + 4 * tree.tables().len() * (tree.shape.levels.len() + 4);
    for _ in 0..steps_max {
        let debt = layout.debt_bytes(&tree.shape);
        let Some(plan) = layout.plan(&tree.shape, picker) else {
            assert_eq!(debt, 0, "{context}: a tree in shape owes nothing");
            return;
        };
        assert!(debt > 0, "{context}: {plan:?} is due but no bytes are");
        if let Err(broken) = tree.check(&plan) {
            panic!("{context}: {broken}: {plan:?} in {:?}", tree.shape);
        }
        each(tree, &plan);
        let bytes = tree.bytes();
        tree.apply(&plan);
        assert_eq!(tree.bytes(), bytes, "{context}");
    }
    panic!(
        "{context}: still not in shape after {steps_max} plans: {:?}",
        tree.shape
    );
}

/// What a settled tree must look like.
fn assert_in_shape(tree: &Tree, layout: &dyn Layout, context: &str) {
    let deepest = tree.shape.deepest();
    for (level, facts) in tree.shape.levels.iter().enumerate() {
        let runs = facts.runs.len() as u32;
        if level == 0 {
            assert!(runs < LEVEL0_RUNS, "{context}: {runs} runs in level 0");
            continue;
        }
        let runs_max = facts
            .runs_max
            .unwrap_or_else(|| layout.runs_max(level, deepest))
            .clamp(1, layout.ratio());
        let (bytes, capacity) = (facts.bytes(), layout.capacity_bytes(&tree.shape, level));
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

#[test]
fn plans_are_lawful_and_end() {
    for spec in layouts() {
        for picker_spec in pickers() {
            for seed in 0..3 {
                let context = format!("{spec}, {picker_spec}, seed {seed}");
                let layout = layout::build(&spec).expect("the layout builds");
                let mut picker = picker::build(&picker_spec).expect("the picker builds");
                let (mut tree, mut random) = (tree(), SplitMix64(seed));
                for _ in 0..400 {
                    let bytes = 1 + random.below(3 * FLUSH_BYTES);
                    tree.flush(&mut random, bytes);
                    settle(&mut tree, &*layout, &mut *picker, &context, |_, _| {});
                    assert_in_shape(&tree, &*layout, &context);
                }
                assert!(
                    tree.shape.deepest() >= 2,
                    "{context}: the tree stayed shallow"
                );
            }
        }
    }
}

#[test]
fn plans_stay_lawful_when_an_agent_changes_the_limits() {
    for spec in layouts() {
        for seed in 0..5 {
            let context = format!("{spec}, seed {seed}");
            let layout = layout::build(&spec).expect("the layout builds");
            let mut picker =
                picker::build(&picker::FAMILY.default_spec()).expect("the picker builds");
            let (mut tree, mut random) = (tree(), SplitMix64(seed));
            for _ in 0..400 {
                let bytes = 1 + random.below(2 * FLUSH_BYTES);
                tree.flush(&mut random, bytes);
                if random.below(10) == 0 {
                    let level = random.below(tree.shape.levels.len() as u64) as usize;
                    // Also limits out of range, which are cut to 1..=T.
                    tree.shape.levels[level].runs_max =
                        Some(random.below(2 * u64::from(layout.ratio())) as u32);
                }
                settle(&mut tree, &*layout, &mut *picker, &context, |_, _| {});
                assert_in_shape(&tree, &*layout, &context);
            }
        }
    }
}

#[test]
fn no_plan_names_a_busy_table() {
    let mut beside = 0;
    for spec in layouts() {
        for seed in 0..5 {
            let context = format!("{spec}, seed {seed}");
            let layout = layout::build(&spec).expect("the layout builds");
            let mut picker =
                picker::build(&picker::FAMILY.default_spec()).expect("the picker builds");
            let (mut tree, mut random) = (tree(), SplitMix64(seed));
            for _ in 0..1000 {
                tree.flush(&mut random, FLUSH_BYTES);
                // A running compaction: what is planned beside it must leave its inputs alone.
                let running = layout.plan(&tree.shape, &mut *picker);
                for table in running
                    .iter()
                    .flat_map(|plan| &plan.inputs)
                    .flat_map(|input| &input.tables)
                {
                    tree.shape.busy.insert(*table);
                }
                let a_few: Vec<u64> = tree
                    .tables()
                    .iter()
                    .map(|table| table.id)
                    .filter(|_| random.below(20) == 0)
                    .collect();
                tree.shape.busy.extend(a_few);
                if let Some(plan) = layout.plan(&tree.shape, &mut *picker) {
                    assert_eq!(tree.check(&plan), Ok(()), "{context}: {plan:?}");
                    beside += 1;
                }
                tree.shape.busy.clear();
                // Too few steps to keep up, so that more than one level is due.
                if let Some(plan) = running.filter(|_| random.below(3) == 0) {
                    tree.apply(&plan);
                }
            }
        }
    }
    assert!(
        beside > 1000,
        "only {beside} plans were found beside a running one"
    );
}

#[test]
fn one_run_a_level_moves_single_tables_and_several_move_whole_levels() {
    let moves = |spec: &PolicySpec| {
        let layout = layout::build(spec).expect("the layout builds");
        let mut picker = picker::build(&picker::FAMILY.default_spec()).expect("the picker builds");
        let (mut tree, mut random) = (tree(), SplitMix64(1));
        let (mut partial, mut whole, mut runs_most) = (0, 0, 0);
        for _ in 0..1000 {
            tree.flush(&mut random, FLUSH_BYTES);
            settle(
                &mut tree,
                &*layout,
                &mut *picker,
                &spec.to_string(),
                |tree, plan| {
                    let from = plan.inputs[0].level;
                    let moved: usize = plan
                        .inputs
                        .iter()
                        .filter(|input| input.level == from)
                        .map(|input| input.tables.len())
                        .sum();
                    let there: usize = tree.shape.levels[from]
                        .runs
                        .iter()
                        .map(|run| run.tables.len())
                        .sum();
                    if from > 0 && moved < there {
                        partial += 1;
                    } else if from > 0 {
                        whole += 1;
                    }
                    runs_most =
                        runs_most.max(tree.shape.levels.get(1).map_or(0, |level| level.runs.len()));
                },
            );
        }
        (partial, whole, runs_most)
    };
    let (partial, whole, runs_most) = moves(&PolicySpec::named("leveled"));
    assert!(
        partial > 100 && whole == 0 && runs_most == 1,
        "leveled: {partial} {whole} {runs_most}"
    );
    let (partial, whole, runs_most) = moves(&PolicySpec::named("tiered"));
    assert!(
        partial == 0 && whole > 10 && runs_most == 10,
        "tiered: {partial} {whole} {runs_most}"
    );
    // With half as many runs, each takes twice the data: the level still fills in ten arrivals.
    let (partial, whole, runs_most) = moves(&flexible(10, &[5]));
    assert!(
        partial == 0 && whole > 10 && runs_most == 5,
        "flexible: {partial} {whole} {runs_most}"
    );
}

#[test]
fn flexible_spans_from_leveled_to_tiered() {
    for ratio in [2, 4, 10] {
        let ends = [("leveled", 1), ("tiered", ratio)];
        for (name, runs) in ends {
            let layouts = [
                PolicySpec::named(name).with("ratio", ratio),
                flexible(ratio, &[runs]),
            ]
            .map(|spec| layout::build(&spec).expect("the layout builds"));
            let mut pickers = [0, 1]
                .map(|_| picker::build(&picker::FAMILY.default_spec()).expect("the picker builds"));
            let (mut tree, mut random) = (tree(), SplitMix64(u64::from(ratio)));
            for _ in 0..500 {
                let bytes = 1 + random.below(2 * FLUSH_BYTES);
                tree.flush(&mut random, bytes);
                let [end, span] = &layouts;
                let [end_picker, span_picker] = &mut pickers;
                settle(&mut tree, &**end, &mut **end_picker, name, |tree, plan| {
                    assert_eq!(
                        span.plan(&tree.shape, &mut **span_picker).as_ref(),
                        Some(plan)
                    );
                    assert_eq!(span.debt_bytes(&tree.shape), end.debt_bytes(&tree.shape));
                });
                assert_eq!(span.plan(&tree.shape, &mut **span_picker), None);
            }
        }
    }
}

#[test]
fn everything_merges_into_one_run_once() {
    for spec in layouts() {
        let layout = layout::build(&spec).expect("the layout builds");
        let mut picker = picker::build(&picker::FAMILY.default_spec()).expect("the picker builds");
        let (mut tree, mut random) = (tree(), SplitMix64(3));
        assert_eq!(plan_everything(&tree.shape), None);
        for flushes in [1, 50, 300] {
            for _ in 0..flushes {
                tree.flush(&mut random, FLUSH_BYTES);
                settle(
                    &mut tree,
                    &*layout,
                    &mut *picker,
                    &spec.to_string(),
                    |_, _| {},
                );
            }
            let plan = plan_everything(&tree.shape).expect("there is something to merge");
            assert_eq!(tree.check(&plan), Ok(()), "{spec}");
            let named: BTreeSet<u64> = plan
                .inputs
                .iter()
                .flat_map(|input| input.tables.iter().copied())
                .collect();
            assert_eq!(named.len(), tree.tables().len(), "{spec}");
            assert_eq!(
                (plan.level, plan.reason),
                (tree.shape.deepest().max(1), Reason::Manual),
                "{spec}"
            );
            tree.apply(&plan);
            assert_eq!(plan_everything(&tree.shape), None, "{spec}");
        }
    }
}
