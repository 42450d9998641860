//! Made-up windows, whose costs and mixes the tests say.

use aura_policies::facts::{Knob, Latency};
use aura_policies::self_tuner::Change;

use super::*;

fn values(trigger: f64) -> Values {
    Values::from([(Knob::Level0Trigger, trigger)])
}

/// A supervisor with its values, and a clock of windows.
struct World {
    supervisor: Supervisor,
    now: Values,
}

impl World {
    fn new() -> Self {
        let tuning = SelfTuningConfig {
            watch: 3,
            harm: 0.05,
            fall_back: 6,
            rest: 5,
            ..SelfTuningConfig::default()
        };
        let now = values(4.0);
        Self {
            supervisor: Supervisor::new(&tuning, now.clone(), now.clone()),
            now,
        }
    }

    /// A window with a cost and a share of reads of which the rest is writes.
    fn window(&mut self, cost: u64, reads: u64) -> Option<Order> {
        let window = WindowStats {
            gets: reads,
            gets_found: reads,
            writes: 100 - reads,
            get_latency: Latency {
                count: 100,
                nanos: cost * 100,
                p99_nanos: 0,
            },
            ..WindowStats::default()
        };
        let order = self.supervisor.see(&window, &self.now, false)?;
        if let Some(set) = &order.set {
            self.now.clone_from(set);
            self.supervisor.set(set.clone());
        }
        Some(order)
    }

    /// Windows of reads with these costs, after which nothing is done.
    fn quiet(&mut self, costs: &[u64]) {
        for cost in costs {
            assert_eq!(self.window(*cost, 90), None, "{cost}");
        }
    }

    fn apply(&mut self, trigger: f64) {
        assert_eq!(self.supervisor.standing(), Standing::Free);
        let change = Change::Set {
            knob: Knob::Level0Trigger,
            value: trigger,
        };
        let back = std::mem::replace(&mut self.now, values(trigger));
        let proposal = Proposal::new(change, "test");
        self.supervisor.begin(proposal, back, self.now.clone());
    }
}

#[test]
fn a_change_is_kept_or_taken_back_by_the_mean_of_its_windows() {
    let mut world = World::new();
    world.quiet(&[100, 102]);
    assert_eq!(world.supervisor.standing(), Standing::Estimating);
    world.quiet(&[98]);
    world.apply(5.0);
    // The first window does not count.
    world.quiet(&[130, 103, 105]);
    let kept = world.window(104, 90).expect("a judgement");
    assert_eq!((kept.step, &kept.set), (TuningStep::Kept, &None));
    assert!((kept.after - 104.0).abs() < 0.1, "{kept:?}");
    world.apply(6.0);
    world.quiet(&[110, 110, 110]);
    let undone = world.window(110, 90).expect("a judgement");
    assert_eq!(undone.step, TuningStep::Undone);
    assert_eq!(undone.set, Some(values(5.0)));
    let verdict = world.supervisor.take_judgement().map(|it| it.verdict);
    assert_eq!(verdict, Some(Verdict::Undone));
    assert_eq!(world.supervisor.take_judgement(), None, "once");
}

#[test]
fn small_losses_do_not_add_up() {
    let mut world = World::new();
    world.quiet(&[100, 100, 100]);
    world.apply(5.0);
    world.quiet(&[104, 104, 104]);
    assert_eq!(
        world.window(104, 90).map(|it| it.step),
        Some(TuningStep::Kept)
    );
    world.apply(6.0);
    world.quiet(&[108, 108, 108]);
    // 4 % more than before, and 8 % more than at first.
    assert_eq!(
        world.window(108, 90).map(|it| it.step),
        Some(TuningStep::Undone)
    );
}

/// Costs that alternate by a quarter of their mean.
fn noisy(windows: u64, mean: u64) -> Vec<u64> {
    let costs = (0..windows).map(|turn| {
        if turn % 2 == 0 {
            mean * 3 / 4
        } else {
            mean * 5 / 4
        }
    });
    costs.collect()
}

/// Ten percent more is too much where windows are alike, and chance where they differ.
#[test]
fn noisy_windows_need_more_to_be_judged() {
    let mut world = World::new();
    world.quiet(&noisy(23, 100));
    assert_eq!(world.supervisor.standing(), Standing::Estimating);
    world.quiet(&[100]);
    world.apply(5.0);
    let kept = noisy(4, 110)
        .into_iter()
        .find_map(|cost| world.window(cost, 90));
    assert_eq!(kept.map(|it| it.step), Some(TuningStep::Kept));
    // In the long run it is seen.
    let back = noisy(200, 120)
        .into_iter()
        .find_map(|cost| world.window(cost, 90));
    let back = back.expect("it goes back");
    assert_eq!(
        (back.step, back.set),
        (TuningStep::Restored, Some(values(4.0)))
    );
}

#[test]
fn a_jump_decides_nothing_the_first_time() {
    let mut world = World::new();
    world.quiet(&[100, 100, 100]);
    world.apply(5.0);
    // Cheaper by half, and then not: the watch begins once more.
    world.quiet(&[50, 50, 50, 50, 100, 100]);
    assert_eq!(
        world.window(100, 90).map(|it| it.step),
        Some(TuningStep::Kept)
    );
}

#[test]
fn the_next_change_waits_until_the_last_failure_is_affordable() {
    let mut world = World::new();
    world.quiet(&[100; 20]);
    world.apply(5.0);
    world.quiet(&[130, 130]);
    let undone = world.window(130, 90).map(|it| it.step);
    assert_eq!(undone, Some(TuningStep::Undone));
    // Three windows at 30 more are 5 % of 1,800, but 2,390 are spent already.
    world.quiet(&[100, 100]);
    assert_eq!(world.supervisor.standing(), Standing::Free);
    world.apply(5.0);
    world.quiet(&[120, 120]);
    let undone = world.window(120, 90).map(|it| it.step);
    assert_eq!(undone, Some(TuningStep::Undone));
    // Together they lost 150, which is 5 % of 3,000, of which 2,950 are spent.
    world.quiet(&[100]);
    assert_eq!(world.supervisor.standing(), Standing::Estimating);
    world.quiet(&[100]);
    assert_eq!(world.supervisor.standing(), Standing::Free);
}

#[test]
fn another_mix_gives_the_change_up_and_begins_another_estimate() {
    let mut world = World::new();
    world.quiet(&[100, 100, 100]);
    world.apply(5.0);
    world.quiet(&[100, 100]);
    let order = world.window(900, 10).expect("it is given up");
    assert_eq!(order.step, TuningStep::Abandoned);
    assert_eq!(order.set, Some(values(4.0)));
    assert_eq!(world.supervisor.standing(), Standing::Estimating);
}

/// What is best for one mix says nothing of another, but something of the same one later.
#[test]
fn each_mix_has_its_settings() {
    let mut world = World::new();
    world.quiet(&[100, 100, 100]);
    world.apply(5.0);
    world.quiet(&[80, 80, 80]);
    let kept = world.window(80, 90).map(|it| it.step);
    assert_eq!(kept, Some(TuningStep::Kept));
    world.quiet(&[80]);
    // A window that holds a bit of both is no mix.
    assert_eq!(world.window(300, 50), None);
    assert_eq!(world.window(900, 10), None);
    let order = world.window(900, 10).expect("another mix lasts");
    assert_eq!((order.step, order.why), (TuningStep::Restored, "new-mix"));
    assert_eq!(world.now, values(4.0));
    for _ in 0..6 {
        assert_eq!(world.window(900, 10), None);
    }
    assert_eq!(world.window(80, 90), None);
    let order = world.window(80, 90).expect("the first mix is back");
    assert_eq!((order.step, order.why), (TuningStep::Restored, "known-mix"));
    assert_eq!(world.now, values(5.0));
}

#[test]
fn too_much_lost_leads_back_to_the_best_known_and_to_a_rest() {
    let mut world = World::new();
    world.quiet(&[100, 100, 100]);
    world.apply(5.0);
    // Eleven windows may lose 5 each. The first time the change alone is taken back.
    for step in [TuningStep::Undone, TuningStep::FellBack] {
        world.quiet(&[130]);
        let order = world.window(130, 90).expect("too much was lost");
        assert_eq!(order.step, step);
        if step == TuningStep::Undone {
            world.quiet(&[100; 7]);
            world.apply(5.0);
        }
    }
    let verdict = world.supervisor.take_judgement().map(|it| it.verdict);
    assert_eq!(verdict, Some(Verdict::Undone));
    assert_eq!(world.now, values(4.0));
    world.quiet(&[100; 5]);
    assert_eq!(world.supervisor.standing(), Standing::Resting);
    world.quiet(&[100; 20]);
    assert_eq!(world.supervisor.standing(), Standing::Free);
}

/// A change that seemed good, and is not; then one that is, which becomes the anchor.
#[test]
fn what_turns_bad_after_it_was_kept_is_not_kept_for_ever() {
    let mut world = World::new();
    world.quiet(&[100, 100, 100]);
    for (cost, anchor) in [(100, 4.0), (80, 6.0)] {
        world.apply(6.0);
        world.quiet(&[cost, cost, cost]);
        let kept = world.window(cost, 90).map(|it| it.step);
        assert_eq!(kept, Some(TuningStep::Kept));
        if anchor == 6.0 {
            world.quiet(&[cost]);
            world.apply(7.0);
            world.quiet(&[cost, cost, cost]);
            assert!(world.window(cost, 90).is_some());
        }
        let order = (0..20).find_map(|_| world.window(120, 90));
        assert_eq!(order.map(|it| it.step), Some(TuningStep::FellBack));
        assert_eq!(world.now, values(anchor));
        world.quiet(&[100; 20]);
    }
}

/// All settings cost more than when the anchor was measured: the path is not to blame.
#[test]
fn what_costs_more_because_everything_does_comes_back() {
    let mut world = World::new();
    world.quiet(&[100, 100, 100]);
    world.apply(5.0);
    world.quiet(&[100, 100, 100]);
    assert!(world.window(100, 90).is_some());
    let order = (0..60)
        .find_map(|_| world.window(104, 90))
        .expect("it goes back");
    assert_eq!(order.why, "best-known-costs-less");
    assert_eq!(world.now, values(4.0));
    let order = (0..20)
        .find_map(|_| world.window(120, 90))
        .expect("and comes back");
    assert_eq!(order.why, "what-was-left-costs-less");
    assert_eq!(world.now, values(5.0));
}

/// Settings that cannot be set do not make those in force look dear.
#[test]
fn an_anchor_that_was_never_in_force_is_no_bar() {
    let mut world = World::new();
    world.quiet(&[100, 100, 100]);
    world.apply(5.0);
    world.quiet(&[80, 80, 80]);
    assert!(world.window(80, 90).is_some());
    assert_eq!(world.window(900, 10), None);
    let order = world.window(900, 10).expect("another mix");
    assert_eq!(order.set, Some(values(4.0)));
    // They stay as they were.
    world.now = values(5.0);
    world.supervisor.set(values(5.0));
    for _ in 0..6 {
        assert_eq!(world.window(900, 10), None);
    }
    world.apply(6.0);
    let kept = (0..4).find_map(|_| world.window(900, 10));
    assert_eq!(kept.map(|it| it.step), Some(TuningStep::Kept));
}
