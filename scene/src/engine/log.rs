//! What an engine's output lines mean.

use std::collections::BTreeSet;

use regex::{CaptureMatches, Captures, Regex, RegexBuilder};

use super::definition::Definition;
use super::wrapped::Wrapped;

/// The most of a line that is looked at, in bytes.
const MAX_LINE_BYTES: usize = 16 * 1024;
/// The most of a line that an event repeats, in bytes.
const MAX_TEXT_BYTES: usize = 1024;
/// The most memory that a compiled pattern may take, in bytes.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// What a line of an engine's output says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LogEvent {
    /// How much of the run is done, 0 to 1, over all its frames. It only grows.
    Progress(f32),
    /// The engine's peak memory so far, in bytes, by its own account. It only grows.
    Memory(u64),
    /// A file was written; the path as the engine prints it.
    Saved(String),
    /// Something that leaves the picture possibly wrong.
    Warning(String),
    /// What went wrong. The exit code and the expected files say whether the run failed.
    Error(String),
    /// The run has failed whatever its exit code says.
    Fatal(String),
    /// No licence was to be had: nothing is wrong with the task.
    LicenceRefused(String),
}

/// A regular expression of a definition.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pattern {
    /// # Errors
    /// A sentence saying why it is no regular expression.
    pub(super) fn new(text: &str) -> Result<Pattern, String> {
        RegexBuilder::new(text)
            .size_limit(MAX_PATTERN_BYTES)
            .build()
            .map(Pattern)
            .map_err(|error| format!("the pattern is no regular expression: {error}"))
    }

    pub(super) fn groups(&self) -> BTreeSet<&str> {
        self.0.capture_names().flatten().collect()
    }

    /// The first group in the first line of `text` that matches.
    pub(super) fn first_group(&self, text: &str) -> Option<String> {
        text.lines()
            .map(cut_line)
            .find_map(|line| self.0.captures(line)?.get(1))
            .map(|found| cut_text(found.as_str()))
    }

    /// Whether it matches somewhere in `text`.
    pub(super) fn finds(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// All its matches in `text`.
    pub(super) fn all<'t>(&self, text: &'t str) -> CaptureMatches<'_, 't> {
        self.0.captures_iter(text)
    }

    /// How many groups the pattern has besides the whole match.
    pub(super) fn group_count(&self) -> usize {
        self.0.captures_len() - 1
    }
}

/// The patterns of a definition's `[log]` table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LogPatterns {
    pub(super) progress: Vec<Pattern>,
    pub(super) frame: Vec<Pattern>,
    pub(super) memory: Vec<Pattern>,
    pub(super) saved: Vec<Pattern>,
    pub(super) warning: Vec<Pattern>,
    pub(super) error: Vec<Pattern>,
    pub(super) fatal: Vec<Pattern>,
    pub(super) licence: Vec<Pattern>,
    /// The longest line that the program prints, in bytes, where it breaks longer ones; else 0.
    pub(super) wrap: usize,
}

/// Reads the output of one run of an engine, line by line; both of its streams may be mixed, unless it breaks
/// its lines.
#[derive(Debug)]
pub struct LogReader {
    patterns: LogPatterns,
    wrapped: Wrapped,
    frames: f32,
    /// The label of the frame being rendered, where the engine tells.
    frame: Option<String>,
    frames_begun: u32,
    files_saved: u32,
    progress: f32,
    memory: u64,
}

impl LogReader {
    /// A reader for a run of one frame; see [`LogReader::frames`].
    pub fn new(definition: &Definition) -> LogReader {
        LogReader {
            patterns: definition.log.clone(),
            wrapped: Wrapped::at(definition.log.wrap),
            frames: 1.0,
            frame: None,
            frames_begun: 0,
            files_saved: 0,
            progress: 0.0,
            memory: 0,
        }
    }

    /// For a run of `count` frames, each of which the engine counts from 0 to 100 %.
    #[must_use]
    pub fn frames(mut self, count: usize) -> LogReader {
        self.frames = count.max(1) as f32;
        self
    }

    /// How many frames the engine has begun, where it tells.
    pub fn frames_begun(&self) -> u32 {
        self.frames_begun
    }

    /// What a line of the output says, without its end. Where the program breaks its lines, what may go on is told
    /// with the next one, or at the [end](LogReader::end).
    pub fn push(&mut self, line: &[u8]) -> Vec<LogEvent> {
        let whole = self.wrapped.push(line);
        whole.iter().flat_map(|line| self.push_line(&String::from_utf8_lossy(line))).collect()
    }

    /// What is left to be told once nothing more is printed.
    pub fn end(&mut self) -> Vec<LogEvent> {
        let last = self.wrapped.end();
        last.map(|line| self.push_line(&String::from_utf8_lossy(&line))).unwrap_or_default()
    }

    /// What a whole line says, in the order progress, memory, file, message; mostly nothing. A line may
    /// hold carriage returns, with which programs overwrite their progress: the parts are read one
    /// by one. Of a line longer than 16 KiB only the beginning is read.
    pub fn push_line(&mut self, line: &str) -> Vec<LogEvent> {
        let mut events = Vec::new();
        for part in cut_line(line).split('\r') {
            let part = part.trim_end();
            if !part.is_empty() {
                self.read(part, &mut events);
            }
        }
        events
    }

    fn read(&mut self, line: &str, events: &mut Vec<LogEvent>) {
        if let Some(found) = first_match(&self.patterns.frame, line) {
            let label = found.name("frame").map(|group| group.as_str());
            if label != self.frame.as_deref() {
                self.frame = label.map(cut_text);
                self.frames_begun = self.frames_begun.saturating_add(1);
            }
        }
        let in_frame = first_match(&self.patterns.progress, line).and_then(|found| share(&found));
        if let Some(share) = in_frame {
            // Engines that don't name the frame they are at do name the files they wrote.
            let whole = match self.frames_begun {
                0 => self.files_saved,
                begun => begun - 1,
            };
            let progress = ((whole as f32 + share) / self.frames).clamp(0.0, 1.0);
            if progress > self.progress {
                self.progress = progress;
                events.push(LogEvent::Progress(progress));
            }
        }
        let memory = first_match(&self.patterns.memory, line).and_then(|found| bytes(&found));
        if let Some(memory) = memory.filter(|&memory| memory > self.memory) {
            self.memory = memory;
            events.push(LogEvent::Memory(memory));
        }
        let saved = first_match(&self.patterns.saved, line)
            .and_then(|found| found.name("path").map(|path| path.as_str().to_owned()));
        if let Some(path) = saved {
            self.files_saved = self.files_saved.saturating_add(1);
            events.push(LogEvent::Saved(path));
        }
        use LogEvent::{Error, Fatal, LicenceRefused, Warning};
        let message = |found: Captures<'_>| {
            cut_text(found.name("text").map_or(line, |group| group.as_str()).trim())
        };
        // A line is one message; the gravest reading counts.
        let reading = None
            .or_else(|| first_match(&self.patterns.licence, line).map(message).map(LicenceRefused))
            .or_else(|| first_match(&self.patterns.fatal, line).map(message).map(Fatal))
            .or_else(|| first_match(&self.patterns.error, line).map(message).map(Error))
            .or_else(|| first_match(&self.patterns.warning, line).map(message).map(Warning));
        events.extend(reading);
    }
}

fn first_match<'a>(patterns: &[Pattern], line: &'a str) -> Option<Captures<'a>> {
    patterns.iter().find_map(|pattern| pattern.0.captures(line))
}

/// How much of a frame is done, from the groups `percent`, or `done` and `total`.
fn share(found: &Captures<'_>) -> Option<f32> {
    let number = |name| found.name(name)?.as_str().parse::<f32>().ok();
    let share = match number("percent") {
        Some(percent) => percent / 100.0,
        None => {
            let total = number("total")?;
            if total <= 0.0 {
                return None;
            }
            number("done")? / total
        }
    };
    share.is_finite().then(|| share.clamp(0.0, 1.0))
}

/// Bytes from the groups `value` and `unit`; K, M, G and T are powers of 1024, whatever follows
/// them.
fn bytes(found: &Captures<'_>) -> Option<u64> {
    let value = found.name("value")?.as_str().replace(',', "").parse::<f64>().ok()?;
    let unit = found.name("unit").and_then(|unit| unit.as_str().chars().next());
    let factor = match unit.map(|letter| letter.to_ascii_uppercase()) {
        Some('K') => 1024.0,
        Some('M') => 1024.0 * 1024.0,
        Some('G') => 1024.0 * 1024.0 * 1024.0,
        Some('T') => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => 1.0,
    };
    let bytes = value * factor;
    // Beyond an exabyte it isn't memory.
    (bytes.is_finite() && (0.0..1e18).contains(&bytes)).then_some(bytes as u64)
}

fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

fn cut_line(text: &str) -> &str {
    cut(text, MAX_LINE_BYTES)
}

fn cut_text(text: &str) -> String {
    cut(text, MAX_TEXT_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{parse, shipped};

    fn read(engine: &str, frames: usize, lines: &[&str]) -> Vec<LogEvent> {
        let definition = &shipped()[engine];
        let mut reader = LogReader::new(definition).frames(frames);
        lines.iter().flat_map(|line| reader.push_line(line)).collect()
    }

    /// Lines that Blender 3.4.1 printed.
    #[test]
    fn blender_is_understood() {
        let lines = [
            "Blender 3.4.1",
            "Fra:1 Mem:9.98M (Peak 10.87M) | Time:00:00.06 | Mem:0.77M, Peak:0.77M | Scene, ViewLayer | Sample 0/16",
            "Fra:1 Mem:11.96M (Peak 11.97M) | Time:00:00.08 | Remaining:00:00.26 | Mem:2.76M, Peak:2.76M | Scene, ViewLayer | Sample 8/16",
            "Fra:1 Mem:12.84M (Peak 11.97M) | Time:00:00.31 | Mem:2.76M, Peak:2.76M | Scene, ViewLayer | Finished",
            "Saved: '/tmp/it's/c_0001.png'",
            " Time: 00:00.48 (Saving: 00:00.16)",
            "Fra:3 Mem:9.98M (Peak 14.60M) | Time:00:00.00 | Mem:0.77M, Peak:0.77M | Scene, ViewLayer | Rendered 1/2 Tiles, Sample 64/64",
            "Error: Cannot render, no camera",
            "Warning: File written by newer Blender binary (402.0), expect loss of data!",
            "\tBPY_driver_exec: restricted access disallows name 'rig', enable auto-execution to support",
            "Error in PyDriver: expression failed: rig(frame)",
        ];
        let mib = |value: f64| LogEvent::Memory((value * 1024.0 * 1024.0) as u64);
        assert_eq!(
            read("blender", 2, &lines),
            [
                mib(10.87),
                LogEvent::Progress(0.25),
                mib(11.97),
                LogEvent::Saved("/tmp/it's/c_0001.png".into()),
                LogEvent::Progress(0.75),
                mib(14.60),
                LogEvent::Error("Cannot render, no camera".into()),
                LogEvent::Warning(
                    "File written by newer Blender binary (402.0), expect loss of data!".into()
                ),
                LogEvent::Warning(
                    "BPY_driver_exec: restricted access disallows name 'rig', enable auto-execution to support".into()
                ),
                LogEvent::Warning("Error in PyDriver: expression failed: rig(frame)".into()),
            ]
        );
    }

    /// Lines that POV-Ray 3.7 printed.
    #[test]
    fn povray_is_understood() {
        let lines = [
            "  Warning Stream to console.......On ",
            "Rendering frame 1 of 2",
            "Rendering frame 1 of 2",
            "\rRendered 192 of 768 pixels (25%)\rRendered 768 of 768 pixels (100%)",
            "Rendering frame 2 of 2",
            "\rRendered 384 of 768 pixels (50%)",
            "Parse Warning: This scene did not contain a #version directive. Please be aware",
            "File 'bad.pov' line 1: Parse Error: Expected 'object or directive', undeclared",
        ];
        assert_eq!(
            read("povray", 2, &lines),
            [
                LogEvent::Progress(0.125),
                LogEvent::Progress(0.5),
                LogEvent::Progress(0.75),
                LogEvent::Warning(
                    "This scene did not contain a #version directive. Please be aware".into()
                ),
                LogEvent::Error(
                    "File 'bad.pov' line 1: Parse Error: Expected 'object or directive', undeclared"
                        .into()
                ),
            ]
        );
    }

    /// POV-Ray 3.7 breaks what is longer than 80 letters.
    #[test]
    fn what_povray_breaks_is_understood() {
        let mut reader = LogReader::new(&shipped()["povray"]);
        let lines = [
            "File '/var/lib/weft/jobs/0f3a5d8c2b71/inputs/projects/2026/kitchen/shots/sh010/l",
            "ighting/kitchen.pov' line 2: Parse Warning: the lights of this scene are out of",
            " the ordinary",
            "File '/var/lib/weft/jobs/0f3a5d8c2b71/inputs/projects/kitchen.pov' line 4: Parse",
            " Error: Cannot open include file colours.inc.",
        ];
        let mut told: Vec<LogEvent> =
            lines.iter().flat_map(|line| reader.push(line.as_bytes())).collect();
        told.extend(reader.end());
        assert_eq!(
            told,
            [
                LogEvent::Warning("the lights of this scene are out of the ordinary".into()),
                LogEvent::Error(
                    "File '/var/lib/weft/jobs/0f3a5d8c2b71/inputs/projects/kitchen.pov' line 4: Parse Error: Cannot \
                     open include file colours.inc."
                        .into()
                ),
            ]
        );
    }

    #[test]
    fn demo_is_understood() {
        assert_eq!(read("demo", 1, &["progress 12/100"]), [LogEvent::Progress(0.12)]);
    }

    #[test]
    fn patterns_of_every_kind_are_read() {
        let text = r#"
            [engine.x]
            executables = ["x"]
            [engine.x.log]
            progress = ['(?<percent>[0-9.]+)% done']
            memory = ['peak (?<value>[0-9,.]+) ?(?<unit>[KMGT]?)i?B']
            licence = ['licen[sc]e']
            fatal = ['^ABORT (?<text>.*)']
            error = ['ERROR']
        "#;
        let definition = &parse(text, "test").unwrap()["x"];
        let mut reader = LogReader::new(definition);
        let mut all = Vec::new();
        for line in [
            "30% done",
            "20% done",
            "900% done",
            "1.2.3% done",
            "peak 1,024 KiB",
            "peak 10 B",
            "peak 99999999999999999999 TB",
            "ERROR: no license to be had",
            "ABORT now ERROR",
            "an ERROR\t",
            "",
        ] {
            all.extend(reader.push_line(line));
        }
        assert_eq!(
            all,
            [
                LogEvent::Progress(0.3),
                LogEvent::Progress(1.0),
                LogEvent::Memory(1024 * 1024),
                LogEvent::LicenceRefused("ERROR: no license to be had".into()),
                LogEvent::Fatal("now ERROR".into()),
                LogEvent::Error("an ERROR".into()),
            ]
        );
        let long = format!("ERROR {}", "é".repeat(1 << 20));
        let [LogEvent::Error(text)] = &reader.push_line(&long)[..] else { panic!("no error") };
        assert!(text.len() <= MAX_TEXT_BYTES);
    }
}
