//! How datablocks play sequences of files: which frame shows which number.

use crate::sequence::{Outside, Play};

use super::contents::{Family, ImagePlay, Numbering};
use super::numbered;
use super::record::Record;

// ImageUser.flag: the picture follows the frame in the interface and in every renderer
// (IMA_ANIM_ALWAYS in DNA_image_types.h).
const FOLLOWS: i64 = 1 << 0;
// Volume.sequence_mode (VOLUME_SEQUENCE_* in DNA_volume_types.h).
const VOLUME_EXTEND: i64 = 1;
const VOLUME_REPEAT: i64 = 2;
const VOLUME_PING_PONG: i64 = 3;

/// Geometry is read for the times around a frame too: motion blur, and caches between samples.
const CACHE_MARGIN: i64 = 1;

/// What an `ImageUser` says, whose fields have names that begin with `prefix`
/// (BKE_image_user_frame_get in image.cc). `None` where it says nothing that is understood here.
pub(super) fn of_image_user(record: &Record<'_>, prefix: &str) -> Option<ImagePlay> {
    let int = |name: &str| record.int(&format!("{prefix}{name}"));
    let (length, start) = (int("frames")?, int("sfra")?);
    // Fields per image, until 2.79: two are one picture a frame.
    if length <= 0 || int("fie_ima").is_some_and(|fields| fields != 0 && fields != 2) {
        return None;
    }
    let repeats = int("cycl").is_some_and(|cyclic| cyclic != 0);
    let play = Play {
        start,
        length,
        offset: int("offset")?,
        outside: if repeats { Outside::Repeat } else { Outside::NearestOrZero },
        margin: 0,
    };
    let follows = int("flag").is_none_or(|flag| flag & FOLLOWS != 0);
    Some(ImagePlay { play, follows, saved: int("framenr").unwrap_or(start) })
}

/// What a `MovieClip` of pictures says (get_sequence_filepath in movieclip.cc).
pub(super) fn of_clip(record: &Record<'_>, path: &[u8]) -> Option<Play> {
    let first = numbered::decode(path)?.number?;
    let shift = first - record.int("start_frame")? + record.int("frame_offset")?;
    Some(Play::shifted(shift, 0))
}

/// What a `Volume` says, if it is a sequence (volume_sequence_frame in volume.cc).
pub(super) fn of_volume(record: &Record<'_>, path: &[u8]) -> Option<Play> {
    if record.int("is_sequence") != Some(1) || !numbered::decode(path)?.before_extension {
        return None;
    }
    let outside = match record.int("sequence_mode")? {
        VOLUME_EXTEND => Outside::Nearest,
        VOLUME_REPEAT => Outside::Repeat,
        VOLUME_PING_PONG => Outside::PingPong,
        _ => Outside::Nothing,
    };
    Some(Play {
        start: record.int("frame_start")?,
        length: record.int("frame_duration")?,
        offset: record.int("frame_offset")?,
        outside,
        margin: CACHE_MARGIN,
    })
}

/// What a `CacheFile` says, if it is a sequence (BKE_cachefile_filepath_get in cachefile.cc).
pub(super) fn of_cache(record: &Record<'_>, path: &[u8]) -> Option<Play> {
    if record.int("is_sequence") != Some(1) || !numbered::decode(path)?.before_extension {
        return None;
    }
    if record.int("override_frame") == Some(1) {
        // A float becomes a whole number here, as it does there.
        return Some(Play::still(record.float("frame")?.clamp(-1e9, 1e9) as i64));
    }
    Some(Play::shifted(0, CACHE_MARGIN))
}

/// A sequence if it is played, and else one file.
pub(super) fn family(play: Option<Play>) -> Family {
    play.map_or(Family::Single, |play| Family::Sequence(Numbering::Here(play)))
}

/// Whether an animation curve for this property changes which file of a sequence is shown: of an
/// image user, a volume or a cache, whose frames can be animated, or of the scene's time.
pub(super) fn is_moved_by(property: &[u8]) -> bool {
    let name = property.rsplit(|&byte| byte == b'.').next().unwrap_or(property);
    property.windows(10).any(|part| part == b"image_user")
        || [
            &b"frame"[..],
            b"frame_start",
            b"frame_duration",
            b"frame_offset",
            b"sequence_mode",
            b"override_frame",
            b"frame_map_old",
            b"frame_map_new",
        ]
        .contains(&name)
}

/// Whether an animation curve for this property mutes a strip of the sequencer, or shows it.
pub(super) fn is_muted_by(property: &[u8]) -> bool {
    property.starts_with(b"sequence_editor.") && property.ends_with(b".mute")
}

#[cfg(test)]
mod tests {
    use super::{is_moved_by, is_muted_by};

    #[test]
    fn curves_that_move_sequences() {
        for (property, moves) in [
            ("nodes[\"Image Texture\"].image_user.frame_offset", true),
            ("frame_start", true),
            ("frame", true),
            ("location", false),
            ("nodes[\"frame\"].inputs[0].default_value", false),
            ("", false),
        ] {
            assert_eq!(is_moved_by(property.as_bytes()), moves, "{property}");
        }
    }

    #[test]
    fn curves_that_mute_strips() {
        for (property, mutes) in [
            ("sequence_editor.sequences_all[\"a.b\"].mute", true),
            ("sequence_editor.strips_all[\"a\"].mute", true),
            ("sequence_editor.strips_all[\"a\"].blend_alpha", false),
            ("pose.bones[\"a\"].constraints[\"b\"].mute", false),
        ] {
            assert_eq!(is_muted_by(property.as_bytes()), mutes, "{property}");
        }
    }
}
