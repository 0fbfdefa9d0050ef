//! The strips of a scene's sequencer, in the pieces that Blender writes them in, and the files that they name.

use std::collections::{HashMap, HashSet};

use crate::analysis::AssetKind;

use super::contents::{Family, FileUse};
use super::path_fields;
use super::record::Record;

// Sequence.type (SEQ_TYPE_* in DNA_sequence_types.h).
const IMAGE: i64 = 0;
const SCENE: i64 = 2;
const MOVIE: i64 = 3;
// Sequence.flag (SEQ_MUTE in DNA_sequence_types.h, the same from 2.4x to 5.x).
const MUTE: i64 = 1 << 5;
// SeqTimelineChannel.flag (SEQ_CHANNEL_MUTE in DNA_sequence_types.h; from 3.2 on).
const CHANNEL_MUTE: i64 = 1 << 1;
/// The strips of which an effect is made, and the one by which a strip's modifier is masked. These are rendered
/// although they are muted themselves.
const INPUTS: [&str; 5] = ["seq1", "seq2", "seq3", "input1", "input2"];
const MASKS: [&str; 2] = ["modifier.mask_sequence", "modifier.mask_strip"];

/// One strip.
struct Strip {
    kind: i64,
    /// The address of its data.
    data: u64,
    muted: bool,
    /// The number of the channel that it is in.
    channel: i64,
    /// The addresses of the strips that it is made of; of the first strip in it, and of the next one beside it.
    inputs: Vec<u64>,
    first: u64,
    next: u64,
    /// The address of the first channel of the strips in it.
    channels: u64,
    /// The datablocks that it points at.
    needs: Vec<u32>,
}

/// A channel, of a scene's strips or of those in one strip.
struct Channel {
    number: i64,
    muted: bool,
    next: u64,
}

/// All strips of a scene.
#[derive(Default)]
pub(super) struct Strips {
    /// By their addresses, in the order of the file.
    strips: Vec<(u64, Strip)>,
    /// From the address of a strip's data to its folder and the address of its names.
    data: HashMap<u64, (Vec<u8>, u64)>,
    /// From an address to the names there.
    names: HashMap<u64, Vec<Vec<u8>>>,
    /// The addresses of strips that mask.
    masks: Vec<u64>,
    /// The addresses of the strips that were open when the file was saved.
    open: Vec<u64>,
    /// By their addresses, and the address of the first one of the scene's.
    channels: HashMap<u64, Channel>,
    first_channel: u64,
    /// How many links are kept besides.
    links: usize,
}

/// What the strips of a scene need.
#[derive(Default)]
pub(super) struct StripNeeds {
    /// Files; those that are optional belong to strips that are muted.
    pub(super) files: Vec<FileUse>,
    /// Datablocks that strips point at which are rendered, and those that only muted ones do.
    pub(super) datablocks: HashSet<u32>,
    pub(super) muted: HashSet<u32>,
}

impl Strips {
    /// Takes what a struct at `address` that belongs to a scene says of strips, and tells which scene it plays.
    pub(super) fn take(&mut self, record: &Record<'_>, address: u64) -> Option<u64> {
        match record.name() {
            "Sequence" => return self.strip(record, address, "strip"),
            // From 4.5 on, `Strip` is what `Sequence` was, and `StripData` what `Strip` was.
            "Strip" if record.pointer("stripdata").is_none() => {
                return self.strip(record, address, "data");
            }
            "Strip" | "StripData" => {
                if let (Some(folder), Some(names)) =
                    (record.text(path_fields::STRIP_FOLDER), record.pointer("stripdata"))
                {
                    self.data.insert(address, (folder.to_vec(), names));
                }
            }
            "StripElem" => {
                let name = record.text("name").unwrap_or_default().to_vec();
                self.names.entry(address).or_default().push(name);
            }
            "Editing" => self.first_channel = record.pointer("channels.first").unwrap_or(0),
            "MetaStack" => self.open.extend(record.pointer("parseq")),
            "SeqTimelineChannel" => {
                let channel = Channel {
                    number: record.int("index").unwrap_or(0),
                    muted: record.int("flag").is_some_and(|flag| flag & CHANNEL_MUTE != 0),
                    next: record.pointer("next").unwrap_or(0),
                };
                self.channels.insert(address, channel);
            }
            _ => self.masks.extend(pointers(record, &MASKS)),
        }
        None
    }

    fn strip(&mut self, record: &Record<'_>, address: u64, data: &str) -> Option<u64> {
        let (kind, data) = (record.int("type")?, record.pointer(data)?);
        let inputs: Vec<u64> = pointers(record, &INPUTS).collect();
        self.links += inputs.len();
        let strip = Strip {
            kind,
            data,
            muted: record.int("flag").is_some_and(|flag| flag & MUTE != 0),
            channel: record.int("machine").unwrap_or(0),
            inputs,
            first: record.pointer("seqbase.first").unwrap_or(0),
            next: record.pointer("next").unwrap_or(0),
            channels: record.pointer("channels.first").unwrap_or(0),
            needs: Vec::new(),
        };
        self.strips.push((address, strip));
        record.pointer("scene").filter(|scene| kind == SCENE && *scene != 0)
    }

    /// Notes that the strip that was taken last points at a datablock.
    pub(super) fn needs(&mut self, other: u32) {
        if let Some((_, strip)) = self.strips.last_mut() {
            strip.needs.push(other);
            self.links += 1;
        }
    }

    /// How many things are held.
    pub(super) fn size(&self) -> usize {
        let lists = self.masks.len() + self.open.len() + self.channels.len();
        self.strips.len() + self.data.len() + self.names.len() + lists + self.links
    }

    pub(super) fn is_empty(&self) -> bool {
        self.strips.is_empty()
    }

    /// Whether one of them plays a scene.
    pub(super) fn play_scenes(&self) -> bool {
        self.strips.iter().any(|(_, strip)| strip.kind == SCENE)
    }

    /// What they need, once all of them were taken.
    pub(super) fn finish(mut self) -> StripNeeds {
        let rendered = self.rendered();
        let mut needs = StripNeeds::default();
        for (address, strip) in std::mem::take(&mut self.strips) {
            let muted = !rendered.contains(&address);
            let datablocks = if muted { &mut needs.muted } else { &mut needs.datablocks };
            datablocks.extend(strip.needs);
            // Two strips never share their data, so it can be taken out.
            let Some((folder, names)) = self.data.remove(&strip.data) else { continue };
            let names = self.names.remove(&names).unwrap_or_default();
            let (path, kind, family) = match strip.kind {
                MOVIE if !names.is_empty() => {
                    (path_fields::join(&folder, &names[0]), AssetKind::Movie, Family::Single)
                }
                IMAGE if !names.is_empty() => {
                    (folder, AssetKind::ImageSequence, Family::Listed(names))
                }
                _ => continue,
            };
            needs.files.push(FileUse { path, kind, family, optional: muted });
        }
        needs
    }

    /// The addresses of the strips that are rendered: those that are muted, or in a channel or a strip that is, only
    /// where others are made of them.
    fn rendered(&self) -> HashSet<u64> {
        let by_address: HashMap<u64, &Strip> =
            self.strips.iter().map(|(address, strip)| (*address, strip)).collect();
        // What is in which strip; a chain of strips that leads into itself ends there.
        let mut within: HashMap<u64, u64> = HashMap::new();
        for (address, strip) in &self.strips {
            let mut at = strip.first;
            while let Some(inner) = by_address.get(&at).filter(|_| !within.contains_key(&at)) {
                within.insert(at, *address);
                at = inner.next;
            }
        }
        let mut of: HashMap<u64, Vec<u64>> = HashMap::new();
        for (inner, outer) in &within {
            of.entry(*outer).or_default().push(*inner);
        }
        let muted_channels = self.muted_channels();
        let is_muted = |address: &u64| {
            by_address.get(address).is_none_or(|strip| {
                let outer = within.get(address).copied().unwrap_or(0);
                strip.muted || muted_channels.contains(&(outer, strip.channel))
            })
        };
        let outermost = by_address.keys().filter(|address| !within.contains_key(address));
        let mut waiting: Vec<u64> =
            outermost.filter(|address| !is_muted(address)).copied().collect();
        waiting.extend(&self.masks);
        // Of a file saved with a strip open a render shows what is in that one, muted or not.
        waiting.extend(&self.open);
        let mut rendered = HashSet::new();
        while let Some(address) = waiting.pop() {
            if !rendered.insert(address) {
                continue;
            }
            waiting.extend(by_address.get(&address).iter().flat_map(|strip| &strip.inputs));
            let inner = of.get(&address).into_iter().flatten();
            waiting.extend(inner.filter(|address| !is_muted(address)));
        }
        rendered
    }

    /// The channels that are muted: by the address of the strip that they are in, 0 for the scene's own, and their number.
    fn muted_channels(&self) -> HashSet<(u64, i64)> {
        let inner = self.strips.iter().map(|(address, strip)| (*address, strip.channels));
        let mut seen = HashSet::new();
        let mut muted = HashSet::new();
        for (outer, first) in std::iter::once((0, self.first_channel)).chain(inner) {
            let mut at = first;
            // A channel is in one list, so that one that leads back ends.
            while let Some(channel) = self.channels.get(&at).filter(|_| seen.insert(at)) {
                if channel.muted {
                    muted.insert((outer, channel.number));
                }
                at = channel.next;
            }
        }
        muted
    }
}

/// The addresses in these fields, of those that there are.
fn pointers<'a>(record: &'a Record<'_>, fields: &'a [&str]) -> impl Iterator<Item = u64> + 'a {
    let all = fields.iter().filter_map(|field| record.pointer(field));
    all.filter(|address| *address != 0)
}
