//! The cost of CPU work, and the cores that do it.

use crate::env::work::{CpuCosts, CpuWork, KINDS};

/// The costs in whole picoseconds. Sums of integers are the same in any order, and the additions do
/// not wait for one another.
pub(super) struct Prices([u64; KINDS]);

impl Prices {
    pub(super) fn new(costs: &CpuCosts) -> Self {
        Self(costs.nanos().map(|nanos| (nanos * 1e3).round() as u64))
    }

    /// Returns the picoseconds that `work` takes. The sum wraps beyond half a year of work; it is
    /// not checked here, for speed.
    pub(super) fn picos(&self, work: &CpuWork) -> u64 {
        let mut picos = 0u64;
        for (price, count) in self.0.iter().zip(work.counts()) {
            picos = picos.wrapping_add(price.wrapping_mul(count));
        }
        picos
    }
}

/// The cores of the machine.
pub(super) struct Cores {
    /// When each core has finished its work.
    free_at: Vec<u64>,
    /// The core that got work last.
    last: usize,
    pub(super) busy_nanos: u64,
    pub(super) wait_nanos: u64,
}

impl Cores {
    pub(super) fn new(cores: u32) -> Self {
        Self {
            free_at: vec![0; cores.clamp(1, 65_536) as usize],
            last: 0,
            busy_nanos: 0,
            wait_nanos: 0,
        }
    }

    /// Gives work to a core and returns when it is done. The work is ready at `start` and takes
    /// `nanos`. It goes to a core that is free then, or else to the one that is free first.
    pub(super) fn run(&mut self, start: u64, nanos: u64) -> u64 {
        // All free cores are alike. If the last one is free, there is no need to search.
        if self.free_at[self.last] > start {
            let cores = self.free_at.iter().enumerate();
            let first = cores.min_by_key(|(_, free_at)| **free_at);
            self.last = first.map_or(0, |(core, _)| core);
        }
        let begin = start.max(self.free_at[self.last]);
        let end = begin.saturating_add(nanos);
        self.free_at[self.last] = end;
        self.busy_nanos += nanos;
        self.wait_nanos += begin - start;
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_charged_its_own_cost() {
        let costs = CpuCosts {
            comparison_ns: 2.0,
            byte_copied_ns: 1024.0,
            ..CpuCosts::FREE
        };
        let work = CpuWork {
            comparisons: 5,
            bytes_copied: 2,
            system_calls: 7,
            ..CpuWork::default()
        };
        assert_eq!(Prices::new(&costs).picos(&work), 2_058_000);
        assert_eq!(Prices::new(&CpuCosts::FREE).picos(&work), 0);
    }

    #[test]
    fn work_waits_for_the_core_that_is_free_first() {
        let mut cores = Cores::new(2);
        let ends = [
            cores.run(0, 100),
            cores.run(0, 60),
            cores.run(10, 5),
            cores.run(200, 1),
        ];
        assert_eq!(ends, [100, 60, 65, 201]);
        assert_eq!(cores.busy_nanos, 166);
        assert_eq!(cores.wait_nanos, 50);
    }
}
