//! What the statements of one file say.

use std::collections::HashSet;
use std::io::Read;

use super::nodes;
use super::statements::{Header, Statement, Statements};
use super::words::Word;
use crate::analysis::{AnalyseError, AssetKind};

/// The most nodes that name files, cameras, references and render layers of one file, each.
const MAX_ITEMS: usize = 200_000;
/// The most texts of one node that are kept until the node is whole.
const MAX_TEXTS: usize = 10_000;

/// What one file says, before its paths are looked for.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) header_version: String,
    pub(super) required_version: String,
    pub(super) time_unit: String,
    pub(super) settings: Settings,
    pub(super) cameras: Vec<Camera>,
    pub(super) files: Vec<FileUse>,
    pub(super) references: Vec<Reference>,
    /// References of references, as the file remembers them.
    pub(super) nested: Vec<Reference>,
    /// The nodes of the references, nested ones too, that Maya doesn't load with the scene.
    pub(super) unloaded: HashSet<String>,
    pub(super) render_layers: Vec<String>,
    /// Whether the file ends with the line that Maya writes there.
    pub(super) closed: bool,
}

/// Render settings as far as the file sets them.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) renderer: Option<String>,
    pub(super) image_format: Option<i64>,
    pub(super) image_plugin: Option<String>,
    pub(super) start_frame: Option<f64>,
    pub(super) end_frame: Option<f64>,
    pub(super) by_frame: Option<f64>,
    pub(super) animation: Option<bool>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
}

/// A camera's shape.
#[derive(Debug)]
pub(super) struct Camera {
    pub(super) shape: String,
    pub(super) parent: String,
    /// One of the four that every scene has; a referenced file's are merged with the scene's own.
    pub(super) startup: bool,
    pub(super) renderable: bool,
}

/// A file that a node names.
#[derive(Debug, Clone)]
pub(super) struct FileUse {
    pub(super) node: String,
    pub(super) path: String,
    pub(super) kind: AssetKind,
    pub(super) family: Family,
}

/// Which files a path stands for, beyond what placeholders in its name say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    One,
    /// The number in its name is a frame's.
    Frames,
    /// The number in its name is a UDIM tile's.
    Udim,
    /// `u1_v1` in its name is a tile's.
    Tiles,
    /// A cache's description, with the data beside it.
    Cache,
}

/// A scene that the file references.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) path: String,
    pub(super) namespace: String,
    pub(super) node: String,
}

/// Reads all statements.
///
/// # Errors
/// For a damaged file, or one with more cameras or files than any scene has.
pub(super) fn collect<R: Read>(
    header: Header,
    mut statements: Statements<R>,
) -> Result<Facts, AnalyseError> {
    let mut reader = Reader {
        facts: Facts {
            header_version: header.version,
            time_unit: "film".to_owned(),
            ..Facts::default()
        },
        node: Node::default(),
    };
    while let Some(statement) = statements.next()? {
        reader.read(&statement);
        let facts = &reader.facts;
        let counts = [facts.cameras.len(), facts.files.len(), facts.references.len()];
        if counts.into_iter().chain([facts.nested.len()]).any(|count| count > MAX_ITEMS) {
            let message = format!("it names more than {MAX_ITEMS} cameras, files or references");
            return Err(AnalyseError::TooLarge(message));
        }
    }
    reader.finish_node();
    reader.facts.closed = statements.is_closed();
    Ok(reader.facts)
}

/// The node that `setAttr ".x"` is about.
#[derive(Default)]
struct Node {
    kind: String,
    name: String,
    parent: String,
    startup: bool,
    renderable: Option<bool>,
    frames: bool,
    tiling: i64,
    cache_folder: String,
    cache_name: String,
    files: Vec<(String, AssetKind)>,
}

struct Reader {
    facts: Facts,
    node: Node,
}

impl Reader {
    fn read(&mut self, statement: &Statement) {
        let words = &statement.words[1..];
        match statement.words[0].text.as_str() {
            "setAttr" => self.set_attribute(words),
            "createNode" => self.create_node(words),
            "select" => self.select(words),
            "file" => self.file(words),
            "currentUnit" => {
                if let Some(unit) = value_of(words, &["-t", "-time"]) {
                    self.facts.time_unit = unit.to_owned();
                }
            }
            "requires" => {
                if let [.., product, version] = words
                    && product.text == "maya"
                {
                    self.facts.required_version.clone_from(&version.text);
                }
            }
            _ => {}
        }
    }

    fn create_node(&mut self, words: &[Word]) {
        self.finish_node();
        let Some(kind) = words.first() else { return };
        self.node.kind.clone_from(&kind.text);
        let text = |names: &[&str]| value_of(words, names).unwrap_or_default().to_owned();
        self.node.name = text(&["-n", "-name"]);
        self.node.parent = text(&["-p", "-parent"]);
        self.node.startup = has_flag(words, &["-s", "-shared"]);
    }

    fn select(&mut self, words: &[Word]) {
        self.finish_node();
        if let Some(name) = words.iter().rev().find(|word| !is_flag(word)) {
            self.node.name.clone_from(&name.text);
        }
    }

    fn file(&mut self, words: &[Word]) {
        let direct = has_flag(words, &["-r", "-reference"]);
        let depth = value_of(words, &["-rdi", "-referenceDepthInfo"]);
        let depth = depth.and_then(|depth| depth.parse::<u32>().ok());
        let text = |names: &[&str]| value_of(words, names).unwrap_or_default().to_owned();
        let node = text(&["-rfn", "-referenceNode"]);
        // `-dr 1` means unloaded in the list of all references (`-rdi`) only; where a reference is
        // made (`-r`) Maya always writes it.
        if depth.is_some() && value_of(words, &["-dr", "-deferReference"]).is_some_and(is_true) {
            self.facts.unloaded.insert(node.clone());
        }
        let Some(path) = words.last().filter(|word| word.quoted && !word.cut) else {
            return;
        };
        let reference = Reference {
            path: without_copy_number(&path.text).to_owned(),
            // `:` is the root namespace, in which names stay as they are.
            namespace: text(&["-ns", "-namespace"]).trim_matches(':').to_owned(),
            node,
        };
        if direct {
            self.facts.references.push(reference);
        } else if depth.is_some_and(|depth| depth > 1) {
            self.facts.nested.push(reference);
        }
    }

    fn set_attribute(&mut self, words: &[Word]) {
        let (attribute, values) = attribute_and_values(words);
        let Some(attribute) = attribute else { return };
        // `.fs` is of the current node, `node.fs` of another one; a name may hold no dot itself.
        let (node, attribute) = match attribute.split_once('.') {
            Some((node, attribute)) => (node, attribute),
            None => return,
        };
        let Some(value) = values.first() else { return };
        let last = attribute.rsplit('.').next().unwrap_or(attribute);
        let name = last.split('[').next().unwrap_or(last);
        let of = if node.is_empty() { self.node.name.as_str() } else { node };
        match of {
            ":defaultRenderGlobals" | "defaultRenderGlobals" => self.set_globals(name, &value.text),
            ":defaultResolution" | "defaultResolution" => {
                let settings = &mut self.facts.settings;
                match name {
                    "w" | "width" => settings.width = pixels(&value.text).or(settings.width),
                    "h" | "height" => settings.height = pixels(&value.text).or(settings.height),
                    _ => {}
                }
            }
            _ if node.is_empty() => self.set_of_node(name, values),
            _ => {}
        }
    }

    fn set_globals(&mut self, name: &str, value: &str) {
        let settings = &mut self.facts.settings;
        match name {
            "ren" | "currentRenderer" => settings.renderer = Some(value.to_owned()),
            "outf" | "imageFormat" => settings.image_format = value.parse().ok(),
            "imfkey" | "imfPluginKey" => settings.image_plugin = Some(value.to_owned()),
            "fs" | "startFrame" => settings.start_frame = number(value).or(settings.start_frame),
            "ef" | "endFrame" => settings.end_frame = number(value).or(settings.end_frame),
            "bfs" | "byFrameStep" => settings.by_frame = number(value).or(settings.by_frame),
            "an" | "animation" => settings.animation = Some(is_true(value)),
            _ => {}
        }
    }

    fn set_of_node(&mut self, name: &str, values: &[Word]) {
        let node = &mut self.node;
        let first = values[0].text.as_str();
        match name {
            "rnd" | "renderable" => node.renderable = Some(is_true(first)),
            "ufe" | "useFrameExtension" => node.frames = is_true(first),
            "uvt" | "uvTilingMode" => node.tiling = first.parse().unwrap_or(0),
            "cp" | "cachePath" if node.kind == "cacheFile" => node.cache_folder = first.to_owned(),
            "cn" | "cacheName" if node.kind == "cacheFile" => node.cache_name = first.to_owned(),
            _ => {}
        }
        for value in values.iter().filter(|value| value.quoted && !value.cut) {
            let known = nodes::asset_kind(&node.kind, name);
            let kind = known.or_else(|| nodes::guess(&node.kind, name, &value.text));
            if let Some(kind) = kind
                && !nodes::comes_with_maya(&value.text)
                && node.files.len() < MAX_TEXTS
            {
                node.files.push((value.text.clone(), kind));
            }
        }
    }

    /// The node is whole: nothing sets an attribute of it any more.
    fn finish_node(&mut self) {
        let node = std::mem::take(&mut self.node);
        match node.kind.as_str() {
            "camera" | "stereoRigCamera" => self.facts.cameras.push(Camera {
                shape: node.name.clone(),
                parent: node.parent.clone(),
                startup: node.startup,
                renderable: node.renderable.unwrap_or(true),
            }),
            "renderLayer" => self.facts.render_layers.push(node.name.clone()),
            "cacheFile" if !node.cache_name.is_empty() => {
                let folder = node.cache_folder.trim_end_matches(['/', '\\']);
                self.facts.files.push(FileUse {
                    node: node.name.clone(),
                    path: format!("{folder}/{}.xml", node.cache_name),
                    kind: AssetKind::Cache,
                    family: Family::Cache,
                });
            }
            _ => {}
        }
        let family = match node.tiling {
            3 => Family::Udim,
            1 | 2 => Family::Tiles,
            _ if node.frames => Family::Frames,
            _ => Family::One,
        };
        for (path, kind) in node.files {
            let family = match kind {
                AssetKind::Ies | AssetKind::Alembic | AssetKind::Audio => Family::One,
                _ => family,
            };
            self.facts.files.push(FileUse { node: node.name.clone(), path, kind, family });
        }
    }
}

/// The attribute of a `setAttr` and its values, past the flags and the type.
fn attribute_and_values(words: &[Word]) -> (Option<&str>, &[Word]) {
    let mut attribute = None;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if is_flag(word) {
            let takes_value = matches!(
                word.text.as_str(),
                "-k" | "-keyable"
                    | "-l"
                    | "-lock"
                    | "-cb"
                    | "-channelBox"
                    | "-ca"
                    | "-caching"
                    | "-s"
                    | "-size"
                    | "-typ"
                    | "-type"
                    | "-ch"
                    | "-capacityHint"
            );
            let listed = matches!(word.text.as_str(), "-typ" | "-type")
                && words.get(at + 1).is_some_and(|kind| kind.text == "stringArray");
            // A list of strings begins with their number.
            at += if listed {
                3
            } else if takes_value {
                2
            } else {
                1
            };
        } else if attribute.is_none() {
            attribute = Some(word.text.as_str());
            at += 1;
        } else {
            return (attribute, &words[at..]);
        }
    }
    (attribute, &[])
}

/// A flag begins with a letter after its dash; a number doesn't.
fn is_flag(word: &Word) -> bool {
    let mut letters = word.text.chars();
    !word.quoted
        && letters.next() == Some('-')
        && letters.next().is_some_and(|letter| letter.is_ascii_alphabetic())
}

fn has_flag(words: &[Word], names: &[&str]) -> bool {
    words.iter().any(|word| is_flag(word) && names.contains(&word.text.as_str()))
}

fn value_of<'a>(words: &'a [Word], names: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|word| is_flag(word) && names.contains(&word.text.as_str()))?;
    words.get(at + 1).map(|word| word.text.as_str())
}

/// Maya tells copies of a reference apart as `scene.ma{2}`.
fn without_copy_number(path: &str) -> &str {
    let number = path
        .strip_suffix('}')
        .and_then(|rest| rest.rsplit_once('{'))
        .filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    number.map_or(path, |(path, _)| path)
}

fn is_true(value: &str) -> bool {
    matches!(value, "yes" | "on" | "true" | "1")
}

fn number(value: &str) -> Option<f64> {
    value.parse::<f64>().ok().filter(|number| number.is_finite())
}

fn pixels(value: &str) -> Option<u32> {
    let pixels = number(value)?.round();
    (0.0..=f64::from(u32::MAX)).contains(&pixels).then_some(pixels as u32)
}
