//! Numbers as people read them.

/// Bytes in steps of 1024: `17 B`, `4.2 MiB`, `310 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // What is printed has three digits; a float's 53 bits are plenty.
    #[expect(clippy::cast_precision_loss, reason = "rounded to three digits anyway")]
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    // 1023.5 and above would be printed as 1024.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 9.95 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

/// Seconds as a person would say them: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let whole = seconds.round() as u64;
    let pair = |large: u64, unit: &str, small: u64, smaller: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {smaller}"),
    };
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => pair(whole / 60, "min", whole % 60, "s"),
        3600..86_400 => pair(whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => pair(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

/// An amount of money, in whatever prices are given in: `12.50`; small ones with two digits that tell
/// something: `0.0034`.
pub(crate) fn money(amount: f64) -> String {
    match amount {
        0.095.. | ..=0.0 => format!("{amount:.2}"),
        0.00095.. => format!("{amount:.4}"),
        _ => format!("{amount:.6}"),
    }
}

/// `1 frame`, `3 frames`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A date and time in UTC, from seconds since 1970: `2026-03-09 14:05 UTC`.
pub(crate) fn date(unix: u64) -> String {
    let (days, seconds) = (unix / 86_400, unix % 86_400);
    // Days to a date in the proleptic Gregorian calendar, by years that begin in March: Howard
    // Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3600, seconds % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_at_most_three_digits() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10 * 1024, "10 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (4_404_019, "4.2 MiB"),
            (u64::MAX, "16 EiB"),
        ];
        for (count, words) in cases {
            assert_eq!(bytes(count), words);
        }
    }

    #[test]
    fn money_has_digits_that_tell_something() {
        let cases = [(0.0, "0.00"), (12.5, "12.50"), (0.0034, "0.0034"), (0.000_012, "0.000012")];
        for (amount, words) in cases {
            assert_eq!(money(amount), words);
        }
    }

    #[test]
    fn durations_name_two_units_at_most() {
        let cases = [
            (-1.0, "0.0 s"),
            (0.42, "0.4 s"),
            (12.4, "12 s"),
            (59.6, "1 min"),
            (185.0, "3 min 5 s"),
            (7800.0, "2 h 10 min"),
            (90_000.0, "1 d 1 h"),
        ];
        for (seconds, words) in cases {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_709_210_100), "2024-02-29 12:35 UTC");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00 UTC");
    }
}
