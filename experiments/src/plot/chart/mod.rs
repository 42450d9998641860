//! Charts: axes, lines, bars and legends on a page of shapes.

pub(crate) mod axis;
pub(crate) mod bars;
pub(crate) mod labels;
pub(crate) mod lines;
mod night;
pub(crate) mod scene;
pub(crate) mod style;
