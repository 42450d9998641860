//! Places of the frames in a collected value file.

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
    extents: Vec<(u64, u64)>,
    /// Start of each extent in the collected file.
    places: Vec<u64>,
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
        Self {
            file,
            collections,
            start,
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
        let at = self.extents.partition_point(|(_, end)| *end <= offset);
        let (start, _) = self.extents.get(at).filter(|(start, _)| *start <= offset)?;
        Some(self.places[at] + (offset - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
