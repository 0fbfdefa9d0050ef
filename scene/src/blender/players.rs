//! Who plays the image sequences of a scene, over all its files.

use std::collections::{HashMap, HashSet};

use crate::sequence::{Play, Range};

use super::contents::{Family, ImagePlay, Numbering};
use super::families::Playing;
use super::group;
use super::search::{Place, Search};

/// What is known of the users of sequences.
#[derive(Debug, Default)]
pub(super) struct Players {
    /// Datablocks that may use one, and haven't been asked yet.
    unasked: Vec<Place>,
    of_images: HashMap<Place, Vec<ImagePlay>>,
    /// Images that something uses in a way that isn't understood here.
    unclear: HashSet<Place>,
    range: Range,
    motion_blur: bool,
    /// Whether the renderer shows a frame's own picture without being told to follow.
    always_follows: bool,
    /// Whether nothing of the above says what a frame shows.
    unforeseeable: bool,
}

impl Players {
    /// Remembers a datablock that the search came by.
    pub(super) fn seen(&mut self, place: Place) {
        self.unasked.push(place);
    }

    /// Asks the scene, and those seen so far.
    pub(super) fn learn(&mut self, search: &Search) {
        if let Some(settings) = search.scene().and_then(group::scene_settings) {
            self.range = Range { start: settings.start, end: settings.end, step: settings.step };
            self.motion_blur = settings.motion_blur;
            self.always_follows = settings.engine == "CYCLES";
            self.unforeseeable = settings.time_moved;
        }
        self.unforeseeable |= search.all_contents().any(|contents| contents.sequences_animated);
        for place in std::mem::take(&mut self.unasked) {
            self.ask(search, place);
        }
    }

    fn ask(&mut self, search: &Search, place: Place) {
        let Some(user) = search.id(place) else { return };
        let mut understood = HashSet::new();
        for (address, play) in &user.plays {
            if let Some(image) = search.at_address(place.0, *address) {
                understood.insert(image);
                self.of_images.entry(image).or_default().push(*play);
            }
        }
        for other in user.all_needs() {
            let Some(image) = search.origin((place.0, other)) else { continue };
            let is_sequence = search.id(image).is_some_and(|id| {
                id.files.iter().any(|file| file.family == Family::Sequence(Numbering::ByUsers))
            });
            if is_sequence && !understood.contains(&image) {
                self.unclear.insert(image);
            }
        }
    }

    /// The playing of a sequence that says itself how it is played.
    pub(super) fn alone(&self, play: Play) -> Playing {
        // Blender shows nothing of a length of 0, which is what a length has until somebody sets it.
        if self.unforeseeable || play.length <= 0 {
            return Playing { range: self.range, ..Playing::default() };
        }
        Playing { plays: vec![play], also: Vec::new(), complete: true, range: self.range }
    }

    /// The playing of an image by its users.
    pub(super) fn of_image(&self, image: Place) -> Playing {
        let mut playing = Playing { range: self.range, ..Playing::default() };
        if self.unforeseeable {
            return playing;
        }
        let users = self.of_images.get(&image).map(Vec::as_slice).unwrap_or_default();
        playing.complete = !users.is_empty() && !self.unclear.contains(&image);
        for user in users {
            let play = Play { margin: i64::from(self.motion_blur), ..user.play };
            if user.follows {
                playing.plays.push(play);
                continue;
            }
            let saved = Play::still(user.saved);
            let (shown, maybe) = if self.always_follows { (play, saved) } else { (saved, play) };
            playing.plays.push(shown);
            playing.also.push(maybe);
        }
        playing
    }
}
