#![no_main]
#[path = "scene_file.rs"]
mod scene_file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = scene_file::write(bytes, "ma");
    if let Ok(analysis) = weft_scene::maya::analyse(&path) {
        for asset in &analysis.assets {
            assert_eq!(asset.exists, !asset.files.is_empty());
        }
        _ = analysis.missing_for(&[1, 7]).count();
    }
});
