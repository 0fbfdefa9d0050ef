//! Which files of a sequence the frames of a scene read.
//!
//! A node shows the file whose number is its frame extension, which Maya connects to the time: by an
//! expression (`.O[0]=frame`), or by a node that turns time into a number. What drives it otherwise is
//! not followed; then nothing is claimed.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use regex::Regex;
use weft_protocol::job::task::FrameRun;

use super::arguments::number;
use super::words::Word;
use crate::analysis::{AssetKind, Missing};
use crate::named_files::Found;
use crate::sequence::{
    FIRST_FRAME, Holes, LAST_FRAME, Outside, Play, Range, frames_of, holes, run, tidied,
};

/// The most nodes of one file that are remembered because they count frames, or show sequences.
const MAX_NODES: usize = 200_000;
/// Maya's own unit of time, a second's part (MTime::k6000FPS).
const TICKS_A_SECOND: f64 = 6000.0;
/// Geometry and pictures are read for the times around a frame too: motion blur, and caches that are
/// interpolated.
const MARGIN: i64 = 1;
/// Shifts and frames beyond this are slips, and numbers below it can be added up.
const MAX_SHIFT: i64 = 1 << 24;

/// How a node chooses a file of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Frame `f` shows the number `f` + `shift`; some renderers add `other` instead.
    Frame { shift: i64, other: i64 },
    /// A cache's clip: the numbers `first` to `last`, from the frame `start` on.
    Clip { start: i64, first: i64, last: i64 },
}

/// What a node says of its sequence, until it is known what drives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Says {
    /// It has a frame extension, to which this is added.
    Extension { offset: f64 },
    /// It is a clip.
    Clip { start: f64, first: f64, last: f64 },
    /// It has none, or what it has isn't understood.
    Nothing,
}

/// What makes numbers of the time.
#[derive(Debug)]
enum Counter {
    /// An expression's outputs that are the frame and a shift, by their index.
    Expression(HashMap<String, i64>),
    /// Time in ticks, times this.
    Factor(f64),
}

/// The nodes of a file that count frames, and what they drive.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    counters: HashMap<String, Counter>,
    /// The output that drives a node's frame extension; `None` where something else decides.
    drivers: HashMap<String, Option<String>>,
}

impl Clocks {
    pub(super) fn expression(&mut self, node: &str, text: &str) {
        self.count(node, Counter::Expression(outputs(text)));
    }

    pub(super) fn factor(&mut self, node: &str, factor: f64) {
        self.count(node, Counter::Factor(factor));
    }

    fn count(&mut self, node: &str, counter: Counter) {
        if self.counters.len() < MAX_NODES {
            self.counters.insert(node.to_owned(), counter);
        }
    }

    /// `connectAttr`: from one attribute to another.
    pub(super) fn connect(&mut self, words: &[Word<'_>]) {
        let mut ends = words.iter().filter(|word| word.quoted).map(|word| &*word.text);
        let (Some(from), Some(to)) = (ends.next(), ends.next()) else { return };
        let Some((node, attribute)) = to.split_once('.') else { return };
        let from_time =
            matches!(from.trim_start_matches(':'), "time1.o" | "time1.outTime") || from == ":time1";
        match attribute {
            "fe" | "frameExtension" | "frameNumber" => self.drive(node, Some(from)),
            "tim" | "time" | "i" | "input" if !from_time && self.counters.contains_key(node) => {
                self.counters.remove(node);
            }
            "tim" | "time" if from_time => {}
            "tim" | "time" | "fo" | "frameOffset" | "ufe" | "useFrameExtension" | "sf" | "ss"
            | "se" | "startFrame" | "sourceStart" | "sourceEnd" | "sc" | "scale" => {
                self.drive(node, None);
            }
            _ => {}
        }
    }

    /// Something other than its own settings decides which file the node shows.
    pub(super) fn disturb(&mut self, node: &str) {
        self.drive(node, None);
    }

    fn drive(&mut self, node: &str, from: Option<&str>) {
        let known = self.drivers.len();
        if let Some(driver) = self.drivers.get_mut(node) {
            // Whatever comes twice isn't understood.
            *driver = None;
        } else if known < MAX_NODES {
            self.drivers.insert(node.to_owned(), from.map(str::to_owned));
        }
    }

    /// What a node of this kind shows, if that is understood.
    pub(super) fn choice(
        &self,
        node: &str,
        kind: AssetKind,
        says: Says,
        frames_per_second: f64,
    ) -> Option<Choice> {
        let driver = self.drivers.get(node);
        match says {
            Says::Nothing => None,
            Says::Clip { start, first, last } => {
                if driver.is_some() {
                    return None;
                }
                let (start, first, last) = (whole(start)?, whole(first)?, whole(last)?);
                (first <= last).then_some(Choice::Clip { start, first, last })
            }
            Says::Extension { offset } => {
                let (offset, counted) =
                    (whole(offset)?, self.shift(driver?.as_deref()?, frames_per_second)?);
                // Maya adds the offset to what drives the extension; Arnold's translator adds it to
                // the frame, and an image plane is told to leave it out as often as not.
                Some(match kind {
                    AssetKind::Image => Choice::Frame { shift: counted + offset, other: offset },
                    AssetKind::ImagePlane => {
                        Choice::Frame { shift: counted, other: counted + offset }
                    }
                    _ => Choice::Frame { shift: counted + offset, other: counted + offset },
                })
            }
        }
    }

    /// What an output adds to the frame.
    fn shift(&self, output: &str, frames_per_second: f64) -> Option<i64> {
        let (node, attribute) = output.split_once('.')?;
        match (self.counters.get(node)?, attribute) {
            (Counter::Expression(outputs), _) => {
                let index = attribute.strip_prefix("out[").or(attribute.strip_prefix("output["))?;
                outputs.get(index.strip_suffix(']')?).copied()
            }
            (Counter::Factor(factor), "o" | "output") => {
                let frames_a_tick = frames_per_second / TICKS_A_SECOND;
                ((factor / frames_a_tick - 1.0).abs() < 1e-6).then_some(0)
            }
            _ => None,
        }
    }
}

/// The outputs of an expression that are the frame and a shift. Of one that does anything else none
/// is understood.
fn outputs(text: &str) -> HashMap<String, i64> {
    static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^\.O\[(?<at>[0-9]{1,4})\]\s*=\s*frame\s*(?<shift>[+-]\s*[0-9]{1,7})?$").ok()
    });
    let mut outputs = HashMap::new();
    for line in text.split([';', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
        let Some(found) = LINE.as_ref().and_then(|pattern| pattern.captures(line)) else {
            return HashMap::new();
        };
        let shift = found.name("shift").map_or("", |shift| shift.as_str());
        let shift: String = shift.chars().filter(|letter| !letter.is_whitespace()).collect();
        let shift = if shift.is_empty() { Some(0) } else { shift.parse().ok() };
        if let Some(shift) = shift
            && outputs.insert(found["at"].to_owned(), shift).is_some()
        {
            return HashMap::new();
        }
    }
    outputs
}

/// A number of an expression's or a node's that is a whole one of a size that frames have.
fn whole(value: f64) -> Option<i64> {
    let near = value.round();
    // A time in another unit is stored with its rounding.
    let fits = (value - near).abs() < 1e-4 && near.abs() <= MAX_SHIFT as f64;
    fits.then_some(near as i64)
}

/// What a text says, as [`Says`] wants it; a value that is no number is not understood.
pub(super) fn value(text: &str) -> f64 {
    number(text).unwrap_or(f64::NAN)
}

/// The files of a sequence that are read, by whom, and what is missing of it.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// The frames that read each file, in order; empty for one that no frame reads.
    pub(super) needed_by: Vec<Vec<FrameRun>>,
    pub(super) holes: Holes,
}

/// Compares what was `found` with what the frames of a scene ask for. `spelled` is the path that the
/// scene has.
pub(super) fn needs(found: &Found, choice: Choice, range: Range, spelled: &str) -> Needs {
    let whole_range = run(FIRST_FRAME, LAST_FRAME, 1);
    let plays = plays(choice);
    let needed_by = found.numbers.iter().map(|number| match number {
        Some(number) => frames_of(*number, &plays),
        None => whole_range.into_iter().collect(),
    });
    let mut needs = Needs { needed_by: needed_by.collect(), holes: Holes::default() };
    let present: BTreeSet<i64> = found.numbers.iter().flatten().copied().collect();
    let sure = !matches!(choice, Choice::Frame { shift, other } if shift != other);
    if let Some(name) = found.name.as_ref().filter(|_| sure) {
        let told = |number: i64| {
            let (path, file) = name.with(number, spelled);
            let reason = format!("{} does not exist", file.display());
            Missing { node: String::new(), path, reason, required: true, frames: None }
        };
        let asked = asked(choice, &present, range);
        needs.holes = holes(&present, &[asked], range, &told);
        if let Choice::Frame { shift, .. } = choice {
            needs.holes.beyond.extend(ends(&asked, shift, &told));
        }
    }
    needs
}

/// Who reads which file, more rather than fewer.
fn plays(choice: Choice) -> Vec<Play> {
    match choice {
        Choice::Frame { shift, other } => {
            let shifts = BTreeSet::from([shift, other]);
            shifts.into_iter().map(|shift| Play::shifted(shift, MARGIN)).collect()
        }
        // Before and after a clip its ends may be held.
        Choice::Clip { start, first, last } => vec![Play {
            start,
            length: last - first + 1,
            offset: first - 1,
            outside: Outside::Nearest,
            margin: MARGIN,
        }],
    }
}

/// The numbers that must be there: a clip's, or those of the scene's range and all between two that
/// are there.
fn asked(choice: Choice, present: &BTreeSet<i64>, range: Range) -> Play {
    match choice {
        Choice::Frame { shift, .. } => {
            let of = |frame: i64| frame.clamp(FIRST_FRAME, LAST_FRAME) + shift;
            let near = |end: i64| end.clamp(-MAX_SHIFT, MAX_SHIFT);
            let first =
                present.first().map_or(of(range.start), |&least| near(least).min(of(range.start)));
            let last = present.last().map_or(of(range.end), |&most| near(most).max(of(range.end)));
            Play {
                start: first - shift,
                length: last - first + 1,
                offset: first - 1,
                outside: Outside::Nothing,
                margin: 0,
            }
        }
        Choice::Clip { start, first, last } => Play {
            start,
            length: last - first + 1,
            offset: first - 1,
            outside: Outside::Nothing,
            margin: 0,
        },
    }
}

/// What lacks for all frames before and after those whose files were compared one by one.
fn ends(asked: &Play, shift: i64, told: &dyn Fn(i64) -> Missing) -> Vec<Missing> {
    let (first, last) = (asked.start, asked.start + asked.length - 1);
    let before = run(FIRST_FRAME, first - 1, 1).filter(|_| first + shift > 0);
    let after = run(last + 1, LAST_FRAME, 1);
    let ends = [(before, first - 1, "before"), (after, last + 1, "after")];
    let end = |(runs, frame, side): (Option<FrameRun>, i64, &str)| {
        let one = told(frame + shift);
        let reason = format!("{}, nor do the files {side} it", one.reason);
        Some(Missing { reason, frames: Some(tidied(vec![runs?])), ..one })
    };
    ends.into_iter().filter_map(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(pairs: &[(&'static str, &'static str)]) -> Clocks {
        let mut clocks = Clocks::default();
        clocks.expression("plain", ".O[0]=frame");
        clocks.expression("late", ".O[0] = frame - 1000;\n.O[1]=frame+5;");
        clocks.expression("odd", ".O[0]=frame % 48 + 1");
        clocks.factor("film", 0.004);
        clocks.factor("half", 0.002);
        for (from, to) in pairs {
            let word =
                |text: &&'static str| Word { text: (*text).into(), quoted: true, cut: false };
            clocks.connect(&[word(from), word(to)]);
        }
        clocks
    }

    #[test]
    fn nodes_that_follow_the_time_are_known() {
        let follows = |pairs: &[(&'static str, &'static str)]| {
            let says = Says::Extension { offset: 0.0 };
            match connected(pairs).choice("n", AssetKind::Standin, says, 24.0) {
                Some(Choice::Frame { shift, .. }) => Some(shift),
                _ => None,
            }
        };
        for (pairs, shift) in [
            (&[("plain.out[0]", "n.fe")][..], Some(0)),
            (&[("plain.out[0]", "n.frameExtension")], Some(0)),
            (&[("late.out[0]", "n.frameNumber")], Some(-1000)),
            (&[("late.out[1]", "n.fe")], Some(5)),
            (&[(":time1.o", "late.tim"), ("late.out[1]", "n.fe")], Some(5)),
            (&[(":time1.o", "film.i"), ("film.o", "n.fe")], Some(0)),
            (&[("warp.o", "film.i"), ("film.o", "n.fe")], None),
            (&[("film.o", "n.fe"), ("warp.o", "film.i")], None),
            (&[("warp.o", "plain.tim"), ("plain.out[0]", "n.fe")], None),
            (&[("half.o", "n.fe")], None),
            (&[("odd.out[0]", "n.fe")], None),
            (&[("plain.out[1]", "n.fe")], None),
            (&[("curve.o", "n.fe")], None),
            (&[("plain.out[0]", "n.fe"), ("curve.o", "n.fo")], None),
            (&[("curve.o", "n.ufe"), ("plain.out[0]", "n.fe")], None),
            (&[("plain.out[0]", "other.fe")], None),
            (&[], None),
        ] {
            assert_eq!(follows(pairs), shift, "{pairs:?}");
        }
    }

    #[test]
    fn renderers_that_count_otherwise_are_thought_of() {
        let clocks = connected(&[("late.out[1]", "n.fe")]);
        let choice = |kind, offset| clocks.choice("n", kind, Says::Extension { offset }, 24.0);
        assert_eq!(choice(AssetKind::Image, 2.0), Some(Choice::Frame { shift: 7, other: 2 }));
        assert_eq!(choice(AssetKind::ImagePlane, 2.0), Some(Choice::Frame { shift: 5, other: 7 }));
        assert_eq!(choice(AssetKind::Standin, 2.0), Some(Choice::Frame { shift: 7, other: 7 }));
        for odd in [0.5, f64::NAN, 1e12] {
            assert_eq!(choice(AssetKind::Image, odd), None);
        }
        let clip = Says::Clip { start: 11.0, first: 1.0, last: 5.0 };
        let of = |clocks: &Clocks| clocks.choice("n", AssetKind::Cache, clip, 24.0);
        assert_eq!(of(&Clocks::default()), Some(Choice::Clip { start: 11, first: 1, last: 5 }));
        assert_eq!(of(&connected(&[(":time1.o", "n.tim")])), of(&Clocks::default()));
        assert_eq!(of(&connected(&[("warp.o", "n.tim")])), None);
    }
}
