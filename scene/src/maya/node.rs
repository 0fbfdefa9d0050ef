//! One node, while its attributes are read: what it says of files, and of the scenes that it shows.

use super::arguments::is_true;
use super::facts::{By, Camera, FileUse, Reference};
use super::nodes;
use super::sequences::{Says, value};
use super::words::Word;
use crate::analysis::AssetKind;
use crate::named_files::Family;

/// The most texts of one node that are kept until the node is whole.
const MAX_TEXTS: usize = 10_000;

/// The node that `setAttr ".x"` is about.
#[derive(Default)]
pub(super) struct Node {
    pub(super) kind: String,
    pub(super) name: String,
    parent: String,
    startup: bool,
    renderable: Option<bool>,
    frames: bool,
    tiling: i64,
    cache_folder: String,
    cache_name: String,
    /// The scenes that an assembly names, and the namespace of what they hold.
    assembled: Vec<String>,
    namespace: Option<String>,
    /// Whether particles are read from the disk.
    particles: bool,
    /// The configuration of colours, and whether it is used.
    colours: String,
    coloured: Option<bool>,
    files: Vec<Named>,
    /// What is added to its frame extension.
    offset: f64,
    clip: Clip,
    pub(super) expression: String,
    pub(super) factor: f64,
}

impl Node {
    pub(super) fn new(kind: String, name: String, parent: String, startup: bool) -> Self {
        Self { kind, name, parent, startup, ..Self::default() }
    }

    /// Takes the values of an attribute; at least one.
    pub(super) fn set(&mut self, name: &str, values: &[Word<'_>]) {
        let first = &*values[0].text;
        if self.is_assembly() {
            return self.assemble(name, first);
        }
        match name {
            "rnd" | "renderable" => self.renderable = Some(is_true(first)),
            "ufe" | "useFrameExtension" => self.frames = is_true(first),
            "uvt" | "uvTilingMode" => self.tiling = first.parse().unwrap_or(0),
            "cp" | "cachePath" if self.kind == "cacheFile" => self.cache_folder = first.to_owned(),
            "cn" | "cacheName" if matches!(&*self.kind, "cacheFile" | "diskCache") => {
                self.cache_name = first.to_owned();
            }
            "cd" | "cacheDirectory" if self.kind == "dynGlobals" => {
                self.cache_folder = first.to_owned();
            }
            "upd" | "useParticleDiskCache" if self.kind == "dynGlobals" => {
                self.particles = is_true(first);
            }
            "fo" | "frameOffset" => self.offset = value(first),
            "ixp" | "internalExpression" if self.kind == "expression" => {
                self.expression = first.to_owned();
            }
            "cf" | "conversionFactor" => self.factor = value(first),
            "cfe" | "configFileEnabled" if nodes::is_of_colours(&self.kind, &self.name) => {
                self.coloured = Some(is_true(first));
            }
            "cfp" | "configFilePath" if nodes::is_of_colours(&self.kind, &self.name) => {
                self.colours = first.to_owned();
                return;
            }
            _ if self.kind == "cacheFile" => self.clip.set(name, first),
            _ => {}
        }
        for value in values.iter().filter(|value| value.quoted && !value.cut) {
            let known = nodes::asset_kind(&self.kind, name);
            let kind = known.or_else(|| nodes::guess(&self.kind, name, &value.text));
            if let Some(kind) = kind
                && !nodes::comes_with_maya(&value.text)
                && self.files.len() < MAX_TEXTS
            {
                let guessed = known.is_none();
                self.files.push(Named { path: value.text.to_string(), kind, guessed });
            }
        }
    }

    /// Takes a file that Maya says an attribute names, whatever plug-in's attribute that is.
    pub(super) fn set_file(&mut self, attribute: &str, path: String) {
        let before = self.files.len();
        self.set(attribute, &[Word { text: path.as_str().into(), quoted: true, cut: false }]);
        if self.files.len() == before
            && !nodes::comes_with_maya(&path)
            && !matches!(self.kind.as_str(), "reference" | "cacheFile" | "diskCache")
            && !self.is_assembly()
            && !nodes::is_no_input(&self.kind, attribute)
            && self.colours.is_empty()
        {
            // Read or written, it doesn't say.
            self.files.push(Named { path, kind: AssetKind::Other, guessed: true });
        }
    }

    /// An attribute of an assembly's.
    fn assemble(&mut self, name: &str, text: &str) {
        let ends = |endings: &[&str]| {
            let ending = text.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
            ending.is_some_and(|ending| endings.contains(&&*ending))
        };
        let full = self.assembled.len() + self.files.len() >= MAX_TEXTS;
        match name {
            "def" | "definition" | "rda" | "repData" if !full && ends(&["ma", "mb"]) => {
                self.assembled.push(text.to_owned());
            }
            "rda" | "repData" if !full && ends(&["abc"]) => self.files.push(Named {
                path: text.to_owned(),
                kind: AssetKind::GpuCache,
                // Another representation may be the one that is shown.
                guessed: true,
            }),
            "rns" | "repNamespace" => self.namespace = Some(text.trim_matches(':').to_owned()),
            _ => {}
        }
    }

    /// What it is as a camera.
    pub(super) fn camera(&self) -> Camera {
        Camera {
            shape: self.name.clone(),
            parent: self.parent.clone(),
            startup: self.startup,
            renderable: self.renderable.unwrap_or(true),
        }
    }

    /// The scenes of an assembly's node.
    pub(super) fn references(&self) -> impl Iterator<Item = Reference> {
        let by = match &*self.kind {
            "assemblyReference" => By::Assembly,
            _ => By::Representation,
        };
        // What a definition holds has the names of the node that shows it.
        let namespace = self.namespace.clone().unwrap_or_else(|| match by {
            By::Assembly => format!("{}_NS", self.name),
            _ => String::new(),
        });
        self.assembled.iter().map(move |path| Reference {
            path: path.clone(),
            namespace: namespace.clone(),
            node: self.name.clone(),
            by,
        })
    }

    /// The files that it names, and what it says of their frames.
    pub(super) fn files(mut self) -> Vec<(FileUse, Says)> {
        let mut files = Vec::from_iter(self.cache());
        if self.coloured != Some(false) && !nodes::comes_with_maya(&self.colours) {
            self.files.push(Named {
                path: self.colours,
                kind: AssetKind::Other,
                // What it is where nothing is said depends on Maya's version.
                guessed: self.coloured.is_none(),
            });
        }
        let family = match self.tiling {
            3 => Family::Udim,
            1 | 2 => Family::Tiles,
            _ if self.frames => Family::Frames,
            _ => Family::One,
        };
        // A text that is known to name a file and stands in another attribute too is no guess.
        self.files.sort_by_key(|file| file.guessed);
        for Named { path, kind, guessed } in self.files {
            let kind = nodes::film_or(kind, &path);
            let family = match kind {
                AssetKind::Ies | AssetKind::Alembic | AssetKind::Audio | AssetKind::Movie => {
                    Family::One
                }
                _ => family,
            };
            let says = Says::Extension { offset: self.offset };
            let node = self.name.clone();
            files.push((FileUse { node, path, kind, family, choice: None, guessed }, says));
        }
        files
    }

    /// The cache of a node that keeps one.
    fn cache(&self) -> Option<(FileUse, Says)> {
        let folder = self.cache_folder.trim_end_matches(['/', '\\']);
        let (path, family, says) = match self.kind.as_str() {
            "cacheFile" if !self.cache_name.is_empty() => {
                (format!("{folder}/{}.xml", self.cache_name), Family::Cache, self.clip.says())
            }
            "diskCache" if !self.cache_name.is_empty() => {
                (self.cache_name.clone(), Family::One, Says::Nothing)
            }
            "dynGlobals" if self.particles && !self.cache_folder.is_empty() => {
                (format!("{folder}/*.pdc"), Family::Particles, Says::Nothing)
            }
            _ => return None,
        };
        let file = FileUse {
            node: self.name.clone(),
            path,
            kind: AssetKind::Cache,
            family,
            choice: None,
            // What such a node names is made anew where it isn't there.
            guessed: matches!(&*self.kind, "diskCache" | "dynGlobals"),
        };
        Some((file, says))
    }

    fn is_assembly(&self) -> bool {
        matches!(&*self.kind, "assemblyReference" | "assemblyDefinition")
    }
}

/// A file that the node names.
struct Named {
    path: String,
    kind: AssetKind,
    guessed: bool,
}

/// A cache's clip, in frames. Without a last one it isn't understood; the others are 0 then.
#[derive(Default)]
struct Clip {
    start: f64,
    first: f64,
    last: Option<f64>,
    /// Whether it is stretched, repeated or played backwards.
    altered: bool,
}

impl Clip {
    fn set(&mut self, name: &str, text: &str) {
        match name {
            "sf" | "startFrame" => self.start = value(text),
            "ss" | "sourceStart" => self.first = value(text),
            "se" | "sourceEnd" => self.last = Some(value(text)),
            "sc" | "scale" => self.altered |= value(text) != 1.0,
            "cb" | "preCycle" | "ca" | "postCycle" => self.altered |= value(text) != 0.0,
            "rev" | "reverse" | "osc" | "oscillate" => self.altered |= is_true(text),
            _ => {}
        }
    }

    fn says(&self) -> Says {
        match self.last {
            Some(last) if !self.altered => {
                Says::Clip { start: self.start, first: self.first, last }
            }
            _ => Says::Nothing,
        }
    }
}
