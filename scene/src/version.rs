//! Versions of programs, and names with versions in them, compared as people count them: 3.10 comes after 3.9.

use std::cmp::Ordering;

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

/// The order of names, or of paths part by part, in which numbers count by their size, and all else letter by
/// letter.
#[must_use]
pub fn order_of_names(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one.as_bytes(), other.as_bytes());
    loop {
        let order = match (left.first(), right.first()) {
            (None, None) => return one.cmp(other),
            (Some(a), Some(b)) if a.is_ascii_digit() && b.is_ascii_digit() => {
                let ((a, behind_a), (b, behind_b)) = (number(left), number(right));
                (left, right) = (behind_a, behind_b);
                a.len().cmp(&b.len()).then_with(|| a.cmp(b))
            }
            (a, b) => {
                // What a name begins with comes before it, whatever is behind the slash.
                let rank = |byte: &u8| if matches!(byte, b'/' | b'\\') { 0 } else { *byte };
                let order = a.map(rank).cmp(&b.map(rank));
                (left, right) = (left.get(1..).unwrap_or(left), right.get(1..).unwrap_or(right));
                order
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The digits of the number that stands in front, without zeros before it, and what is behind it.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, behind) = text.split_at(end);
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    (&digits[zeros..], behind)
}

#[cfg(test)]
mod tests {
    use super::{Ordering, Version, order_of_names};

    #[test]
    fn numbers_in_names_count() {
        let sorted = [
            "",
            "blender/x",
            "blender-2.79/x",
            "blender-3.9/x",
            "blender-3.10/x",
            "blender-3.10.1/x",
            "blender-4.0/x",
            "blender-10.0/x",
            "blender01",
            "blender1",
            "blender1a",
            "blender99999999999999999999999999",
        ];
        for (place, name) in sorted.iter().enumerate() {
            for (other_place, other) in sorted.iter().enumerate() {
                assert_eq!(order_of_names(name, other), place.cmp(&other_place), "{name} {other}");
            }
        }
        assert_eq!(order_of_names("a1", "a1"), Ordering::Equal);
    }

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
