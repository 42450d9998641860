//! Golden draws of the laws, most of which come from rand_distr: a version of it that draws
//! otherwise fails here, before it changes a published result.

use std::fmt::Write as _;

use aura_workloads::{LengthDistribution, Lengths, Load, Schedule, Seed};

const LENGTHS: &str = "
Zipf { theta: 1.0 }
  [105, 131792699, 0, 2615, 190, 64259]
Lognormal { median: 1000000.0, sigma: 1.5 }
  [3495919, 461883, 8261378, 2007083, 4180790, 1508587]
Pareto { scale: 1000000.0, shape: 1.2 }
  [1186708, 2592453, 1013623, 1344307, 1212576, 1556413]
Gamma { shape: 0.5, scale: 1000000.0 }
  [460290, 1243551, 26304, 1258226, 187332, 78152]
Gamma { shape: 3.0, scale: 1000000.0 }
  [4274481, 5689313, 4546830, 990592, 1789913, 3076338]
Weibull { shape: 0.7, scale: 1000000.0 }
  [104246, 1210574, 2777, 227805, 123501, 404683]
GeneralizedPareto { k: 0.5, sigma: 1000000.0, theta: 10.0 }
  [2641208, 423267, 13759365, 1658425, 2401247, 1116268]
";

const ARRIVALS: &str = "
Gamma { rate: Constant(1000.0), shape: 0.5 }
  [1841160, 6815365, 6920582, 11953487, 12702816]
Weibull { rate: Constant(1000.0), shape: 0.7 }
  [164709, 2077414, 2081802, 2441734, 2636865]
Lognormal { rate: Constant(1000.0), sigma: 1.0 }
  [2794197, 3519029, 8476396, 10406554, 13554701]
Pareto { rate: Constant(1000.0), shape: 1.5 }
  [764511, 2193002, 2866924, 3711634, 4489448]
";

#[test]
fn lengths_of_the_laws_are_pinned() {
    let scale = 1e6;
    let mut drawn = "\n".to_owned();
    for distribution in [
        LengthDistribution::Zipf { theta: 1.0 },
        LengthDistribution::Lognormal {
            median: scale,
            sigma: 1.5,
        },
        LengthDistribution::Pareto { scale, shape: 1.2 },
        LengthDistribution::Gamma { shape: 0.5, scale },
        LengthDistribution::Gamma { shape: 3.0, scale },
        LengthDistribution::Weibull { shape: 0.7, scale },
        LengthDistribution::GeneralizedPareto {
            k: 0.5,
            sigma: scale,
            theta: 10.0,
        },
    ] {
        let mut lengths = Lengths::new(0, 1 << 40, distribution);
        let mut generator = Seed(42).generator();
        let first: Vec<u64> = (0..6).map(|_| lengths.draw(&mut generator)).collect();
        writeln!(drawn, "{distribution:?}\n  {first:?}").unwrap();
    }
    assert_eq!(drawn, LENGTHS);
}

#[test]
fn arrivals_of_the_laws_are_pinned() {
    let rate = 1000.0.into();
    let mut drawn = "\n".to_owned();
    for load in [
        Load::Gamma { rate, shape: 0.5 },
        Load::Weibull { rate, shape: 0.7 },
        Load::Lognormal { rate, sigma: 1.0 },
        Load::Pareto { rate, shape: 1.5 },
    ] {
        let schedule = Schedule::new(load, 0, 2, Seed(42)).expect("an open loop");
        let first: Vec<u64> = schedule.take(5).collect();
        writeln!(drawn, "{load:?}\n  {first:?}").unwrap();
    }
    assert_eq!(drawn, ARRIVALS);
}
