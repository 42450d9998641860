//! Laws of key-value separation.

use aura_policies::PolicySpec;
use aura_policies::separation::{FAMILY, build};

#[test]
fn a_larger_value_is_never_kept_where_a_smaller_one_is_separated() {
    for name in FAMILY.names() {
        let policy = build(&PolicySpec::named(name)).expect("defaults build");
        for key_bytes in [0, 16, 4096] {
            let sizes = (0..10_000).chain([usize::MAX]);
            let answers: Vec<bool> = sizes
                .map(|bytes| policy.separate(key_bytes, bytes))
                .collect();
            assert!(answers.is_sorted(), "{}", name);
            assert!(
                !answers[0],
                "{}: an empty value has nothing to separate",
                name
            );
        }
    }
}
