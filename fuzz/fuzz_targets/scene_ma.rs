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
    let (mut same, moved) = (Vec::new(), |path: &str| Some(format!("x/{path}")));
    _ = weft_scene::maya::rewrite_paths(&path, &mut std::io::sink(), &moved);
    if weft_scene::maya::rewrite_paths(&path, &mut same, &|_| None).is_ok() {
        assert_eq!(same, bytes);
    }
});
