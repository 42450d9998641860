//! The referee: what a window cost, in one currency, from counters that no policy can write.
//!
//! The currency is nanoseconds of client time where latency is measured, else bytes that the device
//! moved. Growth of debt is charged, and its decline credited, at the price of a byte: the least
//! that a byte has cost in any window so far. A window's client time pays for reads and writes as
//! well, so putting work off saves at most what it is charged.
//!
//! Source: the traps of reward design in the literature on learned storage engines: deferred debt,
//! rewards that a learner grades itself, scales that move.

use crate::facts::WindowStats;

/// The least share of a window's own cost that remains after credit for debt paid back. The rest of
/// the credit waits for the next windows.
const SHARE_MIN: f64 = 0.1;

/// Bytes that a window must move before it says something about the price of a byte.
const PRICED_BYTES_MIN: f64 = 65_536.0;

/// What one window cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Cost of an operation in the referee's currency, above 0.
    pub cost: f64,
    /// The natural logarithm of `cost`.
    pub log: f64,
}

/// Judges windows one after the other. O(1) a window.
///
/// ```
/// use aura_policies::facts::WindowStats;
/// use aura_policies::referee::Referee;
///
/// let mut referee = Referee::default();
/// let window = WindowStats { writes: 10, device_write_bytes: 500, ..WindowStats::default() };
/// assert_eq!(referee.judge(&window).map(|judged| judged.cost), Some(50.0));
/// let owes = WindowStats { debt_bytes: 100, ..window };
/// assert_eq!(referee.judge(&owes).map(|judged| judged.cost), Some(60.0));
/// ```
#[derive(Debug, Default)]
pub struct Referee {
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
    pub fn judge(&mut self, window: &WindowStats) -> Option<Judged> {
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
    pub fn price(&self) -> f64 {
        self.price.unwrap_or(0.0)
    }
}

/// Nanoseconds that clients waited; 0 if latency is not measured.
pub(crate) fn client_nanos(window: &WindowStats) -> f64 {
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
}
