//! What is kept of a `.blend` file after reading it: its datablocks, how they point at each other,
//! and the files that they name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::analysis::AssetKind;
use crate::sequence::Play;

use super::block::Version;
use super::locate;
use super::simulations::Simulations;

/// A file as read, before any of the paths in it are looked up.
#[derive(Debug)]
pub(super) struct Contents {
    /// The file itself, absolute; `//` in its paths means its folder.
    pub(super) path: PathBuf,
    pub(super) version: Version,
    /// In the order of the file.
    pub(super) ids: Vec<Id>,
    /// From old addresses to indices in `ids`.
    pub(super) by_address: HashMap<u64, u32>,
    /// From the names of what is defined here (not linked) to indices in `ids`.
    pub(super) by_name: HashMap<Vec<u8>, u32>,
    /// The same of what isn't: it only passes through here, from a library of this file's.
    pub(super) passing: HashMap<Vec<u8>, u32>,
    /// The address of the scene that was active when the file was saved; 0 if unknown.
    pub(super) active_scene: u64,
    /// Whether something in the file is animated that says which file of a sequence is shown, so
    /// that the settings alone don't tell.
    pub(super) sequences_animated: bool,
    /// Whether it is animated which strips are muted.
    pub(super) mutes_animated: bool,
}

/// A datablock.
#[derive(Debug)]
pub(super) struct Id {
    /// The name with the two letters of its kind in front: `OBCube`.
    pub(super) name: Vec<u8>,
    pub(super) kind: IdKind,
    /// The library that it was copied from, as an index in `ids`: `//` in its paths still means
    /// that library's folder. From 5.0 on (packed linked data).
    pub(super) home: Option<u32>,
    /// Indices of the datablocks it needs, those that only its compositor, its strips or its muted strips need apart.
    pub(super) needs: Vec<u32>,
    pub(super) compositor_needs: Vec<u32>,
    pub(super) strips_need: Vec<u32>,
    pub(super) muted_need: Vec<u32>,
    /// Indices of the objects and collections that are in it, a collection or a scene.
    pub(super) members: Vec<u32>,
    /// Whether no render shows it, as an object or a collection of a scene.
    pub(super) hidden: bool,
    /// The files it names, those of its strips apart; of these, muted ones are optional.
    pub(super) files: Vec<FileUse>,
    pub(super) strip_files: Vec<FileUse>,
    /// How it plays image sequences: by the address of the image's datablock.
    pub(super) plays: Vec<(u64, ImagePlay)>,
    /// The addresses of scenes that a render of this one renders for it: as layers that the compositor takes in,
    /// or as strips.
    pub(super) layers: Vec<u64>,
    pub(super) scene_strips: Vec<u64>,
    /// Whether it has simulations that are cached on disk, beside the file.
    pub(super) has_disk_cache: bool,
    /// What it tells of simulations.
    pub(super) simulations: Option<Box<Simulations>>,
}

impl Id {
    /// Indices of all the datablocks it needs, whatever for.
    pub(super) fn all_needs(&self) -> impl Iterator<Item = u32> {
        let strips = self.strips_need.iter().chain(&self.muted_need);
        let apart = self.compositor_needs.iter().chain(strips);
        self.needs.iter().chain(apart).copied()
    }

    /// The name for people, without the two letters.
    pub(super) fn label(&self) -> String {
        String::from_utf8_lossy(self.name.get(2..).unwrap_or_default()).into_owned()
    }
}

/// What is remembered of a datablock beyond its name.
#[derive(Debug)]
pub(super) enum IdKind {
    Scene(Box<SceneSettings>),
    CameraObject,
    /// A library: another file.
    Library {
        /// The library's path as spelled.
        path: Vec<u8>,
        /// Whether what is needed of it is inside this file.
        packed: bool,
    },
    /// Stands for a datablock of a library, by its name; the index in `ids` of that library.
    Linked {
        library: Option<u32>,
    },
    /// A text that asks to be run when the file is opened.
    StartupScript,
    Other,
}

/// The settings of one scene.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SceneSettings {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
    /// Width and height in pixels, before the percentage.
    pub(super) full_size: (u32, u32),
    pub(super) percentage: u32,
    /// Whether Cycles, if that renders it, takes the noise out of pictures.
    pub(super) denoising: bool,
    pub(super) fps: f64,
    /// As Blender names it today.
    pub(super) engine: String,
    /// Whether the scene was made for one that no longer exists.
    pub(super) engine_is_gone: bool,
    pub(super) format: String,
    /// The address of its camera, 0 if none, then those of the cameras that markers switch to.
    pub(super) cameras: Vec<u64>,
    pub(super) view_layers: Vec<String>,
    /// Whether pictures are blurred by motion: the frames around one are looked at too.
    pub(super) motion_blur: bool,
    /// Whether frames of the scene stand for other times: a stretched time line, or strips that
    /// play scenes.
    pub(super) time_moved: bool,
    /// Whether the sequencer makes the picture, if it has strips.
    pub(super) sequencer: bool,
    pub(super) strips: bool,
    /// Whether the compositor is switched on, and whether there is one.
    pub(super) compositing: bool,
    pub(super) has_compositor: bool,
    pub(super) views: Views,
}

/// The views that a scene renders of each frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Views {
    /// Whether there are several at all.
    pub(super) rendered: bool,
    /// Whether they can have any names, and not just left and right.
    pub(super) any: bool,
    /// Whether each is written into a file of its own.
    pub(super) apart: bool,
    /// The ends of their files' names.
    pub(super) suffixes: Vec<String>,
}

/// How one user of an image plays its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ImagePlay {
    pub(super) play: Play,
    /// Whether the picture follows the frame in every renderer. Cycles asks for the frame's own
    /// picture anyhow; others show the number `saved` for ever.
    pub(super) follows: bool,
    pub(super) saved: i64,
}

/// A path in a datablock, or a family of files that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileUse {
    /// As the file spells it; in no particular encoding.
    pub(super) path: Vec<u8>,
    pub(super) kind: AssetKind,
    pub(super) family: Family,
    /// Whether it may as well be missing: nobody knows whether it is read.
    pub(super) optional: bool,
}

/// Which files a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Family {
    Single,
    /// One file a frame, numbered in place of the last digits of the name.
    Sequence(Numbering),
    /// One file a tile; these are the tiles' numbers, from 1001.
    Tiles(Vec<u32>),
    /// The files with these names in the path, which is a folder; frames of a strip, in order.
    Listed(Vec<Vec<u8>>),
    /// Everything in a folder, which a cache fills once it is made.
    Folder,
}

/// Who says which numbers of a sequence are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    /// The datablock itself.
    Here(Play),
    /// Those that use it, each for itself.
    ByUsers,
}

impl Contents {
    /// The datablock that other files link by this name.
    pub(super) fn named(&self, name: &[u8]) -> Option<u32> {
        self.by_name.get(name).or_else(|| self.passing.get(name)).copied()
    }

    /// The folder that `//` means in this file's paths.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// The file whose folder `//` means in the paths of one datablock.
    pub(super) fn holder_of(&self, id: &Id) -> PathBuf {
        let home = id.home.and_then(|home| self.ids.get(home as usize));
        match home.map(|home| &home.kind) {
            Some(IdKind::Library { path, .. }) => locate::by_the_letter(self.folder(), path),
            _ => self.path.clone(),
        }
    }
}
