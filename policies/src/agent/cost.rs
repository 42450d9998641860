//! The referee: what a window cost, in one currency, from counters that no agent can write.
//!
//! The currency is nanoseconds of client time where latency is measured, else bytes that the device
//! moved. Growth of debt is charged, and its decline credited, at the price of a byte: the least
//! that a byte has cost in any window so far. A window's client time pays for reads and writes as
//! well, so putting work off saves at most what it is charged.
//!
//! Agents compare logarithms of costs, so a scale drops out. What changes under an unchanged layout
//! is the workload's doing ([`Level`]), and a mix is compared with itself ([`Baselines`]).
//!
//! Source: the traps of reward design in the literature on learned storage engines: deferred debt,
//! rewards that a learner grades itself, scales that move.

use crate::facts::WindowStats;

/// The least share of a window's own cost that remains after credit for debt paid back. The rest of
/// the credit waits for the next windows.
const SHARE_MIN: f64 = 0.1;

/// Bytes that a window must move before it says something about the price of a byte.
const PRICED_BYTES_MIN: f64 = 65_536.0;

/// A difference of logarithms that no noise explains: a factor of 1.65.
const JUMP: f64 = 0.5;

/// What one window cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    /// Cost of an operation in the referee's currency, above 0.
    pub(super) cost: f64,
    /// The natural logarithm of `cost`.
    pub(super) log: f64,
}

/// Judges windows one after the other. O(1) a window.
#[derive(Debug, Default)]
pub(super) struct Referee {
    /// Whether the last window's currency was time.
    timed: bool,
    /// The least price of a byte so far; none before a window has moved enough bytes.
    price: Option<f64>,
    debt_bytes: Option<u64>,
    /// Credit that is left for later windows: 0 or less.
    carry: f64,
}

impl Referee {
    /// The cost of `window`; `None` if it holds no operation.
    pub(super) fn judge(&mut self, window: &WindowStats) -> Option<Judged> {
        let timed = client_nanos(window) > 0.0;
        if timed != self.timed {
            *self = Self {
                timed,
                debt_bytes: self.debt_bytes,
                ..Self::default()
            };
        }
        let bytes = device_bytes(window);
        let own = if timed { client_nanos(window) } else { bytes };
        if !timed {
            self.price = Some(1.0);
        } else if bytes >= PRICED_BYTES_MIN {
            let price = own / bytes;
            self.price = Some(self.price.map_or(price, |least| least.min(price)));
        }
        let before = self.debt_bytes.replace(window.debt_bytes);
        let growth = window.debt_bytes as f64 - before.unwrap_or(window.debt_bytes) as f64;
        let operations = window.operations();
        let charged = own + growth * self.price() + self.carry;
        if operations == 0 {
            self.carry = charged;
            return None;
        }
        // A window of nothing but hits in memory costs little, yet not nothing.
        let total = charged.max(own * SHARE_MIN).max(1.0);
        self.carry = (charged - total).min(0.0);
        let cost = total / operations as f64;
        let log = libm::log(cost);
        Some(Judged { cost, log })
    }

    /// The price of a byte that is read or written, in the referee's currency; 0 while unknown.
    pub(super) fn price(&self) -> f64 {
        self.price.unwrap_or(0.0)
    }
}

/// Nanoseconds that clients waited; 0 if latency is not measured.
fn client_nanos(window: &WindowStats) -> f64 {
    let classes = [
        window.get_latency,
        window.write_latency,
        window.scan_latency,
    ];
    classes.iter().map(|class| class.nanos as f64).sum()
}

fn device_bytes(window: &WindowStats) -> f64 {
    window.device_write_bytes as f64 + window.device_read_bytes as f64
}

/// Bytes that reads of users took from the device.
fn user_read_bytes(window: &WindowStats) -> f64 {
    window
        .device_read_bytes
        .saturating_sub(window.compaction_read_bytes) as f64
}

/// What reads of `window` cost for each sorted run that they met, in the referee's currency.
///
/// A scan looks into every run, and its last part is the rows themselves. A point read looks into a
/// run that does not hold the key only if the filter errs.
pub(super) fn cost_of_a_run(window: &WindowStats, runs: usize) -> f64 {
    let runs = runs.max(1) as f64;
    let needless = window.filter_false_positives as f64;
    let reads = needless + window.gets_found as f64;
    let needless_share = if reads > 0.0 { needless / reads } else { 0.0 };
    if client_nanos(window) > 0.0 {
        let scans = window.scan_latency.nanos as f64 / (runs + 1.0);
        return scans + window.get_latency.nanos as f64 * needless_share / runs;
    }
    let asked = window.gets as f64 + window.scans as f64;
    if asked == 0.0 {
        return 0.0;
    }
    let scan_share = window.scans as f64 / asked;
    let bytes = user_read_bytes(window);
    bytes * (scan_share / (runs + 1.0) + (1.0 - scan_share) * needless_share / runs)
}

/// The level that the logarithms of all layouts' costs share, as the workload moves it.
///
/// A layout's standing is its cost above this level. While a layout stays, a surprise moves the
/// level, the more so the better its standing is known, and at once if it is a jump. After a change
/// of layout, a surprise is the layout's own.
#[derive(Debug, Default)]
pub(super) struct Level(Option<f64>);

impl Level {
    /// The standing of a layout that cost `log`: the logarithm above the level. `known` is the
    /// standing expected of it and on how many windows that rests, if it has stayed.
    pub(super) fn standing(&mut self, log: f64, known: Option<(f64, f64)>) -> f64 {
        let level = self.0.get_or_insert(log);
        if let Some((expected, windows)) = known {
            let surprise = log - *level - expected;
            let jump = surprise.abs() > JUMP && windows >= 3.0;
            let gain = if jump {
                1.0
            } else {
                0.5 * windows / (windows + 4.0)
            };
            *level += gain * surprise;
        }
        log - *level
    }
}

/// The usual cost of each mix, for learners that know the mix: its mean over all windows, in which
/// the last fifty weigh most.
#[derive(Debug)]
pub(super) struct Baselines(Vec<(f64, f64)>);

impl Baselines {
    pub(super) fn new(mixes: usize) -> Self {
        Self(vec![(0.0, 0.0); mixes])
    }

    /// How far `log` is above the usual cost of `mix`, which then takes it in. The first windows of
    /// a mix are as usual.
    pub(super) fn excess(&mut self, mix: usize, log: f64) -> f64 {
        let (mean, windows) = &mut self.0[mix];
        *windows = (*windows + 1.0).min(50.0);
        let above = if *windows > 1.0 { log - *mean } else { 0.0 };
        *mean += (log - *mean) / *windows;
        above
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Latency;

    fn window(nanos: u64, bytes: u64, debt_bytes: u64) -> WindowStats {
        WindowStats {
            writes: 1000,
            write_latency: Latency {
                count: 1000,
                nanos,
                p99_nanos: 0,
            },
            device_write_bytes: bytes,
            debt_bytes,
            ..WindowStats::default()
        }
    }

    #[test]
    fn putting_work_off_does_not_pay() {
        // Both write 64 MiB of users' data at 2 ns a byte; one compacts at once, one owes it.
        let mib = 1 << 20;
        let mut diligent = Referee::default();
        let mut lazy = Referee::default();
        for referee in [&mut diligent, &mut lazy] {
            referee.judge(&window(2 * mib, mib, 0));
        }
        let mut costs = (0.0, 0.0);
        for turn in 1..=10 {
            costs.0 += diligent.judge(&window(4 * mib, 2 * mib, 0)).unwrap().cost;
            costs.1 += lazy.judge(&window(2 * mib, mib, turn * mib)).unwrap().cost;
        }
        assert!(costs.1 >= costs.0 * 0.999, "{costs:?}");
    }

    #[test]
    fn credit_that_one_window_cannot_take_waits_for_the_next() {
        let mut referee = Referee::default();
        referee.judge(&window(1 << 20, 1 << 20, 100 << 20));
        let paid = referee.judge(&window(1 << 20, 1 << 20, 98 << 20)).unwrap();
        let own = f64::from(1 << 20) / 1000.0;
        assert!((paid.cost - own * SHARE_MIN).abs() < 1e-6, "{paid:?}");
        let next = referee.judge(&window(1 << 20, 1 << 20, 98 << 20)).unwrap();
        assert!((next.cost - own * SHARE_MIN).abs() < 1e-6, "{next:?}");
        let last = referee.judge(&window(1 << 20, 1 << 20, 98 << 20)).unwrap();
        assert!(last.cost > own * 0.7, "{last:?}");
    }

    #[test]
    fn bytes_are_the_currency_where_nothing_is_timed() {
        let mut referee = Referee::default();
        let judged = referee.judge(&window(0, 5_000, 0)).unwrap();
        assert_eq!(judged.cost, 5.0);
        let owing = referee.judge(&window(0, 5_000, 1_000)).unwrap();
        assert_eq!(owing.cost, 6.0);
        assert_eq!(referee.judge(&WindowStats::default()), None);
    }

    #[test]
    fn a_layout_that_stays_moves_the_level_and_another_does_not() {
        let mut level = Level::default();
        assert_eq!(level.standing(1.0, None), 0.0);
        assert_eq!(level.standing(4.0, Some((0.0, 9.0))), 0.0, "values grew");
        assert_eq!(level.standing(3.5, None), -0.5, "another layout is better");
        let noise = level.standing(4.05, Some((0.0, 9.0)));
        assert!((0.0..0.05).contains(&noise), "{noise}");
    }

    #[test]
    fn a_mix_is_compared_with_itself() {
        let mut baselines = Baselines::new(2);
        assert_eq!(baselines.excess(0, 1.0), 0.0);
        assert_eq!(baselines.excess(1, 5.0), 0.0);
        assert_eq!(baselines.excess(0, 1.5), 0.5);
        assert_eq!(baselines.excess(0, 1.25), 0.0);
    }

    #[test]
    fn a_run_costs_scans_more_than_gets_behind_filters() {
        let latency = Latency {
            count: 100,
            nanos: 1_000_000,
            p99_nanos: 0,
        };
        let scans = WindowStats {
            scans: 100,
            scan_latency: latency,
            ..WindowStats::default()
        };
        let gets = WindowStats {
            gets: 100,
            gets_found: 100,
            filter_false_positives: 1,
            get_latency: latency,
            ..WindowStats::default()
        };
        assert_eq!(cost_of_a_run(&scans, 3), 250_000.0);
        assert!(cost_of_a_run(&gets, 3) < 4_000.0);
        assert_eq!(cost_of_a_run(&WindowStats::default(), 3), 0.0);
    }
}
