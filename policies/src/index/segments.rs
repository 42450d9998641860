//! Piecewise linear models: one level of segments over the images and, if wanted, levels over the
//! first images below until the search for a segment is short. Policies that differ in how they cut
//! the images into segments share it.
//!
//! ```text
//! keys u32 | levels u32 | level | level | ...   (little-endian, the level over the images first)
//! level:   segments u32 | above u32 | below u32 | segment | segment | ...
//! segment: first image u64 | slope f32 | base i32
//! ```

use bytes::{Buf, BufMut, Bytes};

use super::lines::{Lines, PIECE_BYTES, Piece};
use super::stairs::{Bounds, affordable, each_point, trainable};
use super::{IndexPolicy, Model, Ranks, Trained, Window, halvings, search};
use crate::entry::{in_range, params};
use crate::{PolicyError, PolicySpec};

/// How images are cut into segments: a segment grows from point to point as long as a line stays
/// within epsilon.
pub(super) trait Fit {
    /// Opens a segment at a point.
    fn start(&mut self, image: u64, rank: u32);

    /// Takes in another point. Returns false, and changes nothing, if no line would do.
    fn extend(&mut self, image: u64, rank: u32) -> bool;

    /// The slope of a line that does; not negative.
    fn slope(&self) -> f64;
}

/// The segments that `fit` cuts the images into.
pub(super) fn cut(fit: &mut impl Fit, images: &[u64]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut open = None;
    each_point(images, |image, rank| {
        if let Some(first) = open {
            if fit.extend(image, rank) {
                return;
            }
            pieces.push(Piece {
                first,
                slope: fit.slope(),
            });
        }
        open = Some(image);
        fit.start(image, rank);
    });
    pieces.extend(open.map(|first| Piece {
        first,
        slope: fit.slope(),
    }));
    pieces
}

/// The parameters of a policy with one level of segments.
#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Params {
    /// How far a segment's line may be from a key's rank, in ranks (at most 4096).
    epsilon: u32,
    /// What the ranks count: `entries` or `blocks`.
    over: Ranks,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            epsilon: 16,
            over: Ranks::Entries,
        }
    }
}

/// A policy with one level of segments, which `fit` cuts.
struct OneLevel<F> {
    epsilon: u32,
    over: Ranks,
    fit: fn(u32) -> F,
}

impl<F: Fit> IndexPolicy for OneLevel<F> {
    fn ranks(&self) -> Ranks {
        self.over
    }

    fn train(&self, images: &[u64]) -> Trained {
        train(images, self.over, &mut (self.fit)(self.epsilon), None)
    }
}

/// The policy that cuts segments with a fit for an epsilon of at least `least`.
///
/// # Errors
/// An unknown parameter, or a value out of range.
pub(super) fn one_level<F: Fit + 'static>(
    spec: &PolicySpec,
    least: u32,
    fit: fn(u32) -> F,
) -> Result<Box<dyn IndexPolicy>, PolicyError> {
    let Params { epsilon, over } = params(spec)?;
    Ok(Box::new(OneLevel {
        epsilon: in_range(spec, "epsilon", epsilon, least..=4096)?,
        over,
        fit,
    }))
}

/// Up to this many first images are searched without a level above them.
const SEARCHED_MAX: usize = 32;

/// Trains a model of one level or, if there is a fit to cut the first images of each level, of
/// several.
pub(super) fn train<F: Fit>(
    images: &[u64],
    over: Ranks,
    leaf: &mut F,
    internal: Option<&mut F>,
) -> Trained {
    train_levels(images, over, leaf, internal).map_or_else(Trained::Refused, Trained::Model)
}

fn train_levels<F: Fit>(
    images: &[u64],
    over: Ranks,
    leaf: &mut F,
    internal: Option<&mut F>,
) -> Result<Vec<u8>, &'static str> {
    trainable(images)?;
    let mut levels = vec![Level::draw(images, &cut(leaf, images))];
    if let Some(internal) = internal {
        while let Some(top) = levels.last().filter(|top| top.lines.len() > SEARCHED_MAX) {
            let pieces = cut(internal, top.lines.firsts());
            if pieces.len() * 2 > top.lines.len() {
                break;
            }
            let level = Level::draw(top.lines.firsts(), &pieces);
            levels.push(level);
        }
    }
    let model = PiecewiseLinear { levels };
    affordable(model.encoded_bytes(), images.len(), over)?;
    Ok(model.encode())
}

#[derive(Debug)]
struct Level {
    lines: Lines,
    bounds: Bounds,
}

impl Level {
    fn draw(images: &[u64], pieces: &[Piece]) -> Self {
        let lines = Lines::draw(images, pieces);
        let bounds = lines
            .bounds(images)
            .into_iter()
            .fold(Bounds::default(), Bounds::or);
        Self { lines, bounds }
    }

    /// The window of an image that the segment `piece` answers for.
    fn window(&self, piece: usize, image: u64) -> Window {
        let rank = self.lines.predict(piece, image);
        let hi = rank
            .saturating_add(self.bounds.above)
            .min(self.lines.ranks());
        Window {
            lo: rank.saturating_sub(self.bounds.below),
            hi,
        }
    }
}

/// A model made of segments.
#[derive(Debug)]
pub(super) struct PiecewiseLinear {
    /// The level over the images, then each over the first images of the level before.
    levels: Vec<Level>,
}

impl PiecewiseLinear {
    fn encoded_bytes(&self) -> usize {
        8 + self
            .levels
            .iter()
            .map(|level| 12 + level.lines.len() * PIECE_BYTES)
            .sum::<usize>()
    }

    fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(self.encoded_bytes());
        encoded.put_u32_le(self.levels[0].lines.ranks());
        encoded.put_u32_le(self.levels.len() as u32);
        for Level { lines, bounds } in &self.levels {
            for number in [lines.len() as u32, bounds.above, bounds.below] {
                encoded.put_u32_le(number);
            }
            lines.encode(&mut encoded);
        }
        encoded
    }

    /// Reads a model; `None` if the bytes are not one.
    pub(super) fn decode(mut encoded: Bytes) -> Option<Self> {
        let mut ranks = encoded.try_get_u32_le().ok()?;
        let count = encoded.try_get_u32_le().ok()?;
        let mut levels = Vec::new();
        for _ in 0..count {
            let segments = encoded.try_get_u32_le().ok()?;
            let above = encoded.try_get_u32_le().ok()?;
            let below = encoded.try_get_u32_le().ok()?;
            let lines = Lines::decode(&mut encoded, segments as usize, ranks)?;
            levels.push(Level {
                lines,
                bounds: Bounds { above, below },
            });
            ranks = segments;
        }
        levels.shrink_to_fit();
        (!levels.is_empty() && encoded.is_empty()).then_some(Self { levels })
    }

    /// Goes down the levels, and passes to `visit` how many first images are searched in each.
    /// Returns the window among the images.
    fn descend(&self, image: u64, mut visit: impl FnMut(usize)) -> Window {
        let mut window = Window {
            lo: 0,
            hi: u32::MAX,
        };
        for level in self.levels.iter().rev() {
            let firsts = level.lines.firsts();
            // The window holds the first image that is not below the one sought. The segment sought
            // starts there, or is the one before.
            let end = firsts.len().min(window.hi as usize + 1);
            let start = end.min(window.lo as usize);
            visit(end - start);
            let piece =
                start + search::partition_point(&firsts[start..end], |first| first <= image);
            let Some(piece) = piece.checked_sub(1) else {
                return Window { lo: 0, hi: 0 };
            };
            window = level.window(piece, image);
        }
        window
    }
}

impl Model for PiecewiseLinear {
    fn locate(&self, image: u64) -> Window {
        self.descend(image, |_| ())
    }

    fn memory_bytes(&self) -> u64 {
        let levels = self.levels.capacity() * size_of::<Level>();
        (size_of::<Self>() + levels) as u64
            + self
                .levels
                .iter()
                .map(|level| level.lines.memory_bytes())
                .sum::<u64>()
    }

    /// The segments over the images.
    fn segments(&self) -> u64 {
        self.levels[0].lines.len() as u64
    }

    fn probes(&self, image: u64) -> u32 {
        let mut probes = 0;
        self.descend(image, |searched| probes += halvings(searched) + 1);
        probes
    }
}
