//! Charts: axes, lines, bars and legends on a page of shapes.

pub(crate) mod axis;
pub(crate) mod bars;
pub(crate) mod heat;
pub(crate) mod labels;
pub(crate) mod lines;
mod night;
mod pdf;
pub(crate) mod ranks;
pub(crate) mod scene;
pub(crate) mod style;
pub(crate) mod timeline;
