//! What reading a scene file tells: its settings, the files it needs, and those that are missing.
//!
//! The readers of every application fill these same types. Their JSON is what `weft analyse --json`
//! prints.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};
use weft_protocol::job::task::FrameRun;

use crate::path_map::Mapped;
use crate::sequence;

/// The settings that a scene file holds, as its application would list them.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SceneInfo {
    /// The application that wrote the scene: `Blender` or `Maya`. Empty for a scene that is read by an
    /// engine's patterns: then nothing else is known here either.
    pub application: String,
    /// The application's version as its users write it: `3.4`, `2.80`, `2024`. Empty when the
    /// file doesn't tell.
    pub application_version: String,
    /// The renderer, as the application names it: `CYCLES`, `mayaSoftware`, `arnold`.
    pub renderer: String,
    /// The first frame of the scene's own range.
    pub start_frame: i64,
    /// The last frame of the scene's own range; it is rendered too.
    pub end_frame: i64,
    /// The step between frames; 1 renders all of them. Maya allows fractions.
    #[serde(serialize_with = "whole_if_possible")]
    pub by_frame: f64,
    /// Whether the scene asks for a range of frames, and not for its current one only.
    pub animation: bool,
    /// The frame that the scene was left at: Maya renders it alone where no animation is asked for.
    /// `None` where the application goes by the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_frame: Option<i64>,
    /// Frames per second.
    #[serde(serialize_with = "whole_if_possible")]
    pub fps: f64,
    /// The picture's width in pixels, after any percentage.
    pub width: u32,
    /// The picture's height in pixels, after any percentage.
    pub height: u32,
    /// The width and height in pixels that `resolution_percentage` is of. Blender only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_size: Option<(u32, u32)>,
    /// How many percent of the full size are rendered. Blender only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution_percentage: Option<u32>,
    /// Whether the renderer takes the noise out of pictures. Known of Cycles only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denoising: Option<bool>,
    /// The output format, as the application names it: `PNG`, `OPEN_EXR_MULTILAYER`, `iff`.
    pub image_format: String,
    /// Every camera (Maya: camera shapes; Blender: camera objects).
    pub all_cameras: Vec<String>,
    /// The cameras that a render of the scene as it is uses.
    pub render_cameras: Vec<String>,
    /// The scenes inside the file, the active one first. Blender only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scenes: Vec<String>,
    /// The view layers of the active scene (Maya: the render layers).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub view_layers: Vec<String>,
}

impl SceneInfo {
    /// Whether the scene asks for a film, and not for one picture a frame.
    #[must_use]
    pub fn makes_film(&self) -> bool {
        matches!(
            self.image_format.as_str(),
            "FFMPEG" | "AVI_RAW" | "AVI_JPEG" | "avi" | "qt" | "mov"
        )
    }

    /// The frames that a render of the scene as it is makes: the first, the last, and the step
    /// between them, at least 1. `None` for a scene of which only the files are known.
    #[must_use]
    pub fn own_frames(&self) -> Option<(i64, i64, i64)> {
        match self.current_frame {
            _ if self.application.is_empty() => None,
            Some(current) if !self.animation => Some((current, current, 1)),
            // Renderers of frames know no parts of one.
            _ => Some((self.start_frame, self.end_frame, (self.by_frame.round() as i64).max(1))),
        }
    }
}

/// Writes 24.0 as `24`, so that readers who compare with a whole number find what they expect.
fn whole_if_possible<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    // Whole numbers below 2^53 are exact in both types.
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

/// What an [`Asset`] is to the scene. Serialises in snake case: `image_sequence`, `gpu_cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AssetKind {
    /// One picture file.
    Image,
    /// One picture a frame.
    ImageSequence,
    /// A picture of many tiles, one file each.
    Udim,
    /// Another `.blend` file that this one links from.
    Library,
    /// Another Maya scene that this one references.
    Reference,
    /// A font file.
    Font,
    /// A sound that the scene plays.
    Sound,
    /// A film.
    Movie,
    /// An OpenVDB volume, or a sequence of them.
    Volume,
    /// A cache of a simulation or of geometry.
    Cache,
    /// An Alembic archive.
    Alembic,
    /// Maya's own cache of geometry for drawing.
    GpuCache,
    /// A renderer's archive that stands in for geometry, such as `.ass` or `.rs`.
    Standin,
    /// A sound track in Maya.
    Audio,
    /// The light distribution of a lamp.
    Ies,
    /// A picture behind the scene, seen through a camera.
    ImagePlane,
    /// Some other file.
    Other,
}

/// A file, or a family of files, outside the scene file that the scene names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// The path as the scene spells it (Blender's with slashes only, as Blender shows them).
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AssetKind,
    /// Whether every file it stands for could be found; for a family, at least one.
    pub exists: bool,
    /// Who asks for it: the datablock's name in Blender, the node's in Maya.
    pub node: String,
    /// The files found on disk, absolute: all tiles of a UDIM, all frames of a sequence.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
    /// Whether the render of the active scene may read it. If false, it merely lies in the file.
    pub required: bool,
    /// For a family with one file a frame: the frame number in the name of each of `files`, in the
    /// same order.
    #[serde(skip)]
    pub frames: Option<Vec<i64>>,
    /// Which frames of the scene read each of `files`, in the same order, one run or more. `None`:
    /// every frame may read all of them, or nothing tells which do.
    #[serde(skip)]
    pub needed_by: Option<Vec<Vec<FrameRun>>>,
    /// Whether a file that the scene needs names it, and neither the scene nor a scene that it references: its
    /// spelling counts there only.
    #[serde(skip)]
    pub indirect: bool,
}

impl Asset {
    /// Says which frames read each of the files, in their order. Those that none reads are dropped.
    pub(crate) fn read_by(&mut self, needed_by: Vec<Vec<FrameRun>>) {
        let read: Vec<bool> = needed_by.iter().map(|runs| !runs.is_empty()).collect();
        let mut at = read.iter();
        self.files.retain(|_| at.next().is_none_or(|read| *read));
        if let Some(frames) = &mut self.frames {
            let mut at = read.iter();
            frames.retain(|_| at.next().is_none_or(|read| *read));
        }
        self.needed_by = Some(needed_by.into_iter().filter(|runs| !runs.is_empty()).collect());
    }

    /// The files, each with the frames that read it; `None` for a file that every frame may read.
    pub fn files_by_frame(&self) -> impl Iterator<Item = (&Path, Option<&[FrameRun]>)> {
        let needed_by = |at: usize| self.needed_by.as_ref()?.get(at).map(Vec::as_slice);
        self.files.iter().enumerate().map(move |(at, file)| (file.as_path(), needed_by(at)))
    }
}

/// A file that the scene names and that isn't where the scene says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Who asks for it.
    pub node: String,
    /// The path as the scene spells it.
    pub path: String,
    /// Why it counts as missing, in words for people.
    pub reason: String,
    /// Whether the render of the active scene may read it.
    pub required: bool,
    /// The frames that would read it; `None`: every frame may.
    #[serde(skip)]
    pub frames: Option<Vec<FrameRun>>,
}

impl Missing {
    /// Whether one of these frames would read it.
    #[must_use]
    pub fn needed_for(&self, frames: &[i32]) -> bool {
        let read = |run: &FrameRun| frames.iter().any(|frame| run.contains(*frame));
        self.frames.as_ref().is_none_or(|runs| runs.iter().any(read))
    }
}

/// A file that was read by the patterns of an engine's definition, or a colour configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// The engine's name; none for a colour configuration.
    pub engine: String,
    /// The file that was read first and led to this one: paths may count from its folder.
    pub scene: PathBuf,
    /// The paths that it names, as they are spelled, and where each leads; those that lead to something.
    pub paths: BTreeMap<String, PathBuf>,
}

/// The newest of the programs that saved a scene and the files that it links from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedBy {
    /// Its version, as in [`SceneInfo::application_version`].
    pub version: String,
    /// The file that it saved.
    pub file: PathBuf,
}

/// All that reading a scene tells.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Analysis {
    /// The scene's settings.
    pub scene_info: SceneInfo,
    /// The files it names, those of linked and referenced files included.
    pub assets: Vec<Asset>,
    /// Those that are missing; of sequences, those that the scene's own range of frames reads.
    pub missing: Vec<Missing>,
    /// Files of sequences that are missing and that only frames outside of the scene's own range
    /// read.
    #[serde(skip)]
    pub missing_beyond: Vec<Missing>,
    /// What else a person should know before rendering.
    pub warnings: Vec<String>,
    /// Simulations that aren't baked: who, and what. Their frames follow from those before, so that they
    /// must be rendered in order.
    pub unbaked: Vec<String>,
    /// Which drives and shares of other machines its paths begin with, and where these are here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mapped: Vec<Mapped>,
    /// What the names of a frame's files have before their ending, one of each view, where every view (of a
    /// stereo pair, say) is written into a file of its own; none where a frame is one file. Blender only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<String>,
    /// The renderers of other scenes that a render of this one renders as well, for its compositor or as
    /// strips of its sequencer. Blender only.
    #[serde(skip)]
    pub other_renderers: Vec<String>,
    /// Of a scene in a text format: why it can't be rendered in tiles that make the very picture that
    /// the whole frame is.
    #[serde(skip)]
    pub untiled: Vec<String>,
    /// The files that were read by patterns.
    #[serde(skip)]
    pub text_files: BTreeMap<PathBuf, TextFile>,
    /// Files that may name others, and that nothing here can look into.
    #[serde(skip)]
    pub unread: Vec<PathBuf>,
    /// Which version of its application it takes at least. Blender only.
    #[serde(skip)]
    pub saved_by: Option<SavedBy>,
}

impl Analysis {
    /// What is missing for a render of these frames, whatever the scene's own range.
    pub fn missing_for<'a>(&'a self, frames: &'a [i32]) -> impl Iterator<Item = &'a Missing> {
        let all = self.missing.iter().chain(&self.missing_beyond);
        all.filter(|missing| missing.needed_for(frames))
    }

    /// Every file that was found, once, with the frames that read it: `None` for a file that every
    /// frame may read. A file that several assets name is read by the frames of all of them.
    #[must_use]
    pub fn files_by_frame(&self) -> BTreeMap<&Path, Option<Vec<FrameRun>>> {
        let mut files: BTreeMap<&Path, Option<Vec<FrameRun>>> = BTreeMap::new();
        for (file, runs) in self.assets.iter().flat_map(Asset::files_by_frame) {
            let known = files.entry(file).or_insert_with(|| Some(Vec::new()));
            *known = join_frames(known.take(), runs.map(<[_]>::to_vec));
        }
        files
    }
}

/// The frames of two reasons to read one file, as in [`Analysis::files_by_frame`]: `None` stands for
/// all of them.
#[must_use]
pub fn join_frames(
    one: Option<Vec<FrameRun>>,
    other: Option<Vec<FrameRun>>,
) -> Option<Vec<FrameRun>> {
    Some(sequence::tidied([one?, other?].concat()))
}

/// Why a scene couldn't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalyseError {
    /// The file couldn't be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The file is of a kind or version that isn't read here.
    #[error("{0}")]
    Unsupported(String),
    /// The file breaks the rules of its format: damaged, cut off, or something else altogether.
    #[error("the scene file is damaged at byte {position}: {what}")]
    Corrupt {
        /// Where, in bytes from the beginning; of the unpacked contents if the file is compressed.
        position: u64,
        /// What was found there.
        what: String,
    },
    /// The file asks for more memory or time than a scene should.
    #[error("the scene file is too large: {0}")]
    TooLarge(String),
    /// A new path is longer than the place it should go to.
    #[error("the path '{path}' is longer than the {limit} bytes that the scene file has for it")]
    PathTooLong {
        /// The new path.
        path: String,
        /// The most bytes that fit.
        limit: usize,
    },
    /// What was rewritten couldn't be written out.
    #[error("cannot write the rewritten scene: {0}")]
    Write(#[source] io::Error),
}

impl AnalyseError {
    /// What a scene's first bytes say that Git keeps elsewhere: a pointer of its own for large files (Git LFS) is in its place
    /// until it is fetched.
    pub(crate) fn if_pointer(head: &[u8]) -> Option<Self> {
        head.starts_with(b"version http").then(|| {
            AnalyseError::Unsupported(
                "the scene isn't here: this is Git's note of where it keeps it (Git LFS); fetch it with \
                 `git lfs pull`, and try again"
                    .to_owned(),
            )
        })
    }

    /// An [`AnalyseError::Io`] about `path`.
    pub fn io(path: &Path, source: io::Error) -> Self {
        AnalyseError::Io { path: path.to_path_buf(), source }
    }

    /// An [`AnalyseError::Corrupt`] at `position`.
    pub fn corrupt(position: u64, what: impl Into<String>) -> Self {
        AnalyseError::Corrupt { position, what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_the_frames_of_all_who_name_them() {
        let run = |start, end| FrameRun { start, end, step: 1 };
        let asset = |files: &[&str], needed_by: Option<Vec<Vec<FrameRun>>>| Asset {
            path: "x".into(),
            kind: AssetKind::ImageSequence,
            exists: true,
            node: "x".into(),
            files: files.iter().map(PathBuf::from).collect(),
            required: true,
            frames: None,
            needed_by,
            indirect: false,
        };
        let analysis = Analysis {
            assets: vec![
                asset(
                    &["a", "b", "c"],
                    Some(vec![vec![run(1, 1)], vec![run(2, 2)], vec![run(5, 9)]]),
                ),
                asset(&["b", "c"], Some(vec![vec![run(3, 3)], vec![run(1, 5)]])),
                asset(&["a"], None),
            ],
            ..Analysis::default()
        };
        let files: Vec<_> = analysis.files_by_frame().into_iter().collect();
        assert_eq!(
            files,
            [
                (Path::new("a"), None),
                (Path::new("b"), Some(vec![run(2, 3)])),
                (Path::new("c"), Some(vec![run(1, 9)])),
            ]
        );
    }

    #[test]
    fn json_has_the_documented_names() {
        let analysis = Analysis {
            scene_info: SceneInfo { by_frame: 1.0, fps: 23.976, ..SceneInfo::default() },
            assets: vec![Asset {
                path: "//tex.png".into(),
                kind: AssetKind::ImageSequence,
                exists: true,
                node: "tex".into(),
                files: vec!["/a/tex.png".into()],
                required: true,
                frames: None,
                needed_by: None,
                indirect: false,
            }],
            ..Analysis::default()
        };
        let json = serde_json::to_value(&analysis).expect("plain data");
        let asset = &json["assets"][0];
        assert_eq!(asset["type"], "image_sequence");
        assert_eq!(asset["path"], "//tex.png");
        assert_eq!(asset["exists"], true);
        assert!(asset.get("files").is_none());
        assert_eq!(json["scene_info"]["by_frame"], 1);
        assert_eq!(json["scene_info"]["fps"], 23.976);
        for name in [
            "application",
            "application_version",
            "renderer",
            "start_frame",
            "end_frame",
            "by_frame",
            "animation",
            "fps",
            "width",
            "height",
            "image_format",
            "all_cameras",
            "render_cameras",
        ] {
            assert!(json["scene_info"].get(name).is_some(), "scene_info lacks {name}");
        }
    }
}
