//! A figure as a list of shapes, and its forms: SVG, PNG at twice the size, and PDF.
//!
//! Charts place shapes in points on a page of their own size. All forms draw one list, so that
//! they cannot differ; only the SVG has other colours on a dark page. Text is measured and drawn
//! with one embedded font (`assets/`: Arimo, whose widths are those of Arial and Liberation Sans,
//! so that an SVG without the font looks alike). No date and no generated id goes in: equal shapes
//! give equal bytes.

use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontStyle, FontTransform, IntoFont, RGBAColor, ShapeStyle, TextStyle, register_font,
};

use super::{night, pdf};
use crate::plot::PlotError;

/// Pixels per point in both forms; the SVG is shown at half its size.
const PIXELS: f64 = 2.0;

const FONT: &str = "Arimo, Liberation Sans, Arial, Helvetica, sans-serif";

/// The font's ascent and descent over its em, by which text in a bitmap is sized.
const BITMAP_EM: f64 = 2288.0 / 2048.0;

/// How far, in ems, text in a bitmap must move down so that the middle of its small letters is at
/// its place, as in an SVG.
const BITMAP_DROP: f64 = 0.14;

/// By what plotters divides a size to get the em of an SVG.
const SVG_EM: f64 = 1.24;

/// How the two backends of plotters differ in setting text.
#[derive(Clone, Copy)]
struct TextMetrics {
    em: f64,
    drop: f64,
}

/// The width of a hollow marker's line, in points.
pub(super) const OUTLINE: f64 = 1.25;

/// The size of most text, in points.
pub(crate) const SMALL: f64 = 13.0;
/// The size of titles, in points.
pub(crate) const LARGE: f64 = 17.0;

/// A colour with its opacity.
pub(crate) type Color = RGBAColor;

/// The colour of a six-digit hexadecimal number.
pub(crate) const fn color(rgb: u32) -> Color {
    RGBAColor((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8, 1.0)
}

/// A colour mixed with black, the more the later its round.
pub(crate) fn darker(color: Color, round: usize) -> Color {
    let share = 0.6_f64.powi(round.min(3) as i32);
    let part = |part: u8| (f64::from(part) * share).round() as u8;
    RGBAColor(part(color.0), part(color.1), part(color.2), color.3)
}

/// The colour of text.
pub(crate) const INK: Color = color(0x222222);
/// The colour of less important text, and of frames.
pub(crate) const GREY: Color = color(0x666666);
/// The colour of grid lines.
pub(crate) const FAINT: Color = color(0xdddddd);

/// Which part of a text is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Left,
    Middle,
    Right,
}

/// The shape of a data point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Square,
    Up,
    Diamond,
    Down,
    /// No shape.
    None,
}

/// Lengths of the strokes and gaps of a dashed line, in points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dash {
    pub(crate) on: u32,
    pub(crate) off: u32,
}

/// Makes a dash.
pub(crate) const fn dash(on: u32, off: u32) -> Option<Dash> {
    Some(Dash { on, off })
}

/// A place on the page in points, from the top left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// Makes a place.
pub(crate) const fn at(x: f64, y: f64) -> Place {
    Place { x, y }
}

/// A rectangle of the page in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Room {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

pub(super) struct Text {
    pub(super) at: Place,
    pub(super) text: String,
    pub(super) size: f64,
    pub(super) color: Color,
    pub(super) anchor: Anchor,
    pub(super) upwards: bool,
}

pub(super) enum Shape {
    Text(Text),
    Line {
        points: Vec<Place>,
        color: Color,
        width: f64,
        dash: Option<Dash>,
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
        /// Drawn as an outline.
        hollow: bool,
    },
}

/// A page with shapes on it.
pub(crate) struct Scene {
    /// Its width in points.
    pub(crate) width: f64,
    /// Its height in points.
    pub(crate) height: f64,
    shapes: Vec<Shape>,
}

/// The embedded font.
pub(super) const FONT_FILE: &[u8] = include_bytes!("../../../assets/Arimo-Subset.ttf");

/// Makes the embedded font known to plotters.
pub(super) fn use_font() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        assert!(
            register_font(FONT, FontStyle::Normal, FONT_FILE).is_ok(),
            "the embedded font is a font"
        );
    });
}

/// Measures a text's width in points.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    use_font();
    let font = (FONT, size * PIXELS * BITMAP_EM).into_font();
    match font.box_size(text) {
        Ok((width, _)) => f64::from(width) / PIXELS,
        Err(_) => 0.0,
    }
}

/// Cuts a text with an ellipsis so that it fits a width.
pub(crate) fn fitted(text: &str, size: f64, width: f64) -> String {
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
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            shapes: Vec::new(),
        }
    }

    /// Adds a line of text, its middle at `at.y`.
    pub(crate) fn text(
        &mut self,
        at: Place,
        text: impl Into<String>,
        size: f64,
        color: Color,
        anchor: Anchor,
    ) {
        self.shapes.push(Shape::Text(Text {
            at,
            text: text.into(),
            size,
            color,
            anchor,
            upwards: false,
        }));
    }

    /// Adds text that reads upwards, its middle at `at`.
    pub(crate) fn text_upwards(
        &mut self,
        at: Place,
        text: impl Into<String>,
        size: f64,
        color: Color,
    ) {
        self.shapes.push(Shape::Text(Text {
            at,
            text: text.into(),
            size,
            color,
            anchor: Anchor::Middle,
            upwards: true,
        }));
    }

    /// Adds a line.
    pub(crate) fn line(
        &mut self,
        points: Vec<Place>,
        color: Color,
        width: f64,
        dash: Option<Dash>,
    ) {
        self.shapes.push(Shape::Line {
            points,
            color,
            width,
            dash,
        });
    }

    /// Adds a filled rectangle.
    pub(crate) fn rect(&mut self, from: Place, to: Place, color: Color) {
        self.shapes.push(Shape::Rect { from, to, color });
    }

    /// Adds a filled area.
    pub(crate) fn area(&mut self, corners: Vec<Place>, color: Color) {
        self.shapes.push(Shape::Area { corners, color });
    }

    /// Adds a data point.
    pub(crate) fn mark(&mut self, at: Place, marker: Marker, radius: f64, color: Color) {
        self.shapes.push(Shape::Mark {
            at,
            marker,
            radius,
            color,
            hollow: false,
        });
    }

    /// Adds the outline of a data point.
    pub(crate) fn outline(&mut self, at: Place, marker: Marker, radius: f64, color: Color) {
        self.shapes.push(Shape::Mark {
            at,
            marker,
            radius,
            color,
            hollow: true,
        });
    }

    /// Adds a straight line from one place to another.
    pub(crate) fn stroke(&mut self, from: Place, to: Place, color: Color, width: f64) {
        self.line(vec![from, to], color, width, None);
    }

    /// The page's width and height in pixels.
    fn pixels(&self) -> (u32, u32) {
        (
            (self.width * PIXELS).round() as u32,
            (self.height * PIXELS).round() as u32,
        )
    }

    /// Writes the page as SVG. `title` describes it to readers who do not see it.
    pub(crate) fn svg(&self, title: &str) -> Result<String, PlotError> {
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
        let page = [color(0xffffff)].into_iter();
        let night = night::style(page.chain(self.shapes.iter().map(Shape::color)));
        let svg = svg.replacen(&drawn, &shown, 1);
        Ok(svg.replacen(">\n", &format!(">\n{night}\n"), 1))
    }

    /// The shapes, in the order in which they cover each other.
    pub(super) fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// Writes the page as PDF.
    pub(crate) fn pdf(&self, title: &str) -> Result<Vec<u8>, PlotError> {
        pdf::pdf(self, title)
    }

    /// Writes the page as PNG.
    pub(crate) fn png(&self, path: &Path) -> Result<(), PlotError> {
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

fn pixel(place: Place) -> (i32, i32) {
    (
        (place.x * PIXELS).round() as i32,
        (place.y * PIXELS).round() as i32,
    )
}

fn pixels(places: &[Place]) -> Vec<(i32, i32)> {
    places.iter().copied().map(pixel).collect()
}

fn stroke(color: Color, width: f64) -> ShapeStyle {
    ShapeStyle {
        color,
        filled: false,
        stroke_width: (width * PIXELS).round() as u32,
    }
}

impl Shape {
    pub(super) fn color(&self) -> Color {
        match self {
            Self::Text(Text { color, .. })
            | Self::Line { color, .. }
            | Self::Rect { color, .. }
            | Self::Area { color, .. }
            | Self::Mark { color, .. } => *color,
        }
    }

    fn paint<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        metrics: TextMetrics,
    ) -> Result<(), PlotError> {
        let painted = match self {
            Self::Text(text) => text.paint(area, metrics),
            Self::Line {
                points,
                color,
                width,
                dash,
            } => {
                let points = pixels(points);
                let style = stroke(*color, *width);
                match dash {
                    None => area.draw(&PathElement::new(points, style)),
                    Some(Dash { on, off }) => {
                        area.draw(&DashedPathElement::new(points, on * 2, off * 2, style))
                    }
                }
            }
            Self::Rect { from, to, color } => {
                area.draw(&Rectangle::new([pixel(*from), pixel(*to)], color.filled()))
            }
            Self::Area { corners, color } => {
                area.draw(&Polygon::new(pixels(corners), color.filled()))
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
                hollow,
            } => match (marker.corners(*at, *radius), hollow) {
                (None, _) => {
                    let radius = (radius * PIXELS).round() as i32;
                    let style = if *hollow {
                        stroke(*color, OUTLINE)
                    } else {
                        color.filled()
                    };
                    area.draw(&Circle::new(pixel(*at), radius, style))
                }
                (Some(corners), false) => {
                    area.draw(&Polygon::new(pixels(&corners), color.filled()))
                }
                (Some(mut corners), true) => {
                    corners.extend(corners.first().copied());
                    area.draw(&PathElement::new(pixels(&corners), stroke(*color, OUTLINE)))
                }
            },
        };
        painted.map_err(PlotError::from_drawing)
    }
}

impl Text {
    fn paint<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        metrics: TextMetrics,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let horizontal = match self.anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let font = (FONT, self.size * PIXELS * metrics.em).into_font();
        let drop = self.size * metrics.drop;
        let (font, place) = if self.upwards {
            let turned = font.transform(FontTransform::Rotate270);
            (turned, at(self.at.x + drop, self.at.y))
        } else {
            (font, at(self.at.x, self.at.y + drop))
        };
        let style = TextStyle::from(font)
            .color(&self.color)
            .pos(Pos::new(horizontal, VPos::Center));
        area.draw_text(&self.text, &style, pixel(place))
    }
}

impl Marker {
    /// The corners of a marker; `None` for a circle, which has none.
    pub(super) fn corners(self, middle: Place, radius: f64) -> Option<Vec<Place>> {
        let corners: &[Place] = match self {
            Self::Circle | Self::None => return None,
            Self::Square => &[at(-0.9, -0.9), at(0.9, -0.9), at(0.9, 0.9), at(-0.9, 0.9)],
            Self::Up => &[at(0.0, -1.2), at(1.1, 0.8), at(-1.1, 0.8)],
            Self::Down => &[at(0.0, 1.2), at(1.1, -0.8), at(-1.1, -0.8)],
            Self::Diamond => &[at(0.0, -1.25), at(1.25, 0.0), at(0.0, 1.25), at(-1.25, 0.0)],
        };
        let around =
            |corner: &Place| at(middle.x + corner.x * radius, middle.y + corner.y * radius);
        Some(corners.iter().map(around).collect())
    }
}
