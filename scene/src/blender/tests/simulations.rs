//! Simulations that aren't baked, in scenes that an installed Blender makes on the spot.

use std::path::Path;

use super::made_by_blender::blender;
use crate::blender::analyse;

#[test]
fn simulations_are_found_where_they_are_not_baked() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/blender/tests/make_simulations.py");
    let Some(said) = blender(&script, &[folder.path()]) else { return };
    assert!(said.contains("made all simulations"), "{said}");
    let mut with_nodes = 0;
    for (scene, expected) in [
        ("rigid", &["Scene: rigid bodies"][..]),
        ("rigid_baked", &[]),
        ("rigid_still", &[]),
        ("particles", &["Cube: particles"]),
        ("particles_fixed", &[]),
        ("hair", &[]),
        ("hair_moves", &["Cube: hair dynamics"]),
        ("cloth", &["Cube: cloth"]),
        ("cloth_hidden", &[]),
        ("soft", &["Cube: soft body"]),
        ("fluid", &["Cube: fluid"]),
        ("paint", &["Cube: dynamic paint"]),
        ("elsewhere", &[]),
        ("none", &[]),
        ("nodes", &["Cube: simulation nodes"]),
        ("nodes_nested", &["Cube: simulation nodes"]),
        ("nodes_cached", &[]),
    ] {
        let scene = folder.path().join(scene).with_extension("blend");
        // Blender has had nodes that simulate since 3.6.
        if !scene.exists() && scene.file_stem().unwrap().to_string_lossy().starts_with("nodes") {
            continue;
        }
        with_nodes += usize::from(expected == ["Cube: simulation nodes"]);
        let analysis = analyse(&scene).unwrap();
        assert_eq!(analysis.unbaked, expected, "{}", scene.display());
        let warned =
            analysis.warnings.iter().filter(|warning| warning.contains("not baked (")).count();
        assert_eq!(warned, usize::from(!expected.is_empty()), "{:?}", analysis.warnings);
    }
    assert!(with_nodes == 0 || with_nodes == 2, "{with_nodes}");
}
