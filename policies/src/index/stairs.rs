//! The function that a model follows: the rank of the first image not below q, a flight of stairs
//! over all q.
//!
//! Steps are where images are stored. At an image the function has the image's first rank; just
//! above it, the rank after the image and its ties. A prediction that never falls as q grows is
//! most wrong at an edge of a step. So errors measured there bound the errors everywhere, whatever
//! rounding did.

use super::Ranks;

/// Tied images: their first rank, the rank after them, and the next image there is.
pub(super) struct Ties {
    pub(super) image: u64,
    pub(super) rank: u32,
    pub(super) end: u32,
    pub(super) next: Option<u64>,
}

/// Passes each group of tied images to `visit`, in order. There are fewer than 2^32 images.
pub(super) fn each_ties(images: &[u64], mut visit: impl FnMut(Ties)) {
    let mut rank = 0;
    while let Some(image) = images.get(rank).copied() {
        let mut end = rank + 1;
        while images.get(end) == Some(&image) {
            end += 1;
        }
        visit(Ties {
            image,
            rank: rank as u32,
            end: end as u32,
            next: images.get(end).copied(),
        });
        rank = end;
    }
}

/// Passes to `visit` what a line is fitted to: the distinct images with their first ranks and,
/// above several ties, the next possible image with the rank after them, because that is where a
/// search for it ends.
pub(super) fn each_point(images: &[u64], mut visit: impl FnMut(u64, u32)) {
    each_ties(images, |ties| {
        visit(ties.image, ties.rank);
        if ties.end - ties.rank > 1
            && let Some(above) = gap_above(&ties)
        {
            visit(above, ties.end);
        }
    });
}

/// Passes both edges of each step to `visit`: the distinct images with their first ranks, and the
/// lowest image of each gap with the rank after it. The highest image of a gap is not an edge: the
/// prediction there is at most that at the next image.
pub(super) fn each_edge(images: &[u64], mut visit: impl FnMut(u64, u32)) {
    each_ties(images, |ties| {
        visit(ties.image, ties.rank);
        if let Some(above) = gap_above(&ties) {
            visit(above, ties.end);
        }
    });
}

fn gap_above(ties: &Ties) -> Option<u64> {
    ties.image
        .checked_add(1)
        .filter(|above| ties.next.is_none_or(|next| *above < next))
}

/// How far the true rank may be above a prediction, and below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) above: u32,
    pub(super) below: u32,
}

impl Bounds {
    /// Widens the bounds for a place where the rank is `rank` and the prediction `predicted`.
    pub(super) fn widen(&mut self, rank: u32, predicted: u32) {
        self.above = self.above.max(rank.saturating_sub(predicted));
        self.below = self.below.max(predicted.saturating_sub(rank));
    }

    /// The bounds that hold where either does.
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
/// The reason why no line can be fitted to them.
pub(super) fn trainable(images: &[u64]) -> Result<u32, &'static str> {
    if images.first() == images.last() {
        return Err("fewer than two distinct images");
    }
    i32::try_from(images.len())
        .map(i32::unsigned_abs)
        .map_err(|_| "more than 2^31 - 1 images")
}

/// Checks that a model of `bytes` pays: at most 2 bytes an entry, or 8 bytes a block, for which its
/// image could be kept.
///
/// # Errors
/// That it does not.
pub(super) fn affordable(bytes: usize, images: usize, over: Ranks) -> Result<(), &'static str> {
    if bytes <= affordable_bytes(images, over) {
        return Ok(());
    }
    Err(match over {
        Ranks::Entries => "the model is larger than 2 bytes an entry",
        Ranks::Blocks => "the model is larger than 8 bytes a block",
    })
}

/// The bytes of the largest model of `images` that pays.
pub(super) fn affordable_bytes(images: usize, over: Ranks) -> usize {
    match over {
        Ranks::Entries => 2 * images,
        Ranks::Blocks => 8 * images,
    }
}
