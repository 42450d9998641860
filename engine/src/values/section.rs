//! Places of the frames in a collected value file.

/// Extents for each fence of a section.
const FENCED: usize = 64;

/// The part of a collected file that holds the kept frames of one older file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Number of the older file, which pointers name.
    pub(crate) file: u64,
    /// How many times its frames were copied.
    pub(crate) collections: u32,
    /// Where the frames start in the collected file.
    pub(crate) start: u64,
    /// Kept extents, in order, by the offsets that pointers name.
    extents: Box<[(u64, u64)]>,
    /// Start of each extent in the collected file.
    places: Vec<u64>,
    /// The end of the last of every [`FENCED`] extents: a search passes through few cache lines.
    fences: Vec<u64>,
    bytes: u64,
}

impl Section {
    /// Creates a section whose extents lie one after another in the collected file, from `start`
    /// on.
    pub(crate) fn new(file: u64, collections: u32, start: u64, extents: Vec<(u64, u64)>) -> Self {
        let mut at = start;
        let mut places = Vec::with_capacity(extents.len());
        for (from, to) in &extents {
            places.push(at);
            at = at.saturating_add(to - from);
        }
        let extents = extents.into_boxed_slice();
        let fences = extents.chunks_exact(FENCED);
        Self {
            file,
            collections,
            start,
            fences: fences.map(|chunk| chunk[FENCED - 1].1).collect(),
            extents,
            places,
            bytes: at - start,
        }
    }

    /// Returns the kept extents, by the offsets that pointers name.
    pub(crate) fn extents(&self) -> &[(u64, u64)] {
        &self.extents
    }

    /// Returns the bytes kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns where the byte lies that pointers know at `offset`, or `None` if it was not kept.
    /// O(log extents).
    pub(crate) fn place(&self, offset: u64) -> Option<u64> {
        let chunk = self.fences.partition_point(|end| *end <= offset) * FENCED;
        let chunk_end = self.extents.len().min(chunk + FENCED);
        let within = &self.extents[chunk..chunk_end];
        let at = chunk + within.partition_point(|(_, end)| *end <= offset);
        let (start, _) = self.extents.get(at).filter(|(start, _)| *start <= offset)?;
        Some(self.places[at] + (offset - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches by fences find what a search through all extents finds, on both sides of a fence.
    #[test]
    fn long_sections_are_searched_by_fences() {
        for extents in [0, 1, 63, 64, 65, 127, 128, 129, 1_000] {
            let kept: Vec<(u64, u64)> =
                (0..extents).map(|at| (8 + at * 10, 13 + at * 10)).collect();
            let section = Section::new(7, 1, 100, kept.clone());
            for offset in 0..extents * 10 + 20 {
                let at = kept
                    .iter()
                    .position(|(start, end)| (*start..*end).contains(&offset));
                let place = at.map(|at| 100 + at as u64 * 5 + (offset - kept[at].0));
                assert_eq!(
                    section.place(offset),
                    place,
                    "{extents} extents, offset {offset}"
                );
            }
        }
    }

    #[test]
    fn kept_offsets_have_a_place_and_others_have_none() {
        let section = Section::new(7, 1, 100, vec![(8, 20), (30, 40)]);
        for (offset, place) in [
            (7, None),
            (8, Some(100)),
            (19, Some(111)),
            (20, None),
            (29, None),
            (30, Some(112)),
            (39, Some(121)),
            (40, None),
        ] {
            assert_eq!(section.place(offset), place, "offset {offset}");
        }
        assert_eq!(section.bytes(), 22);
    }
}
