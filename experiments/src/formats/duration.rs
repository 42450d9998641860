//! Durations and moments for people.

/// Returns seconds as people say them, in two units at most: `0.25 s`, `45 s`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    if seconds < 10.0 {
        return format!("{} s", super::digits(seconds.max(0.0), 2));
    }
    let whole = seconds.round() as u64;
    let first = UNITS.iter().position(|(_, unit)| whole >= *unit);
    let first = first.unwrap_or(UNITS.len() - 1);
    let (name, unit) = UNITS[first];
    let mut words = format!("{} {name}", whole / unit);
    if let Some((name, smaller)) = UNITS.get(first + 1) {
        let rest = whole % unit / smaller;
        if rest > 0 {
            words += &format!(" {rest} {name}");
        }
    }
    words
}

/// Returns a moment in seconds since 1970 as `2026-03-01 14:05 UTC`.
pub fn moment(seconds: u64) -> String {
    let (day, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days count from 1 March of year 0, so that a leap day is the last of its year (Hinnant,
    // "chrono-compatible low-level date algorithms").
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (of_day / 3_600, of_day % 3_600 / 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, words) in [
            (0.0, "0 s"),
            (0.251, "0.25 s"),
            (45.4, "45 s"),
            (61.0, "1 min 1 s"),
            (3_600.0, "1 h"),
            (12_015.0, "3 h 20 min"),
            (200_000.0, "2 d 7 h"),
        ] {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, words) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_796_030_700, "2026-11-30 09:25 UTC"),
        ] {
            assert_eq!(moment(seconds), words);
        }
    }
}
