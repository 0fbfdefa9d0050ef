//! Figures, and what is asked of them.

use std::time::Duration;

/// The value in the middle.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// MiB a second.
#[must_use]
pub fn rate(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / f64::from(1 << 20) / took.as_secs_f64()
}

/// The number behind an option of the command line, or another one.
#[must_use]
pub fn option(name: &str, otherwise: usize) -> usize {
    let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
    args.next().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Whether a word stands on the command line.
#[must_use]
pub fn given(name: &str) -> bool {
    std::env::args().any(|arg| arg == name)
}

/// Prints whether a figure is what it should be, and remembers it.
#[derive(Debug, Default)]
pub struct Verdict {
    failed: bool,
}

impl Verdict {
    /// A figure that should be at least so much.
    pub fn at_least(&mut self, what: &str, figure: f64, least: f64) {
        self.judge(what, figure, figure >= least, &format!("at least {least:.2}"));
    }

    /// A figure that should be at most so much.
    pub fn at_most(&mut self, what: &str, figure: f64, most: f64) {
        self.judge(what, figure, figure <= most, &format!("at most {most:.2}"));
    }

    fn judge(&mut self, what: &str, figure: f64, good: bool, wanted: &str) {
        self.failed |= !good;
        println!("{:4}  {what}: {figure:.2}, wanted {wanted}", if good { "ok" } else { "FAIL" });
    }

    /// Ends the bench: with an error if some figure was not what it should be and `--strict` asks
    /// for that.
    pub fn end(self) {
        if self.failed && given("--strict") {
            std::process::exit(1);
        }
    }
}
