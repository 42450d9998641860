//! explore
use crate::cache_trace::{Trace, oracle_text};
use aura_policies::PolicySpec;
#[test]
fn explore() {
    let Some(table) = oracle_text("cache/miss_ratios_summary.csv") else { return };
    let which = std::env::var("EXPLORE").unwrap_or_default();
    let only = std::env::var("ONLY").unwrap_or("hyperbolic,lhd,lecar,cacheus,lrb".into());
    for name in which.split(',') {
        let Some(trace) = Trace::of_oracle(name) else { return };
        for (policy, theirs) in
            [("hyperbolic", "Hyperbolic"), ("lhd", "LHD"), ("lecar", "LeCaR"), ("cacheus", "Cacheus"), ("lrb", "LRU")]
        {
            if !only.split(',').any(|o| o == policy) {
                continue;
            }
            for line in table.lines() {
                let f: Vec<&str> = line.split(',').collect();
                if f[1] != name || f[2] != "unit" || f[3] != theirs || f[0].contains("caff") {
                    continue;
                }
                let capacity: u64 = f[5].parse().unwrap();
                let ours: Vec<f64> = (1..3)
                    .map(|seed| {
                        trace.misses_drawn(&PolicySpec::named(policy), capacity, seed) as f64 / trace.len() as f64
                    })
                    .collect();
                let theirs: f64 = f[7].parse().unwrap();
                println!("{name} {policy} {capacity} {} {theirs} ours {ours:.6?} diff {:+.4}", f[0], ours[0] - theirs);
            }
        }
    }
}
