//! What a reader must know before the numbers of a comparison.

use super::CompareRow;
use super::values::{Site, ValueIndex};
use crate::formats::digits;
use crate::stats::PAIRS_MIN;

/// Work put off beyond a window, over the bytes written in it, from which a reader must know it.
const DEFERRED_SHARE_MAX: f64 = 0.05;

/// Lists the warnings, at most one of each kind.
pub(super) fn warnings(
    index: &ValueIndex,
    variants: &[&str],
    sites: &[Site],
    rows: &[CompareRow],
) -> Vec<String> {
    let found = [
        overload(index, variants, sites),
        debt(index, variants, sites),
        few_seeds(sites, rows),
    ];
    found.into_iter().flatten().collect()
}

fn overload(index: &ValueIndex, variants: &[&str], sites: &[Site]) -> Option<String> {
    let mut overloaded = Vec::new();
    for variant in variants {
        for site in sites {
            if index.overloaded(variant, site) {
                overloaded.push(format!("{variant} {site}"));
            }
        }
    }
    (!overloaded.is_empty()).then(|| {
        format!(
            "Overloaded: the backlog kept growing, so latencies depend on the length of the run: \
             {}.",
            overloaded.join("; ")
        )
    })
}

fn debt(index: &ValueIndex, variants: &[&str], sites: &[Site]) -> Option<String> {
    let mut debts = Vec::new();
    for variant in variants {
        let shares = sites
            .iter()
            .filter_map(|site| index.deferred_share(variant, site));
        let most = shares.fold(0.0, f64::max);
        if most > DEFERRED_SHARE_MAX {
            debts.push(format!("{variant} {} %", digits(most * 100.0, 2)));
        }
    }
    (!debts.is_empty()).then(|| {
        let included = if index.has_whole() {
            "; the row `whole` and all write amplifications include them"
        } else {
            ""
        };
        format!(
            "Left flushes, compactions or collections unpaid, as a share of the bytes written in \
             the window (largest): {}. Times and rates of that window leave them out{included}.",
            debts.join(", ")
        )
    })
}

fn few_seeds(sites: &[Site], rows: &[CompareRow]) -> Option<String> {
    let noisy = sites.iter().any(|site| site.noisy);
    let few = |row: &CompareRow| (2..PAIRS_MIN).contains(&row.pairs);
    (!noisy && rows.iter().any(few)).then(|| {
        format!(
            "Fewer than {PAIRS_MIN} seeds: intervals and p-values rest on differences being \
             normally distributed."
        )
    })
}
