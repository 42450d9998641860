//! Critical-difference diagrams: an axis of mean ranks, the best at the left, a name for each mark,
//! and bars that join marks which are not distinguished.

use super::lines::WIDTH;
use super::scene::{Anchor, FAINT, GREY, INK, SMALL, Scene, at, fitted};
use super::style::{Frame, MARGIN, Styles};
use crate::formats::digits;

/// One variant on the axis.
pub(crate) struct RankMark<'a> {
    pub(crate) variant: &'a str,
    pub(crate) rank: f64,
}

/// The chart.
pub(crate) struct RankChart<'a> {
    /// The variants, the best rank first.
    pub(crate) marks: &'a [RankMark<'a>],
    /// Stretches of ranks that a bar joins.
    pub(crate) groups: &'a [[f64; 2]],
    /// The difference of ranks from which on two are distinguished.
    pub(crate) critical_difference: f64,
}

/// The room at both sides of the axis for names.
const SIDE: f64 = 190.0;
/// The height between names.
const NAME: f64 = 24.0;
/// The height between bars.
const BAR: f64 = 11.0;

impl RankChart<'_> {
    /// Draws the chart: the better half of the names at the left, the others at the right.
    pub(crate) fn draw(&self, frame: &Frame, styles: &Styles) -> Scene {
        let top = frame.draw(&mut Scene::new(WIDTH, 1.0)) + 62.0;
        let half = self.marks.len().div_ceil(2);
        let bars = BAR * self.groups.len() as f64 + 16.0;
        let bottom = top + bars + NAME * half as f64;
        let mut scene = Scene::new(WIDTH, (bottom + 34.0).ceil());
        frame.draw(&mut scene);
        self.axis(&mut scene, top);
        for (number, [from, to]) in self.groups.iter().enumerate() {
            let y = top + 14.0 + BAR * number as f64;
            let (left, right) = (self.x(*from) - 3.0, self.x(*to) + 3.0);
            scene.stroke(at(left, y), at(right, y), INK, 4.0);
        }
        let (best, worst) = self.marks.split_at(half);
        for (number, mark) in best.iter().enumerate() {
            let y = top + bars + NAME * (number as f64 + 0.5);
            self.name(&mut scene, mark, top, y, Anchor::Left, styles);
        }
        // The worst is the highest at the right: no two lines cross.
        for (number, mark) in worst.iter().rev().enumerate() {
            let y = top + bars + NAME * (number as f64 + 0.5);
            self.name(&mut scene, mark, top, y, Anchor::Right, styles);
        }
        scene
    }

    /// The place of a rank.
    fn x(&self, rank: f64) -> f64 {
        let most = (self.marks.len() as f64 - 1.0).max(1.0);
        SIDE + (rank - 1.0) / most * (WIDTH - 2.0 * SIDE)
    }

    /// Draws the axis, and the critical difference above it.
    fn axis(&self, scene: &mut Scene, y: f64) {
        let last = self.marks.len();
        scene.stroke(at(self.x(1.0), y), at(self.x(last as f64), y), GREY, 1.0);
        let every = last.div_ceil(10);
        for rank in (1..=last).filter(|rank| (rank - 1) % every == 0) {
            let x = self.x(rank as f64);
            scene.stroke(at(x, y - 5.0), at(x, y), GREY, 1.0);
            let above = at(x, y - 15.0);
            scene.text(above, rank.to_string(), SMALL, GREY, Anchor::Middle);
        }
        let above = y - 34.0;
        let right = self.x(1.0) + self.x(1.0 + self.critical_difference) - self.x(1.0);
        let right = right.min(WIDTH - MARGIN - 70.0);
        let left = self.x(1.0);
        scene.stroke(at(left, above), at(right, above), INK, 1.5);
        for x in [left, right] {
            scene.stroke(at(x, above - 4.0), at(x, above + 4.0), INK, 1.5);
        }
        let label = format!("CD {}", digits(self.critical_difference, 3));
        scene.text(at(right + 8.0, above), label, SMALL, INK, Anchor::Left);
    }

    /// Leads from a mark on the axis to its name at one side.
    fn name(
        &self,
        scene: &mut Scene,
        mark: &RankMark,
        axis: f64,
        y: f64,
        side: Anchor,
        styles: &Styles,
    ) {
        let x = self.x(mark.rank);
        let color = styles.of(mark.variant).color;
        let end = if side == Anchor::Left {
            SIDE - 24.0
        } else {
            WIDTH - SIDE + 24.0
        };
        scene.line(vec![at(x, axis), at(x, y), at(end, y)], color, 1.25, None);
        let label = format!("{} {}", mark.variant, digits(mark.rank, 3));
        let label = fitted(&label, SMALL, SIDE - 24.0 - MARGIN - 6.0);
        let (place, anchor) = if side == Anchor::Left {
            (at(end - 6.0, y), Anchor::Right)
        } else {
            (at(end + 6.0, y), Anchor::Left)
        };
        scene.text(place, label, SMALL, INK, anchor);
        scene.stroke(at(x, axis - 3.0), at(x, axis + 3.0), FAINT, 0.5);
    }
}
