//! The nodes of the compositor that tiles are rendered through, each by an installed Blender.

use std::collections::BTreeMap;
use std::path::Path;

use super::made_by_blender::blender;
use crate::blender::tiling::POINTWISE;

/// It makes of each pixel several, in a part of a picture too: were it not seen here, nothing would be.
const NOT_POINTWISE: &str = "CompositorNodeZcombine";

#[test]
fn tiles_through_any_of_the_nodes_are_the_whole_frame() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/blender/tests/pointwise.py");
    let nodes = POINTWISE.iter().chain([&NOT_POINTWISE]).map(Path::new);
    let arguments: Vec<&Path> = [folder.path()].into_iter().chain(nodes).collect();
    let Some(said) = blender(&script, &arguments) else { return };
    assert!(said.contains("rendered all nodes"), "{said}");
    let lines = said.lines().filter_map(|line| line.strip_prefix("NODE "));
    let nodes: BTreeMap<&str, Vec<u32>> = lines
        .filter_map(|line| line.split_once(' '))
        .map(|(node, told)| (node, told.split(' ').filter_map(|word| word.parse().ok()).collect()))
        .collect();
    assert_eq!(nodes.len(), POINTWISE.len() + 1, "{said}");
    for (node, told) in &nodes {
        // Some there were before this version, or will be after it.
        let &[differ, rendered, colors] = &told[..] else { continue };
        assert_eq!(differ > 0, *node == NOT_POINTWISE, "{node}: {said}");
        let constant = matches!(*node, "CompositorNodeRGB" | "CompositorNodeValue");
        assert!(rendered > 1 && (colors > 100 || constant), "{node}: {rendered}, {colors} colours");
    }
    assert!(nodes.values().filter(|told| told.len() == 3).count() > 20, "{said}");
}
