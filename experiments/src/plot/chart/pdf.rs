//! A figure as PDF, for papers: lines and text stay lines and text, and the font is inside.
//!
//! A point of the page is a point of the PDF. There is no date and no generated id in it: equal
//! shapes give equal bytes.
//!
//! Source: ISO 32000-1 (PDF 1.7), 8.5 (paths), 9.6 to 9.10 (fonts by glyph numbers, and what they
//! mean as text).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use ab_glyph::{Font, FontRef};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, LineJoinStyle, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::scene::{Anchor, Color, FONT_FILE, Marker, OUTLINE, Place, Scene, Shape, Text, at};
use super::scene::{text_width, use_font};
use crate::plot::PlotError;

/// Half the height of small letters over the size: text is placed by the middle of them.
const HALF_X: f64 = 0.26;

/// By how much a curve's control points lie beside a quarter of a circle, over its radius.
const QUARTER: f64 = 0.552_284_75;

const FONT_NAME: Name = Name(b"F");
const FONT_BASE: Name = Name(b"Arimo");

/// The numbers of the objects of the file; those of opacities follow.
#[derive(Clone, Copy)]
enum Object {
    Catalog = 1,
    Pages,
    Page,
    Content,
    Info,
    Font,
    GlyphFont,
    Descriptor,
    FontFile,
    Letters,
    Opacities,
}

impl Object {
    fn id(self) -> Ref {
        Ref::new(self as i32)
    }
}

/// Writes a page of shapes as PDF.
///
/// # Errors
/// [`PlotError::Drawing`] if the embedded font cannot be read.
pub(super) fn pdf(scene: &Scene, title: &str) -> Result<Vec<u8>, PlotError> {
    use_font();
    let font = FontRef::try_from_slice(FONT_FILE).map_err(PlotError::from_drawing)?;
    let mut drawn = Drawn {
        content: Content::new(),
        height: scene.height,
        font: &font,
        glyphs: BTreeMap::new(),
        opacities: BTreeSet::new(),
    };
    for shape in scene.shapes() {
        drawn.shape(shape);
    }
    let Drawn {
        content,
        glyphs,
        opacities,
        ..
    } = drawn;
    let mut pdf = Pdf::new();
    pdf.catalog(Object::Catalog.id()).pages(Object::Pages.id());
    pdf.document_info(Object::Info.id()).title(TextStr(title));
    pdf.pages(Object::Pages.id())
        .kids([Object::Page.id()])
        .count(1);
    write_page(&mut pdf, scene, &opacities);
    let content = packed(&content.finish())?;
    pdf.stream(Object::Content.id(), &content)
        .filter(Filter::FlateDecode);
    write_font(&mut pdf, &font, &glyphs)?;
    Ok(pdf.finish())
}

fn write_page(pdf: &mut Pdf, scene: &Scene, opacities: &BTreeSet<u8>) {
    let mut page = pdf.page(Object::Page.id());
    page.parent(Object::Pages.id())
        .media_box(Rect::new(0.0, 0.0, scene.width as f32, scene.height as f32))
        .contents(Object::Content.id());
    let mut resources = page.resources();
    resources.fonts().pair(FONT_NAME, Object::Font.id());
    let mut states = resources.ext_g_states();
    for opacity in opacities {
        states.pair(
            Name(opacity_name(*opacity).as_bytes()),
            opacity_id(*opacity),
        );
    }
    states.finish();
    resources.finish();
    page.finish();
    for opacity in opacities {
        let share = f32::from(*opacity) / 255.0;
        pdf.ext_graphics(opacity_id(*opacity))
            .non_stroking_alpha(share)
            .stroking_alpha(share);
    }
}

fn opacity_name(opacity: u8) -> String {
    format!("O{opacity}")
}

fn opacity_id(opacity: u8) -> Ref {
    Ref::new(Object::Opacities as i32 + i32::from(opacity))
}

/// Writes the font: its file, the widths of its glyphs, and which letters they are.
fn write_font(
    pdf: &mut Pdf,
    font: &FontRef,
    glyphs: &BTreeMap<u16, char>,
) -> Result<(), PlotError> {
    let system = || SystemInfo {
        registry: Str(b"Adobe"),
        ordering: Str(b"Identity"),
        supplement: 0,
    };
    pdf.type0_font(Object::Font.id())
        .base_font(FONT_BASE)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(Object::GlyphFont.id())
        .to_unicode(Object::Letters.id());
    // A PDF counts in thousandths of the em.
    let thousandths = 1000.0 / font.units_per_em().unwrap_or(1000.0);
    let mut glyph_font = pdf.cid_font(Object::GlyphFont.id());
    glyph_font
        .subtype(CidFontType::Type2)
        .base_font(FONT_BASE)
        .system_info(system())
        .font_descriptor(Object::Descriptor.id())
        .cid_to_gid_map_predefined(Name(b"Identity"));
    let mut widths = glyph_font.widths();
    for glyph in glyphs.keys() {
        let width = font.h_advance_unscaled(ab_glyph::GlyphId(*glyph));
        widths.consecutive(*glyph, [width * thousandths]);
    }
    widths.finish();
    glyph_font.finish();
    let ascent = font.ascent_unscaled() * thousandths;
    let descent = font.descent_unscaled() * thousandths;
    pdf.font_descriptor(Object::Descriptor.id())
        .name(FONT_BASE)
        .flags(FontFlags::SYMBOLIC)
        .bbox(Rect::new(-200.0, descent, 1200.0, ascent))
        .italic_angle(0.0)
        .ascent(ascent)
        .descent(descent)
        .cap_height(716.0)
        .stem_v(80.0)
        .font_file2(Object::FontFile.id());
    let file = packed(FONT_FILE)?;
    let length = i32::try_from(FONT_FILE.len()).unwrap_or(i32::MAX);
    pdf.stream(Object::FontFile.id(), &file)
        .filter(Filter::FlateDecode)
        .pair(Name(b"Length1"), length);
    let mut letters = UnicodeCmap::new(Name(b"Letters"), system());
    for (glyph, letter) in glyphs {
        letters.pair(*glyph, *letter);
    }
    let letters = letters.finish();
    pdf.cmap(Object::Letters.id(), &letters);
    Ok(())
}

/// Compresses a stream.
fn packed(bytes: &[u8]) -> Result<Vec<u8>, PlotError> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).map_err(PlotError::from_drawing)?;
    encoder.finish().map_err(PlotError::from_drawing)
}

/// What has been drawn so far.
struct Drawn<'a> {
    content: Content,
    /// The page's height: a PDF counts from the bottom.
    height: f64,
    font: &'a FontRef<'a>,
    /// The letters that were drawn, by glyph.
    glyphs: BTreeMap<u16, char>,
    /// The opacities that were needed, of 255.
    opacities: BTreeSet<u8>,
}

impl Drawn<'_> {
    fn shape(&mut self, shape: &Shape) {
        self.ink(shape.color());
        match shape {
            Shape::Text(text) => self.text(text),
            Shape::Line {
                points,
                width,
                dash,
                ..
            } => {
                let lengths = dash.map(|dash| [dash.on, dash.off].map(|it| it as f32));
                let lengths = lengths.into_iter().flatten();
                self.content.set_dash_pattern(lengths, 0.0);
                self.content.set_line_join(LineJoinStyle::RoundJoin);
                self.content.set_line_width(*width as f32);
                self.path(points);
                self.content.stroke();
            }
            Shape::Rect { from, to, .. } => {
                let corners = [*from, at(to.x, from.y), *to, at(from.x, to.y)];
                self.fill(&corners);
            }
            Shape::Area { corners, .. } => self.fill(corners),
            Shape::Mark {
                marker: Marker::None,
                ..
            } => {}
            Shape::Mark {
                at,
                marker,
                radius,
                hollow,
                ..
            } => {
                match marker.corners(*at, *radius) {
                    Some(corners) => {
                        self.path(&corners);
                        self.content.close_path();
                    }
                    None => self.circle(*at, *radius),
                }
                if *hollow {
                    self.content.set_dash_pattern([], 0.0);
                    self.content.set_line_width(OUTLINE as f32);
                    self.content.stroke();
                } else {
                    self.content.fill_nonzero();
                }
            }
        }
    }

    /// Sets the colour of lines and areas, with its opacity.
    fn ink(&mut self, color: Color) {
        let [red, green, blue] = [color.0, color.1, color.2].map(|part| f32::from(part) / 255.0);
        self.content.set_fill_rgb(red, green, blue);
        self.content.set_stroke_rgb(red, green, blue);
        let opacity = (color.3.clamp(0.0, 1.0) * 255.0).round() as u8;
        self.opacities.insert(opacity);
        let name = opacity_name(opacity);
        self.content.set_parameters(Name(name.as_bytes()));
    }

    /// A place of the scene as the PDF counts.
    fn place(&self, place: Place) -> (f32, f32) {
        (place.x as f32, (self.height - place.y) as f32)
    }

    fn path(&mut self, points: &[Place]) {
        for (number, point) in points.iter().enumerate() {
            let (x, y) = self.place(*point);
            if number == 0 {
                self.content.move_to(x, y);
            } else {
                self.content.line_to(x, y);
            }
        }
    }

    fn fill(&mut self, corners: &[Place]) {
        self.path(corners);
        self.content.close_path();
        self.content.fill_nonzero();
    }

    /// A circle of four curves.
    fn circle(&mut self, middle: Place, radius: f64) {
        let point = |x: f64, y: f64| at(middle.x + radius * x, middle.y + radius * y);
        let (x, y) = self.place(point(1.0, 0.0));
        self.content.move_to(x, y);
        let (mut cos, mut sin) = (1.0, 0.0);
        for _ in 0..4 {
            // A quarter further on: (cos, sin) becomes (-sin, cos).
            let first = self.place(point(cos - QUARTER * sin, sin + QUARTER * cos));
            let second = self.place(point(-sin + QUARTER * cos, cos + QUARTER * sin));
            (cos, sin) = (-sin, cos);
            let end = self.place(point(cos, sin));
            self.content
                .cubic_to(first.0, first.1, second.0, second.1, end.0, end.1);
        }
        self.content.close_path();
    }

    fn text(&mut self, text: &Text) {
        let mut glyphs = Vec::new();
        for letter in text.text.chars() {
            let glyph = self.font.glyph_id(letter).0;
            self.glyphs.entry(glyph).or_insert(letter);
            glyphs.extend(glyph.to_be_bytes());
        }
        let width = text_width(&text.text, text.size);
        let before = match text.anchor {
            Anchor::Left => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::Right => width,
        };
        let drop = text.size * HALF_X;
        let (turn, start) = if text.upwards {
            let start = at(text.at.x + drop, text.at.y + before);
            ([0.0, 1.0, -1.0, 0.0], start)
        } else {
            let start = at(text.at.x - before, text.at.y + drop);
            ([1.0, 0.0, 0.0, 1.0], start)
        };
        let (x, y) = self.place(start);
        let [a, b, c, d] = turn;
        self.content
            .begin_text()
            .set_font(FONT_NAME, text.size as f32)
            .set_text_matrix([a, b, c, d, x, y])
            .show(Str(&glyphs))
            .end_text();
    }
}
