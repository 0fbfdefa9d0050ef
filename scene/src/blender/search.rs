//! Which datablocks, in which files, a scene's render needs; and the files that these name.
//!
//! The search goes from the active scene along the links between datablocks, and through stand-ins
//! into the libraries that they come from, whose other contents Blender doesn't load. What is left
//! of the scene's own file is then searched in the same way, as what merely lies there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::analysis::{AnalyseError, Analysis, Asset, AssetKind, Missing, SavedBy};
use crate::disk::Disk;

use super::contents::{Contents, Family, FileUse, Id, IdKind, Numbering};
use super::families::{self, Playing};
use super::players::Players;
use super::{group, locate, read, simulations};

/// The most library files that are opened for one scene.
const MAX_FILES: usize = 2_000;
/// The most assets that one scene may have.
const MAX_ASSETS: usize = 1_000_000;

/// A datablock: the index of a file, and that of the datablock in it.
pub(super) type Place = (usize, u32);

/// A search under way, and what it has found.
pub(super) struct Search {
    files: Vec<Loaded>,
    /// By canonical path; `None` for those that couldn't be read.
    by_path: HashMap<PathBuf, Option<usize>>,
    /// The scene that is rendered.
    scene: Option<u32>,
    queue: Vec<(Place, Reach)>,
    assets: Vec<(Place, Asset)>,
    missing: Vec<(Place, Missing)>,
    missing_beyond: Vec<(Place, Missing)>,
    /// Sequences whose files are looked for once all who play them are known.
    sequences: Vec<Place>,
    players: Players,
    /// The files whose disk caches are among the assets already.
    disk_caches: HashSet<PathBuf>,
    /// Camera objects, in linked files too.
    cameras: Vec<Place>,
    disk: Disk,
    /// What the job's command line says in place of the scene.
    arguments: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
}

/// How a datablock was come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// It is in the scene, by itself or in a collection there: that matters if renders show it.
    InScene,
    /// Something needs it, shown or not.
    Needed,
}

struct Loaded {
    contents: Contents,
    seen: Vec<Option<Reach>>,
    /// By the index of a library here: the file it leads to.
    libraries: HashMap<u32, Option<usize>>,
}

impl Search {
    /// A search in the file that `contents` came from.
    pub(super) fn new(contents: Contents, disk: Disk, arguments: BTreeMap<String, String>) -> Self {
        let mut by_path = HashMap::new();
        by_path.insert(canonical(&contents.path), Some(0));
        Self {
            files: vec![Loaded::new(contents)],
            by_path,
            scene: None,
            queue: Vec::new(),
            assets: Vec::new(),
            missing: Vec::new(),
            missing_beyond: Vec::new(),
            sequences: Vec::new(),
            players: Players::default(),
            disk_caches: HashSet::new(),
            cameras: Vec::new(),
            disk,
            arguments,
            warnings: Vec::new(),
        }
    }

    /// Everything that `start`, a scene of the scene's own file, needs.
    pub(super) fn required_by(&mut self, start: u32) -> Result<(), AnalyseError> {
        self.scene = Some(start);
        self.queue.push(((0, start), Reach::Needed));
        self.run(true)
    }

    /// Everything else in the scene's own file; `required` if nothing tells what isn't.
    pub(super) fn rest(&mut self, required: bool) -> Result<(), AnalyseError> {
        let count = u32::try_from(self.files[0].contents.ids.len()).unwrap_or(u32::MAX);
        // The last goes first, so that the queue is worked off in the file's order.
        self.queue.extend((0..count).rev().map(|index| ((0, index), Reach::Needed)));
        self.run(required)
    }

    /// Simulations that aren't baked among what was found needed so far.
    pub(super) fn unbaked(&self) -> Vec<String> {
        let seen = |(file, loaded): (usize, &Loaded)| {
            let places = (0..).zip(&loaded.seen).filter(|(_, seen)| seen.is_some());
            places.map(|(index, _)| (file, index)).collect::<Vec<Place>>()
        };
        let places: Vec<Place> = self.files.iter().enumerate().flat_map(seen).collect();
        simulations::unbaked(self, &places)
    }

    /// The renderers of the other scenes that a render of the scene renders as well: those that its
    /// compositor takes in, and those of its strips.
    pub(super) fn other_renderers(&self) -> BTreeSet<String> {
        let own = self.scene.and_then(|scene| self.origin((0, scene)));
        let settings = own.and_then(|own| group::scene_settings(self.id(own)?));
        let mut renderers = BTreeSet::new();
        let Some(settings) = settings else { return renderers };
        for (file, loaded) in self.files.iter().enumerate() {
            for (id, place) in loaded.contents.ids.iter().zip(0..) {
                // What other scenes compose is not asked for.
                let asked = Some((file, place)) == own || !matches!(id.kind, IdKind::Scene(_));
                if !asked || loaded.seen.get(place as usize).is_none_or(Option::is_none) {
                    continue;
                }
                let layers = id.layers.iter().filter(|_| settings.composes(&self.arguments));
                let strips = id.scene_strips.iter().filter(|_| settings.sequencer);
                let scenes = layers.chain(strips).filter_map(|at| self.at_address(file, *at));
                let others = scenes.filter(|scene| Some(*scene) != own);
                let others = others.filter_map(|scene| group::scene_settings(self.id(scene)?));
                renderers.extend(others.map(|settings| settings.engine.clone()));
            }
        }
        renderers
    }

    /// The disk, as far as it was looked at.
    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    fn run(&mut self, required: bool) -> Result<(), AnalyseError> {
        while let Some((place, reach)) = self.queue.pop() {
            let (file, index) = place;
            let loaded = &mut self.files[file];
            let Some(id) = loaded.contents.ids.get(index as usize) else { continue };
            if id.hidden && reach == Reach::InScene {
                continue;
            }
            let Some(seen) = loaded.seen.get_mut(index as usize) else { continue };
            if seen.is_some_and(|seen| seen >= reach) {
                continue;
            }
            let first = seen.replace(reach).is_none();
            // What is in a scene is there to be rendered; what uses a collection may use what is hidden in it.
            let within = match id.kind {
                IdKind::Scene(_) => Reach::InScene,
                _ => reach,
            };
            self.queue.extend(id.members.iter().map(|&other| ((file, other), within)));
            if let IdKind::Linked { library: Some(library) } = id.kind {
                let name = id.name.clone();
                let lacking = self.follow(file, library, &name, reach)?;
                // It may be come to twice.
                self.warnings.extend(lacking.filter(|_| first));
            }
            if !first {
                continue;
            }
            let (composes, plays_strips) = self.uses(place);
            let contents = &self.files[file].contents;
            let id = &contents.ids[index as usize];
            let composed = id.compositor_needs.iter().filter(|_| composes);
            let played = id.strips_need.iter().filter(|_| plays_strips);
            let unmutes = plays_strips && contents.mutes_animated;
            let unmuted = id.muted_need.iter().filter(|_| unmutes);
            let needs = id.needs.iter().chain(composed).chain(played).chain(unmuted);
            self.queue.extend(needs.map(|&other| ((file, other), Reach::Needed)));
            match &id.kind {
                IdKind::Linked { library: Some(library) } => {
                    self.queue.push(((file, *library), Reach::Needed));
                }
                IdKind::CameraObject => self.cameras.push(place),
                IdKind::StartupScript => self.warnings.push(format!(
                    "the text '{}' asks to be run when the file is opened; renders run it only \
                     where scripts are allowed",
                    id.label()
                )),
                _ => {}
            }
            self.players.seen(place);
            self.files_of(place, required)?;
        }
        self.sequences(required)
    }

    /// Whether a render uses the compositor of a scene, and its strips. Of one that isn't rendered itself nobody
    /// knows: another one's strips may play it.
    fn uses(&self, scene: Place) -> (bool, bool) {
        let own = self.scene.and_then(|own| self.origin((0, own)));
        match self.scene().filter(|_| own == Some(scene)).and_then(group::scene_settings) {
            Some(settings) => (settings.composes(&self.arguments), settings.sequencer),
            None => (true, true),
        }
    }

    /// Looks for the files of the sequences found, of which is known by now who plays them.
    fn sequences(&mut self, required: bool) -> Result<(), AnalyseError> {
        let places = std::mem::take(&mut self.sequences);
        let mut players = std::mem::take(&mut self.players);
        if !places.is_empty() {
            players.learn(self);
        }
        for place in places {
            let contents = &self.files[place.0].contents;
            let id = &contents.ids[place.1 as usize];
            let folder = contents.holder_of(id).parent().unwrap_or(Path::new(".")).to_path_buf();
            let files = id.files.iter().filter_map(|wanted| match wanted.family {
                Family::Sequence(numbering) => Some((wanted.clone(), numbering)),
                _ => None,
            });
            for (wanted, numbering) in files.collect::<Vec<_>>() {
                let playing = match numbering {
                    Numbering::Here(play) => players.alone(play),
                    Numbering::ByUsers => players.of_image(place),
                };
                self.look_for(place, &wanted, &folder, &playing, required);
            }
        }
        self.players = players;
        self.check_size()
    }

    /// Looks for the files that a datablock names.
    fn files_of(&mut self, place: Place, required: bool) -> Result<(), AnalyseError> {
        let contents = &self.files[place.0].contents;
        let id = &contents.ids[place.1 as usize];
        let holder = contents.holder_of(id);
        let folder = holder.parent().unwrap_or(Path::new("."));
        let disk_cache =
            (id.has_disk_cache && self.disk_caches.insert(holder.clone())).then(|| FileUse {
                path: families::disk_cache(&holder),
                kind: AssetKind::Cache,
                family: Family::Folder,
                optional: false,
            });
        let folder = folder.to_path_buf();
        let mut files: Vec<FileUse> = id.files.iter().chain(&disk_cache).cloned().collect();
        if !id.strip_files.is_empty() {
            let (_, played) = self.uses(place);
            let muted = |file: &FileUse| file.optional && !contents.mutes_animated;
            files.extend(id.strip_files.iter().map(|file| {
                let optional = !played || muted(file);
                FileUse { optional, ..file.clone() }
            }));
        }
        if files.iter().any(|file| matches!(file.family, Family::Sequence(_))) {
            self.sequences.push(place);
        }
        for wanted in &files {
            if !matches!(wanted.family, Family::Sequence(_)) {
                self.look_for(place, wanted, &folder, &Playing::default(), required);
            }
        }
        self.check_size()
    }

    fn look_for(
        &mut self,
        place: Place,
        wanted: &FileUse,
        folder: &Path,
        playing: &Playing,
        required: bool,
    ) {
        let label = self.files[place.0].contents.ids[place.1 as usize].label();
        let required = required && !wanted.optional;
        let found = families::find(wanted, folder, playing, &self.disk);
        if let Some(said) = found.doubt.as_ref().or(found.notice.as_ref()).filter(|_| required) {
            self.warnings.push(format!("{label}: {said}"));
        }
        if found.doubt.is_some() {
            return;
        }
        let (asset, missing, beyond) = found.report(wanted, label, required);
        self.assets.push((place, asset));
        self.missing.extend(missing.into_iter().map(|missing| (place, missing)));
        self.missing_beyond.extend(beyond.into_iter().map(|missing| (place, missing)));
    }

    fn check_size(&self) -> Result<(), AnalyseError> {
        if self.assets.len() + self.missing.len() + self.missing_beyond.len() > MAX_ASSETS {
            return Err(AnalyseError::TooLarge(format!("it names more than {MAX_ASSETS} files")));
        }
        Ok(())
    }

    /// Goes on at the datablock called `name` in a library of `file`. Says so if there is none.
    fn follow(
        &mut self,
        file: usize,
        library: u32,
        name: &[u8],
        reach: Reach,
    ) -> Result<Option<String>, AnalyseError> {
        let target = match self.files[file].libraries.get(&library) {
            Some(&known) => known,
            None => {
                let target = self.open_library(file, library)?;
                self.files[file].libraries.insert(library, target);
                target
            }
        };
        let Some(target) = target else { return Ok(None) };
        let contents = &self.files[target].contents;
        match contents.named(name) {
            Some(index) => {
                self.queue.push(((target, index), reach));
                Ok(None)
            }
            None => Ok(Some(format!(
                "{} has no '{}', which is linked from it",
                contents.path.display(),
                locate::text(name.get(2..).unwrap_or_default()),
            ))),
        }
    }

    fn open_library(&mut self, file: usize, library: u32) -> Result<Option<usize>, AnalyseError> {
        let contents = &self.files[file].contents;
        let Some(id) = contents.ids.get(library as usize) else {
            return Ok(None);
        };
        let IdKind::Library { path: spelled, packed } = &id.kind else {
            return Ok(None);
        };
        if *packed {
            self.warnings.push(format!(
                "the library '{}' is packed into the file; files that it names are not checked",
                id.label()
            ));
            return Ok(None);
        }
        let path = locate::locate(contents.folder(), spelled, &self.disk);
        let key = canonical(&path);
        if let Some(&known) = self.by_path.get(&key) {
            return Ok(known);
        }
        if self.by_path.len() >= MAX_FILES {
            return Err(AnalyseError::TooLarge(format!(
                "it links from more than {MAX_FILES} other files"
            )));
        }
        let opened = if path.is_file() {
            match read::read(&path) {
                Ok(contents) => {
                    self.files.push(Loaded::new(contents));
                    Some(self.files.len() - 1)
                }
                Err(error) => {
                    let place = (file, library);
                    let missing = Missing {
                        node: id.label(),
                        path: locate::text(spelled),
                        reason: format!("it cannot be read as a library: {error}"),
                        required: true,
                        frames: None,
                    };
                    self.missing.push((place, missing));
                    None
                }
            }
        } else {
            None
        };
        self.by_path.insert(key, opened);
        Ok(opened)
    }

    /// The scene's own file.
    pub(super) fn contents(&self) -> &Contents {
        &self.files[0].contents
    }

    /// The contents of every file that was read; the scene's own is the first.
    pub(super) fn all_contents(&self) -> impl Iterator<Item = &Contents> {
        self.files.iter().map(|loaded| &loaded.contents)
    }

    /// The datablock at a place.
    pub(super) fn id(&self, place: Place) -> Option<&Id> {
        self.files.get(place.0)?.contents.ids.get(place.1 as usize)
    }

    /// The datablock that a file knows by its address, where it is defined.
    pub(super) fn at_address(&self, file: usize, address: u64) -> Option<Place> {
        let index = self.files.get(file)?.contents.by_address.get(&address)?;
        self.origin((file, *index))
    }

    /// The scene that is rendered, where it is defined.
    pub(super) fn scene(&self) -> Option<&Id> {
        Some(self.resolved(self.scene?)?.1)
    }

    /// Follows a stand-in at `index` of the scene's own file to what it stands for.
    pub(super) fn resolved(&self, index: u32) -> Option<(&Contents, &Id)> {
        let place = self.origin((0, index))?;
        Some((&self.files[place.0].contents, self.id(place)?))
    }

    /// Follows a stand-in to what it stands for.
    pub(super) fn origin(&self, place: Place) -> Option<Place> {
        let (mut file, mut index) = place;
        // Stand-ins can stand for stand-ins, but not in circles for ever.
        for _ in 0..64 {
            let loaded = self.files.get(file)?;
            let id = loaded.contents.ids.get(index as usize)?;
            let IdKind::Linked { library: Some(library) } = id.kind else {
                return Some((file, index));
            };
            file = (*loaded.libraries.get(&library)?)?;
            index = self.files.get(file)?.contents.named(&id.name)?;
        }
        None
    }

    /// The names of all camera objects found, those of the scene's own file first.
    pub(super) fn cameras(&self) -> Vec<String> {
        let mut places = self.cameras.clone();
        places.sort_unstable();
        let names = places.iter().filter_map(|&place| Some(self.id(place)?.label()));
        let mut known = HashSet::new();
        names.filter(|name| known.insert(name.clone())).collect()
    }

    /// The newest version that saved one of the files that were read.
    fn saved_by(&self) -> Option<SavedBy> {
        // Of several files by one version the scene's own is the first.
        let newest = self.all_contents().map(|contents| contents.version).max()?;
        let contents = self.all_contents().find(|contents| contents.version == newest)?;
        Some(SavedBy { version: newest.to_string(), file: contents.path.clone() })
    }

    /// The assets and what is missing, in the order of the files.
    pub(super) fn into_report(mut self) -> Analysis {
        let saved_by = self.saved_by();
        self.assets.sort_by_key(|(place, _)| *place);
        let in_order = |mut missing: Vec<(Place, Missing)>| -> Vec<Missing> {
            missing.sort_by_key(|(place, _)| *place);
            missing.into_iter().map(|(_, missing)| missing).collect()
        };
        Analysis {
            assets: self.assets.into_iter().map(|(_, asset)| asset).collect(),
            missing: in_order(self.missing),
            missing_beyond: in_order(self.missing_beyond),
            warnings: self.warnings,
            saved_by,
            ..Analysis::default()
        }
    }
}

impl Loaded {
    fn new(contents: Contents) -> Self {
        Self { seen: vec![None; contents.ids.len()], contents, libraries: HashMap::new() }
    }
}

/// The one name of a file that several paths may lead to.
fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}
