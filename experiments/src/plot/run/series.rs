//! Series and histograms of several seeds, combined into one line.

use hdrhistogram::Histogram;

use crate::plot::chart::lines::LinePoint;
use crate::record::SeriesPoint;
use crate::stats;

/// A slice of time over all seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimeBin {
    /// The start in seconds.
    pub(super) from: f64,
    /// The end in seconds.
    pub(super) to: f64,
    /// Operations a second.
    pub(super) rate: f64,
    /// The share of the time that writers were stalled.
    pub(super) stalled: f64,
}

impl TimeBin {
    /// The middle in seconds.
    pub(super) fn middle(&self) -> f64 {
        f64::midpoint(self.from, self.to)
    }
}

/// Drops the slices at the end in which a client had already done all of its operations: what the
/// others do alone is no throughput of all. At least one slice is left.
pub(super) fn without_tail(slices: &[SeriesPoint]) -> &[SeriesPoint] {
    let whole = slices
        .iter()
        .take_while(|slice| slice.tail_nanos * 20 <= slice.nanos);
    &slices[..whole.count().max(1).min(slices.len())]
}

/// Averages the slices of several seeds; `None` without a slice.
///
/// Seeds end at different times, and their slices differ in length. So equal bins are laid over the
/// longest seed, and each is the mean over the seeds that run through at least half of it.
pub(super) fn over_time(seeds: &[&[SeriesPoint]]) -> Option<Vec<TimeBin>> {
    let end = seeds.iter().map(|slices| end_of(slices)).max()?;
    let bins = seeds.iter().map(|slices| slices.len()).max()?;
    if bins == 0 || end == 0 {
        return None;
    }
    let width = end as f64 / bins as f64;
    let bin = |number: usize| {
        let from = number as f64 * width;
        bin_of(seeds, from, (number + 1) as f64 * width, width)
    };
    Some((0..bins).filter_map(bin).collect())
}

fn end_of(slices: &[SeriesPoint]) -> u64 {
    let last = slices.last();
    last.map_or(0, |slice| slice.at_nanos + slice.nanos)
}

/// The mean of the seeds between two times in nanoseconds; `None` if none runs there.
fn bin_of(seeds: &[&[SeriesPoint]], from: f64, to: f64, width: f64) -> Option<TimeBin> {
    let mut rates = Vec::new();
    let mut stalls = Vec::new();
    for slices in seeds {
        let mut covered = 0.0;
        let mut operations = 0.0;
        let mut stalled = 0.0;
        for slice in slices.iter().filter(|slice| slice.nanos > 0) {
            let start = slice.at_nanos as f64;
            let nanos = slice.nanos as f64;
            let overlap = ((start + nanos).min(to) - start.max(from)).max(0.0);
            covered += overlap;
            operations += slice.operations as f64 * overlap / nanos;
            stalled += slice.stall_nanos as f64 * overlap / nanos;
        }
        // A seed that ends early in the bin would pull it down by the time it did not run.
        if covered >= width * 0.5 {
            rates.push(operations * 1e9 / covered);
            stalls.push((stalled / covered).min(1.0));
        }
    }
    if rates.is_empty() {
        return None;
    }
    Some(TimeBin {
        from: from / 1e9,
        to: to / 1e9,
        rate: stats::mean(&rates),
        stalled: stats::mean(&stalls),
    })
}

/// Merges the histograms of all seeds; `None` without a value.
pub(super) fn merged<'a>(
    histograms: impl Iterator<Item = &'a Histogram<u64>>,
) -> Option<Histogram<u64>> {
    let mut merged: Option<Histogram<u64>> = None;
    for histogram in histograms.filter(|histogram| !histogram.is_empty()) {
        match &mut merged {
            None => merged = Some(histogram.clone()),
            Some(merged) => {
                merged.auto(true);
                merged.add(histogram).ok()?;
            }
        }
    }
    merged
}

/// Returns microseconds by -log10(1 - quantile), up to the quantile of the largest value.
pub(super) fn spectrum(histogram: &Histogram<u64>) -> Vec<LinePoint> {
    let end = (histogram.len() as f64).log10();
    let steps = (end / 0.02).floor() as usize;
    let places = (0..=steps).map(|step| step as f64 * 0.02).chain([end]);
    let value = |x: f64| histogram.value_at_quantile(1.0 - 10_f64.powf(-x)) as f64 / 1e3;
    let mut points: Vec<LinePoint> = places
        .map(|x| LinePoint {
            x,
            y: value(x),
            half_width: None,
        })
        .collect();
    points.dedup();
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(at: u64, nanos: u64, operations: u64) -> SeriesPoint {
        SeriesPoint {
            at_nanos: at,
            nanos,
            operations,
            stall_nanos: nanos / 2,
            ..SeriesPoint::default()
        }
    }

    #[test]
    fn slices_of_unlike_length_are_averaged_by_overlap() {
        const SECOND: u64 = 1_000_000_000;
        let long = vec![slice(0, SECOND, 100), slice(SECOND, SECOND, 300)];
        let short = vec![
            slice(0, SECOND / 2, 100),
            slice(SECOND / 2, SECOND / 2, 200),
        ];
        let bins = over_time(&[&long, &short]).expect("there are slices");
        // The short seed does 300 operations in the first second and is over in the second one.
        let expected = [
            TimeBin {
                from: 0.0,
                to: 1.0,
                rate: 200.0,
                stalled: 0.5,
            },
            TimeBin {
                from: 1.0,
                to: 2.0,
                rate: 300.0,
                stalled: 0.5,
            },
        ];
        assert_eq!(bins, expected);
        assert_eq!(over_time(&[&[]]), None);
    }

    #[test]
    fn the_tail_is_what_follows_the_first_clients_end() {
        let mut slices: Vec<SeriesPoint> = (0..5).map(|at| slice(at * 100, 100, 10)).collect();
        assert_eq!(without_tail(&slices).len(), 5);
        slices[2].tail_nanos = 4;
        assert_eq!(without_tail(&slices).len(), 5, "a twentieth does not show");
        slices[3].tail_nanos = 60;
        slices[4].tail_nanos = 100;
        assert_eq!(without_tail(&slices).len(), 3);
        slices[0].tail_nanos = 90;
        assert_eq!(without_tail(&slices).len(), 1);
        assert!(without_tail(&[]).is_empty());
    }

    #[test]
    fn a_spectrum_ends_at_the_largest_value() {
        let mut histogram = Histogram::<u64>::new(3).expect("three digits are allowed");
        (1..=1000).for_each(|value| histogram.record(value * 1000).expect("the histogram grows"));
        let points = spectrum(&histogram);
        let last = points[points.len() - 1];
        assert!((last.x - 3.0).abs() < 1e-9, "{last:?}");
        assert!((last.y - 1000.0).abs() < 1.0, "{last:?}");
        let mut points = points.iter();
        let median = points.find(|point| point.x >= 0.301).expect("the median");
        assert!((median.y - 510.0).abs() < 15.0, "{median:?}");
    }
}
