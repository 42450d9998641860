//! A phase in pieces of about equally many operations, from its slices of time.

use crate::record::SeriesPoint;

/// Operations in a row, and the time that they took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Operations of the phase before it.
    pub from: u64,
    /// Its operations, at least one.
    pub operations: u64,
    /// Its nanoseconds.
    pub nanos: u64,
}

impl Piece {
    /// Nanoseconds an operation.
    pub fn cost(&self) -> f64 {
        self.nanos as f64 / self.operations as f64
    }
}

/// Puts the slices of a phase together to `count` pieces or a little fewer, each of at least its
/// share of the operations. What is left at the end belongs to the last one. O(slices).
pub fn pieces(slices: &[SeriesPoint], count: u64) -> Vec<Piece> {
    let all: u64 = slices.iter().map(|slice| slice.operations).sum();
    let share = all.div_ceil(count.max(1)).max(1);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut open = Piece {
        from: 0,
        operations: 0,
        nanos: 0,
    };
    for slice in slices {
        open.operations += slice.operations;
        open.nanos += slice.nanos;
        if open.operations >= share {
            pieces.push(open);
            open = Piece {
                from: open.from + open.operations,
                operations: 0,
                nanos: 0,
            };
        }
    }
    match pieces.last_mut() {
        Some(last) if open.operations * 2 < share => {
            last.operations += open.operations;
            last.nanos += open.nanos;
        }
        _ if open.operations > 0 => pieces.push(open),
        _ => {}
    }
    pieces
}

/// How many operations of a phase had ended `at` nanoseconds after its start, as its slices say: on
/// the line between the ends of each.
pub fn operations_at(slices: &[SeriesPoint], at: u64) -> f64 {
    let mut ended = 0.0;
    for slice in slices {
        if at >= slice.at_nanos + slice.nanos {
            ended += slice.operations as f64;
        } else if at > slice.at_nanos {
            let share = (at - slice.at_nanos) as f64 / slice.nanos as f64;
            return ended + slice.operations as f64 * share;
        } else {
            return ended;
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(operations: &[u64]) -> Vec<SeriesPoint> {
        let slice = |(number, operations): (usize, &u64)| SeriesPoint {
            at_nanos: number as u64 * 100,
            nanos: 100,
            operations: *operations,
            ..SeriesPoint::default()
        };
        operations.iter().enumerate().map(slice).collect()
    }

    fn piece(from: u64, operations: u64, nanos: u64) -> Piece {
        Piece {
            from,
            operations,
            nanos,
        }
    }

    #[test]
    fn pieces_have_their_share_of_the_operations_and_all_of_the_time() {
        let uneven = slices(&[10, 0, 10, 20, 5, 15, 1]);
        let expected = [piece(0, 40, 400), piece(40, 21, 300)];
        assert_eq!(pieces(&uneven, 2), expected, "31 operations each at least");
        let expected = [piece(0, 20, 300), piece(20, 20, 100), piece(40, 21, 300)];
        assert_eq!(pieces(&uneven, 4), expected, "16 each; one is too few");
        assert_eq!(pieces(&uneven, 4)[0].cost(), 15.0);
        assert_eq!(pieces(&slices(&[7]), 0), [piece(0, 7, 100)]);
        assert_eq!(pieces(&slices(&[0, 0]), 3), []);
        assert_eq!(pieces(&[], 3), []);
    }

    #[test]
    fn operations_end_evenly_within_a_slice() {
        let slices = slices(&[10, 30]);
        for (at, ended) in [(0, 0.0), (50, 5.0), (100, 10.0), (150, 25.0), (900, 40.0)] {
            assert_eq!(operations_at(&slices, at), ended, "at {at}");
        }
    }
}
