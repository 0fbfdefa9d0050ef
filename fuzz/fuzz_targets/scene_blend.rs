#![no_main]
#[path = "scene_file.rs"]
mod scene_file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = scene_file::write(bytes, "blend");
    let read = weft_scene::blender::analyse(&path).is_ok();
    let map = |path: &str| path.starts_with('/').then(|| "//moved.png".to_owned());
    let copied = weft_scene::blender::rewrite_paths(&path, &mut std::io::sink(), &map);
    let _ = weft_scene::blender::not_by_tiles(&path, None, "exr", &Default::default());
    assert!(
        copied.is_ok()
            || !read
            || matches!(copied, Err(error) if error.to_string().contains("longer"))
    );
});
