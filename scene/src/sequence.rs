//! Sequences of files: which number each frame of a scene asks for, and the other way round.

use std::collections::BTreeSet;

use weft_protocol::job::task::FrameRun;

use crate::analysis::Missing;

/// The first and the last frame that any scene has. Blender's own limits (MINAFRAME and MAXFRAME in
/// DNA_scene_types.h); Maya has none, and its scenes stay far within these.
pub(crate) const FIRST_FRAME: i64 = -1_048_574;
/// See [`FIRST_FRAME`].
pub(crate) const LAST_FRAME: i64 = 1_048_574;
/// The most numbers of one sequence that are looked at for those that are missing.
const MAX_NUMBERS: i64 = 200_000;
/// The most places in a row whose returns are told one by one.
const MAX_REPEATED: i64 = 1000;
/// The most missing files of one sequence that are told one by one.
const MAX_TOLD: usize = 20;

/// How a scene plays a sequence. Its places count from 1; the file at place `p` has the number
/// `p + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Play {
    /// The frame of the scene that shows the first place.
    pub(crate) start: i64,
    /// How many places there are; none asks for no file.
    pub(crate) length: i64,
    pub(crate) offset: i64,
    pub(crate) outside: Outside,
    /// How many frames before and after one are read for it too, as motion blur and caches that are
    /// interpolated do.
    pub(crate) margin: i64,
}

/// What the frames before the first place and after the last one ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outside {
    /// Nothing.
    Nothing,
    /// The nearest place.
    Nearest,
    /// After the last place that one; before the first place a place 0. So Blender's images do.
    NearestOrZero,
    /// All places again and again.
    Repeat,
    /// All places forwards and backwards, again and again.
    PingPong,
}

impl Play {
    /// Frame `f` asks for the number `f + shift`, whichever frame it is.
    pub(crate) fn shifted(shift: i64, margin: i64) -> Self {
        Self {
            start: FIRST_FRAME,
            length: LAST_FRAME - FIRST_FRAME + 1,
            offset: shift.saturating_add(FIRST_FRAME - 1),
            outside: Outside::Nothing,
            margin,
        }
    }

    /// Every frame asks for the one number.
    pub(crate) fn still(number: i64) -> Self {
        let offset = number.saturating_sub(1);
        Self { start: 1, length: 1, offset, outside: Outside::Nearest, margin: 0 }
    }

    /// After how many frames the same places come again.
    fn period(&self) -> i64 {
        match self.outside {
            Outside::PingPong => (2 * self.length.min(LAST_FRAME * 2) - 2).max(1),
            _ => self.length.max(1),
        }
    }

    /// Adds the frames that read the file with this number, `margin` frames around counted in.
    fn frames_of(&self, number: i64, margin: i64, found: &mut Vec<FrameRun>) {
        let last = number.saturating_sub(self.offset).min(self.length);
        let lowest = i64::from(self.outside != Outside::NearestOrZero);
        // Number 0 stands for the negative ones too.
        let first = if number == 0 { lowest } else { number.saturating_sub(self.offset) };
        if self.length <= 0 || first < lowest || first > last {
            return;
        }
        let frame = |place: i64| self.start.saturating_add(place - 1);
        if matches!(self.outside, Outside::Repeat | Outside::PingPong) {
            self.repeated(frame(first), frame(last), margin, found);
            return;
        }
        let holds = self.outside != Outside::Nothing;
        let from = if holds && first == lowest { FIRST_FRAME } else { frame(first) - margin };
        let to = if holds && last == self.length { LAST_FRAME } else { frame(last) + margin };
        found.extend(run(from, to, 1));
    }

    /// Adds the frames at which the places of `from` to `to` come again.
    fn repeated(&self, from: i64, to: i64, margin: i64, found: &mut Vec<FrameRun>) {
        let period = self.period();
        let length = to - from + 1 + 2 * margin;
        if period <= length || length > MAX_REPEATED {
            found.extend(run(FIRST_FRAME, LAST_FRAME, 1));
            return;
        }
        let mut rests = BTreeSet::new();
        for frame in from - margin..=to + margin {
            rests.insert(frame.rem_euclid(period));
            if self.outside == Outside::PingPong {
                rests.insert((2 * self.start - frame).rem_euclid(period));
            }
        }
        for rest in rests {
            let first = FIRST_FRAME + (rest - FIRST_FRAME).rem_euclid(period);
            found.extend(run(first, LAST_FRAME, period));
        }
    }

    /// The numbers that the places stand for, as far as they may lie between two others.
    fn numbers(&self, between: Option<(i64, i64)>) -> std::ops::RangeInclusive<i64> {
        let first = self.offset.saturating_add(1).max(0);
        let last = self.offset.saturating_add(self.length).max(-1);
        let (low, high) = between.unwrap_or((first, last));
        let first = first.max(low);
        first..=last.min(high).min(first.saturating_add(MAX_NUMBERS))
    }
}

/// A run that lies within what scenes have, or none.
pub(crate) fn run(from: i64, to: i64, step: i64) -> Option<FrameRun> {
    let from = from.max(FIRST_FRAME);
    let to = to.min(LAST_FRAME);
    if from > to {
        return None;
    }
    let to = to - (to - from) % step;
    let step = if from == to { 1 } else { i32::try_from(step).ok()? };
    Some(FrameRun { start: i32::try_from(from).ok()?, end: i32::try_from(to).ok()?, step })
}

/// Runs in order, with those that touch made one.
pub(crate) fn tidied(mut runs: Vec<FrameRun>) -> Vec<FrameRun> {
    runs.sort_unstable();
    let mut tidy: Vec<FrameRun> = Vec::with_capacity(runs.len());
    for run in runs {
        match tidy.last_mut() {
            Some(last)
                if last.step == 1 && run.step == 1 && run.start <= last.end.saturating_add(1) =>
            {
                last.end = last.end.max(run.end);
            }
            Some(last) if *last == run => {}
            _ => tidy.push(run),
        }
    }
    tidy
}

/// The frames that read the file with this number.
pub(crate) fn frames_of(number: i64, plays: &[Play]) -> Vec<FrameRun> {
    let mut runs = Vec::new();
    for play in plays {
        play.frames_of(number, play.margin, &mut runs);
    }
    tidied(runs)
}

/// A scene's own range of frames.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: i64,
}

impl Range {
    fn meets(&self, run: &FrameRun) -> bool {
        let low = i64::from(run.start).max(self.start);
        let high = i64::from(run.end).min(self.end);
        if low > high {
            return false;
        }
        let step = i64::from(run.step).max(1);
        let first = low + (i64::from(run.start) - low).rem_euclid(step);
        let mut frames = (first..=high).step_by(usize::try_from(step).unwrap_or(1));
        frames.any(|frame| (frame - self.start) % self.step.max(1) == 0)
    }
}

/// What is missing of a sequence, in two lists: what the scene's own range needs, and what only other
/// frames do.
#[derive(Debug, Default)]
pub(crate) struct Holes {
    pub(crate) needed: Vec<Missing>,
    pub(crate) beyond: Vec<Missing>,
}

/// Compares the numbers that are there with those that are asked for. `told` makes the report of one
/// number; of a play without an end only what lies between two numbers that are there is missing.
pub(crate) fn holes(
    present: &BTreeSet<i64>,
    plays: &[Play],
    range: Range,
    told: &dyn Fn(i64) -> Missing,
) -> Holes {
    let between = present.first().copied().zip(present.last().copied());
    let mut absent = BTreeSet::new();
    for play in plays {
        let endless = play.start == FIRST_FRAME;
        let numbers = play.numbers(if endless { between } else { None });
        absent.extend(numbers.filter(|number| !present.contains(number)));
    }
    let mut holes = Holes::default();
    let mut more: [Option<(i64, usize, Vec<FrameRun>)>; 2] = [None, None];
    for number in absent {
        let mut runs = Vec::new();
        for play in plays {
            play.frames_of(number, 0, &mut runs);
        }
        let runs = tidied(runs);
        let beyond = !runs.iter().any(|run| range.meets(run));
        let list = if beyond { &mut holes.beyond } else { &mut holes.needed };
        if list.len() < MAX_TOLD {
            list.push(Missing { frames: Some(runs), ..told(number) });
        } else {
            let rest = more[usize::from(beyond)].get_or_insert((number, 0, Vec::new()));
            (rest.0, rest.1) = (number, rest.1 + 1);
            rest.2 = tidied([std::mem::take(&mut rest.2), runs].concat());
        }
    }
    for (rest, list) in more.into_iter().zip([&mut holes.needed, &mut holes.beyond]) {
        if let Some((last, count, runs)) = rest {
            let one = told(last);
            let before = match count {
                1 => String::new(),
                _ => format!(", and {} more files of the sequence before it", count - 1),
            };
            let reason = one.reason + &before;
            list.push(Missing { reason, frames: Some(runs), ..one });
        }
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same from the other side, as the applications do it.
    impl Play {
        /// The place that a frame asks for.
        fn place(&self, frame: i64) -> Option<i64> {
            if self.length <= 0 {
                return None;
            }
            let place = frame.saturating_sub(self.start).saturating_add(1);
            match self.outside {
                Outside::Nothing => (1..=self.length).contains(&place).then_some(place),
                Outside::Nearest => Some(place.clamp(1, self.length)),
                Outside::NearestOrZero => Some(place.clamp(0, self.length)),
                Outside::Repeat => Some((place - 1).rem_euclid(self.length) + 1),
                Outside::PingPong => {
                    let period = self.period();
                    let there = (place - 1).rem_euclid(period);
                    Some(if there < self.length { there + 1 } else { period - there + 1 })
                }
            }
        }

        /// The number that a frame asks for; where the margin counts, its neighbours ask too. Names have
        /// no negative numbers: 0 stands for those (BLI_path_sequence_encode).
        fn number(&self, frame: i64) -> Option<i64> {
            Some(self.place(frame)?.saturating_add(self.offset).max(0))
        }
    }

    const OUTSIDE: [Outside; 5] = [
        Outside::Nothing,
        Outside::Nearest,
        Outside::NearestOrZero,
        Outside::Repeat,
        Outside::PingPong,
    ];

    #[test]
    fn frames_ask_for_numbers() {
        let asked = |outside, offset| -> Vec<Option<i64>> {
            let play = Play { start: 3, length: 3, offset, outside, margin: 0 };
            (0..10).map(|frame| play.number(frame)).collect()
        };
        let some = |numbers: [i64; 10]| numbers.map(Some).to_vec();
        let nothing = asked(Outside::Nothing, 10);
        assert_eq!(nothing[2..7], [None, Some(11), Some(12), Some(13), None]);
        assert_eq!(asked(Outside::Nearest, 10), some([11, 11, 11, 11, 12, 13, 13, 13, 13, 13]));
        assert_eq!(
            asked(Outside::NearestOrZero, 10),
            some([10, 10, 10, 11, 12, 13, 13, 13, 13, 13])
        );
        assert_eq!(asked(Outside::NearestOrZero, -2), some([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]));
        assert_eq!(asked(Outside::Repeat, 10), some([11, 12, 13, 11, 12, 13, 11, 12, 13, 11]));
        assert_eq!(asked(Outside::PingPong, 0), some([2, 3, 2, 1, 2, 3, 2, 1, 2, 3]));
        let none = Play { length: 0, ..Play::still(1) };
        assert_eq!(none.number(1), None);
        assert_eq!(Play::still(7).number(-100), Some(7));
        assert_eq!(Play::shifted(-5, 0).number(12), Some(7));
        let all = run(FIRST_FRAME, LAST_FRAME, 1).unwrap();
        assert_eq!(frames_of(7, &[Play::still(7)]), [all]);
    }

    proptest! {
        #[test]
        fn frames_and_numbers_agree(
            plays in prop::collection::vec(
                (-30_i64..30, 0_i64..12, -15_i64..40, prop::sample::select(&OUTSIDE), 0_i64..3), 1..3,
            ),
            frames in prop::collection::vec(-200_i64..200, 40),
            number in 0_i64..60,
        ) {
            let plays: Vec<Play> = plays
                .into_iter()
                .map(|(start, length, offset, outside, margin)| {
                    Play { start, length, offset, outside, margin }
                })
                .collect();
            let runs = frames_of(number, &plays);
            for run in &runs {
                prop_assert!(!run.is_empty());
            }
            for frame in frames {
                let frame_number = i32::try_from(frame).unwrap();
                let said = runs.iter().any(|run| run.contains(frame_number));
                let asks = plays.iter().any(|play| {
                    (-play.margin..=play.margin)
                        .any(|near| play.number(frame + near) == Some(number))
                });
                prop_assert_eq!(said, asks, "{} {:?} {:?}", frame, runs, plays);
            }
        }

        #[test]
        fn nothing_overflows(
            start in any::<i64>(), length in any::<i64>(), offset in any::<i64>(),
            outside in prop::sample::select(&OUTSIDE), number in any::<i64>(), frame in any::<i64>(),
        ) {
            let narrow = |number: i64| number >> 31;
            let play = Play {
                start: narrow(start), length: narrow(length), offset: narrow(offset), outside, margin: 1,
            };
            _ = play.number(narrow(frame));
            _ = play.numbers(None).count();
            _ = frames_of(narrow(number), &[play]);
            _ = frames_of(0, &[play]);
        }
    }

    fn told(number: i64) -> Missing {
        Missing {
            node: "run".into(),
            path: format!("run_{number}"),
            reason: "gone".into(),
            required: true,
            frames: None,
        }
    }

    #[test]
    fn holes_are_what_frames_ask_for() {
        let play = Play { start: 1, length: 6, offset: 0, outside: Outside::Nearest, margin: 0 };
        let present = BTreeSet::from([1, 2, 4]);
        let range = Range { start: 1, end: 3, step: 1 };
        let found = holes(&present, &[play], range, &told);
        let paths = |list: &[Missing]| -> Vec<String> {
            list.iter().map(|missing| missing.path.clone()).collect()
        };
        assert_eq!(paths(&found.needed), ["run_3"]);
        assert_eq!(paths(&found.beyond), ["run_5", "run_6"]);
        assert!(found.needed[0].needed_for(&[1, 3]) && !found.needed[0].needed_for(&[2, 4]));
        assert!(found.beyond[1].needed_for(&[900]), "the last one is held");

        let steps = holes(&present, &[play], Range { start: 1, end: 9, step: 3 }, &told);
        assert_eq!(paths(&steps.needed), ["run_6"], "frames 1, 4 and 7");

        let endless = holes(&present, &[Play::shifted(0, 0)], range, &told);
        assert_eq!(paths(&endless.needed), ["run_3"]);
        assert!(endless.beyond.is_empty(), "where it ends nobody knows");
    }

    #[test]
    fn long_gaps_are_summed_up() {
        let play = Play { start: 1, length: 500, offset: 0, outside: Outside::Nearest, margin: 0 };
        let range = Range { start: 1, end: 100, step: 1 };
        let found = holes(&BTreeSet::from([1]), &[play], range, &told);
        assert_eq!((found.needed.len(), found.beyond.len()), (MAX_TOLD + 1, MAX_TOLD + 1));
        let last = found.needed.last().unwrap();
        assert_eq!(last.path, "run_100");
        assert_eq!(last.reason, "gone, and 78 more files of the sequence before it");
        assert!(last.needed_for(&[50]) && !last.needed_for(&[2, 101]));
    }
}
