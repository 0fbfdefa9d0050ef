//! Lines that a program broke to fit a terminal, put together again.

/// A line is broken at its last space, if that is in the last quarter of the width, and else after its last letter
/// that fits. So does POV-Ray 3.7 (`TextStreamBuffer::lineflush`).
const SOUGHT: usize = 4;
/// The longest line that is put together, in bytes.
const MAX_JOINED: usize = 16 * 1024;

/// Joins lines. What may go on is held until the next line tells.
#[derive(Debug, Default)]
pub(super) struct Wrapped {
    /// The longest line that the program prints, in bytes; 0 if it breaks none.
    width: usize,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    joined: Vec<u8>,
    /// How long its last part is.
    last: usize,
}

impl Wrapped {
    /// For a program that breaks what is longer than `width` bytes.
    pub(super) fn at(width: usize) -> Self {
        Self { width, held: None }
    }

    /// Takes a line without its end, and gives those that are whole by now.
    pub(super) fn push(&mut self, line: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        let joined = match self.held.take() {
            Some(held) if self.goes_on(held.last, line) => [&held.joined, line].concat(),
            held => {
                whole.extend(held.map(|held| held.joined));
                line.to_vec()
            }
        };
        if self.may_go_on(line.len()) && joined.len() < MAX_JOINED {
            self.held = Some(Held { joined, last: line.len() });
        } else {
            whole.push(joined);
        }
        whole
    }

    /// What is held, once nothing more comes.
    pub(super) fn end(&mut self) -> Option<Vec<u8>> {
        self.held.take().map(|held| held.joined)
    }

    fn may_go_on(&self, length: usize) -> bool {
        length > self.width - self.width / SOUGHT && length <= self.width
    }

    /// Whether a line of `last` bytes was broken where `next` begins. The space at which it was stays, and what follows
    /// that up to another one did not fit.
    fn goes_on(&self, last: usize, next: &[u8]) -> bool {
        let Some((first, rest)) = next.split_first() else { return false };
        let word = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        last == self.width || first.is_ascii_whitespace() && last + 1 + word > self.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(width: usize, lines: &[&str]) -> Vec<String> {
        let mut wrapped = Wrapped::at(width);
        let mut all: Vec<Vec<u8>> =
            lines.iter().flat_map(|line| wrapped.push(line.as_bytes())).collect();
        all.extend(wrapped.end());
        all.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    /// What POV-Ray 3.7 printed.
    #[test]
    fn what_povray_breaks_is_whole_again() {
        let lines = [
            "  Library paths:",
            "    /usr/share/povray-3.7",
            "==== [Parsing...] ==========================================================",
            "File '/tmp/ptest/averylongfoldernameaverylongfoldernameaverylongfoldernameaveryl",
            "ongfoldernameaverylongfoldernameaverylongfoldernameaverylongfoldername/sub/warn.",
            "pov' line 2: Possible Parse Error: Cannot find file 'colors.inc', even after",
            " trying to append file type extension.",
            "File 'w.pov' line 4: Parse Error: Parse halted by #error directive: one two",
            " three four five six seven eight nine ten eleven twelve thirteen fourteen",
            " fifteen sixteen seventeen eighteen nineteen twenty",
            "Fatal error in parser: Cannot parse input.",
            "Render failed",
            "",
        ];
        let folder = "averylongfoldername".repeat(7);
        let whole = [
            lines[0].to_owned(),
            lines[1].to_owned(),
            lines[2].to_owned(),
            format!(
                "File '/tmp/ptest/{folder}/sub/warn.pov' line 2: Possible Parse Error: Cannot find file 'colors.inc', \
                 even after trying to append file type extension."
            ),
            "File 'w.pov' line 4: Parse Error: Parse halted by #error directive: one two three four five six seven \
             eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
                .to_owned(),
            lines[10].to_owned(),
            lines[11].to_owned(),
            lines[12].to_owned(),
        ];
        assert_eq!(joined(80, &lines), whole);
        assert_eq!(joined(0, &lines), lines);
    }

    #[test]
    fn what_fitted_is_left_alone() {
        let long = "x".repeat(75);
        // The next word would have fitted, or nothing was broken there.
        for next in [" four five", "five", "", "  Second option"] {
            assert_eq!(joined(80, &[&long, next]), [long.as_str(), next]);
        }
        let whole = "x".repeat(80);
        assert_eq!(joined(80, &[&whole, "", "y"]), [whole.as_str(), "", "y"]);
        assert_eq!(joined(80, &[&whole]), [whole.as_str()]);
    }
}
