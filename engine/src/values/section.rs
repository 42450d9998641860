//! Where the frames of a collected value file lie now.

/// The part of a collected file that holds what was kept of one older file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// The file that pointers name.
    pub(crate) file: u64,
    /// How often its frames were copied.
    pub(crate) collections: u32,
    /// Where the frames start in the collected file.
    pub(crate) start: u64,
    /// What was kept: ranges of the offsets that pointers name, in order.
    runs: Vec<(u64, u64)>,
    /// Where each run lies in the collected file.
    places: Vec<u64>,
    bytes: u64,
}

impl Section {
    /// A section whose `runs` lie one after the other from `start` on.
    pub(crate) fn new(file: u64, collections: u32, start: u64, runs: Vec<(u64, u64)>) -> Self {
        let mut at = start;
        let mut places = Vec::with_capacity(runs.len());
        for (from, to) in &runs {
            places.push(at);
            at = at.saturating_add(to - from);
        }
        Self {
            file,
            collections,
            start,
            runs,
            places,
            bytes: at - start,
        }
    }

    /// What was kept, as ranges of the offsets that pointers name.
    pub(crate) fn runs(&self) -> &[(u64, u64)] {
        &self.runs
    }

    /// Bytes kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the byte that pointers know at `offset` lies now; None where it was not kept. O(log runs).
    pub(crate) fn place(&self, offset: u64) -> Option<u64> {
        let at = self.runs.partition_point(|(_, end)| *end <= offset);
        let (start, _) = self.runs.get(at).filter(|(start, _)| *start <= offset)?;
        Some(self.places[at] + (offset - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_found_again_and_others_are_not() {
        let section = Section::new(7, 1, 100, vec![(8, 20), (30, 40)]);
        let places: Vec<_> = [7, 8, 19, 20, 29, 30, 39, 40]
            .map(|at| section.place(at))
            .into();
        assert_eq!(
            places,
            [
                None,
                Some(100),
                Some(111),
                None,
                None,
                Some(112),
                Some(121),
                None
            ]
        );
        assert_eq!(section.bytes(), 22);
    }
}
