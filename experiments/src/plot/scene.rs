//! A figure as a list of shapes, and its two forms: SVG, and PNG at twice the size.
//!
//! Charts place shapes in points on a page of their own size; both forms draw the same list, so that they cannot differ.
//! Text is measured and drawn with the one embedded font (`assets/`, Arimo, whose widths are those of Arial and
//! Liberation Sans, so that an SVG without the font looks the same). No date and no generated id goes in: the same
//! shapes give the same bytes.

use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontStyle, FontTransform, IntoFont, RGBAColor, ShapeStyle, TextStyle, register_font,
};

use super::PlotError;

/// Both forms are drawn on twice as many pixels as the page has points; the SVG is then shown at half its size.
const PIXELS: f64 = 2.0;

const FONT: &str = "Arimo, Liberation Sans, Arial, Helvetica, sans-serif";

/// The font's ascent and descent over its em, by which a bitmap's text is sized.
const BITMAP_EM: f64 = 2288.0 / 2048.0;

/// How far, in ems, a bitmap's text must be moved down to stand with the middle of its small letters at its place, as the
/// SVG's does.
const BITMAP_DROP: f64 = 0.14;

/// What plotters divides a size by to get an SVG's em.
const SVG_EM: f64 = 1.24;

/// How plotters' two backends differ in setting text.
#[derive(Clone, Copy)]
struct TextMetrics {
    em: f64,
    drop: f64,
}

/// Sizes of text in points.
pub(super) const SMALL: f64 = 13.0;
/// The size of titles.
pub(super) const LARGE: f64 = 17.0;

/// A colour with its opacity.
pub(super) type Color = RGBAColor;

/// The colour of a six-digit hexadecimal number.
pub(super) const fn color(rgb: u32) -> Color {
    RGBAColor((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8, 1.0)
}

/// Text.
pub(super) const INK: Color = color(0x222222);
/// Less important text, and frames.
pub(super) const GREY: Color = color(0x666666);
/// Grid lines.
pub(super) const FAINT: Color = color(0xdddddd);

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// The sign of a data point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Up,
    Diamond,
    Down,
    /// No sign.
    None,
}

/// A place on the page in points, from the top left.
pub(super) type Place = (f64, f64);

enum Shape {
    Text {
        at: Place,
        text: String,
        size: f64,
        color: Color,
        anchor: Anchor,
        upwards: bool,
    },
    Line {
        points: Vec<Place>,
        color: Color,
        width: f64,
        dash: Option<(u32, u32)>,
    },
    Rect {
        from: Place,
        to: Place,
        color: Color,
    },
    Area {
        corners: Vec<Place>,
        color: Color,
    },
    Mark {
        at: Place,
        marker: Marker,
        radius: f64,
        color: Color,
    },
}

/// A page with shapes on it.
pub(super) struct Scene {
    /// Its width in points.
    pub(super) width: f64,
    /// Its height in points.
    pub(super) height: f64,
    shapes: Vec<Shape>,
}

fn use_font() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        let font = include_bytes!("../../assets/Arimo-Subset.ttf");
        assert!(
            register_font(FONT, FontStyle::Normal, font).is_ok(),
            "the embedded font is a font"
        );
    });
}

/// The width of a text in points.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    use_font();
    let font = (FONT, size * PIXELS * BITMAP_EM).into_font();
    font.box_size(text)
        .map_or(0.0, |(width, _)| f64::from(width))
        / PIXELS
}

/// The text, cut with an ellipsis to a width.
pub(super) fn fitted(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut cut: Vec<char> = text.chars().collect();
    while !cut.is_empty() {
        cut.pop();
        let shorter = cut.iter().collect::<String>().trim_end().to_owned() + "\u{2026}";
        if text_width(&shorter, size) <= width {
            return shorter;
        }
    }
    String::new()
}

impl Scene {
    /// An empty page.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            shapes: Vec::new(),
        }
    }

    /// Adds a line of text, its middle at `at.1`.
    pub(super) fn text(
        &mut self,
        at: Place,
        text: impl Into<String>,
        size: f64,
        color: Color,
        anchor: Anchor,
    ) {
        self.shapes.push(Shape::Text {
            at,
            text: text.into(),
            size,
            color,
            anchor,
            upwards: false,
        });
    }

    /// Adds text that reads from bottom to top, its middle at `at`.
    pub(super) fn text_upwards(
        &mut self,
        at: Place,
        text: impl Into<String>,
        size: f64,
        color: Color,
    ) {
        self.shapes.push(Shape::Text {
            at,
            text: text.into(),
            size,
            color,
            anchor: Anchor::Middle,
            upwards: true,
        });
    }

    /// Adds a line; `dash` is the length of strokes and of gaps in points.
    pub(super) fn line(
        &mut self,
        points: Vec<Place>,
        color: Color,
        width: f64,
        dash: Option<(u32, u32)>,
    ) {
        self.shapes.push(Shape::Line {
            points,
            color,
            width,
            dash,
        });
    }

    /// Adds a filled rectangle.
    pub(super) fn rect(&mut self, from: Place, to: Place, color: Color) {
        self.shapes.push(Shape::Rect { from, to, color });
    }

    /// Adds a filled area.
    pub(super) fn area(&mut self, corners: Vec<Place>, color: Color) {
        self.shapes.push(Shape::Area { corners, color });
    }

    /// Adds a data point.
    pub(super) fn mark(&mut self, at: Place, marker: Marker, radius: f64, color: Color) {
        self.shapes.push(Shape::Mark {
            at,
            marker,
            radius,
            color,
        });
    }

    /// Pixels in each direction.
    fn pixels(&self) -> (u32, u32) {
        (
            (self.width * PIXELS).round() as u32,
            (self.height * PIXELS).round() as u32,
        )
    }

    /// The figure as SVG, `title` as its name for readers that do not see it.
    pub(super) fn svg(&self, title: &str) -> Result<String, PlotError> {
        let (width, height) = self.pixels();
        let mut svg = String::new();
        self.paint(
            SVGBackend::with_string(&mut svg, (width, height)),
            TextMetrics {
                em: SVG_EM,
                drop: 0.0,
            },
        )?;
        let title = title
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        let drawn = format!("<svg width=\"{width}\" height=\"{height}\" ");
        let shown = format!(
            "<svg width=\"{}\" height=\"{}\" role=\"img\" aria-label=\"{title}\" ",
            width / 2,
            height / 2
        );
        Ok(svg.replacen(&drawn, &shown, 1))
    }

    /// Writes the figure as PNG.
    pub(super) fn png(&self, path: &Path) -> Result<(), PlotError> {
        self.paint(
            BitMapBackend::new(path, self.pixels()),
            TextMetrics {
                em: BITMAP_EM,
                drop: BITMAP_DROP,
            },
        )
    }

    fn paint<B: DrawingBackend>(&self, backend: B, text: TextMetrics) -> Result<(), PlotError> {
        use_font();
        let area = backend.into_drawing_area();
        area.fill(&color(0xffffff))
            .map_err(PlotError::from_drawing)?;
        self.shapes
            .iter()
            .try_for_each(|shape| shape.paint(&area, text))?;
        area.present().map_err(PlotError::from_drawing)
    }
}

fn pixel((x, y): Place) -> (i32, i32) {
    ((x * PIXELS).round() as i32, (y * PIXELS).round() as i32)
}

fn stroke(color: Color, width: f64) -> ShapeStyle {
    ShapeStyle {
        color,
        filled: false,
        stroke_width: (width * PIXELS).round() as u32,
    }
}

impl Shape {
    fn paint<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        metrics: TextMetrics,
    ) -> Result<(), PlotError> {
        let painted = match self {
            Self::Text {
                at,
                text,
                size,
                color,
                anchor,
                upwards,
            } => {
                let horizontal = match anchor {
                    Anchor::Left => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::Right => HPos::Right,
                };
                let font = (FONT, size * PIXELS * metrics.em).into_font();
                let turned = if *upwards {
                    font.transform(FontTransform::Rotate270)
                } else {
                    font
                };
                let style = TextStyle::from(turned)
                    .color(color)
                    .pos(Pos::new(horizontal, VPos::Center));
                let drop = size * metrics.drop;
                let at = if *upwards {
                    (at.0 + drop, at.1)
                } else {
                    (at.0, at.1 + drop)
                };
                area.draw_text(text, &style, pixel(at))
            }
            Self::Line {
                points,
                color,
                width,
                dash,
            } => {
                let points: Vec<(i32, i32)> = points.iter().copied().map(pixel).collect();
                let style = stroke(*color, *width);
                match dash {
                    None => area.draw(&PathElement::new(points, style)),
                    Some((on, off)) => {
                        area.draw(&DashedPathElement::new(points, on * 2, off * 2, style))
                    }
                }
            }
            Self::Rect { from, to, color } => {
                area.draw(&Rectangle::new([pixel(*from), pixel(*to)], color.filled()))
            }
            Self::Area { corners, color } => {
                let corners: Vec<(i32, i32)> = corners.iter().copied().map(pixel).collect();
                area.draw(&Polygon::new(corners, color.filled()))
            }
            Self::Mark {
                marker: Marker::None,
                ..
            } => Ok(()),
            Self::Mark {
                at,
                marker,
                radius,
                color,
            } => match marker.corners(*at, *radius) {
                None => area.draw(&Circle::new(
                    pixel(*at),
                    (radius * PIXELS).round() as i32,
                    color.filled(),
                )),
                Some(corners) => {
                    let corners: Vec<(i32, i32)> = corners.into_iter().map(pixel).collect();
                    area.draw(&Polygon::new(corners, color.filled()))
                }
            },
        };
        painted.map_err(PlotError::from_drawing)
    }
}

impl Marker {
    /// The corners of a marker; None for a circle, which has none.
    fn corners(self, (x, y): Place, radius: f64) -> Option<Vec<Place>> {
        let turned = |corners: &[(f64, f64)]| {
            Some(
                corners
                    .iter()
                    .map(|(right, down)| (x + right * radius, y + down * radius))
                    .collect(),
            )
        };
        match self {
            Self::Circle | Self::None => None,
            Self::Square => turned(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Self::Up => turned(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]),
            Self::Down => turned(&[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)]),
            Self::Diamond => turned(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
        }
    }
}
