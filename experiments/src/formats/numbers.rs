//! Numbers as people read them.

use bytesize::ByteSize;

/// Writes a number with four significant digits, or with all of its integer digits.
pub fn significant(value: f64) -> String {
    digits(value, 4)
}

/// Writes a number with `count` significant digits, or with all of its integer digits.
pub fn digits(value: f64, count: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let decimals = count - 1 - value.abs().log10().floor() as i32;
    let text = format!("{value:.*}", usize::try_from(decimals.min(9)).unwrap_or(0));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Writes a metric's value with its unit, if it has one.
pub fn shown(value: f64, unit: &str) -> String {
    match unit {
        "ratio" | "count" => significant(value),
        "us" => format!("{} \u{b5}s", significant(value)),
        "bytes" if value >= 1024.0 => ByteSize(value as u64).display().iec().to_string(),
        _ => format!("{} {unit}", significant(value)),
    }
}

/// Writes a mean with half the width of its interval, if the interval has a width.
pub fn shown_mean(mean: f64, half_width: Option<f64>, unit: &str) -> String {
    let Some(half) = half_width.filter(|half| *half > 0.0) else {
        return shown(mean, unit);
    };
    if unit == "bytes" {
        return format!("{} \u{b1} {}", shown(mean, unit), shown(half, unit));
    }
    let with_half = format!("{} \u{b1} {}", significant(mean), digits(half, 2));
    shown(mean, unit).replacen(&significant(mean), &with_half, 1)
}

/// Writes a p-value.
pub fn shown_p(p: f64) -> String {
    if p < 1e-4 {
        "< 0.0001".to_owned()
    } else {
        format!("{p:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (123_456.0, "123456"),
            (1234.56, "1235"),
            (0.012_345, "0.01235"),
            (2.0, "2"),
            (-12.345, "-12.35"),
        ] {
            assert_eq!(significant(value), text);
        }
        assert_eq!(digits(-12.345, 3), "-12.3");
    }

    #[test]
    fn values_carry_their_units() {
        assert_eq!(shown(1536.0 * 1024.0, "bytes"), "1.5 MiB");
        assert_eq!(shown(12.5, "us"), "12.5 \u{b5}s");
        assert_eq!(
            shown_mean(12.5, Some(0.123), "us"),
            "12.5 \u{b1} 0.12 \u{b5}s"
        );
        assert_eq!(
            shown_mean(2048.0, Some(10.0), "bytes"),
            "2.0 KiB \u{b1} 10 bytes"
        );
        assert_eq!(shown_mean(3.0, None, "ratio"), "3");
    }
}
