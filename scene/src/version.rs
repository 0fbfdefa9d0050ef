//! Versions of programs, compared as people count them: 3.10 comes after 3.9.

/// A version, as the numbers in its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

impl Version {
    /// The numbers in a text: `3.7.0.10` is 3, 7, 0 and 10. What is no number only parts them.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let numbers = text.split(|letter: char| !letter.is_ascii_digit());
        let numbers = numbers.filter(|digits| !digits.is_empty());
        // A number that is too long for its type is greater than all others.
        Self(numbers.map(|digits| digits.parse().unwrap_or(u64::MAX)).collect())
    }

    /// Whether a program of this version reads what one of `writer` saved: formats change from one minor version
    /// to the next, and not within one.
    #[must_use]
    pub fn reads(&self, writer: &Self) -> bool {
        let series = |version: &Self| {
            let at = |index: usize| version.0.get(index).copied().unwrap_or(0);
            (at(0), at(1))
        };
        series(self) >= series(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn numbers_count_and_not_letters() {
        let sorted = ["", "2.79b", "2.80", "3.4.1", "3.7.0.8", "3.7.0.10", "3.10", "20"];
        let versions: Vec<Version> = sorted.iter().map(|text| Version::of(text)).collect();
        assert!(versions.is_sorted(), "{versions:?}");
        assert!(Version::of("9") < Version::of("99999999999999999999999"));
    }

    #[test]
    fn what_a_later_series_saved_is_not_read() {
        for (program, writer, reads) in [
            ("3.4.1", "3.4", true),
            ("3.4.1", "2.79", true),
            ("3.4.1", "3.5", false),
            ("3.4.1", "4.0", false),
            ("4.5.0", "3.6", true),
            ("2.79", "2.80", false),
            ("4", "4.0", true),
        ] {
            let read = Version::of(program).reads(&Version::of(writer));
            assert_eq!(read, reads, "{program} reads {writer}");
        }
    }
}
