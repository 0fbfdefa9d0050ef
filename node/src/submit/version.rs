//! Which version of an engine renders a job: all of its frames are rendered by one.

use std::collections::BTreeSet;

use weft_scene::analysis::{Analysis, SavedBy};
use weft_scene::engine::Definition;
use weft_scene::version::Version;

use super::Offered;
use crate::error::{ApiError, Code};

/// The version that most nodes offer would need counts; of several the greatest is taken. Empty where no node
/// has the engine just now.
pub(super) fn version(engine: &str, offered: &Offered) -> String {
    greatest(offered.engines.get(engine), |_| true).unwrap_or_default()
}

fn greatest(
    versions: Option<&BTreeSet<String>>,
    fits: impl Fn(&Version) -> bool,
) -> Option<String> {
    let counted = versions?.iter().map(|version| (Version::of(version), version));
    let (_, greatest) = counted.filter(|(version, _)| fits(version)).max()?;
    Some(greatest.clone())
}

/// The same for a scene that not every version of its application reads, with what is to be known.
///
/// # Errors
/// Where no node of the studio's has a version that does.
pub(super) fn version_for(
    analysis: Option<&Analysis>,
    (engine, definition): (&str, Option<&Definition>),
    offered: &Offered,
) -> Result<(String, Option<String>), ApiError> {
    let any = version(engine, offered);
    let application = definition.and_then(|definition| definition.application.as_ref());
    let Some((application, analysis)) = application.zip(analysis) else { return Ok((any, None)) };
    let saved_by = analysis.saved_by.as_ref();
    let Some(SavedBy { version: writer, file }) =
        saved_by.filter(|_| *application == analysis.scene_info.application)
    else {
        return Ok((any, None));
    };
    let needed = Version::of(writer);
    let reads = |version: &Version| version.reads(&needed);
    let (here, away) = (offered.engines.get(engine), offered.away.get(engine));
    if let Some(version) = greatest(here, reads) {
        return Ok((version, None));
    }
    let file = file.display();
    if let Some(version) = greatest(away, reads) {
        let warning = format!(
            "{file} was saved by {application} {writer}, and no node that is there just now reads that: the job waits \
             for one that has {application} {version}"
        );
        return Ok((version, Some(warning)));
    }
    let newest = [greatest(here, |_| true), greatest(away, |_| true)].into_iter().flatten();
    match newest.max_by_key(|version| Version::of(version)) {
        // That no node has the engine at all is said of any scene.
        None => Ok((any, None)),
        Some(newest) => Err(ApiError::new(
            Code::Impossible,
            format!(
                "{file} was saved by {application} {writer}, and the newest of the studio's is {newest}, which can't \
                 read it; nothing was submitted"
            ),
        )
        .hint(format!(
            "Install {application} {writer} or later on a node, or save the scene by an older version. A node uses \
             the first program that it finds: `weft engines` shows which, and which others are there, of which \
             `executables` under [engine.{engine}] in its weft.toml can name one."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use weft_scene::analysis::SceneInfo;
    use weft_scene::engine::shipped;

    use super::*;

    fn offering(here: &[&str], away: &[&str]) -> Offered {
        let of = |versions: &[&str]| {
            let versions = versions.iter().map(|version| (*version).to_owned()).collect();
            BTreeMap::from([("blender".to_owned(), versions)])
        };
        Offered { engines: of(here), away: of(away), ..Offered::default() }
    }

    #[test]
    fn the_greatest_version_is_taken_as_numbers_go() {
        assert_eq!(version("blender", &offering(&["3.7.0.10", "3.7.0.8"], &["9"])), "3.7.0.10");
        assert_eq!(version("povray", &offering(&["3.4.1"], &[])), "");
    }

    #[test]
    fn a_scene_goes_to_no_older_version_than_saved_it() {
        let application = "Blender".to_owned();
        let saved_by = SavedBy { version: "4.5".into(), file: "/s/shelf.blend".into() };
        let analysis = Analysis {
            scene_info: SceneInfo { application, ..SceneInfo::default() },
            saved_by: Some(saved_by),
            ..Analysis::default()
        };
        let engines = shipped();
        let engine = ("blender", engines.get("blender"));
        let chosen = |here: &[&str], away: &[&str]| {
            version_for(Some(&analysis), engine, &offering(here, away))
        };
        assert_eq!(chosen(&["3.4.1", "4.5.3"], &["5.0"]).unwrap(), ("4.5.3".into(), None));
        let (version, warning) = chosen(&["3.4.1"], &["4.5.10", "4.5.9"]).unwrap();
        assert_eq!(version, "4.5.10");
        assert!(warning.is_some_and(|told| told.contains("the job waits")));
        let refused = chosen(&["3.4.1"], &["3.10"]).unwrap_err();
        assert_eq!(refused.code, Code::Impossible);
        assert!(
            refused
                .message
                .contains("saved by Blender 4.5, and the newest of the studio's is 3.10")
        );
        assert!(refused.hint.contains("[engine.blender]"), "{}", refused.hint);
        // Who has none at all is told so later, as of any engine.
        assert_eq!(chosen(&[], &[]).unwrap(), (String::new(), None));
        // What is no Blender has versions of its own.
        let other = ("povray", engines.get("povray"));
        assert_eq!(version_for(Some(&analysis), other, &offering(&["1"], &[])).unwrap().0, "");
    }
}
