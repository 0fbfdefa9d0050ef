//! Frame specs in fileseq's grammar: from text to frame numbers and back.
//!
//! | spec | frames |
//! |---|---|
//! | `7` | 7 |
//! | `1-5` | 1 2 3 4 5 |
//! | `5-1` | 5 4 3 2 1 |
//! | `-2-1`, `-3--1` | -2 -1 0 1, -3 -2 -1 |
//! | `1-10x3` | every third: 1 4 7 10 |
//! | `1-10y3` | what `x3` leaves out: 2 3 5 6 8 9 |
//! | `1-10:3` | staggered, `x3`, then `x2`, then `x1`: 1 4 7 10 3 5 9 2 6 8 |
//! | `1,10,20-22` | parts in the order given, repeated frames once |
//!
//! Two differences from fileseq: an empty part (`1,,2`) is an error, because what produced it has
//! probably lost a value, and so are subframes (`1.5`).

mod output_name;

use std::collections::HashSet;

pub use output_name::{output_name, with_hashes};

/// The longest spec that [`parse`] reads, in bytes.
pub const MAX_SPEC_BYTES: usize = 64 * 1024;
/// The most frames that a spec may name, counting repetitions.
pub const MAX_FRAMES: usize = 1_000_000;
/// The lowest frame number; some way below Blender's limit of -1,048,574.
pub const MIN_FRAME: i64 = -10_000_000;
/// The highest frame number; some way above Blender's limit of 1,048,574.
pub const MAX_FRAME: i64 = 10_000_000;

/// The longest piece of a spec that an error repeats, in characters.
const QUOTED_CHARS: usize = 40;

/// Why a text is not a frame spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameSpecError {
    /// Nothing was given, or what was given leaves no frame (`1-10y1`).
    #[error("the frame spec names no frame; write something like 1-100, 1-100x5 or 1,10,20-30")]
    Empty,
    /// Two commas follow each other, or one begins or ends the spec.
    #[error("the frame spec '{0}' has nothing between two commas, or at an end")]
    EmptyPart(String),
    /// A part between commas that isn't a frame or a range.
    #[error(
        "'{0}' is no frame or range; write something like 7, 1-100, 1-100x5, 1-100y5 or 1-100:5"
    )]
    Malformed(String),
    /// A step of 0, or one that goes the other way than its range.
    #[error("the step in '{0}' must be 1 or more")]
    Step(String),
    /// A frame number outside [`MIN_FRAME`] to [`MAX_FRAME`].
    #[error("the frame number in '{0}' is outside {MIN_FRAME} to {MAX_FRAME}")]
    OutOfRange(String),
    /// More than [`MAX_FRAMES`] frames.
    #[error("the frame spec names more than {MAX_FRAMES} frames; render it as several jobs")]
    TooManyFrames,
    /// More than [`MAX_SPEC_BYTES`] bytes.
    #[error("the frame spec is {0} bytes long; the limit is {MAX_SPEC_BYTES}")]
    TooLong(usize),
    /// A test frame that the job doesn't render.
    #[error("test frame {0} is not one of the job's frames")]
    NotInJob(i64),
}

/// The frames that `spec` names, in the order given, each once.
///
/// # Errors
/// [`FrameSpecError`], naming the part that is wrong. Nothing large is allocated before the
/// limits on length, numbers and count are checked.
pub fn parse(spec: &str) -> Result<Vec<i64>, FrameSpecError> {
    if spec.len() > MAX_SPEC_BYTES {
        return Err(FrameSpecError::TooLong(spec.len()));
    }
    if spec.trim().is_empty() {
        return Err(FrameSpecError::Empty);
    }
    let mut seen = HashSet::new();
    let mut frames = Vec::new();
    let mut named = 0usize;
    for text in spec.split(',') {
        let text = text.trim();
        if text.is_empty() {
            return Err(FrameSpecError::EmptyPart(quoted(spec)));
        }
        let part = Part::parse(text)?;
        named = named.saturating_add(part.count());
        if named > MAX_FRAMES {
            return Err(FrameSpecError::TooManyFrames);
        }
        part.for_each(|frame| {
            if seen.insert(frame) {
                frames.push(frame);
            }
        });
    }
    if frames.is_empty() {
        return Err(FrameSpecError::Empty);
    }
    Ok(frames)
}

/// The frames of a job to render first: `spec`, of which every frame must be among `frames`.
///
/// # Errors
/// What [`parse`] refuses, and [`FrameSpecError::NotInJob`] for the first frame the job lacks.
pub fn parse_test_frames(spec: &str, frames: &[i64]) -> Result<Vec<i64>, FrameSpecError> {
    let test = parse(spec)?;
    let of_job: HashSet<i64> = frames.iter().copied().collect();
    match test.iter().find(|frame| !of_job.contains(frame)) {
        Some(&stranger) => Err(FrameSpecError::NotInJob(stranger)),
        None => Ok(test),
    }
}

/// The short spec for `frames` in their order: `1-5,10-20x2,7`. For frames that [`parse`] could
/// have given, parsing the result gives them back.
pub fn format(frames: &[i64]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = frames;
    while let [first, tail @ ..] = rest {
        let step = tail.first().map_or(0, |second| second.saturating_sub(*first));
        let more = if step == 0 {
            0
        } else {
            rest.windows(2).take_while(|pair| pair[1].saturating_sub(pair[0]) == step).count()
        };
        let last = rest[more];
        // Two frames apart (1,5) are shorter and plainer than a range with a step (1-5x4).
        let taken = match (step.unsigned_abs(), more) {
            (1, 1..) => {
                parts.push(format!("{first}-{last}"));
                more + 1
            }
            (2.., 2..) => {
                parts.push(format!("{first}-{last}x{}", step.unsigned_abs()));
                more + 1
            }
            _ => {
                parts.push(first.to_string());
                1
            }
        };
        rest = &rest[taken..];
    }
    parts.join(",")
}

/// How the frames of a range are taken.
#[derive(Debug, Clone, Copy)]
enum Take {
    Every,
    AllBut,
    Staggered,
}

/// One part between commas; both ends and `step` are checked, `step` is positive.
struct Part {
    first: i64,
    last: i64,
    step: i64,
    take: Take,
}

impl Part {
    fn parse(text: &str) -> Result<Part, FrameSpecError> {
        let malformed = || FrameSpecError::Malformed(quoted(text));
        let (first, rest) = number(text).ok_or_else(malformed)?;
        let first = in_range(first, text)?;
        let rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(Part { first, last: first, step: 1, take: Take::Every });
        }
        let rest = rest.strip_prefix('-').ok_or_else(malformed)?.trim_start();
        let (last, rest) = number(rest).ok_or_else(malformed)?;
        let last = in_range(last, text)?;
        let rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(Part { first, last, step: 1, take: Take::Every });
        }
        let take = match rest.as_bytes()[0] {
            b'x' => Take::Every,
            b'y' => Take::AllBut,
            b':' => Take::Staggered,
            _ => return Err(malformed()),
        };
        let (step, rest) = number(rest[1..].trim_start()).ok_or_else(malformed)?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        let step = in_range(step, text)?;
        // fileseq takes 10-1x-3 as 10-1x3, and no other negative step.
        let downwards = first > last && matches!(take, Take::Every);
        let step = if step < 0 && downwards { -step } else { step };
        if step < 1 {
            return Err(FrameSpecError::Step(quoted(text)));
        }
        Ok(Part { first, last, step, take })
    }

    /// Frames from one end to the other, at most 2 × [`MAX_FRAME`] + 1.
    fn span(&self) -> i64 {
        (self.last - self.first).abs() + 1
    }

    fn count(&self) -> usize {
        let every = (self.span() - 1) / self.step + 1;
        let count = match self.take {
            Take::Every => every,
            Take::AllBut => self.span() - every,
            Take::Staggered => self.span(),
        };
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// The frames in order; staggering gives some repeatedly.
    fn for_each(&self, mut give: impl FnMut(i64)) {
        let sign = if self.first <= self.last { 1 } else { -1 };
        let frame = |offset: i64| self.first + sign * offset;
        match self.take {
            Take::Every => each(self.span(), self.step, |offset| give(frame(offset))),
            // Were the step 1 it would leave nothing out, and nothing would be left to give.
            Take::AllBut if self.step == 1 => {}
            Take::AllBut => each(self.span(), 1, |offset| {
                if offset % self.step != 0 {
                    give(frame(offset));
                }
            }),
            Take::Staggered => {
                // A step beyond the range gives its first frame, as the step of the range does.
                for step in (1..=self.step.min(self.span())).rev() {
                    each(self.span(), step, |offset| give(frame(offset)));
                }
            }
        }
    }
}

fn each(span: i64, step: i64, give: impl FnMut(i64)) {
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    (0..span).step_by(step).for_each(give);
}

/// The integer at the beginning of `text`, and what follows it. Digits beyond what an `i64`
/// holds saturate, which [`in_range`] then refuses.
fn number(text: &str) -> Option<(i64, &str)> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let end = digits.bytes().take_while(u8::is_ascii_digit).count();
    if end == 0 {
        return None;
    }
    let magnitude = digits[..end].parse::<i64>().unwrap_or(i64::MAX);
    Some((sign * magnitude, &digits[end..]))
}

fn in_range(frame: i64, text: &str) -> Result<i64, FrameSpecError> {
    if (MIN_FRAME..=MAX_FRAME).contains(&frame) {
        Ok(frame)
    } else {
        Err(FrameSpecError::OutOfRange(quoted(text)))
    }
}

fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTED_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
