//! What followed a decision, in the windows that are its own.

use aura_policies::mix::{Mix, SHARE_OF_ANOTHER};

use super::Decided;

/// Windows over which the effect of a decision is measured at most: as many as those after which
/// setting something back is no reversal any more.
const EFFECT_WINDOWS_MAX: usize = 5;

/// What is kept of a window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    /// The phase in which it ended.
    pub(super) phase: String,
    /// Its mix of operations; `None` if there were none.
    pub(super) mix: Option<Mix>,
    /// Its operations.
    pub(super) operations: u64,
    /// What each cost in the referee's currency; `None` if there were none.
    pub(super) cost: Option<f64>,
}

/// Adds the cost after each decision that an agent had carried out. `seen` says how many of the
/// `windows` had ended at each.
///
/// The windows of a decision are those that follow until another one is carried out: five at most,
/// and none beyond its phase or of another mix than the window before it, because other operations
/// cost something else. Decisions after one window share theirs. O(windows + decisions).
pub(super) fn add_effects(decided: &mut [Decided], seen: &[usize], windows: &[Seen]) {
    let mut next_change = windows.len();
    let mut behind: Option<usize> = None;
    for (decided, seen) in decided.iter_mut().zip(seen).rev() {
        if !decided.is_done() {
            continue;
        }
        if let Some(later) = behind.replace(*seen).filter(|later| later != seen) {
            next_change = later;
        }
        let end = next_change.min(seen + EFFECT_WINDOWS_MAX);
        let own = windows.get(*seen..end).unwrap_or_default();
        let before = seen.checked_sub(1).and_then(|last| windows[last].mix);
        let is_alike = |window: &&Seen| {
            let mixes = before.zip(window.mix);
            window.phase == decided.phase
                && mixes.is_none_or(|(a, b)| a.distance(&b) <= SHARE_OF_ANOTHER)
        };
        let own = own.iter().take_while(is_alike);
        let (mut measured, mut operations, mut cost) = (0, 0, 0.0);
        for window in own {
            let Some(each) = window.cost else { continue };
            measured += 1;
            operations += window.operations;
            cost += each * window.operations as f64;
        }
        decided.effect_windows = Some(measured);
        decided.cost_after = (operations > 0).then(|| cost / operations as f64);
    }
}
