//! Line pieces over the images: the predictions of every model made of lines, and their stored
//! form.
//!
//! A piece is 16 bytes: its first image, a slope, and an integer base, which is the prediction at
//! that image. Predictions never fall as images grow: within a piece because its slope is not
//! negative, and between pieces because bases do not fall and a piece's predictions are capped at
//! the base of the next.

use bytes::{Buf, BufMut};

use super::stairs::{Bounds, each_edge};

/// A piece before it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The first image it answers for.
    pub(super) first: u64,
    /// Ranks for each image; not negative.
    pub(super) slope: f64,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    slope: f32,
    base: i32,
}

impl Line {
    /// How much higher than the base. The cast rounds down and saturates, so it keeps the order.
    fn rise(self, offset: u64) -> i64 {
        (f64::from(self.slope) * offset as f64) as i64
    }
}

/// Bytes of a stored piece.
pub(super) const PIECE_BYTES: usize = 16;

/// Pieces in the order of their first images.
#[derive(Debug)]
pub(super) struct Lines {
    /// Kept apart from the lines, because a search reads nothing else.
    firsts: Vec<u64>,
    /// One line for each piece, and one whose base is the number of ranks.
    lines: Vec<Line>,
}

impl Lines {
    /// Draws each piece, with the slope as it is stored, where its largest error over the images is
    /// least. If pieces share their first image, the images belong to the last one, and the others
    /// are flat at its base.
    pub(super) fn draw(images: &[u64], pieces: &[Piece]) -> Self {
        let firsts: Vec<u64> = pieces.iter().map(|piece| piece.first).collect();
        let mut lines = Vec::with_capacity(pieces.len() + 1);
        lines.extend(pieces.iter().map(|piece| Line {
            slope: piece.slope.clamp(0.0, 1e9) as f32,
            base: i32::MIN,
        }));
        lines.push(Line {
            slope: 0.0,
            base: images.len() as i32,
        });
        let mut residuals = vec![(i64::MAX, i64::MIN); pieces.len()];
        walk(&firsts, images, |piece, image, rank| {
            let residual = i64::from(rank) - lines[piece].rise(image - firsts[piece]);
            let (low, high) = &mut residuals[piece];
            *low = (*low).min(residual);
            *high = (*high).max(residual);
        });
        let mut base = images.len() as i64;
        for (line, (low, high)) in lines.iter_mut().zip(residuals).rev() {
            if low <= high {
                base = ((low + high) >> 1).clamp(i64::from(i32::MIN), images.len() as i64);
            }
            line.base = base as i32;
        }
        let mut highest = i32::MIN;
        for line in &mut lines {
            highest = highest.max(line.base);
            line.base = highest;
        }
        Self { firsts, lines }
    }

    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }

    pub(super) fn firsts(&self) -> &[u64] {
        &self.firsts
    }

    /// How many ranks there are.
    pub(super) fn ranks(&self) -> u32 {
        self.lines
            .last()
            .map_or(0, |line| line.base.max(0).unsigned_abs())
    }

    /// The prediction of `piece` for `image`, at most the number of ranks.
    pub(super) fn predict(&self, piece: usize, image: u64) -> u32 {
        let line = self.lines[piece];
        let next = self.lines[piece + 1];
        let rank = i64::from(line.base)
            .saturating_add(line.rise(image.saturating_sub(self.firsts[piece])));
        rank.clamp(0, i64::from(next.base.max(0))) as u32
    }

    /// The error bounds of each piece over all images it may be asked for: those up to the next
    /// piece's first image, and those below its own first image that are above all images of the
    /// pieces before.
    pub(super) fn bounds(&self, images: &[u64]) -> Vec<Bounds> {
        let mut bounds = vec![Bounds::default(); self.len()];
        let mut last = 0;
        walk(&self.firsts, images, |piece, image, rank| {
            let predicted = self.predict(piece, image);
            bounds[piece].widen(rank, predicted);
            // Another piece starts here. The piece before may predict up to the new base; pieces
            // without images do.
            for before in &mut bounds[last..piece] {
                before.widen(rank, predicted);
            }
            last = piece;
        });
        bounds
    }

    pub(super) fn encode(&self, encoded: &mut Vec<u8>) {
        for (first, line) in self.firsts.iter().zip(&self.lines) {
            encoded.put_u64_le(*first);
            encoded.put_f32_le(line.slope);
            encoded.put_i32_le(line.base);
        }
    }

    /// Reads `pieces` pieces over `ranks` ranks; `None` if they are not in order.
    pub(super) fn decode(encoded: &mut impl Buf, pieces: usize, ranks: u32) -> Option<Self> {
        (pieces > 0 && encoded.remaining() / PIECE_BYTES >= pieces).then_some(())?;
        let mut firsts = Vec::with_capacity(pieces);
        let mut lines = Vec::with_capacity(pieces + 1);
        for _ in 0..pieces {
            firsts.push(encoded.get_u64_le());
            let slope = encoded.get_f32_le();
            lines.push(Line {
                slope,
                base: encoded.get_i32_le(),
            });
        }
        lines.push(Line {
            slope: 0.0,
            base: i32::try_from(ranks).ok()?,
        });
        let ordered = firsts.is_sorted() && lines.is_sorted_by_key(|line| line.base);
        let rising = lines
            .iter()
            .all(|line| line.slope.is_finite() && line.slope >= 0.0);
        (ordered && rising).then_some(Self { firsts, lines })
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        (self.firsts.capacity() * size_of::<u64>() + self.lines.capacity() * size_of::<Line>())
            as u64
    }
}

/// Passes each edge of the images' stairs to `visit`, with the piece that answers for it: the last
/// that starts there or before.
fn walk(firsts: &[u64], images: &[u64], mut visit: impl FnMut(usize, u64, u32)) {
    let mut piece = 0;
    each_edge(images, |image, rank| {
        while firsts.get(piece + 1).is_some_and(|first| *first <= image) {
            piece += 1;
        }
        visit(piece, image, rank);
    });
}
