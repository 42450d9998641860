//! Names beside points, where they have room.

use super::scene::{Anchor, Color, Place, Room, Scene, at, text_width};

/// The size of labels beside points.
pub(crate) const TINY: f64 = 11.0;

/// A text to write near a point.
pub(crate) struct Label<'a> {
    pub(crate) place: Place,
    pub(crate) text: &'a str,
    pub(crate) color: Color,
}

/// Writes labels below or above their points if they have room; those that would cover another one
/// are left out.
pub(crate) fn write_labels(scene: &mut Scene, labels: &[Label]) {
    let mut taken: Vec<Room> = Vec::new();
    for label in labels.iter().filter(|label| !label.text.is_empty()) {
        let half = text_width(label.text, TINY) / 2.0 + 2.0;
        for middle in [label.place.y + 13.0, label.place.y - 13.0] {
            let room = Room {
                left: label.place.x - half,
                right: label.place.x + half,
                top: middle - 7.0,
                bottom: middle + 7.0,
            };
            if taken.iter().any(|other| overlaps(&room, other)) {
                continue;
            }
            let place = at(label.place.x, middle);
            scene.text(place, label.text, TINY, label.color, Anchor::Middle);
            taken.push(room);
            break;
        }
    }
}

fn overlaps(a: &Room, b: &Room) -> bool {
    a.right >= b.left && a.left <= b.right && a.bottom >= b.top && a.top <= b.bottom
}
