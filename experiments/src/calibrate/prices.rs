//! Prices from measurements: the cost of each kind of work that explains the measured times best.
//!
//! The measured time of a probe is the sum, over the kinds of work, of count times price. Prices
//! are found by least squares of relative errors, each price not below zero, with a weak pull
//! towards the shipped one (ridge; Hoerl and Kennard, 1970), by coordinate descent (Franc, Hlaváč
//! and Navara, 2005). A kind that explains little of any probe, that moves with the others
//! through all probes, or whose best price is zero has no price of its own here: it keeps the
//! shipped one, and says why.

use aura_engine::env::CpuWork;
use aura_engine::env::sim::CpuCosts;

use super::probes::Probed;
use crate::formats::digits;

/// Kinds of work.
const KINDS: usize = CpuWork::NAMES.len();

/// The strength of the pull, in units of the squared relative error of one probe.
const PULL: f64 = 1e-3;

/// The share of some probe's time that a kind must explain at the shipped price, or at a price that
/// would explain all of it, to be found.
const SHARE_MIN: f64 = 0.02;

/// The part of a kind's counts that no mixture of others reproduces, below which it cannot be
/// separated from them.
const OWN_PART_MIN: f64 = 0.02;

/// Passes of the descent; it has come to rest long before.
const PASSES: usize = 20_000;

/// The change of every price, relative to its scale, at which the descent rests.
const REST: f64 = 1e-9;

/// Why a price is the shipped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// No probe does enough of it.
    TooLittle,
    /// It moves with other kinds in all probes.
    Collinear,
    /// The best price is zero: what it costs is in the prices of others.
    Vanished,
}

impl Kept {
    /// The reason in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLittle => "kept: too little of it in every probe",
            Self::Collinear => "kept: it moves with other kinds",
            Self::Vanished => "kept: others explain all of it",
        }
    }
}

/// The price of one kind of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// The key in `world.cpu`.
    pub name: &'static str,
    /// Nanoseconds as shipped.
    pub shipped: f64,
    /// Nanoseconds as found.
    pub found: f64,
    /// The largest share of a probe's time that it explains.
    pub share: f64,
    /// Why it is the shipped price, if it is.
    pub kept: Option<Kept>,
}

/// Prices, and how well they explain the probes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The prices in the order of [`CpuWork::NAMES`].
    pub prices: Vec<Price>,
    /// The share of the variance of measured times, in logarithms, that the prices explain.
    pub r2: f64,
}

impl Fit {
    /// The prices as a setting.
    pub fn costs(&self) -> CpuCosts {
        let mut nanos = [0.0; KINDS];
        for (nanos, price) in nanos.iter_mut().zip(&self.prices) {
            *nanos = price.found;
        }
        CpuCosts::of_nanos(nanos)
    }
}

/// Nanoseconds that prices give for one operation of a probe.
pub fn predicted(probed: &Probed, costs: &CpuCosts) -> f64 {
    let pairs = probed.counts.iter().zip(costs.nanos());
    pairs.map(|(count, price)| count * price).sum()
}

/// Finds the prices that explain the probes best.
pub fn fit(probes: &[Probed], shipped: &CpuCosts) -> Fit {
    let shipped_nanos = shipped.nanos();
    let design = Design::of(probes);
    let mut kept = design.kept(&shipped_nanos);
    let mut found = shipped_nanos;
    loop {
        design.descend(&mut found, &shipped_nanos, &kept);
        let is_zero = |kind: &usize| kept[*kind].is_none() && found[*kind] <= 0.0;
        let Some(vanished) = (0..KINDS).find(is_zero) else {
            break;
        };
        kept[vanished] = Some(Kept::Vanished);
        found = shipped_nanos;
    }
    let prices = (0..KINDS).map(|kind| {
        let shares = design.rows.iter().map(|row| row[kind] * found[kind]);
        Price {
            name: CpuCosts::NAMES[kind],
            shipped: shipped_nanos[kind],
            found: round(found[kind]),
            share: shares.fold(0.0, f64::max),
            kept: kept[kind],
        }
    });
    let mut fit = Fit {
        prices: prices.collect(),
        r2: 0.0,
    };
    fit.r2 = r2(probes, &fit.costs());
    fit
}

/// Three digits: more are not known.
fn round(value: f64) -> f64 {
    digits(value, 3).parse().unwrap_or(value)
}

/// The share of the variance of the logarithms of measured times that prices explain.
fn r2(probes: &[Probed], costs: &CpuCosts) -> f64 {
    let logs: Vec<f64> = probes.iter().map(|it| it.nanos.ln()).collect();
    let mean = logs.iter().sum::<f64>() / logs.len().max(1) as f64;
    let all: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
    let left: f64 = probes
        .iter()
        .map(|it| (predicted(it, costs).max(1e-9) / it.nanos).ln().powi(2))
        .sum();
    if all > 0.0 { 1.0 - left / all } else { 0.0 }
}

/// The counts of each probe over its measured time: a row times the prices is 1 if they explain it.
struct Design {
    rows: Vec<[f64; KINDS]>,
}

impl Design {
    fn of(probes: &[Probed]) -> Self {
        let row = |probed: &Probed| {
            let mut row = [0.0; KINDS];
            for (cell, count) in row.iter_mut().zip(&probed.counts) {
                *cell = count / probed.nanos;
            }
            row
        };
        Self {
            rows: probes.iter().map(row).collect(),
        }
    }

    /// The sum over the probes of the product of two columns.
    fn product(&self, a: usize, b: usize) -> f64 {
        self.rows.iter().map(|row| row[a] * row[b]).sum()
    }

    /// The kinds that keep their shipped price, and why.
    fn kept(&self, shipped: &[f64; KINDS]) -> [Option<Kept>; KINDS] {
        let mut kept = [None; KINDS];
        for (kind, kept) in kept.iter_mut().enumerate() {
            let shares = self.rows.iter().map(|row| row[kind] * shipped[kind]);
            if shares.fold(0.0, f64::max) < SHARE_MIN {
                *kept = Some(Kept::TooLittle);
            }
        }
        // One at a time: without it the others may be separable.
        loop {
            let free: Vec<usize> = (0..KINDS).filter(|kind| kept[*kind].is_none()).collect();
            let own = free.iter().map(|kind| (self.own_part(*kind, &free), *kind));
            let Some((part, kind)) = own.min_by(|a, b| a.0.total_cmp(&b.0)) else {
                return kept;
            };
            if part >= OWN_PART_MIN {
                return kept;
            }
            kept[kind] = Some(Kept::Collinear);
        }
    }

    /// The share of a column's square that no mixture of the other free columns reproduces: what
    /// is left after they are taken out of it, by Gram and Schmidt.
    fn own_part(&self, kind: usize, free: &[usize]) -> f64 {
        let column = |kind: usize| -> Vec<f64> { self.rows.iter().map(|row| row[kind]).collect() };
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let mut basis: Vec<Vec<f64>> = Vec::new();
        let without = |mut column: Vec<f64>, basis: &[Vec<f64>]| {
            // Twice, against rounding.
            for base in basis.iter().chain(basis) {
                let along = dot(&column, base);
                for (cell, base) in column.iter_mut().zip(base) {
                    *cell -= along * base;
                }
            }
            column
        };
        for other in free.iter().filter(|other| **other != kind) {
            let whole = column(*other);
            let square = dot(&whole, &whole);
            let left = without(whole, &basis);
            let length = dot(&left, &left).sqrt();
            if length * length > 1e-12 * square {
                basis.push(left.iter().map(|cell| cell / length).collect());
            }
        }
        let whole = column(kind);
        let square = dot(&whole, &whole);
        let left = without(whole, &basis);
        if square > 0.0 {
            dot(&left, &left) / square
        } else {
            0.0
        }
    }

    /// Moves the prices that are not kept to where the squares are least.
    fn descend(
        &self,
        prices: &mut [f64; KINDS],
        shipped: &[f64; KINDS],
        kept: &[Option<Kept>; KINDS],
    ) {
        let products: [[f64; KINDS]; KINDS] =
            std::array::from_fn(|a| std::array::from_fn(|b| self.product(a, b)));
        let free: Vec<usize> = (0..KINDS).filter(|kind| kept[*kind].is_none()).collect();
        for _ in 0..PASSES {
            let mut moved = 0.0f64;
            for kind in free.iter().copied() {
                let target: f64 = self.rows.iter().map(|row| row[kind]).sum();
                let all = products[kind].iter().zip(&*prices);
                let all: f64 = all.map(|(product, price)| product * price).sum();
                let others = all - products[kind][kind] * prices[kind];
                let scale = shipped[kind].max(1e-3);
                let pull = PULL / (scale * scale);
                let best = (target - others + pull * shipped[kind]) / (products[kind][kind] + pull);
                let best = best.max(0.0);
                moved = moved.max((best - prices[kind]).abs() / scale);
                prices[kind] = best;
            }
            if moved < REST {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A probe that does `counts` of the named kinds, and takes what `costs` say, times `noise`.
    fn probe(counts: &[(&str, f64)], costs: &CpuCosts, noise: f64) -> Probed {
        let mut all = vec![0.0; KINDS];
        for (name, count) in counts {
            let kind = CpuWork::NAMES.iter().position(|known| known == name);
            all[kind.expect("a kind")] = *count;
        }
        let mut probed = Probed {
            name: String::new(),
            counts: all,
            nanos: 0.0,
            spread: 1.0,
        };
        probed.nanos = predicted(&probed, costs) * noise;
        probed
    }

    fn price<'a>(fit: &'a Fit, name: &str) -> &'a Price {
        let mut prices = fit.prices.iter();
        prices.find(|price| price.name == name).expect("a price")
    }

    /// Prices of another machine.
    fn truth() -> CpuCosts {
        CpuCosts {
            operation_ns: 600.0,
            comparison_ns: 16.0,
            cursor_step_ns: 300.0,
            ..CpuCosts::default()
        }
    }

    fn mixtures(costs: &CpuCosts, noise: [f64; 5]) -> Vec<Probed> {
        let mixtures: [&[(&str, f64)]; 5] = [
            &[("operations", 1.0)],
            &[("operations", 1.0), ("comparisons", 30.0)],
            &[("operations", 1.0), ("comparisons", 90.0)],
            &[
                ("operations", 1.0),
                ("cursor_steps", 10.0),
                ("comparisons", 20.0),
            ],
            &[
                ("operations", 1.0),
                ("cursor_steps", 100.0),
                ("comparisons", 110.0),
            ],
        ];
        let pairs = mixtures.into_iter().zip(noise);
        pairs
            .map(|(counts, noise)| probe(counts, costs, noise))
            .collect()
    }

    #[test]
    fn prices_that_made_the_times_are_found_and_the_rest_is_kept() {
        let fit = fit(&mixtures(&truth(), [1.0; 5]), &CpuCosts::default());
        for (name, expected) in [
            ("operation_ns", 600.0),
            ("comparison_ns", 16.0),
            ("cursor_step_ns", 300.0),
        ] {
            let price = price(&fit, name);
            assert_eq!(price.kept, None, "{price:?}");
            assert!((price.found / expected - 1.0).abs() < 0.03, "{price:?}");
        }
        let untouched = price(&fit, "system_call_ns");
        assert_eq!(untouched.kept, Some(Kept::TooLittle));
        assert_eq!(untouched.found, untouched.shipped);
        assert!(fit.r2 > 0.999, "{}", fit.r2);
    }

    #[test]
    fn noise_moves_prices_by_about_itself() {
        let noise = [1.04, 0.97, 1.02, 0.96, 1.03];
        let fit = fit(&mixtures(&truth(), noise), &CpuCosts::default());
        for (name, expected) in [("operation_ns", 600.0), ("cursor_step_ns", 300.0)] {
            let price = price(&fit, name);
            assert!((price.found / expected - 1.0).abs() < 0.12, "{price:?}");
        }
        assert!(fit.r2 > 0.98 && fit.r2 < 1.0, "{}", fit.r2);
    }

    #[test]
    fn kinds_that_always_come_together_are_not_separated() {
        let costs = truth();
        let together = |count: f64| {
            let counts = [("cache_probes", count), ("filter_probes", 2.0 * count)];
            probe(&counts, &costs, 1.0)
        };
        let mut probes = mixtures(&costs, [1.0; 5]);
        probes.extend([1.0, 5.0, 20.0].map(together));
        let fit = fit(&probes, &CpuCosts::default());
        let kept: Vec<_> = ["cache_probe_ns", "filter_probe_ns"]
            .map(|name| price(&fit, name).kept)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(kept, [Kept::Collinear]);
    }

    #[test]
    fn a_price_that_comes_out_as_zero_is_the_shipped_one() {
        let costs = CpuCosts {
            comparison_ns: 0.0,
            ..truth()
        };
        // The second probe took less than its operation alone.
        let probes = mixtures(&costs, [1.0, 0.5, 1.0, 1.0, 1.0]);
        let fit = fit(&probes, &CpuCosts::default());
        assert!(fit.prices.iter().all(|price| price.found > 0.0), "{fit:?}");
    }
}
