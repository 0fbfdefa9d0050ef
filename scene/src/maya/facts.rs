//! What the statements of one file say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

use super::arguments::{
    attribute_and_values, has_flag, is_flag, is_true, number, pixels, value_of, without_copy_number,
};
use super::edits::Edits;
use super::encoding;
use super::node::Node;
use super::nodes;
use super::renderers::Pictures;
use super::sequences::{Choice, Clocks, Says};
use super::statements::{Header, Statement, Statements};
use super::units;
use super::words::Word;
use crate::analysis::{AnalyseError, AssetKind};
use crate::named_files::Family;

/// The most nodes that name files, cameras, references and render layers of one file, each.
const MAX_ITEMS: usize = 200_000;

/// What one file says, before its paths are looked for.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) header_version: String,
    pub(super) required_version: String,
    /// The code page that the file is in, where that can't be read.
    pub(super) unknown_page: Option<String>,
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
    /// Nodes of referenced scenes that are told of other files, by their names and kinds.
    pub(super) renamed: HashMap<(String, AssetKind), Renamed>,
    /// Nodes of referenced scenes that are told whether they are rendered, by their names.
    pub(super) renderable: HashMap<String, bool>,
    /// Whether the file changes which frames of sequences its references show.
    pub(super) edits_frames: bool,
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
    /// The frame at which the scene was saved.
    pub(super) current_frame: Option<f64>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    /// What renderers say on nodes of their own.
    pub(super) pictures: Pictures,
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
    /// How it chooses one file of a sequence, if that is understood.
    pub(super) choice: Option<Choice>,
    /// Whether only the look of its text says that it names a file: no render is known to read it.
    pub(super) guessed: bool,
}

/// The other file that a node of a referenced scene is told of.
#[derive(Debug, Clone)]
pub(super) struct Renamed {
    pub(super) path: String,
    /// As in [`FileUse`].
    pub(super) guessed: bool,
}

/// A scene that the file references.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) path: String,
    pub(super) namespace: String,
    pub(super) node: String,
    /// What makes it a scene of this file's.
    pub(super) by: By,
}

/// How a scene names another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// `file -r`.
    Reference,
    /// An assembly's definition.
    Assembly,
    /// One of an assembly's representations, of which one is shown.
    Representation,
}

/// Whether a command's statements may say something that matters here.
pub(super) fn matters(command: &str) -> bool {
    matches!(
        command,
        "setAttr" | "createNode" | "select" | "file" | "connectAttr" | "currentUnit" | "requires"
    )
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
            unknown_page: encoding::unknown(&header.codeset),
            time_unit: "film".to_owned(),
            ..Facts::default()
        },
        node: Node::default(),
        clocks: Clocks::default(),
        said: Vec::new(),
    };
    while let Some(statement) = statements.next()? {
        reader.read(&statement);
        reader.edit(&statement.edits);
        let facts = &reader.facts;
        let nodes = [facts.cameras.len(), facts.files.len(), facts.references.len()];
        let told = [facts.renamed.len(), facts.renderable.len(), facts.nested.len()];
        if nodes.into_iter().chain(told).any(|count| count > MAX_ITEMS) {
            let message = format!("it names more than {MAX_ITEMS} cameras, files or references");
            return Err(AnalyseError::TooLarge(message));
        }
    }
    reader.finish_node();
    let rate = units::frames_per_second(&reader.facts.time_unit);
    for (file, says) in reader.facts.files.iter_mut().zip(&reader.said) {
        file.choice = reader.clocks.choice(&file.node, file.kind, *says, rate);
    }
    reader.facts.closed = statements.is_closed();
    Ok(reader.facts)
}

/// A node as Maya itself lists it.
pub(super) struct Listed {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) parent: String,
    pub(super) startup: bool,
    /// Attributes that name files, and what they name.
    pub(super) files: Vec<(String, String)>,
    /// Some other attributes.
    pub(super) values: BTreeMap<String, String>,
}

/// The cameras and files of nodes, and nothing else.
pub(super) fn of_nodes(nodes: impl Iterator<Item = Listed>) -> Facts {
    let mut reader = Reader {
        facts: Facts::default(),
        node: Node::default(),
        clocks: Clocks::default(),
        said: Vec::new(),
    };
    let word = |text: String| Word { text: text.into(), quoted: true, cut: false };
    for Listed { kind, name, parent, startup, files, values } in nodes {
        reader.node = Node::new(kind, name, parent, startup);
        for (attribute, value) in values {
            reader.node.set(&attribute, &[word(value)]);
        }
        for (attribute, path) in files {
            reader.node.set_file(&attribute, path);
        }
        reader.finish_node();
    }
    reader.facts
}

struct Reader {
    facts: Facts,
    node: Node,
    clocks: Clocks,
    /// What each of the facts' files says of its frames, in the same order.
    said: Vec<Says>,
}

impl Reader {
    fn read(&mut self, statement: &Statement<'_>) {
        let words = &statement.words[1..];
        match &*statement.words[0].text {
            "setAttr" => self.set_attribute(words),
            "createNode" => self.create_node(words),
            "select" => self.select(words),
            "file" => self.file(words),
            "connectAttr" => self.clocks.connect(words),
            "currentUnit" => {
                if let Some(unit) = value_of(words, &["-t", "-time"]) {
                    self.facts.time_unit = unit.to_owned();
                }
            }
            "requires" => {
                if let [.., product, version] = words
                    && product.text == "maya"
                {
                    self.facts.required_version = version.text.to_string();
                }
            }
            _ => {}
        }
    }

    fn create_node(&mut self, words: &[Word<'_>]) {
        self.finish_node();
        let Some(kind) = words.first() else { return };
        let text = |names: &[&str]| value_of(words, names).unwrap_or_default().to_owned();
        let startup = has_flag(words, &["-s", "-shared"]);
        let (name, parent) = (text(&["-n", "-name"]), text(&["-p", "-parent"]));
        self.node = Node::new(kind.text.to_string(), name, parent, startup);
        self.facts.settings.pictures.node(&self.node.name);
    }

    fn select(&mut self, words: &[Word<'_>]) {
        self.finish_node();
        if let Some(name) = words.iter().rev().find(|word| !is_flag(word)) {
            self.node.name = name.text.to_string();
        }
    }

    fn file(&mut self, words: &[Word<'_>]) {
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
            by: By::Reference,
        };
        if direct {
            self.facts.references.push(reference);
        } else if depth.is_some_and(|depth| depth > 1) {
            self.facts.nested.push(reference);
        }
    }

    /// What a reference's node changes in what is referenced.
    fn edit(&mut self, edits: &Edits) {
        self.facts.edits_frames |= edits.frames;
        let name = |node: &str| node.rsplit('|').next().unwrap_or(node).to_owned();
        for (node, rendered) in &edits.renderable {
            self.facts.renderable.insert(name(node), *rendered);
        }
        for text in &edits.texts {
            let node = name(&text.node);
            if let Some((kind, guessed)) = nodes::edited(&text.attribute, &text.value)
                && !nodes::comes_with_maya(&text.value)
            {
                let told = Renamed { path: text.value.clone(), guessed };
                self.facts.renamed.insert((node, kind), told);
            }
        }
    }

    fn set_attribute(&mut self, words: &[Word<'_>]) {
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
        self.facts.settings.pictures.set(of, name, &value.text);
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
            ":time1" | "time1" if matches!(name, "o" | "outTime") => {
                let settings = &mut self.facts.settings;
                settings.current_frame = number(&value.text).or(settings.current_frame);
            }
            _ if node.is_empty() => self.node.set(name, values),
            _ if matches!(
                name,
                "fe" | "frameExtension" | "fo" | "frameOffset" | "ufe" | "useFrameExtension"
            ) =>
            {
                self.clocks.disturb(node);
            }
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

    /// The node is whole: nothing sets an attribute of it any more.
    fn finish_node(&mut self) {
        let node = std::mem::take(&mut self.node);
        match node.kind.as_str() {
            "camera" | "stereoRigCamera" => self.facts.cameras.push(node.camera()),
            "renderLayer" => self.facts.render_layers.push(node.name.clone()),
            "expression" => self.clocks.expression(&node.name, &node.expression),
            "timeToUnitConversion" => self.clocks.factor(&node.name, node.factor),
            _ => {}
        }
        self.facts.references.extend(node.references());
        for (file, says) in node.files() {
            self.facts.files.push(file);
            self.said.push(says);
        }
    }
}
