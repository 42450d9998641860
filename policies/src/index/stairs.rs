//! The function a model has to follow: the rank of the first image not below q, a flight of stairs over all q.
//!
//! Its steps are where images are stored: at an image it is the image's first rank, just above it the rank after the
//! image and its equals. A prediction that never falls as q grows is wrong by the most at an edge of a step: so errors
//! measured there bound the errors everywhere, whatever rounding did.

use super::Ranks;

/// Images that are equal: their first rank, the rank after them, and the image there.
pub(super) struct Run {
    pub(super) image: u64,
    pub(super) rank: u32,
    pub(super) end: u32,
    pub(super) next: Option<u64>,
}

/// Shows each run of equal images, in order. The images are fewer than 2^32.
pub(super) fn each_run(images: &[u64], mut visit: impl FnMut(Run)) {
    let mut rank = 0;
    while let Some(image) = images.get(rank).copied() {
        let mut end = rank + 1;
        while images.get(end) == Some(&image) {
            end += 1;
        }
        visit(Run {
            image,
            rank: rank as u32,
            end: end as u32,
            next: images.get(end).copied(),
        });
        rank = end;
    }
}

/// Shows what a line is fitted to: the distinct images with their first ranks; and, above a run of several, the next
/// image there could be with the rank after the run, for that is where a search for it lands.
pub(super) fn each_point(images: &[u64], mut visit: impl FnMut(u64, u32)) {
    each_run(images, |run| {
        visit(run.image, run.rank);
        if run.end - run.rank > 1
            && let Some(above) = gap_above(&run)
        {
            visit(above, run.end);
        }
    });
}

/// Shows both edges of each step: the distinct images with their first ranks, and the lowest image of each gap with the
/// rank after it. (The highest image of a gap is no edge: the prediction there is at most that at the next image.)
pub(super) fn each_edge(images: &[u64], mut visit: impl FnMut(u64, u32)) {
    each_run(images, |run| {
        visit(run.image, run.rank);
        if let Some(above) = gap_above(&run) {
            visit(above, run.end);
        }
    });
}

fn gap_above(run: &Run) -> Option<u64> {
    run.image
        .checked_add(1)
        .filter(|above| run.next.is_none_or(|next| *above < next))
}

/// How far the true rank can be above a prediction, and below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) above: u32,
    pub(super) below: u32,
}

impl Bounds {
    /// Takes in that the rank is `rank` where `predicted` was.
    pub(super) fn widen(&mut self, rank: u32, predicted: u32) {
        self.above = self.above.max(rank.saturating_sub(predicted));
        self.below = self.below.max(predicted.saturating_sub(rank));
    }

    /// What holds where either holds.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            above: self.above.max(other.above),
            below: self.below.max(other.below),
        }
    }
}

/// The number of images.
///
/// # Errors
/// Why no line can be fitted to them.
pub(super) fn trainable(images: &[u64]) -> Result<u32, &'static str> {
    if images.first() == images.last() {
        return Err("fewer than two distinct images");
    }
    i32::try_from(images.len())
        .map(i32::unsigned_abs)
        .map_err(|_| "more than 2^31 - 1 images")
}

/// Whether a model of `bytes` pays: at most 2 bytes an entry, or 8 bytes a block, for which their images can be kept.
///
/// # Errors
/// That it does not.
pub(super) fn affordable(bytes: usize, images: usize, over: Ranks) -> Result<(), &'static str> {
    match over {
        Ranks::Entries if bytes > 2 * images => Err("the model is larger than 2 bytes an entry"),
        Ranks::Blocks if bytes > 8 * images => Err("the model is larger than 8 bytes a block"),
        Ranks::Entries | Ranks::Blocks => Ok(()),
    }
}
