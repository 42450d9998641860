//! How long a switch takes: from the series of a window that began with it.

use crate::record::SeriesPoint;

/// Slices that are looked at together: single ones are too short to be even.
const GROUPS: usize = 20;

/// How far a group may be from the steady rate.
const NEAR: f64 = 0.1;

/// Groups in a row that must be near.
const IN_A_ROW: usize = 3;

/// The operations from the start of a window until its rate is steady: within 10 % of the median of
/// its last third for three twentieths of its slices in a row. `None` if it never is, or if the
/// window has fewer than 20 slices. O(slices).
pub fn recovery(series: &[SeriesPoint]) -> Option<u64> {
    let groups: Vec<Group> = groups(series)?;
    let mut last: Vec<f64> = groups[GROUPS * 2 / 3..].iter().map(|it| it.rate).collect();
    last.sort_by(f64::total_cmp);
    let steady = last[last.len() / 2];
    let is_near = |group: &Group| (group.rate - steady).abs() <= steady * NEAR;
    let first = groups
        .windows(IN_A_ROW)
        .position(|it| it.iter().all(is_near))?;
    Some(groups[..first].iter().map(|group| group.operations).sum())
}

struct Group {
    operations: u64,
    /// Operations a nanosecond.
    rate: f64,
}

fn groups(series: &[SeriesPoint]) -> Option<Vec<Group>> {
    let size = series.len() / GROUPS;
    if size == 0 {
        return None;
    }
    let mut groups: Vec<Group> = Vec::new();
    for at in 0..GROUPS {
        let end = if at + 1 == GROUPS {
            series.len()
        } else {
            (at + 1) * size
        };
        let slices = &series[at * size..end];
        let operations: u64 = slices.iter().map(|slice| slice.operations).sum();
        let nanos: u64 = slices.iter().map(|slice| slice.nanos).sum();
        groups.push(Group {
            operations,
            rate: operations as f64 / nanos.max(1) as f64,
        });
    }
    Some(groups)
}
