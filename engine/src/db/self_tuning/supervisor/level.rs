//! Levels of cost: the mean of windows, and how well it is known.

/// Windows after which the mean forgets the oldest.
const WINDOWS: f64 = 64.0;

/// The mean cost of windows with the same settings. O(1) a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Level {
    windows: f64,
    mean: f64,
    variance: f64,
}

impl Level {
    pub(super) fn take(&mut self, cost: f64) {
        self.windows = (self.windows + 1.0).min(WINDOWS);
        let gain = 1.0 / self.windows;
        let off = cost - self.mean;
        self.mean += gain * off;
        self.variance = (1.0 - gain) * (self.variance + gain * off * off);
    }

    /// Windows that the mean is of.
    pub(super) fn windows(&self) -> f64 {
        self.windows
    }

    /// Whether there are windows enough for an error.
    pub(super) fn is_measured(&self) -> bool {
        self.windows >= 2.0
    }

    /// The mean cost of a window; 0 of none.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// The standard deviation of a window's cost.
    pub(super) fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }

    /// The standard error of the mean, if windows are independent; infinite for less than two.
    pub(super) fn error(&self) -> f64 {
        match self.is_measured() {
            true => (self.variance / (self.windows - 1.0)).sqrt(),
            false => f64::INFINITY,
        }
    }
}

/// The standard error of the difference of two means.
pub(super) fn error_of_difference(one: &Level, other: &Level) -> f64 {
    one.error().hypot(other.error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_the_mean_of_its_windows_until_it_forgets() {
        let mut level = Level::default();
        assert_eq!((level.mean(), level.error()), (0.0, f64::INFINITY));
        for cost in [1.0, 2.0, 3.0, 4.0] {
            level.take(cost);
        }
        assert!((level.mean() - 2.5).abs() < 1e-12);
        assert!((level.deviation() - 1.25_f64.sqrt()).abs() < 1e-12);
        // The sample's variance is 5 / 3, over four windows.
        assert!((level.error() - (5.0_f64 / 12.0).sqrt()).abs() < 1e-12);
        for _ in 0..1_000 {
            level.take(10.0);
        }
        assert!((level.mean() - 10.0).abs() < 1e-5, "{level:?}");
    }
}
