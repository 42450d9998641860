//! A trace described by a few numbers.

use super::aurat::KINDS;
use super::loaded::Trace;

/// The sizes of distinct objects, each at its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeQuantiles {
    /// The smallest.
    pub min: u64,
    /// Half of the objects are no larger.
    pub p50: u64,
    /// Nine in ten are no larger.
    pub p90: u64,
    /// Ninety-nine in a hundred are no larger.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

/// How unequally the requests are spread over the objects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Popularity {
    /// The share of requests for the most popular hundredth of the objects.
    pub top_1_percent: f64,
    /// The share of requests for the most popular tenth.
    pub top_10_percent: f64,
    /// The exponent of the best fitting Zipf law. It is the slope of the least-squares line through
    /// the logarithms of rank and count, at ranks that are evenly spread by their logarithm and
    /// have at least [`FITTED_COUNT_MIN`] requests. `None` if there are fewer than three such
    /// ranks.
    pub zipf_exponent: Option<f64>,
}

/// Ranks with fewer requests say more about chance than about the law.
pub const FITTED_COUNT_MIN: u32 = 10;

/// Requests for one kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindCount {
    /// The kind's name.
    pub kind: &'static str,
    /// Requests for it.
    pub requests: u64,
    /// Requests that the recorded cache held.
    pub hits: u64,
}

/// A summary of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Requests, after sampling.
    pub requests: u64,
    /// Distinct objects.
    pub objects: u64,
    /// Objects requested exactly once.
    pub one_hit_wonders: u64,
    /// Bytes of all requests; `None` without sizes.
    pub request_bytes: Option<u64>,
    /// Bytes of all distinct objects, each at its first size; `None` without sizes.
    pub object_bytes: Option<u64>,
    /// Objects whose size changes.
    pub changing: u64,
    /// Sizes of objects; `None` without sizes or objects.
    pub sizes: Option<SizeQuantiles>,
    /// Nanoseconds from the earliest to the latest request; `None` without times.
    pub span_ns: Option<u64>,
    /// How requests are spread over objects; `None` without requests.
    pub popularity: Option<Popularity>,
    /// Requests by kind of object; empty if the format has no kinds.
    pub kinds: Vec<KindCount>,
    /// Requests made by scans.
    pub scanned: u64,
}

impl Summary {
    /// Summarises a trace. O(requests + objects log objects).
    pub fn of(trace: &Trace) -> Self {
        let requests = trace.objects().len();
        let counts = counts(trace);
        let scans = trace.details().iter().filter(|it| it.scanned > 0);
        let mut summary = Self {
            requests: requests as u64,
            objects: trace.keys().len() as u64,
            one_hit_wonders: counts.iter().filter(|count| **count == 1).count() as u64,
            request_bytes: None,
            object_bytes: None,
            changing: 0,
            sizes: None,
            span_ns: span_ns(trace.times()),
            popularity: popularity(&counts, requests),
            kinds: kinds(trace),
            scanned: scans.count() as u64,
        };
        if trace.has_sizes() {
            let mut sizes = trace.first_sizes();
            summary.changing = changing(trace, &sizes);
            sizes.sort_unstable();
            summary.sizes = quantiles(&sizes);
            summary.object_bytes = Some(sum(sizes.into_iter()));
            summary.request_bytes = Some(sum((0..requests).map(|at| trace.bytes(at))));
        }
        summary
    }
}

/// The sum, or the largest number if it is larger.
fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// The number of requests for each object, the most popular first.
fn counts(trace: &Trace) -> Vec<u32> {
    let mut counts = vec![0_u32; trace.keys().len()];
    for &object in trace.objects() {
        let count = &mut counts[object as usize];
        *count = count.saturating_add(1);
    }
    counts.sort_unstable_by(|one, other| other.cmp(one));
    counts
}

/// The time from the earliest to the latest.
fn span_ns(times: &[u64]) -> Option<u64> {
    let first = times.iter().min()?;
    let last = times.iter().max()?;
    Some(last - first)
}

/// The number of objects with a request for another size than their first.
fn changing(trace: &Trace, first_sizes: &[u64]) -> u64 {
    let mut changes = vec![false; first_sizes.len()];
    for (request, &object) in trace.objects().iter().enumerate() {
        let object = object as usize;
        if trace.bytes(request) != first_sizes[object] {
            changes[object] = true;
        }
    }
    changes.iter().filter(|changes| **changes).count() as u64
}

fn quantiles(sorted: &[u64]) -> Option<SizeQuantiles> {
    let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
    let min = *sorted.first()?;
    let max = *sorted.last()?;
    Some(SizeQuantiles {
        min,
        p50: at(50),
        p90: at(90),
        p99: at(99),
        max,
    })
}

/// The popularity of objects with these counts, the most popular first.
fn popularity(counts: &[u32], requests: usize) -> Option<Popularity> {
    if counts.is_empty() {
        return None;
    }
    let share = |percent: usize| {
        let top = (counts.len() * percent).div_ceil(100);
        let top: u64 = counts[..top].iter().map(|count| u64::from(*count)).sum();
        top as f64 / requests as f64
    };
    Some(Popularity {
        top_1_percent: share(1),
        top_10_percent: share(10),
        zipf_exponent: zipf_exponent(counts),
    })
}

fn zipf_exponent(counts: &[u32]) -> Option<f64> {
    let fitted = counts.partition_point(|count| *count >= FITTED_COUNT_MIN);
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut rank = 1;
    while rank <= fitted {
        points.push((
            libm::log(rank as f64),
            libm::log(f64::from(counts[rank - 1])),
        ));
        // Goes on by a quarter each time, and by at least one.
        rank += (rank / 4).max(1);
    }
    if points.len() < 3 {
        return None;
    }
    let mean =
        |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let x = mean(|point| point.0);
    let y = mean(|point| point.1);
    let products: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let squares: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.0 - x))
        .sum();
    Some(-products / squares)
}

fn kinds(trace: &Trace) -> Vec<KindCount> {
    let mut counts = KINDS.map(|kind| KindCount {
        kind,
        requests: 0,
        hits: 0,
    });
    for detail in trace.details() {
        let count = &mut counts[usize::from(detail.kind)];
        count.requests += 1;
        count.hits += u64::from(detail.hit);
    }
    let occurring = counts.into_iter().filter(|count| count.requests > 0);
    occurring.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occur() {
        assert_eq!(quantiles(&[]), None);
        let one = SizeQuantiles {
            min: 7,
            p50: 7,
            p90: 7,
            p99: 7,
            max: 7,
        };
        assert_eq!(quantiles(&[7]), Some(one));
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(
            quantiles(&hundred),
            Some(SizeQuantiles {
                min: 1,
                p50: 50,
                p90: 90,
                p99: 99,
                max: 100
            })
        );
    }

    #[test]
    fn an_exact_law_gives_its_exponent() {
        for theta in [0.6, 1.0] {
            let counts: Vec<u32> = (1..=2000)
                .map(|rank| (1e6 * f64::from(rank).powf(-theta)).round() as u32)
                .collect();
            let found = zipf_exponent(&counts).expect("enough ranks");
            assert!((found - theta).abs() < 0.01, "{found} for {theta}");
        }
        assert_eq!(zipf_exponent(&[100, 9, 8]), None);
        let flat = popularity(&[5; 200], 1000).expect("requests");
        assert_eq!((flat.top_1_percent, flat.top_10_percent), (0.01, 0.1));
    }
}
