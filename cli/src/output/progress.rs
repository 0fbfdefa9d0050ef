//! Progress of what takes longer than a moment: a bar on a terminal, a line now and then elsewhere.
//! Always on the standard error, so that answers stay clean.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::units;

/// Before this has passed, nothing is said where there is no terminal.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two lines, at least; longer the longer it takes.
const PAUSE: Duration = Duration::from_secs(2);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Frames,
    Files,
}

/// How far something is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct At {
    /// Done so far.
    pub(crate) done: u64,
    /// In all.
    pub(crate) total: u64,
    /// A second, where it is known.
    pub(crate) rate: Option<f64>,
    /// Seconds left, where it is known.
    pub(crate) left: Option<f64>,
}

impl At {
    /// How far, in words: `8/24 frames, 32/min, about 30 s left`.
    fn words(self, unit: Unit) -> String {
        let Self { done, total, .. } = self;
        let mut words = match unit {
            Unit::Frames => format!("{done}/{total} frames"),
            Unit::Files => format!("{done}/{total} files"),
            Unit::Bytes => format!("{} of {}", units::bytes(done), units::bytes(total)),
        };
        if let Some(rate) = self.rate.filter(|rate| *rate > 0.0) {
            words.push_str(", ");
            words.push_str(&rate_words(unit, rate));
        }
        if let Some(left) = self.left.filter(|_| done < total) {
            words.push_str(", about ");
            words.push_str(&units::duration(left.max(1.0).round()).replace(".0 s", " s"));
            words.push_str(" left");
        }
        words
    }
}

fn rate_words(unit: Unit, a_second: f64) -> String {
    match unit {
        Unit::Bytes => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
            let whole = a_second as u64;
            format!("{}/s", units::bytes(whole))
        }
        _ if a_second >= 10.0 => format!("{a_second:.0}/s"),
        _ if a_second >= 1.0 => format!("{a_second:.1}/s"),
        _ if a_second >= 1.0 / 6.0 => format!("{:.0}/min", a_second * 60.0),
        _ if a_second >= 1.0 / 60.0 => format!("{:.1}/min", a_second * 60.0),
        _ => format!("{:.1}/h", a_second * 3600.0),
    }
}

/// Shows how far something is.
#[derive(Debug)]
pub(crate) struct Progress {
    unit: Unit,
    bar: Option<ProgressBar>,
    started: Instant,
    /// What was done already when this began: it tells nothing about the rate.
    first: Option<u64>,
    told: Option<(Instant, String)>,
}

impl Progress {
    /// Begins.
    pub(crate) fn new(unit: Unit) -> Self {
        Self {
            unit,
            bar: io::stderr().is_terminal().then(bar),
            started: Instant::now(),
            first: None,
            told: None,
        }
    }

    /// Shows what is done by now; rate and time left are measured here.
    pub(crate) fn set(&mut self, done: u64, total: u64) {
        self.set_with(done, total, "");
    }

    /// The same, with a word behind it.
    pub(crate) fn set_with(&mut self, done: u64, total: u64, note: &str) {
        let first = *self.first.get_or_insert(done);
        #[expect(clippy::cast_precision_loss, reason = "rounded for people anyway")]
        let (made, left) = (done.saturating_sub(first) as f64, total.saturating_sub(done) as f64);
        let elapsed = self.started.elapsed().as_secs_f64();
        let rate = (made > 0.0 && elapsed > 0.2).then(|| made / elapsed);
        self.show(At { done, total, rate, left: rate.map(|rate| left / rate) }, note);
    }

    /// Says something that stays, above the bar where there is one.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(super::plain_line(text)),
            None => say(&super::plain_line(text)),
        }
    }

    /// Shows what is known, and a word behind it.
    pub(crate) fn show(&mut self, at: At, note: &str) {
        let mut words = at.words(self.unit);
        if !note.is_empty() {
            words.push_str(", ");
            words.push_str(&super::plain_line(note));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(at.total);
            bar.set_position(at.done);
            bar.set_message(words);
            return;
        }
        let (elapsed, now) = (self.started.elapsed(), Instant::now());
        let pause = PAUSE.max(elapsed / 20);
        let due = match &self.told {
            None => elapsed >= PATIENCE,
            Some((when, said)) => now.duration_since(*when) >= pause && *said != words,
        };
        if due {
            say(&words);
            self.told = Some((now, words));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    let template = if super::Style::of_terminal(true) == super::Style::default() {
        "{bar:30} {msg}"
    } else {
        "{bar:30.cyan} {msg}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar
}

fn say(text: &str) {
    // Where even the standard error is closed, there is nobody to tell.
    _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_has_a_rate_and_a_time_left() {
        let at = At { done: 8, total: 24, rate: Some(0.5), left: Some(32.0) };
        assert_eq!(at.words(Unit::Frames), "8/24 frames, 30/min, about 32 s left");
        let at = At { done: 1 << 30, total: 4 << 30, rate: Some(3e8), left: Some(10.7) };
        assert_eq!(at.words(Unit::Bytes), "1.0 GiB of 4.0 GiB, 286 MiB/s, about 11 s left");
        let at = At { done: 24, total: 24, rate: Some(12.0), left: Some(0.0) };
        assert_eq!(at.words(Unit::Frames), "24/24 frames, 12/s");
        let at = At { done: 0, total: 3, ..At::default() };
        assert_eq!(at.words(Unit::Files), "0/3 files");
        let at = At { done: 1, total: 3, rate: Some(0.001), left: Some(2.2) };
        assert_eq!(at.words(Unit::Frames), "1/3 frames, 3.6/h, about 2 s left");
    }
}
