//! The bytes of a tiny table, frozen: a change of the format must be a new version, not an accident.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_a_table_are_those_of_version_1() {
    let world = World::new(0);
    let entries = [put(b"ab", 3, b"xyz"), delete(b"ab", 2), put(b"b", 9, b"")];
    let built = world.build(&options(Compression::None, "fence", "none", 32), &entries).unwrap();
    let contents = world.contents();
    let mut rest = &contents[..];
    let mut parts = Vec::new();
    for bytes in GOLDEN.map(|(_, part)| part.len() / 2) {
        let (part, after) = rest.split_at(bytes.min(rest.len()));
        parts.push(hex(part));
        rest = after;
    }
    for ((name, expected), part) in GOLDEN.iter().zip(&parts) {
        assert_eq!(part, expected, "{name}; all of it: {}", hex(&contents));
    }
    assert_eq!((rest, built.bytes), (&[][..], contents.len() as u64));
    assert!(world.open_as(facts(&built)).is_ok());
}

/// Written down from the drawing in `format`, the checksums by a table-driven CRC32C of another hand.
const GOLDEN: [(&str, &str); 6] = [
    ("data block 0", "02616201030000000000000378797a000000000100000000170000004b4b764d"),
    ("data block 1", "0261620002000000000000000000000001000000001400000012d8e3e1"),
    ("data block 2", "0162010900000000000000000000000100000000130000006ea1560d"),
    ("index block", "0300000020010261621d010261621c010162001200000022b30f6f"),
    ("properties block", "03010002090261620162046e6f6e650566656e6365000200001800000099ebeb05"),
    (
        "footer",
        "00000000000000000000000000000000000000000000000059000000000000001b00000074000000000000002100000001000000244e5d78617572612e737374",
    ),
];
